"""Sequential paging at 50 ms latency, mapping included, as a share of the best that paging can reach.

The best is told twice: by the nominal latency alone, and by a bare client that gets the same pages one after the other
and does nothing with them, alternately in the same run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from benchmarks import bare_client, synthetic_contacts
from benchmarks.figures import Figure, paired
from benchmarks.server import PAGE, PAGES, serving
from contacts_bird import Bird
from contacts_core.client import Contacts
from contacts_user_api import UserApi

LATENCY = 0.05
TARGET = 0.95
CONSUMER = 0.02  # seconds that somebody takes for a page
WITH_CONSUMER = 0.98


def run(*, quick: bool) -> Iterator[Figure]:
    """Forty pages of a hundred contacts from each of the two vendors that page."""
    rounds = 1 if quick else 5
    with serving("bird", LATENCY) as address:
        bird = Bird(access_key="sandbox-access-key", workspace_id=synthetic_contacts.WORKSPACE, base_url=address)
        yield from _figures(bird, f"{address}{bird.path_prefix()}/contacts?pageToken=", 1, rounds)
    with serving("user-api", LATENCY) as address:
        user_api = UserApi(api_key="sandbox-user-key", base_url=address)
        yield from _figures(user_api, f"{address}{user_api.path_prefix()}/contacts?offset=", PAGE, rounds)


def _figures(provider: Bird | UserApi, page: str, step: int, rounds: int) -> Iterator[Figure]:
    addresses = [f"{page}{n * step}" for n in range(PAGES)]
    bare, ours, consumed = [], [], []
    with (
        bare_client.blocking() as client,
        Contacts(provider) as contacts,
    ):
        for _ in range(rounds):
            ours.append(_seconds_of_export(contacts))
            bare.append(_seconds_of_pages(client, addresses))
            consumed.append(_seconds_of_export(contacts, CONSUMER))
    a_page = min(ours) / PAGES
    speed = f"{PAGE / a_page:,.0f} contacts/s, {a_page * 1e3:.1f} ms a page"
    what = f"{provider.name}, pages of {PAGE}, share of the ideal"
    yield Figure(f"{what} by nominal {LATENCY * 1e3:.0f} ms", LATENCY / a_page, least=TARGET, note=speed, unit="{:.3f}")
    ideal = max(LATENCY, CONSUMER) * PAGES + min(LATENCY, CONSUMER)
    note = f"{min(consumed) / PAGES * 1e3:.1f} ms a page; the next page is read meanwhile"
    with_consumer = f"{what} with a consumer of {CONSUMER * 1e3:.0f} ms a page"
    yield Figure(with_consumer, ideal / min(consumed), least=WITH_CONSUMER, note=note, unit="{:.3f}")
    note = f"{min(bare) / PAGES * 1e3:.1f} ms a page by the bare client"
    yield Figure(f"{what} by the bare client", paired(bare, ours), least=TARGET, note=note, unit="{:.3f}")
    most = [seconds + CONSUMER for seconds in bare]  # while the last page is consumed, there is no other to wait for
    yield Figure(
        f"{with_consumer}, by the bare client", paired(most, consumed), least=WITH_CONSUMER, note=note, unit="{:.3f}"
    )


def _seconds_of_pages(client: httpx.Client, addresses: Sequence[str]) -> float:
    start = time.perf_counter()
    for address in addresses:
        client.get(address).raise_for_status()
    return time.perf_counter() - start


def _seconds_of_export(contacts: Contacts[Any], consumer: float = 0.0) -> float:
    start = time.perf_counter()
    count = 0
    for count, _ in enumerate(contacts.export(), 1):
        if consumer and count % PAGE == 0:
            time.sleep(consumer)
    assert count == PAGE * PAGES
    return time.perf_counter() - start
