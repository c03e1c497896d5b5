"""Faults between the client and a real CardDAV server, which has no emulator: every claim is checked on the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import httpx
import pytest

from contacts_carddav import CardDav
from contacts_core.client import Contacts
from contacts_core.models import Contact, Identifier, Outcome
from contacts_core.testing import WIRE_FAULTS, FaultyTransport, attempt, misjudged
from tests.providers.dav_servers import NO_TLS, Account, Radicale
from tests.providers.test_carddav_servers import card

JANE, HOME = Identifier.email("jane@example.com"), Identifier.email("home@example.com")
JOHN = Identifier.email("john@example.com")
WRITES = {"PUT", "DELETE"}  # POST only reads there


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
@pytest.mark.parametrize("fault", WIRE_FAULTS)
@pytest.mark.parametrize("act", ACTS)
def test_what_is_told_of_a_write_is_so(account: Account, act: str, fault: str, times: int) -> None:
    perform, is_done = ACTS[act]
    before = stored(account)
    faults = FaultyTransport(fault, times=times, methods=WRITES, verify=NO_TLS)
    told = attempt(account.provider(), faults, perform)
    after = stored(account)
    assert faults.struck
    assert {id: each for id, each in after.items() if id == "u-2"} == {"u-2": before["u-2"]}, "others stay"
    assert len(after) <= len(before) + (act == "create"), "nobody is created twice"
    assert misjudged(told, done=is_done(after), begun=is_done(after)) == ""
    if times == 1 and fault in {"cut", "unreachable", "unavailable", "rate-limit"} and act != "create":
        assert is_done(after), f"a write that may be repeated outlasts one fault: {told!r}"
