"""What keys look like, so that a vendor's answer that repeats one does not put it into an error or a log."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable

__all__ = ["add_secret_patterns", "add_secret_values", "redact", "secret_words"]

AUTHORIZATION = r"\b(?:bearer|basic)\s+\S+"  # the two schemes of RFC 6750 and RFC 7617

SCHEME = re.compile(r"[A-Za-z0-9-]+ +")  # that a value of Authorization begins with
WORD = re.compile(r"""(?:^|(?<=[\s,;="]))[^\s,;="]+(?==*(?:$|[\s,;"]))""")  # not the name in ``name=value``
SHORTEST_VALUE = 8  # characters; what is shorter would be taken out of ordinary words
_values: deque[str] = deque(maxlen=100)  # the keys that vendors gave out last; older ones have expired
_patterns: dict[str, re.Pattern[str]] = {AUTHORIZATION: re.compile(AUTHORIZATION, re.IGNORECASE)}


def add_secret_patterns(patterns: Iterable[str]) -> None:
    """Redact text that matches these regular expressions from now on, in upper or lower case.

    Raises:
        re.error: A pattern is not a regular expression.
    """
    _patterns.update((pattern, re.compile(pattern, re.IGNORECASE)) for pattern in patterns)


def add_secret_values(values: Iterable[str]) -> None:
    """Redact these texts from now on: keys that a vendor gave out for a while."""
    _values.extend(value for value in values if len(value) >= SHORTEST_VALUE and value not in _values)


def secret_words(value: str) -> list[str]:
    """Return what to redact for the value of a header: all of it, and each key in it, as ``name=key; …`` holds them."""
    words = [value, *WORD.findall(SCHEME.sub("", value, count=1))]
    return [word for word in dict.fromkeys(words) if len(word) >= SHORTEST_VALUE]


def redact(text: str) -> str:
    """Return the text with everything that is, or looks like, a key of a known provider replaced by ``***``."""
    for value in tuple(_values):
        text = text.replace(value, "***")
    for pattern in tuple(_patterns.values()):
        text = pattern.sub("***", text)
    return text
