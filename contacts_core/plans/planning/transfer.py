"""Plans that write contacts: those of a file, or those of another account.

Which changes there are is the difference between what the account would show of each contact and what it shows now. So
a second plan has only what is missing, and none is left when everything has arrived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from attrs import evolve, field, frozen

from contacts_core.errors import PlanRefused
from contacts_core.models.losses import LossCount
from contacts_core.operations.losses import AcceptedLosses, LossRow, unaccepted
from contacts_core.plans.change import PairHandler
from contacts_core.plans.change_operations.upsert import UpsertContacts
from contacts_core.plans.comparing.comparison import compare
from contacts_core.plans.comparing.consent import (
    ConsentComparison,
    ConsentOptions,
)
from contacts_core.plans.comparing.model import ComparisonRequest
from contacts_core.plans.model import AccountPlan, ConsentSource, Plan, SafetyLimits
from contacts_core.plans.planning import lookup
from contacts_core.plans.planning.accounts import PlanGenerator
from contacts_core.plans.planning.planner import check_ids, check_limits, staged_steps
from contacts_core.plans.planning.transfer_rows import TransferRows
from contacts_core.provider import Provider, QueuesJobs

__all__ = ["LossesNotAccepted", "TransferRequest", "make_transfer_plan"]

MOST_NAMED = 5


@frozen
class TransferRequest:
    """What to write, and which losses are accepted.

    Attributes:
        kind: The kind of plan.
        comparison: The source and the target.
        accept: The losses that are accepted.
        limits: How many contacts may be written.
        consent: How consent is copied; None if the source is no account.
        on_pair: Told the ids of contacts that the target has already, once there is a plan.
    """

    kind: str
    comparison: ComparisonRequest
    accept: AcceptedLosses = ()
    limits: SafetyLimits = field(factory=SafetyLimits)
    consent: ConsentOptions | None = None
    on_pair: PairHandler | None = None


class LossesNotAccepted(PlanRefused):
    """Contacts would lose something that was not accepted by name.

    Attributes:
        losses: Everything that would be lost, accepted or not.
        left: What of it was not accepted.
    """

    losses: tuple[LossRow, ...]
    left: tuple[LossRow, ...]

    def __init__(self, losses: Sequence[LossRow], left: Sequence[LossRow]) -> None:
        """Say what was not accepted."""
        named = [f"{row.name} ({row.count})" for row in left[:MOST_NAMED]]
        more = [f"and {len(left) - MOST_NAMED} more" for _ in left[MOST_NAMED : MOST_NAMED + 1]]
        super().__init__(
            f"contacts would lose {', '.join([*named, *more])}",
            hint=f"accept what may be lost by name, such as {left[0].name}, or {left[0].hint}",
        )
        self.losses, self.left = tuple(losses), tuple(left)


def make_transfer_plan(request: TransferRequest, providers: Mapping[str, Provider]) -> PlanGenerator[Plan]:
    """Plan to write contacts. Yield the flows that the accounts are to run, and return the plan.

    Raises:
        LossesNotAccepted: Something would be lost that was not accepted.
        PlanRefused: It would write more contacts than the limits allow, an account was not read completely, or the
            target cannot keep what people refused.
        UnsupportedOperation: The vendor cannot write contacts, or nothing shows which it has.
    """
    name, compared = request.comparison.target, request.comparison
    provider = providers[name]
    read_from = [compared.source] if request.consent is not None and isinstance(compared.source, str) else []
    ids = yield {each: lookup.account_id(providers[each]) for each in [name, *read_from]}
    consent: ConsentComparison | None = None
    if request.consent is not None and isinstance(compared.source, str):
        consent = ConsentComparison(compared.source, name, request.consent)
        yield from consent.run(providers)
        compared = evolve(compared, prepare=consent.marked)
    comparison = yield from compare(compared, providers)
    found = TransferRows(comparison, consent, provider)
    found.fill()
    losses = [*found.consent_losses(), *comparison.losses.rows]
    if left := unaccepted(losses, request.accept):
        raise LossesNotAccepted(losses, left)
    sizes = yield from check_limits(request.limits, providers, {name: found.written}, {name: found.updated})
    changes = found.rows.changes(0)
    check_ids(name, changes, provider)
    steps, seconds = staged_steps(provider, changes, found.stages, len(comparison))
    part = AccountPlan(
        account=name,
        provider=provider.name,
        title=provider.title or provider.name,
        account_id=ids[name],
        read="scan" if compared.everything else lookup.way(provider),
        size=sizes.get(name),
        changes=changes,
        steps=steps,
        requests=sum(step.requests for step in steps),
        seconds=seconds,
        residual_data={f"consent of {comparison.source}": consent.untold} if consent and consent.untold else {},
        emulated=UpsertContacts.capability in provider.read_modify_write,
        queued=isinstance(provider, QueuesJobs),
        held=found.rows.held(0),
        losses=tuple(LossCount(row.field, row.code, row.count) for row in losses if not row.held),
        source=comparison.source,
        consent=_consent_source(consent, ids[comparison.source]) if consent else None,
    )
    plan = Plan(
        kind=request.kind,
        made_at=datetime.now(UTC),
        people=found.rows.people,
        accounts=(part,),
        limits=request.limits,
    )
    if request.on_pair:
        for old_id, new_id in comparison.pairs():
            request.on_pair(old_id, new_id)
    return plan.summed()


def _consent_source(consent: ConsentComparison, account_id: str) -> ConsentSource:
    return ConsentSource(
        account_id=account_id,
        unsubscribed=consent.options.unsubscribed.value,
        place=str(consent.options.place or ""),
        create_scopes=consent.options.create_scopes,
        accepted=consent.accepted_losses(),
    )
