"""Rules about the files of the project itself."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILT = {
    ".git",
    ".venv",
    ".hypothesis",
    ".import_linter_cache",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "__pycache__",
    "build",
    "dist",
    "htmlcov",
    "site",
}

VENDORS = re.compile(r"sendgrid|bird|rolodex|user.api", re.IGNORECASE)
# What only one vendor says: key prefixes, authorization schemes and headers, hosts, paths, and terms of its own.
VENDOR_WORDS = re.compile(
    r"""
    \bSG\b | SG\\?\. | access[-_ ]?key
    | on-behalf-of | subuser | teammate | twilio | messagebird
    | /v3/ | marketing/contacts | /workspaces/ | /user-?api
    | data[ ]residency | sgql | erasejob | recipient[ ]data
    | phone_?number_?id | alternate[-_ ]?emails? | page_?token
    | featured_?identifiers? | attribute[-_]definitions? | computed_?display_?name
    | flat-lists | no-includes | null-includes | linkedin_?slug | ignore_merge
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Core files that may name a vendor, with the reason. It is empty, and stays so.
NAMING_VENDORS: dict[str, str] = {}

# Put together here so that this file does not hold what it forbids.
INDEXES = re.compile(
    "|".join(
        (
            r"pypi" + r"\.org",
            r"python" + r"hosted",
            r"registry\.npm" + r"js",
            r"--(?:extra-)?index" + r"-url",
            r"--find" + r"-links",
        )
    ),
    re.IGNORECASE,
)
LOCAL_PATHS = re.compile(r"(?<![\w.}/-])/(?:" + r"work/|" + r"root/|" + r"home/\w|" + r"Users/\w)")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME)\b")


def files() -> Iterator[Path]:
    for folder, names, found in os.walk(ROOT):
        names[:] = sorted(n for n in names if n not in BUILT and not n.endswith(".egg-info"))
        for name in sorted(found):
            if name != ".git" and not name.startswith(".coverage"):
                yield Path(folder) / name


def texts() -> Iterator[tuple[str, str]]:
    for path in files():
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text("utf-8")
        except UnicodeDecodeError:
            continue


def python() -> Iterator[tuple[str, ast.Module]]:
    for name, text in texts():
        if name.endswith(".py"):
            yield name, ast.parse(text, name)


def hits(pattern: re.Pattern[str], name: str, text: str) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_core_names_no_vendor() -> None:
    found = [
        hit
        for name, text in texts()
        if name.startswith("contacts_core/") and name.endswith(".py") and name not in NAMING_VENDORS
        for hit in [*hits(VENDORS, name, text), *([name] if VENDORS.search(name) else [])]
    ]
    assert not found, "\n".join(found)


def test_core_says_nothing_in_the_words_of_one_vendor() -> None:
    found = [
        hit
        for name, text in texts()
        if name.startswith("contacts_core/") and name.endswith((".py", ".html", ".toml", ".json"))
        for hit in hits(VENDOR_WORDS, name, text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("a package index", INDEXES),
        ("a path of one machine", LOCAL_PATHS),
        ("unfinished work", UNFINISHED),
    ],
    ids=["index", "path", "unfinished"],
)
def test_no_file_holds(what: str, pattern: re.Pattern[str]) -> None:
    found = [hit for name, text in texts() for hit in hits(pattern, name, text)]
    assert not found, f"{what}:\n" + "\n".join(found)


def test_constraints_are_plain_pins() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins
    assert not [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!-]+", line)]


def private(part: str) -> bool:
    return part.startswith("_") and not part.endswith("__")


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every absolute import of a file, as line and dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def test_no_private_module_or_name_is_imported_from_elsewhere() -> None:
    found = []
    for name, tree in python():
        here = name.removeprefix("providers/").removesuffix(".py").replace("/", ".")
        for line, dotted in imported(tree):
            parts = dotted.split(".")
            first = next((number for number, part in enumerate(parts) if private(part)), None)
            if first is not None and not here.startswith(".".join(parts[:first]) + "."):
                found.append(f"{name}:{line}: {dotted}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("pattern", "caught", "passed"),
    [
        (VENDORS, "class SendGrid", "class Vendor"),
        (VENDORS, "USER_API_KEY", "the user of the API"),
        (VENDOR_WORDS, r"\bSG\.[\w.-]+", "the messages. Or"),
        (VENDOR_WORDS, "Authorization: AccessKey x", "access to a key"),
        (VENDOR_WORDS, "not available because of data residency", "where data lives"),
        (VENDOR_WORDS, 'get("/v3/marketing/lists")', 'get("/v1/lists")'),
        (VENDOR_WORDS, "flat-lists", "a flat list"),
        (VENDOR_WORDS, "alternate_emails", "another e-mail address"),
        (VENDOR_WORDS, "pageToken=x", "token_page(items)"),
        (INDEXES, "https://files.python" + "hosted.org/x", "a package registry"),
        (LOCAL_PATHS, "see /work" + "/shared/x", "/workspaces/{id}/contacts"),
        (LOCAL_PATHS, "see /home" + "/jane", "https://example.com/home/jane"),
        (UNFINISHED, "# TO" + "DO: later", "mastodon"),
    ],
)
def test_the_patterns_themselves(pattern: re.Pattern[str], caught: str, passed: str) -> None:
    assert pattern.search(caught)
    assert not pattern.search(passed)
