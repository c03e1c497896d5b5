"""A made-up vendor: people live at /people, and that is all it has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import NoneType

from attrs import frozen

from contacts_core.models import Contact, Identifier, Outcome, Page
from contacts_core.provider import (
    DeletesContacts,
    ExportsPages,
    Flow,
    GetsContacts,
    Payload,
    Provider,
    base_url_setting,
    delete,
    done,
    get,
    hookimpl,
    path,
    secret,
    token_page,
)


class Human(Payload):
    """The vendor's person."""

    id: str
    mail: str


class Humans(Payload):
    """One page of people; ``next`` is the number of the page after it."""

    people: list[Human]
    next: str | None = None


def contact(human: Human) -> Contact:
    """Translate the vendor's record into a contact."""
    return Contact(provider="example", id=human.id, identifiers=(Identifier.email(human.mail),))


@frozen(kw_only=True)
class Example(DeletesContacts, GetsContacts, ExportsPages):
    """Example Address Book."""

    name = "example"
    title = "Example"
    api_key: str = secret()
    base_url: str = base_url_setting("https://api.example.com")

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        (contact_id,) = ids
        yield from delete(path("/people/{id}", id=contact_id), NoneType)
        return done(contact_id)

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        human = yield from get(path("/people/{id}", id=ids[0]), Human)
        return [contact(human)]

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from get("/people", Humans, {"page": cursor or "0", "size": str(self.page_size)})
        return token_page(map(contact, page.people), page.next)


@hookimpl
def contacts_providers() -> Iterable[type[Provider]]:
    """The provider classes of this distribution."""
    return [Example]
