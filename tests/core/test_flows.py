"""The building blocks of flows, run without a transport."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, pairwise
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from contacts_core import errors
from contacts_core.models import Outcome, Page
from contacts_core.provider import (
    Download,
    Emit,
    Flow,
    Gather,
    Read,
    Request,
    Settled,
    Sleep,
    Stream,
    flows,
    get,
)
from tests.core.fake_providers import items, run
from tests.core.transport_harness import upload


@given(st.lists(st.integers()), st.integers(1, 9))
def test_chunks_put_together_are_what_was_cut(values: list[int], size: int) -> None:
    parts = list(flows.chunks(values, size))
    assert [value for part in parts for value in part] == values
    assert all(len(part) == size for part in parts[:-1])
    assert all(0 < len(part) <= size for part in parts)


def test_chunks_take_no_more_than_they_give() -> None:
    endless = iter(int, 1)
    assert list(islice(flows.chunks(endless, 3), 2)) == [(0, 0, 0), (0, 0, 0)]


@given(st.floats(0.1, 60))
def test_pauses_start_short_grow_and_stay_below_the_longest(longest: float) -> None:
    pauses = list(islice(flows.pauses(longest), 40))
    assert pauses[0] == min(0.5, longest)
    assert all(a <= b <= longest for a, b in pairwise(pauses))
    assert pauses[-1] == longest


def test_every_effect_can_be_yielded_from_and_gives_its_answer() -> None:
    effects: list[Any] = [
        get("/x", object),
        Sleep(1),
        Gather([], 1),
        Download("https://files.example.com/f"),
        Read("handle"),
        upload("https://files.example.com/f", {}, b""),
    ]

    def flow() -> Flow[list[Any]]:
        answers = []
        for effect in effects:
            answer = yield from effect
            answers += [answer]
        return answers

    running = flow()
    seen = [next(running)]
    result: list[Any] = []
    try:
        while True:
            seen.append(running.send("answer"))
    except StopIteration as stop:
        result = stop.value
    assert seen == effects
    assert result == ["answer", None, "answer", "answer", "answer", "answer"]


def test_effects_show_neither_signed_addresses_nor_bodies() -> None:
    shown = repr(
        [
            Download("https://files.example.com/f?sig=secret"),
            upload("https://files.example.com/f?sig=secret", {"x": "secret"}, b"secret"),
            Request("POST", "/x", object, None, {"email": "secret"}),
        ]
    )
    assert "secret" not in shown
    assert "/x" in shown


def test_gather_reads_pages_until_there_is_no_cursor() -> None:
    asked: list[str | None] = []
    pages = {None: Page([1, 2], "b"), "b": Page([], "c"), "c": Page([3])}

    def page(cursor: str | None) -> Flow[Page[int]]:
        asked.append(cursor)
        yield from get("/page", object)
        return pages[cursor]

    assert run(flows.gather(page), lambda _: None) == [1, 2, 3]
    assert asked == [None, "b", "c"]


def one(value: Any) -> Flow[Any]:
    answer = yield from get(f"/{value}", object)
    return answer


def test_one_flow_runs_by_itself_and_several_together() -> None:
    alone = flows.run_together([one("a")], 5)
    assert next(alone) == get("/a", object)
    alone.close()
    several = flows.run_together([one("a"), one("b")], 5)
    effect = next(several)
    assert isinstance(effect, Gather)
    assert effect.limit == 5
    several.close()
    assert run(flows.run_together([], 5)) == []


def test_an_error_of_a_single_flow_is_settled_too() -> None:
    def no(_: Any) -> Any:
        raise errors.NotFound("none")

    (settled,) = run(flows.run_together([one("a")], 5), no)
    assert isinstance(settled.error, errors.NotFound)
    assert settled.started


def read(chunk: Sequence[str]) -> Flow[Sequence[str]]:
    answers: list[str] = []
    for each in chunk:
        answer = yield from get(f"/{each}", str)
        answers += [answer]
    return answers


def missing(effect: Any) -> str:
    if effect.path in {"/b", "/x"}:
        raise errors.NotFound("none")
    return str(effect.path)


def test_reading_takes_a_missing_single_item_for_an_empty_answer() -> None:
    assert run(flows.read_chunks(["a", "b", "c"], 1, 8, read), missing) == ["/a", "/c"]


def test_reading_takes_a_missing_chunk_for_an_error() -> None:
    with pytest.raises(errors.NotFound):
        run(flows.read_chunks(["a", "b", "c"], 2, 8, read), missing)


def test_reading_raises_the_first_error_in_order() -> None:
    def down(effect: Any) -> Any:
        raise errors.Unavailable(f"at {effect.path}")

    with pytest.raises(errors.Unavailable, match="at /a"):
        run(flows.read_chunks(["a", "b", "c"], 1, 8, read), down)


def act(chunk: Sequence[str]) -> Flow[Outcome]:
    yield from get("/" + ",".join(chunk), object)
    return Outcome(operation="remove", requested=len(chunk), confirmed=tuple(chunk))


def in_chunks(values: str, size: int, faults: dict[str, errors.ContactsError]) -> Outcome:
    def answer(effect: Any) -> Any:
        if fault := faults.get(effect.path):
            raise fault

    return run(flows.in_chunks("remove", "acme", values.split(), size, 8, act, lambda item: f"<{item}>"), answer)


def test_outcomes_of_chunks_add_up() -> None:
    total = in_chunks("a b c", 2, {})
    assert (total.operation, total.provider, total.requested) == ("remove", "acme", 3)
    assert total.confirmed == ("a", "b", "c")


def test_nothing_makes_an_empty_outcome_without_asking() -> None:
    assert in_chunks("", 2, {}).requested == 0


def test_a_single_item_that_is_not_found_is_absent() -> None:
    total = in_chunks("a b c", 1, {"/b": errors.NotFound("none")})
    assert total.absent == ("<b>",)
    assert total.confirmed == ("a", "c")
    assert total.requested == 3


@pytest.mark.parametrize("error", [errors.NotFound("none"), errors.Rejected("no such field")])
def test_a_refused_chunk_fails_with_the_reason_and_the_rest_goes_on(error: errors.ProviderError) -> None:
    total = in_chunks("a b c d e", 2, {"/a,b": error})
    assert [(each.item, each.reason) for each in total.failed] == [("<a>", str(error)), ("<b>", str(error))]
    assert total.confirmed == ("c", "d", "e")
    assert total.requested == 5


@pytest.mark.parametrize(
    ("error", "uncertain", "unsent"),
    [
        (errors.Unreachable("cut"), ("c", "d"), ("e", "f")),
        (errors.Unavailable("down"), ("c", "d"), ("e", "f")),
        (errors.UnexpectedPayload("a web page"), ("c", "d"), ("e", "f")),
        (errors.Unauthenticated("revoked"), (), ("c", "d", "e", "f")),
        (errors.Forbidden("no"), (), ("c", "d", "e", "f")),
        (errors.RateLimited("slow down"), (), ("c", "d", "e", "f")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_would_meet_the_rest_too_interrupts(
    error: errors.ProviderError, uncertain: tuple[str, ...], unsent: tuple[str, ...]
) -> None:
    with pytest.raises(errors.Interrupted) as caught:
        in_chunks("a b c d e f", 2, {"/c,d": error})
    assert caught.value.outcome.confirmed == ("a", "b")
    assert caught.value.outcome.requested == 2
    assert caught.value.uncertain == uncertain
    assert caught.value.unsent == unsent
    assert caught.value.__cause__ is error
    assert caught.value.hint


def test_an_error_of_the_only_chunk_is_raised_plain() -> None:
    with pytest.raises(errors.Unavailable):
        in_chunks("a b", 2, {"/a,b": errors.Unavailable("down")})


def test_an_error_before_anything_was_done_is_raised_plain() -> None:
    with pytest.raises(errors.Unauthenticated):
        in_chunks("a b c d", 2, {"/a,b": errors.Unauthenticated("no key")})


def test_an_unclear_first_chunk_of_several_interrupts() -> None:
    with pytest.raises(errors.Interrupted) as caught:
        in_chunks("a b c d", 2, {"/a,b": errors.Unreachable("cut")})
    assert (caught.value.uncertain, caught.value.unsent) == (("a", "b"), ("c", "d"))


def test_a_part_made_of_parts_hands_its_own_interruption_up() -> None:
    inner = errors.Interrupted(Outcome(operation="remove", requested=1, confirmed=("c",)), ["d"], ["x"], "cut")
    with pytest.raises(errors.Interrupted) as caught:
        in_chunks("a b c d e f", 2, {"/c,d": inner})
    assert caught.value.outcome.confirmed == ("a", "b", "c")
    assert caught.value.uncertain == ("d",)
    assert caught.value.unsent == ("x", "e", "f")


def test_what_was_cancelled_before_it_began_is_unsent() -> None:
    settled: list[Settled[Outcome]] = [
        Settled(Outcome(operation="remove", requested=1, confirmed=("a",))),
        Settled(error=errors.Cancelled(), started=False),
        Settled(error=errors.Cancelled(), started=False),
    ]
    with pytest.raises(errors.Interrupted, match="interrupted by the user") as caught:
        flows.added_up("remove", "acme", [["a"], ["b"], ["c"]], settled, str)
    assert (caught.value.uncertain, caught.value.unsent) == ((), ("b", "c"))


class Watched:
    """A stream that tells what happened to it."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def stream(self) -> Stream[int]:
        try:
            yield Emit([1, 2])
            try:
                yield from get("/x", object)
            except errors.NotFound:
                self.events.append("caught")
            yield Emit([])
            yield Emit([3])
        finally:
            self.events.append("closed")


@pytest.mark.parametrize("fails", [False, True])
def test_through_changes_batches_and_forwards_thrown_errors(fails: bool) -> None:
    def answer(_: Any) -> Any:
        if fails:
            raise errors.NotFound("none")

    watched = Watched()
    doubled = flows.through(watched.stream(), lambda batch: [2 * each for each in batch])
    assert items(doubled, answer) == [2, 4, 6]
    assert watched.events == (["caught"] if fails else []) + ["closed"]


def test_through_lets_an_uncaught_error_out_and_closes() -> None:
    def answer(_: Any) -> Any:
        raise errors.Unavailable("down")

    watched = Watched()
    with pytest.raises(errors.Unavailable):
        items(flows.through(watched.stream(), list), answer)
    assert watched.events == ["closed"]


def test_through_changes_a_batch_once_and_only_when_it_is_used() -> None:
    changed: list[list[int]] = []

    def threes(batch: Sequence[int]) -> list[int]:
        changed.append(list(batch))
        return [each for each in batch if each == 3]

    batches = [effect for effect in flows.through(Watched().stream(), threes) if isinstance(effect, Emit)]
    assert changed == []
    assert [each for batch in batches for each in batch.items] == [3]
    assert sum(len(batch.items) for batch in batches) == 1
    assert changed == [[1, 2], [], [3]]


def test_leaving_early_closes_the_inner_stream() -> None:
    watched = Watched()
    outer = flows.through(watched.stream(), list)
    next(outer)
    outer.close()
    assert watched.events == ["closed"]


def test_effects_are_changed_also_those_of_flows_that_run_side_by_side() -> None:
    def read(path: str) -> Flow[str]:
        yield from Sleep(1)
        return (yield from get(path, str))

    def flow() -> Flow[list[str | None]]:
        settled = yield from flows.run_together([read("/a"), read("/b")], 2)
        return [each.value for each in settled]

    def moved(effect: Any) -> Any:
        match effect:
            case Sleep():
                return None  # left out
            case Request():
                return evolve(effect, path=f"/moved{effect.path}")
            case _:
                return effect

    asked: list[str] = []

    def answer(request: Request[Any]) -> str:
        asked.append(request.path)
        return request.path[-1]

    assert run(flows.with_effects(flow(), moved), answer) == ["a", "b"]
    assert asked == ["/moved/a", "/moved/b"]


@pytest.mark.parametrize("fails", [False, True])
def test_drain_hands_every_item_over(fails: bool) -> None:
    def answer(_: Any) -> Any:
        if fails:
            raise errors.NotFound("none")

    taken: list[int] = []
    watched = Watched()
    run(flows.drain(watched.stream(), taken.extend), answer)
    assert taken == [1, 2, 3]
    assert watched.events[-1] == "closed"


@given(bad=st.sets(st.integers(0, 39)), size=st.integers(0, 40))
def test_what_is_refused_together_is_sent_apart_down_to_the_one_at_fault(bad: set[int], size: int) -> None:
    sent: list[Sequence[int]] = []

    def act(part: Sequence[int]) -> Flow[Sequence[int]]:
        yield from ()
        sent.append(part)
        if bad & set(part):
            raise errors.Rejected("one of them")
        return part

    results, refused = run(flows.apart(range(size), act, most=200))
    assert sorted(item for part in results for item in part) == sorted(set(range(size)) - bad)
    assert sorted(item for item, _ in refused) == sorted(bad & set(range(size)))
    sent.clear()
    results, refused = run(flows.apart(range(size), act, most=5))
    assert len(sent) <= 5
    assert sorted([*(i for part in results for i in part), *(i for i, _ in refused)]) == list(range(size))


def test_flows_and_streams_name_their_types_at_run_time() -> None:
    assert "int" in str(Stream[int])
    assert "int" in str(Flow[int])
