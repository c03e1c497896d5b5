"""Erasing people who are at all three vendors, against emulators at 20 ms latency: the whole way, plan to receipt."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from math import ceil
from typing import Any, Self

from benchmarks.figures import Figure
from contacts_core import Contacts, Identifier
from contacts_core.config import plugins
from contacts_core.emulator import people
from contacts_core.plans import Plan, Receipt, SafetyLimits, get_receipt, plan_erasure
from contacts_core.provider import HttpSettings

HTTP = HttpSettings()
LATENCY = 0.02
SPEED = 600.0  # half a minute of a vendor's job in 50 ms
TICK = 0.01
# What a sample of a thread is counted for: the innermost frame that belongs to one of these.
OWNERS = {
    "network": ("/httpx/", "/httpcore/", "/h11/", "/anyio/"),
    "DBOS": ("/dbos/", "/sqlalchemy/"),
    "ours": ("/contacts_core/", "/contacts_bird/", "/contacts_sendgrid/", "/contacts_user_api/", "/msgspec/"),
}


def run(*, quick: bool) -> Iterator[Figure]:
    """Plan, apply and verify."""
    count = 100 if quick else 10_000
    wanted = [Identifier.email(person.email) for person in people(count)]
    with ExitStack() as opened:
        clients = opened.enter_context(vendors(count))
        state = opened.enter_context(tempfile.TemporaryDirectory())
        began = time.perf_counter()
        plan = plan_erasure(wanted, clients, limits=SafetyLimits(contacts=count, share=1))
        planning = time.perf_counter() - began
        with Samples() as samples:
            began = time.perf_counter()
            receipt = plan.apply(clients, storage=state, pause=0.1)
            applying = time.perf_counter() - began
        assert receipt.complete
        in_flight = {each.name: each.provider.concurrency for each in clients}
        yield from figures(plan, receipt, planning, applying, in_flight)
        yield from samples.figures()
        size = sum(map(len, receipt.content()))
        began = time.perf_counter()
        get_receipt(receipt.run, storage=state)
        reading = time.perf_counter() - began
        yield Figure("seconds to check the receipt", reading, note=f"{len(receipt.lines):,} lines, {size / 1e6:.1f} MB")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Figure("peak memory in MB", peak, note="plan, run and receipt in one process", unit="{:.0f}")


def figures(
    plan: Plan, receipt: Receipt, planning: float, applying: float, concurrency: dict[str, int]
) -> Iterator[Figure]:
    """The times against their ideals."""
    sent: Counter[str] = Counter()
    for kind in ("step", "jobs", "read"):
        for line in receipt.of(kind):
            sent[line["account"]] += len(line["exchanges"])
    ideals = {name: n * LATENCY / min(concurrency[name], HTTP.max_connections) for name, n in sent.items()}
    slowest = max(ideals, key=lambda name: ideals[name])
    requests = ", ".join(f"{name} {n:,}" for name, n in sorted(sent.items()))
    note = f"{applying:.1f} s of {ideals[slowest]:.1f} s ({slowest}); requests: {requests}"
    yield Figure(
        f"{len(plan.people):,} people applied and verified, times the ideal", applying / ideals[slowest], note=note
    )
    looked = {
        "sendgrid": ceil(len(plan.people) / 100),
        "bird": len(plan.people),
        "user-api": ceil(len(plan.people) / 100),
    }
    ideal = max(
        n * LATENCY / (1 if name == "user-api" else min(concurrency[name], HTTP.max_connections))
        for name, n in looked.items()
    )
    yield Figure("the plan, times the ideal", planning / ideal, note=f"{planning:.1f} s of {ideal:.1f} s")
    bound = ceil(len(plan.people) / 100) + 2 * len(plan.people)
    yield Figure(
        "requests of the plan over the fewest possible", plan.requests / bound, most=1.0, note=f"{plan.requests:,}"
    )


@contextmanager
def vendors(count: int) -> Iterator[list[Contacts[Any]]]:
    """A client for each vendor, without pacing: the rates of the vendors would be all that is measured."""
    with ExitStack() as opened:
        served = opened.enter_context(served_vendors(count))
        yield [opened.enter_context(unpaced(name, settings)) for name, settings in served.items()]


def unpaced(name: str, settings: Mapping[str, Any]) -> Contacts[Any]:
    """A client for a vendor, without pacing."""
    return Contacts(type("Unpaced", (plugins.provider_class(name),), {"rate_limits": {}})(**settings), name=name)


@contextmanager
def served_vendors(count: int, latency: float = LATENCY) -> Iterator[dict[str, dict[str, Any]]]:
    """The settings of every vendor, whose emulators run in another process."""
    arguments = ["--port", "0", "--contacts", count, "--speed", SPEED, "--latency", latency * 1000, "--json"]
    command = [sys.executable, "-c", "from contacts_core.cli import main; main()", "sandbox", *map(str, arguments)]
    with ExitStack() as opened:
        process = opened.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        opened.callback(process.terminate)
        assert process.stdout
        served = json.loads(_document(process.stdout))["providers"]
        yield {name: vendor["settings"] for name, vendor in served.items()}


def _document(lines: Any) -> str:
    """The JSON document at the beginning of a stream that stays open."""
    text = ""
    for line in lines:
        text += line
        if line.startswith("}"):
            break
    return text


class Samples:
    """What the threads of a run are doing, looked at now and then."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(TICK):
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the way to see other threads
                # The engine's threads and the transports' own; those that only wait for others are not at work.
                if names.get(ident, "").startswith(("dbos-executor", "contacts_")):
                    self._counts[_owner(frame)] += 1

    def figures(self) -> Iterator[Figure]:
        """The share of each owner in the time that threads were at work."""
        total = sum(n for owner, n in self._counts.items() if owner != "idle") or 1
        for owner in OWNERS:
            note = f"{self._counts[owner]:,} of {total:,} samples of threads at work"
            yield Figure(f"share of {owner} in the run", self._counts[owner] / total, note=note)


def _owner(frame: Any) -> str:
    first = frame.f_code.co_filename
    if first.endswith(("threading.py", "concurrent/futures/thread.py", "concurrent/futures/_base.py")):
        return "idle"
    while frame is not None:
        name = frame.f_code.co_filename
        for owner, folders in OWNERS.items():
            if any(folder in name for folder in folders):
                return owner
        frame = frame.f_back
    return "other"
