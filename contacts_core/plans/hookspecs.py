"""Hooks of plans: what a plugin may observe, and what it may forbid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contacts_core.config.plugins import hookspec

if TYPE_CHECKING:
    from contacts_core.models import Outcome
    from contacts_core.plans.model import Plan, Step
    from contacts_core.plans.receipts.receipt import Receipt

__all__ = ["Hooks"]


class Hooks:
    """What a plugin may implement to follow plans.

    Pluggy's options work: ``tryfirst``, ``trylast``, and wrappers of both styles. If a plugin fails, a warning is
    logged, and the other plugins and the run continue.
    """

    @hookspec
    def contacts_plan_created(self, plan: Plan) -> None:
        """A plan was made; nothing has happened yet."""

    @hookspec
    def contacts_before_apply(self, plan: Plan) -> str | None:
        """A plan is about to be applied; a reason, in words, forbids it. A plugin that fails here forbids it too.

        A wrapper gets the list of reasons from its ``yield`` and returns such a list.
        """

    @hookspec
    def contacts_step_finished(self, step: Step, outcome: Outcome) -> None:
        """A step of a run came to its end, in the process that did it. After a crash it may be told of once more."""

    @hookspec
    def contacts_run_finished(self, receipt: Receipt) -> None:
        """A run came to its end: done, incomplete, refused, cancelled or failed, as its receipt says."""
