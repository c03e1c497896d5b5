"""Text that others wrote, made fit to be shown: on a terminal, in a log, in an error message."""

from __future__ import annotations

__all__ = ["printable"]


def printable(value: object, most: int | None = None) -> str:
    r"""Give the text of ``value`` without any character that could act on a terminal or forge a line of a log.

    White space (line breaks, tabs, no-break spaces) becomes a plain space. Everything else that is not printable
    becomes U+FFFD: C0 and C1 controls, terminal escapes, bidirectional and zero-width controls, lone surrogates.

    Args:
        value: Anything; what is not a text is shown as ``str`` shows it.
        most: Characters to keep, at most; None keeps all.
    """
    text = value if isinstance(value, str) else str(value)
    text = text if most is None else text[:most]
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)
