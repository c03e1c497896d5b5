"""The vendors as they are before each test, with a state of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import pytest

from contacts_core.config import plugins
from contacts_core.plans.receipts import receipt
from tests.plans.environment import Environment, lively, open_environment


@pytest.fixture(autouse=True)
def _lively() -> Iterator[None]:
    with lively():
        yield


@pytest.fixture
def environment() -> Iterator[Environment]:
    """Three vendors with a few people."""
    with open_environment() as served:
        yield served


@pytest.fixture
def register() -> Iterator[Callable[[object], None]]:
    """Register plugins for one test."""
    added: list[object] = []

    def add(plugin: object) -> None:
        added.append(plugin)
        plugins.manager().register(plugin, name=type(plugin).__name__)

    yield add
    for plugin in added:
        plugins.manager().unregister(plugin)


@pytest.fixture
def parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a good line once, and not each time that another line of the receipt is changed."""
    monkeypatch.setattr(receipt, "_parsed", lru_cache(1000)(receipt._parsed))
