"""The front doors: `connect` gives `Contacts`, `connect_async` gives `AsyncContacts`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contacts_core.client.async_client import AsyncContacts
from contacts_core.client.sync_client import Contacts
from contacts_core.config.accounts import open_provider
from contacts_core.http.wire import AsyncClient, Client

__all__ = ["AsyncContacts", "Contacts", "connect", "connect_async"]


def connect(
    name: str, *, client: Client | None = None, storage: str | Path | None = None, **settings: Any
) -> Contacts[Any]:
    """Open an account.

    Args:
        name: A provider's name, or an account's from the accounts file.
        client: An ``httpx.Client`` of your own, or anything with its interface. It is not closed here.
        storage: A storage whose tombstones hold back imports too, besides the one in force.
        **settings: The provider's settings; those missing come from the account, or from the environment.

    Raises:
        ConfigurationError: The name is unknown, or a setting is missing, unknown or wrong.
    """
    return Contacts(open_provider(name, settings), client, name=name, storage=storage)


def connect_async(
    name: str, *, client: AsyncClient | None = None, storage: str | Path | None = None, **settings: Any
) -> AsyncContacts[Any]:
    """Open an account for use with ``await``; see `connect`. ``client`` is an ``httpx.AsyncClient``."""
    return AsyncContacts(open_provider(name, settings), client, name=name, storage=storage)
