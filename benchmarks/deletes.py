"""Ten thousand deletes, one request each, against 50 ms latency: how close eight in flight come to the ideal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from uuid import UUID

from benchmarks import synthetic_contacts
from benchmarks.figures import Figure
from benchmarks.server import serving
from contacts_bird import Bird
from contacts_core.client import AsyncContacts, Contacts
from contacts_core.provider import HttpSettings

LATENCY = 0.05
TARGET = 1.2


def run(*, quick: bool) -> Iterator[Figure]:
    """Both clients."""
    count = 400 if quick else 10_000
    ids = [str(UUID(int=n + 1, version=4)) for n in range(count)]
    ideal = count * LATENCY / HttpSettings().max_connections
    with serving("small", LATENCY) as address:
        provider = Bird(access_key="sandbox-access-key", workspace_id=synthetic_contacts.WORKSPACE, base_url=address)
        for way, seconds in (("sync", _blocking(provider, ids)), ("async", asyncio.run(_awaiting(provider, ids)))):
            note = f"{seconds:.1f} s of {ideal:.1f} s, {count / seconds:.0f} requests/s"
            yield Figure(f"{way}, {count:,} deletes, times the ideal", seconds / ideal, most=TARGET, note=note)


def _blocking(provider: Bird, ids: list[str]) -> float:
    with Contacts(provider) as contacts:
        start = time.perf_counter()
        outcome = contacts.delete_contacts(ids)
        assert len(outcome.confirmed) == len(ids)
        return time.perf_counter() - start


async def _awaiting(provider: Bird, ids: list[str]) -> float:
    async with AsyncContacts(provider) as contacts:
        start = time.perf_counter()
        outcome = await contacts.delete_contacts(ids)
        assert len(outcome.confirmed) == len(ids)
        return time.perf_counter() - start
