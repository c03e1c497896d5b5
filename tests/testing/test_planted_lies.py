"""Every planted lie is caught: the table tells which case of the kit does it."""

from __future__ import annotations

import inspect
import re

import pytest

from contacts_core.provider import Provider
from tests.testing import planted_lies as planted
from tests.testing.test_contract_kit import VALUES, contract_of, failure_of

OVER: dict[type[Provider], str] = {
    # a page that is dropped, at any page size
    planted.DropsTheFirstPage: "export_has_every_identifier",
    planted.DropsTheMiddlePage: "export_has_every_identifier",
    planted.DropsTheShortLastPage: "export_has_every_identifier",
    planted.EndsAfterTheFirstWholePage: "export_has_every_identifier",
    planted.DropsAPageOfAList: "export_of_a_list_goes_beyond_one_page",
    planted.CountsTheFirstPage: "count_goes_beyond_one_page",
    planted.CountsWholePages: "count_goes_beyond_one_page",
    planted.DeletesTheFirstPageOnly: "deleting_everyone_deletes_the_last_page_too",
    planted.DeletesAllButTheShortLastPage: "deleting_everyone_deletes_the_last_page_too",
    planted.PagesForEver: "export_has_everyone_once",
    planted.RequestsForEver: "export_has_everyone_once",
    # a removal that does nothing, and a provider that can do nothing else
    planted.RemovesNoIdentifier: "removing_an_identifier_changes_nothing_else",
    planted.RemovesNobodyFromAList: "leaving_a_list_changes_nothing_else",
    planted.AddsNobodyToAList: "joining_a_list_changes_nothing_else",
    planted.DeletesNobody: "a_deletion_takes_one_contact_and_nothing_else",
    planted.DeletesNobodyAtAll: "deleting_everyone_deletes_the_last_page_too",
    planted.WritesNobody: "writing_somebody_new_changes_nobody_else",
    planted.DeletesNoList: "deleting_a_list_takes_its_members_off_it_and_nothing_else",
    # a change of something else
    planted.RemovalClearsTags: "removing_an_identifier_changes_nothing_else",
    planted.RemovalLeavesTheLists: "removing_an_identifier_changes_nothing_else",
    planted.LeavingAListClearsTheTitle: "leaving_a_list_changes_nothing_else",
    planted.JoiningAListClearsTheAddress: "joining_a_list_changes_nothing_else",
    planted.WritingClearsWhatIsNotGiven: "writing_again_changes_only_what_is_given",
    planted.WritingRenamesTheFirst: "writing_somebody_new_changes_nobody_else",
    planted.DeletingAListClearsNames: "deleting_a_list_takes_its_members_off_it_and_nothing_else",
    # changes of fields, and new fields
    planted.ChangesNobody: "changing_fields_reaches_one_contact_and_nobody_else",
    planted.ChangingCreatesWhoIsNotThere: "changing_fields_reaches_one_contact_and_nobody_else",
    planted.ChangingAgainAddsToTheValue: "changing_fields_again_changes_nothing_more",
    planted.ClearsNothing: "each_field_is_set_and_cleared_and_no_other",
    planted.SetsNothing: "changing_fields_changes_nothing_else",
    planted.ChangingClearsTheTitle: "each_field_is_set_and_cleared_and_no_other",
    planted.ClearingAPartClearsTheAddress: "each_field_is_set_and_cleared_and_no_other",
    planted.ChangingLeavesTheLists: "changing_fields_changes_nothing_else",
    planted.ChangingRemovesIdentifiers: "each_field_is_set_and_cleared_and_no_other",
    planted.CallsFailedChangesDone: "faults_strike_a_change_of_fields",
    planted.NewFieldsAreNotKept: "a_new_field_is_listed_and_takes_values",
    planted.NewFieldsAreTexts: "a_new_field_is_listed_and_takes_values",
    planted.NewFieldsTakeNoDates: "a_new_field_is_listed_and_takes_values",
    planted.HidesNewFields: "a_field_that_is_there_is_not_created_again",
    planted.NewFieldsHaveAValue: "creating_a_field_changes_no_contact",
    planted.CreatesFieldsTwice: "faults_strike_the_creation_of_a_field",
    # repetitions
    planted.SaysContactsHaveAKey: "a_contact_is_created_once_however_often_it_is_written",
    planted.SaysListsHaveAKey: "a_list_is_created_once_however_often_it_is_asked_for",
    planted.SaysFieldsHaveAKey: "a_field_is_created_once_however_often_it_is_asked_for",
    planted.JoiningAgainLeaves: "a_repeated_addition_to_a_list_changes_nothing_more",
    planted.LeavingAgainJoins: "a_repeated_removal_from_a_list_changes_nothing_more",
    planted.RemovingAgainTakesAnother: "a_repeated_removal_of_an_identifier_changes_nothing_more",
    planted.DeletingAgainTakesAnother: "a_repeated_deletion_changes_nothing_more",
    planted.ChangingAgainAddsToTheTitle: "a_repeated_change_of_fields_changes_nothing_more",
    # look-ups
    planted.FindsEndsOfAddresses: "find_takes_an_identifier_as_a_whole",
    planted.FindsAddressesInAddresses: "find_takes_an_identifier_as_a_whole",
    planted.FindsIdsOfAnyCase: "find_tells_ids_of_other_case_apart",
    planted.FindsPhonesOfAnybody: "find_takes_an_identifier_as_a_whole",
    planted.FindsAddressesAsTyped: "find_gives_none_for_nobody",
    # a field that is lost, and not named
    planted.LosesTitles: "each_field_alone_is_written_or_named_as_dropped",
    planted.LosesFullNames: "each_field_alone_is_written_or_named_as_dropped",
    planted.LosesSecondLines: "each_field_alone_is_written_or_named_as_dropped",
    planted.LosesFormattedAddresses: "each_field_alone_is_written_or_named_as_dropped",
    planted.KeepsOneTag: "each_field_alone_is_written_or_named_as_dropped",
    planted.KeepsOneAddress: "each_field_alone_is_written_or_named_as_dropped",
    planted.LosesExternalIds: "each_field_alone_is_written_or_named_as_dropped",
    planted.LosesNumbers: "each_field_alone_is_written_or_named_as_dropped",
    # what is shown before a write
    planted.ShowsOrganizationsItLoses: "what_is_shown_beforehand_is_there_afterwards",
    planted.ShowsDatesItTurnsIntoTexts: "what_is_shown_beforehand_is_there_afterwards",
    planted.LeavesTitlesOutUnsaid: "what_is_shown_beforehand_is_there_afterwards",
    # requests and settings
    planted.CreatesListsTwice: "faults_strike_the_creation_of_a_list",
    planted.CreatesContactsTwice: "faults_strike_a_write",
    planted.ShowsItsKey: "every_key_is_a_secret",
    planted.ShowsWhatItSends: "every_key_is_a_secret",
    # what became of a change
    planted.CallsAcceptedDone: "a_deletion_takes_one_contact_and_nothing_else",
    planted.CallsAcceptedWritesDone: "writing_somebody_new_changes_nobody_else",
    planted.CallsFailedAbsent: "faults_strike_a_deletion",
    planted.CallsFailedListChangesDone: "faults_strike_an_addition_to_a_list",
    planted.CallsFailedRemovalsAbsent: "faults_strike_the_removal_of_an_identifier",
    planted.CallsRunningJobsDone: "a_job_is_told_as_what_became_of_it",
    planted.CallsFailedJobsDone: "a_job_is_told_as_what_became_of_it",
    planted.CountsOneOfABatch: "deletions_are_told_contact_by_contact",
    planted.ConfirmsWhoNeverWas: "deletions_are_told_contact_by_contact",
    planted.DeletesEveryoneInSilence: "faults_strike_the_deletion_of_everyone",
    planted.DeletesListsInSilence: "faults_strike_the_deletion_of_a_list",
    planted.NewListsTakeEverybody: "creating_a_list_changes_no_contact",
    planted.SearchLosesTheLast: "a_native_search_finds_what_a_scan_finds",
    # consent
    planted.DropsAPageOfConsent: "consent_that_was_written_is_read",
    planted.WritesNoConsent: "consent_that_was_written_is_read",
    planted.FindsConsentOfOthers: "find_consent_takes_an_address_as_a_whole",
    planted.ShowsRefusalsAsGrants: "consent_that_was_written_is_read",
    planted.FindsRefusalsAsGrants: "find_consent_gives_what_was_written",
    planted.ResubscribesOnUpsert: "writing_a_contact_keeps_its_refusal",
    planted.LosesReasonsOfConsent: "a_statement_is_held_as_its_preview_says",
    planted.ForgetsEarlierStatements: "a_grant_without_evidence_overrules_no_revocation",
    planted.DecodesAddresses: "odd_addresses_stay_in_their_place",
    planted.TogglesConsent: "writing_consent_again_changes_nothing",
    planted.ShowsPendingBesides: "reading_and_finding_consent_agree",
    planted.LiftsNothing: "a_suppression_is_lifted_and_nobody_elses",
    planted.LiftsThoseOfOthers: "a_suppression_is_lifted_and_nobody_elses",
    planted.LiftsAllScopes: "a_scope_stays_suppressed_when_everything_is_lifted",
    planted.ForgetsScopes: "a_scope_is_created_once",
    planted.DeletesConsentUnsaid: "consent_is_deleted_with_a_contact_or_outlasts_it_as_the_provider_says",
    planted.KeepsConsentUnsaid: "consent_is_deleted_with_a_contact_or_outlasts_it_as_the_provider_says",
    planted.ErasesNoMailData: "mail_data_is_erased_address_by_address",
    planted.GivesUpAtOnce: "faults_strike_a_removal_from_a_list",
}
"""Claims that are too large, with the case that catches each."""

UNDER: dict[type[Provider], str] = {
    planted.HasASearchItDoesNotDeclare: "methods_belong_to_declared_capabilities",
    planted.SaysContactsHaveNoKey: "a_contact_is_created_once_however_often_it_is_written",
    planted.SaysFieldsHaveNoKey: "a_field_is_created_once_however_often_it_is_asked_for",
    planted.SaysScopesHaveNoKey: "a_scope_is_created_once_however_often_it_is_asked_for",
    planted.HasPagesItDoesNotDeclare: "methods_belong_to_declared_capabilities",
    planted.CallsTheDeletedAbsent: "a_deletion_takes_one_contact_and_nothing_else",
    planted.CallsAPartFailed: "deletions_are_told_contact_by_contact",
    planted.NamesTagsThatItShows: "what_is_shown_beforehand_is_there_afterwards",
    planted.NamesWhatItKeeps: "each_field_alone_is_written_or_named_as_dropped",
    planted.TellsNothingOfRemovals: "removing_an_identifier_changes_nothing_else",
}
"""Claims that are too small, with the case that catches each."""

PLANTED = OVER | UNDER
STAMPED: dict[type[Provider], dict[str, str]] = {planted.ShowsWhatItSends: {"stamp": "example-emulator-key"}}


@pytest.mark.parametrize(
    ("liar", "name"), [pytest.param(liar, name, id=f"{liar.__name__}-{name}") for liar, name in PLANTED.items()]
)
def test_a_planted_lie_is_caught(liar: type[Provider], name: str, request: pytest.FixtureRequest) -> None:
    contract = contract_of(liar, settings=STAMPED.get(liar, {}))
    assert getattr(contract, f"test_{name}") is not None, f"{name} does not apply to {liar.__name__}"
    failure = failure_of(contract, name, request)
    assert failure is not None, f"{liar.__name__} passes {name}"
    said = str(failure)
    assert re.search(r"\w+ \w+ \w+ \w+", said), f"the failure does not read like a sentence: {said!r}"
    assert re.search(VALUES, said), f"the failure shows no values: {said!r}"


def test_every_planted_lie_is_in_the_table() -> None:
    liars = {
        each
        for name, each in vars(planted).items()
        if inspect.isclass(each) and each.__module__ == planted.__name__ and name[0] != "_"
    }
    assert {each.__name__ for each in liars} == {each.__name__ for each in PLANTED}
    assert len(OVER) >= 36
    assert len(UNDER) >= 4
