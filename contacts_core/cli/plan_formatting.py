"""Plans and runs in words; identifiers are masked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from contacts_core.cli.formatting import some, told
from contacts_core.plans import AccountPlan, DataSubject, Plan
from contacts_core.plans.change_operations import repetition_warning
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.rows import indexes_by_person
from contacts_core.provider import flows

__all__ = ["account_rows", "contact_rows", "notes", "span", "stage_rows", "summary"]

SHOWN = 20
STAGES = {
    "create_custom_field": "create custom fields",
    "create_list": "create lists",
    "ensure_consent_scopes": "create scopes of consent",
    "write_consent": "write consent, and read it back",
    "confirm_consent": "check that refusals stay in force",
    "upsert_contacts": "write contacts",
    "change_contact": "change fields",
    "add_to_list": "put on lists",
    "remove_from_list": "take off lists",
    "remove_identifier": "remove identifiers",
    "delete_contacts": "delete contacts",
}


def summary(plan: Plan) -> str:
    """What it is about, in a line."""
    if kind_of(plan.kind).about_people:
        return f"plan to {plan.kind}: {len(plan.people)} asked for, {plan.contacts} contact(s) found"
    held = sum(len(part.held) for part in plan.accounts)
    left = f", {held} left alone" if held else ""
    return f"plan to {plan.kind}: {len(plan.people)} people, {plan.contacts} change(s){left}"


def stage_rows(plan: Plan) -> Iterator[list[object]]:
    """The stages of each account, if there are several."""
    kind = kind_of(plan.kind)
    for part in plan.accounts:
        stages = part.stages(kind)
        if len(stages) > 1:
            for number, stage in enumerate(stages, 1):
                yield [part.account, f"{number}. {STAGES.get(stage.operation, stage.operation)}", stage.count]


def account_rows(plan: Plan) -> Iterator[list[object]]:
    """One row for each account."""
    ways = {"look-up": "look-up", "scan": "reading every contact"}
    for part in plan.accounts:
        remarks = [
            *(["done later, as jobs of the vendor"] if part.queued else []),
            *(["emulated: read, changed, written back"] if part.emulated else []),
        ]
        touched = f"{len(part.changes)} of {part.size}" if part.size is not None else len(part.changes)
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
        for change in part.changes[:SHOWN]:
            who = [told(i, whole=whole) for i in (change.removes or change.identifiers)]
            if not (change.contact or who):
                who = [str(change.write.get("name", ""))]
            yield [part.account, change.contact or "(new)", who, ", ".join(map(str, change.people)), change.reason]
        if len(part.changes) > SHOWN:
            yield [part.account, f"and {len(part.changes) - SHOWN} more", "", "", ""]


def notes(plan: Plan, *, whole: bool = False) -> Iterator[str]:
    """What else there is to know before it is applied."""
    about_people = kind_of(plan.kind).about_people
    if not plan.contacts and about_people:
        yield "no contact was found: applying this plan changes nothing and only looks again"
    elif not plan.contacts:
        yield "there is nothing to do: everything is as it should be"
    for part in plan.accounts:
        yield from _held_and_lost(part)
    for part in plan.accounts:
        unknown = {each.identifier for each in part.unasked}
        missing = [p for p in _not_found(plan, part) if unknown.isdisjoint(p.identifiers)] if about_people else []
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
        if part.changes and part.residual_data:
            yield f"not reached at {part.account}:"
            yield from (f"  {what}: {why}" for what, why in part.residual_data.items())
    yield f"checksum {plan.checksum}"


def _held_and_lost(part: AccountPlan) -> Iterator[str]:
    """What the plan leaves alone, what the account does not keep, and what may be there twice after a crash."""
    counts = Counter((held.reason, bool(held.identifiers or held.source)) for held in part.held)
    for (reason, is_contact), count in counts.most_common(SHOWN):
        yield f"left alone: {count} contact(s), because {reason}" if is_contact else f"left alone: {reason}"
    if part.losses:
        lost = [f"{loss.code.value}:{loss.field} ({loss.count})" for loss in part.losses]
        yield f"{part.account} does not keep: {some(lost)}"
    if warning := repetition_warning(part.non_idempotent):
        yield f"{part.account}: {warning}"


def _not_found(plan: Plan, part: AccountPlan) -> Iterator[DataSubject]:
    """The people of whom the account has no contact."""
    for chunk in flows.chunks(plan.people, 500):
        found = indexes_by_person(part.changes, [person.number for person in chunk])
        yield from (person for person in chunk if person.number not in found)


def span(seconds: float) -> str:
    """A time in a word."""
    if seconds < 1:
        return "no time"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
