"""Commands about accounts: add, check, the default one; and what shells complete."""

from __future__ import annotations

import json
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import pytest
import typer
import typer.main
import typer.testing

from contacts_core.cli import completion
from contacts_core.cli.output import Exit
from contacts_core.emulator import Exchange, Sandbox, running
from contacts_core.emulator.registry import emulators
from contacts_core.errors import Forbidden, NotFound, RateLimited, Unauthenticated, Unreachable
from tests.cli.fake_provider import Acme, Run, Vendor


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings" / "contacts.toml"
    monkeypatch.setenv("CONTACTS_FILE", str(path))
    path.parent.mkdir()
    path.write_text('[accounts.old]\nprovider = "acme"\napi_key = "env:ACME_API_KEY"\n', "utf-8")
    path.chmod(0o600)
    return path


class InMemory(keyring.backend.KeyringBackend):
    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def keys() -> Iterator[InMemory]:
    before, ours = keyring.get_keyring(), InMemory()
    keyring.set_keyring(ours)
    yield ours
    keyring.set_keyring(before)


def test_an_account_is_added_with_a_reference_to_its_key(
    run: Run, vendor: Vendor, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("accounts", "add", "my-news", "acme", "--set", 'region="eu\\')
    assert done.code == Exit.DONE
    assert "export MY_NEWS_API_KEY=" in done.err
    told = tomllib.loads(file.read_text("utf-8"))
    added = {"provider": "acme", "api_key": "env:MY_NEWS_API_KEY", "region": '"eu\\'}
    assert told["accounts"] == {"old": {"provider": "acme", "api_key": "env:ACME_API_KEY"}, "my-news": added}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    missing = run("count", "my-news")
    assert missing.code == Exit.USAGE
    assert "environment variable MY_NEWS_API_KEY is not set" in missing.err
    monkeypatch.setenv("MY_NEWS_API_KEY", "sesame")
    assert run("count", "my-news").out.startswith("5 contacts")


@pytest.mark.parametrize("name", ["1x", "2-b", "_x", "x-1"])
def test_the_variable_for_a_key_has_a_name_that_a_shell_takes(name: str, run: Run, vendor: Vendor, file: Path) -> None:
    done = run("accounts", "add", name, "acme", "--json")
    variable = done.json["settings"]["api_key"].removeprefix("env:")
    assert variable.isidentifier()
    assert f"export {variable}=" in done.err.encode().decode("unicode_escape")


def test_the_first_account_makes_the_file(
    run: Run, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTACTS_FILE", str(tmp_path / "new" / "contacts.toml"))
    assert run("accounts", "add", "first", "acme", "--default", "--json").json["account"] == "first"
    told = tomllib.loads((tmp_path / "new" / "contacts.toml").read_text("utf-8"))
    assert told["default_account"] == "first"


@pytest.mark.parametrize("typed", [None, "sesame-1\n"])
def test_a_key_may_be_kept_in_the_keyring(
    typed: str | None, run: Run, vendor: Vendor, file: Path, keys: InMemory
) -> None:
    done = run("accounts", "add", "news", "acme", "--keyring", types=typed, stdin="sesame-1\n")
    assert done.code == Exit.DONE, done.err
    assert keys.kept == {("contacts/news", "api_key"): "sesame-1"}
    assert "sesame" not in file.read_text("utf-8") + done.out + done.err
    assert run("count", "news").out.startswith("5 contacts")


@pytest.mark.parametrize(
    ("pressed", "code", "told"),
    [(KeyboardInterrupt(), Exit.INTERRUPTED, "interrupted"), (EOFError(), Exit.USAGE, "no key was given")],
    ids=["Ctrl-C", "Ctrl-D"],
)
def test_what_ends_the_question_for_a_key_writes_nothing(
    pressed: BaseException,
    code: int,
    told: str,
    run: Run,
    vendor: Vendor,
    file: Path,
    keys: InMemory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ended(*_arguments: object, **_options: object) -> str:
        aborted = typer.Abort()
        aborted.__context__ = pressed  # as the library under Typer leaves it
        raise aborted

    before = file.read_text("utf-8")
    monkeypatch.setattr(typer, "prompt", ended)
    done = run("accounts", "add", "news", "acme", "--keyring", types="")
    assert (done.code, "Abort" in done.err) == (code, False)
    assert told in done.err
    done = run("accounts", "add", "news", "acme", "--keyring", "--json", types="")
    assert json.loads(done.err)["error"]["exit_code"] == done.code == code
    assert (file.read_text("utf-8"), keys.kept) == (before, {})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("old", "acme"), "already"),
        (("a b", "acme"), "letters"),
        (("new", "nonsense"), "nonsense"),
        (("new", "acme", "--set", "colour=red"), "no setting colour"),
        (("new", "acme", "--set", "api_key=sesame-itself"), "do not belong in the file"),
        (("new", "bare", "--set", "base_url"), "NAME=VALUE"),
        (("new", "bird"), "needs workspace_id"),
        (("new", "acme", "--keyring"), "no key was given"),
        (("new", "acme", "--keyring", "--set", "api_key=env:X"), "--keyring"),
        (("new", "bare", "--keyring", "--set", "base_url=https://x.example"), "--keyring"),
    ],
)
def test_what_cannot_be_added_changes_no_file(
    arguments: tuple[str, ...], told: str, run: Run, vendor: Vendor, file: Path, keys: InMemory
) -> None:
    before = file.read_text("utf-8")
    done = run("accounts", "add", *arguments)
    assert done.code == Exit.USAGE
    assert told in done.err
    assert "sesame-itself" not in done.err
    assert file.read_text("utf-8") == before


def test_the_default_account_is_used_where_none_is_named(
    run: Run, vendor: Vendor, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONTACTS_ACCOUNT", raising=False)
    for arguments in (("count",), ("count", "."), ("get", ".", "id-1")):
        done = run(*arguments)
        assert done.code == Exit.USAGE
        assert "there is no default account" in done.err
    assert run("accounts", "default", "nonsense").code == Exit.USAGE
    assert run("accounts", "default", "old").code == Exit.DONE
    assert run("accounts", "default", "queue").code == Exit.DONE
    assert run("accounts", "default", "old").code == Exit.DONE
    told = tomllib.loads(file.read_text("utf-8"))
    assert (told["default_account"], list(told["accounts"])) == ("old", ["old"])
    assert run("count").out.startswith("5 contacts")
    assert run("search", "--first-name", "First1").out.startswith("id-1")
    assert run("get", ".", "id-1", "--json").json["id-1"]["id"] == "id-1"
    assert "on old (Acme Mail" in run("delete", ".", "id-1", types="n\n").err
    assert "on old (Acme Mail" in run("delete", "--email", "person1@example.com", types="n\n").err
    assert "default" in run("accounts").out
    assert run("accounts", "--json").json["default"] == "old"
    monkeypatch.setenv("CONTACTS_ACCOUNT", "nobody")
    assert "'nobody'" in run("count").err


TABLE = '[accounts.old]\nprovider = "acme"\napi_key = "env:ACME_API_KEY"\n'


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ('default_account = "acme"  # ours', 'default_account = "old"  # ours'),
        ('  default_account="acme"', '  default_account="old"'),
        ('"default_account" = "acme" # "quoted"', '"default_account" = "old" # "quoted"'),
        ("'default_account'\t=\t'acme'#x", "'default_account'\t=\t\"old\"#x"),
        ('default_account = "ac\\"me" # x', 'default_account = "old" # x'),
        ('# default_account = "acme"', '# default_account = "acme"\ndefault_account = "old"'),
    ],
)
def test_of_the_line_of_the_default_account_only_the_value_is_replaced(
    line: str, becomes: str, run: Run, vendor: Vendor, file: Path
) -> None:
    file.write_text(f"# before\n{line}\n\n{TABLE}", "utf-8")
    assert run("accounts", "default", "old").code == Exit.DONE
    assert file.read_text("utf-8") == f"# before\n{becomes}\n\n{TABLE}"
    assert run("accounts", "add", "more", "acme", "--default").code == Exit.DONE
    assert tomllib.loads(file.read_text("utf-8"))["default_account"] == "more"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("accounts = {old = {provider = 'acme', api_key = 'env:ACME_API_KEY'}}\n", ("add", "new", "acme")),
        (f'default_account = """acme"""\n{TABLE}', ("default", "old")),
    ],
)
def test_a_file_that_could_not_be_read_afterwards_is_not_written(
    text: str, command: tuple[str, ...], run: Run, vendor: Vendor, file: Path
) -> None:
    file.write_text(text, "utf-8")
    done = run("accounts", *command)
    assert done.code == Exit.USAGE
    assert "nothing was written" in done.err
    assert file.read_text("utf-8") == text


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o400])
def test_the_file_keeps_its_mode(mode: int, run: Run, vendor: Vendor, file: Path) -> None:
    file.chmod(mode)
    assert run("accounts", "add", "new", "acme", "--default").code == Exit.DONE
    assert stat.S_IMODE(file.stat().st_mode) == mode


def test_a_dot_among_several_accounts_is_the_default_account_too(
    run: Run, vendor: Vendor, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "storage"))
    people = ("--email", "person1@example.com", "--max-share", "100%")
    assert run("erase", *people, "--accounts", ".", "--dry-run").code == Exit.USAGE
    run("accounts", "default", "old")
    for accounts, looked_in in ((".", ["old"]), ("acme,.", ["acme", "old"]), (".,old", ["old"])):
        done = run("erase", *people, "--accounts", accounts, "--dry-run", "--json")
        assert done.code == Exit.DONE, done.err
        assert [each["account"] for each in done.lines[0]["accounts"]] == looked_in
        assert run("plan", "erase", *people, "--accounts", accounts, "--to", "plan.jsonl").code == Exit.DONE


def test_the_list_of_accounts_is_sorted_and_its_fields_are_chosen(run: Run, vendor: Vendor, file: Path) -> None:
    run("accounts", "add", "news", "acme", "--default")
    named = ("accounts", "--sort", "-name", "--fields", "name,default")
    ours = {"news": "true", "old": "false"}
    rows = [line.split("\t") for line in run(*named).out.splitlines()]
    assert {name: default for name, default in rows if name in ours} == ours
    assert [name for name, _ in rows] == sorted((name for name, _ in rows), reverse=True)
    told = run(*named, "--json").json
    assert (told["default"], told["file"]) == ("news", str(file))
    assert {"name": "news", "default": True} in told["accounts"]
    lines = run("accounts", "--csv").out.splitlines()
    assert lines[0] == "name,provider,source,settings,default"
    assert "old,acme,file,api_key = env:ACME_API_KEY,false" in lines
    done = run("accounts", "--csv", "default", "old")
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert "give --csv behind default" in done.err


def test_an_id_is_never_taken_for_a_missing_account(run: Run, vendor: Vendor, file: Path) -> None:
    run("accounts", "default", "old")
    assert run("delete", "id-1", "--yes").code == Exit.USAGE
    assert run("get", "id-1").code == Exit.USAGE
    assert "id-1" in vendor.people


def test_a_check_asks_for_what_only_reads(run: Run, vendor: Vendor, file: Path) -> None:
    vendor.errors["find"] = Forbidden("the key may not", provider="acme", status=403)
    done = run("accounts", "check", "old", "--json")
    assert done.code == Exit.PARTIAL
    told = {each["operation"]: each for each in done.json}
    assert told["read every contact"]["allowed"] == "yes"
    assert told["look contacts up by exact identifier"]["allowed"] == "no"
    assert "[403]" in told["look contacts up by exact identifier"]["reason"]
    assert told["delete whole contacts"] == {
        "account": "old",
        "operation": "delete whole contacts",
        "allowed": "not known",
        "reason": "cannot be known without changing something",
    }
    changing = ("delete", "remove", "add", "upsert", "create")
    assert not [call for call in vendor.calls if call.startswith(changing)]
    del vendor.errors["find"]
    assert run("accounts", "check", "old").code == Exit.DONE


@pytest.mark.parametrize("error", [Unauthenticated("no", status=401), Unreachable("gone")])
def test_a_key_that_does_not_work_is_a_failure_at_once(error: Exception, run: Run, vendor: Vendor, file: Path) -> None:
    vendor.errors = dict.fromkeys(("search", "find", "get", "page 0", "count", "lists"), error)
    done = run("accounts", "check", "old")
    assert done.code == Exit.FAILED
    assert done.out.startswith("old\tconnect\tfailed\t")
    assert len(vendor.calls) == 1


@pytest.mark.parametrize("error", [NotFound("no", status=404), RateLimited("slow down", status=429)])
def test_an_account_of_which_nothing_is_known_to_work_is_not_called_good(
    error: Exception, run: Run, vendor: Vendor, file: Path
) -> None:
    reads = ("search", "find", "get", "page 0", "count", "lists")
    vendor.errors = dict.fromkeys(reads, error)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Acme, "custom_fields_page", Acme.lists_page)
        done = run("accounts", "check", "old", "--json")
    assert {each["allowed"] for each in done.json} == {"not known"}
    assert done.code == Exit.PARTIAL
    vendor.errors.pop("count")
    assert run("accounts", "check", "old").code == Exit.DONE


def test_all_accounts_are_checked_if_none_is_named(
    run: Run, vendor: Vendor, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(file.read_text("utf-8") + '[accounts.unset]\nprovider = "acme"\napi_key = "env:NOT_THERE"\n')
    done = run("accounts", "check", "--json")
    assert done.code == Exit.FAILED
    assert {"old", "unset", "acme"} <= {each["account"] for each in done.json}
    (unset,) = (each for each in done.json if each["account"] == "unset")
    assert "environment variable NOT_THERE is not set" in unset["reason"]


def test_no_check_changes_anything_at_a_vendor(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTACTS_FILE", str(tmp_path / "contacts.toml"))
    seen: list[Exchange] = []
    with running(Sandbox(emulators().values(), contacts=20, observer=seen.append)) as server:
        lines = []
        for name in server.sandbox.emulators:
            lines += [f"[accounts.{name}]", f'provider = "{name}"']
            lines += [f"{key} = {json.dumps(value)}" for key, value in server.settings(name).items()]
        (tmp_path / "contacts.toml").write_text("\n".join(lines), "utf-8")
        done = run("accounts", "check", *server.sandbox.emulators, "--json")
    assert done.code == Exit.DONE, done.err
    assert {each["allowed"] for each in done.json} == {"yes", "not known"}
    sent = {(each.method, each.path) for each in seen if each.method != "GET"}
    assert all(path.rstrip("/").endswith(("/search", "/emails")) for _, path in sent), sent
    assert seen


# -- what a shell completes


def offered(complete: completion.Complete, begun: str, command: str = "count", **params: object) -> list[str]:
    import typer.main

    from contacts_core.cli.app import app

    context = typer.Context(typer.main.get_command(app), info_name=command)
    context.params = params
    return complete(context, begun)


def test_names_are_completed(run: Run, vendor: Vendor, file: Path) -> None:
    assert offered(completion.accounts, "") == ["old", *offered(completion.providers, "")]
    assert offered(completion.accounts, "acme,ol") == ["acme,old"]
    assert offered(completion.lists, "Ne", account="old") == []  # its name, "News [bold]", means something to a shell
    assert offered(completion.lists, "l", account="old") == ["l1"]
    assert offered(completion.custom_fields, "sc", account="old") == ["score="]
    assert offered(completion.fields, "crea") == ["created_at"]
    assert offered(completion.shown_fields, "cont", "lists") == ["contacts"]
    assert offered(completion.shown_fields, "so", "accounts") == ["source"]
    assert offered(completion.shown_fields, "ended", "runs") == ["ended_at"]
    assert offered(completion.faults, "job-f") == ["job-fails"]


HOSTILE = [
    "x$(touch /tmp/never)",
    r"x\$(touch /tmp/never)",
    "Autumn fair; touch never",
    "Autumn fair",
    "`never`",
    "a|b",
    "a>b",
    "a&b",
    "*",
    "~root",
    "x\nnever",
    "x\x1b[31m",
    "x\u202enever",
    "Grüße",
    '"quoted"',
    "--yes",
    "-y",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_a_vendor_that_means_something_to_a_shell_is_offered(
    name: str, run: Run, vendor: Vendor, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contacts_core import plans
    from contacts_core.client import Contacts
    from contacts_core.models import ContactList, FieldDefinition, FieldType

    class Run:
        id = name

    named = [ContactList("acme", *each) for each in (("l1", name), ("l2", "News"), (name, "Old"))]
    monkeypatch.setattr(Contacts, "lists", lambda _self: named)
    custom = [FieldDefinition("acme", each, each, FieldType.TEXT) for each in (name, "score")]
    monkeypatch.setattr(Contacts, "custom_fields", lambda _self: custom)
    monkeypatch.setattr(plans, "list_runs", lambda storage: [Run()])
    assert offered(completion.lists, "", account="old") == ["l1", "News", "l2", "Old"]
    assert offered(completion.lists, f"{name},Ne", account="old") == []
    assert offered(completion.custom_fields, "", account="old") == ["score="]
    assert offered(completion.runs, "") == []
    file.write_text(f"[accounts.{json.dumps(name)}]\nprovider = 'acme'\n[accounts.old]\nprovider = 'acme'\n", "utf-8")
    assert offered(completion.accounts, "") == ["old", *offered(completion.providers, "")]


def test_runs_are_completed(
    run: Run, vendor: Vendor, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contacts_core import plans

    class Run:
        id = "erase-2026-01-01-abc"

    monkeypatch.setattr(plans, "list_runs", lambda storage: [Run()])
    assert offered(completion.runs, "erase") == [Run.id]


def test_what_cannot_be_known_is_not_offered_and_prints_nothing(
    run: Run, vendor: Vendor, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vendor.errors["lists"] = Unreachable("gone")
    assert offered(completion.lists, "", account="old") == []
    assert offered(completion.lists, "", account="nobody") == []
    assert offered(completion.lists, "") == []
    file.write_text("not TOML")
    assert offered(completion.accounts, "") == []
    assert capsys.readouterr() == ("", "")


def test_the_shell_is_told_what_to_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    monkeypatch.setattr(typer.testing, "_get_command", typer.main.get_command)  # it is read when the command is made
    assert "_CONTACTS_COMPLETE" in run("--show-completion", "bash").out
