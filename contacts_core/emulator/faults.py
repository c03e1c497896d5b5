"""Faults that emulators can be told to have. Faults of one vendor alone are in its emulator."""

import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import define

T = TypeVar("T")

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
    "no-relations": "lists, fields and identifiers that were asked for are missing when one contact is read or changed",
    "no-relations-anywhere": "the same in pages and look-ups as well",
    "null-relations": "lists, fields and identifiers that were asked for are null, in every answer about contacts",
    "matches-too-much": "a look-up answers with everybody whose identifier begins alike (of an address: up to the @)",
    "ignored-filter": "a look-up answers as if it had no condition: with the first contacts of the account",
    "wrong-person": "a look-up answers with one contact, who is somebody else",
    "stale-identity": "after a contact is read by id or looked up, its identifiers become those of somebody else",
    "resubscribes": "writing a contact makes whoever unsubscribed a subscriber again",
    "consent-ignored": "an unsubscribe is accepted, and nothing happens",
    "not-found-everywhere": "404 with a web page for every path, as from a gateway in front; not processed",
    "not-found-everywhere-text": "the same with the text `404 page not found`",
    "not-found-everywhere-json": "the same with a JSON object that has a `message`",
    "not-found-everywhere-empty": "the same with no body",
}
"""What each fault does, by its name."""
# Faults inside handlers after which an answer need not have its documented shape.
RESHAPING = frozenset(("no-relations", "no-relations-anywhere", "null-relations"))
MOST_UNFILTERED = 50


@define
class _Setting:
    times: int | None
    chance: float = 1.0
    after: int = 0


class Faults:
    """The faults that are switched on.

    A fault is given as ``name`` (every request), ``name=3`` (the next three requests it applies to) or ``name=10%``
    (this share of them, chosen by ``seed``). With ``@N`` at the end it starts after N such requests.
    """

    def __init__(self, specs: Iterable[str] = (), seed: int = 0) -> None:
        self._seed = seed
        self._names = dict(FAULTS)
        self._lock = threading.Lock()
        self._settings: dict[str, _Setting] = {}
        self._dice: dict[str, random.Random] = {}
        self._struck: list[str] = []
        self.switch_on(specs)

    def add(self, names: Mapping[str, str]) -> None:
        """Add faults of one vendor, by name, each with what happens."""
        self._names.update(names)

    def switch_on(self, specs: Iterable[str]) -> None:
        """Switch faults on.

        Raises:
            ValueError: A fault is unknown, or its number is malformed.
        """
        for spec in specs:
            self._parse(spec)

    def _check(self, name: str) -> None:
        if name not in self._names:
            raise ValueError(f"unknown fault {name!r}; valid are: {', '.join(self._names)}")

    def _parse(self, spec: str) -> None:
        front, at, begin = (part.strip() for part in spec.partition("@"))
        name, equals, amount = (part.strip() for part in front.partition("="))
        try:
            after = _times(begin) if at else 0
            if not equals:
                self._switch(name, _Setting(None, after=after))
            elif amount.endswith("%"):
                self._switch(name, _Setting(None, _share(amount), after))
            else:
                self._switch(name, _Setting(_times(amount), after=after))
        except _BadAmount:
            expected = "NAME, NAME=TIMES or NAME=PERCENT%, each with @AFTER behind it or not"
            raise ValueError(f"fault {spec!r}: expected {expected}") from None

    def _switch(self, name: str, setting: _Setting) -> None:
        self._check(name)
        with self._lock:
            self._settings[name] = setting
            self._dice[name] = random.Random(f"{self._seed}/{name}")

    def set(self, name: str, times: int | None, after: int = 0) -> None:
        """Switch a fault on for the next ``times`` requests it applies to; None for all, 0 for none.

        It starts after the next ``after`` such requests.
        """
        self._switch(name, _Setting(times, after=after))

    def remaining(self, name: str) -> int | None:
        """Return how many more times a fault happens: 0 if it is off or used up, None without a limit."""
        with self._lock:
            setting = self._settings.get(name)
            return setting.times if setting else 0

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._settings.clear()

    def take(self, name: str) -> bool:
        """Return whether this fault happens now, and count it."""
        self._check(name)
        with self._lock:
            setting = self._settings.get(name)
            if setting is None or setting.times == 0:
                return False
            if setting.after:
                setting.after -= 1
                return False
            if setting.chance < 1.0 and self._dice[name].random() >= setting.chance:
                return False
            if setting.times is not None:
                setting.times -= 1
            self._struck.append(name)
            return True

    def struck(self) -> list[str]:
        """Return the faults that happened since the last call."""
        with self._lock:
            names, self._struck = self._struck, []
        return names

    def hold_back(self, contacts: Sequence[dict[str, Any]], relations: Iterable[str], *, one: bool) -> None:
        """Leave relations out of the contacts of an answer, or set them to null, if a fault says so.

        ``one`` is true if the answer is about one contact that the request names.
        """
        present = [name for name in relations if any(name in contact for contact in contacts)]
        if not present:
            return
        if (one and self.take("no-relations")) or self.take("no-relations-anywhere"):
            for contact in contacts:
                for name in present:
                    contact.pop(name, None)
        elif self.take("null-relations"):
            for contact in contacts:
                contact.update((name, None) for name in present if name in contact)

    def look_up(
        self, exact: Iterable[T], everyone: Iterable[T], wanted: Iterable[str], values: Callable[[T], Iterable[str]]
    ) -> list[T]:
        """Return what a look-up answers with: the contacts that match exactly, or others if a fault says so.

        ``values`` returns the identifiers of one of ``everyone``, which are compared with those ``wanted``.
        """
        stems = tuple(map(stem, wanted))
        if stems and self.take("matches-too-much"):
            return [one for one in everyone if any(value.lower().startswith(stems) for value in values(one))]
        if self.take("ignored-filter"):
            return list(everyone)[:MOST_UNFILTERED]
        found = list(exact)
        if self.take("wrong-person"):
            return [one for one in everyone if one not in found][-1:]
        return found


def stem(value: str) -> str:
    """How the identifiers begin that are taken for this one: up to the `@`, or without the last character."""
    return (value.rpartition("@")[0] or value[:-1] or value).lower()


class _BadAmount(Exception):
    """An amount is neither a count nor a percentage."""


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
