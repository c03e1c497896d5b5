"""When a request is sent, and when it is sent again: one rule for both transports.

It is pure: it reads no clock, does not pause and does no I/O. A transport tells what happened and what time it is, and
does what the rule decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from contacts_core.errors import ContactsError, DeadlineExceeded, ProviderError, RateLimited, Unauthenticated
from contacts_core.provider import Authorization, HttpSettings, Request

__all__ = ["SEND", "TOO_LATE", "Attempts", "Raise", "Wait", "backoff_s"]

FIRST_BACKOFF_S = 0.1
TOO_LATE = "the time for requests is over; this one was not sent"


@frozen
class Wait:
    """Wait this long, and send the request then; 0 seconds mean now."""

    seconds: float


@frozen
class Raise:
    """Send nothing more, and raise this error."""

    error: ContactsError


SEND = Wait(0.0)


def backoff_s(attempt: int, jitter: float) -> float:
    """Return the pause after this attempt where the vendor names none: 0.1 s, doubling, and up to a second at random.

    Args:
        attempt: How many attempts were made; at least 1.
        jitter: A random number from 0 to 1.
    """
    return FIRST_BACKOFF_S * 2.0 ** min(attempt - 1, 60) + jitter


class Attempts:
    """The attempts at one request: when each is sent, and what all of them together mean.

    Attributes:
        made: How many attempts failed so far.
        authorization: What authorized the last attempt, besides the headers that always do.
    """

    __slots__ = ("_last", "_renewed", "_request", "_settings", "_under_way", "authorization", "deadline", "made")

    def __init__(self, request: Request[Any], settings: HttpSettings, deadline: float) -> None:
        """Begin.

        Args:
            request: What is asked.
            settings: How many attempts there may be, and how long a pause.
            deadline: When all of it must be over, on the clock of the transport.
        """
        self._request, self._settings, self.deadline = request, settings, deadline
        self.made = 0
        self.authorization: Authorization | None = None
        self._renewed = False
        self._last: ContactsError | None = None
        self._under_way = False

    @property
    def unclear(self) -> bool:
        """Whether the request may have been carried out, although no answer says so."""
        return self._under_way or (self._last is not None and self._last.unclear)

    def before_sending(self, now: float, rate_limit_s: Callable[[str, float], float]) -> Wait | Raise:
        """Decide whether the next attempt is sent now.

        Args:
            now: The time on the clock of the transport.
            rate_limit_s: Gives the seconds that a rate limit asks to wait, by its name and the time; 0 counts as sent.
        """
        if now >= self.deadline:
            return Raise(DeadlineExceeded(TOO_LATE))
        pause_s = rate_limit_s(self._request.rate_limit, now)
        if pause_s <= 0:
            self._under_way = True
            return SEND
        patience_s = self._request.patience
        if patience_s is not None and pause_s > patience_s:
            return Raise(RateLimited(f"not sent: its turn comes only in {pause_s:.1f} s", retry_after=pause_s))
        if now + pause_s >= self.deadline:
            return Raise(
                DeadlineExceeded(
                    f"the vendor's rate limit allows the next request in {pause_s:.0f} s, after the deadline",
                    hint="raise deadline_s in the account's http settings, or try again later",
                )
            )
        return Wait(pause_s)

    def may_renew(self, error: ContactsError) -> bool:
        """Return whether the request is sent again with another authorization: once, for after 401 nothing was done."""
        if self._renewed or not isinstance(error, Unauthenticated):
            return False
        self._renewed, self._under_way = True, False
        return True

    def after_failure(self, error: ContactsError, now: float, jitter: float) -> Wait | Raise:
        """Decide what follows an attempt that failed.

        Only what may pass is tried again, never what could act twice: a request that is not idempotent is repeated only
        if the vendor said that it did nothing.

        Args:
            error: How the attempt failed.
            now: The time on the clock of the transport.
            jitter: A random number from 0 to 1.
        """
        self.made += 1
        if self._last and isinstance(error, DeadlineExceeded):  # which would say that nothing was sent
            return Raise(self._last)
        error.unclear = error.unclear or (self._last is not None and self._last.unclear)
        self._last = error
        self._under_way = False  # not before: Ctrl-C may strike in between
        if not isinstance(error, ProviderError) or not error.retryable or self.made >= self._settings.attempts:
            return Raise(error)
        if self._request.patience is not None or not (self._request.idempotent or isinstance(error, RateLimited)):
            return Raise(error)
        longest_s = self._settings.max_pause_s
        pause_s = min(backoff_s(self.made, jitter), longest_s) if error.retry_after is None else error.retry_after
        if pause_s > longest_s or now + pause_s >= self.deadline:
            return Raise(error)
        return Wait(pause_s)
