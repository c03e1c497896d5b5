"""A third-party plugin, built and installed beside the library, works as the built-in providers do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE_PLUGIN = Path(__file__).with_name("example_plugin")


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
    """A copy of the plugin's source tree outside the repository."""
    ignore = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(EXAMPLE_PLUGIN, tmp_path_factory.mktemp("example_plugin") / "checkout", ignore=ignore))


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
    assert {"bird", "carddav", "local", "sendgrid", "example", "user-api"} <= set(result.stdout.split()), result.stderr


def test_the_command_lists_it(installed: Path, tmp_path: Path) -> None:
    start = "import sys; from contacts_core.cli import main; sys.argv[0] = 'contacts'; main()"
    result = run("-c", start, "providers", "--json", path=installed, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    listed = json.loads(result.stdout)
    names = {row["name"] for row in (listed["providers"] if isinstance(listed, dict) else listed)}
    assert {"bird", "carddav", "local", "sendgrid", "example", "user-api"} <= names


def test_it_passes_the_kit(installed: Path, source: Path) -> None:
    pytest.importorskip("contacts_core.testing")
    path = Path(os.pathsep.join((str(installed), str(source))))
    options = ("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", "-q")
    result = run("-m", "pytest", *options, "check_example.py", path=path, cwd=source)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"[1-9]\d* passed", result.stdout), result.stdout
