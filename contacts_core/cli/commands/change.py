"""Commands that change something; whatever is lost by them is shown and asked about first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, overload

import typer

from contacts_core.cli import completion
from contacts_core.cli.options import (
    Account,
    AnonymousIds,
    ContactId,
    Emails,
    ExternalIds,
    Json,
    ListId,
    OneAnonymousId,
    OneEmail,
    OneExternalId,
    OnePhone,
    Phones,
    RequiredAccount,
    Settings,
    Storage,
    Timeout,
    Wait,
    Yes,
    identifiers,
    input_file,
    pairs,
    sendable,
    several,
)

if TYPE_CHECKING:
    from contacts_core.client import Contacts
    from contacts_core.models import Contact, CustomValue, Identifier, Outcome

Members = Annotated[list[str] | None, typer.Argument(metavar="MEMBER", help="Ids of contacts.", show_default=False)]
LONG = 900.0
BEAT = 100  # rows between two signs of progress
JSON_LINES = {".jsonl", ".ndjson"}


def delete(
    account: Account,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids of contacts.", show_default=False)] = None,
    email: Emails = None,
    phone: Phones = None,
    external_id: ExternalIds = None,
    anonymous_id: AnonymousIds = None,
    from_file: Annotated[
        Path | None,
        typer.Option(
            "--from-file",
            metavar="FILE",
            parser=input_file,
            help="One id or e-mail address per line, or JSON Lines from `search` or `export`. - is stdin.",
        ),
    ] = None,
    everyone: Annotated[
        bool, typer.Option("--all", help="Delete every contact of the account; also needs --confirm.")
    ] = False,
    confirm: Annotated[
        str | None, typer.Option("--confirm", metavar="NAME", help="With --all: the account's exact name.")
    ] = None,
    wait: Wait = False,
    timeout: Timeout = LONG,
    yes: Yes = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Delete whole contacts, after asking.

    Identifiers are looked up first; exits 3 if one of them belongs to no contact. An id that the vendor does not know
    is not an error, because the contact may be gone already. Some vendors delete later, as a job: without --wait, the
    command ends when the vendor has accepted the job.

        contacts delete marketing ID ID
        contacts delete marketing --email jane@example.com --wait
        contacts delete marketing --from-file leavers.txt --yes --json
        contacts delete marketing --all --confirm marketing
    """
    from contacts_core.cli.formatting import some, who
    from contacts_core.cli.prompts import ask, changing, looked_up, opened, plan, settle, to_be_asked
    from contacts_core.models import Outcome
    from contacts_core.models.identifiers import scrub
    from contacts_core.provider import DeletesContacts

    wanted = identifiers(email, phone, external_id, anonymous_id)
    targets = list(ids or ())
    chosen = bool(targets or wanted or from_file)
    if everyone == chosen:
        raise typer.BadParameter("name the contacts: ids, identifiers or --from-file; or --all, and nothing else")
    if confirm is not None and not everyone:
        raise typer.BadParameter("--confirm goes with --all")
    with opened(account, settings) as client:
        if everyone:
            outcome = _delete_all(client, confirm, yes=yes)
            settle(client, outcome, wait=wait, timeout=timeout, as_json=as_json)
            return
        plan(client, DeletesContacts, "", ())  # refuse before anything is read
        targets = sendable(client.provider, targets)
        if from_file:
            more_ids, more = _targets(from_file, client)
            targets += more_ids
            wanted = list(dict.fromkeys([*wanted, *more]))
        contacts, missing = looked_up(client, wanted)
        targets = list(dict.fromkeys([*targets, *contacts]))
        absent = missing.absent if to_be_asked(yes=yes) else map(scrub, missing.absent)
        remarks = [f"not there: {some(absent)}"] if missing.absent else []
        if targets:
            shown = contacts if yes else contacts | _known(client, [t for t in targets if t not in contacts])
            whole = to_be_asked(yes=yes)
            lines = [who(shown[target], whole=whole) if target in shown else target for target in targets]
            doing = f"delete {len(targets)} contact(s) for good"
            ask(plan(client, DeletesContacts, doing, lines, *remarks), yes=yes)
            going = f"deleting {len(targets)} contact(s)"
            with changing(client, "delete_contacts", targets, going, client.provider.delete_batch_size):
                done = client.delete_contacts(targets)
        else:
            done = Outcome(operation="delete_contacts")
        outcome = Outcome.merge("delete_contacts", client.provider.name, [done, missing])
        settle(client, outcome, wait=wait, timeout=timeout, as_json=as_json, asked=wanted)


def remove_identifier(
    account: RequiredAccount,
    contact_id: ContactId,
    email: OneEmail = None,
    phone: OnePhone = None,
    external_id: OneExternalId = None,
    anonymous_id: OneAnonymousId = None,
    wait: Wait = False,
    timeout: Timeout = LONG,
    yes: Yes = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Remove one identifier and keep the contact.

    Give exactly one identifier. Shows what will be done, and asks first.

        contacts remove-identifier marketing ID --phone +12025550123
    """
    from contacts_core.cli.formatting import told
    from contacts_core.cli.prompts import ask, opened, plan, settle, telling, to_be_asked
    from contacts_core.provider import RemovesIdentifiers

    wanted = identifiers(*([value] if value else None for value in (email, phone, external_id, anonymous_id)))
    if len(wanted) != 1:
        raise typer.BadParameter("give exactly one identifier, such as --phone")
    with opened(account, settings) as client:
        doing = f"remove an identifier from contact {contact_id}, which stays"
        lines = plan(client, RemovesIdentifiers, doing, [told(wanted[0], whole=to_be_asked(yes=yes))])
        sendable(client.provider, [contact_id])
        ask(lines, yes=yes)
        with telling(client, "remove_identifier", wanted):
            outcome = client.remove_identifier(contact_id, wanted[0])
        settle(client, outcome, wait=wait, timeout=timeout, as_json=as_json, asked=wanted)


def change(
    account: RequiredAccount,
    contact_id: ContactId,
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            metavar="NAME=VALUE",
            help="Set this field to the value; repeatable.",
            autocompletion=completion.changeable_fields,
        ),
    ] = None,
    clear: Annotated[
        list[str] | None,
        several("--clear", "NAME", "Take the values of these fields away.", autocompletion=completion.cleared_fields),
    ] = None,
    wait: Wait = False,
    timeout: Timeout = LONG,
    yes: Yes = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Change single fields of a contact, and leave all others.

    Shows what will be done, with the present values, and asks first. Identifiers and lists stay: `remove-identifier`
    and `add-to-list` change these. Some vendors cannot clear every field; the command then says so, and sends nothing.

        contacts change marketing ID --field title=Baker --field custom.score=12
        contacts change marketing ID --field first_name=Ada --clear organization,custom.plan --yes

    Fields are first_name, last_name, full_name, organization, title, address.line1, address.line2, address.city,
    address.region, address.postal_code, address.country, address.formatted (all of it, where the vendor keeps one
    text), and custom.NAME. A value of a custom field is read by the type of the field: a number, true or false, a date
    such as 2025-01-31, or texts separated by commas.
    """
    from contacts_core.cli.prompts import ask, opened, plan, settle, telling, to_be_asked
    from contacts_core.operations import check_changes
    from contacts_core.provider import ChangesContacts

    given = pairs("--field", field)
    if not (given or clear):
        raise typer.BadParameter("name what is to change: --field NAME=VALUE, or --clear NAME")
    with opened(account, settings) as client:
        plan(client, ChangesContacts, "", ())  # refuse what it cannot do before anything is read
        sendable(client.provider, [contact_id])
        check_changes(client.provider, given, clear or ())
        values = _typed(client, given)
        lines = _changes(client, contact_id, values, clear or [], whole=to_be_asked(yes=yes))
        ask(plan(client, ChangesContacts, f"change {len(lines)} field(s) of contact {contact_id}", lines), yes=yes)
        with telling(client, "change_contact", [contact_id]):
            outcome = client.change_contact(contact_id, set=values, clear=clear or ())
        settle(client, outcome, wait=wait, timeout=timeout, as_json=as_json)


def remove_from_list(
    account: RequiredAccount,
    list_id: ListId,
    members: Members = None,
    email: Emails = None,
    phone: Phones = None,
    external_id: ExternalIds = None,
    anonymous_id: AnonymousIds = None,
    wait: Wait = False,
    timeout: Timeout = LONG,
    yes: Yes = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Take contacts off a list and keep them.

    Name members by id, by identifier, or both. Shows what will be done, and asks first.

        contacts remove-from-list marketing LIST ID ID
        contacts remove-from-list marketing LIST --email jane@example.com --yes --wait
    """
    from contacts_core.cli.prompts import ask, changing, opened, plan, settle, to_be_asked
    from contacts_core.provider import RemovesFromLists

    wanted = identifiers(email, phone, external_id, anonymous_id)
    everyone = _members(members, wanted)
    with opened(account, settings) as client:
        doing = f"take {len(everyone)} member(s) off list {list_id}; they stay contacts"
        lines = plan(client, RemovesFromLists, doing, _named(everyone, whole=to_be_asked(yes=yes)))
        sendable(client.provider, members or ())
        ask(lines, yes=yes)
        with changing(client, "remove_from_list", everyone, f"taking {len(everyone)} member(s) off the list"):
            outcome = client.remove_from_list(list_id, everyone)
        settle(client, outcome, wait=wait, timeout=timeout, as_json=as_json, asked=wanted)


def add_to_list(
    account: RequiredAccount,
    list_id: ListId,
    members: Members = None,
    email: Emails = None,
    phone: Phones = None,
    external_id: ExternalIds = None,
    anonymous_id: AnonymousIds = None,
    wait: Wait = False,
    timeout: Timeout = LONG,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Put contacts on a list.

    Name members by id, by identifier, or both.

        contacts add-to-list marketing LIST ID --email jane@example.com
    """
    from contacts_core.cli.prompts import changing, opened, plan, settle
    from contacts_core.provider import AddsToLists

    wanted = identifiers(email, phone, external_id, anonymous_id)
    everyone = _members(members, wanted)
    with opened(account, settings) as client:
        plan(client, AddsToLists, "", ())  # refuse what it cannot do before the ids are looked at
        sendable(client.provider, members or ())
        with changing(client, "add_to_list", everyone, f"putting {len(everyone)} member(s) on the list"):
            outcome = client.add_to_list(list_id, everyone)
        settle(client, outcome, wait=wait, timeout=timeout, as_json=as_json, asked=wanted)


def upsert(
    account: Account,
    from_file: Annotated[
        Path,
        typer.Option(
            "--from-file",
            metavar="FILE",
            parser=input_file,
            help="Contacts as JSON Lines, as written by `export`. - is stdin.",
            show_default=False,
        ),
    ],
    on_list: Annotated[
        list[str] | None,
        several("--list", "LIST", "Put them on this list: id or exact name.", autocompletion=completion.lists),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; show what the account would not keep as it is.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Write nothing if a contact would lose what --accept-loss does not name.")
    ] = False,
    accept_loss: Annotated[
        list[str] | None,
        several("--accept-loss", "CODE[:FIELD]", "With --strict: go on although this is lost, as --dry-run names it."),
    ] = None,
    recreate_erased: Annotated[
        bool, typer.Option("--recreate-erased", help="Also write people who were erased before.")
    ] = False,
    storage: Storage = None,
    wait: Wait = False,
    timeout: Timeout = LONG,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Create contacts, or update those that exist.

    Contacts from another provider are written with their identifiers, but without that provider's ids and lists. People
    who were erased are not written: their rows are reported as failed. Their tombstones are looked up in the default
    storage and in --storage. A file without contacts is an error.

    What the account cannot hold is left out, or written in another form. --dry-run shows it for each field: why, how
    many contacts lose it, and three of them, masked. --strict exits 4 and writes nothing unless all of it is accepted.

        contacts upsert marketing --from-file people.jsonl --list News --wait
        contacts upsert marketing --from-file people.jsonl --dry-run
        contacts upsert marketing --from-file people.jsonl --strict --accept-loss NO_FIELD:custom --accept-loss RETYPED
        contacts export crm --json | contacts upsert marketing --from-file -
    """
    from contacts_core.cli.losses import refuse_losses, survey, tell
    from contacts_core.cli.output import progress
    from contacts_core.cli.prompts import opened, plan, settle, telling
    from contacts_core.errors import Interrupted, InvalidInput
    from contacts_core.formats import read_json_lines, readable
    from contacts_core.operations.losses import accepted_losses
    from contacts_core.provider import UpsertsContacts, flows

    if accept_loss and not strict:
        raise typer.BadParameter("--accept-loss goes with --strict")
    accepted = accepted_losses(accept_loss)
    with readable(from_file) as file:
        rows = sum(1 for _ in read_json_lines(file))  # nothing is sent of a file that turns out to be broken
        if not rows:
            raise InvalidInput("the input holds no contact, so nothing was sent")
        with opened(account, settings, storage) as client:
            if dry_run or strict:
                plan(client, UpsertsContacts, "", ())  # refuse before anything is read
                with progress(f"looking at {rows} contact(s)"):
                    report = survey(client, read_json_lines(file))
                if dry_run:
                    tell(report, as_json=as_json)
                if strict:
                    refuse_losses(report, accepted)
                if dry_run:
                    return
            taken = _Rows()

            def contacts() -> Iterator[Contact]:
                for row, contact in enumerate(read_json_lines(file), 1):
                    taken.last = row
                    if row % BEAT == 0:
                        far(f"(row {row} of {rows})")
                    yield contact

            try:
                with progress(f"writing {rows} contact(s)") as far, telling(client, "upsert_contacts", taken):
                    outcome = client.upsert_contacts(
                        contacts(), on_list or (), recreate_erased=recreate_erased, named=as_json
                    )
            except Interrupted as error:  # rows behind the batch that it stopped in were not read
                unsent = [*error.unsent, *(f"row {row}" for row in range(len(taken) + 1, rows + 1))]
                why = flows.reason(error.__cause__ or error)
                raise Interrupted(error.outcome, error.uncertain, unsent, why) from error.__cause__
            settle(client, outcome, wait=wait, timeout=timeout, as_json=as_json)


class _Rows(Sequence[str]):
    """What the first rows of a file are called, without a text for each."""

    def __init__(self) -> None:
        self.last = 0

    def __len__(self) -> int:
        """How many there are."""
        return self.last

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        """One of them, or several."""
        rows = range(1, self.last + 1)[index]
        return f"row {rows}" if isinstance(rows, int) else tuple(f"row {row}" for row in rows)


def create_list(
    account: RequiredAccount,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the list.", show_default=False)],
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="If there is a list of exactly this name, print that one instead.")
    ] = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Create an empty list.

    It prints the list's id, which other commands take. With --if-missing it can be repeated in a script; if several
    lists have the name already, it is an error, and nothing is created.

        contacts create-list marketing "Autumn fair"
        contacts create-list marketing News --if-missing --json | jq -r .id
    """
    from contacts_core.cli import output
    from contacts_core.cli.prompts import opened, telling
    from contacts_core.errors import Interrupted

    with opened(account, settings) as client:
        try:
            with telling(client, "create_list", [f"list {name}"]):
                made = client.ensure_list(name) if if_missing else client.create_list(name)
        except Interrupted as error:
            error.hint = "look before it is repeated: contacts lists"  # a second list of that name could be made
            raise
    if as_json:
        output.document(made)
    else:
        output.show(f"list {made.id} {'is there' if if_missing else 'created'}: {made.name}")


def create_field(
    account: RequiredAccount,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the field.", show_default=False)],
    kind: Annotated[
        str,
        typer.Option(
            "--type", metavar="TYPE", help="text, number, date, boolean or choices, as far as the vendor has them."
        ),
    ] = "text",
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Create a custom field.

    Contacts can have values in it from then on; some vendors refuse them for a few seconds. `contacts fields` shows the
    fields there are. A name that a field has already is refused, also in other upper and lower case.

        contacts create-field marketing plan
        contacts create-field marketing score --type number
    """
    from contacts_core.cli import output
    from contacts_core.cli.prompts import opened, telling
    from contacts_core.errors import Interrupted
    from contacts_core.models import FieldType

    types = {each.value: each for each in FieldType}
    if kind not in types:
        raise typer.BadParameter(f"--type: there is no type {kind!r}; choose from {', '.join(types)}")
    with opened(account, settings) as client:
        try:
            with telling(client, "create_custom_field", [f"field {name}"]):
                made = client.create_custom_field(name, types[kind])
        except Interrupted as error:
            error.hint = "look before it is repeated: contacts fields"
            raise
    if as_json:
        output.document(made)
    else:
        output.show(f"field {made.id} created: {made.name}, {made.type.value}")


def delete_list(
    account: RequiredAccount, list_id: ListId, yes: Yes = False, settings: Settings = None, as_json: Json = False
) -> None:
    """Delete a list and keep its contacts.

    Shows what will be done, and asks first.

        contacts delete-list marketing LIST
    """
    from contacts_core.cli.prompts import ask, opened, plan, settle, telling
    from contacts_core.provider import DeletesLists

    with opened(account, settings) as client:
        ask(plan(client, DeletesLists, "delete a list; its contacts stay", [list_id]), yes=yes)
        with telling(client, "delete_list", [f"list {list_id}"]):
            outcome = client.delete_list(list_id)
        settle(client, outcome, wait=False, timeout=0, as_json=as_json)


def _delete_all(client: Contacts[Any], confirm: str | None, *, yes: bool) -> Outcome:
    from contacts_core.cli.errors import Refused
    from contacts_core.cli.prompts import ask, changing, plan
    from contacts_core.provider import Counts, DeletesAllContacts

    plan(client, DeletesAllContacts, "", ())  # refuse before anything is read
    if confirm != client.name:
        raise Refused(
            "nothing was deleted: every contact would be, and the name was not confirmed",
            hint=f"add --confirm {client.name}",
        )
    number = f"all {int(client.count())} contacts" if isinstance(client.provider, Counts) else "every contact"
    ask(plan(client, DeletesAllContacts, f"delete {number} of the account for good", ()), yes=yes)
    with changing(client, "delete_all_contacts", [number], f"deleting {number}"):
        return client.delete_all_contacts(confirm=client.name)


def _typed(client: Contacts[Any], given: dict[str, str]) -> dict[str, CustomValue]:
    """The values of ``--field``, those of custom fields in the types of the fields."""
    from contacts_core.cli.conditions import CUSTOM, value_of
    from contacts_core.provider import ReadsCustomFields

    names = [name.removeprefix(CUSTOM) for name in given if name.startswith(CUSTOM)]
    types = {}
    if names and isinstance(client.provider, ReadsCustomFields):
        types = {each.name: each.type for each in client.custom_fields()}
    return {
        name: value_of("--field", name, text, types.get(name.removeprefix(CUSTOM)), as_stored=True)
        for name, text in given.items()
    }


def _changes(
    client: Contacts[Any], contact_id: str, values: dict[str, CustomValue], clear: list[str], *, whole: bool
) -> list[str]:
    """What becomes of each field, with its present value where that is easily had; values only for who is asked."""
    from contacts_core.models import field_value

    known = _known(client, [contact_id]).get(contact_id) if whole else None
    lines = [f"{name} = {value}" if whole else f"{name} is set" for name, value in values.items()]
    lines += [f"{name} is cleared" for name in clear]
    fields = [*values, *clear]
    present = [field_value(known, name) if known else None for name in fields]
    return [f"{line}  (now {value})" if value is not None else line for line, value in zip(lines, present, strict=True)]


def _known(client: Contacts[Any], ids: list[str]) -> dict[str, Contact]:
    """Who the first of these ids are, where that is easily had: whoever confirms should see it."""
    from contacts_core.cli.formatting import SHOWN
    from contacts_core.errors import ContactsError
    from contacts_core.provider import GetsContacts

    provider = client.provider
    if not isinstance(provider, GetsContacts):
        return {}
    good = [each for each in ids[:SHOWN] if not provider.validate_id(each)]
    try:
        return {each: contact for each, contact in client.get_contacts(good).items() if contact}
    except ContactsError:
        return {}


def _targets(path: Path, client: Contacts[Any]) -> tuple[list[str], list[Identifier]]:
    """Ids and e-mail addresses of a file, if every line of it is good.

    Raises:
        InvalidInput: A line is not an id of this provider or an address, or there is none; nothing was sent.
    """
    from contacts_core.errors import InvalidInput
    from contacts_core.formats import read_json_lines, read_lines, readable
    from contacts_core.models import Identifier

    provider = client.provider
    with readable(path) as file:
        lines = [(number, line.strip()) for number, line in read_lines(file)]
        if not lines:
            raise InvalidInput("the input names no contact, so nothing was sent")
        if path.suffix.lower() in JSON_LINES or lines[0][1].startswith("{"):
            contacts = read_json_lines(file)
            numbered = zip(lines, contacts, strict=True)
            lines = [(number, _own_id(contact, number, provider.name)) for (number, _), contact in numbered]
        elif path.suffix.lower() == ".csv" or any(set(line) & set(",;\t") for _, line in lines):
            raise InvalidInput(f"{path.name} is not one id or address a line", hint="or is it JSON Lines (.jsonl)?")
    ids: list[str] = []
    addresses: list[Identifier] = []
    for number, line in lines:
        address = Identifier.email(line)
        if "@" not in line:
            ids += sendable(provider, [line], f"line {number}: ")
        elif address.certain:
            addresses.append(address)
        else:
            raise InvalidInput(f"line {number}: {address.masked} is not an e-mail address", hint="nothing was sent")
    return ids, addresses


def _own_id(contact: Contact, number: int, provider: str) -> str:
    from contacts_core.errors import InvalidInput

    if not contact.id or contact.provider not in {"", provider}:
        raise InvalidInput(f"line {number} is a contact without an id of {provider}", hint="nothing was sent")
    return contact.id


def _members(ids: list[str] | None, given: list[Identifier]) -> list[str | Identifier]:
    members: list[str | Identifier] = [*(ids or ()), *given]
    if not members:
        raise typer.BadParameter("name the contacts: ids, or identifiers such as --email")
    return members


def _named(members: list[str | Identifier], *, whole: bool) -> list[str]:
    from contacts_core.cli.formatting import told

    return [member if isinstance(member, str) else told(member, whole=whole) for member in members]
