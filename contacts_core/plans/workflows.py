"""The durable workflows, and the steps that they are made of.

A step is recorded when it has ended. After a crash the one in flight is done again, so each is idempotent; a workflow
decides by what its steps gave, and by nothing else, for it is replayed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from attrs import evolve
from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

from contacts_core import steps
from contacts_core.errors import ContactsError, Interrupted, ProviderError
from contacts_core.formats import job_from_plain, plain
from contacts_core.models import Job, Outcome
from contacts_core.plans import hooks, working
from contacts_core.plans.concluding import Evidence, results
from contacts_core.plans.journal import Run
from contacts_core.plans.model import Kind, Plan, Target
from contacts_core.plans.reasons import public_reason, public_reasons
from contacts_core.plans.session import Session, Stopped, session
from contacts_core.tombstones import Tombstones

__all__ = ["QUEUE", "At", "check_account", "enqueue", "work_on_account"]

QUEUE = "contacts-accounts"
READ = 1000  # contacts or identifiers, at most, that a verifying step reads
LONGEST = 30.0  # seconds between two verifying reads, at most
TIMEOUT = 900.0


class At(NamedTuple):
    """Where a workflow is at work: a run, its round, and an account."""

    run: str
    round: int
    account: str


# -- the workflows -----------------------------------------------------------------------------------------------------


def enqueue(workflow: Callable[[At], None], run: Run, account: str, what: str) -> None:
    """Put a workflow of a run into the queue; one of that name that is there already stays as it is."""
    with SetWorkflowID(run.workflow(account, what)), SetEnqueueOptions(queue_partition_key=account):
        DBOS.enqueue_workflow(QUEUE, workflow, At(run.id, run.round, account))


@DBOS.workflow(name="contacts.check")
def check_account(at: At) -> None:
    """See whether the plan still holds in one account; the last one begins the work in all of them."""
    with session().busy():
        if _check(at):
            run = session().journal.run(at.run)
            for name in run.accounts:
                enqueue(work_on_account, run, name, "work")


@DBOS.workflow(name="contacts.work")
def work_on_account(at: At) -> None:
    """Do the work in one account, and verify it."""
    with session().busy():
        try:
            evidence = _Work(at).evidence()
        except Exception as error:  # noqa: BLE001 - whatever it is, the run ends with an answer for everybody
            evidence = {"stopped": public_reason(error, session().key)}
        _finish(at, evidence)


class _Work:
    """The work in one account, step after step. It decides by what steps gave, and by nothing else: it is replayed."""

    def __init__(self, at: At) -> None:
        self._at = at
        self._options = session().journal.run(at.run).options

    def _rests(self, longest: float) -> Iterator[None]:
        """Pause, ever longer, until the time given is over."""
        waited, timeout = 0.0, float(self._options.get("timeout", TIMEOUT))
        for pause in steps.pauses(longest, float(self._options.get("pause", 0.5))):
            if waited >= timeout:
                return
            pause = min(pause, timeout - waited)  # noqa: PLW2901 - what is left of it
            _rest_until(_wake_at(pause))
            waited += pause
            yield

    def evidence(self) -> dict[str, Any]:
        begun = _begin(self._at)
        failed: dict[int, str] = {}
        jobs: list[dict[str, Any]] = []
        stopped = ""
        for number in begun["steps"]:
            done = _act(self._at, number)
            rests = self._rests(LONGEST)
            while done["again"] and next(rests, self) is None:
                done = _act(self._at, number)
            failed |= {int(n): reason for n, reason in done["failed"].items()}
            jobs += done["jobs"]
            if stopped := done["stopped"]:
                break
        rests = self._rests(begun["poll"])
        pending = [job for job in jobs if job["state"] == "pending"]
        while pending and next(rests, self) is None:
            pending = [job for job in _look_at_jobs(self._at, pending) if job["state"] == "pending"]
        _bury(self._at)
        return {
            **self._verified(begun),
            "paths": begun["paths"],
            "failed": failed,
            "stopped": stopped,
            "pending": len(pending),
        }

    def _verified(self, begun: dict[str, Any]) -> dict[str, Any]:
        """Read again, path by path, until nobody is shown or the time is over."""
        rests = self._rests(LONGEST)
        seen: dict[str, Any] = {}
        for path in begun["paths"]:
            what = "identifiers" if path == "find" else "targets"
            left, strangers, unread = list(range(begun[what])), set[int](), list[int]()
            while left:
                shown, unread = [], []
                size = len(left) if path == "list" or (begun["scan"] and path == "find") else READ
                for chunk in steps.chunks(left, size):
                    got = _read(self._at, path, list(chunk))
                    unread += got["unread"]
                    shown += got["targets"] + got["identifiers"]
                    strangers |= set(got["strangers"])
                left = sorted({*shown, *unread})
                if not left or next(rests, self) is not None:
                    break
            seen[what] = sorted(set(left) - set(unread))
            seen[f"unread_{what}"] = unread
            seen["strangers"] = sorted(strangers)
        return seen


# -- the steps: each is done again if a crash came before it was recorded ----------------------------------------------


@DBOS.step(name="check")
def _check(at: At) -> bool:
    """See whether the plan still holds; true for the last account, if all may be worked on."""
    here = session()
    run, journal = here.journal.run(at.run), here.journal
    journal.reached(at.run, at.account, "checking", 0, 0)
    entry = journal.began(at.run, at.account, "checked", {"round": at.round})
    body: dict[str, Any] = {"round": at.round, "changes": [], "touch": [], "error": ""}
    try:
        plan, part, runner = here.part(at.run, at.account)
        if plan.kind is Kind.ERASE:
            Tombstones(here.place)  # if they cannot be left, nothing is begun
        with here.watched(runner) as exchanges:
            found = runner.run(working.again(plan, runner.provider))
        body["touch"] = working.still(plan, part, found)
        strict = not journal.has(at.run, "step")  # later, what is gone may be our own doing
        body["changes"] = working.differences(part, found) if strict else []
        body["exchanges"] = exchanges
    except ContactsError as error:
        body["error"] = public_reason(error, here.key)
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
        here.conclude(run, "failed", f"nothing was changed; {'; '.join(errors)}")
    elif changes:
        here.conclude(run, "refused", f"changed since the plan was made: {', '.join(changes)}; nothing was changed")
    return not (errors or changes)


@DBOS.step(name="begin")
def _begin(at: At) -> dict[str, Any]:
    """What there is to do."""
    here = session()
    plan, part, runner = here.part(at.run, at.account)
    touch = _touched(here, at)
    numbers = [s.number for s in part.steps if any(n in touch for n in range(s.first, s.first + s.count))]
    return {
        "steps": numbers,
        "targets": len(part.targets),
        "identifiers": len(working.sought(plan, part)),
        "paths": list(working.paths(plan, runner.provider)),
        "scan": part.read == "scan",
        "poll": runner.provider.poll,
    }


@DBOS.step(name="act")
def _act(at: At, number: int) -> dict[str, Any]:
    """Do one step of the plan; ``again`` asks for another try when the vendor had a bad moment."""
    here = session()
    plan, part, runner = here.part(at.run, at.account)
    step = part.steps[number - 1]
    touch = _touched(here, at)
    indexes = [n for n in range(step.first, step.first + step.count) if n in touch]
    here.journal.reached(at.run, at.account, "working", step.first, len(part.targets))
    touched = [here.key.contact(at.account, part.targets[n].contact) for n in indexes]
    about = {"round": at.round, "step": number, "operation": step.operation}
    body: dict[str, Any] = {**about, "contacts": len(indexes), "touched": touched}
    entry = here.journal.began(at.run, at.account, "step", body)
    again, stopped = False, ""
    outcome = Outcome(operation=step.operation, provider=part.provider)
    with here.watched(runner) as exchanges:
        try:
            outcome = runner.run(working.act(plan, [part.targets[n] for n in indexes], runner.provider))
        except ContactsError as error:
            cause = error.__cause__ if isinstance(error, Interrupted) else error
            outcome = error.outcome if isinstance(error, Interrupted) else outcome
            again, stopped = isinstance(cause, ProviderError) and cause.retryable, public_reason(error, here.key)
    items = {item: n for n in indexes for item in _items(plan, part.targets[n])}
    failed = {items[item]: reason for item, reason in public_reasons(outcome.failed).items() if item in items}
    told = {
        "state": outcome.state.value if not stopped else "failed",
        "confirmed": outcome.counted,
        "absent": len(outcome.absent),
        "failed": outcome.refused,
        "unconfirmed": outcome.unconfirmed if not stopped else len(indexes) - outcome.counted - len(outcome.absent),
        "reasons": list(dict.fromkeys([*failed.values(), *([stopped] if stopped else [])])),
        "jobs": [{"id": job.id, "state": job.state.value} for job in outcome.jobs],
        "exchanges": exchanges,
    }
    here.journal.ended(entry, body | told)
    here.journal.reached(at.run, at.account, "working", step.first + step.count, len(part.targets))
    hooks.step_finished(step, outcome)
    return {
        "failed": {str(n): reason for n, reason in failed.items()},
        "jobs": _kept(outcome.jobs),
        "again": again,
        "stopped": stopped,
    }


@DBOS.step(name="jobs")
def _look_at_jobs(at: At, pending: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Look at the vendor's jobs; where that fails, they are taken to be as they were."""
    here = session()
    _, part, runner = here.part(at.run, at.account)
    here.journal.reached(
        at.run, at.account, "waiting", len(part.targets), len(part.targets), f"{len(pending)} job(s) of the vendor"
    )
    entry = here.journal.began(at.run, at.account, "jobs", {"round": at.round})
    seen: Sequence[Job] = [job_from_plain(job) for job in pending]
    with here.watched(runner) as exchanges, contextlib.suppress(ContactsError):
        seen = runner.run(working.jobs(runner.provider, seen))
    told = [
        {"id": j.id, "state": j.state.value, "requested": j.requested, "succeeded": j.succeeded, "failed": j.failed}
        for j in seen
    ]
    here.journal.ended(entry, {"round": at.round, "jobs": told, "exchanges": exchanges})
    return _kept(seen)


@DBOS.step(name="bury")
def _bury(at: At) -> None:
    """Leave tombstones, so that no import brings back who was erased."""
    here = session()
    plan = here.plan(at.run)
    if plan.kind is Kind.ERASE:
        Tombstones(here.place).bury((i for person in plan.people for i in person.identifiers), at.run)


@DBOS.step(name="read")
def _read(at: At, path: str, indexes: list[int]) -> dict[str, list[int]]:
    """Read again by one path."""
    here = session()
    plan, part, runner = here.part(at.run, at.account)
    total = len(working.sought(plan, part)) if path == "find" else len(part.targets)
    here.journal.reached(at.run, at.account, "verifying", total - len(indexes), total, path)
    entry = here.journal.began(at.run, at.account, "read", {"round": at.round, "path": path, "asked": len(indexes)})
    seen, trouble = working.Seen(), ""
    with here.watched(runner) as exchanges:
        try:
            seen = runner.run(working.look(plan, part, runner.provider, path, indexes))
        except ContactsError as error:
            trouble = public_reason(error, here.key)
    sought = working.sought(plan, part)
    shown = [here.key.contact(at.account, part.targets[n].contact) for n in seen.targets]
    shown += [here.key.identifier(sought[n]) for n in sorted({*seen.identifiers, *seen.strangers})]
    told = {"round": at.round, "path": path, "asked": len(indexes), "shown": shown, "error": trouble}
    here.journal.ended(entry, told | {"exchanges": exchanges})
    return {
        "targets": list(seen.targets),
        "identifiers": list(seen.identifiers),
        "strangers": list(seen.strangers),
        "unread": indexes if trouble else [],
    }


@DBOS.step(name="finish")
def _finish(at: At, evidence: dict[str, Any]) -> None:
    """Write the answers down; the last account ends the run."""
    here = session()
    plan = here.plan(at.run)
    part = plan.by_account[at.account]
    answers = results(plan, part, Evidence(**evidence), here.key)
    here.journal.note(at.run, at.account, "results", {"round": at.round, "results": answers})
    here.journal.reached(at.run, at.account, "done", len(part.targets), len(part.targets))
    run = here.journal.run(at.run)
    ended = {
        e.account: e.body["results"] for e in here.journal.events(at.run, "results") if e.body["round"] == at.round
    }
    if len(ended) == len(run.accounts):
        states = {each["state"] for several in ended.values() for each in several}
        here.conclude(run, "done" if states <= {"absent"} else "incomplete", "")


@DBOS.step(name="wake")
def _wake_at(pause: float) -> float:
    """When a pause that begins now is over; recorded, so that a crash does not begin it anew."""
    session()
    return time.time() + pause


def _rest_until(moment: float) -> None:
    if session().stopping.wait(max(0.0, moment - time.time())):
        raise Stopped


def _touched(here: Session, at: At) -> set[int]:
    """Targets that this round may touch, by index; kept, for the event holds every exchange of the check."""
    if at not in here.touched:
        checked = [e.body for e in here.journal.events(at.run, "checked", at.account) if e.ended_at]
        here.touched[at] = set(next(body["touch"] for body in reversed(checked) if body["round"] == at.round))
    return here.touched[at]


def _kept(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Jobs as plain data, without the addresses of their files, which are as good as keys."""
    return [plain(evolve(job, errors_url="", files=())) for job in jobs]


def _items(plan: Plan, target: Target) -> list[str]:
    """What outcomes call a target."""
    return [i.value for i in target.removes] if plan.kind is Kind.REMOVE_IDENTIFIER else [target.contact]
