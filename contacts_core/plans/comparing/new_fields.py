"""Custom fields that a target lacks for the contacts of a source, as far as it can create them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contacts_core import operations
from contacts_core.errors import InvalidInput
from contacts_core.models import Contact, FieldDefinition, FieldType, Shape, value_type
from contacts_core.plans.comparing.field_map import CUSTOM, EXTRA, STANDARD_FIELDS, FieldMap
from contacts_core.provider import CreatesCustomFields, UpsertsContacts

__all__ = ["UsedFields"]

MOST_NAMED = 10_000  # different custom fields that contacts have values of


class UsedFields:
    """The fields that contacts have values of, each with the type of its values: custom fields, and others by name."""

    def __init__(self, field_map: FieldMap | None = None) -> None:
        """Begin without contacts; of the vendor's own fields, those count that a map names."""
        self._types: dict[str, FieldType] = {}
        self._extra_types: dict[str, FieldType] = {}
        named = (each for each in field_map.fields if each.startswith(EXTRA)) if field_map else ()
        self._extra = tuple(each.removeprefix(EXTRA) for each in named)

    def add(self, contact: Contact) -> None:
        """Note the values of a contact.

        Raises:
            InvalidInput: Contacts have values of more fields than any account has.
        """
        for name, value in contact.custom.items():
            _note(self._types, name, value)
        for name in self._extra:
            _note(self._extra_types, name, contact.extra.get(name))
        if len(self._types) > MOST_NAMED:
            raise InvalidInput(
                f"the contacts have more than {MOST_NAMED} custom fields", hint="is this the right file?"
            )

    def definitions(self) -> tuple[FieldDefinition, ...]:
        """Return the fields."""
        return tuple(FieldDefinition("", name, name, kind) for name, kind in self._types.items())

    def missing(
        self, target: UpsertsContacts, there: Shape, source: Shape, field_map: FieldMap
    ) -> tuple[FieldDefinition, ...]:
        """Return the fields that the target lacks and can create.

        Args:
            target: The provider of the target.
            there: What the target has room for.
            source: What the source has room for; it tells the types of fields.
            field_map: It may rename fields, convert their values, and leave some out.
        """
        if not (target.fields_defined_first and isinstance(target, CreatesCustomFields)):
            return ()
        made: dict[str, FieldDefinition] = {}
        for name, kind in self._wanted(source, field_map).items():
            usable = kind if kind in target.field_types else FieldType.TEXT
            known = there.field(name) or name.casefold() in made or usable not in target.field_types
            if not known and not operations.field_name_problem(target, name):
                made[name.casefold()] = FieldDefinition(target.name, name, name, usable)
        return tuple(made.values())

    def _wanted(self, source: Shape, field_map: FieldMap) -> Mapping[str, FieldType]:
        """Return the types of the fields that the contacts need, by their names in the target."""
        wanted: dict[str, FieldType] = {}
        for name, found in self._types.items():
            rule, known = field_map.fields.get(f"{CUSTOM}{name}"), source.field(name)
            to = rule.to if rule else None if known and known.read_only else f"{CUSTOM}{name}"
            if to and to.startswith(CUSTOM):
                kind = (rule and rule.type) or (known.type if known else found)
                wanted.setdefault(to.removeprefix(CUSTOM), kind)
        others = dict.fromkeys(STANDARD_FIELDS, FieldType.TEXT)
        others |= {f"{EXTRA}{name}": found for name, found in self._extra_types.items()}
        for name, found in others.items():
            rule = field_map.fields.get(name)
            if rule and rule.to and rule.to.startswith(CUSTOM):
                wanted.setdefault(rule.to.removeprefix(CUSTOM), rule.type or found)
        return wanted


def _note(types: dict[str, FieldType], name: str, value: Any) -> None:
    """Note a value of a field; a field with values of several types is text."""
    if value is None:
        return
    found = value_type(value) or FieldType.TEXT
    if types.setdefault(name, found) is not found:
        types[name] = FieldType.TEXT
