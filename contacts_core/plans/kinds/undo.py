"""Take back what a run wrote."""

from __future__ import annotations

from contacts_core.plans.kinds.base import Kind

__all__ = ["Undo"]


class Undo(Kind):
    """Delete contacts that a run created, and give others their values back, as far as nobody changed them since."""

    name = "undo"
    title = "Undoing of a run"
    done = "Everything that could be taken back is verified to be taken back."
    stages = ("remove_from_list", "change_contact", "delete_contacts")
    main = "delete_contacts"
    why_not_undone = "it took back what another run wrote"
    instead_of_undo = "write the contacts again: make the plan of that run again, and apply it"
    strict = False
    about_people = False
    depends_on_values = True
