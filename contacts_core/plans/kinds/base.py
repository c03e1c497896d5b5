"""What a kind of plan decides."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from contacts_core.models import Identifier
from contacts_core.plans.change import Change
from contacts_core.plans.change_operations import ChangeOperation, operation_of
from contacts_core.provider import Provider

__all__ = ["Kind"]


class Kind:
    """One kind of plan: which changes it consists of, and its words for people.

    Attributes:
        name: Its name in files and on the command line.
        title: What it is called in a report.
        done: What a report says when everything is verified.
        operation: Name of the operation of its changes; see `contacts_core.plans.change_operations`.
        outside_plan: What is concluded, with the reason, if an identifier is found at a contact outside the plan.
        leaves_tombstones: Whether identifiers of its people are kept as tombstones.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    done: ClassVar[str]
    operation: ClassVar[str]
    outside_plan: ClassVar[tuple[str, str]] = (
        "present",
        "found at another contact: re-created, or new since the plan was made",
    )
    leaves_tombstones: ClassVar[bool] = False

    @property
    def changes_by(self) -> ChangeOperation:
        """The operation of its changes."""
        return operation_of(self.operation)

    @property
    def capability(self) -> type[Provider]:
        """What a provider needs for it."""
        return self.changes_by.capability

    @property
    def goal(self) -> str:
        """The state that every person should reach: ``absent`` or ``present``."""
        return "absent" if self.changes_by.leaves else "present"

    def change(self, change: Change, found_by: Collection[Identifier]) -> Change:
        """Return the change of a contact that was found, given what the core knows of it.

        Args:
            change: The change, with the contact as it was read.
            found_by: The identifiers that it was found by.
        """
        return change
