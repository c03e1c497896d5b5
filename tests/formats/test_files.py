"""Contacts as files."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from attrs import asdict
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_core.errors import InvalidInput
from contacts_core.formats import CsvWriter, JsonLinesWriter, plain, read_json_lines, writer_for
from contacts_core.formats import private_files as private
from contacts_core.models import Address, Contact, Identifier, IdentifierKind

TEXT = st.text(max_size=12)
NASTY = st.sampled_from(
    [
        "=1+1",
        "+15550100",
        "-2",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        " =1",
        "＝1",
        ";=1",
        'a"b',
        "a;b",
        "a\\b",
        "\ufeff=1",
        "\0@",
        "\x1b",
    ]
)
VALUES = TEXT | NASTY
FORMULA = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b\u202e\ufeff]*[=+\-−@＝＋－＠]|[\x00-\x1f\x7f-\x9f]")
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
        emails = [i.value for i in contact.identifiers_of(IdentifierKind.EMAIL)]
        told = [row["email"], *split(row["other_emails"])] if emails else []
        if all(emails):  # an empty cell cannot tell an empty value from none
            assert sorted(told) == sorted(emails)
        if all(contact.tags):
            assert split(row["tags"]) == list(contact.tags)
        assert json.loads(row["custom"] or "{}") == contact.custom
        assert json.loads(row["extra"] or "{}") == contact.extra
        others = {(i["kind"], i["key"], i["value"]) for i in json.loads(row["other_identifiers"] or "[]")}
        assert {("other", i.key, i.value) for i in contact.identifiers_of(IdentifierKind.OTHER)} <= others


@given(CONTACTS)
def test_no_cell_of_a_safe_csv_is_a_formula(contact: Contact) -> None:
    (row,) = rows([contact], excel_safe=True)
    for cell in row.values():
        assert not FORMULA.match(cell)
    for joined in (row["other_emails"], row["lists"], row["tags"]):
        assert not any(FORMULA.match(part) for part in split(joined))


@given(CONTACTS)
def test_a_safe_csv_differs_by_apostrophes_only(contact: Contact) -> None:
    (raw,), (safe,) = rows([contact]), rows([contact], excel_safe=True)
    for name in set(raw) - {"other_emails", "other_phones", "lists", "tags"}:
        assert safe[name] in {raw[name], f"'{raw[name]}"}


def test_a_phone_number_is_guarded_too() -> None:
    (row,) = rows([Contact(identifiers=(Identifier.phone("+1 555 010 0100"),))], excel_safe=True)
    assert row["phone"] == "'+15550100100"


@settings(deadline=None)  # it waits for the disk
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
        assert list(tmp_path.iterdir()) == []  # a file without a name: whatever ends the process, nothing is left
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


@pytest.mark.parametrize("excel_safe", [False, True])
def test_half_a_character_stops_no_export(excel_safe: bool, tmp_path: Path) -> None:
    broken = Contact(id="1", first_name="Jos\u00e9 \ud83d")
    with writer_for(tmp_path / "people.csv", excel_safe=excel_safe) as writer:
        writer.write(broken)
    assert "Jos\u00e9 \\ud83d" in (tmp_path / "people.csv").read_text("utf-8")
    with writer_for(tmp_path / "people.jsonl") as writer:
        writer.write(broken)
    assert json.loads((tmp_path / "people.jsonl").read_bytes())["first_name"] == broken.first_name


KILLED = """
import os, signal, sys
from pathlib import Path
from contacts_core.formats import writer_for
from contacts_core.formats import private_files as private
from contacts_core.models import Contact
if sys.argv[2] == "named":
    private.OPEN_FILES = Path("/nowhere")
if sys.argv[3] == "handled":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
with writer_for(Path(sys.argv[1])) as writer:
    for number in range(10_000):
        writer.write(Contact(id=str(number), first_name="Jane"))
    print(sorted(os.listdir(Path(sys.argv[1]).parent)), flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("number", "way", "handler", "code"),
    [
        (signal.SIGTERM, "nameless", "default", -signal.SIGTERM),
        (signal.SIGHUP, "nameless", "default", -signal.SIGHUP),
        (signal.SIGKILL, "nameless", "default", -signal.SIGKILL),
        (signal.SIGTERM, "named", "default", -signal.SIGTERM),
        (signal.SIGHUP, "named", "default", -signal.SIGHUP),
        (signal.SIGTERM, "named", "handled", 7),
    ],
)
def test_a_killed_process_leaves_nobody_behind(
    number: signal.Signals, way: str, handler: str, code: int, tmp_path: Path
) -> None:
    path = tmp_path / "people.jsonl"
    path.write_text("before", "utf-8")
    command = [sys.executable, "-c", KILLED, str(path), way, handler]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = process.stdout.readline()
        assert (".part" in told) is (way == "named")
        process.send_signal(number)
        assert process.wait(60) == code
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text("utf-8") == "before"


def test_signals_are_as_they_were_when_the_file_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(private, "OPEN_FILES", Path("/nowhere"))
    # A command that was run in this process may have left a handler of its own.
    previous = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(signal.SIGTERM, previous))
    before = signal.getsignal(signal.SIGTERM)
    path = tmp_path / "people.csv"
    with writer_for(path) as writer:
        writer.write(Contact(id="1"))
        assert signal.getsignal(signal.SIGTERM) is not before
        (part,) = tmp_path.iterdir()
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
    assert signal.getsignal(signal.SIGTERM) is before
    assert list(tmp_path.iterdir()) == [path]
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError):
        pool.submit(_fail_to_write, path).result()
    assert list(tmp_path.iterdir()) == [path]


def _fail_to_write(path: Path) -> None:
    with writer_for(path) as writer:
        writer.write(Contact(id="2"))
        raise RuntimeError


def test_a_file_system_without_nameless_files_does_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY | os.O_EXCL)  # a flag that opens no file for writing
    with private.private_file(tmp_path / "people.txt") as file:
        file.write("Jane")
        assert [each.suffix for each in tmp_path.iterdir()] == [".part"]
    assert (tmp_path / "people.txt").read_text("utf-8") == "Jane"


def test_a_folder_of_that_name_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "people.csv").mkdir()
    with pytest.raises(InvalidInput, match="is a folder"), writer_for(tmp_path / "people.csv"):
        pytest.fail("it began")


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
