"""What a provider may be able to do: one small class for each capability.

A provider declares a capability by inheriting it, once. The type checker, the refusal at run time, the matrix in the
docs and the contract kit all read it from there. Methods are flows: they ask, with ``yield from``, and return shared
values. Chunking, paging, waiting, retrying, pacing and concurrency are the core's; sizes arrive already cut to the
provider's facts, and are never empty.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import field, frozen

from contacts_core.errors import IncompleteExport
from contacts_core.models import Contact, ContactList, Count, FieldDefinition, Identifier, Job, Outcome, Page
from contacts_core.provider import flows
from contacts_core.provider.base import Provider
from contacts_core.provider.effects import Emit, Flow, Stream
from contacts_core.query import Query

__all__ = [
    "CAPABILITIES",
    "AddsToLists",
    "Counts",
    "CountsByPaging",
    "CreatesLists",
    "DeletesAllContacts",
    "DeletesAllContactsById",
    "DeletesContacts",
    "DeletesLists",
    "Exports",
    "ExportsFiles",
    "ExportsPages",
    "FileReader",
    "FindsContacts",
    "FindsContactsByScan",
    "GetsContacts",
    "NativeQuery",
    "PartialResult",
    "QueuesJobs",
    "ReadsCustomFields",
    "ReadsLists",
    "RemovesFromLists",
    "RemovesIdentifiers",
    "Searches",
    "TakesIdentifiers",
    "UpsertsContacts",
    "capabilities",
]


class DeletesContacts(Provider, ABC):
    """Delete whole contacts."""

    @abstractmethod
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        """Delete up to ``batch`` contacts; with a batch of one, `NotFound` means already gone."""


class DeletesAllContacts(Provider, ABC):
    """Delete every contact of the account."""

    @abstractmethod
    def delete_all_contacts(self) -> Flow[Outcome]:
        """Delete them all; the caller has confirmed."""


class RemovesIdentifiers(Provider, ABC):
    """Remove one identifier and keep the contact."""

    @abstractmethod
    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        """Remove it, sending the value as the vendor stores it; `NotFound` if the contact does not exist."""


class RemovesFromLists(Provider, ABC):
    """Remove contacts from a list and keep them."""

    @abstractmethod
    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        """Remove up to ``member_batch`` members: ids only, unless the provider is `TakesIdentifiers`."""


class AddsToLists(Provider, ABC):
    """Put contacts on a list."""

    @abstractmethod
    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        """Add up to ``member_batch`` members: ids only, unless the provider is `TakesIdentifiers`."""


class TakesIdentifiers(Provider):
    """List members may be named by identifier; without this the core looks up their ids first."""


@frozen
class NativeQuery:
    """A query in the vendor's own language: as text to show, and as whatever the provider's ``search`` needs."""

    text: str
    asks: object = field(default=None, repr=False)


@frozen
class PartialResult:
    """Contacts that the vendor showed, of ``total`` that match."""

    contacts: Sequence[Contact]
    total: int


class Searches(Provider, ABC):
    """Search in the vendor's own language."""

    @abstractmethod
    def translate(self, query: Query) -> NativeQuery | None:
        """Say it in the vendor's language, matching all that the query matches and perhaps more; None if it cannot."""

    @abstractmethod
    def search(self, query: NativeQuery) -> Flow[PartialResult]:
        """Ask."""


class Exports(Provider, ABC):
    """Read every contact."""

    @abstractmethod
    def contacts(self, list_id: str | None) -> Stream[Contact]:
        """Every contact of the account, or of one list."""

    def sample(self) -> Flow[Sequence[Contact] | None]:
        """A few contacts that are there now, in about one request: the control of a read that shows nobody.

        Empty only if a well-formed answer says that the account is empty; None, the default, where that cannot be told.
        """
        yield from ()
        return None


class ExportsPages(Exports, ABC):
    """Read every contact, page by page."""

    @abstractmethod
    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        """One page, the first without a cursor. A cursor carries all that is needed to go on."""

    def contacts(self, list_id: str | None) -> Stream[Contact]:
        """See `Exports.contacts`; where the vendor tells a total, fewer contacts are an `IncompleteExport`."""
        cursors = flows.Cursors(self.http.max_pages)
        cursor: str | None = None
        count = 0
        while True:
            page = yield from self.contacts_page(list_id, cursor)
            count += len(page.items)
            cursor = cursors.after(page)
            yield Emit(page.items)
            if cursor is None:
                break
        if page.total is not None and count < page.total:
            raise IncompleteExport(count, page.total)

    def sample(self) -> Flow[Sequence[Contact] | None]:
        """See `Exports.sample`: the first page."""
        page = yield from self.contacts_page(None, None)
        return page.items if page.items or page.next is None else None


class FileReader(Protocol):
    """Turns the lines of an export file into contacts."""

    def csv(self, header: Sequence[str]) -> Callable[[Sequence[Sequence[str]]], list[Contact]]:
        """What maps the rows below this header."""
        ...

    def json_lines(self, lines: bytes) -> list[Contact]:
        """Map whole lines of JSON."""
        ...


class QueuesJobs(Provider, ABC):
    """Accepts work as jobs and does it later."""

    @abstractmethod
    def get_job(self, job: Job) -> Flow[Job]:
        """The job as the vendor sees it now."""


class ExportsFiles(Exports, QueuesJobs, ABC):
    """Read every contact, by a job that writes files."""

    @abstractmethod
    def start_export(self, list_id: str | None) -> Flow[Job]:
        """Ask for the files."""

    @abstractmethod
    def file_reader(self) -> Flow[FileReader]:
        """What reads them; it may ask the vendor for field definitions first."""

    def contacts(self, list_id: str | None) -> Stream[Contact]:
        """See `Exports.contacts`."""
        from contacts_core.provider import files  # noqa: PLC0415 - csv and zlib are for those who export files

        yield from files.export(self, list_id)


class FindsContacts(Provider, ABC):
    """Look contacts up by exact identifier."""

    @abstractmethod
    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        """Look up to ``find_batch`` identifiers of one kind up; each match with the identifier it answers.

        A text in place of a contact says why the vendor refused to look this identifier up. The core drops contacts
        that do not have the identifier that they are said to answer.
        """

    def cannot_find(self, identifier: Identifier) -> str:
        """Why this identifier cannot be looked up here; empty if it can. What cannot be asked is never sent."""
        return ""


class FindsContactsByScan(FindsContacts, Exports, ABC):
    """Look contacts up by exact identifier, all of them in one pass over the whole account."""

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        """See `FindsContacts.find`; read to the end, for two contacts may share an identifier."""
        wanted = {identifier: identifier for identifier in identifiers}
        found: list[tuple[Identifier, Contact | str]] = []
        yield from flows.drain(
            self.contacts(None),
            lambda contacts: found.extend((wanted[i], c) for c in contacts for i in c.identifiers if i in wanted),
        )
        return found


class GetsContacts(Provider, ABC):
    """Read contacts by id."""

    @abstractmethod
    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        """Read up to ``get_batch`` contacts; those that do not exist are left out, or `NotFound` for a single one."""


class Counts(Provider, ABC):
    """Count contacts."""

    @abstractmethod
    def count(self) -> Flow[Count]:
        """How many contacts the account has."""


class CountsByPaging(Counts, ExportsPages, ABC):
    """Count contacts by reading all of them."""

    def count(self) -> Flow[Count]:
        """See `Counts.count`."""
        everyone = yield from flows.gather(lambda cursor: self.contacts_page(None, cursor), self.http.max_pages)
        return Count(len(everyone), source="paged")


class DeletesAllContactsById(DeletesAllContacts, DeletesContacts, ExportsPages, ABC):
    """Delete every contact of the account: gather all ids first, then delete them.

    First all, because a vendor's pages shift while contacts vanish from them.
    """

    def delete_all_contacts(self) -> Flow[Outcome]:
        """See `DeletesAllContacts.delete_all_contacts`; `IncompleteExport` where the pages do not show everybody."""
        total: int | None = None

        def page(cursor: str | None) -> Flow[Page[Contact]]:
            nonlocal total
            found = yield from self.contacts_page(None, cursor)
            total = found.total
            return found

        everyone = yield from flows.gather(page, self.http.max_pages)
        ids = list(dict.fromkeys(contact.id for contact in everyone))
        if total is not None and len(ids) < total:  # a page came twice, and another one never
            raise IncompleteExport(len(ids), total)
        operation, name, limit = "delete_all_contacts", self.name, self.concurrency
        return (
            yield from flows.in_chunks(operation, name, ids, self.delete_batch_size, limit, self.delete_contacts, str)
        )


class ReadsLists(Provider, ABC):
    """Tell which lists there are."""

    @abstractmethod
    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        """One page of lists."""


class CreatesLists(Provider, ABC):
    """Create a list."""

    @abstractmethod
    def create_list(self, name: str) -> Flow[ContactList]:
        """Create it."""


class DeletesLists(Provider, ABC):
    """Delete a list and keep its contacts."""

    @abstractmethod
    def delete_list(self, list_id: str) -> Flow[Outcome]:
        """Delete it; `NotFound` if there is none."""


class ReadsCustomFields(Provider, ABC):
    """Tell which custom fields there are."""

    @abstractmethod
    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        """One page of custom fields."""


class UpsertsContacts(Provider, ABC):
    """Create contacts, or update those that exist."""

    @abstractmethod
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        """Write up to ``upsert_batch`` contacts, and put them on these lists."""


CAPABILITIES: tuple[type[Provider], ...] = (
    DeletesContacts,
    DeletesAllContacts,
    RemovesIdentifiers,
    RemovesFromLists,
    AddsToLists,
    Searches,
    FindsContacts,
    GetsContacts,
    Exports,
    UpsertsContacts,
    Counts,
    ReadsLists,
    CreatesLists,
    DeletesLists,
    ReadsCustomFields,
    QueuesJobs,
)
"""Every capability, in the order of the capability matrix."""


def capabilities(provider: type[Provider]) -> tuple[type[Provider], ...]:
    """The capabilities that a provider class declares, by its bases."""
    return tuple(capability for capability in CAPABILITIES if issubclass(provider, capability))
