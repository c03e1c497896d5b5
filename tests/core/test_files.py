"""Export files, as bytes in and contacts out."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts_core.errors import UnexpectedPayload
from contacts_core.models import Contact
from contacts_core.provider.files import Records, Unpacked, last_record_end

ROWS = [["id", "name"], ["1", "plain"], ["2", 'quo"ted'], ["3", "two\nlines"], ["4", "a,b"], ["5", ""], ["6", "é李"]]


class Reader:
    """Reads ids only."""

    def csv(self, header: Sequence[str]) -> Callable[[Sequence[Sequence[str]]], list[Contact]]:
        assert header == ["id", "name"]
        return lambda rows: [Contact(id=row[0], first_name=row[1]) for row in rows]

    def json_lines(self, lines: bytes) -> list[Contact]:
        return [Contact(id=line.strip().decode()) for line in lines.splitlines() if line.strip()]


def as_csv(rows: Sequence[Sequence[str]], end: str = "\r\n") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end).writerows(rows)
    return text.getvalue().encode()


def read(pieces: Sequence[bytes]) -> list[tuple[str, str | None]]:
    records = Records(Reader())
    contacts = [contact for piece in pieces for contact in records.feed(piece)]
    return [(contact.id, contact.first_name) for contact in [*contacts, *records.end()]]


def unpack(pieces: Sequence[bytes], limit: int = 1 << 20) -> bytes:
    unpacked = Unpacked(limit)
    whole = b"".join(part for piece in pieces for part in unpacked.feed(piece))
    return whole + b"".join(unpacked.end())


EXPECTED = [(row[0], row[1]) for row in ROWS[1:]]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_records_are_the_same_wherever_the_bytes_are_cut(end: str) -> None:
    data = as_csv(ROWS, end)
    for cut in range(len(data)):
        assert read([data[:cut], data[cut:]]) == EXPECTED


@given(st.lists(st.tuples(st.text(min_size=1).filter(str.strip), st.text()), min_size=1), st.integers(1, 7))
def test_any_text_survives_any_cutting(rows: list[tuple[str, str]], size: int) -> None:
    rows = [(a.replace("\x00", "").replace("\r", "") or "x", b.replace("\x00", "").replace("\r", "")) for a, b in rows]
    data = as_csv([ROWS[0], *rows])
    assert read([data[n : n + size] for n in range(0, len(data), size)]) == rows


def test_a_last_record_without_a_line_break_counts() -> None:
    assert read([as_csv(ROWS).rstrip()]) == EXPECTED


def test_a_byte_order_mark_is_no_part_of_the_header() -> None:
    assert read([b"\xef\xbb\xbf" + as_csv(ROWS)]) == EXPECTED


@pytest.mark.parametrize("nothing", [[], [b""], [b"\n"], [b" ", b"\r\n"], [as_csv(ROWS[:1])]])
def test_nothing_is_nobody(nothing: list[bytes]) -> None:
    assert read(nothing) == []


def test_a_file_that_ends_inside_quotes_is_broken() -> None:
    with pytest.raises(UnexpectedPayload, match="middle of a record"):
        read([b'id,name\r\n1,"open'])


def test_bytes_that_are_no_text_are_broken() -> None:
    with pytest.raises(UnexpectedPayload, match="UTF-8"):
        read([b"id,name\r\n1,\xff\r\n"])


def test_a_record_without_an_end_is_not_kept_forever() -> None:
    records = Records(Reader())
    records.feed(b'"' + b"x" * (1 << 23))
    with pytest.raises(UnexpectedPayload, match="does not end"):
        records.feed(b"x" * (1 << 23))


def test_lines_of_json_are_told_from_csv_by_their_first_byte() -> None:
    lines = b'{"a": 1}\n{"b": 2}\n{"c": 3}'
    for cut in range(len(lines)):
        assert [each for each, _ in read([lines[:cut], lines[cut:]])] == ['{"a": 1}', '{"b": 2}', '{"c": 3}']


@pytest.mark.parametrize(("data", "end"), [(b"a\nb", 2), (b'"a\n"b', 0), (b'x\n"a\n', 2), (b'"\n"\n', 4), (b"", 0)])
def test_where_the_last_record_ends(data: bytes, end: int) -> None:
    assert last_record_end(data) == end


@pytest.mark.parametrize(
    "pack",
    [
        lambda data: data,
        gzip.compress,
        lambda data: gzip.compress(gzip.compress(data)),
        lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:]),
    ],
    ids=["plain", "gzip", "twice", "two members"],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_every_packing_is_undone(pack: Callable[[bytes], bytes], size: int) -> None:
    data = as_csv(ROWS) * 20
    packed = pack(data)
    assert unpack([packed[n : n + size] for n in range(0, len(packed), size)]) == data


def test_a_file_shorter_than_its_magic_is_what_it_is() -> None:
    assert unpack([b"x"]) == b"x"


def test_a_cut_file_is_broken() -> None:
    with pytest.raises(UnexpectedPayload, match="is cut off"):
        unpack([gzip.compress(b"x" * 1000)[:-9]])


def test_a_damaged_file_is_broken() -> None:
    packed = bytearray(gzip.compress(bytes(range(256)) * 20))
    packed[20:40] = b"\xff" * 20
    with pytest.raises(UnexpectedPayload, match="damaged"):
        unpack([bytes(packed)])


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_a_bomb_stops_at_the_limit(layers: int) -> None:
    bomb = b"0" * (1 << 24)
    for _ in range(layers):
        bomb = gzip.compress(bomb)
    with pytest.raises(UnexpectedPayload, match="larger than 100000 bytes") as raised:
        unpack([bomb], limit=100_000)
    assert "max_download" in raised.value.hint
