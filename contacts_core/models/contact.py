"""Contacts, the same for every vendor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from contacts_core.models.fields import CustomValue
from contacts_core.models.identifiers import Identifier, IdentifierKind

__all__ = ["Address", "Contact"]


def _empty() -> dict[str, Any]:
    return {}


@frozen(repr=False, weakref_slot=False)
class Address:
    """A postal address. ``formatted`` has the whole address, from vendors that store it as one text."""

    line1: str = ""
    line2: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""
    formatted: str = ""

    def __repr__(self) -> str:
        """Hide the address: it is personal data."""
        return "Address(***)"


@frozen(repr=False, weakref_slot=False)
class Contact:
    """One contact of one account.

    Attributes:
        provider: Name of the provider that it was read from; empty for a new contact.
        id: The vendor's id; empty for a new contact.
        identifiers: All identifiers in the vendor's answer, the primary ones first.
        first_name: Given name.
        last_name: Family name.
        full_name: The full name as the vendor stores or computes it.
        address: Postal address.
        organization: The company that the contact belongs to.
        title: The contact's position in the organization.
        lists: Ids of the lists the contact is on; None if the answer does not say.
        tags: Names of tags.
        custom: Custom fields by name, in the Python type of the field.
        created_at: When it was created, with time zone; None if not known.
        updated_at: When it was last changed, with time zone; None if not known.
        extra: Every vendor field that has no shared name, by the vendor's name.
    """

    provider: str = ""
    id: str = ""
    identifiers: tuple[Identifier, ...] = ()
    first_name: str | None = None
    last_name: str | None = None
    full_name: str | None = None
    address: Address | None = None
    organization: str | None = None
    title: str | None = None
    lists: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    custom: Mapping[str, CustomValue] = field(factory=_empty)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    extra: Mapping[str, Any] = field(factory=_empty)

    def identifiers_of(self, kind: IdentifierKind) -> tuple[Identifier, ...]:
        """Return all identifiers of one kind."""
        return tuple(i for i in self.identifiers if i.kind is kind)

    def primary(self, kind: IdentifierKind) -> Identifier | None:
        """Return the identifier of this kind that is marked primary, else the first of this kind, else None."""
        of_kind = self.identifiers_of(kind)
        return next((i for i in of_kind if i.primary), of_kind[0] if of_kind else None)

    @property
    def email(self) -> str | None:
        """The primary e-mail address as the vendor stores it."""
        found = self.primary(IdentifierKind.EMAIL)
        return found.value if found else None

    @property
    def phone(self) -> str | None:
        """The primary phone number, in E.164 if that is known."""
        found = self.primary(IdentifierKind.PHONE)
        return found.normal if found else None

    @property
    def name(self) -> str:
        """The full name, or first and last name together; empty if none is known."""
        return self.full_name or " ".join(part for part in (self.first_name, self.last_name) if part)

    @property
    def display_id(self) -> str:
        """The name of the contact in an outcome: its id, else the value of its first identifier, else its name."""
        return self.id or next((i.value for i in self.identifiers), self.name)

    def __repr__(self) -> str:
        """Show only the id and masked identifiers."""
        shown = ", ".join(i.masked for i in self.identifiers)
        return f"Contact({self.provider or '-'} {self.id or '-'}: {shown or 'no identifier'})"
