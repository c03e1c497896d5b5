"""Change fields of a contact."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import cast

from contacts_core.errors import InvalidInput, UnsupportedOperation
from contacts_core.models import CHANGEABLE_FIELDS, CustomValue, Outcome
from contacts_core.models.field_changes import CUSTOM, custom_field_of
from contacts_core.operations.checks import check_id, require, several
from contacts_core.operations.outcomes import completed
from contacts_core.provider import ChangesContacts, Flow, Provider, changeable, clearable


def change_contact(
    provider: Provider, contact_id: str, set: Mapping[str, CustomValue], clear: Iterable[str] = ()
) -> Flow[Outcome]:
    """Set and clear fields of one contact; without any, nothing is sent.

    Args:
        provider: The account's provider.
        contact_id: The vendor's id of the contact.
        set: New values, by the name of the field; see `CHANGEABLE_FIELDS`.
        clear: Names of fields that lose their value.

    Raises:
        InvalidInput: A field does not exist or is named twice, or a value cannot be written; nothing was changed.
        UnsupportedOperation: The vendor cannot set or clear one of these fields; nothing was sent.
        NotFound: The contact does not exist.
    """
    able = require(provider, ChangesContacts)
    check_id(able, contact_id)
    cleared = list(dict.fromkeys(several(clear)))
    check_changes(able, set, cleared)
    operation = "change_contact"
    if not (set or cleared):
        return Outcome(operation=operation, provider=able.name)
    flow = able.change_contact(contact_id, dict(set), cleared)
    return (yield from completed(able, ChangesContacts, operation, flow, [contact_id]))


def check_changes(provider: Provider, set: Mapping[str, CustomValue], clear: Iterable[str] = ()) -> None:
    """Refuse changes of fields that a provider cannot make; see `change_contact`."""
    able = require(provider, ChangesContacts)
    cleared = list(clear)
    for field in (*set, *cleared):
        if field not in CHANGEABLE_FIELDS[:-1] and not custom_field_of(field).strip():
            known = ", ".join(CHANGEABLE_FIELDS[:-1])
            raise InvalidInput(f"there is no field {field!r} to change", hint=f"fields are {known}, and custom.NAME")
    if both := sorted(set.keys() & dict.fromkeys(cleared)):
        raise InvalidInput(f"{both[0]} is to be set and cleared at once")
    for field, value in set.items():
        _check_value(field, value)
    for doing, fields, able_to in (
        ("set", [*set], changeable(able)),
        ("clear", cleared, clearable(able)),
    ):
        if refused := [field for field in fields if _family(field) not in able_to]:
            names = ", ".join(each if each != CUSTOM else "custom.NAME" for each in able_to)
            raise UnsupportedOperation(
                f"{able.name} cannot {doing} {refused[0]}; nothing was sent",
                hint=f"{able.title or able.name} can {doing}: {names or 'no field'}",
            )


def _check_value(field: str, value: CustomValue) -> None:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise InvalidInput(f"{field} is set to nothing", hint="name it in `clear` to take its value away")
    for part in cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,):
        if not isinstance(part, str | int | float | date):
            raise InvalidInput(f"{field} is set to a value of the type {type(part).__name__}, which cannot be sent")
        try:
            json.dumps(str(part) if isinstance(part, date) else part, ensure_ascii=False, allow_nan=False).encode()
        except ValueError:
            raise InvalidInput(f"{field} is set to half a character, or to a number that is not finite") from None
    if not custom_field_of(field) and not isinstance(value, str):
        raise InvalidInput(f"{field} takes a text, not a value of the type {type(value).__name__}")


def _family(field: str) -> str:
    return CUSTOM if custom_field_of(field) else field
