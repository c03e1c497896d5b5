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
from enum import Enum, IntEnum
from itertools import groupby
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
from contacts_core.plans.comparing.consent_marks import ConsentPlace
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
        """Return whether a statement may get lost."""
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


@frozen
class ConsentLoss:
    """How often a part of statements gets lost.

    Attributes:
        field: What is lost.
        code: Why.
        detail: More on it, for people.
        count: How many statements lose it.
        samples: Some of them, masked.
    """

    field: str
    code: LossCode
    detail: str
    count: int
    samples: tuple[str, ...]


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
            detail = f"{found.loss.code.value} {found.loss.field}: {found.loss.detail}"
            return ConsentGate(Admission.NEVER, reason=f"its refusal cannot be kept ({detail})")
    if not waits_for:
        return ConsentGate(Admission.NOW)
    if _place(target, options.place):
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


def _place(provider: Provider, place: ConsentPlace | None) -> ConsentPlace | None:
    """Return where an account keeps consent on its contacts; None if its vendor keeps consent."""
    return None if isinstance(provider, ReadsConsent | FindsConsent | WritesConsent) else place


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
        self._options = options or ConsentOptions()
        self._spool = Spool(SCHEMA)
        self._facts = ConsentFacts(target, (), {})
        self._providers: Mapping[Side, Provider] = {}
        self.missing_scopes: tuple[str, ...] = ()
        """Scopes that have to be created in the target first, if the options say so."""
        self.source_tells_consent = False
        """Whether the source keeps consent; otherwise nobody can tell who refused there."""

    @property
    def skips_unsubscribed(self) -> bool:
        """Whether people who refused are not copied."""
        return self._options.unsubscribed is Unsubscribed.SKIP

    # -- running

    def run(self, providers: Mapping[str, Provider]) -> PlanGenerator[None]:
        """Read both accounts and compare them. Yield the flows that the accounts are to run.

        Args:
            providers: The providers by the names of the accounts.

        Raises:
            InvalidInput: The options name a place for consent, and both vendors keep consent.
            PlanRefused: There are refusals, and the target keeps no consent; or the source does not list it.
        """
        source, target = (providers[self._names[side]] for side in Side)
        self._providers = {Side.SOURCE: source, Side.TARGET: target}
        place = self._options.place
        if place and not (_place(source, place) or _place(target, place)):
            raise InvalidInput(
                "both vendors keep consent, so it needs no field and no tag", hint="leave out where to keep it"
            )
        for side, provider in self._providers.items():
            if isinstance(provider, FindsConsent) and not isinstance(provider, ReadsConsent) and side is Side.SOURCE:
                raise PlanRefused(f"{self._names[side]} does not list its consent, so it cannot be copied")
        self.source_tells_consent = isinstance(source, ReadsConsent) or bool(_place(source, place))
        yield {self._names[side]: self._read(side) for side in Side}
        yield from self._know_scopes(target)
        for identifiers in self._chunks():
            if isinstance(target, FindsConsent) and not isinstance(target, ReadsConsent):
                found = yield {self._names[Side.TARGET]: operations.find_consent(target, identifiers)}
                for said in found[self._names[Side.TARGET]].statements.values():
                    self._take(Side.TARGET, said)
            self._compare(identifiers)
        self._refuse_without_consent(target)
        if self._options.unsubscribed is Unsubscribed.SKIP:
            yield from self._leave_out(target)

    def _read(self, side: Side) -> Flow[None]:
        provider = self._providers[side]
        if isinstance(provider, ReadsConsent):
            yield from flows.drain(operations.consent(provider), lambda found: self._take(side, found))
        elif (place := _place(provider, self._options.place)) and isinstance(provider, Exports):

            def take(contacts: Sequence[Contact]) -> None:
                self._take(side, [said for contact in contacts for said in place.statements(contact)])

            yield from flows.drain(operations.export(provider, ()), take)

    def _take(self, side: Side, statements: Iterable[Consent]) -> None:
        rows = [(side, key_of(each.identifier), each.scope, to_row(each)) for each in statements]
        self._spool.write("INSERT INTO statements (side, key, scope, row) VALUES (?, ?, ?, ?)", rows)

    def _know_scopes(self, target: Provider) -> PlanGenerator[None]:
        self._facts = target_facts(target, self._options.place)
        if not isinstance(target, CreatesConsentScopes):
            return
        found = yield {self._names[Side.TARGET]: target.consent_scopes()}
        known = set(found[self._names[Side.TARGET]])
        rows = self._spool.rows("SELECT DISTINCT scope FROM statements WHERE side = ? AND scope != ''", Side.SOURCE)
        if self._options.create_scopes:
            wanted = [scope for (scope,) in rows if operations.can_name_scope(target, scope)]
            self.missing_scopes = tuple(sorted(set(wanted) - known))
        self._facts = evolve(self._facts, known_scopes=known.union(self.missing_scopes))

    def _chunks(self) -> Iterator[list[Identifier]]:
        """Yield the identifiers that the source tells of."""
        last = ""
        query = "SELECT key, min(row) FROM statements WHERE side = ? AND key > ? GROUP BY key ORDER BY key LIMIT ?"
        while page := self._spool.rows(query, Side.SOURCE, last, CHUNK_SIZE):
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
        if self._facts.states or self._options.unsubscribed is Unsubscribed.SKIP:
            return
        refusals = sum(each.statement.state is not ConsentState.GRANTED for each in self.held())
        if refusals:
            raise PlanRefused(
                f"{self._names[Side.SOURCE]} has {refusals} refusal(s), and {target.title or target.name} keeps no "
                "consent, so these people would be written to there",
                hint="keep consent in a custom field or a tag (--consent-in field:NAME or tag:NAME), "
                "or do not copy these people (--unsubscribed skip)",
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

    def losses(self) -> tuple[ConsentLoss, ...]:
        """Count what gets lost, the most frequent loss first."""
        found: dict[tuple[str, LossCode, str], tuple[int, tuple[str, ...]]] = {}

        def count(statement: Consent, loss: Loss) -> None:
            key = (loss.field, loss.code, loss.detail)
            number, samples = found.get(key, (0, ()))
            found[key] = (number + 1, samples if len(samples) == SAMPLES else (*samples, _sample(statement)))

        for each in self.before_contacts():
            for loss in each.losses:
                count(each.statement, loss)
        for each in self.after_contacts():
            for loss in each.losses:
                count(each.statement, loss)
        for held in self.held():
            count(held.statement, held.loss)
        counted = [ConsentLoss(*key, number, samples) for key, (number, samples) in found.items()]
        return tuple(sorted(counted, key=lambda each: (-each.count, each.field, each.code.value)))

    def statements_about(self, contact: Contact) -> dict[Identifier, tuple[Consent, ...]]:
        """Return what both accounts say about the identifiers of a contact, as far as it was read."""
        names = {key_of(each): each for each in _told_about(contact)}
        found = self._statements(names.values())
        return {names[key]: (*sides[Side.SOURCE], *sides[Side.TARGET]) for key, sides in found}

    def _gate(self, contact: Contact) -> ConsentGate:
        statements = self.statements_about(contact)
        return consent_gate(contact, statements, self._providers[Side.TARGET], self._options, self._facts)

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
        place = _place(self._providers[Side.TARGET], self._options.place)
        if place is None or not self.unmarked(gate, written):
            return gate
        return ConsentGate(Admission.NEVER, reason=f"its refusal cannot be kept: the target drops {place.facts.title}")

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
        if place := _place(self._providers[Side.TARGET], self._options.place):
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
        place = _place(self._providers[Side.TARGET], self._options.place)
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
        place = _place(self._providers[Side.TARGET], self._options.place)
        return gate.missing(place.statements(shown) if place and shown else ())


def _stage(found: MissingConsent) -> Stage:
    granted = found.statement.state is ConsentState.GRANTED
    return Stage.AFTER_CONTACTS if granted else Stage.BEFORE_CONTACTS


def _sample(statement: Consent) -> str:
    reason = statement.reason.value if statement.reason else ""
    day = statement.at.date().isoformat() if statement.at else ""
    words = filter(None, (statement.channel.value, statement.state.value, reason, statement.scope, day))
    return f"{statement.identifier.masked}: {' '.join(words)}"
