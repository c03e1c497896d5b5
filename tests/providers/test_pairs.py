"""Contacts of every provider, written to every other one: what a preview shows of them is what a read shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from contacts_core import Contact, Contacts, Identifier
from contacts_core.models import OutcomeState
from contacts_core.testing import MemoryProvider
from contacts_core.testing.cases.preview import unlike
from contacts_local import Local
from tests.providers.dav_servers import Radicale
from tests.providers.test_on_emulators import KINDS, account

PEOPLE = 12
NAMES = (*KINDS, "carddav", "local", "memory")
Accounts = Callable[[str], AbstractContextManager[Contacts[Any]]]


@pytest.fixture(scope="module")
def radicale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radicale]:
    server = Radicale(tmp_path_factory.mktemp("radicale"))
    with server.running():
        yield server


@pytest.fixture(scope="module")
def accounts(radicale: Radicale, tmp_path_factory: pytest.TempPathFactory) -> Accounts:
    """Return what opens a new and empty account."""

    @contextmanager
    def opened(name: str) -> Iterator[Contacts[Any]]:
        if name in KINDS:
            with account(name) as (client, _):
                yield client
        elif name == "carddav":
            book = radicale.account()
            with Contacts(book.provider()) as client:
                yield client
            book.http.close()
        else:
            path: Path = tmp_path_factory.mktemp("local") / "people.db"
            with Contacts(MemoryProvider() if name == "memory" else Local(path=path)) as client:
                yield client

    return opened


@pytest.fixture(scope="module")
def sources(accounts: Accounts) -> dict[str, list[Contact]]:
    """Return what an export of each account gives; those without an emulator hold what came from the others."""
    found: dict[str, list[Contact]] = {}
    for name in KINDS:
        with account(name, contacts=PEOPLE) as (client, _):
            everyone = list(client.export())
            on_lists = dict(client.get_contacts([each.id for each in everyone]))
            found[name] = [on_lists[each.id] or each for each in everyone]
    for name in ("carddav", "local", "memory"):
        with accounts(name) as client:
            joined = client.create_list("Newsletter").id
            mixed = [each for kind in KINDS for each in found[kind][: PEOPLE // 3]]
            client.upsert_contacts(
                [evolve(each, provider="", id="", lists=(joined,), created_at=None, updated_at=None) for each in mixed]
            )
            found[name] = list(client.export())
    return found


@pytest.mark.parametrize(("source", "target"), list(permutations(NAMES, 2)))
def test_what_is_shown_of_another_vendors_contacts_is_there_afterwards(
    source: str, target: str, sources: dict[str, list[Contact]], accounts: Accounts
) -> None:
    people = sources[source]
    assert len(people) >= PEOPLE // 2
    with accounts(target) as client:
        shape = client.shape()
        previews = [client.preview(contact, shape) for contact in people]
        outcome = client.wait(client.upsert_contacts(people))
        assert outcome.state is OutcomeState.DONE, outcome
        written = [each.shown for each in previews]
        found = client.find([each.identifiers[0] for each in written if each])
        owners = [found[each.identifiers[0]] if each else None for each in written]
        read = client.get_contacts([owner.id for owner in owners if owner])
        problems = [
            problem
            for contact, preview, owner in zip(people, previews, owners, strict=True)
            for problem in unlike(contact, preview, read[owner.id] if owner else None)
        ]
        assert problems == []
        losses = Counter((loss.field, loss.code) for each in previews for loss in each.losses)
        assert {(each.field, each.code): each.count for each in outcome.losses} == losses
        assert set(outcome.dropped_fields) == {field for field, code in losses if not code.is_kept}
        memberships = sum(len(contact.lists or ()) for contact in people)
        assert sum(count for (field, _), count in losses.items() if field.startswith("lists.")) == memberships


def test_custom_values_have_the_same_types_from_every_provider(accounts: Accounts) -> None:
    day = date(2024, 2, 29)
    names = {"sendgrid": "renewal_date", "bird": "renewalDate", "user-api": "renewal_date", "local": "day"}
    for name, field in names.items():
        with accounts(name) as client:
            shape = client.shape()
            known = shape.field(field)
            assert known is not None or name == "local", [each.name for each in shape.fields or ()]
            given = Contact(identifiers=(Identifier.email("ada@example.com"),), first_name="Ada", custom={field: day})
            assert client.preview(given, shape).losses == ()
            client.wait(client.upsert_contacts([given]))
            (stored,) = client.export()
            again = client.get_contacts([stored.id])[stored.id]
            assert again is not None
            assert (stored.custom[field], type(stored.custom[field])) == (day, date), name
            assert (again.custom[field], type(again.custom[field])) == (day, date), name
