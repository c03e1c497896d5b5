"""Plans that take back what a run wrote, as far as it still is as it was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from attrs import evolve

from contacts_core import operations
from contacts_core.errors import InvalidInput, PlanRefused, UnsupportedOperation
from contacts_core.models import CHANGEABLE_FIELDS, Contact, CustomValue, Shape, differences
from contacts_core.models.losses import flattened
from contacts_core.plans.change import Change, DataSubject, Held
from contacts_core.plans.change_operations import operation_of
from contacts_core.plans.change_operations.contacts import ChangeContact, DeleteContacts, fields_written
from contacts_core.plans.change_operations.membership import RemoveFromList
from contacts_core.plans.change_operations.upsert import UpsertContacts
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.kinds.undo import Undo
from contacts_core.plans.model import AccountPlan, Plan, SafetyLimits, Step
from contacts_core.plans.payload import packed, unpacked
from contacts_core.plans.planning import lookup
from contacts_core.plans.planning.accounts import PlanGenerator
from contacts_core.plans.planning.planner import cut_steps
from contacts_core.plans.rows import PlanRows, window
from contacts_core.provider import DeletesContacts, Flow, Provider, QueuesJobs, RemovesFromLists, flows

__all__ = ["make_undo_plan"]

CHUNK_SIZE = 500  # contacts read at once
STAYS: Mapping[str, str] = {
    "create_list": "a list that was created stays, because others may use it by now",
    "create_custom_field": "a custom field that was created stays, because others may use it by now",
    "write_consent": "statements of consent stay: nothing lifts them but the person",
}


def make_undo_plan(plan: Plan, providers: Mapping[str, Provider]) -> PlanGenerator[Plan]:
    """Plan to take back what an applied plan wrote. Yield the flows that the accounts are to run, and return the plan.

    Raises:
        PlanRefused: Nothing of such a plan can be undone, or an account leads to another workspace now.
    """
    kind = kind_of(plan.kind)
    if not kind.can_be_undone:
        raise PlanRefused(
            f"a run that was to {plan.kind} cannot be undone", hint="runs that create or update contacts can"
        )
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
        answers = yield {part.account: _read(provider, part.changes, found)}
        del answers
        people = found.add_to(rows, n, people)
        changes = rows.changes(n)
        steps: tuple[Step, ...] = ()
        seconds = 0.0
        for operation, count in found.stages:
            first = steps[-1].first + steps[-1].count if steps else 0
            of_stage = window(changes, first, count)
            further, at_least = cut_steps(operation_of(operation), provider, of_stage, after=steps)
            steps, seconds = steps + further, seconds + at_least
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
            )
        )
    rows.flush()
    made = Plan(
        kind=Undo.name,
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


def _read(provider: Provider, changes: Sequence[Change], found: _Found) -> Flow[None]:
    """Read what was written, and find out what of it can be taken back."""
    shape = yield from operations.read_shape(provider)
    for chunk in flows.chunks(changes, CHUNK_SIZE):
        written = [change for change in chunk if change.operation == UpsertContacts.name]
        for change in chunk:
            if change.operation in STAYS:
                found.leave(change, STAYS[change.operation])
        known = [change for change in written if change.contact]
        by_id = yield from lookup.by_id(provider, [change.contact for change in known])
        for change in known:
            _take_back(provider, change, by_id.contacts.get(change.contact), shape, found)
        fresh = [change for change in written if not change.contact]
        handles = [i for change in fresh for i in lookup.handles(provider, change.identifiers)]
        look_up = yield from lookup.by_identifier(provider, handles)
        for change in fresh:
            contacts = {each.id: each for i in change.identifiers for each in look_up.of(i)}
            _delete(provider, change, list(contacts.values()), shape, found)


def _promised(provider: Provider, change: Change, shape: Shape) -> Contact:
    wanted = unpacked(change.write, Contact)
    return operations.preview(provider, wanted, shape).shown or wanted


def _plain(contact: Contact) -> Contact:
    """Return a contact without what only the vendor writes."""
    return evolve(contact, created_at=None, updated_at=None, extra={})


def _delete(provider: Provider, change: Change, contacts: Sequence[Contact], shape: Shape, found: _Found) -> None:
    """Take back that a contact was created."""
    if not contacts:
        return
    promised = _promised(provider, change, shape)
    (contact, *others) = contacts
    own = evolve(_plain(contact), full_name=None)
    if others or differences(promised, contact) or differences(own, promised):
        found.leave(change, "it was changed since it was created, and stays")
    elif not isinstance(provider, DeletesContacts):
        found.leave(change, "the vendor cannot delete contacts")
    else:
        reason = "the run created it, and it is as it was written"
        before = packed(_plain(contact))
        found.take_back(Change(DeleteContacts.name, contact.id, contact.identifiers, (), reason, before=before))


def _take_back(provider: Provider, change: Change, contact: Contact | None, shape: Shape, found: _Found) -> None:
    """Take back that a contact was updated."""
    promised, before = _promised(provider, change, shape), unpacked(change.before, Contact)
    if contact is None:
        found.leave(change, "it is not there any more")
        return
    if differences(promised, contact):
        found.leave(change, "it was changed since it was written, and stays as it is")
        return
    old, new = flattened(before), flattened(contact)
    values: dict[str, CustomValue] = {}
    cleared, rest, lists = list[str](), list[str](), list[str]()
    for name in flattened(promised):
        if old.get(name) == new.get(name):
            continue
        if name.startswith("lists."):
            lists.append(name.removeprefix("lists."))
        elif name not in CHANGEABLE_FIELDS and not name.startswith("custom."):
            rest.append(name)
        elif name in old:
            values[name] = old[name]
        else:
            cleared.append(name)
    if set(contact.identifiers) - set(before.identifiers):
        rest.append("identifiers that were added")
    if values or cleared:
        try:
            operations.check_changes(provider, values, cleared)
        except (InvalidInput, UnsupportedOperation) as error:
            rest.append(str(error))
            values, cleared = {}, []
    if lists and not isinstance(provider, RemovesFromLists):
        rest, lists = [*rest, "lists"], []
    reason, now = "the run wrote it, and it is as it was written", packed(_plain(contact))
    for list_id in lists:
        found.take_back(Change(RemoveFromList.name, contact.id, contact.identifiers, (), reason, list_id=list_id))
    if values or cleared:
        write = fields_written(values, cleared)
        # Lists are taken away before, so they are not compared.
        known = packed(evolve(_plain(contact), lists=None)) if lists else now
        found.take_back(
            Change(ChangeContact.name, contact.id, contact.identifiers, (), reason, write=write, before=known)
        )
    if rest:
        found.leave(change, f"not taken back: {', '.join(rest)}")
