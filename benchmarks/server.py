"""A vendor's server in a process of its own, with answers made beforehand: cheap enough not to disturb what is timed.

It listens on 127.0.0.1 only, and stops when its standard input closes, after a number of requests, or after a time.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from urllib.parse import parse_qs, urlsplit

import msgspec

from benchmarks import synthetic_contacts
from benchmarks.crowd import Accounts

MOST_SECONDS = 900
MOST_REQUESTS = 500_000
PAGE = 100
PAGES = 40
PIECE = 1 << 16

Answer = bytes | AsyncIterator[bytes]
Answers = Callable[[str, str, bytes], Answer]


def rendered(body: bytes, status: str = "200 OK") -> bytes:
    """A whole HTTP answer."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
NOT_FOUND = rendered(b'{"message": "no such path"}', "404 Not Found")


def small() -> Answers:
    """One small contact of Bird's for every GET, and nothing for every DELETE."""
    contact = rendered(msgspec.json.encode(synthetic_contacts.bird(1)[0]))
    return lambda method, _target, _body: NO_CONTENT if method == "DELETE" else contact


def bird_pages() -> Answers:
    """Pages of Bird's contacts, each naming the next."""
    contacts = synthetic_contacts.bird(PAGE * PAGES)
    pages: dict[str, bytes] = {}
    for n in range(PAGES):
        page: dict[str, object] = {"results": contacts[n * PAGE : (n + 1) * PAGE]}
        if n + 1 < PAGES:
            page["nextPageToken"] = str(n + 1)
        pages[str(n)] = rendered(msgspec.json.encode(page))
    return lambda _method, target, _body: pages[_parameter(target, "pageToken", "0")]


def user_api_pages() -> Answers:
    """Pages of user-api's contacts, with every relation."""
    contacts = synthetic_contacts.user_api(PAGE * PAGES)
    pages: dict[str, bytes] = {}
    for offset in range(0, PAGE * PAGES, PAGE):
        where = {"limit": PAGE, "offset": offset, "total": PAGE * PAGES}
        body = {"data": contacts[offset : offset + PAGE], "pagination": where}
        pages[str(offset)] = rendered(msgspec.json.encode(body))
    return lambda _method, target, _body: pages[_parameter(target, "offset", "0")]


def exports() -> Answers:
    """SendGrid's export jobs. The first segment of the path says how many thousand contacts the account has."""
    blocks = {file_type: synthetic_contacts.export_block(file_type) for file_type in ("csv", "json")}
    fields = rendered(msgspec.json.encode(synthetic_contacts.sendgrid_fields()))

    def answer(method: str, target: str, body: bytes) -> Answer:
        _, thousands, *rest = urlsplit(target).path.split("/")
        match method, rest:
            case "GET", [*_, "field_definitions"]:
                return fields
            case "POST", [*_, "exports"]:
                file_type = msgspec.json.decode(body)["file_type"]
                return rendered(msgspec.json.encode({"id": file_type}), "202 Accepted")
            case "GET", [*_, "exports", file_type]:
                base = os.environ["BENCHMARK_ADDRESS"]
                count = int(thousands) * synthetic_contacts.BLOCK
                files = [f"{base}/{thousands}/files/{file_type}"]
                status = {"id": file_type, "status": "ready", "contact_count": count, "urls": files}
                return rendered(msgspec.json.encode(status))
            case "GET", ["files", file_type]:
                return export_file(file_type, blocks[file_type], int(thousands))
            case _:
                return NOT_FOUND

    return answer


async def export_file(file_type: str, block: bytes, thousands: int) -> AsyncIterator[bytes]:
    """A gzip file of any size, written as it is read: nothing of it is kept."""
    yield b"HTTP/1.1 200 OK\r\ncontent-type: application/gzip\r\ntransfer-encoding: chunked\r\n\r\n"
    gzip = zlib.compressobj(level=1, wbits=31)
    pending = gzip.compress(synthetic_contacts.CSV_HEADER) if file_type == "csv" else b""
    for n in range(thousands):
        pending += gzip.compress(block.replace(synthetic_contacts.NUMBER, b"%07d" % n))
        if len(pending) >= PIECE:
            yield b"%x\r\n%b\r\n" % (len(pending), pending)
            pending = b""
    pending += gzip.flush()
    yield b"%x\r\n%b\r\n0\r\n\r\n" % (len(pending), pending)


def crowd(latency: float) -> Answers:
    """Any number of contacts, worked out from their numbers; see `benchmarks.crowd`."""
    accounts = Accounts(latency)

    def answer(method: str, target: str, body: bytes) -> Answer:
        found = accounts.answer(method, target, body)
        return rendered(found) if found else NOT_FOUND

    return answer


KINDS: Mapping[str, Callable[[float], Answers]] = {
    "small": lambda _: small(),
    "bird": lambda _: bird_pages(),
    "user-api": lambda _: user_api_pages(),
    "exports": lambda _: exports(),
    "crowd": crowd,
}


def _parameter(target: str, name: str, default: str) -> str:
    return parse_qs(urlsplit(target).query).get(name, [default])[0]


class Server:
    """Answers any number of connections, each after `latency` seconds."""

    def __init__(self, answers: Answers, latency: float) -> None:
        self._answers = answers
        self._latency = latency
        self._left = MOST_REQUESTS

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the client closes it."""
        try:
            while self._left > 0:
                self._left -= 1
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                loop = asyncio.get_running_loop()
                due = loop.time() + self._latency
                method, target, _ = head.split(" ", 2)
                _, _, length = head.lower().partition("\r\ncontent-length:")
                body = await reader.readexactly(int(length.partition("\r\n")[0])) if length else b""
                answer = self._answers(method, target, body)
                if self._latency:
                    await asyncio.sleep(max(0.0, due - loop.time()))
                if isinstance(answer, bytes):
                    writer.write(answer)
                    continue
                async for piece in answer:
                    writer.write(piece)
                    await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the client has gone, or the server is to stop
        finally:
            writer.close()


async def serve(kind: str, latency: float) -> None:
    """Serve one kind of answers, and print the address."""
    server = await asyncio.start_server(Server(KINDS[kind](latency), latency).connected, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    os.environ["BENCHMARK_ADDRESS"] = address
    print(address, flush=True)
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def until_input_closes() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=until_input_closes, daemon=True).start()
    async with server:
        try:
            await asyncio.wait_for(over.wait(), MOST_SECONDS)
        except TimeoutError:
            print("benchmarks.server: stopped after its time", file=sys.stderr)


@contextmanager
def serving_apart(kind: str, latency: float) -> Iterator[str]:
    """As `serving`, with one processor for this process and the others for the server, where a system has several."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()
    ours, others = {*sorted(before)[:1]}, {*sorted(before)[1:]}
    with ExitStack() as opened:
        if others:
            opened.callback(os.sched_setaffinity, 0, before)
            os.sched_setaffinity(0, others)  # which processes and threads inherit that are started from here on
        address = opened.enter_context(serving(kind, latency))
        if others:
            os.sched_setaffinity(0, ours)
        yield address


@contextmanager
def serving(kind: str, latency: float = 0.0) -> Iterator[str]:
    """The address of a server that runs in a process of its own while the block does."""
    command = [sys.executable, "-m", "benchmarks.server", json.dumps([kind, latency])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            address = process.stdout.readline().strip()
            if not address:
                message = f"the server {kind!r} did not start"
                raise RuntimeError(message)
            yield address
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


if __name__ == "__main__":
    asyncio.run(serve(*json.loads(sys.argv[1])))
