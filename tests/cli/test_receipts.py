"""Receipts from the command line: what is checked, what could not be checked, and files of any kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contacts_core.cli.output import Exit
from contacts_core.plans.receipts.receipt import Signer, write
from tests.cli.fake_provider import Run
from tests.plans.samples import JANE, JOHN, KEY, events
from tests.plans.test_receipt import signer
from tests.plans.test_receipt_forgery import chained, split

FILE = Path("receipt.jsonl")
NOBODY_KNOWN = "nothing proves who wrote this file"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def with_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTACTS_RECEIPT_KEY", KEY.secret.decode())


@pytest.fixture
def with_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTACTS_RECEIPT_KEY", "another key, of no use either")


def written(by: Signer | None = None, **changes: Any) -> list[dict[str, Any]]:
    text = "".join(write(events(**changes), KEY, by))
    FILE.write_text(text)
    return split(text)


def forged(lines: list[dict[str, Any]], **changes: Any) -> None:
    FILE.write_text(chained([*lines[:-1], lines[-1] | changes]))


class TestVerify:
    def test_without_a_key_it_says_that_nothing_vouches_for_the_file(self, run: Run) -> None:
        written()
        told = run("receipt", "verify", FILE)
        assert told.code == Exit.PARTIAL
        assert "whole" not in told.out
        assert "its hashes agree: 18 lines" in told.out
        assert "seal not checked: no key here" in told.out
        assert "not signed" in told.out
        assert NOBODY_KNOWN in told.out
        assert not Path("state").exists()
        told = run("receipt", "verify", FILE, "--json")
        facts = json.loads(told.out)
        assert (told.code, facts["authentic"], facts["sealed"], facts["signed"]) == (Exit.PARTIAL, False, None, None)

    def test_a_signature_alone_vouches_for_nothing_while_its_key_is_not_named(self, run: Run) -> None:
        by = signer()
        written(by)
        told = run("receipt", "verify", FILE)
        assert (told.code, "whole" in told.out, NOBODY_KNOWN in told.out) == (Exit.PARTIAL, False, True)
        assert f"signed by {by.public_key}; name the key you expect" in told.out
        told = run("receipt", "verify", FILE, "--public-key", by.public_key)
        assert (told.code, "whole: 18 lines" in told.out, NOBODY_KNOWN in told.out) == (Exit.DONE, True, False)
        told = run("receipt", "verify", FILE, "--public-key", signer().public_key)
        assert (told.code, "whole" in told.out, "NOT signed by that key" in told.out) == (Exit.FAILED, False, True)

    @pytest.mark.parametrize("nonsense", ["", "AAAA", "é", "not base64", "A" * 43 + "="])
    def test_a_public_key_that_is_none_is_not_the_one(self, run: Run, nonsense: str) -> None:
        written(signer())
        code = Exit.FAILED if nonsense else Exit.USAGE
        assert run("receipt", "verify", FILE, "--public-key", nonsense).code == code
        written()
        assert run("receipt", "verify", FILE, "--public-key", nonsense).code == code

    @pytest.mark.usefixtures("with_key")
    def test_our_seal_vouches_for_it(self, run: Run) -> None:
        written()
        told = run("receipt", "verify", FILE)
        assert (told.code, "whole: 18 lines" in told.out, "sealed with our key" in told.out) == (Exit.DONE, True, True)
        assert json.loads(run("receipt", "verify", FILE, "--json").out)["authentic"] is True

    @pytest.mark.usefixtures("with_key")
    def test_a_failed_run_that_was_made_to_look_better_is_not_sealed(self, run: Run) -> None:
        forged(written(state="failed", reason="no answer"), state="incomplete", reason="")
        told = run("receipt", "verify", FILE)
        assert told.code == Exit.FAILED
        assert "whole" not in told.out
        assert "the file was changed" in told.out

    def test_nor_does_its_signature_hold(self, run: Run) -> None:
        by = signer()
        forged(written(by, state="failed", reason="no answer"), state="incomplete", reason="")
        told = run("receipt", "verify", FILE, "--public-key", by.public_key)
        assert (told.code, "signature is not by the key" in told.err) == (Exit.FAILED, True)

    @pytest.mark.usefixtures("with_another_key")
    def test_who_has_another_key_can_still_check_the_signature(self, run: Run) -> None:
        by = signer()
        written(by)
        assert run("receipt", "verify", FILE).code == Exit.FAILED
        told = run("receipt", "verify", FILE, "--public-key", by.public_key)
        assert (told.code, f"it names the key {KEY.id}" in told.out) == (Exit.DONE, True)


@pytest.mark.usefixtures("with_key")
class TestFind:
    def test_absent_is_said_of_the_accounts_of_the_receipt_only(self, run: Run) -> None:
        written()
        told = run("receipt", "find", FILE, "--email", JANE.value)
        assert told.code == Exit.DONE
        assert "erase in marketing, crm, incomplete; it covers no other accounts" in told.out
        told = run("receipt", "find", FILE, "--email", JANE.value, "--accounts", "marketing,shop")
        assert told.code == Exit.PARTIAL
        assert "the receipt does not cover this account" in told.out
        told = run("receipt", "find", FILE, "--email", JANE.value, "--accounts", "marketing,shop", "--json")
        rows = [(row["account"], row["state"]) for row in json.loads(told.out)]
        assert (told.code, rows) == (Exit.PARTIAL, [("marketing", "absent"), ("shop", "not covered")])

    def test_accounts_can_be_named_in_several_ways(self, run: Run) -> None:
        written()
        for ways in (["marketing,crm"], ["marketing", "crm"], ["marketing, crm", "crm"]):
            options = [each for way in ways for each in ("--accounts", way)]
            told = run("receipt", "find", FILE, "--email", JANE.value, "--json", *options)
            assert (told.code, len(json.loads(told.out))) == (Exit.DONE, 2)
        assert run("receipt", "find", FILE, "--email", JANE.value, "--accounts", " ,").code == Exit.USAGE

    def test_one_account_can_be_asked_about_alone(self, run: Run) -> None:
        written()
        assert run("receipt", "find", FILE, "--email", JOHN.value, "--accounts", "crm").code == Exit.DONE
        assert run("receipt", "find", FILE, "--email", JOHN.value, "--accounts", "marketing").code == Exit.PARTIAL
        assert run("receipt", "find", FILE, "--email", JOHN.value).code == Exit.PARTIAL

    def test_somebody_who_is_not_in_it_is_said_not_to_be(self, run: Run) -> None:
        written()
        told = run("receipt", "find", FILE, "--email", JANE.value, "--email", "nobody@example.com")
        assert (told.code, told.out.count("not in this receipt")) == (Exit.PARTIAL, 2)

    def test_what_is_not_sealed_is_not_believed(self, run: Run) -> None:
        lines = written()
        there = next(n for n, line in enumerate(lines) if line["type"] == "result" and line["state"] == "present")
        identifiers = [each | {"state": "absent"} for each in lines[there]["identifiers"]]
        lines[there] |= {"state": "absent", "identifiers": identifiers}
        forged(lines, absent=4, present=0, state="done")
        told = run("receipt", "find", FILE, "--email", JOHN.value)
        assert (told.code, "seal was not made" in told.err, "absent" in told.out) == (Exit.FAILED, True, False)
        assert run("receipt", "report", FILE, "--to", "report.html").code == Exit.FAILED
        assert not Path("report.html").exists()


def test_without_a_key_nobody_can_be_found_and_none_is_made(run: Run) -> None:
    written()
    told = run("receipt", "find", FILE, "--email", JANE.value)
    assert (told.code, "no receipt key here" in told.err) == (Exit.USAGE, True)
    assert not Path("state").exists()


class TestReport:
    def test_it_says_whether_the_seal_was_checked(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        written()
        assert run("receipt", "report", FILE, "--to", "report.html").code == Exit.DONE
        assert "not checked when this page was made" in Path("report.html").read_text()
        monkeypatch.setenv("CONTACTS_RECEIPT_KEY", KEY.secret.decode())
        assert run("receipt", "report", FILE, "--to", "report.html").code == Exit.DONE
        assert "not checked" not in Path("report.html").read_text()


ODD = {
    "nothing": b"",
    "binary": bytes(range(256)),
    "an image": b"\x89PNG\r\n\x1a\n\x00\x00",
    "JSON": b"{}\n",
    "a list": b"[]\n",
    "deep": b"[" * 100_000 + b"\n",
    "a long number": b'{"n":' + b"9" * 10_000 + b"}\n",
    "no lines": b"\n" * 100,
    "half a character": b'{"hash":"\\ud800","n":1,"prev":"","type":"run"}\n',
    "UTF-16": "{}\n".encode("utf-16"),
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
@pytest.mark.usefixtures("with_key")
def test_whatever_the_file_holds_every_command_says_so(run: Run, content: bytes) -> None:
    FILE.write_bytes(content)
    for command in (["verify"], ["find", "--email", JANE.value], ["report", "--to", "report.html"]):
        told = run("receipt", command[0], FILE, *command[1:])
        assert told.code == Exit.FAILED
        assert "is not valid" in told.err
        assert "should not happen" not in told.err
    assert not Path("report.html").exists()
