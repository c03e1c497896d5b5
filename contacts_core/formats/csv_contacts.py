"""A strict reader of contacts from CSV: what exports of this library hold, and files of others with a header.

A column is read by its name. A name that is not known is a custom field of that name, so nothing is left out unnoticed.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, cast

from attrs import define, field

from contacts_core.errors import InvalidInput
from contacts_core.formats.plain_data import contact_from_plain
from contacts_core.formats.readers import EXPECTED, opened, source_name
from contacts_core.formats.writers import FORMULA
from contacts_core.models import Address, Contact, Identifier, IdentifierKind
from contacts_core.models.losses import PARTS, TEXTS
from contacts_core.provider.values import moment

__all__ = ["COLUMNS", "read_contacts_csv"]

CUSTOM = "custom."
ADDRESS = {
    **{f"address_{part}": part for part in PARTS},
    **{f"address.{part}": part for part in PARTS},
    **{part: part for part in PARTS if part != "formatted"},
}
IDENTIFIERS = {
    "email": Identifier.email,
    "phone": Identifier.phone,
    "external_id": Identifier.external_id,
    "anonymous_id": Identifier.anonymous_id,
}
KINDS = tuple(IdentifierKind)
SEVERAL = {
    "other_emails": Identifier.email,
    "other_phones": Identifier.phone,
    "emails": Identifier.email,
    "phones": Identifier.phone,
}
SINGLE = ("provider", "id", *TEXTS, "created_at", "updated_at")
JSON = ("other_identifiers", "custom", "extra")
SAME = {"name": "full_name"}
COLUMNS = (*SINGLE, *IDENTIFIERS, *SEVERAL, *ADDRESS, *SAME, "lists", "tags", *JSON)
"""Names of columns that are read, besides ``custom.NAME``."""
LONGEST_SHOWN = 60  # characters of a column's name that a message repeats


def read_contacts_csv(source: Path | BinaryIO, columns: Mapping[str, str | None] | None = None) -> Iterator[Contact]:
    r"""Iterate over the contacts of a CSV file, whose first line names the columns.

    Several values in one cell are joined by ``;`` (a backslash stands before one that belongs to a value). An
    apostrophe before what a spreadsheet takes for a formula is removed. Lists are given by name.

    Args:
        source: The file; it is read line by line.
        columns: What each column holds, by its name in the file: one of `COLUMNS`, ``custom.NAME``, or None to leave it
            out. A column that is not named here is read by its own name.

    Raises:
        InvalidInput: The file is no CSV in UTF-8, a row has more or fewer cells than there are columns, or a cell
            cannot be read; the message names the line.
    """
    name = source_name(source)
    with opened(source) as file:
        if file.seekable():
            file.seek(0)
        text = TextIOWrapper(cast("Any", file), encoding="utf-8-sig", newline="")
        rows = csv.reader(text, strict=True)
        readers: Sequence[tuple[str, str]] | None = None
        try:
            for row in rows:
                if readers is None:
                    readers = _header(row, columns or {})
                elif any(map(str.strip, row)):
                    yield _contact(readers, row)
        except InvalidInput as error:
            raise InvalidInput(f"{name}, line {rows.line_num}: {error}", hint=error.hint) from None
        except csv.Error as error:
            hint = 'in CSV, a cell with a quotation mark is written as "say ""hello"""'
            raise InvalidInput(f"{name}, line {rows.line_num}: {error}", hint=hint) from None
        except UnicodeDecodeError:
            hint = "save it as UTF-8; spreadsheets offer that when saving as CSV"
            raise InvalidInput(f"{name} is not UTF-8, behind line {rows.line_num}", hint=hint) from None
        except OSError as error:
            raise InvalidInput(f"{name} cannot be read: {error.strerror}") from None
        finally:
            text.detach()
    if readers is None:
        raise InvalidInput(f"{name} is empty", hint="its first line names the columns, such as email,first_name")


def _header(row: Sequence[str], columns: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """Return what each column holds, and its name in the file; an empty text for columns that are left out."""
    if unknown := sorted(columns.keys() - {each.strip() for each in row}):
        raise InvalidInput(f"there is no column {unknown[0][:LONGEST_SHOWN]!r}, which the map names")
    found: list[tuple[str, str]] = []
    for given in map(str.strip, row):
        plain = re.sub(r"[ -]", "_", given.lower())
        if given in columns:
            what = columns[given] or ""
            if what and what not in COLUMNS and not (what.startswith(CUSTOM) and what != CUSTOM):
                raise InvalidInput(
                    f"the map reads the column {given[:LONGEST_SHOWN]!r} as {what[:LONGEST_SHOWN]!r}",
                    hint=f"choose from {', '.join(COLUMNS)}, custom.NAME",
                )
        elif plain in COLUMNS:
            what = plain
        else:
            what = given if given.startswith(CUSTOM) and given != CUSTOM else f"{CUSTOM}{given}" if given else ""
        what = SAME.get(what, what)
        if what and what not in IDENTIFIERS and any(what == other for other, _ in found):
            raise InvalidInput(f"two columns hold {what[:LONGEST_SHOWN]!r}", hint="name one of them otherwise")
        found.append((what, given))
    if not any(what in IDENTIFIERS or what in SEVERAL or what == "other_identifiers" for what, _ in found):
        hint = "separate columns by commas, and name one of email, phone, external_id, anonymous_id"
        raise InvalidInput("there is no column of identifiers", hint=hint)
    return found


@define
class _Parts:
    """What a row says of a contact."""

    values: dict[str, Any] = field(factory=dict[str, Any])
    address: dict[str, str] = field(factory=dict[str, str])
    custom: dict[str, Any] = field(factory=dict[str, Any])
    first: list[Identifier] = field(factory=list[Identifier])
    others: list[Identifier] = field(factory=list[Identifier])


def _contact(columns: Sequence[tuple[str, str]], row: Sequence[str]) -> Contact:
    if len(row) != len(columns):
        hint = "give every row as many cells as the first line has; quote a cell that holds a comma"
        raise InvalidInput(f"this row has {len(row)} cells under {len(columns)} columns", hint=hint)
    parts = _Parts()
    for (what, given), cell in zip(columns, row, strict=True):
        if not cell.strip():
            continue
        if not what:
            if not given:
                raise InvalidInput("there is text in a column without a name", hint="name the column, or remove it")
            continue
        _read(parts, what, cell)
    identifiers = sorted(dict.fromkeys([*parts.first, *parts.others]), key=lambda each: KINDS.index(each.kind))
    address = Address(**parts.address) if parts.address else None
    return Contact(identifiers=tuple(identifiers), address=address, custom=parts.custom, **parts.values)


def _read(parts: _Parts, what: str, cell: str) -> None:
    text = _unguarded(cell)
    if what in IDENTIFIERS:
        parts.first.append(IDENTIFIERS[what](text.strip() if what in EXPECTED else text))
    elif what in SEVERAL:
        parts.others += [SEVERAL[what](each) for each in _split(cell)]
    elif what in ADDRESS:
        parts.address[ADDRESS[what]] = text
    elif what.startswith(CUSTOM):
        parts.custom[what.removeprefix(CUSTOM)] = text
    elif what in {"lists", "tags"}:
        parts.values[what] = tuple(dict.fromkeys(_split(cell)))
    elif what in JSON:
        _read_json(parts, what, cell)
    elif what in {"created_at", "updated_at"}:
        parts.values[what] = moment(text)
        if parts.values[what] is None:
            raise InvalidInput(f"{what} is not a time", hint="write 2025-01-31T12:00:00+01:00")
    else:
        parts.values[what] = text


def _read_json(parts: _Parts, what: str, cell: str) -> None:
    """Read a cell that an export of this library wrote."""
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        raise InvalidInput(f"the cell of {what} is not JSON", hint="exports of this library have JSON there") from None
    found = contact_from_plain({"identifiers" if what == "other_identifiers" else what: value})
    parts.others += found.identifiers
    parts.custom |= found.custom
    if what == "extra":
        parts.values["extra"] = found.extra


def _split(cell: str) -> list[str]:
    """Return the values of a cell that holds several."""
    parts = re.findall(r"(?:[^;\\]|\\.)+", cell, re.DOTALL)
    return [_unguarded(re.sub(r"\\(.)", r"\1", each, flags=re.DOTALL)) for each in parts if each.strip()]


def _unguarded(cell: str) -> str:
    """Return a cell without the apostrophe that keeps a spreadsheet from running it."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell
