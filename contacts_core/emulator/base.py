"""The base of a vendor emulator: routing, authorisation, generic faults."""

import hashlib
import itertools
import logging
import random
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec
from attrs import field, frozen
from starlette.datastructures import Headers, QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from contacts_core.emulator.clock import Clock
from contacts_core.emulator.faults import RESHAPING, Faults
from contacts_core.emulator.synthetic_contacts import Person

logger = logging.getLogger("contacts_core.emulator")

FAULT_SCOPE_KEY = "contacts_sandbox.fault"
_PAGE = "<html>\r\n<head><title>{0}</title></head>\r\n<body>{0}</body>\r\n</html>\r\n"
_HTML = _PAGE.format("502 Bad Gateway")
# How gateways answer that have nothing behind them: a web server, a Go router, an API gateway, and one without words.
_NOT_FOUND = {
    "not-found-everywhere": (_PAGE.format("404 Not Found"), "text/html"),
    "not-found-everywhere-text": ("404 page not found\n", "text/plain"),
    "not-found-everywhere-json": ('{"message":"no Route matched with those values"}', "application/json"),
    "not-found-everywhere-empty": ("", None),
}


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
        except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested too deeply
            return None


Handler = Callable[[Incoming], Response]
"""A function that answers one request to an emulator."""


@frozen
class Operation:
    """One method and path of the vendor, and what answers it.

    A path that is not `guarded` stands for the vendor's file storage: no key is asked for and no fault strikes.
    """

    method: str
    path: str
    handler: Handler
    guarded: bool = True


@frozen
class Truth:
    """What an emulator's store holds about one contact, in no vendor's words.

    Attributes:
        id: The vendor's id of the contact.
        identifiers: Kind and value, sorted. The kinds are `email` (primary and further ones alike), `phone` (in E.164),
            `external_id`, `anonymous_id`, and `other:KEY` for those under the vendor's own key KEY. Values are as they
            are stored.
        lists: The ids of the lists that it is on, sorted.
        digest: A hash of all its other fields, times included; it differs after any write to them.
        fields: The hashes of these fields one by one, by the vendor's names.
    """

    id: str
    identifiers: tuple[tuple[str, str], ...]
    lists: tuple[str, ...]
    digest: str
    fields: Mapping[str, str] = field(factory=dict, repr=False)


def truth(
    contact_id: str, identifiers: Iterable[tuple[str, str]], lists: Iterable[str], rest: Mapping[str, object]
) -> Truth:
    """The truth about a contact; `rest` is all that is neither identifier nor list, as plain values."""
    fields = {name: _digest(value) for name, value in rest.items()}
    return Truth(contact_id, tuple(sorted(identifiers)), tuple(sorted(lists)), _digest(fields), fields)


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


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

    Handlers are plain functions that run one after the other under one lock, so the state behind them needs none.

    `crashes` are the exceptions that no handler should have raised; their requests were answered with 500.

    Whoever tests an adapter knows the truth by `truth`, and changes the store behind the adapter's back by `create`,
    `mutate`, `merge` and `delete`, from any thread. These rest on methods of the subclass: `_ids`, `_truth`, `_create`,
    `_mutate` and `_delete`. One that has them sets `tells_truth`; without them an emulator answers requests only.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    tells_truth: ClassVar[bool] = False

    def __init__(
        self, *, clock: Clock, faults: Faults, base_url: str = "", seed: int = 0, enforce_rates: bool = False
    ) -> None:
        self.clock = clock
        self.faults = faults
        self.base_url = base_url
        self.enforce_rates = enforce_rates
        self._dice = random.Random(f"{self.name}/{seed}")
        self.crashes: list[Exception] = []
        self._lock = threading.RLock()
        self._strangers = itertools.count(1)

    # -- what the vendor has

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

    # -- the truth, for tests

    def truth(self) -> dict[str, Truth]:
        """Every contact that is there now, by id. Deleted ones are not in it, even while reads still show them."""
        with self._lock:
            self.settle(self.clock.now())
            return {contact_id: self._truth(contact_id) for contact_id in self._ids()}

    def create(self, identifiers: Sequence[tuple[str, str]]) -> str:
        """Let another client of the vendor create a contact, which gets these identifiers; answers its id."""
        with self._lock:
            self.settle(self.clock.now())
            return self._create(identifiers)

    def mutate(
        self,
        contact_id: str,
        *,
        identifiers: Sequence[tuple[str, str]] | None = None,
        lists: Sequence[str] | None = None,
        first_name: str | None = None,
    ) -> None:
        """Let another client of the vendor change a contact at once; what is `None` stays.

        Args:
            contact_id: Whom; `KeyError` where there is no such contact.
            identifiers: All identifiers that it has from now on, with the kinds of `Truth`. Nobody else may have
                them; `ValueError` where the vendor has no such kind.
            lists: The ids of all lists that it is on from now on.
            first_name: Its first name from now on.
        """
        with self._lock:
            self.settle(self.clock.now())
            self._mutate(contact_id, identifiers, lists, first_name)

    def merge(self, survivor: str, other: str) -> None:
        """Let another client merge two contacts: the id of one stays and is the other person from now on.

        The other id vanishes, and so do the identifiers that the survivor had.
        """
        with self._lock:
            self.settle(self.clock.now())
            taken = self._truth(other)
            self._delete(other)
            self._mutate(survivor, taken.identifiers, taken.lists, None)

    def delete(self, contact_id: str) -> None:
        """Let another client of the vendor delete a contact at once; `KeyError` where there is no such contact."""
        with self._lock:
            self.settle(self.clock.now())
            self._truth(contact_id)
            self._delete(contact_id)

    def shown(self, contact_ids: Iterable[str]) -> None:
        """To be called by handlers with the contacts that a read by id or a look-up answers with.

        The fault `stale-identity` makes other people of them after the answer.
        """
        known = [contact_id for contact_id in contact_ids if self.tells_truth]
        if known and self.faults.take("stale-identity"):
            for contact_id in known:
                number = next(self._strangers)
                self._mutate(contact_id, [("email", f"stranger{number}@example.org")], None, f"Stranger {number}")

    def _ids(self) -> Iterable[str]:
        """The ids of all contacts that are there."""
        raise NotImplementedError(f"the emulator {self.name} does not tell the truth")

    def _truth(self, contact_id: str) -> Truth:
        """The truth about one contact (see `truth` of this module); raises `KeyError` where there is none."""
        raise NotImplementedError

    def _create(self, identifiers: Sequence[tuple[str, str]]) -> str:
        """Create a contact with nothing but these identifiers."""
        raise NotImplementedError

    def _mutate(
        self,
        contact_id: str,
        identifiers: Sequence[tuple[str, str]] | None,
        lists: Sequence[str] | None,
        first_name: str | None,
    ) -> None:
        """Change a contact at once."""
        raise NotImplementedError

    def _delete(self, contact_id: str) -> None:
        """Delete a contact at once."""
        raise NotImplementedError

    # -- what answers

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
        everything = Route(rest.path, self._endpoint(rest))
        everything.methods = None  # whatever word stands for a method, the vendor answers, not the web framework
        return [*routes, everything]

    def _endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                body = await request.body()
            except ClientDisconnect:
                return Response(status_code=400)  # to nobody
            try:
                return self.answer(operation, self._incoming(request, body), request.scope)
            except Exception as error:  # noqa: BLE001 - whatever it is, the vendor's own servers do not show it either
                return self.crashed(error)

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

    def crashed(self, error: Exception) -> Response:
        """Answer in the vendor's shape after a fault of the emulator itself, which is kept in `crashes` for tests."""
        logger.error("the emulator %s crashed", self.name, exc_info=error)
        self.crashes.append(error)
        return self.error(500, "internal server error")

    def answer(self, operation: Operation, incoming: Incoming, scope: Scope) -> Response:
        """Answer one request as the vendor would, faults included."""
        with self._lock:
            return self._answer(operation, incoming, scope)

    def _answer(self, operation: Operation, incoming: Incoming, scope: Scope) -> Response:
        self.settle(self.clock.now())
        if operation.guarded and (elsewhere := self._gateway(scope)):
            return elsewhere
        try:
            if operation.guarded:
                self.authorize(incoming)
                self.limit(incoming)
                response = self._fault_before(scope) or self._handled(operation, incoming, scope)
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

    def _gateway(self, scope: Scope) -> Response | None:
        """The answer of a gateway that does not know the vendor: neither keys nor headers of the vendor's matter."""
        for name, (body, media_type) in _NOT_FOUND.items():
            if self._strike(scope, name):
                return Response(body, 404, media_type=media_type)
        return None

    def _handled(self, operation: Operation, incoming: Incoming, scope: Scope) -> Response:
        self.faults.struck()
        response = operation.handler(incoming)
        if reshaping := RESHAPING.intersection(self.faults.struck()):
            scope[FAULT_SCOPE_KEY] = min(reshaping)
        return response

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
