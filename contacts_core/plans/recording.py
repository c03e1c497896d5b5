"""What a receipt tells of a run: from the plan and the journal to its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from contacts_core.keys import Key
from contacts_core.plans.journal import Event, Journal, Run, now
from contacts_core.plans.model import Person, Plan

__all__ = ["receipt_events"]

TYPES = {"step": "step", "jobs": "jobs", "read": "read", "checked": "read"}
CUT_OFF = {"state": "cut off", "confirmed": 0, "absent": 0, "failed": 0, "unconfirmed": 0, "reasons": [], "jobs": []}


def receipt_events(
    run: Run, plan: Plan, journal: Journal, key: Key, state: str, reason: str
) -> Iterator[dict[str, Any]]:
    """The events of the receipt, in order; nothing in them names a person."""
    yield {
        "type": "run",
        "format": 2,
        "run": run.id,
        "plan": plan.checksum,
        "kind": plan.kind.value,
        "made_at": plan.made_at.isoformat(timespec="seconds"),
        "begun_at": run.begun_at,
        "accounts": [{"account": p.account, "provider": p.provider, "title": p.title} for p in plan.accounts],
        "people": len(plan.people),
        "key": key.id,
        "library": f"contacts-core {version('contacts-core')}",
    }
    for part in plan.accounts:
        left = [{"what": what, "why": why} for what, why in part.unreached.items()]
        yield {"type": "scope", "account": part.account, "provider": part.provider, "unreached": left}
    for person in plan.people:
        yield {"type": "person", "person": person.number, "identifiers": _hashed(person, key)}
    yield from _found(plan, key)
    attempts: Counter[tuple[Any, ...]] = Counter()
    latest: dict[str, list[dict[str, Any]]] = {}
    for event in journal.events(run.id):
        if event.type == "results":
            latest[event.account] = event.body["results"]
        elif event.type == "step":
            about = (event.account, event.body["round"], event.body["step"])
            attempts[about] += 1
            yield _step(event, attempts[about])
        elif event.type in TYPES:
            yield _reading(event)
    answers = [
        each for part in plan.accounts for each in latest.get(part.account) or _unverified(plan, part.account, key)
    ]
    for answer in answers:
        yield {"type": "result", **answer}
    counts = Counter(answer["state"] for answer in answers)
    yield {
        "type": "end",
        "run": run.id,
        "state": state,
        "reason": reason,
        "ended_at": now(),
        **{name: counts[name] for name in ("absent", "present", "unknown")},
    }


def _hashed(person: Person, key: Key) -> list[dict[str, Any]]:
    return [
        {"kind": i.kind.value, "hash": key.identifier(i), "asked": asked}
        for identifiers, asked in ((person.asked, True), (person.followed, False))
        for i in identifiers
    ]


def _found(plan: Plan, key: Key) -> Iterator[dict[str, Any]]:
    for part in plan.accounts:
        of_person: dict[int, list[Any]] = {}
        for target in part.targets:
            for number in target.people:
                of_person.setdefault(number, []).append(target)
        for person in plan.people:
            targets = of_person.get(person.number, [])
            having = {i for target in targets for i in target.identifiers}
            yield {
                "type": "found",
                "account": part.account,
                "person": person.number,
                "contacts": [key.contact(part.account, target.contact) for target in targets],
                "by": sorted({i.kind.value for i in person.identifiers if i in having}) or (["id"] if targets else []),
            }


def _step(event: Event, attempt: int) -> dict[str, Any]:
    return {
        "type": "step",
        "account": event.account,
        "attempt": attempt,
        "begun_at": event.begun_at,
        "ended_at": event.ended_at,
        "exchanges": [],
        **({} if event.ended_at else CUT_OFF),
        **event.body,
    }


def _reading(event: Event) -> dict[str, Any]:
    body: Mapping[str, Any] = event.body
    told: dict[str, Any] = {"type": TYPES[event.type], "account": event.account, "at": event.begun_at, "exchanges": []}
    if event.type == "checked":
        changed = f"{body['changes']} contact(s) changed since the plan was made" if body.get("changes") else ""
        error = body.get("error") or changed
        return {**told, "round": body["round"], "path": "check", "asked": 0, "shown": [], "error": error} | {
            "exchanges": body.get("exchanges", [])
        }
    told |= body
    if not event.ended_at:
        told |= {"jobs": []} if event.type == "jobs" else {"shown": [], "error": "cut off"}
    return told


def _unverified(plan: Plan, account: str, key: Key) -> list[dict[str, Any]]:
    """The answers for an account that was not read again."""
    reason = "not verified: the run did not come that far"
    counts = Counter(number for target in plan.by_account[account].targets for number in target.people)
    return [
        {
            "account": account,
            "person": person.number,
            "found": counts[person.number],
            "state": "unknown",
            "reason": reason,
            "identifiers": [
                {"kind": i.kind.value, "hash": key.identifier(i), "state": "unknown", "reason": reason}
                for i in person.identifiers
            ],
        }
        for person in plan.people
    ]
