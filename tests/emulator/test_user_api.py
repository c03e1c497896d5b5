"""The user-api emulator, fact by fact."""

from __future__ import annotations

import pytest

from contacts_user_api.emulator.payloads import split_phone
from tests.emulator.conftest import Json, Serve, Vendor

INCLUDE = {"include": "emails,phone_numbers,companies,custom_fields,tags,lists,notes"}
RELATIONS = set(INCLUDE["include"].split(","))


def create(vendor: Vendor, **fields: object) -> Json:
    data: Json = vendor.ok("POST", "/contacts", json={"first_name": "Jane", **fields})["data"]
    return data


def everything(vendor: Vendor, contact_id: str) -> Json:
    data: Json = vendor.ok("GET", f"/contacts/{contact_id}", params=INCLUDE)["data"]
    return data


@pytest.mark.parametrize("headers", [{"x-rolodex-api-key": "wrong"}, {"x-rolodex-api-key": "Bearer sandbox-user-key"}])
def test_other_keys_are_refused(user_api: Vendor, headers: dict[str, str]) -> None:
    answer = user_api("GET", "/contacts", headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid api key"})


def test_unknown_things_are_refused(user_api: Vendor) -> None:
    for path in ("/contacts/contact_1", "/lists/list_1", "/nothing"):
        answer = user_api("GET", path)
        assert answer.status_code == 404
        assert answer.json().keys() == {"error"}
    assert user_api("DELETE", "/contacts/contact_1").status_code == 404
    assert user_api("PUT", "/contacts/contact_1", json={}).status_code == 404


def test_lists_cannot_be_deleted(user_api: Vendor) -> None:
    list_id = user_api.ok("GET", "/lists")["data"][0]["id"]
    assert user_api("DELETE", f"/lists/{list_id}").status_code == 405


def test_pages(user_api: Vendor) -> None:
    first = user_api.ok("GET", "/contacts")
    assert first["pagination"] == {"limit": 25, "offset": 0, "total": 60}
    assert len(first["data"]) == 25
    assert not RELATIONS & first["data"][0].keys()
    clamped = user_api.ok("GET", "/contacts", params={"limit": 1000, "offset": 58, "order_by": "created_at:asc"})
    assert clamped["pagination"] == {"limit": 100, "offset": 58, "total": 60}
    assert len(clamped["data"]) == 2
    for wrong in ({"limit": 0}, {"limit": "x"}, {"offset": -1}, {"order_by": "email:asc"}, {"order_by": "created_at"}):
        assert user_api("GET", "/contacts", params=wrong).status_code == 422


@pytest.mark.parametrize("key", ["created_at", "updated_at", "full_name"])
def test_orders(user_api: Vendor, key: str) -> None:
    rising = user_api.ok("GET", "/contacts", params={"limit": 100, "order_by": f"{key}:asc"})["data"]
    falling = user_api.ok("GET", "/contacts", params={"limit": 100, "order_by": f"{key}:desc"})["data"]
    values = [contact[key] for contact in rising]
    assert values == sorted(values)
    assert [contact[key] for contact in falling] == values[::-1]


def test_the_default_order_shifts_with_updates(user_api: Vendor) -> None:
    last = user_api.ok("GET", "/contacts", params={"offset": 59})["data"][0]
    user_api.ok("PUT", f"/contacts/{last['id']}", json={"is_starred": True})
    assert user_api.ok("GET", "/contacts")["data"][0]["id"] == last["id"]


def test_include_names_relations(user_api: Vendor) -> None:
    contact_id = create(user_api)["id"]
    some = user_api.ok("GET", f"/contacts/{contact_id}", params={"include": "emails,tags"})["data"]
    assert RELATIONS & some.keys() == {"emails", "tags"}
    assert user_api("GET", f"/contacts/{contact_id}", params={"include": "emails,pets"}).status_code == 422


def test_creation_answers_with_relations_and_reads_differ_from_writes(user_api: Vendor) -> None:
    tag = user_api.ok("GET", "/tags")["data"][0]
    listed = user_api.ok("GET", "/lists")["data"][0]
    note = user_api.ok("GET", "/notes")["data"][0]
    company = user_api.ok("GET", "/companies")["data"][0]
    fields = {item["name"]: item for item in user_api.ok("GET", "/custom-fields")["data"]}
    option = fields["stage"]["multi_select_options"][1]
    contact = create(
        user_api,
        last_name="O'Brien",
        emails=["a@example.com", {"email_address": "b@example.com", "is_primary": True}],
        phone_numbers=["+442079460001", {"phone_number": "2025550143", "country_code": "+1"}],
        companies=[{"id": company["id"], "title": "Boss", "start_date": "2024-01-15"}],
        tags=[tag["id"]],
        lists=[{"id": listed["id"]}],
        notes=[note["id"]],
        custom_fields=[
            {"id": fields["score"]["id"], "value": 88},
            {"id": fields["stage"]["id"], "value": option["id"]},
        ],
    )
    assert contact["full_name"] == "Jane O'Brien"
    assert [(item["email_address"], item["is_primary"]) for item in contact["emails"]] == [
        ("a@example.com", False),
        ("b@example.com", True),
    ]
    assert [(item["country_code"], item["phone_number"]) for item in contact["phone_numbers"]] == [
        ("+44", "2079460001"),
        ("+1", "2025550143"),
    ]
    (position,) = contact["companies"]
    assert (position["name"], position["title"], position["start_date"]) == (company["name"], "Boss", "2024-01-15")
    assert contact["tags"] == [{"tag": {"id": tag["id"], "name": tag["name"]}}]
    assert contact["lists"] == [{"list": {"id": listed["id"], "name": listed["name"]}}]
    assert contact["notes"] == [{"note": {"id": note["id"], "body": note["body"]}}]
    assert {item["name"]: item["value"] for item in contact["custom_fields"]} == {"score": 88, "stage": option}
    assert everything(user_api, contact["id"]) == contact
    members = user_api.ok("GET", f"/tags/{tag['id']}", params={"include": "contacts"})["data"]["contacts"]
    assert {"id": contact["id"], "full_name": "Jane O'Brien", "image_url": None} in members


def test_a_put_merges_scalars_and_replaces_relations(user_api: Vendor) -> None:
    before = create(user_api, title="Baker", emails=["a@example.com", "b@example.com"], phone_numbers=["+12025550143"])
    path = f"/contacts/{before['id']}"
    user_api.clock.advance(10)
    kept = {"email_address": "b@example.com", "is_primary": False}
    bare = user_api.ok("PUT", path, json={"last_name": "Doe", "emails": [kept]})["data"]
    assert not RELATIONS & bare.keys()
    after = everything(user_api, before["id"])
    assert (after["title"], after["full_name"]) == ("Baker", "Jane Doe")
    assert after["updated_at"] > before["updated_at"]
    (email,) = after["emails"]
    assert (email["email_address"], email["is_primary"]) == ("b@example.com", True)
    assert email["id"] not in {item["id"] for item in before["emails"]}  # ids are renewed
    assert after["phone_numbers"] == before["phone_numbers"]
    shown = user_api.ok("PUT", path, json={"emails": []}, params={"include": "emails"})["data"]
    assert shown["emails"] == []


def test_a_company_named_by_its_id_keeps_the_position(user_api: Vendor) -> None:
    company = user_api.ok("GET", "/companies")["data"][0]["id"]
    position = {"id": company, "title": "Boss", "is_active": False, "start_date": "2024-01-15"}
    contact = create(user_api, companies=[position])
    user_api.ok("PUT", f"/contacts/{contact['id']}", json={"companies": [company]})
    assert everything(user_api, contact["id"])["companies"] == contact["companies"]


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"first_name": ""},
        {"first_name": 5},
        {"emails": "a@example.com"},
        {"emails": ["no address"]},
        {"emails": [{"is_primary": True}]},
        {"emails": [7]},
        {"phone_numbers": [""]},
        {"tags": ["tag_1"]},
        {"tags": [5]},
        {"lists": ["list_1"]},
        {"companies": [{"id": "company_1"}]},
        {"custom_fields": [{"id": "field_1", "value": 1}]},
        {"custom_fields": [{"id": "field_10001"}]},
        {"custom_fields": [{"id": "field_10001", "value": "text"}]},
        {"custom_fields": [{"id": "field_10002", "value": 5}]},
        {"custom_fields": [{"id": "field_10003", "value": "soon"}]},
        {"custom_fields": [{"id": "field_10004", "value": "active"}]},
        {"birthday_day": "first"},
        {"is_starred": None},
    ],
)
def test_bad_contacts_change_nothing(user_api: Vendor, body: object) -> None:
    contact = create(user_api, emails=["a@example.com"])
    sent = {"first_name": "New", **body} if isinstance(body, dict) else body
    assert user_api("POST", "/contacts", json=sent).status_code == 422
    assert user_api("PUT", f"/contacts/{contact['id']}", json=body).status_code == (
        200 if body == {"first_name": ""} else 422
    )
    assert everything(user_api, contact["id"])["emails"] == contact["emails"]
    assert user_api.ok("GET", "/contacts")["pagination"]["total"] == 61


def test_delete_answers_with_what_was_deleted(user_api: Vendor) -> None:
    contact = create(user_api, emails=["a@example.com"], lists=["list_10001"])
    path = f"/contacts/{contact['id']}"
    deleted = user_api("DELETE", path, params=INCLUDE)
    assert (deleted.status_code, deleted.json()) == (200, {"data": contact})
    assert user_api("DELETE", path).status_code == 404
    members = user_api.ok("GET", "/lists/list_10001", params={"include": "contacts"})["data"]["contacts"]
    assert contact["id"] not in {member["id"] for member in members}


def test_lists(user_api: Vendor) -> None:
    a, b = create(user_api)["id"], create(user_api)["id"]
    made = user_api.ok("POST", "/lists", json={"name": "Made", "type": "CONTACT", "contacts": [a, {"id": b}]})["data"]
    assert [member["id"] for member in made["contacts"]] == [a, b]
    changed = user_api.ok("PUT", f"/lists/{made['id']}", json={"contacts": [b], "type": "COMPANY", "description": "d"})
    assert (changed["data"]["type"], changed["data"]["description"]) == ("CONTACT", "d")
    assert everything(user_api, a)["lists"] == []
    assert everything(user_api, b)["lists"][0]["list"]["name"] == "Made"
    companies = user_api.ok("POST", "/lists", json={"name": "Firms", "type": "COMPANY"})["data"]
    assert user_api("PUT", f"/contacts/{a}", json={"lists": [companies["id"]]}).status_code == 422
    names = [item["name"] for item in user_api.ok("GET", "/lists", params={"type": "COMPANY"})["data"]]
    assert names == ["Firms"]
    by_name = user_api.ok("GET", "/lists", params={"order_by": "name:desc"})["data"]
    assert [item["name"] for item in by_name] == ["Press", "Newsletter", "Made", "Firms", "Customers"]
    assert user_api.ok("GET", "/lists", params={"order_by": "created_at:desc"})["data"][0]["name"] == "Firms"
    for wrong in ({"name": "x"}, {"name": "x" * 51, "type": "CONTACT"}, {"name": "x", "type": "TAG"}):
        assert user_api("POST", "/lists", json=wrong).status_code == 422


def test_other_records(user_api: Vendor) -> None:
    assert user_api.ok("POST", "/companies", json={"name": "New"})["data"]["website_url"] is None
    field = {"name": "n", "field_type": "SINGLE_SELECT", "entity_type": "CONTACT", "multi_select_options": ["a"]}
    made = user_api.ok("POST", "/custom-fields", json=field)["data"]
    options = {"multi_select_options": [made["multi_select_options"][0], "b"], "field_type": "NUMERIC"}
    changed = user_api.ok("PUT", f"/custom-fields/{made['id']}", json=options)["data"]
    assert (changed["field_type"], len(changed["multi_select_options"])) == ("SINGLE_SELECT", 2)
    assert user_api("POST", "/custom-fields", json={**field, "multi_select_options": [""]}).status_code == 422
    contact = create(user_api)["id"]
    note = user_api.ok("GET", "/notes")["data"][0]["id"]
    user_api.ok("PUT", f"/notes/{note}", json={"contacts": [contact]})
    assert everything(user_api, contact)["notes"][0]["note"]["id"] == note
    assert user_api("PUT", f"/notes/{note}", json={"contacts": ["contact_1"]}).status_code == 422


@pytest.mark.parametrize(
    ("number", "parts"),
    [
        ("+12025550143", ("+1", "2025550143")),
        ("+442079460001", ("+44", "2079460001")),
        ("+353015550100", ("+353", "015550100")),
    ],
)
def test_phones_are_split(number: str, parts: tuple[str, str]) -> None:
    assert split_phone(number) == parts


def test_an_ignored_list_removal(user_api: Vendor) -> None:
    contact = create(user_api, lists=["list_10001"])
    user_api.faults.set("list-removal-ignored", 1)
    user_api.ok("PUT", f"/contacts/{contact['id']}", json={"lists": [], "title": "changed"})
    after = everything(user_api, contact["id"])
    assert (after["lists"], after["title"]) == (contact["lists"], "changed")
    user_api.ok("PUT", f"/contacts/{contact['id']}", json={"lists": []})
    assert everything(user_api, contact["id"])["lists"] == []


def test_stale_reads_after_a_deletion(serve: Serve) -> None:
    vendor = serve("user-api", faults=["stale-reads"])
    contact_id = create(vendor)["id"]
    vendor.ok("DELETE", f"/contacts/{contact_id}")
    assert vendor("DELETE", f"/contacts/{contact_id}").status_code == 404
    assert vendor("GET", f"/contacts/{contact_id}").status_code == 200
    vendor.clock.advance(20)
    assert vendor("GET", f"/contacts/{contact_id}").status_code == 404
