"""From bytes to payloads: msgspec underneath, cattrs as the seam where a provider may register hooks.

A payload class says what is known of a vendor's JSON. Decoding is strict first: an object with a field that nobody
declared makes the quick way fail, and the page is read again the slow way, which moves undeclared fields into the
payload's ``unknown`` instead of dropping them. So nothing a vendor adds is ever lost, and the usual page pays nothing.
In `TolerantFields` the slow way moves odd values there too, so that one odd contact does not make a page unreadable.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Collection
from functools import cache
from types import NoneType
from typing import Any, TypeVar, get_type_hints

import msgspec
from cattrs import Converter
from msgspec.inspect import DictType, Field, ListType, StructType, Type, UnionType, type_info

from contacts_core.errors import UnexpectedPayload
from contacts_core.models.identifiers import scrub
from contacts_core.text import printable

__all__ = ["Payload", "TolerantFields", "UnknownFields", "decoder", "lines_decoder", "payload_converter"]

T = TypeVar("T")

drift = logging.getLogger("contacts_core.drift")
"""Names the fields that a vendor sent and nobody declared; never their values."""

# All that decoding may raise: ValidationError is a DecodeError, and most are ValueErrors.
UNKNOWN = ""  # the JSON name of `UnknownFields.unknown`; no vendor has a field without a name


class Payload(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A vendor's JSON object, in the vendor's words. Subclass it with one attribute a field."""


class UnknownFields(Payload, gc=False, forbid_unknown_fields=True, kw_only=True):
    """A payload that keeps the fields nobody declared, in ``unknown``."""

    unknown: dict[str, Any] = msgspec.field(name=UNKNOWN, default_factory=dict)


class TolerantFields(UnknownFields, gc=False, forbid_unknown_fields=True, kw_only=True):
    """A payload whose optional fields may be odd: a value of another type counts as not told.

    It is kept in ``unknown`` as the vendor sent it. Required fields stay strict, and so must be every payload whose
    absent field is a statement, such as the cursor of a page.
    """


# msgspec crashes where two threads make decoders of one type, or use one while another is being made of the same parts.
one_at_a_time = threading.RLock()
if hasattr(os, "register_at_fork"):  # another thread may hold it at that moment
    os.register_at_fork(before=one_at_a_time.acquire, after_in_parent=one_at_a_time.release)
    os.register_at_fork(after_in_child=one_at_a_time.release)

MOST_NAMED = 20  # undeclared fields of one object
LONGEST_MISFIT = 300  # characters; a path may be as deep as the answer
LONGEST_FIELD = 60  # characters of the name of one
UNREADABLE = (msgspec.DecodeError, ValueError, OverflowError, TypeError, RecursionError)


def payload_converter() -> Converter:
    """A cattrs converter that structures JSON bytes into payloads, and nothing (``NoneType``) out of any body.

    Raises:
        UnexpectedPayload: From ``structure``, when the bytes do not fit; the message names the path.
    """
    converter = Converter()
    converter.register_structure_hook_factory(lambda _: True, decoder)
    converter.register_structure_hook_func(lambda type_: type_ is object, lambda raw, _: raw_json(raw))
    converter.register_structure_hook(NoneType, nothing)
    return converter


def nothing(raw: bytes, _: Any = None) -> None:
    """Ignore a body, unless it is a web page: then something else than the vendor's API answered."""
    if raw.lstrip()[:1] == b"<":
        raise UnexpectedPayload("the answer is a web page, not the API's")


def decoder(type_: Any) -> Callable[[bytes, Any], Any]:
    """The structure hook for one payload type."""
    with one_at_a_time:
        quick = msgspec.json.Decoder(type_)
        described = type_info(type_)

    def structure(raw: bytes, _: Any = None) -> Any:
        try:
            return quick.decode(raw)
        except msgspec.ValidationError:  # undeclared fields, or values that do not fit
            pass
        except UNREADABLE as error:
            raise misfit(error) from None
        try:
            return msgspec.convert(set_aside(plain(raw), described), type_)
        except UNREADABLE as error:
            raise misfit(error) from None

    return structure


def lines_decoder(type_: type[T]) -> Callable[[bytes], list[T]]:
    """What decodes whole lines of JSON Lines into payloads of one type."""
    slow = decoder(type_)
    with one_at_a_time:
        quick = msgspec.json.Decoder(type_)

    def decode(lines: bytes) -> list[T]:
        try:
            return quick.decode_lines(lines)
        except UNREADABLE:  # the slow way says which line
            return [slow(line, None) for line in lines.splitlines() if line.strip()]

    return decode


def raw_json(raw: bytes) -> Any:
    """Any JSON as plain data; None for an empty body."""
    return decode_any(raw, None) if raw.strip() else None


def plain(raw: bytes) -> Any:
    """JSON as plain data; numbers beyond all bounds become text."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:
        return msgspec.json.decode(json.dumps(json.loads(raw, parse_int=_bounded, parse_float=_bounded)))


def _bounded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        return text


def misfit(error: Exception) -> UnexpectedPayload:
    """Name the place where an answer left its documented shape. msgspec's messages hold types and paths, no values."""
    told = scrub(printable(error, LONGEST_MISFIT))
    return UnexpectedPayload(f"the answer does not have the documented shape: {told}")


decode_any = decoder(Any)


def set_aside(raw: Any, described: Type) -> Any:
    """Move undeclared fields of every object into its ``unknown``, or drop them where a payload has no such place."""
    match described, raw:
        case UnionType(types=types), _:
            return set_aside(raw, next((t for t in types if _shape(t) is type(raw)), described.types[0]))
        case ListType(item_type=item), list():
            return [set_aside(each, item) for each in raw]
        case DictType(value_type=value), dict():
            return {key: set_aside(each, value) for key, each in raw.items()}
        case StructType(cls=cls, fields=fields), dict():
            return _object(cls, raw, {field.encode_name: field for field in fields})
        case _:
            return raw


def _shape(described: Type) -> type | None:
    match described:
        case ListType():
            return list
        case DictType() | StructType():
            return dict
        case _:
            return None


def _object(cls: type[Any], raw: dict[str, Any], fields: dict[str, Field]) -> dict[str, Any]:
    known = {key: set_aside(value, fields[key].type) for key, value in raw.items() if key in fields}
    undeclared = {key: value for key, value in raw.items() if key not in fields}
    if undeclared:
        drift.info("%s has undeclared fields: %s", cls.__name__, _named(undeclared))
    if issubclass(cls, TolerantFields):
        hints = _hints(cls)
        odd = [key for key in known if not (fields[key].required or _fits(known[key], hints[fields[key].name]))]
        undeclared |= {key: raw[key] for key in odd}
        known = {key: value for key, value in known.items() if key not in odd}
        if odd:
            drift.info("%s has fields of another type: %s", cls.__name__, _named(odd))
    if undeclared and UNKNOWN in fields:
        known[UNKNOWN] = undeclared
    return known


def _named(fields: Collection[str]) -> str:
    """The names of fields, fit for a log: the vendor chooses them, and may have used identifiers for names."""
    names = [scrub(printable(name, LONGEST_FIELD)) for name in sorted(fields)[:MOST_NAMED]]
    return ", ".join([*names, f"and {more} more"] if (more := len(fields) - len(names)) else names)


@cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    return get_type_hints(cls)


def _fits(value: Any, type_: Any) -> bool:
    try:
        msgspec.convert(value, type_)
    except UNREADABLE:
        return False
    return True
