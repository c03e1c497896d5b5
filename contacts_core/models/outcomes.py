"""Results of changes. A result never claims more than the vendor said."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from attrs import evolve, field, frozen

from contacts_core.models.contact import Contact
from contacts_core.models.identifiers import mask
from contacts_core.models.jobs import Job, JobState
from contacts_core.models.losses import LossCount, added

__all__ = ["Failure", "Outcome", "OutcomeState"]


@frozen(repr=False)
class Failure:
    """An item that failed, and why."""

    item: str
    reason: str

    def __repr__(self) -> str:
        """Mask the item: it may be an address."""
        return f"Failure({mask(self.item)}: {self.reason})"


def _may_have_worked(job: Job) -> bool:
    """Whether a job may have done something, although the vendor gives no count."""
    uncounted = job.succeeded is None and not job.failed
    return job.state in {JobState.PARTIAL, JobState.UNKNOWN} or (job.state is JobState.DONE and uncounted)


class OutcomeState(Enum):
    """The state of an operation. ``ACCEPTED`` means that jobs of the vendor are still pending."""

    ACCEPTED = "accepted"
    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"


@frozen(kw_only=True)
class Outcome:
    """The result of an operation that changes something. It claims no more than the vendor said.

    Attributes:
        operation: Name of the method; filled in by the core.
        provider: Name of the provider; filled in by the core.
        requested: Number of items asked for; filled in by the core.
        confirmed: Items that the vendor confirmed one by one.
        processed: Number of further items that the vendor confirmed as a number only, outside jobs.
        absent: Items that the vendor does not have: already gone, or never there.
        failed: Items that did not work, with the reason.
        jobs: The vendor's jobs that do the rest, as last read.
        deleted: The last copy of deleted contacts, from vendors that return it.
        dropped_fields: Names of fields that were not written because the vendor does not have them, or refuses them.
        losses: How many of the contacts lost which field, and why; also where the value is kept in another form. Filled
            in by the core.
        emulated: Whether it was done by reading, changing and writing back; another writer's change in between is lost.
            Filled in by the core.
    """

    operation: str = ""
    provider: str = ""
    requested: int = 0
    confirmed: tuple[str, ...] = field(default=(), repr=lambda items: f"{len(items)} items")
    processed: int = 0
    absent: tuple[str, ...] = field(default=(), repr=lambda items: f"{len(items)} items")
    failed: tuple[Failure, ...] = ()
    jobs: tuple[Job, ...] = ()
    deleted: tuple[Contact, ...] = field(default=(), repr=False)
    dropped_fields: tuple[str, ...] = ()
    losses: tuple[LossCount, ...] = ()
    emulated: bool = False

    @classmethod
    def merge(cls, operation: str, provider: str, parts: Iterable[Outcome]) -> Outcome:
        """Add up the outcomes of the chunks of one operation."""
        outcomes = list(parts)
        return cls(
            operation=operation,
            provider=provider,
            requested=sum(o.requested for o in outcomes),
            confirmed=tuple(item for o in outcomes for item in o.confirmed),
            processed=sum(o.processed for o in outcomes),
            absent=tuple(item for o in outcomes for item in o.absent),
            failed=tuple(item for o in outcomes for item in o.failed),
            jobs=tuple(job for o in outcomes for job in o.jobs),
            deleted=tuple(contact for o in outcomes for contact in o.deleted),
            dropped_fields=tuple(dict.fromkeys(name for o in outcomes for name in o.dropped_fields)),
            losses=added(o.losses for o in outcomes),
            emulated=any(o.emulated for o in outcomes),
        )

    def with_jobs(self, jobs: Iterable[Job]) -> Outcome:
        """Return the same outcome with its jobs as read now."""
        return evolve(self, jobs=tuple(jobs))

    @property
    def pending(self) -> tuple[Job, ...]:
        """The jobs that the vendor has not finished."""
        return tuple(job for job in self.jobs if not job.finished)

    @property
    def succeeded_count(self) -> int:
        """Number of items that the vendor confirmed, one by one or as a number."""
        return len(self.confirmed) + self.processed + sum(job.succeeded or 0 for job in self.jobs)

    @property
    def failed_count(self) -> int:
        """Number of items that failed, by name or as a number in a job."""
        return len(self.failed) + sum(job.failed or 0 for job in self.jobs)

    @property
    def unconfirmed(self) -> int:
        """Number of items the vendor reported no result for."""
        return max(0, self.requested - self.succeeded_count - len(self.absent) - self.failed_count)

    @property
    def state(self) -> OutcomeState:
        """The state of the whole operation.

        A job that the vendor calls completed counts as done, even without a count; `unconfirmed` still includes it.
        """
        if self.pending:
            return OutcomeState.ACCEPTED
        uncounted = self.unconfirmed - sum(
            job.requested for job in self.jobs if job.state is JobState.DONE and job.succeeded is None
        )
        troubled = [job for job in self.jobs if job.state is not JobState.DONE]
        if not (self.failed_count or troubled or uncounted > 0):
            return OutcomeState.DONE
        nothing = not (self.succeeded_count or self.absent or any(map(_may_have_worked, self.jobs)))
        only_failures = self.failed_count >= self.requested or any(job.state is JobState.FAILED for job in troubled)
        return OutcomeState.FAILED if nothing and only_failures else OutcomeState.PARTIAL
