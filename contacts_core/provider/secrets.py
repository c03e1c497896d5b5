"""What keys look like, so that a vendor's answer that repeats one does not put it into an error or a log."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["add_secret_patterns", "redact"]

AUTHORIZATION = r"\b(?:bearer|basic)\s+\S+"  # the two schemes of RFC 6750 and RFC 7617

_patterns: dict[str, re.Pattern[str]] = {AUTHORIZATION: re.compile(AUTHORIZATION, re.IGNORECASE)}


def add_secret_patterns(patterns: Iterable[str]) -> None:
    """Redact text that matches these regular expressions from now on, in upper or lower case.

    Raises:
        re.error: A pattern is not a regular expression.
    """
    _patterns.update((pattern, re.compile(pattern, re.IGNORECASE)) for pattern in patterns)


def redact(text: str) -> str:
    """Return the text with everything that looks like a key of a known provider replaced by ``***``."""
    for pattern in tuple(_patterns.values()):
        text = pattern.sub("***", text)
    return text
