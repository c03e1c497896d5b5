"""The file of `local`: contacts written and looked up in a second of processor time, beside SQLite alone."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from benchmarks.figures import Figure
from contacts_core.client import Contacts
from contacts_core.models import Contact, Identifier
from contacts_local import Local

T = TypeVar("T")

TARGET = 100_000  # contacts a second of processor time
BATCH = Local.upsert_batch_size


def run(*, quick: bool) -> Iterator[Figure]:
    """Inserts, look-ups and reads, by the provider's own methods and through the client."""
    count = 10_000 if quick else 100_000
    people = [
        Contact(identifiers=(Identifier.email(f"person{n}@example.com"),), first_name="Ada", last_name=f"Example {n}")
        for n in range(count)
    ]
    wanted = [contact.identifiers[0] for contact in people]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inserts, finds = _bare(folder / "bare.db", count)
        with Contacts(Local(path=folder / "provider.db")) as client:
            local = client.provider
            seconds = _seconds(lambda: _batches(people, lambda part: client.run(local.upsert_contacts(part, ()))))
            yield _figure("provider, insert", count / seconds, inserts)
            seconds = _seconds(lambda: _batches(wanted, lambda part: client.run(local.find(part))))
            yield _figure("provider, find", count / seconds, finds)
        with Contacts(Local(path=folder / "client.db")) as client:
            seconds = _seconds(lambda: client.upsert_contacts(people))
            yield _figure("client, insert", count / seconds, inserts)
            seconds = _seconds(lambda: client.find(wanted))
            yield _figure("client, find", count / seconds, finds)
            seconds = _seconds(lambda: sum(1 for _ in client.export()))
            yield _figure("client, export", count / seconds, finds)
            assert client.count() == count


def _figure(what: str, rate: float, bare: float) -> Figure:
    note = f"{rate / bare:.2f} of SQLite alone, {bare:,.0f}"
    return Figure(f"{what}, contacts a CPU-second", rate, least=TARGET, note=note, unit="{:,.0f}")


def _bare(path: Path, count: int) -> tuple[float, float]:
    """Insert and find as many rows with nothing but SQLite: a number, an address with an index, and a little JSON."""
    rows = [(n, f"person{n}@example.com", f'{{"first_name":"Ada","last_name":"Example {n}"}}') for n in range(count)]
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL"):
            db.execute(statement)
        db.execute("CREATE TABLE contact (n INTEGER PRIMARY KEY, email TEXT UNIQUE, data TEXT)")

        def insert(part: Sequence[tuple[int, str, str]]) -> None:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO contact VALUES (?, ?, ?)", part)
            db.execute("COMMIT")

        def find() -> None:
            for _, email, _ in rows:
                db.execute("SELECT * FROM contact WHERE email = ?", [email]).fetchall()

        return count / _seconds(lambda: _batches(rows, insert)), count / _seconds(find)


def _batches(items: Sequence[T], work: Callable[[Sequence[T]], object]) -> None:
    for start in range(0, len(items), BATCH):
        work(items[start : start + BATCH])


def _seconds(work: Callable[[], object]) -> float:
    """Seconds of processor time, of this process and of the system for it."""
    start = time.process_time()
    work()
    return time.process_time() - start
