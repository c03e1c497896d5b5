"""Rate limits by a clock that the test keeps."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_core import errors
from contacts_core.http.rate_limits import RateLimiter
from contacts_core.provider import RateLimit


@settings(max_examples=100)
@given(
    st.integers(1, 6),
    st.sampled_from([0.5, 1.0, 2.5, 60.0]),
    st.lists(st.integers(0, 900).map(lambda n: n / 1000), min_size=1, max_size=40),
)
def test_no_window_ever_holds_more_requests_than_allowed(limit: int, seconds: float, gaps: list[float]) -> None:
    limiter = RateLimiter({"": RateLimit(limit, seconds)})
    now, sent = 1000.0, []
    for gap in gaps:
        now += gap
        for _ in range(10):
            delay = limiter.delay("", now)
            if delay <= 0:
                break
            assert delay <= seconds + 0.01
            now += delay
        else:
            pytest.fail("it asks to wait again and again")
        sent.append(round(now, 6))
    for start in sent:
        inside = [moment for moment in sent if start <= moment < start + seconds - 0.0015]
        assert len(inside) <= limit


def test_below_the_limit_nothing_waits() -> None:
    limiter = RateLimiter({"": RateLimit(3, 10)})
    assert [limiter.delay("", 5.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limiter.delay("", 5.0) == pytest.approx(10, abs=0.01)
    assert limiter.delay("", 15.01) == 0.0


def test_being_told_to_wait_does_not_count_as_a_request() -> None:
    limiter = RateLimiter({"": RateLimit(1, 10)})
    assert limiter.delay("", 0.0) == 0.0
    for moment in (1.0, 2.0, 3.0):
        assert limiter.delay("", moment) == pytest.approx(10 - moment, abs=0.01)
    assert limiter.delay("", 10.01) == 0.0


def test_without_limits_nothing_waits() -> None:
    limiter = RateLimiter({})
    assert {limiter.delay(rate_limit, 0.0) for rate_limit in ("", "search") for _ in range(99)} == {0.0}


def test_requests_without_a_limit_of_their_own_share_the_general_one() -> None:
    limiter = RateLimiter({"": RateLimit(1, 10), "search": RateLimit(2, 10)})
    assert limiter.delay("", 0.0) == 0.0
    assert limiter.delay("unheard-of", 0.0) > 0
    assert [limiter.delay("search", 0.0) for _ in range(2)] == [0.0, 0.0]
    assert limiter.delay("search", 0.0) > 0


def test_a_hold_keeps_one_limit_back_until_its_time() -> None:
    limiter = RateLimiter({"": RateLimit(9, 1), "search": RateLimit(9, 1)})
    limiter.hold("search", 30.0)
    assert limiter.delay("search", 10.0) == pytest.approx(20.0)
    assert limiter.delay("", 10.0) == 0.0
    assert limiter.delay("search", 30.0) == 0.0


def test_a_hold_of_an_unknown_limit_holds_the_general_one_even_without_limits() -> None:
    limiter = RateLimiter({})
    limiter.hold("unheard-of", 4.0)
    assert limiter.delay("", 1.0) == pytest.approx(3.0)


def test_threads_together_get_no_more_than_is_allowed() -> None:
    limiter = RateLimiter({"": RateLimit(50, 60)})
    allowed = []

    def work() -> None:
        allowed.extend([1 for _ in range(40) if limiter.delay("", 7.0) == 0.0])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(allowed) == 50


@pytest.mark.parametrize(
    ("own", "others", "left"), [(5, 10, 0), (5, 5, 0), (5, 3, 2), (0, 99, 0), (10, 1, 0), (4, 0, 6)]
)
def test_a_charge_that_does_not_fit_takes_all_that_is_left(own: int, others: int, left: int) -> None:
    limiter = RateLimiter({"": RateLimit(10, 60.0)})
    for _ in range(own):
        assert limiter.delay("", 100.0) == 0
    limiter.charge(others, 100.1)
    assert [limiter.delay("", 100.2) == 0 for _ in range(10)] == [n < left for n in range(10)]


def test_what_is_past_leaves_room_for_a_charge() -> None:
    limiter = RateLimiter({"": RateLimit(10, 60.0)})
    for _ in range(10):
        assert limiter.delay("", 100.0) == 0
    limiter.charge(10, 200.0)
    assert limiter.delay("", 200.1) == pytest.approx(60, abs=0.2)


@pytest.mark.parametrize("odd", [-1, 2.5, "3", None, True, float("nan")])
def test_only_a_number_of_requests_can_be_charged(odd: Any) -> None:
    for limiter in (RateLimiter({"": RateLimit(10, 60.0)}), RateLimiter({})):
        with pytest.raises(errors.InvalidInput, match="whole number"):
            limiter.charge(odd, 100.0)
        assert limiter.delay("", 100.0) == 0
