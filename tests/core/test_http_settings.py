"""Attempts, timeouts and limits: each has an effect in both clients, from the accounts file and from `connect`."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from contacts_core import AsyncContacts, Contacts, connect, connect_async, errors
from contacts_core.config import plugins
from contacts_core.http import retry
from contacts_core.models import Contact, Page
from contacts_core.provider import Download, Flow, Gather, HttpSettings, Provider, Read, get, hookimpl
from tests.core.fake_providers import Bare, Paged
from tests.core.raw_server import RawServer, serving, whole

KINDS = ["sync", "async"]
PLACES = ["argument", "file", "environment"]
QUICK_S = 3.0
"""Far less than any default, and enough for a machine that is busy."""


@attrs.frozen(kw_only=True)
class Endless(Paged):
    """A vendor whose pages do not end."""

    name = "endless"

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        yield from get("/contacts", object)
        number = int(cursor or 0)
        return Page([Contact("endless", f"c{number}")], str(number + 1))


class Plugin:
    """Brings the vendors under their names."""

    @hookimpl
    def contacts_providers(self) -> list[type[Provider]]:
        return [Bare, Endless]


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    for cached in (plugins.registry, plugins.manager):
        cached.cache_clear()
    plugins.manager().register(Plugin(), name="vendors")
    yield
    for cached in (plugins.registry, plugins.manager):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "backoff_s", lambda *_: 0.0)


class Account:
    """An account whose settings are in one of the places, opened with one of the clients."""

    def __init__(self, kind: str, place: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.kind, self.place, self.path, self.patch = kind, place, folder / "contacts.toml", patch
        patch.setenv("CONTACTS_FILE", str(self.path))
        patch.setenv("ACME_API_KEY", "k")

    def __call__(
        self,
        use: Callable[[Any], Any],
        base_url: str = "https://api.acme.example",
        provider: str = "acme",
        answer: Any = None,
        **http: Any,
    ) -> Any:
        """Open the account and use it; ``use`` gets the client and returns something to await in the async one."""
        lines = ["[accounts.mine]", f"provider = {json.dumps(provider)}", f"base_url = {json.dumps(base_url)}"]
        options: dict[str, Any] = {}
        if self.place == "file":
            lines += ["[accounts.mine.http]", *(f"{name} = {json.dumps(value)}" for name, value in http.items())]
        elif self.place == "environment":
            text = ",".join(f"{name}={value}" for name, value in http.items())
            self.patch.setenv(f"{provider.upper()}_HTTP", text)
        else:
            options["http"] = http
        self.path.write_text("\n".join(lines), encoding="utf-8")
        transport = httpx.MockTransport(answer) if answer else None
        if self.kind == "sync":
            client = httpx.Client(transport=transport) if transport else None
            with connect("mine", client=client, **options) as contacts:
                return use(contacts)

        async def main() -> Any:
            later = httpx.AsyncClient(transport=transport) if transport else None
            async with connect_async("mine", client=later, **options) as contacts:
                return await use(contacts)

        return asyncio.run(main())


@pytest.fixture(params=[(kind, place) for kind in KINDS for place in PLACES], ids="-".join)
def account(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    kind, place = request.param
    return Account(kind, place, tmp_path, monkeypatch)


def ask(contacts: Any) -> Any:
    return contacts.request("GET", "/x")


class Timer:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began


@pytest.mark.parametrize("attempts", [1, 3])
def test_attempts(account: Account, attempts: int) -> None:
    with serving(lambda: [whole(b"", status="500 No")]) as server:
        with pytest.raises(errors.Unavailable):
            account(ask, server.address, attempts=attempts)
        assert len(server.requests) == attempts


def test_timeout_s(account: Account) -> None:
    def trickling() -> Iterator[bytes | float]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        for _ in range(100):
            yield b" "
            yield 0.1

    timer = Timer()
    with serving(trickling) as server, pytest.raises(errors.Unreachable):
        account(ask, server.address, timeout_s=0.4, attempts=1)
    assert timer.seconds < QUICK_S


def test_read_timeout_s(account: Account) -> None:
    timer = Timer()
    with serving(lambda: [10.0]) as server, pytest.raises(errors.Unreachable, match="ReadTimeout"):
        account(ask, server.address, read_timeout_s=0.3, attempts=1)
    assert timer.seconds < QUICK_S


def test_connect_timeout_s(account: Account) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        full = [socket.socket() for _ in range(4)]  # nobody accepts them, so that others are not answered
        for each in full:
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        timer = Timer()
        with pytest.raises(errors.Unreachable, match="ConnectTimeout"):
            account(ask, f"http://127.0.0.1:{server.getsockname()[1]}", connect_timeout_s=0.3, attempts=1)
        assert timer.seconds < QUICK_S
        for each in full:
            each.close()


def test_deadline_s(account: Account) -> None:
    timer = Timer()
    with serving(lambda: [whole(b"", "Retry-After: 5", status="503 No")]) as server:
        with pytest.raises(errors.Unavailable):
            account(ask, server.address, deadline_s=4)
        assert len(server.requests) == 1
    assert timer.seconds < QUICK_S


def test_deadline_s_holds_for_a_hook_that_never_allows_anything(account: Account) -> None:
    def held(contacts: Any) -> Any:
        contacts.add_before_send(lambda: 0.0)
        return ask(contacts)

    timer = Timer()
    with serving(lambda: [whole(b"5")]) as server:
        with pytest.raises(errors.DeadlineExceeded, match="the time for requests is over"):
            account(held, server.address, deadline_s=0.4)
        assert not server.requests
    assert timer.seconds < QUICK_S


@pytest.mark.parametrize("kind", KINDS)
def test_deadline_s_holds_for_the_wait_for_a_connection(kind: str) -> None:
    settings = HttpSettings(max_connections=1, deadline_s=0.4)
    waited: list[float] = []

    async def both(server: RawServer) -> None:
        async with AsyncContacts(Bare(api_key="k", base_url=server.address, http=settings)) as contacts:
            first = asyncio.ensure_future(contacts.request("GET", "/first"))
            await asyncio.sleep(0.2)
            timer = Timer()
            with pytest.raises(errors.DeadlineExceeded, match="the time for requests is over"):
                await contacts.request("GET", "/second")
            waited.append(timer.seconds)
            assert await first == 5
            assert await contacts.request("GET", "/third") == 5

    with serving(lambda: [2.0, whole(b"5")]) as server:
        if kind == "async":
            asyncio.run(both(server))
        else:
            with Contacts(Bare(api_key="k", base_url=server.address, http=settings)) as contacts:
                first = threading.Thread(target=contacts.request, args=("GET", "/first"))
                first.start()
                time.sleep(0.2)
                timer = Timer()
                with pytest.raises(errors.DeadlineExceeded, match="the time for requests is over"):
                    contacts.request("GET", "/second")
                waited.append(timer.seconds)
                first.join()
                assert contacts.request("GET", "/third") == 5
        assert len(server.requests) == 2
    assert waited[0] < 1.5


def test_client_deadline_s(account: Account) -> None:
    def twice(contacts: Any) -> Any:
        def flow() -> Flow[None]:
            yield from get("/x", object)
            time.sleep(0.3)
            yield from get("/x", object)

        return contacts.run(flow())

    with serving(lambda: [whole(b"5")]) as server:
        with pytest.raises(errors.DeadlineExceeded):
            account(twice, server.address, client_deadline_s=0.25)
        assert len(server.requests) == 1


def test_cancel_timeout_s(account: Account) -> None:
    if account.kind == "sync":
        pytest.skip("there are no tasks to cancel")

    async def cancelled(contacts: Any) -> None:
        task = asyncio.ensure_future(ask(contacts))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    timer = Timer()
    with serving(lambda: [8.0]) as server:
        account(cancelled, server.address, cancel_timeout_s=0.2)
    assert timer.seconds < QUICK_S


def test_max_pause_s(account: Account) -> None:
    timer = Timer()
    with serving(lambda: [whole(b"", "Retry-After: 5", status="429 No")]) as server:
        with pytest.raises(errors.RateLimited) as caught:
            account(ask, server.address, max_pause_s=4)
        assert len(server.requests) == 1
    assert caught.value.retry_after == 5
    assert timer.seconds < QUICK_S


@pytest.mark.parametrize("most", [1, 3])
def test_max_connections(account: Account, most: int) -> None:
    lock, under_way, seen = threading.Lock(), [0], list[int]()

    def script() -> Iterator[bytes | float]:
        with lock:
            under_way[0] += 1
            seen.append(under_way[0])
        yield 0.1
        with lock:
            under_way[0] -= 1
        yield whole(b"5")

    def several(contacts: Any) -> Any:
        def one() -> Flow[Any]:
            return (yield from get("/x", object))

        def flow() -> Flow[list[Any]]:
            return [each.value for each in (yield from Gather([one() for _ in range(6)], 8))]

        return contacts.run(flow())

    with serving(script) as server:
        assert account(several, server.address, max_connections=most) == [5] * 6
        assert max(seen) == most
        assert server.connections <= most


def test_max_answer_bytes(account: Account) -> None:
    with serving(lambda: [whole(b"[" + b"1," * 1000 + b"1]")]) as server:
        with pytest.raises(errors.UnexpectedPayload, match="larger than 1000 bytes") as caught:
            account(ask, server.address, max_answer_bytes=1000)
        assert "max_answer_bytes" in caught.value.hint


def test_max_pages(account: Account) -> None:
    def exported(contacts: Any) -> Any:
        if account.kind == "sync":
            return list(contacts.export())

        async def collected() -> list[Contact]:
            return [contact async for contact in contacts.export()]

        return collected()

    with pytest.raises(errors.UnexpectedPayload, match="more than 7 pages"):
        account(exported, provider="endless", answer=lambda _: httpx.Response(200, json=1), max_pages=7)


@pytest.mark.parametrize("on", [True, False])
def test_read_ahead(account: Account, *, on: bool) -> None:
    asked: list[object] = []

    def vendor(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json=1)

    def left_on_the_third_page(contacts: Any) -> Any:
        if account.kind == "sync":
            for number, _ in enumerate(contacts.export()):
                if number == 2:
                    return len(asked)

        async def main() -> int:
            number = 0
            stream = contacts.export()
            async for _ in stream:
                await asyncio.sleep(0.01)
                if number == 2:
                    break
                number += 1
            await stream.aclose()
            return len(asked)

        return main()

    account(left_on_the_third_page, provider="endless", answer=vendor, read_ahead=on)
    assert len(asked) == 3 + on


def test_allow_plain_http(account: Account) -> None:
    def nothing(_: Any) -> Any:
        return asyncio.sleep(0) if account.kind == "async" else None

    account(nothing, "http://vendor.example", allow_plain_http=True)
    with pytest.raises(errors.ConfigurationError, match="unencrypted"):
        account(nothing, "http://vendor.example", allow_plain_http=False)


def test_allow_private_files(account: Account) -> None:
    def fetched(contacts: Any) -> Any:
        def flow() -> Flow[bytes]:
            source = yield from Download("https://10.0.0.1/file")
            return (yield from Read(source))

        return contacts.run(flow())

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"data")

    assert account(fetched, answer=answer, allow_private_files=True) == b"data"
    with pytest.raises(errors.UnexpectedPayload, match="not public"):
        account(fetched, answer=answer, allow_private_files=False)


def test_each_setting_has_a_test_here() -> None:
    missing = [each.name for each in attrs.fields(HttpSettings) if f"test_{each.name}" not in globals()]
    assert missing == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"attemps": 2}, "http has no setting attemps"),
        ({"attempts": 0}, "http.attempts must be a positive whole number, not 0"),
        ({"attempts": 2.5}, "http.attempts must be a positive whole number"),
        ({"deadline_s": -1}, "http.deadline_s must be a positive number, not -1"),
        ({"deadline_s": "soon"}, "http.deadline_s must be a positive number, not 'soon'"),
        ({"allow_plain_http": "perhaps"}, "http.allow_plain_http must be true or false"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_setting_is_said(account: Account, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        account(ask, **wrong)
    assert message in str(caught.value)


def test_not_a_number_is_no_number_of_seconds() -> None:
    with pytest.raises(errors.ConfigurationError, match="deadline_s"):
        HttpSettings(deadline_s=float("nan"))


SECONDS = [each.name for each in attrs.fields(HttpSettings) if each.name.endswith("_s")]


@pytest.mark.parametrize("value", [float("inf"), 1e300, 100_000_001, 10**400], ids=["inf", "1e300", "1e8+1", "10**400"])
@pytest.mark.parametrize("name", SECONDS)
def test_seconds_have_an_end(name: str, value: float) -> None:
    settings: dict[str, Any] = {name: value}
    with pytest.raises(errors.ConfigurationError, match=f"http.{name} must be at most 100000000") as caught:
        HttpSettings(**settings)
    assert "three years" in caught.value.hint
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [10_001, 3_000_000, 10**400], ids=["10001", "3e6", "10**400"])
@pytest.mark.parametrize("name", ["attempts", "max_connections"])
def test_counts_of_attempts_and_connections_have_an_end(name: str, value: int) -> None:
    settings: dict[str, Any] = {name: value}
    with pytest.raises(errors.ConfigurationError, match=f"http.{name} must be at most 10000") as caught:
        HttpSettings(**settings)
    assert caught.value.hint


def test_the_largest_settings_are_fine() -> None:
    seconds: dict[str, Any] = dict.fromkeys(SECONDS, 1e8)
    largest = HttpSettings(attempts=10_000, max_connections=10_000, max_answer_bytes=2**62, max_pages=2**62, **seconds)
    with serving(lambda: [whole(b"5")]) as server:
        with Contacts(Bare(api_key="k", base_url=server.address, http=largest)) as contacts:
            assert contacts.request("GET", "/x") == 5

        async def main() -> None:
            async with AsyncContacts(Bare(api_key="k", base_url=server.address, http=largest)) as later:
                assert await later.request("GET", "/x") == 5

        asyncio.run(main())


def test_the_argument_goes_before_the_accounts_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "contacts.toml"
    path.write_text('[accounts.mine]\nprovider = "acme"\napi_key = "env:K"\n[accounts.mine.http]\nattempts = 2\n')
    monkeypatch.setenv("CONTACTS_FILE", str(path))
    monkeypatch.setenv("K", "k")
    with connect("mine") as contacts:
        assert contacts.provider.http == HttpSettings(attempts=2)
    with connect("mine", http=HttpSettings(attempts=4)) as contacts:
        assert contacts.provider.http == HttpSettings(attempts=4)
