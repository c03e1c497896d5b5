"""Making a plan: who is found, why, at what cost; and that it changes nothing."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts_core import AsyncContacts, Contact, Contacts, Identifier
from contacts_core.errors import InvalidInput, PlanRefused, Unauthenticated, UnexpectedPayload, UnsupportedOperation
from contacts_core.models import Outcome
from contacts_core.plans import (
    Change,
    IdentifierExpansion,
    Plan,
    SafetyLimits,
    plan_deletion,
    plan_deletion_async,
    plan_erasure,
    plan_erasure_async,
    plan_identifier_removal,
    plan_identifier_removal_async,
    plan_list_removal,
    plan_list_removal_async,
    replan,
    replan_async,
)
from contacts_core.plans.change_operations import operation_of
from contacts_core.plans.execution import attempts
from contacts_core.plans.kinds import kind_of
from contacts_core.plans.planning.planner import cut_steps
from contacts_core.provider import (
    DeletesContacts,
    Emit,
    Exports,
    Flow,
    GetsContacts,
    Provider,
    Request,
    Stream,
    hookimpl,
)
from contacts_core.testing.memory import MemoryProvider, Store
from tests.plans.environment import CHANGING, Environment
from tests.plans.plan_files import document, file_of, flipped
from tests.plans.small_plans import CASES, Case, open_world

ALL = SafetyLimits(contacts=100_000, share=1)
READS = ("/search", "/batch", "/exports")  # what is sent by POST and only reads


def only_read(environment: Environment) -> bool:
    return all(e.method not in CHANGING or any(path in e.path for path in READS) for e in environment.seen)


class TestLocating:
    def test_a_person_is_found_everywhere_and_nothing_is_changed(self, environment: Environment) -> None:
        before = environment.everyone()
        (email,) = environment.emails(1)
        environment.seen.clear()
        plan = plan_erasure([email], environment.accounts)
        assert plan.kind == "erase"
        assert only_read(environment)
        assert environment.everyone() == before
        for part in plan.accounts:
            (target,) = part.changes
            assert email in before[part.account][target.contact].identifiers
            assert target.reason == f"has {email.masked}, as asked"
            assert (target.people, len(part.steps), part.steps[0].idempotent) == ((1,), 1, True)
            assert part.residual_data
            assert part.read == ("scan" if part.account == "user-api" else "look-up")
        assert plan.contacts == 3
        assert plan.requests == 6, "each is read before it is deleted"
        assert len({part.account_id for part in plan.accounts}) == 3

    def test_any_spelling_and_any_kind_of_identifier_will_do(self, environment: Environment) -> None:
        everyone = environment.everyone()["sendgrid"].values()
        wanted = next(c for c in everyone if c.phone and c.email)
        assert wanted.email
        assert wanted.phone
        asked = [Identifier.email(f" {wanted.email.upper()} "), Identifier.phone(wanted.phone)]
        plan = plan_erasure([asked], environment.accounts)
        assert [len(part.changes) for part in plan.accounts] == [1, 1, 1]
        assert len(plan.people) == 1

    def test_nobody_is_a_plan_without_work(self, environment: Environment) -> None:
        plan = plan_erasure([Identifier.email("nobody@example.com")], environment.accounts)
        assert (plan.contacts, plan.requests, plan.seconds) == (0, 0, 0.0)
        assert len(plan.people) == 1

    def test_contacts_that_share_an_address_are_all_found(self, environment: Environment) -> None:
        twin = Identifier.email("twin@example.com")
        client = environment.clients["user-api"]
        for name in ("One", "Two"):
            client.request("POST", "/contacts", json={"first_name": name, "emails": [{"email_address": twin.value}]})
        plan = plan_erasure([twin], [client])
        assert len(plan.accounts[0].changes) == 2

    def test_one_contact_of_two_people_is_touched_once(self, environment: Environment) -> None:
        wanted = next(c for c in environment.everyone()["sendgrid"].values() if c.phone and c.email)
        people = [Identifier.email(wanted.email or ""), Identifier.phone(wanted.phone or "")]
        plan = plan_erasure(people, [environment.clients["sendgrid"]])
        (target,) = plan.accounts[0].changes
        assert target.people == (1, 2)
        assert len(plan.people) == 2

    def test_a_wrong_key_makes_no_plan(self, environment: Environment) -> None:
        good = environment.clients["sendgrid"].provider
        with Contacts(evolve(good, api_key="SG.wrong"), name="sendgrid") as client, pytest.raises(Unauthenticated):
            plan_erasure([Identifier.email("a@example.com")], [client])

    @pytest.mark.parametrize(
        ("people", "accounts", "words"),
        [
            ([], ["acme"], "no people given"),
            ([Identifier.email(" ")], ["acme"], "blank"),
            ([[]], ["acme"], "no identifier"),
            ([Identifier.email("a@example.com")], [], "no account"),
            (Identifier.email("a@example.com"), ["acme"], "expected a list of people"),
            ([Identifier.email("a@example.com")], "acme", "expected a list of accounts"),
        ],
    )
    def test_what_asks_for_nothing_is_refused(
        self, environment: Environment, people: Any, accounts: Any, words: str
    ) -> None:
        clients = [environment.clients["bird"]] if isinstance(accounts, list) and accounts else accounts
        with pytest.raises(InvalidInput, match=words):
            plan_erasure(people, clients)

    def test_an_account_named_twice_is_refused(self, environment: Environment) -> None:
        with pytest.raises(InvalidInput, match="twice"):
            plan_erasure(
                [Identifier.email("a@example.com")], [environment.clients["bird"], environment.clients["bird"]]
            )


class TestFollowing:
    @pytest.fixture
    def chain(self, environment: Environment) -> list[Identifier]:
        """Three contacts, each of which shares an address or a number with the next."""
        first, second, third = (Identifier.email(f"link{n}@example.com") for n in (1, 2, 3))
        phone = Identifier.phone("+12025550150")
        client = environment.clients["user-api"]
        for emails, phones in (([first, second], []), ([second], [phone]), ([third], [phone])):
            client.request(
                "POST",
                "/contacts",
                json={
                    "first_name": "Link",
                    "emails": [{"email_address": e.value} for e in emails],
                    "phone_numbers": [{"phone_number": p.value[2:], "country_code": "+1"} for p in phones],
                },
            )
        return [first, second, phone, third]

    @pytest.mark.parametrize(
        ("follow", "contacts"),
        [(IdentifierExpansion.NO, 1), (IdentifierExpansion.ONCE, 2), (IdentifierExpansion.ALL, 3)],
    )
    def test_as_far_as_was_asked(
        self, environment: Environment, chain: list[Identifier], follow: IdentifierExpansion, contacts: int
    ) -> None:
        plan = plan_erasure([chain[0]], [environment.clients["user-api"]], follow=follow)
        assert len(plan.accounts[0].changes) == contacts
        reached = {i for person in plan.people for i in person.identifiers}
        assert reached == set(
            chain[: {IdentifierExpansion.NO: 1, IdentifierExpansion.ONCE: 2, IdentifierExpansion.ALL: 4}[follow]]
        )
        assert all(target.people == (1,) for target in plan.accounts[0].changes)

    def test_without_it_the_plan_says_what_it_would_look_for(
        self, environment: Environment, chain: list[Identifier]
    ) -> None:
        plan = plan_erasure([chain[0]], [environment.clients["user-api"]])
        assert [(s.identifier, s.person, s.account) for s in plan.suggestions] == [(chain[1], 1, "user-api")]
        assert (
            plan_erasure([chain[0]], [environment.clients["user-api"]], follow=IdentifierExpansion.ALL).suggestions
            == ()
        )

    def test_the_reason_names_what_led_there(self, environment: Environment, chain: list[Identifier]) -> None:
        plan = plan_erasure([chain[0]], [environment.clients["user-api"]], follow=IdentifierExpansion.ONCE)
        first, second = plan.accounts[0].changes
        assert second.reason == f"has {chain[1].masked}, as contact {first.contact} of user-api does"

    def test_what_one_vendor_tells_is_followed_at_the_others(self, environment: Environment) -> None:
        wanted = next(c for c in environment.everyone()["bird"].values() if c.phone and c.email)
        stranger = Identifier.email("other-address@example.com")
        environment.clients["user-api"].request(
            "POST",
            "/contacts",
            json={
                "first_name": "Same",
                "emails": [{"email_address": stranger.value}],
                "phone_numbers": [{"phone_number": wanted.phone, "country_code": ""}],
            },
        )
        plan = plan_erasure(
            [Identifier.email(wanted.email or "")], environment.accounts, follow=IdentifierExpansion.ONCE
        )
        assert len(plan.by_account["user-api"].changes) == 2


class TestLimits:
    def test_a_number(self, environment: Environment) -> None:
        with pytest.raises(PlanRefused, match="more than the limit of 2") as caught:
            plan_erasure(environment.emails(3), environment.accounts, limits=SafetyLimits(contacts=2))
        assert "contacts=3" in caught.value.hint

    @pytest.mark.parametrize("share", [0.2, 0.24])
    def test_a_share(self, environment: Environment, share: float) -> None:
        with pytest.raises(PlanRefused, match=r"3 of 12 contacts .*more than the limit of 2") as caught:
            plan_erasure(environment.emails(3), environment.accounts, limits=SafetyLimits(share=share, floor=0))
        assert "share=0.25" in caught.value.hint

    def test_raised_by_name_it_is_made(self, environment: Environment) -> None:
        plan = plan_erasure(environment.emails(3), environment.accounts, limits=SafetyLimits(share=0.25, floor=0))
        assert [part.size for part in plan.accounts] == [12, 12, 12]

    def test_small_accounts_have_a_floor_and_are_not_even_counted(self, environment: Environment) -> None:
        people = environment.emails(12)
        environment.seen.clear()
        plan = plan_erasure(people, environment.accounts)
        assert len(plan.accounts[0].changes) == 12
        assert plan.accounts[0].size is None
        assert not any("count" in exchange.path for exchange in environment.seen)

    def test_who_cannot_count_is_not_trusted_with_a_share(self) -> None:
        client = listed([Contact(id=f"c{n}", identifiers=(Identifier.email(f"p{n}@example.com"),)) for n in range(30)])
        people = [Identifier.email(f"p{n}@example.com") for n in range(21)]
        with pytest.raises(PlanRefused, match="cannot count its contacts"):
            plan_erasure(people, [client])
        assert plan_erasure(people, [client], limits=SafetyLimits(share=1)).contacts == 21

    def test_an_account_that_was_not_read_to_its_end_has_no_plan(self, environment: Environment) -> None:
        people = environment.emails(1)
        environment.sandbox.faults.set("wrong-json", None)
        with pytest.raises(UnexpectedPayload):
            plan_erasure(people, environment.accounts)

    def test_an_export_that_ended_early_makes_it_impossible(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from contacts_core.errors import IncompleteExport

        client = listed([Contact(id="c1")], fails=IncompleteExport(1, 2))
        with pytest.raises(PlanRefused, match="not read completely"):
            plan_erasure([Identifier.email("a@example.com")], [client])


class TestCost:
    @pytest.mark.parametrize("count", [1, 99, 100, 101, 10_000])
    @pytest.mark.parametrize("name", ["sendgrid", "bird", "user-api"])
    def test_no_more_requests_than_the_vendor_needs(self, environment: Environment, name: str, count: int) -> None:
        provider = environment.clients[name].provider
        changes = [deletion(n, Identifier.email(f"p{n}@example.com")) for n in range(count)]
        steps, seconds = cut_steps(operation_of("delete_contacts"), provider, changes)
        bound = {"sendgrid": ceil(count / 100)}.get(name, count)  # the others delete one at a time
        assert sum(step.requests for step in steps) == 2 * bound, "a read before each deletion, and no more"
        assert [n for step in steps for n in range(step.first, step.first + step.count)] == list(range(count))
        assert [step.number for step in steps] == list(range(1, len(steps) + 1))
        rate = provider.rate_limits.get("")  # bird's reads are the slower half: they have a rate of their own
        in_lane = bound if name == "bird" else 2 * bound
        assert seconds == ((in_lane - 1) // rate.limit * rate.seconds if rate else 0)

    @pytest.mark.parametrize("name", ["sendgrid", "bird", "user-api"])
    def test_what_a_plan_says_it_costs_is_what_is_sent(self, environment: Environment, name: str) -> None:
        client = environment.clients[name]
        lists = {each.id: list(client.export(lists=[each.id])) for each in client.lists()}
        list_id, on_list = next((one, members) for one, members in lists.items() if len(members) > 1)
        phone = next(c.phone for c in client.export() if c.phone)
        plans: list[Callable[[], Plan]] = [
            lambda: plan_identifier_removal([Identifier.phone(phone)], [client]),
            lambda: plan_list_removal(client, list_id, ids=[contact.id for contact in on_list]),
            lambda: plan_deletion(client, ids=[contact.id for contact in on_list]),
        ]
        for make in plans:
            plan = make()  # only now: who is changed by the plan before is left alone
            environment.seen.clear()
            (part,) = plan.accounts
            client.run(attempts.act(kind_of(plan.kind).changes_by, part.changes, client.provider))
            completed = sum(e.method == "GET" and e.path.endswith("/identifiers") for e in environment.seen)
            if plan.kind == "remove-identifier" and name == "bird":
                completed -= 1  # bird reads them to remove one
            assert len(environment.seen) - completed == plan.requests, plan

    def test_the_least_time_follows_from_the_rate(self, environment: Environment) -> None:
        provider = environment.clients["bird"].provider
        changes = [deletion(n) for n in range(1001)]
        assert cut_steps(operation_of("delete_contacts"), provider, changes)[1] == 20.0  # 1001 reads, 50 in a second
        phone = Identifier.phone("+12025550123")
        numbers = [evolve(deletion(n, phone), operation="remove_identifier", removes=(phone,)) for n in range(101)]
        seconds = cut_steps(operation_of("remove_identifier"), provider, numbers)[1]
        assert seconds == 4.0  # each is read twice, 50 in a second


class TestOtherPlans:
    def test_delete_by_id_and_by_identifier(self, environment: Environment) -> None:
        client = environment.clients["bird"]
        one, two, *_ = [c for c in client.export() if c.email]
        plan = plan_deletion(client, [Identifier.email(two.email or "")], ids=[one.id])
        assert {t.contact: t.reason for t in plan.accounts[0].changes} == {
            one.id: "its id was given",
            two.id: f"has {Identifier.email(two.email or '').masked}, as asked",
        }

    @pytest.mark.parametrize("name", ["sendgrid", "bird", "user-api"])
    def test_an_id_that_nobody_has_is_nobody(self, environment: Environment, name: str) -> None:
        client = environment.clients[name]
        unknown = "contact_999999" if name == "user-api" else "00000000-0000-4000-8000-000000000000"
        assert plan_deletion(client, ids=[unknown]).contacts == 0

    def test_an_id_that_could_be_none_is_refused_before_anything_is_asked(self, environment: Environment) -> None:
        with pytest.raises(InvalidInput, match="not sent to bird"):
            plan_deletion(environment.clients["bird"], ids=["../contacts"])
        with pytest.raises(InvalidInput, match="expected a list of ids, got a str"):
            plan_deletion(environment.clients["bird"], ids="abc")
        assert environment.seen == []

    def test_remove_identifier_keeps_the_contact(self, environment: Environment) -> None:
        phone = next(Identifier.phone(c.phone) for c in environment.everyone()["bird"].values() if c.phone)
        plan = plan_identifier_removal([phone], environment.accounts)
        for part in plan.accounts:
            (target,) = part.changes
            assert target.removes == (phone,)
            assert part.residual_data == {}
            assert part.emulated is (part.account == "user-api")

    def test_asking_again_gives_the_same(self, environment: Environment) -> None:
        plan = plan_erasure(environment.emails(2), environment.accounts, follow=IdentifierExpansion.ALL)
        fresh = replan(plan, environment.accounts)
        assert evolve(fresh, made_at=plan.made_at).summed() == plan

    def test_awaited_they_are_the_same(self, environment: Environment) -> None:
        emails = environment.emails(2)
        list_id = environment.clients["bird"].lists()[0].id

        async def made() -> list[Plan]:
            clients = [AsyncContacts(client.provider, name=name) for name, client in environment.clients.items()]
            bird = clients[0]
            try:
                first = await plan_erasure_async(emails, clients)
                return [
                    first,
                    await replan_async(first, clients),
                    await plan_deletion_async(bird, emails),
                    await plan_identifier_removal_async(emails, clients),
                    await plan_list_removal_async(bird, list_id, emails),
                ]
            finally:
                for client in clients:
                    await client.close()

        bird = environment.clients["bird"]
        blocking = [
            plan_erasure(emails, environment.accounts),
            plan_erasure(emails, environment.accounts),
            plan_deletion(bird, emails),
            plan_identifier_removal(emails, environment.accounts),
            plan_list_removal(bird, list_id, emails),
        ]
        same = datetime(2026, 1, 1, tzinfo=UTC)
        assert [evolve(plan, made_at=same).summed() for plan in asyncio.run(made())] == [
            evolve(plan, made_at=same).summed() for plan in blocking
        ]


DISTANCE = 101  # bits between two that are changed; a prime, so that each bit of a byte has its turn


def refused_or_same(changed: bytes, whole: bytes) -> bool:
    """Whether a changed plan is refused; or read as the same, for white space may differ."""
    try:
        plan = Plan.parse(changed)
    except PlanRefused:
        return True
    return plan.text.encode() == whole


class TestSaving:
    def test_it_comes_back_and_only_its_owner_can_read_it(self, environment: Environment, tmp_path: Path) -> None:
        plan = plan_erasure(environment.emails(2), environment.accounts, follow=IdentifierExpansion.ONCE)
        path = tmp_path / "plan.jsonl"
        path.write_text("something older, for all to read")
        path.chmod(0o644)
        plan.save(path)
        assert Plan.load(path) == plan
        assert Plan.load(path).text == plan.text
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_who_it_is_about_does_not_show(self, environment: Environment) -> None:
        (email,) = environment.emails(1)
        plan = plan_erasure([email], environment.accounts)
        assert email.value not in repr(plan) + repr(plan.accounts) + repr(plan.people)

    @settings(deadline=None)
    @given(place=st.integers(min_value=0), bit=st.integers(0, 7))
    def test_whatever_is_altered_is_noticed(self, place: int, bit: int) -> None:
        client = listed([Contact(id="c1", identifiers=(Identifier.email("a@example.com"),))])
        whole = plan_erasure([Identifier.email("a@example.com")], [client]).text.encode()
        changed = bytearray(whole)
        changed[place % len(whole)] ^= 1 << bit
        assert refused_or_same(bytes(changed), whole)

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_a_wrong_bit_in_a_plan_of_any_kind_is_noticed(self, case: Case, tmp_path: Path) -> None:
        with open_world(tmp_path) as world:
            whole = case.plan(world).text.encode()
        assert Plan.parse(whole).text.encode() == whole
        # Each case begins at another byte.
        tried = [*islice(flipped(whole), 8 * CASES.index(case) + 1, None, DISTANCE)]
        assert len(tried) > 100
        assert [changed for changed in tried if not refused_or_same(changed, whole)] == []

    @pytest.mark.parametrize(
        "text", ["", "[]", "{}", '{"format": 1}', '{"format": 2}', "{\n", '{"type": "plan", "format": 2}', "nonsense"]
    )
    def test_what_is_no_plan_is_refused(self, text: str) -> None:
        with pytest.raises(PlanRefused):
            Plan.parse(text)

    @pytest.mark.parametrize("indent", [None, 2])
    @pytest.mark.parametrize("number", [1, 2])
    def test_plans_of_earlier_formats_are_refused_with_what_to_do(self, number: int, indent: int | None) -> None:
        earlier = json.dumps({"kind": "erase", "people": [], "accounts": [], "format": number}, indent=indent)
        with pytest.raises(PlanRefused, match="not a plan, or one of another version") as caught:
            Plan.parse(earlier)
        assert caught.value.hint.startswith("make a new plan: plans of earlier versions are one JSON document")

    def test_a_plan_of_a_later_format_says_so(self) -> None:
        with pytest.raises(PlanRefused, match="this plan has format 4") as caught:
            Plan.parse('{"type": "plan", "format": 4}\n')
        assert caught.value.hint.startswith("upgrade contacts-core")

    def test_a_plan_of_the_right_sum_and_the_wrong_shape_is_refused(self) -> None:
        client = listed([Contact(id="c1", identifiers=(Identifier.email("a@example.com"),))])
        whole = document(plan_erasure([Identifier.email("a@example.com")], [client]))
        with pytest.raises(PlanRefused, match="no such kind"):
            Plan.parse(file_of({**whole, "kind": "burn"}))
        for wrong in ({"made_at": 5}, {"limits": None}, {"more": 1}, {"follow": "some"}):
            with pytest.raises(PlanRefused, match="this is not a plan"):
                Plan.parse(file_of({**whole, **wrong}))


class TestHooks:
    def test_each_plan_is_told_of_once(self, environment: Environment, register: Callable[[object], None]) -> None:
        seen: list[Plan] = []

        class Watcher:
            @hookimpl
            def contacts_plan_created(self, plan: Plan) -> None:
                seen.append(plan)

        register(Watcher())
        plan = plan_erasure(environment.emails(1), environment.accounts)
        assert seen == [plan]

    def test_one_that_fails_does_not_matter(
        self, environment: Environment, register: Callable[[object], None], caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken:
            @hookimpl
            def contacts_plan_created(self) -> None:
                raise ValueError("jane@example.com")

        register(Broken())
        assert plan_erasure(environment.emails(1), environment.accounts).contacts == 3
        assert "plugin Broken failed" in caplog.text
        assert "jane@" not in caplog.text


def deletion(number: int, *identifiers: Identifier) -> Change:
    """The deletion of a contact that belongs to the person of this number."""
    return Change("delete_contacts", f"id{number}", identifiers, (number,), "")


def listed(contacts: list[Contact], fails: Exception | None = None) -> Contacts[Any]:
    """A vendor that can only list and delete, and cannot count."""

    class Listed(DeletesContacts, Exports):
        name = "listed"

        def contacts(self, list_id: str | None) -> Stream[Contact]:
            yield Emit(contacts)
            if fails:
                raise fails

        def delete_contacts(self, ids: Any) -> Flow[Outcome]:
            yield from Request("DELETE", "/c", type(None))
            return Outcome(operation="delete_contacts")

    return Contacts(Listed(base_url="http://127.0.0.1:1"))


@pytest.mark.parametrize("kind", ["erase", "remove-identifier", "remove-from-list"])
def test_a_provider_that_acts_without_asking_anybody_is_left_alone_too(kind: str) -> None:
    people = [Contact(id=f"m{n}", identifiers=(Identifier.email(f"p{n}@example.com"),), lists=("l1",)) for n in (1, 2)]
    store = Store(contacts={contact.id: contact for contact in people}, lists={"l1": "Newsletter"})
    before = dict(store.contacts)
    email = people[0].identifiers[0]
    with Contacts(MemoryProvider(store=store)) as client:
        match kind:
            case "erase":
                plan = plan_erasure([email], [client])
            case "remove-identifier":
                plan = plan_identifier_removal([email], [client])
            case _:
                plan = plan_list_removal(client, "l1", [email])
        assert plan.contacts == 1
        assert store.contacts == before
        assert plan.apply([client], pause=0.01, timeout=1).complete
    assert store.contacts != before
    assert store.contacts["m2"] == before["m2"]


def test_a_vendor_that_only_lists_is_verified_by_listing() -> None:
    people = {f"c{n}": Contact(id=f"c{n}", identifiers=(Identifier.email(f"p{n}@example.com"),)) for n in (1, 2, 3)}

    class Shelf(DeletesContacts, Exports):
        name = "shelf"

        def contacts(self, list_id: str | None) -> Stream[Contact]:
            yield Emit(list(people.values()))

        def delete_contacts(self, ids: Any) -> Flow[Outcome]:
            yield from ()
            return Outcome(operation="delete_contacts", requested=1, confirmed=tuple(people.pop(id).id for id in ids))

    with Contacts(Shelf(base_url="http://127.0.0.1:1")) as client:
        assert (
            plan_erasure([Identifier.email("p1@example.com")], [client]).apply([client], pause=0.01, timeout=1).complete
        )
        done = plan_deletion(client, ids=["c2", "c9"]).apply([client], pause=0.01, timeout=1)
    assert {line["reason"] for line in done.of("result")} == {
        "not found any more: by id and by look-up",
        "was not there and is not: by id",
    }
    assert set(people) == {"c3"}


def test_a_vendor_that_cannot_be_read_has_no_plan() -> None:
    class Blind(DeletesContacts, GetsContacts):
        name = "blind"

        def delete_contacts(self, ids: Any) -> Flow[Outcome]:
            yield from Request("DELETE", "/c", type(None))
            return Outcome(operation="delete_contacts")

        def get_contacts(self, ids: Any) -> Flow[Any]:
            yield from Request("GET", "/c", type(None))
            return []

    with Contacts(Blind(base_url="http://127.0.0.1:1")) as client, pytest.raises(UnsupportedOperation):
        plan_erasure([Identifier.email("a@example.com")], [client])


def test_a_vendor_that_cannot_delete_has_no_plan() -> None:
    class Idle(Provider):
        name = "idle"

    with Contacts(Idle(base_url="http://127.0.0.1:1")) as client, pytest.raises(UnsupportedOperation):
        plan_erasure([Identifier.email("a@example.com")], [client])
