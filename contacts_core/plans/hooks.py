"""Calls of the plugins' hooks, one function for each. A plugin that fails affects neither the others nor the run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

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
    """Call ``contacts_plan_created``."""
    _call("contacts_plan_created", plan=plan)


def before_apply(plan: Plan) -> bool:
    """Call ``contacts_before_apply``, which asks whether a plan may be applied. Return whether any plugin was asked.

    Raises:
        PlanRefused: A plugin gave a reason against it, or failed, and so has not agreed.
    """
    called = _call("contacts_before_apply", plan=plan)
    for name, error in called.failures:
        raise PlanRefused(f"plugin {name} failed when asked: {type(error).__name__}", hint="fix or uninstall it")
    reasons = cast("list[Any]", called.result)
    if not isinstance(called.result, list):
        name, kind = called.origin(called.result), type(called.result).__name__
        raise PlanRefused(
            f"plugin {name or 'with a wrapper'} answered with {kind}, not with the list of reasons",
            hint="a wrapper of contacts_before_apply ends with: return (yield), or a list of reasons",
        )
    for reason in reasons:
        if reason:
            raise PlanRefused(f"plugin {called.origin(reason)} objects: {reason}")
    return bool(plugins.manager().hook.contacts_before_apply.get_hookimpls())


def step_finished(step: Step, outcome: Outcome) -> None:
    """Call ``contacts_step_finished``."""
    _call("contacts_step_finished", step=step, outcome=outcome)


def run_finished(receipt: Receipt) -> None:
    """Call ``contacts_run_finished``."""
    _call("contacts_run_finished", receipt=receipt)


def _call(hook: str, **arguments: Any) -> plugins.HookCall:
    plugins.registry()
    called = plugins.call(getattr(plugins.manager().hook, hook), **arguments)
    for name, error in called.failures:
        logger.warning("plugin %s failed in %s: %s", name, hook, scrub(f"{type(error).__name__}: {error}"))
    return called
