"""How many requests a delete of ten thousand contacts costs, counted by the emulators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from benchmarks.figures import Figure
from contacts_core import Identifier
from contacts_core.client import Contacts, connect
from contacts_core.emulator import Exchange, Running, Sandbox, running
from contacts_core.emulator.registry import emulators
from contacts_core.emulator.synthetic_contacts import people

SEED = 1


def run(*, quick: bool) -> Iterator[Figure]:
    """SendGrid by known ids and by e-mail addresses, Bird by ids."""
    count = 1_000 if quick else 10_000
    for name, ways in (("sendgrid", ("ids", "emails")), ("bird", ("ids",))):
        seen: Counter[str] = Counter()

        def note(exchange: Exchange, seen: Counter[str] = seen) -> None:
            seen[f"{exchange.method} {exchange.status}"] += 1

        crowd = count if "emails" in ways else 0  # an id that nobody has costs the same request
        sandbox = Sandbox([emulators()[name]], contacts=crowd, seed=SEED, speed=1_000, observer=note)
        with running(sandbox) as server, _opened(server, name) as contacts:
            for way in ways:
                seen.clear()
                ids = _known(count) if way == "ids" else _found(contacts, count)
                outcome = contacts.delete_contacts(ids)
                assert outcome.requested == count
                each = 1 if name == "bird" else 100
                most = count // each * (2 if way == "emails" else 1)
                said = ", ".join(f"{number:,} x {what}" for what, number in sorted(seen.items()))
                what = f"{name}, delete of {count:,} {way}, requests"
                yield Figure(what, seen.total(), most=most, note=said, unit="{:,.0f}")


def _opened(server: Running, name: str) -> Contacts[Any]:
    settings: dict[str, Any] = {**server.settings(name)}
    return connect(name, **settings)


def _known(count: int) -> list[str]:
    return [str(UUID(int=n + 1, version=4)) for n in range(count)]


def _found(contacts: Contacts[Any], count: int) -> list[str]:
    found = contacts.find(Identifier.email(person.email) for person in people(count, SEED))
    return [contact.id for contact in found.values() if contact]
