"""Strict readers of contacts and people from files and pipes.

Invalid content refuses the whole input and names the line, because a reader that guesses drops or invents people. Each
reader takes a path or an open binary file and reads it line by line in bounded memory; a file that can be rewound is
read from its beginning, so that it can be checked first and used afterwards.
"""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeVar, cast

from contacts_core.errors import InvalidInput
from contacts_core.formats.plain_data import consent_from_plain, contact_from_plain
from contacts_core.models import Consent, Contact, Identifier
from contacts_core.models.identifiers import EMAILS, scrub

__all__ = ["read_consent", "read_json_lines", "read_lines", "read_people", "readable"]

T = TypeVar("T")
Source: TypeAlias = Path | BinaryIO

STDIN = "-"
BOM = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
LONGEST_LINE = 1 << 24  # bytes; contacts and people are far shorter
LONGEST_CELL = 10_000  # characters; identifiers are far shorter
LONGEST_QUOTE = 60  # characters of the input that a message repeats at most
DEEPEST = 100  # levels of lists and objects in JSON

# A column's name, and what its values are.
COLUMNS: dict[str, Callable[[str], Identifier]] = {
    "email": Identifier.email,
    "phone": Identifier.phone,
    "external_id": Identifier.external_id,
    "anonymous_id": Identifier.anonymous_id,
}
EXPECTED = {
    "email": ("an e-mail address", "write one address in a cell, such as jane@example.com"),
    "phone": ("a phone number", "write one number in a cell, with + and its country code, such as +12025550123"),
}


@contextmanager
def readable(source: str | Path) -> Generator[BinaryIO]:
    """Open a file, a pipe, or standard input (``-``) as a binary file that can be read more than once.

    Input that cannot be rewound is first copied to a temporary file without a name that only its owner can read. The
    copy is deleted when the block or the process ends.

    Raises:
        InvalidInput: There is no such file, or it cannot be read.
    """
    with opened(_stdin() if str(source) == STDIN else Path(source)) as file:
        if file.seekable():
            yield file
            return
        with tempfile.TemporaryFile(prefix="contacts-") as copy:
            with _typed(file):
                shutil.copyfileobj(file, copy)
            yield copy


def read_lines(source: Source) -> Iterator[tuple[int, str]]:
    """Iterate over the lines that are not blank, each with its number and without the line break.

    Raises:
        InvalidInput: The input cannot be read, or a line is too long, not UTF-8, or holds NUL or a carriage return.
    """
    with opened(source) as file:
        name, number = source_name(file), 0
        with _typed(file):
            if file.seekable():
                file.seek(0)
        while True:
            with _typed(file):
                line = file.readline(LONGEST_LINE + 1)
            if not line:
                return
            number += 1
            if text := _text(line, number, name):
                yield number, text


def read_json_lines(source: Source) -> Iterator[Contact]:
    """Iterate over the contacts of a file of JSON Lines.

    Raises:
        InvalidInput: A line is not a contact, or has unknown fields; the message names the line.
    """
    return _read_each(source, contact_from_plain)


def read_consent(source: Source) -> Iterator[Consent]:
    """Iterate over the statements of consent of a file of JSON Lines.

    Raises:
        InvalidInput: A line is not a statement of consent, or has unknown fields; the message names the line.
    """
    return _read_each(source, consent_from_plain)


def _read_each(source: Source, read: Callable[[Any], T]) -> Iterator[T]:
    name = source_name(source)
    for number, line in read_lines(source):
        try:
            yield read(_json(line))
        except InvalidInput as error:
            raise InvalidInput(f"{name}, line {number}: {error}", hint=error.hint) from None


def read_people(source: Source) -> tuple[list[tuple[Identifier, ...]], list[str]]:
    """Read the people of a CSV file: one row for each, with columns named by kind of identifier.

    A column name may occur twice.

    Returns:
        The identifiers of each person, and the names of the columns that were not read.

    Raises:
        InvalidInput: No column is known, or a row is not one person with certain identifiers; the message names the
            line.
    """
    name, people = source_name(source), list[tuple[Identifier, ...]]()
    header: list[str] | None = None
    for number, line in read_lines(source):
        try:
            row = _cells(line)
            if header is None:
                header = _header(row)
            elif any(map(str.strip, row)):
                people.append(_person(header, row))
        except InvalidInput as error:
            raise InvalidInput(f"{name}, line {number}: {error}", hint=error.hint) from None
    if header is None:
        raise InvalidInput(
            f"{name} has no column of identifiers: it is empty", hint=f"name one of {', '.join(COLUMNS)}"
        )
    return people, [column for column in header if column not in COLUMNS]


def _stdin() -> BinaryIO:
    binary = getattr(sys.stdin, "buffer", None)
    if binary is None:
        raise InvalidInput("standard input is not open", hint="name a file")
    file: BinaryIO = binary
    return file


def source_name(source: Source) -> str:
    name = getattr(source, "name", None)
    return Path(name).name if isinstance(name, str) and not name.startswith("<") else "standard input"


@contextmanager
def opened(source: Source) -> Generator[BinaryIO]:
    if not isinstance(source, Path):
        yield source
        return
    with _typed(source):
        file = source.open("rb")
    with file:
        yield file


@contextmanager
def _typed(source: Source) -> Generator[None]:
    """Turn what the operating system says about a file into an error of this library."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
        raise InvalidInput(f"{source_name(source)} cannot be read: {reason}") from None


def _text(line: bytes, number: int, name: str) -> str:
    """The text of a line, without its end; empty for a blank line."""
    if number == 1:
        if line.startswith(UTF_16):
            raise InvalidInput(f"{name} is UTF-16, not UTF-8", hint="save it as UTF-8")
        line = line.removeprefix(BOM)
    place = f"{name}, line {number}"
    if len(line) > LONGEST_LINE:
        raise InvalidInput(f"{place} is longer than {LONGEST_LINE} bytes", hint="is this the right file?")
    try:
        text = line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8; spreadsheets offer that when saving as CSV"
        raise InvalidInput(f"{place} is not UTF-8, from byte {error.start + 1} on", hint=hint) from None
    if "\0" in text:
        raise InvalidInput(f"{place} holds a NUL character", hint="save it as UTF-8 text")
    if "\r" in text:
        raise InvalidInput(f"{place} holds a carriage return without a line feed", hint="end lines with a line feed")
    return text if text.strip() else ""


def _cells(line: str) -> list[str]:
    """The cells of a row. A row is a line: whatever a quote opens, it closes before the line ends."""
    try:
        (row,) = csv.reader([line], strict=True)
    except csv.Error as error:
        unbalanced = "unexpected end of data" in str(error)
        reason = "a quotation mark opens a cell and nothing closes it on this line" if unbalanced else str(error)
        raise InvalidInput(reason, hint='in CSV, a cell with a quotation mark is written as "say ""hello"""') from None
    if any(len(cell) > LONGEST_CELL for cell in row):
        raise InvalidInput(f"a cell is longer than {LONGEST_CELL} characters")
    return row


def _header(row: Sequence[str]) -> list[str]:
    header = [name.strip().lower().replace("-", "_").replace(" ", "_") for name in row]
    if any(EMAILS.search(cell) or Identifier.phone(cell).certain for cell in row):
        hint = f"the first line names the columns: {', '.join(COLUMNS)}"
        raise InvalidInput("the names of the columns are missing", hint=hint)
    if not COLUMNS.keys() & set(header):
        separators = [each for each in (";", "\t") if any(each in cell for cell in row)]
        hint = "separate columns by commas" if separators else f"name one of {', '.join(COLUMNS)}"
        raise InvalidInput("there is no column of identifiers", hint=hint)
    return header


def _person(header: Sequence[str], row: Sequence[str]) -> tuple[Identifier, ...]:
    if len(row) != len(header):
        hint = "give every row as many cells as the first line has; quote a cell that holds a comma"
        raise InvalidInput(f"this row has {len(row)} cells under {len(header)} columns", hint=hint)
    identifiers: dict[Identifier, None] = {}
    for column, cell in zip(header, row, strict=True):
        if column not in COLUMNS:
            _nobody_in(cell, column)
        elif cell.strip():
            identifiers[_identifier(column, cell)] = None
    if not identifiers:
        raise InvalidInput("this person has no identifier")
    return tuple(identifiers)


def _identifier(column: str, cell: str) -> Identifier:
    if column not in EXPECTED:
        if cell != cell.strip():
            hint = "ids are compared exactly, so remove it"
            raise InvalidInput(f"there is white space around the {column} {_shown(cell)}", hint=hint)
        return COLUMNS[column](cell)
    # An apostrophe before "+" is how spreadsheet-safe exports write a phone number.
    value = cell.removeprefix("'") if cell.startswith("'+") else cell
    identifier, (what, hint) = COLUMNS[column](value.strip()), EXPECTED[column]
    if not identifier.certain:
        raise InvalidInput(f"{_shown(cell)} is not {what}", hint=hint)
    return identifier


def _nobody_in(cell: str, column: str) -> None:
    """Refuse an identifier in a column that is not read: nobody may be left out unnoticed."""
    name = column or "a column without a name"
    hint = f"name the column {' or '.join(EXPECTED)}, or remove it"
    if not column and cell.strip():
        raise InvalidInput(f"there is text in {name}", hint=hint)
    if EMAILS.search(cell) or Identifier.phone(cell).certain:
        raise InvalidInput(f"the column {_shown(column)} is not read, and it holds {_shown(cell)}", hint=hint)


def _json(line: str) -> Any:
    """The value of a line of JSON, if it can be written again: no key twice, no infinite number, no broken text."""
    try:
        value = json.loads(line, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"this is not JSON: {error.msg}, at character {error.pos + 1}") from None
    except RecursionError:
        raise InvalidInput(f"this is nested more than {DEEPEST} levels deep") from None
    except InvalidInput:
        raise
    except ValueError:
        raise InvalidInput("a number has too many digits") from None
    level = [value]
    for _ in range(DEEPEST):
        level = [each for parent in level for each in _inside(parent)]
        if not level:
            return value
    raise InvalidInput(f"this is nested more than {DEEPEST} levels deep")


def _inside(value: Any) -> Sequence[Any]:
    match value:
        case str():
            if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
                raise InvalidInput(f"{_shown(value)} holds half a character", hint="write it as UTF-8 or as a pair")
        case float():
            if not math.isfinite(value):
                raise InvalidInput("a number is too large")
        case list():
            return cast("Sequence[Any]", value)
        case dict():
            whole = cast("Mapping[Any, Any]", value)
            return [*whole, *whole.values()]
        case _:
            pass
    return ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidInput(f"the key {_shown(key)} stands twice")
        found[key] = value
    return found


def _constant(name: str) -> None:
    raise InvalidInput(f"{name} is not a JSON number")


def _shown(text: str) -> str:
    """A piece of the input fit for a message: short, with identifiers masked and control characters spelled out."""
    masked = scrub(text)
    return repr(masked if len(masked) <= LONGEST_QUOTE else f"{masked[:LONGEST_QUOTE]}…")
