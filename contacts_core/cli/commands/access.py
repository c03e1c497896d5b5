"""`contacts access`: what the accounts hold about a person, as an archive. It only reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contacts_core.cli.commands.plan import Accounts, Follow, announce_scans
from contacts_core.cli.options import (
    AnonymousIds,
    Emails,
    ExternalIds,
    Json,
    Phones,
    Storage,
    identifiers,
    output_file,
)

if TYPE_CHECKING:
    from contacts_core.access import AccessReport, AccountAccess


def access(
    accounts: Accounts,
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE", parser=output_file, help="The archive to write.", show_default=False)
    ],
    email: Emails = None,
    phone: Phones = None,
    external_id: ExternalIds = None,
    anonymous_id: AnonymousIds = None,
    follow: Follow = "no",
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Write what is held about a person into an archive.

    It only reads. All identifiers belong to one person. The archive is a ZIP file that only you can read. It has a page
    to read and print, every contact as JSON and as the vendor sent it, checksums, and a receipt without the person's
    identifiers. A contact that may be of another person, because it shares a number but has other e-mail addresses, is
    left out; to include it, give an identifier of its own. Exits 3 if something could not be read or was left out: the
    page says what, in its first lines.

        contacts access --email jane@example.com --accounts marketing,crm --to jane.zip
        contacts access --email jane@example.com --phone +12025550123 --accounts crm --follow once --to jane.zip
    """
    from contacts_core.access import access_report
    from contacts_core.cli import output
    from contacts_core.cli.prompts import leave
    from contacts_core.plans import IdentifierExpansion

    wanted = identifiers(email, phone, external_id, anonymous_id)
    if not wanted:
        raise typer.BadParameter("name the person: identifiers such as --email")
    try:
        expansion = IdentifierExpansion(follow)
    except ValueError:
        raise typer.BadParameter("--follow is no, once or all") from None
    announce_scans(accounts, wanted)
    with output.progress(f"looking in {', '.join(accounts)}"):
        report = access_report(wanted, accounts, follow=expansion)
    receipt = report.save(to, storage=storage)
    if as_json:
        told = {"archive": str(to), "complete": report.complete, "contacts": report.contact_count}
        output.document({**told, "receipt": receipt.run, "accounts": [_plain(each) for each in report.accounts]})
    else:
        _show(report)
        output.note(f"nothing was changed; written to {to}, which holds personal data")
    leave(output.Exit.DONE if report.complete else output.Exit.PARTIAL)


def _plain(account: AccountAccess) -> dict[str, object]:
    return {
        "account": account.account,
        "contacts": [access.contact.id for access in account.contacts],
        "complete": account.complete,
        "error": account.error,
        "unknown": [{"identifier": each, "reason": reason} for each, reason in account.unknown.items()],
        "left_out": list(account.withheld),
        "gaps": list(account.gaps),
    }


def _show(report: AccessReport) -> None:
    from contacts_core.cli import output

    table = output.table("account", "vendor", "contacts", "remarks", for_people=True)
    rows = [[each.account, each.title, len(each.contacts), _remarks(each)] for each in report.accounts]
    output.show(output.rows(table, rows))
    if report.suggestions:
        others = ", ".join(identifier.masked for identifier in report.suggestions)
        output.note(f"not looked up themselves: {others}; --follow once does that")


def _remarks(account: AccountAccess) -> list[str]:
    remarks = [f"not read: {account.error}"] if account.error else []
    remarks += [f"{identifier.masked}: {reason}" for identifier, reason in account.unknown.items()]
    if account.withheld:
        remarks.append(f"left out, may be of another person: {', '.join(account.withheld)}")
    return [*remarks, *account.gaps]
