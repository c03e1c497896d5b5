"""How a command is asked to end: Ctrl-C, or a signal that a service manager or a closed terminal sends.

A signal arrives as `KeyboardInterrupt`, so that files are removed, connections closed and outcomes told on the way out,
and the exit code tells which signal it was.
"""

from __future__ import annotations

import signal
from typing import Any

__all__ = ["CTRL_C", "exit_code", "heed"]

SIGNALS = ("SIGTERM", "SIGHUP")  # SIGHUP is not known everywhere
BASE = 128  # what shells add to the number of a signal
CTRL_C = BASE + signal.SIGINT


class _Received:
    number: int = signal.SIGINT


def heed() -> None:
    """Let signals that ask this process to end do so in an orderly way."""
    for name in SIGNALS:
        number = getattr(signal, name, None)
        # Whoever started the process with `nohup` wants it to go on.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


def exit_code() -> int:
    """The exit code of a command that was interrupted: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return BASE + _Received.number


def _interrupt(number: int, _frame: Any) -> None:
    _Received.number = number
    raise KeyboardInterrupt
