"""The plan: frozen data that can be read, saved, compared and approved before anything happens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from attrs import evolve, field, frozen
from cattrs import Converter, transform_error
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn

from contacts_core.errors import PlanRefused
from contacts_core.models import Identifier
from contacts_core.plans.kinds import Kind, PlanKind, kind_of
from contacts_core.storage.private_files import owner_only

if TYPE_CHECKING:
    from contacts_core.client import AsyncContacts, Contacts
    from contacts_core.plans.receipts.receipt import Receipt

__all__ = [
    "AccountPlan",
    "DataSubject",
    "IdentifierExpansion",
    "Plan",
    "PlanKind",
    "SafetyLimits",
    "Step",
    "Suggestion",
    "Target",
    "Unasked",
]

FORMAT = 2


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
class DataSubject:
    """One person that a plan is about, given by identifiers or by the id of a contact.

    Attributes:
        number: Position in the request, from 1.
        asked: The identifiers that were given.
        followed: Identifiers that were found on their contacts and looked up as well.
        contact: The id that was given; empty if identifiers were.
    """

    number: int
    asked: tuple[Identifier, ...] = ()
    followed: tuple[Identifier, ...] = ()
    contact: str = ""

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """All identifiers that are looked up for this person."""
        return (*self.asked, *self.followed)


@frozen
class Target:
    """One contact that the plan changes.

    Attributes:
        contact: Its id.
        identifiers: All its identifiers, as read when the plan was made.
        people: Numbers of the people it belongs to.
        reason: Why it is changed, with identifiers masked.
        removes: Which of its identifiers are to be removed; empty in other kinds of plans.
    """

    contact: str
    identifiers: tuple[Identifier, ...]
    people: tuple[int, ...]
    reason: str
    removes: tuple[Identifier, ...] = ()


@frozen
class Step:
    """One durable unit of work: some targets of one account, in as few requests as the vendor allows.

    Attributes:
        number: From 1, within the account.
        operation: Name of the client's method.
        first: Index of its first target.
        count: Number of targets.
        requests: Number of requests, including those that read each contact just before.
        idempotent: Whether repeating it changes nothing more.
    """

    number: int
    operation: str
    first: int
    count: int
    requests: int
    idempotent: bool = True


@frozen
class Unasked:
    """An identifier that a vendor cannot look up, with the reason. Whether a contact has it is unknown."""

    identifier: Identifier
    reason: str


@frozen
class AccountPlan:
    """What is to be done in one account.

    Attributes:
        account: Its name.
        provider: Name of the provider.
        title: The vendor's own name.
        account_id: Fingerprint of the account that was read: SHA-256 over the provider's name and the vendor's id of
            the account. The plan is for this account, whatever its name leads to later.
        read: How the contacts were found: ``look-up``, or ``scan`` (every contact was read).
        size: Number of contacts in the account; None if it was not needed.
        targets: The contacts, in the order of the steps.
        steps: The work.
        requests: Number of requests for the work, including those that read each contact just before it is changed,
            without those that check the plan and verify the work. More if an answer shows a contact only in part.
        seconds: The least time in seconds that the vendor's rate limits allow for these.
        residual_data: What deletion leaves behind at this vendor, and why.
        emulated: Whether it is done by reading, changing and writing back, with the race that this implies.
        queued: Whether the vendor accepts it as jobs and does it later.
        unasked: Identifiers that the vendor cannot look up.
    """

    account: str
    provider: str
    title: str
    account_id: str
    read: str
    size: int | None
    targets: tuple[Target, ...]
    steps: tuple[Step, ...]
    requests: int
    seconds: float
    residual_data: Mapping[str, str]
    emulated: bool = False
    queued: bool = False
    unasked: tuple[Unasked, ...] = ()

    def of(self, step: Step) -> tuple[Target, ...]:
        """Return the targets of a step."""
        return self.targets[step.first : step.first + step.count]


@frozen
class Suggestion:
    """An identifier of a contact that was found, which ``follow`` would look up as well."""

    person: int
    identifier: Identifier
    account: str
    contact: str


@frozen(repr=False, slots=False)
class Plan:
    """What is to be done in each account. Making a plan only reads.

    Attributes:
        kind: The kind of plan.
        made_at: When it was made.
        people: The people it is about.
        accounts: What is to be done in each account.
        follow: Whether identifiers of the contacts found were looked up as well.
        suggestions: What ``follow`` would have looked up.
        list_id: The id of the list, if members are removed from one.
        limits: The limits it was made with.
        checksum: SHA-256 over all of this.
    """

    kind: PlanKind
    made_at: datetime
    people: tuple[DataSubject, ...]
    accounts: tuple[AccountPlan, ...]
    follow: IdentifierExpansion = IdentifierExpansion.NO
    suggestions: tuple[Suggestion, ...] = ()
    list_id: str = ""
    limits: SafetyLimits = field(factory=SafetyLimits)
    checksum: str = ""
    format: int = FORMAT

    @cached_property
    def by_account(self) -> Mapping[str, AccountPlan]:
        """The accounts by name."""
        return {part.account: part for part in self.accounts}

    @property
    def contacts(self) -> int:
        """Number of contacts that it changes."""
        return sum(len(part.targets) for part in self.accounts)

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
        return evolve(self, checksum=checksum_of(converter.unstructure(self)))

    def to_json(self) -> str:
        """Return the plan as JSON, with whole identifiers. It is as confidential as the contacts themselves."""
        data = converter.unstructure(self)
        text = json.dumps(data, ensure_ascii=False, indent=1)
        try:
            text.encode()
        except UnicodeEncodeError:  # a lone surrogate, which some vendors send and no file can hold
            text = json.dumps(data, ensure_ascii=True, indent=1)
        return text + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the plan that was written as JSON.

        Raises:
            PlanRefused: It is not a plan, or was altered since it was made.
        """
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            raise PlanRefused("this is not a plan: it is not JSON") from None
        data = cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}
        if data.get("format") != FORMAT:
            raise PlanRefused(
                "this is not a plan, or one of another version",
                hint="make a new plan: earlier versions do not name the workspace they are for",
            )
        if data.get("checksum") != checksum_of(data):
            raise PlanRefused(
                "the plan was altered since it was made: its checksum differs", hint="make a new plan instead"
            )
        try:
            plan = converter.structure(data, cls)
        except Exception as error:  # noqa: BLE001 - cattrs raises groups of whatever the hooks raised
            raise PlanRefused(f"this is not a plan: {'; '.join(transform_error(error))}") from None
        if not all(part.account_id for part in plan.accounts):
            raise PlanRefused("the plan does not name the workspace it is for", hint="make a new plan instead")
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
        if wrong := next(_disagreements(self), None):
            raise PlanRefused(f"the plan contradicts itself: {wrong}", hint="make a new plan instead")

    def save(self, path: Path | str) -> None:
        """Write it to a file that only its owner can read."""
        with owner_only(Path(path)) as file:
            file.write(self.to_json())

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read it from a file.

        Raises:
            PlanRefused: It is not a plan, or was altered since it was made.
        """
        return cls.from_json(Path(path).read_bytes())

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
        names = ", ".join(f"{part.account}: {len(part.targets)}" for part in self.accounts)
        return f"Plan({self.kind.value}, {len(self.people)} people, contacts {{{names}}}, {self.checksum[:12]})"


def _disagreements(plan: Plan) -> Iterator[str]:
    """Yield what no plan made here contains. Anyone who edits a file can compute its checksum again."""
    kind = kind_of(plan.kind)
    people = {person.number: person for person in plan.people}
    if not people or [person.number for person in plan.people] != list(range(1, len(plan.people) + 1)):
        yield "its people are not numbered from 1"
    if any(bool(person.contact) == bool(person.identifiers) for person in plan.people):
        yield "a person has an id or identifiers, never both or neither"
    if any(not i.value.strip() for person in plan.people for i in person.identifiers):
        yield "an identifier is blank"
    if not plan.accounts or len(plan.by_account) != len(plan.accounts):
        yield "it names an account twice, or none"
    if bool(plan.list_id) != kind.needs_list:
        yield "it names a list and needs none, or needs a list and names none"
    if not 1970 < plan.made_at.year < 9999:
        yield "the time it was made is not valid"
    for part in plan.accounts:
        yield from _disagreements_in(part, kind, people)


def _disagreements_in(part: AccountPlan, kind: Kind, people: Mapping[int, DataSubject]) -> Iterator[str]:
    if len({target.contact for target in part.targets}) != len(part.targets):
        yield f"{part.account}: a contact is listed twice"
    if not all(_belongs(kind, target, people) for target in part.targets):
        yield f"{part.account}: a contact belongs to no person of the plan"
    planned = 0
    for number, step in enumerate(part.steps, 1):
        if (step.number, step.first) != (number, planned) or step.count < 1:
            break
        planned += step.count
    if planned != len(part.targets) or any(step.operation != kind.operation for step in part.steps):
        yield f"{part.account}: its steps do not add up to its contacts"


def _belongs(kind: Kind, target: Target, people: Mapping[int, DataSubject]) -> bool:
    """Return whether a target belongs to its people, and the identifiers to remove are theirs."""
    if not target.people or not all(number in people for number in target.people):
        return False
    owners = [people[number] for number in target.people]
    known, wanted = set(target.identifiers), {i for person in owners for i in person.identifiers}
    removes = set(target.removes)
    if removes - (known & wanted) or bool(removes) != kind.removes_identifiers:
        return False
    return all(p.contact == target.contact or not known.isdisjoint(p.identifiers) for p in owners)


def checksum_of(data: Mapping[str, Any]) -> str:
    """Return the checksum of a plan given as plain data, over all of it except the checksum."""
    content = {name: value for name, value in data.items() if name != "checksum"}
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _make_converter() -> Converter:
    new = Converter(forbid_extra_keys=True)
    new.register_unstructure_hook(datetime, datetime.isoformat)
    new.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    for compact in (Identifier, DataSubject, Target, Step, Unasked):
        new.register_unstructure_hook(compact, make_dict_unstructure_fn(compact, new, _cattrs_omit_if_default=True))
        new.register_structure_hook(compact, make_dict_structure_fn(compact, new, _cattrs_forbid_extra_keys=True))
    return new


converter = _make_converter()
