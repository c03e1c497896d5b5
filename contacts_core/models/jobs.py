"""Work that a vendor accepted and does later."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum

from attrs import field, frozen

__all__ = ["Job", "JobState"]


class JobState(Enum):
    """The state of a vendor's job.

    Attributes:
        PENDING: The vendor is not finished.
        DONE: All of it is done.
        PARTIAL: Some of it is done, and the rest has failed.
        FAILED: It ended without doing its work.
        UNKNOWN: The vendor does not let this job be read.
    """

    PENDING = "pending"
    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    UNKNOWN = "unknown"


@frozen(kw_only=True)
class Job:
    """Work that a vendor accepted and does later. Plain data: store it, and read it again from another process.

    Attributes:
        provider: Name of the provider; filled in by the core.
        id: The vendor's id of the job.
        operation: Name of the method that started it, such as ``delete_contacts``; empty if not known.
        state: Its state when it was last read.
        requested: Number of items in it.
        succeeded: Number of items the vendor counts as done; None where it gives no such number.
        failed: Number of items the vendor counts as failed; None where it gives no such number.
        counts: The vendor's own counters, by its own names.
        created_at: When the vendor accepted the job.
        finished_at: When the vendor finished it.
        expires_at: When its files are deleted.
        errors_url: Where the vendor lists the failed items; a pre-signed address, so it is secret.
        files: Addresses of the result files; pre-signed, so they are secret.
        detail: The vendor's message about a failure, masked.
    """

    provider: str = ""
    id: str
    operation: str = ""
    state: JobState = JobState.PENDING
    requested: int = 0
    succeeded: int | None = None
    failed: int | None = None
    counts: Mapping[str, int] = field(factory=dict[str, int])
    created_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    errors_url: str = field(default="", repr=False)
    files: tuple[str, ...] = field(default=(), repr=False)
    detail: str = ""

    @property
    def finished(self) -> bool:
        """Whether the vendor is done with it."""
        return self.state is not JobState.PENDING
