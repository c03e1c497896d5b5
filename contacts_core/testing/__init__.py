"""The contract kit: proof that a provider behaves, for the built-in ones and for plugins.

    class TestAcme(ProviderContract):
        provider = Acme
        emulator = AcmeEmulator
        cassettes = Path(__file__).parent / "cassettes"

Subclass `ProviderContract` in a test module, and pytest runs every case that the provider's capabilities call for:
with the blocking and the asynchronous client, against the emulator and against the cassettes.
"""

from __future__ import annotations

from contacts_core.text import needs_extra

try:
    from contacts_core.testing.contract import ProviderContract
    from contacts_core.testing.harness import Harness
    from contacts_core.testing.memory import MemoryProvider
except ModuleNotFoundError as missing:
    raise needs_extra("contacts_core.testing", missing, "testing") from None

__all__ = ["Harness", "MemoryProvider", "ProviderContract"]
