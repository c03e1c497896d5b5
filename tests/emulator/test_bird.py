"""The Bird emulator, fact by fact."""

from __future__ import annotations

import httpx
import pytest

from tests.emulator.conftest import Json, Serve, Vendor

NOBODY = "00000000-0000-4000-8000-00000000dead"


def email(value: str) -> dict[str, str]:
    return {"key": "emailaddress", "value": value}


def create(vendor: Vendor, *identifiers: dict[str, str], **more: object) -> Json:
    return vendor.ok("POST", "/contacts", json={"displayName": "Jane", "identifiers": list(identifiers), **more})


def pages(vendor: Vendor, path: str, **params: object) -> list[Json]:
    found: list[Json] = []
    token = None
    while True:
        page = vendor.ok("GET", path, params={**params, **({"pageToken": token} if token else {})})
        found += page["results"]
        token = page.get("nextPageToken")
        if not token:
            return found


def find(vendor: Vendor, identifier: dict[str, str]) -> list[Json]:
    results: list[Json] = vendor.ok("POST", "/contacts/search", json={"identifier": identifier})["results"]
    return results


def newsletter(vendor: Vendor) -> str:
    return str(vendor.ok("GET", "/lists")["results"][0]["id"])


@pytest.mark.parametrize("key", ["", "AccessKey wrong", "Bearer sandbox-access-key", "sandbox-access-key"])
def test_other_keys_and_schemes_are_refused(bird: Vendor, key: str) -> None:
    answer = bird("GET", "/contacts", headers={"authorization": key})
    assert answer.status_code == 401
    assert answer.json().keys() == {"code", "message"}


def test_wrong_workspaces_and_paths_look_like_wrong_keys(bird: Vendor) -> None:
    assert bird.http.get(f"/workspaces/{NOBODY}/contacts").status_code == 401
    assert bird("GET", "/nothing").status_code == 401
    assert bird("PUT", "/contacts").status_code == 405


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many"])
def test_limits_of_a_page(bird: Vendor, limit: str) -> None:
    assert bird("GET", "/contacts", params={"limit": limit}).status_code == 422


def test_pages(bird: Vendor) -> None:
    assert len(bird.ok("GET", "/contacts")["results"]) == 10
    ids = [contact["id"] for contact in pages(bird, "/contacts", limit=25)]
    assert len(set(ids)) == 60
    assert [contact["id"] for contact in pages(bird, "/contacts", limit=100, reverse="true")] == ids[::-1]
    token = bird.ok("GET", "/contacts", params={"limit": 2})["nextPageToken"]
    assert set(token) & set("+/=")  # must be escaped in a URL
    assert bird("GET", "/contacts", params={"pageToken": "x"}).status_code == 422
    assert bird("GET", "/contacts", params={"reverse": "yes"}).status_code == 422


def test_the_last_page_has_no_token_in_three_ways(bird: Vendor) -> None:
    contact = create(bird, email("a@example.com"))
    assert "nextPageToken" not in bird.ok("GET", "/contacts", params={"limit": 100})
    assert bird.ok("GET", f"/contacts/{contact['id']}/identifiers")["nextPageToken"] is None
    assert bird.ok("GET", f"/lists/{newsletter(bird)}/contacts", params={"limit": 100})["nextPageToken"] == ""


def test_deleting_between_pages_skips_contacts(bird: Vendor) -> None:
    first = bird.ok("GET", "/contacts", params={"limit": 10})
    for contact in first["results"]:
        bird.ok("DELETE", f"/contacts/{contact['id']}")
    second = bird.ok("GET", "/contacts", params={"limit": 100, "pageToken": first["nextPageToken"]})
    assert len(second["results"]) == 40


def test_featured_identifiers_are_a_subset(bird: Vendor) -> None:
    contact = create(bird, email("a@example.com"), email("b@example.com"), {"key": "crm", "value": "1"})
    assert contact["featuredIdentifiers"] == [email("a@example.com"), email("b@example.com")]
    assert contact["identifierCount"] == 3
    assert contact["attributes"]["emailaddress"] == ["a@example.com", "b@example.com"]
    assert "crm" not in contact["attributes"]
    listed = pages(bird, f"/contacts/{contact['id']}/identifiers", limit=2)
    assert [item["value"] for item in listed] == ["a@example.com", "b@example.com", "1"]


def test_the_default_people_have_more_identifiers_than_are_featured(bird: Vendor) -> None:
    contacts = pages(bird, "/contacts", limit=100)
    assert any(contact["identifierCount"] > len(contact["featuredIdentifiers"]) for contact in contacts)
    counts = [len(pages(bird, f"/lists/{item['id']}/contacts", limit=100)) for item in pages(bird, "/lists")]
    assert all(counts)
    assert len(counts) == 3


def test_creation_rules(bird: Vendor) -> None:
    bodies: tuple[object, ...] = (
        {},
        [],
        {"displayName": ""},
        {"displayName": "x" * 151},
        {"displayName": "x", "listIds": []},
        {"displayName": "x", "listIds": [NOBODY]},
        {"displayName": "x", "listIds": ["nope"]},
        {"displayName": "x", "identifiers": [email("bad")]},
        {"displayName": "x", "identifiers": [{"key": "phonenumber", "value": "12025550143"}]},
        {"displayName": "x", "identifiers": [{"key": "k" * 251, "value": "1"}]},
        {"displayName": "x", "identifiers": ["a@example.com"]},
        {"displayName": "x", "attributes": {"emailaddress": ["a@example.com"]}},
        {"displayName": "x", "attributes": {"phonenumber": "+12025550143"}},
        {"displayName": "x", "attributes": {"nested": {}}},
        {"displayName": "x", "attributes": []},
    )
    for body in bodies:
        answer = bird("POST", "/contacts", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "InvalidPayload"), body
    empty = create(bird)
    assert empty["identifierCount"] == 0
    assert not {"featuredIdentifiers", "listIds"} & empty.keys()


def test_an_identifier_in_use_is_a_conflict(bird: Vendor) -> None:
    create(bird, email("a@example.com"))
    other = create(bird, email("b@example.com"))
    again = bird("POST", "/contacts", json={"displayName": "x", "identifiers": [email("A@example.com")]})
    assert (again.status_code, again.json()["code"]) == (409, "ResourceAlreadyExists")
    path = f"/contacts/{other['id']}"
    assert bird("POST", f"{path}/identifiers", json=email("a@example.com")).status_code == 409
    assert bird("PATCH", path, json={"addIdentifiers": [email("a@example.com")]}).status_code == 409
    lenient = bird.ok("PATCH", path, json={"addIdentifiers": [email("a@example.com")], "strategy": "first"})
    assert lenient["identifierCount"] == 1


def test_search_is_exact_and_finds_nobody_quietly(bird: Vendor) -> None:
    contact = create(bird, email("Jane@Example.com"))
    (found,) = find(bird, email("jane@example.COM"))
    assert found["id"] == contact["id"]
    assert found["featuredIdentifiers"] == [email("Jane@Example.com")]
    assert find(bird, email("jane@example.co")) == []
    assert bird("POST", "/contacts/search", json={}).status_code == 422


def test_updates(bird: Vendor) -> None:
    lists = [item["id"] for item in bird.ok("GET", "/lists")["results"]]
    contact = create(bird, email("a@example.com"), attributes={"plan": "pro", "score": 1}, listIds=lists[:1])
    path = f"/contacts/{contact['id']}"
    body = {
        "attributes": {"plan": None, "score": 2, "displayName": "Jane Doe"},
        "addIdentifiers": [{"key": "phonenumber", "value": "+12025550143"}],
        "removeIdentifiers": [email("a@example.com")],
        "addToLists": lists[1:2],
        "removeFromLists": lists[:1],
    }
    changed = bird.ok("PATCH", path, json=body)
    set_by_service = {name: changed["attributes"][name] for name in ("initialReference", "timezone")}
    written = {"displayName": "Jane Doe", "score": 2, "phonenumber": ["+12025550143"]}
    assert changed["attributes"] == written | set_by_service
    assert (changed["listIds"], changed["computedDisplayName"]) == (lists[1:2], "Jane Doe")
    replaced = bird.ok("PATCH", path, json={"listIds": lists})
    assert set(replaced["listIds"]) == set(lists)
    asked = bird.ok("GET", path, params=[("attribute", "plan"), ("attribute", "score")])
    assert (asked["attributes"]["plan"], asked["attributes"]["score"]) == (None, 2)
    for wrong in (
        {"strategy": "any"},
        {"addToLists": [NOBODY]},
        {"addToLists": [lists[0]] * 11},
        {"attributes": {"emailaddress": None}},
    ):
        assert bird("PATCH", path, json=wrong).status_code == 422
    assert bird("PATCH", f"/contacts/{NOBODY}", json={}).status_code == 404


def test_upsert_by_identifier_creates_and_updates(bird: Vendor) -> None:
    path = "/contacts/identifiers/emailaddress/new+tag@example.com"
    created = bird("PATCH", path, json={"attributes": {"firstName": "New"}})
    assert (created.status_code, created.json()["computedDisplayName"]) == (201, "New")
    updated = bird("PATCH", path, json={"attributes": {"firstName": "Newer"}})
    assert (updated.status_code, updated.json()["id"]) == (200, created.json()["id"])


def test_an_escaped_at_sign_in_a_path_is_refused(bird: Vendor) -> None:
    root = bird.running.base_url("bird") + "/workspaces/00000000-0000-4000-8000-000000000001"
    url = httpx.URL(f"{root}/contacts/identifiers/emailaddress/a%40example.com")
    answer = bird.http.patch(url, json={})
    assert answer.status_code == 422
    assert "not a valid email address" in answer.json()["message"]
    assert bird("GET", "/contacts/identifiers/emailaddress/a@example.com").status_code == 403


def test_a_refused_upsert_creates_nothing(bird: Vendor) -> None:
    create(bird, email("a@example.com"))
    conflict = {"addIdentifiers": [email("a@example.com")]}
    assert bird("PATCH", "/contacts/identifiers/emailaddress/b@example.com", json=conflict).status_code == 409
    assert find(bird, email("b@example.com")) == []
    assert len(pages(bird, "/contacts", limit=100)) == 61


def test_identifiers_are_removed_by_body(bird: Vendor) -> None:
    contact = create(bird, email("a@example.com"), email("b@example.com"))
    path = f"/contacts/{contact['id']}/identifiers"
    assert bird("DELETE", path, json=email("a@example.com")).status_code == 204
    assert find(bird, email("a@example.com")) == []
    assert bird("DELETE", path, json=email("a@example.com")).status_code == 404
    assert bird("DELETE", path).status_code == 422
    assert bird("DELETE", path, json=email("b@example.com")).status_code == 204  # the last one may go
    assert bird.ok("GET", f"/contacts/{contact['id']}")["identifierCount"] == 0
    assert bird("GET", f"/contacts/{NOBODY}/identifiers").status_code == 404


def test_deleting(bird: Vendor) -> None:
    contact = create(bird, email("a@example.com"), listIds=[newsletter(bird)])
    path = f"/contacts/{contact['id']}"
    answer = bird("DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert bird("DELETE", path).status_code == 404
    assert bird("GET", path).json()["code"] == "ResourceNotFound"
    assert find(bird, email("a@example.com")) == []
    create(bird, email("a@example.com"))


def test_delete_removes_from_a_list_and_post_adds(bird: Vendor) -> None:
    contact = create(bird, email("a@example.com"), {"key": "phonenumber", "value": "+12025550143"})
    path = f"/lists/{newsletter(bird)}/contacts"
    body = {"identifiers": [email("a@example.com"), {"key": "phonenumber", "value": "+12025550143"}]}
    added = bird("POST", path, json=body)
    assert (added.status_code, added.json()) == (201, {"itemsProcessed": 1})
    assert bird.ok("GET", f"/contacts/{contact['id']}/lists")["results"][0]["name"] == "Newsletter"
    removed = bird("DELETE", path, json={"contacts": [contact["id"]]})
    assert (removed.status_code, removed.json()) == (200, {"itemsProcessed": 1})
    assert bird.ok("GET", f"/contacts/{contact['id']}/lists")["results"] == []
    assert bird.ok("DELETE", path, json={"contacts": [contact["id"], NOBODY]}) == {"itemsProcessed": 0}


def test_members_are_one_to_a_hundred_together(bird: Vendor) -> None:
    path = f"/lists/{newsletter(bird)}/contacts"
    many = {"contacts": [NOBODY] * 60, "identifiers": [email("a@example.com")] * 41}
    bodies: tuple[Json, ...] = (
        many,
        {},
        {"contacts": None, "identifiers": []},
        {"contacts": ["nope"]},
        {"contacts": "x"},
    )
    for body in bodies:
        assert bird("DELETE", path, json=body).status_code == 422
        assert bird("POST", path, json=body).status_code == 422
    assert bird("DELETE", f"/lists/{NOBODY}/contacts", json={"contacts": [NOBODY]}).status_code == 404


def test_list_rules(bird: Vendor) -> None:
    for body in ({}, {"name": "x"}, {"name": "x" * 257}, {"name": "ok", "consentType": "triple"}):
        assert bird("POST", "/lists", json=body).status_code == 422
    made = bird.ok("POST", "/lists", json={"name": "Made", "consentType": "double"})
    assert bird.ok("PATCH", f"/lists/{made['id']}", json={"description": "d"})["consentType"] == "double"
    contact = create(bird, listIds=[made["id"]])
    assert bird.ok("GET", f"/lists/{made['id']}")["contactCount"] == 1
    assert bird("DELETE", f"/lists/{made['id']}").status_code == 204
    assert "listIds" not in bird.ok("GET", f"/contacts/{contact['id']}")
    assert bird("GET", f"/lists/{made['id']}").status_code == 404


def test_attribute_definitions(bird: Vendor) -> None:
    keys = {item["key"]: item for item in pages(bird, "/attribute-definitions")}
    assert {"score", "plan", "renewalDate", "emailaddress"} <= keys.keys()
    assert (keys["emailaddress"]["readOnly"], keys["score"]["type"]) == (True, "number")
    body = {"key": "a", "displayName": "A", "cardinality": "one", "type": "string", "pii": True, "readOnly": False}
    assert bird("POST", "/attribute-definitions", json=body).status_code == 201
    assert bird("POST", "/attribute-definitions", json=body).status_code == 409
    assert bird("POST", "/attribute-definitions", json={**body, "type": "map"}).status_code == 422
    for key in ("", "two words", "x" * 65):
        assert bird("POST", "/attribute-definitions", json={**body, "key": key}).status_code == 422
    assert bird("POST", "/attribute-definitions", json={}).status_code == 422


def test_partial_and_ignored_membership_changes(bird: Vendor) -> None:
    path = f"/lists/{newsletter(bird)}/contacts"
    ids = [contact["id"] for contact in pages(bird, path, limit=100)][:4]
    bird.faults.set("partial-items", 1)
    assert bird.ok("DELETE", path, json={"contacts": ids}) == {"itemsProcessed": 2}
    left = {contact["id"] for contact in pages(bird, path, limit=100)}
    assert left & set(ids) == set(ids[2:])
    bird.faults.set("list-removal-ignored", 1)
    assert bird.ok("DELETE", path, json={"contacts": ids[2:]}) == {"itemsProcessed": 2}
    assert {contact["id"] for contact in pages(bird, path, limit=100)} == left


def test_stale_reads_after_a_deletion(serve: Serve) -> None:
    bird = serve("bird", faults=["stale-reads=2"])
    contact = create(bird, email("a@example.com"))
    path = f"/contacts/{contact['id']}"
    bird.ok("DELETE", path)
    assert bird("DELETE", path).status_code == 404
    assert bird("GET", path).status_code == 200
    assert len(find(bird, email("a@example.com"))) == 1
    bird.clock.advance(20)
    assert bird("GET", path).status_code == 404
    again = create(bird, email("a@example.com"))
    bird.ok("DELETE", f"/contacts/{again['id']}")
    third = create(bird, email("a@example.com"))  # the identifier is free although reads still show it
    assert [item["id"] for item in find(bird, email("a@example.com"))] == [third["id"]]
