"""How long to wait before the next request: the provider's rate limits, and what the vendor's answers say."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, cast

from contacts_core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contacts_core.provider import RateLimit


class RateLimiter:
    """Counts the requests of one client, limit by limit. Pure: it reads no clock and does not sleep. Thread-safe."""

    def __init__(self, rates: Mapping[str, RateLimit]) -> None:
        from pyrate_limiter import InMemoryBucket, RateItem  # noqa: PLC0415 - it takes longer than all of this package
        from pyrate_limiter import Rate as Window  # noqa: PLC0415

        self._item = RateItem
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}
        self._buckets = {
            rate_limit: InMemoryBucket([Window(rate.limit, round(rate.seconds * 1000))])
            for rate_limit, rate in rates.items()
        }

    def delay(self, rate_limit: str, now: float) -> float:
        """Return the seconds to wait before asking again; 0 means that the request counts as sent: send it now.

        Args:
            rate_limit: The name of the request's limit; an unknown name counts for the general one.
            now: Seconds on a clock that only goes forward.
        """
        rate_limit = rate_limit if rate_limit in self._buckets else ""
        with self._lock:
            held = self._until.get(rate_limit, 0.0) - now
            if held > 0:
                return held
            bucket = self._buckets.get(rate_limit)
            if bucket is None:
                return 0.0
            item = self._item("", round(now * 1000))
            if bucket.count() >= bucket.rates[0].limit:  # forgetting what is past takes longer than adding
                bucket.leak(item.timestamp)
            return 0.0 if bucket.put(item) else max(bucket.waiting(item), 1) / 1000  # type: ignore[operator,type-var]

    def charge(self, requests: int, now: float) -> None:
        """Count requests that another process just sent for every limit: which limits they took is not known.

        More than a limit has left take all of it.

        Raises:
            InvalidInput: It is no number of requests.
        """
        given = cast("object", requests)  # at run time it may be anything
        if isinstance(given, bool) or not isinstance(given, int) or given < 0:
            raise InvalidInput("requests to count must be a whole number that is not negative")
        moment = round(now * 1000)
        with self._lock:
            for bucket in self._buckets.values():
                bucket.leak(moment)
                if weight := min(requests, bucket.rates[0].limit - bucket.count()):
                    bucket.put(self._item("", moment, weight=weight))

    def hold(self, rate_limit: str, until: float) -> None:
        """Send nothing under this limit before ``until``: the vendor said that nothing is left."""
        rate_limit = rate_limit if rate_limit in self._buckets else ""
        with self._lock:
            self._until[rate_limit] = max(until, self._until.get(rate_limit, 0.0))
