"""The vendor's records as contacts. Nothing here may raise, whatever the vendor sends."""

from __future__ import annotations

from contacts_core.models import Contact, Identifier

from contacts_acme.payloads import Person

NAME = "acme"


def contact(person: Person) -> Contact:
    """Return a person as a contact. Values stay as the vendor stores them; what has no shared name is in ``extra``."""
    identifiers: list[Identifier] = []
    if person.email:
        identifiers.append(Identifier.email(person.email))
    if person.phone:
        identifiers.append(Identifier.phone(person.phone))
    return Contact(
        provider=NAME,
        id=person.id,
        identifiers=tuple(identifiers),
        first_name=person.first_name or None,
        last_name=person.last_name or None,
        lists=(),  # the vendor has no lists; None would say that the answer does not tell
        extra=person.unknown,
    )
