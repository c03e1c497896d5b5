"""What an answer does not tell is not empty: nothing is wiped, and nobody is said to be absent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from contacts_core import Contact, Identifier, OutcomeState, errors
from tests.providers.conftest import SEEN
from tests.providers.test_on_emulators import account, person

RELATIONS = ("emails", "phone_numbers", "lists", "tags", "custom_fields", "companies", "notes")


@pytest.fixture(autouse=True)
def _exchanges_fit() -> Iterator[None]:
    yield
    SEEN.clear()


def whole(served: Any, contact_id: str) -> dict[str, Any]:
    from contacts_user_api.sandbox import shapes  # noqa: PLC0415 - the truth, not what is answered

    store = served.sandbox.emulators["user-api"].store
    stored = store.contacts[contact_id]
    shape: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(shapes.contact(store, stored, RELATIONS)))
    for name in ("emails", "phone_numbers"):
        for item in shape[name]:
            del item["id"]  # ids may be renewed by a PUT
    del shape["updated_at"]
    return shape


def reshaped(served: Any, change: Callable[[dict[str, Any]], None]) -> None:
    contacts = served.sandbox.emulators["user-api"].contacts
    original = contacts._shapes

    def shapes(*args: Any, **options: Any) -> list[dict[str, Any]]:
        made = original(*args, **options)
        for each in made:
            change(each)
        return made

    contacts._shapes = shapes


FAULTS = ("no-includes", "no-includes-anywhere", "null-includes", "flat-lists")


class TestUserApi:
    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("operation", ["remove_identifier", "remove_from_list", "add_to_list", "upsert", "again"])
    def test_no_write_loses_what_was_not_told(self, fault: str, operation: str) -> None:
        with account("user-api", contacts=12) as (door, served):
            target = next(c for c in door.export() if len(c.identifiers) > 1 and c.lists and c.custom)
            known = door.lists()
            assert target.lists
            other = next(each.id for each in known if each.id not in (target.lists or ()))
            before = whole(served, target.id)
            address = target.identifiers[0]
            served.sandbox.faults.set(fault, None)
            added = Identifier.email("added@example.com")
            works: dict[str, Callable[[], Any]] = {
                "remove_identifier": lambda: door.remove_identifier(target.id, address),
                "remove_from_list": lambda: door.remove_from_list(target.lists[0], [target.id]),  # type: ignore[index]
                "add_to_list": lambda: door.add_to_list(other, [target.id]),
                "upsert": lambda: door.upsert_contacts(
                    [Contact(identifiers=(address, added), custom={"score": 77})], lists=[other]
                ),
                "again": lambda: door.upsert_contacts([target], lists=[other]),
            }
            outcome = None
            try:
                outcome = works[operation]()
            except errors.ContactsError as error:
                assert isinstance(error, errors.UnexpectedPayload | errors.Interrupted)  # noqa: PT017
            served.sandbox.faults.clear()
            after = whole(served, target.id)
            for name in RELATIONS:
                lost = [item for item in before[name] if item not in after[name]]
                meant = {"remove_identifier": ("emails", "phone_numbers"), "remove_from_list": ("lists",)}
                changed = name == "custom_fields" and operation == "upsert"  # the score
                assert len(lost) <= (name in meant.get(operation, ()) or changed), name
            if outcome is not None and outcome.state is OutcomeState.DONE:
                assert after != before, "done is claimed"

    @pytest.mark.parametrize("fault", ["no-includes", "no-includes-anywhere", "null-includes"])
    def test_nobody_is_absent_because_relations_are(self, fault: str) -> None:
        with account("user-api", contacts=12) as (door, served):
            target = next(c for c in door.export() if c.lists and c.custom)
            assert target.lists
            served.sandbox.faults.set(fault, None)
            if fault == "no-includes":  # pages tell them
                assert door.get_contacts([target.id]) == {target.id: target}
                assert door.find(target.identifiers[:1])[target.identifiers[0]] == target
                assert target in list(door.export([target.lists[0]]))
                assert door.remove_from_list(target.lists[0], [target.id]).confirmed == (target.id,)
                return
            for work in (
                lambda: door.get_contacts([target.id]),
                lambda: door.find(target.identifiers[:1]),
                lambda: list(door.export()),
                lambda: list(door.export([target.lists[0]])),  # type: ignore[index]
                lambda: door.remove_identifier(target.id, target.identifiers[0]),
                lambda: door.remove_from_list(target.lists[0], [target.id]),  # type: ignore[index]
            ):
                with pytest.raises(errors.UnexpectedPayload):
                    work()

    def test_lists_in_another_shape_are_not_no_lists(self) -> None:
        with account("user-api", contacts=12) as (door, served):
            target = next(c for c in door.export() if c.lists)
            assert target.lists
            served.sandbox.faults.set("flat-lists", None)
            seen = door.get_contacts([target.id])[target.id]
            assert seen is not None
            assert seen.lists is None
            assert "lists" in seen.extra["unread"]
            with pytest.raises(errors.UnexpectedPayload):
                list(door.export([target.lists[0]]))
            outcome = door.remove_from_list(target.lists[0], [target.id])
            assert outcome.state is OutcomeState.FAILED
            assert "cannot be read whole" in outcome.failed[0].reason

    @pytest.mark.parametrize(
        ("relation", "item"),
        [
            ("emails", {"id": "email_1", "email_address": None, "is_primary": False}),
            ("emails", {"id": "email_1", "address": "odd@example.com"}),
            ("emails", {"id": "email_1", "email_address": "odd@example.com", "label": "work"}),
            ("emails", "bare@example.com"),
            ("phone_numbers", {"id": "phone_1", "phone_number": 12025550199}),
            ("lists", {"list": {"name": "no id"}}),
            ("lists", {"id": "list_1", "name": "flat"}),
            ("custom_fields", {"name": "no id", "value": 1}),
            ("custom_fields", {"id": "field_x", "name": "x", "value": {"currency": "EUR"}}),
        ],
    )
    def test_an_item_nobody_understands_stops_the_write_of_its_relation(self, relation: str, item: Any) -> None:
        with account("user-api", contacts=3) as (door, served):
            target = next(iter(door.export()))
            other = door.create_list("Another").id

            def add(shape: dict[str, Any]) -> None:
                if shape.get(relation) is not None:
                    shape[relation] = [*shape[relation], item]

            before = whole(served, target.id)
            reshaped(served, add)
            address = next(i for i in target.identifiers if i.key == "emails")
            works: dict[str, Callable[[], Any]] = {
                "emails": lambda: door.remove_identifier(target.id, address),
                "phone_numbers": lambda: door.upsert_contacts(
                    [person(1, identifiers=(address, Identifier.phone("+442079460999")))]
                ),
                "lists": lambda: door.add_to_list(other, [target.id]),
                "custom_fields": lambda: door.upsert_contacts([person(1, identifiers=(address,), custom={"score": 1})]),
            }
            outcome = works[relation]()
            assert (outcome.state, len(outcome.failed)) == (OutcomeState.FAILED, 1)
            assert whole(served, target.id) == before
            assert len(list(door.export())) == 3, "one odd contact does not end an export"

    def test_an_address_nobody_can_read_may_be_anybodys(self) -> None:
        with account("user-api", contacts=3) as (door, served):
            reshaped(served, lambda shape: shape.update(emails=[{"email": "another key"}]))
            nobody = Identifier.email("nobody@example.com")
            assert list(door.find([nobody])) == []
            assert "cannot be read" in door.find([nobody]).unasked[nobody]

    @pytest.mark.parametrize("operation", ["get", "delete", "update"])
    def test_an_answer_about_somebody_else_is_no_answer(self, operation: str) -> None:
        with account("user-api", contacts=3) as (door, served):
            one, two, _ = door.export()
            if operation == "update":
                contacts = served.sandbox.emulators["user-api"].contacts
                contacts._apply = lambda *_: reshaped(served, lambda shape: shape.update(id=two.id))
            else:
                reshaped(served, lambda shape: shape.update(id=two.id))
            works: dict[str, Callable[[], Any]] = {
                "get": lambda: door.get_contacts([one.id]),
                "delete": lambda: door.delete_contacts([one.id]),
                "update": lambda: door.upsert_contacts([one], lists=[door.lists()[0].id]),
            }
            with pytest.raises(errors.UnexpectedPayload):
                works[operation]()

    def test_an_account_is_named_by_its_first_user_or_by_its_address_alone(self) -> None:
        with account("user-api") as (door, served):
            flow = door.provider.account_id()
            call = next(flow)
            assert call.path == "/workspace-users"
            with pytest.raises(StopIteration) as stopped:
                flow.throw(errors.NotFound("none"))
            base = served.settings("user-api")["base_url"] + "/user-api/v1"
            assert stopped.value.value == base


def bird_answers(served: Any, change: Callable[[dict[str, Any]], None]) -> None:
    """Change every contact that the emulator answers with."""
    from contacts_bird.sandbox import shapes  # noqa: PLC0415

    emulator = served.sandbox.emulators["bird"]
    original = emulator.answer

    def answer(operation: Any, incoming: Any, scope: Any) -> Any:
        response = original(operation, incoming, scope)
        if response.status_code >= 300 or not response.body or "/identifiers" in incoming.path:
            return response
        body = msgspec.json.decode(bytes(response.body))
        for each in body.get("results", [body] if "attributes" in body else []):
            if "attributes" in each:
                change(each)
        return type(response)(msgspec.json.encode(body), response.status_code, media_type="application/json")

    assert shapes
    emulator.answer = answer


class TestBird:
    @pytest.mark.parametrize("value", [None, "absent", -1])
    def test_identifiers_that_are_not_counted_are_read_apart(self, value: Any) -> None:
        with account("bird", contacts=6) as (door, served):
            target = next(c for c in door.export() if len(c.identifiers) > 1)
            address = target.identifiers[0]

            def hide(shape: dict[str, Any]) -> None:
                shape["featuredIdentifiers"] = None
                shape["identifierCount"] = value
                shape["attributes"] = {}
                if value == "absent":
                    del shape["identifierCount"], shape["featuredIdentifiers"], shape["attributes"]
                    shape["attributes"] = None

            bird_answers(served, hide)
            found = door.find([address])[address]
            assert found is not None
            assert (found.id, set(found.identifiers)) == (target.id, set(target.identifiers))
            assert {c.id: set(c.identifiers) for c in door.export()}[target.id] == set(target.identifiers)

    def test_identifiers_under_a_workspaces_own_keys_are_found_if_a_setting_names_them(self) -> None:
        keys = {"email_keys": "emailaddress, secondaryEmailAddress", "external_id_keys": "customerId"}
        second, customer = Identifier.email("second@example.com"), Identifier.external_id("C-7")
        with account("bird") as (door, served), account("bird") as (plain, _):
            root = served.settings("bird")
            for own, settings in ((False, {}), (True, keys)):
                from contacts_bird import Bird  # noqa: PLC0415
                from contacts_core import Contacts  # noqa: PLC0415

                with Contacts(Bird(**root, **settings)) as opened:
                    if not own:
                        created = opened.upsert_contacts(
                            [
                                Contact(
                                    identifiers=(
                                        Identifier.email("first@example.com"),
                                        Identifier.other("secondaryEmailAddress", "second@example.com"),
                                        Identifier.other("customerId", "C-7"),
                                    )
                                )
                            ]
                        )
                        found = opened.find([second, customer])
                        assert found[second] is None
                        assert "external_id_keys" in found.unasked[customer]
                        continue
                    found = opened.find([second, customer])
                    assert {c.id for i in found for c in found.every(i)} == set(created.confirmed)
                    assert found[second] is not None
                    newsletter = opened.create_list("Newsletter").id
                    assert opened.add_to_list(newsletter, [second, customer]).counted == 2
                    assert [c.id for c in opened.export([newsletter])] == list(created.confirmed)
                    assert opened.remove_identifier(created.confirmed[0], second).confirmed == (second.value,)
                    assert opened.find([second])[second] is None
            assert door.count() == 1
            assert plain.count() == 0

    @pytest.mark.parametrize("processed", [-1, 99, 0, 10**30])
    def test_a_count_that_cannot_be_proves_nothing(self, processed: int) -> None:
        with account("bird", contacts=3) as (door, served):
            newsletter = door.create_list("Another").id
            someone = next(iter(door.export()))
            emulator = served.sandbox.emulators["bird"]
            original = emulator.answer

            def answer(operation: Any, incoming: Any, scope: Any) -> Any:
                if incoming.method != "POST" or not incoming.path.endswith("/contacts"):
                    return original(operation, incoming, scope)
                from contacts_core.sandbox import json_response  # noqa: PLC0415

                return json_response({"itemsProcessed": processed}, 201)  # and nothing was done

            emulator.answer = answer
            outcome = None
            try:
                outcome = door.add_to_list(newsletter, [someone.id])
            except errors.UnexpectedPayload:
                assert processed == 10**30  # noqa: PT017
            assert outcome is None or outcome.state is OutcomeState.FAILED

    def test_one_refused_member_does_not_take_the_others_with_it(self) -> None:
        with account("bird", contacts=20) as (door, served):
            newsletter = door.create_list("Another").id
            people = [c.id for c in door.export()]
            emulator = served.sandbox.emulators["bird"]
            original = emulator.answer

            def answer(operation: Any, incoming: Any, scope: Any) -> Any:
                if incoming.method == "POST" and people[7] in incoming.body.decode():
                    return emulator.error(422, "one of them is not valid")
                return original(operation, incoming, scope)

            emulator.answer = answer
            outcome = door.add_to_list(newsletter, people)
            assert [failure.item for failure in outcome.failed] == [people[7]]
            assert set(outcome.confirmed) == set(people) - {people[7]}

    def test_a_404_of_a_gateway_is_not_an_absence(self) -> None:
        with account("bird", contacts=3) as (door, served):
            someone = next(iter(door.export()))
            for fault in ("not-found-everywhere", "not-found-everywhere-json", "not-found-everywhere-empty"):
                served.sandbox.faults.set(fault, None)
                with pytest.raises(errors.UnexpectedPayload):
                    door.get_contacts([someone.id])
                served.sandbox.faults.clear()
