"""Both transports over both HTTP libraries, with the vendor as a function in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, TypeVar

import httpx
import httpx2

from contacts_core.http.asynchronous import AsyncTransport
from contacts_core.http.blocking import BlockingTransport
from contacts_core.provider import Flow, Provider, Request, Stream, request

T = TypeVar("T")
Vendor = Callable[[Any], Any]

WAYS = [(kind, library) for kind in ("sync", "async") for library in (httpx, httpx2)]


def upload(url: str, headers: Mapping[str, str], content: bytes) -> Request[None]:
    """A file for the storage that an answer names."""
    return request("PUT", url, type(None), content=content, headers=headers, authorized=False)


class Body(httpx.SyncByteStream, httpx.AsyncByteStream, httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The body of an answer, in pieces; an exception among them cuts it there."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = pieces
        self.read = 0
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            self.read += 1
            yield piece

    async def __aiter__(self) -> Any:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


class Rig:
    """One transport of one kind with one library; both kinds look blocking from here."""

    def __init__(self, kind: str, library: ModuleType) -> None:
        self.kind, self.library = kind, library
        self.now = 1000.0
        self.slept: list[float] = []
        self.client_options: dict[str, Any] = {}
        self.runner: asyncio.Runner | None = None

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def _sleep_async(self, seconds: float) -> None:
        self._sleep(seconds)

    def client(self, vendor: Vendor) -> Any:
        """A client of the caller's own."""
        cls = self.library.Client if self.kind == "sync" else self.library.AsyncClient
        return cls(transport=self.library.MockTransport(vendor), **self.client_options)

    def answer(self, status: int = 200, **options: Any) -> Any:
        """An answer of this library."""
        return self.library.Response(status, **options)

    def cut(self) -> Exception:
        """This library's word for a connection that broke off."""
        error: Exception = self.library.ReadError("cut")
        return error

    def run(self, provider: Provider, flow: Flow[T], vendor: Vendor) -> T:
        """Run a flow to its end."""
        client = self.client(vendor)
        if self.kind == "sync":
            with client:
                return BlockingTransport(provider, client, sleep=self._sleep, monotonic=lambda: self.now).run(flow)

        async def main() -> T:
            async with client:
                transport = AsyncTransport(provider, client, sleep=self._sleep_async, monotonic=lambda: self.now)
                return await transport.run(flow)

        return asyncio.run(main())

    def take(self, provider: Provider, stream: Stream[T], vendor: Vendor, most: int = 1000) -> list[T]:
        """Read some items of a stream and leave it."""
        client = self.client(vendor)
        found: list[T] = []
        if self.kind == "sync":
            with client:
                items = BlockingTransport(provider, client, sleep=self._sleep, monotonic=lambda: self.now).stream(
                    stream
                )
                while len(found) < most:
                    try:
                        found.append(next(items))
                    except StopIteration:
                        break
                items.close()  # type: ignore[attr-defined]
            return found

        async def main() -> list[T]:
            async with client:
                transport = AsyncTransport(provider, client, sleep=self._sleep_async, monotonic=lambda: self.now)
                items = transport.stream(stream)
                while len(found) < most:
                    try:
                        found.append(await anext(items))
                    except StopAsyncIteration:
                        break
                await items.aclose()  # type: ignore[attr-defined]
            return found

        return asyncio.run(main())
