"""What a shell offers on Tab. Nothing here may fail or print: what cannot be known is not offered.

Names of accounts, runs and faults are known on this machine; names of lists and custom fields are asked of the vendor.
A shell puts what is offered into the command line as it is, so a text with any character that means something to a
shell or a terminal is left out. A list with such a name is still offered by its id.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

import typer

__all__ = [
    "accounts",
    "changeable_fields",
    "cleared_fields",
    "custom_fields",
    "faults",
    "fields",
    "lists",
    "providers",
    "runs",
    "shown_fields",
]

Complete = Callable[[typer.Context, str], list[str]]
PATIENCE = 5.0  # seconds; nobody waits longer for a Tab
SAFE = re.compile(r"[A-Za-z0-9_.@%+:,/][A-Za-z0-9_.@%+:=,/-]*")  # to any shell one word, and no option


def _quiet(names: Callable[[typer.Context], Iterable[str]]) -> Complete:
    """The names that begin as the last of the values that commas separate."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        before, comma, begun = incomplete.rpartition(",")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                values = [f"{before}{comma}{name}" for name in names(ctx) if name.startswith(begun)]
                return [value for value in values if SAFE.fullmatch(value)]
        except Exception:  # noqa: BLE001 - a traceback in the middle of a command line helps nobody
            return []

    complete.__doc__ = names.__doc__
    return complete


@_quiet
def accounts(_ctx: typer.Context) -> Iterable[str]:
    """Accounts of the file, and providers."""
    from contacts_core.config import plugins
    from contacts_core.config.accounts import accounts as in_file

    return dict.fromkeys((*in_file(), *plugins.registry().providers))


@_quiet
def providers(_ctx: typer.Context) -> Iterable[str]:
    """Providers."""
    from contacts_core.config import plugins

    return plugins.registry().providers


@_quiet
def lists(ctx: typer.Context) -> Iterable[str]:
    """Ids and names of the account's lists, as the vendor tells them now."""
    with _client(ctx) as client:
        return [text for each in client.lists() for text in (each.name, each.id)]


@_quiet
def custom_fields(ctx: typer.Context) -> Iterable[str]:
    """Names of the account's custom fields, as the vendor tells them now."""
    with _client(ctx) as client:
        return [f"{each.name}=" for each in client.custom_fields()]


@_quiet
def fields(_ctx: typer.Context) -> Iterable[str]:
    """Fields that a search can ask for."""
    from contacts_core.cli.conditions import NAMES

    return (*NAMES, "custom.")


@_quiet
def changeable_fields(_ctx: typer.Context) -> Iterable[str]:
    """Fields that can be set, each with the sign before its value."""
    from contacts_core.models import CHANGEABLE_FIELDS

    return (*(f"{name}=" for name in CHANGEABLE_FIELDS[:-1]), "custom.")


@_quiet
def cleared_fields(_ctx: typer.Context) -> Iterable[str]:
    """Fields that can be cleared."""
    from contacts_core.models import CHANGEABLE_FIELDS

    return (*CHANGEABLE_FIELDS[:-1], "custom.")


@_quiet
def shown_fields(ctx: typer.Context) -> Iterable[str]:
    """Fields that can be shown."""
    from contacts_core.cli import columns

    of_command = {
        "lists": columns.LIST_FIELDS,
        "fields": columns.FIELD_FIELDS,
        "accounts": columns.ACCOUNT_FIELDS,
        "runs": columns.RUN_FIELDS,
    }
    if ctx.parent and ctx.parent.info_name == "consent":
        return columns.CONSENT_FIELDS
    return of_command.get(ctx.info_name or "", columns.CONTACT_FIELDS)


@_quiet
def runs(ctx: typer.Context) -> Iterable[str]:
    """Runs of the storage in force, or of ``--storage``."""
    from contacts_core.plans import list_runs

    return [run.id for run in list_runs(storage=ctx.params.get("storage"))]


@_quiet
def faults(_ctx: typer.Context) -> Iterable[str]:
    """Faults of the emulators."""
    from contacts_core.emulator import FAULTS

    return FAULTS


@contextmanager
def _client(ctx: typer.Context) -> Generator[Any]:
    from contacts_core.cli.options import DEFAULT_ACCOUNT, chosen_account, pairs
    from contacts_core.client import Contacts
    from contacts_core.config.accounts import open_provider

    name = chosen_account(ctx.params.get("account") or DEFAULT_ACCOUNT)
    end = time.monotonic() + PATIENCE

    def left() -> float:
        if time.monotonic() >= end:
            raise TimeoutError
        return end - time.monotonic()

    with Contacts(open_provider(name, pairs("--set", ctx.params.get("settings"))), name=name) as client:
        client.add_before_send(left)
        yield client
