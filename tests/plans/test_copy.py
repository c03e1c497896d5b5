"""Copies from vendor to vendor: nothing is lost without a word, and nobody who opted out becomes mailable."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import permutations
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import evolve, frozen

from contacts_core import Channel, Consent, ConsentState, Contact, Contacts, Identifier
from contacts_core.errors import PlanRefused
from contacts_core.models import Failure, FieldType, LossCode, Outcome, differences
from contacts_core.plans import Plan, Receipt, SafetyLimits, list_runs, plan_copy, plan_upsert, resume
from contacts_core.plans.comparing.consent import Unsubscribed
from contacts_core.plans.comparing.consent_marks import ConsentPlace
from contacts_core.plans.planning.transfer import LossesNotAccepted
from contacts_core.provider import Flow
from contacts_core.storage.database import locate_storage
from contacts_core.storage.tombstones import Tombstones, guard
from contacts_local import Local
from tests.plans.environment import Environment, open_environment
from tests.plans.plan_files import document, file_of
from tests.plans.test_crashes import Killing, apply_elsewhere

PROVIDERS = ("sendgrid", "bird", "user-api", "local")
FIELDS = (
    "contact email phone custom first_name last_name address title organization tags external_id anonymous_id state"
)
PLACE = "field:consent"
# Nothing about refusals of e-mail: those must arrive.
ACCEPTED = (
    *(code.name for code in LossCode if code not in {LossCode.REFUSED, LossCode.NO_CONSENT}),
    *(f"REFUSED:{name}" for name in FIELDS.split()),
    "NO_CONSENT:granted",
    "NO_CONSENT:pending",
    "NO_CONSENT:without_contact",
    "NO_CONSENT:revoked.sms",
    "NO_CONSENT:revoked.push",
    "NO_CONSENT:revoked.whatsapp",
    "NO_CONSENT:revoked.rcs",
)
QUICK: dict[str, Any] = {"pause": 0.02, "timeout": 5.0}
NOT_GRANTED = (ConsentState.REVOKED, ConsentState.PENDING)
NEW = Identifier.email("new.person@example.com")


@contextmanager
def account(environment: Environment, provider: str, name: str, folder: Path) -> Iterator[Contacts[Any]]:
    """A client of an account, under another name than that of its vendor."""
    made = Local(path=folder / f"{name}.db") if provider == "local" else environment.client(provider).provider
    with Contacts(made, name=name, guard=guard(None)) as client:
        yield client


@contextmanager
def two_accounts(
    source: str, target: str, folder: Path, contacts: int = 8
) -> Iterator[tuple[Contacts[Any], Contacts[Any], Environment, Environment]]:
    """An account with contacts, and an empty one."""
    with ExitStack() as opened:
        old, new = (opened.enter_context(open_environment(count)) for count in (contacts, 0))
        clients = [
            opened.enter_context(account(environment, provider, name, folder))
            for environment, provider, name in ((old, source, "old"), (new, target, "new"))
        ]
        if source == "local":
            copy(old.clients["bird"], clients[0], old_ids=False)  # all emulators give the same ids
        yield clients[0], clients[1], old, new


def planned(source: Contacts[Any], target: Contacts[Any], **more: Any) -> Plan:
    options: dict[str, Any] = {
        "create_fields": True,
        "create_lists": True,
        "accept_losses": ACCEPTED,
        "limits": SafetyLimits(share=1),
    }
    if "user-api" in {source.provider.name, target.provider.name}:
        options["consent_in"] = PLACE
    made = plan_copy(source, target, **(options | more))
    return Plan.parse("".join(made.lines()))


def copy(source: Contacts[Any], target: Contacts[Any], **more: Any) -> tuple[Plan, Receipt]:
    plan = planned(source, target, **more)
    return plan, plan.apply([source, target], **QUICK)


def statements(client: Contacts[Any]) -> list[Consent]:
    if client.provider.name == "user-api":
        return [said for contact in client.export() for said in ConsentPlace.parse(PLACE).statements(contact)]
    return list(client.consent())


def refusing(client: Contacts[Any]) -> set[Identifier]:
    """Who refused e-mail, in whatever scope."""
    return {
        each.identifier for each in statements(client) if each.channel is Channel.EMAIL and each.state in NOT_GRANTED
    }


def named(client: Contacts[Any]) -> list[Contact]:
    """The contacts, with the names of their lists."""
    names = {each.id: each.name for each in client.lists()}
    members: dict[str, list[str]] = {}
    for id, name in names.items():
        for contact in client.export([id]):
            members.setdefault(contact.id, []).append(name)
    return [
        evolve(each, lists=tuple(members.get(each.id, ())), extra={}, created_at=None, updated_at=None)
        for each in client.export()
    ]


def matching(contact: Contact, others: list[Contact]) -> list[Contact]:
    return [each for each in others if not set(each.identifiers).isdisjoint(contact.identifiers)]


def reasons(receipt: Receipt) -> str:
    lines = [line["reason"] for line in receipt.of("result")]
    return "; ".join([*lines, *(reason for line in receipt.of("stage") for reason in line["reasons"])])


# -- round trips -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("there", "back"), list(permutations(PROVIDERS, 2)))
def test_there_and_back_loses_what_was_said_and_nothing_else(there: str, back: str, tmp_path: Path) -> None:
    with two_accounts(there, back, tmp_path) as (source, middle, _, second), ExitStack() as opened:
        home = opened.enter_context(account(second, there, "home", tmp_path))
        plans: list[Plan] = []
        for one, other in ((source, middle), (middle, home)):
            plan, receipt = copy(one, other)
            assert (receipt.state, receipt.reason, reasons(receipt) if not receipt.complete else "") == ("done", "", "")
            again = planned(one, other)
            assert [(each.operation, each.reason) for each in again.accounts[0].changes] == []
            assert len(plan.accounts[0].held) == len(again.accounts[0].held)
            there_ = {i for contact in one.export() for i in contact.identifiers}
            kept = refusing(one) & there_ if other.provider.name == "user-api" else refusing(one)
            assert kept <= refusing(other)
            plans.append(plan)
        lost = {each.field for plan in plans for each in plan.accounts[0].losses}
        held = sum(len(plan.accounts[0].held) for plan in plans)
        arrived = named(home)
        missing = 0
        for contact in named(source):
            found = matching(contact, arrived)
            missing += not found
            for other_ in found:
                assert differences(contact, other_) <= lost
        assert missing <= held


# -- consent that changes between plan and apply ---------------------------------------------------------------------


def revoke(client: Contacts[Any], identifier: Identifier) -> None:
    said = Consent(identifier, Channel.EMAIL, ConsentState.REVOKED)
    assert client.write_consent([said], accept=["REASON_LOST", "DATE_LOST"]).succeeded_count


PAIRS = [("sendgrid", "bird"), ("bird", "sendgrid"), ("local", "bird"), ("sendgrid", "local"), ("local", "sendgrid")]


def mailable(client: Contacts[Any]) -> Identifier:
    """Somebody who said nothing against e-mail, and has only that address."""
    refused = {each.identifier for each in statements(client)}
    for contact in client.export():
        emails = [each for each in contact.identifiers if each.kind.value == "email"]
        if len(emails) == 1 and not refused.intersection(contact.identifiers):
            return emails[0]
    raise AssertionError("everybody refused")


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_who_unsubscribes_at_the_source_after_the_plan_is_left_alone(old: str, new: str, tmp_path: Path) -> None:
    with two_accounts(old, new, tmp_path) as (source, target, _, _):
        someone = mailable(source)
        plan = planned(source, target)
        revoke(source, someone)
        receipt = plan.apply([source, target], **QUICK)
        assert receipt.state == "incomplete"
        assert "the source has a refusal of this person" in str(list(receipt.of("step")))
        assert someone not in {i for contact in target.export() for i in contact.identifiers}
        others = {each for person in plan.people for each in person.identifiers} - {someone}
        assert receipt.present == len(plan.people) - 1
        assert others
        _, later = copy(source, target)
        assert later.complete
        assert someone in refusing(target)


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_who_unsubscribes_at_the_target_after_the_plan_stays_unsubscribed(old: str, new: str, tmp_path: Path) -> None:
    with two_accounts(old, new, tmp_path) as (source, target, _, _):
        someone = mailable(source)
        plan = planned(source, target)
        revoke(target, someone)
        plan.apply([source, target], **QUICK)
        assert someone in refusing(target)


def test_a_source_whose_consent_cannot_be_read_again_refuses_the_plan(tmp_path: Path) -> None:
    with two_accounts("sendgrid", "bird", tmp_path) as (source, target, _, _):
        plan = planned(source, target)
        with pytest.raises(PlanRefused, match=r"could not be read again.*nothing was changed|nothing was changed"):
            plan.apply([target], **QUICK)
        assert not list(target.export())
        assert not list(target.consent())


def test_another_source_account_than_the_planned_one_refuses_the_plan(tmp_path: Path) -> None:
    with two_accounts("local", "bird", tmp_path) as (source, target, old, _):
        plan = planned(source, target)
        with (
            account(old, "sendgrid", "old", tmp_path) as another,
            pytest.raises(PlanRefused, match="leads to another workspace"),
        ):
            plan.apply([another, target], **QUICK)
        assert not list(target.export())


@pytest.mark.parametrize(("old", "new"), [("bird", "sendgrid"), ("sendgrid", "bird")])
def test_a_target_that_resubscribes_is_seen(old: str, new: str, tmp_path: Path) -> None:
    with two_accounts(old, new, tmp_path) as (source, target, _, second):
        second.sandbox.faults.set("resubscribes", None)
        _, receipt = copy(source, target)
        assert receipt.state == "incomplete"
        stage, *_ = [each for each in receipt.of("stage") if each["operation"] == "write_consent" and each["unmade"]]
        assert "the vendor does not show it" in stage["reasons"]
        assert not receipt.complete


@pytest.mark.parametrize(("old", "new"), [("bird", "sendgrid"), ("sendgrid", "bird")])
def test_a_target_that_resubscribes_who_refused_only_there_is_seen(old: str, new: str, tmp_path: Path) -> None:
    with two_accounts(old, new, tmp_path) as (source, target, _, second):
        someone = mailable(source)
        revoke(target, someone)
        plan = planned(source, target)
        second.sandbox.faults.set("resubscribes", None)
        receipt = plan.apply([source, target], **QUICK)
        assert someone not in refusing(target)
        assert receipt.state == "incomplete"
        (line,) = [each for each in receipt.of("stage") if each["operation"] == "upsert_contacts"]
        assert "a refusal of this person is not in force there any more" in line["reasons"]


def test_a_mark_that_the_target_drops_holds_whoever_refused(tmp_path: Path) -> None:
    with two_accounts("sendgrid", "user-api", tmp_path) as (source, target, _, _):
        plan, receipt = copy(source, target, consent_in="tag:unsubscribed")
        held = {i for each in plan.accounts[0].held for i in each.identifiers}
        there = {i for contact in source.export() for i in contact.identifiers}
        assert refusing(source) & there <= held
        assert all("refusal cannot be kept" in each.reason for each in plan.accounts[0].held)
        assert not held.intersection(i for contact in target.export() for i in contact.identifiers)
        assert receipt.complete


def test_of_two_addresses_the_second_one_refused(tmp_path: Path) -> None:
    with two_accounts("sendgrid", "bird", tmp_path, contacts=0) as (source, target, _, _):
        first, second = Identifier.email("sam@example.com"), Identifier.email("a.sam@example.com")
        source.upsert_contacts([Contact(identifiers=(first, second), first_name="Sam")])
        revoke(source, second)
        _, receipt = copy(source, target)
        assert (receipt.state, reasons(receipt).count("refused")) == ("done", 0)
        (sam,) = target.export()
        assert {*sam.identifiers} == {first, second}
        assert refusing(target) == {first, second}  # kept by contact there


def test_suppressed_people_who_are_no_contacts_are_told_where_consent_is_kept_on_contacts(tmp_path: Path) -> None:
    accepted = [each for each in ACCEPTED if each != "NO_CONSENT:without_contact"]
    with two_accounts("sendgrid", "user-api", tmp_path) as (source, target, _, _):
        with pytest.raises(LossesNotAccepted, match="NO_CONSENT:without_contact") as caught:
            planned(source, target, accept_losses=accepted)
        (loss,) = [each for each in caught.value.losses if each.field == "without_contact"]
        there = {i for contact in source.export() for i in contact.identifiers}
        assert loss.count == len(refusing(source) - there)
        assert planned(source, target, accept_losses=accepted, unsubscribed=Unsubscribed.SKIP).contacts


def test_an_edited_plan_without_a_refusal_writes_nobody_who_refused(tmp_path: Path) -> None:
    with two_accounts("sendgrid", "bird", tmp_path) as (source, target, _, _):
        whole = document(planned(source, target))
        (part,) = whole["accounts"]
        part["changes"] = [each for each in part["changes"] if each["operation"] != "write_consent"]
        steps: list[dict[str, Any]] = []
        first = 0
        for step in (each for each in part["steps"] if each["operation"] != "write_consent"):
            steps.append({**step, "number": len(steps) + 1, "first": first})
            first += step["count"]
        part["steps"] = steps
        receipt = Plan.parse(file_of(whole)).apply([source, target], **QUICK)
        assert receipt.state == "incomplete"
        arrived = {i for contact in target.export() for i in contact.identifiers}
        assert arrived
        assert not arrived & refusing(source)


def test_an_edited_plan_must_tell_whose_consent_is_read(tmp_path: Path) -> None:
    with two_accounts("sendgrid", "bird", tmp_path) as (source, target, _, _):
        whole = document(planned(source, target))
        whole["accounts"][0]["consent"] = None
        with pytest.raises(PlanRefused, match="whose consent"):
            Plan.parse(file_of(whole))
        swapped = document(planned(source, target))
        swapped["accounts"][0]["steps"].reverse()
        with pytest.raises(PlanRefused):
            Plan.parse(file_of(swapped))


def accounts_file(folder: Path, accounts: dict[str, tuple[Environment, str]]) -> Path:
    """An accounts file that leads another process to these accounts."""
    lines: list[str] = []
    for name, (environment, provider) in accounts.items():
        environment.accounts_file(folder / f"{name}.toml")
        whole = (folder / f"{name}.toml").read_text(encoding="utf-8")
        (part,) = [each for each in whole.split("[accounts.") if each.startswith(f'"{provider}"]')]
        kept = (folder / f"{provider}.key").rename(folder / f"{name}.key")
        moved = part.partition("]")[2].replace(f"{provider}.key", kept.name)
        lines.append(f'[accounts."{name}"]{moved}')
    path = folder / "contacts.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


STOPS = (2, 5, 8, 11, 14, 17, 20, 23, 26, 29)


@pytest.mark.parametrize("stop", STOPS)
def test_killed_and_resumed_ends_the_same_and_writes_nobody_twice(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killing = Killing()
    with open_environment(5) as first, open_environment(0, told=killing.told) as second, ExitStack() as opened:
        source = opened.enter_context(account(first, "bird", "old", tmp_path))
        target = opened.enter_context(account(second, "sendgrid", "new", tmp_path))
        path = accounts_file(tmp_path, {"old": (first, "bird"), "new": (second, "sendgrid")})
        monkeypatch.setenv("CONTACTS_FILE", str(path))
        plan = planned(source, target)
        plan.save(tmp_path / "plan.jsonl")
        assert refusing(source)
        code = apply_elsewhere(tmp_path / "plan.jsonl", killing, requests=stop)
        if code != 0:
            if not refusing(source) <= refusing(target):
                assert not list(target.export())
            (run,) = list_runs()
            assert resume(run.id, [source, target]).complete
        assert code in {0, -signal.SIGKILL}
        assert not planned(source, target).contacts
        assert refusing(source) <= refusing(target)
        emails = [each.email for each in target.export()]
        assert len(emails) == len(set(emails)) == len(list(source.export()))


# -- targets that lie, and what changes meanwhile ---------------------------------------------------------------------


@frozen
class Lying(Local):
    """A file that says more than it does."""

    lie: ClassVar[str] = ""

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        match self.lie:
            case "writes nothing":
                yield from ()
                names = tuple(each.display_id for each in contacts)
                return Outcome(operation="upsert_contacts", requested=len(names), confirmed=names)
            case "drops a field":
                return (yield from super().upsert_contacts([evolve(c, first_name=None) for c in contacts], lists))
            case "writes to another contact":
                someone = (Identifier.email("somebody.else@example.com"),)
                return (yield from super().upsert_contacts([evolve(c, identifiers=someone) for c in contacts], lists))
            case "refuses one":
                taken = [each for each in contacts if each.first_name != "P150"]
                left = [Failure(each.display_id, "refused") for each in contacts if each not in taken]
                done = yield from super().upsert_contacts(taken, lists)
                return evolve(done, requested=len(contacts), failed=(*done.failed, *left))
            case _:
                return (yield from super().upsert_contacts(contacts, lists))

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Any]:
        if self.lie == "shows nobody":
            yield from ()
            return []
        if self.lie == "shows a stranger":
            yield from ()
            return [(each, Contact("local", "7", (Identifier.email("stranger@example.com"),))) for each in identifiers]
        return (yield from super().find(identifiers))


LIES = ["writes nothing", "drops a field", "writes to another contact", "shows nobody", "shows a stranger"]


@pytest.mark.parametrize("lie", LIES)
def test_what_a_target_only_says_is_never_done(lie: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [Contact(identifiers=(Identifier.email(f"p{n}@example.com"),), first_name=f"P{n}") for n in range(3)]
    provider = Lying(path=tmp_path / "lying.db")
    with Contacts(provider, name="lying", guard=guard(None)) as client:
        plan = plan_upsert(client, people, limits=SafetyLimits(share=1))
        monkeypatch.setattr(Lying, "lie", lie)
        receipt = plan.apply([client], **QUICK)
        assert receipt.state == "incomplete"
        assert not receipt.complete
        assert receipt.present < len(people)
        if lie == "shows a stranger":  # nobody knows who has these addresses
            monkeypatch.setattr(Lying, "lie", "")
            assert not list(client.export())


def test_who_came_at_the_target_after_the_plan_is_left_alone(tmp_path: Path) -> None:
    people = [Contact(identifiers=(Identifier.email(f"p{n}@example.com"),), first_name=f"P{n}") for n in range(3)]
    with Contacts(Local(path=tmp_path / "new.db"), name="new", guard=guard(None)) as client:
        plan = plan_upsert(client, people, limits=SafetyLimits(share=1))
        client.upsert_contacts([evolve(people[0], first_name="Somebody else")])
        receipt = plan.apply([client], **QUICK)
        assert (receipt.state, receipt.present) == ("incomplete", 2)
        assert "left alone" in reasons(receipt)
        assert {each.first_name for each in client.export()} == {"Somebody else", "P1", "P2"}


def test_two_contacts_with_one_address_are_held(tmp_path: Path) -> None:
    shared = Identifier.email("shared@example.com")
    people = [Contact(identifiers=(shared, Identifier.email(f"p{n}@example.com"))) for n in range(2)]
    with Contacts(Local(path=tmp_path / "new.db"), name="new", guard=guard(None)) as client:
        plan = plan_upsert(client, [*people, Contact(identifiers=(NEW,))], limits=SafetyLimits(share=1))
        assert (plan.contacts, len(plan.accounts[0].held)) == (1, 2)
        assert plan.apply([client], **QUICK).complete
        assert [{*each.identifiers} for each in client.export()] == [{NEW}]


def test_one_contact_that_matches_two_is_held(tmp_path: Path) -> None:
    both = tuple(Identifier.email(f"p{n}@example.com") for n in range(2))
    with Contacts(Local(path=tmp_path / "new.db"), name="new", guard=guard(None)) as client:
        client.upsert_contacts([Contact(identifiers=(each,)) for each in both])
        plan = plan_upsert(client, [Contact(identifiers=both)], limits=SafetyLimits(share=1))
        assert (plan.contacts, len(plan.accounts[0].held)) == (0, 1)


def test_erased_people_are_not_written(tmp_path: Path) -> None:
    people = [Contact(identifiers=(Identifier.email(f"p{n}@example.com"),)) for n in range(2)]
    with Contacts(Local(path=tmp_path / "new.db"), name="new", guard=guard(None)) as client:
        plan = plan_upsert(client, people, limits=SafetyLimits(share=1))
        Tombstones(locate_storage()).add(people[0].identifiers, "erase-1")
        receipt = plan.apply([client], **QUICK)
        assert (receipt.state, receipt.present) == ("incomplete", 1)
        assert "erased" in reasons(receipt)
        assert len(list(client.export())) == 1


def test_one_who_is_refused_of_three_hundred_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [Contact(identifiers=(Identifier.email(f"p{n}@example.com"),), first_name=f"P{n}") for n in range(300)]
    with Contacts(Lying(path=tmp_path / "new.db"), name="new", guard=guard(None)) as client:
        plan = plan_upsert(client, people, limits=SafetyLimits(share=1))
        monkeypatch.setattr(Lying, "lie", "refuses one")
        receipt = plan.apply([client], **QUICK)
        assert (receipt.state, receipt.present, receipt.absent) == ("incomplete", 299, 1)
        (line,) = [each for each in receipt.of("result") if each["state"] != "present"]
        assert "it is not there" in line["reason"]
        assert len(list(client.export())) == 299


def test_a_field_of_the_same_name_and_another_type_is_told_before(tmp_path: Path) -> None:
    with two_accounts("local", "sendgrid", tmp_path, contacts=1) as (source, target, _, _):
        target.create_custom_field("shoe", FieldType.NUMBER)
        source.upsert_contacts([Contact(identifiers=(NEW,), custom={"shoe": "large"})])
        accepted = [each for each in ACCEPTED if each not in {"RETYPED", "REFUSED:custom"}]
        with pytest.raises(LossesNotAccepted) as caught:
            planned(source, target, accept_losses=accepted)
        assert "custom.shoe" in {each.field for each in caught.value.losses}
