"""Fields of contacts that custom fields hold, as the setting ``fields`` says: read, written, changed and searched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from contacts_bird import Bird
from contacts_bird.mapping import USUAL_FIELDS
from contacts_core import Contact, Contacts, F, FieldType, Identifier, OutcomeState, connect, errors
from contacts_core.models import Address, LossCode
from contacts_sendgrid import SendGrid
from contacts_user_api import UserApi
from tests.providers.test_on_emulators import account

COMPANY = "company_name"
MAPS: dict[str, Mapping[str, str]] = {
    "bird": {"organization": COMPANY},
    "sendgrid": {"organization": COMPANY},
    "user-api": {"organization": COMPANY},
}
ADA = Identifier.email("ada@example.com")


def ada(**given: Any) -> Contact:
    return Contact(**{"identifiers": (ADA,), "first_name": "Ada", **given})


@contextmanager
def mapped(name: str, type_: FieldType = FieldType.TEXT, **settings: Any) -> Iterator[Contacts[Any]]:
    with account(name, **{"fields": MAPS[name], **settings}) as (client, served):
        client.create_custom_field(COMPANY, type_)
        served.sandbox.clock.advance(60)
        yield client


def stored(client: Contacts[Any]) -> Contact:
    (found,) = client.export()
    return found


def found_ada(client: Contacts[Any]) -> Contact:
    found: Contact | None = client.find([ADA])[ADA]
    assert found
    return found


def losses(client: Contacts[Any], contact: Contact) -> dict[str, LossCode]:
    return {each.field: each.code for each in client.preview(contact, client.shape()).losses}


@pytest.mark.parametrize("name", MAPS)
class TestEveryVendor:
    def test_the_organization_is_written_read_found_changed_and_cleared(self, name: str) -> None:
        with mapped(name) as client:
            given = ada(organization="Example Inc.")
            assert losses(client, given) == {}
            outcome = client.wait(client.upsert_contacts([given]))
            assert (outcome.state, outcome.losses) == (OutcomeState.DONE, ())
            shown = client.preview(given, client.shape()).shown
            assert shown
            assert shown.organization == "Example Inc."
            found = found_ada(client)
            for read in (stored(client), client.get_contacts([found.id])[found.id], found):
                assert read
                assert read.organization == "Example Inc."
                assert COMPANY not in read.custom
            assert [each.id for each in client.search(F.organization == "Example Inc.", scan=True)] == [found.id]
            client.wait(client.change_contact(found.id, set={"organization": "Other Ltd."}))
            assert found_ada(client).organization == "Other Ltd."
            if name == "sendgrid":  # which clears no custom field
                with pytest.raises(errors.UnsupportedOperation, match="cannot clear organization"):
                    client.change_contact(found.id, clear=["organization"])
                return
            client.wait(client.change_contact(found.id, clear=["organization"]))
            assert found_ada(client).organization is None

    def test_without_a_map_it_is_lost_and_the_field_is_a_custom_one(self, name: str) -> None:
        with mapped(name, fields={}) as client:
            assert losses(client, ada(organization="Example Inc.")).keys() == {"organization"}
            client.wait(client.upsert_contacts([ada(custom={COMPANY: "Example Inc."})]))
            assert (stored(client).custom[COMPANY], stored(client).organization) == ("Example Inc.", None)
            with pytest.raises(errors.UnsupportedOperation, match="cannot set organization"):
                client.change_contact(stored(client).id, set={"organization": "Other Ltd."})

    def test_it_is_lost_if_the_field_does_not_exist(self, name: str) -> None:
        with account(name, fields={"organization": "no_such_field"}) as (client, _):
            given = ada(organization="Example Inc.")
            assert losses(client, given) == {"organization": LossCode.NO_FIELD}
            outcome = client.wait(client.upsert_contacts([given]))
            assert (outcome.state, outcome.dropped_fields) == (OutcomeState.DONE, ("organization",))
            assert stored(client).organization is None

    @pytest.mark.parametrize("type_", [FieldType.NUMBER, FieldType.DATE])
    def test_a_field_of_another_type_holds_no_text_and_is_shown_as_it_is(self, name: str, type_: FieldType) -> None:
        value = {FieldType.NUMBER: 7, FieldType.DATE: date(2024, 2, 29)}[type_]
        with mapped(name, type_) as client:
            assert losses(client, ada(organization="Example Inc.")) == {"organization": LossCode.REFUSED}
            given = ada(organization="Example Inc.", custom={COMPANY: value})
            outcome = client.wait(client.upsert_contacts([given]))
            assert (outcome.state, outcome.dropped_fields) == (OutcomeState.DONE, ("organization",))
            assert (stored(client).custom[COMPANY], stored(client).organization) == (value, None)

    def test_a_value_that_is_given_under_the_name_of_the_field_is_kept_as_what_it_holds(self, name: str) -> None:
        with mapped(name) as client:
            named = ada(custom={COMPANY: "Example Inc."})
            assert losses(client, named) == {f"custom.{COMPANY}": LossCode.RESPELLED}
            both = evolve(named, organization="Other Ltd.")
            assert losses(client, both) == {f"custom.{COMPANY}": LossCode.TOO_MANY}
            client.wait(client.upsert_contacts([named]))
            assert (stored(client).organization, COMPANY in stored(client).custom) == ("Example Inc.", False)
            client.wait(client.upsert_contacts([both]))
            assert stored(client).organization == "Other Ltd."

    def test_the_list_of_fields_tells_what_they_hold(self, name: str) -> None:
        with mapped(name) as client:
            held = {each.name: each.contact_field for each in client.custom_fields() if each.contact_field}
            assert held[COMPANY] == "organization"

    def test_the_field_is_changed_by_the_name_of_what_it_holds(self, name: str) -> None:
        with mapped(name) as client:
            client.wait(client.upsert_contacts([ada()]))
            with pytest.raises(errors.InvalidInput, match=f"custom.{COMPANY} holds organization"):
                client.change_contact(stored(client).id, set={f"custom.{COMPANY}": "x"})


def test_a_workspace_of_bird_holds_company_title_and_city_by_default() -> None:
    with account("bird") as (client, _):
        given = ada(organization="Example Inc.", title="Head", address=Address(city="Springfield", country="US"))
        assert losses(client, given) == {}
        client.wait(client.upsert_contacts([given]))
        read = stored(client)
        assert (read.organization, read.title, read.address) == (given.organization, given.title, given.address)
        elsewhere = ada(address=Address(line1="1 Road", city="Springfield"))
        assert losses(client, elsewhere) == {"address.line1": LossCode.NO_FIELD}
        names = {each.contact_field: each.name for each in client.custom_fields() if each.contact_field}
        usual = {ours: theirs for ours, theirs in USUAL_FIELDS.items() if ours in names}
        assert names == usual | {"first_name": "firstName", "last_name": "lastName", "full_name": "displayName"}


def test_the_export_of_sendgrid_has_them_in_both_formats() -> None:
    for export_format in ("csv", "json"):
        with mapped("sendgrid", export_format=export_format) as client:
            client.wait(client.upsert_contacts([ada(organization="Example Inc.")]))
            assert stored(client).organization == "Example Inc."


def test_a_part_of_the_address_joins_those_that_the_vendor_has_itself() -> None:
    with mapped("sendgrid", fields={"address.formatted": COMPANY}) as client:
        whole = Address(city="Springfield", formatted="1 Road, Springfield")
        client.wait(client.upsert_contacts([ada(address=whole)]))
        assert stored(client).address == whole


def test_without_the_field_an_organization_of_user_api_is_a_company() -> None:
    with account("user-api", contacts=12, fields={"organization": COMPANY}) as (client, _):
        client.create_custom_field(COMPANY, FieldType.TEXT)
        someone = next(each for each in client.export() if each.organization)
        client.wait(client.change_contact(someone.id, set={"organization": "Held Inc."}))
        read = client.get_contacts([someone.id])[someone.id]
        assert read
        assert read.organization == "Held Inc."
        assert read.extra["companies"] == someone.extra["companies"]


class TestSetting:
    @pytest.mark.parametrize("given", ["organization=firm, title = role", {"organization": "firm", "title": "role"}])
    def test_it_is_a_table_or_a_text(self, given: Any) -> None:
        provider = Bird(access_key="k", workspace_id="w", fields=given)
        assert dict(provider.fields) == {"organization": "firm", "title": "role"}
        assert hash(provider) == hash(evolve(provider))

    @pytest.mark.parametrize("given", ["", {}])
    def test_nothing_is_mapped_if_it_is_empty(self, given: Any) -> None:
        assert dict(Bird(access_key="k", workspace_id="w", fields=given).fields) == {}

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (7, "is of the type int, not a table"),
            ("organization", "organization names no custom field"),
            ({"organization": 7}, "organization names no custom field"),
            ({"shoe size": "x"}, "there is no field 'shoe size'"),
            ("title=a,title=b", "names a field twice"),
            ({"title": "Role", "organization": "role"}, "holds one field only"),
            ({"first_name": "x"}, "keeps first_name in a field of its own"),
            ({"title": "firstName"}, "firstName holds something else"),
            ({"title": "subscribedEmail"}, "subscribedEmail holds something else"),
        ],
    )
    def test_what_cannot_be_is_refused(self, given: Any, message: str) -> None:
        with pytest.raises(errors.ConfigurationError, match=message):
            Bird(access_key="k", workspace_id="w", fields=given)

    def test_other_vendors_map_nothing_by_default(self) -> None:
        assert dict(SendGrid(api_key="k").fields) == {}
        assert dict(UserApi(api_key="k", base_url="https://crm.example.com").fields) == {}

    def test_it_is_read_from_the_accounts_file_and_from_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table = 'fields = { organization = "firm", "address.city" = "town" }'
        text = f'[accounts.shop]\nprovider = "bird"\naccess_key = "env:KEY"\nworkspace_id = "w"\n{table}\n'
        (tmp_path / "contacts.toml").write_text(text)
        monkeypatch.setenv("CONTACTS_FILE", str(tmp_path / "contacts.toml"))
        monkeypatch.setenv("KEY", "k")
        with connect("shop") as client:
            assert isinstance(client.provider, Bird)
            assert dict(client.provider.fields) == {"organization": "firm", "address.city": "town"}
        for name, value in (("ACCESS_KEY", "k"), ("WORKSPACE_ID", "w"), ("FIELDS", "title=role")):
            monkeypatch.setenv(f"BIRD_{name}", value)
        with connect(Bird) as client:
            assert dict(client.provider.fields) == {"title": "role"}
