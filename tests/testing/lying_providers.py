"""Providers that each break one promise; the contract kit must fail every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from attrs import evolve, field, frozen

from contacts_bird import Bird
from contacts_core.errors import ContactsError, IncompleteExport, NotFound
from contacts_core.models import (
    Contact,
    ContactList,
    Count,
    Failure,
    FieldDefinition,
    FieldType,
    Identifier,
    Job,
    JobState,
    Outcome,
    Page,
)
from contacts_core.provider import (
    Flow,
    NativeQuery,
    PartialResult,
    Payload,
    RawContact,
    Request,
    Searches,
    Stream,
    TakesIdentifiers,
    flows,
    get,
)
from contacts_core.query import Query
from contacts_core.testing import MemoryProvider
from contacts_example import Example
from contacts_sendgrid import SendGrid
from contacts_user_api import UserApi

T = TypeVar("T")

MOST_SHOWN = 50


def done(operation: str, *items: str) -> Outcome:
    return Outcome(operation=operation, requested=1, confirmed=items)


class DropsPages(MemoryProvider):
    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from super().contacts_page(list_id, cursor)
        return Page(page.items)


class DropsTheLastPage(MemoryProvider):
    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from super().contacts_page(list_id, cursor)
        return page if page.next else Page(page.items[:-1])


class SkipsBetweenPages(MemoryProvider):
    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from super().contacts_page(list_id, cursor)
        return Page(page.items, f"{int(page.next) + 1}" if page.next else None)


class RepeatsAContact(MemoryProvider):
    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from super().contacts_page(list_id, cursor)
        return Page([*page.items, *page.items[:1]], page.next)


class ExportsOneTooMany(MemoryProvider):
    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from super().contacts_page(list_id, cursor)
        return Page([*page.items, Contact(self.name, "phantom")], page.next)


class ExportIgnoresTheList(MemoryProvider):
    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        return (yield from super().contacts_page(None, cursor))


class ExportLosesIdentifiers(MemoryProvider):
    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from super().contacts_page(list_id, cursor)
        return Page([evolve(each, identifiers=each.identifiers[:1]) for each in page.items], page.next, page.total)


class ExportLosesNames(MemoryProvider):
    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from super().contacts_page(list_id, cursor)
        return Page([evolve(each, last_name=None) for each in page.items], page.next, page.total)


class ExportLosesLists(MemoryProvider):
    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from super().contacts_page(list_id, cursor)
        return Page([evolve(each, lists=()) for each in page.items], page.next, page.total)


class GetDropsTheLast(MemoryProvider):
    get_batch_size = 10

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        found = yield from super().get_contacts(ids)
        return found[:-1] if len(found) > 1 else found


class GetReturnsSomebodyElse(MemoryProvider):
    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        found = yield from super().get_contacts(ids)
        return found or self.store.all_contacts()[:1]


class GetLosesIdentifiers(MemoryProvider):
    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        found = yield from super().get_contacts(ids)
        return [evolve(each, identifiers=each.identifiers[:1]) for each in found]


class GetLosesNames(MemoryProvider):
    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        found = yield from super().get_contacts(ids)
        return [evolve(each, first_name=None) for each in found]


class RawIsSomebodyElse(MemoryProvider):
    def raw_contact(self, contact_id: str) -> Flow[RawContact | None]:
        yield from ()
        others = [each for each in self.store.all_contacts() if each.id != contact_id]
        return RawContact(_values(others[:1]), "text/plain")


class RawNamesEverybody(MemoryProvider):
    def raw_contact(self, contact_id: str) -> Flow[RawContact | None]:
        yield from ()
        return RawContact(_values(self.store.all_contacts()), "text/plain")


def _values(contacts: Sequence[Contact]) -> bytes:
    return "\n".join(identifier.value for each in contacts for identifier in each.identifiers).encode()


class FindMatchesParts(MemoryProvider):
    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        yield from ()
        return [
            (wanted, contact)
            for wanted in identifiers
            for contact in self.store.all_contacts()
            if any(wanted.normal[:8] in each.normal for each in contact.identifiers)
        ]


class FindKnowsEmailsOnly(MemoryProvider):
    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        return (yield from super().find([each for each in identifiers if "@" in each.value]))


class FindIsCaseSensitive(MemoryProvider):
    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        found = yield from super().find(identifiers)
        return [
            (i, c) for i, c in found if not isinstance(c, str) and i.value in {each.value for each in c.identifiers}
        ]


class FindFindsNobody(MemoryProvider):
    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        yield from ()
        return []


class FindReadsOnePage(MemoryProvider):
    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        page = yield from self.contacts_page(None, None)
        return [(i, c) for c in page.items for i in identifiers if i in c.identifiers]


class DeletionDoesNothing(MemoryProvider):
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        return done("delete_contacts", self._known(ids[0]).id)


class DeletionTakesAnotherToo(MemoryProvider):
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        outcome = yield from super().delete_contacts(ids)
        if self.store.contacts:
            self.store.contacts.popitem()
        return outcome


class DeletionConfirmsNothing(MemoryProvider):
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from super().delete_contacts(ids)
        return Outcome(operation="delete_contacts", requested=1)


class DeletionConfirmsTheAbsent(MemoryProvider):
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        try:
            return (yield from super().delete_contacts(ids))
        except NotFound:
            return done("delete_contacts", *ids)


class DeletionFailsOnTheAbsent(MemoryProvider):
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        self.store.contacts.pop(ids[0], None)
        return Outcome(operation="delete_contacts", requested=1)


class DeletingAllLeavesOne(MemoryProvider):
    def delete_all_contacts(self) -> Flow[Outcome]:
        one = dict(list(self.store.contacts.items())[:1])
        outcome = yield from super().delete_all_contacts()
        self.store.contacts.update(one)
        return outcome


class DeletingAllDeletesOnePage(MemoryProvider):
    def delete_all_contacts(self) -> Flow[Outcome]:
        page = yield from self.contacts_page(None, None)
        for contact in page.items:
            del self.store.contacts[contact.id]
        return done("delete_all_contacts", *(contact.id for contact in page.items))


class DeletingAllCountsNobody(MemoryProvider):
    def delete_all_contacts(self) -> Flow[Outcome]:
        yield from ()
        self.store.contacts.clear()
        return Outcome(operation="delete_all_contacts")


class IdentifierRemovalDoesNothing(MemoryProvider):
    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        yield from ()
        return done("remove_identifier", identifier.value)


class IdentifierRemovalTakesAll(MemoryProvider):
    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        outcome = yield from super().remove_identifier(contact_id, identifier)
        if outcome.confirmed:
            self.store.contacts[contact_id] = evolve(self._known(contact_id), identifiers=())
        return outcome


class IdentifierRemovalDeletesTheContact(MemoryProvider):
    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        outcome = yield from super().remove_identifier(contact_id, identifier)
        if outcome.confirmed:
            del self.store.contacts[contact_id]
        return outcome


class IdentifierRemovalLosesNames(MemoryProvider):
    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        outcome = yield from super().remove_identifier(contact_id, identifier)
        self.store.contacts[contact_id] = evolve(self._known(contact_id), first_name=None, last_name=None)
        return outcome


class IdentifierRemovalConfirmsTheAbsent(MemoryProvider):
    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        yield from super().remove_identifier(contact_id, identifier)
        return done("remove_identifier", identifier.value)


class IdentifierRemovalKnowsEverybody(MemoryProvider):
    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        if contact_id not in self.store.contacts:
            return Outcome(operation="remove_identifier", requested=1, absent=(identifier.value,))
        return (yield from super().remove_identifier(contact_id, identifier))


class ListRemovalDoesNothing(MemoryProvider):
    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        yield from ()
        return done("remove_from_list", *map(str, members))


class ListRemovalLeavesEveryList(MemoryProvider):
    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        yield from ()
        return self._put_on(self._member(members), [])


class ListRemovalDeletesTheContact(MemoryProvider):
    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        outcome = yield from super().remove_from_list(list_id, members)
        for member in members:
            del self.store.contacts[str(member)]
        return outcome


class AddingToAListDoesNothing(MemoryProvider):
    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        yield from ()
        return done("add_to_list", *map(str, members))


class AddingToAListLeavesTheOthers(MemoryProvider):
    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        yield from ()
        return self._put_on(self._member(members), [list_id])


class AddingToAListLosesNames(MemoryProvider):
    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        outcome = yield from super().add_to_list(list_id, members)
        for member in map(str, members):
            self.store.contacts[member] = evolve(self._known(member), first_name=None)
        return outcome


class CountsOnePage(MemoryProvider):
    def count(self) -> Flow[Count]:
        page = yield from self.contacts_page(None, None)
        return Count(len(page.items), source="counter")


class CountsOneTooMany(MemoryProvider):
    def count(self) -> Flow[Count]:
        yield from ()
        return Count(len(self.store.contacts) + 1, source="counter")


class ListsMissTheNewest(MemoryProvider):
    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        page = yield from super().lists_page(cursor)
        return Page(page.items[:-1])


class NewListsHaveAnotherName(MemoryProvider):
    def create_list(self, name: str) -> Flow[ContactList]:
        return (yield from super().create_list(name.replace("'", "")))


class NewListsAreNotKept(MemoryProvider):
    def create_list(self, name: str) -> Flow[ContactList]:
        yield from ()
        return ContactList(self.name, "list-0", name)


class DeletingAListDoesNothing(MemoryProvider):
    def delete_list(self, list_id: str) -> Flow[Outcome]:
        yield from ()
        return done("delete_list", list_id)


class DeletingAListDeletesItsContacts(MemoryProvider):
    def delete_list(self, list_id: str) -> Flow[Outcome]:
        for contact in self.store.all_contacts():
            if list_id in (contact.lists or ()):
                del self.store.contacts[contact.id]
        return (yield from super().delete_list(list_id))


class DeletingAListDeletesAllLists(MemoryProvider):
    def delete_list(self, list_id: str) -> Flow[Outcome]:
        outcome = yield from super().delete_list(list_id)
        self.store.lists.clear()
        return outcome


class CustomFieldsShareAName(MemoryProvider):
    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        yield from ()
        return Page([FieldDefinition(self.name, number, "score", FieldType.TEXT) for number in "12"])


class CustomFieldsAreNotListed(MemoryProvider):
    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        yield from ()
        return Page([])

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        given = [evolve(contact, custom={**contact.custom, "undefined": "x"}) for contact in contacts]
        return (yield from super().upsert_contacts(given, lists))


class _WritesSomethingElse(MemoryProvider):
    def given(self, contact: Contact) -> Contact:
        return contact

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        return (yield from super().upsert_contacts([self.given(contact) for contact in contacts], lists))


class WritingLosesFirstNames(_WritesSomethingElse):
    def given(self, contact: Contact) -> Contact:
        return evolve(contact, first_name=None)


class WritingLosesLastNames(_WritesSomethingElse):
    def given(self, contact: Contact) -> Contact:
        return evolve(contact, last_name=None)


class WritingLosesPhones(_WritesSomethingElse):
    def given(self, contact: Contact) -> Contact:
        return evolve(contact, identifiers=contact.identifiers[:1])


class WritingLosesCustomFields(_WritesSomethingElse):
    def given(self, contact: Contact) -> Contact:
        return evolve(contact, custom={})


class WritingLosesExtraFields(_WritesSomethingElse):
    def given(self, contact: Contact) -> Contact:
        return evolve(contact, extra={})


class WritingLosesAddresses(_WritesSomethingElse):
    def given(self, contact: Contact) -> Contact:
        return evolve(contact, address=None)


class WritingLosesOrganizations(_WritesSomethingElse):
    def given(self, contact: Contact) -> Contact:
        return evolve(contact, organization=None)


class WritingLosesTags(_WritesSomethingElse):
    def given(self, contact: Contact) -> Contact:
        return evolve(contact, tags=())


class WritingFoldsLetters(_WritesSomethingElse):
    def given(self, contact: Contact) -> Contact:
        return evolve(contact, last_name=(contact.last_name or "").encode("ascii", "replace").decode())


class WritingEscapesText(_WritesSomethingElse):
    def given(self, contact: Contact) -> Contact:
        return evolve(contact, last_name=(contact.last_name or "").replace("'", "''"))


class WritingNeverJoinsLists(MemoryProvider):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        return (yield from super().upsert_contacts(contacts, []))


class WritingLeavesOtherLists(MemoryProvider):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        outcome = yield from super().upsert_contacts(contacts, lists)
        (contact_id,) = outcome.confirmed
        self.store.contacts[contact_id] = evolve(self._known(contact_id), lists=tuple(lists))
        return outcome


class WritingAlwaysCreates(MemoryProvider):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        contact_id = f"contact-{next(self.store.ids)}"
        self.store.contacts[contact_id] = evolve(contacts[0], provider=self.name, id=contact_id, lists=tuple(lists))
        return done("upsert_contacts", contact_id)


class WritingNeverUpdates(MemoryProvider):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        known = {identifier: each for each in self.store.all_contacts() for identifier in each.identifiers}
        for identifier in contacts[0].identifiers:
            if identifier in known:
                return done("upsert_contacts", known[identifier].id)
        return (yield from super().upsert_contacts(contacts, lists))


class WritingDoesNothing(MemoryProvider):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        return done("upsert_contacts", "contact-1")


class WritingMergesNamesakes(MemoryProvider):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        (contact,) = contacts
        for each in self.store.all_contacts():
            if each.first_name == contact.first_name:
                contact = evolve(contact, provider=self.name, id=each.id)
                break
        return (yield from super().upsert_contacts([contact], lists))


class WritingReplacesIdentifiers(MemoryProvider):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        outcome = yield from super().upsert_contacts(contacts, lists)
        (contact_id,) = outcome.confirmed
        self.store.contacts[contact_id] = evolve(self._known(contact_id), identifiers=contacts[0].identifiers)
        return outcome


class WritingConfirmsNothing(MemoryProvider):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        yield from super().upsert_contacts(contacts, lists)
        return Outcome(operation="upsert_contacts", requested=1)


class WritingTouchesSomebodyElse(MemoryProvider):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        outcome = yield from super().upsert_contacts(contacts, lists)
        other = self.store.all_contacts()[0]
        self.store.contacts[other.id] = evolve(other, first_name=contacts[0].first_name)
        return outcome


class ExportIsAlwaysEmpty(MemoryProvider):
    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        yield from ()
        return Page([])


class TakesAnyId(MemoryProvider):
    def validate_id(self, id: str) -> str:
        return ""


class HasAMethodItDoesNotDeclare(MemoryProvider):
    def get_job(self, job: Job) -> Flow[Job]:
        yield from ()
        return job


class UnknownMembersAreConfirmed(MemoryProvider, TakesIdentifiers):
    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        yield from ()
        return done("add_to_list", *(each.value for each in members if isinstance(each, Identifier)))


# -- searching


class HonestSearch(MemoryProvider, Searches):
    """Search as a vendor does that shows a part of what it finds, and says how much it found."""

    def translate(self, query: Query) -> NativeQuery | None:
        return NativeQuery("the query in the vendor's language", query)

    def search(self, query: NativeQuery) -> Flow[PartialResult]:
        yield from ()
        assert isinstance(query.asks, Query)
        found = [contact for contact in self.store.all_contacts() if query.asks.matches(contact)]
        return PartialResult(found[:MOST_SHOWN], len(found))


class SearchPassesAPartOffAsAll(HonestSearch):
    def search(self, query: NativeQuery) -> Flow[PartialResult]:
        found = yield from super().search(query)
        return PartialResult(found.contacts, len(found.contacts))


class SearchIsCaseSensitive(HonestSearch):
    def search(self, query: NativeQuery) -> Flow[PartialResult]:
        found = yield from super().search(query)
        contacts = [c for c in found.contacts if str(c.email) in str(query.asks) or "email" not in str(query.asks)]
        return PartialResult(contacts, len(contacts))


class SearchKnowsNoLists(HonestSearch):
    def search(self, query: NativeQuery) -> Flow[PartialResult]:
        if "list" in str(query.asks):
            return PartialResult([], 0)
        return (yield from super().search(query))


class SearchHasNoText(HonestSearch):
    def translate(self, query: Query) -> NativeQuery | None:
        return NativeQuery("", query)


# -- with an emulator


def with_requests(flow: Flow[T], **changes: Any) -> Flow[T]:
    """The flow with its requests changed."""
    return flows.with_effects(flow, lambda each: evolve(each, **changes) if isinstance(each, Request) else each)


class ReadsAreNotIdempotent(SendGrid):
    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        return (yield from with_requests(super().lists_page(cursor), idempotent=False))


class DeletionsAreNotIdempotent(SendGrid):
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        return (yield from with_requests(super().delete_contacts(ids), idempotent=False))


class SwallowsErrors(SendGrid):
    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        try:
            return (yield from super().lists_page(cursor))
        except ContactsError:
            return Page([])


class JobsAlwaysEndWell(SendGrid):
    def get_job(self, job: Job) -> Flow[Job]:
        seen = yield from super().get_job(job)
        return evolve(seen, state=JobState.DONE, succeeded=job.requested, failed=0)


class JobsAreNotReadable(SendGrid):
    def get_job(self, job: Job) -> Flow[Job]:
        yield from ()
        return evolve(job, state=JobState.UNKNOWN)


class ExportsWithoutFilesAreEmpty(SendGrid):
    def contacts(self, list_id: str | None) -> Stream[Contact]:
        try:
            yield from super().contacts(list_id)
        except IncompleteExport:
            return


class HidesWhatItDeleted(UserApi):
    hidden: ClassVar[set[str]] = set()

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        self.hidden.update(ids)
        return (yield from super().delete_contacts(ids))

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        if self.hidden.intersection(ids):
            raise NotFound("deleted")
        return (yield from super().get_contacts(ids))


class TrustsWhatItWroteBack(UserApi):
    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        outcome = yield from super().remove_from_list(list_id, members)
        return evolve(outcome, failed=(), confirmed=tuple(map(str, members)))


class ShortfallNamesTheWrongMember(Bird):
    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        outcome = yield from super().remove_from_list(list_id, members)
        failed = tuple(Failure(item, "not removed") for item in outcome.confirmed[: len(outcome.failed)])
        return evolve(outcome, confirmed=tuple(each.item for each in outcome.failed), failed=failed)


class DeletesOneByOne(Example):
    delete_batch_size = 10

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        for contact_id in ids:
            yield from super().delete_contacts([contact_id])
        return Outcome(operation="delete_contacts", requested=len(ids), confirmed=tuple(ids))


class _BareHuman(Payload):
    id: str


class _BareHumans(Payload):
    people: list[_BareHuman]
    next: str | None = None


class DeclaresHalfOfAnAnswer(Example):
    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from get("/people", _BareHumans, {"page": cursor or "0", "size": str(self.page_size)})
        return Page([Contact(self.name, human.id) for human in page.people], page.next)


@frozen(kw_only=True)
class ShowsItsKey(Example):
    api_key: str = field(metadata={"env": "", "secret": True})


class NeverFails(Example):
    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        try:
            return (yield from super().contacts_page(list_id, cursor))
        except ContactsError:
            return Page([])
