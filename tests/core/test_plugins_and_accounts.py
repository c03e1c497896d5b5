"""Where providers and their settings come from."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen

from contacts_core import Contacts, connect, connect_async, errors
from contacts_core.config import plugins
from contacts_core.config.accounts import (
    PlainSecretWarning,
    accounts,
    accounts_file,
    default_account,
    open_provider,
    reference,
)
from contacts_core.emulator.registry import emulators
from contacts_core.provider import DeletesContacts, Provider, base_url_setting, hookimpl, secret, setting


@frozen(kw_only=True)
class Acme(Provider):
    name = "acme-crm"
    api_key: str = secret()
    region: str = setting("eu", env="ACME_PLACE")
    base_url: str = base_url_setting("https://api.acme.example")
    shards: int = field(default=1, converter=int)


class Plugin:
    """A plugin module, as an object."""

    def __init__(self, result: Any) -> None:
        self.result = result

    @hookimpl
    def contacts_providers(self) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    def forget() -> None:
        plugins.registry.cache_clear()
        plugins.manager.cache_clear()

    forget()
    yield
    forget()


def register(result: Any, name: str = "acme") -> None:
    plugins.manager().register(Plugin(result), name=name)


class TestPlugins:
    def test_the_built_in_ones_are_found_as_any_other(self) -> None:
        register([Acme])
        found = plugins.registry()
        assert {"acme-crm", "bird", "carddav", "local", "sendgrid", "user-api"} == found.providers.keys()
        assert (found.origins["acme-crm"], found.broken) == ("acme", {})
        assert plugins.provider_class("acme-crm") is Acme

    @pytest.mark.parametrize(
        ("result", "why"),
        [
            (RuntimeError("out of order"), "RuntimeError: out of order"),
            (["no class"], "is not a Provider class"),
            ([dict], "is not a Provider class"),
            ([type("Nameless", (Provider,), {})], "has no name"),
            ([type("Half", (DeletesContacts,), {"name": "half"})], "lacks delete_contacts"),
            (5, "TypeError"),
        ],
    )
    def test_a_broken_plugin_is_named_and_harms_nobody(self, result: Any, why: str) -> None:
        register(result)
        found = plugins.registry()
        assert why in found.broken["acme"]
        assert "sendgrid" in found.providers
        with pytest.raises(errors.ConfigurationError, match="plugin acme is broken"):
            plugins.provider_class("acme-crm")

    def test_a_plugin_that_cannot_be_imported_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        points = [importlib.metadata.EntryPoint("ghost", "no_such_module_anywhere", "contacts_core")]
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
        assert "ModuleNotFoundError" in plugins.registry().broken["ghost"]

    def test_two_of_one_name_are_an_error_naming_both(self) -> None:
        register([Acme])
        register([Acme], name="copycat")
        with pytest.raises(errors.ConfigurationError, match=r"acme.*copycat|copycat.*acme"):
            plugins.registry()

    def test_a_misspelt_hook_is_an_error(self) -> None:
        class Misspelt:
            @hookimpl
            def contacts_provider(self) -> None:
                """One letter short."""

        plugins.manager().register(Misspelt())
        with pytest.raises(errors.ConfigurationError, match="unknown hook"):
            plugins.registry()

    def test_emulators_come_from_the_same_place(self) -> None:
        assert list(emulators()) == ["bird", "sendgrid", "user-api"]

        class Broken:
            @hookimpl
            def contacts_emulators(self) -> Any:
                raise ImportError("starlette")

        plugins.manager().register(Broken(), name="broken")
        with pytest.raises(errors.ConfigurationError, match="broken"):
            emulators()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "accounts.toml"
    monkeypatch.setenv("CONTACTS_FILE", str(path))
    register([Acme])
    return path


def write(file: Path, body: str) -> None:
    file.write_text(f'[accounts.mine]\nprovider = "acme-crm"\n{body}\n', encoding="utf-8")


def opened(name: str, **settings: Any) -> Acme:
    made = open_provider(name, settings)
    assert isinstance(made, Acme)
    return made


class TestAccounts:
    def test_settings_come_from_the_environment(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file.write_text("")
        monkeypatch.setenv("ACME_CRM_API_KEY", "from-env")
        monkeypatch.setenv("ACME_PLACE", "mars")
        monkeypatch.setenv("ACME_CRM_BASE_URL", "http://127.0.0.1:1/")
        made = opened("acme-crm")
        assert (made.api_key, made.region, made.base_url) == ("from-env", "mars", "http://127.0.0.1:1")
        assert opened("acme-crm", api_key="given").api_key == "given"

    def test_an_account_goes_before_the_environment_and_a_call_before_both(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ACME_CRM_API_KEY", "from-env")
        monkeypatch.setenv("ACME_PLACE", "mars")
        monkeypatch.setenv("MINE", "from-file")
        write(file, 'api_key = "env:MINE"')
        assert (opened("mine").api_key, opened("mine").region) == ("from-file", "mars")
        assert opened("mine", api_key="given").api_key == "given"

    def test_secrets_by_reference(self, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "key").write_text("in-a-file\n")
        write(file, f'api_key = "file:{tmp_path / "key"}"')
        assert opened("mine").api_key == "in-a-file"
        import keyring

        asked: list[tuple[str, str]] = []

        def get_password(service: str, user: str) -> str:
            asked.append((service, user))
            return "in-the-ring"

        monkeypatch.setattr(keyring, "get_password", get_password)
        write(file, 'api_key = "keyring:acme/of/service/jane"')
        assert (opened("mine").api_key, asked) == ("in-the-ring", [("acme/of/service", "jane")])

    def test_a_keyring_that_cannot_be_read_says_so(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import keyring.errors

        def get_password(service: str, user: str) -> str:
            raise keyring.errors.NoKeyringError("a long text")

        monkeypatch.setattr(keyring, "get_password", get_password)
        write(file, 'api_key = "keyring:a/b"')
        with pytest.raises(errors.ConfigurationError, match="NoKeyringError"):
            open_provider("mine", {})
        monkeypatch.setitem(sys.modules, "keyring.errors", None)
        monkeypatch.setitem(sys.modules, "keyring", None)
        with pytest.raises(errors.ConfigurationError, match="need the package keyring"):
            open_provider("mine", {})

    @pytest.mark.parametrize(
        ("reference", "told"),
        [
            ("env:NOT_THERE", "environment variable NOT_THERE is not set"),
            ("file:/not/there", "file /not/there cannot be read"),
        ],
    )
    def test_a_reference_to_nothing_is_an_error(self, file: Path, reference: str, told: str) -> None:
        write(file, f'api_key = "{reference}"')
        with pytest.raises(errors.ConfigurationError, match=f"^api_key of account 'mine': {told}"):
            open_provider("mine", {})

    def test_a_plain_key_works_with_a_warning_that_does_not_show_it(self, file: Path) -> None:
        write(file, 'api_key = "plain-key"')
        with pytest.warns(PlainSecretWarning, match="api_key") as caught:
            assert opened("mine").api_key == "plain-key"
        assert "plain-key" not in str(caught[0].message)

    def test_what_is_missing_is_named_with_its_variable(self, file: Path) -> None:
        file.write_text("")
        with pytest.raises(errors.ConfigurationError, match=r"api_key \(or ACME_CRM_API_KEY in the environment\)"):
            open_provider("acme-crm", {})

    def test_what_is_unknown_or_wrong_is_named_without_its_value(self, file: Path) -> None:
        write(file, 'api_key = "env:HOME"\napi_kye = "typo-value"')
        with pytest.raises(errors.ConfigurationError, match="api_kye") as raised:
            open_provider("mine", {})
        assert "typo-value" not in f"{raised.value} {raised.value.hint}"
        assert "api_key" in raised.value.hint
        with pytest.raises(errors.ConfigurationError, match="base_url"):
            open_provider("acme-crm", {"api_key": "x", "base_url": "nonsense"})
        with pytest.raises(errors.ConfigurationError, match="setting of acme-crm is wrong"):
            open_provider("acme-crm", {"api_key": "x", "shards": "many"})

    @pytest.mark.parametrize("text", ["not toml", "[accounts.mine]\nx = 1", "[accounts]\nmine = 5", "\xff"])
    def test_a_file_that_is_none_is_an_error(self, file: Path, text: str) -> None:
        file.write_bytes(text.encode("latin-1"))
        with pytest.raises(errors.ConfigurationError, match=r"accounts\.toml"):
            accounts()

    def test_a_file_that_is_named_must_be_there(self, file: Path) -> None:
        with pytest.raises(errors.ConfigurationError, match="cannot read"):
            accounts()

    def test_where_the_file_is_looked_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert (accounts_file(), accounts()) == (None, {})
        home = tmp_path / "home"
        monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
        (home / "contacts").mkdir(parents=True)
        (home / "contacts" / "contacts.toml").write_text('[accounts.a]\nprovider = "bird"')
        assert list(accounts()) == ["a"]
        Path("contacts.toml").write_text('[accounts.b]\nprovider = "bird"')
        assert list(accounts()) == ["b"]
        monkeypatch.setitem(sys.modules, "platformdirs", None)
        assert accounts_file() == Path("contacts.toml")

    def test_clients_are_opened_by_name_and_say_so(self, file: Path) -> None:
        write(file, 'api_key = "env:HOME"')
        with connect("mine") as client:
            assert isinstance(client, Contacts)
            assert repr(client) == "Contacts('mine', provider='acme-crm')"
            assert isinstance(client.provider, Acme)
        assert repr(connect_async("mine")) == "AsyncContacts('mine', provider='acme-crm')"
        with pytest.raises(errors.ConfigurationError, match="no account named 'yours'"):
            connect("yours")

    def test_no_setting_shows_in_an_account(self, file: Path) -> None:
        write(file, 'api_key = "plain-key"')
        assert "plain-key" not in repr(accounts()["mine"])


def test_the_matrix_asks_the_classes() -> None:
    from contacts_core.config import matrix

    text = matrix.markdown()
    header, _, *rows = text.strip().splitlines()
    assert [cell.strip() for cell in header.strip("| ").split("|")][-5:] == [
        "bird",
        "carddav",
        "local",
        "sendgrid",
        "user-api",
    ]
    assert any("emulated" in row for row in rows)
    assert any("by scan" in row for row in rows)
    assert len({row.count("|") for row in rows}) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[acounts.x]\nprovider = 'p'", "unknown key: acounts"),
        ("default = 'x'", "unknown key: default"),
        ("[receipts]\nkeys = 'x'", "[receipts] in contacts.toml has an unknown key: keys"),
        ("accounts = 'x'", "accounts in contacts.toml is not a table"),
        ("[accounts]\nx = 1", "account 'x' in contacts.toml names no provider"),
        ("default_account = 1", "default_account in contacts.toml is not the name of an account"),
    ],
)
def test_an_unknown_key_of_the_accounts_file_is_an_error(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "contacts.toml"
    path.write_text(text, "utf-8")
    monkeypatch.setenv("CONTACTS_FILE", str(path))
    monkeypatch.delenv("CONTACTS_ACCOUNT", raising=False)
    with pytest.raises(errors.ConfigurationError, match=re.escape(told)):
        (accounts(), default_account())


@pytest.mark.parametrize(
    ("reference_", "told"),
    [
        ("env:NOT_SET_ANYWHERE", "api_key of account 'x': environment variable NOT_SET_ANYWHERE is not set"),
        ("file:/not/there", "file /not/there cannot be read, or is empty"),
    ],
)
def test_a_reference_without_a_value_says_what_is_missing(reference_: str, told: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=re.escape(told)):
        reference("api_key of account 'x'", reference_)
