"""Make cassettes: ``python -m contacts_core.testing.record [--live] [pytest arguments]``.

Runs the cases that have cassettes, with the blocking client, and writes what passes over the wire: from the emulators,
or with ``--live`` from real accounts whose keys are in the environment. A live recording creates a few contacts with
example.com addresses, and deletes them again where the case does.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import pytest

from contacts_core.config.accounts import open_provider
from contacts_core.config.plugins import registry
from contacts_core.errors import ConfigurationError
from contacts_core.testing.harness import RECORDING


def main(arguments: list[str]) -> int:
    """Record, and give pytest's exit code."""
    live = "--live" in arguments
    RECORDING.source = "live" if live else "emulator"
    for name in registry().providers if live else ():
        with suppress(ConfigurationError):  # no key for this one: its cases are skipped
            RECORDING.accounts[name] = open_provider(name, {})
    others = [argument for argument in arguments if argument != "--live"] or ["tests/providers"]
    return int(pytest.main(["-q", "-p", "no:cacheprovider", "-k", "cassette-sync", *others]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
