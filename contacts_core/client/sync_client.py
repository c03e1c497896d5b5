"""The client for programs that block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

from contacts_core import operations
from contacts_core.http.blocking import BlockingTransport
from contacts_core.http.hooks import BeforeSend, EventHook
from contacts_core.http.protocols import Client
from contacts_core.models import (
    Channel,
    Consent,
    ConsentReason,
    Contact,
    ContactList,
    Count,
    CustomValue,
    Explanation,
    FieldDefinition,
    FieldType,
    Found,
    FoundConsent,
    Identifier,
    Job,
    Outcome,
    Preview,
    Shape,
)
from contacts_core.operations import LIFTED_BY_DEFAULT, WriteGuard
from contacts_core.provider import (
    AddsToLists,
    ChangesContacts,
    Counts,
    CreatesConsentScopes,
    CreatesCustomFields,
    CreatesLists,
    DeletesAllContacts,
    DeletesContacts,
    DeletesLists,
    ErasesMailData,
    Exports,
    FindsConsent,
    FindsContacts,
    Flow,
    GetsContacts,
    LiftsSuppressions,
    Provider,
    QueuesJobs,
    ReadsConsent,
    ReadsCustomFields,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    UpsertsContacts,
    WritesConsent,
)
from contacts_core.query import Query

T = TypeVar("T")
P_co = TypeVar("P_co", bound=Provider, covariant=True)


class Contacts(Generic[P_co]):
    """The blocking client for one account. Use it as a context manager: leaving it closes the connections.

    Type parameter: the provider. A type checker then refuses methods that the provider does not have. One client may be
    used by several threads.
    """

    def __init__(
        self,
        provider: P_co,
        client: Client | None = None,
        *,
        name: str = "",
        transport: BlockingTransport | None = None,
        guard: WriteGuard | None = None,
    ) -> None:
        """Open the account that ``provider`` describes; `connect` does this by name.

        Args:
            provider: The provider with its settings.
            client: An HTTP client of your own.
            name: The account's name, for confirmations.
            transport: What performs the requests; for tests that keep their own clock.
            guard: Called by `upsert_contacts` with each batch before it is sent; gives for each contact why it must not
                be written, or an empty string. It may block. None: every contact may be
                written. `connect` passes a guard that refuses people who were erased.
        """
        self.provider = provider
        self.name = name or provider.name
        self._guard = guard
        self._transport = transport or BlockingTransport(provider, client)

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections. An HTTP client that you passed in stays open."""
        self._transport.close()
        self.provider.close()

    def run(self, flow: Flow[T]) -> T:
        """Run a flow of your own, with this account's authorization, rate limits and retries.

        Args:
            flow: A generator that yields requests, such as a method of the provider returns.

        Returns:
            What the flow returns.

        Raises:
            ContactsError: A request failed, or the flow raised it.
        """
        return self._transport.run(flow)

    def add_event_hook(self, hook: EventHook) -> Callable[[], None]:
        """Call a function after every exchange with the vendor, for logging, metrics or tests.

        Several hooks can be added. Each is called in the thread that sent the request. If a hook raises, a
        warning is logged and the request continues.

        Args:
            hook: Called with the request and the HTTP response, or None if no complete response came.

        Returns:
            A function that removes the hook.
        """
        return self._transport.add_event_hook(hook)

    def add_before_send(self, hook: BeforeSend) -> Callable[[], None]:
        """Call a function before every exchange with the vendor, to limit or delay it.

        If there are several, the smallest result applies.

        Args:
            hook: Returns the seconds that the exchange may take, or 0 to be called again shortly. If it raises, nothing
                is sent, and the exception ends the operation.

        Returns:
            A function that removes the hook.
        """
        return self._transport.add_before_send(hook)

    def charge_rate_limit(self, requests: int) -> None:
        """Count requests that another process has just sent for this account against the vendor's rate limits.

        Args:
            requests: How many requests were sent.

        Raises:
            InvalidInput: It is negative, or no whole number.
        """
        self._transport.charge(requests)

    def __repr__(self) -> str:
        """Show the account and the provider, without settings."""
        return f"Contacts({self.name!r}, provider={self.provider.name!r})"

    def delete_contacts(self: Contacts[DeletesContacts], ids: Iterable[str]) -> Outcome:
        """Delete whole contacts.

        Malformed ids are not sent; they are in ``Outcome.failed``. If there are no ids, nothing is sent. If the vendor
        has jobs, the outcome is accepted but not done: `wait` for it.

        Args:
            ids: The vendor's ids of the contacts, any number of them.

        Raises:
            Interrupted: The operation stopped half-way. The error has the outcome so far, the ids with an unclear
                result, and the ids that were not sent.
            ProviderError: The only request failed.
        """
        return self._transport.run(operations.delete_contacts(self.provider, ids))

    def delete_all_contacts(self: Contacts[DeletesAllContacts], *, confirm: str) -> Outcome:
        """Delete every contact of the account.

        Args:
            confirm: The exact name that the account was opened under: the ``name`` of this client.

        Raises:
            InvalidInput: ``confirm`` is another text; nothing was sent.
            Interrupted: The operation stopped half-way; see `delete_contacts`.
        """
        return self._transport.run(operations.delete_all_contacts(self.provider, confirm, self.name))

    def remove_identifier(self: Contacts[RemovesIdentifiers], contact_id: str, identifier: Identifier) -> Outcome:
        """Remove one identifier from a contact, and keep the contact.

        Args:
            contact_id: The vendor's id of the contact.
            identifier: The identifier to remove. If the contact does not have it, it is in ``Outcome.absent``.

        Raises:
            NotFound: There is no such contact.
            Rejected: The vendor refuses, for example because it is the contact's only identifier.
        """
        return self._transport.run(operations.remove_identifier(self.provider, contact_id, identifier))

    def change_contact(
        self: Contacts[ChangesContacts],
        contact_id: str,
        *,
        set: Mapping[str, CustomValue] | None = None,
        clear: Iterable[str] = (),
    ) -> Outcome:
        """Change fields of one contact. All other fields stay, and so do its identifiers and lists.

        Fields are ``first_name``, ``last_name``, ``full_name``, ``organization``, ``title``, ``address.`` with a part
        of the address such as ``address.city`` (``address.formatted`` for vendors that keep it as one text), and
        ``custom.`` with the name of a custom field. A full name that the vendor makes of first and last name follows
        them. If nothing is given, nothing is sent.

        Args:
            contact_id: The vendor's id of the contact.
            set: New values, by the name of the field.
            clear: Names of fields that lose their value.

        Raises:
            NotFound: There is no such contact.
            InvalidInput: There is no such field, or a value cannot be written; nothing was changed.
            UnsupportedOperation: The vendor cannot set or clear one of the fields; nothing was sent.
        """
        return self._transport.run(operations.change_contact(self.provider, contact_id, set or {}, clear))

    def remove_from_list(
        self: Contacts[RemovesFromLists], list_id: str, members: Iterable[str | Identifier]
    ) -> Outcome:
        """Remove contacts from a list, and keep the contacts.

        Args:
            list_id: The id of the list, or its exact name.
            members: Contact ids, identifiers, or both. An identifier stands for every contact that has it.

        Raises:
            InvalidInput: There is no such list, or several have this name; nothing was changed.
            Interrupted: The operation stopped half-way; see `delete_contacts`.
        """
        return self._transport.run(operations.remove_from_list(self.provider, list_id, members))

    def add_to_list(self: Contacts[AddsToLists], list_id: str, members: Iterable[str | Identifier]) -> Outcome:
        """Put contacts on a list.

        Args:
            list_id: The id of the list, or its exact name.
            members: Contact ids, identifiers, or both. An identifier stands for every contact that has it.

        Raises:
            InvalidInput: There is no such list, or several have this name; nothing was changed.
            Interrupted: The operation stopped half-way; see `delete_contacts`.
        """
        return self._transport.run(operations.add_to_list(self.provider, list_id, members))

    def search(self: Contacts[Exports], query: Query, *, scan: bool = False) -> Iterator[Contact]:
        """Iterate over all contacts that match a query.

        The vendor's own search is used if it can express the query. Otherwise every contact is read and filtered.
        `explain` says which, and what it costs.

        Args:
            query: What to look for, such as ``F.email == "jane@example.com"``.
            scan: If the vendor returns only some of the matches, read every contact instead of raising.

        Yields:
            Each matching contact once.

        Raises:
            IncompleteSearch: The vendor returned only some of the matches. The error has them, and their total number.
            UnsupportedOperation: The query is a `RawQuery`, and the vendor has no query language.
        """
        return self._transport.stream(operations.search(self.provider, query, scan=scan))

    def explain(self: Contacts[Exports], query: Query) -> Explanation:
        """Explain how `search` would answer a query, and how many requests that costs.

        Args:
            query: The query; it is not run. If it names lists, the vendor's lists are read.
        """
        return self._transport.run(operations.explain(self.provider, query))

    def export(self: Contacts[Exports], lists: Iterable[str] = ()) -> Iterator[Contact]:
        """Iterate over every contact of the account, or of some lists, in constant memory.

        An export is not a snapshot: contacts that change while it runs may appear as before or after the change.

        Args:
            lists: Ids or exact names of lists; all contacts if there are none.

        Yields:
            Each contact once, even if it is on several lists.

        Raises:
            IncompleteExport: Fewer contacts arrived than the vendor announced. It is raised after those that arrived.
            JobFailed: The vendor's export job failed.
        """
        return self._transport.stream(operations.export(self.provider, lists))

    def get_contacts(self: Contacts[GetsContacts], ids: Iterable[str]) -> dict[str, Contact | None]:
        """Read contacts by id.

        Args:
            ids: The vendor's ids.

        Returns:
            The contact for each id, None for ids that do not exist.

        Raises:
            InvalidInput: An id is malformed; nothing was sent.
        """
        return self._transport.run(operations.get_contacts(self.provider, ids))

    def find(self: Contacts[FindsContacts], identifiers: Iterable[Identifier]) -> Found:
        """Look contacts up by exact identifier.

        Args:
            identifiers: The identifiers to look for. They are compared in their normal form.

        Returns:
            The contacts by identifier, None for identifiers that no contact has. ``Found.unasked`` has the identifiers
            that this vendor cannot look up.
        """
        return self._transport.run(operations.find(self.provider, identifiers))

    def count(self: Contacts[Counts]) -> Count:
        """Count the contacts of the account.

        Returns:
            The number. Its ``source`` is ``counter`` (the vendor's own number, which may lag behind) or ``paged``
            (every contact was read).
        """
        return self._transport.run(operations.count(self.provider))

    def lists(self: Contacts[ReadsLists]) -> list[ContactList]:
        """Read all lists of the account."""
        return self._transport.run(operations.lists(self.provider))

    def create_list(self: Contacts[CreatesLists], name: str) -> ContactList:
        """Create an empty list.

        Args:
            name: The name of the list.

        Raises:
            InvalidInput: The name is blank.
            Rejected: The vendor refuses, for example because a list has this name already.
        """
        return self._transport.run(operations.create_list(self.provider, name))

    def ensure_list(self: Contacts[CreatesLists], name: str) -> ContactList:
        """Find the list with this name, or create it if there is none.

        Calling it again returns the same list, also after a crash.

        Args:
            name: The exact name of the list.

        Raises:
            InvalidInput: Several lists have this name, or it is not allowed; nothing was created.
            UnsupportedOperation: The provider cannot read its lists.
        """
        return self._transport.run(operations.ensure_list(self.provider, name))

    def delete_list(self: Contacts[DeletesLists], list_id: str) -> Outcome:
        """Delete a list, and keep its contacts.

        Args:
            list_id: The id of the list, or its exact name.

        Raises:
            InvalidInput: There is no such list, or several have this name; nothing was changed.
        """
        return self._transport.run(operations.delete_list(self.provider, list_id))

    def custom_fields(self: Contacts[ReadsCustomFields]) -> list[FieldDefinition]:
        """Read the definitions of all custom fields of the account."""
        return self._transport.run(operations.custom_fields(self.provider))

    def create_custom_field(self: Contacts[CreatesCustomFields], name: str, type: FieldType) -> FieldDefinition:
        """Create a custom field; contacts can have values in it from then on.

        Some vendors refuse values in a new field for a few seconds.

        Args:
            name: Its name. Names that differ only in case are taken for the same.
            type: The type of its values.

        Raises:
            InvalidInput: The name is not allowed, or a field has it already; nothing was created.
            UnsupportedOperation: The vendor has no fields of this type that can be created; nothing was sent.
        """
        return self._transport.run(operations.create_custom_field(self.provider, name, type))

    def shape(self) -> Shape:
        """Read what the account has room for: its lists and custom fields, as far as the provider can read them."""
        return self._transport.run(operations.read_shape(self.provider))

    def preview(self: Contacts[UpsertsContacts], contact: Contact, shape: Shape) -> Preview:
        """Tell what a read would show of a contact after it was written, and what of it would get lost.

        Nothing is sent. `upsert_contacts` writes what this shows.

        Args:
            contact: The contact.
            shape: What the account has room for, from `shape`. It may be used for any number of contacts.
        """
        return operations.preview(self.provider, contact, shape)

    def upsert_contacts(
        self: Contacts[UpsertsContacts],
        contacts: Iterable[Contact],
        lists: Iterable[str] = (),
        *,
        recreate_erased: bool = False,
        named: bool = True,
    ) -> Outcome:
        """Create contacts, or update those that exist, and put them on lists.

        What the account cannot hold is not written, or written in another form: ``Outcome.losses`` and
        ``Outcome.dropped_fields`` name it, and `preview` tells it beforehand. Contacts that the guard refuses are not
        written; they are in ``Outcome.failed``, with their row. The guard of clients that `connect` opened refuses
        people who were erased.

        Args:
            contacts: The contacts, any number of them.
            lists: Ids or exact names of lists to put them on.
            recreate_erased: Do not ask the guard: also write people who were erased.
            named: Name the contacts that were written in ``Outcome.confirmed``. With False they are only counted, in
                ``Outcome.processed``, so that memory use does not grow with their number.

        Raises:
            InvalidInput: There is no such list; nothing was written.
            Interrupted: The operation stopped half-way; see `delete_contacts`.
        """
        guard = None if recreate_erased else self._guard
        return self._transport.run(operations.upsert_contacts(self.provider, contacts, lists, guard, named=named))

    def consent(self: Contacts[ReadsConsent]) -> Iterator[Consent]:
        """Iterate over every statement of consent of the account, in constant memory.

        These are all opt-ins, unsubscribes, bounces and the like that the vendor tells, also about people who are no
        contacts. `contacts_core.merge_consent` says which of several statements counts.

        Yields:
            Each statement. A statement that changes while it runs may appear as before or after the change.

        Raises:
            IncompleteExport: The vendor has more statements than it shows.
        """
        return self._transport.stream(operations.consent(self.provider))

    def find_consent(self: Contacts[FindsConsent], identifiers: Iterable[Identifier]) -> FoundConsent:
        """Look up the statements of consent about identifiers.

        Args:
            identifiers: The identifiers, of any kind.

        Returns:
            The statements by identifier. An identifier without a statement has an empty tuple: nobody has said anything
            about it. ``FoundConsent.unasked`` has the identifiers that could not be looked up.
        """
        return self._transport.run(operations.find_consent(self.provider, identifiers))

    def write_consent(
        self: Contacts[WritesConsent],
        statements: Iterable[Consent],
        *,
        accept: Iterable[str] = (),
        recreate_erased: bool = False,
    ) -> Outcome:
        """Write statements of consent.

        A statement that would lose something at this vendor is not sent unless that loss is accepted. A grant that must
        not overrule what the vendor has is never sent; see `contacts_core.merge_consent`. Such statements are in
        ``Outcome.failed``. What was lost of the others is in ``Outcome.dropped_fields``, with its code.

        Args:
            statements: The statements, any number of them. Where the vendor keeps one about each thing, they are merged
                first.
            accept: Losses that are accepted: ``REASON_LOST``, ``DATE_LOST``, ``NO_PLACE:evidence``, ``NO_PLACE:scope``
                (it covers the whole channel then), ``RETYPED:coverage`` (it covers all messages then). What a vendor
                cannot hold at all is never sent.
            recreate_erased: Also write about people who were erased, where a statement creates a contact.

        Raises:
            InvalidInput: ``accept`` names something else; nothing was sent.
            Interrupted: The operation stopped half-way; see `delete_contacts`.
        """
        guard = None if recreate_erased else self._guard
        return self._transport.run(operations.write_consent(self.provider, statements, accept, guard))

    def lift_suppression(
        self: Contacts[LiftsSuppressions],
        identifier: Identifier,
        *,
        evidence: str,
        channel: Channel = Channel.EMAIL,
        scope: str = "",
        reasons: Iterable[ConsentReason | None] = LIFTED_BY_DEFAULT,
    ) -> Outcome:
        """Lift the suppressions of one identifier, and check that they are gone. Nothing else ever lifts one.

        Only what is named is lifted. Somebody who complained, or whose address bounces, stays suppressed unless
        ``reasons`` says so.

        Args:
            identifier: The address or number.
            evidence: What shows that the person asked to be written to again; the vendor keeps it where it can.
            channel: The channel.
            scope: The scope; empty for the suppression of everything, which leaves those of scopes as they are.
            reasons: Suppressions for other reasons than these stay; None is that of vendors that tell no reason.

        Returns:
            Whether it was lifted; ``Outcome.absent`` has the identifier if there was nothing to lift.

        Raises:
            InvalidInput: There is no evidence, or the identifier cannot be looked up; nothing was sent.
        """
        flow = operations.lift_suppression(self.provider, identifier, evidence, channel, scope, reasons)
        return self._transport.run(flow)

    def ensure_consent_scopes(self: Contacts[CreatesConsentScopes], names: Iterable[str]) -> tuple[str, ...]:
        """Create the scopes of consent that are missing, such as unsubscribe groups. Repeating it creates nothing more.

        Args:
            names: Names of scopes.

        Returns:
            The names of those that were created.

        Raises:
            InvalidInput: A name is blank or too long; nothing was created.
        """
        return self._transport.run(operations.ensure_consent_scopes(self.provider, names))

    def erase_mail_data(self: Contacts[ErasesMailData], identifiers: Iterable[Identifier]) -> Outcome:
        """Erase what the vendor keeps of mail that was sent to addresses, such as names and subject lines.

        Contacts and statements of consent stay. There is no way back.

        Args:
            identifiers: The e-mail addresses. Other identifiers are in ``Outcome.failed``.

        Raises:
            Interrupted: The operation stopped half-way; see `delete_contacts`.
        """
        return self._transport.run(operations.erase_mail_data(self.provider, identifiers))

    def get_job(self: Contacts[QueuesJobs], job: Job | str) -> Job:
        """Read a job once, as the vendor reports it now.

        Args:
            job: The job, or its id. It may have been started by another process.

        Raises:
            InvalidInput: The job belongs to another provider.
            NotFound: There is no such job.
        """
        return self._transport.run(operations.get_job(self.provider, job))

    @overload
    def wait(self, work: Outcome, *, timeout: float = ...) -> Outcome: ...
    @overload
    def wait(self, work: Job, *, timeout: float = ...) -> Job: ...
    def wait(self, work: Outcome | Job, *, timeout: float = 900.0) -> Outcome | Job:
        """Wait until a job, or every job of an outcome, has finished.

        Args:
            work: A job or an outcome. An outcome without open jobs is returned at once.
            timeout: Longest time to wait, in seconds.

        Returns:
            The job or outcome as it ended. A failed job does not raise: see its ``state``.

        Raises:
            JobTimeout: A job is still pending. The error has the job, which can be waited for again.
        """
        return self._transport.run(operations.wait_for(self.provider, work, timeout))

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | Sequence[str]] | None = None,
        json: Any = None,
        form: Mapping[str, str | Sequence[str]] | None = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send one request to the vendor's API, with authorization, retries and rate limits.

        Use this for endpoints that have no method here.

        Args:
            method: HTTP method.
            path: Path from the vendor's documentation, relative to the base URL, with its values percent-encoded.
            params: Query parameters, not encoded; a name may have several values.
            json: Body, as plain data.
            form: Body, as the fields of a form; at most one of ``json``, ``form`` and ``content`` is given.
            content: Body, as it is.
            headers: Headers besides those of the provider, or in place of them.

        Returns:
            JSON as plain data, any other text as `str`, the rest as `bytes`; None if the answer has no body.

        Raises:
            InvalidInput: The path is absolute, or leads out of the base URL.
            ProviderError: The vendor refused the request, or did not answer.
        """
        flow = operations.request(
            self.provider, method, path, params, json, form=form, content=content, headers=headers
        )
        return self._transport.run(flow)
