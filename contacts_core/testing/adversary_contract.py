"""Every operation against an adversary: whatever it answers, results are true and no other contact is changed.

    class TestAcmeAgainstAnAdversary(AdversaryContract):
        provider = Acme
        emulator = AcmeEmulator

Hypothesis chooses an operation's arguments and up to three lies (see `adversary`), and four things have to hold:

1. only the contacts that the operation is about are changed, and only as it says;
2. the result is true, unless a well-formed answer of the vendor was wrong;
3. only `ContactsError` is raised;
4. the operation ends after a bounded number of requests and seconds.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar, cast
from zlib import crc32

import httpx
import pytest
from attrs import frozen

from contacts_core.client import AsyncContacts, Contacts
from contacts_core.errors import ContactsError, JobTimeout
from contacts_core.http.asynchronous import AsyncTransport
from contacts_core.http.blocking import BlockingTransport
from contacts_core.models import Contact, Identifier, IdentifierKind, Outcome, OutcomeState
from contacts_core.provider import (
    AddsToLists,
    ChangesContacts,
    Counts,
    DeletesContacts,
    Exports,
    FindsContacts,
    GetsContacts,
    Provider,
    RemovesFromLists,
    RemovesIdentifiers,
    UpsertsContacts,
    capabilities,
)
from contacts_core.query import F
from contacts_core.testing.adversary import BROKEN, FALSE, HOST, LIES, Adversary, Change, Lie
from contacts_core.testing.records import identifiers_of

if TYPE_CHECKING:
    from contacts_core.emulator import Emulator, Truth

__all__ = ["OPERATIONS", "UNEXPOSED", "AdversaryContract", "Operation", "identifiers_of"]

PATIENCE = 7200.0  # virtual seconds
ENVIRONMENT = "CONTACTS_ADVERSARY_EXAMPLES"  # how many cases an operation gets, for longer runs

# Answers that leave something out in a way that the vendor's documents allow: no client can tell.
UNEXPOSED: Mapping[str, str] = {
    "an end of pages": "an answer without a cursor is the documented end, and not every vendor gives a total",
    "a smaller number": "a counter cannot be checked",
    "a relation written back": "a change that writes a whole relation back also writes what the answer got wrong",
    "between read and write": "no vendor here supports conditional changes, so what others do between the last read of "
    "a contact and the request that changes it cannot be detected",
}

Store = Mapping[str, "Truth"]


@frozen
class Case:
    """What an operation is asked to do.

    Attributes:
        contacts: Ids of the contacts that it is about.
        identifiers: The identifiers that it is about.
        list: The id of a list.
        written: The contacts that it writes.
    """

    contacts: tuple[str, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
    list: str = ""
    written: tuple[Contact, ...] = ()


Chosen = Callable[[Store, random.Random], Case]
Called = Callable[[Any, Case], Any]
Judged = Callable[[Case, Any, Store, Store], Iterable[str]]


def chosen_seed(variable: str, *case: str) -> int:
    """The same cases each time, so that a suite is repeatable; other ones where somebody asks for a longer run."""
    if variable in os.environ:
        return int.from_bytes(os.urandom(4))
    return crc32("/".join(case).encode())


@frozen
class Operation:
    """An operation as the adversary meets it.

    Attributes:
        needs: The capabilities that it takes.
        choose: Makes a case from what is true.
        call: Calls it.
        allows: Whether a change of the store is what was asked for.
        false: What of a result is not true, by the store before and after. Results may be judged only where the
            answers were broken, not where they were well-formed and false.
        reads: Whether it claims to have read everything, which a vendor's answers can prove or not.
    """

    needs: tuple[type[Provider], ...]
    choose: Chosen
    call: Called
    allows: Callable[[Case, Change], bool]
    false: Judged
    reads: bool = False


# -- cases


def _ghost(contact_id: str) -> str:
    """An id of the same syntax that nobody has."""
    return f"{contact_id[:-4]}0000"


def _some(store: Store, dice: random.Random) -> Case:
    ids = dice.sample(sorted(store), min(len(store), dice.randint(1, 3)))
    return Case(contacts=(*ids, *([_ghost(ids[0])] if dice.random() < 0.3 else [])))


def _known_by(store: Store, dice: random.Random) -> Case:
    everything = sorted(
        {i for one in store.values() for i in identifiers_of(one)}, key=lambda i: (i.kind.value, i.value)
    )
    emails = [i for i in everything if i.kind is IdentifierKind.EMAIL]
    wanted = [*dice.sample(emails, min(len(emails), 2)), Identifier.email("nobody.at.all@example.com")]
    return Case(identifiers=tuple(dice.sample(wanted, dice.randint(1, len(wanted)))))


def _one_of_several(store: Store, dice: random.Random) -> Case:
    several = [one for one in store.values() if len(one.identifiers) > 1]
    one = dice.choice(several or list(store.values()))
    return Case(contacts=(one.id,), identifiers=(dice.choice(identifiers_of(one)),))


def _on_list(store: Store, dice: random.Random) -> Case:
    lists = sorted({each for one in store.values() for each in one.lists})
    chosen = dice.choice(lists)
    return Case(contacts=_some(store, dice).contacts[:2], list=chosen)


def _written(store: Store, dice: random.Random) -> Case:
    one = dice.choice(list(store.values()))
    email = next(i for i in identifiers_of(one) if i.kind is IdentifierKind.EMAIL)
    new = Identifier.email(f"new{dice.randint(1, 99)}@example.com")
    contacts = [
        Contact(identifiers=(Identifier.email(email.value.upper()),), first_name="Changed"),
        Contact(identifiers=(new,), first_name="New"),
        Contact(identifiers=(new,), last_name="Twin"),
    ]
    return Case(written=tuple(dice.sample(contacts, dice.randint(1, 3))))


# -- what may change


def _gone(case: Case, change: Change) -> bool:
    return change.contact in case.contacts and change.after is None


def _less_one(case: Case, change: Change) -> bool:
    before, after = change.before, change.after
    if before is None or after is None or change.contact not in case.contacts:
        return False
    gone = set(identifiers_of(before)) - set(identifiers_of(after))
    return gone <= set(case.identifiers) and _same_lists(change) and same_fields(change)


def same_fields(change: Change) -> bool:
    """Whether all fields but the time of the change are as they were."""
    before, after = change.before, change.after
    assert before is not None
    assert after is not None
    changed = {n for n in before.fields.keys() | after.fields.keys() if before.fields.get(n) != after.fields.get(n)}
    return all("updated" in name.lower() for name in changed)


def _same_lists(change: Change, less: str = "", more: str = "") -> bool:
    before, after = change.before, change.after
    assert before is not None
    assert after is not None
    return set(before.lists) - set(after.lists) <= {less} and set(after.lists) - set(before.lists) <= {more}


def _same_but_lists(change: Change) -> bool:
    same = bool(change.before and change.after and change.before.identifiers == change.after.identifiers)
    return same and same_fields(change)


def _off_list(case: Case, change: Change) -> bool:
    return change.contact in case.contacts and _same_but_lists(change) and _same_lists(change, less=case.list)


def _joined(case: Case, change: Change) -> bool:
    return change.contact in case.contacts and _same_but_lists(change) and _same_lists(change, more=case.list)


def _same_but_fields(case: Case, change: Change) -> bool:
    before, after = change.before, change.after
    same = bool(before and after and before.identifiers == after.identifiers and before.lists == after.lists)
    return same and change.contact in case.contacts


def _upserted(case: Case, change: Change) -> bool:
    written = {i for contact in case.written for i in contact.identifiers}
    if change.after is None or written.isdisjoint(identifiers_of(change.after)):
        return False
    if change.before is None:
        return set(identifiers_of(change.after)) <= written
    return set(identifiers_of(change.before)) <= set(identifiers_of(change.after)) and _same_lists(change)


def _nothing(_: Case, __: Change) -> bool:
    return False


# -- what must be true


def _deleted(case: Case, result: Any, _: Store, after: Store) -> Iterable[str]:
    claimed = {*result.confirmed, *result.absent}
    claimed |= set(case.contacts) if result.state is OutcomeState.DONE else set()
    return [f"contact {each} is said to be gone, and is there" for each in claimed if each in after]


def _removed(case: Case, result: Any, _: Store, after: Store) -> Iterable[str]:
    (contact_id,), (identifier,) = case.contacts, case.identifiers
    if result.state is OutcomeState.DONE and contact_id in after and identifier in identifiers_of(after[contact_id]):
        yield f"{identifier.masked} is said to be removed from {contact_id}, which still has it"


def _left(case: Case, result: Any, _: Store, after: Store) -> Iterable[str]:
    claimed = {*result.confirmed, *result.absent}
    claimed |= set(case.contacts) if result.state is OutcomeState.DONE else set()
    on_list = {each for each in claimed if each in after and case.list in after[each].lists}
    return [f"contact {each} is said to be off the list, and is on it" for each in on_list]


def _entered(case: Case, result: Any, _: Store, after: Store) -> Iterable[str]:
    claimed = set(result.confirmed) | (
        set(case.contacts) - set(result.absent) if result.state is OutcomeState.DONE else set[str]()
    )
    missing = [each for each in claimed if each not in after or case.list not in after[each].lists]
    return [
        *(f"contact {each} is said to be on the list, and is not" for each in missing),
        *(f"contact {each} is said not to exist, and does" for each in result.absent if each in after),
    ]


def _changed(case: Case, result: Any, before: Store, after: Store) -> Iterable[str]:
    (contact_id,) = case.contacts
    if result.state is OutcomeState.DONE and contact_id in after and before.get(contact_id) == after[contact_id]:
        yield f"contact {contact_id} is said to be changed, and is as before"


def _exist(case: Case, result: Any, before: Store, after: Store) -> Iterable[str]:
    if result.state is not OutcomeState.DONE:
        return
    known = {i for one in before.values() for i in identifiers_of(one)}
    for identifier in {i for contact in case.written for i in contact.identifiers}:
        having = sum(identifier in identifiers_of(one) for one in after.values())
        # An address that was somebody's second one may become a contact of its own; a new one is one contact.
        if not having or (having > 1 and identifier not in known):
            yield f"{identifier.masked} was written, and {having} contacts have it"


def _found(_: Case, result: Any, before: Store, __: Store) -> Iterable[str]:
    having = {i for one in before.values() for i in identifiers_of(one)}
    for identifier in result:
        if result[identifier] is None and identifier not in result.mismatched and identifier in having:
            yield f"nobody is said to have {identifier.masked}, and somebody has it"


def _got(_: Case, result: Any, before: Store, __: Store) -> Iterable[str]:
    return [
        f"contact {each} is said not to exist, and does" for each, it in result.items() if not it and each in before
    ]


def _everyone(_: Case, result: Any, before: Store, __: Store) -> Iterable[str]:
    if missing := before.keys() - {contact.id for contact in result}:
        yield f"{len(missing)} of {len(before)} contacts are missing from a whole export"


def _all_matching(case: Case, result: Any, before: Store, _: Store) -> Iterable[str]:
    having = {one.id for one in before.values() if case.identifiers[0] in identifiers_of(one)}
    if missing := having - {contact.id for contact in result}:
        yield f"{len(missing)} of {len(having)} contacts are missing from a whole search"


def _counted(_: Case, result: Any, before: Store, __: Store) -> Iterable[str]:
    if result != len(before):
        yield f"{int(result)} contacts are counted, and there are {len(before)}"


def _settled(client: Any, outcome: Outcome) -> Outcome:
    """An outcome once its jobs are done, or as far as they got."""
    try:
        settled: Outcome = client.wait(outcome, timeout=PATIENCE)
    except JobTimeout:
        return outcome
    return settled


OPERATIONS: Mapping[str, Operation] = {
    "delete_contacts": Operation(
        (DeletesContacts,), _some, lambda c, case: _settled(c, c.delete_contacts(case.contacts)), _gone, _deleted
    ),
    "remove_identifier": Operation(
        (RemovesIdentifiers,),
        _one_of_several,
        lambda c, case: _settled(c, c.remove_identifier(case.contacts[0], case.identifiers[0])),
        _less_one,
        _removed,
    ),
    "remove_from_list": Operation(
        (RemovesFromLists,),
        _on_list,
        lambda c, case: _settled(c, c.remove_from_list(case.list, case.contacts)),
        _off_list,
        _left,
    ),
    "add_to_list": Operation(
        (AddsToLists,),
        _on_list,
        lambda c, case: _settled(c, c.add_to_list(case.list, case.contacts)),
        _joined,
        _entered,
    ),
    "change_contact": Operation(
        (ChangesContacts,),
        lambda store, dice: Case(contacts=(dice.choice(sorted(store)),)),
        lambda c, case: _settled(c, c.change_contact(case.contacts[0], set={"first_name": "Changed"})),
        _same_but_fields,
        _changed,
    ),
    "upsert_contacts": Operation(
        (UpsertsContacts,),
        _written,
        lambda c, case: _settled(c, c.upsert_contacts(case.written, recreate_erased=True)),
        _upserted,
        _exist,
    ),
    "find": Operation((FindsContacts,), _known_by, lambda c, case: c.find(case.identifiers), _nothing, _found),
    "get_contacts": Operation((GetsContacts,), _some, lambda c, case: c.get_contacts(case.contacts), _nothing, _got),
    "search": Operation(
        (Exports, FindsContacts),
        _known_by,
        lambda c, case: list(c.search(F.email == case.identifiers[0].value, scan=True)),
        _nothing,
        _all_matching,
        reads=True,
    ),
    "export": Operation((Exports,), _some, lambda c, _: list(c.export()), _nothing, _everyone, reads=True),
    "count": Operation((Counts,), _some, lambda c, _: c.count(), _nothing, _counted, reads=True),
}

# After these, whoever reads everything must notice; the others may look like the vendor's own way to end.
NOTICED = frozenset(BROKEN) - {"without", "null", "odd"}


def _unseen(adversary: Adversary, change: Change) -> bool:
    """Whether others changed anything when, or after, the client sent its first change: no read could show it."""
    writes = [number for number, line in enumerate(adversary.requests) if not line.startswith("GET")]
    return bool(writes) and any(writes[0] <= number <= change.request for number, _ in adversary.touched)


class AdversaryContract:
    """Subclass it in a test module, with the extra package hypothesis installed; the emulator must tell the truth.

    Attributes:
        provider: The provider class.
        emulator: Its emulator.
        settings: Settings besides those that the emulator gives.
        examples: Cases for each operation.
        people: Contacts in the account.
    """

    provider: ClassVar[type[Provider]]
    emulator: ClassVar[type[Emulator]]
    settings: ClassVar[Mapping[str, Any]] = {}
    examples: ClassVar[int] = 100
    people: ClassVar[int] = 6

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each operation that the provider can do."""
        if "operation" in metafunc.fixturenames:
            able = capabilities(self.provider)
            metafunc.parametrize("operation", [n for n, o in OPERATIONS.items() if all(c in able for c in o.needs)])

    def test_nothing_false_is_claimed_and_nobody_else_is_touched(self, operation: str) -> None:
        from hypothesis import HealthCheck, given, seed, settings
        from hypothesis import strategies as st

        examples = int(os.environ.get(ENVIRONMENT, self.examples))
        repeated = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=cast("tuple[HealthCheck, ...]", tuple(HealthCheck)),
        )
        kinds = st.sampled_from(list(LIES))
        lie = st.builds(Lie, st.integers(0, 9), kinds, st.integers(0, 999), st.sampled_from([1, 1, 1, 2, 1000]))

        @seed(chosen_seed(ENVIRONMENT, self.provider.__name__, operation))
        @repeated
        @given(lies=st.lists(lie, min_size=1, max_size=3), choice=st.integers(0, 99), awaiting=st.integers(0, 3))
        def cases(lies: list[Lie], choice: int, awaiting: int) -> None:
            self._case(OPERATIONS[operation], lies, choice, awaiting=awaiting == 0)

        cases()

    def _case(self, operation: Operation, lies: Sequence[Lie], choice: int, *, awaiting: bool) -> None:
        from contacts_core.emulator import Sandbox

        sandbox = Sandbox([self.emulator], contacts=self.people, manual=True)
        adversary = Adversary(sandbox, self.emulator.name, lies)
        before = adversary.truth()
        case = operation.choose(before, random.Random(choice))
        result: Any = None
        error: ContactsError | None = None
        with ExitStack() as stack:
            client = self._client(stack, adversary, awaiting=awaiting)
            try:
                result = operation.call(client, case)
            except ContactsError as caught:
                error = caught
        after = adversary.truth()
        for change in adversary.changes:
            excused = _unseen(adversary, change) or (
                any(lie.kind in FALSE for _, lie in adversary.struck)
                and any(capability in self.provider.read_modify_write for capability in operation.needs)
            )
            assert operation.allows(case, change) or excused, (
                f"request {change.request} changed {change.before} to {change.after}, which was not asked for;\n"
                f"{self._told(adversary, case)}"
            )
        if error is None and self._judged(operation, adversary):
            false = [*operation.false(case, result, before, after)]
            assert not false, "\n".join([*false, f"result: {result!r}", self._told(adversary, case)])

    @staticmethod
    def _judged(operation: Operation, adversary: Adversary) -> bool:
        """Whether the result has to be true: the answers were broken, and none of them was well-formed and false."""
        fair = NOTICED if operation.reads else frozenset(BROKEN) - {"odd"}
        return all(lie.kind in fair for _, lie in adversary.struck)

    def _client(self, stack: ExitStack, adversary: Adversary, *, awaiting: bool = False) -> Any:
        from contacts_core.testing.harness import BlockingAdapter

        address = f"http://{HOST}/{self.emulator.name}"
        patient = type(self.provider.__name__, (self.provider,), {"poll_interval": PATIENCE / 10})
        http = {"attempts": 3, "max_connections": 1}
        given: dict[str, Any] = {**adversary.emulator.settings(), "base_url": address, "http": http, **self.settings}
        made = patient(**given)
        if not awaiting:
            client = stack.enter_context(httpx.Client(transport=adversary))
            transport = BlockingTransport(
                made, client, sleep=adversary.sleep, monotonic=adversary.monotonic, jitter=_no_jitter
            )
            return Contacts(made, transport=transport)
        runner = stack.enter_context(asyncio.Runner())
        later = httpx.AsyncClient(transport=adversary)
        stack.callback(lambda: runner.run(later.aclose()))
        waiting = AsyncTransport(
            made, later, sleep=adversary.sleep_async, monotonic=adversary.monotonic, jitter=_no_jitter
        )
        return BlockingAdapter(AsyncContacts(made, transport=waiting), runner)

    @staticmethod
    def _told(adversary: Adversary, case: Case) -> str:
        struck = ", ".join(f"{lie.kind} at {number}" for number, lie in adversary.struck)
        return "\n".join([f"asked: {case}", f"lies: {struck}", *adversary.requests[:40]])


def _no_jitter() -> float:
    """The same pauses in every run."""
    return 0.0
