"""Cancelled tasks, Ctrl-C, forks, other event loops: what was done is told, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import frozen

from contacts_core import AsyncContacts, Contacts, errors
from contacts_core.http import interruption
from contacts_core.models import Contact, Outcome
from contacts_core.provider import (
    Blocking,
    DeletesContacts,
    Emit,
    Exports,
    Flow,
    Gather,
    HttpSettings,
    Request,
    Settled,
    Sleep,
    Stream,
    UpsertsContacts,
    delete,
    get,
)
from tests.core.fake_providers import Bare, bare
from tests.core.raw_server import RawServer, serving, whole

NONE = type(None)


@frozen(kw_only=True)
class Deleting(Bare, DeletesContacts):
    """A vendor that deletes one contact at a time."""

    concurrency = 4

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from delete(f"/contacts/{ids[0]}", NONE)
        return Outcome(operation="delete_contacts", requested=1, confirmed=tuple(ids))


def deleting(server: RawServer, **settings: Any) -> Deleting:
    return Deleting(api_key="k", base_url=server.address, http=HttpSettings(**settings))


def after(seconds: float, answer: bytes = b"") -> Any:
    return lambda: [seconds, answer or whole(b"")]


async def cancelled(work: Coroutine[Any, Any, Any], *, after: float) -> asyncio.CancelledError:
    task = asyncio.ensure_future(work)
    await asyncio.sleep(after)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value


def test_a_cancelled_deletion_tells_what_was_done() -> None:
    async def main(server: RawServer) -> None:
        async with AsyncContacts(deleting(server)) as contacts:
            ids = [f"c{n}" for n in range(40)]
            error = await cancelled(contacts.delete_contacts(["not an id!", *ids]), after=0.25)
            why = error.__cause__
            assert isinstance(why, errors.Interrupted)
            assert isinstance(why.__cause__, errors.Cancelled)
            done, unsent = set(why.outcome.confirmed), set(why.unsent)
            assert why.uncertain == ()
            assert done
            assert unsent
            assert done | unsent == set(ids)
            assert not done & unsent
            assert [failure.item for failure in why.outcome.failed] == ["not an id!"]
            assert len(server.requests) == len(done)

    with serving(after(0.1)) as server:
        asyncio.run(main(server))


@pytest.mark.parametrize("ids", [["c1"], ["c1", "c2"]])
def test_what_is_under_way_when_cancelled_is_finished_and_counts(ids: list[str]) -> None:
    async def main(server: RawServer) -> None:
        async with AsyncContacts(deleting(server)) as contacts:
            error = await cancelled(contacts.delete_contacts(ids), after=0.1)
            assert isinstance(error.__cause__, errors.Interrupted)
            assert error.__cause__.outcome.confirmed == tuple(ids)
            assert (error.__cause__.uncertain, error.__cause__.unsent) == ((), ())

    with serving(after(0.3)) as server:
        asyncio.run(main(server))


@pytest.mark.parametrize("ids", [["c1"], ["c1", "c2", "c3", "c4", "c5"]])
def test_what_does_not_end_in_time_is_uncertain(ids: list[str]) -> None:
    async def main(server: RawServer) -> None:
        async with AsyncContacts(deleting(server, cancel_timeout_s=0.2)) as contacts:
            began = time.monotonic()
            error = await cancelled(contacts.delete_contacts(ids), after=0.1)
            assert time.monotonic() - began < 2
            why = error.__cause__
            assert isinstance(why, errors.Interrupted)
            assert why.outcome.requested == 0
            assert why.uncertain == tuple(ids[:4])
            assert why.unsent == tuple(ids[4:])

    with serving(after(5.0)) as server:
        asyncio.run(main(server))


def test_a_second_cancellation_is_immediate() -> None:
    async def main(server: RawServer) -> None:
        async with AsyncContacts(deleting(server)) as contacts:
            task = asyncio.ensure_future(contacts.delete_contacts(["c1", "c2"]))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.sleep(0.1)
            task.cancel()
            began = time.monotonic()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert time.monotonic() - began < 1
            assert isinstance(caught.value.__cause__, errors.Interrupted)
            assert caught.value.__cause__.uncertain == ("c1", "c2")

    with serving(after(5.0)) as server:
        asyncio.run(main(server))


def test_a_deadline_of_the_callers_tells_what_was_done() -> None:
    async def main(server: RawServer) -> None:
        async with AsyncContacts(deleting(server)) as contacts:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.15):
                    await contacts.delete_contacts([f"c{n}" for n in range(40)])
            assert caught.value.__cause__ is not None
            assert isinstance(caught.value.__cause__.__cause__, errors.Interrupted)

    with serving(after(0.1)) as server:
        asyncio.run(main(server))


def test_cancelled_while_waiting_for_the_rate_nothing_was_sent() -> None:
    from contacts_core.provider import RateLimit

    class Paced(Deleting):
        rate_limits = {"": RateLimit(1, 60)}  # noqa: RUF012 - as providers write it

    async def main(server: RawServer) -> None:
        async with AsyncContacts(Paced(api_key="k", base_url=server.address)) as contacts:
            error = await cancelled(contacts.delete_contacts(["c1", "c2"]), after=0.3)
            assert isinstance(error.__cause__, errors.Interrupted)
            assert (error.__cause__.outcome.confirmed, error.__cause__.unsent) == (("c1",), ("c2",))
            assert len(server.requests) == 1

    with serving(after(0.01)) as server:
        asyncio.run(main(server))


class Deaf(httpx.AsyncBaseTransport):
    """Ignores that it is cancelled."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        while not self.over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.over.wait()
        return httpx.Response(200, request=request)


@pytest.mark.parametrize("cancels", [0, 1, 2])
def test_a_client_that_ignores_its_cancellation_does_not_hold_up_the_caller(
    cancels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interruption, "GIVE_UP_S", 0.05)

    async def main() -> None:
        deaf, settings = Deaf(), HttpSettings(attempts=1, timeout_s=30 if cancels else 0.05, cancel_timeout_s=0.05)
        async with httpx.AsyncClient(transport=deaf) as client:
            contacts = AsyncContacts(Deleting(api_key="k", http=settings), client)
            task = asyncio.ensure_future(contacts.delete_contacts(["c1"]))
            await asyncio.sleep(0.01)
            for _ in range(cancels):
                task.cancel()
                await asyncio.sleep(0)
            ended, _ = await asyncio.wait([task], timeout=5)
            assert ended == {task}
            deaf.over.set()
            with pytest.raises(asyncio.CancelledError if cancels else errors.Unreachable):
                await task
            await asyncio.sleep(0.01)  # the exchange ends, and nobody hears of it

    asyncio.run(main())


@pytest.mark.parametrize("own", [True, False])
def test_a_client_survives_any_number_of_cancellations(own: bool) -> None:
    async def main(server: RawServer) -> None:
        client = None if own else httpx.AsyncClient(limits=httpx.Limits(max_connections=10))
        provider = deleting(server, cancel_timeout_s=0.5 if own else 5)
        async with AsyncContacts(provider, client) as contacts:
            for n in range(120):
                task = asyncio.ensure_future(contacts.request("GET", f"/{n}"))
                await asyncio.sleep(0.002 * (n % 7))
                task.cancel()
                await asyncio.wait([task])
            async with asyncio.timeout(5):
                assert await contacts.request("GET", "/last") == 5
        if client:
            await client.aclose()

    with serving(after(0.004, whole(b"5"))) as server:
        asyncio.run(main(server))


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_connections_that_were_given_up_are_replaced_and_closed() -> None:
    turns = itertools.count()

    def script() -> Any:
        return [30.0] if next(turns) < 30 else [whole(b"5")]

    async def main(server: RawServer) -> None:
        async with AsyncContacts(deleting(server, cancel_timeout_s=0.01)) as contacts:
            before = _open_files()
            for n in range(30):
                task = asyncio.ensure_future(contacts.request("GET", f"/{n}"))
                await asyncio.sleep(0.02)
                task.cancel()
                await asyncio.wait([task])
            await asyncio.sleep(0.1)
            assert _open_files() < before + 40  # 30 are the server's own side
            assert len(contacts._transport._idle) <= 1
            assert await contacts.request("GET", "/last") == 5

    with serving(script) as server:
        asyncio.run(main(server))


CTRL_C = """
import os, signal, sys, threading
from tests.core.test_interruptions import Deleting
from contacts_core import Contacts
with Contacts(Deleting(api_key="k", base_url=sys.argv[1])) as contacts:
    threading.Timer(0.35, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    try:
        contacts.delete_contacts([f"c{n}" for n in range(int(sys.argv[2]))])
    except KeyboardInterrupt as interrupt:
        why = interrupt.__cause__
        print(type(why).__name__, len(why.outcome.confirmed), len(why.uncertain), len(why.unsent))
"""


@pytest.mark.parametrize(("count", "pause"), [(40, 0.1), (1, 2.0)])
def test_ctrl_c_tells_what_was_done(count: int, pause: float) -> None:
    with serving(after(pause)) as server:
        command = [sys.executable, "-c", CTRL_C, server.address, str(count)]
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        kind, confirmed, uncertain, unsent = told.stdout.split()
        assert kind == "Interrupted", told.stderr
        assert int(confirmed) + int(uncertain) + int(unsent) == count
        if count == 1:
            assert int(uncertain) == 1
        else:
            assert int(confirmed) == len(server.requests)
            assert int(unsent) > 0


CTRL_C_IN_A_PAUSE = """
import os, signal, sys, threading, time
from attrs import frozen
from tests.core.test_interruptions import Deleting, Resting
from contacts_core import Contacts
made = {"deletion": Deleting, "resting": Resting}[sys.argv[2]]
with Contacts(made(api_key="k", base_url=sys.argv[1])) as contacts:
    if sys.argv[3] == "hook":
        began = time.monotonic()
        contacts.add_before_send(lambda: 10.0 if time.monotonic() - began > 3 else 0.0)
    def strike():
        global struck
        struck = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)
    threading.Timer(1.0, strike).start()
    try:
        contacts.delete_contacts([f"c{n}" for n in range(6)])
    except KeyboardInterrupt as interrupt:
        why = interrupt.__cause__
        print(type(why).__name__, len(why.outcome.confirmed), len(why.uncertain), len(why.unsent))
        print(time.monotonic() - struck)
"""


@frozen(kw_only=True)
class Resting(Deleting):
    """A vendor where each deletion waits for a while first."""

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from Sleep(3)
        return (yield from super().delete_contacts(ids))


@pytest.mark.parametrize(
    ("vendor", "held_back", "asked"),
    [("deletion", "vendor", 4), ("deletion", "hook", 0), ("resting", "no", 0)],
    ids=["asked-to-wait", "held-back", "resting"],
)
def test_ctrl_c_while_threads_pause_ends_the_pauses_and_sends_nothing_more(
    vendor: str, held_back: str, asked: int
) -> None:
    with serving(lambda: [whole(b"", "Retry-After: 3", status="429 No")]) as server:
        command = [sys.executable, "-c", CTRL_C_IN_A_PAUSE, server.address, vendor, held_back]
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert told.stdout, told.stderr
        kind, confirmed, uncertain, unsent, seconds = told.stdout.split()
        assert (kind, confirmed, uncertain, unsent) == ("Interrupted", "0", "0", "6")
        assert float(seconds) < 1.5
        assert len(server.requests) == asked


SECOND_CTRL_C = """
import asyncio, httpx
from tests.core.test_interruptions import Deleting
from contacts_core import AsyncContacts

class Vendor(httpx.AsyncBaseTransport):
    asked = 0

    async def handle_async_request(self, request):
        await asyncio.sleep(0.01)
        self.asked += 1
        if self.asked == 3:
            raise KeyboardInterrupt  # as the signal does that strikes while an exchange is under way
        return httpx.Response(204)

async def main():
    async with httpx.AsyncClient(transport=Vendor()) as client:
        contacts = AsyncContacts(Deleting(api_key="k", base_url="http://127.0.0.1:1"), client)
        await contacts.delete_contacts([f"c{n}" for n in range(20)])

asyncio.run(main())
"""


def test_ctrl_c_that_strikes_an_exchange_of_an_event_loop_ends_it() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SECOND_CTRL_C], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode != 0
    assert ended.stderr.splitlines()[-1] == "KeyboardInterrupt"


def test_a_flow_that_was_cancelled_asks_for_nothing_more() -> None:
    seen: list[int] = []

    def flow() -> Flow[None]:
        for n in range(5):
            seen.append(n)
            yield from get(f"/{n}", object)

    async def main(server: RawServer) -> None:
        async with AsyncContacts(deleting(server)) as contacts:
            error = await cancelled(contacts.run(flow()), after=0.1)
            assert isinstance(error.__cause__, errors.Cancelled)
        assert len(server.requests) == 1

    with serving(after(0.3)) as server:
        asyncio.run(main(server))


@frozen(kw_only=True)
class Exporting(Bare, Exports):
    """A vendor whose export is a single page."""

    side_by_side: bool = False

    def contacts(self, list_id: str | None) -> Stream[Contact]:
        if self.side_by_side:
            yield from Gather([iter(get(f"/{n}", object)) for n in range(2)], 2)
        else:
            yield from get("/contacts", object)
        yield Emit([Contact(id="c1"), Contact(id="c2")])


@pytest.mark.parametrize("side_by_side", [False, True])
def test_a_cancellation_during_the_last_page_of_an_export_is_not_lost(side_by_side: bool) -> None:
    seen: list[str | None] = []

    async def exported(contacts: AsyncContacts[Exporting]) -> None:
        async for contact in contacts.export():
            seen.append(contact.id)  # noqa: PERF401 - what came before the error counts

    async def main(server: RawServer) -> None:
        provider = Exporting(api_key="k", base_url=server.address, side_by_side=side_by_side)
        async with AsyncContacts(provider) as contacts:
            error = await cancelled(exported(contacts), after=0.15)
            assert isinstance(error.__cause__, errors.Cancelled)
            assert not error.__cause__.unclear
        assert seen == ["c1", "c2"]

    with serving(after(0.4, whole(b"5"))) as server:
        asyncio.run(main(server))


def test_a_single_change_that_was_carried_out_while_cancelled_is_unclear() -> None:
    def created() -> Flow[str]:
        yield from Request("POST", "/lists", object, json={}, idempotent=False)
        return "list-42"

    async def main(server: RawServer) -> None:
        async with AsyncContacts(deleting(server)) as contacts:
            error = await cancelled(contacts.run(created()), after=0.1)
            assert isinstance(error.__cause__, errors.Cancelled)
            assert error.__cause__.unclear

    with serving(after(0.3, whole(b"{}"))) as server:
        asyncio.run(main(server))


CTRL_C_IN_AN_EXPORT = """
import os, signal, sys, threading
from tests.core.test_interruptions import Exporting
from contacts_core import Contacts
with Contacts(Exporting(api_key="k", base_url=sys.argv[1], side_by_side=True)) as contacts:
    threading.Timer(0.4, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    seen = []
    try:
        for contact in contacts.export():
            seen.append(contact.id)
    except KeyboardInterrupt:
        print("interrupted after", *seen)
"""


def test_ctrl_c_during_the_last_page_of_an_export_is_not_lost() -> None:
    with serving(after(1.0, whole(b"5"))) as server:
        command = [sys.executable, "-c", CTRL_C_IN_AN_EXPORT, server.address]
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert told.stdout.split() == ["interrupted", "after", "c1", "c2"], told.stderr


def _fails_late() -> None:
    time.sleep(0.3)
    raise ValueError("late")


def test_an_error_after_a_cancellation_does_not_take_its_place() -> None:
    def flow() -> Flow[None]:
        yield from Blocking(_fails_late)

    def stream() -> Stream[str]:
        yield from Blocking(_fails_late)

    async def read(contacts: AsyncContacts[Any]) -> None:
        async for _ in contacts._transport.stream(stream()):
            pass

    async def main() -> None:
        async with AsyncContacts(bare()) as contacts:
            for work in (contacts.run(flow()), read(contacts)):
                error = await cancelled(work, after=0.1)
                assert isinstance(error.__cause__, ValueError)

    asyncio.run(main())


def test_an_error_of_the_guard_after_a_cancellation_does_not_take_its_place() -> None:
    class Taking(Bare, UpsertsContacts):
        def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
            raise AssertionError("the guard comes first")

    def guard(_: Sequence[Contact]) -> Sequence[str]:
        _fails_late()
        return []

    async def main() -> None:
        async with AsyncContacts(Taking(api_key="k"), guard=guard) as contacts:
            await cancelled(contacts.upsert_contacts([Contact(id="c1")]), after=0.1)

    asyncio.run(main())


CTRL_C_BEFORE_AN_ERROR = """
import os, signal, time
from contacts_core import Contacts
from contacts_core.provider import Blocking, Gather
from tests.core.fake_providers import bare

def fail():
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.3)
    raise ValueError("late")

def flow():
    yield from Gather([iter(Blocking(fail))], 1)

with Contacts(bare()) as contacts:
    try:
        contacts.run(flow())
    except KeyboardInterrupt as interrupt:
        print(type(interrupt.__cause__).__name__)
"""


def test_an_error_in_a_thread_after_ctrl_c_does_not_take_its_place() -> None:
    command = [sys.executable, "-c", CTRL_C_BEFORE_AN_ERROR]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert told.stdout.split() == ["ValueError"], told.stderr


CTRL_C_WHILE_THREADS_START = """
import os, signal, sys, threading
from tests.core.test_interruptions import Deleting
from contacts_core import Contacts

start, started = threading.Thread.start, []

def struck(self):
    start(self)
    if self.name.startswith("contacts"):
        started.append(self)
        if len(started) == 2:
            os.kill(os.getpid(), signal.SIGINT)

threading.Thread.start = struck
with Contacts(Deleting(api_key="k", base_url=sys.argv[1])) as contacts:
    try:
        contacts.delete_contacts([f"c{n}" for n in range(12)])
    except KeyboardInterrupt as interrupt:
        why = interrupt.__cause__
        print(type(why).__name__, len(why.outcome.confirmed), len(why.uncertain), len(why.unsent), flush=True)
for thread in started:
    thread.join()
"""


def test_ctrl_c_while_the_threads_start_tells_what_was_done() -> None:
    with serving(after(0.4)) as server:
        command = [sys.executable, "-c", CTRL_C_WHILE_THREADS_START, server.address]
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert told.stdout.split()[:1] == ["Interrupted"], told.stderr
        confirmed, uncertain, unsent = map(int, told.stdout.split()[1:])
        assert (confirmed, uncertain, unsent) == (len(server.requests), 0, 12 - len(server.requests))
        assert confirmed in {1, 2}


def test_a_flow_that_was_stopped_from_within_counts_as_started() -> None:
    def stopped() -> Flow[None]:
        yield from get("/x", object)
        raise asyncio.CancelledError

    def flow() -> Flow[list[Settled[None]]]:
        return (yield from Gather([stopped(), stopped()], 1))

    async def main() -> list[Settled[None]]:
        vendor = httpx.MockTransport(lambda _: httpx.Response(200, json=5))
        async with httpx.AsyncClient(transport=vendor) as mine:
            return await AsyncContacts(bare(), mine).run(flow())

    first, second = asyncio.run(main())
    assert (first.started, second.started) == (True, False)
    assert isinstance(first.error, errors.Cancelled)
    assert first.error.unclear


# -- forks, loops, closed clients -------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_client_used_before_a_fork_opens_anew_in_the_child(kind: str) -> None:
    code = FORK.format(kind=kind)
    with serving(lambda: [0.02, whole(b"5")]) as server:
        told = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, server.address],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert told.stdout.split() == ["0", "0", "0", "parent", "5"], told.stderr
        assert server.connections == 4


FORK = """
import asyncio, os, sys
from contacts_core import AsyncContacts, Contacts
from tests.core.fake_providers import bare
provider = bare(base_url=sys.argv[1])
kind = "{kind}"

def sync():
    contacts = Contacts(provider)
    contacts.request("GET", "/before")
    children = []
    for n in range(3):
        child = os.fork()
        if child == 0:
            os._exit(0 if [contacts.request("GET", "/child") for _ in range(20)] == [5] * 20 else 1)
        children.append(child)
    for child in children:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print("parent", contacts.request("GET", "/after"))

async def parent(contacts, use):
    return await contacts.request("GET", use)

def awaiting():
    contacts = AsyncContacts(provider)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(parent(contacts, "/before"))
    children = []
    for n in range(3):
        child = os.fork()
        if child == 0:
            asyncio.events._set_running_loop(None)
            async def use():
                return [await contacts.request("GET", "/child") for _ in range(20)]
            os._exit(0 if asyncio.run(use()) == [5] * 20 else 1)
        children.append(child)
    for child in children:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print("parent", loop.run_until_complete(parent(contacts, "/after")))

sync() if kind == "sync" else awaiting()
"""


def test_a_callers_client_is_not_shared_with_a_forked_child(monkeypatch: pytest.MonkeyPatch) -> None:
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=5))) as mine:
        contacts = Contacts(bare(), mine)
        assert contacts.request("GET", "/x") == 5
        real = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: real + 1)
        with pytest.raises(errors.ConfigurationError, match="forked") as caught:
            contacts.request("GET", "/x")
        assert "child" in caught.value.hint


def test_a_closed_client_says_so() -> None:
    contacts = Contacts(bare())
    contacts.close()
    with pytest.raises(errors.ConfigurationError, match="closed"):
        contacts.request("GET", "/x")
    mine = httpx.Client()
    mine.close()
    with pytest.raises(errors.ConfigurationError, match="closed"):
        Contacts(bare(), mine).request("GET", "/x")

    async def main() -> None:
        waiting = AsyncContacts(bare())
        await waiting.close()
        with pytest.raises(errors.ConfigurationError, match="closed"):
            await waiting.request("GET", "/x")
        theirs = httpx.AsyncClient()
        await theirs.aclose()
        with pytest.raises(errors.ConfigurationError, match="closed"):
            await AsyncContacts(bare(), theirs).request("GET", "/x")

    asyncio.run(main())


def test_a_second_event_loop_is_an_error_with_a_hint() -> None:
    with serving(lambda: [whole(b"5")]) as server:
        contacts = AsyncContacts(bare(base_url=server.address))
        with asyncio.Runner() as first, asyncio.Runner() as second:
            assert first.run(_ask(contacts)) == 5
            with pytest.raises(errors.ConfigurationError, match="another event loop") as caught:
                second.run(_ask(contacts))
            assert first.run(_ask(contacts)) == 5
            first.run(contacts.close())
        assert "connect_async" in caught.value.hint


async def _ask(contacts: AsyncContacts[Any]) -> Any:
    return await contacts.request("GET", "/x")


# -- the settings of time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempts", [1, 2])
def test_attempts_are_a_setting(attempts: int) -> None:
    seen: list[Any] = []

    def vendor(request: Any) -> httpx.Response:
        seen.append(request)
        return httpx.Response(500)

    settings = HttpSettings(attempts=attempts)
    with httpx.Client(transport=httpx.MockTransport(vendor)) as mine, pytest.raises(errors.Unavailable):
        Contacts(bare(http=settings), mine).request("GET", "/x")
    assert len(seen) == attempts


def test_a_request_is_not_repeated_beyond_its_time() -> None:
    seen: list[Any] = []

    def vendor(request: Any) -> httpx.Response:
        seen.append(request)
        return httpx.Response(503, headers={"retry-after": "30"})

    settings = HttpSettings(deadline_s=20)
    began = time.monotonic()
    with httpx.Client(transport=httpx.MockTransport(vendor)) as mine, pytest.raises(errors.Unavailable):
        Contacts(bare(http=settings), mine).request("GET", "/x")
    assert len(seen) == 1
    assert time.monotonic() - began < 5


def test_a_5xx_with_a_rate_window_holds_nothing_up() -> None:
    answers = iter([500, 502, 503, 200])
    headers = {"x-ratelimit-reset": "189", "x-ratelimit-remaining": "7"}

    def vendor(_: Any) -> httpx.Response:
        return httpx.Response(next(answers), headers=headers, json=5)

    began = time.monotonic()
    with httpx.Client(transport=httpx.MockTransport(vendor)) as mine:
        assert Contacts(bare(), mine).request("GET", "/x") == 5
    assert time.monotonic() - began < 20


def test_a_client_has_an_end_if_the_settings_say_so() -> None:
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=5))) as mine:
        contacts = Contacts(bare(http=HttpSettings(client_deadline_s=0.2)), mine)
        assert contacts.request("GET", "/x") == 5
        time.sleep(0.25)
        with pytest.raises(errors.DeadlineExceeded):
            contacts.request("GET", "/x")


def test_after_an_unclear_attempt_no_later_one_says_that_nothing_was_sent() -> None:
    answers: Iterator[int] = iter([500, 401])

    class OneByOne(Deleting):
        concurrency = 1

    def vendor(_: Any) -> httpx.Response:
        return httpx.Response(next(answers))

    with httpx.Client(transport=httpx.MockTransport(vendor)) as mine, pytest.raises(errors.Interrupted) as caught:
        Contacts(OneByOne(api_key="k"), mine).delete_contacts(["c1", "c2"])
    assert caught.value.uncertain == ("c1",)
    assert caught.value.unsent == ("c2",)


@pytest.mark.parametrize("status", [409, 404])
def test_a_refusal_after_a_lost_answer_leaves_the_item_uncertain_unless_it_is_gone(status: int) -> None:
    seen: set[str] = set()

    def vendor(request: Any) -> httpx.Response:
        if request.url.path.endswith("c2") and "c2" not in seen:
            seen.add("c2")
            raise httpx.ReadError("the answer is lost")
        return httpx.Response(status, json={}) if request.url.path.endswith("c2") else httpx.Response(204)

    ids = ["c1", "c2", "c3"]
    with httpx.Client(transport=httpx.MockTransport(vendor)) as mine:
        contacts = Contacts(Deleting(api_key="k"), mine)
        if status == 404:
            assert contacts.delete_contacts(ids).absent == ("c2",)
            return
        with pytest.raises(errors.Interrupted) as caught:
            contacts.delete_contacts(ids)
    assert isinstance(caught.value.__cause__, errors.Rejected)
    assert set(caught.value.outcome.confirmed) == {"c1", "c3"}
    assert (caught.value.uncertain, caught.value.unsent) == (("c2",), ())


def test_requests_are_counted_when_they_are_sent() -> None:
    from contacts_core.provider import RateLimit

    class Paced(Bare):
        rate_limits = {"": RateLimit(10, 0.5)}  # noqa: RUF012 - as providers write it

    sent: list[float] = []
    slow = threading.Event()
    lock = threading.Lock()

    def vendor(_: Any) -> httpx.Response:
        with lock:
            sent.append(time.monotonic())
        if len(sent) <= 8:  # the first of them are stuck for a while, and the others wait for their slots
            slow.wait(0.8)
        return httpx.Response(200, json=1)

    with httpx.Client(transport=httpx.MockTransport(vendor)) as mine:
        contacts = Contacts(Paced(api_key="k"), mine)
        threads = [threading.Thread(target=contacts.request, args=("GET", "/x")) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for start in sent:
        assert sum(start <= moment < start + 0.49 for moment in sent) <= 10
