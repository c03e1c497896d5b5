"""CPU that the library adds to each request, over the bare client with the same requests in flight.

Counted is the time of this process only; the server has one of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import httpx
from attrs import frozen

from benchmarks import crowd
from benchmarks.figures import Figure, interleaved, paired
from benchmarks.server import serving
from contacts_bird import Bird
from contacts_core.client import AsyncContacts, Contacts
from contacts_core.drivers import IN_FLIGHT, LIMITS, TIMEOUT
from contacts_core.provider import Rate

IDS = [contact["id"] for contact in crowd.bird(1_000)]


@frozen(kw_only=True)
class Unhindered(Bird):
    """Bird with its requests counted in both lanes, as always, and a rate that holds none of them back."""

    rates: ClassVar = {lane: Rate(100_000, 1) for lane in Bird.rates}


def run(*, quick: bool) -> Iterator[Figure]:
    """Both doors, one request at a time and eight at once."""
    rounds, requests = (9, 160) if quick else (25, 320)
    with serving("small") as address:
        provider = Unhindered(access_key="sandbox-access-key", workspace_id=crowd.WORKSPACE, base_url=address)
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
    root = provider.base_url + provider.root() + "/contacts/"
    return headers, (root + each for each in itertools.cycle(IDS))


def _blocking(provider: Bird, rounds: int, requests: int) -> Iterator[Figure]:
    headers, addresses = _addresses(provider)
    with (
        httpx.Client(timeout=TIMEOUT, limits=LIMITS) as client,
        Contacts(provider) as door,
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
                door.call("GET", f"/contacts/{IDS[n]}")

        def read() -> None:
            for n in range(requests):
                door.get_contacts([IDS[n]])

        def deleted() -> None:
            door.delete_contacts(IDS[:requests])

        get = lambda: bare("GET")  # noqa: E731 - one of the ways
        yield _figure("sync, 1 in flight, `call`", [get, called], rounds, requests, 0.10)
        yield _figure("sync, 1 in flight, `get_contacts` with its mapping", [get, read], rounds, requests, None)
        yield _figure("sync, 8 in flight, `delete_contacts`", [bare_together, deleted], rounds, requests, 0.10)


def _awaiting(
    provider: Bird, rounds: int, requests: int, run_in_loop: Callable[[Coroutine[Any, Any, None]], None]
) -> Iterator[Figure]:
    headers, addresses = _addresses(provider)
    client, door = httpx.AsyncClient(timeout=TIMEOUT, limits=LIMITS), AsyncContacts(provider)

    async def bare() -> None:
        for _ in range(requests):
            await client.request("GET", next(addresses), headers=headers)

    async def bare_together() -> None:
        todo = iter([next(addresses) for _ in range(requests)])

        async def work() -> None:
            for each in todo:
                await client.request("DELETE", each, headers=headers)

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work())

    async def called() -> None:
        for n in range(requests):
            await door.call("GET", f"/contacts/{IDS[n]}")

    async def read() -> None:
        for n in range(requests):
            await door.get_contacts([IDS[n]])

    async def deleted() -> None:
        await door.delete_contacts(IDS[:requests])

    async def close() -> None:
        await client.aclose()
        await door.close()

    def ways(*several: Callable[[], Coroutine[Any, Any, None]]) -> list[Callable[[], object]]:
        return [lambda each=each: run_in_loop(each()) for each in several]  # type: ignore[misc]

    yield _figure("async, 1 in flight, `call`", ways(bare, called), rounds, requests, 0.05)
    yield _figure("async, 1 in flight, `get_contacts` with its mapping", ways(bare, read), rounds, requests, None)
    yield _figure("async, 8 in flight, `delete_contacts`", ways(bare_together, deleted), rounds, requests, 0.05)
    run_in_loop(close())
