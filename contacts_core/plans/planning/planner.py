"""Making plans: look, count, and cut the work into steps. Nothing is changed.

What has to be asked is one generator that says which flow each account is to run; the two front doors run it, each in
its own way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Any, TypeVar

from attrs import evolve, field, frozen

from contacts_core import operations
from contacts_core.errors import InvalidInput, PlanRefused
from contacts_core.models import Contact, Identifier, IdentifierKind
from contacts_core.models.identifiers import scrub
from contacts_core.plans.execution import changes as working
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
from contacts_core.plans.planning import lookup as locating
from contacts_core.plans.planning.lookup import LookUp
from contacts_core.provider import (
    Counts,
    ExportsFiles,
    FindsContacts,
    Flow,
    GetsContacts,
    Provider,
    QueuesJobs,
    RateLimit,
    flows,
)

__all__ = ["PlanRequest", "making", "work"]

T = TypeVar("T")
Asks = Mapping[str, Flow[Any]]
Making = Generator[Asks, Mapping[str, Any], T]

FOLLOWED = (IdentifierKind.EMAIL, IdentifierKind.PHONE)
REPEATED = 100  # contacts, at most, that a step repeats after a crash where the vendor takes them one by one


@frozen
class PlanRequest:
    """What a plan is asked for."""

    kind: PlanKind
    people: tuple[DataSubject, ...]
    follow: IdentifierExpansion = IdentifierExpansion.NO
    list_id: str = ""
    limits: SafetyLimits = field(factory=SafetyLimits)


@frozen
class Hit:
    """Why a contact was found: an identifier it has, and the contact that led there if nobody asked for it."""

    person: int
    identifier: Identifier
    by: tuple[str, str] | None = None

    @property
    def reason(self) -> str:
        """In words, masked."""
        if self.by is None:
            return f"has {self.identifier.masked}, as asked"
        account, contact = self.by
        return f"has {self.identifier.masked}, as contact {contact} of {account} does"


class Search:
    """Goes through the accounts, round by round, and remembers who was found and why."""

    def __init__(self, request: PlanRequest) -> None:
        self._request = request
        # Each identifier with the people it stands for, and what led to it.
        self.wanted: dict[Identifier, list[Hit]] = {}
        self.found: dict[str, dict[str, tuple[Contact, list[Hit]]]] = {}
        self.suggestions: list[Suggestion] = []
        self.unasked: dict[str, dict[Identifier, str]] = {}
        self.scanned: dict[str, int] = {}
        for person in request.people:
            for identifier in person.asked:
                self.wanted.setdefault(identifier, []).append(Hit(person.number, identifier))

    def rounds(self, providers: Mapping[str, Provider]) -> Making[None]:
        """Look for all that is wanted, then for what that led to, as far as was asked for."""
        self.found, self.unasked = {name: {} for name in providers}, {name: {} for name in providers}
        given = [person for person in self._request.people if person.contact]
        asks: Asks
        if given:
            ids = [each.contact for each in given]
            asks = {name: locating.by_id(p, ids, control=True) for name, p in providers.items()}
            for name, got in (yield _complete(asks)).items():
                if got.unproven:
                    raise _unproven(name, got.unproven)
                for person in given:
                    if contact := got.contacts.get(person.contact):
                        self.found[name].setdefault(contact.id, (contact, []))[1].append(
                            Hit(person.number, Identifier.other("id", contact.id))
                        )
        fresh, further = list(self.wanted), self._request.follow is not IdentifierExpansion.NO
        while fresh:
            asks = {name: locating.by_identifier(p, fresh, control=True) for name, p in providers.items()}
            seen: Mapping[str, LookUp] = yield _complete(asks)
            self._believe(seen, providers)
            leads = self._note({name: each.found.matches for name, each in seen.items()})
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

    def _believe(self, seen: Mapping[str, LookUp], providers: Mapping[str, Provider]) -> None:
        """Refuse answers that cannot be true, or that prove nothing; remember what could not be asked."""
        for name, each in seen.items():
            if wrong := locating.mismatch(each.found, providers[name].title or providers[name].name):
                raise PlanRefused(
                    f"{name}: {wrong}; nobody knows who else it has",
                    hint="ask the vendor; no plan can be made from such answers",
                )
            for reason in each.unproven.values():
                raise _unproven(name, reason)
            self.unasked[name] |= {i: scrub(reason) for i, reason in each.found.unasked.items()}
            self.scanned[name] = each.scanned

    def _note(self, answers: Mapping[str, Mapping[Identifier, Sequence[Contact]]]) -> dict[Identifier, list[Hit]]:
        """Take the contacts in; give the identifiers that they lead to."""
        leads: dict[Identifier, list[Hit]] = {}
        for name, found in answers.items():
            for identifier, contacts in found.items():
                for contact in contacts:
                    hits = self.found[name].setdefault(contact.id, (contact, []))[1]
                    hits.extend(self.wanted[identifier])
                    for known_as in contact.identifiers:
                        if known_as.kind not in FOLLOWED:
                            continue
                        other = Identifier(known_as.kind, known_as.normal)  # fit for every vendor
                        for hit in self.wanted[identifier]:
                            if all(hit.person != known.person for known in self.wanted.get(other, ())) and all(
                                hit.person != known.person for known in leads.get(other, ())
                            ):
                                leads.setdefault(other, []).append(Hit(hit.person, other, (name, contact.id)))
        return leads

    def people(self) -> tuple[DataSubject, ...]:
        """Who was asked for, with what was followed."""
        followed: dict[int, list[Identifier]] = {}
        for identifier, hits in self.wanted.items():
            for hit in hits:
                if hit.by:
                    followed.setdefault(hit.person, []).append(identifier)
        return tuple(
            DataSubject(p.number, p.asked, tuple(followed.get(p.number, ())), p.contact) for p in self._request.people
        )

    def targets(self, name: str) -> tuple[Target, ...]:
        """The contacts of one account, each with the reason."""
        return tuple(self._target(contact, hits) for contact, hits in self.found[name].values())

    def _target(self, contact: Contact, hits: Sequence[Hit]) -> Target:
        removes = kind_of(self._request.kind).removes(contact, {hit.identifier for hit in hits})
        given = any(hit.identifier.key == "id" for hit in hits)
        why = [hit for hit in hits if not hit.by] or hits  # what was followed explains only what was not asked for
        reason = "its id was given" if given else "; ".join(dict.fromkeys(hit.reason for hit in why))
        people = tuple(dict.fromkeys(hit.person for hit in hits))
        return Target(contact.id, contact.identifiers, people, reason, removes)


def _unproven(account: str, reason: str) -> PlanRefused:
    return PlanRefused(
        f"{account} shows nobody, and that cannot be believed: {reason}",
        hint="check base_url and the account's other settings, and any gateway in between",
    )


def making(request: PlanRequest, providers: Mapping[str, Provider]) -> Making[Plan]:
    """Make a plan: which flows the accounts are to run, until it is known.

    Raises:
        InvalidInput: Nothing was asked for, or something blank.
        UnsupportedOperation: A vendor cannot do it.
        PlanRefused: It would touch more than the limits allow, or a read was incomplete.
    """
    kind = kind_of(request.kind)
    _checked(request, providers)
    ways = {name: locating.way(operations.require(provider, kind.capability)) for name, provider in providers.items()}
    accounts = yield {name: working.account_id(provider) for name, provider in providers.items()}
    if kind.needs_list:
        request = evolve(request, list_id=(yield from _list_id(request.list_id, providers)))
    search = Search(request)
    yield from search.rounds(providers)
    targets = {name: search.targets(name) for name in providers}
    _acceptable(targets, providers)
    sizes = yield from _within(request.limits, providers, targets)
    parts = []
    for name, provider in providers.items():
        cut, seconds = work(kind, provider, targets[name], search.scanned.get(name, 0))
        parts.append(
            AccountPlan(
                account=name,
                provider=provider.name,
                title=provider.title or provider.name,
                account_id=accounts[name],
                read=ways[name],
                size=sizes.get(name),
                targets=targets[name],
                steps=cut,
                requests=sum(step.requests for step in cut),
                seconds=seconds,
                residual_data=dict(provider.residual_data) if kind.deletes_contacts else {},
                emulated=kind.capability in provider.read_modify_write,
                queued=isinstance(provider, QueuesJobs),
                unasked=tuple(Unasked(*each) for each in search.unasked[name].items()),
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


def work(kind: Kind, provider: Provider, targets: Sequence[Target], scanned: int = 0) -> tuple[tuple[Step, ...], float]:
    """Cut the work into steps, and tell the least time in seconds that the vendor's rates allow for it.

    A step is as many whole batches as the vendor takes side by side, so that no request is sent half full. Each batch
    is read just before it is touched.

    Args:
        kind: What is to be done.
        provider: The account's provider.
        targets: The contacts.
        scanned: How many contacts were read to find them, where the vendor has no look-up.
    """
    size = kind.batch_size(provider)
    several = size * max(provider.concurrency, REPEATED // size)
    cut: list[Step] = []
    total: Counter[str] = Counter()
    for number, first in enumerate(range(0, len(targets), several), 1):
        part = targets[first : first + several]
        needed = _requests(kind, provider, part, size, scanned)
        cut.append(Step(number, kind.operation, first, len(part), needed.total()))
        total += needed
    return tuple(cut), max(
        (_least(provider.rate_limits.get(rate_limit), count) for rate_limit, count in total.items()), default=0.0
    )


def _requests(kind: Kind, provider: Provider, targets: Sequence[Target], size: int, scanned: int) -> Counter[str]:
    """The requests of a step, by lane: those that read, and those that change."""
    parts = list(flows.chunks(targets, size))
    needed = _times(provider, kind.capability, sum(map(kind.attempts, parts)))
    if isinstance(provider, GetsContacts):
        reads = sum(kind.attempts(part) * ceil(len(part) / provider.get_batch_size) for part in parts)
        return needed + _times(provider, GetsContacts, reads)
    if locating.way(provider) == "scan":  # one for the whole step
        jobs = 4 if isinstance(provider, ExportsFiles) else max(1, ceil(scanned / provider.page_size))
        return needed + Counter({"": jobs})
    reads = sum(kind.attempts(part) * _look_ups(part, provider) for part in parts)
    return needed + _times(provider, FindsContacts, reads)


def _look_ups(targets: Sequence[Target], provider: Provider) -> int:
    """How many requests it takes to look these contacts up by their identifiers."""
    kinds = Counter((i.kind, i.key) for i in {i for target in targets for i in target.identifiers})
    return sum(ceil(count / provider.find_batch_size) for count in kinds.values())


def _times(provider: Provider, capability: type[Provider], batches: int) -> Counter[str]:
    """What so many batches cost, by lane; a lane without a rate of its own counts in the general one."""
    costs = provider.costs.get(capability, {"": 1})
    counted: Counter[str] = Counter()
    for rate_limit, cost in costs.items():
        counted[rate_limit if rate_limit in provider.rate_limits else ""] += cost * batches
    return counted


def _least(rate: RateLimit | None, requests: int) -> float:
    """Seconds before the last of these may go out."""
    return float(max(0, requests - 1) // rate.limit * rate.seconds) if rate else 0.0


def _complete(asks: Asks) -> Asks:
    return {name: locating.complete(name, flow) for name, flow in asks.items()}


def _checked(request: PlanRequest, providers: Mapping[str, Provider]) -> None:
    if not providers:
        raise InvalidInput("no account was named", hint="say in which accounts to look")
    if not request.people:
        raise InvalidInput("nobody was asked for", hint="give identifiers, such as an e-mail address")
    for person in request.people:
        if not (person.asked or person.contact):
            raise InvalidInput(f"person {person.number} has no identifier")
        if any(not identifier.value.strip() for identifier in person.asked):
            raise InvalidInput(f"an identifier of person {person.number} is blank")
    for name, provider in providers.items():
        for given in filter(None, (person.contact for person in request.people)):
            if reason := provider.validate_id(given):
                raise InvalidInput(f"not asked of {name}: {reason}", hint="pass the id as the vendor gave it")


def _list_id(list_: str, providers: Mapping[str, Provider]) -> Making[str]:
    """The id of the list, which may have been named by its name."""
    found = yield {name: operations.resolve_lists(provider, [list_]) for name, provider in providers.items()}
    ids: set[str] = {list_id for several in found.values() for list_id in several}
    return ids.pop()  # it is one list of one account


def _acceptable(targets: Mapping[str, Sequence[Target]], providers: Mapping[str, Provider]) -> None:
    """Refuse contacts whose ids could not be sent: they could not be touched, nor read again."""
    for name, several in targets.items():
        for target in several:
            if reason := providers[name].validate_id(target.contact):
                raise PlanRefused(
                    f"{name} shows a contact that cannot be asked for: {reason}",
                    hint="its answers cannot be trusted now; check base_url, and ask the vendor",
                )


def _within(
    limits: SafetyLimits, providers: Mapping[str, Provider], targets: Mapping[str, Sequence[Target]]
) -> Making[dict[str, int]]:
    """Refuse what is too large; the size of an account is asked for only where it matters."""
    for name, touched in targets.items():
        if len(touched) > limits.contacts:
            raise PlanRefused(
                f"{name}: {len(touched)} contacts would be touched, more than the limit of {limits.contacts}",
                hint=f"if that is right, raise the limit by name: contacts={len(touched)} (--max-contacts)",
            )
    sizeable = [name for name, touched in targets.items() if len(touched) > limits.floor and limits.share < 1]
    for name in sizeable:
        if not isinstance(providers[name], Counts):
            raise PlanRefused(
                f"{name} cannot tell how many contacts it has, so nobody knows how large a share "
                f"{len(targets[name])} of them are",
                hint="if that is right, raise the limit by name: share=1 (--max-share 100%)",
            )
    sizes: dict[str, int] = {}
    if sizeable:
        counted = yield _complete({name: operations.count(providers[name]) for name in sizeable})
        sizes = {name: int(count) for name, count in counted.items()}
    for name, size in sizes.items():
        many = len(targets[name])
        if many > limits.share * size:
            share = ceil(100 * many / max(size, 1))
            raise PlanRefused(
                f"{name}: {many} of {size} contacts would be touched, more than the limit of {limits.share:.0%}",
                hint=f"if that is right, raise the limit by name: share={share / 100} (--max-share {share}%)",
            )
    return sizes


def persons(people: Iterable[Identifier | Iterable[Identifier]]) -> tuple[DataSubject, ...]:
    """Each item is one person: an identifier, or several."""
    if isinstance(people, (str, Identifier)):
        raise InvalidInput("one person was given where several are due", hint="put it into a list")
    several = [(each,) if isinstance(each, Identifier) else tuple(each) for each in people]
    return tuple(DataSubject(number, tuple(dict.fromkeys(asked))) for number, asked in enumerate(several, 1))
