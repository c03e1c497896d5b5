"""What consent has to be written into a target, so that nobody who refused at the source is mailable there.

A comparison reads the statements of both accounts, and keeps them on disk. Of each identifier, the statements of both
are merged by `merge_consent`; what counts and is not held by the target with the same effect is missing there. So a
second comparison, after everything was written, finds nothing missing.

The statements come in two parts. Refusals are written, and read back, before contacts are created. Grants come after
the contacts: a vendor that keeps statements about contacts knows by then which addresses are one contact's, and a grant
about one of them is held back by the refusal of another.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum
from itertools import chain, groupby
from operator import itemgetter

from attrs import evolve, frozen

from contacts_core import operations
from contacts_core.errors import InvalidInput, PlanRefused
from contacts_core.models import (
    Channel,
    Consent,
    ConsentState,
    Contact,
    Coverage,
    Identifier,
    Loss,
    LossCode,
    merge_consent,
)
from contacts_core.models.consent import is_in_force, strictest_consent, without_blocks
from contacts_core.plans.comparing.consent_marks import ConsentPlace, consent_place
from contacts_core.plans.planning.accounts import PlanGenerator
from contacts_core.plans.rows import from_row, key_of, to_row
from contacts_core.provider import (
    ConsentFacts,
    CreatesConsentScopes,
    Exports,
    FindsConsent,
    FindsContacts,
    Flow,
    Provider,
    ReadsConsent,
    WritesConsent,
    flows,
    preview_consent,
)
from contacts_core.storage.spool import Spool

__all__ = [
    "Admission",
    "ConsentComparison",
    "ConsentGate",
    "ConsentLoss",
    "ConsentOptions",
    "HeldConsent",
    "MissingConsent",
    "Unsubscribed",
    "consent_gate",
    "missing_consent",
]

SCHEMA = """
    CREATE TABLE statements (n INTEGER PRIMARY KEY, side INTEGER NOT NULL, key TEXT NOT NULL, scope TEXT NOT NULL,
        row NOT NULL);
    CREATE INDEX statements_by_key ON statements (key, side);
    CREATE TABLE missing (n INTEGER PRIMARY KEY, stage INTEGER NOT NULL, key TEXT NOT NULL, row NOT NULL);
    CREATE INDEX missing_by_stage ON missing (stage, n);
    CREATE INDEX missing_by_key ON missing (key);
    CREATE TABLE held (n INTEGER PRIMARY KEY, row NOT NULL);
"""
CHUNK_SIZE = 500  # identifiers compared, or looked up, at once
SAMPLES = 3
CLOCKS_DIFFER_BY = timedelta(days=1)  # at most, between vendors and here
NOT_IN_FORCE = "the source has a refusal of this person that is not in force here, so the contact is left alone"


class Side(IntEnum):
    """Whose statements they are."""

    SOURCE = 0
    TARGET = 1


class Stage(IntEnum):
    """When a statement is written."""

    BEFORE_CONTACTS = 0
    AFTER_CONTACTS = 1
    LEFT_OUT = 2


class Unsubscribed(Enum):
    """What becomes of people who refused everything on a channel, and granted nothing on another.

    Attributes:
        KEEP: They are copied, with their refusal.
        SKIP: They are not copied as contacts. Their refusal is, where the target keeps it without a contact.
    """

    KEEP = "keep"
    SKIP = "skip"


@frozen
class ConsentOptions:
    """How consent is copied.

    Attributes:
        unsubscribed: What becomes of people who refused.
        place: Where consent is kept on the contacts of an account whose vendor keeps none; None for nowhere.
        create_scopes: Whether scopes that the target lacks are created. Otherwise the refusal of such a scope becomes
            the refusal of everything, which is a loss to be accepted.
        accepted: The fields of losses of the code ``NO_CONSENT`` that are accepted, such as ``revoked.sms``, or
            ``revoked`` for all channels.
    """

    unsubscribed: Unsubscribed = Unsubscribed.KEEP
    place: ConsentPlace | None = None
    create_scopes: bool = False
    accepted: Collection[str] = ()

    def accepts(self, loss: Loss) -> bool:
        """Return whether a statement may get lost; never because the vendor refuses an address."""
        if loss.code is not LossCode.NO_CONSENT:
            return False
        return any(loss.field == name or loss.field.startswith(f"{name}.") for name in self.accepted)


@frozen
class MissingConsent:
    """A statement that the target lacks.

    Attributes:
        statement: It, as it is written: with the scope and the coverage that the target has for it.
        shown: What a read shows of it afterwards.
        losses: What the target does not keep of it.
    """

    statement: Consent
    shown: Consent
    losses: tuple[Loss, ...] = ()


@frozen
class HeldConsent:
    """A statement that counts, and that the target cannot hold.

    Attributes:
        statement: It.
        loss: Why: ``NO_CONSENT``, or ``REFUSED`` for an address that the vendor does not take.
    """

    statement: Consent
    loss: Loss

    @property
    def reason(self) -> str:
        """Why whoever refused is left alone."""
        return f"its refusal cannot be kept ({self.loss.code.value} {self.loss.field}: {self.loss.detail})"


@frozen
class ConsentLoss:
    """How often a part of statements gets lost.

    Attributes:
        field: What is lost.
        code: Why.
        detail: More on it, for people.
        count: How many statements lose it.
        samples: Some of them, masked.
        held: Whether whoever made them is left alone, because they are refusals whose loss nobody accepted.
    """

    field: str
    code: LossCode
    detail: str
    count: int
    samples: tuple[str, ...]
    held: bool = False


class Admission(Enum):
    """Whether a contact may be created.

    Attributes:
        NOW: Nobody who has its identifiers refused anything.
        AFTER_CONSENT: Only after its refusals were written and read back.
        WITH_MARK: Only with its refusals on it, if a preview shows them; see `ConsentComparison.marked` and
            `ConsentComparison.unmarked`.
        NEVER: It is not copied.
    """

    NOW = "now"
    AFTER_CONSENT = "after_consent"
    WITH_MARK = "with_mark"
    NEVER = "never"


@frozen
class ConsentGate:
    """Whether a contact may be created at the target, and what has to be there before.

    Attributes:
        admission: Whether it may.
        waits_for: The refusals, as a read of the target must show them before.
        follows: Refusals that are written after the contact was created: where the vendor keeps consent on contacts,
            each of them would make a contact of its own before.
        reason: Why it is not copied; empty if it is.
    """

    admission: Admission
    waits_for: tuple[Consent, ...] = ()
    follows: tuple[Consent, ...] = ()
    reason: str = ""

    def missing(self, found: Iterable[Consent]) -> tuple[Consent, ...]:
        """Return the refusals that the target does not show; empty if the contact may be created.

        Args:
            found: What the target shows now about the identifiers of the contact.
        """
        there = list(found)
        return tuple(each for each in self.waits_for if not is_in_force(each, there, dates=False))


def consent_gate(
    contact: Contact,
    statements: Mapping[Identifier, Sequence[Consent]],
    target: Provider,
    options: ConsentOptions,
    facts: ConsentFacts | None = None,
) -> ConsentGate:
    """Tell whether a contact may be created at the target.

    Args:
        contact: The contact, as the source has it.
        statements: What both accounts say, by identifier.
        target: The provider of the target.
        options: How consent is copied.
        facts: What the target can hold, if more is known than its provider states.
    """
    facts = facts or target_facts(target, options.place)
    counting = merge_consent(each for identifier in _told_about(contact) for each in statements.get(identifier, ()))
    refused = [each for each in counting if each.state is not ConsentState.GRANTED]
    if not refused:
        return ConsentGate(Admission.NOW)
    if options.unsubscribed is Unsubscribed.SKIP and _is_unsubscribed(counting):
        return ConsentGate(Admission.NEVER, reason="consent is revoked, and such people are not copied")
    waits_for: list[Consent] = []
    for statement in refused:
        found = _fitted(statement, facts, target)
        if isinstance(found, MissingConsent):
            waits_for.append(found.shown)
        elif not options.accepts(found.loss):
            return ConsentGate(Admission.NEVER, reason=found.reason)
    if not waits_for:
        return ConsentGate(Admission.NOW)
    if consent_place(target, options.place):
        return ConsentGate(Admission.WITH_MARK, tuple(waits_for))
    if not (isinstance(target, WritesConsent) and target.consent_creates_contacts):
        return ConsentGate(Admission.AFTER_CONSENT, tuple(waits_for))
    order = list(Channel)
    first = min(waits_for, key=lambda each: order.index(each.channel)).identifier
    return ConsentGate(
        Admission.AFTER_CONSENT,
        tuple(each for each in waits_for if each.identifier == first),
        tuple(each for each in waits_for if each.identifier != first),
    )


def target_facts(target: Provider, place: ConsentPlace | None) -> ConsentFacts:
    """Return what a target can hold of statements; nothing if it keeps no consent, and no place is given."""
    if isinstance(target, WritesConsent):
        return ConsentFacts.of(target)
    return place.facts if place else ConsentFacts(target.title or target.name, (), {})


def _told_about(contact: Contact) -> list[Identifier]:
    """What statements about a contact name: its identifiers, or its id where it has none that the channel takes."""
    return [*contact.identifiers, *([Identifier.other("id", contact.id)] if contact.id else [])]


def _is_unsubscribed(counting: Iterable[Consent]) -> bool:
    """Whether somebody refused everything on a channel, and granted nothing on another."""
    whole = [each for each in counting if not each.scope]
    refused = {each.channel for each in whole if each.state is not ConsentState.GRANTED}
    granted = {each.channel for each in whole if each.state is ConsentState.GRANTED}
    return bool(refused) and not granted - refused


def missing_consent(
    source: Iterable[Consent], target: Iterable[Consent], facts: ConsentFacts, provider: Provider | None = None
) -> tuple[list[MissingConsent], list[HeldConsent]]:
    """Compare the statements about some identifiers.

    Args:
        source: What the source says.
        target: What the target says.
        facts: What the target can hold.
        provider: The provider of the target, which may refuse an address.

    Returns:
        What the target lacks, and what it cannot hold.
    """
    there = set(target)
    fitting: dict[tuple[Identifier, Channel, str, Coverage], MissingConsent] = {}
    unheld: list[HeldConsent] = []
    told = [*source, *there]
    refused = (each for each in merge_consent(without_blocks(told)) if each.state is ConsentState.REVOKED)
    for statement in dict.fromkeys([*merge_consent(told), *refused]):  # a later block takes no refusal away
        if statement in there:
            continue
        found = _fitted(statement, facts, provider)
        if isinstance(found, HeldConsent):
            unheld.append(found)
            continue
        known = fitting.get(found.shown.about)
        if known is None or strictest_consent(known.shown, found.shown) is not known.shown:
            fitting[found.shown.about] = found
    missing = [each for each in fitting.values() if not is_in_force(each.shown, there, dates=facts.dates)]
    return missing, unheld


def _fitted(statement: Consent, facts: ConsentFacts, provider: Provider | None) -> MissingConsent | HeldConsent:
    preview = preview_consent(facts, statement)
    if preview.shown is None or preview.written is None:
        return HeldConsent(statement, preview.losses[0])
    if isinstance(provider, WritesConsent) and (reason := provider.cannot_write_consent(preview.written)):
        name = f"{statement.state.value}.{statement.channel.value}"
        return HeldConsent(statement, Loss(name, LossCode.REFUSED, reason))
    return MissingConsent(preview.written, preview.shown, preview.losses)


class ConsentComparison:
    """Compares the consent of a source with that of a target. Run it first; then read what it found."""

    def __init__(self, source: str, target: str, options: ConsentOptions | None = None) -> None:
        """Take the names of the accounts."""
        self._names = {Side.SOURCE: source, Side.TARGET: target}
        self.options = options or ConsentOptions()
        """How consent is copied."""
        self._spool = Spool(SCHEMA)
        self._facts = ConsentFacts(target, (), {})
        self._providers: Mapping[Side, Provider] = {}
        self._target_tells = False
        self.missing_scopes: tuple[str, ...] = ()
        """Scopes that have to be created in the target first, if the options say so."""
        self.untold = ""
        """Why nobody can tell who refused at the source; empty if the source tells it."""

    @property
    def skips_unsubscribed(self) -> bool:
        """Whether people who refused are not copied."""
        return self.options.unsubscribed is Unsubscribed.SKIP

    # -- running

    def run(self, providers: Mapping[str, Provider], *, is_plan: bool = True) -> PlanGenerator[None]:
        """Read both accounts and compare them. Yield the flows that the accounts are to run.

        Args:
            providers: The providers by the names of the accounts.
            is_plan: Whether people are to be written, which is refused if the target keeps no consent at all.

        Raises:
            InvalidInput: The options name a place for consent, and both vendors keep consent.
            PlanRefused: There are refusals, and the target keeps no consent; or the source does not list it.
        """
        source, target = (providers[self._names[side]] for side in Side)
        self._providers = {Side.SOURCE: source, Side.TARGET: target}
        place = self.options.place
        if place and not (consent_place(source, place) or consent_place(target, place)):
            raise InvalidInput(
                "both vendors keep consent, so it needs no field and no tag", hint="leave out where to keep it"
            )
        for side, provider in self._providers.items():
            if isinstance(provider, FindsConsent) and not isinstance(provider, ReadsConsent) and side is Side.SOURCE:
                raise PlanRefused(f"{self._names[side]} does not list its consent, so it cannot be copied")
        yield {self._names[side]: self._read(side) for side in Side}
        self.untold = self._untold(source)
        yield from self._know_scopes(target)
        for identifiers in self._chunks():
            if isinstance(target, FindsConsent) and not isinstance(target, ReadsConsent):
                found = yield {self._names[Side.TARGET]: operations.find_consent(target, identifiers)}
                for said in found[self._names[Side.TARGET]].statements.values():
                    self._take(Side.TARGET, said)
            self._compare(identifiers)
        if is_plan:
            self._refuse_without_consent(target)
        if self.options.unsubscribed is Unsubscribed.SKIP:
            yield from self._leave_out(target)

    def _untold(self, source: Provider) -> str:
        if isinstance(source, ReadsConsent):
            return ""
        if (place := consent_place(source, self.options.place)) is None:
            title = source.title or source.name
            return f"{title} keeps no consent, so whoever refused elsewhere is copied like everybody else"
        if self._spool.one("SELECT 1 FROM statements WHERE side = ? LIMIT 1", Side.SOURCE) is None:
            return f"{place.facts.title} holds none, so nobody is taken for somebody who refused"
        return ""

    def _read(self, side: Side) -> Flow[None]:
        provider = self._providers[side]
        if isinstance(provider, ReadsConsent):
            yield from flows.drain(operations.consent(provider), lambda found: self._take(side, found))
        elif (place := consent_place(provider, self.options.place)) and isinstance(provider, Exports):

            def take(contacts: Sequence[Contact]) -> None:
                self._take(side, [said for contact in contacts for said in place.statements(contact)])

            yield from flows.drain(operations.export(provider, ()), take)

    def _take(self, side: Side, statements: Iterable[Consent]) -> None:
        latest = datetime.now(UTC) + CLOCKS_DIFFER_BY
        told = (_believed(each, latest) for each in statements)
        rows = [(side, key_of(each.identifier), each.scope, to_row(each)) for each in told]
        self._target_tells |= side is Side.TARGET and bool(rows)
        self._spool.write("INSERT INTO statements (side, key, scope, row) VALUES (?, ?, ?, ?)", rows)

    def _know_scopes(self, target: Provider) -> PlanGenerator[None]:
        self._facts = target_facts(target, self.options.place)
        if not isinstance(target, CreatesConsentScopes):
            return
        found = yield {self._names[Side.TARGET]: target.consent_scopes()}
        known = set(found[self._names[Side.TARGET]])
        rows = self._spool.rows("SELECT DISTINCT scope FROM statements WHERE side = ? AND scope != ''", Side.SOURCE)
        if self.options.create_scopes:
            wanted = [scope for (scope,) in rows if operations.can_name_scope(target, scope)]
            self.missing_scopes = tuple(sorted(set(wanted) - known))
        self._facts = evolve(self._facts, known_scopes=known.union(self.missing_scopes))

    def _chunks(self, side: Side = Side.SOURCE) -> Iterator[list[Identifier]]:
        """Yield the identifiers that a side tells of."""
        last = ""
        query = "SELECT key, min(row) FROM statements WHERE side = ? AND key > ? GROUP BY key ORDER BY key LIMIT ?"
        while page := self._spool.rows(query, side, last, CHUNK_SIZE):
            last = page[-1][0]
            yield [from_row(row, Consent).identifier for _, row in page]

    def _statements(self, identifiers: Iterable[Identifier]) -> Iterator[tuple[str, dict[Side, list[Consent]]]]:
        keys = json.dumps([key_of(each) for each in identifiers])
        query = "SELECT key, side, row FROM statements WHERE key IN (SELECT value FROM json_each(?)) ORDER BY key, n"
        rows = self._spool.rows(query, keys)
        for key, of_key in groupby(rows, itemgetter(0)):
            sides: dict[Side, list[Consent]] = {side: [] for side in Side}
            for _, side, row in of_key:
                sides[Side(side)].append(from_row(row, Consent))
            yield key, sides

    def _compare(self, identifiers: Sequence[Identifier]) -> None:
        target = self._providers[Side.TARGET]
        found: list[tuple[int, str, bytes | str]] = []
        held: list[tuple[bytes | str]] = []
        for key, sides in self._statements(identifiers):
            missing, unheld = missing_consent(sides[Side.SOURCE], sides[Side.TARGET], self._facts, target)
            held += [(to_row(each),) for each in unheld]
            found += [(_stage(each), key, to_row(each)) for each in missing]
        self._spool.write("INSERT INTO missing (stage, key, row) VALUES (?, ?, ?)", found)
        self._spool.write("INSERT INTO held (row) VALUES (?)", held)

    def _refuse_without_consent(self, target: Provider) -> None:
        if self._facts.states or self.options.unsubscribed is Unsubscribed.SKIP:
            return
        refusals = sum(each.statement.state is not ConsentState.GRANTED for each in self.held())
        if refusals:
            raise PlanRefused(
                f"{self._names[Side.SOURCE]} has {refusals} refusal(s), and {target.title or target.name} keeps no "
                "consent, so these people would be written to there",
                hint="keep consent in a custom field or a tag (field:NAME or tag:NAME), or do not copy these people",
            )

    def _leave_out(self, target: Provider) -> PlanGenerator[None]:
        """Leave out refusals that would make a contact of somebody who is not to be copied."""
        if not (isinstance(target, WritesConsent) and target.consent_creates_contacts):
            return
        if not isinstance(target, FindsContacts):
            return
        name = self._names[Side.TARGET]
        for part in flows.chunks(self._identifiers_of(Stage.BEFORE_CONTACTS), CHUNK_SIZE):
            found = yield {name: operations.find(target, part)}
            absent = [each for each in part if each in found[name].matches and not found[name].matches[each]]
            self._move(absent, Stage.BEFORE_CONTACTS, Stage.LEFT_OUT)

    def _identifiers_of(self, stage: Stage) -> Iterator[Identifier]:
        last = ""
        query = "SELECT key, min(row) FROM missing WHERE stage = ? AND key > ? GROUP BY key ORDER BY key LIMIT ?"
        while page := self._spool.rows(query, stage, last, CHUNK_SIZE):
            last = page[-1][0]
            yield from [from_row(row, MissingConsent).statement.identifier for _, row in page]

    def _move(self, identifiers: Iterable[Identifier], before: Stage, after: Stage) -> None:
        keys = json.dumps([key_of(each) for each in identifiers])
        query = "UPDATE missing SET stage = ? WHERE stage = ? AND key IN (SELECT value FROM json_each(?))"
        self._spool.write(query, [(after, before, keys)])

    # -- what was found

    def before_contacts(self) -> Iterator[MissingConsent]:
        """Yield what is written, and read back, before contacts are created: refusals."""
        return self._missing(Stage.BEFORE_CONTACTS)

    def after_contacts(self) -> Iterator[MissingConsent]:
        """Yield what is written after contacts were created: grants, and what gates say follows."""
        return self._missing(Stage.AFTER_CONTACTS)

    def left_out(self) -> Iterator[MissingConsent]:
        """Yield refusals of people who are not copied, where they would make a contact of them."""
        return self._missing(Stage.LEFT_OUT)

    def _missing(self, stage: Stage) -> Iterator[MissingConsent]:
        query = "SELECT n, row FROM missing WHERE stage = ? AND n > ? ORDER BY n LIMIT ?"
        return (from_row(row, MissingConsent) for (row,) in self._spool.each(query, stage))

    def held(self) -> Iterator[HeldConsent]:
        """Yield what counts and cannot be held by the target."""
        rows = self._spool.each("SELECT n, row FROM held WHERE n > ? ORDER BY n LIMIT ?")
        return (from_row(row, HeldConsent) for (row,) in rows)

    def _refusals(self, *, accepted: bool) -> Iterator[HeldConsent]:
        for each in self.held():
            if each.statement.state is not ConsentState.GRANTED and self.options.accepts(each.loss) is accepted:
                yield each

    def unkept_refusals(self) -> Iterator[HeldConsent]:
        """Yield refusals that the target cannot keep, and whose loss nobody accepted: these people are left alone."""
        return self._refusals(accepted=False)

    def accepted_losses(self) -> tuple[str, ...]:
        """Return the fields of refusals that really get lost, of those whose loss was accepted."""
        return tuple(sorted({each.loss.field for each in self._refusals(accepted=True)}))

    def losses(self) -> tuple[ConsentLoss, ...]:
        """Count what gets lost, the most frequent loss first."""
        found: dict[tuple[str, LossCode, str, bool], tuple[int, tuple[str, ...]]] = {}

        def count(statement: Consent, loss: Loss, *, held: bool = False) -> None:
            key = (loss.field, loss.code, loss.detail, held)
            number, samples = found.get(key, (0, ()))
            found[key] = (number + 1, samples if len(samples) == SAMPLES else (*samples, _sample(statement)))

        for each in chain(self.before_contacts(), self.after_contacts()):
            for loss in each.losses:
                count(each.statement, loss)
        for unheld in self.held():
            refused = unheld.statement.state is not ConsentState.GRANTED
            count(unheld.statement, unheld.loss, held=refused and not self.options.accepts(unheld.loss))
        counted = [ConsentLoss(field, code, detail, *told, held) for (field, code, detail, held), told in found.items()]
        return tuple(sorted(counted, key=lambda each: (-each.count, each.field, each.code.value)))

    def standing_refusals(self, identifiers: Iterable[Identifier]) -> Iterator[tuple[Consent, ...]]:
        """Yield what the target has of refusals about each of these identifiers; writing a contact must not end them.

        A block is none: it ends by itself.
        """
        if not self._target_tells:
            return
        for _, sides in self._statements(identifiers):
            counting = merge_consent(without_blocks(sides[Side.TARGET]))
            if refused := tuple(each for each in counting if each.state is not ConsentState.GRANTED):
                yield refused

    def refused_only_in_target(self) -> Iterator[Consent]:
        """Yield refusals of the target by people who refused nothing on that channel at the source."""
        for identifiers in self._chunks(Side.TARGET):
            for _, sides in self._statements(identifiers):
                said = {
                    each.channel for each in merge_consent(sides[Side.SOURCE]) if each.state is not ConsentState.GRANTED
                }
                counting = merge_consent(sides[Side.TARGET])
                yield from (
                    each for each in counting if each.state is not ConsentState.GRANTED and each.channel not in said
                )

    def statements_about(self, contact: Contact) -> dict[Identifier, tuple[Consent, ...]]:
        """Return what both accounts say about the identifiers of a contact, as far as it was read."""
        names = {key_of(each): each for each in _told_about(contact)}
        found = self._statements(names.values())
        return {names[key]: (*sides[Side.SOURCE], *sides[Side.TARGET]) for key, sides in found}

    def _gate(self, contact: Contact) -> ConsentGate:
        statements = self.statements_about(contact)
        return consent_gate(contact, statements, self._providers[Side.TARGET], self.options, self._facts)

    def gate(self, contact: Contact) -> ConsentGate:
        """Tell whether a contact may be created, and have the refusals written that it waits for.

        Call it for each contact before `before_contacts` is read.
        """
        found = self._gate(contact)
        waiting, following = ([each.identifier for each in part] for part in (found.waits_for, found.follows))
        self._move(waiting, Stage.LEFT_OUT, Stage.BEFORE_CONTACTS)
        for stage in (Stage.BEFORE_CONTACTS, Stage.LEFT_OUT):
            self._move(following, stage, Stage.AFTER_CONTACTS)
        return found

    def marked_gate(self, gate: ConsentGate, written: Contact) -> ConsentGate:
        """Return the gate of a contact, given what is written of it: a mark may be among what the target drops."""
        place = consent_place(self._providers[Side.TARGET], self.options.place)
        if place is None or not self.unmarked(gate, written):
            return gate
        return ConsentGate(Admission.NEVER, reason=f"its refusal cannot be kept: the target drops {place.facts.title}")

    def refuses(self, contact: Contact) -> bool:
        """Tell whether a contact has refused something that the target can hold, by what both accounts say."""
        gate = self._gate(contact)
        return bool(gate.waits_for or gate.follows)

    def refusal(self, contact: Contact, written: Contact, promised: Iterable[Consent]) -> str:
        """Tell why a contact must not be written now; empty if nothing that was read speaks against it.

        Every refusal that counts has to be in force at the target, on the contact as it is written, or promised.

        Args:
            contact: The contact, with the id and the identifiers that statements of the source may name.
            written: What is to be written.
            promised: Statements that are written after it; only those that a gate lets follow count.
        """
        gate = self._gate(contact)
        if gate.admission is Admission.NEVER:
            return gate.reason
        there = [each for _, sides in self._statements(_told_about(contact)) for each in sides[Side.TARGET]]
        if place := consent_place(self._providers[Side.TARGET], self.options.place):
            there += place.statements(written)
        if gate.missing(there):
            return NOT_IN_FORCE
        following = ConsentGate(gate.admission, gate.follows)
        return NOT_IN_FORCE if following.missing([*there, *promised]) else ""

    def is_granted(self, statement: Consent) -> bool:
        """Tell whether a grant still counts, by what both accounts say now, and is not in the target yet."""
        query = "SELECT n, row FROM missing WHERE key = ? AND stage != ?"
        rows = self._spool.rows(query, key_of(statement.identifier), Stage.LEFT_OUT)
        now = [from_row(row, MissingConsent).statement for _, row in rows]
        return any((each.about, each.state) == (statement.about, statement.state) for each in now)

    def marked(self, contact: Contact) -> Contact:
        """Return a contact with its consent on it, if that is where the target keeps it.

        Raises:
            InvalidInput: The field holds something else.
        """
        place = consent_place(self._providers[Side.TARGET], self.options.place)
        if place is None:
            return contact
        said = self.statements_about(contact)
        return place.marked(contact, merge_consent(each for of_one in said.values() for each in of_one))

    def unmarked(self, gate: ConsentGate, shown: Contact | None) -> tuple[Consent, ...]:
        """Return the refusals that a marked contact would not carry at the target; then it must not be created.

        Args:
            gate: The gate of the contact.
            shown: What a preview, or a read, shows of the marked contact; None if it is not written.

        Raises:
            InvalidInput: The field holds something else.
        """
        place = consent_place(self._providers[Side.TARGET], self.options.place)
        return gate.missing(place.statements(shown) if place and shown else ())


def _believed(statement: Consent, latest: datetime) -> Consent:
    """Return a statement; a grant from the future without its date, which would beat every refusal until then."""
    from_future = statement.at is not None and statement.at > latest
    return evolve(statement, at=None) if from_future and statement.state is ConsentState.GRANTED else statement


def _stage(found: MissingConsent) -> Stage:
    granted = found.statement.state is ConsentState.GRANTED
    return Stage.AFTER_CONTACTS if granted else Stage.BEFORE_CONTACTS


def _sample(statement: Consent) -> str:
    reason = statement.reason.value if statement.reason else ""
    day = statement.at.date().isoformat() if statement.at else ""
    words = filter(None, (statement.channel.value, statement.state.value, reason, statement.scope, day))
    return f"{statement.identifier.masked}: {' '.join(words)}"
