from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contacts_core.plans.execution.index_set import IndexSet

INDEXES = st.sets(st.integers(0, 99))


@given(INDEXES, INDEXES)
def test_it_is_a_set_in_order(first: set[int], second: set[int]) -> None:
    indexes = IndexSet(100, first)
    indexes.update(second)
    both = sorted(first | second)
    assert (list(indexes), len(indexes), bool(indexes)) == (both, len(both), bool(both))
    assert [n for n in range(-2, 103) if n in indexes] == both


@given(INDEXES)
def test_what_is_packed_is_unpacked(indexes: set[int]) -> None:
    assert list(IndexSet.unpacked(IndexSet(100, indexes).packed)) == sorted(indexes)


def test_a_million_indexes_are_packed_into_a_few_kilobytes() -> None:
    assert len(IndexSet(10**6, range(10**6)).packed) < 2048
    assert not list(IndexSet(0))
