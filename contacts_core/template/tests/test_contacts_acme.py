from __future__ import annotations

from contacts_core.testing import ProviderContract

from contacts_acme import AcmeProvider
from contacts_acme.emulator import AcmeEmulator


class TestAcmeProvider(ProviderContract):
    provider = AcmeProvider
    emulator = AcmeEmulator
