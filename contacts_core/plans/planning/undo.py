"""Plans that take back what a run wrote, as far as it still is as it was written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Self

from attrs import evolve, field, frozen

from contacts_core import operations
from contacts_core.errors import InvalidInput, PlanRefused, UnsupportedOperation
from contacts_core.models import CHANGEABLE_FIELDS, Contact, CustomValue, Shape, differences
from contacts_core.models.losses import flattened
from contacts_core.operations.keeping import REFUSED, refusals_deleted
from contacts_core.plans.change import Change, DataSubject, Held
from contacts_core.plans.change_operations.account import WriteConsent
from contacts_core.plans.change_operations.contacts import ChangeContact, DeleteContacts, fields_written
from contacts_core.plans.change_operations.membership import RemoveFromList
from contacts_core.plans.change_operations.upsert import UpsertContacts
from contacts_core.plans.comparing.consent_marks import ConsentPlace, consent_place
from contacts_core.plans.model import AccountPlan, Plan, SafetyLimits
from contacts_core.plans.payload import packed, unpacked
from contacts_core.plans.planning import lookup
from contacts_core.plans.planning.accounts import PlanGenerator
from contacts_core.plans.planning.planner import staged_steps
from contacts_core.plans.rows import PlanRows
from contacts_core.provider import DeletesContacts, Flow, Provider, QueuesJobs, RemovesFromLists, UpsertsContacts, flows

__all__ = ["make_undo_plan"]

CHUNK_SIZE = 500  # contacts read at once
WAS_THERE = "it was there before the run wrote it"
STAYS: Mapping[str, str] = {
    "create_list": "the list {name} stays, because others may use it by now",
    "create_custom_field": "the custom field {name} stays, because others may use it by now",
    "ensure_consent_scopes": "the scope of consent {name} stays, because statements may name it",
    "write_consent": "what was written of their consent stays: only they can take it back",
}


def make_undo_plan(
    kind: str, plan: Plan, there: Mapping[str, Collection[int]], providers: Mapping[str, Provider]
) -> PlanGenerator[Plan]:
    """Plan to take back what an applied plan wrote. Yield the flows that the accounts are to run, and return the plan.

    Args:
        kind: The kind of the new plan.
        plan: The plan that was applied.
        there: The changes of each account, by index, whose contacts were to be created and were there before.
        providers: The accounts.

    Raises:
        PlanRefused: An account leads to another workspace now.
    """
    rows, parts, people = PlanRows(), list[AccountPlan](), 0
    ids = yield {part.account: lookup.account_id(providers[part.account]) for part in plan.accounts}
    for n, part in enumerate(plan.accounts):
        if ids[part.account] != part.account_id:
            raise PlanRefused(
                f"{part.account} leads to another workspace than the one that the run was for",
                hint="check the account's settings (base_url, workspace, key)",
            )
        provider = providers[part.account]
        found = _Found()
        place = ConsentPlace.parse(part.consent.place) if part.consent and part.consent.place else None
        before = there.get(part.account, ())
        yield {part.account: _read(provider, part.changes, before, consent_place(provider, place), found)}
        people = found.add_to(rows, n, people)
        changes = rows.changes(n)
        steps, seconds = staged_steps(provider, changes, found.stages)
        parts.append(
            evolve(
                part,
                read="look-up",
                size=None,
                changes=changes,
                steps=steps,
                requests=sum(step.requests for step in steps),
                seconds=seconds,
                residual_data=dict(provider.residual_data) if isinstance(provider, DeletesContacts) else {},
                queued=isinstance(provider, QueuesJobs),
                held=rows.held(n),
                losses=(),
                source="",
                consent=None,
            )
        )
    rows.flush()
    made = Plan(
        kind=kind,
        made_at=datetime.now(UTC),
        people=rows.people,
        accounts=tuple(parts),
        limits=SafetyLimits(contacts=max(plan.limits.contacts, plan.contacts), share=1),
    )
    return made.summed()


class _Found:
    """What can be taken back in one account, and what cannot; on disk, as the plan that is undone."""

    OPERATIONS = (RemoveFromList.name, ChangeContact.name, DeleteContacts.name)

    def __init__(self) -> None:
        self._rows = PlanRows()

    def take_back(self, change: Change) -> None:
        """Note a change that takes something back."""
        self._rows.add_change(self.OPERATIONS.index(change.operation), change)

    def leave(self, change: Change, reason: str) -> None:
        """Note what cannot be taken back."""
        self._rows.add_held(0, Held(change.identifiers, reason, change.contact))

    @property
    def stages(self) -> Iterator[tuple[str, int]]:
        """The operation of each stage, and the number of its changes."""
        for part, operation in enumerate(self.OPERATIONS):
            if count := len(self._rows.changes(part)):
                yield operation, count

    def add_to(self, rows: PlanRows, part: int, people: int) -> int:
        """Add the people and the changes to the rows of a plan. Return how many people there are now.

        A contact with several changes is several people: each has its own result.
        """
        self._rows.flush()
        for stage in range(len(self.OPERATIONS)):
            for change in self._rows.changes(stage):
                people += 1
                rows.add_person(DataSubject(people, change.identifiers))
                rows.add_change(part, evolve(change, people=(people,)))
        for held in self._rows.held(0):
            rows.add_held(part, held)
        rows.flush()
        return people


def _read(
    provider: Provider,
    changes: Sequence[Change],
    there: Collection[int],
    place: ConsentPlace | None,
    found: _Found,
) -> Flow[None]:
    """Read what was written, and find out what of it can be taken back."""
    shape = yield from operations.read_shape(provider)
    for first, chunk in zip(count(0, CHUNK_SIZE), flows.chunks(changes, CHUNK_SIZE), strict=False):
        for change in chunk:
            if change.operation in STAYS:
                found.leave(change, STAYS[change.operation].format(**change.write))
        known = [change for change in chunk if change.operation == UpsertContacts.name and change.contact]
        by_id = yield from lookup.by_id(provider, [change.contact for change in known])
        for change in known:
            _take_back(provider, change, by_id.contacts.get(change.contact), shape, place, found)
        creating = {n: c for n, c in enumerate(chunk, first) if c.operation == UpsertContacts.name and not c.contact}
        handles = [i for change in creating.values() for i in lookup.handles(provider, change.identifiers)]
        look_up = yield from lookup.by_identifier(provider, handles)
        created = {
            n: list({each.id: each for i in c.identifiers for each in look_up.of(i)}.values())
            for n, c in creating.items()
        }
        each_one = {one.id: one for several in created.values() for one in several}
        reasons = {one.id: WAS_THERE for n, several in created.items() if n in there for one in several}
        reasons |= yield from refusals_deleted(provider, {id: one.identifiers for id, one in each_one.items()})
        reasons |= {id: REFUSED for id, one in each_one.items() if place and place.refuses(one)}
        for n, change in creating.items():
            _delete(provider, change, created[n], shape, reasons, found)


def _promised(provider: Provider, change: Change, shape: Shape) -> Contact:
    wanted = unpacked(change.write, Contact)
    preview = operations.preview(provider, wanted, shape)
    return (preview.shown_of_existing if change.contact else preview.shown) or wanted


def _plain(contact: Contact) -> Contact:
    """Return a contact without what only the vendor writes."""
    return evolve(contact, created_at=None, updated_at=None, extra={})


def _delete(
    provider: Provider,
    change: Change,
    contacts: Sequence[Contact],
    shape: Shape,
    reasons: Mapping[str, str],
    found: _Found,
) -> None:
    """Take back that a contact was created, unless there are reasons to keep it, by id."""
    if not contacts:
        return
    promised = _promised(provider, change, shape)
    (contact, *others) = contacts
    defined_first = operations.require(provider, UpsertsContacts).fields_defined_first and shape.fields is not None
    of_others = {
        name for name in contact.custom if (not known.read_only if (known := shape.field(name)) else not defined_first)
    }
    # What only the vendor writes, or the account has no field for, is the vendor's own.
    custom = {name: value for name, value in contact.custom.items() if name in of_others}
    own = evolve(_plain(contact), full_name=None, custom=custom)
    if others or differences(promised, contact) or differences(own, promised):
        found.leave(change, "it was changed since it was created, and stays")
    elif not isinstance(provider, DeletesContacts):
        found.leave(change, "the vendor cannot delete contacts")
    elif reason := reasons.get(contact.id):
        found.leave(change, f"{reason}, and it stays")
    else:
        reason = "the run created it, and it is as it was written"
        before = packed(_plain(contact))
        found.take_back(Change(DeleteContacts.name, contact.id, contact.identifiers, (), reason, before=before))


def _take_back(
    provider: Provider,
    change: Change,
    contact: Contact | None,
    shape: Shape,
    place: ConsentPlace | None,
    found: _Found,
) -> None:
    """Take back that a contact was updated; what is kept of consent on it stays."""
    promised, before = _promised(provider, change, shape), unpacked(change.before, Contact)
    if contact is None:
        found.leave(change, "it is not there any more")
        return
    restoring = _Restoring.of(before, contact, promised, unpacked(change.write, Contact))
    restoring.keep_to_what_is_possible(provider)
    if place and restoring.keep(place.field):
        found.leave(change, STAYS[WriteConsent.name])
    if restoring.begins and differences(promised, contact):
        found.leave(change, "it was changed since it was written, and stays as it is")
        return
    reason, about = "the run wrote it, and it is as it was written", (contact.id, contact.identifiers, ())
    without_lists = packed(evolve(_plain(contact), lists=None))
    for list_id in restoring.lists:
        found.take_back(Change(RemoveFromList.name, *about, reason, list_id=list_id, before=without_lists))
    if restoring.values or restoring.cleared:
        # Memberships are taken back before, so lists are not compared then.
        known = without_lists if restoring.lists else packed(_plain(contact))
        write = fields_written(restoring.values, restoring.cleared)
        found.take_back(Change(ChangeContact.name, *about, reason, write=write, before=known))
    if restoring.rest:
        found.leave(change, f"not taken back, because the vendor cannot: {', '.join(restoring.rest)}")


@frozen
class _Restoring:
    """What has to be done for a contact to be as it was.

    Attributes:
        values: Fields to set.
        cleared: Fields to clear.
        lists: Lists that it was put on.
        rest: What cannot be taken back.
    """

    values: dict[str, CustomValue] = field(factory=dict[str, CustomValue])
    cleared: list[str] = field(factory=list[str])
    lists: list[str] = field(factory=list[str])
    rest: list[str] = field(factory=list[str])

    @classmethod
    def of(cls, before: Contact, now: Contact, promised: Contact, wanted: Contact) -> Self:
        """Compare a contact before it was written with the same one now, in what was written."""
        made, old, new = cls(), flattened(before), flattened(now)
        emptied = {f"custom.{name}" for name, value in wanted.custom.items() if value is None} & old.keys()
        for name in [*flattened(promised), *sorted(emptied)]:
            if old.get(name) == new.get(name):
                continue
            if name.startswith("lists."):
                made.lists.append(name.removeprefix("lists."))
            elif name not in CHANGEABLE_FIELDS and not name.startswith("custom."):
                made.rest.append(name)
            elif name in old:
                made.values[name] = old[name]
            else:
                made.cleared.append(name)
        if (set(promised.identifiers) & set(now.identifiers)) - set(before.identifiers):
            made.rest.append("identifiers that were added")
        return made

    @property
    def begins(self) -> bool:
        """Whether anything is to be taken back: nothing is if it was never written, or taken back before."""
        return bool(self.values or self.cleared or self.lists)

    def keep_to_what_is_possible(self, provider: Provider) -> None:
        """Leave what the provider cannot take back to the rest."""
        if self.lists and not isinstance(provider, RemovesFromLists):
            self.rest.append("lists")
            self.lists.clear()
        for name in [*self.values, *self.cleared]:
            value = self.values.get(name)
            try:
                operations.check_changes(provider, {name: value} if name in self.values else {}, self._only(name))
            except (InvalidInput, UnsupportedOperation):
                self.rest.append(name)
                self.keep(name)
        if "full_name" in self.rest and {"first_name", "last_name"} & {*self.values, *self.cleared}:
            self.rest.remove("full_name")  # the vendor makes it of the parts

    def keep(self, name: str) -> bool:
        """Take a field out of what is to be taken back; return whether it was in there."""
        kept = name in self.values or name in self.cleared
        self.values.pop(name, None)
        self.cleared[:] = [each for each in self.cleared if each != name]
        return kept

    def _only(self, name: str) -> list[str]:
        return [each for each in self.cleared if each == name]
