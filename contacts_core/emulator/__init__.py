"""What all emulators of vendors share: the clock, faults, synthetic contacts and the server on loopback.

Nothing here knows a vendor. An emulator subclasses `Emulator`; a provider has it in its `emulator` package.
"""

from contacts_core.text import needs_extra

try:
    from contacts_core.emulator.base import Emulator, Handler, Incoming, Operation, Refused, Truth, json_response, truth
    from contacts_core.emulator.clock import Clock
    from contacts_core.emulator.contact_store import ContactStore
    from contacts_core.emulator.faults import FAULTS, Faults
    from contacts_core.emulator.json_values import json_array, json_object
    from contacts_core.emulator.registry import emulators
    from contacts_core.emulator.server import Exchange, Running, Sandbox, running, serve
    from contacts_core.emulator.synthetic_contacts import Person, people
except ModuleNotFoundError as missing:
    raise needs_extra("contacts_core.emulator", missing, "sandbox") from None

__all__ = [
    "FAULTS",
    "Clock",
    "ContactStore",
    "Emulator",
    "Exchange",
    "Faults",
    "Handler",
    "Incoming",
    "Operation",
    "Person",
    "Refused",
    "Running",
    "Sandbox",
    "Truth",
    "emulators",
    "json_array",
    "json_object",
    "json_response",
    "people",
    "running",
    "serve",
    "truth",
]
