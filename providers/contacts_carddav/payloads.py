"""The XML of WebDAV (RFC 4918, 6578) and CardDAV (RFC 6352), as requests have it and as answers say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, tostring

from attrs import frozen

from contacts_core.errors import ConfigurationError, UnexpectedPayload

if TYPE_CHECKING:
    from types import ModuleType

DAV = "{DAV:}"
CARD = "{urn:ietf:params:xml:ns:carddav}"
ETAG, CARD_TEXT, MODIFIED = f"{DAV}getetag", f"{CARD}address-data", f"{DAV}getlastmodified"
TYPE, TITLE, BOOK = f"{DAV}resourcetype", f"{DAV}displayname", f"{CARD}addressbook"
PRINCIPAL, HOME = f"{DAV}current-user-principal", f"{CARD}addressbook-home-set"
COLLECTION = f"{DAV}collection"
FOUND, GONE, TRUNCATED = 200, (404, 410), 507

PropFilter = tuple[str, str, str]
"""Property, kind of match (``equals``, ``contains``) and text; with an empty match it only has to be there."""


@frozen
class Resource:
    """One ``response`` of an answer.

    Attributes:
        href: Its path or address, percent-encoded, as the server spells it.
        status: HTTP status of the whole resource; 200 where each property has its own.
        properties: The properties that were found; those with another status than 200 are left out.
    """

    href: str
    status: int
    properties: Mapping[str, Element]

    @property
    def texts(self) -> dict[str, str]:
        """The texts of its properties."""
        return {name: self.text(name) for name in self.properties}

    def text(self, name: str) -> str:
        """Return the text of a property; empty if it was not found."""
        found = self.properties.get(name)
        return "" if found is None else (found.text or "").strip()

    def has(self, name: str, inner: str) -> bool:
        """Return whether a property holds this element."""
        found = self.properties.get(name)
        return found is not None and found.find(inner) is not None

    def hrefs(self, name: str) -> list[str]:
        """Return the addresses in a property."""
        found = self.properties.get(name)
        texts = [] if found is None else [(each.text or "").strip() for each in found.iter(f"{DAV}href")]
        return [text for text in texts if text]


@frozen
class Multistatus:
    """An answer about several resources, with the token for the next ``sync-collection``, if there is one."""

    resources: tuple[Resource, ...]
    sync_token: str = ""


def multistatus(raw: bytes) -> Multistatus:
    """Read an answer. A document type is refused before anything in it is expanded.

    Raises:
        UnexpectedPayload: It is no well-formed ``multistatus``, or it has a document type.
    """
    parser = needed("defusedxml.ElementTree")
    try:
        root: Element = parser.fromstring(raw, forbid_dtd=True)
    except (parser.ParseError, ValueError, LookupError) as error:  # what defusedxml forbids is a ValueError
        raise UnexpectedPayload(f"the answer is not the XML it should be ({type(error).__name__})") from None
    if root.tag != f"{DAV}multistatus":
        raise UnexpectedPayload("the answer is not a multistatus")
    resources = tuple(_resource(each) for each in root.findall(f"{DAV}response"))
    return Multistatus(resources, (root.findtext(f"{DAV}sync-token") or "").strip())


def _resource(response: Element) -> Resource:
    properties: dict[str, Element] = {}
    for propstat in response.findall(f"{DAV}propstat"):
        if _status(propstat) == FOUND:
            properties.update((each.tag, each) for each in propstat.iterfind(f"{DAV}prop/*"))
    href = (response.findtext(f"{DAV}href") or "").strip()
    if not href:
        raise UnexpectedPayload("the answer has a resource without an href")
    return Resource(href, _status(response), properties)


def _status(element: Element) -> int:
    """Return the status in ``HTTP/1.1 200 OK``; 200 where there is none, 0 where it cannot be read."""
    line = element.findtext(f"{DAV}status")
    if line is None:
        return FOUND
    _, _, rest = line.strip().partition(" ")
    code = rest[:3]
    return int(code) if code.isascii() and code.isdigit() else 0


# -- requests


def propfind(names: Iterable[str]) -> bytes:
    """Ask for these properties."""
    root = Element(f"{DAV}propfind")
    _add_names(root, names)
    return _encoded(root)


def multiget(hrefs: Iterable[str]) -> bytes:
    """Ask for these cards."""
    root = Element(f"{CARD}addressbook-multiget")
    _add_names(root, (ETAG, MODIFIED, CARD_TEXT))
    for href in hrefs:
        SubElement(root, f"{DAV}href").text = href
    return _encoded(root)


def query(filters: Iterable[PropFilter], *, every: bool = False) -> bytes:
    """Ask for the cards that meet any of these conditions, or every one."""
    root = Element(f"{CARD}addressbook-query")
    _add_names(root, (ETAG, MODIFIED, CARD_TEXT))
    where = SubElement(root, f"{CARD}filter", test="allof" if every else "anyof")
    for name, match, text in filters:
        condition = SubElement(where, f"{CARD}prop-filter", name=name)
        if match:
            said = {"collation": "i;unicode-casemap", "match-type": match}
            SubElement(condition, f"{CARD}text-match", said).text = text
    return _encoded(root)


def sync(token: str) -> bytes:
    """Ask for what changed since a token; for everything without one."""
    root = Element(f"{DAV}sync-collection")
    SubElement(root, f"{DAV}sync-token").text = token
    SubElement(root, f"{DAV}sync-level").text = "1"
    _add_names(root, (ETAG,))
    return _encoded(root)


def _add_names(root: Element, names: Iterable[str]) -> None:
    wanted = SubElement(root, f"{DAV}prop")
    for name in names:
        _ = SubElement(wanted, name)


def _encoded(root: Element) -> bytes:
    encoded: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return encoded


def needed(module: str) -> ModuleType:
    """Import a module of the extra ``carddav`` when it is needed.

    Raises:
        ConfigurationError: It is not installed.
    """
    from importlib import import_module  # noqa: PLC0415 - as the module itself

    try:
        return import_module(module)
    except ImportError:
        hint = "pip install 'contacts-core[carddav]'"
        raise ConfigurationError("CardDAV needs the extra carddav", hint=hint) from None
