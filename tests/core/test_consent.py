"""Statements of consent, and which of them counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts_core.errors import InvalidInput
from contacts_core.models import (
    Channel,
    Consent,
    ConsentReason,
    ConsentState,
    Coverage,
    FoundConsent,
    Identifier,
    merge_consent,
)

GRANTED, REVOKED, PENDING = ConsentState.GRANTED, ConsentState.REVOKED, ConsentState.PENDING
JANE = Identifier.email("jane@example.com")
DAY = datetime(2026, 1, 1, tzinfo=UTC)
FINAL = (ConsentReason.COMPLAINT, ConsentReason.BOUNCE)


def said(
    state: ConsentState,
    day: int | None = None,
    *,
    reason: ConsentReason | None = None,
    evidence: str = "",
    scope: str = "",
    coverage: Coverage = Coverage.ALL,
    identifier: Identifier = JANE,
    channel: Channel = Channel.EMAIL,
) -> Consent:
    at = None if day is None else DAY + timedelta(days=day)
    return Consent(identifier, channel, state, reason=reason, scope=scope, coverage=coverage, at=at, evidence=evidence)


def winner(*statements: Consent) -> Consent:
    (kept,) = merge_consent(statements)
    return kept


def test_the_later_statement_wins() -> None:
    early, late = said(REVOKED, 1), said(REVOKED, 2, reason=ConsentReason.MANUAL)
    assert winner(early, late) == winner(late, early) == late
    assert winner(said(GRANTED, 2, evidence="form"), said(REVOKED, 3)).state is REVOKED
    assert winner(said(GRANTED, 1), said(GRANTED, 2)).at == DAY + timedelta(days=2)


@pytest.mark.parametrize(
    ("grant", "kept"),
    [
        pytest.param(said(GRANTED, 3, evidence="confirmed by mail"), GRANTED, id="later-and-with-evidence"),
        pytest.param(said(GRANTED, 3), REVOKED, id="later-without-evidence"),
        pytest.param(said(GRANTED, 3, evidence="  "), REVOKED, id="blank-evidence"),
        pytest.param(said(GRANTED, 1, evidence="confirmed by mail"), REVOKED, id="earlier"),
        pytest.param(said(GRANTED, 2, evidence="confirmed by mail"), REVOKED, id="at-the-same-moment"),
        pytest.param(said(GRANTED, None, evidence="confirmed by mail"), REVOKED, id="undated"),
    ],
)
def test_a_grant_beats_a_revocation_only_later_and_with_evidence(grant: Consent, kept: ConsentState) -> None:
    revocation = said(REVOKED, 2, reason=ConsentReason.UNSUBSCRIBE)
    assert winner(revocation, grant).state is kept
    assert winner(grant, revocation).state is kept


@pytest.mark.parametrize("reason", FINAL)
@pytest.mark.parametrize("day", [1, None])
def test_a_complaint_and_a_hard_bounce_yield_to_nothing(reason: ConsentReason, day: int | None) -> None:
    final = said(REVOKED, day, reason=reason)
    grant = said(GRANTED, 9, evidence="confirmed by mail")
    later = said(REVOKED, 8, reason=ConsentReason.UNSUBSCRIBE)
    assert winner(final, grant, later) == final


def test_an_undated_revocation_counts_as_the_latest() -> None:
    undated = said(REVOKED)
    assert winner(undated, said(GRANTED, 9, evidence="confirmed by mail")) == undated
    assert winner(said(REVOKED, 9), undated) == undated


def test_a_pending_statement_is_no_permission_and_lifts_nothing() -> None:
    assert winner(said(PENDING, 5), said(REVOKED, 1)).state is REVOKED
    assert winner(said(PENDING, 5), said(GRANTED, 9)).state is PENDING
    assert winner(said(PENDING, 5), said(GRANTED, 4, evidence="confirmed by mail")).state is GRANTED
    assert winner(said(PENDING), said(GRANTED, 9)).state is PENDING


def test_statements_about_different_things_stand_side_by_side() -> None:
    everything = [
        said(REVOKED, 1),
        said(GRANTED, 2, scope="Weekly news"),
        said(GRANTED, 2, channel=Channel.SMS, identifier=Identifier.phone("+12025550123")),
        said(REVOKED, 2, coverage=Coverage.NON_TRANSACTIONAL),
        said(REVOKED, 1, identifier=Identifier.email("joe@example.com")),
    ]
    assert set(merge_consent(everything)) == set(everything)
    assert merge_consent(everything) == merge_consent(reversed(everything))


def test_spellings_of_one_address_are_one_address() -> None:
    shouted = said(GRANTED, 1, identifier=Identifier.email("JANE@example.com"))
    assert winner(shouted, said(REVOKED, 2)).state is REVOKED


def test_a_time_needs_a_zone() -> None:
    with pytest.raises(InvalidInput, match="time zone"):
        Consent(JANE, Channel.EMAIL, REVOKED, at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is what is refused


def test_nothing_personal_is_shown() -> None:
    statement = said(REVOKED, 1, evidence="550 jane@example.com is unknown")
    found = FoundConsent({JANE: (statement,)})
    assert "jane" not in repr(statement)
    assert "jane" not in repr(found)
    assert repr(found) == "FoundConsent(1 of 1)"


def test_found_consent_is_a_mapping_of_what_was_asked() -> None:
    joe = Identifier.email("joe@example.com")
    found = FoundConsent({JANE: (said(REVOKED),), joe: ()})
    assert list(found) == [JANE, joe]
    assert len(found) == 2
    assert found[Identifier.email("JANE@EXAMPLE.COM")][0].state is REVOKED
    assert found[joe] == ()
    with pytest.raises(KeyError):
        found[Identifier.email("nobody@example.com")]


statements = st.builds(
    said,
    st.sampled_from(ConsentState),
    st.none() | st.integers(0, 3),
    reason=st.none() | st.sampled_from(ConsentReason),
    evidence=st.sampled_from(["", " ", "confirmed by mail"]),
    scope=st.sampled_from(["", "Weekly news"]),
    identifier=st.sampled_from([JANE, Identifier.email("JANE@example.com"), Identifier.email("joe@example.com")]),
)
several = st.lists(statements, max_size=8)


@given(several, several)
def test_merging_is_commutative(one: list[Consent], other: list[Consent]) -> None:
    assert merge_consent(one + other) == merge_consent(other + one)


@given(several, several, several)
def test_merging_is_associative(one: list[Consent], other: list[Consent], third: list[Consent]) -> None:
    left = merge_consent([*merge_consent(one + other), *third])
    right = merge_consent([*one, *merge_consent(other + third)])
    assert left == right == merge_consent(one + other + third)


@given(several)
def test_merging_again_changes_nothing(found: list[Consent]) -> None:
    once = merge_consent(found)
    assert merge_consent(once) == once
    assert merge_consent([*found, *found]) == once


@given(several)
def test_merging_invents_nothing_and_loses_nobody(found: list[Consent]) -> None:
    once = merge_consent(found)
    assert set(once) <= set(found)
    assert {each.about for each in once} == {each.about for each in found}


@given(several)
def test_nobody_who_refused_becomes_mailable_without_evidence(found: list[Consent]) -> None:
    for kept in merge_consent(found):
        if kept.state is not GRANTED:
            continue
        refusals = [each for each in found if each.about == kept.about and each.state is REVOKED]
        if refusals:
            assert kept.evidence.strip()
            assert kept.at is not None
        for refusal in refusals:
            assert refusal.reason not in FINAL
            assert refusal.at is not None
            assert kept.at is not None
            assert refusal.at < kept.at


@given(several, statements)
def test_one_more_revocation_permits_nothing_more(found: list[Consent], more: Consent) -> None:
    if more.state is REVOKED:
        before = {each.about for each in merge_consent(found) if each.state is GRANTED}
        after = {each.about for each in merge_consent([*found, more]) if each.state is GRANTED}
        assert after <= before
