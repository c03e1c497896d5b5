"""A check compares consent: whoever refused at the source has to be refused at the target."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from attrs import evolve

from contacts_core import AsyncContacts, Channel, Consent, ConsentReason, ConsentState, Contact, Contacts
from contacts_core.operations.losses import accepted_losses
from contacts_core.plans import Comparison, ComparisonStatus, ConsentStatus, SafetyLimits, check, check_async, plan_copy
from contacts_core.query import F
from contacts_core.testing import MemoryProvider
from tests.plans.test_copy import PLACE, QUICK, copy, refusing, two_accounts
from tests.plans.test_held_refusals import MailOnly, Silent, account, person, phone, refused, source

MISSING, NOT_KEPT, ONLY = ConsentStatus.MISSING, ConsentStatus.NOT_KEPT, ConsentStatus.ONLY_IN_TARGET
EMAIL = person(1).identifiers[0]


def email_refused(n: int, **more: Any) -> Consent:
    return evolve(refused(person(n).identifiers[0], Channel.EMAIL), **more)


def target(*said: Consent, provider: MemoryProvider | None = None) -> Contacts[Any]:
    return account(provider or MemoryProvider(), "new", *map(person, range(3)), said=said)


def counts(found: Comparison) -> dict[ConsentStatus, int]:
    assert found.consent is not None
    return {status: number for status, number in found.consent.counts.items() if number}


def test_who_refused_at_the_source_and_not_at_the_target_is_a_difference() -> None:
    found = check(source(email_refused(1), email_refused(2)), target(email_refused(2)))
    assert found.counts[ComparisonStatus.EQUAL] == 3
    assert counts(found) == {MISSING: 1}
    assert not found.is_complete()
    assert found.consent is not None
    (row,) = found.consent.rows(MISSING)
    assert (row.statement.identifier, row.statement.state, row.loss) == (EMAIL, ConsentState.REVOKED, None)
    assert "p1" not in repr(found.consent)


def test_a_grant_at_the_target_does_not_stand_for_a_refusal_and_a_stronger_one_there_does() -> None:
    granted = Consent(EMAIL, Channel.EMAIL, ConsentState.GRANTED)
    assert counts(check(source(email_refused(1)), target(granted))) == {MISSING: 1}
    complaint = email_refused(1, reason=ConsentReason.COMPLAINT)
    assert check(source(email_refused(1)), target(complaint)).is_complete()


def test_people_who_are_no_contacts_count_as_well() -> None:
    assert counts(check(source(refused(phone(77))), target())) == {MISSING: 1}


def test_who_refused_only_at_the_target_is_told_and_is_no_fault() -> None:
    found = check(source(email_refused(2)), target(email_refused(1), email_refused(2)))
    assert counts(found) == {ONLY: 1}
    assert found.is_complete()
    assert found.consent is not None
    assert [each.statement.identifier for each in found.consent.rows()] == [EMAIL]


def test_a_refusal_that_the_target_cannot_hold_counts_unless_that_is_accepted_by_name() -> None:
    found = check(source(refused(phone(1))), target(provider=MailOnly()))
    assert counts(found) == {NOT_KEPT: 1}
    assert not found.is_complete()
    assert not found.is_complete(accepted_losses(["NO_CONSENT:revoked.push"]))
    assert found.is_complete(accepted_losses(["NO_CONSENT:revoked.sms"]))


def test_a_target_that_keeps_no_consent_is_no_error_and_every_refusal_counts() -> None:
    assert counts(check(source(refused(phone(1)), email_refused(2)), target(provider=Silent()))) == {NOT_KEPT: 2}


def test_a_check_of_some_contacts_compares_the_consent_of_everybody() -> None:
    found = check(source(email_refused(1)), target(), only=F.first_name == "P0")
    assert (len(found), counts(found)) == (1, {MISSING: 1})


def test_after_a_copy_nothing_is_missing() -> None:
    old, new = source(email_refused(1), refused(phone(2))), account(MailOnly(), "new")
    plan = plan_copy(old, new, limits=SafetyLimits(share=1))
    assert plan.apply([old, new], **QUICK).complete
    found = check(old, new)
    assert (found.counts[ComparisonStatus.MISSING], counts(found)) == (1, {NOT_KEPT: 1})  # the person who is held


def test_it_works_asynchronously() -> None:
    old, new = source(email_refused(1)).provider, target().provider

    async def run() -> Comparison:
        async with AsyncContacts(old, name="old") as one, AsyncContacts(new, name="new") as other:
            return await check_async(one, other)

    assert counts(asyncio.run(run())) == {MISSING: 1}


def test_consent_on_contacts_is_compared_where_it_is_kept(tmp_path: Path) -> None:
    with two_accounts("sendgrid", "user-api", tmp_path) as (old, new, _, _):
        _, receipt = copy(old, new)
        assert receipt.complete
        there = {i for contact in old.export() for i in contact.identifiers}
        found = check(old, new, consent_in=PLACE)
        assert found.consent is not None
        assert not there.intersection(each.statement.identifier for each in found.consent.rows(MISSING))
        without = counts(check(old, new))
        assert without[NOT_KEPT] >= len(refusing(old))


def test_files_and_an_account_with_itself_have_no_consent_to_compare() -> None:
    client = target(email_refused(1))
    assert check([Contact(identifiers=(EMAIL,))], client).consent is None
    assert check(client, client).consent is None
