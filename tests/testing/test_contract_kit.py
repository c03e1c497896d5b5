"""The contract kit fails whoever breaks a promise, and says with values what was wrong."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from contacts_bird import Bird
from contacts_bird.emulator import BirdEmulator
from contacts_core.emulator import Emulator
from contacts_core.errors import ContactsError
from contacts_core.models import Contact, Job, Outcome
from contacts_core.provider import CAPABILITIES, Provider
from contacts_core.testing import Harness, ProviderContract
from contacts_core.testing.harness import Backend, Mode
from contacts_example import Example
from contacts_sendgrid import SendGrid
from contacts_sendgrid.emulator import SendGridEmulator
from contacts_user_api import UserApi
from contacts_user_api.emulator import UserApiEmulator
from example_emulator import ExampleEmulator
from tests.testing import lying_providers as lies

EMULATORS: dict[type[Provider], type[Emulator]] = {
    Bird: BirdEmulator,
    Example: ExampleEmulator,
    SendGrid: SendGridEmulator,
    UserApi: UserApiEmulator,
}


def contract_of(provider: type[Provider], **attributes: Any) -> type[ProviderContract]:
    """The kit as the author of a provider has it."""
    emulator = next((emulator for base, emulator in EMULATORS.items() if provider.name == base.name), None)
    members = {"provider": provider, "emulator": emulator, **attributes}
    return type(f"Test{provider.__name__}", (ProviderContract,), members)


def parameters(case: Callable[..., None]) -> list[dict[str, Any]]:
    """What pytest calls a case with, besides its fixtures."""
    sets: list[dict[str, Any]] = [{}]
    for mark in getattr(case, "pytestmark", ()):
        names = [mark.args[0]] if isinstance(mark.args[0], str) else list(mark.args[0])
        if names != ["harness"]:
            values = [value if len(names) > 1 else (value,) for value in mark.args[1]]
            sets = [{**one, **dict(zip(names, value, strict=True))} for one in sets for value in values]
    return sets


def run_case(contract: type[ProviderContract], name: str, request: pytest.FixtureRequest, mode: Mode = "sync") -> None:
    """Run a case with each of its parameters, as pytest does."""
    case = getattr(contract, f"test_{name}")
    assert case is not None, f"the case does not apply to {contract.provider.__name__}"
    backend: Backend = "emulator" if contract.emulator else "direct"
    fixtures = {each: request.getfixturevalue(each) for each in inspect.signature(case).parameters if each == "caplog"}
    for values in parameters(case):
        kit = contract()
        with kit.open_harness(name, backend=backend, mode=mode) as harness:
            case(kit, harness, **fixtures, **values)


def names_of_cases() -> list[str]:
    return sorted(
        name.removeprefix("test_") for name in dir(ProviderContract) if hasattr(getattr(ProviderContract, name), "case")
    )


class CarelessClient:
    """A client that leaves out what no provider can make a client leave out."""

    def __init__(self, harness: Harness) -> None:
        self._client, self._harness = harness.client, harness

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def count(self) -> int:
        return 0

    def delete_contacts(self, ids: str) -> Outcome:
        return Outcome(operation="delete_contacts", requested=len(ids), confirmed=tuple(ids))

    def upsert_contacts(self, contacts: list[Contact]) -> Outcome:
        self._harness.sent.append("PUT /contacts")
        return Outcome(operation="upsert_contacts", requested=len(contacts))

    def get_job(self, job: Job) -> Job:
        return job


def careless_contract_of(provider: type[Provider]) -> type[ProviderContract]:
    """The kit with a client that checks nothing."""

    @contextmanager
    def open_harness(self: ProviderContract, name: str, *, backend: Backend, mode: Mode) -> Iterator[Harness]:
        with ProviderContract.open_harness(self, name, backend=backend, mode=mode) as harness:
            harness.client = CarelessClient(harness)
            yield harness

    return contract_of(provider, open_harness=open_harness)


LIES: dict[str, tuple[type[Provider], ...]] = {
    # reading
    "export_has_everyone_once": (lies.RepeatsAContact,),
    "export_has_every_identifier": (
        lies.DropsPages,
        lies.DropsTheLastPage,
        lies.SkipsBetweenPages,
        lies.ExportLosesIdentifiers,
        lies.GetLosesIdentifiers,
    ),
    "export_can_be_left_early": (lies.ExportIsAlwaysEmpty,),
    "export_of_an_empty_account_is_empty": (lies.ExportsOneTooMany,),
    "export_of_lists_has_their_members_once": (lies.ExportIgnoresTheList,),
    "search_by_address": (lies.SearchIsCaseSensitive,),
    "search_means_what_the_query_means": (lies.SearchIsCaseSensitive,),
    "search_by_list": (lies.SearchKnowsNoLists, lies.ExportLosesLists),
    "search_is_complete_or_says_so": (lies.SearchPassesAPartOffAsAll,),
    "values_stay_in_their_quotes": (lies.WritingEscapesText, lies.WritingFoldsLetters),
    "explain_tells_strategy_and_cost": (lies.SearchHasNoText,),
    "find_gives_none_for_nobody": (lies.FindFindsNobody, lies.FindIsCaseSensitive, lies.FindMatchesParts),
    "find_knows_every_kind_of_identifier": (lies.FindKnowsEmailsOnly, lies.FindMatchesParts),
    "find_many_at_once": (lies.FindReadsOnePage,),
    "a_raw_contact_is_the_contact_and_names_nobody_else": (lies.RawIsSomebodyElse, lies.RawNamesEverybody),
    "get_gives_none_for_nobody": (lies.GetReturnsSomebodyElse, lies.GetDropsTheLast, lies.GetLosesIdentifiers),
    "what_is_no_id_is_refused_unsent": (lies.TakesAnyId,),
    "count_agrees_with_export": (lies.CountsOneTooMany,),
    "count_goes_beyond_one_page": (lies.CountsOnePage,),
    "a_new_list_is_listed": (lies.NewListsAreNotKept, lies.NewListsHaveAnotherName, lies.ListsMissTheNewest),
    "a_deleted_list_leaves_its_contacts": (lies.DeletingAListDoesNothing, lies.DeletingAListDeletesItsContacts),
    "deleting_a_list_leaves_the_other_lists": (lies.DeletingAListDeletesAllLists,),
    "custom_fields_have_unique_names": (lies.CustomFieldsShareAName,),
    "custom_fields_are_what_contacts_carry": (lies.CustomFieldsAreNotListed,),
    "an_export_without_its_contacts_is_no_empty_account": (lies.ExportsWithoutFilesAreEmpty,),
    # changing
    "a_deleted_contact_is_gone_and_others_stay": (
        lies.DeletionDoesNothing,
        lies.DeletionTakesAnotherToo,
        lies.DeletionConfirmsNothing,
    ),
    "deleting_again_harms_nobody": (lies.DeletionConfirmsTheAbsent, lies.DeletionFailsOnTheAbsent),
    "deleting_nobody_sends_nothing": (lies.TakesAnyId,),
    "what_is_no_id_reaches_nobody": (lies.TakesAnyId,),
    "many_deletions_go_out_in_the_vendors_batches": (lies.DeletesOneByOne,),
    "deleting_everyone_wants_the_exact_name": (
        lies.DeletingAllLeavesOne,
        lies.DeletingAllCountsNobody,
    ),
    "deleting_everyone_deletes_the_last_page_too": (lies.DeletingAllDeletesOnePage,),
    "a_removed_identifier_is_gone_and_the_contact_stays": (
        lies.IdentifierRemovalDoesNothing,
        lies.IdentifierRemovalTakesAll,
        lies.IdentifierRemovalDeletesTheContact,
    ),
    "removing_an_identifier_keeps_the_other_fields": (lies.IdentifierRemovalLosesNames,),
    "an_identifier_that_is_not_there_is_absent": (lies.IdentifierRemovalConfirmsTheAbsent,),
    "nobodys_identifier_is_not_found": (lies.IdentifierRemovalKnowsEverybody,),
    "the_last_identifier_is_removed_or_refused_but_never_both": (lies.IdentifierRemovalDoesNothing,),
    "members_leave_a_list_and_stay_contacts": (lies.ListRemovalDoesNothing, lies.ListRemovalDeletesTheContact),
    "members_join_a_list": (lies.AddingToAListDoesNothing, lies.AddingToAListLosesNames),
    "leaving_a_list_keeps_the_other_lists": (lies.ListRemovalLeavesEveryList,),
    "joining_a_list_keeps_the_other_lists": (lies.AddingToAListLeavesTheOthers, lies.WritingNeverJoinsLists),
    "unknown_identifiers_neither_join_nor_leave_a_list": (lies.UnknownMembersAreConfirmed,),
    "writing_twice_makes_one_contact": (lies.WritingAlwaysCreates, lies.WritingNeverUpdates, lies.WritingLosesPhones),
    "writing_again_keeps_lists_and_identifiers": (lies.WritingLeavesOtherLists, lies.WritingReplacesIdentifiers),
    "writing_one_contact_leaves_the_others": (
        lies.WritingTouchesSomebodyElse,
        lies.WritingMergesNamesakes,
        lies.GetLosesNames,
    ),
    "every_field_is_written_or_named_as_dropped": (
        lies.WritingLosesFirstNames,
        lies.WritingLosesLastNames,
        lies.WritingLosesAddresses,
        lies.WritingLosesOrganizations,
        lies.WritingLosesTags,
        lies.ExportLosesNames,
        lies.WritingConfirmsNothing,
        lies.WritingDoesNothing,
    ),
    "what_has_no_place_is_named": (lies.WritingLosesCustomFields, lies.WritingLosesExtraFields),
    "a_job_can_be_stored_and_checked_elsewhere": (lies.JobsAreNotReadable,),
    # failing
    "methods_belong_to_declared_capabilities": (lies.HasAMethodItDoesNotDeclare,),
    "a_passing_fault_is_outlasted": (lies.ReadsAreNotIdempotent,),
    "a_lasting_fault_is_the_right_error": (lies.SwallowsErrors,),
    "a_wrong_key_is_named_without_the_key": (lies.SwallowsErrors, lies.NeverFails),
    "no_vendor_at_all_is_unreachable": (lies.SwallowsErrors, lies.NeverFails),
    "a_deletion_is_done_once_through_a_passing_fault": (lies.DeletionsAreNotIdempotent,),
    "a_contact_shown_after_its_deletion_is_not_taken_for_gone": (lies.HidesWhatItDeleted,),
    "a_failed_job_is_a_failed_outcome": (lies.JobsAlwaysEndWell,),
    "a_job_that_never_ends_is_a_timeout_with_the_job": (lies.JobsAlwaysEndWell,),
    "a_removal_that_is_written_back_is_read_again": (lies.TrustsWhatItWroteBack,),
    "a_shortfall_is_told_by_member": (lies.ShortfallNamesTheWrongMember,),
    "answers_hold_no_undeclared_fields": (lies.DeclaresHalfOfAnAnswer,),
    "no_secret_shows": (lies.ShowsItsKey,),
}
"""Who must fail each case."""

NOT_THE_PROVIDERS: dict[str, str] = {
    "undeclared_capabilities_are_refused_unsent": "the client refuses before it asks the provider",
    "a_bare_text_is_not_taken_for_ids": "the client refuses before it asks the provider",
    "writing_nobody_sends_nothing": "the client does not ask the provider",
    "the_job_of_another_provider_is_refused": "the client refuses before it asks the provider",
    "a_loss_that_is_not_accepted_keeps_a_statement_unsent": "the client refuses before it asks the provider",
    "nothing_is_lifted_without_evidence": "the client refuses before it asks the provider",
    "cassettes_hold_no_keys_and_no_real_addresses": "the case reads the cassettes, not the provider",
}
"""Cases that no provider can fail, and why; other tests here show that they can fail."""


VALUES = r"\d|'|assert .*(==|<=|in|not|is|<) |DID NOT RAISE"


def failure_of(
    contract: type[ProviderContract], name: str, request: pytest.FixtureRequest
) -> AssertionError | ContactsError | None:
    """What a case says of a provider; None if it has nothing to say."""
    try:
        run_case(contract, name, request)
    except (AssertionError, ContactsError) as error:
        return error
    except pytest.skip.Exception:
        return None
    except pytest.fail.Exception as error:
        return AssertionError(error.msg)
    return None


@pytest.mark.parametrize(
    ("name", "liar"),
    [pytest.param(name, liar, id=f"{name}-{liar.__name__}") for name, liars in LIES.items() for liar in liars],
)
def test_who_breaks_a_promise_fails_its_case(
    name: str, liar: type[Provider], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lies.HidesWhatItDeleted, "hidden", set())
    failure = failure_of(contract_of(liar), name, request)
    assert failure is not None, f"{liar.__name__} passes"
    said = str(failure)
    assert re.search(r"\w+ \w+ \w+", said), f"the failure does not read like a sentence: {said!r}"
    assert not isinstance(failure, AssertionError) or re.search(VALUES, said), f"the failure shows no values: {said!r}"


def test_the_refusal_of_what_is_not_declared_can_fail(request: pytest.FixtureRequest) -> None:
    name = "undeclared_capabilities_are_refused_unsent"
    failure = failure_of(careless_contract_of(Example), name, request)
    assert "DID NOT RAISE" in str(failure)


@pytest.mark.parametrize(
    "name",
    [
        "a_bare_text_is_not_taken_for_ids",
        "writing_nobody_sends_nothing",
        "the_job_of_another_provider_is_refused",
    ],
)
def test_what_the_client_does_can_fail(name: str, request: pytest.FixtureRequest) -> None:
    failure = failure_of(careless_contract_of(SendGrid), name, request)
    assert re.search("DID NOT RAISE|assert 1 == 0", str(failure)), failure


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("key: example-emulator-key", "the setting secret 0"),
        ("to: jane@contoso.net", "the address jane@contoso.net"),
    ],
)
def test_a_cassette_with_a_key_or_a_real_address_fails(
    content: str, found: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "a_case.yaml").write_text(content, encoding="utf-8")
    name = "cassettes_hold_no_keys_and_no_real_addresses"
    failure = failure_of(contract_of(Example, cassettes=tmp_path), name, request)
    assert found in str(failure)


def test_a_folder_without_cassettes_fails(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    name = "cassettes_hold_no_keys_and_no_real_addresses"
    failure = failure_of(contract_of(Example, cassettes=tmp_path), name, request)
    assert "there are no cassettes" in str(failure)


def test_every_case_can_fail() -> None:
    from tests.testing.test_planted_lies import PLANTED  # late: it uses this module

    caught = LIES.keys() | set(PLANTED.values())
    assert set(names_of_cases()) == caught | NOT_THE_PROVIDERS.keys()
    assert not caught & NOT_THE_PROVIDERS.keys()


def test_every_liar_is_caught() -> None:
    liars = {
        each
        for name, each in vars(lies).items()
        if inspect.isclass(each) and each.__module__ == lies.__name__ and name[0] != "_" and name != "HonestSearch"
    }
    assert {each.__name__ for each in liars} == {each.__name__ for found in LIES.values() for each in found}


class TestHonestSearch(ProviderContract):
    """The honest one that the liars about searches are made of."""

    provider = lies.HonestSearch


class TestExample(ProviderContract):
    """The honest one that some liars with an emulator are made of."""

    provider = Example
    emulator = ExampleEmulator


def test_a_capability_without_a_case_is_a_failure_of_the_kit() -> None:
    cases = [getattr(ProviderContract, f"test_{name}").case for name in names_of_cases()]
    assert {need for case in cases for need in case.needs if case.proves} == set(CAPABILITIES)


def test_a_failure_of_the_kit_shows_values(tmp_path: Path) -> None:
    (tmp_path / "test_liar.py").write_text(LIAR, encoding="utf-8")
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    options = ("-q", "-p", "no:cacheprovider", "-k", "count_agrees and direct-sync")
    command = [sys.executable, "-m", "pytest", *options, "test_liar.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "assert 3 == 2" in done.stdout, done.stdout


LIAR = """
from contacts_core.models import Count
from contacts_core.testing import MemoryProvider, ProviderContract


class Liar(MemoryProvider):
    def count(self):
        yield from ()
        return Count(len(self.store.contacts) + 1, source="counter")


class TestLiar(ProviderContract):
    provider = Liar
"""
