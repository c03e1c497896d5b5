"""The decorator that marks a plugin's function as the implementation of a hook."""

from __future__ import annotations

import pluggy

__all__ = ["GROUP", "hookimpl"]

GROUP = "contacts_core"  # of the entry points that name plugins

hookimpl = pluggy.HookimplMarker(GROUP)
"""Mark a function of a plugin as the implementation of the hook with the same name; see pluggy's documentation."""
