"""Read contacts: all of them, by id, by identifier; count them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from math import ceil

from contacts_core.errors import UnexpectedPayload
from contacts_core.models import Contact, Count, Found, Identifier
from contacts_core.operations.checks import check_id, require, several
from contacts_core.operations.lists import resolve_lists
from contacts_core.provider import (
    Counts,
    Exports,
    ExportsFiles,
    FindsContacts,
    FindsContactsByScan,
    Flow,
    GetsContacts,
    Provider,
    Stream,
    flows,
)
from contacts_core.provider.capabilities import found_by_scan


def export(provider: Provider, lists: Iterable[str]) -> Stream[Contact]:
    """Read every contact, or those on any of the lists, each once."""
    able = require(provider, Exports)
    chosen = yield from resolve_lists(able, lists)
    if len(chosen) <= 1:
        yield from able.contacts(chosen[0] if chosen else None)
        return
    seen: set[str] = set()

    def new(contacts: Sequence[Contact]) -> list[Contact]:
        fresh = [c for c in contacts if c.id not in seen]
        seen.update(c.id for c in fresh)
        return fresh

    for list_id in chosen:
        yield from flows.through(able.contacts(list_id), new)


def export_requests(provider: Exports, contacts: int = 0) -> int:
    """Return how many requests it takes to read this many contacts, at least."""
    if isinstance(provider, ExportsFiles):
        return provider.export_requests
    return max(1, ceil(contacts / provider.page_size))


def get_contacts(provider: Provider, ids: Iterable[str]) -> Flow[dict[str, Contact | None]]:
    """Read contacts by id; None for those that do not exist.

    Raises:
        InvalidInput: An id must not be sent; nothing was sent.
        UnexpectedPayload: The answer has contacts that were not asked for.
    """
    able = require(provider, GetsContacts)
    wanted = list(dict.fromkeys(several(ids)))
    for contact_id in wanted:
        check_id(able, contact_id)

    def read(chunk: Sequence[str]) -> Flow[Sequence[Contact]]:
        found = yield from able.get_contacts(chunk)
        if others := {contact.id for contact in found} - set(chunk):
            raise UnexpectedPayload(
                f"the answer holds {len(others)} contact(s) that were not asked for",
                provider=able.name,
                operation="get_contacts",
                hint="pass ids exactly as the vendor gave them; if they are, its answers cannot be trusted now",
            )
        return found

    contacts = yield from flows.read_chunks(wanted, able.get_batch_size, able.concurrency, read)
    by_id = {contact.id: contact for contact in contacts}
    return {contact_id: by_id.get(contact_id) for contact_id in wanted}


def find(provider: Provider, identifiers: Iterable[Identifier]) -> Flow[Found]:
    """Find contacts by exact identifier; contacts without the identifier they are said to answer are left out."""
    able = require(provider, FindsContacts)
    everything = list(dict.fromkeys(identifiers))
    scan = scans(able, everything)
    unasked: dict[Identifier, str] = {}
    matches: dict[Identifier, dict[str, Contact]] = {}
    for each in everything:
        if reason := _cannot_find(able, each, scan=scan):
            unasked[each] = reason
        else:
            matches[each] = {}
    mismatched: dict[Identifier, set[str]] = {}
    wanted = list(matches)
    if scan:  # one pass answers all of them
        groups = [wanted] if wanted else []
    else:
        wanted.sort(key=_kind_of)
        groups = [list(group) for _, group in groupby(wanted, key=_kind_of)]
    for group in groups:
        if scan:
            pairs = yield from _scanned(able, group)
        else:
            pairs = yield from flows.read_chunks(group, able.find_batch_size, able.concurrency, able.find)
        for identifier, contact in pairs:
            if isinstance(contact, str):
                unasked[identifier] = contact
            elif identifier in contact.identifiers:
                matches[identifier][contact.id] = contact
            else:
                mismatched.setdefault(identifier, set()).add(contact.id)
    return Found(
        {each: tuple(found.values()) for each, found in matches.items() if not (unasked and each in unasked)},
        unasked,
        {identifier: len(ids) for identifier, ids in mismatched.items()},
    )


def looks_up(provider: FindsContacts, identifier: Identifier) -> bool:
    """Return whether a provider can look an identifier of this kind up, without reading every contact."""
    return identifier.kind in provider.find_kinds and not isinstance(provider, FindsContactsByScan)


def scans(provider: Provider, identifiers: Iterable[Identifier]) -> bool:
    """Return whether these identifiers are found by reading every contact: then one pass answers all of them."""
    if isinstance(provider, FindsContactsByScan):
        return True
    if not isinstance(provider, Exports):
        return False
    return not isinstance(provider, FindsContacts) or any(each.kind not in provider.find_kinds for each in identifiers)


def _scanned(
    provider: FindsContacts, identifiers: Sequence[Identifier]
) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
    if not isinstance(provider, FindsContactsByScan) and isinstance(provider, Exports):
        return (yield from found_by_scan(provider, identifiers))
    return (yield from provider.find(identifiers))


def _cannot_find(provider: FindsContacts, identifier: Identifier, *, scan: bool) -> str:
    if not identifier.value.strip():
        return "the identifier is blank"
    if scan and not isinstance(provider, FindsContactsByScan):
        return ""
    if identifier.kind not in provider.find_kinds:
        return f"{provider.title or provider.name} cannot look up this kind of identifier"
    return provider.cannot_find(identifier)


def _kind_of(identifier: Identifier) -> tuple[str, str]:
    return identifier.compared_by[0], identifier.key


def count(provider: Provider) -> Flow[Count]:
    """Count the contacts of the account, and tell where the number comes from."""
    return (yield from require(provider, Counts).count())
