"""The base class of providers, its settings, and the functions that build requests.

A provider is a frozen attrs class: its fields are its settings, its class attributes are facts that the core reads.

    @frozen(kw_only=True)
    class Acme(DeletesContacts, ExportsPages):
        name = "acme"
        api_key: str = secret()
        base_url: str = base_url_setting("https://api.acme.example")
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import quote

import attrs
import msgspec
from attrs import field, frozen

from contacts_core.errors import ConfigurationError, InvalidInput
from contacts_core.provider.effects import IDEMPOTENT, Authorization, Flow, Request, UnsignedRequest, Values
from contacts_core.provider.http_settings import HttpSettings, http_settings
from contacts_core.provider.payloads import (
    payload_converter,
)
from contacts_core.provider.secrets import add_secret_patterns

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = [
    "Provider",
    "RateLimit",
    "base_url_setting",
    "basic_auth",
    "check_id",
    "delete",
    "get",
    "patch",
    "path",
    "post",
    "put",
    "request",
    "secret",
    "setting",
]

T = TypeVar("T")

LONGEST_ID = 255  # characters
MOST_ID_CHARACTERS = 2 * LONGEST_ID  # that a provider may allow, for they fit into a path
SAFE_ID = r"[A-Za-z0-9_.~:=+-]+"


@frozen
class RateLimit:
    """At most ``limit`` requests in any ``seconds``."""

    limit: int
    seconds: float


def secret(*, env: str = "", default: Any = attrs.NOTHING) -> Any:
    """Declare a setting that is never shown.

    Args:
        env: Its environment variable. Default: ``<NAME>_<SETTING>``.
        default: Its default, such as ``""`` for a key that not every account has; without one, it is required.
    """
    return field(default=default, repr=False, metadata={"env": env, "secret": True})


def setting(default: Any = attrs.NOTHING, *, env: str = "", **options: Any) -> Any:
    """Declare a setting.

    Args:
        default: Its default; without one, the setting is required.
        env: Its environment variable. Default: ``<NAME>_<SETTING>``.
        **options: Further arguments of `attrs.field`.
    """
    return field(default=default, metadata={"env": env}, **options)


def basic_auth(username: str, password: str) -> str:
    """Return the value of an ``Authorization`` header for a user name and a password (RFC 7617), in UTF-8.

    Raises:
        ConfigurationError: One holds a control character, such as the line break at the end of a file, or the user name
            holds a colon.
    """
    hint = "look for a line break at the end"
    if any(unicodedata.category(character) == "Cc" for character in username + password):
        raise ConfigurationError("the user name or the password holds a control character", hint=hint)
    if ":" in username:
        raise ConfigurationError("the user name holds a colon, which basic authentication cannot send")
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"


def base_url_setting(default: Any = attrs.NOTHING, *, env: str = "") -> Any:
    """Declare the setting ``base_url``.

    Args:
        default: The vendor's address, where there is one for all accounts.
        env: Its environment variable. Default: ``<NAME>_BASE_URL``.
    """
    options: dict[str, Any] = {"converter": _base_url, "metadata": {"env": env}}
    return field(default=default, **options)


def _base_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", value):
        message = "base_url must begin with http:// or https:// and a host"
        raise ConfigurationError(message, hint="for example base_url='https://api.example.com'")
    return value.rstrip("/")


@frozen(kw_only=True, slots=False)
class Provider:
    """Where a vendor's API is, how to authenticate, and the facts that hold for all of its capabilities.

    Facts of one capability, such as the size of its batches, are class attributes of the capability; see there.

    Attributes:
        name: What `connect` takes: lower case, words joined by ``-``.
        title: The vendor's own name for the product.
        concurrency: Requests under way at once, 1 to 8. Default 4.
        rate_limits: Requests that the vendor allows, by the name that `Request.rate_limit` gives; ``""`` is the general
            limit. Default: no limit.
        costs: Requests for one batch of a capability, by rate limit. Default: one request under the general limit.
        read_modify_write: Capabilities that this provider emulates: it reads, changes and writes back, and another
            writer's change in between is lost. Default: none.
        non_idempotent: Capabilities that create something which the vendor does not recognise when it is asked again,
            because it has no key that must be unique: a call that is repeated while the first one is still under way
            may create a second one. Plans say so beforehand. Default: none.
        secret_patterns: Regular expressions of what this vendor's keys look like, in upper or lower case. Text that
            matches is redacted from errors of every account, besides the values of the account's own secrets.
        id_pattern: Regular expression of the vendor's ids, where they have more characters than letters, digits and
            ``_.~:=+-``, such as the UIDs of contact cards. Ids with control characters are refused in any case.
        longest_id: Characters of an id, at most 510. Default 255.
        status_hints: What to do about an HTTP status that means something of its own at this vendor, by status.
        converter: Structures answers into payloads; register hooks on it for a vendor's oddities.
        base_url: Where the API is. A provider without HTTP declares it empty and as no setting, and does its work with
            `Blocking`: ``base_url: str = field(init=False, default="", repr=False)``.
        http: Attempts, timeouts and limits of requests; a table of them in the accounts file.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    concurrency: ClassVar[int] = 4
    rate_limits: ClassVar[Mapping[str, RateLimit]] = {}
    costs: ClassVar[Mapping[type[Provider], Mapping[str, int]]] = {}
    read_modify_write: ClassVar[tuple[type[Provider], ...]] = ()
    non_idempotent: ClassVar[tuple[type[Provider], ...]] = ()
    secret_patterns: ClassVar[tuple[str, ...]] = ()
    id_pattern: ClassVar[str] = SAFE_ID
    longest_id: ClassVar[int] = LONGEST_ID
    status_hints: ClassVar[Mapping[int, str]] = {}
    converter: ClassVar[Converter] = payload_converter()

    base_url: str = base_url_setting()
    http: HttpSettings = field(factory=HttpSettings, converter=http_settings)

    def __init_subclass__(cls, **options: Any) -> None:
        """Have keys of this provider redacted wherever they appear."""
        super().__init_subclass__(**options)
        if not 0 < cls.longest_id <= MOST_ID_CHARACTERS:
            raise TypeError(f"{cls.__name__}.longest_id must be from 1 to {MOST_ID_CHARACTERS}")
        re.compile(cls.id_pattern)
        add_secret_patterns(cls.secret_patterns)

    def headers(self) -> dict[str, str]:
        """Return the headers that authenticate a request; they are sent where credentials may go, see `trusts_host`."""
        return {}

    def authorize(self) -> Flow[Authorization]:
        """Get a key that expires, such as an OAuth token; override it where the vendor has such keys.

        It is run before the first request, once for requests side by side, again shortly before its result expires, and
        once more for a request that is answered with 401. Its own requests have the `headers` only; send them with
        ``authorized=False`` if they must not have those either. What it returns is redacted from errors and logs.
        """
        yield from ()
        return Authorization({})

    def sign(self, request: UnsignedRequest) -> Mapping[str, str]:
        """Return the headers that sign a request, from nothing but the request and the settings.

        It is called just before each sending, for a signature may hold the time. Not for requests with
        ``authorized=False``.
        """
        del request
        return {}

    def pause_s(self, status: int, headers: Mapping[str, str], now: float) -> float | None:
        """Return the seconds for which the vendor wants no more requests; None where the standard headers tell it.

        Override it for headers of the vendor's own. ``Retry-After``, ``X-RateLimit-…``, ``RateLimit-…`` and
        ``RateLimit`` are understood without it.

        Args:
            status: The HTTP status of an answer; after 429 and 503 the request waits, after others the next one does.
            headers: Its headers, whose names are found in any case.
            now: The present time in Unix seconds.
        """
        del status, headers, now
        return None

    def trusts_host(self, host: str) -> bool:
        """Return whether credentials may be sent to this host, which an answer names; to ``base_url`` they always may.

        For vendors that name the server of an account in an answer. Compare whole host names, or a suffix that begins
        with a dot: every host that this accepts gets the key.

        Args:
            host: A host name in lower case, without its port. Only ``https`` addresses are sent to.
        """
        del host
        return False

    def path_prefix(self) -> str:
        """Return what every path begins with, after ``base_url``; empty by default."""
        return ""

    def location(self) -> str:
        """Return where the account is, for confirmations: ``base_url``; a path, for a provider without HTTP."""
        return self.base_url

    def close(self) -> None:
        """Close what the provider itself keeps open, such as a database; called when a client of it is closed.

        Other clients may go on with the same provider: open again what they need.
        """

    def validate_id(self, id: str) -> str:
        """Return why this id must not be sent; empty if it may be. Extend it if the vendor's ids are narrower.

        It is asked for the ids of contacts, lists and jobs alike, and is not told which.
        """
        return check_id(id, self.id_pattern, self.longest_id)

    def account_id(self) -> Flow[str]:
        """Return a name of the account behind these settings, so that a plan is never applied to another one.

        By default it is ``base_url`` with `path_prefix`, which is enough where that names the account. Otherwise add
        the account or its owner as the vendor's API returns it. Never make a key part of it.
        """
        yield from ()
        return self.base_url + self.path_prefix()

    def is_not_found(self, request: Request[Any], content: bytes) -> bool:
        """Return whether a 404 comes from the vendor's API, and not from a gateway that does not know the path.

        By default any JSON object or array counts; narrow it to the vendor's own shape where that is known.

        Args:
            request: The request that was answered.
            content: The body of the answer.
        """
        try:
            return isinstance(msgspec.json.decode(content), (dict, list))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False


def check_id(id: str, pattern: str = SAFE_ID, longest: int = LONGEST_ID) -> str:
    """Return why an id must not be sent; empty if it may be.

    Ids are opaque. Most vendors' ids hold no character that could end a segment of a path, before or after decoding; a
    provider whose ids do says so with ``id_pattern``. An id that may be sent always fits into a `path`.

    Args:
        id: The id.
        pattern: Regular expression of the ids.
        longest: Characters of an id, at most.
    """
    if not id or id.isspace():
        return "the id is blank"
    if len(id) > longest:
        return f"the id is longer than {longest} characters"
    if not re.fullmatch(pattern, id):
        return "it is an e-mail address, not an id" if "@" in id else "the id holds characters that no id has"
    if set(id) == {"."} or id.startswith("..") or not id.isprintable():
        return "the id holds characters that no id has"
    return ""


def path(template: str, *, safe: str = "", **values: str) -> str:
    """Fill a path template, each value percent-encoded as one segment. Build every path with it.

    Args:
        template: Such as ``"/lists/{list_id}"``.
        safe: Characters besides the unreserved ones that the vendor wants unencoded; never ``/``.
        **values: The values by name.

    Raises:
        InvalidInput: A value is empty, a dot segment, or too long.
    """
    for name, value in values.items():
        if not value.strip() or value in {".", ".."} or len(value) > MOST_ID_CHARACTERS:
            message = f"{name} cannot be part of a path"
            raise InvalidInput(message, hint="it is empty, made of dots, or too long")
    return template.format(**{name: quote(value, safe=safe) for name, value in values.items()})


def request(
    method: str,
    path: str,
    response_type: type[T],
    params: Values | None = None,
    *,
    json: Any = None,
    form: Values | None = None,
    content: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    rate_limit: str = "",
    idempotent: bool | None = None,
    authorized: bool = True,
    statuses: Collection[int] = (),
) -> Request[T]:
    """Build any request; see `Request` for what the arguments mean.

    ``idempotent`` is by default what the method's RFC says: yes for all but POST, PATCH and unknown methods.
    """
    return Request(
        method,
        path,
        response_type,
        params,
        json,
        rate_limit,
        method in IDEMPOTENT if idempotent is None else idempotent,
        form=form,
        content=content,
        headers=headers,
        authorized=authorized,
        statuses=statuses,
    )


def get(
    path: str,
    response_type: type[T],
    params: Values | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    rate_limit: str = "",
) -> Request[T]:
    """Build a GET request."""
    return Request("GET", path, response_type, params, rate_limit=rate_limit, headers=headers)


def post(
    path: str,
    response_type: type[T],
    json: Any,
    params: Values | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    rate_limit: str = "",
    idempotent: bool = False,
) -> Request[T]:
    """Build a POST request; set ``idempotent`` if it only reads, or if sending it twice has the effect of once."""
    return Request("POST", path, response_type, params, json, rate_limit, idempotent, headers=headers)


def put(
    path: str,
    response_type: type[T],
    json: Any,
    params: Values | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    rate_limit: str = "",
) -> Request[T]:
    """Build a PUT request."""
    return Request("PUT", path, response_type, params, json, rate_limit, headers=headers)


def patch(
    path: str,
    response_type: type[T],
    json: Any,
    params: Values | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    rate_limit: str = "",
) -> Request[T]:
    """Build a PATCH request that sets values, and is idempotent for that reason."""
    return Request("PATCH", path, response_type, params, json, rate_limit, headers=headers)


def delete(
    path: str,
    response_type: type[T],
    params: Values | None = None,
    *,
    json: Any = None,
    headers: Mapping[str, str] | None = None,
    rate_limit: str = "",
) -> Request[T]:
    """Build a DELETE request, with a body where the vendor wants one."""
    return Request("DELETE", path, response_type, params, json, rate_limit, headers=headers)
