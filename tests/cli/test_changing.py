"""Commands that change something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from contacts_core import Identifier
from contacts_core.cli import formatting as wording
from contacts_core.cli.errors import handled
from contacts_core.cli.output import Exit
from contacts_core.errors import Cancelled, Forbidden, Interrupted, Unavailable
from contacts_core.formats import plain
from contacts_core.models import Failure, JobState, Outcome
from tests.cli.fake_provider import Run, Vendor, person

SENDS = ("delete", "remove", "add to", "upsert", "create", "change")


def sent(vendor: Vendor) -> list[str]:
    return [call for call in vendor.calls if call.startswith(SENDS)]


LOSING = [
    ("delete", "acme", "id-1"),
    ("delete", "acme", "--email", "person1@example.com"),
    ("delete", "acme", "--all", "--confirm", "acme"),
    ("remove-identifier", "acme", "id-1", "--phone", "+15550100001"),
    ("remove-from-list", "acme", "l1", "id-1", "--email", "person2@example.com"),
    ("delete-list", "acme", "l1"),
    ("change", "acme", "id-1", "--field", "title=Baker"),
    ("request", "acme", "DELETE", "/x"),
    ("request", "acme", "post", "/x", "--data", "{}"),
]


@pytest.mark.parametrize("command", LOSING)
def test_without_a_terminal_nothing_is_lost(command: tuple[str, ...], run: Run, vendor: Vendor) -> None:
    done = run(*command)
    assert done.code == Exit.REFUSED
    assert "nothing was changed" in done.err
    assert "--yes" in done.err
    assert done.out == ""
    assert sent(vendor) == []


@pytest.mark.parametrize("command", LOSING)
@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_whoever_does_not_say_yes_has_said_no(command: tuple[str, ...], answer: str, run: Run, vendor: Vendor) -> None:
    done = run(*command, types=answer)
    assert done.code == Exit.REFUSED
    assert "about to" in done.err
    assert sent(vendor) == []


@pytest.mark.parametrize("command", LOSING[:-2])
def test_whoever_says_yes_is_heeded(command: tuple[str, ...], run: Run, vendor: Vendor) -> None:
    done = run(*command, types="y\n")
    assert done.code == Exit.DONE
    assert "Go on?" in done.err
    assert ": done (" in done.out
    assert sent(vendor)


def test_what_is_shown_before_a_delete(run: Run, vendor: Vendor) -> None:
    done = run("delete", "acme", "id-1", "--email", "person2@example.com", "--email", "x@example.com", types="y\n")
    assert "about to delete 2 contact(s) for good, on acme (Acme Mail, https://api.acme.example)" in done.err
    assert "id-1 email:person1@example.com phone:+15550100001" in done.err
    assert "id-2 email:person2@example.com" in done.err
    assert "not there: x@example.com" in done.err
    assert "at once" in done.err
    assert "person" not in done.out
    assert "delete_contacts: done (3 asked for, 2 confirmed, 1 not there)" in done.out


def test_many_are_counted_and_emulation_is_named(run: Run, vendor: Vendor) -> None:
    done = run("remove-from-list", "acme", "l1", *(f"id-{n}" for n in range(1, 14)), types="n\n")
    assert "  id-10\n  and 3 more\n" in done.err
    assert "emulated" in done.err


def test_an_outcome_as_json(run: Run, vendor: Vendor) -> None:
    done = run("delete", "acme", "id-1", "id-9", "--email", "person1@example.com", "--yes", "--json")
    assert done.code == Exit.DONE
    assert (done.json["state"], done.json["requested"], done.json["confirmed"]) == ("done", 2, ["id-1"])
    assert done.json["absent"] == ["id-9"]
    assert sent(vendor) == ["delete id-1,id-9"]


def test_nobody_to_delete_is_no_question_and_is_said_plainly(run: Run, vendor: Vendor) -> None:
    done = run("delete", "acme", "--email", "x@example.com")
    assert done.code == Exit.PARTIAL
    assert "nothing was there (1 asked for, 1 not there)" in done.out
    assert "no contact has email:x***@example.com" in done.err
    assert sent(vendor) == []


def test_deleting_from_a_file(run: Run, vendor: Vendor, tmp_path: Path) -> None:
    lines = tmp_path / "leavers.txt"
    lines.write_text("\ufeffid-1\r\n\n person2@example.com \n", "utf-8")
    assert run("delete", "acme", "--from-file", lines, "--yes").code == Exit.DONE
    people = tmp_path / "leavers.jsonl"
    people.write_text("".join(json.dumps(plain(person(n))) + "\n" for n in (3, 4)), "utf-8")
    assert run("delete", "acme", "--from-file", people, "--yes").code == Exit.DONE
    assert list(vendor.people) == ["id-5"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("leavers.csv", "id-1\n"),
        ("leavers.txt", "id-1,person1@example.com\n"),
        ("leavers.jsonl", '{"id": "id-1", "provider": "another"}\n'),
        ("leavers.jsonl", '{"provider": "acme"}\n'),
        ("leavers.jsonl", "id-1\n"),
    ],
)
def test_a_file_of_another_kind_is_refused(name: str, content: str, run: Run, vendor: Vendor, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    assert run("delete", "acme", "--from-file", tmp_path / name, "--yes").code == Exit.USAGE
    assert sent(vendor) == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("id-1", "--all"),
        ("id-1", "--confirm", "acme"),
        ("--from-file", "nowhere.txt"),
    ],
)
def test_a_delete_that_is_not_clear_is_a_usage_error(arguments: tuple[str, ...], run: Run, vendor: Vendor) -> None:
    assert run("delete", "acme", *arguments, "--yes").code == Exit.USAGE
    assert sent(vendor) == []


@pytest.mark.parametrize("confirm", [(), ("--confirm", "Acme"), ("--confirm", "")])
def test_everyone_is_deleted_only_by_the_exact_name(confirm: tuple[str, ...], run: Run, vendor: Vendor) -> None:
    done = run("delete", "acme", "--all", *confirm, "--yes")
    assert done.code == Exit.REFUSED
    assert "--confirm acme" in done.err
    assert sent(vendor) == []
    done = run("delete", "acme", "--all", "--confirm", "acme", "--yes")
    assert "all 5 contacts" in done.err
    assert "5 confirmed" in done.out


def test_everyone_is_not_deleted_by_the_name_of_the_vendor(
    run: Run, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "contacts.toml"
    file.write_text('[accounts.crm]\nprovider = "acme"\napi_key = "env:ACME_API_KEY"\n', "utf-8")
    monkeypatch.setenv("CONTACTS_FILE", str(file))
    monkeypatch.setenv("CONTACTS_ACCOUNT", "crm")
    done = run("delete", "--all", "--confirm", "acme", "--yes")
    assert done.code == Exit.REFUSED
    assert "--confirm crm" in done.err
    assert sent(vendor) == []
    assert run("delete", "--all", "--confirm", "crm", "--yes").code == Exit.DONE


def test_accepted_is_not_done(run: Run, vendor: Vendor) -> None:
    vendor.queues = True
    done = run("delete", "queue", "id-1", "--yes")
    assert done.code == Exit.DONE
    assert "accepted, not done" in done.out
    assert "contacts job queue job-1 --wait" in done.out
    assert "does it later" in done.err
    assert run("delete", "queue", "id-2", "--yes", "--json").json["pending"] == ["job-2"]


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        (JobState.DONE, Exit.DONE, "done (1 asked for, 1 confirmed)"),
        (JobState.FAILED, Exit.PARTIAL, "failed"),
        (JobState.UNKNOWN, Exit.PARTIAL, "cannot be read"),
    ],
)
def test_waiting_for_the_end(end: JobState, code: Exit, words: str, run: Run, vendor: Vendor) -> None:
    vendor.queues, vendor.ends_as = True, end
    done = run("delete", "queue", "id-1", "--yes", "--wait")
    assert words in done.out
    assert done.code in {code, Exit.FAILED} if end is JobState.FAILED else done.code == code
    assert "waiting for 1 job(s)" in done.err


def test_patience_ends(run: Run, vendor: Vendor) -> None:
    vendor.queues, vendor.ends_as = True, JobState.PENDING
    done = run("delete", "queue", "id-1", "--yes", "--wait", "--timeout", "0.02", "--json")
    assert done.code == Exit.PARTIAL
    assert done.json["state"] == "accepted"
    assert (done.error["type"], done.error["job"]) == ("JobTimeout", "job-1")


def test_ctrl_c_while_waiting_still_tells_the_job(run: Run, vendor: Vendor) -> None:
    vendor.queues, vendor.errors["check job-1"] = True, KeyboardInterrupt()
    done = run("delete", "queue", "id-1", "--yes", "--wait")
    assert done.code == Exit.INTERRUPTED
    assert "job-1" in done.out
    assert "interrupted" in done.err


@pytest.mark.parametrize(("why", "code"), [(Unavailable("no"), Exit.PARTIAL), (Cancelled(), Exit.INTERRUPTED)])
def test_what_was_reached_is_told(why: Exception, code: Exit, run: Run, vendor: Vendor) -> None:
    vendor.errors["delete id-3,id-4"] = why
    people = [f"id-{n}" for n in range(1, 6)]
    done = run("delete", "acme", *people, "--yes", "--json")
    assert done.code == code
    assert done.json["confirmed"] == ["id-1", "id-2"]
    assert {*done.json["uncertain"], *done.json["unsent"]} == {"id-3", "id-4", "id-5"}
    assert done.error["type"] == "Interrupted"
    assert done.error["uncertain"] + done.error["unsent"] == 3
    assert "id-3" not in done.err.splitlines()[-1]


def test_ctrl_c_in_the_middle_tells_what_was_reached(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(operation="delete_contacts", provider="acme", requested=1, confirmed=("id-1",))
    with pytest.raises(typer.Exit) as left, handled("acme", as_json=True):
        raise KeyboardInterrupt from Interrupted(outcome, ["id-2"], ["id-3"], "interrupted by the user")
    assert left.value.exit_code == Exit.INTERRUPTED
    told = json.loads(capsys.readouterr().out)
    assert (told["confirmed"], told["uncertain"], told["unsent"]) == (["id-1"], ["id-2"], ["id-3"])


def test_what_was_reached_in_words(run: Run, vendor: Vendor) -> None:
    vendor.errors["delete id-3,id-4"] = Forbidden("no")
    done = run("delete", "acme", "id-1", "id-2", "id-3", "id-4", "--yes")
    assert done.code == Exit.PARTIAL
    assert "2 confirmed" in done.out
    assert "run the command again" in done.err


def test_a_refusal_of_the_vendor(run: Run, vendor: Vendor) -> None:
    done = run("remove-identifier", "acme", "id-1", "--email", "x@example.com", "--yes")
    assert done.code == Exit.FAILED
    assert "refused: x***@example.com: it is not there" in done.out


def test_what_the_vendor_has_no_place_for_is_told(run: Run, vendor: Vendor) -> None:
    done = run("remove-identifier", "acme", "id-1", "--email", "person1@example.com", "--yes")
    assert "no field for it: label" in done.out


@pytest.mark.parametrize("given", [(), ("--email", "a@example.com", "--phone", "+15550100001")])
def test_exactly_one_identifier_is_removed(given: tuple[str, ...], run: Run, vendor: Vendor) -> None:
    assert run("remove-identifier", "acme", "id-1", *given, "--yes").code == Exit.USAGE


def test_lists(run: Run, vendor: Vendor) -> None:
    done = run("remove-from-list", "acme", "l1", "id-1", "--yes")
    assert "emulated: read" in done.out
    assert run("remove-from-list", "acme", "l1", "--yes").code == Exit.USAGE
    done = run("add-to-list", "acme", "l1", "id-1", "--external-id", "x")
    assert done.code == Exit.PARTIAL
    assert "1 not confirmed" in done.out
    assert run("create-list", "acme", "Fair").out == "list l2 created: Fair\n"
    assert run("create-list", "acme", "Fair", "--json").json["id"] == "l2"
    assert run("delete-list", "acme", "l1", "--yes", "--json").json["confirmed"] == ["l1"]


def test_a_list_that_is_there_is_not_created_again(run: Run, vendor: Vendor) -> None:
    done = run("create-list", "acme", "News [bold]", "--if-missing")
    assert (done.code, done.out) == (Exit.DONE, "list l1 is there: News [bold]\n")
    assert run("create-list", "acme", "Fair", "--if-missing", "--json").json["id"] == "l2"
    assert sent(vendor) == ["create list"]


def test_a_field_is_created(run: Run, vendor: Vendor) -> None:
    assert run("create-field", "acme", "plan").out == "field f9 created: plan, text\n"
    done = run("create-field", "acme", "rank", "--type", "number", "--json")
    assert (done.json["id"], done.json["type"]) == ("f9", "number")
    assert run("create-field", "acme", "rank", "--type", "numeral").code == Exit.USAGE
    assert "'score' already, of the type number" in run("create-field", "acme", "Score").err
    assert run("create-field", "acme", "x", "--type", "user").code == Exit.REFUSED
    assert sent(vendor) == ["create field"] * 2


def test_fields_are_changed_after_asking(run: Run, vendor: Vendor) -> None:
    command = ("change", "acme", "id-1", "--field", "first_name=Ada", "--field", "title=Baker", "--clear", "custom.zip")
    done = run(*command, types="n\n")
    assert done.code == Exit.REFUSED
    assert "about to change 3 field(s) of contact id-1, on acme" in done.err
    assert "  first_name = Ada  (now First1)\n  title = Baker\n  custom.zip is cleared\n" in done.err
    assert sent(vendor) == []
    done = run(*command, "--yes")
    assert "change_contact: done (1 asked for, 1 confirmed)" in done.out
    assert "Ada" not in done.out + done.err
    assert sent(vendor) == ["change id-1 {'first_name': 'Ada', 'title': 'Baker'} ['custom.zip']"]
    assert run(*command, "--yes", "--json").json["confirmed"] == ["id-1"]


def test_values_of_custom_fields_have_the_type_of_the_field(run: Run, vendor: Vendor) -> None:
    given = ("score=12", "vip=true", "since=2025-01-31", "zip=01234", "other=x")
    fields = [part for text in given for part in ("--field", f"custom.{text}")]
    assert run("change", "acme", "id-1", *fields, "--yes").code == Exit.DONE
    (call,) = sent(vendor)
    assert "'custom.score': 12, 'custom.vip': True, 'custom.since': datetime.date(2025, 1, 31)" in call
    assert "'custom.zip': '01234', 'custom.other': 'x'" in call
    timed = run("change", "acme", "id-1", "--field", "custom.since=2025-01-31T10:00:00Z", "--yes")
    assert timed.code == Exit.DONE
    assert "datetime.datetime(2025, 1, 31, 10, 0" in sent(vendor)[-1]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ((), Exit.USAGE),
        (("--field", "title"), Exit.USAGE),
        (("--field", "title="), Exit.USAGE),
        (("--field", "shoe=43"), Exit.USAGE),
        (("--field", "email=a@example.com"), Exit.USAGE),
        (("--field", "custom.score=many"), Exit.USAGE),
        (("--field", "title=Baker", "--clear", "title"), Exit.USAGE),
        (("--clear", "first_name"), Exit.REFUSED),
    ],
)
def test_what_is_no_change_is_not_sent(given: tuple[str, ...], code: Exit, run: Run, vendor: Vendor) -> None:
    assert run("change", "acme", "id-1", *given, "--yes").code == code
    assert run("change", "acme", "a@example.com", "--field", "title=x", "--yes").code == Exit.USAGE
    assert run("change", "bare", "id-1", "--field", "title=x", "--yes").code == Exit.REFUSED
    assert sent(vendor) == []


def test_upsert_drops_the_ids_of_another_provider(run: Run, vendor: Vendor, tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl"
    people = [person(1), person(2, provider="another")]
    path.write_text("".join(json.dumps(plain(each)) + "\n" for each in people), "utf-8")
    assert run("upsert", "acme", "--from-file", path, "--list", "l1").code == Exit.DONE
    assert sent(vendor) == ["upsert id-1 on l1", "upsert - on l1"]


def test_nothing_of_a_broken_file_is_sent(run: Run, vendor: Vendor, tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl"
    path.write_text('{"id": "id-1"}\n{"id": 2}\n', "utf-8")
    done = run("upsert", "acme", "--from-file", path)
    assert done.code == Exit.USAGE
    assert "people.jsonl, line 2" in done.err
    assert sent(vendor) == []


@pytest.mark.parametrize(
    "command",
    [
        ("delete", "bare", "id-1", "--yes"),
        ("delete", "bare", "--all", "--confirm", "bare", "--yes"),
        ("remove-identifier", "bare", "id-1", "--email", "a@example.com", "--yes"),
        ("remove-from-list", "bare", "l1", "id-1", "--yes"),
        ("delete-list", "bare", "l1", "--yes"),
        ("count", "bare"),
    ],
)
def test_what_a_provider_cannot_do_is_refused(command: tuple[str, ...], run: Run, vendor: Vendor) -> None:
    done = run(*command, "--json")
    assert done.code == Exit.REFUSED
    assert done.error["type"] == "UnsupportedOperation"


def test_who_cannot_be_looked_up_is_shown_by_id(run: Run, vendor: Vendor) -> None:
    vendor.errors["get"] = Unavailable("no")
    done = run("delete", "acme", "id-1", types="n\n")
    assert "\n  id-1\n" in done.err


def test_many_refusals_are_counted(vendor: Vendor) -> None:
    failed = tuple(Failure(f"id-{n}", "no") for n in range(12))
    lines = wording.outcome(Outcome(operation="delete_contacts", requested=12, failed=failed), "acme")
    assert lines[0] == "delete_contacts: failed (12 asked for, 12 refused)"
    assert lines[-1] == "  refused: 2 more (all of them with --json)"


def test_a_phone_number_without_its_country_is_doubted(run: Run, vendor: Vendor) -> None:
    done = run("delete", "acme", "--phone", "5550100001", "--yes")
    assert done.code == Exit.PARTIAL
    assert "is not an international number" in done.err
    assert "5550100001" not in done.err
    assert len(vendor.people) == 5


def test_the_normal_form_in_json_is_accepted_back(run: Run, vendor: Vendor, tmp_path: Path) -> None:
    stored = Identifier.phone("(202) 555-0143", "+1")
    vendor.people = {"id-1": person(1, identifiers=(stored,))}
    (phone,) = run("search", "acme", "--list", "l1", "--json").lines[0]["identifiers"]
    assert (phone["value"], phone["normal"]) == ("(202) 555-0143", "+12025550143")
    found = run("find", "acme", "--phone", phone["normal"], "--json").json
    assert found["found"] == 1
    people = tmp_path / "people.jsonl"
    people.write_text(run("export", "acme", "--json").out)
    assert run("upsert", "acme", "--from-file", people).code == Exit.DONE
    people.write_text(people.read_text().replace("+12025550143", "+12025550144"))
    refused = run("upsert", "acme", "--from-file", people)
    assert refused.code == Exit.USAGE
    assert "normal is not the normal form of value" in refused.err
