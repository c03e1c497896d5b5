"""Between calls and HTTP, without I/O: what to send, and what an answer means."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from types import NoneType
from typing import Any, Protocol, TypeVar

import attrs
import msgspec
from attrs import frozen

from contacts_core import errors
from contacts_core.errors import (
    ConfigurationError,
    ContactsError,
    InvalidInput,
    ProviderError,
    UnexpectedPayload,
    Unreachable,
)
from contacts_core.http import addresses
from contacts_core.http.bodies import Body
from contacts_core.http.unanswered import why
from contacts_core.models.identifiers import scrub
from contacts_core.provider import Provider, Request, Upload, moment, number
from contacts_core.text import printable

T = TypeVar("T")
E = TypeVar("E", bound=ProviderError)

OK = range(200, 206)
PARTS = (206, 207, 208, 226)  # answers that hold a part only, or say of several things how each went
BY_STATUS: dict[int, type[ProviderError]] = {
    401: errors.Unauthenticated,
    402: errors.Forbidden,
    403: errors.Forbidden,
    404: errors.NotFound,
    407: errors.Forbidden,
    408: errors.Unavailable,
    421: errors.Unavailable,
    425: errors.Unavailable,
    429: errors.RateLimited,
}
HINTS = {
    401: "check the key, and that it belongs to this host and workspace",
    402: "the account does not cover this; look at its plan and payments",
    403: "the key is good but lacks the right for this action",
    404: "check the id, and the base URL if everything is missing",
    407: "a proxy in between wants a login; it was not the vendor that refused",
    429: "the vendor wants fewer requests; try again later",
    451: "not available because of data residency: use the host of the account's region",
    511: "a network in between wants a login; it was not the vendor that answered",
}
NO_HEADERS: Mapping[str, str] = {}
MOVED = "the API answers from another address: check base_url"
WEB_PAGE = "the answer is a web page: check the base URL, or a proxy in between"
REQUEST_IDS = ("x-request-id", "x-amzn-requestid", "x-amz-apigw-id", "x-correlation-id")
SECONDS_OR_EPOCH = 1_000_000  # X-RateLimit-Reset below this is seconds left, above it a Unix time
EXCERPT = 200
MOST_OF_A_REFUSAL = 1 << 20  # bytes that are read of an answer that is an error
SLOWEST = 10_000  # bytes a second; what is slower than this for long is not waited for
LONGEST_REQUEST_ID = 200
BOM = b"\xef\xbb\xbf"
ACCEPTED = "gzip, deflate"  # what `bodies` can undo within bounds
KEY_HEADER = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
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
            record.msg, record.args = printable(scrub(QUERIES.sub("?***", record.getMessage()))), None
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


deadline: ContextVar[float] = ContextVar("contacts_core.deadline", default=float("inf"))
"""When the exchange under way must be over, by ``time.monotonic``; blocking clients of our own keep to it."""

allowed_place: ContextVar[Callable[[str], None] | None] = ContextVar("contacts_core.allowed_place", default=None)
"""What raises if a connection of the exchange under way leads to an address where it must not; for our own clients."""


class Client(Protocol):
    """What the blocking driver needs of a client: these methods of ``httpx.Client``."""

    def build_request(self, *args: Any, **options: Any) -> Any:
        """Make a request without sending it."""

    def send(self, *args: Any, **options: Any) -> Any:
        """Send a request."""


class AsyncClient(Protocol):
    """What the awaiting driver needs of a client: these methods of ``httpx.AsyncClient``."""

    def build_request(self, *args: Any, **options: Any) -> Any:
        """Make a request without sending it."""

    def send(self, *args: Any, **options: Any) -> Awaitable[Any]:
        """Send a request."""
        ...


@frozen
class Answer:
    """A whole HTTP answer.

    Attributes:
        status_code: The HTTP status.
        headers: The headers, whose names are found in any case.
        content: The body after decompression; of an error at most the first megabyte.
        problem: What was wrong with the body; empty if nothing was.
    """

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    problem: str = ""


class Wire:
    """One provider's side of every exchange; both drivers share it."""

    def __init__(self, provider: Provider) -> None:
        """Check that requests of this provider may be sent at all.

        Raises:
            ConfigurationError: Its address is not fit to send a key to, or its key cannot be sent.
        """
        self._provider = provider
        self.settings = provider.transport
        self._scheme, self._host = addresses.checked_base_url(
            provider.base_url, allow_plain_http=self.settings.allow_plain_http
        )
        self._root = provider.base_url + provider.base_path()
        keys = self._key_headers()
        self._headers = {"Accept": "application/json", "Accept-Encoding": ACCEPTED, **keys}
        self._json_headers = {**self._headers, "Content-Type": "application/json"}
        self._secret_headers = {name.lower() for name in keys}
        kept = (getattr(provider, a.name) for a in attrs.fields(type(provider)) if a.metadata.get("secret"))
        self._secrets = [str(value) for value in (*keys.values(), *kept) if value]

    def _key_headers(self) -> dict[str, str]:
        hint = "look for a line break, a space at an end, or a letter that no key has"
        try:
            headers = dict(self._provider.headers())
        except (ValueError, TypeError):  # such as a key that cannot be encoded
            raise ConfigurationError(f"the key of {self._provider.name} cannot be sent", hint=hint) from None
        for name, value in headers.items():
            if not (addresses.HEADER_NAME.fullmatch(name) and KEY_HEADER.fullmatch(value)):
                raise ConfigurationError(
                    f"the key of {self._provider.name} holds characters that no key has", hint=hint
                )
        return headers

    def request(self, client: Client | AsyncClient, call: Request[Any]) -> tuple[Any, float]:
        """Make the request of a call, and tell the seconds that the exchange may take.

        Raises:
            InvalidInput: A value in it cannot be sent, such as half of a character, or an address far too long.
        """
        try:
            content = None if call.json is None else msgspec.json.encode(call.json)
            headers = self._headers if content is None else self._json_headers
            request = client.build_request(
                call.method, self._root + call.path, params=call.params, headers=headers, content=content
            )
        except Exception as error:  # noqa: BLE001 - nothing was sent, and whatever it is, it is about these values
            raise InvalidInput(
                f"the request cannot be sent ({type(error).__name__})", hint="check its values"
            ) from None

        return request, self.limit(content)

    def limit(self, content: bytes | None) -> float:
        """Seconds for one exchange: those of the settings, and time to send a long body over a slow line."""
        return self.settings.attempt_timeout + (len(content) / SLOWEST if content else 0.0)

    def body(self, response: Any) -> Body:
        """What collects the body of an answer."""
        most = self.settings.max_answer if response.status_code in OK else MOST_OF_A_REFUSAL
        return Body(response.headers.get("content-encoding", ""), most)

    def whole(self, response: Any) -> Answer | None:
        """The answer of a client that has read it already, such as one in this process; None if it has not."""
        if not response.is_stream_consumed:
            return None
        content = bytes(response.content)
        problem = "the answer is larger than allowed" if len(content) > self.settings.max_answer else ""
        return Answer(response.status_code, response.headers, content, problem)

    def file_request(self, client: Client | AsyncClient, url: str, origin: str = "") -> Any:
        """Make the request for a file, without any key.

        Args:
            client: What makes it.
            url: Address of the file.
            origin: What names it, if that is not the API itself.

        Raises:
            UnexpectedPayload: The address is none, or one where no vendor keeps files.
        """
        headers = {"Accept": "*/*", "Accept-Encoding": "gzip"}  # gzip is what `files` can undo
        return self._elsewhere(client, "GET", url, origin, headers=headers)

    def upload_request(self, client: Client | AsyncClient, upload: Upload) -> Any:
        """Make the request that uploads a file, without any key.

        Raises:
            UnexpectedPayload: The address is none, or one where no vendor takes files; or a header is odd.
        """
        try:
            headers = addresses.upload_headers(upload.headers)
        except UnexpectedPayload as error:
            raise self.about(error, "upload") from None
        return self._elsewhere(client, "PUT", upload.url, "", headers=headers, content=upload.content)

    def _elsewhere(self, client: Client | AsyncClient, method: str, url: str, origin: str, **options: Any) -> Any:
        try:
            addresses.file_address(url, origin or self._provider.base_url)
            try:
                request = client.build_request(method, url, **options)
            except Exception:  # noqa: BLE001 - nothing was sent, and whatever it is, it is about this address
                raise UnexpectedPayload("the vendor names a file at an address that is none") from None
        except UnexpectedPayload as error:
            raise self.about(error, "download" if method == "GET" else "upload") from None
        self.refuse_place(request.url.host)
        for name in {*self._secret_headers, "authorization", "cookie"}:  # the caller's client may add keys, too
            request.headers.pop(name, None)
        return request

    def redirected(self, request: Any, response: Any) -> str:
        """The address that an answer sends on to."""
        try:
            return str(request.url.join(response.headers.get("location", "")))
        except Exception:  # noqa: BLE001 - as in `_elsewhere`
            told = UnexpectedPayload("the vendor's file has moved to an address that is none")
            raise self.about(told, "download") from None

    def refuse_place(self, host: str) -> None:
        """Refuse a host where no vendor keeps files; the API's own, and one that the settings allow, is fine."""
        if self.settings.allow_private_files or host == self._host:
            return
        try:
            addresses.refuse_place(host, local=self._scheme == "http")
        except UnexpectedPayload as error:
            raise self.about(error, "file") from None

    def place_check(self, request: Any) -> Callable[[str], None] | None:
        """What a connection for the request of a file is checked by; None if it may lead anywhere."""
        return None if request.url.host == self._host else self.refuse_place

    def decoded(self, call: Request[T], status: int, headers: Mapping[str, str], content: bytes) -> T:
        """The payload of a 2xx answer.

        Raises:
            ProviderError: The vendor refused, or its answer has another shape.
        """
        if status == 404 and not self._provider.is_not_found(call, content):
            raise self._misdirected(f"{call.method} {call.path}", headers)
        operation = f"{call.method} {call.path}"
        if status not in OK:
            raise self.refusal(operation, status, headers, content)
        page = content.lstrip()[:1] == b"<"
        if not content and call.response_type is object:  # no JSON is as good as null where nothing is expected
            return None  # type: ignore[return-value]
        if page and call.response_type is NoneType:  # something else has answered, so nothing was done
            told = UnexpectedPayload("the answer is a web page, not the API's", status=status, hint=WEB_PAGE)
            raise self.about(told, operation, headers)
        try:
            return self._provider.converter.structure(content.removeprefix(BOM), call.response_type)
        except UnexpectedPayload as error:
            self.about(error, operation, headers)
            error.status = status
            if page:
                error.hint = WEB_PAGE
            raise
        except ContactsError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a provider's hooks raise, it is about this answer
            misfit = UnexpectedPayload(f"the answer cannot be read ({type(error).__name__})", status=status)
            raise self.about(misfit, operation, headers) from None

    def flawed(self, operation: str, answer: Answer) -> UnexpectedPayload:
        """The error for an answer whose body could not be read whole."""
        hint = "raise max_answer in the account's transport settings if answers really are that large"
        error = UnexpectedPayload(
            answer.problem, status=answer.status_code, hint=hint if "larger" in answer.problem else ""
        )
        return self.about(error, operation, answer.headers)

    def _misdirected(self, operation: str, headers: Mapping[str, str]) -> UnexpectedPayload:
        """The error for a 404 that something in front of the API answered: it says nothing about contacts."""
        hint = "check base_url, and any gateway or proxy in between"
        error = UnexpectedPayload("a 404 that is not in the vendor's own shape", status=404, hint=hint)
        return self.about(error, operation, headers)

    def refusal(self, operation: str, status: int, headers: Mapping[str, str], content: bytes) -> ProviderError:
        """The error that an answer means which is no plain success."""
        if status < 200 or status in PARTS:
            told = "the answer is not a whole one" if status in PARTS else "the answer is none to this request"
            return self.about(UnexpectedPayload(told, status=status), operation, headers)
        kind = BY_STATUS.get(status) or (errors.Unavailable if status >= 500 else errors.Rejected)
        hint = HINTS.get(status, MOVED if status in REDIRECTS else "")
        error = kind(self._scrubbed(reason(content, headers)), status=status, hint=hint)
        if status == 429:
            error.retry_after = pause(headers, time.time())
        elif status == 503:  # a window of requests has nothing to do with a fault of the vendor's
            error.retry_after = retry_after(headers, time.time())
        if isinstance(error, errors.Rejected):
            error.details = details(content)
        return self.about(error, operation, headers)

    def unreachable(self, operation: str, cause: Exception) -> Unreachable:
        """The error for an exchange that broke off; of its cause only the kind, for its text may hold the address."""
        message, hint = why(cause)
        return self.about(Unreachable(message, hint=hint), operation, {})

    def too_late(self, call: Request[Any], delay: float) -> errors.RateLimited:
        """The error for a call that would have to wait for its turn for longer than its patience; it is not sent."""
        error = errors.RateLimited(f"not sent: its turn comes only in {delay:.1f} s", retry_after=delay)
        return self.about(error, f"{call.method} {call.path}")

    def about(self, error: E, operation: str, headers: Mapping[str, str] = NO_HEADERS) -> E:
        """Say in an error who it is about."""
        error.provider = self._provider.name
        error.operation = printable(scrub(operation))
        error.request_id = request_id(headers)
        return error

    def _scrubbed(self, text: str) -> str:
        for value in self._secrets:
            text = text.replace(value, "***")
        return scrub(KEYS.sub("***", printable(text)))[:EXCERPT]


def request_id(headers: Mapping[str, str]) -> str:
    """The vendor's own name for a request; empty where it gives none."""
    named = next((headers[name] for name in REQUEST_IDS if name in headers), "")
    return printable(named, LONGEST_REQUEST_ID)


def reason(content: bytes, headers: Mapping[str, str]) -> str:
    """The vendor's own words for a refusal, from any of the shapes that vendors use."""
    if content.lstrip()[:1] == b"<":
        return "the answer is a web page, not the API's"
    try:
        words = _words(msgspec.json.decode(content))
    except (msgspec.DecodeError, ValueError, RecursionError):
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
    """The seconds that the vendor asks to wait: Retry-After if there is one, else X-RateLimit-Reset."""
    return retry_after(headers, now) if headers.get("retry-after", "").strip() else reset(headers, now)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds of a Retry-After (RFC 9110, section 10.2.3: seconds or a date); None if there is none to be read."""
    after = headers.get("retry-after", "").strip()
    if after.isdecimal():
        seconds = number(after)
        return None if seconds is None else float(seconds)
    try:
        when = moment(parsedate_to_datetime(after).isoformat())
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None
    return max(0.0, when.timestamp() - now) if when else None


def reset(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the vendor's rate window ends, from X-RateLimit-Reset in either of its two meanings."""
    value = number(_first(headers, "x-ratelimit-reset"))
    if value is None:
        return None
    return max(0.0, float(value if value < SECONDS_OR_EPOCH else value - now))


def exhausted(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to hold back after an answer that says nothing is left in this window."""
    left = number(_first(headers, "x-ratelimit-remaining"))
    return reset(headers, now) if left is not None and left <= 0 else None


def _first(headers: Mapping[str, str], name: str) -> str:
    """The first value of a header, which a proxy may have repeated."""
    return headers.get(name, "").partition(",")[0]


CLIENT_ERRORS = ("RequestError", "InvalidURL")


def transport_errors(client: object) -> tuple[type[Exception], ...]:
    """The exceptions with which this client says that an exchange broke off, or that an address is none.

    A client of httpx or of httpx2, or anything with their interface: the two libraries' exceptions share no base.
    """
    roots = {cls.__module__.partition(".")[0] for cls in type(client).__mro__} | {"httpx", "httpx2"}
    found = (getattr(sys.modules.get(root), name, None) for root in sorted(roots) for name in CLIENT_ERRORS)
    # UnicodeError: a host with a label that no name server knows, which neither library expects.
    return (*(error for error in found if isinstance(error, type)), OSError, EOFError, UnicodeError)


REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 5


class Attempts:
    """The attempts at one request: whether another one may be made, and what all of them together mean."""

    def __init__(self, call: Request[Any], most: int, longest_pause: float, left: Callable[[], float]) -> None:
        """Begin.

        Args:
            call: What is asked.
            most: Attempts, the first included.
            longest_pause: Seconds that the vendor may ask to wait before the next one.
            left: Tells the seconds that are left for all of it; not above 0 once it was cancelled.
        """
        self._call, self._most, self._longest, self._left = call, most, longest_pause, left
        self._made = 0
        self._last: ContactsError | None = None

    @property
    def unclear(self) -> bool:
        """Whether the request may have been carried out, although no answer says so."""
        return self._last is not None and self._last.unclear

    def failed(self, error: ContactsError) -> ContactsError:
        """Note how one attempt failed, and give the error for all of them."""
        self._made += 1
        if self._last and isinstance(error, errors.DeadlineExceeded):  # which would say that nothing was sent
            return self._last
        error.unclear = error.unclear or self.unclear
        self._last = error
        return error

    def again(self, error: Exception) -> bool | float:
        """The rule for stamina: repeat what passes, pausing as the vendor asks; never what could act twice."""
        if not isinstance(error, ProviderError) or not error.retryable or self._made >= self._most:
            return False
        if self._call.patience is not None:
            return False
        if not (self._call.idempotent or isinstance(error, errors.RateLimited)):
            return False
        wait = error.retry_after or 0.0
        if wait > self._longest or wait >= self._left():
            return False
        return True if error.retry_after is None else error.retry_after
