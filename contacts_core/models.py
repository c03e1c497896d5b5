"""The shared vocabulary: what every vendor's payloads become.

All models are frozen. Where a vendor did not say, the value is ``None``, never an empty guess: ``Contact.lists`` is
``None`` when an export does not tell which lists a contact is on, and ``()`` when the contact is on none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from typing import Any, Generic, Self, TypeAlias, TypeVar

from attrs import evolve, field, frozen

from contacts_core.identifiers import Identifier, IdentifierKind, mask

__all__ = [
    "Address",
    "Contact",
    "ContactList",
    "Count",
    "CustomValue",
    "Explanation",
    "Failure",
    "FieldDefinition",
    "FieldType",
    "Found",
    "Job",
    "JobState",
    "Outcome",
    "OutcomeState",
    "Page",
    "Strategy",
]

T = TypeVar("T")

CustomValue: TypeAlias = str | int | float | bool | date | datetime | tuple[str, ...] | None
"""A custom field's value, in the Python type of the field's `FieldType`."""


@frozen(repr=False, weakref_slot=False)
class Address:
    """A postal address; ``formatted`` is for vendors that keep it as one text."""

    line1: str = ""
    line2: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""
    formatted: str = ""

    def __repr__(self) -> str:
        """Hide the address: it is personal data."""
        return "Address(***)"


@frozen(repr=False, weakref_slot=False)
class Contact:
    """One contact of one account.

    Attributes:
        provider: Name of the provider it was read from; empty for a contact that a caller made.
        id: The vendor's id; empty for a contact that a caller made.
        identifiers: Every identifier the vendor told, the primary ones first.
        first_name: Given name.
        last_name: Family name.
        full_name: As the vendor computes or stores it.
        address: Postal address.
        organization: The company that the contact belongs to.
        title: The contact's position there.
        lists: Ids of the lists the contact is on; None where the vendor did not tell.
        tags: Names of tags.
        custom: Custom fields by name, in the Python type of the field.
        created_at: Aware, or None.
        updated_at: Aware, or None.
        extra: Every vendor field that has no shared name, by the vendor's name.
    """

    provider: str = ""
    id: str = ""
    identifiers: tuple[Identifier, ...] = ()
    first_name: str | None = None
    last_name: str | None = None
    full_name: str | None = None
    address: Address | None = None
    organization: str | None = None
    title: str | None = None
    lists: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    custom: Mapping[str, CustomValue] = field(factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    extra: Mapping[str, Any] = field(factory=dict)

    def all(self, kind: IdentifierKind) -> tuple[Identifier, ...]:
        """Every identifier of one kind."""
        return tuple(i for i in self.identifiers if i.kind is kind)

    def primary(self, kind: IdentifierKind) -> Identifier | None:
        """The identifier marked primary, else the first of its kind, else None."""
        of_kind = self.all(kind)
        return next((i for i in of_kind if i.primary), of_kind[0] if of_kind else None)

    @property
    def email(self) -> str | None:
        """The primary e-mail address as the vendor stores it."""
        found = self.primary(IdentifierKind.EMAIL)
        return found.value if found else None

    @property
    def phone(self) -> str | None:
        """The primary phone number, in E.164 where that can be known."""
        found = self.primary(IdentifierKind.PHONE)
        return found.normal if found else None

    @property
    def name(self) -> str:
        """The full name, or first and last name together; empty when neither is known."""
        return self.full_name or " ".join(part for part in (self.first_name, self.last_name) if part)

    @property
    def handle(self) -> str:
        """What names the contact in an outcome: its id, else its first identifier's value, else its name."""
        return self.id or next((i.value for i in self.identifiers), self.name)

    def __repr__(self) -> str:
        """Show who it is by id and masked identifiers only."""
        shown = ", ".join(i.masked for i in self.identifiers)
        return f"Contact({self.provider or '-'} {self.id or '-'}: {shown or 'no identifier'})"


@frozen(weakref_slot=False)
class ContactList:
    """A static list of contacts. ``count`` is the vendor's counter, which may lag; None where it gives none."""

    provider: str
    id: str
    name: str
    count: int | None = None
    description: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    extra: Mapping[str, Any] = field(factory=dict, repr=False)


class FieldType(Enum):
    """The type of a custom field."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    CHOICES = "choices"
    USER = "user"
    OTHER = "other"


@frozen(weakref_slot=False)
class FieldDefinition:
    """A custom field of an account; contacts carry its value under ``name``."""

    provider: str
    id: str
    name: str
    type: FieldType
    options: tuple[str, ...] = ()
    read_only: bool = False
    extra: Mapping[str, Any] = field(factory=dict, repr=False)


@frozen
class Page(Generic[T]):
    """A part of something long, and the cursor of the next part (None: this was the last).

    ``total`` is the number of all items where the vendor tells it.
    """

    items: Sequence[T]
    next: str | None = None
    total: int | None = None


class Count(int):
    """A number of contacts, and in ``how`` the way it was had: ``counter`` (the vendor's) or ``paged`` (read all)."""

    how: str

    def __new__(cls, value: int, how: str) -> Self:
        """Make a count of ``value``, had by ``how``."""
        count = super().__new__(cls, value)
        count.how = how
        return count

    def __getnewargs__(self) -> tuple[int, str]:  # type: ignore[override]  # int's own has one
        """Keep ``how`` when it is copied or pickled."""
        return int(self), self.how


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


@frozen(repr=False)
class Failure:
    """One item that did not work, and why."""

    item: str
    reason: str

    def __repr__(self) -> str:
        """Mask the item: it may be an address."""
        return f"Failure({mask(self.item)}: {self.reason})"


def _may_have_worked(job: Job) -> bool:
    """Whether a job did something as far as anyone can tell, though the vendor counted nothing."""
    uncounted = job.succeeded is None and not job.failed
    return job.state in {JobState.PARTIAL, JobState.UNKNOWN} or (job.state is JobState.DONE and uncounted)


class OutcomeState(Enum):
    """How an operation stands. ``ACCEPTED`` is not ``DONE``: the vendor has jobs open."""

    ACCEPTED = "accepted"
    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"


@frozen(kw_only=True)
class Outcome:
    """What became of an operation, claiming no more than the vendor said.

    Attributes:
        operation: Name of the method.
        provider: Name of the provider.
        requested: Number of items asked for.
        confirmed: Items that the vendor confirmed one by one.
        processed: Number of items that the vendor confirmed only as a number, outside jobs.
        absent: Items that the vendor does not have: already gone, or never there.
        failed: Items that did not work, with the reason.
        jobs: The vendor's jobs that carry the rest, as last seen.
        deleted: The last copy of deleted contacts, from vendors that hand it back.
        lost: Names of fields that this vendor has no place for and that were therefore not written.
        emulated: Whether it was done by reading, changing and writing back, with the race that this implies.
    """

    operation: str
    provider: str = ""
    requested: int = 0
    confirmed: tuple[str, ...] = field(default=(), repr=lambda items: f"{len(items)} items")
    processed: int = 0
    absent: tuple[str, ...] = field(default=(), repr=lambda items: f"{len(items)} items")
    failed: tuple[Failure, ...] = ()
    jobs: tuple[Job, ...] = ()
    deleted: tuple[Contact, ...] = field(default=(), repr=False)
    lost: tuple[str, ...] = ()
    emulated: bool = False

    @classmethod
    def queued(cls, job: Job) -> Outcome:
        """The vendor accepted a job and said no more."""
        return cls(operation=job.operation, provider=job.provider, requested=job.requested, jobs=(job,))

    @classmethod
    def total(cls, operation: str, provider: str, parts: Iterable[Outcome]) -> Outcome:
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
            lost=tuple(dict.fromkeys(name for o in outcomes for name in o.lost)),
            emulated=any(o.emulated for o in outcomes),
        )

    def with_jobs(self, jobs: Iterable[Job]) -> Outcome:
        """The same outcome with its jobs as seen now."""
        return evolve(self, jobs=tuple(jobs))

    @property
    def pending(self) -> tuple[Job, ...]:
        """The jobs that the vendor has not finished."""
        return tuple(job for job in self.jobs if not job.finished)

    @property
    def counted(self) -> int:
        """Number of items that the vendor confirmed, one by one or as a number."""
        return len(self.confirmed) + self.processed + sum(job.succeeded or 0 for job in self.jobs)

    @property
    def refused(self) -> int:
        """Number of items that failed, by name or as a number in a job."""
        return len(self.failed) + sum(job.failed or 0 for job in self.jobs)

    @property
    def unconfirmed(self) -> int:
        """Number of items of which the vendor said neither that they worked nor that they did not."""
        return max(0, self.requested - self.counted - len(self.absent) - self.refused)

    @property
    def state(self) -> OutcomeState:
        """How it stands, all in all.

        A job that the vendor calls completed without giving a count is taken at its word; `unconfirmed` still tells
        that nobody counted.
        """
        if self.pending:
            return OutcomeState.ACCEPTED
        unreached = self.unconfirmed - sum(
            job.requested for job in self.jobs if job.state is JobState.DONE and job.succeeded is None
        )
        troubled = [job for job in self.jobs if job.state is not JobState.DONE]
        if not (self.refused or troubled or unreached > 0):
            return OutcomeState.DONE
        nothing = not (self.counted or self.absent or any(map(_may_have_worked, self.jobs)))
        only_failures = self.refused >= self.requested or any(job.state is JobState.FAILED for job in troubled)
        return OutcomeState.FAILED if nothing and only_failures else OutcomeState.PARTIAL


@frozen(repr=False)
class Found(Mapping[Identifier, Contact | None]):
    """What `find` found, by the identifier that the vendor was asked for; None where nobody has it.

    A vendor may keep several contacts with one address: indexing gives the first, `every` gives all.

    Attributes:
        matches: The contacts that have each identifier. Identifiers that could not be asked for are not in it.
        unasked: Identifiers that could not be asked for, with the reason: whether somebody has them is not known.
        mismatched: How many contacts without it the vendor answered with, by identifier. They were left out; such an
            answer proves nothing about who else has the identifier.
    """

    matches: Mapping[Identifier, tuple[Contact, ...]]
    unasked: Mapping[Identifier, str] = field(factory=dict)
    mismatched: Mapping[Identifier, int] = field(factory=dict)

    def __getitem__(self, identifier: Identifier) -> Contact | None:
        """The first contact with this identifier, or None. KeyError for one that the vendor was not asked for."""
        return next(iter(self.matches[identifier]), None)

    def __iter__(self) -> Iterator[Identifier]:
        """The identifiers that the vendor was asked for, in the order of asking."""
        return iter(self.matches)

    def __len__(self) -> int:
        """How many identifiers the vendor was asked for."""
        return len(self.matches)

    def every(self, identifier: Identifier) -> tuple[Contact, ...]:
        """All contacts with this identifier."""
        return self.matches[identifier]

    def __repr__(self) -> str:
        """Show numbers only."""
        return f"Found({sum(map(bool, self.matches.values()))} of {len(self.matches)})"


class Strategy(Enum):
    """How a search is answered: by the vendor, or by reading every contact and filtering."""

    NATIVE = "native"
    SCAN = "scan"


@frozen
class Explanation:
    """How `search` would answer a query.

    Attributes:
        strategy: Who filters.
        requests: Cost in requests to the vendor; None where the vendor gives no way to know.
        text: The query in the vendor's language; empty for a scan.
        reason: Why this way, in a sentence.
    """

    strategy: Strategy
    requests: int | None
    text: str = ""
    reason: str = ""
