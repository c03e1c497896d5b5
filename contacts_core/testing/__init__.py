"""The contract kit: proof that a provider behaves, for the built-in ones and for plugins.

    class TestAcme(ProviderContract):
        provider = Acme
        emulator = AcmeEmulator
        cassettes = Path(__file__).parent / "cassettes"

Subclass `ProviderContract` in a test module, and pytest runs every case that the provider's capabilities call for:
with the blocking and the asynchronous client, against the emulator and against the cassettes.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contacts_core.testing.contract import ProviderContract
    from contacts_core.testing.harness import Harness
    from contacts_core.testing.memory import MemoryProvider, Store
    from contacts_core.testing.wire_faults import WIRE_FAULTS, FaultyTransport, attempt, misjudged

__all__ = [
    "WIRE_FAULTS",
    "FaultyTransport",
    "Harness",
    "MemoryProvider",
    "ProviderContract",
    "Store",
    "attempt",
    "misjudged",
]

_HOMES = {
    "Harness": "harness",
    "MemoryProvider": "memory",
    "ProviderContract": "contract",
    "Store": "memory",
    **dict.fromkeys(("WIRE_FAULTS", "FaultyTransport", "attempt", "misjudged"), "wire_faults"),
}
_WITH_ASSERTIONS = (
    "adversary",
    "adversary_contract",
    "adversary_plan_contract",
    "cases",
    "cassettes",
    "contract",
    "harness",
)

if pytest := sys.modules.get("pytest"):  # the kit's failures show values, as those of a test module do
    pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _WITH_ASSERTIONS))


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    try:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as missing:
        from contacts_core.text import needs_extra  # late: pytest loads this package for its plugin

        raise needs_extra(__name__, missing, "testing") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
