"""What the library's own HTTP clients share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest

from contacts_core import AsyncContacts, Contacts
from contacts_core.errors import Unreachable
from contacts_core.http.connections import Requests, async_client, certificates, client
from contacts_core.provider import Download, Flow, Gather, HttpSettings, Read, get
from tests.core.fake_providers import Acme
from tests.core.raw_server import serving, whole

SETTINGS = HttpSettings()


def test_the_certificate_authorities_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    known = certificates()

    def read() -> None:
        pytest.fail("they were read again")

    monkeypatch.setattr(httpx, "create_ssl_context", read)
    with client(SETTINGS) as made:
        assert made._transport._pool._ssl_context is known  # type: ignore[attr-defined]
    later = async_client(SETTINGS)
    assert later._transport._pool._ssl_context is known  # type: ignore[attr-defined]


def test_another_file_of_authorities_is_heeded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = certificates()
    own = tmp_path / "own.pem"
    own.write_text(Path(certifi.where()).read_text(encoding="ascii").partition("\n\n#")[0], encoding="ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    assert certificates() is not known
    assert len(certificates().get_ca_certs()) < len(known.get_ca_certs())


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_file_behind_redirects_is_read_over_a_single_connection(kind: str) -> None:
    answers = [whole(b"moved", "Location: /b", status="302 Found")] * 3 + [whole(b"data")]
    turns = iter(answers)

    def fetch(url: str) -> Flow[bytes]:
        source = yield from Download(url)
        return (yield from Read(source))

    with serving(lambda: [next(turns)]) as server:
        settings = HttpSettings(max_connections=1, read_timeout_s=0.5)
        provider = Acme(base_url=server.address, http=settings)
        if kind == "sync":
            with Contacts(provider) as blocking:
                assert blocking.run(fetch(f"{server.address}/a")) == b"data"
            return

        async def main() -> bytes:
            async with AsyncContacts(provider) as asynchronous:
                return await asynchronous.run(fetch(f"{server.address}/a"))

        assert asyncio.run(main()) == b"data"


@pytest.mark.parametrize(
    ("method", "url", "given"),
    [
        ("GET", "http://localhost:1/a", {"headers": {"Accept": "application/json", "X-Key": "k"}}),
        ("POST", "https://api.example.com/a%2Fb?c=d", {"content": b"{}", "headers": {"USER-AGENT": "ours"}}),
        ("get", "https://api.example.com/Ä b", {"params": {"q": ["ä &", "2"], "page": "1"}}),
        ("DELETE", "https://api.example.com", {"params": None, "content": None}),
    ],
)
def test_requests_are_built_as_the_http_library_builds_them(method: str, url: str, given: dict[str, Any]) -> None:
    with client(SETTINGS) as made:
        theirs = made.build_request(method, url, **given)
        ours = Requests(made).build_request(method, url, **given)
    assert (ours.method, ours.url, ours.read()) == (theirs.method, theirs.url, theirs.read())
    assert dict(ours.headers) == dict(theirs.headers)
    assert ours.extensions == theirs.extensions


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_cookies_are_not_sent_back(kind: str) -> None:
    def ask_twice() -> Flow[int]:
        yield from get("/1", int)
        return (yield from get("/2", int))

    with serving(lambda: [whole(b"1", "Set-Cookie: seen=jane; Path=/")]) as server:
        provider = Acme(base_url=server.address)
        if kind == "sync":
            with Contacts(provider) as blocking:
                assert blocking.run(ask_twice()) == 1
        else:

            async def main() -> int:
                async with AsyncContacts(provider) as asynchronous:
                    return await asynchronous.run(ask_twice())

            assert asyncio.run(main()) == 1
        assert server.connections == 1
    assert len(server.requests) == 2
    assert b"jane" not in b"".join(server.requests)


def test_requests_at_once_have_a_connection_each_and_later_ones_use_them_again() -> None:
    together = threading.Barrier(4, timeout=5)

    def answer() -> Iterator[bytes]:
        together.wait()
        yield whole(b"1")

    def ask() -> Flow[list[int | None]]:
        yield from Gather([iter(get(f"/{n}", int)) for n in range(4)], 4)
        settled = yield from Gather([iter(get(f"/{n}", int)) for n in range(4)], 4)
        return [each.value for each in settled]

    with serving(answer) as server, Contacts(Acme(base_url=server.address)) as contacts:
        assert contacts.run(ask()) == [1] * 4
        assert server.connections == 4
        assert len(contacts._transport._idle) == 4


def test_a_connection_whose_exchange_failed_is_closed() -> None:
    answers = iter([b"no HTTP at all\r\n\r\n", whole(b"1")])
    with serving(lambda: [next(answers)]) as server:
        provider = Acme(base_url=server.address, http=HttpSettings(attempts=1))
        with Contacts(provider) as contacts:
            (failing,) = contacts._transport._idle
            with pytest.raises(Unreachable):
                contacts.run(iter(get("/1", int)))
            assert failing.is_closed
            assert contacts.run(iter(get("/2", int))) == 1
            assert contacts._transport._opened == set(contacts._transport._idle)


def test_closing_closes_connections_in_use_as_well() -> None:
    def read_the_beginning(address: str) -> Flow[None]:
        file = yield from Download(f"{address}/a")
        assert (yield from Read(file))
        contacts.close()

    with serving(lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome"]) as server:
        contacts = Contacts(Acme(base_url=server.address))
        (own,) = contacts._transport._idle
        contacts.run(read_the_beginning(server.address))
        assert own.is_closed
