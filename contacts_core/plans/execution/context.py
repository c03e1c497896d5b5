"""What the durable workflows have in hand: the journal, the key, the accounts; and how a run is concluded."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from contacts_core.client import Contacts
from contacts_core.config.accounts import open_provider
from contacts_core.errors import ConfigurationError, StorageError
from contacts_core.http.hooks import BeforeSend, EventHook
from contacts_core.http.wire import request_id
from contacts_core.models.identifiers import scrub
from contacts_core.plans import hooks
from contacts_core.plans.model import AccountPlan, Plan, PlanKind
from contacts_core.plans.receipts.events import receipt_events
from contacts_core.plans.receipts.reasons import OurWords, public_reason
from contacts_core.plans.receipts.receipt import Receipt, Signer, write
from contacts_core.provider import Flow, Provider, Request
from contacts_core.storage.database import Storage, storage_error
from contacts_core.storage.journal import Journal, Run, now
from contacts_core.storage.leases import LEASE, Leases, Stopped
from contacts_core.storage.pseudonyms import PseudonymKey
from contacts_core.storage.tombstones import Tombstones, guard, places

__all__ = ["Runner", "Session", "Stopped", "conclude", "session"]

logger = logging.getLogger("contacts_core")

T = TypeVar("T")


class Runner(Protocol):
    """What is needed of an account: both clients have it, the asynchronous one behind a bridge."""

    @property
    def provider(self) -> Provider:
        """The provider with its settings."""
        ...

    def run(self, flow: Flow[T]) -> T:
        """Run a flow."""
        ...

    def add_event_hook(self, hook: EventHook) -> Callable[[], None]:
        """Call this after every exchange; gives the function that removes it."""
        ...

    def add_before_send(self, hook: BeforeSend) -> Callable[[], None]:
        """Ask this before every exchange; gives the function that removes it."""
        ...

    def charge_rate_limit(self, requests: int) -> None:
        """Count requests that another process sent against the rates."""


class Session:
    """One process at work on one state."""

    current: Session | None = None

    def __init__(self, place: Storage, runners: Mapping[str, Runner], leases: Leases | None = None) -> None:
        """Prepare; accounts that are not among ``runners`` are opened by name."""
        self.place, self.leases = place, leases or Leases(place, "", LEASE)
        self.key: PseudonymKey = place.key()
        self.signer = _signer(place)  # now: what has been done must not lack its receipt for want of a key
        self.journal = Journal(place)
        self.stopping = threading.Event()  # nothing new is begun
        self.abandoned = threading.Event()  # nothing more is sent
        self.trouble: StorageError | None = None
        self._runners: dict[str, Runner] = dict(runners)
        self._own: list[Contacts[Any]] = []
        self._lock = threading.Lock()
        self._plans: dict[str, Plan] = {}
        self._charged: set[str] = set()
        self.touched: dict[Any, set[int]] = {}
        self.identified: set[Any] = set()  # rounds whose account was found to be the one that was planned for
        self._working: list[str] = []

    @property
    def active(self) -> int:
        """How many workflows are under way."""
        return len(self._working)

    def working(self, workflow: str) -> bool:
        """Whether this one is."""
        return workflow in self._working

    @contextlib.contextmanager
    def busy(self, workflow: str, account: str) -> Iterator[None]:
        """Be at work in an account: nobody else is, in this process or another.

        Raises:
            Stopped: The engine stops, or runs cannot be read or written; the workflow stays as it is.
        """
        self._working.append(workflow)
        try:
            with self.storing(), self.leases.holding(f"account {account}", self.stopping):
                yield
        finally:
            self._working.remove(workflow)

    @contextlib.contextmanager
    def storing(self) -> Iterator[None]:
        """End the workflow for now, where the database refuses.

        Raises:
            Stopped: It did.
        """
        try:
            yield
        except (StorageError, SQLAlchemyError) as error:
            self.trouble = error if isinstance(error, StorageError) else storage_error(error)
            logger.warning("%s", self.trouble)
            raise Stopped from None

    def _left(self, account: str) -> float:
        """Seconds that a request to this account may take from now.

        Raises:
            Stopped: None may be sent any more.
        """
        left = self.leases.left(f"account {account}")
        if left is None or self.abandoned.is_set() or (not left and self.stopping.is_set()):
            raise Stopped
        return left

    def close(self) -> None:
        """Close the accounts that were opened here."""
        for door in self._own:
            door.close()

    def plan(self, id: str) -> Plan:
        """The plan of a run."""
        with self._lock:
            if id not in self._plans:
                if self.journal.run(id).key != self.key.id:
                    raise ConfigurationError(
                        OurWords(f"run {id} was begun with another receipt key"),
                        hint="name the same key on every machine",
                    )
                found = kept_plan(self.journal, id)
                if found is None:
                    raise ConfigurationError(OurWords(f"the plan of run {id} is gone"))
                self._plans = {id: found}  # plans are large, and runs go one after the other as a rule
            return self._plans[id]

    def part(self, id: str, account: str) -> tuple[Plan, AccountPlan, Runner]:
        """A run's plan, the part for this account, and the account.

        Raises:
            ConfigurationError: The account is unknown here, or belongs to another provider than when it was planned.
        """
        plan = self.plan(id)
        part, runner = plan.by_account[account], self.runner(account)
        if runner.provider.name != part.provider:
            now_at = runner.provider.name
            raise ConfigurationError(
                OurWords(f"account {account!r} belongs to {now_at} now, and the plan was made for {part.provider}")
            )
        return plan, part, runner

    def runner(self, account: str) -> Runner:
        """The account of this name, which knows what others just sent to it."""
        with self._lock:
            if account not in self._runners:
                door = Contacts(open_provider(account, {}), name=account, guard=guard(None))
                self._own.append(door)
                self._runners[account] = door
            runner = self._runners[account]
            if account not in self._charged or f"account {account}" in self.leases.taken_over:
                self._charged.add(account)
                self.leases.taken_over.discard(f"account {account}")
                window = max((rate.seconds for rate in runner.provider.rate_limits.values()), default=0.0)
                runner.charge_rate_limit(self.journal.recent(account, window))
            return runner

    @contextlib.contextmanager
    def watched(self, runner: Runner) -> Iterator[list[dict[str, Any]]]:
        """Note every exchange with the vendor, as digests, and let none begin without the account's lease."""
        account = next(name for name, each in self._runners.items() if each is runner)
        exchanges: list[dict[str, Any]] = []

        def note(call: Request[Any], response: Any) -> None:
            body = msgspec.json.encode([call.params, call.json], order="sorted")
            told = {"status": None, "answer": "", "request_id": ""}
            if response is not None:
                told["status"] = response.status_code
                told["answer"] = self.key.digest(b"answer", response.content)
                told["request_id"] = scrub(request_id(response.headers))
            request = self.key.digest(b"request", call.method.encode(), call.path.encode(), body)
            exchanges.append({"method": call.method, "request": request, **told, "at": now()})

        with contextlib.ExitStack() as hooked:
            hooked.callback(runner.add_event_hook(note))
            hooked.callback(runner.add_before_send(lambda: self._left(account)))
            self._left(account)
            yield exchanges
            self._left(account)

    def conclude(self, run: Run, state: str, reason: str) -> None:
        """Write the receipt and how the run ended, once, and tell the plugins."""
        _conclude(self.place, self.journal, self.key, self.signer, run, state, reason)


def begin_run(journal: Journal, id: str, plan: Plan, key: PseudonymKey, options: Mapping[str, Any]) -> None:
    """Write a new run of a plan down."""
    journal.begin(
        id,
        kind=plan.kind.value,
        accounts=[part.account for part in plan.accounts],
        people=len(plan.people),
        checksum=plan.checksum,
        plan=plan.to_json(),
        key=key,
        options=options,
    )


def kept_plan(journal: Journal, id: str) -> Plan | None:
    """The plan of a run; None once nothing is left to do with it.

    Raises:
        StorageError: It was altered, or the receipt key is another one than when the run began.
    """
    text = journal.plan(id)
    return None if text is None else Plan.from_json(text)


def conclude(place: Storage, journal: Journal, key: PseudonymKey, run: Run, state: str, reason: str) -> None:
    """Write the receipt and how the run ended, once, and tell the plugins."""
    _conclude(place, journal, key, _signer(place), run, state, reason)


def _signer(place: Storage) -> Signer | None:
    pem = place.signing_key()
    return Signer.from_pem(pem) if pem else None


def _conclude(
    place: Storage, journal: Journal, key: PseudonymKey, signer: Signer | None, run: Run, state: str, reason: str
) -> None:
    if run.key != key.id:  # a receipt under another key would be nobody's proof, and the plan cannot be read
        journal.end(run, state, reason, None, forget=False)
        return
    plan = kept_plan(journal, run.id)
    if plan is None:
        return
    if plan.kind is PlanKind.ERASE:
        _bury_touched(place, journal, key, run, plan)
    try:
        text = "".join(write(receipt_events(run, plan, journal, key, state, reason), key, signer))
        receipt = Receipt.parse(text)
    except (StorageError, SQLAlchemyError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the run ends, and says what there is not
        why = f"{state}, and its receipt could not be written: {public_reason(error, key)}"
        journal.end(run, "failed", f"{why}; {reason}" if reason else why, None, forget=False)
        return
    if journal.end(run, state, reason, text, forget=receipt.complete or state == "refused"):
        hooks.run_finished(receipt)


def _bury_touched(place: Storage, journal: Journal, key: PseudonymKey, run: Run, plan: Plan) -> None:
    """Leave tombstones for those whose deletion was begun, however the run ends; also if it was cut off before."""
    touched = {(e.account, each) for e in journal.events(run.id, "step") for each in e.body["touched"]}
    if not touched:
        return
    numbers = {
        number
        for part in plan.accounts
        for target in part.targets
        if (part.account, key.contact(part.account, target.contact)) in touched
        for number in target.people
    }
    gone = [i for person in plan.people if person.number in numbers for i in person.identifiers]
    for each in places(place):
        Tombstones(each).add(gone, run.id)


def session() -> Session:
    """The session at work; every step begins here, and goes no further when it stops."""
    found = Session.current
    if found is None or found.stopping.is_set():
        raise Stopped
    return found
