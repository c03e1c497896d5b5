"""Run benchmarks by name, or all of them, and print what they found."""

from __future__ import annotations

import argparse
import platform
import time
from importlib import import_module
from importlib.metadata import version

from benchmarks.figures import Figure, table

NAMES = (
    "decode",
    "imports",
    "overhead",
    "paging",
    "counts",
    "deletes",
    "erasure",
    "applying",
    "plans",
    "receipts",
    "memory",
    "copying",
    "local",
)
LIBRARIES = ("attrs", "cattrs", "msgspec", "httpx", "httpcore", "anyio", "sniffio", "pyrate-limiter")


def main() -> int:
    """Print a table for each benchmark; the exit code is 1 if a target was missed, unless the run was quick."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", choices=(*NAMES, []), metavar="name", help=f"any of {', '.join(NAMES)}")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a smaller run, about a minute for all; its figures are rougher, and a missed target is no failure",
    )
    arguments = parser.parse_args()
    libraries = ", ".join(f"{each} {version(each)}" for each in LIBRARIES)
    print(f"Python {platform.python_version()}, {libraries}", flush=True)
    missed = False
    for name in arguments.name or NAMES:
        start = time.perf_counter()
        figures: list[Figure] = list(import_module(f"benchmarks.{name}").run(quick=arguments.quick))
        print(f"\n{table(figures, title=name)}\n({time.perf_counter() - start:.0f} s)", flush=True)
        missed |= any(figure.reached is False for figure in figures)
    return int(missed and not arguments.quick)


if __name__ == "__main__":
    raise SystemExit(main())
