"""Vendor words in ours and back, as values."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts_bird import mapping as bird
from contacts_bird.payloads import ContactDetails as BirdContact
from contacts_bird.payloads import IdentifierRef
from contacts_core import Contact, FieldDefinition, FieldType, Identifier, IdentifierKind, Job, JobState
from contacts_core.models import Address, Preview, Shape
from contacts_sendgrid import mapping as sendgrid
from contacts_sendgrid.payloads import ContactDetails as SendGridContact
from contacts_sendgrid.payloads import ExportStatus, FieldDefinitions, FieldDetails
from contacts_user_api import mapping as user_api
from contacts_user_api.payloads import ContactDetails as UserApiContact
from contacts_user_api.payloads import FieldDetails as UserApiField

KEYS = bird.Keys({IdentifierKind.EMAIL: ["emailaddress"], IdentifierKind.PHONE: ["phonenumber"]})
FIELDS = FieldDefinitions(
    custom_fields=[
        FieldDetails(id="e1_N", name="score", field_type="Number"),
        FieldDetails(id="e2_T", name="Plan", field_type="Text"),
        FieldDetails(id="e3_D", name="renewal", field_type="Date"),
        FieldDetails(id="e4_X", name="odd", field_type="Hologram"),
    ],
    reserved_fields=[
        FieldDetails(id="_rf2_T", name="email"),
        FieldDetails(id="_rf0_T", name="first_name"),
        FieldDetails(id="_rf25_T", name="external_id"),
    ],
)
SENDGRID = Shape(fields=tuple(map(sendgrid.field, FIELDS.custom_fields or ())))
HEADER = ["EMAIL", "ALTERNATE_EMAILS", "CONTACT_ID", "SCORE", "PLAN", "RENEWAL", "ODD", "WHATSAPP", "BRAND_NEW"]


def losses(preview: Preview) -> dict[str, str]:
    return {loss.field: loss.code.value for loss in preview.losses}


class TestSendGridFiles:
    def row(self, **values: str) -> Contact:
        values = {"CONTACT_ID": "c1", **values}
        (contact,) = sendgrid.Reader.of(FIELDS, {}).csv(HEADER)([[values.get(name, "") for name in HEADER]])
        return contact

    def test_values_take_the_type_of_their_field(self) -> None:
        contact = self.row(CONTACT_ID="1", SCORE="42", PLAN="042", RENEWAL="2025-01-02T00:00:00Z", ODD="?")
        renewal = date(2025, 1, 2)
        assert contact.custom == {"score": 42, "Plan": "042", "renewal": renewal, "odd": "?"}

    @pytest.mark.parametrize(("text", "value"), [("1.5", 1.5), ("1e3", 1000.0), ("many", "many"), ("-7", -7)])
    def test_numbers(self, text: str, value: object) -> None:
        assert self.row(SCORE=text).custom["score"] == value

    @pytest.mark.parametrize("between", [",", "; ", " "])
    def test_several_addresses_in_a_cell(self, between: str) -> None:
        cell = f"[a@example.com{between}b@example.com]"
        contact = self.row(EMAIL="main@example.com", ALTERNATE_EMAILS=cell)
        assert [i.value for i in contact.identifiers] == ["main@example.com", "a@example.com", "b@example.com"]
        assert [i.primary for i in contact.identifiers] == [True, False, False]

    def test_columns_nobody_knows_are_kept(self) -> None:
        contact = self.row(WHATSAPP="+12025550143", BRAND_NEW="x")
        assert contact.extra == {"brand_new": "x", "whatsapp": "+12025550143"}

    def test_an_import_file_has_the_columns_that_are_used(self) -> None:
        people: list[dict[str, Any]] = [
            {"email": "a@example.com", "custom_fields": {"e2_T": "x,\ny"}},
            {"external_id": "7"},
        ]
        columns, content = sendgrid.import_file(people, FIELDS)
        header, *rows = csv.reader(io.StringIO(gzip.decompress(content).decode(), newline=""))
        assert (columns, header) == (["_rf2_T", "_rf25_T", "e2_T"], ["email", "external_id", "e2_T"])
        assert rows == [["a@example.com", "", "x,\ny"], ["", "7", ""]]
        assert all(map(sendgrid.is_importable, people))

    @pytest.mark.parametrize("more", [{"alternate_emails": ["b@example.com"]}, {"custom_fields": {"e2_T": None}}])
    def test_what_no_cell_can_say_is_not_imported(self, more: dict[str, Any]) -> None:
        assert not sendgrid.is_importable({"email": "a@example.com", **more})

    def test_states_of_exports(self) -> None:
        job = Job(provider="sendgrid", id="1")
        failed = sendgrid.export_job(job, ExportStatus(id="1", status="failure", message="out of paper"))
        assert (failed.state, failed.detail) == (JobState.FAILED, "out of paper")
        strange = sendgrid.export_job(job, ExportStatus(id="1", status="a state of tomorrow"))
        assert strange.state is JobState.PENDING


class TestSendGridWriting:
    def test_what_fits(self) -> None:
        contact = Contact(
            identifiers=(
                Identifier.email("Second@Example.com"),
                Identifier(IdentifierKind.EMAIL, "First@Example.com", primary=True),
                Identifier.phone("555 0143", "+1 202"),
                Identifier.phone("+12025550144"),
                Identifier.other("shoe", "43"),
            ),
            full_name="Jane Smith",
            address=Address(line1="1 Road", city="Town", formatted="1 Road, Town"),
            custom={"SCORE": 5, "renewal": date(2025, 1, 2), "plan": True, "odd": ("a", "b"), "none": 1},
        )
        preview = sendgrid.preview(contact, SENDGRID, {})
        assert preview.written is not None
        assert sendgrid.to_write(
            preview.written, preview.written.custom, {each.name: each.id for each in FIELDS.custom_fields or ()}
        ) == {
            "email": "first@example.com",
            "alternate_emails": ["second@example.com"],
            "phone_number_id": "+12025550143",
            "address_line_1": "1 Road",
            "city": "Town",
            "custom_fields": {"e1_N": 5, "e3_D": "01/02/2025", "e2_T": "true", "e4_X": '["a","b"]'},
        }
        assert losses(preview) == {
            "phone": "TOO_MANY",
            "other.shoe": "NO_PLACE",
            "address.formatted": "NO_PLACE",
            "full_name": "NO_PLACE",
            "custom.none": "NO_FIELD",
            "custom.SCORE": "RESPELLED",
            "custom.plan": "RETYPED",
            "custom.odd": "RETYPED",
        }

    def test_a_custom_field_without_a_value_is_named_because_null_is_refused(self) -> None:
        jane = Contact(identifiers=(Identifier.email("jane@example.com"),), custom={"score": None})
        preview = sendgrid.preview(jane, SENDGRID, {})
        assert preview.written is not None
        assert sendgrid.to_write(preview.written, preview.written.custom, {"score": "e1_N"}) == {
            "email": "jane@example.com"
        }
        assert losses(preview) == {"custom.score": "REFUSED"}

    def test_own_contacts_go_back_as_they_are_stored(self) -> None:
        own = Contact(provider="sendgrid", id="1", identifiers=(Identifier.phone("15555555555"),), extra={"line": "x"})
        assert losses(sendgrid.preview(own, SENDGRID, {})) == {}
        assert sendgrid.to_write(own, {}, {}) == {"phone_number_id": "15555555555", "line": "x"}

    def test_at_most_five_alternates(self) -> None:
        many = Contact(identifiers=tuple(Identifier.email(f"p{n}@example.com") for n in range(8)))
        preview = sendgrid.preview(many, SENDGRID, {})
        assert preview.written is not None
        assert len(sendgrid.to_write(preview.written, preview.written.custom, {})["alternate_emails"]) == 5
        assert losses(preview) == {"email": "TOO_MANY"}

    @pytest.mark.parametrize(
        ("link", "token"),
        [
            (None, None),
            ("https://api.sendgrid.com/v3/marketing/lists?page_size=1&page_token=a%2Bb", "a+b"),
            ("/v3/marketing/lists?page_token=", None),
        ],
    )
    def test_the_cursor_of_a_page(self, link: str | None, token: str | None) -> None:
        assert sendgrid.page_token(link) == token

    @pytest.mark.parametrize("time", ["tomorrow", 10**30, -(10**18), "9" * 12, "0001-01-01T00:00:00Z"])
    def test_a_time_nobody_understands_is_none_and_kept(self, time: str | int) -> None:
        contact = sendgrid.contact(SendGridContact(id="1", created_at=time))
        assert (contact.created_at, contact.extra) == (None, {"created_at": time})


class TestBird:
    def test_a_contact_without_featured_identifiers_has_the_mirrored_ones(self) -> None:
        details = BirdContact(id="1", identifier_count=1, attributes={"emailaddress": ["a@example.com"]})
        assert list(bird.shown_identifiers(details, KEYS)) == [("emailaddress", "a@example.com")]

    def test_what_is_featured_and_mirrored_is_one(self) -> None:
        featured = [IdentifierRef(key="phonenumber", value="+12025550143"), IdentifierRef(key="x", value="1")]
        attributes: dict[str, Any] = {"phonenumber": ["+12025550143"], "x": ["1", "2", 3], "other": ["4"]}
        details = BirdContact(id="1", featured_identifiers=featured, attributes=attributes)
        assert list(bird.shown_identifiers(details, KEYS)) == [
            ("phonenumber", "+12025550143"),
            ("x", "1"),
            ("x", "2"),
        ]

    def test_mirrors_are_not_custom_fields(self) -> None:
        attributes: dict[str, Any] = {
            "x": ["1"],
            "emailaddress": [],
            "firstName": "A",
            "tags": ["a", 1],
            "none": None,
            "n": 4,
        }
        details = BirdContact(id="1", featured_identifiers=[IdentifierRef(key="x", value="1")], attributes=attributes)
        assert bird.contact(details, bird.identifiers(bird.shown_identifiers(details, KEYS), KEYS), KEYS).custom == {
            "tags": ("a", "1"),
            "n": 4,
        }

    def test_writing(self) -> None:
        contact = Contact(
            identifiers=(Identifier.email("A@Example.com"), Identifier.external_id("7"), Identifier.other("k", "v")),
            first_name="A",
            organization="Org",
            custom={"day": date(2025, 1, 2), "several": ("a",), "n": None, "unknown": 1},
            extra={"notes": 1},
        )
        types = {"day": FieldType.DATE, "several": FieldType.CHOICES, "n": FieldType.TEXT}
        shape = Shape(fields=tuple(FieldDefinition("bird", name, name, type_) for name, type_ in types.items()))
        preview = bird.preview(contact, shape, KEYS)
        assert preview.written is not None
        assert bird.references(preview.written, KEYS) == [
            {"key": "emailaddress", "value": "a@example.com"},
            {"key": "k", "value": "v"},
        ]
        written = bird.attributes(preview.written, preview.written.custom)
        assert written == {"firstName": "A", "day": "2025-01-02", "several": ["a"], "n": None}
        assert losses(preview) == {
            "external_id": "NO_PLACE",
            "organization": "NO_FIELD",
            "extra.notes": "NO_PLACE",
            "custom.unknown": "NO_FIELD",
        }

    @pytest.mark.parametrize("value", [True, None])
    def test_an_upsert_neither_writes_nor_clears_what_stands_for_consent_or_a_name(self, value: bool | None) -> None:
        names = ("subscribedEmail", "subscribedSms", "firstName", "emailaddress")
        shape = Shape(fields=tuple(FieldDefinition("bird", name, name, FieldType.TEXT) for name in names))
        contact = Contact(full_name="A", custom=dict.fromkeys((*names[:3], "EmailAddress"), value))
        preview = bird.preview(contact, shape, KEYS)
        assert preview.written is not None
        assert bird.attributes(preview.written, preview.written.custom) == {"displayName": "A"}
        assert losses(preview) == {f"custom.{name}": "READ_ONLY" for name in contact.custom}

    def test_names_are_cut_to_what_bird_takes(self) -> None:
        assert len(bird.display_name(Contact(full_name="x" * 400))) == 150


class TestUserApi:
    def test_relations_are_merged_and_one_stays_primary(self) -> None:
        present = [{"id": "e1", "email_address": "A@example.com", "is_primary": True}]
        contact = Contact(identifiers=(Identifier.email("a@EXAMPLE.com"), Identifier.email("b@example.com")))
        assert user_api.merged(IdentifierKind.EMAIL, contact, present) == [
            {"email_address": "A@example.com", "is_primary": True},
            {"email_address": "b@example.com", "is_primary": False},
        ]

    def test_national_numbers_go_back_with_their_code(self) -> None:
        contact = Contact(identifiers=(Identifier.phone("2025550143", "+1"), Identifier.phone("+12025550144")))
        assert user_api.merged(IdentifierKind.PHONE, contact, []) == [
            {"phone_number": "2025550143", "country_code": "+1", "is_primary": True},
            {"phone_number": "+12025550144", "is_primary": False},
        ]

    def test_custom_fields_that_were_there_stay(self) -> None:
        present = UserApiContact(
            id="c",
            custom_fields=[
                {"id": "f1", "value": {"id": "o1", "value": "x"}},
                {"id": "f2", "value": [{"id": "o2", "value": "y"}, "bare"]},
                {"id": "f3", "value": 1},
            ],
        )
        field = UserApiField(id="f3", name="Score", field_type="NUMERIC")
        preview = user_api.preview(
            Contact(first_name="A", custom={"score": 2, "none": 3}), Shape(fields=(user_api.field(field),)), {}
        )
        assert preview.written is not None
        assert losses(preview) == {"custom.none": "NO_FIELD", "custom.score": "RESPELLED"}
        body = user_api.to_write(preview.written, preview.written.custom, present, {"Score": field}, [])
        assert body["custom_fields"] == [
            {"id": "f1", "value": "o1"},
            {"id": "f2", "value": ["o2", "bare"]},
            {"id": "f3", "value": 2},
        ]

    @pytest.mark.parametrize(
        ("value", "plain"),
        [("x", "o1"), ("z", "z"), (("x", "z"), ["o1", "z"]), (date(2025, 1, 2), "2025-01-02"), (5, 5)],
    )
    def test_options_are_written_by_id(self, value: Any, plain: Any) -> None:
        options = [{"id": "o1", "value": "x"}]
        field = UserApiField(id="f", name="n", field_type="SINGLE_SELECT", multi_select_options=options)
        assert user_api.written(field, value) == {"id": "f", "value": plain}

    def test_an_address_becomes_one_text(self) -> None:
        contact = Contact(first_name="A", address=Address(line1="1 Road", city="Town", country="UK"))
        preview = user_api.preview(contact, Shape(), {})
        assert preview.written is not None
        assert user_api.to_write(preview.written, {}, None, {}, [])["location"] == "1 Road, Town, UK"

    def test_the_active_company_is_the_organization(self) -> None:
        companies = [{"id": "1", "name": "Old", "is_active": False}, {"id": "2", "name": "New", "is_active": True}]
        assert user_api.contact(UserApiContact(id="c", companies=companies)).organization == "New"

    def test_fields_keep_their_options(self) -> None:
        details = UserApiField(
            id="f", name="n", field_type="MULTI_SELECT", multi_select_options=[{"id": "1", "value": "x"}]
        )
        field = user_api.field(details)
        assert (field.type, field.options) == (FieldType.CHOICES, ("x",))


@given(st.text(), st.sampled_from(list(FieldType)))
def test_no_cell_breaks_an_export(text: str, type_: FieldType) -> None:
    value = sendgrid.cell_reader(type_)(text)
    assert value == text or type_ in {FieldType.NUMBER, FieldType.DATE}
