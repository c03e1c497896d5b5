"""Commands about the library itself: what can be connected to, and what is set up."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from contacts_core.cli.options import Json

if TYPE_CHECKING:
    from contacts_core.config.accounts import Account
    from contacts_core.provider import Provider

REFERENCES = ("env", "file", "keyring")
PLAIN = "a plain key in the file itself; use env:NAME, file:PATH or keyring:SERVICE/USER"


def providers(as_json: Json = False) -> None:
    """Show the providers and what each of them can do.

    "emulated" is done by reading, changing and writing back, "by scan" by reading every contact, "one by one" with a
    request for each contact.

        contacts providers
    """
    from contacts_core.cli import output
    from contacts_core.config import matrix, plugins

    known, rows = plugins.registry(), matrix.rows()
    for plugin, reason in known.broken.items():
        output.warn(f"plugin {plugin} is broken: {reason}")
    if as_json:
        listed = [
            {
                "name": name,
                "title": provider.title,
                "plugin": known.origins[name],
                "capabilities": {row.capability: row.cells[name] for row in rows},
            }
            for name, provider in known.providers.items()
        ]
        output.document({"providers": listed, "broken": dict(known.broken)})
        return
    made = output.table("operation", *known.providers)
    output.show(output.rows(made, ([row.title, *row.cells.values()] for row in rows)))


def accounts(as_json: Json = False) -> None:
    """Show the accounts and where their keys come from.

    Accounts stand in contacts.toml, here or in your configuration folder, or in the file that CONTACTS_FILE names:

        [accounts.marketing]
        provider = "NAME"
        api_key = "env:MARKETING_KEY"
    """
    from contacts_core.cli import output
    from contacts_core.config import plugins
    from contacts_core.config.accounts import accounts as in_file
    from contacts_core.config.accounts import accounts_file

    known = plugins.registry().providers
    found = [
        {
            "name": account.name,
            "provider": account.provider,
            "source": "file",
            "settings": _settings(account, known.get(account.provider)),
        }
        for account in in_file().values()
    ]
    found += [
        {"name": name, "provider": name, "source": "environment", "settings": settings}
        for name, provider in known.items()
        if (settings := _environment(provider))
    ]
    if as_json:
        output.document({"file": str(accounts_file() or ""), "accounts": found})
        return
    made = output.table("account", "provider", "set in", "settings")
    for each in found:
        listed = [f"{name} = {said}" for name, said in _items(each["settings"])]
        output.rows(made, [[each["name"], each["provider"], each["source"], listed]])
    if found:
        output.show(made)
    else:
        output.note("no account is set up; contacts accounts --help shows how")


def _settings(account: Account, provider: type[Provider] | None) -> dict[str, str]:
    """Settings as they stand in the file; a key that stands there itself is not shown."""
    import attrs

    fields: dict[str, Any] = {each.name: each for each in attrs.fields(provider)} if provider else {}
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

    from contacts_core.config.accounts import environment_name

    names = {each: environment_name(provider, each) for each in attrs.fields(provider)}
    if any(each.default is attrs.NOTHING and not os.environ.get(name) for each, name in names.items()):
        return {}
    return {each.name: f"env:{name}" for each, name in names.items() if os.environ.get(name)}


def _items(settings: Any) -> list[tuple[str, str]]:
    return list(settings.items())
