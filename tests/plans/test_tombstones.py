"""Tombstones are where clients look, whatever state a run was kept in."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from contacts_core import Contact, Contacts, Identifier, connect
from contacts_core.errors import ConfigurationError
from contacts_core.plans import apply, plan_erasure
from contacts_core.storage.database import locate_storage
from contacts_core.storage.tombstones import Tombstones, blocked, guard
from tests.plans.environment import Environment


@pytest.fixture
def person(environment: Environment) -> Contact:
    return Contact(identifiers=tuple(environment.emails(1)), first_name="Jane")


@pytest.mark.parametrize("name", ["bird", "sendgrid", "user-api"])
def test_a_run_in_another_state_holds_back_imports_that_know_of_none(
    name: str, environment: Environment, person: Contact, tmp_path: Path
) -> None:
    assert apply(
        plan_erasure(person.identifiers, environment.accounts),
        environment.accounts,
        storage=tmp_path / "place",
        pause=0.02,
    ).complete
    environment.seen.clear()
    outcome = environment.clients[name].upsert_contacts([person])
    assert (outcome.succeeded_count, outcome.failed_count) == (0, 1)
    assert "erased on" in outcome.failed[0].reason
    assert environment.seen == []
    assert len(Tombstones(locate_storage())) == len(Tombstones(locate_storage(tmp_path / "place"))) == 1


def test_a_client_looks_in_its_own_state_too(environment: Environment, person: Contact, tmp_path: Path) -> None:
    Tombstones(locate_storage(tmp_path / "elsewhere")).add(person.identifiers, "run-1")
    client = environment.clients["bird"]
    with Contacts(client.provider, name="bird", guard=guard(tmp_path / "elsewhere")) as told:
        assert told.upsert_contacts([person]).failed_count == 1
    Tombstones(locate_storage()).add(person.identifiers, "run-2")
    settings: dict[str, Any] = dict(environment.server.settings("bird"))
    with connect("bird", storage=tmp_path / "third", **settings) as told:
        assert told.upsert_contacts([person]).failed_count == 1


def test_a_client_looks_in_the_same_place_after_a_change_of_folder(
    environment: Environment, person: Contact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Tombstones(locate_storage("state")).add(person.identifiers, "run-1")
    settings: dict[str, Any] = dict(environment.server.settings("bird"))
    with connect("bird", storage="state", **settings) as told:
        (tmp_path / "below").mkdir()
        monkeypatch.chdir(tmp_path / "below")
        assert told.upsert_contacts([person]).failed_count == 1


def test_where_they_cannot_be_left_nothing_is_begun(
    environment: Environment, person: Contact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "link"))
    before = environment.everyone()
    done = apply(
        plan_erasure(person.identifiers, environment.accounts),
        environment.accounts,
        storage=tmp_path / "place",
        pause=0.02,
    )
    assert done.state == "failed"
    assert "tombstones cannot be added" in done.reason
    assert environment.everyone() == before


def test_a_state_that_is_moved_away_while_a_program_runs_is_begun_anew(
    environment: Environment, person: Contact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, fresh = tmp_path / "state", Contact(identifiers=(Identifier.email("somebody.else@example.com"),))
    monkeypatch.setenv("CONTACTS_STORAGE", str(folder))
    monkeypatch.setenv("CONTACTS_RECEIPT_KEY", "a key of the tests, for no other use")
    assert list(blocked([fresh])) == [""]
    Tombstones(locate_storage()).add(fresh.identifiers, "a-run")
    folder.rename(tmp_path / "moved")
    assert plan_erasure([person.identifiers[0]], environment.accounts).apply(environment.accounts).complete
    assert (folder / "contacts.sqlite").exists()
    assert [bool(why) for why in blocked([person, fresh])] == [True, False]
    shutil.rmtree(folder)
    folder.symlink_to(tmp_path / "moved")
    with pytest.raises(ConfigurationError, match="is a link"):
        Tombstones(locate_storage()).add(person.identifiers, "another-run")
