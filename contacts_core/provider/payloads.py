"""From bytes to payloads: msgspec underneath, cattrs as the seam where a provider may register hooks.

A payload class declares what is known of a vendor's JSON. Decoding is strict: a page with an undeclared field does not
fit, and is read again field by field, which moves undeclared fields into the payload's ``unknown`` instead of dropping
them. That is some fifteen times slower, so it happens once: the decoder then derives payload types that declare these
fields too, and reads the next pages at full speed. In `TolerantFields` values of another type are moved as well, so
that one odd contact does not make a page unreadable.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from email.message import Message
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Generic, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from cattrs import Converter
from msgspec import UNSET, inspect
from msgspec.structs import force_setattr

from contacts_core.errors import UnexpectedPayload
from contacts_core.models.identifiers import scrub
from contacts_core.text import printable

__all__ = ["Payload", "TolerantFields", "UnknownFields", "decoder", "lines_decoder", "payload_converter"]

T = TypeVar("T")
R = TypeVar("R")

drift = logging.getLogger("contacts_core.drift")
"""Names the fields that a vendor sent and nobody declared; never their values."""

# All that decoding may raise: ValidationError is a DecodeError, and most are ValueErrors.
UNKNOWN = ""  # the JSON name of `UnknownFields.unknown`; no vendor has a field without a name


class Payload(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A vendor's JSON object, with the vendor's names. Subclass it with one attribute for each field."""


class UnknownFields(Payload, gc=False, forbid_unknown_fields=True, kw_only=True):
    """A payload that keeps undeclared fields in ``unknown``."""

    # msgspec is fast with `dict` itself only.
    unknown: dict[str, Any] = msgspec.field(name=UNKNOWN, default_factory=dict)  # pyright: ignore[reportUnknownVariableType]


class TolerantFields(UnknownFields, gc=False, forbid_unknown_fields=True, kw_only=True):
    """A payload whose optional fields may have values of another type; such a field counts as missing.

    Its value is kept in ``unknown`` as the vendor sent it. Required fields stay strict. Do not use it where a missing
    field means something, such as the cursor of a page.
    """


# msgspec crashes where two threads make decoders of one type, or use one while another is being made of the same parts.
one_at_a_time = threading.RLock()
if hasattr(os, "register_at_fork"):  # another thread may hold it at that moment
    os.register_at_fork(before=one_at_a_time.acquire, after_in_parent=one_at_a_time.release)
    os.register_at_fork(after_in_child=one_at_a_time.release)

MOST_NAMED = 20  # undeclared fields of one object
# A vendor that sends another field name in every answer must not make us derive types without end.
MAX_DERIVATIONS = 16  # of one decoder
MAX_LEARNED_FIELDS = 64  # of one payload class
MAX_LEARNED_NAME_LENGTH = 100  # characters
LONGEST_MISFIT = 300  # characters; a path may be as deep as the answer
LONGEST_FIELD = 60  # characters of the name of one
# A document or a fragment of HTML, after a byte order mark, an XML declaration and comments.
WEB_PAGE = re.compile(
    rb"(?is)(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*"
    rb"<(!doctype\s+html|(html|head|body|title|script|meta|center|h1|div|p)\b)"
)
LONGEST_PROLOGUE = 2000  # bytes that are looked at
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
    """Ignore a body, unless it is a web page, which the vendor's API does not send.

    Raises:
        UnexpectedPayload: It is a web page.
    """
    if is_web_page(raw):
        raise UnexpectedPayload("the answer is a web page, not the API's")


def is_web_page(raw: bytes) -> bool:
    """Return whether a body is HTML: what a gateway or a log-in page answers. Other XML is not."""
    return WEB_PAGE.match(raw[:LONGEST_PROLOGUE]) is not None


def body_text(content: bytes, headers: Mapping[str, str]) -> str:
    """Return a body as text, in the charset of its Content-Type, UTF-8 if it names none.

    Raises:
        UnexpectedPayload: It is not text of this charset.
    """
    message = Message()
    message["content-type"] = headers.get("content-type", "")
    charset = message.get_content_charset("utf-8")
    try:
        return content.decode("utf-8-sig" if charset == "utf-8" else charset)
    except (UnicodeDecodeError, LookupError):
        raise UnexpectedPayload(f"the answer is not text in the charset {printable(charset, 40)}") from None


def decoder(type_: Any) -> Callable[[bytes, Any], Any]:
    """Return the structure hook for one payload type."""
    return PayloadDecoder(type_).decode


def lines_decoder(type_: type[T]) -> Callable[[bytes], list[T]]:
    """Return a function that decodes whole lines of JSON Lines into payloads of one type."""
    return PayloadDecoder[T](type_).decode_lines


class PayloadDecoder(Generic[T]):
    """Decodes JSON into one payload type, and learns which undeclared fields the vendor sends.

    It may be used from several threads at once.
    """

    def __init__(self, type_: Any) -> None:
        self._type = type_
        self._learned: Mapping[type, frozenset[str]] = {}
        self._derivations = 0
        with one_at_a_time:
            self._quick: msgspec.json.Decoder[T] = msgspec.json.Decoder(type_)
            self._described = inspect.type_info(type_)

    def decode(self, raw: bytes, _: Any = None) -> T:
        """Decode one JSON document.

        Raises:
            UnexpectedPayload: It does not fit the payload type.
        """
        try:
            return self._quickly(self._quick.decode, raw)
        except msgspec.ValidationError:  # undeclared fields, or values that do not fit
            pass
        except UNREADABLE as error:
            raise misfit(error) from None
        drifted = Drift()
        try:
            found: T = msgspec.convert(set_aside(plain(raw), self._described, drifted), self._type)
        except UNREADABLE as error:
            raise misfit(error) from None
        finally:
            drifted.log()
        self._learn(drifted.undeclared)
        return found

    def decode_lines(self, lines: bytes) -> list[T]:
        """Decode whole lines of JSON Lines.

        Raises:
            UnexpectedPayload: A line does not fit the payload type.
        """
        try:
            return self._quickly(self._quick.decode_lines, lines)
        except UNREADABLE:  # each by itself: most still fit, and the error says what is wrong with the one
            return [self.decode(line) for line in lines.splitlines() if line.strip()]

    def _quickly(self, decode: Callable[[bytes], R], raw: bytes) -> R:
        """Decode with the declared and the learned fields, and log which of the latter came."""
        if not (self._learned and drift.isEnabledFor(logging.INFO)):
            return decode(raw)
        reading.drift = Drift()
        try:
            found = decode(raw)
            reading.drift.log()
            return found
        finally:
            reading.drift = None

    def _learn(self, undeclared: Mapping[type, Collection[str]]) -> None:
        """Declare these fields from now on, unless that was done too often."""
        with one_at_a_time:
            learned = {cls: self._learned.get(cls, frozenset()) | set(names) for cls, names in undeclared.items()}
            learned = {**self._learned, **{cls: names for cls, names in learned.items() if _is_learnable(names)}}
            if learned == self._learned or self._derivations >= MAX_DERIVATIONS:
                return
            self._derivations += 1
            try:
                self._quick = msgspec.json.Decoder(_widened(self._type, learned))
                self._learned = learned
            except (TypeError, ValueError, NameError, AttributeError):  # a class that cannot be derived from
                self._derivations = MAX_DERIVATIONS


def raw_json(raw: bytes) -> Any:
    """Decode any JSON as plain data; None for an empty body."""
    return decode_any(raw, None) if raw.strip() else None


def plain(raw: bytes) -> Any:
    """Decode JSON as plain data; numbers that are too large become text."""
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
    """Return the error that names where an answer differs from its documented shape.

    msgspec's messages hold types and paths, no values.
    """
    told = scrub(printable(error, LONGEST_MISFIT))
    return UnexpectedPayload(f"the answer does not have the documented shape: {told}")


decode_any = decoder(Any)


# -- field by field


class Drift:
    """How one answer differs from what its payloads declare."""

    def __init__(self) -> None:
        self.undeclared: dict[type, set[str]] = {}
        self._messages: dict[tuple[str, type, tuple[str, ...]], None] = {}

    def add_undeclared(self, cls: type, names: Collection[str]) -> None:
        """Note fields of one object that its class does not declare."""
        self.undeclared.setdefault(cls, set()).update(names)
        self._messages["%s has undeclared fields: %s", cls, tuple(sorted(names))] = None

    def add_odd(self, cls: type, names: Collection[str]) -> None:
        """Note fields of one object whose values have another type than declared."""
        self._messages["%s has fields of another type: %s", cls, tuple(sorted(names))] = None

    def log(self) -> None:
        """Log what differs: once for all objects of a class that differ in the same way."""
        for message, cls, names in self._messages:
            drift.info(message, cls.__name__, _named(names))


class _Reading(threading.local):
    """Where the derived payloads that this thread decodes note which of the learned fields came."""

    drift: Drift | None = None


reading = _Reading()


def set_aside(raw: Any, described: inspect.Type, drifted: Drift) -> Any:
    """Move undeclared fields of every object into its ``unknown``, or drop them where a payload has no such place."""
    match described, raw:
        case inspect.UnionType(types=types), _:
            fitting = next((t for t in types if _shape(t) is type(raw)), types[0])
            return set_aside(raw, fitting, drifted)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item), list():
            # By way of `object`: pyright needs the cast from `list`, and mypy calls that one redundant.
            elements = cast("list[Any]", cast("object", raw))
            return [set_aside(each, item, drifted) for each in elements]
        case inspect.DictType(value_type=value), dict():
            return {key: set_aside(each, value, drifted) for key, each in cast("dict[str, Any]", raw).items()}
        case inspect.StructType(cls=cls, fields=fields), dict():
            return _object(cls, cast("dict[str, Any]", raw), {field.encode_name: field for field in fields}, drifted)
        case _:
            return raw


def _shape(described: inspect.Type) -> type | None:
    match described:
        case inspect.ListType() | inspect.VarTupleType():
            return list
        case inspect.DictType() | inspect.StructType():
            return dict
        case _:
            return None


def _object(cls: type[Any], raw: dict[str, Any], fields: dict[str, inspect.Field], drifted: Drift) -> dict[str, Any]:
    known = {key: set_aside(value, fields[key].type, drifted) for key, value in raw.items() if key in fields}
    undeclared = {key: value for key, value in raw.items() if key not in fields}
    if undeclared:
        drifted.add_undeclared(cls, undeclared)
    if issubclass(cls, TolerantFields) and not _fits(known, cls):
        hints = _hints(cls)
        odd = [key for key in known if not (fields[key].required or _fits(known[key], hints[fields[key].name]))]
        undeclared |= {key: raw[key] for key in odd}
        known = {key: value for key, value in known.items() if key not in odd}
        if odd:
            drifted.add_odd(cls, odd)
    if undeclared and UNKNOWN in fields:
        known[UNKNOWN] = undeclared
    return known


def _named(fields: Collection[str]) -> str:
    """Names of fields for a log, masked: a vendor may use identifiers as names."""
    names = [scrub(printable(name, LONGEST_FIELD)) for name in sorted(fields)[:MOST_NAMED]]
    return ", ".join([*names, f"and {more} more"] if (more := len(fields) - len(names)) else names)


@cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    """The types of a payload's fields by attribute."""
    hints = get_type_hints(cls, include_extras=True)
    return {name: hints[name] for name in cls.__struct_fields__}


def _fits(value: Any, type_: Any) -> bool:
    try:
        msgspec.convert(value, type_)
    except UNREADABLE:
        return False
    return True


# -- payload types that declare more fields


def _is_learnable(names: Collection[str]) -> bool:
    """Whether a payload class may be derived that declares these fields. msgspec encodes names as they are."""
    return len(names) <= MAX_LEARNED_FIELDS and all(
        len(name) <= MAX_LEARNED_NAME_LENGTH and not any(char in '"\\' or char < " " for char in name) for name in names
    )


def _widened(type_: Any, undeclared: Mapping[type, Collection[str]]) -> Any:
    """A payload type like ``type_`` whose payloads, wherever they are in it, declare these fields as well."""
    structs: dict[Any, set[Any]] = {}  # with those that their fields hold
    todo: set[Any] = set(_structs_of(type_))
    while todo:
        cls = todo.pop()
        structs[cls] = {each for hint in _hints(cls).values() for each in _structs_of(hint)}
        todo |= structs[cls] - structs.keys()
    affected = set(undeclared)
    while more := {cls for cls, held in structs.items() if held & affected} - affected:
        affected |= more
    derived: dict[Any, Any] = {cls: _derived(cls, undeclared.get(cls, ())) for cls in affected}
    for cls, wider in derived.items():  # only now, because payloads may hold one another
        hints = {name: (hint, _replaced(hint, derived)) for name, hint in _hints(cls).items()}
        wider.__annotations__.update({name: new for name, (hint, new) in hints.items() if new is not hint})
    return _replaced(type_, derived)


def _structs_of(type_: Any) -> Iterator[type[Any]]:
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        yield type_
    for argument in get_args(type_):
        yield from _structs_of(argument)


def _replaced(type_: Any, derived: Mapping[type, Any]) -> Any:
    """The type with every class replaced by what is derived from it; the same object where there is none."""
    if isinstance(type_, type) and type_ in derived:
        return derived[type_]
    arguments = get_args(type_)
    replaced = tuple(_replaced(each, derived) for each in arguments)
    if all(new is old for new, old in zip(replaced, arguments, strict=True)):
        return type_
    origin: Any = get_origin(type_)
    if origin is UnionType:
        origin = Union
    return Annotated[replaced] if origin is Annotated else origin[replaced]


def _derived(cls: type[Any], names: Collection[str]) -> Any:
    """A subclass of a payload class, of the same name, that reads more fields and keeps them in ``unknown``."""
    attributes = {f"undeclared_{number}": name for number, name in enumerate(sorted(names))}
    fields = [(attribute, Any, msgspec.field(name=name, default=UNSET)) for attribute, name in attributes.items()]
    namespace = {"__post_init__": _collector(cls, attributes)} if attributes else {}
    return msgspec.defstruct(
        cls.__name__, fields, bases=(cls,), module=cls.__module__, namespace=namespace, kw_only=True
    )


def _collector(cls: type[Any], attributes: Mapping[str, str]) -> Callable[[Any], None]:
    """The ``__post_init__`` that keeps what came of these fields; generated code, because every object pays for it."""
    inherited = getattr(cls, "__post_init__", None)
    place = dict(zip(cls.__struct_encode_fields__, cls.__struct_fields__, strict=True)).get(UNKNOWN)

    def keep(payload: Any, found: dict[str, Any]) -> None:
        if place:
            force_setattr(payload, place, found)
        if reading.drift:
            reading.drift.add_undeclared(cls, found)

    any_came = " or ".join(f"payload.{attribute} is not UNSET" for attribute in attributes)
    lines = [
        "def collect(payload):",
        f"    if {any_came}:",
        "        found = {}",
        *(f"        if (value := payload.{each}) is not UNSET: found[names[{each!r}]] = value" for each in attributes),
        "        keep(payload, found)",
    ]
    lines += ["    inherited(payload)"] if inherited else []
    scope: dict[str, Any] = {"UNSET": UNSET, "keep": keep, "names": attributes, "inherited": inherited}
    exec("\n".join(lines), scope)  # noqa: S102 - made of attribute names of our own
    collect: Callable[[Any], None] = scope["collect"]
    return collect
