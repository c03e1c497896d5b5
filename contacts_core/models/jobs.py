"""Work that a vendor accepted and does later."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum

from attrs import field, frozen

__all__ = ["Job", "JobState"]


class JobState(Enum):
    """How far a vendor's job got. ``UNKNOWN``: the vendor does not let this job be read."""

    PENDING = "pending"
    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    UNKNOWN = "unknown"


@frozen(kw_only=True)
class Job:
    """Work that a vendor accepted and does later. Plain data: store it, and check it from another process.

    Attributes:
        provider: Name of the provider.
        id: The vendor's id of the job.
        operation: Name of the method that began it, such as ``delete_contacts``; empty where not known.
        state: As the vendor last said.
        requested: Number of items that were asked for.
        succeeded: Number of items the vendor counts as done; None where it gives no such number.
        failed: Number of items the vendor counts as failed; None where it gives no such number.
        counts: The vendor's own counters, by its own names.
        created_at: When the vendor took the job.
        finished_at: When the vendor ended it.
        expires_at: When its files vanish.
        errors_url: Where the vendor explains the failed items; a pre-signed address, hence secret.
        files: Addresses of the result files; pre-signed, hence secret.
        detail: The vendor's words about a failure, scrubbed.
    """

    provider: str
    id: str
    operation: str = ""
    state: JobState = JobState.PENDING
    requested: int = 0
    succeeded: int | None = None
    failed: int | None = None
    counts: Mapping[str, int] = field(factory=dict)
    created_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    errors_url: str = field(default="", repr=False)
    files: tuple[str, ...] = field(default=(), repr=False)
    detail: str = ""

    @property
    def finished(self) -> bool:
        """Whether the vendor will not change it any more."""
        return self.state is not JobState.PENDING
