"""`contacts copy`: move to another vendor, from the plan to the receipt, in one command."""

from __future__ import annotations

from typing import Annotated

import typer

from contacts_core.cli.commands.apply import Patience, ReceiptFile, carry_out, confirm
from contacts_core.cli.commands.plan import MaxContacts, MaxShare, announce_scans, limits_of, planned, show
from contacts_core.cli.ids import Ids
from contacts_core.cli.options import Json, Storage, Yes
from contacts_core.cli.sources import FieldMapFile, Only, SuggestMap, write_first_map
from contacts_core.cli.transfers import (
    AcceptLoss,
    ConsentIn,
    CreateFields,
    CreateLists,
    New,
    NoOldIds,
    Old,
    Unsubscribed,
)


def copy(
    old: Old,
    new: New,
    map_file: FieldMapFile = None,
    only: Only = None,
    create_fields: CreateFields = False,
    create_lists: CreateLists = False,
    unsubscribed: Unsubscribed = "keep",
    consent_in: ConsentIn = "",
    no_old_ids: NoOldIds = False,
    accept_loss: AcceptLoss = None,
    max_contacts: MaxContacts = None,
    max_share: MaxShare = None,
    ids: Ids = None,
    suggest_map: SuggestMap = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    yes: Yes = False,
    receipt: ReceiptFile = None,
    timeout: Patience = 900.0,
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Copy contacts to another account, and verify them.

    First it says what NEW cannot hold, and stops unless --accept-loss names it. Then what people refused is written to
    NEW and read back; only then are contacts created. Whoever is there already, as far as NEW can hold them, is left
    alone, so the same command copies what has changed since. Exits 3 if something is not verified to have arrived.

        contacts copy old new --create-fields --create-lists --dry-run
        contacts copy old new --suggest-map map.toml
        contacts copy old new --create-fields --create-lists --accept-loss DATE_LOST --receipt receipt.jsonl
        contacts copy old backup --yes
        contacts copy people.csv crm --map map.toml --ids ids.csv
    """
    from contacts_core.cli import output
    from contacts_core.cli.ids import ids_file
    from contacts_core.cli.transfers import copying, losses_told, tell_left_behind

    if suggest_map:
        write_first_map(suggest_map, old, new)
        return
    limits = limits_of(max_contacts, max_share)
    with ids_file(ids) as on_pair:
        names, make = copying(
            old,
            new,
            map_file,
            only,
            unsubscribed,
            consent_in,
            accept_loss,
            limits,
            create_fields=create_fields,
            create_lists=create_lists,
            old_ids=not no_old_ids,
            on_pair=on_pair,
        )
        tell_left_behind(old)
        announce_scans([new], None)
        with losses_told(as_json=as_json):
            plan = planned(names, make)
        if dry_run:
            if as_json:
                output.text_lines(plan.lines())
            else:
                show(plan)
            output.note("nothing was changed")
            return
        confirm(plan, storage, yes=yes)
        carry_out(plan, receipt, storage, timeout, as_json=as_json, on_pair=on_pair)
