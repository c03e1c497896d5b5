"""Where contacts to compare or copy come from: an account, or a file."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from contacts_core.cli.options import input_file

if TYPE_CHECKING:
    from contacts_core.models import Contact
    from contacts_core.query import Query

__all__ = ["FieldMapFile", "Only", "file_of", "opened_source", "query"]

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

    (condition,) = conditions.where([only])
    with opened(account, None) as client:
        return condition.query(conditions.types(client, [condition]))
