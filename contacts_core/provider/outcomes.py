"""What a provider says became of a change; the core adds the operation, the provider and the number of items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from attrs import evolve

from contacts_core.models import Contact, Failure, Job, Outcome

__all__ = ["absent", "combined", "done", "failed", "queued", "unconfirmed"]


def done(items: str | Iterable[str], *, deleted: Sequence[Contact] = (), dropped_fields: Iterable[str] = ()) -> Outcome:
    """Say that the vendor confirmed these items one by one.

    Args:
        items: One item or several, named as they were given to the method: ids, or the value of an identifier. For
            written contacts, their ids at the vendor.
        deleted: The last copy of deleted contacts, from vendors that return it.
        dropped_fields: Names of fields that were not written because the vendor does not have them.
    """
    confirmed = _several(items)
    return Outcome(
        requested=len(confirmed),
        confirmed=confirmed,
        deleted=tuple(deleted),
        dropped_fields=tuple(sorted(set(dropped_fields))),
    )


def absent(items: str | Iterable[str]) -> Outcome:
    """Say that the vendor does not have these items: already gone, or never there."""
    names = _several(items)
    return Outcome(requested=len(names), absent=names)


def failed(items: str | Iterable[str], reason: str) -> Outcome:
    """Say that these items did not work, and why."""
    names = _several(items)
    return Outcome(requested=len(names), failed=tuple(Failure(name, reason) for name in names))


def queued(job: Job | str, requested: int = 0) -> Outcome:
    """Say that the vendor accepted the items as a job, and no more.

    Args:
        job: The job, or its id.
        requested: Number of items in the job, where the core cannot know it: for several jobs at once, and for
            the deletion of all contacts. Otherwise the core counts the items that nothing else is said of.
    """
    known = Job(id=job, requested=requested) if isinstance(job, str) else job
    return Outcome(requested=known.requested, jobs=(known,))


def unconfirmed(requested: int = 0) -> Outcome:
    """Say that the vendor accepted the items without telling what became of them.

    Args:
        requested: Number of these items, where the core cannot know it; see `queued`. Where nobody knows it, at least
            one item has no result, and that is what the outcome says.
    """
    return Outcome(requested=max(requested, 1))


def combined(parts: Iterable[Outcome]) -> Outcome:
    """Add up what is said of several items of one call."""
    return Outcome.merge("", "", parts)


def counted(outcome: Outcome, requested: int) -> Outcome:
    """Return the outcome with the number of items that were asked for.

    Numbers that the provider gave yield to it: no more items are confirmed or processed than nothing else is said of,
    and a single job holds the rest, or fewer if the provider says how many.
    """
    confirmed = outcome.confirmed[: max(0, requested - len(outcome.absent) - len(outcome.failed))]
    left = max(0, requested - len(confirmed) - len(outcome.absent) - len(outcome.failed))
    processed = min(outcome.processed, left)
    rest = left - processed
    jobs = outcome.jobs
    if len(jobs) == 1:
        jobs = (evolve(jobs[0], requested=min(jobs[0].requested or rest, rest)),)
    return evolve(outcome, requested=requested, confirmed=confirmed, processed=processed, jobs=jobs)


def about(outcome: Outcome, items: Iterable[str]) -> Outcome:
    """Return the outcome without items that were not asked for, and with each item once."""
    left = Counter(items)
    copies = {contact.id: contact for contact in outcome.deleted if contact.id in left}

    def asked(name: str) -> bool:
        left[name] -= 1
        return left[name] >= 0

    return evolve(
        outcome,
        failed=tuple(failure for failure in outcome.failed if asked(failure.item)),
        absent=tuple(name for name in outcome.absent if asked(name)),
        confirmed=tuple(name for name in outcome.confirmed if asked(name)),
        deleted=tuple(copies.values()),
    )


def _several(items: str | Iterable[str]) -> tuple[str, ...]:
    return (items,) if isinstance(items, str) else tuple(items)
