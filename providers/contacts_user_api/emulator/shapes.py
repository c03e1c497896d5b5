"""Contacts and the records around them as the service prints them."""

from collections.abc import Callable, Collection
from typing import Any

from contacts_user_api.emulator.store import Contact, Record, Store, second

Json = dict[str, Any]

SCALARS: tuple[tuple[str, Any], ...] = (
    *((name, None) for name in ("first_name", "last_name", "title", "description", "location", "image_url")),
    *((name, None) for name in ("linkedin_slug", "website_url", "x_slug", "facebook_slug", "instagram_slug")),
    *((name, None) for name in ("birthday_day", "birthday_month", "birthday_year")),
    *(("is_starred", False), ("ignore_merge", False), ("last_team_interaction", None)),
)


def contact(store: Store, stored: Contact, include: Collection[str]) -> Json:
    """A contact; without `include` it has no relations at all."""
    shape: Json = {"id": stored.id, "full_name": stored.full_name}
    for name, default in SCALARS:
        shape[name] = stored.scalars.get(name, default)
    shape["created_at"], shape["updated_at"] = second(stored.created_at), second(stored.updated_at)
    for relation, print_relation in RELATIONS.items():
        if relation in include:
            shape[relation] = print_relation(store, stored)
    return shape


def _emails(_: Store, stored: Contact) -> list[Json]:
    return [
        {"id": email.id, "email_address": email.email_address, "is_primary": email.is_primary}
        for email in stored.emails
    ]


def _phone_numbers(_: Store, stored: Contact) -> list[Json]:
    return [
        {
            "id": phone.id,
            "phone_number": phone.phone_number,
            "country_code": phone.country_code,
            "is_primary": phone.is_primary,
        }
        for phone in stored.phone_numbers
    ]


def _companies(store: Store, stored: Contact) -> list[Json]:
    return [
        {
            "id": company_id,
            "name": store.records["companies"][company_id].values["name"],
            "title": position.title,
            "is_active": position.is_active,
            "start_date": position.start_date,
        }
        for company_id, position in stored.companies.items()
    ]


def _wrapped(kind: str, word: str, shown: str) -> Callable[[Store, Contact], list[Json]]:
    """Tags, lists and notes are wrapped in one more object, each under its own word."""

    def wrapped(store: Store, stored: Contact) -> list[Json]:
        records = (store.records[kind][record_id] for record_id in getattr(stored, kind))
        return [{word: {"id": record.id, shown: record.values[shown]}} for record in records]

    return wrapped


def _custom_fields(store: Store, stored: Contact) -> list[Json]:
    fields = store.records["custom_fields"]
    return [
        {
            "id": field_id,
            "name": fields[field_id].values["name"],
            "field_type": fields[field_id].values["field_type"],
            "value": _value(fields[field_id], value),
        }
        for field_id, value in stored.custom_fields.items()
    ]


def _value(field: Record, value: Any) -> Any:
    """Options are answered with id and text, although requests name them by id alone."""
    options = {option["id"]: option for option in field.values.get("multi_select_options", ())}
    if field.values["field_type"] == "SINGLE_SELECT":
        return options.get(value)
    if field.values["field_type"] == "MULTI_SELECT":
        return [options[option] for option in value if option in options]
    return value


WRAPPED = {"tags": "tag", "lists": "list", "notes": "note"}
RELATIONS: dict[str, Callable[[Store, Contact], list[Json]]] = {
    "emails": _emails,
    "phone_numbers": _phone_numbers,
    "companies": _companies,
    "tags": _wrapped("tags", WRAPPED["tags"], "name"),
    "lists": _wrapped("lists", WRAPPED["lists"], "name"),
    "notes": _wrapped("notes", WRAPPED["notes"], "body"),
    "custom_fields": _custom_fields,
}


def record(store: Store, stored: Record, include: Collection[str]) -> Json:
    """A list, tag, note, company or custom field; contacts in it are flat."""
    shape: Json = {"id": stored.id, **stored.values}
    shape["created_at"], shape["updated_at"] = second(stored.created_at), second(stored.updated_at)
    if "contacts" in include:
        shape["contacts"] = [_stub(store.contacts[contact_id]) for contact_id in stored.contacts]
    # Nothing here links companies or tasks to anything but contacts.
    shape.update((name, []) for name in ("companies", "tasks", "custom_fields", "tags", "lists") if name in include)
    return shape


def _stub(stored: Contact) -> Json:
    return {"id": stored.id, "full_name": stored.full_name, "image_url": stored.scalars.get("image_url")}
