"""Create or update contacts."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence, Sized
from datetime import date
from functools import partial
from itertools import chain, islice
from math import isfinite
from operator import attrgetter
from typing import NoReturn, TypeVar, cast

from attrs import astuple, define, evolve, frozen

from contacts_core.errors import Cancelled, Interrupted, InvalidInput
from contacts_core.models import Contact, ContactList, Failure, Outcome
from contacts_core.operations.checks import require
from contacts_core.operations.lists import list_id, resolve_lists
from contacts_core.operations.outcomes import completed
from contacts_core.provider import Blocking, Flow, Provider, ReadsLists, Take, UpsertsContacts, flows

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
        Interrupted: It stopped on the way, for whatever reason (its cause); contacts after the batch it stopped in were
            not read from ``contacts``.
        BaseException: Such as `KeyboardInterrupt`; its cause is an `Interrupted` with what was done.
    """
    able = require(provider, UpsertsContacts)
    targets = yield from resolve_lists(able, lists)
    # An iterator of the caller's may have no more than ``__next__`` or ``__anext__``.
    rest = chain(contacts) if isinstance(contacts, Iterable) else aiter(contacts)
    progress = _Progress(_Reached([Outcome(operation="upsert_contacts", provider=able.name)], 1))
    try:
        yield from _write(able, rest, targets, guard, progress)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it goes on with what was done until then
        _raise_stopped(error, progress, [] if progress.source_failed else _remaining(contacts, rest))
    return progress.reached.done


@frozen
class _Reached:
    """How far the writing got.

    Attributes:
        parts: Outcomes of what was sent, and of what was held back; the list grows.
        count: How many of them had come when this was noted.
        sending: Contacts that are being sent.
        waiting: Contacts that were taken from the caller and not sent yet.
    """

    parts: Sequence[Outcome]
    count: int
    sending: Sequence[Contact] = ()
    waiting: Iterable[Contact] = ()

    @property
    def done(self) -> Outcome:
        """The outcome until here. It is added up once, at the end: a sum for each batch would copy all items again."""
        first = self.parts[0]
        return Outcome.merge(first.operation, first.provider, self.parts[: self.count])


@define
class _Progress:
    """How far the writing got, for whoever must tell it when it stops.

    Attributes:
        reached: Replaced as a whole, so that no interruption finds half of it.
        source_failed: Whether it stopped because the caller's iterator raised an error.
    """

    reached: _Reached
    source_failed: bool = False


def _write(
    able: UpsertsContacts,
    rest: Iterator[Contact] | AsyncIterator[Contact],
    targets: Sequence[str],
    guard: WriteGuard | None,
    progress: _Progress,
) -> Flow[None]:
    """Write the contacts, and note how far it got."""
    directory = _Directory(able)
    operation = progress.reached.parts[0].operation
    parts = [*progress.reached.parts]
    position = 0
    while True:
        chunk: list[Contact] = []
        progress.reached = _Reached(parts, len(parts), waiting=chunk)
        if error := (yield from _take(chunk, rest, max(able.upsert_batch_size, able.concurrency))):
            progress.source_failed = True
            raise error
        if not chunk:
            return
        reasons = yield from _reasons(directory, guard, chunk)
        batch = [contact for contact, reason in zip(chunk, reasons, strict=True) if not reason]
        failed = tuple(
            Failure(str(contact.display_id), f"not sent: row {row} {reason}")
            for row, (contact, reason) in enumerate(zip(chunk, reasons, strict=True), position + 1)
            if reason
        )
        position += len(chunk)
        groups = _groups(batch, directory.lists_of)
        parts.append(Outcome(requested=len(failed), failed=failed))
        for number, (own_lists, group) in enumerate(groups):
            later = chain.from_iterable(each for _, each in groups[number + 1 :])
            progress.reached = _Reached(parts, len(parts), group, later)
            joined = list(dict.fromkeys([*targets, *own_lists]))
            part = yield from flows.in_chunks(
                operation,
                able.name,
                group,
                able.upsert_batch_size,
                able.concurrency,
                partial(_upsert, able, joined, directory),
                attrgetter("display_id"),
            )
            parts.append(part)
            progress.reached = _Reached(parts, len(parts), waiting=later)
        progress.reached = _Reached(parts, len(parts))


def _reasons(directory: _Directory, guard: WriteGuard | None, chunk: Sequence[Contact]) -> Flow[list[str]]:
    """Return for each contact why it is not sent; empty if it is."""
    yield from directory.look_up(chunk)
    reasons = [_unsendable(contact) for contact in chunk]
    rows = [row for row, reason in enumerate(reasons) if not reason]
    if guard is not None and rows:
        answers = yield from Blocking(partial(guard, [chunk[row] for row in rows]))
        for row, why in zip(rows, answers, strict=True):
            reasons[row] = f"is held back, {why}" if why else ""
    return [reason or directory.unknown(contact) for contact, reason in zip(chunk, reasons, strict=True)]


def _take(items: list[T], rest: Iterator[T] | AsyncIterator[T], size: int) -> Flow[Exception | None]:
    """Take up to ``size`` items from the caller's iterator, and return the error that it raised, if any."""
    if not isinstance(rest, Iterator):
        taken = yield from Take(rest, size)
        items.extend(taken.items)
        return taken.error
    try:
        items.extend(islice(rest, size))
    except Exception as error:  # noqa: BLE001 - it is the caller's, and is raised with what was done until then
        return error
    return None


def _remaining(contacts: object, rest: Iterator[T] | AsyncIterator[T]) -> list[T]:
    """Return what was not taken yet, if that needs no work of the caller's."""
    return list(rest) if isinstance(contacts, Sized) and isinstance(rest, Iterator) else []


def _raise_stopped(error: BaseException, progress: _Progress, remaining: Sequence[Contact]) -> NoReturn:
    """Raise the error, with what was done until then if anything was.

    An `Exception` is the cause of the `Interrupted` that tells it; for a `KeyboardInterrupt` and its like, which must
    stay what they are, that is the cause.
    """
    reached, done = progress.reached, progress.reached.done
    waiting = [*reached.waiting, *remaining]
    if reached.sending:
        whole = flows.continued(error, done, reached.sending, waiting)
        if whole is error:
            raise error
        if not isinstance(error, Exception):
            raise error from whole
        raise whole from (error.__cause__ or error if isinstance(error, Interrupted) else error)
    why = flows.reason(error)
    if not isinstance(error, Exception):
        raise error from Interrupted(done, (), waiting, why)
    if isinstance(error, Cancelled):
        error.unclear = False  # nothing of this batch was sent
    elif not done.requested:
        raise error
    elif progress.source_failed:
        why = f"the contacts to write: {why}"
    raise Interrupted(done, (), waiting, why) from error


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
    values: list[object] = [i.value for i in contact.identifiers]
    for value in values:
        if not isinstance(value, str):
            return f"holds an identifier of the type {type(value).__name__}, which cannot be sent"
    extra = (value for value in contact.extra.values() if isinstance(value, str))
    place = astuple(contact.address) if contact.address else ()
    values += [contact.first_name, contact.last_name, contact.full_name, contact.organization, contact.title]
    values += [*contact.tags, *place, *extra, *contact.custom, *contact.custom.values()]
    for value in values:
        if value is None or (type(value) is str and value.isascii()):
            continue
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
        named = self._named(contact)
        return tuple(sorted({self._ids[name] for name in named if name in self._ids})) if named else ()

    def _named(self, contact: Contact) -> tuple[str, ...]:
        return contact.lists if contact.lists and contact.provider in {"", self._provider.name} else ()


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
        wave = max([0, *[taken[name] + 1 for name in known_by if name in taken]])
        taken.update(dict.fromkeys(known_by, wave))
        if wave == len(waves):
            waves.append({})
        waves[wave].setdefault(lists_of(contact), []).append(contact)
    return [group for wave in waves for group in wave.items()]
