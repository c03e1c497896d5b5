"""What the vendor's API sends, in the vendor's words: one class for each JSON object."""

from __future__ import annotations

from contacts_core.provider import Payload, UnknownFields


class Person(UnknownFields):
    """One person. A field that may be absent has a default; fields that are not declared are kept in ``unknown``."""

    id: str
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None


class People(Payload):
    """One page of people. ``next`` is the token of the next page; the last page has none."""

    people: list[Person]
    next: str | None = None
    total: int | None = None
