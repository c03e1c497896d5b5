"""The server of the emulators, on loopback only."""

import asyncio
import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from attrs import field, frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contacts_core.emulator.base import FAULT_SCOPE_KEY, Emulator, json_response
from contacts_core.emulator.clock import Clock
from contacts_core.emulator.faults import Faults
from contacts_core.emulator.synthetic_contacts import people

STOPPING = 0.002  # seconds between two looks whether the last requests have ended


@frozen
class Exchange:
    """One request to an emulator, and its answer.

    ``path`` is the vendor's path (without the prefix), percent-encoded and without the query, which is in ``url``.
    ``fault`` is the name of the fault that caused the answer, if any.
    """

    provider: str
    method: str
    url: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    status: int
    response_headers: Mapping[str, str] = field(repr=False)
    response_body: bytes = field(repr=False)
    fault: str | None = None


Observer = Callable[[Exchange], None]


class Sandbox:
    """Emulators of several vendors with one clock and one set of faults."""

    def __init__(
        self,
        emulators: Iterable[type[Emulator]],
        *,
        contacts: int = 0,
        seed: int = 0,
        speed: float = 1.0,
        manual: bool = False,
        faults: Iterable[str] = (),
        latency: float = 0.0,
        observer: Observer | None = None,
        enforce_rates: bool = False,
    ) -> None:
        self.clock = Clock(speed, manual)
        self.faults = Faults(seed=seed)
        self.latency = latency
        self.observer = observer
        self.emulators: dict[str, Emulator] = {}
        crowd = list(people(contacts, seed))
        for kind in emulators:
            emulator = kind(clock=self.clock, faults=self.faults, seed=seed, enforce_rates=enforce_rates)
            emulator.populate(crowd)
            self.emulators[kind.name] = emulator
        self.faults.switch_on(faults)  # now that those of each vendor are known
        self.app: ASGIApp = Router([Route("/", self._index), *map(self._mount, self.emulators.values())])

    def _mount(self, emulator: Emulator) -> Mount:
        return Mount(f"/{emulator.name}", app=_Gate(self, emulator))

    async def _index(self, request: Request) -> Response:
        root = f"{request.url.scheme}://{request.headers.get('host', 'localhost')}"
        return json_response({name: self.describe(name, root) for name in self.emulators})

    @property
    def crashes(self) -> list[Exception]:
        """Exceptions in the emulators themselves. A test should fail if there are any."""
        return [error for emulator in self.emulators.values() for error in emulator.crashes]

    def describe(self, name: str, root: str) -> dict[str, object]:
        """Return the address and the settings of one vendor."""
        emulator = self.emulators[name]
        return {"title": emulator.title, "base_url": f"{root}/{name}", "settings": emulator.settings()}


class _Gate:
    """Delays and reports what passes between the network and one emulator."""

    def __init__(self, sandbox: Sandbox, emulator: Emulator) -> None:
        self._sandbox = sandbox
        self._name = emulator.name
        self._app = Router(emulator.routes())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._sandbox.latency:
            await asyncio.sleep(self._sandbox.latency)
        if self._sandbox.observer is None:
            await self._app(scope, receive, send)
        else:
            await self._observe(scope, receive, send, self._sandbox.observer)

    async def _observe(self, scope: Scope, receive: Receive, send: Send, observer: Observer) -> None:
        request_body, answer = bytearray(), bytearray()
        start: Message = {"status": 0, "headers": []}

        async def listen() -> Message:
            message = await receive()
            request_body.extend(message.get("body", b""))
            return message

        held: list[Message] = []

        async def note(message: Message) -> None:
            # Reported before the client can read the end of the answer, so that a test need not wait for it; the end
            # of a 204 is its headers, which therefore wait for what follows.
            if message["type"] == "http.response.start":
                start.update(message)
                held.append(message)
                return
            answer.extend(message.get("body", b""))
            if not message.get("more_body"):
                report()
            while held:
                await send(held.pop())
            await send(message)

        def report() -> None:
            observer(_exchange(self._name, scope, bytes(request_body), start, bytes(answer)))

        await self._app(scope, listen, note)
        if scope.get(FAULT_SCOPE_KEY) == "cut":
            report()


def _exchange(provider: str, scope: Scope, body: bytes, start: Message, answer: bytes) -> Exchange:
    request = Request(scope)
    raw_path = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    return Exchange(
        provider=provider,
        method=scope["method"],
        url=f"{scope['scheme']}://{request.headers.get('host', 'localhost')}{raw_path}"
        + (f"?{query}" if query else ""),
        path=raw_path.removeprefix(f"/{provider}"),
        headers=dict(request.headers),
        body=body,
        status=start["status"],
        response_headers={name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]},
        response_body=answer,
        fault=scope.get(FAULT_SCOPE_KEY),
    )


@frozen
class Running:
    """A sandbox that is served."""

    url: str
    sandbox: Sandbox = field(repr=False)

    def base_url(self, name: str) -> str:
        """Return the base URL of a vendor's emulator."""
        return f"{self.url}/{name}"

    def settings(self, name: str) -> dict[str, Any]:
        """Return all settings that `connect` needs to use a vendor's emulator."""
        return {**self.sandbox.emulators[name].settings(), "base_url": self.base_url(name)}


@contextmanager
def running(sandbox: Sandbox, port: int = 0) -> Generator[Running, None, None]:
    """Serve a sandbox on 127.0.0.1 from a background thread. Port 0 chooses a free port."""
    with _listener(port) as listener:
        server = _Server(_config(sandbox))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield Running(f"http://127.0.0.1:{listener.getsockname()[1]}", sandbox)
        finally:
            server.stop()
            thread.join(timeout=5)


class _Server(uvicorn.Server):
    """A server that stops when it is told to; uvicorn's own looks ten times a second, and then waits for as long."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopped = threading.Event()
        self._wake: Callable[[], object] = self._stopped.set

    def stop(self) -> None:
        """Finish requests in flight and stop; may be called from any thread."""
        self.should_exit = True
        self._stopped.set()
        with suppress(RuntimeError):  # it has stopped already
            self._wake()

    async def main_loop(self) -> None:
        stopped, loop = asyncio.Event(), asyncio.get_running_loop()
        self._wake = lambda: loop.call_soon_threadsafe(stopped.set)
        while not await self.on_tick(0) and not self._stopped.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        state, until = self.server_state, time.monotonic() + (self.config.timeout_graceful_shutdown or 0)
        while (state.connections or state.tasks) and time.monotonic() < until:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(STOPPING)
        for task in state.tasks:
            task.cancel()


def _listener(port: int) -> socket.socket:
    # The protocol is named, for asyncio switches Nagle's delay off only where it is (a small answer costs 40 ms else).
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def serve(sandbox: Sandbox, host: str = "127.0.0.1", port: int = 8025) -> None:
    """Serve a sandbox until interrupted. Only loopback addresses are accepted, because the keys are not secret."""
    if not _is_loopback(host):
        raise ValueError(f"the sandbox serves loopback addresses only, not {host!r}")
    config = _config(sandbox)
    config.host, config.port = host, port
    uvicorn.Server(config).run()


def _config(sandbox: Sandbox) -> uvicorn.Config:
    config = uvicorn.Config(
        sandbox.app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    logging.getLogger("uvicorn.error").addFilter(_expected_cut)
    return config


def _expected_cut(record: logging.LogRecord) -> bool:
    """Keep uvicorn from reporting the `cut` fault, which leaves an answer unfinished on purpose."""
    return "without completing response" not in record.getMessage()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
