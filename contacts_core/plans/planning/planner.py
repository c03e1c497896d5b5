"""The planner: find contacts, count them, and divide the work into steps. Nothing is changed.

It is one generator that yields the flow which each account is to run next. The blocking and the asynchronous functions
run these flows, each in its own way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from math import ceil

from contacts_core import operations
from contacts_core.errors import InvalidInput, PlanRefused
from contacts_core.models import Identifier
from contacts_core.plans.change import Change, DataSubject
from contacts_core.plans.change_operations import ChangeOperation, operation_of
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.model import AccountPlan, Plan, SafetyLimits, Step
from contacts_core.plans.planning import lookup
from contacts_core.plans.planning.accounts import PlanGenerator
from contacts_core.plans.planning.aftercare import Aftercare
from contacts_core.plans.planning.search import PlanRequest, Search, complete_flows
from contacts_core.plans.rows import window
from contacts_core.provider import (
    Counts,
    DeletesContacts,
    Exports,
    FindsContacts,
    GetsContacts,
    Provider,
    QueuesJobs,
    RateLimit,
    flows,
)

__all__ = ["PlanRequest", "check_ids", "check_limits", "cut_steps", "data_subjects", "make_plan", "staged_steps"]

MAX_REPEATED = 100  # contacts that a step repeats at most after a crash, if the vendor takes them one by one


def make_plan(request: PlanRequest, providers: Mapping[str, Provider]) -> PlanGenerator[Plan]:
    """Make a plan. Yield the flows that the accounts are to run, and return the plan.

    Raises:
        InvalidInput: No people were given, or a blank identifier.
        UnsupportedOperation: A vendor cannot do it.
        PlanRefused: It would change more contacts than the limits allow, or a read was incomplete.
    """
    if not providers:
        raise InvalidInput("no accounts given", hint="pass at least one account")
    kind, operation = kind_of(request.kind), kind_of(request.kind).changes_by
    for provider in providers.values():
        operations.require(provider, operation.capability)
    search = Search(request, providers)
    ways = {name: lookup.way(provider, search.asked) for name, provider in providers.items()}
    accounts = yield {name: lookup.account_id(provider) for name, provider in providers.items()}
    if kind.needs_list:
        search.list_id = yield from _list_id(request.list_id, providers)
    yield from search.rounds()
    rows = search.rows()
    affected = {name: len(rows.changes(n)) for n, name in enumerate(providers)}
    sizes = yield from check_limits(request.limits, providers, affected)
    aftercare = Aftercare(request.keep_suppressions, request.mail_data)
    yield from aftercare.add(rows, providers)
    parts: list[AccountPlan] = []
    for n, (name, provider) in enumerate(providers.items()):
        changes = rows.changes(n)
        check_ids(name, changes, provider)
        stages = [(operation.name, affected[name]), *aftercare.stages[name]]
        steps, seconds = staged_steps(provider, changes, stages, search.scanned.get(name, 0))
        parts.append(
            AccountPlan(
                account=name,
                provider=provider.name,
                title=provider.title or provider.name,
                account_id=accounts[name],
                read=ways[name],
                size=sizes.get(name),
                changes=changes,
                steps=steps,
                requests=sum(step.requests for step in steps),
                seconds=seconds,
                residual_data=(_residual_data(provider) if operation.deletes_contacts else {})
                | aftercare.residual_data[name],
                emulated=operation.capability in provider.read_modify_write,
                queued=isinstance(provider, QueuesJobs),
                unasked=rows.unasked(n),
            )
        )
    plan = Plan(
        kind=kind.name,
        made_at=datetime.now(UTC),
        people=rows.people,
        accounts=tuple(parts),
        follow=request.follow,
        suggestions=rows.suggestions,
        list_id=search.list_id,
        limits=request.limits,
    )
    return plan.summed()


def cut_steps(
    operation: ChangeOperation,
    provider: Provider,
    changes: Sequence[Change],
    scanned: int = 0,
    *,
    after: Sequence[Step] = (),
) -> tuple[tuple[Step, ...], float]:
    """Divide the work into steps. Return them, and the least time in seconds that the vendor's rate limits allow.

    A step has as many full batches as the vendor takes concurrently. Each batch is read just before it is changed.

    Args:
        operation: The operation of these changes.
        provider: The account's provider.
        changes: The changes.
        scanned: How many contacts were read to find them, if the vendor has no look-up.
        after: The steps of earlier stages.
    """
    size = operation.batch_size(provider)
    several = size * max(provider.concurrency, MAX_REPEATED // size)
    steps: list[Step] = []
    total: Counter[str] = Counter()
    begin = after[-1].first + after[-1].count if after else 0
    for number, first in enumerate(range(0, len(changes), several), len(after) + 1):
        part = changes[first : first + several]
        needed = _requests(operation, provider, part, size, scanned)
        idempotent = operation.is_idempotent(part, provider)
        steps.append(Step(number, operation.name, begin + first, len(part), needed.total(), idempotent))
        total += needed
    return tuple(steps), max(
        (_least_seconds(provider.rate_limits.get(rate_limit), count) for rate_limit, count in total.items()),
        default=0.0,
    )


def staged_steps(
    provider: Provider, changes: Sequence[Change], stages: Iterable[tuple[str, int]], scanned: int = 0
) -> tuple[tuple[Step, ...], float]:
    """Divide the work of several stages into steps, and return them as `cut_steps` does.

    Args:
        provider: The account's provider.
        changes: The changes of all stages, one stage after the other.
        stages: The operation of each stage, and the number of its changes.
        scanned: How many contacts are read where the vendor has no look-up.
    """
    steps: tuple[Step, ...] = ()
    seconds, first = 0.0, 0
    for operation, count in stages:
        of_stage = window(changes, first, count)
        further, at_least = cut_steps(operation_of(operation), provider, of_stage, scanned, after=steps)
        steps, seconds, first = steps + further, seconds + at_least, first + count
    return steps, seconds


def _requests(
    operation: ChangeOperation, provider: Provider, changes: Sequence[Change], size: int, scanned: int
) -> Counter[str]:
    """Return the number of requests of a step by rate limit: those that read, and those that change."""
    parts = list(flows.chunks(changes, size))
    needed = _cost(provider, operation.capability, sum(operation.requests(part, provider) for part in parts))
    if operation.of_account:
        return needed
    fresh = [change for change in changes if not change.contact]
    if fresh:
        others = [change for change in changes if change.contact]
        rest = _requests(operation, provider, others, size, scanned) if others else Counter[str]()
        return rest + _costs_of_creating(operation, provider, fresh, size, scanned)
    if isinstance(provider, GetsContacts):
        reads = sum(operation.attempts(part) * ceil(len(part) / provider.get_batch_size) for part in parts)
        return needed + _cost(provider, GetsContacts, reads)
    known = [lookup.handles(provider, change.identifiers) for change in changes]
    if lookup.way(provider, chain.from_iterable(known)) == "scan":  # one for the whole step
        return needed + Counter({"": operations.export_requests(operations.require(provider, Exports), scanned)})
    reads = sum(operation.attempts(part) * _look_ups(part, provider) for part in parts)
    return needed + _cost(provider, FindsContacts, reads)


def _costs_of_creating(
    operation: ChangeOperation, provider: Provider, changes: Sequence[Change], size: int, scanned: int
) -> Counter[str]:
    """Return the requests for contacts that are to be created: each is looked up before."""
    parts = list(flows.chunks(changes, size))
    needed = _cost(provider, operation.capability, sum(operation.requests(part, provider) for part in parts))
    if lookup.way(provider, (i for change in changes for i in lookup.handles(provider, change.identifiers))) == "scan":
        return needed + Counter({"": operations.export_requests(operations.require(provider, Exports), scanned)})
    return needed + _cost(provider, FindsContacts, sum(_look_ups(part, provider) for part in parts))


def _look_ups(changes: Sequence[Change], provider: Provider) -> int:
    """Return how many requests it takes to look up these contacts by their identifiers."""
    known = {i for change in changes for i in lookup.handles(provider, change.identifiers)}
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


def _list_id(list_: str, providers: Mapping[str, Provider]) -> PlanGenerator[str]:
    """Return the id of the list, which may be given by name."""
    found = yield {name: operations.resolve_lists(provider, [list_]) for name, provider in providers.items()}
    ids: set[str] = {list_id for account_ids in found.values() for list_id in account_ids}
    return ids.pop()  # one list of one account


def check_ids(name: str, changes: Iterable[Change], provider: Provider) -> None:
    """Refuse contacts whose ids could not be sent: they could be neither changed nor read again."""
    for change in changes:
        if change.contact and (reason := provider.validate_id(change.contact)):
            raise PlanRefused(
                f"{name} shows a contact whose id cannot be sent: {reason}",
                hint="do not trust its answers now; check base_url, and ask the vendor",
            )


def check_limits(
    limits: SafetyLimits,
    providers: Mapping[str, Provider],
    affected: Mapping[str, int],
    existing: Mapping[str, int] | None = None,
) -> PlanGenerator[dict[str, int]]:
    """Refuse plans that are too large. Return the size of the accounts for which it matters.

    Args:
        limits: The limits.
        providers: The accounts.
        affected: How many contacts would be changed in each account.
        existing: How many of them are there already, of which the share is taken; by default all of them.
    """
    for name, count in affected.items():
        if count > limits.contacts:
            raise PlanRefused(
                f"{name}: {count} contacts would be changed, more than the limit of {limits.contacts}",
                hint=f"if this is intended, raise the limit: contacts={count} (--max-contacts)",
            )
    affected = affected if existing is None else existing
    sizeable = [name for name, count in affected.items() if count > limits.floor and limits.share < 1]
    for name in sizeable:
        if not isinstance(providers[name], Counts):
            raise PlanRefused(
                f"{name} cannot count its contacts, so the share of {affected[name]} contacts is not known",
                hint="if this is intended, raise the limit: share=1 (--max-share 100%)",
            )
    sizes: dict[str, int] = {}
    if sizeable:
        counted = yield complete_flows({name: operations.count(providers[name]) for name in sizeable})
        sizes = {name: int(count) for name, count in counted.items()}
    for name, size in sizes.items():
        if affected[name] > limits.share * size:
            percent = ceil(100 * affected[name] / max(size, 1))
            raise PlanRefused(
                f"{name}: {affected[name]} of {size} contacts would be changed, more than the limit of "
                f"{limits.share:.0%}",
                hint=f"if this is intended, raise the limit: share={percent / 100} (--max-share {percent}%)",
            )
    return sizes


def data_subjects(people: Iterable[Identifier | Iterable[Identifier]]) -> Iterator[DataSubject]:
    """Return the data subjects. Each item is one person: an identifier, or several."""
    if isinstance(people, (str, Identifier)):
        raise InvalidInput("expected a list of people, got one identifier", hint="put it into a list")
    asked = ((person,) if isinstance(person, Identifier) else tuple(person) for person in people)
    return (DataSubject(number, tuple(dict.fromkeys(ids))) for number, ids in enumerate(asked, 1))
