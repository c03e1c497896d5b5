"""Every link inside the repository leads somewhere, from the repository and from a package page alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
REPOSITORY = "https://github.com/contacts-core/contacts-core"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob(".github/**/*.md"), *ROOT.glob("docs/**/*.md")])
OTHERS = sorted([*ROOT.glob(".github/**/*.yml"), ROOT / "pyproject.toml", ROOT / "mkdocs.yml"])

CODE = re.compile(r"^ *```.*?^ *```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)
HEADING = re.compile(r"^#+\s+(.+?)\s*#*$", re.MULTILINE)
EXPLICIT = re.compile(r"\{\s*#([\w-]+)[^}]*\}|(?:id|name)=\"([^\"]+)\"")


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def links(path: Path) -> Iterator[str]:
    for match in LINK.finditer(CODE.sub("", text(path))):
        yield match[1] or match[2]


def anchors(path: Path) -> set[str]:
    """What mkdocs makes of the headings; GitHub agrees for the plain ones."""
    fenced = re.sub(r"^ *```.*?^ *```", "", text(path), flags=re.MULTILINE | re.DOTALL)
    headings = [re.sub(r"\{[^}]*\}$", "", heading) for heading in HEADING.findall(fenced)]
    words = [re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower() for heading in headings]
    explicit = {first or second for first, second in EXPLICIT.findall(fenced)}
    return {re.sub(r"[-\s]+", "-", each) for each in words} | explicit


def broken(target: Path, anchor: str) -> str:
    """What is wrong with a link into the repository, or nothing."""
    if not target.exists():
        return "no such file"
    # Reference pages get their anchors from docstrings: `mkdocs build --strict` looks at those.
    generated = target.suffix == ".md" and re.search(r"^:::", text(target), re.MULTILINE)
    if anchor and target.suffix == ".md" and not generated and anchor not in anchors(target):
        return "no such heading"
    return ""


def into_the_repository(url: str) -> tuple[Path, str] | None:
    """File and anchor of a link to this repository's own pages on the main branch."""
    match = re.match(rf"{re.escape(REPOSITORY)}/(?:blob|tree)/main/([^#?]*)(?:#(.*))?", url)
    return (ROOT / unquote(match[1]), match[2] or "") if match else None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_somewhere(path: Path) -> None:
    wrong = []
    for link in links(path):
        if found := into_the_repository(link):
            target, anchor = found
        elif re.match(r"[a-z]+:", link):
            continue
        else:
            name, _, anchor = link.partition("#")
            target = path.parent / unquote(name) if name else path
        if problem := broken(target, anchor):
            wrong.append(f"{link}: {problem}")
    assert wrong == []


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_of_forms_and_metadata_lead_somewhere(path: Path) -> None:
    urls = re.findall(r"https://github\.com/[^\s\")\]]+", text(path))
    assert [url for url in urls if (found := into_the_repository(url)) and broken(*found)] == []


def test_workflows_name_tests_and_scripts_that_exist() -> None:
    workflows = "".join(text(path) for path in sorted(ROOT.glob(".github/workflows/*.yml")))
    named = set(re.findall(r"(?<![\w/.])(?:tests|scripts)/[\w/.]+", workflows))
    assert "tests/core" in named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_readme_works_from_a_package_page() -> None:
    assert [link for link in links(ROOT / "README.md") if not link.startswith(("https://", "#"))] == []


def test_the_badges_of_the_readme_are_true() -> None:
    badges = dict(re.findall(r"\[!\[([^\]]+)\]\(([^)]+)\)\]", text(ROOT / "README.md")))
    assert badges.keys() == {"CI", "License: MIT"}
    workflow = re.fullmatch(rf"{REPOSITORY}/actions/workflows/([\w.]+)/badge\.svg\?branch=main", badges["CI"])
    assert workflow
    assert (ROOT / ".github" / "workflows" / workflow[1]).exists()
    assert text(ROOT / "LICENSE").startswith("MIT License")


def test_one_repository_is_named_everywhere() -> None:
    named = {
        match
        for path in (*PAGES, *OTHERS)
        for match in re.findall(
            r"https://github\.com/[\w.-]*contacts-core[\w.-]*/[\w-]+|github\.com/OWNER\S*", text(path)
        )
    }
    assert named == {REPOSITORY}


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("[a](b.md) and `[c](d.md)`", ["b.md"]),
        ("[![a](b.svg)](c.md)", ["b.svg"]),
        ("```\n[a](b.md)\n```\n[c](d.md#e)", ["d.md#e"]),
        ("[a]: b.md", ["b.md"]),
    ],
)
def test_what_a_link_is(page: str, found: list[str], tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(page, encoding="utf-8")
    assert list(links(path)) == found


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("# Erase people, and `prove` it\n\n## Second {#other}\n", encoding="utf-8")
    assert broken(path, "erase-people-and-prove-it") == broken(path, "other") == ""
    assert broken(path, "third") == "no such heading"
    assert broken(tmp_path / "none.md", "") == "no such file"
