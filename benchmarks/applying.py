"""How far planning and applying are from the ideal, and why: an erasure in three accounts, over HTTP.

The ideal is requests times latency over concurrency, of the slowest account; the accounts wait for one another once,
between the check of the plan and the work. The vendor works its contacts out, and has a processor of its own if there
are two: what it needs is no part of the figures. What is left is the HTTP library's share, which is told by a bare
client: it sends as many requests of the same size with as many in flight, and does nothing with the answers.

There are two latencies: 20 ms, where one interpreter has only a millisecond for each request, and 50 ms, as in the
benchmarks of paging and deletes. None is a vendor's: nobody has measured those.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from itertools import pairwise
from math import ceil
from typing import Any, TypeVar

import httpx
from attrs import field, frozen

from benchmarks import bare_client
from benchmarks.crowd import CrowdOfHundreds, CrowdOfOnes
from benchmarks.figures import Figure
from benchmarks.server import serving_apart
from contacts_core import Contacts, Identifier
from contacts_core.plans import Receipt, SafetyLimits, apply, plan_erasure
from contacts_core.storage.database import locate_storage
from contacts_core.storage.journal import Event, Journal

LATENCIES = {0.02: 2000, 0.05: 800}  # in seconds, and the people that are erased, so that all ideals are the same
TARGET = 1.3
T = TypeVar("T")
ACCOUNTS = {"ones": CrowdOfOnes, "more-ones": CrowdOfOnes, "hundreds": CrowdOfHundreds}


@frozen
class Phase:
    """What accounts do at the same time: how many requests each sends, of how many contacts, and how many at once."""

    latency: float
    requests: Mapping[str, int]
    sizes: Mapping[str, int] = field(factory=lambda: {name: kind.find_batch_size for name, kind in ACCOUNTS.items()})
    in_flight: Mapping[str, int] = field(factory=lambda: {name: kind.concurrency for name, kind in ACCOUNTS.items()})

    @property
    def ideal(self) -> float:
        """The seconds that it takes if nothing costs time but the vendor's latency."""
        return max(ceil(n / self.in_flight[name]) * self.latency for name, n in self.requests.items())

    @property
    def sent(self) -> int:
        """Requests of all accounts."""
        return sum(self.requests.values())


@frozen
class Spent:
    """What something took, in seconds of the clock and of this process's processor time."""

    seconds: float
    processor: float


def run(*, quick: bool) -> Iterator[Figure]:
    """Plan, apply and verify, and the same requests by a bare client, with each latency."""
    for latency, people in LATENCIES.items():
        yield from _with_latency(latency, people // 10 if quick else people)


def _with_latency(latency: float, people: int) -> Iterator[Figure]:
    wanted = [Identifier.email(f"p{number}@example.com") for number in range(people)]
    at = f"{latency * 1000:.0f} ms"
    with ExitStack() as opened:
        address = opened.enter_context(serving_apart("crowd", latency))
        state = opened.enter_context(tempfile.TemporaryDirectory())
        clients = [
            opened.enter_context(Contacts(kind(base_url=f"{address}/{name}"), name=name))
            for name, kind in ACCOUNTS.items()
        ]
        limits = SafetyLimits(contacts=people, share=1)
        plan, planning = _timed(lambda: plan_erasure(wanted, clients, limits=limits))
        looked_up = Phase(latency, {name: ceil(people / kind.find_batch_size) for name, kind in ACCOUNTS.items()})
        yield from _compared(f"{at}: the plan", planning, [looked_up], address)
        receipt, applying = _timed(lambda: apply(plan, clients, storage=state, pause=0.1))
        assert receipt.complete
        phases = [_phase(latency, receipt, check=True), _phase(latency, receipt, check=False)]
        yield from _compared(f"{at}: applied and verified", applying, phases, address)
        yield from _breakdown(at, Journal(locate_storage(state)), receipt.run, applying.seconds, phases)


def _timed(work: Callable[[], T]) -> tuple[T, Spent]:
    processor, began = time.process_time(), time.perf_counter()
    result = work()
    return result, Spent(time.perf_counter() - began, time.process_time() - processor)


def _compared(what: str, spent: Spent, phases: Sequence[Phase], address: str) -> Iterator[Figure]:
    sent = [_send_bare(address, phase) for phase in phases]
    bare = Spent(sum(each.seconds for each in sent), sum(each.processor for each in sent))
    ideal, requests = sum(phase.ideal for phase in phases), sum(phase.sent for phase in phases)
    note = f"{spent.seconds:.2f} s of {ideal:.2f} s; {requests:,} requests"
    yield Figure(f"{what}, times the ideal", spent.seconds / ideal, most=TARGET, note=note)
    note = f"the bare client needs {bare.seconds:.2f} s, {bare.seconds / ideal:.2f} times the ideal"
    yield Figure(f"{what}, times what the bare client reaches", spent.seconds / bare.seconds, most=TARGET, note=note)
    note = f"{_ms(spent, requests)} ms a request; the bare client {_ms(bare, requests)}"
    yield Figure(f"{what}, processor time, times the bare client's", spent.processor / bare.processor, note=note)


def _ms(spent: Spent, requests: int) -> str:
    return f"{spent.processor / requests * 1000:.2f}"


def _phase(latency: float, receipt: Receipt, *, check: bool) -> Phase:
    counts = dict.fromkeys(ACCOUNTS, 0)
    for kind in ("step", "read"):
        for line in receipt.of(kind):
            counts[line["account"]] += len(line["exchanges"]) if (line.get("path") == "check") is check else 0
    return Phase(latency, counts)


def _send_bare(address: str, phase: Phase) -> Spent:
    """What it takes a bare client for each account to send the requests of a phase, all accounts at once."""
    threads: list[threading.Thread] = []
    with ExitStack() as opened:
        for name, requests in phase.requests.items():
            client = opened.enter_context(bare_client.blocking())
            body = {"numbers": list(range(phase.sizes[name]))}
            turns = iter(range(requests))

            def send(client: httpx.Client = client, name: str = name, body: Any = body, turns: Any = turns) -> None:
                for _ in turns:
                    client.post(f"{address}/bare-{name}/there", json=body).raise_for_status()

            threads += [threading.Thread(target=send) for _ in range(phase.in_flight[name])]
        _, spent = _timed(lambda: _join(threads))
        return spent


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _breakdown(at: str, journal: Journal, run: str, applying: float, phases: Sequence[Phase]) -> Iterator[Figure]:
    """Where the seconds went in the account that ended last."""
    events: dict[str, list[Event]] = {name: [] for name in ACCOUNTS}
    for event in journal.events(run):
        events[event.account].append(event)
    last = max(ACCOUNTS, key=lambda name: _moment(events[name][-1].ended_at))
    mine, about = events[last], journal.run(run)
    asking = [event for event in mine if "exchanges" in event.body and _seconds(event) > 0]
    results = [event for event in mine if event.type in {"results", "ended"}]
    ideal = sum(ceil(phase.requests[last] / phase.in_flight[last]) * phase.latency for phase in phases)
    requests = sum(map(_seconds, asking))
    between = sum(max(0.0, _moment(b.begun_at) - _moment(a.ended_at)) for a, b in pairwise(asking))
    begun, ended = _moment(about.begun_at), _moment(about.ended_at)
    verdicts = _moment(results[-1].ended_at) - _moment(asking[-1].ended_at)
    receipt = ended - _moment(results[-1].ended_at)
    yield Figure(f"{at}: seconds of requests ({last}, which ends last)", requests, note=f"ideal {ideal:.2f} s")
    yield Figure(
        f"{at}: seconds between its steps, and waiting for the others' checks", between, note=f"{len(asking)} steps"
    )
    yield Figure(f"{at}: seconds to record the results", verdicts)
    yield Figure(f"{at}: seconds to write and check the receipt", receipt)
    start = _moment(asking[0].begun_at) - begun
    note = f"of these {start:.2f} s from the run's record to the first request"
    yield Figure(f"{at}: seconds to begin and to end", applying - (ended - begun) + start, note=note)


def _seconds(event: Event) -> float:
    return _moment(event.ended_at) - _moment(event.begun_at)


def _moment(text: str | None) -> float:
    assert text
    return datetime.fromisoformat(text).timestamp()
