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
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from attrs import define

from contacts_core.errors import ContactsError
from contacts_core.models import Identifier, IdentifierKind
from contacts_core.provider import (
    AddsToLists,
    DeletesContacts,
    Provider,
    RemovesFromLists,
    RemovesIdentifiers,
    capabilities,
)
from contacts_core.testing.adversary import FALSE, LIES, Adversary, Change, Lie
from contacts_core.testing.adversary_contract import AdversaryContract, Store, chosen_seed, identifiers_of, same_fields

__all__ = ["UNEXPOSED", "PlanAdversaryContract"]

PLAN_ENVIRONMENT = "CONTACTS_ADVERSARY_PLANS"  # how many cases a kind gets, for longer runs
KINDS: Mapping[str, type[Provider]] = {
    "erase": DeletesContacts,
    "delete": DeletesContacts,
    "remove-identifier": RemovesIdentifiers,
    "remove-from-list": RemovesFromLists,
    "add-to-list": AddsToLists,
}
UNEXPOSED: Mapping[str, str] = {
    "denied on every path": "a vendor that denies one contact on every path, and shows everybody else, cannot be told "
    "from one that does not have it",
}
CHANGING = ("DELETE", "PUT", "PATCH")
PACE = 20.0  # virtual seconds that go by with each request: jobs come to their end


@define
class Course:
    """How a plan went: what came out, and who interrupted it when."""

    plan: Any = None
    receipt: Any = None
    error: ContactsError | None = None


class PlanAdversaryContract(AdversaryContract):
    """Subclass it in a test module, with the extras ``plans`` and hypothesis installed.

    Attributes:
        examples: Cases for each kind of plan.
    """

    examples = 20

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each kind of plan that the provider can do."""
        if "kind" in metafunc.fixturenames:
            able = capabilities(self.provider)
            metafunc.parametrize("kind", [kind for kind, needed in KINDS.items() if needed in able])

    test_nothing_false_is_claimed_and_nobody_else_is_touched = None  # type: ignore[assignment]  # plans instead

    def test_no_plan_goes_further_than_it_says_or_claims_what_is_not_so(self, kind: str) -> None:
        from hypothesis import HealthCheck, given, seed, settings
        from hypothesis import strategies as st

        repeated = settings(
            max_examples=int(os.environ.get(PLAN_ENVIRONMENT, self.examples)),
            deadline=None,
            database=None,
            suppress_health_check=cast("tuple[HealthCheck, ...]", tuple(HealthCheck)),
        )
        kinds = st.sampled_from(list(LIES))
        lie = st.builds(Lie, st.integers(0, 25), kinds, st.integers(0, 999), st.sampled_from([1, 1, 2, 1000]))

        @seed(chosen_seed(PLAN_ENVIRONMENT, self.provider.__name__, kind))
        @repeated
        @given(
            lies=st.lists(lie, min_size=1, max_size=3),
            choice=st.integers(0, 99),
            stop=st.one_of(st.none(), st.integers(3, 20)),
        )
        def cases(lies: list[Lie], choice: int, stop: int | None) -> None:
            self.plan_case(kind, lies, choice, stop)

        cases()

    def plan_case(self, kind: str, lies: Sequence[Lie], choice: int, stop: int | None = None) -> None:
        """One case: ``stop`` is the request after which the user interrupts the run, which is then resumed."""
        from contacts_core.emulator import Sandbox

        sandbox = Sandbox([self.emulator], contacts=self.people, manual=True)
        adversary = Adversary(sandbox, self.emulator.name, lies, pace=PACE)
        before = adversary.truth()
        with ExitStack() as stack:
            client = self._client(stack, adversary)
            client.name = "main"
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "storage"
            shutil.copytree(_template(), folder)
            course = self._course(kind, before, client, folder, adversary, random.Random(choice), stop)
            if course.receipt is not None:  # it is read where the run is stored, which is gone in a moment
                course.receipt = course.receipt.parse(course.receipt.text)
        after = adversary.truth()
        told = self._account(adversary, course)
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
        client: Any,
        folder: Path,
        adversary: Adversary,
        dice: random.Random,
        stop: int | None,
    ) -> Course:
        from contacts_core import plans

        course = Course()
        stops = [] if stop is None else [stop]

        def watch(_: object) -> None:
            if stops and len(adversary.requests) >= stops[0]:
                stops.clear()
                raise KeyboardInterrupt

        options: dict[str, Any] = {"storage": folder, "watch": watch}
        try:
            course.plan = _planned(kind, before, client, dice)
            try:
                course.receipt = plans.apply(course.plan, [client], timeout=0.2, pause=0.004, **options)
            except plans.RunStopped as stopped:
                course.receipt = plans.resume(stopped.run, [client], **options)
            if course.receipt.state == "incomplete" and dice.random() < 0.3:
                course.receipt = plans.resume(course.receipt.run, [client], **options)
        except ContactsError as error:
            course.error = error
        return course

    @staticmethod
    def _allowed(kind: str, plan: Any, change: Change, adversary: Adversary) -> bool:
        """Whether a change is the plan's, and its contact was still who it was when the plan was made."""
        if plan is None:
            return False
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
        for person in course.plan.people:
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
        """Whether well-formed lies were told at more than one request: then it may have been on every path."""
        return len({number for number, lie in adversary.struck if lie.kind in FALSE}) > 1

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


def _same_person(kind: str, target: Any, change: Change) -> bool:
    assert change.before is not None
    there, planned = set(identifiers_of(change.before)), set(target.identifiers)
    return there <= planned if kind == "remove-identifier" else there == planned


def _too_late(change: Change, adversary: Adversary) -> bool:
    """Whether the contact became somebody else with or after the request that changed it; see `doubting.UNEXPOSED`."""
    sent = [
        number
        for number, line in enumerate(adversary.requests[: change.request + 1])
        if line.startswith(CHANGING) and (change.contact in line or change.contact.encode() in adversary.bodies[number])
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
