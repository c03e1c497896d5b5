"""Commands for the vendor's jobs, and for whatever has no command."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from contacts_core.cli.options import Json, RequiredAccount, Settings, Timeout, Wait, Yes, input_file, pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contacts_core.models import Job, Outcome

READING = {"GET", "HEAD", "OPTIONS"}
INTERRUPTED = "interrupted"  # the state of an outcome that stopped half-way
ENDS = {
    "done": "the vendor did the work at once, and it succeeded",
    "failed": "it failed",
    INTERRUPTED: "the operation was interrupted",
}


@dataclass(frozen=True)
class Given:
    """What ``--json`` of another command printed: jobs, or an outcome with its ``state``; ``document`` is the whole."""

    jobs: Sequence[Job]
    state: str = ""
    document: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def outcome(self, jobs: Iterable[Job]) -> Outcome:
        """The outcome with its jobs as read now."""
        from contacts_core.models import Failure, Outcome

        requested, processed = (self.number(name) for name in ("requested", "processed"))
        return Outcome(
            requested=requested,
            confirmed=("",) * self.number("confirmed"),
            processed=processed,
            absent=("",) * self.number("absent"),
            failed=(Failure("", ""),) * self.number("failed"),
            jobs=tuple(jobs),
        )

    def number(self, name: str) -> int:
        """A number of the document, or how many items it has of this name."""
        value = self.document.get(name)
        if isinstance(value, list):
            return len(cast("list[object]", value))
        return value if isinstance(value, int) else 0

    def code(self, seen: Sequence[Job]) -> int:
        """The exit code that tells how it stands, now that the jobs were read again."""
        from contacts_core.cli import formatting as wording
        from contacts_core.cli.output import Exit

        codes = {state.value: code for state, code in wording.OUTCOME_CODES.items()} | {INTERRUPTED: Exit.PARTIAL}
        stated, now = codes.get(self.state, Exit.DONE), self.outcome(seen)
        if now.pending or not self.state:
            return max(stated, *map(wording.job_code, seen))
        return max(stated, wording.outcome_code(now))

    def ended(self) -> str:
        """How an outcome without a job ended, in a line."""
        numbers = {
            "not there": self.number("absent"),
            "refused": self.number("failed"),
            "unclear": self.number("uncertain"),
            "not sent": self.number("unsent"),
        }
        confirmed = self.number("confirmed") + self.number("processed")
        listed = [f"{self.number('requested')} asked for", f"{confirmed} confirmed"]
        listed += [f"{number} {what}" for what, number in numbers.items() if number]
        told = ENDS.get(self.state, "not all of it was done")
        return f"no job: {told}" + (f" ({', '.join(listed)})" if self.state != "done" else "")


def job(
    account: RequiredAccount,
    job: Annotated[
        str,
        typer.Argument(
            metavar="JOB", help="The id of a job; - reads what --json printed from stdin.", show_default=False
        ),
    ],
    wait: Wait = False,
    timeout: Timeout = 900.0,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Look at a job of the vendor, or wait for it.

    Jobs belong to the vendor: any process may look, at any time.

        contacts job marketing JOB --wait
        contacts delete marketing ID --yes --json | contacts job marketing - --wait
    """
    from contacts_core.cli import formatting as wording
    from contacts_core.cli import output
    from contacts_core.cli.prompts import leave, opened, waiting

    given = _from_stdin() if job == "-" else Given(())
    wanted: Sequence[Job | str] = given.jobs if job == "-" else [job]
    if not wanted:  # nothing is left to look at
        if as_json:
            output.document([])
        else:
            output.show(given.ended())
        leave(output.Exit(given.code(())))
        return
    with opened(account, settings) as client:
        seen = [client.get_job(each) for each in wanted]
        if wait and not all(each.finished for each in seen):
            with waiting(len(seen)):
                seen = [client.wait(each, timeout=timeout) for each in seen]
    if as_json:
        output.document(seen[0] if len(seen) == 1 else seen)
    else:
        output.show([wording.job(each) for each in seen])
    leave(output.Exit(given.code(seen)))


def request(
    account: RequiredAccount,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="GET, POST, …", show_default=False)],
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="Below the provider's base URL, encoded.", show_default=False)
    ],
    param: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A query parameter; repeatable.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="JSON", help="The body; @FILE reads it from a file, @- from stdin.")
    ] = None,
    yes: Yes = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Send one request to the vendor's own API.

    For anything that has no command. Anything but a GET is shown, with its parameters and body, and asked about first.
    JSON and any other text is printed; what is no text is written to a file or a pipe, not to a terminal. With --json
    other text is a JSON string, and the rest is one in base64.

        contacts request marketing GET /v1/contacts --param limit=5
        contacts request marketing POST /v1/tags --data '{"name": "vip"}'
    """
    from contacts_core.cli import output
    from contacts_core.cli.prompts import ask, opened, to_be_asked
    from contacts_core.models.identifiers import scrub

    params, body = pairs("--param", param), _body(data)
    with opened(account, settings) as client:
        if method.upper() not in READING:
            lines = [
                f"about to send {method.upper()} {path} to {client.name} ({client.provider.base_url})",
                *(f"  parameter {name}={value}" for name, value in params.items()),
                *([f"  body: {json.dumps(body, ensure_ascii=False)}"] if data is not None else []),
            ]
            ask(lines if to_be_asked(yes=yes) else list(map(scrub, lines)), yes=yes)
        output.body(client.request(method, path, params=params or None, json=body), as_json=as_json)


def _body(data: str | None) -> Any:
    """The JSON of ``--data``, or of the file that it names."""
    if data is None:
        return None
    if not data.startswith("@"):
        return _json("--data", data)
    from contacts_core.formats import readable

    with readable(input_file(data[1:])) as file:
        return _json("--data", file.read())


def _from_stdin() -> Given:
    """The jobs of an outcome, of a job, or of several jobs, as ``--json`` printed them.

    Raises:
        InvalidInput: What was read is neither.
    """
    from contacts_core.errors import InvalidInput
    from contacts_core.formats import job_from_plain, readable

    with readable("-") as file:
        text = file.read()
    if not text.strip():
        raise InvalidInput("nothing was read", hint="the command before the pipe failed; see what it says")
    read = _json("stdin", text)
    if isinstance(read, dict):
        outcome = cast("dict[str, Any]", read)
        if "state" in outcome and isinstance(outcome.get("jobs"), list):
            return Given([job_from_plain(job) for job in outcome["jobs"]], str(outcome["state"]), outcome)
    if not read:
        raise InvalidInput("there is no job in what was read", hint="pass what --json printed")
    jobs = cast("list[Any]", read if isinstance(read, list) else [read])
    return Given([job_from_plain(job) for job in jobs])


def _json(where: str, text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{where} is not JSON: {error}") from None
