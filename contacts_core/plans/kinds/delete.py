"""Delete contacts of one account."""

from __future__ import annotations

from contacts_core.plans.kinds.base import Kind

__all__ = ["Delete"]


class Delete(Kind):
    """Delete contacts. No tombstones are left, so they may come back."""

    name = "delete"
    title = "Deletion of contacts"
    done = "Every contact is verified to be gone."
    stages = ("delete_contacts",)
