"""Arguments and options that several commands share, and how the text of each becomes a value.

An option that takes several values may be given several times, and its values may be joined by commas; one that takes
NAME=VALUE may be given several times; any other is given once (`contacts_core.cli.app.Strict` refuses a second one).
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from contacts_core.cli import completion, output

if TYPE_CHECKING:
    from contacts_core.models import Identifier
    from contacts_core.provider import Provider

DEFAULT_ACCOUNT = "."  # what stands for the default account
N = TypeVar("N", int, float)

PHONE = "With the country code, such as +12025550123."
EXTERNAL_ID = "Your own id of the contact."
ANONYMOUS_ID = "The id of a visitor who was not identified yet."
SEVERAL = "Repeatable, or separated by commas."
QUOTES = "quotes around a value keep its commas"
LONGEST_TIMEOUT = 365 * 24 * 3600.0  # seconds
WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


def split(text: str) -> list[str]:
    """The values of one text that holds several, separated by commas.

    A comma counts as part of a value between double quotes that begin the value, and so does what follows a backslash
    there. Quotes around a whole value are taken off; those around a part of it stay (``"a,b"@example.com``).

    Raises:
        ValueError: A quote is never closed, or a value is blank.
    """
    values: list[str] = []
    rest = text
    while True:
        rest = rest.lstrip()
        quoted = re.match(r'"((?:[^"\\]|\\.)*)"', rest) if rest.startswith('"') else None
        if rest.startswith('"') and not quoted:
            raise ValueError("a quote is not closed")
        start = quoted.end() if quoted else 0
        comma = rest.find(",", start)
        value = (rest if comma < 0 else rest[:comma]).strip()
        if quoted and value == quoted[0]:
            value = re.sub(r"\\(.)", r"\1", quoted[1])
        if not value.strip():
            raise ValueError("a value is blank")
        values.append(value)
        if comma < 0:
            return values
        rest = rest[comma + 1 :]


def _split_each(texts: list[str] | None) -> list[str] | None:
    """The values of an option that was given several times, each once, in the order of the command line."""
    try:
        values = [value for text in texts or () for value in split(text)]
    except ValueError as error:
        raise typer.BadParameter(f"{error}; {QUOTES}") from None
    return list(dict.fromkeys(values)) or None


def _only_one(text: str | None) -> str | None:
    """The one value of an option that takes no second one."""
    values = _split_each([text] if text is not None else None) or []
    if len(values) > 1:
        raise typer.BadParameter(f"it takes one value; {QUOTES}")
    return values[0] if values else None


def several(name: str, metavar: str, about: str, **options: Any) -> Any:
    """An option that takes several values: repeatable, and split at commas."""
    return typer.Option(name, metavar=metavar, help=f"{about} {SEVERAL}".strip(), callback=_split_each, **options)


def one(name: str, metavar: str, about: str = "") -> Any:
    """An option that takes one identifier; two joined by a comma are refused."""
    return typer.Option(name, metavar=metavar, help=about or None, callback=_only_one)


def number(
    name: str, about: str, least: float, most: float, *, whole: bool = True, metavar: str = "N", **options: Any
) -> Any:
    """An option that takes a number of plain ASCII digits, from ``least`` to ``most``."""
    bounds = f"a {'whole number' if whole else 'number'} from {least:g} to {most:g}"

    def parsed(text: object) -> float:
        if not isinstance(text, str):  # the default
            return text  # type: ignore[return-value]
        if not (WHOLE if whole else DECIMAL).fullmatch(text):
            raise typer.BadParameter(f"{text!r} is not {bounds}")
        value = int(text) if whole else float(text)
        if not least <= value <= most:
            raise typer.BadParameter(f"{text!r} is not {bounds}")
        return value

    return typer.Option(name, metavar=metavar, help=about, parser=parsed, **options)


def existing(text: str | Path) -> Path:
    """A file to read: a regular one, or a pipe.

    Raises:
        typer.BadParameter: It does not exist, may not be read, or is a folder or a device.
    """
    path = Path(text)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise typer.BadParameter(f"{str(path)!r}: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise typer.BadParameter(f"{str(path)!r} is a folder")
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or _same_as_stdin(path)):
        raise typer.BadParameter(f"{str(path)!r} is a device; a file or a pipe is needed")
    if not os.access(path, os.R_OK):
        raise typer.BadParameter(f"{str(path)!r} may not be read")
    return path


def input_file(text: str | Path) -> Path:
    """A file to read, or ``-`` for standard input."""
    return Path(text) if str(text) == "-" else existing(text)


def output_file(text: str | Path) -> Path:
    """A file to write, or a pipe.

    Raises:
        typer.BadParameter: It is a folder.
    """
    path = Path(text)
    if str(text) == "-":
        raise typer.BadParameter("name a file; '-' is not one (--json writes to standard output)")
    if path.is_dir():
        raise typer.BadParameter(f"{str(path)!r} is a folder")
    return path


def whole_file(text: str | Path) -> Path:
    """A file to write that gets its name when it is complete, so that it cannot be a pipe or a device."""
    path = output_file(text)
    if path.exists() and not path.is_file():
        raise typer.BadParameter(f"{str(path)!r} is a pipe or a device; a file is needed")
    return path


def _same_as_stdin(path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(sys.stdin.fileno())) and sys.stdin.isatty()
    except (OSError, ValueError):
        return False


def chosen_account(name: str) -> str:
    """The account's name, or the default account for ``.``.

    Raises:
        ConfigurationError: There is no default account.
    """
    if name != DEFAULT_ACCOUNT:
        return name
    from contacts_core.config.accounts import default_account
    from contacts_core.errors import ConfigurationError

    named = default_account()
    if not named:
        raise ConfigurationError(
            "no account is named, and there is no default account",
            hint="`contacts accounts default NAME` sets one; `contacts accounts` shows which there are",
        )
    return named


Account = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT",
        help="Account or provider. If left out, or `.`: the default account.",
        default_factory=lambda: DEFAULT_ACCOUNT,
        show_default=False,
        autocompletion=completion.accounts,
    ),
]
RequiredAccount = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT",
        help="Account or provider; `.` means the default account.",
        show_default=False,
        autocompletion=completion.accounts,
    ),
]
RunId = Annotated[
    str, typer.Argument(metavar="RUN", help="The id of the run.", show_default=False, autocompletion=completion.runs)
]

ListId = Annotated[
    str,
    typer.Argument(
        metavar="LIST",
        help="The list: its id or its exact name.",
        show_default=False,
        autocompletion=completion.lists,
    ),
]
ContactId = Annotated[str, typer.Argument(metavar="ID", help="The vendor's id of the contact.", show_default=False)]
Lists = Annotated[
    list[str] | None,
    several("--list", "LIST", "Only contacts on these lists: ids or exact names.", autocompletion=completion.lists),
]
Json = Annotated[
    bool, typer.Option("--json", help="Write JSON to stdout: one document; JSON Lines from search and export.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A provider setting, such as base_url=…; repeatable. Keys belong in the environment.",
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="PLACE",
        help="Where runs, receipts and tombstones are kept: a folder or a postgresql:// URL.",
    ),
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask for confirmation; required if there is no terminal.")
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the vendor's jobs have finished.")]
Timeout = Annotated[
    float,
    number("--timeout", "Longest time to wait, in seconds.", 0, LONGEST_TIMEOUT, whole=False, metavar="SECONDS"),
]

Fields = Annotated[
    list[str] | None,
    several("--fields", "NAME,NAME", "Show only these fields, in this order.", autocompletion=completion.shown_fields),
]
Sort = Annotated[
    list[str] | None,
    several(
        "--sort",
        "NAME",
        "Sort by this field; -NAME reverses the order.",
        autocompletion=completion.shown_fields,
    ),
]
Csv = Annotated[bool, typer.Option("--csv", help="Write CSV to stdout.")]
ExcelSafe = Annotated[bool, typer.Option("--excel-safe", help="Keep spreadsheets from running CSV cells as formulas.")]

Emails = Annotated[list[str] | None, several("--email", "ADDRESS", "")]
Phones = Annotated[list[str] | None, several("--phone", "NUMBER", PHONE)]
ExternalIds = Annotated[list[str] | None, several("--external-id", "ID", EXTERNAL_ID)]
AnonymousIds = Annotated[list[str] | None, several("--anonymous-id", "ID", ANONYMOUS_ID)]
OneEmail = Annotated[str | None, one("--email", "ADDRESS")]
OnePhone = Annotated[str | None, one("--phone", "NUMBER", PHONE)]
OneExternalId = Annotated[str | None, one("--external-id", "ID", EXTERNAL_ID)]
OneAnonymousId = Annotated[str | None, one("--anonymous-id", "ID", ANONYMOUS_ID)]
Ids = Annotated[list[str] | None, several("--id", "ID", "Id of a contact.")]


def identifiers(
    email: list[str] | None,
    phone: list[str] | None,
    external_id: list[str] | None,
    anonymous_id: list[str] | None,
) -> list[Identifier]:
    """The identifiers that were given, each once, in the order of the options."""
    from contacts_core.models import Identifier, IdentifierKind

    makers = (
        (Identifier.email, email),
        (Identifier.phone, phone),
        (Identifier.external_id, external_id),
        (Identifier.anonymous_id, anonymous_id),
    )
    wanted = list(dict.fromkeys(make(value) for make, values in makers for value in values or ()))
    for each in wanted:
        if each.kind is IdentifierKind.PHONE and not each.certain:
            output.warn(
                f"{each.masked} is not an international number, so only a contact that has exactly this text matches; "
                "write + and the country code, as `normal` in JSON has it"
            )
    return wanted


def sendable(provider: Provider, ids: Iterable[str], where: str = "") -> list[str]:
    """These ids, each once, if the provider could have all of them; ``where`` is what a message begins with.

    Raises:
        InvalidInput: One is not an id of this provider; the message names it, and nothing was sent.
    """
    from contacts_core.errors import InvalidInput
    from contacts_core.models.identifiers import scrub

    wanted = list(ids)
    for each in wanted:
        if reason := provider.validate_id(each):
            hint = "give e-mail addresses as --email ADDRESS" if "@" in each else "pass ids as the vendor gave them"
            raise InvalidInput(f"not sent: {where}{scrub(each)}: {reason}", hint=hint)
    return list(dict.fromkeys(wanted))


def pairs(option: str, texts: list[str] | None) -> dict[str, str]:
    """The values of a repeatable NAME=VALUE option.

    Raises:
        typer.BadParameter: One is given otherwise, or one name twice.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{option} is given as NAME=VALUE")
        if name in found:
            raise typer.BadParameter(f"{option} {name}=… is given twice")
        found[name] = value
    return found
