"""Peak memory and storage of a receipt: a hundred thousand people in three accounts against ten thousand.

Each size has a process and a storage of its own. No vendor is asked: the journal is filled as a run fills it, with one
exchange for a hundred contacts in two accounts, and one for each contact in the third. Then the receipt is written,
checked, stored, checked again, and searched.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, in_own_process
from benchmarks.memory import peak
from contacts_core import Identifier
from contacts_core.plans import Plan
from contacts_core.plans.change import Change, DataSubject
from contacts_core.plans.execution.context import begin_run, stored_plan
from contacts_core.plans.model import AccountPlan, Step
from contacts_core.plans.receipts.stored import stored_receipt, write_receipt
from contacts_core.plans.rows import PlanRows
from contacts_core.storage.database import Storage, locate_storage
from contacts_core.storage.journal import Journal, now
from contacts_core.storage.pseudonyms import PseudonymKey

TARGET = 1.2
MOST_MB = 150
MOST_BYTES = 2048  # of storage for one change
LONGEST = 1800  # seconds for one size
ACCOUNTS = {"one": 100, "two": 100, "three": 1}  # contacts in one request
STEP_SIZE = 500
RUN = "erase-1"


def run(*, quick: bool) -> Iterator[Figure]:
    """Both sizes."""
    small, large = (500, 5_000) if quick else (10_000, 100_000)
    few, many = (_measured(people) for people in (small, large))
    note = f"{many['peak'] / 1e6:.0f} MB of {few['peak'] / 1e6:.0f} MB; {len(ACCOUNTS)} accounts"
    what = f"receipt of {large:,} people, peak RSS, times that of {small:,}"
    yield Figure(what, many["peak"] / few["peak"], most=TARGET, note=note)
    yield Figure("the same in MB", many["peak"] / 1e6, most=MOST_MB, unit="{:.0f}")
    changes = large * len(ACCOUNTS)
    note = f"{many['storage'] / 1e6:.0f} MB for {changes:,} changes, with journal, plan and receipt"
    yield Figure("bytes of storage for a change", many["storage"] / changes, most=MOST_BYTES, note=note, unit="{:.0f}")
    note = f"{many['size'] / 1e6:.0f} MB in {many['lines']:,} lines; written in {many['writing']:.1f} s"
    yield Figure("seconds to check the receipt", many["checking"], note=note)


def _measured(people: int) -> dict[str, Any]:
    figures: dict[str, Any] = in_own_process("benchmarks.receipts", str(people), LONGEST)
    return figures


def measure(people: int) -> dict[str, Any]:
    """Fill a journal, write the receipt, and check it."""
    with tempfile.TemporaryDirectory() as folder:
        storage = locate_storage(folder)
        journal, key = Journal(storage), storage.key()
        begin_run(journal, RUN, _plan(people), key, {})
        plan = stored_plan(journal, RUN)
        assert plan is not None
        _work(journal, plan, key)
        grown = _size(storage)
        began = time.perf_counter()
        run = journal.run(RUN)
        name, receipt = write_receipt(journal, run, plan, key, None, "done", "")
        writing = time.perf_counter() - began
        grown = max(grown, _size(storage))
        assert receipt.complete
        assert journal.end(run, "done", "", name, forget=True)
        began = time.perf_counter()
        again = stored_receipt(journal, RUN)
        checking = time.perf_counter() - began
        assert again == receipt
        assert len(again.find([_identifier(people)], key)) == len(ACCOUNTS)
        size = sum(map(len, again.content()))
        figures = {"peak": peak(), "storage": grown, "size": size, "lines": len(again.lines)}
        storage.engine().dispose()
        return {**figures, "writing": writing - checking, "checking": checking}


def _identifier(number: int) -> Identifier:
    return Identifier.email(f"person{number}@example.com")


def _plan(people: int) -> Plan:
    rows = PlanRows()
    for number in range(1, people + 1):
        rows.add_person(DataSubject(number, asked=(_identifier(number),)))
        phone = Identifier.phone(f"+1202555{number % 10_000:04}")
        for part, account in enumerate(ACCOUNTS):
            change = Change("delete_contacts", f"{account}-{number}", (_identifier(number), phone), (number,), "asked")
            rows.add_change(part, change)
    rows.flush()
    steps = tuple(
        Step(n, "delete_contacts", first, min(STEP_SIZE, people - first), 1)
        for n, first in enumerate(range(0, people, STEP_SIZE), 1)
    )
    accounts = [
        AccountPlan(
            account=account,
            provider="acme",
            title="Acme",
            account_id="0" * 64,
            read="look-up",
            size=None,
            changes=rows.changes(part),
            steps=steps,
            requests=people,
            seconds=0.0,
            residual_data={},
        )
        for part, account in enumerate(ACCOUNTS)
    ]
    return Plan(kind="erase", made_at=datetime.now(UTC), people=rows.people, accounts=tuple(accounts)).summed()


def _work(journal: Journal, plan: Plan, key: PseudonymKey) -> None:
    for part in plan.accounts:
        for step in part.steps:
            changes = part.of(step)
            touched = [key.contact(part.account, change.contact) for change in changes]
            body = {"round": 1, "step": step.number, "operation": step.operation, "contacts": step.count}
            entry = journal.began(RUN, part.account, "step", {**body, "touched": touched})
            requests = -(-step.count // ACCOUNTS[part.account])
            exchanges = [_exchange(key, part.account, step.number, n) for n in range(requests)]
            done = {"state": "done", "confirmed": step.count, "absent": 0, "failed": 0, "unconfirmed": 0}
            told = {**body, "touched": touched, "reasons": [], "jobs": [], "exchanges": exchanges, **done}
            journal.ended(entry, told)
            read = {
                "round": 1,
                "path": "find",
                "asked": step.count,
                "shown": [],
                "error": "",
                "exchanges": exchanges[:5],
            }
            journal.note(RUN, part.account, "read", {**read, "exchanges": exchanges[:5]})
        journal.note_results(RUN, part.account, 1, _results(plan, part, key))


def _exchange(key: PseudonymKey, *about: object) -> dict[str, Any]:
    request, answer = (key.digest(b"sample", name, repr(about).encode()) for name in (b"request", b"answer"))
    return {"method": "DELETE", "request": request, "status": 204, "answer": answer, "request_id": "r-1", "at": now()}


def _results(plan: Plan, part: AccountPlan, key: PseudonymKey) -> Iterator[dict[str, Any]]:
    for person in plan.people:
        items = [{"kind": i.kind.value, "hash": key.identifier(i)} for i in person.identifiers]
        yield {
            "account": part.account,
            "person": person.number,
            "found": 1,
            "state": "absent",
            "reason": "not found any more: by id and by look-up",
            "identifiers": [{**item, "state": "absent", "reason": ""} for item in items],
        }


def _size(storage: Storage) -> int:
    return sum(path.stat().st_size for path in Path(storage.folder).iterdir())


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
