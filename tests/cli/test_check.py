"""`contacts check`: counts, reasons and losses without whole identifiers; the whole ones are in a file."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from attrs import evolve

from contacts_core import Channel, Consent, ConsentState, Contact, Contacts, Identifier
from contacts_core.cli.output import Exit
from contacts_core.formats import plain, writer_for
from contacts_core.models import FieldType
from contacts_core.plans import FieldMap
from contacts_core.testing import MemoryProvider
from contacts_core.testing.memory_accounts import registered_accounts
from tests.cli.fake_provider import Run

Open: TypeAlias = Callable[[str], Contacts[MemoryProvider]]


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    path = tmp_path / "accounts.toml"
    monkeypatch.setenv("CONTACTS_FILE", str(path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    with registered_accounts(path) as opened:
        yield opened


def person(n: int, **values: Any) -> Contact:
    return Contact(identifiers=(Identifier.email(f"jane{n}@example.com"),), first_name=f"Jane{n}", **values)


def fill(client: Contacts[MemoryProvider], *people: Contact) -> None:
    for each in people:
        id = f"{client.name}-{len(client.provider.store.contacts)}"
        filled = evolve(each, provider="memory", id=id, lists=each.lists or ())
        client.provider.store.contacts[id] = filled


@pytest.fixture
def differing(accounts: Open) -> Open:
    fill(accounts("old"), *map(person, range(5)), evolve(person(0), first_name="Twice"))
    fill(accounts("new"), person(1), evolve(person(2), first_name="=1+1", title="CEO"), person(4), person(9))
    return accounts


def test_an_account_that_has_everything_is_the_exit_code_zero(accounts: Open, run: Run) -> None:
    people = [person(n) for n in range(3)]
    fill(accounts("old"), *people)
    fill(accounts("new"), *people, person(9))
    done = run("check", "old", "new")
    assert done.code == Exit.DONE
    assert done.out.splitlines() == [
        "missing\t0\t",
        "different\t0\t",
        "equal\t3\t",
        "held\t0\t",
        "refused\t0\t",
        "only in new\t1\t",
        "consent missing\t0\t",
        "refusals not kept\t0\t",
        "refusals only in new\t0\t",
        "new has everything that old has, as far as it can hold it",
    ]
    assert run("check", "old", "old").code == Exit.DONE
    assert run("check", "new", "old").code == Exit.PARTIAL


def test_what_differs_is_counted_without_whole_identifiers(differing: Open, run: Run) -> None:
    done = run("check", "old", "new")
    assert done.code == Exit.PARTIAL
    for line in (
        "missing\t1\t",
        "different\t1\tfirst_name (1)",
        "equal\t2\t",
        "held\t2\tit shares an identifier with another contact of the source (2)",
        "only in new\t1\t",
        "new does not have everything that old has; --diff FILE tells who and what",
    ):
        assert line in done.out.splitlines()
    told = run("check", "old", "new", "--json")
    assert told.code == Exit.PARTIAL
    assert told.json == {
        "old": "old",
        "new": "new",
        "complete": False,
        "contacts": 6,
        "missing": 1,
        "different": 1,
        "equal": 2,
        "held": 2,
        "refused": 0,
        "only_in_new": 1,
        "differing_fields": {"first_name": 1},
        "held_reasons": {"it shares an identifier with another contact of the source": 2},
        "consent": {"missing": 0, "not_kept": 0, "only_in_new": 0},
        "losses": [],
    }
    assert "jane" not in (done.out + done.err + told.out + told.err).lower()


def test_a_file_names_everybody_who_differs_and_only_its_owner_can_read_it(differing: Open, run: Run) -> None:
    done = run("check", "old", "new", "--diff", "diff.csv", "--excel-safe")
    assert done.code == Exit.PARTIAL
    assert "written to diff.csv, which holds personal data" in done.err
    path = Path("diff.csv")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    assert [(each["status"], each["identifiers"]) for each in rows] == [
        ("held", "email:jane0@example.com"),
        ("different", "email:jane2@example.com"),
        ("missing", "email:jane3@example.com"),
        ("held", "email:jane0@example.com"),
        ("only_in_new", "email:jane9@example.com"),
    ]
    different = rows[1]
    assert (different["field"], different["expected"], different["found"]) == ("first_name", "Jane2", "'=1+1")
    assert (different["number"], different["old_id"], different["new_id"]) == ("3", "old-2", "new-1")


def test_losses_are_shown_with_masked_samples_and_what_to_do(accounts: Open, run: Run) -> None:
    fill(accounts("old"), *(person(n, lists=("l-7",)) for n in range(4)))
    accounts("old").provider.store.lists["l-7"] = "Gazette"
    fill(accounts("new"), *(person(n) for n in range(4)))
    done = run("check", "old", "new")
    assert done.code == Exit.DONE
    assert "lists.Gazette\tNO_LIST\t4\tthe account has no such list" in done.out
    assert "create the list, map it to another one, or accept the loss" in done.out
    (row,) = run("check", "old", "new", "--json").json["losses"]
    assert (row["stage"], row["field"], row["count"], len(row["samples"])) == ("contacts", "lists.Gazette", 4, 3)
    assert "jane" not in str(row["samples"])


def test_lists_that_differ_are_told_by_name(accounts: Open, run: Run) -> None:
    for name in ("old", "new"):
        fill(accounts(name), person(1, lists=("l-7",) if name == "old" else ()))
        accounts(name).provider.store.lists["l-7"] = "Gazette"
    assert "different\t1\tlists.Gazette (1)" in run("check", "old", "new").out


def test_a_map_is_suggested_and_used(accounts: Open, run: Run) -> None:
    fill(accounts("old"), person(1, custom={"Shirt Size": "S"}))
    accounts("old").provider.store.fields["Shirt Size"] = FieldType.TEXT
    fill(accounts("new"), person(1, custom={"shirt_size": "S"}))
    accounts("new").provider.store.fields["shirt_size"] = FieldType.TEXT
    assert run("check", "old", "new").code == Exit.PARTIAL
    done = run("check", "old", "new", "--suggest-map", "map.toml")
    assert done.code == Exit.DONE
    assert FieldMap.read(Path("map.toml")).fields["custom.Shirt Size"].to == "custom.shirt_size"
    assert run("check", "old", "new", "--map", "map.toml").code == Exit.DONE
    again = run("check", "old", "new", "--suggest-map", "map.toml")
    assert again.code == Exit.USAGE
    assert "exists" in again.err
    Path("people.jsonl").write_text(json.dumps(plain(person(1, custom={"Shirt Size": "S"}))), "utf-8")
    assert run("check", "people.jsonl", "new", "--suggest-map", "file.toml").code == Exit.DONE
    assert "custom.shirt_size" in Path("file.toml").read_text("utf-8")


def test_a_broken_map_is_named_with_its_key(accounts: Open, run: Run) -> None:
    accounts("old"), accounts("new")
    Path("map.toml").write_text('[fields]\n"custom.x" = {type = "money"}', "utf-8")
    done = run("check", "old", "new", "--map", "map.toml")
    assert done.code == Exit.USAGE
    assert 'map.toml: fields."custom.x".type: there is no such type' in done.err


def test_only_some_contacts_are_compared(differing: Open, run: Run) -> None:
    done = run("check", "old", "new", "--only", "first_name=Jane1 or first_name=Jane4", "--json")
    assert done.code == Exit.DONE
    assert (done.json["equal"], done.json["contacts"], done.json["only_in_new"]) == (2, 2, None)
    assert run("check", "old", "new", "--only", "first_name").code == Exit.USAGE


@pytest.mark.parametrize("name", ["people.csv", "people.jsonl", "-"])
def test_files_and_pipes_are_compared_with_an_account(accounts: Open, run: Run, name: str) -> None:
    fill(accounts("new"), person(1, custom={"plan": "pro"}), person(2))
    rows = ["E-Mail,first_name,custom.plan,Unused", "jane1@example.com,Jane1,pro,", "jane2@example.com,Jane2,,x"]
    contacts = [plain(person(1, custom={"plan": "pro"})), plain(person(2))]
    lines = rows if name.endswith("csv") else [json.dumps(each) for each in contacts]
    text = "\n".join(lines) + "\n"
    if name != "-":
        Path(name).write_text(text, "utf-8")
    Path("map.toml").write_text('[columns]\n"E-Mail" = "email"\n"Unused" = false\n' if "csv" in name else "", "utf-8")
    done = run("check", name, "new", "--map", "map.toml", "--json", stdin=text)
    assert (done.code, done.json["equal"]) == (Exit.DONE, 2), done.out
    if name == "-":
        assert run("check", name, "new", stdin="email,first_name\njane1@example.com,Jane1\n").code == Exit.DONE


def test_what_an_export_wrote_is_what_the_account_has(accounts: Open, run: Run) -> None:
    fill(accounts("old"), *(person(n, custom={"plan": "pro"}, tags=("a;b", "-c")) for n in range(3)))
    for name in ("people.csv", "safe.csv"):
        with writer_for(Path(name), excel_safe=name.startswith("safe")) as writer:
            for each in accounts("old").export():
                writer.write(each)
        assert run("check", name, "old").code == Exit.DONE, name


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("people.csv", "new", "--only", "email=x"), "no such file"),
        (("-", "new", "--only", "first_name=x"), "--only is for accounts"),
        (("old", "new", "--excel-safe"), "--excel-safe is for --diff"),
        (("old", "nobody"), "nobody"),
        (("old", "new", "--accept-loss", "REFUSED"), "needs a field"),
    ],
)
def test_what_cannot_be_compared_is_said(accounts: Open, run: Run, options: tuple[str, ...], said: str) -> None:
    accounts("old"), accounts("new")
    done = run("check", *options)
    assert done.code == Exit.USAGE
    assert said in done.err.lower()


def test_refusals_that_new_does_not_show_are_counted_listed_and_the_exit_code_three(accounts: Open, run: Run) -> None:
    people = [person(n) for n in range(3)]
    fill(accounts("old"), *people)
    fill(accounts("new"), *people)
    said = [Consent(each.identifiers[0], Channel.EMAIL, ConsentState.REVOKED) for each in people]
    accounts("old").provider.store.consent |= {said[0]: None, said[1]: None}
    accounts("new").provider.store.consent |= {said[1]: None, said[2]: None}
    done = run("check", "old", "new", "--json", "--diff", "diff.csv")
    assert done.code == Exit.PARTIAL
    found = json.loads(done.out)
    assert (found["complete"], found["equal"]) == (False, 3)
    assert found["consent"] == {"missing": 1, "not_kept": 0, "only_in_new": 1}
    with Path("diff.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(each["status"], each["identifiers"], each["field"], each["expected"], each["found"]) for each in rows] == [
        ("consent_missing", "email:jane0@example.com", "consent.email", "revoked", ""),
        ("consent_only_in_new", "email:jane2@example.com", "consent.email", "", "revoked"),
    ]
    shown = run("check", "old", "new")
    assert "consent missing" in shown.out
    assert "does not have everything" in shown.out
    assert "jane" not in shown.out


def test_where_consent_is_kept_is_asked_of_accounts_only(accounts: Open, run: Run) -> None:
    fill(accounts("new"), person(1))
    Path("people.csv").write_text("email\njane1@example.com\n", encoding="utf-8")
    assert run("check", "people.csv", "new").code == Exit.DONE
    assert run("check", "people.csv", "new", "--consent-in", "tag:no").code == Exit.USAGE
