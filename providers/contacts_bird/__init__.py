"""Bird: contacts, identifiers, lists and attributes of a workspace."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from attrs import frozen

from contacts_bird import api, mapping
from contacts_bird.payloads import ContactDetails, ListDetails, Processed
from contacts_core import steps
from contacts_core.capabilities import (
    AddsToLists,
    CountsByPaging,
    CreatesLists,
    DeletesAllContactsById,
    DeletesContacts,
    DeletesLists,
    FindsContacts,
    GetsContacts,
    NativeQuery,
    ReadsCustomFields,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    Sample,
    Searches,
    TakesIdentifiers,
    UpsertsContacts,
)
from contacts_core.errors import InvalidInput, NotFound
from contacts_core.flow import Call, Flow
from contacts_core.identifiers import Identifier
from contacts_core.models import Contact, ContactList, Failure, FieldDefinition, Outcome, Page
from contacts_core.plugins import hookimpl
from contacts_core.provider import Provider, Rate, address, secret, setting
from contacts_core.query import Query

if TYPE_CHECKING:
    from contacts_core.sandbox import Emulator

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Member = str | Identifier


@frozen(kw_only=True)
class Bird(
    DeletesAllContactsById,
    RemovesIdentifiers,
    RemovesFromLists,
    AddsToLists,
    TakesIdentifiers,
    Searches,
    FindsContacts,
    GetsContacts,
    UpsertsContacts,
    CountsByPaging,
    ReadsLists,
    CreatesLists,
    DeletesLists,
    ReadsCustomFields,
):
    """Every operation is done when it answers; contacts are deleted one request each.

    Attributes:
        access_key: An access key of the workspace.
        workspace_id: The workspace, a UUID.
        auth_scheme: The word before the key; ``Bearer`` is for user tokens.
    """

    name = "bird"
    title = "Bird workspace contacts and lists"
    member_batch = 100
    concurrency = 8
    exports_lists = False  # an answer may leave the lists out
    # Documented for a sibling API of the same vendor; the Contacts API names no numbers.
    rates: ClassVar = {api.READ: Rate(50, 1), api.WRITE: Rate(500, 1)}
    costs: ClassVar = {
        DeletesContacts: {api.WRITE: 1},
        RemovesIdentifiers: {api.READ: 1, api.WRITE: 1},
        RemovesFromLists: {api.WRITE: 1},
    }
    unreached: ClassVar = {
        "suppressions": "what the workspace keeps of consent and unsubscribes beyond the contact is documented nowhere",
        "messages": "messages and logs that name the person belong to other services of the workspace",
        "segments": "they exist in the dashboard alone; when one forgets a contact is documented nowhere",
        "billing": "whether a deleted contact still counts for the month is documented nowhere",
        "backups": "what the vendor keeps in backups, and for how long, is documented nowhere",
    }

    access_key: str = secret()
    workspace_id: str = setting()
    base_url: str = address("https://api.bird.com")
    auth_scheme: str = "AccessKey"

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"{self.auth_scheme} {self.access_key}"}

    def root(self) -> str:
        return f"/workspaces/{quote(self.workspace_id, safe='')}"

    def refuse_id(self, id: str) -> str:
        return super().refuse_id(id) or ("" if UUID.fullmatch(id) else "the id is not a UUID")

    # -- deleting and removing

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        (contact_id,) = ids
        yield from api.delete_contact(contact_id)
        return Outcome(operation="delete_contacts", requested=1, confirmed=(contact_id,))

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        """Reads the identifiers first, to send the value as it is stored."""
        stored = next((i for i in (yield from self._identifiers(contact_id)) if i == identifier), None)
        if stored is None:
            return Outcome(operation="remove_identifier", requested=1, absent=(identifier.value,))
        yield from api.delete_identifier(contact_id, stored.key, stored.value)
        return Outcome(operation="remove_identifier", requested=1, confirmed=(identifier.value,))

    def remove_from_list(self, list_id: str, members: Sequence[Member]) -> Flow[Outcome]:
        return (yield from self._change("remove_from_list", api.remove_from_list, list_id, members))

    def add_to_list(self, list_id: str, members: Sequence[Member]) -> Flow[Outcome]:
        return (yield from self._change("add_to_list", api.add_to_list, list_id, members))

    def _change(
        self,
        operation: str,
        change: Callable[[str, Any], Call[Processed]],
        list_id: str,
        members: Sequence[Member],
    ) -> Flow[Outcome]:
        """Change membership. Bird says how many it processed; if not all, reading back tells which."""
        references = {m: mapping.reference(m) for m in members if isinstance(m, Identifier)}
        nobodys = [m for m, reference in references.items() if reference is None]
        ids = [m for m in members if isinstance(m, str)]
        known = [reference for reference in references.values() if reference]
        absent = Outcome(operation=operation, requested=len(nobodys), absent=tuple(m.value for m in nobodys))
        if not (ids or known):
            return absent
        sent: list[Member] = [*ids, *(m for m in references if m not in nobodys)]
        processed = (yield from change(list_id, api.members(ids, known))).items_processed
        if processed >= len(sent):
            done = Outcome(operation=operation, requested=len(sent), confirmed=tuple(map(spelled, sent)))
            return Outcome.total(operation, self.name, [done, absent])
        wanted = operation == "add_to_list"
        checks = [self._read_back(operation, list_id, member, wanted=wanted) for member in sent]
        settled = yield from steps.run_together(checks, self.concurrency)
        outcomes = [
            each.value or Outcome(operation=operation, requested=1)  # not read: neither confirmed nor failed
            for each in settled
        ]
        return Outcome.total(operation, self.name, [*outcomes, absent])

    def _read_back(self, operation: str, list_id: str, member: Member, *, wanted: bool) -> Flow[Outcome]:
        name = spelled(member)
        on_list: list[bool] = []
        try:
            ids = [member] if isinstance(member, str) else [c.id for _, c in (yield from self.find([member]))]
            for contact_id in ids:
                found = yield from steps.gather(partial(self._lists_of_contact_page, contact_id))
                on_list.append(any(each.id == list_id for each in found))
        except NotFound:
            ids = []
        if not ids:
            return Outcome(operation=operation, requested=1, absent=(name,))
        if all(each is wanted for each in on_list):
            return Outcome(operation=operation, requested=1, confirmed=(name,))
        reason = f"Bird did not process it; a re-read finds the contact {'still' if not wanted else 'not'} on the list"
        return Outcome(operation=operation, requested=1, failed=(Failure(name, reason),))

    def _lists_of_contact_page(self, contact_id: str, cursor: str | None) -> Flow[Page[ListDetails]]:
        found = yield from api.lists_of_contact(contact_id, cursor)
        return Page(found.results, found.next_page_token or None)

    # -- reading

    def translate(self, query: Query) -> NativeQuery | None:
        reference = mapping.asked(query)
        return NativeQuery(f"{reference['key']} = {reference['value']}", reference) if reference else None

    def search(self, query: NativeQuery) -> Flow[Sample]:
        reference: Any = query.asks
        found = yield from self._complete((yield from api.search(**reference)).results)
        return Sample(found, len(found))

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact]]]:
        (identifier,) = identifiers
        reference = mapping.reference(identifier)
        if reference is None:  # Bird has no such kind, so nobody has it
            return []
        found = yield from self._complete((yield from api.search(**reference)).results)
        return [(identifier, contact) for contact in found]

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        (contact_id,) = ids
        return (yield from self._complete([(yield from api.contact(contact_id))]))

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        found = yield from (api.contacts_of_list(list_id, cursor) if list_id else api.contacts(cursor))
        return Page((yield from self._complete(found.results)), found.next_page_token or None)

    def _complete(self, found: Sequence[ContactDetails]) -> Flow[list[Contact]]:
        """Contacts with all their identifiers; those that an answer shows only in part are read apart."""
        known = {details.id: mapping.known_identifiers(details) for details in found}
        lacking = [details.id for details in found if (details.identifier_count or 0) > len(known[details.id])]
        settled = yield from steps.run_together([self._identifiers(each) for each in lacking], self.concurrency)
        for contact_id, each in zip(lacking, settled, strict=True):
            if each.error and not isinstance(each.error, NotFound):  # gone meanwhile: what was shown is what there is
                raise each.error
            known[contact_id] = each.value or known[contact_id]
        return [mapping.contact(details, known[details.id]) for details in found]

    def _identifiers(self, contact_id: str) -> Flow[tuple[Identifier, ...]]:
        return mapping.identifiers((yield from steps.gather(lambda cursor: self._identifiers_page(contact_id, cursor))))

    def _identifiers_page(self, contact_id: str, cursor: str | None) -> Flow[Page[Any]]:
        found = yield from api.identifiers(contact_id, cursor)
        return Page(found.results, found.next_page_token or None)

    # -- lists and fields

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        found = yield from api.lists(cursor)
        return Page([mapping.contact_list(one) for one in found.results], found.next_page_token or None)

    def create_list(self, name: str) -> Flow[ContactList]:
        return mapping.contact_list((yield from api.create_list(name)))

    def delete_list(self, list_id: str) -> Flow[Outcome]:
        yield from api.delete_list(list_id)
        return Outcome(operation="delete_list", requested=1, confirmed=(list_id,))

    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        found = yield from api.attribute_definitions(cursor)
        return Page([mapping.field(one) for one in found.results], found.next_page_token or None)

    # -- writing

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        """A contact with an id of Bird's is updated; one with an identifier updated or created; any other created."""
        (contact,) = contacts
        if len(lists) > mapping.MOST_LISTS:
            raise InvalidInput(
                f"Bird puts a contact on at most {mapping.MOST_LISTS} lists at once",
                hint="use add_to_list for the others",
            )
        lost: set[str] = set()
        attributes, references = mapping.attributes(contact, lost), mapping.references(contact, lost)
        body: dict[str, Any] = {"attributes": attributes} if attributes else {}
        written: ContactDetails | None = None
        if contact.provider == self.name and contact.id:
            joining = {"addIdentifiers": references} if references else {}
            with suppress(NotFound):  # an id of another workspace
                written = yield from api.update_contact(contact.id, body | joining | _lists("addToLists", lists))
        if written is None and references:
            first, *others = references
            joining = {"addIdentifiers": others} if others else {}
            written = yield from api.upsert_contact(**first, body=body | joining | _lists("addToLists", lists))
        elif written is None:
            name = {"displayName": mapping.display_name(contact)}
            written = yield from api.create_contact(name | body | _lists("listIds", lists))
        return Outcome(operation="upsert_contacts", requested=1, confirmed=(written.id,), lost=tuple(sorted(lost)))


def spelled(member: Member) -> str:
    """The name of a member in an outcome."""
    return member.value if isinstance(member, Identifier) else member


def _lists(name: str, ids: Sequence[str]) -> dict[str, Any]:
    return {name: list(ids)} if ids else {}


@hookimpl
def contacts_providers() -> list[type[Provider]]:
    """The provider of this package."""
    return [Bird]


@hookimpl
def contacts_emulators() -> list[type[Emulator]]:
    """The emulator of this package."""
    from contacts_bird.sandbox import BirdEmulator  # noqa: PLC0415 - needs the extra "sandbox"

    return [BirdEmulator]
