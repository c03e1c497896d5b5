"""Search, by the vendor or by reading every contact."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from attrs import evolve

from contacts_core.errors import IncompleteSearch, UnexpectedPayload, UnsupportedOperation
from contacts_core.models import Contact, Explanation, Strategy
from contacts_core.operations.checks import require
from contacts_core.operations.lists import list_ids
from contacts_core.operations.reading import export_requests
from contacts_core.provider import (
    Counts,
    CountsByPaging,
    Emit,
    Exports,
    ExportsFiles,
    Flow,
    Provider,
    Searches,
    Stream,
    flows,
)
from contacts_core.query import Compare, Op, Query, RawQuery, replaced, walk


def search(provider: Provider, query: Query, *, scan: bool) -> Stream[Contact]:
    """Return the contacts that match: by the vendor's search if it has one, otherwise by reading every contact.

    Raises:
        IncompleteSearch: The vendor returned only some of the matches, and no scan is allowed or possible.
    """
    query = yield from _with_list_ids(provider, query)
    native = provider.translate(query) if isinstance(provider, Searches) else None
    only_native = any(isinstance(part, RawQuery) for part in walk(query))
    if native is not None and isinstance(provider, Searches):
        sample = yield from provider.search(native)
        matching = [c for c in sample.contacts if only_native or query.matches(c)]
        if sample.total is not None and len(sample.contacts) >= sample.total:
            yield Emit(matching)
            return
        if only_native or not scan:
            hint = "narrow the query" if only_native else "narrow the query, or pass scan=True to read every contact"
            raise IncompleteSearch(matching, sample.total, hint=hint)
    _portable(provider, query)
    yield from _scan(require(provider, Exports), query)


def _portable(provider: Provider, query: Query) -> None:
    if any(isinstance(part, RawQuery) for part in walk(query)):
        raise UnsupportedOperation(f"{provider.name} has no query language of its own", hint="use F.… instead")


def _scan(provider: Exports, query: Query) -> Stream[Contact]:
    """Read every contact and keep those that match; if contacts come without their lists, read those lists too."""
    members: dict[str, set[str]] = {}
    asks_for_lists = any(isinstance(part, Compare) and part.field == "list" for part in walk(query))
    if not provider.export_includes_lists:
        for list_id in _lists_asked_for(provider, query):
            ids = members[list_id] = set[str]()
            yield from flows.drain(provider.contacts(list_id), partial(_note_ids, ids))

    def matches(contact: Contact) -> bool:
        if contact.lists is None and asks_for_lists and provider.export_includes_lists:
            raise _untold_lists(provider)
        if contact.lists is None:
            contact = evolve(contact, lists=tuple(one for one, ids in members.items() if contact.id in ids))
        return query.matches(contact)

    yield from flows.through(provider.contacts(None), lambda contacts: [c for c in contacts if matches(c)])


def _untold_lists(provider: Provider) -> UnexpectedPayload:
    return UnexpectedPayload(
        "an answer leaves out which lists a contact is on, so the members of the list are not known",
        provider=provider.name,
    )


def _note_ids(ids: set[str], contacts: Sequence[Contact]) -> None:
    ids.update(contact.id for contact in contacts)


def _lists_asked_for(provider: Provider, query: Query) -> list[str]:
    asked = [part for part in walk(query) if isinstance(part, Compare) and part.field == "list"]
    if any(part.op is not Op.EQ for part in asked):
        raise UnsupportedOperation(f"{provider.name} can search a list by its exact id only")
    return sorted({str(part.value) for part in asked})


def explain(provider: Provider, query: Query) -> Flow[Explanation]:
    """Tell how `search` would answer, and what it costs; reads at most the lists and a count."""
    query = yield from _with_list_ids(provider, query)
    native = provider.translate(query) if isinstance(provider, Searches) else None
    if native is None:
        _portable(provider, query)
    else:
        return Explanation(Strategy.NATIVE, 1, native.text, "the vendor can answer this itself")
    able = require(provider, Exports)
    if isinstance(able, ExportsFiles):
        lists = 0 if able.export_includes_lists else len(_lists_asked_for(able, query))
        reason = "the vendor cannot express this: one export job for all contacts and one for each list in the query"
        return Explanation(Strategy.SCAN, export_requests(able) * (1 + lists), reason=reason)
    reason = f"the vendor cannot express this: pages of {able.page_size}, filtered here"
    if isinstance(provider, CountsByPaging) or not isinstance(able, Counts):
        return Explanation(Strategy.SCAN, None, reason=f"{reason}; how many is known only after reading them")
    count = yield from able.count()
    return Explanation(Strategy.SCAN, export_requests(able, count), reason=reason)


def _with_list_ids(provider: Provider, query: Query) -> Flow[Query]:
    """Return the query with lists by id instead of by name."""
    named = list(dict.fromkeys(str(p.value) for p in walk(query) if isinstance(p, Compare) and p.field == "list"))
    if not named or any(isinstance(p, Compare) and p.field == "list" and p.op is not Op.EQ for p in walk(query)):
        return query
    ids = yield from list_ids(provider, named)
    return replaced(query, lambda part: evolve(part, value=ids[str(part.value)]) if part.field == "list" else part)
