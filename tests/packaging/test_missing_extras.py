"""An import that needs an extra says which one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from contacts_core.text import needs_extra

CASES = [
    ("import contacts_core.emulator", "starlette", "install contacts-core[sandbox]"),
    ("import contacts_core.emulator", "uvicorn", "install contacts-core[sandbox]"),
    ("from contacts_core.testing import ProviderContract", "pytest", "install contacts-core[testing]"),
    ("from contacts_core.testing import Harness", "vcr", "install contacts-core[testing]"),
    ("from contacts_core.plans import apply", "dbos", "the package dbos (extra plans)"),
    ("from contacts_core.plans import apply", "sqlalchemy", "the package sqlalchemy (extra plans)"),
    ("from contacts_carddav import mapping; mapping.lines('BEGIN:VCARD', '')", "icalendar", "the extra carddav"),
    ("from contacts_carddav import payloads; payloads.multistatus(b'')", "defusedxml", "the extra carddav"),
]


@pytest.mark.parametrize(("code", "package", "told"), CASES)
def test_an_import_names_the_extra(code: str, package: str, told: str) -> None:
    script = f"import sys; sys.modules[{package!r}] = None\n{code}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode
    assert told in done.stderr.splitlines()[-1]


def test_a_missing_part_of_this_package_is_no_question_of_an_extra() -> None:
    missing = ModuleNotFoundError("no such module", name="contacts_core.nonsense")
    assert needs_extra("contacts_core.emulator", missing, "sandbox") is missing
