"""Commands that make plans. They only read."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contacts_core.cli import completion
from contacts_core.cli.app import Command, section
from contacts_core.cli.ids import Ids as PairsFile
from contacts_core.cli.options import (
    DECIMAL,
    Account,
    AnonymousIds,
    Emails,
    ExternalIds,
    Ids,
    Json,
    ListId,
    Phones,
    RequiredAccount,
    RunId,
    Storage,
    identifiers,
    input_file,
    number,
    output_file,
    several,
)
from contacts_core.cli.sources import FieldMapFile, Only
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from contacts_core.models import Identifier
    from contacts_core.plans import Plan, SafetyLimits
    from contacts_core.provider import Provider

MOST = 10**9  # contacts that --max-contacts can name
Accounts = Annotated[
    list[str],
    several(
        "--accounts",
        "NAME,NAME",
        "Accounts or providers to look in.",
        show_default=False,
        autocompletion=completion.accounts,
    ),
]
To = Annotated[
    Path | None,
    typer.Option(
        "--to", metavar="FILE", parser=output_file, help="Where to save the plan. Default: a file named after it."
    ),
]
MaxContacts = Annotated[
    int | None, number("--max-contacts", "Most contacts of one account that it may change. Default: 1000.", 1, MOST)
]
MaxShare = Annotated[
    str | None,
    typer.Option(
        "--max-share",
        metavar="P%",
        help="Largest share of an account that it may change. Default: 20%, or 20 contacts.",
    ),
]
Follow = Annotated[
    str,
    typer.Option(
        "--follow", metavar="no|once|all", help="Also look up the other addresses and numbers of the contacts found."
    ),
]
ContactsFile = Annotated[
    Path,
    typer.Option(
        "--from-file",
        metavar="FILE",
        parser=input_file,
        help="Contacts: CSV if it is named so, otherwise JSON Lines as written by `export`. - is stdin.",
        show_default=False,
    ),
]
PeopleFile = Annotated[
    Path | None,
    typer.Option(
        "--from-file",
        metavar="FILE",
        parser=input_file,
        help="CSV with one person per row; columns email, phone, external_id, anonymous_id. - is stdin.",
    ),
]
KeepSuppressions = Annotated[
    bool,
    typer.Option(
        "--keep-suppressions",
        help="Keep the addresses as suppressions, where a vendor has these apart from contacts.",
    ),
]
MailData = Annotated[
    bool, typer.Option("--mail-data", help="Also erase what vendors keep of the mail that was sent to these people.")
]


plan = section("plan", no_args_is_help=True)


@plan.callback()
def plans() -> None:
    """Make and show plans; nothing is changed.

    `contacts apply` applies a plan, verifies the result and writes a receipt.

        contacts plan erase --email jane@example.com --accounts marketing,crm --to plan.jsonl
        contacts plan delete marketing --id ID --to plan.jsonl
        contacts plan show plan.jsonl
    """


@plan.command("erase", cls=Command)
def plan_erase(
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
    to: To = None,
    as_json: Json = False,
) -> None:
    """Plan to erase people everywhere; nothing is changed.

    All identifiers given as options belong to one person; a file has one person per row. The plan lists every contact
    that would be deleted and why, how many requests that takes, and what data remains at each vendor. It is saved to a
    file, which is as confidential as the contacts in it; `contacts apply` applies it.

        contacts plan erase --email jane@example.com --accounts marketing,crm --to plan.jsonl
        contacts plan erase --from-file leavers.csv --accounts marketing,crm --follow once --max-contacts 5000
    """
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
    _planned(accounts, make, to, as_json=as_json)


@plan.command("delete", cls=Command)
def plan_delete(
    account: Account,
    ids: Ids = None,
    email: Emails = None,
    phone: Phones = None,
    external_id: ExternalIds = None,
    anonymous_id: AnonymousIds = None,
    from_file: PeopleFile = None,
    max_contacts: MaxContacts = None,
    max_share: MaxShare = None,
    to: To = None,
    as_json: Json = False,
) -> None:
    """Plan to delete contacts of one account, without tombstones.

    Each identifier given as an option is looked up by itself; a file has one person per row.

        contacts plan delete marketing --from-file bounced.csv --to plan.jsonl
    """
    from contacts_core.plans import plan_deletion as made

    each = _each(identifiers(email, phone, external_id, anonymous_id), from_file, ids)
    announce_scans([account], _identifiers(each))
    limits = limits_of(max_contacts, max_share)
    _planned([account], lambda: made(account, each, ids=ids or (), limits=limits), to, as_json=as_json)


@plan.command("remove-identifier", cls=Command)
def plan_remove_identifier(
    accounts: Accounts,
    email: Emails = None,
    phone: Phones = None,
    external_id: ExternalIds = None,
    anonymous_id: AnonymousIds = None,
    max_contacts: MaxContacts = None,
    max_share: MaxShare = None,
    to: To = None,
    as_json: Json = False,
) -> None:
    """Plan to remove identifiers from all contacts that have them, and keep the contacts.

    Some vendors cannot remove every kind of identifier; the receipt lists what they refused.

        contacts plan remove-identifier --phone +12025550123 --accounts marketing,crm --to plan.jsonl
    """
    from contacts_core.plans import plan_identifier_removal as made

    wanted = _given(identifiers(email, phone, external_id, anonymous_id))
    announce_scans(accounts, wanted)
    limits = limits_of(max_contacts, max_share)
    _planned(accounts, lambda: made(wanted, accounts, limits=limits), to, as_json=as_json)


@plan.command("remove-from-list", cls=Command)
def plan_remove_from_list(
    account: RequiredAccount,
    list_id: ListId,
    ids: Ids = None,
    email: Emails = None,
    phone: Phones = None,
    external_id: ExternalIds = None,
    anonymous_id: AnonymousIds = None,
    from_file: PeopleFile = None,
    max_contacts: MaxContacts = None,
    max_share: MaxShare = None,
    to: To = None,
    as_json: Json = False,
) -> None:
    """Plan to remove contacts from a list, and keep the contacts.

    Name the list by its id or its exact name; `contacts lists` shows both.

        contacts plan remove-from-list marketing LIST --from-file lapsed.csv --to plan.jsonl
    """
    from contacts_core.plans import plan_list_removal as made

    each = _each(identifiers(email, phone, external_id, anonymous_id), from_file, ids)
    announce_scans([account], _identifiers(each))
    limits = limits_of(max_contacts, max_share)
    _planned([account], lambda: made(account, list_id, each, ids=ids or (), limits=limits), to, as_json=as_json)


@plan.command("add-to-list", cls=Command)
def plan_add_to_list(
    account: RequiredAccount,
    list_id: ListId,
    ids: Ids = None,
    email: Emails = None,
    phone: Phones = None,
    external_id: ExternalIds = None,
    anonymous_id: AnonymousIds = None,
    from_file: PeopleFile = None,
    max_contacts: MaxContacts = None,
    max_share: MaxShare = None,
    to: To = None,
    as_json: Json = False,
) -> None:
    """Plan to put contacts on a list. Nobody is created.

    Name the list by its id or its exact name; `contacts lists` shows both.

        contacts plan add-to-list marketing LIST --from-file attendees.csv --to plan.jsonl
    """
    from contacts_core.plans import plan_list_addition as made

    each = _each(identifiers(email, phone, external_id, anonymous_id), from_file, ids)
    announce_scans([account], _identifiers(each))
    limits = limits_of(max_contacts, max_share)
    _planned([account], lambda: made(account, list_id, each, ids=ids or (), limits=limits), to, as_json=as_json)


@plan.command("upsert", cls=Command)
def plan_upsert(
    account: RequiredAccount,
    from_file: ContactsFile,
    map_file: FieldMapFile = None,
    create_fields: CreateFields = False,
    create_lists: CreateLists = False,
    accept_loss: AcceptLoss = None,
    max_contacts: MaxContacts = None,
    max_share: MaxShare = None,
    ids: PairsFile = None,
    to: To = None,
    as_json: Json = False,
) -> None:
    """Plan to create contacts, and to update those that differ.

    Each contact is looked up by its identifiers. Whoever is there as given is left alone; whoever could be two people
    is held back, and told. What the account would not keep is told before anything is written, and the plan is refused
    unless --accept-loss names it.

        contacts plan upsert marketing --from-file people.jsonl --to plan.jsonl
        contacts plan upsert crm --from-file people.csv --map map.toml --create-fields --accept-loss RESPELLED
    """
    from contacts_core.cli.ids import ids_file
    from contacts_core.cli.transfers import losses_told, upserting

    limits = limits_of(max_contacts, max_share)
    with ids_file(ids) as on_pair:
        make = upserting(
            account,
            from_file,
            map_file,
            accept_loss,
            limits,
            create_fields=create_fields,
            create_lists=create_lists,
            on_pair=on_pair,
        )
        announce_scans([account], None)
        with losses_told(as_json=as_json):
            _planned([account], make, to, as_json=as_json)


@plan.command("copy", cls=Command)
def plan_copy(
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
    ids: PairsFile = None,
    to: To = None,
    as_json: Json = False,
) -> None:
    """Plan to copy the contacts of one account to another.

    The plan is the difference: what NEW would show of each contact, compared with what it shows now. A second plan
    after it was applied is empty. Consent comes first: nobody is created before it was read back that NEW will not
    write to them against their will. `contacts apply` carries it out.

        contacts plan copy old new --create-fields --create-lists --to plan.jsonl
        contacts plan copy old crm --consent-in tag:unsubscribed --accept-loss DATE_LOST --to plan.jsonl
    """
    from contacts_core.cli.ids import ids_file
    from contacts_core.cli.transfers import copying, losses_told, tell_left_behind

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
            _planned(names, make, to, as_json=as_json)


@plan.command("undo", cls=Command)
def plan_undo(run: RunId, to: To = None, storage: Storage = None, as_json: Json = False) -> None:
    """Plan to take back what a run of an upsert or a copy wrote.

    Contacts that it created are deleted, and fields that it changed get their values back, as far as they still are as
    they were written. Whoever was changed since is left alone, and told. Statements of consent stay: no plan lifts a
    suppression. An erasure cannot be undone.

        contacts plan undo copy-2026-01-31-1a2b3c4d --to undo.jsonl
        contacts apply undo.jsonl
    """
    from contacts_core.plans import plan_undo as made
    from contacts_core.plans.execution.runner import overview

    told, _ = overview(run, storage=storage)
    _planned(list(told.accounts), lambda: made(run, storage=storage), to, as_json=as_json)


@plan.command("show", cls=Command)
def plan_show(
    path: Annotated[
        Path, typer.Argument(metavar="PLAN", parser=input_file, help="A saved plan; - is stdin.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Show a saved plan.

    Identifiers are masked, except with --json.

        contacts plan show plan.jsonl
    """
    from contacts_core.cli import output

    saved = saved_plan(path)
    if as_json:
        output.text_lines(saved.lines())
    else:
        show(saved)


def show(made: Plan, *, stderr: bool = False, whole: bool = False) -> None:
    """The plan as tables, identifiers masked unless they are wanted whole."""
    from contacts_core.cli import output
    from contacts_core.cli.plan_formatting import account_rows, contact_rows, notes, stage_rows, summary

    output.show(summary(made), stderr=stderr)
    columns = ("account", "vendor", "contacts", "found by", "requests", "at least", "remarks")
    accounts = output.table(*columns, for_people=True)
    output.show(output.rows(accounts, account_rows(made)), stderr=stderr)
    if stages := list(stage_rows(made)):
        output.show(output.rows(output.table("account", "stage", "changes", for_people=True), stages), stderr=stderr)
    if made.contacts:
        contacts = output.table("account", "contact", "identifiers", "person", "because it", for_people=True)
        output.show(output.rows(contacts, contact_rows(made, whole=whole)), stderr=stderr)
    output.show(list(notes(made, whole=whole)), stderr=stderr)


def erasure(
    accounts: list[str],
    given: list[Identifier],
    from_file: Path | None,
    follow: str,
    max_contacts: int | None,
    max_share: str | None,
    *,
    keep_suppressions: bool,
    mail_data: bool,
) -> Callable[[], Plan]:
    """What plans this erasure, its arguments checked; no account is read before it is called."""
    from contacts_core.plans import IdentifierExpansion, plan_erasure

    try:
        expansion = IdentifierExpansion(follow)
    except ValueError:
        raise typer.BadParameter("--follow is no, once or all") from None
    people = _people(given, from_file)
    announce_scans(accounts, chain.from_iterable(people))
    limits = limits_of(max_contacts, max_share)
    return lambda: plan_erasure(
        people, accounts, follow=expansion, keep_suppressions=keep_suppressions, mail_data=mail_data, limits=limits
    )


def planned(names: list[str], make: Callable[[], Plan]) -> Plan:
    """The plan, made with a sign of progress."""
    from contacts_core.cli import output

    with output.progress(f"looking in {', '.join(names)}"):
        return make()


def _planned(names: list[str], make: Callable[[], Plan], to: Path | None, *, as_json: bool) -> None:
    """Make a plan, show it, and save it."""
    import shlex

    from contacts_core.cli import output

    made = planned(names, make)
    path = to or saved_as(made)
    made.save(path)
    if as_json:
        output.text_lines(made.lines())
    else:
        show(made)
    output.note(f"nothing was changed; saved to {path}, which holds whole identifiers")
    if made.contacts:
        output.note(f"to do it: contacts apply {shlex.quote(str(path))}")


def saved_as(made: Plan) -> Path:
    """The file that a plan is saved to if none is named."""
    return Path(f"{made.kind}-{made.checksum[:8]}.jsonl")


def saved_plan(path: Path) -> Plan:
    """The plan of a file, or of standard input for ``-``."""
    from contacts_core.formats import readable
    from contacts_core.plans import Plan

    with readable(path) as file:
        return Plan.parse(file)


def announce_scans(names: list[str], wanted: Iterable[Identifier] | None) -> None:
    """Say which accounts have to be read as a whole, and why, before it begins; it may take a while.

    Args:
        names: The accounts.
        wanted: What is looked for in them; None if that is not known yet.
    """
    from contacts_core.cli import output
    from contacts_core.config.accounts import open_provider

    known = None if wanted is None else list(wanted)
    for name in names:
        if why := _scan_reason(open_provider(name, {}), known):
            output.note(f"{name} {why}: every contact is read")


def _scan_reason(provider: Provider, wanted: Sequence[Identifier] | None) -> str:
    """Why every contact of an account is read to find these identifiers; empty if that is not so."""
    from contacts_core.operations.reading import looks_up, scans
    from contacts_core.provider import FindsContacts

    if wanted is not None and not wanted:
        return ""
    if scans(provider, ()):
        return "has no look-up"
    if not (isinstance(provider, FindsContacts) and scans(provider, wanted or ())):
        return ""
    kinds = dict.fromkeys(each.key or each.kind.value for each in wanted or () if not looks_up(provider, each))
    return f"has no look-up by {', '.join(kinds)}"


def _identifiers(people: Iterable[Iterable[Identifier] | Identifier]) -> list[Identifier]:
    """Every identifier of people, of whom some are given by one identifier alone."""
    from contacts_core.models import Identifier

    return [each for one in people for each in ([one] if isinstance(one, Identifier) else one)]


def _people(given: list[Identifier], from_file: Path | None) -> list[tuple[Identifier, ...]]:
    """The person of the options, and those of the file."""
    people = [tuple(given)] if given else []
    if from_file:
        people += _read(from_file)
    if not people:
        raise typer.BadParameter("name the people: identifiers such as --email, or --from-file")
    return people


def _each(
    given: list[Identifier], from_file: Path | None, ids: list[str] | None
) -> list[Iterable[Identifier] | Identifier]:
    """Every identifier of the options by itself, and the people of the file."""
    people: list[Any] = [*given, *(_read(from_file) if from_file else ())]
    if not (people or ids):
        raise typer.BadParameter("name the contacts: --id, identifiers such as --email, or --from-file")
    return people


def _read(path: Path) -> list[tuple[Identifier, ...]]:
    from contacts_core.cli import output
    from contacts_core.errors import InvalidInput
    from contacts_core.formats import read_people, readable

    with readable(path) as file:
        people, unread = read_people(file)
    if unread:
        output.note(f"{path.name}: not read: {', '.join(unread)}")
    if not people:
        raise InvalidInput("the input names no people, so no plan was made")
    return people


def _given(wanted: list[Identifier]) -> list[Identifier]:
    if not wanted:
        raise typer.BadParameter("name the identifiers, such as --phone")
    return wanted


def limits_of(contacts: int | None, share: str | None) -> SafetyLimits:
    """The limits of the options; the usual ones where none is given."""
    from contacts_core.plans import SafetyLimits

    usual = SafetyLimits()
    return SafetyLimits(contacts or usual.contacts, _share(share) if share else usual.share, usual.floor)


def _share(text: str) -> float:
    found = DECIMAL.fullmatch(text.removesuffix("%"))
    share = float(found[0]) / 100 if found else -1.0
    if not 0 < share <= 1:
        raise typer.BadParameter("--max-share is a percentage, such as 30%")
    return share
