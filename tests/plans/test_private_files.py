"""Files with secrets or people in them: only their owner reads them, they are whole, and no link leads elsewhere."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contacts_core.errors import ConfigurationError
from contacts_core.plans import plan_erasure
from contacts_core.storage.database import locate_storage
from contacts_core.storage.journal import Journal
from contacts_core.storage.private_files import owner_only
from contacts_core.storage.pseudonyms import kept_key
from tests.plans.environment import Environment


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
class TestModes:
    def test_every_folder_that_is_made_is_for_its_owner_alone(self, tmp_path: Path) -> None:
        place = locate_storage(tmp_path / "a" / "b" / "c")
        Journal(place)
        place.key()
        for folder in (tmp_path / "a", tmp_path / "a" / "b", place.folder):
            assert mode(folder) == 0o700
        assert {mode(each) for each in place.folder.iterdir()} == {0o600}

    def test_plans_and_receipts_too(self, environment: Environment, tmp_path: Path) -> None:
        path = tmp_path / "plans" / "june" / "plan.json"
        plan_erasure(environment.emails(1), environment.accounts).save(path)
        assert (mode(path), mode(path.parent), mode(path.parent.parent)) == (0o600, 0o700, 0o700)

    @pytest.mark.parametrize("mask", [0o777, 0o177])
    def test_a_mask_that_takes_everything_takes_nothing_of_ours(self, mask: int, tmp_path: Path) -> None:
        os.umask(mask)
        kept_key(tmp_path / "new" / "receipt.key")
        os.umask(0)
        assert mode(tmp_path / "new") == 0o700
        assert mode(tmp_path / "new" / "receipt.key") == 0o600


class TestRefused:
    def refused(self, place: Path, match: str) -> None:
        for use in (lambda: Journal(locate_storage(place)), lambda: locate_storage(place).key()):
            with pytest.raises(ConfigurationError, match=match) as caught:
                use()
            assert caught.value.hint

    def test_a_folder_that_is_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "state").symlink_to(tmp_path / "elsewhere")
        self.refused(tmp_path / "state", "is a link")
        assert list((tmp_path / "elsewhere").iterdir()) == []

    def test_a_folder_that_others_may_write_to(self, tmp_path: Path) -> None:
        (tmp_path / "state").mkdir()
        (tmp_path / "state").chmod(0o777)
        self.refused(tmp_path / "state", "written to by others")

    def test_a_folder_of_somebody_else(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "state").mkdir()
        mine = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
        self.refused(tmp_path / "state", "another user")

    @pytest.mark.parametrize("link", ["soft", "hard"])
    @pytest.mark.parametrize("name", ["receipt.key", "contacts.sqlite"])
    def test_a_file_that_is_a_link(self, name: str, link: str, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.write_text("a file of importance, with enough in it to be a key")
        elsewhere.chmod(0o644)
        folder = tmp_path / "state"
        folder.mkdir(mode=0o700)
        (folder / name).symlink_to(elsewhere) if link == "soft" else (folder / name).hardlink_to(elsewhere)
        with pytest.raises(ConfigurationError, match="link"):
            locate_storage(folder).key() if name == "receipt.key" else Journal(locate_storage(folder))
        assert mode(elsewhere) == 0o644

    def test_a_link_that_leads_nowhere_makes_no_file_there(self, tmp_path: Path) -> None:
        folder = tmp_path / "state"
        folder.mkdir(mode=0o700)
        (folder / "receipt.key").symlink_to(tmp_path / "planted")
        with pytest.raises(ConfigurationError, match="link"):
            locate_storage(folder).key()
        assert not (tmp_path / "planted").exists()

    def test_a_pipe_in_the_place_of_the_key(self, tmp_path: Path) -> None:
        folder = tmp_path / "state"
        folder.mkdir(mode=0o700)
        os.mkfifo(folder / "receipt.key")
        with pytest.raises(ConfigurationError, match="regular file"):
            locate_storage(folder).key()


class TestReplaced:
    def test_whoever_reads_sees_the_old_file_or_the_new_one(self, tmp_path: Path) -> None:
        path = tmp_path / "plan.json"
        with owner_only(path) as file:
            file.write("old")
        with owner_only(path) as file:
            file.write("new")
            file.flush()
            assert path.read_text() == "old"
        assert path.read_text() == "new"
        assert [each.name for each in tmp_path.iterdir()] == ["plan.json"]

    def test_an_error_half_way_leaves_the_old_one(self, tmp_path: Path) -> None:
        path = tmp_path / "receipt.jsonl"
        path.write_text("old")

        def interrupted() -> None:
            with owner_only(path) as file:
                file.write("half")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert path.read_text() == "old"
        assert [each.name for each in tmp_path.iterdir()] == ["receipt.jsonl"]

    def test_a_full_disk_leaves_the_old_one(self, tmp_path: Path) -> None:
        path = tmp_path / "plan.json"
        path.write_text("old")
        code = (
            "import resource, signal, sys; from pathlib import Path\n"
            "from contacts_core.storage.private_files import owner_only\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
            "with owner_only(Path(sys.argv[1])) as file: file.write('x' * 100_000)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, capture_output=True)
        assert done.returncode != 0
        assert path.read_text() == "old"
        assert [each.name for each in tmp_path.iterdir()] == ["plan.json"]

    def test_a_link_is_replaced_and_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "theirs").write_text("theirs")
        (tmp_path / "plan.json").symlink_to(tmp_path / "theirs")
        with owner_only(tmp_path / "plan.json") as file:
            file.write("ours")
        assert (tmp_path / "theirs").read_text() == "theirs"
        assert not (tmp_path / "plan.json").is_symlink()

    def test_a_pipe_is_written_to(self, tmp_path: Path) -> None:
        reader, writer = os.pipe()
        with owner_only(Path(f"/dev/fd/{writer}")) as file:
            file.write("through")
        os.close(writer)
        assert os.read(reader, 100) == b"through"
        os.close(reader)


def test_processes_that_come_at_the_same_moment_have_one_key(tmp_path: Path) -> None:
    code = "import sys, pathlib, contacts_core.storage.pseudonyms as k; print(k.kept_key(pathlib.Path(sys.argv[1])).id)"

    def made(_: int) -> str:
        return subprocess.check_output([sys.executable, "-c", code, str(tmp_path / "new" / "k")], text=True)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(made, range(4)))) == 1
