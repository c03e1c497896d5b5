"""Settings and secrets: where they come from, which goes first, and that no message shows one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from contacts_core import Contacts, connect, errors
from contacts_core.config import plugins
from contacts_core.config.accounts import PlainSecretWarning, accounts, environment_name, open_provider
from contacts_core.provider import Provider, base_url_setting, hookimpl, secret, setting

VALUE = "s3cret-value-0123456789"


@frozen(kw_only=True)
class Strict(Provider):
    """A vendor with a setting of each sort."""

    name = "strict-crm"

    api_key: str = secret()
    second_key: str = secret(env="ODDLY_NAMED")
    region: str = setting()
    retries: int = setting(3, converter=int)
    base_url: str = base_url_setting("https://api.acme.example")


class Plugin:
    """Brings it."""

    @hookimpl
    def contacts_providers(self) -> list[type[Provider]]:
        return [Strict]


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for cached in (plugins.registry, plugins.manager):
        cached.cache_clear()
    plugins.manager().register(Plugin(), name="strict")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.toml"
    path.write_text("")
    monkeypatch.setenv("CONTACTS_FILE", str(path))
    yield path
    for cached in (plugins.registry, plugins.manager):
        cached.cache_clear()


GOOD: dict[str, Any] = {"api_key": VALUE, "second_key": VALUE, "region": "eu"}


def shown(error: errors.ContactsError) -> str:
    behind = "" if error.__suppress_context__ else error.__context__
    return f"{error} {error!r} {error.hint} {error.__cause__} {behind}"


def test_the_variable_of_a_setting_is_its_name_unless_it_names_another() -> None:
    fields = {a.name: environment_name(Strict, a) for a in Strict.__attrs_attrs__}
    assert fields == {
        "base_url": "STRICT_CRM_BASE_URL",
        "http": "STRICT_CRM_HTTP",
        "api_key": "STRICT_CRM_API_KEY",
        "second_key": "ODDLY_NAMED",
        "region": "STRICT_CRM_REGION",
        "retries": "STRICT_CRM_RETRIES",
    }


@pytest.mark.parametrize(
    ("missing", "variable"),
    [("api_key", "STRICT_CRM_API_KEY"), ("second_key", "ODDLY_NAMED"), ("region", "STRICT_CRM_REGION")],
)
@pytest.mark.parametrize("empty", [False, True])
def test_a_missing_setting_is_named_with_its_variable_and_no_value(missing: str, variable: str, empty: bool) -> None:
    given: dict[str, Any] = {name: value for name, value in GOOD.items() if name != missing}
    if empty:
        given[missing] = ""
    with pytest.raises(errors.ConfigurationError) as caught:
        open_provider("strict-crm", given)
    assert missing in str(caught.value)
    assert variable in str(caught.value)
    assert VALUE not in shown(caught.value)


def test_every_missing_setting_is_named_at_once() -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        open_provider("strict-crm", {})
    assert all(name in str(caught.value) for name in GOOD)


def test_a_setting_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(errors.ConfigurationError, match="no setting api_kee, zone") as caught:
        open_provider("strict-crm", {**GOOD, "zone": VALUE, "api_kee": VALUE})
    assert "api_key, base_url" in caught.value.hint
    assert VALUE not in shown(caught.value)


def test_an_address_that_is_none_is_refused_with_the_settings_name() -> None:
    with pytest.raises(errors.ConfigurationError, match="base_url"):
        open_provider("strict-crm", {**GOOD, "base_url": VALUE})


def test_a_call_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRICT_CRM_REGION", "from-env")
    monkeypatch.setenv("STRICT_CRM_RETRIES", "7")
    made = open_provider("strict-crm", {"api_key": VALUE, "second_key": VALUE})
    assert isinstance(made, Strict)
    assert (made.region, made.retries) == ("from-env", 7)
    made = open_provider("strict-crm", GOOD)
    assert isinstance(made, Strict)
    assert made.region == "eu"


def test_an_empty_variable_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRICT_CRM_RETRIES", "")
    made = open_provider("strict-crm", GOOD)
    assert isinstance(made, Strict)
    assert made.retries == 3


def write(file: Path, **settings: str) -> None:
    lines = "\n".join(f'{name} = "{value}"' for name, value in settings.items())
    file.write_text(f'[accounts.mine]\nprovider = "strict-crm"\n{lines}\n', encoding="utf-8")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\x00"])
def test_a_secret_file_that_is_empty_or_no_text_is_named_without_what_it_holds(
    file: Path, tmp_path: Path, content: bytes
) -> None:
    key = tmp_path / "key"
    key.write_bytes(content)
    write(file, api_key=f"file:{key}", second_key="env:HOME", region="eu")
    with pytest.raises(errors.ConfigurationError, match="api_key of account 'mine'"):
        open_provider("mine", {})


def test_a_secret_file_may_be_below_the_home_folder(file: Path) -> None:
    (Path.home() / "key").write_text(f"{VALUE}\n", encoding="utf-8")
    write(file, api_key="file:~/key", second_key="file:~/key", region="eu")
    made = open_provider("mine", {})
    assert isinstance(made, Strict)
    assert made.api_key == VALUE
    assert VALUE not in repr(made)


def test_only_secrets_warn_when_they_stand_in_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", VALUE)
    write(file, api_key="env:KEY", second_key="env:KEY", region="eu", base_url="https://eu.acme.example")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_provider("mine", {})
    write(file, api_key=VALUE, second_key="env:KEY", region="eu")
    with pytest.warns(PlainSecretWarning) as caught:
        open_provider("mine", {})
    assert [VALUE in str(each.message) for each in caught] == [False]


def test_a_broken_file_is_named_without_what_it_holds(file: Path) -> None:
    file.write_text(f'[accounts.mine]\napi_key = "{VALUE}\n', encoding="utf-8")
    with pytest.raises(errors.ConfigurationError, match=r"mine\.toml") as caught:
        accounts()
    assert VALUE not in str(caught.value)


def test_an_account_may_have_the_name_of_a_provider_and_goes_first(file: Path) -> None:
    file.write_text('[accounts.strict-crm]\nprovider = "strict-crm"\nregion = "of-the-account"\n', encoding="utf-8")
    made = open_provider("strict-crm", {"api_key": VALUE, "second_key": VALUE})
    assert isinstance(made, Strict)
    assert made.region == "of-the-account"


def test_an_unknown_name_lists_the_providers() -> None:
    with pytest.raises(errors.ConfigurationError, match="'nobody'") as caught:
        connect("nobody")
    assert "strict-crm" in caught.value.hint


def test_a_client_shows_no_setting(file: Path) -> None:
    with connect("strict-crm", **GOOD) as client:
        assert isinstance(client, Contacts)
        assert VALUE not in f"{client!r} {client.provider!r}"
