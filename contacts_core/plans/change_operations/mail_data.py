"""Erasing what a vendor keeps of the mail that was sent to addresses."""

from __future__ import annotations

from collections.abc import Sequence

from contacts_core import operations
from contacts_core.models import Identifier, Outcome
from contacts_core.plans.change import Change
from contacts_core.plans.change_operations.base import Attempt, ChangeOperation
from contacts_core.provider import ErasesMailData, Flow, Provider

__all__ = ["EraseMailData", "mail_data_change"]


def mail_data_change(identifier: Identifier, people: Sequence[int]) -> Change:
    """Return the change that erases what is kept of the mail that was sent to an address."""
    return Change(EraseMailData.name, "", (identifier,), tuple(people), "asked for, besides the contacts")


class EraseMailData(ChangeOperation):
    """Erase what is kept of sent mail. Nothing tells afterwards whether it is gone but the vendor's answer."""

    name = "erase_mail_data"
    capability = ErasesMailData
    unmade = "not erased from sent mail"
    of_account = True
    can_be_verified = False

    def batch_size(self, provider: Provider) -> int:
        """Return the batch size that the provider states."""
        return operations.require(provider, ErasesMailData).mail_data_batch_size

    def check(self, change: Change) -> str:
        """Return what contradicts itself: it is about one address and no contact."""
        if change.contact or len(change.identifiers) != 1:
            return "mail data is erased of one address each, and of no contact"
        return super().check(change)

    def items(self, change: Change) -> list[str]:
        """Return the address."""
        return [change.identifiers[0].value]

    def send(self, batch: Sequence[Change], provider: Provider, attempt: Attempt) -> Flow[Outcome]:
        """Erase it for these addresses."""
        return operations.erase_mail_data(provider, [change.identifiers[0] for change in batch])

    def looks_up(self, *, found: bool) -> bool:
        """Return False: contacts do not tell whether it was done."""
        return False

    def verification_paths(self, provider: Provider, *, ids_only: bool, identifiers: bool) -> tuple[str, ...]:
        """Return no way: there is nothing to read."""
        return ()
