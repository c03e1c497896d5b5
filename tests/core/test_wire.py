"""What is sent and what answers mean, as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import httpx
import httpx2
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from contacts_core import errors
from contacts_core.http.addresses import file_address
from contacts_core.http.rate_headers import exhausted, pause, reset
from contacts_core.http.rate_limits import RateLimiter
from contacts_core.http.wire import Wire, details, reason, transport_errors
from contacts_core.provider import Provider, RateLimit, Request, base_url_setting, secret

NOW = 1_763_477_424.0


@frozen(kw_only=True)
class Acme(Provider):
    name = "acme"
    secret_patterns = (r"\bacme-key-\w+",)
    status_hints: ClassVar[Mapping[int, str]] = {403: "ask Acme for the right", 451: "use the host of your region"}
    key: str = secret()
    base_url: str = base_url_setting("https://api.acme.example")

    def headers(self) -> dict[str, str]:
        return {"x-key": self.key}


WIRE = Wire(Acme(key="k-secret-k"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"errors":[{"message":"a","field":"f"},{"message":"b","field":null}]}', "f: a; b"),
        (b'{"errors":{"message":"a"}}', "a"),
        (b'{"message":"a","parameter":"p"}', "p: a"),
        (b'[{"message":"a"},{"message":"a"}]', "a"),
        (b'{"error":"a"}', "a"),
        (b'{"error":{"message":"a","code":"c"}}', "c: a"),
        (b'{"code":"InvalidPayload","message":"a"}', "InvalidPayload: a"),
        (b"<html><body>502 Bad Gateway</body></html>", "the answer is a web page, not the API's"),
        (b"", "no reason given"),
        (b"nonsense", "no reason given"),
        (b'{"message": 5}', "no reason given"),
        (b"5", "no reason given"),
        (b"\xff\xfe", "no reason given"),
    ],
)
def test_a_refusal_is_read_in_every_shape(content: bytes, words: str) -> None:
    assert reason(content, {}) == words


def test_plain_text_is_a_reason() -> None:
    assert reason(b" not found \n", {"content-type": "text/plain; charset=utf-8"}) == "not found"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Rejected),
        (401, errors.Unauthenticated),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Rejected),
        (429, errors.RateLimited),
        (451, errors.Rejected),
        (500, errors.Unavailable),
        (599, errors.Unavailable),
        (302, errors.Rejected),
    ],
)
def test_the_status_decides_the_kind(status: int, kind: type[errors.ProviderError]) -> None:
    error = WIRE.refusal("GET /x", status, {"x-request-id": "r-1"}, b"")
    assert type(error) is kind
    assert (error.status, error.provider, error.request_id) == (status, "acme", "r-1")
    assert str(error) == f"acme GET /x [{status}]: no reason given"


def test_nothing_secret_or_personal_is_repeated() -> None:
    body = (
        b'{"message":"key k-secret-k of jane@example.com and Bearer abc.def and ACME-KEY-abc12, '
        b'phone +1 (202) 555-0143 unknown"}'
    )
    error = WIRE.refusal("GET /contacts/jane%40example.com", 400, {}, body)
    shown = f"{error} {error!r} {error.operation}"
    for secret_text in ("k-secret-k", "jane", "abc", "555"):
        assert secret_text not in shown
    assert "j***@example.com" in shown


def test_a_key_of_another_provider_is_not_repeated_either() -> None:
    @frozen(kw_only=True)
    class Emca(Provider):
        name = "emca"
        base_url: str = base_url_setting("https://api.emca.example")

    error = Wire(Emca()).refusal("GET /x", 400, {}, b'{"message":"bad key acme-key-777"}')
    assert "777" not in f"{error} {error!r}"


def test_a_hint_of_the_provider_is_used_before_the_general_one() -> None:
    assert WIRE.refusal("GET /x", 403, {}, b"").hint == "ask Acme for the right"
    assert WIRE.refusal("GET /x", 451, {}, b"").hint == "use the host of your region"
    assert WIRE.refusal("GET /x", 401, {}, b"").hint.startswith("check the key")


def test_a_long_reason_is_cut() -> None:
    assert len(WIRE.refusal("x", 400, {}, b'{"message":"' + b"m" * 9000 + b'"}').args[0]) == 200


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "Tue, 18 Nov 2025 14:50:34 GMT"}, 10.0),
        ({"retry-after": "Tue, 18 Nov 2025 14:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"x-ratelimit-reset": "25"}, 25.0),
        ({"x-ratelimit-reset": f"{NOW + 30:.0f}"}, 30.0),
        ({"x-ratelimit-reset": f"{NOW - 30:.0f}"}, 0.0),
        ({"x-ratelimit-reset": "?"}, None),
        ({"retry-after": "3", "x-ratelimit-reset": "25"}, 3.0),
        ({}, None),
    ],
)
def test_the_pause_that_a_vendor_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert pause(headers, NOW) == seconds


def test_only_an_empty_window_holds_back() -> None:
    assert exhausted({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9"}, NOW) == 9.0
    assert exhausted({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "9"}, NOW) is None
    assert exhausted({"x-ratelimit-remaining": "0"}, NOW) is None
    assert reset({}, NOW) is None


def test_an_answer_of_another_shape_names_the_call() -> None:
    call = Request("GET", "/x", dict[str, int])
    with pytest.raises(errors.UnexpectedPayload) as raised:
        WIRE.decoded(call, 200, {}, b'{"a": "jane@example.com"}')
    assert "$[...]" in str(raised.value)
    assert "jane" not in str(raised.value)
    assert raised.value.status == 200
    with pytest.raises(errors.UnexpectedPayload) as raised:
        WIRE.decoded(call, 200, {}, b" <!doctype html>")
    assert "web page" in raised.value.hint


def test_failures_of_either_library_are_known() -> None:
    class Mine(httpx.Client):
        pass

    class Wrapper:
        """Has the interface, and no httpx above it."""

    for client in (httpx.Client(), httpx2.Client(), Mine(), Wrapper()):
        known = transport_errors(client)
        assert issubclass(httpx.ReadTimeout, known)
        assert issubclass(httpx2.ReadTimeout, known)
        assert issubclass(ConnectionResetError, known)
        assert not issubclass(ValueError, known)


@pytest.mark.parametrize("url", ["ftp://x/y", "file:///etc/passwd", "javascript:x", "", "//x/y", "data:,x"])
def test_files_are_at_http_addresses(url: str) -> None:
    with pytest.raises(errors.UnexpectedPayload):
        file_address(url)


def test_files_do_not_leave_https() -> None:
    assert file_address("http://x/y") == "http://x/y"
    assert file_address("https://x/y", "https://z/") == "https://x/y"
    with pytest.raises(errors.UnexpectedPayload):
        file_address("http://x/y", "https://z/")


@given(st.integers(1, 5), st.lists(st.floats(0.0, 0.7), max_size=60))
def test_no_window_holds_more_than_the_limit(limit: int, gaps: list[float]) -> None:
    limiter = RateLimiter({"": RateLimit(limit, 1.0)})
    now, sent = 0.0, list[float]()
    for gap in gaps:
        now += gap
        while (delay := limiter.delay("", now)) > 0:
            now += delay
        sent.append(now)
    for start in sent:
        assert sum(start <= moment < start + 0.998 for moment in sent) <= limit


def test_limits_are_apart_and_an_unknown_name_is_the_general_one() -> None:
    limiter = RateLimiter({"": RateLimit(1, 60), "search": RateLimit(1, 60)})
    assert limiter.delay("", 0) == limiter.delay("search", 0) == 0
    assert limiter.delay("other", 0) > 0
    assert limiter.delay("search", 1) > 0


def test_a_hold_lasts_until_its_moment() -> None:
    limiter = RateLimiter({})
    limiter.hold("", 10.0)
    assert limiter.delay("", 4.0) == 6.0
    assert limiter.delay("", 10.0) == 0.0


def test_secrets_do_not_show() -> None:
    assert "k-secret-k" not in repr(Acme(key="k-secret-k"))


def test_options_have_a_body_only_where_there_is_one() -> None:
    client = httpx.Client()
    plain: Any
    plain, limit = WIRE.request(client, Request("GET", "/x", object))
    assert plain.content == b""
    assert "content-type" not in plain.headers
    assert limit == 120
    full: Any = WIRE.request(client, Request("POST", "/x", object, json={}))[0]
    assert full.content == b"{}"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b'{"errors":[{"field":"contacts[3].email","message":"not valid"},{"message":"also"}]}',
         (("contacts[3].email", "not valid"), ("", "also"))),
        (b'{"message":"too many","parameter":"ids"}', (("ids", "too many"),)),
        (b'[{"message":"x","field":null}]', (("", "x"),)),
        (b'{"errors":{"message":"one"}}', (("", "one"),)),
        (b'{"errors":[null,7,{"message":7}]}', ()),
        (b'{"errors":7}', ()),
        (b"<html>", ()),
        (b"", ()),
        (b"[" * 9_000, ()),
    ],
)  # fmt: skip
def test_a_refusal_tells_the_fields_it_names(content: bytes, named: tuple[tuple[str, str], ...]) -> None:
    assert details(content) == named
    error = WIRE.refusal("x", 400, {}, content)
    assert isinstance(error, errors.Rejected)
    assert error.details == named
