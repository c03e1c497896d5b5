"""Single requests that the caller makes up."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from contacts_core.errors import InvalidInput, UnexpectedPayload, UnsupportedOperation
from contacts_core.provider import Flow, Provider, Response
from contacts_core.provider import request as build
from contacts_core.provider.effects import Values, is_relative
from contacts_core.provider.payloads import body_text, is_web_page, raw_json

ANY = "application/json, */*;q=0.5"
BOM = b"\xef\xbb\xbf"


def request(provider: Provider, method: str, path: str, params: Values | None, json: Any, **body: Any) -> Flow[Any]:
    """Send one request as it is, with authorization, retries and pacing.

    Args:
        provider: The account's provider.
        method: HTTP method, in any case.
        path: The path as the vendor documents it, or without the provider's `path_prefix`.
        params: Query parameters, not yet encoded.
        json: Body, as plain data.
        **body: Another body and headers: ``form``, ``content`` and ``headers`` of a `Request`.

    Returns:
        JSON as plain data, any other text as `str`, the rest as `bytes`; None if the answer has no body.

    Raises:
        InvalidInput: The path leads elsewhere.
        UnexpectedPayload: The answer claims to be JSON, and is not.
        UnsupportedOperation: The provider does not use HTTP.
    """
    if not provider.base_url:
        raise UnsupportedOperation(f"{provider.name} does not use HTTP, so there is nothing to send a request to")
    _check_path(path)
    verb = method.upper()
    below = path.removeprefix(provider.path_prefix())
    below = below if is_relative(below) else path  # such as /apikeys, where the prefix is /api
    headers = dict(body.pop("headers", None) or {})
    if not any(name.lower() == "accept" for name in headers):
        headers["Accept"] = ANY
    asked = build(verb, below, bytes, params, json=json, headers=headers, statuses=range(206, 300), **body)
    response = yield from asked.response()
    try:
        return _plain(response)
    except UnexpectedPayload as error:
        error.provider, error.operation, error.status = provider.name, asked.operation, response.status
        if is_web_page(response.body):
            error.hint = "the answer is a web page: check the base URL, or a proxy in between"
        raise


def _plain(response: Response[bytes]) -> Any:
    content = response.body
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    says_json = kind.endswith("json")
    if says_json or not kind or content.lstrip()[:1] in {b"{", b"["}:
        try:
            return raw_json(content.removeprefix(BOM))
        except UnexpectedPayload:
            if says_json:
                raise
    try:
        return body_text(content, response.headers) or None
    except UnexpectedPayload:
        return content


def _check_path(path: str) -> None:
    segments = re.split(r"[/?#]", unquote(path)) if "." in path or "%" in path else ()
    if not path.startswith("/") or path.startswith("//") or "\\" in path or ".." in segments or not path.isprintable():
        raise InvalidInput(
            "the path must be relative to the provider's base URL", hint="begin it with one slash, leave out '..'"
        )
