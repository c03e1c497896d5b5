"""SendGrid's payloads as shared models, and back: tables and small functions that never raise on odd values."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from attrs import evolve, frozen

from contacts_core.errors import InvalidInput, UnexpectedPayload
from contacts_core.models import (
    Address,
    Channel,
    Consent,
    ConsentReason,
    ConsentState,
    Contact,
    ContactList,
    CustomValue,
    FieldDefinition,
    FieldType,
    Identifier,
    IdentifierKind,
    Job,
    JobState,
    LossCode,
    Preview,
    Shape,
)
from contacts_core.provider import (
    Fitting,
    HeldFields,
    constructor,
    day,
    fitted_value,
    integer,
    json_text,
    lines_decoder,
    moment,
    number,
    query_value,
    with_mapped,
)
from contacts_sendgrid.payloads import (
    Attributes,
    ContactDetails,
    ExportedContact,
    ExportStatus,
    FieldDefinitions,
    FieldDetails,
    GroupSuppression,
    ImportStatus,
    ListDetails,
    SuppressionRecord,
)

NAME = "sendgrid"

# Three spellings of the same four types, by endpoint.
DELETE_TYPES = {
    IdentifierKind.EMAIL: "EMAIL",
    IdentifierKind.PHONE: "PHONENUMBERID",
    IdentifierKind.EXTERNAL_ID: "EXTERNALID",
    IdentifierKind.ANONYMOUS_ID: "ANONYMOUSID",
}
FIELDS = {
    IdentifierKind.EMAIL: "email",
    IdentifierKind.PHONE: "phone_number_id",
    IdentifierKind.EXTERNAL_ID: "external_id",
    IdentifierKind.ANONYMOUS_ID: "anonymous_id",
}
JOB_STATES = {
    "pending": JobState.PENDING,
    "completed": JobState.DONE,
    "errored": JobState.PARTIAL,
    "failed": JobState.FAILED,
}
EXPORT_STATES = {"pending": JobState.PENDING, "ready": JobState.DONE, "failure": JobState.FAILED}
FIELD_TYPES = {"text": FieldType.TEXT, "number": FieldType.NUMBER, "date": FieldType.DATE}
CREATED_TYPES = {FieldType.TEXT: "Text", FieldType.NUMBER: "Number", FieldType.DATE: "Date"}
EXTRAS = ("unique_name", "phone_number", "whatsapp", "line", "facebook", "segment_ids")
WRITABLE_EXTRAS = EXTRAS[:-1]
# The lists of suppressions that have pages, in the order in which they are read.
RECORDS = {
    "unsubscribes": ConsentReason.UNSUBSCRIBE,
    "bounces": ConsentReason.BOUNCE,
    "blocks": ConsentReason.BLOCK,
    "invalid_emails": ConsentReason.INVALID,
    "spam_reports": ConsentReason.COMPLAINT,
}
ADDRESS = {
    "line1": "address_line_1",
    "line2": "address_line_2",
    "city": "city",
    "region": "state_province_region",
    "postal_code": "postal_code",
    "country": "country",
}
CHANGED = {name: name for name in ("first_name", "last_name")} | {
    f"address.{ours}": theirs for ours, theirs in ADDRESS.items()
}  # fields that can be changed, by their shared names
MAPPABLE = ("organization", "title", "address.formatted")  # fields that a custom field can hold
# Custom fields cannot have these names: https://www.twilio.com/docs/sendgrid/ui/managing-contacts/custom-fields
RESERVED_NAMES = (
    *("first_name", "last_name", "email", "alternate_emails", "address_line_1", "address_line_2", "city"),
    *("state_province_region", "postal_code", "country", "phone_number", "whatsapp", "line", "facebook", "unique_name"),
    *("email_domains", "last_clicked", "last_opened", "last_emailed", "singlesend_id", "automation_id", "created_at"),
    *("updated_at", "contact_id", "phone_number_id", "external_id", "anonymous_id", "list_ids", "segment_ids"),
)
MOST_ALTERNATES = 5
LONGEST = {
    "address_line_1": 100,
    "address_line_2": 100,
    "city": 60,
    "country": 50,
    "state_province_region": 50,
    "first_name": 50,
    "last_name": 50,
    "email": 254,
    "external_id": 254,
    "anonymous_id": 254,
}  # characters, from the document's ContactRequest
LONGEST_TEXTS = {f"address.{ours}": LONGEST.get(theirs, 1000) for ours, theirs in ADDRESS.items()} | {
    name: LONGEST[name] for name in ("first_name", "last_name")
}
LONGEST_VALUE = 1000  # characters of a custom field
MOST = {
    IdentifierKind.EMAIL: 1 + MOST_ALTERNATES,
    IdentifierKind.PHONE: 1,
    IdentifierKind.EXTERNAL_ID: 1,
    IdentifierKind.ANONYMOUS_ID: 1,
}
NOT_OF_CELLS = {"unknown", "custom_fields", "metadata", "list_ids", "segment_ids", "alternate_emails"}
# Texts of a contact by the names of their columns in an export file, in lower case.
CELLS = {
    theirs: ours
    for theirs, ours in zip(ExportedContact.__struct_encode_fields__, ExportedContact.__struct_fields__, strict=True)
    if ours not in NOT_OF_CELLS
}
NESTED = {dict, list}
NO_DATES: frozenset[str] = frozenset()
EMAIL_SYNTAX = re.compile(r"[^@\s,<>()\"\\]+@[^@\s,<>()\"\\]+\.[^@\s,<>()\"\\]+")
DATE_LIKE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
BETWEEN_EMAILS = re.compile(r"[\s,;]+")
NTH = re.compile(r"contacts\[([0-9]{1,6})\]")
NAMED_EMAIL = re.compile(r"email '(.*)' is not valid", re.DOTALL)

EMAIL, PHONE = IdentifierKind.EMAIL, IdentifierKind.PHONE

make_contact = constructor(Contact, provider=NAME, full_name=None, organization=None, title=None, tags=())
make_address = constructor(Address, formatted="")
make_email, make_phone, make_external_id, make_anonymous_id = (
    constructor(Identifier, kind=kind, primary=True, label="", key=key, country_code="") for kind, key in FIELDS.items()
)
make_alternate = constructor(Identifier, kind=EMAIL, primary=False, label="", key="alternate_emails", country_code="")
decode_lines = lines_decoder(ExportedContact)


# -- contacts --------------------------------------------------------------------------------------------------------


def contact(a: ContactDetails | ExportedContact, dates: frozenset[str] = NO_DATES) -> Contact:
    """Return a contact, which goes on with the mappings of its payload: nothing is copied.

    Args:
        a: The payload.
        dates: The names of custom fields with dates; in JSON these are texts.
    """
    if not a.id:
        raise UnexpectedPayload("the answer has a contact without an id", provider=NAME)
    extra: dict[str, Any] = a.unknown
    if a.phone_number:  # by far the most frequent of them, and a loop costs as much as a fifth of a contact
        extra["phone_number"] = a.phone_number
    if a.unique_name or a.whatsapp or a.line or a.facebook or a.segment_ids:
        extra.update((name, value) for name in EXTRAS if (value := getattr(a, name)))
    custom: dict[str, Any] = a.custom_fields or {}
    for name, value in custom.items():
        if isinstance(value, str):
            if name in dates:
                custom[name] = day(value) or value
        elif type(value) in NESTED:  # a shape that nobody documented
            custom[name] = json_text(value)
    city, country, line1 = a.city, a.country, a.address_line_1
    address = None
    if city or country or line1 or a.postal_code or a.state_province_region or a.address_line_2:
        address = make_address(
            line1 or "",
            a.address_line_2 or "",
            city or "",
            a.state_province_region or "",
            a.postal_code or "",
            country or "",
        )
    created, lists = moment(a.created_at, extra, "created_at"), a.list_ids
    return make_contact(
        a.id,
        identifiers(a),
        a.first_name or None,
        a.last_name or None,
        address,
        None if lists is None else tuple(lists),
        custom,
        created,
        moment(a.updated_at, extra, "updated_at"),
        extra,
    )


def identifiers(a: Attributes) -> tuple[Identifier, ...]:
    """Return the identifiers of a contact, the primary ones first."""
    found: list[Identifier] = []
    if a.email:
        found.append(make_email(a.email))
    if a.phone_number_id:
        found.append(make_phone(a.phone_number_id))
    if a.external_id:
        found.append(make_external_id(a.external_id))
    if a.anonymous_id:
        found.append(make_anonymous_id(a.anonymous_id))
    if a.alternate_emails:
        found += [make_alternate(each) for each in a.alternate_emails if each]
    return tuple(found)


# -- fields ----------------------------------------------------------------------------------------------------------


def field(found: FieldDetails) -> FieldDefinition:
    """Return a custom field."""
    type_ = FIELD_TYPES.get(found.field_type.lower(), FieldType.OTHER)
    return FieldDefinition(
        provider=NAME, id=found.id, name=found.name, type=type_, read_only=found.read_only, extra=found.unknown
    )


def dated(found: ContactDetails) -> list[str]:
    """Return the names of custom fields whose values may be dates: in JSON these are texts."""
    custom = found.custom_fields or {}
    return [name for name, value in custom.items() if isinstance(value, str) and DATE_LIKE.match(value)]


def dates(definitions: FieldDefinitions) -> frozenset[str]:
    """Return the names of custom fields that hold dates."""
    fields = map(field, definitions.custom_fields or ())
    return frozenset(each.name for each in fields if each.type is FieldType.DATE)


# -- export files ----------------------------------------------------------------------------------------------------


def _number(text: str) -> CustomValue:
    read = number(text)
    return text if read is None else read


def _date(text: str) -> CustomValue:
    return day(text) or text


def cell_reader(type_: FieldType) -> Callable[[str], CustomValue]:
    """Return what reads the cells of a custom field; a text that does not fit the type of its field stays text."""
    match type_:
        case FieldType.NUMBER:
            return _number
        case FieldType.DATE:
            return _date
        case _:
            return str


@frozen
class Reader:
    """Reads export files. It needs the custom fields, because CSV headers are in upper case and have no types."""

    fields: Mapping[str, FieldDefinition]
    dates: frozenset[str]
    held: HeldFields

    @classmethod
    def of(cls, definitions: FieldDefinitions, held: HeldFields) -> Reader:
        """Return a reader for an account with these fields, of which some hold fields of `Contact`."""
        return cls({f.name.upper(): field(f) for f in definitions.custom_fields or ()}, dates(definitions), held)

    def json_lines(self, lines: bytes) -> list[Contact]:
        """Map whole lines of JSON."""
        return self._held([contact(each, self.dates) for each in decode_lines(lines)])

    def _held(self, contacts: list[Contact]) -> list[Contact]:
        return [with_mapped(each, self.held) for each in contacts] if self.held else contacts

    def csv(self, header: Sequence[str]) -> Callable[[Sequence[Sequence[str]]], list[Contact]]:
        """Return what maps the rows below this header."""
        if "CONTACT_ID" not in map(str.upper, header):
            raise UnexpectedPayload("the export file has no column CONTACT_ID", provider=NAME)
        columns = _Columns.of(header, self.fields)
        return lambda rows: self._held(_rows(columns, rows))


@frozen
class _Columns:
    """What the cells of a row are, by their position.

    Attributes:
        width: How many cells a row has.
        known: Positions of texts of a contact, with their names.
        emails: Positions of cells with several addresses.
        custom: Positions of custom fields, with their names and what reads their texts.
        others: Positions of columns that nobody documented, with their names.
    """

    width: int
    known: Sequence[tuple[int, str]]
    emails: Sequence[int]
    custom: Sequence[tuple[int, str, Callable[[str], CustomValue]]]
    others: Sequence[tuple[int, str]]

    @classmethod
    def of(cls, header: Sequence[str], fields: Mapping[str, FieldDefinition]) -> _Columns:
        custom = [
            (n, found.name, cell_reader(found.type))
            for n, name in enumerate(header)
            if (found := fields.get(name.upper()))
        ]
        rest = [(n, name.lower()) for n, name in enumerate(header) if name.upper() not in fields]
        return cls(
            len(header),
            [(n, CELLS[name]) for n, name in rest if name in CELLS],
            [n for n, name in rest if name == "alternate_emails"],
            custom,
            [(n, name) for n, name in rest if name not in CELLS and name != "alternate_emails"],
        )


def _rows(columns: _Columns, rows: Sequence[Sequence[str]]) -> list[Contact]:
    contacts: list[Contact] = []
    for row in rows:
        if len(row) != columns.width:
            raise UnexpectedPayload("a row of the export file does not fit its header", provider=NAME)
        found = ExportedContact(id="")
        for n, name in columns.known:
            if text := row[n]:
                setattr(found, name, text)
        for n in columns.emails:
            if text := row[n]:
                found.alternate_emails = [each for each in BETWEEN_EMAILS.split(text.strip('[]" ')) if each]
        found.custom_fields = {name: read(text) for n, name, read in columns.custom if (text := row[n])}
        if columns.others:
            found.unknown = {name: text for n, name in columns.others if (text := row[n])}
        contacts.append(contact(found))
    return contacts


# -- jobs and lists --------------------------------------------------------------------------------------------------


def written(job: Job, status: ImportStatus) -> Job:
    """Return the job of a write as SendGrid sees it now. Counts may come before it is done, or never."""
    results = status.results or {}
    counts = {name: count for name, value in results.items() if (count := integer(value)) is not None and count >= 0}
    parts = [counts[name] for name in ("created_count", "updated_count", "deleted_count") if name in counts]
    requested = job.requested or counts.get("requested_count", 0)
    done = sum(parts)
    # An upsert counts no contact that it left as it was, so a lower number there says nothing.
    proves = bool(parts) and done <= requested and (done >= requested or job.operation != "upsert_contacts")
    errored = counts.get("errored_count", 0)
    state = JOB_STATES.get(status.status, JobState.PENDING)
    return Job(
        id=job.id,
        state=state,
        requested=requested,
        succeeded=done if proves else None,
        failed=min(errored, requested) or (job.requested if state is JobState.FAILED else None),
        counts=counts,
        created_at=moment(status.started_at) or job.created_at,
        finished_at=moment(status.finished_at),
        errors_url=address if isinstance(address := results.get("errors_url"), str) else "",
    )


def export_job(job: Job, status: ExportStatus) -> Job:
    """Return the job of an export as SendGrid sees it now.

    Raises:
        UnexpectedPayload: It is ready, and the answer tells neither its files nor that there is nobody.
    """
    state = EXPORT_STATES.get(status.status, JobState.PENDING)
    count = status.contact_count if status.contact_count is not None and status.contact_count >= 0 else None
    if state is JobState.DONE and not status.urls and (count is None or (count and status.urls is None)):
        raise UnexpectedPayload("a ready export leaves out its files", provider=NAME)
    return Job(
        id=job.id,
        operation="export",
        state=state,
        requested=count or 0,
        succeeded=count,
        created_at=moment(status.created_at),
        finished_at=moment(status.completed_at),
        expires_at=moment(status.expires_at),
        files=tuple(status.urls or ()),
        detail=status.message or "",
    )


def contact_list(found: ListDetails) -> ContactList:
    """Return a list."""
    return ContactList(provider=NAME, id=found.id, name=found.name, count=found.contact_count, extra=found.unknown)


def page_token(link: str | None) -> str | None:
    """Return the cursor in a ``_metadata.next`` link, whose host may be another one.

    Raises:
        UnexpectedPayload: There is a next page, and no cursor that leads to it.
    """
    token = query_value(link, "page_token")
    if link and not token and "page_token" not in link:
        raise UnexpectedPayload("the link to the next page has no page_token", provider=NAME)
    return token


# -- consent ---------------------------------------------------------------------------------------------------------


def suppressed(
    email: str, reason: ConsentReason, created: object = None, scope: str = "", evidence: str = ""
) -> Consent:
    """Return the statement that stands for a suppression."""
    return Consent(
        Identifier.email(email),
        Channel.EMAIL,
        ConsentState.REVOKED,
        reason=reason,
        scope=scope,
        at=moment(created),
        evidence=evidence,
        provider=NAME,
    )


def group_suppressed(found: GroupSuppression, names: Mapping[int, str]) -> Consent:
    """Return the statement that stands for an unsubscribe from a group."""
    scope = names.get(found.group_id) or found.group_name or f"{found.group_id}"
    return suppressed(found.email, ConsentReason.UNSUBSCRIBE, found.created_at, scope)


def recorded(kind: str, found: SuppressionRecord) -> Consent:
    """Return the statement that stands for a record of a list of suppressions."""
    parts = [found.status, found.reason, f"reported through {found.ip}" if found.ip else ""]
    return suppressed(found.email, RECORDS[kind], found.created, evidence=" ".join(filter(None, parts)))


def cannot_suppress(email: Identifier) -> str:
    """Return why SendGrid would refuse an address, and its whole batch with it; empty if it would not."""
    value = email.normal
    valid = EMAIL_SYNTAX.fullmatch(value) and len(value) <= LONGEST["email"]
    return "" if valid else "it is not an e-mail address that SendGrid takes"


# -- writing ---------------------------------------------------------------------------------------------------------


def cannot_find(wanted: Identifier) -> str:
    """Return why SendGrid cannot look up an identifier; empty if it can."""
    name = FIELDS.get(wanted.kind)
    if name is None:
        return "SendGrid has no such identifiers"
    if wanted.kind is EMAIL and not EMAIL_SYNTAX.fullmatch(wanted.normal):
        return "it is not an e-mail address, and SendGrid refuses such a look-up"
    longest = LONGEST.get(name)
    return (
        f"it is longer than the {longest} characters of SendGrid's" if longest and len(wanted.normal) > longest else ""
    )


def preview(contact: Contact, shape: Shape, fields: HeldFields) -> Preview:
    """Return what SendGrid holds of a contact; ``fields`` are those of it that custom fields hold."""
    fitting = Fitting(contact)
    fitting.keep_identifiers(lambda each: _problem(each, _spelled(contact, each), own=contact.provider == NAME))
    for kind, most in MOST.items():
        of_kind = _ranked([each for each in fitting.identifiers if each.kind is kind])
        for each in of_kind[most:]:
            fitting.drop_identifier(each, LossCode.TOO_MANY, f"a contact has {most} of this kind, at most")
    if not fitting.identifiers:
        return fitting.refuse(
            "its e-mail address, phone number or id is invalid"
            if contact.identifiers
            else "it has no e-mail address, phone number, external id or anonymous id"
        )
    for name in [each for each in (*MAPPABLE, "tags") if each not in fields]:
        fitting.drop(name, LossCode.NO_PLACE, "SendGrid has no such field; a custom field can hold it")
    if contact.provider != NAME:
        fitting.drop("extra", LossCode.NO_PLACE)
    fitting.cut(LONGEST_TEXTS)
    fitting.drop_full_name("SendGrid has a first and a last name")
    fitting.fit_mapped(fields, shape, fitted_value, longest=LONGEST_VALUE)
    fitting.fit_custom(shape, fitted_value, longest=LONGEST_VALUE, clears=False)
    shown = tuple(
        evolve(each, value=_stored(contact, each), primary=first, country_code="")
        for kind in FIELDS
        for first, each in _marked(_ranked([each for each in fitting.identifiers if each.kind is kind]))
    )
    return fitting.preview(identifiers=shown)


def _ranked(identifiers: Sequence[Identifier]) -> list[Identifier]:
    """Identifiers of one kind, the one that is marked primary first."""
    return sorted(identifiers, key=lambda each: not each.primary)


def _marked(identifiers: Sequence[Identifier]) -> list[tuple[bool, Identifier]]:
    return [(number == 0, each) for number, each in enumerate(identifiers)]


def _stored(contact: Contact, identifier: Identifier) -> str:
    """The value as SendGrid keeps it: addresses in lower case."""
    value = _spelled(contact, identifier)
    return value.lower() if identifier.kind is EMAIL else value


def _problem(identifier: Identifier, value: str, *, own: bool) -> tuple[LossCode, str] | None:
    """Return why SendGrid does not keep an identifier; None if it does."""
    if identifier.kind not in FIELDS:
        return LossCode.NO_PLACE, "SendGrid has no such identifiers"
    if not value or len(value) > LONGEST.get(FIELDS[identifier.kind], len(value)):
        return LossCode.REFUSED, "it is empty or too long"
    if identifier.kind is EMAIL and not (EMAIL_SYNTAX.fullmatch(value) and (own or identifier.certain)):
        return LossCode.REFUSED, "it is not an e-mail address that SendGrid takes"
    if identifier.kind is PHONE and not (own or E164.fullmatch(value)):
        return LossCode.REFUSED, "it is not a phone number in international form"
    return None


@frozen
class Blame:
    """What a refusal names: contacts by position with the reason, lists, and ids of custom fields."""

    contacts: Mapping[int, str]
    lists: frozenset[str]
    fields: frozenset[str]


def blame(details: Sequence[tuple[str, str]], bodies: Sequence[Mapping[str, Any]], lists: Sequence[str]) -> Blame:
    """Return what the refusal of an upsert names."""
    contacts: dict[int, str] = {}
    wrong_lists: set[str] = set()
    wrong_fields: set[str] = set()
    sent = {field_id for body in bodies for field_id in body.get("custom_fields", {})}
    for field, message in details:
        place, named = NTH.match(field), NAMED_EMAIL.fullmatch(message)
        fields = {each.strip() for each in message.rpartition(" - ")[2].split(",")} & sent
        if fields and field.endswith("custom_fields"):
            wrong_fields |= fields
        elif named:
            wrong = named[1].lower()
            contacts.update((n, message) for n, body in enumerate(bodies) if wrong in _emails(body))
        elif place and int(place[1]) < len(bodies):
            contacts[int(place[1])] = message
        elif field == "list_ids":
            wrong_lists.update(each for each in lists if f"'{each}'" in message)
    return Blame(contacts, frozenset(wrong_lists), frozenset(wrong_fields))


def _emails(body: Mapping[str, Any]) -> set[str]:
    return {str(each).lower() for each in (body.get("email"), *body.get("alternate_emails", ())) if each}


def to_write(contact: Contact, values: Mapping[str, CustomValue], field_ids: Mapping[str, str]) -> dict[str, Any]:
    """Return a contact that fits, from `preview`, as an upsert takes it.

    Args:
        contact: The contact.
        values: Its custom values by name, those included that hold fields of `Contact`.
        field_ids: The ids of the custom fields by name.
    """
    body: dict[str, Any] = {}
    for kind, name in FIELDS.items():
        of_kind = _ranked(contact.identifiers_of(kind))
        others = of_kind[1:]
        if of_kind:
            body[name] = _spelled(contact, of_kind[0])
        if kind is EMAIL and others:
            body["alternate_emails"] = [_spelled(contact, i) for i in others]
    body |= {name: value for name in ("first_name", "last_name") if (value := getattr(contact, name))}
    if contact.address:
        body |= {theirs: value for ours, theirs in ADDRESS.items() if (value := getattr(contact.address, ours))}
    if contact.provider == NAME:
        body |= {name: value for name in WRITABLE_EXTRAS if isinstance(value := contact.extra.get(name), str)}
    custom = {field_ids[name]: written_value(value) for name, value in values.items() if name in field_ids}
    return body | {"custom_fields": custom} if custom else body


def is_partly_identified(contact: Contact) -> bool:
    """Return whether a contact names its id, and no primary identifier of a kind of which it has others.

    An identifier that was read here is known by its key; whatever else is marked primary may be an alternate there.
    """
    if contact.provider != NAME or not contact.id:
        return False
    first = {each.kind for each in contact.identifiers if each.primary and each.key == FIELDS.get(each.kind)}
    return any(each.kind in FIELDS and each.kind not in first for each in contact.identifiers)


def with_primary(contact: Contact, found: Attributes) -> Contact:
    """Return a contact with all identifiers that SendGrid has of it, and its own further ones after them."""
    known = identifiers(found)
    further = (evolve(each, primary=False) for each in contact.identifiers if each not in known)
    return evolve(contact, identifiers=(*known, *further))


def to_change(
    found: ContactDetails,
    texts: Mapping[str, str | None],
    custom: Mapping[str, CustomValue],
    fields: Mapping[str, FieldDetails],
) -> dict[str, Any]:
    """Return the upsert that changes fields of a contact: all its identifiers, and nothing else that is not given.

    Args:
        found: The contact.
        texts: Fields by their shared names; None clears one.
        custom: Custom fields by name.
        fields: The custom fields of the account, by their names in lower case.

    Raises:
        InvalidInput: The account has no such custom field, or it does not take the value.
    """
    body: dict[str, Any] = {name: value for name in FIELDS.values() if (value := getattr(found, name))}
    if not body:
        raise InvalidInput("not sent: it has no e-mail address, phone number, external id or anonymous id")
    for name, text in texts.items():
        if text and len(text) > LONGEST_TEXTS[name]:
            raise InvalidInput(f"not sent: its {CHANGED[name]} is longer than {LONGEST_TEXTS[name]} characters")
        body[CHANGED[name]] = text or ""
    for name, value in custom.items():
        definition = fields.get(name.lower())
        if definition is None or definition.read_only:
            raise InvalidInput(f"SendGrid has no custom field {name!r} that can be written")
        body.setdefault("custom_fields", {})[definition.id] = _changed_value(definition, value)
    return body


def _changed_value(definition: FieldDetails, value: CustomValue) -> str | float | None:
    fitted, _ = fitted_value(field(definition), value)
    if fitted is None:
        kind = "numbers" if field(definition).type is FieldType.NUMBER else "dates"
        raise InvalidInput(f"not sent: the custom field {definition.name} takes {kind}")
    if isinstance(fitted, str) and len(fitted) > LONGEST_VALUE:
        raise InvalidInput(
            f"not sent: the value of the custom field {definition.name} is longer than {LONGEST_VALUE} characters"
        )
    return written_value(fitted)


def _spelled(contact: Contact, identifier: Identifier) -> str:
    return identifier.value if contact.provider == NAME else identifier.normal


def written_value(value: CustomValue) -> str | float | None:
    """Return a custom value that fits as SendGrid takes it: dates month first."""
    match value:
        case date():
            return f"{value.month:02}/{value.day:02}/{value.year:04}"
        case tuple():
            return json_text(value)
        case _:
            return value


def import_file(contacts: Sequence[Mapping[str, Any]], fields: FieldDefinitions) -> tuple[list[str], bytes]:
    """Return the columns and the compressed CSV of a large upsert, of contacts that `is_importable`."""
    ids = {f.name: f.id for f in fields.reserved_fields or ()} | {f.id: f.id for f in fields.custom_fields or ()}
    rows = [{k: v for k, v in c.items() if k != "custom_fields"} | dict(c.get("custom_fields", {})) for c in contacts]
    columns = [name for name in ids if any(name in row for row in rows)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return [ids[name] for name in columns], gzip.compress(text.getvalue().encode(), compresslevel=1, mtime=0)


def is_importable(body: Mapping[str, Any]) -> bool:
    """Return whether a contact can be a row of an import.

    How several alternate addresses share one cell is documented nowhere, and an empty cell clears nothing.
    """
    return "alternate_emails" not in body and None not in body.get("custom_fields", {}).values()
