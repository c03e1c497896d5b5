"""Remove identifiers from every contact that has them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from contacts_core import operations
from contacts_core.models import Contact, Identifier, Outcome
from contacts_core.plans.kinds.base import Attempt, Kind
from contacts_core.provider import Flow, Provider, RemovesIdentifiers, flows

if TYPE_CHECKING:
    from contacts_core.plans.model import Plan, Target

__all__ = ["RemoveIdentifier"]


class RemoveIdentifier(Kind):
    """Remove identifiers, one after the other. The contacts remain."""

    title = "Removal of identifiers"
    done = "Every identifier is verified to be gone from the contacts."
    operation = "remove_identifier"
    capability = RemovesIdentifiers
    still = "still with it"
    removes_identifiers = True

    def batch_size(self, provider: Provider) -> int:
        """Return 1: identifiers are removed contact by contact."""
        return 1

    def change(self, plan: Plan, batch: Sequence[Target], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Remove the identifiers of one contact."""
        (target,) = batch

        def remove(chunk: Sequence[Identifier]) -> Flow[Outcome]:
            (identifier,) = chunk
            return attempt(
                lambda _: identifier.value,
                lambda _: operations.remove_identifier(provider, target.contact, identifier),
            )

        # One after the other: where a vendor's relation is written back whole, two at once would undo each other.
        return flows.in_chunks(self.operation, provider.name, target.removes, 1, 1, remove, lambda i: i.value)

    def attempts(self, batch: Sequence[Target]) -> int:
        """Return how many identifiers are removed: one attempt each."""
        return sum(len(target.removes) for target in batch)

    def items(self, target: Target) -> list[str]:
        """Return the identifiers that are removed."""
        return [identifier.value for identifier in target.removes]

    def removes(self, contact: Contact, asked: Collection[Identifier]) -> tuple[Identifier, ...]:
        """Return those identifiers that were asked for."""
        return tuple(identifier for identifier in contact.identifiers if identifier in asked)

    def still_shown(self, target: Target, contact: Contact) -> bool:
        """Return whether the contact still has one of the identifiers."""
        return any(identifier in contact.identifiers for identifier in target.removes)
