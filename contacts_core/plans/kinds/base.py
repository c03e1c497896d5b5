"""What a kind of plan decides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from contacts_core.models import Contact, Identifier, Outcome
from contacts_core.provider import Exports, FindsContacts, Flow, GetsContacts, Provider

if TYPE_CHECKING:
    from contacts_core.plans.model import Plan, Target

__all__ = ["Attempt", "Kind", "PlanKind"]

Attempt: TypeAlias = "Callable[[Callable[[Target], str], Callable[[Sequence[Target]], Flow[Outcome]]], Flow[Outcome]]"
"""Read the targets of a batch, and send a change of those that are still who they were. The arguments are the name that
the outcome has for a target, and the flow that sends the change."""


class PlanKind(Enum):
    """What a plan is for. ``ERASE`` is a deletion for good, which leaves tombstones."""

    ERASE = "erase"
    DELETE = "delete"
    REMOVE_IDENTIFIER = "remove-identifier"
    REMOVE_FROM_LIST = "remove-from-list"


class Kind(ABC):
    """One kind of plan: which capability it needs, what it changes, how that is verified, and its words for people.

    Attributes:
        title: What it is called in a report.
        done: What a report says when everything is verified.
        operation: The method of the client that makes the change.
        capability: What a provider needs for it.
        still: What is said of a contact that verification still finds.
        outside_plan: What is concluded, with the reason, if an identifier is found at a contact outside the plan.
        deletes_contacts: Whether contacts are deleted, so that the vendor's residual data matter.
        leaves_tombstones: Whether identifiers of its people are kept as tombstones.
        removes_identifiers: Whether targets name the identifiers to remove.
        needs_list: Whether it is about one list.
    """

    title: ClassVar[str]
    done: ClassVar[str]
    operation: ClassVar[str]
    capability: ClassVar[type[Provider]]
    still: ClassVar[str] = "still there"
    outside_plan: ClassVar[tuple[str, str]] = (
        "present",
        "found at another contact: re-created, or new since the plan was made",
    )
    deletes_contacts: ClassVar[bool] = False
    leaves_tombstones: ClassVar[bool] = False
    removes_identifiers: ClassVar[bool] = False
    needs_list: ClassVar[bool] = False

    @abstractmethod
    def batch_size(self, provider: Provider) -> int:
        """Return how many contacts are read and changed together."""

    @abstractmethod
    def change(self, plan: Plan, batch: Sequence[Target], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Change one batch, by one attempt or by several one after the other."""

    def attempts(self, batch: Sequence[Target]) -> int:
        """Return how many attempts `change` needs for this batch. Each reads the batch once."""
        return 1

    def items(self, target: Target) -> list[str]:
        """Return the names that outcomes have for a target."""
        return [target.contact]

    def removes(self, contact: Contact, asked: Collection[Identifier]) -> tuple[Identifier, ...]:
        """Return which identifiers of a contact are to be removed, of those that were asked for."""
        return ()

    def still_shown(self, target: Target, contact: Contact) -> bool:
        """Return whether this contact, as it is read after the work, shows that the change was not made."""
        return True

    def looks_up(self, *, found: bool) -> bool:
        """Return whether verification looks up the identifiers of a person whose contacts the plan found, or not."""
        return True

    def verification_paths(self, provider: Provider, *, ids_only: bool, identifiers: bool) -> tuple[str, ...]:
        """Return the ways in which the work can be verified, the cheapest first.

        ``get`` reads contacts by id, ``find`` looks identifiers up, ``list`` reads the members of the list. If there
        are two, absence is only believed when both agree: one of them differs from the way the contacts were found.

        Args:
            provider: The account's provider.
            ids_only: Whether a contact is known by nothing but its id.
            identifiers: Whether there are identifiers to look up.
        """
        by_id = isinstance(provider, GetsContacts) or (ids_only and isinstance(provider, Exports))
        look_up = isinstance(provider, (FindsContacts, Exports))
        return (*(("get",) if by_id else ()), *(("find",) if look_up else ()))
