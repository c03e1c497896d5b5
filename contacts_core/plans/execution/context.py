"""The context of durable workflows: the journal, the key and the accounts; and how a run is concluded."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from contacts_core.client import Contacts, connect
from contacts_core.errors import ConfigurationError, StorageError
from contacts_core.http.hooks import BeforeSend, EventHook
from contacts_core.http.wire import request_id
from contacts_core.models import Contact
from contacts_core.models.identifiers import scrub
from contacts_core.plans import hooks
from contacts_core.plans.change import Change, PairHandler
from contacts_core.plans.execution.account_view import AccountView
from contacts_core.plans.execution.index_set import IndexSet
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.model import Plan
from contacts_core.plans.receipts.reasons import OurWords, public_reason
from contacts_core.plans.receipts.receipt import Receipt, Signer
from contacts_core.plans.receipts.stored import write_receipt
from contacts_core.plans.receipts.touched import EarlierPlan, touched_identifiers
from contacts_core.provider import Flow, Provider, Request
from contacts_core.storage.database import Storage, storage_error
from contacts_core.storage.journal import Journal, Run, now
from contacts_core.storage.leases import LEASE_S, Leases, Stopped
from contacts_core.storage.pseudonyms import PseudonymKey
from contacts_core.storage.tombstones import Tombstones, blocked_in, tombstone_storages

__all__ = ["Runner", "Session", "Stopped", "conclude", "session"]

logger = logging.getLogger("contacts_core")

T = TypeVar("T")


class Runner(Protocol):
    """What the engine needs of an account. Both clients have it, the asynchronous one through a bridge."""

    @property
    def provider(self) -> Provider:
        """The provider with its settings."""
        ...

    def run(self, flow: Flow[T]) -> T:
        """Run a flow."""
        ...

    def add_event_hook(self, hook: EventHook) -> Callable[[], None]:
        """Call this after every exchange. Return the function that removes it."""
        ...

    def add_before_send(self, hook: BeforeSend) -> Callable[[], None]:
        """Call this before every exchange. Return the function that removes it."""
        ...

    def charge_rate_limit(self, requests: int) -> None:
        """Count requests of another process against the rate limits."""


class Session:
    """One process that works on one storage."""

    current: Session | None = None

    def __init__(
        self,
        storage: Storage,
        runners: Mapping[str, Runner],
        leases: Leases | None = None,
        on_pair: PairHandler | None = None,
    ) -> None:
        """Prepare. Accounts that are not among ``runners`` are opened by name."""
        self._on_pair = on_pair
        self.followed = ""  # the run whose pairs of ids are told: this process may work on others as well
        self.storage, self.leases = storage, leases or Leases(storage, "", LEASE_S)
        self.key: PseudonymKey = storage.key()
        self.signer = _signer(storage)  # read now, so that no receipt fails later because the key cannot be read
        self.journal = Journal(storage)
        self.stopping = threading.Event()  # nothing new is started
        self.concluded = threading.Event()  # a run has ended here
        self.abandoned = threading.Event()  # nothing more is sent
        self.trouble: StorageError | None = None
        self._runners: dict[str, Runner] = dict(runners)
        self._own: list[Contacts[Any]] = []
        self._lock = threading.Lock()
        self._plans: dict[str, Plan] = {}
        self._receipts: dict[str, Receipt] = {}
        self._concluding = threading.Lock()
        self._burying, self._buried = threading.Lock(), set[str]()  # runs whose people all have tombstones
        self._views: dict[tuple[str, str, int], AccountView] = {}
        self._charged: set[str] = set()
        self.touched: dict[Any, IndexSet] = {}
        self.identified: set[Any] = set()  # rounds whose account was checked to be the planned one
        self._working: list[str] = []

    @property
    def active(self) -> int:
        """Number of workflows under way."""
        return len(self._working)

    def working(self, workflow: str) -> bool:
        """Return whether this workflow is under way."""
        return workflow in self._working

    @contextlib.contextmanager
    def busy(self, workflow: str, account: str) -> Generator[None]:
        """Work in an account, as the only workflow of this process or another.

        Raises:
            Stopped: The engine stops, or runs cannot be read or written. The workflow can be continued.
        """
        self._working.append(workflow)
        try:
            with self.storing(), self.leases.holding(f"account {account}", self.stopping):
                yield
        finally:
            self._working.remove(workflow)

    @contextlib.contextmanager
    def storing(self) -> Generator[None]:
        """End the workflow for now if the database fails.

        Raises:
            Stopped: It failed.
        """
        try:
            yield
        except (StorageError, SQLAlchemyError) as error:
            self.trouble = error if isinstance(error, StorageError) else storage_error(error)
            logger.warning("%s", self.trouble)
            raise Stopped from None

    def _left(self, account: str) -> float:
        """Return how many seconds a request to this account may take from now.

        Raises:
            Stopped: Nothing may be sent any more.
        """
        left = self.leases.left(f"account {account}")
        if left is None or self.abandoned.is_set() or (not left and self.stopping.is_set()):
            raise Stopped
        return left

    def close(self) -> None:
        """Close the accounts that were opened here."""
        for client in self._own:
            client.close()

    def plan(self, id: str) -> Plan:
        """Return the plan of a run."""
        with self._lock:
            if id not in self._plans:
                if self.journal.run(id).key != self.key.id:
                    raise ConfigurationError(
                        OurWords(f"run {id} was started with another receipt key"),
                        hint="set the same key on every machine",
                    )
                plan = stored_plan(self.journal, id)
                if plan is None:
                    raise ConfigurationError(OurWords(f"the plan of run {id} was deleted"))
                self._keep_plan(id, plan)
            return self._plans[id]

    def keep_plan(self, id: str, plan: Plan) -> None:
        """Keep the plan of a run that begins here, so that it is not read from the storage again."""
        with self._lock:
            self._keep_plan(id, plan)

    def _keep_plan(self, id: str, plan: Plan) -> None:
        """Keep a plan, and forget what is kept of runs that nothing here works on any more: plans are large."""
        kept = {workflow.partition(".")[0] for workflow in tuple(self._working)}
        self._plans = {run: each for run, each in self._plans.items() if run in kept} | {id: plan}
        self._views = {about: view for about, view in self._views.items() if about[0] in self._plans}
        self.touched = {at: indexes for at, indexes in self.touched.items() if at.run in self._plans}
        self._buried &= self._plans.keys()

    def people(self, id: str) -> int:
        """Return how many people a run is about."""
        return len(self.plan(id).people)

    def stages(self, id: str, account: str) -> int:
        """Return how many stages a run has in this account."""
        plan = self.plan(id)
        return len(plan.by_account[account].stages(kind_of(plan.kind)))

    def view_of_plan(self, id: str, account: str, stage: int = 0) -> AccountView:
        """Return one stage of a run's plan for this account; stages are counted from 0."""
        plan = self.plan(id)
        with self._lock:
            if (id, account, stage) not in self._views:
                part = plan.by_account[account]
                stages = part.stages(kind_of(plan.kind))
                self._views[id, account, stage] = AccountView(plan, part, stages[stage])
            return self._views[id, account, stage]

    def guard(self, contacts: Sequence[Contact]) -> Sequence[str]:
        """Return for each contact why it must not be written; empty if it may."""
        return blocked_in(self.storage, contacts)

    def tells_pairs(self, run: str) -> bool:
        """Return whether somebody is told the ids of the contacts that this run writes."""
        return self._on_pair is not None and run == self.followed

    def paired(self, run: str, change: Change, id: str) -> None:
        """Tell which contact of the account one of the source is. If that fails, the run continues."""
        if self._on_pair is None or run != self.followed or not change.source:
            return
        try:
            self._on_pair(change.source, id)
        except Exception as error:  # noqa: BLE001 - it is the caller's code
            logger.warning("on_pair failed: %s", scrub(f"{type(error).__name__}: {error}"))

    def view(self, id: str, account: str, stage: int = 0) -> tuple[AccountView, Runner]:
        """Return one stage of a run's plan for this account, and the account.

        Raises:
            ConfigurationError: The account is unknown, or has another provider than when it was planned.
        """
        view, runner = self.view_of_plan(id, account, stage), self.runner(account)
        if runner.provider.name != view.part.provider:
            current, planned = runner.provider.name, view.part.provider
            raise ConfigurationError(
                OurWords(f"account {account!r} is a {current} account now, and the plan was made for {planned}")
            )
        return view, runner

    def runner(self, account: str) -> Runner:
        """Return the account of this name, its rate limits charged with what other processes just sent."""
        with self._lock:
            if account not in self._runners:
                client = connect(account)
                self._own.append(client)
                self._runners[account] = client
            runner = self._runners[account]
            if account not in self._charged or f"account {account}" in self.leases.taken_over:
                self._charged.add(account)
                self.leases.taken_over.discard(f"account {account}")
                window = max((rate.seconds for rate in runner.provider.rate_limits.values()), default=0.0)
                runner.charge_rate_limit(self.journal.recent(account, window))
            return runner

    @contextlib.contextmanager
    def watched(self, runner: Runner, lease: str = "") -> Generator[list[dict[str, Any]]]:
        """Record every exchange with the vendor, as digests, and allow none without the account's lease.

        Args:
            runner: The account.
            lease: The account whose lease is held, if it is another one: an account that is only read from has none.
        """
        account = lease or next(name for name, opened in self._runners.items() if opened is runner)
        exchanges: list[dict[str, Any]] = []

        def record(call: Request[Any], response: Any) -> None:
            sent = [call.params, call.json]
            if call.form is not None or call.content is not None:
                sent += [call.form, call.content]
            body = msgspec.json.encode(sent, order="sorted")
            answer = {"status": None, "answer": "", "request_id": ""}
            if response is not None:
                answer["status"] = response.status_code
                answer["answer"] = self.key.digest(b"answer", response.content)
                answer["request_id"] = scrub(request_id(response.headers))
            request = self.key.digest(b"request", call.method.encode(), call.path.encode(), body)
            exchanges.append({"method": call.method, "request": request, **answer, "at": now()})

        with contextlib.ExitStack() as hooked:
            hooked.callback(runner.add_event_hook(record))
            hooked.callback(runner.add_before_send(lambda: self._left(account)))
            self._left(account)
            yield exchanges
            self._left(account)

    def conclude(self, run: Run, state: str, reason: str) -> None:
        """Write the receipt, record how the run ended, and call the hooks; only once for a run."""
        with self._concluding:  # accounts may end at the same moment
            current = self.journal.run(run.id)
            if current.round != run.round or current.state not in {"running", "interrupted"}:
                return
            receipt = _conclude(
                self.storage,
                self.journal,
                self.key,
                self.signer,
                run,
                state,
                reason,
                plan=self._plans.get(run.id),
                buried=run.id in self._buried,
            )
            if receipt is not None:
                self._receipts = {run.id: receipt}
        self.concluded.set()

    def receipt(self, id: str) -> Receipt | None:
        """Return the receipt of a run that was concluded here, which was checked then."""
        with self._concluding:
            return self._receipts.get(id)

    def bury(self, id: str, storages: Sequence[Tombstones]) -> None:
        """Add tombstones of all people of a run's plan. Each process does it once for a run."""
        plan = self.plan(id)
        with self._burying:
            if id not in self._buried:
                for tombstones in storages:
                    tombstones.add((i for person in plan.people for i in person.identifiers), id)
                self._buried.add(id)


def begin_run(journal: Journal, id: str, plan: Plan, key: PseudonymKey, options: Mapping[str, Any]) -> None:
    """Record a new run of a plan."""
    journal.begin(
        id,
        kind=plan.kind,
        accounts=[part.account for part in plan.accounts],
        people=len(plan.people),
        checksum=plan.checksum,
        plan=(line.encode() for line in plan.lines()),
        key=key,
        options=options,
    )


def stored_plan(journal: Journal, id: str) -> Plan | None:
    """Return the plan of a run, or None once nothing is left to do with it.

    Raises:
        PlanRefused: An earlier version of the library began the run.
        StorageError: It was altered, or the receipt key has changed since the run began.
    """
    pieces = journal.plan(id)
    return None if pieces is None else Plan.parse(pieces, agreed=True)  # only a holder of the key can have written it


def conclude(storage: Storage, journal: Journal, key: PseudonymKey, run: Run, state: str, reason: str) -> None:
    """Write the receipt, record how the run ended, and call the hooks; only once for a run."""
    _conclude(storage, journal, key, _signer(storage), run, state, reason)


def _signer(storage: Storage) -> Signer | None:
    pem = storage.signing_key()
    return Signer.from_pem(pem) if pem else None


def _conclude(
    storage: Storage,
    journal: Journal,
    key: PseudonymKey,
    signer: Signer | None,
    run: Run,
    state: str,
    reason: str,
    *,
    plan: Plan | None = None,
    buried: bool = False,
) -> Receipt | None:
    if run.key != key.id:  # a receipt under another key would prove nothing, and the plan cannot be decrypted
        journal.end(run, state, reason, None, forget=False)
        return None
    earlier = journal.earlier_plan(run.id)
    if earlier is not None:
        _conclude_earlier(storage, journal, key, run, state, reason, EarlierPlan.parse(earlier))
        return None
    if journal.plan(run.id) is None:
        return None
    plan = plan or stored_plan(journal, run.id)
    if plan is None:
        return None
    if kind_of(plan.kind).leaves_tombstones and not buried:
        _add_tombstones_of_touched(storage, journal, key, run, plan)
    try:
        name, receipt = write_receipt(journal, run, plan, key, signer, state, reason)
    except (StorageError, SQLAlchemyError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever happens, the run ends and says that there is no receipt
        why = f"{state}, and its receipt could not be written: {public_reason(error, key)}"
        journal.end(run, "failed", f"{why}; {reason}" if reason else why, None, forget=False)
        return None
    if journal.end(run, state, reason, name, forget=_is_over(plan, receipt)):
        hooks.run_finished(receipt)
        return receipt
    journal.drop_receipt(name)
    return None


def _is_over(plan: Plan, receipt: Receipt) -> bool:
    """Return whether nothing is left to do with a plan. One that can be undone is kept until it is deleted."""
    return receipt.state == "refused" or (receipt.complete and not kind_of(plan.kind).can_be_undone)


def _conclude_earlier(
    storage: Storage, journal: Journal, key: PseudonymKey, run: Run, state: str, reason: str, plan: EarlierPlan
) -> None:
    """End a run that an earlier version of the library began. There is no receipt: its plan is of another format."""
    if kind_of(run.kind).leaves_tombstones:
        _add_tombstones_of_touched(storage, journal, key, run, plan)
    why = f"{state}; an earlier version of the library began this run, so there is no receipt of it"
    journal.end(run, "failed", f"{why}; {reason}" if reason else why, None, forget=True)


def _add_tombstones_of_touched(
    storage: Storage, journal: Journal, key: PseudonymKey, run: Run, plan: Plan | EarlierPlan
) -> None:
    """Add tombstones of people whose deletion was started, however the run ends."""
    if not journal.has(run.id, "step"):
        return
    for located in tombstone_storages(storage):
        Tombstones(located).add(touched_identifiers(journal, key, run, plan), run.id)


def session() -> Session:
    """Return the session of this process. Every step begins here.

    Raises:
        Stopped: The engine stops.
    """
    current = Session.current
    if current is None or current.stopping.is_set():
        raise Stopped
    return current
