"""Delete every contact of data subjects in all accounts, for good."""

from __future__ import annotations

from contacts_core.plans.kinds.base import Kind

__all__ = ["Erase"]


class Erase(Kind):
    """Delete contacts for good: tombstones keep later imports from bringing them back.

    If it is asked for, suppressions are kept, and what vendors keep of sent mail is erased, after the deletion was
    verified.
    """

    name = "erase"
    title = "Erasure of people"
    done = "Everybody is verified to be absent from every account of the plan."
    stages = ("delete_contacts", "write_consent", "erase_mail_data")
    leaves_tombstones = True
