"""Bird's payloads as shared models, and back: tables and small functions that never raise on odd values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from types import MappingProxyType
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
    LossCode,
    Preview,
    Shape,
)
from contacts_core.provider import Fitting, HeldFields, constructor, day, fitted_value, json_text, moment, take_mapped
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
# Attributes that every workspace has by default, or whose keys were seen. Bird documents the names that its dashboard
# shows ("Address 1", "Postal Code"), but no key; keys that are known are such names in camel case.
# docs.bird.com: "create contact attributes".
USUAL_FIELDS = {
    "organization": "company",
    "title": "jobTitle",
    "address.line1": "address1",
    "address.line2": "address2",
    "address.city": "city",
    "address.region": "province",
    "address.postal_code": "postalCode",
    "address.country": "country",
}
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
# Set by the service when a contact is created; no definition names them, and a write of one is refused.
SET_BY_SERVICE = frozenset({"initialReference", "timezone"})
RESERVED_FIELDS = frozenset(name.casefold() for name in (*NAMES.values(), *CONSENT_ATTRIBUTES, *SET_BY_SERVICE))
NO_PLACE = ("address", "organization", "title", "tags")
LONGEST_NAME = 150
MOST_LISTS = 10  # in one request
MOST_IDENTIFIERS = 10
LONGEST_KEY = 250

EMAIL_SYNTAX = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
E164 = re.compile(r"\+[1-9][0-9]{5,14}")
DATE_LIKE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T|\Z)")

UNKNOWN: Mapping[str, FieldType] = MappingProxyType({})
NO_FIELDS: HeldFields = MappingProxyType({})

make_contact = constructor(Contact, provider=NAME, tags=())
make_identifier = constructor(Identifier, primary=False, label="", country_code="")


def _kinds(keys: Keys) -> Mapping[str, IdentifierKind]:
    named = [(key, kind) for kind, of_kind in keys.by_kind.items() for key in of_kind]
    kinds = dict(reversed(named))  # the first kind that names a key has it
    return {key: kinds[key] for key, _ in named}


def _own(keys: Keys) -> frozenset[str]:
    return frozenset([*keys.kinds, *NAMES.values(), *CONSENT_ATTRIBUTES])


def _held(keys: Keys) -> Mapping[str, str]:
    return {theirs: ours for ours, theirs in (*NAMES.items(), *keys.fields.items())}


@frozen
class Keys:
    """The keys under which a workspace stores each kind of identifier; the first one is written.

    Attributes:
        by_kind: The keys of each kind.
        fields: The attributes that hold fields of `Contact`, by the names of these.
        kinds: The kind of each key that the settings name.
        own: Attributes that are identifiers, names or consent, not custom fields.
        held: The fields of `Contact` that attributes hold, by the keys of these.
    """

    by_kind: Mapping[IdentifierKind, Sequence[str]]
    fields: HeldFields = NO_FIELDS
    kinds: Mapping[str, IdentifierKind] = attribute(init=False, default=Factory(_kinds, takes_self=True))
    own: frozenset[str] = attribute(init=False, default=Factory(_own, takes_self=True))
    held: Mapping[str, str] = attribute(init=False, default=Factory(_held, takes_self=True))

    def kind(self, key: str) -> IdentifierKind:
        """Return the kind of a key; `IdentifierKind.OTHER` for one that no setting names."""
        return self.kinds.get(key, IdentifierKind.OTHER)

    def of(self, wanted: Identifier) -> Sequence[str]:
        """Return the keys under which an identifier may be stored."""
        if wanted.kind is IdentifierKind.OTHER:
            return [wanted.key] if wanted.key else []
        return self.by_kind.get(wanted.kind, ())


# -- contacts


def contact(
    found: ContactDetails, known: tuple[Identifier, ...], keys: Keys, types: Mapping[str, FieldType] = UNKNOWN
) -> Contact:
    """Return a contact with its identifiers, from its own answer or from a request for them.

    Args:
        found: The contact.
        known: Its identifiers.
        keys: The keys of the workspace.
        types: The types of custom fields by name; see `dated`.
    """
    attributes = found.attributes or {}
    own = keys.own.union([i.key for i in known], SET_BY_SERVICE)
    extra: dict[str, Any] = dict(found.unknown)
    created = moment(found.created_at, extra, "createdAt")
    updated = moment(found.updated_at, extra, "updatedAt")
    odd = {name: attributes.get(name) for name in NAMES.values() if not _is_text(attributes.get(name))}
    extra.update((name, value) for name, value in odd.items() if value)
    extra.update((name, value) for name in CONSENT_ATTRIBUTES if _is_odd_consent(value := attributes.get(name)))
    extra.update((name, value) for name in sorted(SET_BY_SERVICE) if (value := attributes.get(name)) is not None)
    extra.update((theirs, value) for ours, theirs in EXTRAS.items() if (value := getattr(found, ours)) is not None)
    custom = {
        name: custom_value(value, types.get(name))
        for name, value in attributes.items()
        if name not in own and value is not None
    }
    held = take_mapped(custom, keys.fields)
    return make_contact(
        found.id,
        known,
        _text(attributes.get("firstName")),
        _text(attributes.get("lastName")),
        found.computed_display_name or _text(attributes.get("displayName")),
        held.get("address"),
        held.get("organization"),
        held.get("title"),
        None if found.list_ids is None else tuple(found.list_ids),
        custom,
        created,
        updated,
        extra,
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
    return make_identifier(keys.kind(key), value, key)


def identifiers(found: Iterable[tuple[str, str]], keys: Keys) -> tuple[Identifier, ...]:
    """Return identifiers, from Bird's keys and values."""
    return tuple(identifier(key, value, keys) for key, value in found)


def dated(found: ContactDetails, keys: Keys) -> list[str]:
    """Return the names of custom fields whose values may be dates: in answers these are texts."""
    return [
        name
        for name, value in (found.attributes or {}).items()
        if isinstance(value, str) and DATE_LIKE.match(value) and name not in keys.own
    ]


def custom_value(value: Any, type: FieldType | None = None) -> CustomValue:
    """Return an attribute's value: a scalar, or several as texts; undocumented shapes become JSON text.

    Args:
        value: The value in an answer.
        type: The type of the field, if it is known.
    """
    if _is_list(value):
        return tuple(map(_as_text, value))
    if type is FieldType.DATE and isinstance(value, str) and DATE_LIKE.match(value):
        return day(value) or value
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


def field(found: AttributeDetails, keys: Keys) -> FieldDefinition:
    """Return a custom field; its name is its key, under which contacts have it unless it holds another field."""
    many = found.cardinality == "many" and found.type == "string"
    type_ = FieldType.CHOICES if many else FIELD_TYPES.get(found.type or "", FieldType.OTHER)
    return FieldDefinition(
        provider=NAME,
        id=found.id,
        name=found.key,
        type=type_,
        read_only=found.read_only,
        contact_field=keys.held.get(found.key, ""),
        extra=found.unknown,
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


def preview(contact: Contact, shape: Shape, keys: Keys) -> Preview:
    """Return what a workspace holds of a contact."""
    own = contact.provider == NAME
    fitting = Fitting(contact)
    fitting.keep_identifiers(lambda each: _problem(each, keys, own=own))
    for each in fitting.identifiers[MOST_IDENTIFIERS:]:
        fitting.drop_identifier(each, LossCode.TOO_MANY, f"one write takes {MOST_IDENTIFIERS}")
    for name in [each for section in NO_PLACE for each in fitting.names(section) if each not in keys.fields]:
        fitting.drop(name, LossCode.NO_FIELD, "the setting fields names no attribute to hold it")
    if not own:
        fitting.drop("extra", LossCode.NO_PLACE)
    for name in sorted(SET_BY_SERVICE.intersection(contact.extra)) if own else ():
        fitting.drop(f"extra.{name}", LossCode.READ_ONLY, "only the vendor writes it")
    fitting.cut({"full_name": LONGEST_NAME})
    for name in contact.custom:
        if (key := found.name if (found := shape.field(name)) else name) in keys.own:
            fitting.drop(f"custom.{name}", LossCode.READ_ONLY, _stands_for(key))
    fitting.fit_mapped(keys.fields, shape, fitted_value)
    fitting.fit_custom(shape, partial(fitted_value, times=True))
    names = [text for name in NAMES if (text := fitting.get(name))]
    if not (names or fitting.identifiers or (own and contact.id)):
        return fitting.refuse("it has neither a name nor an identifier that Bird takes")
    return fitting.preview(full_name=fitting.get("full_name") or " ".join(names) or None)


def _stands_for(key: str) -> str:
    # A file of contacts must not subscribe whoever unsubscribed meanwhile.
    if key in CONSENT_ATTRIBUTES:
        return "the attribute is consent, which is written by itself"
    return "the attribute has the names or the identifiers of the contact"


def _problem(identifier: Identifier, keys: Keys, *, own: bool) -> tuple[LossCode, str] | None:
    """Return why a workspace does not keep an identifier; None if it does."""
    if not (found := reference(identifier, keys, stored=own)):
        kind = identifier.kind.value
        return LossCode.NO_PLACE, f"the setting {kind}_keys names no key for it"
    value = found["value"]
    if not value or len(value) > LONGEST_VALUE or len(found["key"]) > LONGEST_KEY:
        return LossCode.REFUSED, "it is empty or too long"
    if own:
        return None
    if identifier.kind is IdentifierKind.EMAIL and not (identifier.certain and EMAIL_SYNTAX.fullmatch(value)):
        return LossCode.REFUSED, "it is not an e-mail address that Bird takes"
    if identifier.kind is IdentifierKind.PHONE and not E164.fullmatch(value):
        return LossCode.REFUSED, "it is not a phone number in international form"
    return None


def references(contact: Contact, keys: Keys) -> list[dict[str, str]]:
    """Return the identifiers of a contact that fits, from `preview`, as Bird takes them."""
    taken = (reference(each, keys, stored=contact.provider == NAME) for each in contact.identifiers)
    return [each for each in taken if each]


def attributes(contact: Contact, custom: Mapping[str, CustomValue]) -> dict[str, Any]:
    """Return the names of a contact that fits, from `preview`, and its custom fields as Bird takes them."""
    names = {theirs: value for ours, theirs in NAMES.items() if (value := getattr(contact, ours))}
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
