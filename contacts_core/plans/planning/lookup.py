"""Look-ups in one account: the cheapest complete way that the vendor offers to find contacts. Pure flows.

A read that finds no contact proves nothing by itself: a wrong URL, a gateway or an ignored filter finds none as well.
So each read here can have a control: the same way of reading must find a contact that exists. A contact found by the
read itself is such a control. Otherwise a contact of the vendor's own sample is read in the same way. An account that
is empty by the vendor's well-formed answer needs no control.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
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
    Flow,
    GetsContacts,
    Provider,
    ReadsLists,
    flows,
)
from contacts_core.storage.spool import Spool

__all__ = [
    "ContactsRead",
    "ListMembers",
    "LookUp",
    "account_id",
    "by_id",
    "by_identifier",
    "complete",
    "failure",
    "handles",
    "mismatch",
    "on_list",
    "search",
    "tells_lists",
    "way",
]

IDS = "CREATE TABLE ids (id BLOB PRIMARY KEY) WITHOUT ROWID;"
CHUNK_SIZE = 1000  # identifiers looked up together
CONTROL_CANDIDATES = 3  # contacts that a control tries to read at most, because one may disappear meanwhile
NO_CONTROL = "there is no contact to check the look-up with"
CONTROL_FAILED = "the same look-up did not show a contact that is there"


@frozen
class LookUp:
    """The result of a look-up by identifier, or a part of it.

    Attributes:
        found: The answers; see `Found`.
        unproven: Identifiers without a contact whose control failed as well, each with the reason. Empty if no control
            was requested.
    """

    found: Found
    unproven: Mapping[Identifier, str] = field(factory=dict[Identifier, str])

    def of(self, identifier: Identifier) -> tuple[Contact, ...]:
        """Return the contacts that have this identifier."""
        return self.found.matches.get(identifier, ())


@frozen
class ContactsRead:
    """Contacts read by id: those that exist, and why the absence of the others is not proved; empty if it is."""

    contacts: Mapping[str, Contact]
    unproven: str = ""


class _Ids(Container[str]):
    """Ids of any number of contacts, on disk."""

    def __init__(self) -> None:
        self._spool = Spool(IDS)
        self.is_empty = True

    def add(self, ids: Iterable[str]) -> None:
        """Add ids."""
        rows = [(_bytes(id),) for id in ids]
        self._spool.write("INSERT OR IGNORE INTO ids VALUES (?)", rows)
        self.is_empty &= not rows

    def __contains__(self, id: object) -> bool:
        """Return whether an id was added."""
        return isinstance(id, str) and self._spool.one("SELECT 1 FROM ids WHERE id = ?", _bytes(id)) is not None


def _bytes(id: str) -> bytes:
    return id.encode(errors="surrogatepass")


@frozen
class ListMembers:
    """Contacts that are on a list.

    Attributes:
        ids: Their ids.
        unproven: Why the absence of the others is not proved; empty if it is.
        all_of_them: Whether the whole list was read, and not only some contacts that were asked for.
        contacts: Contacts that were read by id to tell it.
    """

    ids: Container[str]
    unproven: str = ""
    all_of_them: bool = False
    contacts: Mapping[str, Contact] = field(factory=dict[str, Contact])


def account_id(provider: Provider) -> Flow[str]:
    """Return the fingerprint of the account behind a provider's settings. No key is part of it."""
    vendor_id = yield from provider.account_id()
    return hashlib.sha256(f"{provider.name}\0{vendor_id}".encode()).hexdigest()


def way(provider: Provider, identifiers: Iterable[Identifier] = ()) -> str:
    """Return how contacts are found: ``look-up``, or ``scan`` if the vendor offers none for one of these identifiers.

    Raises:
        UnsupportedOperation: There is no way at all.
    """
    if isinstance(provider, FindsContacts) and not operations.scans(provider, identifiers):
        return "look-up"
    operations.require(provider, Exports)
    return "scan"


def handles(provider: Provider, identifiers: Sequence[Identifier]) -> Sequence[Identifier]:
    """Return by which of a contact's identifiers it is read again: those that can be looked up, if there are any."""
    if not isinstance(provider, FindsContacts):
        return identifiers
    return [each for each in identifiers if operations.looks_up(provider, each)] or identifiers


def search(
    provider: Provider,
    wanted: Collection[Identifier],
    take: Callable[[LookUp], object],
    *,
    planned: Container[str] = (),
    control: bool = False,
) -> Flow[int]:
    """Find every contact that has one of these identifiers, any number of them. Return how many contacts were scanned.

    Args:
        provider: The account's provider.
        wanted: What to look for; different identifiers.
        take: Called with each part of the result, from whichever thread runs the flow.
        planned: Ids of contacts of the plan, which a control uses last.
        control: Whether to check, where no contact is found, that the look-up can find one.
    """
    if way(provider, wanted) == "scan":
        return (yield from _scan(provider, wanted, take, control=control))
    shown = set[IdentifierKind]()  # kinds whose look-up was seen to find a contact
    for chunk in flows.chunks(wanted, CHUNK_SIZE):
        found = yield from operations.find(provider, chunk)
        shown |= {identifier.kind for identifier in found if found[identifier]}
        silent = [i for i in found if not (found[i] or i in found.mismatched)] if control else []
        doubts: Mapping[IdentifierKind, str] = {}
        if kinds := {i.kind for i in silent} - shown:
            doubts = yield from _doubts(provider, kinds, planned, proven=bool(shown))
            shown |= kinds - doubts.keys()
        take(LookUp(found, {i: doubts[i.kind] for i in silent if i.kind in doubts}))
    return 0


def by_identifier(
    provider: Provider, identifiers: Iterable[Identifier], *, planned: Container[str] = (), control: bool = False
) -> Flow[LookUp]:
    """Find every contact that has one of these identifiers, not too many; see `search`."""
    wanted = list(dict.fromkeys(identifiers))
    parts: list[LookUp] = []
    yield from search(provider, wanted, parts.append, planned=planned, control=control)
    unasked: dict[Identifier, str] = {}
    mismatched: dict[Identifier, int] = {}
    unproven: dict[Identifier, str] = {}
    matches: dict[Identifier, dict[str, Contact]] = {i: {} for i in wanted}
    for part in parts:
        unasked |= part.found.unasked
        mismatched |= part.found.mismatched
        unproven |= part.unproven
        for identifier, contacts in part.found.matches.items():
            matches[identifier] |= {contact.id: contact for contact in contacts}
    found = {i: tuple(contacts.values()) for i, contacts in matches.items() if i not in unasked}
    return LookUp(Found(found, unasked, mismatched), unproven)


def by_id(
    provider: Provider, ids: Collection[str], *, planned: Container[str] = (), control: bool = False
) -> Flow[ContactsRead]:
    """Return the contacts with these ids that exist. The arguments are as for `by_identifier`."""
    if isinstance(provider, GetsContacts):
        read = yield from operations.get_contacts(provider, ids)
        contacts = {contact_id: contact for contact_id, contact in read.items() if contact}
        doubt = (yield from _get_doubt(provider, planned)) if control and ids and not contacts else ""
        return ContactsRead(contacts, doubt)
    wanted, found, shown = set(ids), dict[str, Contact](), 0

    def take(contacts: Sequence[Contact]) -> None:
        nonlocal shown
        shown += len(contacts)
        found.update({contact.id: contact for contact in contacts if contact.id in wanted})

    if wanted:
        yield from flows.drain(operations.require(provider, Exports).contacts(None), take)
    doubt = (yield from _empty_doubt(provider)) if control and wanted and not shown else ""
    return ContactsRead(found, doubt)


def tells_lists(provider: Provider) -> bool:
    """Return whether contacts that are read by id certainly tell which lists they are on."""
    return isinstance(provider, GetsContacts) and not (
        isinstance(provider, Exports) and not provider.export_includes_lists
    )


def on_list(provider: Provider, list_id: str, ids: Collection[str], *, control: bool = False) -> Flow[ListMembers]:
    """Return which of these contacts are on a list, by the contacts' own lists or by reading the list.

    Raises:
        UnexpectedPayload: A contact lacks its lists, although this vendor always includes them.
    """
    if isinstance(provider, GetsContacts):
        read = yield from by_id(provider, ids, planned=ids, control=control)
        without_lists = [contact for contact in read.contacts.values() if contact.lists is None]
        if without_lists and tells_lists(provider):
            raise UnexpectedPayload("an answer leaves out which lists a contact is on", provider=provider.name)
        if not without_lists:
            on = {id for id, contact in read.contacts.items() if list_id in (contact.lists or ())}
            return ListMembers(on, read.unproven, contacts=read.contacts)
    members = _Ids()
    able = operations.require(provider, Exports)

    def take(contacts: Sequence[Contact]) -> None:
        if able.export_includes_lists and any(contact.lists is None for contact in contacts):
            raise UnexpectedPayload("an answer leaves out which lists a contact is on", provider=provider.name)
        members.add(contact.id for contact in contacts)

    yield from flows.drain(able.contacts(list_id), take)
    doubt = (yield from _list_doubt(provider, list_id)) if control and members.is_empty else ""
    return ListMembers(members, doubt, all_of_them=True)


def mismatch(found: Found, who: str) -> str:
    """Return what is wrong, if answers contain contacts without the identifier asked for; else empty."""
    if not found.mismatched:
        return ""
    contacts, asked = sum(found.mismatched.values()), len(found.mismatched)
    return f"{who} answered the look-up of {asked} identifier(s) with {contacts} contact(s) that do not have them"


def complete(account: str, flow: Flow[Any]) -> Flow[Any]:
    """Run the flow. An incomplete read makes the plan impossible.

    Raises:
        PlanRefused: The read was incomplete.
    """
    try:
        return (yield from flow)
    except (IncompleteExport, IncompleteSearch) as error:
        raise PlanRefused(
            f"{account} was not read completely, so contacts may be missing from the plan: {error}",
            hint="try again later",
        ) from error


def failure(error: ContactsError) -> str:
    """Return an error in words fit for a receipt: its kind and status, none of the vendor's text."""
    status = f" [{error.status}]" if isinstance(error, ProviderError) and error.status else ""
    return f"{type(error).__name__}{status}"


# -- scans, and the control of each way of reading ---------------------------------------------------------------------


def _scan(
    provider: Provider, wanted: Collection[Identifier], take: Callable[[LookUp], object], *, control: bool
) -> Flow[int]:
    """Read every contact. One contact with an identifier proves that the vendor returns identifiers."""
    scanned = known = 0

    def match(contacts: Sequence[Contact]) -> None:
        nonlocal scanned, known
        scanned += len(contacts)
        matches: dict[Identifier, dict[str, Contact]] = {}
        for contact in contacts:
            known += bool(contact.identifiers)
            for identifier in contact.identifiers:
                if identifier in wanted:
                    matches.setdefault(identifier, {})[contact.id] = contact
        if matches:
            take(LookUp(Found({i: tuple(having.values()) for i, having in matches.items()})))

    if not wanted:
        return 0
    yield from flows.drain(operations.require(provider, Exports).contacts(None), match)
    if control and not known:
        doubt = "no contact was shown with an identifier" if scanned else (yield from _empty_doubt(provider))
        for chunk in flows.chunks(wanted, CHUNK_SIZE) if doubt else ():
            take(LookUp(Found({}), dict.fromkeys(chunk, doubt)))
    return scanned


def _sample(provider: Provider, planned: Container[str]) -> Flow[tuple[Sequence[Contact], str]]:
    """Return contacts that exist now, those outside the plan first, or the reason why none could be read.

    No contact and no reason means that the account is empty.
    """
    if not isinstance(provider, Exports):
        return (), NO_CONTROL
    try:
        sample = yield from provider.sample()
    except ContactsError as error:
        return (), f"the look-up could not be checked: {failure(error)}"
    if sample is None:
        return (), NO_CONTROL
    return sorted(sample, key=lambda contact: contact.id in planned), ""


def _empty_doubt(provider: Provider) -> Flow[str]:
    """Return why a scan without contacts does not prove that the account is empty."""
    sample, doubt = yield from _sample(provider, ())
    return CONTROL_FAILED if sample else doubt


def _get_doubt(provider: GetsContacts, planned: Container[str]) -> Flow[str]:
    sample, doubt = yield from _sample(provider, planned)
    for contact in sample[:CONTROL_CANDIDATES]:
        try:
            read = yield from operations.get_contacts(provider, [contact.id])
        except ContactsError as error:
            return f"the look-up could not be checked: {failure(error)}"
        if read[contact.id]:
            return ""
        doubt = CONTROL_FAILED
    return doubt


def _doubts(
    provider: Provider, kinds: Collection[IdentifierKind], planned: Container[str], *, proven: bool
) -> Flow[dict[IdentifierKind, str]]:
    """Return why a look-up without contacts proves nothing, by kind of identifier.

    Each kind is checked with a contact that has one. If no contact of the sample has, the look-up of another kind
    stands for it.

    Args:
        provider: The account's provider.
        kinds: Kinds of identifiers for which no contact was found.
        planned: Ids of contacts of the plan.
        proven: Whether the look-up of another kind found a contact already.
    """
    if not kinds:
        return {}
    sample, doubt = yield from _sample(provider, planned)
    if not sample:
        return dict.fromkeys(kinds, doubt) if doubt and not proven else {}
    finder = operations.require(provider, FindsContacts)
    having: dict[IdentifierKind, list[tuple[Identifier, Contact]]] = {}
    for contact in sample:
        for identifier in contact.identifiers:
            if identifier.kind not in finder.find_kinds:
                continue
            if identifier.value.strip() and not finder.cannot_find(identifier):
                having.setdefault(identifier.kind, []).append((identifier, contact))
    doubts: dict[IdentifierKind, str] = {}
    checked = [kind for kind in kinds if kind in having] or ([] if proven else list(having)[:1])
    for kind in checked:
        doubts[kind] = yield from _find_doubt(finder, having[kind][:CONTROL_CANDIDATES])
    other = NO_CONTROL if not (checked or proven) else next((d for d in doubts.values() if d), "")
    return {kind: doubt for kind in kinds if (doubt := doubts.get(kind, other))}


def _find_doubt(provider: FindsContacts, candidates: Sequence[tuple[Identifier, Contact]]) -> Flow[str]:
    for identifier, contact in candidates:
        try:
            found = yield from operations.find(provider, [identifier])
        except ContactsError as error:
            return f"the look-up could not be checked: {failure(error)}"
        if any(match.id == contact.id for match in found.matches[identifier]):
            return ""
    return CONTROL_FAILED


def _list_doubt(provider: Provider, list_id: str) -> Flow[str]:
    """Return why a list without contacts is not proved to be empty. The vendor must still know the list."""
    if not isinstance(provider, ReadsLists):
        return NO_CONTROL
    try:
        known = yield from operations.lists(provider)
    except ContactsError as error:
        return f"the list could not be checked: {failure(error)}"
    return "" if any(item.id == list_id for item in known) else "the vendor does not know the list any more"
