"""Ctrl-C and cancelled tasks: why a flow begins nothing new, and how that is told to the caller.

A flow that is interrupted is not dropped: exchanges under way are finished where they can be, and every further effect
is answered with `Cancelled`. What the flow then says of its outcome is the ``__cause__`` of the exception that goes on.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from typing import Any, TypeVar

from attrs import define

from contacts_core.errors import Cancelled, Interrupted
from contacts_core.models import Outcome
from contacts_core.provider import Settled

__all__ = ["Finishing", "Interruption"]

T = TypeVar("T")

GIVE_UP_S = 1.0  # for work that is stopped to close what it opened


@define
class Interruption:
    """Why a run of a flow begins nothing new; shared by all that runs side by side in it.

    Attributes:
        error: `KeyboardInterrupt` or ``asyncio.CancelledError``, the first one; None while nothing was interrupted.
        noted: Set as soon as there is an error, to end the pauses of other threads; None while there are no others.
    """

    error: BaseException | None = None
    noted: threading.Event | None = None

    def note(self, error: BaseException) -> None:
        """Begin nothing new from here on, because of this."""
        self.error = self.error or error
        if self.noted:
            self.noted.set()

    def check(self, result: object) -> None:
        """Let an interruption go on, if there was one, with what was done until then as its cause.

        Args:
            result: What the flow returned, or the error that it ended with. A result that nobody gets any more is told
                as a `Cancelled` that is unclear, unless it is an outcome.
        """
        if self.error is None:
            return
        if isinstance(result, Outcome):
            raise self.error from Interrupted(result, (), (), "interrupted by the user")
        cause = result if isinstance(result, Exception) else Cancelled(unclear=True)
        raise self.error from cause


def not_started(settled: list[Settled[T]]) -> list[Settled[T]]:
    """Mark the flows of a `Gather` that were not started as cancelled."""
    return [each if each.started else Settled(error=Cancelled(), started=False) for each in settled]


class Finishing(asyncio.Future[T]):
    """The end of work that goes on for a while when the task that waits for it is cancelled.

    The task learns of its cancellation once the work is over. (`asyncio.shield` does the same in one more turn of the
    event loop, which shows in the cost of a request.)

    Attributes:
        timer: Ends the work at its limit; cancel it when the work is over.
        cancels: How many times the task was cancelled.
        given_up: Whether the work was stopped before its end.
    """

    def __init__(self, work: Awaitable[T], limit_s: float, cancel_timeout_s: float) -> None:
        """Begin the work.

        Args:
            work: What is to be finished.
            limit_s: Seconds that it may take.
            cancel_timeout_s: Seconds that it may still take once the task is cancelled.
        """
        loop = asyncio.get_running_loop()
        super().__init__(loop=loop)
        self._cancel_timeout_s = cancel_timeout_s
        self._end = loop.time() + limit_s
        self.timer = loop.call_at(self._end, self._give_up)
        self.cancels = 0
        self.given_up = False
        self._task = loop.create_task(self._carry_out(work))

    async def _carry_out(self, work: Awaitable[T]) -> None:
        try:
            result = await work
        except asyncio.CancelledError:
            super().cancel()
        except Exception as error:  # noqa: BLE001 - it is raised where this is awaited
            if not self.done():
                self.set_exception(error)
        except BaseException:  # a second Ctrl-C ends the event loop, and would leave the task waiting forever
            super().cancel()
            raise
        else:
            if not self.done():
                self.set_result(result)

    def cancel(self, msg: Any = None) -> bool:
        """Note that the task was cancelled, and set an end; the second time, give up."""
        del msg
        self.cancels += 1
        if self.cancels > 1:
            self._give_up()
            return False
        loop = self.get_loop()
        self.timer.cancel()
        self.timer = loop.call_at(min(self._end, loop.time() + self._cancel_timeout_s), self._give_up)
        return False

    def _give_up(self) -> None:
        self.given_up = True
        self._task.cancel()
        self.timer.cancel()
        self.timer = self.get_loop().call_later(GIVE_UP_S, super().cancel)  # a client of the caller's may ignore it
