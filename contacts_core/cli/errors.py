"""When something goes wrong: one readable line, a hint, the right exit code, and no traceback."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import typer

from contacts_core import errors
from contacts_core.cli import output
from contacts_core.cli import signals as stopping
from contacts_core.cli.output import Exit, document, note, show, warn
from contacts_core.errors import ContactsError
from contacts_core.models.identifiers import scrub

__all__ = ["Refused", "Stopped", "handled", "reached"]

CODES: tuple[tuple[type[ContactsError], Exit], ...] = (
    (errors.UnsupportedOperation, Exit.REFUSED),
    (errors.PlanRefused, Exit.REFUSED),
    (errors.InvalidInput, Exit.USAGE),
    (errors.ConfigurationError, Exit.USAGE),
    (errors.IncompleteSearch, Exit.PARTIAL),
    (errors.IncompleteExport, Exit.PARTIAL),
    (errors.Interrupted, Exit.PARTIAL),
    (errors.JobTimeout, Exit.PARTIAL),
)
# What the library says to programs, said to people.
HINTS = {
    "scan=True": "narrow the search, or read every contact with --scan",
    ".uncertain and .unsent": "run the command again, which is safe; with --json it lists what was not reached",
}
DETAILS = ("provider", "operation", "status", "request_id", "retry_after", "total")


class Refused(ContactsError):
    """Nobody confirmed; nothing was changed."""


class Stopped(Refused):
    """Ctrl-C at the question; nothing was changed."""


@contextmanager
def handled(account: str, *, as_json: bool) -> Generator[None]:
    """Run a command, and turn whatever it raises into words and an exit code."""
    with _reported():
        try:
            try:
                yield
            except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
                raise
            except KeyboardInterrupt as interrupt:
                _traceback(interrupt)
                if isinstance(interrupt.__cause__, errors.Interrupted):  # which says what was done until then
                    reached(interrupt.__cause__, account, as_json=as_json)
                    _tell(interrupt.__cause__)
                    raise typer.Exit(stopping.exit_code()) from None
                told = "interrupted; a request that was under way may or may not have been carried out"
                note(told, "yellow", even_if_quiet=True)
                raise typer.Exit(stopping.exit_code()) from None
            except Exception as error:  # noqa: BLE001 - the last word is ours, whatever a plugin raises
                _traceback(error)
                if isinstance(error, errors.Interrupted):
                    reached(error, account, as_json=as_json)
                _tell(error)
                raise typer.Exit(_code(error)) from None
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            _forget_stdout()
            raise typer.Exit(Exit.FAILED) from None
        except OSError as error:  # what was to be printed could not be written, or not to its end
            _forget_stdout()
            output.error(
                {
                    "type": type(error).__name__,
                    "message": f"standard output: {error.strerror}",
                    "hint": "",
                    "exit_code": int(Exit.FAILED),
                }
            )
            raise typer.Exit(Exit.FAILED) from None


def _code(error: BaseException) -> int:
    cancelled = isinstance(error, errors.Interrupted) and isinstance(error.__cause__, errors.Cancelled)
    if cancelled or isinstance(error, errors.Cancelled):
        return stopping.exit_code()
    if isinstance(error, Stopped):
        return stopping.exit_code()
    if isinstance(error, Refused):
        return Exit.REFUSED
    return next((code for kind, code in CODES if isinstance(error, kind)), Exit.FAILED)


def _tell(error: Exception) -> None:
    message, hint = _words(error)
    details = {name: getattr(error, name) for name in DETAILS if hasattr(error, name)}
    if isinstance(error, errors.Interrupted):
        details |= {"uncertain": len(error.uncertain), "unsent": len(error.unsent)}
    if isinstance(error, (errors.JobFailed, errors.JobTimeout)):
        details["job"] = error.job.id
    told = {"type": type(error).__name__, "message": message, "hint": hint, "exit_code": int(_code(error))}
    output.error({**told, **details})


def _words(error: Exception) -> tuple[str, str]:
    match error:
        case ContactsError():
            return str(error), next((ours for theirs, ours in HINTS.items() if theirs in error.hint), error.hint)
        case OSError() if error.strerror:
            name = os.path.basename(str(error.filename)) if error.filename else ""  # noqa: PTH119 - may be any text
            return f"{name}: {error.strerror}" if name else error.strerror, ""
        case _:
            message = scrub(f"{type(error).__name__}: {error}")
            return f"this should not happen: {message}", "contacts --debug … shows where"


def reached(error: errors.Interrupted, account: str, *, as_json: bool) -> None:
    """Print what was done, what is unclear and what was not sent; the items stand whole in the JSON."""
    from contacts_core.cli import formatting as wording

    if as_json:
        document(wording.interrupted_document(error))
    else:
        show(wording.interrupted(error, account))


@contextmanager
def _reported() -> Generator[None]:
    """Let warnings and log records come out as single lines on stderr, scrubbed."""
    verbose = output.is_verbose()
    handler = _Lines(logging.DEBUG if verbose else logging.WARNING)
    root, ours = logging.getLogger(), logging.getLogger("contacts_core")
    level = ours.level
    root.addHandler(handler)
    if verbose:
        ours.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _show_warning
            yield
    finally:
        root.removeHandler(handler)
        ours.setLevel(level)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        message = scrub(record.getMessage())
        if record.levelno >= logging.WARNING:
            warn(message)
        else:
            output.trace(f"debug: {message}")


def _show_warning(message: Warning | str, *_where: Any, **_more: Any) -> None:
    warn(scrub(str(message)))


def _traceback(error: BaseException) -> None:
    if output.is_debugging():
        output.trace(scrub("".join(traceback.format_exception(error))).splitlines())


def _forget_stdout() -> None:
    """Leave nothing to be flushed into the broken pipe when the process ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # no real file, as in a test
        return
