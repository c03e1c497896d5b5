"""The people, the changes and what is left alone of a plan that writes contacts, in the order of its stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from attrs import evolve

from contacts_core.models import ConsentState, Contact, Identifier
from contacts_core.operations.losses import CONSENT, LossRow
from contacts_core.plans.change import Change, DataSubject, Held
from contacts_core.plans.change_operations.account import (
    confirmation,
    consent_change,
    field_change,
    list_change,
    scope_change,
)
from contacts_core.plans.change_operations.upsert import UpsertContacts
from contacts_core.plans.comparing.comparison import Comparison
from contacts_core.plans.comparing.consent import Admission, ConsentComparison, MissingConsent
from contacts_core.plans.comparing.consent_marks import WITHOUT_CONTACT
from contacts_core.plans.comparing.model import Compared, ComparisonStatus
from contacts_core.plans.payload import packed
from contacts_core.plans.rows import PlanRows, key_of
from contacts_core.provider import Provider, WritesConsent
from contacts_core.storage.spool import Spool

__all__ = ["TransferRows"]

MOST_SAMPLES = 3
NEEDED = "what is copied needs it"
WRITTEN = (ComparisonStatus.MISSING, ComparisonStatus.DIFFERENT)
LEFT_ALONE = {ComparisonStatus.HELD: "held", ComparisonStatus.REFUSED: "the vendor would refuse it"}
OWNERS = """
    CREATE TABLE owners (key TEXT PRIMARY KEY, person INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE left_alone (key TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class TransferRows:
    """What a plan consists of. `fill` it once; then read it.

    First it is decided whose contacts are written. Then come the changes, stage by stage: what contacts need, what
    people refused, the contacts, what people granted. At last come those who are left alone.

    Attributes:
        rows: The people, the changes and who is left alone.
        stages: The operation of each stage, and the number of its changes.
        written: How many contacts are created or updated, also by statements of consent.
        updated: How many of them exist.
    """

    def __init__(self, comparison: Comparison, consent: ConsentComparison | None, target: Provider) -> None:
        """Take what was found.

        Args:
            comparison: The contacts.
            consent: What people said; None if it is not copied.
            target: The provider of the target. If it keeps no consent by itself, that stands on the contacts.
        """
        self.rows = PlanRows()
        self.stages: list[tuple[str, int]] = []
        self.written = self.updated = 0
        self._comparison, self._consent = comparison, consent
        self._writes_consent = isinstance(target, WritesConsent)
        self._consent_creates = isinstance(target, WritesConsent) and target.consent_creates_contacts
        self._people = _People(self.rows)
        self._never = bytearray(len(comparison) + 1)  # contacts that must not be written, by their number
        self._fields, self._lists = set[str](), set[str]()  # what is used by contacts that are written

    def fill(self) -> None:
        """Write everything down."""
        for compared in self._comparison.rows(*WRITTEN):
            self._admit(compared)
        for changes in self._changes():
            self._add_stage(changes)
        for compared in self._comparison.rows(*LEFT_ALONE):
            self._leave_alone(compared, compared.reason or LEFT_ALONE[compared.status])
        self._leave_unkept_alone()
        self.rows.flush()

    # -- who is written

    def _admit(self, compared: Compared) -> None:
        """Number the person of a contact that is written; leave it alone if its consent does not allow it."""
        assert compared.written is not None
        if reason := self._objection(compared, compared.written):
            self._never[compared.number] = True
            self._leave_alone(compared, reason)
            return
        self._fields |= compared.written.custom.keys()
        self._lists.update(compared.written.lists or ())
        self.written += 1
        self.updated += compared.target is not None
        identifiers = _known_as(compared, compared.written)
        self._people.add(identifiers, {*identifiers, *compared.source.identifiers, *compared.written.identifiers})

    def _objection(self, compared: Compared, written: Contact) -> str:
        """Return why a contact must not be written; empty if it may."""
        if self._consent is None:
            return ""
        gate = self._consent.gate(compared.source)
        if not gate.reason:
            gate = self._consent.marked_gate(gate, written)
        return gate.reason if gate.admission is Admission.NEVER else ""

    def _admitted(self) -> Iterator[tuple[int, Compared, Contact]]:
        """Yield the contacts that are written, each after the number of its person."""
        admitted = (each for each in self._comparison.rows(*WRITTEN) if not self._never[each.number])
        for person, compared in enumerate(admitted, 1):
            assert compared.written is not None
            yield person, compared, compared.written

    # -- the stages

    def _changes(self) -> Iterator[Iterable[Change]]:
        """Yield the changes of each stage."""
        comparison, consent = self._comparison, self._consent
        yield (field_change(each, NEEDED) for each in comparison.new_fields if each.name in self._fields)
        yield (list_change(each, NEEDED) for each in comparison.new_lists if each in self._lists)
        if consent:
            yield (scope_change(each, NEEDED) for each in consent.missing_scopes)
        if consent and self._writes_consent:
            yield self._statements(consent.before_contacts(), "it was refused")
            yield self._confirmations(consent)
        yield (_contact_change(*each) for each in self._admitted())
        if consent and self._writes_consent:
            yield self._statements(consent.after_contacts(), "the source says so")

    def _add_stage(self, changes: Iterable[Change]) -> None:
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
            person = self._people.owner(identifier)
            if person is None:
                person = self._people.add((identifier,), [identifier])
                self.written += self._consent_creates  # a contact that is only refused
            accept = dict.fromkeys(f"{loss.code.value}:{loss.field}" for each in found for loss in each.losses)
            yield consent_change([each.statement for each in found], [person], reason, [*accept])

    def _confirmations(self, consent: ConsentComparison) -> Iterator[Change]:
        """Yield the changes that check whether refusals of the target outlast the writing of their contacts."""
        for person, compared, written in self._admitted():
            known = [*written.identifiers, *(compared.target.identifiers if compared.target else ())]
            for refused in consent.standing_refusals(dict.fromkeys(known)):
                yield confirmation(refused, [person], "it is refused there, and must stay so")

    # -- who is left alone

    def _leave_alone(self, compared: Compared, reason: str) -> None:
        self.rows.add_held(0, Held(compared.source.identifiers, reason, compared.old_id))
        self._people.leave_alone(compared.source.identifiers)

    def _leave_unkept_alone(self) -> None:
        """Name everybody whose refusal the target cannot keep, also those of whom no contact would be written."""
        for held in self._consent.unkept_refusals() if self._consent else ():
            identifier = held.statement.identifier
            if not self._people.is_left_alone(identifier):
                self.rows.add_held(0, Held((identifier,), held.reason))
                self._people.leave_alone([identifier])

    # -- what of consent gets lost

    def consent_losses(self) -> list[LossRow]:
        """Return what of the statements of consent gets lost, after everything was written down."""
        if self._consent is None:
            return []
        found = [
            LossRow(CONSENT, each.field, each.code, each.detail, each.count, list(each.samples), each.held)
            for each in self._consent.losses()
        ]
        return found if self._writes_consent else [*found, *self._without_contact(self._consent)]

    def _without_contact(self, consent: ConsentComparison) -> Iterator[LossRow]:
        """Yield the loss of refusals by people who are not written, where consent is kept on contacts only."""
        if consent.skips_unsubscribed:
            return
        loss = LossRow(CONSENT, WITHOUT_CONTACT.field, WITHOUT_CONTACT.code, WITHOUT_CONTACT.detail)
        for each in consent.before_contacts():
            if self._people.owner(each.statement.identifier) is None:
                loss.count += 1
                loss.samples += [each.statement.identifier.masked] if len(loss.samples) < MOST_SAMPLES else []
        if loss.count:
            yield loss


class _People:
    """The people of a plan, by number and by identifier."""

    def __init__(self, rows: PlanRows) -> None:
        self._rows, self._count = rows, 0
        self._spool = Spool(OWNERS)

    def add(self, identifiers: tuple[Identifier, ...], known_by: Iterable[Identifier]) -> int:
        """Add a person, and return their number."""
        self._count += 1
        self._rows.add_person(DataSubject(self._count, identifiers))
        rows = [(key_of(each), self._count) for each in known_by]
        self._spool.write("INSERT OR IGNORE INTO owners VALUES (?, ?)", rows)
        return self._count

    def owner(self, identifier: Identifier) -> int | None:
        """Return whose identifier it is; None if nobody's of the plan."""
        found = self._spool.one("SELECT person FROM owners WHERE key = ?", key_of(identifier))
        return int(found[0]) if found else None

    def leave_alone(self, identifiers: Iterable[Identifier]) -> None:
        """Note whose identifiers the plan names as left alone."""
        self._spool.write("INSERT OR IGNORE INTO left_alone VALUES (?)", [(key_of(each),) for each in identifiers])

    def is_left_alone(self, identifier: Identifier) -> bool:
        """Return whether that is noted of an identifier."""
        return self._spool.one("SELECT 1 FROM left_alone WHERE key = ?", key_of(identifier)) is not None


def _contact_change(person: int, compared: Compared, written: Contact) -> Change:
    """Return the change that writes a contact."""
    target = compared.target
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
