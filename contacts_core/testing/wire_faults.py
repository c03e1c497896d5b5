"""Faults between a provider and a real server, where no emulator can have them.

@pytest.mark.parametrize("fault", WIRE_FAULTS)
def test_what_is_told_of_a_deletion_is_so(server: Server, fault: str) -> None:
faults = FaultyTransport(fault)
told = attempt(Acme(**server.settings()), faults, lambda client: client.delete_contacts(["1"]))
assert faults.struck
assert misjudged(told, done="1" not in server.ids(), begun="1" not in server.ids()) == ""
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import httpx

from contacts_core.client import Contacts
from contacts_core.errors import ContactsError, Interrupted
from contacts_core.http.blocking import BlockingTransport
from contacts_core.models import Outcome, OutcomeState
from contacts_core.provider import Provider

__all__ = ["WIRE_FAULTS", "FaultyTransport", "attempt", "misjudged"]

T = TypeVar("T")

WIRE_FAULTS = ("cut", "unreachable", "unavailable", "rate-limit", "error-after", "web-page", "web-page-after")
"""What can happen to a request.

``unreachable``, ``unavailable``, ``rate-limit`` and ``web-page`` keep it from the server. With ``cut``, ``error-after``
and ``web-page-after`` the server carries it out, and the client is told nothing, an error, or nonsense.
"""

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
CARRIED_OUT = frozenset({"cut", "error-after", "web-page-after"})


class FaultyTransport(httpx.BaseTransport):
    """Passes requests to the server; something happens to the writes, from one of them on.

    Attributes:
        writes: Writes that were sent so far.
        struck: How many of them the fault has struck.
    """

    def __init__(
        self,
        fault: str,
        *,
        first: int = 0,
        times: int = 1,
        methods: Collection[str] = WRITES,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """Let a fault strike some writes.

        Args:
            fault: One of `WIRE_FAULTS`.
            first: How many writes reach the server before it strikes.
            times: How many writes it strikes then.
            methods: The HTTP methods of writes.
            verify: See `httpx.HTTPTransport`.

        Raises:
            ValueError: There is no such fault.
        """
        if fault not in WIRE_FAULTS:
            message = f"there is no fault {fault!r}; choose from {', '.join(WIRE_FAULTS)}"
            raise ValueError(message)
        self._inner = httpx.HTTPTransport(verify=verify)
        self._fault, self._first, self._times, self._methods = fault, first, times, methods
        self.writes = self.struck = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, unless the fault strikes it."""
        if request.method not in self._methods:
            return self._inner.handle_request(request)
        self.writes += 1
        if not self._first < self.writes <= self._first + self._times:
            return self._inner.handle_request(request)
        self.struck += 1
        if self._fault in CARRIED_OUT:
            self._inner.handle_request(request).read()
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        match self._fault:
            case "cut" | "unreachable":
                raise httpx.ReadError("the connection was cut", request=request)
            case "unavailable":
                return httpx.Response(503)
            case "rate-limit":
                return httpx.Response(429, headers={"Retry-After": "1"})
            case "error-after":
                return httpx.Response(500)
            case _:
                return httpx.Response(200, html="<!doctype html><title>Log in</title>")

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


def attempt(provider: Provider, transport: FaultyTransport, act: Callable[[Contacts[Any]], T]) -> T | ContactsError:
    """Change something through faults, without pauses, and return what is told of it: the result, or the error.

    Args:
        provider: The provider, with the settings of the server.
        transport: What is between the two.
        act: Changes something.
    """
    with httpx.Client(transport=transport) as http:
        client = Contacts(provider, transport=BlockingTransport(provider, http, sleep=lambda _: None))
        try:
            return act(client)
        except ContactsError as error:
            return error


def misjudged(told: Outcome | ContactsError, *, done: bool, begun: bool) -> str:
    """Return what is untrue of what is told of a change; empty if nothing is.

    Args:
        told: What `attempt` returned.
        done: Whether the server shows all of the change.
        begun: Whether it shows any part of it.
    """
    if isinstance(told, Outcome):
        if told.state is OutcomeState.DONE and not done:
            return f"it is told as done, and it is not: {told}"
        return f"it is told as failed, and it is done: {told}" if told.state is OutcomeState.FAILED and done else ""
    clear = not (told.unclear or isinstance(told, Interrupted))
    return f"the error says that nothing was changed, and something was: {told!r}" if clear and begun else ""
