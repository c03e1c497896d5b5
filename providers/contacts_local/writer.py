"""A file of contacts as an export of another account: ``contacts export ACCOUNT --to people.db``."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from contacts_core.errors import InvalidInput
from contacts_core.models import Contact, ContactList
from contacts_local import records
from contacts_local.store import Store

__all__ = ["BATCH", "Writer", "open_writer"]

BATCH = 1000


class Writer:
    """Writes contacts to a new file, some at a time."""

    def __init__(self, store: Store) -> None:
        """Write to the file of this store."""
        self._store = store
        self._waiting: list[Contact] = []

    def write(self, contact: Contact) -> None:
        """Write one contact, with its id and its lists."""
        self._waiting.append(contact)
        if len(self._waiting) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write the contacts that are waiting."""
        waiting, self._waiting = self._waiting, []
        _ = self._store.write(partial(records.copy, contacts=waiting))


@contextmanager
def open_writer(path: Path, source: str, lists: Sequence[ContactList]) -> Generator[Writer]:
    """Open a writer whose file is complete or not there at all.

    A file that an export of the same account has written before is brought up to date in one transaction: it keeps its
    id and its log of changes, which then tells what has changed at the account between the two exports.

    Args:
        path: The file; an existing one must be an earlier export of the same account.
        source: The name of the account that is exported.
        lists: The lists of the account.

    Raises:
        InvalidInput: The file exists, and is not an export of that account.
    """
    earlier = Store(path) if path.exists() else None
    if earlier and (known := earlier.read(records.source)) != source:
        earlier.close()
        raise InvalidInput(
            f"{path.name} holds contacts of its own, which an export would replace"
            if not known
            else f"{path.name} is an export of {known}, which this one would replace",
            hint="name another file",
        )
    part = path.with_name(f".contacts-{secrets.token_hex(8)}.part")
    fresh = Store(part)
    try:
        _ = fresh.write(partial(records.begin_copy, source=source, lists=lists))
        writer = Writer(fresh)
        yield writer
        writer.flush()
        if earlier:
            _ = fresh.read(lambda copied: earlier.write(partial(records.replace, copied=copied, size=BATCH)))
            earlier.empty_log()
        fresh.close()
        if not earlier:
            _ = part.replace(path)
    finally:
        fresh.close()
        if earlier:
            earlier.close()
        for left in (part, *(part.with_name(part.name + side) for side in ("-wal", "-shm"))):
            left.unlink(missing_ok=True)
