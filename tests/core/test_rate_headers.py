"""What answers say of rate limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts_core.http.rate_headers import exhausted, pause, retry_after
from contacts_core.provider import Flow, get, post
from tests.core.fake_providers import Bare
from tests.core.transport_harness import WAYS, Rig

NOW = 1_763_477_424.0  # Tue, 18 Nov 2025 14:50:24 GMT
LATER = "Tue, 18 Nov 2025 14:50:34 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("0.25", 0.25),
        ("0", 0.0),
        (LATER, 10.0),
        ("Tuesday, 18-Nov-25 14:50:34 GMT", 10.0),
        ("Tue Nov 18 14:50:34 2025", 10.0),
        ("2025-11-18T14:50:34Z", 10.0),
        ("-1.5", None),
        ("1.5.2", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9"}, 9.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW + 9:.0f}"}, 9.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{(NOW + 9) * 1000:.0f}"}, 9.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": LATER}, 10.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2025-11-18T14:50:34+00:00"}, 10.0),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "9"}, 9.0),
        ({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "0", "ratelimit-reset": "9"}, 9.0),
        ({"ratelimit-remaining": "3", "ratelimit-reset": "9"}, None),
        ({"ratelimit": "limit=100, remaining=0, reset=9"}, 9.0),
        ({"ratelimit": "limit=100, remaining=1, reset=9"}, None),
        ({"ratelimit": '"minute";r=0;t=9'}, 9.0),
        ({"ratelimit": '"minute";r=1;t=9'}, None),
        ({"ratelimit": '"minute";r=0;t=9, "day";r=0;t=300, "hour";r=5;t=4000'}, 300.0),
        ({"ratelimit": '"a;r=0;t=77,b"; r=0 ;t=9;pk=:cGFydA==:'}, 9.0),
        ({"ratelimit": "default;r=0;t=-5"}, 0.0),
        ({"ratelimit-policy": '"minute";q=100;w=60'}, None),
        ({"ratelimit": "r=0"}, None),
        ({"ratelimit": '"' * 3000}, None),
        ({"x-limit": "0"}, None),
        ({}, None),
    ],
)
def test_an_empty_window_is_known_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert exhausted(headers, NOW) == seconds
    if seconds is not None:
        assert pause(headers, NOW) == seconds
        assert pause({**headers, "retry-after": "2.5"}, NOW) == 2.5


@given(
    st.dictionaries(
        st.sampled_from(["ratelimit", "x-ratelimit-reset", "ratelimit-remaining", "retry-after"]), st.text()
    )
)
def test_whatever_the_headers_say_the_pause_is_a_number_or_not_told(headers: dict[str, str]) -> None:
    for read in (pause, exhausted):
        seconds = read(headers, NOW)
        assert seconds is None or seconds >= 0


class Own(Bare):
    """Tells in headers of its own when to go on."""

    def pause_s(self, status: int, headers: Mapping[str, str], now: float) -> float | None:
        del now
        if status == 429 or headers.get("x-acme-left") == "0":
            return float(headers.get("X-Acme-Wait-Ms", "0")) / 1000
        return None


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}-{way[1].__name__}")
def rig(request: pytest.FixtureRequest) -> Rig:
    return Rig(*request.param)


def twice() -> Flow[None]:
    yield from post("/x", object, {})
    yield from get("/x", object)


@pytest.mark.parametrize("header", [{"ratelimit": '"minute";r=0;t=9'}, {"x-acme-left": "0", "x-acme-wait-ms": "9000"}])
def test_the_next_request_waits_for_the_window(rig: Rig, header: dict[str, str]) -> None:
    answers = iter([rig.answer(200, json=1, headers=header), rig.answer(200, json=1)])
    rig.run(Own(api_key="k"), twice(), lambda _: next(answers))
    assert rig.slept == [9.0]


def test_a_refusal_tells_the_pause_in_headers_of_the_vendors_own(rig: Rig) -> None:
    def once() -> Flow[Any]:
        return (yield from get("/x", object))

    answers = iter([rig.answer(429, headers={"x-acme-wait-ms": "250"}), rig.answer(200, json=1)])
    rig.run(Own(api_key="k"), once(), lambda _: next(answers))
    assert rig.slept == [0.25]
