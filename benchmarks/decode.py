"""From bytes to shared contacts, as a share of the speed of msgspec decoding the same bytes to plain dicts."""

from __future__ import annotations

import csv
import gc
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from statistics import median

import msgspec

from benchmarks import synthetic_contacts
from benchmarks.figures import Figure, interleaved, paired
from contacts_core.models import Contact
from contacts_core.provider import decoder
from contacts_core.provider.files import PIECE, Records
from contacts_sendgrid import mapping
from contacts_sendgrid.payloads import FieldDefinitions, SearchResult

TARGET = 0.55
TARGET_UNDECLARED = 0.45
Decode = Callable[[bytes, None], SearchResult]


def run(*, quick: bool) -> Iterator[Figure]:
    """Pages of three sizes, pages with undeclared fields, and both kinds of export files."""
    rounds, count = (5, 2_000) if quick else (21, 10_000)
    contacts = synthetic_contacts.sendgrid(count)
    keys = median(len(contact) for contact in contacts)
    gc.collect()
    gc.freeze()  # the plain contacts are this benchmark's own, and not what a reader of pages holds
    try:
        for size in (100, 500, 1_000):
            pages = _pages(contacts, size)
            share, note = _share(partial(_plain, pages), partial(_shared, pages, decoder(SearchResult)), rounds, count)
            shape = f"{keys:.0f} keys and {sum(map(len, pages)) / count:.0f} bytes a contact"
            yield Figure(f"pages of {size}, share of msgspec to dicts", share, least=TARGET, note=f"{note}; {shape}")
        yield from _undeclared(contacts, rounds)
        yield from _files(contacts, rounds)
    finally:
        gc.unfreeze()
    pages = _pages(contacts, 500)
    share, note = _share(partial(_plain, pages), partial(_shared, pages, decoder(SearchResult)), rounds, count)
    yield Figure(f"pages of 500, while the program holds {count:,} contacts as dicts", share, note=note)


def _pages(contacts: Sequence[synthetic_contacts.Json], size: int) -> list[bytes]:
    return [synthetic_contacts.sendgrid_page(list(contacts[n : n + size])) for n in range(0, len(contacts), size)]


def _plain(pages: Iterable[bytes]) -> None:
    for page in pages:
        msgspec.json.decode(page)


def _shared(pages: Iterable[bytes], decode: Decode) -> None:
    for page in pages:
        shared_page(page, decode)


def shared_page(page: bytes, decode: Decode) -> list[Contact]:
    """The contacts of a page."""
    return [mapping.contact(details) for details in decode(page, None).result or ()]


def _share(plain: Callable[[], object], ours: Callable[[], object], rounds: int, contacts: int) -> tuple[float, str]:
    plain_seconds, our_seconds = interleaved([plain, ours], rounds)
    speeds = contacts / min(our_seconds), contacts / min(plain_seconds)
    return paired(plain_seconds, our_seconds), "{:,.0f}/s of {:,.0f}/s".format(*speeds)


def _undeclared(contacts: Sequence[synthetic_contacts.Json], rounds: int) -> Iterator[Figure]:
    """One contact of every page, or each contact, has a field that nobody declared."""
    every = [{**contact, "surprise": "x"} for contact in contacts]
    one = [every[n] if n % 100 == 0 else contact for n, contact in enumerate(contacts)]
    for what, drifted in (("one contact of each page of 100", one), ("every contact, pages of 100", every)):
        pages, decode = _pages(drifted, 100), decoder(SearchResult)
        _shared(pages[:1], decode)  # a program meets the field once, and then reads many pages
        ways = partial(_plain, pages), partial(_shared, pages, decode)
        share, note = _share(*ways, rounds, len(contacts))
        yield Figure(
            f"an undeclared field in {what}, share of msgspec to dicts", share, least=TARGET_UNDECLARED, note=note
        )
    yield _first_page(_pages(contacts, 100)[0], _pages(every, 100)[0], rounds)


def _first_page(usual: bytes, drifted: bytes, rounds: int) -> Figure:
    decode = decoder(SearchResult)
    ways: list[Callable[[], object]] = [
        partial(shared_page, usual, decode),
        lambda: shared_page(drifted, decoder(SearchResult)),
    ]
    usual_seconds, first_seconds = interleaved(ways, rounds)
    note = f"{min(first_seconds) * 1e3:.1f} ms, once"
    return Figure(
        "the first page with an undeclared field, times a usual one", paired(first_seconds, usual_seconds), note=note
    )


def _files(contacts: Sequence[synthetic_contacts.Json], rounds: int) -> Iterator[Figure]:
    reader = mapping.Reader.of(msgspec.convert(synthetic_contacts.sendgrid_fields(), FieldDefinitions), {})
    lines = b"".join(map(synthetic_contacts.sendgrid_line, contacts))
    rows = synthetic_contacts.CSV_HEADER + b"".join(map(synthetic_contacts.sendgrid_row, contacts))

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
