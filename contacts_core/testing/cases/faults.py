"""Cases: what is refused, what breaks on the way, and what must stay secret."""

from __future__ import annotations

import logging

import attrs
import pytest

from contacts_core import operations
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
from contacts_core.models import Outcome, OutcomeState
from contacts_core.provider import (
    CAPABILITIES,
    CreatesLists,
    DeletesContacts,
    Exports,
    FindsContacts,
    GetsContacts,
    Provider,
    QueuesJobs,
    RemovesFromLists,
    UpsertsContacts,
    capabilities,
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


class FaultCases(Cases):
    """What failing promises."""

    @case()
    def test_undeclared_capabilities_are_refused_unsent(self, harness: Harness) -> None:
        declared = capabilities(self.provider)
        for capability in CAPABILITIES:
            if capability not in declared:
                with pytest.raises(UnsupportedOperation):
                    operations.require(harness.provider, capability)
        assert harness.requests == 0

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
        assert not any(value in f"{raised.value!r}{raised.value}" for value in self._secrets(harness.provider))

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
        self.eventually(harness, lambda: self.gone(harness, target))
        assert not self.gone(harness, other)

    @case(DeletesContacts, Exports, emulated=True)
    def test_a_contact_shown_after_its_deletion_is_not_taken_for_gone(self, harness: Harness) -> None:
        target, _ = self.people(harness)
        harness.faults.set("stale-reads", None)
        self.wait_done(harness, harness.client.delete_contacts([target.id]))
        self.eventually(harness, lambda: self.gone(harness, target))

    @case(DeletesContacts, QueuesJobs, Exports, UpsertsContacts, FindsContacts, GetsContacts, emulated=True)
    def test_a_failed_job_is_a_failed_outcome(self, harness: Harness) -> None:
        target, _ = self.people(harness)
        harness.faults.set("job-fails", 1)
        outcome: Outcome = harness.client.wait(harness.client.delete_contacts([target.id]))
        assert outcome.state is OutcomeState.FAILED
        assert outcome.succeeded_count == 0
        assert not self.gone(harness, target)

    @case(DeletesContacts, QueuesJobs, Exports, UpsertsContacts, FindsContacts, GetsContacts, emulated=True)
    def test_a_job_that_never_ends_is_a_timeout_with_the_job(self, harness: Harness) -> None:
        target, _ = self.people(harness)
        harness.faults.set("job-never-ends", 1)
        outcome = harness.client.delete_contacts([target.id])
        with pytest.raises(JobTimeout) as raised:
            harness.client.wait(outcome, timeout=300)
        assert raised.value.job.id == outcome.jobs[0].id
        assert outcome.state is OutcomeState.ACCEPTED

    @case(RemovesFromLists, UpsertsContacts, CreatesLists, Exports, FindsContacts, GetsContacts, emulated=True)
    def test_only_a_re_read_tells_that_a_removal_was_ignored(self, harness: Harness) -> None:
        new_list = harness.client.create_list("Contract kit: ignored")
        target, _ = self.people(harness, lists=[new_list.id])
        harness.faults.set("list-removal-ignored", None)
        outcome = harness.client.wait(harness.client.remove_from_list(new_list.id, [target.id]))
        assert target.id in self.members(harness, new_list.id)
        if outcome.emulated:  # the provider reads back itself
            assert outcome.state is OutcomeState.FAILED

    @case(RemovesFromLists, UpsertsContacts, CreatesLists, Exports, FindsContacts, GetsContacts, emulated=True)
    def test_a_shortfall_is_told_by_member(self, harness: Harness) -> None:
        new_list = harness.client.create_list("Contract kit: shortfall")
        people = self.people(harness, 4, lists=[new_list.id])
        harness.faults.set("partial-items", 1)
        outcome = harness.client.wait(harness.client.remove_from_list(new_list.id, [contact.id for contact in people]))
        left = self.members(harness, new_list.id)
        assert {failure.item for failure in outcome.failed} == left
        assert (outcome.state is OutcomeState.PARTIAL) is bool(left)

    @case(recorded=True)
    def test_answers_hold_no_undeclared_fields(self, harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, logger="contacts_core.drift"):
            self.probe(harness)()
            if issubclass(self.provider, Exports):
                self.people(harness, 1)
                list(harness.client.export())
        assert [record.getMessage() for record in caplog.records if record.name == "contacts_core.drift"] == []

    @case()
    def test_cassettes_hold_no_keys_and_nobodys_address(self, harness: Harness) -> None:
        folder = getattr(self, "cassettes", None)
        secrets = dict.fromkeys(self._secrets(harness.provider), "")
        if folder is None:
            return
        paths = sorted(folder.glob("*.yaml"))
        assert paths, "there are no cassettes: record them"
        named = {f"secret {number}": value for number, value in enumerate(secrets)}
        assert {path.name: found for path in paths if (found := cassettes.impurities(path, named))} == {}

    @case()
    def test_no_secret_shows(self, harness: Harness) -> None:
        shown = f"{harness.provider!r} {harness.client!r}"
        assert not any(value in shown for value in self._secrets(harness.provider))

    def _secret_names(self) -> list[str]:
        return [a.name for a in attrs.fields(self.provider) if a.metadata.get("secret")]

    def _secrets(self, provider: Provider) -> list[str]:
        return [str(getattr(provider, name)) for name in self._secret_names()]
