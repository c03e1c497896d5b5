"""The page on persisted formats names the versions, tables and lines that the library writes."""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa

from contacts_core.plans import model
from contacts_core.plans.execution import engine
from contacts_core.plans.receipts import format as receipts
from contacts_core.storage import journal, leases, schema
from contacts_core.storage.database import Storage
from contacts_core.storage.tombstones import Tombstones

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> set[str]:
    return set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def test_versions_are_those_of_the_code() -> None:
    (version,) = re.findall(r'VERSION = "(plans-\d+)"', Path(engine.__file__).read_text(encoding="utf-8"))
    table = PAGE.partition("\n## ")[0]
    assert f'| [plan](#plan) | `"format": {model.FORMAT}` in the first line |' in table
    assert f'| [receipt](#receipt) | `"format": {receipts.FORMAT}` in the first line |' in table
    assert f"| [storage](#storage) | `{version}` for runs; schema {schema.VERSION} for tables |" in table
    schemas = re.findall(r"^\| (\d+) \|", section("Storage"), re.MULTILINE)
    assert schemas == [str(n) for n in range(1, schema.VERSION + 1)]
    assert f"(`{version}`) is the same" in section("Storage")


def test_all_types_of_lines_of_a_receipt_are_listed() -> None:
    assert first_cells(section("Receipt")) == receipts.LINES.keys()


def test_all_tables_of_the_storage_are_listed(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "storage", f"sqlite:///{tmp_path / 'storage' / 'contacts.sqlite'}")
    storage.create(journal.metadata)
    storage.create(leases.metadata)
    Tombstones(storage)
    tables = set(sa.inspect(storage.engine()).get_table_names())
    assert first_cells(section("Storage")) == tables
