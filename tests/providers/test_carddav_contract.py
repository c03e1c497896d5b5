"""CardDAV keeps the contract on a real Radicale server, with a new user for each case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from attrs import frozen

from contacts_carddav import CardDav
from contacts_core.testing import ProviderContract
from tests.providers.dav_servers import Radicale


@pytest.fixture(scope="module")
def radicale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radicale]:
    server = Radicale(tmp_path_factory.mktemp("radicale"))
    with server.running():
        yield server


@frozen(kw_only=True)
class SmallPages(CardDav):
    """As it is, with smaller batches: the kit writes crowds of twice a page, and Radicale takes its time."""

    page_size = 4
    delete_batch_size = 3
    get_batch_size = 3
    member_batch_size = 3


class TestCardDav(ProviderContract):
    provider = SmallPages

    @pytest.fixture
    def account(self, radicale: Radicale) -> Iterator[Mapping[str, Any]]:
        account = radicale.account()
        yield account.settings
        account.http.close()
