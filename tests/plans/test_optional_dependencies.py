"""What plans need is loaded when it is needed, and named when it is missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from contacts_core import Contact, Identifier
from contacts_core.errors import ConfigurationError
from contacts_core.plans import Receipt, plan_erasure
from contacts_core.plans.receipts.receipt import Signer
from contacts_core.storage.database import Storage, locate_storage
from contacts_core.storage.pseudonyms import PseudonymKey, kept_key
from contacts_core.storage.tombstones import Tombstones
from tests.plans.environment import Environment
from tests.plans.samples import text

EXTRA = ("dbos", "sqlalchemy", "cryptography", "psycopg", "jinja2")


@pytest.mark.parametrize(
    "code",
    [
        "import contacts_core",
        "from contacts_core import Contacts, connect",
        "from contacts_core.plans import Plan, SafetyLimits, plan_erasure, plan_erasure_async",
        "from contacts_core.plans import Receipt; from contacts_core.plans.receipts.report import html",
    ],
)
def test_nothing_of_the_extra_is_loaded_before_it_is_needed(code: str) -> None:
    look = f"{code}\nimport sys; print([name for name in {EXTRA!r} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", look], text=True).strip() == "[]"


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """An installation that lacks a package."""

    def lacking(package: str) -> None:
        for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
            monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, package, None)
        for name in ("runner", "engine", "workflows", "context"):
            monkeypatch.delitem(sys.modules, f"contacts_core.plans.execution.{name}", raising=False)
        monkeypatch.delitem(sys.modules, "contacts_core.storage.journal", raising=False)

    return lacking


class TestMissing:
    def test_applying(self, environment: Environment, without: Callable[[str], None]) -> None:
        plan = plan_erasure(environment.emails(1), environment.accounts)
        without("dbos")
        with pytest.raises(ConfigurationError, match="runs need the package dbos") as caught:
            plan.apply(environment.accounts)
        assert "contacts-core[plans]" in caught.value.hint

    def test_signing(self, without: Callable[[str], None]) -> None:
        without("cryptography")
        with pytest.raises(ConfigurationError, match="cryptography"):
            Signer.from_pem(b"")
        assert Receipt.parse(text()).signed is False

    def test_an_import_is_not_let_through_where_tombstones_cannot_be_read(
        self, environment: Environment, without: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path))
        (tmp_path / "contacts.sqlite").touch()
        without("sqlalchemy")
        contact = Contact(identifiers=(Identifier.email("a@example.com"),))
        environment.seen.clear()
        with pytest.raises(ConfigurationError, match="SQLAlchemy"):
            environment.clients["bird"].upsert_contacts([contact])
        assert environment.seen == []


class TestState:
    def test_a_folder_or_a_database(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert locate_storage(tmp_path) == Storage(tmp_path, f"sqlite:///{tmp_path}/contacts.sqlite")
        shared = locate_storage("postgresql://me:sesame@db.example.com/runs")
        assert shared.shared
        assert shared.exists
        assert "sesame" not in repr(shared)
        assert shared.queues == "postgresql+psycopg://me:sesame@db.example.com/runs"
        monkeypatch.setenv("RUNS", str(tmp_path / "b"))
        assert locate_storage("env:RUNS").folder == tmp_path / "b"
        with pytest.raises(ConfigurationError, match="PostgreSQL"):
            locate_storage("mysql://db.example.com/runs")
        assert not locate_storage().exists
        assert locate_storage().folder.name == "contacts"

    def test_the_key_comes_by_reference_from_the_accounts_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "contacts.toml").write_text('[receipts]\nkey = "env:MY_KEY"\n')
        monkeypatch.setenv("CONTACTS_FILE", str(tmp_path / "contacts.toml"))
        monkeypatch.setenv("MY_KEY", "a key out of the environment")
        assert locate_storage(tmp_path).key() == PseudonymKey(b"a key out of the environment")
        monkeypatch.setenv("CONTACTS_RECEIPT_KEY", "the key of the variable itself")
        assert locate_storage(tmp_path).key() == PseudonymKey(b"the key of the variable itself")
        monkeypatch.setenv("CONTACTS_RECEIPT_KEY", "short")
        with pytest.raises(ConfigurationError, match="shorter"):
            locate_storage(tmp_path).key()

    def test_without_one_a_key_is_made_and_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "receipt.key"
        made = kept_key(path)
        assert kept_key(path) == made
        assert path.stat().st_mode & 0o777 == 0o600
        assert kept_key(tmp_path / "other.key") != made
        assert [each.name for each in path.parent.iterdir()] == ["receipt.key"]

    def test_marks_of_any_number_of_people(self, tmp_path: Path) -> None:
        marks = Tombstones(locate_storage(tmp_path))
        people = [Identifier.email(f"p{n}@example.com") for n in range(1201)]
        marks.add(people, "run-1")
        marks.add(people[:10], "run-2")
        assert len(marks) == 1201
        contacts = [Contact(identifiers=(person,)) for person in people] + [Contact(first_name="Nobody")]
        reasons = marks.reasons(contacts)
        assert all("by run run-1" in reason for reason in reasons[:-1])
        assert reasons[-1] == ""
        assert marks.remove(people) == 1201
        assert len(marks) == 0
