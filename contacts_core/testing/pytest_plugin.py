"""Pytest fixtures for applications that use contacts-core: accounts in memory, without vendor and network.

Pytest finds them by itself where contacts-core is installed. The library is not imported before a test asks for one of
the fixtures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from contacts_core.client import Contacts
    from contacts_core.testing.memory import MemoryProvider

__all__ = ["MemoryAccount", "memory_account", "memory_contacts"]


class MemoryAccount(Protocol):
    """What the fixture `memory_account` gives."""

    def __call__(self, name: str, /) -> Contacts[MemoryProvider]:
        """Make the account of this name and return a client for it; the same account for the same name."""
        ...


@pytest.fixture
def memory_contacts() -> Iterator[Contacts[MemoryProvider]]:
    """A client for an empty account in memory, for code that is handed its client.

    ``AsyncContacts(memory_contacts.provider)`` is an asynchronous client for the same account.
    """
    from contacts_core.client import Contacts
    from contacts_core.testing.memory import MemoryProvider

    with Contacts(MemoryProvider()) as contacts:
        yield contacts


@pytest.fixture
def memory_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MemoryAccount]:
    """Make accounts in memory that `connect` and `connect_async` open by name, for code that opens its own client.

    During the test these are all the accounts there are: the accounts file of the machine is not read.

        def test_leaving(memory_account):
            contacts = memory_account("marketing")  # connect("marketing") opens the same account
    """
    from contacts_core.testing.memory_accounts import registered_accounts

    file = tmp_path / "memory-contacts.toml"
    monkeypatch.setenv("CONTACTS_FILE", str(file))
    with registered_accounts(file) as open_account:
        yield open_account
