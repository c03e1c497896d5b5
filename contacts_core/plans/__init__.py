"""Plans: change many contacts in many accounts, readably before, durably meanwhile, provably after.

from contacts_core import Identifier
from contacts_core.plans import apply, plan_erasure

plan = plan_erasure([Identifier.email("jane@example.com")], ["marketing", "crm"])   # only reads
receipt = apply(plan)                                                               # deletes, then reads again
print(receipt.state, receipt.absent, receipt.present)

Making and reading a plan needs nothing but the library; applying one needs the extra ``plans``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contacts_core.plans.change import Change, DataSubject, Held, PairHandler, Suggestion, Unasked
    from contacts_core.plans.comparing.api import check, check_async
    from contacts_core.plans.comparing.comparison import Comparison
    from contacts_core.plans.comparing.consent import Unsubscribed
    from contacts_core.plans.comparing.consent_check import ConsentCheck, ConsentDifference, ConsentStatus
    from contacts_core.plans.comparing.field_map import FieldMap
    from contacts_core.plans.comparing.matching import Hold
    from contacts_core.plans.comparing.model import Compared, ComparisonStatus
    from contacts_core.plans.execution.runner import (
        RunStopped,
        apply,
        apply_async,
        cancel,
        forget,
        get_receipt,
        list_runs,
        resume,
        resume_async,
        run_worker,
        submit,
    )
    from contacts_core.plans.kinds.base import Kind
    from contacts_core.plans.model import (
        AccountPlan,
        IdentifierExpansion,
        Plan,
        SafetyLimits,
        Stage,
        Step,
    )
    from contacts_core.plans.planning.api import (
        plan_copy,
        plan_copy_async,
        plan_deletion,
        plan_deletion_async,
        plan_erasure,
        plan_erasure_async,
        plan_identifier_removal,
        plan_identifier_removal_async,
        plan_list_addition,
        plan_list_addition_async,
        plan_list_removal,
        plan_list_removal_async,
        plan_undo,
        plan_undo_async,
        plan_upsert,
        plan_upsert_async,
        replan,
        replan_async,
    )
    from contacts_core.plans.planning.transfer import LossesNotAccepted
    from contacts_core.plans.receipts.receipt import Receipt, ReceiptBroken

__all__ = [
    "AccountPlan",
    "Change",
    "Compared",
    "Comparison",
    "ComparisonStatus",
    "ConsentCheck",
    "ConsentDifference",
    "ConsentStatus",
    "DataSubject",
    "FieldMap",
    "Held",
    "Hold",
    "IdentifierExpansion",
    "Kind",
    "LossesNotAccepted",
    "PairHandler",
    "Plan",
    "Receipt",
    "ReceiptBroken",
    "RunStopped",
    "SafetyLimits",
    "Stage",
    "Step",
    "Suggestion",
    "Unasked",
    "Unsubscribed",
    "apply",
    "apply_async",
    "cancel",
    "check",
    "check_async",
    "forget",
    "get_receipt",
    "list_runs",
    "plan_copy",
    "plan_copy_async",
    "plan_deletion",
    "plan_deletion_async",
    "plan_erasure",
    "plan_erasure_async",
    "plan_identifier_removal",
    "plan_identifier_removal_async",
    "plan_list_addition",
    "plan_list_addition_async",
    "plan_list_removal",
    "plan_list_removal_async",
    "plan_undo",
    "plan_undo_async",
    "plan_upsert",
    "plan_upsert_async",
    "replan",
    "replan_async",
    "resume",
    "resume_async",
    "run_worker",
    "submit",
]

_HOMES = {
    "execution.runner": (
        "RunStopped",
        "apply",
        "apply_async",
        "cancel",
        "forget",
        "get_receipt",
        "resume",
        "resume_async",
        "list_runs",
        "submit",
        "run_worker",
    ),
    "planning.api": (
        "plan_copy",
        "plan_copy_async",
        "plan_upsert",
        "plan_upsert_async",
        "plan_deletion",
        "plan_deletion_async",
        "plan_erasure",
        "plan_erasure_async",
        "replan",
        "replan_async",
        "plan_list_addition",
        "plan_list_addition_async",
        "plan_list_removal",
        "plan_list_removal_async",
        "plan_undo",
        "plan_undo_async",
        "plan_identifier_removal",
        "plan_identifier_removal_async",
    ),
    "comparing.api": ("check", "check_async"),
    "comparing.comparison": ("Comparison",),
    "comparing.field_map": ("FieldMap",),
    "comparing.matching": ("Hold",),
    "comparing.consent_check": ("ConsentCheck", "ConsentDifference", "ConsentStatus"),
    "comparing.model": ("Compared", "ComparisonStatus"),
    "planning.transfer": ("LossesNotAccepted",),
    "comparing.consent": ("Unsubscribed",),
    "change": ("Change", "DataSubject", "Held", "PairHandler", "Suggestion", "Unasked"),
    "kinds.base": ("Kind",),
    "model": (
        "AccountPlan",
        "IdentifierExpansion",
        "SafetyLimits",
        "Plan",
        "Stage",
        "Step",
    ),
    "receipts.receipt": ("Receipt", "ReceiptBroken"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        message = f"module 'contacts_core.plans' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f"contacts_core.plans.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
