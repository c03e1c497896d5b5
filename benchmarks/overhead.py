"""CPU that the library adds to each request, over the bare client with the same requests in flight.

Counted is the time of this process only; the server has one of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar

from attrs import frozen

from benchmarks import bare_client, synthetic_contacts
from benchmarks.figures import Figure, interleaved, paired
from benchmarks.server import serving
from contacts_bird import Bird
from contacts_core.client import AsyncContacts, Contacts
from contacts_core.provider import RateLimit

IN_FLIGHT = bare_client.HTTP.max_connections

Work = Coroutine[Any, Any, None]
IDS = [contact["id"] for contact in synthetic_contacts.bird(1_000)]


@frozen(kw_only=True)
class Unhindered(Bird):
    """Bird with its requests counted in both lanes, as always, and a rate that holds none of them back."""

    rate_limits: ClassVar = {rate_limit: RateLimit(100_000, 1) for rate_limit in Bird.rate_limits}


def run(*, quick: bool) -> Iterator[Figure]:
    """Both clients, one request at a time and eight at once."""
    rounds, requests = (5, 80) if quick else (25, 320)
    with serving("small") as address:
        provider = Unhindered(
            access_key="sandbox-access-key", workspace_id=synthetic_contacts.WORKSPACE, base_url=address
        )
        yield from _blocking(provider, rounds, requests)
        with asyncio.Runner() as runner:
            yield from _awaiting(provider, rounds, requests, runner.run)


def _figure(what: str, ways: list[Callable[[], object]], rounds: int, requests: int, most: float | None) -> Figure:
    for way in ways:  # once in vain: connections, caches
        way()
    bare, ours = interleaved(ways, rounds, clock=time.process_time)
    note = f"{min(ours) / requests * 1e6:.0f} us of CPU a request, of which bare {min(bare) / requests * 1e6:.0f}"
    return Figure(f"{what}, CPU over the bare client", paired(ours, bare) - 1, most=most, note=note, unit="{:.1%}")


def _addresses(provider: Bird) -> tuple[dict[str, str], Iterator[str]]:
    headers = {"Accept": "application/json", **provider.headers()}
    root = provider.base_url + provider.path_prefix() + "/contacts/"
    return headers, (root + each for each in itertools.cycle(IDS))


def _blocking(provider: Bird, rounds: int, requests: int) -> Iterator[Figure]:
    headers, addresses = _addresses(provider)
    with (
        bare_client.blocking() as client,
        Contacts(provider) as contacts,
        ThreadPoolExecutor(IN_FLIGHT) as pool,
    ):

        def bare(method: str) -> None:
            for _ in range(requests):
                client.request(method, next(addresses), headers=headers)

        def bare_together() -> None:
            todo = iter([next(addresses) for _ in range(requests)])
            lots = [[next(todo) for _ in range(requests // IN_FLIGHT)] for _ in range(IN_FLIGHT)]

            def work(lot: list[str]) -> None:
                for each in lot:
                    client.request("DELETE", each, headers=headers)

            list(pool.map(work, lots))

        def called() -> None:
            for n in range(requests):
                contacts.request("GET", f"/contacts/{IDS[n]}")

        def read() -> None:
            for _ in range(requests):
                contacts.get_contacts(IDS[:1])  # the one that the server holds

        def deleted() -> None:
            contacts.delete_contacts(IDS[:requests])

        get = partial(bare, "GET")
        yield _figure("sync, 1 in flight, `call`", [get, called], rounds, requests, 0.10)
        yield _figure("sync, 1 in flight, `get_contacts` with its mapping", [get, read], rounds, requests, None)
        yield _figure("sync, 8 in flight, `delete_contacts`", [bare_together, deleted], rounds, requests, 0.10)


def _awaiting(provider: Bird, rounds: int, requests: int, run_in_loop: Callable[[Work], None]) -> Iterator[Figure]:
    awaited = _Awaited(provider, requests)

    def ways(*several: Callable[[], Work]) -> list[Callable[[], object]]:
        return [partial(lambda each: run_in_loop(each()), each) for each in several]

    yield _figure("async, 1 in flight, `call`", ways(awaited.bare, awaited.called), rounds, requests, 0.05)
    what = "async, 1 in flight, `get_contacts` with its mapping"
    yield _figure(what, ways(awaited.bare, awaited.read), rounds, requests, None)
    what = "async, 8 in flight, `delete_contacts`"
    yield _figure(what, ways(awaited.bare_together, awaited.deleted), rounds, requests, 0.05)
    run_in_loop(awaited.close())


class _Awaited:
    """The ways of the asynchronous client."""

    def __init__(self, provider: Bird, requests: int) -> None:
        self._client = bare_client.asynchronous()
        self._contacts = AsyncContacts(provider)
        self._requests = requests
        self._headers, self._addresses = _addresses(provider)

    async def bare(self) -> None:
        for _ in range(self._requests):
            await self._client.request("GET", next(self._addresses), headers=self._headers)

    async def bare_together(self) -> None:
        todo = iter([next(self._addresses) for _ in range(self._requests)])

        async def work() -> None:
            for each in todo:
                await self._client.request("DELETE", each, headers=self._headers)

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work())

    async def called(self) -> None:
        for n in range(self._requests):
            await self._contacts.request("GET", f"/contacts/{IDS[n]}")

    async def read(self) -> None:
        for _ in range(self._requests):
            await self._contacts.get_contacts(IDS[:1])  # the one that the server holds

    async def deleted(self) -> None:
        await self._contacts.delete_contacts(IDS[: self._requests])

    async def close(self) -> None:
        await self._client.aclose()
        await self._contacts.close()
