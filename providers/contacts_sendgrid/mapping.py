"""SendGrid's words in ours, and back: tables and small total functions."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from attrs import frozen

from contacts_core.construct import constructor
from contacts_core.identifiers import Identifier, IdentifierKind
from contacts_core.models import (
    Address,
    Contact,
    ContactList,
    CustomValue,
    FieldDefinition,
    FieldType,
    Job,
    JobState,
)
from contacts_core.provider import lines_decoder
from contacts_sendgrid.payloads import (
    Attributes,
    ContactDetails,
    ExportedContact,
    ExportStatus,
    FieldDefinitions,
    FieldDetails,
    ImportStatus,
    ListDetails,
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
EXTRAS = ("unique_name", "phone_number", "whatsapp", "line", "facebook", "segment_ids")
WRITABLE_EXTRAS = EXTRAS[:-1]
ADDRESS = {
    "line1": "address_line_1",
    "line2": "address_line_2",
    "city": "city",
    "region": "state_province_region",
    "postal_code": "postal_code",
    "country": "country",
}
MOST_ALTERNATES = 5
EMAIL_SYNTAX = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

make_contact = constructor(Contact)
make_identifier = constructor(Identifier)
make_address = constructor(Address)
EMAIL, PHONE = IdentifierKind.EMAIL, IdentifierKind.PHONE
EXTERNAL_ID, ANONYMOUS_ID = IdentifierKind.EXTERNAL_ID, IdentifierKind.ANONYMOUS_ID
from_iso = datetime.fromisoformat
decode_lines = lines_decoder(ExportedContact)


# -- contacts --------------------------------------------------------------------------------------------------------


def contact(found: ContactDetails) -> Contact:
    """A contact of any answer but an export's."""
    return _contact(found.id, found)


def exported(found: ExportedContact) -> Contact:
    """A contact of a JSON Lines export."""
    return _contact(found.contact_id, found)


def _contact(contact_id: str, a: Attributes) -> Contact:
    extra: dict[str, Any] = dict(a.unknown)
    if a.phone_number:  # by far the most frequent of them, and a loop costs as much as a fifth of a contact
        extra["phone_number"] = a.phone_number
    if a.unique_name or a.whatsapp or a.line or a.facebook or a.segment_ids:
        extra.update((name, value) for name in EXTRAS if (value := getattr(a, name)))
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
            "",
        )
    created, updated, lists = a.created_at, a.updated_at, a.list_ids
    return make_contact(
        NAME,
        contact_id,
        _identifiers(a),
        a.first_name or None,
        a.last_name or None,
        None,
        address,
        None,
        None,
        None if lists is None else tuple(lists),
        (),
        a.custom_fields or {},
        time(created) if created else None,
        time(updated) if updated else None,
        extra,
    )


def _identifiers(a: Attributes) -> tuple[Identifier, ...]:
    found: list[Identifier] = []
    if a.email:
        found.append(make_identifier(EMAIL, a.email, True, "", "email", ""))  # noqa: FBT003 - by position for speed
    if a.phone_number_id:
        found.append(make_identifier(PHONE, a.phone_number_id, True, "", "phone_number_id", ""))  # noqa: FBT003
    if a.external_id:
        found.append(make_identifier(EXTERNAL_ID, a.external_id, True, "", "external_id", ""))  # noqa: FBT003
    if a.anonymous_id:
        found.append(make_identifier(ANONYMOUS_ID, a.anonymous_id, True, "", "anonymous_id", ""))  # noqa: FBT003
    if a.alternate_emails:
        found += [make_identifier(EMAIL, e, False, "", "alternate_emails", "") for e in a.alternate_emails if e]  # noqa: FBT003
    return tuple(found)


def time(value: str | int) -> datetime | None:
    """A time in any of the forms that SendGrid gives: ISO 8601, Go's ``+0000 UTC``, Unix seconds."""
    if isinstance(value, int):
        return datetime.fromtimestamp(value, UTC)
    try:
        return from_iso(value)
    except ValueError:
        pass
    try:
        return from_iso(value.removesuffix(" UTC").replace(" +0000", "+00:00"))
    except ValueError:
        return datetime.fromtimestamp(int(value), UTC) if value.isdigit() else None


# -- fields ----------------------------------------------------------------------------------------------------------


def field(found: FieldDetails) -> FieldDefinition:
    """A custom field."""
    type_ = FIELD_TYPES.get(found.field_type.lower(), FieldType.OTHER)
    return FieldDefinition(NAME, found.id, found.name, type_, (), found.read_only, found.unknown)


def typed(type_: FieldType, text: str) -> CustomValue:
    """The value of a custom field that a CSV export gives as text; text that does not fit its type stays text."""
    try:
        match type_:
            case FieldType.NUMBER if "_" not in text:  # which Python would take for a separator
                return float(text) if "." in text or "e" in text.lower() else int(text)
            case FieldType.DATE:
                return time(text) or text
            case _:
                return text
    except ValueError:
        return text


# -- export files ----------------------------------------------------------------------------------------------------


@frozen
class Reader:
    """Reads export files; it knows the custom fields because CSV headers are upper-cased and untyped."""

    fields: Mapping[str, FieldDefinition]

    @classmethod
    def of(cls, definitions: FieldDefinitions) -> Reader:
        """A reader for an account with these fields."""
        return cls({f.name.upper(): field(f) for f in definitions.custom_fields or ()})

    def json_lines(self, lines: bytes) -> list[Contact]:
        """Map whole lines of JSON."""
        return [exported(each) for each in decode_lines(lines)]

    def csv(self, header: Sequence[str]) -> Callable[[Sequence[Sequence[str]]], list[Contact]]:
        """What maps the rows below this header."""
        columns = [(name.lower() if name.upper() not in self.fields else "", name.upper()) for name in header]
        known = {name for name in Attributes.__struct_fields__ if name != "unknown"}
        return partial(self._rows, columns, known)

    def _rows(
        self, columns: Sequence[tuple[str, str]], known: set[str], rows: Sequence[Sequence[str]]
    ) -> list[Contact]:
        contacts: list[Contact] = []
        for row in rows:
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
    """A write as SendGrid sees it now. Counts may arrive while the job is still pending, and stay away when done."""
    results = status.results or {}
    counts = {name: int(value) for name, value in results.items() if isinstance(value, (int, float))}
    done = [counts[name] for name in ("created_count", "updated_count", "deleted_count") if name in counts]
    # An upsert counts no contact that it left as it was, so a lower number there says nothing.
    succeeded = sum(done) if done and (sum(done) >= job.requested or job.operation != "upsert_contacts") else None
    state = JOB_STATES.get(status.status, JobState.PENDING)
    return Job(
        provider=NAME,
        id=job.id,
        operation=job.operation,
        state=state,
        requested=job.requested or counts.get("requested_count", 0),
        succeeded=succeeded,
        failed=counts.get("errored_count") or (job.requested if state is JobState.FAILED else None),
        counts=counts,
        created_at=time(status.started_at or "") or job.created_at,
        finished_at=time(status.finished_at or ""),
        errors_url=str(results.get("errors_url") or ""),
    )


def export_job(job: Job, status: ExportStatus) -> Job:
    """An export as SendGrid sees it now."""
    return Job(
        provider=NAME,
        id=job.id,
        operation="export",
        state=EXPORT_STATES.get(status.status, JobState.PENDING),
        requested=status.contact_count or 0,
        succeeded=status.contact_count,
        created_at=time(status.created_at or ""),
        finished_at=time(status.completed_at or ""),
        expires_at=time(status.expires_at or ""),
        files=tuple(status.urls or ()),
        detail=status.message or "",
    )


def contact_list(found: ListDetails) -> ContactList:
    """A list."""
    return ContactList(NAME, found.id, found.name, found.contact_count, extra=found.unknown)


def page_token(link: str | None) -> str | None:
    """The cursor in a ``_metadata.next`` link, whose host may not be the one that was asked."""
    return next(iter(parse_qs(urlsplit(link or "").query).get("page_token", [])), None)


# -- writing ---------------------------------------------------------------------------------------------------------


def unfit(contact: Contact) -> str:
    """Why SendGrid would refuse this contact, and its whole batch with it; empty if it would not."""
    if not any(i.kind in FIELDS for i in contact.identifiers):
        return "it has no e-mail address, phone number, external id or anonymous id"
    if any(not EMAIL_SYNTAX.fullmatch(i.normal) for i in contact.all(EMAIL)):
        return "its e-mail address is not one"
    return ""


def to_write(contact: Contact, field_ids: Mapping[str, FieldDetails], lost: set[str]) -> dict[str, Any]:
    """The contact as an upsert takes it; what does not fit is named in ``lost``."""
    body: dict[str, Any] = {}
    for kind, name in FIELDS.items():
        first, *others = contact.all(kind) or (None,)
        first = contact.primary(kind) or first
        if first:
            body[name] = _spelled(contact, first)
        others = [i for i in contact.all(kind) if i != first]
        if kind is EMAIL and others:
            body["alternate_emails"] = [_spelled(contact, i) for i in others[:MOST_ALTERNATES]]
            others = others[MOST_ALTERNATES:]
        lost.update(f"another {kind.value}" for _ in others)
    lost.update(f"identifier {i.key}" for i in contact.all(IdentifierKind.OTHER))
    body |= {name: value for name in ("first_name", "last_name") if (value := getattr(contact, name))}
    if contact.address:
        body |= {theirs: value for ours, theirs in ADDRESS.items() if (value := getattr(contact.address, ours))}
        lost.update(["address"] if contact.address.formatted else [])
    if contact.provider == NAME:
        body |= {name: contact.extra[name] for name in WRITABLE_EXTRAS if name in contact.extra}
    else:
        lost.update(contact.extra)
    lost.update(name for name in ("organization", "title", "tags") if getattr(contact, name))
    if contact.full_name and not (contact.first_name or contact.last_name):
        lost.add("full_name")
    custom = {field_ids[n.lower()].id: written_value(v) for n, v in contact.custom.items() if n.lower() in field_ids}
    lost.update(f"custom field {name}" for name in contact.custom if name.lower() not in field_ids)
    return body | {"custom_fields": custom} if custom else body


def _spelled(contact: Contact, identifier: Identifier) -> str:
    return identifier.value if contact.provider == NAME else identifier.normal


def written_value(value: CustomValue) -> str | float | None:
    """A custom value as SendGrid takes it: dates month first; truth values and several texts as JSON text."""
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
    """The columns and the gzipped CSV of a large upsert."""
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
