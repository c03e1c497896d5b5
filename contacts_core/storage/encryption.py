"""Encryption of what is stored about people while a run is unfinished, under a key that is deleted with it.

A database keeps more than its tables show: old versions of rows, and a log of all writes. So a plan is only stored
encrypted, with AES-256-GCM, under the run's own key. That key is stored encrypted under the receipt key, in a separate
row that is deleted when nothing is left to do with the plan.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contacts_core.errors import StorageError
from contacts_core.storage.pseudonyms import PseudonymKey

__all__ = ["decrypt", "encrypt", "new_run_key", "run_key"]

NONCE_BYTES = 12  # recommended by NIST SP 800-38D
KEY_BYTES = 32


def new_run_key(run: str, key: PseudonymKey) -> tuple[bytes, bytes]:
    """Return a new key for a run: in the clear, and encrypted for storage."""
    fresh = AESGCM.generate_key(8 * KEY_BYTES)
    return fresh, encrypt(_wrapping(key), fresh, f"key of {run}")


def run_key(kept: bytes, run: str, key: PseudonymKey) -> bytes:
    """Return the key of a run in the clear.

    Raises:
        StorageError: It was altered, or encrypted under another receipt key.
    """
    return decrypt(_wrapping(key), kept, f"key of {run}")


def encrypt(secret: bytes, data: bytes, about: str) -> bytes:
    """Encrypt data. ``about`` says what they are; they can only be decrypted with the same value."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(secret).encrypt(nonce, data, about.encode())


def decrypt(secret: bytes, kept: bytes, about: str) -> bytes:
    """Decrypt data.

    Raises:
        StorageError: The data were altered, or the key is not the right one.
    """
    try:
        return AESGCM(secret).decrypt(kept[:NONCE_BYTES], kept[NONCE_BYTES:], about.encode())
    except (InvalidTag, ValueError):
        raise StorageError(
            f"the {about} cannot be decrypted: it was altered, or the receipt key has changed",
            hint="set the receipt key that the run was started with",
        ) from None


def _wrapping(key: PseudonymKey) -> bytes:
    return bytes.fromhex(key.digest(b"encryption of the keys of runs, 1"))
