"""Everything a command prints: results on stdout, all else on stderr.

This is the one place through which text reaches a terminal. Vendors, plugins and files write much of that text, so
every piece of it becomes printable here (`contacts_core.text.printable`), and nothing in it is taken for markup. A
line break is only where a command put one: by giving several lines.

With ``--json`` everything for stderr is collected and printed as one JSON document when the command ends.
"""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = [
    "Cell",
    "CsvOut",
    "Exit",
    "Table",
    "body",
    "clean",
    "csv_rows",
    "document",
    "line",
    "messages",
    "note",
    "progress",
    "prompt",
    "show",
    "table",
    "text",
    "text_lines",
    "warn",
]

UNESCAPED = re.compile(r"[^\n\x20-\x7e]")  # what JSON may hold as it is, and a terminal may not like
NARROWEST = 40  # columns
UNKNOWN_WIDTH = 160  # columns, where the stream is not a terminal
GAP = 2  # columns between two cells
UNBROKEN = 14  # a cell of at most so many characters stays on one line, blanks or not


class Exit(IntEnum):
    """Exit codes; `contacts --help` explains them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    REFUSED = 4
    INTERRUPTED = 130
    TERMINATED = 143


class Cell(NamedTuple):
    """A cell with a style."""

    value: object
    style: str


@dataclass
class Table:
    """Rows under a header.

    On a terminal it is drawn, and no word in a cell is ever broken: if the terminal is too narrow for that, each row is
    shown as a block of lines.
    """

    columns: Sequence[str]
    title: str = ""
    for_people: bool = False
    ruled: bool = False
    rows: list[list[Cell]] = field(default_factory=list[list[Cell]])

    def add_row(self, *cells: object) -> None:
        """Add a row; None is an empty cell, a list or tuple is a cell of several lines."""
        self.rows.append([cell if isinstance(cell, Cell) else Cell(cell, "") for cell in cells])


@dataclass
class _Messages:
    """How the command that runs talks on stderr."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    kept: dict[str, Any] = field(default_factory=dict[str, Any])

    def keep(self, kind: str, lines: Iterable[str]) -> None:
        self.kept.setdefault(kind, []).extend(lines)


_messages = _Messages()


@contextmanager
def messages(*, as_json: bool) -> Generator[None]:
    """Collect what is said on stderr if the result is JSON, and print it as one document at the end."""
    global _messages
    before, _messages = _messages, _Messages(as_json)
    try:
        yield
    finally:
        kept, _messages = _messages.kept, before
        if kept:
            print(_escaped(json.dumps(kept, default=str)), file=sys.stderr)


def verbosity(*, quiet: bool = False, verbose: bool = False, debug: bool = False) -> None:
    """Say less or more from now on."""
    _messages.quiet = _messages.quiet or quiet
    _messages.debug = _messages.debug or debug
    _messages.verbose = _messages.verbose or verbose or debug


def is_json() -> bool:
    """Whether stderr is to be one JSON document."""
    return _messages.as_json


def is_verbose() -> bool:
    """Whether requests are to be shown."""
    return _messages.verbose


def is_debugging() -> bool:
    """Whether tracebacks are to be shown."""
    return _messages.debug


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads this stream."""
    return stream.isatty()


def console(*, stderr: bool = False) -> Console:
    """Where people read; what vendors wrote is never taken for markup."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    told = os.environ.get("COLUMNS", "")
    on_terminal = is_terminal(stream)
    width = None if on_terminal else UNKNOWN_WIDTH
    if told:  # 0 is how some programs say that they do not know, and then the system is asked
        known = told.isdecimal() and told.isascii()
        width = int(told[:6]) if known else 0
        width = max(width or (get_terminal_size().columns if on_terminal else UNKNOWN_WIDTH), NARROWEST)
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def clean(value: object) -> str:
    """One line of text without characters that would steer a terminal."""
    from contacts_core.text import printable

    return printable(value)


def text(value: object, style: str = "") -> Text:
    """A value as text in a style; a list or tuple is as many lines."""
    from rich.text import Text

    return Text("\n".join(_lines(value)), style=style, overflow="fold")


def show(result: Table | str | list[str], *, stderr: bool = False) -> None:
    """Print a result: a line, several lines, or a table."""
    if not isinstance(result, Table):
        console(stderr=stderr).print(text(result), soft_wrap=True)
    elif stderr or result.for_people or is_terminal(sys.stdout):
        _draw(result, console(stderr=stderr))
    else:
        for row in result.rows:
            _write("\t".join(", ".join(_lines(cell.value)) for cell in row))


class CsvOut:
    """Standard output for CSV: exact where a program reads, and without control characters where a person does."""

    def write(self, whole: str) -> int:
        """Write a row."""
        if is_terminal(sys.stdout):
            body = whole.rstrip("\r\n")
            whole = clean(body) + whole[len(body) :]
        encoding = sys.stdout.encoding or "utf-8"  # half a character is written as a file has it, as \ud83d
        return sys.stdout.write(whole.encode(encoding, "backslashreplace").decode(encoding))


def csv_rows(columns: Iterable[str], rows: Iterable[Iterable[object]], *, excel_safe: bool = False) -> None:
    """Print rows as CSV with a header, written as `contacts_core.formats.CsvWriter` writes contacts."""
    from contacts_core.formats.writers import guarded, joined

    guard: Callable[[str], str] = guarded if excel_safe else str
    writer = csv.writer(CsvOut(), quoting=csv.QUOTE_ALL if excel_safe else csv.QUOTE_MINIMAL)
    writer.writerow(columns)
    for row in rows:
        cells = ((cell, _several(cell)) for cell in row)
        writer.writerow(guard(str(c) if s is None else joined(map(str, s), guard)) for c, s in cells)


def note(message: str | list[str], style: str = "", *, even_if_quiet: bool = False) -> None:
    """Say something that is no result, in a line or several; ``--quiet`` leaves it out."""
    if even_if_quiet or not _messages.quiet:
        _say("notes", message, style)


def warn(message: str) -> None:
    """Say something to look at."""
    _say("warnings", message if _messages.as_json else f"warning: {message}", "yellow")


def trace(message: str | list[str]) -> None:
    """Say something for who looks for a fault."""
    _say("debug", message, "dim")


def prompt(lines: list[str]) -> None:
    """Show something to the person who is about to be asked, whatever else is collected or kept quiet."""
    console(stderr=True).print(text(lines), soft_wrap=True)


def error(details: dict[str, Any]) -> None:
    """Say why the command failed: ``message`` and ``hint`` for people, everything with ``--json``."""
    if _messages.as_json:
        _messages.kept["error"] = details
        return
    _say("", f"error: {details['message']}", "red")
    if details["hint"]:
        _say("", f"hint: {details['hint']}", "")


def _say(kind: str, message: str | list[str], style: str) -> None:
    if _messages.as_json:
        _messages.keep(kind, _lines(message))
    else:
        console(stderr=True).print(text(message, style), soft_wrap=True)


def table(*columns: str, title: str = "", for_people: bool = False) -> Table:
    """An empty table."""
    return Table(columns, title, for_people)


def rows(made: Table, values: Iterable[Iterable[object]]) -> Table:
    """The table with these rows; None shows as nothing."""
    for row in values:
        made.add_row(*row)
    return made


def document(value: Any) -> None:
    """Print one JSON document."""
    _write(_escaped(json.dumps(_plain(value), ensure_ascii=_ascii(), indent=2, default=str)))


def body(value: Any, *, as_json: bool) -> None:
    """Print the body of an answer: JSON, other text, or bytes."""
    if isinstance(value, bytes):
        if as_json:
            document(b64encode(value).decode())
        elif is_terminal(sys.stdout):
            note(f"{len(value)} bytes that are not text; redirect the output to a file to have them")
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(value)
    elif isinstance(value, str) and not as_json:
        for each in value.splitlines():
            _write(clean(each) if is_terminal(sys.stdout) else each)
    else:
        document(value)


def text_lines(lines: Iterable[str]) -> None:
    """Print lines that are JSON already."""
    for text in lines:
        _write(_escaped(text.rstrip("\n")))


def line(value: Any) -> None:
    """Print one line of JSON Lines."""
    _write(_escaped(json.dumps(_plain(value), ensure_ascii=_ascii(), default=str)))


def shows_progress() -> bool:
    """Whether something may move on stderr."""
    return is_terminal(sys.stderr) and not (_messages.as_json or _messages.quiet)


@contextmanager
def progress(what: str) -> Generator[Callable[[str], None]]:
    """Show on stderr that something goes on; call what is given to say how far it got.

    Shown on a terminal only, and neither with ``--json`` nor with ``--quiet``.
    """
    if not shows_progress():
        yield lambda _far: None
        return
    with console(stderr=True).status(text(what)) as status:
        yield lambda far: status.update(text(f"{what} {far}"))


def _draw(made: Table, target: Console) -> None:
    """Draw a table in which no word is broken; as blocks of lines where it would be too wide."""
    cells = [[_lines(cell.value) for cell in row] for row in made.rows]
    columns = list(zip([[name] for name in made.columns], *cells, strict=True))
    widths = _widths(columns, target.width)
    if made.title:
        target.print(text(made.title, "italic"))
    if widths:
        target.print(_grid(made, cells, widths), crop=False)
    else:
        _draw_blocks(made, cells, target)
    target.print()


def _grid(made: Table, cells: list[list[list[str]]], widths: list[int]) -> Any:
    from rich import box
    from rich.table import Table as Grid

    grid = Grid(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),
        show_header=any(made.columns),
        show_lines=made.ruled,
    )
    for name, width in zip(made.columns, widths, strict=True):
        grid.add_column(text(_wrapped([name], width)), width=width, no_wrap=True)
    for row, texts in zip(made.rows, cells, strict=True):
        wrapped = zip(row, texts, widths, strict=True)
        grid.add_row(*(text(_wrapped(lines, width), cell.style) for cell, lines, width in wrapped))
    return grid


def _draw_blocks(made: Table, cells: list[list[list[str]]], target: Console) -> None:
    """Each row as lines of a column's name and its value."""
    from rich.text import Text

    label = max(map(len, made.columns)) + GAP
    for number, (row, texts) in enumerate(zip(made.rows, cells, strict=True)):
        if number:
            target.print()
        for name, cell, lines in zip(made.columns, row, texts, strict=True):
            wrapped = _wrapped(lines, max(target.width - label, 1)) if any(lines) else []
            for place, each in enumerate(wrapped):
                before = "" if place else clean(name)
                target.print(Text(before.ljust(label)).append(text(each, cell.style)), soft_wrap=True)


def _widths(columns: Sequence[Sequence[Sequence[str]]], available: int) -> list[int]:
    """How wide each column is to be; empty if they do not fit."""
    from rich.cells import cell_len

    least = [max(_least(line) for cell in column for line in cell) for column in columns]
    most = [max(cell_len(line) for cell in column for line in cell) for column in columns]
    spare = available - GAP * (len(columns) - 1) - sum(least)
    if spare < 0:
        return []
    widths = list(least)
    by_need = sorted(range(len(columns)), key=lambda number: most[number] - least[number])
    for place, number in enumerate(by_need):  # an even share, and what one does not need is for the others
        more = min(most[number] - least[number], spare // (len(by_need) - place))
        widths[number] += more
        spare -= more
    return widths


def _least(line: str) -> int:
    """The width at which no word of this line is broken."""
    from rich.cells import cell_len

    whole = cell_len(line)
    return whole if whole <= UNBROKEN else max(map(cell_len, line.split(" ")))


def _wrapped(lines: Iterable[str], width: int) -> list[str]:
    """The lines, broken at blanks."""
    from rich.cells import cell_len

    made: list[str] = []
    for whole in lines:
        kept = ""
        for word in whole.split(" ") if cell_len(whole) > width else [whole]:
            if kept and cell_len(f"{kept} {word}") > width:
                made.append(kept)
                kept = word
            else:
                kept = f"{kept} {word}" if kept else word
        made.append(kept)
    return made


def _lines(value: object) -> list[str]:
    """A value as lines that are fit to be printed, at least one."""
    several = _several(value)
    lines = [value] if several is None else several
    return ["" if line is None else clean(line) for line in lines] or [""]


def _several(cell: object) -> Sequence[object] | None:
    return cast("Sequence[object]", cell) if isinstance(cell, (list, tuple)) else None


def _plain(value: Any) -> Any:
    from contacts_core.formats import plain

    return plain(value)


def _ascii() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


def _escaped(whole: str) -> str:
    r"""JSON with every character as ``\u…`` that is not printable; such characters stand in its strings only."""
    return UNESCAPED.sub(lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], whole)
