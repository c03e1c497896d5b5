"""However a command ends, what was done, what is unclear and what was not sent is told; pipes are read once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from contacts_core import Identifier, cli
from contacts_core.cli import signals
from contacts_core.cli.output import Exit
from contacts_core.config import plugins
from contacts_core.emulator import Sandbox, running
from contacts_core.emulator.registry import emulators
from contacts_core.errors import Cancelled, Interrupted, Unavailable, Unreachable
from contacts_core.formats import plain
from contacts_core.models import Contact, Outcome
from contacts_core.storage.database import locate_storage
from contacts_core.storage.tombstones import Tombstones, blocked, tombstone_storages
from tests.cli.fake_provider import Run, Vendor, person

COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'contacts'; from contacts_core.cli import main; main()"]
BREAKS: list[Any] = [  # what makes the error, for one that was raised before carries what became of it then
    pytest.param(KeyboardInterrupt, Exit.INTERRUPTED, id="KeyboardInterrupt"),
    pytest.param(partial(Cancelled, unclear=True), Exit.INTERRUPTED, id="Cancelled"),
    pytest.param(partial(Unreachable, "gone"), Exit.PARTIAL, id="Unreachable"),
    pytest.param(partial(Unavailable, "no"), Exit.PARTIAL, id="Unavailable"),
]

CHANGES = [
    (("delete", "acme", "id-1", "--yes"), "delete id-1"),
    (("remove-identifier", "acme", "id-1", "--email", "person1@example.com", "--yes"), "remove person1@example.com"),
    (("remove-from-list", "acme", "l1", "id-1", "--yes"), "remove from list"),
    (("add-to-list", "acme", "l1", "id-1"), "add to list"),
    (("upsert", "acme", "--from-file", "people.jsonl"), "upsert id-1 on l1"),
]


@pytest.mark.parametrize(("broken", "code"), BREAKS)
@pytest.mark.parametrize(("command", "call"), CHANGES, ids=lambda c: c[0] if isinstance(c, tuple) else "")
def test_a_single_request_that_breaks_is_called_unclear(
    command: tuple[str, ...],
    call: str,
    broken: Callable[[], BaseException],
    code: int,
    run: Run,
    vendor: Vendor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("people.jsonl").write_text(json.dumps(plain(person(1))) + "\n")
    vendor.errors[call] = broken()
    done = run(*command)
    assert done.code == code
    assert "interrupted (1 asked for, 1 unclear)" in done.out
    assert "may or may not have been carried out" in done.out
    assert ": done" not in done.out
    vendor.errors[call] = broken()
    done = run(*command, "--json")
    assert (done.code, done.json["state"], done.json["requested"]) == (code, "interrupted", 1)
    assert (len(done.json["uncertain"]), done.json["unsent"]) == (1, [])


@pytest.mark.parametrize(("broken", "code"), BREAKS)
@pytest.mark.parametrize(
    ("command", "call", "item"),
    [
        (("delete", "acme", "--all", "--confirm", "acme", "--yes"), "delete all", "all 5 contacts"),
        (("delete-list", "acme", "l1", "--yes"), "delete list", "list l1"),
        (("create-list", "acme", "Autumn fair"), "create list", "list Autumn fair"),
        (("create-field", "acme", "plan"), "create field", "field plan"),
    ],
    ids=lambda c: c[0] if isinstance(c, tuple) else "",
)
def test_a_whole_account_or_list_whose_answer_is_cut_off_is_called_unclear(
    command: tuple[str, ...],
    call: str,
    item: str,
    broken: Callable[[], BaseException],
    code: int,
    run: Run,
    vendor: Vendor,
) -> None:
    vendor.errors[call] = broken()
    done = run(*command)
    assert done.code == code
    assert f"unclear, may or may not have been carried out: {item}" in done.out
    vendor.errors[call] = broken()
    done = run(*command, "--json")
    assert (done.code, done.json["state"], done.json["uncertain"]) == (code, "interrupted", [item])
    if call.startswith("create"):  # to repeat it is not safe
        assert f"contacts {call.removeprefix('create ')}s" in done.error["hint"]


@pytest.mark.parametrize(
    ("broken", "code", "message"),
    [  # the first is what a request that is cut off by Ctrl-C becomes
        (partial(Cancelled, unclear=True), Exit.INTERRUPTED, "stopped: interrupted by the user;"),
        (KeyboardInterrupt, Exit.INTERRUPTED, "stopped: interrupted by the user;"),
        (partial(RuntimeError, "jane@example.com"), Exit.PARTIAL, "stopped: RuntimeError: j***@example.com;"),
        (RuntimeError, Exit.PARTIAL, "stopped: RuntimeError;"),
    ],
    ids=["cancelled", "Ctrl-C", "another error", "another error without words"],
)
def test_rows_that_were_never_read_are_counted_as_not_sent(
    broken: Callable[[], BaseException],
    code: int,
    message: str,
    run: Run,
    vendor: Vendor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "people.jsonl"
    people = [person(n, id="", lists=None, provider="") for n in range(1, 251)]
    path.write_text("".join(json.dumps(plain(each)) + "\n" for each in people))
    calls = 0

    def did(_self: Vendor, what: str) -> None:
        nonlocal calls
        calls += what.startswith("upsert")
        if calls == 2:
            raise broken()

    monkeypatch.setattr(Vendor, "did", did)
    done = run("upsert", "acme", "--from-file", path)
    assert done.code == code
    assert message in done.err
    assert "upsert_contacts: interrupted (250 asked for, 100 confirmed, 100 unclear, 50 not sent)" in done.out
    calls = 0
    told = run("upsert", "acme", "--from-file", path, "--json").json
    assert (told["requested"], len(told["confirmed"]), len(told["uncertain"])) == (250, 100, 100)
    assert told["unsent"] == [f"row {row}" for row in range(201, 251)]


def test_what_an_interrupted_operation_reached_is_not_called_done(run: Run, vendor: Vendor) -> None:
    outcome = Outcome(operation="delete_contacts", requested=2, confirmed=("id-1", "id-2"))
    error = Interrupted(outcome, ["id-3", Identifier.email("jane@example.com")], ["id-5"], "no")
    vendor.errors["delete id-1,id-2"] = error
    done = run("delete", "acme", "id-1", "id-2", "--yes")
    assert "interrupted (5 asked for, 2 confirmed, 2 unclear, 1 not sent)" in done.out
    assert "unclear, may or may not have been carried out: id-3, email:j***@example.com" in done.out
    assert "not sent: id-5" in done.out


# -- files and pipes -------------------------------------------------------------------------------------------------


@pytest.fixture
def piped() -> Iterator[Callable[[str], str]]:
    """A pipe with a text in it, by the name that a shell gives to `<(…)`."""
    ends: list[int] = []

    def make(text: str) -> str:
        read, write = os.pipe()
        ends.append(read)

        def fill() -> None:
            with os.fdopen(write, "w", encoding="utf-8") as file:
                file.write(text)

        threading.Thread(target=fill, daemon=True).start()
        return f"/dev/fd/{read}"

    yield make
    for end in ends:
        os.close(end)


PEOPLE = "".join(json.dumps(plain(person(n, lists=None))) + "\n" for n in (1, 2))


def test_every_file_may_be_a_pipe_or_standard_input(
    run: Run, vendor: Vendor, piped: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    csv = "email\nperson3@example.com\n"
    for name, stdin in ((piped, ""), (lambda _text: "-", "stdin")):
        vendor.calls.clear()
        vendor.people = {contact.id: contact for contact in map(person, range(1, 6))}
        give = {"stdin": PEOPLE} if stdin else {}
        assert run("upsert", "acme", "--from-file", name(PEOPLE), **give).code == Exit.DONE
        assert vendor.calls == ["upsert id-1,id-2 on "]
        give = {"stdin": csv} if stdin else {}
        done = run(
            "plan", "erase", "--accounts", "acme", "--from-file", name(csv), "--max-share", "100%", "--json", **give
        )
        assert done.lines[1]["asked"][0]["value"] == "person3@example.com"
        assert run("plan", "delete", "acme", "--from-file", name(csv), **give).code == Exit.DONE
        lines = "id-1\nperson2@example.com\n"
        give = {"stdin": lines} if stdin else {}
        assert run("delete", "acme", "--yes", "--from-file", name(lines), **give).code == Exit.DONE
        give = {"stdin": PEOPLE} if stdin else {}
        vendor.calls.clear()
        assert run("delete", "acme", "--yes", "--from-file", name(PEOPLE), **give).code == Exit.DONE
        assert [call for call in vendor.calls if call.startswith("delete")] == ["delete id-1,id-2"]


def test_nothing_is_sent_of_a_pipe_that_turns_out_to_be_broken(
    run: Run, vendor: Vendor, piped: Callable[[str], str]
) -> None:
    for text in (PEOPLE + "{\n", PEOPLE + '{"emial": "x"}\n', "", "\n\n"):
        for command in (("upsert", "acme"), ("delete", "acme", "--yes")):
            for name, stdin in ((piped(text), ""), ("-", text)):
                done = run(*command, "--from-file", name, stdin=stdin)
                assert done.code == Exit.USAGE, (text, command, done.out)
    for text in ("id-1\n../x\n", "id-1\nnot an@address@example.com\n"):
        assert run("delete", "acme", "--yes", "--from-file", "-", stdin=text).code == Exit.USAGE
    assert [call for call in vendor.calls if call != "lists"] == []


# -- the state that tombstones are kept in ----------------------------------------------------------------------------


def test_an_erased_person_stays_out_whichever_state_keeps_the_tombstone(
    run: Run, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sqlalchemy")
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "usual"))
    other, third = tmp_path / "other", tmp_path / "third"
    erased, again = Identifier.email("person1@example.com"), Identifier.email("person2@example.com")
    assert [place.folder for place in tombstone_storages(locate_storage(other))] == [other, tmp_path / "usual"]
    for place in tombstone_storages(locate_storage(other)):  # as a run does that is kept in the other one
        Tombstones(place).add([erased], "run-1")
    path = tmp_path / "people.jsonl"
    path.write_text(PEOPLE)
    done = run("upsert", "acme", "--from-file", path, "--json")
    assert done.code == Exit.PARTIAL
    assert "row 1 is held back, erased on" in done.json["failed"][0]["reason"]
    assert vendor.calls == ["upsert id-2 on "]

    with monkeypatch.context() as patch:  # a state that the usual one knows nothing of
        patch.setenv("CONTACTS_STORAGE", str(third))
        Tombstones(locate_storage(third)).add([again], "run-2")
    assert blocked([Contact(identifiers=(again,))]) == [""]
    done = run("upsert", "acme", "--from-file", path, "--storage", third, "--json")
    assert done.code == Exit.FAILED
    assert len(done.json["failed"]) == 2
    assert run("upsert", "acme", "--from-file", path, "--storage", third, "--recreate-erased").code == Exit.DONE


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_before_the_command_begins_has_its_exit_code_too(
    number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def struck(**_: object) -> None:
        with pytest.raises(KeyboardInterrupt):
            signals._interrupt(number, None)
        sys.exit(130)  # as Typer does, whichever signal it was

    monkeypatch.setattr(signals, "heed", lambda: None)
    monkeypatch.setattr(signals._Received, "number", signal.SIGINT)
    monkeypatch.setattr("contacts_core.cli.app.app", struck)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code


# -- real processes and signals ---------------------------------------------------------------------------------------


def started(server: Any, name: str, tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    settings = [option for each in server.settings(name).items() for option in ("--set", "=".join(each))]
    environment = {**os.environ, "CONTACTS_STORAGE": str(tmp_path / "state"), "NO_PROXY": "127.0.0.1"}
    command = [*COMMAND, arguments[0], name, *arguments[1:], *settings]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def ids_of(server: Any, name: str) -> list[str]:
    from contacts_core import Contacts

    provider: Any = plugins.provider_class(name)(**server.settings(name))
    with Contacts(provider) as client:
        return [contact.id for contact in client.export()]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_half_way_through_a_deletion_tells_what_was_done(number: int, code: int, tmp_path: Path) -> None:
    with running(Sandbox([emulators()["bird"]], contacts=120, speed=60, latency=0.1)) as server:
        ids = ids_of(server, "bird")
        process = started(server, "bird", tmp_path, "delete", *ids, "--yes", "--json")
        end = time.monotonic() + 60
        while len(ids_of(server, "bird")) == len(ids):
            assert time.monotonic() < end
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        left = set(ids_of(server, "bird"))
    assert process.returncode == code, err
    told = json.loads(out)
    assert (told["state"], told["requested"]) == ("interrupted", len(ids))
    gone = set(ids) - left
    assert 0 < len(gone) < len(ids)
    assert set(told["confirmed"]) <= gone
    assert gone <= {*told["confirmed"], *told["uncertain"]}
    assert {*told["confirmed"], *told["uncertain"], *told["unsent"]} == set(ids)
    assert json.loads(err.splitlines()[-1])["error"]["exit_code"] == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_no_half_written_export(number: int, code: int, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    with running(Sandbox([emulators()["bird"]], contacts=2000, speed=60, latency=0.2)) as server:
        process = started(server, "bird", tmp_path, "export", "--to", str(folder / "people.csv"))
        time.sleep(2.5)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert list(folder.iterdir()) == []


def test_output_that_cannot_be_written_is_one_error_and_not_a_success() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        command = [*COMMAND, "providers", "--json"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == Exit.FAILED
    assert "No space left" in done.stderr
    assert "Exception ignored" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def shell(server: Any, redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command on Bird in a shell that closes or redirects standard streams."""
    settings = [option for each in server.settings("bird").items() for option in ("--set", "=".join(each))]
    command = ["sh", "-c", f'exec "$0" "$@" {redirection}', *COMMAND, *arguments, *settings]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_without_standard_output_nothing_is_begun() -> None:
    with running(Sandbox([emulators()["bird"]], contacts=20)) as server:
        truth = server.sandbox.emulators["bird"].truth
        for redirection in (">&-", "<&- >&-"):
            done = shell(server, redirection, "delete", "bird", next(iter(truth())), "--yes")
            assert (done.returncode, done.stdout) == (Exit.USAGE, "")
            assert done.stderr.splitlines()[0] == "error: standard output is closed, so nothing was done"
        assert shell(server, ">&- 2>&-", "delete", "bird", next(iter(truth())), "--yes").returncode == Exit.USAGE
        assert len(truth()) == 20


def test_without_the_other_standard_streams_a_command_goes_on() -> None:
    with running(Sandbox([emulators()["bird"]], contacts=20)) as server:
        truth = server.sandbox.emulators["bird"].truth
        assert shell(server, "<&-", "delete", "bird", next(iter(truth()))).returncode == Exit.REFUSED
        assert len(truth()) == 20
        for redirection in ("<&-", "2>&-", "<&- 2>&-"):
            done = shell(server, redirection, "delete", "bird", next(iter(truth())), "--yes", "--json")
            assert (done.returncode, json.loads(done.stdout)["state"]) == (Exit.DONE, "done")
        assert len(truth()) == 17


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("json_wanted", [True, False])
def test_what_was_done_is_told_although_standard_output_is_full(*, json_wanted: bool) -> None:
    with running(Sandbox([emulators()["bird"]], contacts=3)) as server:
        truth = server.sandbox.emulators["bird"].truth
        options = ["--json"] if json_wanted else []
        done = shell(server, ">/dev/full", "delete", "bird", next(iter(truth())), "--yes", *options)
        assert (done.returncode, len(truth())) == (Exit.FAILED, 2)
        assert "delete_contacts: done (1 asked for, 1 confirmed)" in done.stderr
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("columns", ["0", "1", "-3", "x", "99999999999999999999"])
def test_whatever_the_width_of_the_terminal_is_said_to_be_results_are_shown(
    columns: str, run: Run, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    shown = run("search", "acme", "--first-name", "First1")
    assert shown.code == Exit.DONE
    assert "id-1" in "".join(shown.out.split())


@pytest.mark.parametrize(("typed", "code"), [("\x03", Exit.INTERRUPTED), ("\x04", Exit.REFUSED), ("n\n", Exit.REFUSED)])
def test_an_answer_at_a_real_terminal(typed: str, code: int, tmp_path: Path) -> None:
    spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    arguments = [*COMMAND, "tombstones", "lift", "--email", "jane@example.com", "--storage", str(tmp_path)]
    with subprocess.Popen(
        [sys.executable, "-c", spawn, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as started:
        assert started.stdin
        assert started.stdout
        shown = ""
        while "[y/N]" not in shown:
            shown += started.stdout.read(1).decode("latin-1")
        rest: list[bytes] = []
        reading = threading.Thread(target=lambda out: rest.append(out.read()), args=[started.stdout])
        reading.start()
        for _ in range(10):  # what is typed while the terminal changes its mode is lost
            with suppress(BrokenPipeError):
                started.stdin.write(typed.encode())
            reading.join(3)
            if not reading.is_alive():
                break
        assert started.wait(20) == code
        shown += b"".join(rest).decode("latin-1")
    assert "email:jane@example.com" in shown
    assert "nothing was changed" in shown.splitlines()[-1]
