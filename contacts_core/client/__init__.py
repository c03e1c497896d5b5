"""The clients: `connect` opens `Contacts`, `connect_async` opens `AsyncContacts`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contacts_core.client.async_client import AsyncContacts
from contacts_core.client.sync_client import Contacts
from contacts_core.config.accounts import open_provider
from contacts_core.http.protocols import AsyncClient, Client
from contacts_core.provider import HttpSettings
from contacts_core.storage.tombstones import guard

__all__ = ["AsyncContacts", "Contacts", "connect", "connect_async"]


def connect(
    name: str,
    *,
    client: Client | None = None,
    http: HttpSettings | Mapping[str, Any] | None = None,
    storage: str | Path | None = None,
    **settings: Any,
) -> Contacts[Any]:
    """Open an account.

    Args:
        name: A provider's name, or an account's from the accounts file.
        client: An ``httpx.Client`` of your own, or anything with its interface. It is not closed here.
        http: Attempts, timeouts and limits of requests, in place of those of the account: a `HttpSettings`, or a table
            of its settings such as ``{"attempts": 2}``.
        storage: A storage whose tombstones keep erased people from being written, besides the storage in force.
        **settings: The provider's settings; those missing come from the account, or from the environment.

    Raises:
        ConfigurationError: The name is unknown, or a setting is missing, unknown or wrong.
    """
    return Contacts(open_provider(name, _with_http(settings, http)), client, name=name, guard=guard(storage))


def connect_async(
    name: str,
    *,
    client: AsyncClient | None = None,
    http: HttpSettings | Mapping[str, Any] | None = None,
    storage: str | Path | None = None,
    **settings: Any,
) -> AsyncContacts[Any]:
    """Open an account for use with ``await``; see `connect`. ``client`` is an ``httpx.AsyncClient``."""
    return AsyncContacts(open_provider(name, _with_http(settings, http)), client, name=name, guard=guard(storage))


def _with_http(settings: dict[str, Any], http: HttpSettings | Mapping[str, Any] | None) -> dict[str, Any]:
    return settings if http is None else {**settings, "http": http}
