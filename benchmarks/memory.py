"""Peak memory of `export`: a million contacts against a hundred thousand, each in a process of its own.

The files are generated as they are read, in another process; nothing of them is kept on either side.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, in_own_process
from benchmarks.server import serving
from benchmarks.synthetic_contacts import BLOCK
from contacts_core import connect

TARGET = 1.2
LONGEST = 600  # seconds for one export


def run(*, quick: bool) -> Iterator[Figure]:
    """Both file types."""
    small, large = (10, 50) if quick else (100, 1_000)
    with serving("exports") as address:
        for file_type in ("csv", "json"):
            (few, _), (many, seconds) = (_exported(address, n, file_type) for n in (small, large))
            note = f"{many / 2**20:.1f} MiB of {few / 2**20:.1f} MiB; {large * BLOCK / seconds:,.0f} contacts/s"
            what = f"export of {large * BLOCK:,} contacts as {file_type}, peak RSS, times that of {small * BLOCK:,}"
            yield Figure(what, many / few, most=TARGET, note=note)


def _exported(address: str, thousands: int, file_type: str) -> tuple[int, float]:
    settings = {"base_url": f"{address}/{thousands}", "export_format": file_type}
    count, most, seconds = in_own_process("benchmarks.memory", json.dumps(settings), LONGEST)
    assert count == thousands * BLOCK
    return most, seconds


def export(settings: dict[str, Any]) -> tuple[int, int, float]:
    """Read every contact; gives their number, the process's peak RSS in bytes, and the seconds."""
    with connect("sendgrid", api_key="SG.sandbox", **settings) as contacts:
        start = time.perf_counter()
        count = sum(1 for _ in contacts.export())
        seconds = time.perf_counter() - start
    return count, peak(), seconds


def peak() -> int:
    """Peak RSS of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # where it does, ru_maxrss begins with the peak of the process that started this one
        (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    print(json.dumps(export(json.loads(sys.argv[1]))))
