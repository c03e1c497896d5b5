"""The comparison of a source with a target: what the target lacks, what differs, what cannot be told.

It is one generator that yields the flow which each account is to run next, as those of plans do; every flow only reads.
Contacts, matches and results are rows of an unnamed database on disk, so memory does not grow with their number.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

from attrs import evolve

from contacts_core.models import Contact, Identifier, Loss, LossCode, Preview, differences
from contacts_core.models.losses import WHOLE, flattened, identifier_field
from contacts_core.operations.losses import AcceptedLosses, LossTable, accepts
from contacts_core.operations.previewing import fit
from contacts_core.plans.comparing.consent_check import ConsentCheck
from contacts_core.plans.comparing.matching import Hold
from contacts_core.plans.comparing.model import Compared, ComparisonRequest, ComparisonStatus
from contacts_core.plans.comparing.old_ids import old_id, with_old_id, without_own_id
from contacts_core.plans.comparing.reading import CHUNK_SIZE, SCHEMA, Reading
from contacts_core.plans.comparing.stored import contact_row, stored_contact
from contacts_core.plans.identity import as_update_of
from contacts_core.plans.planning.accounts import PlanGenerator
from contacts_core.provider import Blocking, Flow, Provider

__all__ = ["Comparison", "compare"]

NO_ROOM = "the contact that is there has as many of this kind as the vendor keeps"

RESULTS = """
    CREATE TABLE results (n INTEGER PRIMARY KEY, status TEXT NOT NULL, target INTEGER, written, shown,
        losses TEXT NOT NULL, differences TEXT NOT NULL, reason TEXT NOT NULL);
"""


class Comparison:
    """The contacts of a source, compared with those of a target. It is on disk, as long as it is used.

    Attributes:
        source: The name of the source's account; empty if the source is no account.
        target: The name of the target's account.
        shape: What the target has room for, with the lists and fields that are still to be created.
        new_lists: Names of lists that are still to be created. In contacts to be written, their id is their name.
        new_fields: Custom fields that are still to be created.
        counts: How many contacts of the source there are, by status.
        differing_fields: How many contacts differ in each field.
        holds: How many contacts are held, by reason.
        losses: What contacts lose that are neither held nor lost themselves.
        only_in_target: How many contacts of the target share no identifier with the source; None if the target was
            not read completely.
        consent: What both accounts say about consent, compared; None if that was not compared, because the source is no
            account, or keeps no consent.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        """Take what was found."""
        reading, self._evaluation = evaluation.reading, evaluation
        self.source = reading.request.source if isinstance(reading.request.source, str) else ""
        self.target = reading.request.target
        self.shape = reading.shape
        self.new_lists = tuple(reading.lists.new)
        self.new_fields = reading.new_fields
        self.counts: Mapping[ComparisonStatus, int] = {each: evaluation.counts[each] for each in ComparisonStatus}
        self.differing_fields: Mapping[str, int] = dict(evaluation.differing_fields.most_common())
        self.holds: Mapping[Hold, int] = dict(evaluation.holds.most_common())
        self.losses = evaluation.losses
        self.only_in_target = reading.only_in_target()
        self.consent: ConsentCheck | None = None

    def __len__(self) -> int:
        """Return how many contacts of the source were compared."""
        return sum(self.counts.values())

    def is_complete(self, accepted: AcceptedLosses = ()) -> bool:
        """Return whether the target has everything that the source has, as far as it can hold it.

        Args:
            accepted: Losses that are accepted; contacts that the target would refuse, and refusals that it cannot hold,
                count as missing without them.
        """
        if self.consent is not None and not self.consent.is_complete(accepted):
            return False
        refused = self.counts[ComparisonStatus.REFUSED]
        known = {ComparisonStatus.EQUAL, ComparisonStatus.REFUSED}
        return not any(number for status, number in self.counts.items() if status not in known) and (
            not refused or accepts(accepted, LossCode.REFUSED, WHOLE)
        )

    def rows(self, *statuses: ComparisonStatus) -> Iterator[Compared]:
        """Iterate over the contacts of the source with one of these statuses, or over all, in their order."""
        return self._evaluation.rows(statuses)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Iterate over the ids of the contacts that match: in the source, where they have one, and in the target."""
        return self._evaluation.reading.pairs()

    def has_contact(self, identifier: Identifier) -> bool:
        """Return whether a contact of either side has an identifier, as far as they were read."""
        return self._evaluation.reading.is_taken(identifier)

    def contacts_only_in_target(self) -> Iterator[Contact]:
        """Iterate over the contacts of the target that share no identifier with the source.

        Raises:
            ValueError: The target was not read completely.
        """
        if self.only_in_target is None:
            raise ValueError("the target was not read completely")
        return self._evaluation.reading.contacts_only_in_target()

    def __repr__(self) -> str:
        """Show only numbers, because the rest is personal data."""
        told = ", ".join(f"{number} {status.value}" for status, number in self.counts.items() if number)
        return f"<Comparison of {self.source or 'contacts'} with {self.target}: {told or 'nothing'}>"


def compare(request: ComparisonRequest, providers: Mapping[str, Provider]) -> PlanGenerator[Comparison]:
    """Compare a source with a target. Yield the flows that the accounts are to run, and return the comparison.

    Args:
        request: What to compare.
        providers: Those of the accounts that the request names, by name.

    Raises:
        InvalidInput: The source is no account and holds something else than contacts.
        UnsupportedOperation: The source cannot be read, or the target can be neither read nor written.
        PlanRefused: An account was not read completely, or its answers prove nothing.
    """
    reading = Reading(request, providers, SCHEMA + RESULTS)
    yield from reading.read_shapes()
    yield from reading.read_contacts()
    yield from reading.read_members()
    evaluation = Evaluation(reading)
    yield {request.target: evaluation.run()}
    return Comparison(evaluation)


class Evaluation:
    """The comparison of what was read, contact by contact.

    Attributes:
        reading: What was read.
        counts: How many contacts have each status.
        differing_fields: How many contacts differ in each field.
        holds: How many contacts are held for each reason.
        losses: What contacts lose.
    """

    def __init__(self, reading: Reading) -> None:
        """Begin with nothing compared."""
        self.reading, self._spool = reading, reading.spool
        self.counts: Counter[ComparisonStatus] = Counter()
        self.differing_fields: Counter[str] = Counter()
        self.holds: Counter[Hold] = Counter()
        self.losses = LossTable()

    def run(self) -> Flow[None]:
        """Compare all contacts, some at a time, for it may take a while."""
        yield from Blocking(self.reading.settle)
        for first in range(0, self.reading.count, CHUNK_SIZE):
            yield from Blocking(partial(self._compare, first, first + CHUNK_SIZE))
        yield from Blocking(partial(self._spool.write, "CREATE INDEX results_by_status ON results (status, n)", [()]))

    def _compare(self, first: int, end: int) -> None:
        rows = [self._result(*each) for each in self.reading.source_contacts(first, end)]
        self._spool.write("INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self.reading.tell(min(end, self.reading.count), end - first, "contacts compared")

    def _result(self, n: int, contact: Contact, refusal: str) -> tuple[object, ...]:
        match = self.reading.match(n, contact)
        target = None if match.target is None else self.reading.target_contact(match.target)
        given = contact if target is None else without_own_id(contact, target.id)
        old = old_id(contact) if self.reading.keeps_old_ids and target is None and match.hold is None else None
        mapped, preview = self._previewed(given, refusal, old)
        if target is not None:
            preview = self._beside(target, preview)
        names: list[str] = []
        if preview.shown is None:
            status, reason = ComparisonStatus.REFUSED, preview.refusal
        elif match.hold is not None:
            status, reason = ComparisonStatus.HELD, match.reason
            self.holds[match.hold] += 1
        elif target is None:
            status, reason = ComparisonStatus.MISSING, ""
        else:
            promised = preview.shown_of_existing or preview.shown
            names = sorted(_differing(mapped, promised, target))
            status, reason = ComparisonStatus.DIFFERENT if names else ComparisonStatus.EQUAL, ""
            self.differing_fields.update(names)
        self.counts[status] += 1
        if status is not ComparisonStatus.HELD:
            self.losses.add_contact(mapped, preview.losses)
        written, shown = preview.written, preview.shown
        return (
            n,
            status.name,
            match.target,
            None if written is None else contact_row(written),
            None if shown is None or shown is written else contact_row(shown),
            json.dumps([(each.field, each.code.value, each.detail) for each in preview.losses]),
            json.dumps(names),
            reason,
        )

    def _previewed(self, contact: Contact, refusal: str, old: Identifier | None) -> tuple[Contact, Preview]:
        """Return a contact of the source as the map has it, and what becomes of it in the target.

        Args:
            contact: The contact.
            refusal: Why it cannot be sent; empty if it can.
            old: Its id, to be kept as an external id if that costs nothing; None if it is not to be.
        """
        if refusal:
            return contact, Preview.refused(refusal)
        lists, ids, losses = self.reading.lists, None, list[Loss]()
        mapped, unmapped = self.reading.request.field_map.apply(contact)
        if mapped.lists is not None:
            ids, losses = lists.ids(mapped.lists, mapped.provider)
        losses += unmapped
        given = evolve(mapped, provider="", id="", lists=ids)
        able, shape = self.reading.able, self.reading.shape
        marked = with_old_id(given, old, able, shape) if old and not self.reading.is_taken(old) else None
        fitted = marked or fit(able, given, shape)
        if fitted.shown is None or not losses:
            return mapped, fitted
        told = {each.field for each in losses}
        others = [each for each in fitted.losses if each.field not in told]
        return mapped, Preview(fitted.shown, (*losses, *others), fitted.written)

    def _beside(self, target: Contact, preview: Preview) -> Preview:
        """Return the preview of a contact without the identifiers that there is no room for beside those it has."""
        written, shown = preview.written, preview.shown
        if written is None or shown is None or {*shown.identifiers} <= {*target.identifiers}:
            return preview
        whole = evolve(as_update_of(target, written), lists=None)
        fitted = fit(self.reading.able, whole, self.reading.shape)
        kept = {*target.identifiers, *(fitted.shown.identifiers if fitted.shown else ())}
        crowded = [each for each in shown.identifiers if each not in kept]
        if not crowded:
            return preview
        told = {each.field for each in preview.losses}
        names = [name for name in dict.fromkeys(map(identifier_field, crowded)) if name not in told]
        losses = [Loss(name, LossCode.TOO_MANY, NO_ROOM) for name in names]
        return Preview(_without(shown, crowded), (*preview.losses, *losses), _without(written, crowded))

    def rows(self, statuses: Sequence[ComparisonStatus]) -> Iterator[Compared]:
        """Yield the results with these statuses, or all of them, in the order of the source."""
        columns = "r.n, r.n, r.status, r.target, r.written, r.shown, r.losses, r.differences, r.reason, s.row"
        query = f"SELECT {columns} FROM results r JOIN source s ON s.n = r.n WHERE"
        if not statuses:
            return map(self._compared, self._spool.each(f"{query} r.n > ? ORDER BY r.n LIMIT ?"))
        query += " r.status = ? AND r.n > ? ORDER BY r.n LIMIT ?"
        of_each = (map(self._compared, self._spool.each(query, each.name)) for each in dict.fromkeys(statuses))
        return heapq.merge(*of_each, key=attrgetter("number"))

    def _compared(self, row: Sequence[Any]) -> Compared:
        n, status, target, written, shown, losses, names, reason, source = row
        contact = self.reading.source_contact(source)
        if contact.lists:
            contact = evolve(contact, lists=tuple(map(self.reading.lists.name, contact.lists)))
        fitted = None if written is None else stored_contact(written)
        return Compared(
            number=n,
            old_id=contact.id,
            source=contact,
            status=ComparisonStatus[status],
            written=fitted,
            shown=fitted if shown is None else stored_contact(shown),
            losses=tuple(Loss(name, LossCode(code), detail) for name, code, detail in json.loads(losses)),
            target=None if target is None else self.reading.target_contact(target),
            differences=tuple(json.loads(names)),
            reason=reason,
        )


def _without(contact: Contact, identifiers: Collection[Identifier]) -> Contact:
    return evolve(contact, identifiers=tuple(each for each in contact.identifiers if each not in identifiers))


def _differing(given: Contact, shown: Contact, target: Contact) -> Collection[str]:
    """Return the names of what a contact of the target does not show.

    It may show a value as it would after it was written, or just as it was given: another way into the account may keep
    more of it, such as the time of a date, which would be lost if it was written again.
    """
    names = differences(shown, target)
    if not names:
        return names
    values, lost = flattened(given), differences(given, target)
    return [name for name in names if name in lost or name not in values]
