"""What the emulated SendGrid account holds: contacts, lists, fields, and the jobs that change them later."""

import heapq
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from attrs import Factory, define

IDENTIFIERS = ("email", "phone_number_id", "external_id", "anonymous_id")
TEXT_FIELDS = (
    *(
        "first_name",
        "last_name",
        "address_line_1",
        "address_line_2",
        "city",
        "state_province_region",
        "postal_code",
    ),
    *("country", "phone_number", "whatsapp", "line", "facebook", "unique_name"),
)
MAX_LENGTHS = {
    "address_line_1": 100,
    "address_line_2": 100,
    "city": 60,
    "country": 50,
    "state_province_region": 50,
    "first_name": 50,
    "last_name": 50,
    "email": 254,
    "external_id": 254,
    "anonymous_id": 254,
}
READ_ONLY_FIELDS = (
    *(("email_domains", "Text"), ("last_clicked", "Date"), ("last_opened", "Date"), ("last_emailed", "Date")),
    *(("singlesend_id", "Text"), ("automation_id", "Text"), ("created_at", "Date"), ("updated_at", "Date")),
    *(("contact_id", "Text"),),
)

# Recorded upserts showed what was asked for after some seconds, no effect for 30, and `pending` for a while after it.
COUNTED_AFTER = timedelta(seconds=5)
EFFECT_AFTER = timedelta(seconds=30)
FINISHED_AFTER = timedelta(seconds=60)
EXPORT_READY_AFTER = timedelta(seconds=5)
EXPORT_EXPIRES_AFTER = timedelta(hours=72)
FIELD_USABLE_AFTER = timedelta(seconds=5)
STALE_FOR = timedelta(seconds=20)

_PHONE = re.compile(r"\+?[1-9][0-9]{6,14}")
_EMAIL = re.compile(r"[^@\s,<>()\"\\]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def valid_email(value: object) -> bool:
    """Whether the service takes this for an address."""
    return isinstance(value, str) and len(value) <= 254 and _EMAIL.fullmatch(value) is not None


def valid_phone(value: str) -> bool:
    """Whether the service takes this for a phone number; the plus may be missing [unverified]."""
    return _PHONE.fullmatch(value) is not None


@define(eq=False)
class Contact:
    """A stored contact; custom fields are keyed by id."""

    id: str
    created_at: datetime
    updated_at: datetime
    identifiers: dict[str, str] = Factory(dict[str, str])
    text: dict[str, str] = Factory(dict[str, str])
    alternate_emails: list[str] = Factory(list[str])
    custom: dict[str, Any] = Factory(dict[str, Any])
    list_ids: dict[str, None] = Factory(dict[str, None])


@define(eq=False)
class ContactList:
    """A list and its members in the order in which they joined."""

    id: str
    name: str
    members: dict[str, None] = Factory(dict[str, None])


@define(eq=False)
class Field:
    """A custom field."""

    id: str
    name: str
    kind: str
    created_at: datetime


@define(eq=False)
class Results:
    """What a job did so far; a count of zero is left out of answers."""

    requested: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    errors: list[tuple[str, str]] = Factory(list[tuple[str, str]])


@define(eq=False)
class Job:
    """An accepted job. It has not begun while `began_at` is unset (an import that waits for its file)."""

    id: str
    kind: str
    created_at: datetime
    requested: int
    began_at: datetime | None = None
    never_ends: bool = False
    results: Results | None = None

    def finished_at(self, now: datetime) -> datetime | None:
        """When it ended, if it has."""
        if self.began_at is None or self.never_ends or self.results is None:
            return None
        finished = self.began_at + FINISHED_AFTER
        return finished if finished <= now else None

    def status(self, now: datetime) -> str:
        """The state in the vendor's words."""
        if self.finished_at(now) is None or self.results is None:
            return "pending"
        if not self.results.errors:
            return "completed"
        return "failed" if len(self.results.errors) >= self.requested else "errored"


@define(eq=False)
class Import:
    """An import that waits for, or has received, its file."""

    job: Job
    columns: list[str | None]
    list_ids: list[str]
    token: str


@define(eq=False)
class Export:
    """An export and, once it is ready, its files (name to content)."""

    id: str
    created_at: datetime
    file_type: str
    list_ids: list[str]
    part_bytes: int
    token: str
    status: str = "pending"
    message: str = ""
    contact_count: int = 0
    completed_at: datetime | None = None
    files: dict[str, bytes] = Factory(dict[str, bytes])


_COUNTED = {"anonymous_id": "AID", "email": "EID", "external_id": "EXTID", "phone_number_id": "PHNID"}


class Schedule:
    """Things that will happen at a virtual time, in order."""

    def __init__(self) -> None:
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, when: datetime, action: Callable[[], None]) -> None:
        """Let `action` happen at `when`."""
        heapq.heappush(self._due, (when, next(self._order), action))

    def settle(self, now: datetime) -> None:
        """Let happen what is due by now."""
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()


class Store:
    """Contacts with an index by identifier, lists and custom fields."""

    def __init__(self) -> None:
        self.contacts: dict[str, Contact] = {}
        self.gone: set[str] = set()  # deleted, and still shown
        self.lists: dict[str, ContactList] = {}
        self.fields: dict[str, Field] = {}
        self.billable = 0
        self._by_identifier: dict[str, dict[str, str]] = {kind: {} for kind in IDENTIFIERS}
        self._by_alternate: dict[str, dict[str, None]] = {}

    def find(self, kind: str, value: str) -> Contact | None:
        """The contact with exactly this identifier."""
        found = self._by_identifier[kind].get(value)
        return self.contacts[found] if found else None

    def find_by_any_email(self, email: str) -> Contact | None:
        """The contact with this primary email, else one with this alternate email."""
        contact = self.find("email", email)
        if contact is None and (ids := self._by_alternate.get(email)):
            contact = self.contacts[next(iter(ids))]
        return contact

    def identifier_counts(self) -> dict[str, int]:
        """How many contacts have each kind of identifier, in the spelling of the counts."""
        return {short: len(self._by_identifier[kind]) for kind, short in _COUNTED.items()}

    def identifier_counts_of(self, stored: ContactList) -> dict[str, int]:
        """The same for the members of a list."""
        members = [self.contacts[contact_id].identifiers for contact_id in stored.members]
        return {short: sum(kind in held for held in members) for kind, short in _COUNTED.items()}

    def members(self, list_ids: Iterable[str]) -> Iterator[Contact]:
        """Contacts that are on any of these lists, each once; all contacts where no list is named."""
        wanted = list(list_ids)
        if not wanted:
            return iter(self.contacts.values())
        ids = dict.fromkeys(
            member for list_id in wanted if list_id in self.lists for member in self.lists[list_id].members
        )
        return (self.contacts[contact_id] for contact_id in ids)

    def upsert(
        self, item: dict[str, Any], new_id: Callable[[], str], now: datetime, accepted_at: datetime | None = None
    ) -> bool:
        """Create (true) or update (false) the contact that an item names by any identifier.

        Recorded contacts were created when the request was accepted, and updated when it took effect, half a minute
        later.

        Raises `ValueError` where its identifiers belong to several contacts or contradict the stored ones.
        """
        given = {kind: item[kind] for kind in IDENTIFIERS if item.get(kind)}
        owners = {owner.id: owner for kind, value in given.items() if (owner := self.find(kind, value))}
        if len(owners) > 1:
            raise ValueError("identifiers belong to different contacts")
        contact = next(iter(owners.values()), None)
        created = contact is None
        if contact is None:
            contact = Contact(new_id(), accepted_at or now, now)
            self.contacts[contact.id] = contact
            self.billable += 1
        elif any(contact.identifiers.get(kind, value) != value for kind, value in given.items()):
            raise ValueError("an identifier cannot be changed")
        self._write(contact, given, item)
        contact.updated_at = now
        return created

    def _write(self, contact: Contact, given: dict[str, str], item: dict[str, Any]) -> None:
        for kind, value in given.items():
            contact.identifiers[kind] = value
            self._by_identifier[kind][value] = contact.id
        for name in TEXT_FIELDS:
            if name in item:
                contact.text[name] = str(item[name] or "")
        if item.get("alternate_emails") is not None:
            self._set_alternates(contact, item["alternate_emails"])
        custom: dict[str, Any] = item.get("custom_fields") or {}
        for field_id, value in custom.items():
            if value is None:
                contact.custom.pop(field_id, None)
            else:
                contact.custom[field_id] = value
        for list_id in item.get("list_ids") or ():
            self.join(list_id, contact)

    def identify(self, contact: Contact, identifiers: dict[str, str], alternate_emails: list[str]) -> None:
        """Replace all identifiers of a contact, as no request can."""
        for kind, value in contact.identifiers.items():
            del self._by_identifier[kind][value]
        contact.identifiers = {}
        self._write(contact, identifiers, {"alternate_emails": alternate_emails})

    def _set_alternates(self, contact: Contact, emails: list[str]) -> None:
        for email in contact.alternate_emails:
            self._by_alternate[email].pop(contact.id, None)
        contact.alternate_emails = [email.lower() for email in emails]
        for email in contact.alternate_emails:
            self._by_alternate.setdefault(email, {})[contact.id] = None

    def join(self, list_id: str, contact: Contact) -> None:
        """Put a contact on a list, unless the list has been deleted meanwhile."""
        if list_id in self.lists:
            contact.list_ids[list_id] = None
            self.lists[list_id].members[contact.id] = None

    def leave(self, list_id: str, contact_ids: Iterable[str]) -> int:
        """Take contacts off a list; answers how many were on it."""
        left = 0
        for contact_id in contact_ids:
            contact = self.contacts.get(contact_id)
            if contact is not None and list_id in contact.list_ids:
                contact.list_ids.pop(list_id)
                self.lists[list_id].members.pop(contact_id)
                left += 1
        return left

    def delete(self, contact_ids: Iterable[str]) -> int:
        """Delete whole contacts; answers how many there were."""
        deleted = 0
        for contact_id in contact_ids:
            contact = self.contacts.get(contact_id)
            if contact is None:
                continue
            for kind, value in contact.identifiers.items():
                del self._by_identifier[kind][value]
            self._set_alternates(contact, [])
            for list_id in contact.list_ids:
                self.lists[list_id].members.pop(contact_id)
            del self.contacts[contact_id]
            self.gone.discard(contact_id)
            deleted += 1
        return deleted

    def delete_list(self, list_id: str) -> list[str]:
        """Delete a list and keep its contacts, whose ids are the answer."""
        members = list(self.lists.pop(list_id).members)
        for contact_id in members:
            self.contacts[contact_id].list_ids.pop(list_id)
        return members

    def remove_identifier(self, contact: Contact, kind: str, value: str, now: datetime) -> None:
        """Remove one identifier; raises `ValueError` where it is the last one, or not there."""
        stored = contact.identifiers.get(kind)
        if stored is None or not _same(kind, stored, value):
            raise ValueError("identifier not found")
        if len(contact.identifiers) == 1:
            raise ValueError("contact must have at least one identifier")
        del contact.identifiers[kind]
        del self._by_identifier[kind][stored]
        contact.updated_at = now

    def delete_field(self, field_id: str) -> None:
        """Delete a custom field and its values."""
        del self.fields[field_id]
        for contact in self.contacts.values():
            contact.custom.pop(field_id, None)


def _same(kind: str, stored: str, value: str) -> bool:
    if kind == "email":
        return stored == value.lower()
    # The documentation writes phone identifiers with a plus in upserts and without one in deletions.
    if kind == "phone_number_id":
        return stored.lstrip("+") == value.lstrip("+")
    return stored == value


def second(when: datetime) -> str:
    """An instant (in UTC) as `2025-11-18T14:50:24Z`."""
    return when.isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


def nanosecond(when: datetime) -> str:
    """An instant (in UTC) as `2025-11-18T14:50:54.186828001Z`."""
    return when.isoformat(timespec="microseconds").removesuffix("+00:00") + "001Z"


def spaced(when: datetime) -> str:
    """An instant (in UTC) as `2025-11-18 14:50:19 +0000 UTC`."""
    return when.isoformat(" ", timespec="seconds").removesuffix("+00:00") + " +0000 UTC"
