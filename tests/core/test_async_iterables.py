"""The asynchronous client takes asynchronous iterables, and one that fails on the way does not hide what was done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from contacts_core import AsyncContacts, Contact, Contacts, Identifier, Outcome
from contacts_core.errors import Interrupted, InvalidInput
from contacts_core.testing import MemoryProvider

T = TypeVar("T")
BATCH = MemoryProvider.concurrency  # contacts that are taken at once from a provider that writes one by one


def person(number: int) -> Contact:
    return Contact(identifiers=(Identifier.email(f"person-{number}@example.com"),))


async def each(*items: T) -> AsyncIterator[T]:
    for item in items:
        await asyncio.sleep(0)
        yield item


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def written(client: AsyncContacts[MemoryProvider]) -> list[str | None]:
    return [contact.email for contact in client.provider.store.contacts.values()]


def test_every_method_that_takes_an_iterable_takes_an_asynchronous_one() -> None:
    async def scenario() -> None:
        client = AsyncContacts(MemoryProvider())
        news, events = await client.create_list("news"), await client.create_list("events")
        outcome = await client.upsert_contacts(each(*map(person, range(10))), lists=each(news.id))
        assert (outcome.requested, outcome.succeeded_count) == (10, 10)
        first, second, *_ = [contact async for contact in client.export(lists=each(news.id))]
        assert list(await client.get_contacts(each(first.id, second.id))) == [first.id, second.id]
        assert (await client.find(each(*first.identifiers)))[first.identifiers[0]] == first
        assert (await client.add_to_list(events.id, each(first.id, second.id))).succeeded_count == 2
        assert (await client.remove_from_list(news.id, each(first.id, *second.identifiers))).succeeded_count == 2
        assert (await client.delete_contacts(each(first.id))).succeeded_count == 1
        assert await client.count() == 9

    run(scenario())


def test_an_export_goes_into_another_accounts_import() -> None:
    async def scenario() -> None:
        old, new = AsyncContacts(MemoryProvider()), AsyncContacts(MemoryProvider())
        await old.upsert_contacts(map(person, range(250)))
        outcome = await new.upsert_contacts(old.export())
        assert (outcome.requested, outcome.succeeded_count) == (250, 250)
        assert written(new) == written(old)

    run(scenario())


def test_no_more_is_taken_before_a_batch_is_written() -> None:
    async def scenario() -> None:
        client = AsyncContacts(MemoryProvider())
        ahead: list[int] = []

        async def source() -> AsyncIterator[Contact]:
            for number in range(5 * BATCH):
                ahead.append(number - len(written(client)))
                yield person(number)

        await client.upsert_contacts(source())
        assert max(ahead) < BATCH

    run(scenario())


async def failing(count: int, error: BaseException) -> AsyncIterator[Contact]:
    for number in range(count):
        yield person(number)
    raise error


def failing_at_once(count: int, error: BaseException) -> Iterator[Contact]:
    yield from map(person, range(count))
    raise error


def write_from_failing(kind: str, count: int, error: Exception) -> None:
    if kind == "sync":
        Contacts(MemoryProvider()).upsert_contacts(failing_at_once(count, error))
    else:
        run(AsyncContacts(MemoryProvider()).upsert_contacts(failing(count, error)))


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_source_that_fails_on_the_way_leaves_an_outcome(kind: str) -> None:
    error = ValueError("row 7 of jane@example.com is odd")
    with pytest.raises(Interrupted) as raised:
        write_from_failing(kind, BATCH + 2, error)
    assert raised.value.__cause__ is error
    assert (raised.value.outcome.requested, raised.value.outcome.succeeded_count) == (BATCH, BATCH)
    assert raised.value.uncertain == ()
    assert raised.value.unsent == (person(BATCH), person(BATCH + 1))
    assert "ValueError" in str(raised.value)
    assert "jane@" not in str(raised.value)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_source_that_fails_before_anything_was_sent_raises_its_own_error(kind: str) -> None:
    error = ValueError("no such file")
    with pytest.raises(ValueError, match="no such file") as raised:
        write_from_failing(kind, 1, error)
    assert raised.value is error


def test_cancelling_while_the_source_makes_one_wait_tells_what_was_done() -> None:
    async def scenario() -> None:
        client = AsyncContacts(MemoryProvider())
        waiting = asyncio.Event()

        async def source() -> AsyncIterator[Contact]:
            for number in range(BATCH + 1):
                yield person(number)
            waiting.set()
            await asyncio.Event().wait()

        task = asyncio.ensure_future(client.upsert_contacts(source()))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        cause = raised.value.__cause__
        assert isinstance(cause, Interrupted)
        assert cause.outcome.succeeded_count == BATCH == len(written(client))
        assert cause.unsent == (person(BATCH),)

    run(scenario())


def test_an_iterator_is_taken_from_where_it_stands() -> None:
    async def scenario() -> Outcome:
        client = AsyncContacts(MemoryProvider())
        source = each(*map(person, range(3)))
        assert await anext(source) == person(0)
        return await client.upsert_contacts(source)

    assert run(scenario()).requested == 2


class NextOnly:
    def __init__(self) -> None:
        self.items = map(person, range(3))

    def __next__(self) -> Contact:
        return next(self.items)


class AnextOnly(NextOnly):
    async def __anext__(self) -> Contact:
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None


class Source:
    def __iter__(self) -> Any:
        return NextOnly()


class AsyncSource:
    def __aiter__(self) -> Any:
        return AnextOnly()


@pytest.mark.parametrize("source", [Source, AsyncSource])
def test_an_iterator_needs_no_more_than_to_give_the_next_item(source: type[Source | AsyncSource]) -> None:
    async def scenario() -> Outcome:
        return await AsyncContacts(MemoryProvider()).upsert_contacts(source())

    assert run(scenario()).succeeded_count == 3


def test_the_blocking_client_refuses_an_asynchronous_iterable() -> None:
    with pytest.raises(InvalidInput, match="AsyncContacts"):
        Contacts(MemoryProvider()).upsert_contacts(each(person(1)))  # type: ignore[arg-type]
