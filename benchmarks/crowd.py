"""A vendor with any number of contacts, each worked out from its number: cheap to ask, over HTTP, and to keep.

Its server (kind ``crowd`` of `benchmarks.server`) remembers in one byte for each contact how often it was deleted, and
for each account which workers sent requests at the same time. Each account is a path of its own.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec
from attrs import define, field, frozen

from contacts_core import Contact, Identifier
from contacts_core.models import Outcome
from contacts_core.provider import (
    DeletesContacts,
    Emit,
    Exports,
    FindsContacts,
    Flow,
    GetsContacts,
    Payload,
    Provider,
    Stream,
    base_url_setting,
    done,
    get,
    hookimpl,
    post,
)

WORKER_VARIABLE = "CROWD_WORKER"  # the name of a process in its requests; those without are not told apart
ALWAYS_THERE = 10**9  # the number of the contact that a control reads
MOST_CONTACTS = 2_000_000  # of one account


class Numbers(Payload):
    """Some contacts by number."""

    numbers: list[int]


class AccountCounts(Payload):
    """What the server counted in one account.

    Attributes:
        requests: Requests.
        deleted: Contacts that were deleted.
        twice: Contacts that were deleted once more.
        overlaps: Requests of one worker that came while one of another worker was under way.
        workers: Workers that sent requests.
    """

    requests: int
    deleted: int
    twice: int
    overlaps: int
    workers: int


def contact_of(number: int) -> Contact:
    """The contact of this number."""
    return Contact(id=str(number), identifiers=(Identifier.email(f"p{number}@example.com"),))


@frozen(kw_only=True, slots=False)
class Crowd(DeletesContacts, FindsContacts, GetsContacts, Exports):
    """The vendor, which takes contacts by the thousand."""

    name = "crowd"
    title = "Crowd"
    concurrency = 4
    delete_batch_size = 1000
    find_batch_size = 1000
    get_batch_size = 1000

    base_url: str = base_url_setting()

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        """See `FindsContacts.find`."""
        wanted = {int(each.value[1:].partition("@")[0]): each for each in identifiers}
        there = yield from self._there(list(wanted))
        return [(wanted[number], contact_of(number)) for number in there]

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        """See `GetsContacts.get_contacts`."""
        there = yield from self._there(list(map(int, ids)))
        return [contact_of(number) for number in there]

    def _there(self, numbers: list[int]) -> Flow[list[int]]:
        answer = yield from post(f"/there{_worker()}", Numbers, {"numbers": numbers}, idempotent=True)
        return answer.numbers

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        """See `DeletesContacts.delete_contacts`."""
        yield from post(f"/delete{_worker()}", Numbers, {"numbers": list(map(int, ids))}, idempotent=True)
        return done(ids)

    def contacts(self, list_id: str | None) -> Stream[Contact]:
        """See `Exports.contacts`: only the contact that a control reads."""
        yield Emit([contact_of(ALWAYS_THERE)])

    def sample(self) -> Flow[Sequence[Contact] | None]:
        """See `Exports.sample`."""
        yield from ()
        return [contact_of(ALWAYS_THERE)]

    def counts(self) -> Flow[AccountCounts]:
        """What the server counted in this account."""
        return (yield from get("/counts", AccountCounts))


@frozen(kw_only=True, slots=False)
class CrowdOfHundreds(Crowd):
    """The same vendor, which takes contacts by the hundred."""

    name = "crowd-of-hundreds"
    delete_batch_size = 100
    find_batch_size = 100
    get_batch_size = 100


@frozen(kw_only=True, slots=False)
class CrowdOfOnes(Crowd):
    """The same vendor, which takes contacts one by one."""

    name = "crowd-of-ones"
    concurrency = 8
    delete_batch_size = 1
    find_batch_size = 1
    get_batch_size = 1


@hookimpl
def contacts_providers() -> Iterable[type[Provider]]:
    """Register it: this module is a plugin."""
    return [Crowd, CrowdOfHundreds, CrowdOfOnes]


def _worker() -> str:
    return f"?worker={os.environ.get(WORKER_VARIABLE, '')}"


# -- the server's half -------------------------------------------------------------------------------------------------


@define
class Account:
    """One account of the server."""

    flags: bytearray = field(factory=lambda: bytearray(MOST_CONTACTS))
    requests: int = 0
    deleted: int = 0
    twice: int = 0
    overlaps: int = 0
    workers: set[str] = field(factory=set[str])
    _last: str = ""
    _until: float = 0.0

    def arrived(self, worker: str, latency: float) -> None:
        """Count a request."""
        self.requests += 1
        if worker:
            now = time.monotonic()
            self.overlaps += worker != self._last and now < self._until
            self.workers.add(worker)
            self._last, self._until = worker, now + latency

    def there(self, numbers: Sequence[int]) -> list[int]:
        """Those of these contacts that were not deleted."""
        flags = self.flags
        return [number for number in numbers if number == ALWAYS_THERE or not flags[number]]

    def delete(self, numbers: Sequence[int]) -> None:
        """Delete contacts."""
        for number in numbers:
            self.twice += self.flags[number]
            self.deleted += not self.flags[number]
            self.flags[number] = 1

    @property
    def counts(self) -> AccountCounts:
        """What was counted."""
        return AccountCounts(
            requests=self.requests,
            deleted=self.deleted,
            twice=self.twice,
            overlaps=self.overlaps,
            workers=len(self.workers),
        )


class Accounts:
    """All accounts of the server."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._accounts: defaultdict[str, Account] = defaultdict(Account)
        self._decode = msgspec.json.Decoder(dict[str, list[int]]).decode
        self._encode = msgspec.json.Encoder().encode

    def answer(self, method: str, target: str, body: bytes) -> bytes:
        """The body of an answer; empty for a path that there is not."""
        path, _, query = target.partition("?")
        name, _, what = path[1:].partition("/")
        account = self._accounts[name]
        if (method, what) == ("GET", "counts"):
            return self._encode(account.counts)
        if method != "POST":
            return b""
        account.arrived(query.removeprefix("worker="), self._latency)
        numbers = self._decode(body)["numbers"]
        if what == "delete":
            account.delete(numbers)
            return b'{"numbers":[]}'
        return self._encode({"numbers": account.there(numbers)})
