"""Reasons by the index of a contact or identifier: four bytes for each index there may be, and each reason once."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Mapping

__all__ = ["IndexReasons"]


class IndexReasons(Mapping[int, str]):
    """Reasons of indexes below a limit, in order. Memory does not grow with how many of them have one."""

    def __init__(self, limit: int, reasons: Mapping[int, str] | None = None) -> None:
        """Begin with these reasons."""
        self._numbers = array("I", bytes(4 * limit))  # of the reason, from 1; 0 if there is none
        self._known: dict[str, int] = {}
        self._count = 0
        self.update(reasons or {})

    def update(self, reasons: Mapping[int, str]) -> None:
        """Add reasons, or replace them."""
        for index, reason in reasons.items():
            self._count += not self._numbers[index]
            self._numbers[index] = self._known.setdefault(reason, len(self._known) + 1)
        self._texts = ["", *self._known]

    @property
    def different(self) -> Collection[str]:
        """The reasons that were added, each once."""
        return self._known.keys()

    def __getitem__(self, index: int) -> str:
        """Return the reason of an index."""
        if index not in self:
            raise KeyError(index)
        return self._texts[self._numbers[index]]

    def __contains__(self, index: object) -> bool:
        """Return whether an index has a reason."""
        return isinstance(index, int) and 0 <= index < len(self._numbers) and bool(self._numbers[index])

    def __iter__(self) -> Iterator[int]:
        """Iterate over the indexes that have one, in order."""
        return (index for index, number in enumerate(self._numbers) if number)

    def __len__(self) -> int:
        """Return how many have one."""
        return self._count
