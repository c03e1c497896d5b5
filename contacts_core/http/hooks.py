"""Functions of the caller's that a transport calls around its exchanges; any number of each, each removable."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any, TypeVar

from contacts_core.http.wire import Answer
from contacts_core.models.identifiers import scrub
from contacts_core.provider import Request
from contacts_core.provider.secrets import redact
from contacts_core.text import printable

__all__ = ["BeforeSend", "EventHook", "Hooks"]

T = TypeVar("T")

logger = logging.getLogger("contacts_core")

EventHook = Callable[[Request[Any], Answer | None], None]
"""Called after each exchange with the request and the HTTP response, or None if no complete response came."""

BeforeSend = Callable[[], float]
"""Called before each exchange; gives the seconds that the exchange may take, or 0 to be asked again in a moment."""


class Hooks:
    """The hooks of one transport."""

    def __init__(self) -> None:
        self._after: dict[object, EventHook] = {}
        self._before: dict[object, BeforeSend] = {}

    def add_event_hook(self, hook: EventHook) -> Callable[[], None]:
        """Call this after every exchange, besides the hooks that are there; return the function that removes it."""
        return _add(self._after, hook)

    def add_before_send(self, hook: BeforeSend) -> Callable[[], None]:
        """Ask this before every exchange, besides the hooks that are there; return the function that removes it."""
        return _add(self._before, hook)

    def allowed_s(self) -> float:
        """Return the seconds that the next exchange may take, the least that a hook gives; 0 means ask again."""
        if not self._before:
            return math.inf
        return min(hook() for hook in list(self._before.values()))

    def notify(self, request: Request[Any], answer: Answer | None) -> None:
        """Call the event hooks; if one fails, log a warning and go on."""
        if not self._after:
            return
        for hook in list(self._after.values()):
            try:
                hook(request, answer)
            except Exception as error:  # noqa: BLE001 - the caller's code may raise anything
                name = getattr(hook, "__qualname__", type(hook).__qualname__)
                logger.warning("event hook %s failed: %s", name, _told(error))


def _told(error: Exception) -> str:
    """Return what an exception of the caller's says, fit for a log."""
    name = type(error).__name__
    try:
        told = f"{name}: {error}"
    except Exception:  # noqa: BLE001 - the text of an exception is the caller's code, too
        return name
    return printable(redact(scrub(told)))


def _add(hooks: dict[object, T], hook: T) -> Callable[[], None]:
    key = object()  # the same function may be there twice
    hooks[key] = hook

    def remove() -> None:
        hooks.pop(key, None)

    return remove
