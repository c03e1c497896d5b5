"""Custom fields and the types of their values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, TypeAlias

from attrs import field, frozen

__all__ = ["CustomValue", "FieldDefinition", "FieldType", "value_type"]


CustomValue: TypeAlias = str | int | float | bool | date | datetime | tuple[str, ...] | None
"""A custom field's value, in the Python type of the field's `FieldType`."""


class FieldType(Enum):
    """The type of a custom field.

    Attributes:
        TEXT: ``str``.
        NUMBER: ``int`` or ``float``.
        DATE: ``date`` or ``datetime``.
        BOOLEAN: ``bool``.
        CHOICE: One of the options, as ``str``.
        CHOICES: Several of the options, as a tuple of ``str``.
        USER: A user of the vendor.
        OTHER: Another type.
    """

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    CHOICES = "choices"
    USER = "user"
    OTHER = "other"


@frozen(weakref_slot=False)
class FieldDefinition:
    """A custom field of an account; contacts have its value under ``name``, or in the field that it holds.

    Attributes:
        provider: Name of the provider.
        id: The vendor's id.
        name: Its name, and the key in `Contact.custom`.
        type: The type of its values.
        options: The values to choose from, for `FieldType.CHOICE` and `FieldType.CHOICES`.
        read_only: Whether only the vendor writes it.
        contact_field: The field of `Contact` that it holds, such as ``organization`` or ``address.city``; its texts are
            there, and not in `Contact.custom`. Empty for all others.
        extra: Fields without a place here, by the vendor's names.
    """

    provider: str
    id: str
    name: str
    type: FieldType
    options: tuple[str, ...] = ()
    read_only: bool = False
    contact_field: str = ""
    extra: Mapping[str, Any] = field(factory=dict[str, Any], repr=False)


def value_type(value: object) -> FieldType | None:
    """Return the type of a custom field that has this value; None if the value does not tell."""
    match value:
        case bool():
            return FieldType.BOOLEAN
        case int() | float():
            return FieldType.NUMBER
        case date():
            return FieldType.DATE
        case tuple():
            return FieldType.CHOICES
        case str():
            return FieldType.TEXT
        case _:
            return None
