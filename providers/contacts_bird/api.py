"""Bird's endpoints, one function each.

Source: https://docs.bird.com/api/contacts-api. Paths are relative to ``/workspaces/{workspace_id}``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

from contacts_bird.payloads import (
    AttributeDefinitions,
    AttributeDetails,
    ContactDetails,
    Contacts,
    Identifiers,
    ListDetails,
    Lists,
    Processed,
)
from contacts_core.provider import Request, delete, get, patch, path, post

PAGE = "100"  # a larger one is refused
READ, WRITE = "", "write"  # the lanes of the vendor's two rates: GET, and everything else

Json = Mapping[str, Any]


def contacts(page_token: str | None, limit: int | None = None) -> Request[Contacts]:
    """Read a page of contacts."""
    return get("/contacts", Contacts, _page(page_token) | ({"limit": f"{limit}"} if limit else {}))


def contact(contact_id: str) -> Request[ContactDetails]:
    """Read one contact."""
    return get(path("/contacts/{contact_id}", contact_id=contact_id), ContactDetails)


def create_contact(body: Json) -> Request[ContactDetails]:
    """Create a contact; an identifier in use gives 409."""
    return post("/contacts", ContactDetails, body, rate_limit=WRITE)


def update_contact(contact_id: str, body: Json) -> Request[ContactDetails]:
    """Change a contact."""
    return patch(path("/contacts/{contact_id}", contact_id=contact_id), ContactDetails, body, rate_limit=WRITE)


def upsert_contact(key: str, value: str, body: Json) -> Request[ContactDetails]:
    """Change the contact with this identifier, or create it. An encoded ``@`` is refused, so it stays as it is."""
    to = path("/contacts/identifiers/{key}/{value}", safe="@+", key=key, value=value)
    return patch(to, ContactDetails, body, rate_limit=WRITE)


def delete_contact(contact_id: str) -> Request[None]:
    """Delete one contact."""
    return delete(path("/contacts/{contact_id}", contact_id=contact_id), NoneType, rate_limit=WRITE)


def search(key: str, value: str) -> Request[Contacts]:
    """Find contacts by one exact identifier."""
    return post(
        "/contacts/search", Contacts, {"identifier": {"key": key, "value": value}}, rate_limit=WRITE, idempotent=True
    )


def identifiers(contact_id: str, page_token: str | None) -> Request[Identifiers]:
    """Read a page of all identifiers of a contact."""
    return get(path("/contacts/{contact_id}/identifiers", contact_id=contact_id), Identifiers, _page(page_token))


def delete_identifier(contact_id: str, key: str, value: str) -> Request[None]:
    """Remove one identifier; the request has a body."""
    to = path("/contacts/{contact_id}/identifiers", contact_id=contact_id)
    return delete(to, NoneType, json={"key": key, "value": value}, rate_limit=WRITE)


def lists_of_contact(contact_id: str, page_token: str | None) -> Request[Lists]:
    """Read the lists a contact is on. Answers show a page token, though no way to send it is documented."""
    return get(path("/contacts/{contact_id}/lists", contact_id=contact_id), Lists, _further(page_token))


def lists(page_token: str | None) -> Request[Lists]:
    """Read all lists; no paging is documented, but a page token that comes is followed."""
    return get("/lists", Lists, _further(page_token))


def create_list(name: str) -> Request[ListDetails]:
    """Create a list."""
    return post("/lists", ListDetails, {"name": name}, rate_limit=WRITE)


def delete_list(list_id: str) -> Request[None]:
    """Delete a list."""
    return delete(path("/lists/{list_id}", list_id=list_id), NoneType, rate_limit=WRITE)


def contacts_of_list(list_id: str, page_token: str | None) -> Request[Contacts]:
    """Read a page of a list's contacts."""
    return get(path("/lists/{list_id}/contacts", list_id=list_id), Contacts, _page(page_token))


def add_to_list(list_id: str, members: Json) -> Request[Processed]:
    """Add members. POST is what adds, whatever the vendor's second example of removal prints."""
    return post(
        path("/lists/{list_id}/contacts", list_id=list_id), Processed, members, rate_limit=WRITE, idempotent=True
    )


def remove_from_list(list_id: str, members: Json) -> Request[Processed]:
    """Remove members: DELETE, with a body."""
    return delete(path("/lists/{list_id}/contacts", list_id=list_id), Processed, json=members, rate_limit=WRITE)


def attribute_definitions(page_token: str | None) -> Request[AttributeDefinitions]:
    """Read a page of attribute definitions."""
    return get("/attribute-definitions", AttributeDefinitions, _page(page_token))


def create_attribute_definition(key: str, type_: str, cardinality: str) -> Request[AttributeDetails]:
    """Define an attribute; a key in use gives 409."""
    body = {
        "key": key,
        "displayName": key,
        "cardinality": cardinality,
        "type": type_,
        "pii": False,
        "readOnly": False,
    }
    return post("/attribute-definitions", AttributeDetails, body, rate_limit=WRITE)


def members(ids: Sequence[str], identifiers: Sequence[Json]) -> Json:
    """The body of a membership change; an absent half may be left out."""
    return {name: each for name, each in (("contacts", ids), ("identifiers", identifiers)) if each}


def _further(page_token: str | None) -> dict[str, str] | None:
    return {"pageToken": page_token} if page_token else None


def _page(page_token: str | None) -> dict[str, str]:
    return {"limit": PAGE, "pageToken": page_token} if page_token else {"limit": PAGE}
