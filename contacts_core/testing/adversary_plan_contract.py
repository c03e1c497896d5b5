"""Whole plans against an adversary: planned, applied, stopped in the middle, resumed and verified.

    class TestPlansOfAcmeAgainstAnAdversary(PlanAdversaryContract):
        provider = Acme
        emulator = AcmeEmulator

Plans promise more than single operations: they read again before they act, and every read that returns no contact needs
a control. So even a well-formed wrong answer must not lead to a false receipt, unless every kind of read gives it; see
`UNEXPOSED`.
"""

from __future__ import annotations

import atexit
import os
import random
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from attrs import define, evolve, field

from contacts_core.client import Contacts
from contacts_core.errors import ContactsError
from contacts_core.models import Channel, Consent, ConsentState, Contact, Identifier, IdentifierKind, LossCode
from contacts_core.plans.comparing.consent_marks import ConsentPlace
from contacts_core.plans.model import SafetyLimits
from contacts_core.provider import (
    AddsToLists,
    DeletesContacts,
    Exports,
    Provider,
    RemovesFromLists,
    RemovesIdentifiers,
    UpsertsContacts,
    WritesConsent,
    capabilities,
)
from contacts_core.testing.adversary import FALSE, LIES, Adversary, Change, Lie
from contacts_core.testing.adversary_contract import AdversaryContract, Store, chosen_seed, identifiers_of, same_fields
from contacts_core.testing.memory import MemoryProvider
from contacts_core.testing.memory import Store as MemoryStore

__all__ = ["UNEXPOSED", "PlanAdversaryContract"]

PLAN_ENVIRONMENT = "CONTACTS_ADVERSARY_PLANS"  # how many cases a kind gets, for longer runs
KINDS: Mapping[str, type[Provider]] = {
    "erase": DeletesContacts,
    "delete": DeletesContacts,
    "remove-identifier": RemovesIdentifiers,
    "remove-from-list": RemovesFromLists,
    "add-to-list": AddsToLists,
    "upsert": UpsertsContacts,
    "copy": UpsertsContacts,
    "copy-from": Exports,
    "undo": UpsertsContacts,
}
WRITING = ("upsert", "copy", "copy-from", "undo")
REACH = {"copy": 60, "copy-from": 30, "undo": 30}  # about how many requests a plan takes, where it is more than 25
UNEXPOSED: Mapping[str, str] = {
    "denied on every path": "a vendor that denies one contact on every path, and shows everybody else, cannot be told "
    "from one that does not have it",
}
CHANGING = ("DELETE", "PUT", "PATCH")
EVERYTHING = SafetyLimits(share=1)
PLACE = "field:consent"  # where consent is kept at vendors that keep none
SAID = ("granted", "pending", "without_contact", "revoked.sms", "revoked.push", "revoked.whatsapp", "revoked.rcs")
# Nothing about refusals of e-mail: those must arrive.
LOST = (
    *(code.name for code in LossCode if code not in {LossCode.REFUSED, LossCode.NO_CONSENT}),
    *(f"NO_CONSENT:{name}" for name in SAID),
)
WRITTEN = "Written"
NEW = Identifier.email("new.person@example.com")
REFUSED = Identifier.email("refused@example.com")
PACE = 20.0  # virtual seconds that go by with each request: jobs come to their end


@define
class Course:
    """How a plan went: what came out, and who interrupted it when."""

    plan: Any = None
    receipt: Any = None
    error: ContactsError | None = None


@define
class Scene:
    """The accounts of one case, and what is so in them.

    Attributes:
        client: The account of the vendor, whose answers the adversary changes.
        honest: The same account without the adversary.
        folder: Where runs are stored.
        dice: Decides what is not decided by the lies.
        other: An account in memory, which a copy reads or writes.
        run: The run that is undone.
        shown: The contacts of the vendor when the case began.
        early: Contacts that were created while the refusal of somebody they are of was not in force.
        refused_late: Who refused after the plan was made.
    """

    client: Any
    honest: Any
    folder: Path
    dice: random.Random
    other: Contacts[MemoryProvider] | None = None
    run: str = ""
    shown: Sequence[Contact] = ()
    early: list[Identifier] = field(factory=list[Identifier])
    refused_late: set[Identifier] = field(factory=set[Identifier])

    @property
    def clients(self) -> list[Any]:
        """All accounts."""
        return [self.client] if self.other is None else [self.other, self.client]

    def set_up(self, kind: str, adversary: Adversary, stack: ExitStack) -> None:
        """Prepare what this kind needs; nothing is changed about the answers meanwhile."""
        from contacts_core import plans

        adversary.lies = ()
        self.shown = self._exported() if kind in WRITING else ()
        if kind == "copy":
            self.other = stack.enter_context(_in_memory([REFUSED, NEW, *self._two()], [REFUSED, self._two()[1]]))
            adversary.on_change = self._watch
        elif kind == "copy-from":
            if self._keeps_consent:
                said = [Consent(self._two()[0], Channel.EMAIL, ConsentState.REVOKED)]
                self.honest.write_consent(said, accept=["REASON_LOST", "DATE_LOST"])
            self.other = stack.enter_context(_in_memory([NEW, self._two()[1]], [NEW]))
        elif kind == "undo":
            plan = self.planned("upsert")
            receipt = plans.apply(plan, [self.client], storage=self.folder, timeout=0.2, pause=0.004)
            self.run = receipt.run
            if self.dice.random() < 0.3:
                self._refuse(NEW)

    def planned(self, kind: str) -> Any:
        """Make a plan that writes."""
        from contacts_core import plans

        match kind:
            case "upsert":
                given = [Contact(identifiers=(each,), first_name=WRITTEN) for each in (*self._two(), NEW)]
                return plans.plan_upsert(self.client, given, limits=EVERYTHING)
            case "undo":
                return plans.plan_undo(self.run, [self.client], storage=self.folder)
            case _:
                there, back = self.clients if kind == "copy" else reversed(self.clients)
                return plans.plan_copy(
                    there,
                    back,
                    consent_in="" if self._keeps_consent else PLACE,
                    create_fields=True,
                    create_lists=True,
                    accept_losses=LOST,
                    limits=EVERYTHING,
                )

    def planning_ended(self, kind: str, adversary: Adversary) -> None:
        """Let somebody who was written refuse while the plan to undo that waits."""
        if kind == "undo" and self._keeps_consent and self.dice.random() < 0.3:
            adversary.truth()
            noted = len(adversary.changes)
            self._refuse(NEW)
            self.refused_late.add(NEW)
            adversary.truth()
            del adversary.changes[noted:]  # it was not the client's doing

    def refusals(self) -> set[Identifier]:
        """Who refused e-mail, in truth, at the vendor."""
        if self._keeps_consent:
            said = self.honest.consent()
        else:
            place = ConsentPlace.parse(PLACE)
            said = [each for contact in self._exported() for each in place.statements(contact)]
        return {s.identifier for s in said if s.state is ConsentState.REVOKED and s.channel is Channel.EMAIL}

    def check(
        self,
        kind: str,
        course: Course,
        before: Store,
        after: Store,
        refusals: set[Identifier],
        adversary: Adversary,
        told: str,
    ) -> None:
        """Compare what is so now with what was promised."""
        touched = {contact for _, contact in adversary.touched}
        by_others = {i for at in touched for one in (before.get(at), after.get(at)) if one for i in identifiers_of(one)}
        if not any(lie.kind in {*FALSE, "without", "null", "odd"} for _, lie in adversary.struck):
            refusals = refusals | self.refused_late  # others are seen by the plan, and by more than one read
        assert not (lost := refusals - self.refusals() - by_others), f"{lost} refused, and it is not kept\n{told}"
        if kind == "copy-from":
            refused = refusals & self.refusals() - by_others - self._refused_in_memory()
            self.early += refused.intersection(self._arrived_in_memory())
        assert not self.early or _denied(adversary), f"{self.early} were created before their refusal\n{told}"
        if course.receipt is None or _denied(adversary):
            return
        states = {line["person"]: line["state"] for line in course.receipt.of("result")}
        people = [each for each in course.plan.people if states.get(each.number) == course.receipt.goal]
        false = [*self._false(course, people, after, by_others)]
        assert not false, "\n".join([*false, told])

    def _false(self, course: Course, people: Sequence[Any], after: Store, by_others: set[Identifier]) -> Iterable[str]:
        into_memory = self.other is not None and course.plan.accounts[0].account == self.other.name
        shown = list(self.other.export()) if into_memory and self.other else self._exported()
        targets = [target for part in course.plan.accounts for target in part.changes]
        for person in people:
            if not by_others.isdisjoint(person.identifiers):
                continue
            having = [one for one in shown if not set(person.identifiers).isdisjoint(one.identifiers)]
            for target in [target for target in targets if person.number in target.people]:
                if target.operation == "upsert_contacts" and not any(
                    one.first_name == target.write.get("first_name", one.first_name) for one in having
                ):
                    yield f"person {person.number} is said to be there as written, and is not: {having}"
                elif target.operation == "delete_contacts" and target.contact in after:
                    yield f"contact {target.contact} is said to be gone, and is there"
                elif target.operation == "change_contact" and WRITTEN in {one.first_name for one in having}:
                    yield f"contact {target.contact} is said to be as it was, and is as it was written"
        if self.other is None:
            return
        refused = self.refusals() if into_memory else self._refused_in_memory()
        kept = self._refused_in_memory() if into_memory else self.refusals()
        mine = {i for person in people for i in person.identifiers} - by_others
        if lost := refused & mine - kept:
            yield f"{lost} refused at the source and are said to be copied, and it is not in force"

    def _watch(self, change: Change) -> None:
        """Note whoever is created while their refusal is not in force."""
        if change.before is None and change.after is not None:
            arrived = self._refused_in_memory().intersection(identifiers_of(change.after))
            if arrived:
                self.early += arrived - self.refusals()

    @property
    def _keeps_consent(self) -> bool:
        return isinstance(self.client.provider, WritesConsent)

    def _exported(self) -> list[Contact]:
        return list(self.honest.export())

    def _two(self) -> list[Identifier]:
        """Return two who are there from the beginning."""
        emails = [next(i for i in one.identifiers if i.kind is IdentifierKind.EMAIL) for one in self.shown]
        return sorted(emails, key=lambda each: each.value)[:2]

    def _refuse(self, identifier: Identifier) -> None:
        if self._keeps_consent:
            said = [Consent(identifier, Channel.EMAIL, ConsentState.REVOKED)]
            self.honest.write_consent(said, accept=["REASON_LOST", "DATE_LOST"])

    def _arrived_in_memory(self) -> Iterator[Identifier]:
        """Yield the identifiers of contacts that were not in memory before; those outside the plan are as before."""
        assert self.other is not None
        for contact in self.other.provider.store.all_contacts():
            if NEW in contact.identifiers:
                assert contact == _remembered(0, NEW), f"{contact} was changed, which was not planned"
            elif not contact.id.startswith("m-"):
                yield from contact.identifiers

    def _refused_in_memory(self) -> set[Identifier]:
        assert self.other is not None
        store = self.other.provider.store
        return {each.identifier for each in store.consent if each.state is ConsentState.REVOKED}


class PlanAdversaryContract(AdversaryContract):
    """Subclass it in a test module, with the extras ``plans`` and hypothesis installed.

    Attributes:
        examples: Cases for each kind of plan; half as many for those that write contacts, which take longer.
    """

    examples = 20

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each kind of plan that the provider can do."""
        if "kind" in metafunc.fixturenames:
            able = capabilities(self.provider)
            metafunc.parametrize("kind", [kind for kind, needed in KINDS.items() if needed in able])

    test_nothing_false_is_claimed_and_nobody_else_is_touched = None  # type: ignore[assignment]  # plans instead

    def test_no_plan_goes_further_than_it_says_or_claims_what_is_not_so(self, kind: str) -> None:
        from hypothesis import HealthCheck, example, given, seed, settings
        from hypothesis import strategies as st

        few = max(self.examples // 2, 1) if kind in WRITING else self.examples
        repeated = settings(
            max_examples=int(os.environ.get(PLAN_ENVIRONMENT, few)),
            deadline=None,
            database=None,
            suppress_health_check=cast("tuple[HealthCheck, ...]", tuple(HealthCheck)),
        )
        kinds = st.sampled_from(list(LIES))
        reach = REACH.get(kind, 25)
        lie = st.builds(Lie, st.integers(0, reach), kinds, st.integers(0, 999), st.sampled_from([1, 1, 2, 1000]))

        @seed(chosen_seed(PLAN_ENVIRONMENT, self.provider.__name__, kind))
        @repeated
        @given(
            lies=st.lists(lie, min_size=1, max_size=3),
            choice=st.integers(0, 99),
            stop=st.one_of(st.none(), st.integers(3, reach - 5)),
        )
        @example(lies=[], choice=0, stop=None)
        def cases(lies: list[Lie], choice: int, stop: int | None) -> None:
            self.plan_case(kind, lies, choice, stop)

        cases()

    def plan_case(self, kind: str, lies: Sequence[Lie], choice: int, stop: int | None = None) -> None:
        """One case: ``stop`` is the request after which the user interrupts the run, which is then resumed."""
        from contacts_core.emulator import Sandbox

        sandbox = Sandbox([self.emulator], contacts=self.people, manual=True)
        adversary = Adversary(sandbox, self.emulator.name, lies, pace=PACE)
        with ExitStack() as stack:
            honest = self._client(stack, Adversary(sandbox, self.emulator.name))
            client = self._client(stack, adversary)
            client.name = "main"
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "storage"
            shutil.copytree(_template(), folder)
            scene = Scene(client, honest, folder, random.Random(choice))
            scene.set_up(kind, adversary, stack)
            before = adversary.truth()
            refusals = scene.refusals()
            adversary.changes.clear()
            begun = len(adversary.requests)
            adversary.lies = [evolve(lie, at=lie.at + begun) for lie in lies]
            course = self._course(kind, before, scene, adversary, None if stop is None else stop + begun)
            if course.receipt is not None:  # it is read where the run is stored, which is gone in a moment
                course.receipt = course.receipt.parse(course.receipt.text)
            after = adversary.truth()
            told = self._account(adversary, course)
            if kind in WRITING:
                scene.check(kind, course, before, after, refusals, adversary, told)
        assert lies or (course.receipt is not None and course.receipt.complete), f"nothing is shown by this\n{told}"
        for change in adversary.changes:
            assert self._allowed(kind, course.plan, change, adversary), (
                f"request {change.request} changed {change.before} to {change.after}, which was not planned\n{told}"
            )
        if course.receipt is not None:
            false = list(self._false(kind, course, after, adversary))
            assert not false or self._denied(adversary), "\n".join([*false, told])

    def _course(
        self,
        kind: str,
        before: Store,
        scene: Scene,
        adversary: Adversary,
        stop: int | None,
    ) -> Course:
        from contacts_core import plans

        course = Course()
        stops = [] if stop is None else [stop]

        def watch(_: object) -> None:
            if stops and len(adversary.requests) >= stops[0]:
                stops.clear()
                raise KeyboardInterrupt

        options: dict[str, Any] = {"storage": scene.folder, "watch": watch}
        clients, dice = scene.clients, scene.dice
        try:
            course.plan = scene.planned(kind) if kind in WRITING else _planned(kind, before, scene.client, dice)
            scene.planning_ended(kind, adversary)
            try:
                course.receipt = plans.apply(course.plan, clients, timeout=0.2, pause=0.004, **options)
            except plans.RunStopped as stopped:
                course.receipt = plans.resume(stopped.run, clients, **options)
            if course.receipt.state == "incomplete" and dice.random() < 0.3:
                course.receipt = plans.resume(course.receipt.run, clients, **options)
        except ContactsError as error:
            course.error = error
        return course

    @staticmethod
    def _allowed(kind: str, plan: Any, change: Change, adversary: Adversary) -> bool:
        """Whether a change is the plan's, and its contact was still who it was when the plan was made."""
        if plan is None:
            return False
        if kind == "copy-from":  # it is only read
            return False
        if kind in WRITING:
            return _is_written(plan, change, adversary)
        target = next((t for part in plan.accounts for t in part.changes if t.contact == change.contact), None)
        if target is None:
            return False
        if change.before is None:
            return False
        if not _same_person(kind, target, change) and not _too_late(change, adversary):
            return False
        match kind:
            case "erase" | "delete":
                return change.after is None
            case "remove-identifier":
                if change.after is None:
                    return False
                gone = set(identifiers_of(change.before)) - set(identifiers_of(change.after))
                return _lists_lost(change) == set() and same_fields(change) and gone <= set(target.removes)
            case _:
                return (
                    change.after is not None
                    and change.before.identifiers == change.after.identifiers
                    and _lists_lost(change) <= {plan.list_id}
                    and same_fields(change)
                )

    @staticmethod
    def _false(kind: str, course: Course, after: Store, adversary: Adversary) -> Iterable[str]:
        """What the receipt says that is not so."""
        states = {line["person"]: line["state"] for line in course.receipt.of("result")}
        targets = [target for part in course.plan.accounts for target in part.changes]
        for person in course.plan.people if kind not in WRITING else ():
            if states.get(person.number) != course.receipt.goal:
                continue
            mine = [target for target in targets if person.number in target.people]
            for one in after.values():
                has = set(person.identifiers) & set(identifiers_of(one))
                planned = any(target.contact == one.id for target in mine)
                if kind in {"erase", "delete"} and (has or (planned and any(t.contact == one.id for t in mine))):
                    yield f"person {person.number} is said to be absent, and contact {one.id} is there"
                elif kind == "remove-identifier" and has:
                    yield f"{next(iter(has)).masked} is said to be absent, and contact {one.id} has it"
                elif kind == "remove-from-list" and planned and course.plan.list_id in one.lists:
                    yield f"contact {one.id} is said to be off the list, and is on it"
                elif (
                    kind == "add-to-list"
                    and planned
                    and course.plan.list_id not in one.lists
                    and not _changed_later(one.id, adversary)
                ):
                    yield f"contact {one.id} is said to be on the list, and is not"
        if course.receipt.complete and set(states.values()) - {course.receipt.goal}:
            yield f"the receipt is complete, and not everybody is {course.receipt.goal}"

    @staticmethod
    def _denied(adversary: Adversary) -> bool:
        return _denied(adversary)

    @staticmethod
    def _account(adversary: Adversary, course: Course) -> str:
        struck = ", ".join(f"{lie.kind} at {number}" for number, lie in adversary.struck)
        result = course.receipt.of("result") if course.receipt is not None else ""
        lines = [f"lies: {struck}", f"plan: {course.plan!r}", f"error: {course.error!r}", f"results: {result}"]
        return "\n".join([*lines, *adversary.requests[:60]])


@cache
def _template() -> Path:
    """Storage that was used before: its tables and queues are there, which saves a second in each case."""
    from contacts_core.plans.execution.engine import Engine
    from contacts_core.storage.database import locate_storage

    kept = tempfile.TemporaryDirectory()
    atexit.register(kept.cleanup)
    with Engine(locate_storage(kept.name)):
        pass
    return Path(kept.name)


def _planned(kind: str, before: Store, client: Any, dice: random.Random) -> Any:
    from contacts_core import plans

    one, other = dice.sample(list(before.values()), 2)
    known = [next(i for i in identifiers_of(each) if i.kind is IdentifierKind.EMAIL) for each in (one, other)]
    people: list[Identifier] = known[: dice.randint(1, 2)]
    if dice.random() < 0.2:
        people.append(Identifier.email("nobody.at.all@example.com"))
    match kind:
        case "erase":
            return plans.plan_erasure(people, [client])
        case "delete":
            return plans.plan_deletion(client, people)
        case "remove-identifier":
            several = [each for each in before.values() if len(each.identifiers) > 1] or [one]
            return plans.plan_identifier_removal([dice.choice(identifiers_of(dice.choice(several)))], [client])
        case _:
            listed = [each for each in before.values() if each.lists]
            of_list = plans.plan_list_addition if kind == "add-to-list" else plans.plan_list_removal
            return of_list(client, dice.choice(dice.choice(listed).lists), people)


def _remembered(number: int, identifier: Identifier) -> Contact:
    return Contact(id=f"m-{number}", provider="memory", identifiers=(identifier,), first_name=WRITTEN, lists=())


@contextmanager
def _in_memory(
    people: Sequence[Identifier], refused: Sequence[Identifier]
) -> Generator[Contacts[MemoryProvider], None, None]:
    """An account that tells the truth and does what it is asked."""
    contacts = {f"m-{n}": _remembered(n, each) for n, each in enumerate(people)}
    consent = dict.fromkeys(Consent(each, Channel.EMAIL, ConsentState.REVOKED) for each in refused)
    with Contacts(MemoryProvider(store=MemoryStore(contacts=contacts, consent=consent)), name="memory") as opened:
        yield opened


def _is_written(plan: Any, change: Change, adversary: Adversary) -> bool:
    """Whether a change is one of a plan that writes: of a planned contact, as long as it was who it was."""
    targets = [target for part in plan.accounts for target in part.changes if target.people]
    known = {i for one in (change.before, change.after) if one for i in identifiers_of(one)}
    if change.before is None:
        created = [t for t in targets if not t.contact or _too_late(change, adversary, *t.identifiers)]
        return known <= {i for t in created for i in t.identifiers}
    mine = [t for t in targets if change.contact == t.contact or not (t.contact or known.isdisjoint(t.identifiers))]
    if not mine or (change.after is None and not any(t.operation == "delete_contacts" for t in mine)):
        return False
    was = set(identifiers_of(change.before))
    return any(was <= set(t.identifiers) or _too_late(change, adversary, *t.identifiers) for t in mine)


def _same_person(kind: str, target: Any, change: Change) -> bool:
    assert change.before is not None
    there, planned = set(identifiers_of(change.before)), set(target.identifiers)
    return there <= planned if kind == "remove-identifier" else there == planned


def _denied(adversary: Adversary) -> bool:
    """Whether well-formed lies were told at more than one request: then it may have been on every path."""
    return len({number for number, lie in adversary.struck if lie.kind in FALSE}) > 1


def _too_late(change: Change, adversary: Adversary, *identifiers: Identifier) -> bool:
    """Whether the contact became somebody else with or after the request that changed it; see `doubting.UNEXPOSED`.

    With ``identifiers``, a request that writes one of them counts as well.
    """
    methods = (*CHANGING, "POST") if identifiers else CHANGING
    names = [change.contact, *(each.value for each in identifiers)]
    sent = [
        number
        for number, line in enumerate(adversary.requests[: change.request + 1])
        if line.startswith(methods) and any(n in line or n.encode() in adversary.bodies[number] for n in names)
    ]
    return any(number <= struck <= change.request for number in sent for struck, _ in adversary.touched)


def _changed_later(contact: str, adversary: Adversary) -> bool:
    """Whether others changed a contact when it was read for the last time, or later: nobody could know."""
    read = max((number for number, line in enumerate(adversary.requests) if contact in line), default=-1)
    return any(id == contact and number >= read for number, id in adversary.touched)


def _lists_lost(change: Change) -> set[str]:
    assert change.before is not None
    assert change.after is not None
    return set(change.before.lists) ^ set(change.after.lists)
