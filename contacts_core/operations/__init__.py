"""The library's use cases as flows, one for each method of the clients. Pure: no I/O, no clock."""

from __future__ import annotations

from contacts_core.operations.changing import change_contact, check_changes
from contacts_core.operations.checks import require
from contacts_core.operations.consent import (
    LIFTED_BY_DEFAULT,
    can_name_scope,
    cannot_erase_mail_data,
    consent,
    ensure_consent_scopes,
    erase_mail_data,
    find_consent,
    lift_suppression,
    write_consent,
)
from contacts_core.operations.deleting import delete_all_contacts, delete_contacts, remove_identifier
from contacts_core.operations.fields import create_custom_field, custom_fields, field_name_problem
from contacts_core.operations.jobs import get_job, poll_interval, wait, wait_for
from contacts_core.operations.lists import create_list, delete_list, ensure_list, lists, resolve_lists
from contacts_core.operations.membership import add_to_list, remove_from_list
from contacts_core.operations.previewing import preview, read_shape
from contacts_core.operations.raw import request
from contacts_core.operations.reading import (
    count,
    export,
    export_requests,
    find,
    get_contacts,
    looks_up,
    scans,
)
from contacts_core.operations.searching import explain, search
from contacts_core.operations.upserting import WriteGuard, upsert_contacts

__all__ = [
    "LIFTED_BY_DEFAULT",
    "WriteGuard",
    "add_to_list",
    "can_name_scope",
    "cannot_erase_mail_data",
    "change_contact",
    "check_changes",
    "consent",
    "count",
    "create_custom_field",
    "create_list",
    "custom_fields",
    "delete_all_contacts",
    "delete_contacts",
    "delete_list",
    "ensure_consent_scopes",
    "ensure_list",
    "erase_mail_data",
    "explain",
    "export",
    "export_requests",
    "field_name_problem",
    "find",
    "find_consent",
    "get_contacts",
    "get_job",
    "lift_suppression",
    "lists",
    "looks_up",
    "poll_interval",
    "preview",
    "read_shape",
    "remove_from_list",
    "remove_identifier",
    "request",
    "require",
    "resolve_lists",
    "scans",
    "search",
    "upsert_contacts",
    "wait",
    "wait_for",
    "write_consent",
]
