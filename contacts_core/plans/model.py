"""The plan: frozen data that can be read, saved, compared and approved before anything happens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from attrs import evolve, field, frozen

from contacts_core.errors import InvalidInput, PlanRefused
from contacts_core.models.losses import LossCode, LossCount
from contacts_core.plans.change import Change, DataSubject, Held, Suggestion, Unasked
from contacts_core.plans.change_operations import OPERATIONS
from contacts_core.plans.kinds import KINDS, Kind, kind_of
from contacts_core.plans.rows import elements, indexes_by_person
from contacts_core.storage.private_files import owner_only

if TYPE_CHECKING:
    from contacts_core.client import AsyncContacts, Contacts
    from contacts_core.plans.comparing.consent import ConsentOptions
    from contacts_core.plans.receipts.receipt import Receipt

__all__ = ["FORMAT", "AccountPlan", "ConsentSource", "IdentifierExpansion", "Plan", "SafetyLimits", "Stage", "Step"]

FORMAT = 3
BATCH_SIZE = 500  # changes checked together


class IdentifierExpansion(Enum):
    """Whether the other e-mail addresses and phone numbers of the contacts found are looked up as well.

    ``ONCE`` looks up those of the contacts found first; ``ALL`` continues until nothing new is found.
    """

    NO = "no"
    ONCE = "once"
    ALL = "all"


@frozen
class SafetyLimits:
    """How many contacts of one account a plan may change.

    Attributes:
        contacts: At most this many contacts.
        share: At most this share of the account's contacts, from 0 to 1.
        floor: ``share`` is not enforced at or below this many contacts.
    """

    contacts: int = 1000
    share: float = field(default=0.2, converter=float)  # so that 1 and 1.0 have the same checksum
    floor: int = 20


@frozen
class Step:
    """One durable unit of work: some changes of one account, in as few requests as the vendor allows.

    Attributes:
        number: From 1, within the account.
        operation: Name of the client's method; all changes of a step have the same.
        first: Index of its first change.
        count: Number of changes.
        requests: Number of requests, including those that read each contact just before.
        idempotent: Whether repeating it after a crash changes nothing more. It does so at every vendor that recognises
            what it created; see `Provider.non_idempotent` for the others.
    """

    number: int
    operation: str
    first: int
    count: int
    requests: int
    idempotent: bool = True


@frozen
class Stage:
    """The changes of one operation in one account. It is verified before the next stage begins.

    Attributes:
        operation: The operation of all its changes.
        first: Index of its first change.
        count: Number of changes.
        steps: The work.
    """

    operation: str
    first: int
    count: int
    steps: tuple[Step, ...]


@frozen(kw_only=True)
class ConsentSource:
    """How the consent of an account's contacts was copied, so that it can be read again before they are written.

    Attributes:
        account_id: Fingerprint of the account that is copied from; see `AccountPlan`.
        unsubscribed: What becomes of people who refused; see `ConsentOptions`, also for the others.
        place: Where consent is kept if a vendor keeps none: ``field:NAME`` or ``tag:NAME``; empty for nowhere.
        create_scopes: Whether scopes that the account lacks are created.
        accepted: The fields of losses of the code ``NO_CONSENT`` that are accepted.
    """

    account_id: str
    unsubscribed: str
    place: str
    create_scopes: bool
    accepted: tuple[str, ...]

    @property
    def options(self) -> ConsentOptions:
        """How it was copied, as a comparison takes it.

        Raises:
            PlanRefused: There is no such way.
        """
        from contacts_core.plans.comparing.consent import ConsentOptions, Unsubscribed  # noqa: PLC0415 - a cycle
        from contacts_core.plans.comparing.consent_marks import ConsentPlace  # noqa: PLC0415 - as above

        try:
            return ConsentOptions(
                unsubscribed=Unsubscribed(self.unsubscribed),
                place=ConsentPlace.parse(self.place) if self.place else None,
                create_scopes=self.create_scopes,
                accepted=self.accepted,
            )
        except (ValueError, InvalidInput) as error:
            raise PlanRefused(
                "the plan contradicts itself: consent cannot be copied as it says", hint="make a new plan instead"
            ) from error


@frozen(kw_only=True)
class AccountPlan:
    """What is to be done in one account.

    The sequences may be longer than fits into memory: iterate over them, or take slices.

    Attributes:
        account: Its name.
        provider: Name of the provider.
        title: The vendor's own name.
        account_id: Fingerprint of the account that was read: SHA-256 over the provider's name and the vendor's id of
            the account. The plan is for this account, whatever its name leads to later.
        read: How the contacts were found: ``look-up``, or ``scan`` (every contact was read).
        size: Number of contacts in the account; None if it was not needed.
        changes: The changes, in the order of the steps.
        steps: The work.
        requests: Number of requests for the work, including those that read each contact just before it is changed,
            without those that check the plan and verify the work. More if an answer shows a contact only in part.
        seconds: The least time in seconds that the vendor's rate limits allow for these.
        residual_data: What deletion leaves behind at this vendor, and why.
        emulated: Whether it is done by reading, changing and writing back, with the race that this implies.
        queued: Whether the vendor accepts it as jobs and does it later.
        unasked: Identifiers that the vendor cannot look up.
        held: Contacts that were given and are left alone.
        losses: What of the contacts that are written the vendor does not keep.
        source: Where the contacts are copied from: the name of an account; empty if from none.
        consent: How the consent of the source is copied; None if it is not.
    """

    account: str
    provider: str
    title: str
    account_id: str
    read: str
    size: int | None
    changes: Sequence[Change] = ()
    steps: tuple[Step, ...] = ()
    requests: int
    seconds: float
    residual_data: Mapping[str, str]
    emulated: bool = False
    queued: bool = False
    unasked: Sequence[Unasked] = ()
    held: Sequence[Held] = ()
    losses: tuple[LossCount, ...] = ()
    source: str = ""
    consent: ConsentSource | None = None

    @property
    def non_idempotent(self) -> tuple[str, ...]:
        """The operations of steps that are not idempotent."""
        return tuple(dict.fromkeys(step.operation for step in self.steps if not step.idempotent))

    def of(self, step: Step) -> Sequence[Change]:
        """Return the changes of a step."""
        return self.changes[step.first : step.first + step.count]

    def stages(self, kind: Kind) -> tuple[Stage, ...]:
        """Return the stages that there are changes for, in their order, or the only one, which has none.

        Args:
            kind: The kind of plan. If it is about people, its first stage is always there.
        """
        stages = [
            Stage(name, several[0].first, sum(step.count for step in several), several)
            for name, steps in groupby(self.steps, attrgetter("operation"))
            if (several := tuple(steps))
        ]
        if not stages or (kind.about_people and stages[0].operation != kind.stages[0]):
            stages.insert(0, Stage(kind.stages[0] if kind.about_people else kind.changes_by.name, 0, 0, ()))
        return tuple(stages)


@frozen(repr=False, slots=False, kw_only=True)
class Plan:
    """What is to be done in each account. Making a plan only reads.

    Attributes:
        kind: Name of the kind of plan; see `contacts_core.plans.kinds`.
        made_at: When it was made.
        people: The people it is about: iterate over them, they may be more than fit into memory.
        accounts: What is to be done in each account.
        follow: Whether identifiers of the contacts found were looked up as well.
        suggestions: What ``follow`` would have looked up.
        list_id: The id of the list, if memberships of one are changed.
        limits: The limits it was made with.
        checksum: SHA-256 over all of this.
    """

    kind: str
    made_at: datetime
    people: Sequence[DataSubject] = ()
    accounts: tuple[AccountPlan, ...]
    follow: IdentifierExpansion = IdentifierExpansion.NO
    suggestions: Sequence[Suggestion] = ()
    list_id: str = ""
    limits: SafetyLimits = field(factory=SafetyLimits)
    checksum: str = ""

    @cached_property
    def by_account(self) -> Mapping[str, AccountPlan]:
        """The accounts by name."""
        return {part.account: part for part in self.accounts}

    @property
    def contacts(self) -> int:
        """Number of contacts that it changes."""
        return sum(len(part.changes) for part in self.accounts)

    @property
    def requests(self) -> int:
        """Number of requests for the work; see `AccountPlan`."""
        return sum(part.requests for part in self.accounts)

    @property
    def seconds(self) -> float:
        """The least time in seconds that the vendors' rate limits allow. Accounts are worked on concurrently."""
        return max((part.seconds for part in self.accounts), default=0.0)

    def summed(self) -> Self:
        """Return the same plan with its checksum."""
        from contacts_core.plans import plan_file  # noqa: PLC0415 - it needs the classes of this module

        return evolve(self, checksum=plan_file.checksum_of(self))

    def lines(self) -> Iterator[str]:
        """Yield the lines of its file, with whole identifiers. They are as confidential as the contacts themselves."""
        from contacts_core.plans import plan_file  # noqa: PLC0415 - as above

        return plan_file.lines_of(self)

    @property
    def text(self) -> str:
        """The whole of its file; prefer `lines` for large plans."""
        return "".join(self.lines())

    @classmethod
    def parse(cls, content: str | bytes | BinaryIO | Iterable[bytes], *, agreed: bool = False) -> Plan:
        """Return the plan of a file: an open one, or its content as a whole or in pieces.

        Args:
            content: The file.
            agreed: Whether nobody can have written it but this library, which checked that its parts agree.

        Raises:
            PlanRefused: It is not a plan, or was altered since it was made.
        """
        from contacts_core.plans import plan_file  # noqa: PLC0415 - as above

        if isinstance(content, str):
            content = content.encode(errors="surrogatepass")
        plan = plan_file.parse([content] if isinstance(content, bytes) else content, agreed=agreed)
        if not agreed:
            plan.agree()
        return plan

    def check(self) -> None:
        """Check that it is as it was made, and consistent.

        Raises:
            PlanRefused: It was altered, or contradicts itself.
        """
        if self.summed().checksum != self.checksum:
            raise PlanRefused("the plan was altered since it was made: its checksum differs", hint="make a new plan")
        self.agree()

    def agree(self) -> None:
        """Check that its parts are consistent with one another.

        Raises:
            PlanRefused: It contradicts itself.
        """
        if self._disagreement:
            raise PlanRefused(f"the plan contradicts itself: {self._disagreement}", hint="make a new plan instead")

    @cached_property
    def _disagreement(self) -> str:
        """The first thing that no plan made here contains; empty if there is none. Plans do not change."""
        return next(_disagreements(self), "")

    def save(self, path: Path | str) -> None:
        """Write it to a file that only its owner can read."""
        with owner_only(Path(path)) as file:
            file.writelines(self.lines())

    @classmethod
    def load(cls, path: Path | str) -> Plan:
        """Read it from a file.

        Raises:
            PlanRefused: It is not a plan, or was altered since it was made.
        """
        with Path(path).open("rb") as file:
            return cls.parse(file)

    def apply(self, accounts: Sequence[str | Contacts[Any]] = (), **options: Any) -> Receipt:
        """Apply it durably, and return the receipt. `contacts_core.plans.apply` takes the same arguments."""
        from contacts_core.plans.execution.runner import apply  # noqa: PLC0415 - reading a plan needs no database

        return apply(self, accounts, **options)

    async def apply_async(self, accounts: Sequence[str | AsyncContacts[Any]] = (), **options: Any) -> Receipt:
        """Apply it with `AsyncContacts`. See `contacts_core.plans.apply_async`."""
        from contacts_core.plans.execution.runner import apply_async  # noqa: PLC0415 - as above

        return await apply_async(self, accounts, **options)

    def __repr__(self) -> str:
        """Show numbers only, because the people it is about are personal data."""
        names = ", ".join(f"{part.account}: {len(part.changes)}" for part in self.accounts)
        return f"Plan({self.kind}, {len(self.people)} people, contacts {{{names}}}, {self.checksum[:12]})"


def _disagreements(plan: Plan) -> Iterator[str]:
    """Yield what no plan made here contains. Anyone who edits a file can compute its checksum again."""
    if plan.kind not in KINDS:
        yield "there is no such kind of plan"
        return
    kind, count = kind_of(plan.kind), 0
    for count, person in enumerate(plan.people, 1):
        if person.number != count:
            yield "its people are not numbered from 1"
        if bool(person.contact) == bool(person.identifiers):
            yield "a person has an id or identifiers, never both or neither"
        if any(not i.value.strip() for i in person.identifiers):
            yield "an identifier is blank"
    if not count and kind.about_people:
        yield "its people are not numbered from 1"
    if not plan.accounts or len(plan.by_account) != len(plan.accounts):
        yield "it names an account twice, or none"
    if bool(plan.list_id) != kind.needs_list:
        yield "it names a list and needs none, or needs a list and names none"
    if not 1970 < plan.made_at.year < 9999:
        yield "the time it was made is not valid"
    for part in plan.accounts:
        yield from _disagreements_in(plan, part)


def _disagreements_in(plan: Plan, part: AccountPlan) -> Iterator[str]:
    kind = kind_of(plan.kind)
    yield from _disagreements_of(kind, part)
    stages = kind.stages
    total, planned, place = len(part.changes), 0, 0
    adds_up = True
    for number, step in enumerate(part.steps, 1):
        place = next((n for n, name in enumerate(stages) if n >= place and name == step.operation), len(stages))
        adds_up &= (
            (step.number, step.first) == (number, planned) and 0 < step.count <= total - planned and place < len(stages)
        )
        if not adds_up:
            break
        planned += step.count
        for first in range(step.first, step.first + step.count, BATCH_SIZE):
            batch = part.changes[first : min(first + BATCH_SIZE, step.first + step.count)]
            if any(change.operation != step.operation for change in batch):
                yield f"{part.account}: a change is not of this kind of plan"
                return
            yield from _disagreements_among(plan, part, batch)
    if planned != total or not adds_up:
        yield f"{part.account}: its steps do not add up to its contacts"


def _disagreements_of(kind: Kind, part: AccountPlan) -> Iterator[str]:
    """Yield what is wrong with the accounts that a part of a plan names."""
    if not part.account_id:
        yield f"{part.account}: it does not name the workspace it is for"
    if kind.reads_consent != (part.consent is not None) or kind.reads_consent != bool(part.source):
        yield f"{part.account}: it does not tell whose consent is read before contacts are written"
    if part.consent is not None:
        if not part.consent.account_id:
            yield f"{part.account}: it does not name the workspace that is copied from"
        _ = part.consent.options
        told = {loss.field for loss in part.losses if loss.code is LossCode.NO_CONSENT}
        if not told.issuperset(part.consent.accepted):
            yield f"{part.account}: it accepts that refusals get lost, and does not tell of which"


def _disagreements_among(plan: Plan, part: AccountPlan, batch: Sequence[Change]) -> Iterator[str]:
    """Yield what is wrong with some changes of one operation."""
    people = _people_of(plan, batch)
    operation = OPERATIONS[batch[0].operation]
    strangers = [change for change in batch if not _belongs(plan, change, people)]
    if not all(_is_of_contacts(part, change, people) for change in strangers):
        yield f"{part.account}: a contact belongs to no person of the plan"
    yield from filter(None, map(operation.check, batch))
    if kind_of(plan.kind).depends_on_values and any(change.contact and not change.before for change in batch):
        yield f"{part.account}: a contact is to be changed, whatever became of it"
    if part.consent is None and any(map(operation.needs_source, batch)):
        yield f"{part.account}: what people granted is to be written, and nobody says that they did"


def _people_of(plan: Plan, changes: Iterable[Change]) -> dict[int, DataSubject]:
    numbers = {number for change in changes for number in change.people}
    return {n + 1: person for n, person in elements(plan.people, (number - 1 for number in numbers)).items()}


def _is_of_contacts(part: AccountPlan, change: Change, people: Mapping[int, DataSubject]) -> bool:
    """Return whether a change of the account is about an identifier of a contact that is changed for its people."""
    if not OPERATIONS[change.operation].of_account or not change.people or not people.keys() >= {*change.people}:
        return False
    indexes = indexes_by_person(part.changes, change.people)
    contacts = elements(part.changes, (n for several in indexes.values() for n in several)).values()
    return {*change.identifiers} <= {i for each in contacts if each.contact for i in each.identifiers}


def _belongs(plan: Plan, change: Change, people: Mapping[int, DataSubject]) -> bool:
    """Return whether a change belongs to its people, and the identifiers to remove are theirs."""
    operation = OPERATIONS[change.operation]
    if not (change.people or operation.of_account) or not all(number in people for number in change.people):
        return False
    owners = [people[number] for number in change.people]
    known, wanted = set(change.identifiers), {i for person in owners for i in person.identifiers}
    removes = set(change.removes)
    if removes - (known & wanted) or bool(removes) != operation.removes_identifiers:
        return False
    if bool(change.list_id) != operation.needs_list or (plan.list_id and change.list_id != plan.list_id):
        return False
    return all((p.contact and p.contact == change.contact) or not known.isdisjoint(p.identifiers) for p in owners)
