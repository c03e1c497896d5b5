"""The example plugin's whole test: a short subclass of the kit."""

from __future__ import annotations

from contacts_core.testing import ProviderContract
from contacts_example import Example
from example_emulator import ExampleEmulator


class TestExample(ProviderContract):
    provider = Example
    emulator = ExampleEmulator
