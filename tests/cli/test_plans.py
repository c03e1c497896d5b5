"""Plans, runs and receipts from the command line, on the emulators."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from contacts_core import Contact, Contacts, Identifier
from contacts_core.cli.output import Exit
from contacts_core.plans import Plan, Receipt, list_runs
from contacts_core.plans.receipts.receipt import Signer
from contacts_core.storage.database import locate_storage
from contacts_core.storage.tombstones import Tombstones
from tests.cli.fake_provider import Run
from tests.plans.environment import Environment, holders, lively, open_environment

ALL = "bird,sendgrid,user-api"
COMMAND = (sys.executable, "-c", "from contacts_core.cli import main; main()")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    """The three vendors, as accounts of a file, in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    with lively(), open_environment() as served:
        monkeypatch.setenv("CONTACTS_FILE", str(served.accounts_file(tmp_path / "accounts.toml")))
        yield served


@pytest.fixture
def person(environment: Environment) -> str:
    return environment.emails(1)[0].value


@pytest.fixture
def receipt(environment: Environment, person: str, run: Run) -> Path:
    """The receipt of an erasure."""
    assert run("plan", "erase", "--email", person, "--accounts", ALL, "--to", "plan.jsonl").code == Exit.DONE
    assert run("apply", "plan.jsonl", "--yes", "--receipt", "receipt.jsonl").code == Exit.DONE
    return Path("receipt.jsonl")


class TestErase:
    def test_two_commands_do_it_and_prove_it(self, environment: Environment, person: str, run: Run) -> None:
        before = environment.everyone()
        planned = run("plan", "erase", "--email", person.upper(), "--accounts", ALL, "--to", "plan.jsonl")
        assert planned.code == Exit.DONE
        assert "has email:p***@example." in planned.out
        assert "suppressions: unsubscribes, bounces" in planned.out
        assert "user-api has no look-up: every contact is read" in planned.err
        assert "contacts apply plan.jsonl" in planned.err
        assert person not in planned.out + planned.err
        assert environment.everyone() == before
        assert stat.S_IMODE(Path("plan.jsonl").stat().st_mode) == 0o600

        done = run("apply", "plan.jsonl", "--yes", "--receipt", "receipt.jsonl")
        assert done.code == Exit.DONE
        assert re.search(r"bird +1 +0 +0", done.out)
        assert "waiting for 1 job(s) of the vendor" in done.err or "sendgrid: done" in done.err
        assert person not in done.out + done.err
        assert Receipt.load("receipt.jsonl").complete
        assert not any(holders(environment.everyone(), [Identifier.email(person)]).values())

    def test_it_asks_first(self, environment: Environment, person: str, run: Run) -> None:
        run("plan", "erase", "--email", person, "--accounts", "bird", "--to", "plan.jsonl")
        before = environment.everyone()
        assert run("apply", "plan.jsonl").code == Exit.REFUSED
        assert run("apply", "plan.jsonl", types="n\n").code == Exit.REFUSED
        assert environment.everyone() == before
        assert list_runs() == []
        assert run("apply", "plan.jsonl", types="y\n").code == Exit.DONE

    def test_plans_and_receipts_come_from_standard_input_as_well(
        self, environment: Environment, person: str, run: Run
    ) -> None:
        run("plan", "erase", "--email", person, "--accounts", "bird", "--to", "plan.jsonl")
        saved = Path("plan.jsonl").read_text("utf-8")
        assert run("plan", "show", "-", stdin=saved).out == run("plan", "show", "plan.jsonl").out
        compared = run("apply", "-", "--replan", stdin=saved)
        assert compared.code == Exit.DONE
        assert list(Path().glob("erase-*-new.jsonl"))
        assert run("apply", "-", stdin=saved).code == Exit.REFUSED
        done = run("apply", "-", "--yes", "--receipt", "receipt.jsonl", stdin=saved)
        assert done.code == Exit.DONE
        written = Path("receipt.jsonl").read_text("ascii")
        for command in (("verify", "-"), ("find", "-", "--email", person), ("report", "-", "--to", "page.html")):
            assert run("receipt", *command, stdin=written).code == Exit.DONE
        assert run("receipt", "verify", "-", stdin="").code in {Exit.USAGE, Exit.FAILED}

    def test_whoever_confirms_sees_whole_identifiers(self, environment: Environment, person: str, run: Run) -> None:
        run("plan", "erase", "--email", person, "--accounts", "bird", "--to", "plan.jsonl")
        assert person in run("apply", "plan.jsonl", types="n\n").err
        assert person in run("erase", "--email", person, "--accounts", "bird", types="n\n").err
        assert person not in run("apply", "plan.jsonl").err

    def test_people_come_from_a_file(self, environment: Environment, run: Run) -> None:
        first, second = environment.emails(2)
        Path("people.csv").write_text(
            f"Email,name,phone,email\n{first.value},A,,\n,,+12025550199,{second.value}\n,,,\n", encoding="utf-8-sig"
        )
        done = run("plan", "erase", "--from-file", "people.csv", "--accounts", "bird", "--json")
        plan = Plan.parse(done.out)
        assert [set(p.asked) for p in plan.people] == [{first}, {second, Identifier.phone("+12025550199")}]
        assert plan.contacts == 2
        assert "not read: name" in done.err
        (saved,) = Path().glob("erase-*.jsonl")
        assert Plan.load(saved) == plan

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("name\nA\n", "no column of identifiers"),
            ("email\na@example.com\n ,\n", "has no identifier"),
            ("", "no col"),
        ],
    )
    def test_a_file_that_names_nobody_is_refused(
        self, environment: Environment, run: Run, content: str, words: str
    ) -> None:
        Path("people.csv").write_text(content.replace(" ,", '"",x'), encoding="utf-8")
        if "has no identifier" in words:
            Path("people.csv").write_text("email,name\na@example.com,A\n,B\n", encoding="utf-8")
        done = run("plan", "erase", "--from-file", "people.csv", "--accounts", "bird")
        assert done.code == Exit.USAGE
        assert words in done.err

    def test_follow_widens_and_is_suggested(self, environment: Environment, run: Run) -> None:
        contact = next(c for c in environment.everyone()["bird"].values() if c.phone and c.email)
        told = run("plan", "erase", "--email", contact.email, "--accounts", "bird")
        assert "following would look for: phone:+" in told.out
        told = run("plan", "erase", "--email", contact.email, "--accounts", "bird", "--follow", "all")
        assert "followed: 1 more identifier" in told.out

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--accounts", "bird"),
            ("--accounts", ",", "--email", "a@example.com"),
            ("--accounts", "bird", "--email", "a@example.com", "--follow", "far"),
            ("--accounts", "bird", "--email", "a@example.com", "--max-share", "0"),
            ("--accounts", "bird", "--email", "a@example.com", "--max-share", "half"),
            ("--accounts", "nobody-of-that-name", "--email", "a@example.com"),
        ],
    )
    def test_what_makes_no_sense_is_a_usage_error(
        self, environment: Environment, run: Run, arguments: tuple[str, ...]
    ) -> None:
        assert run("plan", "erase", *arguments).code == Exit.USAGE

    def test_limits_are_raised_by_name(self, environment: Environment, run: Run) -> None:
        emails = [argument for email in environment.emails(3) for argument in ("--email", email.value)]
        told = run("plan", "erase", *emails, "--accounts", "bird", "--max-contacts", "2")
        assert told.code == Exit.REFUSED
        assert "--max-contacts" in told.err
        assert (
            run("plan", "erase", *emails, "--accounts", "bird", "--max-contacts", "3", "--max-share", "30%").code
            == Exit.DONE
        )


class TestEraseAtOnce:
    def test_a_dry_run_only_shows(self, environment: Environment, person: str, run: Run) -> None:
        before = environment.everyone()
        shown = run("erase", "--email", person, "--accounts", "bird", "--dry-run")
        assert shown.code == Exit.DONE
        assert "plan to erase: 1 asked for, 1 contact(s) found" in shown.out
        assert "nothing was changed" in shown.err
        assert Plan.parse(run("erase", "--email", person, "--accounts", "bird", "--dry-run", "--json").out).contacts
        assert environment.everyone() == before
        assert list_runs() == []
        assert list(Path().glob("*erase*")) == []

    def test_it_shows_asks_applies_and_writes_the_receipt(
        self, environment: Environment, person: str, run: Run
    ) -> None:
        before = environment.everyone()
        arguments = ("erase", "--email", person, "--accounts", "bird", "--receipt", "receipt.jsonl")
        assert run(*arguments).code == Exit.REFUSED
        refused = run(*arguments, types="n\n")
        assert (refused.code, "plan to erase" in refused.err) == (Exit.REFUSED, True)
        assert environment.everyone() == before
        assert not Path("receipt.jsonl").exists()
        assert run(*arguments, types="y\n").code == Exit.DONE
        assert Receipt.load("receipt.jsonl").complete
        assert not any(holders({"bird": environment.everyone()["bird"]}, [Identifier.email(person)]).values())

    def test_yes_does_not_ask(self, environment: Environment, person: str, run: Run) -> None:
        done = run("erase", "--email", person, "--accounts", "bird", "--yes", "--json")
        assert (done.code, done.json["state"]) == (Exit.DONE, "done")
        assert Receipt.load(done.json["receipt"]).complete

    def test_without_people_it_is_a_usage_error(self, environment: Environment, run: Run) -> None:
        assert run("erase", "--accounts", "bird").code == Exit.USAGE


class TestOtherPlans:
    def test_each_of_them(self, environment: Environment, run: Run) -> None:
        client = environment.clients["bird"]
        contacts = [c for c in client.export() if c.phone and c.email]
        list_id = client.lists()[0].id
        for arguments in (
            ("delete", "bird", "--id", contacts[0].id),
            ("remove-identifier", "--phone", contacts[1].phone, "--accounts", "bird"),
            ("remove-from-list", "bird", list_id, "--email", contacts[2].email),
            ("add-to-list", "bird", list_id, "--email", contacts[3].email),
        ):
            assert run("plan", *arguments, "--to", "plan.jsonl").code == Exit.DONE
            shown = run("plan", "show", "plan.jsonl")
            assert (shown.code, f"plan to {arguments[0]}" in shown.out) == (Exit.DONE, True)
            assert json.loads(run("plan", "show", "plan.jsonl", "--json").out.splitlines()[0])["kind"] == arguments[0]
            assert run("apply", "plan.jsonl", "--yes").code == Exit.DONE
        after = {contact.id: contact for contact in client.export()}
        assert contacts[0].id not in after
        assert after[contacts[1].id].phone is None
        members = {c.id for c in client.export(lists=[list_id])}
        assert (contacts[2].id in members, contacts[3].id in members) == (False, True)

    @pytest.mark.parametrize(
        "arguments",
        [
            ("delete", "bird"),
            ("remove-identifier", "--accounts", "bird"),
            ("remove-from-list", "bird", "x"),
            ("add-to-list", "bird", "x"),
        ],
    )
    def test_without_anybody_it_is_a_usage_error(
        self, environment: Environment, run: Run, arguments: tuple[str, ...]
    ) -> None:
        assert run("plan", *arguments).code == Exit.USAGE


class TestApply:
    def test_an_altered_plan_is_refused(self, environment: Environment, person: str, run: Run) -> None:
        run("plan", "erase", "--email", person, "--accounts", "bird", "--to", "plan.jsonl")
        path = Path("plan.jsonl")
        path.write_text(path.read_text().replace('"contact": "', '"contact": "0', 1))
        told = run("apply", "plan.jsonl", "--yes")
        assert told.code == Exit.REFUSED
        assert "altered" in told.err

    def test_a_change_since_is_refused_and_replan_shows_it(
        self, environment: Environment, person: str, run: Run
    ) -> None:
        run("plan", "erase", "--email", person, "--accounts", ALL, "--to", "plan.jsonl")
        assert "nothing has changed" in run("apply", "plan.jsonl", "--replan").out
        (gone,) = Plan.load("plan.jsonl").by_account["bird"].changes
        environment.clients["bird"].delete_contacts([gone.contact])
        told = run("apply", "plan.jsonl", "--yes", "--json")
        assert told.code == Exit.REFUSED
        assert json.loads(told.err.splitlines()[-1])["error"]["type"] == "PlanRefused"
        told = run("apply", "plan.jsonl", "--replan", "--json")
        assert json.loads(told.out)["differences"] == [f"bird: contact {gone.contact} is gone"]
        assert run("apply", "plan-new.jsonl", "--yes").code == Exit.DONE

    def test_whoever_is_still_there_is_named_and_the_exit_code_is_partial(
        self, environment: Environment, person: str, run: Run
    ) -> None:
        run("plan", "erase", "--email", person, "--accounts", "sendgrid", "--to", "plan.jsonl")
        environment.sandbox.faults.set("job-fails", None)
        done = run("apply", "plan.jsonl", "--yes", "--timeout", "0.2")
        assert done.code == Exit.PARTIAL
        assert "person 1 in sendgrid: present: 1 of 1 contacts still there" in done.out
        environment.sandbox.faults.clear()
        name = list_runs()[0].id
        assert f"contacts runs resume {name}" in done.out
        assert run("runs", "resume", name, "--yes").code == Exit.DONE
        assert "1" in run("tombstones", "count").out

    def test_as_json(self, environment: Environment, person: str, run: Run) -> None:
        run("plan", "erase", "--email", person, "--accounts", "bird", "--to", "plan.jsonl")
        done = json.loads(run("apply", "plan.jsonl", "--yes", "--json").out)
        assert (done["state"], done["absent"], done["present"], done["unknown"]) == ("done", 1, 0, 0)
        assert Receipt.load(done["receipt"]).run == done["run"]

    def test_a_vendor_that_cannot_be_reached_is_named_and_nothing_is_changed(
        self, environment: Environment, person: str, run: Run
    ) -> None:
        run("plan", "erase", "--email", person, "--accounts", ALL, "--to", "plan.jsonl")
        before = environment.everyone()
        Path("bird.key").write_text("revoked")
        told = run("apply", "plan.jsonl", "--yes")
        assert told.code == Exit.FAILED
        # The receipt's words are ours; what the vendor said is told beside it.
        assert "nothing was changed; bird: the vendor refused the key (Unauthenticated, status 401)" in told.out
        assert "bird POST /contacts/search [401]" in told.err
        assert environment.everyone() == before

    def test_workers_want_postgresql(self, environment: Environment, person: str, run: Run) -> None:
        run("plan", "erase", "--email", person, "--accounts", "bird", "--to", "plan.jsonl")
        assert run("apply", "plan.jsonl", "--yes", "--detach").code == Exit.USAGE
        assert "PostgreSQL" in run("worker").err

    def test_ctrl_c_says_how_to_go_on(self, environment: Environment, person: str, run: Run) -> None:
        run("plan", "erase", "--email", person, "--accounts", "sendgrid", "--to", "plan.jsonl")
        environment.sandbox.faults.set("job-never-ends", None)
        process = subprocess.Popen(
            [*COMMAND, "apply", "plan.jsonl", "--yes"],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ},
        )
        while not any(
            exchange.path.startswith("/v3/marketing/contacts/imports") for exchange in list(environment.seen)
        ):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        assert process.returncode == Exit.INTERRUPTED
        (interrupted,) = list_runs()
        assert "finishing the steps under way" in told
        assert f"contacts runs resume {interrupted.id}" in told
        assert "interrupted" in run("runs").out
        assert f"contacts runs resume {interrupted.id}" in run("runs", "show", interrupted.id).err
        assert "cancelled" in run("runs", "cancel", interrupted.id).out
        shown = run("runs", "show", interrupted.id)
        assert "not verified: the run ended before" in shown.out


class TestRuns:
    def test_they_are_listed_and_shown(self, receipt: Path, run: Run) -> None:
        name = Receipt.load(receipt).run
        assert name in run("runs").out
        assert [one["id"] for one in json.loads(run("runs", "--json").out)] == [name]
        assert (
            run("runs", "--fields", "id,state,accounts", "--sort", "-begun_at").out
            == f"{name}\tdone\t{ALL.replace(',', ', ')}\n"
        )
        assert json.loads(run("runs", "--fields", "id,people", "--json").out) == [{"id": name, "people": 1}]
        assert run("runs", "--csv").out.startswith("id,kind,state,reason,accounts,people,round,begun_at,ended_at")
        assert "bird\tdone\t" in run("runs", "show", name).out
        told = json.loads(run("runs", "show", name, "--json").out)
        assert told["run"]["state"] == "done"
        assert {each["phase"] for each in told["progress"]} == {"done"}
        assert json.loads(run("runs", "cancel", name, "--json").out)["state"] == "done"
        assert run("runs", "show", "nonsense").code == Exit.USAGE

    def test_none_yet(self, run: Run) -> None:
        assert "no runs yet" in run("runs").err


class TestReceipts:
    def test_verify(self, receipt: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        told = run("receipt", "verify", receipt)
        assert told.code == Exit.DONE
        assert "whole: " in told.out
        assert "sealed with our key" in told.out
        assert "not signed" in told.out
        monkeypatch.setenv("CONTACTS_RECEIPT_KEY", "quite another key than before")
        told = run("receipt", "verify", receipt)
        assert (told.code, "NOT sealed" in told.out) == (Exit.FAILED, True)
        monkeypatch.delenv("CONTACTS_RECEIPT_KEY")
        told = run("receipt", "verify", receipt, "--storage", "elsewhere", "--json")
        assert json.loads(told.out)["sealed"] is None
        assert not Path("elsewhere").exists()

    def test_a_changed_receipt_is_refused(self, receipt: Path, run: Run) -> None:
        receipt.write_bytes(receipt.read_bytes().replace(b'"absent"', b'"Absent"', 1))
        told = run("receipt", "verify", receipt)
        assert told.code == Exit.FAILED
        assert "is not valid" in told.err

    def test_a_signature_by_reference(
        self, environment: Environment, person: str, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        private = Ed25519PrivateKey.generate()
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        Path("signing.pem").write_bytes(pem)
        monkeypatch.setenv("CONTACTS_SIGNING_KEY", "file:signing.pem")
        run("plan", "erase", "--email", person, "--accounts", "bird", "--to", "plan.jsonl")
        run("apply", "plan.jsonl", "--yes", "--receipt", "receipt.jsonl")
        public = Signer.from_pem(pem).public_key
        assert f"signed by {public}" in run("receipt", "verify", "receipt.jsonl").out
        assert "signed by that key" in run("receipt", "verify", "receipt.jsonl", "--public-key", public).out
        assert run("receipt", "verify", "receipt.jsonl", "--public-key", "AAAA").code == Exit.FAILED

    def test_find(self, receipt: Path, person: str, run: Run) -> None:
        told = run("receipt", "find", receipt, "--email", person.upper())
        assert told.code == Exit.DONE
        assert told.out.count("absent") == 3
        assert person not in told.out.lower()
        assert len(json.loads(run("receipt", "find", receipt, "--email", person, "--json").out)) == 3
        told = run("receipt", "find", receipt, "--email", "nobody@example.com")
        assert (told.code, "not in this receipt" in told.out) == (Exit.PARTIAL, True)
        assert run("receipt", "find", receipt).code == Exit.USAGE

    def test_report(self, receipt: Path, run: Run) -> None:
        assert run("receipt", "report", receipt, "--to", "report.html", "--title", "January").code == Exit.DONE
        page = Path("report.html").read_text()
        assert "<h1>January</h1>" in page
        assert "Everybody is verified to be absent" in page


class TestTombstones:
    def test_an_import_names_the_rows_it_holds_back(
        self, environment: Environment, receipt: Path, person: str, run: Run
    ) -> None:
        lines = [
            {"identifiers": [{"kind": "email", "value": "new@example.com"}]},
            {"identifiers": [{"kind": "email", "value": person.upper()}]},
        ]
        Path("people.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        told = run("upsert", "bird", "--from-file", "people.jsonl")
        assert told.code == Exit.PARTIAL
        assert "row 2 is held back, erased on 20" in told.out
        assert "1 confirmed" in told.out
        assert run("upsert", "bird", "--from-file", "people.jsonl", "--recreate-erased").code == Exit.DONE

    def test_they_can_be_lifted(self, environment: Environment, receipt: Path, person: str, run: Run) -> None:
        assert json.loads(run("tombstones", "count", "--json").out) == {"count": 1}
        assert run("tombstones", "lift", "--email", person).code == Exit.REFUSED
        assert "1 tombstone(s) removed" in run("tombstones", "lift", "--email", person.upper(), "--yes").out
        assert run("tombstones", "lift", "--yes").code == Exit.USAGE
        assert "0 identifier(s)" in run("tombstones", "count").out

    def test_without_a_state_there_are_none(self, run: Run) -> None:
        assert "0 identifier(s)" in run("tombstones", "count").out

    def test_every_client_holds_back(self, environment: Environment, receipt: Path, person: str) -> None:
        from contacts_core.errors import ConfigurationError

        erased, other = (
            Contact(identifiers=(Identifier.email(person),)),
            Contact(identifiers=(Identifier.email("other@example.com"),)),
        )
        for client in environment.accounts:
            outcome = client.upsert_contacts([other, erased, other])
            (failure,) = [each for each in outcome.failed if "held back" in each.reason]
            assert "row 2" in failure.reason
            assert person not in repr(outcome)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CONTACTS_RECEIPT_KEY", "quite another key than before")
            with pytest.raises(ConfigurationError, match="made with the receipt key"):
                environment.accounts[0].upsert_contacts([erased])
        assert len(Tombstones(locate_storage())) == 1
        assert isinstance(environment.accounts[0], Contacts)


def test_a_command_inside_the_sandbox_sees_only_the_sandbox(tmp_path: Path) -> None:
    code = "import os, sys; print(os.environ['CONTACTS_STORAGE'], os.environ['BIRD_BASE_URL']); sys.exit(7)"
    command = [*COMMAND, "sandbox", "--port", "0", "--contacts", "1", "--"]
    done = subprocess.run([*command, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 7
    place, address = done.stdout.split()
    assert address.startswith("http://127.0.0.1:")
    assert not Path(place).exists()
    done = subprocess.run([*command, str(tmp_path / "nothing")], capture_output=True, text=True, check=False)
    assert (done.returncode, "there is no command" in done.stderr) == (Exit.USAGE, True)


class TestAftercare:
    def test_suppressions_are_kept_and_mail_data_is_erased_as_commands_say(
        self, environment: Environment, person: str, run: Run
    ) -> None:
        options = ("--email", person, "--accounts", "bird,sendgrid", "--to", "plan.jsonl")
        planned = run("plan", "erase", *options, "--keep-suppressions", "--mail-data")
        assert planned.code == Exit.DONE, planned.err
        assert "keep" in planned.out
        assert "suppressions" in planned.out
        operations = {change.operation for part in Plan.load("plan.jsonl").accounts for change in part.changes}
        assert operations >= {"delete_contacts", "write_consent", "erase_mail_data"}
        done = run("apply", "plan.jsonl", "--yes", "--receipt", "receipt.jsonl", "--json")
        assert (done.code, done.json["state"]) == (Exit.DONE, "done")
        stages = {line["operation"] for line in Receipt.load("receipt.jsonl").of("stage")}
        assert stages >= {"write_consent", "erase_mail_data"}
        kept = environment.clients["sendgrid"].find_consent([Identifier.email(person)])
        assert kept[Identifier.email(person)]
        assert not environment.clients["sendgrid"].find([Identifier.email(person)]).get_all(Identifier.email(person))

    def test_without_these_options_neither_is_done(self, environment: Environment, person: str, run: Run) -> None:
        options = ("--email", person, "--accounts", "bird,sendgrid", "--to", "plan.jsonl")
        assert run("plan", "erase", *options).code == Exit.DONE
        operations = {change.operation for part in Plan.load("plan.jsonl").accounts for change in part.changes}
        assert operations == {"delete_contacts"}

    @pytest.mark.parametrize("option", ["--keep-suppressions", "--mail-data"])
    def test_where_no_vendor_can_do_it_nothing_is_planned(
        self, option: str, environment: Environment, person: str, run: Run
    ) -> None:
        done = run("plan", "erase", "--email", person, "--accounts", "user-api", option, "--to", "plan.jsonl")
        assert (done.code, Path("plan.jsonl").exists()) == (Exit.REFUSED, False)
