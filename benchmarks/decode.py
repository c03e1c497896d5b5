"""From bytes to shared contacts, as a share of the speed of msgspec decoding the same bytes to plain dicts."""

from __future__ import annotations

import csv
import gc
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from statistics import median

import msgspec

from benchmarks import synthetic_contacts as crowd
from benchmarks.figures import Figure, interleaved, paired
from contacts_core.models import Contact
from contacts_core.provider.files import PIECE, Records
from contacts_sendgrid import SendGrid, mapping
from contacts_sendgrid.payloads import Contacts, FieldDefinitions

TARGET = 0.45
structure = SendGrid.converter.structure


def run(*, quick: bool) -> Iterator[Figure]:
    """Pages of three sizes, a page with an undeclared field, and both kinds of export files."""
    rounds, count = (7, 4_000) if quick else (21, 10_000)
    contacts = crowd.sendgrid(count)
    keys = median(len(contact) for contact in contacts)
    gc.collect()
    gc.freeze()  # the plain contacts are this benchmark's own, and not what a reader of pages holds
    try:
        for size in (100, 500, 1_000):
            pages = _pages(contacts, size)
            share, note = _share(partial(_plain, pages), partial(_shared, pages), rounds, count)
            shape = f"{keys:.0f} keys and {sum(map(len, pages)) / count:.0f} bytes a contact"
            yield Figure(f"pages of {size}, share of msgspec to dicts", share, least=TARGET, note=f"{note}; {shape}")
        yield from _undeclared(contacts, rounds)
        yield from _files(contacts, rounds)
    finally:
        gc.unfreeze()
    pages = _pages(contacts, 500)
    share, note = _share(partial(_plain, pages), partial(_shared, pages), rounds, count)
    yield Figure(f"pages of 500, while the program holds {count:,} contacts as dicts", share, note=note)


def _pages(contacts: Sequence[crowd.Json], size: int) -> list[bytes]:
    return [crowd.sendgrid_page(list(contacts[n : n + size])) for n in range(0, len(contacts), size)]


def _plain(pages: Iterable[bytes]) -> None:
    for page in pages:
        msgspec.json.decode(page)


def _shared(pages: Iterable[bytes]) -> None:
    for page in pages:
        _shared_page(page)


def _shared_page(page: bytes) -> list[Contact]:
    found = structure(page, Contacts)
    return [mapping.contact(details) for details in found.result or ()]


def _share(plain: Callable[[], object], ours: Callable[[], object], rounds: int, contacts: int) -> tuple[float, str]:
    plain_seconds, our_seconds = interleaved([plain, ours], rounds)
    speeds = contacts / min(our_seconds), contacts / min(plain_seconds)
    return paired(plain_seconds, our_seconds), "{:,.0f}/s of {:,.0f}/s".format(*speeds)


def _undeclared(contacts: Sequence[crowd.Json], rounds: int) -> Iterator[Figure]:
    """One contact of every page, or each contact, has a field that nobody declared."""
    usual = _pages(contacts, 100)
    one = [{**contact, "surprise": "x"} if n % 100 == 0 else contact for n, contact in enumerate(contacts)]
    every = [{**contact, "surprise": "x"} for contact in contacts]
    ways = [partial(_shared, pages) for pages in (usual, _pages(one, 100), _pages(every, 100))]
    seconds = interleaved(ways, rounds)
    for what, slow in (("in one contact of each page", seconds[1]), ("in every contact", seconds[2])):
        note = f"{len(contacts) / min(slow):,.0f}/s"
        yield Figure(f"an undeclared field {what}, times the usual time", paired(slow, seconds[0]), note=note)


def _files(contacts: Sequence[crowd.Json], rounds: int) -> Iterator[Figure]:
    reader = mapping.Reader.of(msgspec.convert(crowd.sendgrid_fields(), FieldDefinitions))
    lines = b"".join(map(crowd.sendgrid_line, contacts))
    rows = crowd.CSV_HEADER + b"".join(map(crowd.sendgrid_row, contacts))

    def read(content: bytes) -> None:
        records = Records(reader)
        for start in range(0, len(content), PIECE):
            records.feed(content[start : start + PIECE])
        records.end()

    def plain_lines() -> None:
        for line in lines.splitlines():
            msgspec.json.decode(line)

    def plain_rows() -> None:
        for _ in csv.reader(io.StringIO(rows.decode(), newline="")):
            pass

    share, note = _share(plain_lines, lambda: read(lines), rounds, len(contacts))
    yield Figure("JSON Lines export to contacts, share of msgspec to dicts", share, note=note)
    share, note = _share(plain_rows, lambda: read(rows), rounds, len(contacts))
    yield Figure("CSV export to contacts, share of csv.reader alone", share, note=note)
