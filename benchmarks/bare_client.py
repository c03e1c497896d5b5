"""The bare client that ours is compared with: one of httpx for all requests, with the same timeouts and connections."""

from __future__ import annotations

import httpx

from contacts_core.http import connections
from contacts_core.provider import HttpSettings

HTTP = HttpSettings()
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=HTTP.max_connections)


def blocking() -> httpx.Client:
    """Open a blocking one."""
    return httpx.Client(timeout=connections.timeout(HTTP), limits=LIMITS)


def asynchronous() -> httpx.AsyncClient:
    """Open an asynchronous one."""
    return httpx.AsyncClient(timeout=connections.timeout(HTTP), limits=LIMITS)
