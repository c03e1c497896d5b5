"""Putting contacts on lists, and taking them off."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import groupby

from contacts_core import operations
from contacts_core.models import Contact, Outcome
from contacts_core.plans.change import Change
from contacts_core.plans.change_operations.base import Attempt, ChangeOperation
from contacts_core.provider import AddsToLists, Exports, FindsContacts, Flow, Provider, RemovesFromLists

__all__ = ["AddToList", "RemoveFromList"]


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
