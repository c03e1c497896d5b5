"""Commands that read."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contacts_core import Contacts, FieldDefinition, FieldType
from contacts_core.cli import output
from contacts_core.cli.commands import read as reading
from contacts_core.cli.output import Exit
from contacts_core.errors import Unavailable
from tests.cli.fake_provider import Run, Vendor, person


def test_search_shows_whom_it_found_unmasked(run: Run, vendor: Vendor) -> None:
    done = run("search", "acme", "--last-name", "O'Brien", "--tag", "vip")
    assert done.code == Exit.DONE
    assert "0 contact(s)" in done.err
    done = run("search", "acme", "--last-name", "O'Brien", "--list", "l1")
    assert "person1@example.com" in done.out
    assert "badge: B5" in done.out
    assert "5 contact(s)" in done.err


def test_search_gives_json_lines_and_nothing_else_on_stdout(run: Run, vendor: Vendor) -> None:
    done = run("search", "acme", "--email", "Person3@Example.com", "--json")
    assert [line["id"] for line in done.lines] == ["id-3"]
    assert done.err == ""


@pytest.mark.parametrize(
    ("option", "value", "ids"),
    [
        ("--phone", "+1 (555) 010-0002", ["id-2"]),
        ("--first-name", "First4", ["id-4"]),
        ("--external-id", "x", []),
        ("--anonymous-id", "x", []),
        ("--updated-since", "2025-01-31", ["id-5"]),
        ("--updated-since", "2025-02-01T01:00:00+01:00", ["id-5"]),
        ("--updated-since", "2025-02-02", []),
        ("--native", "anything", ["id-1", "id-2", "id-3", "id-4", "id-5"]),
    ],
)
def test_each_condition(option: str, value: str, ids: list[str], run: Run, vendor: Vendor) -> None:
    from datetime import UTC, datetime

    vendor.people["id-5"] = person(5, updated_at=datetime(2025, 2, 1, tzinfo=UTC))
    assert [line["id"] for line in run("search", "acme", option, value, "--json").lines] == ids


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("score=10", 10),
        ("score=1.5", 1.5),
        ("vip=true", True),
        ("since=2025-01-31", "2025-01-31"),
        ("zip=10115", "10115"),
    ],
)
def test_a_custom_field_is_compared_in_its_own_type(condition: str, value: object, run: Run, vendor: Vendor) -> None:
    vendor.people = {"id-1": person(1, custom={condition.partition("=")[0]: value}), "id-2": person(2)}
    assert [line["id"] for line in run("search", "acme", "--custom", condition, "--json").lines] == ["id-1"]


def test_a_custom_field_that_does_not_exist_is_mentioned(run: Run, vendor: Vendor) -> None:
    done = run("search", "acme", "--custom", "scroe=10", "--json")
    assert "there is no custom field named scroe" in json.loads(done.err)["warnings"][0]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--custom", "score"),
        ("--custom", "score=ten"),
        ("--custom", "vip=perhaps"),
        ("--updated-since", "yesterday"),
        ("--limit", "0"),
        ("--email", "a@example.com", "--set", "region"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(arguments: tuple[str, ...], run: Run, vendor: Vendor) -> None:
    done = run("search", "acme", *arguments)
    assert done.code == Exit.USAGE
    assert done.out == ""
    assert "page 0" not in vendor.calls


def test_a_sample_is_shown_and_called_partial(run: Run, vendor: Vendor) -> None:
    vendor.shows = 2
    done = run("search", "acme", "--last-name", "O'Brien", "--json")
    assert done.code == Exit.PARTIAL
    assert [line["id"] for line in done.lines] == ["id-1", "id-2"]
    assert done.error["type"] == "IncompleteSearch"
    assert (done.error["total"], done.error["exit_code"]) == (5, 3)
    assert "--scan" in done.error["hint"]
    done = run("search", "acme", "--last-name", "O'Brien")
    assert done.code == Exit.PARTIAL
    assert "id-2" in done.out
    assert "showed 2 of 5" in done.err
    assert len(run("search", "acme", "--last-name", "O'Brien", "--scan", "--json").lines) == 5


def test_a_limit_says_that_there_is_more(run: Run, vendor: Vendor) -> None:
    done = run("search", "acme", "--first-name", "First1", "--limit", 1)
    assert "there are more" not in done.err
    done = run("search", "acme", "--list", "l1", "--limit", 2, "--json")
    assert len(done.lines) == 2
    assert "stopped after 2; there are more" in done.err
    assert done.code == Exit.DONE
    assert "there are more: --limit" in run("search", "acme", "--list", "l1", "--limit", 2).err


def test_explain_searches_nothing(run: Run, vendor: Vendor) -> None:
    done = run("search", "acme", "--last-name", "O'Brien", "--explain")
    assert done.out.startswith("native, 1 request(s): ")
    assert "last = " in done.out
    done = run("search", "acme", "--first-name", "x", "--explain", "--json")
    assert (done.json["strategy"], done.json["requests"]) == ("scan", 1)
    done = run("search", "bare", "--first-name", "x", "--explain")
    assert "an unknown number of requests" in done.out
    assert not {"search", "page 0"} & set(vendor.calls)


def test_find(run: Run, vendor: Vendor) -> None:
    done = run(
        "find", "acme", "--email", "PERSON1@example.com", "--email", "nobody@example.com", "--phone", "+15550100002"
    )
    assert done.code == Exit.PARTIAL
    assert "id-1" in done.out
    assert "id-2" in done.out
    assert "(no contact)" in done.out
    assert done.err == "no contact has email:n***@example.com\n"
    assert run("find", "acme", "--email", "person1@example.com").code == Exit.DONE
    done = run("find", "acme", "--email", "nobody@example.com", "--json")
    assert done.code == Exit.PARTIAL
    assert (done.json["asked"], done.json["found"]) == (1, 0)
    assert run("find", "acme").code == Exit.USAGE
    assert run("find", "acme", "--email", " ").code == Exit.USAGE


def test_get(run: Run, vendor: Vendor) -> None:
    from contacts_core.models import Address

    vendor.people["id-1"] = person(1, address=Address("Main St 1", city="X"), custom={"score": 1}, extra={"odd": [1]})
    done = run("get", "acme", "id-1", "id-9")
    assert done.code == Exit.DONE
    assert "Main St 1, X" in done.out
    assert "custom: score" in done.out
    assert "extra: odd" in done.out
    assert "id-9: there is no such contact" in done.out
    done = run("get", "acme", "id-1", "id-9", "--json")
    assert done.json["id-1"]["address"]["city"] == "X"
    assert done.json["id-9"] is None


def test_an_id_that_could_not_be_one_is_a_usage_error(run: Run, vendor: Vendor) -> None:
    done = run("get", "acme", "../../x")
    assert done.code == Exit.USAGE
    assert done.err.startswith("error: not sent")
    assert vendor.calls == []


def test_export_to_a_file(run: Run, vendor: Vendor, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    done = run("export", "acme", "--to", path, "--excel-safe")
    assert done.out == f"5 contacts written to {path}\n"
    with path.open(encoding="utf-8", newline="") as file:
        assert next(row["phone"] for row in csv.DictReader(file)) == "'+15550100001"
    done = run("export", "acme", "--to", tmp_path / "people.jsonl", "--list", "l1", "--json")
    assert done.json == {"file": str(tmp_path / "people.jsonl"), "contacts": 5}


def test_export_to_stdout(run: Run, vendor: Vendor) -> None:
    assert [line["id"] for line in run("export", "acme", "--json").lines] == [f"id-{n}" for n in range(1, 6)]


def test_a_broken_export_leaves_no_file(run: Run, vendor: Vendor, tmp_path: Path) -> None:
    vendor.errors["page 2"] = Unavailable("no", provider="acme", operation="GET /x", status=503, hint="wait a little")
    done = run("export", "acme", "--to", tmp_path / "people.csv")
    assert done.code == Exit.FAILED
    assert done.err == "error: acme GET /x [503]: no\nhint: wait a little\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [(), ("--json", "--excel-safe"), ("--to", "people.xlsx")])
def test_an_export_to_nowhere_is_a_usage_error(arguments: tuple[str, ...], run: Run, vendor: Vendor) -> None:
    assert run("export", "acme", *arguments).code == Exit.USAGE


def test_an_unwritable_place_is_one_line(run: Run, vendor: Vendor, tmp_path: Path) -> None:
    done = run("export", "acme", "--to", tmp_path / "no" / "people.csv")
    assert done.code == Exit.FAILED
    assert "No such file or directory" in done.err
    assert len(done.err.splitlines()) == 1


def test_count_lists_and_fields(run: Run, vendor: Vendor) -> None:
    assert run("count", "acme").out == "5 contacts (the vendor's own counter)\n"
    assert run("count", "acme", "--json").json == {"count": 5, "source": "counter"}
    done = run("lists", "acme")
    assert "News [bold]" in done.out  # no markup
    assert "\x1b" not in done.out  # nothing that steers a terminal
    assert run("lists", "acme", "--json").json[0]["id"] == "l1"
    assert "number" in run("fields", "acme").out
    assert run("fields", "acme", "--json").json[0]["type"] == "number"


def test_progress_moves_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, run: Run, vendor: Vendor) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with output.progress("reading") as far:
        far("5 contacts")
    assert "reading" in terminal.getvalue()
    monkeypatch.setattr(sys, "stderr", quiet := io.StringIO())
    with output.progress("reading") as far:
        far("5 contacts")
    assert quiet.getvalue() == ""


def test_long_reads_say_how_far_they_got(
    monkeypatch: pytest.MonkeyPatch, run: Run, vendor: Vendor, tmp_path: Path
) -> None:
    told: list[str] = []

    @contextmanager
    def progress(what: str) -> Iterator[Callable[[str], None]]:
        yield told.append

    monkeypatch.setattr(output, "progress", progress)
    monkeypatch.setattr(reading, "BEAT", 2)
    run("search", "acme", "--list", "l1")
    run("export", "acme", "--to", tmp_path / "people.csv")
    assert told == ["2 found", "4 found", "2 contacts", "4 contacts"]


def test_what_the_vendor_was_not_asked_and_what_it_answered_wrongly_are_told(
    run: Run, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contacts_core.models import Contact, Identifier
    from contacts_core.provider import Flow
    from tests.cli.fake_provider import Acme

    def cannot_find(_self: Acme, identifier: Identifier) -> str:
        return "numbers cannot be looked up" if identifier.kind.value == "phone" else ""

    def find(_self: Acme, _identifiers: object) -> Flow[list[tuple[Identifier, Contact]]]:
        yield from ()
        return [(Identifier.email("x@example.com"), person(1))]

    monkeypatch.setenv("COLUMNS", "200")  # narrow cells break where there is a blank
    monkeypatch.setattr(Acme, "cannot_find", cannot_find)
    done = run("find", "acme", "--email", "person1@example.com", "--phone", "+12025550123")
    assert done.code == Exit.PARTIAL
    assert "(not asked)" in done.out
    assert "was not looked up: numbers cannot be looked up" in done.err
    done = run("delete", "acme", "--phone", "+12025550123", "--yes")
    assert done.code == Exit.PARTIAL
    assert "not looked up: numbers cannot be looked up" in done.out
    monkeypatch.setattr(Acme, "find", find)
    done = run("find", "acme", "--email", "x@example.com")
    assert done.code == Exit.PARTIAL
    assert "Acme Mail answered to email:x***@example.com with 1 contact(s) without it" in done.err
    assert "(not known)" in done.out
    assert run("delete", "acme", "--email", "x@example.com", "--yes").code == Exit.PARTIAL
    assert len(vendor.people) == 5


def test_lists_go_by_name_and_an_unknown_one_is_an_error(run: Run, vendor: Vendor) -> None:
    name = "News [bold]"
    assert len(run("search", "acme", "--list", name, "--json").lines) == 5
    assert len(run("export", "acme", "--list", name, "--json").lines) == 5
    for command in (
        ("search", "acme", "--list", "Nwes"),
        ("export", "acme", "--list", "Nwes", "--json"),
        ("remove-from-list", "acme", "Nwes", "id-1", "--yes"),
        ("add-to-list", "acme", "Nwes", "id-1"),
        ("delete-list", "acme", "Nwes", "--yes"),
    ):
        done = run(*command)
        assert (done.code, done.out) == (Exit.USAGE, "")
        assert "there is no list" in done.err


def test_a_custom_field_that_holds_another_field_is_shown_and_searched_as_such(
    run: Run, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = FieldDefinition("acme", "f1", "town", FieldType.TEXT, contact_field="address.city")
    monkeypatch.setattr(Contacts, "custom_fields", lambda _: [town])
    assert "holds address.city" in run("fields", "acme").out
    assert run("fields", "acme", "--json").json[0]["contact_field"] == "address.city"
    done = run("search", "acme", "--where", "custom.town=X", "--scan")
    assert "contacts have custom.town as address.city" in done.err
