"""Identifiers: when two are the same, and what of them may be shown."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_core.identifiers import Identifier, IdentifierKind, mask, normal_email, normal_phone, scrub

WORDS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789._+-", min_size=2, max_size=40)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("jane@example.com", "jane@example.com"),
        ("Jane.Smith@EXAMPLE.com", "jane.smith@example.com"),
        ("  jane@example.com\n", "jane@example.com"),
        ("jane+news@example.com", "jane+news@example.com"),
        ("Jane@MÜNCHEN.example.com", "jane@xn--mnchen-3ya.example.com"),
        ("jane@xn--mnchen-3ya.example.com", "jane@xn--mnchen-3ya.example.com"),
        ("JÖRG@example.com", "jörg@example.com"),
        ("jane@ex ämple..com", "jane@ex ämple..com"),
        ("", ""),
    ],
)
def test_an_address_has_one_normal_form_however_it_is_written(written: str, normal: str) -> None:
    assert normal_email(written) == normal


@pytest.mark.parametrize(
    ("written", "country_code", "normal"),
    [
        ("+12025550143", "", "+12025550143"),
        ("+1 (202) 555-0143", "", "+12025550143"),
        (" +1.202.555.0143 ", "", "+12025550143"),
        ("(202) 555-0143", "+1", "+12025550143"),
        ("202-555-0143", "1", "+12025550143"),
        ("+12025550143", "+49", "+12025550143"),
        ("(202) 555-0143", "", "2025550143"),
        ("ext", "", "ext"),
        ("+", "", "+"),
        ("+999", "", "+999"),
    ],
)
def test_a_phone_is_in_e164_where_that_can_be_known(written: str, country_code: str, normal: str) -> None:
    assert normal_phone(written, country_code) == normal


@given(st.text(max_size=60))
def test_the_normal_form_of_an_ascii_address_is_its_own_normal_form(text: str) -> None:
    once = normal_email(text.encode("ascii", "ignore").decode())
    assert normal_email(once) == once


@given(st.from_regex(r"\+1202555[0-9]{4}", fullmatch=True))
def test_the_normal_form_of_a_phone_is_its_own_normal_form(number: str) -> None:
    assert normal_phone(normal_phone(number)) == normal_phone(number)


def test_spelling_primary_and_label_do_not_count_when_identifiers_are_compared() -> None:
    one = Identifier(IdentifierKind.EMAIL, "Jane@Example.com", primary=True, label="work", key="emails")
    other = Identifier.email("jane@example.com ")
    assert one == other
    assert hash(one) == hash(other)
    assert {one: 1}[other] == 1


def test_a_national_number_with_its_country_code_equals_the_e164_number() -> None:
    assert Identifier.phone("(202) 555-0143", "+1") == Identifier.phone("+12025550143")
    assert Identifier.phone("(202) 555-0143") != Identifier.phone("+12025550143")


def test_kind_and_the_key_of_other_identifiers_count() -> None:
    assert Identifier.external_id("a") != Identifier.anonymous_id("a")
    assert Identifier.other("whatsapp", "a") == Identifier.other("whatsapp", "a")
    assert Identifier.other("whatsapp", "a") != Identifier.other("telegram", "a")
    assert Identifier(IdentifierKind.EMAIL, "a@example.com", key="x") == Identifier.email("a@example.com")


def test_external_ids_keep_their_case_and_spaces() -> None:
    assert Identifier.external_id("Ab 1").normal == "Ab 1"
    assert Identifier.external_id("ab") != Identifier.external_id("AB")


def test_an_identifier_equals_nothing_else() -> None:
    assert Identifier.email("jane@example.com") != "jane@example.com"


def test_the_value_as_stored_is_kept() -> None:
    assert Identifier.email(" Jane@Example.com").value == " Jane@Example.com"


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("jane@example.com", "j***@example.com"),
        ("@example.com", "***@example.com"),
        ("+12025550143", "+1***43"),
        ("12345", "***"),
        ("", "***"),
        ("customer-4711", "cu***11"),
    ],
)
def test_masking_leaves_enough_to_recognise_and_no_more(value: str, masked: str) -> None:
    assert mask(value) == masked


@settings(max_examples=200)
@given(WORDS)
def test_the_shown_form_of_an_address_never_holds_its_local_part(local: str) -> None:
    shown = repr(Identifier.email(f"{local}@example.com"))
    hidden = shown.removeprefix("Identifier(email:").removesuffix("@example.com)")
    assert len(hidden) <= 4
    assert f"{local}@example.com".lower() not in shown.lower()


@settings(max_examples=200)
@given(WORDS, st.sampled_from(IdentifierKind))
def test_the_shown_form_of_an_identifier_never_holds_the_whole_value(value: str, kind: IdentifierKind) -> None:
    shown = repr(Identifier(kind, value, key="key", label=value))
    assert value.lower() not in shown.partition(":")[2].lower()


def test_the_shown_form_says_which_is_primary() -> None:
    primary = Identifier(IdentifierKind.PHONE, "+12025550143", primary=True)
    assert repr(primary) == "Identifier(phone:+1***43, primary)"
    assert Identifier.other("whatsapp", "+12025550143").masked == "whatsapp:+1***43"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("address jane.smith@example.com is not valid", "jane.smith"),
        ("no contact for 'Jane.Smith@Example.com'.", "Jane.Smith"),
        ('{"email":"jane.smith@example.com"}', "jane.smith"),
        ("GET /contacts/identifiers/jane.smith%40example.com", "jane.smith"),
        ("a=jane.smith@example.com;b=other@example.com", "other@"),
        ("call +1 (202) 555-0143 now", "555"),
        ("phone=2025550143&x", "2025550143"),
        ("+12025550143", "5550"),
    ],
)
def test_scrubbing_masks_addresses_and_numbers_inside_a_text(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in scrub(text)


@pytest.mark.parametrize("text", ["", "nothing here", "limit 100 of 200", "contact c-12345678-x", "v3/marketing"])
def test_scrubbing_leaves_other_text_alone(text: str) -> None:
    assert scrub(text) == text


def test_scrubbing_a_long_text_takes_no_time() -> None:
    began = time.process_time()
    scrub("a" * 100_000)
    scrub("1 " * 50_000)
    assert time.process_time() - began < 5
