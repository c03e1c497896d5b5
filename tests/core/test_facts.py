"""Facts about vendors are class attributes of the capability that they are about."""

from __future__ import annotations

import inspect
import re
from typing import ClassVar, get_origin, get_type_hints

import pytest

from contacts_core.provider import (
    CAPABILITIES,
    AddsToLists,
    ChangesContacts,
    CreatesConsentScopes,
    CreatesCustomFields,
    CreatesLists,
    DeletesContacts,
    ErasesMailData,
    Exports,
    ExportsFiles,
    FindsConsent,
    FindsContacts,
    GetsContacts,
    LiftsSuppressions,
    MapsFields,
    Provider,
    QueuesJobs,
    ReadsConsent,
    RemovesFromLists,
    UpsertsContacts,
    WritesConsent,
)

OF_ALL = {
    "concurrency",
    "converter",
    "costs",
    "name",
    "non_idempotent",
    "id_pattern",
    "longest_id",
    "rate_limits",
    "read_modify_write",
    "secret_patterns",
    "status_hints",
    "title",
}
OF_ONE = {
    "delete_batch_size": {DeletesContacts},
    "residual_data": {DeletesContacts},
    "deletes_consent": {DeletesContacts},
    "member_batch_size": {AddsToLists, RemovesFromLists},
    "find_batch_size": {FindsContacts},
    "find_kinds": {FindsContacts},
    "get_batch_size": {GetsContacts},
    "page_size": {Exports},
    "export_includes_lists": {Exports},
    "export_requests": {ExportsFiles},
    "left_behind": {Exports},
    "max_download": {ExportsFiles},
    "upsert_batch_size": {UpsertsContacts},
    "changeable_fields": {ChangesContacts},
    "clearable_fields": {ChangesContacts},
    "fields_defined_first": {UpsertsContacts},
    "mappable_fields": {MapsFields},
    "usual_fields": {MapsFields},
    "list_name_lengths": {CreatesLists},
    "field_name_lengths": {CreatesCustomFields},
    "field_name_pattern": {CreatesCustomFields},
    "field_types": {CreatesCustomFields},
    "reserved_field_names": {CreatesCustomFields},
    "poll_interval": {QueuesJobs},
    "consent_page_size": {ReadsConsent},
    "consent_find_batch_size": {FindsConsent},
    "consent_find_kinds": {FindsConsent},
    "consent_batch_size": {WritesConsent},
    "consent_states": {WritesConsent},
    "consent_channels": {WritesConsent},
    "consent_creates_contacts": {WritesConsent},
    "keeps_reasons": {WritesConsent},
    "keeps_dates": {WritesConsent},
    "keeps_scopes": {WritesConsent},
    "keeps_coverages": {WritesConsent},
    "keeps_evidence": {WritesConsent},
    "keeps_history": {WritesConsent},
    "lifted_reasons": {LiftsSuppressions},
    "scope_name_lengths": {CreatesConsentScopes},
    "mail_data_batch_size": {ErasesMailData},
}
CLASSES: tuple[type[Provider], ...] = (*CAPABILITIES, ExportsFiles, MapsFields)


def facts(cls: type[Provider]) -> set[str]:
    """The class attributes and settings that a class itself declares."""
    hints = get_type_hints(cls, include_extras=True, localns={"Converter": object})
    own = inspect.get_annotations(cls)
    declared = {name for name in own if get_origin(hints[name]) is ClassVar or name == "max_download"}
    return {name for name in declared if not name.startswith("_")}


def documented(cls: type[Provider]) -> set[str]:
    return set(re.findall(r"^ {4}(\w+): ", inspect.cleandoc(cls.__doc__ or ""), re.MULTILINE))


def test_the_base_class_has_only_facts_that_hold_for_all_capabilities() -> None:
    assert facts(Provider) == OF_ALL


@pytest.mark.parametrize("name", OF_ONE)
def test_a_fact_of_one_capability_is_an_attribute_of_it_alone(name: str) -> None:
    assert {cls for cls in CLASSES if name in facts(cls)} == OF_ONE[name]
    assert not hasattr(Provider, name)


def test_there_are_no_other_facts() -> None:
    assert set().union(*(facts(cls) for cls in CLASSES)) == set(OF_ONE)


@pytest.mark.parametrize("cls", [Provider, *CLASSES], ids=lambda cls: str(cls.__name__))
def test_each_fact_is_described_where_it_is_declared(cls: type[Provider]) -> None:
    assert facts(cls) <= documented(cls)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: str(cls.__name__))
def test_each_fact_of_a_capability_tells_its_default(cls: type[Provider]) -> None:
    for name in facts(cls):
        described = inspect.cleandoc(cls.__doc__ or "")
        text = re.search(rf"^ {{4}}{name}: (.*?)(?=^ {{4}}\w+: |\Z)", described, re.MULTILINE | re.DOTALL)
        assert text
        assert "Default" in text[1], name
