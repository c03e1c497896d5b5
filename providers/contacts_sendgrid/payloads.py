"""SendGrid's JSON, as SendGrid spells it."""

from __future__ import annotations

from typing import Any

from msgspec import field

from contacts_core.provider import Payload, TolerantFields, UnknownFields


class Accepted(Payload):
    """A queued write. List removal was seen to answer without a job."""

    job_id: str | None = None


class Metadata(UnknownFields):
    """Links of a page; ``next`` is absent on the last."""

    next: str | None = None
    prev: str | None = None
    self_: str | None = field(name="self", default=None)
    count: int | None = None


class Attributes(TolerantFields, kw_only=True):
    """What a contact has besides its id, everywhere. Unset texts come as ``""``, as null, or not at all."""

    email: str | None = None
    phone_number_id: str | None = None
    external_id: str | None = None
    anonymous_id: str | None = None
    alternate_emails: list[str] | None = None
    first_name: str | None = None
    last_name: str | None = None
    unique_name: str | None = None
    address_line_1: str | None = None
    address_line_2: str | None = None
    city: str | None = None
    state_province_region: str | None = None
    postal_code: str | None = None
    country: str | None = None
    phone_number: str | None = None
    whatsapp: str | None = None
    line: str | None = None
    facebook: str | None = None
    list_ids: list[str] | None = None
    segment_ids: list[str] | None = None
    custom_fields: dict[str, Any] | None = None
    created_at: str | int | None = None
    updated_at: str | int | None = None
    metadata: Any = field(name="_metadata", default=None)


class ContactDetails(Attributes, kw_only=True):
    """A contact, in every answer but exports."""

    id: str


class ExportedContact(Attributes, kw_only=True):
    """A contact in a JSON Lines export, where the id has another name."""

    id: str = field(name="contact_id")


class Contacts(UnknownFields, kw_only=True):
    """Contacts read by id."""

    result: list[ContactDetails] | None = None
    metadata: Any = field(name="_metadata", default=None)


class SearchResult(Contacts, kw_only=True):
    """Contacts found; ``contact_count`` is how many there are in all."""

    contact_count: int


class Sampled(Contacts, kw_only=True):
    """Up to fifty contacts of the account, and how many it has."""

    contact_count: int | None = None


class Match(UnknownFields):
    """The answer for one identifier: a contact, or an error."""

    contact: ContactDetails | None = None
    error: str | None = None


class Matches(UnknownFields):
    """Answers by the identifier asked for, addresses in lower case."""

    result: dict[str, Match] | None = None


class ContactCount(TolerantFields, kw_only=True):
    """Contacts of the account."""

    contact_count: int
    billable_count: int | None = None
    billable_breakdown: Any = None
    identifier_counts: dict[str, int] | None = None


class ImportStatus(TolerantFields, kw_only=True):
    """How far an upsert, deletion, identifier deletion or import got."""

    id: str
    status: str
    job_type: str | None = None
    results: dict[str, Any] | None = None
    started_at: str | None = None
    finished_at: str | None = None


class ExportStarted(UnknownFields, kw_only=True):
    """An export was accepted."""

    id: str
    metadata: Any = field(name="_metadata", default=None)


class ExportStatus(TolerantFields, kw_only=True):
    """How far an export got, and its files."""

    id: str
    status: str
    urls: list[str] | None = None
    created_at: str | None = None
    updated_at: str | None = None
    completed_at: str | None = None
    expires_at: str | None = None
    contact_count: int | None = None
    message: str | None = None
    metadata: Any = field(name="_metadata", default=None)


class UploadHeader(Payload):
    """A header that the upload must carry."""

    header: str
    value: str


class ImportStarted(UnknownFields, kw_only=True):
    """Where to upload the file of an import."""

    job_id: str
    upload_uri: str
    upload_headers: list[UploadHeader]


class ListDetails(TolerantFields, kw_only=True):
    """A list; its count may lag."""

    id: str
    name: str
    contact_count: int | None = None
    identifier_counts: dict[str, int] | None = None
    metadata: Any = field(name="_metadata", default=None)


class Lists(UnknownFields, kw_only=True):
    """A page of lists."""

    result: list[ListDetails] | None = None
    metadata: Metadata = field(name="_metadata", default_factory=Metadata)


class FieldDetails(TolerantFields, kw_only=True):
    """A custom or reserved field."""

    id: str
    name: str
    field_type: str = ""
    read_only: bool = False
    metadata: Any = field(name="_metadata", default=None)


class FieldDefinitions(UnknownFields, kw_only=True):
    """All fields of the account."""

    custom_fields: list[FieldDetails] | None = None
    reserved_fields: list[FieldDetails] | None = None
    metadata: Any = field(name="_metadata", default=None)


class Segments(UnknownFields, kw_only=True):
    """All segments of the account."""

    results: list[Any] | None = None


class User(UnknownFields, kw_only=True):
    """Whose key it is."""

    username: str
    user_id: int | None = None


class GroupDetails(UnknownFields, kw_only=True):
    """An unsubscribe group, and how many addresses it has; the counter is not required."""

    id: int
    name: str
    unsubscribes: int | None = None


class GroupSuppression(UnknownFields, kw_only=True):
    """An address that unsubscribed from a group."""

    email: str
    group_id: int
    group_name: str = ""
    created_at: int | None = None


class GroupOfEmail(UnknownFields, kw_only=True):
    """A group, and whether an address unsubscribed from it."""

    id: int
    name: str
    suppressed: bool


class GroupsOfEmail(UnknownFields, kw_only=True):
    """The groups, as an address has them."""

    suppressions: list[GroupOfEmail]


class SuppressionRecord(TolerantFields, kw_only=True):
    """A global unsubscribe, a bounce, a block, an invalid address or a spam report."""

    email: str
    created: int | float | None = None
    reason: str | None = None
    status: str | None = None
    ip: str | None = None


class GlobalSuppression(UnknownFields, kw_only=True):
    """An address that unsubscribed from everything; without an address it did not."""

    recipient_email: str | None = None


class Recipients(UnknownFields, kw_only=True):
    """The addresses that are suppressed now."""

    recipient_emails: list[str] | None = None
