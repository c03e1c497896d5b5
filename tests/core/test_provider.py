"""What a provider author builds with: paths, ids, settings and requests."""

from __future__ import annotations

from types import NoneType
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs
import httpx
import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_core.errors import ConfigurationError, InvalidInput
from contacts_core.provider import (
    CAPABILITIES,
    DeletesContacts,
    Exports,
    Provider,
    ReadsLists,
    Request,
    capabilities,
    delete,
    get,
    patch,
    path,
    post,
    put,
)
from contacts_core.provider.base import LONGEST_ID, check_id
from tests.core.fake_providers import HOME, KEY, Acme, Bare, Paged, bare

VALUES = st.text(min_size=1, max_size=60).filter(lambda value: value.strip() and value not in {".", ".."})


@settings(max_examples=200)
@given(VALUES, VALUES)
def test_a_value_stays_one_segment_whatever_it_holds(first: str, second: str) -> None:
    filled = path("/lists/{list_id}/contacts/{contact_id}", list_id=first, contact_id=second)
    parts = urlsplit(HOME + filled)
    assert not parts.query
    assert not parts.fragment
    assert parts.netloc == "api.acme.example"
    assert [unquote(segment) for segment in parts.path.split("/")] == ["", "lists", first, "contacts", second]


@settings(max_examples=100)
@given(VALUES)
def test_the_client_sends_the_path_as_it_was_built(value: str) -> None:
    filled = path("/contacts/{contact_id}", contact_id=value)
    assert httpx.URL(HOME + filled).raw_path.decode() == filled


@pytest.mark.parametrize("value", ["", " ", "\t\n", ".", "..", "x" * (2 * LONGEST_ID + 1)])
def test_a_value_that_is_no_segment_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="contact_id"):
        path("/contacts/{contact_id}", contact_id=value)


def test_characters_that_the_vendor_wants_plain_stay_plain() -> None:
    assert path("/x/{value}", safe="@:", value="a@b:c/d") == "/x/a@b:c%2Fd"


@pytest.mark.parametrize(
    "value",
    [
        "c1",
        "3c1f0000-0000-4000-8000-000000000001",
        "a.b",
        "a_b~c",
        "1",
        "x" * LONGEST_ID,
        "a=b+c:d",
    ],
)
def test_an_id_as_vendors_make_them_is_fine(value: str) -> None:
    assert check_id(value) == ""


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "\t", "../../x", "..", ".", "...", "a/b", "a\\b", "a,b", "?x", "a?b", "a#b", "a%2Fb", "a b"),
        *("a&b", "a;b", "ä", "a\nb", "a\x00b", "a\n", "<a>", "'a'", '"', "..a", "x" * (LONGEST_ID + 1), "x" * 10_000),
    ],
)
def test_an_id_that_could_reach_another_place_is_refused(value: str) -> None:
    assert check_id(value)
    assert bare().validate_id(value) == check_id(value)


@frozen(kw_only=True)
class Cards(Bare):
    """A vendor whose ids are UIDs of contact cards."""

    id_pattern = r".+"
    longest_id = 510


CARDS = Cards(api_key="k")


def test_a_provider_may_say_that_its_ids_have_more_characters_and_are_longer() -> None:
    for value in ("20260101T000000Z-1@example.com", "urn:uuid:1/2", "Jane Doe", "ü", "x" * 510):
        assert CARDS.validate_id(value) == ""
        assert bare().validate_id(value)
    for value in ("", " ", "..", ".", "../x", "a\nb", "a\x00b", "\ud800", "x" * 511):
        assert CARDS.validate_id(value)


@given(st.text(max_size=600))
def test_every_id_that_passes_can_be_sent(value: str) -> None:
    if not CARDS.validate_id(value):
        assert urlsplit(HOME + path("/cards/{id}", id=value)).path.count("/") == 2


def test_an_id_that_no_path_takes_cannot_be_allowed() -> None:
    with pytest.raises(TypeError, match="longest_id"):
        type("Wider", (Bare,), {"longest_id": 511})


@settings(max_examples=200)
@given(st.text(max_size=30))
def test_an_id_that_passes_cannot_leave_its_segment(value: str) -> None:
    if not check_id(value):
        assert urlsplit(f"{HOME}/contacts/{value}").path == f"/contacts/{value}"
        assert not set(value) & set("/?#%,\\ ")


@pytest.mark.parametrize(
    ("given_url", "kept"),
    [
        ("https://api.acme.example", HOME),
        ("https://api.acme.example/", HOME),
        ("http://127.0.0.1:8025/acme/", "http://127.0.0.1:8025/acme"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_a_base_url_is_kept_without_its_last_slash(given_url: str, kept: str) -> None:
    assert bare(base_url=given_url).base_url == kept


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            "",
            "api.acme.example",
            "ftp://api.acme.example",
            "https://",
            "https:///x",
            "//api.acme.example",
            "file:///x",
        ),
        *("https://api.acme.example evil", "https://api.acme.example\n", "https://api.acme.example?x=1"),
        *("https://api.acme.example/#f", " https://api.acme.example", "https://?x"),
    ],
)
def test_a_base_url_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        bare(base_url=wrong)


def test_a_provider_never_shows_its_key() -> None:
    assert KEY not in repr(bare())
    assert "api.acme.example" in repr(bare())


def test_settings_are_frozen_and_given_by_name() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        bare().api_key = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Bare(KEY)  # type: ignore[call-arg]


def test_by_itself_a_provider_sends_no_headers_and_has_no_root() -> None:
    plain = Provider(base_url=HOME)
    assert plain.headers() == {}
    assert plain.path_prefix() == ""


@pytest.mark.parametrize(
    ("made", "call"),
    [
        (get("/x", object, {"a": "1"}, rate_limit="l"), Request("GET", "/x", object, {"a": "1"}, rate_limit="l")),
        (post("/x", object, {"a": 1}), Request("POST", "/x", object, None, {"a": 1}, idempotent=False)),
        (post("/x", object, {}, idempotent=True), Request("POST", "/x", object, None, {}, idempotent=True)),
        (put("/x", object, [1]), Request("PUT", "/x", object, None, [1])),
        (patch("/x", object, {"a": 1}), Request("PATCH", "/x", object, None, {"a": 1})),
        (delete("/x", NoneType), Request("DELETE", "/x", NoneType)),
        (delete("/x", NoneType, json={"a": 1}), Request("DELETE", "/x", NoneType, None, {"a": 1})),
    ],
)
def test_helpers_make_calls(made: Request[Any], call: Request[Any]) -> None:
    assert made == call


def test_only_a_post_is_not_repeated_by_itself() -> None:
    calls = [get("/", object), put("/", object, 1), patch("/", object, 1), delete("/", object), post("/", object, 1)]
    assert [call.idempotent for call in calls] == [True, True, True, True, False]


def test_capabilities_are_read_from_the_bases() -> None:
    assert capabilities(Bare) == ()
    assert Exports in capabilities(Paged)
    assert DeletesContacts not in capabilities(Paged)
    assert {DeletesContacts, Exports, ReadsLists} <= set(capabilities(Acme))
    assert list(capabilities(Acme)) == [each for each in CAPABILITIES if each in capabilities(Acme)]


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda capability: capability.__name__)
def test_a_capability_without_its_methods_cannot_be_made(capability: type[Provider]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        capability(base_url=HOME)
