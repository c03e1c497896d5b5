"""Single requests that the caller makes up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from contacts_core.errors import InvalidInput, UnsupportedOperation
from contacts_core.provider import Flow, Provider, Request

IDEMPOTENT = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}  # RFC 9110, section 9.2.2


def request(provider: Provider, method: str, path: str, params: Mapping[str, str] | None, json: Any) -> Flow[Any]:
    """Send one request as it is, with authorization, retries and pacing.

    Args:
        provider: The account's provider.
        method: HTTP method, in any case.
        path: The path as the vendor documents it, or without the provider's `path_prefix`.
        params: Query parameters, not yet encoded.
        json: Body, as plain data.

    Returns:
        The answer as plain data.

    Raises:
        InvalidInput: The path leads elsewhere.
        UnsupportedOperation: The provider does not use HTTP.
    """
    if not provider.base_url:
        raise UnsupportedOperation(f"{provider.name} does not use HTTP, so there is nothing to send a request to")
    _check_path(path)
    verb = method.upper()
    below = path.removeprefix(provider.path_prefix())
    return (yield from Request(verb, below, object, params, json, idempotent=verb in IDEMPOTENT))


def _check_path(path: str) -> None:
    segments = re.split(r"[/?#]", unquote(path)) if "." in path or "%" in path else ()
    if not path.startswith("/") or path.startswith("//") or "\\" in path or ".." in segments or not path.isprintable():
        raise InvalidInput(
            "the path must be relative to the provider's base URL", hint="begin it with one slash, leave out '..'"
        )
