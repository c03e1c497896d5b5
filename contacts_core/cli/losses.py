"""What an account would not keep of contacts as it is given: counted, shown, and accepted by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import typer
from attrs import Factory, define

from contacts_core.cli.errors import Refused
from contacts_core.cli.output import document, rows, show, table
from contacts_core.client import Contacts
from contacts_core.models import Contact, Loss, LossCode, Shape
from contacts_core.models.identifiers import mask
from contacts_core.models.losses import flattened, identifier_field

__all__ = ["Accepted", "LossReport", "accepted_losses", "refuse_losses", "survey", "tell", "unaccepted"]

SAMPLES = 3
NEED_A_FIELD = (LossCode.REFUSED, LossCode.NO_CONSENT)
MOST_NAMED = 5


@define
class LossRow:
    """One kind of loss.

    Attributes:
        field: What is lost.
        code: Why.
        detail: More on it, of the first contact.
        count: How many contacts lose it.
        samples: Three of them, masked: who, and the value.
    """

    field: str
    code: LossCode
    detail: str
    count: int = 0
    samples: list[str] = Factory(list[str])

    @property
    def name(self) -> str:
        """How ``--accept-loss`` names it."""
        return f"{self.code.value}:{self.field}"


@define
class LossReport:
    """What contacts lose in an account.

    Attributes:
        contacts: How many contacts there are.
        unchanged: How many of them lose nothing.
        rows: The losses, each kind once.
    """

    contacts: int = 0
    unchanged: int = 0
    rows: list[LossRow] = Factory(list[LossRow])


Accepted = Sequence[tuple[LossCode, str]]
"""Losses that are accepted: a code, and the field, or an empty text for all fields."""


def accepted_losses(values: Iterable[str] | None) -> Accepted:
    """Read the values of ``--accept-loss``.

    Raises:
        typer.BadParameter: One is no code, or has no field although its code needs one.
    """
    found: list[tuple[LossCode, str]] = []
    for value in values or ():
        code, _, name = value.partition(":")
        if code not in LossCode.__members__:
            known = ", ".join(LossCode.__members__)
            raise typer.BadParameter(f"--accept-loss takes CODE or CODE:FIELD; the codes are {known}")
        if LossCode[code] in NEED_A_FIELD and not name:
            raise typer.BadParameter(f"--accept-loss {code} needs a field, such as {code}:email")
        found.append((LossCode[code], name))
    return found


def survey(client: Contacts[Any], contacts: Iterable[Contact]) -> LossReport:
    """Count what contacts would lose; nothing is written."""
    shape: Shape = client.shape()
    found: dict[str, LossRow] = {}
    report = LossReport()
    for contact in contacts:
        report.contacts += 1
        losses = client.preview(contact, shape).losses
        report.unchanged += not losses
        for loss in losses:
            row = LossRow(loss.field, loss.code, loss.detail)
            row = found.setdefault(row.name, row)
            row.count += 1
            if len(row.samples) < SAMPLES:
                row.samples.append(_sample(contact, loss))
    report.rows = sorted(found.values(), key=lambda row: (-row.count, row.field, row.code.value))
    return report


def _sample(contact: Contact, loss: Loss) -> str:
    who = contact.identifiers[0].masked if contact.identifiers else mask(contact.display_id)
    of_kind = [each.value for each in contact.identifiers if identifier_field(each) == loss.field]
    value = of_kind[-1] if of_kind else flattened(contact).get(loss.field)
    return who if value is None else f"{who}: {mask(str(value))}"


def unaccepted(report: LossReport, accepted: Accepted) -> list[LossRow]:
    """Return the losses that nobody accepted."""
    return [row for row in report.rows if not any(_covers(each, row) for each in accepted)]


def _covers(accepted: tuple[LossCode, str], row: LossRow) -> bool:
    code, name = accepted
    return code is row.code and (not name or row.field == name or row.field.startswith(f"{name}."))


def refuse_losses(report: LossReport, accepted: Accepted) -> None:
    """Refuse to go on if there are losses that nobody accepted.

    Raises:
        Refused: There are such; nothing was sent.
    """
    if not (left := unaccepted(report, accepted)):
        return
    named = [f"{row.name} ({row.count})" for row in left[:MOST_NAMED]]
    more = [f"and {len(left) - MOST_NAMED} more"] if len(left) > MOST_NAMED else []
    raise Refused(
        f"nothing was sent: contacts would lose {', '.join([*named, *more])}",
        hint=f"look with --dry-run; accept what may be lost by name, such as --accept-loss {left[0].name}",
    )


def tell(report: LossReport, *, as_json: bool) -> None:
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
