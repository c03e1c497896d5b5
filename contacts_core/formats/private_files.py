"""Files with personal data: only their owner can read them, and they get their name when they are complete."""

from __future__ import annotations

import os
import secrets
import signal
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

__all__ = ["private_file"]

OPEN_FILES = Path("/proc/self/fd")  # where Linux shows the files of a process, those without a name as well
ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def private_file(path: Path) -> Generator[TextIO]:
    """Write a text file that only its owner can read and that gets its name when it is complete.

    An existing file of that name is replaced at the end of the block. If the block fails, it stays unchanged. Until
    then the content is in a file without a name, if the file system supports that (``O_TMPFILE`` on Linux), so nothing
    is left behind however the process ends. Otherwise it is in a file that ends in ``.part``, which is deleted if the
    block fails or SIGTERM or SIGHUP ends the process.

    Raises:
        OSError: The file cannot be written.
    """
    part: Path | None = None
    handle = _nameless(path.parent)
    if handle is None:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".part")
        part = Path(name)
    try:
        with _removed_at_the_end_of_the_process(part):
            # Half a character, as vendors send them, is written as \ud83d, which is how JSON spells it.
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                part = part or _named(file.fileno(), path)
            part.replace(path)
    except BaseException:
        if part:
            part.unlink(missing_ok=True)
        raise


def _nameless(folder: Path) -> int | None:
    """A new file in this folder that has no name; None where there is no such thing."""
    if not (hasattr(os, "O_TMPFILE") and OPEN_FILES.is_dir()):
        return None
    with suppress(OSError):  # not on this file system; or what is wrong comes out again at once, with a name
        return os.open(folder, os.O_WRONLY | os.O_TMPFILE, 0o600)
    return None


def _named(handle: int, path: Path) -> Path:
    """Give a file without a name one beside the path, from where it can replace what is there."""
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.part")
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Only with a folder given does Python ask the system to follow the link, and that is what names the file.
        os.link(OPEN_FILES / str(handle), part, src_dir_fd=folder)
    finally:
        os.close(folder)
    return part


@contextmanager
def _removed_at_the_end_of_the_process(part: Path | None) -> Generator[None]:
    """Remove the file when a signal ends the process, unless the program handles that signal itself."""
    if part is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def remove(number: int, _frame: FrameType | None) -> None:
        part.unlink(missing_ok=True)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    ours = [number for number in ENDINGS if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, remove)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
