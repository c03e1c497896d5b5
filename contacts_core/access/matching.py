"""Which of the contacts found are the person's, and which may be of somebody else who shares an identifier.

An address or a number may be shared: a family's address, a switchboard's number. A report must not show one person's
data to another, so a contact is left out when the identifiers tell that it may be of somebody else:

- The person's e-mail addresses are known, the contact has e-mail addresses, and none of them is the person's.
- No e-mail address of the person is known, and the contacts found have different e-mail addresses.
- Several contacts of one account have different phone numbers. Those with a known number of the person are kept.

A contact that was left out comes into the report when an identifier of its own is given as the person's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from contacts_core.models import Contact, Identifier, IdentifierKind

__all__ = ["withheld"]

Key = tuple[str, str]  # account and contact id


def withheld(known: Collection[Identifier], found: Mapping[Key, Contact]) -> set[Key]:
    """Return which of these contacts may be of somebody else.

    Args:
        known: Identifiers of the person.
        found: The contacts that have one of them, by account and id.
    """
    emails = {identifier for identifier in known if identifier.kind is IdentifierKind.EMAIL}
    left_out = {
        key
        for key, contact in found.items()
        if emails and _of(contact, IdentifierKind.EMAIL) and emails.isdisjoint(contact.identifiers)
    }
    if not emails:
        left_out |= _apart({key: _of(contact, IdentifierKind.EMAIL) for key, contact in found.items()})
    for account in {account for account, _ in found}:
        numbers = {
            key: _of(contact, IdentifierKind.PHONE)
            for key, contact in found.items()
            if key[0] == account and key not in left_out
        }
        left_out |= {key for key in _apart(numbers) if numbers[key].isdisjoint(known)}
    return left_out


def _of(contact: Contact, kind: IdentifierKind) -> set[Identifier]:
    return set(contact.identifiers_of(kind))


def _apart(identifiers: Mapping[Key, set[Identifier]]) -> set[Key]:
    """Return the contacts that have such identifiers, if not a single one is common to all of them."""
    having = {key: own for key, own in identifiers.items() if own}
    return set() if _common(having.values()) else set(having)


def _common(sets: Iterable[set[Identifier]]) -> bool:
    every = list(sets)
    return len(every) < 2 or bool(every[0].intersection(*every[1:]))
