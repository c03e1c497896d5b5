"""Statements of consent in the file, each with all its details; none is ever changed."""

# There are no flows here, and most statements have no result.
# pyright: reportUnusedCallResult=false

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from contacts_core.models import (
    Channel,
    Consent,
    ConsentReason,
    ConsentState,
    Coverage,
    Identifier,
    IdentifierKind,
    Outcome,
    Page,
)
from contacts_core.provider import done
from contacts_local import mapping
from contacts_local.payloads import encode

NEVER = -(2**63)  # the date of an undated statement: NULL would differ from itself in a unique index
COLUMNS = "kind, key, value, country_code, channel, state, reason, scope, coverage, at, evidence"
IN_JSON = "(SELECT value FROM json_each(?))"


def page(db: sqlite3.Connection, after: int, size: int) -> Page[Consent]:
    """Read statements in the order in which they were written."""
    rows = db.execute(f"SELECT n, {COLUMNS} FROM consent WHERE n > ? ORDER BY n LIMIT ?", [after, size]).fetchall()
    return Page([_statement(*row[1:]) for row in rows], str(rows[-1][0]) if len(rows) == size else None)


def find(db: sqlite3.Connection, identifiers: Sequence[Identifier]) -> list[tuple[Identifier, Consent]]:
    """Look up statements by the normal form of identifiers of any kind."""
    wanted = {(*_kind(each), each.normal): each for each in identifiers}
    found: list[tuple[Identifier, Consent]] = []
    for kind, key in dict.fromkeys((kind, key) for kind, key, _ in wanted):
        normals = [each[2] for each in wanted if each[:2] == (kind, key)]
        rows = db.execute(
            f"SELECT normal, {COLUMNS} FROM consent WHERE kind = ? AND key = ? AND normal IN {IN_JSON} ORDER BY n",
            [kind, key, encode(normals).decode()],
        )
        found += [(wanted[kind, key, row[0]], _statement(*row[1:])) for row in rows]
    return found


def write(db: sqlite3.Connection, statements: Sequence[Consent]) -> Outcome:
    """Add statements; one that is there already, in every detail, is not added again."""
    db.executemany(
        f"INSERT OR IGNORE INTO consent (normal, {COLUMNS}) VALUES ({', '.join('?' * 12)})",
        [
            (
                each.identifier.normal,
                *_kind(each.identifier),
                each.identifier.value,
                each.identifier.country_code,
                each.channel.value,
                each.state.value,
                each.reason.value if each.reason else "",
                each.scope,
                each.coverage.value,
                mapping.microseconds(each.at) if each.at else NEVER,
                each.evidence,
            )
            for each in statements
        ],
    )
    return done(each.identifier.value for each in statements)


def _kind(identifier: Identifier) -> tuple[str, str]:
    return identifier.kind.value, identifier.key if identifier.kind is IdentifierKind.OTHER else ""


def _statement(
    kind: str,
    key: str,
    value: str,
    country_code: str,
    channel: str,
    state: str,
    reason: str,
    scope: str,
    coverage: str,
    at: int,
    evidence: str,
) -> Consent:
    return Consent(
        Identifier(IdentifierKind(kind), value, key=key, country_code=country_code),
        Channel(channel),
        ConsentState(state),
        reason=ConsentReason(reason) if reason else None,
        scope=scope,
        coverage=Coverage(coverage),
        at=None if at == NEVER else mapping.moment(at),
        evidence=evidence,
        provider=mapping.NAME,
    )
