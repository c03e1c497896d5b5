"""user-api/v1: the contacts service of Rolodex CRM."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec
from attrs import frozen

from contacts_core.errors import ContactsError, ProviderError, UnexpectedPayload
from contacts_core.models import (
    Contact,
    ContactList,
    Count,
    CustomValue,
    FieldDefinition,
    FieldType,
    Identifier,
    Outcome,
    Page,
    Preview,
    Shape,
)
from contacts_core.provider import (
    AddsToLists,
    ChangesContacts,
    Counts,
    CreatesCustomFields,
    CreatesLists,
    DeletesAllContactsById,
    ExportsPages,
    FindsContactsByScan,
    Flow,
    GetsContacts,
    MapsFields,
    Provider,
    RawContact,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    Request,
    UpsertsContacts,
    about_id,
    absent,
    base_url_setting,
    done,
    failed,
    flows,
    hookimpl,
    mapped,
    offset,
    offset_page,
    raw_answer,
    secret,
    unconfirmed,
    with_mapped,
)
from contacts_user_api import api, mapping
from contacts_user_api.payloads import ContactDetails, FieldDetails, Pagination

if TYPE_CHECKING:
    from contacts_core.emulator import Emulator

T = TypeVar("T")

Member = str | Identifier
ERROR_KEYS = {"error", "errors", "message", "detail", "details"}
SAMPLE = 5
IDENTIFYING = tuple(name for name, _ in mapping.RELATIONS.values())


@frozen(kw_only=True)
class UserApi(
    DeletesAllContactsById,
    RemovesIdentifiers,
    RemovesFromLists,
    AddsToLists,
    FindsContactsByScan,
    GetsContacts,
    UpsertsContacts,
    ChangesContacts,
    Counts,
    ReadsLists,
    CreatesLists,
    MapsFields,
    CreatesCustomFields,
    ExportsPages,
):
    """Every operation is done when user-api answers; there is no search.

    Identifiers and list membership are changed by writing the whole relation back: another writer's change in between
    is lost. A relation that an answer leaves out is requested again, at last in the pages of all contacts; a relation
    that is still missing, or not understood, is never written back.

    Attributes:
        api_key: The key of the workspace.
        base_path: What every path begins with.
        auth_header: The header that carries the key.
        auth_scheme: A word before the key, such as ``Bearer``; none by default.
        fields: Which custom field holds the organization; without one, it is the name of a company, and cannot be
            written.
    """

    name = mapping.NAME
    title = "user-api contacts (Rolodex CRM)"
    upsert_batch_size = 10_000  # one scan finds which of them exist
    fields_defined_first = True
    page_size = api.PAGE
    list_name_lengths = (1, 50)
    field_name_lengths = (1, 50)
    field_types = tuple(mapping.CREATED_TYPES)
    changeable_fields = (*mapping.TEXTS, "custom")
    mappable_fields = ("organization",)
    clearable_fields = tuple(name for name in changeable_fields if name != "first_name")  # which is required
    read_modify_write = (RemovesIdentifiers, RemovesFromLists, AddsToLists, UpsertsContacts, ChangesContacts)
    non_idempotent: ClassVar[tuple[type[Provider], ...]] = (UpsertsContacts, CreatesLists, CreatesCustomFields)
    costs: ClassVar = {RemovesIdentifiers: {"": 3}, RemovesFromLists: {"": 3}, ChangesContacts: {"": 3}}
    left_behind: ClassVar = {
        "companies": "a contact keeps the name of its company alone",
        "notes, tasks and history": "keep an export; notes are among the losses of their contacts",
        "views and automations": "build them again from the fields that were copied",
    }
    residual_data: ClassVar = {
        "deleted contacts": "whether the vendor keeps a deleted contact for a while is documented nowhere",
        "notes": "notes are records of their own; whether they go with the contact is documented nowhere",
        "billing": "whether a deleted contact still counts for the month is documented nowhere",
        "backups": "what the vendor keeps in backups, and for how long, is documented nowhere",
    }

    api_key: str = secret(env="USER_API_KEY")
    base_url: str = base_url_setting()
    base_path: str = "/user-api/v1"
    auth_header: str = "x-rolodex-api-key"
    auth_scheme: str = ""

    def headers(self) -> dict[str, str]:
        return {self.auth_header: f"{self.auth_scheme} {self.api_key}".strip()}

    def path_prefix(self) -> str:
        return self.base_path

    def account_id(self) -> Flow[str]:
        """See `Provider.account_id`; with the id of the oldest user of the workspace, if the vendor tells it."""
        users = yield from flows.optional(api.users())
        owner = mapping.first_user(users.data) if users else ""
        return f"{self.base_url}{self.path_prefix()}" + (f" user {owner}" if owner else "")

    def is_not_found(self, request: Request[Any], content: bytes) -> bool:
        """See `Provider.is_not_found`; errors are not documented, so any JSON object with an error counts."""
        if not super().is_not_found(request, content):
            return False
        try:
            body = msgspec.json.decode(content, type=dict[str, Any])
        except msgspec.ValidationError:  # an array
            return False
        return any(body.get(key) for key in ERROR_KEYS)

    # -- deleting and removing

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        (contact_id,) = ids
        gone = about_id((yield from api.delete_contact(contact_id)).data, contact_id, provider=self.name)
        return done(contact_id, deleted=[mapping.contact(gone)])

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        """Read the contact, write the rest of that relation back, and read again."""
        kind = identifier.kind
        names = tuple(name for of, (name, _) in mapping.RELATIONS.items() if of is kind)
        before = yield from self._told(contact_id, names)
        if not all(mapping.is_writable(before, name) for name in names):
            return _not_sent(identifier.value, _ununderstood(names))
        if identifier not in mapping.identifiers(before):
            return absent(identifier.value)
        rest = mapping.without(mapping.relation(before, kind), kind, identifier)
        return (
            yield from self._write(
                identifier.value,
                contact_id,
                {mapping.RELATIONS[kind][0]: rest},
                lambda after: identifier not in mapping.identifiers(after),
                lambda after: set(mapping.identifiers(before)) - {identifier} <= set(mapping.identifiers(after)),
            )
        )

    def remove_from_list(self, list_id: str, members: Sequence[Member]) -> Flow[Outcome]:
        (contact_id,) = map(str, members)
        written = yield from self._rewrite_lists(contact_id, lambda ids: [each for each in ids if each != list_id])
        return written or absent(contact_id)

    def add_to_list(self, list_id: str, members: Sequence[Member]) -> Flow[Outcome]:
        (contact_id,) = map(str, members)
        written = yield from self._rewrite_lists(contact_id, lambda ids: list(dict.fromkeys([*ids, list_id])))
        return written or done(contact_id)

    def _rewrite_lists(self, contact_id: str, change: Callable[[list[str]], list[str]]) -> Flow[Outcome | None]:
        """Read the contact's lists, write them back changed, and read again; None if they are as wanted already."""
        found = yield from self._told(contact_id, ("lists",))
        if not mapping.is_writable(found, "lists"):
            return _not_sent(contact_id, _ununderstood(["lists"]))
        before = mapping.list_ids(found)
        wanted = change(before)
        if wanted == before:
            return None

        def reached(after: ContactDetails) -> bool:
            ids = mapping.list_ids(after)
            return change(ids) == ids

        return (
            yield from self._write(
                contact_id,
                contact_id,
                {"lists": wanted},
                reached,
                lambda after: set(wanted) <= set(mapping.list_ids(after)),
            )
        )

    def _write(
        self,
        item: str,
        contact_id: str,
        body: Mapping[str, object],
        reached: Callable[[ContactDetails], bool],
        kept: Callable[[ContactDetails], bool],
    ) -> Flow[Outcome]:
        """Write fields and relations, and read them again; if that fails, the item is neither confirmed nor failed.

        Args:
            item: What it is about, for the outcome.
            contact_id: The contact.
            body: Fields and relations as they are to be.
            reached: Whether a re-read shows what was wanted.
            kept: Whether a re-read still shows all else that was written back.

        Raises:
            ContactsError: It was not written; or, if ``unclear``, it may have been.
        """
        written = (yield from api.update_contact(contact_id, body)).data
        _ = about_id(written, contact_id, provider=self.name)
        names = tuple(name for name in body if name in mapping.SHARED_RELATIONS)
        try:
            after = yield from self._told(contact_id, names)
        except ProviderError:
            return unconfirmed(1)
        except ContactsError as error:  # the re-read was not sent, but the change was
            error.unclear = True
            raise
        if not all(mapping.is_readable(after, name) for name in names):
            return unconfirmed(1)
        if reached(after) and not kept(after):
            return failed(item, "done, but a re-read lacks others that were written back with it: check them")
        if reached(after):
            return done(item)
        return failed(item, "written, but a re-read shows the old value: another writer may have been in between")

    # -- reading

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        (contact_id,) = ids
        return [self._contact((yield from self._told(contact_id)))]

    def _contact(self, details: ContactDetails) -> Contact:
        return with_mapped(mapping.contact(details), self.fields)

    def raw_contact(self, contact_id: str) -> Flow[RawContact]:
        return raw_answer(api.contact(contact_id))

    def _told(self, contact_id: str, names: Sequence[str] = mapping.SHARED_RELATIONS) -> Flow[ContactDetails]:
        """Read a contact with these relations, from the pages of all contacts if its own answer leaves them out.

        Raises:
            UnexpectedPayload: No answer has them.
        """
        include = api.RELATIONS if names is mapping.SHARED_RELATIONS else ",".join(names)
        found = about_id((yield from api.contact(contact_id, include)).data, contact_id, provider=self.name)
        if not mapping.untold(found, names):
            return found
        cursor: str | None = None
        while True:
            page = yield from self._details_page(cursor)
            paged = next((details for details in page.items if details.id == contact_id), None)
            if paged and not mapping.untold(paged, names):
                return paged
            if paged:
                raise _untold(mapping.untold(paged, names))
            if (cursor := page.next) is None:
                raise _untold(mapping.untold(found, names))

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        """See `FindsContactsByScan.find`; an identifier is absent only if those of every contact could be read."""
        wanted = {identifier: identifier for identifier in identifiers}
        found: list[tuple[Identifier, Contact | str]] = []
        unread: set[str] = set()

        def take(contacts: Sequence[Contact]) -> None:
            found.extend((wanted[i], c) for c in contacts for i in c.identifiers if i in wanted)
            unread.update(c.id for c in contacts if set(IDENTIFYING) & set(c.extra.get("unread", ())))

        yield from flows.drain(self.contacts(None), take)
        if unread:
            reason = f"{len(unread)} contact(s) hold e-mail addresses or phone numbers that cannot be read"
            found.extend((each, reason) for each in set(wanted) - {identifier for identifier, _ in found})
        return found

    def cannot_find(self, identifier: Identifier) -> str:
        """See `FindsContacts.cannot_find`."""
        return "" if identifier.kind in mapping.RELATIONS else "user-api has e-mail addresses and phone numbers only"

    def sample(self) -> Flow[Sequence[Contact] | None]:
        """See `Exports.sample`."""
        found = yield from api.contacts(0, limit=SAMPLE)
        if not found.data:
            return [] if _total(found.pagination) == 0 else None
        told = [details for details in found.data if not mapping.untold(details, mapping.SHARED_RELATIONS)]
        return [self._contact(details) for details in told] or None

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        """Read the contacts of a list among all contacts, because a list's own answer has only names."""
        page = yield from self._details_page(cursor)
        found = yield from self._completed(page.items)
        if list_id is None:
            return Page(mapped(self._contact, found), next=page.next, total=page.total)
        if not all(mapping.is_readable(details, "lists") for details in found):
            raise _untold(["lists"])
        members = [details for details in found if list_id in mapping.list_ids(details)]
        return Page(mapped(self._contact, members), next=page.next)

    def _details_page(self, cursor: str | None) -> Flow[Page[ContactDetails]]:
        found = yield from api.contacts(offset(cursor))
        return _page(found.data, cursor, found.pagination)

    def _completed(self, found: Sequence[ContactDetails]) -> Flow[list[ContactDetails]]:
        """Return contacts with all their relations; contacts whose relations a page leaves out are read one by one."""
        if any(self.validate_id(details.id) for details in found):
            raise UnexpectedPayload("the answer has a contact with an invalid id", provider=self.name)
        lacking = [each.id for each in found if mapping.untold(each, mapping.SHARED_RELATIONS)]
        read = yield from flows.read_each(lacking, self.concurrency, self._alone)
        return [read.get(each.id, each) for each in found if each.id not in lacking or each.id in read]

    def _alone(self, contact_id: str) -> Flow[ContactDetails]:
        found = about_id((yield from api.contact(contact_id)).data, contact_id, provider=self.name)
        if missing := mapping.untold(found, mapping.SHARED_RELATIONS):
            raise _untold(missing)
        return found

    def count(self) -> Flow[Count]:
        found = yield from api.contacts(0, limit=1, include="")
        total = _total(found.pagination)
        if total is not None:
            return Count(total, source="counter")
        everyone = yield from flows.gather(lambda cursor: self.contacts_page(None, cursor))
        return Count(len(everyone), source="paged")

    # -- lists and fields

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        found = yield from api.lists(offset(cursor))
        return _page([mapping.contact_list(one) for one in found.data], cursor, found.pagination)

    def create_list(self, name: str) -> Flow[ContactList]:
        return mapping.contact_list((yield from api.create_list(name)).data)

    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        found = yield from self._fields_page(cursor)
        return Page([self.with_holder(mapping.field(one)) for one in found.items], next=found.next)

    def _fields_page(self, cursor: str | None) -> Flow[Page[FieldDetails]]:
        found = yield from api.custom_fields(offset(cursor))
        self._known_fields.update((each.name, each) for each in found.data)
        return _page(found.data, cursor, found.pagination)

    def create_custom_field(self, name: str, type: FieldType) -> Flow[FieldDefinition]:
        created = yield from api.create_custom_field(name, mapping.CREATED_TYPES[type])
        return self.with_holder(mapping.field(created.data))

    @cached_property
    def _known_fields(self) -> dict[str, FieldDetails]:
        """The custom fields by name, as they were last read."""
        return {}

    # -- writing

    def change_contact(self, contact_id: str, set: Mapping[str, CustomValue], clear: Collection[str]) -> Flow[Outcome]:
        """Read the contact, write the fields, the custom ones as a whole relation, and read again."""
        texts, custom = self.split_changes(set, clear)
        fields = {f.name.lower(): f for f in (yield from flows.gather(self._fields_page))} if custom else {}
        before = yield from self._told(contact_id, ("custom_fields",) if custom else ())
        if custom and not mapping.is_writable(before, "custom_fields"):
            return _not_sent(contact_id, _ununderstood(["custom_fields"]))
        return (
            yield from self._write(
                contact_id,
                contact_id,
                mapping.to_change(before, texts, custom, fields),
                lambda after: mapping.has(after, texts, custom, fields),
                lambda after: mapping.keeps(after, before, custom, fields),
            )
        )

    def preview(self, contact: Contact, shape: Shape) -> Preview:
        return mapping.preview(contact, shape, self.fields)

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        """Change contacts that exist, by id or identifier, and create the others; one scan finds the identifiers."""
        fields = self._known_fields
        if {name for contact in contacts for name in self.held_values(contact)} - fields.keys():
            yield from flows.gather(self._fields_page)
        present = yield from self._present([c.id for c in contacts if c.provider == self.name and c.id])
        outside_plan = [c for c in contacts if c.provider != self.name or c.id not in present]
        sought = list(dict.fromkeys(i for c in outside_plan for i in c.identifiers if i.kind in mapping.RELATIONS))
        owners = dict((yield from self.find(sought))) if sought else {}

        def upsert(contact: Contact) -> Flow[Outcome]:
            return self._upsert(contact, present, owners, fields, lists)

        return (yield from flows.one_by_one(contacts, self.concurrency, upsert, attrgetter("display_id")))

    def _present(self, ids: Sequence[str]) -> Flow[dict[str, ContactDetails]]:
        """Read the contacts of these ids that exist; an id of another workspace may not."""
        return (yield from flows.read_each(ids, self.concurrency, self._told))

    def _upsert(
        self,
        contact: Contact,
        present: Mapping[str, ContactDetails],
        owners: Mapping[Identifier, Contact | str],
        fields: Mapping[str, FieldDetails],
        lists: Sequence[str],
    ) -> Flow[Outcome]:
        before = present.get(contact.id) if contact.provider == self.name else None
        if before is None:
            known = [owners[i] for i in contact.identifiers if i in owners]
            owner = next((each for each in known if isinstance(each, Contact)), None)
            if owner:
                before = yield from self._told(owner.id)
                if not set(contact.identifiers) & set(mapping.identifiers(before)):
                    reason = "the contact that had its identifier no longer has it"
                    return _not_sent(contact.display_id, reason)
            elif known:
                return _not_sent(contact.display_id, f"it may exist already: {known[0]}")
        if before and (unread := [name for name in IDENTIFYING if not mapping.is_readable(before, name)]):
            return _not_sent(contact.display_id, _ununderstood(unread))
        if before and mapping.is_another(contact, before):
            # Ids are counted up in each workspace, so an id of one workspace is somebody else's in the next.
            reason = "the contact with this id has none of these identifiers; the id may be of another account"
            return _not_sent(contact.display_id, reason)
        body = mapping.to_write(contact, self.held_values(contact), before, fields, lists)
        written = before
        if before is None:
            written = (yield from api.create_contact(body)).data
        elif unread := [n for n in mapping.SHARED_RELATIONS if n in body and not mapping.is_writable(before, n)]:
            return _not_sent(contact.display_id, _ununderstood(unread))
        elif body:
            written = about_id((yield from api.update_contact(before.id, body)).data, before.id, provider=self.name)
        assert written is not None
        return done(written.id, dropped_fields=mapping.lost_after_all(contact, before, body, self.fields))


def _not_sent(item: str, reason: str) -> Outcome:
    return failed(item, f"not sent: {reason}")


def _ununderstood(names: Sequence[str]) -> str:
    return f"the contact's {', '.join(names)} cannot be read whole, and writing them back would lose the rest"


def _untold(names: Sequence[str]) -> UnexpectedPayload:
    return UnexpectedPayload(
        f"no answer has the {', '.join(names)} of a contact",
        provider=mapping.NAME,
        hint="missing is not the same as empty: nothing was written, and nothing is reported as absent",
    )


def _total(pagination: Pagination | None) -> int | None:
    total = pagination.total if pagination else None
    return total if total is not None and total >= 0 else None


def _page(items: Sequence[T], cursor: str | None, pagination: Pagination | None) -> Page[T]:
    size = pagination.limit if pagination and pagination.limit and 0 < pagination.limit < api.PAGE else api.PAGE
    return offset_page(items, cursor, size=size, total=_total(pagination))


@hookimpl
def contacts_providers() -> list[type[Provider]]:
    """The provider of this package."""
    return [UserApi]


@hookimpl
def contacts_emulators() -> list[type[Emulator]]:
    """The emulator of this package."""
    from contacts_user_api.emulator import UserApiEmulator  # noqa: PLC0415 - needs the extra "sandbox"

    return [UserApiEmulator]
