"""Opening an account by a provider's class."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contacts_core import AsyncContacts, Contacts, connect, connect_async
from contacts_core.errors import ConfigurationError
from contacts_core.provider import Provider
from contacts_sendgrid import SendGrid

CONNECT: list[Any] = [connect, connect_async]


@pytest.mark.parametrize("opener", CONNECT)
def test_a_class_is_opened_with_the_settings_that_are_given(opener: Any) -> None:
    client = opener(SendGrid, api_key="key", base_url="http://127.0.0.1:1", http={"attempts": 2})
    assert isinstance(client, Contacts | AsyncContacts)
    assert type(client.provider) is SendGrid
    assert (client.name, client.provider.api_key, client.provider.http.attempts) == ("sendgrid", "key", 2)


@pytest.mark.parametrize("opener", CONNECT)
def test_settings_that_are_missing_come_from_the_environment(opener: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="SENDGRID_API_KEY"):
        opener(SendGrid)
    monkeypatch.setenv("SENDGRID_API_KEY", "from the environment")
    assert opener(SendGrid).provider.api_key == "from the environment"


@pytest.mark.parametrize("opener", CONNECT)
def test_an_unknown_setting_of_a_class_is_refused(opener: Any) -> None:
    with pytest.raises(ConfigurationError, match="colour"):
        opener(SendGrid, api_key="key", colour="red")


def test_no_account_is_looked_up_for_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "contacts.toml"
    file.write_text('[accounts.sendgrid]\nprovider = "sendgrid"\napi_key = "env:SOME_KEY"\n', encoding="utf-8")
    monkeypatch.setenv("CONTACTS_FILE", str(file))
    monkeypatch.setenv("SOME_KEY", "of the account")
    assert connect("sendgrid").provider.api_key == "of the account"
    assert connect(SendGrid, api_key="given").provider.api_key == "given"


def test_a_provider_that_is_registered_nowhere_can_be_opened() -> None:
    class Unregistered(Provider):
        name = "unregistered"

    with connect(Unregistered, base_url="http://127.0.0.1:1") as client:
        assert client.name == "unregistered"
    asyncio.run(connect_async(Unregistered, base_url="http://127.0.0.1:1").close())
