"""Make cassettes: ``python -m contacts_core.testing.record [--live] [pytest arguments]``.

Runs the cases that have cassettes, through the blocking door, and writes what passes over the wire: from the emulators,
or with ``--live`` from real accounts whose keys are in the environment. A live recording creates a few contacts with
example.com addresses, and deletes them again where the case does.
"""

from __future__ import annotations

import os
import sys

import pytest

from contacts_core.testing.trial import RECORD


def main(arguments: list[str]) -> int:
    """Record, and give pytest's exit code."""
    live = "--live" in arguments
    os.environ[RECORD] = "live" if live else "emulator"
    others = [argument for argument in arguments if argument != "--live"] or ["tests/providers"]
    return int(pytest.main(["-q", "-p", "no:cacheprovider", "-k", "cassette-sync", *others]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
