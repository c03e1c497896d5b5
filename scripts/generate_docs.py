"""Regenerate what the pages take from the library: capabilities, the command line's reference, faults, the template.

Each stands between two markers, such as ``<!-- matrix:begin -->`` and ``<!-- matrix:end -->``. With
``--check`` nothing is written; a page that is out of date is shown as a diff, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer.main

from contacts_core.cli.app import app
from contacts_core.config import matrix
from contacts_core.emulator.registry import known_faults

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "contacts_core" / "template"


def command_line() -> str:
    """Every command with its arguments and options, as Markdown."""
    return "\n\n".join(reference(typer.main.get_command(app), "contacts"))


def reference(command: Any, name: str) -> Iterator[str]:
    """The sections of a command and of those below it; Typer brings its own click, hence Any."""
    children = getattr(command, "commands", {})
    yield f"{'#' * (name.count(' ') + 2)} `{name}`"
    if text := (command.help or "").replace("\f", "").strip():
        yield text
    if not children:
        yield f"```\n{usage(command, name)}\n```"
    if rows := [parameter(p) for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]:
        yield "\n".join(("| parameter | meaning |", "| --- | --- |", *rows))
    for child, below in children.items():
        if not below.hidden:
            yield from reference(below, f"{name} {child}")


def usage(command: Any, name: str) -> str:
    """One line that shows how to call a command."""
    parts = [name, *(argument(p) for p in command.params if p.param_type_name == "argument")]
    if any(p.param_type_name == "option" and not p.hidden for p in command.params):
        parts.append("[OPTIONS]")
    return " ".join(parts)


def argument(param: Any) -> str:
    """An argument as it stands in the usage line."""
    name = (param.metavar or param.name).upper()
    shown = f"{name}…" if param.nargs == -1 else name
    return shown if param.required else f"[{shown}]"


def parameter(param: Any) -> str:
    """One row of a command's table."""
    if param.param_type_name == "argument":
        names = f"`{argument(param)}`"
    else:
        names = ", ".join(f"`{name}`" for name in (*param.opts, *param.secondary_opts))
    meaning = re.sub(r"\s+", " ", getattr(param, "help", None) or "").strip()
    default = param.default
    if isinstance(default, (int, float, str)) and not isinstance(default, bool) and default != "":
        meaning = f"{meaning} (default: `{default}`)".strip()
    meaning = meaning.replace("|", r"\|")
    return f"| {names} | {meaning} |"


def faults() -> str:
    """The faults of the emulators, as Markdown."""
    return "\n".join(
        ("| fault | what happens |", "| --- | --- |", *(f"| `{n}` | {text} |" for n, text in known_faults().items()))
    )


def template(name: str) -> Callable[[], str]:
    """A file of the package that `contacts new-provider` writes, as a block that has its name."""
    path = TEMPLATE / name
    title = name.removeprefix("src/")

    def block() -> str:
        return f'```python title="{title}"\n{path.read_text("utf-8")}```'

    return block


GUIDE = "docs/writing-a-provider.md"
GENERATED: tuple[tuple[str, str, Callable[[], str]], ...] = (
    ("README.md", "matrix", matrix.markdown),
    ("docs/providers/index.md", "matrix", matrix.markdown),
    ("docs/cli.md", "cli", command_line),
    ("docs/emulators.md", "faults", faults),
    (GUIDE, "template-provider", template("src/contacts_acme/__init__.py")),
    (GUIDE, "template-payloads", template("src/contacts_acme/payloads.py")),
    (GUIDE, "template-api", template("src/contacts_acme/api.py")),
    (GUIDE, "template-mapping", template("src/contacts_acme/mapping.py")),
    (GUIDE, "template-emulator", template("src/contacts_acme/emulator.py")),
    (GUIDE, "template-test", template("tests/test_contacts_acme.py")),
)


def regenerated(text: str, marker: str, content: str) -> str | None:
    """The page with what stands between the markers replaced, or None where a marker is missing."""
    begin, end = f"<!-- {marker}:begin -->", f"<!-- {marker}:end -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        return None
    return f"{before}{begin}\n\n{content.strip()}\n\n{end}{after}"


def main() -> int:
    """Write the pages, or with --check compare them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where out of date")
    check: bool = parser.parse_args().check

    stale = False
    for name, marker, produce in GENERATED:
        page = ROOT / name
        old = page.read_text("utf-8") if page.exists() else ""
        new = regenerated(old, marker, produce())
        if new is None:
            print(f"{name}: no {marker} markers", file=sys.stderr)
            stale = True
        elif new != old and check:
            stale = True
            before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
            sys.stdout.writelines(difflib.unified_diff(before, after, name, f"{name} (generated)"))
        elif new != old:
            page.write_text(new, "utf-8")
            print(f"{name}: {marker} written")
    if stale and check:
        print("out of date; run: make format", file=sys.stderr)
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
