"""Plans that write contacts: those of a file, or those of another account.

Which changes there are is the difference between what the account would show of each contact and what it shows now. So
a second plan has only what is missing, and none is left when everything has arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby

from attrs import evolve, field, frozen

from contacts_core.errors import PlanRefused
from contacts_core.models import ConsentState, Contact, Identifier, LossCode
from contacts_core.models.losses import LossCount
from contacts_core.operations.losses import CONSENT, AcceptedLosses, LossRow, unaccepted
from contacts_core.plans.change import Change, DataSubject, Held, PairHandler
from contacts_core.plans.change_operations.account import consent_change, field_change, list_change, scope_change
from contacts_core.plans.change_operations.upsert import UpsertContacts
from contacts_core.plans.comparing.comparison import Comparison, compare
from contacts_core.plans.comparing.consent import (
    Admission,
    ConsentComparison,
    ConsentOptions,
    MissingConsent,
)
from contacts_core.plans.comparing.model import Compared, ComparisonRequest, ComparisonStatus
from contacts_core.plans.model import AccountPlan, ConsentSource, Plan, SafetyLimits
from contacts_core.plans.payload import packed
from contacts_core.plans.planning import lookup
from contacts_core.plans.planning.accounts import PlanGenerator
from contacts_core.plans.planning.planner import check_ids, check_limits, staged_steps
from contacts_core.plans.rows import PlanRows, key_of
from contacts_core.provider import Provider, QueuesJobs, WritesConsent
from contacts_core.storage.spool import Spool

__all__ = ["LossesNotAccepted", "TransferRequest", "make_transfer_plan"]

MOST_NAMED = 5
MOST_SAMPLES = 3
WITHOUT_CONTACT = "without_contact"
NEEDED = "what is copied needs it"
WRITTEN = (ComparisonStatus.MISSING, ComparisonStatus.DIFFERENT)
LEFT_ALONE = {ComparisonStatus.HELD: "held", ComparisonStatus.REFUSED: "the vendor would refuse it"}


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
    found = _Rows(comparison, consent, writes_consent=isinstance(provider, WritesConsent))
    losses = [*found.consent_losses, *comparison.losses.rows]
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
        residual_data={},
        emulated=UpsertContacts.capability in provider.read_modify_write,
        queued=isinstance(provider, QueuesJobs),
        held=found.rows.held(0),
        losses=tuple(LossCount(row.field, row.code, row.count) for row in losses),
        source=comparison.source,
        consent=_consent_source(request.consent, ids[comparison.source]) if request.consent and consent else None,
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


def _consent_source(options: ConsentOptions, account_id: str) -> ConsentSource:
    return ConsentSource(
        account_id=account_id,
        unsubscribed=options.unsubscribed.value,
        place=str(options.place or ""),
        create_scopes=options.create_scopes,
        accepted=tuple(options.accepted),
    )


class _Rows:
    """The people, the changes and what is left alone, in the order of the stages.

    Attributes:
        rows: They.
        stages: The operation of each stage, and the number of its changes.
        written: How many contacts are created or updated.
        updated: How many of them exist.
        consent_losses: What of the statements of consent gets lost.
    """

    def __init__(self, comparison: Comparison, consent: ConsentComparison | None, *, writes_consent: bool) -> None:
        """Take what was found.

        Args:
            comparison: The contacts.
            consent: What people said; None if it is not copied.
            writes_consent: Whether the vendor keeps it by itself; otherwise it stands on the contacts.
        """
        self.rows = PlanRows()
        self.stages: list[tuple[str, int]] = []
        self.written = self.updated = 0
        self.consent_losses: list[LossRow] = []
        self._comparison, self._consent = comparison, consent
        self._never = bytearray(len(comparison) + 1)  # contacts that must not be written, by their number
        self._owners = Spool("CREATE TABLE owners (key TEXT PRIMARY KEY, person INTEGER NOT NULL) WITHOUT ROWID;")
        self._people = 0
        self._fields, self._lists = set[str](), set[str]()  # what is used by contacts that are written
        self._admit()
        self._add(field_change(each, NEEDED) for each in comparison.new_fields if each.name in self._fields)
        self._add(list_change(each, NEEDED) for each in comparison.new_lists if each in self._lists)
        if consent:
            self.consent_losses = [
                LossRow(CONSENT, each.field, each.code, each.detail, each.count, list(each.samples))
                for each in consent.losses()
            ]
            self._add(scope_change(each, NEEDED) for each in consent.missing_scopes)
        if consent and not writes_consent:
            self.consent_losses += self._without_contact(consent)
        if consent and writes_consent:
            self._add(self._statements(consent.before_contacts(), "it was refused"))
        self._add(map(self._change, self._to_write()))
        if consent and writes_consent:
            self._add(self._statements(consent.after_contacts(), "the source says so"))
        for each in comparison.rows(*LEFT_ALONE):
            self._hold(each, each.reason or LEFT_ALONE[each.status])
        self.rows.flush()

    def _admit(self) -> None:
        """Number the people whose contacts are written, and leave out those whose consent does not allow it."""
        for compared in self._comparison.rows(*WRITTEN):
            gate = self._consent.gate(compared.source) if self._consent else None
            assert compared.written is not None
            if gate and self._consent and not gate.reason:
                gate = self._consent.marked_gate(gate, compared.written)
            if gate and gate.admission is Admission.NEVER:
                self._never[compared.number] = True
                self._hold(compared, gate.reason)
                continue
            self._fields |= compared.written.custom.keys()
            self._lists.update(compared.written.lists or ())
            self.written += 1
            self.updated += compared.target is not None
            identifiers = _known_as(compared, compared.written)
            self._person(identifiers, {*identifiers, *compared.source.identifiers, *compared.written.identifiers})

    def _without_contact(self, consent: ConsentComparison) -> list[LossRow]:
        """Return the loss of refusals by people who are not written, where consent is kept on contacts only."""
        count, samples = 0, list[str]()
        for each in consent.before_contacts():
            if self._owner(each.statement.identifier) is None:
                count += 1
                samples += [each.statement.identifier.masked] if len(samples) < MOST_SAMPLES else []
        if not count or consent.skips_unsubscribed:
            return []
        detail = "whoever refused and is not written as a contact: consent is kept on contacts there"
        return [LossRow(CONSENT, WITHOUT_CONTACT, LossCode.NO_CONSENT, detail, count, samples)]

    def _person(self, identifiers: tuple[Identifier, ...], known_by: Iterable[Identifier]) -> int:
        self._people += 1
        self.rows.add_person(DataSubject(self._people, identifiers))
        rows = [(key_of(each), self._people) for each in known_by]
        self._owners.write("INSERT OR IGNORE INTO owners VALUES (?, ?)", rows)
        return self._people

    def _owner(self, identifier: Identifier) -> int | None:
        found = self._owners.one("SELECT person FROM owners WHERE key = ?", key_of(identifier))
        return int(found[0]) if found else None

    def _hold(self, compared: Compared, reason: str) -> None:
        self.rows.add_held(0, Held(compared.source.identifiers, reason, compared.old_id))

    def _to_write(self) -> Iterator[Compared]:
        return (each for each in self._comparison.rows(*WRITTEN) if not self._never[each.number])

    def _add(self, changes: Iterable[Change]) -> None:
        count, operation = 0, ""
        for change in changes:
            self.rows.add_change(0, change)
            count, operation = count + 1, change.operation
        if count:
            self.stages.append((operation, count))

    def _statements(self, missing: Iterable[MissingConsent], reason: str) -> Iterator[Change]:
        """Yield the changes that write statements, those about one identifier together; grants by themselves."""
        for _, several in groupby(missing, _identifier_and_grant):
            found = list(several)
            identifier = found[0].statement.identifier
            person = self._owner(identifier) or self._person((identifier,), [identifier])
            accept = dict.fromkeys(f"{loss.code.value}:{loss.field}" for each in found for loss in each.losses)
            yield consent_change([each.statement for each in found], [person], reason, [*accept])

    def _change(self, compared: Compared) -> Change:
        """Return the change that writes a contact."""
        target, written = compared.target, compared.written
        assert written is not None
        person = self._owner(_known_as(compared, written)[0])
        assert person is not None
        if target is None:
            contact = evolve(written, id="", provider="", created_at=None, updated_at=None)
            identifiers, reason, before = contact.identifiers, "it is not there yet", {}
        else:
            contact = evolve(
                written,
                id=target.id,
                provider=target.provider,
                identifiers=_as_stored(written.identifiers, target),
                created_at=None,
                updated_at=None,
            )
            identifiers, reason = target.identifiers, f"it differs in {', '.join(compared.differences)}"
            before = packed(evolve(target, created_at=None, updated_at=None, extra={}))
        return Change(
            UpsertContacts.name,
            contact.id,
            identifiers,
            (person,),
            reason,
            write=packed(contact),
            before=before,
            source=compared.old_id,
        )


def _identifier_and_grant(missing: MissingConsent) -> tuple[str, bool]:
    statement = missing.statement
    return key_of(statement.identifier), statement.state is ConsentState.GRANTED


def _as_stored(identifiers: Iterable[Identifier], target: Contact) -> tuple[Identifier, ...]:
    """Return identifiers as the target spells those that it has, and others in the form that every vendor takes."""
    known = {each: each for each in target.identifiers}
    return tuple(known.get(each) or evolve(each, value=each.normal) for each in identifiers)


def _known_as(compared: Compared, written: Contact) -> tuple[Identifier, ...]:
    """Return the identifiers that the plan knows a person by: given ones, or those of the contact that is there."""
    given = tuple(dict.fromkeys(each for each in written.identifiers if each.value.strip()))
    if compared.target is None or not {*given}.isdisjoint(compared.target.identifiers):
        return given
    return compared.target.identifiers
