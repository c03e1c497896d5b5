from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

OUTSIDE = "192.0.2.1"  # reserved for documentation: nobody answers there


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_loopback_is_reached(port: int) -> None:
    for host in ("127.0.0.1", "localhost"):
        with socket.create_connection((host, port), timeout=5) as connection:
            assert connection.getpeername()[1] == port


@pytest.mark.parametrize("host", [OUTSIDE, "10.0.0.1", "127.0.0.1.example.com", "api.example.com"])
def test_nothing_else_is(host: str) -> None:
    with pytest.raises(RuntimeError, match="loopback only"):
        socket.create_connection((host, 443), timeout=5)
    with socket.socket() as bare, pytest.raises(RuntimeError, match="loopback only"):
        bare.connect((host, 443))
    with socket.socket() as bare, pytest.raises(RuntimeError, match="loopback only"):
        bare.connect_ex((host, 443))


def test_datagrams_and_names_are_held_back() -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as bare,
        pytest.raises(RuntimeError, match="loopback only"),
    ):
        bare.sendto(b"?", (OUTSIDE, 53))
    for look_up in (socket.gethostbyname, socket.gethostbyname_ex):
        with pytest.raises(RuntimeError, match="loopback only"):
            look_up("api.example.com")


def test_httpx_does_not_mistake_it_for_a_vendor_that_is_down() -> None:
    with pytest.raises(RuntimeError, match="loopback only"):
        httpx.get("https://api.example.com", trust_env=False)


def test_asyncio_is_held_back() -> None:
    async def reach() -> None:
        await asyncio.open_connection("api.example.com", 443)

    with pytest.raises(RuntimeError, match="loopback only"):
        asyncio.run(reach())


def test_threads_are_held_back() -> None:
    seen: list[str] = []

    def reach() -> None:
        try:
            socket.create_connection((OUTSIDE, 443), timeout=5)
        except RuntimeError as error:
            seen.append(str(error))

    thread = threading.Thread(target=reach)
    thread.start()
    thread.join()
    assert len(seen) == 1


def test_the_machine_brings_no_settings() -> None:
    assert not list(Path.home().iterdir())
    brought = [name for name in os.environ if name.startswith(("SENDGRID_", "BIRD_", "USER_API_"))]
    assert not brought


@given(st.integers())
def test_property_tests_live_with_the_fixtures(number: int) -> None:
    assert number == number  # noqa: PLR0124 - the fixtures are what is tried here
