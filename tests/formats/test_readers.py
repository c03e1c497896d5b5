"""Files of people and of contacts: what is read, and what is refused with its line."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_core.errors import InvalidInput
from contacts_core.formats import read_json_lines, read_lines, read_people, readable, readers
from contacts_core.models import Contact, Identifier

JANE = Identifier.email("jane@example.com")


def people(content: str | bytes) -> tuple[list[tuple[Identifier, ...]], list[str]]:
    return read_people(io.BytesIO(content.encode() if isinstance(content, str) else content))


def contacts(content: str | bytes) -> list[Contact]:
    return list(read_json_lines(io.BytesIO(content.encode() if isinstance(content, str) else content)))


def test_people_are_read_a_row_each() -> None:
    content = (
        "\ufeffE-Mail,Phone,External ID,note,email\r\n".replace("E-Mail", "Email")
        + 'Jane <JANE@example.com>,\'+1 202 555 0143,A 1,"likes ""tea"", much",\r\n'
        + "\r\n , ,,,\n"
        + ",,,,john@example.com\n"
        + '"joe@example.com","","","","joe@example.com"'
    )
    john, joe = Identifier.email("john@example.com"), Identifier.email("joe@example.com")
    jane = (JANE, Identifier.phone("+12025550143"), Identifier.external_id("A 1"))
    assert people(content) == ([jane, (john,), (joe,)], ["note"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no column of identifiers"),
        ("\n\n", "no column of identifiers"),
        ("name\nJane\n", "line 1: there is no column of identifiers"),
        ("email;phone\njane@example.com;\n", "line 1: there is no column of identifiers"),
        ("jane@example.com\njohn@example.com\n", "line 1: the names of the columns are missing"),
        ("+12025550143\n", "line 1: the names of the columns are missing"),
        ('email\na@example.com\n"b@example.com\nc@example.com\n', "line 3: a quotation mark opens a cell"),
        ('email\n"b@example.com\nc@example.com"\n', "line 2: a quotation mark opens a cell"),
        ('email\n"b@example.com"x\n', "line 2: ',' expected after '\"'"),
        ('email\n "b@example.com"\n', "line 2: .* is not an e-mail address"),
        ("email\na@example.com,b@example.com\n", "line 2: this row has 2 cells under 1 columns"),
        ("email,phone\na@example.com\n", "line 2: this row has 1 cells under 2 columns"),
        ('email\n"a@example.com, b@example.com"\n', "line 2: .* is not an e-mail address"),
        ("email\na@example.com b@example.com\n", "line 2: .* is not an e-mail address"),
        ("email\na@example.com;b@example.com\n", "line 2: .* is not an e-mail address"),
        ("email\nnobody\n", "line 2: 'nobody' is not an e-mail address"),
        ("phone\n2025550143\n", "line 2: .* is not a phone number"),
        ("phone\n+1-800-FLOWERS\n", "line 2: .* is not a phone number"),
        ("email,name\na@example.com,A\n,B\n", "line 3: this person has no identifier"),
        ("external_id\n A1\n", "line 2: there is white space around the external_id ' A1'"),
        ("email,mobile\na@example.com,+12025550143\n", "line 2: the column 'mobile' is not read, and it holds"),
        ("email,other_emails\na@example.com,b@example.com;c@example.com\n", "line 2: the column 'other_emails'"),
        ("email,\na@example.com,x\n", "line 2: there is text in a column without a name"),
        ("email\na@example.com\rb@example.com\n", "line 2 holds a carriage return"),
        ("email\ra@example.com\r", "line 1 holds a carriage return"),
        ("email\na@example.com\0\n", "line 2 holds a NUL"),
        ("email,note\na@example.com," + "x" * 10_001, "line 2: a cell is longer than 10000 characters"),
        ("email,note\na@example.com," + "x" * 200_000, "line 2: field larger than field limit"),
        ("email\njosé@example.com\n".encode("latin-1"), "line 2 is not UTF-8, from byte 4 on"),
        ("email\na@example.com\n".encode("utf-16"), "is UTF-16, not UTF-8"),
        ("email\na@example.com\n".encode("utf-16-be"), "line 1 holds a NUL"),
        (b"email\n" + b"x" * ((1 << 24) + 1), "line 2 is longer than 16777216 bytes"),
    ],
)
def test_an_odd_file_is_refused_with_its_line(content: str | bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InvalidInput, match=words) as refused:
        read_people(path)
    assert str(refused.value).startswith("people.csv")


def test_a_refusal_shows_nobody_and_steers_no_terminal() -> None:
    with pytest.raises(InvalidInput) as refused:
        people("email\nx jane.smith@example.com \x1b[31m\u202e" + "y" * 500 + "\n")
    assert "jane.smith" not in str(refused.value)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 200
    with pytest.raises(InvalidInput) as refused:
        contacts('{"jane.smith@example.com \\u001b": 1}')
    assert "jane.smith" not in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"nmae": "x"}', "extra fields found .nmae."),
        ('{"identifiers": [{"kind": "email", "value": "a@example.com", "vlaue": ""}]}', "extra fields found .vlaue."),
        ('{"address": {"street": "x"}}', "extra fields found .street."),
        ('{"id": "1", "id": "2"}', "the key 'id' stands twice"),
        ('{"extra": {"a": {"b": 1, "b": 1}}}', "the key 'b' stands twice"),
        ('{"custom": {"a": NaN}}', "NaN is not a JSON number"),
        ('{"custom": {"a": -Infinity}}', "-Infinity is not a JSON number"),
        ('{"custom": {"a": 1e999}}', "a number is too large"),
        ('{"custom": {"a": ' + "9" * 5000 + "}}", "a number has too many digits"),
        ('{"custom": {"a": [1]}}', "custom"),
        ('{"custom": []}', "custom"),
        ('{"extra": "x"}', "extra"),
        ('{"extra": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested more than 100 levels"),
        ('{"extra": {"a": ' + "[" * 100 + "]" * 100 + "}}", "nested more than 100 levels"),
        ('{"id": "\\ud83d"}', "holds half a character"),
        ('{"extra": {"\\udc00": 1}}', "holds half a character"),
        ('{"identifiers": [{"kind": "email", "value": "a", "primary": "no"}]}', "primary"),
        ('{"identifiers": {}}', "identifiers"),
        ('{"tags": [null]}', "tags"),
        ('{"created_at": 5}', "created_at"),
        ('{"created_at": "0001-01-01T00:00:00+23:59"}', "created_at"),
        ('{"address": []}', "address"),
        ('{"id": 1}', "id"),
        ('"x"', "expected a JSON object"),
        ("nothing", "this is not JSON: Expecting value, at character 1"),
        ("{}{}", "this is not JSON: Extra data, at character 3"),
    ],
)
def test_a_line_that_is_more_or_less_than_a_contact_is_refused(line: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=f"line 3: .*{words}"):
        contacts(f'{{"id": "1"}}\n\n{line}\n')


PIECES = st.sampled_from(
    [
        *(
            b"email",
            b"phone",
            b"external_id",
            b"a@example.com",
            b"+12025550123",
            b'"',
            b",",
            b"\n",
            b"\r\n",
            b"\r",
            b"\0",
        ),
        *(
            b"\xff",
            b"\xef\xbb\xbf",
            b"\xff\xfe",
            b"\x1c",
            b"\xc2\x85",
            b"\xe2\x80\xa8",
            b" ",
            b"{",
            b"}",
            b":",
            b"[",
            b"]",
        ),
        *(b'"id"', b'{"id":"1"}', b'"\\ud800"', b"1e999", b"NaN", b'"identifiers"', b'"custom"', b'"kind"', b'"value"'),
    ]
)
MIXED = st.lists(PIECES | st.binary(max_size=3), max_size=25).map(b"".join)


@settings(max_examples=500, deadline=None)
@given(MIXED | st.binary(max_size=80) | MIXED.map(b"email,phone,external_id\n".__add__))
def test_whatever_the_bytes_it_is_a_result_or_a_refusal(content: bytes) -> None:
    for read in (read_people, lambda file: list(read_json_lines(file)), lambda file: list(read_lines(file))):
        said = ""
        try:
            read(io.BytesIO(content))
        except InvalidInput as refused:
            said = str(refused)
        assert said.isprintable()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a@example.com", "b@example.com", "+12025550143", ""]), st.text(max_size=5)),
        max_size=8,
    )
)
def test_no_row_with_an_identifier_is_ever_left_out(rows: list[tuple[str, str]]) -> None:
    content = "email,note\n" + "".join(f"{value},{note}\n" for value, note in rows)
    try:
        read, _ = people(content)
    except InvalidInput:
        return
    assert [person[0].value for person in read] == [value for value, _ in rows if value]


def test_a_file_is_read_from_its_beginning_each_time(tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl"
    path.write_text('{"id": "1"}\n', "utf-8")
    with readable(path) as file:
        assert [contact.id for contact in read_json_lines(file)] == ["1"]
        assert [contact.id for contact in read_json_lines(file)] == ["1"]


def test_a_pipe_is_kept_so_that_it_can_be_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(b'{"id": "1"}\n' * 1000)
    with os.fdopen(reading, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with readable("-") as file:
            status = os.fstat(file.fileno())
            assert stat.S_IMODE(status.st_mode) == 0o600
            assert status.st_nlink == 0  # nobody finds it, and nothing of it stays
            for _ in range(2):
                assert len(list(read_json_lines(file))) == 1000
        assert not stdin.closed


def test_a_named_pipe_and_a_plain_stream_are_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    os.mkfifo(path)
    content = b"email\njane@example.com\nx\n"
    threading.Thread(target=path.write_bytes, args=(content,), daemon=True).start()
    with readable(path) as file, pytest.raises(InvalidInput, match="standard input, line 3"):
        read_people(file)
    with subprocess.Popen(
        [sys.executable, "-c", "print('email\\njane@example.com')"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        stream: BinaryIO = process.stdout  # type: ignore[assignment]
        assert read_people(stream) == ([(JANE,)], [])


def test_what_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for path, words in ((tmp_path / "no.csv", "No such file"), (tmp_path, "directory"), (Path("a\0b"), "null byte")):
        with pytest.raises(InvalidInput, match=f"cannot be read: .*{words}"):
            read_people(path)
        with pytest.raises(InvalidInput, match=words), readable(path):
            pytest.fail("it was opened")
    closed = io.BytesIO(b"email\n")
    closed.close()
    with pytest.raises(InvalidInput, match="closed file"):
        read_people(closed)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(InvalidInput, match="standard input is not open"), readable("-"):
        pytest.fail("it was opened")


def test_a_disk_that_fails_in_the_middle_is_a_refusal() -> None:
    class Failing(io.BytesIO):
        name = "/somewhere/people.jsonl"

        def readline(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().readline(size)

    with pytest.raises(InvalidInput, match=r"^people\.jsonl cannot be read: Input/output error$"):
        list(read_json_lines(Failing(b'{"id": "1"}\n{"id": "2"}\n')))


def test_a_large_file_is_read_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "contact_from_plain", lambda _: JANE)  # only what reading itself holds counts
    path = tmp_path / "people.jsonl"
    path.write_bytes(b'{"id": "1", "first_name": "%s"}\n' % (b"x" * 1000) * 20_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_json_lines(path)) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
