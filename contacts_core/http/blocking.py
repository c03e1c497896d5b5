"""The transport that blocks: it sends, reads, sleeps, runs flows side by side in threads, and opens connections."""

from __future__ import annotations

import contextvars
import itertools
import threading
import time
from collections.abc import Callable, Generator, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from contacts_core.errors import Cancelled, ConfigurationError, ContactsError, DeadlineExceeded, InvalidInput
from contacts_core.http.downloads import MAX_REDIRECTS, OpenFile
from contacts_core.http.exchange import allowed_place, deadline, gone_out, within
from contacts_core.http.interruption import Interruption, not_started
from contacts_core.http.protocols import BlockingHttpResponse, BuildsRequests, Client, HttpRequest
from contacts_core.http.retry import TOO_LATE, Attempts
from contacts_core.http.transport import (
    ASK_AGAIN_S,
    Transport,
    client_error,
    continued,
    following_effect,
    random_jitter,
    settled_result,
)
from contacts_core.http.wire import OK, REDIRECTS, Answer, transport_errors
from contacts_core.provider import (
    Authorization,
    Blocking,
    Download,
    Effect,
    Emit,
    Flow,
    Gather,
    Join,
    Provider,
    Read,
    Request,
    Settled,
    Sleep,
    Stream,
    Take,
)

if TYPE_CHECKING:
    import httpx

__all__ = ["BlockingTransport"]

T = TypeVar("T")

GOES_OUT_S = 0.01  # a request goes out within a millisecond, unless a rate limit or a slow connection holds it back


class BlockingTransport(Transport):
    """Runs flows with a blocking client; `Gather` uses threads."""

    def __init__(
        self,
        provider: Provider,
        client: Client | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random_jitter,
    ) -> None:
        """Open connections, unless the client is the caller's.

        Args:
            provider: Whose requests are sent; its `HttpSettings` are the limits.
            client: An HTTP client of the caller's.
            sleep: Pauses for some seconds.
            monotonic: The clock of pauses and deadlines, in seconds.
            jitter: Gives random numbers from 0 to 1, for the pauses between attempts.
        """
        super().__init__(provider, monotonic, jitter)
        self._sleep = sleep
        self._pausing: list[threading.Event] = []  # what other threads wait for in their pauses
        self._idle: list[httpx.Client] = []  # of our own, the one used last at the end
        self._opened: set[httpx.Client] = set()  # those, and the ones in use
        self._fork_lock = threading.Lock()
        self._open(client)

    def _open(self, client: Client | None) -> None:
        self._callers = client
        self._builder: BuildsRequests
        if client is None:
            from contacts_core.http import connections  # noqa: PLC0415 - httpcore is for those who need no other client

            own = self._new_client()
            self._opened, self._idle = {own}, [own]
            self._builder = connections.Requests(own)
            self._broken = transport_errors(own)
        else:
            self._builder = client
            self._broken = transport_errors(client)
        # A semaphore made of a queue: threading's own is written in Python, and shows in the cost of a request.
        self._slots: SimpleQueue[None] = SimpleQueue()
        for _ in range(self._settings.max_connections):
            self._slots.put(None)
        self._authorizing = threading.Lock()
        self._under_way: dict[Hashable, Future[Settled[Any]]] = {}  # what several flows wait for, by the key of `Join`

    def _new_client(self) -> httpx.Client:
        from contacts_core.http import connections  # noqa: PLC0415 - as above

        return connections.client(self._settings)

    def close(self) -> None:
        """Close the connections, unless the client is the caller's."""
        self._closed = True
        for pause in tuple(self._pausing):
            pause.set()
        for own in tuple(self._opened):
            own.close()

    # -- flows --------------------------------------------------------------------------------------------------------

    def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end and return its result.

        Raises:
            KeyboardInterrupt: The user pressed Ctrl-C. Its cause tells what was done: an `Interrupted` with the outcome
                for what changes many contacts, else the error that the flow ended with; a `Cancelled` that is
                unclear if the flow has had its effect, and its result was lost.
        """
        interruption = Interruption()
        try:
            result = self._run(flow, interruption)
        except Exception as error:
            interruption.check(error)
            raise
        interruption.check(result)
        return result

    def _run(self, flow: Flow[T], interruption: Interruption) -> T:
        with ExitStack() as open_files:
            try:
                effect = next(flow)
                while True:
                    effect = self._step(flow, effect, open_files, interruption)
            except StopIteration as stopped:
                result: T = stopped.value
                return result

    def stream(self, stream: Stream[T]) -> Iterator[T]:
        """Run a stream, giving its items as they come."""
        interruption = Interruption()
        with ExitStack() as open_files:
            open_files.callback(stream.close)
            pages = 0
            try:
                effect: Effect | Emit[T] = next(stream)
                while True:
                    if not isinstance(effect, Emit):
                        effect = self._step(stream, effect, open_files, interruption)
                        continue
                    pages += 1
                    following = following_effect(stream) if self._reads_ahead(pages, interruption) else None
                    if not isinstance(following, Request):
                        yield from effect.items
                        effect = continued(stream, following)
                        continue
                    with _Ahead(self, following, interruption) as ahead:
                        ahead.let_go_out()
                        yield from effect.items
                    effect = ahead.step(stream)
            except StopIteration:
                interruption.check(Cancelled())
                return
            except Exception as error:
                interruption.check(error)
                raise

    def _step(
        self,
        flow: Generator[Any, Any, Any],
        effect: Effect,
        open_files: ExitStack,
        interruption: Interruption,
    ) -> Any:
        """Perform an effect, hand its answer or its error to the flow, and return the next effect."""
        try:
            answer = self._perform(effect, open_files, interruption)
        except Exception as error:  # noqa: BLE001 - whatever an effect raises is raised in the flow
            return flow.throw(error)
        return flow.send(answer)

    def _perform(self, effect: Effect, open_files: ExitStack, interruption: Interruption) -> object:
        if interruption.error:
            raise Cancelled
        try:
            match effect:
                case Request():
                    return self.request(effect, interruption)
                case Sleep(seconds):
                    self._pause(seconds, interruption)
                case Gather():
                    return self._gather(effect, interruption)
                case Join():
                    return self._join(effect, interruption)
                case Download():
                    return self._download(effect, open_files, interruption)
                case Read(source):
                    return self._read(cast("OpenFile[Iterator[bytes]]", source))
                case Blocking(function):
                    self._check_open()
                    return function()
                case Take():
                    raise InvalidInput("only AsyncContacts takes an asynchronous iterable", hint="use connect_async")
        except KeyboardInterrupt as error:
            interruption.note(error)
            raise Cancelled(unclear=isinstance(effect, Gather | Blocking)) from None
        return None

    def _gather(self, gather: Gather[T], interruption: Interruption) -> list[Settled[T]]:
        flows = list(gather.flows)
        settled: list[Settled[T]] = [Settled(started=False) for _ in flows]
        halt = threading.Event()
        turns = itertools.count()

        def work() -> None:
            while not (halt.is_set() or interruption.error) and (turn := next(turns)) < len(flows):
                settled[turn] = Settled(error=Cancelled(unclear=True))  # unless it ends
                try:
                    settled[turn] = Settled(self._run(flows[turn], interruption))
                except ContactsError as error:
                    settled[turn] = Settled(error=error)
                    if not error.per_item:
                        halt.set()
                except BaseException:
                    halt.set()
                    raise

        workers = min(gather.limit, self._settings.max_connections, len(flows))
        if not workers:
            return settled
        interruption.noted = interruption.noted or threading.Event()
        # A task is known before its thread is: Ctrl-C may strike while threads are started.
        tasks: list[Future[None]] = [Future() for _ in range(workers)]
        pool = ThreadPoolExecutor(workers, thread_name_prefix="contacts")
        try:
            for task in tasks:  # each thread gets the caller's context, for the caller's spans and log fields
                pool.submit(contextvars.copy_context().run, _carry_out, work, task)
            wait(tasks)
        except KeyboardInterrupt as error:
            interruption.note(error)
            tasks = [task for task in tasks if not task.cancel()]  # those that have begun
            try:
                wait(tasks)
            except KeyboardInterrupt:  # what is not waited for is unclear
                halt.set()
            settled = not_started(settled)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        for task in tasks:
            if task.done():
                task.result()
        return settled

    def _join(self, join: Join[T], interruption: Interruption) -> T:
        while True:
            if interruption.error:
                raise Cancelled
            own: Future[Settled[Any]] = Future()
            settled: Settled[T] = Settled(error=Cancelled())
            try:
                leading = self._under_way.setdefault(join.key, own)  # in one step, for other threads do the same
                if leading is own:
                    settled = Settled(self._run(join.start(), interruption))
            except ContactsError as error:
                settled = Settled(error=error)
                raise
            finally:
                if self._under_way.get(join.key) is own:
                    del self._under_way[join.key]
                own.set_result(settled)
            if leading is not own:
                settled = leading.result()
            if not isinstance(settled.error, Cancelled):
                return settled_result(settled)

    # -- requests -----------------------------------------------------------------------------------------------------

    def request(self, request: Request[T], interruption: Interruption) -> T:
        """Send a request until it is answered; see `Attempts`."""
        self._check_usable()
        attempts = self._attempts(request)
        try:
            while True:
                if self._authorizer.applies_to(request):
                    attempts.authorization = self._authorization(attempts, interruption)
                try:
                    return self._attempt(request, attempts, interruption)
                except ContactsError as error:
                    pause = self._pause_after(attempts, error, interruption)
                if isinstance(pause, ContactsError):
                    raise pause
                self._pause(pause, interruption, attempts)
        except KeyboardInterrupt as error:  # while waiting
            interruption.note(error)
            raise Cancelled(unclear=attempts.unclear) from None

    def _authorization(self, attempts: Attempts, interruption: Interruption) -> Authorization:
        """Return what authorizes a request now; of several that need it, one gets it for all."""
        authorizer = self._authorizer
        if known := authorizer.current(self._monotonic()):
            return known
        turn = authorizer.turn
        if not self._authorizing.acquire(timeout=min(self._left_s(attempts), threading.TIMEOUT_MAX)):
            raise DeadlineExceeded(TOO_LATE)
        try:
            self._check_goes_on(interruption, attempts)
            return authorizer.since(turn) or self._run(authorizer.renew(self._monotonic), interruption)
        except ContactsError as error:
            error.unclear = error.unclear or attempts.unclear
            raise
        finally:
            self._authorizing.release()

    def _attempt(self, request: Request[T], attempts: Attempts, interruption: Interruption) -> T:
        built, limit_s = self._wire.request(self._builder, request, self._keys(attempts))
        while True:
            slot: list[None] = []
            try:  # a request counts when nothing holds it back any more, not while it waits for a slot
                # In one step, so that Ctrl-C cannot come between getting a slot and knowing of it.
                slot.extend(map(self._slots.get, (True,), (min(self._left_s(attempts), threading.TIMEOUT_MAX),)))
                self._check_goes_on(interruption, attempts)
                pause_s, allowed_s = self._turn(request, attempts)
                if pause_s <= 0:
                    self._wire.sign(request, built)
                    answer = self._answer(request, built, min(limit_s, allowed_s), interruption)
                    delivered = self._delivered(request, answer)
                    return delivered
            except Empty:
                raise DeadlineExceeded(TOO_LATE) from None
            finally:
                if slot:
                    self._slots.put(None)
            self._pause(pause_s, interruption, attempts)

    def _pause(self, seconds: float, interruption: Interruption, attempts: Attempts | None = None) -> None:
        """Pause, but no longer than until Ctrl-C.

        Raises:
            Cancelled: It was pressed; only the main thread gets a `KeyboardInterrupt`.
        """
        noted = interruption.noted if threading.current_thread() is not threading.main_thread() else None
        if noted and self._sleep is time.sleep:
            self._pausing.append(noted)
            if not self._closed:
                noted.wait(min(seconds, threading.TIMEOUT_MAX))
            self._pausing.remove(noted)
        else:
            self._sleep(seconds)
        self._check_goes_on(interruption, attempts)

    def _check_goes_on(self, interruption: Interruption, attempts: Attempts | None) -> None:
        unclear = attempts is not None and attempts.unclear
        if interruption.error:
            raise Cancelled(unclear=unclear)
        try:
            self._check_open()
        except ConfigurationError as error:
            error.unclear = unclear
            raise

    def _answer(self, request: Request[Any], built: HttpRequest, limit_s: float, interruption: Interruption) -> Answer:
        token = deadline.set(time.monotonic() + limit_s)
        try:
            with self._connection() as client:
                if self._wire.goes_elsewhere(request):
                    response = self._send_elsewhere(client, built)
                else:
                    with self._wire.masked_log:
                        response = client.send(built, stream=True, follow_redirects=False)
                try:
                    return self._content(response, request)
                finally:
                    response.close()
        except self._broken as error:
            raise self._unanswered(request, error) from None
        except RuntimeError as error:
            raise client_error(error) from None
        except KeyboardInterrupt as error:
            interruption.note(error)
            raise Cancelled(unclear=True) from None
        finally:
            deadline.reset(token)

    def _content(self, response: BlockingHttpResponse, request: Request[Any] | None = None) -> Answer:
        if answer := self._wire.whole(response):
            return answer
        body, end = self._wire.body(response, request), deadline.get()
        for data in response.iter_raw():
            if not body.feed(data):
                break
            if time.monotonic() > end:  # a client of the caller's own does not know the deadline
                raise TimeoutError
        return Answer(response.status_code, response.headers, body.end(), body.problem)

    def _check_usable(self) -> None:
        self._check_open()
        if not self._check_process(own_client=self._callers is None):
            return
        with self._fork_lock:
            if self._check_process(own_client=True):
                self._open(None)
                self._forget_parent()

    # -- connections --------------------------------------------------------------------------------------------------

    @contextmanager
    def _connection(self) -> Generator[Client]:
        """Give one exchange a client to itself, unless there is only the caller's; see `AsyncTransport`."""
        if self._callers is not None:
            yield self._callers
            return
        try:
            own = self._idle.pop()
        except IndexError:  # in one step, for other threads do the same
            own = self._new_client()
            self._opened.add(own)
        kept = False
        try:
            yield cast("Client", own)
            kept = not self._closed and len(self._idle) < self._settings.max_connections
        finally:
            if kept:
                self._idle.append(own)
            else:
                own.close()
                self._opened.discard(own)

    # -- files --------------------------------------------------------------------------------------------------------

    def _download(
        self, download: Download, open_files: ExitStack, interruption: Interruption
    ) -> OpenFile[Iterator[bytes]]:
        self._check_usable()
        url, origin, timeout_s = download.url, "", self._settings.timeout_s
        client = open_files.enter_context(self._connection())
        try:
            for _ in range(MAX_REDIRECTS):
                request = self._wire.file_request(self._builder, url, origin)
                with within(min(timeout_s, self._allowed_s(interruption))):
                    response = self._send_elsewhere(client, request)
                open_files.callback(response.close)
                if response.status_code in OK:
                    read = response.is_stream_consumed  # a transport in this process may answer whole
                    return OpenFile(response.iter_bytes() if read else response.iter_raw())
                if response.status_code not in REDIRECTS:
                    with within(timeout_s):
                        self._raise_refused("download", self._content(response))
                response.close()  # it holds the only connection of this client
                url, origin = self._wire.redirected(request, response), url
        except self._broken as error:
            raise self._wire.unreachable("download", error) from None
        raise self._too_many_redirects()

    def _read(self, source: OpenFile[Iterator[bytes]]) -> bytes:
        timeout_s = self._settings.timeout_s
        try:
            with within(timeout_s):
                began = time.monotonic()
                for data in source.chunks:
                    now = time.monotonic()
                    source.note(now - began, data, timeout_s)
                    began = now
                    if data:
                        return bytes(data)
        except self._broken as error:
            raise self._wire.unreachable("download", error) from None
        return b""

    def _allowed_s(self, interruption: Interruption) -> float:
        """Wait until something may be sent, and return the seconds that it may take."""
        while (allowed_s := self._hooks.allowed_s()) <= 0:
            self._pause(ASK_AGAIN_S, interruption)
        return allowed_s

    def _send_elsewhere(self, client: Client, request: HttpRequest) -> BlockingHttpResponse:
        checked = allowed_place.set(self._wire.place_check(request))
        try:
            with self._wire.masked_log:
                return client.send(request, stream=True, auth=None, follow_redirects=False)
        except RuntimeError as error:
            raise client_error(error) from None
        finally:
            allowed_place.reset(checked)


class _Ahead:
    """A request of a stream that is under way in a thread while the items before it are consumed.

    If they are not consumed to the end, the request is given ``cancel_timeout_s`` to end, and its answer is dropped.
    """

    def __init__(self, transport: BlockingTransport, request: Request[Any], interruption: Interruption) -> None:
        self._cancel_timeout_s = transport.provider.http.cancel_timeout_s
        self._interruption = interruption
        self._own = Interruption(noted=threading.Event())
        self._task: Future[object] = Future()
        self._gone_out = threading.Event()
        perform = contextvars.copy_context().run
        threading.Thread(
            target=perform,
            args=(_carry_out, lambda: self._perform(transport, request), self._task),
            name="contacts-read-ahead",
            daemon=True,
        ).start()

    def _perform(self, transport: BlockingTransport, request: Request[T]) -> T:
        gone_out.set(self._gone_out)
        try:
            return transport.request(request, self._own)
        finally:
            self._gone_out.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if error is not None:
            self._end(error)

    def let_go_out(self) -> None:
        """Wait a moment for the request to go out: mapping the items before it would keep its thread from running."""
        self._gone_out.wait(GOES_OUT_S)

    def step(self, stream: Stream[T]) -> Effect | Emit[T]:
        """Wait for the answer, hand it or its error to the stream, and return the next effect."""
        try:
            try:
                answer = self._task.result()
            except KeyboardInterrupt as error:
                self._interruption.note(error)
                self._end(error)
                raise Cancelled from None
        except Exception as error:  # noqa: BLE001 - whatever the request raises is raised in the stream
            return stream.throw(error)
        return stream.send(answer)

    def _end(self, error: BaseException) -> None:
        self._own.note(error)
        wait([self._task], self._cancel_timeout_s)


def _carry_out(work: Callable[[], T], task: Future[T]) -> None:
    """Do the work of a task, unless it was cancelled before it began."""
    if not task.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - it is raised where the task is waited for
        task.set_exception(error)
    else:
        task.set_result(result)
