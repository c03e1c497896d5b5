"""From bytes to payloads: nothing a vendor adds is lost, and no message repeats a value."""

from __future__ import annotations

import json
import logging
from types import NoneType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_core.decoding import Payload, UnknownFields, decoder, lines_decoder, payload_converter
from contacts_core.errors import UnexpectedPayload

SECRET = "jane.smith@example.com"
CONVERTER = payload_converter()


class Leaf(UnknownFields):
    id: str


class Plain(Payload):
    id: str


class Tree(UnknownFields, rename="camel"):
    leaf: Leaf | None = None
    leaves: list[Leaf] | None = None
    by_name: dict[str, Leaf] | None = None
    either: str | Leaf | list[Leaf] | None = None
    deep: list[dict[str, list[Leaf]]] | None = None
    plain: Plain | None = None


def structure(raw: bytes, type_: Any) -> Any:
    return CONVERTER.structure(raw, type_)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


LEAF = {"id": "1", "new": {"a": [1]}}


@pytest.mark.parametrize(
    ("body", "leaf"),
    [
        ({"leaf": LEAF}, lambda tree: tree.leaf),
        ({"leaves": [{"id": "0"}, LEAF]}, lambda tree: tree.leaves[1]),
        ({"byName": {"x": LEAF}}, lambda tree: tree.by_name["x"]),
        ({"either": LEAF}, lambda tree: tree.either),
        ({"either": [LEAF]}, lambda tree: tree.either[0]),
        ({"deep": [{"x": [LEAF]}]}, lambda tree: tree.deep[0]["x"][0]),
    ],
)
def test_undeclared_fields_are_kept_wherever_they_stand(body: Any, leaf: Any) -> None:
    tree = structure(as_json(body), Tree)
    assert leaf(tree).id == "1"
    assert leaf(tree).unknown == {"new": {"a": [1]}}
    assert tree.unknown == {}


def test_undeclared_fields_at_the_top_are_kept_beside_declared_ones() -> None:
    tree = structure(as_json({"either": "text", "by_name": 5, "leaf": None}), Tree)
    assert tree.unknown == {"by_name": 5}
    assert tree.either == "text"
    assert tree.leaf is None


def test_a_top_level_list_keeps_them_too() -> None:
    assert [leaf.unknown for leaf in structure(as_json([LEAF, {"id": "2"}]), list[Leaf])] == [{"new": {"a": [1]}}, {}]


def test_undeclared_fields_are_named_in_the_log_without_their_values(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "contacts_core.drift"):
        tree = structure(as_json({"plain": {"id": "1", "zeta": SECRET, "alpha": SECRET}}), Tree)
    assert tree.plain == Plain("1")
    assert [record.getMessage() for record in caplog.records] == ["Plain has undeclared fields: alpha, zeta"]


def test_a_page_that_fits_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        structure(as_json({"leaf": {"id": "1"}}), Tree)
    assert not caplog.records


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"leaf": {"id": 5, "x": SECRET}}, "$.leaf.id"),
        ({"leaf": {"x": SECRET}}, "$.leaf"),
        ({"leaves": [{"id": "1"}, {"id": None}]}, "$.leaves[1].id"),
        ({"new": SECRET, "leaf": {"id": [SECRET]}}, "$.leaf.id"),
        ({"byName": {SECRET: {"id": 1}}}, "$.byName[...].id"),
        (SECRET, "Expected `object`"),
        ([SECRET], "Expected `object`"),
    ],
)
def test_an_error_names_the_place_and_no_value(body: Any, path: str) -> None:
    with pytest.raises(UnexpectedPayload) as caught:
        structure(as_json(body), Tree)
    assert path in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"nonsense", b"<html>", b"\xff\xfe", b'{"leaf": {"id": "\xff"}}', b"[" * 100_000],
    ids=["empty", "cut", "text", "html", "bytes", "bad text", "deep"],
)
@pytest.mark.parametrize("type_", [Tree, object, list[Leaf]])
def test_bytes_that_are_no_json_are_unexpected(raw: bytes, type_: Any) -> None:
    with pytest.raises(UnexpectedPayload):
        structure(raw, type_)


@pytest.mark.parametrize("raw", [b"", b"<html>", b"{}", b"\xff"])
def test_no_body_is_read_where_none_is_wanted(raw: bytes) -> None:
    assert structure(raw, NoneType) is None


def test_object_gives_plain_json() -> None:
    assert structure(b'{"a": [1, null, "x"]}', object) == {"a": [1, None, "x"]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.dictionaries(st.text(min_size=1, max_size=5).filter(lambda name: name != "id"), JSON, max_size=4))
def test_whatever_a_vendor_adds_is_kept_as_it_is(added: dict[str, Any]) -> None:
    assert structure(as_json({"id": "1", **added}), Leaf).unknown == added


@settings(max_examples=200)
@given(JSON)
def test_any_json_either_fits_or_is_unexpected(body: Any) -> None:
    try:
        assert isinstance(structure(as_json(body), Tree), Tree)
    except UnexpectedPayload as error:
        assert str(error).startswith("the answer does not have the documented shape")


def test_lines_are_decoded_together_and_keep_what_is_undeclared() -> None:
    decode = lines_decoder(Leaf)
    assert [leaf.id for leaf in decode(b'{"id":"1"}\n{"id":"2"}\n')] == ["1", "2"]
    mixed = decode(b'{"id":"1"}\r\n\n{"id":"2","new":1}\n')
    assert [(leaf.id, leaf.unknown) for leaf in mixed] == [("1", {}), ("2", {"new": 1})]
    assert decode(b"") == []


def test_a_broken_line_is_unexpected_and_not_repeated() -> None:
    with pytest.raises(UnexpectedPayload) as caught:
        lines_decoder(Leaf)(f'{{"id":"1"}}\n{{"id":["{SECRET}"]}}\n'.encode())
    assert "$.id" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_the_decoder_of_a_type_is_a_hook_that_a_provider_may_replace() -> None:
    own = payload_converter()
    own.register_structure_hook(Leaf, lambda raw, _: decoder(Leaf)(raw.replace(b"'", b'"'), None))
    assert own.structure(b"{'id': '1'}", Leaf) == Leaf("1")
