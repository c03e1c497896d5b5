"""Statements of consent, and sent mail, as each vendor has them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contacts_bird.emulator import BirdEmulator
from contacts_core import (
    Channel,
    Consent,
    ConsentReason,
    ConsentState,
    Contact,
    Contacts,
    Coverage,
    Identifier,
    JobState,
    Outcome,
    OutcomeState,
    connect,
    errors,
    merge_consent,
)
from contacts_core.emulator import Running
from contacts_core.provider import Flow, done
from contacts_local import Local
from contacts_sendgrid.emulator import SendGridEmulator
from tests.providers.test_on_emulators import account, requests

GRANTED, REVOKED, PENDING = ConsentState.GRANTED, ConsentState.REVOKED, ConsentState.PENDING
JANE, JOE = Identifier.email("jane@example.com"), Identifier.email("joe@example.com")
PHONE = Identifier.phone("+12025550123")
DAY = datetime(2026, 1, 31, 12, tzinfo=UTC)


def sendgrid_of(served: Running) -> SendGridEmulator:
    emulator = served.sandbox.emulators["sendgrid"]
    assert isinstance(emulator, SendGridEmulator)
    return emulator


def revoked(identifier: Identifier = JANE, channel: Channel = Channel.EMAIL, **more: Any) -> Consent:
    return Consent(identifier, channel, REVOKED, **more)


def told(statements: Iterable[Consent]) -> set[tuple[str, str, str, str]]:
    return {
        (each.identifier.value, each.state.value, each.reason.value if each.reason else "", each.scope)
        for each in statements
    }


def accepted() -> Flow[Outcome]:
    yield from ()
    return done("jane@example.com")


class TestSendGrid:
    def test_reads_all_lists_of_suppressions_with_their_dates(self) -> None:
        with account("sendgrid") as (client, served):
            suppressions = sendgrid_of(served).suppressions
            news = suppressions.add_group("News", "News of the week")
            news.members["group@example.com"] = int(DAY.timestamp())
            suppressions.unsubscribes["gone@example.com"] = int(DAY.timestamp())
            for name in ("bounces", "blocks", "invalid_emails", "spam_reports"):
                suppressions.record(name, f"{name}@example.com", int(DAY.timestamp()))
            found = list(client.consent())
            assert told(found) == {
                ("group@example.com", "revoked", "unsubscribe", "News"),
                ("gone@example.com", "revoked", "unsubscribe", ""),
                ("bounces@example.com", "revoked", "bounce", ""),
                ("blocks@example.com", "revoked", "block", ""),
                ("invalid_emails@example.com", "revoked", "invalid", ""),
                ("spam_reports@example.com", "revoked", "complaint", ""),
            }
            assert {each.at for each in found} == {DAY}
            assert {each.channel for each in found} == {Channel.EMAIL}
            (bounce,) = (each for each in found if each.reason is ConsentReason.BOUNCE)
            assert bounce.evidence == "5.1.1 550 5.1.1 The email account does not exist"

    def test_reads_more_than_one_page_of_each_list(self) -> None:
        with account("sendgrid") as (client, served):
            suppressions = sendgrid_of(served).suppressions
            for number in range(1001):
                suppressions.unsubscribes[f"u{number}@example.com"] = number + 1_700_000_000
                suppressions.record("bounces", f"b{number}@example.com", number + 1_700_000_000)
            assert len({each.identifier for each in client.consent()}) == 2002
            assert requests().count("GET /v3/suppression/bounces") == 3

    def test_finds_what_it_reads(self) -> None:
        with account("sendgrid", contacts=60) as (client, _):
            found = list(client.consent())
            assert len(found) > 10
            looked_up = client.find_consent(dict.fromkeys(each.identifier for each in found))
            assert told(said for each in looked_up for said in looked_up[each]) == told(found)

    def test_groups_that_count_more_than_is_shown_are_an_incomplete_export(self) -> None:
        with account("sendgrid") as (client, served):
            group = sendgrid_of(served).suppressions.add_group("News", "News of the week")
            group.members |= {f"p{number}@example.com": 1_700_000_000 for number in range(30)}
            served.sandbox.faults.set("suppressions-cut", None)
            with pytest.raises(errors.IncompleteExport, match="10 of the 30 unsubscribes of the group News") as raised:
                list(client.consent())
            assert (raised.value.found, raised.value.total) == (10, 30)

    def test_a_missing_endpoint_is_not_taken_for_no_statement(self) -> None:
        with account("sendgrid") as (client, served):
            sendgrid_of(served).suppressions.unsubscribes["jane@example.com"] = 1_700_000_000
            for fault in ("not-found-everywhere", "not-found-everywhere-json", "not-found-everywhere-empty"):
                served.sandbox.faults.set(fault, None)
                with pytest.raises(errors.ProviderError):
                    client.find_consent([JANE])
                served.sandbox.faults.clear()

    def test_a_bounce_becomes_an_unsubscribe_only_if_its_losses_are_accepted(self) -> None:
        bounce = revoked(reason=ConsentReason.BOUNCE, at=DAY)
        with account("sendgrid") as (client, _):
            refused = client.write_consent([bounce])
            assert refused.state is OutcomeState.FAILED
            assert "REASON_LOST" in refused.failed[0].reason
            assert "DATE_LOST" in refused.failed[0].reason
            assert client.write_consent([bounce], accept=["DATE_LOST"]).state is OutcomeState.FAILED
            assert requests() == []
            written = client.write_consent([bounce], accept=["DATE_LOST", "REASON_LOST:reason"])
            assert (written.state, written.confirmed) == (OutcomeState.DONE, ("jane@example.com",))
            assert written.dropped_fields == ("at (DATE_LOST)", "reason (REASON_LOST)")
            assert told(client.consent()) == {("jane@example.com", "revoked", "unsubscribe", "")}

    def test_a_scope_is_a_group_and_must_exist(self) -> None:
        with account("sendgrid") as (client, served):
            news = sendgrid_of(served).suppressions.add_group("News", "News of the week")
            statements = [revoked(scope="News"), revoked(JOE, scope="Surveys"), revoked(JOE)]
            outcome = client.write_consent(statements)
            assert outcome.state is OutcomeState.PARTIAL
            assert [failure.item for failure in outcome.failed] == ["joe@example.com"]
            assert "no unsubscribe group 'Surveys'" in outcome.failed[0].reason
            assert list(news.members) == ["jane@example.com"]
            assert list(sendgrid_of(served).suppressions.unsubscribes) == ["joe@example.com"]
            found = client.find_consent([JANE])[JANE]
            assert told(found) == {("jane@example.com", "revoked", "unsubscribe", "News")}
            assert [each.at for each in found] == [None]

    @pytest.mark.parametrize(
        "statement",
        [
            pytest.param(Consent(JANE, Channel.EMAIL, GRANTED), id="grant"),
            pytest.param(Consent(JANE, Channel.EMAIL, PENDING), id="pending"),
            pytest.param(revoked(PHONE, Channel.SMS), id="sms"),
            pytest.param(revoked(PHONE), id="no-address"),
        ],
    )
    def test_what_it_cannot_hold_is_never_sent(self, statement: Consent) -> None:
        with account("sendgrid") as (client, _):
            outcome = client.write_consent([statement], accept=["REASON_LOST", "DATE_LOST", "NO_PLACE", "RETYPED"])
            assert outcome.state is OutcomeState.FAILED
            assert "NO_CONSENT" in outcome.failed[0].reason
            assert requests() == []
            with pytest.raises(errors.InvalidInput, match="no loss that can be accepted"):
                client.write_consent([statement], accept=["NO_CONSENT"])

    def test_a_narrower_refusal_becomes_a_wider_one_only_if_that_is_accepted(self) -> None:
        marketing = revoked(coverage=Coverage.NON_TRANSACTIONAL)
        with account("sendgrid") as (client, _):
            assert "RETYPED" in client.write_consent([marketing]).failed[0].reason
            assert client.write_consent([marketing], accept=["RETYPED:coverage"]).state is OutcomeState.DONE

    def test_many_are_sent_together_and_one_refusal_takes_nobody_with_it(self) -> None:
        with account("sendgrid") as (client, served):
            odd = Identifier.email("no\u00adbody at example.com")
            people = [Identifier.email(f"p{number}@example.com") for number in range(1500)]
            outcome = client.write_consent([revoked(each) for each in [*people, odd]])
            assert (outcome.succeeded_count, outcome.failed_count) == (1500, 1)
            assert requests().count("POST /v3/asm/suppressions/global") == 2
            assert len(sendgrid_of(served).suppressions.unsubscribes) == 1500

    def test_the_statement_that_counts_is_written_of_several(self) -> None:
        statements = [
            Consent(JANE, Channel.EMAIL, GRANTED, at=DAY),
            revoked(reason=ConsentReason.UNSUBSCRIBE),
            revoked(JOE, reason=ConsentReason.UNSUBSCRIBE),
            revoked(JOE, reason=ConsentReason.UNSUBSCRIBE),
        ]
        with account("sendgrid") as (client, _):
            outcome = client.write_consent(statements)
            assert set(outcome.confirmed) == {"jane@example.com", "joe@example.com"}
            assert [each.item for each in outcome.failed] == ["jane@example.com"]
            assert "a statement that counts more is revoked" in outcome.failed[0].reason

    @pytest.mark.parametrize("reason", [each for each in ConsentReason if each is not ConsentReason.MANUAL])
    def test_only_the_suppression_of_the_reason_that_is_named_is_lifted(self, reason: ConsentReason) -> None:
        with account("sendgrid") as (client, served):
            suppressions = sendgrid_of(served).suppressions
            suppressions.add_group("News", "News").members |= {"jane@example.com": 1, "joe@example.com": 1}
            suppressions.unsubscribes |= {"jane@example.com": 1, "joe@example.com": 1}
            for name in ("bounces", "blocks", "invalid_emails", "spam_reports"):
                suppressions.record(name, "jane@example.com", 1)
                suppressions.record(name, "joe@example.com", 1)
            before = told(client.consent())
            outcome = client.lift_suppression(JANE, evidence="her mail of 3 May", reasons=[reason])
            assert outcome.confirmed == ("jane@example.com",)
            assert before - told(client.consent()) == {("jane@example.com", "revoked", reason.value, "")}
            deletions = [each for each in requests() if each.startswith("DELETE")]
            assert len(deletions) == 1

    def test_the_suppression_of_a_group_is_lifted_by_its_name(self) -> None:
        with account("sendgrid") as (client, served):
            suppressions = sendgrid_of(served).suppressions
            suppressions.add_group("News", "News").members |= {"jane@example.com": 1}
            suppressions.add_group("Offers", "Offers").members |= {"jane@example.com": 1}
            suppressions.unsubscribes["jane@example.com"] = 1
            assert client.lift_suppression(JANE, evidence="form", scope="News").confirmed == ("jane@example.com",)
            assert {each[3] for each in told(client.consent())} == {"", "Offers"}
            assert client.lift_suppression(JANE, evidence="form", scope="News").absent == ("jane@example.com",)

    def test_what_is_still_shown_is_not_called_lifted(self) -> None:
        with account("sendgrid") as (client, served), pytest.MonkeyPatch.context() as patch:
            sendgrid_of(served).suppressions.unsubscribes["jane@example.com"] = 1
            patch.setattr(type(client.provider), "lift_suppression", lambda *_: accepted())
            outcome = client.lift_suppression(JANE, evidence="form")
            assert outcome.state is OutcomeState.FAILED
            assert "still shows the suppression" in outcome.failed[0].reason

    def test_an_address_that_cannot_be_looked_up_is_not_lifted(self) -> None:
        with account("sendgrid") as (client, _):
            with pytest.raises(errors.InvalidInput, match="not sent"):
                client.lift_suppression(PHONE, evidence="form")
            assert requests() == []

    def test_groups_are_created_by_name_and_once(self) -> None:
        with account("sendgrid") as (client, served):
            groups = sendgrid_of(served).suppressions.groups
            groups.clear()
            assert client.ensure_consent_scopes(["News", "Surveys", "News"]) == ("News", "Surveys")
            assert client.ensure_consent_scopes(["Surveys", "Tips"]) == ("Tips",)
            created = [(each.name, each.is_default) for each in groups.values()]
            assert created == [("News", False), ("Surveys", False), ("Tips", False)]
            for name in ("", " ", "x" * 31):
                with pytest.raises(errors.InvalidInput, match="1 to 30 characters"):
                    client.ensure_consent_scopes(["Fine", name])
            assert len(groups) == 3

    def test_a_vendor_that_resubscribes_on_upsert_is_seen_by_a_look_up(self) -> None:
        with account("sendgrid") as (client, served):
            client.write_consent([revoked()])
            served.sandbox.faults.set("resubscribes", None)
            client.wait(client.upsert_contacts([Contact(identifiers=(JANE,))]))
            assert client.find_consent([JANE])[JANE] == ()

    def test_an_unsubscribe_that_is_ignored_is_seen_by_a_look_up(self) -> None:
        with account("sendgrid") as (client, served):
            served.sandbox.faults.set("consent-ignored", None)
            client.write_consent([revoked()])
            assert client.find_consent([JANE])[JANE] == ()


class TestSentMail:
    def test_is_erased_by_a_job_that_nothing_can_read(self) -> None:
        with account("sendgrid") as (client, served):
            outcome = client.erase_mail_data([JANE, JOE, PHONE, Identifier.email("nobody")])
            assert outcome.state is OutcomeState.ACCEPTED
            assert {failure.item for failure in outcome.failed} == {"+12025550123", "nobody"}
            (job,) = outcome.jobs
            assert (job.operation, job.requested, job.state) == ("erase_mail_data", 2, JobState.PENDING)
            (ended,) = client.wait(outcome).jobs
            assert ended.state is JobState.UNKNOWN
            assert sendgrid_of(served).suppressions.erased == {"jane@example.com", "joe@example.com"}

    def test_is_erased_in_batches_that_fit(self) -> None:
        with account("sendgrid") as (client, served):
            outcome = client.erase_mail_data(
                Identifier.email(f"p{number}@{'x' * 60}.example.com") for number in range(2500)
            )
            assert len(outcome.jobs) == 3
            assert sum(job.requested for job in outcome.jobs) == 2500
            assert len(sendgrid_of(served).suppressions.erased) == 2500

    def test_of_nobody_sends_nothing(self) -> None:
        with account("sendgrid") as (client, _):
            assert client.erase_mail_data([]).requested == 0
            assert requests() == []


class TestBird:
    def test_consent_is_no_custom_field(self) -> None:
        with account("bird", contacts=60) as (client, _):
            everyone = list(client.export())
            assert not any(name.startswith("subscribed") for each in everyone for name in (*each.custom, *each.extra))
            assert not any(field.name.startswith("subscribed") for field in client.custom_fields())

    def test_true_is_granted_false_is_revoked_and_nothing_is_no_statement(self) -> None:
        with account("bird") as (client, served):
            emulator = served.sandbox.emulators["bird"]
            assert isinstance(emulator, BirdEmulator)
            someone = emulator.create([("email", "jane@example.com"), ("phone", "+12025550123")])
            emulator.create([("email", "joe@example.com")])
            values = {"subscribedEmail": False, "subscribedSms": True, "subscribedPush": False, "subscribedRcs": "odd"}
            emulator.store.contacts[someone].attributes |= values
            found = {(each.channel.value, each.identifier.value, each.state.value) for each in client.consent()}
            assert found == {
                ("email", "jane@example.com", "revoked"),
                ("sms", "+12025550123", "granted"),
                ("push", "jane@example.com", "revoked"),
                ("push", "+12025550123", "revoked"),
            }
            assert [contact.extra.get("subscribedRcs") for contact in client.export()] == ["odd", None]
            looked_up = client.find_consent([JANE, PHONE, JOE])
            assert {each.channel.value for each in looked_up[JANE]} == {"email", "push"}
            assert {each.channel.value for each in looked_up[PHONE]} == {"sms", "push"}
            assert looked_up[JOE] == ()

    def test_a_contact_without_an_address_keeps_its_refusal(self) -> None:
        with account("bird") as (client, served):
            emulator = served.sandbox.emulators["bird"]
            assert isinstance(emulator, BirdEmulator)
            by_phone, nobody = emulator.create([("phone", "+12025550123")]), emulator.create([])
            for contact_id in (by_phone, nobody):
                emulator.store.contacts[contact_id].attributes |= {"subscribedEmail": False}
            assert {(each.identifier, each.state) for each in client.consent()} == {
                (PHONE, REVOKED),
                (Identifier.other("id", nobody), REVOKED),
            }

    def test_an_answer_without_attributes_is_not_taken_for_no_statement(self) -> None:
        with account("bird", contacts=12) as (client, served):
            everything = set(client.consent())
            served.sandbox.faults.set("no-relations-anywhere", 1)
            assert set(client.consent()) == everything
            served.sandbox.faults.set("no-relations-anywhere", None)
            with pytest.raises(errors.UnexpectedPayload, match="attributes"):
                list(client.consent())

    def test_a_statement_about_nobody_makes_a_contact_that_is_refused_from_the_start(self) -> None:
        with account("bird") as (client, served):
            emulator = served.sandbox.emulators["bird"]
            assert isinstance(emulator, BirdEmulator)
            assert client.write_consent([revoked(), revoked(PHONE, Channel.SMS)]).state is OutcomeState.DONE
            held = {each.identifiers[0].value: each.attributes for each in emulator.store.contacts.values()}
            assert (held["jane@example.com"]["subscribedEmail"], held["+12025550123"]["subscribedSms"]) == (
                False,
                False,
            )
            assert "subscribedSms" not in held["jane@example.com"]
            assert {request.partition("/contacts/")[2] for request in requests()} == {
                "identifiers/emailaddress/jane@example.com",
                "identifiers/phonenumber/+12025550123",
            }

    def test_a_grant_never_overrules_a_refusal_whose_date_nobody_knows(self) -> None:
        proven = Consent(JANE, Channel.EMAIL, GRANTED, at=DAY, evidence="confirmed by mail")
        accept = ["DATE_LOST", "NO_PLACE"]
        with account("bird") as (client, _):
            assert client.write_consent([proven], accept=accept).state is OutcomeState.DONE
            client.write_consent([revoked()])
            refused = client.write_consent([proven], accept=accept)
            assert refused.state is OutcomeState.FAILED
            assert "must not overrule (revoked)" in refused.failed[0].reason
            assert client.find_consent([JANE])[JANE][0].state is REVOKED

    def test_a_grant_about_one_address_does_not_lift_a_refusal_of_another_of_the_same_contact(self) -> None:
        granted = Consent(JOE, Channel.EMAIL, GRANTED, at=DAY, evidence="form")
        with account("bird") as (client, _):
            client.upsert_contacts([Contact(identifiers=(JANE, JOE))])
            outcome = client.write_consent([granted, revoked()], accept=["DATE_LOST", "NO_PLACE"])
            assert outcome.confirmed == ("jane@example.com",)
            assert [each.item for each in outcome.failed] == ["joe@example.com"]
            states = {each.state for said in client.find_consent([JANE, JOE]).values() for each in said}
            assert states == {REVOKED}

    @pytest.mark.parametrize("answered", [0, 1])
    def test_what_was_written_before_an_error_is_told(self, answered: int) -> None:
        statements = [
            revoked(),
            *(Consent(Identifier.email(f"g{n}@example.com"), Channel.EMAIL, GRANTED, at=DAY) for n in range(2)),
        ]
        with account("bird") as (client, served):
            if answered:
                client.write_consent(statements[:1])
            write, left = client.provider.write_consent, [answered]

            def fails(part: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    raise errors.Unauthenticated("no key")
                return (yield from write(part))

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(type(client.provider), "write_consent", lambda _self, part: fails(part))
                with pytest.raises(errors.Interrupted) as raised:
                    client.write_consent(statements, accept=["DATE_LOST"])
            assert raised.value.outcome.succeeded_count == answered
            assert len(raised.value.unsent) + len(raised.value.uncertain) == 3 - answered
            assert len(served.sandbox.emulators["bird"].truth()) == answered

    def test_lifting_grants_consent_for_the_whole_contact(self) -> None:
        with account("bird") as (client, _):
            client.upsert_contacts([Contact(identifiers=(JANE, JOE))])
            client.write_consent([revoked()])
            assert client.lift_suppression(JANE, evidence="her mail of 3 May").confirmed == ("jane@example.com",)
            states = {each.state for said in client.find_consent([JANE, JOE]).values() for each in said}
            assert states == {GRANTED}
            assert client.lift_suppression(JANE, evidence="again").absent == ("jane@example.com",)

    def test_a_file_of_contacts_subscribes_nobody(self) -> None:
        with account("bird") as (client, _):
            client.write_consent([revoked()])
            outcome = client.upsert_contacts([Contact(identifiers=(JANE,), custom={"subscribedEmail": True})])
            assert outcome.dropped_fields == ("custom.subscribedEmail",)
            assert client.find_consent([JANE])[JANE][0].state is REVOKED

    def test_a_refusal_that_bird_ignores_is_not_confirmed(self) -> None:
        with account("bird") as (client, served):
            served.sandbox.faults.set("consent-ignored", None)
            outcome = client.write_consent([revoked()])
            assert outcome.state is OutcomeState.FAILED
            assert "shows the contact without it" in outcome.failed[0].reason

    def test_a_vendor_that_resubscribes_on_upsert_is_seen_by_a_look_up(self) -> None:
        with account("bird") as (client, served):
            client.write_consent([revoked()])
            served.sandbox.faults.set("resubscribes", None)
            client.upsert_contacts([Contact(identifiers=(JANE,), first_name="Jane")])
            assert [each.state for each in client.find_consent([JANE])[JANE]] == [GRANTED]

    def test_people_who_were_erased_are_not_made_again_by_a_statement(self) -> None:
        with account("bird") as (client, served):
            guarded = Contacts(client.provider, guard=lambda contacts: ["they were erased"] * len(contacts))
            with guarded:
                outcome = guarded.write_consent([revoked()])
                assert "held back, they were erased" in outcome.failed[0].reason
                assert served.sandbox.emulators["bird"].truth() == {}
                assert guarded.write_consent([revoked()], recreate_erased=True).state is OutcomeState.DONE


class TestLocal:
    def test_keeps_every_statement_with_every_detail(self, tmp_path: Path) -> None:
        statements = [
            Consent(JANE, Channel.EMAIL, state, reason=reason, scope=scope, coverage=coverage, at=at, evidence=evidence)
            for state in ConsentState
            for reason in (None, *ConsentReason)
            for scope in ("", "Weekly news")
            for coverage in Coverage
            for at in (None, DAY)
            for evidence in ("", "form 7")
        ]
        statements += [Consent(PHONE, channel, REVOKED) for channel in Channel]
        statements += [Consent(Identifier.other("crm", "7"), Channel.PUSH, GRANTED)]
        with connect(Local, path=tmp_path / "people.db") as contacts:
            for _ in range(2):  # a statement that is there already is not added again
                assert contacts.write_consent(statements).state is OutcomeState.DONE
            assert list(contacts.consent()) == statements
            found = contacts.find_consent([JANE, PHONE, JOE])
            assert found[JANE] == tuple(each for each in statements if each.identifier == JANE)
            assert len(found[PHONE]) == len(Channel)
            assert found[JOE] == ()
            assert merge_consent(contacts.consent()) == merge_consent(statements)

    def test_refusals_outlast_their_contact(self, tmp_path: Path) -> None:
        with connect(Local, path=tmp_path / "people.db") as contacts:
            (contact_id,) = contacts.upsert_contacts([Contact(identifiers=(JANE,))]).confirmed
            contacts.write_consent([revoked()])
            contacts.delete_contacts([contact_id])
            assert contacts.find_consent([JANE])[JANE][0].state is REVOKED

    def test_a_file_from_before_there_was_consent_is_brought_up_to_date(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from contacts_local import store

        with monkeypatch.context() as before:
            before.setattr(store, "MIGRATIONS", store.MIGRATIONS[:1])
            with connect(Local, path=tmp_path / "people.db") as contacts:
                contacts.upsert_contacts([Contact(identifiers=(JANE,))])
        with connect(Local, path=tmp_path / "people.db") as contacts:
            assert list(contacts.consent()) == []
            contacts.write_consent([revoked()])
            assert contacts.count() == 1
            assert len(list(contacts.consent())) == 1


class TestFromOneVendorToAnother:
    def test_nobody_who_refused_at_one_arrives_mailable_at_the_other(self) -> None:
        accept = ["REASON_LOST", "DATE_LOST", "NO_PLACE", "RETYPED"]
        with account("sendgrid", contacts=60) as (old, _), account("bird") as (new, _):
            statements = list(old.consent())
            outcome = new.write_consent(statements, accept=accept)
            assert outcome.state is OutcomeState.DONE, outcome
            refused = {each.identifier for each in statements}
            held = {each.identifier: each.state for each in new.consent()}
            assert held == dict.fromkeys(refused, REVOKED)
            assert new.write_consent(statements, accept=accept).state is OutcomeState.DONE
