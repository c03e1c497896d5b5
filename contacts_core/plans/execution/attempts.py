"""Attempts at the changes of a step. Pure flows, which the durable engine runs.

No contact is changed that was not read just before. Each attempt at a batch begins by reading its contacts, and leaves
those alone whose identifiers have changed. Requests that change something are sent at once or not at all, and the
transport does not retry them: a retry is another attempt, which reads again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any

from attrs import evolve, field, frozen

from contacts_core import operations
from contacts_core.errors import ContactsError, Interrupted, ProviderError
from contacts_core.models import Contact, Failure, Identifier, Job, Outcome
from contacts_core.operations.upserting import WriteGuard
from contacts_core.plans.change import Change
from contacts_core.plans.change_operations import ChangeOperation, Standing
from contacts_core.plans.planning import lookup
from contacts_core.plans.receipts.reasons import OurWords
from contacts_core.provider import Blocking, Effect, Emit, Flow, GetsContacts, Provider, Request, Sleep, flows

__all__ = ["CHANGED", "act", "cause", "jobs"]

Read = Callable[[Sequence[Change]], Flow["Current"]]
Send = Callable[[Sequence[Change]], Flow[Outcome]]
Noted = Callable[[Sequence[Change]], None]

MAX_ATTEMPTS = 4  # at one batch, before the whole step is retried
PATIENCE_S = 5.0  # at most, between reading a contact and changing it, or between two attempts at a batch
READ_METHODS = {"GET", "HEAD"}
CHANGED = OurWords("the contact has other identifiers than when the plan was made, and is left alone")
CHANGED_VALUES = OurWords("the contact is not as it was when the plan was made, and is left alone")
MISMATCHED = OurWords("the vendor answered the look-up with a contact that does not have the identifier: left alone")

BLOCKED = OurWords("not written, because the person was erased")


@frozen
class Current:
    """What was read just before a change.

    Attributes:
        contacts: The contacts as they are now, by id.
        mismatched: Identifiers whose look-up was answered with contacts that do not have them: nobody knows who does.
    """

    contacts: Mapping[str, Contact] = field(factory=dict[str, Contact])
    mismatched: AbstractSet[Identifier] = frozenset()

    def is_clear(self, operation: ChangeOperation, change: Change) -> bool:
        """Return whether the look-ups that a change depends on were answered."""
        sought = operation.sought(change)
        known = change.contact in self.contacts
        return not any(each in self.mismatched for each in (sought if known else (*sought, *change.identifiers)))


def act(
    operation: ChangeOperation,
    changes: Sequence[Change],
    provider: Provider,
    guard: WriteGuard | None = None,
    noted: Noted | None = None,
) -> Flow[Outcome]:
    """Make those of these changes whose contacts are as they were when the plan was made.

    In the outcome, missing contacts are ``absent``, and contacts that have changed have failed with the reason.

    Args:
        operation: The operation of all these changes.
        changes: The changes.
        provider: The account's provider.
        guard: Says who must not be written, because they were erased.
        noted: Told, before anything is sent, which contacts are to be created and are there. It may block.
    """
    changes, blocked = yield from _guarded(operation, changes, provider, guard)
    read: Read = partial(_read, operation, provider)
    if not operation.of_account and _scans(operation, provider, changes):  # once for all of them
        current = yield from read(changes)
        read = partial(_already_read, current)
    batches = list(flows.chunks(changes, operation.batch_size(provider)))
    sent = [operation.send(batch, provider, partial(_attempts, operation, batch, read, noted)) for batch in batches]
    settled = yield from flows.run_together(sent, provider.concurrency)
    items = [[item for change in batch for item in operation.items(change)] for batch in batches]
    return flows.added_up(operation.name, provider.name, items, settled, str, blocked)


def _guarded(
    operation: ChangeOperation, changes: Sequence[Change], provider: Provider, guard: WriteGuard | None
) -> Flow[tuple[Sequence[Change], Outcome]]:
    """Return the changes that may be made, and the outcome of the others."""
    written = [operation.may_create(change, provider) for change in changes] if guard else []
    contacts = [contact for contact in written if contact]
    if guard is None or not contacts:
        return changes, Outcome()
    answers = iter((yield from Blocking(partial(guard, contacts))))
    reasons = [next(answers) if contact else "" for contact in written]
    failed = tuple(
        Failure(item, BLOCKED)
        for change, reason in zip(changes, reasons, strict=True)
        if reason
        for item in operation.items(change)
    )
    left = [change for change, reason in zip(changes, reasons, strict=True) if not reason]
    return left, Outcome(requested=len(failed), failed=failed)


def _attempts(
    operation: ChangeOperation,
    changes: Sequence[Change],
    read: Read,
    noted: Noted | None,
    name: Callable[[Change], str],
    send: Send,
) -> Flow[Outcome]:
    """Read the contacts and change those that are as planned. Retry after a temporary error."""
    pauses, left = flows.pauses(PATIENCE_S, 0.1), MAX_ATTEMPTS
    while True:
        left -= 1
        current = yield from read(changes)
        if noted and (there := _there(changes, current)):
            yield from Blocking(partial(noted, there))
        noted = None  # a later attempt may find what this one created
        standing: dict[Standing, list[Change]] = {each: [] for each in Standing}
        unclear: list[Change] = []
        for change in changes:
            clear = current.is_clear(operation, change)
            (standing[operation.standing(change, current.contacts)] if clear else unclear).append(change)
        ready = standing[Standing.READY]
        unsent = Outcome(
            operation=operation.name,
            requested=len(changes) - len(ready),
            confirmed=tuple(map(name, standing[Standing.MADE])),
            absent=tuple(map(name, standing[Standing.GONE])),
            failed=(
                *(Failure(name(change), _why_left_alone(change)) for change in standing[Standing.CHANGED]),
                *(Failure(name(change), MISMATCHED) for change in unclear),
            ),
        )
        if not ready:
            return unsent
        try:
            located = [operation.located(change, current.contacts) for change in ready]
            done = yield from flows.with_effects(send(located), _hasty)
        except ContactsError as error:
            pause = _pause(error, next(pauses))
            if pause is None or pause > PATIENCE_S or not left:
                raise
            yield from Sleep(pause)
        else:
            return Outcome.merge(operation.name, done.provider, [done, unsent])


def _there(changes: Sequence[Change], current: Current) -> list[Change]:
    """Return the changes that are to create a contact which is there."""
    known = {identifier for contact in current.contacts.values() for identifier in contact.identifiers}
    return [change for change in changes if not change.contact and not known.isdisjoint(change.identifiers)]


def _why_left_alone(change: Change) -> str:
    return CHANGED_VALUES if change.write or change.before else CHANGED


def _pause(error: ContactsError, usual: float) -> float | None:
    """Return the seconds to wait before another attempt, or None if none makes sense."""
    reason = cause(error)
    if not (isinstance(reason, ProviderError) and reason.retryable):
        return None
    return usual if reason.retry_after is None else max(reason.retry_after, usual)


def cause(error: BaseException) -> BaseException:
    """Return what interrupted an operation, however deep; any other error itself."""
    while isinstance(error, Interrupted) and error.__cause__:
        error = error.__cause__
    return error


def _hasty(effect: Effect | Emit[Any]) -> Effect | Emit[Any]:
    """Return the effect; a request that changes something is sent within `PATIENCE_S` seconds, and never retried."""
    if isinstance(effect, Request) and effect.method not in READ_METHODS:
        return evolve(effect, patience=PATIENCE_S)
    return effect


def _read(operation: ChangeOperation, provider: Provider, changes: Sequence[Change]) -> Flow[Current]:
    """Return the contacts of these changes as they are now, and whoever has identifiers that they are to get.

    They are found by identifier if ids cannot be read, and if they are to be created.
    """
    known = [change for change in changes if change.contact]
    sought = _sought(operation, provider, changes)
    contacts: dict[str, Contact] = {}
    if known and (isinstance(provider, GetsContacts) or lookup.way(provider, _handles(provider, known)) == "scan"):
        contacts |= (yield from lookup.by_id(provider, [change.contact for change in known])).contacts
    else:
        sought = [*_handles(provider, known), *sought]
    if not sought:
        return Current(contacts)
    seen = (yield from lookup.by_identifier(provider, sought)).found
    contacts |= {contact.id: contact for several in seen.matches.values() for contact in several}
    return Current(contacts, frozenset(seen.mismatched))


def _scans(operation: ChangeOperation, provider: Provider, changes: Sequence[Change]) -> bool:
    """Return whether reading these contacts means to read every contact."""
    sought = _sought(operation, provider, changes)
    known = [] if isinstance(provider, GetsContacts) else _handles(provider, [each for each in changes if each.contact])
    return any(wanted and lookup.way(provider, wanted) == "scan" for wanted in (known, sought))


def _sought(operation: ChangeOperation, provider: Provider, changes: Sequence[Change]) -> list[Identifier]:
    return [i for change in changes for i in lookup.handles(provider, operation.sought(change))]


def _handles(provider: Provider, changes: Sequence[Change]) -> list[Identifier]:
    return [i for change in changes for i in lookup.handles(provider, change.identifiers)]


def _already_read(current: Current, _: Sequence[Change]) -> Flow[Current]:
    yield from ()
    return current


def jobs(provider: Provider, pending: Sequence[Job]) -> Flow[list[Job]]:
    """Return jobs as the vendor reports them now."""
    checks = [operations.get_job(provider, job) for job in pending]
    settled = yield from flows.run_together(checks, provider.concurrency)
    for result in settled:
        if result.error:
            raise result.error
    return [result.value or job for result, job in zip(settled, pending, strict=True)]
