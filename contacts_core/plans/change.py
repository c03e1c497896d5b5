"""What a plan consists of: changes, the people that they are for, and what was not looked up."""

from __future__ import annotations

from attrs import frozen

from contacts_core.models import Identifier

__all__ = ["Change", "DataSubject", "Suggestion", "Unasked"]


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


@frozen
class Change:
    """One change of one contact, as it was read when the plan was made.

    Attributes:
        operation: Name of the operation, which is also that of the client's method; see `change_operations`.
        contact: The id of the contact.
        identifiers: All its identifiers.
        people: Numbers of the people it is for.
        reason: Why it is made, with identifiers masked.
        removes: Which of the contact's identifiers are to be removed; empty in other operations.
        list_id: The id of the list that the contact is put on or taken off; empty in other operations.
    """

    operation: str
    contact: str
    identifiers: tuple[Identifier, ...]
    people: tuple[int, ...]
    reason: str
    removes: tuple[Identifier, ...] = ()
    list_id: str = ""


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
