"""The durable engine: who may work on a state, and how runs begin, go on and end.

Durable execution is DBOS's. A run is two workflows for each account: one that checks whether the plan still holds
there, and, once all accounts were checked, one that does the work and verifies it. All wait in one queue that is
partitioned by account and lets one of a partition run at a time, on whichever machine: so one process at a time speaks
to an account, and its own pacing and concurrency are the account's.

DBOS knows one application in a process, hence one engine at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig

from contacts_core.errors import ConfigurationError
from contacts_core.plans.journal import Journal, Run, now
from contacts_core.plans.model import Plan
from contacts_core.plans.session import Runner, Session, conclude
from contacts_core.plans.workflows import QUEUE, check_account, enqueue
from contacts_core.state import State, private

__all__ = ["Busy", "Engine", "cancel"]

# DBOS logs to stderr where nobody else took care of its records.
logging.getLogger("dbos").addHandler(logging.NullHandler())

VERSION = "plans-1"  # of the workflows: a run goes on under another release as long as this stays
POLL = 0.1  # seconds between two looks into the queue
LIVELY = 2.0  # seconds between two looks for workers that died
UNFINISHED = {"PENDING", "ENQUEUED", "DELAYED"}


class Busy(ConfigurationError):
    """Another process is at work in the same folder."""


class Engine:
    """Runs plans in this process, until it is left."""

    def __init__(self, place: State, runners: Mapping[str, Runner] | None = None, *, listens: bool = True) -> None:
        """Prepare; entering the context begins.

        Args:
            place: Where runs are kept.
            runners: Accounts that are open already; others are opened by name.
            listens: Whether it works on what it finds in the queue; else it only puts runs there.
        """
        self._listens = listens
        self.session = Session(place, runners or {})
        self.journal = self.session.journal
        self.place = place
        self._held = contextlib.ExitStack()
        self._name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"

    def __enter__(self) -> Self:
        """Begin to work.

        Raises:
            Busy: Another process is at work in the same folder.
            ConfigurationError: An engine is at work in this process.
        """
        if Session.current:
            raise ConfigurationError("this process runs a plan already", hint="one at a time, or several processes")
        with contextlib.ExitStack() as held:
            held.callback(self.session.close)
            self._hold(held)
            DBOS(config=_config(self.place, self._name))
            held.callback(DBOS.destroy)
            Session.current = self.session
            held.callback(self._leave)
            if not self._listens:
                DBOS.listen_queues([])
            DBOS.launch()
            DBOS.register_queue(QUEUE, partition_concurrency=1, polling_interval_sec=POLL)
            if self.place.shared and self._listens:
                threading.Thread(target=self._recover_forever, daemon=True, name="contacts-recovery").start()
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop after the steps in flight; what is not finished can be resumed."""
        self._held.close()

    def _leave(self) -> None:
        self.session.stopping.set()
        while self.session.active:
            time.sleep(0.02)
        Session.current = None

    # -- who may work here

    def _hold(self, held: contextlib.ExitStack) -> None:
        """Hold what dies with this process: a file lock, or a lock of PostgreSQL's."""
        if self.place.shared:
            connection = held.enter_context(self._autocommit())
            connection.execute(LOCK, {"name": self._name})
            return
        private(self.place.folder / "runs.sqlite")
        held.enter_context(folder_lock(self.place))
        _interrupt_all(self.place, self.journal)

    def _autocommit(self) -> sa.Connection:
        return self.place.engine().connect().execution_options(isolation_level="AUTOCOMMIT")

    def _recover_forever(self) -> None:
        while not self.session.stopping.wait(LIVELY):
            with contextlib.suppress(Exception):  # the database may be away for a while
                self.recover()

    def recover(self) -> None:
        """Take up what workers left behind that are no more; the lock that each of them held tells."""
        pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        for name in {status.executor_id for status in pending} - {self._name, None}:
            with self._autocommit() as connection:
                if not connection.execute(TRY_LOCK, {"name": name}).scalar():
                    continue
                left = DBOS.list_workflows(status="PENDING", executor_id=name, load_input=False, load_output=False)
                for status in left:
                    DBOS.resume_workflow(status.workflow_id, queue_name=QUEUE)
                connection.execute(UNLOCK, {"name": name})

    # -- runs

    def start(self, plan: Plan, options: Mapping[str, Any]) -> str:
        """Begin a run of the plan; gives its name."""
        id = f"{plan.kind.value}-{now()[:10]}-{uuid.uuid4().hex[:8]}"
        self.journal.begin(id, plan, self.session.key.id, options)
        self._begin_round(self.journal.run(id))
        return id

    def resume(self, id: str) -> None:
        """Go on with a run: where it was, if it was interrupted; else with another round for what is left."""
        run = self.journal.run(id)
        if self.journal.plan(id) is None:
            return
        if run.state not in {"running", "interrupted"}:
            self.journal.again(id, next_round=True)
            self._begin_round(self.journal.run(id))
            return
        self.journal.again(id, next_round=False)
        if self.place.shared:  # what is pending may be under way on another machine; what is not, is taken up
            self.recover()
        else:
            for status in _workflows(run):
                if status.status not in {"SUCCESS", "ERROR"}:
                    DBOS.resume_workflow(status.workflow_id, queue_name=QUEUE)
        self._begin_round(run)  # whatever had not been begun

    def _begin_round(self, run: Run) -> None:
        known = {status.workflow_id for status in _workflows(run)}
        for account in run.accounts:
            if run.workflow(account, "check") not in known:
                self.journal.reached(run.id, account, "queued", 0, 0)
                enqueue(check_account, run, account, "check")

    def ended(self, id: str) -> Run | None:
        """The run, if it has ended; one that was cancelled, or broke, is concluded here."""
        run = self.journal.run(id)
        if run.state != "running":
            return run
        states = {status.status for status in _workflows(run)}
        if self.session.active or not states or states & UNFINISHED:
            return None
        if "CANCELLED" in states:
            self.session.conclude(run, "cancelled", "")
        elif states != {"SUCCESS"}:
            self.session.conclude(run, "failed", "a workflow broke off")
        return None  # the next look finds it ended, or a step that is about to end it does


def cancel(place: State, id: str) -> Run:
    """End a run after the steps in flight, whichever process does it."""
    journal, key = Journal(place), place.key()
    run = journal.run(id)
    if run.state not in {"running", "interrupted"}:
        return run
    client = DBOSClient(system_database_url=place.queues)
    try:
        mine = client.list_workflows(workflow_id_prefix=run.prefix, load_input=False, load_output=False)
        client.cancel_workflows([status.workflow_id for status in mine if status.status in UNFINISHED])
    finally:
        client.destroy()
    with contextlib.suppress(Busy), contextlib.nullcontext() if place.shared else folder_lock(place):
        conclude(place, journal, key, run, "cancelled", "")  # nobody else is there to do it
    return journal.run(id)


# -- DBOS and the locks ------------------------------------------------------------------------------------------------

LOCK, TRY_LOCK, UNLOCK = (
    sa.text(f"SELECT {function}(hashtextextended(:name, 0))")
    for function in ("pg_advisory_lock", "pg_try_advisory_lock", "pg_advisory_unlock")
)


def _config(place: State, name: str) -> DBOSConfig:
    return {
        "name": "contacts-core",
        "system_database_url": place.queues,
        "executor_id": name,  # of its own for each process: nobody takes up another's work unseen
        "application_version": VERSION,
        "log_level": "CRITICAL",
        "enable_otlp": False,
    }


def _workflows(run: Run) -> Sequence[Any]:
    return DBOS.list_workflows(workflow_id_prefix=run.prefix, load_input=False, load_output=False)


@contextlib.contextmanager
def folder_lock(place: State) -> Iterator[None]:
    """Keep other processes from working in this folder; the lock dies with the process.

    Raises:
        Busy: One is at work there.
    """
    path = place.folder / "runs.lock"
    private(path)
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Busy(
                f"another process is running a plan in {place.folder}",
                hint="wait for it, or share runs through PostgreSQL",
            ) from None
        yield


def _interrupt_all(place: State, journal: Journal) -> None:
    """What a process left behind that is no more waits until somebody resumes it."""
    left = [run for run in journal.all() if run.state == "running"]
    if not left:
        return
    client = DBOSClient(system_database_url=place.queues)
    try:
        unfinished = client.list_workflows(status=sorted(UNFINISHED), load_input=False, load_output=False)
        client.cancel_workflows([status.workflow_id for status in unfinished])
    finally:
        client.destroy()
    for run in left:
        journal.interrupted(run.id)
