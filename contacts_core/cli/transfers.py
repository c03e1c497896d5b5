"""What the commands that plan to write contacts share: options, the source, and the table of losses."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contacts_core.cli import completion
from contacts_core.cli.options import several
from contacts_core.cli.sources import file_of, opened_source, query

if TYPE_CHECKING:
    from contacts_core.models import Contact
    from contacts_core.plans import LossesNotAccepted, PairHandler, Plan, SafetyLimits

__all__ = [
    "AcceptLoss",
    "ConsentIn",
    "CreateFields",
    "CreateLists",
    "New",
    "NoOldIds",
    "Old",
    "Unsubscribed",
    "copying",
    "field_map_of",
    "losses_told",
    "upserting",
]

Old = Annotated[
    str,
    typer.Argument(
        metavar="OLD",
        help="The account to copy from, or a file: FILE.csv, FILE.jsonl, or - for JSON Lines from stdin.",
        show_default=False,
        autocompletion=completion.accounts,
    ),
]
New = Annotated[
    str,
    typer.Argument(
        metavar="NEW", help="The account to copy to.", show_default=False, autocompletion=completion.accounts
    ),
]
CreateFields = Annotated[
    bool, typer.Option("--create-fields", help="Create custom fields that are needed and missing.")
]
CreateLists = Annotated[
    bool, typer.Option("--create-lists", help="Create lists, and scopes of consent, that are needed and missing.")
]
AcceptLoss = Annotated[
    list[str] | None,
    several("--accept-loss", "CODE[:FIELD]", "Go on although this is lost, as the table of losses names it."),
]
Unsubscribed = Annotated[
    str,
    typer.Option(
        "--unsubscribed",
        metavar="keep|skip",
        help="Copy people who opted out, with their refusal, or only the refusal.",
    ),
]
ConsentIn = Annotated[
    str,
    typer.Option(
        "--consent-in",
        metavar="field:NAME|tag:NAME",
        help="Keep consent in this custom field or tag, if a vendor has no place for it.",
        show_default=False,
    ),
]
NoOldIds = Annotated[
    bool,
    typer.Option(
        "--no-old-ids", help="Do not keep the ids of OLD as external ids of the contacts that are created at NEW."
    ),
]


def upserting(
    account: str,
    from_file: Path,
    map_file: Path | None,
    accept_loss: list[str] | None,
    limits: SafetyLimits,
    *,
    create_fields: bool,
    create_lists: bool,
    on_pair: PairHandler | None = None,
) -> Callable[[], Plan]:
    """What plans to write the contacts of a file; nothing is read before it is called."""
    from contacts_core.plans import plan_upsert

    field_map = field_map_of(map_file)

    def make() -> Plan:
        with _contacts(from_file, field_map) as contacts:
            return plan_upsert(
                account,
                contacts,
                field_map=field_map,
                create_fields=create_fields,
                create_lists=create_lists,
                accept_losses=accept_loss or (),
                limits=limits,
                on_pair=on_pair,
            )

    return make


def copying(
    old: str,
    new: str,
    map_file: Path | None,
    only: str | None,
    unsubscribed: str,
    consent_in: str,
    accept_loss: list[str] | None,
    limits: SafetyLimits,
    *,
    create_fields: bool,
    create_lists: bool,
    old_ids: bool = True,
    on_pair: PairHandler | None = None,
) -> tuple[list[str], Callable[[], Plan]]:
    """The accounts that are read, and what plans to copy an account, or a file; nothing is read before it is called."""
    from contacts_core.plans import Unsubscribed as What
    from contacts_core.plans import plan_copy

    try:
        kept = What(unsubscribed)
    except ValueError:
        raise typer.BadParameter("--unsubscribed is keep or skip") from None
    if path := file_of(old):
        if only or consent_in or kept is What.SKIP:
            raise typer.BadParameter(
                "--only, --consent-in and --unsubscribed are for accounts; a file holds contacts, and not who refused"
            )
        return [new], upserting(
            new,
            path,
            map_file,
            accept_loss,
            limits,
            create_fields=create_fields,
            create_lists=create_lists,
            on_pair=on_pair,
        )
    field_map = field_map_of(map_file)

    def make() -> Plan:
        return plan_copy(
            old,
            new,
            only=query(old, only) if only else None,
            field_map=field_map,
            create_fields=create_fields,
            create_lists=create_lists,
            unsubscribed=kept,
            consent_in=consent_in,
            old_ids=old_ids,
            accept_losses=accept_loss or (),
            limits=limits,
            on_pair=on_pair,
        )

    return [old, new], make


def field_map_of(path: Path | None) -> Any:
    """The map of a file; None without one."""
    from contacts_core.plans import FieldMap

    return FieldMap.read(path) if path else None


@contextmanager
def _contacts(path: Path, field_map: Any) -> Generator[Iterator[Contact]]:
    """The contacts of a file. One without contacts is more likely a mistake than a wish."""
    from contacts_core.errors import InvalidInput

    with opened_source(path, field_map.columns if field_map else None) as contacts:
        first = next(contacts, None)
        if first is None:
            raise InvalidInput("the input holds no contact, so no plan was made")
        yield chain([first], contacts)


@contextmanager
def losses_told(*, as_json: bool) -> Generator[None]:
    """Show what would be lost, if a plan is refused for it."""
    from contacts_core.plans import LossesNotAccepted

    try:
        yield
    except LossesNotAccepted as error:
        if not as_json:
            _show_losses(error)
        raise


def _show_losses(error: LossesNotAccepted) -> None:
    from contacts_core.cli import output

    rows = (
        [row.stage, row.name, row.count, row.detail, row.samples, row.hint if row.held or row in error.left else ""]
        for row in error.losses
    )
    columns = ("part", "loss", "how many", "why", "samples", "what to do")
    output.show(output.rows(output.table(*columns, for_people=True), rows), stderr=True)
