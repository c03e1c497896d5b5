"""Making plans: look, count, and cut the work into steps. Nothing is changed.

What has to be asked is one generator that says which flow each account is to run; the two front doors run it, each in
its own way.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Any, TypeVar

from attrs import field, frozen

from contacts_core import operations
from contacts_core.capabilities import (
    Counts,
    DeletesContacts,
    QueuesJobs,
    RemovesFromLists,
    RemovesIdentifiers,
)
from contacts_core.errors import InvalidInput, PlanRefused
from contacts_core.flow import Flow
from contacts_core.identifiers import Identifier, IdentifierKind
from contacts_core.models import Contact
from contacts_core.plans import locating
from contacts_core.plans.model import (
    OPERATIONS,
    AccountPlan,
    Follow,
    Kind,
    Limits,
    Person,
    Plan,
    Step,
    Suggestion,
    Target,
)
from contacts_core.provider import Provider, Rate

__all__ = ["Request", "making", "work"]

T = TypeVar("T")
Asks = Mapping[str, Flow[Any]]
Making = Generator[Asks, Mapping[str, Any], T]

CAPABILITIES: Mapping[Kind, type[Provider]] = {
    Kind.ERASE: DeletesContacts,
    Kind.DELETE: DeletesContacts,
    Kind.REMOVE_IDENTIFIER: RemovesIdentifiers,
    Kind.REMOVE_FROM_LIST: RemovesFromLists,
}
FOLLOWED = (IdentifierKind.EMAIL, IdentifierKind.PHONE)
REPEATED = 100  # contacts, at most, that a step repeats after a crash where the vendor takes them one by one


@frozen
class Request:
    """What a plan is asked for."""

    kind: Kind
    people: tuple[Person, ...]
    follow: Follow = Follow.NO
    list_id: str = ""
    limits: Limits = field(factory=Limits)


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

    def __init__(self, request: Request) -> None:
        self._request = request
        # Each identifier with the people it stands for, and what led to it.
        self.wanted: dict[Identifier, list[Hit]] = {}
        self.found: dict[str, dict[str, tuple[Contact, list[Hit]]]] = {}
        self.suggestions: list[Suggestion] = []
        for person in request.people:
            for identifier in person.asked:
                self.wanted.setdefault(identifier, []).append(Hit(person.number, identifier))

    def rounds(self, providers: Mapping[str, Provider]) -> Making[None]:
        """Look for all that is wanted, then for what that led to, as far as was asked for."""
        self.found = {name: {} for name in providers}
        given = [person for person in self._request.people if person.contact]
        asks: Asks
        if given:
            asks = {name: locating.by_id(p, [each.contact for each in given]) for name, p in providers.items()}
            for name, contacts in (yield _complete(asks)).items():
                for person in given:
                    if contact := contacts.get(person.contact):
                        self.found[name].setdefault(contact.id, (contact, []))[1].append(
                            Hit(person.number, Identifier.other("id", contact.id))
                        )
        fresh, further = list(self.wanted), self._request.follow is not Follow.NO
        while fresh:
            asks = {name: locating.by_identifier(p, fresh) for name, p in providers.items()}
            leads = self._note((yield _complete(asks)))
            fresh = []
            if further:
                fresh = list(leads)
                for identifier, hits in leads.items():
                    self.wanted.setdefault(identifier, []).extend(hits)
                further = self._request.follow is Follow.ALL
            else:
                self.suggestions = [
                    Suggestion(hit.person, i, *hit.by) for i, hits in leads.items() for hit in hits if hit.by
                ]

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

    def people(self) -> tuple[Person, ...]:
        """Who was asked for, with what was followed."""
        followed: dict[int, list[Identifier]] = {}
        for identifier, hits in self.wanted.items():
            for hit in hits:
                if hit.by:
                    followed.setdefault(hit.person, []).append(identifier)
        return tuple(
            Person(p.number, p.asked, tuple(followed.get(p.number, ())), p.contact) for p in self._request.people
        )

    def targets(self, name: str) -> tuple[Target, ...]:
        """The contacts of one account, each with the reason."""
        return tuple(self._target(contact, hits) for contact, hits in self.found[name].values())

    def _target(self, contact: Contact, hits: Sequence[Hit]) -> Target:
        removes: tuple[Identifier, ...] = ()
        if self._request.kind is Kind.REMOVE_IDENTIFIER:
            asked = {hit.identifier for hit in hits}
            removes = tuple(i for i in contact.identifiers if i in asked)
        given = any(hit.identifier.key == "id" for hit in hits)
        why = [hit for hit in hits if not hit.by] or hits  # what was followed explains only what was not asked for
        reason = "its id was given" if given else "; ".join(dict.fromkeys(hit.reason for hit in why))
        people = tuple(dict.fromkeys(hit.person for hit in hits))
        return Target(contact.id, contact.identifiers, people, reason, removes)


def making(request: Request, providers: Mapping[str, Provider]) -> Making[Plan]:
    """Make a plan: which flows the accounts are to run, until it is known.

    Raises:
        InvalidInput: Nothing was asked for, or something blank.
        UnsupportedOperation: A vendor cannot do it.
        PlanRefused: It would touch more than the limits allow, or a read was incomplete.
    """
    capability = CAPABILITIES[request.kind]
    _checked(request, providers)
    ways = {name: locating.way(operations.require(provider, capability)) for name, provider in providers.items()}
    search = Search(request)
    yield from search.rounds(providers)
    targets = {name: search.targets(name) for name in providers}
    sizes = yield from _within(request.limits, providers, targets)
    parts = []
    for name, provider in providers.items():
        steps, seconds = work(request.kind, provider, targets[name])
        parts.append(
            AccountPlan(
                account=name,
                provider=provider.name,
                title=provider.title or provider.name,
                read=ways[name],
                size=sizes.get(name),
                targets=targets[name],
                steps=steps,
                requests=sum(step.requests for step in steps),
                seconds=seconds,
                unreached=dict(provider.unreached) if capability is DeletesContacts else {},
                emulated=capability in provider.emulates,
                queued=isinstance(provider, QueuesJobs),
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


def work(kind: Kind, provider: Provider, targets: Sequence[Target]) -> tuple[tuple[Step, ...], float]:
    """Cut the work into steps, and tell the least time in seconds that the vendor's rates allow for it.

    A step is as many whole batches as the vendor takes side by side, so that no request is sent half full.
    """
    capability = CAPABILITIES[kind]
    batch = {DeletesContacts: provider.batch, RemovesFromLists: provider.member_batch}.get(capability, 1)
    size = batch * max(provider.concurrency, REPEATED // batch)
    costs = provider.costs.get(capability, {"": 1})
    steps = tuple(
        Step(
            number=number,
            operation=OPERATIONS[kind],
            first=first,
            count=len(part),
            requests=sum(costs.values()) * _batches(part, batch),
        )
        for number, first in enumerate(range(0, len(targets), size), 1)
        if (part := targets[first : first + size])
    )
    batches = _batches(targets, batch)
    return steps, max((_least(provider.rates.get(lane), cost * batches) for lane, cost in costs.items()), default=0.0)


def _batches(targets: Sequence[Target], batch: int) -> int:
    return ceil(sum(len(target.removes) or 1 for target in targets) / batch)


def _least(rate: Rate | None, requests: int) -> float:
    """Seconds before the last of these may go out."""
    return float(max(0, requests - 1) // rate.limit * rate.seconds) if rate else 0.0


def _complete(asks: Asks) -> Asks:
    return {name: locating.complete(name, flow) for name, flow in asks.items()}


def _checked(request: Request, providers: Mapping[str, Provider]) -> None:
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
        for given in filter(None, [request.list_id, *(person.contact for person in request.people)]):
            if reason := provider.refuse_id(given):
                raise InvalidInput(f"not asked of {name}: {reason}", hint="pass the id as the vendor gave it")


def _within(
    limits: Limits, providers: Mapping[str, Provider], targets: Mapping[str, Sequence[Target]]
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


def persons(people: Iterable[Identifier | Iterable[Identifier]]) -> tuple[Person, ...]:
    """Each item is one person: an identifier, or several."""
    if isinstance(people, (str, Identifier)):
        raise InvalidInput("one person was given where several are due", hint="put it into a list")
    several = [(each,) if isinstance(each, Identifier) else tuple(each) for each in people]
    return tuple(Person(number, tuple(dict.fromkeys(asked))) for number, asked in enumerate(several, 1))
