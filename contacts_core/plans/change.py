"""What a plan consists of: changes, the people that they are for, and what was not looked up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from attrs import field, frozen

from contacts_core.models import Identifier

__all__ = ["Change", "DataSubject", "Held", "PairHandler", "Suggestion", "Unasked"]

PairHandler: TypeAlias = Callable[[str, str], object]
"""Told which contact is which: the id that it has where it was copied from, and its id in the account that is written.
It may be called from several threads, and more than once with the same ids."""


@frozen
class DataSubject:
    """One person that a plan is about, given by identifiers or by the id of a contact.

    Attributes:
        number: Position in the request, from 1.
        asked: The identifiers that were given.
        followed: Identifiers that were found on their contacts and looked up as well.
        contact: The id that was given; empty if identifiers were.
    """

    number: int
    asked: tuple[Identifier, ...] = ()
    followed: tuple[Identifier, ...] = ()
    contact: str = ""

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """All identifiers that are looked up for this person."""
        return (*self.asked, *self.followed)


def _empty() -> dict[str, Any]:
    return {}


@frozen
class Change:
    """One change of one contact as it was read when the plan was made, or of the account itself.

    Attributes:
        operation: Name of the operation; see `change_operations`.
        contact: The id of the contact; empty for one that is to be created, and for changes of the account itself.
        identifiers: All its identifiers; of one that is to be created, those that it will have.
        people: Numbers of the people it is for; empty for changes of the account itself.
        reason: Why it is made, with identifiers masked.
        removes: Which of the contact's identifiers are to be removed; empty in other operations.
        list_id: The id of the list that the contact is put on or taken off; empty in other operations.
        write: What is written, as plain JSON; see `contacts_core.plans.payload`. What it stands for depends on the
            operation: a contact, the fields that are set and cleared, a list, a custom field, statements of consent.
        before: The contact as it was read, as plain JSON, if the change depends on its values.
        source: The id that the contact has where it was copied from; empty if there is none.
    """

    operation: str
    contact: str
    identifiers: tuple[Identifier, ...]
    people: tuple[int, ...]
    reason: str
    removes: tuple[Identifier, ...] = ()
    list_id: str = ""
    write: Mapping[str, Any] = field(factory=_empty, hash=False, repr=False)
    before: Mapping[str, Any] = field(factory=_empty, hash=False, repr=False)
    source: str = ""


@frozen
class Suggestion:
    """An identifier of a contact that was found, which ``follow`` would look up as well."""

    person: int
    identifier: Identifier
    account: str
    contact: str


@frozen
class Unasked:
    """An identifier that a vendor cannot look up, with the reason. Whether a contact has it is unknown."""

    identifier: Identifier
    reason: str


@frozen
class Held:
    """A contact that was given and that the plan leaves alone, with the reason.

    Attributes:
        identifiers: All its identifiers.
        reason: Why, with identifiers masked.
        source: The id that it has where it was read; empty if there is none.
    """

    identifiers: tuple[Identifier, ...]
    reason: str
    source: str = ""
