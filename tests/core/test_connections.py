"""What the library's own HTTP clients share."""

from __future__ import annotations

from pathlib import Path

import certifi
import httpx
import pytest

from contacts_core.http.connections import async_client, certificates, client
from contacts_core.provider import HttpSettings

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
