"""The requests of CardDAV, one function each (RFC 4918, 6352 and 6578), to absolute addresses as servers name them."""

from __future__ import annotations

from collections.abc import Iterable
from types import NoneType

from contacts_carddav import payloads
from contacts_carddav.mapping import Card
from contacts_carddav.payloads import Multistatus
from contacts_core.provider import Flow, Request, Response, request

PAGE = 100  # cards in one request
REDIRECTS = (301, 302, 303, 307, 308)
XML = {"Content-Type": "application/xml; charset=utf-8", "Accept": "application/xml, text/xml", "Depth": "0"}
VCARD = {"Content-Type": "text/vcard; charset=utf-8", "Accept": "*/*"}


def look(url: str, names: Iterable[str]) -> Flow[Response[bytes]]:
    """Read properties of a resource that may be elsewhere; a redirect is an answer."""
    asked = request("PROPFIND", url, bytes, content=payloads.propfind(names), headers=XML, statuses=(207, *REDIRECTS))
    return asked.response()


def propfind(url: str, names: Iterable[str]) -> Request[Multistatus]:
    """Read properties of a collection and of what is in it."""
    return _asked("PROPFIND", url, payloads.propfind(names), "1")


def report(url: str, body: bytes, depth: str = "1") -> Request[Multistatus]:
    """Ask an address book: a query, several cards, or what changed."""
    return _asked("REPORT", url, body, depth)


def create(url: str, card: Card) -> Request[None]:
    """Write a card where there is none."""
    return request("PUT", url, NoneType, content=card.text, headers=VCARD | {"If-None-Match": "*"})


def replace(url: str, card: Card) -> Request[None]:
    """Write a card over the version that it was made from."""
    return request("PUT", url, NoneType, content=card.text, headers=VCARD | {"If-Match": card.etag})


def delete(url: str, card: Card) -> Request[None]:
    """Delete this version of a card."""
    return request("DELETE", url, NoneType, headers={"Accept": "*/*", "If-Match": card.etag})


def _asked(method: str, url: str, body: bytes, depth: str) -> Request[Multistatus]:
    return request(method, url, Multistatus, content=body, headers=XML | {"Depth": depth}, statuses=[207])
