"""What an account would not keep of contacts as it is given: counted, shown, and accepted by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer

from contacts_core.cli.errors import Refused
from contacts_core.cli.output import document, rows, show, table
from contacts_core.client import Contacts
from contacts_core.errors import InvalidInput
from contacts_core.models import Contact
from contacts_core.operations import losses
from contacts_core.operations.losses import AcceptedLosses, LossTable

__all__ = ["accepted_losses", "refuse_losses", "survey", "tell"]

MOST_NAMED = 5


def accepted_losses(values: Iterable[str] | None) -> AcceptedLosses:
    """Read the values of ``--accept-loss``.

    Raises:
        typer.BadParameter: One is no code, or has no field although its code needs one.
    """
    try:
        return losses.accepted_losses(values)
    except InvalidInput as error:
        raise typer.BadParameter(f"--accept-loss: {'; '.join(filter(None, (str(error), error.hint)))}") from None


def survey(client: Contacts[Any], contacts: Iterable[Contact]) -> LossTable:
    """Count what contacts would lose; nothing is written."""
    shape = client.shape()
    found = LossTable()
    for contact in contacts:
        found.add_contact(contact, client.preview(contact, shape).losses)
    return found


def refuse_losses(report: LossTable, accepted: AcceptedLosses) -> None:
    """Refuse to go on if there are losses that nobody accepted.

    Raises:
        Refused: There are such; nothing was sent.
    """
    if not (left := losses.unaccepted(report.rows, accepted)):
        return
    named = [f"{row.name} ({row.count})" for row in left[:MOST_NAMED]]
    more = [f"and {len(left) - MOST_NAMED} more"] if len(left) > MOST_NAMED else []
    raise Refused(
        f"nothing was sent: contacts would lose {', '.join([*named, *more])}",
        hint=f"look with --dry-run; accept what may be lost by name, such as --accept-loss {left[0].name}",
    )


def tell(report: LossTable, *, as_json: bool) -> None:
    """Show the losses as a table, or as one JSON document."""
    if as_json:
        document(
            {
                "contacts": report.contacts,
                "unchanged": report.unchanged,
                "losses": [
                    {
                        "field": row.field,
                        "code": row.code.value,
                        "count": row.count,
                        "detail": row.detail,
                        "samples": row.samples,
                    }
                    for row in report.rows
                ],
            }
        )
        return
    if report.rows:
        values = ([row.field, row.code.value, row.count, row.detail, row.samples] for row in report.rows)
        show(rows(table("field", "code", "contacts", "why", "samples"), values))
    show(f"{report.contacts} contact(s), of which {report.unchanged} would lose nothing; nothing was written")
