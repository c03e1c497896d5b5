"""The example plugin is imported from where it stands: it is no part of the environment."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "packaging" / "example_plugin"))
