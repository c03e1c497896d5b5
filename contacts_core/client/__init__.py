"""The clients: `connect` opens `Contacts`, `connect_async` opens `AsyncContacts`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

from contacts_core.client.async_client import AsyncContacts
from contacts_core.client.sync_client import Contacts
from contacts_core.config.accounts import open_provider
from contacts_core.http.protocols import AsyncClient, Client
from contacts_core.provider import HttpSettings, Provider
from contacts_core.storage.tombstones import guard

__all__ = ["AsyncContacts", "Contacts", "connect", "connect_async"]

P = TypeVar("P", bound=Provider)


@overload
def connect(
    account: str,
    /,
    *,
    client: Client | None = ...,
    http: HttpSettings | Mapping[str, Any] | None = ...,
    storage: str | Path | None = ...,
    **settings: Any,
) -> Contacts[Any]: ...
@overload
def connect(
    account: type[P],
    /,
    *,
    client: Client | None = ...,
    http: HttpSettings | Mapping[str, Any] | None = ...,
    storage: str | Path | None = ...,
    **settings: Any,
) -> Contacts[P]: ...
def connect(
    account: str | type[Provider],
    /,
    *,
    client: Client | None = None,
    http: HttpSettings | Mapping[str, Any] | None = None,
    storage: str | Path | None = None,
    **settings: Any,
) -> Contacts[Any]:
    """Open an account.

    A type checker knows what the client can do if it is given the provider's class: ``connect(Acme).count()`` is an
    error unless ``Acme`` counts. By name it allows every method, and a missing one is refused when it is called.

    Args:
        account: The name of an account in the accounts file, or of a provider; or a provider class.
        client: An ``httpx.Client`` of your own, or anything with its interface. It is not closed here.
        http: Attempts, timeouts and limits of requests, in place of those of the account: a `HttpSettings`, or a table
            of its settings such as ``{"attempts": 2}``.
        storage: A storage whose tombstones keep erased people from being written, besides the storage in force.
        **settings: The provider's settings; those missing come from the account, or from the environment.

    Raises:
        ConfigurationError: The name is unknown, or a setting is missing, unknown or wrong.
    """
    return Contacts(
        open_provider(account, _with_http(settings, http)), client, name=_name(account), guard=guard(storage)
    )


@overload
def connect_async(
    account: str,
    /,
    *,
    client: AsyncClient | None = ...,
    http: HttpSettings | Mapping[str, Any] | None = ...,
    storage: str | Path | None = ...,
    **settings: Any,
) -> AsyncContacts[Any]: ...
@overload
def connect_async(
    account: type[P],
    /,
    *,
    client: AsyncClient | None = ...,
    http: HttpSettings | Mapping[str, Any] | None = ...,
    storage: str | Path | None = ...,
    **settings: Any,
) -> AsyncContacts[P]: ...
def connect_async(
    account: str | type[Provider],
    /,
    *,
    client: AsyncClient | None = None,
    http: HttpSettings | Mapping[str, Any] | None = None,
    storage: str | Path | None = None,
    **settings: Any,
) -> AsyncContacts[Any]:
    """Open an account for use with ``await``.

    Args:
        account: The name of an account in the accounts file, or of a provider; or a provider class, as for `connect`.
        client: An ``httpx.AsyncClient`` of your own, or anything with its interface. It is not closed here.
        http: Attempts, timeouts and limits of requests, in place of those of the account, as for `connect`.
        storage: A storage whose tombstones keep erased people from being written, besides the storage in force.
        **settings: The provider's settings; those missing come from the account, or from the environment.

    Raises:
        ConfigurationError: The name is unknown, or a setting is missing, unknown or wrong.
    """
    return AsyncContacts(
        open_provider(account, _with_http(settings, http)), client, name=_name(account), guard=guard(storage)
    )


def _name(account: str | type[Provider]) -> str:
    return account if isinstance(account, str) else account.name


def _with_http(settings: dict[str, Any], http: HttpSettings | Mapping[str, Any] | None) -> dict[str, Any]:
    return settings if http is None else {**settings, "http": http}
