"""Somebody whose refusal the target cannot keep is left alone and named; everybody else is copied."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from attrs import evolve, field, frozen

from contacts_core import Channel, Consent, ConsentState, Contact, Contacts, Identifier
from contacts_core.errors import PlanRefused
from contacts_core.models import IdentifierKind
from contacts_core.plans import LossesNotAccepted, Plan, SafetyLimits, plan_copy
from contacts_core.plans.comparing.consent import Unsubscribed
from contacts_core.testing import MemoryProvider
from contacts_core.testing.memory import Store
from tests.plans.plan_files import document, file_of
from tests.plans.test_copy import QUICK

REVOKED, GRANTED = ConsentState.REVOKED, ConsentState.GRANTED
SMS = "NO_CONSENT:revoked.sms"
STRANGER = Identifier.phone("+12025550199")


@frozen(kw_only=True)
class MailOnly(MemoryProvider):
    """A vendor that keeps consent to e-mail, and nothing else."""

    name = "mail-only"
    consent_channels: ClassVar = {Channel.EMAIL: (IdentifierKind.EMAIL,)}
    store: Store = field(factory=Store, repr=False)


def phone(n: int) -> Identifier:
    return Identifier.phone(f"+120255501{n:02}")


def person(n: int) -> Contact:
    return Contact(identifiers=(Identifier.email(f"p{n}@example.com"), phone(n)), first_name=f"P{n}")


def account(provider: MemoryProvider, name: str, *people: Contact, said: tuple[Consent, ...] = ()) -> Contacts[Any]:
    for each in people:
        id = f"{name}-{len(provider.store.contacts)}"
        provider.store.contacts[id] = evolve(each, provider=provider.name, id=id, lists=())
    provider.store.consent |= dict.fromkeys(said)
    return Contacts(provider, name=name)


def refused(identifier: Identifier, channel: Channel = Channel.SMS) -> Consent:
    return Consent(identifier, channel, REVOKED)


def source(*said: Consent) -> Contacts[Any]:
    return account(MemoryProvider(), "old", *map(person, range(3)), said=said)


def planned(old: Contacts[Any], new: Contacts[Any], *accepted: str, **more: Any) -> Plan:
    plan = plan_copy(old, new, accept_losses=accepted, limits=SafetyLimits(share=1), **more)
    return Plan.parse(plan.text)


def held(plan: Plan) -> list[tuple[Identifier, ...]]:
    return [each.identifiers for each in plan.accounts[0].held]


def names(client: Contacts[Any]) -> set[str | None]:
    return {each.first_name for each in client.export()}


def test_one_refusal_that_cannot_be_kept_holds_one_person_and_stops_nobody_else() -> None:
    old, new = source(refused(phone(1))), account(MailOnly(), "new")
    plan = planned(old, new)
    assert held(plan) == [person(1).identifiers]
    assert "its refusal cannot be kept (NO_CONSENT revoked.sms" in plan.accounts[0].held[0].reason
    assert plan.accounts[0].losses == ()
    receipt = plan.apply([old, new], **QUICK)
    assert receipt.complete
    assert names(new) == {"P0", "P2"}
    assert not planned(old, new).contacts


def test_it_is_copied_if_that_loss_is_accepted_by_its_name() -> None:
    old, new = source(refused(phone(1))), account(MailOnly(), "new")
    plan = planned(old, new, SMS)
    assert held(plan) == []
    assert [(each.field, each.count) for each in plan.accounts[0].losses] == [("revoked.sms", 1)]
    assert plan.apply([old, new], **QUICK).complete
    assert names(new) == {"P0", "P1", "P2"}


def test_the_loss_of_another_channel_is_not_accepted_with_it() -> None:
    old, new = source(refused(phone(1)), refused(phone(2), Channel.WHATSAPP)), account(MailOnly(), "new")
    plan = planned(old, new, SMS)
    assert held(plan) == [person(2).identifiers]
    assert [each.field for each in plan.accounts[0].losses] == ["revoked.sms"]


def test_who_refused_and_is_no_contact_or_is_there_already_is_named_as_well() -> None:
    old, new = source(refused(phone(1)), refused(STRANGER)), account(MailOnly(), "new", person(1))
    plan = planned(old, new)
    assert held(plan) == [(phone(1),), (STRANGER,)]


def test_the_table_of_losses_tells_it_and_asks_only_for_the_others() -> None:
    old = source(refused(phone(1)), Consent(phone(2), Channel.SMS, GRANTED))
    with pytest.raises(LossesNotAccepted) as caught:
        planned(old, account(MailOnly(), "new"))
    assert [row.name for row in caught.value.left] == ["NO_CONSENT:granted.sms"]
    (row,) = [row for row in caught.value.losses if row.name == SMS]
    assert (row.count, row.held) == (1, True)
    assert "left alone" in row.hint


def test_a_pending_statement_that_cannot_be_kept_holds_like_a_refusal() -> None:
    old = source(Consent(phone(1), Channel.SMS, ConsentState.PENDING))
    assert held(planned(old, account(MailOnly(), "new"))) == [person(1).identifiers]


@frozen(kw_only=True)
class Choosy(MailOnly):
    """It takes no statement about some addresses."""

    name = "choosy"
    store: Store = field(factory=Store, repr=False)

    def cannot_write_consent(self, statement: Consent) -> str:
        return "not this address" if statement.identifier.value.startswith("p1@") else ""


def test_a_refusal_that_the_vendor_refuses_holds_and_no_acceptance_writes_the_person() -> None:
    old, new = source(refused(person(1).identifiers[0], Channel.EMAIL)), account(Choosy(), "new")
    for accepted in ((), ("NO_CONSENT:revoked",), ("REFUSED:revoked.email",)):
        assert held(planned(old, new, *accepted)) == [person(1).identifiers]


@frozen(kw_only=True)
class Silent(MailOnly):
    """It keeps no consent at all, as far as anybody can write it."""

    name = "silent"
    consent_states: ClassVar = ()
    store: Store = field(factory=Store, repr=False)


def test_a_target_that_keeps_no_consent_at_all_still_refuses_the_plan() -> None:
    old = source(refused(phone(1)))
    with pytest.raises(PlanRefused, match="keeps no consent"):
        planned(old, account(Silent(), "new"))
    skipping = planned(old, account(Silent(), "new"), unsubscribed=Unsubscribed.SKIP)
    assert held(skipping) == [person(1).identifiers]


def test_who_refuses_after_the_plan_what_nobody_accepted_the_loss_of_is_not_written() -> None:
    old, new = source(refused(phone(1))), account(MailOnly(), "new")
    plan = planned(old, new, "NO_CONSENT:revoked")
    old.provider.store.consent[refused(phone(2), Channel.WHATSAPP)] = None
    receipt = plan.apply([old, new], **QUICK)
    assert receipt.state == "incomplete"
    assert names(new) == {"P0", "P1"}


def test_an_edited_plan_accepts_no_loss_that_it_does_not_tell() -> None:
    whole = document(planned(source(refused(phone(1))), account(MailOnly(), "new"), SMS))
    whole["accounts"][0]["consent"]["accepted"] = ["revoked"]
    with pytest.raises(PlanRefused, match="accepts that refusals get lost"):
        Plan.parse(file_of(whole))


def test_people_who_share_a_text_that_is_no_number_stay_two_people() -> None:
    weak = Identifier.phone("n/a")
    people = [evolve(person(n), identifiers=(weak, Identifier.email(f"p{n}@example.com"))) for n in range(2)]
    plan = planned(account(MemoryProvider(), "old", *people), account(MemoryProvider(), "new"))
    assert [each.people for each in plan.accounts[0].changes] == [(1,), (2,)]
