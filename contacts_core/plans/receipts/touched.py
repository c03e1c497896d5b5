"""The people whose deletion was started, from the plan and the journal of a run, whatever their number."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, Self

from attrs import frozen

from contacts_core.models import Identifier, IdentifierKind
from contacts_core.storage.journal import Journal, Run
from contacts_core.storage.pseudonyms import PseudonymKey
from contacts_core.storage.scratch import DiskSet

__all__ = ["EarlierPlan", "touched_identifiers"]


class _Person(Protocol):
    @property
    def number(self) -> int: ...
    @property
    def identifiers(self) -> Iterable[Identifier]: ...


class _Target(Protocol):
    @property
    def contact(self) -> str: ...
    @property
    def people(self) -> Iterable[int]: ...


class _Part(Protocol):
    @property
    def account(self) -> str: ...
    @property
    def targets(self) -> Iterable[_Target]: ...


class _Plan(Protocol):
    @property
    def people(self) -> Sequence[_Person]: ...
    @property
    def accounts(self) -> Iterable[_Part]: ...


def touched_identifiers(journal: Journal, key: PseudonymKey, run: Run, plan: _Plan) -> Iterator[Identifier]:
    """Yield the identifiers of people of whom a step of this run changed a contact, or tried to."""
    with DiskSet() as touched:
        steps = journal.events(run.id, "step")
        touched.update(bytes.fromhex(contact) for step in steps for contact in step.body["touched"])
        if not touched:
            return
        people = bytearray(len(plan.people) + 1)  # whether each person is one of them, by number
        for part in plan.accounts:
            for target in part.targets:
                if bytes.fromhex(key.contact(part.account, target.contact)) in touched:
                    for number in target.people:
                        people[number] = True
    for person in plan.people:
        if people[person.number]:
            yield from person.identifiers


@frozen
class _EarlierPerson:
    number: int
    identifiers: tuple[Identifier, ...]


@frozen
class _EarlierTarget:
    contact: str
    people: tuple[int, ...]


@frozen
class _EarlierPart:
    account: str
    targets: tuple[_EarlierTarget, ...]


@frozen
class EarlierPlan:
    """What is needed of a plan of format 2, one JSON document: whom it was about, and which contacts they had."""

    people: tuple[_EarlierPerson, ...]
    accounts: tuple[_EarlierPart, ...]

    @classmethod
    def parse(cls, document: bytes) -> Self:
        """Read the document, which this library wrote and encrypted, so that it can be relied on."""
        plan: dict[str, Any] = json.loads(document)
        people = [
            _EarlierPerson(
                person["number"], tuple(map(_identifier, [*person.get("asked", ()), *person.get("followed", ())]))
            )
            for person in plan["people"]
        ]
        parts = [
            _EarlierPart(
                part["account"],
                tuple(_EarlierTarget(target["contact"], tuple(target["people"])) for target in part["targets"]),
            )
            for part in plan["accounts"]
        ]
        return cls(tuple(people), tuple(parts))


def _identifier(fields: dict[str, Any]) -> Identifier:
    others = {name: value for name, value in fields.items() if name != "kind"}
    return Identifier(IdentifierKind(fields["kind"]), **others)
