"""The XML of CardDAV: requests that escape, answers that lie, and hostile ones."""

from __future__ import annotations

import time

import pytest
from defusedxml.ElementTree import fromstring

from contacts_carddav import payloads
from contacts_core.errors import UnexpectedPayload

NS = 'xmlns:d="DAV:" xmlns="urn:ietf:params:xml:ns:carddav"'


def answer(*responses: str, after: str = "") -> payloads.Multistatus:
    return payloads.multistatus(f"<d:multistatus {NS}>{''.join(responses)}{after}</d:multistatus>".encode())


def propstat(inner: str, status: str = "HTTP/1.1 200 OK") -> str:
    return f"<d:propstat><d:prop>{inner}</d:prop><d:status>{status}</d:status></d:propstat>"


def response(*inner: str, href: str = "/book/a%20b.vcf") -> str:
    return f"<d:response><d:href>{href}</d:href>{''.join(inner)}</d:response>"


def test_properties_have_a_status_each() -> None:
    told = propstat('<d:getetag>"1"</d:getetag><address-data>BEGIN&amp;</address-data>')
    (found,) = answer(response(told, propstat("<d:getlastmodified/>", "HTTP/1.1 404 Not Found"))).resources
    assert (found.href, found.status) == ("/book/a%20b.vcf", 200)
    assert (found.text(payloads.ETAG), found.text(payloads.CARD_TEXT)) == ('"1"', "BEGIN&")
    assert payloads.MODIFIED not in found.properties


def test_a_card_may_stand_in_a_cdata_section_and_hold_anything() -> None:
    (found,) = answer(response(propstat("<address-data><![CDATA[NOTE:<!DOCTYPE html>&x;]]></address-data>"))).resources
    assert found.text(payloads.CARD_TEXT) == "NOTE:<!DOCTYPE html>&x;"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("HTTP/1.1 404 Not Found", 404),
        ("HTTP/2 507", 507),
        ("HTTP/1.1 200", 200),
        ("200 OK", 0),
        ("nonsense", 0),
        ("", 0),
    ],
)
def test_a_resource_may_have_one_status(line: str, status: int) -> None:
    (found,) = answer(response(f"<d:status>{line}</d:status>")).resources
    assert found.status == status


def test_types_and_addresses_are_found_whatever_the_prefix() -> None:
    raw = (
        b'<?xml version="1.0"?><x:multistatus xmlns:x="DAV:"><x:response><x:href> /p/ </x:href><x:propstat><x:prop>'
        b'<x:resourcetype><x:collection/><c:addressbook xmlns:c="urn:ietf:params:xml:ns:carddav"/></x:resourcetype>'
        b'<c:addressbook-home-set xmlns:c="urn:ietf:params:xml:ns:carddav"><x:href>/h1/</x:href><x:href/>'
        b"<x:href>https://p1.example.com/h2/</x:href></c:addressbook-home-set></x:prop></x:propstat></x:response>"
        b"<x:sync-token>t1</x:sync-token></x:multistatus>"
    )
    found = payloads.multistatus(raw)
    (resource,) = found.resources
    assert found.sync_token == "t1"
    assert resource.href == "/p/"
    assert resource.has(payloads.TYPE, payloads.BOOK)
    assert not resource.has(payloads.TYPE, f"{payloads.DAV}principal")
    assert resource.hrefs(payloads.HOME) == ["/h1/", "https://p1.example.com/h2/"]
    assert resource.hrefs(payloads.PRINCIPAL) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_every_encoding_that_an_answer_declares_is_read(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><d:multistatus {NS}>{response(href="/é.vcf")}</d:multistatus>'
    (found,) = payloads.multistatus(text.encode(encoding)).resources
    assert found.href == "/é.vcf"


BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))


@pytest.mark.parametrize(
    "raw",
    [
        f'<!DOCTYPE d [<!ENTITY a0 "lol">{BOMB}]><d:multistatus {NS}>&a11;</d:multistatus>',
        f'<!DOCTYPE d [<!ENTITY a "{"x" * 100_000}">]><d:multistatus {NS}>{"&a;" * 20_000}</d:multistatus>',
        f'<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><d:multistatus {NS}>&a;</d:multistatus>',
        f'<!DOCTYPE d [<!ENTITY % p SYSTEM "http://127.0.0.1:9/"> %p;]><d:multistatus {NS}/>',
        f'<!DOCTYPE d SYSTEM "file:///etc/passwd"><d:multistatus {NS}/>',
        f"<!DOCTYPE d><d:multistatus {NS}/>",
        "<html><body>Log in</body></html>",
        "",
        "{}",
        "<d:multistatus>",
        f"<d:multistatus {NS}><d:response/></d:multistatus>",
        '<?xml version="1.0" encoding="klingon"?><a/>',
        '<?xml version="1.0" encoding="utf-7"?><a/>',
        f"<d:multistatus {NS}>\x00</d:multistatus>",
    ],
    ids=lambda raw: raw[:24],
)
def test_what_is_no_answer_is_an_error_and_expands_nothing(raw: str) -> None:
    started = time.process_time()
    with pytest.raises(UnexpectedPayload):
        payloads.multistatus(raw.encode())
    assert time.process_time() - started < 5


def test_deep_nesting_is_read() -> None:
    depth = 100_000
    inner = "<d:a>" * depth + "</d:a>" * depth
    assert answer(response(propstat(inner))).resources[0].status == 200


# -- requests

HOSTILE = '"><evil/>&x;]]>'


def test_values_of_requests_are_escaped() -> None:
    asked = fromstring(payloads.query([("UID", "equals", HOSTILE), (HOSTILE, "", "")], every=True))
    texts = [each.text for each in asked.iter(f"{payloads.CARD}text-match")]
    names = [each.get("name") for each in asked.iter(f"{payloads.CARD}prop-filter")]
    assert (texts, names) == ([HOSTILE], ["UID", HOSTILE])
    assert [each.get("test") for each in asked.iter(f"{payloads.CARD}filter")] == ["allof"]
    read = fromstring(payloads.multiget([HOSTILE, "/a%20b.vcf"]))
    assert [each.text for each in read.iter(f"{payloads.DAV}href")] == [HOSTILE, "/a%20b.vcf"]
    assert fromstring(payloads.sync(HOSTILE)).findtext(f"{payloads.DAV}sync-token") == HOSTILE


def test_properties_are_asked_for_by_name() -> None:
    asked = fromstring(payloads.propfind([payloads.ETAG, payloads.HOME]))
    assert [each.tag for each in asked.iterfind(f"{payloads.DAV}prop/*")] == [payloads.ETAG, payloads.HOME]
