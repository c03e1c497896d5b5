"""The base of a vendor emulator: routing, authorisation, generic faults."""

import random
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec
from attrs import frozen
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from contacts_core.sandbox.clock import Clock
from contacts_core.sandbox.faults import Faults
from contacts_core.sandbox.people import Person

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
FAULT_SCOPE_KEY = "contacts_sandbox.fault"
_HTML = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>502 Bad Gateway</body>\r\n</html>\r\n"


@frozen
class Incoming:
    """One request, read to its end."""

    method: str
    path: str
    raw_path: str
    query: QueryParams
    headers: Headers
    body: bytes
    params: Mapping[str, str]
    base_url: str

    @property
    def request_line_length(self) -> int:
        """Bytes of the request line, which servers limit."""
        return len(f"{self.method} {self.raw_path}?{self.query} HTTP/1.1")

    def json(self) -> Any:
        """The body as JSON, or `None` where it is none."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return None


Handler = Callable[[Incoming], Response]


@frozen
class Operation:
    """One method and path of the vendor, and what answers it.

    A path that is not `guarded` stands for the vendor's file storage: no key is asked for and no fault strikes.
    """

    method: str
    path: str
    handler: Handler
    guarded: bool = True


class Refused(Exception):
    """Raised by a handler that ends with a refusal; carries the whole answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"refused with status {response.status_code}")
        self.response = response


def json_response(value: object, status: int = 200) -> Response:
    """An answer with a JSON body."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


class _Cut(Response):
    """Promises the whole answer and sends half of it; the server then closes the connection."""

    def __init__(self, whole: Response) -> None:
        promised = bytes(whole.body) or b" " * 64
        super().__init__(promised, whole.status_code if whole.body else 200, media_type=whole.media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})


class Emulator(ABC):
    """A stateful stand-in for one vendor.

    Handlers are plain functions that run one after the other in the server's event loop, so state needs no locks.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def __init__(
        self, *, clock: Clock, faults: Faults, base_url: str = "", seed: int = 0, enforce_rates: bool = False
    ) -> None:
        self.clock = clock
        self.faults = faults
        self.base_url = base_url
        self.enforce_rates = enforce_rates
        self._dice = random.Random(f"{self.name}/{seed}")

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """Settings with which the provider's adapter is accepted here, without the base URL."""

    @abstractmethod
    def populate(self, people: Iterable[Person]) -> None:
        """Add the default lists and custom fields, and these people."""

    @abstractmethod
    def operations(self) -> Iterable[Operation]:
        """Everything the vendor answers."""

    @abstractmethod
    def authorize(self, incoming: Incoming) -> None:
        """Raise `Refused` unless the request carries the right key."""

    @abstractmethod
    def error(self, status: int, message: str) -> Response:
        """A failure in the vendor's shape."""

    def unknown_path(self, incoming: Incoming) -> Response:
        """The answer where the vendor has no such path."""
        return self.error(404, "not found")

    def wrong_method(self, incoming: Incoming) -> Response:
        """The answer where the path exists for other methods only."""
        return self.error(405, "method not allowed")

    def limit(self, incoming: Incoming) -> None:
        """Raise `Refused` where a limit of the vendor's front door is exceeded."""

    def finish(self, incoming: Incoming, response: Response) -> None:
        """Add the headers that every answer of the vendor has."""

    def settle(self, now: datetime) -> None:
        """Let happen what is due by now."""

    def new_uuid(self) -> str:
        """An identifier that follows from the seed, for recordings that can be repeated."""
        return str(uuid.UUID(int=self._dice.getrandbits(128), version=4))

    def routes(self) -> list[BaseRoute]:
        """Starlette routes for everything below the vendor's prefix."""
        routes = [
            Route(operation.path, self._endpoint(operation), methods=[operation.method])
            for operation in self.operations()
        ]

        def fallback(incoming: Incoming) -> Response:
            scope = {"type": "http", "method": incoming.method, "path": incoming.path}
            known = any(route.matches(scope)[0] is not Match.NONE for route in routes)
            return self.wrong_method(incoming) if known else self.unknown_path(incoming)

        rest = Operation("", "/{rest:path}", fallback)
        return [*routes, Route(rest.path, self._endpoint(rest), methods=list(METHODS))]

    def _endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            incoming = self._incoming(request, await request.body())
            return self.answer(operation, incoming, request.scope)

        return endpoint

    def _incoming(self, request: Request, body: bytes) -> Incoming:
        prefix = request.scope.get("root_path", "")
        raw_path = request.scope["raw_path"].decode("latin-1").removeprefix(prefix)
        host = request.headers.get("host", "localhost")
        return Incoming(
            method=request.method,
            path=request.scope["path"].removeprefix(prefix),
            raw_path=raw_path,
            query=request.query_params,
            headers=request.headers,
            body=body,
            params=request.path_params,
            base_url=self.base_url or f"{request.scope['scheme']}://{host}{prefix}",
        )

    def answer(self, operation: Operation, incoming: Incoming, scope: Scope) -> Response:
        """Answer one request as the vendor would, faults included."""
        self.settle(self.clock.now())
        try:
            if operation.guarded:
                self.authorize(incoming)
                self.limit(incoming)
                response = self._fault_before(scope) or operation.handler(incoming)
                response = self._fault_after(scope, response)
            else:
                response = operation.handler(incoming)
        except Refused as refused:
            response = refused.response
        if operation.guarded:
            self.finish(incoming, response)
        return response

    def _strike(self, scope: Scope, name: str) -> bool:
        struck = self.faults.take(name)
        if struck:
            scope[FAULT_SCOPE_KEY] = name
        return struck

    def _fault_before(self, scope: Scope) -> Response | None:
        if self._strike(scope, "rate-limit"):
            response = self.error(429, "too many requests")
            response.headers["retry-after"] = "1"
            return response
        if self._strike(scope, "rate-limit-bare"):
            return self.error(429, "too many requests")
        if self._strike(scope, "server-error"):
            return self.error(500, "internal server error")
        if self._strike(scope, "unavailable"):
            return self.error(503, "service unavailable")
        if self._strike(scope, "html"):
            return Response(_HTML, 502, media_type="text/html")
        return None

    def _fault_after(self, scope: Scope, response: Response) -> Response:
        if FAULT_SCOPE_KEY in scope:
            return response
        if self._strike(scope, "cut"):
            return _Cut(response)
        if response.status_code >= 300 or len(response.body) < 2:
            return response
        if self._strike(scope, "truncated"):
            half = bytes(response.body)[: len(response.body) // 2]
            return Response(half, response.status_code, media_type="application/json")
        if self._strike(scope, "wrong-json"):
            wrong: object = "nope" if bytes(response.body).startswith(b"[") else []
            return json_response(wrong, response.status_code)
        return response
