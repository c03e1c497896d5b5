"""Commands that apply plans, and look after the runs that this makes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contacts_core.cli.app import Command, lists_itself, section
from contacts_core.cli.ids import Ids
from contacts_core.cli.options import (
    LONGEST_TIMEOUT,
    Csv,
    ExcelSafe,
    Fields,
    Json,
    RunId,
    Sort,
    Storage,
    Yes,
    input_file,
    number,
    output_file,
)

if TYPE_CHECKING:
    from contacts_core.plans import PairHandler, Plan, Receipt
    from contacts_core.storage.journal import Progress, Run

PlanFile = Annotated[
    Path, typer.Argument(metavar="PLAN", parser=input_file, help="A saved plan; - is stdin.", show_default=False)
]
ReceiptFile = Annotated[
    Path | None,
    typer.Option(
        "--receipt",
        metavar="FILE",
        parser=output_file,
        help="Where to write the receipt. Default: the storage's folder.",
    ),
]
Patience = Annotated[
    float,
    number(
        "--timeout",
        "Longest wait for a vendor's jobs and for contacts to disappear, in seconds.",
        0,
        LONGEST_TIMEOUT,
        whole=False,
        metavar="SECONDS",
    ),
]


def apply(
    path: PlanFile,
    yes: Yes = False,
    replan: Annotated[
        bool,
        typer.Option(
            "--replan", help="Change nothing: make the plan again, save it beside the old one, show what differs."
        ),
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave the work to a `contacts worker`; needs a PostgreSQL storage.")
    ] = False,
    receipt: ReceiptFile = None,
    ids: Ids = None,
    timeout: Patience = 900.0,
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Apply a plan, verify it, and write a receipt.

    Shows the plan, and asks. Then it reads every account again, and refuses if the plan would affect other contacts
    now. After the work, it reads the contacts again, by id and by identifier; they count as absent only if neither
    finds them. After a crash or Ctrl-C, continue with `contacts runs resume`. Exits 3 if a contact is still there, or
    if that is unknown.

        contacts apply plan.jsonl
        contacts apply plan.jsonl --replan
        contacts apply plan.jsonl --yes --receipt receipt.jsonl
    """
    from contacts_core.cli.commands.plan import saved_plan
    from contacts_core.cli.ids import ids_file
    from contacts_core.plans import submit as started

    if ids and (replan or detach):
        raise typer.BadParameter("--ids is for runs of this process, without --replan and --detach")
    saved = saved_plan(path)
    if replan:
        _compare(saved, path, as_json=as_json)
        return
    confirm(saved, storage, yes=yes)
    if detach:
        run = started(saved, storage=storage, timeout=timeout)
        _tell_detached(run, as_json=as_json)
        return
    with ids_file(ids) as on_pair:
        carry_out(saved, receipt, storage, timeout, as_json=as_json, on_pair=on_pair)


def confirm(plan: Plan, storage: str | None, *, yes: bool) -> None:
    """Show the plan, and go on only if someone says so.

    Raises:
        Refused: They did not.
    """
    from contacts_core.cli import output
    from contacts_core.cli.commands.plan import show
    from contacts_core.cli.prompts import ask, to_be_asked
    from contacts_core.plans.kinds import kind_of

    asked = to_be_asked(yes=yes)
    if asked or not output.is_json():  # whoever reads JSON has the plan
        show(plan, stderr=True, whole=asked)
    if not plan.contacts:
        output.note("there is nothing to do; the accounts are read again all the same")
    if kind_of(plan.kind).leaves_tombstones and storage is not None:
        output.note("tombstones are left in that --storage and in the usual one, where every upsert looks")
    doing = f"{plan.kind} {plan.contacts} contact(s)"
    if not kind_of(plan.kind).about_people:
        doing = f"{plan.kind}: {plan.contacts} change(s)"
    ask([f"about to {doing} in {', '.join(plan.by_account)}"], yes=yes)


def carry_out(
    plan: Plan,
    receipt: Path | None,
    storage: str | None,
    timeout: float,
    *,
    as_json: bool,
    on_pair: PairHandler | None = None,
) -> None:
    """Apply a plan, write the receipt, and leave with the exit code that says how it ended."""
    from contacts_core.plans import apply as applied

    with bars() as watch:
        done = applied(plan, storage=storage, timeout=timeout, watch=watch, on_pair=on_pair)
    _leave(done, receipt, storage, as_json=as_json)


runs = section("runs")


@runs.callback(invoke_without_command=True)
def every_run(
    context: typer.Context,
    fields: Fields = None,
    sort: Sort = None,
    as_csv: Csv = False,
    excel_safe: ExcelSafe = False,
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Show, resume or cancel runs of plans.

    Without a subcommand, it lists them, the latest first.

        contacts runs
        contacts runs --fields=id,state,ended_at --sort=-ended_at
        contacts runs show RUN
        contacts runs resume RUN
    """
    if not lists_itself(context):
        return
    from contacts_core.cli.columns import RUN_FIELDS, Listing, Shape
    from contacts_core.cli.errors import handled
    from contacts_core.plans import list_runs as listed

    shape: Shape[Run] = Shape(
        RUN_FIELDS,
        ("run", "state", "accounts", "people", "begun", "ended"),
        lambda one: [
            one.id,
            one.state,
            ", ".join(one.accounts),
            one.people,
            one.begun_at[:19],
            (one.ended_at or "")[:19],
        ],
    )
    listing = Listing(shape, fields, sort, as_csv=as_csv, as_json=as_json, excel_safe=excel_safe)
    with handled("", as_json=as_json):
        listing.everything(listed(storage=storage), "no runs yet")


@runs.command("show", cls=Command)
def run_show(run: RunId, receipt: ReceiptFile = None, storage: Storage = None, as_json: Json = False) -> None:
    """Show the progress of a run, or how it ended.

    If it has ended, its receipt is written again.

        contacts runs show RUN --receipt receipt.jsonl
    """
    from contacts_core.cli import output
    from contacts_core.plans.execution.runner import get_receipt as found
    from contacts_core.plans.execution.runner import overview

    told, progress = overview(run, storage=storage)
    if as_json:
        output.document({"run": told, "progress": progress})
    else:
        output.show(f"{told.id}: {told.state}" + (f" ({told.reason})" if told.reason else ""))
        rows = ([p.account, p.phase, f"{p.done} of {p.total}", p.detail] for p in progress)
        output.show(output.rows(output.table("account", "phase", "reached", ""), rows))
    if told.ended_at or receipt:
        ended = found(run, storage=storage)
        written = _write(ended, receipt, storage)
        if not as_json:
            _summary(ended, written)
    elif not as_json and told.state == "interrupted":
        output.note(f"to go on: contacts runs resume {run}")


@runs.command("resume", cls=Command)
def run_resume(
    run: RunId,
    yes: Yes = False,
    receipt: ReceiptFile = None,
    ids: Ids = None,
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Resume a run, or try again for contacts that are still there.

    An interrupted run continues with the step that was under way. A run that was cancelled, or that ended with contacts
    still there, starts another round; it changes only contacts that still have the identifiers of the plan.

        contacts runs resume RUN
    """
    from contacts_core.cli.ids import ids_file
    from contacts_core.cli.prompts import ask
    from contacts_core.plans import resume as resumed
    from contacts_core.plans.execution.runner import overview

    told, _ = overview(run, storage=storage)
    ask([f"about to go on with {run} ({told.state}): {told.kind} in {', '.join(told.accounts)}"], yes=yes)
    with ids_file(ids) as on_pair:
        with bars() as watch:
            done = resumed(run, storage=storage, watch=watch, on_pair=on_pair)
        _leave(done, receipt, storage, as_json=as_json)


@runs.command("cancel", cls=Command)
def run_cancel(run: RunId, storage: Storage = None, as_json: Json = False) -> None:
    """End a run after the steps that are under way; nothing is undone.

    The run gets a receipt. Resuming it starts another round.

        contacts runs cancel RUN
    """
    from contacts_core.cli import output
    from contacts_core.plans import cancel as cancelled

    told = cancelled(run, storage=storage)
    if as_json:
        output.document(told)
    else:
        output.show(f"{told.id}: {'ends after the steps under way' if told.state == 'running' else told.state}")


@runs.command("forget", cls=Command)
def run_forget(run: RunId, yes: Yes = False, storage: Storage = None, as_json: Json = False) -> None:
    """Delete what a run kept of people; its receipt stays.

    The plan of a run that wrote contacts is kept, encrypted, so that the run can be undone; that of a run that is not
    complete, so that it can be resumed. Afterwards it can be neither.

        contacts runs forget RUN
    """
    from contacts_core.cli import output
    from contacts_core.cli.prompts import ask
    from contacts_core.plans import forget
    from contacts_core.plans.execution.runner import overview

    told, _ = overview(run, storage=storage)
    ask([f"about to delete the plan of {run} ({told.state}): it can be neither resumed nor undone then"], yes=yes)
    told = forget(run, storage=storage)
    if as_json:
        output.document(told)
    else:
        output.show(f"{told.id}: its plan is deleted, its receipt stays")


def worker(storage: Storage = None) -> None:
    """Run a worker for runs in a shared PostgreSQL storage.

    Any number of workers, on any machines, take work from the same queue. Only one of them at a time uses an account,
    so the account's rate limits hold for all together. If a worker dies, another one takes over its runs. All of them
    need the same accounts and the same receipt key (CONTACTS_RECEIPT_KEY). Ctrl-C or SIGTERM stops a worker after the
    steps that are under way, with exit code 0.

        contacts worker --storage postgresql://runs.example.com/contacts
    """
    from contacts_core.cli import output
    from contacts_core.plans import run_worker

    output.note("working; Ctrl-C or SIGTERM stops")
    try:
        run_worker(storage=storage)
    except KeyboardInterrupt:
        output.note("stopped")


@contextmanager
def bars() -> Generator[Callable[[Sequence[Progress]], None]]:
    """One bar for each account on stderr; where that is no terminal, a line for each phase."""
    from contacts_core.cli import output

    if not output.shows_progress():
        said: dict[str, str] = {}

        def tell(accounts: Sequence[Progress]) -> None:
            for each in accounts:
                if said.get(each.account) != each.phase:
                    said[each.account] = each.phase
                    output.note(f"{each.account}: {_phase(each)}")

        yield tell
        return
    from rich import progress
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

    shown = progress.Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f}"),
        TextColumn("{task.fields[phase]}", markup=False),
        TimeElapsedColumn(),
        console=output.console(stderr=True),
    )
    tasks: dict[str, Any] = {}

    def draw(accounts: Sequence[Progress]) -> None:
        for each in accounts:
            if each.account not in tasks:
                tasks[each.account] = shown.add_task(output.clean(each.account), total=1, phase="")
            total = max(each.total, 1)
            done = total if each.phase == "done" else each.done
            shown.update(tasks[each.account], total=total, completed=done, phase=_phase(each))

    with shown:
        yield draw


PHASES = {
    "queued": "queued",
    "checking": "checking that nothing has changed",
    "working": "working",
    "waiting": "waiting for",
    "verifying": "reading again",
    "done": "done",
}


def _phase(each: Progress) -> str:
    from contacts_core.cli.output import clean

    told = PHASES.get(each.phase, each.phase)
    return clean(f"{told} {each.detail}" if each.phase == "waiting" else told)


def _compare(saved: Plan, path: Path, *, as_json: bool) -> None:
    """Make the plan anew, save it beside the old one, and tell the difference."""
    from contacts_core.cli import output
    from contacts_core.cli.commands.plan import saved_as
    from contacts_core.plans import replan
    from contacts_core.plans.execution.recheck import differences

    fresh = replan(saved)
    beside = saved_as(saved) if str(path) == "-" else path
    to = beside.with_name(f"{beside.stem}-new{beside.suffix}")
    lines = [
        f"{part.account}: {difference}"
        for part in saved.accounts
        for difference in differences(part.changes, fresh.by_account[part.account].changes)
    ]
    fresh.save(to)
    if as_json:
        output.document({"differences": lines, "saved": str(to), "checksum": fresh.checksum})
    else:
        output.show(lines or "nothing has changed since the plan was made")
    output.note(f"nothing was changed; the new plan is saved to {to}")


def _tell_detached(run: str, *, as_json: bool) -> None:
    from contacts_core.cli import output

    if as_json:
        output.document({"run": run})
    else:
        output.show(f"{run} is queued; workers take it up")
        output.note(f"to look: contacts runs show {run}")


def _leave(done: Receipt, receipt: Path | None, storage: str | None, *, as_json: bool) -> None:
    """Write the receipt, tell what is proved, and leave with the exit code that says so."""
    from contacts_core.cli import output
    from contacts_core.cli.prompts import leave

    written = _write(done, receipt, storage)
    if as_json:
        numbers = {"absent": done.absent, "present": done.present, "unknown": done.unknown}
        output.document({"run": done.run, "state": done.state, **numbers, "receipt": str(written)})
    else:
        _summary(done, written)
    codes = {"done": output.Exit.DONE, "failed": output.Exit.FAILED}
    leave(codes.get(done.state, output.Exit.PARTIAL))


def _write(done: Receipt, receipt: Path | None, storage: str | None) -> Path:
    from contacts_core.storage.database import locate_storage as place

    path = receipt or place(storage).folder / "receipts" / f"{done.run}.jsonl"
    done.save(path)
    return path


def _summary(done: Receipt, written: Path) -> None:
    """What the receipt says, per account, and for whom the goal was not reached."""
    from collections import Counter

    from contacts_core.cli import output
    from contacts_core.cli.formatting import SHOWN

    counts, others = Counter[tuple[str, str]](), list[Mapping[str, Any]]()
    for result in done.of("result"):
        counts[result["account"], result["state"]] += 1
        if result["state"] != done.goal and len(others) < SHOWN:
            others.append(result)
    left = counts.total() - sum(number for (_, state), number in counts.items() if state == done.goal)
    states = ("absent", "present", "unknown")
    rows = ([name, *(counts[name, state] for state in states)] for name in done.accounts)
    output.show(output.rows(output.table("account", *states, title=f"{done.run}: {done.state}", for_people=True), rows))
    if done.reason:
        output.show(done.reason)
    for each in others:
        output.show(f"person {each['person']} in {each['account']}: {each['state']}: {each['reason']}")
    if left > len(others):
        output.show(f"and {left - len(others)} more, in the receipt")
    if others and done.state != "refused":
        output.show(f"to try again: contacts runs resume {done.run}")
    output.show(f"receipt: {written} (contacts receipt verify, report)")
