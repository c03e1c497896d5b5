"""Whatever a provider, a plugin or a file brings along: a run is refused before it begins, or ends with a statement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from attrs import evolve, field, frozen

from contacts_core import Contacts, Identifier
from contacts_core.errors import ConfigurationError, InvalidInput, PlanRefused, StorageError, Unavailable
from contacts_core.models import Job, JobState, Outcome
from contacts_core.plans import Plan, RunStopped, SafetyLimits, cancel, get_receipt, list_runs, plan_erasure, resume
from contacts_core.plans.execution import workflows
from contacts_core.plans.execution.context import Session
from contacts_core.plans.receipts import events as recording
from contacts_core.provider import Flow, QueuesJobs, hookimpl
from contacts_core.storage.database import locate_storage
from contacts_core.storage.journal import Journal, plan_chunks, receipt_chunks
from contacts_core.storage.journal import runs as table
from contacts_core.storage.leases import Stopped
from contacts_core.storage.tombstones import blocked
from tests.plans.plan_files import document, file_of
from tests.plans.test_lies import HASTY, QUICK, Desk, desk, email, external, fake_vendor, person

ALL = SafetyLimits(share=1)


@frozen(kw_only=True)
class Later(Desk, QueuesJobs):
    """A vendor that deletes with jobs, of which it says odd things."""

    job: Job = field(repr=False)

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        done = yield from super().delete_contacts(ids)
        return evolve(done, confirmed=(), jobs=(self.job,))

    def get_job(self, job: Job) -> Flow[Job]:
        yield from ()
        return evolve(job, state=JobState.DONE)


# -- the receipt can always be written ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd", [{"requested": 2**60}, {"succeeded": 1.5}, {"failed": 2**60}, {"id": 5}, {"succeeded": True}], ids=str
)
def test_numbers_that_no_receipt_can_hold_leave_the_run_with_a_receipt(odd: dict[str, Any]) -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    job = Job(**{"provider": "desk", "id": "j1", **odd})
    with Contacts(Later(vendor=vendor, job=job), name="desk") as client:
        done = plan_erasure([email("jane")], [client]).apply([client], **QUICK)
    assert "jane" not in vendor.contacts
    assert done.state in {"done", "incomplete"}
    assert done.sealed_by(locate_storage().key())


def test_a_receipt_that_cannot_be_written_ends_the_run_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    whole = recording.receipt_events

    def broken(*args: Any) -> Iterator[dict[str, Any]]:
        yield from (event for event in whole(*args) if event["type"] != "result")

    with desk(vendor) as client:
        plan = plan_erasure([email("jane")], [client])
        monkeypatch.setattr("contacts_core.plans.receipts.stored.receipt_events", broken)
        with pytest.raises(StorageError, match=r"ended as failed and has no receipt: done, .*ReceiptBroken"):
            plan.apply([client], **QUICK)
        (run,) = list_runs()
        assert (run.state, run.ended_at is not None) == ("failed", True)
        assert blocked([person("jane")])[0]
        monkeypatch.undo()
        assert resume(run.id, [client]).complete


@pytest.mark.parametrize("named", ["no key in PEM", "file:/nowhere/signing.pem"])
def test_a_signing_key_that_cannot_sign_is_noticed_before_anything_is_changed(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    monkeypatch.setenv("CONTACTS_SIGNING_KEY", named)
    with desk(vendor) as client, pytest.raises(ConfigurationError, match="signing"):
        plan_erasure([email("jane")], [client]).apply([client], **QUICK)
    assert "jane" in vendor.contacts
    assert not list_runs()


@pytest.mark.parametrize(
    "odd",
    [Identifier.email("\ud800@example.com"), external("E\ud83d"), Identifier.other("k\ud800", "v"), external("E\0")],
)
def test_half_a_character_in_an_identifier_stops_nobodys_erasure(odd: Identifier, tmp_path: Path) -> None:
    vendor = fake_vendor(person("jane", odd), person("john"))
    with desk(vendor) as client:
        for asked in (odd, email("jane")):
            plan = plan_erasure([asked], [client])
            plan.save(tmp_path / "plan.json")
            assert Plan.load(tmp_path / "plan.json") == plan
        done = plan_erasure([odd], [client]).apply([client], **QUICK)
    assert done.complete
    assert [found.state for found in done.find([odd], locate_storage().key())] == ["absent"]
    assert blocked([person("jane", odd)])[0]


# -- tombstones of runs that did not come to their end -----------------------------------------------------------------


def test_whoever_was_deleted_by_a_run_that_broke_off_is_held_back() -> None:
    vendor = fake_vendor(*(person(f"p{n}") for n in range(5)))

    def lie(what: str, about: Any) -> None:
        if (what, about) == ("delete", "p2"):
            raise ValueError("a mistake of the provider")

    vendor.lie = lie
    with desk(vendor) as client:
        done = plan_erasure([email(f"p{n}") for n in range(4)], [client], limits=ALL).apply([client], **QUICK)
    gone = [person(f"p{n}") for n in range(4) if f"p{n}" not in vendor.contacts]
    assert done.state == "incomplete"
    assert gone
    assert all(blocked(gone))
    assert not any(blocked([person("p4")]))


def test_whoever_was_deleted_by_a_run_that_was_cancelled_is_held_back_and_nobody_else() -> None:
    vendor = fake_vendor(*(person(f"p{n}") for n in range(250)))
    people = [email(f"p{n}") for n in range(240)]

    def lie(what: str, about: Any) -> None:
        if (what, about) == ("delete", "p3"):
            cancel(list_runs()[0].id)

    vendor.lie = lie
    with desk(vendor) as client:
        done = plan_erasure(people, [client], limits=ALL).apply([client], **QUICK)
    assert done.state == "cancelled"
    asked = [person(f"p{n}") for n in range(240)]
    held = {each.id for each, why in zip(asked, blocked(asked), strict=True) if why}
    gone = {each.id for each in asked if each.id not in vendor.contacts}
    assert gone
    assert gone <= held < {each.id for each in asked}


# -- what is kept was altered ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "column"),
    [(receipt_chunks, "body"), (table, "options"), (table, "accounts"), (plan_chunks, "body")],
    ids=["receipt", "options", "accounts", "plan"],
)
def test_what_is_kept_of_a_run_and_was_altered_is_a_typed_error(what: sa.Table, column: str) -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    vendor.lie = lambda asked, _: Unavailable("for now", status=503) if asked == "delete" else None
    with desk(vendor) as client:
        plan_erasure([email("jane")], [client]).apply([client], **HASTY)
        (run,) = list_runs()
        with locate_storage().engine().begin() as connection:
            connection.execute(what.update().values({column: b"\x00\xff"}))
        with pytest.raises(StorageError, match="altered"):
            get_receipt(run.id) if what is receipt_chunks else resume(run.id, [client])


@pytest.mark.parametrize("name", ["", "\ud800", "a\0b", "%"])
def test_a_run_of_an_odd_name_is_none(name: str) -> None:
    for ask in (resume, cancel, get_receipt):
        with pytest.raises(InvalidInput, match="there is no run"):
            ask(name)


def test_a_key_file_that_holds_something_else_is_a_typed_error() -> None:
    locate_storage().key()
    (locate_storage().folder / "receipt.key").write_bytes(b"\xff\xfe\0k\0e\0y" * 8)
    with pytest.raises(ConfigurationError, match=r"receipt\.key does not hold a receipt key"):
        locate_storage().key()


# -- steps -------------------------------------------------------------------------------------------------------------


def test_a_step_that_broke_before_an_interruption_does_not_hold_up_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = fake_vendor(person("jane"), person("john"))
    with desk(vendor) as client:
        plan = plan_erasure([email("jane")], [client])
        vendor.lie = lambda what, _: RuntimeError("a fault of the provider's") if what == "delete" else None
        finish = workflows._finish

        def cut_off(*_: Any) -> None:
            Session.current.trouble = StorageError("the database is gone")  # type: ignore[union-attr]
            raise Stopped

        monkeypatch.setattr(workflows, "_finish", cut_off)
        with pytest.raises(StorageError, match="the database is gone"):
            plan.apply([client], **QUICK)
        monkeypatch.setattr(workflows, "_finish", finish)
        (run,) = list_runs()
        receipt = resume(run.id, [client])
    assert not receipt.complete
    assert "jane" in vendor.contacts
    assert list_runs()[0].state != "running"


# -- plugins -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, KeyboardInterrupt])
def test_a_plugin_that_ends_its_thread_does_not_hold_up_the_run(
    error: type[BaseException], register: Callable[[object], None]
) -> None:
    class Rude:
        @hookimpl
        def contacts_step_finished(self) -> None:
            raise error

        @hookimpl
        def contacts_run_finished(self) -> None:
            raise error

    register(Rude())
    vendor = fake_vendor(person("jane"), person("john"))
    with desk(vendor) as client:
        assert plan_erasure([email("jane")], [client]).apply([client], **QUICK).complete
    assert len(vendor.sent("delete")) == 1


def test_a_plugin_that_leaves_when_asked_has_not_agreed(register: Callable[[object], None]) -> None:
    class Rude:
        @hookimpl
        def contacts_before_apply(self) -> str:
            raise SystemExit

    register(Rude())
    with desk(fake_vendor(person("jane"), person("john"))) as client, pytest.raises(PlanRefused, match="Rude failed"):
        plan_erasure([email("jane")], [client]).apply([client], **QUICK)


def test_a_plugin_that_changes_the_plan_makes_it_another(register: Callable[[object], None]) -> None:
    class Meddler:
        @hookimpl
        def contacts_before_apply(self, plan: Plan) -> None:
            residual_data: Any = plan.accounts[0].residual_data
            residual_data["nothing"] = "at all"

    register(Meddler())
    vendor = fake_vendor(person("jane"), person("john"))
    with desk(vendor) as client, pytest.raises(PlanRefused, match="altered"):
        plan_erasure([email("jane")], [client]).apply([client], **QUICK)
    assert "jane" in vendor.contacts
    assert not list_runs()


def test_a_provider_that_ends_its_thread_ends_the_work() -> None:
    vendor = fake_vendor(person("jane"), person("john"))

    def lie(what: str, _: Any) -> None:
        if what == "delete":
            raise SystemExit

    vendor.lie = lie
    with desk(vendor) as client:
        done = plan_erasure([email("jane")], [client]).apply([client], **HASTY)
    assert (done.state, done.unknown) == ("incomplete", 1)
    assert len(vendor.sent("delete")) == 1


# -- plan files --------------------------------------------------------------------------------------------------------


def edited(plan: Plan, change: Callable[[Any], object]) -> Plan:
    data = document(plan)
    change(data)
    return Plan.parse(file_of(data))


def account(data: Any) -> Any:
    return data["accounts"][0]


EDITS: dict[str, Callable[[Any], object]] = {
    "an account twice": lambda d: d["accounts"].append(account(d)),
    "no account": lambda d: d["accounts"].clear(),
    "nobody": lambda d: d["people"].clear(),
    "a person twice": lambda d: d["people"].append(d["people"][0]),
    "a person with a huge number": lambda d: d["people"][0].update(number=2**60),
    "a person without identifiers": lambda d: d["people"].append({"number": 3}),
    "a person by id as well": lambda d: d["people"][0].update(contact="john"),
    "a blank identifier": lambda d: d["people"][0]["asked"].append({"kind": "email", "value": " "}),
    "no steps": lambda d: account(d)["steps"].clear(),
    "a huge step": lambda d: account(d)["steps"][0].update(count=10**12),
    "a step from behind": lambda d: account(d)["steps"][0].update(first=-1),
    "another number of a step": lambda d: account(d)["steps"][0].update(number=0),
    "another operation": lambda d: account(d)["steps"][0].update(operation="upsert_contacts"),
    "a contact twice": lambda d: account(d)["changes"].append(account(d)["changes"][0]),
    "a contact of nobody": lambda d: account(d)["changes"][0].update(people=[]),
    "a contact of somebody unknown": lambda d: account(d)["changes"][0].update(people=[9]),
    "a contact of somebody else": lambda d: account(d)["changes"][0].update(people=[2]),
    "takes something off": lambda d: account(d)["changes"][0].update(
        removes=[{"kind": "email", "value": "j@x.example"}]
    ),
    "another kind": lambda d: d.update(kind="remove-identifier"),
    "a list without a name": lambda d: d.update(kind="remove-from-list"),
    "a list of an erasure": lambda d: d.update(list_id="l1"),
    "another time": lambda d: d.update(made_at="0001-01-01T00:00:00+14:00"),
}


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS)
def test_a_plan_that_contradicts_itself_is_no_plan_whatever_its_checksum_says(change: Callable[[Any], object]) -> None:
    with desk(fake_vendor(person("jane"), person("john"))) as client:
        plan = plan_erasure([email("jane"), email("john")], [client], limits=ALL)
    assert edited(plan, lambda _: None) == plan
    with pytest.raises(PlanRefused, match="contradicts itself"):
        edited(plan, change)


def test_a_limit_given_as_a_whole_number_is_the_same_limit_when_the_plan_is_read(tmp_path: Path) -> None:
    with desk(fake_vendor(person("jane"), person("john"))) as client:
        plan = plan_erasure([email("jane")], [client], limits=SafetyLimits(share=1))
        plan.save(tmp_path / "plan.json")
        assert Plan.load(tmp_path / "plan.json").apply([client], **QUICK).complete


def test_what_happened_is_written_down_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise AssertionError("the database went away in between")

    monkeypatch.setattr(Journal, "ended", gone)
    journal = Journal(locate_storage())
    journal.note("run-1", "main", "read", {"round": 1})
    (event,) = journal.events("run-1")
    assert (event.body, event.ended_at is not None) == ({"round": 1}, True)


def test_ctrl_c_at_the_last_look_does_not_lose_the_receipt() -> None:
    def watch(progress: Sequence[Any]) -> None:
        if all(each.phase == "done" for each in progress):
            raise KeyboardInterrupt

    with desk(fake_vendor(person("jane"), person("john"))) as client:
        try:
            done = plan_erasure([email("jane")], [client]).apply([client], **QUICK, watch=watch)
        except RunStopped as stopped:  # between the account's end and the run's
            done = resume(stopped.run, [client])
        assert done.complete
