"""Whatever the vendors do: nobody outside the plan is touched, and nobody is called absent who is there."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from itertools import permutations
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from contacts_core import Contact, Contacts, Identifier
from contacts_core.errors import ContactsError, PlanRefused
from contacts_core.formats import plain
from contacts_core.http import retry
from contacts_core.plans import (
    Change,
    IdentifierExpansion,
    Plan,
    Receipt,
    SafetyLimits,
    apply,
    cancel,
    get_receipt,
    list_runs,
    plan_copy,
    plan_deletion,
    plan_erasure,
    plan_identifier_removal,
    plan_list_addition,
    plan_list_removal,
    plan_undo,
    plan_upsert,
    resume,
)
from contacts_core.plans.kinds import KINDS, kind_of
from contacts_core.storage.database import locate_storage
from contacts_core.storage.journal import Journal
from tests.plans.environment import open_environment
from tests.plans.test_copy import ACCEPTED, PLACE, refusing, revoke

DELETIONS = {"erase", "delete"}
WRITING = {"upsert", "copy", "undo"}
KEEPING_CONSENT = ("bird", "sendgrid")
CONSENT = "write_consent"
NAMES = ("bird", "sendgrid", "user-api")
FAULTS = (
    "rate-limit",
    "rate-limit-bare",
    "server-error",
    "unavailable",
    "html",
    "cut",
    "truncated",
    "wrong-json",
    "job-fails",
    "job-never-ends",
    "list-removal-ignored",
    "partial-items",
    "stale-reads",
    "not-found-everywhere",
    "not-found-everywhere-text",
    "not-found-everywhere-json",
    "not-found-everywhere-empty",
    "matches-too-much",
    "ignored-filter",
    "wrong-person",
)
NOWHERE = tuple(name for name in FAULTS if name.startswith("not-found"))
LONG_AFTER = 3600.0
PEOPLE = 10

PAIRS = [*permutations(KEEPING_CONSENT), ("user-api", "bird"), ("sendgrid", "user-api")]

Everybody = dict[str, dict[str, Any]]


class Vendors(RuleBasedStateMachine):
    """Plans are made and applied while the vendors have bad moments and others write as well."""

    @initialize(seed=st.integers(0, 5))
    def begin(self, seed: int) -> None:
        self.open = ExitStack()
        self.state = tempfile.mkdtemp()
        self.open.callback(shutil.rmtree, self.state, ignore_errors=True)
        patch = self.open.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("CONTACTS_STORAGE", self.state)
        patch.setattr(retry, "backoff_s", lambda *_: 0.0)
        self.environment = self.open.enter_context(open_environment(PEOPLE, seed=seed, speed=3000.0, attempts=3))
        everybody = self.everybody()
        self.identifiers = sorted(
            {i for contacts in everybody.values() for c in contacts.values() for i in c.identifiers},
            key=lambda i: (i.kind.value, i.normal),
        )
        self.plan: Plan | None = None
        self.applied: Plan | None = None
        self.run = self.written = ""
        self.written_in: list[str] = []
        self.number = 0

    def teardown(self) -> None:
        if hasattr(self, "open"):
            self.open.close()

    # -- what is true

    def everybody(self) -> Everybody:
        """Everybody as the vendors have them once all is settled; faults are off afterwards."""
        self.environment.settle()
        return {name: {c.id: c for c in self.environment.clients[name].export()} for name in NAMES}

    def there(self, name: str) -> set[str]:
        """Ids that the vendor has at this moment, whatever its answers show."""
        emulator: Any = self.environment.sandbox.emulators[name]
        store = emulator.account.store if hasattr(emulator, "account") else emulator.store
        return set(store.contacts)

    # -- what happens

    @rule(name=st.sampled_from(FAULTS), times=st.sampled_from([1, 2, 3, None]))
    def a_bad_moment(self, name: str, times: int | None) -> None:
        self.environment.sandbox.faults.set(name, times)

    @rule()
    def all_is_well(self) -> None:
        self.environment.sandbox.faults.clear()

    @rule(data=st.data(), name=st.sampled_from(NAMES), adds=st.booleans())
    def somebody_else_writes(self, data: st.DataObject, name: str, adds: bool) -> None:
        before = self.everybody()[name]
        client = self.environment.clients[name]
        if adds:
            emails = [i for i in self.identifiers if i.kind.value == "email"]
            contact = Contact(first_name="Back", identifiers=(data.draw(st.sampled_from(emails)),))
            client.upsert_contacts([contact], recreate_erased=True)
        elif before:
            client.delete_contacts([data.draw(st.sampled_from(sorted(before)))])
        self.environment.settle()

    @rule(data=st.data(), name=st.sampled_from(NAMES), planned=st.booleans())
    def somebody_becomes_somebody_else(self, data: st.DataObject, name: str, planned: bool) -> None:
        everybody = self.with_faults_kept(self.everybody)[name]
        plan = self.plan or self.applied
        mine = [t.contact for t in plan.by_account[name].changes] if plan and name in plan.by_account else []
        chosen = sorted(id for id in everybody if not planned or id in mine)
        if chosen:
            self.number += 1
            stranger = [("email", f"stranger{self.number}@example.org")]
            self.environment.sandbox.emulators[name].mutate(data.draw(st.sampled_from(chosen)), identifiers=stranger)

    @rule(data=st.data(), name=st.sampled_from(KEEPING_CONSENT), planned=st.booleans())
    def somebody_unsubscribes(self, data: st.DataObject, name: str, planned: bool) -> None:
        plan = self.plan or self.applied
        changes = [change for part in plan.accounts for change in part.changes] if plan and planned else []
        mine = {i for change in changes for i in change.identifiers} if changes else {*self.identifiers}
        emails = sorted((i for i in mine if i.kind.value == "email"), key=lambda i: i.normal)
        if emails:
            identifier = data.draw(st.sampled_from(emails))

            def unsubscribe() -> None:
                self.environment.settle()
                revoke(self.client(name), identifier)

            self.with_faults_kept(unsubscribe)

    @rule(name=st.sampled_from(NOWHERE))
    def the_gateway_loses_its_way(self, name: str) -> None:
        faults = self.environment.sandbox.faults
        if any(each in faults._settings for each in NOWHERE):
            faults.clear()
        else:
            faults.set(name, None)

    @rule(
        data=st.data(),
        accounts=st.sets(st.sampled_from(NAMES), min_size=1),
        follow=st.sampled_from(IdentifierExpansion),
        kind=st.sampled_from(["erase", "erase", *KINDS]),
        trouble=st.lists(st.tuples(st.sampled_from(FAULTS), st.sampled_from([1, 2, 3, None])), max_size=2),
    )
    def somebody_asks(
        self,
        data: st.DataObject,
        accounts: set[str],
        follow: IdentifierExpansion,
        kind: str,
        trouble: list[tuple[str, int | None]],
    ) -> None:
        nobody = Identifier.email("nobody@example.com")
        people = data.draw(st.lists(st.sampled_from([*self.identifiers, nobody]), min_size=1, max_size=3, unique=True))
        clients = [self.environment.clients[name] for name in sorted(accounts)]
        try:
            match kind:
                case "erase":
                    self.plan = plan_erasure(people, clients, follow=follow)
                case "delete":
                    self.plan = plan_deletion(clients[0], people)
                case "remove-identifier":
                    self.plan = plan_identifier_removal(
                        [i for i in people if i.kind.value in {"email", "phone"}] or [nobody], clients
                    )
                case "upsert":
                    self.plan = self.writing_plan(clients[0], people)
                case "copy":
                    self.plan = self.copying_plan(*data.draw(st.sampled_from(PAIRS)))
                case "undo":
                    self.plan = plan_undo(self.written, [self.client(each) for each in self.written_in])
                case _:
                    of_list = plan_list_removal if kind == "remove-from-list" else plan_list_addition
                    self.plan = of_list(clients[0], data.draw(st.sampled_from(clients[0].lists())).id, people)
        except ContactsError:
            self.plan = None
        if self.plan and data.draw(st.sampled_from([True, True, False])):
            for name, times in trouble:
                self.environment.sandbox.faults.set(name, times)
            self.it_is_applied(keep_faults=True)

    @precondition(lambda self: self.plan is not None)
    @rule(keep_faults=st.sampled_from([True, True, False]))
    def it_is_applied(self, keep_faults: bool) -> None:
        plan = self.plan
        assert plan is not None
        before = self.with_faults_kept(self.everybody) if keep_faults else self.everybody()
        self.plan, self.applied = None, plan
        try:
            given = apply(plan, self.clients_of(plan), pause=0.01, timeout=0.15)
        except PlanRefused:
            after = self.everybody()
            assert after == before
            self.run = ""
            return
        self.run = given.run
        if kind_of(plan.kind).can_be_undone:
            self.written, self.written_in = given.run, [*plan.by_account]
        event(f"{plan.kind}: {given.state}")
        self.judge(plan, given, before, just_now=True)

    @precondition(lambda self: self.run and self.applied is not None)
    @rule(keep_faults=st.booleans())
    def it_is_resumed(self, keep_faults: bool) -> None:
        plan = self.applied
        assert plan is not None
        before = self.with_faults_kept(self.everybody) if keep_faults else self.everybody()
        done_before = next(run for run in list_runs() if run.id == self.run).state == "done"
        given = resume(self.run, self.clients_of(plan))
        event(f"resumed {plan.kind}: {given.state}")
        self.judge(plan, given, before, just_now=not done_before)

    @precondition(lambda self: self.run and self.applied is not None)
    @rule(name=st.sampled_from(NAMES))
    def it_is_resumed_in_another_workspace(self, name: str) -> None:
        plan = self.applied
        assert plan is not None
        if name not in plan.by_account or Journal(locate_storage()).plan(self.run) is None:
            return
        before, told = self.everybody(), [(run.id, run.state) for run in list_runs()]
        accounts = [elsewhere(client) if client.name == name else client for client in self.environment.accounts]
        with pytest.raises(PlanRefused, match="another workspace"):
            resume(self.run, [each for each in accounts if each.name in self.names_of(plan)])
        assert [(run.id, run.state) for run in list_runs()] == told
        assert self.everybody() == before

    @precondition(lambda self: self.run)
    @rule()
    def it_is_cancelled(self) -> None:
        before = self.everybody()
        state = cancel(self.run).state
        assert get_receipt(self.run).state == state
        assert self.everybody() == before

    def with_faults_kept(self, look: Any) -> Any:
        """Look without faults, and let them go on afterwards."""
        faults = self.environment.sandbox.faults
        kept = dict(faults._settings)
        seen = look()
        faults._settings.update(kept)
        return seen

    def client(self, name: str) -> Contacts[Any]:
        return self.environment.clients[name]

    @staticmethod
    def names_of(plan: Plan) -> set[str]:
        return {*plan.by_account, *(part.source for part in plan.accounts if part.source)}

    def clients_of(self, plan: Plan) -> list[Contacts[Any]]:
        return [self.client(name) for name in sorted(self.names_of(plan))]

    # -- plans that write

    def writing_plan(self, client: Contacts[Any], people: list[Identifier]) -> Plan:
        self.number += 1
        new = Identifier.email(f"new{self.number}@example.com")
        emails = [i for i in people if i.kind.value == "email" and i.value != "nobody@example.com"]
        given = [Contact(identifiers=(each,), first_name=f"Written{self.number}") for each in (*emails, new)]
        return plan_upsert(client, given, limits=SafetyLimits(share=1), accept_losses=ACCEPTED)

    def copying_plan(self, source: str, target: str) -> Plan:
        place: dict[str, Any] = {"consent_in": PLACE} if "user-api" in {source, target} else {}
        everything: dict[str, Any] = {"create_fields": True, "create_lists": True, "limits": SafetyLimits(share=1)}
        return plan_copy(self.client(source), self.client(target), accept_losses=ACCEPTED, **everything, **place)

    # -- what has to be true

    def judge(self, plan: Plan, given: Receipt, before: Everybody, *, just_now: bool) -> None:
        there = {name: self.there(name) for name in plan.by_account}
        assert Receipt.parse(given.text) == given
        if plan.kind in WRITING:
            self.judge_writing(plan, given, before, just_now=just_now)
            return
        assert len(given.of("result")) == len(plan.people) * len(plan.accounts)
        if just_now and plan.kind in DELETIONS:
            for line in given.of("result"):
                part = plan.by_account[line["account"]]
                mine = {target.contact for target in part.changes if line["person"] in target.people}
                if line["state"] == "absent":
                    assert not mine & there[line["account"]], line
        after = self.everybody()
        for name in NAMES:
            planned = {t.contact: t for t in plan.by_account[name].changes} if name in plan.by_account else {}
            for id, contact in before[name].items():
                if id not in planned:
                    assert plain(after[name].get(id)) == plain(contact), f"{name}: {id} was not in the plan"
                elif not self.is_who_it_was(contact, planned[id]):
                    assert plain(after[name].get(id)) == plain(contact), f"{name}: {id} is somebody else now"
                elif plan.kind not in DELETIONS:
                    assert id in after[name]
                    gone = set(contact.identifiers) - set(after[name][id].identifiers)
                    assert gone <= set(planned[id].removes)
            assert after[name].keys() <= before[name].keys()
        if just_now:
            self.claims(plan, given, after)

    def judge_writing(self, plan: Plan, given: Receipt, before: Everybody, *, just_now: bool) -> None:
        """Only planned contacts are written, as long as they are who they were; no refusal is lost on the way."""
        assert len(given.of("result")) == len(plan.people)
        after = self.everybody()
        for name in {*NAMES} - plan.by_account.keys():
            assert plain_of(after[name]) == plain_of(before[name]), name
        (part,) = plan.accounts
        then, now, client = before[part.account], after[part.account], self.client(part.account)
        planned = [change for change in part.changes if change.identifiers and change.operation != CONSENT]
        said = {i for change in part.changes if change.operation == CONSENT for i in change.identifiers}
        for id in then.keys() | now.keys():
            was, is_ = then.get(id), now.get(id)
            if plain(was) == plain(is_):
                continue
            known = {i for contact in (was, is_) if contact for i in contact.identifiers}
            mine = [
                each
                for each in planned
                if each.contact == id or not (each.contact or known.isdisjoint(each.identifiers))
            ]
            if was is None:
                assert not {*(is_.identifiers if is_ else ())} - said - {i for each in mine for i in each.identifiers}
                continue
            assert mine or not known.isdisjoint(said), f"{part.account}: {id} was not in the plan"
            for change in mine:
                if change.contact and not said & known:
                    assert set(was.identifiers) == set(change.identifiers), f"{id} is somebody else now"
            if is_ is None:
                assert any(each.operation == "delete_contacts" and each.contact == id for each in mine)
        if part.source:
            arrived = {i for id, contact in now.items() if id not in then for i in contact.identifiers}
            if "user-api" not in self.names_of(plan):
                refused = refusing(self.client(part.source))
                assert arrived & refused <= refusing(client), "mailable, and refused at the source"
        if just_now:
            self.claims_of_writing(plan, given, now)
        if just_now and given.state == "done":
            self.nothing_is_left(plan, given)

    def claims_of_writing(self, plan: Plan, given: Receipt, now: dict[str, Any]) -> None:
        """Who is said to be there is there with what was written; what was taken back is taken back."""
        (part,) = plan.accounts
        reached = {line["person"] for line in given.of("result") if line["state"] == given.goal}
        for change in part.changes:
            if not reached.intersection(change.people):
                continue
            contact = now.get(change.contact)
            match change.operation:
                case "upsert_contacts":
                    having = [each for each in now.values() if not {*each.identifiers}.isdisjoint(change.identifiers)]
                    wanted = change.write.get("first_name")
                    assert having
                    assert not wanted or any(each.first_name == wanted for each in having)
                case "delete_contacts":
                    assert contact is None
                case "remove_from_list" if contact and contact.lists is not None:
                    assert change.list_id not in contact.lists
                case "change_contact":
                    assert contact is not None
                    values = change.write["set"]
                    assert "first_name" not in values or contact.first_name == values["first_name"]
                case _:
                    pass

    def nothing_is_left(self, plan: Plan, given: Receipt) -> None:
        """A second plan is empty; see `everybody`, after which there are no faults."""
        (part,) = plan.accounts
        match plan.kind:
            case "copy":
                second = self.copying_plan(part.source, part.account)
            case "undo":
                second = plan_undo(self.written, [self.client(part.account)])
            case _:
                return
        assert [(each.operation, each.reason) for each in second.accounts[0].changes] == []

    @staticmethod
    def is_who_it_was(contact: Contact, target: Change) -> bool:
        there, then = set(contact.identifiers), set(target.identifiers)
        return then - set(target.removes) <= there <= then

    def claims(self, plan: Plan, given: Receipt, after: Everybody) -> None:
        """Where identifiers or memberships were to go, absent means that they have gone."""
        for line in given.of("result"):
            if line["state"] != kind_of(plan.kind).goal or plan.kind in DELETIONS:
                continue
            part = plan.by_account[line["account"]]
            for target in part.changes:
                contact = after[part.account].get(target.contact)
                if line["person"] not in target.people or contact is None:
                    continue
                if plan.list_id:
                    members = self.environment.clients[part.account].export(lists=[plan.list_id])
                    on_list = target.contact in {member.id for member in members}
                    assert on_list == (plan.kind == "add-to-list")
                else:
                    asked = next(p for p in plan.people if p.number == line["person"]).asked
                    assert not set(asked) & set(contact.identifiers)


def plain_of(contacts: dict[str, Any]) -> dict[str, Any]:
    return {id: plain(contact) for id, contact in contacts.items()}


def elsewhere(client: Contacts[Any]) -> Contacts[Any]:
    """The same account, if it were another: only its name for itself differs."""

    class Elsewhere(type(client.provider)):  # type: ignore[misc]
        def account_id(self) -> Any:
            yield from ()
            return "another workspace"

    kept = {each.name: getattr(client.provider, each.name) for each in attrs.fields(type(client.provider)) if each.init}
    return Contacts(Elsewhere(**kept), name=client.name)


Vendors.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestVendors = pytest.mark.timeout(600)(Vendors.TestCase)
