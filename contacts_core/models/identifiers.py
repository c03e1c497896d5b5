"""Identifiers of a contact: their kinds, how they compare, how they are masked.

Vendors spell one address in many ways. An `Identifier` keeps the value as the vendor stores it (that is what goes back
to that vendor) and compares by its normal form: e-mail addresses in lower case with an ASCII domain, phone numbers in
E.164. If a value is not clearly one address or one number, its normal form is the value itself. docs/identifiers.md has
the rules and the reasons.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from urllib.parse import parse_qsl, unquote

from attrs import field, frozen

__all__ = ["Identifier", "IdentifierKind", "mask", "normal_email", "normal_phone", "scrub"]


class IdentifierKind(Enum):
    """The kind of an identifier.

    Attributes:
        EMAIL: An e-mail address.
        PHONE: A phone number.
        EXTERNAL_ID: An id that the caller's own system gave to the contact.
        ANONYMOUS_ID: An id that was given to a visitor before the contact was known.
        OTHER: Another kind; ``Identifier.key`` has the vendor's name for it.
    """

    EMAIL = "email"
    PHONE = "phone"
    EXTERNAL_ID = "external_id"
    ANONYMOUS_ID = "anonymous_id"
    OTHER = "other"


# Characters that leave no trace on paper and get into values by copying: default ignorable code points of Unicode.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]+"
)
JOINERS = re.compile("[\u200c\u200d]+")  # as above, except in the scripts that need them

# -- e-mail addresses: RFC 5322, 5321 (limits), 6531 (letters outside ASCII), 6068 (mailto:)

LONGEST_EMAIL = 254  # characters of an address: RFC 5321, section 4.5.3.1.3
LONGEST_SPELLING = 1000  # characters of an address with a display name
WORD = r"a-z0-9.!#$%&'*+/=?^_`{|}~-"
PLAIN_EMAIL = re.compile(rf"[{WORD}]++@[a-z0-9.-]++(?<!\.)")  # such a text has no other normal form
LOCAL = re.compile(rf"(?!\.)[\u0080-\U0010ffff{WORD}]+")
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"(?=.{{1,253}}\Z)(?:{LABEL}\.)+(?![0-9]+\Z){LABEL}")
NAMED = re.compile(r"([^<>]*)<([^<>]*)>")
AROUND = r"(?:[^\S\r\n]|\([^()\\\"@<>]*\))*"  # white space and comments
ATOM = r"[^\s\"(),:;<>@\[\\\]]+"
ADDRESS = re.compile(
    rf"{AROUND}(?:\"(?P<quoted>(?:[^\"\\]|\\.)+)\"|(?P<local>{ATOM})){AROUND}@{AROUND}(?P<domain>{ATOM}){AROUND}"
)
MORE_RECIPIENTS = {"to", "cc", "bcc"}


def normal_email(value: str) -> str:
    """Give the form in which all spellings of one address are equal; the value itself if it is not an address."""
    if PLAIN_EMAIL.fullmatch(value):
        return value
    return certain_email(value) or value


def certain_email(value: str) -> str | None:
    """Give the normal form of a value that is one e-mail address beyond doubt, else None."""
    return _parsed_email(value) if len(value) <= LONGEST_SPELLING else None


@lru_cache(maxsize=4096)
def _parsed_email(value: str) -> str | None:
    text = INVISIBLE.sub("", value).strip().rstrip(",;").rstrip()
    if named := NAMED.fullmatch(text):
        name, text = named.groups()
        # Outlook writes the address as the name too; any other address in the name makes it two.
        if "@" in name and certain_email(name.strip(" '\"")) != certain_email(text):
            return None
    if text[:7].lower() == "mailto:":
        text = _recipient(text[7:])
    if (joined := JOINERS.sub("", text)).isascii():
        text = joined
    found = ADDRESS.fullmatch(text)
    if not found:
        return None
    local, domain = _local(found["local"], found["quoted"]), _domain(found["domain"])
    address = f"{local}@{domain}"
    return address if local and domain and len(address) <= LONGEST_EMAIL else None


def _recipient(uri: str) -> str:
    """The address of a ``mailto:`` URI; empty if it names more than one or is broken."""
    path, _, query = uri.partition("?")
    if any(name.lower() in MORE_RECIPIENTS for name, _ in parse_qsl(query, keep_blank_values=True)):
        return ""
    try:
        return INVISIBLE.sub("", unquote(path, errors="strict"))
    except UnicodeDecodeError:
        return ""


def _local(bare: str | None, quoted: str | None) -> str:
    """The part before the ``@``, without quotes where they say nothing; empty if it is not one."""
    text = re.sub(r"\\(.)", r"\1", quoted) if quoted else bare or ""
    if not text.isprintable():
        return ""
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
    if LOCAL.fullmatch(text) and " " not in text:
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"' if quoted else ""


def _domain(text: str) -> str:
    """The domain in ASCII and lower case, without the dot of the root; empty if it is not one."""
    if not text.isascii():
        import idna  # noqa: PLC0415 - only addresses outside ASCII pay for it

        try:
            text = idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
        except UnicodeError:
            return ""
    text = text.lower().removesuffix(".")
    return text if DOMAIN.fullmatch(text) else ""


# -- phone numbers: ITU-T E.164, and RFC 3966 for extensions

LONGEST_PHONE = 100  # characters, with all punctuation
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
# Such a text has no other normal form: digits only, and no trunk prefix behind the calling code. In most countries that
# prefix begins with 0; in those of +1 and +692 it is 1, in those of +7, +375 and +993 it is 8.
PLAIN_PHONE = re.compile(
    r"\+(?:1[2-9]|7[1-79]|(?:2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])[1-9]"
    r"|(?!375|692|993)(?:2[1-689]|3[578]|42|5[09]|6[789]|8[03578]|9[679])[0-9][1-9])[0-9]*"
)
BETWEEN = r"[ \t.\u00a0\u2000-\u200a\u202f\u205f\u3000\u2010-\u2015\u2212-]*"  # spaces, dashes, dots
PHONE = re.compile(
    rf"(?:tel:)?\+(?P<number>[0-9]{{1,3}}{BETWEEN}(?:\([0-9]{{1,5}}\){BETWEEN}){{0,2}}[0-9]{BETWEEN}(?:[0-9]{BETWEEN})*)"
    rf"(?:(?:;ext=|(?:extension|extn|ext|x)[.:]?{BETWEEN})(?P<extension>[0-9]{{1,9}}))?",
    re.IGNORECASE | re.ASCII,
)
WITH_CODE = re.compile(rf"(?:\s|{INVISIBLE.pattern})*+(?:\+|tel:)", re.IGNORECASE)
NOT_DIGITS = re.compile(r"[^0-9]")


def normal_phone(value: str, country_code: str = "") -> str:
    """Give E.164 (and ``;ext=``) for a value that is a phone number beyond doubt; otherwise the value itself.

    A national number is one only with its country code; if they make none together, they are joined by a space.
    """
    if PLAIN_PHONE.fullmatch(value):
        return value
    return certain_phone(value, country_code) or _joined(value, country_code)


def certain_phone(value: str, country_code: str = "") -> str | None:
    """Give the normal form of a value that is one phone number beyond doubt, else None."""
    return _parsed_phone(value, country_code) if len(value) + len(country_code) <= LONGEST_PHONE else None


@lru_cache(maxsize=4096)
def _parsed_phone(value: str, country_code: str) -> str | None:
    found = PHONE.fullmatch(INVISIBLE.sub("", _joined(value, country_code)).strip())
    number = _e164(f"+{NOT_DIGITS.sub('', found['number'])}") if found else None
    return f"{number};ext={found['extension']}" if number and found and found["extension"] else number


def _joined(value: str, country_code: str) -> str:
    """The value with its country code before it, unless it begins with one itself."""
    code = country_code.strip()
    if not code or WITH_CODE.match(value):
        return value
    return f"+{code} {value}" if code.isdigit() else f"{code} {value}"


def _e164(number: str) -> str | None:
    """The number without a trunk prefix, as in ``+44 (0)20``; None if its country has no numbers of this length."""
    import phonenumbers  # noqa: PLC0415 - only what is not plainly E.164 pays for it

    if not E164.fullmatch(number):
        return None
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    code = f"+{parsed.country_code}"
    national = number.removeprefix(code)
    zeros = len(national) - len(national.lstrip("0"))
    literal = phonenumbers.PhoneNumber(parsed.country_code, int(national))
    literal.italian_leading_zero, literal.number_of_leading_zeros = (True, zeros) if zeros else (None, None)
    if (shorter := phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)) == number:
        reason = phonenumbers.is_possible_number_with_reason(literal)
        return number if reason == phonenumbers.ValidationResult.IS_POSSIBLE else None
    if phonenumbers.is_valid_number(literal):
        return number
    region = phonenumbers.region_code_for_number(parsed) or ""
    trunk = phonenumbers.ndd_prefix_for_region(region, strip_non_digits=True)
    dropped = trunk and national.startswith(trunk) and shorter == code + national.removeprefix(trunk)
    return shorter if dropped and phonenumbers.is_valid_number(parsed) and _e164(shorter) == shorter else None


# -- what may be shown

IN_ADDRESS = r"[^\s<>()\"',;:=/\[\]{}]"
# It begins where a word begins: looking from every letter of a long word would take hours.
EMAILS = re.compile(rf"(?:(?<!{IN_ADDRESS}){IN_ADDRESS}+|\"[^\"\n]{{1,100}}\")(?:@|\uff20|%40){IN_ADDRESS}+")
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
EXTENSION = r"(?:[ ;]?(?:extension|extn|ext|x)[.:=]? ?\d{1,9})"
PHONES = re.compile(
    rf"(?P<uuid>{UUID})|(?<![\w-])\+?\d[\d \u00a0\u2000-\u200a\u202f\u2010-\u2015()./-]{{6,30}}\d{EXTENSION}?(?![\w-])",
    re.IGNORECASE,
)
SHOWN_DOMAIN = re.compile(r"(?=.{1,254}\Z)[\w-]+(?:\.[\w-]+)*\.?")


def mask(value: str) -> str:
    """Mask a value so that only people who know it recognise it: ``j***@example.com``, ``+1***43``."""
    local, at, domain = value.rpartition("@")
    if at and SHOWN_DOMAIN.fullmatch(domain):
        return f"{_printable(local[:1])}***@{domain}"
    if len(value) < 6:
        return "***"
    return f"{_printable(value[:2])}***{_printable(value[-2:])}"


def _printable(text: str) -> str:
    """The text with a question mark for everything that cannot be printed or that would steer a terminal."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def scrub(text: str) -> str:
    """Mask every address and phone number in a text."""
    masked = EMAILS.sub(lambda found: mask(found.group()), text)
    return PHONES.sub(lambda found: found["uuid"] or mask(found.group()), masked)


class _Compared:
    """A place for what an identifier is compared by, which is worked out once; it is no field of the identifier."""

    __slots__ = ("_compared_by",)
    _compared_by: tuple[str, str, str]


# Every identifier needs these once; to look them up, and to set what is frozen, takes as long as all the rest.
EMAIL_KIND, PHONE_KIND = IdentifierKind.EMAIL, IdentifierKind.PHONE
keep_compared_by: Callable[[_Compared, tuple[str, str, str]], None] = vars(_Compared)["_compared_by"].__set__


@frozen(eq=False, repr=False, weakref_slot=False)
class Identifier(_Compared):
    """A value that a contact is known by, such as an e-mail address.

    Two identifiers are equal when their kind (and, for `IdentifierKind.OTHER`, their key) and normal form are equal;
    ``primary`` and ``label`` do not count.

    Attributes:
        kind: The kind.
        value: As the vendor stores it, or as the caller wrote it.
        primary: Whether the vendor marks it as the primary one of its kind.
        label: A label of the vendor or its user, such as ``work``.
        key: The vendor's own name of the kind; always set for `IdentifierKind.OTHER`.
        country_code: The calling code of a phone number that is stored as a national number, such as ``+1``.
    """

    kind: IdentifierKind
    value: str
    primary: bool = False
    label: str = ""
    key: str = ""
    country_code: str = field(default="")

    @classmethod
    def email(cls, value: str) -> Identifier:
        """Make an e-mail address."""
        return cls(IdentifierKind.EMAIL, value)

    @classmethod
    def phone(cls, value: str, country_code: str = "") -> Identifier:
        """Make a phone number, preferably in E.164, or from a national number and its country code."""
        return cls(IdentifierKind.PHONE, value, country_code=country_code)

    @classmethod
    def external_id(cls, value: str) -> Identifier:
        """Make an id that the caller's own system gave to the contact."""
        return cls(IdentifierKind.EXTERNAL_ID, value)

    @classmethod
    def anonymous_id(cls, value: str) -> Identifier:
        """Make an id that was given to a visitor before the contact was known."""
        return cls(IdentifierKind.ANONYMOUS_ID, value)

    @classmethod
    def other(cls, key: str, value: str) -> Identifier:
        """Make an identifier of another kind, with the vendor's own name for the kind."""
        return cls(IdentifierKind.OTHER, value, key=key)

    @property
    def normal(self) -> str:
        """The normal form: used for comparison, and for writing to a vendor other than the one it came from."""
        return self.compared_by[2]

    @property
    def certain(self) -> bool:
        """Whether the value is clearly one address or one number. Ids are certain unless they are empty.

        A value that is not certain equals only the same text. Do not write it to a vendor as an address or a number.
        """
        match self.kind:
            case IdentifierKind.EMAIL:
                return certain_email(self.value) is not None
            case IdentifierKind.PHONE:
                return certain_phone(self.value, self.country_code) is not None
            case _:
                return bool(self.value)

    @property
    def masked(self) -> str:
        """The kind and the masked value, for logs and progress."""
        handle = self.kind is not IdentifierKind.EMAIL and self.value.startswith("@")  # not a domain
        return f"{self.key or self.kind.value}:{mask(self.value.lstrip('@') if handle else self.normal)}"

    @property
    def compared_by(self) -> tuple[str, str, str]:
        """What two equal identifiers have in common: the kind, the key of `IdentifierKind.OTHER`, the normal form."""
        known: tuple[str, str, str] | None = getattr(self, "_compared_by", None)
        if known is None:
            kind = self.kind
            if kind is EMAIL_KIND:
                known = ("email", "", normal_email(self.value))
            elif kind is PHONE_KIND:
                known = ("phone", "", normal_phone(self.value, self.country_code))
            else:
                known = (kind.value, self.key if kind is IdentifierKind.OTHER else "", self.value)
            keep_compared_by(self, known)
        return known

    def __eq__(self, other: object) -> bool:
        """Compare by kind and normal form."""
        if not isinstance(other, Identifier):
            return NotImplemented
        kind = self.kind
        if kind is not other.kind:
            return False
        if kind is not IdentifierKind.OTHER and self.value == other.value and self.country_code == other.country_code:
            return True  # the usual case, where no normal form is needed
        return self.compared_by == other.compared_by

    def __hash__(self) -> int:
        """Hash the kind and the normal form."""
        try:  # without a call of the property: this is what look-ups spend their time on
            return hash(self._compared_by)
        except AttributeError:
            return hash(self.compared_by)

    def __repr__(self) -> str:
        """Show the masked value only: identifiers are personal data."""
        return f"Identifier({self.masked}{', primary' if self.primary else ''})"
