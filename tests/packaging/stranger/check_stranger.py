"""The stranger's whole test: a short subclass of the kit."""

from __future__ import annotations

from contacts_core.testing import ProviderContract
from contacts_stranger import Stranger
from stranger_sandbox import StrangerEmulator


class TestStranger(ProviderContract):
    provider = Stranger
    emulator = StrangerEmulator
