"""The vendors' own examples, taken at their word."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from attrs import evolve

from contacts_bird import Bird
from contacts_core import Contact, Contacts, F, Identifier, IdentifierKind, JobState, OutcomeState, errors
from contacts_core.http.blocking import BlockingTransport
from contacts_core.models import FieldType, Shape
from contacts_core.provider import Provider
from contacts_sendgrid import SendGrid, mapping
from contacts_user_api import UserApi

WORKSPACE = "a1405560-c8d3-4b1a-877d-3f449ad95352"
LIST = "123e4567-e89b-12d3-a456-426614174000"
CONTACT = "12bd0e40-9361-4e32-8b26-99b4ab7eae09"

Answer = Callable[[httpx.Request], httpx.Response]


def client(provider: Provider, answer: Answer, sent: list[httpx.Request] | None = None) -> Contacts[Any]:
    def handle(request: httpx.Request) -> httpx.Response:
        if sent is not None:
            sent.append(request)
        return answer(request)

    return Contacts(provider, httpx.Client(transport=httpx.MockTransport(handle)))


def sendgrid(answer: Answer, sent: list[httpx.Request] | None = None, **settings: Any) -> Contacts[Any]:
    return client(SendGrid(api_key="SG.sample", **settings), answer, sent)


def bird(answer: Answer, sent: list[httpx.Request] | None = None, *, knows_the_list: bool = True) -> Contacts[Any]:
    def handle(request: httpx.Request) -> httpx.Response:
        if knows_the_list and (request.method, request.url.path) == ("GET", f"/workspaces/{WORKSPACE}/lists"):
            return httpx.Response(200, json={"results": [{"id": LIST, "name": "The list"}]})
        if sent is not None:
            sent.append(request)
        return answer(request)

    return client(Bird(access_key="abcd", workspace_id=WORKSPACE), handle)


def user_api(answer: Answer, sent: list[httpx.Request] | None = None) -> Contacts[Any]:
    return client(UserApi(api_key="sample", base_url="https://user-api.example.com"), answer, sent)


class TestSendGridsIdentifierExample:
    CONTACT = "ZGkrHSypTsudrGkmdpJJ"

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"id": self.CONTACT, "email": "", "phone_number_id": "15555555555"})
        return httpx.Response(202, json={"job_id": "job-1"})

    def test_it_goes_out_as_printed(self) -> None:
        sent: list[httpx.Request] = []
        outcome = sendgrid(self.answer, sent).remove_identifier(self.CONTACT, Identifier.phone("15555555555"))
        request = sent[-1]
        assert request.method == "DELETE"
        assert str(request.url) == f"https://api.sendgrid.com/v3/marketing/contacts/{self.CONTACT}/identifiers"
        assert json.loads(request.content) == {"identifier_type": "PHONENUMBERID", "identifier_value": "15555555555"}
        assert request.headers["content-type"] == "application/json"
        assert request.headers["authorization"] == "Bearer SG.sample"
        assert (outcome.state, outcome.jobs[0].id) == (OutcomeState.ACCEPTED, "job-1")

    @pytest.mark.parametrize(
        ("job", "there", "state"),
        [
            ("completed", True, OutcomeState.DONE),
            ("failed", False, OutcomeState.DONE),  # the first request did it, so the job of the second has failed
            ("failed", True, OutcomeState.PARTIAL),  # or is about to do it: nobody knows
            ("pending", False, OutcomeState.DONE),
            ("pending", True, OutcomeState.PARTIAL),
        ],
    )
    def test_after_a_lost_answer_the_contact_decides_what_became_of_it(
        self, job: str, state: OutcomeState, *, there: bool
    ) -> None:
        deletes: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            if request.method == "DELETE":
                deletes.append(request)
                if len(deletes) == 1:
                    raise httpx.ReadError("the connection was cut")
            elif "imports" in request.url.path:
                return httpx.Response(200, json={"id": "job-1", "status": job, "results": {}})
            elif deletes and not there:
                return httpx.Response(200, json={"id": self.CONTACT, "email": ""})
            return self.answer(request)

        provider = SendGrid(api_key="SG.sample")
        http = httpx.Client(transport=httpx.MockTransport(answer))
        contacts = Contacts(provider, transport=BlockingTransport(provider, http, sleep=lambda _: None))
        outcome = contacts.remove_identifier(self.CONTACT, Identifier.phone("15555555555"))
        assert outcome.state is state
        assert len(deletes) == 2

    def test_after_a_lost_answer_an_error_says_that_it_may_have_been_done(self) -> None:
        deletes: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            if request.method == "DELETE":
                deletes.append(request)
                if len(deletes) == 1:
                    raise httpx.ReadError("the connection was cut")
                return httpx.Response(403, json={"errors": [{"message": "access forbidden"}]})
            return self.answer(request)

        with pytest.raises(errors.Forbidden) as raised:
            sendgrid(answer).remove_identifier(self.CONTACT, Identifier.phone("15555555555"))
        assert raised.value.unclear

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            (IdentifierKind.EMAIL, "EMAIL"),
            (IdentifierKind.PHONE, "PHONENUMBERID"),
            (IdentifierKind.EXTERNAL_ID, "EXTERNALID"),
            (IdentifierKind.ANONYMOUS_ID, "ANONYMOUSID"),
        ],
    )
    def test_the_four_types(self, kind: IdentifierKind, name: str) -> None:
        assert mapping.DELETE_TYPES[kind] == name


class TestSendGridsDeletion:
    def test_ids_are_one_comma_joined_parameter_without_spaces(self) -> None:
        sent: list[httpx.Request] = []
        sendgrid(lambda _: httpx.Response(202, json={"job_id": "j"}), sent).delete_contacts(["1", "2"])
        assert (sent[0].method, sent[0].url.query) == ("DELETE", b"ids=1%2C2")
        assert sent[0].content == b""

    def test_everyone_is_a_parameter_of_its_own(self) -> None:
        sent: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            counted = request.url.path.endswith("/count")
            return httpx.Response(200, json={"contact_count": 3} if counted else {"job_id": "j"})

        sendgrid(answer, sent).delete_all_contacts(confirm="sendgrid")
        assert sent[-1].url.query == b"delete_all_contacts=true"

    def test_nothing_but_the_method_for_everyone_can_name_everyone(self) -> None:
        sent: list[httpx.Request] = []
        account = sendgrid(lambda _: httpx.Response(202, json={"job_id": "j"}), sent)
        for ids in ([], [""], ["x&delete_all_contacts=true"], ["delete_all_contacts"]):
            account.delete_contacts(ids)
        assert [b"delete_all" in request.url.query for request in sent if b"=true" in request.url.query] == []

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"errors": [{"field": "field_name", "message": "error message"}]}, "field_name: error message"),
            ({"errors": [{"field": None, "message": "too many requests"}]}, "too many requests"),
            (
                {
                    "message": "either 'ids' OR 'delete_all_contacts' should be supplied as query param",
                    "parameter": "ids/delete_all_contacts",
                },
                "either 'ids' OR",
            ),
            ([{"message": "list not found", "error_id": "1"}], "list not found"),
            ({"error": "refresh too soon"}, "refresh too soon"),
        ],
    )
    def test_every_shape_of_error_is_read(self, body: Any, words: str) -> None:
        account = sendgrid(lambda _: httpx.Response(400, json=body))
        with pytest.raises(errors.Rejected, match=words.split(" OR", maxsplit=1)[0].replace("(", r"\(")):
            account.count()

    @pytest.mark.parametrize(("status", "kind"), [(401, errors.Unauthenticated), (403, errors.Forbidden)])
    def test_an_empty_body_is_an_error_all_the_same(self, status: int, kind: type[errors.ProviderError]) -> None:
        with pytest.raises(kind, match="no reason given"):
            sendgrid(lambda _: httpx.Response(status)).count()


class TestSendGridsContacts:
    @pytest.mark.parametrize(
        "text",
        [
            "2025-11-18T14:50:24Z",
            "2025-11-18T14:50:24.000000001Z",
            "2025-11-18 14:50:24 +0000 UTC",
            1763477424,
            "1763477424",
        ],
    )
    def test_every_form_of_time_is_read(self, text: str | int) -> None:
        body: Any = {"id": "1", "email": "jane@example.com", "alternate_emails": [], "created_at": text}
        contact = sendgrid(lambda _: httpx.Response(200, json={"result": [body]})).get_contacts(["1"])["1"]
        assert contact is not None
        assert contact.created_at == datetime(2025, 11, 18, 14, 50, 24, tzinfo=UTC)

    def test_nulls_empty_texts_and_absent_fields_all_mean_nothing(self) -> None:
        body: dict[str, Any] = {
            "id": "1",
            "email": "jane@example.com",
            "first_name": "",
            "last_name": None,
            "phone_number_id": "",
            "alternate_emails": None,
            "list_ids": [],
            "segment_ids": None,
            "custom_fields": None,
            "created_at": "",
        }
        contact = sendgrid(lambda _: httpx.Response(200, json={"result": [body]})).get_contacts(["1"])["1"]
        assert contact is not None
        assert contact.identifiers == (Identifier.email("jane@example.com"),)
        assert (contact.first_name, contact.last_name, contact.created_at) == (None, None, None)
        assert (contact.lists, contact.custom, contact.extra) == ((), {}, {})

    def test_custom_fields_go_out_by_id_and_come_back_by_name(self) -> None:
        sent: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            if request.method == "GET":
                fields = [{"id": "w1_T", "name": "favourite_drink", "field_type": "Text"}]
                return httpx.Response(200, json={"custom_fields": fields, "reserved_fields": []})
            if request.method == "PUT":
                return httpx.Response(202, json={"job_id": "j"})
            found = {"id": "1", "custom_fields": {"favourite_drink": "coffee"}}
            return httpx.Response(200, json={"result": [found]})

        account = sendgrid(answer, sent)
        jane = Contact(identifiers=(Identifier.email("Jane@Example.com"),), custom={"Favourite_Drink": "coffee"})
        account.upsert_contacts([jane])
        assert json.loads(sent[-1].content)["contacts"] == [
            {"email": "jane@example.com", "custom_fields": {"w1_T": "coffee"}}
        ]
        read = account.get_contacts(["1"])["1"]
        assert read is not None
        assert read.custom == {"favourite_drink": "coffee"}

    def test_addresses_asked_in_capitals_are_found_in_lower_case(self) -> None:
        shown = {"id": "1", "email": "other@example.com", "alternate_emails": ["jane_doe@example.com"]}
        body = {"result": {"jane_doe@example.com": {"contact": shown},
                           "joann_doe@example.com": {"error": "contact not found"}}}  # fmt: skip
        jane, joann = Identifier.email("Jane_Doe@Example.com"), Identifier.email("joann_doe@example.com")
        found = sendgrid(lambda _: httpx.Response(200, json=body)).find([jane, joann])
        assert found[jane] is not None
        assert found[joann] is None

    def test_none_found_is_no_error(self) -> None:
        jane = Identifier.email("jane@example.com")
        body = {"errors": [{"message": "contacts not found"}]}
        assert sendgrid(lambda _: httpx.Response(404, json=body)).find([jane])[jane] is None

    def test_only_an_alternate_address_is_never_removed_by_the_type_for_primary_ones(self) -> None:
        sent: list[httpx.Request] = []
        body = {"id": "1", "email": "jane@example.com", "alternate_emails": ["janedoe@example.com"]}
        account = sendgrid(lambda _: httpx.Response(200, json=body), sent)
        outcome = account.remove_identifier("1", Identifier.email("janedoe@example.com"))
        assert outcome.state is OutcomeState.FAILED
        assert [request.method for request in sent] == ["GET"]

    def test_settings_for_europe_and_subusers(self) -> None:
        sent: list[httpx.Request] = []
        account = sendgrid(
            lambda _: httpx.Response(200, json={"contact_count": 0}),
            sent,
            base_url="https://api.eu.sendgrid.com/",
            on_behalf_of="account-id 7",
        )
        account.count()
        assert sent[0].url.host == "api.eu.sendgrid.com"
        assert sent[0].headers["on-behalf-of"] == "account-id 7"

    @pytest.mark.parametrize(
        ("status", "results", "state", "counted", "refused"),
        [
            ("pending", {"created_count": 1}, JobState.PENDING, 1, 0),
            ("completed", {"deleted_count": 1}, JobState.DONE, 1, 0),
            ("completed", {}, JobState.DONE, 0, 0),
            ("errored", {"deleted_count": 0, "errored_count": 1}, JobState.PARTIAL, 0, 1),
            ("failed", {}, JobState.FAILED, 0, 1),
            ("a state of tomorrow", {}, JobState.PENDING, 0, 0),
        ],
    )
    def test_states_and_counts_of_jobs(
        self, status: str, results: dict[str, int], state: JobState, counted: int, refused: int
    ) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            if request.method == "DELETE":
                return httpx.Response(202, json={"job_id": "j"})
            return httpx.Response(200, json={"id": "j", "status": status, "job_type": "?", "results": results})

        account = sendgrid(answer)
        outcome = account.delete_contacts(["1"])
        seen = outcome.with_jobs([account.get_job(outcome.jobs[0])])
        assert (seen.jobs[0].state, seen.succeeded_count, seen.failed_count) == (state, counted, refused)


class TestBirdsRemovalExamples:
    def test_by_contact_id(self) -> None:
        sent: list[httpx.Request] = []
        outcome = bird(lambda _: httpx.Response(200, json={"itemsProcessed": 1}), sent).remove_from_list(
            LIST, [CONTACT]
        )
        (request,) = sent
        assert request.method == "DELETE"
        assert str(request.url) == f"https://api.bird.com/workspaces/{WORKSPACE}/lists/{LIST}/contacts"
        assert request.headers["authorization"] == "AccessKey abcd"
        assert json.loads(request.content) == {"contacts": [CONTACT]}
        assert outcome.state is OutcomeState.DONE

    def test_by_identifiers_removes_although_the_page_prints_the_method_that_adds(self) -> None:
        sent: list[httpx.Request] = []
        members = [Identifier.email("someone@example.com"), Identifier.phone("+31600000000")]
        bird(lambda _: httpx.Response(200, json={"itemsProcessed": 2}), sent).remove_from_list(LIST, members)
        (request,) = sent
        assert request.method == "DELETE"
        assert json.loads(request.content) == {
            "identifiers": [
                {"key": "emailaddress", "value": "someone@example.com"},
                {"key": "phonenumber", "value": "+31600000000"},
            ]
        }

    def test_a_lower_count_is_partial_and_a_re_read_tells_which(self) -> None:
        gone, still = CONTACT, CONTACT.replace("12bd", "22bd")

        def answer(request: httpx.Request) -> httpx.Response:
            if request.method == "DELETE":
                return httpx.Response(200, json={"itemsProcessed": 1})
            lists = [{"id": LIST, "name": "x"}] if still in request.url.path else []
            return httpx.Response(200, json={"results": lists})

        outcome = bird(answer).remove_from_list(LIST, [gone, still])
        assert outcome.state is OutcomeState.PARTIAL
        assert outcome.confirmed == (gone,)
        assert [failure.item for failure in outcome.failed] == [still]

    def test_a_hundred_members_go_in_one_request(self) -> None:
        sent: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            body = json.loads(request.content)
            return httpx.Response(200, json={"itemsProcessed": sum(map(len, body.values()))})

        members = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(150)]
        addresses = [Identifier.email(f"p{n}@example.com") for n in range(51)]
        outcome = bird(answer, sent).remove_from_list(LIST, [*members, *addresses])
        assert sorted(sum(map(len, json.loads(r.content).values())) for r in sent) == [1, 100, 100]
        assert (outcome.state, outcome.succeeded_count) == (OutcomeState.DONE, 201)


JANE: dict[str, Any] = {
    "id": "contact_67890",
    "full_name": "Jane Smith",
    "first_name": "Jane",
    "last_name": "Smith",
    "title": "Senior Product Manager",
    "description": "Experienced product manager with a focus on SaaS products",
    "location": "New York, NY",
    "image_url": None,
    "linkedin_slug": "janesmith",
    "website_url": "<https://janesmith.example>",
    "x_slug": None,
    "facebook_slug": None,
    "instagram_slug": None,
    "birthday_day": None,
    "birthday_month": None,
    "birthday_year": None,
    "is_starred": False,
    "ignore_merge": False,
    "last_team_interaction": None,
    "created_at": "2025-01-15T10:30:00Z",
    "updated_at": "2025-01-15T12:45:00Z",
    "emails": [{"id": "email_234", "email_address": "jane.smith@example.com", "is_primary": True}],
    "phone_numbers": [{"id": "phone_567", "phone_number": "5551234567", "country_code": "+1", "is_primary": True}],
    "companies": [
        {
            "id": "company_123",
            "name": "Tech Corp",
            "title": "Senior Product Manager",
            "is_active": True,
            "start_date": "2023-01-15",
        }
    ],
    "tags": [{"tag": {"id": "tag_123", "name": "Lead"}}],
    "lists": [{"list": {"id": "list_789", "name": "Q1 Targets"}}],
    "notes": [{"note": {"id": "note_101", "body": "Initial outreach completed"}}],
    "custom_fields": [{"id": "field_123", "name": "Lead Score", "field_type": "NUMERIC", "value": 88}],
}


class TestTheRecordOfJaneSmith:
    def jane(self, sent: list[httpx.Request] | None = None) -> Contact:
        outcome = user_api(lambda _: httpx.Response(200, json={"data": JANE}), sent).delete_contacts(["contact_67890"])
        assert (outcome.state, outcome.confirmed) == (OutcomeState.DONE, ("contact_67890",))
        return outcome.deleted[0]

    def test_the_request_is_the_one_printed(self) -> None:
        sent: list[httpx.Request] = []
        self.jane(sent)
        assert sent[0].method == "DELETE"
        assert sent[0].url.path == "/user-api/v1/contacts/contact_67890"
        assert sent[0].url.params["include"] == "emails,phone_numbers,companies,custom_fields,tags,lists,notes"
        assert sent[0].headers["x-rolodex-api-key"] == "sample"

    def test_every_shared_field_is_read(self) -> None:
        jane = self.jane()
        assert (jane.id, jane.provider, jane.name) == ("contact_67890", "user-api", "Jane Smith")
        assert (jane.first_name, jane.last_name, jane.title) == ("Jane", "Smith", "Senior Product Manager")
        assert (jane.email, jane.phone) == ("jane.smith@example.com", "+15551234567")
        phone = jane.primary(IdentifierKind.PHONE)
        assert phone is not None
        assert (phone.value, phone.country_code) == ("5551234567", "+1")
        assert phone == Identifier.phone("+1 (555) 123-4567")
        assert jane.organization == "Tech Corp"
        assert jane.address is not None
        assert jane.address.formatted == "New York, NY"
        assert (jane.lists, jane.tags, jane.custom) == (("list_789",), ("Lead",), {"Lead Score": 88})
        assert jane.created_at == datetime(2025, 1, 15, 10, 30, tzinfo=UTC)

    def test_nothing_is_lost(self) -> None:
        jane = self.jane()
        shared = {"id", "full_name", "first_name", "last_name", "title", "location", "created_at", "updated_at"}
        relations = {"emails", "phone_numbers", "custom_fields", "tags", "lists"}
        assert jane.extra["relations"] == {name: JANE[name] for name in relations}
        kept = {name: value for name, value in JANE.items() if name not in shared | relations and value is not None}
        kept["website_url"] = "https://janesmith.example"
        assert {name: value for name, value in jane.extra.items() if name != "relations"} == kept

    def test_she_can_be_written_back_and_moved(self) -> None:
        jane = self.jane()
        preview = mapping.preview(evolve(jane, provider="", id=""), Shape(fields=()), {})
        assert preview.written is not None
        assert mapping.to_write(preview.written, {}, {})["phone_number_id"] == "+15551234567"
        lost = {each.field for each in preview.losses}
        assert {"organization", "title", "tags", "address.formatted", "custom.Lead Score", "extra.notes"} <= lost


class TestUserApisRelations:
    def account(self, sent: list[httpx.Request], *, forget: bool = False) -> Contacts[Any]:
        state = json.loads(json.dumps(JANE))
        state["emails"].append({"id": "email_235", "email_address": "JS@example.com", "is_primary": False})

        def answer(request: httpx.Request) -> httpx.Response:
            if request.method == "PUT" and not forget:
                state.update(json.loads(request.content))
            return httpx.Response(200, json={"data": state})

        return user_api(answer, sent)

    def test_the_rest_of_the_relation_is_written_as_it_was(self) -> None:
        sent: list[httpx.Request] = []
        outcome = self.account(sent).remove_identifier("contact_67890", Identifier.email("js@EXAMPLE.com"))
        assert [request.method for request in sent] == ["GET", "PUT", "GET"]
        rest = [{"email_address": "jane.smith@example.com", "is_primary": True}]
        assert json.loads(sent[1].content) == {"emails": rest}
        assert (outcome.state, outcome.emulated) == (OutcomeState.DONE, True)

    def test_a_write_that_another_one_undid_is_a_failure(self) -> None:
        outcome = self.account([], forget=True).remove_identifier("contact_67890", Identifier.email("js@example.com"))
        assert outcome.state is OutcomeState.FAILED
        assert "another writer" in outcome.failed[0].reason

    @pytest.mark.parametrize(
        ("field_type", "value", "read"),
        [
            ("NUMERIC", 88, 88),
            ("SINGLE_LINE_TEXT", "x", "x"),
            ("SINGLE_SELECT", {"id": "option_1", "value": "Lead"}, "Lead"),
            ("MULTI_SELECT", [{"id": "1", "value": "a"}, {"id": "2", "value": "b"}], ("a", "b")),
            ("DATE", "2025-01-15", date(2025, 1, 15)),
            ("DATE", "soon", "soon"),
            ("BOOLEAN", True, True),
            ("USER", {"id": "user_1"}, '{"id":"user_1"}'),
            ("A TYPE OF TOMORROW", [1, 2], ("1", "2")),
            ("NUMERIC", None, None),
        ],
    )
    def test_custom_values_of_every_type(self, field_type: str, value: Any, read: Any) -> None:
        field = {"id": "f1", "name": "x", "field_type": field_type, "value": value}
        body = JANE | {"id": "c1", "custom_fields": [field]}
        contact = user_api(lambda _: httpx.Response(200, json={"data": body})).get_contacts(["c1"])["c1"]
        assert contact is not None
        assert contact.custom == {"x": read}

    def test_types_of_fields_nobody_knows_do_not_crash(self) -> None:
        body = {"data": [{"id": "f", "name": "x", "field_type": "HOLOGRAM"}], "pagination": {"total": 1}}
        (field,) = user_api(lambda _: httpx.Response(200, json=body)).custom_fields()
        assert field.type is FieldType.OTHER


def test_a_query_is_never_pasted() -> None:
    sent: list[httpx.Request] = []
    account = sendgrid(lambda _: httpx.Response(200, json={"result": [], "contact_count": 0}), sent)
    assert list(account.search(F.last_name == "x' OR '1'='1\\")) == []
    assert json.loads(sent[0].content) == {"query": "(last_name = 'x\\' OR \\'1\\'=\\'1\\\\')"}


def test_an_export_is_checked_where_exports_are_and_a_bare_id_is_looked_for_in_both_places() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if "/imports/" in request.url.path:
            return httpx.Response(404, json={"errors": [{"message": "not found"}]})
        return httpx.Response(200, json={"id": "7", "status": "ready", "urls": [], "contact_count": 3})

    job = sendgrid(answer, sent).get_job("7")
    assert (job.state, job.operation, job.succeeded) == (JobState.DONE, "export", 3)
    assert [request.url.path.split("/")[-2] for request in sent] == ["imports", "exports"]


def test_a_list_removal_that_cannot_be_read_is_unknown_and_other_jobs_are_not_found() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            return httpx.Response(202, json={"job_id": "7"})
        if request.url.path == "/v3/marketing/lists":
            return httpx.Response(200, json={"result": [{"id": LIST, "name": "The list"}], "_metadata": {}})
        return httpx.Response(404, json={"errors": [{"message": "not found"}]})

    account = sendgrid(answer)
    outcome = account.wait(account.remove_from_list(LIST, [CONTACT]))
    assert (outcome.jobs[0].state, outcome.state) == (JobState.UNKNOWN, OutcomeState.PARTIAL)
    with pytest.raises(errors.NotFound):
        account.wait(account.delete_contacts([CONTACT]))


def test_the_answer_to_a_raw_call_is_what_the_vendor_sent() -> None:
    assert bird(lambda _: httpx.Response(204)).request("DELETE", f"/workspaces/{WORKSPACE}/lists/{LIST}") is None
    assert bird(lambda _: httpx.Response(200, content=b"nonsense")).request("GET", "/contacts") == "nonsense"
    json = {"content-type": "application/json"}
    with pytest.raises(errors.UnexpectedPayload):
        bird(lambda _: httpx.Response(200, content=b"nonsense", headers=json)).request("GET", "/contacts")


def test_a_list_on_a_later_page_is_still_a_membership() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            return httpx.Response(200, json={"itemsProcessed": 0})
        if "pageToken" in request.url.params:
            return httpx.Response(200, json={"results": [{"id": LIST, "name": "x"}]})
        return httpx.Response(200, json={"results": [], "nextPageToken": "more"})

    account = bird(answer, knows_the_list=False)
    outcome = account.remove_from_list(LIST, [CONTACT])
    assert outcome.state is OutcomeState.FAILED
    assert LIST in {each.id for each in account.lists()}


def test_a_contact_that_does_not_tell_its_lists_is_looked_for_on_the_list() -> None:
    on, off = CONTACT, CONTACT.replace("12bd", "22bd")
    people = [{"id": name, "identifierCount": 0} for name in (on, off)]

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"results": people[:1] if "/lists/" in request.url.path else people})

    assert [contact.id for contact in bird(answer).search(F.list == LIST)] == [on]
    assert [contact.id for contact in bird(answer).search(~(F.list == LIST))] == [off]


def test_pages_that_end_before_their_total_are_no_whole_export() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        data = [JANE] if request.url.params["offset"] == "0" else []
        return httpx.Response(200, json={"data": data, "pagination": {"total": 5, "limit": 1, "offset": 0}})

    with pytest.raises(errors.IncompleteExport) as raised:
        list(user_api(answer).export())
    assert (raised.value.found, raised.value.total) == (1, 5)


def test_a_search_without_its_total_is_not_taken_for_complete() -> None:
    with pytest.raises(errors.UnexpectedPayload, match="contact_count"):
        list(sendgrid(lambda _: httpx.Response(200, json={"result": []})).search(F.first_name == "x"))


class TestBirdAnswersAboutSomebodyElse:
    OTHER = "22bd0e40-9361-4e32-8b26-99b4ab7eae09"
    WANTED = Identifier.email("jane@example.com")

    def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/contacts/search"):
            shown = [{"key": "emailaddress", "value": "somebody.else@example.com"}]
            found = [{"id": self.OTHER, "identifierCount": 1, "featuredIdentifiers": shown}]
            return httpx.Response(200, json={"results": found})
        if request.method == "GET":
            return httpx.Response(200, json={"results": [{"id": LIST, "name": "The list"}]})
        return httpx.Response(200, json={"itemsProcessed": 0})

    @pytest.mark.parametrize("operation", ["remove_from_list", "add_to_list"])
    def test_a_member_under_several_keys_is_not_absent_and_nothing_is_sent(self, operation: str) -> None:
        sent: list[httpx.Request] = []
        account = client(
            Bird(access_key="abcd", workspace_id=WORKSPACE, email_keys="emailaddress,work"), self.handle, sent
        )
        outcome = getattr(account, operation)(LIST, [self.WANTED])
        assert outcome.absent == ()
        assert [failure.item for failure in outcome.failed] == [self.WANTED.value]
        assert "1 other contact(s)" in outcome.failed[0].reason
        assert [r.url.path for r in sent if r.method != "GET" and not r.url.path.endswith("/search")] == []

    @pytest.mark.parametrize("operation", ["remove_from_list", "add_to_list"])
    def test_a_member_that_was_not_processed_is_not_absent(self, operation: str) -> None:
        outcome = getattr(bird(self.handle), operation)(LIST, [self.WANTED])
        assert (outcome.absent, outcome.confirmed, outcome.unconfirmed) == ((), (), 1)


def rolodex(number: int, **relations: Any) -> dict[str, Any]:
    email = {"email_address": f"p{number}@example.com", "is_primary": True}
    known = {"emails": [email], "phone_numbers": [], "lists": [], "tags": [], "custom_fields": []}
    return {"id": f"c{number}", "first_name": f"P {number}", **known, **relations}


class TestUserApiPagesThatComeTwice:
    def answer(self, request: httpx.Request, pages: list[range]) -> httpx.Response:
        if request.method == "DELETE":
            return httpx.Response(200, json={"data": rolodex(int(request.url.path.rpartition("/c")[2]))})
        offset = int(request.url.params["offset"])
        page = {"total": 300, "limit": 100, "offset": offset}
        return httpx.Response(200, json={"data": list(map(rolodex, pages[offset // 100])), "pagination": page})

    @pytest.mark.parametrize(
        ("pages", "error"),
        [
            ([range(100), range(100, 200), range(100)], errors.UnexpectedPayload),
            ([range(100), range(100, 200), range(50, 150)], errors.IncompleteExport),
        ],
    )
    def test_nobody_is_deleted_where_not_everybody_was_shown(self, pages: list[range], error: type[Exception]) -> None:
        sent: list[httpx.Request] = []
        account = user_api(lambda request: self.answer(request, pages), sent)
        with pytest.raises(error):
            account.delete_all_contacts(confirm="user-api")
        assert {request.method for request in sent} == {"GET"}

    def test_a_scan_that_sees_a_page_again_later_says_of_nobody_that_there_is_none(self) -> None:
        pages = [range(100), range(100, 200), range(100)]
        account = user_api(lambda request: self.answer(request, pages))
        with pytest.raises(errors.UnexpectedPayload, match="same page"):
            list(account.export())


class TestUserApiWritesThatLoseMore:
    @pytest.mark.parametrize("operation", ["remove_from_list", "add_to_list", "remove_identifier"])
    def test_what_vanished_with_a_write_is_not_called_done(self, operation: str) -> None:
        emails = [{"email_address": f"{name}@example.com", "is_primary": name == "p"} for name in ("p", "q")]
        stored = rolodex(1, emails=emails, lists=[{"list": {"id": name, "name": name}} for name in ("l1", "l2")])

        def answer(request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/lists"):
                found = [{"id": name, "name": name} for name in ("l1", "l2", "l3")]
                return httpx.Response(200, json={"data": found, "pagination": {"total": 3}})
            if request.method == "PUT":
                body = json.loads(request.content)
                lists = body.get("lists", [])
                stored["emails"] = []
                stored["lists"] = [{"list": {"id": "l3", "name": "l3"}}] if "l3" in lists else []
            return httpx.Response(200, json={"data": stored})

        account = user_api(answer)
        match operation:
            case "remove_from_list":
                outcome = account.remove_from_list("l1", ["c1"])
            case "add_to_list":
                outcome = account.add_to_list("l3", ["c1"])
            case _:
                outcome = account.remove_identifier("c1", Identifier.email("p@example.com"))
        assert (outcome.confirmed, len(outcome.failed)) == ((), 1)
        assert "lacks others" in outcome.failed[0].reason
