"""Remove contacts from a list of one account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contacts_core import operations
from contacts_core.models import Outcome
from contacts_core.plans.kinds.base import Attempt, Kind
from contacts_core.provider import Exports, FindsContacts, Flow, Provider, RemovesFromLists

if TYPE_CHECKING:
    from contacts_core.plans.model import Plan, Target

__all__ = ["RemoveFromList"]


class RemoveFromList(Kind):
    """Remove members from a list. They remain contacts, so only the list is read to verify it."""

    title = "Removal from a list"
    done = "Everybody is verified to be off the list."
    operation = "remove_from_list"
    capability = RemovesFromLists
    still = "still on the list"
    outside_plan = ("unknown", "a contact has it that was not there when the plan was made")
    needs_list = True

    def batch_size(self, provider: Provider) -> int:
        """Return the batch size that the provider states."""
        return operations.require(provider, RemovesFromLists).member_batch_size

    def change(self, plan: Plan, batch: Sequence[Target], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Remove them from the list."""
        return attempt(
            lambda target: target.contact,
            lambda same: operations.remove_from_list(
                provider, plan.list_id, [target.contact for target in same], resolved=True
            ),
        )

    def looks_up(self, *, found: bool) -> bool:
        """Return True for people whose contacts were not found: others are read on the list."""
        return not found

    def verification_paths(self, provider: Provider, *, ids_only: bool, identifiers: bool) -> tuple[str, ...]:
        """Return the ways to verify it; see `Kind`."""
        look_up = identifiers and isinstance(provider, (FindsContacts, Exports))
        return (*(("list",) if isinstance(provider, Exports) else ()), *(("find",) if look_up else ()))
