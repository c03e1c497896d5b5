"""What the emulated workspace holds. Everything but a contact's own emails and phones is linked by id."""

import itertools
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from attrs import Factory, define, frozen

from contacts_core.emulator import ContactStore

STALE_FOR = timedelta(seconds=20)
FIELD_TYPES = ("SINGLE_LINE_TEXT", "USER", "SINGLE_SELECT", "MULTI_SELECT", "DATE", "NUMERIC", "BOOLEAN")


# Kinds of records that contacts are linked to.
LINKED = ("lists", "tags", "notes", "companies", "custom_fields")


@frozen
class Email:
    """One email address of a contact."""

    id: str
    email_address: str
    is_primary: bool


@frozen
class Phone:
    """One phone number of a contact, country code and national part apart."""

    id: str
    phone_number: str
    country_code: str | None
    is_primary: bool


@frozen
class Position:
    """A contact's place in a company."""

    title: str | None = None
    is_active: bool = True
    start_date: date | None = None


@define(eq=False)
class Contact:
    """A stored contact."""

    id: str
    created_at: datetime
    updated_at: datetime
    scalars: dict[str, Any] = Factory(dict[str, Any])
    emails: list[Email] = Factory(list[Email])
    phone_numbers: list[Phone] = Factory(list[Phone])
    companies: dict[str, Position] = Factory(dict[str, Position])
    tags: dict[str, None] = Factory(dict[str, None])
    lists: dict[str, None] = Factory(dict[str, None])
    notes: dict[str, None] = Factory(dict[str, None])
    custom_fields: dict[str, Any] = Factory(dict[str, Any])

    @property
    def full_name(self) -> str:
        """First and last name together."""
        names = (self.scalars.get("first_name"), self.scalars.get("last_name"))
        return " ".join(name for name in names if name)


@define(eq=False)
class Record:
    """A list, tag, note, company or custom field: its own values, and the contacts linked to it."""

    id: str
    values: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    contacts: dict[str, None] = Factory(dict[str, None])


class Store(ContactStore[Contact]):
    """Contacts, and the records that they are linked to."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, dict[str, Record]] = {kind: {} for kind in (*LINKED, "tasks", "workspace_users")}
        self._numbers: dict[str, Iterator[int]] = {}

    def new_id(self, kind: str) -> str:
        """The next id of a kind, such as `contact_10001`."""
        return f"{kind}_{next(self._numbers.setdefault(kind, itertools.count(10001)))}"

    def link(self, contact: Contact, kind: str, wanted: dict[str, Any]) -> None:
        """Replace a relation of a contact, on both sides."""
        records = self.records[kind]
        for record_id in getattr(contact, kind):
            records[record_id].contacts.pop(contact.id, None)
        setattr(contact, kind, wanted)
        for record_id in wanted:
            records[record_id].contacts[contact.id] = None

    def relink(self, kind: str, record: Record, contact_ids: dict[str, None]) -> None:
        """Replace the contacts of a list, tag or note, on both sides."""
        for contact_id in record.contacts:
            getattr(self.contacts[contact_id], kind).pop(record.id, None)
        record.contacts = contact_ids
        for contact_id in contact_ids:
            getattr(self.contacts[contact_id], kind)[record.id] = None

    def _unlink(self, contact: Contact) -> None:
        for kind in LINKED:
            self.link(contact, kind, {})


def second(when: datetime) -> str:
    """An instant (in UTC) as `2025-11-18T14:50:24Z`."""
    return when.isoformat(timespec="seconds").removesuffix("+00:00") + "Z"
