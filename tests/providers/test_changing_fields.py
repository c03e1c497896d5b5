"""Changes of fields, and new custom fields: what is peculiar to each vendor, on its emulator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec
import pytest

from contacts_bird import Bird
from contacts_carddav import CardDav
from contacts_core import Contact, Contacts, FieldType, OutcomeState, errors
from contacts_core.emulator import Running
from contacts_core.models import CHANGEABLE_FIELDS
from contacts_core.provider import ChangesContacts, Provider
from contacts_local import Local
from contacts_sendgrid import SendGrid
from contacts_user_api import UserApi
from tests.providers.conftest import SEEN
from tests.providers.test_on_emulators import account


def somebody(client: Contacts[Any]) -> Contact:
    return next(c for c in client.export() if len(c.identifiers) > 1 and c.custom.get("plan") and c.lists != ())


def bodies(method: str) -> list[Any]:
    return [msgspec.json.decode(e.body) for e in SEEN if e.method == method and e.body]


def reread(client: Contacts[Any], contact: Contact) -> Contact:
    found: Contact | None = client.get_contacts([contact.id])[contact.id]
    assert found
    return found


@pytest.mark.parametrize("provider", [Bird, CardDav, Local, SendGrid, UserApi])
def test_what_can_be_cleared_can_be_set_and_has_a_known_name(provider: type[Provider]) -> None:
    assert issubclass(provider, ChangesContacts)
    assert {*provider.clearable_fields} <= {*provider.changeable_fields} <= {*CHANGEABLE_FIELDS}


class TestSendGrid:
    def test_all_identifiers_and_the_given_fields_are_sent_and_nothing_else(self) -> None:
        with account("sendgrid", contacts=12) as (client, _):
            target = somebody(client)
            names = {each.name: each.id for each in client.custom_fields()}
            SEEN.clear()
            outcome = client.wait(
                client.change_contact(
                    target.id, set={"address.city": "Springfield", "custom.Plan": "pro"}, clear=["address.line1"]
                )
            )
            assert outcome.state is OutcomeState.DONE
            (body,) = bodies("PUT")
            (sent,) = body["contacts"]
            known = {each.key: each.value for each in target.identifiers if each.primary}
            assert sent == known | {
                "city": "Springfield",
                "address_line_1": "",
                "custom_fields": {names["plan"]: "pro"},
            }
            assert "list_ids" not in body
            after = reread(client, target)
            assert after.address
            assert (after.address.line1, after.address.city, after.custom["plan"]) == ("", "Springfield", "pro")
            assert after.identifiers == target.identifiers

    def test_a_custom_field_cannot_be_cleared_and_that_is_known_before(self) -> None:
        with account("sendgrid", contacts=12) as (client, _):
            target = somebody(client)
            SEEN.clear()
            with pytest.raises(errors.UnsupportedOperation, match=r"cannot clear custom\.plan"):
                client.change_contact(target.id, clear=["first_name", "custom.plan"])
            assert SEEN == []

    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            ("custom.nobody knows", "x", "no custom field 'nobody knows'"),
            ("custom.score", "many", "score takes numbers"),
            ("custom.renewal_date", "soon", "renewal_date takes dates"),
            ("first_name", "x" * 51, "first_name is longer than 50"),
        ],
    )
    def test_what_would_be_refused_is_not_sent(self, field: str, value: str, message: str) -> None:
        with account("sendgrid", contacts=12) as (client, _):
            target = somebody(client)
            SEEN.clear()
            with pytest.raises(errors.InvalidInput, match=message):
                client.change_contact(target.id, set={field: value})
            assert bodies("PUT") == []

    def test_a_new_field_is_refused_for_some_seconds_and_then_taken(self) -> None:
        with account("sendgrid", contacts=12) as (client, served):
            target = somebody(client)
            made = client.create_custom_field("joined", FieldType.DATE)
            assert made in client.custom_fields()
            with pytest.raises(errors.Rejected, match="invalid custom field"):
                client.change_contact(target.id, set={"custom.joined": date(2025, 1, 31)})
            served.sandbox.clock.advance(6)
            client.wait(client.change_contact(target.id, set={"custom.joined": date(2025, 1, 31)}))
            assert str(reread(client, target).custom["joined"]).startswith("2025-01-31")

    @pytest.mark.parametrize("name", ["first_name", "EMAIL", "Contact_ID"])
    def test_a_name_that_the_vendor_keeps_for_itself_is_refused_before_it_is_sent(self, name: str) -> None:
        with account("sendgrid") as (client, _):
            before = client.custom_fields()
            with pytest.raises(errors.InvalidInput, match="of its own"):
                client.create_custom_field(name, FieldType.TEXT)
            assert client.custom_fields() == before

    @pytest.mark.parametrize("name", ["1st", "two words", "a-b", "é", "x" * 101])
    def test_a_name_that_is_refused_is_not_sent(self, name: str) -> None:
        with account("sendgrid") as (client, _):
            with pytest.raises(errors.InvalidInput):
                client.create_custom_field(name, FieldType.TEXT)
            assert SEEN == []


class TestBird:
    def test_the_attributes_are_sent_and_null_clears(self) -> None:
        with account("bird", contacts=12) as (client, _):
            target = somebody(client)
            SEEN.clear()
            outcome = client.change_contact(
                target.id, set={"first_name": "Ada", "custom.score": 7}, clear=["custom.plan"]
            )
            assert outcome.confirmed == (target.id,)
            assert bodies("PATCH") == [{"attributes": {"firstName": "Ada", "score": 7, "plan": None}}]
            after = reread(client, target)
            assert (after.first_name, after.last_name, after.custom.get("plan")) == ("Ada", target.last_name, None)

    @pytest.mark.parametrize("name", ["emailaddress", "phonenumber", "firstName", "displayName"])
    def test_an_attribute_of_a_name_or_an_identifier_is_no_custom_field(self, name: str) -> None:
        with account("bird", contacts=12) as (client, _):
            target = somebody(client)
            SEEN.clear()
            for changes in ({"set": {f"custom.{name}": "x"}}, {"clear": [f"custom.{name}"]}):
                with pytest.raises(errors.InvalidInput, match=name):
                    client.change_contact(target.id, **changes)
            assert SEEN == []

    def test_a_read_only_attribute_is_the_vendors_refusal(self) -> None:
        with account("bird", contacts=12) as (client, _), pytest.raises(errors.Rejected, match="read-only"):
            client.change_contact(somebody(client).id, set={"custom.timezone": "Etc/UTC"})

    def test_a_value_that_the_answer_still_shows_is_not_cleared(self) -> None:
        with account("bird", contacts=12) as (client, served):
            target = somebody(client)
            emulator = served.sandbox.emulators["bird"]
            change = emulator.contacts._change  # type: ignore[attr-defined]

            def deaf(contact: Any, body: dict[str, Any]) -> None:
                kept = {name: value for name, value in body["attributes"].items() if value is not None}
                change(contact, {"attributes": kept})

            emulator.contacts._change = deaf  # type: ignore[attr-defined]
            outcome = client.change_contact(target.id, clear=["custom.plan"])
            assert outcome.state is OutcomeState.FAILED
            assert "did not take away the value of plan" in outcome.failed[0].reason

    def test_several_texts_are_a_field_of_their_own(self) -> None:
        with account("bird", contacts=12) as (client, _):
            target = somebody(client)
            made = client.create_custom_field("colours", FieldType.CHOICES)
            assert (made.name, made.type) == ("colours", FieldType.CHOICES)
            client.change_contact(target.id, set={"custom.colours": ("red", "blue")})
            assert reread(client, target).custom["colours"] == ("red", "blue")


class TestUserApi:
    def test_the_other_custom_fields_go_back_as_they_were(self) -> None:
        with account("user-api", contacts=12) as (client, _):
            target = somebody(client)
            outcome = client.change_contact(
                target.id,
                set={"custom.SCORE": 7, "address.formatted": "1 Example Street"},
                clear=["custom.plan", "title"],
            )
            assert (outcome.state, outcome.emulated) == (OutcomeState.DONE, True)
            after = reread(client, target)
            assert {**target.custom, "score": 7, "plan": None} == {**after.custom, "plan": None}
            assert "plan" not in after.custom
            assert (after.title, after.address and after.address.formatted) == (None, "1 Example Street")
            assert (after.identifiers, after.lists, after.tags) == (target.identifiers, target.lists, target.tags)

    def test_fields_without_custom_ones_send_no_relation(self) -> None:
        with account("user-api", contacts=12) as (client, _):
            target = somebody(client)
            SEEN.clear()
            client.change_contact(target.id, set={"first_name": "Ada"}, clear=["last_name"])
            assert bodies("PUT") == [{"first_name": "Ada", "last_name": None}]

    def test_an_option_is_set_by_its_text(self) -> None:
        with account("user-api", contacts=12) as (client, _):
            target = somebody(client)
            client.change_contact(target.id, set={"custom.stage": "new"})
            assert reread(client, target).custom["stage"] == "new"

    def test_a_date_is_the_date_that_was_given(self) -> None:
        with account("user-api", contacts=12) as (client, _):
            target = somebody(client)
            outcome = client.change_contact(target.id, set={"custom.renewal_date": date(2030, 1, 31)})
            assert outcome.state is OutcomeState.DONE
            assert reread(client, target).custom["renewal_date"] == date(2030, 1, 31)

    def test_a_field_that_is_not_there_is_refused_before_anything_is_written(self) -> None:
        with account("user-api", contacts=12) as (client, _):
            target = somebody(client)
            SEEN.clear()
            with pytest.raises(errors.InvalidInput, match="no custom field 'nobody knows'"):
                client.change_contact(target.id, set={"custom.nobody knows": "x"})
            assert bodies("PUT") == []

    @pytest.mark.parametrize(
        ("undo", "reason"),
        [
            (lambda stored: stored.scalars.update(title="Old"), "shows the old value"),
            (lambda stored: stored.custom_fields.clear(), "lacks others that were written back"),
        ],
    )
    def test_a_re_read_that_shows_something_else_is_a_failure(self, undo: Callable[[Any], None], reason: str) -> None:
        with account("user-api", contacts=12) as (client, served):
            target = somebody(client)
            after_writes(served, lambda: undo(served.sandbox.emulators["user-api"].store.contacts[target.id]))  # type: ignore[attr-defined]
            outcome = client.change_contact(target.id, set={"title": "New"}, clear=["custom.plan"])
            assert outcome.state is OutcomeState.FAILED
            assert reason in outcome.failed[0].reason

    def test_two_fields_of_one_name_are_not_made(self) -> None:
        with account("user-api") as (client, _):
            made = client.create_custom_field("Colour", FieldType.TEXT)
            SEEN.clear()
            with pytest.raises(errors.InvalidInput, match="'Colour' already"):
                client.create_custom_field("colour", FieldType.TEXT)
            assert bodies("POST") == []
            assert client.custom_fields()[-1] == made


def after_writes(served: Running, act: Callable[[], None]) -> None:
    """Do something as soon as a contact was written."""
    emulator = served.sandbox.emulators["user-api"]
    original = emulator.answer

    def answer(operation: Any, incoming: Any, scope: Any) -> Any:
        result = original(operation, incoming, scope)
        if incoming.method == "PUT":
            act()
        return result

    emulator.answer = answer  # type: ignore[method-assign]


@pytest.mark.parametrize("name", ["sendgrid", "bird", "user-api"])
def test_a_list_is_ensured_once(name: str) -> None:
    with account(name, contacts=3) as (client, _):
        made = client.ensure_list("Autumn fair")
        assert client.ensure_list("Autumn fair").id == made.id
        client.create_list("Autumn fair")
        with pytest.raises(errors.InvalidInput, match="2 lists are named 'Autumn fair'"):
            client.ensure_list("Autumn fair")


@pytest.mark.parametrize("name", ["sendgrid", "bird", "user-api"])
@pytest.mark.parametrize("fault", ["cut", "truncated", "wrong-json"])
def test_a_list_whose_creation_lost_its_answer_is_the_list(name: str, fault: str) -> None:
    with account(name, contacts=3) as (client, served):
        served.sandbox.faults.set(fault, 1, 1)  # not the reading of the lists, but what follows
        made = client.ensure_list("Autumn fair")
        assert [each.id for each in client.lists() if each.name == "Autumn fair"] == [made.id]
