"""What recordings of the vendors and their guides show, line by line."""

from __future__ import annotations

import pytest

from tests.emulator.conftest import Json, Vendor
from tests.emulator.test_faults import member


def upsert(sendgrid: Vendor, *contacts: Json) -> str:
    return str(sendgrid.ok("PUT", "/contacts", json={"contacts": list(contacts)})["job_id"])


def test_a_job_says_what_was_asked_for_before_it_has_done_anything(sendgrid: Vendor) -> None:
    job_id = upsert(sendgrid, {"email": "one@example.com"}, {"email": "two@example.com"})
    path = f"/contacts/imports/{job_id}"
    assert sendgrid.ok("GET", path)["results"] == {}
    sendgrid.clock.advance(6)
    assert sendgrid.ok("GET", path)["results"] == {"requested_count": 2}
    sendgrid.clock.advance(25)
    during = sendgrid.ok("GET", path)
    assert (during["status"], during["results"]) == ("pending", {"requested_count": 2, "created_count": 2})


def test_a_contact_is_created_at_the_request_and_updated_half_a_minute_later(sendgrid: Vendor) -> None:
    upsert(sendgrid, {"email": "one@example.com"})
    sendgrid.clock.advance(45)
    query = {"query": "email = 'one@example.com'"}
    (made,) = sendgrid.ok("POST", "/contacts/search", json=query)["result"]
    assert (made["created_at"], made["updated_at"]) == ("2025-11-18T14:50:00Z", "2025-11-18T14:50:30Z")
    upsert(sendgrid, {"email": "one@example.com", "city": "Here"})
    sendgrid.clock.advance(45)
    (changed,) = sendgrid.ok("POST", "/contacts/search", json=query)["result"]
    assert (changed["created_at"], changed["updated_at"]) == ("2025-11-18T14:50:00Z", "2025-11-18T14:51:15Z")


def test_unknown_fields_of_a_contact_are_named_in_one_error(sendgrid: Vendor) -> None:
    contacts = [
        {"email": "one@example.com"},
        {"email": "two@example.com", "custom_fields": {"e91_T": "x", "e1_N": 1, "e92_T": "y"}},
    ]
    answer = sendgrid("PUT", "/contacts", json={"contacts": contacts})
    assert answer.status_code == 400
    message = "invalid custom field names or ID's supplied - e91_T,e92_T"
    assert answer.json()["errors"] == [{"field": "contacts[1].custom_fields", "message": message}]


def test_where_empty_values_are_null(sendgrid: Vendor) -> None:
    sample = sendgrid.ok("GET", "/contacts")["result"]
    assert all(contact["alternate_emails"] is None or contact["alternate_emails"] for contact in sample)
    assert any(contact["alternate_emails"] is None for contact in sample)
    query = {"query": f"email = '{sample[0]['email']}'"}
    (found,) = sendgrid.ok("POST", "/contacts/search", json=query)["result"]
    assert found["segment_ids"] is None
    assert sendgrid.ok("GET", f"/contacts/{found['id']}")["segment_ids"] == []


def test_one_list_counts_the_identifiers_of_its_members(sendgrid: Vendor) -> None:
    listed = sendgrid.ok("GET", "/lists")["result"][0]
    assert "identifier_counts" not in listed
    one = sendgrid.ok("GET", f"/lists/{listed['id']}")
    assert one["identifier_counts"].keys() == {"AID", "EID", "EXTID", "PHNID"}
    assert one["identifier_counts"]["EID"] == one["contact_count"] > one["identifier_counts"]["PHNID"] > 0


@pytest.mark.parametrize("phone", ["FLOWERS", "+1 202 555 0143", "12", "+1202555014x", "+12025550143 ext. 9", "+"])
def test_phone_identifiers_must_be_phone_numbers(phone: str, sendgrid: Vendor) -> None:
    contact = {"email": "one@example.com", "phone_number_id": phone}
    (error,) = sendgrid("PUT", "/contacts", json={"contacts": [contact]}).json()["errors"]
    assert error["field"] == "contacts[0].phone_number_id"
    upsert(sendgrid, {"phone_number_id": "+12025550143", "phone_number": phone})


def test_identifier_keys_have_up_to_250_characters(bird: Vendor) -> None:
    path = f"/contacts/{member(bird)}/identifiers"
    assert bird("POST", path, json={"key": "k" * 250, "value": "1"}).status_code == 201
    assert bird("POST", path, json={"key": "k" * 251, "value": "1"}).status_code == 422
    assert bird("POST", path, json={"key": "", "value": "1"}).status_code == 422


@pytest.mark.parametrize("value", [[], {}, [[]], [{}], [["x"]], {"a": 1}, [1, [2]]])
def test_attributes_are_scalars_or_arrays_of_them(value: object, bird: Vendor) -> None:
    path = f"/contacts/{member(bird)}"
    refused = bird("PATCH", path, json={"attributes": {"plan": value}})
    assert (refused.status_code, refused.json()["code"]) == (422, "InvalidPayload")
    bird.ok("PATCH", path, json={"attributes": {"plan": ["x", 1, True], "score": 1.5, "renewalDate": None}})


@pytest.mark.parametrize("way", ["create", "upsert"])
def test_what_the_service_sets_on_new_contacts_cannot_be_written_back(way: str, bird: Vendor) -> None:
    if way == "create":
        made = bird.ok("POST", "/contacts", json={"displayName": "Jane", "attributes": {"plan": "pro"}})
    else:
        made = bird.ok("PATCH", "/contacts/identifiers/crm/1", json={"attributes": {"plan": "pro"}})
    assert made["attributes"].keys() >= {"plan", "initialReference", "timezone"}
    refused = bird("PATCH", f"/contacts/{made['id']}", json={"attributes": made["attributes"]})
    assert refused.status_code == 422
    assert "read-only" in refused.json()["message"]


def test_attributes_whose_definition_is_read_only_are_refused(bird: Vendor) -> None:
    fixed = {
        "key": "origin",
        "displayName": "x",
        "cardinality": "one",
        "type": "string",
        "pii": False,
        "readOnly": True,
    }
    bird.ok("POST", "/attribute-definitions", json=fixed)
    path = f"/contacts/{member(bird)}"
    assert bird("PATCH", path, json={"attributes": {"origin": "import"}}).status_code == 422


def test_companies_and_notes_have_an_order_and_companies_their_relations(user_api: Vendor) -> None:
    names = [company["name"] for company in user_api.ok("GET", "/companies", params={"order_by": "name:asc"})["data"]]
    assert names == sorted(names)
    assert len(names) > 1
    user_api.ok("GET", "/notes", params={"order_by": "updated_at:desc"})
    assert user_api("GET", "/notes", params={"order_by": "name:asc"}).status_code == 422
    company = user_api.ok("GET", "/companies", params={"include": "custom_fields,tags,lists,contacts"})["data"][0]
    assert company.keys() >= {"custom_fields", "tags", "lists", "contacts"}
    assert company["contacts"]


def test_tasks_and_users_of_a_workspace_are_listed(user_api: Vendor) -> None:
    assert user_api.ok("GET", "/tasks") == {"pagination": {"limit": 25, "offset": 0, "total": 0}, "data": []}
    (owner,) = user_api.ok("GET", "/workspace-users")["data"]
    assert owner["id"]
    assert user_api("POST", "/tasks", json={}).status_code == 405
