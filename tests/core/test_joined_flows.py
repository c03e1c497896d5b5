"""Flows that need the same thing at the same time: one of them reads it for all, in both clients."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from contacts_core import AsyncContacts, errors
from contacts_core.provider import Blocking, Flow, Gather, Join, flows
from tests.core.fake_providers import bare
from tests.core.test_blocking_effect import KINDS, run

TOGETHER = 4


ASKED: list[str] = []  # the keys that were asked for, one for each flow


@pytest.fixture(autouse=True)
def _nobody_asked() -> None:
    ASKED.clear()


def joined(work: Callable[[], Any], key: str = "key") -> Flow[Any]:
    def start() -> Flow[Any]:
        return (yield from Blocking(work))

    ASKED.append(key)
    return (yield from Join(key, start))


def together(flows: list[Flow[Any]]) -> Flow[list[Any]]:
    return (yield from Gather(flows, TOGETHER))


def slowly(work: Callable[[], Any]) -> Any:
    """Work once everybody has asked, however busy the machine is."""
    latest = time.monotonic() + 10
    while len(ASKED) < TOGETHER and time.monotonic() < latest:
        time.sleep(0.005)
    time.sleep(0.05)
    return work()


@pytest.mark.parametrize("kind", KINDS)
def test_one_of_several_runs_and_all_get_its_result(kind: str) -> None:
    numbers = itertools.count()
    work = partial(slowly, lambda: next(numbers))
    settled = run(kind, together([joined(work) for _ in range(TOGETHER)]))
    assert [each.value for each in settled] == [0] * TOGETHER


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_comes_later_runs_again(kind: str) -> None:
    numbers = itertools.count()

    def twice() -> Flow[list[int]]:
        one = yield from joined(lambda: next(numbers))
        two = yield from joined(lambda: next(numbers))
        return [one, two]

    assert run(kind, twice()) == [0, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_other_keys_do_not_wait(kind: str) -> None:
    meeting = threading.Barrier(TOGETHER, timeout=10)
    settled = run(kind, together([joined(meeting.wait, f"key {n}") for n in range(TOGETHER)]))
    assert sorted(each.value for each in settled) == list(range(TOGETHER))


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_reaches_all_of_them_and_none_shares_it(kind: str) -> None:
    numbers = itertools.count()

    def broken() -> None:
        raise errors.NotFound(f"turn {next(numbers)}")

    settled = run(kind, together([joined(partial(slowly, broken)) for _ in range(TOGETHER)]))
    assert [str(each.error) for each in settled] == ["turn 0"] * TOGETHER
    assert len({id(each.error) for each in settled}) == TOGETHER


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [errors.Cancelled(), ValueError("a bug")])
def test_where_the_first_one_is_cancelled_or_breaks_another_one_runs(kind: str, error: Exception) -> None:
    numbers = itertools.count()

    def broken_at_first() -> int:
        if (number := next(numbers)) == 0:
            raise error
        return number

    def careful() -> Flow[Any]:
        try:
            return (yield from joined(partial(slowly, broken_at_first)))
        except type(error):
            return "failed"

    settled = run(kind, together([careful() for _ in range(TOGETHER)]))
    assert sorted(str(each.value) for each in settled) == [*["1"] * (TOGETHER - 1), "failed"]


@pytest.mark.parametrize("kind", KINDS)
def test_effects_of_joined_flows_are_changed_as_well(kind: str) -> None:
    def changed(effect: Any) -> Any:
        return Blocking(lambda: "changed") if isinstance(effect, Blocking) else effect

    assert run(kind, flows.with_effects(joined(lambda: "as it was"), changed)) == "changed"


def test_a_cancelled_task_leaves_the_reading_to_the_next_one() -> None:
    begun = asyncio.Event()

    async def main() -> Any:
        async with AsyncContacts(bare()) as contacts:
            loop = asyncio.get_running_loop()

            def wait(seconds: float, result: str) -> str:
                loop.call_soon_threadsafe(begun.set)
                time.sleep(seconds)
                return result

            first = asyncio.ensure_future(contacts.run(joined(partial(wait, 0.1, "first"))))
            await begun.wait()
            second = asyncio.ensure_future(contacts.run(joined(partial(wait, 0.0, "second"))))
            await asyncio.sleep(0.01)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            return await second

    assert asyncio.run(main()) in {"first", "second"}
