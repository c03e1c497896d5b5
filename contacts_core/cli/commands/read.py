"""Commands that only read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contacts_core.cli.options import (
    Account,
    AnonymousIds,
    Emails,
    ExternalIds,
    Json,
    Lists,
    Phones,
    Settings,
    identifiers,
    number,
    one,
    pairs,
    sendable,
    several,
    whole_file,
)

if TYPE_CHECKING:
    from contacts_core.client import Contacts
    from contacts_core.models import Contact
    from contacts_core.query import Query

MOST = 10**9  # contacts that --limit can name
NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?P<fraction>\.[0-9]*)?(?P<power>[eE][+-]?[0-9]{1,3})?")
BEAT = 100  # contacts between two signs of progress


def search(
    account: Account,
    email: Annotated[str | None, one("--email", "ADDRESS")] = None,
    phone: Annotated[str | None, one("--phone", "NUMBER")] = None,
    external_id: Annotated[str | None, one("--external-id", "ID")] = None,
    anonymous_id: Annotated[str | None, one("--anonymous-id", "ID")] = None,
    first_name: Annotated[str | None, typer.Option("--first-name", metavar="NAME")] = None,
    last_name: Annotated[str | None, typer.Option("--last-name", metavar="NAME")] = None,
    on_list: Annotated[
        list[str] | None, several("--list", "LIST", "On each of these lists, by id or exact name.")
    ] = None,
    tag: Annotated[list[str] | None, several("--tag", "NAME", "With each of these tags.")] = None,
    updated_since: Annotated[
        str | None,
        typer.Option("--updated-since", metavar="TIME", help="Such as 2025-01-31; UTC unless it says otherwise."),
    ] = None,
    custom: Annotated[
        list[str] | None,
        typer.Option("--custom", metavar="NAME=VALUE", help="A custom field with this value; repeatable."),
    ] = None,
    native: Annotated[
        str | None, typer.Option("--native", metavar="TEXT", help="A condition in the vendor's own language.")
    ] = None,
    scan: Annotated[
        bool, typer.Option("--scan", help="Read every contact where the vendor shows only some of the matches.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Only tell how the search would be done, and what it costs.")
    ] = False,
    limit: Annotated[int | None, number("--limit", "Stop after so many contacts.", 1, MOST)] = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Search for contacts; conditions are joined by AND.

    What is found is complete: where the vendor shows only some of the matches, that is an error (exit code 3), and
    --scan reads every contact instead.

        contacts search marketing --last-name "O'Brien" --updated-since 2025-01-01
        contacts search marketing --tag vip --json | jq -r .id
        contacts search marketing --custom score=10 --explain
    """
    from contacts_core.cli.prompts import opened
    from contacts_core.query import F, RawQuery

    texts = (
        (F.email, email),
        (F.phone, phone),
        (F.external_id, external_id),
        (F.anonymous_id, anonymous_id),
        (F.first_name, first_name),
        (F.last_name, last_name),
        *((F.list, each) for each in on_list or ()),
        *((F.tag, each) for each in tag or ()),
    )
    conditions: list[Query] = [field == value for field, value in texts if value is not None]
    if updated_since is not None:
        conditions.append(F.updated_at >= _time(updated_since))
    if native is not None:
        conditions.append(RawQuery(native))
    fields = pairs("--custom", custom)
    if not conditions and not fields:
        raise typer.BadParameter("give a condition, such as --email; `contacts export` reads every contact")
    with opened(account, settings) as client:
        conditions += _custom(client, fields)
        query = conditions[0]
        for condition in conditions[1:]:
            query &= condition
        if explain:
            _explain(client, query, as_json=as_json)
        else:
            _search(client, query, scan=scan, limit=limit, as_json=as_json)


def find(
    account: Account,
    email: Emails = None,
    phone: Phones = None,
    external_id: ExternalIds = None,
    anonymous_id: AnonymousIds = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Look contacts up by exact identifier.

    Addresses are compared whatever their case, phone numbers whatever their punctuation. The exit code is 3 if there is
    an identifier that nobody has, or that the vendor could not be asked for.

        contacts find marketing --email jane@example.com --phone +12025550123
    """
    from contacts_core.cli import formatting as wording
    from contacts_core.cli import output
    from contacts_core.cli.prompts import leave, opened, tell_doubts

    wanted = identifiers(email, phone, external_id, anonymous_id)
    if not wanted:
        raise typer.BadParameter("give an identifier, such as --email")
    with opened(account, settings) as client, output.progress(f"looking up {len(wanted)} identifier(s)"):
        found = client.find(wanted)
    tell_doubts(client, found)
    if as_json:
        output.document(found)
    else:
        made = output.table("asked for", *wording.CONTACT_COLUMNS)
        for identifier in wanted:
            asked = f"{identifier.kind.value} {identifier.value}"
            if doubt := found.unasked.get(identifier, ""):
                output.rows(made, [[asked, "(not asked)", "", "", "", doubt]])
                continue
            nobody = "(not known)" if identifier in found.mismatched else "(nobody)"
            matches = [[asked, *wording.contact_row(contact)] for contact in found.get_all(identifier)]
            output.rows(made, matches or [[asked, nobody, "", "", "", ""]])
        output.show(made)
    missing = [each.masked for each in found if not (found[each] or each in found.mismatched)]
    if missing:
        output.note(f"nobody was found who has {wording.some(missing)}")
    leave(output.Exit.PARTIAL if missing or found.unasked or found.mismatched else output.Exit.DONE)


def get(
    account: Account,
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="The vendor's ids.", show_default=False)],
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Show all that the vendor tells about contacts.

    An id that the vendor does not know is shown as such, and is no error.

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
            "--to", metavar="FILE", parser=whole_file, help="The file; .csv, .jsonl or .ndjson says which kind."
        ),
    ] = None,
    on_list: Lists = None,
    excel_safe: Annotated[
        bool, typer.Option("--excel-safe", help="Keep spreadsheets from taking CSV cells for formulas.")
    ] = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Write every contact to a file, or to stdout.

    The file gets its name when it is complete; only you may read it. Without --to, --json writes JSON Lines to stdout.

        contacts export marketing --to people.csv --excel-safe
        contacts export marketing --list ID --json > members.jsonl
    """
    from contacts_core.cli import output
    from contacts_core.cli.prompts import opened
    from contacts_core.formats import writer_for

    if to is None and not as_json:
        raise typer.BadParameter("say where to: --to FILE, or --json for stdout")
    if to is None and excel_safe:
        raise typer.BadParameter("--excel-safe is for CSV files: --to FILE.csv")
    number = 0
    with opened(account, settings) as client:
        contacts = client.export(lists=on_list or ())
        if to is None:
            for contact in contacts:
                output.line(contact)
            return
        with writer_for(to, excel_safe=excel_safe) as writer, output.progress(f"exporting {account}") as far:
            for number, contact in enumerate(contacts, 1):
                writer.write(contact)
                if number % BEAT == 0:
                    far(f"{number} contacts")
    if as_json:
        output.document({"file": str(to), "contacts": number})
    else:
        output.show(f"{number} contacts written to {to}")


def count(account: Account, settings: Settings = None, as_json: Json = False) -> None:
    """Count the contacts, and say how that is known.

    Some vendors keep a counter, others have to be read to the end.

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


def lists(account: Account, settings: Settings = None, as_json: Json = False) -> None:
    """Show the lists and their ids.

    Counts are the vendor's own, and may lag behind.

        contacts lists marketing
    """
    from contacts_core.cli import output
    from contacts_core.cli.prompts import opened

    with opened(account, settings) as client:
        found = client.lists()
    if as_json:
        output.document(found)
        return
    made = output.table("id", "name", "contacts", "description")
    output.show(output.rows(made, ([each.id, each.name, each.count, each.description] for each in found)))


def fields(account: Account, settings: Settings = None, as_json: Json = False) -> None:
    """Show the custom fields.

    Their names are what `contacts search --custom` wants.

        contacts fields marketing
    """
    from contacts_core.cli import output
    from contacts_core.cli.prompts import opened

    with opened(account, settings) as client:
        found = client.custom_fields()
    if as_json:
        output.document(found)
        return
    made = output.table("name", "type", "options", "id", "")
    output.show(
        output.rows(
            made,
            (
                [each.name, each.type.value, ", ".join(each.options), each.id, "read only" if each.read_only else ""]
                for each in found
            ),
        )
    )


def _explain(client: Contacts[Any], query: Query, *, as_json: bool) -> None:
    from contacts_core.cli import output

    told = client.explain(query)
    if as_json:
        output.document(told)
        return
    cost = "nobody can tell how many requests" if told.requests is None else f"{told.requests} request(s)"
    output.show(f"{told.strategy.value}, {cost}: {told.reason}" + (f"\n  {told.text}" if told.text else ""))


def _search(client: Contacts[Any], query: Query, *, scan: bool, limit: int | None, as_json: bool) -> None:
    from contacts_core.cli import formatting as wording
    from contacts_core.cli import output
    from contacts_core.errors import IncompleteSearch

    matches = client.search(query, scan=scan)
    sample: IncompleteSearch | None = None
    found: Iterable[Contact] = islice(matches, limit)
    shown: list[Contact] = []
    try:
        if as_json:
            for contact in found:
                output.line(contact)
        else:
            with output.progress("searching") as far:
                for contact in found:
                    shown.append(contact)
                    if len(shown) % BEAT == 0:
                        far(f"{len(shown)} found")
        more = limit is not None and next(matches, None) is not None
    except IncompleteSearch as error:
        sample, more = error, False
        shown = list(error.found)[:limit]
        if as_json:
            for contact in shown:
                output.line(contact)
    if not as_json:
        output.show(output.rows(output.table(*wording.CONTACT_COLUMNS), map(wording.contact_row, shown)))
        if not sample:
            output.note(f"{len(shown)} contact(s)" + (", and there are more: --limit" if more else ""))
    elif more:
        output.note(f"stopped after {limit}; there are more")
    if sample:
        raise sample


def _custom(client: Contacts[Any], given: dict[str, str]) -> list[Query]:
    """Conditions on custom fields, each value in the type of its field."""
    from contacts_core.cli import output
    from contacts_core.provider import ReadsCustomFields
    from contacts_core.query import F

    if not given:
        return []
    known = isinstance(client.provider, ReadsCustomFields)
    types = {each.name: each.type for each in client.custom_fields()} if known else {}
    if known and (unknown := sorted(given.keys() - types.keys())):
        output.warn(f"there is no custom field named {', '.join(unknown)} (`contacts fields {client.name}`)")
    return [F.custom[name] == _typed(types.get(name), name, value) for name, value in given.items()]


def _typed(type: Any, name: str, text: str) -> Any:
    from contacts_core.models import FieldType

    try:
        match type:
            case FieldType.NUMBER:
                return _number(text)
            case FieldType.BOOLEAN:
                return {"true": True, "false": False}[text.lower()]
            case FieldType.DATE:
                return _time(text)
            case _:
                return text
    except (ValueError, KeyError):
        raise typer.BadParameter(f"--custom {name}: a {type.value} is due, not {text!r}") from None


def _number(text: str) -> float:
    """A number of plain ASCII digits."""
    found = NUMBER.fullmatch(text)
    if not found:
        raise ValueError
    value = float(text) if found["fraction"] or found["power"] else int(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _time(text: str) -> Any:
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text.encode("ascii").decode())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not a time; write 2025-01-31 or 2025-01-31T12:00:00+01:00") from None
