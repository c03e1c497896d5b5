"""Errors go to other processes whole, and hold nothing that acts on a terminal."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from contacts_core import errors
from contacts_core.cli.errors import Refused
from contacts_core.models import Job, LossCode, Outcome
from contacts_core.operations.losses import LossRow
from contacts_core.plans.execution.runner import RunStopped
from contacts_core.plans.planning.transfer import LossesNotAccepted
from contacts_core.plans.receipts.receipt import ReceiptBroken
from tests.core.fake_providers import person

JOB = Job(provider="acme", id="j1")
LOSS = LossRow("custom", "custom.score", LossCode.NO_FIELD, "there is none", 2, ["j…"])
OUTCOME = Outcome(operation="delete_contacts", provider="acme", requested=2, confirmed=("c1", "c2"))

MADE: dict[type[errors.ContactsError], tuple[Any, ...]] = {
    errors.IncompleteSearch: ([person(1), person(2)], 9),
    errors.IncompleteExport: (3, 4),
    errors.Interrupted: (OUTCOME, ["c3"], ["c4", person(5)], "no answer"),
    errors.Cancelled: (),
    errors.JobFailed: ("it failed", JOB),
    errors.JobTimeout: ("too late", JOB),
    RunStopped: ("run-1",),
    ReceiptBroken: (7, "its seal is broken"),
    LossesNotAccepted: ([LOSS, LOSS], [LOSS]),
}


def tree(kind: type[errors.ContactsError]) -> Iterator[type[errors.ContactsError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from tree(each)


ALL = sorted(
    {each for each in tree(errors.ContactsError) if each.__module__.startswith("contacts_")},
    key=lambda c: c.__qualname__,
)


def made(kind: type[errors.ContactsError]) -> errors.ContactsError:
    try:
        error = kind(*MADE.get(kind, ("a message",)))
    except TypeError:  # pragma: no cover - a class that wants more belongs into the table above
        pytest.fail(f"say in MADE how {kind.__qualname__} is made")
    error.hint = error.hint or "a hint"
    error.unclear = True
    if isinstance(error, errors.ProviderError):
        error.provider, error.operation, error.status = "acme", "GET /x", 429
        error.request_id, error.retry_after = "r-1", 7.0
    error.add_note("a note")
    return error


def test_the_whole_tree_is_here() -> None:
    assert {errors.ContactsError, errors.UnexpectedPayload, RunStopped, ReceiptBroken, Refused} <= set(ALL)


def same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    assert (str(one), one.args, vars(one)) == (str(other), other.args, vars(other))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__qualname__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_is_the_same_after_pickling_and_copying(kind: type[errors.ContactsError], protocol: int) -> None:
    error = made(kind)
    error.__cause__ = errors.Cancelled(unclear=True)
    for other in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301 - our own
        same(other, error)
        assert isinstance(other.__cause__, errors.Cancelled)
        assert other.__cause__.unclear


def test_a_cause_of_another_kind_stays_behind() -> None:
    error = errors.Rejected("no")
    error.__cause__ = ValueError("x")
    other = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert other.__cause__ is None


def _raise() -> None:
    raise errors.Interrupted(OUTCOME, ["c3"], ["c4"], "cut") from errors.Unreachable(
        "cut", provider="acme", status=None
    )


def test_an_error_comes_out_of_a_process_pool() -> None:
    with ProcessPoolExecutor(1) as pool, pytest.raises(errors.Interrupted) as caught:
        pool.submit(_raise).result()
    assert caught.value.outcome == OUTCOME
    assert (caught.value.uncertain, caught.value.unsent) == (("c3",), ("c4",))


def test_a_message_holds_printable_characters_only() -> None:
    error = errors.Rejected("a\x1b[2Jb\nc\u202ed\x9b", hint="e\r\nf")
    assert str(error) == "a\ufffd[2Jb c\ufffdd\ufffd"
    assert error.hint == "e  f"
