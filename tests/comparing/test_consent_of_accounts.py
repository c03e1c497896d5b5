"""The consent of two accounts compared, written, and compared again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from contacts_bird import Bird
from contacts_core import Contacts, connect
from contacts_core.emulator import Running
from contacts_core.errors import InvalidInput, PlanRefused
from contacts_core.models import (
    Channel,
    Consent,
    ConsentReason,
    ConsentState,
    Contact,
    FieldType,
    Identifier,
    LossCode,
    OutcomeState,
    merge_consent,
)
from contacts_core.plans.comparing.consent import (
    Admission,
    ConsentComparison,
    ConsentOptions,
    MissingConsent,
    Unsubscribed,
    consent_gate,
)
from contacts_core.plans.comparing.consent_marks import ConsentPlace
from contacts_core.plans.planning.accounts import run_in_accounts
from contacts_core.provider import FindsConsent, Flow, base_url_setting
from contacts_core.testing.memory import MemoryProvider
from contacts_local import Local
from contacts_sendgrid import SendGrid
from contacts_sendgrid.emulator import SendGridEmulator
from contacts_user_api import UserApi
from tests.providers.test_on_emulators import account

GRANTED, REVOKED, PENDING = ConsentState.GRANTED, ConsentState.REVOKED, ConsentState.PENDING
JANE, JOE = Identifier.email("jane@example.com"), Identifier.email("joe@example.com")
PHONE = Identifier.phone("+12025550123")
DAY = datetime(2026, 1, 31, 12, tzinfo=UTC)
LOSSES = ["REASON_LOST", "DATE_LOST", "NO_PLACE", "RETYPED"]
NAMES = ("sendgrid", "bird", "local", "memory")
SKIP = ConsentOptions(unsubscribed=Unsubscribed.SKIP)


class Accounts:
    """Accounts at several vendors, each opened when it is first asked for."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self.served: dict[str, Running] = {}
        self._clients: dict[str, Contacts[Any]] = {}

    def __getitem__(self, name: str) -> Contacts[Any]:
        if name not in self._clients:
            if name == "local":
                self._clients[name] = self._stack.enter_context(connect(Local, path=self._folder / "people.db"))
            elif name == "memory":
                self._clients[name] = self._stack.enter_context(Contacts(MemoryProvider()))
            else:
                self._clients[name], self.served[name] = self._stack.enter_context(account(name))
        return self._clients[name]

    def compare(self, source: str, target: str, options: ConsentOptions | None = None) -> ConsentComparison:
        found = ConsentComparison(source, target, options)
        run_in_accounts([self[source], self[target]], found.run)
        return found

    def suppressions(self) -> Any:
        self["sendgrid"].find_consent([])
        emulator = self.served["sendgrid"].sandbox.emulators["sendgrid"]
        assert isinstance(emulator, SendGridEmulator)
        return emulator.suppressions


@contextmanager
def opened(folder: Path) -> Iterator[Accounts]:
    with ExitStack() as stack:
        yield Accounts(stack, folder)


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    with opened(tmp_path) as made:
        yield made


def revoked(identifier: Identifier = JANE, channel: Channel = Channel.EMAIL, **more: Any) -> Consent:
    return Consent(identifier, channel, REVOKED, **more)


def statements() -> list[Consent]:
    return [
        *(
            revoked(Identifier.email(f"u{n}@example.com"), reason=reason, at=DAY)
            for n, reason in enumerate(ConsentReason)
        ),
        revoked(JANE, at=DAY),
        Consent(JANE, Channel.EMAIL, GRANTED, at=DAY + timedelta(days=1)),
        revoked(JOE, scope="Offers", at=DAY),
        Consent(JOE, Channel.EMAIL, GRANTED, at=DAY, evidence="form"),
        Consent(Identifier.email("new@example.com"), Channel.EMAIL, PENDING, at=DAY),
        revoked(PHONE, Channel.SMS),
    ]


def write(client: Contacts[Any], found: Iterator[MissingConsent]) -> None:
    outcome = client.write_consent([each.statement for each in found], accept=LOSSES)
    assert outcome.state is OutcomeState.DONE, outcome


def told(found: Iterator[MissingConsent]) -> list[str]:
    return sorted(each.statement.identifier.value for each in found)


@pytest.mark.parametrize(("source", "target"), list(permutations(NAMES, 2)))
def test_what_was_written_is_not_missing_any_more(accounts: Accounts, source: str, target: str) -> None:
    accounts[source].write_consent(statements(), accept=LOSSES)
    options = ConsentOptions(create_scopes=True)
    found = accounts.compare(source, target, options)
    if found.missing_scopes:
        assert accounts[target].ensure_consent_scopes(found.missing_scopes) == ("Offers",)
    write(accounts[target], found.before_contacts())
    write(accounts[target], found.after_contacts())
    again = accounts.compare(source, target, options)
    assert told(again.before_contacts()) == told(again.after_contacts()) == []

    refused = {
        each.identifier
        for each in merge_consent(accounts[source].consent())
        if each.state is REVOKED and each.channel is Channel.EMAIL
    }
    held = {each.identifier for each in accounts[target].consent() if each.state is REVOKED}
    assert refused <= held
    assert len(refused) >= 7


def test_losses_are_counted_with_masked_samples(accounts: Accounts) -> None:
    suppressions = accounts.suppressions()
    for number in range(5):
        suppressions.record("bounces", f"bounced{number}@example.com", int(DAY.timestamp()))
    found = accounts.compare("sendgrid", "bird")
    losses = {(each.field, each.code): each for each in found.losses()}
    assert set(losses) == {
        ("reason", LossCode.REASON_LOST),
        ("at", LossCode.DATE_LOST),
        ("evidence", LossCode.NO_PLACE),
    }
    loss = losses["reason", LossCode.REASON_LOST]
    assert (loss.count, len(loss.samples)) == (5, 3)
    assert loss.samples[0] == "email:b***@example.com: email revoked bounce 2026-01-31"


def test_people_who_are_suppressed_and_are_no_contacts_stay_suppressed(accounts: Accounts) -> None:
    accounts.suppressions().unsubscribes["long.gone@example.com"] = int(DAY.timestamp())
    for target in ("local", "memory", "bird"):
        found = accounts.compare("sendgrid", target)
        assert told(found.before_contacts()) == ["long.gone@example.com"]
        write(accounts[target], found.before_contacts())
        gone = Identifier.email("long.gone@example.com")
        assert [each.state for each in accounts[target].find_consent([gone])[gone]] == [REVOKED]


def test_skipping_makes_no_contacts_of_people_who_refused(accounts: Accounts) -> None:
    suppressions = accounts.suppressions()
    for name in ("gone", "known", "wanted"):
        suppressions.unsubscribes[f"{name}@example.com"] = int(DAY.timestamp())
    known, wanted = Identifier.email("known@example.com"), Identifier.email("wanted@example.com")
    accounts["bird"].upsert_contacts([Contact(identifiers=(known,))])
    found = accounts.compare("sendgrid", "bird", SKIP)
    assert told(found.before_contacts()) == ["known@example.com"]
    assert told(found.left_out()) == ["gone@example.com", "wanted@example.com"]
    assert found.gate(Contact(identifiers=(wanted,))).admission is Admission.NEVER
    assert told(found.before_contacts()) == ["known@example.com"]

    kept = accounts.compare("sendgrid", "local", SKIP)
    assert told(kept.before_contacts()) == ["gone@example.com", "known@example.com", "wanted@example.com"]


def test_a_refusal_that_a_copied_contact_waits_for_is_written_although_others_are_left_out(accounts: Accounts) -> None:
    said = [revoked(PHONE, Channel.SMS), Consent(JANE, Channel.EMAIL, GRANTED, at=DAY, evidence="form"), revoked(JOE)]
    accounts["local"].write_consent(said)
    found = accounts.compare("local", "bird", SKIP)
    assert told(found.before_contacts()) == []
    gate = found.gate(Contact(identifiers=(JANE, PHONE)))
    assert (gate.admission, [each.identifier for each in gate.waits_for]) == (Admission.AFTER_CONSENT, [PHONE])
    assert told(found.before_contacts()) == [PHONE.value]
    assert told(found.left_out()) == [JOE.value]


@pytest.mark.parametrize("target", ["bird", "local"])
def test_somebody_who_unsubscribes_between_two_reads_stays_unsubscribed(accounts: Accounts, target: str) -> None:
    accounts["memory"].write_consent([Consent(JANE, Channel.EMAIL, GRANTED, at=DAY, evidence="form")])
    found = accounts.compare("memory", target)
    assert told(found.after_contacts()) == [JANE.value]
    accounts[target].write_consent([revoked()])
    accounts[target].write_consent([each.statement for each in found.after_contacts()], accept=LOSSES)
    assert [each.state for each in merge_consent(accounts[target].find_consent([JANE])[JANE])] == [REVOKED]
    assert told(accounts.compare("memory", target).after_contacts()) == []


def test_somebody_who_unsubscribes_at_the_source_after_the_first_pass_is_refused_by_the_second(
    accounts: Accounts,
) -> None:
    accounts["local"].write_consent([Consent(JANE, Channel.EMAIL, GRANTED, at=DAY, evidence="form")])
    write(accounts["bird"], accounts.compare("local", "bird").after_contacts())
    accounts["local"].write_consent([revoked(at=DAY + timedelta(days=1))])
    second = accounts.compare("local", "bird")
    assert told(second.before_contacts()) == [JANE.value]
    write(accounts["bird"], second.before_contacts())
    assert [each.state for each in accounts["bird"].find_consent([JANE])[JANE]] == [REVOKED]


@pytest.mark.parametrize("target", ["sendgrid", "bird"])
def test_a_target_that_resubscribes_on_upsert_is_noticed(accounts: Accounts, target: str) -> None:
    accounts["local"].write_consent([revoked(at=DAY, reason=ConsentReason.UNSUBSCRIBE)])
    contact = Contact(identifiers=(JANE,), first_name="Jane")
    found = accounts.compare("local", target)
    gate = found.gate(contact)
    assert gate.missing(accounts[target].find_consent([JANE])[JANE]) == gate.waits_for != ()
    write(accounts[target], found.before_contacts())
    assert gate.missing(accounts[target].find_consent([JANE])[JANE]) == ()

    accounts.served[target].sandbox.faults.set("resubscribes", None)
    accounts[target].wait(accounts[target].upsert_contacts([contact]))
    assert gate.missing(accounts[target].find_consent([JANE])[JANE]) == gate.waits_for
    assert told(accounts.compare("local", target).before_contacts()) == [JANE.value]


def test_an_unsubscribe_that_the_target_ignores_opens_no_gate(accounts: Accounts) -> None:
    accounts["local"].write_consent([revoked(at=DAY)])
    found = accounts.compare("local", "sendgrid")
    gate = found.gate(Contact(identifiers=(JANE,)))
    accounts.served["sendgrid"].sandbox.faults.set("consent-ignored", None)
    write(accounts["sendgrid"], found.before_contacts())
    assert gate.missing(accounts["sendgrid"].find_consent([JANE])[JANE]) == gate.waits_for != ()


def test_a_contact_with_two_refused_addresses_becomes_one_contact_of_a_vendor_that_keeps_consent_on_contacts(
    accounts: Accounts,
) -> None:
    said = [revoked(PHONE, Channel.SMS), revoked(JANE, at=DAY), revoked(JOE, at=DAY)]
    accounts["local"].write_consent(said)
    contact = Contact(identifiers=(PHONE, JANE, JOE))
    found = accounts.compare("local", "bird")
    gate = found.gate(contact)
    assert [each.identifier for each in gate.waits_for] == [JANE]
    write(accounts["bird"], found.before_contacts())
    accounts["bird"].upsert_contacts([Contact(identifiers=(JANE, JOE, PHONE))])
    assert accounts["bird"].count() == 1
    write(accounts["bird"], found.after_contacts())
    states = {each.channel: each.state for each in accounts["bird"].consent()}
    assert states == {Channel.EMAIL: REVOKED, Channel.SMS: REVOKED}
    assert accounts["bird"].count() == 1


def test_refusals_are_not_copied_to_a_vendor_without_consent(accounts: Accounts) -> None:
    accounts["local"].write_consent([revoked(at=DAY), Consent(JOE, Channel.EMAIL, GRANTED)])
    with pytest.raises(PlanRefused, match="local has 1 refusal") as raised:
        accounts.compare("local", "user-api")
    assert "field:NAME or tag:NAME" in raised.value.hint
    skipping = accounts.compare("local", "user-api", SKIP)
    assert skipping.gate(Contact(identifiers=(JANE,))).admission is Admission.NEVER
    assert skipping.gate(Contact(identifiers=(JOE,))).admission is Admission.NOW
    assert {each.field for each in skipping.losses()} == {"revoked.email", "granted.email"}


def test_grants_alone_are_no_reason_to_refuse(accounts: Accounts) -> None:
    accounts["local"].write_consent([Consent(JOE, Channel.EMAIL, GRANTED)])
    assert [each.field for each in accounts.compare("local", "user-api").losses()] == ["granted.email"]


def test_consent_goes_to_a_vendor_without_consent_and_comes_back(accounts: Accounts) -> None:
    options = ConsentOptions(place=ConsentPlace.parse("field:consent"))
    accounts["local"].write_consent([revoked(at=DAY), Consent(JOE, Channel.EMAIL, GRANTED)])
    user_api = accounts["user-api"]
    user_api.create_custom_field("consent", FieldType.TEXT)
    found = accounts.compare("local", "user-api", options)
    contacts = [Contact(identifiers=(each,), first_name="Somebody") for each in (JANE, JOE)]
    gates = [found.gate(each) for each in contacts]
    assert [each.admission for each in gates] == [Admission.WITH_MARK, Admission.NOW]
    marked = [found.marked(each) for each in contacts]
    assert found.unmarked(gates[0], user_api.preview(marked[0], user_api.shape()).shown) == ()
    user_api.upsert_contacts(marked)
    again = accounts.compare("local", "user-api", options)
    assert told(again.before_contacts()) == told(again.after_contacts()) == []
    assert again.gate(contacts[0]).admission is Admission.WITH_MARK

    back = accounts.compare("user-api", "memory", options)
    assert told(back.before_contacts()) == [JANE.value]
    assert back.marked(contacts[0]) == contacts[0]
    write(accounts["memory"], back.before_contacts())
    assert accounts["memory"].find_consent([JANE])[JANE] == (revoked(at=DAY),)


def test_a_mark_that_the_target_does_not_keep_is_noticed_before_anything_is_written(accounts: Accounts) -> None:
    accounts["local"].write_consent([revoked()])
    contact = Contact(identifiers=(JANE,), first_name="Jane")
    for text in ("tag:gone", "field:there is no such field"):
        found = accounts.compare("local", "user-api", ConsentOptions(place=ConsentPlace.parse(text)))
        gate = found.gate(contact)
        shown = accounts["user-api"].preview(found.marked(contact), accounts["user-api"].shape()).shown
        assert [each.identifier for each in found.unmarked(gate, shown)] == [JANE]
        assert found.unmarked(gate, None) == gate.waits_for


def test_a_place_is_refused_where_both_vendors_keep_consent(accounts: Accounts) -> None:
    with pytest.raises(InvalidInput, match="both vendors keep consent"):
        accounts.compare("local", "memory", ConsentOptions(place=ConsentPlace.parse("tag:gone")))


@frozen(kw_only=True)
class Finding(FindsConsent):
    name = "finds"
    base_url: str = base_url_setting("http://localhost")
    consent_find_batch_size = 100

    def find_consent(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Consent]]]:
        yield from ()
        return [(each, revoked(each)) for each in identifiers if each == JANE]


def test_a_target_that_only_looks_consent_up_is_asked_about_the_people_of_the_source(accounts: Accounts) -> None:
    accounts["local"].write_consent([revoked(), revoked(JOE)])
    found = ConsentComparison("local", "finds", SKIP)
    with Contacts(Finding()) as finding:
        run_in_accounts([accounts["local"], finding], found.run)
    assert [each.statement.identifier for each in found.held()] == [JOE]
    with Contacts(Finding()) as finding, pytest.raises(PlanRefused, match="does not list its consent"):
        run_in_accounts([accounts["local"], finding], ConsentComparison("finds", "local").run)


class TestGate:
    def gate(self, target: Any, *said: Consent, options: ConsentOptions | None = None, **more: Any) -> Any:
        contact = Contact(identifiers=(JANE, PHONE), **more)
        by_identifier: dict[Identifier, list[Consent]] = {}
        for each in said:
            by_identifier.setdefault(each.identifier, []).append(each)
        return consent_gate(contact, by_identifier, target, options or ConsentOptions())

    @pytest.fixture
    def sendgrid(self) -> SendGrid:
        return SendGrid(api_key="example")

    def test_nobody_refused(self, sendgrid: SendGrid) -> None:
        assert self.gate(sendgrid).admission is Admission.NOW
        assert self.gate(sendgrid, revoked(JOE)).admission is Admission.NOW
        assert self.gate(sendgrid, Consent(JANE, Channel.EMAIL, GRANTED)).admission is Admission.NOW
        proven = Consent(JANE, Channel.EMAIL, GRANTED, at=DAY + timedelta(days=1), evidence="form")
        assert self.gate(sendgrid, revoked(at=DAY), proven).admission is Admission.NOW

    def test_a_refusal_has_to_be_read_back_first(self, sendgrid: SendGrid) -> None:
        gate = self.gate(sendgrid, revoked(at=DAY))
        assert gate.admission is Admission.AFTER_CONSENT
        assert gate.missing([]) == gate.waits_for == (revoked(reason=ConsentReason.UNSUBSCRIBE),)
        assert gate.missing([revoked(reason=ConsentReason.UNSUBSCRIBE, at=DAY)]) == ()
        assert gate.missing([revoked(reason=ConsentReason.BOUNCE)]) == ()
        assert gate.missing([revoked(scope="Offers")]) == gate.waits_for
        assert gate.missing([Consent(JANE, Channel.EMAIL, GRANTED)]) == gate.waits_for

    @pytest.mark.parametrize(
        "statement", [revoked(PHONE, Channel.SMS), Consent(JANE, Channel.EMAIL, PENDING)], ids=["sms", "pending"]
    )
    def test_what_cannot_be_held_keeps_a_contact_out_unless_that_is_accepted(
        self, sendgrid: SendGrid, statement: Consent
    ) -> None:
        gate = self.gate(sendgrid, statement)
        assert gate.admission is Admission.NEVER
        assert "NO_CONSENT" in gate.reason
        name = f"{statement.state.value}.{statement.channel.value}"
        for accepted in (name, statement.state.value):
            options = ConsentOptions(accepted=[accepted])
            assert self.gate(sendgrid, statement, options=options).admission is Admission.NOW
        for other in ("granted", "revoked.push", "revoke"):
            assert self.gate(sendgrid, statement, options=ConsentOptions(accepted=[other])).admission is Admission.NEVER

    def test_an_address_that_the_vendor_does_not_take_keeps_a_contact_out(self, sendgrid: SendGrid) -> None:
        odd = Identifier.email("no address at all")
        gate = consent_gate(Contact(identifiers=(odd,)), {odd: [revoked(odd)]}, sendgrid, ConsentOptions())
        assert gate.admission is Admission.NEVER
        assert "REFUSED" in gate.reason

    def test_skipping_leaves_out_who_refused_everything_and_granted_nothing(self, sendgrid: SendGrid) -> None:
        sms = Consent(PHONE, Channel.SMS, GRANTED)
        assert self.gate(sendgrid, revoked(), options=SKIP).admission is Admission.NEVER
        assert self.gate(sendgrid, revoked(), sms, options=SKIP).admission is Admission.AFTER_CONSENT
        assert self.gate(sendgrid, revoked(scope="Offers"), options=SKIP).admission is Admission.AFTER_CONSENT

    def test_a_statement_about_a_contact_without_an_address_counts(self, sendgrid: SendGrid) -> None:
        nameless = Consent(Identifier.other("id", "7"), Channel.EMAIL, REVOKED)
        assert self.gate(sendgrid, nameless, id="7").admission is Admission.NEVER
        assert self.gate(sendgrid, nameless, id="8").admission is Admission.NOW

    def test_a_vendor_without_consent_takes_nobody_who_refused(self) -> None:
        user_api = UserApi(api_key="example", base_url="http://localhost")
        assert self.gate(user_api, revoked()).admission is Admission.NEVER
        place = ConsentOptions(place=ConsentPlace.parse("tag:gone"))
        assert self.gate(user_api, revoked(), options=place).admission is Admission.WITH_MARK
        assert self.gate(Bird(access_key="example", workspace_id="w"), revoked()).admission is Admission.AFTER_CONSENT
