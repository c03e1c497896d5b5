"""Delete contacts of one account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contacts_core import operations
from contacts_core.models import Outcome
from contacts_core.plans.kinds.base import Attempt, Kind
from contacts_core.provider import DeletesContacts, Flow, Provider

if TYPE_CHECKING:
    from contacts_core.plans.model import Plan, Target

__all__ = ["Delete"]


class Delete(Kind):
    """Delete contacts. No tombstones are left, so they may come back."""

    title = "Deletion of contacts"
    done = "Every contact is verified to be gone."
    operation = "delete_contacts"
    capability = DeletesContacts
    deletes_contacts = True

    def batch_size(self, provider: Provider) -> int:
        """Return the batch size that the provider states."""
        return operations.require(provider, DeletesContacts).delete_batch_size

    def change(self, plan: Plan, batch: Sequence[Target], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Delete them."""
        return attempt(
            lambda target: target.contact,
            lambda same: operations.delete_contacts(provider, [target.contact for target in same]),
        )
