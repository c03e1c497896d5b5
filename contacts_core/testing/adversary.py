"""An adversary between a provider and its emulator: it changes answers, and knows the truth.

`Adversary` is a transport for httpx. It passes each request to an emulator in this process, and at chosen requests does
one of the `LIES`: it answers instead of the vendor, changes what the vendor answered, or changes the vendor's store
behind the client's back. Since it can read the store before and after each request, it knows which changes the client
caused, and which of the client's claims are true.

It opens no socket and no thread, and its time is virtual, so that thousands of cases take minutes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import unquote

import httpx
import msgspec
from attrs import define, field, frozen

if TYPE_CHECKING:
    from contacts_core.emulator import Emulator, Sandbox, Truth

__all__ = ["BEHIND", "BROKEN", "FALSE", "LIES", "Adversary", "Change", "Lie", "Stuck"]

# What no client can take for an answer: after these, every claim has to be true all the same.
BROKEN: Mapping[str, str] = {
    "cut": "the request is carried out, and its answer never arrives",
    "unreachable": "the request never arrives",
    "late": "the request is carried out, and its answer comes too late",
    "server-error": "a 503 that says nothing; the request is not carried out",
    "error-after": "a 500 although the request was carried out",
    "rate-limit": "a 429 with Retry-After: 1; the request is not carried out",
    "page-not-found": "a gateway's 404 as a web page",
    "text-not-found": "a gateway's 404 as plain text",
    "redirect": "a redirect to another host",
    "web-page": "a login page with status 200 instead of the answer",
    "empty": "the request is carried out, and the answer has no body",
    "truncated": "the request is carried out, and half of its JSON arrives",
    "other-shape": "the request is carried out, and the answer is JSON of another shape",
    "without": "one member of the answer is left out",
    "null": "one value of the answer is null",
    "odd": "one value of the answer is of another type, or far out of range",
}
# Well-formed answers that are not true.
FALSE: Mapping[str, str] = {
    "denied": "the vendor's own 404, whatever is there",
    "pretended": "the answer of a request that was never carried out: the last one to the same method and place",
    "fewer": "one item of a list of the answer is left out",
    "more": "an item of an earlier answer is added to a list",
    "twice": "one item of a list of the answer is repeated",
    "another": "the answer to another, earlier request of the same kind",
    "everyone": "a list of the answer holds everything that was ever shown in such a list",
    "same-page": "the same page over and over: the cursor of the next page never changes",
}
# What other clients of the vendor do meanwhile.
BEHIND: Mapping[str, str] = {
    "merged": "a contact becomes another person, who had an id of their own",
    "renamed": "a contact gets other identifiers",
    "deleted": "a contact is deleted",
    "created": "somebody creates a contact",
}
LIES: Mapping[str, str] = {**BROKEN, **FALSE, **BEHIND}

_NOTHING: list[object] = []
ODD: Sequence[object] = (
    "", "\x00\x1b[31m\u202e", "x" * 5000, "-1", "1e400", "9999-99-99T99:99:99Z", "0001-01-01T00:00:00+23:59", -1, 0,
    10**30, 1e308, True, _NOTHING, {}, [_NOTHING], [None], {"a": None}, "\ud800", 253402300800, "https://attacker.example/x",
)  # fmt: skip
MOST_REQUESTS = 500  # of one case; a client that sends more does not come to an end
HOST = "127.0.0.1"
DAY = 86400.0
HALF = 0.5


@frozen
class Lie:
    """What happens at one request.

    Attributes:
        at: At which request of the case, from 0.
        kind: A key of `LIES`.
        choice: Decides what exactly, such as which value is left out.
        times: At how many requests, from that one on.
    """

    at: int
    kind: str
    choice: int = 0
    times: int = 1

    def strikes(self, number: int) -> bool:
        """Whether it happens at this request."""
        return self.at <= number < self.at + self.times


@frozen
class Change:
    """A change of the vendor's store that a request of the client caused.

    Attributes:
        request: Its number.
        contact: Id of the contact.
        before: The contact as it was when the request arrived; None if there was none.
        known: The contact as it was before anything that others did at this very request; no read could tell the
            client of that.
        after: The contact afterwards; None if it is gone.
    """

    request: int
    contact: str
    before: Truth | None
    known: Truth | None
    after: Truth | None


class Stuck(AssertionError):
    """The client sent far too many requests, or slept far too long, for one case."""


@define
class Adversary(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """See the module.

    Attributes:
        sandbox: Where the emulator lives; its clock is manual.
        name: Which of its emulators it is.
        lies: What happens at which request.
        changes: What the client's requests changed, in order.
        struck: The lies that happened, each with the number of its request.
        requests: Method and address of every request.
        touched: Contacts that others changed, each with the number of the request at which they did.
        bodies: The bodies of the requests.
        pace: Virtual seconds that go by with each request.
        on_change: Told each change that the client's requests caused, as soon as it is noted.
    """

    sandbox: Sandbox
    name: str
    lies: Sequence[Lie] = ()
    changes: list[Change] = field(factory=list[Change])
    struck: list[tuple[int, Lie]] = field(factory=list[tuple[int, Lie]])
    requests: list[str] = field(factory=list[str])
    touched: list[tuple[int, str]] = field(factory=list[tuple[int, str]])
    bodies: list[bytes] = field(factory=list[bytes])
    pace: float = 0.0
    on_change: Callable[[Change], object] | None = None
    _slept: float = 0.0
    answers: dict[str, list[httpx.Response]] = field(factory=dict[str, list[httpx.Response]])
    items: dict[str, list[Any]] = field(factory=dict[str, list[Any]])
    _truth: dict[str, Truth] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._truth = self.emulator.truth()

    @property
    def emulator(self) -> Emulator:
        """The vendor behind."""
        return self.sandbox.emulators[self.name]

    def truth(self) -> dict[str, Truth]:
        """What is true now, once everything that was asked for has happened; what that changed is noted."""
        self.sandbox.clock.advance(DAY / 24)
        self._note(len(self.requests))
        return dict(self._truth)

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._slept += seconds
        if self._slept > 30 * DAY:
            raise Stuck(f"slept {self._slept:.0f} s in one case")
        self.sandbox.clock.advance(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.sleep(seconds)

    def monotonic(self) -> float:
        """Virtual seconds."""
        return self._slept

    # -- as a transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        return self._exchange(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        await request.aread()
        return self._exchange(request)

    def _exchange(self, request: httpx.Request) -> httpx.Response:
        number = len(self.requests)
        if number >= MOST_REQUESTS:
            raise Stuck(f"{MOST_REQUESTS} requests in one case, the last one {self.requests[-1]}")
        self.requests.append(f"{request.method} {unquote(request.url.raw_path.decode('ascii'))}")
        self.bodies.append(request.content)
        self.sandbox.clock.advance(self.pace)
        if request.url.host != HOST:
            return self._elsewhere(request)
        lies = [lie for lie in self.lies if lie.strikes(number)]
        self.struck += [(number, lie) for lie in lies]
        known = dict(self._truth)
        for lie in lies:
            if lie.kind in BEHIND:
                self._behind(lie)
        said = next((lie for lie in lies if lie.kind not in BEHIND), None)
        try:
            return self._answered(request, said)
        finally:
            self._note(number, known)

    def _elsewhere(self, request: httpx.Request) -> httpx.Response:
        """Answer what is sent to another host; no key of the account may be in it."""
        told = f"{request.url} {request.headers}"
        leaked = [name for name, value in self.emulator.settings().items() if name.endswith("key") and value in told]
        assert not leaked, f"{', '.join(leaked)} went to {request.url.host}"
        return httpx.Response(200, text="not the file that was asked for", request=request)

    def _note(self, number: int, known: Mapping[str, Truth] | None = None) -> None:
        """Find out what the client's request changed."""
        before, after = self._truth, self.emulator.truth()
        known = before if known is None else known
        noted = [
            Change(number, contact, before.get(contact), known.get(contact), after.get(contact))
            for contact in before.keys() | after.keys()
            if before.get(contact) != after.get(contact)
        ]
        self.changes += noted
        self._truth = after
        if self.on_change:
            for change in noted:
                self.on_change(change)

    def _behind(self, lie: Lie) -> None:
        """Do what other clients do; it is not the client's doing."""
        dice = random.Random(f"{lie.kind}/{lie.choice}")
        self._note(len(self.requests) - 1)  # jobs that are due now are the client's
        ids = sorted(self._truth)
        emulator = self.emulator
        if lie.kind == "created" or len(ids) < 2:
            emulator.create([("email", f"created-{lie.choice}-{len(self.touched)}-{len(self.requests)}@example.com")])
        else:
            chosen, other = dice.sample(ids, 2)
            if lie.kind == "merged":
                emulator.merge(chosen, other)
            elif lie.kind == "renamed":
                fresh = f"renamed-{len(self.touched)}-{len(self.requests)}@example.com"
                emulator.mutate(chosen, identifiers=[("email", fresh)])
            else:
                emulator.delete(chosen)
        after = emulator.truth()
        for contact in self._truth.keys() | after.keys():
            if self._truth.get(contact) != after.get(contact):
                self.touched.append((len(self.requests) - 1, contact))
        self._truth = after

    # -- answers

    def _answered(self, request: httpx.Request, lie: Lie | None) -> httpx.Response:
        place = _place(request)
        match lie.kind if lie else "":
            case "unreachable":
                raise httpx.ConnectError("no connection", request=request)
            case "server-error":
                return httpx.Response(503, text="", request=request)
            case "rate-limit":
                return httpx.Response(429, headers={"retry-after": "1"}, request=request)
            case "page-not-found":
                return httpx.Response(404, html="<html><body>404 Not Found</body></html>", request=request)
            case "text-not-found":
                return httpx.Response(404, text="404 page not found", request=request)
            case "redirect":
                return httpx.Response(302, headers={"location": "https://attacker.example/"}, request=request)
            case "web-page":
                return httpx.Response(200, html="<!doctype html><html><title>Sign in</title></html>", request=request)
            case "denied":
                refusal = self.emulator.error(404, "not found")
                return httpx.Response(404, content=bytes(refusal.body), headers=_typed(refusal), request=request)
            case "pretended" if self.answers.get(place):
                return _copy(self.answers[place][-1], request)
            case _:
                pass
        response = self._passed_on(request)
        if lie and lie.kind in CHANGES:
            return CHANGES[lie.kind](self, request, place, response, random.Random(f"{lie.kind}/{lie.choice}"))
        self.remember(place, response)
        return response

    def remember(self, place: str, response: httpx.Response) -> None:
        if response.status_code < 300:
            self.answers.setdefault(place, []).append(response)
            for path, items in _lists(_json(response)):
                self.items.setdefault(f"{place} {path}", []).extend(items)

    def _passed_on(self, request: httpx.Request) -> httpx.Response:
        """The vendor's own answer: the emulator's application, run here and now."""
        prefix = f"/{self.name}"
        path = unquote(request.url.raw_path.partition(b"?")[0].decode("ascii"))
        assert path.startswith(prefix), "the client left the vendor's address"
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": request.url.scheme, "path": path,
            "raw_path": request.url.raw_path.partition(b"?")[0], "query_string": request.url.query, "root_path": "",
            "server": (HOST, 80), "client": ("127.0.0.1", 1), "extensions": {}, "state": {},
        }  # fmt: skip
        sent: list[dict[str, Any]] = []
        bodies = iter([{"type": "http.request", "body": request.read(), "more_body": False}])

        async def receive() -> dict[str, Any]:
            return next(bodies, {"type": "http.disconnect"})

        async def send(message: Any) -> None:
            sent.append(dict(message))

        running = self.sandbox.app(scope, receive, send)
        with suppress(StopIteration):
            running.send(None)  # type: ignore[attr-defined]  # it waits for nothing, so one step is all of them
        start = sent[0]
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return httpx.Response(start["status"], headers=start["headers"], content=body, request=request)


# -- what is done to an answer

Changed = Callable[[Adversary, httpx.Request, str, httpx.Response, random.Random], httpx.Response]


def _cut(_: Adversary, request: httpx.Request, __: str, ___: httpx.Response, ____: random.Random) -> httpx.Response:
    raise httpx.RemoteProtocolError("peer closed connection", request=request)


def _late(_: Adversary, request: httpx.Request, __: str, ___: httpx.Response, ____: random.Random) -> httpx.Response:
    raise httpx.ReadTimeout("timed out", request=request)


def _error_after(
    _: Adversary, request: httpx.Request, __: str, ___: httpx.Response, ____: random.Random
) -> httpx.Response:
    return httpx.Response(500, json={"message": "internal error"}, request=request)


def _emptied(
    _: Adversary, request: httpx.Request, __: str, response: httpx.Response, ____: random.Random
) -> httpx.Response:
    return httpx.Response(response.status_code, request=request)


def _truncated(
    _: Adversary, __: httpx.Request, ___: str, response: httpx.Response, ____: random.Random
) -> httpx.Response:
    return _with_content(response, response.content[: len(response.content) // 2])


def _other_shape(
    _: Adversary, __: httpx.Request, ___: str, response: httpx.Response, dice: random.Random
) -> httpx.Response:
    shapes: list[object] = [_NOTHING, "nope", 7, None, [_NOTHING], {"unheard": "of"}, True]
    return _with_json(response, dice.choice(shapes))


def _edited(change: Callable[[dict[Any, Any] | list[Any], Any, random.Random], None]) -> Changed:
    """Change one place of the answer."""

    def edited(
        _: Adversary, __: httpx.Request, ___: str, response: httpx.Response, dice: random.Random
    ) -> httpx.Response:
        body = _json(response)
        places = list(_places(body))
        if not places:
            return response
        holders = [(holder, key) for holder, key in places if isinstance(holder[key], (dict, list))]
        change(*dice.choice(holders if holders and dice.random() < HALF else places), dice)
        return _with_json(response, body)

    return edited


def _without(holder: dict[Any, Any] | list[Any], key: Any, _: random.Random) -> None:
    if isinstance(holder, dict):  # a list with an item less is well-formed; see "fewer"
        del holder[key]


def _null(holder: dict[Any, Any] | list[Any], key: Any, _: random.Random) -> None:
    holder[key] = None


def _odd(holder: dict[Any, Any] | list[Any], key: Any, dice: random.Random) -> None:
    holder[key] = dice.choice([odd for odd in ODD if odd != "\ud800"])


def _relisted(change: Callable[[list[Any], list[Any], random.Random], None]) -> Changed:
    """Change one list of the answer; the second argument of ``change`` is all that was ever in that list."""

    def relisted(
        adversary: Adversary, _: httpx.Request, place: str, response: httpx.Response, dice: random.Random
    ) -> httpx.Response:
        body = _json(response)
        lists = _lists(body)
        adversary.remember(place, response)
        if not lists:
            return response
        path, items = dice.choice(lists)
        change(items, adversary.items.get(f"{place} {path}", []), dice)
        return _with_json(response, body)

    return relisted


def _fewer(items: list[Any], _: list[Any], dice: random.Random) -> None:
    if items:
        del items[dice.randrange(len(items))]


def _more(items: list[Any], earlier: list[Any], dice: random.Random) -> None:
    if earlier:
        items.append(dice.choice(earlier))


def _twice(items: list[Any], _: list[Any], dice: random.Random) -> None:
    if items:
        items.append(dice.choice(items))


def _everyone(items: list[Any], earlier: list[Any], _: random.Random) -> None:
    items[:] = earlier


def _another(
    adversary: Adversary, request: httpx.Request, place: str, response: httpx.Response, dice: random.Random
) -> httpx.Response:
    earlier = adversary.answers.get(place)
    adversary.remember(place, response)
    return _copy(dice.choice(earlier), request) if earlier else response


def _same_page(
    _: Adversary, __: httpx.Request, ___: str, response: httpx.Response, ____: random.Random
) -> httpx.Response:
    body = _json(response)
    for holder, key in _places(body):
        if not isinstance(holder, dict):
            continue
        if "next" in str(key).lower() and holder[key] in (None, ""):
            holder[key] = "again"
        elif key == "total":
            holder[key] = 10**9
    return _with_json(response, body)


CHANGES: Mapping[str, Changed] = {
    "cut": _cut,
    "late": _late,
    "error-after": _error_after,
    "empty": _emptied,
    "truncated": _truncated,
    "other-shape": _other_shape,
    "without": _edited(_without),
    "null": _edited(_null),
    "odd": _edited(_odd),
    "fewer": _relisted(_fewer),
    "more": _relisted(_more),
    "twice": _relisted(_twice),
    "everyone": _relisted(_everyone),
    "another": _another,
    "same-page": _same_page,
}


# -- bodies


def _place(request: httpx.Request) -> str:
    """Method and path, with what looks like an id or address left open: requests of one kind have the same."""
    segments = unquote(request.url.raw_path.partition(b"?")[0].decode("ascii")).split("/")
    return f"{request.method} " + "/".join("*" if any(c.isdigit() or c == "@" for c in s[2:]) else s for s in segments)


def _json(response: httpx.Response) -> Any:
    try:
        return msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _is_object(value: Any) -> TypeGuard[dict[Any, Any]]:
    return isinstance(value, dict)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _places(body: Any) -> Iterator[tuple[dict[Any, Any] | list[Any], Any]]:
    """Every value in a body, as what holds it and its key."""
    waiting = [body]
    while waiting:
        holder = waiting.pop()
        if _is_object(holder):
            keys: list[Any] = list(holder)
        elif _is_list(holder):
            keys = list(range(len(holder)))
        else:
            continue
        for key in keys:
            yield holder, key
            waiting.append(holder[key])


def _lists(body: Any) -> list[tuple[str, list[Any]]]:
    """Every list of objects in a body, with its path."""
    found: list[tuple[str, list[Any]]] = [("$", body)] if isinstance(body, list) else []
    for holder, key in _places(body):
        value = holder[key]
        if _is_list(value) and all(_is_object(each) for each in value):
            found.append((str(key), value))
    return found


def _with_json(response: httpx.Response, body: Any) -> httpx.Response:
    return _with_content(response, msgspec.json.encode(body))


def _with_content(response: httpx.Response, content: bytes) -> httpx.Response:
    kept = {
        name: value for name, value in response.headers.items() if name not in {"content-length", "content-encoding"}
    }
    return httpx.Response(response.status_code, headers=kept, content=content, request=response.request)


def _copy(response: httpx.Response, request: httpx.Request) -> httpx.Response:
    return httpx.Response(response.status_code, headers=response.headers, content=response.content, request=request)


def _typed(refusal: Any) -> dict[str, str]:
    return {"content-type": refusal.headers.get("content-type", "application/json")}
