"""Everything a command prints: results on stdout, all else on stderr.

This is the one place through which text reaches a terminal. Vendors, plugins and files write much of that text, so
every piece of it becomes printable here (`contacts_core.text.printable`), and nothing in it is taken for markup. A
line break is only where a command put one: by giving several lines.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["Exit", "clean", "document", "line", "note", "progress", "show", "table", "text", "text_line", "warn"]

UNESCAPED = re.compile(r"[^\n\x20-\x7e]")  # what JSON may hold as it is, and a terminal may not like
NARROWEST = 40  # below that nothing fits into a cell
UNKNOWN_WIDTH = 160  # where stdout is no terminal: wide enough for ids to stay whole


class Exit(IntEnum):
    """Exit codes; `contacts --help` explains them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    REFUSED = 4
    INTERRUPTED = 130
    TERMINATED = 143


def console(*, stderr: bool = False) -> Console:
    """Where people read; what vendors wrote is never taken for markup."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    told = os.environ.get("COLUMNS", "")
    width = None if stream.isatty() else UNKNOWN_WIDTH
    if told:  # 0 is how some programs say that they do not know, and then the system is asked
        known = told.isdecimal() and told.isascii()
        width = int(told[:6]) if known else 0
        width = max(width or (get_terminal_size().columns if stream.isatty() else UNKNOWN_WIDTH), NARROWEST)
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def clean(value: object) -> str:
    """One line of text without characters that would steer a terminal."""
    from contacts_core.text import printable

    return printable(value)


def text(value: object, style: str = "") -> Text:
    """A value as one cell; a list or tuple is as many lines."""
    from rich.text import Text

    lines = value if isinstance(value, (list, tuple)) else [value]
    return Text("\n".join(map(clean, lines)), style=style, overflow="fold")


def show(renderable: RenderableType | str | list[str]) -> None:
    """Print a result: a line, several lines, or what Rich can draw."""
    if isinstance(renderable, (str, list)):
        console().print(text(renderable), soft_wrap=True)
    else:
        console().print(renderable)


def note(message: str | list[str], style: str = "") -> None:
    """Say something that is no result, in a line or several."""
    console(stderr=True).print(text(message, style), soft_wrap=True)


def warn(message: str) -> None:
    """Say something to look at."""
    note(f"warning: {message}", "yellow")


def table(*columns: str, title: str = "") -> Table:
    """An empty table; whatever is too long for a cell is folded, never cut off."""
    from rich import box
    from rich.table import Table

    made = Table(
        title=text(title, "table.title") if title else None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for column in columns:
        made.add_column(text(column), overflow="fold")
    return made


def rows(made: Table, values: Iterable[Iterable[object]]) -> Table:
    """The table with these rows; None shows as nothing."""
    for row in values:
        made.add_row(*(text("" if cell is None else cell) for cell in row))
    return made


def document(value: Any) -> None:
    """Print one JSON document."""
    _write(json.dumps(_plain(value), ensure_ascii=_ascii(), indent=2, default=str))


def text_line(whole: str) -> None:
    """Print a text that is JSON already."""
    _write(whole.rstrip("\n"))


def as_error(value: Any) -> None:
    """Print one line of JSON on stderr."""
    print(_escaped(json.dumps(value, default=str)), file=sys.stderr)


def line(value: Any) -> None:
    """Print one line of JSON Lines."""
    _write(json.dumps(_plain(value), ensure_ascii=_ascii(), default=str))


@contextmanager
def progress(what: str) -> Iterator[Callable[[str], None]]:
    """Show on stderr that something goes on; call what is given to say how far it got.

    Moves on a terminal only, and not while stdout writes to the same terminal.
    """
    if not sys.stderr.isatty():
        yield lambda _far: None
        return
    with console(stderr=True).status(text(what)) as status:
        yield lambda far: status.update(text(f"{what} {far}"))


def _plain(value: Any) -> Any:
    from contacts_core.formats import plain

    return plain(value)


def _ascii() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"


def _write(line: str) -> None:
    sys.stdout.write(_escaped(line) + "\n")


def _escaped(whole: str) -> str:
    r"""JSON with every character as ``\u…`` that is not printable; such characters stand in its strings only."""
    return UNESCAPED.sub(lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], whole)
