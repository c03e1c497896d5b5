"""Create or update contacts."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence, Sized
from datetime import date
from functools import partial
from itertools import islice
from math import isfinite
from operator import attrgetter
from typing import NoReturn, TypeVar, cast

from attrs import astuple, evolve

from contacts_core.errors import Cancelled, ContactsError, Interrupted, InvalidInput
from contacts_core.models import Contact, ContactList, Failure, Outcome
from contacts_core.models.identifiers import scrub
from contacts_core.operations.checks import require
from contacts_core.operations.lists import list_id, resolve_lists
from contacts_core.operations.outcomes import completed
from contacts_core.provider import Blocking, Flow, Provider, ReadsLists, Take, Taken, UpsertsContacts, flows

T = TypeVar("T")

WriteGuard = Callable[[Sequence[Contact]], Sequence[str]]
"""Called before contacts are written; returns for each why it must not be, or an empty string. It may block."""


def upsert_contacts(
    provider: Provider,
    contacts: Iterable[Contact] | AsyncIterable[Contact],
    lists: Iterable[str],
    guard: WriteGuard | None = None,
) -> Flow[Outcome]:
    """Create or update contacts, a batch at a time, so that memory use does not grow with their number.

    Contacts that share an identifier are sent one after the other, so that the later ones change what the first one
    created.

    Args:
        provider: The account's provider.
        contacts: The contacts; they are read from it as they are needed. If it raises an error after something was
            sent, that error is the cause of an `Interrupted`, whose ``unsent`` has what was read of the batch.
        lists: Lists to add every contact to, by id or name, besides those that a contact names itself.
        guard: Called before each batch; contacts that it blocks are failures in the outcome, with their row.

    Raises:
        Interrupted: It stopped on the way; contacts after the batch it stopped in were not read from ``contacts``.
    """
    able = require(provider, UpsertsContacts)
    targets = yield from resolve_lists(able, lists)
    directory = _Directory(able)
    total = Outcome(operation="upsert_contacts", provider=able.name)
    rest = iter(contacts) if isinstance(contacts, Iterable) else aiter(contacts)
    position = 0
    while True:
        taken = yield from _next_batch(rest, max(able.upsert_batch_size, able.concurrency))
        chunk = taken.items
        if taken.error:
            _raise_source_failed(taken.error, total, chunk)
        if not chunk:
            return total
        try:
            yield from directory.look_up(chunk)
            reasons = [""] * len(chunk) if guard is None else (yield from Blocking(partial(guard, chunk)))
        except ContactsError as error:
            if not (total.requested or isinstance(error, Cancelled)):
                raise
            error.unclear = False  # nothing of this batch was sent
            _raise_stopped(error, total, chunk, _remaining(contacts, rest))
        reasons = [
            f"is held back, {why}" if why else _unsendable(contact) or directory.unknown(contact)
            for contact, why in zip(chunk, reasons, strict=True)
        ]
        batch = [contact for contact, reason in zip(chunk, reasons, strict=True) if not reason]
        failed = tuple(
            Failure(contact.display_id, f"not sent: row {row} {reason}")
            for row, (contact, reason) in enumerate(zip(chunk, reasons, strict=True), position + 1)
            if reason
        )
        position += len(chunk)
        held = Outcome(requested=len(failed), failed=failed)
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
                remaining += _remaining(contacts, rest)
                _raise_stopped(error, total, group, remaining)
            total = Outcome.merge(total.operation, able.name, [total, part])


def _next_batch(rest: Iterator[T] | AsyncIterator[T], size: int) -> Flow[Taken[T]]:
    """Take up to ``size`` items from the caller's iterator, and the error that it raised."""
    if isinstance(rest, AsyncIterator):
        return (yield from Take(rest, size))
    items: list[T] = []
    try:
        items.extend(islice(rest, size))
    except Exception as error:  # noqa: BLE001 - it is the caller's, and is raised with what was done until then
        return Taken(items, error)
    return Taken(items)


def _remaining(contacts: object, rest: Iterator[T] | AsyncIterator[T]) -> list[T]:
    """Return what was not taken yet, if that needs no work of the caller's."""
    return list(rest) if isinstance(contacts, Sized) and isinstance(rest, Iterator) else []


def _raise_source_failed(error: Exception, before: Outcome, batch: Sequence[Contact]) -> NoReturn:
    """Raise the error of the caller's iterator, with the outcome of the batches before it if there were any."""
    if not (before.requested or isinstance(error, Cancelled)):
        raise error
    cancelled = isinstance(error, Cancelled)
    reason = "interrupted by the user" if cancelled else f"the contacts to write: {_named(error)}"
    raise Interrupted(before, (), batch, reason) from error


def _named(error: Exception) -> str:
    return scrub(f"{type(error).__name__}: {error}") if str(error) else type(error).__name__


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
    flow = provider.upsert_contacts(ours, lists)
    outcome = yield from completed(provider, UpsertsContacts, "upsert_contacts", flow, len(ours))
    # Only this vendor says when a contact was created or changed: times of another one have no place.
    foreign = [contact for contact in contacts if contact.provider != provider.name]
    lost = [name for name in ("created_at", "updated_at") if any(getattr(contact, name) for contact in foreign)]
    lost += ["lists"] if any(contact.lists and contact.provider for contact in foreign) else []
    lost += sorted({f"list {name}" for contact in contacts for name in directory.lost(contact)})
    return evolve(outcome, dropped_fields=tuple(dict.fromkeys([*outcome.dropped_fields, *lost])))


def _unsendable(contact: Contact) -> str:
    """Return why a contact cannot be written as JSON without loss; empty if it can."""
    extra = (value for value in contact.extra.values() if isinstance(value, str))
    place = astuple(contact.address) if contact.address else ()
    values: list[object] = [i.value for i in contact.identifiers]
    values += [contact.first_name, contact.last_name, contact.full_name, contact.organization, contact.title]
    values += [*contact.tags, *place, *extra, *contact.custom, *contact.custom.values()]
    for value in values:
        parts: Sequence[object] = cast("Sequence[object]", value) if isinstance(value, tuple | list) else (value,)
        for part in parts:
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

    Lists of another vendor's contacts mean nothing here. A contact that was read from this vendor may come from another
    account, or its list may be deleted by now: it is written without the list, which is named as dropped. A list of a
    contact that the caller made must exist; otherwise the contact is not sent.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._known: list[ContactList] | None = None
        self._ids: dict[str, str] = {}
        self._wrong: dict[str, str] = {}

    def look_up(self, contacts: Sequence[Contact]) -> Flow[None]:
        """Look up the ids of the lists that these contacts name; the lists are read at most once."""
        named = {name for contact in contacts for name in self._named(contact)}
        new = sorted(named - self._ids.keys() - self._wrong.keys())
        if new and self._known is None and isinstance(self._provider, ReadsLists):
            self._known = yield from flows.gather(self._provider.lists_page)
        for name in new:
            try:
                self._ids[name] = name if self._known is None else list_id(name, self._known)
            except InvalidInput as error:
                self._wrong[name] = str(error)

    def unknown(self, contact: Contact) -> str:
        """Return what is wrong with a list that the contact names; empty if nothing is."""
        if contact.provider:
            return ""
        return next((f"names a list: {self._wrong[name]}" for name in self._named(contact) if name in self._wrong), "")

    def lost(self, contact: Contact) -> list[str]:
        """Return the lists that the contact names and that do not exist here."""
        return [name for name in self._named(contact) if name in self._wrong]

    def lists_of(self, contact: Contact) -> tuple[str, ...]:
        """Return the ids of the lists that the contact names."""
        return tuple(sorted({self._ids[name] for name in self._named(contact) if name in self._ids}))

    def _named(self, contact: Contact) -> tuple[str, ...]:
        return (contact.lists or ()) if contact.provider in {"", self._provider.name} else ()


def _groups(
    contacts: Iterable[Contact], lists_of: Callable[[Contact], tuple[str, ...]]
) -> list[tuple[tuple[str, ...], list[Contact]]]:
    """Group contacts that may be sent side by side: with the same lists, and no two with a common identifier or id.

    The groups are in order: of contacts that share an identifier, the later one is in a later group.
    """
    waves: list[dict[tuple[str, ...], list[Contact]]] = []
    taken: dict[object, int] = {}
    for contact in contacts:
        known_by: list[object] = [*contact.identifiers, *([contact.id] if contact.id else [])]
        wave = max((taken[name] + 1 for name in known_by if name in taken), default=0)
        taken.update((name, wave) for name in known_by)
        if wave == len(waves):
            waves.append({})
        waves[wave].setdefault(lists_of(contact), []).append(contact)
    return [group for wave in waves for group in wave.items()]
