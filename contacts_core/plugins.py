"""Providers come from plugins, found by entry point; the built-in ones are plugins like any other.

A plugin is a module named under the entry point group ``contacts_core``:

    [project.entry-points.contacts_core]
    acme = "contacts_acme"

and in that module

    @hookimpl
    def contacts_providers():
        return [Acme]
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import pluggy
from attrs import frozen

from contacts_core.errors import ConfigurationError
from contacts_core.provider import Provider

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from contacts_core.models import Outcome
    from contacts_core.plans import Plan, Receipt, Step
    from contacts_core.sandbox import Emulator

__all__ = [
    "GROUP",
    "Hooks",
    "Registry",
    "emulators",
    "hookimpl",
    "hookspec",
    "manager",
    "provider_class",
    "registry",
]

GROUP = "contacts_core"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Hooks:
    """What a plugin may implement."""

    @hookspec
    def contacts_providers(self) -> Iterable[type[Provider]]:
        """The provider classes that this plugin brings."""
        return ()

    @hookspec
    def contacts_emulators(self) -> Iterable[type[Emulator]]:
        """Emulators of those vendors for ``contacts sandbox``; import them inside, they need an extra."""
        return ()

    @hookspec
    def contacts_plan_created(self, plan: Plan) -> None:
        """A plan was made; nothing has happened yet."""

    @hookspec
    def contacts_before_apply(self, plan: Plan) -> str | None:
        """A plan is about to be applied; a reason, in words, forbids it. A plugin that fails here forbids it too."""

    @hookspec
    def contacts_step_finished(self, step: Step, outcome: Outcome) -> None:
        """A step of a run came to its end, in the process that did it. After a crash it may be told of once more."""

    @hookspec
    def contacts_run_finished(self, receipt: Receipt) -> None:
        """A run came to its end: done, incomplete, refused, cancelled or failed, as its receipt says."""


@frozen
class Registry:
    """Providers by name, the plugins they came from, and the plugins that do not work, with the reason."""

    providers: Mapping[str, type[Provider]]
    origins: Mapping[str, str]
    broken: Mapping[str, str]


@cache
def manager() -> pluggy.PluginManager:
    """The plugin manager, without the plugins of entry points; register a plugin of your own on it for a test."""
    plugins = pluggy.PluginManager(GROUP)
    plugins.add_hookspecs(Hooks)
    return plugins


@cache
def registry() -> Registry:
    """Load every plugin; one that fails is noted by name and does not take down the rest.

    Raises:
        ConfigurationError: Two plugins bring a provider of the same name, or a plugin misspells a hook.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - a provider that is given as a class is not looked up

    plugins = manager()
    broken: dict[str, str] = {}
    for point in entry_points(group=GROUP):
        _load(plugins, point, broken)
    try:
        plugins.check_pending()
    except pluggy.PluginValidationError as error:
        raise ConfigurationError(f"a plugin implements an unknown hook: {error}") from error
    found: dict[str, type[Provider]] = {}
    origins: dict[str, str] = {}
    for origin, result in _results(plugins.hook.contacts_providers, broken):
        for provider in result:
            if reason := _wrong(provider):
                broken[origin] = reason
            elif provider.name in found:
                raise ConfigurationError(
                    f"two plugins bring a provider named {provider.name!r}: {origins[provider.name]} and {origin}",
                    hint="uninstall one of them",
                )
            else:
                found[provider.name], origins[provider.name] = provider, origin
    return Registry(dict(sorted(found.items())), origins, broken)


def provider_class(name: str) -> type[Provider]:
    """The provider of this name.

    Raises:
        ConfigurationError: There is none; a broken plugin is named.
    """
    known = registry()
    if name in known.providers:
        return known.providers[name]
    broken = "; ".join(f"plugin {plugin} is broken: {reason}" for plugin, reason in known.broken.items())
    raise ConfigurationError(
        f"there is no provider and no account named {name!r}" + (f" ({broken})" if broken else ""),
        hint=f"providers: {', '.join(known.providers)}; accounts: see `contacts accounts`",
    )


def emulators() -> dict[str, type[Emulator]]:
    """The emulators of every plugin, by provider name."""
    registry()
    broken: dict[str, str] = {}
    results = _results(manager().hook.contacts_emulators, broken)
    found = {emulator.name: emulator for _, result in results for emulator in cast("list[type[Emulator]]", result)}
    if broken:
        raise ConfigurationError(f"plugins without a working emulator: {broken}")
    return dict(sorted(found.items()))


def _load(plugins: pluggy.PluginManager, point: EntryPoint, broken: dict[str, str]) -> None:
    if plugins.has_plugin(point.name):
        return
    try:
        plugins.register(point.load(), name=point.name)
    except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything
        broken[point.name] = f"{type(error).__name__}: {error}"


def _results(hook: pluggy.HookCaller, broken: dict[str, str]) -> list[tuple[str, list[Any]]]:
    """Call each plugin by itself, so that one failure stays its own."""
    results: list[tuple[str, list[Any]]] = []
    for implementation in hook.get_hookimpls():
        try:
            results.append((implementation.plugin_name, list(cast("Iterable[Any]", implementation.function()))))
        except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything
            broken[implementation.plugin_name] = f"{type(error).__name__}: {error}"
    return results


def _wrong(provider: Any) -> str:
    """Say why a hook's result is no provider; empty if it is one."""
    if not (inspect.isclass(provider) and issubclass(provider, Provider)):
        return f"{provider!r} is not a Provider class"
    if not isinstance(getattr(provider, "name", None), str) or not provider.name:
        return f"{provider.__name__} has no name"
    if inspect.isabstract(provider):
        missing = ", ".join(sorted(getattr(provider, "__abstractmethods__", ())))
        return f"{provider.__name__} declares capabilities but lacks {missing}"
    return ""
