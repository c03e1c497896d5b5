"""Remove identifiers from every contact that has them."""

from __future__ import annotations

from collections.abc import Collection

from attrs import evolve

from contacts_core.models import Identifier
from contacts_core.plans.change import Change
from contacts_core.plans.kinds.base import Kind

__all__ = ["RemoveIdentifier"]


class RemoveIdentifier(Kind):
    """Remove identifiers. The contacts remain."""

    name = "remove-identifier"
    title = "Removal of identifiers"
    done = "Every identifier is verified to be gone from the contacts."
    stages = ("remove_identifier",)

    def change(self, change: Change, found_by: Collection[Identifier]) -> Change:
        """Return the change; it removes the identifiers that the contact was found by."""
        return evolve(change, removes=tuple(i for i in change.identifiers if i in found_by))
