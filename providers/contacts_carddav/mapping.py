"""Between vCards (RFC 2426 and 6350) and contacts.

A card is kept as the lines it was read in. A change replaces, adds or removes single lines; all others go back as they
stood, in their order, with their spelling: photos, labels, and properties that nobody here knows. icalendar does the
grammar below a line: what is quoted, escaped and folded.
"""

from __future__ import annotations

import quopri
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, cast

from attrs import evolve, frozen

from contacts_carddav.payloads import CARD_TEXT, ETAG, MODIFIED, PropFilter, Resource, needed
from contacts_core.errors import InvalidInput, UnexpectedPayload
from contacts_core.models import (
    Address,
    Contact,
    ContactList,
    FieldDefinition,
    FieldType,
    Identifier,
    IdentifierKind,
    LossCode,
    Preview,
)
from contacts_core.provider import Fitting, moment
from contacts_core.query import And, Compare, Op, Or, Query

NAME = "carddav"
PROPERTIES = {"EMAIL": IdentifierKind.EMAIL, "TEL": IdentifierKind.PHONE, "IMPP": IdentifierKind.OTHER}
GROUP_KINDS = ("KIND", "X-ADDRESSBOOKSERVER-KIND")  # RFC 6350, and what vCard 3 has instead
MEMBERS = ("MEMBER", "X-ADDRESSBOOKSERVER-MEMBER")
CATEGORY = "category:"  # what the id of a list begins with that is a category
WITHOUT_UID = "href:"  # what the id of a contact begins with whose card has no UID
TECHNICAL = ("X-AB", "X-ADDRESSBOOKSERVER-")  # labels and groups: they belong to other lines
MAPPED = {"BEGIN", "END", "VERSION", "UID", "FN", "N", "ADR", "ORG", "TITLE", "CATEGORIES", "CREATED", *PROPERTIES}
NAME_PARTS = {"last_name": 0, "first_name": 1}  # where a field stands in its property
ADDRESS_PARTS = {
    "address.line2": 1,
    "address.line1": 2,
    "address.city": 3,
    "address.region": 4,
    "address.postal_code": 5,
    "address.country": 6,
}
BINARY = {"PHOTO", "LOGO", "SOUND", "KEY"}  # in ``extra["vcard"]`` only: each may be megabytes
TEXTS = ("first_name", "last_name", "full_name", "organization", "title")
NO_LABEL = {"internet", "pref", "voice", "x400"}
UNRANKED = 101  # PREF is 1 to 100

NEWLINE = re.compile(r"\r\n?")
PROPERTY = re.compile(r"[A-Za-z0-9_-]+")
FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
CUSTOM = re.compile(r"[a-z0-9-]+")
IDENTIFYING = re.compile(r"(?:[\w-]+\.)?(?:EMAIL|TEL|IMPP)\b", re.IGNORECASE)
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # what XML cannot hold
PART = re.compile(r"((?:[^;\\]|\\.?)*);", re.DOTALL)  # of a structured value, as it is spelled
PLAIN = re.compile(r"[A-Za-z0-9 '@_.-]+")  # neither escaped in a card nor folded differently by any collation
QUERIED = {
    "first_name": "N",
    "last_name": "N",
    "full_name": "FN",
    "organization": "ORG",
    "title": "TITLE",
    "tag": "CATEGORIES",
    "email": "EMAIL",
    "city": "ADR",
    "region": "ADR",
    "postal_code": "ADR",
    "country": "ADR",
}


@cache
def _grammar() -> Any:
    return needed("icalendar.parser")


@frozen
class Line:
    """One property of a card.

    Attributes:
        raw: As it stands in the card, folded, without the last line break.
        head: All before the colon, unfolded.
        name: In upper case; empty if the line cannot be read.
        group: Such as ``item1``, in lower case; lines of one group belong together.
        params: Names in upper case, each with one value.
        value: All after the colon, unfolded and still escaped.
    """

    raw: str
    head: str = ""
    name: str = ""
    group: str = ""
    params: tuple[tuple[str, str], ...] = ()
    value: str = ""

    @property
    def text(self) -> str:
        """The value as text."""
        text: str = _grammar().unescape_backslash(self.value)
        return text

    def texts(self, name: str) -> list[str]:
        """Return the values of a parameter, in lower case."""
        return [part.strip().lower() for key, value in self.params if key == name for part in value.split(",")]


@frozen
class Card:
    """One vCard of an address book.

    Attributes:
        href: Where it is.
        etag: Its version, as the server spells it; empty if the server does not tell.
        lines: Its lines, ``BEGIN`` and ``END`` included.
        modified: When it was last changed, as the server says it; may be empty.
    """

    href: str
    etag: str
    lines: tuple[Line, ...]
    modified: str = ""

    def all(self, *names: str) -> list[Line]:
        """Return the lines of these properties that have a value."""
        return [line for line in self.lines if line.name in names and line.value.strip()]

    def first(self, name: str) -> str:
        """Return the text of the first line of a property; empty if there is none."""
        return next((line.text for line in self.all(name)), "")

    @property
    def uid(self) -> str:
        """Its UID, or its place where it has none: the id of the contact or list."""
        return self.first("UID").strip() or f"{WITHOUT_UID}{self.href}"

    @property
    def is_group(self) -> bool:
        """Whether it is a list of contacts and not a contact."""
        return any(line.text.strip().lower() == "group" for line in self.all(*GROUP_KINDS))

    @property
    def is_version_4(self) -> bool:
        """Whether it is a vCard 4."""
        return self.first("VERSION").strip() == "4.0"

    @property
    def text(self) -> str:
        """The card as it is sent."""
        return "".join(line.raw.replace("\n", "\r\n") + "\r\n" for line in self.lines)


# -- reading cards


def card(resource: Resource) -> Card:
    """Return the card of a resource.

    Raises:
        UnexpectedPayload: It has no card, or not one whole card; the message names its place and its UID.
    """
    return Card(
        resource.href, resource.text(ETAG), lines(resource.text(CARD_TEXT), resource.href), resource.text(MODIFIED)
    )


def lines(text: str, where: str) -> tuple[Line, ...]:
    """Split a card into its lines.

    Args:
        text: The card.
        where: Its place, for the error.

    Raises:
        UnexpectedPayload: It is not one whole card.
    """
    found: list[list[str]] = []
    for part in NEWLINE.sub("\n", text).removeprefix("\ufeff").split("\n"):
        if found and (part[:1] in {" ", "\t"} or _continues(found[-1])):
            found[-1].append(part)
        elif part.strip():
            found.append([part])
    read = tuple(_line(parts) for parts in found)
    ends = [(line.name, line.value.strip().upper()) for line in read if line.name in {"BEGIN", "END"}]
    whole = ends == [("BEGIN", "VCARD"), ("END", "VCARD")] and read[0].name == "BEGIN" and read[-1].name == "END"
    if not whole:
        named = next((f", UID {line.value.strip()}" for line in read if line.name == "UID"), "")
        problem = "holds several vCards" if len(ends) > 2 else "is not a whole vCard"
        error = UnexpectedPayload(f"the resource {where}{named} {problem}", provider=NAME)
        error.unclear = False
        raise error
    return read


def _continues(parts: Sequence[str]) -> bool:
    """Whether a line of vCard 2.1 goes on: it ends with the soft line break of quoted-printable."""
    return parts[-1].endswith("=") and "QUOTED-PRINTABLE" in parts[0].partition(":")[0].upper()


def _line(parts: Sequence[str]) -> Line:
    raw = "\n".join(parts)
    soft = _continues(parts[:1])
    text = raw.replace("=\n", "") if soft else parts[0] + "".join(part[1:] for part in parts[1:])
    at = _grammar().Contentline(text).value_separator_index() if '"' in text else text.find(":")
    if at < 1:
        return Line(raw)
    head, value = text[:at], text[at + 1 :]
    first, *rest = _grammar().q_split(head, ";")
    group, _, name = first.strip().rpartition(".")
    if not PROPERTY.fullmatch(name):
        return Line(raw)
    params = tuple(pair for each in rest for pair in _params(each))
    if "quoted-printable" in [value.lower() for key, value in params if key == "ENCODING"]:
        charset = next((value for key, value in params if key == "CHARSET"), "utf-8")
        value = _decoded(value, charset)
    return Line(raw, head, name.upper(), group.lower(), params, value)


def _params(text: str) -> Iterable[tuple[str, str]]:
    """Return the values of one parameter; vCard 2.1 leaves its name out."""
    name, equals, values = text.partition("=")
    if not equals:
        encoding = name.upper() in {"QUOTED-PRINTABLE", "BASE64", "8BIT", "7BIT"}
        return [("ENCODING" if encoding else "TYPE", name)]
    unescaped: Callable[[str], str] = _grammar().rfc_6868_unescape
    return [(name.strip().upper(), unescaped(value.strip().strip('"'))) for value in _grammar().q_split(values, ",")]


def _decoded(value: str, charset: str) -> str:
    """Return a quoted-printable value as it would stand in vCard 3: line breaks escaped."""
    try:
        text = quopri.decodestring(value.encode()).decode(charset, errors="replace")
    except LookupError:
        return value
    return NEWLINE.sub("\n", text).replace("\n", "\\n")


# -- contacts


def contact(found: Card, lists: Mapping[str, Sequence[str]] | None) -> Contact:
    """Return a contact.

    ``extra`` holds the other properties by their names, the card's place as ``href``, its version as ``etag``, and the
    whole card as ``vcard``. ``extra["unread"]`` counts lines that look like identifiers and cannot be read.

    Args:
        found: The card.
        lists: Ids of the lists of each member; see `memberships`. None if they are not known.
    """
    names = _parts(found, "N", 5)
    categories = tags(found)
    extra = _extra(found)
    updated = _http_date(found.modified)
    on_lists = None if lists is None else (*lists.get(member_key(found.uid), ()), *map(CATEGORY.__add__, categories))
    return Contact(
        provider=NAME,
        id=found.uid,
        identifiers=identifiers(found),
        first_name=names[1] or None,
        last_name=names[0] or None,
        full_name=found.first("FN") or None,
        address=address(found),
        organization=_parts(found, "ORG", 1)[0] or None,
        title=found.first("TITLE") or None,
        lists=on_lists,
        tags=tuple(categories),
        custom=custom(found),
        created_at=moment(found.first("CREATED"), extra, "CREATED"),
        updated_at=moment(updated, extra, "getlastmodified") or moment(found.first("REV")),
        extra=extra,
    )


def _http_date(text: str) -> str:
    try:
        return parsedate_to_datetime(text).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return text


def identifiers(found: Card) -> tuple[Identifier, ...]:
    """Return the e-mail addresses, phone numbers and handles of a card, the preferred ones first."""
    shown: list[Identifier] = []
    for name in PROPERTIES:
        of_kind = found.all(name)
        best = min(of_kind, key=_rank, default=None)
        shown += [_identifier(found, each, primary=each is best and _rank(each) < UNRANKED) for each in of_kind]
    return (*(i for i in shown if i.primary), *(i for i in shown if not i.primary))


def _identifier(found: Card, line: Line, *, primary: bool = False) -> Identifier:
    kind = PROPERTIES[line.name]
    key = line.name if kind is IdentifierKind.OTHER else ""
    return Identifier(kind, line.text.strip(), primary=primary, label=_label(found, line), key=key)


def _rank(line: Line) -> int:
    """Return how much a line is preferred, 1 the most: by PREF of vCard 4, or TYPE=PREF of vCard 3."""
    ranks = [int(text) for text in line.texts("PREF") if text.isascii() and text.isdigit() and len(text) < 4]
    return min([*ranks, 1 if "pref" in line.texts("TYPE") else UNRANKED])


def _label(found: Card, line: Line) -> str:
    named = (each.text for each in found.all("X-ABLABEL") if line.group and each.group == line.group)
    own = next(named, "").removeprefix("_$!<").removesuffix(">!$_")
    return own or next((text for text in line.texts("TYPE") if text not in NO_LABEL), "")


def _parts(found: Card, name: str, count: int) -> list[str]:
    """Return the parts of the first line of a structured property, as many as it may have."""
    first = next(iter(sorted(found.all(name), key=_rank)), None)
    parts: list[str] = _grammar().split_on_unescaped_semicolon(first.value) if first else []
    return [*(part.strip() for part in parts), *[""] * count][: max(count, len(parts))]


def address(found: Card) -> Address | None:
    """Return the preferred postal address; the others are in ``extra``."""
    best = next(iter(sorted(found.all("ADR"), key=_rank)), None)
    if best is None:
        return None
    _, line2, line1, city, region, code, country, *_ = _parts(found, "ADR", 7)
    label = next((value for key, value in best.params if key == "LABEL"), "")
    return Address(line1, line2, city, region, code, country, label)


def tags(found: Card) -> list[str]:
    """Return the categories of a card."""
    split: Callable[[str], list[str]] = _grammar().split_on_unescaped_comma
    named = (part.strip() for line in found.all("CATEGORIES") for part in split(line.value))
    return list(dict.fromkeys(part for part in named if part))


def custom(found: Card) -> dict[str, Any]:
    """Return the X- properties: ``X-SCORE`` is ``score``; several lines of one are a tuple."""
    values: dict[str, Any] = {}
    for line in found.lines:
        if line.name.startswith("X-") and not line.name.startswith(TECHNICAL):
            name = line.name[2:].lower()
            values[name] = (*_several(values[name]), line.text) if name in values else line.text
    return values


def _several(value: Any) -> tuple[Any, ...]:
    return cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,)


def _extra(found: Card) -> dict[str, Any]:
    extra: dict[str, Any] = {"href": found.href, "etag": found.etag, "vcard": found.text}
    texts: dict[str, list[str]] = {}
    for line in found.lines:
        shown = line.name and line.name not in MAPPED | BINARY and not line.name.startswith("X-")
        if shown and line.value.strip():
            texts.setdefault(line.name, []).append(line.text)
    extra.update((name, several[0] if len(several) == 1 else several) for name, several in texts.items())
    for name, parts in (("N", 2), ("ORG", 1)):
        if any(_parts(found, name, parts)[parts:]):
            extra[name] = _parts(found, name, parts)
    addresses = found.all("ADR")
    if len(addresses) > 1 or any(_parts(found, "ADR", 1)[:1]):
        extra["ADR"] = [line.text for line in addresses]
    if unread := unreadable(found):
        extra["unread"] = unread
    return extra


def unreadable(found: Card) -> int:
    """Return how many lines look like identifiers and cannot be read."""
    return sum(1 for line in found.lines if not line.name and IDENTIFYING.match(line.raw))


# -- lists


def member_key(text: str) -> str:
    """Return a UID as members are compared: without the ``urn:uuid:`` that some write before it."""
    text = text.strip()
    return text[9:] if text[:9].lower() == "urn:uuid:" else text


def members(group: Card) -> list[str]:
    """Return the UIDs of a group's members."""
    return [member_key(line.text) for line in group.all(*MEMBERS)]


def memberships(groups: Iterable[Card]) -> dict[str, list[str]]:
    """Return the ids of the groups that each UID is a member of."""
    of: dict[str, list[str]] = {}
    for group in groups:
        for uid in dict.fromkeys(members(group)):
            of.setdefault(uid, []).append(group.uid)
    return of


def contact_list(group: Card) -> ContactList:
    """Return the list of a group's card."""
    return ContactList(provider=NAME, id=group.uid, name=group.first("FN"), extra={"href": group.href})


def category(name: str) -> ContactList:
    """Return the list of a category."""
    return ContactList(provider=NAME, id=CATEGORY + name, name=name)


def category_name(list_id: str) -> str:
    """Return the category that a list's id stands for; empty for a group."""
    return list_id.removeprefix(CATEGORY) if list_id.startswith(CATEGORY) else ""


def custom_field(name: str) -> FieldDefinition:
    """Return the definition of an X- property."""
    return FieldDefinition(provider=NAME, id=f"X-{name.upper()}", name=name, type=FieldType.TEXT)


# -- changing cards


def with_members(group: Card, uids: Iterable[str]) -> Card | None:
    """Return the group with these members as well; None if it has them all."""
    present = set(members(group))
    name = MEMBERS[0] if group.is_version_4 else MEMBERS[1]
    new = dict.fromkeys(member_key(uid) for uid in uids)
    return _appended(group, [_made(name, f"urn:uuid:{uid}", escape=False) for uid in new if uid not in present])


def without_members(group: Card, uids: Iterable[str]) -> Card | None:
    """Return the group without these members; None if it has none of them."""
    gone = {member_key(uid) for uid in uids}
    return _kept(group, lambda line: line.name not in MEMBERS or member_key(line.text) not in gone)


def with_tags(found: Card, wanted: Iterable[str]) -> Card | None:
    """Return the card with these categories as well; None if it has them all."""
    present = tags(found)
    new = [name for name in dict.fromkeys(wanted) if name not in present]
    if not new:
        return None
    first = next(iter(found.all("CATEGORIES")), None)
    values = ",".join(map(_escaped, new))
    if first is None:
        return _appended(found, [_made("CATEGORIES", values, escape=False)])
    return _replaced(found, first, _changed(first, f"{first.value},{values}"))


def without_tag(found: Card, unwanted: str) -> Card | None:
    """Return the card without this category; None if it does not have it."""
    if unwanted not in tags(found):
        return None
    split: Callable[[str], list[str]] = _grammar().split_on_unescaped_comma
    changed: list[Line] = []
    for line in found.lines:
        names = split(line.value) if line.name == "CATEGORIES" else []
        rest = [name for name in names if name.strip() != unwanted]
        if len(rest) == len(names):
            changed.append(line)
        elif rest:
            changed.append(_changed(line, ",".join(map(_escaped, rest))))
    return evolve(found, lines=tuple(changed))


def without(found: Card, unwanted: Identifier) -> Card | None:
    """Return the card without this identifier, and without the label of its line; None if it does not have it."""
    gone = [line for line in found.all(*PROPERTIES) if _identifier(found, line) == unwanted]
    others = {line.group for line in found.lines if line not in gone and line.name != "X-ABLABEL"}
    groups = {line.group for line in gone} - others
    return _kept(found, lambda line: line not in gone and not (line.name == "X-ABLABEL" and line.group in groups))


def new_card(uid: str, href: str, *names: str) -> Card:
    """Return a new vCard 3, which every server takes; ``names`` are the further lines, such as the kind."""
    head = ["BEGIN:VCARD", "VERSION:3.0", _made("UID", uid).raw, *names, "END:VCARD"]
    return Card(href, "", lines("\n".join(head), href))


def blank(wanted: Contact, uid: str, book: str) -> Card:
    """Return the card that a new contact is written into: one that was read elsewhere whole, otherwise an empty one.

    Args:
        wanted: The contact; one that was read from an address book keeps its UID and all of its card.
        uid: The UID of a contact without one.
        book: Address of the book; the file has the UID as its name, if that is a plain one.
    """
    own = wanted.id if wanted.provider == NAME and not wanted.id.startswith(WITHOUT_UID) else ""
    name = own if own and FILE_NAME.fullmatch(own) else uid
    href = f"{book.rstrip('/')}/{name}.vcf"
    read = wanted.extra.get("vcard") if wanted.provider == NAME else None
    if isinstance(read, str) and (whole := Card(href, "", lines(read, href))).uid == own:
        return whole
    return new_card(own or uid, href)


def new_group(uid: str, href: str, name: str) -> Card:
    """Return the card of a new, empty list."""
    made = [_made("FN", name), _made("N", f"{_escaped(name)};;;;", escape=False), _made(GROUP_KINDS[1], "group")]
    return new_card(uid, href, *(line.raw for line in made))


def preview(contact: Contact) -> Preview:
    """Return what an address book holds of a contact."""
    fitting = Fitting(contact)
    _fit_texts(fitting)
    fitting.keep_identifiers(_problem)
    if fitting.get("address.formatted") and contact.provider != NAME:
        if len(fitting.names("address")) > 1:
            fitting.drop("address.formatted", LossCode.NO_PLACE, "an address of parts has no other text")
        else:
            formatted = fitting.get("address.formatted")
            fitting.drop("address.formatted", LossCode.RESPELLED, "it becomes the street")
            fitting.set("address.line1", formatted)
    for name in fitting.names("custom"):
        if not is_custom(name.removeprefix("custom.")):
            fitting.drop(name, LossCode.NO_PLACE, "such a name cannot be that of a property: a-z, 0-9 and - can")
        else:
            _fit_custom(fitting, name)
    if contact.provider != NAME:
        fitting.drop("extra", LossCode.NO_PLACE)
    full = fitting.get("full_name") or " ".join(filter(None, map(fitting.get, ("first_name", "last_name"))))
    own = contact.lists or ()
    categories = [name for each in own if (name := category_name(each))]
    shown = tuple(dict.fromkeys([*(fitting.get("tags") or ()), *categories]))
    lists = tuple(dict.fromkeys([*own, *map(CATEGORY.__add__, shown)]))
    return fitting.preview(full_name=full or None, tags=shown, lists=lists)


def _fit_texts(fitting: Fitting) -> None:
    """Leave out texts that no card can hold, and spell the others as cards do."""
    for name in (*TEXTS, *fitting.names("address")):
        if isinstance(text := fitting.get(name), str):
            _fit_text(fitting, name, text)
    if tags := fitting.get("tags"):
        kept = tuple(dict.fromkeys(each for tag in tags if (each := _spelled(tag)) and not CONTROL.search(each)))
        if not kept:
            fitting.drop("tags", LossCode.REFUSED, "a card cannot hold them")
        elif set(kept) != set(tags):
            fitting.replace("tags", kept, LossCode.RESPELLED, "without blanks around them, and without controls")


def _fit_text(fitting: Fitting, name: str, text: str) -> None:
    spelled = _spelled(text)
    if CONTROL.search(text) or not spelled:
        fitting.drop(name, LossCode.REFUSED, "it is blank, or holds control characters")
    elif spelled != text:
        fitting.replace(name, spelled, LossCode.RESPELLED, "without blanks around it, and with plain line breaks")


def _spelled(text: str) -> str:
    return NEWLINE.sub("\n", text).strip()


def _fit_custom(fitting: Fitting, name: str) -> None:
    value = fitting.get(name)
    texts = tuple(NEWLINE.sub("\n", _plain(each)) for each in _several(value))
    if any(CONTROL.search(each) or not each.strip() for each in texts):
        fitting.drop(name, LossCode.REFUSED, "it is blank, or holds control characters")
    elif len(texts) == 1:
        if value != texts[0]:
            code = LossCode.RESPELLED if isinstance(value, str) else LossCode.RETYPED
            fitting.replace(name, texts[0], code, "a card holds texts")
    elif texts != value:
        fitting.replace(name, texts, LossCode.RESPELLED, "with plain line breaks")


def is_custom(name: str) -> bool:
    """Return whether a custom field of this name can be an X- property."""
    return bool(CUSTOM.fullmatch(name)) and not f"X-{name.upper()}".startswith(TECHNICAL)


def _problem(identifier: Identifier) -> tuple[LossCode, str] | None:
    """Return why a card does not keep an identifier; None if it does."""
    if property_of(identifier) is None:
        return LossCode.NO_PLACE, "a card has e-mail addresses, phone numbers and IMPP only"
    value = identifier.normal
    if CONTROL.search(value) or NEWLINE.sub("\n", value).strip() != value or not value:
        return LossCode.REFUSED, "it is blank, or holds control characters"
    return None


def property_of(identifier: Identifier) -> str | None:
    """Return the property that holds an identifier; None if there is none."""
    if identifier.kind is IdentifierKind.OTHER:
        return identifier.key if identifier.key in PROPERTIES else None
    return next((name for name, kind in PROPERTIES.items() if kind is identifier.kind), None)


def written(before: Card, wanted: Contact, categories: Iterable[str], *, new: bool) -> Card:
    """Return the card with the values of a contact that fits, from `preview`.

    Names, title, organization, address and custom fields are overwritten where the contact has them; identifiers and
    categories are added. Nothing is removed.

    Args:
        before: The card as it is.
        wanted: The contact.
        categories: Categories to add besides the contact's tags.
        new: Whether the card is new, so that the name has to be made.

    Raises:
        InvalidInput: A value cannot stand in a card, or the card is a vCard 2.1, whose lines are written differently.
    """
    _check_version(before)
    after = _named(before, wanted, new=new)
    if wanted.organization:
        after = _structured(after, "ORG", {0: wanted.organization}, 1)
    if wanted.title:
        after = _set(after, "TITLE", [wanted.title])
    if wanted.address:
        after = _placed(after, wanted.address)
    for name, value in wanted.custom.items():
        texts = [_plain(each) for each in _several(value) if each is not None]
        if texts and is_custom(name):
            after = _set(after, f"X-{name.upper()}", texts)
    after = with_tags(after, [*wanted.tags, *categories]) or after
    after = _identified(after, wanted)
    _check_text(after)
    return after


def with_changes(before: Card, texts: Mapping[str, str | None], custom: Mapping[str, Any]) -> Card:
    """Return the card with fields set and cleared; a full name that is made of the other names follows them.

    Args:
        before: The card as it is.
        texts: Fields by their shared names; None clears one.
        custom: Custom fields by name; None clears one.

    Raises:
        InvalidInput: A value or a custom field cannot stand in a card, or the card is neither vCard 3 nor vCard 4.
    """
    _check_version(before)
    after = before
    for name, place, count in (("N", NAME_PARTS, 5), ("ADR", ADDRESS_PARTS, 7), ("ORG", {"organization": 0}, 1)):
        if parts := {at: texts[field] or "" for field, at in place.items() if field in texts}:
            after = _with_parts(after, name, parts, count)
    if not texts.keys().isdisjoint(NAME_PARTS) and before.first("FN") in _spellings(before):
        first, last = (_parts(after, "N", 5)[at] for at in (1, 0))
        after = _set(after, "FN", [f"{first} {last}".strip() or next((i.value for i in identifiers(before)), "?")])
    for field, name in (("full_name", "FN"), ("title", "TITLE")):
        if field in texts:
            after = _with_text(after, name, texts[field])
    for key, value in custom.items():
        name = f"X-{key.upper()}"
        if not is_custom(key):
            raise InvalidInput(f"no card can have the custom field {key!r}", hint="use a-z, 0-9 and - in its name")
        after = _with_text(after, name, *(None if each is None else _plain(each) for each in _several(value)))
    _check_text(after)
    return after


def _with_parts(before: Card, name: str, parts: Mapping[int, str], count: int) -> Card:
    """Return the card with parts of a structured property set or emptied; nothing is left of one without any part."""
    if any(parts.values()):
        return _structured(before, name, parts, count)
    after = before
    while after.all(name) and (again := _structured(after, name, parts, count)) is not after:
        after = again  # of several lines, the next one takes the place of an empty one
    if name != "N" and not any(line.value.strip("; ") for line in after.all(name)):
        after = _kept(after, lambda line: line.name != name) or after
    return after


def _with_text(before: Card, name: str, *texts: str | None) -> Card:
    """Return the card with these values of a property, or without the property."""
    given = [text for text in texts if text is not None]
    return _set(before, name, given) if given else _kept(before, lambda line: line.name != name) or before


def _check_version(card: Card) -> None:
    if not (card.is_version_4 or card.first("VERSION").strip() == "3.0"):
        raise InvalidInput("the card is neither vCard 3 nor vCard 4; it can be deleted, but not written")


def _check_text(card: Card) -> None:
    if CONTROL.search(card.text):
        raise InvalidInput("a value holds control characters, which no card may have")


def _spellings(card: Card) -> set[str]:
    """Return how the full name of a card is spelled that is made of its first and last name."""
    names = _parts(card, "N", 5)
    return {" ".join(filter(None, pair)) for pair in ((names[1], names[0]), (names[0], names[1]))} | {""}


def _named(before: Card, wanted: Contact, *, new: bool) -> Card:
    old = _parts(before, "N", 5)
    names = {0: (wanted.last_name or "").strip(), 1: (wanted.first_name or "").strip()}  # a blank one clears nothing
    after = _structured(before, "N", {at: text for at, text in names.items() if text or new}, 5)
    full = wanted.full_name
    if not full and (names[0] or names[1]) and before.first("FN") in _spellings(before):  # it says the old name
        first, last = names[1] or old[1], names[0] or old[0]
        full = f"{first} {last}".strip()
    if not full and not before.first("FN"):
        full = wanted.display_id or "?"  # FN is required
    return _set(after, "FN", [full]) if full else after


def _placed(before: Card, wanted: Address) -> Card:
    parts = {
        1: wanted.line2,
        2: wanted.line1,
        3: wanted.city,
        4: wanted.region,
        5: wanted.postal_code,
        6: wanted.country,
    }
    given = {at: text for at, text in parts.items() if text}
    if not given and wanted.formatted and wanted != address(before):
        given = {2: wanted.formatted}
    return _structured(before, "ADR", given, 7)


def _identified(before: Card, wanted: Contact) -> Card:
    present = set(identifiers(before))
    ranked = {name for name in PROPERTIES if any(_rank(line) < UNRANKED for line in before.all(name))}
    added: list[Line] = []
    for each in wanted.identifiers:
        name = property_of(each)
        if name and each not in present:
            present.add(each)
            added.append(_identifier_line(name, each, version_4=before.is_version_4, first=name not in ranked))
            ranked |= {name} if each.primary else set()
    return _appended(before, added) or before


def _identifier_line(name: str, wanted: Identifier, *, version_4: bool, first: bool) -> Line:
    label = wanted.label.lower()
    types = [label] if CUSTOM.fullmatch(label) else []
    uri = version_4 and name == "TEL" and wanted.certain
    params = [*(["VALUE=uri"] if uri else []), *(f"TYPE={each}" for each in types)]
    if wanted.primary and first:
        params.append("PREF=1" if version_4 else "TYPE=pref")
    value = f"tel:{wanted.normal}" if uri else wanted.normal
    return _made(";".join([name, *params]), value, escape=not uri)


def _structured(before: Card, name: str, changes: Mapping[int, str], count: int) -> Card:
    """Return the card with some parts of a structured property set; the others stay as they are spelled."""
    old = _parts(before, name, count)
    if all(old[at] == text.strip() for at, text in changes.items()) and (before.all(name) or not changes):
        return before
    line = next(iter(sorted(before.all(name), key=_rank)), None)
    raw = PART.findall(f"{line.value};") if line else []
    raw = [*raw, *[""] * count][: max(count, len(raw))]
    for at, text in changes.items():
        raw[at] = raw[at] if old[at] == text.strip() else _escaped(text)
    value = ";".join(raw)
    if line is None:
        return _appended(before, [_made(name, value, escape=False)]) or before
    return _replaced(before, line, _changed(line, value))


def _set(before: Card, name: str, texts: Sequence[str]) -> Card:
    """Return the card with these values of a property, the first of them with the parameters of the present one."""
    present = [line for line in before.lines if line.name == name]
    if [line.text for line in present] == list(texts):
        return before
    if not present or len(texts) > 1 or (len(present) > 1 and name.startswith("X-")):
        rest = _kept(before, lambda line: line.name != name) or before
        return _appended(rest, [_made(name, text) for text in texts]) or rest
    if present[0].text == texts[0]:
        return before
    return _replaced(before, present[0], _changed(present[0], _escaped(texts[0])))


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


def _escaped(text: str) -> str:
    """Return text as a value (RFC 6350, section 3.4); as a part of one, it is no more and no less."""
    text = NEWLINE.sub("\n", text).replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace(",", "\\,").replace(";", "\\;")


def _made(head: str, value: str, *, escape: bool = True) -> Line:
    text = f"{head}:{_escaped(value) if escape else value}"
    folded: bytes = _grammar().Contentline(text).to_ical()
    return _line(folded.decode().replace("\r\n", "\n").split("\n"))


def _changed(line: Line, value: str) -> Line:
    """Return the line with another value, and with its group and parameters, without those of an encoded value."""
    first, *params = _grammar().q_split(line.head, ";")
    kept = [text for text in params if not _is_encoding(text)]
    return _made(";".join([first, *kept]), value, escape=False)


def _is_encoding(param: str) -> bool:
    """Whether a parameter says how vCard 2.1 encodes the value; vCard 3 and 4 are in UTF-8, and escape it."""
    return any(
        key == "CHARSET" or (key, value.lower()) == ("ENCODING", "quoted-printable") for key, value in _params(param)
    )


def _appended(before: Card, added: Sequence[Line]) -> Card | None:
    """Return the card with further lines before its end; None without any."""
    return evolve(before, lines=(*before.lines[:-1], *added, before.lines[-1])) if added else None


def _kept(before: Card, keep: Callable[[Line], bool]) -> Card | None:
    """Return the card with the lines to keep; None if those are all."""
    rest = tuple(line for line in before.lines if keep(line))
    return evolve(before, lines=rest) if len(rest) < len(before.lines) else None


def _replaced(before: Card, line: Line, by: Line) -> Card:
    return evolve(before, lines=tuple(by if each is line else each for each in before.lines))


# -- queries


def translated(query: Query) -> tuple[bool, list[PropFilter]] | None:
    """Return conditions that match all that the query matches, and more; None if there are none.

    A text is looked for anywhere in a property, in any case of letters. Texts that a card may spell in several ways,
    such as with other letters than those of ASCII, are left to the core.

    Returns:
        Whether every condition must hold, and the conditions.
    """
    match query:
        case And(parts):
            known = [each for part in parts if (each := _condition(part))]
            return (True, known) if known else None
        case Or(parts) if parts:
            several = [_condition(part) for part in parts]
            return (False, [each for each in several if each]) if all(several) else None
        case _:
            one = _condition(query)
            return (True, [one]) if one else None


def _condition(query: Query) -> PropFilter | None:
    match query:
        case Compare("email", Op.EQ, str(value)):
            text = value.rpartition("@")[0]
        case Compare(field, Op.EQ | Op.STARTSWITH | Op.ENDSWITH | Op.CONTAINS, str(value)) if field != "email":
            text = value
        case _:
            return None
    name = (
        f"X-{query.key.upper()}"
        if query.field == "custom" and CUSTOM.fullmatch(query.key)
        else QUERIED.get(query.field)
    )
    if not name or name.startswith(TECHNICAL) or text != text.strip() or not PLAIN.fullmatch(text):
        return None
    return name, "contains", text
