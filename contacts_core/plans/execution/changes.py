"""What a plan does and how it is verified, account by account. Pure flows: the durable engine runs them.

Nobody is touched who was not read just before. Each attempt at a batch begins by reading its contacts; those that are
not who they were are left alone. The requests that change something are sent at once or not at all, and the transport
does not repeat them: a repetition is another attempt, which reads again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import evolve, field, frozen

from contacts_core import operations
from contacts_core.errors import ContactsError, Interrupted, PlanRefused, ProviderError
from contacts_core.models import Contact, Failure, Identifier, Job, Outcome
from contacts_core.models.identifiers import scrub
from contacts_core.plans.model import OPERATIONS, AccountPlan, DataSubject, Plan, PlanKind, Target
from contacts_core.plans.planning import lookup as locating
from contacts_core.plans.receipts.reasons import OurWords
from contacts_core.provider import (
    DeletesContacts,
    Exports,
    FindsContacts,
    Flow,
    Gather,
    GetsContacts,
    Provider,
    RemovesFromLists,
    Request,
    Sleep,
    flows,
)

__all__ = [
    "Seen",
    "account_id",
    "act",
    "again",
    "batch",
    "cause",
    "differences",
    "identifiers_of",
    "jobs",
    "look",
    "names",
    "paths",
    "reads_all",
    "same_account",
    "sought",
    "still",
    "subjects",
]

T = TypeVar("T")
Read = Callable[[Sequence[Target]], Flow[Mapping[str, Contact]]]
Send = Callable[[Sequence[Target]], Flow[Outcome]]

ATTEMPTS = 4  # at one batch, before the whole step is tried again
PATIENCE = 5.0  # seconds, at most, between reading a contact and touching it, or between two attempts at a batch
READS = {"GET", "HEAD"}
CHANGED = OurWords("the contact has other identifiers than when the plan was made, and is left alone")


@frozen
class Seen:
    """What a verifying read showed, by index into `subjects` or `sought`.

    Attributes:
        targets: Contacts that are still what they were.
        changed: Of these, those that have other identifiers than when the plan was made.
        identifiers: Those that one of the plan's own contacts still has.
        strangers: Those that a contact outside the plan has.
        unread: What was not shown though this proves nothing, with the reason.
        unasked: Identifiers that the vendor cannot be asked for, with the reason.
    """

    targets: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    identifiers: tuple[int, ...] = ()
    outside_plan: tuple[int, ...] = ()
    unread: Mapping[int, str] = field(factory=dict)
    unasked: Mapping[int, str] = field(factory=dict)


# -- before the work ---------------------------------------------------------------------------------------------------


def account_id(provider: Provider) -> Flow[str]:
    """The fingerprint of the account behind a provider's settings; no key is part of it."""
    named = yield from provider.account_id()
    return hashlib.sha256(f"{provider.name}\0{named}".encode()).hexdigest()


def same_account(part: AccountPlan, provider: Provider) -> Flow[None]:
    """See that this is the account that the plan was made for.

    Raises:
        PlanRefused: It is another one.
    """
    if (yield from account_id(provider)) != part.account_id:
        raise PlanRefused(
            OurWords(f"{part.account} leads to another workspace than the one that the plan was made for"),
            hint="check the account's settings (base_url, workspace, key); for this workspace, make a new plan",
        )


def again(plan: Plan, part: AccountPlan, provider: Provider) -> Flow[dict[str, Contact]]:
    """Whom the plan would touch if it were made now, by id.

    Raises:
        PlanRefused: The vendor answers a look-up with somebody who does not have the identifier.
    """
    wanted = dict.fromkeys(identifier for person in plan.people for identifier in person.identifiers)
    seen = yield from locating.by_identifier(provider, wanted)
    if wrong := locating.mismatch(seen.found, part.title):
        raise PlanRefused(OurWords(f"{part.account}: {wrong}"))
    given = [person.contact for person in plan.people if person.contact]
    contacts = dict((yield from locating.by_id(provider, given)).contacts) if given else {}
    return contacts | {contact.id: contact for several in seen.found.matches.values() for contact in several}


def differences(part: AccountPlan, found: Mapping[str, Contact] | Mapping[str, Target]) -> list[str]:
    """What has changed since the plan was made, in words; the contacts' other fields do not matter."""
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


def still(part: AccountPlan, found: Mapping[str, Contact]) -> list[int]:
    """Targets, by index, that are there and are who they were; a run that is begun once more touches nobody else."""
    return [n for n, t in enumerate(part.targets) if t.contact in found and _same(t, found[t.contact])]


def _same(target: Target, contact: Contact) -> bool:
    """Whether a contact is who it was. Of those that are to go, some identifiers may be gone already."""
    there, then = set(contact.identifiers), set(target.identifiers)
    return then - set(target.removes) <= there <= then


# -- the work ----------------------------------------------------------------------------------------------------------


def batch(kind: PlanKind, provider: Provider) -> int:
    """How many contacts are read and touched together."""
    if kind is PlanKind.REMOVE_IDENTIFIER:
        return 1
    if kind is PlanKind.REMOVE_FROM_LIST:
        return operations.require(provider, RemovesFromLists).member_batch_size
    return operations.require(provider, DeletesContacts).delete_batch_size


def act(plan: Plan, targets: Sequence[Target], provider: Provider) -> Flow[Outcome]:
    """Do what the plan says to those of these targets that are who they were.

    Who is gone is ``absent`` in the outcome, and who is somebody else has failed with the reason.
    """
    read: Read = partial(_read, provider)
    if not isinstance(provider, GetsContacts) and locating.way(provider) == "scan":  # once for all of them
        everyone = yield from _read(provider, targets)
        read = partial(_chosen, everyone)
    parts = list(flows.chunks(targets, batch(plan.kind, provider)))
    settled = yield from flows.run_together([_part(plan, part, provider, read) for part in parts], provider.concurrency)
    items = [[name for target in part for name in names(plan, target)] for part in parts]
    return flows.added_up(OPERATIONS[plan.kind], provider.name, items, settled, str)


def _part(plan: Plan, targets: Sequence[Target], provider: Provider, read: Read) -> Flow[Outcome]:
    """Touch contacts that go together."""
    operation = OPERATIONS[plan.kind]
    if plan.kind is PlanKind.REMOVE_IDENTIFIER:
        (target,) = targets

        def remove(chunk: Sequence[Identifier]) -> Flow[Outcome]:
            (identifier,) = chunk
            return _attempts(
                operation,
                targets,
                lambda _: identifier.value,
                read,
                lambda _: operations.remove_identifier(provider, target.contact, identifier),
            )

        # One after the other: where a vendor's relation is written back whole, two at once would undo each other.
        return (yield from flows.in_chunks(operation, provider.name, target.removes, 1, 1, remove, lambda i: i.value))

    def send(same: Sequence[Target]) -> Flow[Outcome]:
        ids = [each.contact for each in same]
        if plan.kind is PlanKind.REMOVE_FROM_LIST:
            return operations.remove_from_list(provider, plan.list_id, ids, resolved=True)
        return operations.delete_contacts(provider, ids)

    return (yield from _attempts(operation, targets, lambda target: target.contact, read, send))


def _attempts(
    operation: str, targets: Sequence[Target], name: Callable[[Target], str], read: Read, send: Send
) -> Flow[Outcome]:
    """Read, and act on who is still the same; after a bad moment of the vendor, the same once more."""
    pauses, left = flows.pauses(PATIENCE, 0.1), ATTEMPTS
    while True:
        left -= 1
        there = yield from read(targets)
        gone = tuple(name(target) for target in targets if target.contact not in there)
        same = [target for target in targets if target.contact in there and _same(target, there[target.contact])]
        failed = tuple(Failure(name(t), CHANGED) for t in targets if t.contact in there and t not in same)
        apart = Outcome(operation=operation, requested=len(gone) + len(failed), absent=gone, failed=failed)
        if not same:
            return apart
        try:
            done = yield from _at_once(send(same), PATIENCE)
        except ContactsError as error:
            pause = _pause(error, next(pauses))
            if pause is None or pause > PATIENCE or not left:
                raise
            yield from Sleep(pause)
        else:
            return Outcome.merge(operation, done.provider, [done, apart])


def _pause(error: ContactsError, usual: float) -> float | None:
    """Seconds before another attempt makes sense; None where it makes none."""
    why = cause(error)
    if not (isinstance(why, ProviderError) and why.retryable):
        return None
    return usual if why.retry_after is None else max(why.retry_after, usual)


def cause(error: BaseException) -> BaseException:
    """What an operation was interrupted by, however deep; any other error itself."""
    while isinstance(error, Interrupted) and error.__cause__:
        error = error.__cause__
    return error


def _at_once(flow: Flow[T], patience: float) -> Flow[T]:
    """The flow with every request that changes something sent within ``patience`` seconds, and never repeated."""
    try:
        effect: Any = next(flow)
        while True:
            match effect:
                case Request() if effect.method not in READS:
                    effect = evolve(effect, patience=patience)
                case Gather():
                    effect = evolve(effect, flows=[_at_once(each, patience) for each in effect.flows])
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
    """The contacts of these targets as they are now, by id; those without an id to read by, by their identifiers."""
    if isinstance(provider, GetsContacts) or locating.way(provider) == "scan":
        return (yield from locating.by_id(provider, [target.contact for target in targets])).contacts
    seen = yield from locating.by_identifier(provider, (i for target in targets for i in target.identifiers))
    return {contact.id: contact for several in seen.found.matches.values() for contact in several}


def _chosen(everyone: Mapping[str, Contact], _: Sequence[Target]) -> Flow[Mapping[str, Contact]]:
    yield from ()
    return everyone


def names(plan: Plan, target: Target) -> list[str]:
    """What outcomes call a target."""
    return [i.value for i in target.removes] if plan.kind is PlanKind.REMOVE_IDENTIFIER else [target.contact]


def jobs(provider: Provider, pending: Sequence[Job]) -> Flow[list[Job]]:
    """Jobs as the vendor sees them now."""
    checks = [operations.get_job(provider, job) for job in pending]
    settled = yield from flows.run_together(checks, provider.concurrency)
    for each in settled:
        if each.error:
            raise each.error
    return [each.value or job for each, job in zip(settled, pending, strict=True)]


# -- reading again -----------------------------------------------------------------------------------------------------


def subjects(plan: Plan, part: AccountPlan) -> tuple[Target, ...]:
    """The contacts that are read again by id: the targets, then those whose id was given and who were not there."""
    known = {target.contact for target in part.targets}
    missing = [person for person in plan.people if person.contact and person.contact not in known]
    return (*part.targets, *(Target(person.contact, (), (person.number,), "its id was given") for person in missing))


def paths(plan: Plan, part: AccountPlan, provider: Provider) -> tuple[str, ...]:
    """The ways in which this plan can be verified there, the cheapest first.

    ``get`` reads by id, ``find`` by identifier, ``list`` the members of the list. Where there are two, absence is only
    believed when both agree: one of them is another than the one that found the contacts.
    """
    looks = ("find",) if isinstance(provider, (FindsContacts, Exports)) else ()
    if plan.kind is PlanKind.REMOVE_FROM_LIST:
        listed = ("list",) if isinstance(provider, Exports) else ()
        return (*listed, *(looks if sought(plan, part) else ()))
    given = isinstance(provider, Exports) and any(not each.identifiers for each in subjects(plan, part))
    return (*(("get",) if isinstance(provider, GetsContacts) or given else ()), *looks)


def reads_all(provider: Provider, path: str) -> bool:
    """Whether reading by this path reads everybody, so that it is done once for all."""
    if path == "list":
        return True
    return locating.way(provider) == "scan" and not (path == "get" and isinstance(provider, GetsContacts))


def sought(plan: Plan, part: AccountPlan) -> tuple[Identifier, ...]:
    """The identifiers that are looked for once more. Of a list, those of people of whom no contact was found."""
    found = {number for target in part.targets for number in target.people}
    listed = plan.kind is PlanKind.REMOVE_FROM_LIST
    people = [person for person in plan.people if not (listed and person.number in found)]
    return tuple(dict.fromkeys(i for person in people for i in identifiers_of(person, part)))


def identifiers_of(person: DataSubject, part: AccountPlan) -> tuple[Identifier, ...]:
    """What a person is looked for by; for one who was asked for by id, whatever that contact had."""
    if person.identifiers:
        return person.identifiers
    return tuple(i for target in part.targets if person.number in target.people for i in target.identifiers)


def look(plan: Plan, part: AccountPlan, provider: Provider, path: str, indexes: Sequence[int]) -> Flow[Seen]:
    """Read again by one of the `paths`: `subjects` by index, or identifiers of `sought` where the path is ``find``."""
    known = subjects(plan, part)
    ours = {target.contact for target in known}
    match path:
        case "get":
            ids = [known[n].contact for n in indexes]
            got = yield from locating.by_id(provider, ids, planned=ours, control=True)
            shown = [n for n in indexes if _still(plan, known[n], got.contacts)]
            there = [n for n in indexes if known[n].contact in got.contacts]
            changed = [n for n in there if not _same(known[n], got.contacts[known[n].contact])]
            unread = dict.fromkeys(indexes, got.unproven) if got.unproven else {}
            return Seen(
                targets=tuple(shown),
                changed=tuple(n for n in changed if n in shown),
                unread=unread | {n: CHANGED for n in changed if n not in shown},
            )
        case "list":
            ids = [known[n].contact for n in indexes]
            on_list = yield from locating.on_list(provider, plan.list_id, ids, control=True)
            return Seen(
                targets=tuple(n for n in indexes if known[n].contact in on_list.ids),
                unread=dict.fromkeys(indexes, on_list.unproven) if on_list.unproven else {},
            )
        case _:
            identifiers = sought(plan, part)
            wanted = [identifiers[n] for n in indexes]
            seen = yield from locating.by_identifier(provider, wanted, planned=ours, control=True)
            having = {n: {contact.id for contact in seen.of(identifiers[n])} for n in indexes}
            wrong = dict.fromkeys(seen.found.mismatched, "the vendor answered with somebody who does not have it")
            doubts = {n: (wrong | dict(seen.unproven)).get(identifiers[n], "") for n in indexes if not having[n]}
            return Seen(
                identifiers=tuple(n for n in indexes if having[n] & ours),
                outside_plan=tuple(n for n in indexes if having[n] - ours),
                unread={n: reason for n, reason in doubts.items() if reason},
                unasked={
                    n: scrub(seen.found.unasked[i]) for n in indexes if (i := identifiers[n]) in seen.found.unasked
                },
            )


def _still(plan: Plan, target: Target, contacts: Mapping[str, Contact]) -> bool:
    contact = contacts.get(target.contact)
    if contact is None:
        return False
    return plan.kind is not PlanKind.REMOVE_IDENTIFIER or any(i in contact.identifiers for i in target.removes)
