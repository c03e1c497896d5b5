"""Contacts, lists, jobs and exports as the service prints them, inconsistencies included."""

from datetime import datetime
from typing import Any
from uuid import UUID

from contacts_sendgrid.emulator.store import (
    COUNTED_AFTER,
    EXPORT_EXPIRES_AFTER,
    TEXT_FIELDS,
    Contact,
    ContactList,
    Export,
    Field,
    Job,
    Store,
    nanosecond,
    second,
    spaced,
)

Json = dict[str, Any]
RELATIONS = ("alternate_emails", "list_ids", "segment_ids", "custom_fields")


def contact(store: Store, stored: Contact, base_url: str) -> Json:
    """The form of look-ups by id and by email: ISO times, empty arrays and objects."""
    identifiers = stored.identifiers
    shape: Json = {"id": stored.id, "email": identifiers.get("email", "")}
    for name in TEXT_FIELDS:
        shape[name] = stored.text.get(name, "")
    for kind in ("phone_number_id", "external_id", "anonymous_id"):
        if kind in identifiers:  # unset identifiers are absent, unlike unset text
            shape[kind] = identifiers[kind]
    shape["alternate_emails"] = stored.alternate_emails
    shape["list_ids"] = list(stored.list_ids)
    shape["segment_ids"] = []
    shape["custom_fields"] = custom_fields(store, stored)
    shape["created_at"] = second(stored.created_at)
    shape["updated_at"] = second(stored.updated_at)
    shape["_metadata"] = {"self": f"{base_url}/v3/marketing/contacts/{stored.id}"}
    return shape


def sampled_contact(store: Store, stored: Contact, base_url: str) -> Json:
    """The form of the sample listing: nanoseconds, no `segment_ids`, null for no alternate emails, another link."""
    shape = contact(store, stored, base_url)
    del shape["segment_ids"]
    shape["alternate_emails"] = shape["alternate_emails"] or None
    shape["updated_at"] = nanosecond(stored.updated_at)
    shape["_metadata"] = {"self": f"{base_url}/v3/marketing/contact/{stored.id}"}
    return shape


def searched_contact(store: Store, stored: Contact, base_url: str) -> Json:
    """The form of a search by anything but the email: spaced times, null for what is empty."""
    shape = contact(store, stored, base_url)
    for name in ("alternate_emails", "segment_ids", "custom_fields"):
        shape[name] = shape[name] or None
    shape["created_at"] = spaced(stored.created_at)
    shape["updated_at"] = spaced(stored.updated_at)
    return shape


def custom_fields(store: Store, stored: Contact) -> Json:
    """Custom values keyed by name, although requests key them by id."""
    return {store.fields[field_id].name: value for field_id, value in stored.custom.items()}


def contact_list(stored: ContactList, base_url: str) -> Json:
    """A list."""
    return {
        "id": stored.id,
        "name": stored.name,
        "contact_count": len(stored.members),
        "_metadata": {"self": f"{base_url}/v3/marketing/lists/{stored.id}"},
    }


def segment(stored: ContactList, number: int, now: datetime) -> Json:
    """A segment of the members of a list; its list is not a parent, because the emulator evaluates none."""
    at = now.isoformat()
    return {
        "id": str(UUID(int=number + 1)),
        "name": f"Active in {stored.name}"[:100],
        "contacts_count": len(stored.members),
        "created_at": at,
        "updated_at": at,
        "sample_updated_at": at,
        "next_sample_update": at,
        "parent_list_ids": [],
        "query_version": "2",
        "status": {"query_validation": "VALID"},
    }


def field(stored: Field, base_url: str) -> Json:
    """A custom field."""
    link = f"{base_url}/v3/marketing/field_definitions/{stored.id}"
    return {"id": stored.id, "name": stored.name, "field_type": stored.kind, "_metadata": {"self": link}}


def job(stored: Job, now: datetime, errors_url: str) -> Json:
    """A job; counts of zero are absent, and so is the end of a job that has not ended."""
    shape: Json = {
        "id": stored.id,
        "status": stored.status(now),
        "job_type": stored.kind,
        "results": {},
        "started_at": second(stored.created_at),
    }
    if stored.results is not None:
        results = stored.results
        counts = {
            "requested_count": stored.requested,
            "created_count": results.created,
            "updated_count": results.updated,
            "deleted_count": results.deleted,
            "errored_count": len(results.errors),
            "errors_url": errors_url if results.errors else "",
        }
        shape["results"] = {name: value for name, value in counts.items() if value}
    elif stored.began_at is not None and now >= stored.began_at + COUNTED_AFTER and stored.requested:
        shape["results"] = {"requested_count": stored.requested}
    if finished := stored.finished_at(now):
        shape["finished_at"] = second(finished)
    return shape


def export(stored: Export, base_url: str) -> Json:
    """The state of an export."""
    shape: Json = {
        "id": stored.id,
        "status": stored.status,
        "created_at": second(stored.created_at),
        "updated_at": second(stored.completed_at or stored.created_at),
        "expires_at": second(stored.created_at + EXPORT_EXPIRES_AFTER),
        "_metadata": {"self": f"{base_url}/v3/marketing/contacts/exports/{stored.id}"},
    }
    if stored.completed_at:
        shape["completed_at"] = second(stored.completed_at)
    if stored.status == "ready":
        shape["urls"] = [f"{base_url}/files/{name}?X-Amz-Signature={stored.token}" for name in stored.files]
        shape["contact_count"] = stored.contact_count
    if stored.message:
        shape["message"] = stored.message
    return shape


def listed_export(store: Store, stored: Export, base_url: str) -> Json:
    """An export as the overview shows it: other keys, and capitals in its lists."""
    kind = "list_export" if stored.list_ids else "contacts_export"
    shape = export(stored, base_url)
    for name in ("updated_at", "contact_count", "message"):
        shape.pop(name, None)
    names = {list_id: store.lists[list_id].name for list_id in stored.list_ids if list_id in store.lists}
    lists = [{"ID": list_id, "Name": name} for list_id, name in names.items()]
    return {**shape, "user_id": "1", "export_type": kind, "segments": [], "lists": lists}
