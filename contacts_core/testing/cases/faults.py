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
from contacts_core.testing.harness import Trial

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


class FailingCases(Cases):
    """What failing promises."""

    @case()
    def test_undeclared_capabilities_are_refused_unsent(self, trial: Trial) -> None:
        declared = capabilities(self.provider)
        for capability in CAPABILITIES:
            if capability not in declared:
                with pytest.raises(UnsupportedOperation):
                    operations.require(trial.provider, capability)
        assert trial.requests == 0

    @case(emulated=True)
    @pytest.mark.parametrize("fault", PASSING)
    def test_a_passing_fault_is_outlasted(self, trial: Trial, fault: str) -> None:
        probe = self.probe(trial)
        expected = probe()
        before = trial.requests
        trial.faults.set(fault, 2)
        assert probe() == expected
        assert trial.requests - before >= 3

    @case(emulated=True)
    @pytest.mark.parametrize(("fault", "error"), LASTING)
    def test_a_lasting_fault_is_the_right_error(self, trial: Trial, fault: str, error: type[ProviderError]) -> None:
        probe = self.probe(trial)
        trial.faults.set(fault, None)
        with pytest.raises(error) as raised:
            probe()
        assert raised.value.provider == self.provider.name
        assert not any(value in f"{raised.value!r}{raised.value}" for value in self._secrets(trial.provider))

    @case(emulated=True)
    def test_a_wrong_key_is_named_without_the_key(self, trial: Trial) -> None:
        secrets = dict.fromkeys(self._secret_names(), "a-wrong-key-that-must-not-show")
        if not secrets:
            pytest.skip("the provider has no secret settings")
        trial.door = trial.open(**secrets)
        with pytest.raises((Unauthenticated, Forbidden)) as raised:
            self.probe(trial)()
        shown = f"{raised.value!r} {raised.value} {raised.value.hint} {trial.door!r} {trial.provider!r}"
        assert "a-wrong-key" not in shown

    @case(emulated=True)
    def test_no_vendor_at_all_is_unreachable(self, trial: Trial) -> None:
        trial.door = trial.open(base_url="http://127.0.0.1:9")
        with pytest.raises(Unreachable):
            self.probe(trial)()

    @case(DeletesContacts, Exports, emulated=True)
    @pytest.mark.parametrize("fault", PASSING)
    def test_a_deletion_is_done_once_through_a_passing_fault(self, trial: Trial, fault: str) -> None:
        target, other = self.people(trial)
        trial.faults.set(fault, 1)
        outcome = trial.door.wait(trial.door.delete_contacts([target.id]))
        assert outcome.failed_count == 0
        self.eventually(trial, lambda: self.gone(trial, target))
        assert not self.gone(trial, other)

    @case(DeletesContacts, Exports, emulated=True)
    def test_a_contact_shown_after_its_deletion_is_not_taken_for_gone(self, trial: Trial) -> None:
        target, _ = self.people(trial)
        trial.faults.set("stale-reads", None)
        self.wait_done(trial, trial.door.delete_contacts([target.id]))
        self.eventually(trial, lambda: self.gone(trial, target))

    @case(DeletesContacts, QueuesJobs, Exports, UpsertsContacts, FindsContacts, GetsContacts, emulated=True)
    def test_a_failed_job_is_a_failed_outcome(self, trial: Trial) -> None:
        target, _ = self.people(trial)
        trial.faults.set("job-fails", 1)
        outcome: Outcome = trial.door.wait(trial.door.delete_contacts([target.id]))
        assert outcome.state is OutcomeState.FAILED
        assert outcome.succeeded_count == 0
        assert not self.gone(trial, target)

    @case(DeletesContacts, QueuesJobs, Exports, UpsertsContacts, FindsContacts, GetsContacts, emulated=True)
    def test_a_job_that_never_ends_is_a_timeout_with_the_job(self, trial: Trial) -> None:
        target, _ = self.people(trial)
        trial.faults.set("job-never-ends", 1)
        outcome = trial.door.delete_contacts([target.id])
        with pytest.raises(JobTimeout) as raised:
            trial.door.wait(outcome, timeout=300)
        assert raised.value.job.id == outcome.jobs[0].id
        assert outcome.state is OutcomeState.ACCEPTED

    @case(RemovesFromLists, UpsertsContacts, CreatesLists, Exports, FindsContacts, GetsContacts, emulated=True)
    def test_only_a_re_read_tells_that_a_removal_was_ignored(self, trial: Trial) -> None:
        made = trial.door.create_list("Contract kit: ignored")
        target, _ = self.people(trial, lists=[made.id])
        trial.faults.set("list-removal-ignored", None)
        outcome = trial.door.wait(trial.door.remove_from_list(made.id, [target.id]))
        assert target.id in self.members(trial, made.id)
        if outcome.emulated:  # the provider reads back itself
            assert outcome.state is OutcomeState.FAILED

    @case(RemovesFromLists, UpsertsContacts, CreatesLists, Exports, FindsContacts, GetsContacts, emulated=True)
    def test_a_shortfall_is_told_by_member(self, trial: Trial) -> None:
        made = trial.door.create_list("Contract kit: shortfall")
        people = self.people(trial, 4, lists=[made.id])
        trial.faults.set("partial-items", 1)
        outcome = trial.door.wait(trial.door.remove_from_list(made.id, [contact.id for contact in people]))
        left = self.members(trial, made.id)
        assert {failure.item for failure in outcome.failed} == left
        assert (outcome.state is OutcomeState.PARTIAL) is bool(left)

    @case(recorded=True)
    def test_answers_hold_no_undeclared_fields(self, trial: Trial, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, logger="contacts_core.drift"):
            self.probe(trial)()
            if issubclass(self.provider, Exports):
                self.people(trial, 1)
                list(trial.door.export())
        assert [record.getMessage() for record in caplog.records if record.name == "contacts_core.drift"] == []

    @case()
    def test_cassettes_hold_no_keys_and_nobodys_address(self, trial: Trial) -> None:
        folder = getattr(self, "cassettes", None)
        secrets = dict.fromkeys(self._secrets(trial.provider), "")
        if folder is None:
            return
        paths = sorted(folder.glob("*.yaml"))
        assert paths, "there are no cassettes: record them"
        named = {f"secret {number}": value for number, value in enumerate(secrets)}
        assert {path.name: found for path in paths if (found := cassettes.impurities(path, named))} == {}

    @case()
    def test_no_secret_shows(self, trial: Trial) -> None:
        shown = f"{trial.provider!r} {trial.door!r}"
        assert not any(value in shown for value in self._secrets(trial.provider))

    def _secret_names(self) -> list[str]:
        return [a.name for a in attrs.fields(self.provider) if a.metadata.get("secret")]

    def _secrets(self, provider: Provider) -> list[str]:
        return [str(getattr(provider, name)) for name in self._secret_names()]
