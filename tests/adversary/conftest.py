"""Plans that do not wait longer than they have to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.plans.environment import lively


@pytest.fixture(autouse=True, scope="module")
def _lively() -> Iterator[None]:
    with lively():
        yield
