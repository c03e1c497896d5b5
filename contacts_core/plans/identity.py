"""The identifiers by which a vendor recognises the contact that a change is about."""

from __future__ import annotations

from attrs import evolve

from contacts_core.models import Contact

__all__ = ["as_update_of"]


def as_update_of(there: Contact, contact: Contact) -> Contact:
    """Return a contact as it is written to one that is there.

    It has all identifiers of that one, in their order and as the vendor spells them, and after them its own further
    ones: a vendor that takes no ids may recognise a contact by one of its identifiers only, such as its primary
    address, and creates another one of an address that is merely an additional one.

    Args:
        there: The contact of the account.
        contact: What is to be written.
    """
    known = {*there.identifiers}
    further = (each for each in contact.identifiers if each not in known)
    return evolve(contact, id=there.id, provider=there.provider, identifiers=(*there.identifiers, *further))
