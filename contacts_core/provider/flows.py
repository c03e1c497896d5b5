"""Functions that build flows: chunks, pages, running side by side, adding up outcomes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeVar, cast

from contacts_core.errors import (
    Cancelled,
    ContactsError,
    Forbidden,
    Interrupted,
    NotFound,
    Rejected,
    Unauthenticated,
    UnexpectedPayload,
)
from contacts_core.models import Outcome, Page
from contacts_core.models.identifiers import scrub
from contacts_core.provider.effects import Effect, Emit, Flow, Gather, Join, Request, Settled, Stream
from contacts_core.provider.lazy import LazyItems
from contacts_core.provider.outcomes import absent, counted, failed

__all__ = [
    "Cursors",
    "added_up",
    "after_a_change",
    "apart",
    "chunks",
    "continued",
    "drain",
    "gather",
    "in_chunks",
    "one_by_one",
    "optional",
    "pauses",
    "read_chunks",
    "read_each",
    "reason",
    "run_together",
    "through",
    "with_effects",
]

T = TypeVar("T")
R = TypeVar("R")

MOST_PAGES = 10_000  # of what is gathered into memory, such as lists and fields
MOST_EMPTY = 1_000  # empty pages in a row


def chunks(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Split into tuples of ``size`` items; the last may be shorter."""
    iterator = iter(items)
    while chunk := tuple(islice(iterator, size)):
        yield chunk


def pauses(longest: float, first: float = 0.5) -> Iterator[float]:
    """Yield the seconds between reads of a job: ``first``, then each half as long again, up to ``longest``."""
    pause = min(first, longest)
    while True:
        yield pause
        pause = min(1.5 * pause, longest)


class Cursors:
    """Makes sure that reading pages comes to an end, whatever cursors the vendor returns."""

    def __init__(self, most: int, most_empty: int | None = MOST_EMPTY) -> None:
        """Allow ``most`` pages, and ``most_empty`` empty ones in a row; None where pages are often empty."""
        self._most, self._most_empty = most, most_empty
        self._pages = self._empty = 0
        self._seen: set[int] = set()  # of hashes, for a cursor may be long and there may be a million of them
        self._last: Sequence[object] = ()
        self._shown: set[int] = set()  # of hashes of the ids on each page

    def after(self, page: Page[T]) -> str | None:
        """Return the cursor of the page after this one; None after the last.

        Raises:
            UnexpectedPayload: Cursors repeat, too many pages are empty, or there are too many.
        """
        if not page.next:
            return None
        self._pages += 1
        self._empty = 0 if page.items else self._empty + 1
        if hash(page.next) in self._seen:
            raise _endless("the vendor returned the same cursor twice")
        if self._most_empty is not None and self._empty >= self._most_empty:
            raise _endless(f"{self._most_empty} pages in a row were empty")
        if self._pages >= self._most:
            raise _endless(
                f"there are more than {self._most} pages", hint="raise max_pages if the account is that large"
            )
        self._seen.add(hash(page.next))
        return page.next

    def new(self, page: Page[T]) -> Sequence[T]:
        """Return the items of a page; they are looked at when they are used, for the next page may be requested first.

        Raises:
            UnexpectedPayload: From the items, when they are used: the page has come before.
        """
        return LazyItems(partial(self._new, page), len(page.items))

    def _new(self, page: Page[T]) -> Sequence[T]:
        items = page.items
        ids = tuple(each for item in items if (each := getattr(item, "id", None)))
        if items and (items == self._last or hash(ids) in self._shown):
            raise _endless("the vendor returned the same page twice")
        self._last = items
        self._shown.update([hash(ids)] if ids else ())
        return items


def _endless(
    what: str, hint: str = "try again later; the pages may have changed while they were read"
) -> UnexpectedPayload:
    return UnexpectedPayload(f"the pages do not end: {what}", hint=hint)


def gather(page: Callable[[str | None], Flow[Page[T]]], most: int = MOST_PAGES) -> Flow[list[T]]:
    """Read every page.

    Raises:
        UnexpectedPayload: The pages do not end; see `Cursors`.
    """
    items: list[T] = []
    cursors = Cursors(most)
    cursor: str | None = None
    while True:
        part = yield from page(cursor)
        items.extend(cursors.new(part))
        if (cursor := cursors.after(part)) is None:
            return items


def run_together(flows: Sequence[Flow[R]], limit: int) -> Flow[list[Settled[R]]]:
    """Run flows side by side, at most ``limit`` at a time; see `Gather`."""
    if len(flows) > 1:
        return (yield from Gather(flows, limit))
    settled: list[Settled[R]] = []
    for flow in flows:
        try:
            settled.append(Settled((yield from flow)))
        except ContactsError as error:
            settled.append(Settled(error=error))
    return settled


def read_chunks(
    items: Sequence[T], size: int, limit: int, read: Callable[[Sequence[T]], Flow[Sequence[R]]]
) -> Flow[list[R]]:
    """Read in chunks, side by side.

    Raises:
        ContactsError: A chunk could not be read. `NotFound` for a single item is an empty result instead.
    """
    settled = yield from run_together([read(chunk) for chunk in chunks(items, size)], limit)
    results: list[R] = []
    for each in settled:
        if each.error and not (size == 1 and isinstance(each.error, NotFound)):
            raise each.error
        results.extend(each.value or ())
    return results


def optional(flow: Flow[R] | Request[R]) -> Flow[R | None]:
    """Run a flow whose result is only useful; None where the vendor refuses it or its answer cannot be read."""
    try:
        return (yield from flow)
    except (Forbidden, NotFound, Rejected, Unauthenticated, UnexpectedPayload):
        return None


def after_a_change(flow: Flow[R] | Request[R]) -> Flow[R]:
    """Run the rest of a change that takes several requests, of which one was carried out.

    Whatever error stops it says that the change may have been carried out (`ContactsError.unclear`), even if that is
    known not to be so of the request that failed.
    """
    try:
        return (yield from flow)
    except ContactsError as error:
        error.unclear = True
        raise


def read_each(ids: Iterable[str], limit: int, read: Callable[[str], Flow[R]]) -> Flow[dict[str, R]]:
    """Read each of these by itself, side by side; those that are not found are left out.

    Args:
        ids: What to read.
        limit: Reads under way at once, at most.
        read: Reads one of them.

    Raises:
        ContactsError: One of them could not be read.
    """
    wanted = list(dict.fromkeys(ids))
    settled = yield from run_together([read(id) for id in wanted], limit)
    found: dict[str, R] = {}
    for id, end in zip(wanted, settled, strict=True):
        if end.error is None:
            found[id] = cast("R", end.value)
        elif not isinstance(end.error, NotFound):
            raise end.error
    return found


def one_by_one(
    items: Sequence[T], limit: int, act: Callable[[T], Flow[Outcome]], name: Callable[[T], str]
) -> Flow[Outcome]:
    """Act on each item by itself, side by side, and add the outcomes up; see `in_chunks`.

    Args:
        items: What to act on.
        limit: Items under way at once, at most.
        act: Acts on one item.
        name: Returns the name of an item in the outcome.
    """
    return (yield from in_chunks("", "", items, 1, limit, lambda chunk: act(chunk[0]), name))


def in_chunks(
    operation: str,
    provider: str,
    items: Sequence[T],
    size: int,
    limit: int,
    act: Callable[[Sequence[T]], Flow[Outcome]],
    name: Callable[[T], str],
    besides: Outcome | None = None,
) -> Flow[Outcome]:
    """Act on items in chunks, side by side, and add the outcomes up.

    A refusal of one chunk (404 for a single item, another 4xx) becomes part of the outcome. An error that the next
    chunk would meet as well (no permission, no answer, too many requests) stops the rest. A refusal that comes after a
    lost answer tells nothing of the first attempt, which may have been carried out: the chunk is uncertain.

    Args:
        operation: Name of the operation, for the outcome.
        provider: Name of the provider, for the outcome.
        items: What to act on.
        size: Items in one chunk.
        limit: Chunks under way at once, at most.
        act: What acts on one chunk.
        name: Returns the name of an item in the outcome.
        besides: The outcome of items that were not sent, such as invalid ids; it is added to the result, also to that
            of an interruption.

    Raises:
        Interrupted: The operation stopped after it changed something, or because the caller cancelled it.
        ContactsError: There was only one chunk, or nothing was sent.
        Exception: A chunk raised an error that is not ours, and nothing is known to be done. Otherwise that error is
            the cause of an `Interrupted`, in which the chunk is uncertain.
        BaseException: Such as `KeyboardInterrupt`; its cause is an `Interrupted` with what was done.
    """
    parts = list(chunks(items, size))
    ends: list[Settled[Outcome]] = [Settled(started=False) for _ in parts]

    def noted(turn: int, flow: Flow[Outcome]) -> Flow[Outcome]:
        ends[turn] = Settled(error=Cancelled(unclear=True))  # unless it ends
        try:
            outcome = yield from flow
        except BaseException as error:
            told = error if isinstance(error, Exception) else error.__cause__
            if isinstance(told, ContactsError):
                ends[turn] = Settled(error=told)
            raise
        ends[turn] = Settled(outcome)
        return outcome

    try:
        settled = yield from run_together([noted(turn, act(part)) for turn, part in enumerate(parts)], limit)
    except BaseException as error:
        outcomes, uncertain, unsent, _ = _sorted(parts, ends, name, besides)
        whole = Interrupted(Outcome.merge(operation, provider, outcomes), uncertain, unsent, reason(error))
        if not isinstance(error, Exception):
            raise error from whole
        if len(parts) == 1 or not outcomes:  # then the caller knows the items: all of them
            raise
        raise whole from error
    return added_up(operation, provider, parts, settled, name, besides)


def added_up(
    operation: str,
    provider: str,
    parts: Sequence[Sequence[T]],
    settled: Sequence[Settled[Outcome]],
    name: Callable[[T], str],
    besides: Outcome | None = None,
) -> Outcome:
    """Add up how the parts of an operation ended; see `in_chunks`."""
    outcomes, uncertain, unsent, fatal = _sorted(parts, settled, name, besides)
    total = Outcome.merge(operation, provider, outcomes)
    if fatal is None:
        return total
    alone = len(parts) == 1 and not (besides and besides.requested)  # then the caller knows the items: all of them
    if isinstance(fatal, Interrupted):
        if alone:
            raise fatal
        raise Interrupted(total, uncertain, unsent, reason(fatal.__cause__ or fatal)) from (fatal.__cause__ or fatal)
    if (alone or not (outcomes or uncertain)) and not isinstance(fatal, Cancelled):
        raise fatal
    raise Interrupted(total, uncertain, unsent, str(fatal)) from fatal


def _sorted(
    parts: Sequence[Sequence[T]],
    settled: Sequence[Settled[Outcome]],
    name: Callable[[T], str],
    besides: Outcome | None,
) -> tuple[list[Outcome], list[T], list[T], ContactsError | None]:
    """Return the outcomes, the uncertain items, the unsent items, and the first error that stopped the rest."""
    outcomes: list[Outcome] = []
    uncertain: list[T] = []
    unsent: list[T] = []
    fatal: ContactsError | None = None
    for part, each in zip(parts, settled, strict=True):
        match each.error:
            case None if each.value is not None:
                outcomes.append(counted(each.value, len(part)))
            case NotFound() if len(part) == 1:
                outcomes.append(absent(name(part[0])))
            case Rejected() | NotFound() as error if not error.unclear:
                outcomes.append(failed(map(name, part), str(error)))
            case Interrupted() as error:  # a part that was itself made of parts
                fatal = fatal or error
                outcomes.append(error.outcome)
                uncertain.extend(cast("tuple[T, ...]", error.uncertain))
                unsent.extend(cast("tuple[T, ...]", error.unsent))
            case error:
                fatal = fatal or error
                (uncertain if each.started and error and error.unclear else unsent).extend(part)
    if besides and besides.requested:
        outcomes.append(besides)
    return outcomes, uncertain, unsent, fatal


def apart(
    items: Sequence[T], act: Callable[[Sequence[T]], Flow[R]], most: int = 40
) -> Flow[tuple[list[R], list[tuple[T, Rejected]]]]:
    """Act on items together; if the vendor refuses them, act on the halves, down to the items it refuses.

    Args:
        items: What to act on.
        act: Acts on some of them, in one request.
        most: Requests, at most; items that are still refused together by then count as refused.

    Returns:
        The answers, and the items that were refused, each with the refusal.
    """
    results: list[R] = []
    refused: list[tuple[T, Rejected]] = []
    waiting = [items] if items else []
    while waiting:
        part = waiting.pop(0)
        most -= 1
        try:
            results.append((yield from act(part)))
        except Rejected as error:
            if len(part) == 1 or most < len(waiting) + 2:
                refused.extend((item, error) for item in part)
            else:
                middle = len(part) // 2
                waiting += [part[:middle], part[middle:]]
    return results, refused


def continued(
    error: BaseException, before: Outcome, batch: Sequence[object], remaining: Sequence[object]
) -> BaseException:
    """Return the error of a later batch, with the outcome of the batches before and the items of those after it.

    The outcome of the batch itself is told by the error, or by the cause of a `KeyboardInterrupt` and its like.
    """
    told = error if isinstance(error, Exception) else error.__cause__
    if isinstance(told, Interrupted):
        outcome = Outcome.merge(before.operation, before.provider, [before, told.outcome])
        why = reason(told.__cause__ or told if told is error else error)
        return Interrupted(outcome, told.uncertain, [*told.unsent, *remaining], why)
    if told is error and not (before.requested or remaining):
        return error
    unclear = error.unclear if isinstance(error, ContactsError) else True
    rest = remaining if unclear else [*batch, *remaining]
    return Interrupted(before, batch if unclear else [], rest, reason(error))


def reason(error: BaseException) -> str:
    """Return why something stopped, in one line; the values in an error that is not ours are masked."""
    if isinstance(error, ContactsError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return str(Cancelled())
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the caller's error may raise anything
        text = ""
    return scrub(f"{type(error).__name__}: {text}") if text else type(error).__name__


def with_effects(
    flow: Generator[Effect | Emit[Any], Any, R],
    change: Callable[[Effect | Emit[Any]], Effect | Emit[Any] | None],
) -> Generator[Any, Any, R]:
    """Return the flow or stream with each of its effects changed, also those of the flows of a `Gather` or a `Join`.

    Args:
        flow: The flow or stream.
        change: Returns what to yield instead of an effect; None leaves it out, and the flow gets None as its answer.
    """
    try:
        effect = next(flow)
        while True:
            other = change(effect)
            if isinstance(other, Gather):
                other = Gather([with_effects(each, change) for each in other.flows], other.limit)
            elif isinstance(other, Join):
                other = Join(other.key, partial(_with_effects, other.start, change))
            try:
                answer = None if other is None else (yield other)
            except Exception as error:  # noqa: BLE001 - whatever an effect raises is raised in the flow
                effect = flow.throw(error)
            else:
                effect = flow.send(answer)
    except StopIteration as stop:
        result: R = stop.value
        return result
    finally:
        flow.close()


def _with_effects(
    start: Callable[[], Flow[R]], change: Callable[[Effect | Emit[Any]], Effect | Emit[Any] | None]
) -> Flow[R]:
    return with_effects(start(), change)


def through(stream: Stream[T], change: Callable[[Sequence[T]], Sequence[R]]) -> Stream[R]:
    """Return the stream with each batch of its items changed, when the batch is used; see `LazyItems`."""

    def changed(effect: Effect | Emit[T]) -> Effect | Emit[R]:
        return Emit(LazyItems(partial(change, effect.items))) if isinstance(effect, Emit) else effect

    return with_effects(stream, changed)


def drain(stream: Stream[T], take: Callable[[Sequence[T]], object]) -> Flow[None]:
    """Run a stream to its end inside a flow, and pass its items to ``take``."""

    def taken(effect: Effect | Emit[T]) -> Effect | None:
        if not isinstance(effect, Emit):
            return effect
        take(effect.items)
        return None

    yield from cast("Flow[None]", with_effects(stream, taken))
