"""What an upsert would lose: shown before anything is written, and refused where nobody accepted it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from contacts_core.cli.output import Exit
from contacts_core.emulator import Exchange, Sandbox, running
from contacts_core.emulator.registry import emulators
from contacts_core.formats import plain
from contacts_core.models import Address, Contact, Identifier
from tests.cli.fake_provider import Run

SEEN: list[Exchange] = []
PEOPLE = [
    Contact(
        identifiers=(Identifier.email(f"jane{n}@example.com"), Identifier.external_id(f"crm-{n}")),
        first_name="Jane",
        address=Address(line2="Springfield"),  # which the emulator has no attribute for
        custom={"plan": date(2024, 2, 29) if n < 4 else "pro", "no_such_field": n},
    )
    for n in range(5)
] + [Contact(organization="Nobody")]
LOSSES = {
    ("address.line2", "NO_FIELD"): 5,
    ("custom.no_such_field", "NO_FIELD"): 5,
    ("external_id", "NO_PLACE"): 5,
    ("contact", "REFUSED"): 1,
}
ACCEPTED = (
    *("--accept-loss", "NO_FIELD:address", "--accept-loss", "NO_FIELD:custom.no_such_field"),
    *("--accept-loss", "NO_PLACE", "--accept-loss", "REFUSED:contact"),
)
Upsert = Callable[..., Any]


@pytest.fixture
def upsert(run: Run, tmp_path: Path) -> Iterator[Upsert]:
    SEEN.clear()
    path = tmp_path / "people.jsonl"
    path.write_text("".join(json.dumps(plain(each)) + "\n" for each in PEOPLE), "utf-8")
    with running(Sandbox([emulators()["bird"]], contacts=0, observer=SEEN.append)) as server:
        settings = [option for each in server.settings("bird").items() for option in ("--set", "=".join(each))]
        yield lambda *options: run("upsert", "bird", "--from-file", path, *settings, *options)


def writes() -> list[str]:
    return [exchange.method for exchange in SEEN if exchange.method not in {"GET", "HEAD"}]


def test_a_dry_run_shows_every_loss_with_masked_samples_and_writes_nothing(upsert: Upsert) -> None:
    told = upsert("--dry-run", "--json")
    assert told.code == Exit.DONE
    assert (told.json["contacts"], told.json["unchanged"]) == (6, 0)
    assert {(each["field"], each["code"]): each["count"] for each in told.json["losses"]} == LOSSES
    (line,) = [each for each in told.json["losses"] if each["field"] == "address.line2"]
    assert line["samples"] == ["email:j***@example.com: Sp***ld"] * 3
    shown = upsert("--dry-run")
    assert shown.code == Exit.DONE
    assert "6 contact(s), of which 0 would lose nothing; nothing was written" in shown.out
    for field, code in LOSSES:
        assert field in shown.out
        assert code in shown.out
    assert "jane" not in shown.out + json.dumps(told.json)
    assert "crm-" not in shown.out + json.dumps(told.json)
    assert writes() == []


def test_strict_writes_nothing_until_every_loss_is_accepted_by_name(upsert: Upsert) -> None:
    refused = upsert("--strict")
    assert refused.code == Exit.REFUSED
    assert "nothing was sent: contacts would lose NO_FIELD:address.line2 (5)" in refused.err
    for left_out in range(0, len(ACCEPTED), 2):
        some = ACCEPTED[:left_out] + ACCEPTED[left_out + 2 :]
        assert upsert("--strict", *some).code == Exit.REFUSED
    dry = upsert("--strict", "--dry-run", *ACCEPTED[2:], "--json")
    assert dry.code == Exit.REFUSED
    assert writes() == []
    done = upsert("--strict", *ACCEPTED)
    assert done.code == Exit.PARTIAL  # one of them has nothing that Bird takes
    assert len(writes()) == 5


def test_a_write_tells_what_it_left_out_and_what_it_changed(upsert: Upsert) -> None:
    done = upsert("--json")
    assert {(each["field"], each["code"]): each["count"] for each in done.json["losses"]} == {
        key: count for key, count in LOSSES.items() if key[0] != "contact"
    }
    assert set(done.json["dropped_fields"]) == {field for field, _ in LOSSES} - {"contact"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--strict", "--accept-loss", "REFUSED"), "needs a field"),
        (("--strict", "--accept-loss", "NO_CONSENT"), "needs a field"),
        (("--strict", "--accept-loss", "no_field"), "the codes are NO_PLACE, NO_FIELD"),
        (("--accept-loss", "RETYPED"), "goes with --strict"),
    ],
)
def test_what_cannot_be_accepted_is_said(upsert: Upsert, options: tuple[str, ...], said: str) -> None:
    done = upsert(*options)
    assert done.code == Exit.USAGE
    assert said in " ".join(done.err.split())
    assert SEEN == []
