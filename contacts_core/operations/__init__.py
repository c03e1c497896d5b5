"""The library's own flows, one for each method of the clients. Pure: no I/O, no clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from datetime import date
from functools import partial
from itertools import groupby
from math import ceil, isfinite
from operator import attrgetter
from typing import Any, NoReturn, TypeVar
from urllib.parse import unquote

from attrs import astuple, evolve

from contacts_core.errors import (
    Cancelled,
    ContactsError,
    IncompleteSearch,
    Interrupted,
    InvalidInput,
    JobTimeout,
    NotFound,
    UnexpectedPayload,
    UnsupportedOperation,
)
from contacts_core.models import (
    Contact,
    ContactList,
    Count,
    Explanation,
    Failure,
    FieldDefinition,
    Found,
    Identifier,
    Job,
    Outcome,
    Strategy,
)
from contacts_core.provider import (
    AddsToLists,
    Blocking,
    Counts,
    CountsByPaging,
    CreatesLists,
    DeletesAllContacts,
    DeletesContacts,
    DeletesLists,
    Emit,
    Exports,
    ExportsFiles,
    FindsContacts,
    FindsContactsByScan,
    Flow,
    GetsContacts,
    Provider,
    QueuesJobs,
    ReadsCustomFields,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    Request,
    Searches,
    Sleep,
    Stream,
    TakesIdentifiers,
    UpsertsContacts,
    flows,
)
from contacts_core.query import Compare, Op, Query, RawQuery, replaced, walk

T = TypeVar("T")
C = TypeVar("C", bound=Provider)
Member = str | Identifier

WriteGuard = Callable[[Sequence[Contact]], Sequence[str]]
"""Called before contacts are written; gives for each why it must not be, or an empty string. It may block."""

LONGEST_NAME = 100  # characters of a list's name that a message repeats
REPEATABLE = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}  # idempotent by RFC 9110, section 9.2.2


def require(provider: Provider, capability: type[C]) -> C:
    """The provider, as one that has the capability.

    Raises:
        UnsupportedOperation: It does not declare it.
    """
    if isinstance(provider, capability):
        return provider
    what = (capability.__doc__ or capability.__name__).splitlines()[0].rstrip(".").lower()
    raise UnsupportedOperation(
        f"{provider.name} cannot {what}", hint="`contacts providers` shows what each provider can do"
    )


# -- deleting and removing -------------------------------------------------------------------------------------------


def delete_contacts(provider: Provider, ids: Iterable[str]) -> Flow[Outcome]:
    """Delete contacts by id; ids that must not be sent become failures, and nothing is sent for them."""
    able = require(provider, DeletesContacts)
    good, refused = _sorted_out(able, ids)
    operation = "delete_contacts"
    return (
        yield from flows.in_chunks(
            operation, able.name, good, able.delete_batch_size, able.concurrency, able.delete_contacts, str, refused
        )
    )


def delete_all_contacts(provider: Provider, confirm: str, names: Sequence[str]) -> Flow[Outcome]:
    """Delete every contact of the account, if ``confirm`` is its exact name."""
    able = require(provider, DeletesAllContacts)
    if confirm not in names:
        raise InvalidInput(
            "delete_all_contacts was not confirmed, nothing was sent",
            hint=f"pass confirm={names[0]!r} to go on",
        )
    outcome = yield from able.delete_all_contacts()
    return evolve(outcome, operation="delete_all_contacts", provider=able.name)


def remove_identifier(provider: Provider, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
    """Remove one identifier from one contact."""
    able = require(provider, RemovesIdentifiers)
    _checked(able, contact_id)
    if not identifier.value.strip():
        raise InvalidInput("the identifier is blank")
    outcome = yield from able.remove_identifier(contact_id, identifier)
    return evolve(outcome, operation="remove_identifier", provider=able.name)


def remove_from_list(
    provider: Provider, list_: str, members: Iterable[Member], *, resolved: bool = False
) -> Flow[Outcome]:
    """Take members off a list, named by id or name; they stay contacts. ``resolved``: it is an id known to exist."""
    able = require(provider, RemovesFromLists)
    return (yield from _change_list(able, "remove_from_list", list_, members, able.remove_from_list, resolved))


def add_to_list(provider: Provider, list_: str, members: Iterable[Member]) -> Flow[Outcome]:
    """Put members on a list, named by id or name."""
    able = require(provider, AddsToLists)
    return (yield from _change_list(able, "add_to_list", list_, members, able.add_to_list, resolved=False))


def _change_list(
    provider: Provider,
    operation: str,
    list_: str,
    members: Iterable[Member],
    change: Callable[[str, Sequence[Member]], Flow[Outcome]],
    resolved: bool,  # noqa: FBT001 - private, and named where it is given
) -> Flow[Outcome]:
    _named(list_)
    everyone = list(_several(members))
    identifiers = [m for m in everyone if isinstance(m, Identifier) and m.value.strip()]
    blank = (m.value for m in everyone if isinstance(m, Identifier) and not m.value.strip())
    ids, refused = _sorted_out(provider, [*(m for m in everyone if isinstance(m, str)), *blank])
    if not (ids or identifiers):
        return evolve(refused, operation=operation, provider=provider.name)
    (list_id,) = (list_,) if resolved else (yield from resolve_lists(provider, [list_]))
    unknown = Outcome(operation=operation)
    targets: list[Member] = [*ids, *dict.fromkeys(identifiers)]
    if identifiers and not isinstance(provider, TakesIdentifiers):
        found = yield from find(provider, identifiers)
        unknown = _not_found(operation, found)
        targets = list(dict.fromkeys([*ids, *(c.id for i in found for c in found.get_all(i))]))
    return (
        yield from flows.in_chunks(
            operation,
            provider.name,
            targets,
            provider.member_batch_size,
            provider.concurrency,
            lambda chunk: change(list_id, chunk),
            lambda member: member.value if isinstance(member, Identifier) else member,
            Outcome.merge(operation, provider.name, [refused, unknown]),
        )
    )


def _not_found(operation: str, found: Found) -> Outcome:
    """The identifiers that led to no contact: absent where the vendor said so, failed where it is not known."""
    absent = tuple(i.value for i in found if not (found[i] or i in found.mismatched))
    failed = [Failure(i.value, f"not looked up: {reason}") for i, reason in found.unasked.items()]
    failed += [
        Failure(i.value, f"not sent: the vendor answered the look-up with {found.mismatched[i]} other contact(s)")
        for i in found
        if i in found.mismatched and not found[i]
    ]
    return Outcome(operation=operation, requested=len(absent) + len(failed), absent=absent, failed=tuple(failed))


# -- reading ---------------------------------------------------------------------------------------------------------


def search(provider: Provider, query: Query, *, scan: bool) -> Stream[Contact]:
    """Contacts that match; the vendor's own answer where it has one, else every contact, filtered.

    Raises:
        IncompleteSearch: The vendor answered with a sample, and no scan is allowed or possible.
    """
    query = yield from _with_list_ids(provider, query)
    native = provider.translate(query) if isinstance(provider, Searches) else None
    only_native = any(isinstance(part, RawQuery) for part in walk(query))
    if native is not None and isinstance(provider, Searches):
        sample = yield from provider.search(native)
        matching = [c for c in sample.contacts if only_native or query.matches(c)]
        if len(sample.contacts) >= sample.total:
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
    """Read every contact and keep those that match; where contacts come without their lists, read those lists too."""
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
        "an answer leaves out which lists a contact is on, so nobody knows who is on the list", provider=provider.name
    )


def _note_ids(ids: set[str], contacts: Sequence[Contact]) -> None:
    ids.update(contact.id for contact in contacts)


def _lists_asked_for(provider: Provider, query: Query) -> list[str]:
    asked = [part for part in walk(query) if isinstance(part, Compare) and part.field == "list"]
    if any(part.op is not Op.EQ for part in asked):
        raise UnsupportedOperation(f"{provider.name} can only be asked for a list by its exact id")
    return sorted({str(part.value) for part in asked})


def explain(provider: Provider, query: Query) -> Flow[Explanation]:
    """Tell how `search` would answer, and what it costs; asks at most for the lists and a count."""
    query = yield from _with_list_ids(provider, query)
    native = provider.translate(query) if isinstance(provider, Searches) else None
    if native is None:
        _portable(provider, query)
    else:
        return Explanation(Strategy.NATIVE, 1, native.text, "the vendor can answer this itself")
    able = require(provider, Exports)
    if isinstance(able, ExportsFiles):
        lists = 0 if able.export_includes_lists else len(_lists_asked_for(able, query))
        reason = "the vendor cannot express this: one export job for each list asked for and one for all contacts"
        return Explanation(Strategy.SCAN, 4 * (1 + lists), reason=f"{reason}, each start, status, file, fields")
    reason = f"the vendor cannot express this: pages of {able.page_size}, filtered here"
    if isinstance(provider, CountsByPaging) or not isinstance(able, Counts):
        return Explanation(Strategy.SCAN, None, reason=f"{reason}; how many, only reading tells")
    count = yield from able.count()
    return Explanation(Strategy.SCAN, max(1, ceil(count / able.page_size)), reason=reason)


def export(provider: Provider, lists: Iterable[str]) -> Stream[Contact]:
    """Every contact, or those on any of the lists, each once."""
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


def get_contacts(provider: Provider, ids: Iterable[str]) -> Flow[dict[str, Contact | None]]:
    """Contacts by id; None for those that do not exist. An id that must not be sent raises before any request."""
    able = require(provider, GetsContacts)
    wanted = list(dict.fromkeys(_several(ids)))
    for contact_id in wanted:
        _checked(able, contact_id)

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
    """Contacts by exact identifier. What cannot be asked is not sent; who does not have the identifier is no answer."""
    able = require(provider, FindsContacts)
    everything = list(dict.fromkeys(identifiers))
    unasked = {i: reason for i in everything if (reason := _cannot_find(able, i))}
    matches: dict[Identifier, dict[str, Contact]] = {i: {} for i in everything if i not in unasked}
    mismatched: dict[Identifier, set[str]] = {}
    wanted = list(matches)
    if isinstance(able, FindsContactsByScan):  # one pass answers all of them
        groups = [wanted] if wanted else []
    else:
        wanted.sort(key=_sort_of)
        groups = [list(group) for _, group in groupby(wanted, key=_sort_of)]
    for group in groups:
        size = len(group) if isinstance(able, FindsContactsByScan) else able.find_batch_size
        pairs = yield from flows.read_chunks(group, size, able.concurrency, able.find)
        for identifier, contact in pairs:
            if isinstance(contact, str):
                unasked[identifier] = contact
            elif identifier in contact.identifiers:
                matches[identifier][contact.id] = contact
            else:
                mismatched.setdefault(identifier, set()).add(contact.id)
    return Found(
        {identifier: tuple(found.values()) for identifier, found in matches.items() if identifier not in unasked},
        unasked,
        {identifier: len(ids) for identifier, ids in mismatched.items()},
    )


def _cannot_find(provider: FindsContacts, identifier: Identifier) -> str:
    return provider.cannot_find(identifier) if identifier.value.strip() else "the identifier is blank"


def _sort_of(identifier: Identifier) -> tuple[str, str]:
    return identifier.kind.value, identifier.key


def count(provider: Provider) -> Flow[Count]:
    """How many contacts the account has, and how that is known."""
    return (yield from require(provider, Counts).count())


# -- lists and fields ------------------------------------------------------------------------------------------------


def lists(provider: Provider) -> Flow[list[ContactList]]:
    """Every list."""
    return (yield from flows.gather(require(provider, ReadsLists).lists_page))


def resolve_lists(provider: Provider, lists: Iterable[str]) -> Flow[list[str]]:
    """The ids of these lists, each once; a list is named by its id or by its exact name.

    Raises:
        InvalidInput: There is no such list, or several have that name.
    """
    ids = yield from _list_ids(provider, lists)
    return list(dict.fromkeys(ids.values()))


def _list_ids(provider: Provider, lists: Iterable[str]) -> Flow[dict[str, str]]:
    """The id of each list, by what it was named by."""
    named = list(dict.fromkeys(_several(lists)))
    for each in named:
        _named(each)
    if not named:
        return {}
    if not isinstance(provider, ReadsLists):
        for each in named:
            _checked(provider, each)
        return dict(zip(named, named, strict=True))
    known = yield from flows.gather(provider.lists_page)
    return {each: _list_id(each, known) for each in named}


def _list_id(name: str, known: Sequence[ContactList]) -> str:
    """The id of the list of this id or name."""
    if any(each.id == name for each in known):
        return name
    ids = {each.id for each in known if each.name == name}
    if len(ids) == 1:
        return ids.pop()
    if ids:
        raise InvalidInput(f"{len(ids)} lists are named {name!r}", hint="name the list by its id")
    raise InvalidInput(
        f"there is no list {name[:LONGEST_NAME]!r}", hint="`lists` gives the ids and names of the lists there are"
    )


def _named(list_: str) -> None:
    if not list_.strip():
        raise InvalidInput("the list is blank", hint="name it by its id or its name")


def _with_list_ids(provider: Provider, query: Query) -> Flow[Query]:
    """The query with lists by id where it names them by name."""
    named = list(dict.fromkeys(str(p.value) for p in walk(query) if isinstance(p, Compare) and p.field == "list"))
    if not named or any(isinstance(p, Compare) and p.field == "list" and p.op is not Op.EQ for p in walk(query)):
        return query
    ids = yield from _list_ids(provider, named)
    return replaced(query, lambda part: evolve(part, value=ids[str(part.value)]) if part.field == "list" else part)


def create_list(provider: Provider, name: str) -> Flow[ContactList]:
    """Create a list."""
    able = require(provider, CreatesLists)
    if not name.strip():
        raise InvalidInput("the name of the list is blank")
    return (yield from able.create_list(name))


def delete_list(provider: Provider, list_: str) -> Flow[Outcome]:
    """Delete a list, named by id or name; its contacts stay."""
    able = require(provider, DeletesLists)
    (list_id,) = yield from resolve_lists(able, [list_])
    try:
        outcome = yield from able.delete_list(list_id)
    except NotFound:
        outcome = Outcome(operation="", requested=1, absent=(list_id,))
    return evolve(outcome, operation="delete_list", provider=able.name)


def custom_fields(provider: Provider) -> Flow[list[FieldDefinition]]:
    """Every custom field."""
    return (yield from flows.gather(require(provider, ReadsCustomFields).custom_fields_page))


# -- writing and waiting ---------------------------------------------------------------------------------------------


def upsert_contacts(
    provider: Provider,
    contacts: Iterable[Contact],
    lists: Iterable[str],
    guard: WriteGuard | None = None,
) -> Flow[Outcome]:
    """Create or update contacts, a batch at a time, so that any number of them passes through in constant memory.

    Contacts for which ``guard`` gives a reason are not sent; they come back as failures that name their row. Contacts
    that share an identifier are sent one after the other, so that the later ones change what the first one made. Each
    is put on the ``lists`` and on those that it names itself, by id or name.

    Raises:
        Interrupted: It stopped on the way; contacts behind the batch it stopped in were not taken from ``contacts``.
    """
    able = require(provider, UpsertsContacts)
    targets = yield from resolve_lists(able, lists)
    directory = _Directory(able)
    total = Outcome(operation="upsert_contacts", provider=able.name)
    rest = iter(contacts)
    position = 0
    for everyone in flows.chunks(rest, max(able.upsert_batch_size, able.concurrency)):
        try:
            yield from directory.look_up(everyone)
            reasons = [""] * len(everyone) if guard is None else (yield from Blocking(partial(guard, everyone)))
        except ContactsError as error:
            if not (total.requested or isinstance(error, Cancelled)):
                raise
            error.unclear = False  # nothing of this batch was sent
            _raise_stopped(error, total, everyone, rest if isinstance(contacts, Sized) else ())
        reasons = [
            f"is held back, {why}" if why else _unsendable(c) or directory.unknown(c)
            for c, why in zip(everyone, reasons, strict=True)
        ]
        batch = [contact for contact, reason in zip(everyone, reasons, strict=True) if not reason]
        failed = tuple(
            Failure(contact.display_id, f"not sent: row {row} {reason}")
            for row, (contact, reason) in enumerate(zip(everyone, reasons, strict=True), position + 1)
            if reason
        )
        position += len(everyone)
        held = Outcome(operation=total.operation, requested=len(failed), failed=failed)
        total = Outcome.merge(total.operation, able.name, [total, held])
        groups = _groups(batch, directory.lists_of)
        for number, (own_lists, group) in enumerate(groups):
            joined = list(dict.fromkeys([*targets, *own_lists]))
            try:
                part = yield from flows.in_chunks(
                    total.operation,
                    able.name,
                    group,
                    able.upsert_batch_size,
                    able.concurrency,
                    partial(_upsert, able, joined, directory),
                    attrgetter("display_id"),
                )
            except ContactsError as error:
                remaining = [contact for _, later in groups[number + 1 :] for contact in later]
                remaining += list(rest) if isinstance(contacts, Sized) else []
                _raise_stopped(error, total, group, remaining)
            total = Outcome.merge(total.operation, able.name, [total, part])
    return total


def _raise_stopped(
    error: ContactsError, before: Outcome, batch: Sequence[Contact], remaining: Iterable[Contact]
) -> NoReturn:
    """Raise the error of a batch, with the outcome of the batches before it if there were any."""
    whole = flows.continued(error, before, batch, list(remaining))
    if whole is error:
        raise error
    raise whole from (error.__cause__ if isinstance(error, Interrupted) else error)


def _upsert(
    provider: UpsertsContacts, lists: Sequence[str], directory: _Directory, contacts: Sequence[Contact]
) -> Flow[Outcome]:
    # The id of another vendor's contact means nothing here, and neither do its lists.
    ours = [c if c.provider in {"", provider.name} else evolve(c, provider="", id="", lists=None) for c in contacts]
    outcome = yield from provider.upsert_contacts(ours, lists)
    # When a contact was made or changed is the vendor's to say: what another one said has no place.
    foreign = [contact for contact in contacts if contact.provider != provider.name]
    lost = [name for name in ("created_at", "updated_at") if any(getattr(contact, name) for contact in foreign)]
    lost += ["lists"] if any(contact.lists and contact.provider for contact in foreign) else []
    lost += sorted({f"list {name}" for contact in contacts for name in directory.lost(contact)})
    return evolve(outcome, dropped_fields=tuple(dict.fromkeys([*outcome.dropped_fields, *lost])))


def _unsendable(contact: Contact) -> str:
    """Why a contact cannot be written as JSON without a loss; empty if it can. One such would stop all the others."""
    extra = (value for value in contact.extra.values() if isinstance(value, str))
    place = astuple(contact.address) if contact.address else ()
    values: list[object] = [i.value for i in contact.identifiers]
    values += [contact.first_name, contact.last_name, contact.full_name, contact.organization, contact.title]
    values += [*contact.tags, *place, *extra, *contact.custom, *contact.custom.values()]
    for value in values:
        for part in value if isinstance(value, tuple | list) else (value,):
            match part:
                case str():
                    if not part.isascii() and any("\ud800" <= character <= "\udfff" for character in part):
                        return "holds half a character, which cannot be sent"
                case float():
                    if not isfinite(part):
                        return "holds a number that is not finite, which cannot be sent"
                case None | int() | date():
                    pass
                case _:
                    return f"holds a value of the type {type(part).__name__}, which cannot be sent"
    return ""


class _Directory:
    """The lists that contacts name themselves, by id or name.

    Those of another vendor's contacts mean nothing here. A contact that was read from this vendor may come from another
    account, or its list may be deleted by now: it is written without, and the list is named as lost. Whoever made a
    contact and named a list that is not there made a mistake: the contact is not sent.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._known: list[ContactList] | None = None
        self._ids: dict[str, str] = {}
        self._wrong: dict[str, str] = {}

    def look_up(self, contacts: Sequence[Contact]) -> Flow[None]:
        """Learn the ids of the lists that these contacts name; the vendor is asked once at the most."""
        named = {name for contact in contacts for name in self._named(contact)}
        new = sorted(named - self._ids.keys() - self._wrong.keys())
        if new and self._known is None and isinstance(self._provider, ReadsLists):
            self._known = yield from flows.gather(self._provider.lists_page)
        for name in new:
            try:
                self._ids[name] = name if self._known is None else _list_id(name, self._known)
            except InvalidInput as error:
                self._wrong[name] = str(error)

    def unknown(self, contact: Contact) -> str:
        """What is wrong with a list that the contact names; empty if nothing is."""
        if contact.provider:
            return ""
        return next((f"names a list: {self._wrong[name]}" for name in self._named(contact) if name in self._wrong), "")

    def lost(self, contact: Contact) -> list[str]:
        """The lists that the contact names and that are not here."""
        return [name for name in self._named(contact) if name in self._wrong]

    def lists_of(self, contact: Contact) -> tuple[str, ...]:
        """The ids of the lists that the contact names."""
        return tuple(sorted({self._ids[name] for name in self._named(contact) if name in self._ids}))

    def _named(self, contact: Contact) -> tuple[str, ...]:
        return (contact.lists or ()) if contact.provider in {"", self._provider.name} else ()


def _groups(
    contacts: Iterable[Contact], lists_of: Callable[[Contact], tuple[str, ...]]
) -> list[tuple[tuple[str, ...], list[Contact]]]:
    """Contacts that may be sent side by side: they go to the same lists, and no two share an identifier or id.

    The groups are in order: who shares an identifier with somebody stands in a later one.
    """
    waves: list[dict[tuple[str, ...], list[Contact]]] = []
    taken: dict[object, int] = {}
    for contact in contacts:
        known_by: list[object] = [*contact.identifiers, *([contact.id] if contact.id else [])]
        wave = max((taken[each] + 1 for each in known_by if each in taken), default=0)
        taken.update((each, wave) for each in known_by)
        if wave == len(waves):
            waves.append({})
        waves[wave].setdefault(lists_of(contact), []).append(contact)
    return [group for wave in waves for group in wave.items()]


def get_job(provider: Provider, job: Job | str) -> Flow[Job]:
    """The job as the vendor sees it now; providers without jobs have nothing left to do."""
    known = Job(provider=provider.name, id=job) if isinstance(job, str) else job
    if known.provider != provider.name:
        raise InvalidInput(f"job {known.id} belongs to {known.provider}, not to {provider.name}")
    able = require(provider, QueuesJobs)
    _checked(able, known.id)
    seen = yield from able.get_job(known)
    # What was asked for, only the caller knows for sure.
    return evolve(seen, operation=known.operation or seen.operation, requested=known.requested or seen.requested)


def wait(provider: Provider, jobs: Sequence[Job], timeout: float) -> Flow[list[Job]]:
    """Look at the jobs, with pauses, until the vendor has finished all of them.

    Raises:
        JobTimeout: ``timeout`` seconds of pauses went by; it carries the first job that is still pending.
    """
    known = list(jobs)
    waited, pauses = 0.0, flows.pauses(provider.poll_interval)
    while open_jobs := [n for n, job in enumerate(known) if not job.finished]:
        if waited >= timeout:
            job = known[open_jobs[0]]
            raise JobTimeout(
                f"{len(open_jobs)} job(s) of {provider.name} still pending after {waited:.0f} s",
                job,
                hint=f"nothing is lost: check job {job.id} again later",
            )
        pause = min(next(pauses), timeout - waited)
        yield from Sleep(pause)
        waited += pause
        for n in open_jobs:
            known[n] = yield from get_job(provider, known[n])
    return known


def wait_for(provider: Provider, work: Outcome | Job, timeout: float) -> Flow[Outcome | Job]:
    """Wait for a job, or for all jobs of an outcome."""
    if isinstance(work, Job):
        return (yield from wait(provider, [work], timeout))[0]
    return work.with_jobs((yield from wait(provider, work.jobs, timeout)))


def request(provider: Provider, method: str, path: str, params: Mapping[str, str] | None, json: Any) -> Flow[Any]:
    """One raw request, with auth, retries and pacing; the path as the vendor's pages write it, or below the root."""
    _relative(path)
    verb = method.upper()
    below = path.removeprefix(provider.base_path())
    return (yield from Request(verb, below, object, params, json, idempotent=verb in REPEATABLE))


def _relative(path: str) -> None:
    segments = re.split(r"[/?#]", unquote(path)) if "." in path or "%" in path else ()
    if not path.startswith("/") or path.startswith("//") or "\\" in path or ".." in segments or not path.isprintable():
        raise InvalidInput(
            "the path must be relative to the provider's base URL", hint="begin it with one slash, leave out '..'"
        )


def _sorted_out(provider: Provider, ids: Iterable[str]) -> tuple[list[str], Outcome]:
    """The ids that may be sent, each once, and the others as failures."""
    wanted = list(dict.fromkeys(_several(ids)))
    reasons = {id: reason for id in wanted if (reason := provider.validate_id(id))}
    failed = tuple(Failure(id, f"not sent: {reason}") for id, reason in reasons.items())
    good = [id for id in wanted if id not in reasons]
    return good, Outcome(operation="", requested=len(failed), failed=failed)


def _checked(provider: Provider, id: str) -> None:
    if reason := provider.validate_id(id):
        raise InvalidInput(f"not sent: {reason}", hint="pass the id as the vendor gave it")


def _several(values: Iterable[T]) -> Iterable[T]:
    """Refuse a bare text where several are due: its characters would each be taken for an id."""
    if isinstance(values, str):
        raise InvalidInput("a single text was given where several are due", hint="put it into a list")
    return values
