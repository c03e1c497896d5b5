"""Every public name has a docstring and an entry in the reference, and searching the pages finds what people need."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
import pytest

from contacts_core import AsyncContacts, Contacts

ROOT = Path(__file__).parents[2]
MODULES = {
    "contacts_core": "client",
    "contacts_core.access": "access",
    "contacts_core.emulator": "emulator",
    "contacts_core.errors": "errors",
    "contacts_core.formats": "formats",
    "contacts_core.models": "models",
    "contacts_core.plans": "plans",
    "contacts_core.provider": "provider",
    "contacts_core.query": "query",
    "contacts_core.testing": "testing",
}
# Documented with the module that they come from, or in the text of the page.
ELSEWHERE = {"contacts_core": {"__version__", "errors"}}
SEARCHED = ["logging", "tracing", "OpenTelemetry", "pandas", "timeout", "migrate", "FastAPI", "Django", "pytest"]


def public(module: str) -> list[str]:
    names: list[str] = importlib.import_module(module).__all__
    return [name for name in names if name not in ELSEWHERE.get(module, ())]


@pytest.fixture(scope="module")
def package() -> griffe.Object:
    loaded = griffe.load("contacts_core", search_paths=[ROOT], docstring_parser="google", resolve_aliases=True)
    assert isinstance(loaded, griffe.Object)
    return loaded


def found(package: griffe.Object, module: str, name: str) -> Any:
    path = f"{module}.{name}".removeprefix("contacts_core.")
    item = package[path]
    return item.final_target if item.is_alias else item


def entries(site: Path, page: str) -> set[str]:
    html = (site / "reference" / page / "index.html").read_text(encoding="utf-8")
    return set(re.findall(r'id="(contacts_core[\w.]*)"', html))


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_a_docstring(module: str, package: griffe.Object) -> None:
    assert [name for name in public(module) if not found(package, module, name).docstring] == []


@pytest.mark.parametrize("module", MODULES)
def test_every_public_method_has_a_docstring(module: str, package: griffe.Object) -> None:
    """Its own, or that of what it overrides."""
    missing = []
    for name in public(module):
        item = getattr(importlib.import_module(module), name)
        if inspect.isclass(item) and item.__module__.startswith("contacts_core"):
            members = [(key, getattr(item, key)) for key in vars(item) if not key.startswith("_")]
            missing += [
                f"{name}.{key}"
                for key, value in members
                if (callable(value) or isinstance(value, property)) and not inspect.getdoc(value)
            ]
    assert missing == []


@pytest.mark.parametrize("module", MODULES)
def test_attributes_that_a_docstring_lists_exist(module: str, package: griffe.Object) -> None:
    wrong = []
    for name in public(module):
        item = found(package, module, name)
        if not item.is_class or not item.docstring:
            continue
        for section in item.docstring.parse("google"):
            if section.kind is griffe.DocstringSectionKind.attributes:
                wrong += [f"{name}.{each.name}" for each in section.value if each.name not in item.all_members]
    assert wrong == []


def test_the_built_pages_have_every_public_name_and_are_found_by_searching(tmp_path: Path) -> None:
    # One test, because building takes ten seconds.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    shown = {entry for page in MODULES.values() for entry in entries(tmp_path, page)}
    missing = [
        f"{module}.{name}" for module in MODULES for name in public(module) if not has_entry(shown, module, name)
    ]
    assert missing == []
    assert [entry for entry in shown if re.search(r"\._(?!_)", entry)] == []

    index = json.loads((tmp_path / "search" / "search_index.json").read_text(encoding="utf-8"))
    titles = [
        entry["title"].lower()
        for entry in index["docs"]
        if not entry["location"].startswith(("reference/", "decisions/"))
    ]
    assert [word for word in SEARCHED if not any(word.lower() in title for title in titles)] == []


def has_entry(shown: set[str], module: str, name: str) -> bool:
    """Whether a name has an entry; a function that has the name of its module is entered below it."""
    homes = [module, f"{module}.{name}"]
    if module == "contacts_core":  # models, errors and queries have their own pages
        homes += ["contacts_core.models", "contacts_core.errors", "contacts_core.query"]
    return any(f"{home}.{name}" in shown for home in homes)


def test_both_clients_have_whole_docstrings() -> None:
    def methods(client: type) -> Iterator[tuple[str, str]]:
        for name, method in vars(client).items():
            if callable(method) and not name.startswith("_"):
                yield name, inspect.getdoc(method) or ""

    blocking, asynchronous = dict(methods(Contacts)), dict(methods(AsyncContacts))
    assert blocking.keys() == asynchronous.keys()
    for name, text in asynchronous.items():
        assert not re.match(r"(?i)see\b", text), name
        assert sections(text) == sections(blocking[name]), name


def sections(docstring: str) -> list[str]:
    """The headings of a docstring, with the arguments and errors below them."""
    return re.findall(r"^(?:    )?(?:[A-Z]\w+:$|\w+(?=:\s))", docstring, re.MULTILINE)


def test_every_decision_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    decisions = sorted(path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/decisions/*.md"))
    assert len(decisions) > 13
    assert [page for page in decisions if f" {page}\n" not in navigation] == []


def test_the_glossary_has_each_word_once() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", glossary, re.MULTILINE)
    assert len(words) == len(set(words)) == 32
