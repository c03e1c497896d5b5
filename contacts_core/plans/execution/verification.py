"""Reading again, to see whether the changes were made. Pure flows, which the durable engine runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import field, frozen

from contacts_core.models.identifiers import scrub
from contacts_core.plans.change import Change
from contacts_core.plans.change_operations import is_same_person
from contacts_core.plans.execution.account_view import AccountView
from contacts_core.plans.execution.attempts import CHANGED
from contacts_core.plans.planning import lookup
from contacts_core.provider import Flow, GetsContacts, Provider, flows

__all__ = ["Seen", "look", "paths", "reads_all"]

CHUNK_SIZE = 1000  # contacts looked at together
WITHOUT_ANSWER = "an answer does not tell it"


@frozen
class Seen:
    """What a verifying read showed, by index of contacts or of identifiers; see `AccountView`.

    Attributes:
        targets: Contacts whose change was not made yet.
        changed: Of these, contacts whose identifiers differ from the plan.
        identifiers: Identifiers that a contact of the plan still has.
        outside_plan: Identifiers that a contact outside the plan has.
        unread: What was not found, though the read proves nothing, with the reason.
        unasked: Identifiers that the vendor cannot look up, with the reason.
        reasons: What shows that a change was not made, where more is known than that.
    """

    targets: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    identifiers: tuple[int, ...] = ()
    outside_plan: tuple[int, ...] = ()
    unread: Mapping[int, str] = field(factory=dict[int, str])
    unasked: Mapping[int, str] = field(factory=dict[int, str])
    reasons: Mapping[int, str] = field(factory=dict[int, str])


def paths(view: AccountView, provider: Provider) -> tuple[str, ...]:
    """Return the ways in which the plan can be verified there; see `ChangeOperation.verification_paths`."""
    ids_only = bool(view.missing) or any(not change.identifiers for change in view.changes)
    return view.operation.verification_paths(provider, ids_only=ids_only, identifiers=bool(len(view.sought)))


def reads_all(view: AccountView, provider: Provider, path: str) -> bool:
    """Return whether this path reads all contacts at once, so it is done once for all of them."""
    match path:
        case "list":
            return not lookup.tells_lists(provider)
        case "get":
            return not isinstance(provider, GetsContacts)
        case "find":
            return lookup.way(provider, view.sought) == "scan"
        case _:
            return view.operation.reads_back_all(provider)


def look(
    view: AccountView, provider: Provider, path: str, indexes: Sequence[int], paired: Callable[[Change, str], None]
) -> Flow[Seen]:
    """Verify by one of the `paths`: contacts by index, or identifiers if the path is ``find``.

    ``paired`` is told the ids of contacts that were written, as they are read.
    """
    if path == "find":
        return (yield from _look_up(view, provider, indexes))
    if path == "list":
        return (yield from _read_lists(view, provider, indexes))
    known = view.subjects(indexes)
    if path == "get":
        return (yield from _read(view, provider, known))
    read = yield from view.operation.read_back(known, provider)
    for n, id in read.ids.items():
        paired(known[n], id)
    return Seen(
        targets=tuple(n for n in known if n in read.unmade),
        unread={n: scrub(reason) for n, reason in read.unread.items()},
        reasons=read.unmade,
    )


def _read(view: AccountView, provider: Provider, known: Mapping[int, Change]) -> Flow[Seen]:
    ids = [change.contact for change in known.values()]
    read = yield from lookup.by_id(provider, ids, planned=view.ids, control=True)
    made = {n: view.operation.is_made(change, read.contacts.get(change.contact)) for n, change in known.items()}
    unmade = [n for n in known if made[n] is False]
    found = [n for n, change in known.items() if change.contact in read.contacts]
    changed = [n for n in found if not is_same_person(known[n], read.contacts[known[n].contact])]
    return Seen(
        targets=tuple(unmade),
        changed=tuple(n for n in changed if n in unmade),
        unread={
            **(dict.fromkeys(known, read.unproven) if read.unproven else {}),
            **{n: CHANGED for n in changed if n not in unmade},
            **{n: WITHOUT_ANSWER for n in known if made[n] is None},
        },
    )


def _read_lists(view: AccountView, provider: Provider, indexes: Sequence[int]) -> Flow[Seen]:
    """See who is on the lists. A list that has to be read whole is read once, whatever the number of contacts."""
    known: dict[str, lookup.ListMembers] = {}  # lists that were read whole
    targets: list[int] = []
    unread: dict[int, str] = {}
    for chunk in flows.chunks(indexes, CHUNK_SIZE):
        lists: dict[str, dict[int, Change]] = {}
        for n, change in view.subjects(chunk).items():
            lists.setdefault(change.list_id or view.plan.list_id, {})[n] = change
        for list_id, changes in lists.items():
            on_list = known.get(list_id)
            if on_list is None:
                ids = [change.contact for change in changes.values()]
                on_list = yield from lookup.on_list(provider, list_id, ids, control=True)
            if on_list.all_of_them:
                known[list_id] = on_list
            unmade = [n for n, change in changes.items() if (change.contact in on_list.ids) == view.operation.leaves]
            targets += unmade
            unread |= dict.fromkeys(changes, on_list.unproven) if on_list.unproven else {}
            read = {n: found for n, change in changes.items() if (found := on_list.contacts.get(change.contact))}
            unread |= {
                n: CHANGED for n, found in read.items() if n not in unmade and not is_same_person(changes[n], found)
            }
    return Seen(targets=tuple(sorted(targets)), unread=unread)


def _look_up(view: AccountView, provider: Provider, indexes: Sequence[int]) -> Flow[Seen]:
    ours, others = bytearray(len(view.sought)), set[int]()
    doubts: dict[int, str] = {}
    unasked: dict[int, str] = {}

    def take(look_up: lookup.LookUp) -> None:
        for identifier, contacts in look_up.found.matches.items():
            if (n := view.sought.find(identifier)) is None:
                continue
            for contact in contacts:
                if contact.id in view.ids:
                    ours[n] = 1
                else:
                    others.add(n)
        wrong = dict.fromkeys(look_up.found.mismatched, "the vendor answered with a contact that does not have it")
        for reasons, to in (({**look_up.unproven, **wrong}, doubts), (look_up.found.unasked, unasked)):
            for identifier, reason in reasons.items():
                if (n := view.sought.find(identifier)) is not None:
                    to[n] = reason

    whole = len(indexes) == len(view.sought)
    wanted = view.sought if whole else list(view.sought.at(indexes).values())
    yield from lookup.search(provider, wanted, take, planned=view.ids, control=True)
    return Seen(
        identifiers=tuple(n for n in indexes if ours[n]),
        outside_plan=tuple(n for n in indexes if n in others),
        unread={n: doubts[n] for n in indexes if n in doubts and not ours[n] and n not in others},
        unasked={n: scrub(unasked[n]) for n in indexes if n in unasked},
    )
