"""The durable engine: which process may work on a storage, and how runs begin, continue and end.

Durable execution is done by DBOS. A run has two workflows for each account: one checks whether the plan still holds
there, and once all accounts are checked, the other does the work and verifies it. All wait in one queue that is
partitioned by account and runs one workflow of a partition at a time, on any machine: so one process at a time sends
requests to an account, at its own pace and concurrency. The queue alone is not relied upon: no request is sent without
the account's lease, see `contacts_core.storage.leases`.

DBOS allows one application in a process. So there is one engine at a time, and none in a program that uses DBOS itself:
it would work in that program's database, and shut down that program's DBOS at its end. On PostgreSQL, DBOS's tables for
plans are in a schema of their own, so that a program may keep its own DBOS tables in the same database.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import logging
import os
import socket
import sqlite3
import sys
import threading
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from typing import Any, ClassVar, Self

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig
from sqlalchemy.exc import SQLAlchemyError

from contacts_core.errors import ConfigurationError, ContactsError, StorageError
from contacts_core.plans.change import PairHandler
from contacts_core.plans.execution.context import Runner, Session, begin_run, conclude
from contacts_core.plans.execution.serialization import NAME, PlainJson, without_pickle
from contacts_core.plans.execution.workflows import CHECK, QUEUE, check_account, enqueue
from contacts_core.plans.model import Plan
from contacts_core.storage.database import PATIENCE_S, RESUME_HINT, Storage, private, storage_error, stored
from contacts_core.storage.journal import Journal, Run, now
from contacts_core.storage.leases import LEASE_S, Leases
from contacts_core.storage.private_files import private_file, private_folder
from contacts_core.storage.pseudonyms import PseudonymKey

__all__ = ["Busy", "Engine", "cancel", "check_process", "submit"]

logger = logging.getLogger("contacts_core")
# Without a handler, DBOS logs to stderr.
logging.getLogger("dbos").addHandler(logging.NullHandler())

APPLICATION = "contacts-core"  # the owner of rows in DBOS's tables
DBOS_SCHEMA = "contacts_dbos"  # of these tables, on PostgreSQL
PYTHON_VERSION = sys.version_info[:2]
OLDEST_SQLITE = (3, 42)  # the oldest version with unixepoch('subsec'), which DBOS uses from Python 3.12 on
WORKFLOW_VERSION = "plans-4"  # a run continues under another release as long as this is the same
POLL_INTERVAL_S = 0.2  # between two looks into the queue, each of which costs some milliseconds
LISTENER_INTERVAL_S = 0.02  # that DBOS's listener sleeps at a time
RECOVERY_INTERVAL_S = 2.0  # at most, between two searches for workers that died
LEASE_VARIABLE = "CONTACTS_LEASE"
STUCK_AFTER_S = 3.0  # after which a run without progress is checked
UNFINISHED_STATUSES = {"PENDING", "ENQUEUED", "DELAYED"}


class Busy(ConfigurationError):
    """Another process is using the same folder."""


class Engine:
    """Runs plans in this process while its context is entered."""

    dbos: ClassVar[Any] = None  # the instance of DBOS that an engine of this process created

    def __init__(
        self, storage: Storage, runners: Mapping[str, Runner] | None = None, on_pair: PairHandler | None = None
    ) -> None:
        """Prepare. Entering the context starts the engine.

        Args:
            storage: Where runs are kept.
            runners: Accounts that are open already. Others are opened by name.
            on_pair: Told the ids of contacts that were written.

        Raises:
            ConfigurationError: No engine can work in this process; see `check_process`.
        """
        check_process(storage)
        self._name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self.leases = Leases(storage, self._name, _lease_seconds())
        self.session = Session(storage, runners or {}, self.leases, on_pair)
        self.journal = self.session.journal
        self.storage = storage
        self._stack = contextlib.ExitStack()
        self._idle_workflows: set[str] = set()
        self._moved_at = time.monotonic()

    def __enter__(self) -> Self:
        """Start working.

        Raises:
            Busy: Another process is using the same folder.
            ConfigurationError: No engine can work in this process; see `check_process`.
        """
        check_process(self.storage)
        with contextlib.ExitStack() as stack:
            stack.callback(self.session.close)
            self._acquire(stack)
            stack.enter_context(without_pickle())
            with _typed_errors():
                stack.callback(_destroy)
                self._launch()
                Session.current = self.session
                stack.callback(self._leave)
            if self.storage.shared:
                threading.Thread(target=self._recover_forever, daemon=True, name="contacts-recovery").start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop after the steps under way. Unfinished runs can be resumed."""
        self._stack.close()

    def _launch(self) -> None:
        """Start DBOS. It looks for queues at launch and once a second, so it is launched again if the queue is new."""
        is_new = True
        while is_new:
            instance = DBOS(config=_config(self.storage, self._name))
            if DBOS.executor_id != self._name:  # DBOS gave the instance that was there, and changed nothing
                raise _host_error()
            Engine.dbos = instance
            DBOS.launch()
            is_new = DBOS.retrieve_queue(QUEUE) is None
            DBOS.register_queue(QUEUE, partition_concurrency=1, polling_interval_sec=POLL_INTERVAL_S)
            if is_new:
                _destroy()

    def _leave(self) -> None:
        """Wait for the steps under way. After a second interruption they send nothing more."""
        self.session.stopping.set()
        try:
            while self.session.active:
                time.sleep(0.02)
        except BaseException:
            self.session.abandoned.set()
            raise
        finally:
            Session.current = None

    # -- which process may work

    def _acquire(self, stack: contextlib.ExitStack) -> None:
        """Acquire what is released at the end of this process: a lock of the folder, or a lease in the database."""
        if not self.storage.shared:
            private(self.storage.folder / "runs.sqlite")
            stack.enter_context(folder_lock(self.storage))
            _mark_interrupted(self.storage, self.journal)
            return
        stack.enter_context(self.leases)
        if not self.leases.take(f"worker {self._name}"):
            raise StorageError("the storage's database could not be written", hint=RESUME_HINT)

    def _recover_forever(self) -> None:
        while not self.session.stopping.wait(min(RECOVERY_INTERVAL_S, self.leases.seconds / 4)):
            try:
                if not self.leases.take(f"worker {self._name}"):
                    continue
                self.recover()
            except Exception as error:  # noqa: BLE001 - the database may be unreachable for a while
                logger.debug("recovery of other workers' runs: %s", type(error).__name__)

    def recover(self) -> None:
        """Resume pending workflows that nobody works on: those of workers whose lease has expired, and our own."""
        self._refuse_foreign()
        pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        own = {status.workflow_id for status in pending if status.executor_id == self._name}
        idle = {id for id in own if not self.session.working(id)}
        for id in idle & self._idle_workflows:  # idle twice in a row, so not just taken from the queue
            DBOS.resume_workflow(id, queue_name=QUEUE)
        self._idle_workflows = idle - self._idle_workflows
        for name in {status.executor_id for status in pending} - {self._name, None}:
            if not self.leases.take(f"worker {name}"):
                continue
            left = DBOS.list_workflows(status="PENDING", executor_id=name, load_input=False, load_output=False)
            for status in left:
                DBOS.resume_workflow(status.workflow_id, queue_name=QUEUE)
            self.leases.drop(f"worker {name}")

    def _refuse_foreign(self) -> None:
        """End the runs with rows that somebody else wrote. These rows are not read."""
        for id in _foreign(self.storage):
            DBOS.cancel_workflow(id)
            with contextlib.suppress(ContactsError):
                run = self.journal.run(id.partition(".")[0])
                self.session.conclude(run, "failed", FOREIGN_ROW)

    # -- runs

    def start(self, plan: Plan, options: Mapping[str, Any]) -> str:
        """Start a run of the plan. Return its id."""
        run = _create_run(self.journal, plan, self.session.key, options)
        self.session.keep_plan(run.id, plan)
        self.session.followed = run.id
        with _typed_errors():
            self._begin_round(run)
        return run.id

    def resume(self, id: str) -> None:
        """Continue a run: where it was, if it was interrupted; otherwise with another round for what is left.

        Raises:
            StorageError: Runs cannot be read or written.
        """
        self.session.followed = id
        with _typed_errors():
            self._resume(id)

    def _resume(self, id: str) -> None:
        run = self.journal.run(id)
        if self.journal.plan(id) is None:
            return
        if run.state not in {"running", "interrupted"}:
            self.journal.again(id, next_round=True)
            self._begin_round(self.journal.run(id))
            return
        self.journal.again(id, next_round=False)
        if self.storage.shared:  # pending workflows may be under way on another machine; the others are resumed
            self.recover()
        else:
            for status in _workflows(run):
                if status.status not in {"SUCCESS", "ERROR"}:
                    DBOS.resume_workflow(status.workflow_id, queue_name=QUEUE)
        self._begin_round(run)  # for accounts that had not started

    def _begin_round(self, run: Run) -> None:
        known = {status.workflow_id for status in _workflows(run)}
        for account in run.accounts:
            if run.workflow(account, "check") not in known:
                self.journal.reached(run.id, account, "queued", 0, 0)
                enqueue(check_account, run, account, "check")

    def find_ended(self, id: str) -> Run | None:
        """Return the run if it has ended, else None. A run that was cancelled or broke off is concluded here.

        Raises:
            StorageError: Runs cannot be read or written. This one can be resumed.
        """
        run = self.journal.run(id)
        if run.state != "running":
            return run
        self.leases.check(PATIENCE_S)
        if self.session.trouble and not self.session.active:
            raise self.session.trouble
        if self.session.active:
            self._moved_at = time.monotonic()
            return None
        states = {status.status for status in _workflows(run)}
        if not states or states & UNFINISHED_STATUSES:
            self._check_progress()
            return None
        if "CANCELLED" in states:
            self.session.conclude(run, "cancelled", "")
        elif states != {"SUCCESS"}:
            self.session.conclude(run, "failed", "a workflow broke off")
        return None  # the next call finds it concluded

    def _check_progress(self) -> None:
        """Check that runs can be written, and resume workflows that nobody works on.

        Raises:
            StorageError: Runs cannot be written.
        """
        if time.monotonic() - self._moved_at < STUCK_AFTER_S:
            return
        self._moved_at = time.monotonic()
        self.journal.probe()
        if not self.storage.shared:  # no other process can be at work, and the queue starts workflows at once
            _probe_queue(self.storage)
            with _typed_errors():
                self.recover()


def submit(storage: Storage, plan: Plan, options: Mapping[str, Any]) -> str:
    """Put a run into the queue for workers, and return its name. No engine is started, so every program can do it."""
    journal = Journal(storage)
    with _typed_errors():
        DBOS.migrate(storage.queues, schema=DBOS_SCHEMA)  # this may be the first to use the database
    with _client(storage) as client:
        client.register_queue(QUEUE, partition_concurrency=1, polling_interval_sec=POLL_INTERVAL_S)
        run = _create_run(journal, plan, storage.key(), options)
        for account in run.accounts:
            journal.reached(run.id, account, "queued", 0, 0)
            client.enqueue(
                {
                    "workflow_name": CHECK,
                    "workflow_id": run.workflow(account, "check"),
                    "queue_name": QUEUE,
                    "queue_partition_key": account,
                    "app_version": WORKFLOW_VERSION,
                },
                run.id,
                run.round,
                account,
            )
    return run.id


def _create_run(journal: Journal, plan: Plan, key: PseudonymKey, options: Mapping[str, Any]) -> Run:
    id = f"{plan.kind}-{now()[:10]}-{uuid.uuid4().hex[:8]}"
    begin_run(journal, id, plan, key, options)
    return journal.run(id)


def cancel(storage: Storage, id: str) -> Run:
    """End a run after the steps under way, in whichever process."""
    journal, key = Journal(storage), storage.key()
    run = journal.run(id)
    if run.state not in {"running", "interrupted"}:
        return run
    with _client(storage) as client:
        statuses = client.list_workflows(workflow_id_prefix=run.prefix, load_input=False, load_output=False)
        client.cancel_workflows([status.workflow_id for status in statuses if status.status in UNFINISHED_STATUSES])
    with contextlib.suppress(Busy), contextlib.nullcontext() if storage.shared else folder_lock(storage):
        conclude(storage, journal, key, run, "cancelled", "")  # if no other process is there to do it
    return journal.run(id)


# -- DBOS and the locks ------------------------------------------------------------------------------------------------

FOREIGN_ROW = "a row of this run was not written by this library, so it was not read"
FOREIGN_ROWS_QUERY = """
    SELECT DISTINCT s.workflow_uuid FROM {0}workflow_status s
    LEFT JOIN {0}operation_outputs o ON o.workflow_uuid = s.workflow_uuid
    WHERE s.status IN ('PENDING', 'ENQUEUED', 'DELAYED') AND (
        COALESCE(s.serialization, '') <> :ours
        OR (COALESCE(o.serialization, '') <> :ours AND (o.output IS NOT NULL OR o.error IS NOT NULL))
    )
"""


def check_process(storage: Storage) -> None:
    """Check that an engine can work in this process. Call it before anything is touched.

    Raises:
        ConfigurationError: An engine is at work already, the program uses DBOS itself, or SQLite is too old.
    """
    if Session.current or Engine.dbos:
        raise ConfigurationError(
            "this process is running a plan already", hint="run one plan at a time, or use several processes"
        )
    if _host_uses_dbos():
        raise _host_error()
    if not storage.shared and PYTHON_VERSION >= (3, 12) and sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise ConfigurationError(
            f"applying plans needs SQLite 3.42 or later, and this Python has {sqlite3.sqlite_version}",
            hint="use a Python with a newer SQLite, or keep runs in PostgreSQL",
        )


def _host_uses_dbos() -> bool:
    """Return whether the program created its own DBOS, or registered event receivers, which our launch would start.

    If another version of DBOS keeps its instance elsewhere, `Engine` notices it at launch.
    """
    module = importlib.import_module("dbos._dbos")
    instance = getattr(module, "_dbos_global_instance", None)
    pollers = getattr(getattr(module, "_dbos_global_registry", None), "pollers", ())
    return bool(pollers) or (instance is not None and instance is not Engine.dbos)


def _host_error() -> ConfigurationError:
    return ConfigurationError(
        "this program uses DBOS itself, and DBOS allows one application in a process",
        hint="apply the plan in another process (contacts apply FILE), or submit it to workers through PostgreSQL",
    )


def _destroy() -> None:
    """Shut down our instance of DBOS, never the program's."""
    if Engine.dbos is None:
        return
    try:
        DBOS.destroy()
    finally:
        Engine.dbos = None


def _lease_seconds() -> float:
    """Return how long leases of this process last.

    Raises:
        ConfigurationError: The environment variable is not a number.
    """
    value = os.environ.get(LEASE_VARIABLE, "")
    try:
        return float(value) if value else LEASE_S
    except ValueError:
        raise ConfigurationError(f"{LEASE_VARIABLE} is not a number", hint="give seconds, for example 90") from None


@contextlib.contextmanager
def _typed_errors() -> Generator[None]:
    """Turn errors of the database into typed ones."""
    try:
        yield
    except SQLAlchemyError as error:
        raise storage_error(error) from None


@contextlib.contextmanager
def _client(storage: Storage) -> Generator[DBOSClient]:
    """Yield a client of DBOS's tables, which needs no engine. No values are read through it."""
    # If the program uses DBOS itself, pickle stays: switching it off would break the program's own workflows.
    with contextlib.nullcontext() if _host_uses_dbos() else without_pickle(), _typed_errors():
        client = DBOSClient(
            system_database_url=storage.queues,
            dbos_system_schema=DBOS_SCHEMA,
            serializer=PlainJson(),
            application_name=APPLICATION,
        )
        try:
            yield client
        finally:
            client.destroy()


@contextlib.contextmanager
def _queues(storage: Storage) -> Generator[sa.Connection]:
    """Yield a connection to DBOS's tables."""
    engine = storage.engine() if storage.shared else sa.create_engine(storage.queues, poolclass=sa.NullPool)
    with engine.begin() as connection:
        yield connection


@stored
def _foreign(storage: Storage) -> list[str]:
    """Return unfinished workflows with rows that somebody else wrote, or an earlier version that stored pickles."""
    with _queues(storage) as connection:
        query = FOREIGN_ROWS_QUERY.format(f"{DBOS_SCHEMA}." if storage.shared else "")
        return [row.workflow_uuid for row in connection.execute(sa.text(query), {"ours": NAME})]


@stored
def _probe_queue(storage: Storage) -> None:
    """Check that the queue's file can be written."""
    with _queues(storage) as connection:
        connection.execute(sa.text("CREATE TABLE contacts_probe (filling BLOB)"))
        connection.execute(sa.text("INSERT INTO contacts_probe VALUES (zeroblob(65536))"))
        connection.execute(sa.text("DROP TABLE contacts_probe"))


def _config(storage: Storage, name: str) -> DBOSConfig:
    return {
        "name": APPLICATION,
        "system_database_url": storage.queues,
        "dbos_system_schema": DBOS_SCHEMA,
        "executor_id": name,  # unique for each process, so that DBOS itself recovers nothing of another one
        "application_version": WORKFLOW_VERSION,
        "log_level": "CRITICAL",
        "enable_otlp": False,
        "serializer": PlainJson(),
        # Notifications are not used, but shutting down waits for one such interval.
        "notification_listener_polling_interval_sec": LISTENER_INTERVAL_S,
    }


@stored
def _workflows(run: Run) -> Sequence[Any]:
    return DBOS.list_workflows(workflow_id_prefix=run.prefix, load_input=False, load_output=False)


@contextlib.contextmanager
def folder_lock(storage: Storage) -> Generator[None]:
    """Lock this folder against other processes. The lock ends with the process.

    Raises:
        Busy: Another process has it.
    """
    path = storage.folder / "runs.lock"
    private_folder(path.parent)
    with os.fdopen(private_file(path), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Busy(
                f"another process is running a plan in {storage.folder}",
                hint="wait for it, or share runs through PostgreSQL",
            ) from None
        yield


def _mark_interrupted(storage: Storage, journal: Journal) -> None:
    """Mark the runs of a process that is gone as interrupted, to be resumed by the user."""
    abandoned = [run for run in journal.all() if run.state == "running"]
    if not abandoned:
        return
    with _client(storage) as client:
        unfinished = client.list_workflows(status=sorted(UNFINISHED_STATUSES), load_input=False, load_output=False)
        client.cancel_workflows([status.workflow_id for status in unfinished])
    for run in abandoned:
        journal.interrupted(run.id)
