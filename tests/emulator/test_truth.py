"""The store behind an emulator, read and changed from outside."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from starlette.responses import Response

from contacts_core.emulator import Clock, Emulator, Faults, Incoming, Operation, Person, Truth
from tests.emulator.conftest import EMULATORS, Serve, Vendor
from tests.emulator.test_faults import member, page, read

NAMES = list(EMULATORS)
EMAIL, OTHER = ("email", "new@example.com"), ("email", "more@example.com")


class Silent(Emulator):
    """An emulator that answers, and does not tell the truth."""

    name = "silent"
    title = "Silent"

    def settings(self) -> dict[str, str]:
        return {}

    def populate(self, people: Iterable[Person]) -> None:
        pass

    def operations(self) -> Iterable[Operation]:
        return ()

    def authorize(self, incoming: Incoming) -> None:
        pass

    def error(self, status: int, message: str) -> Response:
        return Response(message, status)


def emulator_of(vendor: Vendor) -> Emulator:
    return vendor.running.sandbox.emulators[vendor.name]


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_is_what_the_vendor_answers(name: str, serve: Serve) -> None:
    vendor = serve(name, contacts=20)
    truth = emulator_of(vendor).truth()
    shown = page(vendor)
    for contact in shown:
        one = truth[contact["id"]]
        assert isinstance(one, Truth)
        assert all(value.rpartition("+")[2] in str(contact) for kind, value in one.identifiers if kind == "email")
        assert sorted(one.lists) == list(one.lists)
    assert len(truth) == 20
    assert len({one.digest for one in truth.values()}) == 20
    assert emulator_of(vendor).truth() == truth


@pytest.mark.parametrize("name", NAMES)
def test_any_write_shows_in_the_truth(name: str, serve: Serve) -> None:
    vendor = serve(name)
    emulator, contact_id = emulator_of(vendor), member(vendor)
    before = emulator.truth()
    emulator.clock.advance(60)
    email = next(value for kind, value in before[contact_id].identifiers if kind == "email")
    if name == "sendgrid":
        vendor.ok("PUT", "/contacts", json={"contacts": [{"email": email, "city": "Elsewhere"}]})
        assert emulator.truth() == before
        emulator.clock.advance(60)
    elif name == "bird":
        vendor.ok("PATCH", f"/contacts/{contact_id}", json={"attributes": {"city": "Elsewhere"}})
    else:
        vendor.ok("PUT", f"/contacts/{contact_id}", json={"location": "Elsewhere"})
    after = emulator.truth()
    changed = [one for one in before if before[one] != after[one]]
    assert len(changed) == 1
    assert before[changed[0]].identifiers == after[changed[0]].identifiers
    assert before[changed[0]].lists == after[changed[0]].lists


@pytest.mark.parametrize("name", NAMES)
def test_deleted_contacts_are_not_in_the_truth_while_reads_show_them(name: str, serve: Serve) -> None:
    vendor = serve(name)
    emulator, contact_id = emulator_of(vendor), member(vendor)
    vendor.faults.set("stale-reads", None)
    if name == "sendgrid":
        vendor.ok("DELETE", "/contacts", params={"ids": contact_id})
        emulator.clock.advance(35)
    else:
        vendor.ok("DELETE", f"/contacts/{contact_id}")
    assert read(vendor, contact_id)["id"] == contact_id
    assert contact_id not in emulator.truth()
    with pytest.raises(KeyError):
        emulator.mutate(contact_id, first_name="Nobody")
    with pytest.raises(KeyError):
        emulator.delete(contact_id)
    emulator.clock.advance(120)
    assert vendor("GET", f"/contacts/{contact_id}").status_code == 404


@pytest.mark.parametrize("name", NAMES)
def test_the_store_changes_behind_the_clients_back(name: str, serve: Serve) -> None:
    vendor = serve(name)
    emulator, contact_id = emulator_of(vendor), member(vendor)
    before = emulator.truth()
    emulator.mutate(contact_id, identifiers=[EMAIL, OTHER, ("phone", "+12025550143")], lists=[], first_name="Changed")
    one = emulator.truth()[contact_id]
    assert one.identifiers == (OTHER, EMAIL, ("phone", "+12025550143"))
    assert one.lists == ()
    answer = str(read(vendor, contact_id))
    assert all(text in answer for text in ("new@example.com", "2025550143", "Changed"))
    lists = before[contact_id].lists
    emulator.mutate(contact_id, lists=lists)
    assert emulator.truth()[contact_id].lists == lists
    assert emulator.truth()[contact_id].identifiers == one.identifiers
    created = emulator.create([("email", "created@example.com")])
    assert emulator.truth()[created].identifiers == (("email", "created@example.com"),)
    emulator.delete(created)
    assert created not in emulator.truth()
    assert vendor("GET", f"/contacts/{created}").status_code == 404
    others = [one for one in before if one != contact_id]
    assert all(before[one] == emulator.truth()[one] for one in others)


@pytest.mark.parametrize("name", NAMES)
def test_a_merge_keeps_one_id_and_the_other_person(name: str, serve: Serve) -> None:
    vendor = serve(name)
    emulator, survivor = emulator_of(vendor), member(vendor)
    before = emulator.truth()
    other = next(one for one in before.values() if one.id != survivor and one.lists != before[survivor].lists)
    emulator.merge(survivor, other.id)
    after = emulator.truth()
    assert before.keys() - after.keys() == {other.id}
    assert after[survivor].identifiers == other.identifiers
    assert after[survivor].lists == other.lists
    email = next(value for kind, value in other.identifiers if kind == "email")
    assert email in str(read(vendor, survivor))
    with pytest.raises(KeyError):
        emulator.merge(survivor, other.id)


@pytest.mark.parametrize("name", NAMES)
def test_kinds_that_a_vendor_does_not_have_are_refused(name: str, serve: Serve) -> None:
    vendor = serve(name)
    with pytest.raises(ValueError, match="kind nonsense"):
        emulator_of(vendor).mutate(member(vendor), identifiers=[("nonsense", "x")])


def test_other_identifiers_keep_the_vendors_key(bird: Vendor) -> None:
    emulator = emulator_of(bird)
    created = emulator.create([EMAIL, ("other:crm", "7")])
    body = {"identifier": {"key": "crm", "value": "7"}}
    assert [found["id"] for found in bird.ok("POST", "/contacts/search", json=body)["results"]] == [created]
    assert emulator.truth()[created].identifiers == (EMAIL, ("other:crm", "7"))


def test_an_emulator_need_not_tell_the_truth() -> None:
    emulator = Silent(clock=Clock(manual=True), faults=Faults())
    assert not emulator.tells_truth
    with pytest.raises(NotImplementedError, match="truth"):
        emulator.truth()
    emulator.shown(["1"])
