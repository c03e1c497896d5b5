"""Access reports: everything that the accounts hold about one person, as an archive. Nothing is changed anywhere.

from contacts_core import Identifier
from contacts_core.access import access_report

report = access_report([Identifier.email("jane@example.com")], ["marketing", "crm"])
receipt = report.save("jane.zip")
"""

from __future__ import annotations

from contacts_core.access.api import access_report, access_report_async
from contacts_core.access.model import AccessReport, AccountAccess, ContactAccess

__all__ = ["AccessReport", "AccountAccess", "ContactAccess", "access_report", "access_report_async"]
