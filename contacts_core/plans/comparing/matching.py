"""Which contact of a target is which contact of a source: by their identifiers, in little memory.

Contacts and identifiers are the nodes of a graph, and a contact is linked to each of its identifiers. A connected part
of it with exactly one contact of the source and at most one of the target is a match, or a contact that the target
lacks. Every other part with a contact of the source is held: nobody can tell from identifiers who is who there, and
people must not be merged by a guess.

So a contact matches if its only neighbour is a contact of the target, whose only neighbour it is; neighbours are
contacts that share an identifier. That takes no walk through the graph: sorting the links by identifier shows all
neighbours, and SQLite sorts them on disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, IntEnum

from attrs import frozen

from contacts_core.models import Identifier, IdentifierKind
from contacts_core.plans.rows import key_of
from contacts_core.storage.spool import Spool

__all__ = ["Hold", "Match", "Matching", "Side", "compared_identifiers"]

LINKS = """
    CREATE TABLE links (key TEXT NOT NULL, side INTEGER NOT NULL, n INTEGER NOT NULL);
    CREATE TABLE pairs (source INTEGER NOT NULL, target INTEGER NOT NULL, key TEXT NOT NULL,
        PRIMARY KEY (source, target)) WITHOUT ROWID;
    -- Identifiers that several contacts of one side share.
    CREATE TABLE crowded (key TEXT PRIMARY KEY, sources INTEGER NOT NULL, targets INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE held (n INTEGER PRIMARY KEY, hold TEXT NOT NULL, key TEXT NOT NULL);
    -- Contacts of the target that share an identifier with one of the source.
    CREATE TABLE touched (n INTEGER PRIMARY KEY);
"""
OF_EACH = "FROM (SELECT DISTINCT key, side, n FROM links ORDER BY key, side, n) GROUP BY key HAVING"
STEPS = (
    "CREATE INDEX links_by_key ON links (key, side, n)",
    f"""INSERT OR IGNORE INTO pairs
        SELECT max(CASE side WHEN 0 THEN n END), max(CASE side WHEN 1 THEN n END), key
        {OF_EACH} count(*) = 2 AND sum(side) = 1""",
    f"""INSERT INTO crowded SELECT key, count(*) - sum(side), sum(side)
        {OF_EACH} count(*) - sum(side) > 1 OR sum(side) > 1""",
    "CREATE INDEX pairs_by_target ON pairs (target, source)",
    """INSERT OR IGNORE INTO touched SELECT target FROM pairs""",
    """INSERT OR IGNORE INTO touched
        SELECT l.n FROM crowded c JOIN links l ON l.key = c.key WHERE l.side = 1 AND c.sources > 0""",
    # In the order of what explains most.
    """INSERT OR IGNORE INTO held
        SELECT l.n, 'SHARED_IN_SOURCE', c.key FROM crowded c JOIN links l ON l.key = c.key
        WHERE l.side = 0 AND c.sources > 1""",
    """INSERT OR IGNORE INTO held
        SELECT l.n, 'SEVERAL_IN_TARGET', c.key FROM crowded c JOIN links l ON l.key = c.key
        WHERE l.side = 0 AND c.targets > 1""",
    """INSERT OR IGNORE INTO held
        SELECT source, 'SEVERAL_IN_TARGET', max(key) FROM pairs GROUP BY source HAVING count(*) > 1""",
    """INSERT OR IGNORE INTO held
        SELECT source, 'SEVERAL_IN_SOURCE', key FROM pairs
        WHERE target IN (SELECT target FROM pairs GROUP BY target HAVING count(*) > 1)""",
    """INSERT OR IGNORE INTO held
        SELECT p.source, CASE WHEN c.sources > 0 THEN 'SEVERAL_IN_SOURCE' ELSE 'SHARED_IN_TARGET' END, p.key
        FROM crowded c JOIN links l ON l.key = c.key JOIN pairs p ON p.target = l.n
        WHERE l.side = 1 ORDER BY c.sources = 0""",
    "DELETE FROM pairs WHERE source IN (SELECT n FROM held)",
)


class Side(IntEnum):
    """Where a contact comes from."""

    SOURCE = 0
    TARGET = 1


class Hold(Enum):
    """Why a contact of the source is held: neither written nor compared."""

    SHARED_IN_SOURCE = "it shares an identifier with another contact of the source"
    SEVERAL_IN_TARGET = "it has identifiers of several contacts of the target"
    SEVERAL_IN_SOURCE = "another contact of the source matches the same contact of the target"
    SHARED_IN_TARGET = "it matches a contact of the target that shares an identifier with another one there"
    NO_IDENTIFIER = "it has no identifier to compare by"
    NOT_LOOKED_UP = "the target can look none of its identifiers up"
    SHOWN_TWICE = "the source showed it twice, and not the same"


@frozen
class Match:
    """What is known of a contact of the source.

    Attributes:
        target: The number of the contact of the target that it matches; None if there is none.
        hold: Why it is held; None if it is not.
        identifier: The identifier that is the reason for it, if there is one.
    """

    target: int | None = None
    hold: Hold | None = None
    identifier: Identifier | None = None

    @property
    def reason(self) -> str:
        """Why it is held, in words, with the identifier masked; empty if it is not."""
        if self.hold is None:
            return ""
        return f"{self.hold.value} ({self.identifier.masked})" if self.identifier else self.hold.value


def compared_identifiers(identifiers: Iterable[Identifier]) -> Sequence[Identifier]:
    """Return the identifiers that a contact is compared by, each once; blank ones are none.

    Text that is no address and no number, such as ``n/a``, counts only for a contact that has nothing better: many
    people share it. The vendors' own ids of contacts are not identifiers.
    """
    given = [each for each in dict.fromkeys(identifiers) if each.value.strip()]
    return [each for each in given if _tells(each)] or given


def _tells(identifier: Identifier) -> bool:
    match identifier.kind:
        case IdentifierKind.EMAIL:
            return "@" in identifier.normal
        case IdentifierKind.PHONE:
            return identifier.normal.startswith("+")
        case _:
            return True


class Matching:
    """Contacts of two sides, numbered, and which of them match.

    Add all contacts, `settle` once, then ask.
    """

    schema = LINKS

    def __init__(self, spool: Spool | None = None) -> None:
        """Begin without contacts; a ``spool`` that is given has the tables of ``schema`` already."""
        self._spool = spool or Spool(self.schema)

    def add(self, side: Side, contacts: Iterable[tuple[int, Iterable[Identifier]]]) -> None:
        """Add contacts of one side: the number of each, and its identifiers."""
        rows = [(key_of(each), int(side), n) for n, given in contacts for each in compared_identifiers(given)]
        self._spool.write("INSERT INTO links VALUES (?, ?, ?)", rows)

    def hold(self, contacts: Iterable[int], hold: Hold) -> None:
        """Hold contacts of the source for another reason, before `settle`."""
        self._spool.write("INSERT OR IGNORE INTO held VALUES (?, ?, '')", [(n, hold.name) for n in contacts])

    def settle(self) -> None:
        """Find the matches, after the last contact was added."""
        for step in STEPS:
            self._spool.write(step, [()])

    def of(self, number: int) -> Match:
        """Return what is known of a contact of the source."""
        if held := self._spool.one("SELECT hold, key FROM held WHERE n = ?", number):
            name, key = held
            return Match(hold=Hold[name], identifier=_identifier(key) if key else None)
        found = self._spool.one("SELECT target FROM pairs WHERE source = ?", number)
        return Match(target=int(found[0])) if found else Match()

    def has(self, identifier: Identifier) -> bool:
        """Return whether any contact of either side has an identifier."""
        return self._spool.one("SELECT 1 FROM links WHERE key = ?", key_of(identifier)) is not None

    def is_touched(self, number: int) -> bool:
        """Return whether a contact of the target shares an identifier with one of the source."""
        return self._spool.one("SELECT 1 FROM touched WHERE n = ?", number) is not None

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield the numbers of the contacts that match, in the order of the source."""
        query = "SELECT source, source, target FROM pairs WHERE source > ? ORDER BY source LIMIT ?"
        return ((int(source), int(target)) for source, target in self._spool.each(query))


def _identifier(key: str) -> Identifier:
    kind, name, normal = json.loads(key)
    return Identifier(IdentifierKind(kind), normal, key=name)
