"""The library's own HTTP clients, with limits that httpx does not have.

Both check where a connection really leads before anything is sent over it. The blocking one also ends an exchange at
its deadline, however slowly the bytes come: ``httpx`` limits each read only, and headers may come a byte at a time, or
interim answers forever. (The asynchronous transport needs no help there; it gives up the whole task.)
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import httpcore
import httpx

from contacts_core.http.addresses import without
from contacts_core.http.exchange import allowed_place, deadline, gone_out
from contacts_core.provider import HttpSettings

__all__ = ["Requests", "async_client", "certificates", "client", "timeout"]

ONE_CONNECTION = httpx.Limits(max_connections=1, max_keepalive_connections=1)


def timeout(settings: HttpSettings) -> httpx.Timeout:
    """Return the timeouts of single reads and of connecting.

    The read timeout is never None: a race in httpcore's pool (encode/httpcore#1110) hangs until it.
    """
    return httpx.Timeout(settings.read_timeout_s, connect=settings.connect_timeout_s)


def client(settings: HttpSettings) -> httpx.Client:
    """Open a blocking client of one connection, which has one exchange at a time."""
    made = httpx.Client(timeout=timeout(settings), limits=ONE_CONNECTION, verify=certificates())
    _keep_no_cookies(made)
    for pool, direct in _pools(made):
        pool._network_backend = _Backend(pool._network_backend, direct=direct)  # noqa: SLF001 - httpx passes none on
    return made


def async_client(settings: HttpSettings) -> httpx.AsyncClient:
    """Open an asynchronous client of one connection, which has one exchange at a time."""
    made = httpx.AsyncClient(timeout=timeout(settings), limits=ONE_CONNECTION, verify=certificates())
    _keep_no_cookies(made)
    for pool, direct in _pools(made):
        if direct:
            pool._network_backend = _AsyncBackend(pool._network_backend)  # noqa: SLF001 - as above
    return made


class Requests:
    """Builds requests for clients of our own: those have no address, parameters and cookies that go into each."""

    def __init__(self, made: httpx.Client | httpx.AsyncClient) -> None:
        """Build requests with the headers and timeouts of this client."""
        self._headers = dict(made.headers)
        self._extensions = {"timeout": made.timeout.as_dict()}

    def build_request(
        self,
        method: str,
        url: str,
        /,
        *,
        params: Mapping[str, str | Sequence[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Request:
        """Build a request; as the method of ``httpx.Client``, which takes three times as long."""
        own = headers or {}
        merged = {**without(self._headers, own), **own}
        return httpx.Request(method, url, params=params, headers=merged, content=content, extensions=self._extensions)


def certificates() -> ssl.SSLContext:
    """Return the certificate authorities that httpx trusts here, read once: that takes longer than a request."""
    return _certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _certificates(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()


class _NoCookies(httpx.Cookies):
    """Keeps no cookies: APIs need none, and a jar grows for as long as its client lives.

    Answers are not even searched for them: the standard library's jar takes a tenth of the time of a request for it.
    """

    def extract_cookies(self, response: httpx.Response) -> None:
        """Leave the cookies of an answer where they are."""


def _keep_no_cookies(made: Any) -> None:
    made._cookies = _NoCookies()  # noqa: SLF001 - httpx would keep its own object, with the jar of another


def _pools(made: Any) -> list[tuple[Any, bool]]:
    """Return the connection pools of a client, and whether each connects to the host itself, not to a proxy."""
    transports = [made._transport, *made._mounts.values()]  # noqa: SLF001 - httpx has no other way to them
    pools = [transport._pool for transport in transports if transport is not None]  # noqa: SLF001 - as above
    return [(pool, type(pool) in {httpcore.ConnectionPool, httpcore.AsyncConnectionPool}) for pool in pools]


def _check_place(stream: Any) -> None:
    check = allowed_place.get()
    if check and (address := stream.get_extra_info("server_addr")):
        check(str(address[0]))


def _left(timeout: float | None) -> float | None:
    """Return the seconds that one operation may take."""
    left = deadline.get() - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the exchange took too long")
    return left if timeout is None else min(timeout, left)


class _Backend(httpcore.NetworkBackend):
    """Opens connections that keep to the deadline, and checks where they lead."""

    def __init__(self, inner: httpcore.NetworkBackend, *, direct: bool) -> None:
        self._inner, self._direct = inner, direct

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(host, port, _left(timeout), local_address, socket_options)
        if self._direct:
            try:
                _check_place(stream)
            except BaseException:
                stream.close()
                raise
        return _Stream(stream)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.connect_unix_socket(path, _left(timeout), socket_options))

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    """A connection that keeps to the deadline."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if waiting := gone_out.get():
            waiting.set()
        return self._inner.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    """Opens connections, and checks where they lead."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        try:
            _check_place(stream)
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return await self._inner.connect_unix_socket(path, timeout, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
