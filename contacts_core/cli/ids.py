"""The file of ``--ids``: which contact of NEW is which of OLD, written while a copy runs."""

from __future__ import annotations

import csv
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, BinaryIO, Self, TextIO

import typer

from contacts_core.cli import output
from contacts_core.cli.options import output_file
from contacts_core.errors import ContactsError, InvalidInput

if TYPE_CHECKING:
    from contacts_core.plans import PairHandler

__all__ = ["Ids", "IdsFile", "ids_file"]

HEADER = ["old_id", "new_id"]
LINE_BREAKS = "\r\n"
TABLE = "CREATE TABLE pairs (n INTEGER PRIMARY KEY, old TEXT NOT NULL UNIQUE, new TEXT NOT NULL);"

Ids = Annotated[
    Path | None,
    typer.Option(
        "--ids",
        metavar="FILE",
        parser=output_file,
        help="Write the old and the new id of every contact as CSV, while it runs. A file that exists is added to.",
    ),
]


class IdsFile:
    """Pairs of ids in a CSV file that only its owner can read. Each is written once, as soon as it is known.

    A file that exists is added to, so that an interrupted copy can go on with it. A line that was cut off is dropped.
    Threads may share it.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; entering the context opens it."""
        self._path, self._lock = path, threading.Lock()
        self._trouble = ""

    def __enter__(self) -> Self:
        """Open it, and read what it has.

        Raises:
            InvalidInput: It is a file of another kind, or cannot be written.
            ConfigurationError: It is a link, or belongs to another user.
        """
        from contacts_core.storage.private_files import opened_private
        from contacts_core.storage.spool import Spool

        self._known, self._count, self._replaced = Spool(TABLE), 0, False
        self._is_new = not self._path.exists()
        if not self._is_new and not self._path.is_file():  # a pipe or a terminal: nothing is there to be read
            self._file: TextIO = self._path.open("w", encoding="utf-8", newline="")
            self._begin()
            return self
        binary = opened_private(self._path)
        try:
            end = self._read(binary)
        except BaseException:
            binary.close()
            raise
        binary.seek(end)
        binary.truncate()
        self._file = TextIOWrapper(binary, encoding="utf-8", newline="")
        if not end:
            self._begin()
        return self

    def _begin(self) -> None:
        try:
            self._write(HEADER)
        except OSError as error:
            with suppress(OSError):
                self._file.close()
            raise InvalidInput(f"{self._path} cannot be written: {error.strerror}", hint="name another file") from None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Close it, and say how many were added.

        Raises:
            ContactsError: Not all could be written, and nothing else went wrong.
        """
        with self._lock:
            try:
                self._file.close()
                if self._replaced and not self._trouble:
                    self._write_again()
            except OSError as failed:
                self._trouble = failed.strerror or type(failed).__name__
        if self._trouble:
            told = f"{self._path} does not have all new ids: {self._trouble}"
            hint = "make room, and copy again with the same --ids; only ids are left to be written"
            if error is None or (isinstance(error, typer.Exit) and not error.exit_code):
                raise ContactsError(told, hint=hint)
            output.warn(f"{told}; {hint}")
        elif self._is_new and not self._count and error is not None and not isinstance(error, typer.Exit):
            self._path.unlink(missing_ok=True)
        else:
            left = error is not None and not isinstance(error, typer.Exit)
            again = "; give the same --ids when you go on" if left else ""
            output.note(f"{self._count} pair(s) of ids added to {self._path}{again}")

    def add(self, old_id: str, new_id: str) -> None:
        """Write a pair, unless the file has it. A new id replaces an earlier one of the same contact."""
        from contacts_core.formats.writers import guarded

        old, new = guarded(old_id), guarded(new_id)
        with self._lock:
            if {*LINE_BREAKS} & {*old, *new}:
                self._trouble = self._trouble or "an id has a line break"
            known = self._known.one("SELECT new FROM pairs WHERE old = ?", old)
            if self._trouble or (known and known[0] == new):
                return
            self._replaced |= known is not None
            self._remember(old, new)
            self._count += 1
            try:
                self._write([old, new])
            except OSError as error:
                self._trouble = error.strerror or type(error).__name__

    def _remember(self, old: str, new: str) -> None:
        statement = "INSERT INTO pairs (old, new) VALUES (?, ?) ON CONFLICT (old) DO UPDATE SET new = excluded.new"
        self._known.write(statement, [(old, new)])

    def _write(self, row: list[str]) -> None:
        csv.writer(self._file, lineterminator="\n").writerow(row)
        self._file.flush()

    def _read(self, file: BinaryIO) -> int:
        """Read the pairs of the file, and return where its last whole line ends.

        Raises:
            InvalidInput: It is a file of another kind.
        """
        end = 0
        for line in file:
            if not line.endswith(b"\n") and end:
                break
            row = _cells(line)
            if not end and not line.endswith(b"\n") and ",".join(HEADER).encode().startswith(line):
                break
            if len(row) != len(HEADER) or (not end and row != HEADER):
                raise InvalidInput(f"{self._path} is no file of ids, and is left as it is", hint="name a new file")
            if end:
                self._remember(*row)
            end += len(line)
        return end

    def _write_again(self) -> None:
        """Replace the file by one without the pairs that are no longer true."""
        from contacts_core.storage.private_files import owner_only

        with owner_only(self._path) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER)
            writer.writerows(self._known.each("SELECT n, old, new FROM pairs WHERE n > ? ORDER BY n LIMIT ?"))


def _cells(line: bytes) -> list[str]:
    """The cells of a line; none if it is too long to be one of ours."""
    try:
        return next(csv.reader([line.decode(errors="replace").rstrip("\r\n")]), list[str]())
    except csv.Error:
        return []


@contextmanager
def ids_file(path: Path | None) -> Generator[PairHandler | None]:
    """What plans and runs call with each pair of ids, to write it to the file; None without a file."""
    if path is None:
        yield None
        return
    with IdsFile(path) as file:
        yield file.add
