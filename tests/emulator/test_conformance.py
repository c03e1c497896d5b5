"""Every endpoint of every emulator, with requests and answers checked against the vendor's document."""

from __future__ import annotations

import pytest

from tests.emulator.conftest import Serve, Vendor
from tests.openapi import DEVIATIONS, Conformance

INCLUDE = "emails,phone_numbers,companies,custom_fields,tags,lists,notes"


def drive_sendgrid(vendor: Vendor) -> None:
    made = vendor.ok("POST", "/lists", json={"name": "Made"})
    fields = {item["name"]: item["id"] for item in vendor.ok("GET", "/field_definitions")["custom_fields"]}
    field = vendor.ok("POST", "/field_definitions", json={"name": "shoe_size", "field_type": "Number"})
    vendor.ok("PATCH", f"/field_definitions/{field['id']}", json={"name": "shoe_size_eu"})
    vendor.ok("DELETE", f"/field_definitions/{field['id']}")
    contact = {
        "email": "Jane@example.com",
        "external_id": "jane-1",
        "phone_number_id": "+12025550199",
        "alternate_emails": ["jane2@example.com"],
        "custom_fields": {fields["score"]: 7, fields["plan"]: "pro"},
    }
    job = vendor.ok("PUT", "/contacts", json={"contacts": [contact], "list_ids": [made["id"]]})
    vendor.ok("GET", f"/contacts/imports/{job['job_id']}")
    vendor.clock.advance(60)
    vendor.ok("GET", f"/contacts/imports/{job['job_id']}")
    vendor.ok("GET", "/contacts")
    vendor.ok("GET", "/contacts/count")
    found = vendor.ok("POST", "/contacts/search", json={"query": "email = 'jane@example.com'"})["result"][0]
    vendor.ok("POST", "/contacts/search", json={"query": "first_name IS NOT NULL"})
    vendor.ok("POST", "/contacts/search/emails", json={"emails": ["JANE2@example.com", "no@example.com"]})
    vendor("POST", "/contacts/search/emails", json={"emails": ["no@example.com"]})
    vendor.ok("POST", "/contacts/search/identifiers/external_id", json={"identifiers": ["jane-1", "x"]})
    vendor("POST", "/contacts/search/identifiers/external_id", json={"identifiers": ["x"]})
    vendor.ok("GET", f"/contacts/{found['id']}")
    vendor("GET", "/contacts/unknown")
    vendor.ok("POST", "/contacts/batch", json={"ids": [found["id"]]})
    vendor.ok("GET", "/lists", params={"page_size": 2})
    vendor.ok("GET", f"/lists/{made['id']}", params={"contact_sample": "true"})
    vendor("GET", "/lists/unknown")
    vendor.ok("PATCH", f"/lists/{made['id']}", json={"name": "Renamed"})
    vendor.ok("GET", f"/lists/{made['id']}/contacts/count")
    vendor.ok("DELETE", f"/lists/{made['id']}/contacts", params={"contact_ids": found["id"]})
    vendor("DELETE", f"/lists/{made['id']}/contacts", params={"contact_ids": "unknown"})
    removal = {"identifier_type": "EXTERNALID", "identifier_value": "jane-1"}
    vendor.ok("DELETE", f"/contacts/{found['id']}/identifiers", json=removal)
    export = vendor.ok("POST", "/contacts/exports", json={"file_type": "json", "list_ids": [made["id"]]})
    vendor.ok("GET", f"/contacts/exports/{export['id']}")
    vendor.clock.advance(10)
    vendor.ok("GET", f"/contacts/exports/{export['id']}")
    vendor.ok("GET", "/contacts/exports")
    upload = {"file_type": "csv", "field_mappings": ["_rf2_T", None, fields["plan"]]}
    vendor.ok("PUT", "/contacts/imports", json=upload)
    vendor.ok("DELETE", "/contacts", params={"ids": found["id"]})
    vendor.ok("DELETE", "/contacts", params={"delete_all_contacts": "true"})
    vendor("DELETE", "/contacts")
    vendor.ok("DELETE", f"/lists/{made['id']}", params={"delete_contacts": "true"})
    vendor.ok("DELETE", f"/lists/{vendor.ok('GET', '/lists')['result'][0]['id']}")
    vendor("DELETE", "/lists/unknown")
    drive_suppressions(vendor)


def drive_suppressions(vendor: Vendor) -> None:
    groups, all_of_them = "/v3/asm/groups", "/v3/asm/suppressions"
    made = vendor.ok("POST", groups, json={"name": "Surveys", "description": "Now and then"})
    one = f"{groups}/{made['id']}"
    vendor.ok("GET", groups)
    vendor.ok("GET", groups, params={"id": made["id"]})
    vendor.ok("GET", one)
    vendor.ok("PATCH", one, json={"name": "Polls", "description": "Now and then"})
    recipients = {"recipient_emails": ["jane@example.com", "joe@example.com"]}
    vendor.ok("POST", f"{one}/suppressions", json=recipients)
    vendor.ok("GET", f"{one}/suppressions")
    vendor.ok("POST", f"{one}/suppressions/search", json=recipients)
    vendor.ok("GET", all_of_them)
    vendor.ok("GET", f"{all_of_them}/jane@example.com")
    vendor.ok("DELETE", f"{one}/suppressions/jane@example.com")
    vendor.ok("DELETE", one)
    vendor.ok("POST", f"{all_of_them}/global", json=recipients)
    vendor.ok("GET", f"{all_of_them}/global/jane@example.com")
    vendor.ok("GET", f"{all_of_them}/global/nobody@example.com")
    vendor.ok("DELETE", f"{all_of_them}/global/jane@example.com")
    vendor.ok("GET", "/v3/suppression/unsubscribes", params={"limit": 2, "offset": 1, "email": "joe"})
    for kind in ("bounces", "blocks", "invalid_emails", "spam_reports"):
        path, page = f"/v3/suppression/{kind}", {"limit": 500, "offset": 0, "start_time": 1, "end_time": 10**10}
        accept = {"headers": {"accept": "application/json"}}
        found = vendor("GET", path, params=page, **accept).json()
        assert found
        vendor.ok("GET", f"{path}/{found[0]['email']}")
        vendor.ok("DELETE", f"{path}/{found[0]['email']}")
        vendor.ok("GET", f"{path}/{found[0]['email']}")
        vendor.ok("DELETE", path, json={"emails": ["joe@example.com"]})
        vendor.ok("DELETE", path, json={"delete_all": True})
    vendor.ok("POST", "/v3/recipients/erasejob", json={"email_addresses": ["jane@example.com"]})
    vendor("POST", "/v3/recipients/erasejob", json={"email_addresses": ["nobody"]})


def drive_bird(vendor: Vendor) -> None:
    made = vendor.ok("POST", "/lists", json={"name": "Made", "description": "by a test"})
    email = {"key": "emailaddress", "value": "jane@example.com"}
    phone = {"key": "phonenumber", "value": "+12025550199"}
    body = {"displayName": "Jane", "identifiers": [email], "attributes": {"score": 3}, "listIds": [made["id"]]}
    contact = vendor.ok("POST", "/contacts", json=body)
    one = f"/contacts/{contact['id']}"
    vendor.ok("GET", "/contacts", params={"limit": 5, "reverse": "true"})
    vendor.ok("GET", one, params={"attribute": "plan"})
    vendor.ok("PATCH", one, json={"attributes": {"plan": "pro"}, "addIdentifiers": [phone]})
    vendor.ok("POST", "/contacts/search", json={"identifier": email})
    vendor.ok("PATCH", "/contacts/identifiers/emailaddress/jane@example.com", json={"attributes": None})
    vendor.ok("PATCH", "/contacts/identifiers/emailaddress/new@example.com", json={})
    vendor.ok("GET", f"{one}/identifiers")
    vendor.ok("POST", f"{one}/identifiers", json={"key": "crm", "value": "1"})
    vendor("POST", f"{one}/identifiers", json={"key": "crm", "value": "1"})
    vendor.ok("DELETE", f"{one}/identifiers", json=phone)
    vendor.ok("GET", f"{one}/lists")
    vendor.ok("GET", "/lists")
    vendor.ok("GET", f"/lists/{made['id']}")
    vendor.ok("PATCH", f"/lists/{made['id']}", json={"name": "Renamed"})
    vendor.ok("GET", f"/lists/{made['id']}/contacts", params={"limit": 100})
    vendor.ok("DELETE", f"/lists/{made['id']}/contacts", json={"contacts": [contact["id"]]})
    vendor.ok("POST", f"/lists/{made['id']}/contacts", json={"contacts": None, "identifiers": [email]})
    vendor.ok("GET", "/attribute-definitions", params={"limit": 100})
    definition = {"key": "colour", "displayName": "Colour", "cardinality": "one", "type": "string"}
    vendor.ok("POST", "/attribute-definitions", json={**definition, "pii": False, "readOnly": False})
    vendor.ok("DELETE", f"/lists/{made['id']}")
    vendor.ok("DELETE", one)
    vendor("DELETE", one)


def drive_user_api(vendor: Vendor) -> None:
    everything = {"include": INCLUDE}
    made = vendor.ok("POST", "/lists", json={"name": "Made", "type": "CONTACT"})["data"]
    tag = vendor.ok("POST", "/tags", json={"name": "made"})["data"]
    note = vendor.ok("GET", "/notes", params={"include": "contacts"})["data"][0]
    company = vendor.ok("GET", "/companies", params={"include": "contacts"})["data"][0]
    options = {"entity_type": "CONTACT", "field_type": "MULTI_SELECT", "multi_select_options": ["a", {"value": "b"}]}
    field = vendor.ok("POST", "/custom-fields", json={"name": "letters", **options})["data"]
    body = {
        "first_name": "Jane",
        "emails": ["jane@example.com", {"email_address": "jane2@example.com", "is_primary": True}],
        "phone_numbers": ["+12025550199", {"phone_number": "2079460001", "country_code": "+44"}],
        "companies": [company["id"]],
        "tags": [tag["id"]],
        "lists": [{"id": made["id"]}],
        "notes": [note["id"]],
        "custom_fields": [{"id": field["id"], "value": [field["multi_select_options"][0]["id"]]}],
    }
    contact = vendor.ok("POST", "/contacts", json=body)["data"]
    one = f"/contacts/{contact['id']}"
    page = {"limit": 100, "offset": 1, "order_by": "created_at:asc"}
    vendor.ok("GET", "/contacts", params={**page, **everything})
    vendor.ok("GET", one)
    vendor.ok("GET", one, params=everything)
    vendor.ok("PUT", one, json={"title": "Baker", "emails": []}, params={"include": "emails"})
    vendor.ok("GET", "/lists", params={"include": "contacts,companies", "type": "CONTACT", "order_by": "name:asc"})
    vendor.ok("GET", f"/lists/{made['id']}", params={"include": "contacts"})
    vendor.ok("PUT", f"/lists/{made['id']}", json={"contacts": [{"id": contact["id"]}]})
    vendor.ok("GET", "/tags")
    vendor.ok("GET", f"/tags/{tag['id']}")
    vendor.ok("GET", f"/notes/{note['id']}")
    vendor.ok("GET", "/notes", params={"order_by": "updated_at:desc"})
    vendor.ok("GET", "/companies", params={"order_by": "name:asc", "include": "custom_fields,tags,lists,contacts"})
    vendor.ok("GET", "/tasks")
    vendor.ok("GET", "/workspace-users")
    vendor.ok("PUT", f"/notes/{note['id']}", json={"body": "changed", "contacts": []})
    vendor.ok("GET", "/custom-fields", params={"entity_type": "CONTACT"})
    vendor.ok("GET", f"/custom-fields/{field['id']}")
    vendor.ok("PUT", f"/custom-fields/{field['id']}", json={"name": "letter"})
    vendor.ok("DELETE", one, params=everything)
    vendor("DELETE", one)


DRIVES = {"sendgrid": drive_sendgrid, "bird": drive_bird, "user-api": drive_user_api}


@pytest.mark.parametrize("name", DRIVES)
def test_every_endpoint_is_as_documented(name: str, serve: Serve) -> None:
    conformance = Conformance.for_vendor(name)
    vendor = serve(name, contacts=120)
    DRIVES[name](vendor)
    for exchange in vendor.exchanges:
        conformance.check(exchange)
    emulator = vendor.running.sandbox.emulators[name]
    documented = {operation.path for operation in emulator.operations() if operation.guarded}
    assert len(vendor.exchanges) > len(documented)


@pytest.mark.parametrize("name", ["sendgrid", "bird", "user-api"])
def test_the_documents_are_valid(name: str) -> None:
    Conformance.for_vendor(name).check_documents()


def test_deviations_have_names_and_reasons() -> None:
    names = [deviation.name for deviation in DEVIATIONS]
    assert len(names) == len(set(names))
    assert all(deviation.reason for deviation in DEVIATIONS)
