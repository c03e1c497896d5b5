"""What an account has room for, and what of a contact is lost or changed when it is written there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cached_property
from operator import attrgetter
from typing import Any

from attrs import evolve, field, fields, frozen

from contacts_core.models.contact import Address, Contact
from contacts_core.models.fields import FieldDefinition
from contacts_core.models.identifiers import Identifier, IdentifierKind
from contacts_core.models.lists import ContactList

__all__ = ["Loss", "LossCode", "LossCount", "Preview", "Shape", "differences", "flattened", "identifier_field"]

WHOLE = "contact"
TEXTS = ("first_name", "last_name", "full_name", "organization", "title")
EMPTY: tuple[object, ...] = (None, "", ())
TIMES = ("created_at", "updated_at")
PARTS = tuple(each.name for each in fields(Address))
PARTS_OF_ADDRESS = tuple(f"address.{name}" for name in PARTS)
address_parts = attrgetter(*PARTS)


class LossCode(Enum):
    """Why a value is not shown as it was given.

    Attributes:
        NO_PLACE: The vendor has nothing of this kind.
        NO_FIELD: The account has no field for it; one may be created or mapped.
        NO_LIST: The account has no such list; one may be created.
        RETYPED: It is kept as a value of another type, such as a date as text.
        TRUNCATED: It is too long, and is cut.
        RESPELLED: It is kept in another form, such as an address as one text.
        TOO_MANY: The vendor keeps fewer of them.
        READ_ONLY: Only the vendor writes it.
        REASON_LOST: The reason of a statement is not kept.
        DATE_LOST: The time of it is not kept, for the vendor sets its own.
        NO_CONSENT: Consent, or its withdrawal, is not kept.
        REFUSED: The vendor would refuse the value, so it is not sent. Of the field ``contact``: nothing is.
    """

    NO_PLACE = "NO_PLACE"
    NO_FIELD = "NO_FIELD"
    NO_LIST = "NO_LIST"
    RETYPED = "RETYPED"
    TRUNCATED = "TRUNCATED"
    RESPELLED = "RESPELLED"
    TOO_MANY = "TOO_MANY"
    READ_ONLY = "READ_ONLY"
    REASON_LOST = "REASON_LOST"
    DATE_LOST = "DATE_LOST"
    NO_CONSENT = "NO_CONSENT"
    REFUSED = "REFUSED"

    @property
    def is_kept(self) -> bool:
        """Whether the field is written all the same, in another form."""
        return self in {LossCode.RETYPED, LossCode.TRUNCATED, LossCode.RESPELLED}


@frozen
class Loss:
    """One value of a contact that a vendor does not keep as it was given.

    Attributes:
        field: Its name: that of the field of `Contact`; ``email``, ``phone`` and so on for identifiers, ``other.KEY``
            for those of other kinds; ``address.city``, ``custom.NAME``, ``lists.LIST``, ``extra.NAME`` for parts;
            ``contact`` for the whole contact.
        code: Why.
        detail: More on it, for people; it names no person.
    """

    field: str
    code: LossCode
    detail: str = ""


@frozen
class LossCount:
    """How many contacts have lost a field, and why."""

    field: str
    code: LossCode
    count: int


@frozen
class Preview:
    """What becomes of a contact that is written to an account.

    Attributes:
        shown: What a read shows of it afterwards, if it is new; its id, and what only the vendor knows, are missing. If
            the contact exists, what was not given stays as it is. None if the contact is not written at all.
        losses: What is not shown as it was given, each field once.
        written: What `UpsertsContacts.upsert_contacts` is given: the contact without what is lost, and without values
            that the vendor derives by itself. None if the contact is not written at all.
    """

    shown: Contact | None
    losses: tuple[Loss, ...] = ()
    written: Contact | None = None

    @property
    def shown_of_existing(self) -> Contact | None:
        """What a read shows of what was given, if the contact existed before; None if it is not written at all.

        A full name that is not written is made by the vendor of its parts, some of which may have been there before.
        """
        if self.shown is None or self.written is None or self.written.full_name:
            return self.shown
        return evolve(self.shown, full_name=None)

    @property
    def refusal(self) -> str:
        """Why the contact is not written at all; empty if it is written."""
        return "" if self.shown else next((each.detail for each in self.losses if each.field == WHOLE), "refused")

    @classmethod
    def refused(cls, reason: str) -> Preview:
        """Return the preview of a contact that is not written at all."""
        return cls(None, (Loss(WHOLE, LossCode.REFUSED, reason),))


@frozen
class Shape:
    """What an account has room for.

    Attributes:
        lists: Its lists; None if they are not known.
        fields: Its custom fields; None if they are not known.
    """

    lists: tuple[ContactList, ...] | None = field(default=None, repr=False)
    fields: tuple[FieldDefinition, ...] | None = field(default=None, repr=False)

    @cached_property
    def _fields(self) -> Mapping[str, FieldDefinition]:
        known = self.fields or ()
        return {each.name.casefold(): each for each in known} | {each.name: each for each in known}

    def field(self, name: str) -> FieldDefinition | None:
        """Return the custom field of this name, in any case of letters if none is spelled so; None if there is none."""
        return self._fields.get(name) or self._fields.get(name.casefold())


def identifier_field(identifier: Identifier) -> str:
    """Return the name under which the loss of an identifier is told."""
    return f"other.{identifier.key}" if identifier.kind is IdentifierKind.OTHER else identifier.kind.value


def flattened(contact: Contact) -> dict[str, Any]:
    """Return what is given of a contact besides its identifiers, by the names that losses have.

    ``None`` and what is empty are not given.
    """
    values: dict[str, Any] = {name: value for name in TEXTS if (value := getattr(contact, name))}
    if contact.address:
        values |= {
            name: text for name, text in zip(PARTS_OF_ADDRESS, address_parts(contact.address), strict=True) if text
        }
    if contact.tags:
        values["tags"] = contact.tags
    values |= {f"custom.{name}": value for name, value in contact.custom.items() if value not in EMPTY}
    values |= {f"lists.{name}": name for name in contact.lists or ()}
    values |= {f"extra.{name}": value for name, value in contact.extra.items()}
    return values | {name: value for name in TIMES if (value := getattr(contact, name))}


def differences(given: Contact, shown: Contact) -> frozenset[str]:
    """Return the names of what is given of a contact and shown in another form, or not at all.

    Identifiers are compared by their normal form, tags and lists without their order, custom values with their type.
    """
    theirs = flattened(shown)
    names = {name for name, value in flattened(given).items() if not _is_same(value, theirs.get(name))}
    if given.full_name == shown.name:
        names.discard("full_name")
    missing = set(given.identifiers).difference(shown.identifiers)
    return frozenset(names | {identifier_field(each) for each in missing})


def _is_same(given: object, shown: object) -> bool:
    match given, shown:
        case bool(), _:
            return given is shown
        case int() | float(), int() | float():
            return not isinstance(shown, bool) and given == shown
        case _:
            return type(given) is type(shown) and given == shown


def counted(losses: Iterable[Loss]) -> tuple[LossCount, ...]:
    """Return how often each field is lost for each reason, in the order in which that first happened."""
    counts: dict[tuple[str, LossCode], int] = {}
    for each in losses:
        counts[each.field, each.code] = counts.get((each.field, each.code), 0) + 1
    return tuple(LossCount(*key, count) for key, count in counts.items())


def added(parts: Iterable[Iterable[LossCount]]) -> tuple[LossCount, ...]:
    """Return the sums of several counts."""
    counts: dict[tuple[str, LossCode], int] = {}
    for part in parts:
        for each in part:
            counts[each.field, each.code] = counts.get((each.field, each.code), 0) + each.count
    return tuple(LossCount(*key, count) for key, count in counts.items())
