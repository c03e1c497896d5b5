"""Contacts, identifiers and lists as the service prints them."""

from collections.abc import Iterable
from typing import Any

from contacts_bird.emulator.store import MAX_FEATURED, MIRRORED, Contact, ContactList, Identifier, millisecond

Json = dict[str, Any]
RELATIONS = ("featuredIdentifiers", "listIds", "accountIds", "attributes")


def contact(stored: Contact, workspace_id: str, asked: Iterable[str] = ()) -> Json:
    """A contact: only two of its identifiers are featured, and what is empty is left out."""
    shape: Json = {
        "id": stored.id,
        "workspaceId": workspace_id,
        "computedDisplayName": _display_name(stored),
        "identifierCount": len(stored.identifiers),
        "attributes": {**dict.fromkeys(asked), **_attributes(stored)},
        "isAnonymous": not stored.identifiers,
        "createdAt": millisecond(stored.created_at),
        "updatedAt": millisecond(stored.updated_at),
    }
    if stored.identifiers:
        featured = stored.identifiers[:MAX_FEATURED]
        shape["featuredIdentifiers"] = [{"key": item.key, "value": item.value} for item in featured]
    if stored.list_ids:
        shape["listIds"] = list(stored.list_ids)
    if stored.account_ids:
        shape["accountIds"] = list(stored.account_ids)
    return shape


def _attributes(stored: Contact) -> Json:
    attributes = dict(stored.attributes)
    for key in MIRRORED:
        values = [item.value for item in stored.identifiers if item.key == key]
        if values:
            attributes[key] = values
    return attributes


def _display_name(stored: Contact) -> str:
    names = (stored.attributes.get("firstName"), stored.attributes.get("lastName"))
    written = stored.attributes.get("displayName") or " ".join(str(name) for name in names if name)
    return str(written or next((item.value for item in stored.identifiers), ""))


def identifier(contact_id: str, stored: Identifier) -> Json:
    """An identifier's own record."""
    return {
        "contactId": contact_id,
        "key": stored.key,
        "value": stored.value,
        "properties": stored.properties,
        "createdAt": millisecond(stored.created_at),
    }


def contact_list(stored: ContactList) -> Json:
    """A list."""
    count = len(stored.members)
    return {
        "id": stored.id,
        **stored.fields,
        "contactCount": count,
        "counter": {"count": count, "updatedAt": millisecond(stored.updated_at)},
        "createdAt": millisecond(stored.created_at),
        "updatedAt": millisecond(stored.updated_at),
    }
