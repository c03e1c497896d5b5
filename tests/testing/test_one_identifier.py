"""The kit is fair to a vendor that keeps one kind of identifier, and says so."""

from __future__ import annotations

from attrs import frozen

from contacts_core.models import Contact, IdentifierKind, LossCode, Preview, Shape
from contacts_core.provider import Fitting
from contacts_core.testing import MemoryProvider, ProviderContract


@frozen(kw_only=True)
class KeepsOneAddress(MemoryProvider):
    """A vendor whose contacts have an e-mail address each, and nothing else to identify them."""

    name = "one-address"

    def preview(self, contact: Contact, shape: Shape) -> Preview:
        fitting = Fitting(contact)
        kept = contact.identifiers_of(IdentifierKind.EMAIL)[:1]
        for each in contact.identifiers:
            if each not in kept:
                fitting.drop_identifier(each, LossCode.NO_PLACE)
        return fitting.preview()


class TestKeepsOneAddress(ProviderContract):
    provider = KeepsOneAddress

    # Nobody has a second identifier, which these cases remove.
    test_a_removed_identifier_is_gone_and_the_contact_stays = None  # type: ignore[assignment]
    test_an_identifier_that_is_not_there_is_absent = None  # type: ignore[assignment]
    test_removing_an_identifier_keeps_the_other_fields = None  # type: ignore[assignment]
    test_removing_an_identifier_changes_nothing_else = None  # type: ignore[assignment]
    test_a_repeated_removal_of_an_identifier_changes_nothing_more = None  # type: ignore[assignment]
