"""What a case of the contract works with: a client of a fresh account, virtual time, and the emulator behind it."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, TypeVar

import attrs
import httpx
import pytest
from attrs import define, field

from contacts_core.client import AsyncContacts, Contacts
from contacts_core.http.asynchronous import AsyncTransport
from contacts_core.http.blocking import BlockingTransport
from contacts_core.http.connections import certificates
from contacts_core.http.transport import random_jitter
from contacts_core.provider import Exports, Provider, Stream, flows
from contacts_core.testing import cassettes

if TYPE_CHECKING:
    from contacts_core.emulator import Emulator, Exchange, Faults, Running
    from contacts_core.models import Contact

__all__ = ["RECORDING", "Backend", "Harness", "Mode", "open_harness"]

T = TypeVar("T")
Backend = Literal["direct", "emulator", "cassette"]
Mode = Literal["sync", "async"]
MOST_REQUESTS = 1000  # of one case
REQUESTS_PER_CONTACT = 20  # besides, for each contact that a case starts with


@define
class Recording:
    """Whether cassettes are being recorded: not at all, from ``emulator``, or from ``live`` accounts."""

    source: str = ""
    accounts: dict[str, Provider] = field(factory=dict[str, Provider])


RECORDING = Recording()


class Sent(list[str]):
    """Method and URL of every request, of which there are only so many."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def note(self, request: Any) -> None:
        """Note a request before it is sent."""
        self.append(f"{request.method} {request.url}")
        assert len(self) <= self._most, f"the requests do not end: {len(self)} were sent, the last one is {self[-1]}"


class VirtualTime:
    """A clock that only sleeping moves, the emulator's along with it."""

    def __init__(self, advance: Callable[[float], None] | None = None) -> None:
        self._now = 0.0
        self._advance = advance

    def monotonic(self) -> float:
        """Seconds since the beginning."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
        if self._advance:
            self._advance(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Let time pass."""
        self.sleep(seconds)


def _is_stream(value: Any) -> TypeGuard[AsyncIterator[Any]]:
    return isinstance(value, AsyncIterator)


class BlockingAdapter:
    """An `AsyncContacts` with the interface of `Contacts`, so that a case is written once."""

    def __init__(self, client: AsyncContacts[Any], runner: asyncio.Runner) -> None:
        self._client, self._runner = client, runner

    def __repr__(self) -> str:
        """What the client shows of itself."""
        return repr(self._client)

    def __getattr__(self, name: str) -> Any:
        """The client's attribute; coroutines are run to their end, streams item by item."""
        value = getattr(self._client, name)
        return self._blocking(value) if callable(value) else value

    def _blocking(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            result = method(*args, **options)
            if inspect.iscoroutine(result):
                return self._runner.run(result)
            return self._items(result) if _is_stream(result) else result

        return call

    def _items(self, stream: AsyncIterator[T]) -> Iterator[T]:
        async def following() -> tuple[T, ...]:
            async for item in stream:
                return (item,)
            return ()

        while found := self._runner.run(following()):
            yield from found


def _bounded(provider: type[Provider], most: int) -> type[Provider]:
    """The provider with an export that comes to an end, so that paging for ever fails a case and does not hang it."""
    if not issubclass(provider, Exports):
        return provider

    def contacts(self: Exports, list_id: str | None) -> Stream[Contact]:
        given = pages = 0

        def count(items: Sequence[Contact]) -> Sequence[Contact]:
            nonlocal given, pages
            given += len(items)
            pages += 1
            assert max(given, pages) <= most, f"the export does not end: it gave {given} contacts on {pages} pages"
            return items

        return flows.through(provider.contacts(self, list_id), count)

    members = {"contacts": contacts, "__module__": provider.__module__, "__doc__": provider.__doc__}
    return type(provider.__name__, (provider,), members)


@define
class Harness:
    """One run of one case.

    Attributes:
        client: `Contacts`, or `AsyncContacts` made to block.
        provider: The provider behind it.
        case: The case's name, for addresses that no other case uses.
        time: Virtual time; ``time.sleep`` moves the emulator's clock too.
        running: The emulator, where there is one.
        open_client: Opens another client of the same account; keyword arguments change the provider's settings.
        sent: Method and URL of every request, in order.
    """

    client: Any
    provider: Provider
    case: str
    time: VirtualTime
    running: Running | None
    open_client: Callable[..., Any] = field(repr=False)
    sent: list[str] = field(factory=list[str])

    @property
    def emulator(self) -> Emulator | None:
        """The emulator, where there is one."""
        return self.running.sandbox.emulators[self.provider.name] if self.running else None

    @property
    def tells_truth(self) -> bool:
        """Whether the emulator tells what is stored, at once and without the provider."""
        return self.emulator is not None and self.emulator.tells_truth

    @property
    def faults(self) -> Faults:
        """What goes wrong on purpose."""
        assert self.running is not None, "this case needs an emulator"
        return self.running.sandbox.faults

    @property
    def requests(self) -> int:
        """How many requests have been sent."""
        return len(self.sent)


@contextmanager
def open_harness(
    provider: type[Provider],
    emulator: type[Emulator] | None,
    settings: Mapping[str, Any],
    cassette: Path | None,
    *,
    backend: Backend,
    mode: Mode,
    case: str,
    contacts: int = 0,
    observer: Callable[[Exchange], None] | None = None,
) -> Generator[Harness, None, None]:
    """Open a fresh account for a case."""
    with ExitStack() as stack:
        recording = RECORDING.source if backend == "cassette" else ""
        running = None
        if emulator and (backend == "emulator" or recording == "emulator"):
            from contacts_core.emulator import Sandbox
            from contacts_core.emulator import running as served

            sandbox = Sandbox([emulator], contacts=contacts, manual=True, observer=observer)
            running = stack.enter_context(served(sandbox))
        chosen = _settings(provider, emulator, settings, running, recording)
        most = MOST_REQUESTS + REQUESTS_PER_CONTACT * contacts
        configured = _bounded(provider, most)(**chosen)
        if cassette and backend == "cassette":
            stack.enter_context(_cassette(cassette, configured, emulator, recording))
        clock = VirtualTime(running.sandbox.clock.advance if running else None)
        runner = stack.enter_context(asyncio.Runner()) if mode == "async" else None
        sent = Sent(most)

        def open_client(**changes: Any) -> Any:
            live = recording == "live"
            return _client(stack, attrs.evolve(configured, **changes), clock, runner, sent, live=live)

        yield Harness(open_client(), configured, case, clock, running, open_client, sent)
        assert not (running and running.sandbox.crashes), "the emulator itself crashed; its log says where"


def _client(
    stack: ExitStack,
    provider: Provider,
    clock: VirtualTime,
    runner: asyncio.Runner | None,
    sent: Sent,
    *,
    live: bool,
) -> Any:
    if runner is None:

        def note_request(request: httpx.Request) -> None:
            sent.note(request)

        http_client = stack.enter_context(
            httpx.Client(event_hooks={"request": [note_request]}, timeout=30, verify=certificates())
        )
        sleep, monotonic = (time.sleep, time.monotonic) if live else (clock.sleep, clock.monotonic)
        paced = provider
        if RECORDING.source:  # a cassette recorded one request at a time is the same every time
            paced = attrs.evolve(provider, http=attrs.evolve(provider.http, max_connections=1))
        jitter = random_jitter if live else _no_jitter
        transport = BlockingTransport(paced, http_client, sleep=sleep, monotonic=monotonic, jitter=jitter)
        return Contacts(provider, transport=transport)

    async def note(request: Any) -> None:
        sent.note(request)

    async_client = httpx.AsyncClient(event_hooks={"request": [note]}, timeout=30, verify=certificates())
    stack.callback(lambda: runner.run(async_client.aclose()))
    later = AsyncTransport(
        provider, async_client, sleep=clock.sleep_async, monotonic=clock.monotonic, jitter=_no_jitter
    )
    return BlockingAdapter(AsyncContacts(provider, transport=later), runner)


def _no_jitter() -> float:
    """The same pauses in every run."""
    return 0.0


def _settings(
    provider: type[Provider],
    emulator: type[Emulator] | None,
    settings: Mapping[str, Any],
    running: Running | None,
    recording: str,
) -> dict[str, Any]:
    if running:
        return {**running.settings(provider.name), **settings}
    if recording == "live":
        if provider.name not in RECORDING.accounts:
            pytest.skip(f"no account of {provider.name} in the environment")
        return {**attrs.asdict(RECORDING.accounts[provider.name], recurse=False), **settings}
    given = {**_sample(provider, emulator), **settings}
    required = [a.name for a in attrs.fields(provider) if a.default is attrs.NOTHING and a.name not in given]
    assert required == [], (
        f"{provider.__name__} needs the setting {', '.join(required)}: without an emulator, give it in the attribute "
        "`settings` of the contract, or let its fixture `account` yield it"
    )
    return given


def _sample(provider: type[Provider], emulator: type[Emulator] | None) -> dict[str, Any]:
    """Settings for playing: the emulator's keys, and the vendor's own address (a sample one where it is not known)."""
    from contacts_core.emulator import Clock, Faults

    keys = emulator(clock=Clock(manual=True), faults=Faults()).settings() if emulator else {}
    known = attrs.fields_dict(provider)["base_url"].default
    return {**keys, "base_url": f"https://{provider.name}.example" if known is attrs.NOTHING else known}


@contextmanager
def _cassette(
    path: Path, provider: Provider, emulator: type[Emulator] | None, recording: str
) -> Generator[None, None, None]:
    if not recording:
        with cassettes.playing(path):
            yield
        return
    sample = _sample(type(provider), emulator)
    current = attrs.asdict(provider, recurse=False)
    replace = {str(current[name]): str(sample[name]) for name in sample if current[name] != sample[name]}
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    origin = "Recorded from the emulator." if recording == "emulator" else f"Recorded from the live vendor on {today}."
    with cassettes.recording(path, origin, replace):
        yield
