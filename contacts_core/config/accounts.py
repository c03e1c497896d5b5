"""Named accounts from a TOML file, with secrets by reference.

    [accounts.marketing]
    provider = "acme"
    api_key = "env:ACME_API_KEY"          # or "file:PATH", or "keyring:SERVICE/USER"

The file is the one named by ``CONTACTS_FILE``, else ``contacts.toml`` in the working folder, else the one in the user's
configuration folder.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast, overload

import attrs
from attrs import field, frozen

from contacts_core.config import plugins
from contacts_core.errors import ConfigurationError
from contacts_core.provider import Provider

__all__ = [
    "Account",
    "PlainSecretWarning",
    "accounts",
    "accounts_file",
    "default_account",
    "open_provider",
    "reference",
    "section",
    "settings_of",
]


# The tables of the accounts file and what may stand in them; None: anything, for it is the user's own names.
TABLES: Mapping[str, Sequence[str] | None] = {"accounts": None, "receipts": ("key", "signing_key")}
DEFAULT = "default_account"  # the one setting outside a table
MISSING = {
    "env": "environment variable {} is not set",
    "file": "file {} cannot be read, or is empty",
    "keyring": "the keyring has nothing for {}",
}

P = TypeVar("P", bound=Provider)


class PlainSecretWarning(UserWarning):
    """A key stands in the accounts file itself."""


@frozen
class Account:
    """One account: its provider's name and its settings as written, references unresolved."""

    name: str
    provider: str
    settings: Mapping[str, Any] = field(factory=dict[str, Any], repr=False)


def accounts_file() -> Path | None:
    """The accounts file in force, or None if there is none."""
    if named := os.environ.get("CONTACTS_FILE"):
        return Path(named)
    return next((path for path in (Path("contacts.toml"), new_accounts_file()) if path.is_file()), None)


def new_accounts_file() -> Path:
    """Where an accounts file is made if there is none: in the user's configuration folder."""
    try:
        from platformdirs import user_config_path  # noqa: PLC0415 - comes with the extra "cli"
    except ImportError:
        return Path.home() / ".config" / "contacts" / "contacts.toml"
    return user_config_path("contacts") / "contacts.toml"


def accounts(path: Path | None = None) -> dict[str, Account]:
    """Every account of the file, by name; none where there is no file.

    Raises:
        ConfigurationError: The file cannot be read, or is not made of accounts.
    """
    path = path or accounts_file()
    if path is None:
        return {}
    found: dict[str, Account] = {}
    for name, table in section("accounts", path).items():
        if not isinstance(table, dict) or not isinstance(cast("dict[str, Any]", table).get("provider"), str):
            raise ConfigurationError(
                f"account {name!r} in {path.name} names no provider",
                hint='add: provider = "…" (`contacts providers`)',
            )
        settings = dict(cast("dict[str, Any]", table))
        found[name] = Account(name, settings.pop("provider"), settings)
    return found


def default_account(path: Path | None = None) -> str:
    """The name of the account that is meant where none is named; empty if there is none.

    It is the one that ``CONTACTS_ACCOUNT`` names, else ``default_account`` of the accounts file.

    Raises:
        ConfigurationError: The file cannot be read, or the setting is not a name.
    """
    if named := os.environ.get("CONTACTS_ACCOUNT"):
        return named
    path = path or accounts_file()
    named = _read(path).get(DEFAULT, "") if path else ""
    if not isinstance(named, str):
        raise ConfigurationError(f"{DEFAULT} in {path.name if path else ''} is not the name of an account")
    return named


def section(name: str, path: Path | None = None) -> dict[str, Any]:
    """One table of the accounts file; empty where there is none.

    Raises:
        ConfigurationError: The file cannot be read, or holds a key that is not known.
    """
    path = path or accounts_file()
    return cast("dict[str, Any]", _read(path).get(name, {})) if path else {}


def _read(path: Path) -> dict[str, Any]:
    """What the accounts file holds.

    Raises:
        ConfigurationError: It cannot be read, or holds a key that is not known: a misspelt one would be ignored.
    """
    import tomllib  # noqa: PLC0415 - only for who keeps accounts in a file

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"cannot read the accounts file {path.name}: {error}") from error
    if unknown := sorted(content.keys() - TABLES.keys() - {DEFAULT}):
        raise ConfigurationError(
            f"{path.name} has an unknown key: {', '.join(unknown)}",
            hint=f"it may hold {DEFAULT} and the tables {', '.join(TABLES)}; an account is [accounts.NAME]",
        )
    for name, known in TABLES.items():
        table = content.get(name, {})
        if not isinstance(table, dict):
            raise ConfigurationError(f"{name} in {path.name} is not a table", hint=f"write [{name}]")
        if known is not None and (unknown := sorted(cast("dict[str, Any]", table).keys() - set(known))):
            raise ConfigurationError(
                f"[{name}] in {path.name} has an unknown key: {', '.join(unknown)}",
                hint=f"its keys are {', '.join(known)}",
            )
    return content


@overload
def open_provider(account: str, settings: Mapping[str, Any]) -> Provider: ...
@overload
def open_provider(account: type[P], settings: Mapping[str, Any]) -> P: ...
def open_provider(account: str | type[Provider], settings: Mapping[str, Any]) -> Provider:
    """Make the provider of an account; settings given here go before those of file or environment.

    Args:
        account: The name of an account or of a provider, or a provider class, which no account is looked up for.
        settings: Settings by name.

    Raises:
        ConfigurationError: The name is unknown, or a setting is missing, unknown or wrong.
    """
    if isinstance(account, str):
        name, known = account, accounts().get(account)
        provider = plugins.provider_class(known.provider if known else name)
    else:
        name, known, provider = account.name, None, account
    options = {a.name: a for a in settings_of(provider)}
    given = {**_from_environment(provider), **(_resolved(known, options) if known else {}), **settings}
    if unknown := sorted(given.keys() - options.keys()):
        raise ConfigurationError(
            f"{name} has no setting {', '.join(unknown)}",
            hint=f"its settings are {', '.join(sorted(options))}",
        )
    missing = [a for a in options.values() if a.default is attrs.NOTHING and not given.get(a.name)]
    if missing:
        names = " and ".join(f"{a.name} (or {environment_name(provider, a)} in the environment)" for a in missing)
        raise ConfigurationError(f"{name} needs {names}", hint="`contacts sandbox` offers vendors to try things with")
    try:
        return provider(**given)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"a setting of {name} is wrong: {error}") from None


def settings_of(provider: type[Provider]) -> list[attrs.Attribute[Any]]:
    """The settings that an account of this provider may have."""
    return [a for a in attrs.fields(provider) if a.init]


def environment_name(provider: type[Provider], setting: attrs.Attribute[Any]) -> str:
    """The environment variable of a setting: ``<NAME>_<SETTING>`` unless the setting names another."""
    usual = f"{provider.name}_{setting.name}".upper().replace("-", "_")
    return str(setting.metadata.get("env") or usual)


def _from_environment(provider: type[Provider]) -> dict[str, str]:
    variables = {a.name: os.environ.get(environment_name(provider, a)) for a in settings_of(provider)}
    return {name: value for name, value in variables.items() if value}


def _resolved(account: Account, options: Mapping[str, attrs.Attribute[Any]]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, value in account.settings.items():
        secret = name in options and options[name].metadata.get("secret", False)
        whose = f"{name} of account {account.name!r}"
        settings[name] = reference(whose, value) if isinstance(value, str) else value
        if secret and settings[name] is value:
            warnings.warn(
                f"account {account.name!r} has its {name} in the file itself; use a reference such as env:NAME",
                PlainSecretWarning,
                stacklevel=4,
            )
    return settings


def reference(whose: str, value: str) -> str:
    """Follow ``env:``, ``file:`` and ``keyring:`` references; anything else is the value itself.

    Args:
        whose: What the value is, for messages.
        value: The reference, or the value.

    Raises:
        ConfigurationError: There is nothing where it refers to.
    """
    scheme, colon, target = value.partition(":")
    found: str | None
    match scheme if colon else "":
        case "env":
            found = os.environ.get(target)
        case "file":
            try:
                found = Path(target).expanduser().read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                found = None
        case "keyring":
            found = _from_keyring(target)
        case _:
            return value
    if not found:
        raise ConfigurationError(f"{whose}: {MISSING[scheme].format(target)}")
    return found


def _from_keyring(target: str) -> str | None:
    try:
        import keyring.errors  # noqa: PLC0415 - comes with the extra "cli"
    except ImportError:
        raise ConfigurationError(
            "keyring: references need the package keyring", hint="install contacts-core[cli]"
        ) from None
    service, _, user = target.rpartition("/")
    try:
        return keyring.get_password(service, user)
    except keyring.errors.KeyringError as error:
        raise ConfigurationError(
            f"the keyring cannot be read ({type(error).__name__})",
            hint="set a keyring backend up, or use env: or file:",
        ) from None
