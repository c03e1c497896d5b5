"""The body of an answer, read in pieces and decompressed within a bound."""

from __future__ import annotations

import zlib

__all__ = ["Body"]

GZIP_MAGIC = b"\x1f\x8b"
PLAIN = ("", "identity")
MOST_AT_ONCE = 1 << 30  # bytes that zlib is asked for; it takes no number above that of an address
WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # zlib's number for the format


class Body:
    """Collects an answer's bytes up to a limit, and decompresses gzip and deflate.

    Attributes:
        problem: What was wrong with the body; empty if nothing was. What was read until then is still there.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        """Expect a body with this Content-Encoding and of at most ``limit`` bytes."""
        self.problem = ""
        self._pieces: list[bytes] = []
        self._left = limit
        self._limit = limit
        names = [name for part in encoding.split(",") if (name := part.strip().lower()) not in PLAIN]
        self._format = WINDOW_BITS.get(names[0], 0) if len(names) == 1 else 0
        self._undo: zlib._Decompress | None = None  # pyright: ignore[reportPrivateUsage] - it has no other name
        self._begun = False
        self._half_magic = b""  # after a member: whether another one begins is known with the next byte
        if names and not self._format:
            self.problem = "the answer is compressed in a way that was not asked for"

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; return False once no more are wanted."""
        if self.problem:
            return False
        if not data:
            return True
        if self._format and not self._begun:
            self._begin(data)
        if self._undo is None:
            self._keep(data)
        else:
            self._decompress(data)
        return not self.problem

    def end(self) -> bytes:
        """Return what was collected, when no more bytes come."""
        if self._undo and not self._undo.eof and not self.problem:
            self.problem = "the answer ended before its end"
        return b"".join(self._pieces)

    def _begin(self, data: bytes) -> None:
        self._begun = True
        if self._format == WINDOW_BITS["deflate"]:
            # Both forms are called so: with a header of two bytes (RFC 9110), and without (widespread).
            header = data[0] & 0x0F == 8 and (len(data) == 1 or int.from_bytes(data[:2], "big") % 31 == 0)
            self._undo = zlib.decompressobj(wbits=15 if header else -15)
        elif data[:1] == GZIP_MAGIC[:1]:
            self._undo = zlib.decompressobj(wbits=self._format)
        # else a proxy has undone it and left the header where it was: no JSON begins like that

    def _decompress(self, data: bytes) -> None:
        assert self._undo is not None
        while data and not self.problem:
            if self._undo.eof:  # gzip may come in several members
                data, self._half_magic = self._half_magic + data, b""
                if data == GZIP_MAGIC[:1]:
                    self._half_magic = data
                    return
                if not data.startswith(GZIP_MAGIC):
                    return
                self._undo = zlib.decompressobj(wbits=31)
            try:
                piece = self._undo.decompress(data, min(self._left + 1, MOST_AT_ONCE))
            except zlib.error:
                self.problem = "the answer's compression is damaged"
                return
            self._keep(piece)
            data = self._undo.unconsumed_tail or self._undo.unused_data

    def _keep(self, piece: bytes) -> None:
        if len(piece) > self._left:
            self.problem = f"the answer is larger than {self._limit} bytes"
        self._pieces.append(piece[: self._left])
        self._left -= len(piece)
