"""Real CardDAV servers, Radicale and Xandikos, on a free port of loopback and in a temporary folder."""

from __future__ import annotations

import itertools
import socket
import ssl
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from xml.sax.saxutils import escape

import httpx
from attrs import field, frozen

from contacts_carddav import CardDav

START_TIMEOUT_S = 60.0
BOOK = (
    '<d:mkcol xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:carddav"><d:set><d:prop><d:resourcetype><d:collection/>'
    "<c:addressbook/></d:resourcetype><d:displayname>{name}</d:displayname></d:prop></d:set></d:mkcol>"
)
WITHOUT_FSYNC = """
import sys
from radicale import config, server

configuration = config.load([(sys.argv[1], False)])
configuration.update({"storage": {"_filesystem_fsync": "False"}}, "tests", privileged=True)
server.serve(configuration)
"""  # as its own tests run it: half of a write's time
PASSWORD = "dav-sandbox-key"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the certificates, whose reading takes longer than a request


@frozen
class Account:
    """A new, empty address book of a server.

    Attributes:
        settings: The settings of the provider.
        book: The address of the book.
        http: A plain HTTP client that is logged in: another writer, and the witness of what is stored.
    """

    settings: dict[str, Any]
    book: str
    http: httpx.Client = field(repr=False)

    def provider(self, **changes: Any) -> CardDav:
        """The provider of this account."""
        return CardDav(**self.settings | changes)

    def put(self, name: str, card: str, **headers: str) -> None:
        """Store a card as another client does."""
        answer = self.http.put(
            f"{self.book}{name}",
            content=card.encode(),
            headers={"Content-Type": "text/vcard; charset=utf-8", **headers},
        )
        assert answer.is_success, answer.text

    def stored(self, name: str) -> str:
        """A card as the server has it, without folds."""
        answer = self.http.get(f"{self.book}{name}")
        assert answer.is_success, answer.text
        return answer.text.replace("\r\n", "\n").replace("\n ", "")


class DavServer(ABC):
    """A server process; it stops when the context ends."""

    name: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.port}"
        self._numbers = itertools.count(1)

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it."""

    @abstractmethod
    def account(self, name: str = "Contacts") -> Account:
        """A new, empty account."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it for as long as the context lasts."""
        with (
            (self.folder / "log").open("wb") as log,
            subprocess.Popen([sys.executable, *self.command()], cwd=self.folder, stdout=log, stderr=log) as process,
        ):
            try:
                self._wait(process)
                yield
            finally:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                log = (self.folder / "log").read_text(errors="replace")
                assert process.poll() is None, f"{self.name} ended: {log}"
                assert time.monotonic() < deadline, f"{self.name} does not listen: {log}"
                time.sleep(0.02)
            else:
                return

    def make_book(self, http: httpx.Client, path: str, name: str) -> str:
        """Create an address book, and return its address."""
        answer = http.request(
            "MKCOL",
            f"{self.url}{path}",
            content=BOOK.format(name=escape(name)),
            headers={"Content-Type": "application/xml"},
        )
        assert answer.status_code == 201, answer.text
        return f"{self.url}{path}"


class Radicale(DavServer):
    """Radicale with a log-in; every account is a user of its own."""

    name = "radicale"

    def command(self) -> list[str]:
        (self.folder / "users").touch()
        (self.folder / "config").write_text(
            f"[server]\nhosts = 127.0.0.1:{self.port}\n"
            f"[auth]\ntype = htpasswd\nhtpasswd_filename = {self.folder / 'users'}\n"
            "htpasswd_encryption = plain\ndelay = 0\n"
            f"[storage]\nfilesystem_folder = {self.folder / 'data'}\n"
            "[logging]\nlevel = warning\n"
        )
        return ["-c", WITHOUT_FSYNC, str(self.folder / "config")]

    def account(self, name: str = "Contacts") -> Account:
        user = f"user{next(self._numbers)}"
        with (self.folder / "users").open("a") as users:
            users.write(f"{user}:{PASSWORD}\n")
        http = httpx.Client(auth=(user, PASSWORD), verify=NO_TLS)
        book = self.make_book(http, f"/{user}/book/", name)
        return Account({"base_url": self.url, "username": user, "password": PASSWORD}, book, http)


class Xandikos(DavServer):
    """Xandikos without a log-in, as behind a proxy; every account is an address book of one user."""

    name = "xandikos"

    def command(self) -> list[str]:
        options = ["--autocreate", "--defaults", "--current-user-principal", "/jane/", "--no-detect-systemd"]
        place = ["-d", str(self.folder / "data"), "--state-dir", str(self.folder / "state")]
        return ["-m", "xandikos", "serve", *place, *options, "-l", "127.0.0.1", "-p", f"{self.port}"]

    def account(self, name: str = "") -> Account:
        folder = f"book{next(self._numbers)}"
        http = httpx.Client(verify=NO_TLS)
        book = self.make_book(http, f"/jane/contacts/{folder}/", name or folder)
        return Account({"base_url": self.url, "address_book": name or folder}, book, http)
