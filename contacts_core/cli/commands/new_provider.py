"""`contacts new-provider`: a package with a provider that works, for its author to change."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from contacts_core.cli.options import Json

TEMPLATE = Path(__file__).parents[2] / "template"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_NAME = 30  # characters; longer ones would break lines of the template
WORDS = re.compile(r"contacts_acme|ACME|Acme(?:Provider|Emulator)?|acme")


def new_provider(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="The vendor: lower-case letters and digits, words joined by dashes.",
            show_default=False,
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="DIR", help="The folder to write; it must not exist. Default: contacts-NAME here."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the package of a new provider, with its tests.

    It works from the beginning: the provider talks to an emulator of an invented vendor, and the contract kit tests
    it. Change it step by step into the provider of a real vendor, and run the tests after each step.

    The folder holds the vendor's records (payloads.py), its requests (api.py), their translation into contacts
    (mapping.py), the provider (__init__.py), the emulator, a test, and pyproject.toml, which registers the provider.

        contacts new-provider acme
        contacts new-provider my-crm --to ~/src/my-crm
    """
    from contacts_core.cli import output

    _check_name(name)
    folder = (to or Path(f"contacts-{name}")).expanduser()
    files = _write(folder, words_of(name))
    commands = [f"cd {shlex.quote(str(folder))}", "python -m pip install -e '.[test]'", "python -m pytest"]
    if as_json:
        output.document({"provider": name, "folder": str(folder.absolute()), "files": files, "commands": commands})
        return
    output.show([f"wrote the provider {name} to {folder}; next:", "", *(f"    {each}" for each in commands)])
    output.note(["", "README.md there says what is in which file, and what to change first."])


def words_of(name: str) -> Mapping[str, str]:
    """Return what stands for each word of the template."""
    words = name.split("-")
    return {
        "contacts_acme": f"contacts_{'_'.join(words)}",
        "ACME": "_".join(words).upper(),
        "Acme": " ".join(map(str.capitalize, words)),
        "AcmeProvider": f"{''.join(map(str.capitalize, words))}Provider",
        "AcmeEmulator": f"{''.join(map(str.capitalize, words))}Emulator",
        "acme": name,
    }


def rendered(text: str, words: Mapping[str, str]) -> str:
    """Return a text of the template with the words of a provider."""
    return WORDS.sub(lambda found: words[found[0]], text)


def _check_name(name: str) -> None:
    from importlib.util import find_spec

    from contacts_core.config import plugins

    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        proper = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:LONGEST_NAME].strip("-")
        suggestion = f"; for example {proper}" if NAME.fullmatch(proper) else ""
        raise typer.BadParameter(
            f"{name!r} is not a name of a provider: a letter, then letters and digits, all in lower case, words joined"
            f" by single dashes, at most {LONGEST_NAME} characters{suggestion}"
        )
    if name in plugins.registry().providers or find_spec(words_of(name)["contacts_acme"]):
        raise typer.BadParameter(f"{name!r} is taken: a provider or a package of this name is installed here")


def _write(folder: Path, words: Mapping[str, str]) -> list[str]:
    """Write the package; gives the names of its files. Nothing is left of it if that fails."""
    try:
        folder.mkdir()
    except FileExistsError:
        raise typer.BadParameter(f"{str(folder)!r} exists already; --to names another folder") from None
    except FileNotFoundError:
        raise typer.BadParameter(f"{str(folder.parent)!r} does not exist; --to DIR is made inside it") from None
    try:
        return [_copied(source, folder, words) for source in sorted(_sources())]
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _sources() -> Iterator[Path]:
    """The files of the template, without what Python and its tools leave beside them."""
    for path in TEMPLATE.rglob("*"):
        parts = path.relative_to(TEMPLATE).parts
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in parts):
            yield path


def _copied(source: Path, folder: Path, words: Mapping[str, str]) -> str:
    name = rendered(source.relative_to(TEMPLATE).as_posix(), words)
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(rendered(source.read_text("utf-8"), words), "utf-8")
    return name
