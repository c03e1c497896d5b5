"""Make the screenshots of the docs: the pages of receipts and of an access report, on a desktop and on a phone.

    python -m scripts.screenshots

All pages are made of contacts of the emulators, so nobody in them exists. It needs Chromium.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from contacts_core.access import access_report
from contacts_core.access.page import report_page
from contacts_core.plans import IdentifierExpansion, plan_erasure
from contacts_core.plans.receipts.report import html
from tests.browser import PHONE, Browser, open_browser
from tests.plans.environment import lively, open_environment
from tests.plans.test_copy import copy, two_accounts

IMAGES = Path(__file__).parents[1] / "docs" / "images"
HEIGHTS = {"desktop": 1000, "phone": 1100}  # pixels from the top of the page
WIDTHS = {"desktop": 1000, "phone": PHONE}  # a narrow window, so that the text is large enough in the docs
MOST_BYTES = 150_000


def main() -> None:
    """Make them all."""
    with TemporaryDirectory() as folder:
        os.environ["CONTACTS_STORAGE"] = str(Path(folder) / "storage")
        pages = _pages(Path(folder))
        IMAGES.mkdir(exist_ok=True)
        with open_browser(Path(folder) / "profile") as browser:
            for name, page in pages.items():
                for device, width in WIDTHS.items():
                    _shoot(browser, page, width, HEIGHTS[device], IMAGES / f"{name}-{device}.png")


def _pages(folder: Path) -> dict[str, Path]:
    with lively(), two_accounts("sendgrid", "bird", folder, contacts=40) as (old, new, *_):
        copied = copy(old, new)[1]  # before anybody is erased, who could not be copied any more
    with lively(), open_environment() as environment:
        person, other = environment.emails(2)
        report = access_report([person], environment.accounts, follow=IdentifierExpansion.ONCE)
        receipt = plan_erasure([person, other], environment.accounts).apply(environment.accounts)
    texts = {
        "access": "".join(report_page(report)),
        "copy": html(copied, sealed=True),
        "receipt": html(receipt, sealed=True),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in texts}


def _shoot(browser: Browser, page: Path, width: int, height: int, to: Path) -> None:
    browser.open(page, width)
    to.write_bytes(browser.screenshot(height))
    size = to.stat().st_size
    if size > MOST_BYTES:
        message = f"{to.name} has {size} bytes, and {MOST_BYTES} are allowed"
        raise SystemExit(message)
    print(f"{to.name}: {size} bytes")


if __name__ == "__main__":
    main()
