"""The durable workflows, and the steps that they are made of.

A step is recorded when it has ended. After a crash the one in flight is done again, so each is idempotent; a workflow
decides by what its steps gave, and by nothing else, for it is replayed.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from types import NoneType
from typing import Any, NamedTuple, ParamSpec, TypeVar

from attrs import evolve
from dbos import DBOS, SetEnqueueOptions, SetWorkflowID
from sqlalchemy.exc import SQLAlchemyError

from contacts_core.errors import (
    ConfigurationError,
    ContactsError,
    Interrupted,
    PlanRefused,
    ProviderError,
    StorageError,
)
from contacts_core.models import Job, Outcome
from contacts_core.models.identifiers import scrub
from contacts_core.plans import hooks
from contacts_core.plans.execution import changes as working
from contacts_core.plans.execution.context import Runner, Session, Stopped, session
from contacts_core.plans.execution.step_results import AccountWork, StepResult, from_recorded, to_recorded
from contacts_core.plans.execution.verdicts import Evidence, results
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.model import AccountPlan, Plan
from contacts_core.plans.receipts.reasons import OurWords, public_reason, public_reasons
from contacts_core.provider import flows
from contacts_core.storage.journal import Run
from contacts_core.storage.tombstones import Tombstones, places

__all__ = ["CHECK", "QUEUE", "At", "check_account", "check_accounts", "enqueue", "work_on_account"]

logger = logging.getLogger("contacts_core")

QUEUE = "contacts-accounts"
CHECK = "contacts.check"
READ = 1000  # contacts or identifiers, at most, that a verifying step reads
LONGEST = 30.0  # seconds between two verifying reads, at most
TIMEOUT = 900.0


class At(NamedTuple):
    """Where a workflow is at work: a run, its round, and an account."""

    run: str
    round: int
    account: str

    @property
    def open(self) -> bool:
        """Whether this round has not ended; one that was cancelled meanwhile is not worked on any more."""
        run = session().journal.run(self.run)
        return (run.state, run.round) == ("running", self.round)

    def workflow(self, what: str) -> str:
        """Name of the workflow, as `Run.workflow` makes it."""
        return f"{self.run}.{self.round}.{what}.{self.account}"


# -- the workflows -----------------------------------------------------------------------------------------------------


def enqueue(workflow: Callable[[str, int, str], None], run: Run, account: str, what: str) -> None:
    """Put a workflow of a run into the queue; one of that name that is there already stays as it is."""
    with SetWorkflowID(run.workflow(account, what)), SetEnqueueOptions(queue_partition_key=account):
        DBOS.enqueue_workflow(QUEUE, workflow, run.id, run.round, account)


@DBOS.workflow(name=CHECK)
def check_account(run: str, number: int, account: str) -> None:
    """See whether the plan still holds in one account; the last one begins the work in all of them."""
    at = At(run, number, account)
    with session().busy(at.workflow("check"), account):
        if at.open and _check(at):
            begun = session().journal.run(run)
            for name in begun.accounts:
                enqueue(work_on_account, begun, name, "work")


@DBOS.workflow(name="contacts.work")
def work_on_account(run: str, number: int, account: str) -> None:
    """Do the work in one account, and verify it."""
    at = At(run, number, account)
    with session().busy(at.workflow("work"), account):
        if not at.open:
            return
        try:
            evidence = _Work(at).evidence()
        except (StorageError, SQLAlchemyError):
            raise  # the run goes on when it can be written down again
        except Exception as error:  # noqa: BLE001 - whatever it is, the run ends with an answer for everybody
            evidence = Evidence(stopped=public_reason(error, session().key), unread="not read again")
        _finish(at, evidence)


class _Work:
    """The work in one account, step after step. It decides by what steps gave, and by nothing else: it is replayed."""

    def __init__(self, at: At) -> None:
        self._at = at
        self._options = session().journal.run(at.run).options
        self._asked = 0.0  # seconds that the vendor asked to wait

    def _rests(self, longest: float) -> Iterator[None]:
        """Pause, ever longer, and as long as the vendor asked for, until the time given is over."""
        waited, timeout = 0.0, float(self._options.get("timeout", TIMEOUT))
        for pause in flows.pauses(longest, float(self._options.get("pause", 0.5))):
            if waited >= timeout:
                return
            pause = min(max(pause, self._asked), timeout - waited)  # noqa: PLW2901 - what is left of it
            self._asked = 0.0
            _rest_until(_wake_at(pause), pause)
            waited += pause
            yield

    def evidence(self) -> Evidence:
        """Do the steps, wait for the vendor's jobs, and verify."""
        work = _begin(self._at)
        failed: dict[int, str] = {}
        jobs: list[Job] = []
        stopped = ""
        for number in work.steps:
            result = _act(self._at, number)
            rests = self._rests(LONGEST)
            while result.again:
                self._asked = result.pause
                if next(rests, self) is not None:
                    break
                result = _act(self._at, number)
            failed |= result.failed
            jobs += result.jobs
            if stopped := result.stopped:
                break
        rests = self._rests(work.poll)
        pending = [job for job in jobs if not job.finished]
        while pending and next(rests, self) is None:
            pending = [job for job in _look_at_jobs(self._at, pending) if not job.finished]
        _bury(self._at)
        evidence = Evidence(paths=work.paths, failed=failed, stopped=stopped, pending=len(pending))
        return self._verified(work, evidence)

    def _verified(self, work: AccountWork, evidence: Evidence) -> Evidence:
        """Read again, path by path, until nobody is shown or the time is over."""
        rests = self._rests(LONGEST)
        for path in work.paths:
            left = list(range(work.identifiers if path == "find" else work.targets))
            outside_plan, changed = set[int](), set[int]()
            unread: dict[int, str] = {}
            unasked = dict(evidence.unasked)
            while left:
                shown: set[int] = set()
                unread = {}
                size = len(left) if path in work.whole else READ
                for chunk in flows.chunks(left, size):
                    seen = _read(self._at, path, list(chunk))
                    unread |= seen.unread
                    unasked |= seen.unasked
                    shown |= {*seen.targets, *seen.identifiers}
                    outside_plan |= set(seen.outside_plan)
                    changed |= set(seen.changed)
                left = sorted(shown | unread.keys())
                if not left or next(rests, self) is not None:
                    break
            still = sorted(set(left) - unread.keys())
            if path == "find":
                evidence = evolve(
                    evidence,
                    identifiers=still,
                    unread_identifiers=unread,
                    outside_plan=sorted(outside_plan),
                    unasked=unasked,
                )
            else:
                evidence = evolve(
                    evidence, targets=still, unread_targets=unread, changed=sorted(changed), unasked=unasked
                )
        return evidence


P = ParamSpec("P")
T = TypeVar("T")


def _step(name: str, result: type[T]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a function a durable step, whose result is recorded as plain JSON.

    An error of the database ends the workflow for now, and is not recorded as the step's result.

    Args:
        name: Of the step, in the records.
        result: The type that it returns.
    """

    def durable(work: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(work)
        def recorded(*args: P.args, **kwargs: P.kwargs) -> Any:
            with session().storing():
                try:
                    return to_recorded(work(*args, **kwargs))
                except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
                    # Raised by a provider, for signals go to the main thread. Unchanged, it would end the thread
                    # without ending the workflow, and the step would be repeated for ever.
                    raise RuntimeError(type(error).__name__) from error

        step = DBOS.step(name=name)(recorded)

        @functools.wraps(work)
        def structured(*args: P.args, **kwargs: P.kwargs) -> T:
            return from_recorded(step(*args, **kwargs), result)

        return structured

    return durable


# -- the steps: each is done again if a crash came before it was recorded ----------------------------------------------


@_step("check", bool)
def _check(at: At) -> bool:
    """See whether the plan still holds; true for the last account, if all may be worked on."""
    here = session()
    run, journal = here.journal.run(at.run), here.journal
    journal.reached(at.run, at.account, "checking", 0, 0)
    entry = journal.began(at.run, at.account, "checked", {"round": at.round})
    strict = not journal.has(at.run, "step")  # later, what is gone may be our own doing
    body: dict[str, Any] = {"round": at.round, "changes": [], "touch": [], "error": "", "refused": False}
    try:
        plan, part, runner = here.part(at.run, at.account)
        if kind_of(plan.kind).leaves_tombstones:
            _tombstones(here)  # if they cannot be left, nothing is begun
        with here.watched(runner) as exchanges:
            body["exchanges"] = exchanges
            runner.run(working.same_account(part, runner.provider))
            found = runner.run(working.again(plan, part, runner.provider))
        body["touch"] = working.still(part, found)
        body["changes"] = working.differences(part, found) if strict else []
    except StorageError:
        raise
    except ContactsError as error:
        body["error"] = public_reason(error, here.key)
        body["refused"] = strict and isinstance(error, PlanRefused)
    body["changes"] = len(body["changes"])
    journal.ended(entry, body)
    checked = {
        e.account: e.body for e in journal.events(at.run, "checked") if e.ended_at and e.body["round"] == at.round
    }
    if len(checked) < len(run.accounts):
        return False
    errors = [f"{name}: {each['error']}" for name, each in checked.items() if each["error"]]
    changes = [f"{name}: {each['changes']} contact(s)" for name, each in checked.items() if each["changes"]]
    if errors:
        kept = "nothing was changed" if strict else "this round changed nothing more"
        refused = any(each["refused"] for each in checked.values())
        here.conclude(run, "refused" if refused else "failed", f"{kept}; {'; '.join(errors)}")
    elif changes:
        here.conclude(run, "refused", f"changed since the plan was made: {', '.join(changes)}; nothing was changed")
    return not (errors or changes)


def _tombstones(here: Session) -> list[Tombstones]:
    """Where this run leaves its tombstones.

    Raises:
        ConfigurationError: They cannot be left in one of these places.
    """
    try:
        return [Tombstones(place) for place in places(here.place)]
    except ConfigurationError as error:
        told = "tombstones cannot be left, so that the people erased could come back"
        logger.warning("%s: %s", told, scrub(str(error)))
        raise ConfigurationError(OurWords(told), hint=error.hint) from None


@_step("begin", AccountWork)
def _begin(at: At) -> AccountWork:
    """Return what there is to do."""
    here = session()
    plan, part, runner = _account(here, at, anew=True)
    touch = _touched(here, at)
    paths = working.paths(plan, part, runner.provider)
    numbers = [s.number for s in part.steps if any(n in touch for n in range(s.first, s.first + s.count))]
    return AccountWork(
        steps=tuple(numbers),
        targets=len(working.subjects(plan, part)),
        identifiers=len(working.sought(plan, part)),
        paths=paths,
        whole=tuple(path for path in paths if working.reads_all(runner.provider, path)),
        poll=runner.provider.poll_interval,
    )


@_step("act", StepResult)
def _act(at: At, number: int) -> StepResult:
    """Attempt one step of the plan."""
    here = session()
    plan, part, runner = _account(here, at)
    step = part.steps[number - 1]
    touch = _touched(here, at)
    indexes = [n for n in range(step.first, step.first + step.count) if n in touch]
    here.journal.reached(at.run, at.account, "working", step.first, len(part.targets))
    touched = [here.key.contact(at.account, part.targets[n].contact) for n in indexes]
    about = {"round": at.round, "step": number, "operation": step.operation}
    body: dict[str, Any] = {**about, "contacts": len(indexes), "touched": touched}
    entry = here.journal.began(at.run, at.account, "step", body)
    again, pause, stopped = False, 0.0, ""
    outcome = Outcome(operation=step.operation, provider=part.provider)
    with here.watched(runner) as exchanges:
        try:
            outcome = runner.run(working.act(plan, [part.targets[n] for n in indexes], runner.provider))
        except ContactsError as error:
            cause = working.cause(error)
            outcome = error.outcome if isinstance(error, Interrupted) else outcome
            again, stopped = isinstance(cause, ProviderError) and cause.retryable, public_reason(error, here.key)
            pause = (cause.retry_after or 0.0) if isinstance(cause, ProviderError) else 0.0
    reasons = public_reasons(outcome.failed)
    items = kind_of(plan.kind).items
    failed = {n: reasons[item] for n in indexes for item in items(part.targets[n]) if item in reasons}
    told = {
        "state": outcome.state.value if not stopped else "failed",
        "confirmed": outcome.succeeded_count,
        "absent": len(outcome.absent),
        "failed": outcome.failed_count,
        "unconfirmed": outcome.unconfirmed
        if not stopped
        else len(indexes) - outcome.succeeded_count - len(outcome.absent),
        "reasons": list(dict.fromkeys([*failed.values(), *([stopped] if stopped else [])])),
        "jobs": [{"id": job.id, "state": job.state.value} for job in outcome.jobs],
        "exchanges": exchanges,
    }
    here.journal.ended(entry, body | told)
    here.journal.reached(at.run, at.account, "working", step.first + step.count, len(part.targets))
    hooks.step_finished(step, outcome)
    return StepResult(failed=failed, jobs=outcome.jobs, again=again, pause=pause, stopped=stopped)


@_step("jobs", list[Job])
def _look_at_jobs(at: At, pending: Sequence[Job]) -> list[Job]:
    """Return the vendor's jobs as they are now, or unchanged if they cannot be read."""
    here = session()
    _, part, runner = _account(here, at)
    here.journal.reached(
        at.run, at.account, "waiting", len(part.targets), len(part.targets), f"{len(pending)} job(s) of the vendor"
    )
    entry = here.journal.began(at.run, at.account, "jobs", {"round": at.round})
    seen = list(pending)
    with here.watched(runner) as exchanges, contextlib.suppress(ContactsError):
        seen = runner.run(working.jobs(runner.provider, pending))
    told = [
        {"id": j.id, "state": j.state.value, "requested": j.requested, "succeeded": j.succeeded, "failed": j.failed}
        for j in seen
    ]
    here.journal.ended(entry, {"round": at.round, "jobs": told, "exchanges": exchanges})
    return seen


@_step("bury", NoneType)
def _bury(at: At) -> None:
    """Leave tombstones, so that no import brings back who was erased."""
    here = session()
    plan = here.plan(at.run)
    if kind_of(plan.kind).leaves_tombstones:
        for tombstones in _tombstones(here):
            tombstones.add((i for person in plan.people for i in person.identifiers), at.run)


@_step("read", working.Seen)
def _read(at: At, path: str, indexes: list[int]) -> working.Seen:
    """Read again by one path."""
    here = session()
    plan, part, runner = _account(here, at)
    known, sought = working.subjects(plan, part), working.sought(plan, part)
    total = len(sought) if path == "find" else len(known)
    here.journal.reached(at.run, at.account, "verifying", total - len(indexes), total, path)
    entry = here.journal.began(at.run, at.account, "read", {"round": at.round, "path": path, "asked": len(indexes)})
    seen, trouble = working.Seen(), ""
    with here.watched(runner) as exchanges:
        try:
            seen = runner.run(working.look(plan, part, runner.provider, path, indexes))
        except ContactsError as error:
            trouble = public_reason(error, here.key)
    shown = [here.key.contact(at.account, known[n].contact) for n in seen.targets]
    shown += [here.key.identifier(sought[n]) for n in sorted({*seen.identifiers, *seen.outside_plan})]
    doubts = "; ".join(dict.fromkeys(seen.unread.values()))
    told = {"round": at.round, "path": path, "asked": len(indexes), "shown": shown, "error": trouble or doubts}
    here.journal.ended(entry, told | {"exchanges": exchanges})
    return evolve(seen, unread=dict.fromkeys(indexes, "could not be read again")) if trouble else seen


@_step("finish", NoneType)
def _finish(at: At, evidence: Evidence) -> None:
    """Write the answers down; the last account ends the run."""
    here = session()
    plan = here.plan(at.run)
    part = plan.by_account[at.account]
    answers = results(plan, part, evidence, here.key)
    here.journal.note(at.run, at.account, "results", {"round": at.round, "results": answers})
    here.journal.reached(at.run, at.account, "done", len(part.targets), len(part.targets))
    run = here.journal.run(at.run)
    ended = {
        e.account: e.body["results"] for e in here.journal.events(at.run, "results") if e.body["round"] == at.round
    }
    if len(ended) == len(run.accounts):
        states = {each["state"] for several in ended.values() for each in several}
        here.conclude(run, "done" if states <= {"absent"} else "incomplete", "")


@_step("wake", float)
def _wake_at(pause: float) -> float:
    """When a pause that begins now is over; recorded, so that a crash does not begin it anew."""
    session()
    return time.time() + pause


def _rest_until(moment: float, longest: float) -> None:
    """Rest until then, and no longer than it was to be: the clock may have been set back meanwhile."""
    if session().stopping.wait(min(max(0.0, moment - time.time()), longest)):
        raise Stopped


def _touched(here: Session, at: At) -> set[int]:
    """Targets that this round may touch, by index; kept, for the event holds every exchange of the check."""
    if at not in here.touched:
        checked = [e.body for e in here.journal.events(at.run, "checked", at.account) if e.ended_at]
        here.touched[at] = set(next(body["touch"] for body in reversed(checked) if body["round"] == at.round))
    return here.touched[at]


def check_accounts(here: Session, run: Run) -> None:
    """See, before a run is taken up, that every account is still the one that the plan was made for.

    An account that cannot be asked now is left to the run, which says so.

    Raises:
        PlanRefused: One leads to another workspace.
    """
    for name in run.accounts:
        try:
            with here.leases.holding(f"account {name}", here.stopping):
                _identify(here, At(run.id, run.round, name))
        except PlanRefused:
            raise
        except ContactsError:
            continue


def _account(here: Session, at: At, *, anew: bool = False) -> tuple[Plan, AccountPlan, Runner]:
    """The plan, its part for this account, and the account, which is the one that it was planned for.

    The vendor is asked once by each process that takes the work up, or ``anew``.

    Raises:
        PlanRefused: It is another account.
    """
    if anew or at not in here.identified:
        _identify(here, at)
    return here.part(at.run, at.account)


def _identify(here: Session, at: At) -> None:
    _, part, runner = here.part(at.run, at.account)
    exchanges: list[dict[str, Any]] = []
    error = ""
    try:
        with here.watched(runner) as exchanges:
            runner.run(working.same_account(part, runner.provider))
    except ContactsError as caught:
        error = public_reason(caught, here.key)
        raise
    finally:
        if exchanges:
            told = {"round": at.round, "path": "account", "asked": 0, "shown": [], "error": error}
            here.journal.note(at.run, at.account, "read", told | {"exchanges": exchanges})
    here.identified.add(at)
