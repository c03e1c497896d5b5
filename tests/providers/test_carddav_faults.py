"""Faults between the client and a real CardDAV server, which has no emulator: every claim is checked on the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from contacts_carddav import CardDav
from contacts_core.client import Contacts
from contacts_core.errors import ContactsError, Interrupted
from contacts_core.http.blocking import BlockingTransport
from contacts_core.models import Contact, Identifier, Outcome, OutcomeState
from tests.providers.dav_servers import NO_TLS, Account, Radicale
from tests.providers.test_carddav_servers import card

JANE, HOME = Identifier.email("jane@example.com"), Identifier.email("home@example.com")
JOHN = Identifier.email("john@example.com")
WRITES = {"PUT", "DELETE"}


class Faults(httpx.BaseTransport):
    """Passes requests to the server; something happens to the writes, from one of them on."""

    def __init__(self, fault: str, first: int, times: int) -> None:
        self._inner = httpx.HTTPTransport(verify=NO_TLS)
        self.fault, self.first, self.times = fault, first, times
        self.writes = self.struck = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method not in WRITES:
            return self._inner.handle_request(request)
        self.writes += 1
        if not self.first < self.writes <= self.first + self.times:
            return self._inner.handle_request(request)
        self.struck += 1
        if self.fault in {"cut", "error-after", "web-page-after"}:
            self._inner.handle_request(request).read()
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        match self.fault:
            case "cut" | "unreachable":
                raise httpx.ReadError("the connection was cut", request=request)
            case "unavailable":
                return httpx.Response(503)
            case "rate-limit":
                return httpx.Response(429, headers={"Retry-After": "1"})
            case "error-after":
                return httpx.Response(500)
            case "web-page" | "web-page-after":
                return httpx.Response(200, html="<!doctype html><title>Log in</title>")
            case _:
                raise AssertionError(self.fault)

    def close(self) -> None:
        self._inner.close()


FAULTS = ("cut", "unreachable", "unavailable", "rate-limit", "error-after", "web-page", "web-page-after")
Act = Callable[[Contacts[CardDav]], Outcome]
Stored = dict[str, tuple[str | None, frozenset[str]]]  # of each contact, by id: its title and its addresses
ACTS: dict[str, tuple[Act, Callable[[Stored], bool]]] = {
    "delete": (lambda client: client.delete_contacts(["u-1"]), lambda stored: "u-1" not in stored),
    "remove an identifier": (
        lambda client: client.remove_identifier("u-1", HOME),
        lambda stored: HOME.value not in stored["u-1"][1],
    ),
    "change": (
        lambda client: client.upsert_contacts([Contact(provider="carddav", id="u-1", title="Head")]),
        lambda stored: stored["u-1"][0] == "Head",
    ),
    "create": (
        lambda client: client.upsert_contacts([Contact(identifiers=(JOHN,), full_name="John Doe")]),
        lambda stored: any(JOHN.value in addresses for _, addresses in stored.values()),
    ),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radicale]:
    server = Radicale(tmp_path_factory.mktemp("dav"))
    with server.running():
        yield server


@pytest.fixture
def account(server: Radicale) -> Iterator[Account]:
    account = server.account()
    with closing(account.http):
        account.put("a.vcf", card("u-1", "EMAIL:jane@example.com", "EMAIL:home@example.com", "NOTE:kept"))
        account.put("b.vcf", card("u-2", "EMAIL:other@example.com"))
        yield account


def stored(account: Account) -> Stored:
    with httpx.Client(verify=NO_TLS) as http, Contacts(account.provider(), http) as client:
        return {each.id: (each.title, frozenset(i.value for i in each.identifiers)) for each in client.export()}


@pytest.mark.parametrize("times", [1, 99])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("act", ACTS)
def test_what_is_told_of_a_write_is_so(account: Account, act: str, fault: str, times: int) -> None:
    perform, is_done = ACTS[act]
    before = stored(account)
    faults = Faults(fault, 0, times)
    told: Any
    with httpx.Client(transport=faults) as http:
        provider = account.provider()
        client = Contacts(provider, transport=BlockingTransport(provider, http, sleep=lambda _: None))
        try:
            told = perform(client)
        except ContactsError as error:
            told = error
    after = stored(account)
    assert faults.struck
    assert {id: each for id, each in after.items() if id == "u-2"} == {"u-2": before["u-2"]}, "others stay"
    assert len(after) <= len(before) + (act == "create"), "nobody is created twice"
    if isinstance(told, Outcome) and told.state is OutcomeState.DONE:
        assert is_done(after), told
    elif isinstance(told, Outcome):
        assert not (told.state is OutcomeState.FAILED and is_done(after)), told
    else:
        unclear = told.unclear or isinstance(told, Interrupted)
        assert unclear or not is_done(after), repr(told)
    if times == 1 and fault in {"cut", "unreachable", "unavailable", "rate-limit"} and act != "create":
        assert is_done(after), f"a write that may be repeated outlasts one fault: {told!r}"
