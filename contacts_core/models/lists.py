"""Lists that contacts are on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

__all__ = ["ContactList"]


@frozen(weakref_slot=False)
class ContactList:
    """A static list of contacts. ``count`` is the vendor's counter, which may lag; None where it gives none."""

    provider: str
    id: str
    name: str
    count: int | None = None
    description: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    extra: Mapping[str, Any] = field(factory=dict, repr=False)
