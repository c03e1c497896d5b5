"""Columns of results: which there are, which of them are shown, and by which the rows are sorted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from operator import itemgetter
from typing import Any, Generic, TypeVar, cast

import typer

from contacts_core.cli import output

__all__ = [
    "ACCOUNT_FIELDS",
    "CONSENT_FIELDS",
    "CONTACT_FIELDS",
    "FIELD_FIELDS",
    "LIST_FIELDS",
    "RUN_FIELDS",
    "Listing",
    "Shape",
]

T = TypeVar("T")
Getter = Callable[[Any], Any]

ADDRESS = ("line1", "line2", "city", "region", "postal_code", "country")
OPEN = ("custom.", "extra.")  # what names of the vendor's own follow


def _attribute(name: str) -> Getter:
    return lambda item: getattr(item, name)


def _address(part: str) -> Getter:
    return lambda contact: getattr(contact.address, part, "")


def _primary(kind: str) -> Getter:
    def get(contact: Any) -> Any:
        from contacts_core.models import IdentifierKind

        found = contact.primary(IdentifierKind(kind))
        return found and found.normal

    return get


def _every(kind: str) -> Getter:
    def get(contact: Any) -> list[str]:
        from contacts_core.models import IdentifierKind

        return [each.normal for each in contact.identifiers_of(IdentifierKind(kind))]

    return get


def _of_mapping(mapping: str, key: str) -> Getter:
    return lambda contact: getattr(contact, mapping).get(key)


CONTACT_FIELDS: Mapping[str, Getter] = {
    **{name: _attribute(name) for name in ("provider", "id", "name")},
    **{name: _primary(name) for name in ("email", "phone", "external_id", "anonymous_id")},
    "emails": _every("email"),
    "phones": _every("phone"),
    "identifiers": lambda contact: [f"{i.key or i.kind.value}: {i.normal}" for i in contact.identifiers],
    **{name: _attribute(name) for name in ("first_name", "last_name", "full_name", "organization", "title")},
    **{name: _address(name) for name in ADDRESS},
    "lists": lambda contact: contact.lists or (),
    **{name: _attribute(name) for name in ("tags", "created_at", "updated_at", "custom", "extra")},
}
LIST_FIELDS: Mapping[str, Getter] = {
    "id": _attribute("id"),
    "name": _attribute("name"),
    "contacts": _attribute("count"),
    "description": _attribute("description"),
    "created_at": _attribute("created_at"),
    "updated_at": _attribute("updated_at"),
}
FIELD_FIELDS: Mapping[str, Getter] = {
    "name": _attribute("name"),
    "type": lambda field: field.type.value,
    "options": _attribute("options"),
    "id": _attribute("id"),
    "read_only": _attribute("read_only"),
    "contact_field": _attribute("contact_field"),
}
CONSENT_FIELDS: Mapping[str, Getter] = {
    "identifier": lambda said: said.identifier.normal,
    "kind": lambda said: said.identifier.key or said.identifier.kind.value,
    **{name: _attribute(name) for name in ("channel", "state", "reason", "scope", "coverage", "at")},
    **{name: _attribute(name) for name in ("evidence", "provider")},
}
ACCOUNT_FIELDS: Mapping[str, Getter] = {
    **{name: itemgetter(name) for name in ("name", "provider", "source")},
    "settings": lambda account: [f"{name} = {value}" for name, value in account["settings"].items()],
    "default": itemgetter("default"),
}
RUN_FIELDS: Mapping[str, Getter] = {
    name: _attribute(name)
    for name in ("id", "kind", "state", "reason", "accounts", "people", "round", "begun_at", "ended_at")
}


@dataclass(frozen=True)
class Shape(Generic[T]):
    """How rows of one kind can be shown.

    Attributes:
        fields: Every field by its name.
        columns: The header of the table and what gives a row, where no fields are named.
        open_ended: Whether names such as ``custom.score`` are fields, too.
        writer: What writes CSV to a file where no fields are named; a header and ``row`` if it is not given.
    """

    fields: Mapping[str, Getter]
    columns: Sequence[str]
    row: Callable[[T], Iterable[object]]
    open_ended: bool = False
    writer: Callable[..., Any] | None = None

    def getter(self, option: str, name: str) -> Getter:
        """What gives the value of a field.

        Raises:
            typer.BadParameter: There is no such field.
        """
        if found := self.fields.get(name):
            return found
        mapping, _, key = name.partition(".")
        if self.open_ended and key and f"{mapping}." in OPEN:
            return _of_mapping(mapping, key)
        more = ", custom.NAME, extra.NAME" if self.open_ended else ""
        raise typer.BadParameter(f"{option}: there is no field {name!r}; choose from {', '.join(self.fields)}{more}")


class Listing(Generic[T]):
    """Rows as ``--fields``, ``--sort``, ``--csv`` and ``--json`` want them."""

    def __init__(
        self,
        shape: Shape[T],
        fields: list[str] | None,
        sort: list[str] | None,
        *,
        as_csv: bool,
        as_json: bool,
        excel_safe: bool,
    ) -> None:
        """Check what was asked for.

        Raises:
            typer.BadParameter: A field is not known, both formats are wanted, or what is no CSV is to be safe for
                spreadsheets.
        """
        if as_csv and as_json:
            raise typer.BadParameter("choose one of --csv and --json")
        if excel_safe and not as_csv:
            raise typer.BadParameter("--excel-safe is for CSV: add --csv")
        self.shape, self.as_csv, self.as_json, self.excel_safe = shape, as_csv, as_json, excel_safe
        self._fields = {name: shape.getter("--fields", name) for name in fields or ()}
        self._keys = [(shape.getter("--sort", name.removeprefix("-")), name.startswith("-")) for name in sort or ()]

    @property
    def chooses(self) -> bool:
        """Whether fields, an order or CSV were asked for."""
        return bool(self._fields or self._keys or self.as_csv)

    @property
    def sorts(self) -> bool:
        """Whether the order is chosen, so that all rows have to be known before the first is shown."""
        return bool(self._keys)

    def sorted(self, items: Iterable[T]) -> list[T]:
        """The items in the order that was asked for; what has no value comes last."""
        listed = list(items)
        for get, descending in reversed(self._keys):
            listed.sort(key=lambda item: _order(get(item)), reverse=descending)
            listed.sort(key=lambda item: _blank(get(item)))
        return listed

    def plain(self, item: T) -> Any:
        """The item for JSON: whole, or the fields that were named."""
        return {name: get(item) for name, get in self._fields.items()} if self._fields else item

    def lines(self, items: Iterable[T]) -> None:
        """Print the items as they come, in JSON Lines or in CSV."""
        if self.as_json:
            for item in items:
                output.line(self.plain(item))
        elif self.shape.writer and not self._fields:
            writer = self.shape.writer(output.CsvOut(), excel_safe=self.excel_safe)
            for item in items:
                writer.write(item)
        else:
            fields = self._fields or self.shape.fields
            rows = ([cell(get(item)) for get in fields.values()] for item in items)
            output.csv_rows(fields, rows, excel_safe=self.excel_safe)

    def everything(self, found: Iterable[T], none: str = "") -> None:
        """Print what is short enough to be read at once; ``none`` is a note for people if there is nothing."""
        ordered = self.sorted(found)
        if self.as_json:
            output.document([self.plain(each) for each in ordered])
        elif self.as_csv:
            self.lines(ordered)
        elif ordered or not none:
            self.show(ordered)
        else:
            output.note(none)

    def show(self, items: Iterable[T]) -> None:
        """Print the items as a table."""
        if self._fields:
            rows = ([cell(get(item)) for get in self._fields.values()] for item in items)
            output.show(output.rows(output.table(*self._fields), rows))
        else:
            output.show(output.rows(output.table(*self.shape.columns), map(self.shape.row, items)))


def cell(value: Any) -> Any:
    """A value as a cell: text, or a list of texts."""
    from contacts_core.formats import plain

    match value:
        case None | "":
            return ""
        case bool():
            return str(value).lower()
        case list() | tuple():
            return [cell(each) for each in cast("Sequence[Any]", value)]
        case Mapping():
            return json.dumps(plain(value), ensure_ascii=False) if value else ""
        case date():
            return value.isoformat()
        case Enum():
            return str(value.value)
        case _:
            return str(value)


def _blank(value: Any) -> bool:
    return value is None or value in ("", (), [], {})


def _order(value: Any) -> tuple[int, Any]:
    """A key by which values of one type are compared as such, and those of several by their text."""
    match value:
        case bool() | int() | float():
            return (0, value)
        case date():
            return (1, value.isoformat())
        case _:
            return (2, str(cell(value)).casefold())
