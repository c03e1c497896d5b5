"""What is kept of people while a run goes on, encrypted under a key that goes with the run.

A database keeps more than its tables show: old versions of rows, and a log of all that was written. So a plan is
written there only encrypted, with AES-256-GCM, under a key of the run's own. That key in turn is kept encrypted under
the receipt key, in a row of its own that is deleted when the run is forgotten.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contacts_core.errors import StorageError
from contacts_core.storage.pseudonyms import PseudonymKey

__all__ = ["opened", "opened_key", "sealed", "sealed_key"]

NONCE = 12  # bytes, as NIST SP 800-38D recommends
KEY = 32


def sealed_key(run: str, key: PseudonymKey) -> tuple[bytes, bytes]:
    """A new key for a run: as it is, and as it may be kept."""
    fresh = AESGCM.generate_key(8 * KEY)
    return fresh, sealed(_wrapping(key), fresh, f"key of {run}")


def opened_key(kept: bytes, run: str, key: PseudonymKey) -> bytes:
    """The key of a run, as it is.

    Raises:
        StorageError: It was altered, or kept under another receipt key.
    """
    return opened(_wrapping(key), kept, f"key of {run}")


def sealed(secret: bytes, data: bytes, about: str) -> bytes:
    """Encrypt; ``about`` says what the data are, and they can be read as nothing else."""
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(secret).encrypt(nonce, data, about.encode())


def opened(secret: bytes, kept: bytes, about: str) -> bytes:
    """Decrypt.

    Raises:
        StorageError: The data were altered, or the key is another.
    """
    try:
        return AESGCM(secret).decrypt(kept[:NONCE], kept[NONCE:], about.encode())
    except (InvalidTag, ValueError):
        raise StorageError(
            f"the {about} cannot be decrypted: it was altered, or the receipt key is another one",
            hint="name the receipt key that the run was begun with",
        ) from None


def _wrapping(key: PseudonymKey) -> bytes:
    return bytes.fromhex(key.digest(b"encryption of the keys of runs, 1"))
