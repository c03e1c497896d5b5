"""What the command says of itself."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module

import pytest
import typer
import typer.main

from contacts_core.cli.app import COMMANDS, EPILOG, app
from contacts_core.cli.output import Exit
from tests.cli.fake_provider import Run

NAMES = [(name, home, summary) for names in COMMANDS.values() for name, (home, summary) in names.items()]


@pytest.mark.parametrize(("name", "home", "summary"), NAMES, ids=[name for name, *_ in NAMES])
def test_each_command_says_the_same_in_both_places_and_gives_an_example(
    name: str, home: str, summary: str, run: Run
) -> None:
    function = getattr(import_module(f"contacts_core.cli.commands.{home}"), name.replace("-", "_"))
    if isinstance(function, typer.Typer):
        function = function.registered_callback.callback  # type: ignore[union-attr]
    assert (function.__doc__ or "").splitlines()[0] == summary
    shown = run(name, "--help")
    assert shown.code == Exit.DONE
    assert summary in shown.out
    assert re.search(rf"^      contacts {name}\b|^      \[accounts", shown.out, re.MULTILINE)


def test_the_help_names_every_command_and_exit_code(run: Run) -> None:
    shown = run("--help").out
    assert all(f"  {name} " in shown and summary in shown for name, _, summary in NAMES)
    assert all(re.search(rf"^ +{code.value} ", EPILOG, re.MULTILINE) for code in Exit)


GROUPS = ("plan", "runs", "receipt", "tombstones")


@pytest.mark.parametrize("group", GROUPS)
def test_each_command_below_another_gives_an_example(group: str, run: Run) -> None:
    below = typer.main.get_command(app).commands[group].commands  # type: ignore[attr-defined]
    assert below
    for name in below:
        shown = run(group, name, "--help")
        assert shown.code == Exit.DONE
        assert re.search(rf"^      contacts {group} {name}\b", shown.out, re.MULTILINE), name


def test_the_app_can_be_walked_like_any_other() -> None:
    group = typer.main.get_command(app)
    commands = group.commands  # type: ignore[attr-defined]
    assert list(commands) == [name for name, *_ in NAMES]
    assert len(commands) == len(NAMES)
    assert all(command.name == name and (command.params or command.commands) for name, command in commands.items())
    with pytest.raises(KeyError):
        commands["nonsense"]


def test_help_loads_neither_the_library_nor_rich() -> None:
    code = (
        "import sys; from contacts_core.cli import main; sys.argv = ['contacts', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "bad = [m for m in sys.modules if m.startswith(('contacts_core.', 'rich.', 'httpx', 'attr', 'cattrs'))\n"
        "       and not m.startswith('contacts_core.cli')]\n"
        "print(bad, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_no_command_is_a_usage_error_and_shows_the_help(run: Run) -> None:
    shown = run()
    assert shown.code == Exit.USAGE
    assert "delete" in shown.out + shown.err


def test_the_version(run: Run) -> None:
    assert re.fullmatch(r"contacts-core \d+\.\d+\.\d+\S*\n", run("--version").out)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from contacts_core import cli

    monkeypatch.delitem(sys.modules, "contacts_core.cli.app")
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == Exit.FAILED
    assert "install contacts-core[cli]" in capsys.readouterr().err
