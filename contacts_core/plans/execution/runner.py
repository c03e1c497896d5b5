"""Applying plans and looking after runs: what the package offers, on top of the durable engine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve

from contacts_core.client import AsyncContacts, Contacts
from contacts_core.errors import Cancelled, ConfigurationError, InvalidInput, PlanRefused, StorageError
from contacts_core.http.drivers import BeforeSend, EventHook
from contacts_core.plans import hooks
from contacts_core.plans.model import Plan, PlanKind
from contacts_core.plans.receipts.receipt import Receipt
from contacts_core.provider import Flow
from contacts_core.storage.database import Storage, locate_storage
from contacts_core.storage.tombstones import Tombstones

try:
    from contacts_core.plans.execution import engine
    from contacts_core.plans.execution.context import Runner, kept_plan
    from contacts_core.plans.execution.engine import Engine
    from contacts_core.plans.execution.workflows import check_accounts
    from contacts_core.storage.journal import Journal, Progress, Run
    from contacts_core.storage.leases import Stopped
except ModuleNotFoundError as missing:
    if missing.name == "fcntl":  # Python has it on POSIX systems only
        raise ConfigurationError(
            "applying plans needs a POSIX system (file locks)",
            hint="make and review plans here; apply them on Linux, macOS or WSL",
        ) from None
    raise ConfigurationError(
        f"runs need the package {missing.name} (extra plans)", hint="install contacts-core[plans]"
    ) from None

__all__ = [
    "RunStopped",
    "apply",
    "apply_async",
    "cancel",
    "get_receipt",
    "list_runs",
    "overview",
    "resume",
    "resume_async",
    "run_worker",
    "submit",
]

logger = logging.getLogger("contacts_core")

T = TypeVar("T")
Watch = Callable[[Sequence[Progress]], None]

GLANCE = 0.1  # seconds between two looks at how far a run got


class RunStopped(Cancelled):
    """A run was interrupted by the user and can be resumed; ``run`` is its name."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self.run = run
        self.args = (f"run {run} was interrupted after the steps that were under way",)
        self.hint = f"nothing is lost: contacts runs resume {run}"


def apply(
    plan: Plan,
    accounts: Sequence[str | Contacts[Any]] = (),
    *,
    storage: str | Path | None = None,
    timeout: float = 900.0,
    pause: float = 0.5,
    watch: Watch | None = None,
) -> Receipt:
    """Do what a plan says, durably, verify it, and give the receipt.

    If the process dies, `resume` goes on where it was. Before anything is changed, every account is read once more.

    Args:
        plan: The plan.
        accounts: Accounts that are open already; others are opened by their names.
        storage: Where the run is kept: a folder or a PostgreSQL URL; see `contacts_core.storage.database`.
        timeout: Seconds of patience with each account: for its jobs, and for its contacts to vanish.
        pause: Seconds before the second look at something; each further pause is longer.
        watch: Called now and then with how far each account got.

    Raises:
        PlanRefused: It was altered, a plugin objected, an account leads to another workspace, or what it is about to
            touch has changed since; nothing was changed.
        RunStopped: Ctrl-C; what was under way was finished.
        ConfigurationError: An account is unknown, or another process is at work in the same folder.
    """
    _allowed(plan)
    with Engine(locate_storage(storage), _runners(plan, accounts)) as running:
        return _followed(running, running.start(plan, {"timeout": timeout, "pause": pause}), watch)


async def apply_async(
    plan: Plan,
    accounts: Sequence[str | AsyncContacts[Any]] = (),
    *,
    storage: str | Path | None = None,
    timeout: float = 900.0,
    pause: float = 0.5,
    watch: Watch | None = None,
) -> Receipt:
    """The same as `apply`, with the requests of open accounts made in the caller's event loop."""
    _allowed(plan)
    options = {"timeout": timeout, "pause": pause}

    def run(doors: Sequence[Any], stop: _Stop) -> Receipt:
        with Engine(locate_storage(storage), _runners(plan, doors)) as running:
            return _followed(running, running.start(plan, options), watch, stop)

    return await _in_a_thread(accounts, run)


def submit(plan: Plan, *, storage: str | Path | None = None, timeout: float = 900.0, pause: float = 0.5) -> str:
    """Put a run where workers find it, and give its name.

    Where an erasure is kept in another storage than the one in force here, its tombstones are left here at once: the
    workers leave theirs where they are.

    Raises:
        ConfigurationError: The storage is a folder, where no worker of another machine would find it.
        PlanRefused: It was altered, or a plugin objected.
    """
    place = locate_storage(storage)
    if not place.shared:
        raise ConfigurationError("workers share runs through PostgreSQL", hint="set CONTACTS_STORAGE=postgresql://…")
    _allowed(plan)
    with Engine(place, {}, listens=False) as running:
        run = running.start(plan, {"timeout": timeout, "pause": pause})
    if plan.kind is PlanKind.ERASE and place != locate_storage():
        Tombstones(locate_storage()).add((i for person in plan.people for i in person.identifiers), run)
    return run


def resume(
    run: str,
    accounts: Sequence[str | Contacts[Any]] = (),
    *,
    storage: str | Path | None = None,
    watch: Watch | None = None,
) -> Receipt:
    """Go on with a run: where it was, if it was interrupted; else with another round for whoever is still there.

    A run with nothing left to do gives its receipt.

    Raises:
        InvalidInput: There is no such run.
        PlanRefused: It was refused when it began, or an account leads to another workspace now.
        RunStopped: Ctrl-C; what was under way was finished.
    """
    return _resumed(run, accounts, storage, watch, None)


async def resume_async(
    run: str,
    accounts: Sequence[str | AsyncContacts[Any]] = (),
    *,
    storage: str | Path | None = None,
    watch: Watch | None = None,
) -> Receipt:
    """The same as `resume`, with the requests of open accounts made in the caller's event loop."""
    return await _in_a_thread(accounts, lambda doors, stop: _resumed(run, doors, storage, watch, stop))


def cancel(run: str, *, storage: str | Path | None = None) -> Run:
    """End a run after the steps under way, whichever process does it; what is done stays done."""
    return engine.cancel(locate_storage(storage), run)


def list_runs(*, storage: str | Path | None = None) -> list[Run]:
    """Every run, the latest first."""
    place = locate_storage(storage)
    return [_as_it_is(place, run) for run in Journal(place).all()] if place.exists else []


def overview(run: str, *, storage: str | Path | None = None) -> tuple[Run, list[Progress]]:
    """A run, and how far it got in each account.

    Raises:
        InvalidInput: There is no such run.
    """
    place = locate_storage(storage)
    journal = Journal(place)
    return _as_it_is(place, journal.run(run)), journal.progress(run)


def get_receipt(run: str, *, storage: str | Path | None = None) -> Receipt:
    """The receipt of a run.

    Raises:
        InvalidInput: There is no such run, or it has not ended.
    """
    journal = Journal(locate_storage(storage))
    found = journal.run(run)
    text = journal.receipt(run)
    if text is None:
        raise InvalidInput(f"run {run} is {found.state} and has no receipt yet", hint=f"contacts runs resume {run}")
    return Receipt.parse(text)


def run_worker(*, storage: str | Path | None = None, until: Callable[[], bool] | None = None) -> None:
    """Drain the queues of a shared storage until interrupted, or until ``until`` says so between two looks.

    Raises:
        ConfigurationError: The storage is a folder, which one process works on alone.
    """
    place = locate_storage(storage)
    if not place.shared:
        raise ConfigurationError("workers share runs through PostgreSQL", hint="set CONTACTS_STORAGE=postgresql://…")
    with Engine(place, {}):
        while not (until and until()):
            time.sleep(GLANCE)


def _as_it_is(place: Storage, run: Run) -> Run:
    """The run; one that nobody is at work on, for the process is gone that was, is interrupted."""
    if run.state != "running" or place.shared:
        return run
    try:
        with engine.folder_lock(place):
            return evolve(run, state="interrupted")
    except engine.Busy:
        return run


class _Stop:
    """How the caller's loop tells the thread of the engine to come to an end."""

    def __init__(self) -> None:
        self.wanted = False  # after the steps under way
        self.abandoned = threading.Event()  # at once: nothing more is sent


def _resumed(
    run: str, accounts: Sequence[Any], storage: str | Path | None, watch: Watch | None, stop: _Stop | None
) -> Receipt:
    place = locate_storage(storage)
    journal = Journal(place)
    known = journal.run(run)
    if known.state == "refused":
        raise PlanRefused(f"run {run} was refused: {known.reason}", hint="make a new plan")
    plan = kept_plan(journal, run)
    if plan is None:
        return get_receipt(run, storage=storage)
    with Engine(place, _runners(plan, accounts)) as running:
        check_accounts(running.session, known)
        running.resume(run)
        return _followed(running, run, watch, stop)


async def _in_a_thread(accounts: Sequence[Any], run: Callable[[Sequence[Any], _Stop], Receipt]) -> Receipt:
    """Run the engine in a thread; if the task is cancelled, it stops after the steps under way, or at once if twice."""
    loop = asyncio.get_running_loop()
    stop = _Stop()
    bridged = [each if isinstance(each, str) else _Bridge(each, loop, stop) for each in accounts]
    task = asyncio.ensure_future(asyncio.to_thread(run, bridged, stop))
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            if cancelled:  # the second one: what is under way is given up
                stop.abandoned.set()
            cancelled = stop.wanted = True
    if cancelled:
        task.exception()  # it is taken note of: the caller asked for the end
        raise asyncio.CancelledError
    return task.result()


def _followed(running: Engine, id: str, watch: Watch | None, stop: _Stop | None = None) -> Receipt:
    try:
        while (ended := running.ended(id)) is None:
            if watch:
                watch(running.journal.progress(id))
            if stop and stop.wanted:
                break
            time.sleep(GLANCE)
    except KeyboardInterrupt:
        logger.warning("interrupted; the steps that are under way are finished first")
        ended = None
    if ended is None:
        raise RunStopped(id)
    if watch:
        with contextlib.suppress(KeyboardInterrupt):  # it has ended: there is nothing to interrupt any more
            watch(running.journal.progress(id))
    if ended.state == "refused":
        raise PlanRefused(ended.reason, hint="make a new plan (--replan shows what it would be)")
    return receipt_of(running, id)


def receipt_of(running: Engine, id: str) -> Receipt:
    """The receipt of a run that has ended.

    Raises:
        StorageError: None could be written.
    """
    text = running.journal.receipt(id)
    if text is None:
        run = running.journal.run(id)
        raise StorageError(
            f"run {id} ended as {run.state} and has no receipt: {run.reason or 'its receipt key is another one'}",
            hint=f"what was done stays done; contacts runs resume {id} reads everybody again",
        )
    return Receipt.parse(text)


def _allowed(plan: Plan) -> None:
    """Refuse what was altered, and what a plugin forbids."""
    plan.check()
    hooks.before_apply(plan)
    plan.check()  # a plugin has had it in hand


def _runners(plan: Plan, accounts: Sequence[Any]) -> dict[str, Runner]:
    doors: dict[str, Runner] = {}
    for each in accounts:
        name = each if isinstance(each, str) else each.name
        if name not in plan.by_account:
            raise InvalidInput(f"the plan says nothing of {name}", hint=f"it is for {', '.join(plan.by_account)}")
        if not isinstance(each, str):
            doors[name] = each
    return doors


class _Bridge:
    """An `AsyncContacts` for the engine's threads: flows run in its own event loop."""

    def __init__(self, door: AsyncContacts[Any], loop: asyncio.AbstractEventLoop, stop: _Stop) -> None:
        self._door, self._loop, self._stop = door, loop, stop
        self.name, self.provider = door.name, door.provider

    def run(self, flow: Flow[T]) -> T:
        async def inside() -> T:
            return await self._door.run(flow)

        if self._over():
            raise Stopped
        running = asyncio.run_coroutine_threadsafe(inside(), self._loop)
        while not running.done():
            wait([running], timeout=GLANCE)
            if not running.done() and self._over():  # the loop will not run it any more, or the caller gave up
                running.cancel()
                raise Stopped
        if running.cancelled():
            raise Stopped
        return running.result()

    def _over(self) -> bool:
        return self._stop.abandoned.is_set() or not self._loop.is_running()

    def add_event_hook(self, hook: EventHook) -> Callable[[], None]:
        return self._door.add_event_hook(hook)

    def add_before_send(self, hook: BeforeSend) -> Callable[[], None]:
        return self._door.add_before_send(hook)

    def charge_rate_limit(self, requests: int) -> None:
        self._door.charge_rate_limit(requests)
