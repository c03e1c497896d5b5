"""The client for programs that block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

from contacts_core import operations
from contacts_core.http.blocking import BlockingTransport
from contacts_core.http.hooks import BeforeSend, EventHook
from contacts_core.http.protocols import Client
from contacts_core.models import (
    Contact,
    ContactList,
    Count,
    Explanation,
    FieldDefinition,
    Found,
    Identifier,
    Job,
    Outcome,
)
from contacts_core.operations import WriteGuard
from contacts_core.provider import (
    AddsToLists,
    Counts,
    CreatesLists,
    DeletesAllContacts,
    DeletesContacts,
    DeletesLists,
    Exports,
    FindsContacts,
    Flow,
    GetsContacts,
    Provider,
    QueuesJobs,
    ReadsCustomFields,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    UpsertsContacts,
)
from contacts_core.query import Query

T = TypeVar("T")
P_co = TypeVar("P_co", bound=Provider, covariant=True)


class Contacts(Generic[P_co]):
    """The contacts of one account. A context manager: leaving it closes the connections."""

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
        """Give the door itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections; a client of the caller's own stays open."""
        self._transport.close()

    def run(self, flow: Flow[T]) -> T:
        """Run a flow of your own, or of `contacts_core.operations`, with this account's pacing and retries."""
        return self._transport.run(flow)

    def add_event_hook(self, hook: EventHook) -> Callable[[], None]:
        """Call a function after every exchange with the vendor, for logging, metrics or tests.

        Any number of hooks may be there, and each is called, in the thread of the exchange. If a hook fails, a
        warning is logged and the request continues.

        Args:
            hook: Gets the request, and the HTTP response, or None if no complete response came.

        Returns:
            A function that removes the hook.
        """
        return self._transport.add_event_hook(hook)

    def add_before_send(self, hook: BeforeSend) -> Callable[[], None]:
        """Ask a function before every exchange with the vendor; of several, the least answer counts.

        Args:
            hook: Gives the seconds that the exchange may take, or 0 to be asked again in a moment. If it raises,
                nothing is sent, and the exception ends the operation.

        Returns:
            A function that removes the hook.
        """
        return self._transport.add_before_send(hook)

    def charge_rate_limit(self, requests: int) -> None:
        """Count requests that another process just sent for this account against its rates."""
        self._transport.charge(requests)

    def __repr__(self) -> str:
        """Name the account; settings stay out."""
        return f"Contacts({self.name!r}, provider={self.provider.name!r})"

    def delete_contacts(self: Contacts[DeletesContacts], ids: Iterable[str]) -> Outcome:
        """Delete whole contacts.

        Ids that could not be an id are not sent and come back as failures; nothing at all is sent for none. On vendors
        with jobs the outcome is accepted, not done: `wait` for it.

        Raises:
            Interrupted: It stopped half-way; the error tells what was reached, what is unclear and what was not sent.
        """
        return self._transport.run(operations.delete_contacts(self.provider, ids))

    def delete_all_contacts(self: Contacts[DeletesAllContacts], *, confirm: str) -> Outcome:
        """Delete every contact of the account.

        Args:
            confirm: The exact name of the account, or of the provider.

        Raises:
            InvalidInput: ``confirm`` is something else; nothing was sent.
        """
        return self._transport.run(
            operations.delete_all_contacts(self.provider, confirm, [self.name, self.provider.name])
        )

    def remove_identifier(self: Contacts[RemovesIdentifiers], contact_id: str, identifier: Identifier) -> Outcome:
        """Remove one identifier and keep the contact.

        Raises:
            NotFound: There is no such contact.
        """
        return self._transport.run(operations.remove_identifier(self.provider, contact_id, identifier))

    def remove_from_list(
        self: Contacts[RemovesFromLists], list_id: str, members: Iterable[str | Identifier]
    ) -> Outcome:
        """Take contacts off a list and keep them.

        Args:
            list_id: The vendor's id of the list.
            members: Contact ids, identifiers, or both. An identifier stands for every contact that has it.
        """
        return self._transport.run(operations.remove_from_list(self.provider, list_id, members))

    def add_to_list(self: Contacts[AddsToLists], list_id: str, members: Iterable[str | Identifier]) -> Outcome:
        """Put contacts on a list; see `remove_from_list`."""
        return self._transport.run(operations.add_to_list(self.provider, list_id, members))

    def search(self: Contacts[Exports], query: Query, *, scan: bool = False) -> Iterator[Contact]:
        """The contacts that match, all of them.

        The vendor's own search is used where it can answer; else every contact is read and filtered. `explain` tells
        which, and what it costs.

        Args:
            query: What to look for.
            scan: Where the vendor shows only a sample of the matches, read every contact instead of raising.

        Raises:
            IncompleteSearch: The vendor showed a sample; the error carries it and the total.
        """
        return self._transport.stream(operations.search(self.provider, query, scan=scan))

    def explain(self: Contacts[Exports], query: Query) -> Explanation:
        """How `search` would answer this query, and its cost in requests."""
        return self._transport.run(operations.explain(self.provider, query))

    def export(self: Contacts[Exports], lists: Iterable[str] = ()) -> Iterator[Contact]:
        """Every contact of the account, or of these lists, each once, in constant memory.

        Raises:
            IncompleteExport: Fewer contacts came than the vendor announced.
            JobFailed: The vendor's export job failed.
        """
        return self._transport.stream(operations.export(self.provider, lists))

    def get_contacts(self: Contacts[GetsContacts], ids: Iterable[str]) -> dict[str, Contact | None]:
        """Contacts by id; None for those that do not exist.

        Raises:
            InvalidInput: An id could not be an id; nothing was sent.
        """
        return self._transport.run(operations.get_contacts(self.provider, ids))

    def find(self: Contacts[FindsContacts], identifiers: Iterable[Identifier]) -> Found:
        """Contacts by exact identifier; None for those that do not exist."""
        return self._transport.run(operations.find(self.provider, identifiers))

    def count(self: Contacts[Counts]) -> Count:
        """How many contacts the account has; ``count().source`` tells how that is known."""
        return self._transport.run(operations.count(self.provider))

    def lists(self: Contacts[ReadsLists]) -> list[ContactList]:
        """Every list of the account."""
        return self._transport.run(operations.lists(self.provider))

    def create_list(self: Contacts[CreatesLists], name: str) -> ContactList:
        """Create an empty list."""
        return self._transport.run(operations.create_list(self.provider, name))

    def delete_list(self: Contacts[DeletesLists], list_id: str) -> Outcome:
        """Delete a list; its contacts stay."""
        return self._transport.run(operations.delete_list(self.provider, list_id))

    def custom_fields(self: Contacts[ReadsCustomFields]) -> list[FieldDefinition]:
        """Every custom field of the account."""
        return self._transport.run(operations.custom_fields(self.provider))

    def upsert_contacts(
        self: Contacts[UpsertsContacts],
        contacts: Iterable[Contact],
        lists: Iterable[str] = (),
        *,
        recreate_erased: bool = False,
    ) -> Outcome:
        """Create contacts, or update those that exist, and put them on these lists.

        ``Outcome.dropped_fields`` names the fields that this vendor has no place for. Contacts with an identifier that
        was erased (it has a tombstone) are not written; they come back as failures that name their row.

        Args:
            contacts: The contacts, any number of them.
            lists: Ids of lists to put them on.
            recreate_erased: Do not ask the guard: also write people who were erased.
        """
        guard = None if recreate_erased else self._guard
        return self._transport.run(operations.upsert_contacts(self.provider, contacts, lists, guard))

    def get_job(self: Contacts[QueuesJobs], job: Job | str) -> Job:
        """A job as the vendor sees it now; it may come from another process."""
        return self._transport.run(operations.get_job(self.provider, job))

    @overload
    def wait(self, work: Outcome, *, timeout: float = ...) -> Outcome: ...
    @overload
    def wait(self, work: Job, *, timeout: float = ...) -> Job: ...
    def wait(self, work: Outcome | Job, *, timeout: float = 900.0) -> Outcome | Job:
        """Wait until the vendor has finished a job, or all jobs of an outcome, and give what became of it.

        Args:
            work: A job, or an outcome; one without open jobs comes back at once.
            timeout: Seconds to wait, at most.

        Raises:
            JobTimeout: A job is still pending; it can be checked again later.
        """
        return self._transport.run(operations.wait_for(self.provider, work, timeout))

    def request(self, method: str, path: str, *, params: Mapping[str, str] | None = None, json: Any = None) -> Any:
        """One raw request, with auth, retries and pacing: the way to what has no method here.

        Args:
            method: HTTP method.
            path: Path below the provider's base URL, with its values already percent-encoded.
            params: Query parameters, not yet encoded.
            json: Body.

        Returns:
            The decoded JSON; None for an empty answer.
        """
        return self._transport.run(operations.request(self.provider, method, path, params, json))
