"""What holds for every test: no network but loopback, and nothing of the machine's own settings."""

from __future__ import annotations

import fcntl
import gc
import ipaddress
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SETTINGS = ("SENDGRID_", "BIRD_", "CARDDAV_", "USER_API_", "CONTACTS_")
# What tells the tests of the machine: a folder that one of them reads, a server, whether a browser has to be there; and
# how long the adversary goes on.
KEPT = frozenset(
    {
        "CONTACTS_VENDOR_SPECS",
        "CONTACTS_TEST_POSTGRES",
        "CONTACTS_REQUIRE_CHROMIUM",
        "CONTACTS_ADVERSARY_EXAMPLES",
        "CONTACTS_ADVERSARY_PLANS",
    }
)


def pytest_configure() -> None:
    """Hear what ends a process, which background jobs and all that they start may ignore; and let bytecode be kept.

    Tests start some hundred processes; without bytecode, each of them would compile all modules that it imports.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection() -> None:
    """Look for no garbage while all there is grows: modules, and ten thousand tests with what each of them needs."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage again, but not among what stays to the end, and less often than in a small program."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


class NetworkBlockedError(RuntimeError):
    """A test tried to leave this machine. No OSError, so that no code takes it for an unreachable vendor."""


def is_loopback(host: object) -> bool:
    """Whether a host, as text, bytes or None, can only be this machine."""
    if host is None:
        return True
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if name in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def refuse(what: str, host: object) -> None:
    """Raise unless the host is this machine."""
    if not is_loopback(host):
        message = f"{what} {host!r}: tests reach loopback only; use an emulator, a cassette or 127.0.0.1"
        raise NetworkBlockedError(message)


def guarded_connect(real: Callable[..., Any]) -> Callable[..., Any]:
    """`socket.connect` or `connect_ex` that leads nowhere else."""

    def connect(self: socket.socket, address: Any) -> Any:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            refuse("connect to", address[0])
        return real(self, address)

    return connect


def guarded_sendto(real: Callable[..., Any]) -> Callable[..., Any]:
    """`socket.sendto` that leads nowhere else; the address is its last argument."""

    def sendto(self: socket.socket, *args: Any) -> Any:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            refuse("send to", args[-1][0])
        return real(self, *args)

    return sendto


def guarded_lookup(real: Callable[..., Any]) -> Callable[..., Any]:
    """A look-up that asks no name server."""

    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        refuse("look up", host)
        return real(host, *args, **kwargs)

    return lookup


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Refuse every connection and look-up beyond loopback, in every thread, for the whole run."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, guarded_connect(getattr(socket.socket, name)))
        patch.setattr(socket.socket, "sendto", guarded_sendto(socket.socket.sendto))
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            patch.setattr(socket, name, guarded_lookup(getattr(socket, name)))
        yield


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders for thousands of tests; pytest's own way to number them reads all earlier ones each time."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _own_surroundings(_homes: Iterator[Path]) -> Iterator[None]:
    """Give each test an empty home, and none of the settings or proxies of whoever runs it."""
    home = next(_homes)
    home.mkdir(mode=0o700)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if (name.startswith(SETTINGS) and name not in KEPT) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        for name, folder in {
            "HOME": "",
            "USERPROFILE": "",
            "XDG_CONFIG_HOME": ".config",
            "XDG_CACHE_HOME": ".cache",
            "XDG_DATA_HOME": ".local/share",
            "XDG_STATE_HOME": ".local/state",
        }.items():
            patch.setenv(name, str(home / folder))
        yield


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that one process of the test run makes, and the others wait for."""
    several = "PYTEST_XDIST_WORKER" in os.environ
    root = factory.getbasetemp().parent if several else factory.getbasetemp()
    folder, made = root / name, root / f"{name}.made"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # half of it, where making it failed in another process
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this source tree, built without a network."""

    def build(folder: Path) -> None:
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
        done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    (path,) = made_once(tmp_path_factory, "wheel", build).glob("contacts_core-*.whl")
    return path


@pytest.fixture(scope="session")
def installed_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel, and with the dependencies that are installed here."""

    def install(folder: Path) -> None:
        venv.create(folder, symlinks=True)
        packages = Path(sysconfig.get_path("purelib", "venv", vars=names(folder)))
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps", "--no-index")
        subprocess.run([*pip, "--target", str(packages), str(wheel)], check=True)
        # `.pth` files of a folder named by a `.pth` file are not read: the source tree, installed here, stays out.
        (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")

    def names(folder: Path) -> dict[str, str]:
        return {"base": str(folder), "platbase": str(folder)}

    folder = made_once(tmp_path_factory, "environment", install)
    return Path(sysconfig.get_path("scripts", "venv", vars=names(folder))) / "python"
