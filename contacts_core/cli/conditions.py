"""What `contacts search` looks for: options and ``--where`` become a portable query."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from contacts_core.client import Contacts
    from contacts_core.models import FieldType
    from contacts_core.query import Field, Query

__all__ = ["CUSTOM", "NAMES", "Combined", "Condition", "has", "moment", "types", "value_of", "where"]

NAMES = (
    "id",
    "email",
    "phone",
    "external_id",
    "anonymous_id",
    "first_name",
    "last_name",
    "full_name",
    "organization",
    "title",
    "city",
    "region",
    "postal_code",
    "country",
    "list",
    "tag",
    "created_at",
    "updated_at",
)
TIMES = ("created_at", "updated_at")
CUSTOM = "custom."
FIELD_AND_OPERATOR = re.compile(
    r'(?P<name>custom\."[^"]+"|[^=<>!^$*()][^=<>!^$*]*?)\s*(?P<op><=|>=|!=|\^=|\$=|\*=|==|=|<|>)\s*', re.DOTALL
)
QUOTED = re.compile(r"""(?P<quote>["'])(?P<text>(?:\\.|(?!(?P=quote)).)*)(?P=quote)""", re.DOTALL)
JOINS = r"\s+(?:and|or)(?:[\s(]|$)"  # what ends a value that is not in quotes
BARE = re.compile(rf"(?:(?!{JOINS}).)*", re.DOTALL | re.IGNORECASE)
BARE_IN_PARENTHESES = re.compile(rf"(?:(?!{JOINS}|\)).)*", re.DOTALL | re.IGNORECASE)
DEEPEST = 50  # parentheses and negations in each other
NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?P<fraction>\.[0-9]*)?(?P<power>[eE][+-]?[0-9]{1,3})?")
OPERATORS: Mapping[str, Callable[[Field, Any], Query]] = {
    "=": lambda field, value: field == value,
    "==": lambda field, value: field == value,
    "!=": lambda field, value: field != value,
    "<": lambda field, value: field < value,
    "<=": lambda field, value: field <= value,
    ">": lambda field, value: field > value,
    ">=": lambda field, value: field >= value,
    "^=": lambda field, value: field.startswith(value),
    "$=": lambda field, value: field.endswith(value),
    "*=": lambda field, value: field.contains(value),
}
OF_TEXT = ("^=", "$=", "*=")


@dataclass(frozen=True)
class Condition:
    """One condition; what its value means is known when the types of the custom fields are.

    Attributes:
        option: The option that it came from, for messages.
        field: The field's name, or ``custom.`` and the name of a custom field.
        operator: One of `OPERATORS`; empty asks whether there is a value, ``!`` whether there is none.
        text: The value as it was given.
    """

    option: str
    field: str
    operator: str
    text: str = ""

    @property
    def custom(self) -> str:
        """The name of the custom field, if it is about one."""
        return self.field.removeprefix(CUSTOM) if self.field.startswith(CUSTOM) else ""

    def leaves(self) -> Iterator[Condition]:
        """Itself; see `Combined.leaves`."""
        yield self

    def query(self, types: Mapping[str, FieldType]) -> Query:
        """The condition as a query.

        Raises:
            typer.BadParameter: The value is not of the field's type.
        """
        from contacts_core.query import F

        field: Field = F.custom[self.custom] if self.custom else getattr(F, self.field)
        if self.operator in {"", "!"}:
            return ~field.is_set() if self.operator else field.is_set()
        if self.operator in OF_TEXT:
            return OPERATORS[self.operator](field, self.text)
        if self.field in TIMES:
            return OPERATORS[self.operator](field, moment(self.text))
        return OPERATORS[self.operator](field, value_of(self.option, self.custom, self.text, types.get(self.custom)))


@dataclass(frozen=True)
class Combined:
    """Conditions joined by ``and`` or ``or``, or one negated by ``not``."""

    word: str
    parts: tuple[Condition | Combined, ...]

    def query(self, types: Mapping[str, FieldType]) -> Query:
        """The conditions as a query; see `Condition.query`."""
        from contacts_core.query import And, Or

        parts = tuple(part.query(types) for part in self.parts)
        return ~parts[0] if self.word == "not" else And(parts) if self.word == "and" else Or(parts)

    def leaves(self) -> Iterator[Condition]:
        """Every single condition."""
        for part in self.parts:
            yield from part.leaves()


def where(texts: Iterable[str], option: str = "--where") -> list[Condition | Combined]:
    """The conditions of ``--where``, or of another option that takes the same.

    Raises:
        typer.BadParameter: One is not an expression; the message says at which character.
    """
    return [_Expression(text, option).whole() for text in texts]


def types(client: Contacts[Any], given: Iterable[Condition | Combined]) -> dict[str, FieldType]:
    """The types of the custom fields, if there is a condition on one."""
    from contacts_core.cli import output
    from contacts_core.provider import ReadsCustomFields

    names = {leaf.custom for condition in given for leaf in condition.leaves()} - {""}
    if not names or not isinstance(client.provider, ReadsCustomFields):
        return {}
    known = {each.name: each for each in client.custom_fields()}
    if unknown := sorted(names - known.keys()):
        output.warn(f"there is no custom field named {', '.join(unknown)} (`contacts fields {client.name}`)")
    for name in sorted(names & known.keys()):
        if held := known[name].contact_field:
            output.warn(f"contacts have custom.{name} as {held}: search for that")
    return {name: each.type for name, each in known.items()}


class _Expression:
    """Reads ``a and (b or not c)``, where each letter is a field, an operator and a value. ``and`` binds closer."""

    def __init__(self, text: str, option: str) -> None:
        self._option = option
        self._text, self._at, self._depth, self._open = text, 0, 0, 0

    def whole(self) -> Condition | Combined:
        found = self._joined("or")
        if self._at < len(self._text):
            raise self._wrong("expected and, or or the end")
        return found

    def _joined(self, word: str) -> Condition | Combined:
        """Conditions with this word between them, or the only one."""
        parts: list[Condition | Combined] = []
        while not parts or self._takes(rf"{word}(?=[\s(]|$)"):
            parts.append(self._joined("and") if word == "or" else self._one())
        return Combined(word, tuple(parts)) if len(parts) > 1 else parts[0]

    def _one(self) -> Condition | Combined:
        self._takes("")
        negated = self._takes(r"not(?=[\s(]|$)")
        if not (negated or self._takes(r"\(")):
            return self._condition()
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._wrong(f"more than {DEEPEST} parentheses and negations in each other")
        if negated:
            found: Condition | Combined = Combined("not", (self._one(),))
        else:
            self._open += 1
            found = self._joined("or")
            if not self._takes(r"\)"):
                raise self._wrong("expected ), and, or or")
            self._open -= 1
        self._depth -= 1
        return found

    def _condition(self) -> Condition:
        found = FIELD_AND_OPERATOR.match(self._text, self._at)
        if not found:
            raise self._wrong("expected a condition such as FIELD=VALUE; quote a value that contains and, or or )")
        self._at = found.end()
        return Condition("--where", _field("--where", found["name"]), found["op"], self._value())

    def _value(self) -> str:
        begins_with_quote = self._text[self._at : self._at + 1] in {'"', "'"}
        pattern = QUOTED if begins_with_quote else BARE_IN_PARENTHESES if self._open else BARE
        found = pattern.match(self._text, self._at)
        if not found:
            raise self._wrong("the quote is not closed")
        value = re.sub(r"\\(.)", r"\1", found["text"], flags=re.DOTALL) if begins_with_quote else found[0].strip()
        if not value.strip():
            raise self._wrong("there is no value; --has and --lacks ask whether a field has one")
        self._at = found.end()
        self._takes("")
        return value

    def _takes(self, pattern: str) -> bool:
        """Skip this, and the blanks before and behind it, if it is what comes next."""
        found = re.compile(rf"\s*{pattern}\s*", re.IGNORECASE).match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found is not None

    def _wrong(self, message: str) -> typer.BadParameter:
        return typer.BadParameter(f"{self._option} {self._text!r}, character {self._at + 1}: {message}")


def has(option: str, names: Iterable[str], *, wanted: bool) -> list[Condition]:
    """The conditions of ``--has`` and ``--lacks``.

    Raises:
        typer.BadParameter: One is not a field.
    """
    return [Condition(option, _field(option, name), "" if wanted else "!") for name in names]


def _field(option: str, name: str) -> str:
    name = name.strip()
    if name.startswith(CUSTOM) and name != CUSTOM:
        return CUSTOM + name.removeprefix(CUSTOM).strip('"')
    if name not in NAMES:
        raise typer.BadParameter(f"{option}: there is no field {name!r}; choose from {', '.join(NAMES)}, custom.NAME")
    return name


def moment(text: str) -> datetime:
    """A time in UTC.

    Raises:
        typer.BadParameter: It is none.
    """
    from datetime import UTC, datetime

    try:
        found = datetime.fromisoformat(text.encode("ascii").decode())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not a time; write 2025-01-31 or 2025-01-31T12:00:00+01:00") from None


def value_of(option: str, name: str, text: str, kind: FieldType | None, *, as_stored: bool = False) -> Any:
    """The value of a custom field, in the type of the field.

    Args:
        option: The option that it was given with, for messages.
        name: The field, for messages.
        text: The value as it was given.
        kind: The type of the field; None if it is not known, and then the value is a text.
        as_stored: Whether a date without a time stays a date, and several texts are split, as contacts have them.

    Raises:
        typer.BadParameter: The value is not of this type.
    """
    from contacts_core.cli.options import split
    from contacts_core.models import FieldType
    from contacts_core.provider.values import calendar_date

    try:
        match kind:
            case FieldType.NUMBER:
                return _number(text)
            case FieldType.BOOLEAN:
                return {"true": True, "false": False}[text.lower()]
            case FieldType.DATE:
                return (calendar_date(text) if as_stored else None) or moment(text)
            case FieldType.CHOICES if as_stored:
                return tuple(split(text))
            case _:
                return text
    except (ValueError, KeyError):
        expected = kind.value if kind else ""
        raise typer.BadParameter(f"{option} {name}: expected a {expected}, got {text!r}") from None


def _number(text: str) -> float:
    """A number of plain ASCII digits."""
    found = NUMBER.fullmatch(text)
    if not found:
        raise ValueError
    value = float(text) if found["fraction"] or found["power"] else int(text)
    if not math.isfinite(value):
        raise ValueError
    return value
