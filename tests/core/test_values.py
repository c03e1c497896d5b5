"""Identifiers, models, payloads and paths, as values."""

from __future__ import annotations

import copy
import logging
import pickle
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs
import pytest
from cattrs.preconf.json import make_converter
from hypothesis import given
from hypothesis import strategies as st

from contacts_core import Contact, Identifier, IdentifierKind, errors
from contacts_core.construct import constructor
from contacts_core.decoding import Payload, UnknownFields, decoder, lines_decoder
from contacts_core.identifiers import mask, normal_email, normal_phone, scrub
from contacts_core.models import Address, Count, Failure, Found, Job, JobState, Outcome, OutcomeState
from contacts_core.provider import Provider, address, check_id, path


class TestIdentifiers:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("Jane@Example.COM", "jane@example.com"),
            (" jane@example.com ", "jane@example.com"),
            ("jane@bücher.example", "jane@xn--bcher-kva.example"),
            ("JÖRG@example.com", "jörg@example.com"),
        ],
    )
    def test_addresses_that_are_one(self, one: str, other: str) -> None:
        assert Identifier.email(one) == Identifier.email(other)
        assert hash(Identifier.email(one)) == hash(Identifier.email(other))

    def test_an_impossible_domain_is_still_compared(self) -> None:
        assert normal_email("A@" + "ü" * 300) == "a@" + "ü" * 300

    @pytest.mark.parametrize(
        ("value", "code", "normal"),
        [
            ("+12025550143", "", "+12025550143"),
            ("+1 (202) 555-0143", "", "+12025550143"),
            ("2025550143", "+1", "+12025550143"),
            ("020 7946 0123", "+44", "+442079460123"),
            ("(202) 555-0143", "", "2025550143"),
            ("15555555555", "", "15555555555"),
            ("+0", "", "+0"),
            ("no number", "", "no number"),
        ],
    )
    def test_phones_in_e164_where_that_can_be_known(self, value: str, code: str, normal: str) -> None:
        assert normal_phone(value, code) == normal

    def test_label_and_primary_do_not_count(self) -> None:
        plain = Identifier.email("a@example.com")
        assert plain == Identifier(
            IdentifierKind.EMAIL, "a@example.com", primary=True, label="work", key="emailaddress"
        )
        assert plain != Identifier.external_id("a@example.com")
        assert plain != "a@example.com"
        assert Identifier.other("a", "1") != Identifier.other("b", "1")
        assert Identifier.external_id("A") != Identifier.external_id("a")
        assert Identifier.anonymous_id("a").kind is IdentifierKind.ANONYMOUS_ID

    @given(st.from_regex(r"[a-z]{2}[a-z0-9.]{2,10}@example\.com", fullmatch=True))
    def test_no_repr_shows_an_address(self, email: str) -> None:
        contact = Contact("x", "1", (Identifier.email(email),), first_name="Jane", address=Address(line1="1 Road"))
        for shown in (
            repr(contact),
            repr(contact.identifiers),
            mask(email),
            scrub(f"x {email}, y"),
            repr(contact.address),
        ):
            assert email not in shown
            assert "Road" not in shown

    @given(st.text())
    def test_masking_and_scrubbing_take_any_text(self, text: str) -> None:
        assert isinstance(mask(text), str)
        assert isinstance(scrub(text), str)

    def test_ids_and_dates_are_not_taken_for_phones(self) -> None:
        assert (
            scrub("/v3/lists/00000000-0000-4000-8000-000000000001") == "/v3/lists/00000000-0000-4000-8000-000000000001"
        )


class TestContacts:
    def test_the_primary_one_else_the_first(self) -> None:
        first, second = (
            Identifier.email("a@example.com"),
            Identifier(IdentifierKind.EMAIL, "b@example.com", primary=True),
        )
        contact = Contact(identifiers=(first, second, Identifier.phone("020 7946 0123", "+44")))
        assert (contact.email, contact.phone) == ("b@example.com", "+442079460123")
        assert Contact(identifiers=(first,)).email == "a@example.com"
        assert (Contact().email, Contact().phone, Contact().name) == (None, None, "")

    def test_what_names_a_contact(self) -> None:
        assert Contact(id="1").handle == "1"
        assert Contact(identifiers=(Identifier.email("a@example.com"),)).handle == "a@example.com"
        assert Contact(first_name="A", last_name="B").handle == "A B"

    def test_found_is_a_mapping_that_knows_all(self) -> None:
        one, two = Identifier.email("a@example.com"), Identifier.email("b@example.com")
        found = Found({one: (Contact(id="1"), Contact(id="2")), two: ()})
        assert dict(found) == {one: Contact(id="1"), two: None}
        assert [c.id for c in found.every(one)] == ["1", "2"]
        assert (len(found), repr(found)) == (2, "Found(1 of 2)")
        with pytest.raises(KeyError):
            found[Identifier.email("c@example.com")]

    def test_a_count_is_a_number_that_says_how(self) -> None:
        count = Count(3, "counter")
        assert (count + 1, count.how) == (4, "counter")


def job(state: JobState, **more: Any) -> Job:
    return Job(provider="x", id="1", operation="o", state=state, **more)


def outcome(**more: Any) -> Outcome:
    return Outcome(operation="o", provider="x", **more)


FAILED = Failure("a", "no")


class TestOutcomes:
    @pytest.mark.parametrize(
        ("what", "state", "unconfirmed"),
        [
            (outcome(), OutcomeState.DONE, 0),
            (outcome(requested=2, confirmed=("a", "b")), OutcomeState.DONE, 0),
            (outcome(requested=2, processed=2), OutcomeState.DONE, 0),
            (outcome(requested=2, confirmed=("a",), absent=("b",)), OutcomeState.DONE, 0),
            (outcome(requested=2, absent=("a", "b")), OutcomeState.DONE, 0),
            (outcome(requested=2, processed=1), OutcomeState.PARTIAL, 1),
            (outcome(requested=2, confirmed=("a",), failed=(FAILED,)), OutcomeState.PARTIAL, 0),
            (outcome(requested=1, failed=(FAILED,)), OutcomeState.FAILED, 0),
            (outcome(requested=2, failed=(FAILED,)), OutcomeState.PARTIAL, 1),
            (outcome(requested=2, jobs=(job(JobState.PENDING, requested=2),)), OutcomeState.ACCEPTED, 2),
            (outcome(requested=2, jobs=(job(JobState.DONE, requested=2, succeeded=2),)), OutcomeState.DONE, 0),
            (outcome(requested=2, jobs=(job(JobState.DONE, requested=2),)), OutcomeState.DONE, 2),
            (outcome(requested=2, jobs=(job(JobState.DONE, requested=2, succeeded=1),)), OutcomeState.PARTIAL, 1),
            (
                outcome(requested=2, jobs=(job(JobState.PARTIAL, requested=2, succeeded=1, failed=1),)),
                OutcomeState.PARTIAL,
                0,
            ),
            (outcome(requested=2, jobs=(job(JobState.FAILED, requested=2, failed=2),)), OutcomeState.FAILED, 0),
            (outcome(requested=2, jobs=(job(JobState.FAILED, requested=2),)), OutcomeState.FAILED, 2),
            (outcome(requested=2, jobs=(job(JobState.UNKNOWN, requested=2),)), OutcomeState.PARTIAL, 2),
            (
                outcome(
                    requested=2, jobs=(job(JobState.DONE, requested=1, succeeded=1), job(JobState.FAILED, requested=1))
                ),
                OutcomeState.PARTIAL,
                1,
            ),
        ],
    )
    def test_a_state_claims_no_more_than_was_said(self, what: Outcome, state: OutcomeState, unconfirmed: int) -> None:
        assert (what.state, what.unconfirmed) == (state, unconfirmed)

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))))
    def test_chunks_add_up(self, parts: list[tuple[int, int, int]]) -> None:
        outcomes = [
            outcome(requested=a + b + c, processed=a, absent=("x",) * b, failed=(FAILED,) * c, lost=("f", "g")[: a % 3])
            for a, b, c in parts
        ]
        total = Outcome.total("o", "x", outcomes)
        assert total.requested == sum(map(sum, parts))
        assert (
            (total.counted, len(total.absent), total.refused) == tuple(map(sum, zip(*parts, strict=True)))
            if parts
            else True
        )
        assert (total.unconfirmed, len(set(total.lost))) == (0, len(total.lost))

    def test_jobs_survive_storage(self) -> None:
        whole = job(
            JobState.PARTIAL,
            requested=3,
            succeeded=1,
            failed=2,
            counts={"deleted_count": 1},
            created_at=datetime(2025, 1, 2, tzinfo=UTC),
            files=("https://files.example/x?sig=1",),
            errors_url="https://files.example/e?sig=2",
        )
        converter = make_converter()
        assert converter.loads(converter.dumps(whole), Job) == whole
        assert "sig=" not in repr(whole)

    def test_no_repr_of_an_outcome_shows_who_it_was(self) -> None:
        shown = repr(outcome(requested=1, confirmed=("jane@example.com",), deleted=(Contact(id="secret-id"),)))
        assert "jane" not in shown
        assert "secret-id" not in shown
        assert "jane" not in repr(Failure("jane@example.com", "no"))


def test_the_quick_way_to_make_a_contact_is_the_same_and_stays_frozen() -> None:
    make = constructor(Contact)
    values = [getattr(Contact(), a.name) for a in attrs.fields(Contact)]
    values[:2] = ["x", "1"]
    quick = make(*values)
    assert quick == Contact("x", "1")
    assert type(quick) is Contact
    assert not hasattr(quick, "__dict__")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        quick.id = "2"  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del quick.id
    for again in (copy.copy(quick), copy.deepcopy(quick), pickle.loads(pickle.dumps(quick)), attrs.evolve(quick)):  # noqa: S301
        assert again == quick
        assert type(again) is Contact
    assert attrs.evolve(quick, id="2").id == "2"


class Inner(UnknownFields, kw_only=True):
    a: int | None = None


class Outer(UnknownFields, kw_only=True):
    id: str
    inner: Inner | None = None
    several: list[Inner] | None = None
    named: dict[str, Inner] | None = None


class Closed(Payload):
    id: str


class TestDecoding:
    def test_undeclared_fields_are_kept_wherever_they_are(self, caplog: pytest.LogCaptureFixture) -> None:
        raw = b'{"id":"1","x":{"y":1},"inner":{"a":1,"b":2},"several":[{"c":"p@example.com"},{}],"named":{"k":{"d":null}}}'
        with caplog.at_level(logging.INFO, "contacts_core.drift"):
            found: Outer = decoder(Outer)(raw, None)
        assert found.unknown == {"x": {"y": 1}}
        assert found.inner is not None
        assert (found.inner.a, found.inner.unknown) == (1, {"b": 2})
        assert found.several is not None
        assert [each.unknown for each in found.several] == [{"c": "p@example.com"}, {}]
        assert found.named is not None
        assert found.named["k"].unknown == {"d": None}
        assert "Inner has undeclared fields: c" in caplog.messages
        assert not any("example.com" in message for message in caplog.messages)

    def test_a_payload_without_a_place_for_them_drops_them(self) -> None:
        assert decoder(Closed)(b'{"id":"1","x":2}', None).id == "1"

    @pytest.mark.parametrize(
        ("raw", "where"),
        [
            (b'{"id":1}', "$.id"),
            (b"{}", "`id`"),
            (b'{"id":"1","several":[{},{"a":"jane@example.com"}]}', "$.several[1].a"),
            (b'{"id":"1","new":1,"several":[{"a":"jane@example.com"}]}', "$.several[0].a"),
            (b'{"id":"1","new":1', "truncated"),
            (b'{"id"', "truncated"),
            (b"[]", "array"),
            (b"", "truncated"),
            (b"\xff", "malformed"),
        ],
    )
    def test_what_does_not_fit_is_named_by_its_path(self, raw: bytes, where: str) -> None:
        with pytest.raises(errors.UnexpectedPayload) as raised:
            decoder(Outer)(raw, None)
        assert where in str(raised.value)
        assert "jane" not in str(raised.value)

    def test_lines(self) -> None:
        decode = lines_decoder(Outer)
        assert [each.id for each in decode(b'{"id":"1"}\n{"id":"2"}\n')] == ["1", "2"]
        assert [each.unknown for each in decode(b'{"id":"1"}\n\n{"id":"2","new":1}')] == [{}, {"new": 1}]
        with pytest.raises(errors.UnexpectedPayload):
            decode(b'{"id":"1"}\n{"id":2}\n')


class TestPaths:
    @given(st.text(min_size=1, max_size=200))
    def test_a_value_is_one_segment_whatever_it_holds(self, value: str) -> None:
        try:
            filled = path("/a/{x}/b", x=value)
        except errors.InvalidInput:
            assert not value.strip() or set(value) == {"."}
            return
        except UnicodeEncodeError:
            return
        split = urlsplit("https://host" + filled)
        assert (split.query, split.fragment) == ("", "")
        assert [unquote(part) for part in split.path.split("/")] == ["", "a", value, "b"]

    @pytest.mark.parametrize("value", ["", "  ", ".", "..", "x" * 1000])
    def test_what_cannot_be_a_segment_is_refused(self, value: str) -> None:
        with pytest.raises(errors.InvalidInput):
            path("/{x}", x=value)

    def test_what_a_vendor_wants_raw_stays_raw(self) -> None:
        assert path("/{x}", safe="@+", x="a+b@example.com/../?") == "/a+b@example.com%2F..%2F%3F"

    @pytest.mark.parametrize("good", ["contact_67890", "123e4567-e89b-12d3-a456-426614174000", "a.b", "x" * 255])
    def test_ids(self, good: str) -> None:
        assert check_id(good) == ""

    @pytest.mark.parametrize("bad", ["", " ", ".", "...", "../x", "a/b", "a b", "a,b", "a%2fb", "a\n", "ü", "x" * 256])
    def test_no_ids(self, bad: str) -> None:
        assert check_id(bad)

    @pytest.mark.parametrize("wrong", ["", "api.example.com", "ftp://x", "https://", "https:///x", "file:///x"])
    def test_base_urls(self, wrong: str) -> None:
        class Somewhere(Provider):
            name = "somewhere"

        assert Somewhere(base_url="http://x/y/").base_url == "http://x/y"
        with pytest.raises(errors.ConfigurationError):
            Somewhere(base_url=wrong)
        assert address() is not None
