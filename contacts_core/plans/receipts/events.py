"""The events of a receipt, from the plan and the journal of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from itertools import chain
from typing import Any
from urllib.parse import unquote_plus

from contacts_core import __version__
from contacts_core.models import Identifier
from contacts_core.plans.change import Change, DataSubject
from contacts_core.plans.change_operations import operation_of
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.model import AccountPlan, Plan
from contacts_core.plans.receipts.format import FORMAT, LARGEST_INTEGER, STATES
from contacts_core.plans.receipts.reasons import public_hold, request_digest
from contacts_core.plans.rows import elements, indexes_by_person
from contacts_core.provider import flows
from contacts_core.storage.journal import Event, Journal, Run, now
from contacts_core.storage.pseudonyms import PseudonymKey

__all__ = ["receipt_events"]

TYPES = {"step": "step", "jobs": "jobs", "read": "read", "checked": "read"}
WITHHELD = "withheld: the reason named a person"
SHORTEST_NAME, SHORTEST_NUMBER = 4, 7  # characters; shorter values are ordinary words and numbers
COUNTS = ("confirmed", "absent", "failed", "unconfirmed")
JOB_COUNTS = ("requested", "succeeded", "failed")
PEOPLE_AT_ONCE = 500
CUT_OFF: Mapping[str, Any] = {"state": "cut off", **dict.fromkeys(COUNTS, 0), "reasons": [], "jobs": []}


def receipt_events(
    run: Run, plan: Plan, journal: Journal, key: PseudonymKey, state: str, reason: str
) -> Iterator[dict[str, Any]]:
    """Yield the events of the receipt, in order. Nothing in them names a person.

    Reasons come from the vocabulary of `reasons`, not from vendors. A reason that still contains an identifier or a
    contact of the plan is withheld completely.

    People, changes and events are read as streams, several times, so that the size of a run does not matter.
    """
    redact = Redaction(plan)
    scopes = [_scope(part) for part in plan.accounts]
    redact.learn(text for line in chain(scopes, _work(run, plan, journal, key)) for text in _texts(line))
    yield {
        "type": "run",
        "format": FORMAT,
        "run": run.id,
        "plan": plan.checksum,
        "kind": plan.kind,
        "goal": kind_of(plan.kind).goal,
        "made_at": plan.made_at.astimezone(UTC).isoformat(timespec="seconds"),
        "begun_at": run.begun_at,
        "accounts": [_account(part, key) for part in plan.accounts],
        "people": len(plan.people),
        "key": key.id,
        "library": f"contacts-core {__version__}",
    }
    yield from map(redact, scopes)
    for person in plan.people:
        yield {"type": "person", "person": person.number, "identifiers": _pseudonyms(person, key)}
    for part in plan.accounts:
        yield from _found(plan, part, key)
    counts = Counter[str]()
    for line in _work(run, plan, journal, key):
        if line["type"] == "result":
            counts[line["state"]] += 1
            yield redact(line)
        else:
            yield redact(_with_digests(line, key))
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


def _scope(part: AccountPlan) -> dict[str, Any]:
    """Return what the work did not reach, and what was known before it: losses, whom it left alone, and from where."""
    left = [{"what": what, "why": why} for what, why in part.residual_data.items()]
    held = Counter(public_hold(each.reason) for each in part.held)
    known: dict[str, Any] = {
        "source": part.source,
        "unsubscribed": part.consent.unsubscribed if part.consent else "",
        "losses": [{"code": each.code.value, "field": each.field, "count": each.count} for each in part.losses],
        "held": [{"reason": reason, "count": count} for reason, count in held.most_common()],
        "non_idempotent": list(part.non_idempotent),
    }
    line = {"type": "scope", "account": part.account, "provider": part.provider, "unreached": left}
    return line | {name: value for name, value in known.items() if value}


def _work(run: Run, plan: Plan, journal: Journal, key: PseudonymKey) -> Iterator[dict[str, Any]]:
    """Yield the lines about what was done, and the results of each account, as the journal has them."""
    attempts: dict[str, tuple[tuple[int, int], int]] = {}  # the attempts at one step of an account follow one another
    told = set[tuple[str, int, int]]()  # stages of a round: after a crash, they may be noted a second time
    for event in journal.events(run.id):
        if event.type == "step":
            about = (event.body["round"], event.body["step"])
            before, attempt = attempts.get(event.account, (about, 0))
            attempts[event.account] = about, attempt + 1 if about == before else 1
            yield _step(event, attempts[event.account][1])
        elif event.type == "stage":
            stage = (event.account, event.body["round"], event.body["stage"])
            if stage not in told:
                told.add(stage)
                yield {"type": "stage", "account": event.account, "at": event.begun_at, **event.body}
        elif event.type in TYPES:
            yield _reading(event)
    for part in plan.accounts:
        for result in journal.results(run.id, part.account) or _unverified(plan, part, key):
            yield {"type": "result", **result}


def _texts(line: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of a line that may name somebody."""
    yield from (line[name] for name in ("reason", "error") if name in line)
    yield from line.get("reasons", ())
    yield from (loss["field"] for loss in line.get("losses", ()))
    if line["type"] == "result":
        yield from (item["reason"] for item in line["identifiers"])


class Redaction:
    """Withholds reasons that contain an identifier or a contact of the plan, unless as short as ordinary words."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._safe: dict[str, str] = {}

    def __call__(self, line: dict[str, Any]) -> dict[str, Any]:
        """Return the line with reasons that a receipt may contain."""
        self.learn(_texts(line))
        safe: dict[str, Any] = {name: self._safe[line[name]] for name in ("reason", "error") if name in line}
        if "reasons" in line:
            safe["reasons"] = list(dict.fromkeys(self._safe[reason] for reason in line["reasons"]))
        if "losses" in line:
            safe["losses"] = [{**loss, "field": self._safe[loss["field"]]} for loss in line["losses"]]
        if line["type"] == "result":
            safe["identifiers"] = [{**item, "reason": self._safe[item["reason"]]} for item in line["identifiers"]]
        return line | safe

    def learn(self, texts: Iterable[str]) -> None:
        """Compare these texts with every name in the plan, which is read once for all that are new."""
        readings = {text: _readings(text) for text in {*texts} - self._safe.keys()}
        if not any(readings):  # none, or only an empty one
            self._safe |= dict.fromkeys(readings, "")
            return
        begins = {
            reading[n:][:SHORTEST_NAME]
            for several in readings.values()
            for reading in several
            for n in range(len(reading))
        }
        named = set[str]()
        for name in self._names():
            if name[:SHORTEST_NAME] in begins:
                named |= {text for text, several in readings.items() if any(name in reading for reading in several)}
        for text in readings:  # without lone surrogates
            self._safe[text] = WITHHELD if text in named else text.encode(errors="replace").decode()

    def _names(self) -> Iterator[str]:
        """Yield every identifier and contact of the plan in lower case, unless it is too short."""
        for name in _all_names(self._plan):
            folded = name.strip().casefold()
            if len(folded) >= (SHORTEST_NUMBER if folded.isdigit() else SHORTEST_NAME):
                yield folded


def _readings(text: str) -> set[str]:
    folded = text.casefold()
    return {folded, unquote_plus(folded)}


def _all_names(plan: Plan) -> Iterator[str]:
    for person in plan.people:
        yield person.contact
        yield from _spellings(person.identifiers)
    for part in plan.accounts:
        for change in part.changes:
            yield change.contact
            yield from _spellings(change.identifiers)


def _spellings(identifiers: Iterable[Identifier]) -> Iterator[str]:
    for identifier in identifiers:
        yield from (identifier.value, identifier.normal)


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


def _found(plan: Plan, part: AccountPlan, key: PseudonymKey) -> Iterator[dict[str, Any]]:
    for person, changes in _changes_by_person(plan, part):
        changes = [change for change in changes if not operation_of(change.operation).of_account]  # noqa: PLW2901
        having = {i for change in changes for i in change.identifiers}
        yield {
            "type": "found",
            "account": part.account,
            "person": person.number,
            "contacts": [key.contact(part.account, id) for id in dict.fromkeys(c.contact for c in changes) if id],
            "by": sorted({i.kind.value for i in person.identifiers if i in having}) or (["id"] if changes else []),
        }


def _changes_by_person(plan: Plan, part: AccountPlan) -> Iterator[tuple[DataSubject, list[Change]]]:
    """Yield every person with the changes of their contacts in one account."""
    for people in flows.chunks(plan.people, PEOPLE_AT_ONCE):
        indexes = indexes_by_person(part.changes, {person.number for person in people})
        changes = elements(part.changes, (n for several in indexes.values() for n in several))
        for person in people:
            yield person, [changes[n] for n in indexes.get(person.number, ())]


def _with_digests(line: dict[str, Any], key: PseudonymKey) -> dict[str, Any]:
    """Return the line with hashes in place of what the vendor chose: ids of requests and jobs."""
    if "exchanges" not in line:
        return line
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


def _unverified(plan: Plan, part: AccountPlan, key: PseudonymKey) -> Iterator[dict[str, Any]]:
    """Yield the results for an account that was not verified."""
    reason = "not verified: the run ended before"
    for person, changes in _changes_by_person(plan, part):
        yield {
            "account": part.account,
            "person": person.number,
            "found": len(changes),
            "state": "unknown",
            "reason": reason,
            "identifiers": [
                {"kind": i.kind.value, "hash": key.identifier(i), "state": "unknown", "reason": reason}
                for i in person.identifiers
            ],
        }
