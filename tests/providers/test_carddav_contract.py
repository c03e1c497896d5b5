"""CardDAV keeps the contract on a real Radicale server, with a new user for each case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import frozen

from contacts_carddav import CardDav
from contacts_core.emulator.synthetic_contacts import people
from contacts_core.testing import Harness, ProviderContract
from contacts_core.testing.records import Records
from tests.providers.dav_servers import Radicale


def store(folder: Path, name: str, *lines: str) -> None:
    card = "\r\n".join(["BEGIN:VCARD", "VERSION:3.0", *lines, "END:VCARD", ""])
    (folder / f"{name}.vcf").write_text(card, encoding="utf-8", newline="")


@pytest.fixture(scope="module")
def radicale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radicale]:
    server = Radicale(tmp_path_factory.mktemp("radicale"))
    with server.running():
        yield server


@frozen(kw_only=True)
class SmallPages(CardDav):
    """As it is, with smaller batches: so the kit's crowds need several of each."""

    page_size = 10
    delete_batch_size = 10
    get_batch_size = 10
    member_batch_size = 10


class TestCardDav(ProviderContract):
    provider = SmallPages
    fewest_of_a_crowd: ClassVar = 21  # the provider divides what it reads; the server has no pages
    generated_batches: ClassVar = 2
    folder: Path

    def populate(self, harness: Harness, count: int) -> None:
        """They come as files of the server's: its own answer to a write takes a twentieth of a second."""
        folder = self.folder
        groups: tuple[list[str], list[str]] = ([], [])
        for number, person in enumerate(people(count)):
            lines = [f"UID:{number}", f"FN:{person.first_name} {person.last_name}"]
            lines.append(f"N:{person.last_name};{person.first_name};;;")
            lines += [f"EMAIL;TYPE=INTERNET:{email}" for email in (person.email, *person.further_emails)]
            lines += [f"TEL:{person.phone}"] if person.phone else []
            lines += [f"ADR:;;{number} Example Street;Springfield;;;United States", "ORG:Example Bakery", "TITLE:Baker"]
            store(folder, f"{number}", *lines, "CATEGORIES:customer")
            for group in range(2):
                if number % 4 in {group + 1, 3}:
                    groups[group].append(f"X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:{number}")
        for number, members in enumerate(groups, 1):
            lines = [f"UID:list-{number}", f"FN:Contract kit: list {number}", f"N:list {number};;;;"]
            store(folder, f"list-{number}", *lines, "X-ADDRESSBOOKSERVER-KIND:group", *members)

    def used_lists(self, records: Records) -> list[str]:
        """A category is a tag as well, so a change of one changes the other."""
        return [each for each in super().used_lists(records) if not each.startswith("category:")]

    @pytest.fixture
    def account(self, radicale: Radicale) -> Iterator[Mapping[str, Any]]:
        account = radicale.account()
        self.folder = radicale.folder / "data/collection-root" / account.settings["username"] / "book"
        yield account.settings
        account.http.close()
