"""The operations that changes name: how each is sent, and what shows that it was made.

A kind of plan decides which changes there are; here is how one is made, whatever the plan is for.
"""

from __future__ import annotations

from collections.abc import Mapping

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
