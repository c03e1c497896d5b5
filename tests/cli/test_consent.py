"""`contacts consent`: showing, exporting and writing statements of consent."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from contacts_core.cli.output import Exit
from contacts_core.emulator import Running, Sandbox, running
from contacts_sendgrid.emulator import SendGridEmulator
from tests.cli.fake_provider import Run, Vendor

JANE = "jane@example.com"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "storage"))
    monkeypatch.delenv("CONTACTS_FILE", raising=False)
    monkeypatch.setenv("CONTACTS_LOCAL_FILE", str(tmp_path / "people.db"))


def statement(email: str, state: str = "revoked", **more: object) -> str:
    return json.dumps(
        {"identifier": {"kind": "email", "value": email}, "channel": "email", "state": state} | more, ensure_ascii=False
    )


def test_what_is_revoked_is_shown(run: Run) -> None:
    written = run("consent", "write", "local", "--email", JANE, "--phone", "+12025550123", "--yes")
    assert written.code == Exit.DONE, written.err
    shown = run("consent", "local", "--json").json
    assert [(each["identifier"]["value"], each["channel"], each["state"], each["reason"]) for each in shown] == [
        (JANE, "email", "revoked", "unsubscribe"),
        ("+12025550123", "sms", "revoked", "unsubscribe"),
    ]
    assert all(each["at"] for each in shown)
    assert run("consent", "show", "local", "--json").json == shown
    found = run("consent", "local", "--email", JANE.upper(), "--fields", "identifier,state")
    assert found.out.split() == [JANE, "revoked"]


def test_it_asks_first_and_shows_whom(run: Run) -> None:
    refused = run("consent", "write", "local", "--email", JANE, types="n\n")
    assert refused.code == Exit.REFUSED
    assert f"revoked email email:{JANE}" in refused.err
    assert run("consent", "write", "local", "--email", JANE).code == Exit.REFUSED
    assert run("consent", "local", "--json").json == []
    assert run("consent", "write", "local", "--email", JANE, types="y\n").code == Exit.DONE


def test_addresses_are_masked_where_nobody_confirms(run: Run) -> None:
    written = run("consent", "write", "local", "--email", JANE, "--yes")
    assert "jane" not in written.out + written.err
    assert "j***@example.com" in written.err


def test_a_file_goes_out_and_comes_back(run: Run, tmp_path: Path) -> None:
    lines = [
        statement(JANE, reason="complaint", at="2026-01-31T12:00:00+00:00", evidence="reported through 192.0.2.7"),
        statement(JANE, "granted", scope="Weekly news"),
        statement("joe@example.com", "pending", coverage="non_transactional"),
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert run("consent", "write", "local", "--from-file", tmp_path / "in.jsonl", "--yes").code == Exit.DONE
    out = tmp_path / "out.jsonl"
    exported = run("consent", "export", "local", "--to", out)
    assert exported.out == f"3 statements written to {out}\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    again = run("consent", "write", "local", "--from-file", out, "--yes", "--set", f"path={tmp_path / 'copy.db'}")
    assert again.code == Exit.DONE, again.err
    copied = run("consent", "local", "--json", "--set", f"path={tmp_path / 'copy.db'}").json
    assert copied == run("consent", "local", "--json").json
    assert [each["state"] for each in copied] == ["revoked", "granted", "pending"]
    assert copied[0]["evidence"] == "reported through 192.0.2.7"


def test_it_is_exported_as_csv(run: Run, tmp_path: Path) -> None:
    run("consent", "write", "local", "--email", JANE, "--scope", "=1+1", "--yes")
    safe = run("consent", "export", "local", "--csv", "--excel-safe").out.splitlines()
    assert safe[0].startswith('"identifier","kind","channel","state"')
    assert f'"{JANE}","email","email","revoked","unsubscribe","\'=1+1"' in safe[1]
    run("consent", "export", "local", "--to", tmp_path / "consent.csv")
    header, row = (tmp_path / "consent.csv").read_text("utf-8").splitlines()
    assert header == "identifier,kind,channel,state,reason,scope,coverage,at,evidence,provider"
    assert row.startswith(f"{JANE},email,email,revoked,unsubscribe,=1+1,all,")
    lines = run("consent", "export", "local", "--json").lines
    assert [each["scope"] for each in lines] == ["=1+1"]


def test_merged_shows_what_counts(run: Run, tmp_path: Path) -> None:
    lines = [
        statement(JANE, at="2026-01-01T00:00:00+00:00"),
        statement(JANE, "granted", at="2026-01-02T00:00:00+00:00"),
        statement("joe@example.com", at="2026-01-01T00:00:00+00:00"),
        statement("joe@example.com", "granted", at="2026-01-02T00:00:00+00:00", evidence="form 7"),
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    run("consent", "write", "local", "--from-file", tmp_path / "in.jsonl", "--yes")
    assert len(run("consent", "local", "--json").json) == 4
    merged = run("consent", "local", "--merged", "--json", "--fields", "identifier,state").json
    assert merged == [
        {"identifier": JANE, "state": "revoked"},
        {"identifier": "joe@example.com", "state": "granted"},
    ]


def test_nobody_asked_said_anything(run: Run) -> None:
    silent = run("consent", "local", "--email", JANE)
    assert silent.code == Exit.DONE
    assert "no statement about email:j***@example.com" in silent.err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        pytest.param(["write", "local"], "name whose consent", id="nobody"),
        pytest.param(["write", "local", "--email", JANE, "--channel", "fax"], "--channel is one of", id="channel"),
        pytest.param(["write", "local", "--email", JANE, "--reason", "mood"], "--reason is one of", id="reason"),
        pytest.param(["write", "local", "--email", JANE, "--accept-loss", "ALL"], "no loss that", id="loss"),
        pytest.param(["export", "local"], "say where to", id="nowhere"),
        pytest.param(["export", "local", "--to", "x.txt"], "no format is known", id="format"),
    ],
)
def test_wrong_usage_is_refused(run: Run, arguments: list[str], what: str) -> None:
    refused = run("consent", *arguments, *(["--yes"] if arguments[0] == "write" else []))
    assert refused.code == Exit.USAGE, refused.err
    assert what in refused.err


@pytest.mark.parametrize("line", ["{}", '{"identifier": 1}', statement(JANE, "mailable"), statement(JANE, at="today")])
def test_a_broken_line_is_named_and_nothing_is_written(run: Run, tmp_path: Path, line: str) -> None:
    (tmp_path / "in.jsonl").write_text(f"{statement('joe@example.com')}\n{line}", encoding="utf-8")
    refused = run("consent", "write", "local", "--from-file", tmp_path / "in.jsonl", "--yes")
    assert refused.code == Exit.USAGE
    assert "in.jsonl, line 2" in refused.err
    assert run("consent", "local", "--json").json == []


def test_what_a_provider_cannot_do_is_refused(run: Run, vendor: Vendor) -> None:
    for arguments in (["acme"], ["acme", "--email", JANE], ["write", "acme", "--email", JANE, "--yes"]):
        refused = run("consent", *arguments)
        assert refused.code == Exit.REFUSED, refused.err
        assert "cannot" in refused.err


def test_help_names_the_commands(run: Run) -> None:
    shown = run("consent", "--help").out
    assert all(name in shown for name in ("show", "export", "write", "lift"))


@pytest.fixture
def sendgrid() -> Iterator[Running]:
    """An account with somebody who unsubscribed and whose address bounces."""
    with running(Sandbox([SendGridEmulator], contacts=1)) as served:
        emulator = served.sandbox.emulators["sendgrid"]
        assert isinstance(emulator, SendGridEmulator)
        emulator.suppressions.unsubscribes |= {JANE: 1_700_000_000, "joe@example.com": 1_700_000_000}
        emulator.suppressions.record("bounces", JANE, 1_700_000_000)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in served.settings("sendgrid").items():
                patch.setenv(f"SENDGRID_{name.upper()}", str(value))
            yield served


def standing(run: Run) -> list[str]:
    return sorted(
        f"{each['identifier']['value']} {each['reason']}" for each in run("consent", "sendgrid", "--json").json
    )


def test_a_suppression_is_lifted_after_asking(run: Run, sendgrid: Running) -> None:
    arguments = ("consent", "lift", "sendgrid", "--email", JANE, "--evidence", "her mail of 3 May")
    before = standing(run)
    refused = run(*arguments, types="n\n")
    assert refused.code == Exit.REFUSED
    assert "lift 1 suppression(s)" in refused.err
    assert f"unsubscribe, email email:{JANE}" in refused.err
    assert f"stays suppressed, unless --reason names it: bounce, email email:{JANE}" in refused.err
    assert run(*arguments).code == Exit.REFUSED
    assert standing(run) == before

    lifted = run(*arguments, "--yes")
    assert lifted.code == Exit.DONE, lifted.err
    assert "jane" not in lifted.out + lifted.err
    assert standing(run) == [f"{JANE} bounce", "joe@example.com unsubscribe"]
    again = run(*arguments, "--yes", "--json").json
    assert again["absent"] == [JANE]
    assert run(*arguments, "--reason", "bounce", "--yes").code == Exit.DONE
    assert standing(run) == ["joe@example.com unsubscribe"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((), "name one person"),
        (("--email", JANE, "--email", "joe@example.com", "--evidence", "x"), "one at a time"),
        (("--email", JANE), "--evidence"),
        (("--email", JANE, "--evidence", "  "), "--evidence"),
        (("--email", JANE, "--evidence", "x", "--reason", "tired"), "--reason is one of"),
    ],
)
def test_wrong_usage_lifts_nothing(run: Run, sendgrid: Running, arguments: tuple[str, ...], what: str) -> None:
    before = standing(run)
    refused = run("consent", "lift", "sendgrid", "--yes", *arguments)
    assert refused.code == Exit.USAGE
    assert what in " ".join(refused.err.split())
    assert standing(run) == before


def test_a_file_lifts_nothing(run: Run) -> None:
    assert "cannot lift" in run("consent", "lift", "local", "--email", JANE, "--evidence", "x", "--yes").err
