"""Who refused at the source since the plan was made: read again before contacts, before grants, and at the end.

The comparison that the plan was made with runs once more, over both accounts. A contact is written if every refusal
that counts now is in force at the target, whatever the file of the plan says; a grant, if it still counts. At the end,
nobody counts as copied whose refusal is not in force by then. When a run begins, a page shows that the source can be
read at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from attrs import evolve

from contacts_core.errors import PlanRefused
from contacts_core.models import Consent, ConsentState, Contact, Identifier
from contacts_core.plans.change import Change, DataSubject
from contacts_core.plans.change_operations.account import WriteConsent
from contacts_core.plans.comparing.consent import ConsentComparison
from contacts_core.plans.execution.account_view import AccountView
from contacts_core.plans.execution.context import Runner
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.model import AccountPlan, ConsentSource
from contacts_core.plans.planning import lookup
from contacts_core.plans.receipts.reasons import OurWords
from contacts_core.plans.rows import elements, indexes_by_person
from contacts_core.provider import Provider, ReadsConsent, WritesConsent, preview_consent

__all__ = ["check_source", "depends_on_source", "read_consent", "refused", "refused_since", "refusing"]

CHUNK_SIZE = 500  # changes looked at together
REFUSED_SINCE = "the source has a refusal of this person that is not in force here: copy again"
NOT_GRANTED = "the source does not grant it any more"


def depends_on_source(view: AccountView) -> bool:
    """Return whether the consent of the source decides if changes of this stage may be made."""
    if view.part.consent is None:
        return False
    if isinstance(view.operation, WriteConsent):
        return any(map(_is_grant, view.changes))
    return view.operation.name == kind_of(view.plan.kind).changes_by.name


def check_source(part: AccountPlan, source: Runner) -> None:
    """Check that the source is the planned account, and that a page of its consent can be read.

    Raises:
        PlanRefused: It is another account.
        ContactsError: It could not be read.
    """
    assert part.consent is not None
    _check_account(part.consent, part.source, source)
    if isinstance(source.provider, ReadsConsent):
        source.run(source.provider.consent_page(None))


def _check_account(consent: ConsentSource, name: str, source: Runner) -> None:
    if source.run(lookup.account_id(source.provider)) != consent.account_id:
        raise PlanRefused(
            OurWords(f"{name} leads to another workspace than the one that the plan copies"),
            hint="check the account's settings (base_url, workspace, key); for this workspace, make a new plan",
        )


def read_consent(part: AccountPlan, source: Runner, target: Runner) -> ConsentComparison:
    """Read and compare what both accounts say now.

    Raises:
        PlanRefused: The source is not the account that the plan was made of, or its consent cannot be copied any more.
        ContactsError: An account could not be read.
    """
    assert part.consent is not None
    _check_account(part.consent, part.source, source)
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
        later = view.stage.first + view.stage.count
        yield from _refusals(view, comparison, chunk, partial(_promised, view.part, later, target=target))


def refused_since(view: AccountView, comparison: ConsentComparison, _: Provider) -> Iterator[tuple[int, str]]:
    """Yield the contacts that were written and whose refusal is not in force, by index: after the last stage."""
    for first in range(0, len(view.changes), CHUNK_SIZE):
        chunk = dict(enumerate(view.changes[first : first + CHUNK_SIZE], first))
        yield from ((n, REFUSED_SINCE) for n, _ in _refusals(view, comparison, chunk, lambda _: {}))


def _refusals(
    view: AccountView,
    comparison: ConsentComparison,
    chunk: Mapping[int, Change],
    promised: Callable[[Iterable[int]], Mapping[int, Iterable[Consent]]],
) -> Iterator[tuple[int, str]]:
    """Yield the contacts that a refusal speaks against, by index, each with the reason.

    Args:
        view: The stage that writes contacts.
        comparison: What both accounts say now.
        chunk: Some changes of the stage, by index.
        promised: Returns the statements that are still to be written, by the numbers of people.
    """
    people = _people(view, chunk.values())
    follow = promised(people)
    for n, change in chunk.items():
        if reason := _refusal(view, change, comparison, people, follow):
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


def _promised(part: AccountPlan, first: int, people: Iterable[int], *, target: Provider) -> dict[int, list[Consent]]:
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
