"""The client for programs that use ``await``; `Contacts` describes what each method does."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar, overload

from contacts_core import operations
from contacts_core.http.asynchronous import AsyncTransport
from contacts_core.http.hooks import BeforeSend, EventHook
from contacts_core.http.protocols import AsyncClient
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
AnyIterable: TypeAlias = Iterable[T] | AsyncIterable[T]


class AsyncContacts(Generic[P_co]):
    """The asynchronous client for one account. Use it with ``async with``: leaving it closes the connections.

    It has the same methods as `Contacts`. Those with one result are awaited; `search` and `export` return asynchronous
    iterators. A client belongs to one event loop.

    Where `Contacts` takes an iterable, this client takes an asynchronous one as well. ``upsert_contacts`` takes one
    batch at a time from it, after the batch before was sent; the other methods read it to its end first.
    """

    def __init__(
        self,
        provider: P_co,
        client: AsyncClient | None = None,
        *,
        name: str = "",
        transport: AsyncTransport | None = None,
        guard: WriteGuard | None = None,
    ) -> None:
        """Open the account that ``provider`` describes; `connect_async` does this by name.

        Args:
            provider: The provider with its settings.
            client: An HTTP client of your own.
            name: The account's name, for confirmations.
            transport: What performs the requests; for tests that keep their own clock.
            guard: Called by `upsert_contacts` with each batch before it is sent; gives for each contact why it must not
                be written, or an empty string. It may block: it runs in a thread. None: every contact may be
                written. `connect_async` passes a guard that refuses people who were erased.
        """
        self.provider = provider
        self.name = name or provider.name
        self._guard = guard
        self._transport = transport or AsyncTransport(provider, client)

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections. An HTTP client that you passed in stays open."""
        await self._transport.close()
        self.provider.close()

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow of your own, with this account's authorization, rate limits and retries.

        Args:
            flow: A generator that yields requests, such as a method of the provider returns.

        Returns:
            What the flow returns.

        Raises:
            ContactsError: A request failed, or the flow raised it.
        """
        return await self._transport.run(flow)

    def add_event_hook(self, hook: EventHook) -> Callable[[], None]:
        """Call a function after every exchange with the vendor, for logging, metrics or tests.

        Several hooks can be added. Each is called in the event loop and must not block. If a hook raises, a
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
                is sent, and the exception ends the operation. It runs in the event loop and must not
                block.

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
        return f"AsyncContacts({self.name!r}, provider={self.provider.name!r})"

    async def delete_contacts(self: AsyncContacts[DeletesContacts], ids: AnyIterable[str]) -> Outcome:
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
        return await self._transport.run(operations.delete_contacts(self.provider, await _collected(ids)))

    async def delete_all_contacts(self: AsyncContacts[DeletesAllContacts], *, confirm: str) -> Outcome:
        """Delete every contact of the account.

        Args:
            confirm: The exact name that the account was opened under: the ``name`` of this client.

        Raises:
            InvalidInput: ``confirm`` is another text; nothing was sent.
            Interrupted: The operation stopped half-way; see `delete_contacts`.
        """
        return await self._transport.run(operations.delete_all_contacts(self.provider, confirm, self.name))

    async def remove_identifier(
        self: AsyncContacts[RemovesIdentifiers], contact_id: str, identifier: Identifier
    ) -> Outcome:
        """Remove one identifier from a contact, and keep the contact.

        Args:
            contact_id: The vendor's id of the contact.
            identifier: The identifier to remove. If the contact does not have it, it is in ``Outcome.absent``.

        Raises:
            NotFound: There is no such contact.
            Rejected: The vendor refuses, for example because it is the contact's only identifier.
        """
        return await self._transport.run(operations.remove_identifier(self.provider, contact_id, identifier))

    async def change_contact(
        self: AsyncContacts[ChangesContacts],
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
        return await self._transport.run(operations.change_contact(self.provider, contact_id, set or {}, clear))

    async def remove_from_list(
        self: AsyncContacts[RemovesFromLists], list_id: str, members: AnyIterable[str | Identifier]
    ) -> Outcome:
        """Remove contacts from a list, and keep the contacts.

        Args:
            list_id: The id of the list, or its exact name.
            members: Contact ids, identifiers, or both. An identifier stands for every contact that has it.

        Raises:
            InvalidInput: There is no such list, or several have this name; nothing was changed.
            Interrupted: The operation stopped half-way; see `delete_contacts`.
        """
        return await self._transport.run(operations.remove_from_list(self.provider, list_id, await _collected(members)))

    async def add_to_list(
        self: AsyncContacts[AddsToLists], list_id: str, members: AnyIterable[str | Identifier]
    ) -> Outcome:
        """Put contacts on a list.

        Args:
            list_id: The id of the list, or its exact name.
            members: Contact ids, identifiers, or both. An identifier stands for every contact that has it.

        Raises:
            InvalidInput: There is no such list, or several have this name; nothing was changed.
            Interrupted: The operation stopped half-way; see `delete_contacts`.
        """
        return await self._transport.run(operations.add_to_list(self.provider, list_id, await _collected(members)))

    def search(self: AsyncContacts[Exports], query: Query, *, scan: bool = False) -> AsyncIterator[Contact]:
        """Iterate asynchronously over all contacts that match a query.

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

    async def explain(self: AsyncContacts[Exports], query: Query) -> Explanation:
        """Explain how `search` would answer a query, and how many requests that costs.

        Args:
            query: The query; it is not run. If it names lists, the vendor's lists are read.
        """
        return await self._transport.run(operations.explain(self.provider, query))

    def export(self: AsyncContacts[Exports], lists: AnyIterable[str] = ()) -> AsyncIterator[Contact]:
        """Iterate asynchronously over every contact of the account, or of some lists, in constant memory.

        An export is not a snapshot: contacts that change while it runs may appear as before or after the change.

        Args:
            lists: Ids or exact names of lists; all contacts if there are none.

        Yields:
            Each contact once, even if it is on several lists.

        Raises:
            IncompleteExport: Fewer contacts arrived than the vendor announced. It is raised after those that arrived.
            JobFailed: The vendor's export job failed.
        """
        if isinstance(lists, AsyncIterable):
            return self._export_later(lists)
        return self._transport.stream(operations.export(self.provider, lists))

    async def _export_later(self, lists: AsyncIterable[str]) -> AsyncIterator[Contact]:
        async for contact in self._transport.stream(operations.export(self.provider, await _collected(lists))):
            yield contact

    async def get_contacts(self: AsyncContacts[GetsContacts], ids: AnyIterable[str]) -> dict[str, Contact | None]:
        """Read contacts by id.

        Args:
            ids: The vendor's ids.

        Returns:
            The contact for each id, None for ids that do not exist.

        Raises:
            InvalidInput: An id is malformed; nothing was sent.
        """
        return await self._transport.run(operations.get_contacts(self.provider, await _collected(ids)))

    async def find(self: AsyncContacts[FindsContacts], identifiers: AnyIterable[Identifier]) -> Found:
        """Look contacts up by exact identifier.

        Args:
            identifiers: The identifiers to look for. They are compared in their normal form.

        Returns:
            The contacts by identifier, None for identifiers that no contact has. ``Found.unasked`` has the identifiers
            that this vendor cannot look up.
        """
        return await self._transport.run(operations.find(self.provider, await _collected(identifiers)))

    async def count(self: AsyncContacts[Counts]) -> Count:
        """Count the contacts of the account.

        Returns:
            The number. Its ``source`` is ``counter`` (the vendor's own number, which may lag behind) or ``paged``
            (every contact was read).
        """
        return await self._transport.run(operations.count(self.provider))

    async def lists(self: AsyncContacts[ReadsLists]) -> list[ContactList]:
        """Read all lists of the account."""
        return await self._transport.run(operations.lists(self.provider))

    async def create_list(self: AsyncContacts[CreatesLists], name: str) -> ContactList:
        """Create an empty list.

        Args:
            name: The name of the list.

        Raises:
            InvalidInput: The name is blank.
            Rejected: The vendor refuses, for example because a list has this name already.
        """
        return await self._transport.run(operations.create_list(self.provider, name))

    async def ensure_list(self: AsyncContacts[CreatesLists], name: str) -> ContactList:
        """Find the list with this name, or create it if there is none.

        Calling it again returns the same list, also after a crash.

        Args:
            name: The exact name of the list.

        Raises:
            InvalidInput: Several lists have this name, or it is not allowed; nothing was created.
            UnsupportedOperation: The provider cannot read its lists.
        """
        return await self._transport.run(operations.ensure_list(self.provider, name))

    async def delete_list(self: AsyncContacts[DeletesLists], list_id: str) -> Outcome:
        """Delete a list, and keep its contacts.

        Args:
            list_id: The id of the list, or its exact name.

        Raises:
            InvalidInput: There is no such list, or several have this name; nothing was changed.
        """
        return await self._transport.run(operations.delete_list(self.provider, list_id))

    async def custom_fields(self: AsyncContacts[ReadsCustomFields]) -> list[FieldDefinition]:
        """Read the definitions of all custom fields of the account."""
        return await self._transport.run(operations.custom_fields(self.provider))

    async def create_custom_field(
        self: AsyncContacts[CreatesCustomFields], name: str, type: FieldType
    ) -> FieldDefinition:
        """Create a custom field; contacts can have values in it from then on.

        Some vendors refuse values in a new field for a few seconds.

        Args:
            name: Its name. Names that differ only in case are taken for the same.
            type: The type of its values.

        Raises:
            InvalidInput: The name is not allowed, or a field has it already; nothing was created.
            UnsupportedOperation: The vendor has no fields of this type that can be created; nothing was sent.
        """
        return await self._transport.run(operations.create_custom_field(self.provider, name, type))

    async def shape(self) -> Shape:
        """Read what the account has room for: its lists and custom fields, as far as the provider can read them."""
        return await self._transport.run(operations.read_shape(self.provider))

    def preview(self: AsyncContacts[UpsertsContacts], contact: Contact, shape: Shape) -> Preview:
        """Tell what a read would show of a contact after it was written, and what of it would get lost.

        Nothing is sent. `upsert_contacts` writes what this shows.

        Args:
            contact: The contact.
            shape: What the account has room for, from `shape`. It may be used for any number of contacts.
        """
        return operations.preview(self.provider, contact, shape)

    async def upsert_contacts(
        self: AsyncContacts[UpsertsContacts],
        contacts: AnyIterable[Contact],
        lists: AnyIterable[str] = (),
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
        targets = await _collected(lists)
        return await self._transport.run(
            operations.upsert_contacts(self.provider, contacts, targets, guard, named=named)
        )

    def consent(self: AsyncContacts[ReadsConsent]) -> AsyncIterator[Consent]:
        """Iterate asynchronously over every statement of consent of the account, in constant memory.

        These are all opt-ins, unsubscribes, bounces and the like that the vendor tells, also about people who are no
        contacts. `contacts_core.merge_consent` says which of several statements counts.

        Yields:
            Each statement. A statement that changes while it runs may appear as before or after the change.

        Raises:
            IncompleteExport: The vendor has more statements than it shows.
        """
        return self._transport.stream(operations.consent(self.provider))

    async def find_consent(self: AsyncContacts[FindsConsent], identifiers: AnyIterable[Identifier]) -> FoundConsent:
        """Look up the statements of consent about identifiers.

        Args:
            identifiers: The identifiers, of any kind.

        Returns:
            The statements by identifier. An identifier without a statement has an empty tuple: nobody has said anything
            about it. ``FoundConsent.unasked`` has the identifiers that could not be looked up.
        """
        return await self._transport.run(operations.find_consent(self.provider, await _collected(identifiers)))

    async def write_consent(
        self: AsyncContacts[WritesConsent],
        statements: AnyIterable[Consent],
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
        return await self._transport.run(
            operations.write_consent(self.provider, await _collected(statements), accept, guard)
        )

    async def lift_suppression(
        self: AsyncContacts[LiftsSuppressions],
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
        return await self._transport.run(flow)

    async def ensure_consent_scopes(
        self: AsyncContacts[CreatesConsentScopes], names: AnyIterable[str]
    ) -> tuple[str, ...]:
        """Create the scopes of consent that are missing, such as unsubscribe groups. Repeating it creates nothing more.

        Args:
            names: Names of scopes.

        Returns:
            The names of those that were created.

        Raises:
            InvalidInput: A name is blank or too long; nothing was created.
        """
        return await self._transport.run(operations.ensure_consent_scopes(self.provider, await _collected(names)))

    async def erase_mail_data(self: AsyncContacts[ErasesMailData], identifiers: AnyIterable[Identifier]) -> Outcome:
        """Erase what the vendor keeps of mail that was sent to addresses, such as names and subject lines.

        Contacts and statements of consent stay. There is no way back.

        Args:
            identifiers: The e-mail addresses. Other identifiers are in ``Outcome.failed``.

        Raises:
            Interrupted: The operation stopped half-way; see `delete_contacts`.
        """
        return await self._transport.run(operations.erase_mail_data(self.provider, await _collected(identifiers)))

    async def get_job(self: AsyncContacts[QueuesJobs], job: Job | str) -> Job:
        """Read a job once, as the vendor reports it now.

        Args:
            job: The job, or its id. It may have been started by another process.

        Raises:
            InvalidInput: The job belongs to another provider.
            NotFound: There is no such job.
        """
        return await self._transport.run(operations.get_job(self.provider, job))

    @overload
    async def wait(self, work: Outcome, *, timeout: float = ...) -> Outcome: ...
    @overload
    async def wait(self, work: Job, *, timeout: float = ...) -> Job: ...
    async def wait(self, work: Outcome | Job, *, timeout: float = 900.0) -> Outcome | Job:
        """Wait until a job, or every job of an outcome, has finished.

        Args:
            work: A job or an outcome. An outcome without open jobs is returned at once.
            timeout: Longest time to wait, in seconds.

        Returns:
            The job or outcome as it ended. A failed job does not raise: see its ``state``.

        Raises:
            JobTimeout: A job is still pending. The error has the job, which can be waited for again.
        """
        return await self._transport.run(operations.wait_for(self.provider, work, timeout))

    async def request(
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
        return await self._transport.run(flow)


async def _collected(items: AnyIterable[T]) -> Iterable[T]:
    return [item async for item in items] if isinstance(items, AsyncIterable) else items
