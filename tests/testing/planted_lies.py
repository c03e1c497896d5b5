"""Providers that claim more or less than they do, most of them with few capabilities; each fails a case of the kit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from urllib.parse import unquote

from attrs import evolve, frozen

from contacts_bird import Bird
from contacts_core.errors import ContactsError, NotFound
from contacts_core.models import (
    CHANGEABLE_FIELDS,
    Address,
    Channel,
    Consent,
    ConsentState,
    Contact,
    ContactList,
    Count,
    CustomValue,
    FieldDefinition,
    FieldType,
    Identifier,
    IdentifierKind,
    Job,
    JobState,
    Loss,
    LossCode,
    Outcome,
    Page,
    Preview,
    Shape,
    field_value,
)
from contacts_core.provider import (
    AddsToLists,
    ChangesContacts,
    CreatesConsentScopes,
    CreatesCustomFields,
    CreatesLists,
    DeletesAllContacts,
    DeletesContacts,
    DeletesLists,
    Emit,
    ErasesMailData,
    Exports,
    Flow,
    NativeQuery,
    PartialResult,
    Provider,
    RemovesFromLists,
    RemovesIdentifiers,
    Stream,
    UpsertsContacts,
    absent,
    base_url_setting,
    done,
    failed,
    secret,
    unconfirmed,
)
from contacts_core.testing import MemoryProvider
from contacts_example import Example
from contacts_sendgrid import SendGrid
from contacts_user_api import UserApi
from tests.testing.lying_providers import HonestSearch, with_requests

Matches = Sequence[tuple[Identifier, Contact | str]]


# -- pages


class _LargePages(MemoryProvider):
    """Pages so large that a fixed number of contacts would fit into the first."""

    page_size = 150

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from super().contacts_page(list_id, cursor)
        return Page(page.items if self.keeps(page, cursor) else [], page.next)

    def keeps(self, page: Page[Contact], cursor: str | None) -> bool:
        return True


class DropsTheFirstPage(_LargePages):
    def keeps(self, page: Page[Contact], cursor: str | None) -> bool:
        return cursor is not None or page.next is None


class DropsTheMiddlePage(_LargePages):
    def keeps(self, page: Page[Contact], cursor: str | None) -> bool:
        return cursor is None or page.next is None


class DropsTheShortLastPage(_LargePages):
    def keeps(self, page: Page[Contact], cursor: str | None) -> bool:
        return page.next is not None or cursor is None


class EndsAfterTheFirstWholePage(_LargePages):
    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from super().contacts_page(list_id, cursor)
        return Page(page.items)


class DropsAPageOfAList(_LargePages):
    page_size = 40

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from super().contacts_page(list_id, cursor)
        return page if list_id is None else Page(page.items)


class CountsTheFirstPage(_LargePages):
    def count(self) -> Flow[Count]:
        page = yield from self.contacts_page(None, None)
        return Count(len(page.items), source="paged")


class CountsWholePages(_LargePages):
    def count(self) -> Flow[Count]:
        yield from ()
        everyone = len(self.store.contacts)
        return Count(everyone - everyone % self.page_size or everyone, source="paged")


class DeletesTheFirstPageOnly(_LargePages):
    def delete_all_contacts(self) -> Flow[Outcome]:
        page = yield from self.contacts_page(None, None)
        for contact in page.items:
            del self.store.contacts[contact.id]
        return done(contact.id for contact in page.items)


class DeletesAllButTheShortLastPage(_LargePages):
    def delete_all_contacts(self) -> Flow[Outcome]:
        yield from ()
        ids = list(self.store.contacts)
        for contact_id in ids[: len(ids) - len(ids) % self.page_size or None]:
            del self.store.contacts[contact_id]
        return done(ids)


class PagesForEver(MemoryProvider):
    def contacts(self, list_id: str | None) -> Stream[Contact]:
        while True:
            page = yield from self.contacts_page(list_id, None)
            yield Emit(page.items)
            if not page.items:
                return


class RequestsForEver(Example):
    def contacts(self, list_id: str | None) -> Stream[Contact]:
        while True:
            page = yield from self.contacts_page(list_id, "1000")
            yield Emit(page.items)


# -- removals that do nothing, by providers that can do nothing else


@frozen(kw_only=True)
class _Part(Provider):
    """One capability of user-api."""

    name = "user-api"
    api_key: str = secret(env="USER_API_KEY")
    base_url: str = base_url_setting()

    def whole(self) -> UserApi:
        return UserApi(api_key=self.api_key, base_url=self.base_url)

    def headers(self) -> dict[str, str]:
        return self.whole().headers()

    def path_prefix(self) -> str:
        return self.whole().path_prefix()


class RemovesNoIdentifier(_Part, RemovesIdentifiers):
    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        yield from ()
        return done(identifier.value)


class RemovesNobodyFromAList(_Part, RemovesFromLists):
    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        yield from ()
        return done(map(str, members))


class AddsNobodyToAList(_Part, AddsToLists):
    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        yield from ()
        return done(map(str, members))


class DeletesNobody(_Part, DeletesContacts):
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        return done(ids)


class DeletesNobodyAtAll(_Part, DeletesAllContacts):
    def delete_all_contacts(self) -> Flow[Outcome]:
        yield from ()
        return done(())


class WritesNobody(_Part, UpsertsContacts):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        return done(f"contact_{number}" for number, _ in enumerate(contacts))


@frozen(kw_only=True)
class DeletesNoList(DeletesLists):
    name = "bird"
    access_key: str = secret()
    workspace_id: str

    def delete_list(self, list_id: str) -> Flow[Outcome]:
        yield from ()
        return done(list_id)


# -- changes of what nobody asked for


class RemovalClearsTags(MemoryProvider):
    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        outcome = yield from super().remove_identifier(contact_id, identifier)
        self.store.contacts[contact_id] = evolve(self._known(contact_id), tags=())
        return outcome


class RemovalLeavesTheLists(MemoryProvider):
    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        outcome = yield from super().remove_identifier(contact_id, identifier)
        self.store.contacts[contact_id] = evolve(self._known(contact_id), lists=())
        return outcome


class LeavingAListClearsTheTitle(MemoryProvider):
    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        outcome = yield from super().remove_from_list(list_id, members)
        for member in map(str, members):
            self.store.contacts[member] = evolve(self._known(member), title=None)
        return outcome


class JoiningAListClearsTheAddress(MemoryProvider):
    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        outcome = yield from super().add_to_list(list_id, members)
        for member in map(str, members):
            self.store.contacts[member] = evolve(self._known(member), address=None)
        return outcome


class WritingClearsWhatIsNotGiven(MemoryProvider):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        outcome = yield from super().upsert_contacts(contacts, lists)
        (contact_id,), (given,) = outcome.confirmed, contacts
        self.store.contacts[contact_id] = evolve(self._known(contact_id), organization=given.organization)
        return outcome


class WritingRenamesTheFirst(MemoryProvider):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        outcome = yield from super().upsert_contacts(contacts, lists)
        first = self.store.all_contacts()[0]
        self.store.contacts[first.id] = evolve(first, title=contacts[0].last_name)
        return outcome


class DeletingAListClearsNames(MemoryProvider):
    def delete_list(self, list_id: str) -> Flow[Outcome]:
        for contact in self.store.all_contacts():
            if list_id in (contact.lists or ()):
                self.store.contacts[contact.id] = evolve(contact, first_name=None)
        return (yield from super().delete_list(list_id))


# -- changes of fields, and new fields

Values = Mapping[str, CustomValue]


class ChangesNobody(_Part, ChangesContacts):
    changeable_fields = ("first_name",)

    def change_contact(self, contact_id: str, set: Values, clear: Collection[str]) -> Flow[Outcome]:
        yield from ()
        return done(contact_id)


class _Changes(MemoryProvider):
    def given(self, contact: Contact, set: Values, clear: Collection[str]) -> tuple[Values, Collection[str]]:
        return set, clear

    def change_contact(self, contact_id: str, set: Values, clear: Collection[str]) -> Flow[Outcome]:
        return (yield from super().change_contact(contact_id, *self.given(self._known(contact_id), set, clear)))


class ClearsNothing(_Changes):
    def given(self, contact: Contact, set: Values, clear: Collection[str]) -> tuple[Values, Collection[str]]:
        return set, ()


class SetsNothing(_Changes):
    def given(self, contact: Contact, set: Values, clear: Collection[str]) -> tuple[Values, Collection[str]]:
        return {}, clear


class ChangingClearsTheTitle(_Changes):
    def given(self, contact: Contact, set: Values, clear: Collection[str]) -> tuple[Values, Collection[str]]:
        return set, [*clear, *(["title"] if "title" not in set else [])]


class ClearingAPartClearsTheAddress(_Changes):
    def given(self, contact: Contact, set: Values, clear: Collection[str]) -> tuple[Values, Collection[str]]:
        parts = [name for name in CHANGEABLE_FIELDS if name.startswith("address.")]
        return set, parts if any(each in parts for each in clear) else clear


class ChangingAgainAddsToTheValue(_Changes):
    def given(self, contact: Contact, set: Values, clear: Collection[str]) -> tuple[Values, Collection[str]]:
        return {
            name: f"{value}!" if field_value(contact, name) == value else value for name, value in set.items()
        }, clear


class ChangingCreatesWhoIsNotThere(MemoryProvider):
    def change_contact(self, contact_id: str, set: Values, clear: Collection[str]) -> Flow[Outcome]:
        self.store.contacts.setdefault(contact_id, Contact(self.name, contact_id))
        return (yield from super().change_contact(contact_id, set, clear))


class ChangingLeavesTheLists(MemoryProvider):
    def change_contact(self, contact_id: str, set: Values, clear: Collection[str]) -> Flow[Outcome]:
        outcome = yield from super().change_contact(contact_id, set, clear)
        self._put_on(self._known(contact_id), [])
        return outcome


class ChangingRemovesIdentifiers(MemoryProvider):
    def change_contact(self, contact_id: str, set: Values, clear: Collection[str]) -> Flow[Outcome]:
        outcome = yield from super().change_contact(contact_id, set, clear)
        known = self._known(contact_id)
        self.store.contacts[contact_id] = evolve(known, identifiers=known.identifiers[:1])
        return outcome


class CallsFailedChangesDone(Bird):
    def change_contact(self, contact_id: str, set: Values, clear: Collection[str]) -> Flow[Outcome]:
        try:
            return (yield from super().change_contact(contact_id, set, clear))
        except ContactsError:
            return done(contact_id)


class NewFieldsAreNotKept(MemoryProvider):
    def create_custom_field(self, name: str, type: FieldType) -> Flow[FieldDefinition]:
        yield from ()
        return FieldDefinition(self.name, name, name, type)


class NewFieldsAreTexts(MemoryProvider):
    def create_custom_field(self, name: str, type: FieldType) -> Flow[FieldDefinition]:
        return (yield from super().create_custom_field(name, FieldType.TEXT))


class NewFieldsTakeNoDates(_Changes):
    def given(self, contact: Contact, set: Values, clear: Collection[str]) -> tuple[Values, Collection[str]]:
        return {name: value for name, value in set.items() if isinstance(value, str | int)}, clear


class HidesNewFields(MemoryProvider):
    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        page = yield from super().custom_fields_page(cursor)
        return Page(page.items[:-1])

    def create_custom_field(self, name: str, type: FieldType) -> Flow[FieldDefinition]:
        self.store.fields.pop(name, None)
        return (yield from super().create_custom_field(name, type))


class NewFieldsHaveAValue(MemoryProvider):
    def create_custom_field(self, name: str, type: FieldType) -> Flow[FieldDefinition]:
        for contact in self.store.all_contacts():
            self.store.contacts[contact.id] = evolve(contact, custom={**contact.custom, name: ""})
        return (yield from super().create_custom_field(name, type))


class CreatesFieldsTwice(UserApi):
    def create_custom_field(self, name: str, type: FieldType) -> Flow[FieldDefinition]:
        return (yield from with_requests(super().create_custom_field(name, type), idempotent=True))


# -- repetitions


class SaysContactsHaveAKey(UserApi):
    non_idempotent = (CreatesLists, CreatesCustomFields)


class SaysListsHaveAKey(Bird):
    non_idempotent = ()


class SaysFieldsHaveAKey(UserApi):
    non_idempotent = (UpsertsContacts, CreatesLists)


class SaysContactsHaveNoKey(SendGrid):
    non_idempotent = (CreatesLists, UpsertsContacts)


class SaysFieldsHaveNoKey(SendGrid):
    non_idempotent = (CreatesLists, CreatesCustomFields)


class SaysScopesHaveNoKey(SendGrid):
    non_idempotent = (CreatesLists, CreatesConsentScopes)


class _RepeatsDifferently(UserApi):
    def there(self, contact_id: str) -> Flow[Contact]:
        (contact,) = yield from self.get_contacts([contact_id])
        return contact


class JoiningAgainLeaves(_RepeatsDifferently):
    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        contact = yield from self.there(str(members[0]))
        if list_id in (contact.lists or ()):
            return (yield from self.remove_from_list(list_id, members))
        return (yield from super().add_to_list(list_id, members))


class LeavingAgainJoins(_RepeatsDifferently):
    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        contact = yield from self.there(str(members[0]))
        if list_id not in (contact.lists or ()):
            return (yield from self.add_to_list(list_id, members))
        return (yield from super().remove_from_list(list_id, members))


class RemovingAgainTakesAnother(_RepeatsDifferently):
    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        contact = yield from self.there(contact_id)
        other = next((each for each in contact.identifiers if identifier not in contact.identifiers), identifier)
        return (yield from super().remove_identifier(contact_id, other))


class DeletingAgainTakesAnother(_RepeatsDifferently):
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        try:
            return (yield from super().delete_contacts(ids))
        except NotFound:
            page = yield from self.contacts_page(None, None)
            return (yield from super().delete_contacts([page.items[0].id]))


class ChangingAgainAddsToTheTitle(_RepeatsDifferently):
    def change_contact(self, contact_id: str, set: Mapping[str, CustomValue], clear: Collection[str]) -> Flow[Outcome]:
        contact = yield from self.there(contact_id)
        again = all(field_value(contact, name) == value for name, value in set.items())
        return (yield from super().change_contact(contact_id, {**set, "last_name": "Again"} if again else set, clear))


# -- look-ups


class _Looks(MemoryProvider):
    def matches(self, wanted: Identifier, stored: Identifier) -> bool:
        return wanted == stored

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Matches]:
        yield from ()
        return [
            (wanted, contact)
            for wanted in identifiers
            for contact in self.store.all_contacts()
            if any(self.matches(wanted, stored) for stored in contact.identifiers)
        ]


class FindsEndsOfAddresses(_Looks):
    def matches(self, wanted: Identifier, stored: Identifier) -> bool:
        return wanted.kind is stored.kind and stored.normal.endswith(wanted.normal)


class FindsAddressesInAddresses(_Looks):
    def matches(self, wanted: Identifier, stored: Identifier) -> bool:
        return wanted.kind is stored.kind and stored.normal in wanted.normal


class FindsIdsOfAnyCase(_Looks):
    def matches(self, wanted: Identifier, stored: Identifier) -> bool:
        return wanted.kind is stored.kind and wanted.normal.lower() == stored.normal.lower()


class FindsPhonesOfAnybody(_Looks):
    def matches(self, wanted: Identifier, stored: Identifier) -> bool:
        return wanted == stored or wanted.kind is stored.kind is IdentifierKind.PHONE


class FindsAddressesAsTyped(_Looks):
    def matches(self, wanted: Identifier, stored: Identifier) -> bool:
        return wanted.value == stored.value


# -- fields that are lost, and not named


class _Writes(MemoryProvider):
    def given(self, contact: Contact) -> Contact:
        return contact

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        return (yield from super().upsert_contacts([self.given(contact) for contact in contacts], lists))


class LosesTitles(_Writes):
    def given(self, contact: Contact) -> Contact:
        return evolve(contact, title=None)


class LosesFullNames(_Writes):
    def given(self, contact: Contact) -> Contact:
        return evolve(contact, full_name=None)


class LosesSecondLines(_Writes):
    def given(self, contact: Contact) -> Contact:
        return evolve(contact, address=contact.address and evolve(contact.address, line2=""))


class LosesFormattedAddresses(_Writes):
    def given(self, contact: Contact) -> Contact:
        return evolve(
            contact,
            address=None if contact.address == Address(formatted="1 Example Street, Springfield") else contact.address,
        )


class KeepsOneTag(_Writes):
    def given(self, contact: Contact) -> Contact:
        return evolve(contact, tags=contact.tags[:1])


class KeepsOneAddress(_Writes):
    def given(self, contact: Contact) -> Contact:
        emails = contact.identifiers_of(IdentifierKind.EMAIL)
        return evolve(contact, identifiers=tuple(each for each in contact.identifiers if each not in emails[1:]))


class LosesExternalIds(_Writes):
    def given(self, contact: Contact) -> Contact:
        kept = tuple(each for each in contact.identifiers if each.kind is not IdentifierKind.EXTERNAL_ID)
        return evolve(contact, identifiers=kept)


class LosesNumbers(UserApi):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        kept = [
            evolve(each, custom={name: value for name, value in each.custom.items() if not isinstance(value, int)})
            for each in contacts
        ]
        return (yield from super().upsert_contacts(kept, lists))


# -- requests and settings


class ShowsOrganizationsItLoses(_Writes):
    """A preview that promises too much."""

    def given(self, contact: Contact) -> Contact:
        return evolve(contact, organization=None)


class ShowsDatesItTurnsIntoTexts(_Writes):
    """A preview that promises the type of a value."""

    def given(self, contact: Contact) -> Contact:
        custom = {name: str(value) if isinstance(value, date) else value for name, value in contact.custom.items()}
        return evolve(contact, custom=custom)


class LeavesTitlesOutUnsaid(MemoryProvider):
    def preview(self, contact: Contact, shape: Shape) -> Preview:
        without = evolve(contact, title=None)
        return Preview(without, (), without)


class NamesTagsThatItShows(MemoryProvider):
    def preview(self, contact: Contact, shape: Shape) -> Preview:
        losses = (Loss("tags", LossCode.NO_PLACE),) if contact.tags else ()
        return evolve(super().preview(contact, shape), losses=losses)


class CreatesListsTwice(Bird):
    def create_list(self, name: str) -> Flow[ContactList]:
        return (yield from with_requests(super().create_list(name), idempotent=True))


class CreatesContactsTwice(UserApi):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        return (yield from with_requests(super().upsert_contacts(contacts, lists), idempotent=True))


@frozen(kw_only=True)
class ShowsItsKey(Example):
    api_key: str


@frozen(kw_only=True)
class ShowsWhatItSends(DeletesContacts, Exports):
    name = "stamped"
    stamp: str
    base_url: str = base_url_setting()

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.stamp}"}

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        return absent(ids)

    def contacts(self, list_id: str | None) -> Stream[Contact]:
        yield Emit([])


# -- what became of a change


class CallsAcceptedDone(SendGrid):
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from super().delete_contacts(ids)
        return done(ids)


class CallsAcceptedWritesDone(SendGrid):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        yield from super().upsert_contacts(contacts, lists)
        return done(str(number) for number, _ in enumerate(contacts))


class CallsFailedAbsent(UserApi):
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        try:
            return (yield from super().delete_contacts(ids))
        except ContactsError:
            return absent(ids)


class CallsFailedListChangesDone(Bird):
    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        try:
            return (yield from super().add_to_list(list_id, members))
        except ContactsError:
            return done(map(str, members))


class CallsFailedRemovalsAbsent(UserApi):
    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        try:
            return (yield from super().remove_identifier(contact_id, identifier))
        except ContactsError:
            return absent(identifier.value)


class CallsRunningJobsDone(SendGrid):
    def get_job(self, job: Job) -> Flow[Job]:
        seen = yield from super().get_job(job)
        return evolve(seen, state=JobState.DONE) if seen.state is JobState.PENDING else seen


class CallsFailedJobsDone(SendGrid):
    def get_job(self, job: Job) -> Flow[Job]:
        seen = yield from super().get_job(job)
        return evolve(seen, state=JobState.DONE, failed=0) if seen.state is JobState.FAILED else seen


class CountsOneOfABatch(SendGrid):
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        outcome = yield from super().delete_contacts(ids)
        return evolve(outcome, jobs=tuple(evolve(job, requested=1) for job in outcome.jobs))


class ConfirmsWhoNeverWas(MemoryProvider):
    delete_batch_size = 10

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        for contact_id in ids:
            self.store.contacts.pop(contact_id, None)
        return done(ids)


class GivesUpAtOnce(UserApi):
    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        try:
            return (yield from with_requests(super().remove_from_list(list_id, members), patience=0.0))
        except ContactsError as error:
            return failed(map(str, members), str(error))


# -- claims that are too small


class HasASearchItDoesNotDeclare(Example):
    def find(self, identifiers: Sequence[Identifier]) -> Flow[Matches]:
        yield from ()
        return []


class HasPagesItDoesNotDeclare(_Part, DeletesContacts):
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        return (yield from self.whole().delete_contacts(ids))

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        return (yield from self.whole().contacts_page(list_id, cursor))


class CallsTheDeletedAbsent(MemoryProvider):
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from super().delete_contacts(ids)
        return absent(ids)


class CallsAPartFailed(MemoryProvider):
    delete_batch_size = 10

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        gone = [contact_id for contact_id in ids if self.store.contacts.pop(contact_id, None)]
        return done(gone) if len(gone) == len(ids) else failed(ids, "not all of them exist")


class NamesWhatItKeeps(MemoryProvider):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        outcome = yield from super().upsert_contacts(contacts, lists)
        return evolve(outcome, dropped_fields=("title",))


class TellsNothingOfRemovals(MemoryProvider):
    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        yield from super().remove_identifier(contact_id, identifier)
        return unconfirmed()


# -- what else a declared change and a declared search can get wrong


class DeletesEveryoneInSilence(UserApi):
    def delete_all_contacts(self) -> Flow[Outcome]:
        try:
            return (yield from super().delete_all_contacts())
        except ContactsError:
            return done(())


class DeletesListsInSilence(SendGrid):
    def delete_list(self, list_id: str) -> Flow[Outcome]:
        try:
            return (yield from super().delete_list(list_id))
        except ContactsError:
            return done(list_id)


class NewListsTakeEverybody(MemoryProvider):
    def create_list(self, name: str) -> Flow[ContactList]:
        new_list = yield from super().create_list(name)
        for contact in self.store.all_contacts():
            self._put_on(contact, [*(contact.lists or ()), new_list.id])
        return new_list


class SearchLosesTheLast(HonestSearch):
    def search(self, query: NativeQuery) -> Flow[PartialResult]:
        found = yield from super().search(query)
        return PartialResult(found.contacts[:-1], max(0, (found.total or 0) - 1))


# -- consent


class DropsAPageOfConsent(MemoryProvider):
    def consent_page(self, cursor: str | None) -> Flow[Page[Consent]]:
        page = yield from super().consent_page(cursor)
        return Page(page.items if cursor is None or page.next is None else [], page.next)


class WritesNoConsent(MemoryProvider):
    def write_consent(self, statements: Sequence[Consent]) -> Flow[Outcome]:
        yield from ()
        return done(statement.identifier.value for statement in statements)


class FindsConsentOfOthers(MemoryProvider):
    def find_consent(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Consent]]]:
        yield from ()
        (asked,) = identifiers
        return [(asked, each) for each in self.store.consent if each.identifier.value in asked.value]


class ShowsRefusalsAsGrants(MemoryProvider):
    def consent_page(self, cursor: str | None) -> Flow[Page[Consent]]:
        page = yield from super().consent_page(cursor)
        return Page([evolve(each, state=ConsentState.GRANTED) for each in page.items], page.next)


class FindsRefusalsAsGrants(MemoryProvider):
    def find_consent(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Consent]]]:
        found = yield from super().find_consent(identifiers)
        return [(asked, evolve(each, state=ConsentState.GRANTED)) for asked, each in found]


class ResubscribesOnUpsert(MemoryProvider):
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        identifiers = {each for contact in contacts for each in contact.identifiers}
        for statement in [each for each in self.store.consent if each.identifier in identifiers]:
            del self.store.consent[statement]
        return (yield from super().upsert_contacts(contacts, lists))


class LosesReasonsOfConsent(MemoryProvider):
    def write_consent(self, statements: Sequence[Consent]) -> Flow[Outcome]:
        return (yield from super().write_consent([evolve(each, reason=None) for each in statements]))


class LiftsNothing(MemoryProvider):
    def lift_suppression(self, statement: Consent, evidence: str) -> Flow[Outcome]:
        yield from ()
        return done(statement.identifier.value)


class LiftsThoseOfOthers(MemoryProvider):
    def lift_suppression(self, statement: Consent, evidence: str) -> Flow[Outcome]:
        for each in [each for each in self.store.consent if statement.identifier.value in each.identifier.value]:
            del self.store.consent[each]
        return (yield from super().lift_suppression(statement, evidence))


class LiftsAllScopes(MemoryProvider):
    def lift_suppression(self, statement: Consent, evidence: str) -> Flow[Outcome]:
        for each in [each for each in self.store.consent if each.identifier == statement.identifier]:
            del self.store.consent[each]
        return (yield from super().lift_suppression(statement, evidence))


class _Scoped(MemoryProvider, CreatesConsentScopes):
    def consent_scopes(self) -> Flow[Sequence[str]]:
        yield from ()
        return [each.scope for each in self.store.consent if each.channel is Channel.PUSH]

    def create_consent_scope(self, name: str) -> Flow[None]:
        yield from ()
        self.store.consent[Consent(Identifier.other("scope", name), Channel.PUSH, ConsentState.GRANTED, scope=name)] = (
            None
        )


class ForgetsScopes(_Scoped):
    def consent_scopes(self) -> Flow[Sequence[str]]:
        yield from ()
        return []


class DeletesConsentUnsaid(MemoryProvider):
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        identifiers = {each for id in ids if id in self.store.contacts for each in self.store.contacts[id].identifiers}
        for statement in [each for each in self.store.consent if each.identifier in identifiers]:
            del self.store.consent[statement]
        return (yield from super().delete_contacts(ids))


class KeepsConsentUnsaid(MemoryProvider):
    deletes_consent = True


class ErasesNoMailData(MemoryProvider, ErasesMailData):
    def erase_mail_data(self, identifiers: Sequence[Identifier]) -> Flow[Outcome]:
        yield from ()
        return unconfirmed()


class ForgetsEarlierStatements(MemoryProvider):
    def write_consent(self, statements: Sequence[Consent]) -> Flow[Outcome]:
        about = {statement.about for statement in statements}
        for statement in [each for each in self.store.consent if each.about in about]:
            del self.store.consent[statement]
        return (yield from super().write_consent(statements))


class DecodesAddresses(MemoryProvider):
    def write_consent(self, statements: Sequence[Consent]) -> Flow[Outcome]:
        decoded = [
            evolve(each, identifier=evolve(each.identifier, value=unquote(each.identifier.value)))
            for each in statements
        ]
        yield from super().write_consent(decoded)
        return done(statement.identifier.value for statement in statements)


class TogglesConsent(MemoryProvider):
    def write_consent(self, statements: Sequence[Consent]) -> Flow[Outcome]:
        there = [each for each in statements if each in self.store.consent]
        outcome = yield from super().write_consent(statements)
        for statement in there:
            del self.store.consent[statement]
        return outcome


class ShowsPendingBesides(MemoryProvider):
    def consent_page(self, cursor: str | None) -> Flow[Page[Consent]]:
        page = yield from super().consent_page(cursor)
        return Page([*page.items, *(evolve(each, state=ConsentState.PENDING) for each in page.items)], page.next)
