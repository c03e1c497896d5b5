"""What the cases of the contract share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, ClassVar, TypeVar
from zlib import crc32

import pytest
from attrs import astuple, frozen

from contacts_core.models import Address, Contact, Identifier, Outcome, OutcomeState
from contacts_core.provider import (
    CAPABILITIES,
    Counts,
    CreatesLists,
    DeletesContacts,
    Exports,
    FindsContacts,
    GetsContacts,
    Provider,
    ReadsCustomFields,
    ReadsLists,
    UpsertsContacts,
)
from contacts_core.testing.harness import Harness
from contacts_core.testing.records import Records, record_of, stored_record

__all__ = [
    "Case",
    "Cases",
    "Crowd",
    "case",
    "crowd",
    "lost_fields",
    "many",
    "repeated",
    "several_batches",
    "shared_fields",
]

T = TypeVar("T", bound=Callable[..., Any])

AREA_CODES = (202, 212, 303, 312, 404, 415, 503, 617, 702, 801)
SETTLE_TIMEOUT_S = 120.0  # virtual seconds for a vendor to show what it did


Crowd = Callable[["type[Cases]"], int]


@frozen
class Case:
    """When a case applies.

    Attributes:
        needs: Capabilities that the provider must declare.
        recorded: Whether it is short enough for a cassette.
        emulated: Whether it needs an emulator, for its faults or its requests.
        contacts: How many contacts the account starts with, or a function that tells it of a contract; 0 is an empty
            account. None leaves it to the kit: none where the provider can write contacts, else a few of the
            emulator's.
        stored: Whether it compares what is stored before and after.
        lists: Whether the account must start with lists.
        one_client: Whether the blocking client alone runs it: what the provider does is the same with both.
        proves: Whether a provider that breaks a promise can fail it, and nothing that is known later can skip it.
    """

    needs: tuple[type[Provider], ...] = ()
    recorded: bool = False
    emulated: bool = False
    contacts: int | Crowd | None = None
    stored: bool = False
    lists: bool = False
    one_client: bool = False
    proves: bool = True

    def population(self, contract: type[Cases]) -> int | None:
        """How many contacts the account of this contract starts with."""
        return self.contacts(contract) if callable(self.contacts) else self.contacts


def case(
    *needs: type[Provider],
    recorded: bool = False,
    emulated: bool = False,
    contacts: int | Crowd | None = None,
    stored: bool = False,
    lists: bool = False,
    one_client: bool = False,
    proves: bool = True,
) -> Callable[[T], T]:
    """Mark a test as a case of the contract."""
    assert all(each in CAPABILITIES for each in needs)

    def mark(test: T) -> T:
        test.case = Case(needs, recorded, emulated, contacts, stored, lists, one_client, proves)  # type: ignore[attr-defined]
        return test

    return mark


def crowd(contract: type[Cases]) -> int:
    """So many contacts that they need two whole pages and a short one, whatever the size of a page is."""
    provider, fewest = contract.provider, contract.fewest_of_a_crowd
    return max(fewest, 2 * provider.page_size + 1) if issubclass(provider, Exports) else fewest


def many(contract: type[Cases]) -> int:
    """So many contacts that most vendors need a second page, and no more than a crowd."""
    return min(120, crowd(contract))


def several_batches(contract: type[Cases]) -> int:
    """So many contacts that the deletion of all but one needs two whole batches and a short one."""
    provider = contract.provider
    return max(24, 2 * provider.delete_batch_size + 2) if issubclass(provider, DeletesContacts) else 24


def repeated(items: Iterable[str]) -> list[str]:
    """Those that are there more than once."""
    return [item for item, count in Counter(items).items() if count > 1]


def shared_fields(contact: Contact) -> dict[str, Any]:
    """What a write must keep of a contact besides its identifiers and lists."""
    names = ("first_name", "last_name", "address", "organization", "title", "tags")
    return {name: getattr(contact, name) for name in names}


def lost_fields(given: Contact, stored: Contact) -> set[str]:
    """The fields that a vendor did not keep; an address may come back as one text, if that holds all of its parts."""
    lost = {name for name, value in shared_fields(given).items() if value != getattr(stored, name)}
    if given.address and stored.address:
        text = " ".join(filter(None, astuple(stored.address)))
        lost -= {"address"} if all(part in text for part in astuple(given.address) if part) else set()
    return lost


class Cases:
    """Helpers for cases."""

    provider: ClassVar[type[Provider]]
    fewest_of_a_crowd: ClassVar[int] = 201
    """How many contacts show whether an export, a count or a deletion stops early; less only where `provider` tells
    the size of every page, since the vendor itself has none."""

    def creates(self) -> bool:
        """Whether the provider can make the people a case needs; else the emulator brings some."""
        return issubclass(self.provider, UpsertsContacts) and issubclass(self.provider, FindsContacts)

    def populate(self, harness: Harness, count: int) -> None:
        """Bring people into an empty account that no emulator fills, some of them on lists; `UpsertsContacts` does it.

        Override it where the provider cannot write contacts.
        """
        from contacts_core.emulator.synthetic_contacts import people

        names = (1, 2) if issubclass(self.provider, CreatesLists) else ()
        lists = [harness.client.create_list(f"Contract kit: list {number}").id for number in names]
        contacts = [
            Contact(
                identifiers=tuple(
                    [Identifier.email(email) for email in (person.email, *person.further_emails)]
                    + ([Identifier.phone(person.phone)] if person.phone else [])
                ),
                first_name=person.first_name,
                last_name=person.last_name,
                address=Address(line1=f"{number} Example Street", city="Springfield", country="United States"),
                organization="Example Bakery",
                title="Baker",
                tags=("customer",),
            )
            for number, person in enumerate(people(count))
        ]
        memberships: tuple[list[str], ...] = ([], lists[:1], lists[1:], lists)
        for number, joined in enumerate(memberships):
            if written := contacts[number::4]:
                self.wait_done(harness, harness.client.upsert_contacts(written, lists=joined))

    def population(self, harness: Harness) -> int:
        """How many contacts the case starts with."""
        marked: Case = getattr(self, f"test_{harness.case}").case
        return marked.population(type(self)) or 0

    def records(self, harness: Harness) -> Records:
        """What is stored now: as the emulator tells it, or else as the provider reads it."""
        if harness.tells_truth:
            assert harness.emulator
            return {each.id: stored_record(each) for each in harness.emulator.truth().values()}
        return {contact.id: record_of(contact) for contact in harness.client.export()}

    def read(self, harness: Harness, contact_id: str, identifier: Identifier) -> Contact | None:
        """A contact as the provider reads it, in the way that it can; None if it reads none or cannot."""
        if issubclass(self.provider, GetsContacts):
            found: Contact | None = harness.client.get_contacts([contact_id])[contact_id]
            return found
        if issubclass(self.provider, Exports):
            return next((each for each in harness.client.export() if each.id == contact_id), None)
        if issubclass(self.provider, FindsContacts):
            answer: Contact | None = harness.client.find([identifier])[identifier]
            return answer
        return None

    def person(self, harness: Harness, number: int = 1, **changes: Any) -> Contact:
        """A contact that no other case knows, as a caller makes it."""
        seed = crc32(harness.case.encode()) + number
        phone = f"+1{AREA_CODES[seed % len(AREA_CODES)]}55501{seed // 7 % 100:02}"
        email = f"{harness.case.replace('_', '-')}-{number}@example.com"
        given: dict[str, Any] = {
            "identifiers": (Identifier.email(email), Identifier.phone(phone)),
            "first_name": "Ada",
            "last_name": f"Example {number}",
        }
        return Contact(**given | changes)

    def people(self, harness: Harness, count: int = 2, *, lists: Sequence[str] = ()) -> list[Contact]:
        """People who are there, as the provider gives them."""
        if not self.creates():
            everyone = list(harness.client.export())
            assert len(everyone) >= count, "the emulator must be populated"
            return everyone[:count]
        new = [self.person(harness, number) for number in range(1, count + 1)]
        self.wait_done(harness, harness.client.upsert_contacts(new, lists=lists))
        wanted = [contact.identifiers[0] for contact in new]
        self.eventually(harness, lambda: all(harness.client.find(wanted).values()), f"a look-up finds all of {wanted}")
        found = harness.client.find(wanted)
        ids = [found[identifier].id for identifier in wanted]
        assert len(set(ids)) == len(ids), f"people without a common identifier became one contact: {ids}"
        return [found[identifier] for identifier in wanted]

    def wait_done(self, harness: Harness, outcome: Outcome) -> Outcome:
        """Wait for the jobs of an outcome, which must end well."""
        finished: Outcome = harness.client.wait(outcome, timeout=600)
        assert finished.state is OutcomeState.DONE, f"the outcome is {finished.state}, not done: {finished}"
        return finished

    def eventually(
        self, harness: Harness, check: Callable[[], object], what: str, *, within: float = SETTLE_TIMEOUT_S
    ) -> None:
        """Ask again, with pauses, until it is so: vendors show late what they did.

        Args:
            harness: The run of the case.
            check: What to ask.
            what: What should be so, for the failure.
            within: Seconds of virtual time, at most.
        """
        waited = 0.0
        while not check():
            assert waited < within, f"after {within:.0f} seconds it is still not so that {what}"
            harness.time.sleep(5)
            waited += 5

    def expect(self, harness: Harness, read: Callable[[], object], expected: object, what: str) -> None:
        """Read again, with pauses, until it is what is expected; the failure shows what was read last.

        Args:
            harness: The run of the case.
            read: What to ask.
            expected: What the answer should be.
            what: What is read, for the failure.
        """
        found = read()
        waited = 0.0
        while found != expected and waited < SETTLE_TIMEOUT_S:
            harness.time.sleep(5)
            waited += 5
            found = read()
        assert found == expected, f"{what}: found {found!r}, expected {expected!r}"

    def gone(self, harness: Harness, *contacts: Contact) -> bool:
        """Whether a re-read finds none of them."""
        ids = [contact.id for contact in contacts]
        if hasattr(self.provider, "get_contacts"):
            return not any(harness.client.get_contacts(ids).values())
        return not {contact.id for contact in harness.client.export()} & set(ids)

    def expect_gone(self, harness: Harness, contact: Contact) -> None:
        """Fail unless the contact is gone, sooner or later."""
        self.eventually(harness, lambda: self.gone(harness, contact), f"contact {contact.id} is gone")

    def expect_there(self, harness: Harness, *contacts: Contact) -> None:
        """Fail unless all of them are still there."""
        missing = [contact.id for contact in contacts if self.gone(harness, contact)]
        assert missing == [], f"gone, although nobody deleted them: {missing}"

    def expect_members(self, harness: Harness, list_id: str, *contacts: Contact) -> None:
        """Fail unless these are the members of a list, sooner or later."""
        ids = {contact.id for contact in contacts}
        self.expect(harness, lambda: self.members(harness, list_id), ids, f"members of the list {list_id}")

    def expect_names(self, stored: Contact, given: Contact, dropped: Collection[str]) -> None:
        """The names are those that were written; a vendor that has one name in place of two has both in it."""
        if {"first_name", "last_name"}.isdisjoint(dropped):
            assert (stored.first_name, stored.last_name) == (given.first_name, given.last_name), "the names are others"
        else:
            assert stored.name in {"", given.name}, f"the name is {stored.name!r}, {given.name!r} was written"

    def reread(self, harness: Harness, contact: Contact) -> Contact:
        """The contact as the vendor has it now."""
        stored: Contact | None = harness.client.get_contacts([contact.id])[contact.id]
        assert stored is not None, f"contact {contact.id} is gone"
        return stored

    def members(self, harness: Harness, list_id: str) -> set[str]:
        """Who is on a list, by reading it."""
        assert issubclass(self.provider, Exports)
        return {contact.id for contact in harness.client.export(lists=[list_id])}

    def probe(self, harness: Harness) -> Callable[[], object]:
        """One cheap question that this provider can answer; skips the case where it answers none."""
        client = harness.client
        questions: dict[type[Provider], Callable[[], object]] = {
            ReadsLists: client.lists,
            Counts: client.count,
            ReadsCustomFields: client.custom_fields,
            Exports: lambda: list(client.export()),
            FindsContacts: lambda: client.find([Identifier.email("nobody.at.all@example.com")]),
            GetsContacts: lambda: client.get_contacts(["1"]),
        }
        for capability, ask in questions.items():
            if issubclass(self.provider, capability):
                return ask
        pytest.skip(f"{self.provider.__name__} reads nothing")
