"""The fixtures that applications' tests use, as pytest finds them in the installed wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)


def run_pytest(python: Path | str, folder: Path, test: str, *options: str, autoload: bool) -> str:
    """Run pytest on one test module, and give what it says."""
    (folder / "test_application.py").write_text(textwrap.dedent(test), encoding="utf-8")
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "" if autoload else "1"}
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_application.py"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


APPLICATION = """
    import asyncio

    import pytest

    from contacts_core import AsyncContacts, Contact, Identifier, connect, connect_async
    from contacts_core.errors import ConfigurationError
    from contacts_core.plans import plan_erasure

    JANE = Identifier.email("jane@example.com")


    def unsubscribe(contacts, address):
        contacts.delete_contacts(c.id for c in contacts.find([address]).get_all(address))


    def test_a_client_that_is_handed_over(memory_contacts):
        memory_contacts.upsert_contacts([Contact(identifiers=(JANE,))])
        unsubscribe(memory_contacts, JANE)
        assert memory_contacts.count() == 0


    def test_each_test_has_an_account_of_its_own(memory_contacts):
        assert memory_contacts.count() == 0


    def test_the_asynchronous_client_of_the_same_account(memory_contacts):
        async def count():
            async with AsyncContacts(memory_contacts.provider) as contacts:
                return await contacts.count()

        memory_contacts.upsert_contacts([Contact(identifiers=(JANE,))])
        assert asyncio.run(count()) == 1


    def test_clients_that_the_application_opens_itself(memory_account):
        marketing, support = memory_account("marketing"), memory_account("support \\"EU\\"")
        marketing.upsert_contacts([Contact(identifiers=(JANE,))])
        with connect("marketing") as contacts:
            assert [c.provider for c in contacts.export()] == ["memory"]
        assert support.count() == connect("support \\"EU\\"").count() == 0
        assert memory_account("marketing").count() == 1

        async def count():
            async with connect_async("marketing") as contacts:
                return await contacts.count()

        assert asyncio.run(count()) == 1


    def test_plans_name_the_accounts(memory_account):
        pytest.importorskip("dbos")
        memory_account("marketing").upsert_contacts([Contact(identifiers=(JANE,))])
        assert [each.account for each in plan_erasure([JANE], ["marketing"]).accounts] == ["marketing"]


    def test_there_are_no_other_accounts(memory_account):
        with pytest.raises(ConfigurationError):
            connect("marketing")
"""


def test_the_installed_package_brings_the_fixtures(installed_python: Path, tmp_path: Path) -> None:
    output = run_pytest(installed_python, tmp_path, APPLICATION, "-W", "error", autoload=True)
    assert "6 passed" in output, output


def test_they_do_not_need_to_be_found(tmp_path: Path) -> None:
    output = run_pytest(
        sys.executable, tmp_path, APPLICATION, "-p", "contacts_core.testing.pytest_plugin", autoload=False
    )
    assert "6 passed" in output, output


def test_the_plugin_alone_imports_nothing_of_the_library(installed_python: Path, tmp_path: Path) -> None:
    test = """
        import sys

        def test_what_is_imported():
            assert "contacts_core.testing.pytest_plugin" in sys.modules
            ours = {name for name in sys.modules if name.startswith("contacts_")}
            assert ours == {"contacts_core", "contacts_core.testing", "contacts_core.testing.pytest_plugin"}
            assert not {"httpx", "msgspec", "cattrs", "stamina", "starlette", "vcr"} & set(sys.modules)
    """
    output = run_pytest(installed_python, tmp_path, test, autoload=True)
    assert "1 passed" in output, output


@pytest.mark.parametrize("name", ["Harness", "MemoryProvider", "ProviderContract"])
def test_the_public_names_of_testing_load_when_they_are_used(name: str) -> None:
    from contacts_core import testing

    assert getattr(testing, name).__name__ == name
    assert name in dir(testing)
    assert dir(testing) == sorted(testing.__all__)


def test_another_name_of_testing_is_an_error() -> None:
    from contacts_core import testing

    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        testing.nothing_of_the_kind  # noqa: B018
