"""The client for programs that use ``await``; `Contacts` describes what each method does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

from contacts_core import operations
from contacts_core.http.asynchronous import AsyncTransport
from contacts_core.http.hooks import BeforeSend, EventHook
from contacts_core.http.protocols import AsyncClient
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


class AsyncContacts(Generic[P_co]):
    """The same as `Contacts`, with every method to be awaited."""

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
        """Give the door itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections; a client of the caller's own stays open."""
        await self._transport.close()

    async def run(self, flow: Flow[T]) -> T:
        """See `Contacts.run`."""
        return await self._transport.run(flow)

    def add_event_hook(self, hook: EventHook) -> Callable[[], None]:
        """Call a function after every exchange with the vendor, for logging, metrics or tests.

        Any number of hooks may be there, and each is called, in the event loop: it must not block. If a hook fails, a
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
                nothing is sent, and the exception ends the operation. It is called in the event loop: do not block.

        Returns:
            A function that removes the hook.
        """
        return self._transport.add_before_send(hook)

    def charge_rate_limit(self, requests: int) -> None:
        """See `Contacts.charge`."""
        self._transport.charge(requests)

    def __repr__(self) -> str:
        """Name the account; settings stay out."""
        return f"AsyncContacts({self.name!r}, provider={self.provider.name!r})"

    async def delete_contacts(self: AsyncContacts[DeletesContacts], ids: Iterable[str]) -> Outcome:
        """See `Contacts.delete_contacts`."""
        return await self._transport.run(operations.delete_contacts(self.provider, ids))

    async def delete_all_contacts(self: AsyncContacts[DeletesAllContacts], *, confirm: str) -> Outcome:
        """See `Contacts.delete_all_contacts`."""
        return await self._transport.run(
            operations.delete_all_contacts(self.provider, confirm, [self.name, self.provider.name])
        )

    async def remove_identifier(
        self: AsyncContacts[RemovesIdentifiers], contact_id: str, identifier: Identifier
    ) -> Outcome:
        """See `Contacts.remove_identifier`."""
        return await self._transport.run(operations.remove_identifier(self.provider, contact_id, identifier))

    async def remove_from_list(
        self: AsyncContacts[RemovesFromLists], list_id: str, members: Iterable[str | Identifier]
    ) -> Outcome:
        """See `Contacts.remove_from_list`."""
        return await self._transport.run(operations.remove_from_list(self.provider, list_id, members))

    async def add_to_list(
        self: AsyncContacts[AddsToLists], list_id: str, members: Iterable[str | Identifier]
    ) -> Outcome:
        """See `Contacts.add_to_list`."""
        return await self._transport.run(operations.add_to_list(self.provider, list_id, members))

    def search(self: AsyncContacts[Exports], query: Query, *, scan: bool = False) -> AsyncIterator[Contact]:
        """See `Contacts.search`."""
        return self._transport.stream(operations.search(self.provider, query, scan=scan))

    async def explain(self: AsyncContacts[Exports], query: Query) -> Explanation:
        """See `Contacts.explain`."""
        return await self._transport.run(operations.explain(self.provider, query))

    def export(self: AsyncContacts[Exports], lists: Iterable[str] = ()) -> AsyncIterator[Contact]:
        """See `Contacts.export`."""
        return self._transport.stream(operations.export(self.provider, lists))

    async def get_contacts(self: AsyncContacts[GetsContacts], ids: Iterable[str]) -> dict[str, Contact | None]:
        """See `Contacts.get_contacts`."""
        return await self._transport.run(operations.get_contacts(self.provider, ids))

    async def find(self: AsyncContacts[FindsContacts], identifiers: Iterable[Identifier]) -> Found:
        """See `Contacts.find`."""
        return await self._transport.run(operations.find(self.provider, identifiers))

    async def count(self: AsyncContacts[Counts]) -> Count:
        """See `Contacts.count`."""
        return await self._transport.run(operations.count(self.provider))

    async def lists(self: AsyncContacts[ReadsLists]) -> list[ContactList]:
        """See `Contacts.lists`."""
        return await self._transport.run(operations.lists(self.provider))

    async def create_list(self: AsyncContacts[CreatesLists], name: str) -> ContactList:
        """See `Contacts.create_list`."""
        return await self._transport.run(operations.create_list(self.provider, name))

    async def delete_list(self: AsyncContacts[DeletesLists], list_id: str) -> Outcome:
        """See `Contacts.delete_list`."""
        return await self._transport.run(operations.delete_list(self.provider, list_id))

    async def custom_fields(self: AsyncContacts[ReadsCustomFields]) -> list[FieldDefinition]:
        """See `Contacts.custom_fields`."""
        return await self._transport.run(operations.custom_fields(self.provider))

    async def upsert_contacts(
        self: AsyncContacts[UpsertsContacts],
        contacts: Iterable[Contact],
        lists: Iterable[str] = (),
        *,
        recreate_erased: bool = False,
    ) -> Outcome:
        """See `Contacts.upsert_contacts`."""
        guard = None if recreate_erased else self._guard
        return await self._transport.run(operations.upsert_contacts(self.provider, contacts, lists, guard))

    async def get_job(self: AsyncContacts[QueuesJobs], job: Job | str) -> Job:
        """See `Contacts.check`."""
        return await self._transport.run(operations.get_job(self.provider, job))

    @overload
    async def wait(self, work: Outcome, *, timeout: float = ...) -> Outcome: ...
    @overload
    async def wait(self, work: Job, *, timeout: float = ...) -> Job: ...
    async def wait(self, work: Outcome | Job, *, timeout: float = 900.0) -> Outcome | Job:
        """See `Contacts.wait`."""
        return await self._transport.run(operations.wait_for(self.provider, work, timeout))

    async def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, json: Any = None
    ) -> Any:
        """See `Contacts.call`."""
        return await self._transport.run(operations.request(self.provider, method, path, params, json))
