"""The code blocks of README and docs run, against the emulators; names and commands in the pages exist."""

from __future__ import annotations

import ast
import importlib
import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest
import typer.main
from attrs import frozen
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

from contacts_core.cli.app import app
from contacts_core.config.accounts import environment_name
from contacts_core.config.plugins import registry
from contacts_core.emulator import Running, Sandbox, emulators, running

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])

NEW_PROVIDER = ROOT / "contacts_core" / "template" / "src"  # pages build on what `contacts new-provider` writes
# Some of the kit's cases show that the files of a page work together; test_plugin_package.py runs all of them.
SOME_CASES = {
    "docs/writing-a-provider.md": "delet or unauthenticated",
    "docs/not-json.md": "delet or export or unauthenticated",
    "docs/upserts.md": "writ or field",
    "docs/without-an-emulator.md": "delet or export",
}

FENCE = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+?) -->\n)?^```(?P<language>\w*)(?P<options>[^\n]*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
INLINE = re.compile(r"`([^`\n]+)`")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@frozen
class Block:
    """A fenced block; ``reason`` says why it is not run, ``file`` is the name that its title gives it."""

    page: Path
    line: int
    language: str
    code: str
    reason: str = ""
    file: str = ""

    def __str__(self) -> str:
        return f"{name(self.page)}:{self.line}"


def blocks(page: Path, text: str | None = None) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8") if text is None else text
    for match in FENCE.finditer(text):
        title = re.search(r'title="([^"]+)"', match["options"])
        line = text.count("\n", 0, match.start("code")) + 1
        yield Block(page, line, match["language"], match["code"], match["reason"] or "", title[1] if title else "")


def inline_code(page: Path, text: str | None = None) -> list[str]:
    text = page.read_text(encoding="utf-8") if text is None else text
    return INLINE.findall(FENCE.sub("", text))


def is_test(block: Block) -> bool:
    return Path(block.file).name.startswith("test_")


def write_files(page: Path, folder: Path) -> list[Block]:
    """Write the blocks of a page that have the name of a file."""
    written = [block for block in blocks(page) if block.language == "python" and block.file]
    for block in written:
        (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
        (folder / block.file).write_text(block.code, encoding="utf-8")
    return written


EXECUTED = [page for page in PAGES if any(block.language == "python" and not block.reason for block in blocks(page))]
LOGGERS = {"contacts_core.drift", "contacts_core.retries"}
ACCOUNTS = {"marketing": "sendgrid", "crm": "user-api"}
REQUIRED = {"api_key", "access_key", "workspace_id"}
PUBLIC = {
    "contacts_core",
    "contacts_core.access",
    "contacts_core.emulator",
    "contacts_core.errors",
    "contacts_core.formats",
    "contacts_core.models",
    "contacts_core.plans",
    "contacts_core.provider",
    "contacts_core.query",
    "contacts_core.testing",
    "contacts_core.testing.adversary_contract",
    "contacts_core.testing.adversary_plan_contract",
}
DOTTED = re.compile(r"\bcontacts_core(?:\.[A-Za-z_]\w*)+")


def account(name: str) -> str:
    """An account of a page, with the settings that the emulators put into the environment."""
    provider = registry().providers[ACCOUNTS[name]]
    settings = [field for field in attrs.fields(provider) if field.name in {*REQUIRED, "base_url"}]
    lines = [f'{field.name} = "env:{environment_name(provider, field)}"' for field in settings]
    return "\n".join([f"[accounts.{name}]", f'provider = "{provider.name}"', *lines])


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Running]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTACTS_FILE", str(tmp_path / "contacts.toml"))
    (tmp_path / "contacts.toml").write_text("\n".join(map(account, ACCOUNTS)), encoding="utf-8")
    monkeypatch.setenv("CONTACTS_STORAGE", str(tmp_path / "storage"))
    monkeypatch.setenv("CONTACTS_LOCAL_FILE", str(tmp_path / "contacts.db"))
    monkeypatch.syspath_prepend(str(NEW_PROVIDER))
    monkeypatch.syspath_prepend(str(tmp_path))
    with running(Sandbox(emulators().values(), contacts=60, speed=600)) as server:
        for vendor, settings in ((vendor, server.settings(vendor)) for vendor in emulators()):
            for field in attrs.fields(registry().providers[vendor]):
                if field.name in settings:
                    monkeypatch.setenv(environment_name(registry().providers[vendor], field), settings[field.name])
        level = logging.getLogger("contacts_core").level
        try:
            yield server
        finally:
            logging.getLogger("contacts_core").setLevel(level)
            if (instrumentor := HTTPXClientInstrumentor()).is_instrumented_by_opentelemetry:
                instrumentor.uninstrument()


@pytest.mark.parametrize("page", EXECUTED, ids=name)
def test_the_blocks_of_a_page_run_one_after_another(page: Path, vendors: Running, tmp_path: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "__page__"}
    modules = set(sys.modules)
    try:
        write_files(page, tmp_path)
        for block in blocks(page):
            if block.language != "python" or block.reason:
                continue
            if not is_test(block):
                code = compile("\n" * (block.line - 1) + block.code, str(page), "exec", dont_inherit=True)
                exec(code, namespace)  # noqa: S102 - our own pages
    finally:
        written = {path.stem for folder in (tmp_path, NEW_PROVIDER) for path in folder.iterdir()}
        for module in set(sys.modules) - modules:
            if module.partition(".")[0] in written:
                del sys.modules[module]


@pytest.mark.parametrize("page", [page for page in PAGES if any(is_test(block) for block in blocks(page))], ids=name)
def test_the_test_files_of_a_page_pass(page: Path, tmp_path: Path) -> None:
    written = write_files(page, tmp_path)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "contacts_core.testing.pytest_plugin",
    ]
    if name(page) in SOME_CASES:
        command += ["-k", SOME_CASES[name(page)]]
    done = subprocess.run(
        [*command, *(block.file for block in written if is_test(block))],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(NEW_PROVIDER)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout)


def test_most_blocks_are_run_and_those_that_are_not_say_why() -> None:
    python = [block for page in PAGES for block in blocks(page) if block.language == "python"]
    left_out = [block for block in python if block.reason]
    assert len(python) > 4 * len(left_out)
    assert all(len(block.reason.split()) > 2 for block in left_out)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_dotted_name_of_a_page_exists(page: Path) -> None:
    dotted = set(DOTTED.findall(page.read_text(encoding="utf-8"))) - LOGGERS
    assert [each for each in sorted(dotted) if not exists(each)] == []
    assert [each for each in sorted(dotted) if re.search(r"\._(?!_)", each)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_import_of_a_page_is_public(page: Path) -> None:
    """Those of blocks that are not run count too."""
    private = []
    for block in blocks(page):
        if block.language != "python":
            continue
        for node in ast.walk(ast.parse(block.code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("contacts_core"):
                assert node.module in PUBLIC, f"{block}: {node.module}"
                names = importlib.import_module(node.module).__all__
                private += [f"{block}: {node.module}.{alias.name}" for alias in node.names if alias.name not in names]
    assert private == []


@pytest.mark.parametrize("logger", sorted(LOGGERS))
def test_loggers_that_pages_name_are_used(logger: str) -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "contacts_core").rglob("*.py"))
    assert any(f'getLogger("{logger}")' in source for source in sources)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_of_a_page_exists(page: Path) -> None:
    shown = [line for block in blocks(page) if block.language in {"", "sh", "bash"} for line in command_lines(block)]
    shown += [code for code in inline_code(page) if re.match(r"contacts [a-z]", code)]
    assert [f"{line}: {wrong}" for line in shown if (wrong := unknown(line))] == []


def exists(dotted: str) -> bool:
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if hasattr(found, part):
                found = getattr(found, part)
            else:
                return attrs.has(found) and part in {field.name for field in attrs.fields(found)}
        return True
    return False


def command_lines(block: Block) -> list[str]:
    lines = block.code.replace("\\\n", " ").splitlines()
    return [line for line in lines if re.match(r"(?:\$ )?contacts [a-z]", line)]


def unknown(line: str) -> str:
    """What of a command line does not exist: a command, or an option; nothing if all of it does."""
    words = shlex.split(line.removeprefix("$ ").partition(" | ")[0].partition(" > ")[0], comments=True)[1:]
    command: Any = typer.main.get_command(app)
    options = accepted(command)
    while words and (commands := getattr(command, "commands", {})):
        if (default := getattr(command, "default_command", "")) and words[0] not in commands:
            words.insert(0, default)
        if words[0].startswith("-"):
            words.pop(0)
        elif words[0] in commands:
            command = commands[words.pop(0)]
            options |= accepted(command)
        elif getattr(command, "invoke_without_command", False) and words[0].isupper():
            break
        else:
            return f"no command {words[0]!r}"
    if "--" in words:
        words = words[: words.index("--")]
    values = {word for option, word in pairwise(words) if options.get(option)}
    given = [word for word in words if word.startswith("-") and word != "-" and word not in values]
    wrong = [word for word in given if word.partition("=")[0] not in options]
    return f"no option {wrong}" if wrong else ""


def accepted(command: Any) -> dict[str, bool]:
    """The options of a command, and whether each takes a value."""
    options = {
        option: not getattr(param, "is_flag", False)
        for param in command.params
        for option in (*param.opts, *param.secondary_opts)
    }
    return {"--help": False, **options}


def test_what_a_block_is() -> None:
    text = (
        "`a b`\n\n<!-- not run: no such vendor -->\n```python\nx\n```\n\n"
        '```python title="y.py"\ny = `z`\n```\n\n```\ncontacts count\n```\n'
    )
    first, second, third = blocks(PAGES[0], text)
    assert (first.reason, first.code, first.line) == ("no such vendor", "x\n", 5)
    assert (second.reason, second.file, second.language) == ("", "y.py", "python")
    assert command_lines(third) == ["contacts count"]
    assert inline_code(PAGES[0], text) == ["a b"]
    assert name(ROOT / "docs" / "index.md") == "docs/index.md"


def test_a_name_or_command_that_does_not_exist_is_seen() -> None:
    assert exists("contacts_core.errors.NotFound")
    assert exists("contacts_core.models.Outcome.confirmed")
    assert not exists("contacts_core.errors.NoSuchThing")
    assert not exists("contacts_core.no_such_module")
    assert unknown("contacts count sendgrid --json") == ""
    assert unknown("contacts sandbox --speed 60 -- sh --no-such-option") == ""
    assert unknown("contacts search sendgrid --sort -custom.score") == ""
    assert unknown("contacts no-such-command") == "no command 'no-such-command'"
    assert unknown("contacts count sendgrid --no-such-option=3") == "no option ['--no-such-option=3']"
