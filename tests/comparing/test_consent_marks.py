"""Consent that is kept on contacts, in a custom field or in tags."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_core.errors import InvalidInput
from contacts_core.models import Channel, Consent, ConsentReason, ConsentState, Contact, Coverage, Identifier
from contacts_core.plans.comparing.consent_marks import CHANNEL_KINDS, ConsentPlace, PlaceKind

GRANTED, REVOKED = ConsentState.GRANTED, ConsentState.REVOKED
JANE, OTHER, PHONE = (
    Identifier.email("jane@example.com"),
    Identifier.email("j@example.com"),
    Identifier.phone("+12025550123"),
)
DAY = datetime(2026, 1, 31, 12, tzinfo=UTC)
FIELD, TAG = ConsentPlace.parse("field:Consent"), ConsentPlace.parse("tag:unsubscribed")
CONTACT = Contact(identifiers=(JANE, PHONE), custom={"plan": "pro"}, tags=("vip",))


def revoked(identifier: Identifier = JANE, channel: Channel = Channel.EMAIL, **more: Any) -> Consent:
    return Consent(identifier, channel, REVOKED, **more)


def test_a_field_is_a_text_that_people_can_read() -> None:
    said = [
        revoked(reason=ConsentReason.UNSUBSCRIBE, at=DAY, scope="Weekly news"),
        Consent(PHONE, Channel.SMS, GRANTED),
    ]
    marked = FIELD.marked(CONTACT, said)
    assert marked.custom == {
        "plan": "pro",
        "Consent": 'email revoked unsubscribe 2026-01-31T12:00:00+00:00 "Weekly news"; sms granted.',
    }
    assert FIELD.statements(marked) == tuple(said)
    assert FIELD.statements(CONTACT) == ()


def test_a_tag_is_a_refusal_of_its_channel() -> None:
    marked = TAG.marked(CONTACT, [revoked(), revoked(PHONE, Channel.SMS), Consent(PHONE, Channel.RCS, GRANTED)])
    assert marked.tags == ("vip", "unsubscribed", "unsubscribed-sms")
    assert TAG.statements(marked) == (revoked(), revoked(PHONE, Channel.SMS))
    assert TAG.marked(marked, [revoked()]) == marked


@pytest.mark.parametrize("place", [FIELD, TAG])
def test_a_refusal_on_a_contact_yields_to_no_grant_that_must_not_beat_it(place: ConsentPlace) -> None:
    marked = place.marked(CONTACT, [revoked()])
    grant = Consent(JANE, Channel.EMAIL, GRANTED, at=DAY, evidence="form")
    assert place.marked(marked, [grant]) == marked
    assert place.marked(CONTACT, [revoked(OTHER)]) == CONTACT


def test_a_later_grant_with_evidence_replaces_a_dated_refusal_in_a_field() -> None:
    marked = FIELD.marked(CONTACT, [revoked(at=DAY)])
    grant = Consent(JANE, Channel.EMAIL, GRANTED, at=DAY + timedelta(days=1), evidence="form")
    assert FIELD.statements(FIELD.marked(marked, [grant])) == (evolve(grant, evidence=""),)


def test_a_refusal_of_one_address_is_one_of_all_addresses_of_the_contact() -> None:
    contact = Contact(identifiers=(JANE, OTHER))
    grant = Consent(OTHER, Channel.EMAIL, GRANTED, at=DAY + timedelta(days=1), evidence="form")
    marked = FIELD.marked(contact, [revoked(at=DAY), grant])
    assert {each.identifier: each.state for each in FIELD.statements(marked)} == {JANE: REVOKED, OTHER: REVOKED}


@pytest.mark.parametrize(
    "value",
    [
        "she likes tea",
        "email revoked",
        "email revoked; sms gran",
        "email revoked.x",
        "email revoked 2026-13-01T00:00:00+00:00.",
        "email revoked 2026-01-01T00:00:00.",
        'email revoked "News.',
        7,
        True,
        ("email revoked.",),
    ],
)
def test_what_is_no_consent_is_neither_read_nor_written_over(value: Any) -> None:
    contact = evolve(CONTACT, custom={"Consent": value})
    for act in (lambda: FIELD.statements(contact), lambda: FIELD.marked(contact, [revoked()])):
        with pytest.raises(InvalidInput, match="holds something else than consent") as raised:
            act()
        assert "jane" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "field", "field:", "field: ", "list:Gone", "Consent"])
def test_a_place_is_named_by_its_kind_and_name(text: str) -> None:
    with pytest.raises(InvalidInput, match="field:NAME or tag:NAME"):
        ConsentPlace.parse(text)
    assert ConsentPlace.parse("tag: gone ") == ConsentPlace(PlaceKind.TAG, "gone")


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
entries = st.builds(
    Consent,
    st.just(JANE),
    st.just(Channel.EMAIL),
    st.sampled_from(ConsentState),
    reason=st.none() | st.sampled_from(ConsentReason),
    scope=st.just("") | texts | st.sampled_from(['"; sms granted.', "\\", '\\"', "; "]),
    coverage=st.sampled_from(Coverage),
    at=st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)


@settings(deadline=None)
@given(st.lists(entries, min_size=1, max_size=4, unique_by=lambda each: each.about))
def test_what_a_field_was_given_is_read_back(said: list[Consent]) -> None:
    marked = FIELD.marked(CONTACT, said)
    assert set(FIELD.statements(marked)) == set(said)
    assert FIELD.marked(marked, said) == marked
    for cut in range(1, 20):
        text = str(marked.custom["Consent"])[:-cut]
        if text:
            with pytest.raises(InvalidInput):
                FIELD.statements(evolve(marked, custom={"Consent": text}))


def test_each_channel_has_kinds_of_identifiers() -> None:
    assert set(CHANNEL_KINDS) == set(Channel)
