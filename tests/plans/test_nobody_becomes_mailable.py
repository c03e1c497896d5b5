"""Whoever refused stays refused: whatever is undone, copied again, written from a file, or said by a vendor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contacts_core import Channel, Consent, ConsentState, Contact, Contacts, Identifier
from contacts_core.plans import Plan, Receipt, apply, plan_undo
from contacts_core.storage.database import locate_storage
from contacts_core.storage.tombstones import Tombstones
from tests.plans.test_copy import QUICK, copy, mailable, planned, reasons, refusing, two_accounts

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
