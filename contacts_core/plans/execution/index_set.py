"""Sets of indexes of contacts or identifiers: one byte for each that there may be, and no object for those in it."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Collection, Iterable, Iterator
from typing import Self

__all__ = ["IndexSet"]


class IndexSet(Collection[int]):
    """Indexes below a limit, in order."""

    def __init__(self, limit: int, indexes: Iterable[int] = ()) -> None:
        """Begin with these indexes."""
        self._flags = bytearray(limit)
        self.update(indexes)

    def update(self, indexes: Iterable[int]) -> None:
        """Add indexes."""
        for index in indexes:
            self._flags[index] = 1

    def __contains__(self, index: object) -> bool:
        """Return whether it contains this index."""
        return isinstance(index, int) and 0 <= index < len(self._flags) and bool(self._flags[index])

    def __iter__(self) -> Iterator[int]:
        """Iterate over the indexes in order."""
        index = self._flags.find(1)
        while index >= 0:
            yield index
            index = self._flags.find(1, index + 1)

    def __len__(self) -> int:
        """Return the number of indexes."""
        return self._flags.count(1)

    @property
    def packed(self) -> str:
        """The set as a short text; see `unpacked`."""
        return base64.b64encode(zlib.compress(self._flags)).decode()

    @classmethod
    def unpacked(cls, text: str) -> Self:
        """Return the set that was packed."""
        indexes = cls(0)
        indexes._flags = bytearray(zlib.decompress(base64.b64decode(text)))
        return indexes
