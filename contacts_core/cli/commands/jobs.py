"""Commands for the vendor's jobs, and for whatever has no command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from contacts_core.cli.options import Json, RequiredAccount, Settings, Timeout, Wait, Yes, input_file, pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contacts_core.cli.output import Exit
    from contacts_core.models import Job

READING = {"GET", "HEAD", "OPTIONS"}
INTERRUPTED = "interrupted"  # the state of an outcome that stopped half-way
ENDS = {0: "succeeded", 1: "failed", 3: "succeeded in part"}


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

    given: Sequence[Job | str] = [job]
    ended = output.Exit.DONE
    if job == "-":
        given, ended = _from_stdin()
    if not given:  # nothing is left to look at
        if as_json:
            output.document([])
        else:
            output.show(f"no job: the vendor did the work at once, and it {ENDS[ended]}")
        leave(ended)
        return
    with opened(account, settings) as client:
        seen = [client.get_job(each) for each in given]
        if wait and not all(each.finished for each in seen):
            with waiting(len(seen)):
                seen = [client.wait(each, timeout=timeout) for each in seen]
    if as_json:
        output.document(seen[0] if len(seen) == 1 else seen)
    else:
        output.show([wording.job(each) for each in seen])
    leave(max(ended, *map(wording.job_code, seen)))


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
    as_json: Json = False,  # noqa: ARG001 - for errors; the answer is JSON anyway
) -> None:
    """Send one request to the vendor's own API.

    For anything that has no command. Anything but a GET is shown, with its parameters and body, and asked about first.

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
        output.document(client.request(method, path, params=params or None, json=body))


def _body(data: str | None) -> Any:
    """The JSON of ``--data``, or of the file that it names."""
    if data is None:
        return None
    if not data.startswith("@"):
        return _json("--data", data)
    from contacts_core.formats import readable

    with readable(input_file(data[1:])) as file:
        return _json("--data", file.read())


def _from_stdin() -> tuple[list[Job], Exit]:
    """The jobs of an outcome, of a job, or of several jobs, as ``--json`` printed them; and how the rest ended.

    Raises:
        InvalidInput: What was read is neither.
    """
    from contacts_core.cli.formatting import OUTCOME_CODES
    from contacts_core.cli.output import Exit
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
            codes = {state.value: code for state, code in OUTCOME_CODES.items()} | {INTERRUPTED: Exit.PARTIAL}
            return [job_from_plain(job) for job in outcome["jobs"]], codes.get(str(outcome["state"]), Exit.DONE)
    if not read:
        raise InvalidInput("there is no job in what was read", hint="pass what --json printed")
    jobs = cast("list[Any]", read if isinstance(read, list) else [read])
    return [job_from_plain(job) for job in jobs], Exit.DONE


def _json(where: str, text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{where} is not JSON: {error}") from None
