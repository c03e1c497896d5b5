"""The contract kit on a real Mailman: the environment variable CONTACTS_TEST_MAILMAN names the venv that has it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from contacts_core.testing import Harness, ProviderContract
from contacts_mailman import Mailman
from mailman_server import Server, running

VENV = os.environ.get("CONTACTS_TEST_MAILMAN", "")

pytestmark = pytest.mark.skipif(not VENV, reason="CONTACTS_TEST_MAILMAN does not name a venv with Mailman")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Mailman for all cases."""
    with running(Path(VENV), tmp_path_factory.mktemp("mailman")) as server:
        yield server


class SmallPages(Mailman):
    """Mailman in pages of five, so that a crowd of several pages is soon there."""

    name = "mailman"
    page_size = 5


class TestMailman(ProviderContract):
    """The kit's cases, each on an empty Mailman."""

    provider = SmallPages
    fewest_of_a_crowd = 11  # the pages are known to be small, and every user takes Mailman a few requests

    @pytest.fixture
    def account(self, server: Server) -> Mapping[str, Any]:
        """Settings of an account without people and lists."""
        self.server = server
        server.restore("empty")
        return server.settings()

    def populate(self, harness: Harness, count: int) -> None:
        """Bring people in: the first time with the provider, later from a copy of the database."""
        if not self.server.restore(f"people-{count}"):
            super().populate(harness, count)
            self.server.save(f"people-{count}")
