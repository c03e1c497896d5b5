"""CardDAV against real servers: Radicale and Xandikos from the package index."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contacts_core.client import Contacts
from contacts_core.models import Contact, Identifier
from tests.providers.dav_servers import Account, DavServer, Radicale, Xandikos


@pytest.fixture(scope="module", params=[Radicale, Xandikos], ids=["radicale", "xandikos"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    server: DavServer = request.param(tmp_path_factory.mktemp("dav"))
    with server.running():
        yield server


@pytest.fixture
def account(server: DavServer) -> Iterator[Account]:
    account = server.account()
    yield account
    account.http.close()


def test_smoke(account: Account) -> None:
    with Contacts(account.provider()) as client:
        jane = Contact(
            identifiers=(Identifier.email("jane@example.com"), Identifier.phone("+12025550101")),
            first_name="Jane",
            last_name="Doe",
            custom={"score": 5},
            tags=("a b", "c,d"),
        )
        out = client.upsert_contacts([jane])
        print(out, out.failed)
        found = client.find([Identifier.email("JANE@example.com")])
        print(found)
        (one,) = list(client.export())
        print(one, one.lists, one.tags, one.custom, one.extra, one.updated_at)
        print(client.count(), client.lists(), client.custom_fields())
        group = client.create_list("G")
        print(client.add_to_list(group.id, [one.id]), client.lists())
        print(client.get_contacts([one.id])[one.id].lists)
        print(client.remove_identifier(one.id, Identifier.phone("+1 202 555 0101")))
        print(list(client.search(__import__("contacts_core").F.first_name == "Jane")))
        ch = client.run(client.provider.changes())
        print(client.delete_contacts([one.id]))
        print(client.run(client.provider.changes(ch.token)))
        print(list(client.export()), client.lists(), client.delete_list(group.id), client.lists())
