"""A first map: which field and list of a target is likely the same as one of a source. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from contacts_core.models import Address, Contact, FieldDefinition, FieldType, Identifier, Shape
from contacts_core.models.losses import PARTS, TEXTS
from contacts_core.operations.previewing import fit
from contacts_core.plans.comparing.field_map import CUSTOM, STANDARD_FIELDS, TYPES
from contacts_core.provider import UpsertsContacts

__all__ = ["suggest_map", "unkept_fields"]

WORDS: Mapping[str, Sequence[str]] = {
    "first_name": ("firstname", "givenname"),
    "last_name": ("lastname", "surname", "familyname"),
    "full_name": ("fullname", "name", "displayname"),
    "organization": ("organization", "organisation", "company", "companyname", "employer"),
    "title": ("title", "jobtitle", "position"),
    "address.line1": ("line1", "addressline1", "address1", "street"),
    "address.line2": ("line2", "addressline2", "address2"),
    "address.city": ("city", "town"),
    "address.region": ("region", "state", "province", "stateprovinceregion"),
    "address.postal_code": ("postalcode", "postcode", "zip", "zipcode"),
    "address.country": ("country",),
    "address.formatted": ("formatted", "address", "fulladdress", "postaladdress"),
}
STANDARD = {word: name for name, words in WORDS.items() for word in words}
HEAD = """\
# What the contacts of the source become in the target: a first map, made from the names of fields and lists.
# Look at every line. A name is a field, `false` leaves it out; `type` is text, number, date or boolean.
#
#     "custom.Size" = {to = "custom.shirt", type = "text", options = {S = "small", XXL = false}}
#     "custom.town" = "address.city"
#     "organization" = "custom.company"
"""


def suggest_map(source: Shape, target: Shape, *, unkept: Collection[str] = ()) -> str:
    """Return a map in TOML that `FieldMap.parse` reads.

    Fields and lists that have the same name, but for capitals, blanks and punctuation, become one another; a field of
    the same type is preferred. What has no counterpart is a comment.

    Args:
        source: The lists and custom fields of the source.
        target: Those of the target.
        unkept: Standard fields that the target has no place for; see `unkept_fields`.
    """
    tags = ["# Tags keep their names.", '# "vip" = "VIP"', '# "internal" = false']
    parts = {
        "fields": list(_fields(source.fields or (), target, unkept)),
        "lists": list(_lists([each.name for each in source.lists or ()], [each.name for each in target.lists or ()])),
        "tags": tags,
    }
    return HEAD + "".join(f"\n[{name}]\n" + "".join(f"{line}\n" for line in lines) for name, lines in parts.items())


def unkept_fields(target: UpsertsContacts, shape: Shape) -> tuple[str, ...]:
    """Return the standard fields that an account has no place for."""
    texts: dict[str, Any] = {**dict.fromkeys(TEXTS, "x"), "full_name": "x x"}
    address = Address(**dict.fromkeys(PARTS, "x"))
    known = (Identifier.email("jane@example.com"), Identifier.phone("+12025550123"), Identifier.external_id("x"))
    lost = {each.field for each in fit(target, Contact(identifiers=known, address=address, **texts), shape).losses}
    return tuple(name for name in STANDARD_FIELDS if name in lost)


def _fields(source: Iterable[FieldDefinition], target: Shape, unkept: Collection[str]) -> Iterator[str]:
    ours = {each.name: each for each in source if each.name.strip()}
    theirs = {each.name: each for each in target.fields or () if each.name.strip() and not each.read_only}
    same = [each for each in ours.values() if each.name in theirs and not each.read_only]
    free = {name: each for name, each in theirs.items() if name not in ours or ours[name].read_only}
    if plain := [_key(each) for each in same if not _new_type(each, theirs[each.name])]:
        yield f"# Called the same in both: {', '.join(plain)}"
    for each in same:
        if kind := _new_type(each, theirs[each.name]):
            yield _line(_key(each), f"{{type = {_quoted(kind)}}}")
    without = [each for each in ours.values() if each not in same]
    standard = [name for name in STANDARD_FIELDS if name not in unkept]
    for each in list(without):
        if rule := None if each.read_only else _counterpart(each, free, standard):
            without.remove(each)
            yield rule
    yield from _standard_fields(free, unkept)
    if without:
        yield "# The target has no such field: create it (--create-fields), name another one, or leave it out."
    for each in without:
        remark = ", which only its vendor writes" if each.read_only else ""
        yield f"# {_key(each)} = false  # {each.type.value}{remark}"


def _counterpart(source: FieldDefinition, free: dict[str, FieldDefinition], standard: list[str]) -> str:
    """Return the rule for a field that is called otherwise in the target; empty if there is none."""
    likely = [there for there in free.values() if _plain(there.name) == _plain(source.name)]
    if likely:
        found = next((there for there in likely if there.type is source.type), likely[0])
        del free[found.name]
        to, kind = _quoted(f"{CUSTOM}{found.name}"), _new_type(source, found)
        return _line(_key(source), f"{{to = {to}, type = {_quoted(kind)}}}" if kind else to)
    name = STANDARD.get(_plain(source.name), "")
    if name not in standard:
        return ""
    standard.remove(name)
    return _line(_key(source), _quoted(name))


def _standard_fields(free: dict[str, FieldDefinition], unkept: Iterable[str]) -> Iterator[str]:
    for name in unkept:
        texts = [each for each in free.values() if each.type is FieldType.TEXT]
        found = next((each for each in texts if STANDARD.get(_plain(each.name)) == name), None)
        if found:
            del free[found.name]
            yield _line(_quoted(name), _quoted(f"{CUSTOM}{found.name}"))
        else:
            usual = f"{CUSTOM}{name.rpartition('.')[2]}"
            yield f"# The target has no place for {name}; a custom field can hold it."
            yield f"# {_quoted(name)} = {_quoted(usual)}"


def _new_type(source: FieldDefinition, target: FieldDefinition) -> str:
    """Return the type that values have to get; empty if they may stay as they are."""
    return target.type.value if target.type is not source.type and target.type.value in TYPES else ""


def _lists(source: Iterable[str], target: Sequence[str]) -> Iterator[str]:
    without: list[str] = []
    same: list[str] = []
    for name in dict.fromkeys(source):
        likely = [there for there in target if _plain(there) == _plain(name) and there.strip()]
        if name in target:
            same.append(name)
        elif likely:
            yield _line(_quoted(name), _quoted(likely[0]))
        else:
            without.append(name)
    if same:
        yield f"# Called the same in both: {', '.join(map(_quoted, same))}"
    if without:
        yield "# The target has no such list: create it (--create-lists), name another one, or leave it out."
        yield from (f"# {_quoted(name)} = false" for name in without)


def _line(key: str, value: str) -> str:
    """Return a line; a comment if it holds what TOML cannot."""
    line = f"{key} = {value}"
    return f"# {line}" if "\N{REPLACEMENT CHARACTER}" in line else line


def _key(definition: FieldDefinition) -> str:
    return _quoted(f"{CUSTOM}{definition.name}")


def _quoted(text: str) -> str:
    """Return a text as a string of TOML."""
    whole = "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= each <= "\udfff" else each for each in text)
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")


def _plain(name: str) -> str:
    """Return a name without what people write in different ways."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", name).casefold()) or name
