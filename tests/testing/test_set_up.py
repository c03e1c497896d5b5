"""What the kit says when it cannot try what a provider declares, and what it needs without an emulator."""

from __future__ import annotations

import pytest

import contacts_core.emulator
from contacts_core import testing

pytest_plugins = ["pytester"]

REMOVER = """
    import pytest
    from contacts_core.models import Contact, Identifier, Outcome
    from contacts_core.provider import Emit, Exports, RemovesIdentifiers, done
    from contacts_core.testing import MemoryProvider, ProviderContract


    class Remover(RemovesIdentifiers):
        name = "remover"
        base_url: str = "http://localhost"

        def remove_identifier(self, contact_id, identifier):
            yield from ()
            return done(identifier.value)
"""
SHARED = """
    import pytest
    from attrs import frozen, field
    from contacts_core.testing import MemoryProvider, ProviderContract
    from contacts_core.testing.memory import Store

    STORE = Store()


    @frozen(kw_only=True)
    class Shared(MemoryProvider):
        store: Store = field(factory=lambda: STORE)
"""
OPTIONS = ("-q", "-p", "no:cacheprovider")
# Pytester forgets modules that a run imports first, so that the next run would have other classes of the same names.
IMPORTED = (contacts_core.emulator.Emulator, testing.ProviderContract, testing.MemoryProvider)


def outcome_of(pytester: pytest.Pytester, test: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(test)
    return pytester.runpytest_inprocess(*OPTIONS, *options)


def test_a_declared_capability_that_runs_no_case_fails(pytester: pytest.Pytester) -> None:
    test = f"""{REMOVER}

    class TestRemover(ProviderContract):
        provider = Remover
    """
    result = outcome_of(pytester, test)
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(
        ["*RemovesIdentifiers of Remover ran no case: nothing shows that the provider can do it.*"]
    )
    result.stdout.fnmatch_lines(
        ["*Without an emulator each case needs an empty account: override the fixture `account`*"]
    )


def test_a_capability_whose_cases_are_left_out_fails(pytester: pytest.Pytester) -> None:
    test = """
    import pytest
    from contacts_core.testing import MemoryProvider, ProviderContract


    class TestMemory(ProviderContract):
        provider = MemoryProvider
        test_custom_fields_have_unique_names = None
        test_a_new_field_is_listed_and_takes_values = None
        test_a_field_that_is_there_is_not_created_again = None
        test_a_field_is_created_once_however_often_it_is_asked_for = None

        @pytest.mark.skip(reason="not now")
        def test_custom_fields_are_what_contacts_carry(self):
            pass
    """
    result = outcome_of(pytester, test, "-k", "capability_is_tried")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ReadsCustomFields of MemoryProvider ran no case*"])


def test_every_declared_capability_of_an_honest_provider_runs_a_case(pytester: pytest.Pytester) -> None:
    test = """
    from contacts_core.testing import MemoryProvider, ProviderContract


    class TestMemory(ProviderContract):
        provider = MemoryProvider
    """
    outcome_of(pytester, test, "-k", "capability_is_tried").assert_outcomes(passed=1)


def test_an_account_that_is_not_empty_is_told_with_what_is_needed(pytester: pytest.Pytester) -> None:
    test = f"""{SHARED}

    class TestShared(ProviderContract):
        provider = Shared
    """
    result = outcome_of(pytester, test, "-k", "export_has_everyone_once")
    result.assert_outcomes(passed=1, errors=1)  # the first case leaves its people behind
    result.stdout.fnmatch_lines(["*the account is not empty: it has contact contact-1. Without an emulator each case*"])


def test_the_fixture_gives_each_case_an_empty_account(pytester: pytest.Pytester) -> None:
    test = f"""{SHARED}

    class TestShared(ProviderContract):
        provider = Shared

        @pytest.fixture
        def account(self):
            STORE.contacts.clear()
            STORE.lists.clear()
            yield {{"base_url": "http://localhost:1"}}
            STORE.contacts.clear()

        def test_the_settings_of_the_account_are_used(self, account):
            with self.open_harness("count_agrees_with_export", backend="direct", mode="sync", account=account) as one:
                assert one.provider.base_url == "http://localhost:1"
    """
    result = outcome_of(pytester, test, "-k", "has_everyone_once or find_gives or settings_of_the_account")
    assert result.parseoutcomes()["passed"] == 5
    assert result.parseoutcomes().keys() <= {"passed", "deselected"}


def test_people_can_be_brought_in_by_another_way_than_the_provider(pytester: pytest.Pytester) -> None:
    test = """
    from attrs import frozen
    from contacts_core.models import Contact, Identifier
    from contacts_core.provider import Emit, Exports, base_url_setting
    from contacts_core.testing import ProviderContract

    PEOPLE = []


    @frozen(kw_only=True)
    class Reader(Exports):
        name = "reader"
        base_url: str = base_url_setting("http://localhost")

        def contacts(self, list_id):
            yield Emit(list(PEOPLE))


    class TestReader(ProviderContract):
        provider = Reader

        def populate(self, harness, count):
            PEOPLE[:] = [
                Contact("reader", str(n), (Identifier.email(f"person{n}@example.com"),), "Ada") for n in range(count)
            ]

        import pytest

        @pytest.fixture
        def account(self):
            PEOPLE.clear()
            yield {}
    """
    result = outcome_of(pytester, test)
    assert result.parseoutcomes()["passed"] > 25
    assert result.parseoutcomes().keys() <= {"passed", "skipped"}


def test_required_settings_that_nobody_gives_are_named(pytester: pytest.Pytester) -> None:
    test = """
    from attrs import frozen
    from contacts_core.provider import secret
    from contacts_core.testing import MemoryProvider, ProviderContract


    @frozen(kw_only=True)
    class Keyed(MemoryProvider):
        api_key: str = secret()


    class TestKeyed(ProviderContract):
        provider = Keyed
    """
    result = outcome_of(pytester, test, "-k", "no_secret_shows")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*Keyed needs the setting api_key*`settings`*`account`*"])
