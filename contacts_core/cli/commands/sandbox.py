"""`contacts sandbox`: emulators of all vendors on this machine."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contacts_core.cli import completion
from contacts_core.cli.options import Json, number, several

if TYPE_CHECKING:
    from contacts_core.emulator import Running

LONGEST_WAIT = 3600.0
MOST_PEOPLE = 10**6
MOST_SEED = 10**9
FASTEST = 10**6
SLOWEST = 600_000.0  # ms


def sandbox(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND", help="What to run, after `--`; the sandbox ends with it.", show_default=False
        ),
    ] = None,
    port: Annotated[int, number("--port", "Port to listen on; 0 takes a free one.", 0, 65535)] = 8025,
    contacts: Annotated[int, number("--contacts", "Number of synthetic people at each vendor.", 0, MOST_PEOPLE)] = 300,
    seed: Annotated[int, number("--seed", "Another number gives other people.", -MOST_SEED, MOST_SEED)] = 0,
    speed: Annotated[
        float,
        number(
            "--speed", "How many times faster the emulators' clock runs.", 0.001, FASTEST, whole=False, metavar="FACTOR"
        ),
    ] = 1.0,
    faults: Annotated[
        list[str] | None,
        several(
            "--faults",
            "NAME[=N|=P%][@A]",
            "What goes wrong: always, N times, or in P % of requests; @A starts after A requests. `help` lists faults.",
            autocompletion=completion.faults,
        ),
    ] = None,
    latency: Annotated[
        float,
        number("--latency", "Milliseconds before each answer.", 0, SLOWEST, whole=False, metavar="MS"),
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Serve emulators of all vendors on this machine.

    Prints the addresses, the keys, and the environment variables that make every command use the emulators. With a
    COMMAND, such as a shell, it runs that command with these variables, without your accounts and with a storage of its
    own.

        contacts sandbox --speed 60 -- sh
        contacts sandbox --contacts 1000 --speed 60
        contacts sandbox --faults rate-limit=3,job-fails
        contacts sandbox --faults help
    """
    from contacts_core.cli import output

    served = imported()
    from contacts_core.emulator.registry import emulators, known_faults

    chosen = faults or []
    if "help" in chosen:
        made = output.rows(output.table("fault", "what happens"), known_faults().items())
        output.show(made)
        return

    try:
        ready = served.Sandbox(
            emulators().values(),
            contacts=contacts,
            seed=seed,
            speed=speed,
            faults=chosen,
            latency=latency / 1000,
        )
    except ValueError as error:
        raise typer.BadParameter(f"{error} (--faults help lists them)") from None
    with ExitStack() as stack:
        try:
            server = stack.enter_context(served.running(ready, port))
        except OSError as error:
            reason = f"cannot listen on port {port}: {error.strerror}; --port 0 takes a free one"
            raise OSError(error.errno, reason) from None
        if command:
            raise typer.Exit(_inside(server, command))
        _announce(server, as_json=as_json)
        _rest()


def imported() -> Any:
    """The package of the emulators; it needs an extra."""
    from contacts_core.errors import ConfigurationError

    try:
        from contacts_core import emulator as served
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"the package {missing.name} is missing", hint="install contacts-core[sandbox]"
        ) from None
    return served


def _inside(server: Running, command: list[str]) -> int:
    """Run a command that sees nothing but the emulators; gives its exit code."""
    import os
    import subprocess
    import tempfile

    from contacts_core.cli import output

    with tempfile.TemporaryDirectory(prefix="contacts-sandbox-") as folder:
        accounts = Path(folder) / "contacts.toml"
        accounts.touch()
        surroundings = {"CONTACTS_FILE": str(accounts), "CONTACTS_STORAGE": str(Path(folder) / "storage")}
        for name in server.sandbox.emulators:
            surroundings |= _variables(server, name)
        direct = {
            name: ",".join(filter(None, (os.environ.get(name), "127.0.0.1"))) for name in ("NO_PROXY", "no_proxy")
        }
        output.note(f"in the sandbox: {', '.join(server.sandbox.emulators)}; leaving it ends them")
        try:
            return subprocess.run(command, env={**os.environ, **surroundings, **direct}, check=False).returncode  # noqa: S603 - it is the user's own
        except FileNotFoundError:
            raise typer.BadParameter(f"there is no command {command[0]}") from None


def _announce(server: Running, *, as_json: bool) -> None:
    import sys

    from contacts_core.cli import output

    vendors = {
        name: {"title": emulator.title, "settings": server.settings(name), "environment": _variables(server, name)}
        for name, emulator in server.sandbox.emulators.items()
    }
    if as_json:
        output.document({"url": server.url, "providers": vendors})
    else:
        output.show([f"serving at {server.url}; for another terminal:", ""])
        for name, vendor in vendors.items():
            variables = _variables(server, name).items()
            exports = [f"export {variable}={shlex.quote(value)}" for variable, value in variables]
            output.show([f"# {vendor['title']}: contacts count {name}", *exports])
        output.note(["", "Ctrl-C stops it."])
    sys.stdout.flush()


def _variables(server: Running, name: str) -> dict[str, str]:
    """The settings as environment variables."""
    import attrs

    from contacts_core.config import plugins
    from contacts_core.config.accounts import environment_name

    provider = plugins.registry().providers.get(name)
    fields = {each.name: each for each in attrs.fields(provider)} if provider else {}
    return {
        environment_name(provider, fields[setting]): value
        for setting, value in server.settings(name).items()
        if provider and setting in fields
    }


def _rest() -> None:
    """Wait for Ctrl-C, which is how this command is meant to end."""
    import threading

    forever = threading.Event()
    try:
        while not forever.wait(LONGEST_WAIT):
            pass
    except KeyboardInterrupt:
        return
