"""Each kind of plan is one class, and no other module names a kind."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import contacts_core
from contacts_core.client import Contacts
from contacts_core.plans.kinds import KINDS, kind_of
from contacts_core.provider import Provider

PACKAGE = Path(contacts_core.__file__).parent
# The public functions that make a plan of one kind, and what the adversary expects of each.
NAMED_IN = {PACKAGE / "plans" / "planning" / "api.py", PACKAGE / "testing" / "adversary_plan_contract.py"}
NAMING = re.compile(rf"kind (==|is|in) .*\"({'|'.join(KINDS)})\"|kinds\.({'|'.join(KINDS).replace('-', '_')})")


def test_every_kind_has_its_class_in_a_module_named_for_it() -> None:
    for name, kind in KINDS.items():
        module = import_module(f"contacts_core.plans.kinds.{name.replace('-', '_')}")
        assert type(kind).__module__ == module.__name__
        assert module.__all__ == [type(kind).__name__]


def test_a_kind_needs_a_capability_and_makes_its_change_by_an_operation_of_the_client() -> None:
    for kind in KINDS.values():
        assert issubclass(kind.capability, Provider)
        assert callable(getattr(Contacts, kind.operation))


def test_people_are_told_each_kind_in_other_words() -> None:
    for words in ("title", "done"):
        told = [getattr(kind, words) for kind in KINDS.values()]
        assert all(told)
        assert len(set(told)) == len(told)


def test_only_an_erasure_leaves_tombstones() -> None:
    assert [name for name in KINDS if kind_of(name).leaves_tombstones] == ["erase"]


def test_no_other_module_names_a_kind() -> None:
    others = {path for path in PACKAGE.rglob("*.py") if "kinds" not in path.parts} - NAMED_IN
    assert [str(path) for path in sorted(others) if NAMING.search(path.read_text(encoding="utf-8"))] == []
