"""Cassettes: what is recorded, what is left out, and what may never be in one."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import vcr  # pyright: ignore[reportMissingTypeStubs] - it ships types of its own, in part
import yaml

__all__ = ["impurities", "playing", "recording"]

MATCH_ON = ("method", "scheme", "host", "port", "path", "query", "body")  # vcrpy's default leaves the body out
REQUEST_HEADERS = {"accept", "content-type"}
RESPONSE_HEADERS = {"content-type", "retry-after", "location"}
ADDRESS = re.compile(rb"[A-Za-z0-9._%+-]+(?:@|%40)([A-Za-z0-9.-]+\.[A-Za-z]{2,})")
RESERVED = re.compile(rb"(?:.*\.)?(?:example(?:\.(?:com|org|net))?|test|invalid|localhost)", re.IGNORECASE)


class Annotated:
    """vcrpy's YAML with a first line that says where the recording comes from."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def serialize(self, cassette: Any) -> str:
        """Write."""
        return f"# {self._origin}\n{yaml.safe_dump(cassette, allow_unicode=True, width=120)}"

    def deserialize(self, text: str) -> Any:
        """Read, in C where that is there: a cassette is read in every test that plays it."""
        return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506


@contextmanager
def recording(path: Path, origin: str, replace: Mapping[str, str]) -> Generator[None, None, None]:
    """Record a new cassette over the old one.

    Args:
        path: The cassette.
        origin: The line that says where it comes from.
        replace: Texts to write otherwise: the emulator's address becomes the vendor's, keys and ids become samples.
    """
    path.unlink(missing_ok=True)
    recorder = _vcr(origin)
    recorder.before_record_request = _request_scrubber(replace)
    recorder.before_record_response = _response_scrubber(replace)
    with recorder.use_cassette(str(path), record_mode="all", match_on=("uri",)):
        yield


@contextmanager
def playing(path: Path) -> Generator[Any, None, None]:
    """Answer from a cassette, whose every interaction must be asked for once."""
    recorder = _vcr("")
    recorder.before_record_request = _request_scrubber({})
    with recorder.use_cassette(str(path), record_mode="none", match_on=MATCH_ON) as cassette:
        yield cassette
    assert cassette.all_played, f"{path.name} holds {len(cassette) - cassette.play_count} unasked interactions"


def impurities(path: Path, secrets: Mapping[str, str]) -> list[str]:
    """What a cassette holds that it must not: a key, or an address outside the reserved example domains."""
    content = path.read_bytes()
    found = [f"the setting {name}" for name, value in secrets.items() if value and value.encode() in content]
    addresses = {match.group() for match in ADDRESS.finditer(content) if not RESERVED.fullmatch(match.group(1))}
    return found + [f"the address {unquote(address.decode())}" for address in sorted(addresses)]


def _vcr(origin: str) -> Any:
    recorder = vcr.VCR(serializer="annotated", decode_compressed_response=False)
    cast("Any", recorder).register_serializer("annotated", Annotated(origin))
    return recorder


def _request_scrubber(replace: Mapping[str, str]) -> Callable[[Any], Any]:
    def scrub(request: Any) -> Any:
        request.uri = _replaced(request.uri, replace)
        request.body = _replaced(request.body, replace)
        request.headers = {k: v for k, v in request.headers.items() if k.lower() in REQUEST_HEADERS}
        return request

    return scrub


def _response_scrubber(replace: Mapping[str, str]) -> Callable[[Any], Any]:
    def scrub(response: Any) -> Any:
        response["headers"] = {k: v for k, v in response["headers"].items() if k.lower() in RESPONSE_HEADERS}
        response["body"] = {"string": _replaced(response["body"]["string"], replace)}
        return response

    return scrub


def _replaced(content: Any, replace: Mapping[str, str]) -> Any:
    for old, new in replace.items():
        if isinstance(content, bytes):
            content = content.replace(old.encode(), new.encode())
        elif isinstance(content, str):
            content = content.replace(old, new)
    return content
