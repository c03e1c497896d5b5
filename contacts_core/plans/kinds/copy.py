"""Copy contacts from one account to another."""

from __future__ import annotations

from contacts_core.plans.kinds.base import Kind

__all__ = ["Copy"]


class Copy(Kind):
    """Write the contacts of another account, after what people refused was written and read back.

    What they granted comes last: it counts less, and some vendors keep it on the contact.
    """

    name = "copy"
    title = "Copy of contacts"
    done = "Everybody is verified to be there as far as this vendor can hold it, and nobody who opted out is mailable."
    stages = (
        "create_custom_field",
        "create_list",
        "ensure_consent_scopes",
        "write_consent",
        "confirm_consent",
        "upsert_contacts",
        "write_consent",
    )
    main = "upsert_contacts"
    strict = False
    about_people = False
    reads_consent = True
    can_be_undone = True
