"""Which statements of consent outlast the deletion of a contact, and which suppressions can be kept of it.

To keep the address of somebody who was erased, in order not to write to that person again, is what a suppression is
for. It is personal data all the same, so it is kept only if that was asked for, and is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from attrs import frozen

from contacts_core.models import Consent, ConsentReason, ConsentState, Identifier, merge_consent
from contacts_core.models.consent import without_blocks
from contacts_core.operations.consent import find_consent
from contacts_core.provider import DeletesContacts, FindsConsent, Flow, Provider, WritesConsent, preview_consent

__all__ = ["REFUSED", "KeptSuppressions", "outlasts_deletion", "refusals_deleted", "suppressions_to_keep"]

REASONS = (ConsentReason.MANUAL, ConsentReason.UNSUBSCRIBE)
REFUSED = "it carries a refusal, which would be deleted with it"
UNTOLD = "whether it carries a refusal, which would be deleted with it, could not be looked up"


@frozen
class KeptSuppressions:
    """What becomes of the suppressions of people whose contacts are deleted.

    Attributes:
        there: Refusals that outlast the deletion, so that nothing has to be written.
        write: Refusals to write after the deletion.
        refused: Identifiers that no suppression can be kept of, with the reason.
    """

    there: tuple[Consent, ...] = ()
    write: tuple[Consent, ...] = ()
    refused: Mapping[Identifier, str] = {}


def outlasts_deletion(provider: Provider) -> bool:
    """Return whether the statements about a contact's identifiers stay when the contact is deleted."""
    return not (isinstance(provider, DeletesContacts) and provider.deletes_consent)


def refusals_deleted(provider: Provider, contacts: Mapping[str, Sequence[Identifier]]) -> Flow[dict[str, str]]:
    """Look up with which contacts a refusal would be deleted, so that nobody could tell any more who refused.

    Args:
        provider: The account's provider.
        contacts: The identifiers of contacts, by id.

    Returns:
        The reasons to keep contacts, by id.
    """
    if not contacts or outlasts_deletion(provider):
        return {}
    if not isinstance(provider, FindsConsent):
        return dict.fromkeys(contacts, UNTOLD)
    found = yield from find_consent(provider, [each for several in contacts.values() for each in several])
    kept: dict[str, str] = {}
    for id, identifiers in contacts.items():
        asked = [each for each in identifiers if each.kind in provider.consent_find_kinds]
        if any(each.state is not ConsentState.GRANTED for about in asked for each in found.get(about, ())):
            kept[id] = REFUSED
        elif not asked or any(each not in found or each in found.mismatched for each in asked):
            kept[id] = UNTOLD
    return kept


def suppressions_to_keep(
    provider: Provider,
    identifiers: Iterable[Identifier],
    found: Mapping[Identifier, Sequence[Consent]],
    at: datetime | None = None,
) -> KeptSuppressions:
    """Return the suppressions that keep people from being written to after their contacts were deleted.

    Args:
        provider: The account's provider.
        identifiers: The identifiers of the contacts that are deleted.
        found: What the vendor says about them now.
        at: The time of the statements, where the vendor keeps it.
    """
    wanted = list(dict.fromkeys(identifiers))
    title = provider.title or provider.name
    if not isinstance(provider, WritesConsent):
        return KeptSuppressions(refused=dict.fromkeys(wanted, f"{title} keeps no consent"))
    if provider.consent_creates_contacts:
        why = f"{title} keeps consent on contacts, so a suppression would bring the contact back"
        return KeptSuppressions(refused=dict.fromkeys(wanted, why))
    there: list[Consent] = []
    write: list[Consent] = []
    refused: dict[Identifier, str] = {}
    reason = next((each for each in REASONS if each in provider.keeps_reasons), None)
    for identifier in wanted:
        channels = [each for each, kinds in provider.consent_channels.items() if identifier.kind in kinds]
        standing = {each.about: each for each in merge_consent(without_blocks(found.get(identifier, ())))}
        for channel in channels:
            statement = Consent(
                identifier,
                channel,
                ConsentState.REVOKED,
                reason=reason,
                coverage=provider.keeps_coverages[0],
                at=at if provider.keeps_dates else None,
            )
            known = standing.get(statement.about)
            if known and known.state is ConsentState.REVOKED and outlasts_deletion(provider):
                there.append(known)
            elif why := _cannot_write(provider, statement):
                refused[identifier] = why
            else:
                write.append(statement)
        if not channels:
            refused[identifier] = f"{title} keeps no suppressions of this kind of identifier"
    return KeptSuppressions(tuple(there), tuple(write), refused)


def _cannot_write(provider: WritesConsent, statement: Consent) -> str:
    losses = preview_consent(provider, statement).losses
    return "; ".join(each.detail for each in losses) or provider.cannot_write_consent(statement)
