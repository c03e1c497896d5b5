"""What a provider may be able to do: one small class for each capability.

A provider declares a capability by inheriting it, once. The type checker, the refusal at run time, the matrix in the
docs and the contract kit all read it from there. Facts that the core needs for a capability are class attributes of it;
each docstring gives their meaning, unit and default.

Methods are flows: they send requests with ``yield from`` and return shared values. Chunking, paging, waiting, retrying,
pacing and concurrency are done by the core; what a method receives is never empty and never more than one batch.
Methods that change something return an `Outcome` made with `done`, `absent`, `failed`, `queued` or `unconfirmed`; the
core adds the operation, the provider and the number of items.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from attrs import evolve, field, frozen

from contacts_core.errors import IncompleteExport
from contacts_core.models import (
    CHANGEABLE_FIELDS,
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
    Job,
    Outcome,
    Page,
    Preview,
    Shape,
)
from contacts_core.provider import flows
from contacts_core.provider.base import Provider
from contacts_core.provider.effects import Emit, Flow, Request, Stream
from contacts_core.provider.outcomes import about
from contacts_core.query import Query

__all__ = [
    "CAPABILITIES",
    "AddsToLists",
    "ChangesContacts",
    "Counts",
    "CountsByPaging",
    "CreatesConsentScopes",
    "CreatesCustomFields",
    "CreatesLists",
    "DeletesAllContacts",
    "DeletesAllContactsById",
    "DeletesContacts",
    "DeletesLists",
    "ErasesMailData",
    "Exports",
    "ExportsFiles",
    "ExportsPages",
    "FileReader",
    "FindsConsent",
    "FindsContacts",
    "FindsContactsByScan",
    "GetsContacts",
    "LiftsSuppressions",
    "NativeQuery",
    "PartialResult",
    "QueuesJobs",
    "RawContact",
    "ReadsConsent",
    "ReadsCustomFields",
    "ReadsLists",
    "RemovesFromLists",
    "RemovesIdentifiers",
    "Searches",
    "TakesIdentifiers",
    "UpsertsContacts",
    "WritesConsent",
    "capabilities",
    "found_by_scan",
    "raw_answer",
]


class DeletesContacts(Provider, ABC):
    """Delete whole contacts.

    Attributes:
        delete_batch_size: Ids in one delete request. Default 1.
        residual_data: What deleting a contact leaves behind at this vendor, each with the reason; plans and receipts
            show it. Default: nothing known.
        deletes_consent: Whether the statements of consent about the identifiers of a contact are deleted with it.
            Default: no.
    """

    delete_batch_size: ClassVar[int] = 1
    residual_data: ClassVar[Mapping[str, str]] = {}
    deletes_consent: ClassVar[bool] = False

    @abstractmethod
    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        """Delete up to ``delete_batch_size`` contacts. With one id, `NotFound` means that it is already gone."""


class DeletesAllContacts(Provider, ABC):
    """Delete every contact of the account."""

    @abstractmethod
    def delete_all_contacts(self) -> Flow[Outcome]:
        """Delete them all; the caller has confirmed. The outcome tells their number, or that of its job does."""


class ChangesContacts(Provider, ABC):
    """Change fields of a contact.

    All other fields stay, and so do identifiers and lists, which other capabilities change.

    Attributes:
        changeable_fields: Names of the fields that can be set: some of `CHANGEABLE_FIELDS`. ``custom`` stands for all
            custom fields. Default: all of them.
        clearable_fields: Those of them whose value the vendor can take away again. Default: all of them.
    """

    changeable_fields: ClassVar[Collection[str]] = CHANGEABLE_FIELDS
    clearable_fields: ClassVar[Collection[str]] = CHANGEABLE_FIELDS

    @abstractmethod
    def change_contact(self, contact_id: str, set: Mapping[str, CustomValue], clear: Collection[str]) -> Flow[Outcome]:
        """Set and clear fields that can be; the name of a custom field follows ``custom.``. See `split_changes`.

        A second call with the same arguments changes nothing more.

        Raises:
            NotFound: The contact does not exist.
            InvalidInput: There is no such custom field, or it does not take the value; nothing was changed.
        """


class RemovesIdentifiers(Provider, ABC):
    """Remove one identifier and keep the contact."""

    @abstractmethod
    def remove_identifier(self, contact_id: str, identifier: Identifier) -> Flow[Outcome]:
        """Remove it, sending the value as the vendor stores it.

        Raises:
            NotFound: The contact does not exist.
        """


class RemovesFromLists(Provider, ABC):
    """Remove contacts from a list and keep them.

    Attributes:
        member_batch_size: Members in one request that changes a list. Default 1.
    """

    member_batch_size: ClassVar[int] = 1

    @abstractmethod
    def remove_from_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        """Remove up to ``member_batch_size`` members: ids only, unless the provider is `TakesIdentifiers`."""


class AddsToLists(Provider, ABC):
    """Put contacts on a list.

    Attributes:
        member_batch_size: Members in one request that changes a list. Default 1.
    """

    member_batch_size: ClassVar[int] = 1

    @abstractmethod
    def add_to_list(self, list_id: str, members: Sequence[str | Identifier]) -> Flow[Outcome]:
        """Add up to ``member_batch_size`` members: ids only, unless the provider is `TakesIdentifiers`."""


class TakesIdentifiers(Provider):
    """Take list members by identifier; without this the core looks up their ids first."""


@frozen
class NativeQuery:
    """A query in the vendor's own language.

    Attributes:
        text: The query as it is shown.
        asks: Whatever the provider's ``search`` needs besides the text.
    """

    text: str
    asks: object = field(default=None, repr=False)


@frozen
class RawContact:
    """One contact as the vendor sends it.

    Attributes:
        content: The answer, unchanged.
        media_type: What it is, such as ``application/json`` or ``text/vcard``; empty if the vendor does not tell.
    """

    content: bytes = field(repr=False)
    media_type: str


def raw_answer(request: Request[Any]) -> Flow[RawContact]:
    """Send a request that reads one contact, and return its answer as it came."""
    response = yield from evolve(request, response_type=bytes).response()
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return RawContact(response.body, media_type)


@frozen
class PartialResult:
    """The contacts that the vendor returned, of ``total`` that match.

    Attributes:
        contacts: The contacts.
        total: How many match; as many as there are contacts, if these are all. None where the vendor tells only that
            there are more.
    """

    contacts: Sequence[Contact]
    total: int | None


class Searches(Provider, ABC):
    """Search in the vendor's own language."""

    @abstractmethod
    def translate(self, query: Query) -> NativeQuery | None:
        """Translate the query so that it matches everything that the query matches, and perhaps more.

        Returns:
            The query in the vendor's language; None if it cannot be expressed.
        """

    @abstractmethod
    def search(self, query: NativeQuery) -> Flow[PartialResult]:
        """Send a query that ``translate`` returned."""


class Exports(Provider, ABC):
    """Read every contact.

    Attributes:
        page_size: Contacts that one request reads; for the cost that ``explain`` and plans tell. Default 100.
        export_includes_lists: Whether contacts come with the lists they are on. Default True.
        left_behind: What an account has that no copy to another one moves, each with what to do about it; copies tell
            it. Default: nothing known.
    """

    page_size: ClassVar[int] = 100
    export_includes_lists: ClassVar[bool] = True
    left_behind: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def contacts(self, list_id: str | None) -> Stream[Contact]:
        """Every contact of the account, or of one list."""

    def count_left_behind(self) -> Flow[Mapping[str, int]]:
        """Return how many there are of what is ``left_behind``, as far as documented endpoints tell. Default: none."""
        yield from ()
        return {}

    def sample(self) -> Flow[Sequence[Contact] | None]:
        """Read a few contacts in about one request, to check a read that returned nothing.

        Returns:
            The contacts; empty only if the answer says that the account is empty. None, the default, if unknown.
        """
        yield from ()
        return None


class ExportsPages(Exports, ABC):
    """Read every contact, page by page."""

    @abstractmethod
    def contacts_page(self, list_id: str | None, cursor: str | None) -> Flow[Page[Contact]]:
        """Read one page: the first without a cursor, the others with the cursor of the page before."""

    def contacts(self, list_id: str | None) -> Stream[Contact]:
        """See `Exports.contacts`; where the vendor tells a total, fewer contacts are an `IncompleteExport`."""
        cursors = flows.Cursors(self.http.max_pages)
        cursor: str | None = None
        count = 0
        while True:
            page = yield from self.contacts_page(list_id, cursor)
            count += len(page.items)
            cursor = cursors.after(page)
            yield Emit(cursors.new(page))
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
        """Return what maps the rows below this header."""
        ...

    def json_lines(self, lines: bytes) -> list[Contact]:
        """Map whole lines of JSON."""
        ...


class QueuesJobs(Provider, ABC):
    """Accept work as jobs and do it later.

    Attributes:
        poll_interval: Seconds between two reads of a job, at most; the first ones follow sooner. Default 10.
    """

    poll_interval: ClassVar[float] = 10.0

    @abstractmethod
    def get_job(self, job: Job) -> Flow[Job]:
        """Read the job as the vendor sees it now."""


@frozen(kw_only=True, slots=False)
class ExportsFiles(Exports, QueuesJobs, ABC):
    """Read every contact, by a job that writes files.

    Attributes:
        export_requests: Requests for one export, at least. Default 3: start, status and one file.
        max_download: Bytes of one export file after decompression, at most; a setting of the account. Default 8 GiB.
    """

    export_requests: ClassVar[int] = 3

    max_download: int = field(default=8 * 2**30, converter=int)

    @abstractmethod
    def start_export(self, list_id: str | None) -> Flow[Job]:
        """Start the job that writes the files."""

    @abstractmethod
    def file_reader(self) -> Flow[FileReader]:
        """Return what reads the files; it may ask the vendor for field definitions first."""

    def contacts(self, list_id: str | None) -> Stream[Contact]:
        """See `Exports.contacts`."""
        from contacts_core.provider import files  # noqa: PLC0415 - csv and zlib are for those who export files

        yield from files.export(self, list_id)


class FindsContacts(Provider, ABC):
    """Look contacts up by exact identifier.

    Attributes:
        find_batch_size: Identifiers in one look-up request, all of one kind. Default 1.
        find_kinds: Kinds of identifiers that the vendor can look up. For others the core reads every contact once, if
            the provider `Exports`; otherwise they are not looked for, and the result says so. Default: all kinds.
    """

    find_batch_size: ClassVar[int] = 1
    find_kinds: ClassVar[Collection[IdentifierKind]] = tuple(IdentifierKind)

    @abstractmethod
    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        """Look up to ``find_batch_size`` identifiers of one kind up.

        Returns:
            Each match with the identifier it answers. A text in place of a contact says why the vendor refused to look
            this identifier up. The core drops contacts that do not have the identifier that they are said to answer.
        """

    def cannot_find(self, identifier: Identifier) -> str:
        """Return why this identifier cannot be looked up here; empty if it can. It is not sent then."""
        return ""


def found_by_scan(
    provider: Exports, identifiers: Sequence[Identifier]
) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
    """Find contacts by reading all of them; the result is as that of `FindsContacts.find`."""
    wanted = {identifier: identifier for identifier in identifiers}
    found: list[tuple[Identifier, Contact | str]] = []
    yield from flows.drain(
        provider.contacts(None),
        lambda contacts: found.extend((wanted[i], c) for c in contacts for i in c.identifiers if i in wanted),
    )
    return found


class FindsContactsByScan(FindsContacts, Exports, ABC):
    """Look contacts up by exact identifier, all of them in one pass over the whole account."""

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        """See `FindsContacts.find`; read to the end, for two contacts may share an identifier."""
        return (yield from found_by_scan(self, identifiers))


class GetsContacts(Provider, ABC):
    """Read contacts by id.

    Attributes:
        get_batch_size: Ids in one read request. Default 1.
    """

    get_batch_size: ClassVar[int] = 1

    @abstractmethod
    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        """Read up to ``get_batch_size`` contacts, without those that do not exist; `NotFound` may say so of one id."""

    def raw_contact(self, contact_id: str) -> Flow[RawContact | None]:
        """Read one contact as the vendor sends it, without data of anybody else; see `raw_answer`.

        Returns:
            The answer; None, the default, if the vendor sends contacts only together with other data.

        Raises:
            NotFound: The contact does not exist.
        """
        yield from ()
        return None


class Counts(Provider, ABC):
    """Count contacts."""

    @abstractmethod
    def count(self) -> Flow[Count]:
        """Count the contacts of the account."""


class CountsByPaging(Counts, Exports, ABC):
    """Count contacts by reading all of them."""

    def count(self) -> Flow[Count]:
        """See `Counts.count`; `IncompleteExport` where the vendor shows fewer contacts than it announced."""
        count = 0

        def add(contacts: Sequence[Contact]) -> None:
            nonlocal count
            count += len(contacts)

        yield from flows.drain(self.contacts(None), add)
        return Count(count, source="paged")


class DeletesAllContactsById(DeletesAllContacts, DeletesContacts, Exports, ABC):
    """Delete every contact of the account: gather all ids first, then delete them.

    First all, because a vendor's pages shift while contacts vanish from them.
    """

    def delete_all_contacts(self) -> Flow[Outcome]:
        """See `DeletesAllContacts.delete_all_contacts`; `IncompleteExport` where the pages do not show everybody."""
        seen: dict[str, None] = {}
        total = yield from _read_all(self, lambda contacts: seen.update(dict.fromkeys(c.id for c in contacts)))
        ids = list(seen)
        if total is not None and len(ids) < total:  # a page came twice, and another one never
            raise IncompleteExport(len(ids), total)

        def delete(chunk: Sequence[str]) -> Flow[Outcome]:
            return about((yield from self.delete_contacts(chunk)), chunk)

        return (yield from flows.in_chunks("", "", ids, self.delete_batch_size, self.concurrency, delete, str))


def _read_all(provider: Exports, take: Callable[[Sequence[Contact]], object]) -> Flow[int | None]:
    """Read every contact; return their number where the vendor tells it."""
    if not isinstance(provider, ExportsPages):
        yield from flows.drain(provider.contacts(None), take)
        return None
    cursors = flows.Cursors(provider.http.max_pages)
    cursor: str | None = None
    while True:
        page = yield from provider.contacts_page(None, cursor)
        take(cursors.new(page))
        if (cursor := cursors.after(page)) is None:
            return page.total


class ReadsLists(Provider, ABC):
    """Tell which lists there are."""

    @abstractmethod
    def lists_page(self, cursor: str | None) -> Flow[Page[ContactList]]:
        """Read one page of lists."""


class CreatesLists(Provider, ABC):
    """Create a list.

    Attributes:
        list_name_lengths: The fewest and the most characters of a list's name. Default 1 to 255.
    """

    list_name_lengths: ClassVar[tuple[int, int]] = (1, 255)

    @abstractmethod
    def create_list(self, name: str) -> Flow[ContactList]:
        """Create the list."""


class DeletesLists(Provider, ABC):
    """Delete a list and keep its contacts."""

    @abstractmethod
    def delete_list(self, list_id: str) -> Flow[Outcome]:
        """Delete the list; `NotFound` means that there is none."""


class ReadsCustomFields(Provider, ABC):
    """Tell which custom fields there are."""

    @abstractmethod
    def custom_fields_page(self, cursor: str | None) -> Flow[Page[FieldDefinition]]:
        """Read one page of custom fields."""


class CreatesCustomFields(Provider, ABC):
    """Create a custom field.

    Attributes:
        field_name_lengths: The fewest and the most characters of a field's name. Default 1 to 255.
        field_name_pattern: Regular expression of the names that the vendor takes. Default: any.
        reserved_field_names: Names that the vendor refuses because fields of its own have them, in any case of letters.
            Default: none.
        field_types: Types of fields that can be created; all of them take values as soon as they are, without options
            to choose from. Default: text, number, date and boolean.
    """

    field_name_lengths: ClassVar[tuple[int, int]] = (1, 255)
    field_name_pattern: ClassVar[str] = ".+"
    reserved_field_names: ClassVar[Collection[str]] = ()
    field_types: ClassVar[Collection[FieldType]] = (
        FieldType.TEXT,
        FieldType.NUMBER,
        FieldType.DATE,
        FieldType.BOOLEAN,
    )

    @abstractmethod
    def create_custom_field(self, name: str, type: FieldType) -> Flow[FieldDefinition]:
        """Create the field; the core has looked that there is none of this name."""


class UpsertsContacts(Provider, ABC):
    """Create contacts, or update those that exist.

    Attributes:
        upsert_batch_size: Contacts given to ``upsert_contacts`` at once. Default 1.
        fields_defined_first: Whether a custom field must exist before a contact can have a value of it. Then the core
            reads the fields first, so that ``preview`` knows them. Default False.
    """

    upsert_batch_size: ClassVar[int] = 1
    fields_defined_first: ClassVar[bool] = False

    def preview(self, contact: Contact, shape: Shape) -> Preview:
        """Tell what a read shows of a contact after it was written, and what of it gets lost; see `Fitting`.

        It is pure: it sends nothing, and answers the same each time. The core has looked up the contact's lists, which
        are ids of this account, and has taken out the ids, lists and times of another vendor's contact. Without an
        override, everything is kept as it is.

        Args:
            contact: The contact.
            shape: What the account has room for; its fields if ``fields_defined_first`` says that they matter.
        """
        return Preview(contact, (), contact)

    @abstractmethod
    def upsert_contacts(self, contacts: Sequence[Contact], lists: Sequence[str]) -> Flow[Outcome]:
        """Write up to ``upsert_batch_size`` contacts, and put them on these lists.

        Args:
            contacts: The contacts as ``preview`` has fitted them: `Preview.written`.
            lists: Ids of lists, those that the contacts name included.
        """


class ReadsConsent(Provider, ABC):
    """Read every statement of consent.

    Attributes:
        consent_page_size: Statements, or contacts that statements are read from, that one request reads. Default 100.
    """

    consent_page_size: ClassVar[int] = 100

    @abstractmethod
    def consent_page(self, cursor: str | None) -> Flow[Page[Consent]]:
        """Read one page of the statements of the account; a page may be empty.

        Raises:
            IncompleteExport: The vendor has more statements than it shows.
        """


class FindsConsent(Provider, ABC):
    """Look up the statements of consent about identifiers.

    Attributes:
        consent_find_batch_size: Identifiers in one look-up. Default 1.
        consent_find_kinds: Kinds of identifiers that the vendor keeps statements about. Default: all kinds.
    """

    consent_find_batch_size: ClassVar[int] = 1
    consent_find_kinds: ClassVar[Collection[IdentifierKind]] = tuple(IdentifierKind)

    @abstractmethod
    def find_consent(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Consent]]]:
        """Look up to ``consent_find_batch_size`` identifiers up.

        Returns:
            Each statement with the identifier it answers. The core drops statements about other identifiers.
        """

    def cannot_find_consent(self, identifier: Identifier) -> str:
        """Return why this identifier cannot be looked up here; empty if it can. It is not sent then."""
        return ""


class WritesConsent(Provider, ABC):
    """Write statements of consent.

    What a vendor does not keep of a statement is lost, and `preview_consent` tells it from these facts.

    Attributes:
        consent_batch_size: Statements in one call of ``write_consent``. Default 1.
        consent_states: States that can be written. Default: revoked only.
        consent_channels: Channels that can be written, each with the kinds of identifiers that it takes. Default:
            e-mail, to addresses.
        keeps_reasons: Reasons that a statement still has when it is read. With one reason alone, every revocation that
            is written gets it. Default: none.
        keeps_dates: Whether a statement keeps its date. Otherwise it has the time of writing, or none. Default: no.
        keeps_scopes: Whether a statement keeps its scope. Default: no.
        keeps_coverages: Coverages that a statement keeps; of others the first one takes the place. Default: all
            messages.
        keeps_evidence: Whether a statement keeps its evidence. Default: no.
        keeps_history: Whether earlier statements stay beside a new one about the same thing. Otherwise the new one
            takes their place, and the core sends no grant that must not beat them. Default: no.
        consent_creates_contacts: Whether a statement about somebody who is no contact creates one. Default: no.
    """

    consent_batch_size: ClassVar[int] = 1
    consent_states: ClassVar[Collection[ConsentState]] = (ConsentState.REVOKED,)
    consent_channels: ClassVar[Mapping[Channel, Collection[IdentifierKind]]] = {Channel.EMAIL: (IdentifierKind.EMAIL,)}
    keeps_reasons: ClassVar[Collection[ConsentReason]] = ()
    keeps_dates: ClassVar[bool] = False
    keeps_scopes: ClassVar[bool] = False
    keeps_coverages: ClassVar[Sequence[Coverage]] = (Coverage.ALL,)
    keeps_evidence: ClassVar[bool] = False
    keeps_history: ClassVar[bool] = False
    consent_creates_contacts: ClassVar[bool] = False

    @abstractmethod
    def write_consent(self, statements: Sequence[Consent]) -> Flow[Outcome]:
        """Write up to ``consent_batch_size`` statements, which ``preview_consent`` says can be held here.

        Items of the outcome are named by the value of the identifier.
        """

    def cannot_write_consent(self, statement: Consent) -> str:
        """Return why this statement cannot be written here, such as an invalid address; empty if it can."""
        return ""


class LiftsSuppressions(Provider, ABC):
    """Lift a suppression, so that somebody who was suppressed may be written to again.

    Nothing does this but a call of its own, about one identifier: no plan, no copy and no undo.

    Attributes:
        lifted_reasons: Reasons of suppressions that can be lifted; None is that of vendors that tell no reason.
            Default: all of them.
    """

    lifted_reasons: ClassVar[Collection[ConsentReason | None]] = (None, *ConsentReason)

    @abstractmethod
    def lift_suppression(self, statement: Consent, evidence: str) -> Flow[Outcome]:
        """Lift the one suppression that a statement stands for. The item of the outcome is the identifier's value.

        Args:
            statement: The revocation, as it was just looked up.
            evidence: What shows that the person asked for it; the vendor keeps it where it can.
        """


class CreatesConsentScopes(Provider, ABC):
    """Create scopes of consent, such as unsubscribe groups.

    Attributes:
        scope_name_lengths: The fewest and the most characters of a scope's name. Default 1 to 255.
    """

    scope_name_lengths: ClassVar[tuple[int, int]] = (1, 255)

    @abstractmethod
    def consent_scopes(self) -> Flow[Sequence[str]]:
        """Read the names of the scopes that there are."""

    @abstractmethod
    def create_consent_scope(self, name: str) -> Flow[None]:
        """Create the scope; the core has looked that there is none of this name."""


class ErasesMailData(Provider, ABC):
    """Erase what is kept of the mail that was sent to addresses.

    Attributes:
        mail_data_batch_size: Addresses in one request. Default 1.
    """

    mail_data_batch_size: ClassVar[int] = 1

    @abstractmethod
    def erase_mail_data(self, identifiers: Sequence[Identifier]) -> Flow[Outcome]:
        """Erase the data of up to ``mail_data_batch_size`` addresses.

        Items of the outcome are named by the value of the identifier.
        """

    def cannot_erase_mail_data(self, identifier: Identifier) -> str:
        """Return why this address must not be sent; empty if it may be."""
        return ""


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
    CreatesConsentScopes,
    ErasesMailData,
    QueuesJobs,
)
"""Every capability, in the order of the capability matrix."""


def capabilities(provider: type[Provider]) -> tuple[type[Provider], ...]:
    """The capabilities that a provider class declares, by its bases."""
    return tuple(capability for capability in CAPABILITIES if issubclass(provider, capability))
