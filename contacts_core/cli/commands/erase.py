"""`contacts erase`: an erasure from the plan to the receipt, in one command."""

from __future__ import annotations

from typing import Annotated

import typer

from contacts_core.cli.commands.apply import Patience, ReceiptFile, carry_out, confirm
from contacts_core.cli.commands.plan import (
    Accounts,
    Follow,
    KeepSuppressions,
    MailData,
    MaxContacts,
    MaxShare,
    PeopleFile,
    erasure,
    planned,
    show,
)
from contacts_core.cli.options import AnonymousIds, Emails, ExternalIds, Json, Phones, Storage, Yes, identifiers


def erase(
    accounts: Accounts,
    email: Emails = None,
    phone: Phones = None,
    external_id: ExternalIds = None,
    anonymous_id: AnonymousIds = None,
    from_file: PeopleFile = None,
    follow: Follow = "no",
    keep_suppressions: KeepSuppressions = False,
    mail_data: MailData = False,
    max_contacts: MaxContacts = None,
    max_share: MaxShare = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    yes: Yes = False,
    receipt: ReceiptFile = None,
    timeout: Patience = 900.0,
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Erase people: plan, ask, apply, write the receipt.

    All identifiers given as options belong to one person; a file has one person per row. The plan lists every contact
    that would be deleted and why. After you confirm, the contacts are deleted and looked up again, and the result is
    written to a receipt. Exits 3 if a contact is still there, or if that is unknown. To have a plan reviewed before it
    is applied, use `contacts plan erase` and `contacts apply`.

        contacts erase --email jane@example.com --accounts marketing,crm --dry-run
        contacts erase --email jane@example.com --accounts marketing,crm --receipt receipt.jsonl
        contacts erase --from-file leavers.csv --accounts marketing,crm --yes
    """
    from contacts_core.cli import output

    make = erasure(
        accounts,
        identifiers(email, phone, external_id, anonymous_id),
        from_file,
        follow,
        max_contacts,
        max_share,
        keep_suppressions=keep_suppressions,
        mail_data=mail_data,
    )
    plan = planned(accounts, make)
    if dry_run:
        if as_json:
            output.text_lines(plan.lines())
        else:
            show(plan)
        output.note("nothing was changed")
        return
    confirm(plan, storage, yes=yes)
    carry_out(plan, receipt, storage, timeout, as_json=as_json)
