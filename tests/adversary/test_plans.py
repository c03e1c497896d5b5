"""Whole plans at the three vendors against the adversary: made, applied, interrupted, resumed and verified."""

from __future__ import annotations

from typing import ClassVar

import pytest

from contacts_bird import Bird
from contacts_bird.emulator import BirdEmulator
from contacts_core.testing.adversary_plan_contract import PlanAdversaryContract
from contacts_sendgrid import SendGrid
from contacts_sendgrid.emulator import SendGridEmulator
from contacts_user_api import UserApi
from contacts_user_api.emulator import UserApiEmulator

pytestmark = pytest.mark.timeout(600)
# A few cases show which lines are reached; measuring all of them would double their time.
unmeasured = pytest.mark.no_cover


@unmeasured
class TestSendGrid(PlanAdversaryContract):
    provider = SendGrid
    emulator = SendGridEmulator
    examples: ClassVar[int] = 12


@unmeasured
class TestBird(PlanAdversaryContract):
    provider = Bird
    emulator = BirdEmulator
    examples: ClassVar[int] = 12


@unmeasured
class TestUserApi(PlanAdversaryContract):
    provider = UserApi
    emulator = UserApiEmulator
    examples: ClassVar[int] = 12


class TestMeasured(PlanAdversaryContract):
    provider = UserApi
    emulator = UserApiEmulator
    examples: ClassVar[int] = 2
