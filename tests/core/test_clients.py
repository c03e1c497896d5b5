"""Every method of both clients, from the call to the vendor and back."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any, get_type_hints

import httpx
import pytest
from attrs import frozen

import contacts_core
from contacts_core import AsyncContacts, Contacts, errors
from contacts_core.http import retry
from contacts_core.models import FieldType, Identifier, Job, JobState, Outcome, OutcomeState
from contacts_core.query import F
from tests.core.fake_providers import HOME, KEY, Acme, Bare, Script, bare, person

PEOPLE = [person(number) for number in range(1, 6)]
EMAIL = Identifier.email("person2@example.com")
JOB = Job(provider="acme", id="j1", operation="x", requested=1)


@frozen(kw_only=True)
class Rooted(Bare):
    """A vendor whose paths begin alike."""

    def path_prefix(self) -> str:
        return "/v9"


class Both:
    """One client of either kind, over a vendor that answers everything with nothing."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.requests: list[httpx.Request] = []
        self.script = Script(PEOPLE)
        self.provider = Acme(script=self.script)

    def _vendor(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200, json={"echo": request.content.decode()})

    def __call__(self, method: str, *args: Any, provider: Any = None, **options: Any) -> Any:
        transport = httpx.MockTransport(self._vendor)
        chosen: Any = provider or self.provider
        if self.kind == "sync":
            with httpx.Client(transport=transport) as http, Contacts(chosen, http, name="mine") as client:
                result = getattr(client, method)(*args, **options)
                return list(result) if isinstance(result, Iterator) else result

        async def main() -> Any:
            async with (
                httpx.AsyncClient(transport=transport) as http,
                AsyncContacts(chosen, http, name="mine") as client,
            ):
                result = getattr(client, method)(*args, **options)
                if isinstance(result, AsyncIterator):
                    return [item async for item in result]
                return await result

        return asyncio.run(main())


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest) -> Both:
    return Both(request.param)


def test_deleting(client: Both) -> None:
    outcome = client("delete_contacts", (contact.id for contact in PEOPLE))
    assert (outcome.state, outcome.succeeded_count) == (OutcomeState.DONE, 5)
    assert sorted(map(len, client.script.chunks("delete_contacts"))) == [1, 2, 2]
    assert client("delete_all_contacts", confirm="mine").state is OutcomeState.DONE
    for wrong in ("other", "acme"):  # the second is the provider's name, and other accounts may have it too
        with pytest.raises(errors.InvalidInput, match="nothing was sent"):
            client("delete_all_contacts", confirm=wrong)
    assert client("remove_identifier", "c1", EMAIL).operation == "remove_identifier"


def test_lists(client: Both) -> None:
    assert client("remove_from_list", "l1", ["c1", EMAIL]).succeeded_count == 2
    assert client("add_to_list", "l1", [EMAIL]).confirmed == ("c2",)
    assert [each.name for each in client("lists")] == ["One", "Two"]
    assert client("create_list", "New").name == "New"
    assert client("ensure_list", "Two").id == "l2"
    assert client("ensure_list", "New").id == "l3"
    assert client("delete_list", "l1").confirmed == ("l1",)


def test_fields(client: Both) -> None:
    outcome = client("change_contact", "c1", set={"title": "Baker", "custom.score": 3}, clear=["organization"])
    assert (outcome.operation, outcome.confirmed) == ("change_contact", ("c1",))
    made = client("create_custom_field", "plan", FieldType.TEXT)
    assert (made.name, made.type) == ("plan", FieldType.TEXT)


def test_reading(client: Both) -> None:
    assert client("search", F.email == "person3@example.com") == [PEOPLE[2]]
    assert client("search", F.id == "c1", scan=True) == [PEOPLE[0]]
    assert client("explain", F.id == "c1").requests == 2
    assert client("export") == PEOPLE
    assert client("export", lists=["l1"]) == []
    assert client("get_contacts", ["c1", "c9"]) == {"c1": PEOPLE[0], "c9": None}
    assert client("find", [EMAIL])[EMAIL] == PEOPLE[1]
    assert client("count") == 5
    assert [each.name for each in client("custom_fields")] == ["score"]


def test_writing_and_waiting(client: Both) -> None:
    assert client("upsert_contacts", PEOPLE, lists=["l1"]).succeeded_count == 5
    assert client("get_job", "j1").state is JobState.DONE
    assert client("get_job", JOB).state is JobState.DONE
    done = Outcome(operation="x", requested=1, confirmed=("a",))
    assert client("wait", done) == done
    with pytest.raises(errors.JobTimeout):
        client("wait", JOB, timeout=0)


@pytest.mark.parametrize("method", ["get", "POST", "delete", "patch"])
def test_a_raw_call_carries_the_key_and_gives_plain_json(client: Both, method: str) -> None:
    answer = client("request", method, "/x/a%20b", params={"q": "a b"}, json={"a": 1}, provider=bare())
    assert answer == {"echo": '{"a":1}'}
    (request,) = client.requests
    assert (request.method, request.url.raw_path.partition(b"?")[0]) == (method.upper(), b"/x/a%20b")
    assert list(request.url.params.items()) == [("q", "a b")]
    assert request.headers["authorization"].endswith(KEY)


@pytest.mark.parametrize(
    ("method", "tries"), [("get", 5), ("PUT", 5), ("delete", 5), ("HEAD", 5), ("post", 1), ("PATCH", 1)]
)
def test_a_raw_call_is_repeated_only_where_http_calls_that_safe(
    client: Both, method: str, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "backoff_s", lambda *_: 0.0)
    tries_seen: list[httpx.Request] = []

    def down(request: httpx.Request) -> httpx.Response:
        tries_seen.append(request)
        return httpx.Response(503)

    monkeypatch.setattr(client, "_vendor", down)
    with pytest.raises(errors.Unavailable):
        client("request", method, "/x", provider=bare())
    assert len(tries_seen) == tries


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "x",
            "//evil.example.com/x",
            "https://evil.example.com/x",
            "\\\\evil",
            "/a\\b",
            "/../x",
            "/a/..",
            "/a/../b",
        ),
        *("/a/..?x=1", "/a/..#x", "/%2e%2e/x", "/a/%2E%2e", "/a\n", "/a\x00", "@evil.example.com", ":80/x", "?x", "#x"),
    ],
)
def test_a_raw_call_stays_below_the_base_url(client: Both, path: str) -> None:
    with pytest.raises(errors.InvalidInput, match="relative"):
        client("request", "GET", path, provider=bare())
    assert client.requests == []


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/", "/v9/"),
        ("/v3/contacts", "/v9/v3/contacts"),
        ("/a..b/x", "/v9/a..b/x"),
        ("/v9/contacts", "/v9/contacts"),
        ("/contacts/v9/", "/v9/contacts/v9/"),
        ("/x/a%20b", "/v9/x/a%20b"),
    ],
)
def test_a_raw_call_is_written_as_on_the_vendors_pages_or_below_the_root(client: Both, path: str, sent: str) -> None:
    client("request", "GET", path, params={"a": "1"}, provider=Rooted(api_key=KEY))
    assert str(client.requests[0].url) == f"{HOME}{sent}?a=1"


def test_undeclared_is_refused_before_any_request(client: Both) -> None:
    for method, args in {"delete_contacts": [["c1"]], "export": [], "count": [], "lists": []}.items():
        with pytest.raises(errors.UnsupportedOperation):
            client(method, *args, provider=bare())
    assert client.requests == []


def public(client: type) -> dict[str, Any]:
    return {name: each for name, each in vars(client).items() if inspect.isfunction(each) and name[0] != "_"}


@pytest.mark.parametrize("kind", [Contacts, AsyncContacts])
def test_every_method_of_a_client_is_described_and_typed_without_the_transport(kind: type) -> None:
    for name, method in public(kind).items():
        assert inspect.getdoc(method), name
        hints = {where: str(hint) for where, hint in get_type_hints(method).items()}
        assert "return" in hints, name
        assert not [where for where, hint in hints.items() if "httpx" in hint], name


def test_both_clients_have_the_same_methods_with_the_same_defaults() -> None:
    def shape(client: type) -> dict[str, list[tuple[str, Any, Any]]]:
        return {
            name: [(each.name, each.kind, each.default) for each in inspect.signature(method).parameters.values()]
            for name, method in public(client).items()
        }

    assert shape(Contacts) == shape(AsyncContacts)


@pytest.mark.parametrize("opener", [contacts_core.connect, contacts_core.connect_async])
def test_only_the_parameter_for_a_client_knows_of_clients(opener: Any) -> None:
    hints = {name: str(hint) for name, hint in get_type_hints(opener).items()}
    assert [name for name, hint in hints.items() if "Client" in hint] == ["client"]
    assert not [name for name, hint in hints.items() if "httpx" in hint]
