"""The people whose deletion was started, from the plan and the journal of a run, whatever their number."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from attrs import frozen

from contacts_core.models import Identifier, IdentifierKind
from contacts_core.plans.change import Change, DataSubject
from contacts_core.plans.model import Plan
from contacts_core.provider import flows
from contacts_core.storage.journal import Journal, Run
from contacts_core.storage.pseudonyms import PseudonymKey
from contacts_core.storage.spool import Spool

__all__ = ["EarlierPlan", "pseudonym", "touched_identifiers"]


SCHEMA = "CREATE TABLE touched (contact BLOB PRIMARY KEY) WITHOUT ROWID;"
CHANGES_AT_ONCE = 500


def pseudonym(key: PseudonymKey, account: str, change: Change) -> str:
    """Return what stands for the contact of a change in a receipt.

    One that is to be created has the pseudonym of its first identifier; something of the account, that of its name.
    """
    if change.contact:
        return key.contact(account, change.contact)
    if change.identifiers:
        return key.identifier(change.identifiers[0])
    return key.digest(b"setting", account.encode(), json.dumps(dict(change.write), sort_keys=True).encode())


def touched_identifiers(
    journal: Journal, key: PseudonymKey, run: Run, plan: Plan | EarlierPlan
) -> Iterator[Identifier]:
    """Yield the identifiers of people of whom a step of this run changed a contact, or tried to."""
    spool = Spool(SCHEMA)
    for step in journal.events(run.id, "step"):
        contacts = ((bytes.fromhex(contact),) for contact in step.body["touched"])
        spool.write("INSERT OR IGNORE INTO touched VALUES (?)", contacts)
    people = bytearray(len(plan.people) + 1)  # whether each person is one of them, by number
    for part in plan.accounts:
        for changes in flows.chunks(part.changes, CHANGES_AT_ONCE):
            contacts_of = {bytes.fromhex(key.contact(part.account, change.contact)): change for change in changes}
            query = f"SELECT contact FROM touched WHERE contact IN ({','.join('?' * len(contacts_of))})"  # noqa: S608
            for (contact,) in spool.rows(query, *contacts_of):
                for number in contacts_of[contact].people:
                    people[number] = True
    for person in plan.people:
        if people[person.number]:
            yield from person.identifiers


@frozen
class EarlierPart:
    """The changes that were planned in one account."""

    account: str
    changes: Sequence[Change]


@frozen
class EarlierPlan:
    """What is needed of a plan of format 2, one JSON document: whom it was about, and which contacts they had."""

    people: Sequence[DataSubject]
    accounts: Sequence[EarlierPart]

    @classmethod
    def parse(cls, document: bytes) -> Self:
        """Read the document, which this library wrote and encrypted, so that it can be relied on."""
        plan: dict[str, Any] = json.loads(document)
        people = [
            DataSubject(
                person["number"], _identifiers(person.get("asked", ())), _identifiers(person.get("followed", ()))
            )
            for person in plan["people"]
        ]
        parts = [
            EarlierPart(
                part["account"],
                [Change("", target["contact"], (), tuple(target["people"]), "") for target in part["targets"]],
            )
            for part in plan["accounts"]
        ]
        return cls(people, parts)


def _identifiers(several: Iterable[Mapping[str, Any]]) -> tuple[Identifier, ...]:
    return tuple(map(_identifier, several))


def _identifier(fields: Mapping[str, Any]) -> Identifier:
    others = {name: value for name, value in fields.items() if name != "kind"}
    return Identifier(IdentifierKind(fields["kind"]), **others)
