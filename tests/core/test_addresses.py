"""Where keys and people may be sent, and where files may come from."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from contacts_core import Contacts, errors
from contacts_core.http.addresses import checked_base_url, refuse_place, upload_headers
from contacts_core.http.wire import Wire
from contacts_core.provider import Download, Flow, HttpSettings, Read, Request, UnknownFields, decoder
from contacts_core.provider.http_settings import http_settings
from tests.core.fake_providers import bare
from tests.core.transport_harness import WAYS, Rig, upload


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}-{way[1].__name__}")
def rig(request: pytest.FixtureRequest) -> Rig:
    return Rig(*request.param)


# -- keys


@pytest.mark.parametrize(
    "url", ["http://api.acme.example", "http://10.0.0.5/x", "http://192.0.2.1", "http://localhost.example.com"]
)
def test_a_key_is_not_sent_unencrypted_unless_the_settings_say_so(url: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="unencrypted") as caught:
        Contacts(bare(base_url=url))
    assert "allow_plain_http" in caught.value.hint
    Contacts(bare(base_url=url, http={"allow_plain_http": True})).close()
    Contacts(bare(base_url=url, http="allow_plain_http=yes")).close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:1/x", "http://[::1]:5", "http://127.9.9.9"])
def test_this_machine_needs_no_encryption(url: str) -> None:
    Wire(bare(base_url=url))


@pytest.mark.parametrize("url", ["https://api.acme.example:port", "https://[", "https://u:p@api.acme.example"])
def test_an_address_that_cannot_be_used_is_refused_at_once(url: str) -> None:
    with pytest.raises(errors.ConfigurationError):
        checked_base_url(url, allow_plain_http=True)


@pytest.mark.parametrize(
    "key", ["k\n", "k\r\nX-Evil: 1", "schlüssel", "k\x00", " key-0123", "k\t", "k\x7f", "\ud800", "ключ"]
)
def test_a_key_that_cannot_be_one_is_refused_before_anything_is_sent(key: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        Contacts(bare(api_key=key, scheme=""))
    assert repr(key)[1:-1] not in f"{caught.value} {caught.value.hint}"


def test_a_provider_that_cannot_make_its_headers_is_an_error_of_ours() -> None:
    class Basic(type(bare())):  # type: ignore[misc]
        def headers(self) -> dict[str, str]:
            return {"Authorization": self.api_key.encode("ascii").decode()}

    with pytest.raises(errors.ConfigurationError, match="cannot be sent"):
        Wire(Basic(api_key="ü"))


# -- what is sent


@pytest.mark.parametrize(
    "call",
    [
        Request("POST", "/x", object, json="\ud800"),
        Request("POST", "/x", object, json={"a": object()}),
        Request("POST", "/x", object, json={(1, 2): 1}),
        Request("GET", "/x", object, params={"q": "\ud800"}),
        Request("GET", "/" + "x" * 100_000, object),
        Request("GET", "/x\x00", object),
        Request("POST", "/x", object, json=[[]] * 3 + [float]),
    ],
    ids=range(7),
)
def test_what_cannot_be_sent_is_refused(rig: Rig, call: Request[Any]) -> None:
    def flow() -> Flow[Any]:
        return (yield from call)

    with pytest.raises(errors.InvalidInput, match="cannot be sent"):
        rig.run(bare(), flow(), lambda _: rig.answer(200))


# -- files


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "metadata.google.internal",
        "169.254.169.254",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - refused
        "224.0.0.1",
        "255.255.255.255",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0251.0376.0251.0376",
        "::1",
        "[::1]",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "64:ff9b::a9fe:a9fe",
        "::127.0.0.1",
        "::10.0.0.1",
        "2002:7f00:1::",
    ],
)
def test_no_vendor_keeps_files_there(host: str, rig: Rig) -> None:
    with pytest.raises(errors.UnexpectedPayload, match="not public"):
        refuse_place(host, local=False)
    shown = host if ":" not in host or host.startswith("[") else f"[{host}]"
    for flow in (fetch(f"https://{shown}/x"), send(f"https://{shown}/x")):
        with pytest.raises(errors.UnexpectedPayload):
            rig.run(bare(), flow, lambda _: rig.answer(200, content=b"secret"))


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700::1111", "files.example.com", "64:ff9b::808:808"])
def test_public_places_are_fine(host: str) -> None:
    refuse_place(host, local=False)


def fetch(url: str) -> Flow[bytes]:
    source = yield from Download(url)
    return (yield from Read(source))


def send(url: str, headers: Mapping[str, str] | None = None) -> Flow[None]:
    yield from upload(url, headers or {}, b"people")


def untouched(request: Any) -> Any:
    raise AssertionError(f"nothing should have been sent: {request!r}")


def test_files_and_uploads_begin_encrypted(rig: Rig) -> None:
    for flow in (fetch("http://files.example.com/x"), send("http://files.example.com/x")):
        with pytest.raises(errors.UnexpectedPayload, match="unencrypted") as caught:
            rig.run(bare(), flow, untouched)
        assert caught.value.provider == "acme"


def test_no_redirect_leads_to_a_private_place(rig: Rig) -> None:
    seen: list[str] = []

    def vendor(request: Any) -> Any:
        seen.append(str(request.url))
        return rig.answer(302, headers={"location": "https://169.254.169.254/latest/meta-data"})

    with pytest.raises(errors.UnexpectedPayload, match="not public"):
        rig.run(bare(), fetch("https://files.example.com/x"), vendor)
    assert seen == ["https://files.example.com/x"]


def test_private_places_are_fine_where_the_settings_or_the_address_of_the_api_say_so(rig: Rig) -> None:
    def vendor(_: Any) -> Any:
        return rig.answer(200, content=b"data")

    allowed = bare(http=HttpSettings(allow_private_files=True))
    assert rig.run(allowed, fetch("https://10.0.0.7/x"), vendor) == b"data"
    assert rig.run(bare(base_url="https://10.0.0.7"), fetch("https://10.0.0.7/x"), vendor) == b"data"
    emulated = bare(base_url="http://127.0.0.1:8000")
    assert rig.run(emulated, fetch("http://127.0.0.1:9000/x"), vendor) == b"data"
    with pytest.raises(errors.UnexpectedPayload):
        rig.run(emulated, fetch("http://169.254.169.254/x"), vendor)
    with pytest.raises(errors.UnexpectedPayload):
        rig.run(bare(base_url="https://10.0.0.7"), fetch("https://10.0.0.8/x"), vendor)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example.com"},
        {"transfer-encoding": "chunked"},
        {"Content-Length": "5"},
        {"Connection": "close"},
        {"Authorization": "Bearer x"},
        {"Cookie": "a=b"},
        {"Proxy-Authorization": "x"},
        {"X-Forwarded-For": "x"},
        {"X A": "1"},
        {"": "1"},
        {"X-A:": "1"},
        {"X-A": "1\r\nX-B: 2"},
        {"X-A": "ü"},
        {"X-A": "x" * 5000},
        {f"X-{n}": "1" for n in range(51)},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_an_upload_takes_no_header_that_it_does_not_need(rig: Rig, headers: dict[str, str]) -> None:
    with pytest.raises(errors.UnexpectedPayload, match="header"):
        rig.run(bare(), send("https://files.example.com/in", headers), untouched)


def test_an_upload_takes_the_headers_that_it_needs() -> None:
    needed = {"x-amz-server-side-encryption": "aws:kms", "Content-Type": "text/csv", "Content-Encoding": "gzip"}
    assert upload_headers(needed) == needed


# -- settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"attempts": 1.5},
        {"attempts": True},
        {"timeout_s": "soon"},
        {"deadline_s": -1},
        {"allow_plain_http": "maybe"},
        {"unheard_of": 1},
        5,
        "attempts",
    ],
    ids=str,
)
def test_wrong_settings_are_refused(wrong: Any) -> None:
    with pytest.raises(errors.ConfigurationError):
        bare(http=wrong)


def test_settings_come_as_a_table_or_as_text() -> None:
    expected = HttpSettings(attempts=2, deadline_s=60, allow_plain_http=True)
    assert http_settings({"attempts": 2, "deadline_s": 60.0, "allow_plain_http": True}) == expected
    assert http_settings("attempts=2, deadline_s=60, allow_plain_http=true") == expected


# -- logs


class Shown(UnknownFields, kw_only=True):
    id: str = ""


def test_names_of_undeclared_fields_forge_no_log(caplog: pytest.LogCaptureFixture) -> None:
    names = ["a\\nERROR contacts_core: all is lost", "\\u001b[2J", "\\u202e", "jane@example.com", "x" * 500]
    many = ",".join(f'"n{n}":1' for n in range(1000))
    with caplog.at_level(logging.INFO, "contacts_core.drift"):
        for name in names:
            found = decoder(Shown)(f'{{"id":"1","{name}":1}}'.encode(), None)
            assert len(found.unknown) == 1
        decoder(Shown)(f"{{{many}}}".encode(), None)
    assert len(caplog.messages) == len(names) + 1
    for message in caplog.messages:
        assert message.isprintable()
        assert len(message) < 500
        assert "jane" not in message
    assert "and 980 more" in caplog.messages[-1]


def test_the_vendors_words_do_not_act_on_a_terminal() -> None:
    body = b'{"message": "no\\u001b]0;x\\u0007 \\u202e\\u009b31m\\nline"}'
    headers = httpx.Headers({"x-request-id": "r\x1b[2J" + "1" * 999})
    error = Wire(bare()).refusal("GET /x", 400, headers, body)
    for text in (str(error), error.hint, error.operation, error.request_id):
        assert text.isprintable()
        assert len(text) < 300
