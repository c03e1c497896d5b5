"""The only places that touch the network: one driver that blocks, one that awaits.

A driver runs a flow: it performs each effect, sends the answer back in, and throws classified errors into the flow.
What can be shared without I/O lives in `transport` and `pacing`; the rest is written twice, on purpose, line for line.

A flow that is interrupted (Ctrl-C, or a cancelled task) is not dropped: exchanges under way are finished where they can
be, every further effect is answered with `Cancelled`, and what the flow then says of its outcome is the ``__cause__``
of the exception that goes on.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AsyncExitStack, ExitStack
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, NoReturn, TypeVar, cast

import httpx
from attrs import define

from contacts_core.errors import (
    Cancelled,
    ConfigurationError,
    ContactsError,
    DeadlineExceeded,
    Interrupted,
    UnexpectedPayload,
    Unreachable,
)
from contacts_core.http.rate_limits import RateLimiter
from contacts_core.http.wire import (
    MOST_REDIRECTS,
    OK,
    REDIRECTS,
    SLOWEST,
    Answer,
    AsyncClient,
    Attempts,
    Client,
    Wire,
    allowed_place,
    deadline,
    exhausted,
    masked_log,
    transport_errors,
)
from contacts_core.models import Outcome
from contacts_core.models.identifiers import scrub
from contacts_core.provider import (
    Download,
    Effect,
    Emit,
    Flow,
    Gather,
    Provider,
    Read,
    Request,
    Settled,
    Sleep,
    Stream,
    Upload,
)

__all__ = ["AsyncTransport", "BeforeSend", "BlockingTransport", "EventHook"]

T = TypeVar("T")

logger = logging.getLogger("contacts_core")
# Retries are stamina's to log; without a handler of its own they would reach stderr in programs that log nothing.
logging.getLogger("stamina").addHandler(logging.NullHandler())

IN_FLIGHT = 8  # httpx gets slower with more, and no vendor likes more
# The read timeout is never None: a race in httpcore's pool (encode/httpcore#1110) hangs until it.
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
LIMITS = httpx.Limits(max_connections=2 * IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
LONGEST_PAUSE = 120.0
ASK_AGAIN = 0.1  # seconds until a `BeforeSend` hook is asked again


EventHook = Callable[[Request[Any], Answer | None], None]
"""Called after each exchange with the request and the HTTP response, or None if no complete response came."""

BeforeSend = Callable[[], float]
"""Called before each exchange; gives the seconds that the exchange may take, or 0 to be asked again in a moment."""


@define
class _Stop:
    """Why a run of a flow begins nothing new; shared by all that runs side by side in it."""

    why: BaseException | None = None


@define
class _Source:
    """An open download, and how fast it came so far."""

    chunks: Any
    received: int = 0
    waited: float = 0.0

    def took(self, seconds: float, data: bytes, patience: float) -> None:
        """Note one piece.

        Raises:
            TimeoutError: It comes too slowly to be waited for.
        """
        self.received += len(data)
        self.waited += seconds
        if self.waited > patience + self.received / SLOWEST:
            raise TimeoutError


def _added(hooks: dict[object, T], hook: T) -> Callable[[], None]:
    key = object()  # the same function may be there twice
    hooks[key] = hook

    def remove() -> None:
        hooks.pop(key, None)

    return remove


class _Common:
    """What both drivers do between their requests."""

    def __init__(self, provider: Provider, client: object, monotonic: Callable[[], float]) -> None:
        self._transport = Wire(provider)
        self._settings = self._transport.settings
        self._rates = provider.rate_limits
        self._pacer = RateLimiter(provider.rate_limits)
        self._monotonic = monotonic
        self._broken = transport_errors(client)
        self._process = os.getpid()
        self._closed = False
        self._began: float | None = None
        self._event_hooks: dict[object, EventHook] = {}
        self._before_send: dict[object, BeforeSend] = {}

    def add_event_hook(self, hook: EventHook) -> Callable[[], None]:
        """Call this after every exchange, besides the hooks that are there; gives the function that removes it."""
        return _added(self._event_hooks, hook)

    def add_before_send(self, hook: BeforeSend) -> Callable[[], None]:
        """Ask this before every exchange, besides the hooks that are there; gives the function that removes it."""
        return _added(self._before_send, hook)

    def charge(self, requests: int) -> None:
        """Count requests that another process sent just before against the provider's rates."""
        self._pacer.charge(requests, self._monotonic())

    def _end(self) -> float:
        """When a request that begins now must be over, with all its attempts."""
        now = self._monotonic()
        if self._began is None:
            self._began = now
        end = now + self._settings.request_timeout
        if self._settings.client_timeout is not None:
            end = min(end, self._began + self._settings.client_timeout)
        return end

    def _attempts(self, call: Request[Any], end: float, stop: _Stop) -> Attempts:
        """What decides on repetitions of a call whose first attempt failed."""
        return Attempts(
            call, self._settings.attempts, LONGEST_PAUSE, lambda: 0.0 if stop.why else end - self._monotonic()
        )

    def _retries(self, attempts: Attempts) -> Any:
        """The attempts of a call whose first one failed, with pauses between them."""
        import stamina  # noqa: PLC0415 - most programs meet no failure, and it takes a tenth of the import

        return stamina.retry_context(
            on=attempts.again, attempts=self._settings.attempts, timeout=None, wait_max=LONGEST_PAUSE
        )

    def _delay(self, call: Request[Any], end: float) -> float:
        """Seconds until the call may be sent; 0 means now, and counts.

        Raises:
            DeadlineExceeded: It may not be sent within the time that it has.
        """
        now = self._monotonic()
        if now >= end:
            raise DeadlineExceeded("the time for requests is over; this one was not sent")
        delay = self._pacer.delay(call.rate_limit, now)
        if call.patience is not None and delay > call.patience:
            raise self._transport.too_late(call, delay)
        if now + delay >= end:
            raise DeadlineExceeded(
                f"the vendor's rate allows the next request in {delay:.0f} s; until then its time is over",
                hint="raise request_timeout in the account's transport settings, or try again later",
            )
        return delay

    def _left(self) -> float:
        """Seconds that the next exchange may take: the least that a `BeforeSend` hook gives; 0 to ask again."""
        if not self._before_send:
            return math.inf
        return min(hook() for hook in list(self._before_send.values()))

    def _notify(self, call: Request[Any], answer: Answer | None) -> None:
        for hook in list(self._event_hooks.values()):
            try:
                hook(call, answer)
            except Exception as error:  # noqa: BLE001 - the caller's code may raise anything
                name = getattr(hook, "__qualname__", type(hook).__qualname__)
                logger.warning("event hook %s failed: %s", name, scrub(f"{type(error).__name__}: {error}"))

    def _unanswered(self, call: Request[Any], error: Exception) -> Unreachable:
        if self._event_hooks:
            self._notify(call, None)
        return self._transport.unreachable(f"{call.method} {call.path}", error)

    def _answer(self, call: Request[T], answer: Answer) -> T:
        if self._event_hooks:
            self._notify(call, answer)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s %s: %s", call.method, scrub(call.path), answer.status_code)
        if (seconds := exhausted(answer.headers, time.time())) is not None:
            self._pacer.hold(call.rate_limit, self._monotonic() + min(seconds, LONGEST_PAUSE))
        if answer.problem and answer.status_code in OK:
            raise self._transport.flawed(f"{call.method} {call.path}", answer)
        return self._transport.decoded(call, answer.status_code, answer.headers, answer.content)

    def _refused(self, operation: str, answer: Answer) -> ContactsError:
        return self._transport.refusal(operation, answer.status_code, answer.headers, answer.content)

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError("this client is closed", hint="open another one with connect or connect_async")

    @staticmethod
    def _unusable(error: RuntimeError) -> RuntimeError | ConfigurationError:
        """The error for a client of the caller's that cannot be used here any more; others stay as they are."""
        if "closed" in str(error) or "loop" in str(error):
            return ConfigurationError(
                "the HTTP client is closed or belongs to another event loop", hint="make it where it is used"
            )
        return error


def _forked() -> ConfigurationError:
    return ConfigurationError(
        "the HTTP client was made before this process was forked, and would share its connections",
        hint="make the client and open the account in the child process",
    )


def _stopped(stop: _Stop, result: object) -> NoReturn:
    """Go on with the interruption, telling what was done until then."""
    assert stop.why is not None
    cause = result if isinstance(result, ContactsError) else None
    if isinstance(result, Outcome):
        cause = Interrupted(result, (), (), "interrupted by the user")
    raise stop.why from cause


class BlockingTransport(_Common):
    """Runs flows with a blocking client; Together uses threads."""

    def __init__(
        self,
        provider: Provider,
        client: Client | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        super().__init__(provider, client, monotonic)
        self._sleep, self._in_flight = sleep, in_flight
        self._own: httpx.Client | None = None
        self._fork_lock = threading.Lock()
        self._open(client)

    def _open(self, client: Client | None) -> None:
        if client is None:
            from contacts_core.http import connections  # noqa: PLC0415 - httpcore is for those who need no other client

            self._own = connections.client(TIMEOUT, LIMITS)
        self._client: Client = client or cast("Client", self._own)
        # A semaphore made of a queue: threading's own is written in Python, and shows in the cost of a request.
        self._slots: SimpleQueue[None] = SimpleQueue()
        for _ in range(self._in_flight):
            self._slots.put(None)

    def close(self) -> None:
        """Close the connections, if they are the driver's own."""
        self._closed = True
        if self._own:
            self._own.close()

    def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end and give its result.

        Raises:
            KeyboardInterrupt: The user pressed Ctrl-C. Its cause tells what was done: an `Interrupted` with the outcome
                for what changes many contacts.
        """
        stop = _Stop()
        try:
            result = self._run(flow, stop)
        except ContactsError as error:
            if stop.why:
                _stopped(stop, error)
            raise
        if stop.why:
            _stopped(stop, result)
        return result

    def _run(self, flow: Flow[T], stop: _Stop) -> T:
        with ExitStack() as open_files:
            try:
                effect = next(flow)
                while True:
                    try:
                        answer = self._perform(effect, open_files, stop)
                    except ContactsError as error:
                        effect = flow.throw(error)
                    else:
                        effect = flow.send(answer)
            except StopIteration as stopped:
                result: T = stopped.value
                return result

    def stream(self, stream: Stream[T]) -> Iterator[T]:
        """Run a stream, giving its items as they come."""
        stop = _Stop()
        with ExitStack() as open_files:
            open_files.callback(stream.close)
            try:
                effect = next(stream)
                while True:
                    if isinstance(effect, Emit):
                        yield from effect.items
                        effect = next(stream)
                        continue
                    try:
                        answer = self._perform(effect, open_files, stop)
                    except ContactsError as error:
                        effect = stream.throw(error)
                    else:
                        effect = stream.send(answer)
            except StopIteration:
                return
            except ContactsError as error:
                if stop.why:
                    _stopped(stop, error)
                raise

    def _perform(self, effect: Effect, open_files: ExitStack, stop: _Stop) -> object:
        if stop.why:
            raise Cancelled
        try:
            match effect:
                case Request():
                    return self._call(effect, stop)
                case Sleep(seconds):
                    self._sleep(seconds)
                case Gather():
                    return self._together(effect, stop)
                case Download():
                    return self._download(effect, open_files)
                case Read(source):
                    return self._read(source)
                case Upload():
                    self._upload(effect)
        except KeyboardInterrupt as error:
            stop.why = error
            raise Cancelled(unclear=isinstance(effect, Upload)) from None
        return None

    def _call(self, call: Request[T], stop: _Stop) -> T:
        self._check_usable()
        end = self._end()
        try:
            return self._once(call, end, stop)
        except ContactsError as error:
            attempts = self._attempts(call, end, stop)
            failures = [attempts.failed(error)]
        if attempts.again(failures[0]) is False:
            raise failures[0]
        try:
            # The first try is made outside: setting up the retry costs as much as a fifth of a request.
            for attempt in self._retries(attempts):
                with attempt:
                    if failures:
                        raise failures.pop()
                    try:
                        return self._once(call, end, stop)
                    except ContactsError as error:
                        raise attempts.failed(error) from None
        except KeyboardInterrupt as error:  # while waiting
            stop.why = error
            raise Cancelled(unclear=attempts.unclear) from None
        raise AssertionError("unreachable")

    def _once(self, call: Request[T], end: float, stop: _Stop) -> T:
        request, limit = self._transport.request(self._client, call)
        while True:
            self._slots.get()
            try:  # a request counts when nothing holds it back any more, not while it waits for a slot
                if (left := self._left()) <= 0:
                    delay = ASK_AGAIN
                elif (delay := self._delay(call, end)) <= 0:
                    return self._answer(call, self._sent(call, request, min(limit, left), stop))
            finally:
                self._slots.put(None)
            self._sleep(delay)

    def _sent(self, call: Request[Any], request: Any, limit: float, stop: _Stop) -> Answer:
        try:
            return self._exchange(request, limit)
        except self._broken as error:
            raise self._unanswered(call, error) from None
        except KeyboardInterrupt as error:
            stop.why = error
            raise Cancelled(unclear=True) from None

    def _check_usable(self) -> None:
        self._check_open()
        if os.getpid() == self._process:
            return
        with self._fork_lock:
            if os.getpid() != self._process:
                if self._own is None:
                    raise _forked()
                self._open(None)
                self._pacer = RateLimiter(self._rates)
                self._process = os.getpid()

    def _exchange(self, request: Any, limit: float) -> Answer:
        token = deadline.set(time.monotonic() + limit)
        try:
            with masked_log:
                response = self._client.send(request, stream=True, follow_redirects=False)
            try:
                return self._content(response)
            finally:
                response.close()
        except RuntimeError as error:
            raise self._unusable(error) from None
        finally:
            deadline.reset(token)

    def _content(self, response: Any) -> Answer:
        if answer := self._transport.whole(response):
            return answer
        body, end = self._transport.body(response), deadline.get()
        for data in response.iter_raw():
            if not body.feed(data):
                break
            if time.monotonic() > end:  # a client of the caller's own does not know the deadline
                raise TimeoutError
        return Answer(response.status_code, response.headers, body.end(), body.problem)

    def _together(self, together: Gather[T], stop: _Stop) -> list[Settled[T]]:
        flows = list(together.flows)
        settled: list[Settled[T]] = [Settled(started=False) for _ in flows]
        halt = threading.Event()
        turns = itertools.count()

        def work() -> None:
            while not (halt.is_set() or stop.why) and (turn := next(turns)) < len(flows):
                settled[turn] = Settled(error=Cancelled(unclear=True))  # unless it ends
                try:
                    settled[turn] = Settled(self._run(flows[turn], stop))
                except ContactsError as error:
                    settled[turn] = Settled(error=error)
                    if not error.per_item:
                        halt.set()
                except BaseException:
                    halt.set()
                    raise

        workers = min(together.limit, self._in_flight, len(flows))
        if not workers:
            return settled
        pool = ThreadPoolExecutor(workers, thread_name_prefix="contacts")
        tasks = [pool.submit(copy_context().run, work) for _ in range(workers)]  # spans and log fields of the caller
        try:
            wait(tasks)
        except KeyboardInterrupt as error:
            stop.why = error
            try:
                wait(tasks)
            except KeyboardInterrupt:  # what is not waited for is unclear
                halt.set()
            settled = [each if each.started else Settled(error=Cancelled(), started=False) for each in settled]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        for task in tasks:
            if task.done():
                task.result()
        return settled

    def _download(self, download: Download, open_files: ExitStack) -> _Source:
        self._check_usable()
        url, origin = download.url, ""
        try:
            for _ in range(MOST_REDIRECTS):
                request = self._transport.file_request(self._client, url, origin)
                response = self._send_elsewhere(request, min(self._settings.attempt_timeout, self._allowed()))
                open_files.callback(response.close)
                if response.status_code in OK:
                    read = response.is_stream_consumed  # a transport in this process may answer whole
                    return _Source(response.iter_bytes() if read else response.iter_raw())
                if response.status_code not in REDIRECTS:
                    token = deadline.set(time.monotonic() + self._settings.attempt_timeout)
                    try:
                        raise self._refused("download", self._content(response))
                    finally:
                        deadline.reset(token)
                url, origin = self._transport.redirected(request, response), url
        except self._broken as error:
            raise self._transport.unreachable("download", error) from None
        raise self._transport.about(UnexpectedPayload("the vendor's file is behind too many redirects"), "download")

    def _allowed(self) -> float:
        """Wait until something may be sent; gives the seconds that it may take."""
        while (left := self._left()) <= 0:
            self._sleep(ASK_AGAIN)
        return left

    def _send_elsewhere(self, request: Any, limit: float) -> Any:
        token = deadline.set(time.monotonic() + limit)
        checked = allowed_place.set(self._transport.place_check(request))
        try:
            with masked_log:
                return self._client.send(request, stream=True, auth=None, follow_redirects=False)
        except RuntimeError as error:
            raise self._unusable(error) from None
        finally:
            allowed_place.reset(checked)
            deadline.reset(token)

    def _read(self, source: Any) -> bytes:
        patience = self._settings.attempt_timeout
        token = deadline.set(time.monotonic() + patience)
        try:
            began = time.monotonic()
            for data in source.chunks:
                now = time.monotonic()
                source.took(now - began, data, patience)
                began = now
                if data:
                    return bytes(data)
        except self._broken as error:
            raise self._transport.unreachable("download", error) from None
        finally:
            deadline.reset(token)
        return b""

    def _upload(self, upload: Upload) -> None:
        self._check_usable()
        request = self._transport.upload_request(self._client, upload)
        try:
            response = self._send_elsewhere(request, min(self._transport.limit(upload.content), self._allowed()))
            token = deadline.set(time.monotonic() + self._settings.attempt_timeout)
            try:
                answer = self._content(response)
            finally:
                response.close()
                deadline.reset(token)
        except self._broken as error:
            raise self._transport.unreachable("upload", error) from None
        if answer.status_code not in OK:
            raise self._refused("upload", answer)


class _Exchange(asyncio.Future[T]):
    """The end of an exchange, which goes on for a while when whoever waits for it is cancelled.

    He is told of that once the exchange is over. (`asyncio.shield` does the same in one more turn of the event loop,
    which shows in the cost of a request.)
    """

    def __init__(
        self, exchange: Coroutine[Any, Any, T], limit: float, patience: float, give_up: Callable[[], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(loop=loop)
        self._patience, self._before_giving_up = patience, give_up
        self._end = loop.time() + limit
        self.timer = loop.call_at(self._end, self._give_up)
        self.cancels = 0
        self.given_up = False
        self._task = loop.create_task(self._carry_out(exchange))

    async def _carry_out(self, exchange: Coroutine[Any, Any, T]) -> None:
        try:
            result = await exchange
        except asyncio.CancelledError:
            super().cancel()
        except Exception as error:  # noqa: BLE001 - it is raised where this is awaited
            self.set_exception(error)
        except BaseException:  # a second Ctrl-C ends the event loop, and would leave whoever waits here waiting forever
            super().cancel()
            raise
        else:
            self.set_result(result)

    def cancel(self, msg: Any = None) -> bool:
        """Note that whoever waits was cancelled, and set an end; the second time, give up."""
        del msg
        self.cancels += 1
        if self.cancels > 1:
            self._give_up()
            return False
        loop = self.get_loop()
        self.timer.cancel()
        self.timer = loop.call_at(min(self._end, loop.time() + self._patience), self._give_up)
        return False

    def _give_up(self) -> None:
        self.given_up = True
        self._before_giving_up()
        self._task.cancel()


class AsyncTransport(_Common):
    """Runs flows with an awaiting client; Together uses tasks. Otherwise the same as `Driver`."""

    def __init__(
        self,
        provider: Provider,
        client: AsyncClient | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        super().__init__(provider, client, monotonic)
        self._sleep, self._in_flight = sleep, in_flight
        self._own: httpx.AsyncClient | None = None
        self._users: dict[int, int] = {}  # of each client of our own, by its id
        self._open(client)

    def _open(self, client: AsyncClient | None) -> None:
        if client is None:
            from contacts_core.http import connections  # noqa: PLC0415 - as in `Driver`

            self._own = connections.async_client(TIMEOUT, LIMITS)
        self._client: AsyncClient = client or cast("AsyncClient", self._own)
        self._slots = asyncio.Semaphore(self._in_flight)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def close(self) -> None:
        """Close the connections, if they are the driver's own."""
        self._closed = True
        if self._own:
            try:
                await self._own.aclose()
            except RuntimeError as error:
                raise self._unusable(error) from None

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end and give its result.

        Raises:
            asyncio.CancelledError: The task was cancelled. Its cause tells what was done: an `Interrupted` with the
                outcome for what changes many contacts.
        """
        stop = _Stop()
        try:
            result = await self._run(flow, stop)
        except ContactsError as error:
            if stop.why:
                _stopped(stop, error)
            raise
        if stop.why:
            _stopped(stop, result)
        return result

    async def _run(self, flow: Flow[T], stop: _Stop) -> T:
        async with AsyncExitStack() as open_files:
            try:
                effect = next(flow)
                while True:
                    try:
                        answer = await self._perform(effect, open_files, stop)
                    except ContactsError as error:
                        effect = flow.throw(error)
                    else:
                        effect = flow.send(answer)
            except StopIteration as stopped:
                result: T = stopped.value
                return result

    async def stream(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Run a stream, giving its items as they come."""
        stop = _Stop()
        async with AsyncExitStack() as open_files:
            open_files.callback(stream.close)
            try:
                effect = next(stream)
                while True:
                    if isinstance(effect, Emit):
                        for item in effect.items:
                            yield item
                        effect = next(stream)
                        continue
                    try:
                        answer = await self._perform(effect, open_files, stop)
                    except ContactsError as error:
                        effect = stream.throw(error)
                    else:
                        effect = stream.send(answer)
            except StopIteration:
                return
            except ContactsError as error:
                if stop.why:
                    _stopped(stop, error)
                raise

    async def _perform(self, effect: Effect, open_files: AsyncExitStack, stop: _Stop) -> object:
        if stop.why:
            raise Cancelled
        try:
            match effect:
                case Request():
                    return await self._call(effect, stop)
                case Sleep(seconds):
                    await self._sleep(seconds)
                case Gather():
                    return await self._together(effect, stop)
                case Download():
                    return await self._download(effect, open_files, stop)
                case Read(source):
                    return await self._read(source)
                case Upload():
                    await self._upload(effect, stop)
        except asyncio.CancelledError as error:
            stop.why = stop.why or error
            raise Cancelled(unclear=isinstance(effect, Upload)) from None
        return None

    async def _call(self, call: Request[T], stop: _Stop) -> T:
        self._check_usable()
        end = self._end()
        try:
            return await self._once(call, end, stop)
        except ContactsError as error:
            attempts = self._attempts(call, end, stop)
            failures = [attempts.failed(error)]
        if attempts.again(failures[0]) is False:
            raise failures[0]
        try:
            # The first try is made outside: setting up the retry costs as much as a fifth of a request.
            async for attempt in self._retries(attempts):
                with attempt:
                    if failures:
                        raise failures.pop()
                    try:
                        return await self._once(call, end, stop)
                    except ContactsError as error:
                        raise attempts.failed(error) from None
        except asyncio.CancelledError as error:  # while waiting
            stop.why = stop.why or error
            raise Cancelled(unclear=attempts.unclear) from None
        raise AssertionError("unreachable")

    async def _once(self, call: Request[T], end: float, stop: _Stop) -> T:
        request, limit = self._transport.request(self._client, call)
        while True:
            async with self._slots:  # a request counts when nothing holds it back any more
                if (left := self._left()) <= 0:
                    delay = ASK_AGAIN
                elif (delay := self._delay(call, end)) <= 0:
                    return self._answer(call, await self._sent(call, request, min(limit, left), stop))
            await self._sleep(delay)

    async def _sent(self, call: Request[Any], request: Any, limit: float, stop: _Stop) -> Answer:
        try:
            return await self._finished(self._exchange(request), limit, stop)
        except self._broken as error:
            raise self._unanswered(call, error) from None

    def _check_usable(self) -> None:
        self._check_open()
        if os.getpid() != self._process:
            if self._own is None:
                raise _forked()
            self._open(None)
            self._pacer = RateLimiter(self._rates)
            self._process = os.getpid()
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                raise ConfigurationError(
                    "this client belongs to another event loop", hint="open one with connect_async in each event loop"
                )
            self._loop = loop

    async def _finished(self, exchange: Coroutine[Any, Any, T], limit: float, stop: _Stop) -> T:
        """Let an exchange come to its end: cancelling one half-way would leave its connection behind in the pool.

        A cancellation gives it ``cancel_timeout`` more seconds, a second one none.

        Raises:
            TimeoutError: It took longer than ``limit`` seconds.
            Cancelled: It was given up; nobody knows whether the vendor has carried it out.
        """
        under_way = _Exchange(exchange, limit, self._settings.cancel_timeout, self._renew)
        try:
            return await under_way
        except asyncio.CancelledError as error:
            if under_way.given_up and not under_way.cancels:
                raise TimeoutError from None
            stop.why = stop.why or error
            if under_way.done() and not under_way.cancelled():
                return under_way.result()
            raise Cancelled(unclear=True) from None
        finally:
            under_way.timer.cancel()

    def _renew(self) -> None:
        """Use new connections from here on; the old ones are closed when nobody uses them any more."""
        if self._own:
            from contacts_core.http import connections  # noqa: PLC0415 - as above

            self._own = connections.async_client(TIMEOUT, LIMITS)
            self._client = cast("AsyncClient", self._own)

    def _use(self) -> AsyncClient:
        client = self._client
        self._users[id(client)] = self._users.get(id(client), 0) + 1
        return client

    async def _release(self, client: AsyncClient) -> None:
        left = self._users.pop(id(client)) - 1
        if left:
            self._users[id(client)] = left
        elif client is not self._client:
            await cast("httpx.AsyncClient", client).aclose()

    async def _exchange(self, request: Any) -> Answer:
        client = self._use()
        try:
            with masked_log:
                response = await client.send(request, stream=True, follow_redirects=False)
            try:
                return await self._content(response)
            finally:
                await response.aclose()
        except RuntimeError as error:
            raise self._unusable(error) from None
        finally:
            await self._release(client)

    async def _content(self, response: Any) -> Answer:
        if answer := self._transport.whole(response):
            return answer
        body = self._transport.body(response)
        async for data in response.aiter_raw():
            if not body.feed(data):
                break
        return Answer(response.status_code, response.headers, body.end(), body.problem)

    async def _together(self, together: Gather[T], stop: _Stop) -> list[Settled[T]]:
        flows = list(together.flows)
        settled: list[Settled[T]] = [Settled(started=False) for _ in flows]
        halt = asyncio.Event()
        turns = itertools.count()

        async def work() -> None:
            while not (halt.is_set() or stop.why) and (turn := next(turns)) < len(flows):
                try:
                    settled[turn] = Settled(await self._run(flows[turn], stop))
                except ContactsError as error:
                    settled[turn] = Settled(error=error)
                    if not error.per_item:
                        halt.set()
                except BaseException:
                    halt.set()
                    raise

        workers = min(together.limit, self._in_flight, len(flows))
        tasks = [asyncio.ensure_future(work()) for _ in range(workers)]
        pending = set(tasks)
        while pending:
            try:
                _, pending = await asyncio.wait(pending)
            except asyncio.CancelledError as error:  # each finishes what it has under way
                stop.why = stop.why or error
                pending = {task for task in pending if not task.done()}
                for task in pending:
                    task.cancel()
        if stop.why:
            settled = [each if each.started else Settled(error=Cancelled(), started=False) for each in settled]
        for task in tasks:
            if not task.cancelled():
                task.result()
        return settled

    async def _download(self, download: Download, open_files: AsyncExitStack, stop: _Stop) -> _Source:
        self._check_usable()
        url, origin, patience = download.url, "", self._settings.attempt_timeout
        client = self._use()
        open_files.push_async_callback(self._release, client)
        try:
            for _ in range(MOST_REDIRECTS):
                request = self._transport.file_request(client, url, origin)
                limit = min(patience, await self._allowed())
                response = await self._finished(self._send_elsewhere(client, request), limit, stop)
                open_files.push_async_callback(response.aclose)
                if response.status_code in OK:
                    read = response.is_stream_consumed
                    return _Source(response.aiter_bytes() if read else response.aiter_raw())
                if response.status_code not in REDIRECTS:
                    answer = await self._finished(self._content(response), patience, stop)
                    raise self._refused("download", answer)
                url, origin = self._transport.redirected(request, response), url
        except self._broken as error:
            raise self._transport.unreachable("download", error) from None
        raise self._transport.about(UnexpectedPayload("the vendor's file is behind too many redirects"), "download")

    async def _allowed(self) -> float:
        """Wait until something may be sent; gives the seconds that it may take."""
        while (left := self._left()) <= 0:
            await self._sleep(ASK_AGAIN)
        return left

    async def _send_elsewhere(self, client: AsyncClient, request: Any) -> Any:
        checked = allowed_place.set(self._transport.place_check(request))
        try:
            with masked_log:
                return await client.send(request, stream=True, auth=None, follow_redirects=False)
        except RuntimeError as error:
            raise self._unusable(error) from None
        finally:
            allowed_place.reset(checked)

    async def _read(self, source: Any) -> bytes:
        patience = self._settings.attempt_timeout
        try:
            began = time.monotonic()
            async for data in source.chunks:
                now = time.monotonic()
                source.took(now - began, data, patience)
                began = now
                if data:
                    return bytes(data)
        except self._broken as error:
            raise self._transport.unreachable("download", error) from None
        return b""

    async def _upload(self, upload: Upload, stop: _Stop) -> None:
        self._check_usable()
        client = self._use()
        try:
            request = self._transport.upload_request(client, upload)
            limit = min(self._transport.limit(upload.content), await self._allowed())
            answer = await self._finished(self._uploaded(client, request), limit, stop)
        except self._broken as error:
            raise self._transport.unreachable("upload", error) from None
        finally:
            await self._release(client)
        if answer.status_code not in OK:
            raise self._refused("upload", answer)

    async def _uploaded(self, client: AsyncClient, request: Any) -> Answer:
        response = await self._send_elsewhere(client, request)
        try:
            return await self._content(response)
        finally:
            await response.aclose()
