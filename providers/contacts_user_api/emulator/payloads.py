"""What the service accepts in bodies and in the query; everything else is 422 [unverified]."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Any

from attrs import frozen

from contacts_core.emulator import Incoming, json_array, json_object
from contacts_user_api.emulator.errors import refuse
from contacts_user_api.emulator.store import Email, Phone, Position, Record, Store

DEFAULT_LIMIT = 25
MAX_LIMIT = 100  # [unverified]: the largest page in use; more is cut down to it without a word

_NUMBER = re.compile("[0-9]{1,9}")
_ONE_DIGIT = ("1", "7")
_TWO_DIGITS = frozenset(
    (
        *(
            "20",
            "27",
            "30",
            "31",
            "32",
            "33",
            "34",
            "36",
            "39",
            "40",
            "41",
            "43",
            "44",
            "45",
            "46",
            "47",
            "48",
            "49",
        ),
        *("51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66"),
        *("81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98"),
    )
)


def body_object(incoming: Incoming) -> dict[str, Any]:
    """The body, which must be a JSON object."""
    body = json_object(incoming.json())
    if body is None:
        raise refuse(422, "the body must be a JSON object")
    return body


def include(incoming: Incoming, known: Iterable[str]) -> frozenset[str]:
    """The relations that the query asks for, separated by commas."""
    asked = frozenset(part for part in incoming.query.get("include", "").split(",") if part)
    if unknown := asked - frozenset(known):
        raise refuse(422, f"unknown include: {', '.join(sorted(unknown))}")
    return asked


@frozen
class Page:
    """The paging parameters of a request."""

    limit: int
    offset: int


def page(incoming: Incoming) -> Page:
    """The paging parameters of a request."""
    limit = incoming.query.get("limit", str(DEFAULT_LIMIT))
    offset = incoming.query.get("offset", "0")
    if not _NUMBER.fullmatch(limit) or not int(limit) or not _NUMBER.fullmatch(offset):
        raise refuse(422, "limit must be at least 1, offset at least 0")
    return Page(min(int(limit), MAX_LIMIT), int(offset))


def order(incoming: Incoming, keys: Iterable[str], default: str) -> tuple[str, bool]:
    """The key to sort by, and whether it descends."""
    key, _, direction = incoming.query.get("order_by", default).partition(":")
    if key not in keys or direction not in ("asc", "desc"):
        raise refuse(422, f"order_by must be one of {', '.join(keys)}, with :asc or :desc")
    return key, direction == "desc"


def array(value: object, name: str) -> list[Any]:
    """An array of the body."""
    items = json_array(value)
    if items is None:
        raise refuse(422, f"{name} must be an array")
    return items


def ids(value: object, name: str, known: Iterable[str]) -> dict[str, None]:
    """References to records, as bare ids or as objects with one."""
    wanted = dict.fromkeys(_id(item, name) for item in array(value, name))
    if unknown := wanted.keys() - frozenset(known):
        raise refuse(422, f"unknown {name}: {', '.join(sorted(unknown))}")
    return wanted


def _id(item: object, name: str) -> str:
    fields = json_object(item)
    found = item if fields is None else fields.get("id")
    if not isinstance(found, str):
        raise refuse(422, f"{name} must hold ids")
    return found


def emails(value: object, store: Store) -> list[Email]:
    """Email addresses, as text or as objects; every one gets a new id [unverified]."""
    given = [_contact_point(item, "email_address") for item in array(value, "emails")]
    for item in given:
        if "@" not in item["email_address"]:
            raise refuse(422, f"{item['email_address']} is not an email address")
    primary = _primary(given)
    return [Email(store.new_id("email"), item["email_address"], index == primary) for index, item in enumerate(given)]


def phone_numbers(value: object, store: Store) -> list[Phone]:
    """Phone numbers, as E.164 text or as objects; every one gets a new id [unverified]."""
    given = [_contact_point(item, "phone_number") for item in array(value, "phone_numbers")]
    primary = _primary(given)
    phones: list[Phone] = []
    for index, item in enumerate(given):
        code, number = item.get("country_code"), item["phone_number"]
        if not isinstance(code, str | None):
            raise refuse(422, "country_code must be a string")
        if code is None and number.startswith("+"):
            code, number = split_phone(number)
        phones.append(Phone(store.new_id("phone"), number, code, index == primary))
    return phones


def _contact_point(item: object, name: str) -> dict[str, Any]:
    fields = {name: item} if isinstance(item, str) else json_object(item)
    if fields is None or not isinstance(fields.get(name), str) or not fields[name]:
        raise refuse(422, f"{name} is required")
    return fields


def _primary(given: list[dict[str, Any]]) -> int:
    """One is primary: the first that says so, else the first."""
    return next((index for index, item in enumerate(given) if item.get("is_primary") is True), 0)


def split_phone(number: str) -> tuple[str, str]:
    """An E.164 number as country code and national part."""
    digits = number.removeprefix("+")
    size = 1 if digits.startswith(_ONE_DIGIT) else 2 if digits[:2] in _TWO_DIGITS else 3
    return f"+{digits[:size]}", digits[size:]


def companies(value: object, present: dict[str, Position], known: Iterable[str]) -> dict[str, Position]:
    """Links to companies; one that is named by its id alone keeps what was known of it."""
    wanted: dict[str, Position] = {company_id: Position() for company_id in ids(value, "companies", known)}
    for item in array(value, "companies"):
        company_id = _id(item, "companies")
        old = present.get(company_id, Position())
        fields = json_object(item) or {}
        start = fields.get("start_date", old.start_date)
        title, active = fields.get("title", old.title), fields.get("is_active", old.is_active)
        if not isinstance(title, str | None) or not isinstance(active, bool):
            raise refuse(422, "the title of a company link must be a string, and is_active true or false")
        if not isinstance(start, str | date | None):
            raise refuse(422, "start_date must be a date")
        wanted[company_id] = Position(title, active, _date(start) if isinstance(start, str) else start)
    return wanted


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise refuse(422, f"{text} is not a date") from None


def custom_fields(value: object, fields: dict[str, Record]) -> dict[str, Any]:
    """Values of custom fields, by the id of the field."""
    values: dict[str, Any] = {}
    for item in array(value, "custom_fields"):
        field, given = fields.get(_id(item, "custom_fields")), json_object(item)
        if field is None or given is None or "value" not in given:
            raise refuse(422, "custom_fields must hold the id of a field and a value")
        if not _fits(field, given["value"]):
            raise refuse(422, f"value of {field.values['name']} does not fit {field.values['field_type']}")
        if given["value"] is not None:
            values[field.id] = given["value"]
    return values


def _fits(field: Record, value: object) -> bool:
    options = {option["id"] for option in field.values.get("multi_select_options", ())}
    match field.values["field_type"]:
        case _ if value is None:
            return True
        case "NUMERIC":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "BOOLEAN":
            return isinstance(value, bool)
        case "DATE":
            return isinstance(value, str) and bool(_date(value))
        case "SINGLE_SELECT":
            return isinstance(value, str) and value in options
        case "MULTI_SELECT":
            items = json_array(value)
            return items is not None and all(isinstance(item, str) and item in options for item in items)
        case _:
            return isinstance(value, str)
