"""The events of a receipt, from the plan and the journal of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

from contacts_core import __version__
from contacts_core.plans.change import DataSubject
from contacts_core.plans.model import AccountPlan, Plan
from contacts_core.plans.receipts.format import FORMAT, LARGEST_INTEGER, STATES
from contacts_core.plans.receipts.reasons import request_digest
from contacts_core.storage.journal import Event, Journal, Run, now
from contacts_core.storage.pseudonyms import PseudonymKey

__all__ = ["receipt_events"]

TYPES = {"step": "step", "jobs": "jobs", "read": "read", "checked": "read"}
WITHHELD = "withheld: the reason named a person"
SHORTEST_NAME, SHORTEST_NUMBER = 4, 7  # characters; shorter values are ordinary words and numbers
COUNTS = ("confirmed", "absent", "failed", "unconfirmed")
JOB_COUNTS = ("requested", "succeeded", "failed")
CUT_OFF: Mapping[str, Any] = {"state": "cut off", **dict.fromkeys(COUNTS, 0), "reasons": [], "jobs": []}


def receipt_events(
    run: Run, plan: Plan, journal: Journal, key: PseudonymKey, state: str, reason: str
) -> Iterator[dict[str, Any]]:
    """Yield the events of the receipt, in order. Nothing in them names a person.

    Reasons come from the vocabulary of `reasons`, not from vendors. A reason that still contains an identifier or a
    contact of the plan is withheld completely.
    """
    redact = Redaction(plan)
    yield {
        "type": "run",
        "format": FORMAT,
        "run": run.id,
        "plan": plan.checksum,
        "kind": plan.kind,
        "made_at": plan.made_at.astimezone(UTC).isoformat(timespec="seconds"),
        "begun_at": run.begun_at,
        "accounts": [_account(part, key) for part in plan.accounts],
        "people": len(plan.people),
        "key": key.id,
        "library": f"contacts-core {__version__}",
    }
    for part in plan.accounts:
        left = [{"what": what, "why": why} for what, why in part.residual_data.items()]
        yield {"type": "scope", "account": part.account, "provider": part.provider, "unreached": left}
    for person in plan.people:
        yield {"type": "person", "person": person.number, "identifiers": _pseudonyms(person, key)}
    yield from _found(plan, key)
    attempts: Counter[tuple[Any, ...]] = Counter()
    latest: dict[str, list[dict[str, Any]]] = {}
    for event in journal.events(run.id):
        if event.type == "results":
            if not event.body["part"]:
                latest[event.account] = []
            latest[event.account] += event.body["results"]
        elif event.type == "step":
            about = (event.account, event.body["round"], event.body["step"])
            attempts[about] += 1
            yield redact(_with_digests(_step(event, attempts[about]), key))
        elif event.type in TYPES:
            yield redact(_with_digests(_reading(event), key))
    answers = [
        answer for part in plan.accounts for answer in latest.get(part.account) or _unverified(plan, part.account, key)
    ]
    for answer in answers:
        yield redact({"type": "result", **answer})
    counts = Counter(answer["state"] for answer in answers)
    yield redact(
        {
            "type": "end",
            "run": run.id,
            "state": state,
            "reason": reason,
            "ended_at": now(),
            **{name: counts[name] for name in STATES},
        }
    )


class Redaction:
    """Withholds reasons that contain an identifier or a contact of the plan, unless as short as ordinary words."""

    def __init__(self, plan: Plan) -> None:
        targets = [change for part in plan.accounts for change in part.changes]
        identifiers = {i for person in plan.people for i in person.identifiers}
        identifiers |= {i for target in targets for i in target.identifiers}
        names = {target.contact for target in targets} | {person.contact for person in plan.people}
        names |= {name for i in identifiers for name in (i.value, i.normal)}
        names = {name.strip().casefold() for name in names}
        self._names = [name for name in names if len(name) >= (SHORTEST_NUMBER if name.isdigit() else SHORTEST_NAME)]
        self._text = cache(self._safe_text)

    def __call__(self, line: dict[str, Any]) -> dict[str, Any]:
        """Return the line with reasons that a receipt may contain."""
        safe: dict[str, Any] = {name: self._text(line[name]) for name in ("reason", "error") if name in line}
        if "reasons" in line:
            safe["reasons"] = list(dict.fromkeys(map(self._text, line["reasons"])))
        if line["type"] == "result":
            safe["identifiers"] = [{**item, "reason": self._text(item["reason"])} for item in line["identifiers"]]
        return line | safe

    def _safe_text(self, text: str) -> str:
        folded = text.casefold()
        readings = {folded, unquote_plus(folded)}
        named = any(name in reading for reading in readings for name in self._names)
        return WITHHELD if named else text.encode(errors="replace").decode()  # without lone surrogates


def _account(part: AccountPlan, key: PseudonymKey) -> dict[str, Any]:
    """Return an account, with a hash of the vendor's id for it: two receipts show whether it was the same."""
    account_id = key.digest(b"account id", part.account_id.encode())
    return {"account": part.account, "provider": part.provider, "title": part.title, "account_id": account_id}


def _pseudonyms(person: DataSubject, key: PseudonymKey) -> list[dict[str, Any]]:
    return [
        {"kind": i.kind.value, "hash": key.identifier(i), "asked": asked}
        for identifiers, asked in ((person.asked, True), (person.followed, False))
        for i in identifiers
    ]


def _found(plan: Plan, key: PseudonymKey) -> Iterator[dict[str, Any]]:
    for part in plan.accounts:
        of_person: dict[int, list[Any]] = {}
        for target in part.changes:
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


def _with_digests(line: dict[str, Any], key: PseudonymKey) -> dict[str, Any]:
    """Return the line with hashes in place of what the vendor chose: ids of requests and jobs."""
    exchanges = [
        {**exchange, "request_id": request_digest(key, exchange["request_id"]) if exchange["request_id"] else ""}
        for exchange in line["exchanges"]
    ]
    if "jobs" not in line:
        return {**line, "exchanges": exchanges}
    jobs = [
        {
            **job,
            "id": key.digest(b"job", str(job["id"]).encode(errors="surrogatepass")),
            **{name: _number(job[name], None) for name in JOB_COUNTS if name in job},
        }
        for job in line["jobs"]
    ]
    return {**line, "exchanges": exchanges, "jobs": jobs}


def _number(value: Any, otherwise: int | None) -> int | None:
    """Return a number from a provider, if a receipt can contain it."""
    return value if type(value) is int and abs(value) < LARGEST_INTEGER else otherwise


def _step(event: Event, attempt: int) -> dict[str, Any]:
    counts = {name: _number(event.body[name], 0) for name in COUNTS} if event.ended_at else CUT_OFF
    return {
        "type": "step",
        "account": event.account,
        "attempt": attempt,
        "begun_at": event.begun_at,
        "ended_at": event.ended_at,
        "exchanges": [],
        **event.body,
        **counts,
    }


def _reading(event: Event) -> dict[str, Any]:
    body: Mapping[str, Any] = event.body
    line: dict[str, Any] = {"type": TYPES[event.type], "account": event.account, "at": event.begun_at, "exchanges": []}
    if event.type == "checked":
        changed = f"{body['changes']} contact(s) changed since the plan was made" if body.get("changes") else ""
        error = (body.get("error") or changed) if event.ended_at else "cut off"
        check: dict[str, Any] = {"round": body["round"], "path": "check", "asked": 0, "shown": [], "error": error}
        return line | check | {"exchanges": body.get("exchanges", [])}
    line |= body
    if not event.ended_at:
        line |= {"jobs": []} if event.type == "jobs" else {"shown": [], "error": "cut off"}
    return line


def _unverified(plan: Plan, account: str, key: PseudonymKey) -> list[dict[str, Any]]:
    """Return the results for an account that was not verified."""
    reason = "not verified: the run ended before"
    counts = Counter(number for target in plan.by_account[account].changes for number in target.people)
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
