"""The command against every vendor's emulator, over real HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contacts_core import emulator as sandbox
from contacts_core.cli.commands import demo as demo_module
from contacts_core.cli.output import Exit
from contacts_core.emulator import Sandbox, registry, running
from contacts_core.emulator.registry import emulators
from tests.cli.fake_provider import Run

VENDORS = sorted(emulators())
COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'contacts'; from contacts_core.cli import main; main()"]

On = Callable[..., Any]


@pytest.fixture(params=VENDORS)
def on(request: pytest.FixtureRequest, run: Run) -> Iterator[On]:
    """Run a command on one vendor."""
    name = request.param
    with running(Sandbox([emulators()[name]], contacts=70, speed=600)) as server:
        settings = [option for each in server.settings(name).items() for option in ("--set", "=".join(each))]

        def start(command: str, *arguments: object, **more: Any) -> Any:
            return run(command, name, *arguments, *settings, **more)

        yield start


def test_a_person_who_wants_to_be_forgotten(on: On, tmp_path: Path) -> None:
    everyone = on("export", "--json").lines
    jane = next(each for each in everyone if any(i["kind"] == "email" for i in each["identifiers"]))
    email = next(i["value"] for i in jane["identifiers"] if i["kind"] == "email")

    assert [each["id"] for each in on("search", "--email", email, "--json").lines] == [jane["id"]]
    assert on("find", "--email", email, "--json").json["found"] == 1
    refused = on("delete", "--email", email)
    assert refused.code == Exit.REFUSED
    assert email not in refused.err

    done = on("delete", "--email", email, "--email", "nobody@example.org", "--yes", "--wait", "--json")
    assert (done.code, done.json["state"]) == (Exit.PARTIAL, "done")  # of the two, nobody has the second
    assert done.json["absent"] == ["nobody@example.org"]
    assert "no contact has email:n***@example.org" in done.err
    assert on("get", jane["id"], "--json").json == {jane["id"]: None}

    path = tmp_path / "people.csv"
    assert on("export", "--to", path, "--json").json["contacts"] == len(everyone) - 1
    assert email not in path.read_text("utf-8")


def test_a_list_without_someone(on: On) -> None:
    chosen = max(on("lists", "--json").json, key=lambda each: each["count"] or 0)["id"]
    members = [each["id"] for each in on("export", "--list", chosen, "--json").lines]
    done = on("remove-from-list", chosen, members[0], "--yes", "--wait", "--json")
    assert done.code in {Exit.DONE, Exit.PARTIAL}  # some vendors do not say how such a job ended
    end = time.monotonic() + 5
    while len(after := [each["id"] for each in on("export", "--list", chosen, "--json").lines]) == len(members):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert sorted(after) == sorted(members[1:])


def test_a_new_field_a_change_and_a_list_by_name(on: On) -> None:
    assert on("create-field", "rank", "--type", "number", "--json").json["type"] == "number"
    assert "'rank' already" in on("create-field", "Rank").err
    assert "rank" in {each["name"] for each in on("fields", "--json").json}
    first, again = (on("create-list", "Autumn fair", "--if-missing", "--json").json["id"] for _ in range(2))
    assert first == again

    someone = next(each for each in on("export", "--json").lines if each["last_name"])
    end = time.monotonic() + 5
    while (
        on("change", someone["id"], "--field", "first_name=Ada", "--field", "custom.rank=7", "--yes").code != Exit.DONE
    ):
        assert time.monotonic() < end  # some vendors refuse a new field for a while
        time.sleep(0.1)
    while (now := on("get", someone["id"], "--json").json[someone["id"]])["custom"].get("rank") != 7:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert (now["first_name"], now["last_name"]) == ("Ada", someone["last_name"])
    assert now["identifiers"] == someone["identifiers"]


@pytest.mark.parametrize("name", VENDORS)
def test_a_wrong_key_is_one_line(name: str, run: Run) -> None:
    with running(Sandbox([emulators()[name]])) as server:
        right = server.settings(name)
        settings = {key: "wrong-key-0123" if "key" in key else value for key, value in right.items()}
        options = [option for each in settings.items() for option in ("--set", "=".join(each))]
        done = run("count", name, *options)
    assert done.code == Exit.FAILED
    assert "[401]" in done.err
    assert "hint: check the key" in done.err
    assert "wrong-key" not in done.err


def test_the_demo(run: Run) -> None:
    done = run("demo", "--contacts", 140, "--json")
    assert done.code == Exit.DONE, done.out
    assert {(check["provider"], check["operation"]) for check in done.json} >= {
        (name, operation) for name in VENDORS for operation in demo_module.OPERATIONS
    }
    assert all(check["as_expected"] for check in done.json)


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Leave one vendor to the demo, with a fault."""

    def make(fault: str) -> None:
        one = emulators()[VENDORS[0]]
        monkeypatch.setattr(registry, "emulators", lambda: {one.name: one})
        monkeypatch.setattr(sandbox, "Sandbox", lambda kinds, **options: Sandbox(kinds, faults=[fault], **options))
        monkeypatch.setattr(demo_module, "PATIENCE", 0.1)
        monkeypatch.setenv("COLUMNS", "200")

    return make


def test_the_demo_notices_a_vendor_that_says_yes_and_does_nothing(run: Run, faulty: Callable[[str], None]) -> None:
    faulty("list-removal-ignored")
    done = run("demo", "--contacts", 40)
    assert done.code == Exit.FAILED
    assert "DIFFERS" in done.out
    assert "1 of 9 checks differ" in done.err
    assert "Summary" in done.out


def test_the_demo_survives_a_vendor_that_makes_no_sense(run: Run, faulty: Callable[[str], None]) -> None:
    faulty("wrong-json")
    done = run("demo", "--contacts", 20)
    assert done.code == Exit.FAILED
    assert "UnexpectedPayload" in done.out
    assert "not reached" in done.out


def test_a_retry_is_told_in_words(run: Run) -> None:
    name = VENDORS[0]
    with running(Sandbox([emulators()[name]], faults=["rate-limit=1"])) as server:
        done = run("lists", name, *[o for each in server.settings(name).items() for o in ("--set", "=".join(each))])
    assert done.code == Exit.DONE
    assert done.err == "warning: RateLimited; asking again in 1.0 s\n"


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **more}


@pytest.fixture
def served() -> Iterator[tuple[subprocess.Popen[str], Any]]:
    options = [
        "--port",
        "0",
        "--contacts",
        "300",
        "--speed",
        "600",
        "--faults",
        "rate-limit=1,server-error=0",
        "--json",
    ]
    process = subprocess.Popen(
        [*COMMAND, "sandbox", *options],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout
    text = ""
    for line in process.stdout:
        text += line
        if line == "}\n":
            break
    try:
        yield process, json.loads(text)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_sandbox_prints_what_leads_there_and_ends_with_ctrl_c(served: tuple[subprocess.Popen[str], Any]) -> None:
    process, told = served
    assert sorted(told["providers"]) == VENDORS
    variables = {key: value for each in told["providers"].values() for key, value in each["environment"].items()}
    for name in VENDORS:
        command = [*COMMAND, "count", name, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(**variables), check=False)
        assert done.returncode == Exit.DONE, done.stderr
        assert json.loads(done.stdout)["count"] == 300
    command = [*COMMAND, "export", VENDORS[-1], "--json"]
    piped = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**variables))
    assert piped.stdout
    assert piped.stderr
    piped.stdout.readline()
    piped.stdout.close()
    assert piped.stderr.read() == b""
    piped.stderr.close()
    assert piped.wait(30) == Exit.FAILED
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == Exit.DONE


def test_the_sandbox_explains_itself(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("sandbox", "--faults", "help")
    assert "rate-limit-bare" in done.out
    assert run("sandbox", "--faults", "gremlins").code == Exit.USAGE
    monkeypatch.setattr("contacts_core.cli.commands.sandbox._rest", lambda: None)
    done = run("sandbox", "--port", "0", "--contacts", "1")
    assert done.code == Exit.DONE
    assert done.out.count("\nexport ") >= 2 * len(VENDORS)


def test_a_port_that_is_taken(run: Run) -> None:
    with running(Sandbox([])) as server:
        port = server.url.rpartition(":")[2]
        done = run("sandbox", "--port", port)
    assert done.code == Exit.FAILED
    assert f"port {port}" in done.err
    assert "Address already in use" in done.err
    assert len(done.err.splitlines()) == 1


def test_the_sandbox_needs_its_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("contacts_core.emulator")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("contacts_core.emulator")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = run("sandbox")
    assert done.code == Exit.USAGE
    assert "contacts-core[sandbox]" in done.err
