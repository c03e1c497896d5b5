"""Peak memory of a whole erasure: planned, saved, read, applied and verified, at two sizes.

Each size has a process of its own. The vendor is not asked over HTTP and keeps no contacts: it works out each from its
number, and remembers in one byte whether it was deleted. So what grows is what the library keeps.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from benchmarks.figures import Figure, in_own_process
from benchmarks.memory import peak
from contacts_core import Contact, Contacts, Identifier
from contacts_core.models import Outcome
from contacts_core.plans import Plan, SafetyLimits, plan_erasure
from contacts_core.provider import (
    DeletesContacts,
    Emit,
    Exports,
    FindsContacts,
    Flow,
    GetsContacts,
    Stream,
    done,
)

TARGET = 1.2
MOST_MB = 150
MOST_BYTES = 2048  # of storage for one change
LONGEST_S = 3600  # for one size
ACCOUNTS = ("one", "two", "three")


def run(*, quick: bool) -> Iterator[Figure]:
    """Both sizes."""
    small, large = (300, 3_000) if quick else (10_000, 100_000)
    few, many = (_measured(people) for people in (small, large))
    note = f"{many['peak'] / 1e6:.0f} MB of {few['peak'] / 1e6:.0f} MB; {len(ACCOUNTS)} accounts"
    what = f"erasure of {large:,} people, peak RSS, times that of {small:,}"
    yield Figure(what, many["peak"] / few["peak"], most=TARGET, note=note)
    yield Figure("the same in MB", many["peak"] / 1e6, most=MOST_MB, unit="{:.0f}")
    yield Figure("the plan alone in MB", many["planned"] / 1e6, most=MOST_MB, unit="{:.0f}")
    changes = large * len(ACCOUNTS)
    yield Figure("bytes of storage for a change", many["storage"] / changes, most=MOST_BYTES, unit="{:.0f}")
    note = f"{many['planning']:.0f} s to plan, {many['applying']:.0f} s to apply and verify"
    seconds = many["planning"] + many["applying"]
    yield Figure("processor time of a change in ms", seconds / changes * 1000, note=note)


@frozen
class Deleted:
    """Which contacts are gone."""

    _flags: bytearray

    def __contains__(self, number: int) -> bool:
        return number < len(self._flags) and bool(self._flags[number])

    def add(self, number: int) -> None:
        """Remember that a contact is gone."""
        self._flags[number] = True


@frozen(kw_only=True, slots=False)
class Endless(DeletesContacts, FindsContacts, GetsContacts, Exports):
    """A vendor without HTTP that works its contacts out."""

    name = "endless"
    title = "Endless"
    delete_batch_size = 100
    find_batch_size = 100
    get_batch_size = 100

    deleted: Deleted = field()

    def account_id(self) -> Flow[str]:
        """See `Provider.account_id`."""
        yield from ()
        return "endless"

    def find(self, identifiers: Sequence[Identifier]) -> Flow[Sequence[tuple[Identifier, Contact | str]]]:
        """See `FindsContacts.find`."""
        yield from ()
        numbers = {each: int(each.value[1:].partition("@")[0]) for each in identifiers}
        return [(each, _contact(number)) for each, number in numbers.items() if number not in self.deleted]

    def get_contacts(self, ids: Sequence[str]) -> Flow[Sequence[Contact]]:
        """See `GetsContacts.get_contacts`."""
        yield from ()
        return [_contact(int(id)) for id in ids if int(id) not in self.deleted]

    def delete_contacts(self, ids: Sequence[str]) -> Flow[Outcome]:
        """See `DeletesContacts.delete_contacts`."""
        yield from ()
        for id in ids:
            self.deleted.add(int(id))
        return done(ids)

    def contacts(self, list_id: str | None) -> Stream[Contact]:
        """See `Exports.contacts`: only those whom a control reads."""
        yield Emit([_contact(10**9)])

    def sample(self) -> Flow[Sequence[Contact] | None]:
        """See `Exports.sample`."""
        yield from ()
        return [_contact(10**9)]


def _contact(number: int) -> Contact:
    identifiers = (Identifier.email(f"p{number}@example.com"), Identifier.phone(f"+1202555{number % 10_000:04}"))
    return Contact(id=str(number), identifiers=identifiers)


def _measured(people: int) -> dict[str, Any]:
    figures: dict[str, Any] = in_own_process("benchmarks.plans", str(people), LONGEST_S)
    return figures


def measure(people: int) -> dict[str, Any]:
    """Plan, save, read and apply."""
    with tempfile.TemporaryDirectory() as folder:
        clients = [
            Contacts(Endless(base_url="http://127.0.0.1:1", deleted=Deleted(bytearray(people))), name=account)
            for account in ACCOUNTS
        ]
        began = time.process_time()
        wanted = (Identifier.email(f"p{number}@example.com") for number in range(people))
        path = Path(folder) / "plan.jsonl"
        plan_erasure(wanted, clients, limits=SafetyLimits(contacts=people, share=1)).save(path)
        plan, planned, planning = Plan.load(path), peak(), time.process_time() - began
        began = time.process_time()
        storage = Path(folder) / "storage"
        receipt = plan.apply(clients, storage=storage, pause=0.05)
        assert receipt.complete
        assert receipt.absent == people * len(ACCOUNTS)
        size = sum(file.stat().st_size for file in storage.rglob("*") if file.is_file())
        applying = time.process_time() - began
        return {"peak": peak(), "planned": planned, "planning": planning, "applying": applying, "storage": size}


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
