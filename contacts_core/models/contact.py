"""Contacts, as every vendor's payloads become."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from contacts_core.models.fields import CustomValue
from contacts_core.models.identifiers import Identifier, IdentifierKind

__all__ = ["Address", "Contact"]


@frozen(repr=False, weakref_slot=False)
class Address:
    """A postal address; ``formatted`` is for vendors that keep it as one text."""

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
        provider: Name of the provider it was read from; empty for a contact that a caller made.
        id: The vendor's id; empty for a contact that a caller made.
        identifiers: Every identifier the vendor told, the primary ones first.
        first_name: Given name.
        last_name: Family name.
        full_name: As the vendor computes or stores it.
        address: Postal address.
        organization: The company that the contact belongs to.
        title: The contact's position there.
        lists: Ids of the lists the contact is on; None where the vendor did not tell.
        tags: Names of tags.
        custom: Custom fields by name, in the Python type of the field.
        created_at: Aware, or None.
        updated_at: Aware, or None.
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
    custom: Mapping[str, CustomValue] = field(factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    extra: Mapping[str, Any] = field(factory=dict)

    def identifiers_of(self, kind: IdentifierKind) -> tuple[Identifier, ...]:
        """Every identifier of one kind."""
        return tuple(i for i in self.identifiers if i.kind is kind)

    def primary(self, kind: IdentifierKind) -> Identifier | None:
        """The identifier marked primary, else the first of its kind, else None."""
        of_kind = self.identifiers_of(kind)
        return next((i for i in of_kind if i.primary), of_kind[0] if of_kind else None)

    @property
    def email(self) -> str | None:
        """The primary e-mail address as the vendor stores it."""
        found = self.primary(IdentifierKind.EMAIL)
        return found.value if found else None

    @property
    def phone(self) -> str | None:
        """The primary phone number, in E.164 where that can be known."""
        found = self.primary(IdentifierKind.PHONE)
        return found.normal if found else None

    @property
    def name(self) -> str:
        """The full name, or first and last name together; empty when neither is known."""
        return self.full_name or " ".join(part for part in (self.first_name, self.last_name) if part)

    @property
    def display_id(self) -> str:
        """What names the contact in an outcome: its id, else its first identifier's value, else its name."""
        return self.id or next((i.value for i in self.identifiers), self.name)

    def __repr__(self) -> str:
        """Show who it is by id and masked identifiers only."""
        shown = ", ".join(i.masked for i in self.identifiers)
        return f"Contact({self.provider or '-'} {self.id or '-'}: {shown or 'no identifier'})"
