"""What is public: its names, its docstrings, and what importing it costs."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import contacts_core
from contacts_core import AsyncContacts, Contacts, errors, models, provider, query
from contacts_core.models import identifiers
from contacts_core.provider import capabilities
from contacts_core.provider import effects as flow

ROOT = Path(contacts_core.__file__).parent


def test_the_names_are_sorted_and_all_there() -> None:
    names = contacts_core.__all__
    assert names == sorted(names)
    assert dir(contacts_core) == names
    for name in names:
        assert getattr(contacts_core, name) is not None
    with pytest.raises(AttributeError):
        contacts_core.nothing_of_the_kind  # noqa: B018


def test_what_a_type_checker_sees_is_what_there_is() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    seen |= {
        node.target.id for node in guarded.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert seen == set(contacts_core.__all__)


def test_importing_loads_next_to_nothing() -> None:
    heavy = "httpx", "msgspec", "attrs", "cattrs", "phonenumbers", "pyrate_limiter", "typer", "vcr"
    program = f"import sys, contacts_core; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_the_one_that_is_installed() -> None:
    assert contacts_core.__version__ == version("contacts-core")
    program = "import sys, contacts_core; print('importlib.metadata' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=ROOT.parent, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    def methods(client: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in vars(client).items()
            if inspect.isfunction(member) and not name.startswith("_")
        }

    assert methods(Contacts) == methods(AsyncContacts)


def test_no_type_of_the_transport_is_public() -> None:
    for client in (Contacts, AsyncContacts):
        for name, member in vars(client).items():
            if inspect.isfunction(member) and name != "__init__":
                assert "httpx" not in str(inspect.signature(member)), name
    for error in vars(errors).values():
        if inspect.isclass(error):
            assert not any(base.__module__.startswith("httpx") for base in error.__mro__)


@pytest.mark.parametrize("module", [capabilities, errors, flow, identifiers, models, provider, query])
def test_everything_public_is_described(module: object) -> None:
    for name, member in vars(module).items():
        if name.startswith("_") or getattr(member, "__module__", "") != getattr(module, "__name__", ""):
            continue
        if inspect.isclass(member) or inspect.isfunction(member):
            assert inspect.getdoc(member), name
        if inspect.isclass(member):
            functions = {name: each for name, each in vars(member).items() if inspect.isfunction(each)}
            undescribed = [name for name, each in functions.items() if name[0] != "_" and not inspect.getdoc(each)]
            assert undescribed == [], name


def test_the_tree_of_errors_is_the_one_that_is_drawn() -> None:
    drawn = inspect.getdoc(errors) or ""
    for name, error in vars(errors).items():
        if inspect.isclass(error) and issubclass(error, errors.ContactsError):
            assert name in drawn
            assert getattr(contacts_core.errors, name) is error
