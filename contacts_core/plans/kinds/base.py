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
        stages: Names of the operations of its changes, in their order; see `contacts_core.plans.change_operations`.
            Each stage is verified before the next one begins. A plan has those that it has changes for.
        main: The operation that the plan is for; by default the first one.
        outside_plan: What is concluded, with the reason, if an identifier is found at a contact outside the plan.
        leaves_tombstones: Whether identifiers of its people are kept as tombstones.
        strict: Whether nothing at all is done if a contact has changed since the plan was made. Otherwise those that
            have changed are left alone, and the others are worked on.
        about_people: Whether people are given, and the first stage is about all of them, also about those who were not
            found. Otherwise a plan is about those whom it changes, and may find that nothing is left to do.
        reads_consent: Whether the consent of the account that is copied from is read again before contacts are written.
        depends_on_values: Whether each change is made only as long as its contact has the values of the plan.
        can_be_undone: Whether the plan is kept when its run is complete, so that it can be undone.
        why_not_undone: Why a run of this kind cannot be undone, if it cannot.
        instead_of_undo: What to do instead.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    done: ClassVar[str]
    stages: ClassVar[tuple[str, ...]]
    main: ClassVar[str] = ""
    outside_plan: ClassVar[tuple[str, str]] = (
        "present",
        "found at another contact: re-created, or new since the plan was made",
    )
    leaves_tombstones: ClassVar[bool] = False
    strict: ClassVar[bool] = True
    about_people: ClassVar[bool] = True
    reads_consent: ClassVar[bool] = False
    depends_on_values: ClassVar[bool] = False
    can_be_undone: ClassVar[bool] = False
    why_not_undone: ClassVar[str] = "what was deleted is not kept anywhere"
    instead_of_undo: ClassVar[str] = "write the contacts again from a backup"

    @property
    def changes_by(self) -> ChangeOperation:
        """The operation that the plan is for."""
        return operation_of(self.main or self.stages[0])

    @property
    def capability(self) -> type[Provider]:
        """What a provider needs for it."""
        return self.changes_by.capability

    @property
    def needs_list(self) -> bool:
        """Whether the plan is about one list."""
        return self.about_people and self.changes_by.needs_list

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
