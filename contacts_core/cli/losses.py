"""What an account would not keep of contacts as it is given: counted, shown, and accepted by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from contacts_core.cli.errors import Refused
from contacts_core.cli.output import document, rows, show, table
from contacts_core.client import Contacts
from contacts_core.models import Contact, Shape
from contacts_core.operations.losses import AcceptedLosses, LossRow, LossTable, unaccepted

__all__ = ["plain_losses", "refuse_losses", "show_losses", "survey", "tell"]

MOST_NAMED = 5


def survey(client: Contacts[Any], contacts: Iterable[Contact]) -> LossTable:
    """Count what contacts would lose; nothing is written."""
    shape: Shape = client.shape()
    found = LossTable()
    for contact in contacts:
        found.add_contact(contact, client.preview(contact, shape).losses)
    return found


def refuse_losses(found: LossTable, accepted: AcceptedLosses) -> None:
    """Refuse to go on if there are losses that nobody accepted.

    Raises:
        Refused: There are such; nothing was sent.
    """
    if not (left := unaccepted(found.rows, accepted)):
        return
    named = [f"{row.name} ({row.count})" for row in left[:MOST_NAMED]]
    more = [f"and {len(left) - MOST_NAMED} more"] if len(left) > MOST_NAMED else []
    raise Refused(
        f"nothing was sent: contacts would lose {', '.join([*named, *more])}",
        hint=f"look with --dry-run; accept what may be lost by name, such as --accept-loss {left[0].name}",
    )


def tell(found: LossTable, *, as_json: bool) -> None:
    """Show the losses as a table, or as one JSON document."""
    if as_json:
        document({"contacts": found.contacts, "unchanged": found.unchanged, "losses": [*map(plain_loss, found.rows)]})
        return
    show_losses(found.rows)
    show(f"{found.contacts} contact(s), of which {found.unchanged} would lose nothing; nothing was written")


def show_losses(found: Sequence[LossRow], *, hints: bool = False) -> None:
    """Show losses as a table, if there are any, each with what can be done about it if that is wanted."""
    if found:
        columns = ("field", "code", "contacts", "why", "samples")
        values = (
            [row.field, row.code.value, row.count, row.detail, row.samples, *([row.hint] if hints else [])]
            for row in found
        )
        show(rows(table(*columns, *(["what to do"] if hints else [])), values))


def plain_losses(found: Sequence[LossRow]) -> list[dict[str, Any]]:
    """Return losses as plain data, each with its stage and what can be done about it."""
    return [{"stage": row.stage, **plain_loss(row), "hint": row.hint} for row in found]


def plain_loss(row: LossRow) -> dict[str, Any]:
    """Return a loss as plain data."""
    told = {"field": row.field, "code": row.code.value, "count": row.count}
    return {**told, "detail": row.detail, "samples": row.samples}
