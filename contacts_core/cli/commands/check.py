"""`contacts check`: whether one account has what another one has. It only reads."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from contacts_core.cli import completion
from contacts_core.cli.options import ExcelSafe, Json, chosen_account, output_file, several, whole_file
from contacts_core.cli.sources import FieldMapFile, Only, file_of, opened_source, query
from contacts_core.cli.transfers import ConsentIn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from contacts_core.models import Contact, Shape
    from contacts_core.operations.losses import AcceptedLosses
    from contacts_core.plans import Compared, Comparison, ConsentCheck, ConsentDifference

COLUMNS = ("status", "number", "old_id", "new_id", "identifiers", "field", "expected", "found", "reason")
MOST_NAMED = 10  # fields in a line


def check(
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD",
            help="Account or provider; or a file: .csv, .jsonl, or - for standard input.",
            show_default=False,
            autocompletion=completion.accounts,
        ),
    ],
    account: Annotated[
        str,
        typer.Argument(
            metavar="NEW", help="Account or provider.", show_default=False, autocompletion=completion.accounts
        ),
    ],
    field_map: FieldMapFile = None,
    only: Only = None,
    accept_loss: Annotated[
        list[str] | None,
        several("--accept-loss", "CODE:FIELD", "REFUSED:contact accepts contacts that NEW would refuse."),
    ] = None,
    consent_in: ConsentIn = "",
    suggest_map: Annotated[
        Path | None,
        typer.Option(
            "--suggest-map",
            metavar="FILE",
            parser=whole_file,
            help="Only write a first map, from the fields and lists of both; edit it, and use it with --map.",
        ),
    ] = None,
    diff: Annotated[
        Path | None,
        typer.Option(
            "--diff", metavar="FILE", parser=output_file, help="Write everything that differs as CSV, only for you."
        ),
    ] = None,
    excel_safe: ExcelSafe = False,
    as_json: Json = False,
) -> None:
    """Check whether one account has what another one has.

    It only reads. Contacts match by e-mail address, phone number and your own ids, however they are spelled. NEW has a
    contact if it shows all that it can hold of it; it may show more. What it cannot hold is listed as a loss, with what
    to do about it. A contact is held if identifiers do not tell which contact of NEW it is: it shares one with another
    contact, or matches two.

    What people said is compared too, if OLD is an account that keeps consent: who refused at OLD has to be refused at
    NEW. A refusal that NEW cannot hold counts as missing, unless --accept-loss NO_CONSENT:FIELD is given. Refusals that
    only NEW has are told.

    Exits 0 if NEW has everything that OLD has, as far as it can hold it, and 3 if not. Contacts that NEW would refuse
    count as missing, unless --accept-loss REFUSED:contact is given. With --only, contacts are looked up in NEW, and
    what only NEW has is not counted.

        contacts check old new
        contacts check old new --suggest-map map.toml
        contacts check old new --map map.toml --diff diff.csv
        contacts check people.csv new
        contacts export old --json | contacts check - new --json
    """
    from contacts_core.cli import output
    from contacts_core.cli.prompts import leave
    from contacts_core.operations.losses import accepted_losses
    from contacts_core.plans import FieldMap
    from contacts_core.plans import check as compared

    if excel_safe and diff is None:
        raise typer.BadParameter("--excel-safe is for --diff")
    accepted = accepted_losses(accept_loss)
    path = file_of(old)
    for option, given in {"--only": only, "--consent-in": consent_in}.items():
        if path and given:
            raise typer.BadParameter(f"{option} is for accounts")
    name = str(path) if path else chosen_account(old)
    found_map = FieldMap.read(field_map) if field_map else FieldMap()
    with opened_source(path, found_map.columns) if path else nullcontext(name) as source:
        if suggest_map:
            _write_map(suggest_map, source, account)
            output.show(f"a first map is in {suggest_map}; look at every line of it")
            return
        wanted = query(name, only) if only else None
        with output.progress(f"comparing {name} with {account}") as far:
            comparison = compared(
                source,
                account,
                field_map=found_map,
                only=wanted,
                consent_in=consent_in,
                progress=lambda told: far(f"({told})"),
            )
        if diff:
            _write_diff(diff, comparison, excel_safe=excel_safe)
    if as_json:
        output.document(_plain(comparison, name, accepted))
    else:
        _show(comparison, name, accepted)
    if diff:
        output.note(f"written to {diff}, which holds personal data")
    leave(output.Exit.DONE if comparison.is_complete(accepted) else output.Exit.PARTIAL)


def _show(comparison: Comparison, old: str, accepted: AcceptedLosses) -> None:
    from contacts_core.cli import output
    from contacts_core.cli.formatting import some
    from contacts_core.cli.losses import show_losses
    from contacts_core.plans import ComparisonStatus

    remarks = {
        ComparisonStatus.DIFFERENT: [
            some((f"{name} ({count})" for name, count in _differing_fields(comparison).items()), MOST_NAMED)
        ],
        ComparisonStatus.HELD: [f"{hold.value} ({count})" for hold, count in comparison.holds.items()],
        ComparisonStatus.REFUSED: [f"{comparison.target} would not take them"],
    }
    made = output.table("", "contacts", "remarks")
    for status, count in comparison.counts.items():
        output.rows(made, [[status.value, count, remarks.get(status) if count else None]])
    if comparison.only_in_target is not None:
        output.rows(made, [[f"only in {comparison.target}", comparison.only_in_target, None]])
    if comparison.consent is not None:
        output.rows(made, _consent_rows(comparison.consent, comparison.target))
    output.show(made)
    show_losses(comparison.losses.rows, hints=True)
    if comparison.is_complete(accepted):
        output.show(f"{comparison.target} has everything that {old} has, as far as it can hold it")
    else:
        output.show(f"{comparison.target} does not have everything that {old} has; --diff FILE tells who and what")


def _consent_rows(consent: ConsentCheck, new: str) -> Iterator[list[Any]]:
    from contacts_core.plans import ConsentStatus

    words = {
        ConsentStatus.MISSING: ("consent missing", f"{new} does not show what people said"),
        ConsentStatus.NOT_KEPT: (
            "refusals not kept",
            f"{new} cannot hold them",
        ),
        ConsentStatus.ONLY_IN_TARGET: (f"refusals only in {new}", None),
    }
    for status, (label, remark) in words.items():
        yield [label, consent.counts[status], remark if consent.counts[status] else None]


def _plain(comparison: Comparison, old: str, accepted: AcceptedLosses) -> dict[str, Any]:
    from contacts_core.cli.losses import plain_losses
    from contacts_core.plans import ConsentStatus

    return {
        "old": old,
        "new": comparison.target,
        "complete": comparison.is_complete(accepted),
        "contacts": len(comparison),
        **{status.value: count for status, count in comparison.counts.items()},
        "only_in_new": comparison.only_in_target,
        "differing_fields": _differing_fields(comparison),
        "held_reasons": {hold.value: count for hold, count in comparison.holds.items()},
        "consent": comparison.consent
        and {
            "missing": comparison.consent.counts[ConsentStatus.MISSING],
            "not_kept": comparison.consent.counts[ConsentStatus.NOT_KEPT],
            "only_in_new": comparison.consent.counts[ConsentStatus.ONLY_IN_TARGET],
        },
        "losses": plain_losses(comparison.losses.rows),
    }


def _differing_fields(comparison: Comparison) -> dict[str, int]:
    names = _list_names(comparison.shape)
    return {names.get(field, field): count for field, count in comparison.differing_fields.items()}


def _list_names(shape: Shape) -> dict[str, str]:
    """The field of each list with its name in place of its id."""
    return {f"lists.{each.id}": f"lists.{each.name}" for each in shape.lists or ()}


def _write_diff(path: Path, comparison: Comparison, *, excel_safe: bool) -> None:
    """Write a row for every field that differs, and one for everybody who is missing, held, refused, or only there."""
    import csv

    from contacts_core.formats import private_file
    from contacts_core.formats.writers import guarded
    from contacts_core.plans import ComparisonStatus

    names = _list_names(comparison.shape)
    with private_file(path) as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL if excel_safe else csv.QUOTE_MINIMAL)
        writer.writerow(COLUMNS)
        wanted = [each for each in ComparisonStatus if each is not ComparisonStatus.EQUAL]
        for compared in comparison.rows(*wanted):
            for row in _diff_rows(compared, names):
                writer.writerow([guarded(each) if excel_safe else each for each in row])
        for contact in comparison.contacts_only_in_target() if comparison.only_in_target else ():
            row = ("only_in_new", "", "", contact.id, _identifiers(contact), "", "", "", "")
            writer.writerow([guarded(each) if excel_safe else each for each in row])
        for difference in comparison.consent.rows() if comparison.consent else ():
            writer.writerow([guarded(each) if excel_safe else each for each in _consent_row(difference)])


def _consent_row(difference: ConsentDifference) -> tuple[str, ...]:
    """The row of a statement: what is expected at NEW, or what is found there and not expected."""
    from contacts_core.cli.formatting import told
    from contacts_core.plans import ConsentStatus

    statement, loss = difference.statement, difference.loss
    only_new = difference.status is ConsentStatus.ONLY_IN_TARGET
    status = "consent_only_in_new" if only_new else f"consent_{difference.status.value}"
    name = ".".join(filter(None, ("consent", statement.channel.value, statement.scope)))
    state = statement.state.value
    values = ("", state) if only_new else (state, "")
    return (status, "", "", "", told(statement.identifier, whole=True), name, *values, loss.detail if loss else "")


def _diff_rows(compared: Compared, list_names: dict[str, str]) -> Iterator[tuple[str, ...]]:
    target, shown = compared.target, compared.shown
    known = (compared.status.value, str(compared.number), compared.old_id, target.id if target else "")
    who = (*known, _identifiers(compared.source))
    if not (compared.differences and target and shown):
        yield (*who, "", "", "", compared.reason)
        return
    for name in compared.differences:
        yield (*who, list_names.get(name, name), _value(shown, name), _value(target, name), "")


def _identifiers(contact: Contact) -> str:
    from contacts_core.cli.formatting import told
    from contacts_core.formats.writers import joined

    return joined(told(each, whole=True) for each in contact.identifiers)


def _value(contact: Contact, name: str) -> str:
    """What a contact has in a field, as the text of a cell."""
    from contacts_core.cli.columns import cell
    from contacts_core.formats.writers import joined
    from contacts_core.models.losses import flattened, identifier_field

    of_kind = [each.normal for each in contact.identifiers if identifier_field(each) == name]
    value: Any = cell(of_kind or flattened(contact).get(name))
    return joined(map(str, cast("list[object]", value))) if isinstance(value, list) else str(value)


def _write_map(path: Path, source: str | Iterable[Contact], account: str) -> None:
    """Write a first map.

    Raises:
        typer.BadParameter: There is such a file: somebody may have edited it.
    """
    from contacts_core.cli.prompts import opened
    from contacts_core.formats import private_file
    from contacts_core.models import Shape
    from contacts_core.operations import require
    from contacts_core.plans.comparing import suggest_map, unkept_fields
    from contacts_core.plans.comparing.new_fields import UsedFields
    from contacts_core.provider import UpsertsContacts

    if path.exists():
        raise typer.BadParameter(f"--suggest-map: {str(path)!r} exists; name a new file")
    if isinstance(source, str):
        with opened(source, None) as client:
            theirs = client.shape()
    else:
        used = UsedFields()
        for contact in source:
            used.add(contact)
        theirs = Shape((), used.definitions())
    with opened(account, None) as client:
        shape = client.shape()
        target = require(client.provider, UpsertsContacts)
    with private_file(path) as file:
        file.write(suggest_map(theirs, shape, unkept=unkept_fields(target, shape)))
