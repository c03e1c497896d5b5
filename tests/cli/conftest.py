"""The command as a test runs it, and a made-up vendor to run it on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest
import typer.main
import typer.testing
from typer.testing import CliRunner

from contacts_core.cli import prompts
from contacts_core.cli.app import app
from contacts_core.config import plugins
from tests.cli import fake_provider
from tests.cli.fake_provider import Plugin, Ran, Run, Vendor


@pytest.fixture(scope="session", autouse=True)
def _commands_made_once() -> Iterator[None]:
    """Make the commands once and not for each call, as a process of the command does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", cache(typer.main.get_command))
        yield


@pytest.fixture
def register() -> Iterator[Callable[[object], None]]:
    """Register plugins for one test."""
    added: list[object] = []

    def add(plugin: object) -> None:
        added.append(plugin)
        plugins.manager().register(plugin)
        plugins.registry.cache_clear()

    yield add
    for plugin in added:
        plugins.manager().unregister(plugin)
    plugins.registry.cache_clear()


@pytest.fixture
def vendor(register: Callable[[object], None], monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """The made-up vendor, fresh."""
    register(Plugin())
    fresh = Vendor()
    monkeypatch.setattr(fake_provider, "VENDOR", fresh)
    for name in ("ACME", "QUEUE"):
        monkeypatch.setenv(f"{name}_API_KEY", "sesame-0123456789")
    monkeypatch.setenv("BARE_BASE_URL", "https://bare.example")
    return fresh


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process; nobody sits at a terminal unless ``types`` says what they type."""

    def start(*arguments: object, types: str | None = None, stdin: str = "") -> Ran:
        with monkeypatch.context() as patch:
            patch.setattr(prompts, "somebody_there", lambda: types is not None)
            result = CliRunner().invoke(app, list(map(str, arguments)), input=stdin if types is None else types)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return start
