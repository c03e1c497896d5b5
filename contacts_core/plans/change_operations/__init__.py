"""The operations that changes name: how each is sent, and what shows that it was made.

A kind of plan decides which changes there are; here is how one is made, whatever the plan is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from contacts_core.plans.change_operations.account import (
    ConfirmConsent,
    CreateCustomField,
    CreateList,
    EnsureConsentScopes,
    WriteConsent,
)
from contacts_core.plans.change_operations.base import (
    Attempt,
    ChangeOperation,
    ReadBack,
    Standing,
    is_same_person,
    is_unchanged,
)
from contacts_core.plans.change_operations.contacts import ChangeContact, DeleteContacts, RemoveIdentifier
from contacts_core.plans.change_operations.mail_data import EraseMailData
from contacts_core.plans.change_operations.membership import AddToList, RemoveFromList
from contacts_core.plans.change_operations.upsert import UpsertContacts

__all__ = [
    "OPERATIONS",
    "Attempt",
    "ChangeOperation",
    "ReadBack",
    "Standing",
    "is_same_person",
    "is_unchanged",
    "operation_of",
    "repetition_warning",
]

OPERATIONS: Mapping[str, ChangeOperation] = {
    operation.name: operation
    for operation in (
        CreateCustomField(),
        CreateList(),
        EnsureConsentScopes(),
        WriteConsent(),
        ConfirmConsent(),
        UpsertContacts(),
        ChangeContact(),
        AddToList(),
        RemoveFromList(),
        RemoveIdentifier(),
        DeleteContacts(),
        EraseMailData(),
    )
}


def operation_of(name: str) -> ChangeOperation:
    """Return the operation of this name."""
    return OPERATIONS[name]


def repetition_warning(operations: Iterable[str]) -> str:
    """Return what may come of steps that are not idempotent, in words; empty if there are none.

    Args:
        operations: The names of their operations; of unknown ones nothing is said.
    """
    created = [OPERATIONS[name].creates for name in operations if name in OPERATIONS and OPERATIONS[name].creates]
    if not created:
        return ""
    *first, last = dict.fromkeys(created)
    what = f"{', '.join(first)} or {last}" if first else last
    return (
        f"if the work is interrupted while it creates something, there may be a second {what} afterwards: the vendor "
        "has no unique key for it. The read at the end looks for that"
    )
