"""Faults between the provider and a real Mailman: what is told of a change is compared with what is stored."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from contacts_core import Contact, Contacts, Identifier, Outcome
from contacts_core.errors import ContactsError
from contacts_core.testing import WIRE_FAULTS, FaultyTransport, attempt, misjudged
from contacts_mailman import Mailman
from mailman_server import DOMAIN, Server, running

VENV = os.environ.get("CONTACTS_TEST_MAILMAN", "")

pytestmark = pytest.mark.skipif(not VENV, reason="CONTACTS_TEST_MAILMAN does not name a venv with Mailman")

JANE, HOME = Identifier.email("jane@example.com"), Identifier.email("home@example.com")
OTHER = Identifier.email("other@example.com")
JOHN, WORK = Identifier.email("john@example.com"), Identifier.email("work@example.com")
NEWS, OFFERS = f"news.{DOMAIN}", f"offers.{DOMAIN}"
PASSING = {"cut", "unreachable", "unavailable", "rate-limit"}  # a repeated request outlasts one of them

Person = tuple[str, frozenset[str], frozenset[str]]
"""The name of a user, its addresses, and the lists that it is on."""


@frozen
class Stored:
    """What Mailman has: users by id, and the names of lists by id."""

    people: dict[str, Person]
    lists: dict[str, str]

    def owner(self, email: Identifier) -> Person | None:
        """Return the user with an address."""
        return next((each for each in self.people.values() if email.value in each[1]), None)


@frozen
class Act:
    """A change of what Mailman has.

    Attributes:
        perform: Makes it, with the id of Jane.
        done: Whether all of it is stored.
        writes: How many requests it takes that change something.
        repeatable: Whether its requests may all be sent again when an answer is lost.
    """

    perform: Callable[[Contacts[Any], str], Outcome]
    done: Callable[[Stored, str], bool]
    writes: int = 1
    repeatable: bool = True


def remove_address(client: Contacts[Any], jane: str) -> Outcome:
    """Remove the address that is subscribed; the subscription goes on with the other one."""
    return client.remove_identifier(jane, HOME)


def create(client: Contacts[Any], _: str) -> Outcome:
    """Create a user with two addresses on a list."""
    return client.upsert_contacts([Contact(identifiers=(JOHN, WORK), full_name="John Doe", lists=(NEWS,))])


def rename(client: Contacts[Any], jane: str) -> Outcome:
    """Change the name of a user, and give it another address."""
    return client.upsert_contacts([Contact(provider="mailman", id=jane, identifiers=(JANE, WORK), full_name="J. Roe")])


def call(act: Act, jane: str, client: Contacts[Any]) -> Outcome:
    """Perform an act."""
    return act.perform(client, jane)


ACTS = {
    "delete": Act(lambda client, jane: client.delete_contacts([jane]), lambda stored, jane: jane not in stored.people),
    "remove an address": Act(
        remove_address,
        lambda stored, jane: stored.people[jane][1:] == (frozenset({JANE.value}), frozenset({NEWS})),
        writes=2,
    ),
    "create": Act(
        create,
        lambda stored, _: stored.owner(JOHN) == ("John Doe", frozenset({JOHN.value, WORK.value}), frozenset({NEWS})),
        writes=3,
        repeatable=False,
    ),
    "rename": Act(
        rename,
        lambda stored, jane: stored.people[jane][0] == "J. Roe" and WORK.value in stored.people[jane][1],
        writes=2,
        repeatable=False,
    ),
    "join a list": Act(
        lambda client, jane: client.add_to_list(OFFERS, [jane]), lambda stored, jane: OFFERS in stored.people[jane][2]
    ),
    "leave a list": Act(
        lambda client, jane: client.remove_from_list(NEWS, [jane]),
        lambda stored, jane: NEWS not in stored.people[jane][2],
    ),
    "delete a list": Act(lambda client, _: client.delete_list(OFFERS), lambda stored, _: OFFERS not in stored.lists),
}


WRITES = [(name, first) for name, act in ACTS.items() for first in range(act.writes)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Mailman with two people and two lists, saved as ``people``."""
    with running(Path(VENV), tmp_path_factory.mktemp("mailman")) as server:
        with Contacts(Mailman(**server.settings())) as client:
            assert [client.create_list(name).id for name in ("News", "Offers")] == [NEWS, OFFERS]
            jane = Contact(identifiers=(JANE, HOME), full_name="Jane Roe", lists=(NEWS,))
            other = Contact(
                identifiers=(Identifier.email("other@example.com"),), full_name="Other", lists=(NEWS, OFFERS)
            )
            client.upsert_contacts([jane, other])
        server.save("people")
        yield server


def stored(server: Server) -> Stored:
    """Return what Mailman has."""
    with Contacts(Mailman(**server.settings())) as client:
        people = {
            each.id: (each.name, frozenset(i.value for i in each.identifiers), frozenset(each.lists or ()))
            for each in client.export()
        }
        return Stored(people, {each.id: each.name for each in client.lists()})


@pytest.mark.parametrize("times", [1, 99])
@pytest.mark.parametrize("fault", WIRE_FAULTS)
@pytest.mark.parametrize(("name", "first"), WRITES)
def test_what_is_told_of_a_change_is_so(server: Server, name: str, first: int, fault: str, times: int) -> None:
    """Let a fault strike each write of each change, once or for good."""
    act = ACTS[name]
    server.restore("people")
    before = stored(server)
    jane = next(id for id, each in before.people.items() if JANE.value in each[1])
    faults = FaultyTransport(fault, first=first, times=times)
    told = attempt(Mailman(**server.settings()), faults, partial(call, act, jane))
    after = stored(server)
    assert faults.struck
    others = [id for id in before.people if id != jane and after.people.get(id, ("",))[:2] != before.people[id][:2]]
    assert others == [], "others stay"
    assert len(after.people) <= len(before.people) + (name == "create"), "nobody is created twice"
    done = act.done(after, jane)
    assert misjudged(told, done=done, begun=after != before) == ""
    if times == 1 and fault in PASSING and act.repeatable:
        assert done, f"a change that may be repeated outlasts one fault: {told!r}"


@pytest.mark.parametrize("fault", WIRE_FAULTS)
@pytest.mark.parametrize("first", [0, 1])
def test_a_list_is_created_once_or_the_error_says_that_it_may_be(server: Server, fault: str, first: int) -> None:
    """Creating a list takes two writes: the list, and its name."""
    server.restore("people")
    before = stored(server)
    told = attempt(
        Mailman(**server.settings()), FaultyTransport(fault, first=first), lambda client: client.create_list("Again")
    )
    after = stored(server)
    if isinstance(told, ContactsError):
        assert misjudged(told, done=False, begun=after != before) == ""
    else:
        assert after.lists == {**before.lists, told.id: "Again"}


def test_what_is_half_done_is_finished_by_doing_it_again(server: Server) -> None:
    """A change that was cut off at any write is completed by the same call."""
    for name, act in ACTS.items():
        for first in range(act.writes):
            server.restore("people")
            jane = next(id for id, each in stored(server).people.items() if JANE.value in each[1])
            faults = FaultyTransport("cut", first=first, times=99)
            attempt(Mailman(**server.settings()), faults, partial(call, act, jane))
            with Contacts(Mailman(**server.settings())) as client:
                if not act.done(stored(server), jane):
                    act.perform(client, jane)
            assert act.done(stored(server), jane), f"{name}, cut off at write {first}"
