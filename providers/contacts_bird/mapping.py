"""Bird's words in ours, and back: tables and small total functions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, TypeGuard

from contacts_bird.payloads import AttributeDetails, ContactDetails, IdentifierRef, ListDetails
from contacts_core.construct import constructor
from contacts_core.identifiers import Identifier, IdentifierKind
from contacts_core.models import Contact, ContactList, CustomValue, FieldDefinition, FieldType
from contacts_core.query import Query, identifier_of

NAME = "bird"

KEYS = {IdentifierKind.EMAIL: "emailaddress", IdentifierKind.PHONE: "phonenumber"}
KINDS = {key: kind for kind, key in KEYS.items()}
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
from_iso = datetime.fromisoformat


# -- contacts


def contact(found: ContactDetails, known: tuple[Identifier, ...]) -> Contact:
    """A contact with the identifiers that are known of it, from its own answer or read apart."""
    attributes = found.attributes or {}
    mirrored = {i.key for i in known} | KINDS.keys() | set(NAMES.values())
    extra: dict[str, Any] = dict(found.unknown)
    extra.update((theirs, value) for ours, theirs in EXTRAS.items() if (value := getattr(found, ours)) is not None)
    return make_contact(
        NAME,
        found.id,
        known,
        attributes.get("firstName") or None,
        attributes.get("lastName") or None,
        found.computed_display_name or attributes.get("displayName") or None,
        None,
        None,
        None,
        None if found.list_ids is None else tuple(found.list_ids),
        (),
        {name: custom_value(value) for name, value in attributes.items() if name not in mirrored and value is not None},
        from_iso(found.created_at) if found.created_at else None,
        from_iso(found.updated_at) if found.updated_at else None,
        extra,
    )


def known_identifiers(found: ContactDetails) -> tuple[Identifier, ...]:
    """The identifiers that an answer shows: the featured ones, and those mirrored in attributes."""
    shown = {(each.key, each.value): None for each in found.featured_identifiers or ()}
    attributes = found.attributes or {}
    for key in {**KINDS, **{key: None for key, _ in shown}}:
        if _is_list(values := attributes.get(key)):
            shown.update(((key, value), None) for value in values if isinstance(value, str))
    return tuple(identifier(key, value) for key, value in shown)


def identifier(key: str, value: str) -> Identifier:
    """An identifier, under Bird's key."""
    return make_identifier(KINDS.get(key, IdentifierKind.OTHER), value, False, "", key, "")  # noqa: FBT003


def identifiers(found: Iterable[IdentifierRef]) -> tuple[Identifier, ...]:
    """Identifiers that were read apart."""
    return tuple(identifier(each.key, each.value) for each in found)


def custom_value(value: Any) -> CustomValue:
    """An attribute's value: a scalar, or several as texts."""
    return tuple(map(str, value)) if _is_list(value) else value


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


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
        from_iso(found.created_at) if found.created_at else None,
        from_iso(found.updated_at) if found.updated_at else None,
        found.unknown,
    )


# -- writing


def reference(wanted: Identifier, *, stored: bool = False) -> dict[str, str] | None:
    """An identifier as Bird takes it; None if Bird has no such kind. ``stored``: send the value as Bird spells it."""
    key = KEYS.get(wanted.kind) or (wanted.key if wanted.kind is IdentifierKind.OTHER else "")
    return {"key": key, "value": wanted.value if stored else wanted.normal} if key else None


def asked(query: Query) -> dict[str, str] | None:
    """The one identifier that answers a query, as Bird takes it."""
    found = identifier_of(query)
    return reference(found) if found else None


def references(contact: Contact, lost: set[str]) -> list[dict[str, str]]:
    """The identifiers of a contact as Bird takes them."""
    taken: list[dict[str, str]] = []
    for each in contact.identifiers:
        if found := reference(each, stored=contact.provider == NAME):
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
