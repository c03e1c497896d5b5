"""`contacts access`, on the emulators."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from contacts_core.cli.output import Exit
from tests.cli.fake_provider import Run
from tests.plans.environment import Environment, open_environment

ALL = "bird,sendgrid,user-api"
ZIP = Path("jane.zip")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "state"))
    with open_environment(attempts=1) as served:
        monkeypatch.setenv("CONTACTS_FILE", str(served.accounts_file(tmp_path / "accounts.toml")))
        yield served


def test_one_command_writes_the_archive_and_its_receipt_can_be_verified(environment: Environment, run: Run) -> None:
    person = environment.emails(1)[0].value
    done = run("access", "--email", person, "--accounts", ALL, "--to", ZIP)
    assert done.code == Exit.DONE
    assert "nothing was changed; written to jane.zip" in done.err
    assert "--follow once" in done.err
    assert "user-api has no look-up: every contact is read" in done.err
    assert person not in done.out + done.err
    assert stat.S_IMODE(ZIP.stat().st_mode) == 0o600
    with zipfile.ZipFile(ZIP) as archive:
        archive.extractall("jane")
    receipt = Path("jane/receipt.jsonl")
    assert run("receipt", "verify", receipt).code == Exit.DONE
    found = run("receipt", "find", receipt, "--email", person, "--json")
    assert {each["state"] for each in json.loads(found.out)} == {"present"}
    assert run("receipt", "report", receipt, "--to", "receipt.html").code == Exit.DONE
    page = Path("receipt.html").read_text("utf-8")
    for words in ("Access to personal data", "Every account was read completely.", "3 data found", "Data found"):
        assert words in page, words
    assert 'class="bad"' not in page


def test_an_account_that_cannot_be_read_is_an_exit_code_and_the_archive_is_there(
    environment: Environment, run: Run
) -> None:
    person = environment.emails(1)[0].value
    Path("bird.key").write_text("a wrong key")
    done = run("access", "--email", person, "--accounts", ALL, "--to", ZIP, "--follow", "all", "--json")
    assert done.code == Exit.PARTIAL
    told = json.loads(done.out)
    assert told["complete"] is False
    assert [(each["account"], each["complete"]) for each in told["accounts"]] == [
        ("bird", False),
        ("sendgrid", True),
        ("user-api", True),
    ]
    assert "refused the key" in told["accounts"][0]["error"]
    with zipfile.ZipFile(ZIP) as archive:
        page = archive.read("report.html").decode()
    assert "This report is not complete." in page.partition("</div>")[0]
    shown = run("access", "--email", person, "--accounts", "bird,sendgrid", "--to", ZIP)
    assert shown.code == Exit.PARTIAL
    assert "not read: the vendor refused the key" in shown.out


def test_without_a_person_or_with_an_unknown_expansion_nothing_is_read(environment: Environment, run: Run) -> None:
    environment.seen.clear()
    for arguments in ([], ["--email", "jane@example.com", "--follow", "twice"]):
        assert run("access", *arguments, "--accounts", ALL, "--to", ZIP).code == Exit.USAGE
    assert not ZIP.exists()
    assert environment.seen == []
