"""What SQLite has no function for: conditions on values that JSON or SQLite hold in another form than Python."""

from __future__ import annotations

import sqlite3
from functools import lru_cache

from contacts_core.models import Contact, CustomValue
from contacts_core.query import Compare, Op
from contacts_local import mapping

__all__ = ["register"]


def register(db: sqlite3.Connection) -> None:
    """Make the functions known to a connection.

    ``contacts_matches(value, kind, op, target)`` compares a value, of a kind as ``json_each`` names it, with a target
    that `mapping.target_text` wrote, as the portable query does. ``contacts_lower(text)`` is lower case beyond ASCII.
    """
    db.create_function("contacts_matches", 4, _matches, deterministic=True)
    db.create_function("contacts_lower", 1, str.lower, deterministic=True)


def _matches(value: str | float, kind: str, op: str, target: str) -> bool:
    known: CustomValue = value
    if kind in {"true", "false"}:
        known = bool(value)
    elif kind == "object":
        known = mapping.custom_value(str(value))
    return Compare("custom", Op(op), _target(target), "value").matches(Contact(custom={"value": known}))


@lru_cache(maxsize=64)
def _target(text: str) -> mapping.Target:
    value = mapping.custom_value(text)
    assert value is not None
    assert not isinstance(value, tuple)
    return value
