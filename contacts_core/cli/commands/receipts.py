"""Commands about receipts and tombstones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contacts_core.cli.app import Command, section
from contacts_core.cli.options import (
    AnonymousIds,
    Emails,
    ExternalIds,
    Json,
    Phones,
    Yes,
    identifiers,
    input_file,
    output_file,
    several,
)

if TYPE_CHECKING:
    from contacts_core.plans import Receipt
    from contacts_core.storage.pseudonyms import PseudonymKey

NOT_COVERED = "not covered"
ReceiptFile = Annotated[
    Path, typer.Argument(metavar="FILE", parser=input_file, help="A receipt; - is stdin.", show_default=False)
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage", metavar="PLACE", help="Where receipt key and tombstones are kept: a folder or postgresql:// URL."
    ),
]

receipt = section("receipt", no_args_is_help=True)


@receipt.callback()
def receipts() -> None:
    """Verify, search and print receipts; works offline.

    A receipt contains no identifiers, but with the receipt key you can check whether it covers one.

        contacts receipt verify receipt.jsonl
        contacts receipt find receipt.jsonl --email jane@example.com
        contacts receipt report receipt.jsonl
        contacts receipt report receipt.jsonl --to report.html
    """


@receipt.command("verify", cls=Command)
def receipt_verify(
    path: ReceiptFile,
    public_key: Annotated[
        str | None, typer.Option("--public-key", metavar="BASE64", help="The public key that must have signed it.")
    ] = None,
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Check that a receipt is unchanged, and who sealed or signed it.

    The hashes only show that the file is not damaged; anyone can recompute them. Only the seal (needs the receipt key)
    or the signature (needs the public key that you expect) proves who wrote it. Exits 0 if one of them is valid, 3 if
    neither could be checked, and 1 if one is wrong.

        contacts receipt verify receipt.jsonl
        contacts receipt verify receipt.jsonl --public-key BASE64
    """
    from contacts_core.cli import output
    from contacts_core.cli.prompts import leave

    found, key = _receipt(path), _key(storage)
    sealed = found.sealed_by(key) if key else None
    signed = found.signed_by(public_key) if public_key is not None else None
    authentic = bool(sealed or signed)
    if as_json:
        told = {"lines": len(found.lines), "run": found.run, "state": found.state, "sealed": sealed, "signed": signed}
        output.document({**told, "authentic": authentic, "public_key": found.public_key or None})
    else:
        what = f"{len(found.lines)} lines, run {found.run}, {found.state}"
        output.show(f"whole: {what}" if authentic else f"its hashes agree: {what}")
        output.show(_about_seal(found.key_id, key.id if key else "", sealed))
        if not found.signed:
            output.show("not signed")
        elif signed is None:
            output.show(f"signed by {found.public_key}; name the key you expect with --public-key")
        else:
            output.show("signed by that key" if signed else f"NOT signed by that key but by {found.public_key}")
        if not authentic:
            output.show("nothing proves who wrote this file: anyone can write one with matching hashes")
    foreign = sealed is False and key is not None and found.key_id != key.id  # another key than ours made the seal
    if signed is False or (sealed is False and not (foreign and signed)):
        leave(output.Exit.FAILED)
    leave(output.Exit.DONE if authentic else output.Exit.PARTIAL)


@receipt.command("find", cls=Command)
def receipt_find(
    path: ReceiptFile,
    email: Emails = None,
    phone: Phones = None,
    external_id: ExternalIds = None,
    anonymous_id: AnonymousIds = None,
    accounts: Annotated[
        list[str] | None,
        several(
            "--accounts", "NAME,NAME", "Accounts in which they must be absent. Default: all accounts of the receipt."
        ),
    ] = None,
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Look up whether an identifier was erased; needs the receipt key.

    A receipt covers only the accounts that it names. Exits 0 if it lists every identifier as absent in each of the
    accounts, otherwise 3.

        contacts receipt find receipt.jsonl --email jane@example.com
        contacts receipt find receipt.jsonl --email jane@example.com --accounts marketing,crm
    """
    from contacts_core.cli import output
    from contacts_core.cli.prompts import leave
    from contacts_core.errors import ConfigurationError

    wanted = identifiers(email, phone, external_id, anonymous_id)
    if not wanted:
        raise typer.BadParameter("say which: identifiers such as --email")
    where = accounts or []
    read, key = _receipt(path), _key(storage)
    if key is None:
        raise ConfigurationError(
            "there is no receipt key here, and a receipt cannot be searched without it",
            hint="name the key it was written with: CONTACTS_RECEIPT_KEY",
        )
    findings = [each for each in read.find(wanted, key) if not where or each.account in where]
    uncovered = read.uncovered(wanted, key, where)
    if as_json:
        missing = [{"identifier": each, "account": name, "state": NOT_COVERED} for each, name in uncovered]
        output.document([*findings, *missing])
    else:
        output.show(f"{read.kind} in {', '.join(read.accounts)}, {read.state}; it covers no other accounts")
        columns = ("identifier", "account", "person", "contacts found", "now", "because")
        rows = [[f.identifier.masked, f.account, f.person, f.found, f.state, f.reason] for f in findings]
        rows += [
            [each.masked, name, None, None, NOT_COVERED, _why_not(name, read.accounts)] for each, name in uncovered
        ]
        output.show(output.rows(output.table(*columns), rows))
    absent = not uncovered and all(each.state == "absent" for each in findings)
    leave(output.Exit.DONE if absent else output.Exit.PARTIAL)


@receipt.command("report", cls=Command)
def receipt_report(
    path: ReceiptFile,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="FILE",
            parser=output_file,
            help="The page to write. Default: the name of the receipt with .html.",
            show_default=False,
        ),
    ] = None,
    title: Annotated[str, typer.Option("--title", help="The title of the page.")] = "",
    storage: Storage = None,
) -> None:
    """Write a receipt as one page to read and print.

    The page is a single file, loads nothing from the network and contains no identifiers. With the receipt key, the
    seal is checked first.

        contacts receipt report receipt.jsonl --to report.html
    """
    from contacts_core.cli import output
    from contacts_core.plans import ReceiptBroken
    from contacts_core.plans.receipts.report import ReportSource, html_parts
    from contacts_core.storage.private_files import owner_only

    if to is None and path == Path("-"):
        raise typer.BadParameter("a receipt from stdin has no name; name the page with --to")
    found, key = _receipt(path), _key(storage)
    sealed = found.sealed_by(key) if key else False
    if key and found.key_id == key.id and not sealed:
        raise ReceiptBroken(len(found.lines), "its seal was not made with the key that it names")
    page = to or path.with_suffix(".html")
    with owner_only(page) as file:
        file.writelines(html_parts(ReportSource.of(found), title=title, sealed=sealed))
    output.note(f"written to {page}")


tombstones = section("tombstones", no_args_is_help=True)


@tombstones.callback()
def marks() -> None:
    """Count or remove the tombstones of erased people.

    A tombstone is the pseudonym of an erased identifier. While it exists, upserts and imports do not write that person.

        contacts tombstones count
        contacts tombstones lift --email jane@example.com
    """


@tombstones.command("count", cls=Command)
def tombstones_count(storage: Storage = None, as_json: Json = False) -> None:
    """Count the tombstones.

    There is one for each identifier of each erased person.

        contacts tombstones count
    """
    from contacts_core.cli import output
    from contacts_core.storage.database import locate_storage as place
    from contacts_core.storage.tombstones import Tombstones

    kept = place(storage)
    number = len(Tombstones(kept)) if kept.exists else 0
    if as_json:
        output.document({"count": number})
    else:
        output.show(f"{number} identifier(s)")


@tombstones.command("lift", cls=Command)
def tombstones_lift(
    email: Emails = None,
    phone: Phones = None,
    external_id: ExternalIds = None,
    anonymous_id: AnonymousIds = None,
    yes: Yes = False,
    storage: Storage = None,
) -> None:
    """Remove the tombstones of somebody who signed up again.

    Name every identifier that they use now, because each has a tombstone of its own.

        contacts tombstones lift --email jane@example.com
    """
    from contacts_core.cli import output
    from contacts_core.cli.formatting import told
    from contacts_core.cli.prompts import ask, to_be_asked
    from contacts_core.storage.database import locate_storage as place
    from contacts_core.storage.tombstones import Tombstones

    wanted = identifiers(email, phone, external_id, anonymous_id)
    if not wanted:
        raise typer.BadParameter("name the identifiers, such as --email")
    whole = to_be_asked(yes=yes)
    ask(["about to let imports write again:", *(f"  {told(each, whole=whole)}" for each in wanted)], yes=yes)
    kept = place(storage)
    output.show(f"{Tombstones(kept).remove(wanted) if kept.exists else 0} tombstone(s) removed")


def _receipt(path: Path) -> Receipt:
    """The receipt in a file, which is read again when it is needed, or on standard input."""
    from contacts_core.formats import readable
    from contacts_core.plans import Receipt

    with readable(path) as file:
        return Receipt.load(path) if str(path) != "-" and path.is_file() else Receipt.read(file)


def _key(storage: str | None) -> PseudonymKey | None:
    """The receipt key; None where there is none to check by."""
    from contacts_core.storage.database import locate_storage as place

    kept = place(storage)
    return kept.key() if kept.has_key else None


def _about_seal(theirs: str, ours: str, sealed: bool | None) -> str:
    match sealed:
        case None:
            return "seal not checked: no key here"
        case True:
            return "sealed with our key"
        case False if theirs != ours:
            return f"NOT sealed with our key: it names the key {theirs}, and ours is {ours}"
        case False:
            return "NOT sealed with our key, though it names it: the file was changed"


def _why_not(account: str, accounts: Sequence[str]) -> str:
    return "not in this receipt" if account in accounts else "the receipt does not cover this account"
