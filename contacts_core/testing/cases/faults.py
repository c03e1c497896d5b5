"""Cases: what is refused, what breaks on the way, and what must stay secret."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest

from contacts_core.errors import (
    Forbidden,
    JobTimeout,
    ProviderError,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UnexpectedPayload,
    Unreachable,
    UnsupportedOperation,
)
from contacts_core.models import Contact, FieldType, Identifier, Outcome, OutcomeState
from contacts_core.provider import (
    CAPABILITIES,
    AddsToLists,
    ChangesContacts,
    Counts,
    CreatesCustomFields,
    CreatesLists,
    DeletesAllContacts,
    DeletesContacts,
    DeletesLists,
    Exports,
    ExportsFiles,
    ExportsPages,
    FindsContacts,
    GetsContacts,
    Provider,
    QueuesJobs,
    ReadsCustomFields,
    ReadsLists,
    RemovesFromLists,
    RemovesIdentifiers,
    UpsertsContacts,
)
from contacts_core.testing import cassettes
from contacts_core.testing.cases.shared import Cases, case
from contacts_core.testing.harness import Harness

PASSING = ["rate-limit", "rate-limit-bare", "server-error", "unavailable", "html", "cut"]
LASTING: list[tuple[str, type[ProviderError]]] = [
    ("rate-limit", RateLimited),
    ("rate-limit-bare", RateLimited),
    ("server-error", Unavailable),
    ("unavailable", Unavailable),
    ("html", Unavailable),
    ("cut", Unreachable),
    ("truncated", UnexpectedPayload),
    ("wrong-json", UnexpectedPayload),
]

BASES: tuple[type[Provider], ...] = (
    ExportsPages,
    ExportsFiles,
)  # classes with methods of their own, besides the capabilities
KEY_NAME = re.compile(r"(^|_)(key|token|secret|password|passphrase|credentials?)$")

SOMEBODY = Identifier.email("somebody@example.com")
USES: dict[type[Provider], Callable[[Any], object]] = {
    DeletesContacts: lambda client: client.delete_contacts(["1"]),
    DeletesAllContacts: lambda client: client.delete_all_contacts(confirm=client.name),
    RemovesIdentifiers: lambda client: client.remove_identifier("1", SOMEBODY),
    RemovesFromLists: lambda client: client.remove_from_list("1", ["1"]),
    AddsToLists: lambda client: client.add_to_list("1", ["1"]),
    FindsContacts: lambda client: client.find([SOMEBODY]),
    GetsContacts: lambda client: client.get_contacts(["1"]),
    Exports: lambda client: list(client.export()),
    UpsertsContacts: lambda client: client.upsert_contacts([Contact(identifiers=(SOMEBODY,))]),
    ChangesContacts: lambda client: client.change_contact("1", set={"first_name": "Ada"}),
    Counts: lambda client: client.count(),
    ReadsLists: lambda client: client.lists(),
    CreatesLists: lambda client: client.create_list("Contract kit: undeclared"),
    DeletesLists: lambda client: client.delete_list("1"),
    ReadsCustomFields: lambda client: client.custom_fields(),
    CreatesCustomFields: lambda client: client.create_custom_field("contract_kit", FieldType.TEXT),
    QueuesJobs: lambda client: client.get_job("1"),
}
"""The use of each capability that has methods of its own in the clients; `Searches` only speeds `search` up."""

# What it takes to put people on a list, to remove them from it, and to see who is left.
SHOWN_REMOVAL = (RemovesFromLists, UpsertsContacts, CreatesLists, Exports, FindsContacts, GetsContacts)


class FaultCases(Cases):
    """What failing promises."""

    @case()
    def test_undeclared_capabilities_are_refused_unsent(self, harness: Harness) -> None:
        before = harness.requests
        for capability, use in USES.items():
            if not issubclass(self.provider, capability):
                with pytest.raises(UnsupportedOperation):
                    use(harness.client)
        assert harness.requests == before

    @case()
    def test_methods_belong_to_declared_capabilities(self, harness: Harness) -> None:
        undeclared = (each for each in (*CAPABILITIES, *BASES) if not issubclass(self.provider, each))
        methods = {
            f"{capability.__name__}.{name}"
            for capability in undeclared
            for name, method in vars(capability).items()
            if getattr(method, "__isabstractmethod__", False) and hasattr(self.provider, name)
        }
        assert methods == set(), f"{self.provider.__name__} has methods of capabilities that it does not declare"

    @case(emulated=True)
    @pytest.mark.parametrize("fault", PASSING)
    def test_a_passing_fault_is_outlasted(self, harness: Harness, fault: str) -> None:
        probe = self.probe(harness)
        expected = probe()
        before = harness.requests
        harness.faults.set(fault, 2)
        assert probe() == expected
        assert harness.requests - before >= 3

    @case(emulated=True)
    @pytest.mark.parametrize(("fault", "error"), LASTING)
    def test_a_lasting_fault_is_the_right_error(self, harness: Harness, fault: str, error: type[ProviderError]) -> None:
        probe = self.probe(harness)
        harness.faults.set(fault, None)
        with pytest.raises(error) as raised:
            probe()
        assert raised.value.provider == self.provider.name
        assert self._shown(harness.provider, f"{raised.value!r}{raised.value}") == [], (
            "the error shows a secret setting"
        )

    @case(emulated=True)
    def test_a_wrong_key_is_named_without_the_key(self, harness: Harness) -> None:
        secrets = dict.fromkeys(self._secret_names(), "a-wrong-key-that-must-not-show")
        if not secrets:
            pytest.skip("the provider has no secret settings")
        harness.client = harness.open_client(**secrets)
        with pytest.raises((Unauthenticated, Forbidden)) as raised:
            self.probe(harness)()
        shown = f"{raised.value!r} {raised.value} {raised.value.hint} {harness.client!r} {harness.provider!r}"
        assert "a-wrong-key" not in shown

    @case(emulated=True)
    def test_no_vendor_at_all_is_unreachable(self, harness: Harness) -> None:
        harness.client = harness.open_client(base_url="http://127.0.0.1:9")
        with pytest.raises(Unreachable):
            self.probe(harness)()

    @case(DeletesContacts, Exports, emulated=True)
    @pytest.mark.parametrize("fault", PASSING)
    def test_a_deletion_is_done_once_through_a_passing_fault(self, harness: Harness, fault: str) -> None:
        target, other = self.people(harness)
        harness.faults.set(fault, 1)
        outcome = harness.client.wait(harness.client.delete_contacts([target.id]))
        assert outcome.failed_count == 0
        self.expect_gone(harness, target)
        self.expect_there(harness, other)

    @case(DeletesContacts, Exports, emulated=True, proves=False)
    def test_a_contact_shown_after_its_deletion_is_not_taken_for_gone(self, harness: Harness) -> None:
        target, _ = self.people(harness)
        harness.faults.set("stale-reads", 1)
        self.wait_done(harness, harness.client.delete_contacts([target.id]))
        gone = self.gone(harness, target)
        if harness.faults.take("stale-reads"):
            pytest.skip("this emulator never shows a deleted contact")
        assert not gone, "the vendor still shows the contact, and the provider says it is gone"
        self.expect_gone(harness, target)

    @case(DeletesContacts, QueuesJobs, Exports, UpsertsContacts, FindsContacts, GetsContacts, emulated=True)
    def test_a_failed_job_is_a_failed_outcome(self, harness: Harness) -> None:
        target, _ = self.people(harness)
        harness.faults.set("job-fails", 1)
        outcome: Outcome = harness.client.wait(harness.client.delete_contacts([target.id]))
        assert outcome.state is OutcomeState.FAILED, f"the job failed, and the outcome is {outcome.state.value}"
        assert outcome.succeeded_count == 0
        self.expect_there(harness, target)

    @case(DeletesContacts, QueuesJobs, Exports, UpsertsContacts, FindsContacts, GetsContacts, emulated=True)
    def test_a_job_that_never_ends_is_a_timeout_with_the_job(self, harness: Harness) -> None:
        target, _ = self.people(harness)
        harness.faults.set("job-never-ends", 1)
        outcome = harness.client.delete_contacts([target.id])
        with pytest.raises(JobTimeout) as raised:
            harness.client.wait(outcome, timeout=300)
        assert raised.value.job.id == outcome.jobs[0].id
        assert outcome.state is OutcomeState.ACCEPTED

    @case(*SHOWN_REMOVAL, emulated=True, proves=False)
    def test_a_removal_that_is_written_back_is_read_again(self, harness: Harness) -> None:
        if RemovesFromLists not in self.provider.read_modify_write:
            pytest.skip("the vendor removes from lists itself; the provider writes nothing back")
        new_list = harness.client.create_list("Contract kit: ignored")
        target, _ = self.people(harness, lists=[new_list.id])
        harness.faults.set("list-removal-ignored", None)
        outcome = harness.client.wait(harness.client.remove_from_list(new_list.id, [target.id]))
        assert target.id in self.members(harness, new_list.id), "the emulator does not implement list-removal-ignored"
        assert outcome.emulated, "the outcome does not say that the removal was emulated"
        assert outcome.state is OutcomeState.FAILED, f"nothing was removed, and the outcome is {outcome.state.value}"
        assert [failure.item for failure in outcome.failed] == [target.id]

    @case(*SHOWN_REMOVAL, emulated=True, proves=False)
    def test_a_shortfall_is_told_by_member(self, harness: Harness) -> None:
        new_list = harness.client.create_list("Contract kit: shortfall")
        people = self.people(harness, 4, lists=[new_list.id])
        harness.faults.set("partial-items", 1)
        outcome = harness.client.wait(harness.client.remove_from_list(new_list.id, [contact.id for contact in people]))
        if harness.faults.remaining("partial-items"):
            pytest.skip("the vendor never processes only a part of the members of one request")
        remaining = self.members(harness, new_list.id)
        assert remaining, "the emulator took the fault partial-items and still removed every member"
        assert {failure.item for failure in outcome.failed} == remaining
        assert outcome.state is OutcomeState.PARTIAL

    @case(recorded=True)
    def test_answers_hold_no_undeclared_fields(self, harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, logger="contacts_core.drift"):
            self.probe(harness)()
            if issubclass(self.provider, Exports):
                if self.creates() or harness.emulator:
                    self.people(harness, 1)
                list(harness.client.export())
        assert [record.getMessage() for record in caplog.records if record.name == "contacts_core.drift"] == []

    @case()
    def test_cassettes_hold_no_keys_and_no_real_addresses(self, harness: Harness) -> None:
        folder = getattr(self, "cassettes", None)
        secrets = dict.fromkeys(self._secrets(harness.provider), "")
        if folder is None:
            pytest.skip("the provider has no cassettes")
        paths = sorted(folder.glob("*.yaml"))
        assert paths, "there are no cassettes: record them"
        named = {f"secret {number}": value for number, value in enumerate(secrets)}
        assert {path.name: found for path in paths if (found := cassettes.impurities(path, named))} == {}

    @case()
    def test_every_key_is_a_secret(self, harness: Harness) -> None:
        sent = [*harness.provider.headers().values()]
        open_keys = [
            each.name
            for each in attrs.fields(self.provider)
            if not each.metadata.get("secret") and self._is_key(each, getattr(harness.provider, each.name), sent)
        ]
        assert open_keys == [], (
            f"{', '.join(open_keys)} of {self.provider.__name__} holds a key: declare it with secret(), so that it is "
            "neither shown nor logged"
        )

    def _is_key(self, setting: attrs.Attribute[Any], value: object, headers: Sequence[str]) -> bool:
        """Whether a setting is a key by its name, or because it is sent in a header and no default stands for it."""
        if not isinstance(value, str) or not value:
            return False
        return bool(KEY_NAME.search(setting.name)) or (
            setting.default is attrs.NOTHING and any(value in header for header in headers)
        )

    @case()
    def test_no_secret_shows(self, harness: Harness) -> None:
        shown = f"{harness.provider!r} {harness.client!r}"
        assert self._shown(harness.provider, shown) == [], "repr shows a secret setting"

    def _shown(self, provider: Provider, text: str) -> list[str]:
        """The names of the secret settings whose value is in a text."""
        return [name for name in self._secret_names() if (value := str(getattr(provider, name))) and value in text]

    def _secret_names(self) -> list[str]:
        return [a.name for a in attrs.fields(self.provider) if a.metadata.get("secret")]

    def _secrets(self, provider: Provider) -> list[str]:
        return [str(getattr(provider, name)) for name in self._secret_names()]
