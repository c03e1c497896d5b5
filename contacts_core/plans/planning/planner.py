"""The planner: find contacts, count them, and divide the work into steps. Nothing is changed.

It is one generator that yields the flow which each account is to run next. The blocking and the asynchronous functions
run these flows, each in its own way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from math import ceil
from typing import Any, TypeVar

from attrs import evolve, field, frozen

from contacts_core import operations
from contacts_core.errors import InvalidInput, PlanRefused
from contacts_core.models import Contact, Identifier, IdentifierKind
from contacts_core.models.identifiers import scrub
from contacts_core.plans.kinds import Kind, PlanKind, kind_of
from contacts_core.plans.model import (
    AccountPlan,
    DataSubject,
    IdentifierExpansion,
    Plan,
    SafetyLimits,
    Step,
    Suggestion,
    Target,
    Unasked,
)
from contacts_core.plans.planning import lookup
from contacts_core.plans.planning.lookup import LookUp
from contacts_core.provider import (
    Counts,
    DeletesContacts,
    Exports,
    FindsContacts,
    Flow,
    GetsContacts,
    Provider,
    QueuesJobs,
    RateLimit,
    flows,
)

__all__ = ["PlanRequest", "cut_steps", "make_plan"]

T = TypeVar("T")
AccountFlows = Mapping[str, Flow[Any]]  # by account
PlanGenerator = Generator[AccountFlows, Mapping[str, Any], T]

EXPANDED_KINDS = (IdentifierKind.EMAIL, IdentifierKind.PHONE)
MAX_REPEATED = 100  # contacts that a step repeats at most after a crash, if the vendor takes them one by one


@frozen
class PlanRequest:
    """What to plan."""

    kind: PlanKind
    people: tuple[DataSubject, ...]
    follow: IdentifierExpansion = IdentifierExpansion.NO
    list_id: str = ""
    limits: SafetyLimits = field(factory=SafetyLimits)


@frozen
class Hit:
    """Why a contact was found: an identifier it has, and the contact that led to it if it was not given."""

    person: int
    identifier: Identifier
    by: tuple[str, str] | None = None

    @property
    def reason(self) -> str:
        """The reason in words, with the identifier masked."""
        if self.by is None:
            return f"has {self.identifier.masked}, as asked"
        account, contact = self.by
        return f"has {self.identifier.masked}, as contact {contact} of {account} does"


class Search:
    """Searches the accounts, round by round, and records which contacts were found and why."""

    def __init__(self, request: PlanRequest) -> None:
        self._request = request
        # For each identifier, the people it belongs to, and what led to it.
        self.wanted: dict[Identifier, list[Hit]] = {}
        self.found: dict[str, dict[str, tuple[Contact, list[Hit]]]] = {}
        self.suggestions: list[Suggestion] = []
        self.unasked: dict[str, dict[Identifier, str]] = {}
        self.scanned: dict[str, int] = {}
        for person in request.people:
            for identifier in person.asked:
                self.wanted.setdefault(identifier, []).append(Hit(person.number, identifier))

    def rounds(self, providers: Mapping[str, Provider]) -> PlanGenerator[None]:
        """Look up all identifiers, then the ones found on these contacts, as far as requested."""
        self.found, self.unasked = {name: {} for name in providers}, {name: {} for name in providers}
        given = [person for person in self._request.people if person.contact]
        flows_by_account: AccountFlows
        if given:
            ids = [person.contact for person in given]
            flows_by_account = {name: lookup.by_id(p, ids, control=True) for name, p in providers.items()}
            for name, read in (yield _complete(flows_by_account)).items():
                if read.unproven:
                    raise _unproven_error(name, read.unproven)
                for person in given:
                    if contact := read.contacts.get(person.contact):
                        self.found[name].setdefault(contact.id, (contact, []))[1].append(
                            Hit(person.number, Identifier.other("id", contact.id))
                        )
        fresh, further = list(self.wanted), self._request.follow is not IdentifierExpansion.NO
        while fresh:
            flows_by_account = {name: lookup.by_identifier(p, fresh, control=True) for name, p in providers.items()}
            look_ups: Mapping[str, LookUp] = yield _complete(flows_by_account)
            self._check_answers(look_ups, providers)
            leads = self._add_matches({name: look_up.found.matches for name, look_up in look_ups.items()})
            fresh = []
            if further:
                fresh = list(leads)
                for identifier, hits in leads.items():
                    self.wanted.setdefault(identifier, []).extend(hits)
                further = self._request.follow is IdentifierExpansion.ALL
            else:
                self.suggestions = [
                    Suggestion(hit.person, i, *hit.by) for i, hits in leads.items() for hit in hits if hit.by
                ]

    def _check_answers(self, look_ups: Mapping[str, LookUp], providers: Mapping[str, Provider]) -> None:
        """Refuse answers that are wrong or prove nothing, and record what the vendor cannot look up."""
        for name, look_up in look_ups.items():
            if wrong := lookup.mismatch(look_up.found, providers[name].title or providers[name].name):
                raise PlanRefused(
                    f"{name}: {wrong}, so contacts may be missing from the plan",
                    hint="ask the vendor; no plan can be made from such answers",
                )
            for reason in look_up.unproven.values():
                raise _unproven_error(name, reason)
            self.unasked[name] |= {i: scrub(reason) for i, reason in look_up.found.unasked.items()}
            self.scanned[name] = look_up.scanned

    def _add_matches(
        self, answers: Mapping[str, Mapping[Identifier, Sequence[Contact]]]
    ) -> dict[Identifier, list[Hit]]:
        """Add the contacts found, and return the identifiers that they lead to."""
        leads: dict[Identifier, list[Hit]] = {}
        for name, found in answers.items():
            for identifier, contacts in found.items():
                for contact in contacts:
                    hits = self.found[name].setdefault(contact.id, (contact, []))[1]
                    hits.extend(self.wanted[identifier])
                    for further in contact.identifiers:
                        if further.kind not in EXPANDED_KINDS:
                            continue
                        other = Identifier(further.kind, further.normal)  # a form that every vendor takes
                        for hit in self.wanted[identifier]:
                            if all(hit.person != known.person for known in self.wanted.get(other, ())) and all(
                                hit.person != known.person for known in leads.get(other, ())
                            ):
                                leads.setdefault(other, []).append(Hit(hit.person, other, (name, contact.id)))
        return leads

    def people(self) -> tuple[DataSubject, ...]:
        """Return the people of the plan, with the identifiers that were followed."""
        followed: dict[int, list[Identifier]] = {}
        for identifier, hits in self.wanted.items():
            for hit in hits:
                if hit.by:
                    followed.setdefault(hit.person, []).append(identifier)
        return tuple(
            DataSubject(p.number, p.asked, tuple(followed.get(p.number, ())), p.contact) for p in self._request.people
        )

    def targets(self, name: str) -> tuple[Target, ...]:
        """Return the targets in one account, each with the reason."""
        return tuple(self._target(contact, hits) for contact, hits in self.found[name].values())

    def _target(self, contact: Contact, hits: Sequence[Hit]) -> Target:
        removes = kind_of(self._request.kind).removes(contact, {hit.identifier for hit in hits})
        given = any(hit.identifier.key == "id" for hit in hits)
        why = [hit for hit in hits if not hit.by] or hits  # given identifiers explain more than followed ones
        reason = "its id was given" if given else "; ".join(dict.fromkeys(hit.reason for hit in why))
        people = tuple(dict.fromkeys(hit.person for hit in hits))
        return Target(contact.id, contact.identifiers, people, reason, removes)


def _unproven_error(account: str, reason: str) -> PlanRefused:
    return PlanRefused(
        f"{account} shows no contact, and that proves nothing: {reason}",
        hint="check base_url and the account's other settings, and any gateway in between",
    )


def make_plan(request: PlanRequest, providers: Mapping[str, Provider]) -> PlanGenerator[Plan]:
    """Make a plan. Yield the flows that the accounts are to run, and return the plan.

    Raises:
        InvalidInput: No people were given, or a blank identifier.
        UnsupportedOperation: A vendor cannot do it.
        PlanRefused: It would change more contacts than the limits allow, or a read was incomplete.
    """
    kind = kind_of(request.kind)
    _check_request(request, providers)
    asked = [identifier for person in request.people for identifier in person.identifiers]
    ways = {
        name: lookup.way(operations.require(provider, kind.capability), asked) for name, provider in providers.items()
    }
    accounts = yield {name: lookup.account_id(provider) for name, provider in providers.items()}
    if kind.needs_list:
        request = evolve(request, list_id=(yield from _list_id(request.list_id, providers)))
    search = Search(request)
    yield from search.rounds(providers)
    targets = {name: search.targets(name) for name in providers}
    _check_ids(targets, providers)
    sizes = yield from _check_limits(request.limits, providers, targets)
    parts: list[AccountPlan] = []
    for name, provider in providers.items():
        steps, seconds = cut_steps(kind, provider, targets[name], search.scanned.get(name, 0))
        parts.append(
            AccountPlan(
                account=name,
                provider=provider.name,
                title=provider.title or provider.name,
                account_id=accounts[name],
                read=ways[name],
                size=sizes.get(name),
                targets=targets[name],
                steps=steps,
                requests=sum(step.requests for step in steps),
                seconds=seconds,
                residual_data=_residual_data(provider) if kind.deletes_contacts else {},
                emulated=kind.capability in provider.read_modify_write,
                queued=isinstance(provider, QueuesJobs),
                unasked=tuple(Unasked(*item) for item in search.unasked[name].items()),
            )
        )
    plan = Plan(
        kind=request.kind,
        made_at=datetime.now(UTC),
        people=search.people(),
        accounts=tuple(parts),
        follow=request.follow,
        suggestions=tuple(search.suggestions),
        list_id=request.list_id,
        limits=request.limits,
    )
    return plan.summed()


def cut_steps(
    kind: Kind, provider: Provider, targets: Sequence[Target], scanned: int = 0
) -> tuple[tuple[Step, ...], float]:
    """Divide the work into steps. Return them, and the least time in seconds that the vendor's rate limits allow.

    A step has as many full batches as the vendor takes concurrently. Each batch is read just before it is changed.

    Args:
        kind: The kind of the plan.
        provider: The account's provider.
        targets: The contacts.
        scanned: How many contacts were read to find them, if the vendor has no look-up.
    """
    size = kind.batch_size(provider)
    several = size * max(provider.concurrency, MAX_REPEATED // size)
    steps: list[Step] = []
    total: Counter[str] = Counter()
    for number, first in enumerate(range(0, len(targets), several), 1):
        part = targets[first : first + several]
        needed = _requests(kind, provider, part, size, scanned)
        steps.append(Step(number, kind.operation, first, len(part), needed.total()))
        total += needed
    return tuple(steps), max(
        (_least_seconds(provider.rate_limits.get(rate_limit), count) for rate_limit, count in total.items()),
        default=0.0,
    )


def _requests(kind: Kind, provider: Provider, targets: Sequence[Target], size: int, scanned: int) -> Counter[str]:
    """Return the number of requests of a step by rate limit: those that read, and those that change."""
    parts = list(flows.chunks(targets, size))
    needed = _cost(provider, kind.capability, sum(map(kind.attempts, parts)))
    if isinstance(provider, GetsContacts):
        reads = sum(kind.attempts(part) * ceil(len(part) / provider.get_batch_size) for part in parts)
        return needed + _cost(provider, GetsContacts, reads)
    known = [lookup.handles(provider, target.identifiers) for target in targets]
    if lookup.way(provider, chain.from_iterable(known)) == "scan":  # one for the whole step
        return needed + Counter({"": operations.export_requests(operations.require(provider, Exports), scanned)})
    reads = sum(kind.attempts(part) * _look_ups(part, provider) for part in parts)
    return needed + _cost(provider, FindsContacts, reads)


def _look_ups(targets: Sequence[Target], provider: Provider) -> int:
    """Return how many requests it takes to look up these contacts by their identifiers."""
    known = {i for target in targets for i in lookup.handles(provider, target.identifiers)}
    kinds = Counter((i.kind, i.key) for i in known)
    size = operations.require(provider, FindsContacts).find_batch_size
    return sum(ceil(count / size) for count in kinds.values())


def _residual_data(provider: Provider) -> dict[str, str]:
    return dict(operations.require(provider, DeletesContacts).residual_data)


def _cost(provider: Provider, capability: type[Provider], batches: int) -> Counter[str]:
    """Return the requests of this many batches by rate limit. Unknown rate limits count as the general one."""
    costs = provider.costs.get(capability, {"": 1})
    counted: Counter[str] = Counter()
    for rate_limit, cost in costs.items():
        counted[rate_limit if rate_limit in provider.rate_limits else ""] += cost * batches
    return counted


def _least_seconds(rate: RateLimit | None, requests: int) -> float:
    """Return the seconds before the last of these requests may be sent."""
    return float(max(0, requests - 1) // rate.limit * rate.seconds) if rate else 0.0


def _complete(flows_by_account: AccountFlows) -> AccountFlows:
    return {name: lookup.complete(name, flow) for name, flow in flows_by_account.items()}


def _check_request(request: PlanRequest, providers: Mapping[str, Provider]) -> None:
    if not providers:
        raise InvalidInput("no accounts given", hint="pass at least one account")
    if not request.people:
        raise InvalidInput("no people given", hint="pass at least one identifier")
    for person in request.people:
        if not (person.asked or person.contact):
            raise InvalidInput(f"person {person.number} has no identifier")
        if any(not identifier.value.strip() for identifier in person.asked):
            raise InvalidInput(f"an identifier of person {person.number} is blank")
    for name, provider in providers.items():
        for given in filter(None, (person.contact for person in request.people)):
            if reason := provider.validate_id(given):
                raise InvalidInput(f"not sent to {name}: {reason}", hint="pass the id as the vendor gave it")


def _list_id(list_: str, providers: Mapping[str, Provider]) -> PlanGenerator[str]:
    """Return the id of the list, which may be given by name."""
    found = yield {name: operations.resolve_lists(provider, [list_]) for name, provider in providers.items()}
    ids: set[str] = {list_id for account_ids in found.values() for list_id in account_ids}
    return ids.pop()  # one list of one account


def _check_ids(targets: Mapping[str, Sequence[Target]], providers: Mapping[str, Provider]) -> None:
    """Refuse contacts whose ids could not be sent: they could be neither changed nor read again."""
    for name, found in targets.items():
        for target in found:
            if reason := providers[name].validate_id(target.contact):
                raise PlanRefused(
                    f"{name} shows a contact whose id cannot be sent: {reason}",
                    hint="do not trust its answers now; check base_url, and ask the vendor",
                )


def _check_limits(
    limits: SafetyLimits, providers: Mapping[str, Provider], targets: Mapping[str, Sequence[Target]]
) -> PlanGenerator[dict[str, int]]:
    """Refuse plans that are too large. Return the size of the accounts for which it matters."""
    for name, affected in targets.items():
        if len(affected) > limits.contacts:
            raise PlanRefused(
                f"{name}: {len(affected)} contacts would be changed, more than the limit of {limits.contacts}",
                hint=f"if this is intended, raise the limit: contacts={len(affected)} (--max-contacts)",
            )
    sizeable = [name for name, affected in targets.items() if len(affected) > limits.floor and limits.share < 1]
    for name in sizeable:
        if not isinstance(providers[name], Counts):
            raise PlanRefused(
                f"{name} cannot count its contacts, so the share of {len(targets[name])} contacts is not known",
                hint="if this is intended, raise the limit: share=1 (--max-share 100%)",
            )
    sizes: dict[str, int] = {}
    if sizeable:
        counted = yield _complete({name: operations.count(providers[name]) for name in sizeable})
        sizes = {name: int(count) for name, count in counted.items()}
    for name, size in sizes.items():
        affected_count = len(targets[name])
        if affected_count > limits.share * size:
            percent = ceil(100 * affected_count / max(size, 1))
            raise PlanRefused(
                f"{name}: {affected_count} of {size} contacts would be changed, more than the limit of "
                f"{limits.share:.0%}",
                hint=f"if this is intended, raise the limit: share={percent / 100} (--max-share {percent}%)",
            )
    return sizes


def data_subjects(people: Iterable[Identifier | Iterable[Identifier]]) -> tuple[DataSubject, ...]:
    """Return the data subjects. Each item is one person: an identifier, or several."""
    if isinstance(people, (str, Identifier)):
        raise InvalidInput("expected a list of people, got one identifier", hint="put it into a list")
    asked = [(person,) if isinstance(person, Identifier) else tuple(person) for person in people]
    return tuple(DataSubject(number, tuple(dict.fromkeys(ids))) for number, ids in enumerate(asked, 1))
