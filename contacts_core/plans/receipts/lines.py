"""The lines of a receipt, wherever they are: read as a stream, as often as they are needed, and never all in memory."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol, Self, TypeAlias, TypeVar, cast, overload

from attrs import frozen

from contacts_core.errors import ContactsError
from contacts_core.formats.pieces import split_lines

__all__ = ["InFile", "InMemory", "InTemporaryFile", "Line", "Lines", "ReceiptBroken", "Source", "reading", "split"]

PIECE_SIZE = 65_536  # bytes that are read at a time
CHANGED = "the receipt was changed after it was checked"

T = TypeVar("T")
Line: TypeAlias = Mapping[str, Any]
Source: TypeAlias = Callable[[], Iterator[bytes]]
"""Yields the same content, in pieces of any size, each time it is called."""


class ReceiptBroken(ContactsError):
    """A receipt is not as it was written: ``line`` is the first wrong line, ``reason`` says why."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line} of the receipt is not valid: {reason}", hint="do not rely on this file")
        self.line = line
        self.reason = reason


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...


@contextmanager
def reading(pieces: Iterator[T]) -> Generator[Iterator[T]]:
    """Close a generator, and so the file that it reads, at the end of the block instead of when it is collected."""
    try:
        yield pieces
    finally:
        if isinstance(pieces, Generator):
            cast("Generator[T]", pieces).close()


@frozen
class InMemory:
    """Content in memory."""

    content: bytes

    def __call__(self) -> Iterator[bytes]:
        """Yield the content."""
        return (self.content[n : n + PIECE_SIZE] for n in range(0, len(self.content), PIECE_SIZE))


@frozen
class InFile:
    """Content in a file, which is opened each time."""

    path: Path

    def __call__(self) -> Iterator[bytes]:
        """Yield the content."""
        with self.path.open("rb") as file:
            while piece := file.read(PIECE_SIZE):
                yield piece


class InTemporaryFile:
    """A copy of a file that can be read only once. It has no name, and is gone with this object."""

    def __init__(self, original: IO[bytes]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()
        shutil.copyfileobj(original, self._file, PIECE_SIZE)

    def __call__(self) -> Iterator[bytes]:
        """Yield the content."""
        place = 0
        while piece := self._read(place):
            yield piece
            place += len(piece)

    def _read(self, place: int) -> bytes:
        with self._lock:
            self._file.seek(place)
            return self._file.read(PIECE_SIZE)


def split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines without their line breaks.

    Raises:
        ReceiptBroken: There is no line, or the last one has no line break.
    """
    number = 0
    for number, line in enumerate(split_lines(pieces), 1):
        if not line.endswith(b"\n"):
            raise ReceiptBroken(number, "it has no line break; the end of the file is missing")
        yield line[:-1]
    if not number:
        raise ReceiptBroken(1, "the file is empty")


@frozen
class _Facts:
    """What is remembered of content that was read once.

    Attributes:
        digest: SHA-256 over the content.
        size: Number of lines.
        first: The first line.
        last: The last line.
        types: Number of lines of each type.
        states: Number of results of each state.
    """

    digest: bytes
    size: int
    first: Line
    last: Line
    types: Mapping[str, int]
    states: Mapping[str, int]


class Lines(Sequence[Line]):
    """The lines of a receipt, or those of one type. Only the first and the last line are in memory."""

    def __init__(self, source: Source, facts: _Facts, type: str = "") -> None:
        self._source, self._facts, self._type = source, facts, type

    @classmethod
    def read(cls, source: Source, parse: Callable[[Iterator[bytes]], Iterator[Line]]) -> Self:
        """Read all lines once, and return them.

        Args:
            source: Yields the content.
            parse: Returns the lines that are in this content, and checks them.
        """
        digest, types, states = hashlib.sha256(), Counter[str](), Counter[str]()
        first: Line = {}
        last: Line = {}
        with reading(source()) as pieces, reading(_digested(pieces, digest)) as digested:
            for last in parse(digested):
                first = first or last
                types[last["type"]] += 1
                if last["type"] == "result":
                    states[last["state"]] += 1
        return cls(source, _Facts(digest.digest(), types.total(), first, last, types, states))

    @property
    def states(self) -> Mapping[str, int]:
        """How many results of each state there are."""
        return self._facts.states

    def of(self, type: str) -> Self:
        """Return the lines of one type."""
        return self.__class__(self._source, self._facts, type)

    def content(self) -> Iterator[bytes]:
        """Yield the content of the file, in pieces.

        Raises:
            ReceiptBroken: At the end: it is not the content that was checked.
        """
        digest = hashlib.sha256()
        with reading(self._source()) as pieces:
            yield from _digested(pieces, digest)
        if digest.digest() != self._facts.digest:
            raise ReceiptBroken(self._facts.size, CHANGED)

    def __iter__(self) -> Iterator[Line]:
        """Read the lines."""
        mark = f'"type":"{self._type}"'.encode() if self._type else b""
        with reading(self.content()) as content, reading(split(content)) as pieces:
            for number, piece in enumerate(pieces, 1):
                if mark not in piece:
                    continue
                try:
                    line: Line = json.loads(piece)
                    chosen = line["type"] == self._type
                except (ValueError, TypeError, KeyError):
                    raise ReceiptBroken(number, CHANGED) from None
                if chosen or not self._type:
                    yield line

    def __len__(self) -> int:
        """Return the number of lines, without reading them."""
        return self._facts.types.get(self._type, 0) if self._type else self._facts.size

    @overload
    def __getitem__(self, index: int) -> Line: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Line, ...]: ...
    def __getitem__(self, index: int | slice) -> Line | tuple[Line, ...]:
        """Return a line, or several."""
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step < 0:
                return tuple(self)[index]
            return tuple(islice(self, start, max(start, stop), step))
        place = range(len(self))[index]
        if not self._type and place in {0, len(self) - 1}:
            return self._facts.last if place else self._facts.first
        return next(islice(self, place, None))

    def __eq__(self, other: object) -> bool:
        """Return whether these are the same lines."""
        if not isinstance(other, Lines):
            return NotImplemented
        return (self._facts.digest, self._type) == (other._facts.digest, other._type)

    def __hash__(self) -> int:
        """Return a hash of the content."""
        return hash((self._facts.digest, self._type))

    def __repr__(self) -> str:
        """Show the number of lines."""
        return f"{self.__class__.__name__}({len(self)})"


def _digested(pieces: Iterator[bytes], digest: _Digest) -> Iterator[bytes]:
    for piece in pieces:
        digest.update(piece)
        yield piece
