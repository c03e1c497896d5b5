"""What the emulated Bird workspace holds: contacts, their identifiers, lists and attribute definitions."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from attrs import Factory, define, frozen

from contacts_core.emulator import ContactStore

# Identifiers of these kinds are mirrored as attributes; other kinds are not, and none can be written that way.
MIRRORED = ("emailaddress", "phonenumber")
# What the service itself sets when a contact is created through the API, and nobody can write.
READ_ONLY = ("initialReference", "timezone")
MAX_FEATURED = 2
STALE_FOR = timedelta(seconds=20)


class AlreadyExists(Exception):
    """An identifier belongs to another contact."""


@frozen
class Identifier:
    """One identifier; the key is free text."""

    key: str
    value: str
    properties: dict[str, Any]
    created_at: datetime


@define(eq=False)
class Contact:
    """A stored contact."""

    id: str
    created_at: datetime
    updated_at: datetime
    attributes: dict[str, Any] = Factory(dict[str, Any])
    identifiers: list[Identifier] = Factory(list[Identifier])
    list_ids: dict[str, None] = Factory(dict[str, None])
    account_ids: dict[str, None] = Factory(dict[str, None])


@define(eq=False)
class ContactList:
    """A list and its members in the order in which they joined."""

    id: str
    fields: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    members: dict[str, None] = Factory(dict[str, None])


def index_key(key: str, value: str) -> tuple[str, str]:
    """How identifiers are compared: email addresses without regard to case [unverified]."""
    return key, value.lower() if key == "emailaddress" else value


class Store(ContactStore[Contact]):
    """Contacts with an index by identifier, lists, and attribute definitions."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        super().__init__()
        self.lists: dict[str, ContactList] = {}
        self.definitions: dict[str, dict[str, Any]] = {}
        self.new_id = new_id
        self._by_identifier: dict[tuple[str, str], str] = {}

    def create(self, now: datetime) -> Contact:
        """A new contact without anything."""
        contact = Contact(self.new_id(), now, now)
        self.contacts[contact.id] = contact
        return contact

    def find(self, key: str, value: str) -> Contact | None:
        """The contact with this identifier, as reads see it."""
        found = self._by_identifier.get(index_key(key, value))
        return self.contacts[found] if found else None

    def owner(self, key: str, value: str) -> Contact | None:
        """The contact that has this identifier, as writes see it."""
        found = self.find(key, value)
        return self.living(found.id) if found else None

    def add_identifier(self, contact: Contact, identifier: Identifier) -> None:
        """Add an identifier unless the contact has it; raises `AlreadyExists` where another contact has it."""
        owner = self.find(identifier.key, identifier.value)
        if owner is not None and self.living(owner.id) is None:
            self.delete(owner)
            owner = None
        if owner is not None and owner is not contact:
            raise AlreadyExists(f"identifier {identifier.key} is already in use")
        if owner is None:
            contact.identifiers.append(identifier)
            self._by_identifier[index_key(identifier.key, identifier.value)] = contact.id

    def remove_identifier(self, contact: Contact, key: str, value: str) -> bool:
        """Remove an identifier; false where the contact does not have it. The last one may go [unverified]."""
        wanted = index_key(key, value)
        for identifier in contact.identifiers:
            if index_key(identifier.key, identifier.value) == wanted:
                contact.identifiers.remove(identifier)
                del self._by_identifier[wanted]
                return True
        return False

    def join(self, list_id: str, contact: Contact) -> None:
        """Put a contact on a list."""
        contact.list_ids[list_id] = None
        self.lists[list_id].members[contact.id] = None

    def leave(self, list_id: str, contact: Contact) -> bool:
        """Take a contact off a list; false where it was not on it."""
        if list_id not in contact.list_ids:
            return False
        del contact.list_ids[list_id]
        del self.lists[list_id].members[contact.id]
        return True

    def _unlink(self, contact: Contact) -> None:
        for identifier in contact.identifiers:
            del self._by_identifier[index_key(identifier.key, identifier.value)]
        for list_id in contact.list_ids:
            del self.lists[list_id].members[contact.id]

    def delete_list(self, stored: ContactList) -> None:
        """Delete a list and keep its contacts."""
        for contact_id in stored.members:
            del self.contacts[contact_id].list_ids[stored.id]
        del self.lists[stored.id]

    def members(self, stored: ContactList) -> Iterable[Contact]:
        """The contacts on a list."""
        return (self.contacts[contact_id] for contact_id in stored.members)


def millisecond(when: datetime) -> str:
    """An instant (in UTC) as `2025-11-18T14:50:24.186Z`."""
    return when.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
