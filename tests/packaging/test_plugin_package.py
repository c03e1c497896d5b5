"""What `contacts new-provider` writes, built and installed beside the library, works as the built-in providers do."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

NAME = "my-crm2"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(installed_python: Path) -> Run:
    """Run Python in the environment that has the wheel, with further folders to import from."""

    def run_python(*command: str, cwd: Path, path: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(installed_python), *command],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run_python


def contacts(*words: str) -> tuple[str, ...]:
    return ("-c", "import sys; from contacts_core.cli import main; sys.argv[0] = 'contacts'; main()", *words)


@pytest.fixture(scope="module")
def source(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as the command of the installed wheel writes it."""
    folder = tmp_path_factory.mktemp("author") / "package"
    result = run(*contacts("new-provider", NAME, "--to", str(folder), "--json"), cwd=folder.parent)
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads(result.stdout)["provider"] == NAME
    return folder


@pytest.fixture(scope="module")
def installed(run: Run, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed package; everything else is the environment's own."""
    target = tmp_path_factory.mktemp("installed")
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    result = run("-m", "pip", "install", *offline, "--target", str(target), str(source), cwd=target)
    assert result.returncode == 0, result.stdout + result.stderr
    return target


def test_it_registers_under_the_same_group_as_the_built_in_vendors(run: Run, installed: Path) -> None:
    ask = "from importlib.metadata import entry_points; print(*entry_points(group='contacts_core').names)"
    result = run("-c", ask, path=(installed,), cwd=installed)
    expected = {"bird", "carddav", "local", "sendgrid", NAME, "user-api"}
    assert expected <= set(result.stdout.split()), result.stderr


def test_the_command_lists_it(run: Run, installed: Path, tmp_path: Path) -> None:
    result = run(*contacts("providers", "--json"), path=(installed,), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    listed = json.loads(result.stdout)
    assert listed["broken"] == {}
    (row,) = [row for row in listed["providers"] if row["name"] == NAME]
    assert row["title"] == "My Crm2"


def test_the_sandbox_serves_its_emulator(run: Run, installed: Path, tmp_path: Path) -> None:
    start = "import runpy, sys; sys.argv = ['contacts', 'count', 'my-crm2']; from contacts_core.cli import main; main()"
    inside = ("sandbox", "--contacts", "7", "--port", "0", "--", os.environ.get("SHELL", "/bin/sh"), "-c")
    python = run("-c", "import sys; print(sys.executable)", cwd=tmp_path).stdout.strip()
    result = run(*contacts(*inside, f'{python} -c "{start}"'), path=(installed,), cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"\b7\b", result.stdout), result.stdout


def test_it_passes_the_kit(run: Run, installed: Path, source: Path) -> None:
    options = ("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", "-q")
    result = run("-m", "pytest", *options, path=(installed,), cwd=source)
    assert result.returncode == 0, result.stdout + result.stderr
    passed = re.search(r"(\d+) passed", result.stdout)
    assert passed is not None
    assert int(passed[1]) > 100, result.stdout
