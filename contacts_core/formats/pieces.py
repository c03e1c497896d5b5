"""Lines of a file that is read in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["split_lines"]


def split_lines(pieces: Iterable[bytes], longest: int | None = None) -> Iterator[bytes]:
    """Yield lines with their line breaks, as an open file does; the last line may have none.

    Args:
        pieces: The content, in pieces of any size.
        longest: About how many bytes of one line are gathered from several pieces, at most.

    Raises:
        ValueError: A line is longer.
    """
    parts: list[bytes] = []  # of the line that has not ended
    for piece in pieces:
        first, *others = piece.split(b"\n")
        parts.append(first)
        for other in others:
            yield b"".join(parts) + b"\n"
            parts = [other]
        if longest is not None and sum(map(len, parts)) > longest:
            raise ValueError("a line is too long")
    if rest := b"".join(parts):
        yield rest
