"""Functions that block: in place in the blocking client, in a thread in the asynchronous one."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from contacts_core import AsyncContacts, Contacts, errors
from contacts_core.provider import Blocking, Emit, Flow, Gather, HttpSettings, Settled, Stream, flows
from tests.core.fake_providers import bare

KINDS = ["sync", "async"]
HERE: contextvars.ContextVar[str] = contextvars.ContextVar("here", default="nowhere")


def run(kind: str, flow: Flow[Any]) -> Any:
    if kind == "sync":
        with Contacts(bare()) as contacts:
            return contacts.run(flow)

    async def main() -> Any:
        async with AsyncContacts(bare()) as contacts:
            return await contacts.run(flow)

    return asyncio.run(main())


def call(function: Callable[[], Any]) -> Flow[Any]:
    return (yield from Blocking(function))


@pytest.mark.parametrize("kind", KINDS)
def test_the_result_comes_back_to_the_flow(kind: str) -> None:
    def flow() -> Flow[int]:
        one = yield from Blocking(lambda: 1)
        two = yield from Blocking(lambda: one + 1)
        return one + two

    assert run(kind, flow()) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_asynchronous_client_uses_a_thread(kind: str) -> None:
    async_client = kind == "async"
    assert (run(kind, call(threading.get_ident)) != threading.get_ident()) is async_client


@pytest.mark.parametrize("kind", KINDS)
def test_context_variables_reach_the_function(kind: str) -> None:
    token = HERE.set("here")
    try:
        assert run(kind, call(HERE.get)) == "here"
    finally:
        HERE.reset(token)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [KeyError("x"), errors.StorageError("x"), TimeoutError(), asyncio.QueueEmpty()])
def test_what_the_function_raises_is_raised_in_the_flow(kind: str, error: Exception) -> None:
    def broken() -> None:
        raise error

    def careful() -> Flow[Exception]:
        try:
            yield from Blocking(broken)
        except type(error) as caught:
            return caught
        raise AssertionError

    assert run(kind, careful()) is error
    with pytest.raises(type(error)) as raised:
        run(kind, call(broken))
    assert raised.value is error


@pytest.mark.parametrize("kind", KINDS)
def test_a_function_that_raises_stop_iteration_does_not_end_the_flow_unnoticed(kind: str) -> None:
    with pytest.raises(RuntimeError):
        run(kind, call(lambda: next(iter(()))))


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_may_call_functions_and_get_their_errors(kind: str) -> None:
    numbers = itertools.count()

    def function() -> int:
        if (number := next(numbers)) == 2:
            raise ValueError
        return number

    def stream() -> Stream[int]:
        try:
            while True:
                number = yield from Blocking(function)
                yield Emit([number])
        except ValueError:
            yield Emit([-1])

    def doubled() -> Stream[int]:
        yield from flows.through(stream(), lambda items: [2 * item for item in items])

    async def collected() -> list[int]:
        async with AsyncContacts(bare()) as contacts:
            return [item async for item in contacts._transport.stream(doubled())]

    if kind == "sync":
        with Contacts(bare()) as contacts:
            assert list(contacts._transport.stream(doubled())) == [0, 2, -2]
    else:
        assert asyncio.run(collected()) == [0, 2, -2]


@pytest.mark.parametrize("kind", KINDS)
def test_functions_run_side_by_side(kind: str) -> None:
    together = threading.Barrier(3, timeout=10)

    def flow() -> Flow[list[Settled[Any]]]:
        return (yield from Gather([call(together.wait) for _ in range(3)], 3))

    assert sorted(each.value for each in run(kind, flow())) == [0, 1, 2]


def test_the_event_loop_goes_on_meanwhile() -> None:
    async def main() -> float:
        async with AsyncContacts(bare()) as contacts:
            task = asyncio.ensure_future(contacts.run(call(lambda: time.sleep(0.5))))
            return await longest_stall(task)

    assert asyncio.run(main()) < 0.1


async def longest_stall(task: asyncio.Future[Any]) -> float:
    """Seconds for which the event loop did nothing else, at most, until the task was done."""
    longest, last = 0.0, time.monotonic()
    while not task.done():
        await asyncio.sleep(0.005)
        longest, last = max(longest, time.monotonic() - last - 0.005), time.monotonic()
    await task
    return longest


def test_ctrl_c_in_the_blocking_client_leaves_it_unclear() -> None:
    told: list[errors.Cancelled] = []

    def interrupted() -> None:
        raise KeyboardInterrupt

    def flow() -> Flow[None]:
        try:
            yield from Blocking(interrupted)
        except errors.Cancelled as error:
            told.append(error)
            raise

    with pytest.raises(KeyboardInterrupt) as caught:
        run("sync", flow())
    assert [error.unclear for error in told] == [True]
    assert isinstance(caught.value.__cause__, errors.Cancelled)


class Change:
    """A change in a store that takes a while."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.begun, self.done = threading.Event(), threading.Event()
        self.results: list[str] = []
        self.errors: list[errors.Cancelled] = []

    def __call__(self) -> str:
        self.begun.set()
        time.sleep(self.seconds)
        self.done.set()
        return "changed"

    def flow(self) -> Flow[None]:
        try:
            result = yield from Blocking(self)
            self.results.append(result)
            yield from Blocking(lambda: self.results.append("another"))
        except errors.Cancelled as error:
            self.errors.append(error)
            raise

    async def cancelled(self, times: int, cancel_timeout: float = 10.0) -> float:
        """Cancel a task that makes the change, and give the seconds until the task ended."""
        provider = bare(http=HttpSettings(cancel_timeout_s=cancel_timeout))
        async with AsyncContacts(provider) as contacts:
            task = asyncio.ensure_future(contacts.run(self.flow()))
            await asyncio.to_thread(self.begun.wait)
            began = time.monotonic()
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0.02)
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert isinstance(caught.value.__cause__, errors.Cancelled)
            return time.monotonic() - began


def test_a_cancelled_task_waits_for_the_result_of_a_change() -> None:
    change = Change(0.3)
    asyncio.run(change.cancelled(1))
    assert change.results == ["changed"]  # and nothing more was begun
    assert [error.unclear for error in change.errors] == [False]


@pytest.mark.parametrize(("times", "cancel_timeout"), [(1, 0.05), (2, 10.0)])
def test_a_change_that_takes_too_long_is_left_alone_and_unclear(times: int, cancel_timeout: float) -> None:
    change = Change(0.8)
    assert asyncio.run(change.cancelled(times, cancel_timeout)) < 0.5
    assert change.results == []
    assert [error.unclear for error in change.errors] == [True]
    assert change.done.wait(5)  # the thread finishes what it began


def test_functions_that_hang_do_not_stop_requests_or_their_end() -> None:
    release = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with AsyncContacts(bare()) as contacts:
            hanging = [asyncio.ensure_future(contacts.run(call(release.wait))) for _ in range(40)]
            await asyncio.sleep(0.05)
            async with asyncio.timeout(2):
                await loop.run_in_executor(None, time.sleep, 0)  # as a look-up of a host name does
            release.set()
            assert await asyncio.gather(*hanging) == [True] * 40

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_client_calls_nothing(kind: str) -> None:
    called: list[int] = []

    async def main() -> None:
        contacts = AsyncContacts(bare())
        await contacts.run(call(lambda: None))
        await contacts.close()
        with pytest.raises(errors.ConfigurationError, match="closed"):
            await contacts.run(call(lambda: called.append(1)))

    if kind == "sync":
        contacts = Contacts(bare())
        contacts.close()
        with pytest.raises(errors.ConfigurationError, match="closed"):
            contacts.run(call(lambda: called.append(1)))
    else:
        asyncio.run(main())
    assert called == []
