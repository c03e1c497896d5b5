"""Receipts in the storage: written from the journal of a run, and read again where they are."""

from __future__ import annotations

from functools import partial

from contacts_core.plans.model import Plan
from contacts_core.plans.receipts.events import receipt_events
from contacts_core.plans.receipts.receipt import Receipt, Signer, write
from contacts_core.storage.journal import Journal, Run
from contacts_core.storage.pseudonyms import PseudonymKey

__all__ = ["stored_receipt", "write_receipt"]


def write_receipt(
    journal: Journal, run: Run, plan: Plan, key: PseudonymKey, signer: Signer | None, state: str, reason: str
) -> tuple[str, Receipt]:
    """Write the receipt of a run, and check what was stored. Return its name for `Journal.end`, and the receipt.

    Raises:
        StorageError: The storage cannot be written or read.
        ReceiptBroken: What was stored is not valid.
    """
    lines = write(receipt_events(run, plan, journal, key, state, reason), key, signer)
    name = journal.write_receipt(run.id, (line.encode("ascii") for line in lines))
    try:
        return name, Receipt.check(partial(journal.receipt_content, name))
    except BaseException:
        journal.drop_receipt(name)
        raise


def stored_receipt(journal: Journal, run: str) -> Receipt | None:
    """Return the receipt of a run, or None while it has none.

    Raises:
        StorageError: It was altered.
        ReceiptBroken: It is not valid.
    """
    name = journal.receipt_name(run)
    return Receipt.check(partial(journal.receipt_content, name)) if name else None
