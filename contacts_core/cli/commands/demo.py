"""`contacts demo`: the main operations on an emulator of every vendor, each one checked by reading again."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from attrs import frozen

from contacts_core.cli.commands.sandbox import MOST_PEOPLE
from contacts_core.cli.options import Json, number

if TYPE_CHECKING:
    from contacts_core.cli.output import Table
    from contacts_core.client import Contacts
    from contacts_core.models import Contact, Identifier, Outcome
    from contacts_core.query import Query

T = TypeVar("T")

PEOPLE = 250
SPEED = 60.0  # a job of half a minute takes half a second
PATIENCE = 10.0  # seconds within which a change has to show
GLANCE = 0.25
WAIT = 60.0
OPERATIONS = ("search", "remove identifier", "remove from list", "delete contacts", "export")


@frozen
class Check:
    """One operation: what was asked, what the vendor said, what a re-read found; None where it is not offered."""

    provider: str
    operation: str
    asked: str
    said: str
    found: str
    as_expected: bool | None

    @property
    def verdict(self) -> str:
        """In a word."""
        return {True: "ok", False: "DIFFERS", None: "not offered"}[self.as_expected]


def demo(
    people: Annotated[
        int, number("--contacts", "Number of synthetic people at each vendor.", 20, MOST_PEOPLE)
    ] = PEOPLE,
    as_json: Json = False,
) -> None:
    """Try the main operations on emulated vendors.

    Runs an emulator of each vendor on this machine. Then it searches, removes an identifier, removes from a list,
    deletes and exports over real HTTP, and reads the contacts again after each step. After that it erases one person
    at all vendors and verifies the receipt, and moves everybody from one vendor to another, consent first. Needs no
    account, sends nothing to other machines, and leaves nothing behind.
    Exits 1 if anything differs from what was expected.

        contacts demo
    """
    from contacts_core.cli import output
    from contacts_core.cli.commands.sandbox import imported
    from contacts_core.client import Contacts
    from contacts_core.config import plugins
    from contacts_core.emulator.registry import emulators

    served = imported()
    kinds = emulators()
    checks: list[Check] = []
    seconds: dict[str, float] = {}
    with _direct(), served.running(served.Sandbox(kinds.values(), contacts=people, speed=SPEED)) as server:
        if not as_json:
            output.show(
                f"{len(kinds)} vendors, {people} people each, at {server.url}; time passes {SPEED:g} times as fast"
            )
        for name, kind in kinds.items():
            began = time.monotonic()
            # Made from the emulator's settings alone, whatever accounts and keys are set up here.
            provider = plugins.provider_class(name)(**server.settings(name))
            with Contacts(provider) as client, output.progress(f"trying {name}") as far:
                of_vendor: list[Check] = []
                for check in Tour(client).checks():
                    of_vendor.append(check)
                    far(check.operation)
            seconds[name] = time.monotonic() - began
            checks += of_vendor
            if not as_json:
                output.show(_screen(f"{kind.title} ({name})", of_vendor))
        erased = list(_erasure(server, list(kinds), quiet=as_json))
        checks += erased
        if not as_json and erased:
            output.show(_screen("One person, everywhere", erased))
        moved = list(_move(server, list(kinds)))
        checks += moved
        if not as_json and moved:
            output.show(_screen("Everybody, to another vendor", moved))
    if as_json:
        output.document(checks)
    else:
        output.show(_summary(checks, seconds))
    differing = [check for check in checks if check.as_expected is False]
    if differing or not checks:
        output.note(f"{len(differing)} of {len(checks)} checks differ from what was expected", "red")
        raise typer.Exit(output.Exit.FAILED)
    if not as_json:
        output.show(f"All {len(checks)} checks are as expected.")


def _erasure(server: Any, names: list[str], *, quiet: bool) -> Iterable[Check]:
    """The erasure, where the extra for it is installed."""
    from importlib.util import find_spec

    from contacts_core.cli import output

    if find_spec("dbos") is None:
        output.note("the erasure is left out: it needs contacts-core[plans]")
        return ()
    from contacts_core.cli.commands.demo_erasure import erasure

    return erasure(server, names, quiet=quiet)


def _move(server: Any, names: list[str]) -> Iterable[Check]:
    """The move, where the extra for it is installed."""
    from importlib.util import find_spec

    if find_spec("dbos") is None:
        return ()
    from contacts_core.cli.commands.demo_move import move

    return move(server, names)


class Tour:
    """Goes through the operations on one vendor, and remembers what has to be true afterwards."""

    def __init__(self, client: Contacts[Any]) -> None:
        self._client = client
        self._name = client.provider.name
        self._everyone: dict[str, Contact] = {}
        self._deleted: set[str] = set()
        self._removed: dict[str, Identifier] = {}
        self._touched: set[str] = set()

    def checks(self) -> Iterator[Check]:
        """Every check, one after the other; an error is a check that failed."""
        from contacts_core.provider import DeletesContacts, Exports, RemovesFromLists, RemovesIdentifiers

        steps: tuple[tuple[str, type, Callable[[], Check]], ...] = (
            ("search", Exports, self._search_a_name),
            ("search", Exports, self._search_a_crowd),
            ("remove identifier", RemovesIdentifiers, self._remove_identifier),
            ("remove from list", RemovesFromLists, self._remove_from_list),
            ("delete contacts", DeletesContacts, self._delete),
            ("export", Exports, self._export),
        )
        try:
            self._everyone = {contact.id: contact for contact in self._client.export()}
        except Exception as error:  # noqa: BLE001 - the demo tells of it, and goes on with the next vendor
            yield Check(self._name, "export", "every contact", failure(error), "nothing", False)
            return
        for operation, capability, step in steps:
            if not isinstance(self._client.provider, capability):
                yield Check(self._name, operation, "", "", "", None)
                continue
            try:
                yield step()
            except Exception as error:  # noqa: BLE001 - as above
                yield Check(self._name, operation, "", failure(error), "", False)

    def _check(self, operation: str, asked: str, said: str, found: str, *, good: bool) -> Check:
        return Check(self._name, operation, asked, said, found, good)

    # -- the operations

    def _search_a_name(self) -> Check:
        """A name with an apostrophe, if there is one: the classic among the values that break queries."""
        from contacts_core.query import F

        names = Counter(contact.last_name for contact in self._everyone.values() if contact.last_name)
        name = max(names, key=lambda each: ("'" in each, names[each]))
        return self._searched(f"last name is {name}", F.last_name == name)

    def _search_a_crowd(self) -> Check:
        """More than any vendor likes to show at once."""
        from contacts_core.query import F

        domains = Counter(contact.email.rpartition("@")[2] for contact in self._everyone.values() if contact.email)
        domain = domains.most_common(1)[0][0]
        return self._searched(f"e-mail ends with @{domain}", F.email.endswith(f"@{domain}"))

    def _searched(self, asked: str, query: Query) -> Check:
        from contacts_core.errors import IncompleteSearch

        told = self._client.explain(query)
        way = "answered by the vendor" if told.strategy.value == "native" else "every contact read and filtered"
        try:
            found = {contact.id for contact in self._client.search(query)}
            said = f"{way}: {len(found)} contacts"
        except IncompleteSearch as error:
            found = {contact.id for contact in self._client.search(query, scan=True)}
            said = (
                f"{way}, which showed {len(error.found)} of {error.total}: refused as incomplete; "
                f"then with scan=True: {len(found)} contacts"
            )
        expected = {contact.id for contact in self._everyone.values() if query.matches(contact)}
        read = self._read(sorted(found)[:20])
        wrong = [contact for contact in read.values() if contact is None or not query.matches(contact)]
        return self._check(
            "search",
            asked,
            said,
            f"{len(read) - len(wrong)} of {len(read)} read by id match; the export has {len(expected)} such contacts",
            good=bool(expected) and found == expected and not wrong,
        )

    def _remove_identifier(self) -> Check:
        from contacts_core.models import IdentifierKind

        contact, phone = next(
            (contact, phone)
            for contact in self._everyone.values()
            if contact.email and (phone := contact.primary(IdentifierKind.PHONE))
        )
        before = self._read([contact.id])[contact.id]
        assert before is not None
        expected: set[Identifier] | None = set(before.identifiers) - {phone}
        said = self._done(self._client.remove_identifier(contact.id, phone))

        def read() -> set[Identifier] | None:
            seen = self._read([contact.id])[contact.id]
            return set(seen.identifiers) if seen else None

        seen = _settled(read, expected)
        self._touched.add(contact.id)
        self._removed[contact.id] = phone
        if seen is None:
            found = "the contact is gone"
        else:
            has = "still has it" if phone in seen else "no longer has it"
            found = f"the contact is there, {has}, and keeps {len(seen - {phone})} other(s)"
        return self._check("remove identifier", f"{phone.masked} from {contact.id}", said, found, good=seen == expected)

    def _remove_from_list(self) -> Check:
        """One member by id, another by e-mail address."""
        from contacts_core.models import Identifier

        for each in self._client.lists():
            members = {contact.id: contact for contact in self._client.export(lists=[each.id])}
            reachable = [c for c in members.values() if c.email and c.id not in self._touched]
            if len(reachable) > 1:
                break
        else:
            return self._check("remove from list", "", "there is no list with two members", "", good=False)
        first, second = reachable[:2]
        expected = members.keys() - {first.id, second.id}
        said = self._done(self._client.remove_from_list(each.id, [first.id, Identifier.email(second.email or "")]))
        seen = _settled(lambda: {contact.id for contact in self._client.export(lists=[each.id])}, expected)
        there = sum(contact is not None for contact in self._read([first.id, second.id]).values())
        self._touched |= {first.id, second.id}
        return self._check(
            "remove from list",
            f"two of {len(members)} members from {each.name}: one by id, one by e-mail",
            said,
            f"the list has {len(seen)} members, without {len({first.id, second.id} - seen)} of the two; "
            f"{there} of them are still contacts",
            good=seen == expected and there == 2,
        )

    def _delete(self) -> Check:
        chosen = [c for c in self._everyone.values() if c.email and c.id not in self._touched][:3]
        ids = [contact.id for contact in chosen]
        said = self._done(self._client.delete_contacts(ids))
        self._deleted |= set(ids)
        gone = _settled(lambda: {i for i, contact in self._read(ids).items() if contact is None}, set(ids))
        addresses = [next(i for i in c.identifiers if i.value == c.email) for c in chosen]
        nobody: set[str] = set()
        with_address = _settled(lambda: self._holding(addresses) & set(ids), nobody)
        return self._check(
            "delete contacts",
            f"{len(ids)} contacts, by id",
            said,
            f"{len(gone)} of {len(ids)} are gone by id, {len(ids) - len(with_address)} by e-mail",
            good=gone == set(ids) and not with_address,
        )

    def _export(self) -> Check:
        from contacts_core.formats import writer_for

        seen: dict[str, Contact] = {}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "people.csv"
            with writer_for(path, excel_safe=True) as writer:
                for contact in self._client.export():
                    writer.write(contact)
                    seen[contact.id] = contact
            size = path.stat().st_size
        expected = self._everyone.keys() - self._deleted
        back = [i for i, removed in self._removed.items() if i in seen and removed in seen[i].identifiers]
        return self._check(
            "export",
            "every contact, to a CSV file",
            f"{len(seen)} contacts, {size:,} bytes",
            f"all but the {len(self._deleted)} deleted ones"
            + (", with an identifier that was removed" if back else ", without the removed identifier"),
            good=seen.keys() == expected and not back,
        )

    # -- what they need

    def _read(self, ids: Iterable[str]) -> Mapping[str, Contact | None]:
        from contacts_core.provider import GetsContacts

        wanted = list(ids)
        if isinstance(self._client.provider, GetsContacts):
            return self._client.get_contacts(wanted)
        everyone = {contact.id: contact for contact in self._client.export()}
        return {each: everyone.get(each) for each in wanted}

    def _holding(self, identifiers: list[Identifier]) -> set[str]:
        from contacts_core.provider import FindsContacts

        if isinstance(self._client.provider, FindsContacts):
            found = self._client.find(identifiers)
            return {contact.id for identifier in found for contact in found.get_all(identifier)}
        return {c.id for c in self._client.export() if not set(identifiers).isdisjoint(c.identifiers)}

    def _done(self, outcome: Outcome) -> str:
        """What the vendor said, at once and in the end."""
        said = _said(outcome)
        if outcome.pending:
            said += f"; then {_said(self._client.wait(outcome, timeout=WAIT))}"
        return said


def _said(outcome: Outcome) -> str:
    from contacts_core.cli.formatting import JOB_STATES

    if outcome.pending:
        return "accepted as job " + ", ".join(job.id for job in outcome.pending)
    if outcome.succeeded_count or not outcome.jobs:
        said = f"{outcome.state.value}: {outcome.succeeded_count} of {outcome.requested} confirmed"
    else:
        said = ", ".join(f"the job {JOB_STATES[job.state]}" for job in outcome.jobs)
    reasons = {failure.reason for failure in outcome.failed}
    return said + (f" ({'; '.join(reasons)})" if reasons else "") + (" (emulated)" if outcome.emulated else "")


def failure(error: Exception) -> str:
    """An error in a line, scrubbed."""
    from contacts_core.models.identifiers import scrub

    return f"{type(error).__name__}: {scrub(str(error))}"


def _settled(read: Callable[[], T], expected: T) -> T:
    """Read until it is as expected, or until patience ends; vendors show their own changes late."""
    end = time.monotonic() + PATIENCE
    while (seen := read()) != expected and time.monotonic() < end:
        time.sleep(GLANCE)
    return seen


def _screen(title: str, checks: list[Check]) -> Table:
    from contacts_core.cli import output

    made = output.table("operation", "asked", "the vendor said", "a re-read found", "", title=title, for_people=True)
    made.ruled = True
    for check in checks:
        cells = (check.operation, check.asked, check.said, check.found)
        made.add_row(*cells, output.Cell(check.verdict, _style(check)))
    return made


def _summary(checks: list[Check], seconds: Mapping[str, float]) -> Table:
    from contacts_core.cli import output

    made = output.table("vendor", *OPERATIONS, "seconds", title="Summary", for_people=True)
    for name, took in seconds.items():
        cells: list[object] = [name]
        for operation in OPERATIONS:
            worst = [c for c in checks if (c.provider, c.operation) == (name, operation)]
            worst.sort(key=lambda check: check.as_expected is not False)
            cells.append(output.Cell(worst[0].verdict, _style(worst[0])) if worst else "not reached")
        made.add_row(*cells, f"{took:.1f}")
    return made


def _style(check: Check) -> str:
    return {True: "green", False: "bold red", None: "dim"}[check.as_expected]


@contextmanager
def _direct() -> Generator[None]:
    """Reach this machine without any proxy that the environment names."""
    names = ("NO_PROXY", "no_proxy")
    before = {name: os.environ.get(name) for name in names}
    listed = ",".join(filter(None, (*before.values(), "127.0.0.1")))
    os.environ.update(dict.fromkeys(names, listed))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def own_storage() -> Generator[Path]:
    """A storage of the demo's own, whatever is set up here."""
    names = ("CONTACTS_STORAGE", "CONTACTS_RECEIPT_KEY", "CONTACTS_SIGNING_KEY")
    before = {name: os.environ.pop(name, None) for name in names}
    with tempfile.TemporaryDirectory(prefix="contacts-demo-") as folder:
        os.environ["CONTACTS_STORAGE"] = folder
        try:
            yield Path(folder)
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
