"""The quick construction gives the same frozen objects as the usual one."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest
from attrs import frozen

from contacts_core.models import Address, Contact, ContactList, Identifier, IdentifierKind
from contacts_core.provider import constructor


@frozen(weakref_slot=False)
class Pair:
    left: int
    right: str = "r"


build = constructor(Pair)
CASES: list[tuple[Any, tuple[Any, ...]]] = [
    (Pair, (1, "x")),
    (Address, ("1 Main St", "", "Town", "", "12345", "", "")),
    (Identifier, (IdentifierKind.EMAIL, "jane@example.com", True, "", "", "")),
    (ContactList, ("acme", "l1", "News", None, "", None, None, {})),
    (Contact, ("acme", "c1", (), "Jane", None, None, None, None, None, None, (), {}, None, None, {})),
]


@pytest.mark.parametrize(("cls", "values"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_it_gives_the_same_as_the_class_itself(cls: Any, values: tuple[Any, ...]) -> None:
    quick, usual = constructor(cls)(*values), cls(*values)
    assert type(quick) is cls
    assert quick.__class__ is cls
    assert isinstance(quick, cls)
    assert quick == usual
    assert repr(quick) == repr(usual)
    assert attrs.asdict(quick, recurse=False) == attrs.asdict(usual, recurse=False)


def test_frozen_stays_frozen() -> None:
    pair = build(1, "x")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        pair.left = 2  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del pair.left
    with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError)):
        pair.other = 2  # type: ignore[attr-defined]
    assert not hasattr(pair, "__dict__")


def test_it_hashes_evolves_copies_and_pickles_like_any_other() -> None:
    pair = build(1, "x")
    assert hash(pair) == hash(Pair(1, "x"))
    assert len({pair, Pair(1, "x")}) == 1
    assert attrs.evolve(pair, left=5) == Pair(5, "x")
    assert pair == Pair(1, "x")
    assert copy.copy(pair) == pair
    assert copy.deepcopy(pair) == pair
    assert pickle.loads(pickle.dumps(pair)) == pair  # noqa: S301 - our own


def test_every_field_must_be_given() -> None:
    with pytest.raises(TypeError):
        build(1)


def test_fields_that_are_always_the_same_are_given_once() -> None:
    alone = constructor(Pair, right="always")
    assert (alone(1), alone(left=2)) == (Pair(1, "always"), Pair(2, "always"))
    with pytest.raises(TypeError):
        alone(1, "x")


def test_instances_do_not_share_their_state() -> None:
    one, two = build(1, "x"), build(2, "y")
    assert (one.left, two.left) == (1, 2)


def test_a_class_with_a_weakref_slot_is_refused_when_it_is_used() -> None:
    @frozen
    class Weak:
        left: int

    with pytest.raises(TypeError):
        constructor(Weak)(1)
