"""The functions that make access reports, a blocking and an asynchronous one. Both only read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from typing import Any

from contacts_core.access.model import AccessReport
from contacts_core.access.reading import read_accounts
from contacts_core.client import AsyncContacts, Contacts
from contacts_core.config.accounts import open_provider
from contacts_core.errors import InvalidInput
from contacts_core.models import Identifier
from contacts_core.plans.model import IdentifierExpansion

__all__ = ["access_report", "access_report_async"]


def access_report(
    person: Identifier | Iterable[Identifier],
    accounts: Iterable[str | Contacts[Any]],
    *,
    follow: IdentifierExpansion = IdentifierExpansion.NO,
) -> AccessReport:
    """Read everything that the accounts hold about one person. Nothing is changed.

    An account that cannot be read does not stop the others: the report says so, and is not `complete` then.

    Args:
        person: An identifier of the person, or several.
        accounts: Names of accounts, or open clients.
        follow: Whether to look for the other e-mail addresses and phone numbers of the contacts found as well. If not,
            the report's suggestions list them.

    Raises:
        InvalidInput: No identifier or no account was given, an identifier is blank, or an account is given twice.
        ConfigurationError: There is no account with this name, or its settings are incomplete.
    """
    asked, by_name = _identifiers(person), _by_name(accounts)
    with ExitStack() as opened:
        clients = {
            name: opened.enter_context(Contacts(open_provider(name, {}), name=name))
            if isinstance(account, str)
            else account
            for name, account in by_name.items()
        }
        pool = opened.enter_context(ThreadPoolExecutor(len(clients), thread_name_prefix="contacts-access"))
        reading = read_accounts(asked, follow, {name: client.provider for name, client in clients.items()})
        answers: Mapping[str, Any] | None = None
        while True:
            try:
                flows_by_account = reading.send(answers)  # type: ignore[arg-type]  # None begins a generator
            except StopIteration as stop:
                report: AccessReport = stop.value
                return report
            tasks = {name: pool.submit(clients[name].run, flow) for name, flow in flows_by_account.items()}
            answers = {name: task.result() for name, task in tasks.items()}


async def access_report_async(
    person: Identifier | Iterable[Identifier],
    accounts: Iterable[str | AsyncContacts[Any]],
    *,
    follow: IdentifierExpansion = IdentifierExpansion.NO,
) -> AccessReport:
    """Read as `access_report` does, asynchronously."""
    asked, by_name = _identifiers(person), _by_name(accounts)
    async with AsyncExitStack() as opened:
        clients: dict[str, AsyncContacts[Any]] = {}
        for name, account in by_name.items():
            if isinstance(account, str):
                clients[name] = AsyncContacts(open_provider(name, {}), name=name)
                opened.push_async_callback(clients[name].close)
            else:
                clients[name] = account
        reading = read_accounts(asked, follow, {name: client.provider for name, client in clients.items()})
        answers: Mapping[str, Any] | None = None
        while True:
            try:
                flows_by_account = reading.send(answers)  # type: ignore[arg-type]  # as above
            except StopIteration as stop:
                report: AccessReport = stop.value
                return report
            done = await asyncio.gather(*(clients[name].run(flow) for name, flow in flows_by_account.items()))
            answers = dict(zip(flows_by_account, done, strict=True))


def _identifiers(person: Identifier | Iterable[Identifier]) -> tuple[Identifier, ...]:
    given: object = person
    if isinstance(given, str):
        raise InvalidInput("expected identifiers, got a str", hint="for example Identifier.email(...)")
    asked = tuple(dict.fromkeys([person] if isinstance(person, Identifier) else person))
    if not asked or not all(identifier.value.strip() for identifier in asked):
        raise InvalidInput("no identifiers given, or a blank one", hint="pass at least one identifier of the person")
    return asked


def _by_name(accounts: Iterable[Any]) -> dict[str, Any]:
    if isinstance(accounts, str):
        raise InvalidInput("expected a list of accounts, got a str", hint="put it into a list")
    by_name: dict[str, Any] = {}
    for account in accounts:
        name = account if isinstance(account, str) else account.name
        if name in by_name:
            raise InvalidInput(f"account {name} is given twice")
        by_name[name] = account
    if not by_name:
        raise InvalidInput("no accounts given", hint="pass at least one account")
    return by_name
