"""Event hooks and before-send hooks: several at once, removable, and a failing event hook breaks nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from attrs import frozen

from contacts_core import AsyncContacts, Contacts, errors
from contacts_core.http import wire
from contacts_core.http.asynchronous import AsyncTransport
from contacts_core.http.blocking import BlockingTransport
from contacts_core.provider import Provider, Request, base_url_setting

KINDS = ["sync", "async"]
Answer = Callable[[httpx.Request], httpx.Response]


@frozen(kw_only=True)
class Acme(Provider):
    name = "acme"
    base_url: str = base_url_setting("https://api.acme.example")


ACME = Acme()


class Client:
    """One client of either kind, whose requests look blocking from here."""

    def __init__(self, kind: str, answer: Answer | None = None) -> None:
        self.slept: list[float] = []
        transport = httpx.MockTransport(answer or (lambda _: httpx.Response(200, json={})))
        self.client: Any
        if kind == "sync":
            blocking = BlockingTransport(ACME, httpx.Client(transport=transport), sleep=self.slept.append)
            self.client = Contacts(ACME, transport=blocking)
        else:
            other = AsyncTransport(ACME, httpx.AsyncClient(transport=transport), sleep=self._sleep)
            self.client = AsyncContacts(ACME, transport=other)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def get(self, *paths: str) -> None:
        if isinstance(self.client, Contacts):
            for path in paths:
                self.client.request("GET", path)
            return

        async def main() -> None:
            for path in paths:
                answer: Awaitable[Any] = self.client.request("GET", path)
                await answer

        asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_every_hook_is_called_and_each_is_removed_by_itself(kind: str) -> None:
    here, seen = Client(kind), list[tuple[int, str, int]]()

    def hook(number: int) -> Callable[[Any, Any], None]:
        return lambda call, answer: seen.append((number, call.path, answer.status_code))

    first = here.client.add_event_hook(hook(1))
    here.client.add_event_hook(hook(2))
    here.get("/a")
    assert seen == [(1, "/a", 200), (2, "/a", 200)]
    first()
    first()
    seen.clear()
    again = Client(kind)
    again.client.add_event_hook(hook(1))
    remove = again.client.add_event_hook(hook(2))
    remove()
    again.get("/b")
    assert seen == [(1, "/b", 200)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_function_twice_is_two_hooks(kind: str) -> None:
    here, seen = Client(kind), list[str]()

    def hook(call: Any, _: Any) -> None:
        seen.append(call.path)

    remove = here.client.add_event_hook(hook)
    here.client.add_event_hook(hook)
    remove()
    here.get("/a")
    assert seen == ["/a"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_that_fails_is_logged_and_the_request_continues(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    here, seen = Client(kind), list[str]()

    def broken(*_: object) -> None:
        raise ValueError("jane@example.com")

    here.client.add_event_hook(broken)
    here.client.add_event_hook(lambda call, _: seen.append(call.path))
    here.get("/a", "/b")
    assert seen == ["/a", "/b"]
    assert caplog.text.count("broken failed: ValueError") == 2
    assert "jane@" not in caplog.text


class Mute(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("kind", KINDS)
def test_the_warning_of_a_hook_that_fails_forges_nothing_and_holds_no_key(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    here = Client(kind)
    said = ["a\nERROR:root:forged\x1b[31m", "Authorization: Bearer sk_live_abcdef0123456789"]

    def broken(*_: object) -> None:
        raise ValueError(" ".join(said))

    here.client.add_event_hook(broken)
    here.get("/a")
    message = caplog.records[-1].getMessage()
    assert "broken failed: ValueError: a ERROR:root:forged" in message
    assert message.isprintable()
    assert "abcdef" not in message


@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_may_fail_without_a_text(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    here = Client(kind)

    def broken(*_: object) -> None:
        raise Mute

    here.client.add_event_hook(broken)
    here.get("/a", "/b")
    assert caplog.text.count("broken failed: Mute") == 2


def test_what_hooks_get_shows_no_personal_data() -> None:
    request = Request("GET", "/contacts", object, params={"email": "jane@example.com"}, json={"a": "jane@example.com"})
    answer = wire.Answer(200, {}, b'{"email": "jane@example.com"}')
    assert "jane" not in repr(request) + repr(answer)
    assert "200" in repr(answer)


@pytest.mark.parametrize("kind", KINDS)
def test_without_an_answer_hooks_get_none(kind: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("cut")

    here, seen = Client(kind, answer), list[object]()
    here.client.add_event_hook(lambda _, response: seen.append(response))
    with pytest.raises(errors.Unreachable):
        here.get("/a")
    assert seen
    assert set(seen) == {None}


@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_may_remove_itself_during_a_call(kind: str) -> None:
    here, seen = Client(kind), list[str]()

    def once(call: Any, _: Any) -> None:
        seen.append(call.path)
        remove()

    remove = here.client.add_event_hook(once)
    here.get("/a", "/b")
    assert seen == ["/a"]


@pytest.mark.parametrize("kind", KINDS)
def test_of_several_before_send_hooks_the_strictest_counts(kind: str) -> None:
    here, asked = Client(kind), list[str]()
    delays = iter([0.0, 0.0])

    def closed_at_first() -> float:
        asked.append("closed")
        return next(delays, 5.0)

    def generous() -> float:
        asked.append("generous")
        return 100.0

    here.client.add_before_send(closed_at_first)
    here.client.add_before_send(generous)
    here.get("/a")
    assert asked == ["closed", "generous"] * 3
    assert len(here.slept) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_before_send_hook_that_raises_keeps_the_request_back(kind: str) -> None:
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.path)
        return httpx.Response(200, json={})

    def refuse() -> float:
        raise errors.PlanRefused("not now")

    here = Client(kind, answer)
    here.client.add_before_send(lambda: 10.0)
    remove = here.client.add_before_send(refuse)
    with pytest.raises(errors.PlanRefused):
        here.get("/a")
    assert not sent
    remove()
    again = Client(kind, answer)
    again.client.add_before_send(refuse)()
    again.get("/b")
    assert sent == ["/b"]
