"""What reading operations give: pages, counts, look-ups, explanations of searches."""

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
    """A part of something long, and the cursor of the next part (None: this was the last).

    ``total`` is the number of all items where the vendor tells it.
    """

    items: Sequence[T]
    next: str | None = None
    total: int | None = None


class Count(int):
    """A number of contacts; ``source`` says where it comes from: ``counter`` (the vendor's) or ``paged`` (all read)."""

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
    """What `find` found, by the identifier that the vendor was asked for; None where nobody has it.

    A vendor may keep several contacts with one address: indexing gives the first, `every` gives all.

    Attributes:
        matches: The contacts that have each identifier. Identifiers that could not be asked for are not in it.
        unasked: Identifiers that could not be asked for, with the reason: whether somebody has them is not known.
        mismatched: How many contacts without it the vendor answered with, by identifier. They were left out; such an
            answer proves nothing about who else has the identifier.
    """

    matches: Mapping[Identifier, tuple[Contact, ...]]
    unasked: Mapping[Identifier, str] = field(factory=dict)
    mismatched: Mapping[Identifier, int] = field(factory=dict)

    def __getitem__(self, identifier: Identifier) -> Contact | None:
        """The first contact with this identifier, or None. KeyError for one that the vendor was not asked for."""
        return next(iter(self.matches[identifier]), None)

    def __iter__(self) -> Iterator[Identifier]:
        """The identifiers that the vendor was asked for, in the order of asking."""
        return iter(self.matches)

    def __len__(self) -> int:
        """How many identifiers the vendor was asked for."""
        return len(self.matches)

    def get_all(self, identifier: Identifier) -> tuple[Contact, ...]:
        """All contacts with this identifier."""
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
        strategy: Who filters.
        requests: Cost in requests to the vendor; None where the vendor gives no way to know.
        text: The query in the vendor's language; empty for a scan.
        reason: Why this way, in a sentence.
    """

    strategy: Strategy
    requests: int | None
    text: str = ""
    reason: str = ""
