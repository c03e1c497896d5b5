"""Both transports, against transports in this process."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import attrs
import httpx
import httpx2
import pytest
from attrs import frozen

from contacts_core import AsyncContacts, Contacts, errors
from contacts_core.http.asynchronous import AsyncTransport
from contacts_core.http.blocking import BlockingTransport
from contacts_core.provider import (
    Download,
    Emit,
    Flow,
    Gather,
    HttpSettings,
    Provider,
    Read,
    Request,
    Settled,
    Sleep,
    Stream,
    base_url_setting,
    secret,
)
from tests.core.transport_harness import upload

Answer = Callable[[Any], Any]
KEY = "a-secret-key"


@frozen(kw_only=True)
class Acme(Provider):
    name = "acme"
    api_key: str = secret()
    base_url: str = base_url_setting("https://api.acme.example/base")

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}


ACME = Acme(api_key=KEY)


class Runner:
    """One transport of either kind, made to block."""

    def __init__(self, kind: str, library: Any, **options: Any) -> None:
        self.kind, self.library, self.options = kind, library, options
        self.slept: list[float] = []

    def __call__(self, flow: Flow[Any], answer: Answer, **client_options: Any) -> Any:
        transport = self.library.MockTransport(answer)
        if self.kind == "sync":
            with self.library.Client(transport=transport, **client_options) as client:
                return BlockingTransport(ACME, client, sleep=self.slept.append, **self.options).run(flow)

        async def main() -> Any:
            async def sleep(seconds: float) -> None:
                self.slept.append(seconds)

            async with self.library.AsyncClient(transport=transport, **client_options) as client:
                return await AsyncTransport(ACME, client, sleep=sleep, **self.options).run(flow)

        return asyncio.run(main())

    def stream(self, stream: Stream[Any], answer: Answer, take: int = 10**9, provider: Provider = ACME) -> list[Any]:
        transport = self.library.MockTransport(answer)
        if self.kind == "sync":
            found = []
            with self.library.Client(transport=transport) as client:
                items = BlockingTransport(provider, client).stream(stream)
                for item in items:
                    found.append(item)
                    if len(found) == take:
                        break
                items.close()  # type: ignore[attr-defined]
            return found

        async def main() -> list[Any]:
            found = []
            async with self.library.AsyncClient(transport=transport) as client:
                items = AsyncTransport(provider, client).stream(stream)
                async for item in items:
                    found.append(item)
                    if len(found) == take:
                        break
                await items.aclose()  # type: ignore[attr-defined]
            return found

        return asyncio.run(main())


@pytest.fixture(
    params=[(kind, library) for library in (httpx, httpx2) for kind in ("sync", "async")],
    ids=lambda way: f"{way[0]}-{way[1].__name__}",
)
def run(request: pytest.FixtureRequest) -> Runner:
    return Runner(*request.param)


def reply(request: Any, status: int = 200, **options: Any) -> Any:
    """An answer of the library that asks."""
    return (httpx2 if isinstance(request, httpx2.Request) else httpx).Response(status, **options)


def broken(request: Any) -> Exception:
    library = httpx2 if isinstance(request, httpx2.Request) else httpx
    error: Exception = library.ReadError("cut", request=request)
    return error


def ask(method: str = "GET", path: str = "/x", **options: Any) -> Flow[Any]:
    return (yield from Request(method, path, object, **options))


def sequence(*steps: Any) -> tuple[Answer, list[Any]]:
    """Answer with each step in turn: a status, an answer's options, or an exception to raise."""
    seen: list[Any] = []

    def answer(request: Any) -> Any:
        seen.append(request)
        step = steps[min(len(seen), len(steps)) - 1]
        if step == "cut":
            raise broken(request)
        return reply(request, step, json={"ok": step}) if isinstance(step, int) else reply(request, **step)

    return answer, seen


def test_a_call_goes_to_the_providers_address_with_its_key(run: Runner) -> None:
    answer, seen = sequence(200)
    assert run(ask("POST", "/a%20b", params={"q": "1&2"}, json={"ü": 1}), answer) == {"ok": 200}
    assert str(seen[0].url) == "https://api.acme.example/base/a%20b?q=1%262"
    assert seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert (seen[0].content, seen[0].headers["content-type"]) == ('{"ü":1}'.encode(), "application/json")


@pytest.mark.parametrize("fault", [429, 500, 503, "cut"])
def test_what_passes_is_outlasted(run: Runner, fault: Any) -> None:
    answer, seen = sequence(fault, fault, 200)
    assert run(ask(), answer) == {"ok": 200}
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [(429, errors.RateLimited), (500, errors.Unavailable), ("cut", errors.Unreachable)],
)
def test_after_five_tries_it_is_an_error(run: Runner, fault: Any, error: type[errors.ProviderError]) -> None:
    answer, seen = sequence(fault)
    with pytest.raises(error) as raised:
        run(ask(), answer)
    assert len(seen) == 5
    assert (raised.value.provider, raised.value.operation) == ("acme", "GET /x")
    assert KEY not in f"{raised.value!r} {raised.value}"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_refusal_is_not_repeated(run: Runner, status: int) -> None:
    answer, seen = sequence(status)
    with pytest.raises(errors.ProviderError):
        run(ask(), answer)
    assert len(seen) == 1


@pytest.mark.parametrize(("fault", "tries"), [("cut", 1), (500, 1), (429, 2)])
def test_what_could_act_twice_is_repeated_only_if_it_was_not_processed(run: Runner, fault: Any, tries: int) -> None:
    answer, seen = sequence(fault, 200)
    if tries == 1:
        with pytest.raises(errors.ProviderError):
            run(ask("POST", idempotent=False), answer)
    else:
        run(ask("POST", idempotent=False), answer)
    assert len(seen) == tries


def test_a_pause_longer_than_patience_is_an_error_at_once(run: Runner) -> None:
    answer, seen = sequence({"status": 429, "headers": {"retry-after": "3600"}})
    with pytest.raises(errors.RateLimited) as raised:
        run(ask(), answer)
    assert (len(seen), raised.value.retry_after) == (1, 3600.0)


def test_an_exhausted_window_is_waited_for(run: Runner) -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "7"}
    clock = [100.0]
    run.options["monotonic"] = lambda: clock[0]
    waited = run.slept

    class Sleeps(list[float]):
        def append(self, seconds: float) -> None:
            clock[0] += seconds
            super().append(seconds)

    run.slept = Sleeps()

    def twice() -> Flow[None]:
        yield from ask()
        yield from ask()

    answer, seen = sequence({"status": 200, "headers": headers, "json": 1}, 200)
    run(twice(), answer)
    assert (len(seen), sum(run.slept), waited) == (2, 7.0, [])


def test_a_window_that_ends_in_days_is_not_waited_for(run: Runner) -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "900000"}
    clock = [100.0]
    run.options["monotonic"] = lambda: clock[0]

    class Sleeps(list[float]):
        def append(self, seconds: float) -> None:
            clock[0] += seconds
            super().append(seconds)

    run.slept = Sleeps()

    def twice() -> Flow[None]:
        yield from ask()
        yield from ask()

    run(twice(), sequence({"status": 200, "headers": headers, "json": 1}, 200)[0])
    assert sum(run.slept) == 120.0


def test_no_redirect_carries_the_key_away(run: Runner) -> None:
    answer, seen = sequence({"status": 302, "headers": {"location": "https://elsewhere.example/"}})
    with pytest.raises(errors.ProviderError):
        run(ask(), answer, follow_redirects=True)
    assert [request.url.host for request in seen] == ["api.acme.example"]


def test_errors_reach_the_flow_and_can_be_handled(run: Runner) -> None:
    def careful() -> Flow[str]:
        try:
            yield from ask()
        except errors.NotFound:
            yield from Sleep(3)
            return "none"
        return "some"

    assert run(careful(), sequence(404)[0]) == "none"
    assert run.slept == [3]


def test_flows_run_side_by_side_in_order_and_within_bounds(run: Runner) -> None:
    active = [0, 0]
    lock = threading.Lock()

    def one(n: int) -> Flow[Any]:
        answer = yield from ask(path=f"/{n}")
        return n, answer

    def answer(request: Any) -> Any:
        with lock:
            active[0] += 1
            active[1] = max(active)
        time.sleep(0.002 if run.kind == "sync" else 0)
        with lock:
            active[0] -= 1
        return reply(request, json=request.url.path)

    def together() -> Flow[list[Settled[Any]]]:
        return (yield from Gather([one(n) for n in range(30)], 50))

    settled = run(together(), answer)
    assert [each.value for each in settled] == [(n, f"/base/{n}") for n in range(30)]
    assert 1 <= active[1] <= 8


@pytest.mark.parametrize(("status", "all_run"), [(404, True), (400, True), (401, False), (500, False)])
def test_errors_that_concern_one_do_not_stop_the_others(run: Runner, status: int, *, all_run: bool) -> None:
    def answer(request: Any) -> Any:
        return reply(request, status if request.url.path.endswith("/3") else 200, json={"message": "x"})

    def together() -> Flow[list[Settled[Any]]]:
        return (yield from Gather([ask(path=f"/{n}") for n in range(40)], 1))

    settled = run(together(), answer)
    assert isinstance(settled[3].error, errors.ProviderError)
    assert all(each.started for each in settled) is all_run
    assert settled[0].value == {"message": "x"}


def test_a_bug_in_a_flow_is_not_swallowed(run: Runner, caplog: pytest.LogCaptureFixture) -> None:
    def bug() -> Flow[None]:
        yield from ask()
        raise ZeroDivisionError

    def together() -> Flow[Any]:
        return (yield from Gather([bug(), bug()], 2))

    with pytest.raises((ZeroDivisionError, ExceptionGroup)):
        run(together(), sequence(200)[0])
    gc.collect()
    assert "never retrieved" not in caplog.text


def test_ctrl_c_leaves_nothing_half_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from contacts_core.http import blocking

    calls = []

    def interrupted(tasks: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            time.sleep(0.05)
            raise KeyboardInterrupt
        real(tasks)

    real = blocking.wait  # type: ignore[attr-defined]
    monkeypatch.setattr(blocking, "wait", interrupted)

    def answer(request: Any) -> Any:
        time.sleep(0.02)
        return reply(request, json=1)

    settled: list[Settled[Any]] = []

    def together() -> Flow[None]:
        settled.extend((yield from Gather([ask(path=f"/{n}") for n in range(200)], 2)))

    with pytest.raises(KeyboardInterrupt):
        Runner("sync", httpx)(together(), answer)
    done = [each for each in settled if each.value == 1]
    waiting = [each for each in settled if isinstance(each.error, errors.Cancelled)]
    assert done
    assert waiting
    assert len(done) + len(waiting) == 200
    assert not any(each.started for each in waiting)


def fetch(url: str) -> Flow[bytes]:
    source = yield from Download(url)
    whole = b""
    while data := (yield from Read(source)):
        whole += data
    return whole


def test_a_file_is_fetched_without_any_key(run: Runner) -> None:
    answer, seen = sequence({"status": 200, "content": b"data"})
    own = {"headers": {"Authorization": "theirs", "X-Other": "y"}, "auth": ("u", "p"), "cookies": {"c": "1"}}
    assert run(fetch("https://files.example/x?sig=1"), answer, **own) == b"data"
    assert not {"authorization", "cookie"} & {name.lower() for name in seen[0].headers}
    assert seen[0].headers["accept-encoding"] == "gzip"


def test_redirects_of_files_are_followed_to_http_addresses_only(run: Runner) -> None:
    to = {"status": 302, "headers": {"location": "/other"}}
    assert run(fetch("https://files.example/x"), sequence(to, {"status": 200, "content": b"ok"})[0]) == b"ok"
    for start, target in [
        ("https://files.example/x", "http://files.example/x"),
        ("https://files.example/x", "ftp://files.example/x"),
        ("https://files.example/x", "file:///etc/passwd"),
        ("http://files.example/x", ""),
        ("ftp://files.example/x", ""),
        ("file:///etc/passwd", ""),
    ]:
        answer, _ = sequence({"status": 302, "headers": {"location": target}}, {"status": 200, "content": b"bad"})
        with pytest.raises(errors.ProviderError):
            run(fetch(start), answer)


def test_redirects_without_end_are_an_error(run: Runner) -> None:
    answer, seen = sequence({"status": 302, "headers": {"location": "https://files.example/x"}})
    with pytest.raises(errors.UnexpectedPayload, match="redirects"):
        run(fetch("https://files.example/x"), answer)
    assert len(seen) == 5


def test_a_file_that_is_gone_or_cut_is_an_error(run: Runner) -> None:
    with pytest.raises(errors.NotFound):
        run(fetch("https://files.example/x"), sequence(404)[0])
    with pytest.raises(errors.Unreachable):
        run(fetch("https://files.example/x"), sequence("cut")[0])


def test_an_upload_has_the_given_headers_and_no_key(run: Runner) -> None:
    def send() -> Flow[None]:
        yield from upload("https://files.example/in", {"x-amz": "1"}, b"content")

    answer, seen = sequence(200)
    run(send(), answer, headers={"Authorization": "theirs"})
    assert (seen[0].method, seen[0].content, seen[0].headers["x-amz"]) == ("PUT", b"content", "1")
    assert "authorization" not in seen[0].headers
    for fault, error in [(403, errors.Forbidden), ("cut", errors.Unreachable)]:
        with pytest.raises(error):
            run(send(), sequence(fault)[0])


def numbers() -> Stream[int]:
    for n in range(3):
        yield from ask()
        yield Emit([n, n + 10])


def test_a_stream_gives_items_as_they_come(run: Runner) -> None:
    answer, seen = sequence(200)
    assert run.stream(numbers(), answer) == [0, 10, 1, 11, 2, 12]
    assert len(seen) == 3


def test_a_stream_that_is_left_asks_no_more(run: Runner) -> None:
    answer, seen = sequence(200)
    closed = []

    def watched() -> Stream[int]:
        try:
            yield from numbers()
        finally:
            closed.append(True)

    one_by_one = attrs.evolve(ACME, http=HttpSettings(read_ahead=False))
    assert run.stream(watched(), answer, take=3, provider=one_by_one) == [0, 10, 1]
    assert (len(seen), closed) == (2, [True])


def test_errors_reach_a_stream(run: Runner) -> None:
    def careful() -> Stream[str]:
        try:
            yield from ask()
        except errors.NotFound:
            yield Emit(["none"])

    assert run.stream(careful(), sequence(404)[0]) == ["none"]


def test_a_callers_client_stays_open_and_our_own_is_closed() -> None:
    with httpx.Client() as mine:
        with Contacts(ACME, mine):
            pass
        assert not mine.is_closed
    with Contacts(ACME) as contacts:
        (own,) = contacts._transport._idle
    assert own.is_closed

    async def main() -> None:
        async with httpx.AsyncClient() as client:
            async with AsyncContacts(ACME, client):
                pass
            assert not client.is_closed
        async with AsyncContacts(ACME) as waiting:
            (ours,) = waiting._transport._idle
        assert ours.is_closed
        assert not waiting._transport._idle

    asyncio.run(main())


def test_our_own_client_has_a_read_timeout() -> None:
    with Contacts(ACME) as contacts:
        (own,) = contacts._transport._idle
        assert own.timeout.read

    async def main() -> None:
        async with AsyncContacts(ACME) as waiting:
            (ours,) = waiting._transport._idle
            assert ours.timeout.read

    asyncio.run(main())
