"""What all emulators share: clock, faults, people, server."""

from __future__ import annotations

import re
import socket
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import uvicorn

from contacts_core.emulator import FAULTS, Clock, Faults, Sandbox, people, running, serve
from contacts_core.emulator.registry import known_faults
from contacts_user_api.emulator import UserApiEmulator
from tests.emulator.conftest import EMULATORS, HEADERS, PREFIXES, Serve

NAMES = list(EMULATORS)
READS = {"sendgrid": "/contacts/count", "bird": "/contacts", "user-api": "/contacts"}


def test_a_manual_clock_stands_still() -> None:
    clock = Clock(manual=True)
    assert clock.now() == datetime(2025, 11, 18, 14, 50, tzinfo=UTC)
    clock.advance(1.5)
    assert clock.now() == datetime(2025, 11, 18, 14, 50, 1, 500_000, tzinfo=UTC)


def test_a_fast_clock_starts_now_and_hurries() -> None:
    clock = Clock(speed=10_000)
    start = clock.now()
    assert abs(start - datetime.now(UTC)) < timedelta(hours=1)
    time.sleep(0.01)
    assert clock.now() - start >= timedelta(seconds=100)
    before = clock.now()
    clock.advance(3600)
    assert clock.now() - before >= timedelta(hours=1)


def test_clocks_do_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="speed"):
        Clock(speed=0)
    with pytest.raises(ValueError, match="advances"):
        Clock().advance(-1)


def test_fault_specs() -> None:
    faults = Faults(["rate-limit", "cut=2", "html=0%", "unavailable = 100%"])
    assert [faults.take("rate-limit") for _ in range(3)] == [True] * 3
    assert [faults.take("cut") for _ in range(3)] == [True, True, False]
    assert not faults.take("html")
    assert faults.take("unavailable")
    assert not faults.take("job-fails")
    faults.set("rate-limit", 0)
    assert not faults.take("rate-limit")
    faults.set("job-fails", None)
    assert faults.take("job-fails")
    faults.clear()
    assert not faults.take("job-fails")


def test_shares_follow_from_the_seed() -> None:
    def strikes(seed: int) -> list[bool]:
        faults = Faults(["server-error=30%"], seed)
        return [faults.take("server-error") for _ in range(200)]

    assert strikes(1) == strikes(1) != strikes(2)
    assert 30 < sum(strikes(1)) < 90


@pytest.mark.parametrize("spec", ["nonsense", "nonsense=2", "cut=", "cut=two", "cut=-1", "cut=200%", "cut=x%"])
def test_bad_fault_specs(spec: str) -> None:
    with pytest.raises(ValueError, match="fault"):
        Faults([spec])


def test_an_unknown_fault_names_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="stale-reads"):
        Faults().take("nonsense")
    with pytest.raises(ValueError, match="stale-reads"):
        Faults().set("nonsense", 1)
    assert all(FAULTS.values())


def test_a_fault_of_one_vendor_is_known_where_its_emulator_is() -> None:
    with pytest.raises(ValueError, match="unknown fault"):
        Faults(["flat-lists"])
    sandbox = Sandbox([UserApiEmulator], faults=["flat-lists=1"])
    assert sandbox.faults.take("flat-lists")
    assert "flat-lists" not in FAULTS
    assert known_faults()["flat-lists"].startswith("user-api")
    assert set(FAULTS) < set(known_faults())


def test_people_are_reserved_unique_and_reproducible() -> None:
    crowd = list(people(20_000, seed=3))
    assert list(people(10, seed=3)) == crowd[:10]
    assert list(people(10, seed=4)) != crowd[:10]
    emails = [email for person in crowd for email in (person.email, *person.further_emails)]
    assert len(set(emails)) == len(emails)
    assert all(re.fullmatch(r"[^@]+@example\.(com|org|net)", email) for email in emails)
    phones = [person.phone for person in crowd if person.phone]
    assert len(set(phones)) == len(phones)
    assert all(re.fullmatch(r"\+1[2-9]\d\d55501\d\d|\+44207946\d{4}", phone) for phone in phones)
    names = {person.first_name for person in crowd} | {person.last_name for person in crowd}
    assert {"O'Brien", "José", "Zoë", "Müller", "李"} <= names
    for optional in ("phone", "external_id", "anonymous_id", "company", "score", "plan", "birthday"):
        assert {person is None for person in (getattr(person, optional) for person in crowd)} == {True, False}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_answers(name: str, serve: Serve) -> None:
    one, other = (serve(name, seed=5)("GET", READS[name]) for _ in range(2))
    port = re.compile(rb"127\.0\.0\.1:\d+")
    assert port.sub(b"", one.content) == port.sub(b"", other.content)


def test_the_index_names_every_address() -> None:
    with running(Sandbox(EMULATORS.values(), manual=True)) as server:
        index = httpx.get(server.url, trust_env=False).json()
        assert list(index) == NAMES
        for name in NAMES:
            assert index[name]["base_url"] == server.base_url(name) == f"{server.url}/{name}"
            assert server.settings(name) == {**index[name]["settings"], "base_url": server.base_url(name)}


def test_a_server_stops_quickly_and_frees_its_port() -> None:
    sandbox = Sandbox([], manual=True)
    with running(sandbox) as server:
        port = int(server.url.rpartition(":")[2])
        client = httpx.Client(trust_env=False)
        client.get(server.url)  # leaves a connection open
        start = time.monotonic()
    assert time.monotonic() - start < 2
    client.close()
    with running(sandbox, port):
        pass


def test_a_taken_port_is_an_error() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="in use"),
        running(Sandbox([]), taken.getsockname()[1]),
    ):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])  # noqa: S104
def test_only_loopback_is_served(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        serve(Sandbox([]), host)


def test_loopback_is_served_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[str, int]] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda server: served.append((server.config.host, server.config.port)))
    serve(Sandbox([]), "localhost", 8025)
    serve(Sandbox([]), "::1", 9000)
    assert served == [("localhost", 8025), ("::1", 9000)]


@pytest.mark.parametrize("name", NAMES)
def test_generic_faults(name: str, serve: Serve) -> None:
    vendor = serve(name)
    path = READS[name]
    for fault, status in (
        ("rate-limit", 429),
        ("rate-limit-bare", 429),
        ("server-error", 500),
        ("unavailable", 503),
        ("html", 502),
    ):
        vendor.faults.set(fault, 1)
        answer = vendor("GET", path)
        assert answer.status_code == status
        assert ("retry-after" in answer.headers) == (fault == "rate-limit")
        assert answer.headers["content-type"].startswith("text/html" if fault == "html" else "application/json")
        assert vendor.exchanges[-1].fault == fault
        assert vendor("GET", path).status_code == 200
    vendor.faults.set("truncated", 1)
    truncated = vendor("GET", path)
    assert truncated.status_code == 200
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        truncated.json()
    vendor.faults.set("wrong-json", 1)
    assert vendor("GET", path).json() == []
    vendor.faults.set("cut", 1)
    with pytest.raises(httpx.RemoteProtocolError):
        vendor("GET", path)
    assert vendor.exchanges[-1].fault == "cut"
    assert vendor("GET", path).status_code == 200


def test_a_cut_answer_was_processed(serve: Serve) -> None:
    vendor = serve("bird")
    contact = vendor.ok("GET", "/contacts")["results"][0]["id"]
    vendor.faults.set("cut", 1)
    with pytest.raises(httpx.RemoteProtocolError):
        vendor("DELETE", f"/contacts/{contact}")
    assert vendor("DELETE", f"/contacts/{contact}").status_code == 404


def test_a_refused_key_uses_up_no_fault(serve: Serve) -> None:
    vendor = serve("bird", faults=["server-error=1"])
    assert vendor("GET", "/contacts", headers={"authorization": "wrong"}).status_code == 401
    assert vendor("GET", "/contacts").status_code == 500
    assert vendor("GET", "/contacts").status_code == 200


def test_the_observer_sees_whole_exchanges(serve: Serve) -> None:
    vendor = serve("bird")
    body = {"identifier": {"key": "emailaddress", "value": "x@example.com"}}
    answer = vendor("POST", "/contacts/search?a=%2F", json=body)
    (exchange,) = vendor.exchanges
    assert (exchange.provider, exchange.method, exchange.status) == ("bird", "POST", 200)
    assert exchange.path == f"{PREFIXES['bird']}/contacts/search"
    assert exchange.url == f"{vendor.running.base_url('bird')}{exchange.path}?a=%2F"
    assert exchange.headers["authorization"] == HEADERS["bird"]["authorization"]
    assert exchange.body == answer.request.content
    assert exchange.response_body == answer.content
    assert exchange.response_headers["content-type"] == "application/json"
    assert "sandbox-access-key" not in repr(exchange)


def test_latency_delays_every_answer() -> None:
    with running(Sandbox([EMULATORS["bird"]], manual=True, latency=0.1)) as server:
        start = time.monotonic()
        httpx.get(f"{server.base_url('bird')}/x", headers=HEADERS["bird"], trust_env=False)
        assert time.monotonic() - start >= 0.1
