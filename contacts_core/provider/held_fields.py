"""Fields of `Contact` that an account keeps in custom fields, as its settings say."""

from __future__ import annotations

from abc import ABC
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias, cast

from attrs import Attribute, Factory, asdict, evolve, field, frozen

from contacts_core.errors import ConfigurationError, InvalidInput
from contacts_core.models import CHANGEABLE_FIELDS, Address, Contact, CustomValue, FieldDefinition, field_value
from contacts_core.models.field_changes import ADDRESS, CUSTOM, split_changes
from contacts_core.provider.capabilities import ChangesContacts, CreatesCustomFields, ReadsCustomFields

__all__ = ["HeldFields", "MapsFields", "changeable", "clearable", "held_fields", "take_mapped", "with_mapped"]

HeldFields: TypeAlias = Mapping[str, str]
"""Names of custom fields, by the names of the fields of `Contact` that they hold; see `CHANGEABLE_FIELDS`."""

TEXTS = CHANGEABLE_FIELDS[:-1]
NO_FIELDS: HeldFields = MappingProxyType({})


def held_fields(value: object) -> HeldFields:
    """Return a field map from a setting: a table, or a text such as ``organization=company,title=jobTitle``.

    Raises:
        ConfigurationError: It is neither, names a field that no contact has, or a custom field twice.
    """
    hint = 'for example fields = { organization = "company" }'
    given: Mapping[Any, Any]
    if isinstance(value, str):
        parts = [part.partition("=") for part in value.split(",") if part.strip()]
        given = {ours.strip(): theirs.strip() for ours, _, theirs in parts}
        if len(given) < len(parts):
            raise ConfigurationError("fields names a field twice", hint=hint)
    elif isinstance(value, Mapping):
        given = cast("Mapping[Any, Any]", value)
    else:
        raise ConfigurationError(f"fields is of the type {type(value).__name__}, not a table of names", hint=hint)
    for ours, theirs in given.items():
        if ours not in TEXTS:
            raise ConfigurationError(f"fields: there is no field {ours!r}", hint=f"fields are {', '.join(TEXTS)}")
        if not isinstance(theirs, str) or not theirs.strip():
            raise ConfigurationError(f"fields: {ours} names no custom field", hint=hint)
    if len({theirs.casefold() for theirs in given.values()}) < len(given):
        raise ConfigurationError("fields: a custom field holds one field only", hint=hint)
    return MappingProxyType(dict(given))


def _usual(provider: MapsFields) -> HeldFields:
    return provider.usual_fields


def _check(provider: MapsFields, _: Attribute[HeldFields], value: HeldFields) -> None:
    for ours, theirs in value.items():
        if ours not in provider.mappable_fields:
            hint = f"fields that can be mapped are {', '.join(provider.mappable_fields)}"
            raise ConfigurationError(f"fields: {provider.name} keeps {ours} in a field of its own", hint=hint)
        if isinstance(provider, CreatesCustomFields) and theirs.casefold() in {
            each.casefold() for each in provider.reserved_field_names
        }:
            raise ConfigurationError(f"fields: {theirs} holds something else, so it cannot hold {ours}")


@frozen(kw_only=True, slots=False)
class MapsFields(ReadsCustomFields, ABC):
    """Keep fields of `Contact` for which the vendor has no field of its own in custom fields.

    Only texts are held: a value of another type stays in ``Contact.custom``, and a text for a custom field of another
    type is a loss. A provider reads with `with_mapped` or `take_mapped`, previews with
    `Fitting.fit_mapped`, writes `held_values` and what its own `split_changes` returns, and tells in
    `FieldDefinition.contact_field` what a custom field holds; `with_holder` adds that.

    Attributes:
        mappable_fields: Fields of `Contact` that a custom field can hold: some of `CHANGEABLE_FIELDS`. Default: all of
            them but ``custom``.
        usual_fields: The setting's default: custom fields that accounts of this vendor usually have. Default: none.
        fields: Which custom field holds which field of `Contact`; a setting of the account, which replaces the default.
    """

    mappable_fields: ClassVar[Collection[str]] = TEXTS
    usual_fields: ClassVar[HeldFields] = NO_FIELDS

    fields: HeldFields = field(
        default=Factory(_usual, takes_self=True), converter=held_fields, validator=_check, hash=False
    )

    def split_changes(
        self, set: Mapping[str, CustomValue], clear: Iterable[str]
    ) -> tuple[dict[str, str | None], dict[str, CustomValue]]:
        """Return changes as `split_changes` does, those of fields that custom fields hold among the custom ones.

        Raises:
            InvalidInput: A custom field is named that holds another field.
        """
        texts, custom = split_changes(set, clear)
        held = {theirs: ours for ours, theirs in self.fields.items()}
        if named := next((name for name in custom if name in held), None):
            raise InvalidInput(f"{CUSTOM}.{named} holds {held[named]}", hint=f"change {held[named]} instead")
        custom |= {theirs: texts.pop(ours) for ours, theirs in self.fields.items() if ours in texts}
        return texts, custom

    def held_values(self, contact: Contact) -> dict[str, CustomValue]:
        """Return the custom values of a contact that fits, with those that hold other fields."""
        held = {theirs: value for ours, theirs in self.fields.items() if (value := field_value(contact, ours))}
        return {**contact.custom, **held}

    def with_holder(self, definition: FieldDefinition) -> FieldDefinition:
        """Return the definition of a custom field with the name of the field that it holds, if it holds one."""
        held = next((ours for ours, theirs in self.fields.items() if theirs == definition.name), "")
        return evolve(definition, contact_field=held) if held else definition

    def needs_fields(self, contact: Contact) -> bool:
        """Return whether custom fields hold something of a contact."""
        return any(field_value(contact, name) is not None for name in self.fields)


def with_mapped(contact: Contact, fields: HeldFields) -> Contact:
    """Return a contact with the fields that custom fields hold, which go before those that the vendor has itself.

    Args:
        contact: The contact, with all custom fields in ``custom``.
        fields: The account's map.
    """
    if contact.custom.keys().isdisjoint(fields.values()):
        return contact
    custom = dict(contact.custom)
    held = take_mapped(custom, fields)
    if contact.address and (address := held.get("address")):
        parts = {name: text for name, text in asdict(address).items() if text}
        held["address"] = evolve(contact.address, **parts)
    return evolve(contact, custom=custom, **held)


def take_mapped(custom: dict[str, CustomValue], fields: HeldFields) -> dict[str, Any]:
    """Take the values that custom fields hold for fields of `Contact` out of them.

    Args:
        custom: Values of custom fields by name; texts that are mapped are removed.
        fields: The account's map.

    Returns:
        Values for `Contact` by the name of its attribute: ``organization``, ``title``, ``address`` and so on.
    """
    found: dict[str, Any] = {}
    parts: dict[str, str] = {}
    for ours, theirs in fields.items():
        if isinstance(text := custom.get(theirs), str):
            del custom[theirs]
            if text and ours.startswith(ADDRESS):
                parts[ours.removeprefix(ADDRESS)] = text
            elif text:
                found[ours] = text
    return {**found, "address": Address(**parts)} if parts else found


def changeable(able: ChangesContacts) -> tuple[str, ...]:
    """Return the names of the fields of an account that can be set, those that custom fields hold included."""
    return _with_mapped(able, able.changeable_fields)


def clearable(able: ChangesContacts) -> tuple[str, ...]:
    """Return the names of the fields of an account whose value can be taken away."""
    names = [each for each in able.changeable_fields if each in able.clearable_fields]
    return _with_mapped(able, names)


def _with_mapped(able: ChangesContacts, names: Collection[str]) -> tuple[str, ...]:
    mapped = able.fields if isinstance(able, MapsFields) and CUSTOM in names else ()
    others = [name for name in names if name != CUSTOM]
    return tuple(dict.fromkeys([*others, *mapped, *([CUSTOM] if CUSTOM in names else [])]))
