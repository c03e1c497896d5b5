"""Commands about accounts: show, add and check them, and choose the default one."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contacts_core.cli import completion
from contacts_core.cli.app import Command, lists_itself, section
from contacts_core.cli.options import Csv, ExcelSafe, Fields, Json, Sort, chosen_account, pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from contacts_core.cli.columns import Listing
    from contacts_core.cli.probes import Probed
    from contacts_core.config.accounts import Account
    from contacts_core.provider import Provider

REFERENCES = ("env", "file", "keyring")
PLAIN = "a plain key in the file itself; use env:NAME, file:PATH or keyring:SERVICE/USER"
NAME = re.compile(r"[A-Za-z0-9_-]+")
SHOWN = ("name", "provider", "source", "settings")  # in the table
SERVICE = "contacts"  # under which the keyring keeps keys
DEFAULT_LINE = re.compile(
    r"""^([ \t]*(?:default_account|"default_account"|'default_account')[ \t]*=[ \t]*)"""
    r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*')(?=[ \t]*(?:#|$))""",
    re.MULTILINE,
)

accounts = section("accounts")


@accounts.callback(invoke_without_command=True)
def all_accounts(
    context: typer.Context,
    fields: Fields = None,
    sort: Sort = None,
    as_csv: Csv = False,
    excel_safe: ExcelSafe = False,
    as_json: Json = False,
) -> None:
    """Show, add and check accounts and their keys.

    Without a subcommand, it lists the accounts and where their keys come from. Accounts are read from the file that
    CONTACTS_FILE names, or from contacts.toml in the working folder or in your configuration folder:

        default_account = "marketing"

        [accounts.marketing]
        provider = "NAME"
        api_key = "env:MARKETING_API_KEY"

    `contacts accounts add` writes this for you:

        contacts accounts
        contacts accounts add marketing PROVIDER
        contacts accounts check marketing
    """
    if not lists_itself(context):
        return
    from contacts_core.cli.columns import ACCOUNT_FIELDS, Listing, Shape
    from contacts_core.cli.errors import handled

    shape: Shape[Mapping[str, Any]] = Shape(
        ACCOUNT_FIELDS,
        ("account", "provider", "set in", "settings", ""),
        lambda each: [*(ACCOUNT_FIELDS[name](each) for name in SHOWN), "default" if each["default"] else ""],
    )
    listing = Listing(shape, fields, sort, as_csv=as_csv, as_json=as_json, excel_safe=excel_safe)
    with handled("", as_json=as_json):
        _show(listing)


@accounts.command("add", cls=Command)
def accounts_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the new account.", show_default=False)],
    provider: Annotated[
        str,
        typer.Argument(
            metavar="PROVIDER",
            help="The provider; `contacts providers` lists them.",
            show_default=False,
            autocompletion=completion.providers,
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting; keys as env:NAME, file:PATH or keyring:SERVICE/USER. Repeatable.",
        ),
    ] = None,
    keyring: Annotated[
        bool,
        typer.Option("--keyring", help="Ask for the key, or read it from stdin, and store it in the system's keyring."),
    ] = False,
    default: Annotated[bool, typer.Option("--default", help="Make it the default account.")] = False,
    as_json: Json = False,
) -> None:
    """Add an account to contacts.toml.

    The key itself is never written to the file. Unless --set or --keyring says where it is, it is read from an
    environment variable that is named after the account.

        contacts accounts add marketing PROVIDER
        contacts accounts add crm PROVIDER --set api_key=env:CRM_KEY --default
        contacts accounts add marketing PROVIDER --keyring
    """
    from contacts_core.cli import output
    from contacts_core.config import plugins
    from contacts_core.config.accounts import accounts as in_file
    from contacts_core.config.accounts import accounts_file, new_accounts_file
    from contacts_core.errors import InvalidInput

    kind = plugins.provider_class(provider)
    if not NAME.fullmatch(name):
        raise typer.BadParameter(f"{name!r}: a name is made of letters, digits, - and _")
    path = accounts_file() or new_accounts_file()
    if path.exists() and name in in_file():
        raise InvalidInput(f"there is an account named {name} already", hint="choose another name, or edit the file")
    values = _new_settings(name, kind, pairs("--set", settings), keyring=keyring)
    lines = [f"[accounts.{name}]", f"provider = {_toml(provider)}", *(f"{k} = {_toml(v)}" for k, v in values.items())]
    before = path.read_text("utf-8") if path.exists() else ""
    text, wanted = before, tomllib.loads(before)
    if default:
        text = _with_default(text, name)
        wanted["default_account"] = name
    wanted["accounts"] = {**wanted.get("accounts", {}), name: {"provider": provider, **values}}
    _save(path, "\n\n".join(filter(None, (text.rstrip(), "\n".join(lines)))) + "\n", wanted)
    if as_json:
        output.document({"file": str(path), "account": name, "provider": provider, "settings": values})
    else:
        output.show(f"account {name} added to {path}")
    unset = [v.removeprefix("env:") for v in values.values() if v.startswith("env:") and not os.environ.get(v[4:])]
    if unset:
        output.note(f"put the key into the environment: export {unset[0]}=…")
    output.note(f"to see whether it works: contacts accounts check {name}")


@accounts.command("default", cls=Command)
def accounts_default(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The account.", show_default=False, autocompletion=completion.accounts)
    ],
) -> None:
    """Choose the account that commands use if none is named.

    The environment variable CONTACTS_ACCOUNT overrides it.

        contacts accounts default marketing
        contacts count
    """
    from contacts_core.cli import output
    from contacts_core.config import plugins
    from contacts_core.config.accounts import accounts as in_file
    from contacts_core.config.accounts import accounts_file, new_accounts_file

    path = accounts_file() or new_accounts_file()
    if not (path.exists() and name in in_file()):
        plugins.provider_class(name)  # raises if there is neither
    before = path.read_text("utf-8") if path.exists() else ""
    _save(path, _with_default(before, name), {**tomllib.loads(before), "default_account": name})
    output.show(f"{name} is the default account")


@accounts.command("check", cls=Command)
def accounts_check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ACCOUNT",
            help="Accounts or providers; if none is named, all that are configured.",
            show_default=False,
            autocompletion=completion.accounts,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask the vendor whether the key works, and what it may do.

    Tries the operations that only read, with one or two requests each. Does not try those that change something, start
    a job, or read every contact. Exits 1 if a key is refused or a vendor cannot be reached, and 3 if an operation is
    not allowed or every request of an account ended in an error.

        contacts accounts check
        contacts accounts check marketing
    """
    from contacts_core.cli import output
    from contacts_core.cli.probes import Allowed, nothing_works, probe
    from contacts_core.cli.prompts import leave
    from contacts_core.errors import ConfigurationError

    chosen = [chosen_account(name) for name in names or ()]
    chosen = chosen or [each["name"] for each in _known()]
    if not chosen:
        raise ConfigurationError("no account is set up", hint="contacts accounts add NAME PROVIDER")
    by_account: dict[str, list[Probed]] = {}
    for name in dict.fromkeys(chosen):
        with output.progress(f"asking {name}"):
            by_account[name] = probe(name)
    results = [each for told in by_account.values() for each in told]
    if as_json:
        output.document(results)
    else:
        made = output.table("account", "operation", "allowed", "")
        output.show(output.rows(made, ([r.account, r.operation, r.allowed.value, r.reason] for r in results)))
    if any(each.allowed is Allowed.FAILED for each in results):
        leave(output.Exit.FAILED)
    doubtful = any(each.allowed is Allowed.NO for each in results) or any(map(nothing_works, by_account.values()))
    leave(output.Exit.PARTIAL if doubtful else output.Exit.DONE)


def _new_settings(name: str, kind: type[Provider], given: dict[str, str], *, keyring: bool) -> dict[str, str]:
    """What to write for a new account, keys as references.

    Raises:
        ConfigurationError: A setting is unknown or missing, or a key was given itself.
    """
    import attrs

    from contacts_core.config.accounts import settings_of
    from contacts_core.errors import ConfigurationError

    options = {each.name: each for each in settings_of(kind)}
    if unknown := sorted(given.keys() - options.keys()):
        raise ConfigurationError(
            f"{kind.name} has no setting {', '.join(unknown)}", hint=f"its settings are {', '.join(sorted(options))}"
        )
    values = dict(given)
    keys = {name for name, each in options.items() if each.metadata.get("secret") and each.default is attrs.NOTHING}
    if keyring and not keys - given.keys():
        raise ConfigurationError(
            "--keyring is for a key that is not given with --set, and there is none", hint="leave one of them out"
        )
    for setting, option in options.items():
        secret, needed = bool(option.metadata.get("secret")), option.default is attrs.NOTHING
        if secret and setting in given and not given[setting].startswith(tuple(f"{each}:" for each in REFERENCES)):
            raise ConfigurationError(
                f"{setting} was given itself, and keys do not belong in the file",
                hint=f"--set {setting}=env:NAME, or --keyring",
            )
        if secret and needed and setting not in given:
            variable = f"{name}_{setting}".upper().replace("-", "_")
            variable = variable if variable.isidentifier() else f"ACCOUNT_{variable}"  # it began with a digit
            values[setting] = _into_keyring(name, setting) if keyring else f"env:{variable}"
        elif needed and setting not in given:
            raise ConfigurationError(f"{kind.name} needs {setting}", hint=f"add --set {setting}=VALUE")
    return values


def _into_keyring(name: str, setting: str) -> str:
    """Keep a key in the keyring; gives the reference to it."""
    from contacts_core.cli.prompts import ask_secret, can_type, somebody_there
    from contacts_core.errors import ConfigurationError

    try:
        import keyring
        import keyring.errors
    except ModuleNotFoundError:
        raise ConfigurationError("the package keyring is missing", hint="install contacts-core[cli]") from None
    if somebody_there():
        key = ask_secret(f"{setting} of {name}")
    elif can_type():
        raise ConfigurationError("the key cannot be asked for: stderr is no terminal", hint="do not redirect stderr")
    else:
        key = sys.stdin.readline() if sys.stdin else ""
    if not key.strip():
        raise ConfigurationError("no key was given, so nothing was written")
    service = f"{SERVICE}/{name}"
    try:
        keyring.set_password(service, setting, key.strip())
    except keyring.errors.KeyringError as error:
        raise ConfigurationError(
            f"the keyring cannot be written ({type(error).__name__})", hint="use --set with env: or file: instead"
        ) from None
    return f"keyring:{service}/{setting}"


def _with_default(text: str, name: str) -> str:
    """The text of an accounts file with this default account; it stands before the first table."""
    tables = re.search(r"^[ \t]*\[", text, re.MULTILINE)
    head, rest = (text[: tables.start()], text[tables.start() :]) if tables else (text, "")
    head, found = DEFAULT_LINE.subn(lambda line: line[1] + _toml(name), head)
    if found:
        return head + rest
    head = head.rstrip()
    return "\n".join(filter(None, (head, f"default_account = {_toml(name)}"))) + ("\n\n" + rest if rest else "\n")


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _save(path: Path, text: str, wanted: Mapping[str, Any]) -> None:
    """Write the accounts file if its text says what is wanted and nothing else; an existing file keeps its mode.

    Raises:
        ConfigurationError: It does not; nothing was written.
    """
    from contacts_core.errors import ConfigurationError
    from contacts_core.formats import private_file

    try:
        says = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        says = {}
    if says != wanted:
        raise ConfigurationError(
            f"{path.name} is not written in a way that can be added to here, so nothing was written",
            hint="edit it, with one [accounts.NAME] for each account and default_account in a line before them",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    with private_file(path.resolve()) as file:
        if mode is not None and os.chmod in os.supports_fd:
            os.chmod(file.fileno(), mode)  # noqa: PTH101 - the file has no name yet
        file.write(text)


def _show(listing: Listing[Mapping[str, Any]]) -> None:
    from contacts_core.cli import output
    from contacts_core.config.accounts import accounts_file, default_account

    default = default_account()
    found = [{**each, "default": each["name"] == default} for each in _known()]
    if listing.as_json:
        listed = [listing.plain(each) for each in listing.sorted(found)]
        output.document({"file": str(accounts_file() or ""), "default": default, "accounts": listed})
    else:
        listing.everything(found, "no account is set up; contacts accounts add NAME PROVIDER adds one")


def _known() -> Iterable[Mapping[str, Any]]:
    """The accounts of the file, and the providers that the environment has the keys of."""
    from contacts_core.config import plugins
    from contacts_core.config.accounts import accounts as in_file

    known = plugins.registry().providers
    for account in in_file().values():
        settings = _settings(account, known.get(account.provider))
        yield {"name": account.name, "provider": account.provider, "source": "file", "settings": settings}
    for name, provider in known.items():
        if settings := _environment(provider):
            yield {"name": name, "provider": name, "source": "environment", "settings": settings}


def _settings(account: Account, provider: type[Provider] | None) -> dict[str, str]:
    """Settings as they stand in the file; a key that stands there itself is not shown."""
    from contacts_core.config.accounts import settings_of

    fields: dict[str, Any] = {each.name: each for each in settings_of(provider)} if provider else {}
    said: dict[str, str] = {}
    for name, value in account.settings.items():
        scheme, colon, target = str(value).partition(":")
        # What no provider declares may be a misspelt key.
        secret = name not in fields or fields[name].metadata.get("secret", False)
        if colon and scheme in REFERENCES:
            missing = scheme == "env" and not os.environ.get(target)
            said[name] = f"{value}{' (not set)' if missing else ''}"
        else:
            said[name] = PLAIN if secret else str(value)
    return said if provider else {**said, "provider": "there is no such provider"}


def _environment(provider: type[Provider]) -> dict[str, str]:
    """Where the environment has what this provider needs; empty unless it has all of it."""
    import attrs

    from contacts_core.config.accounts import environment_name, settings_of

    names = {each: environment_name(provider, each) for each in settings_of(provider)}
    if any(each.default is attrs.NOTHING and not os.environ.get(name) for each, name in names.items()):
        return {}
    return {each.name: f"env:{name}" for each, name in names.items() if os.environ.get(name)}
