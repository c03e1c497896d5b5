"""Whoever refused stays refused: whatever is undone, copied again, written from a file, or said by a vendor."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contacts_core import Channel, Consent, ConsentState, Contact, Contacts, Identifier
from contacts_core.errors import PlanRefused
from contacts_core.plans import FieldMap, LossesNotAccepted, Plan, Receipt, SafetyLimits, Unsubscribed, apply, plan_undo
from contacts_core.storage.database import locate_storage
from contacts_core.storage.tombstones import Tombstones
from tests.plans.test_copy import QUICK, account, copy, mailable, planned, reasons, refusing, two_accounts

WHO = Identifier.email("who.refused@example.com")


def refuse(client: Contacts[Any], *identifiers: Identifier) -> None:
    said = [Consent(each, Channel.EMAIL, ConsentState.REVOKED) for each in identifiers]
    outcome = client.write_consent(said, accept=["REASON_LOST", "DATE_LOST"])
    assert outcome.succeeded_count == len(said)


def undone(client: Contacts[Any], run: str) -> tuple[Plan, Receipt]:
    plan = Plan.parse(plan_undo(run, [client]).text)
    return plan, apply(plan, [client], **QUICK)


# -- undo: a vendor that keeps consent on contacts deletes it with them


@pytest.mark.parametrize("new", ["bird", "user-api", "sendgrid"])
def test_an_undo_deletes_no_refusal(new: str, tmp_path: Path) -> None:
    with two_accounts("bird" if new == "sendgrid" else "sendgrid", new, tmp_path) as (source, target, _, _):
        _, receipt = copy(source, target)
        refused = refusing(target)
        assert refused
        undo, told = undone(target, receipt.run)
        assert told.complete
        assert refusing(target) == refused
        reasons = [each.reason for each in undo.accounts[0].held if "would be deleted with it" in each.reason]
        assert bool(reasons) is (new != "sendgrid")
        assert new != "sendgrid" or not list(target.export())


def test_an_undo_leaves_whoever_refused_since_the_copy(tmp_path: Path) -> None:
    with two_accounts("sendgrid", "bird", tmp_path) as (source, target, _, _):
        _, receipt = copy(source, target)
        refuse(target, someone := mailable(target))
        undone(target, receipt.run)
        assert someone in refusing(target)


def test_an_undo_leaves_whoever_refuses_while_it_waits(tmp_path: Path) -> None:
    with two_accounts("sendgrid", "bird", tmp_path) as (source, target, _, _):
        _, receipt = copy(source, target)
        plan = plan_undo(receipt.run, [target])
        refuse(target, someone := mailable(target))
        told = apply(plan, [target], **QUICK)
        assert told.state == "incomplete"
        assert "it carries a refusal" in str(list(told.of("step")))
        assert someone in refusing(target)
        assert told.absent == plan.contacts - 1


def test_an_undo_leaves_the_mark_of_a_refusal_on_a_contact_that_was_there(tmp_path: Path) -> None:
    with two_accounts("sendgrid", "user-api", tmp_path, contacts=0) as (source, target, _, _):
        source.upsert_contacts([Contact(identifiers=(WHO,), first_name="Will")])
        refuse(source, WHO)
        target.upsert_contacts([Contact(identifiers=(WHO,), first_name="William")])
        _, receipt = copy(source, target)
        assert refusing(target) == {WHO}
        _, told = undone(target, receipt.run)
        assert told.complete
        assert refusing(target) == {WHO}


# -- erased people


def test_a_refusal_of_somebody_who_was_erased_brings_no_contact_back(tmp_path: Path) -> None:
    with two_accounts("sendgrid", "bird", tmp_path) as (source, target, _, _):
        refuse(source, WHO)
        Tombstones(locate_storage()).add([WHO], "erase-1")
        _, receipt = copy(source, target)
        assert receipt.state == "incomplete"
        assert "the person was erased" in reasons(receipt)
        assert WHO not in {each for contact in target.export() for each in contact.identifiers}
        assert refusing(source) - {WHO} <= refusing(target)


# -- a vendor that subscribes people again when they are written


@pytest.mark.parametrize(("old", "new"), [("sendgrid", "bird"), ("bird", "sendgrid"), ("sendgrid", "local")])
@pytest.mark.parametrize("refused_at", ["both", "target"])
def test_a_later_copy_sees_that_a_refusal_which_was_there_is_gone(
    old: str, new: str, refused_at: str, tmp_path: Path
) -> None:
    with two_accounts(old, new, tmp_path, contacts=2) as (source, target, _, second):
        source.upsert_contacts([Contact(identifiers=(WHO,), first_name="Will")])
        if refused_at == "both":
            refuse(source, WHO)
        assert copy(source, target)[1].complete
        if refused_at == "target":
            refuse(target, WHO)
        source.upsert_contacts([Contact(identifiers=(WHO,), first_name="William")])
        plan = planned(source, target)
        assert [each.operation for each in plan.accounts[0].changes] == ["confirm_consent", "upsert_contacts"]
        if new != "local":
            second.sandbox.faults.set("resubscribes", None)
        receipt = plan.apply([source, target], **QUICK)
        assert (WHO in refusing(target), receipt.complete) == ((True, True) if new == "local" else (False, False))
        assert receipt.state == ("done" if new == "local" else "incomplete")
        assert {each.first_name for each in target.export() if WHO in each.identifiers} == {"William"}


def test_whose_refusal_was_lifted_since_the_plan_is_left_to_the_next_one(tmp_path: Path) -> None:
    with two_accounts("bird", "sendgrid", tmp_path, contacts=2) as (source, target, _, _):
        source.upsert_contacts([Contact(identifiers=(WHO,), first_name="Will")])
        refuse(target, WHO)
        plan = planned(source, target)
        target.lift_suppression(WHO, evidence="form of 3 May")
        receipt = plan.apply([source, target], **QUICK)
        assert receipt.state == "incomplete"
        assert WHO not in {each for contact in target.export() for each in contact.identifiers}
        assert copy(source, target)[1].complete
        assert WHO not in refusing(target)


# -- dates that cannot be


@pytest.mark.parametrize("new", ["sendgrid", "bird"])
def test_a_grant_from_the_future_beats_no_refusal(new: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with two_accounts("local", new, tmp_path, contacts=1) as (source, target, _, _):
        source.upsert_contacts([Contact(identifiers=(WHO,))])
        granted = Consent(
            WHO, Channel.EMAIL, ConsentState.GRANTED, at=now + timedelta(days=365), evidence="a year that was mistyped"
        )
        source.write_consent([granted, Consent(WHO, Channel.EMAIL, ConsentState.REVOKED, at=now)])
        assert copy(source, target)[1].complete
        assert WHO in refusing(target)


# -- a source that does not tell who refused


def test_a_plan_says_that_the_source_does_not_tell_who_refused(tmp_path: Path) -> None:
    with (
        two_accounts("sendgrid", "user-api", tmp_path, contacts=3) as (first, source, _, second),
        ExitStack() as opened,
    ):
        target = opened.enter_context(account(second, "bird", "last", tmp_path))
        refuse(first, mailable(first))
        assert copy(first, source)[1].complete
        assert refusing(source)
        untold = planned(source, target, consent_in="").accounts[0].residual_data
        mistyped = planned(source, target, consent_in="field:consnt").accounts[0].residual_data
        assert "keeps no consent" in untold["consent of new"]
        assert "the custom field consnt holds none" in mistyped["consent of new"]
        assert planned(source, target).accounts[0].residual_data == {}


# -- what is written without being asked for


def test_contacts_that_refusals_would_make_count_for_the_limit(tmp_path: Path) -> None:
    with two_accounts("sendgrid", "bird", tmp_path, contacts=2) as (source, target, _, _):
        refuse(source, *(Identifier.email(f"refused.{n}@example.com") for n in range(30)))
        suppressed = len(refusing(source) - {each for one in source.export() for each in one.identifiers})
        with pytest.raises(PlanRefused, match=f"{2 + suppressed} contacts would be changed"):
            planned(source, target, limits=SafetyLimits(contacts=30, share=1))
        plan = planned(source, target, unsubscribed=Unsubscribed.SKIP, limits=SafetyLimits(contacts=30, share=1))
        assert len(plan.people) <= 2


def test_two_lists_of_one_name_do_not_become_one_unsaid(tmp_path: Path) -> None:
    with two_accounts("local", "bird", tmp_path, contacts=0) as (source, target, _, _):
        for n in range(2):
            list_ = source.create_list("News")
            source.upsert_contacts([Contact(identifiers=(Identifier.email(f"p{n}@example.com"),))], lists=[list_.id])
        with pytest.raises(LossesNotAccepted, match=r"NO_LIST:lists\.News \(2\)"):
            planned(source, target, accept_losses=["DATE_LOST"])
        meant = FieldMap.parse('lists = {News = "News"}')
        assert copy(source, target, accept_losses=["DATE_LOST"], field_map=meant)[1].complete
        assert [len(list(target.export([each.id]))) for each in target.lists() if each.name == "News"] == [2]
