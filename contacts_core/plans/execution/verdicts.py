"""Verdicts: what the verifying reads prove for each person in each account. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen

from contacts_core.models import Identifier
from contacts_core.plans.execution.changes import identifiers_of, sought, subjects
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.model import AccountPlan, DataSubject, Plan
from contacts_core.storage.pseudonyms import PseudonymKey

__all__ = ["Evidence", "results"]

ABSENT, PRESENT, UNKNOWN = "absent", "present", "unknown"
BY = {"get": "by id", "find": "by look-up", "list": "on the list"}


@frozen
class Evidence:
    """What the last reads of an account showed.

    Attributes:
        paths: The ways of reading that were used.
        targets: Indexes of contacts (see `changes.subjects`) that were still found.
        changed: Indexes of those among them whose identifiers differ from the plan.
        identifiers: Indexes of identifiers that contacts of the plan still have.
        outside_plan: Indexes of identifiers that contacts outside the plan have.
        unread_targets: Contacts about which nothing is known, by index, with the reason.
        unread_identifiers: Identifiers about which nothing is known, by index, with the reason.
        unasked: Identifiers that the vendor cannot look up, by index, with the reason.
        failed: Why a target was not changed, by index.
        stopped: Why the work ended early; empty if it did not.
        pending: Number of jobs that the vendor had not finished.
        unread: Why nothing at all was read again; empty if it was.
    """

    paths: Sequence[str] = ()
    targets: Collection[int] = ()
    changed: Collection[int] = ()
    identifiers: Collection[int] = ()
    outside_plan: Collection[int] = ()
    unread_targets: Mapping[int, str] = field(factory=dict[int, str])
    unread_identifiers: Mapping[int, str] = field(factory=dict[int, str])
    unasked: Mapping[int, str] = field(factory=dict[int, str])
    failed: Mapping[int, str] = field(factory=dict[int, str])
    stopped: str = ""
    pending: int = 0
    unread: str = ""


def results(plan: Plan, part: AccountPlan, evidence: Evidence, key: PseudonymKey) -> list[dict[str, Any]]:
    """Return the result of each person in one account, with pseudonyms for identifiers."""
    if not (evidence.paths or evidence.unread):
        evidence = evolve(evidence, unread="this vendor offers no way to read again")
    account = _Account(plan, part, evidence)
    lines: list[dict[str, Any]] = []
    for person in plan.people:
        answers = account.identifiers(person)
        state, reason = account.person(person, answers)
        lines.append(
            {
                "account": part.account,
                "person": person.number,
                "found": account.found(person),
                "state": state,
                "reason": reason,
                "identifiers": [
                    {"kind": i.kind.value, "hash": key.identifier(i), "state": state, "reason": reason}
                    for i, state, reason in answers
                ],
            }
        )
    return lines


Answer = tuple[Identifier, str, str]


class _Account:
    """What is known of one account, for each person."""

    def __init__(self, plan: Plan, part: AccountPlan, evidence: Evidence) -> None:
        self._plan, self._part, self._evidence = plan, part, evidence
        self._subjects = subjects(plan, part)
        self._index = {identifier: n for n, identifier in enumerate(sought(plan, part))}
        self._unasked = {unasked.identifier: unasked.reason for unasked in part.unasked}
        self._indexes: dict[int, list[int]] = {}
        for n, subject in enumerate(self._subjects):
            for number in subject.people:
                self._indexes.setdefault(number, []).append(n)

    def indexes_of(self, person: DataSubject) -> Sequence[int]:
        """Return the indexes of this person's contacts."""
        return self._indexes.get(person.number, ())

    def found(self, person: DataSubject) -> int:
        """Return how many of their contacts the plan found."""
        return sum(n < len(self._part.targets) for n in self.indexes_of(person))

    def identifiers(self, person: DataSubject) -> list[Answer]:
        """Return the state of each identifier, with the reason."""
        evidence, indexes = self._evidence, self.indexes_of(person)
        carried = {i for n in indexes if n in evidence.targets for i in self._subjects[n].identifiers}
        unread = {n: reason for n in indexes if (reason := evidence.unread_targets.get(n))}
        unclear = {i: reason for n, reason in unread.items() for i in self._subjects[n].identifiers}
        answers: list[Answer] = []
        for identifier in identifiers_of(person, self._part):
            n = self._index.get(identifier, -1)
            unasked = evidence.unasked.get(n) or self._unasked.get(identifier, "")
            doubt = evidence.unread or evidence.unread_identifiers.get(n) or unclear.get(identifier, "")
            if n in evidence.identifiers:
                answers.append((identifier, PRESENT, "a look-up still finds the contact"))
            elif identifier in carried:
                answers.append((identifier, PRESENT, f"the contact is {kind_of(self._plan.kind).still}"))
            elif person.contact and (unasked or n in evidence.outside_plan):
                continue  # the plan was about this contact, not about others with the same identifier
            elif n in evidence.outside_plan:
                answers.append((identifier, *kind_of(self._plan.kind).outside_plan))
            elif unasked:
                answers.append((identifier, UNKNOWN, f"not looked up there: {unasked}"))
            elif doubt:
                answers.append((identifier, UNKNOWN, doubt))
            else:
                answers.append((identifier, ABSENT, ""))
        return answers

    def person(self, person: DataSubject, answers: Sequence[Answer]) -> tuple[str, str]:
        """Return the state of a person, with the reason."""
        evidence, indexes, still = self._evidence, self.indexes_of(person), kind_of(self._plan.kind).still
        shown = [n for n in indexes if n in evidence.targets]
        reasons = {state: reason for _, state, reason in reversed(answers)}
        why = self._why(indexes)
        if shown or PRESENT in reasons:
            words = [f"{len(shown)} of {len(indexes)} contacts {still}" if shown else reasons[PRESENT]]
            if changed := sum(n in evidence.changed and n not in evidence.failed for n in shown):
                words.append(f"{changed} of them with other identifiers than when the plan was made, and left alone")
            return PRESENT, "; ".join([*words, *why])
        unread = [reason for n in indexes if (reason := evidence.unread_targets.get(n))]
        if unread or UNKNOWN in reasons or evidence.unread:
            words = [evidence.unread, *unread, reasons.get(UNKNOWN, ""), *why]
            return UNKNOWN, "; ".join(dict.fromkeys(filter(None, words)))
        looked = any(identifier in self._index for identifier, _, _ in answers)
        used = [path for path in evidence.paths if (looked if path == "find" else indexes)]
        if not used:
            return UNKNOWN, "there was no id or identifier to read again"
        only = ", the only way there is" if len(evidence.paths) == 1 else ""
        before = "not found any more" if self.found(person) else "was not there and is not"
        return ABSENT, f"{before}: {' and '.join(BY[path] for path in used)}{only}"

    def _why(self, indexes: Sequence[int]) -> list[str]:
        evidence = self._evidence
        return [
            *dict.fromkeys(evidence.failed[n] for n in indexes if n in evidence.failed),
            *([f"{evidence.pending} job(s) of the vendor not finished"] if evidence.pending else []),
            *([f"the work was stopped: {evidence.stopped}"] if evidence.stopped else []),
        ]
