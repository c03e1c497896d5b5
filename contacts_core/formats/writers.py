"""Writers of contacts: one contact after the other, in constant memory."""

from __future__ import annotations

import csv
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TextIO, TypeVar

from contacts_core.errors import InvalidInput
from contacts_core.formats.plain_data import plain
from contacts_core.formats.private_files import private_file
from contacts_core.models import Address, Consent, Contact, Identifier, IdentifierKind

__all__ = [
    "FORMATS",
    "ConsentCsvWriter",
    "ConsentJsonLinesWriter",
    "ConsentWriter",
    "ContactWriter",
    "CsvWriter",
    "JsonLinesWriter",
    "consent_writer_for",
    "writer_for",
]

W = TypeVar("W")

ADDRESS = ("line1", "line2", "city", "region", "postal_code", "country", "formatted")

# What a spreadsheet may take for a formula: OWASP, "CSV Injection", full-width forms included. What cannot be seen does
# not count: programs drop white space, control characters and marks of direction before they look.
UNSEEN = r"\s\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
FORMULA = re.compile(rf"[{UNSEEN}]*[=+\-\u2212@\uff1d\uff0b\uff0d\uff20]|[\x00-\x1f\x7f-\x9f]")


class ContactWriter(ABC):
    """Write contacts to an open text file."""

    @abstractmethod
    def write(self, contact: Contact) -> None:
        """Write one contact."""


class JsonLinesWriter(ContactWriter):
    """Write each contact as one JSON object, with all its data."""

    def __init__(self, file: TextIO, *, excel_safe: bool = False) -> None:
        if excel_safe:
            raise InvalidInput("only CSV can be made safe for spreadsheets", hint="use a name ending in .csv")
        self._file = file

    def write(self, contact: Contact) -> None:
        """Write one contact."""
        self._file.write(json.dumps(plain(contact), ensure_ascii=False) + "\n")


class CsvWriter(ContactWriter):
    """Write each contact as one row, always with the same columns.

    Several values in one cell are joined by ``;`` (a ``;`` or backslash inside a value gets a backslash before it).
    Data without a column of its own is JSON in the last three columns.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "provider",
        "id",
        "email",
        "other_emails",
        "phone",
        "other_phones",
        "external_id",
        "anonymous_id",
        "first_name",
        "last_name",
        "full_name",
        "organization",
        "title",
        *(f"address_{part}" for part in ADDRESS),
        "lists",
        "tags",
        "created_at",
        "updated_at",
        "other_identifiers",
        "custom",
        "extra",
    )

    def __init__(self, file: TextIO, *, excel_safe: bool = False) -> None:
        self._guard: Callable[[str], str] = guarded if excel_safe else str
        self._rows = csv.DictWriter(file, self.columns, quoting=csv.QUOTE_ALL if excel_safe else csv.QUOTE_MINIMAL)
        self._rows.writeheader()

    def write(self, contact: Contact) -> None:
        """Write one contact."""
        self._rows.writerow({name: self._guard(cell) for name, cell in self._cells(contact).items()})

    def _cells(self, contact: Contact) -> dict[str, str]:
        emails = _first_and_rest(contact, IdentifierKind.EMAIL)
        phones = _first_and_rest(contact, IdentifierKind.PHONE)
        external = _first_and_rest(contact, IdentifierKind.EXTERNAL_ID)
        anonymous = _first_and_rest(contact, IdentifierKind.ANONYMOUS_ID)
        others = [*external[1:], *anonymous[1:], *contact.identifiers_of(IdentifierKind.OTHER)]
        address = contact.address or Address()
        return {
            "provider": contact.provider,
            "id": contact.id,
            "email": emails[0].value if emails else "",
            "other_emails": self._joined(i.value for i in emails[1:]),
            "phone": phones[0].normal if phones else "",
            "other_phones": self._joined(i.normal for i in phones[1:]),
            "external_id": external[0].value if external else "",
            "anonymous_id": anonymous[0].value if anonymous else "",
            "first_name": contact.first_name or "",
            "last_name": contact.last_name or "",
            "full_name": contact.full_name or "",
            "organization": contact.organization or "",
            "title": contact.title or "",
            **{f"address_{part}": getattr(address, part) for part in ADDRESS},
            "lists": self._joined(contact.lists or ()),
            "tags": self._joined(contact.tags),
            "created_at": contact.created_at.isoformat() if contact.created_at else "",
            "updated_at": contact.updated_at.isoformat() if contact.updated_at else "",
            "other_identifiers": _json([{"kind": i.kind.value, "key": i.key, "value": i.value} for i in others]),
            "custom": _json(contact.custom),
            "extra": _json(contact.extra),
        }

    def _joined(self, values: Iterable[str]) -> str:
        return joined(values, self._guard)


class ConsentWriter(ABC):
    """Write statements of consent to an open text file."""

    @abstractmethod
    def write(self, statement: Consent) -> None:
        """Write one statement."""


class ConsentJsonLinesWriter(ConsentWriter):
    """Write each statement of consent as one JSON object, which `read_consent` reads."""

    def __init__(self, file: TextIO, *, excel_safe: bool = False) -> None:
        if excel_safe:
            raise InvalidInput("only CSV can be made safe for spreadsheets", hint="use a name ending in .csv")
        self._file = file

    def write(self, statement: Consent) -> None:
        """Write one statement."""
        self._file.write(json.dumps(plain(statement), ensure_ascii=False) + "\n")


class ConsentCsvWriter(ConsentWriter):
    """Write each statement of consent as one row, always with the same columns."""

    columns: ClassVar[tuple[str, ...]] = (
        "identifier",
        "kind",
        "channel",
        "state",
        "reason",
        "scope",
        "coverage",
        "at",
        "evidence",
        "provider",
    )

    def __init__(self, file: TextIO, *, excel_safe: bool = False) -> None:
        self._guard: Callable[[str], str] = guarded if excel_safe else str
        self._rows = csv.writer(file, quoting=csv.QUOTE_ALL if excel_safe else csv.QUOTE_MINIMAL)
        self._rows.writerow(self.columns)

    def write(self, statement: Consent) -> None:
        """Write one statement."""
        self._rows.writerow(map(self._guard, consent_cells(statement)))


def consent_cells(statement: Consent) -> tuple[str, ...]:
    """Return a statement of consent as cells, in the order of `ConsentCsvWriter.columns`."""
    identifier = statement.identifier
    return (
        identifier.normal,
        identifier.key if identifier.kind is IdentifierKind.OTHER else identifier.kind.value,
        statement.channel.value,
        statement.state.value,
        statement.reason.value if statement.reason else "",
        statement.scope,
        statement.coverage.value,
        statement.at.isoformat() if statement.at else "",
        statement.evidence,
        statement.provider,
    )


CONSENT_FORMATS: Mapping[str, Callable[..., ConsentWriter]] = {
    ".csv": ConsentCsvWriter,
    ".jsonl": ConsentJsonLinesWriter,
    ".ndjson": ConsentJsonLinesWriter,
}
FORMATS: Mapping[str, Callable[..., ContactWriter]] = {
    ".csv": CsvWriter,
    ".jsonl": JsonLinesWriter,
    ".ndjson": JsonLinesWriter,
}
"""The writer for each suffix of a file's name."""


@contextmanager
def writer_for(path: Path, *, excel_safe: bool = False) -> Generator[ContactWriter]:
    """Open a writer for a file, chosen by the file's suffix.

    Only the owner can read the file, and it gets its name when it is complete; see `private_file`.

    Args:
        path: The file; an existing one is replaced.
        excel_safe: Put an apostrophe before cells that a spreadsheet could take for a formula.

    Raises:
        InvalidInput: The suffix is not one of `FORMATS`, or the path is a folder.
    """
    with _opened(path, FORMATS, excel_safe=excel_safe) as writer:
        yield writer


@contextmanager
def consent_writer_for(path: Path, *, excel_safe: bool = False) -> Generator[ConsentWriter]:
    """Open a writer of statements of consent for a file, as `writer_for` does for contacts."""
    with _opened(path, CONSENT_FORMATS, excel_safe=excel_safe) as writer:
        yield writer


@contextmanager
def _opened(path: Path, formats: Mapping[str, Callable[..., W]], *, excel_safe: bool) -> Generator[W]:
    make = formats.get(path.suffix.lower())
    if make is None:
        raise InvalidInput(
            f"no format is known for a file named {path.name}",
            hint=f"the name has to end in {', '.join(formats)}",
        )
    if path.is_dir():
        raise InvalidInput(f"{path.name} is a folder", hint="name a file")
    with private_file(path) as file:
        yield make(file, excel_safe=excel_safe)


def guarded(cell: str) -> str:
    """Return the cell, with an apostrophe before it if a spreadsheet could take it for a formula."""
    return f"'{cell}" if FORMULA.match(cell) else cell


def joined(values: Iterable[str], guard: Callable[[str], str] = str) -> str:
    """Return several values as one cell, joined by ``;``; a ``;`` or backslash inside one gets a backslash before it.

    Each value is guarded by itself: a spreadsheet may cut the cell at the semicolons.
    """
    return ";".join(guard(value).replace("\\", "\\\\").replace(";", "\\;") for value in values)


def _first_and_rest(contact: Contact, kind: IdentifierKind) -> list[Identifier]:
    """The identifiers of a kind, the primary one first."""
    first = contact.primary(kind)
    return [first, *(i for i in contact.identifiers_of(kind) if i is not first)] if first else []


def _json(value: Any) -> str:
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")) if value else ""
