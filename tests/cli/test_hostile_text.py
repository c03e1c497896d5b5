"""Text that vendors, plugins and files wrote never acts on the terminal, whichever command prints it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from contacts_core import Identifier
from contacts_core.cli import formatting as wording
from contacts_core.cli import output
from contacts_core.errors import Rejected
from contacts_core.formats import plain
from contacts_core.models import (
    Address,
    Contact,
    ContactList,
    Failure,
    FieldDefinition,
    FieldType,
    Job,
    JobState,
    Outcome,
    Page,
)
from contacts_core.provider import Flow
from tests.cli import fake_provider
from tests.cli.fake_provider import Run, Vendor, person

# A terminal escape, an 8-bit one, a link, a bidirectional override, an isolate, a zero-width space, DEL, a line that
# is not ours, a separator that some take for a line break, and Rich's markup.
HOSTILE = "\x1b[2J\x9b31m\x1b]8;;http://x\x07\u202eevil\u2066\u200b\x7f\nerror: forged\r\u2028\x85[bold red]x[/]\x00"
HARMFUL = [c for c in HOSTILE if not c.isprintable() and c != "\n"]


def clean(text: str) -> bool:
    return not any(c in text for c in HARMFUL)


def unforged(text: str) -> bool:
    return not any(line.startswith("error: forged") for line in text.splitlines())


@pytest.fixture
def hostile(vendor: Vendor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Vendor:
    """The made-up vendor, with hostile text in everything that it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    everyone = [
        person(
            number,
            identifiers=(
                Identifier.email(f"person{number}@example.com"),
                Identifier.other(HOSTILE, HOSTILE),
                Identifier.external_id(HOSTILE),
            ),
            first_name=HOSTILE,
            organization=HOSTILE,
            title=HOSTILE,
            address=Address(HOSTILE, city=HOSTILE),
            tags=(HOSTILE,),
            custom={HOSTILE: HOSTILE},
            extra={HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}]},
        )
        for number in (1, 2)
    ]
    vendor.people = {contact.id: contact for contact in everyone}

    def lists_page(_self: object, _cursor: str | None) -> Flow[Page[ContactList]]:
        yield from ()
        return Page([ContactList("acme", "l1", HOSTILE, 3, HOSTILE)])

    def custom_fields_page(_self: object, _cursor: str | None) -> Flow[Page[FieldDefinition]]:
        yield from ()
        return Page([FieldDefinition("acme", "f1", HOSTILE, FieldType.CHOICE, (HOSTILE,))])

    def refused(_self: object, contact_id: str, _identifier: Identifier) -> Flow[Outcome]:
        yield from ()
        return Outcome(operation="", requested=1, failed=(Failure(contact_id, HOSTILE),), dropped_fields=(HOSTILE,))

    def create_list(_self: object, name: str) -> Flow[ContactList]:
        yield from ()
        return ContactList("acme", "l2", HOSTILE)

    def check(_self: object, job: Job) -> Flow[Job]:
        yield from ()
        return evolve(job, state=JobState.FAILED, detail=HOSTILE, counts={HOSTILE: 1})

    monkeypatch.setattr(fake_provider.Acme, "lists_page", lists_page)
    monkeypatch.setattr(fake_provider.Acme, "custom_fields_page", custom_fields_page)
    monkeypatch.setattr(fake_provider.Acme, "remove_identifier", refused)
    monkeypatch.setattr(fake_provider.Acme, "create_list", create_list)
    monkeypatch.setattr(fake_provider.Queue, "get_job", check)
    monkeypatch.setattr(fake_provider.Acme, "title", HOSTILE)
    return vendor


COMMANDS = [
    ("providers",),
    ("accounts",),
    ("search", "acme", "--last-name", "O'Brien"),
    ("search", "acme", "--last-name", "O'Brien", "--explain"),
    ("find", "acme", "--email", "person1@example.com", "--email", "nobody@example.com"),
    ("get", "acme", "id-1", "id-9"),
    ("export", "acme"),
    ("lists", "acme"),
    ("fields", "acme"),
    ("count", "acme"),
    ("delete", "acme", "id-1"),
    ("delete", "acme", "id-1", "--yes"),
    ("remove-identifier", "acme", "id-1", "--email", "person1@example.com", "--yes"),
    ("create-list", "acme", "x"),
    ("change", "acme", "id-1", "--field", f"title={HOSTILE}", "--yes"),
    ("create-field", "acme", HOSTILE),
    ("job", "queue", "j1"),
    (
        "plan",
        "erase",
        "--email",
        "person1@example.com",
        "--accounts",
        "acme",
        "--follow",
        "once",
        "--max-share",
        "100%",
    ),
    ("plan", "delete", "acme", "--id", "id-1", "--max-share", "100%"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: " ".join(c[:2]))
@pytest.mark.parametrize("as_json", [False, True])
def test_nothing_hostile_reaches_the_terminal(
    command: tuple[str, ...], as_json: bool, run: Run, hostile: Vendor
) -> None:
    if command[0] == "export" and not as_json:
        command = (*command, "--to", "people.csv")
    done = run(*command, *(["--json"] if as_json else []))
    assert done.out or done.err
    assert "should not happen" not in done.err
    assert clean(done.out + done.err), (done.out, done.err)
    assert unforged(done.out + done.err)
    if as_json and done.out:
        read = [json.loads(done.out)] if done.out.startswith(("{\n", "[\n", "[")) else done.lines
        if command[0] in {"get", "lists", "search"} and "--explain" not in command:
            assert HOSTILE in strings(read)


def strings(value: Any) -> set[str]:
    """Every text in plain data."""
    match value:
        case str():
            return {value}
        case dict():
            return {text for pair in value.items() for each in pair for text in strings(each)}
        case list():
            return {text for each in value for text in strings(each)}
        case _:
            return set()


@pytest.mark.parametrize("command", COMMANDS[2:], ids=lambda c: " ".join(c[:2]))
@pytest.mark.parametrize("as_json", [False, True])
def test_a_hostile_reason_of_an_error_is_one_plain_line(
    command: tuple[str, ...], as_json: bool, run: Run, hostile: Vendor
) -> None:
    error = Rejected(HOSTILE, provider="acme", operation="GET /x", status=400, request_id=HOSTILE, hint=HOSTILE)
    every = ("find", "get", "search", "count", "page 0", "delete id-1", "check j1")
    hostile.errors = dict.fromkeys(every, error)
    done = run(*command, *(["--json"] if as_json else []))
    assert clean(done.out + done.err), (done.out, done.err)
    assert unforged(done.out + done.err)
    assert "[bold red]" not in done.err or "x[/]" in done.err  # markup is text


@pytest.mark.parametrize("as_json", [False, True])
def test_warnings_and_debug_output_are_clean(
    as_json: bool, run: Run, hostile: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    import logging
    import warnings

    from contacts_core.client import Contacts

    def noisy(_self: object) -> int:
        logging.getLogger("contacts_core").warning(HOSTILE)
        logging.getLogger("contacts_core").debug(HOSTILE)
        warnings.warn(HOSTILE, UserWarning, stacklevel=1)
        raise ZeroDivisionError(HOSTILE)

    monkeypatch.setattr(Contacts, "count", noisy)
    done = run("--debug", "count", "acme", *(["--json"] if as_json else []))
    assert clean(done.out + done.err)
    assert done.err.count("x[/]") >= 3


def test_a_usage_error_repeats_no_control_character(run: Run, vendor: Vendor) -> None:
    for arguments in (
        ("count", HOSTILE.replace("\0", "")),
        ("search", "acme", "--limit", HOSTILE),
        ("search", "acme", "--updated-since", HOSTILE),
        ("export", "acme", "--to", HOSTILE.replace("\0", "") + ".csv", "--json"),
        (HOSTILE,),
        ("count", f"--{HOSTILE}"),
        ("search", "acme", "--custom", f"score={HOSTILE}"),
        ("delete", "acme", HOSTILE, "--yes"),
        ("sandbox", "--faults", HOSTILE),
    ):
        done = run(*arguments)
        assert clean(done.out + done.err), arguments


def test_progress_and_tables_are_clean(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    with output.progress(HOSTILE) as far:
        far(HOSTILE)
    output.show(output.rows(output.table(HOSTILE, title=HOSTILE), [[HOSTILE], [[HOSTILE, HOSTILE]]]))
    output.note([HOSTILE, HOSTILE])
    output.document({HOSTILE: [HOSTILE]})
    told = capsys.readouterr()
    assert clean(told.out + told.err)
    assert "[bold red]x[/]" in told.out


def test_json_says_exactly_what_the_vendor_said(capsys: pytest.CaptureFixture[str]) -> None:
    text = "".join(map(chr, (*range(0x20, 0x3000), 0x1F600, 0xE0001, 0xFEFF, 0xFFFD)))
    output.line({"text": text, "half": "\ud800"})
    told = capsys.readouterr().out
    assert json.loads(told) == {"text": text, "half": "\ud800"}
    assert all(c.isprintable() for c in told.rstrip("\n"))
    assert "\U0001f600" in told or "\\ud83d" in told


def test_an_outcome_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    failed: Sequence[Failure] = [Failure(HOSTILE, HOSTILE)]
    outcome = Outcome(operation="x", requested=2, absent=(HOSTILE,), failed=tuple(failed), dropped_fields=(HOSTILE,))
    output.show(wording.outcome(outcome, HOSTILE))
    output.show(wording.who(Contact("acme", HOSTILE, (Identifier.other(HOSTILE, HOSTILE),))))
    assert clean(capsys.readouterr().out)
    assert plain(outcome)["absent"] == [HOSTILE]
