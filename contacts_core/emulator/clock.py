"""Virtual time, so that tests do not wait for a vendor's delays."""

import threading
import time
from datetime import UTC, datetime, timedelta

MANUAL_START = datetime(2025, 11, 18, 14, 50, tzinfo=UTC)


class Clock:
    """The time of the emulators.

    A manual clock stands still at a fixed time until it is advanced, which makes recordings reproducible. Otherwise it
    starts at the current time and runs ``speed`` times as fast as real time.
    """

    def __init__(self, speed: float = 1.0, manual: bool = False) -> None:  # noqa: FBT001, FBT002 (a mode, not a flag)
        if speed <= 0:
            raise ValueError("speed must be greater than 0")
        self.speed = speed
        self.manual = manual
        self._start = MANUAL_START if manual else datetime.now(UTC)
        self._started = time.monotonic()
        self._advanced = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the virtual time, in UTC."""
        with self._lock:
            advanced = self._advanced
        running = 0.0 if self.manual else (time.monotonic() - self._started) * self.speed
        return self._start + timedelta(seconds=running + advanced)

    def advance(self, seconds: float) -> None:
        """Advance the virtual time by some seconds."""
        if seconds < 0:
            raise ValueError("time only advances")
        with self._lock:
            self._advanced += seconds
