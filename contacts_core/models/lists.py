"""Lists that contacts are on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

__all__ = ["ContactList"]


@frozen(weakref_slot=False)
class ContactList:
    """A static list of contacts.

    Attributes:
        provider: Name of the provider.
        id: The vendor's id.
        name: Its name.
        count: The vendor's counter of its contacts, which may lag; None if it gives none.
        description: Its description; empty if it has none.
        created_at: When it was created; None if not known.
        updated_at: When it was last changed; None if not known.
        extra: Fields without a place here, by the vendor's names.
    """

    provider: str
    id: str
    name: str
    count: int | None = None
    description: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    extra: Mapping[str, Any] = field(factory=dict[str, Any], repr=False)
