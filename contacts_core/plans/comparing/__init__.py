"""Comparing the contacts of a source with those of a target: what plans that copy are made of.

``compare`` is a generator of flows, as `contacts_core.plans.planning` has them; `check` and `check_async` run it.
"""

from __future__ import annotations

from contacts_core.plans.comparing.api import check, check_async
from contacts_core.plans.comparing.comparison import Comparison, compare
from contacts_core.plans.comparing.consent_check import ConsentCheck, ConsentDifference, ConsentStatus
from contacts_core.plans.comparing.field_map import FieldMap, FieldRule
from contacts_core.plans.comparing.matching import Hold
from contacts_core.plans.comparing.model import Compared, ComparisonRequest, ComparisonStatus
from contacts_core.plans.comparing.suggestion import suggest_map, unkept_fields

__all__ = [
    "Compared",
    "Comparison",
    "ComparisonRequest",
    "ComparisonStatus",
    "ConsentCheck",
    "ConsentDifference",
    "ConsentStatus",
    "FieldMap",
    "FieldRule",
    "Hold",
    "check",
    "check_async",
    "compare",
    "suggest_map",
    "unkept_fields",
]
