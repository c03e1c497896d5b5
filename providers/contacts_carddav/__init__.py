"""CardDAV: the address books of any server that speaks RFC 6352, such as Nextcloud, iCloud, Fastmail or Radicale."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property, partial
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import unquote, urljoin, urlsplit
from uuid import uuid4

from attrs import evolve, frozen

from contacts_carddav import api, mapping, payloads
from contacts_carddav.mapping import Card
from contacts_carddav.payloads import Multistatus, PropFilter, Resource
from contacts_core.errors import (
    ConfigurationError,
    ContactsError,
    Forbidden,
    InvalidInput,
    NotFound,
    Rejected,
    UnexpectedPayload,
)
from contacts_core.models import (
    CHANGEABLE_FIELDS,
    Contact,
    ContactList,
    CustomValue,
    FieldDefinition,
    Identifier,
    Outcome,
    Page,
    Preview,
    Shape,
)
from contacts_core.provider import (
    AddsToLists,
    ChangesContacts,
    CountsByPaging,
    CreatesLists,
    DeletesAllContactsById,
    DeletesLists,
    Emit,
    FindsContactsByScan,
    Flow,
    GetsContacts,
    Join,
    NativeQuery,
    PartialResult,
    Provider,
    RawContact,
    ReadsCustomFields,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    Request,
    Searches,
    Sleep,
    Stream,
    UpsertsContacts,
    absent,
    combined,
    done,
    failed,
    flows,
    hookimpl,
    payload_converter,
    secret,
    split_changes,
)
from contacts_core.query import Query

if TYPE_CHECKING:
    from cattrs import Converter

ATTEMPTS = 4  # at one card, while others change it
MOST_REDIRECTS = 5
MOST_PARTS = 10_000  # of one answer to sync-collection
SAMPLE = 5
LOCKED, LOCK_PAUSES = 423, 12  # some 15 seconds in all
CONVERTER = payload_converter()
CONVERTER.register_structure_hook(Multistatus, lambda raw, _: payloads.multistatus(raw))


@frozen
class AddressBook:
    """An address book of the account, by its address and its name."""

    href: str
    name: str


@frozen
class Changes:
    """What changed in an address book since a token.

    Attributes:
        contacts: Contacts that were created or changed, as they are now.
        lists: Lists that were created or changed: groups only, for a category is a part of its contacts.
        removed: Where the cards were that are gone; `Contact.extra` has each contact's place as ``href``.
        token: What to ask with the next time.
    """

    contacts: Sequence[Contact]
    lists: Sequence[ContactList]
    removed: Sequence[str]
    token: str


@frozen(kw_only=True)
class CardDav(
    DeletesAllContactsById,
    CountsByPaging,
    FindsContactsByScan,
    RemovesIdentifiers,
    RemovesFromLists,
    AddsToLists,
    Searches,
    GetsContacts,
    UpsertsContacts,
    ChangesContacts,
    ReadsLists,
    CreatesLists,
    DeletesLists,
    ReadsCustomFields,
):
    """One address book. Every write names the version it was made from, so no other writer's change is lost.

    A contact's id is the UID of its card. Lists are groups, which are cards of their own, and categories, whose ids
    begin with ``category:``.

    Attributes:
        username: The name to log in with; empty for a server without log-in, or with a token.
        password: The password, often one made for this application.
        token: A bearer token, instead of name and password.
        address_book: The name of the address book, or its path; needed where the account has several.
    """

    name = mapping.NAME
    title = "CardDAV address books"
    id_pattern = ".+"  # a UID is any text, and never part of a path
    longest_id = 510
    page_size = api.PAGE
    delete_batch_size = 50
    get_batch_size = 50
    member_batch_size = 100
    upsert_batch_size = 10_000  # one scan finds which of them exist
    changeable_fields = tuple(name for name in CHANGEABLE_FIELDS if name != "address.formatted")
    clearable_fields = tuple(name for name in changeable_fields if name != "full_name")  # which every card must have
    non_idempotent: ClassVar[tuple[type[Provider], ...]] = (UpsertsContacts, CreatesLists)
    residual_data: ClassVar = {
        "groups": "the card of a group still names the UIDs of deleted members",
        "versions": "some servers keep deleted cards for a while: Nextcloud in its trash, Xandikos in its Git history",
        "devices": "a synchronised device has a copy until it synchronises again",
    }
    converter: ClassVar[Converter] = CONVERTER

    username: str = ""
    password: str = secret(default="")
    token: str = secret(default="")
    address_book: str = ""

    def headers(self) -> dict[str, str]:
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        pair = b64encode(f"{self.username}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"} if self.username else {}

    def trusts_host(self, host: str) -> bool:
        """See `Provider.trusts_host`: iCloud names the server of an account in an answer."""
        ours = urlsplit(self.base_url).hostname or ""
        return ours.endswith(".icloud.com") and host.endswith(".icloud.com")

    def is_not_found(self, request: Request[Any], content: bytes) -> bool:
        """See `Provider.is_not_found`; what is gone is read again, and only then believed."""
        return request.method in {"DELETE", "PUT"}

    def account_id(self) -> Flow[str]:
        """See `Provider.account_id`: the address of the book."""
        return (yield from self._book())

    # -- address books

    def address_books(self) -> Flow[list[AddressBook]]:
        """Return the address books of the account: ``client.run(client.provider.address_books())``.

        Raises:
            ConfigurationError: ``base_url`` leads to none.
        """
        books: list[AddressBook] = []
        for home in (yield from self._homes()):
            found = yield from api.propfind(home, (payloads.TYPE, payloads.TITLE))
            of_cards = [each for each in found.resources if each.has(payloads.TYPE, payloads.BOOK)]
            books += [AddressBook(urljoin(home, each.href), each.text(payloads.TITLE)) for each in of_cards]
        return books

    def _homes(self) -> Flow[list[str]]:
        """Go from ``base_url`` or the well-known address (RFC 6764) to the principal and its homes (RFC 6352, 7.1)."""
        starts = [self._at(""), self._at("/.well-known/carddav")]
        for start in starts if urlsplit(self.base_url).path else reversed(starts):
            url = start
            for _ in range(3):  # a place, its principal, and that one's own address
                found = yield from self._look(url)
                if found is None:
                    break
                if found.has(payloads.TYPE, payloads.BOOK):
                    return [self._at(found.href)]
                if homes := found.hrefs(payloads.HOME):
                    return [self._at(each) for each in homes]
                url = self._at(next(iter(found.hrefs(payloads.PRINCIPAL)), start))
        hint = "set address_book to the path of an address book, or base_url to the server's CardDAV address"
        raise ConfigurationError("base_url leads to no address books", hint=hint)

    def _look(self, url: str) -> Flow[Resource | None]:
        for _ in range(MOST_REDIRECTS):
            try:
                answer = yield from api.look(url, (payloads.TYPE, payloads.PRINCIPAL, payloads.HOME))
            except (Forbidden, Rejected, UnexpectedPayload):  # not here
                return None
            if answer.status not in api.REDIRECTS:
                found = payloads.multistatus(answer.body).resources if answer.status == 207 else ()
                return next(iter(found), None)
            url = urljoin(url, answer.headers.get("location", ""))
        return None

    @cached_property
    def _books(self) -> list[str]:
        """The address of the book, once it is known."""
        return [self._at(self.address_book)] if "/" in self.address_book else []

    def _book(self) -> Flow[str]:
        if not self._books:
            yield from Join("address book", self._choose_book)
        return self._books[0]

    def _choose_book(self) -> Flow[None]:
        if not self._books:  # another flow may have chosen meanwhile
            books = yield from self.address_books()
            chosen = [book.href for book in books if self.address_book in {"", book.name}]
            if len(chosen) != 1:
                names = ", ".join(sorted(book.name or book.href for book in books))
                said = f" with the name {self.address_book}" if self.address_book else ""
                hint = f"set address_book to one of: {names}"
                raise ConfigurationError(f"the account has {len(chosen)} address books{said}", hint=hint)
            self._books[:] = chosen

    def _at(self, href: str) -> str:
        return urljoin(f"{self.base_url}/", href)

    def _place(self, href: str) -> str:
        return unquote(urlsplit(self._at(href)).path)

    # -- cards

    def _cards(self, hrefs: Sequence[str]) -> Flow[list[Card]]:
        """Read cards in one request, without those that are gone."""
        answer = yield from api.report((yield from self._book()), payloads.multiget(hrefs))
        asked = {self._place(href) for href in hrefs}
        told = self._single(each for each in answer.resources if self._place(each.href) in asked)
        if len(told) < len(asked):
            missing = len(asked) - len(told)
            raise UnexpectedPayload(f"the answer lacks {missing} of {len(asked)} cards", provider=self.name)
        return _cards(told)

    def _matches(self, filters: Sequence[PropFilter]) -> Flow[list[Card]]:
        answer = yield from api.report((yield from self._book()), payloads.query(filters))
        return _cards(self._single(answer.resources))

    def _single(self, resources: Iterable[Resource]) -> list[Resource]:
        """Return each resource once, if an answer repeats some.

        Raises:
            UnexpectedPayload: The answer says two things of one of them.
        """
        places: dict[str, Resource] = {}
        for each in resources:
            known = places.setdefault(self._place(each.href), each)
            if (known.status, known.texts) != (each.status, each.texts):
                raise UnexpectedPayload(f"the answer says two things of {each.href}", provider=self.name)
        return list(places.values())

    def _hrefs(self) -> Flow[list[str]]:
        """Return where the cards of the book are."""
        book = yield from self._book()
        answer = yield from api.propfind(book, (payloads.ETAG, payloads.TYPE))
        cards = [
            each
            for each in self._single(answer.resources)
            if self._place(each.href) != self._place(book) and not each.has(payloads.TYPE, payloads.COLLECTION)
        ]
        for each in cards:
            _check_status(each)
        return [each.href for each in cards if each.status == payloads.FOUND]

    def _scan(self) -> Stream[Card]:
        """Read every card, groups included."""
        hrefs = yield from self._hrefs()
        for part in flows.chunks(hrefs, self.page_size * self.concurrency):
            yield Emit((yield from flows.read_chunks(part, self.page_size, self.concurrency, self._cards)))

    def _groups(self) -> Flow[dict[str, Card]]:
        found = yield from self._matches([(name, "equals", "group") for name in mapping.GROUP_KINDS])
        return {card.uid: card for card in found if card.is_group}

    def _group(self, list_id: str) -> Flow[Card]:
        groups = yield from self._groups()
        if list_id not in groups:
            raise NotFound("there is no group with this id", provider=self.name, status=404)
        return groups[list_id]

    def _by_id(self, ids: Iterable[str]) -> Flow[dict[str, list[Card]]]:
        """Return the cards of contacts; ids that the server does not find are looked for in every card."""
        wanted = set(ids)
        found: dict[str, list[Card]] = {}

        def take(cards: Iterable[Card]) -> None:
            for card in cards:
                if card.uid in wanted and not card.is_group:
                    found.setdefault(card.uid, []).append(card)

        if uids := [each for each in wanted if not each.startswith(mapping.WITHOUT_UID)]:
            take((yield from self._matches([("UID", "equals", uid) for uid in uids])))
        if wanted - found.keys():
            found.clear()
            yield from flows.drain(self._scan(), take)
        return found

    def _shown(self, cards: Iterable[Card], groups: Mapping[str, Card]) -> list[Contact]:
        """Return contacts with their lists; the groups must be all there are."""
        lists = mapping.memberships(groups.values())
        contacts: list[Contact] = []
        for card in cards:
            if not card.is_group:
                contacts.append(mapping.contact(card, lists))
            elif card.uid not in groups:
                hint = "try again; a list may have been created meanwhile"
                raise UnexpectedPayload("the query for groups did not show all of them", provider=self.name, hint=hint)
        return contacts

    # -- writing cards

    def _change(self, card: Card, act: Callable[[Card], Request[None] | None]) -> Flow[bool]:
        """Send what changes this version of a card; if there is a newer one, decide anew.

        Returns:
            Whether it was sent. After a version conflict, also if nothing is left to change: the first attempt may
            have been carried out although no answer said so.

        Raises:
            NotFound: The card is gone.
            Rejected: The server refused it, or there was a newer version each time, or it tells no versions.
        """
        refusal: ContactsError | None = None
        for _ in range(ATTEMPTS):
            if (wanted := act(card)) is None:
                return refusal is not None
            if not card.etag:
                raise Rejected("not sent: the server does not tell the version of the card", provider=self.name)
            self._check_place(wanted.path)
            try:
                yield from _unlocked(wanted)
            except (NotFound, Rejected) as error:
                if error.status not in {404, 412}:
                    raise
                refusal = error
            else:
                return True
            again = yield from self._cards([card.href])
            if not again or again[0].uid != card.uid:
                raise NotFound("the card is gone", provider=self.name, status=404)
            card = again[0]
        assert refusal is not None
        raise refusal

    def _card_at(self, card: Card) -> str:
        return urljoin(self._books[0], card.href)

    def _check_place(self, url: str) -> None:
        """Refuse to change what is not in the book itself (RFC 6352, section 5.2), although an answer named it.

        Raises:
            Rejected: It is somewhere else.
        """
        book, at = urlsplit(self._books[0]), urlsplit(url)
        folder, _, name = unquote(at.path).rpartition("/")
        inside = at[:2] == book[:2] and folder == unquote(book.path).rstrip("/") and name not in {"", ".", ".."}
        if not inside or at.query:
            raise Rejected(f"not sent: {at.path} is not in the address book", provider=self.name)

    def _edit(self, card: Card, change: Callable[[Card], Card | None]) -> Flow[bool]:
        def act(present: Card) -> Request[None] | None:
            after = change(present)
            return None if after is None or after == present else api.replace(self._card_at(present), after)

        return (yield from self._change(card, act))

    def _remove(self, id: str, card: Card) -> Flow[Outcome]:
        """Delete a card, unless another version of it has other identifiers than the one that was read."""
        known = set(mapping.identifiers(card))

        def act(present: Card) -> Request[None]:
            if set(mapping.identifiers(present)) != known:
                raise Rejected("not sent: the card was changed meanwhile and has other identifiers now", status=409)
            return api.delete(self._card_at(present), present)

        yield from self._change(card, act)
        return done(id, deleted=[] if card.is_group else [mapping.contact(card, None)])

    def _create(self, card: Card) -> Flow[None]:
        try:
            yield from _unlocked(api.create(self._at(card.href), card))
        except Rejected as error:  # 412 also where the first attempt was carried out although no answer said so
            there = (yield from self._cards([card.href])) if error.status == 412 else []
            ours = {(card.uid, frozenset(mapping.identifiers(card)))}
            if not ours & {(each.uid, frozenset(mapping.identifiers(each))) for each in there}:
                raise

    def _each(
        self, ids: Sequence[str], change: Callable[[Card], Card | None], same: Callable[[str], Outcome]
    ) -> Flow[Outcome]:
        """Change the cards of contacts; ``same`` says what an unchanged one means."""
        found = yield from self._by_id(ids)

        def edit(id: str) -> Flow[Outcome]:
            changed = yield from self._edit(_only(found.get(id)), change)
            return done(id) if changed else same(id)

        return (yield from flows.one_by_one(ids, self.concurrency, edit, str))

    # -- deleting and removing

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        found = yield from self._by_id(ids)

        def delete(id: str) -> Flow[Outcome]:
            return (yield from self._remove(id, _only(found.get(id))))

        return (yield from flows.one_by_one(ids, self.concurrency, delete, str))

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        card = _only((yield from self._by_id([contact_id])).get(contact_id))
        if (yield from self._edit(card, lambda present: mapping.without(present, identifier))):
            return done(identifier.value)
        unread = mapping.unreadable(card)
        return failed(identifier.value, f"{unread} lines cannot be read") if unread else absent(identifier.value)

    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        ids = [str(each) for each in members]
        if name := mapping.category_name(list_id):
            return (yield from self._each(ids, lambda card: mapping.without_tag(card, name), absent))
        group = yield from self._group(list_id)
        present = set(mapping.members(group))
        yield from self._edit(group, lambda card: mapping.without_members(card, ids))
        on_it = [each for each in ids if mapping.member_key(each) in present]
        return combined([done(on_it), absent(each for each in ids if each not in on_it)])

    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        ids = [str(each) for each in members]
        if name := mapping.category_name(list_id):
            return (yield from self._each(ids, lambda card: mapping.with_tags(card, [name]), done))
        group = yield from self._group(list_id)
        there = yield from self._by_id(ids)
        known = [each for each in ids if each in there]
        yield from self._edit(group, lambda card: mapping.with_members(card, known))
        return combined([done(known), absent(each for each in ids if each not in there)])

    # -- reading

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        groups = yield from self._groups()
        found = yield from self._by_id(ids)
        return self._shown((card for cards in found.values() for card in cards), groups)

    def raw_contact(self, contact_id: str) -> Flow[RawContact]:
        """See `GetsContacts.raw_contact`: its cards; the groups that it is in name other people, and are left out."""
        cards = (yield from self._by_id([contact_id])).get(contact_id, [])
        if not cards:
            raise NotFound("there is no card with this id", provider=self.name, status=404)
        return RawContact("".join(card.text for card in cards).encode(), "text/vcard")

    def contacts(self, list_id: str | None) -> Stream[Contact]:
        groups = yield from self._groups()

        def shown(cards: Sequence[Card]) -> list[Contact]:
            contacts = self._shown(cards, groups)
            return [each for each in contacts if list_id is None or list_id in (each.lists or ())]

        yield from flows.through(self._scan(), shown)

    def sample(self) -> Flow[Sequence[Contact] | None]:
        """See `Exports.sample`."""
        hrefs = yield from self._hrefs()
        cards = (yield from self._cards(hrefs[:SAMPLE])) if hrefs else []
        contacts = [mapping.contact(card, None) for card in cards if not card.is_group]
        return contacts if contacts or not hrefs else None

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        """See `FindsContactsByScan.find`; an identifier is absent only if those of every contact could be read."""
        unread = 0
        wanted = set(identifiers)
        found: list[tuple[Identifier, Contact | str]] = []

        def take(contacts: Sequence[Contact]) -> None:
            nonlocal unread
            unread += sum(each.extra.get("unread", 0) for each in contacts)
            found.extend((i, each) for each in contacts for i in each.identifiers if i in wanted)

        yield from flows.drain(self.contacts(None), take)
        if unread:
            reason = f"{unread} lines of the cards may hold identifiers and cannot be read"
            found.extend((each, reason) for each in wanted - {identifier for identifier, _ in found})
        return found

    def translate(self, query: Query) -> NativeQuery | None:
        if (asks := mapping.translated(query)) is None:
            return None
        every, filters = asks
        shown = (f'{name} {match} "{text}"' for name, match, text in filters)
        return NativeQuery((" and " if every else " or ").join(shown), asks)

    def search(self, query: NativeQuery) -> Flow[PartialResult]:
        every, filters = cast("tuple[bool, list[PropFilter]]", query.asks)
        groups = yield from self._groups()
        answer = yield from api.report((yield from self._book()), payloads.query(filters, every=every))
        whole = [each for each in answer.resources if each.status != payloads.TRUNCATED]
        contacts = self._shown(_cards(self._single(whole)), groups)
        return PartialResult(contacts, len(contacts) if len(whole) == len(answer.resources) else None)

    def changes(self, token: str = "") -> Flow[Changes]:
        """Return what changed since a token (RFC 6578): ``client.run(client.provider.changes(token))``.

        Args:
            token: `Changes.token` of the time before; without one, everything there is.

        Raises:
            InvalidInput: The server does not know the token, or no more.
        """
        book = yield from self._book()
        changed: dict[str, bool] = {}  # whether it is still there, by place
        for _ in range(MOST_PARTS):
            try:
                answer = yield from api.report(book, payloads.sync(token), "0")
            except (Forbidden, Rejected) as error:
                if not token:
                    raise
                hint = "read the changes from the beginning, without a token"
                raise InvalidInput("the server does not accept this token", hint=hint) from error
            parts = [each for each in answer.resources if self._place(each.href) != self._place(book)]
            changed.update((each.href, each.status not in payloads.GONE) for each in parts)
            more = len(parts) < len(answer.resources) and answer.sync_token != token
            token = answer.sync_token
            if not more:
                break
        hrefs = [href for href, there in changed.items() if there]
        cards = yield from flows.read_chunks(hrefs, self.page_size, self.concurrency, self._cards)
        groups = yield from self._groups()
        lists = [mapping.contact_list(card) for card in cards if card.is_group]
        gone = [href for href, there in changed.items() if not there]
        return Changes(self._shown(cards, groups), lists, gone, token)

    # -- lists and fields

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        """Return all lists; categories are told by the cards, so every card is read."""
        groups: list[ContactList] = []
        names: dict[str, None] = {}

        def take(cards: Sequence[Card]) -> None:
            groups.extend(mapping.contact_list(card) for card in cards if card.is_group)
            names.update((name, None) for card in cards if not card.is_group for name in mapping.tags(card))

        yield from flows.drain(self._scan(), take)
        return Page([*groups, *(mapping.category(name) for name in sorted(names))])

    def create_list(self, name: str) -> Flow[ContactList]:
        """Create a group; a category comes and goes with its contacts."""
        uid = f"{uuid4()}"
        group = mapping.new_group(uid, urljoin((yield from self._book()), f"{uid}.vcf"), name)
        yield from self._create(group)
        return mapping.contact_list(group)

    def delete_list(self, list_id: str) -> Flow[Outcome]:
        """Delete a group, or remove a category from all of its contacts."""
        if not mapping.category_name(list_id):
            return (yield from self._remove(list_id, (yield from self._group(list_id))))
        ids: list[str] = []
        yield from flows.drain(self.contacts(list_id), lambda contacts: ids.extend(each.id for each in contacts))
        if not ids:
            raise NotFound("no contact has this category", provider=self.name, status=404)
        outcome = yield from self.remove_from_list(list_id, ids)
        left = len(ids) - len(outcome.confirmed) - len(outcome.absent)
        return failed(list_id, f"{left} contacts still have it: {outcome.failed}") if left else done(list_id)

    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        names: set[str] = set()
        yield from flows.drain(self._scan(), lambda cards: names.update(*map(mapping.custom, cards)))
        return Page([mapping.custom_field(name) for name in sorted(names)])

    # -- writing contacts

    def change_contact(self, contact_id: str, set: Mapping[str, CustomValue], clear: Collection[str]) -> Flow[Outcome]:
        card = _only((yield from self._by_id([contact_id])).get(contact_id))
        texts, custom = split_changes(set, clear)
        yield from self._edit(card, lambda present: mapping.with_changes(present, texts, custom))
        return done(contact_id)

    def preview(self, contact: Contact, shape: Shape) -> Preview:
        """See `UpsertsContacts.preview`: a custom field comes into being with its first value."""
        return mapping.preview(contact)

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        """Change contacts that exist, by id or identifier, and create the others; one scan finds them."""
        groups = [each for each in lists if not mapping.category_name(each)]
        for each in groups:
            yield from self._group(each)
        known: dict[str | Identifier, list[Card]] = {}
        sought: set[str | Identifier] = {each.id for each in contacts if each.provider == self.name}
        sought.update(each for contact in contacts for each in contact.identifiers)
        unread = 0

        def take(cards: Sequence[Card]) -> None:
            nonlocal unread
            for card in cards:
                unread += mapping.unreadable(card)
                keys: set[str | Identifier] = set() if card.is_group else {card.uid, *mapping.identifiers(card)}
                for key in keys & sought:
                    known.setdefault(key, []).append(card)

        yield from flows.drain(self._scan(), take)
        book = yield from self._book()

        def upsert(contact: Contact) -> Flow[Outcome]:
            by_id = known.get(contact.id, []) if contact.provider == self.name else []
            cards = by_id or [card for each in contact.identifiers for card in known.get(each, [])]
            try:
                return (yield from self._upsert(contact, cards, lists, book, unread))
            except InvalidInput as error:
                return failed(contact.display_id, f"not sent: {error}")

        outcome = yield from flows.one_by_one(contacts, self.concurrency, upsert, attrgetter("display_id"))
        for each in groups if outcome.confirmed else ():
            try:
                yield from self._edit(
                    (yield from self._group(each)), partial(mapping.with_members, uids=outcome.confirmed)
                )
            except (NotFound, Rejected) as error:
                lost = failed(outcome.confirmed, f"written, but not put on the list: {error}")
                outcome = combined([evolve(outcome, requested=0, confirmed=()), lost])
        return outcome

    def _upsert(
        self, contact: Contact, cards: Sequence[Card], lists: Sequence[str], book: str, unread: int
    ) -> Flow[Outcome]:
        several = {card.href: card for card in cards}
        categories = [name for each in lists if (name := mapping.category_name(each))]
        if len(several) > 1:
            raise InvalidInput(f"{len(several)} cards have its id or its identifiers")
        if not several and unread:
            raise InvalidInput(f"it may exist already: {unread} lines of the cards cannot be read")
        if not several:
            new = mapping.blank(contact, f"{uuid4()}", book)
            yield from self._create(mapping.written(new, contact, categories, new=True))
            return done(new.uid)

        def change(present: Card) -> Card:
            theirs = set(mapping.identifiers(present))
            if theirs and contact.identifiers and not theirs & set(contact.identifiers):
                raise InvalidInput("the card with this id has none of these identifiers")
            return mapping.written(present, contact, categories, new=False)

        (card,) = several.values()
        yield from self._edit(card, change)
        return done(card.uid)


def _unlocked(write: Request[None]) -> Flow[None]:
    """Send a write; while another one has locked the book (423), wait, and send it again."""
    for pause in islice(flows.pauses(2.0, 0.1), LOCK_PAUSES):
        try:
            return (yield from write)
        except Rejected as error:
            if error.status != LOCKED:
                raise
        yield from Sleep(pause)
    return (yield from write)


def _cards(resources: Sequence[Resource]) -> list[Card]:
    """Return the cards of an answer, without those that are gone.

    Raises:
        UnexpectedPayload: One of them cannot be read, or the server left some out.
    """
    for each in resources:
        _check_status(each)
    there = [each for each in resources if each.status == payloads.FOUND]
    if lacking := [each.href for each in there if payloads.CARD_TEXT not in each.properties]:
        raise UnexpectedPayload(f"the answer has no card for {lacking[0]}", provider=mapping.NAME)
    return [mapping.card(each) for each in there]


def _check_status(found: Resource) -> None:
    if found.status == payloads.TRUNCATED:
        raise UnexpectedPayload("the server shows only some of the cards (507)", provider=mapping.NAME)
    if found.status != payloads.FOUND and found.status not in payloads.GONE:
        told = f"the server does not show {found.href} ({found.status})"
        raise UnexpectedPayload(told, provider=mapping.NAME)


def _only(cards: Sequence[Card] | None) -> Card:
    """Return the card that alone has an id.

    Raises:
        NotFound: There is none.
        Rejected: There are several; which one is meant cannot be known.
    """
    if not cards:
        raise NotFound("no card has this UID", provider=mapping.NAME, status=404)
    if len(cards) > 1:
        places = ", ".join(card.href for card in cards)
        raise Rejected(f"not sent: several cards have this UID: {places}", provider=mapping.NAME)
    return cards[0]


@hookimpl
def contacts_providers() -> list[type[Provider]]:
    """The provider of this package."""
    return [CardDav]
