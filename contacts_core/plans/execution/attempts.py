"""Attempts at the changes of a step. Pure flows, which the durable engine runs.

No contact is changed that was not read just before. Each attempt at a batch begins by reading its contacts, and leaves
those alone whose identifiers have changed. Requests that change something are sent at once or not at all, and the
transport does not retry them: a retry is another attempt, which reads again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import evolve

from contacts_core import operations
from contacts_core.errors import ContactsError, Interrupted, ProviderError
from contacts_core.models import Contact, Failure, Identifier, Job, Outcome
from contacts_core.plans.change import Change
from contacts_core.plans.change_operations import ChangeOperation
from contacts_core.plans.planning import lookup
from contacts_core.plans.receipts.reasons import OurWords
from contacts_core.provider import Effect, Emit, Flow, GetsContacts, Provider, Request, Sleep, flows

__all__ = ["CHANGED", "act", "cause", "is_unchanged", "jobs"]

Read = Callable[[Sequence[Change]], Flow[Mapping[str, Contact]]]
Send = Callable[[Sequence[Change]], Flow[Outcome]]

MAX_ATTEMPTS = 4  # at one batch, before the whole step is retried
PATIENCE_S = 5.0  # at most, between reading a contact and changing it, or between two attempts at a batch
READ_METHODS = {"GET", "HEAD"}
CHANGED = OurWords("the contact has other identifiers than when the plan was made, and is left alone")


def is_unchanged(change: Change, contact: Contact) -> bool:
    """Return whether a contact has the planned identifiers. Those to be removed may be gone already."""
    current, planned = set(contact.identifiers), set(change.identifiers)
    return planned - set(change.removes) <= current <= planned


def act(operation: ChangeOperation, changes: Sequence[Change], provider: Provider) -> Flow[Outcome]:
    """Make those of these changes whose contacts have the planned identifiers.

    In the outcome, missing contacts are ``absent``, and contacts with other identifiers have failed with the reason.
    """
    read: Read = partial(_read, provider)
    if not isinstance(provider, GetsContacts) and _way(provider, changes) == "scan":  # once for all of them
        contacts = yield from _read(provider, changes)
        read = partial(_already_read, contacts)
    batches = list(flows.chunks(changes, operation.batch_size(provider)))
    sent = [operation.send(batch, provider, partial(_attempts, operation.name, batch, read)) for batch in batches]
    settled = yield from flows.run_together(sent, provider.concurrency)
    items = [[item for change in batch for item in operation.items(change)] for batch in batches]
    return flows.added_up(operation.name, provider.name, items, settled, str)


def _attempts(
    operation: str, changes: Sequence[Change], read: Read, name: Callable[[Change], str], send: Send
) -> Flow[Outcome]:
    """Read the changes and change those that have the planned identifiers. Retry after a temporary error."""
    pauses, left = flows.pauses(PATIENCE_S, 0.1), MAX_ATTEMPTS
    while True:
        left -= 1
        found = yield from read(changes)
        absent = tuple(name(change) for change in changes if change.contact not in found)
        same = [change for change in changes if change.contact in found and is_unchanged(change, found[change.contact])]
        failed = tuple(Failure(name(t), CHANGED) for t in changes if t.contact in found and t not in same)
        unsent = Outcome(operation=operation, requested=len(absent) + len(failed), absent=absent, failed=failed)
        if not same:
            return unsent
        try:
            done = yield from flows.with_effects(send(same), _hasty)
        except ContactsError as error:
            pause = _pause(error, next(pauses))
            if pause is None or pause > PATIENCE_S or not left:
                raise
            yield from Sleep(pause)
        else:
            return Outcome.merge(operation, done.provider, [done, unsent])


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


def _read(provider: Provider, changes: Sequence[Change]) -> Flow[Mapping[str, Contact]]:
    """Return the contacts of these changes as they are now, by id. Find them by identifier if ids cannot be read."""
    if isinstance(provider, GetsContacts) or _way(provider, changes) == "scan":
        return (yield from lookup.by_id(provider, [change.contact for change in changes])).contacts
    seen = yield from lookup.by_identifier(provider, _handles(provider, changes))
    return {contact.id: contact for several in seen.found.matches.values() for contact in several}


def _way(provider: Provider, changes: Sequence[Change]) -> str:
    return lookup.way(provider, _handles(provider, changes))


def _handles(provider: Provider, changes: Sequence[Change]) -> list[Identifier]:
    return [i for change in changes for i in lookup.handles(provider, change.identifiers)]


def _already_read(contacts: Mapping[str, Contact], _: Sequence[Change]) -> Flow[Mapping[str, Contact]]:
    yield from ()
    return contacts


def jobs(provider: Provider, pending: Sequence[Job]) -> Flow[list[Job]]:
    """Return jobs as the vendor reports them now."""
    checks = [operations.get_job(provider, job) for job in pending]
    settled = yield from flows.run_together(checks, provider.concurrency)
    for result in settled:
        if result.error:
            raise result.error
    return [result.value or job for result, job in zip(settled, pending, strict=True)]
