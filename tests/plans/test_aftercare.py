"""What follows an erasure: suppressions that are kept, and mail data that is erased."""

from __future__ import annotations

import io
from typing import Any

import pytest
from attrs import evolve

from contacts_core import Contact, Identifier
from contacts_core.errors import PlanRefused, UnsupportedOperation
from contacts_core.plans import IdentifierExpansion, Plan, plan_erasure, replan
from contacts_core.plans.receipts.report import html
from contacts_core.provider import failed
from contacts_sendgrid.emulator import SendGridEmulator
from tests.plans.environment import Environment, holders

QUICK: dict[str, Any] = {"pause": 0.01, "timeout": 10.0}
HASTY: dict[str, Any] = {"pause": 0.01, "timeout": 0.1}


def suppressions(environment: Environment) -> Any:
    emulator = environment.sandbox.emulators["sendgrid"]
    assert isinstance(emulator, SendGridEmulator)
    return emulator.suppressions


def operations(plan: Plan) -> list[tuple[str, str]]:
    return [(part.account, step.operation) for part in plan.accounts for step in part.steps]


def stages(receipt: Any) -> dict[tuple[str, str], tuple[int, int, int]]:
    return {
        (line["account"], line["operation"]): (line["verified"], line["unmade"], line["unknown"])
        for line in receipt.of("stage")
    }


def test_the_addresses_of_people_who_were_erased_stay_suppressed(environment: Environment) -> None:
    people = environment.emails(3)
    suppressions(environment).unsubscribes.clear()
    suppressions(environment).unsubscribes[people[0].value] = 1_700_000_000
    plan = plan_erasure(people, environment.accounts, keep_suppressions=True)
    assert ("sendgrid", "write_consent") in operations(plan)
    assert {account for account, operation in operations(plan) if operation == "write_consent"} == {"sendgrid"}
    notes = {part.account: part.residual_data for part in plan.accounts}
    assert "stay at the vendor as suppressions" in notes["sendgrid"]["kept suppressions"]
    assert "would bring the contact back" in notes["bird"]["suppressions that cannot be kept"]
    assert "keeps no consent" in notes["user-api"]["suppressions that cannot be kept"]

    receipt = plan.apply(environment.accounts, **QUICK)
    assert receipt.state == "done", receipt
    assert not any(holders(environment.everyone(), people).values())
    assert {each.value for each in people} <= suppressions(environment).unsubscribes.keys()
    assert suppressions(environment).unsubscribes[people[0].value] == 1_700_000_000
    assert stages(receipt)["sendgrid", "write_consent"][1:] == (0, 0)
    assert "stay at the vendor as suppressions" in html(receipt)


def test_suppressions_come_only_after_the_deletion_was_verified(environment: Environment) -> None:
    people = environment.emails(2)
    suppressions(environment).unsubscribes.clear()
    sendgrid = environment.clients["sendgrid"]
    plan = plan_erasure(people, [sendgrid], keep_suppressions=True)
    environment.sandbox.faults.set("job-fails", None)
    receipt = plan.apply([sendgrid], **HASTY)
    assert receipt.state == "incomplete"
    assert {line["state"] for line in receipt.of("result")} == {"present"}
    assert suppressions(environment).unsubscribes == {}
    assert stages(receipt)["sendgrid", "write_consent"][0] == 0


def test_a_suppression_that_the_vendor_ignores_makes_the_run_incomplete(environment: Environment) -> None:
    people = environment.emails(2)
    suppressions(environment).unsubscribes.clear()
    plan = plan_erasure(people, environment.accounts, keep_suppressions=True)
    environment.sandbox.faults.set("consent-ignored", None)
    receipt = plan.apply(environment.accounts, **HASTY)
    assert receipt.state == "incomplete"
    assert {line["state"] for line in receipt.of("result")} == {"absent"}
    assert stages(receipt)["sendgrid", "write_consent"][1] == 2


def test_other_addresses_of_a_deleted_contact_are_suppressed_as_well(environment: Environment) -> None:
    other = Identifier.email("other.address@example.com")
    jane = Identifier.email("jane.of.two@example.com")
    client = environment.clients["sendgrid"]
    client.upsert_contacts([Contact(identifiers=(jane, other))])
    environment.settle()
    plan = plan_erasure([jane], [client], keep_suppressions=True)
    assert {each.identifiers[0] for each in plan.accounts[0].changes if not each.contact} == {jane, other}
    assert Plan.parse(plan.text) == plan
    assert plan.apply([client], **QUICK).state == "done"
    assert {jane.value, other.value} <= suppressions(environment).unsubscribes.keys()


def test_mail_data_is_erased_by_a_job_that_the_receipt_has(environment: Environment) -> None:
    people = [*environment.emails(2), Identifier.email("no.contact@example.com")]
    plan = plan_erasure(people, environment.accounts, mail_data=True)
    assert {account for account, operation in operations(plan) if operation == "erase_mail_data"} == {"sendgrid"}
    notes = {part.account: part.residual_data for part in plan.accounts}
    assert "offers no way" in notes["bird"]["mail data that cannot be erased"]
    receipt = plan.apply(environment.accounts, **QUICK)
    assert receipt.state == "done", receipt
    assert {each.value for each in people} <= suppressions(environment).erased
    assert len(suppressions(environment).erased) >= 3
    (step,) = [line for line in receipt.of("step") if line["operation"] == "erase_mail_data"]
    assert len(step["jobs"]) == 1
    verified, unmade, unknown = stages(receipt)["sendgrid", "erase_mail_data"]
    assert (verified, unmade, unknown >= 3) == (0, 0, True)
    (found,) = [line for line in receipt.of("found") if line["account"] == "sendgrid" and line["person"] == 3]
    assert (found["contacts"], found["by"]) == ([], [])


def test_mail_data_that_is_not_taken_makes_the_run_incomplete(environment: Environment) -> None:
    people = environment.emails(1)
    plan = plan_erasure(people, [environment.clients["sendgrid"]], mail_data=True)
    with pytest.MonkeyPatch.context() as patch:

        def refuse(_provider: object, identifiers: Any) -> Any:
            yield from ()
            return failed([each.value for each in identifiers], "no")

        patch.setattr(type(environment.clients["sendgrid"].provider), "erase_mail_data", refuse)
        receipt = plan.apply([environment.clients["sendgrid"]], **QUICK)
    assert receipt.state == "incomplete"
    assert {line["state"] for line in receipt.of("result")} == {"absent"}
    assert stages(receipt)["sendgrid", "erase_mail_data"][1] >= 1


def test_both_together_and_the_plan_is_made_again_as_it_was(environment: Environment) -> None:
    people = environment.emails(2)
    plan = plan_erasure(
        people,
        environment.accounts,
        follow=IdentifierExpansion.ONCE,
        keep_suppressions=True,
        mail_data=True,
    )
    again = replan(plan, environment.accounts)
    assert operations(again) == operations(plan)
    assert [part.residual_data for part in again.accounts] == [part.residual_data for part in plan.accounts]
    assert Plan.parse(io.BytesIO(plan.text.encode())) == plan
    assert plan.apply(environment.accounts, **QUICK).state == "done"


def test_a_plan_with_a_stranger_among_its_suppressions_is_refused(environment: Environment) -> None:
    people = environment.emails(1)
    suppressions(environment).unsubscribes.clear()
    plan = plan_erasure(people, [environment.clients["sendgrid"]], keep_suppressions=True)
    (part,) = plan.accounts
    changes = list(part.changes)
    stranger = Identifier.email("stranger@example.com")
    statement = {**changes[-1].write["statements"][0]}
    statement["identifier"] = {**statement["identifier"], "value": stranger.value}
    changes[-1] = evolve(changes[-1], identifiers=(stranger,), write={"statements": [statement]})
    edited = evolve(plan, accounts=(evolve(part, changes=tuple(changes)),)).summed()
    with pytest.raises(PlanRefused, match="belongs to no person"):
        edited.check()


def test_accounts_that_can_do_none_of_it_are_refused(environment: Environment) -> None:
    user_api = environment.clients["user-api"]
    with pytest.raises(UnsupportedOperation, match="none of these accounts can keep suppressions"):
        plan_erasure(environment.emails(1), [user_api], keep_suppressions=True)
    with pytest.raises(UnsupportedOperation, match="none of these accounts can erase mail data"):
        plan_erasure(environment.emails(1), [user_api], mail_data=True)
