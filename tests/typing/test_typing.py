"""Types are tested like behaviour: what must pass passes in two checkers, what must fail fails on its line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GOOD, BAD = HERE / "api.py", HERE / "must_fail" / "wrong.py"

pytestmark = pytest.mark.timeout(300)


def marked(*, both: bool) -> set[int]:
    lines = enumerate(BAD.read_text(encoding="utf-8").splitlines(), 1)
    return {number for number, line in lines if "# error:" in line and not (both and "(pyright)" in line)}


def run(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout


def test_mypy_agrees() -> None:
    output = run("mypy", str(GOOD), str(BAD), "--no-error-summary", "--hide-error-context")
    found = re.findall(r"^tests/typing/([\w/]+\.py):(\d+): error:", output, re.MULTILINE)
    assert {int(line) for name, line in found if name == "must_fail/wrong.py"} == marked(both=True), output
    assert [name for name, _ in found if name == "api.py"] == [], output


def test_pyright_agrees() -> None:
    output = run("pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(HERE))
    problems = [each for each in json.loads(output)["generalDiagnostics"] if each["severity"] == "error"]
    lines = {(Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in problems}
    # `assert_type` gives its argument back, and nothing is done with that.
    wrong = [each for each in problems if each["file"].endswith("api.py") and each["rule"] != "reportUnusedCallResult"]
    assert wrong == []
    assert marked(both=False) <= {line for name, line in lines if name == "wrong.py"}, output
