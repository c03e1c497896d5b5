"""Read and create custom fields."""

from __future__ import annotations

import re

from contacts_core.errors import InvalidInput, UnsupportedOperation
from contacts_core.models import FieldDefinition, FieldType
from contacts_core.operations.checks import require
from contacts_core.provider import CreatesCustomFields, Flow, Provider, ReadsCustomFields, flows


def custom_fields(provider: Provider) -> Flow[list[FieldDefinition]]:
    """Read every custom field."""
    return (yield from flows.gather(require(provider, ReadsCustomFields).custom_fields_page))


def create_custom_field(provider: Provider, name: str, type: FieldType) -> Flow[FieldDefinition]:
    """Create a custom field.

    Names that differ only in case are taken for the same, because some vendors do so.

    Raises:
        InvalidInput: The vendor does not take the name, or there is a field of this name.
        UnsupportedOperation: The vendor has no such type; nothing was sent.
    """
    able = require(provider, CreatesCustomFields)
    if problem := field_name_problem(able, name):
        raise problem
    if type not in able.field_types:
        types = ", ".join(each.value for each in able.field_types)
        raise UnsupportedOperation(
            f"{able.name} cannot create a custom field of the type {type.value}", hint=f"it can create: {types}"
        )
    if isinstance(able, ReadsCustomFields):
        known = yield from flows.gather(able.custom_fields_page)
        if same := next((each for each in known if each.name.lower() == name.lower()), None):
            raise InvalidInput(f"there is a custom field {same.name!r} already, of the type {same.type.value}")
    return (yield from able.create_custom_field(name, type))


def field_name_problem(provider: CreatesCustomFields, name: str) -> InvalidInput | None:
    """Return why a vendor takes no custom field of this name; None if it may."""
    fewest, most = provider.field_name_lengths
    if not name.strip():
        return InvalidInput("the name of the custom field is blank")
    if not fewest <= len(name) <= most:
        return InvalidInput(f"the name of a custom field has {fewest} to {most} characters here")
    if not re.fullmatch(provider.field_name_pattern, name, re.DOTALL):
        return InvalidInput(
            f"{provider.title or provider.name} takes no custom field of the name {name!r}",
            hint=f"names of fields match {provider.field_name_pattern}",
        )
    if name.casefold() in {each.casefold() for each in provider.reserved_field_names}:
        return InvalidInput(
            f"{provider.title or provider.name} has a field {name!r} of its own", hint="give the field another name"
        )
    return None
