"""Whatever a vendor, a database or a plugin says, nothing of it stands in a receipt."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from contacts_core import Contact, Contacts, Identifier, errors
from contacts_core.errors import Interrupted, PlanRefused, Rejected
from contacts_core.models import Failure, Outcome
from contacts_core.plans import get_receipt as told
from contacts_core.plans import (
    list_runs,
    plan_deletion,
    plan_erasure,
    plan_identifier_removal,
    plan_list_removal,
    resume,
)
from contacts_core.plans.execution.account_view import AccountView
from contacts_core.plans.receipts.reasons import MAX_LOGGED, OurWords, public_reason, public_reasons
from contacts_core.plans.receipts.receipt import Receipt
from contacts_core.plans.receipts.report import html
from contacts_core.provider import Flow, hookimpl
from contacts_core.testing.memory import MemoryProvider
from tests.plans.environment import CHANGING, Environment
from tests.plans.samples import KEY

QUICK: dict[str, Any] = {"pause": 0.02, "timeout": 0.5}
SHORTEST = 4  # a shorter name may stand in a hash or a date by chance


def spellings(value: str) -> set[str]:
    """How a vendor may give back what it was sent."""
    return {
        value,
        value.upper(),
        value.swapcase(),
        quote(value, safe=""),
        quote_plus(value.upper(), safe=""),
        json.dumps(value),
        json.dumps(value).encode("unicode_escape").decode(),
        "".join(f"\\u{ord(c):04x}" for c in value),
        "".join(f"&#{ord(c)};" for c in value),
        base64.b64encode(value.encode()).decode(),
        base64.urlsafe_b64encode(value.encode()).decode(),
        value.encode().hex(),
        value[::-1],
        " ".join(value),
    }


def secrets(contacts: Iterable[Contact]) -> set[str]:
    """Everything that stands for one of these contacts or tells something of them."""
    found: set[str] = set()
    for contact in contacts:
        found |= {contact.id, contact.first_name or "", contact.last_name or ""}
        found |= {value for i in contact.identifiers for value in (i.value, i.normal)}
        found |= {str(value) for value in contact.custom.values()}
    return {each for each in found if len(each) >= SHORTEST and not (each.isdigit() and len(each) < 7)}


class Echo:
    """A vendor that answers with everything that it knows of the people whom a request is about."""

    def __init__(self, app: ASGIApp, said: set[str], status: int, when: Callable[[str], bool]) -> None:
        self._app, self._status, self._when = app, status, when
        self._words = " ".join(sorted(each for value in said for each in spellings(value)))
        self.answered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._when(scope["method"]):
            await self._app(scope, receive, send)
            return
        self.answered += 1
        error = {"message": self._words, "field": self._words, "code": self._words, "parameter": self._words}
        body = error | {"errors": [error], "error": self._words, "title": self._words, "details": {"x": [self._words]}}
        header = self._words.encode("ascii", "replace").decode()[:1000]
        headers = {"content-type": "application/json", "x-request-id": header, "x-message-id": header}
        headers |= {"request-id": header, "bird-request-id": header}
        await Response(json.dumps(body), self._status, headers)(scope, receive, send)


def echoing(environment: Environment, name: str, said: set[str], status: int, when: Callable[[str], bool]) -> Echo:
    (mount,) = [each for each in environment.sandbox.app.routes if each.path == f"/{name}"]  # type: ignore[attr-defined]
    mount.app = Echo(mount.app, said, status, when)
    return mount.app  # type: ignore[no-any-return]


def assert_silent(receipt: Receipt, said: set[str]) -> None:
    told = receipt.text + html(receipt)
    folded = told.casefold()
    for value in said:
        for spelling in spellings(value):
            assert spelling not in told, spelling
            assert spelling.casefold() not in folded, spelling


@pytest.mark.parametrize(
    ("when", "status"),
    [("work", 200), ("work", 400), ("check", 422), ("verify", 404)],
)
@pytest.mark.parametrize("name", ["bird", "sendgrid", "user-api"])
def test_a_vendor_that_repeats_what_it_knows_is_not_quoted(
    environment: Environment, name: str, when: str, status: int, register: Callable[[object], None]
) -> None:
    people = environment.emails(2)
    everybody = environment.everyone()[name]
    mine = [contact for contact in everybody.values() if not set(people).isdisjoint(contact.identifiers)]
    said = secrets(mine)
    assert len(said) > 6
    plan = plan_erasure(people, [environment.clients[name]])

    echoes: list[Echo] = []

    class Later:
        @hookimpl
        def contacts_step_finished(self) -> None:
            echoes.append(echoing(environment, name, said, status, lambda _: True))

    if when == "verify":
        register(Later())
    else:
        at = CHANGING if when == "work" else {"GET", *CHANGING}
        echoes.append(echoing(environment, name, said, status, lambda method: method in at))
    try:
        done = plan.apply([environment.clients[name]], **QUICK)
    except PlanRefused:
        done = told(list_runs()[0].id)
    assert sum(echo.answered for echo in echoes)
    assert_silent(done, said)


KINDS: dict[str, Callable[[Contacts[Any], Contact], Any]] = {
    "erase": lambda client, contact: plan_erasure([contact.identifiers[0]], [client]),
    "delete": lambda client, contact: plan_deletion(client, ids=[contact.id]),
    "remove-identifier": lambda client, contact: plan_identifier_removal([contact.identifiers[0]], [client]),
    "remove-from-list": lambda client, contact: plan_list_removal(client, "list-1", ids=[contact.id]),
}
WAYS = ("raise", "failed", "not sent", "interrupted", "foreign")


@pytest.mark.parametrize(
    ("kind", "way"), [*(("erase", way) for way in WAYS), *((kind, way) for kind in list(KINDS)[1:] for way in WAYS[:2])]
)
def test_no_plan_of_any_kind_quotes_its_provider(kind: str, way: str) -> None:
    jane = Contact(
        id="contact-jane-17",
        provider="memory",
        identifiers=(Identifier.email("jane@example.com"), Identifier.external_id("customer 0815-é")),
        first_name="Janina",
        last_name="O'Example",
        custom={"size": "forty-two"},
        lists=("list-1",),
    )
    said = secrets([jane])
    words = " ".join(sorted(each for value in said for each in spellings(value)))

    class Talkative(MemoryProvider):
        def delete_contacts(self, ids: Any) -> Flow[Outcome]:
            return self._refused("delete_contacts", ids)

        def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
            return self._refused("remove_identifier", [identifier.value])

        def remove_from_list(self, list_id: str, members: Any) -> Flow[Outcome]:
            return self._refused("remove_from_list", members)

        def _refused(self, operation: str, items: Iterable[Any]) -> Flow[Outcome]:
            yield from ()
            named = [str(each) for each in items]
            match way:
                case "raise":
                    raise Rejected(words, provider="memory", operation=words, status=422, request_id=words)
                case "foreign":
                    raise RuntimeError(words)
                case "interrupted":
                    raise Interrupted(Outcome(operation=operation, provider="memory"), named, (), words)
                case _:
                    reason = f"not sent: {words}" if way == "not sent" else words
                    failed = tuple(Failure(each, reason) for each in named)
                    return Outcome(operation=operation, provider="memory", requested=len(failed), failed=failed)

    provider = Talkative()
    provider.store.contacts[jane.id] = jane
    provider.store.lists["list-1"] = "A list"
    with Contacts(provider) as client:
        done = KINDS[kind](client, jane).apply([client], **QUICK)
    assert (done.complete, done.absent) == (False, 0)
    assert_silent(done, said)


def test_what_the_vendor_said_goes_to_the_log(environment: Environment, caplog: pytest.LogCaptureFixture) -> None:
    plan = plan_erasure(environment.emails(1), [environment.clients["bird"]])
    echo = echoing(environment, "bird", {"Secret Words"}, 422, lambda method: method == "DELETE")
    with caplog.at_level(logging.WARNING):
        done = plan.apply([environment.clients["bird"]], **QUICK)
    assert echo.answered
    assert any("Secret Words" in record.getMessage() for record in caplog.records)
    reasons = {reason for line in done.of("step") for reason in line["reasons"]}
    assert reasons == {"the vendor refused it (status 422)"}


def test_a_database_that_fails_does_not_tell_where_it_is(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ConnectionError("postgresql://user:password@db.example.com:5432 SELECT * FROM contacts_events")

    plan = plan_erasure(environment.emails(1), [environment.clients["bird"]])
    monkeypatch.setattr(AccountView, "sought", property(fail))
    done = plan.apply([environment.clients["bird"]], **QUICK)
    assert not done.complete
    for word in ("db.example.com", ":5432", "SELECT", "password"):  # bare digits may stand in a hash by chance
        assert word not in done.text
    monkeypatch.undo()
    assert resume(done.run, [environment.clients["bird"]]).complete


def test_what_a_plan_knows_is_withheld_even_if_a_reason_of_our_own_names_it(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    (person,) = environment.emails(1)
    plan = plan_erasure([person], [environment.clients["bird"]])
    (target,) = plan.accounts[0].changes
    said = secrets(contact for contact in environment.everyone()["bird"].values() if contact.id == target.contact)
    mine = {target.contact, *(value for i in target.identifiers for value in (i.value, i.normal))} & said
    for value in mine:
        for spelling in (value, value.upper(), quote(value, safe=""), f"x{value}y"):
            told = events_with_reason(plan, spelling)
            assert spelling not in told
            assert "withheld" in told


def events_with_reason(plan: Any, reason: str) -> str:
    from contacts_core.plans.receipts.events import Redaction

    line = {"type": "result", "reason": f"a {reason} b", "identifiers": [{"reason": reason}]}
    step = {"type": "step", "reasons": ["fine", reason], "error": reason}
    fit = Redaction(plan)
    return json.dumps([fit(line), fit(step)])


class TestWords:
    @given(st.text(), st.text(), st.none() | st.integers(400, 599))
    def test_no_text_of_an_error_is_in_them(self, message: str, request_id: str, status: int | None) -> None:
        words = {public_reason(error(message, status, request_id), KEY).partition(", request ")[0] for error in ERRORS}
        assert (
            words == {public_reason(error("", status, "r"), KEY).partition(", request ")[0] for error in ERRORS}
            or not request_id
        )
        assert all(len(each) < 200 for each in words)

    @given(st.text())
    def test_no_text_of_a_failure_is_in_them(self, reason: str) -> None:
        assert set(public_reasons([Failure("x", reason), Failure("y", f"not sent: {reason}")]).values()) <= {
            "the vendor did not carry it out",
            "not sent: the provider does not take it",
        }

    @pytest.mark.parametrize(
        ("reason", "words"),
        [
            ("bird DELETE /contacts/jane [404]: jane", "the vendor does not have it (status 404)"),
            ("bird delete_contacts [403]: jane", "the vendor does not allow this key to do it (status 403)"),
            ("user-api delete_contacts [422]: jane", "the vendor refused it (status 422)"),
            ("user-api delete_contacts [999]: jane", "the vendor did not carry it out"),
            ("jane [422]", "the vendor did not carry it out"),
        ],
    )
    def test_a_status_is_told(self, reason: str, words: str) -> None:
        assert public_reasons([Failure("x", reason)]) == {"x": words}

    def test_they_say_what_sort_of_error_it_was(self) -> None:
        error = errors.Forbidden("no", provider="bird", status=403, request_id="r-1")
        told = public_reason(error, KEY)
        assert told.startswith("the vendor does not allow this key to do it (Forbidden, status 403, request ")
        assert KEY.digest(b"request id", b"r-1").startswith(told.rpartition(" ")[2].rstrip(")"))
        assert public_reason(KeyError("jane"), KEY) == "an unexpected error (KeyError)"
        stopped = Interrupted(Outcome(operation="x"), ["jane"], ["john", "joe"], "jane")
        assert public_reason(stopped, KEY) == "an unexpected error; 1 item(s) without a clear answer, 2 not sent"

    def test_words_of_our_own_are_told_as_they_are(self) -> None:
        ours = OurWords("in our own words")
        stopped = Interrupted(Outcome(operation="x"), [], ["joe"], "jane")
        stopped.__cause__ = errors.PlanRefused(ours)
        assert public_reason(errors.ConfigurationError(ours, hint="jane"), KEY) == "in our own words"
        assert public_reason(stopped, KEY) == "in our own words; 0 item(s) without a clear answer, 1 not sent"
        assert public_reasons([Failure("x", ours)]) == {"x": "in our own words"}
        assert public_reason(errors.ConfigurationError("in our own words"), KEY) != "in our own words"

    def test_what_is_polled_fails_many_times_and_is_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            for _ in range(100):
                public_reason(errors.Unreachable("no route", provider="polled"), KEY)
        assert 1 <= len(caplog.records) <= 2  # a minute may end meanwhile

    def test_a_thousand_different_texts_do_not_fill_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            public_reasons([Failure(f"{n}", f"reason {n}") for n in range(1000)])
        assert len(caplog.records) == MAX_LOGGED + 1
        assert "990 more" in caplog.text


def _provider_error(kind: type[errors.ProviderError]) -> Callable[[str, int | None, str], Exception]:
    return lambda message, status, request_id: kind(message, provider="p", status=status, request_id=request_id)


def _other(kind: type[Exception]) -> Callable[[str, int | None, str], Exception]:
    return lambda message, _status, _request_id: kind(message)


ERRORS = [
    *map(_provider_error, (errors.Unreachable, errors.Rejected, errors.Unavailable, errors.UnexpectedPayload)),
    *map(_other, (errors.ConfigurationError, errors.InvalidInput, ValueError, OSError, KeyError)),
]
