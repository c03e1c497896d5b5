"""Before a plan is made, it is told which accounts are read as a whole, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from contacts_core.cli.output import Exit
from contacts_core.models import IdentifierKind
from tests.cli.fake_provider import Acme, Run, Vendor

JANE = ("--email", "person1@example.com")
PHONE = ("--phone", "+12025550123")


@pytest.fixture(autouse=True)
def by_email_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Acme, "find_kinds", (IdentifierKind.EMAIL,))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (JANE, ""),
        (PHONE, "acme has no look-up by phone: every contact is read"),
        ((*JANE, *PHONE, "--external-id", "7"), "acme has no look-up by phone, external_id: every contact is read"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ("erase", "--accounts", "acme", "--dry-run"),
        ("plan", "erase", "--accounts", "acme"),
        ("plan", "delete", "acme"),
        ("plan", "remove-from-list", "acme", "l1"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_kinds_that_cannot_be_looked_up_are_named(
    run: Run, vendor: Vendor, command: tuple[str, ...], given: tuple[str, ...], reason: str
) -> None:
    done = run(*command, *given)
    assert reason in done.err, done.err
    assert reason or "every contact is read" not in done.err


def test_nothing_is_told_if_contacts_are_given_by_id(run: Run, vendor: Vendor) -> None:
    done = run("plan", "delete", "bare", "--id", "id-1")
    assert done.code != Exit.DONE  # it cannot delete
    assert "every contact is read" not in done.err
