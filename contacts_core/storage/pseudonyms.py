"""Pseudonyms: keyed hashes that only the holder of the key can match to a person.

An address is easily guessed, so a plain hash of it hides nothing. HMAC-SHA-256 (RFC 2104) under a secret key does.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from attrs import field, frozen

from contacts_core.errors import ConfigurationError
from contacts_core.models import Identifier, IdentifierKind
from contacts_core.storage.private_files import private_file, private_folder

__all__ = ["PseudonymKey", "kept_key"]

SHORTEST_KEY_BYTES = 16  # a shorter key could be guessed
ID_DIGITS = 16  # hexadecimal


def _long_enough(_key: object, _attribute: object, secret: bytes) -> None:
    if len(secret) < SHORTEST_KEY_BYTES:
        raise ConfigurationError(
            f"the receipt key is shorter than {SHORTEST_KEY_BYTES} bytes", hint="create one with: openssl rand -hex 32"
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
        """An id for the key that does not reveal it."""
        return self.digest(b"the id of this key")[:ID_DIGITS]

    def digest(self, *parts: bytes) -> str:
        """Return the keyed hash of these parts, as 64 hexadecimal digits. The boundaries between parts matter."""
        digest = hmac.new(self.secret, digestmod=hashlib.sha256)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return digest.hexdigest()

    def identifier(self, identifier: Identifier) -> str:
        """Return the pseudonym of an identifier's normal form: every spelling of an address has the same one."""
        kind = identifier.kind.value
        other = identifier.key if identifier.kind is IdentifierKind.OTHER else ""
        return self.digest(b"identifier", kind.encode(), _bytes(other), _bytes(identifier.normal))

    def contact(self, account: str, contact_id: str) -> str:
        """Return the pseudonym of a contact's id: some vendors use addresses as ids."""
        return self.digest(b"contact", _bytes(account), _bytes(contact_id))

    def __repr__(self) -> str:
        """Show the id, never the secret."""
        return f"PseudonymKey({self.id})"


def _bytes(text: str) -> bytes:
    """Return the text in UTF-8. Vendors send lone surrogates, and those must not stop an erasure."""
    return text.encode("utf-8", "surrogatepass")


def kept_key(path: Path) -> PseudonymKey:
    """Return the key in this file, which is created at first use. Only its owner can read it.

    Raises:
        ConfigurationError: The file, or its folder, belongs to another user or is a link.
    """
    private_folder(path.parent)
    with os.fdopen(private_file(path), "r+", encoding="utf-8", errors="surrogateescape") as file, _locked(file):
        text = file.read()
        if not text:  # of two processes that come at the same moment, the lock makes the second one read
            text = os.urandom(32).hex() + "\n"
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    if not text.isascii():
        raise ConfigurationError(f"{path} does not hold a receipt key", hint="restore it from a backup")
    return PseudonymKey(text.strip().encode())


@contextmanager
def _locked(file: TextIO) -> Generator[None]:
    try:
        import fcntl  # noqa: PLC0415 - not on every system
    except ImportError:
        yield
        return
    fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed
    yield
