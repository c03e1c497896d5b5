"""What a careless, broken or hostile vendor may answer, and what must not come of it."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Any

import httpx
import httpx2
import pytest

from contacts_core import Contacts, errors
from contacts_core.http import retry
from contacts_core.http.addresses import file_address
from contacts_core.http.blocking import BlockingTransport
from contacts_core.http.rate_headers import pause, reset
from contacts_core.http.wire import Wire, reason
from contacts_core.provider import Download, Emit, Flow, Gather, Read, Request, Settled, Stream, get, post
from tests.core.fake_providers import KEY, Limited, bare
from tests.core.transport_harness import WAYS, Body, Rig, upload

NOW = 1_763_477_424.0


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}-{way[1].__name__}")
def rig(request: pytest.FixtureRequest) -> Rig:
    return Rig(*request.param)


@pytest.fixture
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "backoff_s", lambda *_: 0.0)


def ask(call: Request[Any] | None = None) -> Flow[Any]:
    return (yield from call or get("/x", object))


# -- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["AccessKey", "Bearer", "Token", "Basic"])
@pytest.mark.parametrize(
    "body", ['{{"message": "the key {0} is unknown"}}', '{{"errors": [{{"message": "{0}"}}]}}', "{0}"]
)
def test_a_key_that_the_vendor_repeats_is_not_shown(scheme: str, body: str) -> None:
    wire = Wire(bare(scheme=scheme))
    for echo in (KEY, f"{scheme} {KEY}", f"{scheme}: {KEY}", f"'{KEY}'"):
        headers = {"content-type": "text/plain"}
        error = wire.refusal("GET /x", 401, headers, body.format(echo).encode())
        assert KEY not in f"{error} {error!r} {error.args} {error.hint} {error.operation} {error.request_id}"


def test_a_key_at_the_edge_of_the_excerpt_is_not_shown_in_part() -> None:
    wire = Wire(bare())
    for padding in range(150, 202):
        error = wire.refusal("GET /x", 400, {}, f'{{"message": "{"x" * padding} {KEY}"}}'.encode())
        assert KEY[:6] not in str(error)


def test_neither_redirects_nor_downloads_nor_uploads_carry_the_key(rig: Rig) -> None:
    rig.client_options = {
        "headers": {"Authorization": "Basic of-the-caller", "Cookie": "own=1"},
        "cookies": {"session": "of-the-caller"},
        "auth": ("user", "password"),
        "follow_redirects": True,
    }
    seen: list[Any] = []

    def vendor(request: Any) -> Any:
        seen.append(request)
        if request.url.path == "/moved":
            return rig.answer(302, headers={"location": "https://cdn.example.com/f", "set-cookie": "a=b"})
        return rig.answer(200, content=b"data")

    def flow() -> Flow[bytes]:
        source = yield from Download("https://files.example.com/moved")
        data = yield from Read(source)
        yield from upload("https://files.example.com/in", {"x-amz-meta": "1", "Content-Type": "text/csv"}, b"c")
        return data

    assert rig.run(bare(), flow(), vendor) == b"data"
    assert [str(request.url) for request in seen] == [
        "https://files.example.com/moved",
        "https://cdn.example.com/f",
        "https://files.example.com/in",
    ]
    for request in seen:
        assert "authorization" not in request.headers
        assert "cookie" not in request.headers
        assert KEY not in str(request.headers.raw)
    assert seen[2].headers["x-amz-meta"] == "1"
    assert seen[2].headers.get_list("content-type") == ["text/csv"]
    assert seen[2].content == b"c"


def test_logs_hold_neither_keys_nor_addresses(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "contacts_core"):
        rig.run(bare(), ask(get("/contacts/jane%40example.com", object)), lambda _: rig.answer(200, json=1))
    own = [record.getMessage() for record in caplog.records if record.name.startswith("contacts_core")]
    assert own
    assert "jane" not in str(own)
    assert KEY not in str(own)


def test_the_log_of_the_http_library_holds_no_addresses_either(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        rig.run(bare(), ask(get("/contacts/jane%40example.com", object)), lambda _: rig.answer(200, json=1))
        rig.run(bare(), fetch("https://files.example.com/x?signature=abc"), lambda _: rig.answer(200, content=b"x"))
    logged = [record.getMessage() for record in caplog.records]
    assert "jane" not in str(logged)
    assert "signature" not in str(logged)


# -- addresses of files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("file:///etc/hosts", ""),
        ("ftp://files.example.com/x", ""),
        ("//files.example.com/x", ""),
        ("/x", ""),
        ("", ""),
        ("data:text/plain,x", ""),
        (" https://files.example.com", ""),
        ("http://files.example.com/x", "https://files.example.com"),
        ("http://files.example.com/x", "HTTPS://files.example.com"),
        ("ftp://files.example.com/x", "http://files.example.com"),
    ],
)
def test_a_file_is_at_an_http_address_and_stays_on_https(url: str, origin: str) -> None:
    with pytest.raises(errors.UnexpectedPayload):
        file_address(url, origin)


def fetch(url: str) -> Flow[bytes]:
    whole = b""
    source = yield from Download(url)
    while data := (yield from Read(source)):
        whole += data
    return whole


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://files.example.com/x", "http://files.example.com/y"),
        ("HTTPS://files.example.com/x", "http://files.example.com/y"),
        ("https://files.example.com/x", "file:///etc/hosts"),
        ("http://files.example.com/x", "gopher://files.example.com"),
        ("https://files.example.com/x", "https://files.example.com:port/"),
        ("https://files.example.com/x", "http://["),
        ("https://files.example.com:port/x", ""),
        ("https://files.example.com\x7f/x", ""),
    ],
)
def test_a_file_that_leads_astray_is_an_error_of_ours(rig: Rig, url: str, location: str) -> None:
    seen: list[str] = []

    def vendor(request: Any) -> Any:
        seen.append(str(request.url))
        return rig.answer(302, headers={"location": location})

    with pytest.raises(errors.ProviderError) as caught:
        rig.run(bare(), fetch(url), vendor)
    assert len(seen) <= 1
    assert caught.value.__cause__ is None
    assert "files.example.com" not in str(caught.value)


def test_an_upload_to_an_address_that_is_none_is_an_error_of_ours(rig: Rig) -> None:
    def flow(url: str) -> Flow[None]:
        yield from upload(url, {}, b"x")

    for url in ("ftp://files.example.com", "https://files.example.com:port/"):
        with pytest.raises(errors.ProviderError):
            rig.run(bare(), flow(url), lambda _: rig.answer(200))


def test_redirects_that_go_round_in_circles_end(rig: Rig) -> None:
    seen: list[int] = []

    def vendor(_: Any) -> Any:
        seen.append(1)
        return rig.answer(307, headers={"location": "/again"})

    with pytest.raises(errors.UnexpectedPayload, match="too many redirects"):
        rig.run(bare(), fetch("https://files.example.com/x"), vendor)
    assert len(seen) == 5


def test_an_api_redirect_is_not_followed(rig: Rig) -> None:
    rig.client_options = {"follow_redirects": True}
    seen: list[str] = []

    def vendor(request: Any) -> Any:
        seen.append(str(request.url))
        return rig.answer(301, headers={"location": "https://evil.example.com/"})

    with pytest.raises(errors.Rejected):
        rig.run(bare(), ask(), vendor)
    assert seen == ["https://api.acme.example/x"]


def test_a_download_that_breaks_off_is_unreachable(rig: Rig) -> None:
    with pytest.raises(errors.Unreachable, match="ReadError"):
        rig.run(bare(), fetch("https://files.example.com/x"), lambda _: rig.answer(200, stream=Body(b"abc", rig.cut())))


def test_a_refused_download_that_breaks_off_is_unreachable_too(rig: Rig) -> None:
    with pytest.raises(errors.Unreachable):
        rig.run(bare(), fetch("https://files.example.com/x"), lambda _: rig.answer(403, stream=Body(b"a", rig.cut())))


def test_a_refused_download_says_why(rig: Rig) -> None:
    with pytest.raises(errors.Forbidden, match="expired"):
        rig.run(bare(), fetch("https://files.example.com/x"), lambda _: rig.answer(403, json={"message": "expired"}))


def test_a_stream_left_early_closes_its_download_and_reads_no_more(rig: Rig) -> None:
    body = Body(*[b"x"] * 100)

    def stream() -> Stream[bytes]:
        source = yield from Download("https://files.example.com/x")
        while data := (yield from Read(source)):
            yield Emit([data])

    taken = rig.take(bare(), stream(), lambda _: rig.answer(200, stream=body), most=2)
    assert taken == [b"x", b"x"]
    assert body.closed >= 1
    assert body.read <= 3


def test_a_flow_that_ends_early_closes_its_download(rig: Rig) -> None:
    body = Body(*[b"x"] * 100)

    def flow() -> Flow[bytes]:
        source = yield from Download("https://files.example.com/x")
        return (yield from Read(source))

    assert rig.run(bare(), flow(), lambda _: rig.answer(200, stream=body)) == b"x"
    assert body.closed >= 1


def test_empty_pieces_of_a_download_are_not_its_end(rig: Rig) -> None:
    body = Body(b"", b"a", b"", b"", b"b", b"")
    assert rig.run(bare(), fetch("https://files.example.com/x"), lambda _: rig.answer(200, stream=body)) == b"ab"


# -- pauses and repetitions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "²"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "Wed, 99 Foo 2020 99:99:99 GMT"}, None),
        ({"retry-after": "Tue, 18 Nov 2025 14:50:34 GMT"}, 10.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"x-ratelimit-reset": "-3"}, 0.0),
        ({"x-ratelimit-reset": "inf"}, None),
        ({"x-ratelimit-reset": "nan"}, None),
        ({"x-ratelimit-reset": "1.5"}, 1.5),
    ],
)
def test_a_pause_is_a_number_of_seconds_or_not_told(headers: dict[str, str], seconds: float | None) -> None:
    assert pause(headers, NOW) == seconds
    told = reset(headers, NOW)
    assert told is None or told >= 0


@pytest.mark.parametrize(
    "headers", [{"retry-after": "0"}, {"x-ratelimit-reset": "0"}, {"x-ratelimit-reset": "1000001"}]
)
def test_being_asked_to_wait_no_time_at_all_is_no_reason_to_give_up(rig: Rig, headers: dict[str, str]) -> None:
    answers = iter([rig.answer(429, headers=headers), rig.answer(200, json="fine")])
    assert rig.run(bare(), ask(), lambda _: next(answers)) == "fine"
    assert rig.slept == [0]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refusal_for_haste_is_repeated_even_for_what_must_not_act_twice(rig: Rig, method: str) -> None:
    answers = iter([rig.answer(429), rig.answer(429), rig.answer(200, json="fine")])
    call = get("/x", object) if method == "GET" else post("/x", object, {})
    assert rig.run(bare(), ask(call), lambda _: next(answers)) == "fine"
    assert len(rig.slept) == 2


def test_the_pause_that_the_vendor_asks_for_is_kept(rig: Rig) -> None:
    answers = iter([rig.answer(429, headers={"retry-after": "7"}), rig.answer(503), rig.answer(200, json="fine")])
    assert rig.run(bare(), ask(), lambda _: next(answers)) == "fine"
    assert rig.slept[0] == 7
    assert 0 <= rig.slept[1] <= 5


def test_the_rates_of_a_provider_are_kept_on_the_transports_own_clock(rig: Rig) -> None:
    sent: list[float] = []

    def vendor(_: Any) -> Any:
        sent.append(rig.now)
        return rig.answer(200, json=1)

    def flow() -> Flow[None]:
        for _ in range(5):
            yield from get("/x", object)
        yield from get("/x", object, rate_limit="slow")
        yield from get("/x", object, rate_limit="slow")

    rig.run(Limited(api_key=KEY), flow(), vendor)
    assert sent[:2] == [1000.0, 1000.0]
    assert sent[2] >= 1010
    assert sent[4] >= 1020
    assert sent[6] >= sent[5] + 100


@pytest.mark.parametrize("call", [get("/x", object), post("/x", object, {})], ids=["get", "post"])
def test_every_way_in_which_an_exchange_breaks_off_is_unreachable(rig: Rig, call: Request[Any]) -> None:
    names = ["ConnectError", "ReadError", "ReadTimeout", "ConnectTimeout", "RemoteProtocolError", "DecodingError"]
    for name in names:
        tries: list[int] = []

        def vendor(_: Any, name: str = name, tries: list[int] = tries) -> Any:
            tries.append(1)
            raise getattr(rig.library, name)("jane@example.com could not be reached")

        with pytest.raises(errors.Unreachable, match=name) as caught:
            rig.run(bare(), ask(call), vendor)
        assert len(tries) == (5 if call.idempotent else 1)
        assert "jane" not in f"{caught.value} {caught.value!r}"
        assert caught.value.__cause__ is None


class Wrapped:
    """A client of neither library that has their interface."""

    def __init__(self, inner: httpx.Client, error: Exception | None = None) -> None:
        self._inner, self._error = inner, error
        self.closed = False

    def build_request(self, method: str, url: Any, /, **options: Any) -> Any:
        return self._inner.build_request(method, url, **options)

    def send(self, request: Any, /, **options: Any) -> Any:
        if self._error:
            raise self._error
        return self._inner.send(request, **options)

    def close(self) -> None:
        self.closed = True


def test_anything_with_the_interface_of_a_client_works_and_stays_open() -> None:
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=5))) as inner:
        client = Wrapped(inner)
        with Contacts(bare(), client) as contacts:
            assert contacts.request("get", "/x") == 5
        assert not client.closed


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout("x"), httpx2.ReadTimeout("x"), ConnectionResetError(), TimeoutError()]
)
@pytest.mark.usefixtures("_no_backoff")
def test_the_exceptions_of_a_wrapped_client_are_understood(error: Exception) -> None:
    with httpx.Client() as inner, pytest.raises(errors.Unreachable):
        Contacts(bare(), Wrapped(inner, error)).request("get", "/x")


def test_an_address_that_is_none_is_an_error_of_ours(rig: Rig) -> None:
    with pytest.raises(errors.ContactsError):
        rig.run(bare(base_url="https://api.acme.example:port"), ask(), lambda _: rig.answer(200))


@pytest.mark.usefixtures("_no_backoff")
def test_a_cut_connection_over_a_real_socket_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            for _ in range(5):
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

        thread = threading.Thread(target=serve)
        thread.start()
        with Contacts(bare(base_url=f"http://127.0.0.1:{port}")) as contacts, pytest.raises(errors.Unreachable):
            contacts.request("GET", "/x")
        thread.join(5)
        assert not thread.is_alive()


# -- answers ----------------------------------------------------------------------------------------------------------


def test_an_empty_answer_to_a_raw_call_is_nothing(rig: Rig) -> None:
    assert rig.run(bare(), ask(Request("DELETE", "/x", object)), lambda _: rig.answer(204)) is None
    assert rig.run(bare(), ask(Request("DELETE", "/x", type(None))), lambda _: rig.answer(200, text="OK")) is None


def test_a_web_page_is_no_success_even_where_no_answer_is_expected(rig: Rig) -> None:
    with pytest.raises(errors.UnexpectedPayload, match="web page") as caught:
        rig.run(bare(), ask(Request("DELETE", "/x", type(None))), lambda _: rig.answer(200, text=" <html>"))
    assert (caught.value.status, "base URL" in caught.value.hint) == (200, True)


@pytest.mark.parametrize("body", [b"<html>", b"{", b"\xff", b"[" * 100_000], ids=["html", "cut", "bytes", "deep"])
def test_an_answer_that_is_no_json_is_unexpected_and_not_repeated(rig: Rig, body: bytes) -> None:
    tries: list[int] = []

    def vendor(_: Any) -> Any:
        tries.append(1)
        return rig.answer(200, content=body, headers={"x-request-id": "r-1"})

    with pytest.raises(errors.UnexpectedPayload) as caught:
        rig.run(bare(), ask(), vendor)
    assert len(tries) == 1
    assert (caught.value.provider, caught.value.operation) == ("acme", "GET /x")
    assert (caught.value.status, caught.value.request_id) == (200, "r-1")


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"errors": [{"errors": [{"message": 1}]}]}', b'{"error": {"error": null}}', b"null", b"\x00"],
    ids=["deep", "nested", "null inside", "null", "nul"],
)
def test_a_refusal_of_any_shape_has_a_reason_or_none(body: bytes) -> None:
    assert reason(body, {}) == "no reason given"


def test_a_long_plain_text_refusal_is_read_quickly() -> None:
    began = time.process_time()
    error = Wire(bare()).refusal("GET /x", 400, {"content-type": "text/plain"}, b"a" * 200_000)
    assert len(error.args[0]) == 200
    assert time.process_time() - began < 5


# -- side by side -----------------------------------------------------------------------------------------------------


def test_never_more_than_eight_requests_are_under_way_even_when_parts_have_parts(rig: Rig) -> None:
    lock = threading.Lock()
    under_way = [0, 0]

    def vendor(request: Any) -> Any:
        with lock:
            under_way[0] += 1
            under_way[1] = max(under_way)
        time.sleep(0.001)
        with lock:
            under_way[0] -= 1
        return rig.answer(200, json=str(request.url.path))

    def part(number: int) -> Flow[list[Settled[Any]]]:
        return (yield from Gather([ask(get(f"/{number}/{n}", object)) for n in range(3)], 8))

    def flow() -> Flow[list[Settled[list[Settled[Any]]]]]:
        return (yield from Gather([part(number) for number in range(12)], 100))

    settled = rig.run(bare(), flow(), vendor)
    paths = [inner.value for outer in settled for inner in outer.value or ()]
    assert paths == [f"/{number}/{n}" for number in range(12) for n in range(3)]
    assert under_way[1] <= 8


def test_a_limit_of_one_goes_in_order(rig: Rig) -> None:
    seen: list[str] = []

    def vendor(request: Any) -> Any:
        seen.append(request.url.path)
        return rig.answer(200, json=1)

    def flow() -> Flow[Any]:
        return (yield from Gather([ask(get(f"/{n}", object)) for n in range(9)], 1))

    rig.run(bare(), flow(), vendor)
    assert seen == [f"/{n}" for n in range(9)]


def test_together_with_nothing_gives_nothing() -> None:
    def flow() -> Flow[Any]:
        return (yield from Gather([], 4))

    rig = Rig("async", httpx)
    assert rig.run(bare(), flow(), lambda _: rig.answer(500)) == []


def test_a_transport_closes_only_the_client_it_made() -> None:
    with httpx.Client() as client:
        BlockingTransport(bare(), client).close()
        assert not client.is_closed
