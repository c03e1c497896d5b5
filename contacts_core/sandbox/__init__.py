"""What every vendor emulator shares: the clock, the faults, synthetic people and the loopback server.

Nothing here knows a vendor. An emulator subclasses `Emulator` and lives in its provider's `sandbox` module.
"""

from contacts_core.sandbox.clock import Clock
from contacts_core.sandbox.emulator import Emulator, Handler, Incoming, Operation, Refused, Truth, json_response, truth
from contacts_core.sandbox.faults import FAULTS, Faults
from contacts_core.sandbox.people import Person, people
from contacts_core.sandbox.server import Exchange, Running, Sandbox, running, serve

__all__ = [
    "FAULTS",
    "Clock",
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
    "json_response",
    "people",
    "running",
    "serve",
    "truth",
]
