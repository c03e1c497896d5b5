"""Maps: what the fields, lists and tags of a source are called in a target, in what form, and what is left out.

A map is a file in TOML. Names of fields are those of `Loss.field` and of the commands: ``custom.NAME``,
``organization``, ``address.city``.

    [fields]
    "custom.Plan" = "custom.plan"               # a custom field has another name
    "custom.town" = "address.city"              # a custom field becomes a standard field
    "organization" = "custom.company"           # and the other way round
    "custom.score" = {type = "number"}          # text becomes a number
    "custom.notes" = false                      # left out on purpose
    "custom.size" = {to = "custom.shirt", options = {S = "small", XXL = false}}

    [lists]
    "Newsletter (old)" = "Newsletter"
    "Test" = false

    [tags]
    "vip" = "VIP"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from attrs import evolve, field, frozen

from contacts_core.errors import InvalidInput
from contacts_core.models import Address, Contact, CustomValue, FieldDefinition, FieldType, Loss, LossCode
from contacts_core.models.losses import PARTS, TEXTS
from contacts_core.provider.fitting import fitted_value
from contacts_core.provider.values import json_text

__all__ = ["STANDARD_FIELDS", "FieldMap", "FieldRule"]

CUSTOM = "custom."
EXTRA = "extra."
ADDRESS = "address."
STANDARD_FIELDS = (*TEXTS, *(f"{ADDRESS}{part}" for part in PARTS))
TYPES = {each.value: each for each in (FieldType.TEXT, FieldType.NUMBER, FieldType.DATE, FieldType.BOOLEAN)}
LONGEST_FILE = 1 << 20  # bytes
LONGEST_SHOWN = 60  # characters of a value that a message repeats
SECTIONS = ("fields", "lists", "tags", "columns")
HINT = "contacts check OLD NEW --suggest-map FILE writes a map with the names that both accounts have"


@frozen
class FieldRule:
    """What becomes of one field.

    Attributes:
        to: Its name in the target; None if it is left out.
        type: The type that its values get; None if they stay as they are.
        options: What its values become; None for those that are left out. Others stay as they are.
    """

    to: str | None
    type: FieldType | None = None
    options: Mapping[str, str | None] = field(factory=dict[str, str | None])


def _rules() -> dict[str, FieldRule]:
    return {}


def _names() -> dict[str, str | None]:
    return {}


@frozen
class FieldMap:
    """What becomes of fields, lists and tags; see the module. What it does not name stays as it is.

    Attributes:
        fields: Rules by the name of the field in the source.
        lists: The name in the target of each list, by its name in the source; None for lists that are left out.
        tags: The same for tags.
        columns: The field of each column of a CSV file, by the column's name; None for columns that are left out.
    """

    fields: Mapping[str, FieldRule] = field(factory=_rules)
    lists: Mapping[str, str | None] = field(factory=_names)
    tags: Mapping[str, str | None] = field(factory=_names)
    columns: Mapping[str, str | None] = field(factory=_names)

    @classmethod
    def read(cls, path: Path) -> FieldMap:
        """Read a map from a file.

        Raises:
            InvalidInput: It cannot be read, or is no map; the message names the key.
        """
        try:
            with path.open("rb") as file:
                content = file.read(LONGEST_FILE + 1)
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
            raise InvalidInput(f"{path.name} cannot be read: {reason}") from None
        if len(content) > LONGEST_FILE:
            raise InvalidInput(f"{path.name} is longer than {LONGEST_FILE} bytes", hint="is this the right file?")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{path.name} is not UTF-8, from byte {error.start + 1} on") from None
        return cls.parse(text, path.name)

    @classmethod
    def parse(cls, text: str, name: str = "map") -> FieldMap:
        """Read a map from its text.

        Args:
            text: The text, in TOML.
            name: What messages call it.

        Raises:
            InvalidInput: It is no map; the message names the key.
        """
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InvalidInput(f"{name} is not TOML: {error}") from None
        except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
            raise InvalidInput(f"{name} is not TOML that can be read") from None
        try:
            return cls._of(content, name)
        except _WrongKeyError as wrong:
            line = _line_of(text, wrong.keys)
            where = f" (line {line})" if line else ""
            raise InvalidInput(f"{wrong}{where}", hint=HINT) from None

    @classmethod
    def _of(cls, content: Mapping[str, Any], name: str) -> FieldMap:
        for key in content:
            if key not in SECTIONS:
                raise _wrong(name, [key], f"there is no such section; choose from {', '.join(SECTIONS)}")
        fields = _table(name, content, "fields")
        rules = {key: _rule(name, key, value) for key, value in _flat(name, fields).items()}
        _refuse_shared(name, rules)
        return cls(
            rules,
            _renamed(name, ["lists"], _table(name, content, "lists")),
            _renamed(name, ["tags"], _table(name, content, "tags")),
            _columns(name, _table(name, content, "columns")),
        )

    def list_name(self, name: str) -> str | None:
        """Return what a list is called in the target; None if it is left out."""
        return self.lists.get(name, name)

    def apply(self, contact: Contact) -> tuple[Contact, tuple[Loss, ...]]:
        """Return a contact with its fields and tags mapped, and what could not be.

        Lists stay as they are: contacts have their ids, and a map has their names.
        """
        if self.tags and contact.tags:
            renamed = (self.tags.get(each, each) for each in contact.tags)
            contact = evolve(contact, tags=tuple(dict.fromkeys(each for each in renamed if each is not None)))
        given = _Fields(contact)
        taken = [(name, rule, value) for name, rule in self.fields.items() if (value := given.take(name)) is not ABSENT]
        if not taken:
            return contact, ()
        losses: list[Loss] = []
        for name, rule, value in taken:
            if rule.to is not None and (loss := given.put(name, rule, value)):
                losses.append(loss)
        return given.contact(), tuple(losses)


ABSENT: Any = object()


class _Fields:
    """The fields of a contact, by name, to be taken out and put in elsewhere."""

    def __init__(self, contact: Contact) -> None:
        self._contact = contact
        self._custom = dict(contact.custom)
        self._extra = dict(contact.extra)
        self._texts: dict[str, str | None] = {name: getattr(contact, name) for name in TEXTS}
        self._parts = {part: getattr(contact.address, part) for part in PARTS} if contact.address else {}

    def take(self, name: str) -> Any:
        """Return the value of a field, and take it out; ``ABSENT`` if there is none."""
        if name.startswith(CUSTOM):
            return self._custom.pop(name.removeprefix(CUSTOM), ABSENT)
        if name.startswith(EXTRA):
            return self._extra.pop(name.removeprefix(EXTRA), ABSENT)
        if name.startswith(ADDRESS):
            return self._parts.pop(name.removeprefix(ADDRESS), "") or ABSENT
        value = self._texts[name]
        self._texts[name] = None
        return value or ABSENT

    def put(self, name: str, rule: FieldRule, value: Any) -> Loss | None:
        """Put a value where a rule says. Return what is lost by it."""
        given = _customary(value)
        fitted = _converted(rule, given)
        if fitted is None and given is not None:
            if isinstance(given, str) and given in rule.options:
                return None  # left out on purpose
            kind = rule.type.value if rule.type else "text"
            return Loss(name, LossCode.REFUSED, f"it cannot be read as {kind}, as the map wants it")
        to = cast("str", rule.to)
        if to.startswith(CUSTOM):
            field_name = to.removeprefix(CUSTOM)
            if (there := self._custom.get(field_name)) is None:
                self._custom[field_name] = fitted
                return None
        else:
            part = to.removeprefix(ADDRESS)
            values = cast("dict[str, Any]", self._parts if to.startswith(ADDRESS) else self._texts)
            if fitted is None or not (there := values.get(part)):
                values[part] = fitted or values.get(part)
                return None
        if there == fitted:
            return None
        return Loss(name, LossCode.TOO_MANY, f"another value is given of {to}")

    def contact(self) -> Contact:
        """Return the contact as it is now."""
        parts = {part: text for part, text in self._parts.items() if text}
        texts: dict[str, Any] = dict(self._texts)
        return evolve(
            self._contact,
            **texts,
            address=Address(**parts) if parts else None,
            custom=self._custom,
            extra=self._extra,
        )


def _customary(value: Any) -> CustomValue:
    """Return a value as custom fields hold it; those of the vendor's own may be anything that JSON has."""
    if value is None or isinstance(value, str | int | float | tuple) or hasattr(value, "isoformat"):
        return cast("CustomValue", value)
    return json_text(value)


def _converted(rule: FieldRule, value: CustomValue) -> CustomValue:
    """Return a value in the form that a rule wants; None if it has none."""
    if rule.options:
        if isinstance(value, tuple):
            mapped = (rule.options.get(each, each) for each in value)
            value = tuple(dict.fromkeys(each for each in mapped if each is not None)) or None
        elif isinstance(value, str):
            value = rule.options.get(value, value)
    wanted = rule.type or (None if rule.to is None or rule.to.startswith(CUSTOM) else FieldType.TEXT)
    if value is None or wanted is None:
        return value
    found, _ = fitted_value(FieldDefinition("", "", "", wanted), value, times=True)
    return found


# -- reading -----------------------------------------------------------------------------------------------------------


class _WrongKeyError(Exception):
    """Something in a map that is not understood.

    Attributes:
        keys: Where it is, from the section on.
    """

    def __init__(self, message: str, keys: Sequence[str]) -> None:
        super().__init__(message)
        self.keys = keys


def _line_of(text: str, keys: Sequence[str]) -> int:
    """Return the number of the line that most likely holds a key; 0 if none does. The parser of TOML tells none."""
    found = 0
    lines = text.splitlines()
    for key in keys:
        name = re.compile(rf"(?<![\w-]){re.escape(key)}(?![\w-])")
        found = next((n for n, line in enumerate(lines[found and found - 1 :], found or 1) if name.search(line)), found)
    return found


def _wrong(name: str, keys: Iterable[str], what: str) -> _WrongKeyError:
    keys = list(keys)
    path = ".".join(key if key.replace("_", "").isalnum() and key.isascii() else f'"{key}"' for key in keys)
    return _WrongKeyError(f"{name}: {path[: LONGEST_SHOWN * 2]}: {what}", keys)


def _table(name: str, content: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    found = content.get(section, {})
    if not isinstance(found, dict):
        raise _wrong(name, [section], "expected a table")
    return cast("Mapping[str, Any]", found)


def _flat(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rules by name; TOML reads ``custom.plan``, without quotes, as tables in each other."""
    found: dict[str, Any] = {}
    for key, value in fields.items():
        inner = f"{key}." in {CUSTOM, EXTRA, ADDRESS} and isinstance(value, dict)
        named = {f"{key}.{part}": each for part, each in cast("Mapping[str, Any]", value).items()} if inner else {}
        for one, each in (named or {key: value}).items():
            if one in found:
                raise _wrong(name, ["fields", one], "it stands twice, with and without quotes")
            found[one] = each
    return found


def _rule(name: str, key: str, value: Any) -> FieldRule:
    where = ["fields", key]
    if not (key in STANDARD_FIELDS or any(key.startswith(each) and key != each for each in (CUSTOM, EXTRA))):
        known = ", ".join((*STANDARD_FIELDS, "custom.NAME", "extra.NAME"))
        raise _wrong(name, where, f"there is no such field; choose from {known}")
    if value is False:
        return FieldRule(None)
    if isinstance(value, str):
        return FieldRule(_target(name, where, value))
    if not isinstance(value, dict):
        raise _wrong(name, where, "expected the name of a field, false, or a table with to, type or options")
    table = cast("Mapping[str, Any]", value)
    for each in table:
        if each not in {"to", "type", "options"}:
            raise _wrong(name, [*where, each], "there is no such key; choose from to, type, options")
    if key.startswith(EXTRA) and "to" not in table:
        raise _wrong(name, where, "to is missing: vendors write no such field")
    to = _target(name, [*where, "to"], table.get("to", key))
    kind = table.get("type")
    if kind is not None and (not isinstance(kind, str) or kind not in TYPES):
        raise _wrong(name, [*where, "type"], f"there is no such type; choose from {', '.join(TYPES)}")
    if kind not in {None, FieldType.TEXT.value} and not to.startswith(CUSTOM):
        raise _wrong(name, [*where, "type"], f"{to} is always text")
    options: object = table.get("options", {})
    if not isinstance(options, dict):
        raise _wrong(name, [*where, "options"], "expected a table")
    renamed = _renamed(name, [*where, "options"], cast("Mapping[str, Any]", options))
    return FieldRule(to, TYPES[kind] if kind else None, renamed)


def _target(name: str, where: list[str], value: Any) -> str:
    if isinstance(value, str) and (value in STANDARD_FIELDS or (value.startswith(CUSTOM) and value != CUSTOM)):
        return value
    known = ", ".join((*STANDARD_FIELDS, "custom.NAME"))
    raise _wrong(name, where, f"this is no field that can be written; choose from {known}")


def _renamed(name: str, where: Sequence[str], table: Mapping[str, Any]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for key, value in table.items():
        if value is False:
            found[key] = None
        elif isinstance(value, str) and value.strip():
            found[key] = value
        else:
            raise _wrong(name, [*where, key], "expected a name, or false to leave it out")
    return found


def _columns(name: str, table: Mapping[str, Any]) -> dict[str, str | None]:
    return _renamed(name, ["columns"], table)


def _refuse_shared(name: str, rules: Mapping[str, FieldRule]) -> None:
    """Refuse two fields that become one: one of the values would be lost."""
    by_target: dict[str, str] = {}
    for key, rule in rules.items():
        if rule.to is None:
            continue
        if (other := by_target.setdefault(rule.to, key)) != key:
            raise _wrong(name, ["fields", key], f"{other} becomes {rule.to} as well")
