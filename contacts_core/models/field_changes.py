"""Changes of single fields of a contact: their names, and what becomes of the contact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, fields

from contacts_core.models.contact import Address, Contact
from contacts_core.models.fields import CustomValue

__all__ = ["CHANGEABLE_FIELDS", "changed", "custom_field_of", "field_value", "split_changes"]

NAMES = ("first_name", "last_name", "full_name", "organization", "title")
ADDRESS = "address."
CUSTOM = "custom"
CHANGEABLE_FIELDS: tuple[str, ...] = (*NAMES, *(ADDRESS + part.name for part in fields(Address)), CUSTOM)
"""Names of the fields that `change_contact` knows: those of `Contact`, ``address.city`` and so on for the parts of the
address, and ``custom``, which stands for every custom field; each of them is called ``custom.`` and its name."""


def custom_field_of(field: str) -> str:
    """Return the name of the custom field that a field's name means; empty if it means none."""
    prefix, _, name = field.partition(".")
    return name if prefix == CUSTOM else ""


def split_changes(
    set: Mapping[str, CustomValue], clear: Iterable[str]
) -> tuple[dict[str, str | None], dict[str, CustomValue]]:
    """Return the changes of shared fields by their names, and those of custom fields by theirs; None clears a field."""
    texts: dict[str, str | None] = {}
    custom: dict[str, CustomValue] = {}
    for field, value in {**set, **dict.fromkeys(clear)}.items():
        if name := custom_field_of(field):
            custom[name] = value
        else:
            texts[field] = None if value is None else str(value)
    return texts, custom


def field_value(contact: Contact, field: str) -> CustomValue:
    """Return what a contact has in a field; None if it has no value.

    Args:
        contact: The contact.
        field: One of `CHANGEABLE_FIELDS`, or ``custom.`` and the name of a custom field.
    """
    if name := custom_field_of(field):
        return contact.custom.get(name)
    if field in NAMES:
        text: str | None = getattr(contact, field)
    else:
        text = getattr(contact.address, field.removeprefix(ADDRESS), None)
    return text or None


def changed(contact: Contact, set: Mapping[str, CustomValue], clear: Iterable[str]) -> Contact:
    """Return a contact with fields set and cleared; all others stay.

    Args:
        contact: The contact.
        set: New values, by the name of the field.
        clear: Names of fields that lose their value.
    """
    texts, custom = split_changes(set, clear)
    values: dict[str, Any] = {name: text for name, text in texts.items() if name in NAMES}
    parts = {name.removeprefix(ADDRESS): text or "" for name, text in texts.items() if name not in NAMES}
    if parts:
        address = evolve(contact.address or Address(), **parts)
        values["address"] = None if address == Address() else address
    if custom:
        merged = {**contact.custom, **custom}
        values["custom"] = {name: value for name, value in merged.items() if custom.get(name, "") is not None}
    return evolve(contact, **values)
