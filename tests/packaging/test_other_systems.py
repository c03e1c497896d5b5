"""Where Python has no POSIX modules (Windows), everything works except applying plans, which says why it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# What Python on Windows lacks, taken away before anything of ours is imported.
WITHOUT_POSIX = """
import asyncio, os, signal, sys, tempfile

for name in ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None
for name in ("fchmod", "fork", "geteuid", "getuid", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_TMPFILE"):
    if hasattr(os, name):
        delattr(os, name)
if hasattr(signal, "SIGHUP"):
    del signal.SIGHUP
"""


def run(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX + code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_but_those_that_apply_plans_is_imported(tmp_path: Path) -> None:
    code = """
import importlib, pkgutil

VENDORS = ("bird", "carddav", "local", "sendgrid", "user_api")
PACKAGES = ("contacts_core", *(f"contacts_{vendor}" for vendor in VENDORS))
for package in map(importlib.import_module, PACKAGES):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except Exception as error:
            print(module.name, error)
"""
    failed = run(code, tmp_path).splitlines()
    # The engine, and what imports it.
    without_locks = [line for line in failed if line.endswith("applying plans needs a POSIX system (file locks)")]
    engine = [line for line in failed if "import of fcntl halted" in line]
    assert len(engine) == 1, failed
    assert "contacts_core.plans." in engine[0]
    assert sorted(without_locks + engine) == sorted(failed)
    assert all("plans." in line.split()[0] or ".cli." in line.split()[0] for line in failed), failed


def test_planning_works_and_applying_says_what_it_needs(tmp_path: Path) -> None:
    code = """
from pathlib import Path

import contacts_core.plans
from contacts_core import Contact, Contacts, F, Identifier
from contacts_core.errors import ConfigurationError
from contacts_core.plans import Plan, plan_erasure
from contacts_core.testing import MemoryProvider

jane = Identifier.email("jane@example.com")
with Contacts(MemoryProvider()) as contacts:
    joe = Identifier.email("joe@example.com")
    contacts.upsert_contacts([Contact(identifiers=(jane,)), Contact(identifiers=(joe,))])
    assert [contact.email for contact in contacts.search(F.email == "jane@example.com")] == ["jane@example.com"]
    plan = plan_erasure([jane], [contacts])
    plan.save(Path("plan.json"))
    assert Plan.load(Path("plan.json")) == plan
    try:
        plan.apply([contacts])
    except ConfigurationError as error:
        print(error)
        print(error.hint)
    assert len(list(contacts.export())) == 2
    contacts.delete_contacts([contact.id for contact in contacts.search(F.email == "jane@example.com")])
    assert len(list(contacts.export())) == 1
"""
    assert run(code, tmp_path).splitlines() == [
        "applying plans needs a POSIX system (file locks)",
        "make and review plans here; apply them on Linux, macOS or WSL",
    ]


def test_the_key_of_receipts_is_made_and_kept(tmp_path: Path) -> None:
    code = """
from pathlib import Path
from contacts_core.storage.pseudonyms import kept_key

os.umask(0)
os.mkdir("folder")  # everybody may write there, as modes on Windows always say
assert kept_key(Path("folder/receipt.key")) == kept_key(Path("folder/receipt.key"))
"""
    run(code, tmp_path)
