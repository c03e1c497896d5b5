"""The shared vocabulary: what every vendor's payloads become.

All models are frozen. Where a vendor did not say, the value is ``None``, never an empty guess: ``Contact.lists`` is
``None`` when an export does not tell which lists a contact is on, and ``()`` when the contact is on none.
"""

from __future__ import annotations

from contacts_core.models.consent import (
    Channel,
    Consent,
    ConsentReason,
    ConsentState,
    Coverage,
    FoundConsent,
    merge_consent,
)
from contacts_core.models.contact import Address, Contact
from contacts_core.models.field_changes import CHANGEABLE_FIELDS, changed, field_value
from contacts_core.models.fields import CustomValue, FieldDefinition, FieldType, value_type
from contacts_core.models.identifiers import Identifier, IdentifierKind
from contacts_core.models.jobs import Job, JobState
from contacts_core.models.lists import ContactList
from contacts_core.models.losses import Loss, LossCode, LossCount, Preview, Shape, differences
from contacts_core.models.outcomes import Failure, Outcome, OutcomeState
from contacts_core.models.results import Count, Explanation, Found, Page, Strategy

__all__ = [
    "CHANGEABLE_FIELDS",
    "Address",
    "Channel",
    "Consent",
    "ConsentReason",
    "ConsentState",
    "Contact",
    "ContactList",
    "Count",
    "Coverage",
    "CustomValue",
    "Explanation",
    "Failure",
    "FieldDefinition",
    "FieldType",
    "Found",
    "FoundConsent",
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
    "changed",
    "differences",
    "field_value",
    "merge_consent",
    "value_type",
]
