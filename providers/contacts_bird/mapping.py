"""Bird's payloads as shared models, and back: tables and small functions that never raise on odd values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, TypeGuard

from attrs import Factory, frozen
from attrs import field as attribute

from contacts_bird.payloads import AttributeDetails, ContactDetails, ListDetails
from contacts_core.errors import InvalidInput
from contacts_core.models import (
    Channel,
    Consent,
    ConsentState,
    Contact,
    ContactList,
    CustomValue,
    FieldDefinition,
    FieldType,
    Identifier,
    IdentifierKind,
)
from contacts_core.provider import constructor, json_text, moment
from contacts_core.query import Query, identifier_of

NAME = "bird"
LONGEST_VALUE = 500

FIELD_TYPES = {
    "string": FieldType.TEXT,
    "number": FieldType.NUMBER,
    "datetime": FieldType.DATE,
    "boolean": FieldType.BOOLEAN,
}
CREATED_TYPES = {
    FieldType.TEXT: ("string", "one"),
    FieldType.NUMBER: ("number", "one"),
    FieldType.DATE: ("datetime", "one"),
    FieldType.BOOLEAN: ("boolean", "one"),
    FieldType.CHOICES: ("string", "many"),
}  # type and cardinality
NAMES = {"first_name": "firstName", "last_name": "lastName", "full_name": "displayName"}
EXTRAS = {"account_ids": "accountIds", "company_refs": "companyRefs", "is_anonymous": "isAnonymous"}
# Attributes that are statements of consent: true is granted, false is revoked, and not set is no statement. They have
# neither reason nor date nor scope, and are about the whole contact. docs.bird.com: "subscription status".
SUBSCRIBED = {
    Channel.EMAIL: "subscribedEmail",
    Channel.SMS: "subscribedSms",
    Channel.WHATSAPP: "subscribedWhatsapp",
    Channel.PUSH: "subscribedPush",
    Channel.RCS: "subscribedRcs",
}
CHANNEL_KINDS: Mapping[Channel, tuple[IdentifierKind, ...]] = {
    Channel.EMAIL: (IdentifierKind.EMAIL,),
    Channel.SMS: (IdentifierKind.PHONE,),
    Channel.WHATSAPP: (IdentifierKind.PHONE,),
    Channel.PUSH: tuple(IdentifierKind),
    Channel.RCS: (IdentifierKind.PHONE,),
}
CONSENT_ATTRIBUTES = frozenset(SUBSCRIBED.values())
NO_PLACE = ("address", "organization", "title", "tags")
LONGEST_NAME = 150
MOST_LISTS = 10  # in one request
MOST_IDENTIFIERS = 10

make_contact = constructor(Contact)
make_identifier = constructor(Identifier)


def _kinds(keys: Keys) -> Mapping[str, IdentifierKind]:
    named = [(key, kind) for kind, of_kind in keys.by_kind.items() for key in of_kind]
    kinds = dict(reversed(named))  # the first kind that names a key has it
    return {key: kinds[key] for key, _ in named}


def _own(keys: Keys) -> frozenset[str]:
    return frozenset([*keys.kinds, *NAMES.values(), *CONSENT_ATTRIBUTES])


@frozen
class Keys:
    """The keys under which a workspace stores each kind of identifier; the first one is written.

    Attributes:
        by_kind: The keys of each kind.
        kinds: The kind of each key that the settings name.
        own: Attributes that are identifiers, names or consent, not custom fields.
    """

    by_kind: Mapping[IdentifierKind, Sequence[str]]
    kinds: Mapping[str, IdentifierKind] = attribute(init=False, default=Factory(_kinds, takes_self=True))
    own: frozenset[str] = attribute(init=False, default=Factory(_own, takes_self=True))

    def kind(self, key: str) -> IdentifierKind:
        """Return the kind of a key; `IdentifierKind.OTHER` for one that no setting names."""
        return self.kinds.get(key, IdentifierKind.OTHER)

    def of(self, wanted: Identifier) -> Sequence[str]:
        """Return the keys under which an identifier may be stored."""
        if wanted.kind is IdentifierKind.OTHER:
            return [wanted.key] if wanted.key else []
        return self.by_kind.get(wanted.kind, ())


# -- contacts


def contact(found: ContactDetails, known: tuple[Identifier, ...], keys: Keys) -> Contact:
    """Return a contact with its identifiers, from its own answer or from a request for them."""
    attributes = found.attributes or {}
    own = keys.own.union([i.key for i in known])
    extra: dict[str, Any] = dict(found.unknown)
    created = moment(found.created_at, extra, "createdAt")
    updated = moment(found.updated_at, extra, "updatedAt")
    odd = {name: attributes.get(name) for name in NAMES.values() if not _is_text(attributes.get(name))}
    extra.update((name, value) for name, value in odd.items() if value)
    extra.update((name, value) for name in CONSENT_ATTRIBUTES if _is_odd_consent(value := attributes.get(name)))
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
            name: custom_value(value) for name, value in attributes.items() if name not in own and value is not None
        },
        created_at=created,
        updated_at=updated,
        extra=extra,
    )


def is_told(found: ContactDetails, shown: Collection[tuple[str, str]]) -> bool:
    """Return whether an answer has all identifiers of a contact: their count is not larger."""
    count = found.identifier_count
    return count is not None and 0 <= count <= len(shown)


def shown_identifiers(found: ContactDetails, keys: Keys) -> Collection[tuple[str, str]]:
    """Return keys and values of the identifiers in an answer: the featured ones, and those mirrored in attributes."""
    shown = {(each.key, each.value): None for each in found.featured_identifiers or ()}
    attributes = found.attributes or {}
    for key in dict.fromkeys([*keys.kinds, *(key for key, _ in shown)]):
        if _is_list(values := attributes.get(key)):
            shown.update(((key, value), None) for value in values if isinstance(value, str))
    return shown


def identifier(key: str, value: str, keys: Keys) -> Identifier:
    """Return an identifier under Bird's key."""
    return make_identifier(kind=keys.kind(key), value=value, primary=False, label="", key=key, country_code="")


def identifiers(found: Iterable[tuple[str, str]], keys: Keys) -> tuple[Identifier, ...]:
    """Return identifiers, from Bird's keys and values."""
    return tuple(identifier(key, value, keys) for key, value in found)


def custom_value(value: Any) -> CustomValue:
    """Return an attribute's value: a scalar, or several as texts; undocumented shapes become JSON text."""
    if _is_list(value):
        return tuple(map(_as_text, value))
    return value if isinstance(value, str | int | float) else _as_text(value)


def _as_text(value: Any) -> str:
    return str(value) if value is None or isinstance(value, str | int | float) else json_text(value)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _text(value: Any) -> str | None:
    return value if value and isinstance(value, str) else None


# -- consent


def _is_odd_consent(value: Any) -> bool:
    return value is not None and not isinstance(value, bool)


def has_consent(found: ContactDetails) -> bool:
    """Return whether a contact carries a statement of consent."""
    return any(isinstance((found.attributes or {}).get(name), bool) for name in CONSENT_ATTRIBUTES)


def consent(found: ContactDetails, known: Sequence[Identifier]) -> list[Consent]:
    """Return the statements that a contact carries, about each of its identifiers that the channel takes.

    Without such an identifier they are about all others; without any, about the id of the contact.
    """
    statements: list[Consent] = []
    for channel, name in SUBSCRIBED.items():
        value = (found.attributes or {}).get(name)
        if not isinstance(value, bool):
            continue
        about = [each for each in known if each.kind in CHANNEL_KINDS[channel]] or known
        state = ConsentState.GRANTED if value else ConsentState.REVOKED
        statements += [
            Consent(each, channel, state, provider=NAME) for each in about or [Identifier.other("id", found.id)]
        ]
    return statements


def shows_consent(found: ContactDetails, statement: Consent) -> bool | None:
    """Return whether an answer shows a statement that was written; None where it does not tell."""
    if found.attributes is None:
        return None
    return found.attributes.get(SUBSCRIBED[statement.channel]) is (statement.state is ConsentState.GRANTED)


# -- fields and lists


def field(found: AttributeDetails) -> FieldDefinition:
    """Return a custom field; its name is its key, under which contacts have it."""
    many = found.cardinality == "many" and found.type == "string"
    type_ = FieldType.CHOICES if many else FIELD_TYPES.get(found.type or "", FieldType.OTHER)
    return FieldDefinition(
        provider=NAME, id=found.id, name=found.key, type=type_, read_only=found.read_only, extra=found.unknown
    )


def contact_list(found: ListDetails) -> ContactList:
    """Return a list."""
    return ContactList(
        provider=NAME,
        id=found.id,
        name=found.name,
        count=found.contact_count,
        description=found.description or "",
        created_at=moment(found.created_at),
        updated_at=moment(found.updated_at),
        extra=found.unknown,
    )


# -- writing


def cannot_find(wanted: Identifier, keys: Keys) -> str:
    """Return why Bird cannot look up an identifier; empty if it can."""
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
    """Return the references under which an identifier may be found: each key, as written and in normal form."""
    values: dict[str, None] = {wanted.normal: None}
    if wanted.kind is not IdentifierKind.PHONE:
        values[wanted.value.strip()] = None
    return [{"key": key, "value": value} for key in keys.of(wanted) for value in values]


def reference(wanted: Identifier, keys: Keys, *, stored: bool = False) -> dict[str, str] | None:
    """Return an identifier as Bird takes it; None if Bird has no such kind. ``stored``: keep the spelling."""
    known = keys.of(wanted)
    if not known:
        return None
    key = wanted.key if stored and wanted.key in known else known[0]
    return {"key": key, "value": wanted.value if stored else wanted.normal}


def asked(query: Query, keys: Keys) -> Identifier | None:
    """Return the one identifier that answers a query, if Bird can look it up."""
    found = identifier_of(query)
    return found if found and not cannot_find(found, keys) else None


def references(contact: Contact, keys: Keys, lost: set[str]) -> list[dict[str, str]]:
    """Return the identifiers of a contact as Bird takes them; ``lost`` gets those it has no place for."""
    taken: list[dict[str, str]] = []
    for each in contact.identifiers:
        if found := reference(each, keys, stored=contact.provider == NAME):
            taken.append(found)
        else:
            lost.add(each.kind.value)
    lost.update("another identifier" for _ in taken[MOST_IDENTIFIERS:])
    return taken[:MOST_IDENTIFIERS]


def attributes(contact: Contact, lost: set[str]) -> dict[str, Any]:
    """Return the names and custom fields of a contact as Bird takes them; ``lost`` gets fields without a place."""
    lost.update(name for name in NO_PLACE if getattr(contact, name))
    if contact.provider != NAME:
        lost.update(contact.extra)
    names = {theirs: value for ours, theirs in NAMES.items() if (value := getattr(contact, ours))}
    # Consent is written by itself: a file of contacts must not subscribe whoever unsubscribed meanwhile.
    lost.update(f"custom field {name}" for name in contact.custom if name in CONSENT_ATTRIBUTES)
    custom = {name: value for name, value in contact.custom.items() if name not in CONSENT_ATTRIBUTES}
    return names | {name: written_value(value) for name, value in custom.items()}


def changed_attributes(
    texts: Mapping[str, str | None], custom: Mapping[str, CustomValue], keys: Keys
) -> dict[str, Any]:
    """Return changes of fields as attributes; null takes a value away.

    Raises:
        InvalidInput: A custom field is an attribute that another field or an identifier stands for.
    """
    if named := sorted(keys.own & custom.keys()):
        raise InvalidInput(
            f"the attribute {named[0]} is no custom field", hint="it stands for a name, an identifier or consent"
        )
    shared = {NAMES[name]: text for name, text in texts.items()}
    return shared | {name: written_value(value) for name, value in custom.items()}


def written_value(value: CustomValue) -> Any:
    """Return a custom value as JSON."""
    match value:
        case date():
            return value.isoformat()
        case tuple():
            return list(value)
        case _:
            return value


def display_name(contact: Contact) -> str:
    """Return the name that Bird requires for a new contact."""
    return (contact.name or next((i.value for i in contact.identifiers), ""))[:LONGEST_NAME]
