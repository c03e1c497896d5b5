"""What the core's tests share: a vendor that exists nowhere, and ways to run flows without a network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from attrs import evolve, field, frozen

from contacts_core.errors import ContactsError, NotFound
from contacts_core.models import (
    Contact,
    ContactList,
    Count,
    CustomValue,
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
    Effect,
    Emit,
    ExportsPages,
    FindsContacts,
    Flow,
    Gather,
    GetsContacts,
    NativeQuery,
    PartialResult,
    Provider,
    QueuesJobs,
    RateLimit,
    ReadsCustomFields,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    Request,
    Searches,
    Settled,
    Sleep,
    Stream,
    UpsertsContacts,
    base_url_setting,
    get,
    secret,
)
from contacts_core.query import Query

T = TypeVar("T")
Answer = Callable[[Any], Any]

HOME = "https://api.acme.example"
KEY = "k3y-of-acme-0123456789"


def silent(effect: object) -> Any:
    """The answer where none is expected."""
    raise AssertionError(f"nothing should have been asked: {effect!r}")


def run(flow: Flow[T], answer: Answer = silent) -> T:
    """Run a flow without a transport; ``answer`` gives the answer to an effect, or raises a `ContactsError`."""
    try:
        effect = next(flow)
        while True:
            try:
                reply = _settle(effect, answer) if isinstance(effect, Gather) else answer(effect)
            except ContactsError as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(reply)
    except StopIteration as stop:
        result: T = stop.value
        return result


def _settle(together: Gather[Any], answer: Answer) -> list[Settled[Any]]:
    settled: list[Settled[Any]] = []
    stopped = False
    for flow in together.flows:
        if stopped:
            settled.append(Settled(started=False))
            continue
        try:
            settled.append(Settled(run(flow, answer)))
        except ContactsError as error:
            settled.append(Settled(error=error))
            stopped = not error.per_item
    return settled


def items(stream: Stream[T], answer: Answer = silent) -> list[T]:
    """Run a stream to its end and collect what it emits."""
    return list(emitted(stream, answer))


def emitted(stream: Stream[T], answer: Answer = silent) -> Iterator[T]:
    """Run a stream, giving what it emits as it comes."""
    try:
        effect = next(stream)
        while True:
            if isinstance(effect, Emit):
                yield from effect.items
                effect = next(stream)
                continue
            try:
                reply = _settle(effect, answer) if isinstance(effect, Gather) else answer(effect)
            except ContactsError as error:
                effect = stream.throw(error)
            else:
                effect = stream.send(reply)
    except StopIteration:
        return


def asleep(effect: Effect) -> None:
    """The answer of a vendor that is only waited for."""
    assert isinstance(effect, Sleep)


def person(number: int, **fields: Any) -> Contact:
    """A synthetic contact with the id ``c<number>`` and one address."""
    known: dict[str, Any] = {
        "provider": "acme",
        "id": f"c{number}",
        "identifiers": (Identifier.email(f"person{number}@example.com"),),
        "lists": (),
    }
    return Contact(**{**known, **fields})


@frozen(kw_only=True)
class Bare(Provider):
    """A vendor that can do nothing, with a key."""

    name = "acme"
    title = "Acme"
    concurrency = 8

    api_key: str = secret()
    base_url: str = base_url_setting(HOME)
    scheme: str = "AccessKey"

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"{self.scheme} {self.api_key}"}


def bare(**settings: Any) -> Bare:
    """A `Bare` vendor whose key is `KEY`."""
    return Bare(**{"api_key": KEY, **settings})


@frozen(kw_only=True)
class Limited(Bare):
    """A vendor with two rate limits."""

    rate_limits: ClassVar[Mapping[str, RateLimit]] = {"": RateLimit(2, 10), "slow": RateLimit(1, 100)}


class Script:
    """What the scripted vendor holds, what it was asked, and where it fails."""

    def __init__(self, people: Iterable[Contact] = ()) -> None:
        self.people = {contact.id: contact for contact in people}
        self.asked: list[tuple[str, Any]] = []
        self.errors: dict[str, ContactsError] = {}
        self.jobs: dict[str, list[JobState]] = {}
        self.sample: PartialResult | None = None

    def note(self, operation: str, what: Any) -> None:
        """Remember that something was asked."""
        self.asked.append((operation, what))

    def chunks(self, operation: str) -> list[Any]:
        """What one operation was asked, in order."""
        return [what for name, what in self.asked if name == operation]

    def act(self, operation: str, ids: Sequence[str]) -> Flow[Outcome]:
        """Confirm each id, or fail where the script says so."""
        self.note(operation, list(ids))
        yield from get(f"/{operation}", object)
        for each in ids:
            if error := self.errors.get(each):
                raise error
        return Outcome(operation=operation, requested=len(ids), confirmed=tuple(ids))


@frozen(kw_only=True)
class Paged(Counts, ExportsPages):
    """A vendor whose contacts can only be read, three to a page."""

    name = "acme"
    page_size = 3

    base_url: str = base_url_setting(HOME)
    script: Script = field(factory=Script, repr=False)

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        self.script.note("contacts_page", (list_id, cursor))
        yield from get("/contacts", object)
        everyone = [c for c in self.script.people.values() if list_id is None or list_id in (c.lists or ())]
        start = int(cursor or 0)
        end = start + self.page_size
        shown = everyone[start:end]
        if not self.export_includes_lists:
            shown = [evolve(contact, lists=None) for contact in shown]
        return Page(shown, str(end) if end < len(everyone) else None)

    def count(self) -> Flow[Count]:
        yield from get("/count", object)
        return Count(len(self.script.people), source="counter")


@frozen(kw_only=True)
class Acme(
    Paged,
    DeletesContacts,
    DeletesAllContacts,
    RemovesIdentifiers,
    RemovesFromLists,
    AddsToLists,
    FindsContacts,
    GetsContacts,
    UpsertsContacts,
    ChangesContacts,
    ReadsLists,
    CreatesLists,
    DeletesLists,
    ReadsCustomFields,
    CreatesCustomFields,
    QueuesJobs,
):
    """A vendor that can do everything, in chunks of two."""

    delete_batch_size = 2
    find_batch_size = 2
    get_batch_size = 2
    member_batch_size = 2
    upsert_batch_size = 2
    concurrency = 3

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        return self.script.act("delete_contacts", ids)

    def delete_all_contacts(self) -> Flow[Outcome]:
        return self.script.act("delete_all", ["everyone"])

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        return self.script.act("remove", [identifier.value])

    def change_contact(self, contact_id: str, set: Mapping[str, CustomValue], clear: Collection[str]) -> Flow[Outcome]:
        self.script.note("change", (dict(set), list(clear)))
        return self.script.act("change_contact", [contact_id])

    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        return self.script.act("remove_from_list", [_spelled(member) for member in members])

    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        return self.script.act("add_to_list", [_spelled(member) for member in members])

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact]]]:
        self.script.note("find", list(identifiers))
        yield from get("/find", object)
        return [(i, c) for i in identifiers for c in self.script.people.values() if i in c.identifiers]

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        self.script.note("get_contacts", list(ids))
        yield from get("/get", object)
        return [self.script.people[each] for each in ids if each in self.script.people]

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        yield from get("/lists", object)
        if cursor is None:
            return Page([ContactList("acme", "l1", "One")], "2")
        return Page([ContactList("acme", "l2", "Two")])

    def create_list(self, name: str) -> Flow[ContactList]:
        yield from get("/create", object)
        return ContactList("acme", "l3", name)

    def delete_list(self, list_id: str) -> Flow[Outcome]:
        yield from get("/delete", object)
        if list_id == "gone":
            raise NotFound("no such list")
        return Outcome(operation="whatever", requested=1, confirmed=(list_id,))

    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        yield from get("/fields", object)
        return Page([FieldDefinition("acme", "f1", "score", FieldType.NUMBER)])

    def create_custom_field(self, name: str, type: FieldType) -> Flow[FieldDefinition]:
        self.script.note("create_field", name)
        yield from get("/field", object)
        return FieldDefinition("acme", "f2", name, type)

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        return self.script.act("upsert", [contact.id for contact in contacts])

    def get_job(self, job: Job) -> Flow[Job]:
        self.script.note("check", job.id)
        yield from get("/job", object)
        states = self.script.jobs.get(job.id) or [JobState.DONE]
        return evolve(job, state=states.pop(0) if len(states) > 1 else states[0])


def _spelled(member: str | Identifier) -> str:
    return member if isinstance(member, str) else f"<{member.value}>"


@frozen(kw_only=True)
class Asked(Acme, Searches):
    """The same, with a query language that knows equality of e-mail addresses only."""

    def translate(self, query: Query) -> NativeQuery | None:
        text = getattr(query, "text", "") or getattr(query, "value", "")
        return NativeQuery(str(text)) if text and getattr(query, "field", "email") == "email" else None

    def search(self, query: NativeQuery) -> Flow[PartialResult]:
        self.script.note("search", query.text)
        yield from get("/search", object)
        assert self.script.sample is not None
        return self.script.sample


@frozen(kw_only=True)
class AskedSilent(Asked):
    """The same, with exports that do not tell which lists a contact is on."""

    export_includes_lists = False


@frozen(kw_only=True)
class PagedSilent(Paged):
    """Contacts that do not tell which lists they are on."""

    export_includes_lists = False


def fine(effect: Effect) -> Any:
    """The answer of a vendor whose answers do not matter: the scripted one does not look at them."""
    assert isinstance(effect, Request | Sleep)
    return {}
