"""Each kind of plan is one class, and no other module names a kind."""

from __future__ import annotations

import re
from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest
from attrs import evolve

import contacts_core
from contacts_core import Contact, Contacts, Identifier
from contacts_core.plans import Change, Plan
from contacts_core.plans.kinds import KINDS, Kind, kind_of
from contacts_core.plans.planning.planner import data_subjects, make_plan
from contacts_core.plans.planning.search import PlanRequest
from contacts_core.plans.receipts.report import html
from contacts_core.provider import Provider
from contacts_core.testing.memory import MemoryProvider, Store

PACKAGE = Path(contacts_core.__file__).parent
# The public functions that make a plan of one kind, and what the adversary expects of each.
NAMED_IN = {
    PACKAGE / "plans" / "planning" / "undo.py",
    PACKAGE / "plans" / "planning" / "api.py",
    PACKAGE / "testing" / "adversary_plan_contract.py",
}
NAMING = re.compile(rf"kind (==|is|in) .*\"({'|'.join(KINDS)})\"|kinds\.({'|'.join(KINDS).replace('-', '_')})")


def test_every_kind_has_its_class_in_a_module_named_for_it() -> None:
    for name, kind in KINDS.items():
        module = import_module(f"contacts_core.plans.kinds.{name.replace('-', '_')}")
        assert type(kind).__module__ == module.__name__
        assert module.__all__ == [type(kind).__name__]


def test_a_kind_needs_a_capability_and_makes_its_changes_by_operations_of_the_client() -> None:
    for kind in KINDS.values():
        assert issubclass(kind.capability, Provider)
        assert all(callable(getattr(Contacts, operation)) for operation in {*kind.stages} - {"confirm_consent"})


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


class CloseAccount(Kind):
    """A kind of somebody else."""

    name = "close-account"
    title = "Closing of customer accounts"
    done = "Every contact is verified to be gone."
    stages = ("delete_contacts",)

    def change(self, change: Change, found_by: Collection[Identifier]) -> Change:
        """Give another reason."""
        return evolve(change, reason=f"customer left; {change.reason}")


def test_another_kind_is_one_class_and_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(cast("dict[str, Kind]", KINDS), CloseAccount.name, CloseAccount())
    jane, john = (Identifier.email(f"{name}@example.com") for name in ("jane", "john"))
    store = Store(contacts={i.value[:4]: Contact(id=i.value[:4], identifiers=(i,)) for i in (jane, john)})
    with Contacts(MemoryProvider(store=store)) as client:
        planning = make_plan(PlanRequest(CloseAccount.name, data_subjects([jane])), {client.name: client.provider})
        answers: Any = None
        try:
            while True:
                answers = {name: client.run(flow) for name, flow in planning.send(answers).items()}
        except StopIteration as stop:
            stop.value.save(tmp_path / "plan.jsonl")
        plan = Plan.load(tmp_path / "plan.jsonl")
        assert [change.reason[:13] for change in plan.accounts[0].changes] == ["customer left"]
        done = plan.apply([client], pause=0.01, timeout=1)
    assert (done.state, set(store.contacts)) == ("done", {"john"})
    assert "Closing of customer accounts" in html(done)
    assert "Every contact is verified to be gone." in html(done)
