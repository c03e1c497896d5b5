"""Pure building blocks of flows: chunking, paging, running side by side, adding up outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar, cast

from contacts_core.errors import (
    ContactsError,
    Interrupted,
    NotFound,
    Rejected,
    Unavailable,
    UnexpectedPayload,
    Unreachable,
)
from contacts_core.flow import Emit, Flow, Settled, Stream, Together
from contacts_core.models import Failure, Outcome, Page

__all__ = [
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

UNCLEAR = (Unreachable, Unavailable, UnexpectedPayload)  # the request may have been carried out all the same


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


def gather(page: Callable[[str | None], Flow[Page[T]]]) -> Flow[list[T]]:
    """Read every page."""
    items: list[T] = []
    cursor: str | None = None
    while True:
        part = yield from page(cursor)
        items.extend(part.items)
        if (cursor := part.next) is None:
            return items


def run_together(flows: Sequence[Flow[R]], limit: int) -> Flow[list[Settled[R]]]:
    """Run flows side by side; a single one runs by itself, which keeps its requests in a readable order."""
    if len(flows) > 1:
        return (yield from Together(flows, limit))
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
) -> Flow[Outcome]:
    """Act on items in chunks, side by side, and add the outcomes up.

    A refusal of one chunk (404 for a single item, another 4xx) is an outcome like any other. Anything that would meet
    the next chunk as well (no right, no answer, too many requests) stops the rest.

    Raises:
        Interrupted: The operation stopped after something had been sent with success.
        ContactsError: There was only one chunk, or nothing was sent.
    """
    parts = list(chunks(items, size))
    settled = yield from run_together([act(part) for part in parts], limit)
    return added_up(operation, provider, parts, settled, name)


def added_up(
    operation: str,
    provider: str,
    parts: Sequence[Sequence[T]],
    settled: Sequence[Settled[Outcome]],
    name: Callable[[T], str],
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
                (uncertain if each.started and isinstance(error, UNCLEAR) else unsent).extend(part)
    total = Outcome.total(operation, provider, outcomes)
    if fatal and (len(parts) == 1 or not (outcomes or uncertain)):
        raise fatal  # the caller knows the items: all of them
    if fatal:
        raise Interrupted(total, uncertain, unsent, str(fatal)) from fatal
    return total


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
        outcome = Outcome.total(before.operation, before.provider, [before, error.outcome])
        return Interrupted(outcome, error.uncertain, [*error.unsent, *remaining], str(error.__cause__))
    if not (before.requested or remaining):
        return error
    unclear = isinstance(error, UNCLEAR)
    return Interrupted(before, batch if unclear else [], remaining if unclear else [*batch, *remaining], str(error))


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
            except ContactsError as error:
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
