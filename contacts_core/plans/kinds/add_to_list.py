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
    why_not_undone = "nothing tells who was on the list before"
    instead_of_undo = "take them off the list by a plan: contacts plan remove-from-list"
    outside_plan = ("unknown", "a contact has it that was not there when the plan was made")
