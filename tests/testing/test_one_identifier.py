"""The kit is fair to a vendor that keeps one kind of identifier, and says so."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from contacts_core.models import Contact, IdentifierKind, Outcome
from contacts_core.provider import Flow
from contacts_core.testing import MemoryProvider, ProviderContract


@frozen(kw_only=True)
class KeepsOneAddress(MemoryProvider):
    """A vendor whose contacts have an e-mail address each, and nothing else to identify them."""

    name = "one-address"

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        (contact,) = contacts
        kept = contact.identifiers_of(IdentifierKind.EMAIL)[:1]
        dropped = {each.key or each.kind.value for each in contact.identifiers if each not in kept}
        outcome = yield from super().upsert_contacts([evolve(contact, identifiers=kept)], lists)
        return evolve(outcome, dropped_fields=tuple(sorted({*outcome.dropped_fields, *dropped})))


class TestKeepsOneAddress(ProviderContract):
    provider = KeepsOneAddress

    # Nobody has a second identifier, which these cases remove.
    test_a_removed_identifier_is_gone_and_the_contact_stays = None  # type: ignore[assignment]
    test_an_identifier_that_is_not_there_is_absent = None  # type: ignore[assignment]
    test_removing_an_identifier_keeps_the_other_fields = None  # type: ignore[assignment]
    test_removing_an_identifier_changes_nothing_else = None  # type: ignore[assignment]
