"""Every provider keeps the contract, and every exchange fits the vendor's document."""

from __future__ import annotations

from pathlib import Path

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
