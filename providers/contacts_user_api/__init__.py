"""user-api/v1: the contacts service of Rolodex CRM."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from contacts_core import steps
from contacts_core.capabilities import (
    AddsToLists,
    Counts,
    CreatesLists,
    DeletesAllContactsById,
    FindsContactsByScan,
    GetsContacts,
    ReadsCustomFields,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    UpsertsContacts,
)
from contacts_core.flow import Flow
from contacts_core.identifiers import Identifier
from contacts_core.models import Contact, ContactList, Count, Failure, FieldDefinition, Outcome, Page
from contacts_core.plugins import hookimpl
from contacts_core.provider import Provider, address, secret
from contacts_user_api import api, mapping
from contacts_user_api.payloads import ContactDetails, FieldDetails, Pagination

if TYPE_CHECKING:
    from contacts_core.sandbox import Emulator

Member = str | Identifier


@frozen(kw_only=True)
class UserApi(
    DeletesAllContactsById,
    RemovesIdentifiers,
    RemovesFromLists,
    AddsToLists,
    FindsContactsByScan,
    GetsContacts,
    UpsertsContacts,
    Counts,
    ReadsLists,
    CreatesLists,
    ReadsCustomFields,
):
    """Every operation is done when it answers; there is no search.

    Identifiers and list membership are changed by writing the whole relation back: another writer's change in between
    is lost.

    Attributes:
        api_key: The key of the workspace.
        path_prefix: What every path begins with.
        auth_header: The header that carries the key.
        auth_scheme: A word before the key, such as ``Bearer``; none by default.
    """

    name = mapping.NAME
    title = "user-api contacts (Rolodex CRM)"
    upsert_batch = 10_000  # one scan finds which of them exist
    page_size = api.PAGE
    emulates = (RemovesIdentifiers, RemovesFromLists, AddsToLists, UpsertsContacts)
    costs: ClassVar = {RemovesIdentifiers: {"": 3}, RemovesFromLists: {"": 3}}
    unreached: ClassVar = {
        "deleted contacts": "whether the vendor keeps a deleted contact for a while is documented nowhere",
        "notes": "notes are records of their own; whether they go with the contact is documented nowhere",
        "billing": "whether a deleted contact still counts for the month is documented nowhere",
        "backups": "what the vendor keeps in backups, and for how long, is documented nowhere",
    }

    api_key: str = secret(env="USER_API_KEY")
    base_url: str = address()
    path_prefix: str = "/user-api/v1"
    auth_header: str = "x-rolodex-api-key"
    auth_scheme: str = ""

    def headers(self) -> dict[str, str]:
        return {self.auth_header: f"{self.auth_scheme} {self.api_key}".strip()}

    def root(self) -> str:
        return self.path_prefix

    # -- deleting and removing

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        (contact_id,) = ids
        gone = yield from api.delete_contact(contact_id)
        deleted = (mapping.contact(gone.data),)
        return Outcome(operation="delete_contacts", requested=1, confirmed=(contact_id,), deleted=deleted)

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        """Reads the contact, writes the rest of that relation back, and reads again."""
        operation, kind = "remove_identifier", identifier.kind
        before = (yield from api.contact(contact_id)).data
        if identifier not in mapping.identifiers(before):
            return Outcome(operation=operation, requested=1, absent=(identifier.value,), emulated=True)
        name, _ = mapping.RELATIONS[kind]
        rest = mapping.without(mapping.relation(before, kind), kind, identifier)
        yield from api.update_contact(contact_id, {name: rest})
        after = (yield from api.contact(contact_id)).data
        return _read_back(operation, identifier.value, reached=identifier not in mapping.identifiers(after))

    def remove_from_list(self, list_id: str, members: Sequence[Member]) -> Flow[Outcome]:
        operation = "remove_from_list"
        return (
            yield from self._rewrite_lists(operation, members, lambda ids: [each for each in ids if each != list_id])
        )

    def add_to_list(self, list_id: str, members: Sequence[Member]) -> Flow[Outcome]:
        return (
            yield from self._rewrite_lists("add_to_list", members, lambda ids: list(dict.fromkeys([*ids, list_id])))
        )

    def _rewrite_lists(
        self, operation: str, members: Sequence[Member], change: Callable[[list[str]], list[str]]
    ) -> Flow[Outcome]:
        """Reads the contact's lists, writes them back changed, and reads again."""
        (contact_id,) = map(str, members)
        before = mapping.list_ids((yield from api.contact(contact_id, "lists")).data)
        wanted = change(before)
        if wanted == before and operation == "remove_from_list":
            return Outcome(operation=operation, requested=1, absent=(contact_id,), emulated=True)
        if wanted == before:
            return _read_back(operation, contact_id, reached=True)
        yield from api.update_contact(contact_id, {"lists": wanted})
        after = mapping.list_ids((yield from api.contact(contact_id, "lists")).data)
        return _read_back(operation, contact_id, reached=change(after) == after)

    # -- reading

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        (contact_id,) = ids
        return [mapping.contact((yield from api.contact(contact_id)).data)]

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        """The contacts of a list are found among all: a list's own answer has only names."""
        offset = int(cursor or 0)
        found = yield from api.contacts(offset)
        contacts = [mapping.contact(details) for details in found.data]
        chosen = [c for c in contacts if list_id is None or list_id in (c.lists or ())]
        total = _total(found.pagination) if list_id is None else None
        return Page(chosen, _next(found.pagination, offset, len(found.data)), total)

    def count(self) -> Flow[Count]:
        found = yield from api.contacts(0, limit=1, include="")
        total = _total(found.pagination)
        if total is not None:
            return Count(total, how="counter")
        everyone = yield from steps.gather(lambda cursor: self.contacts_page(None, cursor))
        return Count(len(everyone), how="paged")

    # -- lists and fields

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        offset = int(cursor or 0)
        found = yield from api.lists(offset)
        lists = [mapping.contact_list(one) for one in found.data]
        return Page(lists, _next(found.pagination, offset, len(lists)))

    def create_list(self, name: str) -> Flow[ContactList]:
        return mapping.contact_list((yield from api.create_list(name)).data)

    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        found = yield from self._fields_page(cursor)
        return Page([mapping.field(one) for one in found.items], found.next)

    def _fields_page(self, cursor: str | None) -> Flow[Page[FieldDetails]]:
        offset = int(cursor or 0)
        found = yield from api.custom_fields(offset)
        return Page(found.data, _next(found.pagination, offset, len(found.data)))

    # -- writing

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        """Those that exist, by id or by identifier, are changed, the others created; one scan finds the identifiers."""
        fields: dict[str, FieldDetails] = {}
        if any(contact.custom for contact in contacts):
            fields = {f.name.lower(): f for f in (yield from steps.gather(self._fields_page))}
        present = yield from self._present([c.id for c in contacts if c.provider == self.name and c.id])
        strangers = [c for c in contacts if c.provider != self.name or c.id not in present]
        sought = list(dict.fromkeys(i for c in strangers for i in c.identifiers if i.kind in mapping.RELATIONS))
        owners = {i: owner.id for i, owner in (yield from self.find(sought))} if sought else {}
        flows = [self._upsert(contact, present, owners, fields, lists) for contact in contacts]
        settled = yield from steps.run_together(flows, self.concurrency)
        return steps.added_up(
            "upsert_contacts", self.name, [[contact] for contact in contacts], settled, attrgetter("handle")
        )

    def _present(self, ids: Sequence[str]) -> Flow[dict[str, ContactDetails]]:
        """The contacts of these ids that exist; an id of another workspace may not."""
        found = yield from steps.read_chunks(ids, 1, self.concurrency, self._details)
        return {details.id: details for details in found}

    def _details(self, ids: Sequence[str]) -> Flow[Sequence[ContactDetails]]:
        (contact_id,) = ids
        return [(yield from api.contact(contact_id)).data]

    def _upsert(
        self,
        contact: Contact,
        present: Mapping[str, ContactDetails],
        owners: Mapping[Identifier, str],
        fields: Mapping[str, FieldDetails],
        lists: Sequence[str],
    ) -> Flow[Outcome]:
        before = present.get(contact.id) if contact.provider == self.name else None
        if before and mapping.is_another(contact, before):
            # Ids are counted up in each workspace, so an id of one workspace is somebody else's in the next.
            return _not_sent(contact, "the contact of this id has none of these identifiers; is it another account's?")
        owner = next((owners[i] for i in contact.identifiers if i in owners), None)
        if before is None and owner:
            before = (yield from api.contact(owner)).data
        lost: set[str] = set()
        body = mapping.to_write(contact, before, fields, lists, lost)
        if before is None and not body["first_name"]:
            return _not_sent(contact, "it has neither a name nor an identifier")
        written = yield from (api.update_contact(before.id, body) if before else api.create_contact(body))
        return Outcome(
            operation="upsert_contacts",
            requested=1,
            confirmed=(written.data.id,),
            lost=tuple(sorted(lost)),
            emulated=True,
        )


def _not_sent(contact: Contact, reason: str) -> Outcome:
    failure = Failure(contact.handle, f"not sent: {reason}")
    return Outcome(operation="upsert_contacts", requested=1, failed=(failure,), emulated=True)


def _read_back(operation: str, item: str, *, reached: bool) -> Outcome:
    if reached:
        return Outcome(operation=operation, requested=1, confirmed=(item,), emulated=True)
    reason = "written, but a re-read shows the old value: another writer may have been in between"
    return Outcome(operation=operation, requested=1, failed=(Failure(item, reason),), emulated=True)


def _total(pagination: Pagination | None) -> int | None:
    return pagination.total if pagination else None


def _next(pagination: Pagination | None, offset: int, count: int) -> str | None:
    """The offset of the next page. Without a total, only a short page tells the end."""
    total, reached = _total(pagination), offset + count
    more = count > 0 and (reached < total if total is not None else count >= api.PAGE)
    return f"{reached}" if more else None


@hookimpl
def contacts_providers() -> list[type[Provider]]:
    """The provider of this package."""
    return [UserApi]


@hookimpl
def contacts_emulators() -> list[type[Emulator]]:
    """The emulator of this package."""
    from contacts_user_api.sandbox import UserApiEmulator  # noqa: PLC0415 - needs the extra "sandbox"

    return [UserApiEmulator]
