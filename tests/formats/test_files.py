"""Contacts as files."""

from __future__ import annotations

import csv
import io
import json
import re
import stat
from pathlib import Path

import pytest
from attrs import asdict
from hypothesis import given
from hypothesis import strategies as st

from contacts_core.errors import InvalidInput
from contacts_core.formats import CsvWriter, JsonLinesWriter, plain, read_json_lines, writer_for
from contacts_core.identifiers import Identifier, IdentifierKind
from contacts_core.models import Address, Contact

TEXT = st.text(max_size=12)
NASTY = st.sampled_from(
    ["=1+1", "+15550100", "-2", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", ";=1", 'a"b', "a;b", "a\\b"]
)
VALUES = TEXT | NASTY
CONTACTS = st.builds(
    Contact,
    provider=VALUES,
    id=VALUES,
    identifiers=st.lists(
        st.builds(Identifier, kind=st.sampled_from(IdentifierKind), value=VALUES, key=VALUES, primary=st.booleans()),
        max_size=5,
    ).map(tuple),
    first_name=st.none() | VALUES,
    full_name=st.none() | VALUES,
    address=st.none() | st.builds(Address, line1=VALUES, city=VALUES),
    lists=st.none() | st.lists(VALUES, max_size=3).map(tuple),
    tags=st.lists(VALUES, max_size=3).map(tuple),
    custom=st.dictionaries(VALUES, VALUES, max_size=2),
    extra=st.dictionaries(VALUES, VALUES, max_size=2),
)


def rows(contacts: list[Contact], *, excel_safe: bool = False) -> list[dict[str, str]]:
    file = io.StringIO(newline="")
    writer = CsvWriter(file, excel_safe=excel_safe)
    for contact in contacts:
        writer.write(contact)
    return list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))


def split(cell: str) -> list[str]:
    parts = re.findall(r"((?:[^;\\]|\\.)*)(?:;|$)", cell, re.DOTALL)[:-1] if cell else []
    return [re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in parts]


@given(st.lists(CONTACTS, max_size=3))
def test_csv_keeps_what_is_there(contacts: list[Contact]) -> None:
    for contact, row in zip(contacts, rows(contacts), strict=True):
        assert tuple(row) == CsvWriter.columns
        assert row["id"] == contact.id
        assert row["first_name"] == (contact.first_name or "")
        assert row["email"] == (contact.email or "")
        emails = [i.value for i in contact.all(IdentifierKind.EMAIL)]
        told = [row["email"], *split(row["other_emails"])] if emails else []
        if all(emails):  # an empty cell cannot tell an empty value from none
            assert sorted(told) == sorted(emails)
        if all(contact.tags):
            assert split(row["tags"]) == list(contact.tags)
        assert json.loads(row["custom"] or "{}") == contact.custom
        assert json.loads(row["extra"] or "{}") == contact.extra
        others = {(i["kind"], i["key"], i["value"]) for i in json.loads(row["other_identifiers"] or "[]")}
        assert {("other", i.key, i.value) for i in contact.all(IdentifierKind.OTHER)} <= others


@given(CONTACTS)
def test_no_cell_of_a_safe_csv_is_a_formula(contact: Contact) -> None:
    (row,) = rows([contact], excel_safe=True)
    for cell in row.values():
        assert not re.match(r"\s*[=+\-@＝＋－＠]|[\t\r\n]", cell)
    for joined in (row["other_emails"], row["lists"], row["tags"]):
        assert not any(re.match(r"\s*[=+\-@＝＋－＠]|[\t\r\n]", part) for part in split(joined))


@given(CONTACTS)
def test_a_safe_csv_differs_by_apostrophes_only(contact: Contact) -> None:
    (raw,), (safe,) = rows([contact]), rows([contact], excel_safe=True)
    for name in set(raw) - {"other_emails", "other_phones", "lists", "tags"}:
        assert safe[name] in {raw[name], f"'{raw[name]}"}


def test_a_phone_number_is_guarded_too() -> None:
    (row,) = rows([Contact(identifiers=(Identifier.phone("+1 555 010 0100"),))], excel_safe=True)
    assert row["phone"] == "'+15550100100"


@given(contacts=st.lists(CONTACTS, max_size=3))
def test_json_lines_come_back(contacts: list[Contact], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("lines") / "people.jsonl"
    with writer_for(path) as writer:
        for contact in contacts:
            writer.write(contact)
    assert [asdict(each) for each in read_json_lines(path)] == [asdict(each) for each in contacts]
    assert [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]] == plain(contacts)


@pytest.mark.parametrize("name", ["people.csv", "people.JSONL", "people.ndjson"])
def test_only_the_owner_may_read_the_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with writer_for(path) as writer:
        writer.write(Contact(id="1"))
        assert [each.suffix for each in tmp_path.iterdir()] == [".part"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_broken_export_leaves_what_was_there(failure: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("before", "utf-8")

    def broken() -> None:
        with writer_for(path) as writer:
            writer.write(Contact(id="1"))
            raise failure

    with pytest.raises(failure):
        broken()
    assert path.read_text("utf-8") == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_suffix_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"people\.xlsx") as refused, writer_for(tmp_path / "people.xlsx"):
        pass
    assert ".csv" in refused.value.hint
    with pytest.raises(InvalidInput, match="only CSV"), writer_for(tmp_path / "people.jsonl", excel_safe=True):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("line", ["{", "[]", '{"id": 1}', "[" * 100_000])
def test_a_bad_line_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl"
    path.write_text('\n{"id": "1"}\n' + line, "utf-8")
    with pytest.raises(InvalidInput, match=r"people\.jsonl, line 3"):
        list(read_json_lines(path))


def test_a_writer_for_json_lines_writes_whole_lines() -> None:
    file = io.StringIO()
    JsonLinesWriter(file).write(Contact(first_name="José\n"))
    assert file.getvalue().endswith("}\n")
    assert file.getvalue().count("\n") == 1
    assert "José" in file.getvalue()
