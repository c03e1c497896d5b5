"""Pure building blocks of flows: chunking, paging, running side by side, adding up outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar, cast

from contacts_core.errors import Cancelled, ContactsError, Interrupted, NotFound, Rejected, UnexpectedPayload
from contacts_core.models import Failure, Outcome, Page
from contacts_core.provider.effects import Emit, Flow, Gather, Settled, Stream

__all__ = [
    "Cursors",
    "added_up",
    "apart",
    "chunks",
    "continued",
    "drain",
    "gather",
    "in_chunks",
    "pauses",
    "read_chunks",
    "run_together",
    "through",
]

T = TypeVar("T")
R = TypeVar("R")

MOST_PAGES = 10_000  # of what is gathered whole, such as lists and fields
MOST_EMPTY = 1_000  # pages in a row without anything on them


def chunks(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Cut into tuples of ``size`` items; the last may be shorter, and nothing gives nothing."""
    iterator = iter(items)
    while chunk := tuple(islice(iterator, size)):
        yield chunk


def pauses(longest: float, first: float = 0.5) -> Iterator[float]:
    """Seconds between looks at a job: soon at first, for small jobs are quick, then ever longer up to ``longest``."""
    pause = min(first, longest)
    while True:
        yield pause
        pause = min(1.5 * pause, longest)


class Cursors:
    """Sees to it that a walk over pages comes to an end, whatever cursors the vendor gives."""

    def __init__(self, most: int) -> None:
        """Allow ``most`` pages."""
        self._most = most
        self._pages = self._empty = 0
        self._seen: set[int] = set()  # of hashes, for a cursor may be long and there may be a million of them
        self._last: Sequence[object] = ()
        self._shown: set[int] = set()  # of hashes of the ids on each page

    def after(self, page: Page[T]) -> str | None:
        """Give the cursor of the page after this one; None behind the last.

        Raises:
            UnexpectedPayload: The pages go round in circles, repeat themselves, stay empty, or are too many.
        """
        ids = tuple(each for item in page.items if (each := getattr(item, "id", None)))
        if page.items and (page.items == self._last or hash(ids) in self._shown):
            raise _endless("the vendor gave the same page for the second time")
        if not page.next:
            return None
        self._pages += 1
        self._empty = 0 if page.items else self._empty + 1
        if hash(page.next) in self._seen:
            raise _endless("the vendor gave a cursor for the second time")
        if self._empty >= MOST_EMPTY:
            raise _endless(f"{MOST_EMPTY} pages in a row were empty")
        if self._pages >= self._most:
            raise _endless(
                f"there are more than {self._most} pages", hint="raise max_pages if there really are so many"
            )
        self._seen.add(hash(page.next))
        self._last = page.items
        self._shown.update([hash(ids)] if ids else ())
        return page.next


def _endless(
    what: str, hint: str = "try again later; the vendor's pages may have changed while they were read"
) -> UnexpectedPayload:
    return UnexpectedPayload(f"the pages would not end: {what}", hint=hint)


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
        items.extend(part.items)
        if (cursor := cursors.after(part)) is None:
            return items


def run_together(flows: Sequence[Flow[R]], limit: int) -> Flow[list[Settled[R]]]:
    """Run flows side by side; a single one runs by itself, which keeps its requests in a readable order."""
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
    """Read in chunks, side by side; the first error ends it. A 404 for a single item is an empty answer."""
    settled = yield from run_together([read(chunk) for chunk in chunks(items, size)], limit)
    results: list[R] = []
    for each in settled:
        if each.error and not (size == 1 and isinstance(each.error, NotFound)):
            raise each.error
        results.extend(each.value or ())
    return results


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

    A refusal of one chunk (404 for a single item, another 4xx) is an outcome like any other. Anything that would meet
    the next chunk as well (no right, no answer, too many requests) stops the rest.

    Args:
        operation: Name of the operation, for the outcome.
        provider: Name of the provider, for the outcome.
        items: What to act on.
        size: Items in one chunk.
        limit: Chunks under way at once, at most.
        act: What acts on one chunk.
        name: How an item is called in the outcome.
        besides: What became of those that are not among the items, such as ids refused before anything was sent; it
            is part of the outcome, of an interrupted one too.

    Raises:
        Interrupted: The operation stopped after something was reached, or because the caller cancelled it.
        ContactsError: There was only one chunk, or nothing was sent.
    """
    parts = list(chunks(items, size))
    settled = yield from run_together([act(part) for part in parts], limit)
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
    outcomes: list[Outcome] = []
    uncertain: list[T] = []
    unsent: list[T] = []
    fatal: ContactsError | None = None
    for part, each in zip(parts, settled, strict=True):
        match each.error:
            case None if each.value is not None:
                outcomes.append(each.value)
            case NotFound() if len(part) == 1:
                outcomes.append(Outcome(operation=operation, requested=1, absent=(name(part[0]),)))
            case Rejected() | NotFound() as error:
                failed = tuple(Failure(name(item), str(error)) for item in part)
                outcomes.append(Outcome(operation=operation, requested=len(part), failed=failed))
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
    total = Outcome.merge(operation, provider, outcomes)
    if fatal is None:
        return total
    alone = len(parts) == 1 and not (besides and besides.requested)  # then the caller knows the items: all of them
    if isinstance(fatal, Interrupted):
        if alone:
            raise fatal
        raise Interrupted(total, uncertain, unsent, str(fatal.__cause__ or fatal)) from (fatal.__cause__ or fatal)
    if (alone or not (outcomes or uncertain)) and not isinstance(fatal, Cancelled):
        raise fatal
    raise Interrupted(total, uncertain, unsent, str(fatal)) from fatal


def apart(
    items: Sequence[T], act: Callable[[Sequence[T]], Flow[R]], most: int = 40
) -> Flow[tuple[list[R], list[tuple[T, Rejected]]]]:
    """Act on items together; where the vendor refuses them for the sake of one, act on the halves, down to that one.

    Args:
        items: What to act on.
        act: Acts on some of them, in one request.
        most: How many times to act at the most; what is then still refused together counts as refused.

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
    error: ContactsError, before: Outcome, batch: Sequence[object], remaining: Sequence[object]
) -> ContactsError:
    """The error of a later batch, with what the batches before it reached and those after it did not."""
    if isinstance(error, Interrupted):
        outcome = Outcome.merge(before.operation, before.provider, [before, error.outcome])
        return Interrupted(outcome, error.uncertain, [*error.unsent, *remaining], str(error.__cause__))
    if not (before.requested or remaining):
        return error
    rest = remaining if error.unclear else [*batch, *remaining]
    return Interrupted(before, batch if error.unclear else [], rest, str(error))


def through(stream: Stream[T], change: Callable[[Sequence[T]], Sequence[R]]) -> Stream[R]:
    """The stream with each batch of its items changed; batches that become empty are not emitted."""
    try:
        effect = next(stream)
        while True:
            if isinstance(effect, Emit):
                if items := change(effect.items):
                    yield Emit(items)
                effect = next(stream)
                continue
            try:
                answer = yield effect
            except Exception as error:  # noqa: BLE001 - whatever an effect raises is raised in the stream
                effect = stream.throw(error)
            else:
                effect = stream.send(answer)
    except StopIteration:
        return
    finally:
        stream.close()


def drain(stream: Stream[T], take: Callable[[Sequence[T]], object]) -> Flow[None]:
    """Run a stream to its end inside a flow, handing its items to ``take``."""

    def nothing(items: Sequence[T]) -> Sequence[T]:
        take(items)
        return ()

    yield from cast("Flow[None]", through(stream, nothing))
