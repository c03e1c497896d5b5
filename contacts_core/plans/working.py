"""What a plan does and how it is verified, account by account. Pure flows: the durable engine runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from contacts_core import operations, steps
from contacts_core.capabilities import Exports, FindsContacts, GetsContacts
from contacts_core.flow import Flow
from contacts_core.identifiers import Identifier
from contacts_core.models import Contact, Job, Outcome
from contacts_core.plans import locating
from contacts_core.plans.model import AccountPlan, Kind, Person, Plan, Target
from contacts_core.provider import Provider

__all__ = ["Seen", "act", "again", "differences", "identifiers_of", "jobs", "look", "paths", "sought", "still"]


@frozen
class Seen:
    """What a verifying read still showed, by index into the plan.

    Attributes:
        targets: Targets that are still what they were.
        identifiers: Of `sought`, those that one of the plan's own contacts still has.
        strangers: Of `sought`, those that a contact outside the plan has.
    """

    targets: tuple[int, ...] = ()
    identifiers: tuple[int, ...] = ()
    strangers: tuple[int, ...] = ()


def again(plan: Plan, provider: Provider) -> Flow[dict[str, Contact]]:
    """Whom the plan would touch if it were made now, by id."""
    wanted = dict.fromkeys(identifier for person in plan.people for identifier in person.identifiers)
    found = yield from locating.by_identifier(provider, wanted)
    given = [person.contact for person in plan.people if person.contact]
    contacts = dict((yield from locating.by_id(provider, given)) if given else {})
    return contacts | {contact.id: contact for several in found.values() for contact in several}


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


def still(plan: Plan, part: AccountPlan, found: Mapping[str, Contact]) -> list[int]:
    """Targets, by index, that are there and are who they were; a run that is begun once more touches nobody else."""

    def same(target: Target) -> bool:
        there = found.get(target.contact)
        if there is None:
            return False
        if plan.kind is Kind.REMOVE_IDENTIFIER:  # some of them may be gone already
            return set(there.identifiers) <= set(target.identifiers)
        return set(there.identifiers) == set(target.identifiers)

    return [n for n, target in enumerate(part.targets) if same(target)]


def act(plan: Plan, targets: Sequence[Target], provider: Provider) -> Flow[Outcome]:
    """Do what the plan says to these targets."""
    ids = [target.contact for target in targets]
    match plan.kind:
        case Kind.REMOVE_FROM_LIST:
            return (yield from operations.remove_from_list(provider, plan.list_id, ids))
        case Kind.REMOVE_IDENTIFIER:
            return (yield from _remove_identifiers(provider, targets))
        case _:
            return (yield from operations.delete_contacts(provider, ids))


def _remove_identifiers(provider: Provider, targets: Sequence[Target]) -> Flow[Outcome]:
    pairs = [(target.contact, identifier) for target in targets for identifier in target.removes]

    def remove(chunk: Sequence[tuple[str, Identifier]]) -> Flow[Outcome]:
        ((contact_id, identifier),) = chunk
        return operations.remove_identifier(provider, contact_id, identifier)

    return (
        yield from steps.in_chunks(
            "remove_identifier", provider.name, pairs, 1, provider.concurrency, remove, lambda pair: pair[1].value
        )
    )


def jobs(provider: Provider, pending: Sequence[Job]) -> Flow[list[Job]]:
    """Jobs as the vendor sees them now."""
    flows = [operations.check(provider, job) for job in pending]
    settled = yield from steps.run_together(flows, provider.concurrency)
    for each in settled:
        if each.error:
            raise each.error
    return [each.value or job for each, job in zip(settled, pending, strict=True)]


def paths(plan: Plan, provider: Provider) -> tuple[str, ...]:
    """The ways in which this plan can be verified there, the cheapest first.

    ``get`` reads by id, ``find`` by identifier, ``list`` the members of the list. Where there are two, absence is only
    believed when both agree: one of them is another than the one that found the contacts.
    """
    if plan.kind is Kind.REMOVE_FROM_LIST:
        return ("list",) if isinstance(provider, Exports) else ()
    by_id = ("get",) if isinstance(provider, GetsContacts) else ()
    return (*by_id, "find") if isinstance(provider, (FindsContacts, Exports)) else by_id


def sought(plan: Plan, part: AccountPlan) -> tuple[Identifier, ...]:
    """The identifiers that are looked for once more."""
    if plan.kind is Kind.REMOVE_IDENTIFIER:
        wanted = [i for target in part.targets for i in target.removes]
    elif plan.kind is Kind.REMOVE_FROM_LIST:
        wanted = []
    else:
        wanted = [i for person in plan.people for i in identifiers_of(person, part)]
    return tuple(dict.fromkeys(wanted))


def identifiers_of(person: Person, part: AccountPlan) -> tuple[Identifier, ...]:
    """What a person is looked for by; for one who was asked for by id, whatever that contact had."""
    if person.identifiers:
        return person.identifiers
    return tuple(i for target in part.targets if person.number in target.people for i in target.identifiers)


def look(plan: Plan, part: AccountPlan, provider: Provider, path: str, indexes: Sequence[int]) -> Flow[Seen]:
    """Read again by one of the `paths`: targets by index, or identifiers of `sought` where the path is ``find``."""
    match path:
        case "get":
            contacts = yield from locating.by_id(provider, [part.targets[n].contact for n in indexes])
            return Seen(tuple(n for n in indexes if _still(plan, part.targets[n], contacts)))
        case "list":
            ids = [part.targets[n].contact for n in indexes]
            on_list = yield from locating.on_list(provider, plan.list_id, ids)
            return Seen(tuple(n for n in indexes if part.targets[n].contact in on_list))
        case _:
            identifiers = sought(plan, part)
            found = yield from locating.by_identifier(provider, [identifiers[n] for n in indexes])
            ours = {target.contact for target in part.targets}
            having = {n: {contact.id for contact in found[identifiers[n]]} for n in indexes}
            return Seen(
                identifiers=tuple(n for n in indexes if having[n] & ours),
                strangers=tuple(n for n in indexes if having[n] - ours),
            )


def _still(plan: Plan, target: Target, contacts: Mapping[str, Contact]) -> bool:
    contact = contacts.get(target.contact)
    if contact is None:
        return False
    return plan.kind is not Kind.REMOVE_IDENTIFIER or any(i in contact.identifiers for i in target.removes)
