"""A process that applies a plan and may be killed meanwhile. It is forked from one that has imported everything."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from contacts_core.config import plugins
from contacts_core.plans import Plan, apply
from contacts_core.provider import hookimpl
from tests.plans import environment
from tests.plans.environment import lively

PRELOADED = [
    "tests.plans.dying_process",
    "contacts_core.plans.execution.runner",
    "contacts_core.testing",
    "contacts_core.http.blocking",
    "contacts_core.http.connections",
    "contacts_bird",
    "contacts_carddav",
    "contacts_local",
    "contacts_sendgrid",
    "contacts_user_api",
]


class Killer:
    """Kill this process when so many steps are written down."""

    def __init__(self, kill_at: int) -> None:
        self._kill_at, self._steps = kill_at, 0

    @hookimpl
    def contacts_step_finished(self) -> None:
        self._steps += 1
        if self._steps == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def start(plan: Path, kill_at: int) -> ForkServerProcess:
    """Start to apply a plan with the environment of this process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=_apply, args=(str(plan), kill_at, dict(os.environ), environment.tables()))
    process.start()
    return process


def _apply(plan: str, kill_at: int, variables: dict[str, str], tables: bytes) -> None:
    os.environ.clear()
    os.environ.update(variables)
    environment.TABLES.append(tables)
    plugins.manager().register(Killer(kill_at), name="killer")
    with lively():
        apply(Plan.load(plan), pause=0.02, timeout=30)
