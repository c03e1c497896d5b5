"""The durable engine: who may work on a storage, and how runs begin, go on and end.

Durable execution is DBOS's. A run is two workflows for each account: one that checks whether the plan still holds
there, and, once all accounts were checked, one that does the work and verifies it. All wait in one queue that is
partitioned by account and lets one of a partition run at a time, on whichever machine: so one process at a time speaks
to an account, and its own pacing and concurrency are the account's. What the queue says is not relied upon: no request
leaves without the account's lease, see `leases`.

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
from sqlalchemy.exc import SQLAlchemyError

from contacts_core.errors import ConfigurationError, ContactsError, StorageError
from contacts_core.plans.execution.context import Runner, Session, begin_run, conclude, kept_plan
from contacts_core.plans.execution.serialization import NAME, PlainJson, without_pickle
from contacts_core.plans.execution.workflows import QUEUE, check_account, enqueue
from contacts_core.plans.model import Plan
from contacts_core.storage.database import PATIENCE, RESUME, Storage, private, storage_error, stored
from contacts_core.storage.journal import Journal, Run, now
from contacts_core.storage.leases import LEASE, Leases
from contacts_core.storage.private_files import private_file, private_folder

__all__ = ["Busy", "Engine", "cancel"]

logger = logging.getLogger("contacts_core")
# DBOS logs to stderr where nobody else took care of its records.
logging.getLogger("dbos").addHandler(logging.NullHandler())

VERSION = "plans-2"  # of the workflows: a run goes on under another release as long as this stays
POLL = 0.1  # seconds between two looks into the queue
LISTENING = 0.02  # seconds that DBOS's listener sleeps at a time
LIVELY = 2.0  # seconds between two looks for workers that died, at most
LEASE_VARIABLE = "CONTACTS_LEASE"
STUCK = 3.0  # seconds after which a run that nobody here works on is looked at
UNFINISHED = {"PENDING", "ENQUEUED", "DELAYED"}


class Busy(ConfigurationError):
    """Another process is at work in the same folder."""


class Engine:
    """Runs plans in this process, until it is left."""

    def __init__(self, place: Storage, runners: Mapping[str, Runner] | None = None, *, listens: bool = True) -> None:
        """Prepare; entering the context begins.

        Args:
            place: Where runs are kept.
            runners: Accounts that are open already; others are opened by name.
            listens: Whether it works on what it finds in the queue; else it only puts runs there.
        """
        self._listens = listens
        self._name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self.leases = Leases(place, self._name, _seconds())
        self.session = Session(place, runners or {}, self.leases)
        self.journal = self.session.journal
        self.place = place
        self._held = contextlib.ExitStack()
        self._idle: set[str] = set()
        self._moved = time.monotonic()

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
            held.enter_context(without_pickle())
            with _typed():
                held.callback(DBOS.destroy)
                self._launch()
                Session.current = self.session
                held.callback(self._leave)
            if self.place.shared and self._listens:
                threading.Thread(target=self._recover_forever, daemon=True, name="contacts-recovery").start()
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop after the steps in flight; what is not finished can be resumed."""
        self._held.close()

    def _launch(self) -> None:
        """Start DBOS, which looks for queues when it is launched, and then once a second: a new one is put first."""
        new = True
        while new:
            DBOS(config=_config(self.place, self._name))
            if not self._listens:
                DBOS.listen_queues([])
            DBOS.launch()
            new = DBOS.retrieve_queue(QUEUE) is None
            DBOS.register_queue(QUEUE, partition_concurrency=1, polling_interval_sec=POLL)
            if new:
                DBOS.destroy()

    def _leave(self) -> None:
        """Wait for the steps in flight; a second interruption lets them send nothing more."""
        self.session.stopping.set()
        try:
            while self.session.active:
                time.sleep(0.02)
        except BaseException:
            self.session.abandoned.set()
            raise
        finally:
            Session.current = None

    # -- who may work here

    def _hold(self, held: contextlib.ExitStack) -> None:
        """Hold what ends with this process: a lock of the folder's, or a lease in the database."""
        if not self.place.shared:
            private(self.place.folder / "runs.sqlite")
            held.enter_context(folder_lock(self.place))
            _interrupt_all(self.place, self.journal)
            return
        held.enter_context(self.leases)
        if self._listens and not self.leases.take(f"worker {self._name}"):
            raise StorageError("the database where runs are kept could not be written", hint=RESUME)

    def _recover_forever(self) -> None:
        while not self.session.stopping.wait(min(LIVELY, self.leases.seconds / 4)):
            try:
                if not self.leases.take(f"worker {self._name}"):
                    continue
                self.recover()
            except Exception as error:  # noqa: BLE001 - the database may be away for a while
                logger.debug("looking for what others left: %s", type(error).__name__)

    def recover(self) -> None:
        """Take up what is pending and nobody works on: of workers whose lease is over, and of this one."""
        self._refuse_foreign()
        pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        mine = {s.workflow_id for s in pending if s.executor_id == self._name}
        idle = {id for id in mine if not self.session.working(id)}
        for id in idle & self._idle:  # twice in a row: it was not just taken out of the queue
            DBOS.resume_workflow(id, queue_name=QUEUE)
        self._idle = idle - self._idle
        for name in {status.executor_id for status in pending} - {self._name, None}:
            if not self.leases.take(f"worker {name}"):
                continue
            left = DBOS.list_workflows(status="PENDING", executor_id=name, load_input=False, load_output=False)
            for status in left:
                DBOS.resume_workflow(status.workflow_id, queue_name=QUEUE)
            self.leases.drop(f"worker {name}")

    def _refuse_foreign(self) -> None:
        """End the runs in whose rows somebody else wrote: nothing there is read."""
        for id in _foreign(self.place):
            DBOS.cancel_workflow(id)
            with contextlib.suppress(ContactsError):
                run = self.journal.run(id.partition(".")[0])
                self.session.conclude(run, "failed", FOREIGN)

    # -- runs

    def start(self, plan: Plan, options: Mapping[str, Any]) -> str:
        """Begin a run of the plan; gives its name."""
        id = f"{plan.kind.value}-{now()[:10]}-{uuid.uuid4().hex[:8]}"
        begin_run(self.journal, id, plan, self.session.key, options)
        with _typed():
            self._begin_round(self.journal.run(id))
        return id

    def resume(self, id: str) -> None:
        """Go on with a run: where it was, if it was interrupted; else with another round for what is left.

        Raises:
            StorageError: Runs cannot be read or written.
        """
        with _typed():
            self._resume(id)

    def _resume(self, id: str) -> None:
        run = self.journal.run(id)
        if kept_plan(self.journal, id) is None:
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
        """The run, if it has ended; one that was cancelled, or broke, is concluded here.

        Raises:
            StorageError: Runs cannot be read or written; this one can be resumed.
        """
        run = self.journal.run(id)
        if run.state != "running":
            return run
        self.leases.check(PATIENCE)
        if self.session.trouble and not self.session.active:
            raise self.session.trouble
        states = {status.status for status in _workflows(run)}
        if self.session.active:
            self._moved = time.monotonic()
            return None
        if not states or states & UNFINISHED:
            self._look_why()
            return None
        if "CANCELLED" in states:
            self.session.conclude(run, "cancelled", "")
        elif states != {"SUCCESS"}:
            self.session.conclude(run, "failed", "a workflow broke off")
        return None  # the next look finds it ended, or a step that is about to end it does

    def _look_why(self) -> None:
        """Nobody in this process works on the run: see that runs can be written, and take up what lies about.

        Raises:
            StorageError: They cannot.
        """
        if time.monotonic() - self._moved < STUCK:
            return
        self._moved = time.monotonic()
        self.journal.probe()
        if not self.place.shared:  # nobody else can be at work, and the queue hands things out at once
            _probe(self.place)
            with _typed():
                self.recover()


def cancel(place: Storage, id: str) -> Run:
    """End a run after the steps in flight, whichever process does it."""
    journal, key = Journal(place), place.key()
    run = journal.run(id)
    if run.state not in {"running", "interrupted"}:
        return run
    with _client(place) as client:
        mine = client.list_workflows(workflow_id_prefix=run.prefix, load_input=False, load_output=False)
        client.cancel_workflows([status.workflow_id for status in mine if status.status in UNFINISHED])
    with contextlib.suppress(Busy), contextlib.nullcontext() if place.shared else folder_lock(place):
        conclude(place, journal, key, run, "cancelled", "")  # nobody else is there to do it
    return journal.run(id)


# -- DBOS and the locks ------------------------------------------------------------------------------------------------

FOREIGN = "a row of this run was not written by this library; it was not read"
UNWRITTEN_BY_US = """
    SELECT DISTINCT s.workflow_uuid FROM {0}workflow_status s
    LEFT JOIN {0}operation_outputs o ON o.workflow_uuid = s.workflow_uuid
    WHERE s.status IN ('PENDING', 'ENQUEUED', 'DELAYED') AND (
        COALESCE(s.serialization, '') <> :ours
        OR (COALESCE(o.serialization, '') <> :ours AND (o.output IS NOT NULL OR o.error IS NOT NULL))
    )
"""


def _seconds() -> float:
    """For how long a lease holds here.

    Raises:
        ConfigurationError: What the environment says is no number of seconds.
    """
    named = os.environ.get(LEASE_VARIABLE, "")
    try:
        return float(named) if named else LEASE
    except ValueError:
        raise ConfigurationError(f"{LEASE_VARIABLE} is no number", hint="seconds, for example 90") from None


@contextlib.contextmanager
def _typed() -> Iterator[None]:
    """Let no error of the database out as it is."""
    try:
        yield
    except SQLAlchemyError as error:
        raise storage_error(error) from None


@contextlib.contextmanager
def _client(place: Storage) -> Iterator[DBOSClient]:
    """DBOS's tables, without its engine."""
    with without_pickle(), _typed():
        client = DBOSClient(system_database_url=place.queues, serializer=PlainJson())
        try:
            yield client
        finally:
            client.destroy()


@contextlib.contextmanager
def _queues(place: Storage) -> Iterator[sa.Connection]:
    """DBOS's tables, as they are."""
    engine = place.engine() if place.shared else sa.create_engine(place.queues, poolclass=sa.NullPool)
    with engine.begin() as connection:
        yield connection


@stored
def _foreign(place: Storage) -> list[str]:
    """Unfinished workflows in whose rows somebody else wrote, or an earlier version that kept pickles."""
    with _queues(place) as connection:
        found = connection.execute(sa.text(UNWRITTEN_BY_US.format("dbos." if place.shared else "")), {"ours": NAME})
        return [row.workflow_uuid for row in found]


@stored
def _probe(place: Storage) -> None:
    """See that the queue's file can be written, by writing what is then taken back."""
    with _queues(place) as connection:
        connection.execute(sa.text("CREATE TABLE contacts_probe (filling BLOB)"))
        connection.execute(sa.text("INSERT INTO contacts_probe VALUES (zeroblob(65536))"))
        connection.execute(sa.text("DROP TABLE contacts_probe"))


def _config(place: Storage, name: str) -> DBOSConfig:
    return {
        "name": "contacts-core",
        "system_database_url": place.queues,
        "executor_id": name,  # of its own for each process: nobody takes up another's work unseen
        "application_version": VERSION,
        "log_level": "CRITICAL",
        "enable_otlp": False,
        "serializer": PlainJson(),
        # Nothing here waits for notifications, but leaving the engine waits for one such interval.
        "notification_listener_polling_interval_sec": LISTENING,
    }


@stored
def _workflows(run: Run) -> Sequence[Any]:
    return DBOS.list_workflows(workflow_id_prefix=run.prefix, load_input=False, load_output=False)


@contextlib.contextmanager
def folder_lock(place: Storage) -> Iterator[None]:
    """Keep other processes from working in this folder; the lock dies with the process.

    Raises:
        Busy: One is at work there.
    """
    path = place.folder / "runs.lock"
    private_folder(path.parent)
    with os.fdopen(private_file(path), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Busy(
                f"another process is running a plan in {place.folder}",
                hint="wait for it, or share runs through PostgreSQL",
            ) from None
        yield


def _interrupt_all(place: Storage, journal: Journal) -> None:
    """What a process left behind that is no more waits until somebody resumes it."""
    left = [run for run in journal.all() if run.state == "running"]
    if not left:
        return
    with _client(place) as client:
        unfinished = client.list_workflows(status=sorted(UNFINISHED), load_input=False, load_output=False)
        client.cancel_workflows([status.workflow_id for status in unfinished])
    for run in left:
        journal.interrupted(run.id)
