"""A backend that was written from the pages alone passes the kit, and bears faults, on a real Mailman 3 server.

Skipped unless the environment variable CONTACTS_TEST_MAILMAN names a venv that has Mailman.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "examples" / "contacts_mailman"
# Read here, because every test runs without the variables of the library.
VENV = os.environ.get("CONTACTS_TEST_MAILMAN", "")


@pytest.mark.skipif(not VENV, reason="CONTACTS_TEST_MAILMAN names no venv")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("module", ["test_mailman.py", "test_faults.py"])
def test_the_tests_of_the_example_pass_on_a_real_server(tmp_path: Path, module: str) -> None:
    source = shutil.copytree(PLUGIN, tmp_path / "checkout", ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path / "installed"
    path = os.pathsep.join((str(target), str(source)))
    environment = {**os.environ, "PYTHONPATH": path, "CONTACTS_TEST_MAILMAN": VENV}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command],
            cwd=source,
            env=environment,
            capture_output=True,
            text=True,
            timeout=580,
            check=False,
        )

    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    installed = run("-m", "pip", "install", *offline, "--target", str(target), str(source))
    assert installed.returncode == 0, installed.stderr
    start = "import sys; from contacts_core.cli import main; sys.argv[0] = 'contacts'; main()"
    registered = run("-c", start, "providers", "--json")
    assert '"mailman"' in registered.stdout, registered.stdout + registered.stderr
    result = run("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", "-q", module)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"[1-9]\d* passed", result.stdout), result.stdout
