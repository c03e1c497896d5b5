"""What is peculiar to one vendor, on its emulator over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from attrs import evolve

from contacts_bird import Bird
from contacts_bird.emulator import BirdEmulator
from contacts_core import Contact, Contacts, F, Identifier, JobState, OutcomeState, errors
from contacts_core.emulator import Emulator, Running, Sandbox, running
from contacts_core.http.blocking import BlockingTransport
from contacts_core.models import Strategy
from contacts_sendgrid import SendGrid
from contacts_sendgrid.emulator import SendGridEmulator
from contacts_user_api import UserApi
from contacts_user_api.emulator import UserApiEmulator
from tests.providers.conftest import SEEN

KINDS: dict[str, tuple[type[Any], type[Emulator]]] = {
    "sendgrid": (SendGrid, SendGridEmulator),
    "bird": (Bird, BirdEmulator),
    "user-api": (UserApi, UserApiEmulator),
}


@contextmanager
def account(name: str, contacts: int = 0, **settings: Any) -> Iterator[tuple[Contacts[Any], Running]]:
    provider, emulator = KINDS[name]
    with ExitStack() as stack:
        served = stack.enter_context(running(Sandbox([emulator], contacts=contacts, manual=True, observer=SEEN.append)))
        made = provider(**served.settings(name), **settings)
        time = [0.0]

        def sleep(seconds: float) -> None:
            time[0] += seconds
            served.sandbox.clock.advance(seconds)

        transport = BlockingTransport(made, sleep=sleep, monotonic=lambda: time[0])
        yield stack.enter_context(Contacts(made, transport=transport)), served


def person(number: int, **changes: Any) -> Contact:
    given: dict[str, Any] = {"identifiers": (Identifier.email(f"p{number}@example.com"),), "first_name": f"P {number}"}
    return Contact(**given | changes)


def requests() -> list[str]:
    return [f"{exchange.method} {exchange.path}" for exchange in SEEN]


class TestSendGridImports:
    def test_more_than_one_request_takes_become_an_import_job_with_a_file(self) -> None:
        with account("sendgrid") as (client, _):
            newsletter = client.create_list("Newsletter").id
            people = (person(n, custom={"score": n, "nobody knows": 1}) for n in range(30_001))
            outcome = client.wait(client.upsert_contacts(people, lists=[newsletter]))
            assert (outcome.state, outcome.requested, outcome.succeeded_count) == (OutcomeState.DONE, 30_001, 30_001)
            assert outcome.dropped_fields == ("custom.nobody knows",)
            assert client.count() == 30_001
            assert requests().count("PUT /v3/marketing/contacts/imports") == 1
            assert requests().count("PUT /v3/marketing/contacts") == 0
            someone = Identifier.email("p30000@example.com")
            found = client.find([someone])[someone]
            assert found is not None
            assert (found.first_name, found.lists) == ("P 30000", (newsletter,))

    def test_custom_fields_and_every_identifier_survive_the_file(self) -> None:
        with account("sendgrid", contacts=1) as (client, _):
            whole = person(
                -1,
                identifiers=(
                    Identifier.email("whole@example.com"),
                    Identifier.phone("+1 (202) 555-0199"),
                    Identifier.external_id('a "quoted", id'),
                    Identifier.anonymous_id("anon-1"),
                ),
                last_name="line\nbreak",
                custom={"score": 7, "plan": "pro, plus"},
            )
            everyone = [whole, *(person(n) for n in range(30_000))]
            outcome = client.wait(client.upsert_contacts(everyone))
            assert (outcome.state, outcome.dropped_fields) == (OutcomeState.DONE, ())
            found = client.find(whole.identifiers)
            assert {found[i] is not None for i in whole.identifiers} == {True}
            stored = found[whole.identifiers[0]]
            assert stored is not None
            assert (stored.custom["score"], stored.custom["plan"]) == (7, "pro, plus")

    def test_large_bodies_become_an_import_too(self) -> None:
        with account("sendgrid") as (client, _):
            people = [person(n, last_name="x" * 50, address=None, extra={}) for n in range(29_000)]
            heavy = [
                Contact(
                    identifiers=(*p.identifiers, Identifier.external_id(f"{n}-" + "e" * 200)),
                    last_name=p.last_name,
                )
                for n, p in enumerate(people)
            ]
            assert client.wait(client.upsert_contacts(heavy)).succeeded_count == 29_000
            assert requests().count("PUT /v3/marketing/contacts/imports") == 1

    def test_one_bad_address_does_not_take_the_batch_with_it(self) -> None:
        with account("sendgrid") as (client, _):
            bad = [Contact(identifiers=(Identifier.email("no address"),)), Contact(first_name="Nobody")]
            outcome = client.wait(client.upsert_contacts([person(1), *bad, person(2)]))
            assert (outcome.state, outcome.succeeded_count, len(outcome.failed)) == (OutcomeState.PARTIAL, 2, 2)
            assert client.count() == 2

    def test_rows_that_fail_inside_the_job_are_counted(self) -> None:
        with account("sendgrid") as (client, _):
            one, two = Identifier.external_id("1"), Identifier.external_id("2")
            client.wait(client.upsert_contacts([person(1, identifiers=(one,)), person(2, identifiers=(two,))]))
            both = Contact(identifiers=(one, two))
            assert client.wait(client.upsert_contacts([both])).succeeded_count <= 1


class TestSendGridExports:
    @pytest.mark.parametrize("export_format", ["csv", "json"])
    @pytest.mark.parametrize("packing", ["gzip", "plain", "content-encoding"])
    @pytest.mark.parametrize("part_bytes", [None, 4_000])
    def test_every_packing_gives_the_same_people(
        self, export_format: str, packing: str, part_bytes: int | None
    ) -> None:
        with account("sendgrid", contacts=60, export_format=export_format) as (client, served):
            jobs: Any = served.sandbox.emulators["sendgrid"].jobs  # type: ignore[attr-defined]
            jobs.packing = packing
            if part_bytes:
                jobs.part_bytes = part_bytes
            exported = {contact.id: contact for contact in client.export()}
            assert len(exported) == 60
            read = client.get_contacts(exported)
            for contact_id, contact in read.items():
                assert contact is not None
                assert set(contact.identifiers) == set(exported[contact_id].identifiers)
                assert exported[contact_id].custom.keys() == contact.custom.keys()
                assert exported[contact_id].first_name == contact.first_name

    def test_no_file_is_fetched_with_the_key(self) -> None:
        with account("sendgrid", contacts=5) as (client, _):
            assert len(list(client.export())) == 5
            files = [exchange for exchange in SEEN if "/files/" in exchange.path]
            assert files
            assert [exchange.headers.get("authorization") for exchange in files] == [None] * len(files)

    def test_a_failed_export_says_so(self) -> None:
        with account("sendgrid", contacts=5) as (client, served):
            served.sandbox.faults.set("job-fails", 1)
            with pytest.raises(errors.JobFailed) as raised:
                list(client.export())
            assert raised.value.job.state is JobState.FAILED

    def test_an_export_that_never_ends_is_given_up_with_its_job(self) -> None:
        with account("sendgrid", contacts=5) as (client, served):
            served.sandbox.faults.set("job-never-ends", 1)
            with pytest.raises(errors.JobTimeout) as raised:
                list(client.export())
            assert raised.value.job.state is JobState.PENDING

    def test_a_file_larger_than_the_limit_is_not_read_to_its_end(self) -> None:
        with (
            account("sendgrid", contacts=60, max_download=1_000) as (client, _),
            pytest.raises(errors.UnexpectedPayload, match="larger than 1000 bytes"),
        ):
            list(client.export())


class TestSendGridSearch:
    def test_a_sample_is_not_taken_for_all(self) -> None:
        with account("sendgrid", contacts=80) as (client, _):
            everyone = F.email.contains("@example.")
            assert client.explain(everyone).strategy is Strategy.NATIVE
            with pytest.raises(errors.IncompleteSearch) as raised:
                list(client.search(everyone))
            assert (len(raised.value.found), raised.value.total) == (50, 80)
            assert len(list(client.search(everyone, scan=True))) == 80

    def test_every_address_looked_up_in_hundreds(self) -> None:
        with account("sendgrid", contacts=250) as (client, _):
            addresses = [i for contact in client.export() for i in contact.identifiers if i.key == "email"]
            SEEN.clear()
            found = client.find(addresses)
            assert all(found.values())
            assert requests() == ["POST /v3/marketing/contacts/search/emails"] * 3


class TestBirdIdentifiers:
    def test_what_answers_show_in_part_is_completed(self) -> None:
        with account("bird", contacts=40) as (client, _):
            exported = list(client.export())
            assert any("/identifiers" in line for line in requests())
            for contact in exported:
                assert set(contact.identifiers) >= set(client.get_contacts([contact.id])[contact.id].identifiers)  # type: ignore[union-attr]

    def test_an_address_with_a_plus_goes_through_the_path(self) -> None:
        with account("bird") as (client, _):
            plus = Identifier.email("a+b@example.com")
            for title in ("first", "second"):
                assert client.upsert_contacts([person(1, identifiers=(plus,), first_name=title)]).succeeded_count == 1
            found = client.find([plus])[plus]
            assert found is not None
            assert found.first_name == "second"
            assert client.count() == 1

    def test_a_contact_without_identifiers_is_created_by_name(self) -> None:
        with account("bird") as (client, _):
            outcome = client.upsert_contacts([Contact(first_name="Only", last_name="A Name")])
            assert outcome.state is OutcomeState.DONE
            assert [contact.name for contact in client.export()] == ["Only A Name"]

    def test_a_contact_goes_on_more_lists_than_one_request_takes_and_stops_nobody_else(self) -> None:
        with account("bird") as (client, served):
            lists = [client.create_list(f"List {n}").id for n in range(23)]
            people = [person(n, lists=tuple(lists) if n == 1 else ()) for n in range(3)]
            outcome = client.upsert_contacts(people)
            assert (outcome.state, outcome.succeeded_count, outcome.dropped_fields) == (OutcomeState.DONE, 3, ())
            someone = client.find([Identifier.email("p1@example.com")])[Identifier.email("p1@example.com")]
            assert someone is not None
            truth = served.sandbox.emulators["bird"].truth()
            assert {i: len(each.lists) for i, each in truth.items() if each.lists} == {someone.id: 23}
            again = [person(1, provider="bird", id=someone.id), person(2)]
            assert client.upsert_contacts(again, lists=lists).succeeded_count == 2
            truth = served.sandbox.emulators["bird"].truth()
            assert sorted(len(each.lists) for each in truth.values()) == [0, 23, 23]

    def test_bird_has_no_way_to_export_but_pages_of_a_hundred(self) -> None:
        with account("bird", contacts=250) as (client, _):
            assert len(list(client.export())) == 250
            assert sum(line.endswith("/contacts") for line in requests()) == 3


class TestUserApi:
    def test_many_identifiers_are_found_in_one_pass(self) -> None:
        with account("user-api", contacts=230) as (client, _):
            addresses = [contact.identifiers[0] for contact in client.export()]
            SEEN.clear()
            assert all(client.find(addresses).values())
            assert len(SEEN) == 3

    def test_two_contacts_with_one_address_are_both_found(self) -> None:
        with account("user-api") as (client, _):
            shared = Identifier.email("shared@example.com")
            for name in ("One", "Two"):
                body = {"first_name": name, "emails": ["shared@example.com"]}
                client.request("POST", "/user-api/v1/contacts", json=body)
            found = client.find([shared])
            assert {contact.first_name for contact in found.get_all(shared)} == {"One", "Two"}

    def test_lists_cannot_be_deleted(self) -> None:
        with account("user-api", contacts=1) as (client, _):
            with pytest.raises(errors.UnsupportedOperation):
                client.delete_list(client.lists()[0].id)
            assert not any(line.startswith("DELETE") for line in requests())

    def test_options_are_written_by_id_and_read_by_value(self) -> None:
        with account("user-api", contacts=1) as (client, _):
            stage = next(each for each in client.custom_fields() if each.options)
            outcome = client.upsert_contacts([person(1, custom={stage.name: stage.options[1], "score": 5})])
            assert (outcome.state, outcome.dropped_fields) == (OutcomeState.DONE, ())
            wanted = Identifier.email("p1@example.com")
            found = client.find([wanted])[wanted]
            assert found is not None
            assert found.custom == {stage.name: stage.options[1], "score": 5}


@pytest.mark.parametrize("name", KINDS)
def test_a_contact_moves_to_another_vendor_and_what_is_lost_is_named(name: str) -> None:
    with account("user-api", contacts=20) as (source, _), account(name) as (target, _):
        # Ids of lists mean nothing in another account, though it is one of the same vendor.
        people = [evolve(contact, lists=None) for contact in source.export()]
        outcome = target.wait(target.upsert_contacts(people))
        assert outcome.state is OutcomeState.DONE
        assert outcome.succeeded_count == 20
        arrived = target.find([contact.identifiers[0] for contact in people])
        for contact in people:
            there = arrived[contact.identifiers[0]]
            assert there is not None
            assert set(contact.identifiers) <= set(there.identifiers)
            assert contact.first_name == there.first_name
        if name != "user-api":
            assert {"extra.companies", "extra.relations", "tags"} <= set(outcome.dropped_fields)
            assert not {"email", "phone"} & set(outcome.dropped_fields)


def test_an_id_of_another_workspace_overwrites_nobody() -> None:
    with account("user-api", contacts=3) as (source, _), account("user-api") as (target, _):
        theirs = Identifier.email("theirs@example.com")
        target.upsert_contacts([person(1, identifiers=(theirs,))])
        there = target.find([theirs])[theirs]
        assert there is not None
        ours = next(source.export())
        assert ours.id == there.id, "both workspaces count their ids up from the same number"
        outcome = target.upsert_contacts([ours])
        assert outcome.state is OutcomeState.FAILED
        assert "another account" in outcome.failed[0].reason
        assert list(target.export()) == [there]


@pytest.mark.parametrize("name", KINDS)
def test_a_raw_call_has_the_key_and_stays_at_home(name: str) -> None:
    paths = {
        "sendgrid": "/v3/marketing/contacts/count",
        "bird": "/workspaces/00000000-0000-4000-8000-000000000001/contacts",
        "user-api": "/user-api/v1/contacts",
    }
    with account(name, contacts=3) as (client, _):
        assert client.request("get", paths[name])
        for wrong in ("https://elsewhere.example/x", "//elsewhere.example", "/../x", "x", "/a\\b"):
            with pytest.raises(errors.InvalidInput):
                client.request("GET", wrong)
        with pytest.raises(errors.NotFound if name != "bird" else errors.Unauthenticated):
            client.request("GET", paths[name] + "-nothing-here")
        SEEN.clear()  # no document has that path


@pytest.mark.parametrize("name", KINDS)
def test_an_empty_account_answers_everything(name: str) -> None:
    with account(name) as (client, _):
        nobody = Identifier.email("nobody@example.com")
        assert list(client.export()) == []
        assert client.count() == 0
        assert list(client.search(F.email == "nobody@example.com")) == []
        assert client.find([nobody])[nobody] is None
        assert client.delete_all_contacts(confirm=name).failed == ()


@pytest.mark.parametrize(("name", "told"), [("sendgrid", " user 180001"), ("bird", ""), ("user-api", " user ")])
def test_an_account_is_named_without_its_key(name: str, told: str) -> None:
    with account(name) as (client, served):
        named = client.run(client.provider.account_id())
        assert named.startswith(served.settings(name)["base_url"])
        assert told in named
        secrets = [value for key, value in served.settings(name).items() if key.endswith("key")]
        assert not any(secret in named for secret in secrets)
        assert client.run(client.provider.account_id()) == named


UNSENDABLE: list[dict[str, Any]] = [
    {"first_name": "half \ud83d"},
    {"identifiers": (Identifier.email("p\ud83d@example.com"),)},
    {"custom": {"score": float("nan")}},
    {"custom": {"score": float("-inf")}},
    {"custom": {"score": object()}},
    {"custom": {"\ud83d": 1}},
    {"tags": ("\udc00",)},
]


@pytest.mark.parametrize("vendor", sorted(KINDS))
@pytest.mark.parametrize("odd", UNSENDABLE, ids=range(len(UNSENDABLE)))
def test_a_contact_that_no_json_can_hold_is_named_and_stops_nobody_else(vendor: str, odd: dict[str, Any]) -> None:
    with account(vendor) as (client, _):
        outcome = client.wait(client.upsert_contacts([person(n, **(odd if n == 1 else {})) for n in range(4)]))
        assert (outcome.requested, outcome.succeeded_count, len(outcome.failed)) == (4, 3, 1)
        assert outcome.failed[0].reason.startswith("not sent: row 2 holds ")
        assert client.count() == 3


def test_a_number_that_no_float_holds_is_refused_not_a_fault_of_the_emulator() -> None:
    with account("sendgrid") as (client, served):
        field = served.sandbox.emulators["sendgrid"].settings() and client.custom_fields()[0].name
        client.upsert_contacts([person(1, custom={field: 10**400})])
        assert served.sandbox.crashes == []
