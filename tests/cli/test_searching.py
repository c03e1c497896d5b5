"""What a search can ask for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from contacts_core.cli.output import Exit
from contacts_core.models import Address, Identifier
from tests.cli.fake_provider import Run, Vendor, person


@pytest.fixture
def people(vendor: Vendor) -> Vendor:
    def born(day: int) -> datetime:
        return datetime(2025, 1, day, tzinfo=UTC)

    vendor.people = {
        "id-1": person(1, created_at=born(1), custom={"score": 5, "vip": True}, tags=("a",)),
        "id-2": person(2, created_at=born(2), custom={"score": 10, "zip": "10115"}, address=Address(city="Berlin")),
        "id-3": person(
            3, created_at=born(3), custom={"score": 15}, identifiers=(Identifier.email("other@example.org"),)
        ),
        "id-4": person(4, first_name=None),
    }
    return vendor


CASES = [
    (("--where", "email$=@example.org"), [3]),
    (("--where", "email^=Person"), [1, 2, 4]),
    (("--where", "first_name*=rst2"), [2]),
    (("--where", "custom.score>=10"), [2, 3]),
    (("--where", "custom.score > 5", "--where", "custom.score < 15"), [2]),
    (("--where", "custom.score<=5"), [1]),
    (("--where", 'custom."score"!=5'), [2, 3, 4]),
    (("--where", "custom.vip=true"), [1]),
    (("--where", "custom.zip^=101"), [2]),
    (("--where", "city==Berlin"), [2]),
    (("--where", "created_at>2025-01-02"), [3]),
    (("--created-since", "2025-01-02"), [2, 3]),
    (("--created-since", "2025-01-02", "--created-before", "2025-01-03"), [2]),
    (("--updated-before", "2026-01-01"), []),
    (("--has", "phone"), [1, 2, 4]),
    (("--lacks", "phone"), [3]),
    (("--has", "custom.score,tag"), [1]),
    (("--lacks", "first_name,custom.score"), [4]),
    (("--any", "--where", "city=Berlin", "--tag", "a"), [1, 2]),
    (("--any", "--created-since", "2025-01-03", "--lacks", "first_name"), [3, 4]),
    (("--any", "--email", "other@example.org", "--email", "x@example.org"), None),
    (("--phone", "+1 (555) 010-0002", "--any"), [2]),
]


@pytest.mark.parametrize(
    ("options", "ids"), CASES, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_conditions(options: tuple[str, ...], ids: list[int] | None, run: Run, people: Vendor) -> None:
    done = run("search", "acme", *options, "--json")
    if ids is None:
        assert done.code == Exit.USAGE
        return
    assert done.code == Exit.DONE, done.err
    assert [line["id"] for line in done.lines] == [f"id-{number}" for number in ids]


@pytest.mark.parametrize(
    ("option", "text", "told"),
    [
        ("--where", "email", "no operator"),
        ("--where", "email=", "no value"),
        ("--where", "colour=red", "no field 'colour'"),
        ("--where", "created_at>yesterday", "not a time"),
        ("--where", "custom.score>high", "expected a number"),
        ("--where", "custom.=1", "no field"),
        ("--has", "colour", "no field 'colour'"),
        ("--lacks", "custom.", "no field"),
        ("--created-since", "soon", "not a time"),
        ("--updated-before", "soon", "not a time"),
    ],
)
def test_conditions_that_make_no_sense(option: str, text: str, told: str, run: Run, people: Vendor) -> None:
    done = run("search", "acme", option, text)
    assert done.code == Exit.USAGE
    assert told in done.err
    assert "search" not in people.calls
    assert "page 0" not in people.calls


def test_as_many_as_were_asked_for_are_enough_also_of_a_sample(run: Run, vendor: Vendor) -> None:
    vendor.shows = 2
    for limit, code, ids in ((1, Exit.DONE, 1), (2, Exit.DONE, 2), (3, Exit.PARTIAL, 2)):
        done = run("search", "acme", "--last-name", "O'Brien", "--limit", limit, "--json")
        assert (done.code, len(done.lines)) == (code, ids)
        table = run("search", "acme", "--last-name", "O'Brien", "--limit", limit)
        assert table.code == code
        assert len(table.out.splitlines()) == ids
        if code is Exit.DONE:
            assert "there are more" in done.err
            assert "there are more" in table.err
