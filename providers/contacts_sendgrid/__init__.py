"""Twilio SendGrid Marketing Campaigns: contacts, lists, custom fields, exports and imports."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec
from attrs import evolve, frozen

from contacts_core.errors import IncompleteExport, NotFound, ProviderError, Rejected, UnexpectedPayload
from contacts_core.models import (
    Consent,
    ConsentReason,
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
    Outcome,
    Page,
    Preview,
    Shape,
)
from contacts_core.models.identifiers import scrub
from contacts_core.provider import (
    AddsToLists,
    ChangesContacts,
    Counts,
    CreatesConsentScopes,
    CreatesCustomFields,
    CreatesLists,
    DeletesAllContacts,
    DeletesContacts,
    DeletesLists,
    ErasesMailData,
    ExportsFiles,
    FileReader,
    FindsConsent,
    FindsContacts,
    Flow,
    GetsContacts,
    Join,
    LiftsSuppressions,
    MapsFields,
    NativeQuery,
    PartialResult,
    Provider,
    RateLimit,
    RawContact,
    ReadsConsent,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    Request,
    Searches,
    Sleep,
    UpsertsContacts,
    WritesConsent,
    about_id,
    absent,
    base_url_setting,
    combined,
    done,
    failed,
    flows,
    hookimpl,
    offset_page,
    queued,
    raw_answer,
    secret,
    token_page,
    unconfirmed,
    with_mapped,
)
from contacts_core.query import Query
from contacts_sendgrid import api, mapping, sgql
from contacts_sendgrid.payloads import (
    Accepted,
    ContactDetails,
    ExportStatus,
    FieldDefinitions,
    FieldDetails,
    ImportStatus,
    Match,
    Recipients,
)

if TYPE_CHECKING:
    from contacts_core.emulator import Emulator

S = TypeVar("S", ImportStatus, ExportStatus)

LARGEST_UPSERT = 30_000
LARGEST_BODY = 6_000_000  # bytes
READS_OF_SECOND_JOB = 8  # within about 25 seconds
MOST_TURNS = 5  # of sending a batch again without what SendGrid named
ONE_CONTACT = re.compile(r"/v3/marketing/contacts/[^/]+")
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
    ChangesContacts,
    Counts,
    ReadsLists,
    CreatesLists,
    DeletesLists,
    MapsFields,
    CreatesCustomFields,
    ReadsConsent,
    FindsConsent,
    WritesConsent,
    LiftsSuppressions,
    CreatesConsentScopes,
    ErasesMailData,
):
    """Every write is a job that takes effect half a minute later or more; a search returns at most fifty contacts.

    Attributes:
        api_key: A key with full access to Marketing.
        on_behalf_of: Act as this subuser, or ``account-id <id>``.
        export_format: ``csv``, which has every identifier, or ``json``.
        fields: Which custom field holds the organization, the title or the formatted address.
    """

    name = mapping.NAME
    title = "Twilio SendGrid Marketing Contacts"
    delete_batch_size = 100
    find_batch_size = 100
    get_batch_size = 100
    member_batch_size = 100
    upsert_batch_size = 100_000
    fields_defined_first = True
    rate_limits: ClassVar = {"": RateLimit(600, 60), "search": RateLimit(200, 60), "mail data": RateLimit(100, 60)}
    list_name_lengths = (1, 100)
    field_name_lengths = (1, 100)
    field_name_pattern = "[A-Za-z_][A-Za-z0-9_]*"
    field_types = tuple(mapping.CREATED_TYPES)
    reserved_field_names = mapping.RESERVED_NAMES
    changeable_fields = (*mapping.CHANGED, "custom")
    mappable_fields = mapping.MAPPABLE
    clearable_fields = tuple(mapping.CHANGED)  # a custom field "cannot be null"
    export_includes_lists = False
    consent_page_size = api.RECORDS_ON_A_PAGE
    consent_find_kinds = (IdentifierKind.EMAIL,)
    consent_batch_size = 1000  # how many one request takes is documented nowhere
    keeps_reasons = (ConsentReason.UNSUBSCRIBE,)
    keeps_scopes = True
    scope_name_lengths = (1, 30)
    lifted_reasons = tuple(mapping.RECORDS.values())
    mail_data_batch_size = 1000  # of the longest addresses, so many stay below 256 KB
    export_requests = 4  # start, status, file, and the definitions of custom fields
    costs: ClassVar = {RemovesIdentifiers: {"": 2}, ChangesContacts: {"": 2}}
    non_idempotent: ClassVar[tuple[type[Provider], ...]] = (CreatesLists,)
    secret_patterns = (r"\bSG\.[\w.-]+",)
    status_hints: ClassVar = {451: "not available because of data residency: use the host of the account's region"}
    residual_data: ClassVar = {
        "suppressions": "unsubscribes, bounces, blocks and spam reports are kept by address, apart from contacts",
        "recipient data": (
            "names, addresses and subject lines of mail that was sent are erased by an operation of its own "
            "(erase_mail_data), not with the contact"
        ),
        "billing": "a deleted contact still counts for the month; one that is added again counts as new",
        "segments": "membership is looked at again each hour, so a count may include the contact until then",
        "backups": "what the vendor keeps in backups, and in export files of the last days, is out of reach",
    }

    left_behind: ClassVar = {
        "segments": "build them again from the fields that were copied",
        "templates, single sends and automations": "build them again",
        "statistics": "opens, clicks and the history of what was sent stay; keep an export",
        "sender reputation": "domains are verified again, and a new sender begins with little mail",
    }

    api_key: str = secret()
    base_url: str = base_url_setting("https://api.sendgrid.com")
    on_behalf_of: str = ""
    export_format: str = "csv"

    def headers(self) -> dict[str, str]:
        behalf = {"on-behalf-of": self.on_behalf_of} if self.on_behalf_of else {}
        return {"Authorization": f"Bearer {self.api_key}", **behalf}

    def validate_id(self, id: str) -> str:
        """See `Provider.validate_id`."""
        return super().validate_id(id) or ("the id is too long" if len(id) > LONGEST_ID else "")

    def is_not_found(self, request: Request[Any], content: bytes) -> bool:
        """See `Provider.is_not_found`; SendGrid answers with an empty body for a single contact only."""
        if not content:
            return request.method == "GET" and ONE_CONTACT.fullmatch(request.path) is not None
        if not super().is_not_found(request, content):
            return False
        match msgspec.json.decode(content):
            case {"errors": [{"message": str()}, *_]} | [{"message": str()}, *_]:
                return True
            case {"message": str(), **rest}:
                return not rest.keys().isdisjoint({"field", "parameter", "error_id"})
            case _:
                return False

    def account_id(self) -> Flow[str]:
        """See `Provider.account_id`; with the user, if the key may read it."""
        user = yield from flows.optional(api.user())
        owner = str(user.user_id or user.username) if user else ""
        parts = {"on behalf of": self.on_behalf_of, "user": owner}
        return " ".join([self.base_url, *(f"{name} {value}" for name, value in parts.items() if value)])

    # -- deleting and removing

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        return _queued((yield from api.delete_contacts(ids)))

    def delete_all_contacts(self) -> Flow[Outcome]:
        counted = yield from api.count()
        return _queued((yield from api.delete_all_contacts()), counted.contact_count)

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        """Read the contact first, to send the value as it is stored."""
        details = yield from self._alone(contact_id)
        stored = next((i for i in mapping.identifiers(details) if i == identifier), None)
        if stored is None:
            # What an answer leaves out may be unset or just not told, so the look-up must agree.
            if self.cannot_find(identifier):
                return absent(identifier.value)
            found = yield from self.find([identifier])
            if not any(isinstance(each, str) or each.id == contact_id for _, each in found):
                return absent(identifier.value)
            raise UnexpectedPayload("the answer about the contact leaves out its identifier", provider=self.name)
        if not stored.primary:
            # The type EMAIL means the primary address; what an alternate one would do is documented nowhere.
            return failed(identifier.value, "not sent: SendGrid offers no way to remove an alternate e-mail address")
        request = api.delete_identifier(contact_id, mapping.DELETE_TYPES[stored.kind], stored.value)
        try:
            return _queued((yield from evolve(request, idempotent=False)))
        except ProviderError as error:
            if not (error.unclear and error.retryable):
                raise
        return (yield from flows.after_a_change(self._remove_again(contact_id, identifier, request)))

    def _remove_again(self, contact_id: str, identifier: Identifier, request: Request[Accepted]) -> Flow[Outcome]:
        """Send a removal again whose answer was lost; its job fails where the first one did the work."""
        accepted = yield from request
        if not accepted.job_id:
            return unconfirmed()
        job = Job(id=accepted.job_id, operation="remove_identifier", requested=1)
        for pause in islice(flows.pauses(self.poll_interval), READS_OF_SECOND_JOB):
            yield from Sleep(pause)
            job = yield from self.get_job(job)
            if job.finished:
                break
        if job.state is JobState.DONE:
            return queued(job)
        details = yield from self._alone(contact_id)
        if identifier not in mapping.identifiers(details):
            return done(identifier.value)
        return queued(evolve(job, state=JobState.UNKNOWN))  # what is read may be older than the removal

    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        return _queued((yield from api.remove_from_list(list_id, [str(member) for member in members])))

    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        """Upsert the contacts with all their identifiers, because no endpoint adds existing contacts."""
        ids = [str(member) for member in members]
        found = yield from self._by_id(ids)
        there = {details.id for details in found}
        parts = [absent(id for id in ids if id not in there)]
        items: list[tuple[str, dict[str, Any]]] = []
        for details in found:
            fitted = mapping.preview(evolve(mapping.contact(details), custom={}), Shape(), {})
            if fitted.written is None:
                reason = f"not sent: in SendGrid's answer about the contact, {fitted.refusal}"
                parts.append(failed(details.id, reason))
            else:
                items.append((details.id, mapping.to_write(fitted.written, {}, {})))
        parts.append((yield from self._upsert(items, [list_id], {}, set(), needs_list=True)))
        return combined(parts)

    def _by_id(self, ids: Sequence[str]) -> Flow[list[ContactDetails]]:
        """Read contacts by id, each with its identifiers; contacts whose identifiers are left out are read one by one.

        Raises:
            UnexpectedPayload: An answer has a contact that was not asked for, or leaves out its identifiers.
        """
        answer = (yield from api.batch(ids)).result
        found = {details.id: details for details in answer or ()}
        again = ids if answer is None else [id for id, details in found.items() if not _is_told(details)]
        alone = yield from flows.read_each(again, self.concurrency, self._alone)
        found |= alone
        if found.keys() - set(ids):
            raise UnexpectedPayload("the answer has contacts that were not asked for", provider=self.name)
        return [details for id, details in found.items() if id not in again or id in alone]

    def _alone(self, contact_id: str) -> Flow[ContactDetails]:
        return about_id((yield from api.contact(contact_id)), contact_id, provider=self.name)

    # -- reading

    def translate(self, query: Query) -> NativeQuery | None:
        said = sgql.translate(query)
        return NativeQuery(said) if said else None

    def search(self, query: NativeQuery) -> Flow[PartialResult]:
        found = yield from api.search(query.text)
        contacts = yield from self._contacts(found.result or ())
        if found.contact_count < len(contacts):
            raise UnexpectedPayload("the answer has more contacts than it counts", provider=self.name)
        return PartialResult(contacts, found.contact_count)

    def cannot_find(self, identifier: Identifier) -> str:
        """See `FindsContacts.cannot_find`."""
        return mapping.cannot_find(identifier)

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        """Look up again without the values for which SendGrid refused a whole look-up."""
        asked = {identifier.normal: identifier for identifier in identifiers}
        found: list[tuple[Identifier, ContactDetails]] = []
        unasked: list[tuple[Identifier, str]] = []

        def look_up(values: Sequence[str]) -> Flow[None]:
            try:
                answers = yield from self._matches(identifiers[0], values)
            except Rejected as error:
                named = [v for v in values if any(f"'{v}'" in message for _, message in error.details)]
                if not named or len(named) == len(values):
                    raise
                unasked.extend((asked[value], _refused(error)) for value in named)
                return (yield from look_up([value for value in values if value not in named]))
            untold = [value for value in values if value not in answers]
            if untold and len(values) == 1:
                raise UnexpectedPayload("the answer leaves out an identifier that was asked for", provider=self.name)
            for value in untold:
                yield from look_up([value])
            for value, match in answers.items():
                if match.contact and value in asked:
                    found.append((asked[value], (yield from self._whole(match.contact, asked[value]))))
                elif value in asked and "not found" not in (match.error or "").lower():
                    unasked.append(
                        (asked[value], f"SendGrid did not look it up: {scrub(match.error or 'no reason given')}")
                    )
            return None

        _, refused = yield from flows.apart(list(asked), look_up)
        unasked.extend((asked[value], _refused(error)) for value, error in refused)
        contacts = yield from self._contacts([details for _, details in found])
        return [*zip([wanted for wanted, _ in found], contacts, strict=True), *unasked]

    def _matches(self, like: Identifier, values: Sequence[str]) -> Flow[dict[str, Match]]:
        """Return the answer for each value; after a 404, all are not found."""
        try:
            if like.kind is IdentifierKind.EMAIL:
                found = yield from api.search_emails(values)
            else:
                found = yield from api.search_identifiers(mapping.FIELDS[like.kind], values)
        except NotFound as error:
            return dict.fromkeys(values, Match(error=f"contact not found: {error}"))
        return {evolve(like, value=key).normal: match for key, match in (found.result or {}).items()}

    def _whole(self, details: ContactDetails, answers: Identifier) -> Flow[ContactDetails]:
        """Return the contact of an answer; read it by itself if the answer leaves out its alternate addresses."""
        if details.alternate_emails is not None or answers in mapping.identifiers(details):
            return details
        return (yield from self._alone(details.id))

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        answer = (yield from api.batch(ids)).result
        found = answer if answer is not None else (yield from self._by_id(ids))
        return (yield from self._contacts(found))

    def raw_contact(self, contact_id: str) -> Flow[RawContact]:
        return raw_answer(api.contact(contact_id))

    def sample(self) -> Flow[Sequence[Contact] | None]:
        """See `Exports.sample`: up to fifty contacts, and the number of all."""
        found = yield from api.sample()
        if found.result:
            return (yield from self._contacts(found.result))
        return [] if found.contact_count == 0 else None

    def start_export(self, list_id: str | None) -> Flow[Job]:
        started = yield from api.start_export(list_id, self.export_format)
        return Job(id=started.id)

    def file_reader(self) -> Flow[FileReader]:
        return mapping.Reader.of((yield from self._read_definitions()), self.fields)

    def count(self) -> Flow[Count]:
        count = (yield from api.count()).contact_count
        if count < 0:
            raise UnexpectedPayload("the number of contacts is negative", provider=self.name)
        return Count(count, source="counter")

    def count_left_behind(self) -> Flow[Mapping[str, int]]:
        """See `Exports.count_left_behind`: segments are the only ones that the API of contacts lists."""
        found = yield from api.segments()
        return {} if found.results is None else {"segments": len(found.results)}

    # -- lists and fields

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        found = yield from api.lists(cursor)
        if found.result is None:
            raise UnexpectedPayload("the answer leaves out the lists", provider=self.name)
        return token_page(map(mapping.contact_list, found.result), mapping.page_token(found.metadata.next))

    def create_list(self, name: str) -> Flow[ContactList]:
        return mapping.contact_list((yield from api.create_list(name)))

    def delete_list(self, list_id: str) -> Flow[Outcome]:
        yield from api.delete_list(list_id)
        return done(list_id)

    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        found = yield from self._read_definitions()
        return Page([self.with_holder(mapping.field(one)) for one in found.custom_fields or ()])

    def create_custom_field(self, name: str, type: FieldType) -> Flow[FieldDefinition]:
        created = yield from api.create_field(name, mapping.CREATED_TYPES[type])
        self._last_definitions.clear()
        return self.with_holder(mapping.field(created))

    @cached_property
    def _last_definitions(self) -> list[FieldDefinitions]:
        """The definitions of fields as they were last read, if they were."""
        return []

    def _definitions(self, names: Collection[str] = ()) -> Flow[FieldDefinitions]:
        """Return the definitions of fields as they were last read, if they have these names; else they are read."""
        seen = self._last_definitions[0] if self._last_definitions else None
        if seen and not set(names).difference(each.name for each in seen.custom_fields or ()):
            return seen
        return (yield from Join(("custom fields", id(seen)), partial(self._newer_definitions, seen)))

    def _newer_definitions(self, seen: FieldDefinitions | None) -> Flow[FieldDefinitions]:
        for known in self._last_definitions:
            if known is not seen:  # another flow has read them meanwhile
                return known
        return (yield from self._read_definitions())

    def _read_definitions(self) -> Flow[FieldDefinitions]:
        found = yield from api.field_definitions()
        self._last_definitions[:] = [found]
        return found

    def _contacts(self, found: Sequence[ContactDetails]) -> Flow[list[Contact]]:
        """Return contacts with custom dates as dates, and with the fields that custom fields hold.

        The definitions are read where a value may be a date.
        """
        names = {name for details in found for name in mapping.dated(details)}
        dates = mapping.dates((yield from self._definitions(names))) if names else frozenset[str]()
        contacts = [mapping.contact(details, dates) for details in found]
        return [with_mapped(each, self.fields) for each in contacts] if self.fields else contacts

    # -- consent

    def consent_page(self, cursor: str | None) -> Flow[Page[Consent]]:
        """Read the suppressions of all groups first, then page by page what SendGrid keeps by reason."""
        kinds = list(mapping.RECORDS)
        if cursor is None:
            return token_page((yield from self._group_suppressions()), f"{kinds[0]}/0")
        kind, _, offset = cursor.partition("/")
        found = yield from api.suppression_records(kind, int(offset))
        page = offset_page([mapping.recorded(kind, each) for each in found], offset, size=self.consent_page_size)
        if page.next:
            return token_page(page.items, f"{kind}/{page.next}")
        later = kinds[kinds.index(kind) + 1 :]
        return token_page(page.items, f"{later[0]}/0" if later else None)

    def _group_suppressions(self) -> Flow[list[Consent]]:
        """Read the suppressions of the groups, of which there are no pages, and compare them with the counters.

        Raises:
            IncompleteExport: A group counts more than there are.
        """
        groups = yield from api.suppression_groups()
        found = (yield from api.group_suppressions()) if groups else []
        for group in groups:
            shown = sum(each.group_id == group.id for each in found)
            if group.unsubscribes is not None and shown < group.unsubscribes:
                raise IncompleteExport(shown, group.unsubscribes, f"unsubscribes of the group {group.name}")
        names = {group.id: group.name for group in groups}
        return [mapping.group_suppressed(each, names) for each in found]

    def cannot_find_consent(self, identifier: Identifier) -> str:
        """See `FindsConsent.cannot_find_consent`."""
        return mapping.cannot_suppress(identifier)

    def find_consent(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Consent]]]:
        """Send a request for each list of suppressions. Unsubscribes found this way have no date."""
        (identifier,) = identifiers
        email = identifier.normal
        found: list[Consent] = []
        everything = yield from api.global_suppression(email)
        if everything.recipient_email:
            found.append(mapping.suppressed(everything.recipient_email, ConsentReason.UNSUBSCRIBE))
        groups = (yield from api.groups_of(email)).suppressions
        found += [
            mapping.suppressed(email, ConsentReason.UNSUBSCRIBE, scope=group.name)
            for group in groups
            if group.suppressed
        ]
        for kind in list(mapping.RECORDS)[1:]:
            try:
                found += [mapping.recorded(kind, each) for each in (yield from api.suppression_record(kind, email))]
            except NotFound:  # how deletions tell that there is none
                continue
        return [(identifier, statement) for statement in found]

    def cannot_write_consent(self, statement: Consent) -> str:
        """See `WritesConsent.cannot_write_consent`."""
        return mapping.cannot_suppress(statement.identifier)

    def write_consent(self, statements: Sequence[Consent]) -> Flow[Outcome]:
        """Suppress addresses everywhere, or in the groups that the scopes name; a group must exist."""
        scopes: dict[str, list[Identifier]] = {}
        for statement in statements:
            scopes.setdefault(statement.scope, []).append(statement.identifier)
        groups: dict[str, int] = {}
        if scopes.keys() - {""}:
            groups = {group.name: group.id for group in (yield from api.suppression_groups())}
        parts: list[Outcome] = []
        for scope, identifiers in scopes.items():
            if scope and scope not in groups:
                why = f"not sent: there is no unsubscribe group {scope!r}, and without it they would be unsubscribed "
                parts.append(failed((each.value for each in identifiers), f"{why}from everything"))
                continue

            def send(part: Sequence[Identifier], scope: str = scope) -> Flow[Outcome]:
                emails = [each.normal for each in part]
                request = api.unsubscribe_from(groups[scope], emails) if scope else api.unsubscribe(emails)
                return _suppressed(part, (yield from request))

            done_parts, refused = yield from flows.apart(identifiers, send)
            parts += done_parts
            parts += [failed(each.value, _refused(error)) for each, error in refused]
        return combined(parts)

    def consent_scopes(self) -> Flow[Sequence[str]]:
        return [group.name for group in (yield from api.suppression_groups())]

    def create_consent_scope(self, name: str) -> Flow[None]:
        yield from api.create_suppression_group(name, name)

    def lift_suppression(self, statement: Consent, evidence: str) -> Flow[Outcome]:
        """Delete the one record that a statement stands for; there is no place for the evidence."""
        item, email = statement.identifier.value, statement.identifier.normal
        kind = next(kind for kind, reason in mapping.RECORDS.items() if reason is statement.reason)
        if statement.reason is not ConsentReason.UNSUBSCRIBE:
            try:
                yield from api.delete_suppression_record(kind, email)
            except NotFound:  # how some of them tell that there is none
                return absent(item)
        elif statement.scope:
            ids = [group.id for group in (yield from api.suppression_groups()) if group.name == statement.scope]
            if not ids:
                return failed(item, f"there is no unsubscribe group {statement.scope!r} any more")
            for group_id in ids:
                yield from api.resubscribe_to(group_id, email)
        else:
            yield from api.resubscribe(email)
        return done(item)

    # -- mail that was sent

    def cannot_erase_mail_data(self, identifier: Identifier) -> str:
        """See `ErasesMailData.cannot_erase_mail_data`."""
        return mapping.cannot_suppress(identifier)

    def erase_mail_data(self, identifiers: Sequence[Identifier]) -> Flow[Outcome]:
        """Queue the erasure; what SendGrid refuses is taken out by halves."""

        def send(part: Sequence[Identifier]) -> Flow[Outcome]:
            accepted = yield from api.erase_mail_data([each.normal for each in part])
            return _queued(accepted, len(part))

        parts, refused = yield from flows.apart(identifiers, send)
        return combined([*parts, *(failed(each.value, _refused(error)) for each, error in refused)])

    # -- writing and jobs

    def change_contact(self, contact_id: str, set: Mapping[str, CustomValue], clear: Collection[str]) -> Flow[Outcome]:
        """Upsert the fields with all identifiers of the contact, for an id cannot name it; what is left out stays."""
        texts, custom = self.split_changes(set, clear)
        fields = (yield from self._read_definitions()).custom_fields if custom else None
        found = yield from self._alone(contact_id)
        if found.email is None:
            raise UnexpectedPayload("the answer about the contact leaves out its identifiers", provider=self.name)
        body = mapping.to_change(found, texts, custom, {each.name.lower(): each for each in fields or ()})
        return _queued((yield from api.upsert_contacts([body], [])))

    def preview(self, contact: Contact, shape: Shape) -> Preview:
        return mapping.preview(contact, shape, self.fields)

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        """Send one request if the contacts fit, otherwise an import job with an uploaded file.

        SendGrid takes no ids, and recognises no contact by an alternate address: it would create another one.
        """
        contacts = yield from self._recognisable(contacts)
        fields = FieldDefinitions()
        values = [self.held_values(contact) for contact in contacts]
        if any(values):
            fields = yield from self._definitions()
        ids = {field.name: field.id for field in fields.custom_fields or ()}
        items = [
            (contact.display_id, mapping.to_write(contact, custom, ids))
            for contact, custom in zip(contacts, values, strict=True)
        ]
        definitions = {field.id: field for field in fields.custom_fields or ()}
        lost: set[str] = set()
        if _fits(items):
            outcome = yield from self._upsert(items, lists, definitions, lost)
            return evolve(outcome, dropped_fields=tuple(sorted(lost)))
        rows = [body for _, body in items if mapping.is_importable(body)]
        parts = [evolve((yield from self._import(rows, lists)), requested=len(rows))] if rows else []
        for part in _requests([item for item in items if not mapping.is_importable(item[1])]):
            sent = yield from self._upsert(part, lists, definitions, lost)
            parts.append(sent)
        return evolve(combined(parts), dropped_fields=tuple(sorted(lost)))

    def _recognisable(self, contacts: Sequence[Contact]) -> Flow[Sequence[Contact]]:
        """Return contacts with the identifiers that SendGrid has of them, where an id is given and may not be needed.

        Contacts that were read here have their primary identifiers, marked so, and are not read again.
        """
        partly = [each.id for each in contacts if mapping.is_partly_identified(each)]
        found: dict[str, ContactDetails] = {}
        for ids in flows.chunks(list(dict.fromkeys(partly)), self.get_batch_size):
            found |= {details.id: details for details in (yield from self._by_id(ids))}
        return [
            mapping.with_primary(each, found[each.id]) if each.provider == self.name and each.id in found else each
            for each in contacts
        ]

    def _upsert(
        self,
        items: Sequence[tuple[str, dict[str, Any]]],
        lists: Sequence[str],
        definitions: Mapping[str, FieldDetails],
        lost: set[str],
        *,
        needs_list: bool = False,
    ) -> Flow[Outcome]:
        """Send contacts; remove what SendGrid names in a refusal, and send the rest again.

        Args:
            items: What names each contact in an outcome, and its body.
            lists: Lists to put them on.
            definitions: The custom fields by id.
            lost: Gets the names of fields and lists that SendGrid does not know.
            needs_list: Whether there is nothing to do without a list.
        """
        left, on_lists = list(items), list(lists)
        parts: list[Outcome] = []
        for turn in range(MOST_TURNS):
            if not left:
                break
            bodies = [body for _, body in left]
            try:
                accepted = yield from api.upsert_contacts(bodies, on_lists)
            except Rejected as error:
                blame = mapping.blame(error.details, bodies, on_lists)
                named = bool(blame.contacts or blame.lists or blame.fields)
                if not named and turn == 0:
                    raise
                if not named or turn == MOST_TURNS - 1:
                    parts.append(failed((item for item, _ in left), _refused(error)))
                    break
                parts += [failed(left[n][0], f"SendGrid refused it: {scrub(why)}") for n, why in blame.contacts.items()]
                lost.update(f"lists.{each}" for each in blame.lists)
                lost.update(f"custom.{definitions[each].name}" for each in blame.fields if each in definitions)
                on_lists = [each for each in on_lists if each not in blame.lists]
                left = [
                    (item, _without(body, blame.fields))
                    for n, (item, body) in enumerate(left)
                    if n not in blame.contacts
                ]
                if needs_list and not on_lists:
                    raise
            else:
                return combined([_queued(accepted), *parts])
        return combined(parts)

    def _import(self, bodies: Sequence[Mapping[str, object]], lists: Sequence[str]) -> Flow[Outcome]:
        columns, content = mapping.import_file(bodies, (yield from self._definitions()))
        started = yield from api.start_import(columns, lists)
        yield from api.upload(started, content)
        return _queued(Accepted(started.job_id), len(bodies))

    def get_job(self, job: Job) -> Flow[Job]:
        """Read a write or an export; a job without an operation is looked for in both places."""
        if job.operation == "erase_mail_data":  # how such a job is read is documented nowhere
            return evolve(job, state=JobState.UNKNOWN)
        if job.operation == "export":
            return mapping.export_job(job, self._about(job, (yield from api.export_status(job.id))))
        try:
            return mapping.written(job, self._about(job, (yield from api.import_status(job.id))))
        except NotFound:
            if job.operation == "remove_from_list":
                # Whether jobs of list removal can be read is documented nowhere.
                return evolve(job, state=JobState.UNKNOWN)
            if job.operation:
                raise
        return mapping.export_job(job, self._about(job, (yield from api.export_status(job.id))))

    def _about(self, job: Job, status: S) -> S:
        return about_id(status, job.id, provider=self.name, what="job")


def _is_told(details: ContactDetails) -> bool:
    """Whether an answer has the addresses of a contact; unset ones come as empty text or list."""
    return details.email is not None and details.alternate_emails is not None


def _without(body: dict[str, Any], fields: frozenset[str]) -> dict[str, Any]:
    if not fields or "custom_fields" not in body:
        return body
    kept = {name: value for name, value in body["custom_fields"].items() if name not in fields}
    rest = {name: value for name, value in body.items() if name != "custom_fields"}
    return rest | {"custom_fields": kept} if kept else rest


def _fits(items: Sequence[tuple[str, dict[str, Any]]]) -> bool:
    """Whether contacts fit into one request."""
    return len(items) <= LARGEST_UPSERT and len(msgspec.json.encode([body for _, body in items])) <= LARGEST_BODY


def _requests(items: Sequence[tuple[str, dict[str, Any]]]) -> list[Sequence[tuple[str, dict[str, Any]]]]:
    """Divide contacts into as many requests as they need."""
    if not items or _fits(items):
        return [items] if items else []
    half = len(items) // 2
    return [*_requests(items[:half]), *_requests(items[half:])]


def _refused(error: Rejected) -> str:
    return f"SendGrid refused it: {error}"


def _suppressed(identifiers: Sequence[Identifier], answer: Recipients) -> Outcome:
    """The outcome of a suppression: the addresses that the answer names are confirmed."""
    named = {Identifier.email(email) for email in answer.recipient_emails or ()}
    others = sum(each not in named for each in identifiers)
    confirmed = done(each.value for each in identifiers if each in named)
    return combined([confirmed, unconfirmed(others)]) if others else confirmed


def _queued(accepted: Accepted, requested: int = 0) -> Outcome:
    return queued(accepted.job_id, requested) if accepted.job_id else unconfirmed(requested)


@hookimpl
def contacts_providers() -> list[type[Provider]]:
    """The provider of this package."""
    return [SendGrid]


@hookimpl
def contacts_emulators() -> list[type[Emulator]]:
    """The emulator of this package."""
    from contacts_sendgrid.emulator import SendGridEmulator  # noqa: PLC0415 - needs the extra "sandbox"

    return [SendGridEmulator]
