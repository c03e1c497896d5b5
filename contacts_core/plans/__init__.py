"""Plans: change many contacts in many accounts, readably before, durably meanwhile, provably after.

from contacts_core import Identifier
from contacts_core.plans import erase

plan = erase([Identifier.email("jane@example.com")], ["marketing", "crm"])   # reads only
receipt = plan.apply()                                                       # does it, and reads again
print(receipt.state, receipt.absent, receipt.present)

Making and reading a plan needs nothing but the library; applying one needs the extra ``plans``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contacts_core.plans.execution.runner import (
        RunStopped,
        apply,
        apply_async,
        cancel,
        receipt,
        resume,
        resume_async,
        runs,
        start,
        work,
    )
    from contacts_core.plans.model import (
        AccountPlan,
        Follow,
        Kind,
        Limits,
        Person,
        Plan,
        Step,
        Suggestion,
        Target,
        Unasked,
    )
    from contacts_core.plans.planning.api import (
        delete,
        delete_async,
        erase,
        erase_async,
        remake,
        remake_async,
        remove_from_list,
        remove_from_list_async,
        remove_identifier,
        remove_identifier_async,
    )
    from contacts_core.plans.receipts.receipt import Receipt, ReceiptBroken

__all__ = [
    "AccountPlan",
    "Follow",
    "Kind",
    "Limits",
    "Person",
    "Plan",
    "Receipt",
    "ReceiptBroken",
    "RunStopped",
    "Step",
    "Suggestion",
    "Target",
    "Unasked",
    "apply",
    "apply_async",
    "cancel",
    "delete",
    "delete_async",
    "erase",
    "erase_async",
    "receipt",
    "remake",
    "remake_async",
    "remove_from_list",
    "remove_from_list_async",
    "remove_identifier",
    "remove_identifier_async",
    "resume",
    "resume_async",
    "runs",
    "start",
    "work",
]

_HOMES = {
    "execution.runner": (
        "RunStopped",
        "apply",
        "apply_async",
        "cancel",
        "receipt",
        "resume",
        "resume_async",
        "runs",
        "start",
        "work",
    ),
    "planning.api": (
        "delete",
        "delete_async",
        "erase",
        "erase_async",
        "remake",
        "remake_async",
        "remove_from_list",
        "remove_from_list_async",
        "remove_identifier",
        "remove_identifier_async",
    ),
    "model": ("AccountPlan", "Follow", "Kind", "Limits", "Person", "Plan", "Step", "Suggestion", "Target", "Unasked"),
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
