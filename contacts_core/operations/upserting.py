"""Create or update contacts."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence, Sized
from functools import partial
from itertools import chain, islice
from operator import attrgetter
from typing import NoReturn, TypeVar

from attrs import define, evolve, frozen

from contacts_core.errors import Cancelled, Interrupted
from contacts_core.models import Contact, Failure, Outcome, Preview, Shape
from contacts_core.models.losses import counted
from contacts_core.operations.checks import require
from contacts_core.operations.lists import resolve_lists
from contacts_core.operations.outcomes import completed
from contacts_core.operations.previewing import fit, read_parts, unsendable
from contacts_core.provider import Blocking, Flow, MapsFields, Provider, Take, UpsertsContacts, flows

T = TypeVar("T")

WriteGuard = Callable[[Sequence[Contact]], Sequence[str]]
"""Called before contacts are written; returns for each why it must not be, or an empty string. It may block."""


def upsert_contacts(
    provider: Provider,
    contacts: Iterable[Contact] | AsyncIterable[Contact],
    lists: Iterable[str],
    guard: WriteGuard | None = None,
    *,
    named: bool = True,
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
        named: Whether the outcome names the contacts that were written. Otherwise it only counts them.

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
        yield from _write(able, rest, targets, guard, progress, named=named)
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
    *,
    named: bool,
) -> Flow[None]:
    """Write the contacts, and note how far it got."""
    shape = Shape()
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
        shape = yield from _shape_for(able, shape, chunk)
        previews = [fit(able, contact, shape) for contact in chunk]
        reasons = yield from _reasons(guard, chunk, previews)
        batch = [contact for contact, reason in zip(chunk, reasons, strict=True) if not reason]
        fitted = {id(contact): each for contact, each in zip(chunk, previews, strict=True)}
        failed = tuple(
            Failure(str(contact.display_id), f"not sent: row {row} {reason}")
            for row, (contact, reason) in enumerate(zip(chunk, reasons, strict=True), position + 1)
            if reason
        )
        position += len(chunk)
        groups = _groups(batch, fitted)
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
                partial(_upsert, able, joined, fitted),
                attrgetter("display_id"),
            )
            parts.append(part if named else _unnamed(part))
            progress.reached = _Reached(parts, len(parts), waiting=later)
        progress.reached = _Reached(parts, len(parts))


def _unnamed(outcome: Outcome) -> Outcome:
    """Return the outcome with the number of confirmed items in place of the items."""
    return evolve(outcome, confirmed=(), processed=outcome.processed + len(outcome.confirmed))


def _shape_for(able: UpsertsContacts, known: Shape, chunk: Sequence[Contact]) -> Flow[Shape]:
    """Read what matters for these contacts; everything is read at most once."""
    named = any(contact.lists and contact.provider in {"", able.name} for contact in chunk)
    custom = able.fields_defined_first and any(_needs_fields(able, contact) for contact in chunk)
    return (yield from read_parts(able, known, lists=named, fields=custom))


def _needs_fields(able: UpsertsContacts, contact: Contact) -> bool:
    return bool(contact.custom) or (isinstance(able, MapsFields) and able.needs_fields(contact))


def _reasons(guard: WriteGuard | None, chunk: Sequence[Contact], previews: Sequence[Preview]) -> Flow[list[str]]:
    """Return for each contact why it is not sent; empty if it is."""
    reasons = [each.refusal for each in previews]
    rows = [row for row, contact in enumerate(chunk) if not unsendable(contact)] if guard is not None else []
    if guard is not None and rows:
        answers = yield from Blocking(partial(guard, [chunk[row] for row in rows]))
        for row, why in zip(rows, answers, strict=True):
            reasons[row] = f"is held back, {why}" if why else reasons[row]
    return reasons


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
    provider: UpsertsContacts, lists: Sequence[str], fitted: Mapping[int, Preview], contacts: Sequence[Contact]
) -> Flow[Outcome]:
    previews = [fitted[id(contact)] for contact in contacts]
    flow = provider.upsert_contacts([each.written for each in previews if each.written is not None], lists)
    outcome = yield from completed(provider, UpsertsContacts, "upsert_contacts", flow, len(contacts))
    losses = counted(loss for each in previews for loss in each.losses)
    dropped = (each.field for each in losses if not each.code.is_kept)
    return evolve(outcome, losses=losses, dropped_fields=tuple(dict.fromkeys([*dropped, *outcome.dropped_fields])))


def _groups(contacts: Iterable[Contact], fitted: Mapping[int, Preview]) -> list[tuple[tuple[str, ...], list[Contact]]]:
    """Group contacts that may be sent side by side: with the same lists, and no two with a common identifier or id.

    The groups are in order: of contacts that share an identifier, the later one is in a later group.
    """
    waves: list[dict[tuple[str, ...], list[Contact]]] = []
    taken: dict[object, int] = {}
    for contact in contacts:
        known_by: list[object] = [each.compared_by for each in contact.identifiers]
        if contact.id:
            known_by.append(contact.id)
        wave = 0
        for name in known_by:
            if (last := taken.get(name)) is not None and last >= wave:
                wave = last + 1
        for name in known_by:
            taken[name] = wave
        if wave == len(waves):
            waves.append({})
        written = fitted[id(contact)].written
        lists = tuple(sorted(written.lists)) if written and written.lists else ()
        waves[wave].setdefault(lists, []).append(contact)
    return [group for wave in waves for group in wave.items()]
