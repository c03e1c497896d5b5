"""What only a file promises: its own format, several processes, exact changes, search that SQL answers whole."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contacts_core import Contact, Contacts, F, Identifier, Query, connect, connect_async
from contacts_core.config.accounts import open_provider
from contacts_core.errors import ConfigurationError, InvalidInput, Unavailable, UnsupportedOperation
from contacts_core.models import Address, FieldType, OutcomeState
from contacts_core.query import Compare, Op, RawQuery
from contacts_core.testing import MemoryProvider
from contacts_local import Changes, Local, search, store, writer
from contacts_local.writer import open_writer

FILE = "people.db"


@pytest.fixture
def contacts(tmp_path: Path) -> Iterator[Contacts[Local]]:
    with connect(Local, path=tmp_path / FILE) as client:
        yield client


def jane(**fields: Any) -> Contact:
    return Contact(identifiers=(Identifier.email("jane@example.com"),), **fields)


def people(count: int, first: int = 0) -> list[Contact]:
    return [Contact(identifiers=(Identifier.email(f"person{n}@example.com"),)) for n in range(first, first + count)]


def only(contacts: Contacts[Local]) -> Contact:
    (contact,) = contacts.export()
    return contact


def changes(contacts: Contacts[Local], since: int, most: int = 1000) -> Changes:
    return contacts.run(contacts.provider.changes(since, most=most))


class TestTheFile:
    def test_is_made_when_it_is_first_used_and_for_its_owner_only(self, tmp_path: Path) -> None:
        old = os.umask(0)
        try:
            with connect(Local, path=tmp_path / FILE) as contacts:
                assert not (tmp_path / FILE).exists()
                contacts.upsert_contacts([jane()])
                modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
        finally:
            os.umask(old)
        assert modes.keys() == {FILE, f"{FILE}-wal", f"{FILE}-shm"}
        assert set(modes.values()) == {0o600}

    def test_needs_no_account_and_no_key(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CONTACTS_FILE", str(tmp_path / "none.toml"))
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        monkeypatch.delenv("CONTACTS_LOCAL_FILE", raising=False)
        (tmp_path / "none.toml").touch()
        with connect("local") as contacts:
            assert contacts.count() == 0
        assert [path.name for path in (tmp_path / "data" / "contacts").iterdir()] == ["contacts.db"]
        monkeypatch.setenv("CONTACTS_LOCAL_FILE", str(tmp_path / "other.db"))
        with connect("local") as contacts:
            contacts.upsert_contacts([jane()])
        assert (tmp_path / "other.db").exists()

    def test_has_no_setting_for_an_address(self) -> None:
        with pytest.raises(ConfigurationError, match="no setting base_url") as raised:
            open_provider("local", {"base_url": "https://example.com"})
        assert "its settings are http, path" in raised.value.hint

    def test_is_the_same_account_after_a_move_and_another_one_when_it_is_new(self, tmp_path: Path) -> None:
        accounts = []
        for name in ("a.db", "b.db"):
            with connect(Local, path=tmp_path / name) as contacts:
                accounts.append(contacts.run(contacts.provider.account_id()))
        (tmp_path / "a.db").rename(tmp_path / "c.db")
        with connect(Local, path=tmp_path / "c.db") as contacts:
            accounts.append(contacts.run(contacts.provider.account_id()))
        assert accounts[0] == accounts[2] != accounts[1]

    def test_of_a_newer_version_is_refused_unchanged(self, contacts: Contacts[Local], tmp_path: Path) -> None:
        contacts.upsert_contacts([jane()])
        with sqlite3.connect(tmp_path / FILE) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
        with connect(Local, path=tmp_path / FILE) as newer, pytest.raises(ConfigurationError, match="newer") as raised:
            newer.count()
        assert "upgrade" in raised.value.hint

    def test_of_an_older_version_is_brought_up_to_date_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with connect(Local, path=tmp_path / FILE) as contacts:
            contacts.upsert_contacts([jane()])
        added = ("ALTER TABLE contact ADD COLUMN shoe_size INTEGER", "UPDATE contact SET shoe_size = 43")
        monkeypatch.setattr(store, "MIGRATIONS", (*store.MIGRATIONS, added))
        for _ in range(2):
            with connect(Local, path=tmp_path / FILE) as contacts:
                assert [each.email for each in contacts.search(RawQuery("shoe_size = 43"))] == ["jane@example.com"]

    def test_of_another_program_is_left_alone(self, tmp_path: Path) -> None:
        db = sqlite3.connect(tmp_path / "theirs.db")
        db.execute("CREATE TABLE theirs (a)")
        db.close()
        (tmp_path / "text.db").write_text("Dear diary, " * 1000, encoding="utf-8")
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        for name in ("theirs.db", "text.db"):
            with connect(Local, path=tmp_path / name) as contacts, pytest.raises(ConfigurationError):
                contacts.count()
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before

    @pytest.mark.parametrize("name", ["a%20b ?#&\n'\".db", "file:x?mode=ro", ":memory:", "é" * 120])
    def test_may_have_any_name(self, tmp_path: Path, name: str) -> None:
        with connect(Local, path=tmp_path / name) as contacts:
            contacts.upsert_contacts([jane()])
        assert [path.name for path in tmp_path.iterdir()] == [name]

    @pytest.mark.parametrize("name", ["x" * 300, "a\0b", "folder", "link", "missing/x.db", "pipe", "text/x.db"])
    def test_at_an_impossible_path_is_an_error_of_the_settings(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "link").symlink_to("link")
        (tmp_path / "text").touch()
        os.mkfifo(tmp_path / "pipe")
        before = sorted(tmp_path.iterdir())
        with pytest.raises((ConfigurationError, Unavailable)), connect(Local, path=tmp_path / name) as contacts:
            contacts.count()
        assert sorted(tmp_path.iterdir()) == before

    def test_with_damaged_contents_is_told(self, contacts: Contacts[Local], tmp_path: Path) -> None:
        contacts.upsert_contacts([jane()])
        contacts.close()
        with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
            db.execute("UPDATE contact SET data = replace(data, '[', ']')")
        with connect(Local, path=tmp_path / FILE) as damaged, pytest.raises(ConfigurationError, match="damaged"):
            list(damaged.export())

    def test_that_was_replaced_is_opened_again(self, contacts: Contacts[Local], tmp_path: Path) -> None:
        contacts.upsert_contacts(people(3))
        with connect(Local, path=tmp_path / "new.db") as other:
            other.upsert_contacts([jane()])
        for path in tmp_path.glob(f"{FILE}*"):
            path.unlink()
        (tmp_path / "new.db").rename(tmp_path / FILE)
        assert only(contacts).email == "jane@example.com"

    def test_holds_nothing_of_whom_was_deleted(self, contacts: Contacts[Local], tmp_path: Path) -> None:
        contacts.upsert_contacts([*people(5), jane(last_name="Unforgettable", custom={"note": "Unforgettable"})])
        found = contacts.find([Identifier.email("jane@example.com")])[Identifier.email("jane@example.com")]
        assert found is not None
        assert contacts.delete_contacts([found.id]).state is OutcomeState.DONE
        left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert b"Unforgettable" not in left
        assert b"jane@" not in left
        assert b"person3@" in left

    def test_takes_no_requests(self, contacts: Contacts[Local]) -> None:
        with pytest.raises(UnsupportedOperation, match="does not use HTTP"):
            contacts.request("GET", "/contacts")


class TestSeveralProcesses:
    WRITER = (
        "import sys\n"
        "from contacts_core import Contact, Identifier, connect\n"
        "who, count = sys.argv[2], int(sys.argv[3])\n"
        "with connect('local', path=sys.argv[1]) as contacts:\n"
        "    for n in range(count):\n"
        "        new = Contact(identifiers=(Identifier.email(f'{who}{n}@example.com'),))\n"
        "        shared = Contact(identifiers=(Identifier.email('shared@example.com'),), custom={who: n})\n"
        "        assert contacts.upsert_contacts([new, shared]).succeeded_count == 2\n"
    )

    def test_write_at_once_and_lose_nothing(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", self.WRITER, str(tmp_path / FILE)]
        writers = [subprocess.Popen([*command, who, "15"]) for who in ("a", "b")]
        seen: dict[str, Contact] = {}
        version, ended = 0, False
        with connect(Local, path=tmp_path / FILE) as contacts:
            while not ended:
                ended = all(writer.poll() is not None for writer in writers)
                found = changes(contacts, version, most=7)
                while True:
                    seen |= {contact.id: contact for contact in found.contacts}
                    version = found.version
                    if not found.more:
                        break
                    found = changes(contacts, version, most=7)
            assert [writer.returncode for writer in writers] == [0, 0]
            everyone = {contact.id: contact for contact in contacts.export()}
        assert len(everyone) == 31
        assert seen == everyone
        assert [c.custom for c in everyone.values() if c.email == "shared@example.com"] == [{"a": 14, "b": 14}]

    ENDLESS = (
        "import itertools, sys\n"
        "from contacts_core import Contact, Identifier, connect\n"
        "with connect('local', path=sys.argv[1]) as contacts:\n"
        "    for n in itertools.count():\n"
        "        batch = [Identifier.email(f'person{n}-{each}@example.com') for each in range(50)]\n"
        "        contacts.upsert_contacts([Contact(identifiers=(each,)) for each in batch])\n"
        "        contacts.delete_contacts([known.id for known in contacts.find(batch[:5]).values()])\n"
        "        print(n, flush=True)\n"
    )

    def test_one_that_is_killed_leaves_whole_batches_and_an_exact_log(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", self.ENDLESS, str(tmp_path / FILE)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            for _ in range(3):
                assert writer.stdout.readline()
            writer.kill()
        with closing(sqlite3.connect(tmp_path / FILE)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with connect(Local, path=tmp_path / FILE) as contacts:
            everyone = {contact.id: contact for contact in contacts.export()}
            found = changes(contacts, 0, most=1_000_000)
        assert len(everyone) % 5 == 0
        assert len(everyone) >= 135
        assert {contact.id: contact for contact in found.contacts} == everyone
        assert not everyone.keys() & set(found.gone)
        assert len(found.gone) % 5 == 0

    def test_one_that_holds_the_file_too_long_is_named(
        self, contacts: Contacts[Local], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "PATIENCE_S", 0.05)
        contacts.upsert_contacts([jane()])
        db = sqlite3.connect(tmp_path / FILE, isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        with connect(Local, path=tmp_path / FILE) as other:
            assert other.count() == 1
            with pytest.raises(Unavailable, match=r"kept people\.db locked; nothing was changed") as raised:
                other.upsert_contacts(people(1))
        assert not raised.value.unclear
        db.execute("ROLLBACK")
        db.close()
        assert contacts.count() == 1

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
    def test_one_that_was_forked_has_connections_of_its_own(self, contacts: Contacts[Local]) -> None:
        contacts.upsert_contacts([jane()])
        child = os.fork()
        if not child:
            os._exit(0 if contacts.upsert_contacts(people(2)).succeeded_count == 2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert contacts.upsert_contacts(people(4)).succeeded_count == 4
        assert contacts.count() == 5


def test_the_asynchronous_client_does_the_same(tmp_path: Path) -> None:
    async def use() -> list[str | None]:
        async with connect_async(Local, path=tmp_path / FILE) as contacts:
            await asyncio.gather(*(contacts.upsert_contacts(people(50, first)) for first in (0, 50, 100)))
            return [contact.email async for contact in contacts.search(F.email.startswith("person14"))]

    assert sorted(filter(None, asyncio.run(use()))) == sorted(
        ["person14@example.com", *(f"person14{n}@example.com" for n in range(10))]
    )


class TestChanges:
    def test_name_every_contact_that_changed_once_and_as_it_is_now(self, contacts: Contacts[Local]) -> None:
        contacts.upsert_contacts(people(5))
        first = changes(contacts, 0)
        assert (len(first.contacts), first.gone, first.more) == (5, (), False)
        news = contacts.create_list("News")
        ids = [contact.id for contact in first.contacts]
        contacts.upsert_contacts([evolve(people(1)[0], first_name="Ada")])
        contacts.add_to_list("News", ids[:2])
        contacts.delete_contacts([ids[4]])
        contacts.remove_identifier(ids[3], Identifier.email("PERSON3@example.com"))
        second = changes(contacts, first.version)
        assert second.gone == (ids[4],)
        assert {c.id: (c.first_name, c.lists, len(c.identifiers)) for c in second.contacts} == {
            ids[0]: ("Ada", (news.id,), 1),
            ids[1]: (None, (news.id,), 1),
            ids[3]: (None, (), 0),
        }
        contacts.delete_list("News")
        third = changes(contacts, second.version)
        assert [contact.id for contact in third.contacts] == ids[:2]
        assert changes(contacts, third.version) == evolve(third, contacts=())

    def test_are_none_where_a_write_changes_nothing(self, contacts: Contacts[Local]) -> None:
        contacts.upsert_contacts([jane(first_name="Jane", custom={"score": 1}, tags=("a",))])
        before, at = only(contacts), changes(contacts, 0).version
        contacts.upsert_contacts([before, jane(first_name="Jane")])
        contacts.upsert_contacts(contacts.export())
        assert changes(contacts, at).contacts == ()
        assert only(contacts) == before

    def test_of_a_version_that_never_was_are_refused(self, contacts: Contacts[Local]) -> None:
        contacts.upsert_contacts([jane()])
        for wrong in (-1, 2, 1 << 40):
            with pytest.raises(InvalidInput, match="at version 1"):
                changes(contacts, wrong)
        with pytest.raises(InvalidInput):
            changes(contacts, 0, most=0)

    @pytest.mark.parametrize("seed", range(5))
    def test_keep_a_copy_exact(self, contacts: Contacts[Local], seed: int) -> None:
        dice = random.Random(seed)
        copy: dict[str, Contact] = {}
        lists = [contacts.create_list(name).id for name in ("a", "b")]
        version = 0
        for _ in range(12):
            for _ in range(dice.randint(0, 4)):
                ids = [contact.id for contact in contacts.export()]
                some = dice.sample(ids, dice.randint(0, min(3, len(ids))))
                match dice.randint(0, 5):
                    case 0 | 1:
                        new = people(dice.randint(1, 4), dice.randint(0, 20))
                        contacts.upsert_contacts([evolve(c, first_name=dice.choice("xy")) for c in new])
                    case 2:
                        contacts.delete_contacts(some)
                    case 3:
                        contacts.add_to_list(dice.choice(lists), some)
                    case 4:
                        contacts.remove_from_list(dice.choice(lists), some)
                    case _:
                        if dice.random() < 0.2:
                            contacts.delete_all_contacts(confirm="local")
            more = True
            while more:
                found = changes(contacts, version, most=dice.randint(1, 5))
                version, more = found.version, found.more
                copy |= {contact.id: contact for contact in found.contacts}
                copy = {key: contact for key, contact in copy.items() if key not in found.gone}
            assert copy == {contact.id: contact for contact in contacts.export()}


class Clock:
    """A clock that may go backwards."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self, _zone: object = None) -> datetime:
        return self.time


WHO = st.integers(0, 5)
STEPS = st.one_of(
    st.tuples(st.just("upsert"), st.lists(WHO, min_size=1, max_size=4), st.sampled_from(["x", "y", ""])),
    st.tuples(st.just("delete"), st.lists(WHO, max_size=3)),
    st.tuples(st.just("rename"), WHO, WHO),
    st.tuples(st.just("forget"), WHO),
    st.tuples(st.just("join"), st.lists(WHO, max_size=3)),
    st.tuples(st.just("leave"), st.lists(WHO, max_size=3)),
    st.tuples(st.just("unlist")),
    st.tuples(st.just("empty")),
    st.tuples(st.just("turn_clock"), st.integers(-100_000, 1000)),
    st.tuples(st.just("read"), st.integers(1, 4)),
)


class Replayed:
    """A file that is changed step by step, and a copy that only its change log keeps up to date."""

    def __init__(self, contacts: Contacts[Local], clock: Clock) -> None:
        self.contacts, self.clock = contacts, clock
        self.copy: dict[str, Contact] = {}
        self.version = 0

    def upsert(self, who: list[int], name: str) -> None:
        given = [people(1, each)[0] for each in who]
        self.contacts.upsert_contacts([evolve(each, first_name=name or None) for each in given])

    def delete(self, who: list[int]) -> None:
        self.contacts.delete_contacts(self.ids(who))

    def rename(self, one: int, other: int) -> None:
        for each in self.contacts.get_contacts(self.ids([one])).values():
            assert each
            self.contacts.upsert_contacts([evolve(each, identifiers=people(1, other)[0].identifiers)])

    def forget(self, one: int) -> None:
        for each in self.ids([one]):
            self.contacts.remove_identifier(each, people(1, one)[0].identifiers[0])

    def join(self, who: list[int]) -> None:
        if not self.has_list():
            self.contacts.create_list("News")
        self.contacts.add_to_list("News", self.ids(who))

    def leave(self, who: list[int]) -> None:
        if self.has_list():
            self.contacts.remove_from_list("News", self.ids(who))

    def unlist(self) -> None:
        if self.has_list():
            self.contacts.delete_list("News")

    def empty(self) -> None:
        self.contacts.delete_all_contacts(confirm="local")

    def turn_clock(self, seconds: int) -> None:
        self.clock.time += timedelta(seconds=seconds)

    def has_list(self) -> bool:
        return any(each.name == "News" for each in self.contacts.lists())

    def ids(self, who: list[int]) -> list[str]:
        wanted = [each.identifiers[0] for one in who for each in people(1, one)]
        return [known.id for known in self.contacts.find(wanted).values() if known]

    def read(self, most: int) -> None:
        more = True
        while more:
            found = changes(self.contacts, self.version, most=most)
            assert found.version >= self.version
            assert not {each.id for each in found.contacts}.intersection(found.gone)
            self.version, more = found.version, found.more
            self.copy |= {contact.id: contact for contact in found.contacts}
            self.copy = {key: contact for key, contact in self.copy.items() if key not in found.gone}
        assert self.copy == {contact.id: contact for contact in self.contacts.export()}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=st.lists(STEPS, max_size=20))
def test_whatever_is_done_a_copy_that_follows_the_changes_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    clock = Clock()
    path = tmp_path_factory.mktemp("replay") / FILE
    with pytest.MonkeyPatch.context() as patch, connect(Local, path=path) as contacts:
        patch.setattr("contacts_local.records.datetime", clock)
        replayed = Replayed(contacts, clock)
        for step in steps:
            getattr(replayed, step[0])(*step[1:])
        replayed.read(2)


def test_a_clock_that_goes_backwards_changes_no_order(
    contacts: Contacts[Local], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("contacts_local.records.datetime", clock)
    contacts.upsert_contacts(people(2))
    first = changes(contacts, 0)
    clock.time -= timedelta(days=365)
    contacts.upsert_contacts([*people(1, 2), evolve(people(1)[0], first_name="Ada")])
    second = changes(contacts, first.version)
    assert [(each.email, each.first_name) for each in second.contacts] == [
        ("person2@example.com", None),
        ("person0@example.com", "Ada"),
    ]
    assert [each.email for each in contacts.export()] == [f"person{n}@example.com" for n in range(3)]
    assert second.contacts[0].created_at == clock.time


def test_a_file_whose_log_has_what_was_added_loses_no_change(tmp_path: Path) -> None:
    with connect(Local, path=tmp_path / FILE) as contacts:
        contacts.upsert_contacts(people(4))
        ids = [contact.id for contact in contacts.export()]
        contacts.upsert_contacts([evolve(people(1)[0], first_name="Ada")])
        contacts.delete_contacts(ids[1:2])
        found = [changes(contacts, since) for since in range(7)]
    with closing(sqlite3.connect(tmp_path / FILE)) as db, db:  # as the first version of the schema had it
        db.execute("INSERT INTO change SELECT version, id, 0 FROM contact WHERE n = version")
        db.execute("DROP TABLE consent")
        db.execute("PRAGMA user_version = 1")
    with connect(Local, path=tmp_path / FILE) as contacts:
        assert [changes(contacts, since) for since in range(7)] == found
    assert (len(found[0].contacts), found[0].gone) == (3, (ids[1],))


class TestContacts:
    VALUES: ClassVar[dict[str, Any]] = {
        "text": "10",
        "whole": 10,
        "large": 10**30,
        "fraction": 10.0,
        "tiny": 0.1 + 0.2,
        "yes": True,
        "day": date(2025, 1, 1),
        "time": datetime(2025, 1, 1, 12, 30, 0, 5, tzinfo=timezone(timedelta(hours=2))),
        "several": ("a", "b"),
        'q"uote.$[0]': "x",
    }

    def test_keep_the_types_of_custom_values(self, contacts: Contacts[Local]) -> None:
        contacts.upsert_contacts([jane(custom=self.VALUES)])
        stored = only(contacts).custom
        assert stored == self.VALUES
        assert {name: type(value) for name, value in stored.items()} == {
            name: type(value) for name, value in self.VALUES.items()
        }
        types = {field.name: field.type for field in contacts.custom_fields()}
        assert types.keys() == self.VALUES.keys()
        assert (types["day"], types["several"], types["yes"]) == (FieldType.DATE, FieldType.CHOICES, FieldType.BOOLEAN)
        contacts.upsert_contacts([jane(custom={"yes": "perhaps"})])
        assert {f.name: f.type for f in contacts.custom_fields()}["yes"] is FieldType.OTHER

    def test_come_back_as_they_were_written(self, contacts: Contacts[Local]) -> None:
        full = Contact(
            identifiers=(
                Identifier.email("Jane@Example.com"),
                evolve(Identifier.email("j@example.com"), primary=True, label="work"),
                Identifier.phone("202 555 0123", "+1"),
                Identifier.external_id("42"),
                Identifier.other("crm", "x y"),
            ),
            first_name="Jane",
            last_name="O'Brien 李",
            full_name="Jane O'Brien",
            address=Address("1 Example Street", "", "Springfield", "", "12345", "US"),
            organization="Example Inc.",
            title="Engineer",
            tags=("b", "a"),
            custom=self.VALUES,
            extra={"nested": {"list": [1, None, True]}},
        )
        outcome = contacts.upsert_contacts([full])
        assert (outcome.state, outcome.dropped_fields) == (OutcomeState.DONE, ())
        stored = only(contacts)
        assert stored.created_at == stored.updated_at
        assert evolve(stored, provider="", id="", lists=None, created_at=None, updated_at=None) == full
        assert [(i.value, i.primary, i.label, i.country_code) for i in stored.identifiers] == [
            (i.value, i.primary, i.label, i.country_code) for i in full.identifiers
        ]

    def test_are_found_by_the_normal_form_of_every_identifier(self, contacts: Contacts[Local]) -> None:
        contacts.upsert_contacts(
            [
                Contact(identifiers=(Identifier.email("Zoë@BÜCHER.example"), Identifier.phone("+44 (0)20 7946 0018"))),
                Contact(identifiers=(Identifier.other("a", "1"), Identifier.external_id("1"))),
                Contact(identifiers=(Identifier.other("b", "1"),)),
            ]
        )
        wanted = [
            Identifier.email("mailto:zoë@xn--bcher-kva.example"),
            Identifier.phone("+442079460018"),
            Identifier.other("a", "1"),
            Identifier.other("b", "1"),
            Identifier.external_id("1"),
            Identifier.anonymous_id("1"),
        ]
        found = contacts.find(wanted)
        ids = [contact.id for contact in contacts.export()]
        assert [found[each] and ids.index(found[each].id) for each in wanted] == [0, 0, 1, 2, 1, None]  # type: ignore[union-attr]

    def test_keep_what_a_write_does_not_give(self, contacts: Contacts[Local]) -> None:
        primary = evolve(Identifier.email("jane@example.com"), primary=True)
        news, sport = (contacts.create_list(name).id for name in ("News", "Sport"))
        contacts.upsert_contacts(
            [Contact(identifiers=(primary,), first_name="Jane", tags=("a",), custom={"a": 1, "b": 2}, extra={"x": 1})],
            lists=["News"],
        )
        again = Contact(
            identifiers=(Identifier.email("jane@example.com"), evolve(Identifier.email("j@example.com"), primary=True)),
            last_name="Doe",
            custom={"b": None, "c": "3"},
            extra={"y": 2},
        )
        contacts.upsert_contacts([again], lists=["Sport"])
        stored = only(contacts)
        assert (stored.first_name, stored.last_name, stored.tags) == ("Jane", "Doe", ("a",))
        assert (stored.custom, stored.extra) == ({"a": 1, "c": "3"}, {"x": 1, "y": 2})
        assert set(stored.lists or ()) == {news, sport}
        assert [(i.value, i.primary) for i in stored.identifiers] == [
            ("jane@example.com", False),
            ("j@example.com", True),
        ]

    def test_are_not_guessed_where_several_have_the_identifiers(self, contacts: Contacts[Local]) -> None:
        contacts.upsert_contacts(people(2))
        both = Contact(identifiers=tuple(i for contact in people(2) for i in contact.identifiers), first_name="Both")
        outcome = contacts.upsert_contacts([both])
        assert outcome.state is OutcomeState.FAILED
        assert "2 contacts have its identifiers" in outcome.failed[0].reason
        assert contacts.count() == 2
        first = next(contacts.export())
        assert contacts.upsert_contacts([evolve(first, first_name="One")]).confirmed == (first.id,)

    def test_that_cannot_be_kept_whole_are_refused_and_the_others_written(self, contacts: Contacts[Local]) -> None:
        odd = [jane(first_name="a\0b"), Contact(identifiers=people(1)[0].identifiers, extra={"x": object()})]
        fine = Contact(identifiers=(Identifier.external_id("x"),), first_name=r"a\u0000b")
        outcome = contacts.upsert_contacts([*odd, fine])
        assert [failure.item for failure in outcome.failed] == ["jane@example.com", "person0@example.com"]
        assert only(contacts).first_name == r"a\u0000b"

    def test_written_to_another_file_do_not_become_somebody_elses(
        self, contacts: Contacts[Local], tmp_path: Path
    ) -> None:
        contacts.upsert_contacts(people(3))
        with connect(Local, path=tmp_path / "other.db") as other:
            other.upsert_contacts(people(3, 10))
            other.upsert_contacts(contacts.export())
            assert sorted(contact.email or "" for contact in other.export()) == sorted(
                each.email or "" for each in [*people(3), *people(3, 10)]
            )

    def test_of_another_file_with_the_same_id_are_somebody_else(
        self, contacts: Contacts[Local], tmp_path: Path
    ) -> None:
        bob = Contact(id="1", identifiers=(Identifier.email("bob@example.com"),), first_name="Bob")
        for name, contact in (("one.db", evolve(jane(first_name="Jane"), id="1")), ("two.db", bob)):
            with open_writer(tmp_path / name, name, []) as file:
                file.write(contact)
        with connect(Local, path=tmp_path / "one.db") as one, connect(Local, path=tmp_path / "two.db") as two:
            outcome = two.upsert_contacts(one.export())
            assert outcome.state is OutcomeState.FAILED
            assert "has none of these identifiers" in outcome.failed[0].reason
            assert [(contact.first_name, contact.email) for contact in two.export()] == [("Bob", "bob@example.com")]
            renamed = Contact(provider="local", id="1", first_name="Robert")
            assert two.upsert_contacts([renamed]).confirmed == ("1",)

    def test_with_half_a_character_are_refused_by_every_operation(self, contacts: Contacts[Local]) -> None:
        half = "\ud800"
        contacts.upsert_contacts([jane()])
        for operation in (
            lambda: contacts.find([Identifier.external_id(half)]),
            lambda: contacts.create_list(half),
            lambda: list(contacts.search(RawQuery(f"id = '{half}'"))),
        ):
            with pytest.raises(InvalidInput, match="half a character"):
                operation()
        for query in (F.first_name == half, F.first_name.contains(half), F.custom[half] == 1, F.custom["a"] == half):
            assert list(contacts.search(query)) == []
        assert contacts.count() == 1

    def test_without_an_end_do_not_keep_others_from_being_written(self, contacts: Contacts[Local]) -> None:
        endless: list[Any] = []
        endless.append(endless)
        outcome = contacts.upsert_contacts([*people(1), jane(extra={"x": endless})])
        assert [failure.item for failure in outcome.failed] == ["jane@example.com"]
        assert only(contacts).email == "person0@example.com"


class TestLists:
    def test_count_their_members_exactly(self, contacts: Contacts[Local]) -> None:
        contacts.upsert_contacts(people(3))
        contacts.create_list("News")
        identifiers = [contact.identifiers[0] for contact in people(4)]
        outcome = contacts.add_to_list("News", identifiers)
        assert (outcome.succeeded_count, outcome.absent) == (3, ("person3@example.com",))
        assert [each.count for each in contacts.lists()] == [3]
        outcome = contacts.remove_from_list("News", [*identifiers[:1], *identifiers[:1]])
        assert contacts.remove_from_list("News", identifiers[:1]).absent == outcome.confirmed
        contacts.delete_contacts([next(contacts.export(lists=["News"])).id])
        assert [each.count for each in contacts.lists()] == [1]
        assert contacts.delete_all_contacts(confirm="local").succeeded_count == 2
        assert [each.count for each in contacts.lists()] == [0]


TEXTS = ["a", "A", "ab", "aB", "a%b", "_", "o'b", "ä", "Ä", " a", "", '"', "10", "2025-01-01", "20250102", "李", "1.0"]
TARGETS: list[Any] = [*TEXTS, "True", "0.3", 10, 1, 1.5, 0, 10**30, float("inf"), True, False, date(2025, 1, 1)]
TARGETS += [datetime(2025, 1, 2, tzinfo=UTC), datetime.max.replace(tzinfo=UTC), datetime(1969, 1, 1, tzinfo=UTC)]
CUSTOM: list[Any] = [*TEXTS, 10, 10.0, 1.5, 0.1 + 0.2, 0, 10**30, -(2**63), True, False, date(2025, 1, 1)]
CUSTOM += [datetime(2025, 1, 2, tzinfo=UTC), ("a", "ä"), ("2025-01-01", ""), ()]
EMAILS = ["a@example.com", "AB@example.com", "ä@example.com", "not an address", "Ä", "x+a@example.org"]
NAMES = ["first_name", "last_name", "full_name", "organization", "title", "city", "region", "postal_code", "country"]
NAMES += ["email", "phone", "external_id", "anonymous_id", "list", "tag", "created_at", "updated_at", "id", "custom"]


@st.composite
def anybody(draw: st.DrawFn, number: int) -> Contact:
    text = st.one_of(st.none(), st.sampled_from(TEXTS))
    emails = draw(st.lists(st.sampled_from(EMAILS), max_size=2, unique=True))
    return Contact(
        identifiers=(
            *(evolve(Identifier.email(f"{number}{email}"), primary=draw(st.booleans())) for email in emails),
            *([Identifier.phone(f"+120255501{number:02}")] if draw(st.booleans()) else []),
            Identifier.external_id(draw(st.sampled_from(TEXTS)) + f"-{number}"),
        ),
        first_name=draw(text),
        last_name=draw(text),
        full_name=draw(text),
        title=draw(text),
        address=Address(city=draw(st.sampled_from(TEXTS))) if draw(st.booleans()) else None,
        tags=tuple(draw(st.lists(st.sampled_from(TEXTS), max_size=2))),
        custom={"x": draw(st.sampled_from(CUSTOM))} if draw(st.booleans()) else {},
    )


def conditions() -> st.SearchStrategy[Query]:
    def compare(name: str, op: Op, target: Any) -> Query:
        made: Compare = (
            getattr(F, name)._compare(op, target) if name != "custom" else Compare("custom", op, target, "x")
        )
        return made

    one = st.builds(compare, st.sampled_from(NAMES), st.sampled_from(list(Op)), st.sampled_from([*TARGETS, *EMAILS]))
    custom = st.builds(compare, st.just("custom"), st.sampled_from(list(Op)), st.sampled_from(TARGETS))
    return st.recursive(
        one | custom,
        lambda inner: (
            st.builds(lambda a, b: a & b, inner, inner)
            | st.builds(lambda a, b: a | b, inner, inner)
            | st.builds(lambda a: ~a, inner)
        ),
        max_leaves=4,
    )


class TestSearch:
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def test_is_answered_by_sql_alone(self, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
        written = [data.draw(anybody(number)) for number in range(10, 10 + data.draw(st.integers(1, 6)))]
        with connect(Local, path=tmp_path_factory.mktemp("search") / FILE) as contacts:
            lists = [contacts.create_list(name).id for name in ("a", "b")]
            contacts.upsert_contacts(written)
            everyone = list(contacts.export())
            contacts.add_to_list(lists[0], [contact.id for contact in everyone[::2]])
            everyone = list(contacts.export())
            assert len(everyone) == len(written)
            for query in data.draw(st.lists(conditions(), min_size=8, max_size=8)):
                native = contacts.provider.translate(query)
                assert native is not None
                found = contacts.run(contacts.provider.search(native)).contacts
                assert [c.id for c in found] == [c.id for c in everyone if query.matches(c)], query

    def test_of_thousands_of_addresses_is_one_statement(self, contacts: Contacts[Local]) -> None:
        contacts.upsert_contacts(people(30))
        query = F.email.in_(f"person{n}@example.com" for n in range(20, 1200))
        assert sum(1 for _ in contacts.search(query)) == 10
        assert contacts.explain(query).text

    def test_of_more_than_sqlite_takes_is_a_scan(
        self, contacts: Contacts[Local], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(search, "MOST_VALUES", 50)
        contacts.upsert_contacts(people(30))
        many = F.email.in_(f"person{n}@example.com" for n in range(20, 60))
        assert not contacts.explain(many).text
        assert sum(1 for _ in contacts.search(many, scan=True)) == 10
        deep = F.email.is_set()
        for _ in range(160):
            deep = ~(deep & F.id.is_set())  # type: ignore[assignment]
        assert sum(1 for _ in contacts.search(deep, scan=True)) == 30

    def test_takes_sql_of_the_callers_that_only_reads(self, contacts: Contacts[Local]) -> None:
        contacts.upsert_contacts([*people(3), jane(custom={"score": 10})])
        raw = RawQuery("json_extract(data, '$.custom.score') = 10 -- a comment")
        assert [contact.email for contact in contacts.search(raw)] == ["jane@example.com"]
        assert [contact.email for contact in contacts.search(~raw & F.email.contains("2"))] == ["person2@example.com"]
        for wrong in ("nonsense", "1); DELETE FROM contact; --", "", "n IN (DELETE FROM contact)"):
            with pytest.raises(InvalidInput, match="SQLite does not understand"):
                list(contacts.search(RawQuery(wrong)))
        assert contacts.upsert_contacts(people(5)).succeeded_count == 5
        assert contacts.count() == 6


class TestExportToAFile:
    @pytest.fixture
    def vendor(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Contacts[MemoryProvider]]:
        monkeypatch.setattr(writer, "BATCH", 10)
        with Contacts(MemoryProvider(), name="crm") as client:
            client.create_list("News")
            client.upsert_contacts([evolve(each, custom={"day": date(2025, 1, 1)}) for each in people(25)], ["News"])
            yield client

    def export(self, vendor: Contacts[MemoryProvider], path: Path, source: str = "crm") -> None:
        with open_writer(path, source, vendor.lists()) as file:
            for contact in vendor.export():
                file.write(contact)

    def stop_half_way(self, file: writer.Writer) -> None:
        for contact in people(15):
            file.write(contact)
        raise TypeError("no more")

    def test_makes_an_account(self, vendor: Contacts[MemoryProvider], tmp_path: Path) -> None:
        self.export(vendor, tmp_path / FILE)
        assert [path.name for path in tmp_path.iterdir()] == [FILE]
        assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
        with connect(Local, path=tmp_path / FILE) as copy:
            theirs = {contact.id: contact for contact in vendor.export()}
            ours = {contact.id: contact for contact in copy.export(lists=["News"])}
            assert ours.keys() == theirs.keys()
            assert all(ours[key].custom == theirs[key].custom == {"day": date(2025, 1, 1)} for key in ours)
            assert [(each.name, each.count) for each in copy.lists()] == [("News", 25)]
            assert [field.name for field in copy.custom_fields()] == ["day"]

    def test_again_is_told_as_the_changes_between_both(self, vendor: Contacts[MemoryProvider], tmp_path: Path) -> None:
        self.export(vendor, tmp_path / FILE)
        with connect(Local, path=tmp_path / FILE) as copy:
            version, account = changes(copy, 0, most=9999).version, changes(copy, 0).account
            first, second, third, *_ = [contact.id for contact in vendor.export()]
            vendor.delete_contacts([first])
            vendor.remove_from_list("News", [second])
            vendor.upsert_contacts([evolve(people(3)[2], first_name="Ada"), jane()])
            self.export(vendor, tmp_path / FILE)
            found = changes(copy, version)
            assert (found.account, found.gone, found.more) == (account, (first,), False)
            assert [(c.first_name, c.email, len(c.lists or ())) for c in found.contacts] == [
                (None, "person1@example.com", 0),
                ("Ada", "person2@example.com", 1),
                (None, "jane@example.com", 0),
            ]
            assert third in {contact.id for contact in found.contacts}
            assert copy.count() == 25
            self.export(vendor, tmp_path / FILE)
            assert changes(copy, found.version).version == found.version

    def test_again_tells_who_came_back_as_there(self, tmp_path: Path) -> None:
        both = [evolve(each, provider="crm", id=f"{number}") for number, each in enumerate(people(2))]
        for exported in (both, both[:1], both):
            with open_writer(tmp_path / FILE, "crm", []) as file:
                for contact in exported:
                    file.write(contact)
        with connect(Local, path=tmp_path / FILE) as copy:
            found = changes(copy, 0)
            assert (sorted(contact.id for contact in found.contacts), found.gone) == ([each.id for each in both], ())
            copy.delete_contacts([both[1].id])
            assert [contact.id for contact in changes(copy, 0).contacts] == [both[0].id]
            assert changes(copy, 0).gone == (both[1].id,)

    def test_may_have_a_name_as_long_as_any(self, tmp_path: Path) -> None:
        name = "é" * 118 + ".db"
        for _ in range(2):
            with open_writer(tmp_path / name, "crm", []) as file:
                file.write(jane())
        assert [path.name for path in tmp_path.iterdir()] == [name]

    def test_replaces_nothing_but_an_export_of_the_same_account(
        self, vendor: Contacts[MemoryProvider], contacts: Contacts[Local], tmp_path: Path
    ) -> None:
        contacts.upsert_contacts([jane()])
        contacts.close()
        self.export(vendor, tmp_path / "crm.db")
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        for name, why in ((FILE, "holds contacts of its own"), ("crm.db", "is an export of crm")):
            with pytest.raises(InvalidInput, match=why):
                self.export(vendor, tmp_path / name, "another")
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before

    def test_that_fails_leaves_what_was_there(self, vendor: Contacts[MemoryProvider], tmp_path: Path) -> None:
        for there in ([], [FILE]):
            with pytest.raises(TypeError, match="no more"), open_writer(tmp_path / FILE, "crm", []) as file:
                self.stop_half_way(file)
            assert [path.name for path in tmp_path.iterdir()] == there
            self.export(vendor, tmp_path / FILE)
        with connect(Local, path=tmp_path / FILE) as copy:
            assert copy.count() == 25
