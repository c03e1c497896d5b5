"""Which contacts a plan is about: people, what was found of them, and why. Kept on disk, for any number of people."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import evolve, field, frozen

from contacts_core.errors import InvalidInput, PlanRefused
from contacts_core.models import Contact, Identifier, IdentifierKind
from contacts_core.models.identifiers import scrub
from contacts_core.plans.change import Change, DataSubject, Suggestion, Unasked
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.model import IdentifierExpansion, SafetyLimits
from contacts_core.plans.planning import lookup
from contacts_core.plans.planning.accounts import AccountFlows, PlanGenerator
from contacts_core.plans.rows import IDENTIFIERS, IdentifierTable, PlanRows, from_row, to_row
from contacts_core.provider import Provider, flows
from contacts_core.storage.spool import Spool

__all__ = ["PlanRequest", "Search", "complete_flows"]

EXPANDED_KINDS = (IdentifierKind.EMAIL, IdentifierKind.PHONE)
CHUNK_SIZE = 1000  # ids read together
SCHEMA = (
    IDENTIFIERS
    + """
    -- Whose an identifier is, and the contact that led to it if it was not given.
    CREATE TABLE leads (
        n INTEGER PRIMARY KEY, identifier INTEGER NOT NULL, person INTEGER NOT NULL, account TEXT, contact TEXT,
        UNIQUE (identifier, person)
    );
    CREATE INDEX leads_of_people ON leads (person);
    -- Contacts that were found, in this order, and by which identifier, or because their id was given.
    CREATE TABLE found (n INTEGER PRIMARY KEY, part INTEGER NOT NULL, contact TEXT NOT NULL, row NOT NULL,
        UNIQUE (part, contact));
    -- What the contacts of one round lead to.
    CREATE TABLE fresh (n INTEGER PRIMARY KEY, part INTEGER NOT NULL, row NOT NULL, person INTEGER NOT NULL,
        contact BLOB NOT NULL);
    CREATE TABLE hits (found INTEGER NOT NULL, identifier INTEGER NOT NULL, PRIMARY KEY (found, identifier));
    CREATE TABLE given (found INTEGER NOT NULL, person INTEGER NOT NULL, PRIMARY KEY (found, person));
    CREATE TABLE unasked (n INTEGER PRIMARY KEY, part INTEGER NOT NULL, identifier INTEGER NOT NULL,
        reason TEXT NOT NULL, UNIQUE (part, identifier));
"""
)


@frozen
class PlanRequest:
    """What to plan. ``people`` is iterated over once; for the last two see `Aftercare`."""

    kind: str
    people: Iterable[DataSubject]
    follow: IdentifierExpansion = IdentifierExpansion.NO
    list_id: str = ""
    limits: SafetyLimits = field(factory=SafetyLimits)
    keep_suppressions: bool = False
    mail_data: bool = False


@frozen
class Hit:
    """Why a contact was found: an identifier it has, and the contact that led to it if it was not given."""

    person: int
    identifier: Identifier
    account: str | None
    contact: str | None

    @property
    def reason(self) -> str:
        """The reason in words, with the identifier masked."""
        if self.account is None:
            return f"has {self.identifier.masked}, as asked"
        return f"has {self.identifier.masked}, as contact {self.contact} of {self.account} does"


class Search:
    """Searches the accounts, round by round, and keeps which contacts were found and why."""

    def __init__(self, request: PlanRequest, providers: Mapping[str, Provider]) -> None:
        """Take the people of the request.

        Raises:
            InvalidInput: There are none, or one has no identifier, or a blank one.
        """
        self._request, self._providers, self._kind = request, providers, kind_of(request.kind)
        self._parts = {name: n for n, name in enumerate(providers)}
        self._spool = Spool(SCHEMA)
        self._lock = threading.Lock()  # accounts are read at the same time
        self._known = IdentifierTable(spool=self._spool)
        self._leads = 0
        self._followed = 0  # leads from this number on are only suggestions
        self.asked = IdentifierTable()
        self.scanned: dict[str, int] = {}
        self.list_id = ""
        self._given = PlanRows()
        for number, person in enumerate(request.people, 1):
            self._add_person(number, person)
        self._given.flush()
        self._people = self._given.people
        if not self._people:
            raise InvalidInput("no people given", hint="pass at least one identifier")
        self._followed = self._leads

    def _add_person(self, number: int, person: DataSubject) -> None:
        if not (person.asked or person.contact):
            raise InvalidInput(f"person {number} has no identifier")
        if any(not identifier.value.strip() for identifier in person.asked):
            raise InvalidInput(f"an identifier of person {number} is blank")
        for name, provider in self._providers.items() if person.contact else ():
            if reason := provider.validate_id(person.contact):
                raise InvalidInput(f"not sent to {name}: {reason}", hint="pass the id as the vendor gave it")
        self._given.add_person(evolve(person, number=number))
        for identifier in person.asked:
            self.asked.add(identifier)
            self._add_lead(identifier, number, None, None)

    def _add_lead(self, identifier: Identifier, person: int, account: str | None, contact: str | None) -> None:
        index = self._known.add(identifier)
        if not self._is_lead(index, person):
            row = (self._leads, index, person, account, contact and json.dumps(contact))
            self._spool.write("INSERT INTO leads VALUES (?, ?, ?, ?, ?)", [row])
            self._leads += 1

    def _is_lead(self, index: int, person: int) -> bool:
        return self._spool.one("SELECT 1 FROM leads WHERE identifier = ? AND person = ?", index, person) is not None

    def rounds(self) -> PlanGenerator[None]:
        """Look up all identifiers, then the ones found on these contacts, as far as requested."""
        yield from self._read_given()
        fresh, further = self.asked, self._request.follow is not IdentifierExpansion.NO
        while len(fresh):
            first = self._leads
            scanned = yield complete_flows(
                {
                    name: lookup.search(provider, fresh, self._taker(name), control=True)
                    for name, provider in self._providers.items()
                }
            )
            self.scanned = dict(scanned)
            self._add_leads()
            if not further:
                break
            self._followed = self._leads
            query = "SELECT DISTINCT identifier FROM leads WHERE n >= ? AND n < ? ORDER BY n"
            indexes = (index for (index,) in self._spool.scan(query, first, self._leads))
            fresh = IdentifierTable(
                i for chunk in flows.chunks(indexes, CHUNK_SIZE) for i in self._known.at(chunk).values()
            )
            further = self._request.follow is IdentifierExpansion.ALL

    def _read_given(self) -> PlanGenerator[None]:
        """Read the contacts that are given by id."""
        given = (person for person in self._people if person.contact)
        for chunk in flows.chunks(given, CHUNK_SIZE):
            ids = [person.contact for person in chunk]
            reads = yield complete_flows({n: lookup.by_id(p, ids, control=True) for n, p in self._providers.items()})
            for name, read in reads.items():
                if read.unproven:
                    raise _unproven_error(name, read.unproven)
                for person in chunk:
                    if contact := read.contacts.get(person.contact):
                        found = self._add_found(name, contact)
                        self._spool.write("INSERT OR IGNORE INTO given VALUES (?, ?)", [(found, person.number)])

    def _taker(self, name: str) -> Any:
        def take(look_up: lookup.LookUp) -> None:
            with self._lock:
                self._check_answers(name, look_up)
                for identifier, contacts in look_up.found.matches.items():
                    for contact in contacts:
                        self._add_match(name, identifier, contact)

        return take

    def _check_answers(self, name: str, look_up: lookup.LookUp) -> None:
        """Refuse answers that are wrong or prove nothing, and keep what the vendor cannot look up."""
        provider = self._providers[name]
        if wrong := lookup.mismatch(look_up.found, provider.title or provider.name):
            raise PlanRefused(
                f"{name}: {wrong}, so contacts may be missing from the plan",
                hint="ask the vendor; no plan can be made from such answers",
            )
        for reason in look_up.unproven.values():
            raise _unproven_error(name, reason)
        for identifier, reason in look_up.found.unasked.items():
            row = (self._parts[name], self._known.find(identifier), scrub(reason))
            self._spool.write("INSERT OR IGNORE INTO unasked (part, identifier, reason) VALUES (?, ?, ?)", [row])

    def _add_match(self, name: str, identifier: Identifier, contact: Contact) -> None:
        """Keep that a contact was found by an identifier, and the identifiers that it leads to."""
        index, part = self._known.find(identifier), self._parts[name]
        found = self._add_found(name, contact)
        self._spool.write("INSERT OR IGNORE INTO hits VALUES (?, ?)", [(found, index)])
        leads = "SELECT person FROM leads WHERE identifier = ? AND n < ? ORDER BY n"
        people = [person for (person,) in self._spool.rows(leads, index, self._followed)]
        for further in contact.identifiers:
            if further.kind in EXPANDED_KINDS:
                other = Identifier(further.kind, further.normal)  # a form that every vendor takes
                row, index = to_row(other), self._known.find(other)
                rows = [
                    (part, row, person, contact.id.encode(errors="surrogatepass"))
                    for person in people
                    if index is None or not self._is_lead(index, person)
                ]
                self._spool.write("INSERT INTO fresh (part, row, person, contact) VALUES (?, ?, ?, ?)", rows)

    def _add_leads(self) -> None:
        """Add what the contacts of this round lead to, account by account: the plan does not depend on who was fast."""
        for name, part in self._parts.items():
            query = "SELECT n, row, person, contact FROM fresh WHERE part = ? AND n > ? ORDER BY n LIMIT ?"
            for row, person, contact in self._spool.each(query, part):
                self._add_lead(from_row(row, Identifier), person, name, contact.decode(errors="surrogatepass"))
        self._spool.write("DELETE FROM fresh", [()])

    def _add_found(self, name: str, contact: Contact) -> int:
        part, key = self._parts[name], json.dumps(contact.id)
        query = "SELECT n FROM found WHERE part = ? AND contact = ?"
        if (known := self._spool.one(query, part, key)) is None:
            change = Change(self._kind.changes_by.name, contact.id, contact.identifiers, (), "", list_id=self.list_id)
            self._spool.write("INSERT INTO found (part, contact, row) VALUES (?, ?, ?)", [(part, key, to_row(change))])
            known = self._spool.one(query, part, key)
        assert known is not None
        return int(known[0])

    # -- what was found, as the rows of a plan

    def rows(self) -> PlanRows:
        """Return the people, the changes and everything else that was found."""
        rows = PlanRows()
        for person in self._people:
            rows.add_person(evolve(person, followed=self._followed_of(person.number)))
        leads = "SELECT l.person, i.row, l.account, l.contact FROM leads l JOIN identifiers i ON i.n = l.identifier"
        for person, text, account, contact in self._spool.scan(
            f"{leads} WHERE l.n >= ? AND l.n < ? ORDER BY l.n", self._followed, self._leads
        ):
            rows.add_suggestion(Suggestion(person, from_row(text, Identifier), account, json.loads(contact)))
        for part in self._parts.values():
            for change in self._changes(part):
                rows.add_change(part, change)
            for text, reason in self._spool.each(UNASKED, part):
                rows.add_unasked(part, Unasked(from_row(text, Identifier), reason))
        rows.flush()
        return rows

    def _followed_of(self, person: int) -> tuple[Identifier, ...]:
        if self._request.follow is IdentifierExpansion.NO:
            return ()
        query = (
            "SELECT i.row FROM leads l JOIN identifiers i ON i.n = l.identifier "
            "WHERE l.person = ? AND l.account IS NOT NULL AND l.n < ? ORDER BY l.n"
        )
        return tuple(from_row(text, Identifier) for (text,) in self._spool.rows(query, person, self._followed))

    def _changes(self, part: int) -> Iterator[Change]:
        """Yield the changes of one account, each with the people it is for and the reason."""
        for found, text in self._spool.each(
            "SELECT n, n, row FROM found WHERE part = ? AND n > ? ORDER BY n LIMIT ?", part
        ):
            change = from_row(text, Change)
            hits = [
                Hit(person, from_row(identifier, Identifier), account, contact and json.loads(contact))
                for identifier, person, account, contact in self._spool.rows(HITS, found, self._followed)
            ]
            given = [p for (p,) in self._spool.rows("SELECT person FROM given WHERE found = ? ORDER BY rowid", found)]
            why = [hit for hit in hits if not hit.account] or hits  # given identifiers explain more than followed ones
            reason = "its id was given" if given else "; ".join(dict.fromkeys(hit.reason for hit in why))
            people = tuple(dict.fromkeys([*given, *(hit.person for hit in hits)]))
            found_by = {hit.identifier for hit in hits}
            yield self._kind.change(evolve(change, people=people, reason=reason), found_by)


UNASKED = """
    SELECT u.n, i.row, u.reason FROM unasked u JOIN identifiers i ON i.n = u.identifier
    WHERE u.part = ? AND u.n > ? ORDER BY u.n LIMIT ?
"""
HITS = """
    SELECT i.row, l.person, l.account, l.contact
    FROM hits h JOIN identifiers i ON i.n = h.identifier JOIN leads l ON l.identifier = h.identifier
    WHERE h.found = ? AND l.n < ? ORDER BY h.rowid, l.n
"""


def _unproven_error(account: str, reason: str) -> PlanRefused:
    return PlanRefused(
        f"{account} shows no contact, and that proves nothing: {reason}",
        hint="check base_url and the account's other settings, and any gateway in between",
    )


def complete_flows(flows_by_account: AccountFlows) -> AccountFlows:
    """Return the flows; an incomplete read makes the plan impossible."""
    return {name: lookup.complete(name, flow) for name, flow in flows_by_account.items()}
