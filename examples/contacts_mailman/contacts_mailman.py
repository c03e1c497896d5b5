"""Mailman 3: its users are contacts, its mailing lists are lists.

The REST API 3.1 is described at https://docs.mailman3.org/projects/mailman/en/latest/src/mailman/rest/docs/rest.html.
Bodies are forms, answers are JSON. Pages are numbered from 1; ``total_size`` is the number of all entries,
and ``entries`` is left out where there are none. What is created is named by the header ``Location``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import NoneType
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from contacts_core.errors import ConfigurationError, NotFound, Rejected
from contacts_core.models import (
    Contact,
    ContactList,
    Count,
    Identifier,
    IdentifierKind,
    LossCode,
    Outcome,
    Page,
    Preview,
    Shape,
)
from contacts_core.provider import (
    AddsToLists,
    Counts,
    CreatesLists,
    DeletesAllContactsById,
    DeletesLists,
    ExportsPages,
    FindsContacts,
    Fitting,
    Flow,
    GetsContacts,
    Payload,
    Provider,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    Request,
    UnknownFields,
    UpsertsContacts,
    about_id,
    absent,
    base_url_setting,
    basic_auth,
    delete,
    done,
    failed,
    get,
    hookimpl,
    moment,
    offset,
    offset_page,
    path,
    request,
    secret,
    setting,
    unconfirmed,
)
from contacts_core.provider.flows import after_a_change, read_each

NO_PLACE = ("first_name", "last_name", "address", "organization", "title", "tags")
WITHOUT_ADDRESS = "Mailman knows people by their e-mail addresses, and this contact has none"


# Mailman's JSON, in Mailman's words


class Resource(UnknownFields):
    """What every object of the API has."""

    self_link: str = ""
    http_etag: str = ""


class Entries(Payload):
    """What every page of the API has."""

    total_size: int
    start: int = 0
    http_etag: str = ""


class User(Resource, kw_only=True):
    """A person. The password's hash is declared so that it does not get into ``unknown``, and is used nowhere."""

    user_id: str
    display_name: str | None = None
    created_on: str | None = None
    is_server_owner: bool = False
    password: str | None = None

    @property
    def id(self) -> str:
        """The id, under the name that about_id reads."""
        return self.user_id


class Users(Entries):
    """A page of users."""

    entries: list[User] = []


class Address(Resource, kw_only=True):
    """An e-mail address: in lower case, which Mailman goes by, and as it was given."""

    email: str
    original_email: str = ""
    display_name: str = ""
    registered_on: str | None = None
    verified_on: str | None = None
    user: str = ""


class Addresses(Entries):
    """The addresses of a user, all of them."""

    entries: list[Address] = []


class Member(Resource, kw_only=True):
    """A subscription. ``user`` is a link to its user."""

    member_id: str
    list_id: str
    email: str
    user: str
    role: str
    address: str = ""
    display_name: str = ""
    delivery_mode: str = ""
    subscription_mode: str = ""
    bounce_score: int = 0
    last_bounce_received: str | None = None
    last_warning_sent: str | None = None
    total_warnings_sent: int = 0
    moderation_action: str | None = None


class Members(Entries):
    """A page of subscriptions."""

    entries: list[Member] = []


class MailingList(Resource, kw_only=True):
    """A mailing list; ``list_id`` does not change when its posting address does."""

    list_id: str
    display_name: str = ""
    description: str = ""
    member_count: int | None = None
    advertised: bool = False
    fqdn_listname: str = ""
    list_name: str = ""
    mail_host: str = ""
    volume: int = 0


class MailingLists(Entries):
    """A page of mailing lists."""

    entries: list[MailingList] = []


# Requests


def page_of(cursor: str | None, size: int) -> dict[str, str]:
    """Return the parameters of a page: its size, and its number from 1."""
    return {"count": str(size), "page": str(offset(cursor) // size + 1)}


def user(id_or_email: str) -> Request[User]:
    """Read a user by id or by address."""
    return get(path("/users/{user}", user=id_or_email), User)


def users(cursor: str | None, size: int) -> Request[Users]:
    """Read a page of users."""
    return get("/users", Users, page_of(cursor, size))


def create_user(email: str, display_name: str) -> Request[None]:
    """Create a user; Mailman makes up a password."""
    return request("POST", "/users", NoneType, form={"email": email, "display_name": display_name})


def rename_user(id: str, display_name: str) -> Request[None]:
    """Change the name of a user."""
    form = {"display_name": display_name}
    return request("PATCH", path("/users/{id}", id=id), NoneType, form=form, idempotent=True)


def delete_user(id: str) -> Request[None]:
    """Delete a user with its addresses and subscriptions."""
    return delete(path("/users/{id}", id=id), NoneType)


def addresses(id: str) -> Request[Addresses]:
    """Read the addresses of a user."""
    return get(path("/users/{id}/addresses", id=id), Addresses)


def add_address(id: str, email: str) -> Request[None]:
    """Give a user another address."""
    return request("POST", path("/users/{id}/addresses", id=id), NoneType, form={"email": email})


def delete_address(email: str) -> Request[None]:
    """Delete an address, and the subscriptions that it has."""
    return delete(path("/addresses/{email}", email=email), NoneType)


def subscriptions(email: str) -> Request[Members]:
    """Read what an address is subscribed to: as a query, for an address in a path must not hold a slash."""
    return get("/members/find", Members, {"subscriber": email, "role": "member"})


def roster(list_id: str, cursor: str | None, size: int) -> Request[Members]:
    """Read a page of the members of a list."""
    return get(path("/lists/{list_id}/roster/member", list_id=list_id), Members, page_of(cursor, size))


def subscribe(list_id: str, email: str) -> Request[None]:
    """Subscribe an address without asking its owner; Mailman answers 409 if it is a member already."""
    form = {"list_id": list_id, "subscriber": email, "role": "member"}
    consent = dict.fromkeys(("pre_verified", "pre_confirmed", "pre_approved"), "true")
    return request("POST", "/members", NoneType, form=form | consent, idempotent=True)


def join(list_id: str, email: str) -> Flow[int]:
    """Subscribe an address, and return the HTTP status; 409 says that it is a member, as after a lost answer."""
    try:
        return (yield from subscribe(list_id, email).response()).status
    except Rejected as error:
        if error.status != 409:
            raise
        return 409


def unsubscribe(member_id: str) -> Request[None]:
    """End a subscription."""
    return delete(path("/members/{id}", id=member_id), NoneType)


# Mapping


def contact_of(found: User, its: Sequence[Address], memberships: Sequence[Member]) -> Contact:
    """Return the contact that a user with these addresses and subscriptions is."""
    return Contact(
        provider=Mailman.name,
        id=found.user_id,
        identifiers=tuple(Identifier.email(each.original_email or each.email) for each in its),
        full_name=found.display_name or None,
        lists=tuple(dict.fromkeys(each.list_id for each in memberships)),
        created_at=moment(found.created_on),
        extra={**found.unknown, "is_server_owner": found.is_server_owner},
    )


def list_of(found: MailingList) -> ContactList:
    """Return the list that a mailing list is."""
    return ContactList(
        provider=Mailman.name,
        id=found.list_id,
        name=found.display_name,
        count=found.member_count,
        description=found.description,
        extra=found.unknown,
    )


def last_segment(link: str) -> str:
    """Return the id at the end of a link."""
    return urlsplit(link).path.rpartition("/")[2]


def emails_of(contact: Contact) -> list[Identifier]:
    """Return the e-mail addresses of a contact, the primary one first."""
    return sorted(contact.identifiers_of(IdentifierKind.EMAIL), key=lambda each: not each.primary)


def preview_of(contact: Contact) -> Preview:
    """Return what Mailman keeps of a contact: its addresses, one name and its lists."""
    fitting = Fitting(contact)
    fitting.keep_identifiers(problem)
    name = contact.name
    for field in (*NO_PLACE, "custom"):
        fitting.drop(field, LossCode.NO_PLACE)
    if contact.provider != Mailman.name:
        fitting.drop("extra", LossCode.NO_PLACE)
    if name:
        fitting.set("full_name", name)
    own = contact.provider == Mailman.name and contact.id
    return fitting.preview() if own or fitting.identifiers else fitting.refuse(WITHOUT_ADDRESS)


def problem(identifier: Identifier) -> tuple[LossCode, str] | None:
    """Return why Mailman does not keep an identifier; None if it does."""
    if identifier.kind is not IdentifierKind.EMAIL:
        return LossCode.NO_PLACE, "Mailman knows people by their e-mail addresses only"
    if not (identifier.certain and identifier.normal.isascii()):
        return LossCode.REFUSED, "it is not an e-mail address that Mailman takes"
    return None


def local_part(name: str) -> str:
    """Return the posting address of a new list, before the @: its name, in the characters that Mailman allows."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "list"


@frozen(kw_only=True)
class Mailman(
    DeletesAllContactsById,
    RemovesIdentifiers,
    RemovesFromLists,
    AddsToLists,
    FindsContacts,
    GetsContacts,
    UpsertsContacts,
    Counts,
    ReadsLists,
    CreatesLists,
    DeletesLists,
    ExportsPages,
):
    """The users and lists of one Mailman 3 installation."""

    name = "mailman"
    title = "Mailman 3"
    page_size = 100
    find_kinds = (IdentifierKind.EMAIL,)
    list_name_lengths = (1, 60)
    residual_data = {"archives and held messages": "deleting a user does not touch what the user has written"}
    # A page of users, and for each of them the addresses, and the subscriptions of at least one.
    costs = {ExportsPages: {"": 201}, GetsContacts: {"": 3}, FindsContacts: {"": 3}}

    password: str = secret()
    username: str = setting("restadmin")
    base_url: str = base_url_setting("http://localhost:8001")
    domain: str = setting("")

    def headers(self) -> dict[str, str]:
        return {"Authorization": basic_auth(self.username, self.password)}

    def path_prefix(self) -> str:
        return "/3.1"

    def is_not_found(self, request: Request[Any], content: bytes) -> bool:
        return b'"404 Not Found"' in content

    def cannot_find(self, identifier: Identifier) -> str:
        return "Mailman does not find addresses with a slash" if "/" in identifier.value else ""

    # Reading

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        if list_id is not None:
            return (yield from self._members_page(list_id, cursor))
        found = yield from users(cursor, self.page_size)
        page = offset_page(found.entries, cursor, size=self.page_size, total=found.total_size)
        by_id = {each.user_id: each for each in found.entries}
        read = yield from read_each(by_id, self.concurrency, lambda id: self._contact(by_id[id]))
        gone = len(read) < len(found.entries)
        return Page(list(read.values()), page.next, None if gone else page.total)

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        (id,) = ids
        found = about_id((yield from user(id)), id, provider=self.name)
        return [(yield from self._contact(found))]

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        (identifier,) = identifiers
        try:
            found = yield from user(identifier.value)
        except NotFound:
            return []
        return [(identifier, (yield from self._contact(found)))]

    def count(self) -> Flow[Count]:
        found = yield from get("/users", Users, {"count": "1", "page": "1"})
        return Count(found.total_size, "counter")

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        found = yield from get("/lists", MailingLists, page_of(cursor, self.page_size))
        return offset_page(
            [list_of(each) for each in found.entries], cursor, size=self.page_size, total=found.total_size
        )

    # Writing

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        (id,) = ids
        yield from delete_user(id)
        return done(id)

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        its, held = yield from self._memberships(contact_id)
        target = next((each.email for each in its if Identifier.email(each.email) == identifier), None)
        if target is None:
            return absent(identifier.value)
        if why := self.cannot_find(identifier):
            return failed(identifier.value, why)
        # Mailman ends the subscriptions of an address with it; the contact keeps its lists through another address.
        other = next((each.email for each in its if each.email != target), None)
        ending = {each.list_id for each in held if each.email == target}
        moving = sorted(ending - {each.list_id for each in held if each.email != target})
        if moving and other is None:
            return failed(identifier.value, "it is the only address, and the lists would lose the contact")
        first, *others = [*(join(list_id, str(other)) for list_id in moving), iter(delete_address(target))]
        yield from first
        for each in others:
            yield from after_a_change(each)
        return done(identifier.value)

    def preview(self, contact: Contact, shape: Shape) -> Preview:
        return preview_of(contact)

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        (contact,) = contacts
        emails = emails_of(contact)
        ids = {contact.id} if contact.provider == self.name and contact.id else set[str]()
        for email in emails:
            ids |= {match.id for _, match in (yield from self.find([email])) if isinstance(match, Contact)}
        if len(ids) > 1:
            return failed(contact.display_id, f"{len(ids)} users have its identifiers")
        if ids:
            (id,) = ids
        elif emails:
            created = yield from create_user(emails[0].value, contact.name).response()
            id = last_segment(created.headers.get("location", ""))
        else:
            return failed(contact.display_id, WITHOUT_ADDRESS)
        begun = not ids
        if ids and contact.name:
            yield from rename_user(id, contact.name)
            begun = True
        rest = self._add(id, emails, lists)
        yield from after_a_change(rest) if begun else rest
        return done(id)

    def _add(self, id: str, emails: Sequence[Identifier], lists: Sequence[str]) -> Flow[None]:
        """Give a user the addresses that it lacks, and subscribe it."""
        stored = {Identifier.email(each.email) for each in (yield from addresses(id)).entries}
        steps: list[Flow[object]] = [iter(add_address(id, each.value)) for each in emails if each not in stored]
        steps += [self._subscribe(list_id, id) for list_id in lists]
        for number, step in enumerate(steps):
            yield from after_a_change(step) if number else step

    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        (id,) = members
        return (yield from self._subscribe(list_id, str(id)))

    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        (id,) = members
        held = [each for each in (yield from self._memberships(str(id)))[1] if each.list_id == list_id]
        for each in held:
            yield from unsubscribe(each.member_id)
        return done(str(id)) if held else absent(str(id))

    def create_list(self, name: str) -> Flow[ContactList]:
        if not self.domain:
            raise ConfigurationError("Set domain to the mail domain of new lists")
        form = {"fqdn_listname": f"{local_part(name)}@{self.domain}"}
        created = yield from request("POST", "/lists", NoneType, form=form).response()
        return (yield from after_a_change(self._name_list(last_segment(created.headers.get("location", "")), name)))

    def _name_list(self, list_id: str, name: str) -> Flow[ContactList]:
        place = path("/lists/{id}", id=list_id)
        yield from request("PATCH", f"{place}/config", NoneType, form={"display_name": name}, idempotent=True)
        return list_of((yield from get(place, MailingList)))

    def delete_list(self, list_id: str) -> Flow[Outcome]:
        yield from delete(path("/lists/{id}", id=list_id), NoneType)
        return done(list_id)

    # Helpers

    def _memberships(self, id: str) -> Flow[tuple[Sequence[Address], Sequence[Member]]]:
        """Read the addresses of a user, and what they are subscribed to.

        The API finds subscriptions by address only, and takes a ``*`` in it for a pattern: hence the comparison.
        """
        its = (yield from addresses(id)).entries
        held: list[Member] = []
        for each in its:
            found = yield from subscriptions(each.email)
            held += [one for one in found.entries if last_segment(one.user) == id and one.email == each.email]
        return its, held

    def _contact(self, found: User) -> Flow[Contact]:
        its, held = yield from self._memberships(found.user_id)
        return contact_of(found, its, held)

    def _members_page(self, list_id: str, cursor: str | None) -> Flow[Page[Contact]]:
        """Read a page of members; who is subscribed with several addresses is shown with the first of them only."""
        found = yield from roster(list_id, cursor, self.page_size)
        page = offset_page(found.entries, cursor, size=self.page_size, total=found.total_size)

        def read(id: str) -> Flow[tuple[Contact, str]]:
            person = about_id((yield from user(id)), id, provider=self.name)
            its, held = yield from self._memberships(id)
            first = next((each.member_id for each in held if each.list_id == list_id), "")
            return contact_of(person, its, held), first

        ids = dict.fromkeys(last_segment(each.user) for each in found.entries)
        people = yield from read_each(ids, self.concurrency, read)
        shown = {each.member_id for each in found.entries}
        return Page([contact for contact, first in people.values() if first in shown], page.next)

    def _subscribe(self, list_id: str, id: str) -> Flow[Outcome]:
        its, held = yield from self._memberships(id)
        if any(each.list_id == list_id for each in held):
            return done(id)
        if not its:
            return failed(id, WITHOUT_ADDRESS)
        return unconfirmed() if (yield from join(list_id, its[0].email)) == 202 else done(id)


@hookimpl
def contacts_providers() -> list[type[Provider]]:
    """Register the provider."""
    return [Mailman]
