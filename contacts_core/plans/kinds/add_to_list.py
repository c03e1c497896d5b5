"""Add contacts to a list of one account."""

from __future__ import annotations

from contacts_core.plans.kinds.base import Kind

__all__ = ["AddToList"]


class AddToList(Kind):
    """Put contacts on a list. Nobody is created."""

    name = "add-to-list"
    title = "Addition to a list"
    done = "Everybody is verified to be on the list."
    stages = ("add_to_list",)
    outside_plan = ("unknown", "a contact has it that was not there when the plan was made")
