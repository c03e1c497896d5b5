"""A receipt is read where it is, line by line, as often as it is needed, and never whole."""

from __future__ import annotations

import io
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contacts_core.plans import Receipt, ReceiptBroken
from contacts_core.plans.receipts.receipt import write
from contacts_core.storage.database import locate_storage
from contacts_core.storage.journal import RESULTS_PER_EVENT, Journal
from tests.plans.samples import AT, JANE, JOHN, KEY, events, text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    written = tmp_path / "receipt.jsonl"
    written.write_text(text())
    return written


def in_pieces(content: bytes, size: int) -> Callable[[], Iterator[bytes]]:
    return lambda: (content[n : n + size] for n in range(0, len(content), size))


class TestLines:
    def test_they_are_a_sequence_like_any_other(self, path: Path) -> None:
        receipt, lines = Receipt.load(path), list(Receipt.parse(text()).lines)
        assert list(receipt.lines) == lines == list(receipt.lines)
        assert len(receipt.lines) == len(lines) == 18
        for n in (0, 3, 17, -1, -18):
            assert receipt.lines[n] == lines[n]
        for n in (18, -19):
            with pytest.raises(IndexError):
                receipt.lines[n]
        for part in (slice(2, 5), slice(-3, None), slice(None, None, 4), slice(5, 2), slice(None, None, -1)):
            assert list(receipt.lines[part]) == lines[part]

    def test_those_of_one_type_too(self, path: Path) -> None:
        results = Receipt.load(path).of("result")
        assert [line["person"] for line in results] == [1, 2, 1, 2]
        assert (len(results), results[1]["state"], results[-1]["account"]) == (4, "present", "crm")
        nothing = Receipt.load(path).of("nonsense")
        assert not nothing
        assert list(nothing) == []

    def test_a_field_that_looks_like_a_type_is_none(self) -> None:
        odd = [{**event, "reason": '"type":"result"', "x": {"type": "result"}} for event in events()]
        assert len(list(Receipt.parse("".join(write(odd, KEY))).of("result"))) == 4

    @pytest.mark.parametrize("size", [1, 7, 1000, 65_536])
    def test_the_size_of_the_pieces_does_not_matter(self, size: int) -> None:
        receipt = Receipt.check(in_pieces(text().encode(), size))
        assert receipt == Receipt.parse(text())
        assert receipt.text == text()
        assert len(receipt.find([JANE, JOHN], KEY)) == 4

    def test_one_that_can_be_read_once_is_copied(self) -> None:
        reading, writing = os.pipe()

        def fill() -> None:
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(text().encode())

        threading.Thread(target=fill).start()
        with os.fdopen(reading, "rb") as pipe:
            receipt = Receipt.read(pipe)
        both = zip(receipt.lines, receipt.lines, strict=True)
        assert all(one == other for one, other in both)
        assert receipt.text == text()

    def test_a_copy_is_checked_as_well(self) -> None:
        with pytest.raises(ReceiptBroken, match="empty"):
            Receipt.read(io.BytesIO())

    def test_it_is_saved_for_its_owner_alone(self, path: Path, tmp_path: Path) -> None:
        Receipt.load(path).save(tmp_path / "copies" / "receipt.jsonl")
        copy = tmp_path / "copies" / "receipt.jsonl"
        assert copy.read_text() == text()
        assert copy.stat().st_mode & 0o777 == 0o600


class TestChangedLater:
    """What was checked is what is read, or there is an error."""

    @pytest.mark.parametrize(
        "later",
        [
            text(reason="another"),
            "".join(text().splitlines(keepends=True)[:-1]),
            text().replace("present", "absent!"),
            text() + text(),
            "{}\n" * 18,
            "[]\n" * 18,
            "nonsense",
            "",
        ],
    )
    def test_a_file_that_was_changed_since_is_noticed(self, path: Path, later: str) -> None:
        receipt = Receipt.load(path)
        path.write_text(later)
        reads: list[Callable[[], object]] = [
            lambda: list(receipt.lines),
            lambda: list(receipt.of("result")),
            lambda: receipt.text,
            lambda: receipt.find([JANE], KEY),
            lambda: receipt.uncovered([JANE], KEY),
            lambda: receipt.save(path.with_name("copy")),
        ]
        for read in reads:
            with pytest.raises(ReceiptBroken):
                read()
        assert not path.with_name("copy").exists()

    def test_a_file_that_changes_while_it_is_checked_is_noticed(self) -> None:
        contents = iter([text().encode(), b"", *[text(reason="x").replace("person", "nobody").encode()] * 9])
        with pytest.raises(ReceiptBroken):
            Receipt.check(lambda: iter([next(contents)]))

    def test_the_person_in_the_first_and_the_last_line_is_not_read_again(self, path: Path) -> None:
        receipt = Receipt.load(path)
        path.unlink()
        assert (receipt.run, receipt.state, receipt.absent, receipt.complete) == ("erase-1", "incomplete", 3, False)
        assert receipt.sealed_by(KEY)


class TestOrder:
    def broken(self, change: Callable[[list[dict[str, Any]]], None]) -> str:
        lines = [dict(event) for event in events()]
        change(lines)
        with pytest.raises(ReceiptBroken) as caught:
            Receipt.parse("".join(write(lines, KEY)))
        return caught.value.reason

    def test_results_follow_the_order_of_the_people(self) -> None:
        def change(lines: list[dict[str, Any]]) -> None:
            lines[13], lines[14] = lines[14], lines[13]

        assert self.broken(change) == "it is a second result for this person and account, or not in order"

    def test_accounts_may_alternate(self) -> None:
        lines = list(events())
        lines[14], lines[15] = lines[15], lines[14]
        assert Receipt.parse("".join(write(lines, KEY))).absent == 3

    def test_people_are_numbered(self) -> None:
        def change(lines: list[dict[str, Any]]) -> None:
            lines[3], lines[4] = lines[4], lines[3]

        assert self.broken(change) == "its people are not numbered from 1, in order"


class TestGoal:
    def receipt(self, goal: object, state: str) -> Receipt:
        lines = list(events(state="done"))
        for line in lines:
            if line["type"] == "run":
                line["goal"] = goal
            if line["type"] == "result":
                line["state"] = state
                line["identifiers"] = [{**item, "state": state} for item in line["identifiers"]]
        lines[-1] |= {"absent": 0, "present": 0, "unknown": 0, state: 4}
        return Receipt.parse("".join(write(lines, KEY)))

    @pytest.mark.parametrize("goal", ["absent", "present"])
    def test_a_run_is_done_when_everybody_reached_it(self, goal: str) -> None:
        receipt = self.receipt(goal, goal)
        assert (receipt.goal, receipt.complete) == (goal, True)
        for state in {"absent", "present", "unknown"} - {goal}:
            with pytest.raises(ReceiptBroken, match="says done"):
                self.receipt(goal, state)

    @pytest.mark.parametrize("goal", ["unknown", "", None, [], {}, 1])
    def test_there_are_two(self, goal: object) -> None:
        with pytest.raises(ReceiptBroken, match="goal"):
            self.receipt(goal, "absent")


def many(people: int) -> Iterator[dict[str, Any]]:
    first = next(events())
    yield first | {"people": people, "accounts": first["accounts"][:1]}
    for number in range(1, people + 1):
        item = {"kind": "email", "hash": KEY.digest(b"%d" % number)}
        yield {"type": "person", "person": number, "identifiers": [{**item, "asked": True}]}
    for number in range(1, people + 1):
        item = {"kind": "email", "hash": KEY.digest(b"%d" % number), "state": "absent", "reason": ""}
        about = {"person": number, "found": 1, "state": "absent", "reason": "gone", "identifiers": [item]}
        yield {"type": "result", "account": "marketing", **about}
    counts = {"absent": people, "present": 0, "unknown": 0}
    yield {"type": "end", "run": first["run"], "state": "done", "reason": "", "ended_at": AT, **counts}


def test_a_large_one_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    peaks, sizes = list[int](), list[int]()
    for people in (20, 20, 2000):  # the first warms up
        path = tmp_path / f"{people}.jsonl"
        tracemalloc.start()
        with path.open("w") as file:
            file.writelines(write(many(people), KEY))
        receipt = Receipt.load(path)
        assert receipt.complete
        assert receipt.find([JANE], KEY) == []
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        sizes.append(path.stat().st_size)
    assert sizes[-1] > 1_000_000
    assert peaks[-1] < peaks[-2] + 400_000


class TestResults:
    """The results of an account come in pages, which may be written again after a crash."""

    def result(self, number: int, state: str = "absent") -> dict[str, Any]:
        return {"person": number, "state": state}

    def test_only_those_of_the_latest_round_that_ended_count(self) -> None:
        journal = Journal(locate_storage())
        assert journal.results("run-1", "crm") is None
        every = [self.result(n) for n in range(2 * RESULTS_PER_EVENT + 1)]

        def cut_off() -> Iterator[dict[str, Any]]:
            yield from every
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            journal.note_results("run-1", "crm", 1, cut_off())
        assert journal.results("run-1", "crm") is None
        assert journal.ended_accounts("run-1", 1) == {}
        journal.note_results("run-1", "crm", 1, every)
        journal.note_results("run-1", "other", 1, [self.result(1, "present"), self.result(2)])
        assert list(journal.results("run-1", "crm") or ()) == every
        assert journal.ended_accounts("run-1", 1) == {
            "crm": {"absent": len(every)},
            "other": {"present": 1, "absent": 1},
        }
        assert journal.ended_accounts("run-1", 2) == {}
        journal.note_results("run-1", "crm", 2, [self.result(1)])
        assert list(journal.results("run-1", "crm") or ()) == [self.result(1)]
