"""The ``contacts`` command.

Nothing here imports the library before a command runs: `contacts --help` is to appear at once.
"""

from __future__ import annotations

import io
import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command; the entry point."""
    from contacts_core.cli import signals as stopping

    stopping.heed()
    _fill_closed_streams()
    try:
        _run()
    except KeyboardInterrupt:  # before or after a command ran; while one runs, it says more than this
        print("interrupted; nothing was under way", file=sys.stderr)
        sys.exit(stopping.exit_code())
    except SystemExit as ended:
        if ended.code == stopping.CTRL_C:  # Typer's own code, whichever signal came between its start and the command's
            sys.exit(stopping.exit_code())
        raise


def _fill_closed_streams() -> None:
    """See to it that no connection or file gets the number of a standard stream that was closed.

    Without stderr, what is said there is dropped; without stdout nothing is begun, for nobody would learn of it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as the process lives
    if sys.stdout is None:
        print("error: standard output is closed, so nothing was done\nhint: add >/dev/null", file=sys.stderr)
        sys.exit(2)


def _run() -> None:
    try:
        from contacts_core.cli.app import app
    except ModuleNotFoundError as missing:
        print(f"contacts: the package {missing.name} is missing\nhint: install contacts-core[cli]", file=sys.stderr)
        sys.exit(1)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a letter that the terminal does not have is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="contacts")
