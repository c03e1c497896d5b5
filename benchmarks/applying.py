"""How far planning and applying are from the ideal, and why: an erasure in three accounts, over HTTP at 20 ms latency.

The ideal is requests times latency over concurrency, of the slowest account; the accounts wait for one another once,
between the check of the plan and the work. The vendor works its contacts out, so that it needs little of the processor
that the client works on; what is left of its share, and of the HTTP library's, is told by a bare client, which sends as
many requests of the same size with as many in flight, and does nothing with the answers.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from itertools import pairwise
from math import ceil
from typing import Any

import httpx
from attrs import field, frozen

from benchmarks import bare_client
from benchmarks.crowd import CrowdOfHundreds, CrowdOfOnes
from benchmarks.figures import Figure
from benchmarks.server import serving
from contacts_core import Contacts, Identifier
from contacts_core.plans import Receipt, SafetyLimits, apply, plan_erasure
from contacts_core.storage.database import locate_storage
from contacts_core.storage.journal import Event, Journal

LATENCY = 0.02
TARGET = 1.3
ACCOUNTS = {"ones": CrowdOfOnes, "more-ones": CrowdOfOnes, "hundreds": CrowdOfHundreds}


@frozen
class Phase:
    """What accounts do at the same time: how many requests each sends, of how many contacts, and how many at once."""

    requests: Mapping[str, int]
    sizes: Mapping[str, int] = field(factory=lambda: {name: kind.find_batch_size for name, kind in ACCOUNTS.items()})
    in_flight: Mapping[str, int] = field(factory=lambda: {name: kind.concurrency for name, kind in ACCOUNTS.items()})

    @property
    def ideal(self) -> float:
        """The seconds that it takes if nothing costs time but the vendor's latency."""
        return max(ceil(n / self.in_flight[name]) * LATENCY for name, n in self.requests.items())


def run(*, quick: bool) -> Iterator[Figure]:
    """Plan, apply and verify, and the same requests by a bare client."""
    people = 200 if quick else 2000
    wanted = [Identifier.email(f"p{number}@example.com") for number in range(people)]
    with ExitStack() as opened:
        address = opened.enter_context(serving("crowd", LATENCY))
        state = opened.enter_context(tempfile.TemporaryDirectory())
        clients = [
            opened.enter_context(Contacts(kind(base_url=f"{address}/{name}"), name=name))
            for name, kind in ACCOUNTS.items()
        ]
        cpu, began = time.process_time(), time.perf_counter()
        plan = plan_erasure(wanted, clients, limits=SafetyLimits(contacts=people, share=1))
        planning = time.perf_counter() - began
        looked_up = Phase({name: ceil(people / kind.find_batch_size) for name, kind in ACCOUNTS.items()})
        cpu = time.process_time() - cpu
        yield from _compared("the plan", planning, [looked_up], [_bare(address, looked_up)])
        yield _processor(cpu, looked_up, "the plan")
        cpu, began = time.process_time(), time.perf_counter()
        receipt = apply(plan, clients, storage=state, pause=0.1)
        applying = time.perf_counter() - began
        cpu = time.process_time() - cpu
        assert receipt.complete
        phases = [_phase(receipt, check=True), _phase(receipt, check=False)]
        bare_cpu = time.process_time()
        yield from _compared("applied and verified", applying, phases, [_bare(address, phase) for phase in phases])
        bare_cpu = time.process_time() - bare_cpu
        whole = Phase({name: sum(phase.requests[name] for phase in phases) for name in ACCOUNTS})
        yield _processor(cpu, whole, "applying")
        yield _processor(bare_cpu, whole, "the bare client")
        yield from _breakdown(Journal(locate_storage(state)), receipt.run, applying, phases)


def _compared(what: str, seconds: float, phases: Sequence[Phase], bare: Sequence[float]) -> Iterator[Figure]:
    ideal, reached = sum(phase.ideal for phase in phases), sum(bare)
    requests = sum(sum(phase.requests.values()) for phase in phases)
    note = f"{seconds:.2f} s of {ideal:.2f} s; {requests:,} requests"
    yield Figure(f"{what}, times the ideal", seconds / ideal, most=TARGET, note=note)
    note = f"the bare client needs {reached:.2f} s"
    yield Figure(f"{what}, times what the bare client reaches", seconds / reached, most=TARGET, note=note)


def _processor(seconds: float, phase: Phase, what: str) -> Figure:
    requests = sum(phase.requests.values())
    note = f"{seconds:.2f} s for {requests:,} requests; without the vendor's"
    return Figure(f"processor time of a request of {what} in ms", seconds / requests * 1000, note=note)


def _phase(receipt: Receipt, *, check: bool) -> Phase:
    counts = dict.fromkeys(ACCOUNTS, 0)
    for kind in ("step", "read"):
        for line in receipt.of(kind):
            counts[line["account"]] += len(line["exchanges"]) if (line.get("path") == "check") is check else 0
    return Phase(counts)


def _bare(address: str, phase: Phase) -> float:
    """The seconds in which a bare client for each account sends the requests of a phase, all accounts at once."""
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
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began


def _breakdown(journal: Journal, run: str, applying: float, phases: Sequence[Phase]) -> Iterator[Figure]:
    """Where the seconds went in the account that ended last."""
    events: dict[str, list[Event]] = {name: [] for name in ACCOUNTS}
    for event in journal.events(run):
        events[event.account].append(event)
    last = max(ACCOUNTS, key=lambda name: _moment(events[name][-1].ended_at))
    mine, about = events[last], journal.run(run)
    asking = [event for event in mine if "exchanges" in event.body and _seconds(event) > 0]
    results = [event for event in mine if event.type in {"results", "ended"}]
    ideal = sum(ceil(phase.requests[last] / phase.in_flight[last]) * LATENCY for phase in phases)
    requests = sum(map(_seconds, asking))
    between = sum(max(0.0, _moment(b.begun_at) - _moment(a.ended_at)) for a, b in pairwise(asking))
    begun, ended = _moment(about.begun_at), _moment(about.ended_at)
    verdicts = _moment(results[-1].ended_at) - _moment(asking[-1].ended_at)
    receipt = ended - _moment(results[-1].ended_at)
    yield Figure(f"seconds of requests ({last}, which ends last)", requests, note=f"ideal {ideal:.2f} s")
    yield Figure("seconds between its steps, and waiting for the others' checks", between, note=f"{len(asking)} steps")
    yield Figure("seconds to record the results", verdicts)
    yield Figure("seconds to write and check the receipt", receipt)
    start = _moment(asking[0].begun_at) - begun
    note = f"of these {start:.2f} s from the run's record to the first request"
    yield Figure("seconds to begin and to end", applying - (ended - begun) + start, note=note)


def _seconds(event: Event) -> float:
    return _moment(event.ended_at) - _moment(event.begun_at)


def _moment(text: str | None) -> float:
    assert text
    return datetime.fromisoformat(text).timestamp()
