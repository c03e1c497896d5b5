"""The functions that make plans: a blocking and an asynchronous one of each. All of them only read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

from attrs import evolve

from contacts_core.client import AsyncContacts, Contacts
from contacts_core.errors import InvalidInput
from contacts_core.models import Identifier
from contacts_core.plans import hooks
from contacts_core.plans.change import DataSubject
from contacts_core.plans.model import IdentifierExpansion, Plan, SafetyLimits
from contacts_core.plans.planning.accounts import run_in_accounts, run_in_accounts_async
from contacts_core.plans.planning.planner import PlanRequest, data_subjects, make_plan

__all__ = [
    "plan_deletion",
    "plan_deletion_async",
    "plan_erasure",
    "plan_erasure_async",
    "plan_identifier_removal",
    "plan_identifier_removal_async",
    "plan_list_addition",
    "plan_list_addition_async",
    "plan_list_removal",
    "plan_list_removal_async",
    "replan",
    "replan_async",
]

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
        follow: Whether to look for the other e-mail addresses and phone numbers of the contacts found as well. If not,
            the plan's suggestions list them.
        limits: How many contacts of an account it may delete.

    Raises:
        InvalidInput: No people were given, or an identifier is blank.
        UnsupportedOperation: A vendor cannot delete contacts, or offers no way to find them.
        PlanRefused: It would delete more contacts than the limits allow, or an account could not be read completely.
    """
    return _plan(PlanRequest("erase", data_subjects(people), follow, limits=limits or SafetyLimits()), accounts)


async def plan_erasure_async(
    people: People,
    accounts: Iterable[AsyncAccount],
    *,
    follow: IdentifierExpansion = IdentifierExpansion.NO,
    limits: SafetyLimits | None = None,
) -> Plan:
    """Plan as `plan_erasure` does, asynchronously."""
    return await _plan_async(
        PlanRequest("erase", data_subjects(people), follow, limits=limits or SafetyLimits()), accounts
    )


def plan_deletion(
    account: Account, people: People = (), *, ids: Iterable[str] = (), limits: SafetyLimits | None = None
) -> Plan:
    """Plan to delete contacts of one account, found by identifier or given by id. No tombstones are added."""
    return _plan(PlanRequest("delete", _subjects(people, ids), limits=limits or SafetyLimits()), [account])


async def plan_deletion_async(
    account: AsyncAccount, people: People = (), *, ids: Iterable[str] = (), limits: SafetyLimits | None = None
) -> Plan:
    """Plan as `plan_deletion` does, asynchronously."""
    return await _plan_async(PlanRequest("delete", _subjects(people, ids), limits=limits or SafetyLimits()), [account])


def plan_identifier_removal(
    identifiers: Iterable[Identifier], accounts: Iterable[Account], *, limits: SafetyLimits | None = None
) -> Plan:
    """Plan to remove identifiers from every contact that has them. The contacts remain."""
    return _plan(
        PlanRequest("remove-identifier", data_subjects(identifiers), limits=limits or SafetyLimits()), accounts
    )


async def plan_identifier_removal_async(
    identifiers: Iterable[Identifier], accounts: Iterable[AsyncAccount], *, limits: SafetyLimits | None = None
) -> Plan:
    """Plan as `plan_identifier_removal` does, asynchronously."""
    return await _plan_async(
        PlanRequest("remove-identifier", data_subjects(identifiers), limits=limits or SafetyLimits()), accounts
    )


def plan_list_removal(
    account: Account,
    list_id: str,
    people: People = (),
    *,
    ids: Iterable[str] = (),
    limits: SafetyLimits | None = None,
) -> Plan:
    """Plan to remove contacts from a list of one account, found by identifier or given by id. They remain contacts."""
    return _plan(_on_list("remove-from-list", list_id, people, ids, limits), [account])


async def plan_list_removal_async(
    account: AsyncAccount,
    list_id: str,
    people: People = (),
    *,
    ids: Iterable[str] = (),
    limits: SafetyLimits | None = None,
) -> Plan:
    """Plan as `plan_list_removal` does, asynchronously."""
    return await _plan_async(_on_list("remove-from-list", list_id, people, ids, limits), [account])


def plan_list_addition(
    account: Account,
    list_id: str,
    people: People = (),
    *,
    ids: Iterable[str] = (),
    limits: SafetyLimits | None = None,
) -> Plan:
    """Plan to put contacts of one account on a list, found by identifier or given by id. Nobody is created."""
    return _plan(_on_list("add-to-list", list_id, people, ids, limits), [account])


async def plan_list_addition_async(
    account: AsyncAccount,
    list_id: str,
    people: People = (),
    *,
    ids: Iterable[str] = (),
    limits: SafetyLimits | None = None,
) -> Plan:
    """Plan as `plan_list_addition` does, asynchronously."""
    return await _plan_async(_on_list("add-to-list", list_id, people, ids, limits), [account])


def _on_list(kind: str, list_id: str, people: People, ids: Iterable[str], limits: SafetyLimits | None) -> PlanRequest:
    return PlanRequest(kind, _subjects(people, ids), list_id=list_id, limits=limits or SafetyLimits())


def replan(plan: Plan, accounts: Iterable[Account] = ()) -> Plan:
    """Make the same plan again, to see what has changed."""
    return _plan(_request(plan), _named(plan, accounts))


async def replan_async(plan: Plan, accounts: Iterable[AsyncAccount] = ()) -> Plan:
    """Plan as `replan` does, asynchronously."""
    return await _plan_async(_request(plan), _named(plan, accounts))


def _request(plan: Plan) -> PlanRequest:
    people = (evolve(person, followed=()) for person in plan.people)
    return PlanRequest(plan.kind, people, plan.follow, plan.list_id, plan.limits)


def _named(plan: Plan, accounts: Iterable[Any]) -> list[Any]:
    opened = {account.name: account for account in accounts if not isinstance(account, str)}
    return [opened.get(name, name) for name in plan.by_account]


def _subjects(people: People, ids: Iterable[str]) -> Iterator[DataSubject]:
    if isinstance(ids, str):
        raise InvalidInput("expected a list of ids, got a str", hint="put it into a list")
    by_id = (DataSubject(0, contact=id) for id in dict.fromkeys(ids))
    return chain(data_subjects(people), by_id)  # they are numbered where they are written down


def _plan(request: PlanRequest, accounts: Iterable[Account]) -> Plan:
    return _created(run_in_accounts(accounts, partial(make_plan, request)))


async def _plan_async(request: PlanRequest, accounts: Iterable[AsyncAccount]) -> Plan:
    return _created(await run_in_accounts_async(accounts, partial(make_plan, request)))


def _created(plan: Plan) -> Plan:
    """Call the hooks for a new plan, and return it."""
    hooks.plan_created(plan)
    return plan
