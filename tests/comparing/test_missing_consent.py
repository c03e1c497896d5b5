"""What a target lacks of the consent of a source, whatever the two vendors hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_bird import Bird
from contacts_core.models import (
    Channel,
    Consent,
    ConsentReason,
    ConsentState,
    Coverage,
    Identifier,
    LossCode,
    merge_consent,
)
from contacts_core.plans.comparing.consent import MissingConsent, missing_consent
from contacts_core.plans.comparing.consent_marks import ConsentPlace
from contacts_core.provider import ConsentFacts, WritesConsent, preview_consent
from contacts_core.testing.memory import MemoryProvider
from contacts_local import Local
from contacts_sendgrid import SendGrid

GRANTED, REVOKED, PENDING = ConsentState.GRANTED, ConsentState.REVOKED, ConsentState.PENDING
JANE, JOE = Identifier.email("jane@example.com"), Identifier.email("joe@example.com")
PHONE = Identifier.phone("+12025550123")
DAY = datetime(2026, 1, 1, tzinfo=UTC)
NOW = DAY + timedelta(days=100)


@frozen
class Account:
    """How a vendor keeps what is written into it."""

    facts: ConsentFacts
    history: bool = False
    sets_time: bool = False
    bounces: bool = False

    def shows(self, statements: list[Consent]) -> list[Consent]:
        """What the account shows of statements that came to be there, not only by this library."""
        shown: list[Consent] = []
        for each in statements:
            if self.bounces and each.state is REVOKED and each.channel is Channel.EMAIL:
                shown.append(evolve(each, reason=each.reason or ConsentReason.UNSUBSCRIBE, evidence=""))
            elif (preview := preview_consent(self.facts, each)).shown:
                shown.append(preview.shown)
        return shown if self.history or self.bounces else list({each.about: each for each in shown}.values())

    def written(self, held: list[Consent], missing: list[MissingConsent]) -> list[Consent]:
        """What the account shows after statements were written."""
        fresh = [evolve(each.shown, at=NOW if self.sets_time else each.shown.at) for each in missing]
        about = set() if self.history or self.bounces else {each.about for each in fresh}
        return [*(each for each in held if each.about not in about), *fresh]


def facts_of(provider: type[WritesConsent]) -> ConsentFacts:
    return ConsentFacts.of(provider)  # type: ignore[arg-type]  # the facts are those of the class


ACCOUNTS = {
    "sendgrid": Account(facts_of(SendGrid), sets_time=True, bounces=True),
    "bird": Account(facts_of(Bird)),
    "local": Account(facts_of(Local), history=True),
    "memory": Account(facts_of(MemoryProvider), history=True),
}
PAIRS = [pytest.param(ACCOUNTS[one], ACCOUNTS[other], id=f"{one}-{other}") for one, other in permutations(ACCOUNTS, 2)]

said = st.builds(
    Consent,
    st.sampled_from([JANE, Identifier.email("JANE@example.com"), JOE, PHONE]),
    st.sampled_from([Channel.EMAIL, Channel.SMS]),
    st.sampled_from(ConsentState),
    reason=st.none() | st.sampled_from(ConsentReason),
    scope=st.sampled_from(["", "Weekly news"]),
    coverage=st.sampled_from(Coverage),
    at=st.none() | st.integers(0, 3).map(lambda day: DAY + timedelta(days=day)),
    evidence=st.sampled_from(["", "confirmed by mail"]),
)
several = st.lists(said, max_size=6)


def refusals(statements: list[Consent]) -> list[Consent]:
    return [each for each in merge_consent(statements) if each.state is not GRANTED]


@pytest.mark.parametrize(("source", "target"), PAIRS)
@settings(deadline=None, max_examples=50)
@given(one=several, other=several)
def test_a_second_comparison_finds_nothing_and_nobody_who_refused_is_mailable(
    source: Account, target: Account, one: list[Consent], other: list[Consent]
) -> None:
    theirs, ours = source.shows(one), target.shows(other)
    missing, held = missing_consent(theirs, ours, target.facts)
    after = target.written(ours, missing)
    assert missing_consent(theirs, after, target.facts)[0] == []

    standing = {each.about: each.state for each in merge_consent(after)}
    unheld = {each.statement for each in held}
    for each in refusals([*theirs, *ours]):
        shown = preview_consent(target.facts, each).shown
        if shown is None:
            assert each in unheld or each in ours
        elif each not in ours:
            assert standing[shown.about] is not GRANTED
    for each in refusals(ours):
        assert standing[each.about] is not GRANTED or any(
            other.state is GRANTED and other.about == each.about for other in merge_consent([*theirs, *ours])
        )


def compared(source: list[Consent], target: list[Consent], facts: ConsentFacts) -> list[Consent]:
    return [each.statement for each in missing_consent(source, target, facts)[0]]


def test_of_two_statements_about_one_address_the_one_that_counts_is_written() -> None:
    early = Consent(JANE, Channel.EMAIL, GRANTED, at=DAY, evidence="form")
    late = Consent(JANE, Channel.EMAIL, REVOKED, reason=ConsentReason.UNSUBSCRIBE, at=DAY + timedelta(days=1))
    facts = ACCOUNTS["local"].facts
    assert compared([early, late], [], facts) == [late]
    assert compared([late], [early], facts) == [late]
    assert compared([early], [late], facts) == []


def test_an_undated_refusal_stays_and_an_undated_grant_lifts_nothing() -> None:
    refused, granted = Consent(JANE, Channel.EMAIL, REVOKED), Consent(JANE, Channel.EMAIL, GRANTED)
    proven = evolve(granted, at=NOW, evidence="form")
    for account in ("bird", "local"):
        facts = ACCOUNTS[account].facts
        assert compared([granted], [refused], facts) == []
        assert compared([proven], [refused], facts) == []
        assert compared([refused], [proven], facts) == [refused]


def test_a_refusal_of_a_topic_becomes_one_of_everything_where_there_are_no_topics() -> None:
    topic = Consent(JANE, Channel.EMAIL, REVOKED, scope="Offers")
    everything = Consent(JANE, Channel.EMAIL, GRANTED, at=DAY, evidence="form")
    (missing,), held = missing_consent([topic, everything], [], ACCOUNTS["bird"].facts)
    assert (missing.statement.state, missing.statement.scope, held) == (REVOKED, "", [])
    assert [(each.field, each.code) for each in missing.losses] == [("scope", LossCode.NO_PLACE)]


def test_a_topic_that_the_account_lacks_is_widened_and_one_that_it_has_is_not() -> None:
    topic = Consent(JANE, Channel.EMAIL, REVOKED, reason=ConsentReason.UNSUBSCRIBE, scope="Offers")
    facts = evolve(ACCOUNTS["sendgrid"].facts, known_scopes={"Offers"})
    assert [each.scope for each in compared([topic], [], facts)] == ["Offers"]
    assert [each.scope for each in compared([topic], [], evolve(facts, known_scopes=()))] == [""]


def test_what_cannot_be_held_is_told_by_state_and_channel() -> None:
    statements = [
        Consent(PHONE, Channel.SMS, REVOKED),
        Consent(JANE, Channel.EMAIL, GRANTED),
        Consent(JOE, Channel.EMAIL, PENDING),
    ]
    missing, held = missing_consent(statements, [], ACCOUNTS["sendgrid"].facts)
    assert missing == []
    assert {(each.loss.field, each.loss.code) for each in held} == {
        ("revoked.sms", LossCode.NO_CONSENT),
        ("granted.email", LossCode.NO_CONSENT),
        ("pending.email", LossCode.NO_CONSENT),
    }


def test_a_vendor_that_notes_bounces_by_itself_holds_them_with_the_same_effect() -> None:
    bounced = Consent(JANE, Channel.EMAIL, REVOKED, reason=ConsentReason.BOUNCE, at=DAY)
    facts = ACCOUNTS["sendgrid"].facts
    unsubscribed = Consent(JANE, Channel.EMAIL, REVOKED, reason=ConsentReason.UNSUBSCRIBE, at=NOW)
    assert compared([bounced], [unsubscribed], facts) == []
    assert compared([unsubscribed], [bounced], facts) == []


def test_a_block_at_the_target_is_no_unsubscribe() -> None:
    unsubscribed = Consent(JANE, Channel.EMAIL, REVOKED, reason=ConsentReason.UNSUBSCRIBE, at=DAY)
    blocked = Consent(JANE, Channel.EMAIL, REVOKED, reason=ConsentReason.BLOCK, at=NOW)
    assert compared([unsubscribed], [blocked], ACCOUNTS["sendgrid"].facts) == [unsubscribed]
    assert compared([unsubscribed], [blocked], ACCOUNTS["local"].facts) == [unsubscribed]
    assert compared([unsubscribed, blocked], [unsubscribed], ACCOUNTS["sendgrid"].facts) == []
    assert compared([unsubscribed], [unsubscribed, blocked], ACCOUNTS["local"].facts) == []


@pytest.mark.parametrize("text", ["field:Consent", "tag:unsubscribed"])
@settings(deadline=None, max_examples=50)
@given(found=several)
def test_a_place_on_contacts_holds_refusals_like_a_vendor(text: str, found: list[Consent]) -> None:
    facts = ConsentPlace.parse(text).facts
    missing, held = missing_consent(found, [], facts)
    told = {each.statement.identifier for each in missing} | {each.statement.identifier for each in held}
    assert {each.identifier for each in refusals(found)} <= told
    assert missing_consent(found, [each.shown for each in missing], facts)[0] == []
