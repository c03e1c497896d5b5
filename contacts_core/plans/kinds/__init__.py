"""The kinds of plans, one module each. Code elsewhere asks the `Kind` and names none."""

from __future__ import annotations

from collections.abc import Mapping

from contacts_core.plans.kinds.add_to_list import AddToList
from contacts_core.plans.kinds.base import Kind
from contacts_core.plans.kinds.copy import Copy
from contacts_core.plans.kinds.delete import Delete
from contacts_core.plans.kinds.erase import Erase
from contacts_core.plans.kinds.remove_from_list import RemoveFromList
from contacts_core.plans.kinds.remove_identifier import RemoveIdentifier
from contacts_core.plans.kinds.undo import Undo
from contacts_core.plans.kinds.upsert import Upsert

__all__ = ["KINDS", "Kind", "kind_of"]

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (Erase(), Delete(), RemoveIdentifier(), RemoveFromList(), AddToList(), Upsert(), Copy(), Undo())
}


def kind_of(name: str) -> Kind:
    """Return the kind of this name."""
    return KINDS[name]
