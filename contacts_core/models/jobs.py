"""Work that a vendor accepted and does later."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum

from attrs import field, frozen

__all__ = ["Job", "JobState"]


class JobState(Enum):
    """The state of a vendor's job. ``UNKNOWN``: the vendor does not let this job be read."""

    PENDING = "pending"
    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    UNKNOWN = "unknown"


@frozen(kw_only=True)
class Job:
    """Work that a vendor accepted and does later. Plain data: store it, and read it in another process.

    Attributes:
        provider: Name of the provider.
        id: The vendor's id of the job.
        operation: Name of the method that started it, such as ``delete_contacts``; empty if not known.
        state: The state that the vendor last reported.
        requested: Number of items that were asked for.
        succeeded: Number of items the vendor reports as done; None if it gives no number.
        failed: Number of items the vendor reports as failed; None if it gives no number.
        counts: The vendor's own counters, by its own names.
        created_at: When the vendor accepted the job.
        finished_at: When the vendor ended it.
        expires_at: When its files are deleted.
        errors_url: Where the vendor explains the failed items. It is pre-signed, so treat it as a secret.
        files: URLs of the result files. They are pre-signed, so treat them as secrets.
        detail: The vendor's message about a failure, with identifiers masked.
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
        """Whether the job has ended."""
        return self.state is not JobState.PENDING
