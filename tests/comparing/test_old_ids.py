"""Ids of the source as external ids in the target: a help for applications, and never a way to mistake somebody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, field, frozen

from contacts_core import Contact, Contacts, Identifier
from contacts_core.models import IdentifierKind, LossCode, Preview, Shape
from contacts_core.plans import Plan, SafetyLimits, plan_copy
from contacts_core.plans.comparing import check
from contacts_core.plans.planning.transfer import LossesNotAccepted
from contacts_core.provider.fitting import Fitting
from contacts_core.query import F
from contacts_core.testing import MemoryProvider
from contacts_core.testing.memory import Store
from tests.plans.test_copy import ACCEPTED, QUICK, two_accounts

OLD, NEW = "old", "new"
ID = [f"0b7e1f2c-0000-4000-8000-{n:012}" for n in range(9)]


@frozen(kw_only=True)
class Strict(MemoryProvider):
    """A vendor that takes no external ids, or no addresses of one domain."""

    name = "strict"
    takes_external_ids: bool = True
    store: Store = field(factory=Store, repr=False)

    def preview(self, contact: Contact, shape: Shape) -> Preview:
        fitting = Fitting(contact)
        fitting.keep_identifiers(self._problem)
        return fitting.preview() if fitting.identifiers else fitting.refuse("it has no identifier")

    def _problem(self, each: Identifier) -> tuple[LossCode, str] | None:
        if each.kind is IdentifierKind.EXTERNAL_ID:
            return None if self.takes_external_ids else (LossCode.NO_PLACE, "")
        return (LossCode.REFUSED, "") if each.value.endswith("@example.net") else None


def person(n: int, *more: Identifier) -> Contact:
    return Contact(identifiers=(Identifier.email(f"p{n}@example.com"), *more), first_name=f"P{n}")


def client(provider: MemoryProvider, name: str, *people: Contact) -> Contacts[Any]:
    for n, each in enumerate(people, len(provider.store.contacts)):
        provider.store.contacts[ID[n]] = evolve(each, provider=provider.name, id=ID[n], lists=())
    return Contacts(provider, name=name)


def planned(source: Contacts[Any], target: Contacts[Any], **more: Any) -> Plan:
    options: dict[str, Any] = {"accept_losses": ["DATE_LOST"], "limits": SafetyLimits(share=1)}
    return plan_copy(source, target, **(options | more))


def external_ids(contact: Contact) -> list[str]:
    return [each.value for each in contact.identifiers_of(IdentifierKind.EXTERNAL_ID)]


def written_ids(plan: Plan) -> list[list[str]]:
    return [
        [i.value for i in change.identifiers if i.kind is IdentifierKind.EXTERNAL_ID]
        for change in plan.accounts[0].changes
    ]


def test_a_contact_that_is_created_gets_its_old_id_unless_it_has_an_external_id() -> None:
    own = Identifier.external_id("CRM-7")
    source = client(MemoryProvider(), OLD, person(0), person(1, own))
    assert written_ids(planned(source, client(MemoryProvider(), NEW))) == [[ID[0]], ["CRM-7"]]
    assert written_ids(planned(source, client(MemoryProvider(), NEW), old_ids=False)) == [[], ["CRM-7"]]


def test_a_short_id_may_be_anybody_s_and_is_left_out() -> None:
    source = MemoryProvider()
    source.store.contacts["17"] = evolve(person(0), provider=source.name, id="17", lists=())
    assert written_ids(planned(client(source, OLD), client(MemoryProvider(), NEW))) == [[]]


def test_contacts_that_are_there_get_none() -> None:
    source = client(MemoryProvider(), OLD, person(0), person(1))
    target = client(MemoryProvider(), NEW, person(1), evolve(person(0), first_name="Other"))
    assert written_ids(planned(source, target)) == [[]]


def test_nobody_matches_by_an_old_id_and_an_id_that_somebody_has_is_not_written() -> None:
    source = client(MemoryProvider(), OLD, person(0), person(1), person(2, Identifier.external_id(ID[1])), person(3))
    target = client(MemoryProvider(), NEW, person(9, Identifier.external_id(ID[0])))
    plan = planned(source, target)
    assert written_ids(plan) == [[], [], [ID[1]], [ID[3]]]
    assert not plan.accounts[0].held
    looked_up = planned(source, target, only=F.first_name == "P0")
    assert written_ids(looked_up) == [[]]


def test_a_target_without_external_ids_loses_nothing_by_it() -> None:
    source = client(MemoryProvider(), OLD, person(0))
    plan = planned(source, client(Strict(takes_external_ids=False), NEW))
    assert written_ids(plan) == [[]]
    assert "external_id" not in {each.field for each in plan.accounts[0].losses}


def test_an_old_id_makes_no_contact_of_somebody_whom_the_vendor_would_refuse() -> None:
    source = client(MemoryProvider(), OLD, Contact(identifiers=(Identifier.email("p0@example.net"),)))
    with pytest.raises(LossesNotAccepted, match="REFUSED:contact"):
        planned(source, client(Strict(), NEW))


def test_there_and_back_changes_nothing_and_the_second_plan_is_empty(tmp_path: Path) -> None:
    options: dict[str, Any] = {"accept_losses": ACCEPTED, "create_lists": True, "limits": SafetyLimits(share=1)}
    with two_accounts("sendgrid", "local", tmp_path) as (source, target, _, _):
        assert plan_copy(source, target, **options).apply([source, target], **QUICK).complete
        known = {each.email: external_ids(each) or [each.id] for each in source.export() if each.email}
        assert known == {each.email: external_ids(each) for each in target.export() if each.email in known}
        assert not plan_copy(source, target, **options).contacts
        assert not plan_copy(target, source, **options).contacts
        assert check(target, source).is_complete()
