"""A provider that keeps its contacts in memory, for tests. It passes the contract kit like any other provider."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Any

from attrs import define, evolve, field, fields, frozen

from contacts_core.errors import NotFound, Rejected
from contacts_core.models import (
    Channel,
    Consent,
    ConsentReason,
    ConsentState,
    Contact,
    ContactList,
    Count,
    Coverage,
    CustomValue,
    FieldDefinition,
    FieldType,
    Identifier,
    IdentifierKind,
    Outcome,
    Page,
    Preview,
    Shape,
    changed,
)
from contacts_core.provider import (
    AddsToLists,
    ChangesContacts,
    Counts,
    CreatesCustomFields,
    CreatesLists,
    DeletesAllContactsById,
    DeletesLists,
    ExportsPages,
    FindsConsent,
    FindsContactsByScan,
    Flow,
    GetsContacts,
    LiftsSuppressions,
    ReadsConsent,
    ReadsCustomFields,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    UpsertsContacts,
    WritesConsent,
    absent,
    base_url_setting,
    done,
    offset,
    offset_page,
)

__all__ = ["MemoryProvider", "Store"]


@define
class Store:
    """The contacts, lists and custom fields of a `MemoryProvider`, by id, and its statements of consent.

    Providers can share a store.
    """

    contacts: dict[str, Contact] = field(factory=dict[str, Contact])
    lists: dict[str, str] = field(factory=dict[str, str])
    fields: dict[str, FieldType] = field(factory=dict[str, FieldType])
    consent: dict[Consent, None] = field(factory=dict[Consent, None])
    ids: Any = field(factory=lambda: count(1))

    def all_contacts(self) -> list[Contact]:
        """The contacts there are now; other threads may change the store meanwhile."""
        return list(self.contacts.values())


def _filled(contact: Contact, known: Contact) -> Contact:
    """The contact, with the known one's values where it has none of its own."""
    missing = {
        a.name: value for a in fields(Contact) if not getattr(contact, a.name) and (value := getattr(known, a.name))
    }
    return evolve(
        contact, **missing | {"custom": {**known.custom, **contact.custom}, "extra": {**known.extra, **contact.extra}}
    )


@frozen(kw_only=True)
class MemoryProvider(
    DeletesAllContactsById,
    RemovesIdentifiers,
    RemovesFromLists,
    AddsToLists,
    FindsContactsByScan,
    GetsContacts,
    UpsertsContacts,
    ChangesContacts,
    Counts,
    ReadsLists,
    CreatesLists,
    DeletesLists,
    ReadsCustomFields,
    CreatesCustomFields,
    ReadsConsent,
    FindsConsent,
    WritesConsent,
    LiftsSuppressions,
    ExportsPages,
):
    """A provider that keeps contacts in memory. ``store`` holds them; fill and read it directly in tests."""

    name = "memory"
    title = "In memory"
    consent_batch_size = 10
    consent_states = tuple(ConsentState)
    consent_channels = dict.fromkeys(Channel, tuple(IdentifierKind))
    keeps_reasons = tuple(ConsentReason)
    keeps_dates = keeps_scopes = keeps_evidence = keeps_history = True
    keeps_coverages = tuple(Coverage)

    base_url: str = base_url_setting("http://localhost")
    store: Store = field(factory=Store, repr=False)

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        (contact_id,) = ids
        deleted = self.store.contacts.pop(self._known(contact_id).id)
        return done(contact_id, deleted=[deleted])

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        yield from ()
        contact = self._known(contact_id)
        if identifier not in contact.identifiers:
            return absent(identifier.value)
        rest = tuple(each for each in contact.identifiers if each != identifier)
        self.store.contacts[contact_id] = evolve(contact, identifiers=rest)
        return done(identifier.value)

    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        contact = self._member(members)
        yield from ()
        if list_id not in (contact.lists or ()):
            return absent(contact.id)
        return self._put_on(contact, [each for each in contact.lists or () if each != list_id])

    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        contact = self._member(members)
        yield from ()
        return self._put_on(contact, [*(contact.lists or ()), list_id])

    def _member(self, members: Sequence[str | Identifier]) -> Contact:
        (contact_id,) = map(str, members)
        return self._known(contact_id)

    def _put_on(self, contact: Contact, lists: Sequence[str]) -> Outcome:
        self.store.contacts[contact.id] = evolve(contact, lists=tuple(dict.fromkeys(lists)))
        return done(contact.id)

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        yield from ()
        return [self.store.contacts[contact_id] for contact_id in ids if contact_id in self.store.contacts]

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        yield from ()
        chosen = [c for c in self.store.all_contacts() if list_id is None or list_id in (c.lists or ())]
        start = offset(cursor)
        shown = chosen[start : start + self.page_size]
        return offset_page(shown, cursor, size=self.page_size, total=len(chosen))

    def count(self) -> Flow[Count]:
        yield from ()
        return Count(len(self.store.contacts), source="counter")

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        yield from ()
        return Page(
            [ContactList(provider=self.name, id=list_id, name=name) for list_id, name in self.store.lists.items()]
        )

    def create_list(self, name: str) -> Flow[ContactList]:
        yield from ()
        list_id = f"list-{next(self.store.ids)}"
        self.store.lists[list_id] = name
        return ContactList(provider=self.name, id=list_id, name=name)

    def delete_list(self, list_id: str) -> Flow[Outcome]:
        yield from self._change_all(list_id)
        if self.store.lists.pop(list_id, None) is None:
            raise NotFound("no such list")
        return done(list_id)

    def _change_all(self, list_id: str) -> Flow[None]:
        yield from ()
        for contact in self.store.all_contacts():
            lists = tuple(each for each in contact.lists or () if each != list_id)
            self.store.contacts[contact.id] = evolve(contact, lists=lists)

    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        yield from ()
        return Page(
            [
                FieldDefinition(provider=self.name, id=name, name=name, type=type_)
                for name, type_ in self.store.fields.items()
            ]
        )

    def create_custom_field(self, name: str, type: FieldType) -> Flow[FieldDefinition]:
        yield from ()
        if name in self.store.fields:
            raise Rejected("a field has this name already", provider=self.name)
        self.store.fields[name] = type
        return FieldDefinition(provider=self.name, id=name, name=name, type=type)

    def change_contact(self, contact_id: str, set: Mapping[str, CustomValue], clear: Collection[str]) -> Flow[Outcome]:
        yield from ()
        self.store.contacts[contact_id] = changed(self._known(contact_id), set, clear)
        return done(contact_id)

    def consent_page(self, cursor: str | None) -> Flow[Page[Consent]]:
        yield from ()
        statements = list(self.store.consent)
        start = offset(cursor)
        shown = statements[start : start + self.consent_page_size]
        return offset_page(shown, cursor, size=self.consent_page_size, total=len(statements))

    def find_consent(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Consent]]]:
        yield from ()
        return [(each.identifier, each) for each in list(self.store.consent) if each.identifier in identifiers]

    def write_consent(self, statements: Sequence[Consent]) -> Flow[Outcome]:
        yield from ()
        self.store.consent |= dict.fromkeys(statements)
        return done(statement.identifier.value for statement in statements)

    def lift_suppression(self, statement: Consent, evidence: str) -> Flow[Outcome]:
        yield from ()
        self.store.consent.pop(statement, None)
        return done(statement.identifier.value)

    def preview(self, contact: Contact, shape: Shape) -> Preview:
        custom = {name: value for name, value in contact.custom.items() if value is not None}
        return Preview(evolve(contact, custom=custom), (), contact)

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        yield from ()
        (contact,) = contacts
        known = self.store.contacts.get(contact.id) if contact.provider == self.name else None
        known = known or next(
            (c for c in self.store.all_contacts() if set(c.identifiers) & set(contact.identifiers)), None
        )
        contact_id = known.id if known else f"contact-{next(self.store.ids)}"
        identifiers = tuple(dict.fromkeys([*(known.identifiers if known else ()), *contact.identifiers]))
        joined = tuple(dict.fromkeys([*((known and known.lists) or ()), *lists]))
        kept = _filled(contact, known) if known else contact
        custom = {name: value for name, value in kept.custom.items() if value is not None}
        self.store.contacts[contact_id] = evolve(
            kept, provider=self.name, id=contact_id, identifiers=identifiers, lists=joined, custom=custom
        )
        return done(contact_id)

    def _known(self, contact_id: str) -> Contact:
        try:
            return self.store.contacts[contact_id]
        except KeyError:
            raise NotFound("no such contact", provider=self.name) from None
