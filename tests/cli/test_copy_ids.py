"""`--ids`: the file tells which contact is which while a copy runs, whatever cuts it off, and names each one once."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from contacts_core import Contact, Contacts, Identifier
from contacts_core.cli.ids import IdsFile
from contacts_core.cli.output import Exit
from contacts_core.emulator import Exchange
from contacts_core.errors import ConfigurationError, ContactsError, InvalidInput
from contacts_core.formats import plain
from contacts_core.plans import list_runs
from contacts_local import Local
from tests.cli.fake_provider import Run
from tests.plans.environment import Environment, lively, open_environment

SMALL_STEPS = """
import sys
from contacts_core.cli import main
from contacts_core.plans.change_operations.upsert import UpsertContacts
from contacts_core.plans.planning import planner

planner.MAX_REPEATED, UpsertContacts.batch_size = 1, lambda *_: 10
sys.argv[0] = "contacts"
main()
"""
PEOPLE = 120
OTHER_FILES = (
    "email\njane@example.com\n",
    "old_id,new_id\na,b,c\n",
    "no line",
    "\n",
    '"\n',
    f"old_id,new_id\n{'a' * 200_000},b\n",
)
DATES = ("--accept-loss", "DATE_LOST")
LOSSES = ("--accept-loss", "DATE_LOST", "--accept-loss", "REASON_LOST", "--accept-loss", "NO_PLACE")
OPTIONS = ("--create-fields", "--create-lists", "--max-share", "100%", *LOSSES, "--accept-loss", "NO_FIELD", "--yes")


def person(n: int, **values: object) -> Contact:
    given: dict[str, object] = {"identifiers": (Identifier.email(f"jane{n}@example.com"),), "first_name": f"Jane{n}"}
    return Contact(**(given | values))  # type: ignore[arg-type]


def pairs(path: Path | str = "ids.csv") -> dict[str, str]:
    """The pairs of a file; no contact is named twice."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["old_id", "new_id"]
    assert len({old for old, _ in rows}) == len(rows)
    return dict(rows)


def by_email(client: Contacts[Local]) -> dict[str, str]:
    return {contact.email or "": contact.id for contact in client.export()}


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Contacts[Local], Contacts[Local]]]:
    """Two files of contacts, ``old`` with three people and ``new`` without any, as accounts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("CONTACTS_FILE", str(tmp_path / "accounts.toml"))
    names = ("old", "new")
    text = "\n".join(f'[accounts.{name}]\nprovider = "local"\npath = "{tmp_path / name}.db"' for name in names)
    (tmp_path / "accounts.toml").write_text(text, encoding="utf-8")
    with lively(), Contacts(Local(path=tmp_path / "old.db"), name="old") as old:
        old.upsert_contacts(map(person, range(3)))
        with Contacts(Local(path=tmp_path / "new.db"), name="new") as new:
            yield old, new


class TestWhatIsWritten:
    def test_standard_input_is_read_once(self, local: tuple[Contacts[Local], ...], run: Run) -> None:
        lines = "".join(json.dumps(plain(person(n, id=f"their-{n}"))) + "\n" for n in range(3))
        done = run("copy", "-", "new", "--ids", "ids.csv", "--yes", stdin=lines)
        assert done.code == Exit.DONE, done.err
        now = by_email(local[1])
        assert pairs() == {f"their-{n}": now[f"jane{n}@example.com"] for n in range(3)}
        assert "3 pair(s) of ids added to ids.csv" in done.err

    def test_everybody_is_named_whether_new_changed_or_there_already(
        self, local: tuple[Contacts[Local], ...], run: Run
    ) -> None:
        old, new = local
        new.upsert_contacts([person(0), person(1, first_name="Johanna")])
        assert run("copy", "old", "new", "--ids", "ids.csv", "--yes", *DATES, "--max-share", "100%").code == Exit.DONE
        now = by_email(new)
        assert pairs() == {id: now[email] for email, id in by_email(old).items()}
        assert stat.S_IMODE(Path("ids.csv").stat().st_mode) == 0o600

    def test_a_plan_and_its_run_share_a_file(self, local: tuple[Contacts[Local], ...], run: Run) -> None:
        old, new = local
        new.upsert_contacts([person(0)])
        assert run("plan", "copy", "old", "new", *DATES, "--to", "plan.jsonl", "--ids", "ids.csv").code == Exit.DONE
        before = by_email(old)
        assert pairs() == {before["jane0@example.com"]: by_email(new)["jane0@example.com"]}
        assert run("apply", "plan.jsonl", "--ids", "ids.csv", "--yes").code == Exit.DONE
        now = by_email(new)
        assert pairs() == {id: now[email] for email, id in before.items()}

    def test_a_second_copy_adds_only_whoever_is_new(self, local: tuple[Contacts[Local], ...], run: Run) -> None:
        old, _ = local
        assert run("copy", "old", "new", "--ids", "ids.csv", "--yes", *DATES).code == Exit.DONE
        first = Path("ids.csv").read_text("utf-8")
        old.upsert_contacts([person(3)])
        done = run("copy", "old", "new", "--ids", "ids.csv", "--yes", *DATES)
        assert "1 pair(s) of ids added" in done.err
        assert Path("ids.csv").read_text("utf-8").startswith(first)
        assert len(pairs()) == 4

    def test_a_contact_that_was_created_again_has_its_new_id(
        self, local: tuple[Contacts[Local], ...], run: Run
    ) -> None:
        old, new = local
        assert run("copy", "old", "new", "--ids", "ids.csv", "--yes", *DATES).code == Exit.DONE
        gone = by_email(new)["jane1@example.com"]
        new.delete_contacts([gone])
        assert run("copy", "old", "new", "--ids", "ids.csv", "--yes", *DATES).code == Exit.DONE
        assert pairs()[by_email(old)["jane1@example.com"]] == by_email(new)["jane1@example.com"] != gone

    def test_a_dry_run_names_those_who_are_there(self, local: tuple[Contacts[Local], ...], run: Run) -> None:
        local[1].upsert_contacts([person(2)])
        assert run("copy", "old", "new", "--ids", "ids.csv", "--dry-run", *DATES).code == Exit.DONE
        assert list(pairs().values()) == [by_email(local[1])["jane2@example.com"]]

    def test_no_file_is_left_of_a_plan_that_was_refused(self, local: tuple[Contacts[Local], ...], run: Run) -> None:
        done = run("copy", "old", "new", "--ids", "ids.csv", "--yes", *DATES, "--max-contacts", "1")
        assert done.code == Exit.REFUSED
        assert not Path("ids.csv").exists()

    def test_contacts_without_an_old_id_are_left_out(self, local: tuple[Contacts[Local], ...], run: Run) -> None:
        Path("people.csv").write_text("email\njane7@example.com\n", encoding="utf-8")
        assert run("copy", "people.csv", "new", "--ids", "ids.csv", "--yes").code == Exit.DONE
        assert pairs() == {}
        assert len(by_email(local[1])) == 1

    @pytest.mark.parametrize("option", ["--replan", "--detach"])
    def test_only_a_run_of_this_process_can_write_ids(
        self, option: str, local: tuple[Contacts[Local], ...], run: Run
    ) -> None:
        assert run("plan", "copy", "old", "new", *DATES, "--to", "plan.jsonl").code == Exit.DONE
        done = run("apply", "plan.jsonl", option, "--ids", "ids.csv", "--yes")
        assert (done.code, Path("ids.csv").exists()) == (Exit.USAGE, False)


class TestCutOff:
    @pytest.fixture
    def environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
        """SendGrid with people, Bird without, and a process that is killed when Bird has half of them."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COLUMNS", "200")
        self.process: subprocess.Popen[bytes] | None = None
        self.created, self.strike = 0, threading.Event()

        def told(exchange: Exchange) -> None:
            self.created += exchange.status == 201 and "/contacts/identifiers/" in exchange.path
            if self.process is not None and self.created >= PEOPLE * 6 // 7 and not self.strike.is_set():
                self.strike.set()
                self.process.kill()

        with lively(), open_environment(PEOPLE) as old, open_environment(0, told=told) as new:
            lines: list[str] = []
            for name, served, provider in (("old", old, "sendgrid"), ("new", new, "bird")):
                lines += [f"[accounts.{name}]", f'provider = "{provider}"']
                lines += [f"{key} = {json.dumps(value)}" for key, value in served.server.settings(provider).items()]
            (tmp_path / "accounts.toml").write_text("\n".join(lines), encoding="utf-8")
            (tmp_path / "accounts.toml").chmod(0o600)
            monkeypatch.setenv("CONTACTS_FILE", str(tmp_path / "accounts.toml"))
            yield new

    @pytest.mark.timeout(120)
    def test_a_copy_that_is_killed_has_told_who_was_written(self, environment: Environment, run: Run) -> None:
        command = [sys.executable, "-c", SMALL_STEPS, "copy", "old", "new", "--ids", "ids.csv", *OPTIONS]
        self.process = subprocess.Popen(command, env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        _, err = self.process.communicate(timeout=90)
        assert self.process.returncode < 0, err.decode()
        kept = pairs()
        there = {contact.id for contact in environment.clients["bird"].export()}
        assert PEOPLE // 2 < len(kept) < len(there) < PEOPLE
        assert {*kept.values()} <= there
        (begun,) = list_runs()
        done = run("runs", "resume", begun.id, "--ids", "ids.csv", "--yes")
        assert done.code == Exit.DONE, done.err
        whole = pairs()
        assert whole.items() >= kept.items()
        there = {contact.id for contact in environment.clients["bird"].export()}
        assert len(whole) == len({*whole.values()} & there) == PEOPLE


class TestTheFile:
    def test_a_line_that_was_cut_off_is_dropped(self, tmp_path: Path) -> None:
        path = tmp_path / "ids.csv"
        path.write_text("old_id,new_id\na,1\nb,", encoding="utf-8")
        with IdsFile(path) as file:
            file.add("b", "2")
            file.add("a", "1")
        assert path.read_text("utf-8") == "old_id,new_id\na,1\nb,2\n"

    @pytest.mark.parametrize("left", ["", "old_i", "old_id,new_id"])
    def test_a_header_that_was_cut_off_is_written_again(self, left: str, tmp_path: Path) -> None:
        path = tmp_path / "ids.csv"
        path.write_text(left, encoding="utf-8")
        with IdsFile(path) as file:
            file.add("a", "1")
        assert pairs(path) == {"a": "1"}

    @pytest.mark.parametrize("text", OTHER_FILES, ids=range(len(OTHER_FILES)))
    def test_another_file_is_left_as_it_is(self, text: str, tmp_path: Path) -> None:
        path = tmp_path / "people.csv"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InvalidInput, match="no file of ids"), IdsFile(path):
            pass
        assert path.read_text("utf-8") == text

    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "ids.csv").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(ConfigurationError, match="is a link"), IdsFile(tmp_path / "ids.csv"):
            pass

    def test_an_id_is_no_formula_and_is_recognised_again(self, tmp_path: Path) -> None:
        path = tmp_path / "ids.csv"
        for _ in range(2):
            with IdsFile(path) as file:
                file.add('=HYPERLINK("https://example.com")', "@new,1")
        assert pairs(path) == {'\'=HYPERLINK("https://example.com")': "'@new,1"}

    def test_an_id_with_a_line_break_is_not_written_and_that_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "ids.csv"
        with pytest.raises(ContactsError, match="line break"), IdsFile(path) as file:
            file.add("a\nb", "1")
        assert pairs(path) == {}

    def test_a_disk_that_is_full_is_told_before_anything_is_written(self) -> None:
        with pytest.raises(InvalidInput, match="/dev/full cannot be written"), IdsFile(Path("/dev/full")):
            pass

    @pytest.mark.parametrize("ended", [None, typer.Exit(0)])
    def test_a_disk_that_becomes_full_stops_nothing_and_is_told(
        self, ended: BaseException | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_self: IdsFile, _row: list[str]) -> None:
            raise OSError(28, "No space left on device")

        def fill() -> None:
            with IdsFile(tmp_path / "x") as file:
                file.add("a", "1")
                monkeypatch.setattr(IdsFile, "_write", full)
                file.add("b", "2")
                file.add("c", "3")
                if ended:
                    raise ended

        with pytest.raises(ContactsError, match="does not have all new ids: No space"):
            fill()
        assert pairs(tmp_path / "x") == {"a": "1"}

    def test_several_threads_share_it(self, tmp_path: Path) -> None:
        path = tmp_path / "ids.csv"
        with IdsFile(path) as file:

            def fill() -> None:
                for n in range(200):
                    file.add(str(n), f"n{n}")

            threads = [threading.Thread(target=fill) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert pairs(path) == {str(n): f"n{n}" for n in range(200)}
