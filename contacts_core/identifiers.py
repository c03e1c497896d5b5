"""Identifiers of a contact: their kinds, how they compare, how they are masked.

Vendors spell one address in many ways. An `Identifier` keeps the value as the vendor stores it (that is what goes back
to that vendor) and compares by its normal form: e-mail addresses in lower case with an ASCII domain (RFC 5891), phone
numbers in E.164 where that can be known.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

from attrs import field, frozen

__all__ = ["Identifier", "IdentifierKind", "mask", "normal_email", "normal_phone", "scrub"]


class IdentifierKind(Enum):
    """What sort of thing identifies the contact."""

    EMAIL = "email"
    PHONE = "phone"
    EXTERNAL_ID = "external_id"
    ANONYMOUS_ID = "anonymous_id"
    OTHER = "other"


E164 = re.compile(r"\+[1-9][0-9]{6,14}")
NOT_DIGITS = re.compile(r"[^0-9]")
IN_ADDRESS = r"[^\s<>()\"',;:=/\[\]{}]"
# It begins where a word begins: looking from every letter of a long word would take hours.
EMAILS = re.compile(rf"(?<!{IN_ADDRESS}){IN_ADDRESS}+(?:@|%40){IN_ADDRESS}+")
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PHONES = re.compile(rf"(?P<uuid>{UUID})|(?<![\w-])\+?[0-9][0-9 ()./-]{{6,30}}[0-9](?![\w-])")


def normal_email(value: str) -> str:
    """Give the form in which two spellings of one address are equal."""
    if value.isascii():
        return value.strip().lower()
    local, at, domain = value.strip().rpartition("@")
    return f"{local.lower()}@{_ascii_domain(domain)}" if at else domain.lower()


def _ascii_domain(domain: str) -> str:
    import idna  # noqa: PLC0415 - only addresses outside ASCII pay for it

    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return domain.lower()


def normal_phone(value: str, country_code: str = "") -> str:
    """Give E.164 where it can be known (a leading ``+``, or a country code), else the value without punctuation."""
    return value if E164.fullmatch(value) else _parsed_phone(value, country_code)


@lru_cache(maxsize=4096)
def _parsed_phone(value: str, country_code: str) -> str:
    import phonenumbers  # noqa: PLC0415 - only numbers not yet in E.164 pay for it

    text = value.strip()
    if not text.startswith("+") and country_code:
        text = f"+{NOT_DIGITS.sub('', country_code)} {text}"
    if not text.startswith("+"):
        return NOT_DIGITS.sub("", text) or text
    try:
        parsed = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return f"+{NOT_DIGITS.sub('', text)}"
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def mask(value: str) -> str:
    """Make a value recognisable to its owner and useless to others: ``j***@example.com``, ``+1***43``."""
    local, at, domain = value.rpartition("@")
    if at:
        return f"{local[:1]}***@{domain}"
    if len(value) < 6:
        return "***"
    return f"{value[:2]}***{value[-2:]}"


def scrub(text: str) -> str:
    """Mask every address and phone number inside a longer text."""
    masked = EMAILS.sub(lambda found: mask(found.group()), text)
    return PHONES.sub(lambda found: found["uuid"] or mask(found.group()), masked)


@frozen(eq=False, repr=False, weakref_slot=False)
class Identifier:
    """One way to reach or recognise a contact.

    Two identifiers are equal when their kind (and, for `IdentifierKind.OTHER`, their key) and normal form are equal;
    ``primary`` and ``label`` do not count.

    Attributes:
        kind: What it is.
        value: As the vendor stores it, or as the caller wrote it.
        primary: Whether the vendor marks it as the main one of its kind.
        label: The vendor's or the user's word for it, such as ``work``.
        key: The vendor's own name of the kind; always set for `IdentifierKind.OTHER`.
        country_code: For phones stored as a national number: the code that goes before it, such as ``+1``.
    """

    kind: IdentifierKind
    value: str
    primary: bool = False
    label: str = ""
    key: str = ""
    country_code: str = field(default="")

    @classmethod
    def email(cls, value: str) -> Identifier:
        """An e-mail address."""
        return cls(IdentifierKind.EMAIL, value)

    @classmethod
    def phone(cls, value: str, country_code: str = "") -> Identifier:
        """A phone number, best in E.164; or a national number with its country code."""
        return cls(IdentifierKind.PHONE, value, country_code=country_code)

    @classmethod
    def external_id(cls, value: str) -> Identifier:
        """The caller's own id of the contact."""
        return cls(IdentifierKind.EXTERNAL_ID, value)

    @classmethod
    def anonymous_id(cls, value: str) -> Identifier:
        """An id given before the contact was known."""
        return cls(IdentifierKind.ANONYMOUS_ID, value)

    @classmethod
    def other(cls, key: str, value: str) -> Identifier:
        """Any other identifier, under the vendor's own key."""
        return cls(IdentifierKind.OTHER, value, key=key)

    @property
    def normal(self) -> str:
        """The form that is compared, and that is written to a vendor other than the one it came from."""
        match self.kind:
            case IdentifierKind.EMAIL:
                return normal_email(self.value)
            case IdentifierKind.PHONE:
                return normal_phone(self.value, self.country_code)
            case _:
                return self.value

    @property
    def certain(self) -> bool:
        """Whether the value is what its kind says, beyond doubt."""
        return bool(self.value.strip())

    @property
    def masked(self) -> str:
        """Fit for logs and progress: the kind and a masked value."""
        return f"{self.key or self.kind.value}:{mask(self.normal)}"

    def _compared(self) -> tuple[IdentifierKind, str, str]:
        return (self.kind, self.key if self.kind is IdentifierKind.OTHER else "", self.normal)

    def __eq__(self, other: object) -> bool:
        """Compare by kind and normal form."""
        return self._compared() == other._compared() if isinstance(other, Identifier) else NotImplemented

    def __hash__(self) -> int:
        """Agree with ``==``."""
        return hash(self._compared())

    def __repr__(self) -> str:
        """Show the masked value only: identifiers are personal data."""
        return f"Identifier({self.masked}{', primary' if self.primary else ''})"
