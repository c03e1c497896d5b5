"""Effects: what a flow wants done, as values, without I/O.

A `Flow` is a generator that yields effects and returns a result; a `Stream` also yields `Emit`, the items it has ready.
Transports perform the effects, throw classified errors into the flow, and pass emitted items to the caller. Nothing
here, and nothing in a provider, knows about sockets, clocks, threads or ``async``.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Collection, Generator, Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import evolve, field, frozen

from contacts_core.errors import ContactsError

T = TypeVar("T")


Values: TypeAlias = Mapping[str, "str | Sequence[str]"]
"""Query parameters or fields of a form, not yet encoded; several values under one name are sent one after the other."""

SAFE = {"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"}
IDEMPOTENT = SAFE | {"PUT", "DELETE", "PROPPATCH", "MKCOL", "COPY", "MOVE"}
"""Methods that may be sent twice: RFC 9110 (section 9.2.2), 4918 (WebDAV), 3253 (REPORT), 5323 (SEARCH)."""


WORD = re.compile(r"v[0-9]{1,3}|[a-z]+([_-][a-z]+)*(\.json)?")  # of a path, as APIs name their resources
LONGEST_WORD = 30  # characters


def is_relative(path: str) -> bool:
    """Return whether a request's path is relative to ``base_url``, and not an absolute address."""
    return path[:1] in {"/", "?", ""}


def shown_path(path: str) -> str:
    """Return what may be shown of a path; of an absolute address the host only, for the rest may be a signature."""
    if is_relative(path):
        return path
    scheme, _, rest = path.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    return f"{scheme}://{host}" if rest else "an address"


def _path_repr(path: str) -> str:
    """Show the words of a path only: what else is in it may be an address, an id or a key."""
    if not is_relative(path):
        return repr(shown_path(path))
    segments = re.split(r"[?#]", path, maxsplit=1)[0].split("/")
    shown = (each if len(each) <= LONGEST_WORD and WORD.fullmatch(each) else "***" for each in segments if each)
    return repr("/" + "/".join(shown))


@frozen
class Response(Generic[T]):
    """An answer with its status and headers; what `Request.response` returns.

    Attributes:
        body: The payload; None for an answer that has none.
        status: The HTTP status.
        headers: The headers, whose names are found in any case; a repeated header's values are joined by ``", "``.
    """

    body: T = field(repr=False)
    status: int
    headers: Mapping[str, str] = field(repr=False)


@frozen(slots=True)
class Request(Generic[T]):
    """One exchange with the vendor's API, and the shape of its answer. Build it with `request`, `get` and so on.

    Attributes:
        method: HTTP method.
        path: Relative to the provider's ``base_url`` and path prefix, percent-encoded: build it with `path`. Or an
            absolute address, as an answer names it.
        response_type: Payload type of a 2xx answer; ``NoneType`` to ignore the body, ``object`` for plain JSON,
            ``bytes`` for the body as it came, ``str`` for its text.
        params: Query parameters, not yet encoded; a name may have several values.
        json: Body, as plain data.
        rate_limit: Name of the provider's rate limit that counts it; empty for the general one.
        idempotent: Whether it may be sent again when its answer was lost.
        patience: Seconds that it may wait for its turn, at most; it is then sent once only, because the caller wants to
            read before another attempt. None: it waits as long as the rate limit requires, and may be sent again.
        form: Body, as the fields of a form; at most one of ``json``, ``form`` and ``content`` is given.
        content: Body, as it is; its type is one of the ``headers``.
        headers: Headers besides the provider's own, or in place of them.
        authorized: Whether the provider's credentials are sent. Without them an absolute address may be at any public
            host; with them it must be at the host of ``base_url``, or one that `Provider.trusts_host` names.
        statuses: Statuses that are answers, not errors, besides 200 to 205: such as 207 (WebDAV) or 304.
        whole: Whether the answer is a `Response`; `response` sets it.
    """

    method: str
    path: str = field(repr=_path_repr)
    response_type: type[T]
    params: Values | None = field(default=None, repr=False)
    json: Any = field(default=None, repr=False)
    rate_limit: str = ""
    idempotent: bool = True
    patience: float | None = None
    form: Values | None = field(default=None, repr=False, kw_only=True)
    content: bytes | str | None = field(default=None, repr=False, kw_only=True)
    headers: Mapping[str, str] | None = field(default=None, repr=False, kw_only=True)
    authorized: bool = field(default=True, kw_only=True)
    statuses: Collection[int] = field(default=(), kw_only=True)
    whole: bool = field(default=False, kw_only=True)

    def __iter__(self) -> Generator[Effect, Any, T]:
        """Send it and return the answer: ``answer = yield from request``."""
        answer: T = yield self
        return answer

    def response(self) -> Generator[Effect, Any, Response[T]]:
        """Send it and return body, status and headers: ``response = yield from request.response()``."""
        answer: Response[T] = yield evolve(self, whole=True)
        return answer

    @property
    def operation(self) -> str:
        """What it does, for errors and logs: method and path, or the host of an absolute address."""
        return f"{self.method} {shown_path(self.path)}"


@frozen
class Authorization:
    """What a provider's `authorize` returns.

    Attributes:
        headers: Headers that authorize every request, in place of those of `Provider.headers` where both name one.
        expires_in: Seconds for which they are good; a little earlier they are renewed. None if the vendor does not
            say: they are used until it refuses them.
    """

    headers: Mapping[str, str] = field(repr=False)
    expires_in: float | None = None


@frozen
class UnsignedRequest:
    """What `Provider.sign` gets: a request just before it is sent.

    Attributes:
        method: HTTP method.
        url: The whole address, encoded as it is sent.
        headers: The headers, whose names are found in any case.
        content: The body; empty if there is none.
        time: The present time in Unix seconds.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    time: float


@frozen
class Sleep:
    """A pause in seconds."""

    seconds: float

    def __iter__(self) -> Generator[Effect, Any, None]:
        """Pause: ``yield from Sleep(2)``."""
        yield self


@frozen
class Settled(Generic[T]):
    """How one of several flows ended.

    Attributes:
        value: Its result; None if it failed.
        error: Its error; None if it did not fail.
        started: Whether it was started at all.
    """

    value: T | None = None
    error: ContactsError | None = None
    started: bool = True


@frozen
class Gather(Generic[T]):
    """Run several flows side by side, at most ``limit`` at a time.

    After the first error no further flow is started; those under way are finished. The result has one `Settled` for
    each flow, in order.
    """

    flows: Iterable[Flow[T]] = field(repr=False)
    limit: int

    def __iter__(self) -> Generator[Effect, Any, list[Settled[T]]]:
        """Run them: ``settled = yield from Gather(flows, 8)``."""
        answer: list[Settled[T]] = yield self
        return answer


@frozen
class Join(Generic[T]):
    """Run a flow that others may need at the same time: one of them runs it, and the others wait for its end.

    All get its result, or its error; if it was cancelled, another one runs it. Whoever comes after its end runs it
    again, so it looks first whether the result is known by now. It reads only, and does not join itself.

    Attributes:
        key: What all flows with the same result have in common.
        start: Makes the flow.
    """

    key: Hashable
    start: Callable[[], Flow[T]] = field(repr=False)

    def __iter__(self) -> Generator[Effect, Any, T]:
        """Get its result: ``fields = yield from Join("fields", self._read_fields)``."""
        answer: T = yield self
        return answer


@frozen
class Download:
    """Open a file at an absolute address. The provider's headers are not sent: no key goes to another host."""

    url: str = field(repr=False)

    def __iter__(self) -> Generator[Effect, Any, object]:
        """Open it and return the handle that `Read` takes."""
        answer: object = yield self
        return answer


@frozen
class Read:
    """Read the next bytes of an open download; empty at its end."""

    source: object

    def __iter__(self) -> Generator[Effect, Any, bytes]:
        """Read: ``data = yield from Read(source)``."""
        answer: bytes = yield self
        return answer


@frozen
class Blocking(Generic[T]):
    """Call a function that blocks: a database, a directory, a vendor's SDK.

    The blocking client calls it in place, the asynchronous one in a thread, so that the event loop goes on. What it
    raises is raised in the flow.

    A thread cannot be stopped. If the task is cancelled meanwhile, the asynchronous client waits ``cancel_timeout_s``
    for the function, as it does for a request: a result that comes in time still reaches the flow, so a change is not
    lost. After that, or on a second cancellation, the thread is left to finish alone (the interpreter waits for it when
    it ends), its result is dropped, and the flow gets `Cancelled` with ``unclear`` true. In the blocking client Ctrl-C
    stops the function itself, which is unclear too.

    Attributes:
        function: What to call, without arguments; bind them with `functools.partial`.
    """

    function: Callable[[], T] = field(repr=False)

    def __iter__(self) -> Generator[Effect, Any, T]:
        """Call it, and get what it returns: ``rows = yield from Blocking(partial(read, ids))``."""
        answer: T = yield self
        return answer


@frozen
class Taken(Generic[T]):
    """The next items of the caller, and what kept more of them from coming.

    Attributes:
        items: The items, in order; none at the end.
        error: What the caller's iterator raised after them, or `Cancelled`; None if it raised nothing.
    """

    items: Sequence[T]
    error: Exception | None = None


@frozen
class Take(Generic[T]):
    """Take the next items from an asynchronous iterator of the caller, in the caller's own task.

    Only the asynchronous client can do it.

    Attributes:
        source: Where they come from.
        most: How many to wait for, at most; fewer come only at the end, or with an error.
    """

    source: AsyncIterator[T] = field(repr=False)
    most: int

    def __iter__(self) -> Generator[Effect, Any, Taken[T]]:
        """Take them: ``taken = yield from Take(source, 100)``."""
        answer: Taken[T] = yield self
        return answer


@frozen
class Emit(Generic[T]):
    """Pass items of a stream to the caller."""

    items: Sequence[T]


Effect: TypeAlias = Request[Any] | Sleep | Gather[Any] | Join[Any] | Download | Read | Blocking[Any] | Take[Any]
"""What a flow may yield, for a transport to perform."""
Flow: TypeAlias = Generator[Effect, Any, T]
"""A generator that yields effects, receives their results, and returns a value of type ``T``."""
Stream: TypeAlias = Generator[Effect | Emit[T], Any, None]
"""A flow that hands out items of type ``T`` as they arrive, with `Emit`, and returns nothing."""
