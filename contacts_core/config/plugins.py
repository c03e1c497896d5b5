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
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import pluggy
from attrs import frozen

from contacts_core.errors import ConfigurationError
from contacts_core.provider import Provider
from contacts_core.provider.hooks import GROUP

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "GROUP",
    "ProviderHooks",
    "Registry",
    "hookspec",
    "manager",
    "provider_class",
    "registry",
    "results",
]

hookspec = pluggy.HookspecMarker(GROUP)


class ProviderHooks:
    """What a plugin with providers implements."""

    @hookspec
    def contacts_providers(self) -> Iterable[type[Provider]]:
        """The provider classes that this plugin brings."""
        return ()

    @hookspec
    def contacts_emulators(self) -> Iterable[type[Any]]:
        """Subclasses of `contacts_core.emulator.Emulator` for those vendors; import them inside, they need an extra."""
        return ()


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
    plugins.add_hookspecs(ProviderHooks)
    # The specifications of plans' hooks stand with plans, which this module may not import.
    plugins.add_hookspecs(import_module("contacts_core.plans.hookspecs").Hooks)
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
    for origin, result in results(plugins.hook.contacts_providers, broken):
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


def _load(plugins: pluggy.PluginManager, point: EntryPoint, broken: dict[str, str]) -> None:
    if plugins.has_plugin(point.name):
        return
    try:
        plugins.register(point.load(), name=point.name)
    except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything
        broken[point.name] = f"{type(error).__name__}: {error}"


def results(hook: pluggy.HookCaller, broken: dict[str, str]) -> list[tuple[str, list[Any]]]:
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
