"""Payloads and paths, as values."""

from __future__ import annotations

import logging
import subprocess
import sys
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts_core import errors
from contacts_core.provider import Payload, Provider, TolerantFields, UnknownFields, decoder, lines_decoder, path
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
