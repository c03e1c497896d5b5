"""`contacts copy` and what belongs to it: what it refuses and why, what it leaves alone, and how it ends."""

from __future__ import annotations

import csv
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from contacts_core import Channel, Consent, ConsentState, Contact, Contacts, Identifier
from contacts_core.cli.output import Exit
from contacts_core.formats import plain
from contacts_core.models import FieldType
from contacts_core.plans import Plan, Receipt, list_runs
from contacts_core.provider import get
from contacts_local import Local
from contacts_sendgrid import api
from contacts_sendgrid.payloads import Segments
from tests.cli.fake_provider import Ran, Run
from tests.plans.environment import Environment, lively, open_environment

COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'contacts'; from contacts_core.cli import main; main()"]
DATES = ("--accept-loss", "DATE_LOST")
LOSSES = (*DATES, *(text for code in ("REASON_LOST", "NO_PLACE", "NO_FIELD") for text in ("--accept-loss", code)))
ALL = ("--create-fields", "--create-lists", "--max-share", "100%", *LOSSES, "--yes")

Open: TypeAlias = Callable[[str], Contacts[Local]]


def person(n: int, **values: Any) -> Contact:
    given: dict[str, Any] = {"identifiers": (Identifier.email(f"jane{n}@example.com"),), "first_name": f"Jane{n}"}
    return Contact(**(given | values))


def refused(n: int) -> Consent:
    return Consent(Identifier.email(f"jane{n}@example.com"), Channel.EMAIL, ConsentState.REVOKED)


def emails(client: Contacts[Any]) -> list[str]:
    return sorted(contact.email or "" for contact in client.export())


def lines_of(*people: Contact) -> str:
    return "".join(json.dumps(plain(each)) + "\n" for each in people)


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Files of contacts as accounts: ``old`` has three people, and ``new`` nobody."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setenv("CONTACTS_FILE", str(tmp_path / "accounts.toml"))
    names = ("old", "new")
    text = "\n".join(f'[accounts.{name}]\nprovider = "local"\npath = "{tmp_path / name}.db"' for name in names)
    (tmp_path / "accounts.toml").write_text(text, encoding="utf-8")
    with lively(), Contacts(Local(path=tmp_path / "old.db"), name="old") as old:
        old.upsert_contacts(map(person, range(3)))
        with Contacts(Local(path=tmp_path / "new.db"), name="new") as new:
            yield {"old": old, "new": new}.__getitem__


@pytest.fixture
def moving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Environment, Environment]]]:
    """Accounts ``old`` and ``new`` of two vendors' emulators, the second one empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "220")
    (tmp_path / "accounts.toml").touch()
    monkeypatch.setenv("CONTACTS_FILE", str(tmp_path / "accounts.toml"))
    with lively(), open_environment(8) as first, open_environment(0) as second:

        def start(old: str, new: str) -> tuple[Environment, Environment]:
            lines: list[str] = []
            for name, served, provider in (("old", first, old), ("new", second, new)):
                lines += [f"[accounts.{name}]", f'provider = "{provider}"']
                for key, value in served.server.settings(provider).items():
                    written = value
                    if "key" in key:
                        (tmp_path / f"{name}.{key}").write_text(value, encoding="utf-8")
                        written = f"file:{tmp_path / name}.{key}"
                    lines.append(f"{key} = {json.dumps(written)}")
            (tmp_path / "accounts.toml").write_text("\n".join(lines), encoding="utf-8")
            return first, second

        yield start


class TestWhatIsRefused:
    def test_a_loss_is_shown_before_anything_is_written(self, local: Open, run: Run) -> None:
        done = run("copy", "old", "new", "--yes")
        assert done.code == Exit.REFUSED
        assert "DATE_LOST:created_at" in done.err
        assert "j***@example.com" in done.err
        assert "to go on although all of this is lost: --accept-loss DATE_LOST\n" in done.err
        assert "jane0@example.com" not in done.out + done.err
        assert not emails(local("new"))

    def test_a_loss_is_a_document_with_json(self, local: Open, run: Run) -> None:
        done = run("copy", "old", "new", "--yes", "--json")
        assert (done.code, done.error["type"]) == (Exit.REFUSED, "LossesNotAccepted")
        assert "DATE_LOST" in done.error["message"]
        assert done.out == ""

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (("--accept-loss", "WRONG"), "the codes are NO_PLACE"),
            (("--accept-loss", "NO_CONSENT"), "NO_CONSENT is accepted with a field only"),
            (("--accept-loss", "REFUSED"), "REFUSED is accepted with a field only"),
            (("--accept-loss", "REFUSED:*"), "a field is named whole"),
            (("--accept-loss", "NO_CONSENT:*"), "a field is named whole"),
            (("--accept-loss", "*"), "the codes are NO_PLACE"),
            (("--unsubscribed", "maybe"), "--unsubscribed is keep or skip"),
            (("--consent-in", "here"), "field:NAME or tag:NAME"),
            (("--consent-in", "field:"), "field:NAME or tag:NAME"),
            (("--consent-in", "field:consent"), "both vendors keep consent"),
            (("--only", "nonsense"), "--only 'nonsense', character"),
            (("--max-share", "200%"), "--max-share is a percentage"),
            (("--max-contacts", "0"), "--max-contacts"),
            (("--map", "missing.toml"), "No such file"),
        ],
    )
    def test_a_wrong_option_is_one_clear_line(self, given: tuple[str, ...], said: str, local: Open, run: Run) -> None:
        done = run("copy", "old", "new", "--yes", *given)
        assert done.code in {Exit.USAGE, Exit.REFUSED}
        assert said in " ".join(done.err.split())
        assert not emails(local("new"))

    @pytest.mark.parametrize("given", [("--max-contacts", "2"), ()])
    def test_more_than_the_limits_allow_is_refused(self, given: tuple[str, ...], local: Open, run: Run) -> None:
        if not given:  # a fifth of those that are there, if they are many
            local("new").upsert_contacts(person(n, first_name="Other") for n in range(3, 40))
            local("old").upsert_contacts(person(n) for n in range(3, 40))
        done = run("copy", "old", "new", *DATES, "--yes", *given)
        assert done.code == Exit.REFUSED
        assert ("--max-contacts" if given else "--max-share") in done.err
        assert "jane0@example.com" not in emails(local("new"))

    def test_an_account_is_not_copied_to_itself(self, local: Open, run: Run) -> None:
        done = run("copy", "old", "old")
        assert (done.code, "OLD and NEW are the same account, old" in done.err) == (Exit.USAGE, True)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[fields\n", "(at line 1"),
            ('[fields]\n\n"custom.a" = {type = "numbr"}\n', 'fields."custom.a".type: there is no such type'),
            ('[fields]\n\n"custom.a" = {type = "numbr"}\n', "(line 3)"),
            ('[lists]\nNews = 3\n\n[tags]\nvip = "VIP"\n', "(line 2)"),
            ("[list]\n", "there is no such section; choose from fields, lists"),
        ],
    )
    def test_a_wrong_map_names_the_line_and_what_helps(self, text: str, said: str, local: Open, run: Run) -> None:
        Path("map.toml").write_text(text, encoding="utf-8")
        done = run("copy", "old", "new", "--map", "map.toml", "--yes")
        assert done.code == Exit.USAGE
        assert said in done.err
        assert not emails(local("new"))

    @pytest.mark.parametrize(
        "option", [("--only", "first_name=Jane1"), ("--consent-in", "tag:no"), ("--unsubscribed", "skip")]
    )
    def test_a_file_has_no_query_and_no_consent(self, option: tuple[str, ...], local: Open, run: Run) -> None:
        done = run("copy", "-", "new", *option, stdin=lines_of(person(1)))
        assert (done.code, "a file holds contacts, and not who refused" in " ".join(done.err.split())) == (
            Exit.USAGE,
            True,
        )

    @pytest.mark.parametrize(("name", "text"), [("empty.csv", ""), ("head.csv", "email\n"), ("empty.jsonl", "\n")])
    def test_a_file_without_contacts_is_a_mistake(self, name: str, text: str, local: Open, run: Run) -> None:
        Path(name).write_text(text, encoding="utf-8")
        done = run("copy", name, "new", "--yes")
        assert done.code == Exit.USAGE
        assert "no contact" in done.err or "no header" in done.err or "empty" in done.err


class TestWhatIsCopied:
    def test_a_dry_run_writes_nothing(self, local: Open, run: Run) -> None:
        done = run("copy", "old", "new", *DATES, "--dry-run")
        assert done.code == Exit.DONE
        assert "3 people, 3 change(s)" in done.out
        assert "nothing was changed" in done.err
        assert "jane0@example.com" not in done.out
        assert (emails(local("new")), list_runs()) == ([], [])

    def test_a_dry_run_is_the_plan_with_json(self, local: Open, run: Run) -> None:
        done = run("copy", "old", "new", *DATES, "--dry-run", "--json")
        assert done.code == Exit.DONE
        assert Plan.parse(done.out).contacts == 3

    def test_a_copy_ends_with_counts_as_a_document_and_a_second_one_has_nothing_to_do(
        self, local: Open, run: Run
    ) -> None:
        done = run("copy", "old", "new", *DATES, "--yes", "--receipt", "receipt.jsonl", "--json")
        assert (done.code, done.json["state"], done.json["present"]) == (Exit.DONE, "done", 3)
        assert Receipt.load("receipt.jsonl").complete
        again = run("copy", "old", "new", *DATES, "--yes", "--json")
        assert (again.code, again.json["present"]) == (Exit.DONE, 0)
        assert "there is nothing to do" in run("copy", "old", "new", *DATES, "--dry-run").out
        assert run("check", "old", "new").code == Exit.DONE

    def test_only_whoever_matches_is_copied(self, local: Open, run: Run) -> None:
        done = run("copy", "old", "new", *DATES, "--only", "first_name=Jane1 or first_name=Jane2", "--yes")
        assert done.code == Exit.DONE
        assert emails(local("new")) == ["jane1@example.com", "jane2@example.com"]

    def test_a_question_that_is_declined_changes_nothing(self, local: Open, run: Run) -> None:
        done = run("copy", "old", "new", *DATES, types="n\n")
        assert (done.code, emails(local("new"))) == (Exit.REFUSED, [])
        assert run("copy", "old", "new", *DATES).code == Exit.REFUSED  # nobody is there to be asked

    @pytest.mark.parametrize("kept", ["keep", "skip"])
    def test_who_opted_out_is_copied_with_the_refusal_or_the_refusal_alone(
        self, kept: str, local: Open, run: Run
    ) -> None:
        local("old").write_consent([refused(1)])
        assert run("copy", "old", "new", *DATES, "--unsubscribed", kept, "--yes").code == Exit.DONE
        assert ("jane1@example.com" in emails(local("new"))) == (kept == "keep")
        (said,) = local("new").consent()
        assert (said.identifier.value, said.state) == ("jane1@example.com", ConsentState.REVOKED)

    def test_suppressed_people_who_are_no_contacts_are_suppressed_there(self, local: Open, run: Run) -> None:
        local("old").write_consent([refused(77)])
        assert run("copy", "old", "new", *DATES, "--yes").code == Exit.DONE
        assert [said.identifier.value for said in local("new").consent()] == ["jane77@example.com"]
        assert "jane77@example.com" not in emails(local("new"))

    def test_two_contacts_with_one_address_are_left_alone_and_told(self, local: Open, run: Run) -> None:
        twins = [person(5, id="a"), person(5, id="b", first_name="Other"), person(6, id="c")]
        done = run("copy", "-", "new", "--yes", stdin=lines_of(*twins))
        assert done.code == Exit.DONE
        assert "left alone: 2 contact(s), because it shares an identifier with another contact" in done.err
        assert emails(local("new")) == ["jane6@example.com"]
        assert "jane5" not in done.err
        checked = run("check", "-", "new", "--json", stdin=lines_of(*twins))
        assert (checked.code, checked.json["held"], checked.json["equal"]) == (Exit.PARTIAL, 2, 1)


class TestFiles:
    @pytest.mark.parametrize("form", ["csv", "jsonl"])
    @pytest.mark.parametrize("way", ["pipe", "file"])
    def test_contacts_come_from_a_file_or_a_pipe(self, form: str, way: str, local: Open, run: Run) -> None:
        people = [person(n, id=f"their-{n}") for n in (8, 9)]
        text = lines_of(*people)
        if form == "csv":
            text = "email,first_name\njane8@example.com,Jane8\njane9@example.com,Jane9\n"
        Path(f"people.{form}").write_text(text, encoding="utf-8")
        source = "-" if way == "pipe" else f"people.{form}"
        assert run("copy", source, "new", "--yes", stdin=text if way == "pipe" else "").code == Exit.DONE
        assert emails(local("new")) == ["jane8@example.com", "jane9@example.com"]
        assert run("check", source, "new", stdin=text if way == "pipe" else "").code == Exit.DONE

    def test_columns_of_a_csv_file_are_named_by_the_map(self, local: Open, run: Run) -> None:
        Path("people.csv").write_text("E-Mail;Vorname;Notiz\njane8@example.com;Jane;secret\n", encoding="utf-8")
        text = Path("people.csv").read_text("utf-8").replace(";", ",")
        Path("people.csv").write_text(text, encoding="utf-8")
        Path("map.toml").write_text('[columns]\n"E-Mail" = "email"\nVorname = "first_name"\nNotiz = false\n')
        assert run("copy", "people.csv", "new", "--map", "map.toml", "--yes").code == Exit.DONE
        (jane,) = local("new").export()
        assert (jane.email, jane.first_name, dict(jane.custom)) == ("jane8@example.com", "Jane", {})

    @pytest.mark.parametrize("command", ["copy", "check"])
    def test_a_first_map_is_written_and_no_file_is_replaced(self, command: str, local: Open, run: Run) -> None:
        local("old").create_custom_field("Rank", FieldType.NUMBER)
        local("new").create_custom_field("rank", FieldType.NUMBER)
        done = run(command, "old", "new", "--suggest-map", "map.toml")
        assert (done.code, "a first map is in map.toml" in done.out) == (Exit.DONE, True)
        assert "[fields]" in Path("map.toml").read_text("utf-8")
        assert stat.S_IMODE(Path("map.toml").stat().st_mode) == 0o600
        again = run(command, "old", "new", "--suggest-map", "map.toml")
        assert (again.code, "exists; name a new file" in again.err) == (Exit.USAGE, True)
        assert run("copy", "old", "new", "--map", "map.toml", *DATES, "--yes").code == Exit.DONE

    def test_what_differs_is_written_for_the_owner_alone(self, local: Open, run: Run) -> None:
        local("new").upsert_contacts([person(0, first_name="=cmd()")])
        Path("diff.csv").write_text("old", encoding="utf-8")
        Path("diff.csv").chmod(0o644)
        done = run("check", "old", "new", "--diff", "diff.csv", "--excel-safe", "--json")
        assert (done.code, done.json["missing"], done.json["different"]) == (Exit.PARTIAL, 2, 1)
        assert stat.S_IMODE(Path("diff.csv").stat().st_mode) == 0o600
        with Path("diff.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["status"], row["field"], row["found"]) for row in rows if row["field"]] == [
            ("different", "first_name", "'=cmd()")
        ]


class TestAtVendors:
    def test_a_target_that_subscribes_people_again_is_the_exit_code_3(
        self, moving: Callable[..., tuple[Environment, Environment]], run: Run
    ) -> None:
        _, second = moving("bird", "sendgrid")
        second.sandbox.faults.set("resubscribes", None)
        more = ("--accept-loss", "NO_CONSENT:granted,NO_CONSENT:revoked.sms,RETYPED", "--timeout", 5)
        done = run("copy", "old", "new", *ALL, *more, "--json")
        assert done.code == Exit.PARTIAL, done.err
        assert done.json["state"] == "incomplete"

    def test_a_field_with_the_same_name_and_another_type_is_a_loss_that_is_named(
        self, moving: Callable[..., tuple[Environment, Environment]], run: Run
    ) -> None:
        _, second = moving("bird", "sendgrid")
        second.clients["sendgrid"].create_custom_field("rank", FieldType.NUMBER)
        people = [person(1, id="a", custom={"rank": "first"}), person(2, id="b", custom={"rank": 2})]
        done = run("copy", "-", "new", "--yes", stdin=lines_of(*people))
        assert done.code == Exit.REFUSED
        assert "custom.rank" in done.err
        assert not list(second.clients["sendgrid"].export())

    @pytest.mark.parametrize("place", ["field:consent", "tag:unsubscribed"])
    def test_consent_is_kept_where_it_is_said_or_nothing_is_copied(
        self, place: str, moving: Callable[..., tuple[Environment, Environment]], run: Run
    ) -> None:
        _, second = moving("sendgrid", "user-api")
        refusal = run("copy", "old", "new", *ALL)
        assert refusal.code == Exit.REFUSED
        assert "keeps no consent" in refusal.err
        assert f"--consent-in {place.partition(':')[0]}:NAME" in refusal.err or "--consent-in field:NAME" in refusal.err
        assert not list(second.clients["user-api"].export())
        told = run("copy", "old", "new", *ALL, "--consent-in", place)
        assert (told.code, "NO_CONSENT:" in told.err) == (Exit.REFUSED, True)
        assert not list(second.clients["user-api"].export())
        (line,) = [each for each in told.err.splitlines() if each.startswith("to go on although")]
        options = line.partition(": ")[2].split()  # typed as it stands
        assert run("copy", "old", "new", *ALL, "--consent-in", place, *options).code == Exit.DONE
        refused_there = [
            contact
            for contact in second.clients["user-api"].export()
            if "revoked" in str(contact.custom.get("consent")) or "unsubscribed" in contact.tags
        ]
        assert bool(refused_there) == (
            place == "field:consent"
        )  # tags are not kept there, so these people are left out

    @pytest.mark.parametrize("command", [("copy",), ("plan", "copy")])
    def test_what_does_not_move_is_said_with_numbers(
        self, command: tuple[str, ...], moving: Callable[..., tuple[Environment, Environment]], run: Run
    ) -> None:
        moving("sendgrid", "bird")
        done = run(*command, "old", "new")
        assert done.code == Exit.REFUSED
        assert "not moved from old:" in done.err
        assert "3 segments: build them again" in done.err
        for what in ("templates", "automations", "statistics", "sender reputation"):
            assert what in done.err

    def test_what_the_vendor_does_not_count_is_named_without_numbers(
        self, moving: Callable[..., tuple[Environment, Environment]], run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        moving("sendgrid", "bird")
        monkeypatch.setattr(api, "segments", lambda: get("/v3/marketing/nowhere", Segments))
        done = run("copy", "old", "new", "--dry-run")
        assert "  segments: build them again" in done.err
        assert "DATE_LOST" in done.err

    def test_a_file_leaves_nothing_behind(self, local: Open, run: Run) -> None:
        assert "not moved" not in run("copy", "old", "new").err

    def test_ctrl_c_in_the_middle_tells_how_to_go_on(
        self, moving: Callable[..., tuple[Environment, Environment]], run: Run
    ) -> None:
        _, second = moving("sendgrid", "bird")
        second.sandbox.latency = 0.15
        command = [*COMMAND, "copy", "old", "new", *ALL]
        process = subprocess.Popen(
            command, env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while not any(exchange.status == 201 for exchange in list(second.seen)):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        second.sandbox.latency = 0
        (begun,) = list_runs()
        assert (process.returncode, out) == (Exit.INTERRUPTED, "")
        assert f"contacts runs resume {begun.id}" in err
        assert "done" not in err.replace("what is done", "")
        assert begun.state == "interrupted"
        resumed: Ran = run("runs", "resume", begun.id, "--yes", "--json")
        assert (resumed.code, resumed.json["state"]) == (Exit.DONE, "done")

    def test_the_plan_of_a_run_is_forgotten_and_can_no_more_be_undone(self, local: Open, run: Run) -> None:
        assert run("copy", "old", "new", *DATES, "--yes").code == Exit.DONE
        (begun,) = list_runs()
        assert run("runs", "forget", begun.id).code == Exit.REFUSED  # nobody is there to be asked
        forgotten = run("runs", "forget", begun.id, "--yes")
        assert (forgotten.code, "its plan is deleted, its receipt stays" in forgotten.out) == (Exit.DONE, True)
        undo = run("plan", "undo", begun.id)
        assert (undo.code, "its plan was deleted" in undo.err) == (Exit.REFUSED, True)
        assert run("runs", "show", begun.id, "--receipt", "again.jsonl").code == Exit.DONE
        assert run("runs", "forget", begun.id, "--yes", "--json").json["id"] == begun.id
        assert run("runs", "forget", "copy-2020-01-01-00000000", "--yes").code == Exit.USAGE

    def test_an_undone_copy_is_gone(self, local: Open, run: Run) -> None:
        assert run("copy", "old", "new", *DATES, "--yes").code == Exit.DONE
        (begun,) = list_runs()
        assert run("plan", "undo", begun.id, "--to", "undo.jsonl").code == Exit.DONE
        assert run("apply", "undo.jsonl", "--yes").code == Exit.DONE
        assert not emails(local("new"))
