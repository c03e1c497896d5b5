"""Delete every contact of data subjects in all accounts, for good."""

from __future__ import annotations

from contacts_core.plans.kinds.delete import Delete

__all__ = ["Erase"]


class Erase(Delete):
    """Delete contacts for good: tombstones keep later imports from bringing them back."""

    title = "Erasure of people"
    done = "Everybody is verified to be absent from every account of the plan."
    leaves_tombstones = True
