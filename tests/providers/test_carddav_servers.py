"""CardDAV on real servers: Radicale and Xandikos from the package index, with another client writing beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import httpx
import pytest

from contacts_carddav import CardDav
from contacts_core import F
from contacts_core.client import Contacts
from contacts_core.errors import (
    ConfigurationError,
    InvalidInput,
    NotFound,
    Rejected,
    Unauthenticated,
    UnexpectedPayload,
)
from contacts_core.models import Contact, Identifier, OutcomeState
from tests.providers.dav_servers import Account, DavServer, Radicale, Xandikos

JANE = Identifier.email("jane@example.com")
HOME = Identifier.email("home@example.com")
PHOTO = "PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQAAAQABAAD/"


def card(uid: str, *lines: str, version: str = "3.0") -> str:
    head = ["BEGIN:VCARD", f"VERSION:{version}", f"UID:{uid}", "FN:Jane Doe", "N:Doe;Jane;Q.;;"]
    return "\r\n".join([*head, *lines, "END:VCARD", ""])


RICH = card(
    "u-1", "item1.EMAIL;TYPE=INTERNET:jane@example.com", "item1.X-ABLABEL:Work", "EMAIL:home@example.com", PHOTO
)


@pytest.fixture(scope="module", params=[Radicale, Xandikos], ids=["radicale", "xandikos"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    server: DavServer = request.param(tmp_path_factory.mktemp("dav"))
    with server.running():
        yield server


@pytest.fixture
def account(server: DavServer) -> Iterator[Account]:
    account = server.account()
    yield account
    account.http.close()


class Meddler:
    """Runs something just before the next write is sent, as another client would that is a moment faster."""

    def __init__(self) -> None:
        self.acts: list[Callable[[], object]] = []
        self.writes = 0

    def __call__(self, request: httpx.Request) -> None:
        if request.method in {"PUT", "DELETE"}:
            self.writes += 1
            if self.acts:
                self.acts.pop(0)()


@pytest.fixture
def meddler() -> Meddler:
    return Meddler()


@pytest.fixture
def client(account: Account, meddler: Meddler) -> Iterator[Contacts[CardDav]]:
    with (
        httpx.Client(event_hooks={"request": [meddler]}) as http,
        Contacts(account.provider(), http) as client,
    ):
        yield client


# -- what is stored


def test_what_a_write_does_not_mean_stays_as_it_stands(account: Account, client: Contacts[CardDav]) -> None:
    account.put("u-1.vcf", card("u-1", "EMAIL:jane@example.com", PHOTO, 'X-Odd;X-P="a;b":kept\\, so', "NOTE:a\\nb"))
    before = account.stored("u-1.vcf").splitlines()
    jane = client.find([JANE])[JANE]
    assert jane
    outcome = client.upsert_contacts([Contact(identifiers=(JANE, HOME), title="Head", custom={"score": "5"})])
    assert (outcome.confirmed, outcome.dropped_fields) == (("u-1",), ())
    assert client.remove_identifier("u-1", JANE).state is OutcomeState.DONE
    after = account.stored("u-1.vcf").splitlines()
    assert set(before) - set(after) == {"EMAIL:jane@example.com"}
    assert set(after) - set(before) == {"EMAIL:home@example.com", "TITLE:Head", "X-SCORE:5"}


@pytest.mark.parametrize("version", ["3.0", "4.0"])
def test_both_versions_are_edited_as_they_are(account: Account, client: Contacts[CardDav], version: str) -> None:
    account.put("u-1.vcf", card("u-1", "EMAIL:jane@example.com", version=version))
    phone = Identifier.phone("+12025550101")
    client.upsert_contacts([Contact(identifiers=(JANE, phone))])
    stored = account.stored("u-1.vcf")
    assert f"VERSION:{version}" in stored
    assert ("TEL;VALUE=uri:tel:+12025550101" in stored) is (version == "4.0")
    assert client.find([phone])[phone]


@pytest.mark.parametrize("name", ["u-1.vcf", "with%20space.vcf", "%C3%A9.vcf", "a%2Bb%25.vcf"])
def test_a_card_may_have_any_file_name_and_uid(account: Account, client: Contacts[CardDav], name: str) -> None:
    uid = 'urn:uuid:<a> & "b", é@example.com'
    account.put(name, card(uid.replace(",", "\\,"), "EMAIL:jane@example.com"))
    (found,) = client.export()
    assert found.id == uid
    assert client.get_contacts([uid])[uid] == found
    assert client.get_contacts([uid.upper()]) == {uid.upper(): None}
    assert client.delete_contacts([uid]).confirmed == (uid,)
    assert list(client.export()) == []


def test_a_copy_in_another_book_is_whole(server: DavServer, account: Account, client: Contacts[CardDav]) -> None:
    account.put("u-1.vcf", RICH)
    other = server.account()
    with closing(other.http), Contacts(other.provider()) as copy:
        assert copy.upsert_contacts(client.export()).dropped_fields == ()
        assert sorted(other.stored("u-1.vcf").splitlines()) == sorted(account.stored("u-1.vcf").splitlines())
        assert [each.id for each in copy.export()] == ["u-1"]


# -- other writers


def test_another_writers_change_is_kept(account: Account, client: Contacts[CardDav], meddler: Meddler) -> None:
    account.put("u-1.vcf", RICH)
    meddler.acts = [lambda: account.put("u-1.vcf", RICH.replace("N:Doe", "NOTE:new\r\nN:Doe"))]
    assert client.remove_identifier("u-1", JANE).confirmed == (JANE.value,)
    stored = account.stored("u-1.vcf")
    assert ("NOTE:new" in stored, "jane@example.com" in stored, meddler.writes) == (True, False, 2)


def test_who_always_comes_later_gives_up_and_overwrites_nothing(
    account: Account, client: Contacts[CardDav], meddler: Meddler
) -> None:
    account.put("u-1.vcf", RICH)
    versions = [RICH.replace("FN:Jane", f"FN:Jane{number}") for number in range(9)]
    meddler.acts = [*(lambda version=version: account.put("u-1.vcf", version) for version in versions)]
    outcome = client.delete_contacts(["u-1"])
    assert outcome.state is OutcomeState.FAILED
    assert "FN:Jane3 Doe" in account.stored("u-1.vcf")


def test_a_card_that_became_somebody_else_is_not_deleted(
    account: Account, client: Contacts[CardDav], meddler: Meddler
) -> None:
    account.put("u-1.vcf", RICH)
    meddler.acts = [lambda: account.put("u-1.vcf", card("u-1", "EMAIL:john@example.com"))]
    (failure,) = client.delete_contacts(["u-1"]).failed
    assert "other identifiers" in failure.reason
    assert "john@example.com" in account.stored("u-1.vcf")


def test_who_is_gone_meanwhile_is_absent(account: Account, client: Contacts[CardDav], meddler: Meddler) -> None:
    account.put("u-1.vcf", RICH)
    account.put("u-2.vcf", card("u-2"))
    meddler.acts = [lambda: account.http.delete(f"{account.book}u-1.vcf")] * 2
    assert client.delete_contacts(["u-1"]).absent == ("u-1",)
    account.put("u-1.vcf", RICH)
    with pytest.raises(NotFound, match="gone"):
        client.remove_identifier("u-1", JANE)
    assert client.count() == 1


def test_writes_side_by_side_wait_for_one_another(account: Account, client: Contacts[CardDav]) -> None:
    people = [Contact(identifiers=(Identifier.email(f"p-{number}@example.com"),)) for number in range(12)]
    assert client.upsert_contacts(people).state is OutcomeState.DONE
    ids = [each.id for each in client.export()]
    assert client.upsert_contacts(Contact(provider="carddav", id=id, title="Head") for id in ids).succeeded_count == 12
    assert {each.title for each in client.export()} == {"Head"}
    assert client.delete_contacts(ids).succeeded_count == 12
    assert client.count() == 0


def test_an_upsert_decides_anew(account: Account, client: Contacts[CardDav], meddler: Meddler) -> None:
    account.put("u-1.vcf", RICH)
    meddler.acts = [lambda: account.put("u-1.vcf", card("u-1", "EMAIL:john@example.com"))]
    (failure,) = client.upsert_contacts([Contact(identifiers=(JANE,), title="Head")]).failed
    assert "none of these identifiers" in failure.reason
    assert "TITLE" not in account.stored("u-1.vcf")


def test_a_change_of_fields_keeps_what_others_write_meanwhile(
    account: Account, client: Contacts[CardDav], meddler: Meddler
) -> None:
    account.put("u-1.vcf", card("u-1", "TITLE:Cook", "ORG:Example", "CATEGORIES:Friends"))
    meddler.acts = [lambda: account.put("u-1.vcf", card("u-1", "TITLE:Cook", "ORG:Example", "NOTE:theirs"))]
    assert client.change_contact("u-1", set={"title": "Baker"}, clear=["organization"]).confirmed == ("u-1",)
    stored = account.stored("u-1.vcf")
    assert "TITLE:Baker" in stored
    assert "NOTE:theirs" in stored
    assert "ORG" not in stored
    assert client.change_contact("u-1", set={"title": "Baker"}, clear=["organization"]).confirmed == ("u-1",)
    with pytest.raises(NotFound):
        client.change_contact("u-9", set={"title": "Baker"})


def test_members_that_others_add_stay(account: Account, client: Contacts[CardDav], meddler: Meddler) -> None:
    account.put("u-1.vcf", RICH)
    group = client.create_list("Team")
    place = f"{group.id}.vcf"
    text = account.http.get(f"{account.book}{place}").text
    added = text.replace("END:VCARD", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:u-9\r\nEND:VCARD")
    meddler.acts = [lambda: account.put(place, added)]
    assert client.add_to_list(group.id, ["u-1"]).confirmed == ("u-1",)
    stored = account.stored(place)
    assert "urn:uuid:u-9" in stored
    assert "urn:uuid:u-1" in stored


# -- lists, queries, changes


def test_categories_are_lists_and_tags(account: Account, client: Contacts[CardDav]) -> None:
    account.put("u-1.vcf", card("u-1", "CATEGORIES:Friends,A\\,B"))
    account.put("u-2.vcf", card("u-2", "CATEGORIES:Old friends"))
    assert [(each.id, each.name) for each in client.lists()] == [
        ("category:A,B", "A,B"),
        ("category:Friends", "Friends"),
        ("category:Old friends", "Old friends"),
    ]
    assert client.add_to_list("category:Old friends", ["u-1", "u-2", "u-3"]).absent == ("u-3",)
    assert {each.id: each.tags for each in client.export()} == {
        "u-1": ("Friends", "A,B", "Old friends"),
        "u-2": ("Old friends",),
    }
    assert [each.id for each in client.export(lists=["category:A,B"])] == ["u-1"]
    assert client.remove_from_list("category:A,B", ["u-1", "u-2"]).absent == ("u-2",)
    assert client.delete_list("category:Old friends").state is OutcomeState.DONE
    assert [each.name for each in client.lists()] == ["Friends"]


@pytest.mark.parametrize(("version", "kind"), [("3.0", "X-ADDRESSBOOKSERVER-KIND"), ("4.0", "KIND")])
def test_groups_of_both_versions_are_lists(
    account: Account, client: Contacts[CardDav], version: str, kind: str
) -> None:
    account.put("u-1.vcf", card("u-1", "EMAIL:jane@example.com"))
    account.put("g.vcf", card("g-1", f"{kind}:group", version=version))
    assert client.add_to_list("g-1", ["u-1", "nobody"]).absent == ("nobody",)
    (jane,) = client.export(lists=["g-1"])
    assert (jane.id, jane.lists, client.count()) == ("u-1", ("g-1",), 1)
    assert client.delete_contacts(["g-1"]).absent == ("g-1",)
    assert client.delete_list("g-1").state is OutcomeState.DONE
    assert [each.lists for each in client.export()] == [()]


def test_the_server_is_asked_what_it_can_answer(account: Account, client: Contacts[CardDav]) -> None:
    account.put("u-1.vcf", card("u-1", "EMAIL:Jane@Example.com", "ORG:Example\\, Inc.;Sales", "X-SCORE:5"))
    account.put("u-2.vcf", card("u-2", "EMAIL:jane-2@example.com", "CATEGORIES:Friends"))
    for query, expected in {
        "email": (F.email == "jane@example.com", ["u-1"]),
        "name": (F.first_name == "Jane", ["u-1", "u-2"]),
        "start": (F.last_name.startswith("D"), ["u-1", "u-2"]),
        "case": (F.last_name.startswith("d"), []),
        "org": (F.organization.contains("Inc"), ["u-1"]),
        "tag": (F.tag == "Friends", ["u-2"]),
        "custom": (F.custom["score"] == "5", ["u-1"]),
        "either": ((F.tag == "Friends") | (F.organization.contains("Example")), ["u-1", "u-2"]),
        "both": ((F.tag == "Friends") & (F.organization.contains("Example")), []),
    }.values():
        assert client.explain(query).strategy.value == "native"
        assert sorted(each.id for each in client.search(query)) == expected
        assert sorted(each.id for each in client.search(query, scan=True)) == expected


def test_changes_since_a_token(account: Account, client: Contacts[CardDav]) -> None:
    for number in range(3):
        account.put(f"u-{number}.vcf", card(f"u-{number}"))
    first = client.run(client.provider.changes())
    assert sorted(each.id for each in first.contacts) == ["u-0", "u-1", "u-2"]
    gone = next(each.extra["href"] for each in first.contacts if each.id == "u-0")
    account.http.delete(f"{account.book}u-0.vcf")
    account.put("u-1.vcf", card("u-1", "TITLE:Head"))
    group = client.create_list("Team")
    second = client.run(client.provider.changes(first.token))
    assert [(each.id, each.title) for each in second.contacts] == [("u-1", "Head")]
    assert [each.id for each in second.lists] == [group.id]
    assert list(second.removed) == [gone]
    third = client.run(client.provider.changes(second.token))
    assert (list(third.contacts), list(third.lists), list(third.removed)) == ([], [], [])
    with pytest.raises(InvalidInput, match="token"):
        client.run(client.provider.changes("http://example.com/no-such-token"))


# -- where the books are


def test_a_book_is_found_by_name_path_or_address(server: DavServer) -> None:
    account = server.account("Own & <name>")
    with closing(account.http):
        account.put("u-1.vcf", RICH)
        path = account.book.removeprefix(server.url)
        for changes in (
            {"address_book": "Own & <name>"},
            {"address_book": path},
            {"base_url": account.book, "address_book": ""},
            {"base_url": f"{server.url}/{path.split('/')[1]}", "address_book": "Own & <name>"},
        ):
            with Contacts(account.provider(**changes)) as client:
                assert [each.id for each in client.export()] == ["u-1"]
                assert client.run(client.provider.account_id()) == account.book


def test_several_books_have_to_be_told_apart(server: DavServer, account: Account) -> None:
    server.make_book(account.http, f"{account.book.removeprefix(server.url).rstrip('/')}-2/", "Second")
    with Contacts(account.provider(address_book="")) as client, pytest.raises(ConfigurationError) as caught:
        list(client.export())
    assert "Second" in caught.value.hint
    with Contacts(account.provider(address_book="Third")) as client, pytest.raises(ConfigurationError, match="Third"):
        list(client.export())


def test_a_server_without_books_is_told() -> None:
    told = pytest.raises(ConfigurationError, match="no address books")
    with web_server(b"<html>welcome</html>", 200) as url, Contacts(CardDav(base_url=url)) as client, told:
        client.count()


class Web(BaseHTTPRequestHandler):
    """Answers everything the same."""

    body: ClassVar[bytes]
    status: ClassVar[int]
    seen: ClassVar[list[tuple[str, str, str | None]]]

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.command, self.path, self.headers.get("Authorization")))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_PROPFIND = do_REPORT = _answer  # noqa: N815 - as the base class calls them

    def log_message(self, format: str, *args: Any) -> None:
        pass


class web_server:  # noqa: N801 - used as a function
    def __init__(self, body: bytes, status: int) -> None:
        self.seen: list[tuple[str, str, str | None]] = []
        handler = type("Handler", (Web,), {"body": body, "status": status, "seen": self.seen})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> str:
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


# -- odd servers

BROKEN = """<d:response><d:href>/book/a.vcf</d:href><d:propstat><d:prop><c:address-data>BEGIN:VCARD
UID:u-7</c:address-data></d:prop></d:propstat></d:response>"""


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("<d:response><d:href>/book/a.vcf</d:href><d:status>HTTP/1.1 507 Full</d:status></d:response>", "only some"),
        ("<d:response><d:href>/book/a.vcf</d:href><d:status>HTTP/1.1 403 No</d:status></d:response>", "/book/a.vcf"),
        ("<d:response><d:href>/book/a.vcf</d:href></d:response>", "no card for /book/a.vcf"),
        (BROKEN, "/book/a.vcf, UID u-7 is not a whole vCard"),
    ],
)
def test_what_a_server_leaves_out_is_never_taken_for_absent(answer: str, told: str) -> None:
    body = f'<d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:carddav">{answer}</d:multistatus>'.encode()
    error = pytest.raises(UnexpectedPayload, match=told)
    with web_server(body, 207) as url, Contacts(CardDav(base_url=url, address_book="/book/")) as client, error:
        client.get_contacts(["u-1"])


def test_a_gateways_404_is_not_an_absent_contact() -> None:
    error = pytest.raises(UnexpectedPayload)
    with web_server(b"not here", 404) as url, Contacts(CardDav(base_url=url, address_book="/book/")) as client, error:
        client.delete_contacts(["u-1"])


def test_the_key_is_a_token_or_a_name_with_a_password_and_goes_to_one_host_only() -> None:
    web = web_server(b"", 404)
    with web as url:
        for settings in ({"token": "t-1"}, {"username": "jané", "password": "p:w"}, {}):
            provider = CardDav(base_url=url, address_book="/book/", **settings)
            with Contacts(provider) as client, pytest.raises(UnexpectedPayload):
                client.count()
        assert [header for *_, header in web.seen] == ["Bearer t-1", "Basic amFuw6k6cDp3", None]
    trusting = CardDav(base_url="https://contacts.icloud.com", username="jane", password="x")
    assert trusting.trusts_host("p51-contacts.icloud.com")
    assert not trusting.trusts_host("icloud.com.example.com")
    assert not CardDav(base_url="https://dav.example.com").trusts_host("p51-contacts.icloud.com")
    assert "x" not in repr(trusting).replace("xx", "").partition("http=")[0].partition("username")[2]


def test_a_wrong_password_is_told(tmp_path: Any) -> None:
    server = Radicale(tmp_path)
    with server.running():
        account = server.account()
        with (
            closing(account.http),
            Contacts(account.provider(password="wrong")) as client,
            pytest.raises(Unauthenticated),
        ):
            client.count()


@pytest.mark.timeout(300)
@pytest.mark.no_cover
def test_a_book_of_five_thousand_cards_is_read_whole_and_in_few_requests(tmp_path: Any) -> None:
    count = 5000  # Radicale takes about two milliseconds to store a card, and as long to show it
    server = Radicale(tmp_path)
    with server.running():
        account = server.account()
        cards = "".join(card(f"u-{n}", f"EMAIL:person{n}@example.com") for n in range(count))
        with closing(account.http) as http:
            headers = {"Content-Type": "text/vcard; charset=utf-8"}
            assert http.put(account.book, content=cards, headers=headers, timeout=120).status_code == 201
        requests: list[str] = []
        with Contacts(account.provider()) as client:
            client.add_event_hook(lambda request, _: requests.append(request.method))
            emails = [contact.email for contact in client.export()]
    assert sorted(map(str, emails)) == sorted(f"person{n}@example.com" for n in range(count))
    assert len(requests) <= count / CardDav.page_size + 10


def test_two_cards_with_one_uid_are_never_changed(tmp_path: Any) -> None:
    server = Xandikos(tmp_path)  # Radicale refuses the second one
    with server.running():
        account = server.account()
        with closing(account.http), Contacts(account.provider()) as client:
            account.put("a.vcf", card("u-1", "EMAIL:jane@example.com"))
            account.put("b.vcf", card("u-1", "EMAIL:john@example.com"))
            (failure,) = client.delete_contacts(["u-1"]).failed
            assert "several cards" in failure.reason
            (failure,) = client.upsert_contacts([Contact(provider="carddav", id="u-1", title="Head")]).failed
            assert "2 cards" in failure.reason
            assert client.count() == 2


def test_a_card_without_a_uid_is_reached_by_its_place(tmp_path: Any) -> None:
    server = Xandikos(tmp_path)  # Radicale refuses it
    with server.running():
        account = server.account()
        with closing(account.http), Contacts(account.provider()) as client:
            account.put("a b.vcf".replace(" ", "%20"), card("x", "EMAIL:jane@example.com").replace("UID:x\r\n", ""))
            (found,) = client.export()
            assert found.id.startswith("href:/jane/contacts/")
            assert client.remove_identifier(found.id, JANE).state is OutcomeState.DONE
            assert client.delete_contacts([found.id]).confirmed == (found.id,)
            assert client.count() == 0


class Scripted:
    """A server of one card that a test may let answer anything; what it was asked to write is noted."""

    def __init__(self) -> None:
        self.hrefs = ["/book/a.vcf"]
        self.shown: Callable[[list[str]], list[str]] = lambda answers: answers
        self.cards: dict[str, str] = {}
        self.writes: list[tuple[str, str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method in {"PUT", "DELETE"}:
            self.writes.append((request.method, str(request.url), request.content.decode()))
            return httpx.Response(204)
        answers = [
            self.answer(href, self.cards.get(href, card("u-1", "EMAIL:jane@example.com"))) for href in self.hrefs
        ]
        wanted = [] if b"X-ADDRESSBOOKSERVER-KIND" in request.content else self.shown(answers)
        head = '<d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:carddav">'
        return httpx.Response(207, content=f"{head}{''.join(wanted)}</d:multistatus>")

    @staticmethod
    def answer(href: str, text: str) -> str:
        return (
            f'<d:response><d:href>{href}</d:href><d:propstat><d:prop><d:getetag>"1"</d:getetag><d:resourcetype/>'
            f"<c:address-data>{text}</c:address-data></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>"
            "</d:response>"
        )


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
def book(scripted: Scripted) -> Iterator[Contacts[CardDav]]:
    provider = CardDav(base_url="http://127.0.0.1:9", address_book="/book/")
    with httpx.Client(transport=httpx.MockTransport(scripted)) as http, Contacts(provider, http) as client:
        yield client


def test_an_answer_that_repeats_a_card_shows_one_contact(scripted: Scripted, book: Contacts[CardDav]) -> None:
    scripted.shown = lambda answers: answers * 3
    assert [each.id for each in book.export()] == ["u-1"]
    assert book.count() == 1
    assert book.delete_contacts(["u-1"]).confirmed == ("u-1",)
    assert [method for method, *_ in scripted.writes] == ["DELETE"]


def test_an_answer_that_says_two_things_of_a_card_is_none(scripted: Scripted, book: Contacts[CardDav]) -> None:
    other = Scripted.answer("/book/a.vcf", card("u-1", "EMAIL:john@example.com"))
    scripted.shown = lambda answers: [*answers, other]
    with pytest.raises(UnexpectedPayload, match="two things"):
        list(book.export())
    with pytest.raises(UnexpectedPayload, match="two things"):
        book.delete_contacts(["u-1"])
    assert scripted.writes == []


def test_cards_that_nobody_asked_for_are_no_answer(scripted: Scripted, book: Contacts[CardDav]) -> None:
    stray = Scripted.answer("/book/stray.vcf", card("u-2", "EMAIL:john@example.com"))
    reports: list[list[str]] = []

    def shown(answers: list[str]) -> list[str]:
        reports.append(answers)
        return answers if len(reports) == 1 else [stray, *answers]

    scripted.shown = shown
    assert [each.id for each in book.export()] == ["u-1"]


@pytest.mark.parametrize(
    "href",
    [
        "/other/a.vcf",
        "/book/../other/a.vcf",
        "/book/%2e%2e/other/a.vcf",
        "/book/nested/a.vcf",
        "/booky/a.vcf",
        "http://other.example.com/book/a.vcf",
        "//other.example.com/book/a.vcf",
        "http://127.0.0.1:8/book/a.vcf",
    ],
)
def test_what_is_outside_the_book_is_never_written(scripted: Scripted, book: Contacts[CardDav], href: str) -> None:
    scripted.hrefs = [href]
    outcome = book.delete_contacts(["u-1"])
    assert outcome.state is OutcomeState.FAILED
    assert "is not in the address book" in outcome.failed[0].reason
    with pytest.raises(Rejected, match="is not in the address book"):
        book.remove_identifier("u-1", JANE)
    assert scripted.writes == []


@pytest.mark.parametrize("href", ["a.vcf", "http://127.0.0.1:9/book/a.vcf", "/%62ook/a.vcf", "/book/a%20%2Bb.vcf"])
def test_every_spelling_of_a_place_in_the_book_is_written(
    scripted: Scripted, book: Contacts[CardDav], href: str
) -> None:
    scripted.hrefs = [href]
    assert book.delete_contacts(["u-1"]).confirmed == ("u-1",)
    assert len(scripted.writes) == 1
