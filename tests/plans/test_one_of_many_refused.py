"""The target refuses one contact of thousands: it is named, and everybody else is there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from attrs import frozen

from contacts_core import Contact, Contacts, Identifier
from contacts_core.models import Outcome
from contacts_core.plans import SafetyLimits, apply, check, plan_upsert
from contacts_core.provider import Flow
from contacts_core.provider.outcomes import combined, failed
from contacts_core.storage.database import locate_storage
from contacts_local import Local

PEOPLE = int(os.environ.get("CONTACTS_MANY", "3000"))  # 30,000 take about a minute
REFUSED = PEOPLE * 2 // 3
REASON = "this address is not taken here"


@frozen(kw_only=True)
class Choosy(Local):
    """A vendor that refuses one contact when it is written, and tells nothing of it before."""

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        taken = [each for each in contacts if each.identifiers[0] != identifier(REFUSED)]
        outcome = yield from super().upsert_contacts(taken, lists)
        refused = [failed(identifier(REFUSED).value, REASON)] * (len(contacts) - len(taken))
        return combined([outcome, *refused])


def identifier(number: int) -> Identifier:
    return Identifier.email(f"person{number}@example.com")


def everybody() -> Iterator[Contact]:
    return (Contact(identifiers=(identifier(n),), first_name=f"Example {n}") for n in range(PEOPLE))


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Contacts[Choosy]]:
    with Contacts(Choosy(path=tmp_path / "target.db"), name="target") as opened:
        yield opened


def test_an_import_names_it(target: Contacts[Choosy]) -> None:
    outcome = target.upsert_contacts(everybody(), named=False)
    assert [(each.item, each.reason) for each in outcome.failed] == [(identifier(REFUSED).value, REASON)]
    assert (outcome.requested, outcome.confirmed, outcome.processed) == (PEOPLE, (), PEOPLE - 1)
    assert target.count() == PEOPLE - 1
    assert not target.find([identifier(REFUSED)])[identifier(REFUSED)]


def test_a_plan_says_which_in_its_receipt(target: Contacts[Choosy]) -> None:
    plan = plan_upsert(target, everybody(), limits=SafetyLimits(contacts=PEOPLE, share=1))
    receipt = apply(plan, [target], pause=0.01, timeout=0.05)
    assert (receipt.state, receipt.present, receipt.absent) == ("incomplete", PEOPLE - 1, 1)
    (line,) = (line for line in receipt.of("result") if line["state"] != "present")
    assert line["person"] == REFUSED + 1
    assert [each["hash"] for each in line["identifiers"]] == [locate_storage().key().identifier(identifier(REFUSED))]
    (stage,) = receipt.of("stage")
    assert (stage["changes"], stage["verified"], stage["unmade"], stage["unknown"]) == (PEOPLE, PEOPLE - 1, 1, 0)
    comparison = check(everybody(), target)
    assert {status.value: count for status, count in comparison.counts.items() if count} == {
        "equal": PEOPLE - 1,
        "missing": 1,
    }
