"""Verdicts: what the verifying reads prove for each person in each account. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import evolve, field, frozen

from contacts_core.models import Identifier
from contacts_core.plans.change import Change, DataSubject
from contacts_core.plans.execution.account_view import AccountView
from contacts_core.storage.pseudonyms import PseudonymKey

__all__ = ["Evidence", "results"]

ABSENT, PRESENT, UNKNOWN = "absent", "present", "unknown"
NOT_FOUND = "no contact was found"
BY = {
    "get": "by id",
    "find": "by look-up",
    "list": "on the list",
}
READ_BACK = {
    "values": "read again, and as it was written",
    "settings": "the account was read again, and has it",
    "consent": "the statements of consent were read again, and are in force",
}


Answer: TypeAlias = tuple[Identifier, str, str]
"""An identifier, its state, and the reason."""


@frozen
class Evidence:
    """What the last reads of an account showed.

    Attributes:
        paths: The ways of reading that were used.
        targets: Indexes of contacts (see `AccountView`) whose change was not made.
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
        reasons: What shows that a change was not made, by the index of the contact, where more is known than that.
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
    reasons: Mapping[int, str] = field(factory=dict[int, str])

    @property
    def doubtful(self) -> Iterator[int]:
        """Indexes of contacts whose change was not made, or may not have been, each once."""
        yield from self.targets
        yield from (n for n in self.unread_targets if n not in self.targets)


def results(stages: Sequence[tuple[AccountView, Evidence]], key: PseudonymKey) -> Iterator[dict[str, Any]]:
    """Yield the result of each person in one account, with pseudonyms for identifiers.

    Args:
        stages: The stages of the plan in this account, each with what its last reads showed. A person has the worst
            result of the stages that are about them.
        key: The receipt key.
    """
    known = [(view, _with_doubt(evidence)) for view, evidence in stages]
    for several in zip(*(view.people() for view, _ in known), strict=True):
        accounts = [
            _Results(view, evidence, view.subjects(n for found in indexes.values() for n in found), indexes)
            for (view, evidence), (_, indexes) in zip(known, several, strict=True)
        ]
        for person in several[0][0]:
            about = _about(person, accounts)
            answers, state, reason = _worst([each.of(person) for each in about], known[0][0].kind.goal)
            yield {
                "account": known[0][0].part.account,
                "person": person.number,
                "found": len({contact for each in about for contact in each.found(person)}),
                "state": state,
                "reason": reason,
                "identifiers": [
                    {"kind": i.kind.value, "hash": key.identifier(i), "state": state, "reason": reason}
                    for i, state, reason in answers
                ],
            }


def _about(person: DataSubject, accounts: Sequence[_Results]) -> Sequence[_Results]:
    """Return the stages that tell what became of a person.

    Whoever is to be absent is absent, also if a statement of consent about them could not be written.
    """
    about = [each for each in accounts if each.is_about(person)]
    if accounts[0].goal == ABSENT:
        about = [each for each in about if not each.of_account] or about
    return about or accounts[-1:]


def _with_doubt(evidence: Evidence) -> Evidence:
    if evidence.paths or evidence.unread:
        return evidence
    return evolve(evidence, unread="this vendor offers no way to read again")


def _worst(found: Sequence[tuple[Sequence[Answer], str, str]], goal: str) -> tuple[Sequence[Answer], str, str]:
    """Return the worst of several results for one person, for them and for each of their identifiers."""
    if len(found) == 1:
        return found[0]

    def badness(state: str) -> int:
        return (goal, UNKNOWN).index(state) if state in (goal, UNKNOWN) else 2

    _, state, _ = max(found, key=lambda each: badness(each[1]))
    reason = "; ".join(dict.fromkeys(reason for _, each, reason in found if each == state and reason))
    answers: dict[Identifier, Answer] = {}
    for several, _, _ in found:
        for answer in several:
            known = answers.get(answer[0])
            if known is None or badness(answer[1]) > badness(known[1]):
                answers[answer[0]] = answer
    return tuple(answers.values()), state, reason


class _Results:
    """What is known of some people in one account."""

    def __init__(
        self,
        view: AccountView,
        evidence: Evidence,
        subjects: Mapping[int, Change],
        indexes: Mapping[int, Sequence[int]],
    ) -> None:
        self._view, self._evidence, self._subjects, self._indexes = view, evidence, subjects, indexes
        # What was to be reached, and what is reached if the change was not made.
        self._made, self._unmade = (ABSENT, PRESENT) if view.kind.goal == ABSENT else (PRESENT, ABSENT)

    @property
    def goal(self) -> str:
        """The state that the plan is to reach for every person."""
        return self._view.kind.goal

    @property
    def of_account(self) -> bool:
        """Whether the stage changes the account itself."""
        return self._view.operation.of_account

    def is_about(self, person: DataSubject) -> bool:
        """Return whether the stage is about a person."""
        return self._view.is_about_everybody or bool(self.indexes_of(person))

    def indexes_of(self, person: DataSubject) -> Sequence[int]:
        """Return the indexes of this person's contacts."""
        return self._indexes.get(person.number, ())

    def of(self, person: DataSubject) -> tuple[Sequence[Answer], str, str]:
        """Return the state of each identifier of a person, and theirs, with the reason."""
        answers = self.identifiers(person)
        return answers, *self.person(person, answers)

    def found(self, person: DataSubject) -> set[str]:
        """Return the ids of their contacts that the plan found."""
        count = len(self._view.changes)
        return {id for n in self.indexes_of(person) if n < count and (id := self._subjects[n].contact)}

    def identifiers(self, person: DataSubject) -> list[Answer]:
        """Return the state of each identifier, with the reason."""
        evidence, indexes, view = self._evidence, self.indexes_of(person), self._view
        carried = {i for n in indexes if n in evidence.targets for i in self._subjects[n].identifiers}
        unread = {n: reason for n in indexes if (reason := evidence.unread_targets.get(n))}
        unclear = {i: reason for n, reason in unread.items() for i in self._subjects[n].identifiers}
        answers: list[Answer] = []
        for identifier in view.identifiers_of(person, indexes):
            found = view.sought.find(identifier)
            n = -1 if found is None else found
            unasked = evidence.unasked.get(n) or view.reason_unasked(identifier)
            doubt = evidence.unread or evidence.unread_identifiers.get(n) or unclear.get(identifier, "")
            if n in evidence.identifiers and view.operation.leaves:
                answers.append((identifier, PRESENT, "a look-up still finds the contact"))
            elif identifier in carried:
                answers.append((identifier, self._unmade, f"the contact is {view.operation.unmade}"))
            elif person.contact and (unasked or n in evidence.outside_plan):
                continue  # the plan was about this contact, not about others with the same identifier
            elif n in evidence.outside_plan:
                answers.append((identifier, *view.kind.outside_plan))
            elif unasked:
                answers.append((identifier, UNKNOWN, f"not looked up there: {unasked}"))
            elif doubt:
                answers.append((identifier, UNKNOWN, doubt))
            elif view.operation.leaves or any(identifier in self._subjects[i].identifiers for i in indexes):
                answers.append((identifier, self._made, ""))
            else:
                answers.append((identifier, ABSENT, NOT_FOUND))
        return answers

    def person(self, person: DataSubject, answers: Sequence[Answer]) -> tuple[str, str]:
        """Return the state of a person, with the reason."""
        evidence, indexes, operation = self._evidence, self.indexes_of(person), self._view.operation
        shown = [n for n in indexes if n in evidence.targets]
        reasons = {state: reason for _, state, reason in reversed(answers)}
        why = self._why(indexes)
        # Whoever has a contact that is there is there, whatever became of identifiers that no contact had.
        if shown or (self._unmade in reasons and (operation.leaves or not indexes)):
            words = [f"{len(shown)} of {len(indexes)} contacts {operation.unmade}" if shown else reasons[self._unmade]]
            if changed := sum(n in evidence.changed and n not in evidence.failed for n in shown):
                words.append(f"{changed} of them with other identifiers than when the plan was made, and left alone")
            return self._unmade, "; ".join([*words, *why])
        unread = [reason for n in indexes if (reason := evidence.unread_targets.get(n))]
        unclear = UNKNOWN in reasons and (operation.leaves or not indexes or self._made == ABSENT)
        if unread or unclear or evidence.unread:
            words = [evidence.unread, *unread, reasons.get(UNKNOWN, ""), *why]
            return UNKNOWN, "; ".join(dict.fromkeys(filter(None, words)))
        looked = any(identifier in self._view.sought for identifier, _, _ in answers)
        used = [path for path in evidence.paths if (looked if path == "find" else indexes)]
        if not used:
            return UNKNOWN, "there was no id or identifier to read again"
        if operation.read_back_path:
            return self._made, READ_BACK[operation.read_back_path]
        only = ", the only way there is" if len(evidence.paths) == 1 else ""
        if not operation.leaves:
            return self._made, f"{operation.made}: {' and '.join(BY[path] for path in used)}{only}"
        before = "not found any more" if self.found(person) else "was not there and is not"
        return ABSENT, f"{before}: {' and '.join(BY[path] for path in used)}{only}"

    def _why(self, indexes: Sequence[int]) -> list[str]:
        evidence = self._evidence
        return [
            *dict.fromkeys(evidence.reasons[n] for n in indexes if n in evidence.reasons),
            *dict.fromkeys(evidence.failed[n] for n in indexes if n in evidence.failed),
            *([f"{evidence.pending} job(s) of the vendor not finished"] if evidence.pending else []),
            *([f"the work was stopped: {evidence.stopped}"] if evidence.stopped else []),
        ]
