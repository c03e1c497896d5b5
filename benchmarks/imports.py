"""What importing the library costs, and starting the command, in fresh interpreters."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figures import Figure

IMPORT = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
PARTS = "import httpx, attrs, cattrs, pluggy"
SCRIPT = Path(sys.executable).with_name("contacts")


def run(*, quick: bool) -> Iterator[Figure]:
    """Imports against those of the libraries beneath; ``--help`` against the libraries that draw it."""
    rounds = 5 if quick else 20
    ways = (PARTS, "import contacts_core", "from contacts_core import connect, Contacts")
    parts, bare, clients = _fastest([_importing(each) for each in ways], rounds)
    note = f"{parts * 1e3:.0f} ms for the four"
    yield Figure("`import contacts_core`, times the four imports", bare / parts, most=1.15, note=note)
    note = f"{clients * 1e3:.0f} ms of {parts * 1e3:.0f} ms"
    yield Figure("`from contacts_core import connect, Contacts`, times the four", clients / parts, most=1.3, note=note)
    if SCRIPT.exists():
        drawing = [sys.executable, "-c", "import typer, rich"]
        drawn, shown = _fastest([_starting(drawing), _starting([str(SCRIPT), "--help"])], rounds)
        note = f"{shown * 1e3:.0f} ms of {drawn * 1e3:.0f} ms, whole processes"
        yield Figure("`contacts --help`, times `import typer, rich`", shown / drawn, most=1.5, note=note)


class _importing:  # noqa: N801 - reads as the verb it stands for
    """Seconds that a statement takes in a fresh interpreter, without the interpreter's own start."""

    def __init__(self, statement: str) -> None:
        self._command = [sys.executable, "-c", IMPORT.format(statement)]

    def __call__(self) -> float:
        done = subprocess.run(self._command, capture_output=True, text=True, check=True, timeout=60)
        return float(done.stdout)


class _starting:  # noqa: N801 - as above
    """Seconds that a whole process takes."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command

    def __call__(self) -> float:
        start = time.perf_counter()
        subprocess.run(self._command, capture_output=True, check=True, timeout=60)
        return time.perf_counter() - start


def _fastest(ways: Sequence[_importing | _starting], rounds: int) -> list[float]:
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, taken in zip(ways, seconds, strict=True):
            taken.append(way())
    return [min(taken) for taken in seconds]
