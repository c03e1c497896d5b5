"""The emulators of the installed plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from contacts_core.config.plugins import manager, registry, results
from contacts_core.emulator.faults import FAULTS
from contacts_core.errors import ConfigurationError

if TYPE_CHECKING:
    from contacts_core.emulator.base import Emulator

__all__ = ["emulators", "known_faults"]


def emulators() -> dict[str, type[Emulator]]:
    """Return the emulators of all installed plugins, by provider name.

    Raises:
        ConfigurationError: A plugin's emulator cannot be loaded.
    """
    registry()
    broken: dict[str, str] = {}
    answers = results(manager().hook.contacts_emulators, broken)
    found = {emulator.name: emulator for _, result in answers for emulator in cast("list[type[Emulator]]", result)}
    if broken:
        raise ConfigurationError(f"plugins without a working emulator: {broken}")
    return dict(sorted(found.items()))


def known_faults() -> dict[str, str]:
    """Return all faults with what happens: those that every vendor can have, then those of one vendor alone."""
    own = ((kind.title, name, what) for kind in emulators().values() for name, what in kind.own_faults.items())
    return FAULTS | {name: f"{title} only: {what}" for title, name, what in own}
