"""Plans that write contacts: those of a file, or those of another account.

Which changes there are is the difference between what the account would show of each contact and what it shows now. So
a second plan has only what is missing, and none is left when everything has arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from attrs import evolve, field, frozen

from contacts_core.errors import PlanRefused
from contacts_core.models import Contact, Identifier
from contacts_core.models.losses import LossCount
from contacts_core.operations.losses import AcceptedLosses, LossRow, unaccepted
from contacts_core.plans.change import Change, DataSubject, Held
from contacts_core.plans.change_operations import operation_of
from contacts_core.plans.change_operations.account import field_change, list_change
from contacts_core.plans.change_operations.upsert import UpsertContacts
from contacts_core.plans.comparing.comparison import (
    Compared,
    Comparison,
    ComparisonRequest,
    ComparisonStatus,
    compare,
)
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.model import AccountPlan, Plan, SafetyLimits, Step
from contacts_core.plans.payload import packed
from contacts_core.plans.planning import lookup
from contacts_core.plans.planning.accounts import PlanGenerator
from contacts_core.plans.planning.planner import check_ids, check_limits, cut_steps
from contacts_core.plans.rows import PlanRows, window
from contacts_core.provider import Provider, QueuesJobs

__all__ = ["LossesNotAccepted", "TransferRequest", "make_transfer_plan"]

MOST_NAMED = 5
LEFT_ALONE = {ComparisonStatus.HELD: "held", ComparisonStatus.REFUSED: "the vendor would refuse it"}


@frozen
class TransferRequest:
    """What to write, and which losses are accepted.

    Attributes:
        kind: The kind of plan.
        comparison: The source and the target.
        accept: The losses that are accepted.
        limits: How many contacts may be written.
    """

    kind: str
    comparison: ComparisonRequest
    accept: AcceptedLosses = ()
    limits: SafetyLimits = field(factory=SafetyLimits)


class LossesNotAccepted(PlanRefused):
    """Contacts would lose something that was not accepted by name.

    Attributes:
        losses: Everything that would be lost, accepted or not.
    """

    def __init__(self, losses: Sequence[LossRow], left: Sequence[LossRow]) -> None:
        """Say what was not accepted."""
        named = [f"{row.name} ({row.count})" for row in left[:MOST_NAMED]]
        more = [f"and {len(left) - MOST_NAMED} more" for _ in left[MOST_NAMED : MOST_NAMED + 1]]
        super().__init__(
            f"contacts would lose {', '.join([*named, *more])}",
            hint=f"accept what may be lost by name, such as {left[0].name}, or {left[0].hint}",
        )
        self.losses = tuple(losses)


def make_transfer_plan(request: TransferRequest, providers: Mapping[str, Provider]) -> PlanGenerator[Plan]:
    """Plan to write contacts. Yield the flows that the accounts are to run, and return the plan.

    Raises:
        LossesNotAccepted: Something would be lost that was not accepted.
        PlanRefused: It would write more contacts than the limits allow, or an account was not read completely.
        UnsupportedOperation: The vendor cannot write contacts, or nothing shows which it has.
    """
    name = request.comparison.target
    provider, kind = providers[name], kind_of(request.kind)
    ids = yield {name: lookup.account_id(provider)}
    comparison = yield from compare(request.comparison, providers)
    if left := unaccepted(comparison.losses.rows, request.accept):
        raise LossesNotAccepted(comparison.losses.rows, left)
    found = _Rows(comparison)
    written = comparison.counts[ComparisonStatus.MISSING] + comparison.counts[ComparisonStatus.DIFFERENT]
    sizes = yield from check_limits(
        request.limits, providers, {name: written}, {name: comparison.counts[ComparisonStatus.DIFFERENT]}
    )
    changes = found.rows.changes(0)
    check_ids(name, changes, provider)
    steps: tuple[Step, ...] = ()
    seconds = 0.0
    for operation, count in found.stages:
        first = steps[-1].first + steps[-1].count if steps else 0
        of_stage = window(changes, first, count)
        further, at_least = cut_steps(operation_of(operation), provider, of_stage, len(comparison), after=steps)
        steps, seconds = steps + further, seconds + at_least
    part = AccountPlan(
        account=name,
        provider=provider.name,
        title=provider.title or provider.name,
        account_id=ids[name],
        read="scan" if request.comparison.everything else lookup.way(provider),
        size=sizes.get(name),
        changes=changes,
        steps=steps,
        requests=sum(step.requests for step in steps),
        seconds=seconds,
        residual_data={},
        emulated=UpsertContacts.capability in provider.read_modify_write,
        queued=isinstance(provider, QueuesJobs),
        held=found.rows.held(0),
        losses=tuple(LossCount(row.field, row.code, row.count) for row in comparison.losses.rows),
        source=comparison.source,
    )
    plan = Plan(
        kind=kind.name, made_at=datetime.now(UTC), people=found.rows.people, accounts=(part,), limits=request.limits
    )
    return plan.summed()


class _Rows:
    """The people, the changes and what is left alone, in the order of the stages."""

    def __init__(self, comparison: Comparison) -> None:
        self.rows = PlanRows()
        self.stages: list[tuple[str, int]] = []  # the operation, and the number of changes
        needed = "contacts that are written need it"
        self._add(field_change(each, needed) for each in comparison.new_fields)
        self._add(list_change(each, needed) for each in comparison.new_lists)
        self._people = 0
        self._add(map(self._written, comparison.rows(ComparisonStatus.MISSING, ComparisonStatus.DIFFERENT)))
        for each in comparison.rows(*LEFT_ALONE):
            reason = each.reason or LEFT_ALONE[each.status]
            self.rows.add_held(0, Held(each.source.identifiers, reason, each.old_id))
        self.rows.flush()

    def _add(self, changes: Iterable[Change]) -> None:
        count, operation = 0, ""
        for count, change in enumerate(changes, 1):
            self.rows.add_change(0, change)
            operation = change.operation
        if count:
            self.stages.append((operation, count))

    def _written(self, compared: Compared) -> Change:
        """Return the change that writes a contact, and add the person it is about."""
        assert compared.written is not None
        self._people += 1
        change = _change(compared, compared.written, self._people)
        asked = dict.fromkeys(i for i in compared.written.identifiers if i.value.strip())
        shared = asked.keys() & set(change.identifiers)
        self.rows.add_person(DataSubject(self._people, tuple(asked if shared else change.identifiers)))
        return change


def _change(compared: Compared, written: Contact, person: int) -> Change:
    target = compared.target
    if target is None:
        contact = evolve(written, id="", provider="", created_at=None, updated_at=None)
        identifiers: tuple[Identifier, ...] = contact.identifiers
        reason, before = "it is not there yet", None
    else:
        contact = evolve(written, id=target.id, provider=target.provider, created_at=None, updated_at=None)
        identifiers = target.identifiers
        reason = f"it differs in {', '.join(compared.differences)}"
        before = packed(evolve(target, created_at=None, updated_at=None, extra={}))
    return Change(
        UpsertContacts.name,
        target.id if target else "",
        identifiers,
        (person,),
        reason,
        write=packed(contact),
        before=before or {},
        source=compared.old_id,
    )
