"""Items that are made when they are used."""

from __future__ import annotations

import pytest

from contacts_core.models import Page
from contacts_core.provider import mapped, token_page
from contacts_core.provider.lazy import LazyItems


def test_items_are_made_once_and_not_before_they_are_used() -> None:
    made: list[int] = []

    def double(number: int) -> int:
        made.append(number)
        return 2 * number

    items = mapped(double, [1, 2, 3])
    assert (len(items), bool(items), made) == (3, True, [])
    assert list(items) == [2, 4, 6]
    assert (items[0], items[1:], 6 in items) == (2, [4, 6], True)
    assert made == [1, 2, 3]


def test_without_a_length_they_are_made_to_be_counted() -> None:
    items = LazyItems(lambda: (each for each in (1, 2, 3) if each > 1))
    assert len(items) == 2
    assert list(items) == [2, 3]


def test_they_are_equal_to_other_sequences_with_the_same_items() -> None:
    assert mapped(str, [1, 2]) == ["1", "2"]
    assert mapped(str, [1, 2]) == ("1", "2")
    assert mapped(str, [1, 2]) != ["1"]
    assert mapped(str, [1, 2]) != object()


def test_an_error_in_making_them_is_raised_at_each_use() -> None:
    items = mapped(int, ["1", "x"])
    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            list(items)
    assert len(items) == 2


def test_a_page_keeps_them_as_they_are() -> None:
    def never(_: int) -> int:
        raise AssertionError

    page: Page[int] = token_page(mapped(never, [1, 2]), "next")
    assert (len(page.items), page.next) == (2, "next")
