"""Downloads: how far redirects are followed, and how slowly a file may come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Generic, TypeVar

from attrs import define

from contacts_core.http.wire import SLOWEST_BYTES_PER_S

__all__ = ["MAX_REDIRECTS", "OpenFile"]

MAX_REDIRECTS = 5

Chunks = TypeVar("Chunks", Iterator[bytes], AsyncIterator[bytes])


@define
class OpenFile(Generic[Chunks]):
    """An open download, and how fast it came so far.

    Attributes:
        chunks: Its bytes, as they come.
        received: Bytes that came so far.
        waited_s: Seconds that were spent waiting for them.
    """

    chunks: Chunks
    received: int = 0
    waited_s: float = 0.0

    def note(self, seconds: float, data: bytes, patience_s: float) -> None:
        """Note the next bytes.

        Args:
            seconds: How long they took.
            data: The bytes.
            patience_s: Seconds that may be lost before the speed counts.

        Raises:
            TimeoutError: The file comes too slowly.
        """
        self.received += len(data)
        self.waited_s += seconds
        if self.waited_s > patience_s + self.received / SLOWEST_BYTES_PER_S:
            raise TimeoutError
