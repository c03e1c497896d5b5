"""The functions that make plans, in pairs: one that blocks, one that is awaited. All of them only read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from typing import Any, TypeAlias, TypeVar

from attrs import evolve

from contacts_core.client import AsyncContacts, Contacts
from contacts_core.config.accounts import open_provider
from contacts_core.errors import InvalidInput
from contacts_core.models import Identifier
from contacts_core.plans import hooks
from contacts_core.plans.model import DataSubject, IdentifierExpansion, Plan, PlanKind, SafetyLimits
from contacts_core.plans.planning.planner import PlanRequest, making, persons

__all__ = [
    "plan_deletion",
    "plan_deletion_async",
    "plan_erasure",
    "plan_erasure_async",
    "plan_identifier_removal",
    "plan_identifier_removal_async",
    "plan_list_removal",
    "plan_list_removal_async",
    "replan",
    "replan_async",
]

D = TypeVar("D")

People: TypeAlias = Iterable[Identifier | Iterable[Identifier]]
Account: TypeAlias = str | Contacts[Any]
AsyncAccount: TypeAlias = str | AsyncContacts[Any]
"""An account by its name, or one that is open."""


def plan_erasure(
    people: People,
    accounts: Iterable[Account],
    *,
    follow: IdentifierExpansion = IdentifierExpansion.NO,
    limits: SafetyLimits | None = None,
) -> Plan:
    """Plan to delete every contact of these people, everywhere, for good.

    Args:
        people: Each item is one person: an identifier, or several of theirs.
        accounts: Names of accounts, or open ones.
        follow: Whether to look for the other addresses and numbers of the contacts found as well; without it, the
            plan's suggestions tell them.
        limits: How much of an account it may touch.

    Raises:
        InvalidInput: Nobody was asked for, or an identifier is blank.
        UnsupportedOperation: A vendor cannot delete contacts, or offers no way to find them.
        PlanRefused: It would touch more than the limits allow, or an account could not be read to its end.
    """
    return _made(PlanRequest(PlanKind.ERASE, persons(people), follow, limits=limits or SafetyLimits()), accounts)


async def plan_erasure_async(
    people: People,
    accounts: Iterable[AsyncAccount],
    *,
    follow: IdentifierExpansion = IdentifierExpansion.NO,
    limits: SafetyLimits | None = None,
) -> Plan:
    """The same as `erase`, to be awaited."""
    return await _made_async(
        PlanRequest(PlanKind.ERASE, persons(people), follow, limits=limits or SafetyLimits()), accounts
    )


def plan_deletion(
    account: Account, people: People = (), *, ids: Iterable[str] = (), limits: SafetyLimits | None = None
) -> Plan:
    """Plan to delete contacts of one account, found by identifier or given by id; no tombstones are left."""
    return _made(PlanRequest(PlanKind.DELETE, _targets(people, ids), limits=limits or SafetyLimits()), [account])


async def plan_deletion_async(
    account: AsyncAccount, people: People = (), *, ids: Iterable[str] = (), limits: SafetyLimits | None = None
) -> Plan:
    """The same as `delete`, to be awaited."""
    return await _made_async(
        PlanRequest(PlanKind.DELETE, _targets(people, ids), limits=limits or SafetyLimits()), [account]
    )


def plan_identifier_removal(
    identifiers: Iterable[Identifier], accounts: Iterable[Account], *, limits: SafetyLimits | None = None
) -> Plan:
    """Plan to take identifiers off every contact that has them; the contacts stay."""
    return _made(
        PlanRequest(PlanKind.REMOVE_IDENTIFIER, persons(identifiers), limits=limits or SafetyLimits()), accounts
    )


async def plan_identifier_removal_async(
    identifiers: Iterable[Identifier], accounts: Iterable[AsyncAccount], *, limits: SafetyLimits | None = None
) -> Plan:
    """The same as `remove_identifier`, to be awaited."""
    return await _made_async(
        PlanRequest(PlanKind.REMOVE_IDENTIFIER, persons(identifiers), limits=limits or SafetyLimits()), accounts
    )


def plan_list_removal(
    account: Account,
    list_id: str,
    people: People = (),
    *,
    ids: Iterable[str] = (),
    limits: SafetyLimits | None = None,
) -> Plan:
    """Plan to take contacts off a list of one account, found by identifier or given by id; they stay contacts."""
    request = PlanRequest(
        PlanKind.REMOVE_FROM_LIST, _targets(people, ids), list_id=list_id, limits=limits or SafetyLimits()
    )
    return _made(request, [account])


async def plan_list_removal_async(
    account: AsyncAccount,
    list_id: str,
    people: People = (),
    *,
    ids: Iterable[str] = (),
    limits: SafetyLimits | None = None,
) -> Plan:
    """The same as `remove_from_list`, to be awaited."""
    request = PlanRequest(
        PlanKind.REMOVE_FROM_LIST, _targets(people, ids), list_id=list_id, limits=limits or SafetyLimits()
    )
    return await _made_async(request, [account])


def replan(plan: Plan, accounts: Iterable[Account] = ()) -> Plan:
    """Plan anew what this plan was asked for, to see what has changed."""
    return _made(_request(plan), _named(plan, accounts))


async def replan_async(plan: Plan, accounts: Iterable[AsyncAccount] = ()) -> Plan:
    """The same as `remake`, to be awaited."""
    return await _made_async(_request(plan), _named(plan, accounts))


def _request(plan: Plan) -> PlanRequest:
    people = tuple(evolve(person, followed=()) for person in plan.people)
    return PlanRequest(plan.kind, people, plan.follow, plan.list_id, plan.limits)


def _named(plan: Plan, accounts: Iterable[Any]) -> list[Any]:
    opened = {each.name: each for each in accounts if not isinstance(each, str)}
    return [opened.get(name, name) for name in plan.by_account]


def _targets(people: People, ids: Iterable[str]) -> tuple[DataSubject, ...]:
    if isinstance(ids, str):
        raise InvalidInput("a single id was given where several are due", hint="put it into a list")
    found = persons(people)
    given = dict.fromkeys(ids)
    return (*found, *(DataSubject(number, contact=id) for number, id in enumerate(given, len(found) + 1)))


# -- running what has to be asked, at each front door ------------------------------------------------------------------


def _made(request: PlanRequest, accounts: Iterable[Account]) -> Plan:
    with ExitStack() as opened:
        doors = _doors(accounts, lambda name: opened.enter_context(Contacts(open_provider(name, {}), name=name)))
        steps = making(request, {name: door.provider for name, door in doors.items()})
        pool = opened.enter_context(ThreadPoolExecutor(len(doors) or 1, thread_name_prefix="contacts-plan"))
        answers: Mapping[str, Any] | None = None
        while True:
            try:
                asks = steps.send(answers)  # type: ignore[arg-type]  # None begins a generator
            except StopIteration as stop:
                return _created(stop.value)
            tasks = {name: pool.submit(doors[name].run, flow) for name, flow in asks.items()}
            answers = {name: task.result() for name, task in tasks.items()}


async def _made_async(request: PlanRequest, accounts: Iterable[AsyncAccount]) -> Plan:
    accounts = accounts if isinstance(accounts, str) else list(accounts)
    async with AsyncExitStack() as opened:
        doors = _doors(accounts, lambda name: AsyncContacts(open_provider(name, {}), name=name))
        for name in {each for each in accounts if isinstance(each, str)}:
            opened.push_async_callback(doors[name].close)
        steps = making(request, {name: door.provider for name, door in doors.items()})
        answers: Mapping[str, Any] | None = None
        while True:
            try:
                asks = steps.send(answers)  # type: ignore[arg-type]  # as above
            except StopIteration as stop:
                return _created(stop.value)
            done = await asyncio.gather(*(doors[name].run(flow) for name, flow in asks.items()))
            answers = dict(zip(asks, done, strict=True))


def _doors(accounts: Iterable[Any], open_: Callable[[str], D]) -> dict[str, D]:
    if isinstance(accounts, str):
        raise InvalidInput("one account was given where several are due", hint="put it into a list")
    doors: dict[str, D] = {}
    for each in accounts:
        name = each if isinstance(each, str) else each.name
        if name in doors:
            raise InvalidInput(f"account {name} was named twice")
        doors[name] = open_(each) if isinstance(each, str) else each
    return doors


def _created(plan: Plan) -> Plan:
    hooks.plan_created(plan)
    return plan
