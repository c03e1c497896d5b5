"""What the service accepts in bodies and in paging parameters; everything else is 422."""

import base64
import binascii
import re
import uuid
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from attrs import frozen

from contacts_bird.emulator.errors import refuse
from contacts_bird.emulator.store import MIRRORED, READ_ONLY, Identifier
from contacts_core.emulator import Incoming, json_array, json_object

MAX_LIMIT = 100
MAX_TOKEN = 8_000
DEFAULT_LIMIT = 10
MAX_LINKS = 10
MAX_KEY, MAX_VALUE = 250, 500

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"\+[1-9]\d{5,14}")
# Bytes whose base64 has characters that a URL must escape, so that tokens pasted in raw are noticed.
_TOKEN_MARK = b"\xfb\xef\xbe\xff"
_T = TypeVar("_T")
_S = TypeVar("_S")


def body_object(incoming: Incoming) -> dict[str, Any]:
    """The body, which must be a JSON object."""
    body = json_object(incoming.json())
    if body is None:
        raise refuse(422, "the request body is not a JSON object")
    return body


def array(body: dict[str, Any], name: str, at_most: int | None = None, at_least: int = 0) -> list[Any]:
    """An array of the body; absent and null count as empty."""
    if body.get(name) is None:
        return []
    items = json_array(body[name])
    if items is None or len(items) < at_least or (at_most is not None and len(items) > at_most):
        raise refuse(422, f"{name} must be an array of {at_least} to {at_most or 'any number of'} items")
    return items


def uuids(body: dict[str, Any], name: str, at_most: int | None = MAX_LINKS, at_least: int = 0) -> list[str]:
    """An array of UUIDs of the body."""
    values = array(body, name, at_most, at_least)
    for value in values:
        if not is_uuid(value):
            raise refuse(422, f"{name} must hold UUIDs")
    return values


def is_uuid(value: object) -> bool:
    """Whether this is a UUID in its usual form."""
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False


def identifier_ref(raw: object) -> tuple[str, str]:
    """A key and a value."""
    item = json_object(raw)
    if item is None:
        raise refuse(422, "an identifier must be an object")
    key, value = item.get("key"), item.get("value")
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY:
        raise refuse(422, f"key must have 1 to {MAX_KEY} characters")
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_VALUE:
        raise refuse(422, f"value must have 1 to {MAX_VALUE} characters")
    return key, value


def new_identifier(raw: object, now: datetime) -> Identifier:
    """An identifier to be added."""
    key, value = identifier_ref(raw)
    check_value(key, value)
    given = (json_object(raw) or {}).get("properties")
    properties = {} if given is None else json_object(given)
    if properties is None or not all(map(_is_scalar, properties.values())):
        raise refuse(422, "properties must be an object of scalars")
    return Identifier(key, value, properties, now)


def check_value(key: str, value: str) -> None:
    """Refuse what is no email address or no E.164 number under the keys for these."""
    if key == "emailaddress" and not _EMAIL.fullmatch(value):
        raise refuse(422, f"{value} is not a valid email address")
    if key == "phonenumber" and not _PHONE.fullmatch(value):
        raise refuse(422, f"{value} is not a valid phone number")


def attributes(body: dict[str, Any], read_only: Collection[str]) -> dict[str, Any]:
    """Attributes to be written. The mirrors of identifiers are read-only, and so is what its definition calls so."""
    if body.get("attributes") is None:
        return {}
    given = json_object(body["attributes"])
    if given is None:
        raise refuse(422, "attributes must be an object")
    for key, value in given.items():
        if not 1 <= len(key) <= MAX_KEY:
            raise refuse(422, f"an attribute key must have 1 to {MAX_KEY} characters")
        if key in MIRRORED or key in READ_ONLY or key in read_only:
            raise refuse(422, f"attribute {key} is read-only")
        items = json_array(value)
        if not _is_scalar(value) and not (items and all(map(_is_scalar, items))):
            raise refuse(422, f"attribute {key} must be a scalar or a non-empty array of scalars")
    return given


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


@frozen
class Page:
    """The paging parameters of a request."""

    limit: int
    start: int
    reverse: bool

    def cut(self, items: Sequence[_T], shape: Callable[[_T], _S]) -> tuple[list[_S], str | None]:
        """The shapes of this page's items, and the token of the next page.

        Positions count from the start, so deletions between two pages make the second one skip contacts.
        """
        ordered = items[::-1] if self.reverse else items
        stop = self.start + self.limit
        token = _token(stop) if stop < len(ordered) else None
        return [shape(item) for item in ordered[self.start : stop]], token


def page(incoming: Incoming) -> Page:
    """The paging parameters of a request."""
    limit = incoming.query.get("limit", str(DEFAULT_LIMIT))
    if not re.fullmatch("[0-9]{1,3}", limit) or not 1 <= int(limit) <= MAX_LIMIT:
        raise refuse(422, f"limit must be 1 to {MAX_LIMIT}")
    reverse = incoming.query.get("reverse", "false")
    if reverse not in ("true", "false"):
        raise refuse(422, "reverse must be true or false")
    return Page(int(limit), _start(incoming.query.get("pageToken", "")), reverse == "true")


def _token(start: int) -> str:
    return base64.b64encode(_TOKEN_MARK + str(start).encode()).decode()


def _start(token: str) -> int:
    if not token:
        return 0
    if len(token) > MAX_TOKEN:
        raise refuse(422, f"pageToken must have at most {MAX_TOKEN} characters")
    try:
        decoded = base64.b64decode(token, validate=True)
        digits = decoded.removeprefix(_TOKEN_MARK)
        if decoded.startswith(_TOKEN_MARK) and re.fullmatch(b"[0-9]{1,9}", digits):
            return int(digits)
    except (binascii.Error, ValueError):
        pass
    raise refuse(422, "pageToken is not valid")
