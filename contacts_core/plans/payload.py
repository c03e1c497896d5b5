"""What changes write, as plain JSON that keeps every value and its type.

The JSON Lines of `contacts_core.formats` are for people and other programs: dates in custom fields are text there. A
plan must give back exactly what it was made of, so a date is an object with one field, which no vendor's value is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, TypeVar, cast

from attrs import AttrsInstance
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from contacts_core.errors import PlanRefused
from contacts_core.models import Address, Consent, Contact, ContactList, CustomValue, FieldDefinition, Identifier

__all__ = ["packed", "packed_values", "unpacked", "unpacked_values"]

T = TypeVar("T", bound=AttrsInstance)

DATE, TIME = "date", "time"


def packed(value: AttrsInstance) -> dict[str, Any]:
    """Return a model as plain JSON, without fields that have their default."""
    return cast("dict[str, Any]", _converter.unstructure(value))


def unpacked(payload: Mapping[str, Any], model: type[T]) -> T:
    """Return the model that was packed.

    Raises:
        PlanRefused: It is none.
    """
    try:
        return _converter.structure(payload, model)
    except Exception as error:
        raise PlanRefused(
            f"the plan contradicts itself: what it writes is no {model.__name__}", hint="make a new plan instead"
        ) from error


def packed_values(values: Mapping[str, CustomValue]) -> dict[str, Any]:
    """Return values of fields as plain JSON."""
    return {name: _packed_value(value) for name, value in values.items()}


def unpacked_values(values: Mapping[str, Any]) -> dict[str, CustomValue]:
    """Return the values that were packed.

    Raises:
        PlanRefused: One of them is no value of a field.
    """
    try:
        return {name: _unpacked_value(value) for name, value in values.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise PlanRefused("the plan contradicts itself: a value has no type", hint="make a new plan instead") from error


def _packed_value(value: CustomValue) -> Any:
    match value:
        case datetime():
            return {TIME: value.isoformat()}
        case date():
            return {DATE: value.isoformat()}
        case tuple():
            return list(value)
        case _:
            return value


def _unpacked_value(value: Any) -> CustomValue:
    match value:
        case {"time": text}:
            return datetime.fromisoformat(text)
        case {"date": text}:
            return date.fromisoformat(text)
        case [*several] if all(isinstance(each, str) for each in several):
            return tuple(several)
        case None | str() | int() | float():
            return value
        case _:
            raise TypeError("no value of a custom field")


def _instance(value: Any, type_: Any) -> Any:
    """Take values of this type only: cattrs turns any value into a text, or into a number."""
    if type(value) is not type_:
        raise TypeError(f"expected {type_.__name__}")
    return value


def _make_converter() -> Converter:
    new = Converter(omit_if_default=True, forbid_extra_keys=True, detailed_validation=False)
    new.register_unstructure_hook(datetime, datetime.isoformat)
    new.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    for primitive in (str, bool):
        new.register_structure_hook(primitive, _instance)
    for model in (Address, Identifier, Contact, ContactList, FieldDefinition, Consent):
        known: dict[str, Any] = {}
        if model is Contact:
            known["custom"] = override(
                unstruct_hook=packed_values, struct_hook=lambda values, _: unpacked_values(values)
            )
        new.register_unstructure_hook(
            model, make_dict_unstructure_fn(model, new, _cattrs_omit_if_default=True, **known)
        )
        new.register_structure_hook(
            model,
            make_dict_structure_fn(
                model, new, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=False, **known
            ),
        )
    return new


_converter = _make_converter()
