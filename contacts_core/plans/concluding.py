"""From what the verifying reads showed to one answer for each person and account. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from contacts_core.keys import Key
from contacts_core.plans.model import AccountPlan, Kind, Person, Plan
from contacts_core.plans.working import identifiers_of, sought

__all__ = ["Evidence", "results"]

ABSENT, PRESENT, UNKNOWN = "absent", "present", "unknown"
STILL = {
    Kind.ERASE: "still there",
    Kind.DELETE: "still there",
    Kind.REMOVE_IDENTIFIER: "still with it",
    Kind.REMOVE_FROM_LIST: "still on the list",
}
BY = {"get": "by id", "find": "by look-up", "list": "on the list"}


@frozen
class Evidence:
    """What the last reads of an account showed.

    Attributes:
        paths: The ways that were read by.
        targets: Indexes of targets that were still shown.
        identifiers: Indexes of identifiers that contacts of the plan still have.
        strangers: Indexes of identifiers that contacts outside the plan have.
        unread_targets: Indexes of targets of which no answer was had.
        unread_identifiers: Indexes of identifiers of which no answer was had.
        failed: Why the vendor refused a target, by index.
        stopped: Why the work ended early; empty if it did not.
        pending: Jobs that the vendor had not finished.
    """

    paths: Sequence[str] = ()
    targets: Collection[int] = ()
    identifiers: Collection[int] = ()
    strangers: Collection[int] = ()
    unread_targets: Collection[int] = ()
    unread_identifiers: Collection[int] = ()
    failed: Mapping[int, str] = field(factory=dict)
    stopped: str = ""
    pending: int = 0


def results(plan: Plan, part: AccountPlan, evidence: Evidence, key: Key) -> list[dict[str, Any]]:
    """The answer for each person in one account, with keyed hashes for identifiers."""
    place = {identifier: n for n, identifier in enumerate(sought(plan, part))}
    targets: dict[int, list[int]] = {}
    for n, target in enumerate(part.targets):
        for number in target.people:
            targets.setdefault(number, []).append(n)
    return [_result(plan, part, evidence, key, person, targets.get(person.number, []), place) for person in plan.people]


def _result(
    plan: Plan,
    part: AccountPlan,
    evidence: Evidence,
    key: Key,
    person: Person,
    mine: Sequence[int],
    place: Mapping[Any, int],
) -> dict[str, Any]:
    shown = [n for n in mine if n in evidence.targets]
    unread = [n for n in mine if n in evidence.unread_targets]
    carried = {i for n in shown for i in part.targets[n].identifiers}
    unclear = {i for n in unread for i in part.targets[n].identifiers}
    strangers = evidence.strangers if plan.kind in {Kind.ERASE, Kind.REMOVE_IDENTIFIER} else ()
    identifiers: list[dict[str, Any]] = []
    for identifier in identifiers_of(person, part):
        n = place.get(identifier, -1)
        if n in evidence.identifiers:
            state, reason = PRESENT, "a look-up still finds the contact"
        elif n in strangers:
            state, reason = PRESENT, "found at another contact: re-created, or new since the plan was made"
        elif identifier in carried:
            state, reason = PRESENT, f"the contact is {STILL[plan.kind]}"
        elif n in evidence.unread_identifiers or identifier in unclear or not evidence.paths:
            state, reason = UNKNOWN, "could not be read again"
        else:
            state, reason = ABSENT, ""
        identifiers.append(
            {"kind": identifier.kind.value, "hash": key.identifier(identifier), "state": state, "reason": reason}
        )
    state, reason = _summary(evidence, identifiers, mine, shown, unread, STILL[plan.kind])
    return {
        "account": part.account,
        "person": person.number,
        "found": len(mine),
        "state": state,
        "reason": reason,
        "identifiers": identifiers,
    }


def _summary(
    evidence: Evidence,
    identifiers: Sequence[Mapping[str, Any]],
    mine: Sequence[int],
    shown: Sequence[int],
    unread: Sequence[int],
    still: str,
) -> tuple[str, str]:
    states = {each["state"] for each in identifiers}
    if shown or PRESENT in states:
        seen = next((str(each["reason"]) for each in identifiers if each["state"] == PRESENT), "")
        words = [f"{len(shown)} of {len(mine)} contacts {still}"] if shown else [seen]
        return PRESENT, "; ".join([*words, *_why(evidence, mine)])
    if unread or UNKNOWN in states or not evidence.paths:
        words = ["could not be read again"] if evidence.paths else ["this vendor offers no way to read again"]
        return UNKNOWN, "; ".join([*words, *_why(evidence, mine)])
    ways = " and ".join(BY[path] for path in evidence.paths)
    only = ", the only way there is" if len(evidence.paths) == 1 else ""
    return ABSENT, f"{'was not there and is not' if not mine else 'not found any more'}: {ways}{only}"


def _why(evidence: Evidence, mine: Sequence[int]) -> list[str]:
    reasons = dict.fromkeys(evidence.failed[n] for n in mine if n in evidence.failed)
    return [
        *reasons,
        *([f"{evidence.pending} job(s) of the vendor not finished"] if evidence.pending else []),
        *([f"the work was stopped: {evidence.stopped}"] if evidence.stopped else []),
    ]
