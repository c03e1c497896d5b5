"""The endpoints of user-api, one function each.

Source: https://guide.rolodexcrm.com/api-reference. Paths are relative to ``/user-api/v1``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contacts_core.provider import Request, delete, get, path, post, put
from contacts_user_api.payloads import ContactAnswer, Contacts, FieldAnswer, Fields, ListAnswer, Lists, Users

PAGE = 100  # no maximum is stated; this one is in use
RELATIONS = "emails,phone_numbers,companies,custom_fields,tags,lists,notes"

Json = Mapping[str, Any]


def contacts(offset: int, limit: int = PAGE, include: str = RELATIONS) -> Request[Contacts]:
    """Read a page of contacts, the oldest first, so that new ones do not shift the pages."""
    page = {"limit": f"{limit}", "offset": f"{offset}", "order_by": "created_at:asc"}
    return get("/contacts", Contacts, page | _include(include))


def contact(contact_id: str, include: str = RELATIONS) -> Request[ContactAnswer]:
    """Read one contact."""
    return get(path("/contacts/{contact_id}", contact_id=contact_id), ContactAnswer, _include(include))


def create_contact(body: Json) -> Request[ContactAnswer]:
    """Create a contact."""
    return post("/contacts", ContactAnswer, body)


def update_contact(contact_id: str, body: Json) -> Request[ContactAnswer]:
    """Change a contact; a relation that is sent replaces the whole relation."""
    return put(path("/contacts/{contact_id}", contact_id=contact_id), ContactAnswer, body)


def delete_contact(contact_id: str) -> Request[ContactAnswer]:
    """Delete one contact; it comes back once more, with the relations asked for."""
    return delete(path("/contacts/{contact_id}", contact_id=contact_id), ContactAnswer, _include(RELATIONS))


def lists(offset: int) -> Request[Lists]:
    """Read a page of the lists that hold contacts."""
    return get("/lists", Lists, {"limit": f"{PAGE}", "offset": f"{offset}", "type": "CONTACT"})


def create_list(name: str) -> Request[ListAnswer]:
    """Create a list of contacts."""
    return post("/lists", ListAnswer, {"name": name, "type": "CONTACT"})


def custom_fields(offset: int) -> Request[Fields]:
    """Read a page of the custom fields of contacts."""
    return get("/custom-fields", Fields, {"limit": f"{PAGE}", "offset": f"{offset}", "entity_type": "CONTACT"})


def create_custom_field(name: str, field_type: str) -> Request[FieldAnswer]:
    """Create a custom field of contacts."""
    body = {"name": name, "field_type": field_type, "entity_type": "CONTACT"}
    return post("/custom-fields", FieldAnswer, body)


def users() -> Request[Users]:
    """Read who works in the workspace."""
    return get("/workspace-users", Users, {"limit": f"{PAGE}"})


def _include(relations: str) -> dict[str, str]:
    return {"include": relations} if relations else {}
