"""Who has an identifier, in one account: the cheapest complete look-up that the vendor allows. Pure flows.

A read that shows nobody proves nothing by itself: a wrong address, a gateway or an ignored filter shows nobody as well.
So each read here can be asked for its control: the same way of reading must show somebody who is there. Who was shown
by the read itself is such a control; else a contact of the vendor's own sample is read in the same way. An account that
the vendor's well-formed answer shows to be empty needs none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from contacts_core import operations
from contacts_core.errors import (
    ContactsError,
    IncompleteExport,
    IncompleteSearch,
    PlanRefused,
    ProviderError,
    UnexpectedPayload,
)
from contacts_core.models import Contact, Found, Identifier, IdentifierKind
from contacts_core.provider import (
    Exports,
    FindsContacts,
    FindsContactsByScan,
    Flow,
    GetsContacts,
    Provider,
    ReadsLists,
    flows,
)

__all__ = ["Got", "LookUp", "Members", "by_id", "by_identifier", "complete", "failure", "mismatch", "on_list", "way"]

CANDIDATES = 3  # contacts, at most, that a control tries to read: one may vanish meanwhile
NOBODY = "there is no contact to check the look-up with"
BLIND = "the same look-up did not show a contact that is there"


@frozen
class LookUp:
    """What a look-up by identifier showed.

    Attributes:
        found: The answers; see `Found`.
        unproven: Identifiers that nobody was shown for, though the same look-up could not show anybody else either,
            each with the reason. Empty where no control was asked for.
        scanned: How many contacts were read, where every contact was.
    """

    found: Found
    unproven: Mapping[Identifier, str] = field(factory=dict)
    scanned: int = 0

    def of(self, identifier: Identifier) -> tuple[Contact, ...]:
        """Who has this identifier."""
        return self.found.matches.get(identifier, ())


@frozen
class Got:
    """Contacts read by id: those that exist, and why the absence of the others is not proved; empty if it is."""

    contacts: Mapping[str, Contact]
    unproven: str = ""


@frozen
class Members:
    """Ids of contacts that are on a list, and why the absence of the others is not proved; empty if it is."""

    ids: Collection[str]
    unproven: str = ""


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
    provider: Provider, identifiers: Iterable[Identifier], *, planned: Collection[str] = (), control: bool = False
) -> Flow[LookUp]:
    """Every contact that has one of these identifiers.

    Args:
        provider: The account's provider.
        identifiers: What to look for.
        planned: Ids of contacts that the plan touches: the last that a control relies on.
        control: Whether to check that the look-up can show somebody, where it shows nobody.
    """
    wanted = list(dict.fromkeys(identifiers))
    if way(provider) == "scan":
        return (yield from _scan(provider, wanted, control=control))
    found = yield from operations.find(provider, wanted)
    silent = [i for i in found if not (found[i] or i in found.mismatched)]
    if not (control and silent):
        return LookUp(found)
    shown = {identifier.kind for identifier in found if found[identifier]}
    doubts = yield from _doubts(provider, {i.kind for i in silent} - shown, planned, proven=bool(shown))
    return LookUp(found, {i: doubts[i.kind] for i in silent if i.kind in doubts})


def by_id(
    provider: Provider, ids: Collection[str], *, planned: Collection[str] = (), control: bool = False
) -> Flow[Got]:
    """Those contacts of these ids that exist; arguments as for `by_identifier`."""
    if isinstance(provider, GetsContacts):
        got = yield from operations.get_contacts(provider, ids)
        contacts = {contact_id: contact for contact_id, contact in got.items() if contact}
        doubt = (yield from _get_doubt(provider, planned)) if control and ids and not contacts else ""
        return Got(contacts, doubt)
    wanted, found, shown = set(ids), dict[str, Contact](), 0

    def take(contacts: Sequence[Contact]) -> None:
        nonlocal shown
        shown += len(contacts)
        found.update({contact.id: contact for contact in contacts if contact.id in wanted})

    if wanted:
        yield from flows.drain(operations.require(provider, Exports).contacts(None), take)
    doubt = (yield from _empty_doubt(provider)) if control and wanted and not shown else ""
    return Got(found, doubt)


def on_list(provider: Provider, list_id: str, ids: Collection[str], *, control: bool = False) -> Flow[Members]:
    """Those of these contacts that are on a list: as they tell themselves, or else by reading the list.

    Raises:
        UnexpectedPayload: An answer leaves out which lists a contact is on, where this vendor always tells.
    """
    if isinstance(provider, GetsContacts):
        got = yield from by_id(provider, ids, planned=ids, control=control)
        untold = [contact for contact in got.contacts.values() if contact.lists is None]
        if untold and not (isinstance(provider, Exports) and not provider.export_includes_lists):
            raise UnexpectedPayload("an answer leaves out which lists a contact is on", provider=provider.name)
        if not untold:
            on = {id for id, contact in got.contacts.items() if list_id in (contact.lists or ())}
            return Members(on, got.unproven)
    members: set[str] = set()
    able = operations.require(provider, Exports)

    def take(contacts: Sequence[Contact]) -> None:
        if able.export_includes_lists and any(contact.lists is None for contact in contacts):
            raise UnexpectedPayload("an answer leaves out which lists a contact is on", provider=provider.name)
        members.update(contact.id for contact in contacts)

    yield from flows.drain(able.contacts(list_id), take)
    return Members(members, (yield from _list_doubt(provider, list_id)) if control and not members else "")


def mismatch(found: Found, who: str) -> str:
    """What is wrong with answers that held contacts without the identifier asked for; empty if nothing is."""
    if not found.mismatched:
        return ""
    contacts, asked = sum(found.mismatched.values()), len(found.mismatched)
    return f"{who} answered the look-up of {asked} identifier(s) with {contacts} contact(s) that do not have them"


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


def failure(error: ContactsError) -> str:
    """An error in a receipt's words: its kind and status, none of the vendor's text."""
    status = f" [{error.status}]" if isinstance(error, ProviderError) and error.status else ""
    return f"{type(error).__name__}{status}"


# -- scans, and the control of each way of reading ---------------------------------------------------------------------


def _scan(provider: Provider, wanted: Sequence[Identifier], *, control: bool) -> Flow[LookUp]:
    """Read every contact. Who is shown with an identifier proves that identifiers are shown."""
    found: dict[Identifier, dict[str, Contact]] = {identifier: {} for identifier in wanted}
    scanned = known = 0

    def take(contacts: Sequence[Contact]) -> None:
        nonlocal scanned, known
        scanned += len(contacts)
        for contact in contacts:
            known += bool(contact.identifiers)
            for identifier in contact.identifiers:
                if identifier in found:
                    found[identifier][contact.id] = contact

    if wanted:
        yield from flows.drain(operations.require(provider, Exports).contacts(None), take)
    doubt = ""
    if control and wanted and not known:
        doubt = "no contact was shown with an identifier" if scanned else (yield from _empty_doubt(provider))
    matches = {identifier: tuple(contacts.values()) for identifier, contacts in found.items()}
    return LookUp(Found(matches), dict.fromkeys((i for i in wanted if not matches[i]), doubt) if doubt else {}, scanned)


def _sample(provider: Provider, planned: Collection[str]) -> Flow[tuple[Sequence[Contact], str]]:
    """Contacts that are there now, those outside the plan first; with the reason where they cannot be had.

    No contact and no reason: the account is empty.
    """
    if not isinstance(provider, Exports):
        return (), NOBODY
    try:
        sample = yield from provider.sample()
    except ContactsError as error:
        return (), f"the look-up could not be checked: {failure(error)}"
    if sample is None:
        return (), NOBODY
    return sorted(sample, key=lambda contact: contact.id in planned), ""


def _empty_doubt(provider: Provider) -> Flow[str]:
    """Why a scan that showed nobody does not prove that the account is empty."""
    sample, doubt = yield from _sample(provider, ())
    return BLIND if sample else doubt


def _get_doubt(provider: GetsContacts, planned: Collection[str]) -> Flow[str]:
    sample, doubt = yield from _sample(provider, planned)
    for contact in sample[:CANDIDATES]:
        try:
            got = yield from operations.get_contacts(provider, [contact.id])
        except ContactsError as error:
            return f"the look-up could not be checked: {failure(error)}"
        if got[contact.id]:
            return ""
        doubt = BLIND
    return doubt


def _doubts(
    provider: Provider, kinds: Collection[IdentifierKind], planned: Collection[str], *, proven: bool
) -> Flow[dict[IdentifierKind, str]]:
    """Why a look-up that showed nobody proves nothing, by kind of identifier.

    Each kind is checked with a contact that has one. Where nobody of the sample has, the look-up of another kind
    stands for it.

    Args:
        provider: The account's provider.
        kinds: Of which nobody was shown.
        planned: Ids of contacts that the plan touches.
        proven: Whether the look-up of another kind showed somebody already.
    """
    if not kinds:
        return {}
    sample, doubt = yield from _sample(provider, planned)
    if not sample:
        return dict.fromkeys(kinds, doubt) if doubt and not proven else {}
    able = operations.require(provider, FindsContacts)
    having: dict[IdentifierKind, list[tuple[Identifier, Contact]]] = {}
    for contact in sample:
        for identifier in contact.identifiers:
            if identifier.value.strip() and not able.cannot_find(identifier):
                having.setdefault(identifier.kind, []).append((identifier, contact))
    doubts: dict[IdentifierKind, str] = {}
    checked = [kind for kind in kinds if kind in having] or ([] if proven else list(having)[:1])
    for kind in checked:
        doubts[kind] = yield from _find_doubt(able, having[kind][:CANDIDATES])
    other = NOBODY if not (checked or proven) else next((d for d in doubts.values() if d), "")
    return {kind: doubt for kind in kinds if (doubt := doubts.get(kind, other))}


def _find_doubt(provider: FindsContacts, candidates: Sequence[tuple[Identifier, Contact]]) -> Flow[str]:
    for identifier, contact in candidates:
        try:
            found = yield from operations.find(provider, [identifier])
        except ContactsError as error:
            return f"the look-up could not be checked: {failure(error)}"
        if any(each.id == contact.id for each in found.matches[identifier]):
            return ""
    return BLIND


def _list_doubt(provider: Provider, list_id: str) -> Flow[str]:
    """Why a list that shows nobody is not proved to be empty: the vendor must still know the list."""
    if not isinstance(provider, ReadsLists):
        return NOBODY
    try:
        known = yield from operations.lists(provider)
    except ContactsError as error:
        return f"the list could not be checked: {failure(error)}"
    return "" if any(each.id == list_id for each in known) else "the vendor does not know the list any more"
