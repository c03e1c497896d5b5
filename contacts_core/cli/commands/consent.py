"""Commands about statements of consent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contacts_core.cli.app import Command, SectionWithDefault, section
from contacts_core.cli.columns import CONSENT_FIELDS, Listing, Shape
from contacts_core.cli.options import (
    Account,
    AnonymousIds,
    Csv,
    Emails,
    ExcelSafe,
    ExternalIds,
    Fields,
    Json,
    Phones,
    RequiredAccount,
    Settings,
    Sort,
    Storage,
    Yes,
    identifiers,
    input_file,
    several,
    whole_file,
)

if TYPE_CHECKING:
    from contacts_core.models import Channel, Consent, ConsentReason

BEAT = 100  # statements between two signs of progress
Merged = Annotated[
    bool, typer.Option("--merged", help="Only the statement that counts, of those about one address and scope.")
]

consent = section("consent", cls=SectionWithDefault)


@consent.callback()
def statements() -> None:
    """Show, export, write and lift statements of consent.

    These are opt-ins, unsubscribes, bounces and complaints, each with its channel, reason and date where the vendor
    tells them. `contacts consent ACCOUNT` is short for `contacts consent show ACCOUNT`.

        contacts consent marketing --email jane@example.com
        contacts consent export marketing --to consent.jsonl
        contacts consent write crm --from-file consent.jsonl --accept-loss DATE_LOST
        contacts consent lift marketing --email jane@example.com --evidence "her mail of 3 May"
    """


@consent.command("show", cls=Command)
def show(
    account: Account,
    email: Emails = None,
    phone: Phones = None,
    external_id: ExternalIds = None,
    anonymous_id: AnonymousIds = None,
    merged: Merged = False,
    fields: Fields = None,
    sort: Sort = None,
    as_csv: Csv = False,
    excel_safe: ExcelSafe = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Show statements of consent: all of the account, or those about identifiers.

    An address without a statement has neither agreed nor refused. Exits 3 if an identifier could not be looked up.

        contacts consent marketing --sort -at
        contacts consent marketing --email jane@example.com --json
    """
    from contacts_core.cli import output
    from contacts_core.cli.formatting import some
    from contacts_core.cli.prompts import leave, opened
    from contacts_core.models import merge_consent

    wanted = identifiers(email, phone, external_id, anonymous_id)
    listing = Listing(_shape(), fields, sort, as_csv=as_csv, as_json=as_json, excel_safe=excel_safe)
    doubtful = False
    with opened(account, settings) as client, output.progress("reading statements of consent"):
        if not wanted:
            found: list[Consent] = list(client.consent())
        else:
            asked = client.find_consent(wanted)
            found = [each for about in asked.values() for each in about]
            for identifier, number in asked.mismatched.items():
                output.warn(
                    f"{client.provider.title or client.provider.name} answered to {identifier.masked} with {number} "
                    "statement(s) about others; they were left out"
                )
            for identifier, reason in asked.unasked.items():
                output.warn(f"{identifier.masked} was not looked up: {reason}")
            silent = [each.masked for each in asked if not asked[each] and each not in asked.mismatched]
            if silent:
                output.note(f"no statement about {some(silent)}")
            doubtful = bool(asked.unasked or asked.mismatched)
    listing.everything(merge_consent(found) if merged else found, "there are no statements of consent")
    leave(output.Exit.PARTIAL if doubtful else output.Exit.DONE)


@consent.command("export", cls=Command)
def export(
    account: Account,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", parser=whole_file, help="The file to write: .csv, .jsonl or .ndjson."),
    ] = None,
    fields: Fields = None,
    as_csv: Csv = False,
    excel_safe: ExcelSafe = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Write every statement of consent to a file, or to stdout.

    The file appears under its name only when it is complete, and only you may read it. `contacts consent write` reads
    JSON Lines.

        contacts consent export marketing --to consent.jsonl
        contacts consent export marketing --csv --fields identifier,state,at
    """
    from contacts_core.cli import output
    from contacts_core.cli.prompts import opened
    from contacts_core.formats import consent_writer_for

    if to is None and not (as_json or as_csv):
        raise typer.BadParameter("say where to: --to FILE, or --json or --csv for stdout")
    if to is not None and (as_csv or fields):
        raise typer.BadParameter("--csv and --fields are for stdout; the name of the file says which kind it is")
    safe_stdout = excel_safe and to is None  # with --to, the writer of the file is told
    listing = Listing(_shape(), fields, None, as_csv=as_csv, as_json=as_json, excel_safe=safe_stdout)
    number = 0
    with opened(account, settings) as client:
        if to is None:
            listing.lines(client.consent())
            return
        with (
            consent_writer_for(to, excel_safe=excel_safe) as writer,
            output.progress(f"exporting the consent of {account}") as far,
        ):
            for number, statement in enumerate(client.consent(), 1):
                writer.write(statement)
                if number % BEAT == 0:
                    far(f"{number} statements")
    if as_json:
        output.document({"file": str(to), "statements": number})
    else:
        output.show(f"{number} statements written to {to}")


@consent.command("write", cls=Command)
def write(
    account: RequiredAccount,
    from_file: Annotated[
        Path | None,
        typer.Option(
            "--from-file",
            metavar="FILE",
            parser=input_file,
            help="Statements as JSON Lines, as written by `consent export`. - is stdin.",
        ),
    ] = None,
    email: Emails = None,
    phone: Phones = None,
    channel: Annotated[
        str | None, typer.Option("--channel", metavar="NAME", help="For --email and --phone; by default email and sms.")
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="NAME", help="For --email and --phone: why consent is revoked.")
    ] = "unsubscribe",
    scope: Annotated[
        str | None,
        typer.Option("--scope", metavar="NAME", help="For --email and --phone: the topic. Default: everything."),
    ] = None,
    accept_loss: Annotated[
        list[str] | None,
        several(
            "--accept-loss",
            "CODE[:FIELD]",
            "Write statements that lose this: REASON_LOST, DATE_LOST, NO_PLACE or RETYPED.",
        ),
    ] = None,
    recreate_erased: Annotated[
        bool, typer.Option("--recreate-erased", help="Also write about people who were erased before.")
    ] = False,
    storage: Storage = None,
    yes: Yes = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Write statements of consent, after asking.

    With --email or --phone, consent of these is revoked, as of now. With --from-file, the statements of the file are
    written. What the vendor would lose of a statement keeps it from being written, unless the loss is accepted by name.
    No grant is written over a refusal that it does not overrule.

        contacts consent write marketing --email jane@example.com
        contacts consent write crm --from-file consent.jsonl --accept-loss REASON_LOST --accept-loss DATE_LOST
    """
    from contacts_core.cli.formatting import told
    from contacts_core.cli.prompts import ask, changing, opened, plan, settle, to_be_asked
    from contacts_core.errors import InvalidInput
    from contacts_core.formats import read_consent, readable
    from contacts_core.models import Consent, ConsentState
    from contacts_core.provider import WritesConsent

    wanted = identifiers(email, phone, None, None)
    if bool(wanted) == bool(from_file):
        raise typer.BadParameter("name whose consent is revoked (--email, --phone), or give --from-file")
    if from_file and (channel or scope):
        raise typer.BadParameter("--channel and --scope go with --email and --phone")
    said: list[Consent] = []
    if from_file:
        with readable(from_file) as file:
            said = list(read_consent(file))
        if not said:
            raise InvalidInput("the input holds no statement, so nothing was sent")
    with opened(account, settings, storage) as client:
        plan(client, WritesConsent, "", ())  # refuse what it cannot do before anything is shown
        now = datetime.now(UTC) if client.provider.keeps_dates else None  # the vendor takes the moment of writing
        why = _reason(reason)
        said += [
            Consent(
                each, _channel(channel, each.kind.value), ConsentState.REVOKED, reason=why, scope=scope or "", at=now
            )
            for each in wanted
        ]
        whole = to_be_asked(yes=yes)
        doing = f"write {len(said)} statement(s) of consent ({_counts(said)})"
        lines = [f"{each.state.value} {each.channel.value} {told(each.identifier, whole=whole)}" for each in said]
        ask(plan(client, WritesConsent, doing, lines), yes=yes)
        names = [each.identifier for each in said]
        with changing(client, "write_consent", names, f"writing {len(said)} statement(s)"):
            outcome = client.write_consent(said, accept=accept_loss or (), recreate_erased=recreate_erased)
        settle(client, outcome, wait=False, timeout=0, as_json=as_json)


@consent.command("lift", cls=Command)
def lift(
    account: RequiredAccount,
    email: Emails = None,
    phone: Phones = None,
    evidence: Annotated[
        str, typer.Option("--evidence", metavar="TEXT", help="What shows that the person asked for it. Needed.")
    ] = "",
    channel: Annotated[
        str | None, typer.Option("--channel", metavar="NAME", help="Default: email for --email, sms for --phone.")
    ] = None,
    scope: Annotated[
        str | None, typer.Option("--scope", metavar="NAME", help="The topic to lift. Default: that of everything.")
    ] = None,
    reason: Annotated[
        list[str] | None,
        several("--reason", "NAME", "Lift suppressions for this reason too, such as bounce, block or complaint."),
    ] = None,
    storage: Storage = None,
    yes: Yes = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Lift the suppression of one person, after asking.

    Messages may be sent to that person again, so say what shows that the person asked for it. What the person or you
    said is lifted; a bounce, a block, an invalid address and a complaint stay unless --reason names them. Nothing else
    lifts a suppression: no plan, no copy and no undo.

        contacts consent lift marketing --email jane@example.com --evidence "her mail of 3 May"
        contacts consent lift marketing --email jane@example.com --reason bounce --evidence "new mailbox, ticket 7"
    """
    from contacts_core import operations
    from contacts_core.cli.formatting import told
    from contacts_core.cli.prompts import ask, changing, opened, plan, settle, to_be_asked
    from contacts_core.models import ConsentState
    from contacts_core.provider import LiftsSuppressions

    wanted = identifiers(email, phone, None, None)
    if len(wanted) != 1:
        raise typer.BadParameter("name one person, by --email or --phone; suppressions are lifted one at a time")
    if not evidence.strip():
        raise typer.BadParameter("say with --evidence what shows that the person asked to be written to again")
    (who,) = wanted
    on, topic = _channel(channel, who.kind.value), scope or ""
    reasons = [*operations.LIFTED_BY_DEFAULT, *(_reason(each) for each in reason or ())]
    with opened(account, settings, storage) as client:
        plan(client, LiftsSuppressions, "", ())  # refuse what it cannot do before anything is read
        found = client.find_consent([who])
        lines: list[str] = []
        stay: list[str] = []
        whole = to_be_asked(yes=yes)
        for each in found.get(who, ()):
            if each.state is ConsentState.REVOKED and (each.channel, each.scope) == (on, topic):
                why = each.reason.value if each.reason else "no reason told"
                part = lines if each.reason in reasons else stay
                part.append(f"{why}, {on.value} {told(who, whole=whole)}")
        doing = f"lift {len(lines)} suppression(s), so that messages are sent again"
        remarks = [f"stays suppressed, unless --reason names it: {each}" for each in stay]
        ask(plan(client, LiftsSuppressions, doing, lines, *remarks), yes=yes)
        with changing(client, "lift_suppression", [who], "lifting the suppression"):
            outcome = client.lift_suppression(who, evidence=evidence, channel=on, scope=topic, reasons=reasons)
        settle(client, outcome, wait=False, timeout=0, as_json=as_json)


def _shape() -> Shape[Any]:
    from contacts_core.formats import ConsentCsvWriter

    columns = ("identifier", "channel", "state", "reason", "scope", "coverage", "at")
    return Shape(
        CONSENT_FIELDS,
        columns,
        lambda said: [_cell(CONSENT_FIELDS[name](said)) for name in columns],
        writer=ConsentCsvWriter,
    )


def _cell(value: Any) -> Any:
    from contacts_core.cli.columns import cell

    return cell(value)


def _counts(said: Iterable[Consent]) -> str:
    counts = Counter(each.state.value for each in said)
    return ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))


def _channel(name: str | None, kind: str) -> Channel:
    from contacts_core.models import Channel

    by_default = {"email": Channel.EMAIL.value, "phone": Channel.SMS.value}
    try:
        return Channel(name or by_default[kind])
    except ValueError:
        raise typer.BadParameter(f"--channel is one of {', '.join(each.value for each in Channel)}") from None


def _reason(name: str) -> ConsentReason:
    from contacts_core.models import ConsentReason

    try:
        return ConsentReason(name)
    except ValueError:
        raise typer.BadParameter(f"--reason is one of {', '.join(each.value for each in ConsentReason)}") from None
