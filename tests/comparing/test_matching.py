"""Which contacts match: against a union-find in memory, and case by case."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_core import Identifier
from contacts_core.plans.comparing.matching import Hold, Match, Matching, Side, compared_identifiers

People: TypeAlias = Sequence[Sequence[Identifier]]
Node: TypeAlias = tuple[Side, int]

POOL = (
    *(Identifier.email(f"p{n}@example.com") for n in range(5)),
    Identifier.email("P0@Example.com"),
    Identifier.phone("+12025550101"),
    Identifier.phone("(202) 555-0101", "1"),
    Identifier.phone("n/a"),
    Identifier.email("unknown"),
    Identifier.external_id("1"),
    Identifier.anonymous_id("1"),
    Identifier.other("crm", "1"),
    Identifier.other("shop", "1"),
    Identifier.email("  "),
)
PEOPLE = st.lists(st.lists(st.sampled_from(POOL), max_size=3), max_size=7)


def matched(source: People, target: People) -> Matching:
    matching = Matching()
    matching.add(Side.SOURCE, enumerate(source))
    matching.add(Side.TARGET, enumerate(target))
    matching.settle()
    return matching


def naive(source: People, target: People) -> dict[int, int | str | None]:
    """Return the target of each contact of the source, None without one, or ``held``: by union-find."""
    parents: dict[Node, Node] = {}

    def root(node: Node) -> Node:
        while parents.setdefault(node, node) != node:
            node = parents[node]
        return node

    owners: dict[Identifier, Node] = {}
    for side, people in ((Side.SOURCE, source), (Side.TARGET, target)):
        for n, given_identifiers in enumerate(people):
            for each in compared_identifiers(given_identifiers):
                parents[root((side, n))] = root(owners.setdefault(each, (side, n)))
    nodes = [*((Side.SOURCE, n) for n in range(len(source))), *((Side.TARGET, n) for n in range(len(target)))]
    found: dict[int, int | str | None] = {}
    for n in range(len(source)):
        together = [node for node in nodes if root(node) == root((Side.SOURCE, n))]
        targets = [number for side, number in together if side is Side.TARGET]
        clean = len(together) - len(targets) == 1 and len(targets) <= 1
        found[n] = (targets[0] if targets else None) if clean else "held"
    return found


@settings(max_examples=500, deadline=None)
@given(PEOPLE, PEOPLE)
def test_the_matches_are_those_of_connected_components(source: People, target: People) -> None:
    matching = matched(source, target)
    answers = {n: matching.of(n) for n in range(len(source))}
    assert {n: "held" if each.hold else each.target for n, each in answers.items()} == naive(source, target)
    assert dict(matching.pairs()) == {n: each.target for n, each in answers.items() if each.target is not None}
    known = set(chain.from_iterable(map(compared_identifiers, source)))
    touched = [bool(known.intersection(compared_identifiers(each))) for each in target]
    assert [matching.is_touched(n) for n in range(len(target))] == touched


A, B, C, D = POOL[:4]


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ([[A]], [[A]], [Match(0)]),
        ([[A, B]], [[B, C]], [Match(0)]),
        ([[A]], [[B]], [Match()]),
        ([[]], [[]], [Match()]),
        ([[A, B], [B]], [[A]], [Match(hold=Hold.SHARED_IN_SOURCE, identifier=B)] * 2),
        ([[A, B]], [[A], [B]], [Match(hold=Hold.SEVERAL_IN_TARGET, identifier=B)]),
        ([[A]], [[A], [A]], [Match(hold=Hold.SEVERAL_IN_TARGET, identifier=A)]),
        (
            [[A], [B]],
            [[A, B]],
            [
                Match(hold=Hold.SEVERAL_IN_SOURCE, identifier=A),
                Match(hold=Hold.SEVERAL_IN_SOURCE, identifier=B),
            ],
        ),
        ([[A]], [[A, B], [B]], [Match(hold=Hold.SHARED_IN_TARGET, identifier=A)]),
        (
            [[A], [B]],
            [[A, B], [B, C]],
            [
                Match(hold=Hold.SEVERAL_IN_SOURCE, identifier=A),
                Match(hold=Hold.SEVERAL_IN_TARGET, identifier=B),
            ],
        ),
    ],
)
def test_what_is_not_one_to_one_is_held_with_a_reason(source: People, target: People, expected: list[Match]) -> None:
    matching = matched(source, target)
    assert [matching.of(n) for n in range(len(source))] == expected
    for each in expected:
        assert "p0@" not in each.reason
        assert bool(each.reason) == bool(each.hold)


def test_an_identifier_that_everybody_has_costs_no_pair_of_everybody() -> None:
    crowd = [[A, Identifier.external_id(f"{n}")] for n in range(3000)]
    matching = matched(crowd, crowd)
    assert {matching.of(n).hold for n in range(0, 3000, 100)} == {Hold.SHARED_IN_SOURCE}


def test_a_contact_held_for_another_reason_stays_held() -> None:
    matching = Matching()
    matching.add(Side.SOURCE, [(0, [A])])
    matching.add(Side.TARGET, [(0, [A])])
    matching.hold([0], Hold.SHOWN_TWICE)
    matching.settle()
    assert matching.of(0) == Match(hold=Hold.SHOWN_TWICE)
    assert matching.is_touched(0)
