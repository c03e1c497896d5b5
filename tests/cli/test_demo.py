"""The demo's own judgement, on made-up vendors."""

from __future__ import annotations

import pytest

from contacts_core.cli.commands import demo
from contacts_core.cli.commands.demo import Tour
from contacts_core.client import Contacts
from contacts_core.errors import Unavailable
from contacts_core.models import JobState
from tests.cli import fake_provider
from tests.cli.fake_provider import Acme, Bare, Queue, Vendor, person


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "PATIENCE", 0.0)


def verdicts(tour: Tour) -> dict[str, bool | None]:
    found: dict[str, bool | None] = {}
    for check in tour.checks():
        found[check.operation] = found.get(check.operation, True) and check.as_expected
    return found


def test_a_vendor_that_only_says_that_it_did_something(vendor: Vendor) -> None:
    """The made-up vendor keeps identifiers and lists as they were."""
    assert verdicts(Tour(Contacts(Acme(api_key="k")))) == {
        "search": True,
        "remove identifier": False,
        "remove from list": False,
        "delete contacts": True,
        "export": False,
    }


def test_jobs_are_waited_for_and_told(vendor: Vendor) -> None:
    vendor.queues, vendor.ends_as = True, JobState.UNKNOWN
    said = {check.operation: check.said for check in Tour(Contacts(Queue(api_key="k"))).checks()}
    assert "accepted as job" in said["delete contacts"]
    assert "cannot be read" in said["delete contacts"]


def test_a_sample_is_told(vendor: Vendor) -> None:
    vendor.shows = 2
    first = next(Tour(Contacts(Acme(api_key="k"))).checks())
    assert first.as_expected
    assert "showed 2 of 5: refused as incomplete" in first.said


def test_what_a_vendor_does_not_offer_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake_provider, "BARE_PEOPLE", [person(n) for n in range(1, 4)])
    assert verdicts(Tour(Contacts(Bare(base_url="https://bare.example")))) == {
        "search": True,
        "remove identifier": None,
        "remove from list": None,
        "delete contacts": None,
        "export": True,
    }


def test_an_error_is_a_check_that_failed(vendor: Vendor) -> None:
    vendor.errors["lists"] = Unavailable("not now, jane@example.com")
    checks = {check.operation: check for check in Tour(Contacts(Acme(api_key="k"))).checks()}
    assert checks["remove from list"].as_expected is False
    assert checks["remove from list"].said == "Unavailable: not now, j***@example.com"
    vendor.people = {"id-1": person(1, identifiers=())}
    vendor.errors.clear()
    assert verdicts(Tour(Contacts(Acme(api_key="k"))))["remove from list"] is False
    vendor.errors["page 0"] = Unavailable("down")
    (only,) = Tour(Contacts(Acme(api_key="k"))).checks()
    assert (only.as_expected, only.said) == (False, "Unavailable: down")
