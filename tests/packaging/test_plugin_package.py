"""A stranger's plugin, built on the fly and installed beside the library, works as a built-in does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STRANGER = Path(__file__).with_name("stranger")


def run(*command: str, path: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stranger's checkout, somewhere else."""
    ignore = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(STRANGER, tmp_path_factory.mktemp("stranger") / "checkout", ignore=ignore))


@pytest.fixture(scope="module")
def installed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed plugin; everything else is the environment's own."""
    target = tmp_path_factory.mktemp("installed")
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    places = ("--target", str(target), str(source))
    result = run("-m", "pip", "install", *offline, *places, path=target, cwd=target)
    assert result.returncode == 0, result.stderr
    return target


def test_it_registers_under_the_same_group_as_the_built_in_vendors(installed: Path) -> None:
    ask = "from importlib.metadata import entry_points; print(*entry_points(group='contacts_core').names)"
    result = run("-c", ask, path=installed, cwd=installed)
    assert {"bird", "sendgrid", "stranger", "user-api"} <= set(result.stdout.split()), result.stderr


def test_the_command_lists_it(installed: Path, tmp_path: Path) -> None:
    start = "import sys; from contacts_core.cli import main; sys.argv[0] = 'contacts'; main()"
    result = run("-c", start, "providers", "--json", path=installed, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    listed = json.loads(result.stdout)
    names = {row["name"] for row in (listed["providers"] if isinstance(listed, dict) else listed)}
    assert {"bird", "sendgrid", "stranger", "user-api"} <= names


def test_it_passes_the_kit(installed: Path, source: Path) -> None:
    pytest.importorskip("contacts_core.testing")
    path = Path(os.pathsep.join((str(installed), str(source))))
    options = ("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", "-q")
    result = run("-m", "pytest", *options, "check_stranger.py", path=path, cwd=source)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"[1-9]\d* passed", result.stdout), result.stdout
