"""Requests of every kind: bodies, headers, absolute addresses, and answers with their status and headers."""

from __future__ import annotations

import logging
from typing import Any
from xml.etree import ElementTree as ET

import attrs
import pytest
from attrs import frozen

from contacts_core import Contacts, errors
from contacts_core.provider import (
    Flow,
    Payload,
    Provider,
    RateLimit,
    Request,
    Response,
    base_url_setting,
    delete,
    get,
    patch,
    path,
    post,
    put,
    request,
    secret,
)
from contacts_core.provider.payloads import payload_converter
from tests.core.transport_harness import WAYS, Rig, upload

NOTHING = type(None)
FORM = "application/x-www-form-urlencoded"
MERGE = "application/merge-patch+json"


@frozen
class Tree:
    """A payload that is not JSON."""

    root: str


CONVERTER = payload_converter()
CONVERTER.register_structure_hook(Tree, lambda raw, _: Tree(ET.fromstring(raw).tag))  # noqa: S314 - of this test


@frozen(kw_only=True)
class Acme(Provider):
    name = "acme"
    converter = CONVERTER
    api_key: str = secret()
    base_url: str = base_url_setting("https://api.acme.example/base")

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}

    def trusts_host(self, host: str) -> bool:
        return host.endswith(".acme.example")


ACME = Acme(api_key="key-of-acme")


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}-{way[1].__name__}")
def rig(request: pytest.FixtureRequest) -> Rig:
    return Rig(*request.param)


def ask(asked: Request[Any]) -> Flow[Any]:
    return (yield from asked)


def whole(asked: Request[Any]) -> Flow[Response[Any]]:
    return (yield from asked.response())


def sent(rig: Rig, asked: Request[Any], provider: Provider = ACME) -> Any:
    """The HTTP request that the vendor gets."""
    seen: list[Any] = []

    def vendor(got: Any) -> Any:
        seen.append(got)
        return rig.answer(200, json=1)

    rig.run(provider, ask(asked), vendor)
    return seen[0]


@pytest.mark.parametrize("method", ["PROPFIND", "REPORT", "MKCOL", "GET", "QUERY"])
def test_any_method_is_sent_as_it_is(rig: Rig, method: str) -> None:
    assert sent(rig, request(method, "/x", object)).method == method


@pytest.mark.parametrize("method", ["", "GE T", "GET /y HTTP/1.1\r\nA: 1\r\n\r\n", "GÉT", "GET\n"])
def test_a_method_that_cannot_be_sent_is_refused(rig: Rig, method: str) -> None:
    with pytest.raises(errors.InvalidInput, match="cannot be sent"):
        sent(rig, request(method, "/x", object))


@pytest.mark.parametrize("path", ["/contacts/a#b", "/contacts/a?b=1#c", "#"])
def test_no_part_of_a_path_is_left_out(rig: Rig, path: str) -> None:
    with pytest.raises(errors.ContactsError) as caught:
        sent(rig, delete(path, object))
    assert isinstance(caught.value, (errors.InvalidInput, errors.UnexpectedPayload))


def test_the_fragment_of_an_address_that_an_answer_names_is_not_sent(rig: Rig) -> None:
    asked = get("https://api.acme.example/base/x?cursor=1#top", object, {"size": "5"})
    assert dict(sent(rig, asked).url.params) == {"cursor": "1", "size": "5"}


@pytest.mark.parametrize("params", [None, {}])
def test_without_parameters_those_of_an_address_stay(rig: Rig, params: dict[str, str] | None) -> None:
    for address in ("/x?cursor=1", "https://api.acme.example/base/x?cursor=1"):
        assert dict(sent(rig, get(address, object, params)).url.params) == {"cursor": "1"}


def test_a_parameter_may_have_several_values(rig: Rig) -> None:
    asked = get("/x", object, {"tag": ["a b", "ü"], "page": "2"})
    assert sent(rig, asked).url.query == b"tag=a+b&tag=%C3%BC&page=2" or b"tag=a%20b" in sent(rig, asked).url.query


def test_parameters_are_added_to_those_of_an_address(rig: Rig) -> None:
    asked = get("https://api.acme.example/base/x?cursor=c%2F1", object, {"size": "5"})
    assert dict(sent(rig, asked).url.params) == {"cursor": "c/1", "size": "5"}


@pytest.mark.parametrize(
    ("options", "body", "kind"),
    [
        ({"json": {"a": 1}}, b'{"a":1}', "application/json"),
        ({"form": {"grant": "x y", "scope": ["a", "b"]}}, b"grant=x+y&scope=a&scope=b", FORM),
        ({"content": "<a>ü</a>"}, "<a>ü</a>".encode(), None),
        ({"content": b"\xff", "headers": {"Content-Type": "image/png"}}, b"\xff", "image/png"),
        ({"json": {}, "headers": {"content-type": MERGE}}, b"{}", MERGE),
        ({}, b"", None),
    ],
)  # fmt: skip
def test_a_body_is_json_or_a_form_or_as_it_is(rig: Rig, options: dict[str, Any], body: bytes, kind: str | None) -> None:
    got = sent(rig, request("POST", "/x", object, **options))
    assert (got.content, got.headers.get_list("content-type")) == (body, [kind] if kind else [])


@pytest.mark.parametrize("options", [{"json": 1, "form": {}}, {"form": {}, "content": b""}, {"json": 1, "content": ""}])
def test_there_is_one_body_at_most(rig: Rig, options: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidInput, match="cannot be sent"):
        sent(rig, request("POST", "/x", object, **options))


def test_own_headers_are_sent_besides_the_standard_ones(rig: Rig) -> None:
    got = sent(rig, put("/x", object, {}, headers={"If-Match": '"1"', "accept": "application/vnd.acme+json"}))
    assert got.headers["if-match"] == '"1"'
    assert got.headers.get_list("accept") == ["application/vnd.acme+json"]
    assert got.headers["authorization"] == "Bearer key-of-acme"
    for build in (get, delete):
        assert sent(rig, build("/x", object, headers={"Depth": "1"})).headers["depth"] == "1"
    for write in (post, patch):
        assert sent(rig, write("/x", object, {}, headers={"Depth": "1"})).headers["depth"] == "1"


@pytest.mark.parametrize(
    "headers",
    [{"A": "1\r\nB: 2"}, {"A b": "1"}, {"A": "ü"}, {"Content-Length": "5"}, {"Host": "x"}, {"A": "1 "}, {"A": " 1"}],
)
def test_a_header_that_cannot_be_sent_is_refused(rig: Rig, headers: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidInput, match="cannot be sent"):
        sent(rig, get("/x", object, headers=headers))


def test_what_may_be_sent_twice_is_known_by_its_method() -> None:
    expected = {
        "GET": True,
        "PROPFIND": True,
        "REPORT": True,
        "PUT": True,
        "DELETE": True,
        "POST": False,
        "PATCH": False,
    }
    assert {method: request(method, "/x", object).idempotent for method in expected} == expected
    assert request("POST", "/x", object, idempotent=True).idempotent


# -- answers


def test_a_response_has_body_status_and_headers(rig: Rig) -> None:
    def vendor(_: Any) -> Any:
        return rig.answer(202, json={"a": 1}, headers={"Location": "/jobs/7", "ETag": '"v1"'})

    got = rig.run(ACME, whole(get("/x", dict[str, int])), vendor)
    assert (got.body, got.status, got.headers["location"], got.headers["etag"]) == ({"a": 1}, 202, "/jobs/7", '"v1"')
    assert "jobs" not in repr(got)


@pytest.mark.parametrize(
    ("content", "kind", "wanted", "expected"),
    [
        (b"\xff\x00", "image/png", bytes, b"\xff\x00"),
        (b"a,b\n", "text/csv", str, "a,b\n"),
        ("ü".encode("latin-1"), "text/plain; charset=ISO-8859-1", str, "ü"),
        ("\ufeffü".encode(), "text/plain", str, "ü"),
        (b'"quoted"', "application/json", str, '"quoted"'),
        (b"<html></html>", "text/html", bytes, b"<html></html>"),
        (b"", "", str, ""),
        (b"<d:multistatus xmlns:d='DAV:'/>", "application/xml", Tree, Tree("{DAV:}multistatus")),
        (b"<ok/>", "text/xml", NOTHING, None),
        (b"<?xml version='1.0'?><ok/>", "text/xml", NOTHING, None),
    ],
)
def test_bytes_text_and_xml_are_answers(rig: Rig, content: bytes, kind: str, wanted: type[Any], expected: Any) -> None:
    got = rig.run(
        ACME, ask(get("/x", wanted)), lambda _: rig.answer(200, content=content, headers={"content-type": kind})
    )
    assert got == expected


@pytest.mark.parametrize("wanted", [Tree, NOTHING, Payload, object])
@pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>log in<p>", b"\n <!-- x --> <HTML lang=en><br></html>"])
def test_a_web_page_is_named_as_one(rig: Rig, wanted: type[Any], page: bytes) -> None:
    with pytest.raises(errors.UnexpectedPayload) as caught:
        rig.run(ACME, ask(get("/x", wanted)), lambda _: rig.answer(200, content=page))
    assert "web page" in caught.value.hint


def test_xml_that_cannot_be_read_is_not_called_a_web_page(rig: Rig) -> None:
    with pytest.raises(errors.UnexpectedPayload) as caught:
        rig.run(ACME, ask(get("/x", Tree)), lambda _: rig.answer(200, content=b"<multistatus><"))
    assert "web page" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("kind", ["text/plain", "text/plain; charset=klingon"])
def test_text_that_is_not_of_its_charset_is_unexpected(rig: Rig, kind: str) -> None:
    def vendor(_: Any) -> Any:
        return rig.answer(200, content=b"\xff", headers={"content-type": kind})

    with pytest.raises(errors.UnexpectedPayload, match="charset"):
        rig.run(ACME, ask(get("/x", str)), vendor)


def test_the_words_of_an_error_in_xml_are_told(rig: Rig) -> None:
    body = b"<error xmlns='DAV:'><code>no-uid-conflict</code> <message>jane@example.com is taken</message></error>"
    with pytest.raises(errors.Rejected, match=r"no-uid-conflict; j\*\*\*@example.com is taken"):
        rig.run(
            ACME,
            ask(put("/x", object, {})),
            lambda _: rig.answer(409, content=body, headers={"content-type": "text/xml; charset=utf-8"}),
        )


def test_other_statuses_are_answers_where_the_request_says_so(rig: Rig) -> None:
    asked = request("PROPFIND", "/x", Tree, statuses=[207])
    page = b"<multistatus/>"
    assert rig.run(ACME, ask(asked), lambda _: rig.answer(207, content=page)) == Tree("multistatus")
    moved = request("GET", "/x", NOTHING, statuses=[301])
    got = rig.run(ACME, whole(moved), lambda _: rig.answer(301, content=b"<html>", headers={"location": "/y"}))
    assert (got.body, got.status, got.headers["location"]) == (None, 301, "/y")
    with pytest.raises(errors.UnexpectedPayload):
        rig.run(ACME, ask(request("PROPFIND", "/x", Tree)), lambda _: rig.answer(207, content=page))


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b'{"a": 1}', "application/problem+json; charset=utf-8", {"a": 1}),
        (b' {"a": 1}', "text/plain", {"a": 1}),
        (b"[broken", "text/plain", "[broken"),
        (b"5", "", 5),
        (b"a,b\n", "text/csv", "a,b\n"),
        (b"BEGIN:VCARD", "", "BEGIN:VCARD"),
        (b"<d:x xmlns:d='DAV:'/>", "application/xml", "<d:x xmlns:d='DAV:'/>"),
        (b"<html></html>", "text/html", "<html></html>"),
        (b"\x89PNG\xff", "image/png", b"\x89PNG\xff"),
        (b"", "application/json", None),
        (b"", "text/plain", None),
    ],
)
def test_a_raw_request_returns_any_body(content: bytes, kind: str, expected: object) -> None:
    rig = Rig(*WAYS[0])
    headers = {"content-type": kind} if kind else {}
    with rig.client(lambda _: rig.answer(207, content=content, headers=headers)) as http:
        assert Contacts(ACME, http).request("GET", "/x") == expected


def test_a_raw_request_sends_any_body_and_headers() -> None:
    rig = Rig(*WAYS[0])
    seen: list[Any] = []

    def vendor(got: Any) -> Any:
        seen.append(got)
        return rig.answer(200, json=1)

    with rig.client(vendor) as http:
        client = Contacts(ACME, http)
        client.request("propfind", "/x", content="<propfind/>", headers={"Depth": "1", "accept": "text/xml"})
        client.request("POST", "/x", form={"a": ["1", "2"]})
    assert (seen[0].method, seen[0].content, seen[0].headers["depth"]) == ("PROPFIND", b"<propfind/>", "1")
    assert seen[0].headers.get_list("accept") == ["text/xml"]
    assert seen[1].content == b"a=1&a=2"


@pytest.mark.parametrize(
    ("path", "goes_to"),
    [("/x", "/base/x"), ("/base/x", "/base/x"), ("/baseline", "/base/baseline"), ("/base", "/base"),
     ("/basehttps://api.acme.example/x", "/base/basehttps://api.acme.example/x")],
)  # fmt: skip
def test_a_raw_path_is_below_the_prefix_with_it_or_without(path: str, goes_to: str) -> None:
    class Prefixed(Acme):
        def path_prefix(self) -> str:
            return "/base"

    rig = Rig(*WAYS[0])
    seen: list[str] = []

    def vendor(got: Any) -> Any:
        seen.append(got.url.path)
        return rig.answer(200, json=1)

    with rig.client(vendor) as http:
        Contacts(Prefixed(api_key="key-of-acme", base_url="https://api.acme.example"), http).request("GET", path)
    assert seen == [goes_to]


@pytest.mark.parametrize("body", [b"<!doctype html>", b'{"a": "jane@example.com"'])
def test_a_raw_answer_that_claims_to_be_json_must_be_json(body: bytes) -> None:
    rig = Rig(*WAYS[0])

    def vendor(_: Any) -> Any:
        return rig.answer(200, content=body, headers={"content-type": "application/json"})

    with rig.client(vendor) as http, pytest.raises(errors.UnexpectedPayload) as caught:
        Contacts(ACME, http).request("GET", "/x")
    assert ("web page" in caught.value.hint, "jane" in str(caught.value)) == (b"html" in body, False)
    assert (caught.value.provider, caught.value.operation, caught.value.status) == ("acme", "GET /x", 200)


# -- absolute addresses


def test_an_absolute_address_of_the_api_gets_the_key(rig: Rig) -> None:
    for url in (
        "https://api.acme.example/base/x?page=2",
        "https://API.acme.example:443/x",
        "https://p42.acme.example/x",
    ):
        got = sent(rig, get(url, object))
        assert got.headers["authorization"] == "Bearer key-of-acme"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.com/x",
        "https://acme.example.evil.example.com/x",
        "https://api.acme.example:8443/x?",
        "https://api.acme.example@evil.example.com/x",
        "@evil.example.com/x",
        ".evil.example.com/x",
        "//evil.example.com",
        "ftp://api.acme.example/x",
    ],
)
def test_no_key_goes_to_another_host(rig: Rig, url: str) -> None:
    untrusting = type("Untrusting", (Acme,), {"trusts_host": Provider.trusts_host})(api_key="key-of-acme")
    seen: list[Any] = []

    def vendor(got: Any) -> Any:
        seen.append(got)
        return rig.answer(200, json=1)

    if url.startswith("//"):  # which is a path
        rig.run(untrusting, ask(get(url, object)), vendor)
        assert seen[0].url.host == "api.acme.example"
        return
    with pytest.raises(errors.UnexpectedPayload) as caught:
        rig.run(untrusting, ask(get(url, object)), vendor)
    assert not seen
    assert "/x" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.com%2f.acme.example/x",
        "https://evil.example.com%00.acme.example/x",
        "https://evil.example.com;.acme.example/x",
        "https://evil.example.com|.acme.example/x",
        "https://a b.acme.example/x",
        "https://.acme.example/x",
        "https://somebody:else@api.acme.example/x",
        "https://evil.example.com\\@api.acme.example/x",
    ],
)
def test_no_key_goes_to_a_name_that_no_host_has_nor_beside_another_login(rig: Rig, url: str) -> None:
    with pytest.raises(errors.UnexpectedPayload, match="no key is sent"):
        sent(rig, get(url, object))


def test_a_trusted_host_may_have_a_name_in_any_script(rig: Rig) -> None:
    for url in ("https://bücher.acme.example/x", "https://xn--bcher-kva.acme.example./x"):
        assert sent(rig, get(url, object)).headers["authorization"] == "Bearer key-of-acme"


def test_no_key_leaves_https_even_for_a_trusted_host(rig: Rig) -> None:
    with pytest.raises(errors.UnexpectedPayload):
        sent(rig, get("http://p42.acme.example/x", object))


def test_without_authorization_no_key_is_sent_to_the_api_either(rig: Rig) -> None:
    rig.client_options = {"headers": {"Authorization": "of-the-caller"}, "auth": ("user", "password")}
    for url in ("/token", "https://login.example.com/token"):
        got = sent(rig, request("POST", url, object, form={"a": "b"}, authorized=False))
        assert "authorization" not in got.headers
        assert got.content == b"a=b"


def test_an_upload_is_retried_paced_and_seen_by_hooks(rig: Rig) -> None:
    @frozen(kw_only=True)
    class Limited(Acme):
        rate_limits = {"": RateLimit(1, 60)}  # noqa: RUF012 - a fact

    turns = iter([503, 200])

    def twice() -> Flow[None]:
        yield from get("/x", object)
        yield from upload("https://files.example.com/in?signature=s", {}, b"people")

    statuses: list[int] = []

    def vendor(got: Any) -> Any:
        status = 200 if got.method == "GET" else next(turns)
        statuses.append(status)
        return rig.answer(status, json=1)

    rig.run(Limited(api_key="k"), twice(), vendor)
    assert statuses == [200, 503, 200]
    assert sum(rig.slept) >= 120


def test_event_hooks_see_an_upload_and_its_answer() -> None:
    rig = Rig(*WAYS[0])
    seen: list[tuple[str, int]] = []
    with rig.client(lambda _: rig.answer(200)) as http:
        client = Contacts(ACME, http)
        client.add_event_hook(lambda asked, answer: seen.append((asked.method, answer.status_code if answer else 0)))
        client._transport.run(ask(upload("https://files.example.com/in", {}, b"x")))
    assert seen == [("PUT", 200)]


def test_nothing_shows_the_rest_of_an_absolute_address(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    asked = upload("https://user:pw@files.example.com/in/jane?signature=s", {"x": "secret"}, b"secret")
    assert repr(asked.path) not in repr(asked)
    assert "files.example.com" in repr(asked)
    assert "jane" not in repr(asked) + asked.operation
    assert "secret" not in repr(attrs.evolve(asked, form={"a": "secret"}))
    with caplog.at_level(logging.DEBUG, "contacts_core"), pytest.raises(errors.Rejected) as caught:
        rig.run(ACME, ask(upload("https://files.example.com/in/jane?signature=s", {}, b"")), lambda _: rig.answer(400))
    assert "jane" not in caplog.text + str(caught.value)
    assert caught.value.operation == "PUT https://files.example.com"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (path("/v3/contacts/{id}/identifiers", id="12bd0e40-9361"), "/v3/contacts/***/identifiers"),
        (path("/{key}/contacts", key="5f2bc19e77aa"), "/***/contacts"),
        (path("/lists/{name}", name="jane@example.com"), "/lists/***"),
        (path("/lists/{name}", name="a" * 40), "/lists/***"),
        ("/custom-fields/field_groups/all.json?email=jane", "/custom-fields/field_groups/all.json"),
        ("/", "/"),
        ("", "/"),
    ],
)
def test_a_request_shows_the_words_of_its_path_only(sent: str, shown: str) -> None:
    assert f"path={shown!r}" in repr(get(sent, object))
