"""The ``contacts`` command.

Nothing here imports the library before a command runs: `contacts --help` is to appear at once.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contacts_core.cli.root import app

__all__ = ["app", "main"]


def __getattr__(name: str) -> Any:
    if name != "app":
        message = f"module 'contacts_core.cli' has no attribute {name!r}"
        raise AttributeError(message)
    from contacts_core.cli.root import app

    return app


def main() -> None:
    """Run the command; the entry point."""
    from contacts_core.cli import stopping

    stopping.heed()
    try:
        _run()
    except KeyboardInterrupt:  # before or after a command ran; while one runs, it says more than this
        print("interrupted; nothing was under way", file=sys.stderr)
        sys.exit(stopping.exit_code())


def _run() -> None:
    try:
        from contacts_core.cli.root import app
    except ModuleNotFoundError as missing:
        print(f"contacts: the package {missing.name} is missing\nhint: install contacts-core[cli]", file=sys.stderr)
        sys.exit(1)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a letter that the terminal does not have is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="contacts")
