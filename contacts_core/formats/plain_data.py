"""Every model as plain data (dicts, lists, text, numbers) that JSON can hold, and back where that makes sense.

Values are whole, not masked: this is the user's own data. Times are ISO 8601, enums their values, and what is derived
and worth knowing (`Outcome.state`, say) stands beside what is stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, TypeVar, cast, get_args, get_origin

from attrs import AttrsInstance
from cattrs import Converter, transform_error
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn
from cattrs.v import format_exception

from contacts_core.errors import InvalidInput
from contacts_core.models import Consent, Contact, Count, CustomValue, Found, FoundConsent, Identifier, Job, Outcome
from contacts_core.models.identifiers import scrub

__all__ = ["consent_from_plain", "contact_from_plain", "job_from_plain", "plain"]

T = TypeVar("T", bound=AttrsInstance)

SEQUENCES = (tuple, list, set, frozenset)


def plain(value: Any) -> Any:
    """Return a model, or a collection of models, as plain data that JSON can hold.

    Values are not masked. Times are ISO 8601, enumerations are their values. Useful derived values, such as
    `Outcome.state`, are included.
    """
    return converter.unstructure(value)


def contact_from_plain(data: Any) -> Contact:
    """Return the contact of a JSON object that `plain` made.

    Dates in custom fields stay text, because JSON has no dates.

    Raises:
        InvalidInput: It is not a contact, or has unknown fields.
    """
    return _structured(data, Contact)


def consent_from_plain(data: Any) -> Consent:
    """Return the statement of consent of a JSON object that `plain` made.

    Raises:
        InvalidInput: It is not a statement of consent, or has unknown fields.
    """
    return _structured(data, Consent)


def job_from_plain(data: Any) -> Job:
    """Return the job of a JSON object that `plain` made, for example in another process.

    Raises:
        InvalidInput: It is not a job, or has unknown fields.
    """
    return _structured(data, Job)


def _structured(data: Any, model: type[T]) -> T:
    if not isinstance(data, dict):
        raise InvalidInput(f"expected a JSON object that describes a {model.__name__.lower()}")
    try:
        return converter.structure(data, model)
    except Exception as error:  # noqa: BLE001 - cattrs raises groups of whatever the hooks raised
        where = scrub("; ".join(transform_error(error, format_exception=_explained)))
        printable = where if where.isprintable() else repr(where)[1:-1]
        hint = "a field that is not written anywhere would be lost" if "extra fields found" in where else ""
        raise InvalidInput(f"this is no {model.__name__.lower()}: {printable}", hint=hint) from None


def _explained(error: BaseException, expected: type | None) -> str:
    """Return what is wrong with a value: in our words where there are some."""
    return str(error) if isinstance(error, InvalidInput) else format_exception(error, expected)


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        **_stored(outcome),
        "state": outcome.state.value,
        "succeeded_count": outcome.succeeded_count,
        "failed_count": outcome.failed_count,
        "unconfirmed": outcome.unconfirmed,
        "pending": [job.id for job in outcome.pending],
    }


def _identifier(identifier: Identifier) -> dict[str, Any]:
    """With the form that every command and every vendor takes; what a vendor stores may be a national number."""
    return {**_stored_identifier(identifier), "normal": identifier.normal}


def _identifier_from(data: Any, _type: Any) -> Identifier:
    if not isinstance(data, dict):
        raise TypeError("expected an object")
    fields = cast("dict[str, Any]", data)
    rest = {name: value for name, value in fields.items() if name != "normal"}
    identifier: Identifier = _structured_identifier(rest, Identifier)
    if fields.get("normal", identifier.normal) != identifier.normal:
        raise InvalidInput("normal is not the normal form of value (leave it out, or change both)")
    return identifier


def _found(found: Found) -> dict[str, Any]:
    return {
        "asked": len(found),
        "found": sum(map(bool, found.matches.values())),
        "matches": [
            {"identifier": plain(identifier), "contacts": [plain(contact) for contact in contacts]}
            for identifier, contacts in found.matches.items()
        ],
        "unasked": [{"identifier": plain(i), "reason": reason} for i, reason in found.unasked.items()],
        "mismatched": [{"identifier": plain(i), "contacts": number} for i, number in found.mismatched.items()],
    }


def _found_consent(found: FoundConsent) -> dict[str, Any]:
    return {
        "asked": len(found),
        "found": sum(map(bool, found.values())),
        "statements": [
            {"identifier": plain(identifier), "statements": [plain(statement) for statement in statements]}
            for identifier, statements in found.items()
        ],
        "unasked": [{"identifier": plain(i), "reason": reason} for i, reason in found.unasked.items()],
        "mismatched": [{"identifier": plain(i), "statements": number} for i, number in found.mismatched.items()],
    }


def _number(number: float) -> float | None:
    """JSON knows neither infinity nor what is not a number."""
    return number if math.isfinite(number) else None


def _list(values: Any) -> list[Any]:
    return [plain(value) for value in values]


def _dict(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): plain(value) for key, value in values.items()}


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _is_mapping(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is Mapping


def _tuple_of(kind: Any) -> Any:
    """Refuse a bare text where several are due: it would become its characters."""
    each, item = converter.get_structure_hook(get_args(kind)[0]), get_args(kind)[0]

    def structured(values: Any, _type: Any) -> tuple[Any, ...]:
        if not isinstance(values, list):
            raise TypeError("expected a list")
        return tuple(each(value, item) for value in cast("Sequence[Any]", values))

    return structured


def _custom_value(value: Any, _type: Any) -> Any:
    if isinstance(value, list):
        return tuple(_text(item, str) for item in cast("Sequence[Any]", value))
    if isinstance(value, dict):
        raise TypeError("a custom field holds no object")
    return value


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    """Take values of this type only: ``"no"`` is not True, and 1.5 is not 1."""

    def structured(value: Any, _type: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}")
        return value

    return structured


def _mapping(value: Any, kind: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("expected an object")
    (_, item) = get_args(kind)
    each = converter.get_structure_hook(item)
    return {key: each(content, item) for key, content in cast("dict[str, Any]", value).items()}


def _text(value: Any, _type: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("expected text")
    return value


def _moment(value: Any, _type: Any) -> datetime:
    moment = datetime.fromisoformat(_text(value, str))
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone, such as +00:00")
    moment.astimezone(UTC)  # raises OverflowError for a time before the first year or after the last
    return moment


def _converter() -> Converter:
    made = Converter(forbid_extra_keys=True)
    made.register_unstructure_hook(date, date.isoformat)
    made.register_unstructure_hook(datetime, datetime.isoformat)
    made.register_unstructure_hook(float, _number)
    made.register_unstructure_hook(Enum, lambda member: member.value)
    made.register_unstructure_hook(Count, lambda count: {"count": int(count), "source": count.source})
    made.register_unstructure_hook(Found, _found)
    made.register_unstructure_hook(FoundConsent, _found_consent)
    made.register_unstructure_hook(Identifier, _identifier)
    made.register_structure_hook(Identifier, _identifier_from)
    made.register_unstructure_hook(Outcome, _outcome)
    made.register_unstructure_hook_func(lambda kind: kind in SEQUENCES, _list)
    made.register_unstructure_hook_func(lambda kind: bool(kind is dict), _dict)
    made.register_structure_hook(str, _text)
    made.register_structure_hook(bool, _exactly(bool))
    made.register_structure_hook(int, _exactly(int))
    made.register_structure_hook(datetime, _moment)
    made.register_structure_hook_func(lambda kind: kind == CustomValue, _custom_value)
    made.register_structure_hook_factory(_is_tuple, _tuple_of)
    made.register_structure_hook_func(_is_mapping, _mapping)
    return made


converter = _converter()
_stored = make_dict_unstructure_fn(Outcome, converter)
_stored_identifier = make_dict_unstructure_fn(Identifier, converter)
_structured_identifier = make_dict_structure_fn(Identifier, converter, _cattrs_forbid_extra_keys=True)
