"""Twilio SendGrid Marketing Campaigns: contacts, lists, custom fields, exports and imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from attrs import evolve, frozen

from contacts_core.capabilities import (
    AddsToLists,
    Counts,
    CreatesLists,
    DeletesAllContacts,
    DeletesContacts,
    DeletesLists,
    ExportsFiles,
    FileReader,
    FindsContacts,
    GetsContacts,
    NativeQuery,
    ReadsCustomFields,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    Sample,
    Searches,
    UpsertsContacts,
)
from contacts_core.errors import NotFound
from contacts_core.flow import Call, Flow, Upload
from contacts_core.identifiers import Identifier, IdentifierKind
from contacts_core.models import (
    Contact,
    ContactList,
    Count,
    Failure,
    FieldDefinition,
    Job,
    JobState,
    Outcome,
    Page,
)
from contacts_core.plugins import hookimpl
from contacts_core.provider import Provider, Rate, address, secret
from contacts_core.query import Query
from contacts_sendgrid import api, mapping, sgql
from contacts_sendgrid.payloads import Accepted, FieldDefinitions

if TYPE_CHECKING:
    from contacts_core.sandbox import Emulator

LARGEST_UPSERT = 30_000
LARGEST_BODY = 6_000_000  # bytes
LONGEST_ID = 64  # a hundred of these stay below the 8 kB that nginx allows a request line


@frozen(kw_only=True)
class SendGrid(
    DeletesContacts,
    DeletesAllContacts,
    RemovesIdentifiers,
    RemovesFromLists,
    AddsToLists,
    Searches,
    FindsContacts,
    GetsContacts,
    ExportsFiles,
    UpsertsContacts,
    Counts,
    ReadsLists,
    CreatesLists,
    DeletesLists,
    ReadsCustomFields,
):
    """Every write is a job that takes effect half a minute later or more; search shows fifty contacts at most.

    Attributes:
        api_key: A key with full access to Marketing.
        on_behalf_of: Act as this subuser, or ``account-id <id>``.
        export_format: ``csv``, which has every identifier, or ``json``.
    """

    name = mapping.NAME
    title = "Twilio SendGrid Marketing Contacts"
    batch = 100
    find_batch = 100
    get_batch = 100
    member_batch = 100
    upsert_batch = 100_000
    rates: ClassVar = {"": Rate(600, 60), "search": Rate(200, 60)}
    exports_lists = False
    costs: ClassVar = {RemovesIdentifiers: {"": 2}}
    unreached: ClassVar = {
        "suppressions": "unsubscribes, bounces, blocks and spam reports are kept by address, apart from contacts",
        "recipient data": (
            "names, addresses and subject lines of mail that was sent are erased by an API of their own "
            "(POST /v3/recipients/erasejob), which is not called here"
        ),
        "billing": "a deleted contact still counts for the month; one that is added again counts as new",
        "segments": "membership is looked at again each hour, so a count may include the contact until then",
        "backups": "what the vendor keeps in backups, and in export files of the last days, is out of reach",
    }

    api_key: str = secret()
    base_url: str = address("https://api.sendgrid.com")
    on_behalf_of: str = ""
    export_format: str = "csv"

    def headers(self) -> dict[str, str]:
        behalf = {"on-behalf-of": self.on_behalf_of} if self.on_behalf_of else {}
        return {"Authorization": f"Bearer {self.api_key}", **behalf}

    def refuse_id(self, id: str) -> str:
        """See `Provider.refuse_id`."""
        return super().refuse_id(id) or ("the id is too long" if len(id) > LONGEST_ID else "")

    def is_not_found(self, call: Call[Any], content: bytes) -> bool:
        """See `Provider.is_not_found`; SendGrid answers some 404s with an empty body."""
        return not content or super().is_not_found(call, content)

    # -- deleting and removing

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        accepted = yield from api.delete_contacts(ids)
        return self._queued("delete_contacts", accepted, len(ids))

    def delete_all_contacts(self) -> Flow[Outcome]:
        counted = yield from api.count()
        accepted = yield from api.delete_all_contacts()
        return self._queued("delete_all_contacts", accepted, counted.contact_count)

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        """Reads the contact first, to send the value as it is stored."""
        contact = mapping.contact((yield from api.contact(contact_id)))
        stored = next((i for i in contact.identifiers if i == identifier), None)
        if stored is None:
            return Outcome(operation="remove_identifier", requested=1, absent=(identifier.value,))
        if not stored.primary:
            # The type EMAIL means the primary address; what an alternate one would do is documented nowhere.
            failure = Failure(
                identifier.value, "not sent: SendGrid offers no way to remove an alternate e-mail address"
            )
            return Outcome(operation="remove_identifier", requested=1, failed=(failure,))
        accepted = yield from api.delete_identifier(contact_id, mapping.DELETE_TYPES[stored.kind], stored.value)
        return self._queued("remove_identifier", accepted, 1)

    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        accepted = yield from api.remove_from_list(list_id, [str(member) for member in members])
        return self._queued("remove_from_list", accepted, len(members))

    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        """No endpoint adds existing contacts: an upsert with all their identifiers does."""
        ids = [str(member) for member in members]
        found = (yield from api.batch(ids)).result or []
        present = {details.id for details in found}
        absent = tuple(id for id in ids if id not in present)
        nobody = Outcome(operation="add_to_list", requested=len(absent), absent=absent)
        if not found:
            return nobody
        bodies = [mapping.to_write(evolve(mapping.contact(d), custom={}), {}, set()) for d in found]
        accepted = yield from api.upsert_contacts(bodies, [list_id])
        return Outcome.total("add_to_list", self.name, [self._queued("add_to_list", accepted, len(found)), nobody])

    # -- reading

    def translate(self, query: Query) -> NativeQuery | None:
        said = sgql.translate(query)
        return NativeQuery(said) if said else None

    def search(self, query: NativeQuery) -> Flow[Sample]:
        found = yield from api.search(query.text)
        return Sample([mapping.contact(details) for details in found.result or ()], found.contact_count)

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact]]]:
        """One malformed address would make SendGrid refuse all; nobody has such a one."""
        kind = identifiers[0].kind
        asked = {identifier.normal: identifier for identifier in identifiers}
        if kind is IdentifierKind.EMAIL:
            asked = {value: i for value, i in asked.items() if mapping.EMAIL_SYNTAX.fullmatch(value)}
        if not asked or kind not in mapping.FIELDS:
            return []
        try:
            if kind is IdentifierKind.EMAIL:
                found = yield from api.search_emails(list(asked))
            else:
                found = yield from api.search_identifiers(mapping.FIELDS[kind], list(asked))
        except NotFound:  # none of them
            return []
        answers = {evolve(identifiers[0], value=key).normal: match for key, match in (found.result or {}).items()}
        return [
            (identifier, mapping.contact(match.contact))
            for value, identifier in asked.items()
            if (match := answers.get(value)) and match.contact
        ]

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        found = yield from api.batch(ids)
        return [mapping.contact(details) for details in found.result or ()]

    def start_export(self, list_id: str | None) -> Flow[Job]:
        started = yield from api.start_export(list_id, self.export_format)
        return Job(provider=self.name, id=started.id, operation="export")

    def file_reader(self) -> Flow[FileReader]:
        return mapping.Reader.of((yield from api.field_definitions()))

    def count(self) -> Flow[Count]:
        return Count((yield from api.count()).contact_count, how="counter")

    # -- lists and fields

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        found = yield from api.lists(cursor)
        return Page([mapping.contact_list(one) for one in found.result or ()], mapping.page_token(found.metadata.next))

    def create_list(self, name: str) -> Flow[ContactList]:
        return mapping.contact_list((yield from api.create_list(name)))

    def delete_list(self, list_id: str) -> Flow[Outcome]:
        yield from api.delete_list(list_id)
        return Outcome(operation="delete_list", requested=1, confirmed=(list_id,))

    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        found = yield from api.field_definitions()
        return Page([mapping.field(one) for one in found.custom_fields or ()])

    # -- writing and jobs

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        """One request where it fits, else an import job with an uploaded file."""
        operation = "upsert_contacts"
        fields, lost = FieldDefinitions(), set[str]()
        if any(contact.custom for contact in contacts) or len(contacts) > LARGEST_UPSERT:
            fields = yield from api.field_definitions()
        ids = {f.name.lower(): f for f in fields.custom_fields or ()}
        reasons = [mapping.unfit(contact) for contact in contacts]
        pairs = list(zip(contacts, reasons, strict=True))
        failed = tuple(Failure(contact.handle, f"not sent: {reason}") for contact, reason in pairs if reason)
        bodies = [mapping.to_write(contact, ids, lost) for contact, reason in pairs if not reason]
        refused = Outcome(operation=operation, requested=len(failed), failed=failed)
        if not bodies:
            return refused
        if len(bodies) <= LARGEST_UPSERT and len(msgspec.json.encode(bodies)) <= LARGEST_BODY:
            job = self._queued(operation, (yield from api.upsert_contacts(bodies, lists)), len(bodies))
        else:
            job = yield from self._import(bodies, lists, fields, lost)
        return evolve(Outcome.total(operation, self.name, [job, refused]), lost=tuple(sorted(lost)))

    def _import(
        self,
        bodies: Sequence[Mapping[str, object]],
        lists: Sequence[str],
        fields: FieldDefinitions,
        lost: set[str],
    ) -> Flow[Outcome]:
        if not fields.reserved_fields:
            fields = yield from api.field_definitions()
        columns, content = mapping.import_file(bodies, fields, lost)
        started = yield from api.start_import(columns, lists)
        headers = {each.header: each.value for each in started.upload_headers}
        yield from Upload(started.upload_uri, headers, content)
        return self._queued("upsert_contacts", Accepted(started.job_id), len(bodies))

    def check(self, job: Job) -> Flow[Job]:
        """Writes and exports are read in two places; a bare id is looked for in both."""
        if job.operation == "export":
            return mapping.export_job(job, (yield from api.export_status(job.id)))
        try:
            return mapping.written(job, (yield from api.import_status(job.id)))
        except NotFound:
            if job.operation == "remove_from_list":
                # Whether jobs of list removal can be read is documented nowhere.
                return evolve(job, state=JobState.UNKNOWN)
            if job.operation:
                raise
        return mapping.export_job(job, (yield from api.export_status(job.id)))

    def _queued(self, operation: str, accepted: Accepted, requested: int) -> Outcome:
        if not accepted.job_id:
            return Outcome(operation=operation, provider=self.name, requested=requested)
        return Outcome.queued(Job(provider=self.name, id=accepted.job_id, operation=operation, requested=requested))


@hookimpl
def contacts_providers() -> list[type[Provider]]:
    """The provider of this package."""
    return [SendGrid]


@hookimpl
def contacts_emulators() -> list[type[Emulator]]:
    """The emulator of this package."""
    from contacts_sendgrid.sandbox import SendGridEmulator  # noqa: PLC0415 - needs the extra "sandbox"

    return [SendGridEmulator]
