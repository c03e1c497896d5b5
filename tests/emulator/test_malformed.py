"""Requests that no adapter sends: the emulators refuse them as the vendor does, in time, and never crash."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from contacts_core.emulator import Operation
from tests.emulator.conftest import EMULATORS, PREFIXES, Json, Serve, Vendor
from tests.emulator.test_conformance import INCLUDE
from tests.emulator.test_faults import member

NAMES = list(EMULATORS)
pytestmark = pytest.mark.no_cover  # some ten thousand requests, which take three times as long when lines are counted
LONGEST = 5.0  # seconds for any one answer, on a busy machine
DEEP = 100_000
FIRST_GROUP = "101"  # of SendGrid's unsubscribe groups

BODIES: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a number": b"12",
    "a text": b'"x"',
    "an array": b"[{}]",
    "an empty object": b"{}",
    "half an object": b'{"contacts": [',
    "not JSON": b"email=jane%40example.com",
    "deep arrays": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"contacts":' * DEEP + b"1" + b"}" * DEEP,
    "deep below a known key": b'{"attributes":{"a":' + b"[" * 900 + b"]" * 900 + b"}}",
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "latin-1": '{"name": "José"}'.encode("latin-1"),
    "a BOM": b'\xef\xbb\xbf{"name": "x"}',
    "half a surrogate": rb'{"name": "\ud800", "first_name": "\ud800", "displayName": "\ud800"}',
    "NUL": b'{"name": "\x00"}',
    "an escaped NUL": rb'{"name": "\u0000x", "first_name": "\u0000", "displayName": "\u0000"}',
    "NaN": b'{"name": NaN}',
    "a key twice": b'{"name": "x", "name": 1}',
    "gzip": gzip.compress(b'{"name": "x"}'),
    "form data": b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
}
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 1e308, 10**30, -(10**30), "", " ", "x", "\u0000", "%", "*"),
    *(
        "x" * 10_000,
        "9" * 5_000,
        "نص",
        "\u202e",
        "2025-13-45",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
    ),
    *("00/00/0000", "12/31/9999", "inf", "nan", "1e999", [], {}, [[]], [{}], [None], [[["x"]]], {"": {}}, {"id": []}),
    *({"key": [], "value": {}}, ["x"] * 200, [1, "x", None, {}], {"x": {"y": ["z"]}}),
)
QUERIES: tuple[str, ...] = (
    *("limit=0", "limit=-1", "limit=x", "limit=", "limit=101", "limit=%D9%A3", f"limit={'9' * 5000}", "limit=1e3"),
    *("limit=1&limit=x", "offset=-1", f"offset={'9' * 5000}", "offset=99999999999999999999", "offset=%C2%B2"),
    *(
        "page_size=0",
        "page_size=%C2%B2",
        f"page_size={'9' * 5000}",
        "page_token=x",
        "page_token=%ff%fe",
        "page_token=é",
    ),
    *("page_token=bGlzdHMvLTU=", "page_token=bGlzdHMv", "page_token=//////", "page_token=" + "A" * 999),
    *("pageToken=x", "pageToken=%00", "pageToken=-_8=", "pageToken=++++", "pageToken=é", "pageToken=" + "A" * 9000),
    *("reverse=1", "reverse=TRUE", "reverse=", "order_by=", "order_by=:", "order_by=full_name", "order_by=:asc"),
    *("order_by=created_at:asc:desc", "include=", "include=,,,", "include=x", "include=%ff", "include=EMAILS"),
    *("type=x", "field_type=%00", "entity_type=", "ids=", "ids=,,,", "ids=x&ids=y", "ids[]=x", "ids=%00,%ff"),
    *(
        "delete_all_contacts=1",
        "delete_all_contacts=true&ids=x",
        "delete_contacts=yes",
        "contact_ids=",
        "contact_ids=x,x",
    ),
    *(
        "contact_sample=maybe",
        "attribute=",
        "attribute=%00",
        "attribute=__proto__",
        "X-Amz-Signature=é",
        "%",
        "&&&=",
        "=",
    ),
)
ODD_IDS = (
    "x",
    "%00",
    "%ff",
    "..",
    "%2e%2e",
    "%2F",
    "a%2Fb",
    "%25",
    "'",
    "é",
    "%C3%A9",
    "0",
    "null",
    "x" * 5000,
    " ",
    "*",
)
HEADERS: tuple[dict[str, bytes], ...] = (
    {"content-type": b"text/plain"},
    {"content-type": b"application/json; charset=utf-16"},
    {"content-type": b"\xff\xfe"},
    {"content-encoding": b"gzip"},
    {"host": b"\xff\xff"},
    {"host": b"a b/c?d"},
    {"accept": b"application/xml"},
    {"authorization": b"\xff"},
    {"authorization": b"Bearer"},
    {"x-rolodex-api-key": b"\xff\xfe"},
    {"x-odd": b"x" * 8_000},
    {"range": b"bytes=5-1"},
    {"if-match": b"*"},
    {"expect": b"nothing"},
)
METHODS = ("HEAD", "OPTIONS", "TRACE", "PROPFIND", "FOO")
QUERY_LANGUAGE = (
    *(
        "",
        " ",
        "(",
        ")",
        "=",
        "'",
        '"',
        "\\",
        "`",
        "``",
        "email",
        "email =",
        "= 'x'",
        "email = 'x",
        "email LIKE",
        "NOT",
    ),
    *("(" * 5_000 + "email = 'x'" + ")" * 5_000, "NOT " * 5_000 + "email = 'x'", "-" * 5_000 + "1 = 1"),
    *("1" + "+1" * 5_000 + " = 1", "score = " + "9" * 5_000, "score = 1." + "9" * 5_000, "LOWER(" * 5_000 + "email"),
    *(
        " OR ".join(["email = 'x'"] * 1_000),
        " OR ".join(["email = 'x'"] * 5_000),
        "email IN (" + ",".join(["'x'"] * 5_000) + ")",
        "email = " + "'" * 5_001,
    ),
    *("score * score * score * score * score > 9", "score = 1e5", "score = 1..2", "1 / 0 = 1", "score % 0 = 1"),
    *("9" * 300 + " * " + "9" * 300 + " > score * 1.5", "score * 1.5 > " + "9" * 400, "-(email) = 1", "- 'x' = 1"),
    *("NOW() - interval 99999999999 year > created_at", "NOW() - interval 9999 year > created_at", "NOW() = 1"),
    *("NOW() + interval 9000 year > created_at", "created_at + interval 99999 week > NOW()", "interval 1 day = 1"),
    *("created_at > TIMESTAMP '0001-01-01T00:00:00+23:59'", "created_at < TIMESTAMP '9999-12-31T23:59:59-23:59'"),
    *("TIMESTAMP 'x' = created_at", "TIMESTAMP", "INTERVAL", "interval x day = 1", "CONTAINS(list_ids)", "CONTAINS()"),
    *("CONTAINS(email, 'x')", "CONCAT() = 'x'", "LENGTH(NULL) = 1", "LOWER(NULL) = 'x'", "NULL", "NULL = NULL"),
    *(
        "NULL LIKE 'x'",
        "NULL + 1 = 2",
        "score LIKE 'x'",
        "email LIKE NULL",
        "email BETWEEN 1 AND 2",
        "true",
        "true = 1",
    ),
    *("renewal_date > 'x'", "renewal_date > TIMESTAMP '2025-01-01'", "list_ids = 'x'", "unknown = 1", "`unknown` = 1"),
    *(
        "email = 'x'; DROP TABLE contacts",
        "email = 'x' --",
        "email = '\u0000'",
        "emaıl = 'x'",
        "score = ٣",
        "score > true",
    ),
    *("SELECT contact_id FROM contact_data", "email LIKE '%a%a%a%ab'", "email LIKE '" + "%a" * 5_000 + "b'"),
    *(
        "first_name LIKE '" + "%" * 5_001 + "'",
        "segment_ids IS NULL",
        "CONTAINS(segment_ids, NULL)",
        "created_at - 1 = 2",
    ),
)


def call(vendor: Vendor, method: str, path: str, content: bytes = b"", **headers: bytes) -> None:
    """Send one request and hold what came back against the promises."""
    sent = {b"content-type": b"application/json", **{name.encode(): value for name, value in headers.items()}}
    start = time.monotonic()
    answer = vendor.http.request(method, path, content=content, headers=list(sent.items()))
    took = time.monotonic() - start
    shown = f"{method} {path[:200]} {content[:200]!r} {headers}: {answer.status_code} {answer.text[:200]}"
    assert took < LONGEST, f"{took:.1f} s for {shown}"
    assert not vendor.running.sandbox.crashes, f"{vendor.running.sandbox.crashes!r} after {shown}"
    assert answer.status_code < 500, shown


def still_works(vendor: Vendor) -> None:
    """Nothing that was accepted makes later answers, jobs or exports crash."""
    if vendor.name == "sendgrid":
        for file_type in ("csv", "json"):
            vendor.ok("POST", "/contacts/exports", json={"file_type": file_type})
    vendor.clock.advance(300)
    emulator = vendor.running.sandbox.emulators[vendor.name]
    for operation, path in paths(vendor):
        if operation.method == "GET":
            call(vendor, "GET", path)
    if vendor.name == "user-api":
        total = vendor.ok("GET", "/contacts")["pagination"]["total"]
        for offset in range(0, total, 100):
            asked = {"limit": 100, "offset": offset, "include": INCLUDE}
            vendor.ok("GET", "/contacts", params=asked)
    assert emulator.truth()


def paths(vendor: Vendor) -> Iterator[tuple[Operation, str]]:
    """Every operation with a path that leads to something."""
    truth = vendor.running.sandbox.emulators[vendor.name].truth()
    one = truth[member(vendor)]
    email = next(value for kind, value in one.identifiers if kind == "email")
    known = {
        "workspace": PREFIXES["bird"].rpartition("/")[2],
        "contact": one.id,
        "id": one.id,
        "list": one.lists[0],
        "kind": "external_id",
        "key": "emailaddress",
        "value:path": email,
        "email:path": email,
        "file": "0000.csv",
    }
    for operation in vendor.running.sandbox.emulators[vendor.name].operations():
        path = operation.path
        if path.startswith("/v3/asm/groups"):
            path = path.replace("{id}", FIRST_GROUP)
        chosen = {**known, "id": ids_of(vendor, path) or one.lists[0] if "/contacts/{" not in path else one.id}
        for name, value in chosen.items():
            path = path.replace(f"{{{name}}}", value)
        assert "{" not in path
        yield operation, path


def ids_of(vendor: Vendor, path: str) -> str:
    """The id of something of the kind that a path is about; empty where it is a list."""
    if vendor.name == "user-api":
        kind = path.split("/")[3]
        found = vendor.ok("GET", f"/{kind}")["data"]
        return str(found[0]["id"]) if found else ""
    if path.startswith("/v3/marketing/field_definitions"):
        return str(vendor.ok("GET", "/field_definitions")["custom_fields"][0]["id"])
    return ""


GOOD: dict[str, tuple[tuple[str, str, Json], ...]] = {
    "sendgrid": (
        (
            "PUT",
            "/contacts",
            {
                "list_ids": ["LIST"],
                "contacts": [
                    {
                        "email": "jane@example.com",
                        "phone_number_id": "+12025550199",
                        "external_id": "x",
                        "first_name": "Jane",
                        "alternate_emails": ["j@example.com"],
                        "custom_fields": {"e1_N": 1, "e2_T": "pro", "e3_D": "12/31/2025"},
                    }
                ],
            },
        ),
        ("DELETE", "/contacts/CONTACT/identifiers", {"identifier_type": "EMAIL", "identifier_value": "x@example.com"}),
        ("POST", "/contacts/batch", {"ids": ["CONTACT"]}),
        ("POST", "/contacts/search", {"query": "first_name = 'x'"}),
        ("POST", "/contacts/search/emails", {"emails": ["jane@example.com"]}),
        ("POST", "/contacts/search/identifiers/external_id", {"identifiers": ["x"]}),
        (
            "POST",
            "/contacts/exports",
            {"list_ids": ["LIST"], "file_type": "csv", "max_file_size": 5, "notifications": {"email": False}},
        ),
        (
            "PUT",
            "/contacts/imports",
            {"file_type": "csv", "field_mappings": ["_rf2_T", None, "e1_N"], "list_ids": ["LIST"]},
        ),
        ("POST", "/lists", {"name": "Made"}),
        ("PATCH", "/lists/LIST", {"name": "Made"}),
        ("POST", "/field_definitions", {"name": "made", "field_type": "Text"}),
        ("PATCH", "/field_definitions/e1_N", {"name": "made"}),
    ),
    "bird": (
        (
            "POST",
            "/contacts",
            {
                "displayName": "Jane",
                "identifiers": [{"key": "crm", "value": "1", "properties": {"a": 1}}],
                "attributes": {"plan": "pro", "score": 3},
                "listIds": ["LIST"],
                "accountIds": ["LIST"],
            },
        ),
        (
            "PATCH",
            "/contacts/CONTACT",
            {
                "attributes": {"plan": "pro"},
                "addIdentifiers": [{"key": "crm", "value": "2"}],
                "removeIdentifiers": [{"key": "crm", "value": "1"}],
                "addToLists": ["LIST"],
                "removeFromLists": ["LIST"],
                "listIds": ["LIST"],
                "accountIds": ["LIST"],
                "strategy": "first",
            },
        ),
        ("PATCH", "/contacts/identifiers/crm/9", {"attributes": {"plan": "pro"}, "strategy": "first"}),
        ("POST", "/contacts/search", {"identifier": {"key": "crm", "value": "1"}}),
        ("POST", "/contacts/CONTACT/identifiers", {"key": "crm", "value": "3", "properties": {"a": 1}}),
        ("DELETE", "/contacts/CONTACT/identifiers", {"key": "crm", "value": "3"}),
        (
            "POST",
            "/lists",
            {"name": "Made", "description": "x", "consentType": "single", "tags": ["LIST"], "isProof": False},
        ),
        ("PATCH", "/lists/LIST", {"name": "Made", "description": "x", "consentType": None}),
        (
            "POST",
            "/lists/LIST/contacts",
            {"contacts": ["CONTACT"], "identifiers": [{"key": "emailaddress", "value": "x@example.com"}]},
        ),
        ("DELETE", "/lists/LIST/contacts", {"contacts": ["CONTACT"], "identifiers": [{"key": "crm", "value": "1"}]}),
        (
            "POST",
            "/attribute-definitions",
            {
                "key": "colour",
                "displayName": "Colour",
                "cardinality": "one",
                "type": "string",
                "pii": False,
                "readOnly": False,
            },
        ),
    ),
    "user-api": (
        (
            "POST",
            "/contacts",
            {
                "first_name": "Jane",
                "last_name": "Doe",
                "birthday_day": 1,
                "is_starred": True,
                "emails": [{"email_address": "jane@example.com", "is_primary": True}],
                "phone_numbers": [{"phone_number": "2025550199", "country_code": "+1", "is_primary": True}],
                "companies": [{"id": "company_10001", "title": "x", "is_active": True, "start_date": "2025-01-01"}],
                "tags": ["tag_10001"],
                "lists": [{"id": "list_10001"}],
                "notes": ["note_10001"],
                "custom_fields": [
                    {"id": "field_10001", "value": 1},
                    {"id": "field_10003", "value": "2025-01-01"},
                    {"id": "field_10004", "value": "option_1"},
                ],
            },
        ),
        ("PUT", "/contacts/CONTACT", {"emails": ["j@example.com"], "phone_numbers": ["+12025550198"], "title": "x"}),
        ("POST", "/lists", {"name": "Made", "type": "CONTACT", "description": "x", "contacts": ["CONTACT"]}),
        ("PUT", "/lists/list_10001", {"name": "Made", "contacts": [{"id": "CONTACT"}]}),
        ("POST", "/tags", {"name": "made"}),
        ("PUT", "/notes/note_10001", {"body": "x", "contacts": ["CONTACT"]}),
        (
            "POST",
            "/custom-fields",
            {
                "name": "made",
                "field_type": "MULTI_SELECT",
                "entity_type": "CONTACT",
                "multi_select_options": [{"id": "a", "value": "b"}],
            },
        ),
        ("PUT", "/custom-fields/field_10004", {"name": "made", "multi_select_options": [{"id": "a", "value": "b"}]}),
        ("POST", "/companies", {"name": "Made", "website_url": "x", "email": "x@example.com"}),
    ),
}


def spoiled(value: Any) -> Iterator[Any]:
    """A body with one part of it made odd, missing, or there under another key, each in turn."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield {name: other for name, other in value.items() if name != key}
            yield from ({**value, key: changed} for changed in spoiled(item))
        yield from ({**value, key: "x"} for key in ("", "\u0000", "id", "x" * 1_000))
    elif isinstance(value, list):
        yield value * 2
        yield from ([changed, *value[1:]] for changed in spoiled(value[0]))
        for index in range(1, len(value)):
            yield from ([*value[:index], changed, *value[index + 1 :]] for changed in spoiled(value[index]))
    yield from ODD


@pytest.mark.parametrize("name", NAMES)
def test_odd_bodies_at_every_operation(name: str, serve: Serve) -> None:
    vendor = serve(name, checked=False)
    for operation, path in paths(vendor):
        for content in BODIES.values():
            call(vendor, operation.method, path, content)
    still_works(vendor)


@pytest.mark.parametrize("name", NAMES)
def test_bodies_with_one_odd_part(name: str, serve: Serve) -> None:
    vendor = serve(name, checked=False)
    one = vendor.running.sandbox.emulators[name].truth()[member(vendor)]
    for method, path, body in GOOD[name]:
        texts = [json.dumps(changed) for changed in spoiled(body)]
        for text in (json.dumps(body), *texts):
            content = (
                text.replace("CONTACT_", "CONTACT-").replace('"CONTACT"', f'"{one.id}"').replace("LIST", one.lists[0])
            )
            address = PREFIXES[name] + path.replace("CONTACT", one.id).replace("LIST", one.lists[0])
            call(vendor, method, address, content.encode())
    still_works(vendor)


@pytest.mark.parametrize("name", NAMES)
def test_odd_queries_at_every_operation(name: str, serve: Serve) -> None:
    vendor = serve(name, checked=False)
    for operation, path in paths(vendor):
        for query in QUERIES:
            call(vendor, operation.method, f"{path}?{query}", b"{}")
    still_works(vendor)


@pytest.mark.parametrize("name", NAMES)
def test_odd_ids_methods_and_headers(name: str, serve: Serve) -> None:
    vendor = serve(name, checked=False)
    for operation, path in paths(vendor):
        for odd in ODD_IDS:
            parts = operation.path.split("/")
            marked = "/".join(odd if part.startswith("{") and part != "{workspace}" else part for part in parts)
            workspace = PREFIXES["bird"].rpartition("/")[2]
            call(vendor, operation.method, marked.replace("{workspace}", workspace), b"{}")
        for method in METHODS:
            call(vendor, method, path, b"{}")
        for headers in HEADERS:
            call(vendor, operation.method, path, b"{}", **headers)
    still_works(vendor)


def test_odd_searches(sendgrid: Vendor) -> None:
    for text in QUERY_LANGUAGE:
        call(sendgrid, "POST", f"{PREFIXES['sendgrid']}/contacts/search", json.dumps({"query": text}).encode())


def test_a_pattern_with_many_wildcards_is_matched_in_time(sendgrid: Vendor) -> None:
    emulator = sendgrid.running.sandbox.emulators["sendgrid"]
    emulator.mutate(member(sendgrid), first_name="a" * 50_000)
    call(
        sendgrid,
        "POST",
        f"{PREFIXES['sendgrid']}/contacts/search",
        json.dumps({"query": "first_name LIKE '" + "%a" * 100 + "b'"}).encode(),
    )


@pytest.mark.parametrize(
    "content",
    [
        b"\x1f\x8b rubbish",
        gzip.compress(b"email\njane@example.com\n", mtime=0)[:-5],
        b"\xff\xfe\x00",
        b'email\n"jane@example.com',
        b"email\n" + b"x" * 200_000,
        b"email\n\x00\n",
        b"\n\n\n",
        b"",
        "email\njosé@example.com\n".encode("latin-1"),
    ],
)
def test_odd_files(content: bytes, sendgrid: Vendor) -> None:
    answer = sendgrid.ok("PUT", "/contacts/imports", json={"file_type": "csv", "field_mappings": ["_rf2_T"]})
    headers = {item["header"]: item["value"] for item in answer["upload_headers"]}
    assert httpx.put(answer["upload_uri"], content=content, headers=headers, trust_env=False).status_code == 200
    sendgrid.clock.advance(90)
    assert sendgrid.ok("GET", f"/contacts/imports/{answer['job_id']}")["status"] in ("failed", "errored", "completed")


def test_a_crash_is_an_answer_in_the_vendors_shape_and_is_kept(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = serve("bird")
    emulator: Any = vendor.running.sandbox.emulators["bird"]
    monkeypatch.setattr(emulator.store, "find", lambda *_: 1 / 0)
    body = {"identifier": {"key": "emailaddress", "value": "x@example.com"}}
    answer = vendor("POST", "/contacts/search", json=body)
    assert (answer.status_code, answer.json()["code"]) == (500, "InternalError")
    (crash,) = vendor.running.sandbox.crashes
    assert isinstance(crash, ZeroDivisionError)
    emulator.crashes.clear()
