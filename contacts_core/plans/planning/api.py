"""The functions that make plans: a blocking and an asynchronous one of each. All of them only read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from attrs import evolve

from contacts_core.client import AsyncContacts, Contacts
from contacts_core.errors import InvalidInput, PlanRefused
from contacts_core.models import Contact, Identifier, LossCode
from contacts_core.operations.losses import accepted_losses
from contacts_core.plans import hooks
from contacts_core.plans.change import DataSubject, PairHandler
from contacts_core.plans.change_operations.mail_data import EraseMailData
from contacts_core.plans.comparing import FieldMap
from contacts_core.plans.comparing.api import comparison_request, name_of
from contacts_core.plans.comparing.consent import ConsentOptions, Unsubscribed
from contacts_core.plans.comparing.consent_marks import ConsentPlace
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.model import IdentifierExpansion, Plan, SafetyLimits
from contacts_core.plans.planning.accounts import run_in_accounts, run_in_accounts_async
from contacts_core.plans.planning.aftercare import KEPT, MAIL_DATA, NOT_KEPT
from contacts_core.plans.planning.planner import PlanRequest, data_subjects, make_plan
from contacts_core.plans.planning.transfer import TransferRequest, make_transfer_plan
from contacts_core.plans.planning.undo import make_undo_plan
from contacts_core.query import Query

__all__ = [
    "plan_copy",
    "plan_copy_async",
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
    "plan_undo",
    "plan_undo_async",
    "plan_upsert",
    "plan_upsert_async",
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
    keep_suppressions: bool = False,
    mail_data: bool = False,
    limits: SafetyLimits | None = None,
) -> Plan:
    """Plan to delete every contact of these people, everywhere, for good.

    Args:
        people: Each item is one person: an identifier, or several of theirs.
        accounts: Names of accounts, or open ones.
        follow: Whether to look for the other e-mail addresses and phone numbers of the contacts found as well. If not,
            the plan's suggestions list them.
        keep_suppressions: Whether the identifiers of the deleted contacts stay suppressed, or become so where the
            vendor keeps suppressions apart from contacts, so that nobody writes to these people again.
        mail_data: Whether what vendors keep of the mail that was sent to these people is erased as well.
        limits: How many contacts of an account it may delete.

    Raises:
        InvalidInput: No people were given, or an identifier is blank.
        UnsupportedOperation: A vendor cannot delete contacts, or offers no way to find them; or no vendor can do what
            is asked for besides.
        PlanRefused: It would delete more contacts than the limits allow, or an account could not be read completely.
    """
    return _plan(_erasure(people, follow, limits, keep_suppressions, mail_data), accounts)


async def plan_erasure_async(
    people: People,
    accounts: Iterable[AsyncAccount],
    *,
    follow: IdentifierExpansion = IdentifierExpansion.NO,
    keep_suppressions: bool = False,
    mail_data: bool = False,
    limits: SafetyLimits | None = None,
) -> Plan:
    """Plan as `plan_erasure` does, asynchronously."""
    return await _plan_async(_erasure(people, follow, limits, keep_suppressions, mail_data), accounts)


def _erasure(
    people: People,
    follow: IdentifierExpansion,
    limits: SafetyLimits | None,
    keep_suppressions: bool,  # noqa: FBT001 - as its callers have it
    mail_data: bool,  # noqa: FBT001 - as above
) -> PlanRequest:
    return PlanRequest(
        "erase",
        data_subjects(people),
        follow,
        limits=limits or SafetyLimits(),
        keep_suppressions=keep_suppressions,
        mail_data=mail_data,
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


def plan_upsert(
    account: Account,
    contacts: Iterable[Contact],
    *,
    field_map: FieldMap | None = None,
    create_fields: bool = False,
    create_lists: bool = False,
    accept_losses: Iterable[str] = (),
    limits: SafetyLimits | None = None,
    on_pair: PairHandler | None = None,
) -> Plan:
    """Plan to create contacts in one account, and to update those that differ. Whoever is there as given is left alone.

    Args:
        account: The name of the account, or an open one.
        contacts: The contacts; they are iterated over once, and may be more than fit into memory.
        field_map: What their fields, lists and tags are called in the account.
        create_fields: Create custom fields that contacts need and the account lacks.
        create_lists: Create lists that contacts name and the account lacks.
        accept_losses: What may get lost: ``CODE`` or ``CODE:FIELD``, as `LossesNotAccepted` names it.
        limits: How many contacts it may write. The share is of contacts that exist.
        on_pair: Called with the ids of each contact that the account has already, once there is a plan: the id that
            was given, and the one that it has there. `apply` calls such a function for those that it writes.

    Raises:
        LossesNotAccepted: The account would not keep everything, and that was not accepted.
        InvalidInput: Something given is no contact.
        UnsupportedOperation: The vendor cannot write contacts, or offers no way to find them.
        PlanRefused: It would write more contacts than the limits allow, or the account was not read completely.
    """
    _check_contacts(contacts)
    given = _transfer("upsert", contacts, account, field_map, None, create_fields, create_lists, accept_losses, limits)
    given = evolve(given, on_pair=on_pair)
    return _created(run_in_accounts([account], partial(make_transfer_plan, given)))


async def plan_upsert_async(
    account: AsyncAccount,
    contacts: Iterable[Contact],
    *,
    field_map: FieldMap | None = None,
    create_fields: bool = False,
    create_lists: bool = False,
    accept_losses: Iterable[str] = (),
    limits: SafetyLimits | None = None,
    on_pair: PairHandler | None = None,
) -> Plan:
    """Plan as `plan_upsert` does, asynchronously."""
    _check_contacts(contacts)
    given = _transfer("upsert", contacts, account, field_map, None, create_fields, create_lists, accept_losses, limits)
    given = evolve(given, on_pair=on_pair)
    return _created(await run_in_accounts_async([account], partial(make_transfer_plan, given)))


def plan_copy(
    source: Account,
    target: Account,
    *,
    only: Query | None = None,
    field_map: FieldMap | None = None,
    create_fields: bool = False,
    create_lists: bool = False,
    unsubscribed: Unsubscribed = Unsubscribed.KEEP,
    consent_in: str = "",
    old_ids: bool = True,
    accept_losses: Iterable[str] = (),
    limits: SafetyLimits | None = None,
    on_pair: PairHandler | None = None,
) -> Plan:
    """Plan to copy the contacts of one account to another. What is there already, as far as it can be, is left alone.

    Consent is written first and read back; no contact is created before. See `plan_upsert` for the other arguments.

    Args:
        source: The name of the account to read, or an open one.
        target: The name of the account to write to, or an open one.
        only: Copy only contacts that match this query.
        field_map: What fields, lists and tags of the source are called in the target.
        create_fields: Create custom fields that the target lacks.
        create_lists: Create lists, and scopes of consent, that the target lacks.
        unsubscribed: What becomes of people who opted out of everything.
        consent_in: Where consent is kept if the target's vendor, or the source's, keeps none: ``field:NAME`` or
            ``tag:NAME``.
        old_ids: Keep the source's id of each contact that is created as its external id, where the target has such a
            field, the contact has none of its own, and no other contact has the same one.
        accept_losses: What may get lost.
        limits: How many contacts it may write.
        on_pair: Called with the ids of each contact that the target has already; see `plan_upsert`.
    """
    given = _transfer("copy", source, target, field_map, only, create_fields, create_lists, accept_losses, limits)
    given = _of_account(given, unsubscribed, consent_in, old_ids=old_ids, on_pair=on_pair)
    return _created(run_in_accounts([source, target], partial(make_transfer_plan, given)))


async def plan_copy_async(
    source: AsyncAccount,
    target: AsyncAccount,
    *,
    only: Query | None = None,
    field_map: FieldMap | None = None,
    create_fields: bool = False,
    create_lists: bool = False,
    unsubscribed: Unsubscribed = Unsubscribed.KEEP,
    consent_in: str = "",
    old_ids: bool = True,
    accept_losses: Iterable[str] = (),
    limits: SafetyLimits | None = None,
    on_pair: PairHandler | None = None,
) -> Plan:
    """Plan as `plan_copy` does, asynchronously."""
    given = _transfer("copy", source, target, field_map, only, create_fields, create_lists, accept_losses, limits)
    given = _of_account(given, unsubscribed, consent_in, old_ids=old_ids, on_pair=on_pair)
    return _created(await run_in_accounts_async([source, target], partial(make_transfer_plan, given)))


def plan_undo(run: str, accounts: Iterable[Account] = (), *, storage: str | Path | None = None) -> Plan:
    """Plan to take back what a run wrote: contacts that it created are deleted, others get their values back.

    Whoever was changed since is left alone, and listed in ``held``. Lists, custom fields and consent stay.

    Args:
        run: The id of a run that created or updated contacts.
        accounts: Accounts that are open already. Others are opened by name.
        storage: Where the run is kept: a folder or a PostgreSQL URL; see `contacts_core.storage.database`.

    Raises:
        InvalidInput: There is no such run, or it was not in one of these accounts.
        PlanRefused: It has not ended, cannot be undone, its plan was deleted, or an account leads to another workspace.
        ConfigurationError: The extra ``plans`` is missing.
    """
    plan = _undoable_plan(run, storage)
    return _created(run_in_accounts(_named(plan, accounts), partial(make_undo_plan, "undo", plan)))


async def plan_undo_async(
    run: str, accounts: Iterable[AsyncAccount] = (), *, storage: str | Path | None = None
) -> Plan:
    """Plan as `plan_undo` does, asynchronously."""
    plan = _undoable_plan(run, storage)
    return _created(await run_in_accounts_async(_named(plan, accounts), partial(make_undo_plan, "undo", plan)))


def _check_contacts(contacts: object) -> None:
    if isinstance(contacts, str | Contacts | AsyncContacts):
        raise InvalidInput("expected contacts, got an account", hint="plan_copy copies those of an account")


def _undoable_plan(run: str, storage: str | Path | None) -> Plan:
    from contacts_core.plans.execution.runner import undoable_plan

    return undoable_plan(run, storage=storage)


def _transfer(
    kind: str,
    source: Any,
    target: Any,
    field_map: FieldMap | None,
    only: Query | None,
    create_fields: bool,  # noqa: FBT001 - as its callers have it
    create_lists: bool,  # noqa: FBT001 - as above
    accept_losses: Iterable[str],
    limits: SafetyLimits | None,
) -> TransferRequest:
    is_account = isinstance(source, str | Contacts | AsyncContacts)
    return TransferRequest(
        kind,
        comparison_request(
            name_of(source) if is_account else source,
            target,
            field_map,
            only,
            is_account and only is None,
            create_fields,
            create_lists,
            progress=None,
        ),
        accepted_losses(accept_losses),
        limits or SafetyLimits(),
    )


def _of_account(
    request: TransferRequest,
    unsubscribed: Unsubscribed,
    consent_in: str,
    *,
    old_ids: bool,
    on_pair: PairHandler | None,
) -> TransferRequest:
    """Return the request with what only an account has: consent, and ids."""
    consent = ConsentOptions(
        unsubscribed=unsubscribed,
        place=ConsentPlace.parse(consent_in) if consent_in else None,
        create_scopes=request.comparison.create_lists,
        accepted=[name for code, name in request.accept if code is LossCode.NO_CONSENT],
    )
    comparison = evolve(request.comparison, old_ids=old_ids)
    return evolve(request, consent=consent, comparison=comparison, on_pair=on_pair)


def replan(plan: Plan, accounts: Iterable[Account] = ()) -> Plan:
    """Make the same plan again, to see what has changed."""
    return _plan(_request(plan), _named(plan, accounts))


async def replan_async(plan: Plan, accounts: Iterable[AsyncAccount] = ()) -> Plan:
    """Plan as `replan` does, asynchronously."""
    return await _plan_async(_request(plan), _named(plan, accounts))


def _request(plan: Plan) -> PlanRequest:
    if not kind_of(plan.kind).about_people:
        raise PlanRefused(
            f"a plan to {plan.kind} does not hold what it was made of",
            hint="make it again as it was made: only what is still missing is in the new plan",
        )
    people = (evolve(person, followed=()) for person in plan.people)
    told = {what for part in plan.accounts for what in part.residual_data}
    return PlanRequest(
        plan.kind,
        people,
        plan.follow,
        plan.list_id,
        plan.limits,
        keep_suppressions=not told.isdisjoint((KEPT, NOT_KEPT)),
        mail_data=MAIL_DATA in told or _has(plan, EraseMailData.name),
    )


def _has(plan: Plan, operation: str) -> bool:
    return any(step.operation == operation for part in plan.accounts for step in part.steps)


def _named(plan: Plan, accounts: Iterable[Any]) -> list[Any]:
    opened = {account.name: account for account in accounts if not isinstance(account, str)}
    if others := opened.keys() - plan.by_account.keys():
        raise InvalidInput(f"the plan is not about {min(others)}", hint=f"it is for {', '.join(plan.by_account)}")
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
