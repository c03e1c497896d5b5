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
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import pluggy
from attrs import define, field, frozen

from contacts_core.errors import ConfigurationError
from contacts_core.models import Contact, ContactList
from contacts_core.provider import Provider
from contacts_core.provider.hooks import GROUP

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "GROUP",
    "ContactWriter",
    "FileWriter",
    "HookCall",
    "PluginManager",
    "ProviderHooks",
    "Registry",
    "call",
    "hookspec",
    "manager",
    "provider_class",
    "registry",
    "results",
    "writers",
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

    @hookspec
    def contacts_writers(self) -> Mapping[str, FileWriter]:
        """What writes exported contacts to a file, by how the file's name ends: ``{".db": open_writer}``."""
        return {}


class ContactWriter(Protocol):
    """Writes contacts, one after the other."""

    def write(self, contact: Contact) -> None:
        """Write one contact."""
        ...


class FileWriter(Protocol):
    """Opens a writer of contacts for a file."""

    def __call__(self, path: Path, source: str, lists: Sequence[ContactList]) -> AbstractContextManager[ContactWriter]:
        """Open it; the file is complete at the end of the block, and unchanged if the block fails.

        Args:
            path: The file.
            source: The name of the account that is exported.
            lists: The lists of the account, where it tells them.
        """
        ...


@frozen
class Registry:
    """Providers by name, the plugins they came from, and the plugins that do not work, with the reason."""

    providers: Mapping[str, type[Provider]]
    origins: Mapping[str, str]
    broken: Mapping[str, str]


@define
class HookCall:
    """What became of one call of a hook.

    Attributes:
        result: What pluggy gives: the list of answers, or the first answer where the hook takes only one.
        answers: Each answer that is not None, with the name of the plugin that gave it.
        failures: Each exception, with the name of the plugin that raised it.
    """

    result: Any = None
    answers: list[tuple[str, Any]] = field(factory=list[tuple[str, Any]])
    failures: list[tuple[str, BaseException]] = field(factory=list[tuple[str, BaseException]])

    def origin(self, answer: Any) -> str:
        """The name of the plugin that gave this answer; empty if none did."""
        return next((plugin for plugin, each in self.answers if each is answer), "")


_under_way: ContextVar[HookCall] = ContextVar("contacts_hook_call")


class PluginManager(pluggy.PluginManager):
    """Pluggy's manager, except that one plugin's failure does not keep the others from being called.

    An implementation that fails counts as one that answers None, and a wrapper that fails as one that changes nothing.
    `call` gives the failures.
    """

    def register(self, plugin: object, name: str | None = None) -> str | None:
        """Register a plugin under a name, as pluggy does."""
        registered = super().register(plugin, name)
        for hook in self.get_hookcallers(plugin) or ():
            for implementation in hook.get_hookimpls():
                if implementation.plugin is plugin:
                    wraps = implementation.wrapper or implementation.hookwrapper
                    guard = _guarded_wrapper if wraps else _guarded
                    function = partial(guard, implementation.plugin_name, implementation.function)
                    cast("Any", implementation).function = function
        return registered


def call(hook: pluggy.HookCaller, **arguments: Any) -> HookCall:
    """Call a hook as pluggy documents it, and tell which plugin answered what, and which failed.

    Raises:
        KeyboardInterrupt: The user pressed Ctrl-C meanwhile.
    """
    called = HookCall()
    token = _under_way.set(called)
    try:
        called.result = hook(**arguments)
    finally:
        _under_way.reset(token)
    return called


@contextmanager
def _failures_of(plugin: str) -> Generator[None]:
    """Note what a plugin raises, SystemExit included; only the user's own Ctrl-C goes on."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise
        _under_way.get(HookCall()).failures.append((plugin, error))


def _guarded(plugin: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    answer = None
    with _failures_of(plugin):
        answer = function(*args, **kwargs)
        if answer is not None:
            _under_way.get(HookCall()).answers.append((plugin, answer))
    return answer


def _guarded_wrapper(plugin: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Generator[None, Any, Any]:
    """A wrapper of either style, which lets the call through unchanged where it fails."""
    wrapper: Any = None
    with _failures_of(plugin):
        wrapper = _begun(function(*args, **kwargs))
    go_on: Callable[[], Any]
    try:
        result = yield
    except BaseException as error:  # only Ctrl-C: nothing else leaves the other implementations
        if wrapper is None:
            raise
        result, go_on = None, partial(wrapper.throw, error)
    else:
        if wrapper is None:
            return result
        go_on = partial(wrapper.send, result)
    changed = result
    with _failures_of(plugin):
        changed = _ended(go_on)
        before, after = _as_list(result), _as_list(changed)
        new = [answer for answer in after if not any(answer is earlier for earlier in before)]
        _under_way.get(HookCall()).answers.extend((plugin, answer) for answer in new)
    return changed


def _as_list(answers: Any) -> list[Any]:
    several = cast("list[Any]", answers)
    return several if isinstance(answers, list) else [answers]


def _begun(wrapper: Generator[None, Any, Any]) -> Generator[None, Any, Any]:
    try:
        next(wrapper)
    except StopIteration:
        raise RuntimeError("the wrapper does not yield") from None
    return wrapper


def _ended(go_on: Callable[[], Any]) -> Any:
    try:
        go_on()
    except StopIteration as stopped:
        return stopped.value
    raise RuntimeError("the wrapper yields twice")


@cache
def manager() -> PluginManager:
    """The plugin manager, without the plugins of entry points; register a plugin of your own on it for a test."""
    plugins = PluginManager(GROUP)
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


def writers() -> dict[str, FileWriter]:
    """What plugins write exported contacts with, by how the file's name ends; those of a broken plugin are missing."""
    _ = registry()  # loads the plugins
    return {
        suffix.lower(): writer
        for answer in call(manager().hook.contacts_writers).result
        for suffix, writer in answer.items()
    }


def _load(plugins: pluggy.PluginManager, point: EntryPoint, broken: dict[str, str]) -> None:
    if plugins.has_plugin(point.name):
        return
    try:
        plugins.register(point.load(), name=point.name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
        broken[point.name] = f"{type(error).__name__}: {error}"


def results(hook: pluggy.HookCaller, broken: dict[str, str]) -> list[tuple[str, list[Any]]]:
    """Call a hook that answers with iterables, and give each one's items with its plugin; failures go to ``broken``."""
    called = call(hook)
    broken |= {plugin: f"{type(error).__name__}: {error}" for plugin, error in called.failures}
    results: list[tuple[str, list[Any]]] = []
    for answer in called.result:
        plugin = called.origin(answer)
        try:
            results.append((plugin, list(answer)))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
            broken[plugin] = f"{type(error).__name__}: {error}"
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
