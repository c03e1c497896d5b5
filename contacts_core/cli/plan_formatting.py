"""Plans and runs in words; identifiers are masked."""

from __future__ import annotations

from collections.abc import Iterator

from contacts_core.cli.formatting import some, told
from contacts_core.plans import Plan

__all__ = ["account_rows", "contact_rows", "notes", "span"]

SHOWN = 20


def account_rows(plan: Plan) -> Iterator[list[object]]:
    """One row for each account."""
    ways = {"look-up": "look-up", "scan": "reading every contact"}
    for part in plan.accounts:
        remarks = [
            *(["done later, as jobs of the vendor"] if part.queued else []),
            *(["emulated: read, changed, written back"] if part.emulated else []),
        ]
        touched = f"{len(part.targets)} of {part.size}" if part.size is not None else len(part.targets)
        yield [
            part.account,
            part.title,
            touched,
            ways[part.read],
            part.requests,
            span(part.seconds),
            "; ".join(remarks),
        ]


def contact_rows(plan: Plan, *, whole: bool = False) -> Iterator[list[object]]:
    """The first contacts of each account, each with the reason."""
    for part in plan.accounts:
        for target in part.targets[:SHOWN]:
            who = [told(i, whole=whole) for i in (target.removes or target.identifiers)]
            yield [part.account, target.contact, who, ", ".join(map(str, target.people)), target.reason]
        if len(part.targets) > SHOWN:
            yield [part.account, f"and {len(part.targets) - SHOWN} more", "", "", ""]


def notes(plan: Plan, *, whole: bool = False) -> Iterator[str]:
    """What else there is to know before it is applied."""
    if not plan.contacts:
        yield "no contact was found: applying this plan changes nothing and only looks again"
    for part in plan.accounts:
        found = {number for target in part.targets for number in target.people}
        unknown = {each.identifier for each in part.unasked}
        missing = [p for p in plan.people if p.number not in found and unknown.isdisjoint(p.identifiers)]
        if ids := [person.contact for person in missing if person.contact]:
            yield f"there is no such contact in {part.account}: {some(ids)}"
        if numbers := [f"{person.number}" for person in missing if not person.contact]:
            yield f"not in {part.account}: person {some(numbers)}"
        if part.unasked:
            unasked = [f"{told(each.identifier, whole=whole)} ({each.reason})" for each in part.unasked]
            yield f"could not be looked up in {part.account}: {some(unasked)}"
    if followed := sum(len(person.followed) for person in plan.people):
        yield f"followed: {followed} more identifier(s) of the contacts found"
    if plan.suggestions:
        seen = [f"{told(s.identifier, whole=whole)} (person {s.person}, from {s.account})" for s in plan.suggestions]
        yield f"following would look for: {some(seen)}; see --follow"
    for part in plan.accounts:
        if part.targets and part.residual_data:
            yield f"not reached at {part.account}:"
            yield from (f"  {what}: {why}" for what, why in part.residual_data.items())
    yield f"checksum {plan.checksum}"


def span(seconds: float) -> str:
    """A time in a word."""
    if seconds < 1:
        return "no time"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
