"""What becomes of suppressions when contacts are deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from contacts_bird import Bird
from contacts_core.models import Channel, Consent, ConsentReason, ConsentState, Identifier
from contacts_core.operations.keeping import outlasts_deletion, suppressions_to_keep
from contacts_core.provider import preview_consent
from contacts_core.testing.memory import MemoryProvider
from contacts_sendgrid import SendGrid
from contacts_user_api import UserApi

JANE, JOE = Identifier.email("jane@example.com"), Identifier.email("joe@example.com")
PHONE = Identifier.phone("+12025550123")
DAY = datetime(2026, 1, 31, tzinfo=UTC)
SENDGRID = SendGrid(api_key="example")


def revoked(identifier: Identifier = JANE, **more: Any) -> Consent:
    return Consent(identifier, Channel.EMAIL, ConsentState.REVOKED, **more)


def test_what_is_suppressed_already_stays_and_what_is_not_is_written() -> None:
    bounced = revoked(reason=ConsentReason.BOUNCE, at=DAY)
    kept = suppressions_to_keep(SENDGRID, [JANE, JOE, JOE, PHONE], {JANE: [bounced], JOE: []}, DAY)
    assert kept.there == (bounced,)
    assert kept.write == (revoked(JOE, reason=ConsentReason.UNSUBSCRIBE),)
    assert kept.refused == {PHONE: f"{SENDGRID.title} keeps no suppressions of this kind of identifier"}
    assert [preview_consent(SENDGRID, each).losses for each in kept.write] == [()]


def test_a_block_is_not_enough() -> None:
    blocked = revoked(reason=ConsentReason.BLOCK, at=DAY)
    assert [each.reason for each in suppressions_to_keep(SENDGRID, [JANE], {JANE: [blocked]}).write] == [
        ConsentReason.UNSUBSCRIBE
    ]


def test_a_refusal_of_one_topic_is_not_enough() -> None:
    kept = suppressions_to_keep(SENDGRID, [JANE], {JANE: [revoked(scope="Offers")]})
    assert [each.scope for each in kept.write] == [""]


def test_where_reasons_and_dates_are_kept_they_say_who_entered_it_and_when() -> None:
    kept = suppressions_to_keep(MemoryProvider(), [JANE], {}, DAY)
    assert {each.channel for each in kept.write} == set(Channel)
    assert {(each.reason, each.at) for each in kept.write} == {(ConsentReason.MANUAL, DAY)}


def test_an_address_that_the_vendor_does_not_take_is_told() -> None:
    odd = Identifier.email("no address at all")
    kept = suppressions_to_keep(SENDGRID, [odd], {})
    assert (kept.write, list(kept.refused)) == ((), [odd])


@pytest.mark.parametrize(
    ("provider", "why"),
    [
        (Bird(access_key="example", workspace_id="w"), "would bring the contact back"),
        (UserApi(api_key="example", base_url="http://localhost"), "keeps no consent"),
    ],
    ids=["bird", "user-api"],
)
def test_no_suppression_is_kept_where_only_contacts_can_have_one(provider: Any, why: str) -> None:
    kept = suppressions_to_keep(provider, [JANE], {JANE: [revoked()]})
    assert (kept.there, kept.write) == ((), ())
    assert why in kept.refused[JANE]


def test_what_outlasts_a_deletion_is_a_fact_of_the_provider() -> None:
    assert outlasts_deletion(SENDGRID)
    assert not outlasts_deletion(Bird(access_key="example", workspace_id="w"))
