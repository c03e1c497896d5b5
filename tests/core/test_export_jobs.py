"""An export by files, from the job to the last contact, and what must not come of broken ones."""

from __future__ import annotations

import csv
import gzip
import io
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest
from attrs import evolve, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_core.errors import IncompleteExport, JobFailed, UnexpectedPayload
from contacts_core.models import Contact, Job, JobState, Strategy
from contacts_core.operations import explain, export
from contacts_core.provider import Download, ExportsFiles, FileReader, Flow, Read, Request, Sleep, base_url_setting, get
from contacts_core.provider.files import Records, Unpacked, last_record_end
from contacts_core.query import F
from tests.core.fake_providers import HOME, emitted, items, run

BOM = b"\xef\xbb\xbf"
TWO = b"ID,NAME\n1,Ann\n2,Bob\n"


def job(*, files: int = 1, succeeded: int | None = None, **fields: Any) -> Job:
    urls = tuple(f"https://files.example.com/{n}" for n in range(1, files + 1))
    return Job(provider="acme", id="j1", files=urls, succeeded=succeeded, **fields)


class Reader:
    """Ids and names, from either form."""

    def csv(self, header: Sequence[str]) -> Callable[[Sequence[Sequence[str]]], list[Contact]]:
        columns = [name.lower() for name in header]

        def rows(found: Sequence[Sequence[str]]) -> list[Contact]:
            return [Contact(id=row[columns.index("id")], first_name=row[columns.index("name")]) for row in found]

        return rows

    def json_lines(self, lines: bytes) -> list[Contact]:
        return [Contact(id=line.decode()) for line in lines.splitlines() if line.strip()]


@frozen(kw_only=True)
class Filed(ExportsFiles):
    """A vendor that writes files."""

    name = "acme"
    poll_interval = 2.0
    export_requests = 4
    export_includes_lists = False

    base_url: str = base_url_setting(HOME)
    states: list[JobState] = field(factory=lambda: [JobState.DONE])
    job: Job = field(factory=job)

    def file_reader(self) -> Flow[FileReader]:
        yield from get("/fields", object)
        return Reader()

    def start_export(self, list_id: str | None) -> Flow[Job]:
        yield from get(f"/start/{list_id}", object)
        return evolve(self.job, state=self.states.pop(0))

    def get_job(self, job: Job) -> Flow[Job]:
        yield from get("/job", object)
        return evolve(self.job, state=self.states.pop(0))


class Files:
    """The vendor's files, given out in pieces; and what was asked."""

    def __init__(self, *contents: bytes, size: int = 7) -> None:
        self._contents = {f"https://files.example.com/{n}": content for n, content in enumerate(contents, 1)}
        self._size = size
        self.asked: list[str] = []
        self.slept: list[float] = []

    def __call__(self, effect: Any) -> Any:
        match effect:
            case Request():
                self.asked.append(effect.path)
                return None
            case Sleep(seconds):
                self.slept.append(seconds)
                return None
            case Download(url):
                return self._pieces(self._contents[url])
            case Read(source):
                return next(cast("Iterator[bytes]", source), b"")
            case _:
                raise AssertionError(effect)

    def _pieces(self, content: bytes) -> Iterator[bytes]:
        for start in range(0, len(content), self._size):
            yield content[start : start + self._size]


def exported(files: Files, **settings_: Any) -> list[Contact]:
    return items(export(Filed(**settings_), []), files)


def test_the_job_is_waited_for_with_growing_pauses_and_the_file_is_read() -> None:
    files = Files(TWO)
    contacts = exported(files, states=[*[JobState.PENDING] * 6, JobState.DONE])
    assert [contact.id for contact in contacts] == ["1", "2"]
    assert files.asked == ["/fields", "/start/None", *["/job"] * 6]
    assert files.slept[0] == 0.5
    assert files.slept == sorted(files.slept)
    assert max(files.slept) == 2.0


def test_one_list_is_asked_for_by_its_id() -> None:
    files = Files(TWO)
    assert len(items(export(Filed(), ["l1"]), files)) == 2
    assert files.asked[1] == "/start/l1"


def test_several_files_of_different_kinds_are_one_export() -> None:
    files = Files(TWO, gzip.compress(b"id,name\n3,Cid\n"), b'{"id": 4}\n{"id": 5}', b"", b"id,name\n")
    ids = [contact.id for contact in exported(files, job=job(files=5))]
    assert ids == ["1", "2", "3", '{"id": 4}', '{"id": 5}']


def test_a_job_without_files_exports_nobody() -> None:
    assert exported(Files(), job=job(files=0, succeeded=0)) == []


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.PARTIAL, JobState.UNKNOWN])
def test_a_job_that_did_not_work_is_an_error_that_carries_it(state: JobState) -> None:
    failed = job(detail="out of disk")
    with pytest.raises(JobFailed, match="out of disk") as caught:
        exported(Files(TWO), states=[JobState.PENDING, state], job=failed)
    assert caught.value.job == evolve(failed, state=state, operation="export")


@pytest.mark.parametrize("announced", [3, 100])
def test_fewer_contacts_than_announced_are_given_and_then_an_error(announced: int) -> None:
    stream = emitted(export(Filed(job=job(succeeded=announced)), []), Files(TWO))
    assert [next(stream).id, next(stream).id] == ["1", "2"]
    with pytest.raises(IncompleteExport) as caught:
        next(stream)
    assert (caught.value.found, caught.value.total) == (2, announced)


@pytest.mark.parametrize("announced", [None, 0, 1, 2])
def test_as_many_as_announced_or_more_are_fine(announced: int | None) -> None:
    assert len(exported(Files(TWO), job=job(succeeded=announced))) == 2


def test_a_scan_of_exports_costs_a_few_requests_for_each_job() -> None:
    assert run(explain(Filed(), F.id == "1")).requests == 4
    listed = run(explain(Filed(), (F.list == "a") | (F.list == "b")))
    assert (listed.strategy, listed.requests) == (Strategy.SCAN, 12)


def test_a_bomb_stops_at_the_limit_of_the_provider_and_takes_no_memory() -> None:
    with pytest.raises(UnexpectedPayload, match="larger than 1000 bytes"):
        exported(Files(gzip.compress(b"id,name\n" + b"1,x\n" * 10_000)), max_download=1000)
    bomb = gzip.compress(gzip.compress(b"\n" * (1 << 26)))
    tracemalloc.start()
    unpacked = Unpacked(1 << 24).feed(bomb)
    with pytest.raises(UnexpectedPayload):
        sum(map(len, unpacked))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 22


@settings(max_examples=100)
@given(st.binary(min_size=1, max_size=300), st.data())
def test_a_gzip_cut_anywhere_is_never_taken_for_whole(data: bytes, draw: st.DataObject) -> None:
    packed = gzip.compress(data)
    unpacked = Unpacked(1 << 20)
    list(unpacked.feed(packed[: draw.draw(st.integers(2, len(packed) - 1))]))
    with pytest.raises(UnexpectedPayload):
        list(unpacked.end())


@pytest.mark.parametrize("place", [12, -8, -4, -1])
def test_a_gzip_damaged_anywhere_is_an_error(place: int) -> None:
    packed = bytearray(gzip.compress(b"id,name\n1,Ann\n" * 50))
    packed[place] ^= 0xFF
    unpacked = Unpacked(1 << 20)
    with pytest.raises(UnexpectedPayload):
        sum(map(len, (*unpacked.feed(bytes(packed)), *unpacked.end())))


def read(content: bytes, borders: Sequence[int]) -> list[tuple[str, str | None]]:
    records = Records(Reader())
    contacts: list[Contact] = []
    for start, end in zip([0, *borders], [*borders, len(content)], strict=True):
        contacts += records.feed(content[start:end])
    contacts += records.end()
    return [(contact.id, contact.first_name) for contact in contacts]


TEXT = st.text(st.characters(exclude_characters="\x00\r", exclude_categories=["Cs"]), max_size=8)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 99).map(str), TEXT), max_size=4),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from([b"", BOM]),
    st.booleans(),
)
def test_a_csv_file_gives_the_same_rows_at_every_border(
    rows: list[tuple[str, str]], end: str, quoting: Any, bom: bytes, last: bool
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=quoting).writerows([("id", "name"), *rows])
    content = bom + text.getvalue().encode()
    content = content if last else content.removesuffix(end.encode())
    for border in range(len(content) + 1):
        assert read(content, [border]) == rows
    assert read(content, range(1, len(content))) == rows


@pytest.mark.parametrize("bom", [b"", BOM])
@pytest.mark.parametrize("last", ["", "\n", "\r\n"])
@pytest.mark.parametrize("lines", [['{"id": 1, "name": "Ä\\n\\""}', '{"id": 2}'], ["{}"]])
def test_lines_of_json_give_the_same_at_every_border(lines: list[str], last: str, bom: bytes) -> None:
    content = bom + ("\n".join(lines) + last).encode()
    for borders in [*([n] for n in range(len(content) + 1)), list(range(1, len(content)))]:
        assert [id_ for id_, _ in read(content, borders)] == lines


@pytest.mark.parametrize("content", [b"", b"\n", b"  ", BOM, BOM + b"\n", b"id,name", b"id,name\r\n\r\n"])
def test_a_file_without_contacts_holds_nobody_at_any_border(content: bytes) -> None:
    for border in range(len(content) + 1):
        assert read(content, [border]) == []


def test_a_field_longer_than_the_csv_module_takes_is_an_error_of_ours() -> None:
    with pytest.raises(UnexpectedPayload, match="not CSV"):
        read(b"id,name\n1," + b"x" * 200_000 + b"\n", [])


def test_a_quoted_record_without_an_end_is_given_up_in_time() -> None:
    def endless() -> None:
        records = Records(Reader())
        records.feed(b'id,name\n1,"')
        for _ in range(80):
            records.feed(b"fifteen letters\n" * (1 << 14))

    began = time.process_time()
    with pytest.raises(UnexpectedPayload, match="does not end"):
        endless()
    assert time.process_time() - began < 60


@settings(max_examples=200)
@given(st.text('"\n,a', max_size=40))
def test_the_last_record_ends_behind_the_last_line_break_outside_quotes(text: str) -> None:
    outside = [n + 1 for n, letter in enumerate(text) if letter == "\n" and text[:n].count('"') % 2 == 0]
    assert last_record_end(text.encode()) == (outside[-1] if outside else 0)


def test_the_limit_of_a_download_may_come_as_text() -> None:
    settings: dict[str, Any] = {"max_download": "1000"}
    assert Filed(**settings).max_download == 1000
