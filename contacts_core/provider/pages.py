"""Pages, from what vendors say of them: a token for the next page, or an offset into the whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from contacts_core.errors import IncompleteExport
from contacts_core.models import Page
from contacts_core.provider.lazy import mapped

__all__ = ["link", "mapped", "offset", "offset_page", "token_page"]

LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[^\s;,="]+\s*(?:=\s*(?:"[^"]*"|[^\s;,"]+))?)*)')
REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)
LONGEST_LINK = 8000  # characters of a header that are looked at

T = TypeVar("T")


def link(headers: Mapping[str, str], rel: str) -> str | None:
    """Return the address of a ``Link`` header (RFC 8288) with this relation, such as ``next``; None if there is none.

    It may be relative to the address of the request.
    """
    for address, parameters in LINK.findall(headers.get("link", headers.get("Link", ""))[:LONGEST_LINK]):
        named = REL.search(parameters)
        if named and rel.lower() in (named[1] or named[2] or "").lower().split():
            return str(address)
    return None


def token_page(items: Iterable[T], token: str | None, total: int | None = None) -> Page[T]:
    """Return a page of a vendor that gives a token for the next one.

    Args:
        items: What is on the page; of `mapped`, where they are mapped from payloads.
        token: The token; None or empty on the last page.
        total: The number of all items, where the vendor tells it.
    """
    return Page(items if isinstance(items, Sequence) else tuple(items), token or None, total)


def offset(cursor: str | None) -> int:
    """Return the offset that a cursor of `offset_page` stands for; 0 for the first page."""
    return int(cursor or 0)


def offset_page(items: Sequence[T], cursor: str | None, *, size: int, total: int | None = None) -> Page[T]:
    """Return a page of a vendor whose pages are read by offset.

    After a full page there may be another one whatever the total says, for totals lag.

    Args:
        items: What is on the page, as many as the vendor returned; of `mapped`, where they are mapped from payloads.
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
