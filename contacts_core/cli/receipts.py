"""Commands about receipts and tombstones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contacts_core.cli.options import AnonymousIds, Emails, ExternalIds, Json, Phones, Yes, identifiers
from contacts_core.cli.root import Command, section

ReceiptFile = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A receipt.", show_default=False)
]
State = Annotated[
    str | None, typer.Option("--state", metavar="PLACE", help="Folder or postgresql:// URL that keeps the key.")
]

receipt = section("receipt", no_args_is_help=True)


@receipt.callback()
def receipts() -> None:
    """Verify, search and print receipts; works offline.

    A receipt holds no identifier; whoever has the receipt key can ask it for one.

        contacts receipt verify receipt.jsonl
        contacts receipt find receipt.jsonl --email jane@example.com
        contacts receipt report receipt.jsonl --to report.html
    """


@receipt.command("verify", cls=Command)
def receipt_verify(
    path: ReceiptFile,
    public_key: Annotated[
        str | None, typer.Option("--public-key", metavar="BASE64", help="Whose signature it must carry.")
    ] = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Check that no line was changed, dropped, added or moved, and who vouches for it.

    The chain of hashes proves that the file is whole. That it is ours only the seal proves (made with the receipt key)
    or the signature (made with an Ed25519 key): whoever has neither can write a chain of their own.

        contacts receipt verify receipt.jsonl
        contacts receipt verify receipt.jsonl --public-key BASE64
    """
    from contacts_core.cli import output
    from contacts_core.cli.doors import leave
    from contacts_core.plans import Receipt

    found = Receipt.load(path)
    sealed = _sealed(found, state)
    signed = found.signed_by(public_key) if public_key else None
    if as_json:
        told = {"lines": len(found.lines), "run": found.run, "state": found.state, "sealed": sealed, "signed": signed}
        output.document({**told, "public_key": found.public_key or None})
    else:
        output.show(f"whole: {len(found.lines)} lines, run {found.run}, {found.state}")
        seals = {True: "sealed with our key", False: "NOT sealed with our key", None: "seal not checked: no key here"}
        output.show(seals[sealed])
        if not found.signed:
            output.show("not signed")
        elif signed is None:
            output.show(f"signed by {found.public_key}; name the key you expect with --public-key")
        else:
            output.show("signed by that key" if signed else f"NOT signed by that key but by {found.public_key}")
    leave(output.Exit.FAILED if sealed is False or signed is False else output.Exit.DONE)


@receipt.command("find", cls=Command)
def receipt_find(
    path: ReceiptFile,
    email: Emails = None,
    phone: Phones = None,
    external_id: ExternalIds = None,
    anonymous_id: AnonymousIds = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Ask whether an identifier was erased; only the holder of the receipt key can.

    The exit code is 0 if it is in the receipt and absent everywhere, 3 if it is there and is not, or is not there.

        contacts receipt find receipt.jsonl --email jane@example.com
    """
    from contacts_core.cli import output
    from contacts_core.cli.doors import leave
    from contacts_core.plans import Receipt
    from contacts_core.state import state as place

    wanted = identifiers(email, phone, external_id, anonymous_id)
    if not wanted:
        raise typer.BadParameter("say which: identifiers such as --email")
    findings = Receipt.load(path).find(wanted, place(state).key())
    if as_json:
        output.document(findings)
    elif findings:
        columns = ("identifier", "account", "person", "contacts found", "now", "because")
        rows = ([f.identifier.masked, f.account, f.person, f.found, f.state, f.reason] for f in findings)
        output.show(output.rows(output.table(*columns), rows))
    else:
        output.show("not in this receipt")
    absent = bool(findings) and all(each.state == "absent" for each in findings)
    leave(output.Exit.DONE if absent else output.Exit.PARTIAL)


@receipt.command("report", cls=Command)
def receipt_report(
    path: ReceiptFile,
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE", dir_okay=False, help="The page to write.", show_default=False)
    ],
    title: Annotated[str, typer.Option("--title", help="What to call it.")] = "",
) -> None:
    """Write a receipt as one page to read and print.

    The page is one file that fetches nothing, and names nobody.

        contacts receipt report receipt.jsonl --to report.html
    """
    from contacts_core.cli import output
    from contacts_core.keys import owner_only
    from contacts_core.plans import Receipt
    from contacts_core.plans.report import html

    with owner_only(to) as file:
        file.write(html(Receipt.load(path), title=title))
    output.note(f"written to {to}")


tombstones = section("tombstones", no_args_is_help=True)


@tombstones.callback()
def marks() -> None:
    """Count or lift the marks that erased people left.

    They are keyed hashes; while they are there, no upsert or import brings these people back unnoticed.

        contacts tombstones count
        contacts tombstones lift --email jane@example.com
    """


@tombstones.command("count", cls=Command)
def tombstones_count(state: State = None, as_json: Json = False) -> None:
    """Count them.

    There is one for each identifier of everybody who was erased.

        contacts tombstones count
    """
    from contacts_core.cli import output
    from contacts_core.state import state as place
    from contacts_core.tombstones import Tombstones

    where = place(state)
    number = len(Tombstones(where)) if where.exists else 0
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
    state: State = None,
) -> None:
    """Lift the marks of somebody who came back of their own accord.

    Name every identifier that they come back with; each has a mark of its own.

        contacts tombstones lift --email jane@example.com
    """
    from contacts_core.cli import output
    from contacts_core.cli.doors import ask
    from contacts_core.state import state as place
    from contacts_core.tombstones import Tombstones

    wanted = identifiers(email, phone, external_id, anonymous_id)
    if not wanted:
        raise typer.BadParameter("say whose: identifiers such as --email")
    ask(["about to let imports write again:", *(f"  {each.masked}" for each in wanted)], yes=yes)
    where = place(state)
    output.show(f"{Tombstones(where).lift(wanted) if where.exists else 0} mark(s) lifted")


def _sealed(found: object, state: str | None) -> bool | None:
    """Whether the seal is ours; None where there is no key to tell by."""
    from contacts_core.plans import Receipt
    from contacts_core.state import state as place

    assert isinstance(found, Receipt)
    where = place(state)
    return found.sealed_by(where.key()) if where.has_key else None
