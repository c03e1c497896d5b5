"""The page of an access report, for the person that it is about."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

from contacts_core.access.model import AccessReport, AccountAccess, ContactAccess
from contacts_core.formats import plain
from contacts_core.formats.pages import page
from contacts_core.models import Address, Contact, IdentifierKind

__all__ = ["report_page"]

TEMPLATES = Path(__file__).with_name("templates")
TITLE = "What is held about you"
KINDS = {
    IdentifierKind.EMAIL: "E-mail address",
    IdentifierKind.PHONE: "Phone number",
    IdentifierKind.EXTERNAL_ID: "Id in the sender's own system",
    IdentifierKind.ANONYMOUS_ID: "Id as a visitor",
}


def report_page(report: AccessReport) -> Iterator[str]:
    """Yield the text of the page, in parts."""
    yield from page(
        TEMPLATES,
        "access.html.jinja",
        title=TITLE,
        complete=report.complete,
        problems=[(account.account, list(_problems(account))) for account in report.accounts if not account.complete],
        contact_count=report.contact_count,
        account_count=len(report.accounts),
        facts=list(_facts(report)),
        accounts=(_account(account) for account in report.accounts),
        kept_elsewhere=[
            (account.account, account.title, list(account.residual_data.items())) for account in report.accounts
        ],
        without_consent=[account.account for account in report.accounts if account.consent is None],
        not_followed=[identifier.value for identifier in report.suggestions],
    )


def _facts(report: AccessReport) -> Iterator[tuple[str, str]]:
    yield "Read", report.made_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    yield "Looked for", ", ".join(identifier.value for identifier in report.asked)
    if report.followed:
        yield "Also looked for", ", ".join(identifier.value for identifier in report.followed)


def _problems(account: AccountAccess) -> Iterator[str]:
    """Yield in words what is missing. Nothing in them comes from a vendor or names somebody else."""
    if account.error:
        yield f"could not be read: {account.error}"
    for identifier, reason in account.unknown.items():
        yield f"{identifier.value}: {reason}"
    if account.withheld:
        number = len(account.withheld)
        yield f"{number} contact(s) share an address or a number and may be of another person, so they are left out"
    yield from account.gaps


def _account(account: AccountAccess) -> Mapping[str, Any]:
    return {
        "name": account.account,
        "title": account.title,
        "contacts": [_contact(access) for access in account.contacts],
        "complete": account.complete,
        "consent": account.consent or (),
        "scanned": account.read == "scan",
    }


def _contact(access: ContactAccess) -> Mapping[str, Any]:
    return {
        "values": list(_values(access.contact)),
        "custom": [(name, _text(value)) for name, value in access.contact.custom.items()],
        "lists": None if access.lists is None else [name or id for id, name in access.lists.items()],
        "tags": list(access.contact.tags),
        "extra": list(_flat(plain(access.contact).get("extra") or {})),
        "has_raw": access.raw is not None,
    }


def _values(contact: Contact) -> Iterator[tuple[str, str]]:
    """Yield the values of a contact with names that people understand."""
    for identifier in contact.identifiers:
        label = f" ({identifier.label})" if identifier.label else ""
        yield KINDS.get(identifier.kind, identifier.key) + label, identifier.value
    named = {
        "Given name": contact.first_name,
        "Family name": contact.last_name,
        "Full name": contact.full_name,
        "Address": _address(contact.address) if contact.address else None,
        "Organization": contact.organization,
        "Position": contact.title,
        "Created": contact.created_at,
        "Last changed": contact.updated_at,
        "Id": contact.id,
    }
    yield from ((name, _text(value)) for name, value in named.items() if value)


def _address(address: Address) -> str:
    parts = (address.line1, address.line2, address.postal_code, address.city, address.region, address.country)
    return address.formatted or ", ".join(part for part in parts if part)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values in a vendor's own fields, each with the path to it."""
    fields, items = cast("dict[str, Any]", value), cast("list[Any]", value)
    if isinstance(value, dict):
        for key, inner in fields.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for number, inner in enumerate(items, 1):
            yield from _flat(inner, f"{name} {number}")
    elif value not in {None, ""}:
        yield name, _text(value)


def _text(value: object) -> str:
    """Return a value as people write it."""
    match value:
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        case date():
            return value.isoformat()
        case list() | tuple() | set() | frozenset():
            return ", ".join(map(_text, cast("Collection[object]", value)))
        case _:
            return str(value)
