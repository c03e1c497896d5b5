"""The limits of the exchange under way, which our own connections keep to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["allowed_place", "authorizing", "deadline", "gone_out", "within"]

deadline: ContextVar[float] = ContextVar("contacts_core.deadline", default=float("inf"))
"""When the exchange under way must be over, by ``time.monotonic``; our own blocking clients keep to it."""

allowed_place: ContextVar[Callable[[str], None] | None] = ContextVar("contacts_core.allowed_place", default=None)
"""Raises if a connection of the exchange under way leads to an address where it must not; for our own clients."""

gone_out: ContextVar[threading.Event | None] = ContextVar("contacts_core.gone_out", default=None)
"""Set as soon as the request under way has gone out and its answer is waited for; by our own blocking clients."""

authorizing: ContextVar[tuple[object, ...]] = ContextVar("contacts_core.authorizing", default=())
"""Whose `authorize` runs here: its requests need no authorization themselves, those of another client do."""


@contextmanager
def within(seconds: float) -> Generator[None]:
    """Let what is done here take these seconds, at most."""
    token = deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        deadline.reset(token)
