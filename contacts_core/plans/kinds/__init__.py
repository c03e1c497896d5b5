"""The kinds of plans, one module each. Code elsewhere asks the `Kind` and names none."""

from __future__ import annotations

from collections.abc import Mapping

from contacts_core.plans.kinds.base import Attempt, Kind, PlanKind
from contacts_core.plans.kinds.delete import Delete
from contacts_core.plans.kinds.erase import Erase
from contacts_core.plans.kinds.remove_from_list import RemoveFromList
from contacts_core.plans.kinds.remove_identifier import RemoveIdentifier

__all__ = ["KINDS", "Attempt", "Kind", "PlanKind", "kind_of"]

KINDS: Mapping[PlanKind, Kind] = {
    PlanKind.ERASE: Erase(),
    PlanKind.DELETE: Delete(),
    PlanKind.REMOVE_IDENTIFIER: RemoveIdentifier(),
    PlanKind.REMOVE_FROM_LIST: RemoveFromList(),
}


def kind_of(kind: PlanKind) -> Kind:
    """Return what this kind of plan decides."""
    return KINDS[kind]
