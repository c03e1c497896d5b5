"""Jobs, raw calls, what can be connected to, and errors of all kinds."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from contacts_core.cli.output import Exit
from contacts_core.client import Contacts
from contacts_core.errors import Unreachable
from contacts_core.models import JobState
from tests.cli.fake_provider import Broken, Run, Vendor


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        (JobState.DONE, Exit.DONE, "job j1 is done (1 done); 1 file(s) ready"),
        (JobState.PARTIAL, Exit.PARTIAL, "is done in part"),
        (JobState.FAILED, Exit.FAILED, "job j1 failed"),
        (JobState.UNKNOWN, Exit.PARTIAL, "cannot be read"),
        (JobState.PENDING, Exit.DONE, "is pending (1 asked for, waiting 1)"),
    ],
)
def test_a_job(state: JobState, code: Exit, words: str, run: Run, vendor: Vendor) -> None:
    vendor.ends_as = state
    done = run("job", "queue", "j1")
    assert words in done.out
    assert done.code == code
    assert run("job", "queue", "j1", "--json").json["state"] == state.value


def test_jobs_from_another_process(run: Run, vendor: Vendor) -> None:
    vendor.queues = True
    told = run("delete", "queue", "id-1", "id-2", "id-3", "--yes", "--json").out
    done = run("job", "queue", "-", "--wait", stdin=told)
    assert [line.split()[1] for line in done.out.splitlines()] == ["job-1", "job-2"]
    one = json.dumps(json.loads(told)["jobs"][0])
    assert run("job", "queue", "-", "--json", stdin=one).json["operation"] == "delete_contacts"
    several = run("job", "queue", "-", "--json", stdin=told).out
    assert len(run("job", "queue", "-", "--json", stdin=several).json) == 2


def test_waiting_for_a_job_may_end_before_it(run: Run, vendor: Vendor) -> None:
    vendor.ends_as = JobState.PENDING
    done = run("job", "queue", "j1", "--wait", "--timeout", "0.01")
    assert done.code == Exit.PARTIAL
    assert "still pending" in done.err


@pytest.mark.parametrize(("account", "state"), [("acme", "done"), ("queue", "done")])
def test_work_that_was_done_at_once_has_no_job_and_is_no_error(
    account: str, state: str, run: Run, vendor: Vendor
) -> None:
    told = run("delete", account, "id-1", "--yes", "--json").out
    done = run("job", account, "-", "--wait", stdin=told)
    assert done.code == Exit.DONE
    assert "the vendor did the work at once, and it succeeded" in done.out
    assert run("job", account, "-", "--wait", "--json", stdin=told).json == []


@pytest.mark.parametrize(
    ("state", "code"), [("done", Exit.DONE), ("partial", Exit.PARTIAL), ("failed", Exit.FAILED), ("interrupted", 3)]
)
def test_the_exit_code_of_what_was_done_at_once_is_passed_on(state: str, code: int, run: Run, vendor: Vendor) -> None:
    told = json.dumps({"operation": "delete_contacts", "state": state, "jobs": []})
    assert run("job", "acme", "-", "--wait", stdin=told).code == code


def test_a_part_that_failed_at_once_is_not_hidden_by_a_job_that_ends_well(run: Run, vendor: Vendor) -> None:
    vendor.queues = True
    told = run("delete", "queue", "id-1", "--yes", "--json").json
    assert run("job", "queue", "-", "--wait", stdin=json.dumps({**told, "state": "partial"})).code == Exit.PARTIAL


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"requested": 2, "failed": [{"item": "row 2", "reason": "no"}]}, Exit.PARTIAL),
        ({"requested": 2, "confirmed": ["id-2"]}, Exit.DONE),
        ({"requested": 1}, Exit.DONE),
        ({"requested": 3}, Exit.PARTIAL),
    ],
)
def test_a_row_that_failed_before_the_job_began_counts_when_the_job_has_ended(
    more: dict[str, object], code: int, run: Run, vendor: Vendor
) -> None:
    vendor.queues = True
    told = run("delete", "queue", "id-1", "--yes", "--json").json
    assert told["state"] == "accepted"
    done = run("job", "queue", "-", "--wait", stdin=json.dumps({**told, **more}))
    assert "job job-1 is done" in done.out
    assert done.code == code


def test_a_job_that_fails_beside_work_that_was_done_is_a_part(run: Run, vendor: Vendor) -> None:
    vendor.queues = True
    told = run("delete", "queue", "id-1", "--yes", "--json").json
    vendor.ends_as = JobState.FAILED
    assert run("job", "queue", "-", "--wait", stdin=json.dumps(told)).code == Exit.FAILED
    more = {"requested": 2, "confirmed": ["id-2"]}
    assert run("job", "queue", "-", "--wait", stdin=json.dumps({**told, **more})).code == Exit.PARTIAL


def test_a_job_that_failed_counts_while_another_one_is_pending(
    run: Run, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.queues = True
    told = run("delete", "queue", "id-1", "id-2", "id-3", "--yes", "--json").out
    states = {"job-1": JobState.FAILED, "job-2": JobState.PENDING}
    monkeypatch.setattr(Contacts, "get_job", lambda _self, job: evolve(job, state=states[job.id]))
    assert run("job", "queue", "-", stdin=told).code == Exit.FAILED


def test_an_interrupted_outcome_without_a_job_is_told_by_its_numbers(run: Run, vendor: Vendor) -> None:
    vendor.errors["delete id-1,id-2"] = Unreachable("gone")
    told = run("delete", "acme", "id-1", "id-2", "--yes", "--json").out
    done = run("job", "acme", "-", "--wait", stdin=told)
    assert done.code == Exit.PARTIAL
    assert "succeeded" not in done.out
    assert done.out == "no job: the operation was interrupted (2 asked for, 0 confirmed, 2 unclear)\n"
    partial = {"state": "partial", "jobs": [], "requested": 2, "confirmed": [], "absent": ["a"]}
    done = run("job", "acme", "-", stdin=json.dumps(partial))
    assert done.out == "no job: not all of it was done (2 asked for, 0 confirmed, 1 not there)\n"
    failed = {"state": "failed", "jobs": [], "requested": 1, "failed": [{"item": "a", "reason": "no"}]}
    done = run("job", "acme", "-", stdin=json.dumps(failed))
    assert done.out == "no job: it failed (1 asked for, 0 confirmed, 1 refused)\n"


@pytest.mark.parametrize("stdin", ["", "{", '{"state": "done", "jobs": 1}', "{}", "[]", '{"jobs": []}', '"x"'])
def test_what_is_no_job(stdin: str, run: Run, vendor: Vendor) -> None:
    assert run("job", "queue", "-", stdin=stdin).code == Exit.USAGE


def test_a_raw_call(run: Run, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[object] = []

    def call(self: object, *arguments: object, **more: object) -> object:
        seen.append((arguments, more))
        return {"ok": True}

    monkeypatch.setattr(Contacts, "request", call)
    assert run("request", "acme", "GET", "/v1/x", "--param", "limit=5").json == {"ok": True}
    body = tmp_path / "body.json"
    body.write_text("[1]", "utf-8")
    done = run("request", "acme", "post", "/v1/jane@example.com", "--data", f"@{body}", "--yes")
    assert "about to send POST" in done.err
    assert "jane@" not in done.err
    assert seen == [
        (("GET", "/v1/x"), {"params": {"limit": "5"}, "json": None}),
        (("post", "/v1/jane@example.com"), {"params": None, "json": [1]}),
    ]
    assert run("request", "acme", "POST", "/x", "--data", "{", "--yes").code == Exit.USAGE


@pytest.mark.parametrize(
    ("answer", "shown", "as_json"),
    [
        ({"a": [1]}, '{\n  "a": [\n    1\n  ]\n}\n', '{"a": [1]}'),
        ("a,b\nc,d\n", "a,b\nc,d\n", '"a,b\\nc,d\\n"'),
        ("<x>\u00fc</x>", "<x>\u00fc</x>\n", '"<x>\u00fc</x>"'),
        (b"\x89PNG", None, '"iVBORw=="'),
        (None, "null\n", "null"),
    ],
)
def test_a_raw_call_shows_any_body(
    answer: object, shown: str | None, as_json: str, run: Run, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Contacts, "request", lambda *_, **__: answer)
    if shown is not None:
        assert run("request", "acme", "GET", "/x").out == shown
    assert run("request", "acme", "GET", "/x", "--json").json == json.loads(as_json)


def test_the_matrix(
    run: Run, vendor: Vendor, register: Callable[[object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    register(Broken())
    monkeypatch.setenv("COLUMNS", "200")
    done = run("providers")
    assert done.code == Exit.DONE
    rows = {line.partition("\t")[0]: line for line in done.out.splitlines()}
    assert "emulated" in rows["remove contacts from a list and keep them"]
    assert "by scan" in rows["search in the vendor's own language"]
    assert "broken: RuntimeError: no such luck" in done.err
    told = run("providers", "--json").json
    acme = next(each for each in told["providers"] if each["name"] == "acme")
    assert acme["title"] == "Acme Mail"
    assert acme["capabilities"]["DeletesContacts"] == "yes"
    assert acme["capabilities"]["QueuesJobs"] != "yes"
    assert "no such luck" in str(told["broken"])


@pytest.fixture
def accounts_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "contacts.toml"
    path.write_text(
        """
        [accounts.marketing]
        provider = "acme"
        api_key = "env:ACME_API_KEY"
        region = "us"
        [accounts.careless]
        provider = "acme"
        api_key = "plain-sesame-key"
        [accounts.lost]
        provider = "gone"
        token = "another-secret"
        [accounts.unset]
        provider = "acme"
        api_key = "env:NOT_THERE"
        """,
        "utf-8",
    )
    monkeypatch.setenv("CONTACTS_FILE", str(path))
    return path


def test_accounts_show_no_secret(run: Run, vendor: Vendor, accounts_file: Path) -> None:
    done = run("accounts")
    assert done.code == Exit.DONE
    for words in ("api_key = env:ACME_API_KEY", "region = us", "a plain key in the file", "env:NOT_THERE (not set)"):
        assert words in done.out
    assert "there is no such provider" in done.out
    assert "environment" in done.out
    told = run("accounts", "--json")
    assert {each["name"] for each in told.json["accounts"]} >= {
        "marketing",
        "careless",
        "lost",
        "unset",
        "acme",
        "bare",
    }
    assert "sesame" not in done.out + told.out
    assert "another-secret" not in done.out + told.out


def test_no_accounts_at_all(run: Run) -> None:
    done = run("accounts")
    assert (done.code, done.out) == (Exit.DONE, "")
    assert "no account is set up" in done.err


def test_an_account_is_used_by_name_and_a_plain_key_is_mentioned(run: Run, vendor: Vendor, accounts_file: Path) -> None:
    done = run("count", "careless", "--json")
    assert done.json["count"] == 5
    assert "account 'careless' has its api_key in the file" in json.loads(done.err)["warnings"][0]
    assert "sesame" not in done.err


@pytest.mark.parametrize(
    "arguments", [("nobody",), ("unset",), ("acme", "--set", "colour=red"), ("acme", "--set", "base_url=x")]
)
def test_what_is_set_up_wrong_is_a_usage_error(
    arguments: tuple[str, ...], run: Run, vendor: Vendor, accounts_file: Path
) -> None:
    done = run("count", *arguments)
    assert done.code == Exit.USAGE
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err


def test_a_setting_on_the_command_line_goes_first(run: Run, vendor: Vendor) -> None:
    done = run("delete", "acme", "id-1", "--set", "base_url=https://eu.acme.example", types="n\n")
    assert "https://eu.acme.example" in done.err


def test_an_error_nobody_expected_is_one_line_too(run: Run, vendor: Vendor) -> None:
    vendor.errors["count"] = ZeroDivisionError("by jane@example.com")
    done = run("count", "acme")
    assert done.code == Exit.FAILED
    assert "this should not happen: ZeroDivisionError: by j***@example.com" in done.err
    assert "--debug" in done.err
    assert "Traceback" not in done.err
    assert run("count", "acme", "--json").error["type"] == "ZeroDivisionError"


def test_debug_shows_the_traceback_scrubbed(run: Run, vendor: Vendor) -> None:
    vendor.errors["count"] = ZeroDivisionError("by jane@example.com")
    done = run("--debug", "count", "acme")
    assert "Traceback (most recent call last)" in done.err
    assert "jane@" not in done.err
    assert "sesame" not in done.err


def test_ctrl_c(run: Run, vendor: Vendor) -> None:
    vendor.errors["count"] = KeyboardInterrupt()
    done = run("count", "acme")
    assert done.code == Exit.INTERRUPTED
    assert done.err.startswith("interrupted")


def test_warnings_and_log_records_are_lines_on_stderr(
    run: Run, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    import logging

    def noisy(_self: object) -> int:
        logging.getLogger("contacts_core").debug("GET /jane@example.com")
        logging.getLogger("somewhere").warning("mind jane@example.com")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        warnings.warn("mind this", UserWarning, stacklevel=1)
        raise ConnectionResetError

    monkeypatch.setattr(Contacts, "count", noisy)
    done = run("count", "acme")
    assert done.err.splitlines()[:2] == ["warning: mind j***@example.com", "warning: mind this"]
    assert "debug: GET /j***@example.com" in run("--debug", "count", "acme").err


def test_a_broken_pipe_is_quiet(run: Run, vendor: Vendor) -> None:
    vendor.errors["count"] = BrokenPipeError()
    done = run("count", "acme")
    assert (done.code, done.err) == (Exit.FAILED, "")
