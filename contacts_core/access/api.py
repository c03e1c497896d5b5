"""The functions that make access reports, a blocking and an asynchronous one. Both only read."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from contacts_core.access.model import AccessReport
from contacts_core.access.reading import read_accounts
from contacts_core.client import AsyncContacts, Contacts
from contacts_core.errors import InvalidInput
from contacts_core.models import Identifier
from contacts_core.plans.model import IdentifierExpansion
from contacts_core.plans.planning.accounts import run_in_accounts, run_in_accounts_async

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
    return run_in_accounts(accounts, partial(read_accounts, _identifiers(person), follow))


async def access_report_async(
    person: Identifier | Iterable[Identifier],
    accounts: Iterable[str | AsyncContacts[Any]],
    *,
    follow: IdentifierExpansion = IdentifierExpansion.NO,
) -> AccessReport:
    """Read as `access_report` does, asynchronously."""
    return await run_in_accounts_async(accounts, partial(read_accounts, _identifiers(person), follow))


def _identifiers(person: Identifier | Iterable[Identifier]) -> tuple[Identifier, ...]:
    given: object = person
    if isinstance(given, str):
        raise InvalidInput("expected identifiers, got a str", hint="for example Identifier.email(...)")
    asked = tuple(dict.fromkeys([person] if isinstance(person, Identifier) else person))
    if not asked or not all(identifier.value.strip() for identifier in asked):
        raise InvalidInput("no identifiers given, or a blank one", hint="pass at least one identifier of the person")
    return asked
