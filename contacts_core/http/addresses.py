"""Which addresses a request may go to: keys over https only, and files at public addresses only."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from contacts_core.errors import ConfigurationError, InvalidInput, UnexpectedPayload

__all__ = [
    "check_target",
    "checked_base_url",
    "file_address",
    "is_loopback",
    "origin",
    "refuse_place",
    "request_headers",
    "upload_headers",
    "without",
]

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
MAX_HEADERS = 50
METHOD = HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # both are a token of RFC 9110
HEADER_VALUE = re.compile(r"(?! )[\x20-\x7e]{0,4000}(?<! )")
HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?|[0-9a-f:]+")  # a name in ASCII, or an IPv6 address
# They describe how a request is carried, or who sends it; the vendor must not set either.
CARRIAGE = r"connection|keep-alive|te|trailer|transfer-encoding|upgrade|host|content-length|expect"
FRAMING = re.compile(rf"(?i){CARRIAGE}")
NOT_FOR_UPLOADS = re.compile(rf"(?i){CARRIAGE}|authorization|cookie|proxy-.*|x-forwarded-.*|forwarded")


def checked_base_url(url: str, *, allow_plain_http: bool) -> tuple[str, str]:
    """Return scheme and host of the API's address, if keys may be sent to it.

    Raises:
        ConfigurationError: It cannot be read, holds a password, or is ``http://`` beyond this machine.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError("base_url cannot be read", hint="for example https://api.example.com") from None
    if "@" in parts.netloc:
        raise ConfigurationError("base_url holds a user name or password", hint="take out what stands before the @")
    if parts.scheme == "http" and not (allow_plain_http or is_loopback(host)):
        raise ConfigurationError(
            "base_url begins with http://, which would send the key unencrypted",
            hint="use https://, or set allow_plain_http = true in the account's http settings",
        )
    return parts.scheme, host


def is_loopback(host: str) -> bool:
    """Return whether a host can only be this machine."""
    address = _ip(host)
    return address.is_loopback if address else host.rstrip(".").lower() == "localhost"


def _ip(host: str) -> IPAddress | None:
    """Return the IP address that a host is, in any of the spellings that a resolver takes; None for a name."""
    text = host.strip("[]").partition("%")[0]
    try:
        address: IPAddress = ipaddress.ip_address(text)
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(text))
        except (OSError, ValueError):
            return None
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64 or 1 < int(address) < 1 << 32:  # the last is the deprecated ::192.0.2.1
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address, each in its normal form."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").rstrip("."), port


def refuse_place(host: str, *, local: bool) -> None:
    """Refuse a host where no vendor keeps files.

    Args:
        host: An address, or a name. Of names only ``localhost`` is known here; others are checked once connected.
        local: Whether private and loopback addresses are allowed; link-local ones never are.

    Raises:
        UnexpectedPayload: It is not public.
    """
    address = _ip(host)
    if address is None:
        refused = not local and (is_loopback(host) or host.rstrip(".").lower().endswith((".localhost", ".internal")))
    elif local:
        refused = address.is_link_local or address.is_multicast
    else:
        refused = not address.is_global or address.is_multicast
    if refused:
        raise UnexpectedPayload(
            "the vendor names a file at a place that is not public",
            hint="set allow_private_files = true in the account's http settings if that is right",
        )


def file_address(url: str, origin: str = "") -> str:
    """Check and return the address of a file, named by an answer or a redirect from ``origin``.

    Raises:
        UnexpectedPayload: It is neither http nor https, or leaves https.
    """
    scheme = url.partition(":")[0].lower()
    if scheme not in {"http", "https"}:
        raise UnexpectedPayload("the vendor names a file that is not at an http(s) address")
    if origin.lower().startswith("https:") and scheme != "https":
        raise UnexpectedPayload("the vendor names a file that would be carried unencrypted")
    return url


def request_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Check and return a request's own headers.

    Raises:
        InvalidInput: One has a name or a value that HTTP cannot carry, or is the business of the HTTP client.
    """
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value) or FRAMING.fullmatch(name):
            raise InvalidInput("a header has a name or a value that cannot be sent")
    return dict(headers)


def check_target(method: str, url: str) -> None:
    """Check what the first line of a request says.

    Raises:
        InvalidInput: The method is no token; or a client would leave out a part of the address, and send the request to
            another resource.
    """
    if not METHOD.fullmatch(method):
        raise InvalidInput("the method has characters that no method has")
    if "#" in url:
        raise InvalidInput("a # in a path is written %23")


def without(headers: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return headers without those of these names, in any case."""
    gone = {name.lower() for name in names}
    return {name: value for name, value in headers.items() if name.lower() not in gone}


def upload_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Check and return the headers that a vendor wants with an upload.

    Raises:
        UnexpectedPayload: One is not needed for an upload, contains invalid characters, or there are too many.
    """
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or NOT_FOR_UPLOADS.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
            raise UnexpectedPayload("the vendor wants a header with an upload that no upload needs")
    if len(headers) > MAX_HEADERS:
        raise UnexpectedPayload(f"the vendor wants more than {MAX_HEADERS} headers with an upload")
    return dict(headers)
