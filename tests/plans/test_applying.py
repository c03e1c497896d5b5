"""Applying a plan: what is done, what is verified, and what a receipt may claim."""

from __future__ import annotations

import asyncio
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from contacts_core import AsyncContacts, Contact, Contacts, Identifier, Outcome
from contacts_core.errors import ConfigurationError, InvalidInput, PlanRefused
from contacts_core.http.blocking import BlockingTransport
from contacts_core.plans import (
    Plan,
    Receipt,
    RunStopped,
    Step,
    apply,
    apply_async,
    cancel,
    get_receipt,
    list_runs,
    plan_deletion,
    plan_erasure,
    plan_identifier_removal,
    plan_list_removal,
    resume,
    resume_async,
    run_worker,
    submit,
)
from contacts_core.plans.execution import engine
from contacts_core.plans.execution.context import Session
from contacts_core.plans.execution.runner import overview
from contacts_core.provider import hookimpl
from contacts_core.storage.database import locate_storage
from contacts_core.storage.journal import Journal
from tests.plans.environment import Environment, holders, open_environment, without

QUICK: dict[str, Any] = {"pause": 0.01, "timeout": 10.0}
HASTY: dict[str, Any] = {"pause": 0.01, "timeout": 0.1}

Register = Callable[[object], None]


class OnStep:
    """A plugin that does something when the first step of an account is done."""

    def __init__(self, do: Callable[[], object]) -> None:
        self.do: Callable[[], object] | None = do

    @hookimpl
    def contacts_step_finished(self) -> None:
        do, self.do = self.do, None
        if do:
            do()


def states(given: Receipt) -> dict[str, set[tuple[str, str]]]:
    """What became of everybody, by account."""
    found: dict[str, set[tuple[str, str]]] = {}
    for line in given.of("result"):
        found.setdefault(line["account"], set()).add((line["state"], line["reason"]))
    return found


class TestErasing:
    def test_they_are_gone_everywhere_and_nobody_else_is(self, environment: Environment) -> None:
        people = environment.emails(3)
        plan = plan_erasure(people, environment.accounts)
        before = without(environment.everyone(), plan)
        done = plan.apply(environment.accounts, **QUICK)
        after = environment.everyone()
        assert not any(holders(after, people).values())
        assert without(after, plan) == before
        assert (done.state, done.complete, done.absent, done.present, done.unknown) == ("done", True, 9, 0, 0)
        assert {reason for each in states(done).values() for _, reason in each} == {
            "not found any more: by id and by look-up"
        }
        assert done.sealed_by(locate_storage().key())
        assert done.plan == plan.checksum
        assert get_receipt(done.run) == done

    def test_who_was_never_there_is_verified_as_well(self, environment: Environment) -> None:
        done = plan_erasure([Identifier.email("nobody@example.com")], environment.accounts).apply(
            environment.accounts, **QUICK
        )
        assert done.complete
        assert {reason for each in states(done).values() for _, reason in each} == {
            "was not there and is not: by look-up"
        }

    def test_every_exchange_is_in_the_receipt_as_digests(self, environment: Environment) -> None:
        people = environment.emails(2)
        plan = plan_erasure(people, environment.accounts)
        environment.seen.clear()
        done = plan.apply(environment.accounts, **QUICK)
        lines = [line for kind in ("step", "jobs", "read") for line in done.of(kind)]
        told = [exchange for line in lines for exchange in line["exchanges"]]
        assert sorted(e["method"] for e in told) == sorted(e.method for e in environment.seen)
        assert all(re.fullmatch(r"[0-9a-f]{64}", e["request"]) and e["status"] < 500 for e in told)
        for person in people:
            assert person.value not in done.text
        for part in plan.accounts:
            assert all(target.contact not in done.text for target in part.changes)

    def test_afterwards_nothing_here_knows_who_they_were(self, environment: Environment) -> None:
        plan = plan_erasure(environment.emails(2), environment.accounts)
        done = plan.apply(environment.accounts, **QUICK)
        assert Journal(locate_storage()).plan(done.run) is None
        folder = locate_storage().folder
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        kept = [path for path in folder.rglob("*") if path.is_file()]
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept), kept
        content = b"".join(path.read_bytes() for path in kept)
        for part in plan.accounts:
            for target in part.changes:
                assert not any(i.value.encode() in content for i in target.identifiers)

    def test_awaited_it_is_the_same(self, environment: Environment) -> None:
        plan = plan_erasure(environment.emails(2), environment.accounts)

        async def applied() -> Receipt:
            clients = [AsyncContacts(client.provider, name=name) for name, client in environment.clients.items()]
            try:
                return await plan.apply_async(clients, **QUICK)
            finally:
                for client in clients:
                    await client.close()

        assert asyncio.run(applied()).complete

    def test_a_cancelled_task_stops_after_the_steps_under_way(self, environment: Environment) -> None:
        plan = plan_erasure(environment.emails(1), environment.accounts)
        environment.sandbox.faults.set("job-never-ends", None)

        async def applied() -> None:
            clients = [AsyncContacts(client.provider, name=name) for name, client in environment.clients.items()]
            waiting = asyncio.Event()
            loop = asyncio.get_running_loop()

            def watch(progress: Any) -> None:
                if any(each.phase == "waiting" for each in progress):
                    loop.call_soon_threadsafe(waiting.set)

            task = asyncio.create_task(apply_async(plan, clients, pause=0.05, timeout=3, watch=watch))
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            environment.sandbox.faults.clear()
            (run,) = list_runs()
            assert run.state == "interrupted"
            assert (await resume_async(run.id, clients)).state == "incomplete"  # that job never ends
            assert (await resume_async(run.id, clients)).complete  # another round asks anew
            for client in clients:
                await client.close()

        asyncio.run(applied())


class TestVerifying:
    def test_one_who_is_shown_for_a_while_is_waited_for(self) -> None:
        with open_environment(speed=40) as slow:
            slow.sandbox.faults.set("stale-reads", None)
            done = plan_erasure(slow.emails(1), slow.accounts).apply(slow.accounts, **QUICK)
        assert done.complete
        shown = [line for line in done.of("read") if line["shown"] and line["path"] != "check"]
        assert shown, "the fault showed nothing, so nothing was tried"

    def test_one_whose_job_fails_is_present_until_it_works(self, environment: Environment) -> None:
        people = environment.emails(1)
        environment.sandbox.faults.set("job-fails", None)
        done = plan_erasure(people, environment.accounts).apply(environment.accounts, **HASTY)
        assert (done.state, done.present) == ("incomplete", 1)
        assert states(done)["sendgrid"] == {("present", "1 of 1 contacts still there")}
        environment.sandbox.faults.clear()
        again = resume(done.run, environment.accounts)
        assert again.complete
        assert {line["round"] for line in again.of("step")} == {1, 2}
        assert not any(holders(environment.everyone(), people).values())

    def test_one_whose_job_never_ends_is_present_and_the_job_is_named(self, environment: Environment) -> None:
        people = environment.emails(1)
        environment.sandbox.faults.set("job-never-ends", None)
        done = plan_erasure(people, environment.accounts).apply(environment.accounts, **HASTY)
        (found,) = states(done)["sendgrid"]
        assert found == ("present", "1 of 1 contacts still there; 1 job(s) of the vendor not finished")

    @pytest.mark.parametrize("name", ["sendgrid", "bird", "user-api"])
    def test_one_who_comes_back_is_present_and_left_alone(
        self, environment: Environment, register: Register, name: str
    ) -> None:
        (person,) = environment.emails(1)
        plan = plan_erasure([person], environment.accounts)
        client = environment.client(name)

        def come_back() -> None:
            environment.sandbox.clock.advance(3600)
            if name == "user-api":  # its upsert would look for them first
                client.request(
                    "POST", "/contacts", json={"first_name": "B", "emails": [{"email_address": person.value}]}
                )
            else:
                client.upsert_contacts([Contact(identifiers=(person,))], recreate_erased=True)
            environment.sandbox.clock.advance(3600)

        class Back:
            @hookimpl
            def contacts_step_finished(self, outcome: Outcome) -> None:
                if outcome.provider == name:
                    come_back()

        register(Back())
        done = plan.apply(environment.accounts, **HASTY)
        assert done.state == "incomplete"
        reason = "found at another contact: re-created, or new since the plan was made"
        assert states(done)[name] == {("present", reason)}
        again = resume(done.run, environment.accounts)
        assert again.present == 1
        assert len(holders(environment.everyone(), [person])[name]) == 1
        client.close()

    def test_whoever_cannot_be_read_again_is_unknown(self, environment: Environment, register: Register) -> None:
        plan = plan_erasure(environment.emails(1), [environment.clients["bird"]])
        register(OnStep(lambda: environment.sandbox.faults.set("html", None)))
        slow = [Contacts(environment.clients["bird"].provider, name="bird", transport=quick_transport(environment))]
        done = plan.apply(slow, **HASTY)
        assert (done.state, done.unknown, done.absent) == ("incomplete", 1, 0)
        assert states(done)["bird"] == {("unknown", "could not be read again")}
        environment.sandbox.faults.clear()
        assert resume(done.run, environment.accounts[:1]).complete
        slow[0].close()

    def test_a_vendor_that_stops_answering_stops_the_work_in_that_account_only(
        self, environment: Environment, register: Register
    ) -> None:
        people = environment.emails(2)
        plan = plan_erasure(people, environment.accounts)
        bad = evolve(environment.clients["bird"].provider, access_key="wrong")

        class Locked:
            """The key is revoked between the check and the work."""

            name, provider = "bird", bad

            def __init__(self) -> None:
                self.good, self.bad = environment.clients["bird"], Contacts(bad, name="bird")

            def run(self, flow: Any) -> Any:
                return (self.bad if flow.__name__ == "act" else self.good).run(flow)

            def add_event_hook(self, hook: Any) -> Callable[[], None]:
                return both(self.good.add_event_hook(hook), self.bad.add_event_hook(hook))

            def add_before_send(self, hook: Any) -> Callable[[], None]:
                return both(self.good.add_before_send(hook), self.bad.add_before_send(hook))

            def charge_rate_limit(self, requests: int) -> None:
                self.good.charge_rate_limit(requests)

        def both(*removals: Callable[[], None]) -> Callable[[], None]:
            def remove() -> None:
                for each in removals:
                    each()

            return remove

        locked = Locked()
        done = apply(plan, [locked, environment.clients["sendgrid"], environment.clients["user-api"]], **HASTY)  # type: ignore[list-item]
        locked.bad.close()
        assert {name: {s for s, _ in found} for name, found in states(done).items()} == {
            "bird": {"present"},
            "sendgrid": {"absent"},
            "user-api": {"absent"},
        }
        assert "401" in next(iter(states(done)["bird"]))[1]


class TestOtherPlans:
    @pytest.mark.parametrize("name", ["sendgrid", "bird", "user-api"])
    def test_an_identifier_goes_and_the_contact_stays(self, environment: Environment, name: str) -> None:
        client = environment.clients[name]
        contact = next(c for c in client.export() if c.phone and c.email)
        phone = Identifier.phone(contact.phone or "")
        plan = plan_identifier_removal([phone], [client])
        before = without(environment.everyone(), plan)[name]
        done = plan.apply([client], **QUICK)
        assert done.complete
        after = {each.id: each for each in client.export()}
        assert set(after[contact.id].identifiers) == set(contact.identifiers) - {phone}
        assert without({name: after}, plan)[name] == before

    @pytest.mark.parametrize("name", ["sendgrid", "bird", "user-api"])
    def test_off_the_list_and_still_a_contact(self, environment: Environment, name: str) -> None:
        client = environment.clients[name]
        list_id, members = next(
            (one.id, found) for one in client.lists() if len(found := list(client.export(lists=[one.id]))) > 1
        )
        done = plan_list_removal(client, list_id, ids=[members[0].id]).apply([client], **QUICK)
        assert done.complete
        assert {c.id for c in client.export(lists=[list_id])} == {c.id for c in members[1:]}
        assert members[0].id in {c.id for c in client.export()}

    def test_a_removal_that_does_nothing_is_seen(self, environment: Environment) -> None:
        client = environment.clients["sendgrid"]
        list_id, members = next(
            (one.id, found) for one in client.lists() if len(found := list(client.export(lists=[one.id]))) > 1
        )
        environment.sandbox.faults.set("list-removal-ignored", None)
        done = plan_list_removal(client, list_id, ids=[members[0].id]).apply([client], **HASTY)
        assert states(done) == {"sendgrid": {("present", "1 of 1 contacts still on the list")}}

    def test_a_deletion_leaves_no_tombstones(self, environment: Environment) -> None:
        client = environment.clients["bird"]
        (person,) = environment.emails(1)
        assert plan_deletion(client, [person]).apply([client], **QUICK).complete
        assert client.upsert_contacts([Contact(identifiers=(person,))]).succeeded_count == 1

    def test_a_deletion_by_id_is_verified_by_look_up_too(self, environment: Environment) -> None:
        client = environment.clients["bird"]
        contact = next(c for c in client.export() if c.email)
        done = plan_deletion(client, ids=[contact.id]).apply([client], **QUICK)
        assert done.complete
        assert {line["path"] for line in done.of("read")} == {"check", "get", "find"}


class TestRefusing:
    def changed(self, environment: Environment, plan: Plan) -> PlanRefused:
        before = environment.everyone()
        with pytest.raises(PlanRefused, match="changed since the plan was made") as caught:
            plan.apply(environment.accounts, **QUICK)
        assert environment.everyone() == before
        return caught.value

    def test_somebody_is_gone(self, environment: Environment) -> None:
        plan = plan_erasure(environment.emails(2), environment.accounts)
        environment.clients["bird"].delete_contacts([plan.by_account["bird"].changes[0].contact])
        assert "bird: 1 contact(s)" in str(self.changed(environment, plan))

    def test_somebody_else_has_the_address_now(self, environment: Environment) -> None:
        (person,) = environment.emails(1)
        plan = plan_erasure([person], environment.accounts)
        body = {"first_name": "B", "emails": [{"email_address": person.value}]}
        environment.clients["user-api"].request("POST", "/contacts", json=body)
        assert "user-api: 1 contact(s)" in str(self.changed(environment, plan))

    def test_somebody_has_another_number_now(self, environment: Environment) -> None:
        plan = plan_erasure(environment.emails(12), [environment.clients["bird"]])
        target = next(t for t in plan.accounts[0].changes if any(i.kind.value == "phone" for i in t.identifiers))
        phone = next(i for i in target.identifiers if i.kind.value == "phone")
        environment.clients["bird"].remove_identifier(target.contact, phone)
        with pytest.raises(PlanRefused, match="bird: 1 contact"):
            plan.apply([environment.clients["bird"]], **QUICK)
        assert len(environment.everyone()["bird"]) == 12

    def test_what_was_refused_cannot_be_resumed(self, environment: Environment) -> None:
        self.test_somebody_is_gone(environment)
        (run,) = list_runs()
        assert (run.state, Journal(locate_storage()).plan(run.id)) == ("refused", None)
        with pytest.raises(PlanRefused, match="was refused"):
            resume(run.id, environment.accounts)
        assert get_receipt(run.id).state == "refused"

    def test_an_altered_plan_is_not_even_begun(self, environment: Environment) -> None:
        plan = plan_erasure(environment.emails(2), environment.accounts)
        fewer = evolve(plan, accounts=plan.accounts[:1])
        with pytest.raises(PlanRefused, match="altered"):
            fewer.apply(environment.accounts[:1])
        assert list_runs() == []

    def test_a_plugin_may_forbid_it(self, environment: Environment, register: Register) -> None:
        class Guard:
            @hookimpl
            def contacts_before_apply(self, plan: Plan) -> str:
                return "not on a Friday"

        register(Guard())
        with pytest.raises(PlanRefused, match="plugin Guard objects: not on a Friday"):
            plan_erasure(environment.emails(1), environment.accounts).apply(environment.accounts)
        assert list_runs() == []

    def test_a_plugin_that_fails_has_not_agreed(self, environment: Environment, register: Register) -> None:
        class Guard:
            @hookimpl
            def contacts_before_apply(self) -> str:
                raise ValueError

        register(Guard())
        with pytest.raises(PlanRefused, match="plugin Guard failed"):
            plan_erasure(environment.emails(1), environment.accounts).apply(environment.accounts)

    def test_an_account_that_cannot_be_read_ends_it_before_anything_is_changed(self, environment: Environment) -> None:
        plan = plan_erasure(environment.emails(1), environment.accounts)
        before = environment.everyone()
        bad = Contacts(evolve(environment.clients["bird"].provider, access_key="wrong"), name="bird")
        done = plan.apply([bad, environment.clients["sendgrid"], environment.clients["user-api"]], **QUICK)
        bad.close()
        assert done.state == "failed"
        assert "nothing was changed; bird:" in done.reason
        assert environment.everyone() == before
        (run,) = list_runs()
        assert resume(run.id, environment.accounts).complete

    def test_another_provider_of_that_name_is_not_touched(self, environment: Environment) -> None:
        plan = plan_erasure(environment.emails(1), [environment.clients["bird"]])
        other = Contacts(environment.clients["user-api"].provider, name="bird")
        done = plan.apply([other], **QUICK)
        other.close()
        assert (done.state, "is a user-api account now" in done.reason) == ("failed", True)

    def test_an_account_that_the_plan_does_not_name_is_refused(self, environment: Environment) -> None:
        with pytest.raises(InvalidInput, match="the plan is not about bird"):
            plan_erasure(environment.emails(1), [environment.clients["sendgrid"]]).apply([environment.clients["bird"]])

    def test_another_process_at_work_is_not_disturbed(self, environment: Environment) -> None:
        plan = plan_erasure(environment.emails(1), environment.accounts)
        locate_storage().folder.mkdir(parents=True)
        with engine.folder_lock(locate_storage()), pytest.raises(engine.Busy, match="another process"):
            plan.apply(environment.accounts)

    def test_workers_need_a_database_that_machines_can_share(self, environment: Environment) -> None:
        with pytest.raises(ConfigurationError, match="PostgreSQL"):
            submit(plan_erasure(environment.emails(1), environment.accounts))
        with pytest.raises(ConfigurationError, match="PostgreSQL"):
            run_worker()


class TestStopping:
    def test_ctrl_c_finishes_what_is_under_way_and_can_be_resumed(self, environment: Environment) -> None:
        people = environment.emails(2)
        plan = plan_erasure(people, environment.accounts)

        def watch(progress: Any) -> None:
            if any(each.phase in {"waiting", "verifying"} for each in progress):
                raise KeyboardInterrupt

        environment.sandbox.faults.set("stale-reads", None)
        with pytest.raises(RunStopped) as caught:
            plan.apply(environment.accounts, **QUICK, watch=watch)
        assert "contacts runs resume" in caught.value.hint
        (run,) = list_runs()
        assert (run.id, run.state) == (caught.value.run, "interrupted")
        with pytest.raises(InvalidInput, match="has no receipt yet"):
            get_receipt(run.id)
        assert resume(run.id, environment.accounts).complete
        told, progress = overview(run.id)
        assert (told.state, {each.phase for each in progress}) == ("done", {"done"})

    def test_a_cancelled_run_ends_with_a_receipt_and_goes_on_in_another_round(
        self, environment: Environment, register: Register
    ) -> None:
        plan = plan_erasure(environment.emails(2), environment.accounts)
        register(OnStep(lambda: cancel(list_runs()[0].id)))
        done = plan.apply(environment.accounts, **QUICK)
        assert done.state == "cancelled"
        assert done.unknown > 0
        assert cancel(done.run).state == "cancelled"  # twice is once
        again = resume(done.run, environment.accounts)
        assert again.complete

    def test_an_interrupted_run_can_be_cancelled_by_whoever_comes(self, environment: Environment) -> None:
        def watch(_: Any) -> None:
            raise KeyboardInterrupt

        with pytest.raises(RunStopped) as caught:
            plan_erasure(environment.emails(1), environment.accounts).apply(environment.accounts, **QUICK, watch=watch)
        assert cancel(caught.value.run).state == "cancelled"
        assert get_receipt(caught.value.run).state == "cancelled"

    def test_another_run_leaves_an_interrupted_one_as_it_is(self, environment: Environment) -> None:
        def watch(_: Any) -> None:
            raise KeyboardInterrupt

        first, second = environment.emails(2)
        with pytest.raises(RunStopped) as caught:
            plan_erasure([first], environment.accounts).apply(environment.accounts, **QUICK, watch=watch)
        there = {name: ids for name, ids in holders(environment.everyone(), [first]).items() if ids}
        assert plan_erasure([second], environment.accounts).apply(environment.accounts, **QUICK).complete
        assert {name: ids for name, ids in holders(environment.everyone(), [first]).items() if ids} == there
        assert {run.id: run.state for run in list_runs()}[caught.value.run] == "interrupted"
        assert resume(caught.value.run, environment.accounts).complete

    def test_what_is_done_stays_done(self, environment: Environment) -> None:
        done = plan_erasure(environment.emails(1), environment.accounts).apply(environment.accounts, **QUICK)
        environment.seen.clear()
        assert resume(done.run, environment.accounts) == done
        assert environment.seen == []

    def test_a_run_that_there_is_not(self, environment: Environment) -> None:
        assert list_runs() == []
        for ask in (resume, get_receipt, cancel, overview):
            with pytest.raises(InvalidInput, match="there is no run"):
                ask("nonsense")


class TestPacing:
    def test_what_another_process_just_sent_counts(self, environment: Environment) -> None:
        client = environment.clients["sendgrid"]  # 600 requests a minute
        done = plan_erasure(environment.emails(1), [client]).apply([client], **QUICK)
        sent = sum(len(line["exchanges"]) for kind in ("step", "jobs", "read") for line in done.of(kind))
        journal = Journal(locate_storage())
        assert journal.recent("sendgrid", 60) == sent
        assert journal.recent("sendgrid", 0) == 0
        assert journal.recent("bird", 60) == 0
        journal.began(done.run, "sendgrid", "step", {"contacts": 600 - sent})  # and was cut off
        pauses: list[float] = []
        now = [0.0]

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            now[0] += seconds

        transport = BlockingTransport(client.provider, sleep=sleep, monotonic=lambda: now[0])
        with Contacts(client.provider, name="sendgrid", transport=transport) as late:
            session = Session(locate_storage(), {"sendgrid": late})
            assert session.runner("sendgrid") is session.runner("sendgrid")
            late.count()
        transport.close()
        assert sum(pauses) == pytest.approx(60, abs=1)


class TestHooks:
    def test_each_is_told_once(self, environment: Environment, register: Register) -> None:
        told: list[object] = []

        class Watcher:
            @hookimpl
            def contacts_before_apply(self, plan: Plan) -> None:
                told.append(plan.checksum)

            @hookimpl
            def contacts_step_finished(self, step: Step, outcome: Outcome) -> None:
                told.append((outcome.provider, step.number, outcome.requested))

            @hookimpl
            def contacts_run_finished(self, receipt: Receipt) -> None:
                told.append(receipt)

        register(Watcher())
        plan = plan_erasure(environment.emails(2), environment.accounts)
        done = plan.apply(environment.accounts, **QUICK)
        assert told[0] == plan.checksum
        assert sorted(told[1:-1]) == [("bird", 1, 2), ("sendgrid", 1, 2), ("user-api", 1, 2)]  # type: ignore[type-var]
        assert told[-1] == done

    def test_one_that_fails_breaks_nothing(self, environment: Environment, register: Register) -> None:
        class Broken:
            @hookimpl
            def contacts_step_finished(self) -> None:
                raise ValueError

            @hookimpl
            def contacts_run_finished(self) -> None:
                raise ValueError

        register(Broken())
        assert plan_erasure(environment.emails(1), environment.accounts).apply(environment.accounts, **QUICK).complete


def quick_transport(environment: Environment) -> Any:
    return BlockingTransport(environment.clients["bird"].provider, sleep=lambda _: None)


def test_the_state_may_be_named(environment: Environment, tmp_path: Path) -> None:
    plan = plan_erasure(environment.emails(1), environment.accounts)
    done = plan.apply(environment.accounts, storage=tmp_path / "elsewhere", **QUICK)
    assert list_runs() == []
    assert [run.id for run in list_runs(storage=tmp_path / "elsewhere")] == [done.run]
    assert get_receipt(done.run, storage=tmp_path / "elsewhere") == done
