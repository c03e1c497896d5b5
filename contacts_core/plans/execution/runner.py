"""Applying plans and managing runs: the public functions, on top of the durable engine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import wait
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve

from contacts_core.client import AsyncContacts, Contacts
from contacts_core.errors import Cancelled, ConfigurationError, InvalidInput, PlanRefused, StorageError
from contacts_core.http.hooks import BeforeSend, EventHook
from contacts_core.plans import hooks
from contacts_core.plans.change import PairHandler
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.model import Plan
from contacts_core.plans.receipts.receipt import Receipt
from contacts_core.provider import Flow
from contacts_core.storage.database import Storage, locate_storage
from contacts_core.storage.tombstones import Tombstones

try:
    from contacts_core.plans.execution import engine
    from contacts_core.plans.execution.context import Runner, stored_plan
    from contacts_core.plans.execution.engine import Engine
    from contacts_core.plans.execution.workflows import check_accounts
    from contacts_core.plans.receipts.stored import stored_receipt
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
    "forget",
    "get_receipt",
    "list_runs",
    "overview",
    "resume",
    "resume_async",
    "run_worker",
    "submit",
    "undoable_plan",
]

logger = logging.getLogger("contacts_core")

T = TypeVar("T")
Watcher = Callable[[Sequence[Progress]], None]

POLL_INTERVAL_S = 0.25  # between two looks at the progress of a run; its end in this process is seen at once


class RunStopped(Cancelled):
    """A run was interrupted by the user and can be resumed. ``run`` is its id."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self.run = run
        self.args = (f"run {run} was interrupted after the steps that were under way",)
        self.hint = f"nothing is lost; continue with: contacts runs resume {run}"


def apply(
    plan: Plan,
    accounts: Sequence[str | Contacts[Any]] = (),
    *,
    storage: str | Path | None = None,
    timeout: float = 900.0,
    pause: float = 0.5,
    watch: Watcher | None = None,
    on_pair: PairHandler | None = None,
) -> Receipt:
    """Apply a plan durably, verify the result, and return the receipt.

    If the process dies, `resume` continues where it was. Before anything is changed, every account is read once more.

    Args:
        plan: The plan.
        accounts: Accounts that are open already. Others are opened by name.
        storage: Where the run is kept: a folder or a PostgreSQL URL; see `contacts_core.storage.database`.
        timeout: Seconds to wait in each account for the vendor's jobs, and for contacts to disappear.
        pause: Seconds before the second check of something. Each further pause is longer.
        watch: Called regularly with the progress of each account.
        on_pair: Called with the ids of each contact that was written, as soon as a read shows it: the id that it has
            where it was copied from, and its new one. If it fails, a warning is logged and the run continues. It is
            not called for work that other processes of a shared storage do.

    Raises:
        PlanRefused: It was altered, a plugin objected, an account leads to another workspace, or contacts of the plan
            have changed since. Nothing was changed.
        RunStopped: Ctrl-C. The steps under way were finished.
        ConfigurationError: An account is unknown, another process is using the same folder, this process is running a
            plan already, the program uses DBOS itself, or SQLite is too old for DBOS.
    """
    located = locate_storage(storage)
    engine.check_process(located)
    _check_allowed(plan)
    with Engine(located, _runners(_names(plan), accounts), on_pair) as started:
        return _follow(started, started.start(plan, {"timeout": timeout, "pause": pause}), watch)


async def apply_async(
    plan: Plan,
    accounts: Sequence[str | AsyncContacts[Any]] = (),
    *,
    storage: str | Path | None = None,
    timeout: float = 900.0,
    pause: float = 0.5,
    watch: Watcher | None = None,
    on_pair: PairHandler | None = None,
) -> Receipt:
    """Apply a plan as `apply` does, with the requests of open accounts sent in the caller's event loop."""
    located = locate_storage(storage)
    engine.check_process(located)
    _check_allowed(plan)
    options = {"timeout": timeout, "pause": pause}

    def run(clients: Sequence[Any], stop: _Stop) -> Receipt:
        with Engine(located, _runners(_names(plan), clients), on_pair) as started:
            return _follow(started, started.start(plan, options), watch, stop)

    return await _in_a_thread(accounts, run)


def submit(plan: Plan, *, storage: str | Path | None = None, timeout: float = 900.0, pause: float = 0.5) -> str:
    """Queue a run for workers, and return its id. A program that uses DBOS itself can do this too.

    If the run of an erasure is in another storage than this process's default one, tombstones are added to the default
    one at once. The workers add theirs to their own.

    Raises:
        ConfigurationError: The storage is a folder, which workers on other machines cannot reach.
        PlanRefused: It was altered, or a plugin objected.
    """
    located = locate_storage(storage)
    if not located.shared:
        raise ConfigurationError("workers share runs through PostgreSQL", hint="set CONTACTS_STORAGE=postgresql://…")
    _check_allowed(plan)
    run = engine.submit(located, plan, {"timeout": timeout, "pause": pause})
    if kind_of(plan.kind).leaves_tombstones and located != locate_storage():
        Tombstones(locate_storage()).add((i for person in plan.people for i in person.identifiers), run)
    return run


def resume(
    run: str,
    accounts: Sequence[str | Contacts[Any]] = (),
    *,
    storage: str | Path | None = None,
    watch: Watcher | None = None,
    on_pair: PairHandler | None = None,
) -> Receipt:
    """Continue a run: where it was, if it was interrupted; otherwise with another round for contacts still there.

    If nothing is left to do, only return the receipt. ``on_pair`` is called as `apply` does, for contacts that are
    verified from now on.

    Raises:
        InvalidInput: There is no such run.
        PlanRefused: It was refused when it began, or an account leads to another workspace now.
        RunStopped: Ctrl-C. The steps under way were finished.
        ConfigurationError: As for `apply`.
    """
    return _resume(run, accounts, storage, watch, None, on_pair)


async def resume_async(
    run: str,
    accounts: Sequence[str | AsyncContacts[Any]] = (),
    *,
    storage: str | Path | None = None,
    watch: Watcher | None = None,
    on_pair: PairHandler | None = None,
) -> Receipt:
    """Continue a run as `resume` does, with the requests of open accounts sent in the caller's event loop."""
    return await _in_a_thread(accounts, lambda clients, stop: _resume(run, clients, storage, watch, stop, on_pair))


def cancel(run: str, *, storage: str | Path | None = None) -> Run:
    """End a run after the steps under way, in whichever process. What is done stays done."""
    return engine.cancel(locate_storage(storage), run)


def forget(run: str, *, storage: str | Path | None = None) -> Run:
    """Delete the plan of a run that has ended, with the personal data in it. Its receipt stays.

    The run can be neither resumed nor undone afterwards.

    Raises:
        InvalidInput: There is no such run.
        PlanRefused: It has not ended.
    """
    found, _ = overview(run, storage=storage)
    _check_ended(found)
    Journal(locate_storage(storage)).forget(run)
    return found


def undoable_plan(run: str, *, storage: str | Path | None = None) -> tuple[Plan, Mapping[str, Collection[int]]]:
    """Return the plan of a run that can be undone, and which of its changes created nothing; see `make_undo_plan`.

    Raises:
        InvalidInput: There is no such run.
        PlanRefused: It has not ended, its kind cannot be undone, or its plan was deleted.
    """
    found, _ = overview(run, storage=storage)
    kind = kind_of(found.kind)
    if not kind.can_be_undone:
        raise PlanRefused(f"run {run} cannot be undone: {kind.why_not_undone}", hint=kind.instead_of_undo)
    _check_ended(found)
    if found.state == "refused":
        raise PlanRefused(f"run {run} was refused, and changed nothing", hint="there is nothing to undo")
    journal = Journal(locate_storage(storage))
    plan = stored_plan(journal, run)
    if plan is None:
        raise PlanRefused(
            f"run {run} cannot be undone any more: its plan was deleted, which tells what was there before",
            hint="read the contacts, and change them by another plan",
        )
    return plan, journal.found_there(run)


def _check_ended(run: Run) -> None:
    if run.state in {"running", "interrupted"}:
        going_on = "is still going on" if run.state == "running" else "was interrupted, and is not over"
        raise PlanRefused(
            f"run {run.id} {going_on}",
            hint=f"contacts runs resume {run.id} goes on, contacts runs cancel {run.id} ends it",
        )


def list_runs(*, storage: str | Path | None = None) -> list[Run]:
    """Return every run, the latest first."""
    located = locate_storage(storage)
    return [_with_state(located, run) for run in Journal(located).all()] if located.exists else []


def overview(run: str, *, storage: str | Path | None = None) -> tuple[Run, list[Progress]]:
    """Return a run, and its progress in each account.

    Raises:
        InvalidInput: There is no such run.
    """
    located = locate_storage(storage)
    journal = Journal(located)
    return _with_state(located, journal.run(run)), journal.progress(run)


def get_receipt(run: str, *, storage: str | Path | None = None) -> Receipt:
    """Return the receipt of a run.

    Raises:
        InvalidInput: There is no such run, or it has not ended.
    """
    journal = Journal(locate_storage(storage))
    found = journal.run(run)
    receipt = stored_receipt(journal, run)
    if receipt is None:
        raise InvalidInput(f"run {run} is {found.state} and has no receipt yet", hint=f"contacts runs resume {run}")
    return receipt


def run_worker(*, storage: str | Path | None = None, until: Callable[[], bool] | None = None) -> None:
    """Work on the queue of a shared storage until interrupted, or until ``until`` returns True.

    Raises:
        ConfigurationError: The storage is a folder, which only one process can use, or the program uses DBOS itself.
    """
    located = locate_storage(storage)
    engine.check_process(located)
    if not located.shared:
        raise ConfigurationError("workers share runs through PostgreSQL", hint="set CONTACTS_STORAGE=postgresql://…")
    with Engine(located, {}):
        while not (until and until()):
            time.sleep(POLL_INTERVAL_S)


def _with_state(located: Storage, run: Run) -> Run:
    """Return the run, marked as interrupted if the process that worked on it is gone."""
    if run.state != "running" or located.shared:
        return run
    try:
        with engine.folder_lock(located):
            return evolve(run, state="interrupted")
    except engine.Busy:
        return run


class _Stop:
    """How the caller's event loop tells the engine's thread to stop."""

    def __init__(self) -> None:
        self.wanted = False  # after the steps under way
        self.abandoned = threading.Event()  # at once: nothing more is sent


def _resume(
    run: str,
    accounts: Sequence[Any],
    storage: str | Path | None,
    watch: Watcher | None,
    stop: _Stop | None,
    on_pair: PairHandler | None,
) -> Receipt:
    located = locate_storage(storage)
    engine.check_process(located)
    journal = Journal(located)
    earlier = journal.run(run)
    if earlier.state == "refused":
        raise PlanRefused(f"run {run} was refused: {earlier.reason}", hint="make a new plan")
    kept = earlier.state == "done" and kind_of(earlier.kind).can_be_undone
    if journal.plan(run) is None or kept:
        return get_receipt(run, storage=storage)
    with Engine(located, _runners([*earlier.accounts, *_sources(journal, earlier)], accounts), on_pair) as started:
        check_accounts(started.session, earlier)
        started.resume(run)
        return _follow(started, run, watch, stop)


async def _in_a_thread(accounts: Sequence[Any], run: Callable[[Sequence[Any], _Stop], Receipt]) -> Receipt:
    """Run the engine in a thread. It stops after the steps under way if the task is cancelled, or at once if twice."""
    loop = asyncio.get_running_loop()
    stop = _Stop()
    bridged = [a if isinstance(a, str) else _Bridge(a, loop, stop) for a in accounts]
    task = asyncio.ensure_future(asyncio.to_thread(run, bridged, stop))
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            if cancelled:  # for the second time: abandon the steps under way
                stop.abandoned.set()
            cancelled = stop.wanted = True
        except BaseException:  # Ctrl-C struck this very task: the loop ends, and the thread must not go on without it
            stop.abandoned.set()
            stop.wanted = True
            raise
    if cancelled:
        task.exception()  # retrieved, so that asyncio does not log it: the caller asked for the end
        raise asyncio.CancelledError
    return task.result()


def _follow(started: Engine, id: str, watch: Watcher | None, stop: _Stop | None = None) -> Receipt:
    try:
        while True:
            started.session.concluded.clear()
            if (ended := started.find_ended(id)) is not None:
                break
            if watch:
                watch(started.journal.progress(id))
            if stop and stop.wanted:
                break
            started.session.concluded.wait(POLL_INTERVAL_S)
    except KeyboardInterrupt:
        logger.warning("interrupted; finishing the steps under way")
        ended = None
    if ended is None:
        raise RunStopped(id)
    if watch:
        with contextlib.suppress(KeyboardInterrupt):  # it has ended, so there is nothing left to interrupt
            watch(started.journal.progress(id))
    if ended.state == "refused":
        raise PlanRefused(ended.reason, hint="make a new plan (--replan shows what it would be)")
    return receipt_of(started, id)


def receipt_of(started: Engine, id: str) -> Receipt:
    """Return the receipt of a run that has ended.

    Raises:
        StorageError: It could not be written.
    """
    receipt = started.session.receipt(id) or stored_receipt(started.journal, id)
    if receipt is None:
        run = started.journal.run(id)
        raise StorageError(
            f"run {id} ended as {run.state} and has no receipt: {run.reason or 'the receipt key has changed'}",
            hint=f"what was done stays done; contacts runs resume {id} verifies it again",
        )
    return receipt


def _check_allowed(plan: Plan) -> None:
    """Raise PlanRefused if the plan was altered, or a plugin objects."""
    plan.check()
    if hooks.before_apply(plan):
        plan.check()  # a plugin may have altered it


def _names(plan: Plan) -> list[str]:
    """Return the accounts that a plan changes, and those that it reads again."""
    return [*plan.by_account, *filter(None, (part.source for part in plan.accounts))]


def _sources(journal: Journal, run: Run) -> Sequence[str]:
    """Return the accounts that a run reads again. A plan is only read for it if its kind copies."""
    if kind_of(run.kind).about_people or (plan := stored_plan(journal, run.id)) is None:
        return ()
    return [part.source for part in plan.accounts if part.source]


def _runners(planned: Sequence[str], accounts: Sequence[Any]) -> dict[str, Runner]:
    clients: dict[str, Runner] = {}
    for account in accounts:
        name = account if isinstance(account, str) else account.name
        if name not in planned:
            raise InvalidInput(f"the plan is not about {name}", hint=f"it is for {', '.join(planned)}")
        if not isinstance(account, str):
            clients[name] = account
    return clients


class _Bridge:
    """An `AsyncContacts` for the engine's threads. Flows run in its own event loop."""

    def __init__(self, client: AsyncContacts[Any], loop: asyncio.AbstractEventLoop, stop: _Stop) -> None:
        self._client, self._loop, self._stop = client, loop, stop
        self.name, self.provider = client.name, client.provider

    def run(self, flow: Flow[T]) -> T:
        async def inside() -> T:
            return await self._client.run(flow)

        if self._over():
            raise Stopped
        coroutine = inside()
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:  # the loop was closed meanwhile
            coroutine.close()
            raise Stopped from None
        while not future.done():
            wait([future], timeout=POLL_INTERVAL_S)
            if not future.done() and self._over():  # the loop has stopped, or the caller gave up
                future.cancel()
                raise Stopped
        if future.cancelled():
            raise Stopped
        try:
            return future.result()
        except (KeyboardInterrupt, SystemExit):  # they end the loop, whatever it was doing
            self._stop.abandoned.set()
            raise Stopped from None
        except Exception:
            if self._over():  # the errors of a loop that shuts down say nothing about the vendor
                raise Stopped from None
            raise

    def _over(self) -> bool:
        return self._stop.abandoned.is_set() or not self._loop.is_running()

    def add_event_hook(self, hook: EventHook) -> Callable[[], None]:
        return self._client.add_event_hook(hook)

    def add_before_send(self, hook: BeforeSend) -> Callable[[], None]:
        return self._client.add_before_send(hook)

    def charge_rate_limit(self, requests: int) -> None:
        self._client.charge_rate_limit(requests)
