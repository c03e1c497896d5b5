"""Everything a provider author imports besides the capabilities: the base class and the request helpers.

A provider is a frozen attrs class: its fields are its settings, its class attributes are facts that the core reads.

    @frozen(kw_only=True)
    class Acme(DeletesContacts, ExportsPages):
        name = "acme"
        api_key: str = secret()
        base_url: str = address("https://api.acme.example")
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import quote

import attrs
import msgspec
from attrs import field, frozen

from contacts_core.errors import ConfigurationError, InvalidInput
from contacts_core.provider.effects import Flow, Request
from contacts_core.provider.http_settings import HttpSettings, http_settings
from contacts_core.provider.payloads import (
    payload_converter,
)

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = [
    "Provider",
    "RateLimit",
    "base_url_setting",
    "check_id",
    "delete",
    "get",
    "patch",
    "path",
    "post",
    "put",
    "secret",
    "setting",
]

T = TypeVar("T")
Params = Mapping[str, str]

LONGEST_ID = 255
SAFE_ID = re.compile(r"[A-Za-z0-9_.~:=+-]+")


@frozen
class RateLimit:
    """At most ``limit`` requests in any ``seconds``."""

    limit: int
    seconds: float


def secret(*, env: str = "") -> Any:
    """A setting that never shows in ``repr``; ``env`` names its environment variable where the usual name is odd."""
    return field(repr=False, metadata={"env": env, "secret": True})


def setting(default: Any = attrs.NOTHING, *, env: str = "", **options: Any) -> Any:
    """A setting with the name of its environment variable, where the usual ``<NAME>_<SETTING>`` is odd."""
    return field(default=default, metadata={"env": env}, **options)


def base_url_setting(default: Any = attrs.NOTHING, *, env: str = "") -> Any:
    """The setting ``base_url``, with the vendor's own address as its default where that is known."""
    return field(default=default, converter=_base_url, metadata={"env": env})


def _base_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", value):
        message = "base_url must begin with http:// or https:// and a host"
        raise ConfigurationError(message, hint="for example base_url='https://api.example.com'")
    return value.rstrip("/")


@frozen(kw_only=True, slots=False)
class Provider:
    """Where a vendor lives, how to prove who we are, and the facts that the core goes by.

    Attributes:
        name: What `connect` is given; lower case, words joined by ``-``.
        title: The vendor's own name.
        batch: Ids in one delete request.
        find_batch: Identifiers in one look-up request.
        get_batch: Ids in one read request.
        member_batch: Members in one list request.
        upsert_batch: Contacts given to ``upsert_contacts`` at once.
        page_size: Items on one page.
        concurrency: Requests in flight at once, at most 8.
        rates: Requests allowed, by the lane that a `Call` names; ``""`` is the general one.
        poll: Seconds between two looks at a job, at most.
        exports_lists: Whether exported contacts tell which lists they are on.
        emulates: Capabilities done by reading, changing and writing back.
        costs: Requests for one batch of a capability, by lane, where that is not one in the general lane.
        unreached: What deleting a contact leaves behind at this vendor, each with the reason.
        converter: Structures answers into payloads; register hooks on it for a vendor's oddities.
        base_url: Where the API lives.
        max_download: Bytes of one export file after decompression, at most; a decompression bomb stops there.
        http: Attempts, timeouts and limits of requests; a table in the accounts file.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    delete_batch_size: ClassVar[int] = 1
    find_batch_size: ClassVar[int] = 1
    get_batch_size: ClassVar[int] = 1
    member_batch_size: ClassVar[int] = 1
    upsert_batch_size: ClassVar[int] = 1
    page_size: ClassVar[int] = 100
    concurrency: ClassVar[int] = 4
    rate_limits: ClassVar[Mapping[str, RateLimit]] = {}
    poll_interval: ClassVar[float] = 10.0
    export_includes_lists: ClassVar[bool] = True
    read_modify_write: ClassVar[tuple[type[Provider], ...]] = ()
    costs: ClassVar[Mapping[type[Provider], Mapping[str, int]]] = {}
    residual_data: ClassVar[Mapping[str, str]] = {}
    converter: ClassVar[Converter] = payload_converter()

    base_url: str = base_url_setting()
    max_download: int = field(default=8 * 2**30, converter=int)
    http: HttpSettings = field(factory=HttpSettings, converter=http_settings)

    def headers(self) -> dict[str, str]:
        """The headers that prove who we are; sent to ``base_url`` only."""
        return {}

    def base_path(self) -> str:
        """What every path begins with, behind ``base_url``; empty by default."""
        return ""

    def validate_id(self, id: str) -> str:
        """Why this id must not be sent; empty if it may be. Extend it where the vendor's syntax is narrower."""
        return check_id(id)

    def account_id(self) -> Flow[str]:
        """What names the account behind these settings, so that a plan is never applied to another one.

        By default the address of the API and what every path begins with, which is enough where that names the
        workspace. Extend it with the workspace or owner as the vendor tells it; a key must never be part of it.
        """
        yield from ()
        return self.base_url + self.base_path()

    def is_not_found(self, call: Request[Any], content: bytes) -> bool:
        """Whether the body of a 404 is the vendor's own way to say that there is no such thing.

        A gateway that does not know the path answers 404 as well. By default any JSON object or array will do;
        narrow it to the vendor's own shape where that is known.

        Args:
            call: What was asked.
            content: The body of the answer.
        """
        try:
            return isinstance(msgspec.json.decode(content), (dict, list))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False


def check_id(id: str) -> str:
    """Say what is wrong with an id that is to become part of an address; empty if nothing is.

    Ids are opaque, but none of any vendor holds a character that could end a path segment, before or after decoding.
    """
    if not id or id.isspace():
        return "the id is blank"
    if len(id) > LONGEST_ID:
        return f"the id is longer than {LONGEST_ID} characters"
    if "@" in id:
        return "it is an e-mail address, not an id"
    if not SAFE_ID.fullmatch(id) or set(id) == {"."} or id.startswith(".."):
        return "the id holds characters that no id has"
    return ""


def path(template: str, *, safe: str = "", **values: str) -> str:
    """Fill a path template, each value percent-encoded as one segment; the only way values get into paths.

    Args:
        template: Such as ``"/v3/marketing/lists/{list_id}"``.
        safe: Characters that the vendor wants unencoded besides the unreserved ones; never ``/``.
        **values: The values by name.

    Raises:
        InvalidInput: A value is empty, a dot segment, or too long.
    """
    for name, value in values.items():
        if not value.strip() or value in {".", ".."} or len(value) > 2 * LONGEST_ID:
            message = f"{name} cannot be part of an address"
            raise InvalidInput(message, hint="it is empty, made of dots, or far too long")
    return template.format(**{name: quote(value, safe=safe) for name, value in values.items()})


def get(path: str, response_type: type[T], params: Params | None = None, *, rate_limit: str = "") -> Request[T]:
    """A GET."""
    return Request("GET", path, response_type, params, rate_limit=rate_limit)


def post(
    path: str,
    response_type: type[T],
    json: Any,
    params: Params | None = None,
    *,
    rate_limit: str = "",
    idempotent: bool = False,
) -> Request[T]:
    """A POST; say ``repeatable`` where it only reads, or where doing it twice is the same as once."""
    return Request("POST", path, response_type, params, json, rate_limit, idempotent)


def put(
    path: str, response_type: type[T], json: Any, params: Params | None = None, *, rate_limit: str = ""
) -> Request[T]:
    """A PUT."""
    return Request("PUT", path, response_type, params, json, rate_limit)


def patch(
    path: str, response_type: type[T], json: Any, params: Params | None = None, *, rate_limit: str = ""
) -> Request[T]:
    """A PATCH; ours set values, so they may be repeated."""
    return Request("PATCH", path, response_type, params, json, rate_limit)


def delete(
    path: str, response_type: type[T], params: Params | None = None, *, json: Any = None, rate_limit: str = ""
) -> Request[T]:
    """A DELETE, with a body where the vendor wants one."""
    return Request("DELETE", path, response_type, params, json, rate_limit)
