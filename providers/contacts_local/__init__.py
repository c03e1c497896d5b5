"""local: contacts in a SQLite file of the user's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from attrs import Factory, field, frozen

from contacts_core.errors import ConfigurationError, InvalidInput
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
)
from contacts_core.provider import (
    AddsToLists,
    Blocking,
    ChangesContacts,
    Counts,
    CreatesCustomFields,
    CreatesLists,
    DeletesAllContacts,
    DeletesContacts,
    DeletesLists,
    ExportsPages,
    FindsConsent,
    FindsContacts,
    Flow,
    GetsContacts,
    NativeQuery,
    PartialResult,
    Provider,
    ReadsConsent,
    ReadsCustomFields,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    Searches,
    UpsertsContacts,
    WritesConsent,
    hookimpl,
    setting,
)
from contacts_core.query import Query
from contacts_local import consent, mapping, records
from contacts_local.records import Changes
from contacts_local.search import Condition, condition
from contacts_local.store import Store, default_path
from contacts_local.writer import Writer, open_writer

__all__ = ["Changes", "Local"]

T = TypeVar("T")

BATCH = 5000  # a transaction of so many takes a fraction of a second


def _path(value: str | Path) -> Path:
    if "\0" in str(value):
        raise ConfigurationError("path holds the character NUL, which no path may have")
    return Path(value).expanduser().absolute()


@frozen(kw_only=True)
class Local(
    DeletesContacts,
    DeletesAllContacts,
    RemovesIdentifiers,
    RemovesFromLists,
    AddsToLists,
    Searches,
    FindsContacts,
    GetsContacts,
    ExportsPages,
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
):
    """Every operation is one transaction of SQLite, done when it returns. There is no key and no network.

    Attributes:
        path: The file; created, for its owner only, when it is first used.
    """

    name = mapping.NAME
    title = "Local file"
    concurrency = 1  # SQLite has one writer at a time, and readers are not faster side by side
    page_size = 1000
    upsert_batch_size = BATCH
    find_batch_size = BATCH
    get_batch_size = BATCH
    delete_batch_size = BATCH
    member_batch_size = BATCH
    field_types = (FieldType.TEXT, FieldType.NUMBER, FieldType.DATE, FieldType.BOOLEAN, FieldType.CHOICES)
    consent_page_size = 1000
    consent_find_batch_size = BATCH
    consent_batch_size = BATCH
    consent_states = tuple(ConsentState)
    consent_channels: ClassVar[Mapping[Channel, Collection[IdentifierKind]]] = dict.fromkeys(
        Channel, tuple(IdentifierKind)
    )
    keeps_reasons = tuple(ConsentReason)
    keeps_coverages = tuple(Coverage)
    keeps_dates = keeps_scopes = keeps_evidence = keeps_history = True
    residual_data: ClassVar[Mapping[str, str]] = {
        "change log": "the ids of deleted contacts, and nothing else of them, are kept so that others can learn of it",
        "consent": "statements of consent are kept by address, apart from contacts, so that refusals outlast them",
        "backups": "copies that you made of the file keep what it held",
    }

    base_url: str = field(init=False, default="", repr=False)
    path: Path = setting(Factory(default_path), env="CONTACTS_LOCAL_FILE", converter=_path)  # noqa: RUF009 - a field of attrs

    @cached_property
    def store(self) -> Store:
        """The connections to the file."""
        return Store(self.path)

    def close(self) -> None:
        """See `Provider.close`: without other programs the file is then whole by itself, without side files."""
        self.store.close()

    def location(self) -> str:
        return str(self.path)

    def account_id(self) -> Flow[str]:
        """See `Provider.account_id`: an id that is kept in the file, so that a file may be moved."""
        return f"local file {(yield from self._read(records.account))}"

    def _read(self, work: Callable[..., T], *args: Any) -> Flow[T]:
        function: Callable[[sqlite3.Connection], T] = lambda db: work(db, *args)  # noqa: E731 - typed
        return (yield from Blocking(partial(self.store.read, function)))

    def _write(self, work: Callable[..., T], *args: Any) -> Flow[T]:
        function: Callable[[sqlite3.Connection], T] = lambda db: work(db, *args)  # noqa: E731 - typed
        return (yield from Blocking(partial(self.store.write, function)))

    def _delete(self, work: Callable[..., T], *args: Any) -> Flow[T]:
        """Change the file, and leave nothing of what was deleted in the write-ahead log."""
        done = yield from self._write(work, *args)
        yield from Blocking(self.store.empty_log)
        return done

    # -- deleting and removing

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        return (yield from self._delete(records.delete, ids))

    def delete_all_contacts(self) -> Flow[Outcome]:
        return (yield from self._delete(records.delete_all))

    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        return (yield from self._delete(records.remove_identifier, contact_id, identifier))

    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        return (yield from self._write(records.remove_from_list, list_id, list(map(str, members))))

    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        return (yield from self._write(records.add_to_list, list_id, list(map(str, members))))

    # -- reading

    def translate(self, query: Query) -> NativeQuery | None:
        found = condition(query)
        return None if found is None else NativeQuery(found.sql, found)

    def search(self, query: NativeQuery) -> Flow[PartialResult]:
        assert isinstance(query.asks, Condition)
        contacts = yield from self._read(records.search, query.asks)
        return PartialResult(contacts, len(contacts))

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        return (yield from self._read(records.find, identifiers))

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        return (yield from self._read(records.by_id, ids))

    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        return (yield from self._read(records.page, list_id, int(cursor or 0), self.page_size))

    def count(self) -> Flow[Count]:
        return Count((yield from self._read(records.count)), source="counter")

    def changes(self, since: int = 0, *, most: int = 1000) -> Flow[Changes]:
        """Read what has changed since a version: ``client.run(client.provider.changes(since=version))``.

        Every change of a contact, its membership of lists included, has a version of its own, and later changes have
        higher ones. Nothing is left out, whichever process changed it. A contact that changed several times is told
        once, as it is now. A write that changes nothing is no change.

        Args:
            since: `Changes.version` of the last call; 0 reads everything that there is or was.
            most: Changes to read at once, at most.

        Raises:
            InvalidInput: The file has never reached that version, such as one that an older copy has replaced.
        """
        if most < 1:
            raise InvalidInput("at least one change must be read at once")
        return (yield from self._read(records.changes, since, most))

    # -- writing, lists and fields

    def preview(self, contact: Contact, shape: Shape) -> Preview:
        """See `UpsertsContacts.preview`: everything is kept, and custom fields come into being with a value."""
        return mapping.preview(contact)

    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        """Change contacts that exist, by id or identifier, and create the others; see `mapping.merged`."""
        return (yield from self._write(records.upsert, contacts, lists))

    def change_contact(self, contact_id: str, set: Mapping[str, CustomValue], clear: Collection[str]) -> Flow[Outcome]:
        change = self._delete if clear else self._write
        return (yield from change(records.change, contact_id, set, clear))

    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        return (yield from self._read(records.lists))

    def create_list(self, name: str) -> Flow[ContactList]:
        return (yield from self._write(records.create_list, name))

    def delete_list(self, list_id: str) -> Flow[Outcome]:
        return (yield from self._write(records.delete_list, list_id))

    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        return (yield from self._read(records.fields))

    def create_custom_field(self, name: str, type: FieldType) -> Flow[FieldDefinition]:
        return (yield from self._write(records.create_field, name, type))

    # -- consent

    def consent_page(self, cursor: str | None) -> Flow[Page[Consent]]:
        return (yield from self._read(consent.page, int(cursor or 0), self.consent_page_size))

    def find_consent(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Consent]]]:
        return (yield from self._read(consent.find, identifiers))

    def write_consent(self, statements: Sequence[Consent]) -> Flow[Outcome]:
        """Add statements beside those that are there; `contacts_core.merge_consent` says which of them counts."""
        return (yield from self._write(consent.write, statements))


@hookimpl
def contacts_writers() -> dict[str, Callable[..., AbstractContextManager[Writer]]]:
    """What ``contacts export --to people.db`` writes with."""
    return dict.fromkeys((".db", ".sqlite"), open_writer)


@hookimpl
def contacts_providers() -> list[type[Provider]]:
    """The provider of this package."""
    return [Local]
