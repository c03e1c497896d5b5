"""The SendGrid emulator, fact by fact."""

from __future__ import annotations

import csv
import gzip
import io
import json

import httpx
import pytest

from contacts_sendgrid.emulator import SendGridEmulator
from tests.emulator.conftest import Json, Serve, Vendor

FLAT = {
    "message": "either 'ids' OR 'delete_all_contacts' should be supplied as query param",
    "parameter": "ids/delete_all_contacts",
}


def upsert(vendor: Vendor, *contacts: Json, lists: list[str] | None = None) -> Json:
    """Upsert, wait until the job is finished, and answer its state."""
    body = {"contacts": list(contacts), **({"list_ids": lists} if lists else {})}
    return finish(vendor, vendor.ok("PUT", "/contacts", json=body)["job_id"])


def finish(vendor: Vendor, job_id: str) -> Json:
    vendor.clock.advance(60)
    state: Json = vendor.ok("GET", f"/contacts/imports/{job_id}")
    return state


def find(vendor: Vendor, email: str) -> Json:
    found = vendor.ok("POST", "/contacts/search/emails", json={"emails": [email]})
    contact: Json = found["result"][email.lower()]["contact"]
    return contact


def search(vendor: Vendor, query: str) -> Json:
    return vendor.ok("POST", "/contacts/search", json={"query": query})


def emails(answer: Json) -> set[str]:
    return {contact["email"] for contact in answer["result"]}


@pytest.mark.parametrize("key", ["", "Bearer wrong", "SG.sandbox", "bearer SG.sandbox"])
def test_other_keys_are_refused(sendgrid: Vendor, key: str) -> None:
    answer = sendgrid("GET", "/contacts/count", headers={"authorization": key})
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["message"] == "authorization grant is invalid, expired, or revoked"


def test_unknown_paths_and_trailing_slashes_are_an_empty_404(sendgrid: Vendor) -> None:
    for path in ("/contacts/", "/nothing"):
        answer = sendgrid("GET", path)
        assert (answer.status_code, answer.content) == (404, b"")
    assert sendgrid("PATCH", "/contacts").status_code == 405


def test_an_upsert_shows_after_thirty_seconds_and_completes_after_sixty(serve: Serve) -> None:
    vendor = serve("sendgrid", contacts=0)
    job = vendor.ok("PUT", "/contacts", json={"contacts": [{"email": "Jane@Example.com"}]})["job_id"]
    path = f"/contacts/imports/{job}"
    assert vendor.ok("GET", path) == {
        "id": job,
        "status": "pending",
        "job_type": "upsert_contacts",
        "results": {},
        "started_at": "2025-11-18T14:50:00Z",
    }
    vendor.clock.advance(29)
    assert vendor.ok("GET", "/contacts/count")["contact_count"] == 0
    vendor.clock.advance(1)
    assert vendor.ok("GET", "/contacts/count")["contact_count"] == 1
    state = vendor.ok("GET", path)
    assert (state["status"], state["results"]) == ("pending", {"requested_count": 1, "created_count": 1})
    vendor.clock.advance(30)
    state = vendor.ok("GET", path)
    assert (state["status"], state["finished_at"]) == ("completed", "2025-11-18T14:51:00Z")


def test_an_upsert_of_a_known_identifier_updates_and_keeps_what_is_omitted(sendgrid: Vendor) -> None:
    upsert(sendgrid, {"email": "a@example.com", "external_id": "x1", "first_name": "A", "city": "Zürich"})
    before = find(sendgrid, "a@example.com")
    state = upsert(sendgrid, {"external_id": "x1", "first_name": "B", "id": "ignored", "listIds": ["x"]})
    after = find(sendgrid, "A@EXAMPLE.com")
    assert state["results"] == {"requested_count": 1, "updated_count": 1}
    assert (after["id"], after["first_name"], after["city"]) == (before["id"], "B", "Zürich")


def test_identifiers_of_two_contacts_are_an_error_of_that_item(sendgrid: Vendor) -> None:
    upsert(sendgrid, {"email": "a@example.com"}, {"external_id": "x1"})
    state = upsert(sendgrid, {"email": "a@example.com", "external_id": "x1"}, {"email": "b@example.com"})
    assert state["status"] == "errored"
    assert state["results"]["errored_count"] == 1


def test_unset_text_is_empty_and_unset_identifiers_are_absent(sendgrid: Vendor) -> None:
    upsert(sendgrid, {"email": "a@example.com"})
    contact = find(sendgrid, "a@example.com")
    assert contact["first_name"] == contact["phone_number"] == ""
    assert not {"phone_number_id", "external_id", "anonymous_id"} & contact.keys()
    assert (contact["alternate_emails"], contact["segment_ids"], contact["custom_fields"]) == ([], [], {})


def test_the_three_forms_of_time(sendgrid: Vendor) -> None:
    upsert(sendgrid, {"email": "a@example.com", "last_name": "Only"})
    (fast,) = search(sendgrid, "email = 'a@example.com'")["result"]
    (slow,) = search(sendgrid, "last_name = 'Only'")["result"]
    sampled = {item["email"]: item for item in sendgrid.ok("GET", "/contacts")["result"]}["a@example.com"]
    assert fast["updated_at"] == "2025-11-18T14:50:30Z"
    assert slow["updated_at"] == "2025-11-18 14:50:30 +0000 UTC"
    assert sampled["updated_at"] == "2025-11-18T14:50:30.000000001Z"
    assert (slow["alternate_emails"], slow["segment_ids"], slow["custom_fields"]) == (None, None, None)
    assert "segment_ids" not in sampled


def test_a_custom_field_cannot_be_null(sendgrid: Vendor) -> None:
    item = {"email": "a@example.com", "custom_fields": {"e1_N": None}}
    answer = sendgrid("PUT", "/contacts", json={"contacts": [item]})
    assert answer.json()["errors"][0]["message"] == 'custom field "e1_N" cannot be null'


def test_custom_fields_go_out_by_id_and_come_back_by_name(sendgrid: Vendor) -> None:
    ids = {item["name"]: item["id"] for item in sendgrid.ok("GET", "/field_definitions")["custom_fields"]}
    custom = {ids["score"]: 7, ids["plan"]: "pro", ids["renewal_date"]: "12/31/2025"}
    upsert(sendgrid, {"email": "a@example.com", "custom_fields": custom})
    stored = find(sendgrid, "a@example.com")["custom_fields"]
    assert stored == {"score": 7, "plan": "pro", "renewal_date": "2025-12-31T00:00:00Z"}
    by_name = sendgrid(
        "PUT", "/contacts", json={"contacts": [{"email": "a@example.com", "custom_fields": {"plan": "x"}}]}
    )
    assert by_name.status_code == 400
    assert by_name.json()["errors"][0]["field"] == "contacts[0].custom_fields"


def test_a_new_field_is_usable_after_five_seconds(sendgrid: Vendor) -> None:
    field = sendgrid.ok("POST", "/field_definitions", json={"name": "shoe", "field_type": "Number"})["id"]
    body = {"contacts": [{"email": "a@example.com", "custom_fields": {field: 44}}]}
    assert sendgrid("PUT", "/contacts", json=body).status_code == 400
    sendgrid.clock.advance(5)
    assert sendgrid("PUT", "/contacts", json=body).status_code == 202
    for name in ("SHOE", "email", "2nd", ""):
        taken = sendgrid("POST", "/field_definitions", json={"name": name, "field_type": "Text"})
        assert taken.status_code == 400
    assert sendgrid("DELETE", "/field_definitions/unknown").status_code == 404


def test_reserved_fields_are_twenty_nine(sendgrid: Vendor) -> None:
    reserved = {item["id"]: item["name"] for item in sendgrid.ok("GET", "/field_definitions")["reserved_fields"]}
    assert len(reserved) == 29
    assert (reserved["_rf2_T"], reserved["_rf23_T"], reserved["_rf24_T"]) == ("email", "contact_id", "phone_number_id")


def test_one_bad_email_refuses_the_whole_batch(sendgrid: Vendor) -> None:
    body = {"contacts": [{"email": "good@example.com"}, {"email": "bad@"}, {"email": "worse"}]}
    answer = sendgrid("PUT", "/contacts", json=body)
    assert answer.status_code == 400
    messages = [error["message"] for error in answer.json()["errors"]]
    assert messages == ["email 'bad@' is not valid", "email 'worse' is not valid"]


@pytest.mark.parametrize(
    "contact",
    [
        {},
        "text",
        {"first_name": "no identifier"},
        {"email": "a@example.com", "first_name": "x" * 51},
        {"email": "a@example.com", "alternate_emails": [f"a{n}@example.com" for n in range(6)]},
        {"email": "a@example.com", "custom_fields": {"e1_N": True}},
        {"email": "a@example.com", "custom_fields": {"e1_N": None}},
        {"email": "a@example.com", "custom_fields": {"e1_N": "many"}},
        {"email": "a@example.com", "custom_fields": {"e2_T": "x" * 1001}},
        {"email": "a@example.com", "custom_fields": {"e9_T": "x"}},
        {"email": "a@example.com", "custom_fields": []},
    ],
)
def test_bad_contacts_are_refused(sendgrid: Vendor, contact: object) -> None:
    assert sendgrid("PUT", "/contacts", json={"contacts": [contact]}).status_code == 400


def test_limits_of_an_upsert(sendgrid: Vendor) -> None:
    assert sendgrid("PUT", "/contacts", json={"contacts": []}).status_code == 400
    many = [{"email": f"a{n}@example.com"} for n in range(30_001)]
    assert sendgrid("PUT", "/contacts", json={"contacts": many}).status_code == 400
    large = sendgrid("PUT", "/contacts", content=b'{"contacts": ["' + b"x" * 6_000_000 + b'"]}')
    assert large.status_code == 413
    assert large.headers["content-type"].startswith("text/html")
    unknown = sendgrid("PUT", "/contacts", json={"contacts": many[:1], "list_ids": ["nope"]})
    assert unknown.json() == {"errors": [{"field": "list_ids", "message": "invalid list id 'nope'"}]}


def test_deletion_takes_one_comma_list_and_trims_it(sendgrid: Vendor) -> None:
    ids = [contact["id"] for contact in sendgrid.ok("GET", "/contacts")["result"][:3]]
    job = sendgrid.ok("DELETE", "/contacts", params={"ids": ", ".join([*ids, ids[0], "unknown"])})["job_id"]
    assert sendgrid("GET", f"/contacts/{ids[0]}").status_code == 200
    assert finish(sendgrid, job)["results"] == {"requested_count": 4, "deleted_count": 3}
    gone = sendgrid("GET", f"/contacts/{ids[0]}")
    assert (gone.status_code, gone.content) == (404, b"")
    counts = sendgrid.ok("GET", "/contacts/count")
    assert (counts["contact_count"], counts["billable_count"]) == (57, 60)


@pytest.mark.parametrize("query", ["", "ids=", "ids[]=a", "delete_all_contacts=yes", "ids=a&delete_all_contacts=true"])
def test_a_deletion_that_names_nothing_is_refused_in_the_flat_shape(sendgrid: Vendor, query: str) -> None:
    answer = sendgrid("DELETE", f"/contacts?{query}")
    assert (answer.status_code, answer.json()) == (400, FLAT)
    assert int(answer.headers["content-length"]) == 123


def test_delete_all(sendgrid: Vendor) -> None:
    job = sendgrid.ok("DELETE", "/contacts", params={"delete_all_contacts": "true"})["job_id"]
    assert finish(sendgrid, job)["results"] == {"requested_count": 60, "deleted_count": 60}
    assert sendgrid.ok("GET", "/contacts")["contact_count"] == 0


def test_long_request_lines_are_refused(sendgrid: Vendor) -> None:
    answer = sendgrid("DELETE", "/contacts", params={"ids": ",".join(["x" * 36] * 250)})
    assert answer.status_code == 414


def test_identifiers_are_removed_by_job_and_the_last_one_stays(sendgrid: Vendor) -> None:
    upsert(sendgrid, {"email": "a@example.com", "phone_number_id": "+12025550199"})
    contact_id = find(sendgrid, "a@example.com")["id"]
    path = f"/contacts/{contact_id}/identifiers"
    # As in the documentation's own example: without the plus.
    phone = {"identifier_type": "PHONENUMBERID", "identifier_value": "12025550199"}
    assert finish(sendgrid, sendgrid.ok("DELETE", path, json=phone)["job_id"])["status"] == "completed"
    assert "phone_number_id" not in find(sendgrid, "a@example.com")
    last = {"identifier_type": "EMAIL", "identifier_value": "A@example.com"}
    state = finish(sendgrid, sendgrid.ok("DELETE", path, json=last)["job_id"])
    assert state["status"] == "failed"
    assert state["results"]["errored_count"] == 1
    report = httpx.get(state["results"]["errors_url"], trust_env=False)
    assert "at least one identifier" in report.text
    assert find(sendgrid, "a@example.com")["id"] == contact_id


def test_bad_identifier_removals(sendgrid: Vendor) -> None:
    contact_id = sendgrid.ok("GET", "/contacts")["result"][0]["id"]
    path = f"/contacts/{contact_id}/identifiers"
    assert sendgrid("DELETE", path, json={"identifier_type": "email", "identifier_value": "x"}).status_code == 400
    assert sendgrid("DELETE", path, json={"identifier_type": "EMAIL"}).status_code == 400
    assert sendgrid("DELETE", path).status_code == 400
    body = {"identifier_type": "EMAIL", "identifier_value": "other@example.com"}
    assert sendgrid("DELETE", "/contacts/unknown/identifiers", json=body).status_code == 404
    assert finish(sendgrid, sendgrid.ok("DELETE", path, json=body)["job_id"])["status"] == "failed"


def test_search_shows_fifty_and_counts_all(sendgrid: Vendor) -> None:
    answer = search(sendgrid, "email LIKE '%@example.%'")
    assert (len(answer["result"]), answer["contact_count"]) == (50, 60)
    assert len(sendgrid.ok("GET", "/contacts", params={"page_size": 3})["result"]) == 50
    none = search(sendgrid, "last_name = 'Nobody'")
    assert (none["result"], none["contact_count"]) == ([], 0)
    assert sendgrid("POST", "/contacts/search", json={"query": "x", "page_size": 3}).status_code == 400


def test_search_by_email_is_case_sensitive(sendgrid: Vendor) -> None:
    upsert(sendgrid, {"email": "Mixed@example.com"})
    assert emails(search(sendgrid, "email = 'mixed@example.com'")) == {"mixed@example.com"}
    assert emails(search(sendgrid, "email = 'Mixed@example.com'")) == set()


def test_look_up_by_email(sendgrid: Vendor) -> None:
    upsert(sendgrid, {"email": "a@example.com", "alternate_emails": ["Other@Example.com"]})
    asked = {"emails": ["OTHER@example.com", "none@example.com"]}
    result = sendgrid.ok("POST", "/contacts/search/emails", json=asked)["result"]
    assert result["other@example.com"]["contact"]["email"] == "a@example.com"
    assert result["none@example.com"] == {"error": "contact not found"}
    none = sendgrid("POST", "/contacts/search/emails", json={"emails": ["none@example.com"]})
    assert none.status_code == 404
    malformed = sendgrid("POST", "/contacts/search/emails", json={"emails": ["a@example.com", "bad"]})
    assert malformed.status_code == 400
    for wrong in ([], "a@example.com", ["a@example.com"] * 101, [1]):
        assert sendgrid("POST", "/contacts/search/emails", json={"emails": wrong}).status_code == 400


def test_look_up_by_identifier(sendgrid: Vendor) -> None:
    upsert(sendgrid, {"email": "a@example.com", "anonymous_id": "anon 1"})
    path = "/contacts/search/identifiers"
    result = sendgrid.ok("POST", f"{path}/anonymous_id", json={"identifiers": ["anon 1", "x"]})["result"]
    assert result["anon 1"]["contact"]["email"] == "a@example.com"
    assert result["x"] == {"error": "contact not found"}
    by_email = sendgrid.ok("POST", f"{path}/email", json={"identifiers": ["A@Example.com"]})["result"]
    assert list(by_email) == ["a@example.com"]
    missing = sendgrid("POST", f"{path}/external_id", json={"identifiers": ["x"]})
    assert (missing.status_code, "errors" in missing.json()) == (404, False)
    assert sendgrid("POST", f"{path}/external_id", json={"identifiers": []}).status_code == 400


def test_batch_holds_at_most_a_hundred_ids(sendgrid: Vendor) -> None:
    contact_id = sendgrid.ok("GET", "/contacts")["result"][0]["id"]
    found = sendgrid.ok("POST", "/contacts/batch", json={"ids": [contact_id, "unknown"]})["result"]
    assert [contact["id"] for contact in found] == [contact_id]
    assert sendgrid("POST", "/contacts/batch", json={"ids": ["x"] * 101}).status_code == 400


def test_lists_are_paged_by_token(sendgrid: Vendor) -> None:
    first = sendgrid.ok("GET", "/lists", params={"page_size": 2})
    assert [item["name"] for item in first["result"]] == ["Newsletter", "Customers"]
    last = sendgrid.http.get(first["_metadata"]["next"]).json()
    assert [item["name"] for item in last["result"]] == ["Press"]
    assert "next" not in last["_metadata"]
    for wrong in ({"page_size": 0}, {"page_size": 1001}, {"page_token": "!"}, {"page_token": "bm9wZQ=="}):
        assert sendgrid("GET", "/lists", params=wrong).status_code == 400


def test_lists_live_and_die(sendgrid: Vendor) -> None:
    made = sendgrid.ok("POST", "/lists", json={"name": "n" * 100})
    assert sendgrid("POST", "/lists", json={"name": "n" * 101}).status_code == 400
    assert sendgrid("POST", "/lists", json={"name": ""}).status_code == 400
    upsert(sendgrid, {"email": "a@example.com"}, {"email": "b@example.com"}, lists=[made["id"]])
    assert sendgrid.ok("GET", f"/lists/{made['id']}/contacts/count")["contact_count"] == 2
    sample = sendgrid.ok("GET", f"/lists/{made['id']}", params={"contact_sample": "true"})["contact_sample"]
    assert [contact["email"] for contact in sample] == ["a@example.com", "b@example.com"]
    upsert(sendgrid, {"email": "a@example.com", "first_name": "A"})  # adds to lists, never removes
    assert find(sendgrid, "a@example.com")["list_ids"] == [made["id"]]
    assert sendgrid("DELETE", f"/lists/{made['id']}").status_code == 204
    assert find(sendgrid, "a@example.com")["list_ids"] == []
    missing = sendgrid("GET", f"/lists/{made['id']}")
    assert (missing.status_code, isinstance(missing.json(), list)) == (404, True)


def test_a_list_can_be_deleted_with_its_contacts(sendgrid: Vendor) -> None:
    made = sendgrid.ok("POST", "/lists", json={"name": "doomed"})
    upsert(sendgrid, {"email": "a@example.com"}, lists=[made["id"]])
    answer = sendgrid("DELETE", f"/lists/{made['id']}", params={"delete_contacts": "true"})
    assert answer.status_code == 200
    finish(sendgrid, answer.json()["job_id"])
    assert sendgrid("POST", "/contacts/search/emails", json={"emails": ["a@example.com"]}).status_code == 404


def test_removal_from_a_list(sendgrid: Vendor) -> None:
    listed = sendgrid.ok("GET", "/lists")["result"][0]
    path = f"/lists/{listed['id']}"
    sample = sendgrid.ok("GET", path, params={"contact_sample": "true"})["contact_sample"]
    ids = [contact["id"] for contact in sample[:2]]
    in_body = sendgrid("DELETE", f"{path}/contacts", json={"contact_ids": ids})
    assert (in_body.status_code, "errors" in in_body.json()) == (400, False)
    assert sendgrid("DELETE", f"{path}/contacts", params={"contact_ids": f"{ids[0]},unknown"}).status_code == 404
    finish(sendgrid, sendgrid.ok("DELETE", f"{path}/contacts", params={"contact_ids": ",".join(ids)})["job_id"])
    assert sendgrid.ok("GET", path)["contact_count"] == listed["contact_count"] - 2
    assert sendgrid("GET", f"/contacts/{ids[0]}").status_code == 200


def export(vendor: Vendor, **body: object) -> Json:
    export_id = vendor.ok("POST", "/contacts/exports", json=body)["id"]
    vendor.clock.advance(5)
    return vendor.ok("GET", f"/contacts/exports/{export_id}")


def download(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers=headers, trust_env=False)


def test_an_export_is_ready_after_a_few_seconds(sendgrid: Vendor) -> None:
    export_id = sendgrid("POST", "/contacts/exports").json()["id"]
    pending = sendgrid.ok("GET", f"/contacts/exports/{export_id}")
    assert (pending["status"], "urls" in pending, "completed_at" in pending) == ("pending", False, False)
    assert pending["expires_at"] == "2025-11-21T14:50:00Z"
    sendgrid.clock.advance(5)
    ready = sendgrid.ok("GET", f"/contacts/exports/{export_id}")
    assert (ready["status"], ready["contact_count"], len(ready["urls"])) == ("ready", 60, 1)
    (listed,) = sendgrid.ok("GET", "/contacts/exports")["result"]
    assert (listed["export_type"], listed["urls"]) == ("contacts_export", ready["urls"])
    assert sendgrid("GET", "/contacts/exports/unknown").status_code == 404


def test_export_files_are_gzipped_csv_behind_links_that_refuse_keys(sendgrid: Vendor) -> None:
    (url,) = export(sendgrid)["urls"]
    assert url.partition("?")[0].endswith(".csv.gzip")
    content = download(url).content
    assert content[:2] == b"\x1f\x8b"
    text = gzip.decompress(content).decode()
    assert text.startswith('"EMAIL","FIRST_NAME","LAST_NAME",')
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 60
    assert {"SCORE", "PLAN", "RENEWAL_DATE", "PHONE_NUMBER_ID", "CONTACT_ID"} <= rows[0].keys()
    assert download(url, authorization="Bearer SG.sandbox").status_code == 403
    assert download(url.partition("?")[0]).status_code == 403
    assert download(url.replace("0000.csv", "0009.csv")).status_code == 404
    sendgrid.clock.advance(72 * 3600)
    assert download(url).status_code == 403


def test_a_json_export_is_json_lines(sendgrid: Vendor) -> None:
    press = sendgrid.ok("GET", "/lists")["result"][2]
    ready = export(sendgrid, file_type="json", list_ids=[press["id"]])
    assert ready["contact_count"] == press["contact_count"]
    lines = gzip.decompress(download(ready["urls"][0]).content).decode().splitlines()
    contacts = [json.loads(line) for line in lines]
    assert len(contacts) == press["contact_count"]
    assert all("contact_id" in contact and "id" not in contact for contact in contacts)
    assert all(value != "" for contact in contacts for value in contact.values())


def test_exports_in_parts_plain_and_by_content_encoding(sendgrid: Vendor) -> None:
    emulator = sendgrid.running.sandbox.emulators["sendgrid"]
    assert isinstance(emulator, SendGridEmulator)
    jobs = emulator.jobs
    jobs.packing, jobs.part_bytes = "plain", 4000
    urls = export(sendgrid)["urls"]
    assert len(urls) > 1
    parts = [download(url).text for url in urls]
    assert all(part.startswith('"EMAIL"') for part in parts)
    assert sum(len(list(csv.DictReader(io.StringIO(part)))) for part in parts) == 60
    jobs.packing, jobs.part_bytes = "content-encoding", None
    answer = download(export(sendgrid)["urls"][0])
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.text.startswith('"EMAIL"')


def test_an_export_of_nothing_is_an_empty_file(serve: Serve) -> None:
    ready = export(serve("sendgrid", contacts=0))
    assert ready["contact_count"] == 0
    assert download(ready["urls"][0]).content == b""


def test_bad_exports(sendgrid: Vendor) -> None:
    for body in ({"file_type": "xml"}, {"list_ids": ["nope"]}, {"max_file_size": 0}, {"list_ids": "x"}):
        assert sendgrid("POST", "/contacts/exports", json=body).status_code == 400


@pytest.mark.parametrize("packed", [False, True])
def test_an_import_takes_a_file_and_reports_bad_rows(sendgrid: Vendor, packed: bool) -> None:
    plan = sendgrid.ok("GET", "/field_definitions")["custom_fields"][1]["id"]
    lists = [sendgrid.ok("POST", "/lists", json={"name": "imported"})["id"]]
    mappings = ["_rf2_T", "_rf0_T", None, plan, "_rf3_T"]
    body = {"file_type": "csv", "field_mappings": mappings, "list_ids": lists}
    job = sendgrid.ok("PUT", "/contacts/imports", json=body)
    text = 'email,name,skip,plan,alt\nIN1@example.com,"O\'Brien, ""Bob""",x,pro,"in9@example.com"\nbad,B,,,\n,C,,,\n'
    content = gzip.compress(text.encode()) if packed else text.encode()
    headers = {item["header"]: item["value"] for item in job["upload_headers"]}
    assert sendgrid.ok("GET", f"/contacts/imports/{job['job_id']}")["status"] == "pending"
    with_key = {**headers, "authorization": "Bearer SG.sandbox"}
    assert httpx.put(job["upload_uri"], content=content, headers=with_key, trust_env=False).status_code == 403
    assert httpx.put(job["upload_uri"], content=content, trust_env=False).status_code == 403
    assert httpx.put(job["upload_uri"], content=content, headers=headers, trust_env=False).status_code == 200
    state = finish(sendgrid, job["job_id"])
    assert state["status"] == "errored"
    assert state["results"].items() >= {"requested_count": 3, "created_count": 1, "errored_count": 2}.items()
    contact = find(sendgrid, "in9@example.com")
    assert (contact["email"], contact["first_name"]) == ("in1@example.com", 'O\'Brien, "Bob"')
    assert (contact["custom_fields"], contact["list_ids"]) == ({"plan": "pro"}, lists)
    report = download(state["results"]["errors_url"])
    assert "email 'bad' is not valid" in report.text


def test_bad_imports(sendgrid: Vendor) -> None:
    good = {"file_type": "csv", "field_mappings": ["_rf2_T"]}
    for change, status in (
        ({"file_type": "json"}, 400),
        ({"field_mappings": []}, 400),
        ({"field_mappings": ["_rf0_T"]}, 400),
        ({"field_mappings": ["_rf2_T", "e99_T"]}, 400),
        ({"list_ids": ["nope"]}, 404),
    ):
        assert sendgrid("PUT", "/contacts/imports", json={**good, **change}).status_code == status
    assert sendgrid("GET", "/contacts/imports/unknown").status_code == 404


def test_rate_headers_count_down_to_the_full_minute(sendgrid: Vendor) -> None:
    sendgrid.clock.advance(13)
    first = sendgrid("GET", "/contacts/count").headers
    second = sendgrid("GET", "/contacts/count").headers
    assert (first["x-ratelimit-limit"], first["x-ratelimit-reset"]) == ("600", "47")
    assert int(second["x-ratelimit-remaining"]) == int(first["x-ratelimit-remaining"]) - 1
    searched = sendgrid("POST", "/contacts/search", json={"query": "email = 'x'"}).headers
    assert searched["x-ratelimit-limit"] == "200"


def test_rates_are_enforced_if_asked(serve: Serve) -> None:
    vendor = serve("sendgrid", enforce_rates=True)
    statuses = [vendor("POST", "/contacts/search", json={"query": "email = 'x'"}).status_code for _ in range(201)]
    assert statuses == [200] * 200 + [429]
    assert vendor("GET", "/contacts/count").status_code == 200
    vendor.clock.advance(60)
    assert vendor("POST", "/contacts/search", json={"query": "email = 'x'"}).status_code == 200


def test_a_job_that_fails_and_one_that_never_ends(sendgrid: Vendor) -> None:
    sendgrid.faults.set("job-fails", 1)
    state = upsert(sendgrid, {"email": "a@example.com"})
    assert (state["status"], state["results"]["errored_count"]) == ("failed", 1)
    sendgrid.faults.set("job-never-ends", 2)
    state = upsert(sendgrid, {"email": "a@example.com"})
    sendgrid.clock.advance(1e6)
    assert sendgrid.ok("GET", f"/contacts/imports/{state['id']}")["status"] == "pending"
    assert export(sendgrid)["status"] == "pending"
    sendgrid.faults.set("job-fails", 1)
    failed = export(sendgrid)
    assert (failed["status"], failed["message"]) == ("failure", "export failed")
    sendgrid.faults.set("empty-export", 1)
    empty = export(sendgrid)
    assert (empty["status"], empty["urls"], empty["contact_count"]) == ("ready", [], 60)


def test_an_ignored_list_removal(sendgrid: Vendor) -> None:
    path = f"/lists/{sendgrid.ok('GET', '/lists')['result'][0]['id']}"
    before = sendgrid.ok("GET", path, params={"contact_sample": "true"})
    sendgrid.faults.set("list-removal-ignored", 1)
    params = {"contact_ids": before["contact_sample"][0]["id"]}
    job = sendgrid.ok("DELETE", f"{path}/contacts", params=params)["job_id"]
    assert finish(sendgrid, job)["status"] == "completed"
    assert sendgrid.ok("GET", path)["contact_count"] == before["contact_count"]


def test_stale_reads_after_a_deletion(sendgrid: Vendor) -> None:
    contact_id = sendgrid.ok("GET", "/contacts")["result"][0]["id"]
    sendgrid.faults.set("stale-reads", 1)
    state = finish(sendgrid, sendgrid.ok("DELETE", "/contacts", params={"ids": contact_id})["job_id"])
    assert (state["status"], state["results"]["deleted_count"]) == ("completed", 1)
    assert sendgrid("GET", f"/contacts/{contact_id}").status_code == 200
    sendgrid.clock.advance(20)
    assert sendgrid("GET", f"/contacts/{contact_id}").status_code == 404


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("CONTAINS(email_domains, 'alt.example.com')", True),
        ("CONTAINS(alternate_emails, 'b@alt.example.com')", True),
        ("CONTAINS(segment_ids, 'x')", False),
        ("contact_id = '{id}'", True),
        ("created_at <= NOW() AND updated_at >= TIMESTAMP '2025-11-18T14:50:30Z'", True),
        ("score > 4 AND renewal_date < TIMESTAMP '2026-01-01T00:00:00Z'", True),
        ("external_id = 'x-1' AND plan IS NULL", True),
        ("last_name = 'O\\'Brien' AND first_name IS NULL", True),
    ],
)
def test_searchable_fields(serve: Serve, query: str, matches: bool) -> None:
    vendor = serve("sendgrid", contacts=0)
    ids = {item["name"]: item["id"] for item in vendor.ok("GET", "/field_definitions")["custom_fields"]}
    contact = {
        "email": "a@example.com",
        "alternate_emails": ["b@alt.example.com"],
        "external_id": "x-1",
        "last_name": "O'Brien",
        "custom_fields": {ids["score"]: 5, ids["renewal_date"]: "2025-12-31"},
    }
    upsert(vendor, contact)
    asked = query.replace("{id}", find(vendor, "a@example.com")["id"])
    assert emails(search(vendor, asked)) == ({"a@example.com"} if matches else set())


@pytest.mark.parametrize("query", ["email = 'O'Brien@example.com'", "nonsense = 'x'", "", None])
def test_invalid_queries_are_refused(sendgrid: Vendor, query: str | None) -> None:
    answer = sendgrid("POST", "/contacts/search", json={"query": query})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "query"
    unknown = sendgrid("POST", "/contacts/search/identifiers/twitter", json={"identifiers": ["x"]})
    assert unknown.status_code == 400
