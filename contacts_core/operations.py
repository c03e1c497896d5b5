"""The library's own flows, one for each method of the front doors. Pure: no I/O, no clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from functools import partial
from itertools import groupby
from math import ceil
from operator import attrgetter
from typing import Any, TypeVar
from urllib.parse import unquote

from attrs import evolve

from contacts_core import steps
from contacts_core.capabilities import (
    AddsToLists,
    Counts,
    CountsByPaging,
    CreatesLists,
    DeletesAllContacts,
    DeletesContacts,
    DeletesLists,
    Exports,
    ExportsFiles,
    FindsContacts,
    FindsContactsByScan,
    GetsContacts,
    QueuesJobs,
    ReadsCustomFields,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    Searches,
    TakesIdentifiers,
    UpsertsContacts,
)
from contacts_core.errors import (
    ContactsError,
    IncompleteSearch,
    Interrupted,
    InvalidInput,
    JobTimeout,
    NotFound,
    UnsupportedOperation,
)
from contacts_core.flow import Call, Emit, Flow, Sleep, Stream
from contacts_core.identifiers import Identifier
from contacts_core.models import (
    Contact,
    ContactList,
    Count,
    Explanation,
    Failure,
    FieldDefinition,
    Found,
    Job,
    Outcome,
    Strategy,
)
from contacts_core.provider import Provider
from contacts_core.query import Compare, Native, Op, Query, walk

T = TypeVar("T")
C = TypeVar("C", bound=Provider)
Member = str | Identifier

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
    done = yield from steps.in_chunks(
        operation, able.name, good, able.batch, able.concurrency, able.delete_contacts, str
    )
    return Outcome.total(operation, able.name, [done, refused])


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


def remove_from_list(provider: Provider, list_id: str, members: Iterable[Member]) -> Flow[Outcome]:
    """Take members off a list; they stay contacts."""
    able = require(provider, RemovesFromLists)
    return (yield from _change_list(able, "remove_from_list", list_id, members, able.remove_from_list))


def add_to_list(provider: Provider, list_id: str, members: Iterable[Member]) -> Flow[Outcome]:
    """Put members on a list."""
    able = require(provider, AddsToLists)
    return (yield from _change_list(able, "add_to_list", list_id, members, able.add_to_list))


def _change_list(
    provider: Provider,
    operation: str,
    list_id: str,
    members: Iterable[Member],
    change: Callable[[str, Sequence[Member]], Flow[Outcome]],
) -> Flow[Outcome]:
    _checked(provider, list_id)
    everyone = list(_several(members))
    identifiers = [m for m in everyone if isinstance(m, Identifier) and m.value.strip()]
    blank = (m.value for m in everyone if isinstance(m, Identifier) and not m.value.strip())
    ids, refused = _sorted_out(provider, [*(m for m in everyone if isinstance(m, str)), *blank])
    absent: tuple[str, ...] = ()
    targets: list[Member] = [*ids, *dict.fromkeys(identifiers)]
    if identifiers and not isinstance(provider, TakesIdentifiers):
        found = yield from find(provider, identifiers)
        absent = tuple(i.value for i in found if not found[i])
        targets = list(dict.fromkeys([*ids, *(c.id for i in found for c in found.every(i))]))
    done = yield from steps.in_chunks(
        operation,
        provider.name,
        targets,
        provider.member_batch,
        provider.concurrency,
        lambda chunk: change(list_id, chunk),
        lambda member: member.value if isinstance(member, Identifier) else member,
    )
    missing = Outcome(operation=operation, requested=len(absent), absent=absent)
    return Outcome.total(operation, provider.name, [done, refused, missing])


# -- reading ---------------------------------------------------------------------------------------------------------


def search(provider: Provider, query: Query, *, scan: bool) -> Stream[Contact]:
    """Contacts that match; the vendor's own answer where it has one, else every contact, filtered.

    Raises:
        IncompleteSearch: The vendor answered with a sample, and no scan is allowed or possible.
    """
    native = provider.translate(query) if isinstance(provider, Searches) else None
    only_native = any(isinstance(part, Native) for part in walk(query))
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
    if any(isinstance(part, Native) for part in walk(query)):
        raise UnsupportedOperation(f"{provider.name} has no query language of its own", hint="use F.… instead")


def _scan(provider: Exports, query: Query) -> Stream[Contact]:
    """Read every contact and keep those that match; where contacts come without their lists, read those lists too."""
    members: dict[str, set[str]] = {}
    if not provider.exports_lists:
        for list_id in _lists_asked_for(provider, query):
            ids = members[list_id] = set[str]()
            yield from steps.drain(provider.contacts(list_id), partial(_note_ids, ids))

    def matches(contact: Contact) -> bool:
        if contact.lists is None:
            contact = evolve(contact, lists=tuple(one for one, ids in members.items() if contact.id in ids))
        return query.matches(contact)

    yield from steps.through(provider.contacts(None), lambda contacts: [c for c in contacts if matches(c)])


def _note_ids(ids: set[str], contacts: Sequence[Contact]) -> None:
    ids.update(contact.id for contact in contacts)


def _lists_asked_for(provider: Provider, query: Query) -> list[str]:
    asked = [part for part in walk(query) if isinstance(part, Compare) and part.field == "list"]
    if any(part.op is not Op.EQ for part in asked):
        raise UnsupportedOperation(f"{provider.name} can only be asked for a list by its exact id")
    return sorted({str(part.value) for part in asked})


def explain(provider: Provider, query: Query) -> Flow[Explanation]:
    """Tell how `search` would answer, and what it costs; asks at most for a count."""
    native = provider.translate(query) if isinstance(provider, Searches) else None
    if native is None:
        _portable(provider, query)
    else:
        return Explanation(Strategy.NATIVE, 1, native.text, "the vendor can answer this itself")
    able = require(provider, Exports)
    if isinstance(able, ExportsFiles):
        lists = 0 if able.exports_lists else len(_lists_asked_for(able, query))
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
    chosen = list(dict.fromkeys(_several(lists)))
    for list_id in chosen:
        _checked(able, list_id)
    if len(chosen) <= 1:
        yield from able.contacts(chosen[0] if chosen else None)
        return
    seen: set[str] = set()

    def new(contacts: Sequence[Contact]) -> list[Contact]:
        fresh = [c for c in contacts if c.id not in seen]
        seen.update(c.id for c in fresh)
        return fresh

    for list_id in chosen:
        yield from steps.through(able.contacts(list_id), new)


def get_contacts(provider: Provider, ids: Iterable[str]) -> Flow[dict[str, Contact | None]]:
    """Contacts by id; None for those that do not exist. An id that must not be sent raises before any request."""
    able = require(provider, GetsContacts)
    wanted = list(dict.fromkeys(_several(ids)))
    for contact_id in wanted:
        _checked(able, contact_id)
    contacts = yield from steps.read_chunks(wanted, able.get_batch, able.concurrency, able.get_contacts)
    by_id = {contact.id: contact for contact in contacts}
    return {contact_id: by_id.get(contact_id) for contact_id in wanted}


def find(provider: Provider, identifiers: Iterable[Identifier]) -> Flow[Found]:
    """Contacts by exact identifier; blank identifiers match nothing and are not sent."""
    able = require(provider, FindsContacts)
    matches: dict[Identifier, dict[str, Contact]] = {identifier: {} for identifier in identifiers}
    wanted = [identifier for identifier in matches if identifier.value.strip()]
    if isinstance(able, FindsContactsByScan):  # one pass answers all of them
        groups = [wanted] if wanted else []
    else:
        wanted.sort(key=_sort_of)
        groups = [list(group) for _, group in groupby(wanted, key=_sort_of)]
    for group in groups:
        size = len(group) if isinstance(able, FindsContactsByScan) else able.find_batch
        pairs = yield from steps.read_chunks(group, size, able.concurrency, able.find)
        for identifier, contact in pairs:
            matches[identifier][contact.id] = contact
    return Found({identifier: tuple(found.values()) for identifier, found in matches.items()})


def _sort_of(identifier: Identifier) -> tuple[str, str]:
    return identifier.kind.value, identifier.key


def count(provider: Provider) -> Flow[Count]:
    """How many contacts the account has, and how that is known."""
    return (yield from require(provider, Counts).count())


# -- lists and fields ------------------------------------------------------------------------------------------------


def lists(provider: Provider) -> Flow[list[ContactList]]:
    """Every list."""
    return (yield from steps.gather(require(provider, ReadsLists).lists_page))


def create_list(provider: Provider, name: str) -> Flow[ContactList]:
    """Create a list."""
    able = require(provider, CreatesLists)
    if not name.strip():
        raise InvalidInput("the name of the list is blank")
    return (yield from able.create_list(name))


def delete_list(provider: Provider, list_id: str) -> Flow[Outcome]:
    """Delete a list; its contacts stay."""
    able = require(provider, DeletesLists)
    _checked(able, list_id)
    try:
        outcome = yield from able.delete_list(list_id)
    except NotFound:
        outcome = Outcome(operation="", requested=1, absent=(list_id,))
    return evolve(outcome, operation="delete_list", provider=able.name)


def custom_fields(provider: Provider) -> Flow[list[FieldDefinition]]:
    """Every custom field."""
    return (yield from steps.gather(require(provider, ReadsCustomFields).custom_fields_page))


# -- writing and waiting ---------------------------------------------------------------------------------------------


def upsert_contacts(
    provider: Provider,
    contacts: Iterable[Contact],
    lists: Iterable[str],
    held_back: Callable[[Sequence[Contact]], Sequence[str]] | None = None,
) -> Flow[Outcome]:
    """Create or update contacts, a batch at a time, so that any number of them passes through in constant memory.

    Those for which ``held_back`` gives a reason are not sent; they come back as failures that tell where they stood.

    Raises:
        Interrupted: It stopped on the way; contacts behind the batch it stopped in were not taken from ``contacts``.
    """
    able = require(provider, UpsertsContacts)
    targets = list(dict.fromkeys(_several(lists)))
    for list_id in targets:
        _checked(able, list_id)
    total = Outcome(operation="upsert_contacts", provider=able.name)
    rest = iter(contacts)
    position = 0
    for everyone in steps.chunks(rest, max(able.upsert_batch, able.concurrency)):
        reasons = held_back(everyone) if held_back else [""] * len(everyone)
        batch = [contact for contact, reason in zip(everyone, reasons, strict=True) if not reason]
        failed = tuple(
            Failure(contact.handle, f"not sent: row {row} is held back, {reason}")
            for row, (contact, reason) in enumerate(zip(everyone, reasons, strict=True), position + 1)
            if reason
        )
        position += len(everyone)
        held = Outcome(operation=total.operation, requested=len(failed), failed=failed)
        total = Outcome.total(total.operation, able.name, [total, held])
        try:
            part = yield from steps.in_chunks(
                total.operation,
                able.name,
                batch,
                able.upsert_batch,
                able.concurrency,
                lambda chunk: able.upsert_contacts(chunk, targets),
                attrgetter("handle"),
            )
        except ContactsError as error:
            remaining = list(rest) if isinstance(contacts, Sized) else []
            whole = steps.continued(error, total, batch, remaining)
            if whole is error:
                raise
            raise whole from (error.__cause__ if isinstance(error, Interrupted) else error)
        total = Outcome.total(total.operation, able.name, [total, part])
    return total


def check(provider: Provider, job: Job | str) -> Flow[Job]:
    """The job as the vendor sees it now; providers without jobs have nothing left to do."""
    known = Job(provider=provider.name, id=job) if isinstance(job, str) else job
    if known.provider != provider.name:
        raise InvalidInput(f"job {known.id} belongs to {known.provider}, not to {provider.name}")
    able = require(provider, QueuesJobs)
    _checked(able, known.id)
    seen = yield from able.check(known)
    # What was asked for, only the caller knows for sure.
    return evolve(seen, operation=known.operation or seen.operation, requested=known.requested or seen.requested)


def wait(provider: Provider, jobs: Sequence[Job], timeout: float) -> Flow[list[Job]]:
    """Look at the jobs, with pauses, until the vendor has finished all of them.

    Raises:
        JobTimeout: ``timeout`` seconds of pauses went by; it carries the first job that is still pending.
    """
    known = list(jobs)
    waited, pauses = 0.0, steps.pauses(provider.poll)
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
            known[n] = yield from check(provider, known[n])
    return known


def wait_for(provider: Provider, work: Outcome | Job, timeout: float) -> Flow[Outcome | Job]:
    """Wait for a job, or for all jobs of an outcome."""
    if isinstance(work, Job):
        return (yield from wait(provider, [work], timeout))[0]
    return work.with_jobs((yield from wait(provider, work.jobs, timeout)))


def call(provider: Provider, method: str, path: str, params: Mapping[str, str] | None, json: Any) -> Flow[Any]:
    """One raw request, with auth, retries and pacing; the path as the vendor's pages write it, or below the root."""
    _relative(path)
    verb = method.upper()
    below = path.removeprefix(provider.root())
    return (yield from Call(verb, below, object, params, json, repeatable=verb in REPEATABLE))


def _relative(path: str) -> None:
    segments = re.split(r"[/?#]", unquote(path)) if "." in path or "%" in path else ()
    if not path.startswith("/") or path.startswith("//") or "\\" in path or ".." in segments or not path.isprintable():
        raise InvalidInput(
            "the path must be relative to the provider's base URL", hint="begin it with one slash, leave out '..'"
        )


def _sorted_out(provider: Provider, ids: Iterable[str]) -> tuple[list[str], Outcome]:
    """The ids that may be sent, each once, and the others as failures."""
    wanted = list(dict.fromkeys(_several(ids)))
    reasons = {id: reason for id in wanted if (reason := provider.refuse_id(id))}
    failed = tuple(Failure(id, f"not sent: {reason}") for id, reason in reasons.items())
    good = [id for id in wanted if id not in reasons]
    return good, Outcome(operation="", requested=len(failed), failed=failed)


def _checked(provider: Provider, id: str) -> None:
    if reason := provider.refuse_id(id):
        raise InvalidInput(f"not sent: {reason}", hint="pass the id as the vendor gave it")


def _several(values: Iterable[T]) -> Iterable[T]:
    """Refuse a bare text where several are due: its characters would each be taken for an id."""
    if isinstance(values, str):
        raise InvalidInput("a single text was given where several are due", hint="put it into a list")
    return values
