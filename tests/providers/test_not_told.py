"""What an answer does not tell is not empty: nothing is wiped, and nobody is said to be absent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from contacts_bird import Bird
from contacts_bird.payloads import ContactDetails as BirdContact
from contacts_bird.payloads import IdentifierRef, Identifiers
from contacts_core import Contact, Contacts, Identifier, OutcomeState, errors
from contacts_core.emulator import json_response
from contacts_core.provider import UpsertsContacts
from contacts_sendgrid import SendGrid
from contacts_sendgrid.payloads import User
from contacts_user_api import UserApi
from contacts_user_api.emulator import shapes
from contacts_user_api.payloads import ContactAnswer, ContactDetails
from tests.providers.conftest import SEEN
from tests.providers.test_on_emulators import account, person

RELATIONS = ("emails", "phone_numbers", "lists", "tags", "custom_fields", "companies", "notes")


@pytest.fixture(autouse=True)
def _exchanges_fit() -> Iterator[None]:
    yield
    SEEN.clear()


def whole(served: Any, contact_id: str) -> dict[str, Any]:

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
        made: list[dict[str, Any]] = original(*args, **options)
        for each in made:
            change(each)
        return made

    contacts._shapes = shapes


def refuse(served: Any, name: str, applies: Callable[[Any], bool], status: int = 403) -> None:
    """Answer the requests to which this applies with an error."""
    emulator = served.sandbox.emulators[name]
    original = emulator.answer

    def answer(operation: Any, incoming: Any, scope: Any) -> Any:
        return emulator.error(status, "refused") if applies(incoming) else original(operation, incoming, scope)

    emulator.answer = answer


def reads_after_puts() -> Callable[[Any], bool]:
    """Return whether a request is the first to read what a PUT has changed."""
    changed: set[str] = set()

    def applies(incoming: Any) -> bool:
        if incoming.method == "PUT":
            changed.add(incoming.path)
        elif incoming.path in changed:
            changed.remove(incoming.path)
            return True
        return False

    return applies


FAULTS = ("no-relations", "no-relations-anywhere", "null-relations", "flat-lists")


class TestUserApi:
    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize(
        "operation", ["remove_identifier", "remove_from_list", "add_to_list", "change", "upsert", "again"]
    )
    def test_no_write_loses_what_was_not_told(self, fault: str, operation: str) -> None:
        with account("user-api", contacts=12) as (client, served):
            target = next(c for c in client.export() if len(c.identifiers) > 1 and c.lists and c.custom)
            known = client.lists()
            assert target.lists
            other = next(each.id for each in known if each.id not in (target.lists or ()))
            before = whole(served, target.id)
            address = target.identifiers[0]
            served.sandbox.faults.set(fault, None)
            added = Identifier.email("added@example.com")
            works: dict[str, Callable[[], Any]] = {
                "remove_identifier": lambda: client.remove_identifier(target.id, address),
                "remove_from_list": lambda: client.remove_from_list(target.lists[0], [target.id]),  # type: ignore[index]
                "add_to_list": lambda: client.add_to_list(other, [target.id]),
                "change": lambda: client.change_contact(target.id, set={"custom.score": 77}, clear=["title"]),
                "upsert": lambda: client.upsert_contacts(
                    [Contact(identifiers=(address, added), custom={"score": 77})], lists=[other]
                ),
                "again": lambda: client.upsert_contacts([target], lists=[other]),
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
                changed = name == "custom_fields" and operation in {"change", "upsert"}  # the score
                assert len(lost) <= (name in meant.get(operation, ()) or changed), name
            if outcome is not None and outcome.state is OutcomeState.DONE:
                assert after != before, "done is claimed"

    @pytest.mark.parametrize("fault", ["no-relations", "no-relations-anywhere", "null-relations"])
    def test_nobody_is_absent_because_relations_are(self, fault: str) -> None:
        with account("user-api", contacts=12) as (client, served):
            target = next(c for c in client.export() if c.lists and c.custom)
            assert target.lists
            newsletter = target.lists[0]
            served.sandbox.faults.set(fault, None)
            if fault == "no-relations":  # pages tell them
                assert client.get_contacts([target.id]) == {target.id: target}
                assert client.find(target.identifiers[:1])[target.identifiers[0]] == target
                assert target in list(client.export([target.lists[0]]))
                assert client.remove_from_list(target.lists[0], [target.id]).confirmed == (target.id,)
                return
            for work in (
                lambda: client.get_contacts([target.id]),
                lambda: client.find(target.identifiers[:1]),
                lambda: list(client.export()),
                lambda: list(client.export([newsletter])),
                lambda: client.remove_identifier(target.id, target.identifiers[0]),
                lambda: client.remove_from_list(newsletter, [target.id]),
                lambda: client.change_contact(target.id, set={"custom.score": 77}),
            ):
                with pytest.raises(errors.UnexpectedPayload):
                    work()

    def test_lists_in_another_shape_are_not_no_lists(self) -> None:
        with account("user-api", contacts=12) as (client, served):
            target = next(c for c in client.export() if c.lists)
            assert target.lists
            served.sandbox.faults.set("flat-lists", None)
            seen = client.get_contacts([target.id])[target.id]
            assert seen is not None
            assert seen.lists is None
            assert "lists" in seen.extra["unread"]
            with pytest.raises(errors.UnexpectedPayload):
                list(client.export([target.lists[0]]))
            outcome = client.remove_from_list(target.lists[0], [target.id])
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
        with account("user-api", contacts=3) as (client, served):
            target = next(iter(client.export()))
            other = client.create_list("Another").id

            def add(shape: dict[str, Any]) -> None:
                if shape.get(relation) is not None:
                    shape[relation] = [*shape[relation], item]

            before = whole(served, target.id)
            reshaped(served, add)
            address = next(i for i in target.identifiers if i.key == "emails")
            works: dict[str, Callable[[], Any]] = {
                "emails": lambda: client.remove_identifier(target.id, address),
                "phone_numbers": lambda: client.upsert_contacts(
                    [person(1, identifiers=(address, Identifier.phone("+442079460999")))]
                ),
                "lists": lambda: client.add_to_list(other, [target.id]),
                "custom_fields": lambda: client.upsert_contacts(
                    [person(1, identifiers=(address,), custom={"score": 1})]
                ),
            }
            outcome = works[relation]()
            assert (outcome.state, len(outcome.failed)) == (OutcomeState.FAILED, 1)
            assert whole(served, target.id) == before
            assert len(list(client.export())) == 3, "one odd contact does not end an export"

    def test_an_address_nobody_can_read_may_be_anybodys(self) -> None:
        with account("user-api", contacts=3) as (client, served):
            reshaped(served, lambda shape: shape.update(emails=[{"email": "another key"}]))
            nobody = Identifier.email("nobody@example.com")
            assert list(client.find([nobody])) == []
            assert "cannot be read" in client.find([nobody]).unasked[nobody]

    @pytest.mark.parametrize("operation", ["get", "delete", "update"])
    def test_an_answer_about_somebody_else_is_no_answer(self, operation: str) -> None:
        with account("user-api", contacts=3) as (client, served):
            one, two, _ = client.export()
            if operation == "update":
                contacts: Any = served.sandbox.emulators["user-api"].contacts  # type: ignore[attr-defined]
                contacts._apply = lambda *_: reshaped(served, lambda shape: shape.update(id=two.id))
            else:
                reshaped(served, lambda shape: shape.update(id=two.id))
            works: dict[str, Callable[[], Any]] = {
                "get": lambda: client.get_contacts([one.id]),
                "delete": lambda: client.delete_contacts([one.id]),
                "update": lambda: client.upsert_contacts([one], lists=[client.lists()[0].id]),
            }
            with pytest.raises(errors.UnexpectedPayload):
                works[operation]()

    def test_an_account_is_named_by_its_first_user_or_by_its_address_alone(self) -> None:
        with account("user-api") as (client, served):
            flow = client.provider.account_id()
            call = next(flow)
            assert call.path == "/workspace-users"
            with pytest.raises(StopIteration) as stopped:
                flow.throw(errors.NotFound("none"))
            base = served.settings("user-api")["base_url"] + "/user-api/v1"
            assert stopped.value.value == base

    @pytest.mark.parametrize("status", [401, 403, 404, 422])
    def test_a_change_whose_re_read_is_refused_is_unconfirmed(self, status: int) -> None:
        with account("user-api", contacts=12) as (client, served):
            target = next(c for c in client.export() if c.identifiers and c.lists)
            assert target.lists
            newsletter = target.lists[0]
            members = [contact.id for contact in client.export([newsletter])]
            refuse(served, "user-api", reads_after_puts(), status)
            changes = (
                client.remove_identifier(target.id, target.identifiers[0]),
                client.remove_from_list(newsletter, members),
                client.add_to_list(newsletter, members),
            )
            for outcome in changes:
                assert (outcome.unconfirmed, outcome.state) == (outcome.requested, OutcomeState.PARTIAL)
            after = client.get_contacts([target.id])[target.id]
            assert after
            assert target.identifiers[0] not in after.identifiers

    @pytest.mark.parametrize("error", [errors.Cancelled, lambda: errors.DeadlineExceeded("over")])
    def test_a_change_whose_re_read_is_given_up_is_not_unsent(self, error: Callable[[], errors.ContactsError]) -> None:
        read = ContactAnswer(data=ContactDetails(id="1", lists=[]))
        flow = UserApi(api_key="k", base_url="https://api.example.com").add_to_list("7", ["1"])
        sent: list[Any] = [next(flow), flow.send(read), flow.send(read)]
        assert [each.method for each in sent] == ["GET", "PUT", "GET"]
        with pytest.raises(errors.ContactsError) as caught:
            flow.throw(error())
        assert caught.value.unclear


def bird_answers(served: Any, change: Callable[[dict[str, Any]], None]) -> None:
    """Change every contact that the emulator answers with."""

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

    emulator.answer = answer


class TestBird:
    @pytest.mark.parametrize("value", [None, "absent", -1])
    def test_identifiers_that_are_not_counted_are_read_apart(self, value: Any) -> None:
        with account("bird", contacts=6) as (client, served):
            target = next(c for c in client.export() if len(c.identifiers) > 1)
            address = target.identifiers[0]

            def hide(shape: dict[str, Any]) -> None:
                shape["featuredIdentifiers"] = None
                shape["identifierCount"] = value
                shape["attributes"] = {}
                if value == "absent":
                    del shape["identifierCount"], shape["featuredIdentifiers"], shape["attributes"]
                    shape["attributes"] = None

            bird_answers(served, hide)
            found = client.find([address])[address]
            assert found is not None
            assert (found.id, set(found.identifiers)) == (target.id, set(target.identifiers))
            assert {c.id: set(c.identifiers) for c in client.export()}[target.id] == set(target.identifiers)

    def test_identifiers_under_a_workspaces_own_keys_are_found_if_a_setting_names_them(self) -> None:
        keys = {"email_keys": "emailaddress, secondaryEmailAddress", "external_id_keys": "customerId"}
        second, customer = Identifier.email("second@example.com"), Identifier.external_id("C-7")
        with account("bird") as (client, served), account("bird") as (plain, _):
            root = served.settings("bird")
            own = (
                Identifier.other("secondaryEmailAddress", "second@example.com"),
                Identifier.other("customerId", "C-7"),
            )
            with Contacts(Bird(**root)) as opened:
                (created,) = opened.upsert_contacts(
                    [Contact(identifiers=(Identifier.email("first@example.com"), *own))]
                ).confirmed
                found = opened.find([second, customer])
                assert found[second] is None
                assert "external_id_keys" in found.unasked[customer]
            with Contacts(Bird(**root, **keys)) as opened:
                found = opened.find([second, customer])
                assert [c.id for i in found for c in found.get_all(i)] == [created, created]
                newsletter = opened.create_list("Newsletter").id
                assert opened.add_to_list(newsletter, [second, customer]).succeeded_count == 2
                assert [c.id for c in opened.export([newsletter])] == [created]
                assert opened.remove_identifier(created, second).confirmed == (second.value,)
                assert opened.find([second])[second] is None
            assert client.count() == 1
            assert plain.count() == 0

    @pytest.mark.parametrize("processed", [-1, 99, 0, 10**30])
    def test_a_count_that_cannot_be_proves_nothing(self, processed: int) -> None:
        with account("bird", contacts=3) as (client, served):
            newsletter = client.create_list("Another").id
            someone = next(iter(client.export()))
            emulator: Any = served.sandbox.emulators["bird"]
            original = emulator.answer

            def answer(operation: Any, incoming: Any, scope: Any) -> Any:
                if incoming.method != "POST" or not incoming.path.endswith("/contacts"):
                    return original(operation, incoming, scope)

                return json_response({"itemsProcessed": processed}, 201)  # and nothing was done

            emulator.answer = answer
            outcome = None
            try:
                outcome = client.add_to_list(newsletter, [someone.id])
            except errors.UnexpectedPayload:
                assert processed == 10**30
            assert outcome is None or outcome.state is OutcomeState.FAILED

    def test_one_refused_member_does_not_take_the_others_with_it(self) -> None:
        with account("bird", contacts=20) as (client, served):
            newsletter = client.create_list("Another").id
            people = [c.id for c in client.export()]
            emulator: Any = served.sandbox.emulators["bird"]
            original = emulator.answer

            def answer(operation: Any, incoming: Any, scope: Any) -> Any:
                if incoming.method == "POST" and people[7] in incoming.body.decode():
                    return emulator.error(422, "one of them is not valid")
                return original(operation, incoming, scope)

            emulator.answer = answer
            outcome = client.add_to_list(newsletter, people)
            assert [failure.item for failure in outcome.failed] == [people[7]]
            assert set(outcome.confirmed) == set(people) - {people[7]}

    @pytest.mark.parametrize("status", [401, 403, 422])
    def test_a_removal_under_one_key_is_told_if_the_next_is_refused(self, status: int) -> None:
        address = "first@example.com"
        twice = (Identifier.email(address), Identifier.other("secondaryEmailAddress", address))
        with account("bird", email_keys="emailaddress, secondaryEmailAddress") as (client, served):
            with Contacts(Bird(**served.settings("bird"))) as plain:
                (created,) = plain.upsert_contacts([Contact(identifiers=twice)]).confirmed
            removals = iter([False, True])
            refuse(served, "bird", lambda incoming: incoming.method == "DELETE" and next(removals), status)
            (failure,) = client.remove_identifier(created, Identifier.email(address)).failed
            assert failure.reason.startswith("removed under secondaryEmailAddress, but not under emailaddress: ")

    @pytest.mark.parametrize("error", [errors.Cancelled, lambda: errors.DeadlineExceeded("over")])
    def test_a_removal_under_one_key_is_not_unsent(self, error: Callable[[], errors.ContactsError]) -> None:
        provider = Bird(access_key="k", workspace_id="w", email_keys="a,b")
        stored = [IdentifierRef(key=key, value="first@example.com") for key in "ab"]
        flow = provider.remove_identifier("1", Identifier.email("first@example.com"))
        sent: list[Any] = [next(flow), flow.send(Identifiers(results=stored)), flow.send(None)]
        assert [each.method for each in sent] == ["GET", "DELETE", "DELETE"]
        with pytest.raises(errors.ContactsError) as caught:
            flow.throw(error())
        assert caught.value.unclear

    def test_an_identifier_that_is_gone_under_the_next_key_is_removed(self) -> None:
        provider = Bird(access_key="k", workspace_id="w", email_keys="a,b")
        stored = [IdentifierRef(key=key, value="first@example.com") for key in "ab"]
        flow = provider.remove_identifier("1", Identifier.email("first@example.com"))
        _ = [next(flow), flow.send(Identifiers(results=stored)), flow.send(None)]
        with pytest.raises(StopIteration) as stopped:
            flow.throw(errors.NotFound("none"))
        assert stopped.value.value.confirmed == ("first@example.com",)

    @pytest.mark.parametrize("status", [401, 403, 404, 503])
    def test_members_that_were_added_are_told_if_the_next_request_is_refused(
        self, status: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with account("bird", contacts=6, email_keys="emailaddress, secondaryEmailAddress") as (client, served):
            people = [contact for contact in client.export() if contact.email][:4]
            newsletter = client.create_list("Another").id
            monkeypatch.setattr(Bird, "member_batch_size", 2)
            nobody = Identifier.email("nobody@example.com")
            members = [nobody, *(Identifier.email(str(contact.email)) for contact in people)]
            first = {contact.id for contact in people[:2]}

            def later(incoming: Any) -> bool:
                return incoming.path.endswith("/contacts") and not any(id in incoming.body.decode() for id in first)

            refuse(served, "bird", lambda incoming: incoming.method == "POST" and later(incoming), status)
            flow = client.provider.add_to_list(newsletter, members)
            with pytest.raises(errors.Interrupted) as caught:
                client.run(flow)
            outcome = caught.value.outcome
            assert (outcome.requested, outcome.absent) == (3, (nobody.value,))
            assert outcome.confirmed == tuple(member.value for member in members[1:3])
            left = (caught.value.uncertain, caught.value.unsent)
            assert left == ((tuple(members[3:]), ()) if status == 503 else ((), tuple(members[3:])))

    def test_a_written_contact_is_told_if_its_further_lists_are_refused(self) -> None:
        with account("bird") as (client, served):
            lists = [client.create_list(f"List {number}").id for number in range(11)]
            refuse(served, "bird", lambda incoming: lists[10] in incoming.body.decode())
            outcome = client.upsert_contacts([person(1)], lists=lists)
            assert (outcome.succeeded_count, outcome.dropped_fields) == (1, (f"lists.{lists[10]}",))

    def test_a_written_contact_is_not_unsent_if_its_further_lists_are_given_up(self) -> None:
        lists = [f"{number}" for number in range(11)]
        flow = Bird(access_key="k", workspace_id="w").upsert_contacts([person(1)], lists)
        next(flow)
        flow.send(BirdContact(id="1"))
        with pytest.raises(errors.Cancelled) as caught:
            flow.throw(errors.Cancelled())
        assert caught.value.unclear

    def test_a_404_of_a_gateway_is_not_an_absence(self) -> None:
        with account("bird", contacts=3) as (client, served):
            someone = next(iter(client.export()))
            for fault in ("not-found-everywhere", "not-found-everywhere-json", "not-found-everywhere-empty"):
                served.sandbox.faults.set(fault, None)
                with pytest.raises(errors.UnexpectedPayload):
                    client.get_contacts([someone.id])
                served.sandbox.faults.clear()


def sendgrid_answers(served: Any, change: Callable[[str, dict[str, Any]], None], *, path: str = "") -> None:
    """Change the bodies that the emulator answers with."""
    emulator = served.sandbox.emulators["sendgrid"]
    original = emulator.answer

    def answer(operation: Any, incoming: Any, scope: Any) -> Any:
        response = original(operation, incoming, scope)
        if response.status_code >= 300 or not response.body or not incoming.path.startswith(path or "/v3"):
            return response
        body = msgspec.json.decode(bytes(response.body))
        change(incoming.path, body)
        return type(response)(msgspec.json.encode(body), response.status_code, media_type="application/json")

    emulator.answer = answer


def drop_alternates(path: str, body: dict[str, Any]) -> None:
    for each in body.get("result") or ():
        if isinstance(each, dict):
            each.update(alternate_emails=None, email=None)


class TestSendGrid:
    @pytest.mark.parametrize("number", [0, -1])
    def test_the_deletion_of_all_contacts_without_a_job_is_not_done(self, number: int) -> None:
        with account("sendgrid", contacts=3) as (client, served):

            def change(path: str, body: dict[str, Any]) -> None:
                body.pop("job_id", None)
                if path.endswith("/count"):
                    body["contact_count"] = number

            sendgrid_answers(served, change)
            outcome = client.delete_all_contacts(confirm=client.name)
            assert (outcome.jobs, outcome.succeeded_count, outcome.state) == ((), 0, OutcomeState.PARTIAL)

    def test_contacts_read_in_a_batch_that_tells_nothing_are_read_one_by_one(self) -> None:
        with account("sendgrid", contacts=4) as (client, served):
            people = {contact.id: contact for contact in client.export()}
            sendgrid_answers(served, lambda _, body: body.update(result=None), path="/v3/marketing/contacts/batch")
            read = client.get_contacts([*people, "somebody-who-is-not-there"])
            assert {key for key, contact in read.items() if contact} == set(people)
            assert read["somebody-who-is-not-there"] is None

    def test_putting_on_a_list_sends_every_identifier_or_nothing(self) -> None:
        with account("sendgrid", contacts=12) as (client, served):
            target = next(c for c in client.export() if any(i.key == "alternate_emails" for i in c.identifiers))
            newsletter = client.create_list("Another").id
            sendgrid_answers(served, drop_alternates, path="/v3/marketing/contacts/batch")
            assert client.wait(client.add_to_list(newsletter, [target.id])).state is OutcomeState.DONE
            seen = next(c for c in client.export() if c.id == target.id)
            assert set(seen.identifiers) == set(target.identifiers)

    def test_an_identifier_that_the_contact_does_not_tell_is_not_absent(self) -> None:
        with account("sendgrid", contacts=3) as (client, served):
            target = next(iter(client.export()))
            address = next(i for i in target.identifiers if i.key == "email")

            def hide(path: str, body: dict[str, Any]) -> None:
                if path.endswith(target.id):
                    body.pop("email")

            sendgrid_answers(served, hide)
            with pytest.raises(errors.UnexpectedPayload):
                client.remove_identifier(target.id, address)
            assert client.remove_identifier(target.id, Identifier.email("other@example.com")).absent

    def test_one_bad_contact_does_not_take_the_batch_with_it(self) -> None:
        with account("sendgrid", contacts=1) as (client, _):
            bad = [
                person(1, first_name="x" * 51),
                person(2, custom={"score": "many"}),
                person(3, custom={"score": True}),
                person(4, identifiers=(Identifier.email("no address"),)),
                person(5, identifiers=(Identifier.external_id("e" * 255),)),
                person(6, custom={"plan": "x" * 1001}),
                person(7, custom={"renewal_date": "soon"}),
            ]
            outcome = client.wait(client.upsert_contacts([person(10), *bad, person(11)]))
            assert (outcome.succeeded_count, len(outcome.failed)) == (2 + 5, 2)
            assert {failure.item for failure in outcome.failed} == {bad[3].display_id, bad[4].display_id}
            assert {(each.field, each.code.value): each.count for each in outcome.losses} == {
                ("first_name", "TRUNCATED"): 1,
                ("custom.score", "REFUSED"): 2,
                ("custom.plan", "TRUNCATED"): 1,
                ("custom.renewal_date", "REFUSED"): 1,
            }
            assert client.count() == 1 + 7

    def test_what_sendgrid_names_is_taken_out_and_the_rest_sent_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(SendGrid, "preview", UpsertsContacts.preview)
        with account("sendgrid", contacts=1) as (client, _):
            bad = [
                person(1, first_name="x" * 51),
                person(2, custom={"score": "many"}),
                person(4, identifiers=(Identifier.email("no address"),)),
            ]
            outcome = client.wait(client.upsert_contacts([person(10), *bad, person(11)]))
            assert (outcome.succeeded_count, len(outcome.failed)) == (2, len(bad))
            assert {failure.item for failure in outcome.failed} == {contact.display_id for contact in bad}
            assert not any("no address" in failure.reason for failure in outcome.failed if "@" in failure.reason)

    def test_one_malformed_address_does_not_take_the_look_up_with_it(self) -> None:
        with account("sendgrid", contacts=40) as (client, _):
            people = [next(i for i in c.identifiers if i.key == "email") for c in client.export()]
            nonsense = Identifier.email("no address")
            refused = Identifier.email("a..b@-example-.com")
            found = client.find([*people[:20], nonsense, refused, *people[20:]])
            assert all(found[each] for each in people)
            assert "not an e-mail address" in found.unasked[nonsense]
            assert refused in found.unasked or found[refused] is None

    def test_an_address_that_sendgrid_names_is_unasked(self) -> None:
        with account("sendgrid", contacts=3) as (client, served):
            one, two, three = (next(i for i in c.identifiers if i.key == "email") for c in client.export())
            emulator: Any = served.sandbox.emulators["sendgrid"]
            original = emulator.answer

            def answer(operation: Any, incoming: Any, scope: Any) -> Any:
                if incoming.path.endswith("/search/emails") and two.value in incoming.body.decode():
                    return emulator.error(400, f"email '{two.value}' is not valid")
                return original(operation, incoming, scope)

            emulator.answer = answer
            found = client.find([one, two, three])
            assert found[one] is not None
            assert found[three] is not None
            assert two not in found
            assert two in found.unasked

    def test_other_kinds_are_never_said_to_be_nobodys(self) -> None:
        with account("sendgrid", contacts=1) as (client, _):
            odd = Identifier.other("shoe", "43")
            long = Identifier.external_id("e" * 255)
            found = client.find([odd, long])
            assert set(found.unasked) == {odd, long}

    def test_an_empty_404_is_an_absence_for_one_contact_only(self) -> None:
        with account("sendgrid", contacts=1) as (client, served):
            someone = Identifier.email("nobody@example.com")
            for fault in ("not-found-everywhere-empty", "not-found-everywhere-json", "not-found-everywhere-text"):
                served.sandbox.faults.set(fault, None)
                for work in (
                    lambda: client.find([someone]),
                    lambda: client.get_contacts(["x"]),
                    lambda: client.delete_contacts(["x"]),
                ):
                    with pytest.raises(errors.UnexpectedPayload):
                        work()
                served.sandbox.faults.clear()

    def test_an_account_is_named_by_its_user_where_the_key_may_read_it(self) -> None:
        with account("sendgrid", on_behalf_of="sub") as (client, served):
            base = served.settings("sendgrid")["base_url"]
            refused: list[Callable[[Any], Any]] = [
                lambda flow: flow.throw(errors.Forbidden("no")),
                lambda flow: flow.throw(errors.NotFound("no")),
                lambda flow: flow.send(User(username="jane", user_id=7)),
            ]
            for answer, name in zip(refused, ("", "", " user 7"), strict=True):
                flow = client.provider.account_id()
                assert next(flow).path == "/v3/user/username"
                with pytest.raises(StopIteration) as stopped:
                    answer(flow)
                assert stopped.value.value == f"{base} on behalf of sub{name}"

    def test_the_sample_is_empty_only_if_the_account_is(self) -> None:
        with account("sendgrid", contacts=3) as (client, served):
            run = client.run
            assert len(run(client.provider.sample())) == 3
            sendgrid_answers(served, lambda _, body: body.update(result=None))
            assert run(client.provider.sample()) is None
        with account("sendgrid") as (client, _):
            assert client.run(client.provider.sample()) == []


@pytest.mark.parametrize("name", ["bird", "user-api"])
def test_a_sample_shows_somebody_in_one_request_or_so(name: str) -> None:
    with account(name, contacts=3) as (client, _):
        assert client.run(client.provider.sample())
    with account(name) as (client, _):
        assert client.run(client.provider.sample()) == []
