"""Tell what of contacts an account keeps, before they are written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from math import isfinite
from typing import cast

from attrs import astuple, evolve

from contacts_core.errors import InvalidInput
from contacts_core.models import Contact, ContactList, FieldDefinition, Loss, LossCode, Preview, Shape
from contacts_core.operations.checks import require
from contacts_core.operations.lists import list_id
from contacts_core.provider import (
    AddsToLists,
    CreatesLists,
    Flow,
    Provider,
    ReadsCustomFields,
    ReadsLists,
    UpsertsContacts,
    flows,
)

TIMES = ("created_at", "updated_at")
LISTS = (ReadsLists, CreatesLists, AddsToLists)


def read_shape(provider: Provider) -> Flow[Shape]:
    """Read the lists and the custom fields of an account, as far as its provider can read them."""
    return (yield from read_parts(provider, Shape(), lists=True, fields=True))


def read_parts(provider: Provider, known: Shape, *, lists: bool, fields: bool) -> Flow[Shape]:
    """Return a shape with its lists, its fields, or both, of which those that are known are not read again."""
    if lists and known.lists is None and isinstance(provider, ReadsLists):
        found: Sequence[ContactList] = yield from flows.gather(provider.lists_page)
        known = Shape(tuple(found), known.fields)
    if fields and known.fields is None and isinstance(provider, ReadsCustomFields):
        definitions: Sequence[FieldDefinition] = yield from flows.gather(provider.custom_fields_page)
        known = Shape(known.lists, tuple(definitions))
    return known


def preview(provider: Provider, contact: Contact, shape: Shape) -> Preview:
    """Tell what a read shows of a contact after it was written, and what of it gets lost. Nothing is sent.

    Args:
        provider: The account's provider.
        contact: The contact.
        shape: What the account has room for; see `read_shape`.

    Raises:
        UnsupportedOperation: The provider cannot write contacts.
    """
    found = fit(require(provider, UpsertsContacts), contact, shape)
    if found.shown is None:
        return found
    return Preview(evolve(found.shown, provider=provider.name, updated_at=None), found.losses, found.written)


def fit(able: UpsertsContacts, contact: Contact, shape: Shape) -> Preview:
    """Return the preview of a contact, whose ``shown`` has the provider and the times of what is written.

    Lists of another vendor's contact mean nothing here. A contact that was read from this vendor may come from another
    account, or its list may be deleted by now: it is written without the list. A list of a contact that the caller made
    must exist; otherwise the contact is not written.

    Args:
        able: The account's provider.
        contact: The contact.
        shape: What the account has room for; see `read_shape`.
    """
    if reason := unsendable(contact):
        return Preview.refused(reason)
    ours = contact.provider == able.name
    losses: list[Loss] = []
    ids: dict[str, None] = {}
    for name in contact.lists or ():
        try:
            found = _list_of(able, name, shape) if contact.provider in {"", able.name} else None
        except InvalidInput as error:
            if not ours:
                return Preview.refused(f"names a list: {error}")
            losses.append(Loss(f"lists.{name}", LossCode.NO_LIST, "the account has no such list"))
            continue
        if isinstance(found, str):
            ids[found] = None
        else:
            losses.append(found or Loss(f"lists.{name}", LossCode.NO_LIST, f"a list of {contact.provider}"))
    known = evolve(contact, lists=tuple(ids)) if contact.lists else contact
    if not ours and (contact.created_at or contact.updated_at):  # only the vendor says when a contact was created
        detail = "the vendor sets its own"
        losses += [Loss(name, LossCode.DATE_LOST, detail) for name in TIMES if getattr(contact, name)]
        known = evolve(known, created_at=None, updated_at=None)
    if contact.provider not in {"", able.name}:  # its id means nothing here
        known = evolve(known, provider="", id="", lists=() if contact.lists is not None else None)
    fitted = able.preview(known, shape)
    if fitted.shown is None or not losses:
        return fitted
    return Preview(fitted.shown, (*losses, *fitted.losses), fitted.written)


def _list_of(provider: Provider, name: str, shape: Shape) -> str | Loss:
    """Return the id of a list, or what is lost where the vendor has no lists.

    Raises:
        InvalidInput: There is no such list.
    """
    if not isinstance(provider, LISTS):
        return Loss(f"lists.{name}", LossCode.NO_PLACE, "the vendor has no lists")
    return name if shape.lists is None else list_id(name, shape.lists)


def unsendable(contact: Contact) -> str:
    """Return why a contact cannot be written as JSON without loss; empty if it can."""
    values: list[object] = [i.value for i in contact.identifiers]
    for value in values:
        if not isinstance(value, str):
            return f"holds an identifier of the type {type(value).__name__}, which cannot be sent"
    values += _texts(contact)
    for value in values:
        if value is None or (type(value) is str and value.isascii()):
            continue
        parts: Sequence[object] = cast("Sequence[object]", value) if isinstance(value, tuple | list) else (value,)
        for part in parts:
            match part:
                case str():
                    if not part.isascii() and any("\ud800" <= character <= "\udfff" for character in part):
                        return "holds half a character, which cannot be sent"
                case float():
                    if not isfinite(part):
                        return "holds a number that is not finite, which cannot be sent"
                case None | int() | date():
                    pass
                case _:
                    return f"holds a value of the type {type(part).__name__}, which cannot be sent"
    return ""


def _texts(contact: Contact) -> list[object]:
    """What of a contact may be a text, besides its identifiers."""
    texts: list[object] = [
        contact.first_name,
        contact.last_name,
        contact.full_name,
        contact.organization,
        contact.title,
    ]
    texts += contact.tags
    if contact.address:
        texts += astuple(contact.address)
    if contact.extra:
        texts += [value for value in contact.extra.values() if isinstance(value, str)]
    if contact.custom:
        texts += [*contact.custom, *contact.custom.values()]
    return texts
