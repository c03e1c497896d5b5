"""Where contacts to compare or copy come from: an account, or a file."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from contacts_core.cli.options import chosen_account, input_file, whole_file

if TYPE_CHECKING:
    from contacts_core.models import Contact
    from contacts_core.query import Query

__all__ = ["FieldMapFile", "Only", "SuggestMap", "file_of", "opened_source", "query", "write_first_map"]

JSON_LINES = (".jsonl", ".ndjson")
CSV = ".csv"

FieldMapFile = Annotated[
    Path | None,
    typer.Option(
        "--map",
        metavar="FILE",
        parser=input_file,
        help="TOML: what fields, lists and tags are called in NEW. `contacts check --suggest-map` writes a first one.",
    ),
]
Only = Annotated[
    str | None,
    typer.Option(
        "--only",
        metavar="EXPRESSION",
        help="Only contacts of OLD that match a condition, as `contacts search --where` takes it.",
    ),
]

SuggestMap = Annotated[
    Path | None,
    typer.Option(
        "--suggest-map",
        metavar="FILE",
        parser=whole_file,
        help="Only write a first map, from the fields and lists of both; edit it, and use it with --map.",
    ),
]


def file_of(old: str) -> Path | None:
    """The file that is meant, or None if it is an account.

    Raises:
        typer.BadParameter: It is named as a file, and cannot be read.
    """
    path = Path(old)
    return input_file(old) if old == "-" or path.suffix.lower() in {CSV, *JSON_LINES} else None


@contextmanager
def opened_source(path: Path, columns: Mapping[str, str | None] | None = None) -> Generator[Iterator[Contact]]:
    """The contacts of a file or pipe, in JSON Lines or CSV.

    Args:
        path: The file; ``-`` is standard input.
        columns: What the columns of a CSV file hold; see `contacts_core.formats.read_contacts_csv`.

    Raises:
        InvalidInput: The file cannot be read, or a line of it is no contact.
    """
    from contacts_core.formats import read_contacts_csv, read_json_lines, readable

    with readable(path) as file:
        yield read_json_lines(file) if _is_json_lines(path, file) else read_contacts_csv(file, columns)


def _is_json_lines(path: Path, file: BinaryIO) -> bool:
    """Whether it is JSON Lines, by its name, or by its first line where it has none."""
    from contacts_core.formats import read_lines

    if path.suffix.lower() in {CSV, *JSON_LINES}:
        return path.suffix.lower() != CSV
    return any(line.lstrip().startswith("{") for _, line in _first(read_lines(file)))


def _first(lines: Iterator[tuple[int, str]]) -> list[tuple[int, str]]:
    return [line for _, line in zip(range(1), lines, strict=False)]


def query(account: str, only: str) -> Query:
    """The query of ``--only``, with values in the types of the account's custom fields."""
    from contacts_core.cli import conditions
    from contacts_core.cli.prompts import opened

    (condition,) = conditions.where([only], "--only")
    with opened(account, None) as client:
        return condition.query(conditions.types(client, [condition]))


def write_first_map(path: Path, old: str, new: str, columns: Mapping[str, str | None] | None = None) -> None:
    """Write a first map, from the names of both sides, and say so.

    Args:
        path: The file to write.
        old: The account, or the file, to copy from.
        new: The account to copy to.
        columns: What the columns of a CSV file hold.

    Raises:
        typer.BadParameter: There is such a file: somebody may have edited it.
    """
    from contacts_core.cli import output
    from contacts_core.cli.prompts import opened
    from contacts_core.formats import private_file
    from contacts_core.models import Shape
    from contacts_core.operations import require
    from contacts_core.plans.comparing import suggest_map, unkept_fields
    from contacts_core.plans.comparing.new_fields import UsedFields
    from contacts_core.provider import UpsertsContacts

    if path.exists():
        raise typer.BadParameter(f"--suggest-map: {str(path)!r} exists; name a new file")
    if source := file_of(old):
        used = UsedFields()
        with opened_source(source, columns) as contacts:
            for contact in contacts:
                used.add(contact)
        theirs = Shape((), used.definitions())
    else:
        with opened(chosen_account(old), None) as client:
            theirs = client.shape()
    with opened(new, None) as client:
        shape = client.shape()
        target = require(client.provider, UpsertsContacts)
    with private_file(path) as file:
        file.write(suggest_map(theirs, shape, unkept=unkept_fields(target, shape)))
    output.show(f"a first map is in {path}; look at every line of it")
