"""The functions that make plans, each in a blocking and an asynchronous form. They only read."""

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
    """Plan to delete every contact of these people in all accounts, and to leave tombstones.

    Args:
        people: The data subjects. Each item is one: an identifier, or several identifiers.
        accounts: Names of accounts, or clients that are open already.
        follow: Whether to look up the other e-mail addresses and phone numbers of the contacts found as well. If not,
            the plan lists them as suggestions.
        limits: How many contacts of an account the plan may change.

    Raises:
        InvalidInput: No people were given, or an identifier is blank.
        UnsupportedOperation: A provider cannot delete contacts, or has no way to find them.
        PlanRefused: The plan would change more than the limits allow, or an account could not be read completely.
    """
    return _made(PlanRequest(PlanKind.ERASE, persons(people), follow, limits=limits or SafetyLimits()), accounts)


async def plan_erasure_async(
    people: People,
    accounts: Iterable[AsyncAccount],
    *,
    follow: IdentifierExpansion = IdentifierExpansion.NO,
    limits: SafetyLimits | None = None,
) -> Plan:
    """Make the same plan as `plan_erasure`, with clients of `AsyncContacts`."""
    return await _made_async(
        PlanRequest(PlanKind.ERASE, persons(people), follow, limits=limits or SafetyLimits()), accounts
    )


def plan_deletion(
    account: Account, people: People = (), *, ids: Iterable[str] = (), limits: SafetyLimits | None = None
) -> Plan:
    """Plan to delete contacts of one account, given by identifier or by id. No tombstones are left."""
    return _made(PlanRequest(PlanKind.DELETE, _targets(people, ids), limits=limits or SafetyLimits()), [account])


async def plan_deletion_async(
    account: AsyncAccount, people: People = (), *, ids: Iterable[str] = (), limits: SafetyLimits | None = None
) -> Plan:
    """Make the same plan as `plan_deletion`, with clients of `AsyncContacts`."""
    return await _made_async(
        PlanRequest(PlanKind.DELETE, _targets(people, ids), limits=limits or SafetyLimits()), [account]
    )


def plan_identifier_removal(
    identifiers: Iterable[Identifier], accounts: Iterable[Account], *, limits: SafetyLimits | None = None
) -> Plan:
    """Plan to remove identifiers from every contact that has them. The contacts are kept."""
    return _made(
        PlanRequest(PlanKind.REMOVE_IDENTIFIER, persons(identifiers), limits=limits or SafetyLimits()), accounts
    )


async def plan_identifier_removal_async(
    identifiers: Iterable[Identifier], accounts: Iterable[AsyncAccount], *, limits: SafetyLimits | None = None
) -> Plan:
    """Make the same plan as `plan_identifier_removal`, with clients of `AsyncContacts`."""
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
    """Plan to remove contacts from a list of one account, given by identifier or by id. The contacts are kept."""
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
    """Make the same plan as `plan_list_removal`, with clients of `AsyncContacts`."""
    request = PlanRequest(
        PlanKind.REMOVE_FROM_LIST, _targets(people, ids), list_id=list_id, limits=limits or SafetyLimits()
    )
    return await _made_async(request, [account])


def replan(plan: Plan, accounts: Iterable[Account] = ()) -> Plan:
    """Make a plan for the same request again, to see what has changed."""
    return _made(_request(plan), _named(plan, accounts))


async def replan_async(plan: Plan, accounts: Iterable[AsyncAccount] = ()) -> Plan:
    """Make the same plan as `replan`, with clients of `AsyncContacts`."""
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
