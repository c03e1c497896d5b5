"""Accounts in memory that are opened by name, as accounts of vendors are."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from attrs import Factory, field, frozen

from contacts_core.client import Contacts
from contacts_core.config import plugins
from contacts_core.provider import Provider, hookimpl
from contacts_core.testing.memory import MemoryProvider, Store

__all__ = ["registered_accounts"]


@contextmanager
def registered_accounts(accounts_file: Path) -> Generator[Callable[[str], Contacts[MemoryProvider]], None, None]:
    """Have accounts in memory opened by name as well, as long as the context lasts.

    Args:
        accounts_file: Where the accounts are written down; ``CONTACTS_FILE`` must name it.

    Yields:
        A function that makes the account of a name, where there is none yet, and returns a client for it.
    """
    stores: dict[str, Store] = {}

    @frozen(kw_only=True)
    class NamedMemory(MemoryProvider):
        """Contacts in memory, one store for each account."""

        account: str = ""
        store: Store = field(
            default=Factory(lambda self: stores.setdefault(self.account, Store()), takes_self=True), repr=False
        )

    class Plugin:
        @hookimpl
        def contacts_providers(self) -> list[type[Provider]]:
            return [NamedMemory]

    def open_account(name: str) -> Contacts[MemoryProvider]:
        stores.setdefault(name, Store())
        write()
        contacts: Contacts[MemoryProvider] = Contacts(NamedMemory(account=name), name=name)
        return clients.enter_context(contacts)

    def write() -> None:
        named = map(json.dumps, stores)
        tables = (f'[accounts.{key}]\nprovider = "{MemoryProvider.name}"\naccount = {key}\n' for key in named)
        accounts_file.write_text("\n".join(tables), encoding="utf-8")

    with ExitStack() as clients:
        write()
        plugin = Plugin()
        plugins.manager().register(plugin)
        clients.callback(plugins.registry.cache_clear)
        clients.callback(plugins.manager().unregister, plugin)
        plugins.registry.cache_clear()
        yield open_account
