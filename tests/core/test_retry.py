"""The rule that decides when a request is sent, and when it is sent again."""

from __future__ import annotations

import math
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from contacts_core import errors
from contacts_core.http.rate_limits import RateLimiter
from contacts_core.http.retry import SEND, Attempts, Raise, Wait, backoff_s
from contacts_core.provider import HttpSettings, RateLimit, Request

NOW, DEADLINE = 1000.0, 1600.0
SETTINGS = HttpSettings(attempts=3, max_pause_s=120)
GET = Request("GET", "/x", object)
POST = Request("POST", "/x", object, idempotent=False)
PATIENT = evolve(GET, patience=5.0)


def attempts(request: Request[Any] = GET, settings: HttpSettings = SETTINGS, deadline: float = DEADLINE) -> Attempts:
    return Attempts(request, settings, deadline)


def limit(seconds: float) -> Any:
    return lambda name, now: seconds


def limited(retry_after: float | None = None) -> errors.RateLimited:
    return errors.RateLimited("x", retry_after=retry_after)


def unavailable(retry_after: float | None = None) -> errors.Unavailable:
    return errors.Unavailable("x", retry_after=retry_after)


# -- before sending


@pytest.mark.parametrize(
    ("request_", "now", "pause_s", "decision"),
    [
        (GET, NOW, 0.0, SEND),
        (GET, NOW, 7.0, Wait(7.0)),
        (GET, NOW, 599.0, Wait(599.0)),
        (GET, NOW, 600.0, errors.DeadlineExceeded),
        (GET, DEADLINE, 0.0, errors.DeadlineExceeded),
        (GET, DEADLINE + 1, 0.0, errors.DeadlineExceeded),
        (POST, NOW, 7.0, Wait(7.0)),
        (PATIENT, NOW, 5.0, Wait(5.0)),
        (PATIENT, NOW, 5.1, errors.RateLimited),
    ],
)
def test_when_a_request_is_sent(request_: Request[Any], now: float, pause_s: float, decision: Any) -> None:
    found = attempts(request_).before_sending(now, limit(pause_s))
    assert isinstance(found, Raise) if isinstance(decision, type) else found == decision
    if isinstance(found, Raise):
        assert type(found.error) is decision
        assert found.error.unclear is False


def test_past_the_deadline_no_rate_limit_is_charged() -> None:
    def charged(name: str, now: float) -> float:
        raise AssertionError((name, now))

    assert isinstance(attempts().before_sending(DEADLINE, charged), Raise)


def test_a_turn_that_comes_too_late_tells_when_it_would_come() -> None:
    found = attempts(PATIENT).before_sending(NOW, limit(30.0))
    assert isinstance(found, Raise)
    assert isinstance(found.error, errors.RateLimited)
    assert found.error.retry_after == 30.0


# -- after a failure


@pytest.mark.parametrize(
    ("request_", "error", "decision"),
    [
        (GET, limited(), Wait(0.6)),
        (GET, limited(7.0), Wait(7.0)),
        (GET, limited(0.0), Wait(0.0)),
        (GET, limited(120.0), Wait(120.0)),
        (GET, limited(120.1), Raise),
        (GET, unavailable(), Wait(0.6)),
        (GET, unavailable(7.0), Wait(7.0)),
        (GET, errors.Unreachable("x"), Wait(0.6)),
        (GET, errors.Rejected("x"), Raise),
        (GET, errors.NotFound("x"), Raise),
        (GET, errors.Unauthenticated("x"), Raise),
        (GET, errors.Forbidden("x"), Raise),
        (GET, errors.UnexpectedPayload("x"), Raise),
        (GET, errors.InvalidInput("x"), Raise),
        (GET, errors.Cancelled(unclear=True), Raise),
        (GET, errors.DeadlineExceeded("x"), Raise),
        (POST, limited(), Wait(0.6)),  # the vendor said that it did nothing
        (POST, limited(7.0), Wait(7.0)),
        (POST, unavailable(), Raise),
        (POST, errors.Unreachable("x"), Raise),
        (PATIENT, limited(), Raise),  # whoever set it looks first
        (PATIENT, errors.Unreachable("x"), Raise),
    ],
    ids=str,
)
def test_what_follows_a_failure(request_: Request[Any], error: errors.ContactsError, decision: Any) -> None:
    found = attempts(request_).after_failure(error, NOW, jitter=0.5)
    assert found == (Raise(error) if decision is Raise else decision)


@pytest.mark.parametrize(("left_s", "waits"), [(7.1, True), (7.0, False), (1.0, False), (-1.0, False)])
def test_no_pause_reaches_past_the_deadline(left_s: float, waits: bool) -> None:
    found = attempts().after_failure(limited(7.0), DEADLINE - left_s, jitter=0.0)
    assert isinstance(found, Wait) is waits


def test_pauses_grow_and_the_last_attempt_is_the_last() -> None:
    several = attempts(settings=HttpSettings(attempts=4))
    pauses = [several.after_failure(limited(), NOW, jitter=0.25) for _ in range(4)]
    seconds = [pause.seconds for pause in pauses if isinstance(pause, Wait)]
    assert seconds == pytest.approx([0.35, 0.45, 0.65])
    assert isinstance(pauses[3], Raise)


def test_a_growing_pause_stays_below_the_longest() -> None:
    several = attempts(settings=HttpSettings(attempts=100, max_pause_s=2.0))
    for _ in range(99):
        found = several.after_failure(limited(), NOW, jitter=1.0)
        assert isinstance(found, Wait)
        assert found.seconds <= 2.0
    assert math.isfinite(backoff_s(10_000, 1.0))


def test_once_unclear_an_error_stays_unclear() -> None:
    several = attempts()
    several.after_failure(errors.Unreachable("x"), NOW, jitter=0.0)
    assert several.unclear
    found = several.after_failure(errors.Rejected("x"), NOW, jitter=0.0)
    assert isinstance(found, Raise)
    assert found.error.unclear


def test_a_deadline_does_not_hide_what_went_wrong_before() -> None:
    several = attempts()
    first = errors.Unreachable("x")
    several.after_failure(first, NOW, jitter=0.0)
    assert several.after_failure(errors.DeadlineExceeded("x"), DEADLINE, jitter=0.0) == Raise(first)


def test_between_sending_and_its_end_an_attempt_is_unclear() -> None:
    several = attempts()
    assert not several.unclear
    several.before_sending(NOW, limit(3.0))
    assert not several.unclear
    several.before_sending(NOW, limit(0.0))
    seen = [several.unclear]
    several.after_failure(limited(), NOW, jitter=0.0)
    assert [*seen, several.unclear] == [True, False]


# -- all of it


FAILURES = st.one_of(
    st.builds(limited, st.none() | st.floats(0, 400)),
    st.builds(unavailable, st.none() | st.floats(0, 400)),
    st.sampled_from(
        [errors.Unreachable, errors.Rejected, errors.NotFound, errors.UnexpectedPayload, errors.InvalidInput]
    ).map(lambda kind: kind("x")),
)


@given(
    st.lists(st.none() | FAILURES, min_size=1, max_size=12),
    st.integers(1, 6),
    st.floats(1, 900),
    st.booleans(),
    st.none() | st.floats(0, 20),
    st.floats(0, 300),
    st.lists(st.floats(0, 1), min_size=12, max_size=12),
    st.floats(0, 100),
)
def test_never_too_often_never_too_late_and_never_twice_what_could_act_twice(
    results: list[errors.ContactsError | None],
    most: int,
    deadline_s: float,
    idempotent: bool,
    patience: float | None,
    max_pause_s: float,
    jitters: list[float],
    exchange_s: float,
) -> None:
    request = evolve(GET, idempotent=idempotent, patience=patience)
    settings = HttpSettings(attempts=most, max_pause_s=max_pause_s or 1.0)
    limiter, now = RateLimiter({"": RateLimit(2, 30.0)}), NOW
    several = Attempts(request, settings, NOW + deadline_s)
    sent: list[float] = []
    failed: list[errors.ContactsError] = []
    for result, jitter in zip(results, jitters, strict=False):
        while isinstance(turn := several.before_sending(now, limiter.delay), Wait) and turn is not SEND:
            assert 0 < turn.seconds <= (30.0 if patience is None else min(patience, 30.0)) + 0.01
            now += turn.seconds
        if isinstance(turn, Raise):
            outcome = several.after_failure(turn.error, now, jitter)
            assert outcome == Raise(
                failed[-1] if failed and not isinstance(turn.error, errors.RateLimited) else turn.error
            )
            break
        sent.append(now)
        now += min(exchange_s, 100.0)
        if result is None:
            break
        outcome = several.after_failure(result, now, jitter)
        failed.append(result)
        if isinstance(outcome, Raise):
            assert outcome.error is result
            break
        assert outcome.seconds <= settings.max_pause_s
        assert result.retry_after is None or outcome.seconds == result.retry_after  # type: ignore[attr-defined]
        now += outcome.seconds
    assert len(sent) <= most
    assert all(moment < NOW + deadline_s for moment in sent)
    repeated = failed[: len(sent) - 1]
    assert all(isinstance(error, errors.ProviderError) and error.retryable for error in repeated)
    if not idempotent:
        assert all(isinstance(error, errors.RateLimited) for error in repeated)
    if patience is not None:
        assert len(sent) <= 1
    assert any(error.unclear for error in failed) <= (failed[-1].unclear if failed else False)


class Striking(errors.Unreachable):
    """An error during whose note Ctrl-C strikes."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "unclear" and hasattr(self, "ready"):
            raise KeyboardInterrupt
        super().__setattr__(name, value)


def test_ctrl_c_while_a_lost_request_is_noted_leaves_it_unclear() -> None:
    asked = attempts()
    assert asked.before_sending(NOW, limit(0)) == SEND
    error = Striking("x")
    error.unclear = True
    error.ready = True
    with pytest.raises(KeyboardInterrupt):
        asked.after_failure(error, NOW, 0.5)
    assert asked.unclear


def test_an_attempt_that_surely_failed_is_clear_afterwards() -> None:
    asked = attempts()
    assert asked.before_sending(NOW, limit(0)) == SEND
    assert asked.unclear
    asked.after_failure(limited(1), NOW, 0.5)
    assert not asked.unclear
