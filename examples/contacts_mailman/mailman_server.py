"""A Mailman server for tests: on a free port of this machine, with its data in a folder of its own, sending no mail."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
from attrs import frozen

DOMAIN = "lists.example.com"
USERNAME, PASSWORD = "restadmin", "restpass"

CONFIGURATION = """\
[mailman]
site_owner: postmaster@example.com
layout: here

[paths.here]
var_dir: {folder}/var

[mta]
incoming: mailman.mta.null.NullMTA

[webservice]
hostname: 127.0.0.1
port: {port}
admin_user: {username}
admin_pass: {password}

[passwords]
configuration: {folder}/passlib.cfg
"""


@frozen
class Server:
    """A running Mailman.

    Attributes:
        url: Where its API is.
        folder: Where its data are.
        api: A client of its API.
    """

    url: str
    folder: Path
    api: httpx.Client

    def save(self, name: str) -> None:
        """Keep what is stored now under a name."""
        copy(self.database, self.saved(name))

    def restore(self, name: str) -> bool:
        """Go back to what was stored then; False if nothing has this name."""
        if not self.saved(name).exists():
            return False
        copy(self.saved(name), self.database)
        return True

    @property
    def database(self) -> Path:
        """The file that Mailman keeps everything in."""
        return self.folder / "var" / "data" / "mailman.db"

    def saved(self, name: str) -> Path:
        """Return the file of this name."""
        return self.folder / f"{name}.db"

    def settings(self) -> dict[str, Any]:
        """Return the settings of its account."""
        return {"base_url": self.url, "username": USERNAME, "password": PASSWORD, "domain": DOMAIN}


def copy(source: Path, target: Path) -> None:
    """Copy a database that may be in use."""
    with contextlib.closing(sqlite3.connect(source)) as read, contextlib.closing(sqlite3.connect(target)) as write:
        read.backup(write)


@contextlib.contextmanager
def running(venv: Path, folder: Path) -> Generator[Server]:
    """Run Mailman's REST server.

    Args:
        venv: The environment that Mailman is installed in.
        folder: Where its data, configuration and log go.
    """
    port = free_port()
    text = CONFIGURATION.format(folder=folder, port=port, username=USERNAME, password=PASSWORD)
    (folder / "mailman.cfg").write_text(text)
    (folder / "passlib.cfg").write_text("[passlib]\nschemes = roundup_plaintext\n")
    command = [str(venv / "bin" / "runner"), "-C", str(folder / "mailman.cfg"), "-r", "rest:0:1"]
    log = folder / "server.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)  # noqa: S603
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=f"{url}/3.1", auth=(USERNAME, PASSWORD), trust_env=False) as api:
            wait(api, process, log)
            api.post("/domains", data={"mail_host": DOMAIN}).raise_for_status()
            server = Server(url, folder, api)
            server.save("empty")
            yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait(api: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until it answers."""
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError):
            if api.get("/system/versions").is_success:
                return
        time.sleep(0.1)
    raise RuntimeError(f"Mailman does not answer:\n{log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
