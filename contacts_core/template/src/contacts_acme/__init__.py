"""Acme: people at /people, in pages, deleted one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen
from contacts_core.models import Contact, Outcome, Page
from contacts_core.provider import (
    CountsByPaging,
    DeletesAllContactsById,
    ExportsPages,
    FindsContactsByScan,
    Flow,
    GetsContacts,
    Provider,
    about_id,
    base_url_setting,
    done,
    hookimpl,
    mapped,
    secret,
    token_page,
)

from contacts_acme import api, mapping


@frozen(kw_only=True)
class AcmeProvider(
    DeletesAllContactsById,  # and DeletesContacts
    CountsByPaging,
    FindsContactsByScan,
    GetsContacts,
    ExportsPages,
):
    """The people of one account. The bases say what the vendor can do, the fields are the settings."""

    name = mapping.NAME
    title = "Acme"
    page_size = 100

    api_key: str = secret()
    base_url: str = base_url_setting("https://api.acme.example")

    def headers(self) -> dict[str, str]:
        """Return the headers that authenticate a request."""
        return {"Authorization": f"Bearer {self.api_key}"}

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        page = yield from api.people(self.page_size, cursor)
        return token_page(mapped(mapping.contact, page.people), page.next, page.total)

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        (id,) = ids  # as many as get_batch_size, which is 1
        person = yield from api.person(id)
        return [mapping.contact(about_id(person, id, provider=self.name))]

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        (id,) = ids  # as many as delete_batch_size, which is 1
        yield from api.delete_person(id)
        return done(id)


@hookimpl
def contacts_providers() -> list[type[Provider]]:
    """Return the providers of this package."""
    return [AcmeProvider]


@hookimpl
def contacts_emulators() -> list[type[Any]]:
    """Return the emulators of this package, for `contacts sandbox`; they need an extra, hence the late import."""
    from contacts_acme.emulator import AcmeEmulator

    return [AcmeEmulator]
