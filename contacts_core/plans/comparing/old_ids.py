"""Ids that contacts have in a source, kept as their external ids in a target.

Applications keep the ids of a vendor's contacts. An external id is an identifier as well, though: vendors find contacts
by it, and merge those that share one. So an id of the source only goes to a contact that the target lacks, that has no
external id of its own, and only if no contact of either side has it; and no contacts match by it. A short id, such as
``17``, may be somebody else's in another system, and is left out.
"""

from __future__ import annotations

from attrs import evolve

from contacts_core.models import Contact, Identifier, IdentifierKind, Preview, Shape
from contacts_core.operations.previewing import fit
from contacts_core.provider import FindsContacts, UpsertsContacts

__all__ = ["keeps_old_ids", "looks_up_old_ids", "old_id", "with_old_id", "without_own_id"]

SHORTEST = 16  # characters; a UUID has 36, and without hyphens 32
KNOWN = (Identifier.email("jane@example.com"), Identifier.phone("+12025550123"))


def keeps_old_ids(target: UpsertsContacts, shape: Shape) -> bool:
    """Return whether an account keeps an external id besides an address and a number."""
    someone = Identifier.external_id("x")
    written = fit(target, Contact(identifiers=(*KNOWN, someone)), shape).written
    return written is not None and someone in written.identifiers


def old_id(contact: Contact) -> Identifier | None:
    """Return the external id that a contact of the source may get; None if it has one of its own, or a short id."""
    if len(contact.id) < SHORTEST or contact.identifiers_of(IdentifierKind.EXTERNAL_ID):
        return None
    return Identifier.external_id(contact.id)


def looks_up_old_ids(target: UpsertsContacts) -> bool:
    """Return whether a target can tell who has an external id, as it tells who has an address."""
    return not isinstance(target, FindsContacts) or IdentifierKind.EXTERNAL_ID in target.find_kinds


def with_old_id(contact: Contact, identifier: Identifier, target: UpsertsContacts, shape: Shape) -> Preview | None:
    """Return the preview of a contact with its old id; None if it costs something, or the contact cannot do without."""
    found = fit(target, evolve(contact, identifiers=(*contact.identifiers, identifier)), shape)
    if found.written is None or identifier not in found.written.identifiers or len(found.written.identifiers) == 1:
        return None
    return found


def without_own_id(contact: Contact, id: str) -> Contact:
    """Return a contact of the source without the external id that is the target's own id of it: it came from there."""
    others = tuple(
        each for each in contact.identifiers if each.kind is not IdentifierKind.EXTERNAL_ID or each.value != id
    )
    return contact if len(others) == len(contact.identifiers) or not id else evolve(contact, identifiers=others)
