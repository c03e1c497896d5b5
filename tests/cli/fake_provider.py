"""A made-up vendor in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from attrs import Factory, define, evolve, frozen

from contacts_core.models import (
    Contact,
    ContactList,
    Count,
    CustomValue,
    Failure,
    FieldDefinition,
    FieldType,
    Identifier,
    Job,
    JobState,
    Outcome,
    Page,
)
from contacts_core.provider import (
    AddsToLists,
    ChangesContacts,
    Counts,
    CreatesCustomFields,
    CreatesLists,
    DeletesAllContacts,
    DeletesContacts,
    DeletesLists,
    ExportsPages,
    FindsContacts,
    Flow,
    GetsContacts,
    NativeQuery,
    PartialResult,
    Provider,
    QueuesJobs,
    ReadsCustomFields,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    Searches,
    TakesIdentifiers,
    UpsertsContacts,
    base_url_setting,
    hookimpl,
    queued,
    secret,
)
from contacts_core.query import Compare, Op, Query, RawQuery


def person(number: int, **more: Any) -> Contact:
    identifiers = (
        Identifier.email(f"person{number}@example.com"),
        Identifier.phone(f"+1555010{number:04}"),
        Identifier.other("badge", f"B{number}"),
    )
    filled = Contact(
        "acme", f"id-{number}", identifiers, first_name=f"First{number}", last_name="O'Brien", lists=("l1",)
    )
    return evolve(filled, **more)


@define
class Vendor:
    """What the made-up vendor holds, and how it behaves."""

    people: dict[str, Contact] = Factory(lambda: {c.id: c for c in map(person, range(1, 6))})
    queues: bool = False
    jobs: dict[str, Job] = Factory(dict)
    shows: int = 50
    errors: dict[str, BaseException] = Factory(dict)
    calls: list[str] = Factory(list)
    ends_as: JobState = JobState.DONE

    def did(self, what: str) -> None:
        self.calls.append(what)
        if error := self.errors.get(what):
            raise error


VENDOR = Vendor()


@frozen(kw_only=True)
class Acme(
    DeletesContacts,
    DeletesAllContacts,
    RemovesIdentifiers,
    RemovesFromLists,
    AddsToLists,
    TakesIdentifiers,
    Searches,
    ExportsPages,
    FindsContacts,
    GetsContacts,
    UpsertsContacts,
    ChangesContacts,
    Counts,
    ReadsLists,
    CreatesLists,
    DeletesLists,
    ReadsCustomFields,
    CreatesCustomFields,
):
    """Contacts in memory; a flow that yields nothing sends nothing."""

    name = "acme"
    title = "Acme Mail"
    delete_batch_size = 2
    find_batch_size = get_batch_size = member_batch_size = upsert_batch_size = 100
    concurrency = 1
    poll_interval = 0.01
    read_modify_write = (RemovesFromLists,)
    clearable_fields = ("title", "custom")

    api_key: str = secret()
    base_url: str = base_url_setting("https://api.acme.example")
    region: str = "eu"

    def _outcome(self, operation: str, items: Sequence[str]) -> Outcome:
        if not VENDOR.queues:
            return Outcome(operation=operation, provider=self.name, requested=len(items), confirmed=tuple(items))
        job = Job(provider=self.name, id=f"job-{len(VENDOR.jobs) + 1}", operation=operation, requested=len(items))
        VENDOR.jobs[job.id] = job
        return queued(job)

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        VENDOR.did(f"delete {','.join(ids)}")
        gone = [each for each in ids if VENDOR.people.pop(each, None)]
        outcome = self._outcome("delete_contacts", gone)
        absent = tuple(each for each in ids if each not in gone)
        return evolve(outcome, requested=len(ids), absent=absent)

    def delete_all_contacts(self) -> Flow[Outcome]:
        yield from ()
        VENDOR.did("delete all")
        gone = list(VENDOR.people)
        VENDOR.people.clear()
        return self._outcome("delete_all_contacts", gone)

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        yield from ()
        VENDOR.did(f"remove {identifier.value}")
        if identifier not in VENDOR.people[contact_id].identifiers:
            failed = (Failure(identifier.value, "it is not there"),)
            return Outcome(operation="", requested=1, failed=failed)
        return evolve(self._outcome("remove_identifier", [identifier.value]), dropped_fields=("label",))

    def change_contact(self, contact_id: str, set: Mapping[str, CustomValue], clear: Collection[str]) -> Flow[Outcome]:
        yield from ()
        VENDOR.did(f"change {contact_id} {dict(set)} {list(clear)}")
        return self._outcome("change_contact", [contact_id])

    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        yield from ()
        VENDOR.did("remove from list")
        named = [m if isinstance(m, str) else m.value for m in members]
        return evolve(self._outcome("remove_from_list", named), emulated=True)

    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        yield from ()
        VENDOR.did("add to list")
        half = tuple(str(m) for m in members[: len(members) // 2])
        return Outcome(operation="", requested=len(members), confirmed=half)

    def translate(self, query: Query) -> NativeQuery | None:
        match query:
            case Compare("last_name", Op.EQ, str(value)):
                return NativeQuery(f"last = {value!r}", query)
            case RawQuery(text):
                return NativeQuery(text, query)
            case _:
                return None

    def search(self, query: NativeQuery) -> Flow[PartialResult]:
        yield from ()
        VENDOR.did("search")
        asked = query.asks
        matching = [c for c in VENDOR.people.values() if isinstance(asked, RawQuery) or asked.matches(c)]  # type: ignore[attr-defined]
        return PartialResult(matching[: VENDOR.shows], len(matching))

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        yield from ()
        VENDOR.did(f"page {cursor or 0}")
        start = int(cursor or 0)
        everyone = list(VENDOR.people.values())
        rest = str(start + 2) if start + 2 < len(everyone) else None
        return Page(everyone[start : start + 2], rest)

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact]]]:
        yield from ()
        VENDOR.did("find")
        return [(i, c) for i in identifiers for c in VENDOR.people.values() if i in c.identifiers]

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        yield from ()
        VENDOR.did("get")
        return [VENDOR.people[each] for each in ids if each in VENDOR.people]

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        VENDOR.did(f"upsert {','.join(c.id or '-' for c in contacts)} on {','.join(lists)}")
        return self._outcome("upsert_contacts", [c.id for c in contacts])

    def count(self) -> Flow[Count]:
        yield from ()
        VENDOR.did("count")
        return Count(len(VENDOR.people), source="counter")

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        yield from ()
        VENDOR.did("lists")
        return Page([ContactList("acme", "l1", "News [bold]", None, "all\x1b[31m of it")])

    def create_list(self, name: str) -> Flow[ContactList]:
        yield from ()
        VENDOR.did("create list")
        return ContactList("acme", "l2", name)

    def delete_list(self, list_id: str) -> Flow[Outcome]:
        yield from ()
        VENDOR.did("delete list")
        return Outcome(operation="", requested=1, confirmed=(list_id,))

    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        yield from ()
        kinds = {"score": FieldType.NUMBER, "vip": FieldType.BOOLEAN, "since": FieldType.DATE, "zip": FieldType.TEXT}
        return Page([FieldDefinition("acme", name, name, kind, ("a",)) for name, kind in kinds.items()])

    def create_custom_field(self, name: str, type: FieldType) -> Flow[FieldDefinition]:
        yield from ()
        VENDOR.did("create field")
        return FieldDefinition("acme", "f9", name, type)


@frozen(kw_only=True)
class Queue(Acme, QueuesJobs):
    """The same with jobs."""

    name = "queue"

    def get_job(self, job: Job) -> Flow[Job]:
        yield from ()
        VENDOR.did(f"check {job.id}")
        if VENDOR.ends_as is JobState.PENDING:
            return evolve(job, requested=1, counts={"waiting": 1})
        done = job.requested or 1
        return evolve(job, state=VENDOR.ends_as, succeeded=done if VENDOR.ends_as is JobState.DONE else 0, files=("u",))


BARE_PEOPLE: list[Contact] = []


@frozen(kw_only=True)
class Bare(ExportsPages):
    """A vendor that can do next to nothing."""

    name = "bare"

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        yield from ()
        return Page(BARE_PEOPLE)


class Plugin:
    @hookimpl
    def contacts_providers(self) -> Iterable[type[Provider]]:
        return [Acme, Queue, Bare]


class Broken:
    @hookimpl
    def contacts_providers(self) -> Iterable[type[Provider]]:
        raise RuntimeError("no such luck")


@define
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> Any:
        return json.loads(self.err.splitlines()[-1])["error"]


Run = Callable[..., Ran]
