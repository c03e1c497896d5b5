"""Errors that are not the library's: of the caller's guard, contacts and hooks. None of them hides what was done."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import httpx
import pytest

from contacts_core import AsyncContacts, Contacts, errors, operations
from contacts_core.models import Contact, Identifier, IdentifierKind, Outcome
from contacts_core.operations import WriteGuard, upserting
from contacts_core.provider import Flow
from contacts_core.storage.database import locate_storage
from contacts_core.storage.tombstones import Tombstones, blocked
from tests.core.fake_providers import Acme, Script, fine, person, run
from tests.core.test_blocking_effect import KINDS

PEOPLE = [person(number, provider="", id="", lists=None) for number in range(1, 10)]  # three batches
BATCH = 3


class Speechless(Exception):
    """An error that cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def client(kind: str, script: Script, guard: WriteGuard | None = None) -> Any:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={}))
    if kind == "sync":
        return Contacts(Acme(script=script), httpx.Client(transport=transport), guard=guard)
    return AsyncContacts(Acme(script=script), httpx.AsyncClient(transport=transport), guard=guard)


def call(contacts: Any, operation: str, *given: Any) -> Outcome:
    made = getattr(contacts, operation)(*given)
    outcome: Outcome = asyncio.run(_awaited(made)) if isinstance(contacts, AsyncContacts) else made
    return outcome


async def _awaited(coroutine: Any) -> Any:
    return await coroutine


def upsert(
    kind: str, contacts: Iterable[Any], script: Script | None = None, guard: WriteGuard | None = None
) -> Outcome:
    return call(client(kind, script or Script(), guard), "upsert_contacts", contacts)


def raising(error: BaseException) -> Callable[[], Any]:
    def raise_it() -> Any:
        raise error

    return raise_it


def guard_from_second_batch(answer: Callable[[], Any]) -> WriteGuard:
    calls: list[int] = []

    def guard(contacts: Sequence[Contact]) -> Sequence[str]:
        calls.append(len(contacts))
        return answer() if len(calls) > 1 else [""] * len(contacts)

    return guard


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (raising(ValueError("x")), ValueError),
        (raising(PermissionError("x")), PermissionError),
        (raising(Speechless()), Speechless),
        (lambda: [""], ValueError),
        (lambda: None, TypeError),
    ],
)
def test_a_guard_with_a_fault_leaves_the_outcome_so_far(
    kind: str, answer: Callable[[], Any], cause: type[Exception]
) -> None:
    with pytest.raises(errors.Interrupted) as caught:
        upsert(kind, PEOPLE, guard=guard_from_second_batch(answer))
    assert isinstance(caught.value.__cause__, cause)
    assert caught.value.outcome.succeeded_count == BATCH
    assert (caught.value.uncertain, list(caught.value.unsent)) == ((), PEOPLE[BATCH:])


@pytest.mark.parametrize("kind", KINDS)
def test_a_guard_with_a_fault_at_once_raises_its_own_error(kind: str) -> None:
    def guard(_: Sequence[Contact]) -> list[str]:
        raise PermissionError("not yours")

    with pytest.raises(PermissionError, match="not yours"):
        upsert(kind, PEOPLE, guard=guard)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("odd", [None, Contact(provider="acme", id="c9", lists=(1, "a"))])  # type: ignore[arg-type]
def test_an_item_that_is_no_proper_contact_leaves_the_outcome_so_far(kind: str, odd: Any) -> None:
    with pytest.raises(errors.Interrupted) as caught:
        upsert(kind, [*PEOPLE[:4], odd, *PEOPLE[4:]])
    assert caught.value.outcome.succeeded_count == BATCH
    assert list(caught.value.unsent) == [PEOPLE[3], odd, *PEOPLE[4:]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [None, 5, b"x", ["a"]])
def test_an_identifier_that_is_no_text_is_a_failed_row_before_the_guard_is_asked(kind: str, value: Any) -> None:
    Tombstones(locate_storage()).add(PEOPLE[0].identifiers, "a-run")
    odd = Contact(identifiers=(Identifier(IdentifierKind.EMAIL, value),))
    outcome = upsert(kind, [*PEOPLE[:4], odd, *PEOPLE[4:]], guard=blocked)
    assert (outcome.requested, outcome.succeeded_count, outcome.failed_count) == (10, 8, 2)
    assert ["row 1 is held back" in outcome.failed[0].reason, "row 5 holds" in outcome.failed[1].reason] == [True] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_whose_error_cannot_be_shown_leaves_the_outcome_so_far(kind: str) -> None:
    def source() -> Iterator[Contact]:
        yield from PEOPLE[:4]
        raise Speechless

    with pytest.raises(errors.Interrupted, match="Speechless") as caught:
        upsert(kind, source())
    assert caught.value.outcome.succeeded_count == BATCH
    assert list(caught.value.unsent) == PEOPLE[3:4]


def failing_from(call_number: int) -> Callable[[], float]:
    calls: list[int] = []

    def before_send() -> float:
        calls.append(1)
        if len(calls) >= call_number:
            raise ValueError("the hook of jane@example.com failed")
        return 10.0

    return before_send


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("operation", "items"), [("upsert_contacts", PEOPLE), ("delete_contacts", list("abcdef"))])
def test_a_hook_before_sending_that_fails_leaves_the_outcome_so_far(kind: str, operation: str, items: Any) -> None:
    contacts = client(kind, Script())
    contacts.add_before_send(failing_from(3))
    with pytest.raises(errors.Interrupted, match="ValueError") as caught:
        call(contacts, operation, items)
    told = caught.value
    assert isinstance(told.__cause__, ValueError)
    assert "jane@" not in str(told)
    assert told.outcome.succeeded_count > 0
    assert told.outcome.requested + len(told.uncertain) + len(told.unsent) == len(items)
    assert len(told.uncertain) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_that_fails_before_anything_was_sent_raises_its_own_error(kind: str) -> None:
    contacts = client(kind, Script())
    contacts.add_before_send(failing_from(1))
    with pytest.raises(ValueError, match="the hook"):
        call(contacts, "delete_contacts", list("abcdef"))


# -- what is no Exception ---------------------------------------------------------------------------------------------

ENDS = [KeyboardInterrupt, SystemExit, GeneratorExit]


def told_by(error: BaseException) -> errors.Interrupted:
    assert isinstance(error.__cause__, errors.Interrupted)
    return error.__cause__


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("before", [1, BATCH + 1])
def test_a_source_that_ends_it_all_leaves_the_outcome_so_far(kind: str, end: type[BaseException], before: int) -> None:
    def source() -> Iterator[Contact]:
        yield from PEOPLE[:before]
        raise end

    with pytest.raises(end) as caught:
        upsert(kind, source())
    told = told_by(caught.value)
    assert told.outcome.succeeded_count == before - 1
    assert (told.uncertain, list(told.unsent)) == ((), PEOPLE[before - 1 : before])


def test_ctrl_c_in_a_provider_leaves_the_outcome_so_far() -> None:
    class Struck(Acme):
        concurrency = 1
        upsert_batch_size = 1

        def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
            outcome = yield from self.script.act("struck", ids)
            if len(self.script.asked) == 2:
                raise KeyboardInterrupt
            return outcome

        def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
            return self.delete_contacts([contact.display_id for contact in contacts])

    with pytest.raises(KeyboardInterrupt) as caught:
        run(operations.upsert_contacts(Struck(script=Script()), PEOPLE, []), fine)
    told = told_by(caught.value)
    assert "interrupted by the user" in str(told)
    assert told.outcome.succeeded_count == 1
    assert (list(told.uncertain), list(told.unsent)) == (PEOPLE[1:2], PEOPLE[2:])

    provider = Struck(script=Script())
    provider.script.note("earlier", None)
    with pytest.raises(KeyboardInterrupt) as caught:
        run(operations.delete_contacts(provider, ["a", "b", "../x"]), fine)
    told = told_by(caught.value)
    assert (told.outcome.failed_count, told.uncertain, told.unsent) == (1, ("a", "b"), ())


def test_ctrl_c_at_any_line_of_an_upsert_leaves_the_outcome_so_far() -> None:
    sent, lines = [0], 0
    while True:
        lines += 1
        sent[0] = 0
        try:
            with struck_at(lines):
                run(operations.upsert_contacts(Acme(script=Script()), list(PEOPLE), []), counting(sent))
        except KeyboardInterrupt as error:
            if sent[0]:
                told = told_by(error)
                counted = told.outcome.requested + len(told.uncertain) + len(told.unsent)
                assert counted == len(PEOPLE), f"line {lines}"
        else:
            break
    assert lines > 100


def counting(sent: list[int]) -> Callable[[Any], Any]:
    def answer(effect: Any) -> Any:
        sent[0] += 1
        return fine(effect)

    return answer


@contextmanager
def struck_at(line: int) -> Generator[None]:
    """Raise `KeyboardInterrupt` before this line of those that upserting runs."""
    passed = [0]

    def inside(_frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            passed[0] += 1
            if passed[0] == line:
                sys.settrace(None)
                raise KeyboardInterrupt
        return inside

    def called(frame: FrameType, _event: str, _: Any) -> Any:
        return inside if frame.f_code is upserting._write.__code__ else None

    before = sys.gettrace()
    sys.settrace(called)
    try:
        yield
    finally:
        sys.settrace(before)


def test_a_flow_that_is_closed_just_ends() -> None:
    for flow in (
        operations.upsert_contacts(Acme(script=Script()), iter(PEOPLE), []),
        operations.delete_contacts(Acme(script=Script()), ["a", "b", "c"]),
    ):
        next(flow)
        flow.close()
