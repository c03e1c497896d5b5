"""The base class of emulators: routing, authorization, faults that all vendors share."""

import hashlib
import itertools
import logging
import random
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
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
    """One complete request."""

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
        """The length of the request line in bytes, which servers limit."""
        return len(f"{self.method} {self.raw_path}?{self.query} HTTP/1.1")

    def json(self) -> Any:
        """The body as JSON, or None if it is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested too deeply
            return None


Handler = Callable[[Incoming], Response]
"""A function that answers one request to an emulator."""


@frozen
class Operation:
    """One method and path of the vendor's API, and its handler.

    A path that is not ``guarded`` belongs to the vendor's file storage: it needs no key and has no faults.
    """

    method: str
    path: str
    handler: Handler
    guarded: bool = True


@frozen
class Truth:
    """What an emulator has stored about one contact, in shared terms.

    Attributes:
        id: The vendor's id of the contact.
        identifiers: Kind and value, sorted. The kinds are ``email`` (primary and others), ``phone`` (in E.164),
            ``external_id``, ``anonymous_id``, and ``other:KEY`` for identifiers under the vendor's own key KEY. Values
            are as stored.
        lists: The ids of its lists, sorted.
        digest: A hash of all other fields, including times. Every write to them changes it.
        fields: The hash of each of these fields, by the vendor's name.
    """

    id: str
    identifiers: tuple[tuple[str, str], ...]
    lists: tuple[str, ...]
    digest: str
    fields: Mapping[str, str] = field(factory=dict[str, str], repr=False)


def truth(
    contact_id: str, identifiers: Iterable[tuple[str, str]], lists: Iterable[str], rest: Mapping[str, object]
) -> Truth:
    """Return the truth about a contact. ``rest`` has all other fields, as plain values."""
    fields, digest = _digests(msgspec.json.encode(rest, order="deterministic"))
    return Truth(contact_id, tuple(sorted(identifiers)), tuple(sorted(lists)), digest, fields)


@lru_cache(2000)
def _digests(rest: bytes) -> tuple[Mapping[str, str], str]:
    """Return the digests of fields and of all of them: tests compare all contacts after each request."""
    values = msgspec.json.decode(rest, type=dict[str, msgspec.Raw])
    fields = {name: _hashed(bytes(value)) for name, value in values.items()}
    return fields, _hashed(msgspec.json.encode(fields, order="deterministic"))


def _hashed(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


class Refused(Exception):
    """Raise this in a handler to refuse the request with the answer given."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"refused with status {response.status_code}")
        self.response = response


def json_response(value: object, status: int = 200) -> Response:
    """Return an answer with a JSON body."""
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
    """An emulator of one vendor, with its own state.

    Handlers are plain functions. They run one at a time under a lock, so the state needs no lock of its own.

    Tests of a provider read what is stored with `truth`, and change contacts as another client of the vendor would with
    `create`, `mutate`, `merge` and `delete`, from any thread. These call methods of the subclass: ``_ids``, ``_truth``,
    ``_create``, ``_mutate`` and ``_delete``. A subclass that has them sets ``tells_truth``.

    Attributes:
        name: The provider's name.
        title: The vendor's own name.
        tells_truth: Whether the subclass has the methods above.
        own_faults: Faults of this vendor alone, by name, each with what happens. Handlers take them from ``faults``.
            With such a fault, an answer may deviate from its documented shape.
        crashes: Exceptions that handlers raised by mistake; their requests were answered with 500.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    tells_truth: ClassVar[bool] = False
    own_faults: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self, *, clock: Clock, faults: Faults, base_url: str = "", seed: int = 0, enforce_rates: bool = False
    ) -> None:
        self.clock = clock
        self.faults = faults
        faults.add(self.own_faults)
        self.base_url = base_url
        self.enforce_rates = enforce_rates
        self._dice = random.Random(f"{self.name}/{seed}")
        self.crashes: list[Exception] = []
        self._lock = threading.RLock()
        self._strangers = itertools.count(1)

    # -- what the vendor has

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """Return the provider's settings that this emulator accepts, without the base URL."""

    @abstractmethod
    def populate(self, people: Iterable[Person]) -> None:
        """Create the default lists and custom fields, and these people as contacts."""

    @abstractmethod
    def operations(self) -> Iterable[Operation]:
        """Return all operations of the API."""

    @abstractmethod
    def authorize(self, incoming: Incoming) -> None:
        """Raise `Refused` unless the request has the right key."""

    @abstractmethod
    def error(self, status: int, message: str) -> Response:
        """Return an error in the vendor's format."""

    def unknown_path(self, incoming: Incoming) -> Response:
        """Return the answer for an unknown path."""
        return self.error(404, "not found")

    def wrong_method(self, incoming: Incoming) -> Response:
        """Return the answer for a path that exists only for other methods."""
        return self.error(405, "method not allowed")

    def limit(self, incoming: Incoming) -> None:
        """Raise `Refused` if the request exceeds a limit of the vendor."""

    def finish(self, incoming: Incoming, response: Response) -> None:
        """Add the headers that all answers of the vendor have."""

    def settle(self, now: datetime) -> None:
        """Do what is due by now, such as finishing jobs."""

    # -- the truth, for tests

    def truth(self) -> dict[str, Truth]:
        """Return all contacts by id. Deleted ones are not included, even while reads still return them."""
        with self._lock:
            self.settle(self.clock.now())
            return {contact_id: self._truth(contact_id) for contact_id in self._ids()}

    def create(self, identifiers: Sequence[tuple[str, str]]) -> str:
        """Create a contact with these identifiers, as another client would, and return its id."""
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
        """Change a contact at once, as another client would. None leaves a value unchanged.

        Args:
            contact_id: The contact; KeyError if it does not exist.
            identifiers: Its new identifiers, with the kinds of `Truth`. No other contact may have them. ValueError if
                the vendor does not have the kind.
            lists: The ids of its new lists.
            first_name: Its new first name.
        """
        with self._lock:
            self.settle(self.clock.now())
            self._mutate(contact_id, identifiers, lists, first_name)

    def merge(self, survivor: str, other: str) -> None:
        """Merge two contacts, as another client would: one id stays and gets the data of the other contact.

        The other id and the previous identifiers of the remaining contact are gone.
        """
        with self._lock:
            self.settle(self.clock.now())
            taken = self._truth(other)
            self._delete(other)
            self._mutate(survivor, taken.identifiers, taken.lists, None)

    def delete(self, contact_id: str) -> None:
        """Delete a contact at once, as another client would; KeyError if it does not exist."""
        with self._lock:
            self.settle(self.clock.now())
            self._truth(contact_id)
            self._delete(contact_id)

    def shown(self, contact_ids: Iterable[str]) -> None:
        """Note which contacts a read by id or a look-up returns; handlers call this.

        The fault ``stale-identity`` changes the identifiers of these contacts after the answer.
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
        """Return a UUID that depends only on the seed, for reproducible recordings."""
        return str(uuid.UUID(int=self._dice.getrandbits(128), version=4))

    def routes(self) -> list[BaseRoute]:
        """Return the Starlette routes of this emulator."""
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
        """Answer with an error of the vendor after an exception in the emulator itself, and keep it in ``crashes``."""
        logger.error("the emulator %s crashed", self.name, exc_info=error)
        self.crashes.append(error)
        return self.error(500, "internal server error")

    def answer(self, operation: Operation, incoming: Incoming, scope: Scope) -> Response:
        """Answer one request as the vendor would, including faults."""
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
        if reshaping := (RESHAPING | self.own_faults.keys()).intersection(self.faults.struck()):
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
