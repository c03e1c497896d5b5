"""What users install: the wheel's files and metadata."""

from __future__ import annotations

import email
import zipfile
from pathlib import Path, PurePosixPath

VENDORS = ("bird", "carddav", "local", "sendgrid", "user_api")
PACKAGES = {"contacts_core", *(f"contacts_{vendor}" for vendor in VENDORS)}
CACHES = {"__pycache__", ".ruff_cache"}  # the template has settings of its own for ruff, hence a cache of its own
ROOT = Path(__file__).parents[2]


def test_it_holds_the_packages_of_the_source_tree_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = {PurePosixPath(name) for name in file.namelist()}
    source = {
        PurePosixPath(path.relative_to(folder).as_posix())
        for folder in (ROOT, ROOT / "providers")
        for package in PACKAGES
        for path in (folder / package).rglob("*")
        if path.is_file() and not CACHES.intersection(path.parts)
    }
    assert {name for name in names if not name.parts[0].endswith(".dist-info")} == source


def test_every_package_says_that_it_is_typed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    assert {name.split("/")[0] for name in names if not name.split("/")[0].endswith(".dist-info")} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)


def test_its_metadata_names_the_project(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(file.read(name))
    urls = dict(url.split(", ", 1) for url in metadata.get_all("Project-URL", []))
    assert {"Source", "Documentation", "Changelog", "Issues", "Security"} <= set(urls)
    assert all(url.startswith("https://github.com/contacts-core/contacts-core") for url in urls.values())
    classifiers = metadata.get_all("Classifier", [])
    assert "Development Status :: 3 - Alpha" in classifiers
    assert "Typing :: Typed" in classifiers
    assert metadata["License-Expression"] == "MIT"
