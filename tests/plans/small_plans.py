"""Small plans of every kind, the accounts that they are for, and what these hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from contacts_core import Channel, Consent, ConsentState, Contact, Contacts, FieldType, Identifier
from contacts_core.emulator import Emulator, Exchange
from contacts_core.emulator.base import Truth
from contacts_core.formats import plain
from contacts_core.models import LossCode
from contacts_core.plans import (
    Plan,
    SafetyLimits,
    plan_copy,
    plan_deletion,
    plan_erasure,
    plan_identifier_removal,
    plan_list_addition,
    plan_list_removal,
    plan_undo,
    plan_upsert,
)
from contacts_core.plans.kinds import KINDS
from contacts_core.provider import ReadsConsent
from contacts_core.storage.tombstones import guard
from contacts_local import Local
from tests.plans.environment import Environment, open_environment, write_accounts_file

PEOPLE = 2
UNSTEADY = dict.fromkeys(("id", "created_at", "createdAt", "updated_at", "updatedAt", "_metadata"), "")
ALL = SafetyLimits(share=1)
NEW = Identifier.email("new.person@example.com")
# Nothing about refusals of e-mail: those must arrive.
LOSSES = (
    *(code.name for code in LossCode if code not in {LossCode.REFUSED, LossCode.NO_CONSENT}),
    *(f"REFUSED:{name}" for name in ("custom", "tags", "external_id", "phone", "lists", "organization", "address")),
    *(f"NO_CONSENT:{name}" for name in ("granted", "pending", "without_contact", "revoked.sms", "revoked.push")),
    *(f"NO_CONSENT:revoked.{name}" for name in ("whatsapp", "rcs")),
)


class World:
    """Accounts with few people, and an accounts file that leads other processes to them."""

    def __init__(self, folder: Path, told: Callable[[Exchange], None], opened: ExitStack, latency: float = 0.0) -> None:
        self.folder, self.clients = folder, list[Contacts[Any]]()
        self.seen: list[Exchange] = []
        self.told, self._opened, self._latency = told, opened, latency
        self._settings: dict[str, tuple[str, Mapping[str, Any]]] = {}
        self._emulators: dict[str, Emulator] = {}
        self._environments: list[Environment] = []

    def _observe(self, exchange: Exchange) -> None:
        self.seen.append(exchange)
        self.told(exchange)

    def serve(self, contacts: int) -> Environment:
        """Emulators of all vendors, with these many contacts each."""
        served = open_environment(contacts, told=self._observe, latency=self._latency)
        environment = self._opened.enter_context(served)
        self._environments.append(environment)
        return environment

    def account(self, environment: Environment, provider: str, name: str = "") -> Contacts[Any]:
        """An account at a vendor, under its own name or another one."""
        made, name = environment.client(provider).provider, name or provider
        self._emulators[name] = environment.sandbox.emulators[provider]
        return self._open(made, name, environment.server.settings(provider))

    def file(self, name: str) -> Contacts[Any]:
        """An account that is a local file."""
        path = self.folder / f"{name}.db"
        return self._open(Local(path=path), name, {"path": str(path)})

    def _open(self, provider: Any, name: str, settings: Mapping[str, Any]) -> Contacts[Any]:
        client = self._opened.enter_context(Contacts(provider, name=name, guard=guard(None)))
        self.clients.append(client)
        self._settings[name] = (provider.name, settings)
        return client

    def accounts_file(self) -> Path:
        """An accounts file that leads another process here."""
        return write_accounts_file(self.folder / "contacts.toml", self._settings)

    def settle(self) -> None:
        """Let everything happen that the vendors were asked for."""
        for environment in self._environments:
            environment.settle()

    def holdings(self) -> dict[str, Any]:
        """What each account holds, without ids and times; whoever is there twice, is in it twice."""
        return {client.name: self._holdings(client) for client in self.clients}

    def _holdings(self, client: Contacts[Any]) -> dict[str, Any]:
        names = {each.id: each.name for each in client.lists()}
        people = self.people(client.name)
        said = client.consent() if isinstance(client.provider, ReadsConsent) else ()
        return {
            "contacts": Counter((i, tuple(sorted(names[id] for id in lists)), fields) for i, lists, fields in people),
            "lists": Counter(names.values()),
            "fields": Counter((each.name, each.type.value) for each in client.custom_fields()),
            "consent": Counter((each.identifier, each.channel, each.state, each.scope) for each in said),
        }

    def people(self, name: str) -> list[tuple[str, tuple[str, ...], str]]:
        """The contacts of an account, as it has stored them: identifiers, ids of lists, and other fields."""
        if name in self._emulators:
            return [
                (str(each.identifiers), each.lists, str(sorted({**each.fields, **UNSTEADY}.items())))
                for each in self._emulators[name].truth().values()
            ]
        (client,) = (each for each in self.clients if each.name == name)
        return [
            (
                str(sorted((each.kind.value, each.value) for each in contact.identifiers)),
                tuple(contact.lists or ()),
                str(plain(evolve(contact, id="", identifiers=(), lists=(), created_at=None, updated_at=None))),
            )
            for contact in client.export()
        ]

    def others(self, plan: Plan) -> dict[int, dict[str, Truth]]:
        """Everything that the vendors have stored of people whom a plan is not about, also when it was written."""
        changes = [change for part in plan.accounts for change in part.changes]
        ids = {change.contact for change in changes}
        values = {each.value for change in changes for each in change.identifiers}
        return {
            n: {id: each for id, each in emulator.truth().items() if not (id in ids or _has(each, values))}
            for n, emulator in enumerate(e for each in self._environments for e in each.sandbox.emulators.values())
        }


def _has(truth: Truth, values: set[str]) -> bool:
    return any(value in values for _, value in truth.identifiers)


@contextmanager
def open_world(
    folder: Path, told: Callable[[Exchange], None] = lambda _: None, latency: float = 0.0
) -> Iterator[World]:
    """Accounts for one plan."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        yield World(folder, told, opened, latency)


# -- the plans -------------------------------------------------------------------------------------------------------


@frozen
class Case:
    """A small plan, and how to make it.

    Attributes:
        kind: The kind of plan.
        where: The vendors.
        make: Opens accounts in a world and returns the plan.
    """

    kind: str
    where: str
    make: Callable[[World, str], Plan]

    def plan(self, world: World) -> Plan:
        """The plan, for accounts that are open in a world from then on."""
        plan = self.make(world, self.where)
        assert plan.kind == self.kind
        assert plan.contacts >= PEOPLE
        world.seen.clear()
        return plan

    def __str__(self) -> str:
        return f"{self.kind}, {self.where}"


def _people(world: World, where: str) -> tuple[Contacts[Any], list[Identifier]]:
    environment = world.serve(5)
    emails = environment.emails(PEOPLE)
    assert len(emails) == PEOPLE
    return world.account(environment, where), emails


def _erase(world: World, where: str) -> Plan:
    environment = world.serve(5)
    accounts = [world.account(environment, name) for name in where.split("+")]
    return plan_erasure(environment.emails(PEOPLE), accounts)


def _delete(world: World, where: str) -> Plan:
    client, people = _people(world, where)
    return plan_deletion(client, people)


def _remove_identifier(world: World, where: str) -> Plan:
    client, people = _people(world, where)
    return plan_identifier_removal(people, [client])


def _remove_from_list(world: World, where: str) -> Plan:
    client, people = _people(world, where)
    (list_id,) = (each.id for each in client.lists() if each.name == "Newsletter")
    return plan_list_removal(client, list_id, people)


def _add_to_list(world: World, where: str) -> Plan:
    client, people = _people(world, where)
    return plan_list_addition(client, client.create_list("Guests").id, people)


def _upsert(world: World, where: str) -> Plan:
    client, (known, _) = _people(world, where)
    contacts = [
        Contact(identifiers=(each,), first_name="Janet", lists=("Guests",), custom={"shoe": "large"})
        for each in (known, NEW)
    ]
    return plan_upsert(client, contacts, create_lists=True, create_fields=True, accept_losses=LOSSES)


def _undo(world: World, where: str) -> Plan:
    plan = _upsert(world, where)
    storage = world.folder / "first"
    receipt = plan.apply(world.clients, storage=storage, pause=0.02, timeout=5)
    assert receipt.complete
    world.settle()
    return plan_undo(receipt.run, world.clients, storage=storage)


def _copy(world: World, where: str) -> Plan:
    """Two people, of whom one opted out."""
    old, new = where.split(" to ")
    first, second = world.serve(PEOPLE), world.serve(0)
    source = world.file("old") if old == "local" else world.account(first, old, "old")
    target = world.file("new") if new == "local" else world.account(second, new, "new")
    people = first.emails(PEOPLE)
    place = ""
    if old == "user-api":
        place = f"tag:{next(tag for contact in source.export() for tag in contact.tags or ())}"
    else:
        if old == "local":
            source.upsert_contacts([Contact(identifiers=(each,), first_name="Janet") for each in people])
        refused = Consent(people[1], Channel.EMAIL, ConsentState.REVOKED, at=datetime(2026, 1, 2, tzinfo=UTC))
        assert source.write_consent([refused], accept=["REASON_LOST", "DATE_LOST"]).succeeded_count
        first.settle()
    if new == "user-api":
        place = "field:consent"
        target.create_custom_field("consent", FieldType.TEXT)
    return plan_copy(
        source, target, create_fields=True, create_lists=True, consent_in=place, accept_losses=LOSSES, limits=ALL
    )


def _no_case(_: World, __: str) -> Plan:
    raise AssertionError("this kind of plan has no case, so nobody knows whether what holds for all holds for it")


PLANS = (
    Case("erase", "sendgrid+bird+user-api", _erase),
    Case("delete", "sendgrid", _delete),
    Case("remove-identifier", "user-api", _remove_identifier),
    Case("remove-from-list", "bird", _remove_from_list),
    Case("add-to-list", "sendgrid", _add_to_list),
    Case("upsert", "sendgrid", _upsert),
    Case("upsert", "user-api", _upsert),
    Case("copy", "sendgrid to bird", _copy),
    Case("copy", "bird to sendgrid", _copy),
    Case("copy", "local to user-api", _copy),
    Case("copy", "user-api to local", _copy),
    Case("undo", "bird", _undo),
    Case("undo", "user-api", _undo),
)
# A kind without a plan has a case that fails.
CASES = (*PLANS, *(Case(kind, "", _no_case) for kind in KINDS if kind not in {case.kind for case in PLANS}))
