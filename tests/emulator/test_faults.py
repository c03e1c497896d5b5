"""Faults that make an emulator lie about who is there and what a contact has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contacts_core.emulator import FAULTS, Faults
from tests.emulator.conftest import EMULATORS, PREFIXES, Json, Serve, Vendor

PAGE = Path(__file__).parents[2] / "docs" / "emulators.md"
NAMES = list(EMULATORS)
RELATIONS = {
    "sendgrid": ("alternate_emails", "list_ids", "segment_ids", "custom_fields"),
    "bird": ("featuredIdentifiers", "listIds", "attributes"),
    "user-api": ("emails", "phone_numbers", "companies", "custom_fields", "tags", "lists", "notes"),
}
GATEWAYS = {
    "not-found-everywhere": ("text/html", "<html>"),
    "not-found-everywhere-text": ("text/plain", "404 page not found"),
    "not-found-everywhere-json": ("application/json", '{"message":"no Route matched with those values"}'),
    "not-found-everywhere-empty": ("", ""),
}


def member(vendor: Vendor) -> str:
    """A contact that is on a list."""
    truth = vendor.running.sandbox.emulators[vendor.name].truth()
    return next(one.id for one in truth.values() if one.lists)


def read(vendor: Vendor, contact_id: str) -> Json:
    everything = {"include": ",".join(RELATIONS["user-api"])} if vendor.name == "user-api" else {}
    body = vendor.ok("GET", f"/contacts/{contact_id}", params=everything)
    found: Json = body.get("data", body)
    return found


def page(vendor: Vendor) -> list[Json]:
    everything = {"include": ",".join(RELATIONS["user-api"])} if vendor.name == "user-api" else {}
    body = vendor.ok("GET", "/contacts", params=everything)
    found: list[Json] = next(body[key] for key in ("result", "results", "data") if key in body)
    return found


def looked_up(vendor: Vendor, email: str) -> list[Json]:
    if vendor.name == "bird":
        body = {"identifier": {"key": "emailaddress", "value": email}}
        found: list[Json] = vendor.ok("POST", "/contacts/search", json=body)["results"]
        return found
    answer = vendor("POST", "/contacts/search/emails", json={"emails": [email]})
    if answer.status_code == 404:
        return []
    return [item["contact"] for item in answer.json()["result"].values() if "contact" in item]


def addresses(contact: Json) -> list[str]:
    featured = contact.get("featuredIdentifiers")
    return [contact["email"]] if featured is None else [item["value"] for item in featured]


@pytest.mark.parametrize("name", NAMES)
def test_no_relations_leaves_relations_out_of_one_contact_and_keeps_them_in_pages(name: str, serve: Serve) -> None:
    vendor = serve(name)
    contact_id = member(vendor)
    whole = read(vendor, contact_id)
    assert all(whole[relation] is not None for relation in RELATIONS[name])
    vendor.faults.set("no-relations", None)
    assert whole.keys() - read(vendor, contact_id).keys() == set(RELATIONS[name])
    assert all(RELATIONS[name][-1] in contact for contact in page(vendor))
    vendor.faults.set("no-relations-anywhere", None)
    assert not any(set(RELATIONS[name]) & contact.keys() for contact in page(vendor))
    vendor.faults.clear()
    assert read(vendor, contact_id) == whole


def test_no_relations_leaves_relations_out_of_changes(user_api: Vendor) -> None:
    contact_id = member(user_api)
    user_api.faults.set("no-relations", None)
    changed = user_api.ok("PUT", f"/contacts/{contact_id}", json={"title": "Baker"}, params={"include": "emails,lists"})
    assert changed["data"]["title"] == "Baker"
    assert not {"emails", "lists"} & changed["data"].keys()


@pytest.mark.parametrize("name", NAMES)
def test_null_relations(name: str, serve: Serve) -> None:
    vendor = serve(name)
    contact_id = member(vendor)
    whole = read(vendor, contact_id)
    vendor.faults.set("null-relations", 2)
    assert read(vendor, contact_id) == whole | dict.fromkeys(RELATIONS[name])
    assert all(contact[RELATIONS[name][-1]] is None for contact in page(vendor))
    assert vendor.exchanges[-1].fault == "null-relations"
    assert read(vendor, contact_id) == whole


def test_relations_that_were_not_asked_for_use_no_fault_up(user_api: Vendor) -> None:
    user_api.faults.set("no-relations", 1)
    contact_id = member(user_api)
    user_api.ok("GET", f"/contacts/{contact_id}")
    assert "lists" not in read(user_api, contact_id)
    assert "lists" in read(user_api, contact_id)


def test_flat_lists(user_api: Vendor) -> None:
    contact_id = member(user_api)
    whole = read(user_api, contact_id)
    user_api.faults.set("flat-lists", None)
    assert read(user_api, contact_id)["lists"] == [item["list"] for item in whole["lists"]]
    assert all("id" in item for contact in page(user_api) for item in contact["lists"] + contact["tags"])


@pytest.mark.parametrize("name", ["sendgrid", "bird"])
def test_matches_too_much_answers_with_everybody_who_begins_alike(name: str, serve: Serve) -> None:
    vendor = serve(name, contacts=30)
    emulator = vendor.running.sandbox.emulators[name]
    email = next(v for one in emulator.truth().values() for _, v in one.identifiers if v.startswith("person1@"))
    assert [addresses(contact)[0] for contact in looked_up(vendor, email)] == [email]
    vendor.faults.set("matches-too-much", None)
    shown = looked_up(vendor, email)
    assert len({contact["id"] for contact in shown}) == 11
    assert all(any(value.startswith("person1") for value in addresses(contact)) for contact in shown)
    assert looked_up(vendor, "nobody@example.com") == []


@pytest.mark.parametrize("name", ["sendgrid", "bird"])
def test_look_ups_that_ignore_what_they_are_asked(name: str, serve: Serve) -> None:
    vendor = serve(name, contacts=30)
    assert looked_up(vendor, "nobody@example.com") == []
    vendor.faults.set("ignored-filter", 1)
    assert len({contact["id"] for contact in looked_up(vendor, "nobody@example.com")}) == 30
    vendor.faults.set("wrong-person", 1)
    (stranger,) = {contact["id"]: contact for contact in looked_up(vendor, "nobody@example.com")}.values()
    assert "nobody@example.com" not in addresses(stranger)


def test_searches_that_match_too_much(sendgrid: Vendor) -> None:
    ask = {"query": "email = 'person1@example.com' OR external_id = 'crm-000002'"}
    exact = sendgrid.ok("POST", "/contacts/search", json=ask)["contact_count"]
    sendgrid.faults.set("matches-too-much", 1)
    assert sendgrid.ok("POST", "/contacts/search", json=ask)["contact_count"] > exact
    sendgrid.faults.set("ignored-filter", 1)
    assert sendgrid.ok("POST", "/contacts/search", json={"query": "first_name = 'X'"})["contact_count"] == 50
    sendgrid.faults.set("wrong-person", 1)
    assert sendgrid.ok("POST", "/contacts/search", json={"query": "first_name = 'X'"})["contact_count"] == 1
    sendgrid.faults.set("matches-too-much", None)
    found = sendgrid.ok("POST", "/contacts/search/identifiers/external_id", json={"identifiers": ["crm-00000x"]})
    assert found["result"].keys() > {"crm-00000x"}


def test_filters_of_lists_are_ignored(user_api: Vendor) -> None:
    user_api.ok("POST", "/lists", json={"name": "Firms", "type": "COMPANY"})
    only = user_api.ok("GET", "/lists", params={"type": "CONTACT"})["data"]
    user_api.faults.set("ignored-filter", 1)
    assert len(user_api.ok("GET", "/lists", params={"type": "CONTACT"})["data"]) == len(only) + 1


@pytest.mark.parametrize("name", NAMES)
def test_stale_identity_makes_somebody_else_of_who_was_read(name: str, serve: Serve) -> None:
    vendor = serve(name)
    emulator = vendor.running.sandbox.emulators[name]
    before = emulator.truth()
    contact_id = member(vendor)
    vendor.faults.set("stale-identity", 1, after=1)
    first, second = read(vendor, contact_id), read(vendor, contact_id)
    assert first == second
    assert re.search(r"stranger\d+@example\.org", str(read(vendor, contact_id)))
    after = emulator.truth()
    assert [one for one in before if before[one] != after[one]] == [contact_id]
    assert not {v for _, v in before[contact_id].identifiers} & {v for _, v in after[contact_id].identifiers}


@pytest.mark.parametrize("name", ["sendgrid", "bird"])
def test_stale_identity_strikes_after_a_look_up(name: str, serve: Serve) -> None:
    vendor = serve(name)
    emulator = vendor.running.sandbox.emulators[name]
    email = next(v for one in emulator.truth().values() for kind, v in one.identifiers if kind == "email")
    vendor.faults.set("stale-identity", 1)
    assert len(looked_up(vendor, email)) == 1
    assert looked_up(vendor, email) == []
    assert not any(("email", email) in one.identifiers for one in emulator.truth().values())


@pytest.mark.parametrize("fault", GATEWAYS)
@pytest.mark.parametrize("name", NAMES)
def test_a_gateway_in_front_finds_nothing(name: str, fault: str, serve: Serve) -> None:
    vendor = serve(name)
    emulator = vendor.running.sandbox.emulators[name]
    before = emulator.truth()
    kind, body = GATEWAYS[fault]
    vendor.faults.set(fault, None)
    for method, path in (("GET", "/contacts"), ("DELETE", f"/contacts/{member(vendor)}"), ("GET", "/nonsense")):
        answer = vendor(method, path, headers={"authorization": "wrong"})
        assert answer.status_code == 404
        assert answer.headers.get("content-type", "").startswith(kind)
        assert answer.text.startswith(body)
        assert len(answer.text) == len(body) or body
        assert "x-ratelimit-limit" not in answer.headers
        assert vendor.exchanges[-1].fault == fault
    assert emulator.truth() == before


def test_a_fault_begins_later(bird: Vendor) -> None:
    bird.faults.set("not-found-everywhere", 2, after=3)
    assert [bird("GET", "/contacts").status_code for _ in range(6)] == [200, 200, 200, 404, 404, 200]


@pytest.mark.parametrize("spec", ["cut@2", "cut=5@2", "cut=100%@2", " cut = 5 @ 2 "])
def test_specs_that_begin_later(spec: str) -> None:
    faults = Faults([spec])
    assert [faults.take("cut") for _ in range(4)] == [False, False, True, True]


@pytest.mark.parametrize("spec", ["cut@", "cut@x", "cut=1@-1"])
def test_specs_with_a_wrong_beginning(spec: str) -> None:
    with pytest.raises(ValueError, match="AFTER"):
        Faults([spec])


def test_every_fault_is_documented_once() -> None:
    names = [line.split("`")[1] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert [name for name in names if name in FAULTS] == list(FAULTS)


def test_paths_of_file_storage_are_not_behind_the_gateway(sendgrid: Vendor) -> None:
    sendgrid.faults.set("not-found-everywhere", None)
    answer = sendgrid.http.get("/files/exports/x/y.csv")
    assert answer.status_code == 404
    assert "NoSuchKey" in answer.text
    assert sendgrid.http.get(f"{PREFIXES['sendgrid']}/contacts").text.startswith("<html>")
