"""What is stored of every contact, and what a change has made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import fields, frozen

from contacts_core.models import Contact, Identifier, IdentifierKind

if TYPE_CHECKING:
    from contacts_core.emulator import Truth

__all__ = ["Change", "Record", "Records", "identifiers_of", "judge", "record_of", "stored_record"]

UNCOMPARED = ("provider", "id", "identifiers", "lists", "updated_at", "extra")


@frozen
class Record:
    """What is stored of one contact.

    Attributes:
        id: Its id.
        identifiers: Its identifiers.
        lists: The ids of its lists.
        fields: Its other fields but the time of its last change: as the provider reads them, or their hashes.
    """

    id: str
    identifiers: frozenset[Identifier]
    lists: frozenset[str]
    fields: Mapping[str, Any]


Records = Mapping[str, Record]
"""What is stored of all contacts, by id."""


def identifiers_of(truth: Truth) -> tuple[Identifier, ...]:
    """A contact's identifiers in shared terms."""
    kinds = {kind.value: kind for kind in IdentifierKind}
    return tuple(
        Identifier(kinds[kind], value) if kind in kinds else Identifier.other(kind.partition(":")[2], value)
        for kind, value in truth.identifiers
    )


def stored_record(truth: Truth) -> Record:
    """What an emulator has stored of a contact."""
    rest = {name: digest for name, digest in truth.fields.items() if "updated" not in name.lower()}
    return Record(truth.id, frozenset(identifiers_of(truth)), frozenset(truth.lists), rest)


def record_of(contact: Contact) -> Record:
    """What a provider reads of a contact."""
    rest = {a.name: getattr(contact, a.name) for a in fields(Contact) if a.name not in UNCOMPARED}
    rest["names of extra"] = sorted(contact.extra)
    return Record(contact.id, frozenset(contact.identifiers), frozenset(contact.lists or ()), rest)


@frozen
class Change:
    """A change that is asked for, and what it should make of the contacts.

    Attributes:
        act: Asks a client for it.
        items: How many items it is about.
        becomes: What should become of each contact that it is about, by id; None where the contact should be gone.
        new: An identifier of each contact that should come into being.
    """

    act: Callable[[Any], Any]
    items: int = 1
    becomes: Mapping[str, Record | None] = {}
    new: tuple[Identifier, ...] = ()


@frozen
class Judgement:
    """What a change has made of the contacts.

    Attributes:
        missing: What should have happened, and has not; empty once the change is done.
        touched: Whether something that should happen has happened.
        wrong: What has happened, and should not.
    """

    missing: list[str]
    touched: bool
    wrong: list[str]


def judge(change: Change, before: Records, after: Records) -> Judgement:
    """Compare what is stored now with what should be."""
    missing: list[str] = []
    wrong: list[str] = []
    touched = False
    for contact_id, record in before.items():
        now = after.get(contact_id)
        wanted = change.becomes.get(contact_id, record)
        if now == wanted:
            touched = touched or wanted != record
        elif now == record:
            missing.append(f"contact {contact_id} is as before" if wanted else f"contact {contact_id} is still there")
        else:
            wrong.extend(_differences(contact_id, wanted, now))
    fresh = [record for contact_id, record in after.items() if contact_id not in before]
    for identifier in change.new:
        having = [record.id for record in fresh if identifier in record.identifiers]
        touched = touched or bool(having)
        if not having:
            missing.append(f"no contact has {identifier.value}")
        if len(having) > 1:
            wrong.append(f"{len(having)} contacts have {identifier.value}, which was written once: {having}")
    wrong.extend(
        f"contact {record.id} came into being with {_shown(record.identifiers)}"
        for record in fresh
        if record.identifiers.isdisjoint(change.new)
    )
    return Judgement(missing, touched, wrong)


def _differences(contact_id: str, wanted: Record | None, now: Record | None) -> Iterable[str]:
    if now is None:
        return [f"contact {contact_id} is gone, although nobody deleted it"]
    if wanted is None:
        return [f"contact {contact_id} is not gone, but changed"]
    found: list[str] = []
    if now.identifiers != wanted.identifiers:
        found.append(
            f"contact {contact_id} has the identifiers {_shown(now.identifiers)}, expected {_shown(wanted.identifiers)}"
        )
    if now.lists != wanted.lists:
        found.append(f"contact {contact_id} is on the lists {sorted(now.lists)}, expected {sorted(wanted.lists)}")
    found.extend(
        f"{name} of contact {contact_id} is {now.fields.get(name)!r}, was {wanted.fields.get(name)!r}"
        for name in sorted(now.fields.keys() | wanted.fields.keys())
        if now.fields.get(name) != wanted.fields.get(name)
    )
    return found


def _shown(identifiers: Iterable[Identifier]) -> list[str]:
    return sorted(each.value for each in identifiers)
