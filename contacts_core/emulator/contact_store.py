"""The contacts of an emulated account, of which reads may show some for a while after they were deleted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Generic, Protocol, TypeVar


class Stored(Protocol):
    """A stored contact."""

    @property
    def id(self) -> str:
        """The vendor's id."""
        ...


C = TypeVar("C", bound=Stored)


class ContactStore(ABC, Generic[C]):
    """Contacts by id, and which of them are deleted and still shown.

    Attributes:
        contacts: The contacts as reads see them, by id, in the order of their creation.
    """

    def __init__(self) -> None:
        self.contacts: dict[str, C] = {}
        self._shown_until: dict[str, datetime] = {}  # deleted contacts, by id

    @abstractmethod
    def _unlink(self, contact: C) -> None:
        """Remove everything that refers to a contact, such as memberships and index entries."""

    def existing(self, contact_id: str) -> C:
        """Return a contact as writes see it; `KeyError` if there is none."""
        if contact_id in self._shown_until:
            raise KeyError(contact_id)
        return self.contacts[contact_id]

    def living(self, contact_id: str) -> C | None:
        """Return a contact as writes see it, or None."""
        return None if contact_id in self._shown_until else self.contacts.get(contact_id)

    def living_ids(self) -> list[str]:
        """Return the ids of the contacts that are not deleted."""
        return [contact_id for contact_id in self.contacts if contact_id not in self._shown_until]

    def delete(self, contact: C) -> None:
        """Delete a contact at once."""
        self._unlink(contact)
        del self.contacts[contact.id]
        self._shown_until.pop(contact.id, None)

    def delete_later(self, contact: C, when: datetime) -> None:
        """Delete a contact, and let reads show it until ``when``."""
        self._shown_until[contact.id] = when

    def settle(self, now: datetime) -> None:
        """Stop showing deleted contacts whose time has come."""
        for contact_id in [each for each, when in self._shown_until.items() if when <= now]:
            self.delete(self.contacts[contact_id])
