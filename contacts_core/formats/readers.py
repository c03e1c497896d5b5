"""Readers: contacts back out of files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from contacts_core.errors import InvalidInput
from contacts_core.formats.plain import contact_from_plain
from contacts_core.models import Contact

__all__ = ["read_json_lines"]


def read_json_lines(path: Path) -> Iterator[Contact]:
    """The contacts of a file of JSON Lines, one at a time.

    Raises:
        InvalidInput: A line is no contact; the message names it.
    """
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield contact_from_plain(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise InvalidInput(f"{path.name}, line {number}: {error}") from None
