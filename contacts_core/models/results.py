"""Results of reading operations: pages, counts, look-ups, explanations of searches."""

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
        items: The items of this page.
        next: The cursor of the next page; None if this is the last.
        total: The number of all items; None if the vendor does not say.
    """

    items: Sequence[T]
    next: str | None = None
    total: int | None = None


class Count(int):
    """A number of contacts. ``source`` is ``counter`` (the vendor's own number) or ``paged`` (all were read)."""

    source: str

    def __new__(cls, value: int, source: str) -> Self:
        """Make a count of ``value`` from ``source``."""
        count = super().__new__(cls, value)
        count.source = source
        return count

    def __getnewargs__(self) -> tuple[int, str]:  # type: ignore[override]  # int's own has one
        """Keep ``source`` when it is copied or pickled."""
        return int(self), self.source


@frozen(repr=False)
class Found(Mapping[Identifier, Contact | None]):
    """The result of `find`: contacts by identifier, None for identifiers that no contact has.

    Several contacts may have the same identifier: indexing returns the first, `get_all` returns all.

    Attributes:
        matches: The contacts that have each identifier. Identifiers that could not be looked up are not in it.
        unasked: Identifiers that could not be looked up, with the reason: whether a contact has them is not known.
        mismatched: By identifier, how many contacts the vendor returned that do not have it. They were left out. After
            such an answer it is not known who else has the identifier.
    """

    matches: Mapping[Identifier, tuple[Contact, ...]]
    unasked: Mapping[Identifier, str] = field(factory=dict)
    mismatched: Mapping[Identifier, int] = field(factory=dict)

    def __getitem__(self, identifier: Identifier) -> Contact | None:
        """Return the first contact with this identifier, or None. Raise KeyError for one that was not looked up."""
        return next(iter(self.matches[identifier]), None)

    def __iter__(self) -> Iterator[Identifier]:
        """Iterate over the identifiers that were looked up, in the order given."""
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
    """How a search is answered: ``NATIVE`` by the vendor, ``SCAN`` by reading every contact and filtering."""

    NATIVE = "native"
    SCAN = "scan"


@frozen
class Explanation:
    """How `search` would answer a query.

    Attributes:
        strategy: Whether the vendor answers, or a scan.
        requests: How many requests it costs; None if that cannot be known.
        text: The query in the vendor's language; empty for a scan.
        reason: Why this strategy is used, in one sentence.
    """

    strategy: Strategy
    requests: int | None
    text: str = ""
    reason: str = ""
