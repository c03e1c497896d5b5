"""Reasons of very many contacts, which are kept in a few bytes each."""

from __future__ import annotations

import tracemalloc

import pytest

from contacts_core.plans.execution.index_reasons import IndexReasons
from contacts_core.plans.execution.verdicts import Evidence

MANY = 20_000


def test_it_is_a_mapping_in_the_order_of_the_indexes() -> None:
    reasons = IndexReasons(6, {4: "gone", 1: "changed"})
    reasons.update({2: "gone", 4: "refused"})
    assert dict(reasons) == {1: "changed", 2: "gone", 4: "refused"}
    assert list(reasons) == [1, 2, 4]
    assert (len(reasons), bool(reasons), bool(IndexReasons(3))) == (3, True, False)
    assert [n in reasons for n in (-1, 0, 1, 6, "1")] == [False, False, True, False, False]
    assert reasons.get(0, "") == ""
    with pytest.raises(KeyError):
        reasons[5]


def test_a_reason_of_every_contact_takes_four_bytes_each() -> None:
    tracemalloc.start()
    try:
        reasons = IndexReasons(MANY)
        for first in range(0, MANY, 1000):  # as steps give them: each with texts of its own
            reasons.update({n: f"the vendor refused it ({n % 3})" for n in range(first, first + 1000)})
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(reasons) == MANY
    assert used < 5 * MANY


def test_doubtful_contacts_are_told_once_and_one_by_one() -> None:
    evidence = Evidence(targets=(1, 3), unread_targets={3: "not read", 7: "not read"})
    assert list(evidence.doubtful) == [1, 3, 7]
