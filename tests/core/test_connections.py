"""What the library's own HTTP clients share."""

from __future__ import annotations

import asyncio
from pathlib import Path

import certifi
import httpx
import pytest

from contacts_core import AsyncContacts, Contacts
from contacts_core.http.connections import async_client, certificates, client
from contacts_core.provider import Download, Flow, HttpSettings, Read
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
