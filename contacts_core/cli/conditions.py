"""What `contacts search` looks for: options and ``--where`` become a portable query."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from contacts_core.models import FieldType
    from contacts_core.query import Field, Query

__all__ = ["NAMES", "Condition", "has", "moment", "where"]

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
WHERE = re.compile(
    r'\s*(?P<name>custom\."[^"]+"|[^=<>!^$*]+?)\s*(?P<op><=|>=|!=|\^=|\$=|\*=|==|=|<|>)(?P<value>.*)', re.DOTALL
)
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
        return OPERATORS[self.operator](field, self._value(types.get(self.custom)))

    def _value(self, kind: FieldType | None) -> Any:
        from contacts_core.models import FieldType

        try:
            match kind:
                case FieldType.NUMBER:
                    return _number(self.text)
                case FieldType.BOOLEAN:
                    return {"true": True, "false": False}[self.text.lower()]
                case FieldType.DATE:
                    return moment(self.text)
                case _:
                    return self.text
        except (ValueError, KeyError):
            expected = kind.value if kind else ""
            raise typer.BadParameter(f"{self.option} {self.custom}: expected a {expected}, got {self.text!r}") from None


def where(texts: Iterable[str]) -> list[Condition]:
    """The conditions of ``--where``.

    Raises:
        typer.BadParameter: One is not made of a field, an operator and a value.
    """
    return [_where(text) for text in texts]


def _where(text: str) -> Condition:
    found = WHERE.fullmatch(text)
    if not found:
        raise typer.BadParameter(f"--where {text!r} has no operator: write FIELD=VALUE; see --help")
    value = found["value"].strip()
    if not value:
        raise typer.BadParameter(f"--where {text!r} has no value; --has and --lacks ask whether there is one")
    return Condition("--where", _field("--where", found["name"]), found["op"], value)


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


def _number(text: str) -> float:
    """A number of plain ASCII digits."""
    found = NUMBER.fullmatch(text)
    if not found:
        raise ValueError
    value = float(text) if found["fraction"] or found["power"] else int(text)
    if not math.isfinite(value):
        raise ValueError
    return value
