"""The hooks of plans: what a plugin may observe, and what it may refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contacts_core.config.plugins import hookspec

if TYPE_CHECKING:
    from contacts_core.models import Outcome
    from contacts_core.plans.model import Plan, Step
    from contacts_core.plans.receipts.receipt import Receipt

__all__ = ["Hooks"]


class Hooks:
    """The hooks that a plugin may implement.

    Pluggy's options work: ``tryfirst``, ``trylast``, and wrappers of both styles. If a plugin fails, a warning is
    logged, and the other plugins and the run continue.
    """

    @hookspec
    def contacts_plan_created(self, plan: Plan) -> None:
        """Called when a plan was made. Nothing was changed yet."""

    @hookspec
    def contacts_before_apply(self, plan: Plan) -> str | None:
        """Called before a plan is applied. Return a reason, in words, to refuse it. A plugin that fails refuses it too.

        A wrapper gets the list of reasons from its ``yield`` and returns such a list.
        """

    @hookspec
    def contacts_step_finished(self, step: Step, outcome: Outcome) -> None:
        """Called when a step of a run ended, in the process that did it. After a crash it may be called once more."""

    @hookspec
    def contacts_run_finished(self, receipt: Receipt) -> None:
        """Called when a run ended: done, incomplete, refused, cancelled or failed, as its receipt says."""
