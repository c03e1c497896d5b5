"""Files and folders that only their owner may read: checked, made, and replaced as a whole."""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from contacts_core.errors import ConfigurationError

__all__ = ["owner_only", "private_file", "private_folder"]


@contextmanager
def owner_only(path: Path) -> Iterator[TextIO]:
    """Write a text file that only its owner may read, and that is there whole or not at all.

    The text goes to a temporary file in the same folder, which takes the place of the old one when the block ends
    without an error. A link is replaced, not followed; a pipe or a terminal is written to as it is.

    Raises:
        ConfigurationError: A folder would have to be made below one that belongs to another user.
    """
    if path.exists() and not path.is_file():  # /dev/stdout, /dev/fd/63: nothing is kept there
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
    _settle(path.parent)


def private_folder(path: Path) -> None:
    """Make a folder that only its owner may enter, with those above it that are missing, whatever the umask.

    Raises:
        ConfigurationError: It is there, and is a link, belongs to another user, or others may write to it.
    """
    _make_folders(path)
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise _untrusted(path, "is a link", "name the folder that it leads to")
    if not stat.S_ISDIR(found.st_mode):
        raise _untrusted(path, "is not a folder", "name another one")
    _check_owner(path, found)
    # Elsewhere than on POSIX systems the mode says nothing about who may write.
    if hasattr(os, "geteuid") and found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _untrusted(path, "can be written to by others", f"chmod 700 {path}")


def private_file(path: Path) -> int:
    """Open a file that only its owner may read, made if need be; gives its descriptor, for reading and writing.

    Raises:
        ConfigurationError: It is there, and is a link (symbolic or hard), no regular file, or another user's.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if path.is_symlink():
        raise _untrusted(path, "is a link", "remove it, or put the file itself there")
    try:
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        raise _untrusted(path, f"cannot be opened: {error.strerror}", "it must be a file of your own") from None
    try:
        _check_file(path, os.fstat(handle))
        _only_for_owner(handle)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _make_folders(path: Path) -> None:
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for each in reversed(missing):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)
            each.chmod(0o700)


def _check_file(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _untrusted(path, "is not a regular file", "remove it")
    _check_owner(path, found)
    if found.st_nlink > 1:
        raise _untrusted(path, "has more than one name (a hard link)", "remove the link, or copy the file")


def _check_owner(path: Path, found: os.stat_result) -> None:
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise _untrusted(path, "belongs to another user", "name a place of your own")


def _untrusted(path: Path, what: str, hint: str) -> ConfigurationError:
    return ConfigurationError(f"{path} {what}, so nothing is kept there", hint=hint)


def _only_for_owner(handle: int) -> None:
    if hasattr(os, "fchmod"):
        os.fchmod(handle, 0o600)


def _settle(folder: Path) -> None:
    """Have the folder's new entry on disk, where the system can do that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
