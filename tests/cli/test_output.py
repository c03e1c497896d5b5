"""How results, questions and messages are printed: on a terminal, in a pipe, and for programs."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from attrs import evolve

from contacts_core import Identifier
from contacts_core.cli import output, prompts
from contacts_core.cli.app import app
from contacts_core.cli.output import Exit
from contacts_core.errors import Unreachable
from contacts_core.models import Contact
from contacts_core.provider import Flow
from tests.cli import fake_provider
from tests.cli.fake_provider import Run, Vendor, person

WIDTHS = range(60, 146, 5)
ID = "0a80061e-6d36-4b92-b781-eca274c050e7"
ADDRESS = "maximiliane.mustermann+newsletter@subdomain.example.com"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let stdout be a terminal of this width."""

    def make(width: int) -> None:
        monkeypatch.setattr(output, "is_terminal", lambda _stream: True)
        monkeypatch.setattr(output, "shows_progress", lambda: False)
        monkeypatch.setenv("COLUMNS", str(width))

    return make


@pytest.fixture
def long_names(vendor: Vendor) -> Vendor:
    identifiers = (Identifier.email(ADDRESS), Identifier.phone("+12025550143"), Identifier.other("badge", "B-17"))
    vendor.people = {ID: person(1, id=ID, identifiers=identifiers, first_name="Maximiliane", last_name="Mustermann")}
    return vendor


READ = [
    ("search", "acme", "--list", "l1"),
    ("search", "acme", "--list", "l1", "--fields", "id,email,phone,lists,created_at"),
    ("find", "acme", "--email", ADDRESS),
    ("get", "acme", ID),
    ("plan", "erase", "--email", ADDRESS, "--accounts", "acme", "--max-share", "100%", "--to", "plan.jsonl"),
]


@pytest.mark.parametrize("command", READ, ids=lambda c: " ".join(c[:2]))
@pytest.mark.parametrize("width", WIDTHS)
def test_ids_and_addresses_are_never_broken(
    width: int,
    command: tuple[str, ...],
    run: Run,
    long_names: Vendor,
    terminal: Callable[[int], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    terminal(width)
    shown = run(*command).out
    assert ID in shown
    if command[0] != "plan":  # which masks it
        assert ADDRESS in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_the_question_shows_whole_identifiers_at_any_width(
    width: int,
    run: Run,
    long_names: Vendor,
    terminal: Callable[[int], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "storage"))
    terminal(width)
    done = run("erase", "--email", ADDRESS, "--accounts", "acme", "--max-share", "100%", types="n\n")
    assert done.code == Exit.REFUSED
    assert f"email:{ADDRESS}" in done.err
    assert ID in done.err


@pytest.mark.parametrize("width", WIDTHS)
def test_a_cell_of_few_words_is_never_broken(
    width: int, run: Run, vendor: Vendor, terminal: Callable[[int], None]
) -> None:
    terminal(width)
    done = run("find", "acme", "--phone", "12", "--email", "nobody@example.com")
    assert "(no contact)" in done.out
    made = output.table("asked for", "id", "because")
    output.rows(made, [["+12025550143", "(not asked)", "the vendor does not know this kind of identifier " * 3]])
    assert "(not asked)" in drawn(made)


def drawn(made: output.Table) -> str:
    target = io.StringIO()
    console = output.console()
    console.file = target
    output._draw(made, console)
    return target.getvalue()


def test_no_line_of_a_table_is_wider_than_the_terminal(terminal: Callable[[int], None]) -> None:
    for width in WIDTHS:
        terminal(width)
        made = output.table("id", "name", "remarks", title="A title")
        output.rows(made, [[ID, "Jane Miller", "some words " * 20], ["1", ["two", "lines"], None]])
        lines = drawn(made).splitlines()
        assert max(map(len, lines)) <= width
        assert "A title" in lines[0]


def test_a_table_that_does_not_fit_becomes_blocks_of_lines(terminal: Callable[[int], None]) -> None:
    terminal(60)
    made = output.table("id", "email", "phone")
    output.rows(made, [[ID, [ADDRESS, "x@example.com"], None], ["2", "y@example.com", "+12025550143"]])
    assert [line.rstrip() for line in drawn(made).splitlines()] == [
        f"id     {ID}",
        f"email  {ADDRESS}",
        "       x@example.com",
        "",
        "id     2",
        "email  y@example.com",
        "phone  +12025550143",
        "",
    ]


def test_in_a_pipe_rows_are_separated_by_tabs_and_have_no_header(run: Run, vendor: Vendor) -> None:
    done = run("search", "acme", "--first-name", "First1")
    assert done.out == "id-1\tFirst1 O'Brien\tperson1@example.com\t+15550100001\tbadge: B1\n"
    assert run("runs").out == ""
    assert run("lists", "acme").out.startswith("l1\tNews [bold]\t\tall")


def test_fields_are_chosen_in_every_format(run: Run, vendor: Vendor) -> None:
    vendor.people = {
        "id-1": person(1, custom={"score": 3}, tags=("a", "b")),
        "id-2": person(2, custom={"score": 10}, extra={"note": 'say "x"'}),
    }
    chosen = ("search", "acme", "--list", "l1", "--fields", "id,emails,custom.score,tags,extra.note")
    assert run(*chosen).out == 'id-1\tperson1@example.com\t3\ta, b\t\nid-2\tperson2@example.com\t10\t\tsay "x"\n'
    assert run(*chosen, "--json").lines == [
        {"id": "id-1", "emails": ["person1@example.com"], "custom.score": 3, "tags": ["a", "b"], "extra.note": None},
        {"id": "id-2", "emails": ["person2@example.com"], "custom.score": 10, "tags": [], "extra.note": 'say "x"'},
    ]
    rows = list(csv.DictReader(io.StringIO(run(*chosen, "--csv").out)))
    assert [row["custom.score"] for row in rows] == ["3", "10"]
    assert (rows[0]["tags"], rows[1]["extra.note"]) == ("a;b", 'say "x"')


def test_csv_on_stdout_is_what_a_file_would_hold(run: Run, vendor: Vendor, tmp_path: Path) -> None:
    run("export", "acme", "--to", tmp_path / "people.csv")
    with (tmp_path / "people.csv").open(newline="") as file:
        assert run("export", "acme", "--csv").out.splitlines() == file.read().splitlines()
    found = run("search", "acme", "--list", "l1", "--csv").out
    assert found == run("export", "acme", "--csv").out
    assert run("export", "acme", "--csv", "--fields", "id").out.split() == ["id", *(f"id-{n}" for n in range(1, 6))]
    assert run("lists", "acme", "--csv").out.startswith("id,name,contacts,description")
    assert run("fields", "acme", "--csv").out.startswith("name,type,options,id,read_only")


def test_several_values_in_a_cell_of_csv_are_escaped_as_in_a_file(run: Run, vendor: Vendor) -> None:
    vendor.people = {"id-1": person(1, tags=("a;b", "c\\d", "e"))}
    chosen = csv.DictReader(io.StringIO(run("export", "acme", "--csv", "--fields", "id,tags").out))
    whole = csv.DictReader(io.StringIO(run("export", "acme", "--csv").out))
    assert next(chosen)["tags"] == next(whole)["tags"] == "a\\;b;c\\\\d;e"


@pytest.mark.parametrize("fields", [(), ("--fields", "id,first_name,tags,phone")])
@pytest.mark.parametrize("command", [("export", "acme"), ("search", "acme", "--list", "l1")])
def test_csv_on_stdout_can_be_made_safe_for_spreadsheets(
    command: tuple[str, ...], fields: tuple[str, ...], run: Run, vendor: Vendor
) -> None:
    vendor.people = {"id-1": person(1, first_name="=HYPERLINK(1)", tags=("a", "@b"))}
    asked = (*command, *fields, "--csv")
    raw = next(csv.DictReader(io.StringIO(run(*asked).out)))
    assert (raw["first_name"], raw["tags"]) == ("=HYPERLINK(1)", "a;@b")
    done = run(*asked, "--excel-safe")
    safe = next(csv.DictReader(io.StringIO(done.out)))
    assert (safe["id"], safe["first_name"], safe["tags"]) == ("id-1", "'=HYPERLINK(1)", "a;'@b")
    assert safe["phone"] == "'+15550100001"
    assert '"id-1"' in done.out  # every cell in quotes, as in a file


@pytest.mark.parametrize("command", ["lists", "fields"])
def test_lists_and_fields_can_be_made_safe_for_spreadsheets(
    command: str, run: Run, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contacts_core.client import Contacts
    from contacts_core.models import ContactList, FieldDefinition, FieldType

    monkeypatch.setattr(Contacts, "lists", lambda _self: [ContactList("acme", "l1", "=1+1")])
    monkeypatch.setattr(
        Contacts, "custom_fields", lambda _self: [FieldDefinition("acme", "f1", "=1+1", FieldType.TEXT)]
    )
    for more, name in (((), "=1+1"), (("--excel-safe",), "'=1+1")):
        (row,) = csv.DictReader(io.StringIO(run(command, "acme", "--csv", *more).out))
        assert row["name"] == name


@pytest.mark.parametrize("command", [("search", "acme", "--list", "l1"), ("lists", "acme"), ("fields", "acme")])
def test_only_csv_can_be_made_safe_for_spreadsheets(command: tuple[str, ...], run: Run, vendor: Vendor) -> None:
    for more in ((), ("--json",)):
        done = run(*command, *more, "--excel-safe")
        assert done.code == Exit.USAGE
        assert "--excel-safe is for CSV" in done.err
    assert vendor.calls == []


HALF = "\ud83d"  # half of a character, as vendors send it


@pytest.mark.parametrize(
    "command",
    [
        ("export", "acme", "--csv"),
        ("export", "acme", "--csv", "--fields", "id,first_name"),
        ("search", "acme", "--list", "l1", "--csv"),
    ],
    ids=" ".join,
)
def test_csv_on_stdout_holds_half_a_character_as_a_file_does(
    command: tuple[str, ...], run: Run, vendor: Vendor, tmp_path: Path
) -> None:
    vendor.people = {"id-1": person(1, first_name=f"a{HALF}"), "id-2": person(2)}
    run("export", "acme", "--to", tmp_path / "people.csv")
    assert "a\\ud83d" in (tmp_path / "people.csv").read_text("utf-8")
    done = run(*command)
    assert done.code == Exit.DONE, done.err
    assert "a\\ud83d" in done.out
    assert "id-2" in done.out


def test_csv_steers_no_terminal(run: Run, vendor: Vendor, terminal: Callable[[int], None]) -> None:
    vendor.people = {"id-1": person(1, first_name="\x1b[2Jx")}
    assert "\x1b[2J" in run("export", "acme", "--csv").out
    terminal(80)
    assert "\x1b[2J" not in run("export", "acme", "--csv").out


@pytest.mark.parametrize(
    ("sort", "ids"),
    [
        ("custom.score", ["id-3", "id-1", "id-2"]),
        ("-custom.score", ["id-1", "id-3", "id-2"]),
        ("first_name,-id", ["id-3", "id-1", "id-2"]),
        ("-id", ["id-3", "id-2", "id-1"]),
    ],
)
def test_rows_are_sorted_and_what_has_no_value_comes_last(sort: str, ids: list[str], run: Run, vendor: Vendor) -> None:
    vendor.people = {
        "id-1": person(1, custom={"score": 10}, first_name="Bo"),
        "id-2": person(2, first_name=None),
        "id-3": person(3, custom={"score": 9}, first_name="al"),
    }
    done = run("search", "acme", "--list", "l1", "--sort", sort, "--json")
    assert [line["id"] for line in done.lines] == ids
    done = run("search", "acme", "--list", "l1", "--sort", sort, "--limit", 1, "--json")
    assert [line["id"] for line in done.lines] == ids[:1]
    assert "there are more" in done.err


def test_the_first_of_a_sample_are_not_the_first_of_all(run: Run, vendor: Vendor) -> None:
    vendor.shows = 2
    done = run("search", "acme", "--last-name", "O'Brien", "--sort", "-id", "--limit", 1, "--json")
    assert (done.code, done.error["type"]) == (Exit.PARTIAL, "IncompleteSearch")


@pytest.mark.parametrize(
    "options",
    [("--fields", "nonsense"), ("--sort", "nonsense"), ("--csv", "--json"), ("--fields", "lists.x"), ("--sort", "id,")],
)
@pytest.mark.parametrize(
    "command",
    [
        ("search", "acme", "--tag", "x"),
        ("find", "acme", "--email", "person1@example.com"),
        ("lists", "acme"),
        ("fields", "acme"),
        ("accounts",),
        ("runs",),
    ],
    ids=lambda command: command[0],
)
def test_an_unknown_field_or_two_formats_are_usage_errors(
    command: tuple[str, ...], options: tuple[str, ...], run: Run, vendor: Vendor
) -> None:
    done = run(*command, *options)
    assert done.code == Exit.USAGE
    assert not vendor.calls


def test_lists_are_sorted_and_their_fields_chosen(run: Run, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    from contacts_core.models import ContactList, Page

    def lists_page(_self: object, _cursor: str | None) -> Flow[Page[ContactList]]:
        yield from ()
        return Page([ContactList("acme", "a", "x", 1), ContactList("acme", "b", "y", 2), ContactList("acme", "c", "z")])

    monkeypatch.setattr(fake_provider.Acme, "lists_page", lists_page)
    assert run("lists", "acme", "--sort", "-contacts", "--fields", "id").out.split() == ["b", "a", "c"]
    assert run("lists", "acme", "--sort", "-id", "--fields", "id,contacts", "--json").json[0] == {
        "id": "c",
        "contacts": None,
    }


def test_found_contacts_are_shown_as_a_search_shows_them(run: Run, vendor: Vendor) -> None:
    wanted = ("--email", "person1@example.com,person3@example.com", "--phone", "+15550100001")
    chosen = ("--fields", "id,email", "--sort", "-id")
    assert run("find", "acme", *wanted, *chosen).out == "id-3\tperson3@example.com\nid-1\tperson1@example.com\n"
    told = run("find", "acme", *wanted, *chosen, "--json").json
    assert told == [{"id": "id-3", "email": "person3@example.com"}, {"id": "id-1", "email": "person1@example.com"}]
    rows = list(csv.DictReader(io.StringIO(run("find", "acme", *wanted, "--csv").out)))
    searched = list(csv.DictReader(io.StringIO(run("search", "acme", "--list", "l1", "--csv").out)))
    assert rows == [row for row in searched if row["id"] in {"id-1", "id-3"}]
    missing = run("find", "acme", "--email", "nobody@example.com", "--csv")
    assert (missing.code, len(missing.out.splitlines())) == (Exit.PARTIAL, 1)
    assert "no contact has" in missing.err


ENDS = [
    ("search", "acme", "--custom", "scroe=10"),
    ("search", "acme", "--list", "l1", "--limit", "1"),
    ("search", "acme", "--nonsense"),
    ("count", "nobody"),
    ("delete", "acme", "id-1"),
    ("delete", "acme", "--email", "nobody@example.com", "--yes"),
    ("delete", "acme", "id-1", "--yes", "--set", "colour=red"),
    ("nonsense",),
    ("--nonsense",),
    ("plan", "nonsense"),
    ("get", "acme"),
    ("runs", "show", "nonsense"),
    ("job", "acme", "j1"),
    ("erase", "--email", "person1@example.com", "--accounts", "acme", "--dry-run", "--max-share", "100%"),
    ("plan", "erase", "--email", "nobody@example.com", "--accounts", "bare"),
    ("accounts", "add", "acme"),
]


@pytest.mark.parametrize("command", ENDS, ids=lambda c: " ".join(c[:2]))
def test_with_json_stderr_is_one_document_or_nothing(
    command: tuple[str, ...], run: Run, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "storage"))
    done = run(*command, "--json")
    told = json.loads(done.err)
    assert told.keys() <= {"notes", "warnings", "debug", "error"}
    if done.code not in {Exit.DONE, Exit.PARTIAL}:
        assert told["error"]["exit_code"] == done.code
        assert told["error"]["message"]


def test_debug_output_is_in_the_document_too(run: Run, vendor: Vendor) -> None:
    vendor.errors["count"] = ZeroDivisionError("x")
    done = run("count", "acme", "--json", "--debug")
    assert any("Traceback" in line for line in json.loads(done.err)["debug"])


def test_success_with_json_says_nothing_on_stderr(run: Run, vendor: Vendor) -> None:
    assert run("count", "acme", "--json").err == ""
    assert run("delete", "acme", "id-1", "--yes", "--json").err == ""


def test_quiet_keeps_notes_back_and_nothing_else(run: Run, vendor: Vendor) -> None:
    loud = run("search", "acme", "--first-name", "First1")
    assert loud.err == "1 contact(s)\n"
    for arguments in (
        ("-q", "search", "acme", "--first-name", "First1"),
        ("search", "acme", "--first-name", "First1", "--quiet"),
    ):
        quiet = run(*arguments)
        assert (quiet.out, quiet.err) == (loud.out, "")
    assert "warning: " in run("search", "acme", "--custom", "scroe=1", "-q").err
    assert "error: " in run("count", "nobody", "-q").err
    assert "about to delete" in run("delete", "acme", "id-1", "-q", types="n\n").err


def test_verbose_shows_requests_and_debug_tracebacks_as_well(
    run: Run, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    import logging

    from contacts_core.client import Contacts

    def count(_self: object) -> int:
        logging.getLogger("contacts_core.http").debug("GET /v3/contacts/count: 200")
        raise Unreachable("gone")

    monkeypatch.setattr(Contacts, "count", count)
    assert "GET" not in run("count", "acme").err
    for arguments in (("-v", "count", "acme"), ("count", "acme", "--verbose")):
        told = run(*arguments).err
        assert "GET /v3/contacts/count: 200" in told
        assert "Traceback" not in told
    assert "Traceback" in run("count", "acme", "--debug").err


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (("delete", "acme", "id-1"), "email:person1@example.com"),
        (("remove-identifier", "acme", "id-1", "--phone", "+1 (555) 010-0001"), "phone:+15550100001"),
        (("remove-from-list", "acme", "l1", "--email", "person1@example.com"), "email:person1@example.com"),
        (("tombstones", "lift", "--email", "person1@example.com"), "email:person1@example.com"),
        (("request", "acme", "DELETE", "/contacts/person1@example.com"), "/contacts/person1@example.com"),
        (("request", "acme", "DELETE", "/x", "--param", "mail=person1@example.com"), "mail=person1@example.com"),
        (("request", "acme", "POST", "/x", "--data", '{"a": ["person1@example.com"]}'), '"person1@example.com"'),
    ],
    ids=lambda c: c[0] if isinstance(c, tuple) else "",
)
def test_who_confirms_sees_whom_and_a_log_does_not(
    command: tuple[str, ...],
    shown: str,
    run: Run,
    vendor: Vendor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "storage"))
    asked = run(*command, types="n\n")
    assert asked.code == Exit.REFUSED
    assert shown in asked.err
    logged = run(*command)
    assert logged.code == Exit.REFUSED
    assert shown not in logged.err


def test_ctrl_c_at_the_question_changes_nothing_and_exits_130(
    run: Run, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object, **_options: object) -> bool:
        aborted = typer.Abort()
        aborted.__context__ = KeyboardInterrupt()  # as the library under Typer leaves it
        raise aborted

    monkeypatch.setattr(typer, "confirm", interrupted)
    done = run("delete", "acme", "id-1", types="")
    assert done.code == Exit.INTERRUPTED
    assert "interrupted; nothing was changed" in done.err
    assert "id-1" in vendor.people


def test_the_end_of_input_at_the_question_is_a_no(run: Run, vendor: Vendor) -> None:
    assert run("delete", "acme", "id-1", types="").code == Exit.REFUSED
    assert "id-1" in vendor.people


def test_a_long_change_says_how_far_it_got(run: Run, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections.abc import Iterator
    from contextlib import contextmanager

    from contacts_core.client import Contacts

    told: list[str] = []

    @contextmanager
    def progress(what: str) -> Iterator[Callable[[str], None]]:
        told.append(what)
        yield told.append

    class Answer:
        status_code = 200

    def delete(self: Contacts[fake_provider.Acme], ids: list[str]) -> object:
        for hook in hooks:
            hook(None, Answer())
            hook(None, Answer())
            hook(None, None)
        return self.run(self.provider.delete_contacts(ids))

    hooks: list[Callable[..., None]] = []

    def add(_self: object, hook: Callable[..., None]) -> Callable[[], None]:
        hooks.append(hook)
        return hooks.clear

    monkeypatch.setattr(Contacts, "add_event_hook", add)
    monkeypatch.setattr(Contacts, "delete_contacts", delete)
    monkeypatch.setattr(prompts, "progress", progress)
    done = run("delete", "acme", *(f"id-{n}" for n in range(1, 4)), "--yes")
    assert done.code == Exit.DONE
    assert told == ["deleting 3 contact(s)", "(2 of 3 answered)", "(3 of 3 answered)", "(3 of 3 answered)"]
    assert not hooks


def test_a_contact_without_address_has_empty_cells(run: Run, vendor: Vendor) -> None:
    vendor.people = {"id-1": evolve(Contact("acme", "id-1"), lists=("l1",))}
    assert run("search", "acme", "--list", "l1", "--fields", "id,city,email,phones").out == "id-1\t\t\t\n"


@pytest.mark.parametrize("types", ["n\n", None])
def test_a_raw_request_shows_its_parameters_and_its_body_before_it_is_sent(
    types: str | None, run: Run, vendor: Vendor, tmp_path: Path
) -> None:
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"delete": ["id-1", "Zoë\x1b[2J"], "really": True}), "utf-8")
    done = run(
        *("request", "acme", "DELETE", "/v1/contacts", "--param", "delete_all_contacts=true", "--param", "b=a b"),
        *("--data", f"@{body}"),
        types=types,
    )
    assert done.code == Exit.REFUSED
    assert "about to send DELETE /v1/contacts to acme (https://api.acme.example)" in done.err
    assert "  parameter delete_all_contacts=true\n  parameter b=a b\n" in done.err
    told = done.err.replace("\n", " ")
    assert all(text in told for text in ("  body: {", '"delete"', '"id-1"', "Zoë", '"really": true'))
    assert "\x1b" not in done.err


ERASE = ("erase", "--email", "person1@example.com", "--accounts", "acme", "--max-share", "100%", "--json")


@pytest.mark.parametrize("command", [ERASE, ("apply", "plan.jsonl", "--json")], ids=lambda command: command[0])
def test_an_erasure_prints_one_json_document_on_stderr(
    command: tuple[str, ...], run: Run, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "storage"))
    run("plan", *ERASE, "--to", "plan.jsonl")
    refused = run(*command)
    told = json.loads(refused.err)
    assert (refused.code, refused.out, told["error"]["exit_code"]) == (Exit.REFUSED, "", Exit.REFUSED)
    assert "about to erase 1 contact(s) in acme" in told["notes"]
    asked = run(*command, types="n\n")
    assert "email:person1@example.com" in asked.err  # whoever is asked sees what it is about
    done = run(*command, "--yes")
    assert (done.code, done.json["state"]) == (Exit.DONE, "done")
    assert json.loads(done.err).keys() == {"notes"}


# -- questions that nobody could see ---------------------------------------------------------------------------------


class Stream(io.StringIO):
    def __init__(self, text: str = "", *, terminal: bool) -> None:
        super().__init__(text)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(("typing", "seeing"), [(True, False), (False, True), (False, False)])
def test_without_a_terminal_on_stdin_and_stderr_nobody_is_asked_and_identifiers_are_masked(
    typing: bool, seeing: bool, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = Stream(terminal=seeing)
    monkeypatch.setattr(sys, "stdin", Stream("y\n", terminal=typing))
    monkeypatch.setattr(sys, "stderr", stderr)
    arguments = ["delete", "acme", "--email", "person1@example.com", "id-2"]
    with pytest.raises(SystemExit) as ended:
        app(arguments)
    told = stderr.getvalue()
    assert ended.value.code == Exit.REFUSED
    assert "there is no terminal to confirm it at" in " ".join(told.split())
    assert "Go on?" not in told
    assert "person1@example.com" not in told
    assert "person2@example.com" not in told
    assert "id-1" in vendor.people


def test_a_key_is_not_typed_where_the_question_cannot_be_seen(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTACTS_FILE", str(tmp_path / "contacts.toml"))
    stdin, stderr = Stream("sesame-1\n", terminal=True), Stream(terminal=False)
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys, "stderr", stderr)
    with pytest.raises(SystemExit) as ended:
        app(["accounts", "add", "news", "acme", "--keyring"])
    assert ended.value.code == Exit.USAGE
    assert "stderr is no terminal" in stderr.getvalue()
    assert stdin.tell() == 0  # a key read here would be shown on the terminal
    assert not (tmp_path / "contacts.toml").exists()
