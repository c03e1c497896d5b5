"""The command with nothing set up: contacts in a file of the user's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contacts_core.cli.output import Exit
from tests.cli.fake_provider import Run, Vendor


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "storage"))
    monkeypatch.delenv("CONTACTS_FILE", raising=False)
    monkeypatch.delenv("CONTACTS_LOCAL_FILE", raising=False)


def write(path: Path, *emails: str) -> Path:
    lines = [
        json.dumps({"identifiers": [{"kind": "email", "value": each}], "first_name": "Jane", "custom": {"score": 10}})
        for each in emails
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_every_command_works_without_a_key_and_an_account(run: Run, tmp_path: Path) -> None:
    people = write(tmp_path / "people.jsonl", "jane@example.com", "joe@example.com")
    assert run("count", "local").out.startswith("0 contacts")
    assert run("upsert", "local", "--from-file", people).code == Exit.DONE
    assert (tmp_path / "data" / "contacts" / "contacts.db").exists()
    assert run("count", "local", "--json").json == {"count": 2, "source": "counter"}
    (found,) = run("search", "local", "--email", "JANE@example.com", "--json").lines
    assert (found["first_name"], found["custom"]) == ("Jane", {"score": 10})
    assert run("create-list", "local", "News").code == Exit.DONE
    assert run("add-to-list", "local", "News", "--email", "jane@example.com").code == Exit.DONE
    assert [each["count"] for each in run("lists", "local", "--json").json] == [1]
    assert run("remove-from-list", "local", "News", "--email", "jane@example.com", "--yes").code == Exit.DONE
    assert [each["type"] for each in run("fields", "local", "--json").json] == ["number"]
    asked = run("delete", "local", "--email", "joe@example.com", types="n\n")
    assert f"on local (Local file, {tmp_path / 'data' / 'contacts' / 'contacts.db'})" in asked.err
    assert run("delete", "local", "--email", "joe@example.com", "--yes").code == Exit.DONE
    assert run("count", "local", "--json").json["count"] == 1
    assert run("request", "local", "GET", "/x").err.startswith("error: local does not use HTTP")


def test_it_is_checked_and_shown_as_any_other(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = run("accounts", "check", "local", "--json")
    assert checked.code == Exit.DONE
    assert {each["allowed"] for each in checked.json} == {"yes", "not known"}
    (shown,) = (each for each in run("providers", "--json").json["providers"] if each["name"] == "local")
    assert {name for name, how in shown["capabilities"].items() if how != "yes"} == {
        "LiftsSuppressions",
        "CreatesConsentScopes",
        "ErasesMailData",
        "QueuesJobs",
    }
    assert not [each for each in run("accounts", "--json").json["accounts"] if each["provider"] == "local"]
    monkeypatch.setenv("CONTACTS_LOCAL_FILE", str(tmp_path / "other.db"))
    (account,) = (each for each in run("accounts", "--json").json["accounts"] if each["provider"] == "local")
    assert account["settings"] == {"path": "env:CONTACTS_LOCAL_FILE"}


def test_an_account_names_its_file(run: Run, tmp_path: Path) -> None:
    added = run("accounts", "add", "backup", "local", "--set", f"path={tmp_path / 'backup.db'}", "--default")
    assert added.code == Exit.DONE
    run("upsert", ".", "--from-file", write(tmp_path / "people.jsonl", "jane@example.com"))
    assert (tmp_path / "backup.db").exists()
    assert run("accounts", "add", "no", "local", "--set", "base_url=https://example.com").code != Exit.DONE


def test_an_export_to_a_db_file_is_an_account(run: Run, vendor: Vendor, tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    for _ in range(2):
        assert run("export", "acme", "--to", path).out == f"5 contacts written to {path}\n"
    assert run("count", "local", "--set", f"path={path}", "--json").json["count"] == 5
    assert [each["name"] for each in run("lists", "local", "--set", f"path={path}", "--json").json]
    refused = run("export", "local", "--to", path)
    assert refused.code == Exit.USAGE
    assert "is an export of acme" in refused.err
    assert run("export", "acme", "--to", tmp_path / "a.db", "--excel-safe").code == Exit.USAGE


def test_an_erasure_from_the_file_has_a_receipt(run: Run, tmp_path: Path) -> None:
    run("upsert", "local", "--from-file", write(tmp_path / "people.jsonl", "jane@example.com", "joe@example.com"))
    erased = run(
        "erase", "--email", "jane@example.com", "--accounts", "local", "--receipt", tmp_path / "receipt.jsonl", "--yes"
    )
    assert erased.code == Exit.DONE, erased.err
    checked = run("receipt", "verify", tmp_path / "receipt.jsonl")
    assert checked.code == Exit.DONE, checked.err
    assert [line["identifiers"][0]["value"] for line in run("export", "local", "--json").lines] == ["joe@example.com"]
    again = run("upsert", "local", "--from-file", tmp_path / "people.jsonl", "--json")
    assert again.json["succeeded_count"] == 1
