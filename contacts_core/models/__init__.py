"""The shared vocabulary: what every vendor's payloads become.

All models are frozen. Where a vendor did not say, the value is ``None``, never an empty guess: ``Contact.lists`` is
``None`` when an export does not tell which lists a contact is on, and ``()`` when the contact is on none.
"""

from __future__ import annotations

from contacts_core.models.contact import Address, Contact
from contacts_core.models.fields import CustomValue, FieldDefinition, FieldType
from contacts_core.models.identifiers import Identifier, IdentifierKind
from contacts_core.models.jobs import Job, JobState
from contacts_core.models.lists import ContactList
from contacts_core.models.losses import Loss, LossCode, LossCount, Preview, Shape, differences
from contacts_core.models.outcomes import Failure, Outcome, OutcomeState
from contacts_core.models.results import Count, Explanation, Found, Page, Strategy

__all__ = [
    "Address",
    "Contact",
    "ContactList",
    "Count",
    "CustomValue",
    "Explanation",
    "Failure",
    "FieldDefinition",
    "FieldType",
    "Found",
    "Identifier",
    "IdentifierKind",
    "Job",
    "JobState",
    "Loss",
    "LossCode",
    "LossCount",
    "Outcome",
    "OutcomeState",
    "Page",
    "Preview",
    "Shape",
    "Strategy",
    "differences",
]
