"""Every provider keeps the contract, and every exchange fits the vendor's document."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from contacts_bird import Bird
from contacts_bird.emulator import BirdEmulator
from contacts_core.testing import MemoryProvider, ProviderContract
from contacts_local import Local
from contacts_sendgrid import SendGrid
from contacts_sendgrid.emulator import SendGridEmulator
from contacts_user_api import UserApi
from contacts_user_api.emulator import UserApiEmulator
from tests.providers.conftest import SEEN

CASSETTES = Path(__file__).parents[2] / "cassettes"


class TestSendGrid(ProviderContract):
    provider = SendGrid
    emulator = SendGridEmulator
    cassettes = CASSETTES / "sendgrid"
    observer = SEEN.append


class TestBird(ProviderContract):
    provider = Bird
    emulator = BirdEmulator
    cassettes = CASSETTES / "bird"
    observer = SEEN.append


class TestUserApi(ProviderContract):
    provider = UserApi
    emulator = UserApiEmulator
    cassettes = CASSETTES / "user-api"
    observer = SEEN.append


class TestLocal(ProviderContract):
    provider = Local

    @pytest.fixture(autouse=True)
    def file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "settings", {"path": tmp_path / "people.db"})


class TestMemory(ProviderContract):
    provider = MemoryProvider


# Cases whose result depends on which custom fields hold which fields of a contact; the others are the same either way.
OF_FIELDS = {
    "test_what_is_shown_beforehand_is_there_afterwards",
    "test_every_field_is_written_or_named_as_dropped",
    "test_each_field_alone_is_written_or_named_as_dropped",
    "test_writing_again_changes_only_what_is_given",
    "test_custom_fields_are_what_contacts_carry",
    "test_changing_fields_changes_nothing_else",
    "test_each_field_is_set_and_cleared_and_no_other",
    "test_a_new_field_is_listed_and_takes_values",
    "test_faults_strike_a_change_of_fields",
}


class FieldCases(ProviderContract):
    """The cases of fields alone."""


for _name in dir(ProviderContract):
    if _name.startswith("test_") and _name not in OF_FIELDS:
        setattr(FieldCases, _name, None)


class TestBirdWithoutMap(FieldCases):
    provider = Bird
    emulator = BirdEmulator
    settings: ClassVar = {"fields": {}}


class TestSendGridWithMap(FieldCases):
    provider = SendGrid
    emulator = SendGridEmulator
    settings: ClassVar = {"fields": {"organization": "plan"}}


class TestUserApiWithMap(FieldCases):
    provider = UserApi
    emulator = UserApiEmulator
    settings: ClassVar = {"fields": {"organization": "plan"}}
