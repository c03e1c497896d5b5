"""Odd but possible answers: each is a sensible value or a typed error, from both transports and both libraries."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from contacts_core import errors
from contacts_core.models import Contact, Page
from contacts_core.operations import export
from contacts_core.provider import Flow, HttpSettings, Request, Stream, UnknownFields
from contacts_core.provider.flows import Cursors, gather
from tests.core.fake_providers import Paged, bare, emitted, person
from tests.core.raw_server import serving, whole
from tests.core.test_bounded_exchanges import KINDS, QUICK
from tests.core.test_bounded_exchanges import ask as ask_raw
from tests.core.test_bounded_exchanges import run as run_raw
from tests.core.transport_harness import WAYS, Rig


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}-{way[1].__name__}")
def rig(request: pytest.FixtureRequest) -> Rig:
    return Rig(*request.param)


class Thing(UnknownFields, kw_only=True):
    id: str
    size: int | None = None


def ask(returns: Any = Thing) -> Flow[Any]:
    return (yield from Request("GET", "/x", returns))


# -- by status

STATUSES: list[tuple[int, dict[str, str], bytes, Any]] = [
    (101, {}, b"", errors.UnexpectedPayload),
    (102, {}, b"", errors.UnexpectedPayload),
    (200, {}, b"", errors.UnexpectedPayload),
    (201, {}, b'{"id": "1"}', "1"),
    (202, {}, b'{"id": "1"}', "1"),
    (203, {}, b'{"id": "1"}', "1"),
    (204, {}, b"", errors.UnexpectedPayload),
    (204, {}, b'{"id": "1"}', "1"),
    (205, {}, b"", errors.UnexpectedPayload),
    (206, {"content-range": "bytes 0-9/99"}, b'{"id": "1"}', errors.UnexpectedPayload),
    (207, {}, b'{"id": "1"}', errors.UnexpectedPayload),
    (208, {}, b'{"id": "1"}', errors.UnexpectedPayload),
    (226, {"im": "feed"}, b'{"id": "1"}', errors.UnexpectedPayload),
    (300, {}, b"", errors.Rejected),
    (301, {}, b"", errors.Rejected),
    (302, {"location": "http://["}, b"", (errors.Rejected, errors.Unreachable)),
    (304, {}, b"", errors.Rejected),
    (307, {"location": "https://elsewhere.example.com"}, b"", errors.Rejected),
    (400, {}, b"", errors.Rejected),
    (402, {}, b"{}", errors.Forbidden),
    (404, {}, b"", errors.UnexpectedPayload),
    (404, {}, b"<html>no such page</html>", errors.UnexpectedPayload),
    (404, {}, b"default backend - 404", errors.UnexpectedPayload),
    (404, {}, b'{"message": "no such contact"}', errors.NotFound),
    (405, {"allow": "GET"}, b"", errors.Rejected),
    (407, {"proxy-authenticate": "Basic"}, b"<html>", errors.Forbidden),
    (408, {}, b"", errors.Unavailable),
    (410, {}, b"{}", errors.Rejected),
    (413, {}, b"<html>too large</html>", errors.Rejected),
    (418, {}, b"", errors.Rejected),
    (421, {}, b"", errors.Unavailable),
    (425, {}, b"", errors.Unavailable),
    (429, {"retry-after": "9" * 400}, b"", errors.RateLimited),
    (429, {"retry-after": "-1"}, b"", errors.RateLimited),
    (429, {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, b"", errors.RateLimited),
    (429, {"retry-after": "Mon, 01 Jan 0001 00:00:00 -2359"}, b"", errors.RateLimited),
    (429, {"retry-after": "Tue, 18 Nov 2025 14:50:34 -0000"}, b"", errors.RateLimited),
    (429, {"retry-after": "0, 0"}, b"", errors.RateLimited),
    (429, {"x-ratelimit-reset": "1e309"}, b"", errors.RateLimited),
    (429, {"x-ratelimit-reset": "0, 0", "x-ratelimit-remaining": "0, 0"}, b"", errors.RateLimited),
    (451, {}, b"{}", errors.Rejected),
    (500, {"x-ratelimit-reset": "900"}, b"", errors.Unavailable),
    (502, {}, b"<html>bad gateway</html>", errors.Unavailable),
    (503, {"retry-after": "soon"}, b"", errors.Unavailable),
    (511, {}, b"<html>log in</html>", errors.Unavailable),
    (599, {}, b"", errors.Unavailable),
    (999, {}, b"", errors.Unavailable),
]

BODIES: dict[str, tuple[bytes, Any]] = {
    "a byte order mark": (b'\xef\xbb\xbf{"id": "1"}', "1"),
    "white space around": (b' \r\n{"id": "1"}\n\n', "1"),
    "a field twice": (b'{"id": "0", "id": "1"}', "1"),
    "a field nobody declared": (b'{"id": "1", "new": {"a": [1]}}', "1"),
    "empty": (b"", errors.UnexpectedPayload),
    "blank": (b"  \n", errors.UnexpectedPayload),
    "null": (b"null", errors.UnexpectedPayload),
    "a list": (b'[{"id": "1"}]', errors.UnexpectedPayload),
    "a number": (b"5", errors.UnexpectedPayload),
    "a null where a text is due": (b'{"id": null}', errors.UnexpectedPayload),
    "a number where a text is due": (b'{"id": 1}', errors.UnexpectedPayload),
    "cut": (b'{"id": "1"', errors.UnexpectedPayload),
    "cut with a new field": (b'{"new": 1, "id": "1', errors.UnexpectedPayload),
    "two documents": (b'{"id": "1"}{"id": "2"}', errors.UnexpectedPayload),
    "not a number": (b'{"id": "1", "size": NaN}', errors.UnexpectedPayload),
    "infinity": (b'{"id": "1", "size": 1e999}', errors.UnexpectedPayload),
    "a number of 5000 digits": (b'{"id": "1", "size": ' + b"9" * 5000 + b"}", errors.UnexpectedPayload),
    "a number of 5000 digits in a new field": (b'{"id": "1", "new": ' + b"9" * 5000 + b"}", "1"),
    "half a character": (b'{"id": "\\ud800"}', errors.UnexpectedPayload),
    "half a character in UTF-8": (b'{"id": "\xed\xa0\x80"}', errors.UnexpectedPayload),
    "latin-1": ('{"id": "ü"}'.encode("latin-1"), errors.UnexpectedPayload),
    "UTF-16": ('{"id": "1"}'.encode("utf-16"), errors.UnexpectedPayload),
    "UTF-32": ('{"id": "1"}'.encode("utf-32"), errors.UnexpectedPayload),
    "NUL bytes": (b"\x00" * 100, errors.UnexpectedPayload),
    "deep": (b'{"id":' * 100_000, errors.UnexpectedPayload),
    "deep in a new field": (b'{"id": "1", "new": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", errors.UnexpectedPayload),
    "a web page": (b"\n<!doctype html>", errors.UnexpectedPayload),
    "XML": (b"<?xml version='1.0'?><id>1</id>", errors.UnexpectedPayload),
    "JSONP": (b'callback({"id": "1"})', errors.UnexpectedPayload),
    "a guard against scripts": (b")]}',\n{}", errors.UnexpectedPayload),
    "JSON Lines": (b'{"id": "1"}\n{"id": "2"}\n', errors.UnexpectedPayload),
    "a comment": (b'/* */{"id": "1"}', errors.UnexpectedPayload),
    "single quotes": (b"{'id': '1'}", errors.UnexpectedPayload),
}


def met(rig: Rig, answer: Callable[[], Any], expected: Any) -> None:
    settings = HttpSettings(attempts=2)
    if isinstance(expected, str):
        assert rig.run(bare(http=settings), ask(), lambda _: answer()).id == expected
        return
    with pytest.raises(expected) as caught:
        rig.run(bare(http=settings), ask(), lambda _: answer())
    assert isinstance(caught.value, errors.ProviderError)
    assert (caught.value.provider, caught.value.operation) == ("acme", "GET /x")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(("status", "headers", "body", "expected"), STATUSES)
def test_every_status_means_something(
    rig: Rig, status: int, headers: dict[str, str], body: bytes, expected: Any
) -> None:
    met(rig, lambda: rig.answer(status, headers=headers, content=body), expected)


@pytest.mark.parametrize(("body", "expected"), BODIES.values(), ids=BODIES)
def test_every_body_is_read_or_refused(rig: Rig, body: bytes, expected: Any) -> None:
    met(rig, lambda: rig.answer(200, content=body), expected)


@pytest.mark.parametrize("status", [400, 404, 500])
@pytest.mark.parametrize("body", [body for body, _ in BODIES.values()], ids=list(BODIES))
def test_every_body_of_an_error_is_that_error(rig: Rig, status: int, body: bytes) -> None:
    with pytest.raises(errors.ProviderError) as caught:
        rig.run(bare(http=HttpSettings(attempts=1)), ask(), lambda _: rig.answer(status, content=body))
    assert caught.value.status == status
    assert str(caught.value).isprintable()


# -- on the wire, where the libraries' own parsers come first

GOOD = b'{"a": 1}'
WIRE: dict[str, tuple[bytes, Any]] = {
    "no reason phrase": (whole(GOOD, status="200 "), {"a": 1}),
    "HTTP/1.0": (whole(GOOD).replace(b"HTTP/1.1", b"HTTP/1.0"), {"a": 1}),
    "a content type of something else": (whole(GOOD, "Content-Type: text/html; charset=nonsense"), {"a": 1}),
    "a wrong charset": (whole(GOOD, "Content-Type: application/json; charset=utf-16"), {"a": 1}),
    "gzip that is none": (whole(GOOD, "Content-Encoding: gzip"), {"a": 1}),
    "gzip twice over": (whole(gzip.compress(gzip.compress(GOOD)), "Content-Encoding: gzip, gzip"), None),
    "gzip cut": (whole(gzip.compress(GOOD)[:-9], "Content-Encoding: gzip"), errors.UnexpectedPayload),
    "gzip damaged": (whole(b"\x1f\x8b" + b"\xff" * 50, "Content-Encoding: gzip"), errors.UnexpectedPayload),
    "gzip with garbage behind": (whole(gzip.compress(GOOD) + b"\0\0\0", "Content-Encoding: x-gzip"), {"a": 1}),
    "identity": (whole(GOOD, "Content-Encoding: identity"), {"a": 1}),
    "brotli unasked": (whole(b"\x0b\x02\x80", "Content-Encoding: br"), errors.UnexpectedPayload),
    "an unknown encoding": (whole(GOOD, "Content-Encoding: rot13"), errors.UnexpectedPayload),
    "deflate damaged": (whole(b"\x78\x9cxxxx", "Content-Encoding: deflate"), errors.UnexpectedPayload),
    "a header twice": (whole(GOOD, "X-RateLimit-Remaining: 0", "X-RateLimit-Remaining: 0"), {"a": 1}),
    "headers in latin-1": (whole(GOOD).replace(b"Content", b"X-A: \xfc\r\nContent", 1), {"a": 1}),
    "a length that is none": (whole(GOOD).replace(b"Length: 8", b"Length: x"), errors.Unreachable),
    "a negative length": (whole(GOOD).replace(b"Length: 8", b"Length: -8"), errors.Unreachable),
    "two lengths": (whole(GOOD, "Content-Length: 3"), errors.Unreachable),
    "a status of two digits": (whole(GOOD, status="20 OK"), errors.Unreachable),
    "a status that is no number": (whole(GOOD, status="OK"), errors.Unreachable),
    "no HTTP at all": (b"220 mail.example.com ESMTP\r\n\r\n", errors.Unreachable),
    "SSH": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", errors.Unreachable),
    "a chunk that is none": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", errors.Unreachable),
    "an unknown transfer encoding": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\n\r\n", errors.Unreachable),
    "a header without a colon": (b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", errors.Unreachable),
    "headers of a megabyte": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 20) + b"\r\n\r\n", errors.Unreachable),
    "interim answers first": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + whole(GOOD), {"a": 1}),
    "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", errors.Unreachable),
    "a cookie for everybody": (whole(GOOD, "Set-Cookie: a=" + "b" * 3000), {"a": 1}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("answer", "expected"), WIRE.values(), ids=WIRE)
def test_every_answer_on_the_wire_is_read_or_refused(kind: str, answer: bytes, expected: Any) -> None:
    with serving(lambda: [answer]) as server:
        if isinstance(expected, dict):
            assert run_raw(kind, server, ask_raw()) == expected
        else:
            with pytest.raises(expected or errors.UnexpectedPayload):
                run_raw(kind, server, ask_raw(), QUICK)


# -- pages


def pages(
    cursors: Iterator[str | None], *, empty: bool = False, same: bool = False
) -> Callable[[str | None], Flow[Page[Contact]]]:
    numbers = itertools.count()

    def page(_: str | None) -> Flow[Page[Contact]]:
        yield from ()
        number = next(numbers)
        return Page([] if empty else [person(0 if same else number)], next(cursors))

    return page


ENDLESS = {
    "the same cursor": lambda: pages(itertools.repeat("a")),
    "cursors in a circle": lambda: pages(itertools.cycle(["a", "b", "c"])),
    "a circle after a while": lambda: pages(itertools.chain(map(str, range(50)), itertools.cycle(["20", "x"]))),
    "always new cursors": lambda: pages(map(str, itertools.count())),
    "the same page under new cursors": lambda: pages(map(str, itertools.count()), same=True),
    "empty pages under new cursors": lambda: pages(map(str, itertools.count()), empty=True),
}


@pytest.mark.parametrize("endless", ENDLESS.values(), ids=ENDLESS)
def test_pages_without_end_are_an_error(endless: Callable[[], Callable[[str | None], Flow[Page[Contact]]]]) -> None:
    with pytest.raises(errors.UnexpectedPayload, match="do not end"):
        list(emitted(_drained(gather(endless(), 2000))))

    class Endless(Paged):
        def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
            return (yield from read(cursor))

    read = endless()
    taken: list[Contact] = []
    with pytest.raises(errors.UnexpectedPayload, match="do not end"):
        taken.extend(emitted(export(Endless(http={"max_pages": 2000}), [])))


def _drained(flow: Flow[Any]) -> Stream[Any]:
    yield from flow


def test_pages_that_end_are_all_read_whatever_the_end_looks_like() -> None:
    for end in (None, ""):
        cursors: Iterator[str | None] = iter(["a", "b", end])
        guard, seen = Cursors(10), 0
        for number in itertools.count():
            seen += 1
            if guard.after(Page([number], next(cursors))) is None:
                break
        assert seen == 3


def test_empty_pages_in_between_are_fine() -> None:
    guard = Cursors(10_000)
    for number in range(5000):
        assert guard.after(Page([number] if number % 500 == 0 else [], str(number))) == str(number)


def test_too_many_pages_say_which_setting_allows_more() -> None:
    guard = Cursors(2)
    guard.after(Page([1], "a"))
    with pytest.raises(errors.UnexpectedPayload) as caught:
        guard.after(Page([2], "b"))
    assert "max_pages" in caught.value.hint
