"""Copying many contacts: a generated export into a file of `local`, and one vendor to another, with their peak memory.

Every command and every size has a process of its own. Files are copied by the command line, as users do it; the vendors
are emulators in another process, asked without their rate limits, which would be all that is measured.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.commands import Measured, accounts_file, command, in_process, measured
from benchmarks.erasure import served_vendors, unpaced
from benchmarks.figures import Figure

TARGET = 1.2  # of peak memory, ten times as many contacts against the fewer
MOST_MB = 200
ACCEPTED = "DATE_LOST,REASON_LOST,NO_PLACE,NO_FIELD,RETYPED,TRUNCATED,RESPELLED,TOO_MANY"


def run(*, quick: bool) -> Iterator[Figure]:
    """Files into `local`, and one vendor to another."""
    for kind, (few, many) in {
        "jsonl": (1_000, 10_000) if quick else (100_000, 1_000_000),
        "csv": (1_000, 10_000) if quick else (10_000, 100_000),
    }.items():
        yield from _files(kind, few, many)
    yield from _vendors(*((200, 1_000, 200) if quick else (10_000, 100_000, 10_000)))


# -- a file into local -------------------------------------------------------------------------------------------------


def _files(kind: str, few: int, many: int) -> Iterator[Figure]:
    sizes = {count: _copied(kind, count) for count in (few, many)}
    for what in sizes[many]:
        small, large = sizes[few][what], sizes[many][what]
        yield ratio(f"{what} of {many:,} contacts from {kind}", small, large, many, few)


def ratio(what: str, small: Measured, large: Measured, many: int, few: int) -> Figure:
    """The peak memory of many contacts against that of few, with the seconds of the many."""
    note = (
        f"{large.peak_mb:.0f} MB of {small.peak_mb:.0f} MB; {large.seconds:.0f} s, "
        f"{large.cpu:.0f} s of processor time, {many / large.cpu:,.0f} contacts a second of it"
    )
    return Figure(f"{what}, peak RSS, times that of {few:,}", large.peak_mb / small.peak_mb, most=TARGET, note=note)


def _copied(kind: str, count: int) -> dict[str, Measured]:
    """Write an export, and copy it in the ways that there are."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {each: str(folder / f"{each}.db") for each in ("upserted", "copied")}
        environment = accounts_file(folder, {each: {"provider": "local", "path": path} for each, path in paths.items()})
        export, plan = folder / f"export.{kind}", str(folder / "plan.jsonl")
        write_export(export, count)
        limits = ["--max-contacts", str(count), "--max-share", "100%"]
        making = ["--create-fields", "--accept-loss", ACCEPTED, *limits, "--to", plan]
        found = (
            {"`upsert`": command(["upsert", "upserted", "--from-file", str(export)], environment)}
            if (kind == "jsonl")
            else {}
        )
        found["`plan copy`"] = command(["plan", "copy", str(export), "copied", *making], environment)
        found["`apply` of the copy"] = command(["apply", plan, "--yes"], environment)
        found["`check`"] = command(["check", str(export), "copied"], environment)
        for what, each in found.items():
            assert each.code == 0, f"{what}: {each.shown}"
        return found


def write_export(path: Path, count: int) -> None:
    """Write an export of so many contacts, each with two identifiers, names, and three custom fields."""
    with path.open("w", encoding="utf-8") as file:
        if path.suffix == ".csv":
            file.write("email,external_id,first_name,last_name,city,custom.plan,custom.score\n")
            file.writelines(
                f"person{n}@example.com,crm-{n},Ada,Example {n},Springfield,plan {n % 7},{n % 101}\n"
                for n in range(count)
            )
            return
        for n in range(count):
            contact: dict[str, Any] = {
                "identifiers": [
                    {"kind": "email", "value": f"person{n}@example.com"},
                    {"kind": "external_id", "value": f"crm-{n}"},
                ],
                "first_name": "Ada",
                "last_name": f"Example {n}",
                "address": {"city": "Springfield"},
                "custom": {"plan": f"plan {n % 7}", "score": n % 101, "member": n % 2 == 0},
            }
            file.write(json.dumps(contact) + "\n")


# -- one vendor to another ---------------------------------------------------------------------------------------------


def _vendors(few: int, many: int, applied: int) -> Iterator[Figure]:
    """Plan for both sizes, apply `applied` contacts, and compare afterwards."""
    small, large = (_moved(count, apply=False) for count in (few, many))
    yield ratio(f"plan of {many:,} contacts, SendGrid to Bird", small["plan"], large["plan"], many, few)
    told = json.loads(large["plan"].shown)
    note = f"{told['requests']:,} requests to make it, {told['contacts']:,} changes, {told['planned']:,} requests in it"
    yield Figure("bytes of its file for a contact", told["size"] / many, note=note, unit="{:.0f}")
    done = small if applied == few else None
    done = _moved(applied, apply=True) if done is None or "apply" not in done else done
    told = json.loads(done["apply"].shown)
    yield Figure(
        f"its apply, {applied:,} contacts, milliseconds of processor time for a contact",
        done["apply"].cpu / applied * 1000,
        note=f"{done['apply'].seconds:.0f} s, {told['requests']:,} requests, {done['apply'].peak_mb:.0f} MB",
    )


def _moved(count: int, *, apply: bool) -> dict[str, Measured]:
    """Plan to move the contacts of one emulated vendor to another, empty one, and perhaps do it."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        source, target = opened.enter_context(served_vendors(count)), opened.enter_context(served_vendors(0))
        accounts = {"sendgrid": source["sendgrid"], "bird": target["bird"]}
        environment = accounts_file(folder, {})
        given = {"accounts": accounts, "plan": str(folder / "plan.jsonl"), "count": count}
        found = {"plan": in_process("benchmarks.copying", {"what": "plan", **given}, environment)}
        if apply:
            found["apply"] = in_process("benchmarks.copying", {"what": "apply", **given}, environment)
        return found


def _clients(stack: ExitStack, accounts: Mapping[str, Mapping[str, Any]]) -> tuple[list[Any], list[int]]:
    """Open accounts without their rate limits. The list counts their requests."""
    clients, requests = [unpaced(name, settings) for name, settings in accounts.items()], [0]

    def note(*_: object) -> None:
        requests[0] += 1

    for client in clients:
        stack.enter_context(client)
        client.add_event_hook(note)
    return clients, requests


def plan_vendors(given: Mapping[str, Any]) -> dict[str, object]:
    """Make the plan, and save it."""
    from contacts_core.plans import SafetyLimits, plan_copy  # noqa: PLC0415 - what it loads is measured

    with ExitStack() as stack:
        (source, target), requests = _clients(stack, given["accounts"])
        path = Path(given["plan"])
        told: dict[str, int] = {}

        def work() -> None:
            limits = SafetyLimits(contacts=2 * given["count"], share=1)  # with contacts that are made of refusals
            accepted = [*ACCEPTED.split(","), *given.get("accepted", ())]
            plan = plan_copy(
                source, target, create_fields=True, create_lists=True, accept_losses=accepted, limits=limits
            )
            plan.save(path)
            told.update(requests=requests[0], contacts=plan.contacts, planned=plan.requests, size=path.stat().st_size)

        return measured(work, lambda: json.dumps(told))


def apply_vendors(given: Mapping[str, Any]) -> dict[str, object]:
    """Apply the saved plan."""
    from contacts_core.plans import Plan  # noqa: PLC0415 - as above

    with ExitStack() as stack:
        clients, requests = _clients(stack, given["accounts"])
        told: dict[str, int] = {}

        def work() -> None:
            receipt = Plan.load(given["plan"]).apply(clients, pause=0.1)
            assert receipt.complete, receipt.reason
            told.update(requests=requests[0])

        return measured(work, lambda: json.dumps(told))


WAYS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, object]]] = {"plan": plan_vendors, "apply": apply_vendors}


def main(arguments: Sequence[str]) -> None:
    """Do one thing in this process, and print what it needed."""
    given = json.loads(arguments[0])
    print(json.dumps(WAYS[given["what"]](given)))


if __name__ == "__main__":
    main(sys.argv[1:])
