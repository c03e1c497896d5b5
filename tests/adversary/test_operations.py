"""The three vendors against an adversary that changes their answers and knows the truth."""

from __future__ import annotations

from typing import ClassVar

import pytest

from contacts_bird import Bird
from contacts_bird.emulator import BirdEmulator
from contacts_core.testing.adversary_contract import AdversaryContract
from contacts_sendgrid import SendGrid
from contacts_sendgrid.emulator import SendGridEmulator
from contacts_user_api import UserApi
from contacts_user_api.emulator import UserApiEmulator

pytestmark = pytest.mark.timeout(600)
# A few cases show which lines are reached; measuring all of them would double their time.
unmeasured = pytest.mark.no_cover


@unmeasured
class TestSendGrid(AdversaryContract):
    provider = SendGrid
    emulator = SendGridEmulator
    examples: ClassVar[int] = 330


@unmeasured
class TestBird(AdversaryContract):
    provider = Bird
    emulator = BirdEmulator
    examples: ClassVar[int] = 330


@unmeasured
class TestUserApi(AdversaryContract):
    provider = UserApi
    emulator = UserApiEmulator
    examples: ClassVar[int] = 330


class TestMeasured(AdversaryContract):
    provider = UserApi
    emulator = UserApiEmulator
    examples: ClassVar[int] = 20
