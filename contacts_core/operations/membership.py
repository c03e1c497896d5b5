"""Add contacts to lists, and remove them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import evolve, frozen

from contacts_core.models import Failure, Found, Identifier, Outcome
from contacts_core.operations.checks import require, several, sort_out
from contacts_core.operations.lists import check_list_name, resolve_lists
from contacts_core.operations.outcomes import completed
from contacts_core.operations.reading import find
from contacts_core.provider import AddsToLists, Flow, Provider, RemovesFromLists, TakesIdentifiers, flows

Member = str | Identifier


def remove_from_list(
    provider: Provider, list_: str, members: Iterable[Member], *, resolved: bool = False
) -> Flow[Outcome]:
    """Remove members from a list; they stay contacts.

    Args:
        provider: The account's provider.
        list_: The list by id or name.
        members: Contacts by id or identifier.
        resolved: Whether ``list_`` is an id that is known to exist.
    """
    able = require(provider, RemovesFromLists)
    change = _Change(able, RemovesFromLists, "remove_from_list", able.member_batch_size, able.remove_from_list)
    return (yield from _change_list(change, list_, members, resolved=resolved))


def add_to_list(provider: Provider, list_: str, members: Iterable[Member], *, resolved: bool = False) -> Flow[Outcome]:
    """Add members to a list. The arguments are as for `remove_from_list`."""
    able = require(provider, AddsToLists)
    change = _Change(able, AddsToLists, "add_to_list", able.member_batch_size, able.add_to_list)
    return (yield from _change_list(change, list_, members, resolved=resolved))


@frozen
class _Change:
    """How one provider adds members to a list or removes them."""

    provider: Provider
    capability: type[Provider]
    operation: str
    batch_size: int
    send: Callable[[str, Sequence[Member]], Flow[Outcome]]


def _change_list(change: _Change, list_: str, members: Iterable[Member], *, resolved: bool) -> Flow[Outcome]:
    provider, operation = change.provider, change.operation
    check_list_name(list_)
    given = list(several(members))
    identifiers = [m for m in given if isinstance(m, Identifier) and m.value.strip()]
    blank = (m.value for m in given if isinstance(m, Identifier) and not m.value.strip())
    ids, refused = sort_out(provider, [*(m for m in given if isinstance(m, str)), *blank])
    if not (ids or identifiers):
        return evolve(refused, operation=operation, provider=provider.name)
    (list_id,) = (list_,) if resolved else (yield from resolve_lists(provider, [list_]))
    unknown = Outcome()
    targets: list[Member] = [*ids, *dict.fromkeys(identifiers)]
    if identifiers and not isinstance(provider, TakesIdentifiers):
        found = yield from find(provider, identifiers)
        unknown = _not_found(found)
        targets = list(dict.fromkeys([*ids, *(c.id for i in found for c in found.get_all(i))]))

    def send(chunk: Sequence[Member]) -> Flow[Outcome]:
        flow = change.send(list_id, chunk)
        return completed(provider, change.capability, operation, flow, [_name(member) for member in chunk])

    return (
        yield from flows.in_chunks(
            operation,
            provider.name,
            targets,
            change.batch_size,
            provider.concurrency,
            send,
            _name,
            Outcome.merge(operation, provider.name, [refused, unknown]),
        )
    )


def _name(member: Member) -> str:
    return member.value if isinstance(member, Identifier) else member


def _not_found(found: Found) -> Outcome:
    """The identifiers without a contact: absent if the vendor said so, failed if it is not known."""
    absent = tuple(i.value for i in found if not (found[i] or i in found.mismatched))
    failed = [Failure(i.value, f"not looked up: {reason}") for i, reason in found.unasked.items()]
    failed += [
        Failure(i.value, f"not sent: the vendor answered the look-up with {found.mismatched[i]} other contact(s)")
        for i in found
        if i in found.mismatched and not found[i]
    ]
    return Outcome(requested=len(absent) + len(failed), absent=absent, failed=tuple(failed))
