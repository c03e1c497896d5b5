"""SendGrid's endpoints, one function each.

Source: https://www.twilio.com/docs/sendgrid/api-reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

from contacts_core.provider import Request, delete, get, path, post, put, request
from contacts_sendgrid.payloads import (
    Accepted,
    ContactCount,
    ContactDetails,
    Contacts,
    ExportStarted,
    ExportStatus,
    FieldDefinitions,
    FieldDetails,
    GlobalSuppression,
    GroupDetails,
    GroupsOfEmail,
    GroupSuppression,
    ImportStarted,
    ImportStatus,
    ListDetails,
    Lists,
    Matches,
    Recipients,
    Sampled,
    SearchResult,
    Segments,
    SuppressionRecord,
    User,
)

CONTACTS = "/v3/marketing/contacts"
LISTS = "/v3/marketing/lists"
GROUPS = "/v3/asm/groups"
SUPPRESSIONS = "/v3/asm/suppressions"
RECORDS_ON_A_PAGE = 500


def delete_contacts(ids: Sequence[str]) -> Request[Accepted]:
    """Queue the deletion of contacts. One comma-joined parameter: array style and bodies are refused."""
    return delete(CONTACTS, Accepted, {"ids": ",".join(ids)})


def delete_all_contacts() -> Request[Accepted]:
    """Queue the deletion of every contact."""
    return delete(CONTACTS, Accepted, {"delete_all_contacts": "true"})


def delete_identifier(contact_id: str, identifier_type: str, identifier_value: str) -> Request[Accepted]:
    """Queue the deletion of one identifier. The job of a second such request fails if the first one did its work."""
    body = {"identifier_type": identifier_type, "identifier_value": identifier_value}
    return delete(path(CONTACTS + "/{contact_id}/identifiers", contact_id=contact_id), Accepted, json=body)


def upsert_contacts(contacts: Sequence[Mapping[str, Any]], list_ids: Sequence[str]) -> Request[Accepted]:
    """Queue the creation or update of contacts."""
    body: dict[str, Any] = {"contacts": contacts}
    return put(CONTACTS, Accepted, body | {"list_ids": list_ids} if list_ids else body)


def contact(contact_id: str) -> Request[ContactDetails]:
    """Read one contact; 404 has an empty body."""
    return get(path(CONTACTS + "/{contact_id}", contact_id=contact_id), ContactDetails)


def batch(ids: Sequence[str]) -> Request[Contacts]:
    """Read up to 100 contacts."""
    return post(CONTACTS + "/batch", Contacts, {"ids": ids}, idempotent=True)


def count() -> Request[ContactCount]:
    """Count the contacts."""
    return get(CONTACTS + "/count", ContactCount)


def sample() -> Request[Sampled]:
    """Read up to fifty contacts; there are no pages."""
    return get(CONTACTS, Sampled)


def user() -> Request[User]:
    """Read whose key it is; it needs a right of its own."""
    return get("/v3/user/username", User)


def search(query: str) -> Request[SearchResult]:
    """Search by SGQL: at most 50 contacts, no paging."""
    return post(CONTACTS + "/search", SearchResult, {"query": query}, rate_limit="search", idempotent=True)


def search_emails(emails: Sequence[str]) -> Request[Matches]:
    """Look up to 100 addresses up, primary and alternate; 404 when none is found."""
    return post(CONTACTS + "/search/emails", Matches, {"emails": emails}, idempotent=True)


def search_identifiers(identifier_type: str, identifiers: Sequence[str]) -> Request[Matches]:
    """Look up to 100 identifiers of one type up; 404 when none is found."""
    to = path(CONTACTS + "/search/identifiers/{identifier_type}", identifier_type=identifier_type)
    return post(to, Matches, {"identifiers": identifiers}, idempotent=True)


def start_export(list_id: str | None, file_type: str) -> Request[ExportStarted]:
    """Begin an export of a list, or of all contacts."""
    body: dict[str, Any] = {"file_type": file_type}
    return post(CONTACTS + "/exports", ExportStarted, body | {"list_ids": [list_id]} if list_id else body)


def export_status(export_id: str) -> Request[ExportStatus]:
    """Check an export."""
    return get(path(CONTACTS + "/exports/{export_id}", export_id=export_id), ExportStatus)


def start_import(field_mappings: Sequence[str], list_ids: Sequence[str]) -> Request[ImportStarted]:
    """Ask where to upload a CSV file with these columns."""
    body: dict[str, Any] = {"file_type": "csv", "field_mappings": field_mappings}
    return put(CONTACTS + "/imports", ImportStarted, body | {"list_ids": list_ids} if list_ids else body)


def upload(started: ImportStarted, content: bytes) -> Request[None]:
    """Upload the file of an import, to the storage that the answer names and with the headers that it asks for."""
    headers = {each.header: each.value for each in started.upload_headers}
    return request("PUT", started.upload_uri, NoneType, content=content, headers=headers, authorized=False)


def import_status(job_id: str) -> Request[ImportStatus]:
    """Check any write."""
    return get(path(CONTACTS + "/imports/{job_id}", job_id=job_id), ImportStatus)


def lists(page_token: str | None) -> Request[Lists]:
    """Read a page of lists."""
    page = {"page_size": "1000"}
    return get(LISTS, Lists, page | {"page_token": page_token} if page_token else page)


def create_list(name: str) -> Request[ListDetails]:
    """Create a list."""
    return post(LISTS, ListDetails, {"name": name})


def delete_list(list_id: str) -> Request[None]:
    """Delete a list. Never with ``delete_contacts``: its contacts stay."""
    return delete(path(LISTS + "/{list_id}", list_id=list_id), NoneType)


def remove_from_list(list_id: str, contact_ids: Sequence[str]) -> Request[Accepted]:
    """Queue the removal of contacts from a list."""
    to = path(LISTS + "/{list_id}/contacts", list_id=list_id)
    return delete(to, Accepted, {"contact_ids": ",".join(contact_ids)})


def segments() -> Request[Segments]:
    """Read all segments. They are not paged: https://www.twilio.com/docs/sendgrid/api-reference/segmenting-contacts-v2."""
    return get("/v3/marketing/segments/2.0", Segments)


def field_definitions() -> Request[FieldDefinitions]:
    """Read all custom and reserved fields."""
    return get("/v3/marketing/field_definitions", FieldDefinitions)


def create_field(name: str, field_type: str) -> Request[FieldDetails]:
    """Create a custom field; upserts refuse values in it for some seconds."""
    return post("/v3/marketing/field_definitions", FieldDetails, {"name": name, "field_type": field_type})


def suppression_groups() -> Request[list[GroupDetails]]:
    """Read all unsubscribe groups, with their counters."""
    return get(GROUPS, list[GroupDetails])


def group_suppressions() -> Request[list[GroupSuppression]]:
    """Read the suppressions of all groups; no pages are documented."""
    return get(SUPPRESSIONS, list[GroupSuppression])


def groups_of(email: str) -> Request[GroupsOfEmail]:
    """Read the groups, each with whether an address unsubscribed from it; there are no times."""
    return get(path(SUPPRESSIONS + "/{email}", email=email), GroupsOfEmail)


def global_suppression(email: str) -> Request[GlobalSuppression]:
    """Read whether an address unsubscribed from everything; there is no time."""
    return get(path(SUPPRESSIONS + "/global/{email}", email=email), GlobalSuppression)


def suppression_records(kind: str, offset: int) -> Request[list[SuppressionRecord]]:
    """Read a page of unsubscribes, bounces, blocks, invalid_emails or spam_reports."""
    page = {"limit": f"{RECORDS_ON_A_PAGE}", "offset": f"{offset}"}
    return get(path("/v3/suppression/{kind}", kind=kind), list[SuppressionRecord], page)


def suppression_record(kind: str, email: str) -> Request[list[SuppressionRecord]]:
    """Read what there is of these about one address; unsubscribes have no such endpoint."""
    return get(path("/v3/suppression/{kind}/{email}", kind=kind, email=email), list[SuppressionRecord])


def unsubscribe(emails: Sequence[str]) -> Request[Recipients]:
    """Suppress addresses everywhere, as of now. Twice is as good as once."""
    return post(SUPPRESSIONS + "/global", Recipients, {"recipient_emails": emails}, idempotent=True)


def unsubscribe_from(group_id: int, emails: Sequence[str]) -> Request[Recipients]:
    """Suppress addresses in a group that exists; where there is none, SendGrid suppresses them everywhere."""
    to = path(GROUPS + "/{group_id}/suppressions", group_id=f"{group_id}")
    return post(to, Recipients, {"recipient_emails": emails}, idempotent=True)


def create_suppression_group(name: str, description: str) -> Request[GroupDetails]:
    """Create an unsubscribe group; SendGrid wants a description as well, of 100 characters at most."""
    body = {"name": name, "description": description, "is_default": False}
    return post(GROUPS, GroupDetails, body)


def resubscribe(email: str) -> Request[None]:
    """Lift the suppression of an address everywhere."""
    return delete(path(SUPPRESSIONS + "/global/{email}", email=email), NoneType)


def resubscribe_to(group_id: int, email: str) -> Request[None]:
    """Lift the suppression of an address in a group."""
    to = path(GROUPS + "/{group_id}/suppressions/{email}", group_id=f"{group_id}", email=email)
    return delete(to, NoneType)


def delete_suppression_record(kind: str, email: str) -> Request[None]:
    """Delete what there is of bounces, blocks, invalid_emails or spam_reports about one address."""
    return delete(path("/v3/suppression/{kind}/{email}", kind=kind, email=email), NoneType)


def erase_mail_data(emails: Sequence[str]) -> Request[Accepted]:
    """Queue the erasure of what is kept of mail that was sent to addresses: 5,000 of them, or 256 KB, at most."""
    body = {"email_addresses": emails}
    return post("/v3/recipients/erasejob", Accepted, body, rate_limit="mail data", idempotent=True)
