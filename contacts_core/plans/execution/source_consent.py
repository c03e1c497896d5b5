"""Who refused at the source since the plan was made: read again just before contacts are written, and before grants.

The comparison that the plan was made with runs once more, over both accounts. A contact is written if every refusal
that counts now is in force at the target, whatever the file of the plan says; a grant, if it still counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import evolve

from contacts_core.errors import PlanRefused
from contacts_core.models import Consent, ConsentState, Contact, Identifier
from contacts_core.plans.change import Change, DataSubject
from contacts_core.plans.change_operations.account import WriteConsent
from contacts_core.plans.comparing.consent import ConsentComparison
from contacts_core.plans.execution.account_view import AccountView
from contacts_core.plans.execution.context import Runner
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.model import AccountPlan
from contacts_core.plans.planning import lookup
from contacts_core.plans.receipts.reasons import OurWords
from contacts_core.plans.rows import elements, indexes_by_person
from contacts_core.provider import Provider, WritesConsent, preview_consent

__all__ = ["depends_on_source", "read_consent", "refused", "refusing"]

CHUNK_SIZE = 500  # changes looked at together
NOT_GRANTED = "the source does not grant it any more"


def depends_on_source(view: AccountView) -> bool:
    """Return whether the consent of the source decides if changes of this stage may be made."""
    if view.part.consent is None:
        return False
    if isinstance(view.operation, WriteConsent):
        return any(map(_is_grant, view.changes))
    return view.operation.name == kind_of(view.plan.kind).changes_by.name


def read_consent(part: AccountPlan, source: Runner, target: Runner) -> ConsentComparison:
    """Read and compare what both accounts say now.

    Raises:
        PlanRefused: The source is not the account that the plan was made of, or its consent cannot be copied any more.
        ContactsError: An account could not be read.
    """
    assert part.consent is not None
    if source.run(lookup.account_id(source.provider)) != part.consent.account_id:
        raise PlanRefused(
            OurWords(f"{part.source} leads to another workspace than the one that the plan copies"),
            hint="check the account's settings (base_url, workspace, key); for this workspace, make a new plan",
        )
    runners = {part.source: source, part.account: target}
    comparison = ConsentComparison(part.source, part.account, part.consent.options)
    reading = comparison.run({name: runner.provider for name, runner in runners.items()})
    answers: Mapping[str, object] | None = None
    while True:
        try:
            by_account = reading.send(answers)  # type: ignore[arg-type]  # None begins a generator
        except StopIteration:
            return comparison
        answers = {name: runners[name].run(flow) for name, flow in by_account.items()}


def refused(view: AccountView, comparison: ConsentComparison, target: Provider) -> Iterator[tuple[int, str]]:
    """Yield the changes of a stage that must not be made, by index, each with the reason."""
    for first in range(0, len(view.changes), CHUNK_SIZE):
        chunk = dict(enumerate(view.changes[first : first + CHUNK_SIZE], first))
        if isinstance(view.operation, WriteConsent):
            for n, change in chunk.items():
                if _is_grant(change) and not all(map(comparison.is_granted, view.operation.statements(change))):
                    yield n, NOT_GRANTED
            continue
        people = _people(view, chunk.values())
        promised = _promised(view.part, view.stage.first + view.stage.count, people, target)
        for n, change in chunk.items():
            if reason := _refusal(view, change, comparison, people, promised):
                yield n, reason


def refusing(view: AccountView, comparison: ConsentComparison) -> Iterator[int]:
    """Yield the changes of a stage, by index, whose contacts have refused something that both accounts tell."""
    for first in range(0, len(view.changes), CHUNK_SIZE):
        chunk = dict(enumerate(view.changes[first : first + CHUNK_SIZE], first))
        people = _people(view, chunk.values())
        for n, change in chunk.items():
            written = view.operation.written(change)
            if written and comparison.refuses(_told(change, written, people)):
                yield n


def _people(view: AccountView, changes: Iterable[Change]) -> dict[int, DataSubject]:
    numbers = {number for change in changes for number in change.people}
    return {n + 1: each for n, each in elements(view.plan.people, (number - 1 for number in numbers)).items()}


def _told(change: Change, written: Contact, people: Mapping[int, DataSubject]) -> Contact:
    """Return the contact that a change writes, with every identifier by which somebody may have refused."""
    known: list[Identifier] = [*written.identifiers, *change.identifiers]
    known += [each for number in change.people for each in people[number].identifiers]
    return evolve(written, id=change.source, identifiers=tuple(dict.fromkeys(known)))


def _refusal(
    view: AccountView,
    change: Change,
    comparison: ConsentComparison,
    people: Mapping[int, DataSubject],
    promised: Mapping[int, Iterable[Consent]],
) -> str:
    written = view.operation.written(change)
    if written is None:
        return ""
    told = _told(change, written, people)
    follow = [each for number in change.people for each in promised.get(number, ())]
    return comparison.refusal(told, written, follow)


def _promised(part: AccountPlan, first: int, people: Iterable[int], target: Provider) -> dict[int, list[Consent]]:
    """Return what a read will show of the statements that are written later, by the number of the person."""
    if not isinstance(target, WritesConsent):
        return {}
    found: dict[int, list[Consent]] = {}
    for number, indexes in indexes_by_person(part.changes, set(people)).items():
        for change in elements(part.changes, [n for n in indexes if n >= first]).values():
            previews = [preview_consent(target, each) for each in WriteConsent().statements(change)]
            found.setdefault(number, []).extend(each.shown for each in previews if each.shown)
    return found


def _is_grant(change: Change) -> bool:
    return any(each.state is ConsentState.GRANTED for each in WriteConsent().statements(change))
