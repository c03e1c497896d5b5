"""Running one generator in several accounts: it yields the flow that each account is to run next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from typing import Any, TypeAlias, TypeVar

from contacts_core.client import AsyncContacts, Contacts
from contacts_core.config.accounts import open_provider
from contacts_core.errors import InvalidInput
from contacts_core.provider import Flow, Provider

__all__ = ["AccountFlows", "PlanGenerator", "run_in_accounts", "run_in_accounts_async"]

T = TypeVar("T")

AccountFlows: TypeAlias = Mapping[str, Flow[Any]]
"""The flow that each account is to run, by the account's name."""
PlanGenerator: TypeAlias = Generator[AccountFlows, Mapping[str, Any], T]
"""It yields flows, is sent what they returned, by account, and returns the result."""
Begin: TypeAlias = Callable[[Mapping[str, Provider]], PlanGenerator[T]]


def run_in_accounts(accounts: Iterable[str | Contacts[Any]], begin: Begin[T]) -> T:
    """Run a generator to its end, the flows of the accounts side by side. Return its result.

    Args:
        accounts: Names of accounts, which are opened for this, or open clients.
        begin: Returns the generator for these providers, by the account's name.

    Raises:
        InvalidInput: An account is given twice.
        ConfigurationError: There is no account with this name, or its settings are incomplete.
    """
    by_name = _by_name(accounts)
    with ExitStack() as opened:
        clients: dict[str, Contacts[Any]] = {}
        for name, account in by_name.items():
            clients[name] = opened.enter_context(_open(Contacts, name)) if isinstance(account, str) else account
        running = begin({name: client.provider for name, client in clients.items()})
        pool = opened.enter_context(ThreadPoolExecutor(len(clients) or 1, thread_name_prefix="contacts-plan"))
        answers: Mapping[str, Any] | None = None
        while True:
            try:
                flows_by_account = running.send(answers)  # type: ignore[arg-type]  # None begins a generator
            except StopIteration as stop:
                result: T = stop.value
                return result
            tasks = {name: pool.submit(clients[name].run, flow) for name, flow in flows_by_account.items()}
            answers = {name: task.result() for name, task in tasks.items()}


async def run_in_accounts_async(accounts: Iterable[str | AsyncContacts[Any]], begin: Begin[T]) -> T:
    """Run a generator as `run_in_accounts` does, asynchronously."""
    by_name = _by_name(accounts)
    async with AsyncExitStack() as opened:
        clients: dict[str, AsyncContacts[Any]] = {}
        for name, account in by_name.items():
            clients[name] = _open(AsyncContacts, name) if isinstance(account, str) else account
            if isinstance(account, str):
                opened.push_async_callback(clients[name].close)
        running = begin({name: client.provider for name, client in clients.items()})
        answers: Mapping[str, Any] | None = None
        while True:
            try:
                flows_by_account = running.send(answers)  # type: ignore[arg-type]  # as above
            except StopIteration as stop:
                result: T = stop.value
                return result
            done = await asyncio.gather(*(clients[name].run(flow) for name, flow in flows_by_account.items()))
            answers = dict(zip(flows_by_account, done, strict=True))


def _open(kind: Callable[..., T], name: str) -> T:
    return kind(open_provider(name, {}), name=name)


def _by_name(accounts: Iterable[Any]) -> dict[str, Any]:
    if isinstance(accounts, str):
        raise InvalidInput("expected a list of accounts, got a str", hint="put it into a list")
    by_name: dict[str, Any] = {}
    for account in accounts:
        name = account if isinstance(account, str) else account.name
        if name in by_name:
            raise InvalidInput(f"account {name} is given twice")
        by_name[name] = account
    return by_name
