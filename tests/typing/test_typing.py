"""Types are tested like behaviour: what must pass passes in two checkers, what must fail fails on its line.

The checkers see the wheel as it is installed by users, outside the repository, and nothing of the source tree.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BAD = HERE / "must_fail" / "wrong.py"

pytestmark = pytest.mark.timeout(300)


def marked(*, both: bool) -> set[int]:
    lines = enumerate(BAD.read_text(encoding="utf-8").splitlines(), 1)
    return {number for number, line in lines if "# error:" in line and not (both and "(pyright)" in line)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project, with the two files."""
    ignore = shutil.ignore_patterns("__pycache__", "test_*")
    return Path(shutil.copytree(HERE, tmp_path_factory.mktemp("project") / "typing", ignore=ignore))


def run(*command: str, project: Path) -> str:
    clean = {name: value for name, value in os.environ.items() if name not in {"MYPYPATH", "PYTHONPATH"}}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=project, env=clean, capture_output=True, text=True, check=False
    )
    return done.stdout


def test_the_wheel_is_what_is_checked(installed_python: Path, project: Path) -> None:
    code = "import contacts_core, contacts_bird; print(contacts_core.__file__, contacts_bird.__file__)"
    done = subprocess.run([installed_python, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert all(Path(file).is_relative_to(installed_python.parents[1]) for file in done.stdout.split()), done.stdout


def test_mypy_agrees(installed_python: Path, project: Path) -> None:
    files = ("api.py", "must_fail/wrong.py")
    options = ("--strict", "--config-file", os.devnull, "--no-error-summary", "--hide-error-context")
    codes = ("--enable-error-code", "unused-awaitable", "--cache-dir", os.devnull)
    output = run("mypy", *files, *options, *codes, "--python-executable", str(installed_python), project=project)
    found = re.findall(r"^([\w/]+\.py):(\d+): error:", output, re.MULTILINE)
    assert {int(line) for name, line in found if name == "must_fail/wrong.py"} == marked(both=True), output
    assert {name for name, _ in found} == {"must_fail/wrong.py"}, output


def test_pyright_agrees(installed_python: Path, project: Path) -> None:
    output = run("pyright", "--outputjson", "--pythonpath", str(installed_python), "-p", str(project), project=project)
    problems = [each for each in json.loads(output)["generalDiagnostics"] if each["severity"] == "error"]
    lines = {(Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in problems}
    # `assert_type` gives its argument back, and nothing is done with that.
    wrong = [each for each in problems if each["file"].endswith("api.py") and each["rule"] != "reportUnusedCallResult"]
    assert wrong == []
    assert marked(both=False) <= {line for name, line in lines if name == "wrong.py"}, output
