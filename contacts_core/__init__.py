"""One interface over the contact stores of many vendors.

from contacts_core import F, Identifier, connect

with connect("acme") as contacts:
    outcome = contacts.delete_contacts(c.id for c in contacts.search(F.email == "jane@example.com"))
    print(contacts.wait(outcome).state)

Everything public is named here, or in `contacts_core.errors`. Names are loaded when first used, so that importing the
library costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contacts_core import errors
    from contacts_core.client import AsyncContacts, Contacts, connect, connect_async
    from contacts_core.errors import ContactsError
    from contacts_core.models import (
        Address,
        Channel,
        Consent,
        ConsentReason,
        ConsentState,
        Contact,
        ContactList,
        Count,
        Coverage,
        Explanation,
        Failure,
        FieldDefinition,
        FieldType,
        Found,
        FoundConsent,
        Identifier,
        IdentifierKind,
        Job,
        JobState,
        Outcome,
        OutcomeState,
        Strategy,
        merge_consent,
    )
    from contacts_core.query import F, Query, RawQuery

    __version__: str

__all__ = [
    "Address",
    "AsyncContacts",
    "Channel",
    "Consent",
    "ConsentReason",
    "ConsentState",
    "Contact",
    "ContactList",
    "Contacts",
    "ContactsError",
    "Count",
    "Coverage",
    "Explanation",
    "F",
    "Failure",
    "FieldDefinition",
    "FieldType",
    "Found",
    "FoundConsent",
    "Identifier",
    "IdentifierKind",
    "Job",
    "JobState",
    "Outcome",
    "OutcomeState",
    "Query",
    "RawQuery",
    "Strategy",
    "__version__",
    "connect",
    "connect_async",
    "errors",
    "merge_consent",
]

_HOMES = {
    "client": ("AsyncContacts", "Contacts", "connect", "connect_async"),
    "errors": ("ContactsError",),
    "query": ("F", "RawQuery", "Query"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("contacts_core.errors")
    if name == "__version__":
        return import_module("importlib.metadata").version("contacts-core")
    if name not in __all__:
        message = f"module 'contacts_core' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f"contacts_core.{_HOME.get(name, 'models')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
