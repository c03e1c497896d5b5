"""The requests of the vendor's API, one function for each. They are values: `yield from` sends them."""

from __future__ import annotations

from types import NoneType

from contacts_core.provider import Request, delete, get, path

from contacts_acme.payloads import People, Person


def people(limit: int, token: str | None) -> Request[People]:
    """Read one page of people."""
    page = {"after": token} if token else {}
    return get("/people", People, {"limit": f"{limit}", **page})


def person(id: str) -> Request[Person]:
    """Read one person."""
    return get(path("/people/{id}", id=id), Person)


def delete_person(id: str) -> Request[None]:
    """Delete one person; the answer has no body."""
    return delete(path("/people/{id}", id=id), NoneType)
