"""What both transports do between their sends, reads and pauses."""

from __future__ import annotations

import copy
import logging
import os
import random
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar, cast

from contacts_core.errors import ConfigurationError, ContactsError, UnexpectedPayload, Unreachable
from contacts_core.http.authorization import Authorizer
from contacts_core.http.hooks import BeforeSend, EventHook, Hooks
from contacts_core.http.interruption import Interruption
from contacts_core.http.rate_limits import RateLimiter
from contacts_core.http.retry import Attempts, Raise
from contacts_core.http.wire import NO_HEADERS, Answer, Wire, is_answer
from contacts_core.provider import Effect, Emit, Provider, Request, Settled, Stream

__all__ = ["ASK_AGAIN_S", "Transport"]

T = TypeVar("T")

logger = logging.getLogger("contacts_core")
# Retries are warnings with a logger of their own: without this handler they would reach stderr in programs that log
# nothing.
retries = logging.getLogger("contacts_core.retries")
retries.addHandler(logging.NullHandler())

ASK_AGAIN_S = 0.1  # until a `BeforeSend` hook is asked again


class Transport:
    """The shared half of a transport: hooks, pacing, deadlines, and what an answer means."""

    def __init__(self, provider: Provider, monotonic: Callable[[], float], jitter: Callable[[], float]) -> None:
        """Prepare to send the requests of a provider.

        Raises:
            ConfigurationError: Its address is not fit to send a key to, or its key cannot be sent.
        """
        self._wire = Wire(provider)
        self._authorizer = Authorizer(provider, self._wire.checked_keys)
        self._provider = provider
        self._settings = provider.http
        self._rates = provider.rate_limits
        self._limiter = RateLimiter(provider.rate_limits)
        self._hooks = Hooks()
        self._monotonic, self._jitter = monotonic, jitter
        self._broken: tuple[type[Exception], ...] = ()
        self._process = os.getpid()
        self._closed = False
        self._first_request: float | None = None

    @property
    def provider(self) -> Provider:
        """Whose requests are sent."""
        return self._provider

    def _reads_ahead(self, pages: int, interruption: Interruption) -> bool:
        """Return whether the next page is read while this one is consumed; not before somebody asked for a second."""
        return pages > 1 and self._settings.read_ahead and interruption.error is None

    def add_event_hook(self, hook: EventHook) -> Callable[[], None]:
        """Call this after every exchange, besides the hooks that are there; return the function that removes it."""
        return self._hooks.add_event_hook(hook)

    def add_before_send(self, hook: BeforeSend) -> Callable[[], None]:
        """Ask this before every exchange, besides the hooks that are there; return the function that removes it."""
        return self._hooks.add_before_send(hook)

    def charge(self, requests: int) -> None:
        """Count requests that another process sent just before against the provider's rate limits."""
        self._limiter.charge(requests, self._monotonic())

    def _attempts(self, request: Request[Any]) -> Attempts:
        """Begin the attempts at a request."""
        now = self._monotonic()
        if self._first_request is None:
            self._first_request = now
        deadline = now + self._settings.deadline_s
        if self._settings.client_deadline_s is not None:
            deadline = min(deadline, self._first_request + self._settings.client_deadline_s)
        return Attempts(request, self._settings, deadline)

    def _left_s(self, attempts: Attempts) -> float:
        """Return the seconds until the deadline of a request, or 0 after it."""
        return max(attempts.deadline - self._monotonic(), 0.0)

    def _turn(self, request: Request[Any], attempts: Attempts) -> tuple[float, float]:
        """Return the seconds until the request may be sent, and the seconds that its exchange may take then.

        No seconds until it may be sent mean now: it counts as sent.

        Raises:
            DeadlineExceeded: It cannot be sent before its deadline.
            RateLimited: It would have to wait for longer than its patience.
        """
        allowed_s = self._hooks.allowed_s()
        if allowed_s <= 0 and self._left_s(attempts) > 0:
            return ASK_AGAIN_S, 0.0
        decision = attempts.before_sending(self._monotonic(), self._limiter.delay)
        if isinstance(decision, Raise):
            raise self._wire.labelled(decision.error, request.operation)
        return decision.seconds, allowed_s

    def _keys(self, attempts: Attempts) -> Mapping[str, str]:
        return attempts.authorization.headers if attempts.authorization else NO_HEADERS

    def _pause_after(
        self, attempts: Attempts, error: ContactsError, interruption: Interruption
    ) -> float | ContactsError:
        """Return the seconds until the request is sent again, or the error that ends it."""
        if attempts.authorization and attempts.may_renew(error):
            self._authorizer.drop(attempts.authorization)
            return 0.0
        decision = attempts.after_failure(error, self._monotonic(), self._jitter())
        if isinstance(decision, Raise):
            return decision.error
        if interruption.error is not None:
            return error
        retries.warning("%s; asking again in %.1f s", type(error).__name__, decision.seconds)
        return decision.seconds

    def _unanswered(self, request: Request[Any], error: Exception) -> Unreachable:
        """Return the error of an exchange that broke off."""
        self._hooks.notify(request, None)
        return self._wire.unreachable(request.operation, error)

    def _delivered(self, request: Request[T], answer: Answer) -> T:
        """Return the payload of an answer.

        Raises:
            ProviderError: The vendor refused, or its answer cannot be read.
        """
        self._hooks.notify(request, answer)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s: %s", self._wire.shown(request.operation), answer.status_code)
        seconds = self._wire.hold_s(request, answer.status_code, answer.headers)
        if seconds is not None:
            self._limiter.hold(request.rate_limit, self._monotonic() + min(seconds, self._settings.max_pause_s))
        if answer.problem and is_answer(answer.status_code, request):
            raise self._wire.flawed(request.operation, answer)
        delivered: T = self._wire.decoded(request, answer.status_code, answer.headers, answer.content)
        return delivered

    def _raise_refused(self, operation: str, answer: Answer) -> NoReturn:
        raise self._wire.refusal(operation, answer.status_code, answer.headers, answer.content)

    def _too_many_redirects(self) -> UnexpectedPayload:
        return self._wire.about(UnexpectedPayload("the vendor's file is behind too many redirects"), "download")

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError("this client is closed", hint="open another one with connect or connect_async")

    def _check_process(self, *, own_client: bool) -> bool:
        """Return whether this process was forked since the connections were opened.

        Raises:
            ConfigurationError: It was, and the connections are the caller's.
        """
        if os.getpid() == self._process:
            return False
        if own_client:
            return True
        raise ConfigurationError(
            "the HTTP client was made before this process was forked, and would share its connections",
            hint="make the client and open the account in the child process",
        )

    def _forget_parent(self) -> None:
        """Begin anew in a forked process."""
        self._limiter = RateLimiter(self._rates)
        self._authorizer = Authorizer(self._provider, self._wire.checked_keys)
        self._process = os.getpid()


def random_jitter() -> float:
    """Return a random number from 0 to 1, for the pauses between attempts."""
    return random.random()  # noqa: S311 - nothing depends on its secrecy


def following_effect(stream: Stream[T]) -> Effect | Emit[T] | Exception:
    """Return what follows a page: the next effect, or how the stream ends, which is raised after the page's items."""
    try:
        return next(stream)
    except Exception as end:  # noqa: BLE001 - whatever it is, it is raised later
        return end


def continued(stream: Stream[T], following: Effect | Emit[T] | Exception | None) -> Effect | Emit[T]:
    """Return the effect that follows a page, which may be known already."""
    if following is None:
        return next(stream)
    if isinstance(following, Exception):
        raise following
    return following


def settled_result(settled: Settled[T]) -> T:
    """Return the result of a flow that several wait for, or raise its error, which none of them shares."""
    if settled.error:
        raise copy.copy(settled.error)
    return cast("T", settled.value)


def client_error(error: RuntimeError) -> RuntimeError | ConfigurationError:
    """Return the error for a client of the caller's that cannot be used here any more; others stay as they are."""
    if "closed" in str(error) or "loop" in str(error):
        return ConfigurationError(
            "the HTTP client is closed or belongs to another event loop", hint="make it where it is used"
        )
    return error
