"""Commands that only read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contacts_core.cli import completion, conditions
from contacts_core.cli.columns import CONTACT_FIELDS, FIELD_FIELDS, LIST_FIELDS, Listing, Shape
from contacts_core.cli.conditions import Combined, Condition
from contacts_core.cli.options import (
    Account,
    AnonymousIds,
    Csv,
    Emails,
    ExcelSafe,
    ExternalIds,
    Fields,
    Json,
    Lists,
    OneAnonymousId,
    OneEmail,
    OneExternalId,
    OnePhone,
    Phones,
    RequiredAccount,
    Settings,
    Sort,
    identifiers,
    number,
    pairs,
    sendable,
    several,
    whole_file,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from contacts_core.client import Contacts
    from contacts_core.config.plugins import ContactWriter
    from contacts_core.errors import IncompleteSearch
    from contacts_core.models import Contact, ContactList, FieldDefinition
    from contacts_core.query import Query

MOST = 10**9  # contacts that --limit can name
BEAT = 100  # contacts between two signs of progress
TIME = "Such as 2025-01-31 or 2025-01-31T12:00:00+01:00; UTC if no offset is given."


def search(
    account: Account,
    email: OneEmail = None,
    phone: OnePhone = None,
    external_id: OneExternalId = None,
    anonymous_id: OneAnonymousId = None,
    first_name: Annotated[str | None, typer.Option("--first-name", metavar="NAME")] = None,
    last_name: Annotated[str | None, typer.Option("--last-name", metavar="NAME")] = None,
    on_list: Annotated[
        list[str] | None,
        several("--list", "LIST", "On all of these lists: ids or exact names.", autocompletion=completion.lists),
    ] = None,
    tag: Annotated[list[str] | None, several("--tag", "NAME", "With all of these tags.")] = None,
    created_since: Annotated[str | None, typer.Option("--created-since", metavar="TIME", help=TIME)] = None,
    created_before: Annotated[str | None, typer.Option("--created-before", metavar="TIME")] = None,
    updated_since: Annotated[str | None, typer.Option("--updated-since", metavar="TIME", help=TIME)] = None,
    updated_before: Annotated[str | None, typer.Option("--updated-before", metavar="TIME")] = None,
    custom: Annotated[
        list[str] | None,
        typer.Option(
            "--custom",
            metavar="NAME=VALUE",
            help="Custom field with this value; repeatable.",
            autocompletion=completion.custom_fields,
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="EXPRESSION",
            help="A condition in the language above; repeatable.",
            autocompletion=completion.fields,
        ),
    ] = None,
    has: Annotated[
        list[str] | None,
        several("--has", "FIELD", "With a value in each of these fields.", autocompletion=completion.fields),
    ] = None,
    lacks: Annotated[
        list[str] | None,
        several("--lacks", "FIELD", "Without a value in each of these fields.", autocompletion=completion.fields),
    ] = None,
    any_of: Annotated[bool, typer.Option("--any", help="Match contacts that meet any of the conditions.")] = False,
    native: Annotated[
        str | None, typer.Option("--native", metavar="TEXT", help="A condition in the vendor's own language.")
    ] = None,
    scan: Annotated[
        bool, typer.Option("--scan", help="Read every contact if the vendor shows only some of the matches.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Only show how the search would be done, and what it would cost.")
    ] = False,
    limit: Annotated[int | None, number("--limit", "Stop after this many contacts.", 1, MOST)] = None,
    fields: Fields = None,
    sort: Sort = None,
    as_csv: Csv = False,
    excel_safe: ExcelSafe = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Search for contacts; conditions are joined by AND.

    With --any, contacts match that meet at least one of them. The result is complete: if the vendor shows only some of
    the matches, that is an error (exit code 3), and --scan reads every contact instead.

        contacts search marketing --last-name "O'Brien" --updated-since 2025-01-01
        contacts search marketing --where 'email$=@example.com' --lacks phone --fields id,email --csv
        contacts search marketing --any --where 'custom.score>=10' --tag vip --sort -created_at
        contacts search marketing --tag vip --json | jq -r .id

    --where takes a condition of this form, in quotes because most of its characters mean something to a shell:

        =  !=         equal, not equal
        <  <=  >  >=  less or more; before or after
        ^=  $=  *=    begins with, ends with, contains
        and  or  not  joined conditions; "and" binds closer than "or"
        ( )           group conditions

        contacts search marketing --where 'email$=@example.com and (tag=vip or created_at>2025-01-01)'
        contacts search marketing --where 'organization="Smith and Sons" or not city=Berlin'

    A value that contains "and", "or" or a closing parenthesis needs quotes, as in the second example. Inside quotes,
    put a backslash before a quote or another backslash.

    Fields are id, email, phone, external_id, anonymous_id, first_name, last_name, full_name, organization, title, city,
    region, postal_code, country, list, tag, created_at, updated_at, and custom.NAME.
    """
    from contacts_core.cli.prompts import opened
    from contacts_core.query import RawQuery

    texts = {
        "email": email,
        "phone": phone,
        "external_id": external_id,
        "anonymous_id": anonymous_id,
        "first_name": first_name,
        "last_name": last_name,
    }
    given: list[Condition | Combined] = [
        *(Condition(f"--{name}", name, "=", value) for name, value in texts.items() if value is not None),
        *(Condition("--list", "list", "=", each) for each in on_list or ()),
        *(Condition("--tag", "tag", "=", each) for each in tag or ()),
        *_times("created", created_since, created_before),
        *_times("updated", updated_since, updated_before),
        *(Condition("--custom", f"custom.{name}", "=", value) for name, value in pairs("--custom", custom).items()),
        *conditions.where(where or ()),
        *conditions.has("--has", has or (), wanted=True),
        *conditions.has("--lacks", lacks or (), wanted=False),
    ]
    if not given and native is None:
        raise typer.BadParameter("give a condition, such as --email; `contacts export` reads every contact")
    listing = Listing(_contacts(), fields, sort, as_csv=as_csv, as_json=as_json, excel_safe=excel_safe)
    with opened(account, settings) as client:
        types = conditions.types(client, given)
        queries = [condition.query(types) for condition in given]
        if native is not None:
            queries.append(RawQuery(native))
        query = queries[0]
        for each in queries[1:]:
            query = query | each if any_of else query & each
        if explain:
            _explain(client, query, as_json=as_json)
        else:
            _search(client, query, listing, scan=scan, limit=limit)


def find(
    account: Account,
    email: Emails = None,
    phone: Phones = None,
    external_id: ExternalIds = None,
    anonymous_id: AnonymousIds = None,
    fields: Fields = None,
    sort: Sort = None,
    as_csv: Csv = False,
    excel_safe: ExcelSafe = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Look contacts up by exact identifier.

    The case of e-mail addresses and the punctuation of phone numbers do not matter. With --fields, --sort or --csv, the
    result has each contact once, as `contacts search` shows it; otherwise it is arranged by identifier. Exits 3 if no
    contact has one of the identifiers, or if one could not be looked up.

        contacts find marketing --email jane@example.com --phone +12025550123
        contacts find marketing --email jane@example.com --fields id,lists
    """
    from contacts_core.cli import formatting as wording
    from contacts_core.cli import output
    from contacts_core.cli.prompts import leave, opened, tell_doubts

    wanted = identifiers(email, phone, external_id, anonymous_id)
    if not wanted:
        raise typer.BadParameter("give an identifier, such as --email")
    listing = Listing(_contacts(), fields, sort, as_csv=as_csv, as_json=as_json, excel_safe=excel_safe)
    with opened(account, settings) as client, output.progress(f"looking up {len(wanted)} identifier(s)"):
        found = client.find(wanted)
    tell_doubts(client, found)
    if listing.chooses:
        listing.everything({each.id: each for asked in wanted for each in found.get_all(asked)}.values())
    elif as_json:
        output.document(found)
    else:
        made = output.table("asked for", *wording.CONTACT_COLUMNS)
        for identifier in wanted:
            asked = f"{identifier.kind.value} {identifier.value}"
            if doubt := found.unasked.get(identifier, ""):
                output.rows(made, [[asked, "(not asked)", "", "", "", doubt]])
                continue
            nobody = "(not known)" if identifier in found.mismatched else "(no contact)"
            matches = [[asked, *wording.contact_row(contact)] for contact in found.get_all(identifier)]
            output.rows(made, matches or [[asked, nobody, "", "", "", ""]])
        output.show(made)
    missing = [each.masked for each in found if not (found[each] or each in found.mismatched)]
    if missing:
        output.note(f"no contact has {wording.some(missing)}")
    leave(output.Exit.PARTIAL if missing or found.unasked or found.mismatched else output.Exit.DONE)


def get(
    account: RequiredAccount,
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="The vendor's ids of contacts.", show_default=False)],
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Show everything the vendor has on contacts.

    Ids that the vendor does not know are reported, but are not an error.

        contacts get marketing ID
        contacts get marketing ID ID --json
    """
    from contacts_core.cli import formatting as wording
    from contacts_core.cli import output
    from contacts_core.cli.prompts import opened

    with opened(account, settings) as client:
        found = client.get_contacts(sendable(client.provider, ids))
    if as_json:
        output.document(found)
        return
    for contact_id, contact in found.items():
        if contact is None:
            output.show(f"{contact_id}: there is no such contact")
        else:
            output.show(output.rows(output.table("", ""), wording.contact_lines(contact)))


def export(
    account: Account,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="FILE", parser=whole_file, help="The file to write: .csv, .jsonl, .ndjson or .db."
        ),
    ] = None,
    on_list: Lists = None,
    fields: Fields = None,
    as_csv: Csv = False,
    excel_safe: ExcelSafe = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Write every contact to a file, or to stdout.

    The file appears under its name only when it is complete, and only you may read it. A .db file is a database that
    can be opened as an account; the next export of the same account brings it up to date. Without --to, --json writes
    JSON Lines to stdout, and --csv writes CSV.

        contacts export marketing --to people.csv --excel-safe
        contacts export marketing --to people.db
        contacts export marketing --csv --fields id,email,custom.score
        contacts export marketing --list ID --json > members.jsonl
    """
    from contacts_core.cli import output
    from contacts_core.cli.prompts import opened

    if to is None and not (as_json or as_csv):
        raise typer.BadParameter("say where to: --to FILE, or --json or --csv for stdout")
    if to is not None and (as_csv or fields):
        raise typer.BadParameter("--csv and --fields are for stdout; the name of the file says which kind it is")
    safe_stdout = excel_safe and to is None  # with --to, the writer of the file is told
    listing = Listing(_contacts(), fields, None, as_csv=as_csv, as_json=as_json, excel_safe=safe_stdout)
    number = 0
    with opened(account, settings) as client:
        contacts = client.export(lists=on_list or ())
        if to is None:
            listing.lines(contacts)
            return
        with _writer(client, to, excel_safe=excel_safe) as writer, output.progress(f"exporting {account}") as far:
            for number, contact in enumerate(contacts, 1):
                writer.write(contact)
                if number % BEAT == 0:
                    far(f"{number} contacts")
    if as_json:
        output.document({"file": str(to), "contacts": number})
    else:
        output.show(f"{number} contacts written to {to}")


def _writer(client: Contacts[Any], path: Path, *, excel_safe: bool) -> AbstractContextManager[ContactWriter]:
    """Open a writer for a file, of this library or of a plugin."""
    from contacts_core.config import plugins
    from contacts_core.errors import InvalidInput
    from contacts_core.formats import FORMATS, writer_for
    from contacts_core.provider import ReadsLists

    suffix = path.suffix.lower()
    opener = None if suffix in FORMATS else plugins.writers().get(suffix)
    if opener is None:
        return writer_for(path, excel_safe=excel_safe)
    if excel_safe:
        raise InvalidInput("only CSV can be made safe for spreadsheets", hint="use a name ending in .csv")
    return opener(path, client.name, client.lists() if isinstance(client.provider, ReadsLists) else [])


def count(account: Account, settings: Settings = None, as_json: Json = False) -> None:
    """Count the contacts, and say how they were counted.

    Some vendors have a counter; with the others, every contact is read.

        contacts count marketing
    """
    from contacts_core.cli import output
    from contacts_core.cli.prompts import opened

    with opened(account, settings) as client, output.progress("counting"):
        number = client.count()
    how = {"counter": "the vendor's own counter", "paged": "all of them were read"}.get(number.source, number.source)
    if as_json:
        output.document(number)
    else:
        output.show(f"{int(number)} contacts ({how})")


def lists(
    account: Account,
    fields: Fields = None,
    sort: Sort = None,
    as_csv: Csv = False,
    excel_safe: ExcelSafe = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Show the lists and their ids.

    The counts come from the vendor, and may lag behind.

        contacts lists marketing
        contacts lists marketing --sort -contacts --fields id,name
    """
    from contacts_core.cli.prompts import opened

    shape: Shape[ContactList] = Shape(
        LIST_FIELDS,
        ("id", "name", "contacts", "description"),
        lambda each: [each.id, each.name, each.count, each.description],
    )
    listing = Listing(shape, fields, sort, as_csv=as_csv, as_json=as_json, excel_safe=excel_safe)
    with opened(account, settings) as client:
        found = client.lists()
    listing.everything(found)


def fields(
    account: Account,
    shown: Fields = None,
    sort: Sort = None,
    as_csv: Csv = False,
    excel_safe: ExcelSafe = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Show the custom fields.

    `contacts search --custom` takes their names. A field that holds another one, such as the organization, as the
    account's settings say, is searched and changed under the name of that.

        contacts fields marketing
    """
    from contacts_core.cli.prompts import opened

    shape: Shape[FieldDefinition] = Shape(
        FIELD_FIELDS,
        ("name", "type", "options", "id", ""),
        lambda each: [
            each.name,
            each.type.value,
            ", ".join(each.options),
            each.id,
            "read only" if each.read_only else f"holds {each.contact_field}" if each.contact_field else "",
        ],
    )
    listing = Listing(shape, shown, sort, as_csv=as_csv, as_json=as_json, excel_safe=excel_safe)
    with opened(account, settings) as client:
        found = client.custom_fields()
    listing.everything(found)


def _explain(client: Contacts[Any], query: Query, *, as_json: bool) -> None:
    from contacts_core.cli import output

    told = client.explain(query)
    if as_json:
        output.document(told)
        return
    cost = "an unknown number of requests" if told.requests is None else f"{told.requests} request(s)"
    output.show(f"{told.strategy.value}, {cost}: {told.reason}" + (f"\n  {told.text}" if told.text else ""))


class _Matches:
    """What a search finds, in the order that is wanted and not more than is wanted.

    Attributes:
        shown: How many were given so far.
        more: Whether there are others.
        sample: The error, if the vendor showed only some of the matches; these are given all the same.
    """

    def __init__(self, found: Iterator[Contact], listing: Listing[Contact], limit: int | None) -> None:
        self._found, self._listing, self._limit = found, listing, limit
        self.shown, self.more = 0, False
        self.sample: IncompleteSearch | None = None

    def __iter__(self) -> Iterator[Contact]:
        for contact in self._listing.sorted(self._all()) if self._listing.sorts else self._all():
            if self.shown == self._limit:
                self.more = True
                return
            self.shown += 1
            yield contact

    def _all(self) -> Iterator[Contact]:
        from contacts_core.errors import IncompleteSearch

        try:
            yield from self._found
        except IncompleteSearch as error:
            self.sample = error
            yield from error.found

    @property
    def enough(self) -> bool:
        """Whether as many were given as were asked for, and in any order."""
        return self.shown == self._limit and not (self.sample and self._listing.sorts)


def _search(client: Contacts[Any], query: Query, listing: Listing[Contact], *, scan: bool, limit: int | None) -> None:
    from contacts_core.cli import output

    matches = _Matches(client.search(query, scan=scan), listing, limit)
    if listing.as_json or listing.as_csv:
        listing.lines(matches)
    else:
        contacts: list[Contact] = []
        with output.progress("searching") as far:
            for contact in matches:
                contacts.append(contact)
                if len(contacts) % BEAT == 0:
                    far(f"{len(contacts)} found")
        listing.show(contacts)
    if matches.sample and not matches.enough:
        raise matches.sample
    more = matches.more or matches.sample
    if not (listing.as_json or listing.as_csv):
        output.note(f"{matches.shown} contact(s)" + (", and there are more: --limit" if more else ""))
    elif more:
        output.note(f"stopped after {limit}; there are more")


def _contacts() -> Shape[Contact]:
    from contacts_core.cli.formatting import CONTACT_COLUMNS, contact_row
    from contacts_core.formats import CsvWriter

    return Shape(CONTACT_FIELDS, CONTACT_COLUMNS, contact_row, open_ended=True, writer=CsvWriter)


def _times(what: str, since: str | None, before: str | None) -> list[Condition]:
    """The conditions on when something was created or updated, checked before anything is opened."""
    both = ((since, "since", ">="), (before, "before", "<"))
    given = [Condition(f"--{what}-{name}", f"{what}_at", sign, text) for text, name, sign in both if text is not None]
    for condition in given:
        conditions.moment(condition.text)
    return given
