"""The operations that changes name: how each is sent, and what shows that it was made.

A kind of plan decides which changes there are; here is how one is made, whatever the plan is for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import ClassVar, TypeAlias

from contacts_core import operations
from contacts_core.models import Contact, Identifier, Outcome
from contacts_core.plans.change import Change
from contacts_core.provider import (
    AddsToLists,
    DeletesContacts,
    Exports,
    FindsContacts,
    Flow,
    GetsContacts,
    Provider,
    RemovesFromLists,
    RemovesIdentifiers,
    flows,
)

__all__ = ["OPERATIONS", "Attempt", "ChangeOperation", "operation_of"]

Attempt: TypeAlias = Callable[[Callable[[Change], str], Callable[[Sequence[Change]], Flow[Outcome]]], Flow[Outcome]]
"""Read the contacts of a batch, and send the changes of those that are still who they were. The arguments are the name
that the outcome has for a change, and the flow that sends the changes."""


class ChangeOperation(ABC):
    """One operation: what a provider needs for it, how changes are sent, and how they are verified.

    Attributes:
        name: The name of the client's method that makes the change.
        capability: What a provider needs for it.
        unmade: What is said of a contact if verification shows that the change was not made.
        deletes_contacts: Whether contacts are deleted, so that the vendor's residual data matter.
        removes_identifiers: Whether changes name identifiers to remove.
        needs_list: Whether changes name a list.
        leaves: Whether the contacts, or what is removed from them, should not be found afterwards.
    """

    name: ClassVar[str]
    capability: ClassVar[type[Provider]]
    unmade: ClassVar[str]
    deletes_contacts: ClassVar[bool] = False
    removes_identifiers: ClassVar[bool] = False
    needs_list: ClassVar[bool] = False
    leaves: ClassVar[bool] = True

    @abstractmethod
    def batch_size(self, provider: Provider) -> int:
        """Return how many contacts are read and changed together."""

    @abstractmethod
    def send(self, batch: Sequence[Change], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Make the changes of one batch, by one attempt or by several one after the other."""

    def attempts(self, batch: Sequence[Change]) -> int:
        """Return how many attempts `send` needs for this batch. Each reads the batch once."""
        return 1

    def items(self, change: Change) -> list[str]:
        """Return the names that outcomes have for a change."""
        return [change.contact]

    @abstractmethod
    def is_made(self, change: Change, contact: Contact | None) -> bool | None:
        """Return whether this contact, as it is read after the work, shows the change; None if it does not tell."""

    def looks_up(self, *, found: bool) -> bool:
        """Return whether verification looks up the identifiers of a person whose contacts the plan found, or not."""
        return True

    def verification_paths(self, provider: Provider, *, ids_only: bool, identifiers: bool) -> tuple[str, ...]:
        """Return the ways in which the work can be verified, the cheapest first.

        ``get`` reads contacts by id, ``find`` looks identifiers up, ``list`` reads the members of the list. If there
        are two, absence is only believed when both agree: one of them differs from the way the contacts were found.

        Args:
            provider: The account's provider.
            ids_only: Whether a contact is known by nothing but its id.
            identifiers: Whether there are identifiers to look up.
        """
        by_id = isinstance(provider, GetsContacts) or (ids_only and isinstance(provider, Exports))
        look_up = isinstance(provider, (FindsContacts, Exports))
        return (*(("get",) if by_id else ()), *(("find",) if look_up else ()))


class DeleteContacts(ChangeOperation):
    """Delete whole contacts."""

    name = "delete_contacts"
    capability = DeletesContacts
    unmade = "still there"
    deletes_contacts = True

    def batch_size(self, provider: Provider) -> int:
        """Return the batch size that the provider states."""
        return operations.require(provider, DeletesContacts).delete_batch_size

    def send(self, batch: Sequence[Change], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Delete them."""
        return attempt(
            lambda change: change.contact,
            lambda same: operations.delete_contacts(provider, [change.contact for change in same]),
        )

    def is_made(self, change: Change, contact: Contact | None) -> bool | None:
        """Return whether the contact is gone."""
        return contact is None


class RemoveIdentifier(ChangeOperation):
    """Remove identifiers of a contact, one after the other. The contact remains."""

    name = "remove_identifier"
    capability = RemovesIdentifiers
    unmade = "still with it"
    removes_identifiers = True

    def batch_size(self, provider: Provider) -> int:
        """Return 1: identifiers are removed contact by contact."""
        return 1

    def send(self, batch: Sequence[Change], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Remove the identifiers of one contact."""
        (change,) = batch

        def remove(chunk: Sequence[Identifier]) -> Flow[Outcome]:
            (identifier,) = chunk
            return attempt(
                lambda _: identifier.value,
                lambda _: operations.remove_identifier(provider, change.contact, identifier),
            )

        # One after the other: where a vendor's relation is written back whole, two at once would undo each other.
        return flows.in_chunks(self.name, provider.name, change.removes, 1, 1, remove, lambda i: i.value)

    def attempts(self, batch: Sequence[Change]) -> int:
        """Return how many identifiers are removed: one attempt each."""
        return sum(len(change.removes) for change in batch)

    def items(self, change: Change) -> list[str]:
        """Return the identifiers that are removed."""
        return [identifier.value for identifier in change.removes]

    def is_made(self, change: Change, contact: Contact | None) -> bool | None:
        """Return whether the contact has none of the identifiers."""
        return contact is None or not any(identifier in contact.identifiers for identifier in change.removes)


class _ChangeMembership(ChangeOperation, ABC):
    """Put contacts on a list, or take them off it. Only the list is read to verify it."""

    needs_list = True

    def looks_up(self, *, found: bool) -> bool:
        """Return True for people whose contacts were not found: others are read on the list."""
        return not found

    def verification_paths(self, provider: Provider, *, ids_only: bool, identifiers: bool) -> tuple[str, ...]:
        """Return the ways to verify it; see `ChangeOperation`."""
        look_up = identifiers and isinstance(provider, (FindsContacts, Exports))
        return (*(("list",) if isinstance(provider, Exports) else ()), *(("find",) if look_up else ()))

    def send(self, batch: Sequence[Change], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Change the membership of all of them."""
        return attempt(lambda change: change.contact, lambda same: self._send(provider, same))

    def _send(self, provider: Provider, same: Sequence[Change]) -> Flow[Outcome]:
        outcomes: list[Outcome] = []
        for list_id, changes in groupby(same, lambda change: change.list_id):
            outcomes.append((yield from self._of_list(provider, list_id, [change.contact for change in changes])))
        return outcomes[0] if len(outcomes) == 1 else Outcome.merge(self.name, provider.name, outcomes)

    @abstractmethod
    def _of_list(self, provider: Provider, list_id: str, ids: Sequence[str]) -> Flow[Outcome]: ...


class RemoveFromList(_ChangeMembership):
    """Take contacts off a list. They remain contacts."""

    name = "remove_from_list"
    capability = RemovesFromLists
    unmade = "still on the list"

    def batch_size(self, provider: Provider) -> int:
        """Return the batch size that the provider states."""
        return operations.require(provider, RemovesFromLists).member_batch_size

    def _of_list(self, provider: Provider, list_id: str, ids: Sequence[str]) -> Flow[Outcome]:
        return operations.remove_from_list(provider, list_id, ids, resolved=True)

    def is_made(self, change: Change, contact: Contact | None) -> bool | None:
        """Return whether the contact is off the list."""
        if contact is None:
            return True
        return None if contact.lists is None else change.list_id not in contact.lists


class AddToList(_ChangeMembership):
    """Put contacts on a list."""

    name = "add_to_list"
    capability = AddsToLists
    unmade = "not on the list"
    leaves = False

    def batch_size(self, provider: Provider) -> int:
        """Return the batch size that the provider states."""
        return operations.require(provider, AddsToLists).member_batch_size

    def _of_list(self, provider: Provider, list_id: str, ids: Sequence[str]) -> Flow[Outcome]:
        return operations.add_to_list(provider, list_id, ids, resolved=True)

    def is_made(self, change: Change, contact: Contact | None) -> bool | None:
        """Return whether the contact is on the list."""
        if contact is None:
            return False
        return None if contact.lists is None else change.list_id in contact.lists


OPERATIONS: Mapping[str, ChangeOperation] = {
    operation.name: operation for operation in (DeleteContacts(), RemoveIdentifier(), RemoveFromList(), AddToList())
}


def operation_of(name: str) -> ChangeOperation:
    """Return the operation of this name."""
    return OPERATIONS[name]
