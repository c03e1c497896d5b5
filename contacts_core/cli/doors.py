"""Opening accounts, asking before something is lost, and telling what became of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from contacts_core import operations
from contacts_core.accounts import open_provider
from contacts_core.capabilities import QueuesJobs
from contacts_core.cli import wording
from contacts_core.cli.failing import Refused
from contacts_core.cli.options import pairs
from contacts_core.cli.output import Exit, document, note, progress, show
from contacts_core.client import Contacts
from contacts_core.errors import ContactsError
from contacts_core.identifiers import Identifier
from contacts_core.models import Contact, Found, Outcome
from contacts_core.provider import Provider

__all__ = ["ask", "looked_up", "opened", "plan", "settle"]

Door = Contacts[Any]


@contextmanager
def opened(account: str, settings: list[str] | None) -> Iterator[Door]:
    """The account of this name, or the provider's with what the environment and ``--set`` say."""
    with Contacts(open_provider(account, pairs("--set", settings)), name=account) as door:
        yield door


def plan(door: Door, capability: type[Provider], doing: str, items: Iterable[str], *remarks: str) -> list[str]:
    """What is about to be done, for the person who decides; refuses at once what the provider cannot do."""
    provider = operations.require(door.provider, capability)
    listed = list(items)
    lines = [f"about to {doing}, on {door.name} ({provider.title or provider.name}, {provider.base_url})"]
    lines += [f"  {item}" for item in listed[: wording.SHOWN]]
    if len(listed) > wording.SHOWN:
        lines.append(f"  and {len(listed) - wording.SHOWN} more")
    lines += remarks
    if capability in provider.emulates:
        lines.append("emulated: read, changed and written back; a change that others make meanwhile may be lost")
    elif isinstance(provider, QueuesJobs):
        lines.append("the vendor takes this as a job and does it later")
    else:
        lines.append("the vendor does this at once")
    return lines


def ask(lines: list[str], *, yes: bool) -> None:
    """Show what is about to be done, and go on only if someone says so.

    Raises:
        Refused: They did not, or there is no terminal at which anybody could.
    """
    note("\n".join(lines))
    if yes:
        return
    if not somebody_there():
        raise Refused(
            "nothing was changed: there is no terminal, so nobody can confirm this", hint="add --yes in a script"
        )
    try:
        sure = typer.confirm("Go on?", err=True)
    except typer.Abort:
        sure = False
    if not sure:
        raise Refused("nothing was changed: it was not confirmed")


def somebody_there() -> bool:
    """Whether there is a terminal at which somebody could answer."""
    return sys.stdin.isatty()


def looked_up(door: Door, identifiers: list[Identifier]) -> tuple[dict[str, Contact], Outcome]:
    """The contacts that these identifiers stand for, by id, and an outcome for those that stand for nobody."""
    if not identifiers:
        return {}, Outcome(operation="")
    with progress(f"looking up {len(identifiers)} identifier(s)"):
        found: Found = door.find(identifiers)
    contacts = {contact.id: contact for identifier in found for contact in found.every(identifier)}
    absent = tuple(identifier.value for identifier in found if not found[identifier])
    return contacts, Outcome(operation="", requested=len(absent), absent=absent)


def settle(door: Door, outcome: Outcome, *, wait: bool, timeout: float, as_json: bool) -> None:
    """Wait if asked to, print the outcome, and leave with its exit code."""
    late: BaseException | None = None
    if wait and outcome.pending:
        with waiting(len(outcome.pending)):
            try:
                outcome = door.wait(outcome, timeout=timeout)
            except (ContactsError, KeyboardInterrupt) as error:  # what was reached is still worth telling
                late = error
    if as_json:
        document(outcome)
    else:
        show("\n".join(wording.outcome(outcome, door.name)))
    if late:
        raise late
    if code := wording.outcome_code(outcome):
        raise typer.Exit(code)


@contextmanager
def waiting(jobs: int) -> Iterator[None]:
    """Say on stderr that jobs are waited for."""
    what = f"waiting for {jobs} job(s)"
    if not sys.stderr.isatty():
        note(what)
    with progress(what):
        yield


def leave(code: Exit) -> None:
    """End with this exit code, if it says anything."""
    if code:
        raise typer.Exit(code)
