"""Things that go wrong on purpose, chosen by name."""

import random
import threading
from collections.abc import Iterable

from attrs import define

FAULTS: dict[str, str] = {
    "rate-limit": "429 with Retry-After: 1; the request is not processed",
    "rate-limit-bare": "429 without Retry-After; the request is not processed",
    "server-error": "500 in the vendor's error shape; the request is not processed",
    "unavailable": "503 in the vendor's error shape; the request is not processed",
    "html": "502 with an HTML error page; the request is not processed",
    "cut": "the request is processed, and the connection is cut in the middle of the answer",
    "truncated": "the request is processed, and its JSON answer ends half-way (with a matching Content-Length)",
    "wrong-json": "the request is processed, and the answer is valid JSON of the wrong shape",
    "job-fails": "an accepted job or export fails",
    "job-never-ends": "an accepted job or export stays pending",
    "list-removal-ignored": "a removal from a list is accepted, and nothing happens",
    "partial-items": "only half of the members are processed, and the count says so",
    "stale-reads": "a deleted contact is still shown by reads for 20 seconds",
    "empty-export": "an export is ready without a file although there are contacts",
}


@define
class _Setting:
    times: int | None
    chance: float = 1.0


class Faults:
    """The faults that are switched on.

    A spec is `name` (every request), `name=3` (the next three requests that it fits) or `name=10%` (that share of
    them; which ones follows from `seed`).
    """

    def __init__(self, specs: Iterable[str] = (), seed: int = 0) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._settings: dict[str, _Setting] = {}
        self._dice: dict[str, random.Random] = {}
        for spec in specs:
            self._parse(spec)

    def _parse(self, spec: str) -> None:
        name, equals, amount = (part.strip() for part in spec.partition("="))
        try:
            if not equals:
                self._switch(name, _Setting(None))
            elif amount.endswith("%"):
                self._switch(name, _Setting(None, _share(amount)))
            else:
                self._switch(name, _Setting(_times(amount)))
        except _BadAmount:
            raise ValueError(f"fault {spec!r}: expected NAME, NAME=TIMES or NAME=PERCENT%") from None

    def _switch(self, name: str, setting: _Setting) -> None:
        _known(name)
        with self._lock:
            self._settings[name] = setting
            self._dice[name] = random.Random(f"{self._seed}/{name}")

    def set(self, name: str, times: int | None) -> None:
        """Switch a fault on for the next `times` requests that it fits; `None` is all of them, 0 is none."""
        self._switch(name, _Setting(times))

    def clear(self) -> None:
        """Switch everything off."""
        with self._lock:
            self._settings.clear()

    def take(self, name: str) -> bool:
        """Whether this fault strikes now; one of its times is then used up."""
        _known(name)
        with self._lock:
            setting = self._settings.get(name)
            if setting is None or setting.times == 0:
                return False
            if setting.chance < 1.0 and self._dice[name].random() >= setting.chance:
                return False
            if setting.times is not None:
                setting.times -= 1
            return True


class _BadAmount(Exception):
    """The part after `=` is neither a count nor a percentage."""


def _known(name: str) -> None:
    if name not in FAULTS:
        raise ValueError(f"unknown fault {name!r}; valid are: {', '.join(FAULTS)}")


def _times(amount: str) -> int:
    if not amount.isdecimal():
        raise _BadAmount
    return int(amount)


def _share(amount: str) -> float:
    try:
        share = float(amount.removesuffix("%")) / 100
    except ValueError:
        raise _BadAmount from None
    if not 0 <= share <= 1:
        raise _BadAmount
    return share
