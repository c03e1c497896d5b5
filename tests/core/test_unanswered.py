"""Why no answer came: a name that does not resolve, a refused connection and TLS read differently."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from contacts_core.client import AsyncContacts, Contacts
from contacts_core.errors import Unreachable
from contacts_core.http.unanswered import why
from contacts_core.provider import capabilities as declared
from contacts_core.provider.capabilities import CAPABILITIES
from contacts_sendgrid import SendGrid


@pytest.fixture
def refusing() -> str:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


@pytest.fixture
def plain() -> Iterator[str]:
    yield from serving(None)


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    yield from serving(context)


def serving(context: ssl.SSLContext | None) -> Iterator[str]:
    """Take connections, and answer nothing that anybody understands."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                taken, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), taken:
                if context:
                    context.wrap_socket(taken, server_side=True).close()
                else:
                    taken.recv(100)
                    taken.sendall(b"HTTP/1.0 400 no\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def self_signed(folder: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def ask(base_url: str) -> None:
    with Contacts(SendGrid(api_key="x", base_url=base_url)) as client:
        client.request("POST", "/marketing/lists", json={})


def ask_async(base_url: str) -> None:
    async def asked() -> None:
        async with AsyncContacts(SendGrid(api_key="x", base_url=base_url)) as client:
            await client.request("POST", "/marketing/lists", json={})

    asyncio.run(asked())


@pytest.mark.parametrize("asks", [ask, ask_async])
def test_each_reason_reads_differently(
    asks: Callable[[str], None], refusing: str, plain: str, untrusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    reasons = {
        refusing: ("the connection was refused", "nothing listens there"),
        plain: ("the TLS handshake failed", "https://"),
        untrusted: ("certificate is not trusted", "SSL_CERT_FILE"),
        "https://host.invalid": ("could not be resolved (DNS)", "the host in base_url"),
    }

    def resolve(*_arguments: object, **_options: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "host.invalid is not known")

    for base_url, (message, hint) in reasons.items():
        if "invalid" in base_url:
            monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with pytest.raises(Unreachable, match=re.escape(message)) as caught:
            asks(base_url)
        assert hint in caught.value.hint
        assert "127.0.0.1" not in str(caught.value)


def test_the_reason_is_found_below_other_errors_and_in_groups() -> None:
    refused = ConnectionRefusedError(111, "to secret.example.com")
    outer = OSError("all attempts failed")
    outer.__cause__ = ExceptionGroup("several", [TimeoutError(), refused])
    assert why(outer)[0] == "the connection was refused"
    loop = RuntimeError("x")
    loop.__context__ = loop
    message, hint = why(loop)
    assert message == "no complete answer (RuntimeError)"
    assert "may have carried it out" in hint


def test_the_first_line_of_each_capability_says_what_a_provider_cannot_do() -> None:
    for capability in CAPABILITIES:
        verb, _, _ = (capability.__doc__ or "").partition(" ")
        assert not verb.endswith("s"), f"{SendGrid.name} cannot {verb.lower()} …"
    assert declared(SendGrid)


PROGRAM = """
import asyncio, sys
from contacts_core import connect, connect_async
from contacts_core.errors import Unreachable

assert not {"httpx", "httpx2"} & sys.modules.keys()
settings = {"api_key": "k", "base_url": sys.argv[2], "http": {"attempts": 1}}

def blocking():
    with connect("sendgrid", **settings) as contacts:
        contacts.count()

async def asynchronous():
    async with connect_async("sendgrid", **settings) as contacts:
        await contacts.count()

try:
    blocking() if sys.argv[1] == "blocking" else asyncio.run(asynchronous())
except Unreachable as error:
    print(error)
"""


@pytest.mark.parametrize("kind", ["blocking", "asynchronous"])
def test_a_program_that_imports_no_http_library_itself_gets_the_same_errors(kind: str, refusing: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind, refusing], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.endswith(": the connection was refused\n")
