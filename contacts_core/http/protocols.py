"""What the transports need of an HTTP client: this part of the interface of httpx, which httpx2 has as well."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Protocol

__all__ = [
    "AsyncClient",
    "AsyncHttpResponse",
    "BlockingHttpResponse",
    "Client",
    "HttpRequest",
    "HttpResponse",
    "HttpUrl",
]


class HttpUrl(Protocol):
    """The address of a request."""

    @property
    def host(self) -> str:
        """The host, without its port."""
        ...

    def join(self, url: str, /) -> HttpUrl:
        """Return the address that ``url`` means, relative to this one."""
        ...


class HttpRequest(Protocol):
    """A request that was built and not sent."""

    @property
    def url(self) -> HttpUrl:
        """Where it goes."""
        ...

    @property
    def headers(self) -> MutableMapping[str, str]:
        """Its headers, whose names are found in any case."""
        ...


class HttpResponse(Protocol):
    """An answer whose body may not have been read yet."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers, whose names are found in any case."""
        ...

    @property
    def is_stream_consumed(self) -> bool:
        """Whether the body was read already, as a client in this process does."""
        ...

    @property
    def content(self) -> bytes:
        """The body, once it was read."""
        ...


class BlockingHttpResponse(HttpResponse, Protocol):
    """An answer of a blocking client."""

    def iter_raw(self) -> Iterator[bytes]:
        """Read the body as it comes, still compressed."""
        ...

    def iter_bytes(self) -> Iterator[bytes]:
        """Read the body, decompressed."""
        ...

    def close(self) -> None:
        """Give the connection back."""


class AsyncHttpResponse(HttpResponse, Protocol):
    """An answer of an asynchronous client."""

    def aiter_raw(self) -> AsyncIterator[bytes]:
        """Read the body as it comes, still compressed."""
        ...

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Read the body, decompressed."""
        ...

    async def aclose(self) -> None:
        """Give the connection back."""


class BuildsRequests(Protocol):
    """What both kinds of client have."""

    def build_request(
        self,
        method: str,
        url: str,
        /,
        *,
        params: Mapping[str, str | Sequence[str]] | None = ...,
        headers: Mapping[str, str] | None = ...,
        content: bytes | None = ...,
    ) -> HttpRequest:
        """Build a request without sending it."""
        ...


class Client(BuildsRequests, Protocol):
    """What the blocking transport needs of a client: these methods of ``httpx.Client``."""

    def send(
        self, request: Any, /, *, stream: bool = ..., auth: None = ..., follow_redirects: bool = ...
    ) -> BlockingHttpResponse:
        """Send a request, and return when the headers of its answer are there."""
        ...


class AsyncClient(BuildsRequests, Protocol):
    """What the asynchronous transport needs of a client: these methods of ``httpx.AsyncClient``."""

    async def send(
        self, request: Any, /, *, stream: bool = ..., auth: None = ..., follow_redirects: bool = ...
    ) -> AsyncHttpResponse:
        """Send a request, and return when the headers of its answer are there."""
        ...
