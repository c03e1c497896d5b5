"""`contacts new-provider`: what it writes, and which names it takes."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts_core import __version__
from contacts_core.cli.commands import new_provider
from contacts_core.cli.commands.new_provider import LONGEST_NAME, NAME, TEMPLATE, rendered, words_of
from contacts_core.cli.output import Exit
from tests.cli.fake_provider import Run

ODD_NAMES = ["a", "acme", "none", "true", "class", "provider", "contact", "emulator", "x1-2b", "import-from", "flow"]
LONG_NAMES = ["w" * LONGEST_NAME, "m-" * (LONGEST_NAME // 2 - 1) + "mm"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("name", [*ODD_NAMES, *LONG_NAMES])
def test_what_it_writes_is_clean_whatever_the_name_is(name: str, run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    shown = run("new-provider", name, "--to", str(folder))
    assert shown.code == Exit.DONE, shown.err
    for command in (["check"], ["format", "--check"]):
        checked = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", ODD_NAMES)
def test_it_can_be_imported_whatever_the_name_is(
    name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("new-provider", name).code == Exit.DONE
    monkeypatch.syspath_prepend(str(tmp_path / f"contacts-{name}" / "src"))
    module = f"contacts_{name.replace('-', '_')}"
    try:
        package = importlib.import_module(module)
        (provider,) = package.contacts_providers()
        (emulator,) = package.contacts_emulators()
    finally:
        for each in [each for each in sys.modules if each.split(".")[0] == module]:
            del sys.modules[each]
    assert provider.name == emulator.name == name
    assert provider.__module__ == module


@given(name=st.from_regex(NAME, fullmatch=True).filter(lambda name: len(name) <= LONGEST_NAME))
def test_every_file_stays_what_it_is_whatever_the_name_is(name: str) -> None:
    words = words_of(name)
    for path in TEMPLATE.rglob("*.py"):
        ast.parse(rendered(path.read_text("utf-8"), words))
    project = tomllib.loads(rendered((TEMPLATE / "pyproject.toml").read_text("utf-8"), words))
    assert project["project"]["name"] == f"contacts-{name}"
    assert project["project"]["entry-points"]["contacts_core"] == {name: words["contacts_acme"]}
    assert words["contacts_acme"].isidentifier()
    assert words["AcmeProvider"].isidentifier()


@pytest.mark.parametrize(
    "name",
    [
        *("Acme", "ACME", "my_crm", "my crm", "-acme", "--", "acme-", "a--b", "1acme", "acme/../x", "../x", "a.b"),
        *("ünï", "acme\n", "a" * (LONGEST_NAME + 1), "acme;x", "*", "~", "'acme'"),
    ],
)
def test_other_names_are_refused_and_nothing_is_written(name: str, run: Run, tmp_path: Path) -> None:
    shown = run("new-provider", "--json", "--", name)
    assert shown.code == Exit.USAGE
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_names_a_name_that_would_do(run: Run) -> None:
    assert "for example my-crm" in " ".join(run("new-provider", "My CRM!").err.split())


@pytest.mark.parametrize("name", ["bird", "user-api", "core"])
def test_names_that_are_taken_are_refused(name: str, run: Run, tmp_path: Path) -> None:
    shown = run("new-provider", name)
    assert shown.code == Exit.USAGE
    assert "is taken" in shown.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_stays_as_it_is(run: Run, tmp_path: Path) -> None:
    (tmp_path / "contacts-acme").mkdir()
    shown = run("new-provider", "acme")
    assert shown.code == Exit.USAGE
    assert "exists already" in shown.err
    assert written(tmp_path) == {}


def test_a_folder_is_not_made_where_there_is_none(run: Run, tmp_path: Path) -> None:
    shown = run("new-provider", "acme", "--to", "no/such/folder")
    assert shown.code == Exit.USAGE
    assert "does not exist" in shown.err
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_package_that_cannot_be_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    shown = run("new-provider", "acme")
    assert shown.code == Exit.FAILED
    assert list(tmp_path.iterdir()) == []


def test_it_says_what_to_do_next(run: Run) -> None:
    shown = run("new-provider", "my-crm", "--to", "with space")
    commands = [line.strip() for line in shown.out.splitlines() if line.startswith("    ")]
    assert commands == ["cd 'with space'", "python -m pip install -e '.[test]'", "python -m pytest"]


def test_json_has_the_files_and_the_next_commands(run: Run, tmp_path: Path) -> None:
    shown = run("new-provider", "my-crm", "--json")
    told = json.loads(shown.out)
    folder = tmp_path / "contacts-my-crm"
    assert (told["provider"], Path(told["folder"])) == ("my-crm", folder)
    assert sorted(told["files"]) == sorted(written(folder))
    assert len(told["commands"]) == 3


def test_no_word_of_the_template_is_left(run: Run, tmp_path: Path) -> None:
    run("new-provider", "my-crm")
    files = written(tmp_path)
    assert files
    assert [name for name, text in files.items() if "acme" in f"{name}{text}".lower()] == []


def test_what_tools_leave_behind_is_not_part_of_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = tmp_path / "template"
    for name in ("README.md", ".hypothesis/x", "src/__pycache__/x.pyc", ".mypy_cache/3.11/x.json"):
        (template / name).parent.mkdir(parents=True, exist_ok=True)
        (template / name).write_text("x")
    monkeypatch.setattr(new_provider, "TEMPLATE", template)
    run("new-provider", "acme")
    assert written(tmp_path / "contacts-acme") == {"README.md": "x"}


def test_it_requires_this_version_of_the_library() -> None:
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text("utf-8"))
    major, minor, _ = __version__.split(".", 2)
    assert f"contacts-core>={major}.{minor},<{major}.{int(minor) + 1}" in project["project"]["dependencies"]
