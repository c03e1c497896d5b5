"""Payloads and paths, as values."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Annotated, Any, Optional
from urllib.parse import unquote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts_core import errors
from contacts_core.provider import Payload, Provider, TolerantFields, UnknownFields, decoder, lines_decoder, path
from contacts_core.provider import payloads as decoding
from contacts_core.provider.base import check_id
from contacts_core.provider.payloads import payload_converter


class Inner(UnknownFields, kw_only=True):
    a: int | None = None


class Outer(UnknownFields, kw_only=True):
    id: str
    inner: Inner | None = None
    several: list[Inner] | None = None
    named: dict[str, Inner] | None = None


class Closed(Payload):
    id: str


class Odd(TolerantFields, kw_only=True, rename="camel"):
    id: str
    how_many: int | None = None
    inner: Inner | None = None
    several: list[Inner] | None = None
    any: object = None


class TestDecoding:
    def test_undeclared_fields_are_kept_wherever_they_are(self, caplog: pytest.LogCaptureFixture) -> None:
        several, named = '[{"c":"p@example.com"},{}]', '{"k":{"d":null}}'
        raw = f'{{"id":"1","x":{{"y":1}},"inner":{{"a":1,"b":2}},"several":{several},"named":{named}}}'.encode()
        with caplog.at_level(logging.INFO, "contacts_core.drift"):
            found: Outer = decoder(Outer)(raw, None)
        assert found.unknown == {"x": {"y": 1}}
        assert found.inner is not None
        assert (found.inner.a, found.inner.unknown) == (1, {"b": 2})
        assert found.several is not None
        assert [each.unknown for each in found.several] == [{"c": "p@example.com"}, {}]
        assert found.named is not None
        assert found.named["k"].unknown == {"d": None}
        assert "Inner has undeclared fields: c" in caplog.messages
        assert not any("example.com" in message for message in caplog.messages)

    def test_a_payload_without_a_place_for_them_drops_them(self) -> None:
        assert decoder(Closed)(b'{"id":"1","x":2}', None).id == "1"

    @pytest.mark.parametrize(
        ("raw", "where"),
        [
            (b'{"id":1}', "$.id"),
            (b"{}", "`id`"),
            (b'{"id":"1","several":[{},{"a":"jane@example.com"}]}', "$.several[1].a"),
            (b'{"id":"1","new":1,"several":[{"a":"jane@example.com"}]}', "$.several[0].a"),
            (b'{"id":"1","new":1', "truncated"),
            (b'{"id"', "truncated"),
            (b"[]", "array"),
            (b"", "truncated"),
            (b"\xff", "malformed"),
        ],
    )
    def test_what_does_not_fit_is_named_by_its_path(self, raw: bytes, where: str) -> None:
        with pytest.raises(errors.UnexpectedPayload) as raised:
            decoder(Outer)(raw, None)
        assert where in str(raised.value)
        assert "jane" not in str(raised.value)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("howMany", '"7"'),
            ("howMany", "1e999"),
            ("howMany", "9" * 5_000),
            ("several", "{}"),
            ("several", "[null]"),
            ("several", '[{"a":"x"}]'),
            ("inner", "[]"),
        ],
    )
    def test_an_odd_value_counts_as_not_told_and_is_kept(self, field: str, value: str) -> None:
        found = decoder(list[Odd])(f'[{{"id":"1","{field}":{value},"new":0}},{{"id":"2"}}]'.encode(), None)
        assert [each.id for each in found] == ["1", "2"]
        assert (found[0].how_many, found[0].inner, found[0].several) == (None, None, None)
        assert found[0].unknown.keys() == {field, "new"}
        assert found[1].unknown == {}

    @pytest.mark.parametrize(
        "raw", [b'{"id":7}', b'{"howMany":1}', b'{"id":"1","any":' + b"[" * 5_000, b'{"id":"\xff"}']
    )
    def test_what_must_be_there_stays_strict(self, raw: bytes) -> None:
        with pytest.raises(errors.UnexpectedPayload):
            decoder(Odd)(raw, None)

    def test_a_number_beyond_all_bounds_is_kept_as_text(self) -> None:
        assert decoder(Odd)(b'{"id":"1","any":[1e999,1.5]}', None).any == ["1e999", 1.5]

    def test_a_web_page_is_no_empty_answer(self) -> None:
        structure = payload_converter().structure
        assert structure(b"", type(None)) is structure(b"[]", type(None)) is None
        with pytest.raises(errors.UnexpectedPayload):
            structure(b" <html>", type(None))

    def test_lines(self) -> None:
        decode = lines_decoder(Outer)
        assert [each.id for each in decode(b'{"id":"1"}\n{"id":"2"}\n')] == ["1", "2"]
        assert [each.unknown for each in decode(b'{"id":"1"}\n\n{"id":"2","new":1}')] == [{}, {"new": 1}]
        with pytest.raises(errors.UnexpectedPayload):
            decode(b'{"id":"1"}\n{"id":2}\n')


class Node(UnknownFields, kw_only=True, rename="camel"):
    node_id: str
    next_node: Node | None = None
    odd: Odd | None = None


class Everywhere(UnknownFields, kw_only=True):
    union: list[Inner] | dict[str, Inner] | None = None
    optional: Optional[Inner] = None  # noqa: UP045 - a vendor's payloads may spell it so
    pair: tuple[Inner, ...] = ()
    measured: Annotated[list[Inner], msgspec.Meta(max_length=3)] = msgspec.field(default_factory=list)
    closed: Closed | None = None


class Steady(UnknownFields, frozen=True, kw_only=True):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    id: str


class Twice(UnknownFields, kw_only=True):
    id: str
    doubled: str = ""

    def __post_init__(self) -> None:
        self.doubled = 2 * self.id


class Labelled(UnknownFields, kw_only=True, tag_field="kind", tag="label"):
    id: str


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was read field by field."""
    read: list[bytes] = []
    plain = decoding.plain

    def noted(raw: bytes) -> Any:
        read.append(raw)
        return plain(raw)

    monkeypatch.setattr(decoding, "plain", noted)
    return read


class TestUndeclaredFields:
    """A field that a vendor adds is met once; afterwards its pages are read as quickly as before."""

    def test_only_the_first_page_with_a_new_field_is_read_field_by_field(self, slow: list[bytes]) -> None:
        decode = decoder(list[Odd])
        for value in (b'"x"', b"null", b'{"deep":[1]}', b"2.5"):
            raw = b'[{"id":"1","new":' + value + b',"howMany":3},{"id":"2"}]'
            first, second = decode(raw, None)
            assert isinstance(first, Odd)
            assert (first.id, first.how_many, second.id) == ("1", 3, "2")
            assert (first.unknown, second.unknown) == ({"new": msgspec.json.decode(value)}, {})
        assert len(slow) == 1

    def test_fields_are_learned_wherever_payloads_are(self, slow: list[bytes]) -> None:
        decode = decoder(dict[str, Everywhere])
        inner, closed = b'{"a":1,"b":2}', b'{"id":"1","c":3}'
        parts = b'"optional":%b,"pair":[%b],"measured":[%b],"closed":%b,"d":4' % (inner, inner, inner, closed)
        for turn in range(3):
            listed = decode(b'{"k":{"union":[%b],%b}}' % (inner, parts), None)["k"]
            named = decode(b'{"k":{"union":{"x":%b},%b}}' % (inner, parts), None)["k"]
            for each in (listed.union[0], named.union["x"], listed.optional, listed.pair[0], listed.measured[0]):
                assert (each.a, each.unknown) == (1, {"b": 2})
            assert listed.unknown == named.unknown == {"d": 4}
            assert listed.closed.id == "1"
            assert len(slow) == 1, turn

    def test_payloads_that_hold_themselves_learn_too(self, slow: list[bytes]) -> None:
        decode = decoder(Node)
        raw = b'{"nodeId":"1","nextNode":{"nodeId":"2","nextNode":{"nodeId":"3","new":1}},"odd":{"id":"4","howMany":5}}'
        for _ in range(3):
            found = decode(raw, None)
            assert found.next_node.next_node.unknown == {"new": 1}
            assert found.odd.how_many == 5
            assert found.unknown == found.next_node.unknown == found.odd.unknown == {}
        assert len(slow) == 1

    @pytest.mark.parametrize(
        "name",
        ["two words", "1st", "class", "self", "unknown", "undeclared_0", "id ", "é", "\u4f60", "$ref", "__init__"],
    )
    def test_any_name_will_do(self, name: str, slow: list[bytes]) -> None:
        decode = decoder(Outer)
        raw = msgspec.json.encode({"id": "1", name: "x", "inner": {name: 2}})
        for _ in range(2):
            found = decode(raw, None)
            assert (found.unknown, found.inner.unknown) == ({name: "x"}, {name: 2})
        assert len(slow) == 1

    @pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "\x00", "x" * 101])
    def test_names_that_cannot_be_learned_still_arrive(self, name: str, slow: list[bytes]) -> None:
        decode = decoder(Outer)
        raw = msgspec.json.encode({"id": "1", name: "x", "new": 1})
        for _ in range(2):
            assert decode(raw, None).unknown == {name: "x", "new": 1}
        assert len(slow) == 2

    def test_fields_that_come_one_after_the_other_are_all_learned(self, slow: list[bytes]) -> None:
        decode = decoder(Outer)
        for name in ("b", "a", "c"):
            assert decode(b'{"id":"1","%b":1}' % name.encode(), None).unknown == {name: 1}
        slow.clear()
        assert decode(b'{"c":3,"id":"1","a":null,"b":[]}', None).unknown == {"a": None, "b": [], "c": 3}
        assert slow == []

    def test_new_names_on_every_page_make_no_types_without_end(
        self, monkeypatch: pytest.MonkeyPatch, slow: list[bytes]
    ) -> None:
        derived: list[str] = []
        defstruct = msgspec.defstruct

        def counted(name: str, *arguments: Any, **settings: Any) -> type[msgspec.Struct]:
            derived.append(name)
            return defstruct(name, *arguments, **settings)

        monkeypatch.setattr(msgspec, "defstruct", counted)
        decode = decoder(Outer)
        for n in range(200):
            assert decode(b'{"id":"1","n%d":%d}' % (n, n), None).unknown == {f"n{n}": n}
        assert len(derived) == decoding.MAX_DERIVATIONS
        assert len(slow) == 200
        assert decode(b'{"id":"1","n0":0}', None).unknown == {"n0": 0}
        assert len(slow) == 200

    def test_very_many_names_in_one_object_are_not_learned(self, slow: list[bytes]) -> None:
        decode = decoder(Outer)
        many = {f"n{n}": n for n in range(decoding.MAX_LEARNED_FIELDS + 1)}
        for _ in range(2):
            assert decode(msgspec.json.encode({"id": "1", **many}), None).unknown == many
        assert len(slow) == 2
        few = dict(list(many.items())[1:])
        for _ in range(2):
            assert decode(msgspec.json.encode({"id": "1", **few}), None).unknown == few
        assert len(slow) == 3

    def test_odd_values_and_wrong_ones_are_told_as_before(self) -> None:
        decode = decoder(list[Odd])
        decode(b'[{"id":"1","new":0}]', None)
        (found,) = decode(b'[{"id":"1","howMany":"7","new":1,"other":2}]', None)
        assert found.how_many is None
        assert found.unknown == {"howMany": "7", "new": 1, "other": 2}
        with pytest.raises(errors.UnexpectedPayload, match=r"\$\[0\]\.id"):
            decode(b'[{"id":1,"new":1}]', None)
        assert decode(b'[{"id":"1","new":%b}]' % (b"9" * 5_000), None)[0].unknown == {"new": "9" * 5_000}

    def test_answers_that_do_not_fit_teach_nothing(self, slow: list[bytes]) -> None:
        decode = decoder(Outer)
        with pytest.raises(errors.UnexpectedPayload):
            decode(b'{"id":1,"new":1}', None)
        decode(b'{"id":"1","new":1}', None)
        assert len(slow) == 2

    def test_what_a_payload_class_does_itself_is_kept(self, slow: list[bytes]) -> None:
        decode_steady, decode_twice = decoder(Steady), decoder(Twice)
        for _ in range(2):
            steady, twice = decode_steady(b'{"id":"1","new":1}', None), decode_twice(b'{"id":"1","new":1}', None)
            assert (steady.unknown, twice.unknown, twice.doubled) == ({"new": 1}, {"new": 1}, "11")
            with pytest.raises(AttributeError):
                steady.id = "2"
        assert len(slow) == 2

    def test_a_class_that_cannot_be_derived_from_is_read_field_by_field(self, slow: list[bytes]) -> None:
        decode = decoder(Labelled)
        for _ in range(3):
            assert decode(b'{"kind":"label","id":"1","new":1}', None).unknown == {"kind": "label", "new": 1}
        assert len(slow) == 3

    def test_lines_learn_as_pages_do(self, slow: list[bytes]) -> None:
        decode = lines_decoder(Odd)
        for _ in range(2):
            found = decode(b'{"id":"1","new":1}\n{"id":"2"}\n{"id":"3","new":3}\n')
            assert [each.unknown for each in found] == [{"new": 1}, {}, {"new": 3}]
        assert len(slow) == 1

    def test_every_page_is_logged_once_for_each_way_of_drifting(
        self, caplog: pytest.LogCaptureFixture, slow: list[bytes]
    ) -> None:
        decode = decoder(list[Odd])
        raw = b'[{"id":"1","a":1},{"id":"2","a":2},{"id":"3","b":3},{"id":"4"}]'
        with caplog.at_level(logging.INFO, "contacts_core.drift"):
            for _ in range(3):
                caplog.clear()
                decode(raw, None)
                assert caplog.messages == ["Odd has undeclared fields: a", "Odd has undeclared fields: b"]
            caplog.clear()
            decode(b'[{"id":"1"}]', None)
            decode(b'[{"id":"1","a":1,"howMany":"7"},{"id":"1","a":1,"howMany":"8"}]', None)
            assert caplog.messages == ["Odd has undeclared fields: a", "Odd has fields of another type: howMany"]
        assert len(slow) == 2


class TestPaths:
    @given(st.text(min_size=1, max_size=200))
    def test_a_value_is_one_segment_whatever_it_holds(self, value: str) -> None:
        try:
            filled = path("/a/{x}/b", x=value)
        except errors.InvalidInput:
            assert not value.strip() or set(value) == {"."}
            return
        except UnicodeEncodeError:
            return
        split = urlsplit("https://host" + filled)
        assert (split.query, split.fragment) == ("", "")
        assert [unquote(part) for part in split.path.split("/")] == ["", "a", value, "b"]

    @pytest.mark.parametrize("value", ["", "  ", ".", "..", "x" * 1000])
    def test_what_cannot_be_a_segment_is_refused(self, value: str) -> None:
        with pytest.raises(errors.InvalidInput):
            path("/{x}", x=value)

    def test_what_a_vendor_wants_raw_stays_raw(self) -> None:
        assert path("/{x}", safe="@+", x="a+b@example.com/../?") == "/a+b@example.com%2F..%2F%3F"

    @pytest.mark.parametrize("good", ["contact_67890", "123e4567-e89b-12d3-a456-426614174000", "a.b", "x" * 255])
    def test_ids(self, good: str) -> None:
        assert check_id(good) == ""

    @pytest.mark.parametrize("bad", ["", " ", ".", "...", "../x", "a/b", "a b", "a,b", "a%2fb", "a\n", "ü", "x" * 256])
    def test_no_ids(self, bad: str) -> None:
        assert check_id(bad)

    @pytest.mark.parametrize("wrong", ["", "api.example.com", "ftp://x", "https://", "https:///x", "file:///x"])
    def test_base_urls(self, wrong: str) -> None:
        class Somewhere(Provider):
            name = "somewhere"

        assert Somewhere(base_url="http://x/y/").base_url == "http://x/y"
        with pytest.raises(errors.ConfigurationError):
            Somewhere(base_url=wrong)


RACE = """
import sys, threading
from contacts_core.provider import Payload, decoder

sys.setswitchinterval(1e-6)
for n in range(300):
    fields = "".join(f"    f{i}: 'list[Inner{n}] | None' = None\\n" for i in range(30))
    exec(f"class Inner{n}(Payload):\\n    a: 'str' = ''\\n    b: 'int | None' = None\\n")
    exec(f"class Outer{n}(Payload):\\n{fields}")
    kind, gate = globals()[f"Outer{n}"], threading.Barrier(8)

    def work():
        gate.wait()
        decoder(kind)(b'{"f1": [{"a": "x"}], "f29": [{"b": 1}]}')

    threads = [threading.Thread(target=work) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
"""


def test_threads_may_meet_a_payload_for_the_first_time_together() -> None:
    """In a process of its own: where it goes wrong, the whole process crashes."""
    assert subprocess.run([sys.executable, "-c", RACE], check=False).returncode == 0


LEARNING = """
import sys, threading
from contacts_core.provider import TolerantFields, UnknownFields, decoder

sys.setswitchinterval(1e-6)

class Inner(TolerantFields, kw_only=True):
    a: 'str | None' = None

class Outer(UnknownFields, kw_only=True):
    id: 'str'
    inner: 'list[Inner] | None' = None
    same: 'dict[str, Inner] | None' = None

for _ in range(40):
    decode, gate, wrong = decoder(Outer), threading.Barrier(8), []

    def work(n):
        gate.wait()
        for m in (*range(6), *range(6)):
            raw = b'{"id":"1","x%d":1,"inner":[{"y%d":2},{}],"same":{"k":{"a":"b"}}}' % ((n + m) % 6, m)
            found = decode(raw, None)
            if (found.unknown, found.inner[0].unknown) != ({f"x{(n + m) % 6}": 1}, {f"y{m}": 2}):
                wrong.append(raw)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert wrong == [], wrong
"""


def test_threads_may_learn_fields_of_one_payload_together() -> None:
    """In a process of its own, as above."""
    assert subprocess.run([sys.executable, "-c", LEARNING], check=False).returncode == 0
