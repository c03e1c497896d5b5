"""Between calls and HTTP, without I/O: what to send, and what an answer means."""

from __future__ import annotations

import logging
import math
import re
import sys
import time
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeVar

import attrs
import msgspec

from contacts_core import errors
from contacts_core.errors import ProviderError, UnexpectedPayload, Unreachable
from contacts_core.flow import Call
from contacts_core.identifiers import scrub
from contacts_core.provider import Provider

T = TypeVar("T")
E = TypeVar("E", bound=ProviderError)

OK = range(200, 300)
BY_STATUS: dict[int, type[ProviderError]] = {
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    429: errors.RateLimited,
}
HINTS = {
    401: "check the key, and that it belongs to this host and workspace",
    403: "the key is good but lacks the right for this action",
    404: "check the id, and the base URL if everything is missing",
    429: "the vendor wants fewer requests; try again later",
    451: "not available because of data residency: use the host of the account's region",
}
REQUEST_IDS = ("x-request-id", "x-amzn-requestid", "x-amz-apigw-id", "x-correlation-id")
SECONDS_OR_EPOCH = 1_000_000  # X-RateLimit-Reset below this is seconds left, above it a Unix time
EXCERPT = 200
QUERIES = re.compile(r"\?[^\s\"]+")
KEYS = re.compile(r"(?i)\bSG\.[\w.-]+|\b(?:bearer|accesskey|basic)\s+\S+")


class MaskedLog(logging.Filter):
    """Masks what httpx logs of our requests: each whole address, at INFO. The caller's own requests are logged as ever.

    Addresses hold identifiers with some vendors, and the signatures of files with others.
    """

    _ours: ContextVar[bool] = ContextVar("contacts_core.request", default=False)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record, where it is about a request of ours."""
        if self._ours.get():
            record.msg, record.args = scrub(QUERIES.sub("?***", record.getMessage())), None
        return True

    def __enter__(self) -> None:
        """Say that what follows is ours."""
        self._ours.set(True)

    def __exit__(self, *_: object) -> None:
        """Say that it is over."""
        self._ours.set(False)


masked_log = MaskedLog()
for library in ("httpx", "httpx2"):
    logging.getLogger(library).addFilter(masked_log)


class Client(Protocol):
    """What the blocking driver needs of a client: these methods of ``httpx.Client``."""

    def request(self, *args: Any, **options: Any) -> Any:
        """Send a request and read the whole answer."""

    def build_request(self, *args: Any, **options: Any) -> Any:
        """Make a request without sending it."""

    def send(self, *args: Any, **options: Any) -> Any:
        """Send a request."""


class AsyncClient(Protocol):
    """What the awaiting driver needs of a client: these methods of ``httpx.AsyncClient``."""

    def request(self, *args: Any, **options: Any) -> Awaitable[Any]:
        """Send a request and read the whole answer."""
        ...

    def build_request(self, *args: Any, **options: Any) -> Any:
        """Make a request without sending it."""

    def send(self, *args: Any, **options: Any) -> Awaitable[Any]:
        """Send a request."""
        ...


class Transport:
    """One provider's side of every exchange; both drivers share it."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._root = provider.base_url + provider.root()
        self._headers = {"Accept": "application/json", **provider.headers()}
        self._json_headers = {**self._headers, "Content-Type": "application/json"}
        self._secret_headers = {name.lower() for name in provider.headers()}
        kept = (getattr(provider, a.name) for a in attrs.fields(type(provider)) if a.metadata.get("secret"))
        self._secrets = [str(value) for value in (*provider.headers().values(), *kept) if value]

    def options(self, call: Call[Any]) -> dict[str, Any]:
        """The arguments for ``client.request``, behind method and address."""
        if call.json is None:
            return {"params": call.params, "headers": self._headers, "follow_redirects": False}
        content = msgspec.json.encode(call.json)
        return {
            "params": call.params,
            "headers": self._json_headers,
            "content": content,
            "follow_redirects": False,
        }

    def address(self, call: Call[Any]) -> str:
        """The absolute address of a call."""
        return self._root + call.path

    def without_keys(self, request: Any) -> Any:
        """Take our keys, and any that the caller's client adds, off a request that goes to another place."""
        for name in {*self._secret_headers, "authorization", "cookie"}:
            request.headers.pop(name, None)
        return request

    def decoded(self, call: Call[T], status: int, headers: Mapping[str, str], content: bytes) -> T:
        """The payload of a 2xx answer.

        Raises:
            ProviderError: The vendor refused, or its answer has another shape.
        """
        if status == 404 and not self._provider.is_not_found(call, content):
            raise self._misdirected(f"{call.method} {call.path}", headers)
        if status not in OK:
            raise self.refusal(f"{call.method} {call.path}", status, headers, content)
        if not content and call.returns is object:  # no JSON is as good as null where nothing is expected
            return None  # type: ignore[return-value]
        try:
            return self._provider.converter.structure(content, call.returns)
        except UnexpectedPayload as error:
            self._about(error, f"{call.method} {call.path}", headers)
            error.status = status
            if content.lstrip()[:1] == b"<":
                error.hint = "the answer is a web page: check the base URL, or a proxy in between"
            raise

    def _misdirected(self, operation: str, headers: Mapping[str, str]) -> UnexpectedPayload:
        """The error for a 404 that something in front of the API answered: it says nothing about contacts."""
        hint = "check base_url, and any gateway or proxy in between"
        error = UnexpectedPayload("a 404 that is not in the vendor's own shape", status=404, hint=hint)
        return self._about(error, operation, headers)

    def refusal(self, operation: str, status: int, headers: Mapping[str, str], content: bytes) -> ProviderError:
        """The error that a non-2xx answer means."""
        kind = BY_STATUS.get(status) or (errors.Unavailable if status >= 500 else errors.Rejected)
        error = kind(self._scrubbed(reason(content, headers)), status=status, hint=HINTS.get(status, ""))
        error.retry_after = pause(headers, time.time()) if status in {429, 503} else None
        if isinstance(error, errors.Rejected):
            error.details = details(content)
        return self._about(error, operation, headers)

    def unreachable(self, operation: str, cause: Exception) -> Unreachable:
        """The error for an exchange that broke off; of its cause only the kind, for its text may hold the address."""
        hint = "check the network and base_url; if the request was sent, the vendor may have carried it out"
        return self._about(Unreachable(f"no complete answer ({type(cause).__name__})", hint=hint), operation, {})

    def too_late(self, call: Call[Any], delay: float) -> errors.RateLimited:
        """The error for a call that would have to wait for its turn for longer than its patience; it is not sent."""
        error = errors.RateLimited(f"not sent: its turn comes only in {delay:.1f} s", retry_after=delay)
        return self._about(error, f"{call.method} {call.path}", {})

    def _about(self, error: E, operation: str, headers: Mapping[str, str]) -> E:
        error.provider = self._provider.name
        error.operation = scrub(operation)
        error.request_id = request_id(headers)
        return error

    def _scrubbed(self, text: str) -> str:
        for value in self._secrets:
            text = text.replace(value, "***")
        return scrub(KEYS.sub("***", text))[:EXCERPT]


def request_id(headers: Mapping[str, str]) -> str:
    """The vendor's own name for a request; empty where it gives none."""
    return next((headers[name] for name in REQUEST_IDS if name in headers), "")


def reason(content: bytes, headers: Mapping[str, str]) -> str:
    """The vendor's own words for a refusal, from any of the shapes that vendors use."""
    if content.lstrip()[:1] == b"<":
        return "the answer is a web page, not the API's"
    try:
        words = _words(msgspec.json.decode(content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        plain = "text/plain" in headers.get("content-type", "")
        words = [content.decode(errors="replace").strip()] if plain else []
    return "; ".join(dict.fromkeys(word for word in words if word)) or "no reason given"


def _words(body: Any) -> list[str]:
    """Collect messages: ``{errors: [{field, message}]}``, ``{code, message}``, ``{error}``, or a bare list of those."""
    match body:
        case {"errors": list(several)}:
            return _words(several)
        case {"errors": dict(one)}:
            return _words(one)
        case {"message": str(message)}:
            where = body.get("field") or body.get("parameter") or body.get("code")
            return [f"{where}: {message}" if where else message]
        case {"error": error}:
            return [error] if isinstance(error, str) else _words(error)
        case list(several):
            return [word for one in several for word in _words(one)]
        case _:
            return []


def details(content: bytes) -> tuple[tuple[str, str], ...]:
    """The fields that a refusal names, each with the vendor's message; unmasked."""
    try:
        body: Any = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    items: Any = body.get("errors", [body]) if isinstance(body, dict) else body
    return tuple(
        (str(item.get("field") or item.get("parameter") or ""), item["message"])
        for item in (items if isinstance(items, list) else [items])
        if isinstance(item, dict) and isinstance(item.get("message"), str)
    )


def pause(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that the vendor asks to wait: Retry-After (RFC 9110, seconds or a date), else X-RateLimit-Reset."""
    if after := headers.get("retry-after", "").strip():
        if after.isdecimal():
            return float(after)
        try:
            return max(0.0, parsedate_to_datetime(after).timestamp() - now)
        except ValueError:
            return None
    return reset(headers, now)


def reset(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the vendor's rate window ends, from X-RateLimit-Reset in either of its two meanings."""
    try:
        value = float(headers.get("x-ratelimit-reset", ""))
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return max(0.0, value if value < SECONDS_OR_EPOCH else value - now)


def exhausted(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to hold back after an answer that says nothing is left in this window."""
    return reset(headers, now) if headers.get("x-ratelimit-remaining") == "0" else None


CLIENT_ERRORS = ("RequestError", "InvalidURL")


def transport_errors(client: object) -> tuple[type[Exception], ...]:
    """The exceptions with which this client says that an exchange broke off, or that an address is none.

    A client of httpx or of httpx2, or anything with their interface: the two libraries' exceptions share no base.
    """
    roots = {cls.__module__.partition(".")[0] for cls in type(client).__mro__} | {"httpx", "httpx2"}
    found = (getattr(sys.modules.get(root), name, None) for root in sorted(roots) for name in CLIENT_ERRORS)
    return (*(error for error in found if isinstance(error, type)), ConnectionError, TimeoutError)


REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 5


def file_address(url: str, origin: str = "") -> str:
    """Check the address of a file, or of a redirect from ``origin``.

    Raises:
        ProviderError: It is neither http nor https, or leaves https.
    """
    scheme = url.partition(":")[0].lower()
    if scheme not in {"http", "https"} or (origin.lower().startswith("https:") and scheme != "https"):
        raise UnexpectedPayload("the vendor names a file that is not at an http(s) address")
    return url


def retry_hook(call: Call[Any], longest: float) -> Any:
    """The rule for stamina: repeat what is retryable, pausing as the vendor asks; never repeat what could act twice."""

    def again(error: Exception) -> bool | float:
        if not isinstance(error, ProviderError) or not error.retryable or call.patience is not None:
            return False
        if not (call.repeatable or isinstance(error, errors.RateLimited)):
            return False
        if error.retry_after is None:
            return True
        return error.retry_after if error.retry_after <= longest else False

    return again
