"""What an upsert accepts."""

import math
from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from contacts_core.emulator import Refused, json_array, json_object, json_response
from contacts_sendgrid.emulator.account import Account
from contacts_sendgrid.emulator.errors import refuse
from contacts_sendgrid.emulator.store import (
    IDENTIFIERS,
    MAX_LENGTHS,
    TEXT_FIELDS,
    Field,
    second,
    valid_email,
    valid_phone,
)

MAX_CONTACTS = 30_000
MAX_ALTERNATE_EMAILS = 5
MAX_TEXT = 1_000


@frozen
class _Problem:
    field: str
    message: str


def normalized(account: Account, contacts: object, list_ids: object) -> list[dict[str, Any]]:
    """The items of an upsert as they will be stored; one problem refuses the whole batch."""
    given = json_array(contacts)
    if given is None or not 1 <= len(given) <= MAX_CONTACTS:
        raise refuse(400, f"contacts must hold 1 to {MAX_CONTACTS} items", "contacts")
    lists = known_lists(account, list_ids)
    problems: list[_Problem] = []
    items = [_item(account, index, item, lists, problems) for index, item in enumerate(given)]
    if problems:
        errors = [{"field": problem.field, "message": problem.message} for problem in problems]
        raise Refused(json_response({"errors": errors}, 400))
    return items


def known_lists(account: Account, list_ids: object, status: int = 400) -> list[str]:
    """The lists that a request names; an unknown one refuses the request."""
    if list_ids is None:
        return []
    given = json_array(list_ids)
    if given is None:
        raise refuse(400, "list_ids must be an array", "list_ids")
    for list_id in given:
        if not isinstance(list_id, str) or list_id not in account.store.lists:
            raise refuse(status, f"invalid list id '{list_id}'", "list_ids")
    return given


def _item(account: Account, index: int, contact: object, lists: list[str], problems: list[_Problem]) -> dict[str, Any]:
    where = f"contacts[{index}]"
    raw = json_object(contact)
    if raw is None:
        problems.append(_Problem(where, "a contact must be an object"))
        return {}
    # Keys that are not known are ignored without a word, `id` among them.
    item: dict[str, Any] = {name: raw[name] for name in (*IDENTIFIERS, *TEXT_FIELDS) if name in raw}
    if not any(item.get(kind) for kind in IDENTIFIERS):
        problems.append(_Problem(where, "at least one identifier is required"))
    for name, value in item.items():
        if value is not None and (not isinstance(value, str) or len(value) > MAX_LENGTHS.get(name, MAX_TEXT)):
            problems.append(_Problem(f"{where}.{name}", f"{name} is not valid or too long"))
    if item.get("email") and isinstance(item["email"], str):
        item["email"] = _email(item["email"], f"{where}.email", problems)
    item["alternate_emails"] = _alternates(raw.get("alternate_emails"), where, problems)
    item["custom_fields"] = _custom(account, raw.get("custom_fields"), where, problems)
    item["list_ids"] = lists
    if isinstance(phone := item.get("phone_number_id"), str) and phone and not valid_phone(phone):
        problems.append(_Problem(f"{where}.phone_number_id", f"phone_number_id '{phone}' is not a valid phone number"))
    return item


def _email(email: str, where: str, problems: list[_Problem]) -> str:
    if not valid_email(email):
        problems.append(_Problem(where, f"email '{email}' is not valid"))
    return email.lower()


def _alternates(emails: object, where: str, problems: list[_Problem]) -> list[str] | None:
    if emails is None:
        return None
    given = json_array(emails)
    if given is None or len(given) > MAX_ALTERNATE_EMAILS:
        problems.append(_Problem(f"{where}.alternate_emails", f"at most {MAX_ALTERNATE_EMAILS} alternate emails"))
        return None
    return [_email(str(email), f"{where}.alternate_emails", problems) for email in given]


def _custom(account: Account, values: object, where: str, problems: list[_Problem]) -> dict[str, Any]:
    where = f"{where}.custom_fields"
    if values is None:
        return {}
    given = json_object(values)
    if given is None:
        problems.append(_Problem(where, "custom_fields must be an object"))
        return {}
    stored: dict[str, Any] = {}
    unknown: list[str] = []
    for field_id, value in given.items():
        # Names may be accepted by now [unverified]; only ids are documented.
        field = account.usable_field(field_id)
        if field is None:
            unknown.append(field_id)
            continue
        if value is None:  # reported of a field of numbers
            problems.append(_Problem(where, f'custom field "{field_id}" cannot be null'))
            continue
        try:
            stored[field_id] = field_value(field, value)
        except ValueError as problem:
            problems.append(_Problem(where, str(problem)))
    if unknown:  # one error names them all
        problems.append(_Problem(where, f"invalid custom field names or ID's supplied - {','.join(unknown)}"))
    return stored


def field_value(field: Field, value: object) -> str | int | float:
    """A value as it is stored; raises `ValueError` where it does not fit the field."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"value of {field.name} must be a string or a number")  # noqa: TRY004
    if field.kind == "Number":
        return _number(value)
    if field.kind == "Date":
        return second(_date(str(value)))
    if len(str(value)) > MAX_TEXT:
        raise ValueError(f"value of {field.name} is too long")
    return str(value)


def _number(value: str | float) -> int | float:
    try:
        number = float(value) if len(str(value)) <= MAX_TEXT else math.inf
    except OverflowError:  # a whole number beyond what a float holds
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{str(value)[:40]!r} is not a number")
    return int(number) if number.is_integer() else number


def _date(text: str) -> datetime:
    try:
        when = datetime.strptime(f"{text} +0000", "%m/%d/%Y %z")  # the form of uploaded files
    except ValueError:
        when = datetime.fromisoformat(text)
    try:
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is not a date") from None
