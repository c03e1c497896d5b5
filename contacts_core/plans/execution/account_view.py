"""One stage of a plan in one account, as the engine looks at it: contacts and identifiers by index, however many."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from contacts_core.models import Identifier
from contacts_core.plans.change import Change, DataSubject
from contacts_core.plans.change_operations import operation_of
from contacts_core.plans.kinds import Kind, kind_of
from contacts_core.plans.model import AccountPlan, Plan, Stage
from contacts_core.plans.rows import IdentifierTable, elements, indexes_by_person, indexes_of_contacts, window
from contacts_core.provider import flows

__all__ = ["AccountView"]

CHUNK_SIZE = 500  # people looked at together


class AccountView:
    """One stage of a plan's part for one account.

    What is verified is numbered: first the contacts that are changed, in the plan's order, then contacts that were
    given by an id that was not found (``missing``). Identifiers that verification looks up are numbered by themselves
    (``sought``).
    """

    def __init__(self, plan: Plan, part: AccountPlan, stage: Stage) -> None:
        """Look at one stage of a plan in one account."""
        self.plan, self.part, self.stage = plan, part, stage
        self.kind: Kind = kind_of(plan.kind)
        self.operation = operation_of(stage.operation)
        self.changes = window(part.changes, stage.first, stage.count)
        self.is_about_everybody = self.kind.about_people and stage.operation == self.kind.stages[0]
        self.ids: Container[str] = _Ids(self)

    @property
    def subject_count(self) -> int:
        """How many contacts are verified."""
        return len(self.changes) + len(self.missing)

    def subjects(self, indexes: Iterable[int]) -> dict[int, Change]:
        """Return contacts that are verified, by index."""
        count = len(self.changes)
        wanted = list(indexes)
        missing = {n: self.missing[n - count] for n in wanted if n >= count}
        return elements(self.changes, [n for n in wanted if n < count]) | missing

    def people(self) -> Iterator[tuple[Sequence[DataSubject], Mapping[int, list[int]]]]:
        """Yield people, some at a time, with the indexes of their contacts by the person's number."""
        missing: dict[int, list[int]] = {}
        for n, change in enumerate(self.missing, len(self.changes)):
            missing.setdefault(change.people[0], []).append(n)
        for chunk in flows.chunks(self.plan.people, CHUNK_SIZE):
            numbers = [person.number for person in chunk]
            found = indexes_by_person(self.changes, numbers)
            yield chunk, found | {number: missing[number] for number in numbers if number in missing}

    def identifiers_of(self, person: DataSubject, indexes: Sequence[int]) -> tuple[Identifier, ...]:
        """Return the identifiers of a person; for one given by id, those of the contact."""
        if person.identifiers:
            return person.identifiers
        return tuple(i for change in self.subjects(indexes).values() for i in change.identifiers)

    @cached_property
    def missing(self) -> Sequence[Change]:
        """Contacts that were given by id and not found, if the stage is about everybody."""
        missing: list[Change] = []
        if not self.is_about_everybody:
            return missing
        for chunk in flows.chunks((person for person in self.plan.people if person.contact), CHUNK_SIZE):
            known = indexes_of_contacts(self.changes, [person.contact for person in chunk])
            missing += [
                Change(self.operation.name, person.contact, (), (person.number,), "its id was given")
                for person in chunk
                if person.contact not in known
            ]
        return missing

    @cached_property
    def missing_ids(self) -> frozenset[str]:
        """The ids of these."""
        return frozenset(change.contact for change in self.missing)

    @cached_property
    def sought(self) -> IdentifierTable:
        """The identifiers that verification looks up."""
        table = IdentifierTable()
        count = len(self.changes)
        for chunk, indexes in self.people():
            for person in chunk:
                mine = indexes.get(person.number, [])
                if not (mine or self.is_about_everybody):
                    continue
                if self.operation.looks_up(found=any(n < count for n in mine)):
                    for identifier in self.identifiers_of(person, mine):
                        table.add(identifier)
        return table

    @cached_property
    def unasked(self) -> IdentifierTable:
        """The identifiers that could not be looked up when the plan was made, in its order."""
        return IdentifierTable(item.identifier for item in self.part.unasked)

    def reason_unasked(self, identifier: Identifier) -> str:
        """Return why an identifier could not be looked up when the plan was made; empty if it could."""
        n = self.unasked.find(identifier)
        return "" if n is None else self.part.unasked[n].reason


class _Ids(Container[str]):
    """The ids of the contacts that are verified."""

    def __init__(self, view: AccountView) -> None:
        self._changes, self._view = view.changes, view

    def __contains__(self, id: object) -> bool:
        if not isinstance(id, str):
            return False
        return bool(indexes_of_contacts(self._changes, [id])) or id in self._view.missing_ids
