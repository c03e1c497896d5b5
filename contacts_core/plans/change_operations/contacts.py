"""Deleting contacts, removing their identifiers, and changing their fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import evolve

from contacts_core import operations
from contacts_core.models import Contact, CustomValue, Failure, Identifier, Outcome
from contacts_core.models.field_changes import field_value
from contacts_core.models.losses import differences
from contacts_core.operations.keeping import refusals_deleted
from contacts_core.plans.change import Change
from contacts_core.plans.change_operations.base import Attempt, ChangeOperation, Standing
from contacts_core.plans.payload import packed_values, unpacked, unpacked_values
from contacts_core.plans.receipts.reasons import OurWords
from contacts_core.provider import ChangesContacts, DeletesContacts, Flow, Provider, RemovesIdentifiers, flows

__all__ = ["ChangeContact", "DeleteContacts", "RemoveIdentifier", "fields_written"]

SET, CLEAR = "set", "clear"


def fields_written(set: Mapping[str, CustomValue], clear: Iterable[str]) -> dict[str, Any]:
    """Return what a change of fields writes.

    Args:
        set: New values, by the name of the field.
        clear: Names of fields that lose their value.
    """
    return {SET: packed_values(set), CLEAR: list(clear)}


class DeleteContacts(ChangeOperation):
    """Delete whole contacts."""

    name = "delete_contacts"
    capability = DeletesContacts
    unmade = "still there"
    deletes_contacts = True

    def batch_size(self, provider: Provider) -> int:
        """Return the batch size that the provider states."""
        return operations.require(provider, DeletesContacts).delete_batch_size

    def send(self, batch: Sequence[Change], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Delete them."""
        return attempt(lambda change: change.contact, partial(self._delete, provider))

    def _delete(self, provider: Provider, same: Sequence[Change]) -> Flow[Outcome]:
        """Delete contacts; those of them whose values matter are kept if a refusal would be deleted with them."""
        kept = yield from refusals_deleted(provider, {each.contact: each.identifiers for each in same if each.before})
        ids = [change.contact for change in same if change.contact not in kept]
        unsent = tuple(Failure(id, OurWords(f"{reason}, and it is left alone")) for id, reason in kept.items())
        done = (yield from operations.delete_contacts(provider, ids)) if ids else Outcome()
        return Outcome.merge(self.name, provider.name, [done, Outcome(requested=len(unsent), failed=unsent)])

    def standing(self, change: Change, contacts: Mapping[str, Contact]) -> Standing:
        """Return whether it can be deleted. If its values matter, it has got no others since the plan was made."""
        found, contact = super().standing(change, contacts), contacts.get(change.contact)
        if found is Standing.READY and contact is not None and change.before:
            known = evolve(contact, created_at=None, updated_at=None, extra={})
            return Standing.CHANGED if differences(known, unpacked(change.before, Contact)) else found
        return found

    def is_made(self, change: Change, contact: Contact | None) -> bool | None:
        """Return whether the contact is gone."""
        return contact is None


class RemoveIdentifier(ChangeOperation):
    """Remove identifiers of a contact, one after the other. The contact remains."""

    name = "remove_identifier"
    capability = RemovesIdentifiers
    unmade = "still with it"
    removes_identifiers = True

    def batch_size(self, provider: Provider) -> int:
        """Return 1: identifiers are removed contact by contact."""
        return 1

    def send(self, batch: Sequence[Change], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Remove the identifiers of one contact."""
        (change,) = batch

        def remove(chunk: Sequence[Identifier]) -> Flow[Outcome]:
            (identifier,) = chunk
            return attempt(
                lambda _: identifier.value,
                lambda _: operations.remove_identifier(provider, change.contact, identifier),
            )

        # One after the other: where a vendor's relation is written back whole, two at once would undo each other.
        return flows.in_chunks(self.name, provider.name, change.removes, 1, 1, remove, lambda i: i.value)

    def attempts(self, batch: Sequence[Change]) -> int:
        """Return how many identifiers are removed: one attempt each."""
        return sum(len(change.removes) for change in batch)

    def items(self, change: Change) -> list[str]:
        """Return the identifiers that are removed."""
        return [identifier.value for identifier in change.removes]

    def is_made(self, change: Change, contact: Contact | None) -> bool | None:
        """Return whether the contact has none of the identifiers."""
        return contact is None or not any(identifier in contact.identifiers for identifier in change.removes)


class ChangeContact(ChangeOperation):
    """Set and clear fields of a contact."""

    name = "change_contact"
    capability = ChangesContacts
    unmade = "not changed"
    made = "with the values that it was to have"
    leaves = False

    def batch_size(self, provider: Provider) -> int:
        """Return 1: contacts are changed one by one."""
        return 1

    def check(self, change: Change) -> str:
        """Return what contradicts itself: fields are set or cleared."""
        if not change.write or not set(change.write) <= {SET, CLEAR}:
            return "a contact is to be changed, and no field is named"
        values, cleared = self._fields(change)
        names: list[Any] = [*values, *cleared]  # of a file, which may hold anything
        return "" if all(isinstance(each, str) for each in names) else "a field has no name"

    def send(self, batch: Sequence[Change], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Change the fields of one contact."""
        (change,) = batch
        return attempt(
            lambda change: change.contact,
            lambda _: operations.change_contact(provider, change.contact, *self._fields(change)),
        )

    def standing(self, change: Change, contacts: Mapping[str, Contact]) -> Standing:
        """Return whether it can be changed; see `ChangeOperation.standing`."""
        contact = contacts.get(change.contact)
        if contact is not None and self.is_made(change, contact):
            return Standing.MADE
        return super().standing(change, contacts)

    def is_made(self, change: Change, contact: Contact | None) -> bool | None:
        """Return whether the contact has the values."""
        if contact is None:
            return False
        values, cleared = self._fields(change)
        return all(field_value(contact, name) == value for name, value in values.items()) and all(
            field_value(contact, name) is None for name in cleared
        )

    @staticmethod
    def _fields(change: Change) -> tuple[dict[str, CustomValue], list[str]]:
        return unpacked_values(change.write.get(SET, {})), list(change.write.get(CLEAR, ()))
