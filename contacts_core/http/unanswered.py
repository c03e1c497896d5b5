"""Why no answer came, in words: the type of the error underneath says more than that of the HTTP client's own."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import cast

__all__ = ["why"]

USUAL = "check the network and base_url; if the request was sent, the vendor may have carried it out"


def why(cause: BaseException) -> tuple[str, str]:
    """Return what happened and what to do about it; never the cause's own text, for it may hold the address.

    Args:
        cause: What the HTTP client raised, with the errors that it came from.
    """
    for error in _chain(cause):
        match error:
            case socket.gaierror():
                return "the host name could not be resolved (DNS)", "check the host in base_url, and the network"
            case ConnectionRefusedError():
                return (
                    "the connection was refused",
                    "check host and port in base_url; nothing listens there",
                )
            case ssl.SSLCertVerificationError():
                hint = "check the host in base_url; for a certificate authority of your own, set SSL_CERT_FILE"
                return f"the server's TLS certificate is not trusted (code {error.verify_code})", hint
            case ssl.SSLError():
                return "the TLS handshake failed", "check whether base_url begins with https:// where it should"
            case _:
                continue
    return f"no complete answer ({type(cause).__name__})", USUAL


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it came from, the members of groups included."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", each).exceptions
        waiting += (each.__cause__, each.__context__)
