"""Pages from tokens and from offsets, and the small helpers that providers share."""

from __future__ import annotations

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from contacts_core import errors
from contacts_core.models import Page
from contacts_core.provider import Flow, about_id, flows, json_text, link, moment, offset, offset_page, token_page


def run(flow: Flow[list[int]]) -> list[int]:
    try:
        next(flow)
    except StopIteration as stop:
        items: list[int] = stop.value
        return items
    raise AssertionError


def test_a_token_leads_on_and_an_empty_one_ends() -> None:
    assert token_page(iter("ab"), "t") == Page(("a", "b"), "t")
    assert token_page("ab", "").next is token_page("ab", None).next is None
    assert token_page("ab", "t", 9).total == 9


@given(
    count=st.integers(0, 60),
    size=st.integers(1, 9),
    told=st.sampled_from(["right", "none", "low"]),
    capped=st.integers(1, 9),
)
def test_pages_by_offset_show_everything_once_whatever_the_total_says(
    count: int, size: int, told: str, capped: int
) -> None:
    everything = list(range(count))
    total = {"right": count, "none": None, "low": max(0, count - size - 1)}[told]
    if told == "low" and total is not None and total % size == 0:
        total = None  # a total that is met at the end of a page ends it

    def page(cursor: str | None) -> Flow[Page[int]]:
        yield from ()
        start = offset(cursor)
        return offset_page(everything[start : start + size], cursor, size=size, total=total)

    assert run(flows.gather(page)) == everything


def test_pages_that_end_before_the_total_are_incomplete() -> None:
    with pytest.raises(errors.IncompleteExport):
        offset_page([], "3", size=5, total=4)
    assert offset_page([], "4", size=5, total=4) == Page([], None, 4)
    assert offset_page([1], "3", size=5, total=9).next == "4"


def test_a_time_that_cannot_be_read_is_kept() -> None:
    extra: dict[str, object] = {}
    assert moment("2024-05-01T10:00:00Z", extra, "created") is not None
    assert moment(None, extra, "created") is moment("", extra, "created") is None
    assert extra == {}
    assert moment("yesterday", extra, "createdAt") is None
    assert extra == {"createdAt": "yesterday"}


def test_json_text_is_total() -> None:
    assert json_text({"a": [1]}) == '{"a":[1]}'
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert json_text(deep) == ""


def test_an_answer_about_another_one_is_refused() -> None:
    @frozen
    class Details:
        id: str

    assert about_id(Details("a"), "a", provider="acme") == Details("a")
    with pytest.raises(errors.UnexpectedPayload, match="another job") as raised:
        about_id(Details("a"), "b", provider="acme", what="job")
    assert raised.value.provider == "acme"


@pytest.mark.parametrize(
    ("error", "caught"),
    [
        (errors.Forbidden("no"), True),
        (errors.NotFound("no"), True),
        (errors.UnexpectedPayload("odd"), True),
        (errors.Unreachable("cut"), False),
        (errors.Unavailable("down"), False),
    ],
)
def test_what_is_only_useful_may_be_refused_but_not_unreachable(error: errors.ContactsError, caught: bool) -> None:
    def flow() -> Flow[int]:
        yield from ()
        raise error

    if caught:
        assert run(flows.optional(flow())) is None  # type: ignore[arg-type]
    else:
        with pytest.raises(type(error)):
            run(flows.optional(flow()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ('<https://api.acme.example/c?page=2>; rel="next"', "https://api.acme.example/c?page=2"),
        ('<a>; rel="prev", <b?x=1,2;3>; title="a, b; rel=next"; rel=next', "b?x=1,2;3"),
        ('<b>; rel="last next"', "b"),
        ('<b>;REL="NEXT"', "b"),
        ('<a>; rel="nextish"', None),
        ("<a>", None),
        ("nonsense", None),
        ("", None),
        ("<" * 20_000, None),
    ],
)
def test_a_link_is_found_by_its_relation(header: str, address: str | None) -> None:
    assert link({"link": header}, "next") == address
