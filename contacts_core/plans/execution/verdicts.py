"""From what the verifying reads showed to one answer for each person and account. Pure."""

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
        paths: The ways that were read by.
        targets: Indexes of contacts (see `working.subjects`) that were still shown.
        changed: Indexes of those among them that are not who they were.
        identifiers: Indexes of identifiers that contacts of the plan still have.
        strangers: Indexes of identifiers that contacts outside the plan have.
        unread_targets: Contacts of which nothing is known, by index, with the reason.
        unread_identifiers: Identifiers of which nothing is known, by index, with the reason.
        unasked: Identifiers that the vendor cannot be asked for, by index, with the reason.
        failed: Why a target was not touched, by index.
        stopped: Why the work ended early; empty if it did not.
        pending: Jobs that the vendor had not finished.
        unread: Why nothing at all was read again; empty where it was.
    """

    paths: Sequence[str] = ()
    targets: Collection[int] = ()
    changed: Collection[int] = ()
    identifiers: Collection[int] = ()
    outside_plan: Collection[int] = ()
    unread_targets: Mapping[int, str] = field(factory=dict)
    unread_identifiers: Mapping[int, str] = field(factory=dict)
    unasked: Mapping[int, str] = field(factory=dict)
    failed: Mapping[int, str] = field(factory=dict)
    stopped: str = ""
    pending: int = 0
    unread: str = ""


def results(plan: Plan, part: AccountPlan, evidence: Evidence, key: PseudonymKey) -> list[dict[str, Any]]:
    """The answer for each person in one account, with keyed hashes for identifiers."""
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
    """What is known of one account, person by person."""

    def __init__(self, plan: Plan, part: AccountPlan, evidence: Evidence) -> None:
        self._plan, self._part, self._evidence = plan, part, evidence
        self._subjects = subjects(plan, part)
        self._place = {identifier: n for n, identifier in enumerate(sought(plan, part))}
        self._unasked = {each.identifier: each.reason for each in part.unasked}
        self._mine: dict[int, list[int]] = {}
        for n, subject in enumerate(self._subjects):
            for number in subject.people:
                self._mine.setdefault(number, []).append(n)

    def mine(self, person: DataSubject) -> Sequence[int]:
        """Which of the subjects are this person's."""
        return self._mine.get(person.number, ())

    def found(self, person: DataSubject) -> int:
        """How many contacts of theirs the plan found."""
        return sum(n < len(self._part.targets) for n in self.mine(person))

    def identifiers(self, person: DataSubject) -> list[Answer]:
        """What is known of each identifier, with the reason."""
        evidence, mine = self._evidence, self.mine(person)
        carried = {i for n in mine if n in evidence.targets for i in self._subjects[n].identifiers}
        unread = {n: reason for n in mine if (reason := evidence.unread_targets.get(n))}
        unclear = {i: reason for n, reason in unread.items() for i in self._subjects[n].identifiers}
        answers: list[Answer] = []
        for identifier in identifiers_of(person, self._part):
            n = self._place.get(identifier, -1)
            unasked = evidence.unasked.get(n) or self._unasked.get(identifier, "")
            doubt = evidence.unread or evidence.unread_identifiers.get(n) or unclear.get(identifier, "")
            if n in evidence.identifiers:
                answers.append((identifier, PRESENT, "a look-up still finds the contact"))
            elif identifier in carried:
                answers.append((identifier, PRESENT, f"the contact is {kind_of(self._plan.kind).still}"))
            elif person.contact and (unasked or n in evidence.outside_plan):
                continue  # the contact was asked for, not whoever has this as well
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
        """What is known of a person, with the reason."""
        evidence, mine, still = self._evidence, self.mine(person), kind_of(self._plan.kind).still
        shown = [n for n in mine if n in evidence.targets]
        told = {state: reason for _, state, reason in reversed(answers)}
        why = self._why(mine)
        if shown or PRESENT in told:
            words = [f"{len(shown)} of {len(mine)} contacts {still}" if shown else told[PRESENT]]
            if changed := sum(n in evidence.changed and n not in evidence.failed for n in shown):
                words.append(f"{changed} of them with other identifiers than when the plan was made, and left alone")
            return PRESENT, "; ".join([*words, *why])
        unread = [reason for n in mine if (reason := evidence.unread_targets.get(n))]
        if unread or UNKNOWN in told or evidence.unread:
            words = [evidence.unread, *unread, told.get(UNKNOWN, ""), *why]
            return UNKNOWN, "; ".join(dict.fromkeys(filter(None, words)))
        looked = any(identifier in self._place for identifier, _, _ in answers)
        used = [path for path in evidence.paths if (looked if path == "find" else mine)]
        if not used:
            return UNKNOWN, "there was nothing to read again by"
        only = ", the only way there is" if len(evidence.paths) == 1 else ""
        before = "not found any more" if self.found(person) else "was not there and is not"
        return ABSENT, f"{before}: {' and '.join(BY[path] for path in used)}{only}"

    def _why(self, mine: Sequence[int]) -> list[str]:
        evidence = self._evidence
        return [
            *dict.fromkeys(evidence.failed[n] for n in mine if n in evidence.failed),
            *([f"{evidence.pending} job(s) of the vendor not finished"] if evidence.pending else []),
            *([f"the work was stopped: {evidence.stopped}"] if evidence.stopped else []),
        ]
