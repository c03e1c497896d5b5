"""Files and folders that only their owner can read: checked, created, and replaced atomically."""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from contacts_core.errors import ConfigurationError

__all__ = ["opened_private", "owner_only", "private_file", "private_folder"]


@contextmanager
def owner_only(path: Path) -> Generator[TextIO]:
    """Write a text file that only its owner can read, completely or not at all.

    The text is written to a temporary file in the same folder, which replaces the old file when the block ends without
    an error. A link is replaced, not followed. A pipe or a terminal is written to directly.

    Raises:
        ConfigurationError: A folder would have to be created below one that belongs to another user.
    """
    if path.exists() and not path.is_file():  # /dev/stdout, /dev/fd/63: nothing is stored there
        with path.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        return
    _make_folders(path.parent)
    fresh = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            _only_for_owner(handle)
            yield file
            file.flush()
            os.fsync(handle)
        fresh.replace(path)
    except BaseException:
        with suppress(OSError):
            fresh.unlink()
        raise
    _sync_folder(path.parent)


def opened_private(path: Path) -> BinaryIO:
    """Open a file for reading and writing that only its owner can read, and create it if it does not exist.

    Unlike `owner_only`, what is written stays if the process is killed.

    Raises:
        ConfigurationError: It is a link, not a regular file, or another user's.
    """
    _make_folders(path.parent)
    return os.fdopen(private_file(path), "r+b")


def private_folder(path: Path) -> None:
    """Create a folder that only its owner can enter, with missing parents, whatever the umask.

    Raises:
        ConfigurationError: It exists, and is a link, belongs to another user, or others can write to it.
    """
    _make_folders(path)
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise _untrusted(path, "is a link", "give the folder that it leads to")
    if not stat.S_ISDIR(found.st_mode):
        raise _untrusted(path, "is not a folder", "choose another path")
    _check_owner(path, found)
    # Only on POSIX systems does the mode tell who can write.
    if hasattr(os, "geteuid") and found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _untrusted(path, "can be written to by others", f"chmod 700 {path}")


def private_file(path: Path) -> int:
    """Open a file that only its owner can read, and create it if it does not exist.

    Returns:
        A file descriptor for reading and writing.

    Raises:
        ConfigurationError: It exists, and is a link (symbolic or hard), not a regular file, or another user's.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if path.is_symlink():
        raise _untrusted(path, "is a link", "remove it, or replace it by the file itself")
    try:
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        raise _untrusted(path, f"cannot be opened: {error.strerror}", "it must be a file that belongs to you") from None
    try:
        _check_file(path, os.fstat(handle))
        _only_for_owner(handle)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _make_folders(path: Path) -> None:
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            folder.chmod(0o700)


def _check_file(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _untrusted(path, "is not a regular file", "remove it")
    _check_owner(path, found)
    if found.st_nlink > 1:
        raise _untrusted(path, "has more than one name (a hard link)", "remove the link, or copy the file")


def _check_owner(path: Path, found: os.stat_result) -> None:
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise _untrusted(path, "belongs to another user", "choose a path of your own")


def _untrusted(path: Path, what: str, hint: str) -> ConfigurationError:
    return ConfigurationError(f"{path} {what}, so nothing is stored there", hint=hint)


def _only_for_owner(handle: int) -> None:
    if hasattr(os, "fchmod"):
        os.fchmod(handle, 0o600)


def _sync_folder(folder: Path) -> None:
    """Write the folder's new entry to disk, if the system supports it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
