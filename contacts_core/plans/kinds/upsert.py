"""Create contacts in one account, and update those that exist."""

from __future__ import annotations

from contacts_core.plans.kinds.base import Kind

__all__ = ["Upsert"]


class Upsert(Kind):
    """Write contacts, after the fields and lists that they need. Those that are there as given are left as they are."""

    name = "upsert"
    title = "Writing of contacts"
    done = "Everybody is verified to be there as it was written."
    stages = ("create_custom_field", "create_list", "upsert_contacts")
    main = "upsert_contacts"
    strict = False
    about_people = False
    can_be_undone = True
