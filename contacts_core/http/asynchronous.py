"""The transport for event loops: it sends, reads, sleeps, runs flows side by side in tasks, and opens connections.

Otherwise it does the same as `contacts_core.http.blocking`, line for line.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import math
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from attrs import frozen

from contacts_core.errors import Cancelled, ConfigurationError, ContactsError, DeadlineExceeded
from contacts_core.http.downloads import MAX_REDIRECTS, OpenFile
from contacts_core.http.exchange import allowed_place
from contacts_core.http.interruption import Finishing, Interruption, not_started
from contacts_core.http.protocols import AsyncClient, AsyncHttpResponse, BuildsRequests, HttpRequest
from contacts_core.http.retry import TOO_LATE, Attempts
from contacts_core.http.transport import (
    ASK_AGAIN_S,
    Transport,
    client_error,
    continued,
    following_effect,
    random_jitter,
    settled_result,
)
from contacts_core.http.wire import OK, REDIRECTS, Answer, transport_errors
from contacts_core.provider import (
    Authorization,
    Blocking,
    Download,
    Effect,
    Emit,
    Flow,
    Gather,
    Join,
    Provider,
    Read,
    Request,
    Settled,
    Sleep,
    Stream,
    Take,
    Taken,
)

if TYPE_CHECKING:
    import httpx

__all__ = ["AsyncTransport"]

T = TypeVar("T")

TURNS_TO_SEND = 10  # of the event loop; a request over a connection that is open is sent in the fifth


class AsyncTransport(Transport):
    """Runs flows with an asynchronous client; `Gather` uses tasks."""

    def __init__(
        self,
        provider: Provider,
        client: AsyncClient | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random_jitter,
    ) -> None:
        """Open connections, unless the client is the caller's.

        Args:
            provider: Whose requests are sent; its `HttpSettings` are the limits.
            client: An HTTP client of the caller's.
            sleep: Pauses for some seconds.
            monotonic: The clock of pauses and deadlines, in seconds.
            jitter: Gives random numbers from 0 to 1, for the pauses between attempts.
        """
        super().__init__(provider, monotonic, jitter)
        self._sleep = sleep
        self._idle: list[httpx.AsyncClient] = []  # of our own, the one used last at the end
        self._executor: tuple[int, ThreadPoolExecutor] | None = None  # and the process that it belongs to
        self._open(client)

    def _open(self, client: AsyncClient | None) -> None:
        self._callers = client
        self._builder: BuildsRequests
        if client is None:
            from contacts_core.http import connections  # noqa: PLC0415 - httpcore is for those who need no other client

            own = self._new_client()
            self._idle = [own]
            self._builder = connections.Requests(own)
            self._broken = transport_errors(own)
        else:
            self._builder = client
            self._broken = transport_errors(client)
        self._slots = asyncio.Semaphore(self._settings.max_connections)
        self._authorizing = asyncio.Lock()
        self._under_way: dict[Hashable, asyncio.Future[Settled[Any]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def _new_client(self) -> httpx.AsyncClient:
        from contacts_core.http import connections  # noqa: PLC0415 - as above

        return connections.async_client(self._settings)

    async def close(self) -> None:
        """Close the connections, unless the client is the caller's; those in use, when they are no longer."""
        self._closed = True
        if self._executor:
            self._executor[1].shutdown(wait=False)
        try:
            while self._idle:
                await self._idle.pop().aclose()
        except RuntimeError as error:
            raise client_error(error) from None

    # -- flows --------------------------------------------------------------------------------------------------------

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end and return its result.

        Raises:
            asyncio.CancelledError: The task was cancelled. Its cause tells what was done: an `Interrupted` with the
                outcome for what changes many contacts, else the error that the flow ended with; a `Cancelled` that is
                unclear if the flow has had its effect, and its result was lost.
        """
        interruption = Interruption()
        try:
            result = await self._run(flow, interruption)
        except Exception as error:
            interruption.check(error)
            raise
        interruption.check(result)
        return result

    async def _run(self, flow: Flow[T], interruption: Interruption) -> T:
        async with AsyncExitStack() as open_files:
            try:
                effect = next(flow)
                while True:
                    try:
                        answer = await self._perform(effect, open_files, interruption)
                    except Exception as error:  # noqa: BLE001 - whatever an effect raises is raised in the flow
                        effect = flow.throw(error)
                    else:
                        effect = flow.send(answer)
            except StopIteration as stopped:
                result: T = stopped.value
                return result

    async def stream(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Run a stream, giving its items as they come."""
        interruption = Interruption()
        async with AsyncExitStack() as open_files:
            open_files.callback(stream.close)
            pages = 0
            try:
                effect = next(stream)
                while True:
                    if not isinstance(effect, Emit):
                        effect = _handed(stream, await _ended(self._perform(effect, open_files, interruption)))
                        continue
                    pages += 1
                    following = following_effect(stream) if self._reads_ahead(pages, interruption) else None
                    own, end = Interruption(), None
                    ahead = self._begun(following, open_files, own)
                    try:
                        await _let_go_out(ahead)
                        for item in effect.items:
                            yield item
                        end = await _ended(ahead) if ahead else None
                    finally:
                        await self._let_end(ahead, own, interruption)
                    effect = _handed(stream, end) if end else continued(stream, following)
            except StopIteration:
                interruption.check(Cancelled())
                return
            except Exception as error:
                interruption.check(error)
                raise

    def _begun(self, following: object, open_files: AsyncExitStack, own: Interruption) -> asyncio.Future[object] | None:
        """Begin the effect that follows a page, if it is a request."""
        if not isinstance(following, Request):
            return None
        return asyncio.ensure_future(self._perform(cast("Request[Any]", following), open_files, own))

    async def _let_end(
        self, ahead: asyncio.Future[object] | None, own: Interruption, interruption: Interruption
    ) -> None:
        """Let a request that nobody waits for any more come to its end, for ``cancel_timeout_s`` at most."""
        if ahead is None:
            return
        if own.error:  # a cancellation while the page ahead was waited for is one of the whole stream
            interruption.note(own.error)
        for timeout_s in (self._settings.cancel_timeout_s, None):  # the second time, it is given up
            if not ahead.done():
                ahead.cancel()
                await asyncio.wait([ahead], timeout=timeout_s)
        if not ahead.cancelled():
            ahead.exception()  # which nobody asks for

    async def _perform(self, effect: Effect, open_files: AsyncExitStack, interruption: Interruption) -> object:
        if interruption.error:
            raise Cancelled
        try:
            match effect:
                case Request():
                    return await self._request(effect, interruption)
                case Sleep(seconds):
                    await self._sleep(seconds)
                case Gather():
                    return await self._gather(effect, interruption)
                case Join():
                    return await self._join(effect, interruption)
                case Download():
                    return await self._download(effect, open_files, interruption)
                case Read(source):
                    return await self._read(cast("OpenFile[AsyncIterator[bytes]]", source))
                case Blocking(function):
                    return await self._in_thread(function, interruption)
                case Take(source, most):
                    return await self._take(source, most, interruption)
        except asyncio.CancelledError as error:
            interruption.note(error)
            raise Cancelled from None
        return None

    async def _gather(self, gather: Gather[T], interruption: Interruption) -> list[Settled[T]]:
        flows = list(gather.flows)
        settled: list[Settled[T]] = [Settled(started=False) for _ in flows]
        halt = asyncio.Event()
        turns = itertools.count()

        async def work() -> None:
            while not (halt.is_set() or interruption.error) and (turn := next(turns)) < len(flows):
                settled[turn] = Settled(error=Cancelled(unclear=True))  # unless it ends
                try:
                    settled[turn] = Settled(await self._run(flows[turn], interruption))
                except ContactsError as error:
                    settled[turn] = Settled(error=error)
                    if not error.per_item:
                        halt.set()
                except BaseException:
                    halt.set()
                    raise

        workers = min(gather.limit, self._settings.max_connections, len(flows))
        tasks = [asyncio.ensure_future(work()) for _ in range(workers)]
        pending: set[asyncio.Task[None]] = set(tasks)
        while pending:
            try:
                _, pending = await asyncio.wait(pending)
            except asyncio.CancelledError as error:  # each finishes what it has under way
                interruption.note(error)
                pending = {task for task in pending if not task.done()}
                for task in pending:
                    task.cancel()
        if interruption.error:
            settled = not_started(settled)
        bugs = [bug for task in tasks if not task.cancelled() and (bug := task.exception())]
        if bugs:
            raise bugs[0]
        return settled

    async def _join(self, join: Join[T], interruption: Interruption) -> T:
        while True:
            if interruption.error:
                raise Cancelled
            own: asyncio.Future[Settled[Any]] = asyncio.get_running_loop().create_future()
            settled: Settled[T] = Settled(error=Cancelled())
            try:
                leading = self._under_way.setdefault(join.key, own)
                if leading is own:
                    settled = Settled(await self._run(join.start(), interruption))
            except ContactsError as error:
                settled = Settled(error=error)
                raise
            finally:
                if self._under_way.get(join.key) is own:
                    del self._under_way[join.key]
                own.set_result(settled)
            if leading is not own:
                await asyncio.wait([leading])
                settled = leading.result()
            if not isinstance(settled.error, Cancelled):
                return settled_result(settled)

    async def _take(self, source: AsyncIterator[T], most: int, interruption: Interruption) -> Taken[T]:
        """Wait for the next items of the caller; a cancellation ends the wait, and keeps what has come."""
        items: list[T] = []
        try:
            while len(items) < most:
                items.append(await anext(source))
        except StopAsyncIteration:
            return Taken(items)
        except asyncio.CancelledError as error:
            interruption.note(error)
            return Taken(items, Cancelled())
        except Exception as error:  # noqa: BLE001 - it is the caller's, and raised with what was done until then
            return Taken(items, error)
        return Taken(items)

    async def _in_thread(self, function: Callable[[], T], interruption: Interruption) -> T:
        """Call a function in a thread; a cancellation leaves it ``cancel_timeout_s`` to end."""
        self._check_open()

        def ended() -> _Ended[T]:
            try:
                return _Ended(function())
            except Exception as error:  # noqa: BLE001 - it is raised in the flow
                return _Ended(error=error)

        call = asyncio.get_running_loop().run_in_executor(self._threads(), contextvars.copy_context().run, ended)
        end = await self._finished(call, math.inf, interruption)
        if end.error is not None:
            raise end.error
        return cast("T", end.value)

    def _threads(self) -> ThreadPoolExecutor:
        # Not the event loop's own, which looks up host names: functions that hang must not stop requests.
        process = os.getpid()
        if self._executor is None or self._executor[0] != process:
            threads = ThreadPoolExecutor(self._settings.max_connections, thread_name_prefix="contacts")
            self._executor = process, threads
        return self._executor[1]

    # -- requests -----------------------------------------------------------------------------------------------------

    async def _request(self, request: Request[T], interruption: Interruption) -> T:
        self._check_usable()
        attempts = self._attempts(request)
        try:
            while True:
                if self._authorizer.applies_to(request):
                    attempts.authorization = await self._authorization(attempts, interruption)
                try:
                    return await self._attempt(request, attempts, interruption)
                except ContactsError as error:
                    pause = self._pause_after(attempts, error, interruption)
                if isinstance(pause, ContactsError):
                    raise pause
                await self._sleep(pause)
        except asyncio.CancelledError as error:  # while waiting
            interruption.note(error)
            raise Cancelled(unclear=attempts.unclear) from None

    async def _authorization(self, attempts: Attempts, interruption: Interruption) -> Authorization:
        """Return what authorizes a request now; of several that need it, one gets it for all."""
        authorizer = self._authorizer
        if known := authorizer.current(self._monotonic()):
            return known
        turn = authorizer.turn
        try:
            async with asyncio.timeout(self._left_s(attempts)):
                await self._authorizing.acquire()
        except TimeoutError:
            raise DeadlineExceeded(TOO_LATE) from None
        try:
            if shared := authorizer.since(turn):
                return shared
            renewed: Authorization = await self._run(authorizer.renew(self._monotonic), interruption)
        except ContactsError as error:
            error.unclear = error.unclear or attempts.unclear
            raise
        else:
            return renewed
        finally:
            self._authorizing.release()

    async def _attempt(self, request: Request[T], attempts: Attempts, interruption: Interruption) -> T:
        built, limit_s = self._wire.request(self._builder, request, self._keys(attempts))
        while True:
            slots = self._slots
            if slots.locked():
                try:
                    async with asyncio.timeout(self._left_s(attempts)):
                        await slots.acquire()
                except TimeoutError:
                    raise DeadlineExceeded(TOO_LATE) from None
            else:
                await slots.acquire()
            try:  # a request counts when nothing holds it back any more
                pause_s, allowed_s = self._turn(request, attempts)
                if pause_s <= 0:
                    self._wire.sign(request, built)
                    answer = await self._answer(request, built, min(limit_s, allowed_s), interruption)
                    return self._delivered(request, answer)
            finally:
                slots.release()
            await self._sleep(pause_s)

    async def _answer(
        self, request: Request[Any], built: HttpRequest, limit_s: float, interruption: Interruption
    ) -> Answer:
        try:
            return await self._finished(self._exchange(request, built), limit_s, interruption)
        except self._broken as error:
            raise self._unanswered(request, error) from None

    async def _exchange(self, request: Request[Any], built: HttpRequest) -> Answer:
        try:
            async with self._connection() as client:
                if self._wire.goes_elsewhere(request):
                    response = await self._send_elsewhere(client, built)
                else:
                    with self._wire.masked_log:
                        response = await client.send(built, stream=True, follow_redirects=False)
                try:
                    return await self._content(response, request)
                finally:
                    await response.aclose()
        except RuntimeError as error:
            raise client_error(error) from None

    async def _content(self, response: AsyncHttpResponse, request: Request[Any] | None = None) -> Answer:
        if answer := self._wire.whole(response):
            return answer
        body = self._wire.body(response, request)
        async for data in response.aiter_raw():
            if not body.feed(data):
                break
        return Answer(response.status_code, response.headers, body.end(), body.problem)

    def _check_usable(self) -> None:
        self._check_open()
        if self._check_process(own_client=self._callers is None):
            self._open(None)
            self._forget_parent()
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                raise ConfigurationError(
                    "this client belongs to another event loop", hint="open one with connect_async in each event loop"
                )
            self._loop = loop

    # -- cancellation -------------------------------------------------------------------------------------------------

    async def _finished(
        self,
        work: Awaitable[T],
        limit_s: float,
        interruption: Interruption,
    ) -> T:
        """Let work come to its end: what a vendor has begun to answer should be known.

        A cancellation gives it ``cancel_timeout_s`` more, a second one no more time.

        Raises:
            TimeoutError: It took longer than ``limit_s``.
            Cancelled: It was given up; nobody knows whether it has had its effect.
        """
        under_way = Finishing(work, limit_s, self._settings.cancel_timeout_s)
        try:
            return await under_way
        except asyncio.CancelledError as error:
            if under_way.given_up and not under_way.cancels:
                raise TimeoutError from None
            interruption.note(error)
            if under_way.done() and not under_way.cancelled():
                return under_way.result()
            raise Cancelled(unclear=True) from None
        finally:
            under_way.timer.cancel()

    # -- connections --------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[AsyncClient]:
        """Give one exchange a client to itself, unless there is only the caller's.

        Each client of our own holds one connection: a pool of httpcore asks every idle connection, twice a request,
        whether it still lives, and gives two requests that begin at once the same one. A client whose exchange was
        given up, or failed, is closed.
        """
        if self._callers is not None:
            yield self._callers
            return
        own = self._idle.pop() if self._idle else self._new_client()
        try:
            yield cast("AsyncClient", own)
        except BaseException:
            await own.aclose()
            raise
        if self._closed or len(self._idle) >= self._settings.max_connections:
            await own.aclose()
        else:
            self._idle.append(own)

    # -- files --------------------------------------------------------------------------------------------------------

    async def _download(
        self, download: Download, open_files: AsyncExitStack, interruption: Interruption
    ) -> OpenFile[AsyncIterator[bytes]]:
        self._check_usable()
        url, origin, timeout_s = download.url, "", self._settings.timeout_s
        client = await open_files.enter_async_context(self._connection())
        try:
            for _ in range(MAX_REDIRECTS):
                request = self._wire.file_request(self._builder, url, origin)
                limit_s = min(timeout_s, await self._allowed_s())
                response = await self._finished(self._send_elsewhere(client, request), limit_s, interruption)
                open_files.push_async_callback(response.aclose)
                if response.status_code in OK:
                    read = response.is_stream_consumed  # a transport in this process may answer whole
                    return OpenFile(response.aiter_bytes() if read else response.aiter_raw())
                if response.status_code not in REDIRECTS:
                    answer = await self._finished(self._content(response), timeout_s, interruption)
                    self._raise_refused("download", answer)
                await response.aclose()  # it holds the only connection of this client
                url, origin = self._wire.redirected(request, response), url
        except self._broken as error:
            raise self._wire.unreachable("download", error) from None
        raise self._too_many_redirects()

    async def _read(self, source: OpenFile[AsyncIterator[bytes]]) -> bytes:
        timeout_s = self._settings.timeout_s
        try:
            began = time.monotonic()
            async for data in source.chunks:
                now = time.monotonic()
                source.note(now - began, data, timeout_s)
                began = now
                if data:
                    return bytes(data)
        except self._broken as error:
            raise self._wire.unreachable("download", error) from None
        return b""

    async def _allowed_s(self) -> float:
        """Wait until something may be sent, and return the seconds that it may take."""
        while (allowed_s := self._hooks.allowed_s()) <= 0:
            await self._sleep(ASK_AGAIN_S)
        return allowed_s

    async def _send_elsewhere(self, client: AsyncClient, request: HttpRequest) -> AsyncHttpResponse:
        checked = allowed_place.set(self._wire.place_check(request))
        try:
            with self._wire.masked_log:
                return await client.send(request, stream=True, auth=None, follow_redirects=False)
        except RuntimeError as error:
            raise client_error(error) from None
        finally:
            allowed_place.reset(checked)


@frozen
class _Ended(Generic[T]):
    """How a function ended; as a value, because a future cannot carry every exception."""

    value: T | None = None
    error: Exception | None = None


async def _ended(work: Awaitable[T]) -> _Ended[T]:
    """Return how work ended."""
    try:
        return _Ended(await work)
    except Exception as error:  # noqa: BLE001 - it is raised in the flow
        return _Ended(error=error)


async def _let_go_out(ahead: asyncio.Future[object] | None) -> None:
    """Let a request go out before items are mapped and consumed: the event loop may get no turn until that is done."""
    for _ in range(TURNS_TO_SEND if ahead else 0):
        await asyncio.sleep(0)


def _handed(stream: Stream[T], end: _Ended[Any]) -> Effect | Emit[T]:
    """Hand an answer or its error to a stream, and return the next effect."""
    return stream.send(end.value) if end.error is None else stream.throw(end.error)
