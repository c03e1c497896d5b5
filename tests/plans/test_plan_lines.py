"""A stored plan, whose lines are kept as they are, is the plan that was stored."""

from __future__ import annotations

import io

import pytest

from contacts_core import Contact, Contacts, Identifier
from contacts_core.errors import PlanRefused
from contacts_core.plans import Plan, SafetyLimits, plan_erasure
from contacts_core.testing.memory import MemoryProvider, Store

NAMES = ("jane", "jörg", "odd\ud800", "tab\there", 'quote"back\\slash')


def made() -> Plan:
    people = [Identifier.other("nick", name) for name in NAMES]
    contacts = [Contact(id=f"c{n}", provider="memory", identifiers=(each,)) for n, each in enumerate(people)]
    store = Store(contacts={each.id: each for each in contacts})
    limits = SafetyLimits(contacts=len(NAMES), share=1)
    with Contacts(MemoryProvider(store=store), name="one") as client:
        return plan_erasure(people, [client], limits=limits)


def test_it_has_the_same_people_changes_and_steps_whatever_is_in_them() -> None:
    plan = made()
    read = Plan.parse(io.BytesIO("".join(plan.lines()).encode()), agreed=True)
    assert len(plan.accounts[0].changes) == len(NAMES)
    assert list(read.people) == list(plan.people)
    assert list(read.accounts[0].changes) == list(plan.accounts[0].changes)
    assert (read.accounts[0].steps, read.checksum) == (plan.accounts[0].steps, plan.checksum)
    assert "".join(read.lines()) == "".join(plan.lines())
    ids = {change.contact for change in plan.accounts[0].changes}
    assert read.accounts[0].changes.by_contact(ids).keys() == ids  # type: ignore[attr-defined]


@pytest.mark.parametrize("place", [0, -1])
def test_a_line_before_the_head_or_after_the_end_is_refused(place: int) -> None:
    lines = list(made().lines())
    lines.insert(len(lines) if place else 0, lines[1])
    with pytest.raises(PlanRefused, match=r"lines after its end|not a plan"):
        Plan.parse(io.BytesIO("".join(lines).encode()), agreed=True)
