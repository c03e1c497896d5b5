"""Remove contacts from a list of one account."""

from __future__ import annotations

from contacts_core.plans.kinds.base import Kind

__all__ = ["RemoveFromList"]


class RemoveFromList(Kind):
    """Remove members from a list. They remain contacts."""

    name = "remove-from-list"
    title = "Removal from a list"
    done = "Everybody is verified to be off the list."
    stages = ("remove_from_list",)
    why_not_undone = "nothing tells who was on the list before"
    instead_of_undo = "put them on the list by a plan: contacts plan add-to-list"
    outside_plan = ("unknown", "a contact has it that was not there when the plan was made")
