"""Telling the plugins: each hook once for each event, and no plugin's failure becomes another's, or the run's."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from contacts_core.config import plugins
from contacts_core.errors import PlanRefused
from contacts_core.models.identifiers import scrub

if TYPE_CHECKING:
    from contacts_core.models import Outcome
    from contacts_core.plans.model import Plan, Step
    from contacts_core.plans.receipts.receipt import Receipt

__all__ = ["before_apply", "plan_created", "run_finished", "step_finished"]

logger = logging.getLogger("contacts_core")


def plan_created(plan: Plan) -> None:
    """A plan was made."""
    _told("contacts_plan_created", plan=plan)


def before_apply(plan: Plan) -> None:
    """Ask whether a plan may be applied.

    Raises:
        PlanRefused: A plugin gave a reason against it, or failed: who cannot answer has not agreed.
    """
    for name, reason in _told("contacts_before_apply", plan=plan).items():
        if isinstance(reason, BaseException):
            raise PlanRefused(f"plugin {name} failed when asked: {type(reason).__name__}", hint="mend or remove it")
        if reason:
            raise PlanRefused(f"plugin {name} objects: {reason}")


def step_finished(step: Step, outcome: Outcome) -> None:
    """A step came to its end."""
    _told("contacts_step_finished", step=step, outcome=outcome)


def run_finished(receipt: Receipt) -> None:
    """A run came to its end, and has its receipt."""
    _told("contacts_run_finished", receipt=receipt)


def _told(hook: str, **arguments: Any) -> dict[str, Any]:
    plugins.registry()
    answers: dict[str, Any] = {}
    for implementation in getattr(plugins.manager().hook, hook).get_hookimpls():
        wanted = {name: arguments[name] for name in implementation.argnames}
        try:
            answers[implementation.plugin_name] = implementation.function(**wanted)
        except BaseException as error:  # a stranger's code may raise anything, SystemExit as well
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # the user's
            reason = scrub(f"{type(error).__name__}: {error}")
            logger.warning("plugin %s failed in %s: %s", implementation.plugin_name, hook, reason)
            answers[implementation.plugin_name] = error
    return answers
