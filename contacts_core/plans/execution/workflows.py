"""The durable workflows, and the steps that they are made of.

A step is recorded when it has ended. After a crash the step under way is repeated, so each one is idempotent. A
workflow is replayed, so it decides only by the results of its steps.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain
from types import NoneType
from typing import Any, NamedTuple, ParamSpec, TypeVar

from attrs import evolve
from dbos import DBOS, SetEnqueueOptions, SetWorkflowID
from sqlalchemy.exc import SQLAlchemyError

from contacts_core import operations
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
from contacts_core.plans.change import Change
from contacts_core.plans.change_operations import operation_of
from contacts_core.plans.execution import attempts, recheck, source_consent, verification
from contacts_core.plans.execution.account_view import AccountView
from contacts_core.plans.execution.context import Runner, Session, Stopped, session
from contacts_core.plans.execution.index_set import IndexSet
from contacts_core.plans.execution.step_results import (
    AccountWork,
    Barred,
    StageWork,
    StepResult,
    from_recorded,
    to_recorded,
)
from contacts_core.plans.execution.verdicts import Evidence, results
from contacts_core.plans.receipts.reasons import OurWords, public_reason, public_reasons
from contacts_core.plans.receipts.touched import pseudonym
from contacts_core.provider import flows
from contacts_core.storage.journal import FOUND_THERE, Journal, Run
from contacts_core.storage.tombstones import Tombstones, tombstone_storages

__all__ = ["CHECK", "QUEUE", "AccountRun", "check_account", "check_accounts", "enqueue", "work_on_account"]

logger = logging.getLogger("contacts_core")

QUEUE = "contacts-accounts"
CHECK = "contacts.check"
EXCHANGES_PER_EVENT = 500  # of a check
READ_BATCH_SIZE = 1000  # contacts or identifiers that a verifying step reads at most
LONGEST_PAUSE_S = 30.0  # at most, between two verifying reads
TIMEOUT_S = 900.0
MOST_REASONS = 20  # noted of one stage
NOT_BEGUN = "not begun, because an earlier stage was not verified"
NOT_KEPT = "a refusal of this person is not in force there any more"
NO_SOURCE = "what people refused at the source could not be read again, so no contact is written"
NO_REVIEW = "what people refused at the source could not be read again at the end"
LEFT_OUT = "left out, because an earlier stage was not verified for this person"


class AccountRun(NamedTuple):
    """What a workflow works on: one round of a run, in one account."""

    run: str
    round: int
    account: str

    @property
    def open(self) -> bool:
        """Whether this round is still running. A cancelled one is not worked on any more."""
        run = session().journal.run(self.run)
        return (run.state, run.round) == ("running", self.round)

    def workflow(self, what: str) -> str:
        """Return the name of the workflow, as `Run.workflow` does."""
        return f"{self.run}.{self.round}.{what}.{self.account}"


# -- the workflows -----------------------------------------------------------------------------------------------------


def enqueue(workflow: Callable[[str, int, str], None], run: Run, account: str, what: str) -> None:
    """Queue a workflow of a run, unless it is queued already."""
    with SetWorkflowID(run.workflow(account, what)), SetEnqueueOptions(queue_partition_key=account):
        DBOS.enqueue_workflow(QUEUE, workflow, run.id, run.round, account)


@DBOS.workflow(name=CHECK)
def check_account(run: str, number: int, account: str) -> None:
    """Check whether the plan still holds in one account. The last check starts the work in all accounts."""
    at = AccountRun(run, number, account)
    with session().busy(at.workflow("check"), account):
        if at.open and _check(at):
            started = session().journal.run(run)
            for name in started.accounts:
                enqueue(work_on_account, started, name, "work")


@DBOS.workflow(name="contacts.work")
def work_on_account(run: str, number: int, account: str) -> None:
    """Do the work in one account, and verify it."""
    at = AccountRun(run, number, account)
    with session().busy(at.workflow("work"), account):
        if not at.open:
            return
        try:
            evidence = _Work(at).evidence()
        except (StorageError, SQLAlchemyError):
            raise  # the run continues when it can be recorded again
        except Exception as error:  # noqa: BLE001 - whatever happens, the run ends with a result for every person
            stopped = Evidence(stopped=public_reason(error, session().key), unread="not read again")
            evidence = [stopped] * session().stages(at.run, at.account)
        _finish(at, evidence)


class _Work:
    """The work in one account, step by step. It is replayed, so it decides only by the results of steps."""

    def __init__(self, at: AccountRun) -> None:
        self._at = at
        self._options = session().journal.run(at.run).options
        self._requested_pause = 0.0  # seconds, by the vendor

    def _pauses(self, longest: float) -> Iterator[None]:
        """Pause longer each time, and at least as long as the vendor asks, until the run's timeout is over."""
        waited, timeout = 0.0, float(self._options.get("timeout", TIMEOUT_S))
        for pause in flows.pauses(longest, float(self._options.get("pause", 0.5))):
            if waited >= timeout:
                return
            pause = min(max(pause, self._requested_pause), timeout - waited)  # noqa: PLW2901 - at most what is left of the timeout
            self._requested_pause = 0.0
            _sleep_until(_wake_at(pause), pause)
            waited += pause
            yield

    def evidence(self) -> list[Evidence]:
        """Work on one stage after the other, each verified before the next begins. Return the evidence of each.

        A stage that was not verified for some people leaves these out of the later ones. If it is about the account
        itself, or broke off, no later stage begins.
        """
        work = _begin(self._at)
        found: list[Evidence] = []
        left_out: set[int] = set()
        stopped = ""
        allowed: dict[int, Barred] = {}
        for n, stage in enumerate(work.stages):
            if stopped:
                found.append(Evidence(stopped=stopped, unread=NOT_BEGUN))
                continue
            barred = _bar(self._at, n) if stage.depends_on_source else Barred()
            if barred.unread:
                stopped = barred.unread
                found.append(Evidence(stopped=stopped, unread=NOT_BEGUN))
                continue
            allowed[n] = barred
            found.append(self._stage(work, n, stage, left_out, barred))
            stopped = self._gate(n, found[n], left_out)
        for n, stage in enumerate(work.stages[:-1]):  # a later stage may have undone it
            if found[n].unread != NOT_BEGUN:
                found[n] = self._verified(n, stage, found[n])
        for n, stage in enumerate(work.stages):
            writes_contacts = stage.depends_on_source and not operation_of(stage.operation).of_account
            if writes_contacts and found[n].unread != NOT_BEGUN:
                found[n] = self._reviewed(n, stage, found[n], allowed[n])
        return found

    def _reviewed(self, n: int, stage: StageWork, evidence: Evidence, before: Barred) -> Evidence:
        """Read the consent of both accounts a last time: who refused must not count as copied unless it is in force."""
        review = _review(self._at, n)
        if review.unread:
            return evolve(evidence, unread=review.unread)
        refusing = IndexSet.unpacked(review.refusing)
        lost = (n for n in IndexSet.unpacked(before.refusing) if n not in refusing and n not in before.reasons)
        found = {**dict.fromkeys(lost, NOT_KEPT), **review.reasons}
        since = {index: reason for index, reason in found.items() if index not in evidence.failed}
        if not since:
            return evidence
        return evolve(
            evidence,
            targets=IndexSet(stage.targets, chain(evidence.targets, since)),
            reasons={**evidence.reasons, **since},
        )

    def _gate(self, n: int, evidence: Evidence, left_out: set[int]) -> str:
        """Add the people to be left out of later stages, or return why none may begin."""
        doubtful = evidence.doubtful
        view = session().view_of_plan(self._at.run, self._at.account, n)
        changes = view.subjects(doubtful)
        left_out |= {person for change in changes.values() for person in change.people}
        if evidence.stopped:
            return evidence.stopped
        if evidence.unread or any(not change.people for change in changes.values()):
            return f"{view.operation.name} was not verified"
        return ""

    def _stage(
        self, work: AccountWork, n: int, stage: StageWork, left_out: AbstractSet[int], barred: Barred
    ) -> Evidence:
        """Do the steps of one stage, wait for the vendor's jobs, and verify."""
        failed: dict[int, str] = {}
        jobs: list[Job] = []
        stopped = ""
        for number in stage.steps:
            result = _act(self._at, n, number, left_out, barred)
            pauses = self._pauses(LONGEST_PAUSE_S)
            while result.again:
                self._requested_pause = result.pause
                if next(pauses, self) is not None:
                    break
                result = _act(self._at, n, number, left_out, barred)
            failed |= result.failed
            jobs += result.jobs
            if stopped := result.stopped:
                break
        pauses = self._pauses(work.poll)
        pending = [job for job in jobs if not job.finished]
        while pending and next(pauses, self) is None:
            pending = [job for job in _read_jobs(self._at, pending) if not job.finished]
        _add_tombstones(self._at)
        evidence = Evidence(paths=stage.paths, failed=failed, stopped=stopped, pending=len(pending))
        return self._verified(n, stage, evidence)

    def _verified(self, n: int, work: StageWork, evidence: Evidence) -> Evidence:
        """Read again, path by path, until no contact is found or the time is over."""
        pauses = self._pauses(LONGEST_PAUSE_S)
        gone = operation_of(work.operation).leaves
        for path in work.paths:
            total = work.identifiers if path == "find" else work.targets
            left, outside_plan, changed = IndexSet(total, range(total)), IndexSet(total), IndexSet(total)
            unread: dict[int, str] = {}
            reasons: dict[int, str] = {}
            unasked = dict(evidence.unasked)
            while left:
                shown = IndexSet(total)
                unread, reasons = {}, {}
                size = len(left) if path in work.whole else READ_BATCH_SIZE
                for chunk in flows.chunks(left, size):
                    seen = _read(self._at, n, path, list(chunk))
                    unread |= seen.unread
                    reasons |= seen.reasons
                    unasked |= seen.unasked
                    shown.update(chain(seen.targets, seen.identifiers))
                    outside_plan.update(seen.outside_plan)
                    changed.update(seen.changed)
                left = IndexSet(total, chain(shown, unread))
                # What could not be written will not appear, however long one waits.
                waited_for = left if path == "find" or gone else [n for n in left if n not in evidence.failed]
                if not waited_for or next(pauses, self) is not None:
                    break
            still = IndexSet(total, (n for n in left if n not in unread))
            if path == "find":
                evidence = evolve(
                    evidence,
                    identifiers=still,
                    unread_identifiers=unread,
                    outside_plan=outside_plan,
                    unasked=unasked,
                )
            else:
                evidence = evolve(
                    evidence,
                    targets=still,
                    unread_targets=unread,
                    changed=changed,
                    unasked=unasked,
                    reasons=reasons,
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


# -- the steps: each is repeated if a crash came before it was recorded ----------------------------------------------


@_step("check", bool)
def _check(at: AccountRun) -> bool:
    """Re-validate one account. Return True only for the last account checked, and only if every account passed."""
    here = session()
    run, journal = here.journal.run(at.run), here.journal
    journal.reached(at.run, at.account, "checking", 0, 0)
    entry = journal.began(at.run, at.account, "checked", {"round": at.round})
    strict = not journal.has(at.run, "step")  # later, we may have deleted the contacts that are gone
    body: dict[str, Any] = {"round": at.round, "changes": 0, "touch": "", "error": "", "refused": False}
    try:
        view, runner = here.view(at.run, at.account)
        if view.kind.leaves_tombstones:
            _tombstones(here)  # if they cannot be added, nothing is started
        with here.watched(runner) as exchanges:
            body["exchanges"] = exchanges
            runner.run(recheck.same_account(view.part, runner.provider))
            if view.part.consent is not None:
                exchanges.extend(_check_source(here, view))
            if view.kind.strict:
                noted = functools.partial(_note_exchanges, journal, at, exchanges)
                seen = runner.run(recheck.recheck(view, runner.provider, noted))
                later = range(len(view.changes), len(view.part.changes))  # of later stages, which are read before each
                touch = itertools.chain(seen.unchanged, later)
                body["touch"] = IndexSet(len(view.part.changes), touch).packed
                body["changes"] = seen.differences if strict else 0
        body["all"] = not view.kind.strict  # each contact is read before it is changed, and left alone if it differs
    except StorageError:
        raise
    except ContactsError as error:
        body["error"] = public_reason(error, here.key)
        body["refused"] = strict and isinstance(error, PlanRefused)
    journal.ended(entry, body)
    checked = {
        e.account: e.body for e in journal.events(at.run, "checked") if e.ended_at and e.body["round"] == at.round
    }
    if len(checked) < len(run.accounts):
        return False
    errors = [f"{name}: {check['error']}" for name, check in checked.items() if check["error"]]
    changed = [f"{name}: {check['changes']} contact(s)" for name, check in checked.items() if check["changes"]]
    if errors:
        unchanged = "nothing was changed" if strict else "this round changed nothing more"
        refused = any(check["refused"] for check in checked.values())
        here.conclude(run, "refused" if refused else "failed", f"{unchanged}; {'; '.join(errors)}")
    elif changed:
        here.conclude(run, "refused", f"changed since the plan was made: {', '.join(changed)}; nothing was changed")
    return not (errors or changed)


def _note_exchanges(journal: Journal, at: AccountRun, exchanges: list[dict[str, Any]]) -> None:
    """Record what was exchanged so far, once it is much: a check of many contacts is several events."""
    if len(exchanges) >= EXCHANGES_PER_EVENT:
        body = {"round": at.round, "path": "check", "asked": 0, "shown": [], "error": "", "exchanges": [*exchanges]}
        journal.note(at.run, at.account, "read", body)
        exchanges.clear()


def _check_source(here: Session, view: AccountView) -> list[dict[str, Any]]:
    """Check that the consent of the source can be read again, before anything is changed. Return the exchanges.

    Raises:
        PlanRefused: It cannot.
    """
    try:
        source = here.runner(view.part.source)
        with here.watched(source, view.part.account) as exchanges:
            source_consent.check_source(view.part, source)
    except StorageError:
        raise
    except ContactsError as error:
        raise PlanRefused(OurWords(f"{NO_SOURCE}: {public_reason(error, here.key)}"), hint=error.hint) from error
    return exchanges


def _tombstones(here: Session) -> list[Tombstones]:
    """Return the storages that get this run's tombstones.

    Raises:
        ConfigurationError: Tombstones cannot be added to one of them.
    """
    try:
        return [Tombstones(storage) for storage in tombstone_storages(here.storage)]
    except ConfigurationError as error:
        reason = "tombstones cannot be added, so erased people could come back"
        logger.warning("%s: %s", reason, scrub(str(error)))
        raise ConfigurationError(OurWords(reason), hint=error.hint) from None


@_step("begin", AccountWork)
def _begin(at: AccountRun) -> AccountWork:
    """Return what there is to do."""
    here = session()
    _, runner = _account(here, at, again=True)
    touch = _touched(here, at)
    stages: list[StageWork] = []
    for n in range(here.stages(at.run, at.account)):
        view = here.view_of_plan(at.run, at.account, n)
        paths = verification.paths(view, runner.provider)
        stages.append(
            StageWork(
                operation=view.stage.operation,
                steps=tuple(
                    s.number for s in view.stage.steps if any(n in touch for n in range(s.first, s.first + s.count))
                ),
                targets=view.subject_count,
                identifiers=len(view.sought),
                paths=paths,
                whole=tuple(path for path in paths if verification.reads_all(view, runner.provider, path)),
                depends_on_source=source_consent.depends_on_source(view),
            )
        )
    return AccountWork(stages=tuple(stages), poll=operations.poll_interval(runner.provider))


@_step("bar", Barred)
def _bar(at: AccountRun, stage: int) -> Barred:
    """Read the consent of the source again. Return the changes of a stage that must not be made any more."""
    return _read_source(at, stage, NO_SOURCE, source_consent.refused)


@_step("review", Barred)
def _review(at: AccountRun, stage: int) -> Barred:
    """Read the consent of the source at the end. Return the changes of people whose refusal is not in force."""
    return _read_source(at, stage, NO_REVIEW, source_consent.refused_since)


def _read_source(at: AccountRun, stage: int, trouble: str, refused: Callable[..., Iterator[tuple[int, str]]]) -> Barred:
    here = session()
    view, runner = _account(here, at, stage)
    here.journal.reached(at.run, at.account, "checking", 0, len(view.changes), "consent of the source")
    entry = here.journal.began(at.run, at.account, "read", {"round": at.round, "path": "consent", "asked": 0})
    barred, exchanges, read = Barred(), list[dict[str, Any]](), list[dict[str, Any]]()
    try:
        source = here.runner(view.part.source)
        with here.watched(runner) as exchanges, here.watched(source, at.account) as read:
            comparison = source_consent.read_consent(view.part, source, runner)
            barred = Barred(dict(refused(view, comparison, runner.provider)))
            if not view.operation.of_account:
                refusing = IndexSet(len(view.changes), source_consent.refusing(view, comparison))
                barred = evolve(barred, refusing=refusing.packed)
    except StorageError:
        raise
    except ContactsError as error:
        barred = Barred(unread=f"{trouble}: {public_reason(error, here.key)}")
    body: dict[str, Any] = {"round": at.round, "path": "consent", "asked": 0, "shown": [], "error": barred.unread}
    here.journal.ended(entry, body | {"exchanges": [*exchanges, *read]})
    return barred


@_step("act", StepResult)
def _act(at: AccountRun, stage: int, number: int, left_out: AbstractSet[int], barred: Barred) -> StepResult:
    """Attempt one step of the plan, without what is barred, and without what is for people who are left out."""
    here = session()
    view, runner = _account(here, at, stage)
    part, step = view.part, view.part.steps[number - 1]
    touch, first = _touched(here, at), view.stage.first
    planned = {n - first: change for n, change in enumerate(part.of(step), step.first) if n in touch}
    not_made = {n: LEFT_OUT for n, change in planned.items() if left_out and not left_out.isdisjoint(change.people)}
    not_made |= {n: reason for n, reason in barred.reasons.items() if n in planned}
    planned = {n: change for n, change in planned.items() if n not in not_made}
    indexes = list(planned)
    here.journal.reached(at.run, at.account, "working", step.first, len(part.changes))
    touched = [pseudonym(here.key, at.account, change) for change in planned.values()]
    about = {"round": at.round, "step": number, "operation": step.operation}
    body: dict[str, Any] = {**about, "contacts": len(indexes), "touched": touched}
    entry = here.journal.began(at.run, at.account, "step", body)
    again, pause, stopped = False, 0.0, ""
    outcome = Outcome(operation=step.operation, provider=part.provider)
    places = {id(change): first + n for n, change in planned.items()}

    def noted(there: Sequence[Change]) -> None:
        found = {"step": number, "changes": [places[id(change)] for change in there]}
        here.journal.note(at.run, at.account, FOUND_THERE, found)

    with here.watched(runner) as exchanges:
        try:
            changes = list(planned.values())
            outcome = runner.run(attempts.act(view.operation, changes, runner.provider, here.guard, noted))
            if here.on_pair and not outcome.pending:
                _tell_new_ids(here, view, runner, planned)
        except ContactsError as error:
            cause = attempts.cause(error)
            outcome = error.outcome if isinstance(error, Interrupted) else outcome
            again, stopped = isinstance(cause, ProviderError) and cause.retryable, public_reason(error, here.key)
            pause = (cause.retry_after or 0.0) if isinstance(cause, ProviderError) else 0.0
    reasons = public_reasons(outcome.failed)
    items = view.operation.items
    failed = {n: reasons[item] for n, change in planned.items() for item in items(change) if item in reasons}
    failed |= not_made
    counts = {
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
    here.journal.ended(entry, body | counts)
    here.journal.reached(at.run, at.account, "working", step.first + step.count, len(part.changes))
    hooks.step_finished(step, outcome)
    return StepResult(failed=failed, jobs=outcome.jobs, again=again, pause=pause, stopped=stopped)


def _tell_new_ids(here: Session, view: AccountView, runner: Runner, made: Mapping[int, Change]) -> None:
    """Tell the ids of contacts that a step created. Those that cannot be read now are told when they are verified."""
    with contextlib.suppress(ContactsError):
        for n, id in runner.run(view.operation.new_ids(made, runner.provider)).items():
            here.paired(made[n], id)


@_step("jobs", list[Job])
def _read_jobs(at: AccountRun, pending: Sequence[Job]) -> list[Job]:
    """Return the vendor's jobs as they are now, or unchanged if they cannot be read."""
    here = session()
    view, runner = _account(here, at)
    total = len(view.part.changes)
    here.journal.reached(at.run, at.account, "waiting", total, total, f"{len(pending)} job(s) of the vendor")
    entry = here.journal.began(at.run, at.account, "jobs", {"round": at.round})
    seen = list(pending)
    with here.watched(runner) as exchanges, contextlib.suppress(ContactsError):
        seen = runner.run(attempts.jobs(runner.provider, pending))
    states = [
        {"id": j.id, "state": j.state.value, "requested": j.requested, "succeeded": j.succeeded, "failed": j.failed}
        for j in seen
    ]
    here.journal.ended(entry, {"round": at.round, "jobs": states, "exchanges": exchanges})
    return seen


@_step("bury", NoneType)
def _add_tombstones(at: AccountRun) -> None:
    """Add tombstones, so that no import brings erased people back."""
    here = session()
    if here.view_of_plan(at.run, at.account).kind.leaves_tombstones:
        here.bury(at.run, _tombstones(here))


@_step("read", verification.Seen)
def _read(at: AccountRun, stage: int, path: str, indexes: list[int]) -> verification.Seen:
    """Read again by one path."""
    here = session()
    view, runner = _account(here, at, stage)
    total = len(view.sought) if path == "find" else view.subject_count
    here.journal.reached(at.run, at.account, "verifying", total - len(indexes), total, path)
    entry = here.journal.began(at.run, at.account, "read", {"round": at.round, "path": path, "asked": len(indexes)})
    seen, trouble = verification.Seen(), ""
    with here.watched(runner) as exchanges:
        try:
            seen = runner.run(verification.look(view, runner.provider, path, indexes, here.paired))
        except ContactsError as error:
            trouble = public_reason(error, here.key)
    shown = [pseudonym(here.key, at.account, change) for change in view.subjects(seen.targets).values()]
    having = view.sought.at(sorted({*seen.identifiers, *seen.outside_plan}))
    shown += [here.key.identifier(identifier) for identifier in having.values()]
    doubts = "; ".join(dict.fromkeys(seen.unread.values()))
    body = {"round": at.round, "path": path, "asked": len(indexes), "shown": shown, "error": trouble or doubts}
    here.journal.ended(entry, body | {"exchanges": exchanges})
    return evolve(seen, unread=dict.fromkeys(indexes, "could not be read again")) if trouble else seen


@_step("finish", NoneType)
def _finish(at: AccountRun, evidence: Sequence[Evidence]) -> None:
    """Record the results. The last account ends the run."""
    here = session()
    stages = [(here.view_of_plan(at.run, at.account, n), each) for n, each in enumerate(evidence)]
    view = stages[0][0]
    if not view.kind.about_people or len(stages) > 1:
        _note_stages(here, at, stages)
    here.journal.note_results(at.run, at.account, at.round, results(stages, here.key))
    total = len(view.part.changes)
    here.journal.reached(at.run, at.account, "done", total, total)
    run = here.journal.run(at.run)
    ended = here.journal.ended_accounts(at.run, at.round)
    if len(ended) == len(run.accounts):
        states = {state for counts in ended.values() for state in counts}
        reached = states <= {view.kind.goal} and _stages_reached(here, run)
        here.conclude(run, "done" if reached else "incomplete", "")


def _note_stages(here: Session, at: AccountRun, stages: Sequence[tuple[AccountView, Evidence]]) -> None:
    """Record how many changes of each stage were verified."""
    for number, (view, evidence) in enumerate(stages, 1):
        unmade, unread = len(evidence.targets), len({*evidence.unread_targets} - {*evidence.targets})
        if evidence.unread or not evidence.paths:
            unmade = 0 if evidence.unread else len(evidence.failed)
            unread = view.subject_count - unmade
        body = {
            "round": at.round,
            "stage": number,
            "operation": view.operation.name,
            "changes": view.subject_count,
            "verified": view.subject_count - unmade - unread,
            "unmade": unmade,
            "unknown": unread,
            "reasons": list(dict.fromkeys(filter(None, [evidence.stopped, *evidence.reasons.values()])))[:MOST_REASONS],
        }
        here.journal.note(at.run, at.account, "stage", body)


def _stages_reached(here: Session, run: Run) -> bool:
    """Return whether every change of every stage was verified, also those that are about no person."""
    noted = (event.body for event in here.journal.events(run.id, "stage"))
    return not any(
        body["unmade"] or (body["unknown"] and (body["reasons"] or operation_of(body["operation"]).can_be_verified))
        for body in noted
        if body["round"] == run.round
    )


@_step("wake", float)
def _wake_at(pause: float) -> float:
    """Return when a pause that begins now is over. It is recorded, so a crash does not begin the pause again."""
    session()
    return time.time() + pause


def _sleep_until(moment: float, longest: float) -> None:
    """Sleep until then, and at most for ``longest`` seconds: the clock may have been set back."""
    if session().stopping.wait(min(max(0.0, moment - time.time()), longest)):
        raise Stopped


def _touched(here: Session, at: AccountRun) -> IndexSet:
    """Return the indexes of the changes that this round may make."""
    if at not in here.touched:
        checked = [e.body for e in here.journal.events(at.run, "checked", at.account) if e.ended_at]
        body = next(body for body in reversed(checked) if body["round"] == at.round)
        total = len(here.view_of_plan(at.run, at.account).part.changes)
        here.touched[at] = IndexSet(total, range(total)) if body.get("all") else IndexSet.unpacked(body["touch"])
    return here.touched[at]


def check_accounts(here: Session, run: Run) -> None:
    """Check, before a run is continued, that every account is still the one the plan was made for.

    An account that cannot be reached now is left to the run, which reports it.

    Raises:
        PlanRefused: One account leads to another workspace.
    """
    for name in run.accounts:
        try:
            with here.leases.holding(f"account {name}", here.stopping):
                _identify(here, AccountRun(run.id, run.round, name))
        except PlanRefused:
            raise
        except ContactsError:
            continue


def _account(here: Session, at: AccountRun, stage: int = 0, *, again: bool = False) -> tuple[AccountView, Runner]:
    """Return a stage of the plan for this account, and the account, checked to be the planned one.

    Each process asks the vendor once for each round, or ``again``.

    Raises:
        PlanRefused: It is another account.
    """
    if again or at not in here.identified:
        _identify(here, at)
    return here.view(at.run, at.account, stage)


def _identify(here: Session, at: AccountRun) -> None:
    view, runner = here.view(at.run, at.account)
    exchanges: list[dict[str, Any]] = []
    error = ""
    try:
        with here.watched(runner) as exchanges:
            runner.run(recheck.same_account(view.part, runner.provider))
    except ContactsError as caught:
        error = public_reason(caught, here.key)
        raise
    finally:
        if exchanges:
            body: dict[str, Any] = {"round": at.round, "path": "account", "asked": 0, "shown": [], "error": error}
            here.journal.note(at.run, at.account, "read", body | {"exchanges": exchanges})
    here.identified.add(at)
