"""Who has an identifier, in one account: the cheapest complete look-up that the vendor allows. Pure flows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from contacts_core import operations, steps
from contacts_core.capabilities import Exports, FindsContacts, FindsContactsByScan, GetsContacts
from contacts_core.errors import IncompleteExport, IncompleteSearch, PlanRefused
from contacts_core.flow import Flow
from contacts_core.identifiers import Identifier
from contacts_core.models import Contact
from contacts_core.provider import Provider

__all__ = ["by_id", "by_identifier", "complete", "on_list", "way"]


def way(provider: Provider) -> str:
    """How contacts are found there: ``look-up``, or ``scan`` where the vendor has nothing better.

    Raises:
        UnsupportedOperation: There is no way at all.
    """
    if isinstance(provider, FindsContacts) and not isinstance(provider, FindsContactsByScan):
        return "look-up"
    operations.require(provider, Exports)
    return "scan"


def by_identifier(
    provider: Provider, identifiers: Iterable[Identifier]
) -> Flow[Mapping[Identifier, tuple[Contact, ...]]]:
    """Every contact that has one of these identifiers, by identifier."""
    wanted = list(dict.fromkeys(identifiers))
    if isinstance(provider, FindsContacts):
        answered = yield from operations.find(provider, wanted)
        return {identifier: answered.matches.get(identifier, ()) for identifier in wanted}
    found: dict[Identifier, dict[str, Contact]] = {identifier: {} for identifier in wanted}
    if wanted:
        yield from steps.drain(
            operations.require(provider, Exports).contacts(None),
            lambda contacts: [found[i].update({c.id: c}) for c in contacts for i in c.identifiers if i in found],
        )
    return {identifier: tuple(contacts.values()) for identifier, contacts in found.items()}


def by_id(provider: Provider, ids: Collection[str]) -> Flow[Mapping[str, Contact]]:
    """Those contacts of these ids that exist."""
    if isinstance(provider, GetsContacts):
        got = yield from operations.get_contacts(provider, ids)
        return {contact_id: contact for contact_id, contact in got.items() if contact}
    found: dict[str, Contact] = {}
    wanted = set(ids)
    if wanted:
        yield from steps.drain(
            operations.require(provider, Exports).contacts(None),
            lambda contacts: found.update({c.id: c for c in contacts if c.id in wanted}),
        )
    return found


def on_list(provider: Provider, list_id: str, ids: Collection[str]) -> Flow[set[str]]:
    """Those of these contacts that are on a list: as they tell themselves, or else by reading the list."""
    if isinstance(provider, GetsContacts):
        contacts = yield from operations.get_contacts(provider, ids)
        if all(contact.lists is not None for contact in contacts.values() if contact):
            return {id for id, contact in contacts.items() if contact and list_id in (contact.lists or ())}
    members: set[str] = set()
    yield from steps.drain(
        operations.require(provider, Exports).contacts(list_id), lambda contacts: members.update(c.id for c in contacts)
    )
    return members


def complete(account: str, flow: Flow[Any]) -> Flow[Any]:
    """The flow, where a read that turned out incomplete makes the plan impossible.

    Raises:
        PlanRefused: The vendor did not show everything.
    """
    try:
        return (yield from flow)
    except (IncompleteExport, IncompleteSearch) as error:
        raise PlanRefused(
            f"{account} was not read to its end, so nobody knows who else is there: {error}", hint="try again later"
        ) from error
