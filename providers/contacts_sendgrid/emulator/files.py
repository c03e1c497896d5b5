"""Export files, import files and error reports."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from contacts_sendgrid.emulator import shapes
from contacts_sendgrid.emulator.store import TEXT_FIELDS, Contact, Export, Store, second

Packing = Literal["gzip", "plain", "content-encoding"]

_FIRST_COLUMNS = (
    *(
        "first_name",
        "last_name",
        "address_line_1",
        "address_line_2",
        "city",
        "state_province_region",
        "postal_code",
    ),
    *("country", "alternate_emails", "phone_number", "whatsapp", "line", "facebook", "unique_name"),
)
_LATER_IDENTIFIERS = ("phone_number_id", "external_id", "anonymous_id")


class BadFile(Exception):
    """An uploaded file is not CSV, or is damaged."""


def export_files(store: Store, export: Export, contacts: Iterable[Contact], packing: Packing) -> dict[str, bytes]:
    """The files of an export by name; an account without contacts yields one empty file that is not compressed."""
    if export.file_type == "json":
        parts = _parts(b"", _json_lines(store, contacts), export.part_bytes)
    else:
        names = [field.name for field in store.fields.values()]
        parts = _parts(_header(names), _csv_lines(store, names, contacts), export.part_bytes)
    suffix = ".gzip" if packing == "gzip" else ""
    files: dict[str, bytes] = {}
    for number, content in enumerate(parts):
        packed = content if packing == "plain" else gzip.compress(content, compresslevel=1, mtime=0)
        files[f"exports/{export.id}/{number:04d}.{export.file_type}{suffix}"] = packed
    return files or {f"exports/{export.id}/0000.{export.file_type}": b""}


def _parts(header: bytes, lines: Iterable[bytes], part_bytes: int) -> Iterator[bytes]:
    """Whole files; each part of a CSV export has its own header [unverified]."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and size + len(line) > part_bytes:
            yield header + b"".join(part)
            part, size = [], 0
        part.append(line)
        size += len(line)
    if part:
        yield header + b"".join(part)


def _header(names: list[str]) -> bytes:
    """Column names are quoted and upper case, custom fields included."""
    columns = (
        "email",
        *_FIRST_COLUMNS,
        "created_at",
        "updated_at",
        "contact_id",
        *names,
        *_LATER_IDENTIFIERS,
    )
    return (",".join(f'"{column.upper()}"' for column in columns) + "\n").encode()


def _csv_lines(store: Store, names: list[str], contacts: Iterable[Contact]) -> Iterator[bytes]:
    for contact in contacts:
        custom = shapes.custom_fields(store, contact)
        text = {**contact.text, "alternate_emails": ",".join(contact.alternate_emails)}
        cells = [contact.identifiers.get("email", ""), *(text.get(name, "") for name in _FIRST_COLUMNS)]
        cells += [second(contact.created_at), second(contact.updated_at), contact.id]
        cells += [str(custom.get(name, "")) for name in names]
        cells += [contact.identifiers.get(kind, "") for kind in _LATER_IDENTIFIERS]
        yield (",".join(map(_cell, cells)) + "\n").encode()


def _cell(text: str) -> str:
    """Values are quoted, and empty values are not."""
    return '"' + text.replace('"', '""') + '"' if text else ""


def _json_lines(store: Store, contacts: Iterable[Contact]) -> Iterator[bytes]:
    """JSON Lines in which the id is called `contact_id` and unset fields are left out."""
    for contact in contacts:
        line: dict[str, Any] = {"contact_id": contact.id, **contact.identifiers}
        line.update({name: contact.text[name] for name in TEXT_FIELDS if contact.text.get(name)})
        if contact.alternate_emails:
            line["alternate_emails"] = contact.alternate_emails
        line["custom_fields"] = shapes.custom_fields(store, contact)
        line["created_at"], line["updated_at"] = second(contact.created_at), second(contact.updated_at)
        yield msgspec.json.encode(line) + b"\n"


def import_rows(content: bytes) -> list[list[str]]:
    """The rows of an uploaded CSV file, compressed or not, without its header row; raises `BadFile`."""
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))[1:]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as problem:
        raise BadFile(f"the file cannot be read: {problem}") from None


def error_report(errors: Iterable[tuple[str, str]]) -> bytes:
    """The file behind `errors_url`."""
    report = io.StringIO()
    writer = csv.writer(report)
    writer.writerow(("identifier", "error"))
    writer.writerows(errors)
    return report.getvalue().encode()
