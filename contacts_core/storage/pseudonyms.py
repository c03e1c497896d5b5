"""Keyed hashes: the same person gives the same hash to whoever holds the key, and nothing to anybody else.

An address is easily guessed, so a plain hash of it hides nothing; HMAC-SHA-256 (RFC 2104) under one's own key does.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from attrs import field, frozen

from contacts_core.errors import ConfigurationError
from contacts_core.models import Identifier, IdentifierKind
from contacts_core.storage.private_files import private_file, private_folder

__all__ = ["PseudonymKey", "kept_key"]

SHORTEST = 16  # bytes; below that a key could be guessed
ID_LENGTH = 16


def _long_enough(_key: object, _attribute: object, secret: bytes) -> None:
    if len(secret) < SHORTEST:
        raise ConfigurationError(
            f"the receipt key is shorter than {SHORTEST} bytes", hint="make one with: openssl rand -hex 32"
        )


@frozen(repr=False)
class PseudonymKey:
    """The key of receipts and tombstones.

    Raises:
        ConfigurationError: It is shorter than 16 bytes.
    """

    secret: bytes = field(validator=_long_enough)

    @property
    def id(self) -> str:
        """What names the key without telling it."""
        return self.digest(b"the id of this key")[:ID_LENGTH]

    def digest(self, *parts: bytes) -> str:
        """The keyed hash of these parts, as 64 hexadecimal digits; where one part ends counts."""
        made = hmac.new(self.secret, digestmod=hashlib.sha256)
        for part in parts:
            made.update(len(part).to_bytes(8, "big"))
            made.update(part)
        return made.hexdigest()

    def identifier(self, identifier: Identifier) -> str:
        """The keyed hash of an identifier's normal form: every spelling of an address has the same."""
        kind = identifier.kind.value
        other = identifier.key if identifier.kind is IdentifierKind.OTHER else ""
        return self.digest(b"identifier", kind.encode(), _bytes(other), _bytes(identifier.normal))

    def contact(self, account: str, contact_id: str) -> str:
        """The keyed hash of a contact's id: some vendors make ids of addresses."""
        return self.digest(b"contact", _bytes(account), _bytes(contact_id))

    def __repr__(self) -> str:
        """Name it; the secret stays out."""
        return f"Key({self.id})"


def _bytes(text: str) -> bytes:
    """The text in UTF-8; vendors send halves of surrogate pairs, and those must not stop anybody's erasure."""
    return text.encode("utf-8", "surrogatepass")


def kept_key(path: Path) -> PseudonymKey:
    """The key in this file, made at first use; only its owner can read it.

    Raises:
        ConfigurationError: The file, or its folder, belongs to another user or is a link.
    """
    private_folder(path.parent)
    with os.fdopen(private_file(path), "r+", encoding="utf-8", errors="surrogateescape") as file, _locked(file):
        text = file.read()
        if not text:  # another process may come at the same moment: the lock makes the second one read
            text = os.urandom(32).hex() + "\n"
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    if not text.isascii():
        raise ConfigurationError(f"{path} holds no key that was made here", hint="put the right one back from a copy")
    return PseudonymKey(text.strip().encode())


@contextmanager
def _locked(file: TextIO) -> Iterator[None]:
    try:
        import fcntl  # noqa: PLC0415 - not on every system
    except ImportError:
        yield
        return
    fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed
    yield
