"""Payloads of user-api as shared models, and back: tables and small functions that never raise on odd values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, cast

from contacts_core.errors import InvalidInput
from contacts_core.models import (
    Address,
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
from contacts_core.provider import Fitting, HeldFields, constructor, day, fitted_value, json_text, moment
from contacts_user_api.payloads import ContactDetails, FieldDetails, ListDetails, Relation

NAME = "user-api"

# The relation that holds each kind of identifier, and its field with the value.
RELATIONS = {
    IdentifierKind.EMAIL: ("emails", "email_address"),
    IdentifierKind.PHONE: ("phone_numbers", "phone_number"),
}
FIELD_TYPES = {
    "SINGLE_LINE_TEXT": FieldType.TEXT,
    "NUMERIC": FieldType.NUMBER,
    "DATE": FieldType.DATE,
    "BOOLEAN": FieldType.BOOLEAN,
    "SINGLE_SELECT": FieldType.CHOICE,
    "MULTI_SELECT": FieldType.CHOICES,
    "USER": FieldType.USER,
}
CREATED_TYPES = {
    FieldType.TEXT: "SINGLE_LINE_TEXT",
    FieldType.NUMBER: "NUMERIC",
    FieldType.DATE: "DATE",
    FieldType.BOOLEAN: "BOOLEAN",
}
# Fields that can be changed, by their shared names.
TEXTS = {"first_name": "first_name", "last_name": "last_name", "title": "title", "address.formatted": "location"}
# What has no shared name.
EXTRAS = (
    "description",
    "image_url",
    "website_url",
    "linkedin_slug",
    "x_slug",
    "facebook_slug",
    "instagram_slug",
    "birthday_day",
    "birthday_month",
    "birthday_year",
    "is_starred",
    "ignore_merge",
    "last_team_interaction",
    "companies",
    "notes",
)
# What has a shared name, but whose items have ids of the vendor's that have none; kept whole in ``extra["relations"]``.
SHARED_RELATIONS = ("emails", "phone_numbers", "custom_fields", "tags", "lists")
# What else stands next to an item and is not written back.
ITEM_FIELDS = {
    "emails": {"id", "email_address", "is_primary"},
    "phone_numbers": {"id", "phone_number", "country_code", "is_primary"},
}
WRITABLE_EXTRAS = ("description", "website_url", "linkedin_slug", "is_starred")

Fields = Mapping[str, FieldDetails]

make_contact = constructor(Contact, provider=NAME)
make_address = constructor(Address, line1="", line2="", city="", region="", postal_code="", country="")
make_identifier = constructor(Identifier, label="")


# -- relations: not told is not empty


def untold(found: ContactDetails, names: Iterable[str]) -> list[str]:
    """Return the relations that are missing from an answer; what they hold is not known."""
    return [name for name in names if getattr(found, name) is None and found.unknown.get(name) is None]


def is_readable(found: ContactDetails, name: str) -> bool:
    """Return whether an answer has a relation and every item of it is understood."""
    items: Relation | None = getattr(found, name)
    return items is not None and all(_is_understood(name, item) for item in items)


def is_writable(found: ContactDetails, name: str) -> bool:
    """Return whether a relation can be written back without losing anything."""
    if not is_readable(found, name):
        return False
    items: Relation = getattr(found, name)
    if name == "custom_fields":
        return all(_is_plain(_plain(item)) for item in items)
    known = ITEM_FIELDS.get(name)
    return known is None or all(item.get(key) in (None, "") for item in items for key in item.keys() - known)


def _is_understood(name: str, item: Mapping[str, Any]) -> bool:
    check = UNDERSTOOD.get(name)
    return check is not None and check(item)


def _is_email(item: Mapping[str, Any]) -> bool:
    return _is_value(item.get("email_address")) and isinstance(item.get("is_primary"), FLAG)


def _is_phone_number(item: Mapping[str, Any]) -> bool:
    return (
        _is_value(item.get("phone_number"))
        and isinstance(item.get("is_primary"), FLAG)
        and isinstance(item.get("country_code"), CODE)
    )


def _is_custom_field(item: Mapping[str, Any]) -> bool:
    return _is_id(item.get("id"))


def _is_list(item: Mapping[str, Any]) -> bool:
    return isinstance(inner := item.get("list"), dict) and _is_id(cast("dict[str, Any]", inner).get("id"))


def _is_tag(item: Mapping[str, Any]) -> bool:
    return isinstance(inner := item.get("tag"), dict) and _is_id(cast("dict[str, Any]", inner).get("name"))


def _is_value(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_id(value: object) -> bool:
    return isinstance(value, str) and bool(value)


# Whether an item of a relation is understood. Every item of every contact goes through here.
UNDERSTOOD: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "emails": _is_email,
    "phone_numbers": _is_phone_number,
    "custom_fields": _is_custom_field,
    "lists": _is_list,
    "tags": _is_tag,
}
FLAG, CODE = (bool, type(None)), (str, type(None))


def _is_plain(value: Any) -> bool:
    items = _items(value) if isinstance(value, list) else [value]
    return all(isinstance(each, str | int | float | None) for each in items)


# -- contacts


def contact(found: ContactDetails) -> Contact:
    """Return a contact with the relations that the answer has.

    ``extra["unread"]`` names relations with items that are not understood, ``extra["relations"]`` holds all as they
    came.
    """
    extra: dict[str, Any] = dict(found.unknown)
    relations: dict[str, Relation] = {}
    understood: dict[str, Relation] = {}
    unread: list[str] = []
    for name in SHARED_RELATIONS:
        items: Relation | None = getattr(found, name)
        understood[name] = list(filter(UNDERSTOOD[name], items)) if items else []
        if items:
            relations[name] = items
        if (found.unknown.get(name) is not None) if items is None else len(understood[name]) < len(items):
            unread.append(name)
    if unread:
        extra["unread"] = unread
    created = moment(found.created_at, extra, "created_at")
    updated = moment(found.updated_at, extra, "updated_at")
    extra.update((name, value) for name in EXTRAS if (value := getattr(found, name)) not in (None, []))
    if relations:
        extra["relations"] = relations
    if found.website_url:  # one copy of the vendor's pages shows addresses in angle brackets
        extra["website_url"] = found.website_url.strip("<>")
    return make_contact(
        found.id,
        _identifiers(understood["emails"], understood["phone_numbers"]),
        found.first_name or None,
        found.last_name or None,
        found.full_name or None,
        make_address(found.location) if found.location else None,
        _organization(found.companies) if found.companies else None,
        found.title or None,
        None
        if found.lists is None or "lists" in unread
        else tuple([each["list"]["id"] for each in understood["lists"]]),
        tuple([each["tag"]["name"] for each in understood["tags"]]),
        {_name(each): custom_value(each) for each in understood["custom_fields"]},
        created,
        updated,
        extra,
    )


def identifiers(found: ContactDetails) -> tuple[Identifier, ...]:
    """Return the identifiers of a contact, the primary ones first."""
    return _identifiers(*(relation(found, kind) for kind in RELATIONS))


def _identifiers(*relations: Relation) -> tuple[Identifier, ...]:
    shown = [
        i
        for kind, items in zip(RELATIONS, relations, strict=True)
        for each in items
        if (i := identifier(kind, each)).value
    ]
    return tuple(sorted(shown, key=_is_further))


def _is_further(each: Identifier) -> bool:
    return not each.primary


def identifier(kind: IdentifierKind, item: Mapping[str, Any]) -> Identifier:
    """Return an e-mail address or phone number of a relation."""
    name, value = RELATIONS[kind]
    code = str(item.get("country_code") or "")
    return make_identifier(kind, str(item.get(value) or ""), bool(item.get("is_primary")), name, code)


def relation(found: ContactDetails, kind: IdentifierKind) -> Relation:
    """Return the items of the relation with the identifiers of a kind; none for kinds that user-api does not have."""
    return _understood(found, RELATIONS[kind][0]) if kind in RELATIONS else []


def _understood(found: ContactDetails, name: str) -> Relation:
    items: Relation = getattr(found, name) or []
    return [item for item in items if _is_understood(name, item)]


def _name(item: Mapping[str, Any]) -> str:
    name = item.get("name")
    return name if name and isinstance(name, str) else str(item["id"])


def custom_value(item: Mapping[str, Any]) -> CustomValue:
    """Return a custom field's value in the Python type of its ``field_type``; undocumented shapes become JSON text."""
    value: Any = item.get("value")
    match item.get("field_type"), value:
        case "DATE", str():
            return day(value) or value
        case _, {"value": chosen}:
            return _text(chosen)
        case _, list():
            return tuple(_text(_part(each, "value")) for each in _items(value))
        case _, None | str() | int() | float():
            return value
        case _:
            return _text(value)


def _text(value: Any) -> str:
    """A value as text: its own, or JSON."""
    return value if isinstance(value, str) else json_text(value)


def _organization(companies: Iterable[Mapping[str, Any]]) -> str | None:
    ranked = sorted(companies, key=lambda company: not company.get("is_active"))
    names = (company.get("name") for company in ranked)
    return next((name for name in names if name and isinstance(name, str)), None)


def first_user(users: Sequence[Mapping[str, Any]]) -> str:
    """Return the id of the oldest user of the workspace; empty if the answer does not tell."""
    known = [(str(user.get("created_at") or ""), user["id"]) for user in users if isinstance(user.get("id"), str)]
    return min(known)[1] if known and len(known) == len(users) else ""


# -- fields and lists


def field(found: FieldDetails) -> FieldDefinition:
    """Return a custom field."""
    options = tuple(_text(option.get("value")) for option in found.multi_select_options or ())
    type_ = FIELD_TYPES.get(found.field_type, FieldType.OTHER)
    return FieldDefinition(
        provider=NAME, id=found.id, name=found.name, type=type_, options=options, extra=found.unknown
    )


def contact_list(found: ListDetails) -> ContactList:
    """Return a list."""
    return ContactList(
        provider=NAME,
        id=found.id,
        name=found.name,
        description=found.description or "",
        created_at=moment(found.created_at),
        updated_at=moment(found.updated_at),
        extra=found.unknown,
    )


# -- writing


def without(items: Relation, kind: IdentifierKind, unwanted: Identifier) -> Relation:
    """Return a relation as it is written back, without one identifier."""
    return [to_item(kind, each) for each in items if identifier(kind, each) != unwanted]


def to_item(kind: IdentifierKind, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item of a relation as it is written: without its id, which requests do not have."""
    names = (RELATIONS[kind][1], "country_code", "is_primary")
    return {name: item[name] for name in names if item.get(name) is not None}


def list_ids(found: ContactDetails) -> list[str]:
    """Return the ids of the lists that a contact is on, as far as they are understood."""
    return [item["list"]["id"] for item in _understood(found, "lists")]


def is_another(contact: Contact, present: ContactDetails) -> bool:
    """Return whether a contact and the one with its id are two people: both have identifiers, and share none."""
    ours, theirs = set(contact.identifiers), set(identifiers(present))
    return bool(ours and theirs) and not ours & theirs


def merged(kind: IdentifierKind, contact: Contact, present: Relation) -> Relation:
    """Return a relation with the identifiers of ``contact`` added after those already present."""
    items = [to_item(kind, each) for each in present]
    known = {identifier(kind, each) for each in present}
    has_primary = any(each.get("is_primary") for each in items)
    for each in contact.identifiers_of(kind):
        if each not in known:
            items.append(_new_item(each, primary=not has_primary))
            known.add(each)
            has_primary = True
    return items


def _new_item(wanted: Identifier, *, primary: bool) -> dict[str, Any]:
    item: dict[str, Any] = {RELATIONS[wanted.kind][1]: wanted.normal, "is_primary": primary}
    if wanted.country_code and not wanted.value.startswith("+"):
        item |= {"phone_number": wanted.value, "country_code": wanted.country_code}
    return item


def preview(contact: Contact, shape: Shape, fields: HeldFields) -> Preview:
    """Return what a workspace holds of a contact. One that has an id of a workspace is taken to exist there.

    Args:
        contact: The contact.
        shape: The custom fields of the workspace.
        fields: What of a contact they hold.
    """
    own = contact.provider == NAME
    fitting = Fitting(contact)
    fitting.keep_identifiers(lambda each: _problem(each, own=own))
    if not own:
        for name in [each for each in ("organization", "tags") if each not in fields]:
            fitting.drop(name, LossCode.NO_PLACE, "it is a record of its own, which cannot be written with a contact")
        fitting.drop("extra", LossCode.NO_PLACE)
    text = _location(contact.address) if contact.address else ""
    for part in fitting.names("address"):
        if part != "address.formatted":
            fitting.drop(part, LossCode.RESPELLED, "the address is one text")
    if text:
        fitting.set("address.formatted", text)
    fitting.fit_mapped(fields, shape, fitted_value)
    fitting.fit_custom(shape, fitted_value)
    first, last = fitting.get("first_name"), fitting.get("last_name")
    if fitting.get("full_name") and (first or last) and fitting.get("full_name") != _joined(first, last):
        fitting.drop("full_name", LossCode.NO_PLACE, "there are a first and a last name")
    first = first or required_name(fitting.get("full_name"), last, fitting.identifiers)
    if not first:
        return fitting.refuse("it has neither a name nor an identifier that user-api takes")
    if own and contact.id:
        return fitting.preview()
    return fitting.preview(first_name=first, full_name=_joined(first, last))


def required_name(full_name: str | None, last_name: str | None, identifiers: Sequence[Identifier]) -> str:
    """Return the first name of a contact that has none, because one is required; empty if nothing else is known."""
    return full_name or last_name or next((each.value for each in identifiers), "")


def _joined(first: str | None, last: str | None) -> str:
    return " ".join(filter(None, (first, last)))


def _problem(identifier: Identifier, *, own: bool) -> tuple[LossCode, str] | None:
    """Return why a workspace does not keep an identifier; None if it does."""
    if identifier.kind not in RELATIONS:
        return LossCode.NO_PLACE, "user-api has e-mail addresses and phone numbers only"
    if own:
        return None
    if not identifier.value.strip():
        return LossCode.REFUSED, "it is blank"
    if identifier.kind is IdentifierKind.EMAIL and not identifier.certain:
        return LossCode.REFUSED, "it is not an e-mail address"
    if identifier.kind is IdentifierKind.PHONE and identifier.normal.startswith("+") and not identifier.certain:
        return LossCode.REFUSED, "it is not a phone number"
    return None


def to_write(
    contact: Contact,
    values: Mapping[str, CustomValue],
    present: ContactDetails | None,
    field_ids: Mapping[str, FieldDetails],
    lists: Sequence[str],
) -> dict[str, Any]:
    """Return the body that creates a contact that fits, from `preview`, or changes it if it is present.

    Args:
        contact: The contact.
        values: Its custom values by name, those included that hold fields of `Contact`.
        present: What is there of it; None if it is new.
        field_ids: The custom fields by name.
        lists: Ids of lists to put it on.
    """
    body: dict[str, Any] = {n: v for n in ("first_name", "last_name", "title") if (v := getattr(contact, n))}
    if present is None and "first_name" not in body:
        body["first_name"] = required_name(contact.full_name, contact.last_name, contact.identifiers)
    if contact.address and contact.address.formatted:
        body["location"] = contact.address.formatted
    for kind, (name, _) in RELATIONS.items():
        known = {identifier(kind, each) for each in relation(present, kind)} if present else set[Identifier]()
        if set(contact.identifiers_of(kind)) - known:
            body[name] = merged(kind, contact, relation(present, kind) if present else [])
    if contact.provider == NAME:
        body |= {name: contact.extra[name] for name in WRITABLE_EXTRAS if name in contact.extra}
    on_lists = list_ids(present) if present else []
    if set(lists) - set(on_lists):
        body["lists"] = list(dict.fromkeys([*on_lists, *lists]))
    custom = [written(field_ids[name], value) for name, value in values.items() if name in field_ids]
    if custom:
        understood = _understood(present, "custom_fields") if present else []
        kept = [{"id": each["id"], "value": _plain(each)} for each in understood]
        body["custom_fields"] = list({each["id"]: each for each in [*kept, *custom]}.values())
    return body


def lost_after_all(
    contact: Contact, present: ContactDetails | None, body: Mapping[str, Any], fields: HeldFields
) -> set[str]:
    """Return what is not written although `preview` could not know: whether the contact exists."""
    if present is None and contact.provider == NAME:  # an id of another workspace
        names = {name for name in ("organization", "tags") if getattr(contact, name) and name not in fields}
        return names | {f"extra.{name}" for name in contact.extra if name not in body}
    if present is not None and contact.full_name and not (contact.first_name or contact.last_name):
        return {"full_name"}  # written as the first name of a new contact only
    return set()


def written(field: FieldDetails, value: CustomValue) -> dict[str, Any]:
    """Return a custom value as a request takes it: options by their id."""
    options = {_text(option.get("value")): option.get("id") for option in field.multi_select_options or ()}
    match value:
        case date():
            plain: Any = value.isoformat()
        case tuple():
            plain = [options.get(each, each) for each in value]
        case str():
            plain = options.get(value, value)
        case _:
            plain = value
    return {"id": field.id, "value": plain}


def to_change(
    present: ContactDetails, texts: Mapping[str, str | None], custom: Mapping[str, CustomValue], fields: Fields
) -> dict[str, Any]:
    """Return the body that changes fields of a contact: the relation of custom fields is sent whole, if at all.

    Args:
        present: The contact, with its custom fields if some of them change.
        texts: Fields by their shared names; None clears one.
        custom: Custom fields by name; None clears one.
        fields: The custom fields of the account, by their names in lower case.

    Raises:
        InvalidInput: The account has no such custom field.
    """
    body: dict[str, Any] = {TEXTS[name]: text for name, text in texts.items()}
    if custom:
        new = {_known(name, fields).id: value for name, value in custom.items()}
        kept = [each for each in _understood(present, "custom_fields") if each["id"] not in new]
        given = [written(_known(name, fields), value) for name, value in custom.items() if value is not None]
        body["custom_fields"] = [*({"id": each["id"], "value": _plain(each)} for each in kept), *given]
    return body


def has(
    found: ContactDetails, texts: Mapping[str, str | None], custom: Mapping[str, CustomValue], fields: Fields
) -> bool:
    """Return whether a contact has the fields as `to_change` was told to make them."""
    values = {each["id"]: custom_value(each) for each in _understood(found, "custom_fields")}
    return all((getattr(found, TEXTS[name]) or None) == text for name, text in texts.items()) and all(
        _same(values.get(_known(name, fields).id), value) for name, value in custom.items()
    )


def keeps(found: ContactDetails, present: ContactDetails, custom: Iterable[str], fields: Fields) -> bool:
    """Return whether a contact still has all other custom fields."""
    new = {_known(name, fields).id for name in custom}
    before, after = (
        {each["id"]: _plain(each) for each in _understood(details, "custom_fields") if each["id"] not in new}
        for details in (present, found)
    )
    return all(after.get(field_id) == value for field_id, value in before.items())


def _known(name: str, fields: Fields) -> FieldDetails:
    if name.lower() not in fields:
        raise InvalidInput(f"user-api has no custom field {name!r}", hint="`contacts fields` shows those there are")
    return fields[name.lower()]


def _same(found: CustomValue, wanted: CustomValue) -> bool:
    """Whether a value is the one that was written; a date may come back with a time."""
    if isinstance(wanted, date) and found is not None:
        return str(found)[:10] == wanted.isoformat()[:10]
    return found == wanted


def _plain(item: Mapping[str, Any]) -> Any:
    """A custom value of an answer, as a request takes it."""
    match item.get("value"):
        case {"id": chosen}:
            return chosen
        case list():
            return [_part(each, "id") for each in _items(item["value"])]
        case value:
            return value


def _items(value: Any) -> list[Any]:
    items: list[Any] = value
    return items


def _part(item: Any, name: str) -> Any:
    """One part of an option, or the whole item where it is a bare value."""
    return cast("dict[str, Any]", item).get(name, item) if isinstance(item, dict) else item


def _location(address: Address) -> str:
    parts = (address.line1, address.line2, address.postal_code, address.city, address.region, address.country)
    return address.formatted or ", ".join(part for part in parts if part)
