"""The only places that touch the network: one driver that blocks, one that awaits.

A driver runs a flow: it performs each effect, sends the answer back in, and throws classified errors into the flow.
What can be shared without I/O lives in `transport` and `pacing`; the rest is written twice, on purpose, line for line.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AsyncExitStack, ExitStack
from queue import SimpleQueue
from typing import Any, TypeVar, cast

import httpx
import stamina

from contacts_core.errors import Cancelled, ContactsError, UnexpectedPayload, Unreachable
from contacts_core.flow import (
    Call,
    Download,
    Effect,
    Emit,
    Flow,
    Read,
    Settled,
    Sleep,
    Stream,
    Together,
    Upload,
)
from contacts_core.identifiers import scrub
from contacts_core.pacing import Pacer
from contacts_core.provider import Provider
from contacts_core.transport import (
    MOST_REDIRECTS,
    OK,
    REDIRECTS,
    AsyncClient,
    Client,
    Transport,
    exhausted,
    file_address,
    masked_log,
    retry_hook,
    transport_errors,
)

__all__ = ["AsyncDriver", "Driver", "Observer"]

T = TypeVar("T")

logger = logging.getLogger("contacts_core")
# Retries are stamina's to log; without a handler of its own they would reach stderr in programs that log nothing.
logging.getLogger("stamina").addHandler(logging.NullHandler())

IN_FLIGHT = 8  # httpx gets slower with more, and no vendor likes more
# The read timeout is never None: a race in httpcore's pool (encode/httpcore#1110) hangs until it.
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
LIMITS = httpx.Limits(max_connections=2 * IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
FILE_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip"}  # gzip is what `files` can undo
ATTEMPTS = 5
LONGEST_PAUSE = 120.0
ASK_AGAIN = 0.1  # seconds until ``before_send`` is asked again


Observer = Callable[[Call[Any], Any], None]
"""Told of each exchange: the call, and the HTTP response, or None where no complete answer came."""


class _Common:
    """What both drivers do between their requests."""

    observer: Observer | None = None
    before_send: Callable[[], float] | None = None

    def __init__(self, provider: Provider, client: object, monotonic: Callable[[], float]) -> None:
        self._transport = Transport(provider)
        self._pacer = Pacer(provider.rates)
        self._monotonic = monotonic
        self._broken = transport_errors(client)
        self._client_of_timeouts = client

    def charge(self, requests: int) -> None:
        """Count requests that another process sent just before against the provider's rates."""
        self._pacer.charge(requests, self._monotonic())

    def _left(self) -> float:
        """Seconds that the next exchange may take, as ``before_send`` says; 0 to ask again in a moment."""
        return self.before_send() if self.before_send else float("inf")

    def _within(self, left: float, options: dict[str, Any]) -> dict[str, Any]:
        """The options of a request, so that it waits no longer than that."""
        usual = getattr(self._client_of_timeouts, "timeout", TIMEOUT)
        usual = usual if isinstance(usual, httpx.Timeout) else TIMEOUT
        if all(each is not None and each <= left for each in usual.as_dict().values()) or left == float("inf"):
            return options
        shorter = {name: left if each is None else min(each, left) for name, each in usual.as_dict().items()}
        return {**options, "timeout": httpx.Timeout(**shorter)}

    def _unanswered(self, call: Call[Any], error: Exception) -> Unreachable:
        if self.observer:
            self.observer(call, None)
        return self._transport.unreachable(f"{call.method} {call.path}", error)

    def _answer(self, call: Call[T], response: Any) -> T:
        if self.observer:
            self.observer(call, response)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s %s: %s", call.method, scrub(call.path), response.status_code)
        if (seconds := exhausted(response.headers, time.time())) is not None:
            self._pacer.hold(call.lane, self._monotonic() + min(seconds, LONGEST_PAUSE))
        return self._transport.decoded(call, response.status_code, response.headers, response.content)


class Driver(_Common):
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
        self._own = None if client else httpx.Client(timeout=TIMEOUT, limits=LIMITS)
        self._client: Client = client or cast("Client", self._own)
        super().__init__(provider, self._client, monotonic)
        self._sleep, self._in_flight = sleep, in_flight
        # A semaphore made of a queue: threading's own is written in Python, and shows in the cost of a request.
        self._slots: SimpleQueue[None] = SimpleQueue()
        for _ in range(in_flight):
            self._slots.put(None)

    def close(self) -> None:
        """Close the connections, if they are the driver's own."""
        if self._own:
            self._own.close()

    def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end and give its result."""
        with ExitStack() as open_files:
            try:
                effect = next(flow)
                while True:
                    try:
                        answer = self._perform(effect, open_files)
                    except ContactsError as error:
                        effect = flow.throw(error)
                    else:
                        effect = flow.send(answer)
            except StopIteration as stop:
                result: T = stop.value
                return result

    def stream(self, stream: Stream[T]) -> Iterator[T]:
        """Run a stream, giving its items as they come."""
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
                        answer = self._perform(effect, open_files)
                    except ContactsError as error:
                        effect = stream.throw(error)
                    else:
                        effect = stream.send(answer)
            except StopIteration:
                return

    def _perform(self, effect: Effect, open_files: ExitStack) -> object:
        match effect:
            case Call():
                return self._call(effect)
            case Sleep(seconds):
                self._sleep(seconds)
            case Together():
                return self._together(effect)
            case Download():
                return self._download(effect, open_files)
            case Read(source):
                return self._read(source)
            case Upload():
                self._upload(effect)
        return None

    def _call(self, call: Call[T]) -> T:
        try:
            return self._once(call)
        except ContactsError as error:
            failures = [error]
        again = retry_hook(call, LONGEST_PAUSE)
        if again(failures[0]) is False:
            raise failures[0]
        # The first try is made outside: setting up the retry costs as much as a fifth of a request.
        for attempt in stamina.retry_context(on=again, attempts=ATTEMPTS, timeout=None, wait_max=LONGEST_PAUSE):
            with attempt:
                if failures:
                    raise failures.pop()
                return self._once(call)
        raise AssertionError("unreachable")

    def _once(self, call: Call[T]) -> T:
        while (delay := self._pacer.delay(call.lane, self._monotonic())) > 0:
            if call.patience is not None and delay > call.patience:
                raise self._transport.too_late(call, delay)
            self._sleep(delay)
        address, options = self._transport.address(call), self._transport.options(call)
        self._slots.get()
        try:
            while (left := self._left()) <= 0:
                self._sleep(ASK_AGAIN)
            with masked_log:
                response = self._client.request(call.method, address, **self._within(left, options))
        except self._broken as error:
            raise self._unanswered(call, error) from None
        finally:
            self._slots.put(None)
        return self._answer(call, response)

    def _together(self, together: Together[T]) -> list[Settled[T]]:
        flows = list(together.flows)
        settled: list[Settled[T]] = [Settled(started=False) for _ in flows]
        stop = threading.Event()
        turns = itertools.count()

        def work() -> None:
            while not stop.is_set() and (turn := next(turns)) < len(flows):
                try:
                    settled[turn] = Settled(self.run(flows[turn]))
                except ContactsError as error:
                    settled[turn] = Settled(error=error)
                    if not error.per_item:
                        stop.set()
                except BaseException:
                    stop.set()
                    raise

        workers = min(together.limit, self._in_flight, len(flows))
        with ThreadPoolExecutor(workers, thread_name_prefix="contacts") as pool:
            tasks = [pool.submit(work) for _ in range(workers)]
            try:
                wait(tasks)
            except KeyboardInterrupt:
                stop.set()
                wait(tasks)
                settled = [each if each.started else Settled(error=Cancelled(), started=False) for each in settled]
        for task in tasks:
            task.result()
        return settled

    def _download(self, download: Download, open_files: ExitStack) -> Iterator[bytes]:
        url = file_address(download.url)
        try:
            for _ in range(MOST_REDIRECTS):
                request = self._transport.without_keys(self._client.build_request("GET", url, headers=FILE_HEADERS))
                while self._left() <= 0:
                    self._sleep(ASK_AGAIN)
                with masked_log:
                    response = self._client.send(request, stream=True, auth=None, follow_redirects=False)
                open_files.callback(response.close)
                if response.status_code in OK:
                    read = response.is_stream_consumed  # a transport in this process may answer whole
                    chunks: Iterator[bytes] = response.iter_bytes() if read else response.iter_raw()
                    return chunks
                if response.status_code not in REDIRECTS:
                    raise self._transport.refusal("download", response.status_code, response.headers, response.read())
                url = file_address(str(request.url.join(response.headers.get("location", ""))), url)
        except self._broken as error:
            raise self._transport.unreachable("download", error) from None
        raise UnexpectedPayload("the vendor's file is behind too many redirects")

    def _read(self, source: Any) -> bytes:
        try:
            return next((data for data in source if data), b"")
        except self._broken as error:
            raise self._transport.unreachable("download", error) from None

    def _upload(self, upload: Upload) -> None:
        url, headers = file_address(upload.url), dict(upload.headers)
        try:
            request = self._client.build_request("PUT", url, headers=headers, content=upload.content)
            request = self._transport.without_keys(request)
            while self._left() <= 0:
                self._sleep(ASK_AGAIN)
            with masked_log:
                response = self._client.send(request, auth=None, follow_redirects=False)
        except self._broken as error:
            raise self._transport.unreachable("upload", error) from None
        if response.status_code not in OK:
            raise self._transport.refusal("upload", response.status_code, response.headers, response.content)


class AsyncDriver(_Common):
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
        self._own = None if client else httpx.AsyncClient(timeout=TIMEOUT, limits=LIMITS)
        self._client: AsyncClient = client or cast("AsyncClient", self._own)
        super().__init__(provider, self._client, monotonic)
        self._sleep, self._in_flight = sleep, in_flight
        self._slots = asyncio.Semaphore(in_flight)

    async def close(self) -> None:
        """Close the connections, if they are the driver's own."""
        if self._own:
            await self._own.aclose()

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end and give its result."""
        async with AsyncExitStack() as open_files:
            try:
                effect = next(flow)
                while True:
                    try:
                        answer = await self._perform(effect, open_files)
                    except ContactsError as error:
                        effect = flow.throw(error)
                    else:
                        effect = flow.send(answer)
            except StopIteration as stop:
                result: T = stop.value
                return result

    async def stream(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Run a stream, giving its items as they come."""
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
                        answer = await self._perform(effect, open_files)
                    except ContactsError as error:
                        effect = stream.throw(error)
                    else:
                        effect = stream.send(answer)
            except StopIteration:
                return

    async def _perform(self, effect: Effect, open_files: AsyncExitStack) -> object:
        match effect:
            case Call():
                return await self._call(effect)
            case Sleep(seconds):
                await self._sleep(seconds)
            case Together():
                return await self._together(effect)
            case Download():
                return await self._download(effect, open_files)
            case Read(source):
                return await self._read(source)
            case Upload():
                await self._upload(effect)
        return None

    async def _call(self, call: Call[T]) -> T:
        try:
            return await self._once(call)
        except ContactsError as error:
            failures = [error]
        again = retry_hook(call, LONGEST_PAUSE)
        if again(failures[0]) is False:
            raise failures[0]
        async for attempt in stamina.retry_context(on=again, attempts=ATTEMPTS, timeout=None, wait_max=LONGEST_PAUSE):
            with attempt:
                if failures:
                    raise failures.pop()
                return await self._once(call)
        raise AssertionError("unreachable")

    async def _once(self, call: Call[T]) -> T:
        while (delay := self._pacer.delay(call.lane, self._monotonic())) > 0:
            if call.patience is not None and delay > call.patience:
                raise self._transport.too_late(call, delay)
            await self._sleep(delay)
        address, options = self._transport.address(call), self._transport.options(call)
        try:
            async with self._slots:
                while (left := self._left()) <= 0:
                    await self._sleep(ASK_AGAIN)
                with masked_log:
                    response = await self._client.request(call.method, address, **self._within(left, options))
        except self._broken as error:
            raise self._unanswered(call, error) from None
        return self._answer(call, response)

    async def _together(self, together: Together[T]) -> list[Settled[T]]:
        flows = list(together.flows)
        settled: list[Settled[T]] = [Settled(started=False) for _ in flows]
        stop = asyncio.Event()
        turns = itertools.count()

        async def work() -> None:
            while not stop.is_set() and (turn := next(turns)) < len(flows):
                try:
                    settled[turn] = Settled(await self.run(flows[turn]))
                except ContactsError as error:
                    settled[turn] = Settled(error=error)
                    if not error.per_item:
                        stop.set()

        async with asyncio.TaskGroup() as group:
            for _ in range(min(together.limit, self._in_flight, len(flows))):
                group.create_task(work())
        return settled

    async def _download(self, download: Download, open_files: AsyncExitStack) -> AsyncIterator[bytes]:
        url = file_address(download.url)
        try:
            for _ in range(MOST_REDIRECTS):
                request = self._transport.without_keys(self._client.build_request("GET", url, headers=FILE_HEADERS))
                while self._left() <= 0:
                    await self._sleep(ASK_AGAIN)
                with masked_log:
                    response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
                open_files.push_async_callback(response.aclose)
                if response.status_code in OK:
                    read = response.is_stream_consumed
                    chunks: AsyncIterator[bytes] = response.aiter_bytes() if read else response.aiter_raw()
                    return chunks
                if response.status_code not in REDIRECTS:
                    content = await response.aread()
                    raise self._transport.refusal("download", response.status_code, response.headers, content)
                url = file_address(str(request.url.join(response.headers.get("location", ""))), url)
        except self._broken as error:
            raise self._transport.unreachable("download", error) from None
        raise UnexpectedPayload("the vendor's file is behind too many redirects")

    async def _read(self, source: Any) -> bytes:
        try:
            async for data in source:
                if data:
                    return bytes(data)
        except self._broken as error:
            raise self._transport.unreachable("download", error) from None
        return b""

    async def _upload(self, upload: Upload) -> None:
        url, headers = file_address(upload.url), dict(upload.headers)
        try:
            request = self._client.build_request("PUT", url, headers=headers, content=upload.content)
            request = self._transport.without_keys(request)
            while self._left() <= 0:
                await self._sleep(ASK_AGAIN)
            with masked_log:
                response = await self._client.send(request, auth=None, follow_redirects=False)
        except self._broken as error:
            raise self._transport.unreachable("upload", error) from None
        if response.status_code not in OK:
            raise self._transport.refusal("upload", response.status_code, response.headers, response.content)
