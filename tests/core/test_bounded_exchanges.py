"""Answers that do not end, over real sockets: every exchange does."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from contacts_core import AsyncContacts, Contacts, errors
from contacts_core.http.bodies import Body
from contacts_core.provider import Download, Flow, HttpSettings, Read
from tests.core.fake_providers import bare
from tests.core.raw_server import RawServer, Script, serving, whole
from tests.core.transport_harness import upload

QUICK = HttpSettings(attempts=1, timeout_s=0.6, cancel_timeout_s=0.3, max_answer_bytes=1 << 20)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
KINDS = ["sync", "async"]


def run(kind: str, server: RawServer, flow: Flow[Any], settings: HttpSettings = QUICK) -> Any:
    provider = bare(base_url=server.address, http=settings)
    if kind == "sync":
        with Contacts(provider) as contacts:
            return contacts.run(flow)

    async def main() -> Any:
        async with AsyncContacts(provider) as contacts:
            return await contacts.run(flow)

    return asyncio.run(main())


def ask(method: str = "GET") -> Flow[Any]:
    from contacts_core.provider import Request

    return (yield from Request(method, "/x", object))


def fetch(url: str) -> Flow[int]:
    size = 0
    source = yield from Download(url)
    while data := (yield from Read(source)):
        size += len(data)
    return size


def forever(first: bytes, more: bytes, pause: float = 0.0) -> Script:
    def script() -> Iterator[bytes | float]:
        yield first
        for _ in itertools.count():
            yield more
            if pause:
                yield pause

    return script


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def bomb(pack: Callable[[bytes], bytes]) -> bytes:
    return pack(b"0" * (1 << 26))


SLOW = {
    "a byte of the body now and then": forever(HEAD + b"Content-Length: 1000000\r\n\r\n", b" ", 0.05),
    "a byte of a header now and then": forever(HEAD + b"X-Long: ", b"x", 0.05),
    "a header now and then": forever(HEAD, b"X-More: 1\r\n", 0.05),
    "interim answers without end": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    "early hints without end": forever(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 0.01),
    "nothing at all": forever(b"", b"", 0.05),
    "an error's body a byte at a time": forever(b"HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\n", b" ", 0.05),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW)
def test_what_trickles_in_is_given_up_in_time(kind: str, script: Script) -> None:
    began = time.monotonic()
    with serving(script) as server, pytest.raises(errors.Unreachable):
        run(kind, server, ask())
    assert time.monotonic() - began < 3


LARGE = {
    "a body without end": forever(HEAD + b"\r\n", b" " * 65536),
    "chunks without end": forever(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunk(b" " * 65536)),
    "a gzip bomb": lambda: [whole(bomb(gzip.compress), "Content-Encoding: gzip")],
    "a bomb of several members": lambda: [whole(gzip.compress(b" " * (1 << 19)) * 50, "Content-Encoding: gzip")],
    "a deflate bomb": lambda: [whole(bomb(zlib.compress), "Content-Encoding: deflate")],
    "a raw deflate bomb": lambda: [whole(bomb(lambda d: zlib.compress(d)[2:-4]), "Content-Encoding: deflate")],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("script", LARGE.values(), ids=LARGE)
def test_what_is_too_large_is_not_read_to_its_end(kind: str, script: Script) -> None:
    settings = HttpSettings(attempts=1, timeout_s=20, max_answer_bytes=1 << 20)
    with serving(script) as server:
        tracemalloc.start()
        with pytest.raises(errors.UnexpectedPayload, match="larger than 1048576 bytes") as caught:
            run(kind, server, ask(), settings)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert "max_answer" in caught.value.hint
    assert most < (1 << 27)  # the bombs themselves, made here, are 64 MB


@pytest.mark.parametrize("kind", KINDS)
def test_of_an_error_without_end_only_the_beginning_is_read(kind: str) -> None:
    script = forever(b"HTTP/1.1 400 No\r\nContent-Type: text/plain\r\n\r\n", b"no " * 20_000)
    with serving(script) as server, pytest.raises(errors.Rejected, match="no no no"):
        run(kind, server, ask())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [200, 302, 403])
def test_a_file_that_trickles_in_is_given_up_in_time(kind: str, status: int) -> None:
    head = f"HTTP/1.1 {status} X\r\nLocation: /again\r\nContent-Length: 1000000\r\n\r\n".encode()
    began = time.monotonic()
    with serving(forever(head, b"x", 0.05)) as server, pytest.raises(errors.ProviderError):
        run(kind, server, fetch(f"{server.address}/file"))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_reader_is_not_taken_for_a_slow_vendor(kind: str) -> None:
    def leisurely(url: str) -> Flow[int]:
        source = yield from Download(url)
        size = 0
        while data := (yield from Read(source)):
            time.sleep(0.4)
            size += len(data)
        return size

    with serving(lambda: [whole(b"x" * 300_000)]) as server:
        assert run(kind, server, leisurely(f"{server.address}/file")) == 300_000


@pytest.mark.parametrize("kind", KINDS)
def test_an_upload_that_is_never_answered_is_given_up_in_time(kind: str) -> None:
    def send(url: str) -> Flow[None]:
        yield from upload(url, {}, b"x" * 1000)

    with serving(forever(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01)) as server:
        began = time.monotonic()
        with pytest.raises(errors.Unreachable):
            run(kind, server, send(f"{server.address}/in"))
        assert time.monotonic() - began < 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, lambda data: zlib.compress(data)[2:-4]])
def test_compressed_answers_are_read(kind: str, pack: Callable[[bytes], bytes]) -> None:
    encoding = "gzip" if pack is gzip.compress else "deflate"
    with serving(lambda: [whole(pack(b'{"a": 1}'), f"Content-Encoding: {encoding}")]) as server:
        assert run(kind, server, ask()) == {"a": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_after_an_answer_that_was_given_up_the_client_goes_on(kind: str) -> None:
    turns = itertools.count()

    def script() -> Any:
        return forever(HEAD, b"X-More: 1\r\n", 0.05)() if next(turns) == 0 else [whole(b"5")]

    def both() -> Flow[Any]:
        with pytest.raises(errors.Unreachable):
            yield from ask()
        return (yield from ask())

    with serving(script) as server:
        assert run(kind, server, both()) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_a_host_that_is_not_public_is_found_out_when_connected(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from contacts_core.http.wire import Wire

    monkeypatch.setattr(Wire, "place_check", lambda self, _: lambda host: self.about(_refusing(host), "download"))

    with serving(lambda: [whole(b"secret")]) as server:
        with pytest.raises(errors.UnexpectedPayload, match="not public"):
            run(kind, server, fetch(f"{server.address}/file"))
        assert server.requests == []
        end = time.monotonic() + 5
        while not server.connections and time.monotonic() < end:  # the server counts in a thread of its own
            time.sleep(0.01)
        assert server.connections == 1


def _refusing(host: str) -> errors.UnexpectedPayload:
    from contacts_core.http.addresses import refuse_place

    refuse_place(host, local=False)
    raise AssertionError("it is public")


@pytest.mark.parametrize("most", [sys.maxsize, 10**30])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_the_largest_limit_of_an_answer_is_one_that_can_be_kept(most: int, encoding: str) -> None:
    packed = gzip.compress(b"[1]") if encoding == "gzip" else zlib.compress(b"[1]")
    body = Body(encoding, most)
    assert body.feed(packed)
    assert (body.end(), body.problem) == (b"[1]", "")


@pytest.mark.parametrize("cut", range(1, 25))
def test_a_second_gzip_member_counts_wherever_the_pieces_are_cut(cut: int) -> None:
    first, second = gzip.compress(b"[1,"), gzip.compress(b"2]")
    whole_body = first + second
    at = len(first) - 5 + cut
    body = Body("gzip", 100)
    assert body.feed(whole_body[:at])
    assert body.feed(whole_body[at:])
    assert (body.end(), body.problem) == (b"[1,2]", "")


@pytest.mark.parametrize("rest", [[b"\x1f"], [b"\x1f", b"x"], [b"x\x1f", b"\x8b"], [b"\0"]])
def test_what_follows_a_gzip_member_and_is_none_is_dropped(rest: list[bytes]) -> None:
    body = Body("gzip", 100)
    for piece in (gzip.compress(b"[1]"), *rest):
        assert body.feed(piece)
    assert (body.end(), body.problem) == (b"[1]", "")
