"""Every exchange that an adapter has with an emulator is checked against the vendor's own document."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from contacts_core.emulator import Exchange
from tests.openapi import Conformance, sendgrid_folder

SEEN: list[Exchange] = []


@cache
def conformance(vendor: str) -> Conformance:
    return Conformance.for_vendor(vendor)


@pytest.fixture(autouse=True)
def _exchanges_fit() -> Iterator[None]:
    SEEN.clear()
    yield
    for exchange in SEEN:
        if exchange.provider == "sendgrid" and sendgrid_folder() is None:
            continue
        conformance(exchange.provider).check(exchange)
