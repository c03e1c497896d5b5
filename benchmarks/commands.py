"""Commands of the command line, each in a process of its own, with its peak memory, its seconds and its processor time.

python -m benchmarks.commands '["count", "backup"]'
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from benchmarks.memory import peak

LONGEST_S = 3600  # for one command


@frozen
class Measured:
    """What one process needed.

    Attributes:
        code: Its exit code.
        peak_mb: Peak resident memory in MB.
        seconds: Seconds that it took.
        cpu: Seconds of processor time, of this process and of the system for it.
        shown: What it wrote to stdout, in the end.
    """

    code: int
    peak_mb: float
    seconds: float
    cpu: float
    shown: str


def measured(work: Callable[[], object], shown: Callable[[], str] = str) -> dict[str, object]:
    """Do some work in this process, and return the fields of `Measured`."""
    code, began, cpu = 0, time.perf_counter(), time.process_time()
    try:
        _ = work()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"code": code, "peak_mb": peak() / 1e6, "seconds": seconds, "cpu": cpu, "shown": shown()}


def command(arguments: Sequence[str], environment: Mapping[str, str]) -> Measured:
    """Run ``contacts`` with these arguments in a process of its own."""
    return in_process("benchmarks.commands", [*arguments], environment)


def in_process(module: str, argument: object, environment: Mapping[str, str]) -> Measured:
    """Run a module that prints what `measured` returns."""
    started = [sys.executable, "-m", module, json.dumps(argument)]
    everything = {**os.environ, **environment}
    done = subprocess.run(started, capture_output=True, text=True, check=False, timeout=LONGEST_S, env=everything)
    assert not done.returncode, done.stderr
    return Measured(**json.loads(done.stdout))


def accounts_file(folder: Path, accounts: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Write an accounts file into a folder. Return the environment in which commands find it, and keep runs there."""
    lines: list[str] = []
    for name, settings in accounts.items():
        lines += [f"[accounts.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items()), ""]
    path = folder / "contacts.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return {"CONTACTS_FILE": str(path), "CONTACTS_STORAGE": str(folder / "storage"), "PYTHONWARNINGS": "ignore"}


@contextlib.contextmanager
def _quietly(path: Path) -> Iterator[None]:
    """Write what is shown to a file, which is removed at the end."""
    try:
        with path.open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
            yield
    finally:
        path.unlink()


def main() -> None:
    """Run the command that the argument names."""
    from contacts_core.cli import main as contacts  # noqa: PLC0415 - what it loads belongs to what is measured

    arguments: list[str] = json.loads(sys.argv[1])
    path = Path(os.environ["CONTACTS_STORAGE"]).parent / f"shown-{os.getpid()}"
    sys.argv = ["contacts", *arguments]
    with _quietly(path):
        figures = measured(contacts, lambda: path.read_text(encoding="utf-8")[-2000:])
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
