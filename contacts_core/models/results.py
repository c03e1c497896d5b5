"""Results of reads: pages, counts, look-ups, explanations of searches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Generic, Self, TypeVar

from attrs import field, frozen

from contacts_core.models.contact import Contact
from contacts_core.models.identifiers import Identifier

__all__ = ["Count", "Explanation", "Found", "Page", "Strategy"]

T = TypeVar("T")


@frozen
class Page(Generic[T]):
    """One page of items.

    Attributes:
        items: The items.
        next: The cursor of the next page; None on the last one.
        total: The number of all items, where the vendor tells it.
    """

    items: Sequence[T]
    next: str | None = None
    total: int | None = None


class Count(int):
    """A number of contacts.

    Attributes:
        source: Where it comes from: ``counter`` (the vendor's) or ``paged`` (all contacts were read).
    """

    source: str

    def __new__(cls, value: int, source: str) -> Self:
        """Return a count of ``value`` contacts from ``source``."""
        count = super().__new__(cls, value)
        count.source = source
        return count

    def __getnewargs__(self) -> tuple[int, str]:  # type: ignore[override]  # int's own has one
        """Keep ``source`` when it is copied or pickled."""
        return int(self), self.source


@frozen(repr=False)
class Found(Mapping[Identifier, Contact | None]):
    """The result of `find`: a contact or None for each identifier that was looked up.

    A vendor may have several contacts with one address: indexing returns the first, `get_all` returns all.

    Attributes:
        matches: The contacts that have each identifier; without identifiers that were not looked up.
        unasked: Identifiers that could not be looked up, with the reason. Whether a contact has them is not known.
        mismatched: By identifier, how many contacts without it the vendor returned. They were left out; such an answer
            does not show that no contact has the identifier.
    """

    matches: Mapping[Identifier, tuple[Contact, ...]]
    unasked: Mapping[Identifier, str] = field(factory=dict[Identifier, str])
    mismatched: Mapping[Identifier, int] = field(factory=dict[Identifier, int])

    def __getitem__(self, identifier: Identifier) -> Contact | None:
        """Return the first contact with this identifier, or None.

        Raises:
            KeyError: The identifier was not looked up.
        """
        return next(iter(self.matches[identifier]), None)

    def __iter__(self) -> Iterator[Identifier]:
        """Iterate over the identifiers that were looked up, in their order."""
        return iter(self.matches)

    def __len__(self) -> int:
        """Return how many identifiers were looked up."""
        return len(self.matches)

    def get_all(self, identifier: Identifier) -> tuple[Contact, ...]:
        """Return all contacts with this identifier."""
        return self.matches[identifier]

    def __repr__(self) -> str:
        """Show numbers only."""
        return f"Found({sum(map(bool, self.matches.values()))} of {len(self.matches)})"


class Strategy(Enum):
    """How a search is answered: by the vendor, or by reading every contact and filtering."""

    NATIVE = "native"
    SCAN = "scan"


@frozen
class Explanation:
    """How `search` would answer a query.

    Attributes:
        strategy: Whether the vendor filters, or the library.
        requests: Requests to the vendor, at least; None if not known.
        text: The query in the vendor's language; empty for a scan.
        reason: Why, in a sentence.
    """

    strategy: Strategy
    requests: int | None
    text: str = ""
    reason: str = ""
