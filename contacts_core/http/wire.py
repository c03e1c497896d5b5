"""Between requests and HTTP, without I/O: what to send, and what an answer means."""

from __future__ import annotations

import logging
import re
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from time import time as unix_time
from types import NoneType
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlencode, urlsplit

import attrs
import msgspec
from attrs import field, frozen

from contacts_core import errors
from contacts_core.errors import (
    ConfigurationError,
    ContactsError,
    InvalidInput,
    ProviderError,
    UnexpectedPayload,
    Unreachable,
)
from contacts_core.http import addresses, rate_headers
from contacts_core.http.bodies import Body
from contacts_core.http.protocols import BuildsRequests, HttpRequest, HttpResponse
from contacts_core.http.unanswered import why
from contacts_core.models.identifiers import scrub
from contacts_core.provider import Provider, Request, Response, UnsignedRequest
from contacts_core.provider.effects import is_relative
from contacts_core.provider.payloads import body_text, is_web_page
from contacts_core.provider.secrets import redact, secret_words
from contacts_core.text import printable

T = TypeVar("T")
E = TypeVar("E", bound=ProviderError)

OK = range(200, 206)
REDIRECTS = (301, 302, 303, 307, 308)
ONE_BODY = "at most one of json, form and content is the body"
XML_TEXT = re.compile(r">([^<>]+)<")
LONGEST_XML = 10_000  # bytes of an error in XML that are looked at
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
    511: "a network in between wants a login; it was not the vendor that answered",
}
NO_HEADERS: Mapping[str, str] = {}
MOVED = "the API answers from another address: check base_url"
WEB_PAGE = "the answer is a web page: check the base URL, or a proxy in between"
REQUEST_IDS = ("x-request-id", "x-amzn-requestid", "x-amz-apigw-id", "x-correlation-id")
EXCERPT_CHARACTERS = 200
MAX_REFUSAL_BYTES = 1 << 20  # that are read of an answer that is an error
SLOWEST_BYTES_PER_S = 10_000  # what is slower than this for long is not waited for
MAX_REQUEST_ID_CHARACTERS = 200
BOM = b"\xef\xbb\xbf"
ACCEPTED_ENCODINGS = "gzip, deflate"  # what `bodies` can undo within bounds
STANDARD_HEADERS = {"Accept": "application/json", "Accept-Encoding": ACCEPTED_ENCODINGS}
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
KEY_HINT = "look for a line break, a space at an end, or a letter that no key has"
MOST_GIVEN = 100  # keys that expire, and signatures; older ones have expired
SHORTEST_KEY = 4  # characters of a word of a header; what is shorter is not taken out of messages
SECRET_NAME = re.compile(r"(?i)auth|cookie|credential|key|password|secret|session|signature|token")
KEY_HEADER = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
QUERIES = re.compile(r"\?[^\s\"]+")


class MaskedLog(logging.Filter):
    """Mask what httpx logs of our requests: each whole address, at INFO. The caller's own requests stay as they are.

    Addresses contain identifiers at some vendors, and the signatures of files at others.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record if it is about a request of ours."""
        if shown := _shown.get():
            record.msg, record.args = shown(QUERIES.sub("?***", record.getMessage())), None
        return True


class MaskingLog:
    """While this context is open, what httpx logs is about a request of ours."""

    def __init__(self, shown: Callable[[str], str]) -> None:
        """Mask with a function that takes out what must not be logged."""
        self._mask = shown

    def __enter__(self) -> None:
        """Begin a request of ours."""
        _shown.set(self._mask)

    def __exit__(self, *_: object) -> None:
        """End it."""
        _shown.set(None)


_shown: ContextVar[Callable[[str], str] | None] = ContextVar("contacts_core.request", default=None)
for library in ("httpx", "httpx2"):
    logging.getLogger(library).addFilter(MaskedLog())


@frozen
class Answer:
    """A complete HTTP answer.

    Attributes:
        status_code: The HTTP status.
        headers: The headers, whose names are found in any case.
        content: The body after decompression; of an error at most the first megabyte.
        problem: What was wrong with the body; empty if nothing was.
    """

    status_code: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    problem: str = ""


class Wire:
    """One provider's side of every exchange: what both transports send, and what they make of answers."""

    def __init__(self, provider: Provider) -> None:
        """Check that requests of this provider may be sent at all.

        Raises:
            ConfigurationError: Its address is not fit to send a key to, or its key cannot be sent.
        """
        self._provider = provider
        self.settings = provider.http
        self._scheme, self._host = addresses.checked_base_url(
            provider.base_url, allow_plain_http=self.settings.allow_plain_http
        )
        self._root = provider.base_url + provider.path_prefix()
        self._origin = addresses.origin(provider.base_url)
        keys = self.checked_keys(self._own_headers())
        self._headers = {**STANDARD_HEADERS, **keys}
        self._names_pause = type(provider).pause_s is not Provider.pause_s
        self._signs = type(provider).sign is not Provider.sign
        of_settings = (getattr(provider, a.name) for a in attrs.fields(type(provider)) if a.metadata.get("secret"))
        kept = [str(value) for value in of_settings if value]
        encoded = [quote(value, safe="") for value in kept]  # as `path` writes them
        secret_keys = {name: value for name, value in keys.items() if _is_secret(name, value, kept)}
        self._secret_headers = {name.lower() for name in secret_keys}
        self._given: deque[str] = deque(maxlen=MOST_GIVEN)
        self._remembered: Mapping[str, str] = NO_HEADERS
        words = [word for value in secret_keys.values() for word in (value, value.rpartition(" ")[2])]
        self._secrets = list(dict.fromkeys([*(word for word in words if len(word) >= SHORTEST_KEY), *kept, *encoded]))
        self.masked_log = MaskingLog(self.shown)

    def _own_headers(self) -> Mapping[str, str]:
        try:
            return self._provider.headers()
        except (ValueError, TypeError):  # such as a key that cannot be encoded
            raise ConfigurationError(f"the key of {self._provider.name} cannot be sent", hint=KEY_HINT) from None

    def checked_keys(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return headers that authorize requests.

        Raises:
            ConfigurationError: One cannot be sent.
        """
        for name, value in headers.items():
            if not (addresses.HEADER_NAME.fullmatch(name) and KEY_HEADER.fullmatch(value)):
                raise ConfigurationError(
                    f"the key of {self._provider.name} holds characters that no key has", hint=KEY_HINT
                )
        return dict(headers)

    def sign(self, request: Request[Any], built: HttpRequest) -> None:
        """Add the provider's signature to a request that is about to be sent.

        Raises:
            ConfigurationError: The signature cannot be sent.
        """
        if not (self._signs and request.authorized):
            return
        content = _content(request)[0] or b""
        unsigned = UnsignedRequest(request.method, str(built.url), built.headers, content, unix_time())
        signature = self.checked_keys(self._provider.sign(unsigned))
        self._remember(signature)
        built.headers.update(signature)

    def request(
        self, client: BuildsRequests, request: Request[Any], keys: Mapping[str, str] = NO_HEADERS
    ) -> tuple[HttpRequest, float]:
        """Build an HTTP request, and return it with the seconds that its exchange may take.

        Args:
            client: The HTTP client that builds it.
            request: What is asked.
            keys: Headers that authorize it at present, besides those that always do.

        Raises:
            InvalidInput: A value in it cannot be sent, such as half of a character, or an address far too long.
            UnexpectedPayload: It goes to an address that an answer named, and must not.
        """
        standard = self._headers
        if keys:
            self._remember(keys)
            standard = {**addresses.without(self._headers, keys), **keys}
        if self.goes_elsewhere(request):
            return self._request_elsewhere(client, request, standard)
        return self._built(client, request, self._root + request.path, standard)

    def _request_elsewhere(
        self, client: BuildsRequests, request: Request[Any], standard: Mapping[str, str]
    ) -> tuple[HttpRequest, float]:
        """Build a request without credentials, or to an absolute address."""
        standard = standard if request.authorized else STANDARD_HEADERS
        if is_relative(request.path):
            built, limit_s = self._built(client, request, self._root + request.path, standard)
        else:
            try:
                built, limit_s = self._built_absolute(client, request, standard)
            except UnexpectedPayload as error:
                raise self.about(error, request.operation) from None
            if addresses.origin(str(built.url)) != self._origin:
                self.refuse_place(built.url.host)
        if not request.authorized:
            self._strip_credentials(built)
        return built, limit_s

    def _built_absolute(
        self, client: BuildsRequests, request: Request[Any], standard: Mapping[str, str]
    ) -> tuple[HttpRequest, float]:
        url = addresses.file_address(request.path, self._root).partition("#")[0]
        if not request.authorized:
            addresses.upload_headers(request.headers or {})
        try:
            built = self._built(client, request, url, standard)
        except InvalidInput:
            raise UnexpectedPayload("the vendor names an invalid address") from None
        if request.authorized and not self._may_authorize(str(built[0].url)):
            raise UnexpectedPayload(
                "the vendor names an address on another host, to which no key is sent",
                hint="a provider names such hosts in trusts_host, or sends the request with authorized=False",
            )
        return built

    def _built(
        self, client: BuildsRequests, request: Request[Any], url: str, standard: Mapping[str, str]
    ) -> tuple[HttpRequest, float]:
        try:
            content, content_type = _content(request)
            headers = standard
            if content_type or request.headers or request.response_type in (bytes, str):
                headers = _with_headers(standard, request, content_type)
            addresses.check_target(request.method, url)
            params = request.params or None
            if params and "?" in url:  # which a client would replace
                url, params = f"{url}&{urlencode(params, doseq=True)}", None
            built = client.build_request(request.method, url, params=params, headers=headers, content=content)
        except Exception as error:  # noqa: BLE001 - nothing was sent, and whatever it is, it is about these values
            hint = str(error) if isinstance(error, InvalidInput) else "check its values"
            raise InvalidInput(f"the request cannot be sent ({type(error).__name__})", hint=hint) from None
        return built, self.limit(content)

    def _may_authorize(self, url: str) -> bool:
        if "@" in urlsplit(url).netloc:  # a client would send that user name in place of the key
            return False
        origin = addresses.origin(url)
        if origin == self._origin:
            return True
        scheme, host, _ = origin
        is_name = addresses.HOST_NAME.fullmatch(host)  # else a proxy may take evil.example%2f.acme.example apart
        return scheme == "https" and is_name is not None and self._provider.trusts_host(host)

    def limit(self, content: bytes | None) -> float:
        """Return the seconds for one exchange: those of the settings, and time to send a long body over a slow line."""
        return self.settings.timeout_s + (len(content) / SLOWEST_BYTES_PER_S if content else 0.0)

    def body(self, response: HttpResponse, request: Request[Any] | None = None) -> Body:
        """Return what collects the body of an answer, to this request or to that for a file."""
        wanted = is_answer(response.status_code, request) if request else response.status_code in OK
        most = self.settings.max_answer_bytes if wanted else MAX_REFUSAL_BYTES
        return Body(response.headers.get("content-encoding", ""), most)

    def whole(self, response: HttpResponse) -> Answer | None:
        """Return the answer of a client that has read it already, such as one in this process; None if it has not."""
        if not response.is_stream_consumed:
            return None
        content = bytes(response.content)
        problem = "the answer is larger than allowed" if len(content) > self.settings.max_answer_bytes else ""
        return Answer(response.status_code, response.headers, content, problem)

    def file_request(self, client: BuildsRequests, url: str, origin: str = "") -> HttpRequest:
        """Build the request for a file, without any key.

        Args:
            client: The HTTP client that builds it.
            url: Address of the file.
            origin: Address that names the file, if that is not the API itself.

        Raises:
            UnexpectedPayload: The address is invalid, or one where no vendor keeps files.
        """
        headers = {"Accept": "*/*", "Accept-Encoding": "gzip"}  # gzip is what `files` can undo
        try:
            addresses.file_address(url, origin or self._provider.base_url)
            try:
                request = client.build_request("GET", url, headers=headers)
            except Exception:  # noqa: BLE001 - nothing was sent, and whatever it is, it is about this address
                raise UnexpectedPayload("the vendor names a file at an invalid address") from None
        except UnexpectedPayload as error:
            raise self.about(error, "download") from None
        self.refuse_place(request.url.host)
        self._strip_credentials(request)
        return request

    def _strip_credentials(self, request: HttpRequest) -> None:
        for name in {*self._secret_headers, "authorization", "cookie"}:  # the caller's client may add keys, too
            request.headers.pop(name, None)

    def redirected(self, request: HttpRequest, response: HttpResponse) -> str:
        """Return the address that an answer redirects to."""
        try:
            return str(request.url.join(response.headers.get("location", "")))
        except Exception:  # noqa: BLE001 - as in `_elsewhere`
            told = UnexpectedPayload("the vendor's file has moved to an invalid address")
            raise self.about(told, "download") from None

    def refuse_place(self, host: str) -> None:
        """Refuse a host where no vendor keeps files; the API's own host, and one that the settings allow, is fine."""
        if self.settings.allow_private_files or host == self._host:
            return
        try:
            addresses.refuse_place(host, local=self._scheme == "http")
        except UnexpectedPayload as error:
            raise self.about(error, "file") from None

    def goes_elsewhere(self, request: Request[Any]) -> bool:
        """Return whether a request goes where the caller's client must not add anything, and places are checked."""
        return not (request.authorized and is_relative(request.path))

    def place_check(self, request: HttpRequest) -> Callable[[str], None] | None:
        """Return the check for a connection of a file's request; None if it may lead anywhere."""
        return None if request.url.host == self._host else self.refuse_place

    def decoded(self, request: Request[T], status: int, headers: Mapping[str, str], content: bytes) -> Any:
        """Return the payload of an answer, within a `Response` where the request asks for one.

        Raises:
            ProviderError: The vendor refused, or its answer has another shape.
        """
        operation = request.operation
        if not is_answer(status, request):
            if status == 404 and request.authorized and not self._provider.is_not_found(request, content):
                raise self._misdirected(operation, headers)
            raise self.refusal(operation, status, headers, content)
        body = self._payload(request, status, headers, content)
        return Response(body, status, headers) if request.whole else body

    def _payload(self, request: Request[Any], status: int, headers: Mapping[str, str], content: bytes) -> Any:
        wanted = request.response_type
        if wanted is bytes:
            return content
        if not content and wanted is object:  # no JSON is as good as null where nothing is expected
            return None
        if wanted is NoneType and status not in OK:  # such as a redirect, which may say in HTML where it leads
            return None
        try:
            if wanted is str:
                return body_text(content, headers)
            return self._provider.converter.structure(content.removeprefix(BOM), wanted)
        except UnexpectedPayload as error:
            self.about(error, request.operation, headers)
            error.status = status
            if is_web_page(content):  # something else has answered, so nothing was done
                error.hint = WEB_PAGE
            raise
        except ContactsError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a provider's hooks raise, it is about this answer
            hint = WEB_PAGE if is_web_page(content) else ""
            misfit = UnexpectedPayload(f"the answer cannot be read ({type(error).__name__})", status=status, hint=hint)
            raise self.about(misfit, request.operation, headers) from None

    def flawed(self, operation: str, answer: Answer) -> UnexpectedPayload:
        """Return the error for an answer whose body could not be read completely."""
        hint = "raise max_answer_bytes in the account's http settings if answers really are that large"
        error = UnexpectedPayload(
            answer.problem, status=answer.status_code, hint=hint if "larger" in answer.problem else ""
        )
        return self.about(error, operation, answer.headers)

    def _misdirected(self, operation: str, headers: Mapping[str, str]) -> UnexpectedPayload:
        """Return the error for a 404 from something in front of the API: it says nothing about contacts."""
        hint = "check base_url, and any gateway or proxy in between"
        error = UnexpectedPayload("a 404 that is not in the vendor's own shape", status=404, hint=hint)
        return self.about(error, operation, headers)

    def refusal(self, operation: str, status: int, headers: Mapping[str, str], content: bytes) -> ProviderError:
        """Return the error for an answer that is not a plain success."""
        if status < 200 or status in PARTS:
            told = "the answer is not a whole one" if status in PARTS else "the answer is none to this request"
            return self.about(UnexpectedPayload(told, status=status), operation, headers)
        kind = BY_STATUS.get(status) or (errors.Unavailable if status >= 500 else errors.Rejected)
        hint = self._provider.status_hints.get(status) or HINTS.get(status, MOVED if status in REDIRECTS else "")
        error = kind(self.shown(reason(content, headers))[:EXCERPT_CHARACTERS], status=status, hint=hint)
        if status in {429, 503}:
            error.retry_after = self._pause(status, headers)
        if isinstance(error, errors.Rejected):
            error.details = details(content)
        return self.about(error, operation, headers)

    def _pause(self, status: int, headers: Mapping[str, str]) -> float | None:
        now = unix_time()
        if self._names_pause and (own := self._provider.pause_s(status, headers, now)) is not None:
            return max(0.0, own)
        # A window of requests has nothing to do with a fault of the vendor's.
        return rate_headers.pause(headers, now) if status == 429 else rate_headers.retry_after(headers, now)

    def hold_s(self, request: Request[Any], status: int, headers: Mapping[str, str]) -> float | None:
        """Return the seconds for which nothing more may be sent under the limit of a request that was answered."""
        if not request.authorized:  # perhaps another host, with limits of its own
            return None
        now = unix_time()
        if self._names_pause and (own := self._provider.pause_s(status, headers, now)) is not None:
            return own if own > 0 else None
        return rate_headers.exhausted(headers, now)

    def unreachable(self, operation: str, cause: Exception) -> Unreachable:
        """Return the error for an exchange that broke off; it names the kind of the cause, not its text."""
        message, hint = why(cause)
        return self.about(Unreachable(message, hint=hint), operation, {})

    def labelled(self, error: ContactsError, operation: str) -> ContactsError:
        """Name provider and operation in the error of a request that was not sent, if it has a place for them."""
        return self.about(error, operation) if isinstance(error, ProviderError) else error

    def about(self, error: E, operation: str, headers: Mapping[str, str] = NO_HEADERS) -> E:
        """Name provider, operation and request id in an error, and return it."""
        error.provider = self._provider.name
        error.operation = self.shown(operation)
        error.request_id = self.shown(request_id(headers))
        return error

    def shown(self, text: str) -> str:
        """Return a text for errors and logs, without control characters, keys and personal data."""
        for value in (*self._secrets, *tuple(self._given)):
            text = text.replace(value, "***")
        return scrub(redact(printable(text)))

    def _remember(self, headers: Mapping[str, str]) -> None:
        """Keep keys that expire out of errors and logs of this client, however many other clients there are."""
        if headers is self._remembered:
            return
        self._remembered = headers
        self._secret_headers |= {name.lower() for name in headers}
        for value in headers.values():
            self._given.extend(word for word in secret_words(value) if word not in self._given)


def _is_secret(name: str, value: str, secrets: Sequence[str]) -> bool:
    """Return whether a header of a provider is a key: by its name, or because a secret setting is part of it."""
    return SECRET_NAME.search(name) is not None or any(secret in value for secret in secrets)


def is_answer(status: int, request: Request[Any]) -> bool:
    """Return whether an answer of this status is what the request asked for, and not a refusal."""
    return status in OK or status in request.statuses


def _content(request: Request[Any]) -> tuple[bytes | None, str]:
    """Return the body of a request, and its type where that is known."""
    if request.json is not None:
        if request.form is not None or request.content is not None:
            raise InvalidInput(ONE_BODY)
        return msgspec.json.encode(request.json), JSON
    if request.form is not None:
        if request.content is not None:
            raise InvalidInput(ONE_BODY)
        return urlencode(request.form, doseq=True).encode(), FORM
    return request.content.encode() if isinstance(request.content, str) else request.content, ""


def _with_headers(standard: Mapping[str, str], request: Request[Any], content_type: str) -> dict[str, str]:
    """Return the headers of a request: the standard ones, what its body and answer are, and its own."""
    headers = dict(standard)
    if content_type:
        headers["Content-Type"] = content_type
    if request.response_type in (bytes, str):
        headers["Accept"] = "*/*"
    if request.headers:
        headers = {**addresses.without(headers, request.headers), **addresses.request_headers(request.headers)}
    return headers


def request_id(headers: Mapping[str, str]) -> str:
    """Return the vendor's own id of a request; empty if it gives none."""
    named = next((headers[name] for name in REQUEST_IDS if name in headers), "")
    return printable(named, MAX_REQUEST_ID_CHARACTERS)


def reason(content: bytes, headers: Mapping[str, str]) -> str:
    """Return the vendor's own words for a refusal, from any of the shapes that vendors use."""
    if is_web_page(content):
        return "the answer is a web page, not the API's"
    try:
        words = _words(msgspec.json.decode(content))
    except (msgspec.DecodeError, ValueError, RecursionError):
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        words = [content.decode(errors="replace").strip()] if kind == "text/plain" else []
        if kind.endswith("xml"):
            words = [word.strip() for word in XML_TEXT.findall(content[:LONGEST_XML].decode(errors="replace"))]
    return "; ".join(dict.fromkeys(word for word in words if word)) or "no reason given"


def _words(body: Any) -> list[str]:
    """Collect messages: ``{errors: [{field, message}]}``, ``{code, message}``, ``{error}``, or a bare list of those."""
    if isinstance(body, list):
        return [word for one in cast("Sequence[Any]", body) for word in _words(one)]
    if not isinstance(body, dict):
        return []
    fields = cast("dict[str, Any]", body)
    if isinstance(fields.get("errors"), list | dict):
        return _words(fields["errors"])
    if isinstance(message := fields.get("message"), str):
        where = fields.get("field") or fields.get("parameter") or fields.get("code")
        return [f"{where}: {message}" if where else message]
    error = fields.get("error")
    return [error] if isinstance(error, str) else _words(error)


def details(content: bytes) -> tuple[tuple[str, str], ...]:
    """Return the fields that a refusal names, each with the vendor's message; unmasked."""
    try:
        body: Any = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    items: Any = cast("dict[str, Any]", body).get("errors", [body]) if isinstance(body, dict) else body
    several = cast("Sequence[Any]", items) if isinstance(items, list) else [items]
    named = [cast("dict[str, Any]", item) for item in several if isinstance(item, dict)]
    return tuple(
        (str(item.get("field") or item.get("parameter") or ""), item["message"])
        for item in named
        if isinstance(item.get("message"), str)
    )


CLIENT_ERRORS = ("RequestError", "InvalidURL")


def transport_errors(client: object) -> tuple[type[Exception], ...]:
    """Return the exceptions that mean, from this client, that an exchange broke off or an address is invalid.

    A client of httpx or of httpx2, or anything with their interface: the two libraries' exceptions share no base.
    """
    roots = {cls.__module__.partition(".")[0] for cls in type(client).__mro__} | {"httpx", "httpx2"}
    found = (getattr(sys.modules.get(root), name, None) for root in sorted(roots) for name in CLIENT_ERRORS)
    # UnicodeError: a host with a label that no name server knows, which neither library expects.
    return (*(error for error in found if isinstance(error, type)), OSError, EOFError, UnicodeError)
