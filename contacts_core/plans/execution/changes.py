"""The changes of a plan in one account, and their verification. Pure flows, which the durable engine runs.

No contact is changed that was not read just before. Each attempt at a batch begins by reading its contacts, and leaves
those alone whose identifiers have changed. Requests that change something are sent at once or not at all, and the
transport does not retry them: a retry is another attempt, which reads again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from attrs import evolve, field, frozen

from contacts_core import operations
from contacts_core.errors import ContactsError, Interrupted, PlanRefused, ProviderError
from contacts_core.models import Contact, Failure, Identifier, Job, Outcome
from contacts_core.models.identifiers import scrub
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.model import AccountPlan, DataSubject, Plan, Target
from contacts_core.plans.planning import lookup
from contacts_core.plans.receipts.reasons import OurWords
from contacts_core.provider import Flow, Gather, GetsContacts, Provider, Request, Sleep, flows

__all__ = [
    "Seen",
    "act",
    "cause",
    "differences",
    "find_contacts",
    "identifiers_of",
    "jobs",
    "look",
    "paths",
    "reads_all",
    "same_account",
    "sought",
    "subjects",
    "unchanged_targets",
]

T = TypeVar("T")
Read = Callable[[Sequence[Target]], Flow[Mapping[str, Contact]]]
Send = Callable[[Sequence[Target]], Flow[Outcome]]

MAX_ATTEMPTS = 4  # at one batch, before the whole step is retried
PATIENCE_S = 5.0  # at most, between reading a contact and changing it, or between two attempts at a batch
READ_METHODS = {"GET", "HEAD"}
CHANGED = OurWords("the contact has other identifiers than when the plan was made, and is left alone")


@frozen
class Seen:
    """What a verifying read showed, by index into `subjects` or `sought`.

    Attributes:
        targets: Contacts that were not changed yet.
        changed: Of these, contacts whose identifiers differ from the plan.
        identifiers: Identifiers that a contact of the plan still has.
        outside_plan: Identifiers that a contact outside the plan has.
        unread: What was not found, though the read proves nothing, with the reason.
        unasked: Identifiers that the vendor cannot look up, with the reason.
    """

    targets: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    identifiers: tuple[int, ...] = ()
    outside_plan: tuple[int, ...] = ()
    unread: Mapping[int, str] = field(factory=dict[int, str])
    unasked: Mapping[int, str] = field(factory=dict[int, str])


# -- before the work ---------------------------------------------------------------------------------------------------


def same_account(part: AccountPlan, provider: Provider) -> Flow[None]:
    """Check that this is the account that the plan was made for.

    Raises:
        PlanRefused: It is another one.
    """
    if (yield from lookup.account_id(provider)) != part.account_id:
        raise PlanRefused(
            OurWords(f"{part.account} leads to another workspace than the one that the plan was made for"),
            hint="check the account's settings (base_url, workspace, key); for this workspace, make a new plan",
        )


def find_contacts(plan: Plan, part: AccountPlan, provider: Provider) -> Flow[dict[str, Contact]]:
    """Return the contacts, by id, that the plan would change if it were made now.

    Raises:
        PlanRefused: The vendor answers a look-up with a contact that does not have the identifier.
    """
    wanted = dict.fromkeys(identifier for person in plan.people for identifier in person.identifiers)
    seen = yield from lookup.by_identifier(provider, wanted)
    if wrong := lookup.mismatch(seen.found, part.title):
        raise PlanRefused(OurWords(f"{part.account}: {wrong}"))
    given = [person.contact for person in plan.people if person.contact]
    contacts = dict((yield from lookup.by_id(provider, given)).contacts) if given else {}
    return contacts | {contact.id: contact for several in seen.found.matches.values() for contact in several}


def differences(part: AccountPlan, found: Mapping[str, Contact] | Mapping[str, Target]) -> list[str]:
    """Return what has changed since the plan was made, in words. Only ids and identifiers count."""
    planned = {target.contact: target for target in part.targets}
    return [
        *(f"contact {id} is gone" for id in planned if id not in found),
        *(
            f"contact {id} has other identifiers now"
            for id, target in planned.items()
            if id in found and set(found[id].identifiers) != set(target.identifiers)
        ),
        *(f"contact {id} is affected now as well" for id in found if id not in planned),
    ]


def unchanged_targets(part: AccountPlan, found: Mapping[str, Contact]) -> list[int]:
    """Return the indexes of targets that exist with the planned identifiers. Later rounds change only these."""
    return [n for n, t in enumerate(part.targets) if t.contact in found and _unchanged(t, found[t.contact])]


def _unchanged(target: Target, contact: Contact) -> bool:
    """Return whether a contact has the planned identifiers. Those to be removed may be gone already."""
    current, planned = set(contact.identifiers), set(target.identifiers)
    return planned - set(target.removes) <= current <= planned


# -- the work ----------------------------------------------------------------------------------------------------------


def act(plan: Plan, targets: Sequence[Target], provider: Provider) -> Flow[Outcome]:
    """Make the plan's change to those of these targets that have the planned identifiers.

    In the outcome, missing contacts are ``absent``, and contacts with other identifiers have failed with the reason.
    """
    read: Read = partial(_read, provider)
    if not isinstance(provider, GetsContacts) and _way(provider, targets) == "scan":  # once for all of them
        contacts = yield from _read(provider, targets)
        read = partial(_already_read, contacts)
    kind = kind_of(plan.kind)
    batches = list(flows.chunks(targets, kind.batch_size(provider)))
    changes = [kind.change(plan, batch, provider, partial(_attempts, kind.operation, batch, read)) for batch in batches]
    settled = yield from flows.run_together(changes, provider.concurrency)
    items = [[item for target in batch for item in kind.items(target)] for batch in batches]
    return flows.added_up(kind.operation, provider.name, items, settled, str)


def _attempts(
    operation: str, targets: Sequence[Target], read: Read, name: Callable[[Target], str], send: Send
) -> Flow[Outcome]:
    """Read the targets and change those that have the planned identifiers. Retry after a temporary error."""
    pauses, left = flows.pauses(PATIENCE_S, 0.1), MAX_ATTEMPTS
    while True:
        left -= 1
        found = yield from read(targets)
        absent = tuple(name(target) for target in targets if target.contact not in found)
        same = [target for target in targets if target.contact in found and _unchanged(target, found[target.contact])]
        failed = tuple(Failure(name(t), CHANGED) for t in targets if t.contact in found and t not in same)
        unsent = Outcome(operation=operation, requested=len(absent) + len(failed), absent=absent, failed=failed)
        if not same:
            return unsent
        try:
            done = yield from _without_retries(send(same), PATIENCE_S)
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


def _without_retries(flow: Flow[T], patience: float) -> Flow[T]:
    """Run a flow in which requests that change something are sent within ``patience`` seconds, and never retried."""
    try:
        effect: Any = next(flow)
        while True:
            request, gather = cast("Request[Any]", effect), cast("Gather[Any]", effect)
            if isinstance(effect, Request) and request.method not in READ_METHODS:
                effect = evolve(request, patience=patience)
            elif isinstance(effect, Gather):
                effect = evolve(gather, flows=[_without_retries(inner, patience) for inner in gather.flows])
            try:
                answer = yield effect
            except Exception as error:  # noqa: BLE001 - whatever an effect raises is raised in the flow
                effect = flow.throw(error)
            else:
                effect = flow.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        flow.close()


def _read(provider: Provider, targets: Sequence[Target]) -> Flow[Mapping[str, Contact]]:
    """Return the contacts of these targets as they are now, by id. Find them by identifier if ids cannot be read."""
    if isinstance(provider, GetsContacts) or _way(provider, targets) == "scan":
        return (yield from lookup.by_id(provider, [target.contact for target in targets])).contacts
    seen = yield from lookup.by_identifier(provider, _handles(provider, targets))
    return {contact.id: contact for several in seen.found.matches.values() for contact in several}


def _way(provider: Provider, targets: Sequence[Target]) -> str:
    return lookup.way(provider, _handles(provider, targets))


def _handles(provider: Provider, targets: Sequence[Target]) -> list[Identifier]:
    return [i for target in targets for i in lookup.handles(provider, target.identifiers)]


def _already_read(contacts: Mapping[str, Contact], _: Sequence[Target]) -> Flow[Mapping[str, Contact]]:
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


# -- reading again -----------------------------------------------------------------------------------------------------


def subjects(plan: Plan, part: AccountPlan) -> tuple[Target, ...]:
    """Return the contacts that are verified: the targets, then contacts given by an id that was not found."""
    known = {target.contact for target in part.targets}
    missing = [person for person in plan.people if person.contact and person.contact not in known]
    return (*part.targets, *(Target(person.contact, (), (person.number,), "its id was given") for person in missing))


def paths(plan: Plan, part: AccountPlan, provider: Provider) -> tuple[str, ...]:
    """Return the ways in which this plan can be verified there, the cheapest first; see `Kind.verification_paths`."""
    ids_only = any(not target.identifiers for target in subjects(plan, part))
    return kind_of(plan.kind).verification_paths(provider, ids_only=ids_only, identifiers=bool(sought(plan, part)))


def reads_all(plan: Plan, part: AccountPlan, provider: Provider, path: str) -> bool:
    """Return whether this path reads all contacts at once, so it is done once for all targets."""
    match path:
        case "list":
            return True
        case "get":
            return not isinstance(provider, GetsContacts)
        case _:
            return lookup.way(provider, sought(plan, part)) == "scan"


def sought(plan: Plan, part: AccountPlan) -> tuple[Identifier, ...]:
    """Return the identifiers that verification looks up."""
    kind, found = kind_of(plan.kind), {number for target in part.targets for number in target.people}
    people = [person for person in plan.people if kind.looks_up(found=person.number in found)]
    return tuple(dict.fromkeys(i for person in people for i in identifiers_of(person, part)))


def identifiers_of(person: DataSubject, part: AccountPlan) -> tuple[Identifier, ...]:
    """Return the identifiers of a person; for one given by id, those of the contact."""
    if person.identifiers:
        return person.identifiers
    return tuple(i for target in part.targets if person.number in target.people for i in target.identifiers)


def look(plan: Plan, part: AccountPlan, provider: Provider, path: str, indexes: Sequence[int]) -> Flow[Seen]:
    """Verify by one of the `paths`: `subjects` by index, or identifiers of `sought` if the path is ``find``."""
    known = subjects(plan, part)
    ours = {target.contact for target in known}
    match path:
        case "get":
            ids = [known[n].contact for n in indexes]
            read = yield from lookup.by_id(provider, ids, planned=ours, control=True)
            shown = [n for n in indexes if _still_shown(plan, known[n], read.contacts)]
            found = [n for n in indexes if known[n].contact in read.contacts]
            changed = [n for n in found if not _unchanged(known[n], read.contacts[known[n].contact])]
            unread = dict.fromkeys(indexes, read.unproven) if read.unproven else {}
            return Seen(
                targets=tuple(shown),
                changed=tuple(n for n in changed if n in shown),
                unread=unread | {n: CHANGED for n in changed if n not in shown},
            )
        case "list":
            ids = [known[n].contact for n in indexes]
            on_list = yield from lookup.on_list(provider, plan.list_id, ids, control=True)
            return Seen(
                targets=tuple(n for n in indexes if known[n].contact in on_list.ids),
                unread=dict.fromkeys(indexes, on_list.unproven) if on_list.unproven else {},
            )
        case _:
            identifiers = sought(plan, part)
            wanted = [identifiers[n] for n in indexes]
            seen = yield from lookup.by_identifier(provider, wanted, planned=ours, control=True)
            having = {n: {contact.id for contact in seen.of(identifiers[n])} for n in indexes}
            wrong = dict.fromkeys(seen.found.mismatched, "the vendor answered with a contact that does not have it")
            doubts = {n: (wrong | dict(seen.unproven)).get(identifiers[n], "") for n in indexes if not having[n]}
            return Seen(
                identifiers=tuple(n for n in indexes if having[n] & ours),
                outside_plan=tuple(n for n in indexes if having[n] - ours),
                unread={n: reason for n, reason in doubts.items() if reason},
                unasked={
                    n: scrub(seen.found.unasked[i]) for n in indexes if (i := identifiers[n]) in seen.found.unasked
                },
            )


def _still_shown(plan: Plan, target: Target, contacts: Mapping[str, Contact]) -> bool:
    contact = contacts.get(target.contact)
    if contact is None:
        return False
    return kind_of(plan.kind).still_shown(target, contact)
