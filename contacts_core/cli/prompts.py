"""Opening accounts, asking before something is lost, and telling what became of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import typer

from contacts_core import operations
from contacts_core.cli import formatting as wording
from contacts_core.cli.errors import Refused, Stopped
from contacts_core.cli.options import pairs
from contacts_core.cli.output import Exit, document, is_json, note, progress, prompt, show, warn
from contacts_core.client import Contacts
from contacts_core.config.accounts import open_provider
from contacts_core.errors import Cancelled, ContactsError, Interrupted
from contacts_core.models import Contact, Failure, Found, Identifier, Outcome
from contacts_core.provider import Provider, QueuesJobs
from contacts_core.storage.tombstones import guard

__all__ = [
    "ask",
    "ask_secret",
    "can_type",
    "changing",
    "leave",
    "looked_up",
    "opened",
    "plan",
    "settle",
    "tell_doubts",
    "telling",
    "to_be_asked",
    "waiting",
]

T = TypeVar("T")
Client = Contacts[Any]
CLIENT_ERROR = 400  # HTTP statuses from here on are refusals
NOT_LOOKED_UP = "not looked up: "  # what the reason begins with where an identifier could not be asked for


@contextmanager
def opened(account: str, settings: list[str] | None, storage: str | None = None) -> Generator[Client]:
    """The account of this name, or the provider's with what the environment and ``--set`` say.

    Unlike `connect`, it has no arguments of its own that a setting of ``--set`` could be taken for.
    """
    provider = open_provider(account, pairs("--set", settings))
    with Contacts(provider, name=account, guard=guard(storage)) as client:
        yield client


def plan(client: Client, capability: type[Provider], doing: str, items: Iterable[str], *remarks: str) -> list[str]:
    """What is about to be done, for the person who decides; refuses at once what the provider cannot do."""
    provider = operations.require(client.provider, capability)
    listed = list(items)
    lines = [f"about to {doing}, on {client.name} ({provider.title or provider.name}, {provider.location()})"]
    lines += [f"  {item}" for item in listed[: wording.SHOWN]]
    if len(listed) > wording.SHOWN:
        lines.append(f"  and {len(listed) - wording.SHOWN} more")
    lines += remarks
    if capability in provider.read_modify_write:
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
        Stopped: They pressed Ctrl-C.
    """
    if yes:
        if not is_json():  # whoever reads JSON has the outcome
            note(lines)
        return
    if not somebody_there():
        note(lines)
        raise Refused("nothing was changed: there is no terminal to confirm it at", hint="add --yes in a script")
    prompt(lines)
    if not _answer(lambda: typer.confirm("Go on?", err=True)):
        raise Refused("nothing was changed: it was not confirmed")


def ask_secret(question: str) -> str:
    """What somebody types who is not to see it; empty at the end of the input.

    Raises:
        Stopped: They pressed Ctrl-C.
    """
    return _answer(lambda: str(typer.prompt(question, hide_input=True, err=True))) or ""


def _answer(question: Callable[[], T]) -> T | None:
    """The answer to a question, or None at the end of the input."""
    try:
        return question()
    except typer.Abort as aborted:
        prompt([""])  # ends the line of the question
        if isinstance(aborted.__context__, KeyboardInterrupt):
            raise Stopped("interrupted; nothing was changed") from None
        return None


def to_be_asked(*, yes: bool) -> bool:
    """Whether somebody will be asked; they are shown whole identifiers, for masked ones cannot be checked."""
    return not yes and somebody_there()


def somebody_there() -> bool:
    """Whether there is a terminal at which somebody could see a question, on stderr, and answer it."""
    return can_type() and sys.stderr is not None and sys.stderr.isatty()


def can_type() -> bool:
    """Whether stdin is a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()


def looked_up(client: Client, identifiers: list[Identifier]) -> tuple[dict[str, Contact], Outcome]:
    """The contacts that these identifiers stand for, by id, and an outcome for those that stand for nobody.

    Who could not be asked for is a failure in it, with the reason.
    """
    if not identifiers:
        return {}, Outcome(operation="")
    with progress(f"looking up {len(identifiers)} identifier(s)"):
        found: Found = client.find(identifiers)
    tell_doubts(client, found)
    contacts = {contact.id: contact for identifier in found for contact in found.get_all(identifier)}
    absent = tuple(i.value for i in found if not (found[i] or i in found.mismatched))
    failed = [Failure(each.value, f"{NOT_LOOKED_UP}{reason}") for each, reason in found.unasked.items()]
    failed += [
        Failure(i.value, f"{NOT_LOOKED_UP}the vendor answered with {number} other contact(s)")
        for i, number in found.mismatched.items()
        if not found[i]
    ]
    missing = Outcome(operation="", requested=len(absent) + len(failed), absent=absent, failed=tuple(failed))
    return contacts, missing


def tell_doubts(client: Client, found: Found) -> None:
    """Warn of answers that did not fit what was asked, and name what was never asked."""
    for identifier, number in found.mismatched.items():
        warn(
            f"{client.provider.title or client.provider.name} answered to {identifier.masked} with {number} contact(s) "
            "without it; they were left out"
        )
    for identifier, reason in found.unasked.items():
        warn(f"{identifier.masked} was not looked up: {reason}")


def tell_missing(outcome: Outcome, asked: Sequence[Identifier]) -> bool:
    """Say plainly which of the identifiers asked for nobody has; tells whether there are any."""
    absent = set(outcome.absent)
    missing = [each.masked for each in asked if each.value in absent]
    if missing:
        note(f"no contact has {wording.some(missing)}")
    return bool(missing)


def settle(
    client: Client, outcome: Outcome, *, wait: bool, timeout: float, as_json: bool, asked: Iterable[Identifier] = ()
) -> None:
    """Wait if asked to, print the outcome, and leave with its exit code.

    It is 3 where one of the identifiers ``asked`` for belongs to nobody or could not be looked up, although nothing
    failed.
    """
    asked = list(asked)
    late: BaseException | None = None
    if wait and outcome.pending:
        with waiting(len(outcome.pending)):
            try:
                outcome = client.wait(outcome, timeout=timeout)
            except (ContactsError, KeyboardInterrupt) as error:  # what was reached is still worth telling
                late = error
    try:
        if as_json:
            document(outcome)
        else:
            show(wording.outcome(outcome, client.name))
        sys.stdout.flush()
    except OSError:  # such as a full disk: what was done is told all the same
        note(wording.outcome(outcome, client.name), even_if_quiet=True)
        raise
    missing = tell_missing(outcome, asked)
    if late:
        raise late
    code = wording.outcome_code(outcome)
    unknown = bool(outcome.failed) and all(each.reason.startswith(NOT_LOOKED_UP) for each in outcome.failed)
    leave(Exit.PARTIAL if (missing and not code) or (unknown and code is Exit.FAILED) else code)


@contextmanager
def telling(client: Client, operation: str, items: Sequence[object]) -> Generator[None]:
    """If what changes these items ends without a word about them, say that it is unclear what became of them.

    Raises:
        Interrupted: Instead of an error that leaves it open whether anything was done.
    """
    nothing = Outcome(operation=operation, provider=client.provider.name)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        cause, told = Cancelled(), interrupt.__cause__
        if isinstance(told, Interrupted):  # which says what was done until then
            raise told from cause
        raise Interrupted(nothing, items, (), str(cause)) from cause
    except ContactsError as error:
        if isinstance(error, Interrupted) or not (error.unclear or isinstance(error, Cancelled)):
            raise
        raise Interrupted(
            nothing, items if error.unclear else (), () if error.unclear else items, str(error)
        ) from error


@contextmanager
def changing(client: Client, operation: str, items: Sequence[object], doing: str, batch: int = 0) -> Generator[None]:
    """Show how far a long change got, and what is unclear if it ends without a word; see `telling`.

    Args:
        client: What changes.
        operation: Name of the method.
        items: What is changed.
        doing: What goes on, such as ``deleting 5 contact(s)``.
        batch: Items of one request, if each request is one batch; otherwise requests are counted.
    """
    answered = 0
    with progress(doing) as far:

        def count(_request: object, response: Any) -> None:
            nonlocal answered
            answered += response is not None and response.status_code < CLIENT_ERROR
            reached = f"{min(answered * batch, len(items))} of {len(items)}" if batch else f"{answered} request(s)"
            far(f"({reached} answered)")  # not done: the vendor may only have accepted them

        remove = client.add_event_hook(count)
        try:
            with telling(client, operation, items):
                yield
        finally:
            remove()


@contextmanager
def waiting(jobs: int) -> Generator[None]:
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
