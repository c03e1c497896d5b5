"""Suppressions are lifted by a call of its own, and by nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import contacts_core

MAY_LIFT = {"operations", "client", "provider", "testing", "cli"}
LIFTS = re.compile(r"LiftsSuppressions|lift_suppression|LIFTED_BY_DEFAULT")


def test_no_plan_and_no_copy_lifts_a_suppression() -> None:
    root = Path(contacts_core.__file__).parent
    naming = {path.relative_to(root) for path in root.rglob("*.py") if LIFTS.search(path.read_text())}
    assert {path.parts[0] for path in naming} == MAY_LIFT
    assert {path for path in naming if path.parts[0] == "cli"} == {Path("cli/commands/consent.py")}
