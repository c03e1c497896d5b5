"""Readers: contacts back out of files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from contacts_core.errors import InvalidInput
from contacts_core.formats.plain import contact_from_plain
from contacts_core.identifiers import Identifier
from contacts_core.models import Contact

__all__ = ["read_json_lines", "read_people"]

# A column's name, and what its values are.
COLUMNS = {
    "email": Identifier.email,
    "phone": Identifier.phone,
    "external_id": Identifier.external_id,
    "anonymous_id": Identifier.anonymous_id,
}


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


def read_people(path: Path) -> tuple[list[tuple[Identifier, ...]], list[str]]:
    """The people of a CSV file, a row each, in columns named by identifier kind; a name may stand twice.

    Gives the identifiers of each person, and the names of the columns that were not read.

    Raises:
        InvalidInput: No column is known, or a row has no identifier; the message names it.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        header = [name.strip().lower().replace("-", "_").replace(" ", "_") for name in next(rows, [])]
        if not COLUMNS.keys() & set(header):
            raise InvalidInput(
                f"{path.name} has no column of identifiers", hint=f"name one of them {', '.join(COLUMNS)}"
            )
        people: list[tuple[Identifier, ...]] = []
        for row in rows:
            if not any(map(str.strip, row)):
                continue
            pairs = zip(header, map(str.strip, row), strict=False)
            identifiers = dict.fromkeys(COLUMNS[name](value) for name, value in pairs if name in COLUMNS and value)
            if not identifiers:
                raise InvalidInput(f"{path.name}, line {rows.line_num}: this person has no identifier")
            people.append(tuple(identifiers))
    return people, [name for name in header if name not in COLUMNS]
