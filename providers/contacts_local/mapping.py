"""Contacts as rows of the file, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from math import isfinite
from typing import Any, TypeAlias, cast

from attrs import astuple, evolve

from contacts_core.errors import InvalidInput
from contacts_core.models import Address, Contact, CustomValue, Identifier, IdentifierKind, Preview
from contacts_core.provider import constructor
from contacts_local.payloads import Data, decode, encode, read_data

__all__ = [
    "LARGEST",
    "NAME",
    "SEPARATOR",
    "Name",
    "Row",
    "Target",
    "contact",
    "custom_value",
    "index_rows",
    "merged",
    "microseconds",
    "moment",
    "names",
    "preview",
    "row",
    "target_text",
    "without_repetition",
]

Row: TypeAlias = tuple[Any, ...]
Name: TypeAlias = tuple[str, str, str]
"""What an identifier is looked up by: its kind, its key for other kinds, and its normal form."""
Target: TypeAlias = str | int | float | bool | date | datetime

NAME = "local"
TEXTS = ("first_name", "last_name", "full_name", "organization", "title")
SEPARATOR = "\x1f"  # between ids of lists, which hold no control characters
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LARGEST = 2**63  # SQLite takes a larger whole number in JSON for a fraction
KINDS = {kind.value: kind for kind in IdentifierKind}

make_contact = constructor(Contact)
make_identifier = constructor(Identifier)


# -- custom fields: JSON where it keeps the type, an object with one member where it does not


def _written(value: Any) -> Any:
    match value:
        case bool():
            return value
        case int() if not -LARGEST <= value < LARGEST:
            return {"int": str(value)}
        case float() if not isfinite(value):
            return {"float": str(value)}
        case datetime():
            return {"time": value.isoformat()}
        case date():
            return {"date": value.isoformat()}
        case _:
            return value


def _read(value: Any) -> CustomValue:
    match value:
        case {"int": str(text)}:
            return int(text)
        case {"float": str(text)}:
            return float(text)
        case {"time": str(text)}:
            return datetime.fromisoformat(text)
        case {"date": str(text)}:
            return date.fromisoformat(text)
        case list():
            return tuple(cast("list[str]", value))
        case _:
            return cast("CustomValue", value)


def target_text(value: Target) -> str:
    """Write one value as JSON, in the form that custom fields have in the file."""
    return encode(_written(value)).decode()


def custom_value(text: str) -> CustomValue:
    """Read one value of a custom field from JSON."""
    return _read(decode(text))


# -- times


def microseconds(value: datetime) -> int:
    """Return a time as microseconds since 1970; without a zone it is UTC."""
    return ((value if value.tzinfo else value.replace(tzinfo=UTC)) - EPOCH) // MICROSECOND


@lru_cache(maxsize=1024)  # contacts that were written together have the same times
def moment(value: int | None) -> datetime | None:
    """Return the time of so many microseconds since 1970."""
    return None if value is None else EPOCH + value * MICROSECOND


# -- contacts


def row(contact: Contact) -> str:
    """Return a contact as the column ``data`` holds it: all but its id, its lists and its times.

    Raises:
        InvalidInput: A value cannot be written without loss.
    """
    address = contact.address
    data = Data(
        [_identifier(each) for each in contact.identifiers],
        contact.first_name,
        contact.last_name,
        contact.full_name,
        contact.organization,
        contact.title,
    )
    if address is not None:
        data.line1, data.line2, data.city, data.region = address.line1, address.line2, address.city, address.region
        data.postal_code, data.country, data.formatted = address.postal_code, address.country, address.formatted
    if contact.tags:
        data.tags = contact.tags
    if contact.custom:
        data.custom = {name: _written(value) for name, value in contact.custom.items()}
    if contact.extra:
        data.extra = dict(contact.extra)
    try:
        text = encode(data).decode()
    except (TypeError, RecursionError):  # a value in ``extra`` that is not data, or one within itself
        raise InvalidInput("it holds a value that JSON has no form for") from None
    if "\\u0000" in text and "\\u0000" in text.replace("\\\\", ""):  # where SQLite takes a text in JSON to end
        raise InvalidInput("it holds the character NUL, which the file cannot hold")
    return text


def preview(contact: Contact) -> Preview:
    """Return what the file holds of a contact: everything, unless there is something that no row can hold."""
    if contact.extra or _has_nul(contact):
        try:
            _ = row(contact)
        except InvalidInput as error:
            return Preview.refused(str(error))
    if None in contact.custom.values():
        return Preview(evolve(contact, custom=_set(contact.custom)), (), contact)
    return Preview(contact, (), contact)


def _has_nul(contact: Contact) -> bool:
    texts: list[Any] = [each.value for each in contact.identifiers]
    texts += (contact.first_name, contact.last_name, contact.full_name, contact.organization, contact.title)
    if contact.tags or contact.address:
        texts += contact.tags
        texts += astuple(contact.address) if contact.address else ()
    for name, value in contact.custom.items():
        texts.append(name)
        texts += value if isinstance(value, tuple) else (value,)
    try:
        return "\0" in "".join(filter(None, texts))
    except TypeError:  # not all of them are texts
        return "\0" in "".join([text for text in texts if isinstance(text, str)])


def _identifier(each: Identifier) -> tuple[object, ...]:
    if each.primary or each.label or each.key or each.country_code:
        return (each.kind.value, each.value, each.primary, each.label, each.key, each.country_code)
    return (each.kind.value, each.value)


def _read_identifier(
    kind: str,
    value: str,
    primary: bool = False,  # noqa: FBT001, FBT002 - as it stands in the file
    label: str = "",
    key: str = "",
    country_code: str = "",
) -> Identifier:
    return make_identifier(KINDS[kind], value, primary, label, key, country_code)


def contact(contact_id: str, data: str, created_at: int | None, updated_at: int | None, lists: str | None) -> Contact:
    """Return the contact of a row; its lists have `SEPARATOR` between them."""
    found = read_data(data)
    place = (found.line1, found.line2, found.city, found.region, found.postal_code, found.country, found.formatted)
    return make_contact(
        NAME,
        contact_id,
        tuple([_read_identifier(*each) for each in found.identifiers]),
        found.first_name,
        found.last_name,
        found.full_name,
        Address(*place) if any(place) else None,
        found.organization,
        found.title,
        tuple(lists.split(SEPARATOR)) if lists else (),
        found.tags,
        {name: _read(value) for name, value in found.custom.items()} if found.custom else {},
        moment(created_at),
        moment(updated_at),
        found.extra,
    )


def names(identifiers: Iterable[Identifier]) -> list[Name]:
    """Return what each identifier is looked up by."""
    return [each.compared_by for each in identifiers]


def index_rows(identifiers: Sequence[Identifier], named: Sequence[Name], number: int) -> list[Row]:
    """Return the rows that a contact has in the table of identifiers.

    ``main`` says whether text conditions look at it: at those marked primary, where a contact has such of the kind.
    """
    marked = {each.kind for each in identifiers if each.primary}
    if not marked:
        return [(*name, number, 1) for name in named]
    return [
        (*name, number, int(each.primary or each.kind not in marked))
        for each, name in zip(identifiers, named, strict=True)
    ]


def without_repetition(contact: Contact, named: Sequence[Name]) -> Contact:
    """Return a new contact with each identifier once, and without custom fields that are given as None."""
    if len(set(named)) < len(named):
        contact = evolve(contact, identifiers=_identifiers((), contact.identifiers))
    if None in contact.custom.values():
        contact = evolve(contact, custom=_set(contact.custom))
    return contact


def _set(custom: Mapping[str, CustomValue]) -> dict[str, CustomValue]:
    return {name: value for name, value in custom.items() if value is not None}


def merged(before: Contact, given: Contact) -> Contact:
    """Return a contact with what was given of it; whatever was not given stays, and so does every identifier.

    Given names, address, organization, title and tags replace those there are. Identifiers, custom and extra fields are
    added to those there are, each in place of one of the same name; a custom field given as None is removed.
    """
    changes: dict[str, Any] = {name: value for name in TEXTS if (value := getattr(given, name))}
    changes |= {name: value for name in ("address", "tags") if (value := getattr(given, name))}
    if given.custom:
        changes["custom"] = _set({**before.custom, **given.custom})
    if given.extra:
        changes["extra"] = {**before.extra, **given.extra}
    if given.identifiers:
        changes["identifiers"] = _identifiers(before.identifiers, given.identifiers)
    return evolve(before, **changes)


def _identifiers(before: Sequence[Identifier], given: Sequence[Identifier]) -> tuple[Identifier, ...]:
    """Those there are, with what is said of them now, and the new ones; a new primary one replaces the former one."""
    known = {each: each for each in before}
    for each in given:
        here = known.get(each)
        known[each] = (
            evolve(here, primary=here.primary or each.primary, label=each.label or here.label) if here else each
        )
    primary = {each for each in given if each.primary}
    replaced = {each.kind for each in primary}
    return tuple(
        evolve(each, primary=False) if each.primary and each.kind in replaced and each not in primary else each
        for each in known.values()
    )
