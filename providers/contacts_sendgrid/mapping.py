"""SendGrid's payloads as shared models, and back: tables and small functions that never raise on odd values."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

import msgspec
from attrs import frozen

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
)
from contacts_core.provider import (
    constructor,
    integer,
    json_text,
    lines_decoder,
    moment,
    number,
    query_value,
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
LONGEST_VALUE = 1000  # characters of a custom field
FEWEST_DIGITS = 5
NOT_OF_CELLS = {"unknown", "custom_fields", "metadata", "list_ids", "segment_ids"}
NESTED = {dict, list}
EMAIL_SYNTAX = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

MONTH_FIRST = re.compile(r"(0[1-9]|1[0-2])/(0[1-9]|[12][0-9]|3[01])/[0-9]{4}")
NTH = re.compile(r"contacts\[([0-9]{1,6})\]")
NAMED_EMAIL = re.compile(r"email '(.*)' is not valid", re.DOTALL)

make_contact = constructor(Contact)
make_identifier = constructor(Identifier)
make_address = constructor(Address)
EMAIL, PHONE = IdentifierKind.EMAIL, IdentifierKind.PHONE
EXTERNAL_ID, ANONYMOUS_ID = IdentifierKind.EXTERNAL_ID, IdentifierKind.ANONYMOUS_ID
decode_lines = lines_decoder(ExportedContact)


# -- contacts --------------------------------------------------------------------------------------------------------


def contact(found: ContactDetails) -> Contact:
    """Return a contact of any answer except an export."""
    return _contact(found.id, found)


def exported(found: ExportedContact) -> Contact:
    """Return a contact of a JSON Lines export."""
    return _contact(found.contact_id, found)


def _contact(contact_id: str, a: Attributes) -> Contact:
    if not contact_id:
        raise UnexpectedPayload("the answer has a contact without an id", provider=NAME)
    extra: dict[str, Any] = dict(a.unknown)
    if a.phone_number:  # by far the most frequent of them, and a loop costs as much as a fifth of a contact
        extra["phone_number"] = a.phone_number
    if a.unique_name or a.whatsapp or a.line or a.facebook or a.segment_ids:
        extra.update((name, value) for name in EXTRAS if (value := getattr(a, name)))
    custom = a.custom_fields or {}
    if not NESTED.isdisjoint(map(type, custom.values())):  # a shape that nobody documented
        custom = {name: json_text(value) if type(value) in NESTED else value for name, value in custom.items()}
    city, country, line1 = a.city, a.country, a.address_line_1
    address = None
    if city or country or line1 or a.postal_code or a.state_province_region or a.address_line_2:
        address = make_address(
            line1=line1 or "",
            line2=a.address_line_2 or "",
            city=city or "",
            region=a.state_province_region or "",
            postal_code=a.postal_code or "",
            country=country or "",
            formatted="",
        )
    created = moment(a.created_at, extra, "created_at")
    updated, lists = moment(a.updated_at, extra, "updated_at"), a.list_ids
    return make_contact(
        provider=NAME,
        id=contact_id,
        identifiers=_identifiers(a),
        first_name=a.first_name or None,
        last_name=a.last_name or None,
        full_name=None,
        address=address,
        organization=None,
        title=None,
        lists=None if lists is None else tuple(lists),
        tags=(),
        custom=custom,
        created_at=created,
        updated_at=updated,
        extra=extra,
    )


def _identifiers(a: Attributes) -> tuple[Identifier, ...]:
    found: list[Identifier] = []
    if a.email:
        found.append(make_identifier(kind=EMAIL, value=a.email, primary=True, label="", key="email", country_code=""))
    if a.phone_number_id:
        found.append(
            make_identifier(
                kind=PHONE, value=a.phone_number_id, primary=True, label="", key="phone_number_id", country_code=""
            )
        )
    if a.external_id:
        found.append(
            make_identifier(
                kind=EXTERNAL_ID, value=a.external_id, primary=True, label="", key="external_id", country_code=""
            )
        )
    if a.anonymous_id:
        found.append(
            make_identifier(
                kind=ANONYMOUS_ID, value=a.anonymous_id, primary=True, label="", key="anonymous_id", country_code=""
            )
        )
    if a.alternate_emails:
        found += [
            make_identifier(kind=EMAIL, value=e, primary=False, label="", key="alternate_emails", country_code="")
            for e in a.alternate_emails
            if e
        ]
    return tuple(found)


# -- fields ----------------------------------------------------------------------------------------------------------


def field(found: FieldDetails) -> FieldDefinition:
    """Return a custom field."""
    type_ = FIELD_TYPES.get(found.field_type.lower(), FieldType.OTHER)
    return FieldDefinition(
        provider=NAME, id=found.id, name=found.name, type=type_, read_only=found.read_only, extra=found.unknown
    )


def typed(type_: FieldType, text: str) -> CustomValue:
    """Return the value of a custom field in a CSV export; text that does not fit the type of the field stays text."""
    read: CustomValue = None
    if type_ is FieldType.NUMBER:
        read = number(text)
    elif type_ is FieldType.DATE:
        read = moment(text)
    return text if read is None else read


# -- export files ----------------------------------------------------------------------------------------------------


@frozen
class Reader:
    """Reads export files. It needs the custom fields, because CSV headers are in upper case and have no types."""

    fields: Mapping[str, FieldDefinition]

    @classmethod
    def of(cls, definitions: FieldDefinitions) -> Reader:
        """Return a reader for an account with these fields."""
        return cls({f.name.upper(): field(f) for f in definitions.custom_fields or ()})

    def json_lines(self, lines: bytes) -> list[Contact]:
        """Map whole lines of JSON."""
        return [exported(each) for each in decode_lines(lines)]

    def csv(self, header: Sequence[str]) -> Callable[[Sequence[Sequence[str]]], list[Contact]]:
        """Return what maps the rows below this header."""
        if "CONTACT_ID" not in map(str.upper, header):
            raise UnexpectedPayload("the export file has no column CONTACT_ID", provider=NAME)
        columns = [(name.lower() if name.upper() not in self.fields else "", name.upper()) for name in header]
        known = set(Attributes.__struct_fields__) - NOT_OF_CELLS
        return partial(self._rows, columns, known)

    def _rows(
        self, columns: Sequence[tuple[str, str]], known: set[str], rows: Sequence[Sequence[str]]
    ) -> list[Contact]:
        contacts: list[Contact] = []
        for row in rows:
            if len(row) != len(columns):
                raise UnexpectedPayload("a row of the export file does not fit its header", provider=NAME)
            values: dict[str, Any] = {}
            custom: dict[str, CustomValue] = {}
            unknown: dict[str, str] = {}
            for (name, column), text in zip(columns, row, strict=False):
                if not text:
                    continue
                if not name:
                    definition = self.fields[column]
                    custom[definition.name] = typed(definition.type, text)
                elif name == "alternate_emails":
                    values[name] = [each for each in re.split(r"[\s,;]+", text.strip('[]" ')) if each]
                elif name in known or name == "contact_id":
                    values[name] = text
                else:
                    unknown[name] = text
            contact_id = values.pop("contact_id", "")
            contacts.append(_contact(contact_id, Attributes(**values, custom_fields=custom, unknown=unknown)))
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


def unfit(body: Mapping[str, Any], definitions: Mapping[str, FieldDetails]) -> str:
    """Return why SendGrid would refuse a contact, and its whole batch with it; empty if it would not.

    Args:
        body: The contact, from `to_write`.
        definitions: The custom fields of the account by id.
    """
    if not any(body.get(name) for name in FIELDS.values()):
        return "it has no e-mail address, phone number, external id or anonymous id"
    emails = [body[name] for name in ("email",) if name in body] + body.get("alternate_emails", [])
    if not all(EMAIL_SYNTAX.fullmatch(email) and len(email) <= LONGEST["email"] for email in emails):
        return "its e-mail address is invalid"
    phone = body.get("phone_number_id", "")
    if phone and (re.search(r"[^\W\d_]", phone) or len(re.findall(r"\d", phone)) < FEWEST_DIGITS):
        return "its phone number is invalid"
    for name, longest in LONGEST.items():
        if len(body.get(name) or "") > longest:
            return f"its {name} is longer than {longest} characters"
    for field_id, value in body.get("custom_fields", {}).items():
        if reason := _unfit_value(definitions[field_id], value):
            return reason
    return ""


def _unfit_value(definition: FieldDetails, value: str | float | None) -> str:
    type_ = FIELD_TYPES.get(definition.field_type.lower())
    if type_ is FieldType.NUMBER and number(value) is None:
        return f"the custom field {definition.name} takes numbers"
    if type_ is FieldType.DATE and not (MONTH_FIRST.fullmatch(str(value)) or moment(value)):
        return f"the custom field {definition.name} takes dates"
    if len(str(value)) > LONGEST_VALUE:
        return f"the value of the custom field {definition.name} is longer than {LONGEST_VALUE} characters"
    return ""


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


def to_write(contact: Contact, field_ids: Mapping[str, FieldDetails], lost: set[str]) -> dict[str, Any]:
    """Return the contact as an upsert takes it; ``lost`` gets fields without a place."""
    body: dict[str, Any] = {}
    for kind, name in FIELDS.items():
        first, *others = contact.identifiers_of(kind) or (None,)
        first = contact.primary(kind) or first
        if first:
            body[name] = _spelled(contact, first)
        others = [i for i in contact.identifiers_of(kind) if i != first]
        if kind is EMAIL and others:
            body["alternate_emails"] = [_spelled(contact, i) for i in others[:MOST_ALTERNATES]]
            others = others[MOST_ALTERNATES:]
        lost.update(f"another {kind.value}" for _ in others)
    lost.update(f"identifier {i.key}" for i in contact.identifiers_of(IdentifierKind.OTHER))
    body |= {name: value for name in ("first_name", "last_name") if (value := getattr(contact, name))}
    if contact.address:
        body |= {theirs: value for ours, theirs in ADDRESS.items() if (value := getattr(contact.address, ours))}
        lost.update(["address"] if contact.address.formatted else [])
    if contact.provider == NAME:
        body |= {name: value for name in WRITABLE_EXTRAS if isinstance(value := contact.extra.get(name), str)}
    else:
        lost.update(contact.extra)
    lost.update(name for name in ("organization", "title", "tags") if getattr(contact, name))
    if contact.full_name and not (contact.first_name or contact.last_name):
        lost.add("full_name")
    given = {name: value for name, value in contact.custom.items() if value is not None}  # null is refused
    custom = {field_ids[n.lower()].id: written_value(v) for n, v in given.items() if n.lower() in field_ids}
    lost.update(f"custom field {name}" for name in contact.custom if name not in given or name.lower() not in field_ids)
    return body | {"custom_fields": custom} if custom else body


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
    body |= {CHANGED[name]: text or "" for name, text in texts.items()}
    for name, value in custom.items():
        definition = fields.get(name.lower())
        if definition is None or definition.read_only:
            raise InvalidInput(f"SendGrid has no custom field {name!r} that can be written")
        body.setdefault("custom_fields", {})[definition.id] = written_value(value)
    if reason := unfit(body, {each.id: each for each in fields.values()}):
        raise InvalidInput(f"not sent: {reason}")
    return body


def _spelled(contact: Contact, identifier: Identifier) -> str:
    return identifier.value if contact.provider == NAME else identifier.normal


def written_value(value: CustomValue) -> str | float | None:
    """Return a custom value as SendGrid takes it: dates month first, booleans and several texts as JSON text."""
    match value:
        case bool() | tuple():
            return msgspec.json.encode(value).decode()
        case date():
            return f"{value:%m/%d/%Y}"
        case _:
            return value


def import_file(
    contacts: Sequence[Mapping[str, Any]], fields: FieldDefinitions, lost: set[str]
) -> tuple[list[str], bytes]:
    """Return the columns and the compressed CSV of a large upsert."""
    ids = {f.name: f.id for f in fields.reserved_fields or ()} | {f.id: f.id for f in fields.custom_fields or ()}
    # How several alternate addresses share one CSV cell is documented nowhere, so they stay out.
    rows = [{k: v for k, v in c.items() if k not in {"custom_fields", "alternate_emails"}}
            | dict(c.get("custom_fields", {})) for c in contacts]  # fmt: skip
    lost.update(["another email"] if any("alternate_emails" in c for c in contacts) else [])
    columns = [name for name in ids if any(name in row for row in rows)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return [ids[name] for name in columns], gzip.compress(text.getvalue().encode(), compresslevel=1, mtime=0)
