"""Contacts as rows on disk: as JSON, with the types of custom values."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any, cast

import msgspec

from contacts_core.models import Address, Contact, CustomValue, Identifier

__all__ = ["contact_row", "stored_contact"]

DATE, TIME = "date", "time"


class StoredContact(msgspec.Struct):
    """A contact whose custom values have the types of JSON."""

    provider: str
    id: str
    identifiers: tuple[Identifier, ...]
    first_name: str | None
    last_name: str | None
    full_name: str | None
    address: Address | None
    organization: str | None
    title: str | None
    lists: tuple[str, ...] | None
    tags: tuple[str, ...]
    custom: dict[str, Any]
    created_at: datetime | None
    updated_at: datetime | None
    extra: dict[str, Any]


Row = tuple[StoredContact, dict[str, str]]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Row).decode


def contact_row(contact: Contact) -> bytes | str:
    """Return a contact as it is stored.

    Raises:
        TypeError: It holds a value that JSON has not; see `contacts_core.operations.previewing.unsendable`.
    """
    types = {
        name: TIME if isinstance(value, datetime) else DATE
        for name, value in contact.custom.items()
        if isinstance(value, date)
    }
    try:
        return _encode((contact, types))
    except UnicodeEncodeError:  # half of a surrogate pair, which is no Unicode
        return json.dumps(msgspec.to_builtins((contact, types)))


def stored_contact(row: bytes | str) -> Contact:
    """Return the contact that was stored."""
    found, types = _decode(row) if isinstance(row, bytes) else msgspec.convert(json.loads(row), Row)
    custom = {name: _value(value, types.get(name)) for name, value in found.custom.items()}
    return Contact(
        found.provider,
        found.id,
        found.identifiers,
        found.first_name,
        found.last_name,
        found.full_name,
        found.address,
        found.organization,
        found.title,
        found.lists,
        found.tags,
        custom,
        found.created_at,
        found.updated_at,
        found.extra,
    )


def _value(value: Any, kind: str | None) -> CustomValue:
    if kind is None:
        return tuple(cast("list[str]", value)) if isinstance(value, list) else value
    return datetime.fromisoformat(value) if kind == TIME else date.fromisoformat(value)
