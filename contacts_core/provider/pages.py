"""Pages, from what vendors say of them: a token for the next page, or an offset into the whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from contacts_core.errors import IncompleteExport
from contacts_core.models import Page

__all__ = ["offset", "offset_page", "token_page"]

T = TypeVar("T")


def token_page(items: Iterable[T], token: str | None, total: int | None = None) -> Page[T]:
    """Return a page of a vendor that gives a token for the next one.

    Args:
        items: What is on the page.
        token: The token; None or empty on the last page.
        total: The number of all items, where the vendor tells it.
    """
    return Page(tuple(items), token or None, total)


def offset(cursor: str | None) -> int:
    """Return the offset that a cursor of `offset_page` stands for; 0 for the first page."""
    return int(cursor or 0)


def offset_page(items: Sequence[T], cursor: str | None, *, size: int, total: int | None = None) -> Page[T]:
    """Return a page of a vendor whose pages are read by offset.

    After a full page there may be another one whatever the total says, for totals lag.

    Args:
        items: What is on the page, as many as the vendor returned.
        cursor: The cursor that the page was read with.
        size: Items on a full page.
        total: The number of all items, where the vendor tells it.

    Raises:
        IncompleteExport: The pages end before the total.
    """
    reached = offset(cursor) + len(items)
    if not items and total is not None and reached < total:
        raise IncompleteExport(reached, total)
    more = (len(items) >= size and reached != total) or (total is not None and reached < total)
    return Page(items, f"{reached}" if more else None, total)
