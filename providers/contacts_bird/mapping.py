"""Bird's words in ours, and back: tables and small total functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, TypeGuard

import msgspec
from attrs import frozen

from contacts_bird.payloads import AttributeDetails, ContactDetails, IdentifierRef, ListDetails
from contacts_core.models import (
    Contact,
    ContactList,
    CustomValue,
    FieldDefinition,
    FieldType,
    Identifier,
    IdentifierKind,
)
from contacts_core.provider import constructor, moment
from contacts_core.query import Query, identifier_of

NAME = "bird"
LONGEST_VALUE = 500

FIELD_TYPES = {
    "string": FieldType.TEXT,
    "number": FieldType.NUMBER,
    "datetime": FieldType.DATE,
    "boolean": FieldType.BOOLEAN,
}
NAMES = {"first_name": "firstName", "last_name": "lastName", "full_name": "displayName"}
EXTRAS = {"account_ids": "accountIds", "company_refs": "companyRefs", "is_anonymous": "isAnonymous"}
NO_PLACE = ("address", "organization", "title", "tags")
LONGEST_NAME = 150
MOST_LISTS = 10  # in one request
MOST_IDENTIFIERS = 10

make_contact = constructor(Contact)
make_identifier = constructor(Identifier)


@frozen
class Keys:
    """The keys under which a workspace keeps each kind of identifier, the one to write first."""

    by_kind: Mapping[IdentifierKind, Sequence[str]]

    def kind(self, key: str) -> IdentifierKind:
        """The kind of a key; `IdentifierKind.OTHER` for one that nobody named."""
        return next((kind for kind, keys in self.by_kind.items() if key in keys), IdentifierKind.OTHER)

    def of(self, wanted: Identifier) -> Sequence[str]:
        """The keys under which an identifier may be kept."""
        if wanted.kind is IdentifierKind.OTHER:
            return [wanted.key] if wanted.key else []
        return self.by_kind.get(wanted.kind, ())

    def mirrored(self) -> list[str]:
        """All keys that were named."""
        return [key for keys in self.by_kind.values() for key in keys]


# -- contacts


def contact(found: ContactDetails, known: tuple[Identifier, ...], keys: Keys) -> Contact:
    """A contact with the identifiers that are known of it, from its own answer or read apart."""
    attributes = found.attributes or {}
    mirrored = {i.key for i in known} | set(keys.mirrored()) | set(NAMES.values())
    extra: dict[str, Any] = dict(found.unknown)
    created, updated = moment(found.created_at), moment(found.updated_at)
    odd: dict[str, Any] = {"createdAt": found.created_at if not created else None}
    odd["updatedAt"] = found.updated_at if not updated else None
    odd |= {name: attributes.get(name) for name in NAMES.values() if not _is_text(attributes.get(name))}
    extra.update((name, value) for name, value in odd.items() if value)
    extra.update((theirs, value) for ours, theirs in EXTRAS.items() if (value := getattr(found, ours)) is not None)
    return make_contact(
        provider=NAME,
        id=found.id,
        identifiers=known,
        first_name=_text(attributes.get("firstName")),
        last_name=_text(attributes.get("lastName")),
        full_name=found.computed_display_name or _text(attributes.get("displayName")),
        address=None,
        organization=None,
        title=None,
        lists=None if found.list_ids is None else tuple(found.list_ids),
        tags=(),
        custom={
            name: custom_value(value)
            for name, value in attributes.items()
            if name not in mirrored and value is not None
        },
        created_at=created,
        updated_at=updated,
        extra=extra,
    )


def is_told(found: ContactDetails, known: tuple[Identifier, ...]) -> bool:
    """Whether an answer shows all identifiers of a contact: it counts them, and no more than it shows."""
    count = found.identifier_count
    return count is not None and 0 <= count <= len(known)


def known_identifiers(found: ContactDetails, keys: Keys) -> tuple[Identifier, ...]:
    """The identifiers that an answer shows: the featured ones, and those mirrored in attributes."""
    shown = {(each.key, each.value): None for each in found.featured_identifiers or ()}
    attributes = found.attributes or {}
    for key in dict.fromkeys([*keys.mirrored(), *(key for key, _ in shown)]):
        if _is_list(values := attributes.get(key)):
            shown.update(((key, value), None) for value in values if isinstance(value, str))
    return tuple(identifier(key, value, keys) for key, value in shown)


def identifier(key: str, value: str, keys: Keys) -> Identifier:
    """An identifier, under Bird's key."""
    return make_identifier(kind=keys.kind(key), value=value, primary=False, label="", key=key, country_code="")


def identifiers(found: Iterable[IdentifierRef], keys: Keys) -> tuple[Identifier, ...]:
    """Identifiers that were read apart."""
    return tuple(identifier(each.key, each.value, keys) for each in found)


def custom_value(value: Any) -> CustomValue:
    """An attribute's value: a scalar, or several as texts; other shapes, which nobody documented, become JSON text."""
    if _is_list(value):
        return tuple(map(_as_text, value))
    return value if isinstance(value, str | int | float) else _as_text(value)


def _as_text(value: Any) -> str:
    if not isinstance(value, dict | list):
        return str(value)
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError:  # nested more deeply than anybody writes by hand
        return ""


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _text(value: Any) -> str | None:
    return value if value and isinstance(value, str) else None


# -- fields and lists


def field(found: AttributeDetails) -> FieldDefinition:
    """A custom field. Contacts carry it under its key, so that is its name."""
    many = found.cardinality == "many" and found.type == "string"
    type_ = FieldType.CHOICES if many else FIELD_TYPES.get(found.type or "", FieldType.OTHER)
    return FieldDefinition(NAME, found.id, found.key, type_, (), found.read_only, found.unknown)


def contact_list(found: ListDetails) -> ContactList:
    """A list."""
    return ContactList(
        NAME,
        found.id,
        found.name,
        found.contact_count,
        found.description or "",
        moment(found.created_at),
        moment(found.updated_at),
        found.unknown,
    )


# -- writing


def cannot_find(wanted: Identifier, keys: Keys) -> str:
    """Why Bird cannot be asked for an identifier; empty if it can."""
    if len(wanted.value) > LONGEST_VALUE:
        return f"Bird's identifiers have at most {LONGEST_VALUE} characters"
    if wanted.kind is IdentifierKind.OTHER:
        kind = keys.kind(wanted.key)
        if kind is not IdentifierKind.OTHER:
            return f"what is under the key {wanted.key!r} is looked up as {kind.value}"
        return "" if wanted.key else "it has no key"
    kind = wanted.kind.value
    return "" if keys.of(wanted) else f"the setting {kind}_keys does not say under which keys the workspace keeps it"


def to_ask(wanted: Identifier, keys: Keys) -> list[dict[str, str]]:
    """The references under which an identifier may be found: each key, as it was written and in its normal form."""
    values: dict[str, None] = {wanted.normal: None}
    if wanted.kind is not IdentifierKind.PHONE:
        values[wanted.value.strip()] = None
    return [{"key": key, "value": value} for key in keys.of(wanted) for value in values]


def reference(wanted: Identifier, keys: Keys, *, stored: bool = False) -> dict[str, str] | None:
    """An identifier as Bird takes it; None if Bird has no such kind. ``stored``: send it as Bird spells it."""
    known = keys.of(wanted)
    if not known:
        return None
    key = wanted.key if stored and wanted.key in known else known[0]
    return {"key": key, "value": wanted.value if stored else wanted.normal}


def asked(query: Query, keys: Keys) -> Identifier | None:
    """The one identifier that answers a query, if Bird can be asked for it."""
    found = identifier_of(query)
    return found if found and not cannot_find(found, keys) else None


def references(contact: Contact, keys: Keys, lost: set[str]) -> list[dict[str, str]]:
    """The identifiers of a contact as Bird takes them."""
    taken: list[dict[str, str]] = []
    for each in contact.identifiers:
        if found := reference(each, keys, stored=contact.provider == NAME):
            taken.append(found)
        else:
            lost.add(each.kind.value)
    lost.update("another identifier" for _ in taken[MOST_IDENTIFIERS:])
    return taken[:MOST_IDENTIFIERS]


def attributes(contact: Contact, lost: set[str]) -> dict[str, Any]:
    """The names and custom fields of a contact as Bird takes them; what has no place is named in ``lost``."""
    lost.update(name for name in NO_PLACE if getattr(contact, name))
    if contact.provider != NAME:
        lost.update(contact.extra)
    names = {theirs: value for ours, theirs in NAMES.items() if (value := getattr(contact, ours))}
    return names | {name: written_value(value) for name, value in contact.custom.items()}


def written_value(value: CustomValue) -> Any:
    """A custom value as JSON has it."""
    match value:
        case date():
            return value.isoformat()
        case tuple():
            return list(value)
        case _:
            return value


def display_name(contact: Contact) -> str:
    """The name that Bird wants for a new contact."""
    return (contact.name or next((i.value for i in contact.identifiers), ""))[:LONGEST_NAME]
