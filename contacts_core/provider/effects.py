"""Effects: what a flow wants done, as values, without I/O.

A `Flow` is a generator that yields effects and returns a result; a `Stream` also yields `Emit`, the items it has ready.
Transports perform the effects, throw classified errors into the flow, and pass emitted items to the caller. Nothing
here, and nothing in a provider, knows about sockets, clocks, threads or ``async``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import field, frozen

from contacts_core.errors import ContactsError

T = TypeVar("T")


@frozen(slots=True)
class Request(Generic[T]):
    """One exchange with the vendor's API, and the shape of its answer.

    Attributes:
        method: HTTP method.
        path: Relative to the provider's ``base_url`` and path prefix, percent-encoded: build it with `path`.
        response_type: Payload type of a 2xx answer; ``NoneType`` to ignore the body, ``object`` for plain JSON.
        params: Query parameters, not yet encoded.
        json: Body, as plain data.
        rate_limit: Name of the provider's rate limit that counts it; empty for the general one.
        idempotent: Whether it may be sent again when its answer was lost.
        patience: Seconds that it may wait for its turn, at most; it is then sent once only, because the caller wants to
            read before another attempt. None: it waits as long as the rate limit requires, and may be sent again.
    """

    method: str
    path: str
    response_type: type[T]
    params: Mapping[str, str] | None = field(default=None, repr=False)
    json: Any = field(default=None, repr=False)
    rate_limit: str = ""
    idempotent: bool = True
    patience: float | None = None

    def __iter__(self) -> Generator[Effect, Any, T]:
        """Send it and return the answer: ``answer = yield from request``."""
        answer: T = yield self
        return answer


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
class Upload:
    """PUT bytes to an absolute address with exactly these headers and no key."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)

    def __iter__(self) -> Generator[Effect, Any, None]:
        """Send it."""
        yield self


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


Effect: TypeAlias = Request[Any] | Sleep | Gather[Any] | Download | Read | Upload | Blocking[Any] | Take[Any]
"""What a flow may yield, for a transport to perform."""
Flow: TypeAlias = Generator[Effect, Any, T]
"""A generator that yields effects, receives their results, and returns a value of type ``T``."""
Stream: TypeAlias = "Generator[Effect | Emit[T], Any, None]"
"""A flow that hands out items of type ``T`` as they arrive, with `Emit`, and returns nothing."""
