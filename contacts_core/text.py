"""Text that others wrote, made fit to be shown: on a terminal, in a log, in an error message."""

from __future__ import annotations

__all__ = ["needs_extra", "printable"]


def needs_extra(what: str, missing: ModuleNotFoundError, extra: str) -> ModuleNotFoundError:
    """Return the error for an import that fails because an extra of this package is not installed.

    Args:
        what: What was imported, such as ``contacts_core.emulator``.
        missing: The error that says which module is not there.
        extra: The extra that brings it.
    """
    package = (missing.name or str(missing)).partition(".")[0]
    if package == __name__.partition(".")[0]:  # a part of this package itself: no extra brings it
        return missing
    return ModuleNotFoundError(f"{what} needs the package {package}: install contacts-core[{extra}]", name=package)


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
