"""What every command does with its command line: several values, a value given twice, and values that are no good."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

from contacts_core.cli.app import app
from contacts_core.cli.options import split
from contacts_core.cli.output import Exit
from tests.cli.fake_provider import Run, Vendor

SEVERAL = {
    "--accept-loss",
    "--accounts",
    "--anonymous-id",
    "--clear",
    "--email",
    "--external-id",
    "--faults",
    "--fields",
    "--has",
    "--id",
    "--lacks",
    "--list",
    "--phone",
    "--sort",
    "--tag",
}
PAIRS = {"--field", "--set", "--param", "--custom", "--where"}
SINGLE = {
    "--consent-in",
    "--diff",
    "--evidence",
    "--ids",
    "--map",
    "--only",
    "--suggest-map",
    "--unsubscribed",
    "--channel",
    "--confirm",
    "--contacts",
    "--created-before",
    "--created-since",
    "--data",
    "--first-name",
    "--follow",
    "--from-file",
    "--last-name",
    "--latency",
    "--limit",
    "--max-contacts",
    "--max-share",
    "--native",
    "--port",
    "--public-key",
    "--reason",
    "--receipt",
    "--scope",
    "--seed",
    "--speed",
    "--storage",
    "--timeout",
    "--title",
    "--to",
    "--type",
    "--updated-before",
    "--updated-since",
}
ONE_IDENTIFIER = {"--email", "--phone", "--external-id", "--anonymous-id"}  # of commands that take one only


def walked() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command, and the groups that have options of their own."""

    def below(names: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
        yield names, command
        for name, child in getattr(command, "commands", {}).items():
            yield from below((*names, name), child)

    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        yield from below((name,), command)


COMMANDS = list(walked())
OPTIONS = [
    (names, command, param)
    for names, command in COMMANDS
    for param in command.params
    if param.param_type_name == "option" and not param.is_flag
]


def named(case: tuple[tuple[str, ...], Any, Any]) -> str:
    return " ".join([*case[0], case[2].opts[-1]])


def is_several(names: tuple[str, ...], option: str) -> bool:
    if names == ("consent", "lift") and option == "--reason":
        return True
    return option in SEVERAL and not (names in {("search",), ("remove-identifier",)} and option in ONE_IDENTIFIER)


def parsed(command: Any, names: tuple[str, ...], option: str, *values: str) -> Any:
    """What a command would be called with, whatever else it needs."""
    for param in command.params:
        param.required = False
    arguments = [text for value in values for text in (option, value)]
    with command.make_context(names[-1], arguments) as context:
        return context.params


@pytest.mark.parametrize("case", OPTIONS, ids=map(named, OPTIONS))
def test_every_option_takes_several_values_or_is_given_once(case: tuple[tuple[str, ...], Any, Any]) -> None:
    names, command, param = case
    option = param.opts[-1]
    if is_several(names, option):
        assert param.multiple
        assert parsed(command, names, option, "a1", "b2, c3", "a1")[param.name] == ["a1", "b2", "c3"]
    elif option in PAIRS:
        assert param.multiple
        assert parsed(command, names, option, "a=1,2", "b=3")[param.name] == ["a=1,2", "b=3"]
    else:
        assert option in SINGLE | ONE_IDENTIFIER
        assert not param.multiple
        with pytest.raises(typer.BadParameter, match=f"{option} is given 2 times"):
            parsed(command, names, option, "1", "2")


@pytest.mark.parametrize("case", OPTIONS, ids=map(named, OPTIONS))
def test_no_option_may_be_blank(case: tuple[tuple[str, ...], Any, Any]) -> None:
    names, command, param = case
    blanks = contextlib.nullcontext() if param.name == "confirm" else pytest.raises(typer.BadParameter, match="blank")
    for blank in ("", " ", "\t"):
        with blanks:
            parsed(command, names, param.opts[-1], blank)


@pytest.mark.parametrize("case", OPTIONS, ids=map(named, OPTIONS))
def test_no_option_may_hold_bytes_that_are_not_text(case: tuple[tuple[str, ...], Any, Any]) -> None:
    names, command, param = case
    with pytest.raises(typer.BadParameter, match="not valid"):
        parsed(command, names, param.opts[-1], os.fsdecode(b"a\xff"))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a", ["a"]),
        ("a@example.com,b@example.com", ["a@example.com", "b@example.com"]),
        (" a , b ", ["a", "b"]),
        ('"News, weekly",Fair', ["News, weekly", "Fair"]),
        ('"a,b"@example.com,c@example.com', ['"a,b"@example.com', "c@example.com"]),
        ('"say \\"hi, you\\""', ['say "hi, you"']),
        ('5" pipes,6" pipes', ['5" pipes', '6" pipes']),
        ('"Doe, Jane" <jane@example.com>', ['"Doe, Jane" <jane@example.com>']),
    ],
)
def test_values_are_split_at_commas_outside_quotes(text: str, values: list[str]) -> None:
    assert split(text) == values


@pytest.mark.parametrize("text", [",", "a,", ",a", "a,,b", '"', '"a,b', '""', "a, ,b"])
def test_a_blank_value_or_an_open_quote_is_refused(text: str, run: Run, vendor: Vendor) -> None:
    with pytest.raises(ValueError, match=r"blank|not closed"):
        split(text)
    done = run("find", "acme", "--email", text)
    assert done.code == Exit.USAGE
    assert vendor.calls == []


def test_a_search_compares_one_address_and_refuses_two(run: Run, vendor: Vendor) -> None:
    done = run("search", "acme", "--email", "person1@example.com,person2@example.com")
    assert done.code == Exit.USAGE
    assert "one value" in done.err
    assert vendor.calls == []


@pytest.mark.parametrize("option", ["--set", "--custom"])
def test_a_name_is_given_one_value(option: str, run: Run, vendor: Vendor) -> None:
    done = run("search", "acme", "--last-name", "x", option, "region=a", option, "region=b")
    assert done.code == Exit.USAGE
    assert "region=… is given twice" in done.err


def test_contradictory_flags_are_refused_and_the_same_flag_twice_is_not(run: Run, vendor: Vendor) -> None:
    assert run("delete", "acme", "id-1", "--yes", "--wait", "--no-wait").code == Exit.USAGE
    assert vendor.calls == []
    assert run("delete", "acme", "id-1", "--yes", "--yes").code == Exit.DONE


def test_an_option_before_a_command_below_runs_is_not_lost(run: Run) -> None:
    done = run("runs", "--storage", "elsewhere", "show", "x")
    assert done.code == Exit.USAGE
    assert "give --storage behind show" in done.err


@pytest.mark.parametrize("section", ["runs", "accounts"])
def test_quiet_may_be_said_anywhere(section: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path))
    monkeypatch.setenv("CONTACTS_FILE", str(tmp_path / "contacts.toml"))
    (tmp_path / "contacts.toml").touch()
    for said in (("-q", section), (section, "-q")):
        done = run(*said)
        assert (done.code, done.err) == (Exit.DONE, "")


@pytest.mark.parametrize(
    "command",
    [
        ("delete", "acme", "jane@example.com", "--yes"),
        ("get", "acme", "id-1", "jane@example.com"),
        ("remove-identifier", "acme", "jane@example.com", "--email", "jane@example.com", "--yes"),
        ("remove-from-list", "acme", "l1", "jane@example.com", "--yes"),
        ("add-to-list", "acme", "l1", "jane@example.com"),
    ],
)
def test_an_address_passed_as_an_id_is_refused_with_a_hint(command: tuple[str, ...], run: Run, vendor: Vendor) -> None:
    done = run(*command)
    assert done.code == Exit.USAGE
    assert "--email" in done.err
    assert "jane@" not in done.err
    assert vendor.calls == []


def test_a_number_of_an_id_that_could_not_be_one_stops_the_whole_deletion(run: Run, vendor: Vendor) -> None:
    assert run("delete", "acme", "id-1", "../x", "--yes").code == Exit.USAGE
    assert vendor.calls == []


NUMBERS = ["nan", "inf", "-inf", "1e999", "-1", "1_0", "\uff11\uff12", "0x10", "1,5", "9" * 25, "x", "1 0", "+"]
NUMERIC = [
    ("search", "acme", "--list", "l1", "--limit"),
    ("delete", "acme", "id-1", "--yes", "--timeout"),
    ("job", "queue", "j1", "--timeout"),
    ("apply", "plan.jsonl", "--timeout"),
    ("plan", "erase", "--accounts", "acme", "--email", "a@example.com", "--max-contacts"),
    ("plan", "erase", "--accounts", "acme", "--email", "a@example.com", "--max-share"),
    ("sandbox", "--port"),
    ("sandbox", "--contacts"),
    ("sandbox", "--speed"),
    ("sandbox", "--latency"),
    ("demo", "--contacts"),
]


@pytest.mark.parametrize("command", NUMERIC, ids=lambda c: f"{c[0]} {c[-1]}")
def test_an_odd_number_is_a_usage_error(
    command: tuple[str, ...], run: Run, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plan.jsonl").write_text("{}")
    for number in NUMBERS:
        done = run(*command, number)
        assert done.code == Exit.USAGE, (number, done.err)
        assert "should not happen" not in done.err
    assert vendor.calls == []


@pytest.mark.parametrize("number", ["nan", "inf", "1e999", "1_0", "\uff11\uff12", "9" * 400])
def test_an_odd_number_of_a_custom_field_is_a_usage_error(number: str, run: Run, vendor: Vendor) -> None:
    assert run("search", "acme", "--custom", f"score={number}").code == Exit.USAGE


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00", "\u0662\u0660\u0662\u0665-01-01", "10000-01-01"]
)
def test_an_odd_time_is_a_usage_error(time: str, run: Run, vendor: Vendor) -> None:
    for arguments in (("--updated-since", time), ("--custom", f"since={time}")):
        done = run("search", "acme", *arguments)
        assert (done.code, "is not a time" in done.err) == (Exit.USAGE, True)


READS = [
    ("delete", "acme", "--yes", "--from-file"),
    ("upsert", "acme", "--from-file"),
    ("plan", "erase", "--accounts", "acme", "--from-file"),
    ("plan", "delete", "acme", "--from-file"),
    ("plan", "remove-from-list", "acme", "l1", "--from-file"),
    ("plan", "show"),
    ("apply",),
    ("receipt", "verify"),
    ("receipt", "find", "--email", "a@example.com"),
    ("receipt", "report", "--to", "report.html"),
]


@pytest.fixture
def odd_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    monkeypatch.chdir(tmp_path)
    contents = {
        "empty": b"",
        "blank": b"\n \n\t\n",
        "binary": bytes(range(256)) * 40,
        "latin-1": "email\nj\xf6rg@example.com\n".encode("latin-1"),
        "utf-16": "email\nanna@example.com\n".encode("utf-16"),
        "nul": b"email\na\0b@example.com\n",
        "deep": b"[" * 100_000 + b"]" * 100_000 + b"\n",
        "deep-object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"\n",
        "number": b'{"format": ' + b"9" * 5000 + b"}\n",
        "list": b"[]\n",
        "text": b'"x"\n',
        "half": b'{"format": 1, "checksum": "\\ud800"}\n',
    }
    found = {}
    for name, content in contents.items():
        found[name] = tmp_path / f"odd-{name}"
        found[name].write_bytes(content)
    found["folder"] = tmp_path / "folder"
    found["folder"].mkdir()
    found["device"] = Path("/dev/zero")
    found["nothing"] = Path("/dev/null")
    found["missing"] = tmp_path / "missing"
    found["below a file"] = found["empty"] / "x"
    return found


@pytest.mark.parametrize("command", READS, ids=lambda c: " ".join(c[:2]))
def test_an_odd_file_is_a_clear_error(
    command: tuple[str, ...], run: Run, vendor: Vendor, odd_files: dict[str, Path]
) -> None:
    for name, path in odd_files.items():
        done = run(*command, path)
        assert done.code in {Exit.USAGE, Exit.FAILED, Exit.REFUSED}, (name, done.out, done.err)
        assert "should not happen" not in done.err, (name, done.err)
        reads_people = command[0] in {"delete", "upsert", "plan"} and command[1] != "show"
        if reads_people or name in {"folder", "device", "nothing", "missing"}:
            assert done.code == Exit.USAGE, (name, done.err)
    assert not [call for call in vendor.calls if call != "lists"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
@pytest.mark.parametrize("command", READS, ids=lambda c: " ".join(c[:2]))
def test_a_file_that_may_not_be_read_is_a_usage_error(
    command: tuple[str, ...], run: Run, vendor: Vendor, odd_files: dict[str, Path]
) -> None:
    odd_files["list"].chmod(0)
    assert run(*command, odd_files["list"]).code == Exit.USAGE


@pytest.mark.parametrize("data", ["{", "[" * 100_000, "@missing", "@folder", "@/dev/zero", "@odd-binary", "@odd-deep"])
def test_an_odd_body_is_a_usage_error(data: str, run: Run, vendor: Vendor, odd_files: dict[str, Path]) -> None:
    done = run("request", "acme", "POST", "/x", "--yes", "--data", data)
    assert (done.code, "should not happen" in done.err) == (Exit.USAGE, False)


WRITES = [
    ("export", "acme", "--to"),
    ("plan", "erase", "--accounts", "acme", "--email", "person1@example.com", "--to"),
]


@pytest.mark.parametrize("command", WRITES, ids=lambda c: c[0])
def test_an_odd_place_to_write_is_a_clear_error(
    command: tuple[str, ...], run: Run, vendor: Vendor, odd_files: dict[str, Path]
) -> None:
    before = Path("/dev/null").stat()
    for place in ("-", "folder", "odd-empty/x.csv", "missing/x.csv" if command[0] == "export" else "folder"):
        done = run(*command, place)
        assert done.code in {Exit.USAGE, Exit.FAILED}, (place, done.err)
        assert "should not happen" not in done.err, (place, done.err)
    if command[0] == "export":
        assert run(*command, "/dev/null").code == Exit.USAGE
    after = Path("/dev/null").stat()
    assert stat.S_ISCHR(after.st_mode)
    assert (before.st_mode, before.st_ino) == (after.st_mode, after.st_ino)


STATES = [
    ("runs",),
    ("runs", "show", "x"),
    ("runs", "cancel", "x"),
    ("tombstones", "count"),
    ("upsert", "acme", "--from-file", "people.jsonl"),
]


@pytest.mark.parametrize("command", STATES, ids=lambda c: " ".join(c[:2]))
def test_an_odd_state_is_a_clear_error(
    command: tuple[str, ...], run: Run, vendor: Vendor, odd_files: dict[str, Path]
) -> None:
    Path("people.jsonl").write_text(json.dumps({"identifiers": [{"kind": "email", "value": "a@example.com"}]}) + "\n")
    broken = Path("broken")
    broken.mkdir(mode=0o700)
    (broken / "contacts.sqlite").write_bytes(b"this is not a database " * 100)
    for place in ("odd-empty", "/dev/null", "mysql://x/y", "env:NOT_THERE", broken, ""):
        done = run(*command, "--storage", place)
        assert "should not happen" not in done.err, (place, done.err)
        if place in {"mysql://x/y", "env:NOT_THERE", "", broken}:
            assert done.code in {Exit.USAGE, Exit.FAILED}, (place, done.out, done.err)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[accounts", b"accounts = 3\n", b"[accounts]\nacme = 3\n"])
def test_an_odd_accounts_file_is_a_clear_error(
    content: bytes, run: Run, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "contacts.toml").write_bytes(content)
    monkeypatch.setenv("CONTACTS_FILE", str(tmp_path / "contacts.toml"))
    for command in (("count", "acme"), ("accounts",)):
        assert "should not happen" not in run(*command).err
