"""What a benchmark gives back, and how it is measured and shown."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

from attrs import frozen

Clock = Callable[[], float]


def in_own_process(module: str, argument: str, longest_s: float) -> Any:
    """Run a module of the benchmarks with one argument in a process of its own. Return what it printed as JSON."""
    command = [sys.executable, "-m", module, argument]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=longest_s)
    return json.loads(done.stdout)


@frozen
class Figure:
    """One line of the table: what was measured, and how it compares with its target, if it has one.

    Attributes:
        what: What was measured.
        value: The figure.
        least: The target, where more is better.
        most: The target, where less is better.
        note: What else there is to know, such as the absolute numbers behind a ratio.
        unit: The format of the figure and of its target.
    """

    what: str
    value: float
    least: float | None = None
    most: float | None = None
    note: str = ""
    unit: str = "{:.2f}"

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.least is not None:
            return self.value >= self.least
        if self.most is not None:
            return self.value <= self.most
        return None

    def cells(self) -> tuple[str, str, str, str, str]:
        """The line as text."""
        target = ""
        if self.least is not None:
            target = f">= {self.unit.format(self.least)}"
        elif self.most is not None:
            target = f"<= {self.unit.format(self.most)}"
        reached = {True: "yes", False: "NO", None: ""}[self.reached]
        return (self.what, self.unit.format(self.value), target, reached, self.note)


def table(figures: Iterable[Figure], title: str = "what") -> str:
    """The figures as a Markdown table."""
    rows: list[tuple[str, ...]] = [
        (title, "figure", "target", "reached", "behind it"),
        *(figure.cells() for figure in figures),
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    rows.insert(1, tuple("-" * width for width in widths))
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def interleaved(
    ways: Sequence[Callable[[], object]], rounds: int, clock: Clock = time.perf_counter
) -> list[list[float]]:
    """Run every way once a round, in turns, so that a noisy moment of the machine meets all of them.

    Returns:
        For each way, its seconds in every round.
    """
    seconds: list[list[float]] = [[] for _ in ways]
    for turn in range(rounds):
        order = list(enumerate(ways))
        for n, way in order if turn % 2 == 0 else reversed(order):
            gc.collect()
            start = clock()
            way()
            seconds[n].append(clock() - start)
    return seconds


def paired(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """The median of the rounds' own ratios."""
    return median(a / b for a, b in zip(numerator, denominator, strict=True))
