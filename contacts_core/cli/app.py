"""The command line, put together: which commands there are, and what holds for all of them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Generator, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Annotated, Any, cast

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from contacts_core.cli import output

__all__ = ["Command", "SectionWithDefault", "app", "lists_itself", "section"]

WIDEST = 20
UsageError: Any = typer.BadParameter.__mro__[1]  # Typer brings its own Click, or uses the one that is installed
AS_JSON = "contacts.as_json"

EPILOG = """Exit codes:

    0    done; or accepted by the vendor as a job, which the output then says
    1    failed: the vendor refused or could not be reached, or a job failed
    2    usage error: a wrong argument, value, setting or account; nothing was sent
    3    partial: only some of it was done or found, it is still going on, or no contact has the identifier
    4    refused: it was not confirmed, or the provider cannot do it; nothing was changed
    130  interrupted by Ctrl-C; the output says what was done, what is unclear and what was not sent
    143  the same for SIGTERM (129 for SIGHUP)

-q, -v and --debug may also be given after the command. With --json, everything on stderr is one JSON document.

An option that takes several values can be repeated, and splits its values at commas; double quotes around a value keep
its commas. An option that takes NAME=VALUE can be repeated, too. All other options can be given once. `-` as a FILE to
read is standard input.

Accounts and their keys are configured in contacts.toml. Without an account, name a provider and set its key in the
environment. `contacts accounts` lists the accounts, `contacts accounts add` adds one, and `contacts sandbox` runs
emulated vendors to try things on. If ACCOUNT is left out, or is `.`, the default account is used: the one that
CONTACTS_ACCOUNT names, or default_account in contacts.toml. Results are tables on a terminal; in a pipe or a file they
are tab-separated rows without a header.
"""

# Section, name, and the module that holds the function of that name. What a command does stands here once more, for
# `contacts --help` is not to load them all; a test compares it with the first line of the command's own text.
COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Look around": {
        "providers": ("info", "Show the providers and what each of them can do."),
        "accounts": ("accounts", "Show, add and check accounts and their keys."),
        "demo": ("demo", "Try the main operations on emulated vendors."),
        "sandbox": ("sandbox", "Serve emulators of all vendors on this machine."),
    },
    "Read": {
        "search": ("read", "Search for contacts; conditions are joined by AND."),
        "find": ("read", "Look contacts up by exact identifier."),
        "get": ("read", "Show everything the vendor has on contacts."),
        "export": ("read", "Write every contact to a file, or to stdout."),
        "count": ("read", "Count the contacts, and say how they were counted."),
        "lists": ("read", "Show the lists and their ids."),
        "fields": ("read", "Show the custom fields."),
        "check": ("check", "Check whether one account has what another one has."),
        "consent": ("consent", "Show, export, write and lift statements of consent."),
    },
    "Change": {
        "delete": ("change", "Delete whole contacts, after asking."),
        "remove-identifier": ("change", "Remove one identifier and keep the contact."),
        "change": ("change", "Change single fields of a contact, and leave all others."),
        "remove-from-list": ("change", "Take contacts off a list and keep them."),
        "add-to-list": ("change", "Put contacts on a list."),
        "upsert": ("change", "Create contacts, or update those that exist."),
        "create-list": ("change", "Create an empty list."),
        "create-field": ("change", "Create a custom field."),
        "delete-list": ("change", "Delete a list and keep its contacts."),
    },
    "Plan, apply, prove": {
        "access": ("access", "Write what is held about a person into an archive."),
        "erase": ("erase", "Erase people: plan, ask, apply, write the receipt."),
        "copy": ("copy", "Copy contacts to another account, and verify them."),
        "plan": ("plan", "Make and show plans; nothing is changed."),
        "apply": ("apply", "Apply a plan, verify it, and write a receipt."),
        "runs": ("apply", "Show, resume or cancel runs of plans."),
        "worker": ("apply", "Run a worker for runs in a shared PostgreSQL storage."),
        "receipt": ("receipts", "Verify, search and print receipts; works offline."),
        "tombstones": ("receipts", "Count or remove the tombstones of erased people."),
    },
    "Jobs and the raw API": {
        "job": ("jobs", "Show one of the vendor's jobs, or wait for it."),
        "request": ("jobs", "Send one request to the vendor's own API."),
    },
    "Add a vendor": {
        "new-provider": ("new_provider", "Write the package of a new provider, with its tests."),
    },
}


def verbatim(text: str, formatter: Any) -> None:
    """Write paragraphs wrapped, and indented blocks (examples, tables) as they are."""
    for part in text.strip().split("\n\n"):
        formatter.write_paragraph()
        if part.startswith("    "):
            formatter.write("".join(f"  {line}\n" for line in part.splitlines()))
        else:
            with formatter.indentation():
                formatter.write_text(" ".join(part.split()))


# A blank value is nearly always a variable of a script that is not set. These may be blank.
BLANK = frozenset({"command", "confirm"})


class Strict:
    """Refuses what a command line says twice, leaves blank, or says in no encoding."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, after a look at what is there."""
        if not ctx.resilient_parsing:
            parser: Any = cast("Any", self).make_parser(ctx)
            values: dict[str, Any]
            given: list[Any]
            values, _, given = parser.parse_args(list(args))
            times = Counter(param.name for param in given)
            for param in dict.fromkeys(given):
                _refuse_odd(param, values.get(param.name), times[param.name])
        rest: list[str] = cast("Any", super()).parse_args(ctx, args)
        return rest


def _several(value: object) -> Sequence[object]:
    return cast("Sequence[object]", value) if isinstance(value, (list, tuple)) else [value]


def _refuse_odd(param: Any, value: Any, times: int) -> None:
    """Refuse an option that is given too often, and a value that is blank or no text."""
    option = param.param_type_name == "option"
    name = param.opts[-1] if option else (param.metavar or param.name)
    idempotent = param.multiple or (param.is_flag and not param.secondary_opts) if option else True
    if times > 1 and not idempotent:
        raise typer.BadParameter(f"{name} is given {times} times; it takes one value")
    for text in _several(value):
        if not isinstance(text, str):
            continue
        if not text.strip() and param.name not in BLANK:
            raise typer.BadParameter(f"{name} is blank")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise typer.BadParameter(f"{name} is not valid {sys.getfilesystemencoding()} text") from None


@contextmanager
def _usage(ctx: Any) -> Generator[None]:
    """Make the text of usage errors printable: it repeats what a script passed on. With ``--json`` it is JSON."""
    with output.messages(as_json=ctx.meta[AS_JSON]):
        try:
            yield
        except UsageError as error:
            error.message = output.clean(error.message)
            if not ctx.meta[AS_JSON]:
                raise
            code = int(output.Exit.USAGE)
            output.error(
                {"type": "UsageError", "message": error.format_message(), "hint": "see --help", "exit_code": code}
            )
            raise typer.Exit(code) from None


def _said(ctx: typer.Context, param: typer.CallbackParam, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        output.verbosity(**{str(param.name): True})


@cache
def _options_of_every_command() -> tuple[Any, ...]:
    """What may be given behind every command, too; hidden there, for the help would be the same everywhere."""

    def command(
        quiet: Annotated[bool, typer.Option("--quiet", "-q", hidden=True, callback=_said)] = False,
        verbose: Annotated[bool, typer.Option("--verbose", "-v", hidden=True, callback=_said)] = False,
        debug: Annotated[bool, typer.Option("--debug", hidden=True, callback=_said)] = False,
    ) -> None: ...

    made = typer.Typer(add_completion=False)
    made.command()(command)
    params = tuple(typer.main.get_command(made).params)
    for param in params:
        param.expose_value = False
    return params


class Command(Strict, TyperCommand):
    """A command whose errors become one readable line and an exit code."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its own parameters, and those of every command."""
        return [*super().get_params(ctx), *_options_of_every_command()]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Keep examples as they are."""
        verbatim(self.help or "", formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        from contacts_core.cli.errors import handled
        from contacts_core.cli.options import chosen_account

        with handled(account=str(ctx.params.get("account", "")), as_json=bool(ctx.params.get("as_json"))):
            if "account" in ctx.params:
                ctx.params["account"] = chosen_account(ctx.params["account"])
            if several := ctx.params.get("accounts"):
                ctx.params["accounts"] = list(dict.fromkeys(map(chosen_account, several)))
            return super().invoke(ctx)


class Commands(MutableMapping[str, Any]):
    """The commands by name, each made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}
        self._homes = {name: home for names in COMMANDS.values() for name, (home, _) in names.items()}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            made = getattr(import_module(f"contacts_core.cli.commands.{self._homes[name]}"), name.replace("-", "_"))
            if isinstance(made, typer.Typer):
                self._made[name] = typer.main.get_command(made)
                return self._made[name]
            # Help in plain text: rendering it with Rich would take as long as everything else together.
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            alone.command(name, cls=Command)(made)
            self._made[name] = typer.main.get_command(alone)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._homes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)


class Group(Strict, TyperGroup):
    """The command itself, with its commands in sections."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = Commands()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what stands before the command."""
        ctx.meta[AS_JSON] = "--json" in args[: args.index("--")] if "--" in args else "--json" in args
        with _usage(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Find the command, and run it."""
        with _usage(ctx):
            output.verbosity(**{name: ctx.params[name] for name in ("quiet", "verbose", "debug")})
            return super().invoke(ctx)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Keep examples as they are."""
        verbatim(self.help or "", formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """One section for each kind of command."""
        for section, names in COMMANDS.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(WIDEST), summary) for name, (_, summary) in names.items()])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Keep the table of exit codes as it is."""
        verbatim(self.epilog or "", formatter)


class Section(Strict, TyperGroup):
    """Several commands below one name."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its own parameters, and those of every command."""
        return [*super().get_params(ctx), *_options_of_every_command()]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Keep examples as they are."""
        verbatim(self.help or "", formatter)


class SectionWithDefault(Section):
    """Several commands below one name, of which one is meant where none of them is named.

    Attributes:
        default_command: Its name.
    """

    default_command = "show"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put it before anything that is no command and does not ask for help."""
        named = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else [self.default_command, *args])


def lists_itself(context: Any) -> bool:
    """Whether a section was called without a command, so that it lists what it has.

    Raises:
        typer.BadParameter: There is a command, and an option before it that would be lost.
    """
    command = context.invoked_subcommand
    options = [
        param for param in context.command.params if context.get_parameter_source(param.name).name == "COMMANDLINE"
    ]
    if command and options:
        raise typer.BadParameter(f"give {' and '.join(param.opts[0] for param in options)} behind {command}")
    return not command


def section(name: str, *, cls: type[TyperGroup] = Section, **options: Any) -> typer.Typer:
    """An empty group of commands."""
    return typer.Typer(name=name, cls=cls, rich_markup_mode=None, add_completion=False, **options)


def version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        from contacts_core import __version__

        print(f"contacts-core {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="contacts",
    cls=Group,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback()
def contacts(
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show only results, warnings, questions and errors.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show each request and its status.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show requests and tracebacks, with keys and identifiers removed.")
    ] = False,
    show_version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """One interface to the contacts of many vendors: search, export, remove, delete.

    Two commands to start with; they change nothing anywhere:

        contacts demo
        contacts providers

    With an account named marketing in contacts.toml:

        contacts search marketing --last-name "O'Brien"
        contacts delete marketing --email jane@example.com --wait
        contacts plan erase --email jane@example.com --accounts marketing,crm --to plan.json
        contacts apply plan.json
    """
