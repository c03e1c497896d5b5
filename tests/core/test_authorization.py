"""Keys that expire, signatures, and which headers are secret."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import logging
import threading
from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
from attrs import field, frozen

from contacts_core import Contacts, errors
from contacts_core.http.wire import Wire
from contacts_core.provider import (
    Authorization,
    Blocking,
    Flow,
    Gather,
    Payload,
    Provider,
    Request,
    UnsignedRequest,
    base_url_setting,
    basic_auth,
    get,
    path,
    post,
    request,
    secret,
    secrets,
)
from contacts_core.provider.secrets import redact
from tests.core.transport_harness import WAYS, Rig

HOST = "https://api.acme.example"


class Token(Payload):
    access_token: str
    expires_in: float | None = None


@frozen(kw_only=True)
class OAuth(Provider):
    """A vendor with client credentials."""

    name = "oauth"
    concurrency = 8
    client_secret: str = secret()
    base_url: str = base_url_setting(HOST)

    def authorize(self) -> Flow[Authorization]:
        form = {"grant_type": "client_credentials", "client_secret": self.client_secret}
        token = yield from request("POST", "/token", Token, form=form, authorized=False, idempotent=True)
        return Authorization({"Authorization": f"Bearer {token.access_token}"}, token.expires_in)


OAUTH = OAuth(client_secret="s3cret-of-acme")


class Vendor:
    """Gives out tokens, and takes the last one only."""

    def __init__(self, rig: Rig, **token: Any) -> None:
        self.rig, self.token = rig, token
        self.tokens = 0
        self.revoked: set[int] = set()
        self.seen: list[tuple[str, str]] = []
        self.lock = threading.Lock()
        self.refuses: int | None = None

    def __call__(self, got: Any) -> Any:
        given = got.headers.get("authorization", "")
        with self.lock:
            self.seen.append((got.url.path, given))
            if got.url.path == "/token":
                self.tokens += 1
                if self.refuses:
                    return self.rig.answer(self.refuses, json={"error": "invalid_client"})
                return self.rig.answer(200, json={"access_token": f"token-number-{self.tokens}", **self.token})
            good = given == f"Bearer token-number-{self.tokens}" and self.tokens not in self.revoked
        return self.rig.answer(200 if good else 401, json={"message": f"{given} is not valid"})

    def paths(self) -> list[str]:
        return [path for path, _ in self.seen]


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}-{way[1].__name__}")
def rig(request: pytest.FixtureRequest) -> Rig:
    return Rig(*request.param)


def several(times: int, asked: Request[Any]) -> Flow[list[Any]]:
    answers: list[Any] = []
    for _ in range(times):
        answer = yield from asked
        answers += [answer]
    return answers


def authorized_by(vendor: Callable[[Any], Any], rig: Rig) -> Callable[[Any], Any]:
    """The vendor, with a token for whoever asks."""
    token = {"access_token": "token-of-today"}
    return lambda got: rig.answer(200, json=token) if got.url.path == "/token" else vendor(got)


def together(times: int) -> Flow[list[Any]]:
    settled = yield from Gather([several(1, get("/x", object)) for _ in range(times)], 8)
    for each in settled:
        if each.error:
            raise each.error
    return [each.value for each in settled]


def test_a_key_is_got_once_and_used_until_it_expires(rig: Rig) -> None:
    vendor = Vendor(rig)
    rig.run(OAUTH, several(3, get("/x", object)), vendor)
    assert vendor.seen == [("/token", ""), *[("/x", "Bearer token-number-1")] * 3]


def test_requests_side_by_side_get_one_key(rig: Rig) -> None:
    vendor = Vendor(rig)
    rig.run(OAUTH, together(8), vendor)
    assert sorted(vendor.paths()) == ["/token", *["/x"] * 8]


def test_a_key_is_renewed_a_little_before_it_expires(rig: Rig) -> None:
    vendor = Vendor(rig, expires_in=100)

    def flow() -> Flow[None]:
        for pause in (0.0, 85.0, 10.0):
            rig.now += pause
            yield from get("/x", object)

    rig.run(OAUTH, flow(), vendor)
    assert vendor.paths() == ["/token", "/x", "/x", "/token", "/x"]


@pytest.mark.parametrize(
    ("expires_in", "tokens"),
    [(10**400, 1), (1e308, 1), ("3600", 1), ("soon", 1), (None, 1), (0, 2), (-5, 2), (-(10**300), 2), ("0", 2)],
)
def test_whatever_a_vendor_says_of_expiry_requests_go_on(rig: Rig, expires_in: Any, tokens: int) -> None:
    class Odd(OAuth):
        def authorize(self) -> Flow[Authorization]:
            token = yield from get("/token", Token)
            return Authorization({"Authorization": f"Bearer {token.access_token}"}, expires_in)

    vendor = Vendor(rig)
    rig.run(Odd(client_secret="s3cret-of-acme"), several(2, get("/x", object)), vendor)
    assert vendor.tokens == tokens


def test_a_key_that_expires_at_once_serves_its_request(rig: Rig) -> None:
    vendor = Vendor(rig, expires_in=0)
    rig.run(OAUTH, several(2, get("/x", object)), vendor)
    assert vendor.paths() == ["/token", "/x"] * 2


@pytest.mark.parametrize(
    "asked", [get("/x", object), post("/x", object, {}), Request("GET", "/x", object, patience=1.0)]
)
def test_after_a_401_the_key_is_renewed_once(rig: Rig, asked: Request[Any]) -> None:
    vendor = Vendor(rig)
    vendor.revoked = {1}
    rig.run(OAUTH, several(1, asked), vendor)
    assert vendor.paths() == ["/token", "/x", "/token", "/x"]
    assert not any(rig.slept)


def test_a_key_that_is_refused_again_ends_the_request(rig: Rig) -> None:
    vendor = Vendor(rig)
    vendor.revoked = set(range(100))
    with pytest.raises(errors.Unauthenticated):
        rig.run(OAUTH, several(1, get("/x", object)), vendor)
    assert vendor.paths() == ["/token", "/x", "/token", "/x"]


def test_keys_refused_side_by_side_are_renewed_once(rig: Rig) -> None:
    vendor = Vendor(rig)
    vendor.revoked = {1}
    rig.run(OAUTH, together(4), vendor)
    assert vendor.paths().count("/token") == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_to_give_a_key_is_said_of_the_key_and_asked_once(rig: Rig, status: int) -> None:
    vendor = Vendor(rig)
    vendor.refuses = status
    with pytest.raises(errors.Unauthenticated, match="invalid_client") as caught:
        rig.run(OAUTH, together(4), vendor)
    assert (caught.value.operation, caught.value.status, caught.value.unclear) == ("POST /token", status, False)
    assert set(vendor.paths()) == {"/token"}


def test_no_request_is_unclear_because_no_key_came(rig: Rig) -> None:
    def vendor(_: Any) -> Any:
        raise rig.cut()

    with pytest.raises(errors.Unreachable) as caught:
        rig.run(OAUTH, several(1, post("/x", object, {})), vendor)
    assert not caught.value.unclear


def test_requests_of_authorize_have_the_standing_headers(rig: Rig) -> None:
    class Basic(OAuth):
        def headers(self) -> dict[str, str]:
            return {"Authorization": "Basic of-the-client", "X-Version": "1"}

        def authorize(self) -> Flow[Authorization]:
            token = yield from post("/token", Token, {})
            return Authorization({"authorization": f"Bearer {token.access_token}"})

    vendor = Vendor(rig)
    rig.run(Basic(client_secret="s"), several(1, get("/x", object)), vendor)
    assert vendor.seen == [("/token", "Basic of-the-client"), ("/x", "Bearer token-number-1")]


def test_the_key_goes_nowhere_else(rig: Rig) -> None:
    vendor = Vendor(rig)

    def flow() -> Flow[None]:
        yield from get("/x", object)
        yield from request("GET", "https://files.example.com/token", object, authorized=False)

    rig.client_options = {"headers": {"Authorization": "of-the-caller"}}
    rig.run(OAUTH, flow(), vendor)
    assert vendor.seen[-1] == ("/token", "")


def test_a_key_is_shown_nowhere(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    vendor = Vendor(rig)
    vendor.revoked = {1, 2}
    with caplog.at_level(logging.DEBUG), pytest.raises(errors.Unauthenticated) as caught:
        rig.run(OAUTH, several(1, get("/x", object)), vendor)
    shown = f"{caught.value} {caught.value!r} {caplog.text} {Authorization({'Authorization': 'Bearer token-number-1'})}"
    assert "token-number" not in shown
    assert "s3cret-of-acme" not in shown
    assert "token-number-1" not in redact("a hook said token-number-1")


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("Bearer token-of-today", "token-of-today"),
        ('Token token="abcdefgh1234", scope="all"', "abcdefgh1234"),
        ("session=abcdefgh5678; path=/", "abcdefgh5678"),
        ("abcdefgh90==", "abcdefgh90"),
    ],
)
def test_a_key_is_known_without_what_stands_around_it(rig: Rig, value: str, key: str) -> None:
    class Odd(OAuth):
        def authorize(self) -> Flow[Authorization]:
            yield from ()
            return Authorization({"X-Session": value})

    with pytest.raises(errors.Rejected) as caught:
        rig.run(
            Odd(client_secret="s3cret-of-acme"),
            several(1, get("/x", object)),
            lambda _: rig.answer(400, json={"message": f"session {key} of path is bad"}),
        )
    assert str(caught.value).endswith("session *** of path is bad")


def test_a_key_is_shown_nowhere_however_many_other_clients_there_are(rig: Rig) -> None:
    def vendor(got: Any) -> Any:
        if got.url.path == "/token":
            return rig.answer(200, json={"access_token": "token-of-this-client"})
        secrets.add_secret_values(f"token-of-client-{number}" for number in range(1000))
        return rig.answer(400, json={"message": "token-of-this-client is bad"})

    with pytest.raises(errors.Rejected, match=r"\*\*\* is bad"):
        rig.run(OAUTH, several(1, get("/x", object)), vendor)


def test_a_signature_is_shown_nowhere(rig: Rig) -> None:
    @frozen(kw_only=True)
    class Signs(Provider):
        name = "signs"
        base_url: str = base_url_setting(HOST)

        def sign(self, request: UnsignedRequest) -> Mapping[str, str]:
            return {"Authorization": f"Bearer {request.method.lower()}.signed.of-now"}

    with pytest.raises(errors.Rejected, match=r": \*\*\* is bad"):
        rig.run(
            Signs(),
            several(1, get("/x", object)),
            lambda got: rig.answer(
                400, json={"message": got.headers["authorization"].removeprefix("Bearer ") + " is bad"}
            ),
        )


def test_a_key_in_a_path_or_in_a_request_id_is_not_shown(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    def vendor(got: Any) -> Any:
        return rig.answer(400, json={}, headers={"X-Request-Id": got.url.path})

    asked = get(path("/bot-{key}/x", key="s3cret:of-acme"), object)
    with caplog.at_level(logging.DEBUG), pytest.raises(errors.Rejected) as caught:
        rig.run(OAuth(client_secret="s3cret:of-acme"), several(1, asked), authorized_by(vendor, rig))
    assert "of-acme" not in f"{caught.value} {caught.value.operation} {caught.value.request_id} {caplog.text}"
    assert caught.value.operation == "GET /bot-***/x"


def test_another_client_that_authorize_uses_gets_its_own_key(rig: Rig) -> None:
    def answer(got: Any) -> Any:
        seen.append((got.url.path, got.headers.get("authorization", "")))
        return rig.answer(200, json={"access_token": f"token-of-{got.url.path[1:]}"})

    @frozen(kw_only=True)
    class Broker(Provider):
        name = "broker"
        base_url: str = base_url_setting(HOST)

        def authorize(self) -> Flow[Authorization]:
            yield from ()
            return Authorization({"Authorization": "Bearer of-the-broker"})

    class Brokered(OAuth):
        def authorize(self) -> Flow[Authorization]:
            with blocking.client(answer) as http, Contacts(Broker(), http) as broker:
                token = yield from Blocking(partial(broker.request, "GET", "/lent"))
            yield from get("/whoami", object)
            return Authorization({"Authorization": f"Bearer {token['access_token']}"})

    seen: list[tuple[str, str]] = []
    blocking = Rig("sync", rig.library)
    rig.run(Brokered(client_secret="s3cret-of-acme"), several(1, get("/x", object)), answer)
    assert seen == [("/lent", "Bearer of-the-broker"), ("/whoami", ""), ("/x", "Bearer token-of-lent")]


def test_a_key_that_no_header_takes_is_not_sent(rig: Rig) -> None:
    class Odd(OAuth):
        def authorize(self) -> Flow[Authorization]:
            yield from ()
            return Authorization({"Authorization": "Bearer of-two\nlines"})

    vendor = Vendor(rig)
    with pytest.raises(errors.ConfigurationError, match="no key has"):
        rig.run(Odd(client_secret="s"), several(1, get("/x", object)), vendor)
    assert not vendor.seen


# -- signatures


@frozen(kw_only=True)
class Signed(Provider):
    """A vendor whose requests are signed with HMAC."""

    name = "signed"
    signing_key: str = secret()
    base_url: str = base_url_setting(f"{HOST}/v1")

    def headers(self) -> dict[str, str]:
        return {"X-Client": "7"}

    def sign(self, request: UnsignedRequest) -> Mapping[str, str]:
        return signature(request.method, request.url, request.content, int(request.time), self.signing_key)


def signature(method: str, url: str, content: bytes, time: int, key: str) -> dict[str, str]:
    where = urlsplit(url)
    signed = f"{method}\n{where.path}?{where.query}\n{time}\n".encode() + hashlib.sha256(content).digest()
    return {"X-Time": str(time), "X-Signature": hmac.new(key.encode(), signed, "sha256").hexdigest()}


def is_signed(got: Any) -> bool:
    time = int(got.headers["x-time"])
    expected = signature(got.method, str(got.url), got.content, time, "k3y-of-acme")
    return bool(got.headers["x-signature"] == expected["X-Signature"])


SIGNED = Signed(signing_key="k3y-of-acme")


def test_a_signature_is_over_the_request_as_it_is_sent(rig: Rig) -> None:
    seen: list[bool] = []

    def vendor(got: Any) -> Any:
        seen.append(is_signed(got))
        return rig.answer(200, json=1)

    def flow() -> Flow[None]:
        yield from get("/x", object, {"email": "jane+1@example.com", "tag": ["a", "b"]})
        yield from post("/x", object, {"name": "ü"})
        yield from request("PUT", "/x", object, form={"a": "b c"})

    rig.run(SIGNED, flow(), vendor)
    assert seen == [True] * 3


def test_each_attempt_is_signed_anew(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    times = itertools.count(100.0)
    monkeypatch.setattr("contacts_core.http.wire.unix_time", lambda: next(times))
    seen: list[str] = []

    def vendor(got: Any) -> Any:
        seen.append(got.headers["x-time"])
        assert is_signed(got)
        return rig.answer(503 if len(seen) == 1 else 200, json=1)

    rig.run(SIGNED, several(1, get("/x", object)), vendor)
    assert len(set(seen)) == 2


def test_what_is_not_authorized_is_not_signed(rig: Rig) -> None:
    def vendor(got: Any) -> Any:
        assert "x-signature" not in got.headers
        return rig.answer(200, json=1)

    rig.run(SIGNED, several(1, request("GET", "https://files.example.com/x", object, authorized=False)), vendor)


def test_a_signature_that_no_header_takes_is_not_sent(rig: Rig) -> None:
    class Odd(Signed):
        def sign(self, request: UnsignedRequest) -> Mapping[str, str]:
            return {"X-Signature": "ü"}

    with pytest.raises(errors.ConfigurationError, match="no key has"):
        rig.run(Odd(signing_key="k"), several(1, get("/x", object)), lambda _: rig.answer(200, json=1))


def test_what_is_signed_shows_neither_address_nor_body() -> None:
    unsigned = UnsignedRequest("GET", f"{HOST}/jane", {"x": "jane"}, b"jane", 1.0)
    assert "jane" not in repr(unsigned)


# -- which headers are secret


@frozen(kw_only=True)
class Dav(Provider):
    name = "dav"
    password: str = secret()
    base_url: str = base_url_setting(HOST)
    own: ClassVar[Mapping[str, str]] = {}
    more: Mapping[str, str] = field(factory=dict)

    def headers(self) -> dict[str, str]:
        return {"Authorization": basic_auth("jane", self.password), "Depth": "1", "Accept": "text/vcard", **self.more}


def test_a_header_that_is_no_key_is_not_secret() -> None:
    wire = Wire(Dav(password="p4ssw0rd", more={"X-Own": "with-p4ssw0rd-in-it", "X-Session": "cookie-of-jane"}))
    encoded = basic_auth("jane", "p4ssw0rd").partition(" ")[2]
    words = f"Depth 1 of text/vcard in 1 line: p4ssw0rd, with-p4ssw0rd-in-it, cookie-of-jane, {encoded}"
    shown = str(wire.refusal("GET /x", 400, {"content-type": "text/plain"}, words.encode()))
    assert "Depth 1 of text/vcard in 1 line" in shown
    for key in ("p4ssw0rd", "cookie-of-jane", encoded):
        assert key not in shown


@pytest.mark.parametrize("key", ["of-acme\n", " of-acme", "of-acme ", "sch\u00fcssel", "two\nlines", "nul\x00"])
def test_a_key_that_cannot_be_a_header_is_refused_before_anything_is_sent(key: str) -> None:
    class Plain(Dav):
        def headers(self) -> dict[str, str]:
            return {"X-Key": self.password}

    with pytest.raises(errors.ConfigurationError):
        Wire(Plain(password=key))


def test_basic_authentication_takes_any_letter_and_no_line_break() -> None:
    assert (
        b64decode(basic_auth("j\u00e4ne@example.com", "p: \u00fc").partition(" ")[2]).decode()
        == "jäne@example.com:p: ü"
    )
    for username, password in (("jane", "p\n"), ("ja\x00ne", "p"), ("ja:ne", "p"), ("jane", "p\x7f")):
        with pytest.raises(errors.ConfigurationError):
            basic_auth(username, password)


def test_an_interruption_while_a_key_is_got_sends_nothing_more() -> None:
    rig = Rig(*WAYS[0])
    vendor = Vendor(rig)

    def stopped(got: Any) -> Any:
        vendor(got)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rig.run(OAUTH, several(1, post("/x", object, {})), stopped)
    assert vendor.paths() == ["/token"]
