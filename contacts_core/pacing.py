"""How long to wait before the next request: the provider's rates, and what the vendor says of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contacts_core.provider import Rate


class Pacer:
    """Counts the requests of one client in each lane. Thread-safe; it never sleeps itself."""

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        from pyrate_limiter import InMemoryBucket, RateItem  # noqa: PLC0415 - it takes longer than all of this package
        from pyrate_limiter import Rate as Window  # noqa: PLC0415

        self._item = RateItem
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}
        self._buckets = {
            lane: InMemoryBucket([Window(rate.limit, round(rate.seconds * 1000))]) for lane, rate in rates.items()
        }

    def delay(self, lane: str, now: float) -> float:
        """Seconds to wait before asking again; 0 means the request may go out, and counts: send it at once.

        Args:
            lane: The lane of the request; one without a rate of its own counts in the general one.
            now: Seconds on a clock that only goes forward.
        """
        lane = lane if lane in self._buckets else ""
        with self._lock:
            held = self._until.get(lane, 0.0) - now
            if held > 0:
                return held
            bucket = self._buckets.get(lane)
            if bucket is None:
                return 0.0
            item = self._item("", round(now * 1000))
            if bucket.count() >= bucket.rates[0].limit:  # forgetting what is past takes longer than adding
                bucket.leak(item.timestamp)
            return 0.0 if bucket.put(item) else max(bucket.waiting(item), 1) / 1000  # type: ignore[operator,type-var]

    def charge(self, requests: int, now: float) -> None:
        """Count requests that another process sent just before; which lane they took is not known, so in every one."""
        with self._lock:
            for bucket in self._buckets.values():
                if weight := min(requests, bucket.rates[0].limit):
                    bucket.put(self._item("", round(now * 1000), weight=weight))

    def hold(self, lane: str, until: float) -> None:
        """Let nothing out in this lane before ``until``: the vendor said that nothing is left."""
        lane = lane if lane in self._buckets else ""
        with self._lock:
            self._until[lane] = max(until, self._until.get(lane, 0.0))
