"""Accounts of every provider, compared with themselves, and with one of every other after their contacts are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import permutations
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from contacts_core import Contact, Contacts, Identifier
from contacts_core.models import OutcomeState
from contacts_core.plans import ComparisonStatus, check
from contacts_core.provider.effects import Sleep
from contacts_local import Local
from tests.providers.dav_servers import Radicale
from tests.providers.test_on_emulators import KINDS, account

PEOPLE = 12
NAMES = (*KINDS, "carddav", "local")
Accounts: TypeAlias = Callable[[str], AbstractContextManager[Contacts[Any]]]
STATUS = ComparisonStatus


@pytest.fixture(scope="module")
def radicale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radicale]:
    server = Radicale(tmp_path_factory.mktemp("radicale"))
    with server.running():
        yield server


@pytest.fixture(scope="module")
def accounts(radicale: Radicale, tmp_path_factory: pytest.TempPathFactory) -> Accounts:
    """Return what opens an account with a list: of an emulator with people, or empty."""

    @contextmanager
    def opened(name: str, people: int = 0) -> Iterator[Contacts[Any]]:
        with ExitStack() as stack:
            if name in KINDS:
                client: Contacts[Any] = stack.enter_context(account(name, contacts=people))[0]
            elif name == "carddav":
                book = radicale.account()
                stack.callback(book.http.close)
                client = stack.enter_context(Contacts(book.provider()))
            else:
                path: Path = tmp_path_factory.mktemp("local") / "people.db"
                client = stack.enter_context(Contacts(Local(path=path)))
            yield client

    return opened


def filled(client: Contacts[Any], name: str) -> list[Contact]:
    """Return the people of an account; those without an emulator get some."""
    if name not in KINDS:
        joined = client.ensure_list("Newsletter").id
        people = [
            Contact(
                identifiers=(Identifier.email(f"jane{n}@example.com"), Identifier.phone(f"+120255501{n:02}")),
                first_name=f"Jane{n}",
                last_name="Doe",
                full_name=f"Jane{n} Doe",
                organization="ACME",
                lists=(joined,) if n % 2 else (),
            )
            for n in range(PEOPLE)
        ]
        assert client.wait(client.upsert_contacts(people)).state is OutcomeState.DONE
    return list(client.export())


@pytest.mark.parametrize("name", NAMES)
def test_an_account_has_everything_that_it_has(name: str, accounts: Any) -> None:
    with accounts(name, PEOPLE) as client:
        people = filled(client, name)
        found = check(client, client)
        differing = {each.number: each.differences for each in found.rows(STATUS.DIFFERENT)}
        assert differing == {}
        assert found.counts[STATUS.EQUAL] == len(people) >= PEOPLE // 2
        assert found.is_complete()
        assert found.only_in_target == 0
        looked_up = check(client, client, everything=False)
        assert looked_up.counts == found.counts
        assert looked_up.only_in_target is None


@pytest.mark.parametrize(("source", "target"), list(permutations(NAMES, 2)))
def test_an_account_has_what_was_written_to_it_and_not_before(source: str, target: str, accounts: Any) -> None:
    with accounts(source, PEOPLE) as old, accounts(target) as new:
        people = filled(old, source)
        before = check(old, new, create_lists=True, create_fields=True)
        assert before.counts[STATUS.MISSING] + before.counts[STATUS.REFUSED] == len(people)
        assert before.only_in_target == 0
        for name in before.new_lists:
            new.create_list(name)
        for each in before.new_fields:
            new.create_custom_field(each.name, each.type)
        if before.new_fields and target in KINDS:
            new.run(iter(Sleep(10)))  # on the emulator's clock: new fields take no values for some seconds
        written = [each.written for each in before.rows(STATUS.MISSING) if each.written]
        assert new.wait(new.upsert_contacts(written)).state is OutcomeState.DONE
        after = check(old, new)
        differing = {each.number: each.differences for each in after.rows(STATUS.DIFFERENT)}
        assert differing == {}
        assert after.counts[STATUS.EQUAL] == len(written)
        assert after.counts[STATUS.REFUSED] == before.counts[STATUS.REFUSED]
        assert after.counts[STATUS.MISSING] == after.counts[STATUS.HELD] == 0
        assert after.only_in_target == 0
        assert (after.new_lists, after.new_fields) == ((), ())
        assert [(each.name, each.count) for each in after.losses.rows] == [
            (each.name, each.count) for each in before.losses.rows
        ]
        (first, *_) = new.export()
        new.wait(new.delete_contacts([first.id]))
        again = check(old, new, everything=False)
        assert (again.counts[STATUS.MISSING], again.counts[STATUS.EQUAL]) == (1, len(written) - 1)
