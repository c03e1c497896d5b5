"""Three vendors to make and apply plans on, and what is true of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import pytest
import sqlalchemy as sa

from contacts_core import Contact, Contacts, Identifier
from contacts_core.config import plugins
from contacts_core.emulator import Exchange, Running, Sandbox, running
from contacts_core.emulator.registry import emulators
from contacts_core.formats import plain
from contacts_core.plans.execution import engine, runner
from contacts_core.plans.execution.engine import Engine
from contacts_core.provider import HttpSettings, flows
from contacts_core.storage import database
from contacts_core.storage.database import locate_storage
from contacts_core.storage.tombstones import guard

SPEED = 1200.0  # half a minute of the vendors' time in the blink of an eye
CHANGING = {"POST", "PUT", "PATCH", "DELETE"}


TABLES: list[bytes] = []  # at most one; a process that is started for a test is given that of the process before


def tables() -> bytes:
    """The file of the durable runs as it is when none was ever begun: making one takes as long as a small plan."""
    if not TABLES:
        with TemporaryDirectory() as folder:
            with Engine(locate_storage(folder)):
                pass
            TABLES.append((Path(folder) / "runs.sqlite").read_bytes())
    return TABLES[0]


def private(path: Path) -> None:
    """A private file; a new one has the tables already."""
    database.private(path)
    if not path.stat().st_size:
        path.write_bytes(tables())


class Compiled(dict[Any, Any]):
    """The statements that SQLAlchemy compiled, for all engines of one dialect; by itself, each engine has its own."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(self._shared(key), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(self._shared(key), value)

    @staticmethod
    def _shared(key: Any) -> Any:
        dialect, *others = key
        return (type(dialect), *others)


COMPILED = Compiled()
new_engine = sa.create_engine


def create_engine(*args: Any, **options: Any) -> sa.Engine:
    """An engine for which nothing is compiled that was compiled for another one: a test makes several."""
    made = new_engine(*args, **options)
    made.update_execution_options(compiled_cache=COMPILED)
    return made


@contextmanager
def lively() -> Iterator[None]:
    """Look more often than a user's process does whether something happened; what happens is the same."""
    tables()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "private", private)
        patch.setattr(sa, "create_engine", create_engine)
        patch.setattr(engine, "POLL_INTERVAL_S", 0.05)
        patch.setattr(runner, "POLL_INTERVAL_S", 0.05)
        patch.setattr(flows.pauses, "__defaults__", (0.02,))
        for begin in (runner.apply, runner.apply_async):
            patch.setattr(begin, "__kwdefaults__", {**(begin.__kwdefaults__ or {}), "pause": 0.02})
        yield


class Environment:
    """The emulators, a client of each, and everything that was sent to them."""

    def __init__(self, server: Running, seen: list[Exchange], attempts: int) -> None:
        self.server = server
        self.http = HttpSettings(attempts=attempts)
        self.sandbox = server.sandbox
        self.seen = seen
        self.clients = {name: self.client(name) for name in server.sandbox.emulators}

    def client(self, name: str) -> Contacts[Any]:
        """Another client."""
        provider = plugins.provider_class(name)(**self.server.settings(name), http=self.http)
        return Contacts(provider, name=name, guard=guard(None))

    @property
    def accounts(self) -> list[Contacts[Any]]:
        """Every client."""
        return list(self.clients.values())

    def everyone(self) -> dict[str, dict[str, Contact]]:
        """Who is there, read through the client."""
        return {name: {contact.id: contact for contact in client.export()} for name, client in self.clients.items()}

    def emails(self, count: int) -> list[Identifier]:
        """Addresses of people who are at every vendor."""
        having = [{c.email for c in contacts.values() if c.email} for contacts in self.everyone().values()]
        return [Identifier.email(email) for email in sorted(set.intersection(*having))[:count]]

    def settle(self) -> None:
        """Let everything happen that the vendors were asked for."""
        self.sandbox.faults.clear()
        self.sandbox.clock.advance(3600)

    def accounts_file(self, path: Path) -> Path:
        """An accounts file that leads other processes here."""
        return write_accounts_file(path, {name: (name, self.server.settings(name)) for name in self.clients})


def write_accounts_file(path: Path, accounts: Mapping[str, tuple[str, Mapping[str, Any]]]) -> Path:
    """Write an accounts file: provider and settings of each account, by its name. Keys are in files of their own."""
    lines: list[str] = []
    for name, (provider, settings) in accounts.items():
        lines += [f"[accounts.{json.dumps(name)}]", f"provider = {json.dumps(provider)}"]
        fields = {each.name: each for each in attrs.fields(plugins.provider_class(provider))}
        for setting, value in settings.items():
            written = value
            if fields[setting].metadata.get("secret"):
                kept = path.with_name(f"{name}.key")
                kept.write_text(value, encoding="utf-8")
                written = f"file:{kept}"
            lines.append(f"{setting} = {json.dumps(written)}")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@contextmanager
def open_environment(
    contacts: int = 12, *, told: Callable[[Exchange], None] | None = None, attempts: int = 5, **options: Any
) -> Iterator[Environment]:
    """Serve the three vendors."""
    seen: list[Exchange] = []

    def observe(exchange: Exchange) -> None:
        seen.append(exchange)
        if told:
            told(exchange)

    options.setdefault("speed", SPEED)
    kinds = emulators().values()
    with ExitStack() as opened:
        environment = Environment(
            opened.enter_context(running(Sandbox(kinds, contacts=contacts, observer=observe, **options))),
            seen,
            attempts,
        )
        for client in environment.accounts:
            opened.enter_context(client)
        yield environment


def without(people: dict[str, dict[str, Contact]], plan: Any) -> dict[str, Any]:
    """Everything of everybody whom the plan does not touch."""
    touched = {part.account: {target.contact for target in part.changes} for part in plan.accounts}
    return {
        name: {id: plain(contact) for id, contact in contacts.items() if id not in touched.get(name, ())}
        for name, contacts in people.items()
    }


def holders(people: dict[str, dict[str, Contact]], identifiers: Iterable[Identifier]) -> dict[str, set[str]]:
    """Ids of those who have any of these."""
    wanted = set(identifiers)
    return {
        name: {contact.id for contact in contacts.values() if not wanted.isdisjoint(contact.identifiers)}
        for name, contacts in people.items()
    }
