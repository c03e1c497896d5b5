"""What an operation is: how changes are sent, and what shows that they were made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import ClassVar, TypeAlias

from attrs import field, frozen

from contacts_core.models import Contact, Outcome
from contacts_core.models.losses import differences
from contacts_core.plans.change import Change
from contacts_core.plans.payload import unpacked
from contacts_core.provider import Exports, FindsContacts, Flow, GetsContacts, Provider

__all__ = ["Attempt", "ChangeOperation", "ReadBack", "Standing", "is_same_person", "is_unchanged"]

Attempt: TypeAlias = Callable[[Callable[[Change], str], Callable[[Sequence[Change]], Flow[Outcome]]], Flow[Outcome]]
"""Read the contacts of a batch, and send the changes of those that are still who they were. The arguments are the name
that the outcome has for a change, and the flow that sends the changes."""


class Standing(Enum):
    """Whether a change can be made, by what was read just before.

    Attributes:
        READY: The contact is as it was when the plan was made.
        MADE: The change was made already, by an attempt that was cut off.
        GONE: There is no such contact any more.
        CHANGED: It is no longer as it was, and is left alone.
    """

    READY = "ready"
    MADE = "made"
    GONE = "gone"
    CHANGED = "changed"


@frozen
class ReadBack:
    """What a read showed of changes, by index.

    Attributes:
        unmade: Changes that were not made, with the reason.
        unread: Changes of which the read tells nothing, with the reason.
    """

    unmade: Mapping[int, str] = field(factory=dict[int, str])
    unread: Mapping[int, str] = field(factory=dict[int, str])


def is_unchanged(change: Change, contact: Contact) -> bool:
    """Return whether a contact has the planned identifiers, and the values that the change depends on."""
    if not is_same_person(change, contact):
        return False
    return not (change.before and differences(unpacked(change.before, Contact), contact))


def is_same_person(change: Change, contact: Contact) -> bool:
    """Return whether a contact has the planned identifiers. Those that are to be removed may be gone already."""
    current, planned = set(contact.identifiers), set(change.identifiers)
    return planned - set(change.removes) <= current <= planned


class ChangeOperation(ABC):
    """One operation: what a provider needs for it, how changes are sent, and how they are verified.

    Attributes:
        name: The name of the client's method that makes the change.
        capability: What a provider needs for it.
        unmade: What is said of a contact if verification shows that the change was not made.
        made: What is said of a contact that verification finds, if it was to be there.
        deletes_contacts: Whether contacts are deleted, so that the vendor's residual data matter.
        removes_identifiers: Whether changes name identifiers to remove.
        needs_list: Whether changes name a list.
        leaves: Whether the contacts, or what is removed from them, should not be found afterwards.
        of_account: Whether the account itself is changed, and no contact is read before.
        read_back_path: The way to verify by `read_back`; empty if contacts and lists tell it.
        can_be_verified: Whether anything shows afterwards that the change was made. Otherwise it counts as made if the
            vendor took it.
    """

    name: ClassVar[str]
    capability: ClassVar[type[Provider]]
    unmade: ClassVar[str]
    made: ClassVar[str] = "there"
    deletes_contacts: ClassVar[bool] = False
    removes_identifiers: ClassVar[bool] = False
    needs_list: ClassVar[bool] = False
    leaves: ClassVar[bool] = True
    of_account: ClassVar[bool] = False
    read_back_path: ClassVar[str] = ""
    can_be_verified: ClassVar[bool] = True

    @abstractmethod
    def batch_size(self, provider: Provider) -> int:
        """Return how many contacts are read and changed together."""

    @abstractmethod
    def send(self, batch: Sequence[Change], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Make the changes of one batch, by one attempt or by several one after the other."""

    def attempts(self, batch: Sequence[Change]) -> int:
        """Return how many attempts `send` needs for this batch. Each reads the batch once."""
        return 1

    def requests(self, batch: Sequence[Change], provider: Provider) -> int:
        """Return how many times the vendor is asked to change something for this batch."""
        return self.attempts(batch)

    def items(self, change: Change) -> list[str]:
        """Return the names that outcomes have for a change."""
        return [change.contact]

    def check(self, change: Change) -> str:
        """Return what contradicts itself in a change; empty if nothing does.

        Raises:
            PlanRefused: What it writes cannot be read.
        """
        return "a change writes something that it cannot write" if change.write else ""

    def written(self, change: Change) -> Contact | None:
        """Return the contact that a change creates or updates; None if it creates none."""
        return None

    def may_create(self, change: Change, provider: Provider) -> Contact | None:
        """Return the contact that nobody must be brought back as, if that was erased; None if there is none."""
        return self.written(change)

    def standing(self, change: Change, contacts: Mapping[str, Contact]) -> Standing:
        """Return whether a change can be made.

        Args:
            change: The change.
            contacts: The contacts as they were read just before, by id.
        """
        contact = contacts.get(change.contact)
        if contact is None:
            return Standing.GONE
        return Standing.READY if is_unchanged(change, contact) else Standing.CHANGED

    def located(self, change: Change, contacts: Mapping[str, Contact]) -> Change:
        """Return a change that is ready, as it is sent to the contact that was read just before; see `standing`."""
        return change

    def is_made(self, change: Change, contact: Contact | None) -> bool | None:
        """Return whether this contact, as it is read after the work, shows the change; None if it does not tell."""
        return None

    def read_back(self, changes: Mapping[int, Change], provider: Provider) -> Flow[ReadBack]:
        """Read whether these changes were made, if `read_back_path` says that there is such a way."""
        yield from ()
        raise NotImplementedError

    def reads_back_all(self, provider: Provider) -> bool:
        """Return whether `read_back` reads everything at once, so that it is done once for all changes."""
        return False

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
        if self.read_back_path:
            return (self.read_back_path,)
        by_id = isinstance(provider, GetsContacts) or (ids_only and isinstance(provider, Exports))
        look_up = isinstance(provider, (FindsContacts, Exports))
        return (*(("get",) if by_id else ()), *(("find",) if look_up else ()))
