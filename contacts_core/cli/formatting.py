"""Results in words: what the vendor said, and no more than that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from contacts_core.cli.output import Exit
from contacts_core.errors import Interrupted
from contacts_core.models import Contact, Identifier, IdentifierKind, Job, JobState, Outcome, OutcomeState
from contacts_core.models.identifiers import scrub

__all__ = [
    "contact_lines",
    "interrupted",
    "interrupted_document",
    "job",
    "job_code",
    "outcome",
    "outcome_code",
    "some",
    "told",
    "who",
]

SHOWN = 10

STATES = {
    OutcomeState.ACCEPTED: "accepted, not done",
    OutcomeState.DONE: "done",
    OutcomeState.PARTIAL: "partly done",
    OutcomeState.FAILED: "failed",
}
JOB_STATES = {
    JobState.PENDING: "is pending",
    JobState.DONE: "is done",
    JobState.PARTIAL: "is done in part",
    JobState.FAILED: "failed",
    JobState.UNKNOWN: "cannot be read at this vendor; read the contacts again instead",
}
OUTCOME_CODES = {OutcomeState.PARTIAL: Exit.PARTIAL, OutcomeState.FAILED: Exit.FAILED}
JOB_CODES = {JobState.PARTIAL: Exit.PARTIAL, JobState.UNKNOWN: Exit.PARTIAL, JobState.FAILED: Exit.FAILED}


def outcome_code(outcome: Outcome) -> Exit:
    """The exit code that tells how an operation stands."""
    return OUTCOME_CODES.get(outcome.state, Exit.DONE)


def job_code(job: Job) -> Exit:
    """The exit code that tells how a job stands."""
    return JOB_CODES.get(job.state, Exit.DONE)


def outcome(outcome: Outcome, account: str) -> list[str]:
    """An outcome in lines, identifiers masked."""
    nothing = outcome.requested and len(outcome.absent) == outcome.requested
    return _outcome(outcome, account, "nothing was there" if nothing else STATES[outcome.state])


def interrupted(error: Interrupted, account: str) -> list[str]:
    """What an operation reached that stopped half-way, in lines, identifiers masked."""
    unclear, unsent = len(error.uncertain), len(error.unsent)
    lines = _outcome(error.outcome, account, "interrupted", unclear, unsent)
    if unclear:
        lines.append(f"  unclear, may or may not have been carried out: {some(map(_masked, error.uncertain))}")
    if unsent:
        lines.append(f"  not sent: {some(map(_masked, error.unsent))}")
    return lines


def interrupted_document(error: Interrupted) -> dict[str, Any]:
    """The same for JSON, identifiers whole; ``state`` is ``interrupted``, and ``requested`` counts everything."""
    from contacts_core.formats import plain

    told: dict[str, Any] = plain(error.outcome)
    requested = error.outcome.requested + len(error.uncertain) + len(error.unsent)
    rest = {"uncertain": plain(list(error.uncertain)), "unsent": plain(list(error.unsent))}
    return {**told, **rest, "requested": requested, "state": "interrupted"}


def _masked(item: object) -> str:
    match item:
        case Contact():
            return scrub(item.display_id)
        case Identifier():
            return item.masked
        case _:
            return scrub(str(item))


def _outcome(outcome: Outcome, account: str, state: str, unclear: int = 0, unsent: int = 0) -> list[str]:
    numbers = [
        f"{outcome.requested + unclear + unsent} asked for",
        *_number(outcome.succeeded_count, "confirmed"),
        *_number(len(outcome.absent), "not there"),
        *_number(outcome.failed_count, "refused"),
        *_number(outcome.unconfirmed, "not confirmed"),
        *_number(unclear, "unclear"),
        *_number(unsent, "not sent"),
    ]
    lines = [f"{outcome.operation}: {state} ({', '.join(numbers)})"]
    for each in outcome.jobs:
        lines.append(f"  {job(each)}")
        if not each.finished:
            lines.append(f"    look again: contacts job {account} {each.id} --wait")
    if outcome.absent:
        lines.append(f"  not there: {some(map(scrub, outcome.absent))}")
    lines += [f"  refused: {scrub(failure.item)}: {failure.reason}" for failure in outcome.failed[:SHOWN]]
    if len(outcome.failed) > SHOWN:
        lines.append(f"  refused: {len(outcome.failed) - SHOWN} more (all of them with --json)")
    if outcome.dropped_fields:
        lines.append(f"  not written, the vendor has no field for it: {', '.join(outcome.dropped_fields)}")
    if changed := [f"{each.field} ({each.code.value})" for each in outcome.losses if each.code.is_kept]:
        lines.append(f"  written in another form: {', '.join(changed)}")
    if outcome.emulated:
        lines.append("  emulated: read, changed, written back and read again")
    return lines


def job(job: Job) -> str:
    """A job in one line."""
    numbers = [
        *([f"{job.requested} asked for"] if job.requested else []),
        *([f"{job.succeeded} done"] if job.succeeded is not None else []),
        *([f"{job.failed} failed"] if job.failed is not None else []),
        *(f"{name} {count}" for name, count in job.counts.items()),
    ]
    files = f"; {len(job.files)} file(s) ready" if job.files else ""
    detail = f": {job.detail}" if job.detail else ""
    return f"job {job.id} {JOB_STATES[job.state]}" + (f" ({', '.join(numbers)})" if numbers else "") + files + detail


def who(contact: Contact, *, whole: bool = False) -> str:
    """A contact in one line, identifiers masked unless they are wanted whole."""
    return " ".join([contact.id, *(told(i, whole=whole) for i in contact.identifiers)])


def told(identifier: Identifier, *, whole: bool) -> str:
    """An identifier with its kind: masked for logs, whole for a person who has to confirm it."""
    return f"{identifier.key or identifier.kind.value}:{identifier.normal}" if whole else identifier.masked


def some(items: Iterable[str], most: int = SHOWN) -> str:
    """The first of several items, and how many more there are."""
    listed = list(items)
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more} more" if more > 0 else "")


def contact_lines(contact: Contact) -> list[tuple[str, str]]:
    """Everything known of a contact, unmasked: it is what was asked for."""
    address = contact.address
    place = (
        [address.line1, address.line2, address.city, address.region, address.postal_code, address.country]
        if address
        else []
    )
    values: list[tuple[str, object]] = [
        ("id", contact.id),
        *((i.key or i.kind.value, f"{i.value}{' (primary)' if i.primary else ''}") for i in contact.identifiers),
        ("name", contact.name),
        ("organization", contact.organization),
        ("title", contact.title),
        ("address", (address and address.formatted) or ", ".join(filter(None, place))),
        ("lists", ", ".join(contact.lists or ()) if contact.lists is not None else "not told by the vendor"),
        ("tags", ", ".join(contact.tags)),
        ("created", contact.created_at),
        ("updated", contact.updated_at),
        *((f"custom: {name}", value) for name, value in contact.custom.items()),
        *((f"extra: {name}", value) for name, value in contact.extra.items()),
    ]
    return [(name, str(value)) for name, value in values if value not in (None, "", (), [], {})]


def contact_row(contact: Contact) -> list[object]:
    """A contact as a row of a table, unmasked."""
    emails = contact.identifiers_of(IdentifierKind.EMAIL)
    phones = contact.identifiers_of(IdentifierKind.PHONE)
    others = [i for i in contact.identifiers if i not in emails and i not in phones]
    return [
        contact.id,
        contact.name,
        [i.value for i in emails],
        [i.normal for i in phones],
        [f"{i.key or i.kind.value}: {i.value}" for i in others],
    ]


CONTACT_COLUMNS = ("id", "name", "email", "phone", "other identifiers")


def _number(count: int, what: str) -> list[str]:
    return [f"{count} {what}"] if count else []
