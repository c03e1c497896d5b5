"""Make a contact fit what a vendor can hold, and name everything that does not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from attrs import evolve

from contacts_core.models import (
    Address,
    Contact,
    CustomValue,
    FieldDefinition,
    FieldType,
    Identifier,
    Loss,
    LossCode,
    Preview,
    Shape,
)
from contacts_core.models.losses import PARTS, flattened, identifier_field
from contacts_core.provider.values import FIRST_YEAR, LAST_YEAR, MIDNIGHT, calendar_date, json_text, moment, number

__all__ = ["Fitting", "fitted_value"]

Fitted = tuple[CustomValue, LossCode | None]
"""A value as a field holds it, and what was lost by that; None with a code if the field cannot hold it."""

BOOLEANS = {"true": True, "false": False}
CUSTOM = "custom."


class Fitting:
    """A contact that is made to fit, value by value. Whatever changes a value names the loss at the same time.

    Names of values are those of `Loss.field`. What is not given can be dropped or cut as well: nothing happens.
    """

    def __init__(self, contact: Contact) -> None:
        """Begin with what is given of a contact."""
        self._contact = contact
        self._values = flattened(contact)
        self._cleared: dict[str, CustomValue] = {name: None for name, value in contact.custom.items() if value is None}
        self._losses: dict[str, Loss] = {}
        self.identifiers = list(contact.identifiers)
        """Those that are kept; see `drop_identifier`."""

    def get(self, name: str) -> Any:
        """Return a value; None if it is not given, or was dropped."""
        return self._values.get(name)

    def names(self, section: str) -> list[str]:
        """Return the names of values of a section, such as ``custom``, ``address`` or ``title``."""
        if section in self._values:
            return [section]
        return [name for name in self._values if name.startswith(f"{section}.")]

    def drop(self, section: str, code: LossCode, detail: str = "") -> None:
        """Leave out a value, or all values of a section; the value of a custom field is not cleared either."""
        for name in self.names(section):
            del self._values[name]
            self._lose(name, code, detail)
        custom = section.removeprefix(CUSTOM)
        if section.startswith(CUSTOM) and custom in self._cleared:
            del self._cleared[custom]
            self._lose(section, code, detail)

    def drop_full_name(self, detail: str = "") -> None:
        """Leave out the full name, which is no loss where first and last name say the same."""
        if self.get("full_name") == " ".join(filter(None, map(self.get, ("first_name", "last_name")))):
            del self._values["full_name"]
        self.drop("full_name", LossCode.NO_PLACE, detail)

    def replace(self, name: str, value: Any, code: LossCode, detail: str = "") -> None:
        """Put another value in place of one that is given."""
        self._values[name] = value
        self._lose(name, code, detail)

    def set(self, name: str, value: Any) -> None:
        """Put a value that says the same as what was given, so that nothing is lost."""
        self._values[name] = value

    def cut(self, longest: Mapping[str, int]) -> None:
        """Cut texts that are longer than so many characters."""
        for name, most in longest.items():
            text = self._values.get(name)
            if isinstance(text, str) and len(text) > most:
                self.replace(name, text[:most], LossCode.TRUNCATED, f"has at most {most} characters")

    def drop_identifier(self, identifier: Identifier, code: LossCode, detail: str = "") -> None:
        """Leave out an identifier."""
        self.identifiers.remove(identifier)
        self._lose(identifier_field(identifier), code, detail)

    def keep_identifiers(self, problem: Callable[[Identifier], tuple[LossCode, str] | None]) -> None:
        """Leave out every identifier of which ``problem`` says why it cannot be kept."""
        for each in list(self.identifiers):
            if found := problem(each):
                self.drop_identifier(each, *found)

    def fit_mapped(
        self,
        fields: Mapping[str, str],
        shape: Shape,
        fit: Callable[[FieldDefinition, CustomValue], Fitted],
        *,
        longest: int | None = None,
    ) -> None:
        """Make the values fit that custom fields hold for fields of `Contact`. Call it before `fit_custom`.

        Such a field holds texts only. A value that is given under the name of the custom field moves to the field of
        `Contact`, where it will be shown.

        Args:
            fields: The account's map; see `MapsFields`.
            shape: The account's fields.
            fit: As for `fit_custom`.
            longest: Characters of a text, at most.
        """
        for ours, theirs in fields.items():
            field = shape.field(theirs)
            if field is None or field.name != theirs:
                self.drop(ours, LossCode.NO_FIELD, f"the account has no custom field {theirs!r} to hold it")
                continue
            if field.read_only:
                self.drop(ours, LossCode.READ_ONLY, "only the vendor writes it")
                continue
            if (given := self.get(ours)) and not isinstance(fit(field, given)[0], str):
                detail = f"the custom field {theirs} is of the type {field.type.value}"
                self.drop(ours, LossCode.REFUSED, detail)
            for name in self.names(CUSTOM[:-1]):
                if shape.field(name.removeprefix(CUSTOM)) is field:
                    self._move(name, ours, fit(field, self._values[name])[0])
            if longest is not None:
                self.cut({ours: longest})

    def _move(self, name: str, ours: str, value: CustomValue) -> None:
        """Move the text of a custom field to the field of `Contact` that it holds."""
        if not isinstance(value, str):
            return
        if self.get(ours):
            self.drop(name, LossCode.TOO_MANY, f"{ours}, which the field holds, is given as well")
            return
        del self._values[name]
        self._values[ours] = value
        self._lose(name, LossCode.RESPELLED, f"the field holds {ours}")

    def fit_custom(
        self,
        shape: Shape,
        fit: Callable[[FieldDefinition, CustomValue], Fitted],
        *,
        longest: int | None = None,
        clears: bool = True,
    ) -> None:
        """Make the custom values fit the fields that there are.

        Args:
            shape: The account's fields; values of other fields are dropped.
            fit: Returns a value as a field holds it, such as `fitted_value`.
            longest: Characters of a text, at most.
            clears: Whether the vendor takes away the value of a field.
        """
        cleared: dict[str, CustomValue] = {}
        for name in self._cleared:
            found = shape.field(name)
            if found and not clears:
                self._lose(f"{CUSTOM}{name}", LossCode.REFUSED, "its value cannot be cleared")
            elif found and not found.read_only:
                cleared[found.name] = None
        self._cleared = cleared
        for name in self.names("custom"):
            field = shape.field(name.removeprefix(CUSTOM))
            if field is None:
                self.drop(name, LossCode.NO_FIELD, "the account has no custom field of this name")
            elif field.read_only:
                self.drop(name, LossCode.READ_ONLY, "only the vendor writes it")
            else:
                self._fit(name, field, fit, longest)

    def _fit(
        self, name: str, field: FieldDefinition, fit: Callable[[FieldDefinition, CustomValue], Fitted], most: int | None
    ) -> None:
        given = self._values.pop(name)
        value, code = fit(field, given)
        if isinstance(value, str) and most is not None and len(value) > most:
            value, code = value[:most], LossCode.TRUNCATED
        detail = f"the field is of the type {field.type.value}" if code else ""
        if code is LossCode.TRUNCATED:
            detail = f"has at most {most} characters"
        if value is None:
            self._lose(name, code or LossCode.REFUSED, detail)
            return
        if f"{CUSTOM}{field.name}" in self._values:
            self._lose(name, LossCode.TOO_MANY, f"another value is given of {field.name}")
            return
        self._values[f"{CUSTOM}{field.name}"] = value
        if code is None and field.name != name.removeprefix(CUSTOM):
            code, detail = LossCode.RESPELLED, f"the field is called {field.name}"
        if code:
            self._lose(name, code, detail)

    def _lose(self, name: str, code: LossCode, detail: str) -> None:
        self._losses.setdefault(name, Loss(name, code, detail))

    def refuse(self, reason: str) -> Preview:
        """Return the preview of a contact that is not written at all."""
        return Preview.refused(reason)

    def preview(self, **shown: Any) -> Preview:
        """Return the preview of what is left.

        Args:
            **shown: Fields of `Contact` that a read shows differently from what is written.
        """
        values = self._values
        parts = {name: values.get(f"address.{name}", "") for name in PARTS}
        written = evolve(
            self._contact,
            identifiers=tuple(self.identifiers),
            first_name=values.get("first_name"),
            last_name=values.get("last_name"),
            full_name=values.get("full_name"),
            organization=values.get("organization"),
            title=values.get("title"),
            address=Address(**parts) if any(parts.values()) else None,
            tags=values.get("tags", ()),
            lists=None if self._contact.lists is None else tuple(values[name] for name in self.names("lists")),
            custom=self._cleared | self._section("custom"),
            extra=self._section("extra"),
        )
        if self._cleared:
            shown = {"custom": self._section("custom")} | shown
        return Preview(evolve(written, **shown) if shown else written, tuple(self._losses.values()), written)

    def _section(self, section: str) -> dict[str, Any]:
        return {name.removeprefix(f"{section}."): self._values[name] for name in self.names(section)}


def fitted_value(field: FieldDefinition, value: CustomValue, *, times: bool = False) -> Fitted:
    """Return a custom value as a field of its type holds it.

    Args:
        field: The field.
        value: The value; not None.
        times: Whether a field of dates holds a time of day as well.
    """
    if isinstance(value, tuple) and field.type is not FieldType.CHOICES and len(value) == 1:
        alone, _ = fitted_value(field, value[0], times=times)
        return alone, LossCode.REFUSED if alone is None else LossCode.RETYPED
    match field.type:
        case FieldType.NUMBER:
            return _number(value)
        case FieldType.DATE:
            return _date(value, times=times)
        case FieldType.BOOLEAN:
            return _boolean(value)
        case FieldType.CHOICE:
            return (value, None) if isinstance(value, str) and value in field.options else (None, LossCode.REFUSED)
        case FieldType.CHOICES:
            return _choices(field, value)
        case _:
            return (value, None) if isinstance(value, str) else (_text(value), LossCode.RETYPED)


def _number(value: CustomValue) -> Fitted:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value, None
    read = number(value) if isinstance(value, str) else None
    return read, LossCode.REFUSED if read is None else LossCode.RETYPED


def _date(value: CustomValue, *, times: bool) -> Fitted:
    found, code = value, None
    if isinstance(value, str):
        found, code = calendar_date(value) or (moment(value) if "-" in value else None), LossCode.RETYPED
    if not isinstance(found, date) or not FIRST_YEAR <= found.year <= LAST_YEAR:
        return None, LossCode.REFUSED
    if isinstance(found, datetime):
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        if not times or found.timetz() == MIDNIGHT:
            return found.date(), LossCode.RETYPED
        if found != value:
            code = LossCode.RETYPED
    return found, code


def _boolean(value: CustomValue) -> Fitted:
    if isinstance(value, bool):
        return value, None
    read = BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else None
    return read, LossCode.REFUSED if read is None else LossCode.RETYPED


def _choices(field: FieldDefinition, value: CustomValue) -> Fitted:
    given = value if isinstance(value, tuple) else (value if isinstance(value, str) else _text(value),)
    kept = tuple(each for each in dict.fromkeys(given) if not field.options or each in field.options)
    if not kept:
        return None, LossCode.REFUSED
    if len(kept) < len(given):
        return kept, LossCode.TOO_MANY if set(kept) == set(given) else LossCode.REFUSED
    return kept, None if isinstance(value, tuple) else LossCode.RETYPED


def _text(value: CustomValue) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case date():
            return value.isoformat()
        case tuple():
            return json_text(value)
        case _:
            return str(value)
